use super::{LOOK_BYTES, MboxReader, WINDOW_BYTES};
use crate::mailbox::limited_file::LimitedFile;
use crate::sys::deadline::ReadLimit;
use crate::sys::message_buffer::MessageBuffer;

const FROM: &str = "From s@s.test Mon Nov  2 10:00:00 2026\n";

fn split(text: &[u8]) -> Vec<(u64, u64)> {
    let file = MessageBuffer::from_bytes(text.to_vec());
    let mut mbox = MboxReader::new(&file, 4096).unwrap_or_else(|e| unreachable!("{e}"));
    let mut found = Vec::new();
    while let Some(stored) = mbox.next().unwrap_or_else(|e| unreachable!("{e}")) {
        let at = usize::try_from(stored.offset).unwrap_or_default();
        assert!(text.get(at..).is_some_and(|rest| rest.starts_with(stored.head)));
        assert_eq!(stored.head.len() as u64, stored.bytes.min(4096));
        found.push((stored.offset, stored.bytes));
    }
    found
}

fn bodies(parts: &[&str]) -> (Vec<u8>, Vec<(u64, u64)>) {
    let mut text = Vec::new();
    let mut want = Vec::new();
    for part in parts {
        want.push((text.len() as u64, part.len() as u64));
        text.extend_from_slice(part.as_bytes());
    }
    (text, want)
}

