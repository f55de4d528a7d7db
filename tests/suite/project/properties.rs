//! What must hold for every message: judging never panics and ends, and a verdict does not hang on line ends, on
//! another hop, on fields that mean nothing, or on how a header is spelt and folded.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use spoolguard::message::Message;

use crate::project::corpus::{all, judge, with_crlf};

fn corpus() -> &'static [(String, Vec<u8>)] {
    static CORPUS: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        all()
            .map(|(verdict, name, bytes)| (format!("{verdict}/{name}"), bytes))
            .collect()
    })
}

fn any_message() -> impl Strategy<Value = &'static (String, Vec<u8>)> {
    (0..corpus().len()).prop_map(|at| &corpus()[at])
}

/// Separator line, header, and everything from the empty line on.
fn parts(bytes: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let message = Message::new(bytes);
    let content_at = bytes.len() - message.content().len();
    let header_end = content_at + message.header().len();
    (
        bytes[..content_at].to_vec(),
        bytes[content_at..header_end].to_vec(),
        bytes[header_end..].to_vec(),
    )
}

fn joined(parts: (Vec<u8>, Vec<u8>, Vec<u8>)) -> Vec<u8> {
    [parts.0, parts.1, parts.2].concat()
}

fn same_verdict(name: &str, before: &[u8], after: &[u8]) -> Result<(), TestCaseError> {
    let (before, after) = (judge(before), judge(after));
    prop_assert_eq!(
        before.verdict.name(),
        after.verdict.name(),
        "{}: {:?}",
        name,
        after.verdict.markers()
    );
    prop_assert_eq!(before.null_sender.is_some(), after.null_sender.is_some(), "{}", name);
    prop_assert_eq!(
        before.diverted_before.is_some(),
        after.diverted_before.is_some(),
        "{}",
        name
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_of_any_kind_are_judged(bytes in vec(any::<u8>(), 0..2000)) {
        let _ = judge(&bytes);
    }

    #[test]
    fn lines_of_mail_in_any_order_are_judged(picks in vec((any_message(), any::<prop::sample::Index>()), 0..40)) {
        let lines: Vec<&[u8]> = picks
            .iter()
            .map(|((_, bytes), index)| {
                let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
                lines[index.index(lines.len())]
            })
            .collect();
        let _ = judge(&lines.concat());
    }

    #[test]
    fn damaged_messages_are_judged((_, bytes) in any_message(), at in any::<prop::sample::Index>(), length in 0_usize..400, noise in vec(any::<u8>(), 0..20)) {
        let at = at.index(bytes.len());
        let end = (at + length).min(bytes.len());
        let damaged = [&bytes[..at], &noise, &bytes[end..]].concat();
        let _ = judge(&damaged);
        let _ = judge(&bytes[..at]);
    }

    #[test]
    fn another_hop_changes_nothing((name, bytes) in any_message(), host in "[a-z]{3,9}") {
        // One of our own notices has not left this host.
        prop_assume!(!name.starts_with("notice/"));
        let (line, header, body) = parts(bytes);
        let hop = format!("Received: from {host}.hop.test ({host}.hop.test [198.51.100.1])\n\tby in.hop.test (Postfix) with ESMTP id 1A;\n\tMon, 2 Nov 2026 11:00:00 +0000\n");
        same_verdict(name, bytes, &joined((line, [hop.into_bytes(), header].concat(), body)))?;
    }

    #[test]
    fn fields_that_mean_nothing_change_nothing((name, bytes) in any_message(), fields in vec(("X-Q[A-Za-z]{2,10}", "[ -~]{0,60}"), 1..6)) {
        let (line, mut header, body) = parts(bytes);
        for (field, value) in fields {
            header.extend_from_slice(format!("{field}: {value}\n").as_bytes());
        }
        same_verdict(name, bytes, &joined((line, header, body)))?;
    }

    #[test]
    fn line_ends_and_the_case_of_names_change_nothing((name, bytes) in any_message(), upper in any::<bool>()) {
        same_verdict(name, bytes, &with_crlf(bytes))?;
        let (line, header, body) = parts(bytes);
        let mut cased = Vec::new();
        for line in header.split_inclusive(|b| *b == b'\n') {
            let end = line.iter().position(|b| *b == b':').unwrap_or(0);
            let name = if line.starts_with(b" ") || line.starts_with(b"\t") { &line[..0] } else { &line[..end] };
            cased.extend(if upper { name.to_ascii_uppercase() } else { name.to_ascii_lowercase() });
            cased.extend_from_slice(&line[name.len()..]);
        }
        same_verdict(name, bytes, &joined((line, cased, body)))?;
    }

    #[test]
    fn folding_changes_nothing((name, bytes) in any_message(), which in vec(any::<bool>(), 64)) {
        let (line, header, body) = parts(bytes);
        let mut folded = Vec::new();
        let mut blanks = 0;
        for field in header.split_inclusive(|b| *b == b'\n') {
            let start = field.iter().position(|b| *b == b':').map_or(0, |at| at + 2);
            for (at, byte) in field.iter().enumerate() {
                // Behind the colon, and never a line of blanks alone.
                let inside = at >= start && field.get(at + 1).is_some_and(|b| !b.is_ascii_whitespace());
                if *byte == b' ' && inside && !field.starts_with(b" ") && !field.starts_with(b"\t") {
                    blanks += 1;
                    if which[blanks % which.len()] {
                        folded.push(b'\n');
                    }
                }
                folded.push(*byte);
            }
        }
        same_verdict(name, bytes, &joined((line, folded, body)))?;
    }
}

/// A mebibyte of the worst; the time is for a slow machine without optimisation.
#[test]
fn hostile_messages_are_judged_in_time() {
    const BYTES: usize = 1 << 20;
    let fill = |piece: &str| piece.repeat(BYTES / piece.len());
    let daemon = "Return-Path: <>\nFrom: MAILER-DAEMON@b.test\nSubject: Undelivered Mail Returned to Sender\n";
    let multipart = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n";
    let hostile = [
        fill("a:\n"),
        fill("Received: from a by b\n"),
        fill("Delivered-To: a@a.test\n"),
        format!("{daemon}\n{}", fill("x")),
        format!("{daemon}\n{}", fill(">")),
        format!("{daemon}\n{}", fill("@")),
        format!("{daemon}\n{}", fill("a@b.c ")),
        format!("{daemon}\n{}", fill("<")),
        format!("{daemon}\n{}", fill("5.1.")),
        format!("{daemon}\n{}", fill("From: x\nTo: y\n\n")),
        format!("{daemon}Content-Type: text/html\n\n{}", fill("<style>")),
        format!("{daemon}{multipart}\n{}", fill("--b\n")),
        format!("{daemon}{multipart}\n{}", fill("--")),
        format!(
            "{daemon}{multipart}\n{}",
            fill("--b\nContent-Type: multipart/mixed; boundary=b\n\n")
        ),
        format!(
            "{daemon}{multipart}\n--b\nContent-Type: message/delivery-status\n\n{}",
            fill("Final-Recipient: a@a.test\n\n")
        ),
        format!("{daemon}\n{}", fill("X-Loop: b\n")),
        format!("Subject: {}\nFrom: {}\n\n", fill("=?utf-8?Q?"), fill("(")),
        format!("From: {}\nReturn-Path: <>\n\n", fill("=?iso-2022-jp?B?GyRC?= ")),
        format!("Content-Type: {}\nSubject: undeliverable\n\n", fill("boundary")),
        format!("X-Loop: {}\n\n", fill("<a@a.test>,")),
    ];
    for bytes in hostile {
        let start = Instant::now();
        let _ = judge(bytes.as_bytes());
        let took = start.elapsed();
        assert!(took < Duration::from_secs(60), "{took:?} for {:?}", bytes.get(..200));
    }
}