#[test]
fn messages_end_where_the_next_begins() {
    let lengthy = format!("{FROM}Content-Length: 50\nA: 1\n\n");
    let cases: [&[&str]; 8] = [
        &[],
        &[&format!("{FROM}A: 1\n\nb\n\n")],
        &[
            &format!("{FROM}A: 1\n\nb\n\n"),
            &format!("{FROM}A: 1\n\nFrom here\nFrom 10:00\n\n"),
            &format!("{FROM}A: 1\n\n"),
        ],
        // No empty line before, so it is text.
        &[&format!("{FROM}A: 1\n\nb\n{FROM}c\n\n")],
        // A length that leads to a separator holds, whatever the body says ...
        &[&format!("{lengthy}{FROM}\n{:10}\n", ""), &format!("{FROM}A: 1\n\n")],
        // ... one that leads nowhere, or beyond the end, does not.
        &[
            &format!("{FROM}Content-Length: 3\n\nlonger\n\n"),
            &format!("{FROM}A: 1\n\n"),
        ],
        &[
            &format!("{FROM}Content-Length: 18446744073709551615\n\nb\n\n"),
            &format!("{FROM}A: 1\n\n"),
        ],
        &[&format!("{FROM}A: 1\r\n\r\nb\r\n\r\n"), &format!("{FROM}A: 1\r\n\r\n")],
    ];
    for parts in cases {
        let (text, want) = bodies(parts);
        assert_eq!(split(&text), want, "{:?}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn what_stands_before_the_first_message_is_no_message() {
    let message = format!("{FROM}A: 1\n\nb\n\n");
    for preamble in ["\n", "\r\n\n", "\u{feff}", "\u{feff}\n"] {
        let text = format!("{preamble}{message}{message}");
        let (first, bytes) = (preamble.len() as u64, message.len() as u64);
        assert_eq!(
            split(text.as_bytes()),
            [(first, bytes), (first + bytes, bytes)],
            "{text:?}"
        );
        assert_eq!(split(preamble.as_bytes()), [], "{preamble:?}");
        let (file, mut messages) = (MessageBuffer::from_bytes(text.into_bytes()), 0);
        let counted = MboxReader::new(&file, 0).and_then(|mut mbox| mbox.count(&mut messages));
        assert!(counted.is_ok() && messages == 2, "{preamble:?}: {messages}");
    }
    // What is no empty line is the first message's.
    assert_eq!(
        split(format!("torn\n\n{message}").as_bytes()),
        [(0, 6), (6, message.len() as u64)]
    );
}

/// What a mailbox holds, and the doubtful lines of each message.
fn doubts(text: &str) -> Vec<Option<(u64, String)>> {
    let file = MessageBuffer::from_bytes(text.as_bytes().to_vec());
    let mut mbox = MboxReader::new(&file, 4096).unwrap_or_else(|e| unreachable!("{e}"));
    let mut found = Vec::new();
    while let Some(stored) = mbox.next().unwrap_or_else(|e| unreachable!("{e}")) {
        found.push(stored.doubt.map(|doubt| (doubt.offset, doubt.line.clone())));
    }
    found
}

#[test]
fn a_message_in_which_another_may_begin_says_where() {
    let first = format!("{FROM}A: 1\n\nb\n\n");
    let pasted = format!("{FROM}A: 1\n\nb\n\nFrom t@t.test 2026-11-02\nSubject: x\n\nb\n\n");
    let length = format!("{FROM}Content-Length: 44\n\n{FROM}A: 1\n\n");
    let glued = format!("{FROM}A: 1\n\ntorn\n{FROM}From: x\nTo: y\nDate: z\n\nb\n\n");
    let marked = format!("\u{feff}{FROM}A: 1\n\nb\n\n");
    let line = FROM.trim_end().to_owned();
    for (text, want) in [
        (format!("{first}{first}"), vec![None, None]),
        (
            format!("{first}{pasted}{first}"),
            vec![
                None,
                Some((first.len() as u64 + 48, "From t@t.test 2026-11-02".to_owned())),
                None,
            ],
        ),
        (format!("{length}{first}"), vec![Some((59, line.clone())), None]),
        (format!("{glued}{first}"), vec![Some((50, line.clone())), None]),
        (format!("{marked}{first}"), vec![Some((3, line)), None]),
    ] {
        assert_eq!(doubts(&text), want, "{text}");
    }
}

/// Separator lines of all sorts of programs.
const SEPARATORS: [&str; 34] = [
    "From s@s.test Mon Nov  2 10:00:00 2026",
    "From MAILER-DAEMON Mon Nov  2 10:00:00 2026",
    "From s at s.test  Mon Nov  2 10:00:00 2026",
    "From - Mon Nov  2 10:00:00 2026",
    "From s@s.test Mon Nov  2 10:00:00 MET DST 2026",
    "From s!t Mon Nov  2 10:00:00 2026 remote from uu",
    "From s@s.test Mon, 02 Nov 2026 10:00:00 +0000",
    "From s@s.test 2026-11-02T10:00:00Z",
    "From s@s.test 11/02/2026 10:00:00",
    "From s@s.test Mo Dez 2 10:00:00 2026",
    "From s@s.test Mon Nov 2 2026",
    "From s@s.test",
    "From MAILER-DAEMON",
    "From ",
    "From 1714000000000000000@xxx Mon Nov 02 10:00:00 +0000 2026",
    "From s@s.test Mon Nov  2 10:00:00 2026 +0000",
    "From s Mon Nov  2 10:00 EST 2026",
    "From s@s.test Mon Nov  2 10:00:00 26",
    "From s@s.test Mon Nov  2 10:00:00",
    "From s Mon Nov  2 10:00:00",
    "From s@s.test 2026-11-02 10:00:00",
    "From s@s.test\tMon Nov  2 10:00:00 2026",
    "From s@s.test Mon Nov  2 10:00:00 PST8PDT 2026",
    "From s@s.test Mon Nov  2 10:00:00 2026 (CET)",
    "From S Ample <s@s.test> Mon Nov  2 10:00:00 2026",
    "From <> Mon Nov  2 10:00:00 2026",
    "From s@s.test lun. nov. 2 10:00:00 2026",
    "From s@s.test Monday, November 2, 2026 10:00 AM",
    "From s@s.test 1793613600",
    "From s@s.test Mon Nov  2 10:00:00 GMT+01:00 2026",
    "From relay!s!t Mon Nov  2 10:00 MET 2026 remote from relay",
    "From \"s t\"@s.test Mon Nov  2 10:00:00 2026",
    "From nobody Mon Nov  2 10:00:00 2026",
    "From ???@??? Mon Nov 02 10:00:00 2026",
];

/// What people write that looks like it, each a paragraph of its own.
const PROSE: [&str; 27] = [
    "From here on it is prose.",
    "From the desk of Ann",
    "From Monday 10:00 to 2026-11-02 we are closed.",
    "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\nFrom: A <a@a.test>\nDate: x\nSubject: [PATCH] y\n\n---\n x | 2 +-",
    "> From s@s.test Mon Nov  2 10:00:00 2026",
    ">From s@s.test Mon Nov  2 10:00:00 2026",
    "---------- Forwarded message ----------\nFrom: S <s@s.test>\nDate: x\nTo: a@a.test\n\nhello",
    "From: S <s@s.test>\nSent: Monday\nTo: a@a.test\nSubject: x\n\nhello",
    "From May on",
    "From s@s.test I heard that",
    "From \nnothing comes",
    "text\nFrom s@s.test",
    "From Monday to Friday:\nopen: 9-17",
    "From s@s.test on Nov 2, 2026: I agree.",
    "From London\nTo: Paris\nDate: 2 Nov",
    "From 10 to 12: meeting\nSubject: budget",
    "From 2020 to 2026 the price rose.",
    "From Mon to Wed, 10:00 to 12:00 in 2026\nit is closed.",
    "From 192.0.2.5 at 10:00:00 we saw 550.",
    "From s@s.test, with love",
    "From 1.2.3 to 1.2.4\nFrom: the changelog",
    "From Nov 2 2026 the office is at 10:00 Main Street.",
    "From fairest creatures we desire increase",
    "  From s@s.test Mon Nov  2 10:00:00 2026\n  Subject: x",
    "From users where year = 2026 and time = '10:00:00';",
    "From the desk of S\nPhone: 123\nFax: 124",
    "From tomorrow\nSubject: to change.",
];

const HEADER: &str = "Received: by x\nFrom: S <s@s.test>\nTo: a@a.test\nDate: x\nSubject: y\n\n";

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    /// Each message is found, whatever wrote its separator line and whatever its text looks like.
    #[test]
    fn messages_of_all_programs_are_told_from_prose(
        messages in proptest::collection::vec(
            (
                proptest::sample::select(&SEPARATORS[..]),
                proptest::collection::vec((proptest::sample::select(&PROSE[..]), 0..40_usize), 0..5),
            ),
            1..12,
        ),
        ends in proptest::sample::select(vec!["\n", "\r\n"]),
        filler in 0..30_000_usize,
    ) {
        let mut text = String::new();
        let mut want = Vec::new();
        for (separator, paragraphs) in &messages {
            let start = text.len();
            text.push_str(separator);
            text.push('\n');
            text.push_str(HEADER);
            for (prose, lines) in paragraphs {
                text.push_str(prose);
                text.push_str("\n\n");
                text.push_str(&"some line of text\n".repeat(*lines * filler / 100));
                text.push('\n');
            }
            text.push_str("the end\n\n");
            want.push((start, text.len() - start));
        }
        let offsets: Vec<u64> = want
            .iter()
            .map(|(start, _)| text[..*start].replace('\n', ends).len() as u64)
            .collect();
        let text = text.replace('\n', ends);
        let found = split(text.as_bytes());
        proptest::prop_assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), offsets);
        proptest::prop_assert_eq!(found.iter().map(|(_, bytes)| *bytes).sum::<u64>(), text.len() as u64);
        // And counted the same.
        let file = MessageBuffer::from_bytes(text.into_bytes());
        let mut count = 0;
        let mut mbox = MboxReader::new(&file, 0).unwrap_or_else(|e| unreachable!("{e}"));
        mbox.count(&mut count).unwrap_or_else(|e| unreachable!("{e}"));
        proptest::prop_assert_eq!(count, messages.len() as u64);
    }

    /// Lines of any words: each message is read and counted alike, and together they are the file.
    #[test]
    fn reading_and_counting_agree_on_anything(
        lines in proptest::collection::vec(
            proptest::sample::select(vec![
                "", "", "", "From ", "From s@s.test", FROM, "From s@s.test 2026-11-02", "From: x", "Date: x", "To: y", "Subject: z",
                "Content-Length: 60", "Content-Type: text/plain", "text", "--b", "From here", " folded", "Received: x",
            ]),
            0..60,
        ),
    ) {
        let text: String = lines.iter().flat_map(|line| [line.trim_end_matches('\n'), "\n"]).collect();
        let found = split(text.as_bytes());
        let mut end = found.first().map_or(text.len() as u64, |(at, _)| *at);
        proptest::prop_assert!(text.bytes().take(usize::try_from(end).unwrap_or_default()).all(|b| b == b'\n'));
        for (at, bytes) in &found {
            proptest::prop_assert_eq!(*at, end);
            end += bytes;
        }
        proptest::prop_assert_eq!(end, text.len() as u64);
        let file = MessageBuffer::from_bytes(text.into_bytes());
        let mut count = 0;
        let mut mbox = MboxReader::new(&file, 0).unwrap_or_else(|e| unreachable!("{e}"));
        mbox.count(&mut count).unwrap_or_else(|e| unreachable!("{e}"));
        proptest::prop_assert_eq!(count, found.len() as u64);
        // Each separator but the first stands where it did when reading begins there.
        for (at, _) in found {
            let mut mbox = MboxReader::resume(&file, 64, at).unwrap_or_else(|e| unreachable!("{e}"));
            let first = mbox.next().unwrap_or_else(|e| unreachable!("{e}")).map(|stored| stored.offset);
            proptest::prop_assert_eq!(first, Some(at));
        }
    }
}

#[test]
fn a_separator_is_found_wherever_a_window_ends() {
    for shift in (0..LOOK_BYTES + 80).step_by(61) {
        let first = format!(
            "{FROM}A: 1\n\n{}\n\n",
            "x".repeat(WINDOW_BYTES - LOOK_BYTES - 40 + shift)
        );
        let second = format!("{FROM}B: 2\n\nb\n\n");
        let (text, want) = bodies(&[&first, &second]);
        assert_eq!(split(&text), want, "shift {shift}");
    }
}

#[test]
fn a_head_is_the_beginning_and_a_walk_begins_at_any_message() {
    for before in [1, WINDOW_BYTES / 2, WINDOW_BYTES - 100] {
        let first = format!("{FROM}A: 1\n\n{}\n\n", "x".repeat(before));
        let second = format!("{FROM}B: 2\n\n{}\n\n", "y\n".repeat(WINDOW_BYTES * 3 / 2));
        let third = format!("{FROM}C: 3\n\n{}\n\n", "z".repeat(WINDOW_BYTES));
        let (text, want) = bodies(&[&first, &second, &third]);
        assert_eq!(split(&text), want, "{before} bytes before");
        let file = MessageBuffer::from_bytes(text);
        let mut mbox = MboxReader::resume(&file, 100, first.len() as u64).unwrap_or_else(|e| unreachable!("{e}"));
        let second = mbox.next().unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(second.map(|stored| (stored.offset, stored.bytes)), want.get(1).copied());
        assert!(!mbox.was_cut());
    }
}

#[test]
fn a_file_that_is_cut_while_it_is_read_ends_where_it_was_cut() {
    let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
    let path = dir.path().join("box");
    let one = format!("{FROM}A: 1\n\n{}\n\n", "x".repeat(1000));
    assert!(std::fs::write(&path, one.repeat(4000)).is_ok());
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap_or_else(|e| unreachable!("{e}"));
    let limited = LimitedFile::new(&file, ReadLimit::until_stopped());
    let mut mbox = MboxReader::new(&limited, 100).unwrap_or_else(|e| unreachable!("{e}"));
    assert!(mbox.next().is_ok_and(|first| first.is_some()));
    assert!(file.set_len(one.len() as u64 * 2).is_ok());
    let mut end = 0;
    while let Some(stored) = mbox.next().unwrap_or_else(|e| unreachable!("{e}")) {
        end = stored.offset + stored.bytes;
    }
    assert!(mbox.was_cut());
    assert_eq!(end, mbox.length());
}
