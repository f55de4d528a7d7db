//! Which failures suspend a destination: a living one never, a dead one soon. `tests/suite/data/replies.tsv` holds
//! replies of far sides in our own words, each with its class; a third of them was kept out of what the code was tuned
//! on.

use std::fs;
use std::path::Path;

use spoolguard::classify::verdict::Verdict;
use spoolguard::report::failure::FailureEvidence;
use spoolguard::report::stage::SmtpStage;
use spoolguard::report::status_code::Basis;

use crate::forward::suspension;
use crate::project::corpus::judge;
use crate::support::Scratch;

/// One line of the table.
struct Reply {
    is_held: bool,
    stage: String,
    status: String,
    text: String,
    class: String,
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn replies() -> Vec<Reply> {
    let table = read("tests/suite/data/replies.tsv");
    let lines = table.lines().filter(|line| !line.starts_with('#')).skip(1);
    let found: Vec<Reply> = lines
        .map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
            [set, stage, status, text, class] => Reply {
                is_held: set == "held",
                stage: stage.to_owned(),
                status: status.to_owned(),
                text: text.to_owned(),
                class: class.to_owned(),
            },
            _ => panic!("five columns: {line}"),
        })
        .collect();
    assert!(found.len() >= 200, "{}", found.len());
    found
}

/// A Postfix report about the `number`th message, which `to` refused like this.
fn report(number: usize, to: &str, stage: &str, status: &str, reply: &str) -> Vec<u8> {
    let answered = |command: &str| format!("host mx.c.test[192.0.2.9] said: {reply} (in reply to {command} command)");
    let words = match stage {
        "-" => "could not be delivered.".to_owned(),
        "connect" => format!("host mx.c.test[192.0.2.9] refused to talk to me: {reply}"),
        "ehlo" => answered("EHLO"),
        "mail" => answered("MAIL FROM"),
        "rcpt" => answered("RCPT TO"),
        "data" => answered("end of DATA"),
        other => panic!("no stage: {other}"),
    };
    let has_type = reply.starts_with("x-unix;") || reply.starts_with("X-Postfix;");
    let diagnostic = if has_type {
        reply.to_owned()
    } else {
        format!("smtp; {reply}")
    };
    format!(
        "Return-Path: <>\nFrom: MAILER-DAEMON@a.test (Mail Delivery System)\nTo: a@a.test\nMessage-ID: <r{number}@a.test>\n\
         Subject: Undelivered Mail Returned to Sender\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"xx\"\n\n\
         --xx\nContent-Type: text/plain; charset=utf-8\n\nThis is the mail system at host a.test.\n\n\
         Your message could not be delivered. You can\ndelete your own text from the attached returned message.\n\n\
         <{to}>: {words}\n\n\
         --xx\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; a.test\n\n\
         Final-Recipient: rfc822; {to}\nAction: failed\nStatus: {status}\nDiagnostic-Code: {diagnostic}\n\n\
         --xx\nContent-Type: text/rfc822-headers\n\nReturn-Path: <s@s.test>\nX-Loop: a@a.test\nFrom: s@s.test\nTo: a@a.test\n\
         Message-ID: <{number}@s.test>\nSubject: letter {number}\n\n--xx--\n"
    )
    .into_bytes()
}

fn class(bytes: &[u8]) -> String {
    match judge(bytes).verdict {
        Verdict::Bounce(bounce) => format!("{:?}", bounce.recipients[0].class).to_lowercase(),
        other => panic!("no bounce: {}", other.name()),
    }
}

#[test]
fn replies_mean_what_they_say_and_no_living_one_is_hard() {
    for held in [false, true] {
        let replies: Vec<_> = replies().into_iter().filter(|reply| reply.is_held == held).collect();
        let mut wrong = Vec::new();
        for reply in &replies {
            let found = class(&report(1, "x@c.test", &reply.stage, &reply.status, &reply.text));
            let line = format!(
                "{} {} {}: {found}, not {}",
                reply.stage, reply.status, reply.text, reply.class
            );
            assert!(reply.class == "hard" || found != "hard", "a living one: {line}");
            if found != reply.class {
                wrong.push(line);
            }
        }
        let allowed = if held { replies.len() * 3 / 100 } else { 0 };
        assert!(wrong.len() <= allowed, "{}", wrong.join("\n"));
    }
}

#[test]
fn no_living_one_is_hard_where_the_stage_is_not_told() {
    for reply in replies().iter().filter(|reply| reply.class != "hard") {
        let found = class(&report(1, "x@c.test", "-", &reply.status, &reply.text));
        assert_ne!(found, "hard", "{} {}", reply.status, reply.text);
    }
}

#[test]
fn the_table_in_the_documentation_is_what_the_code_does() {
    let stages = [
        Some(SmtpStage::Session),
        Some(SmtpStage::Sender),
        Some(SmtpStage::Recipient),
        Some(SmtpStage::Data),
        None,
    ];
    let page = read("docs/suspension.md");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("| `"));
    let mut count = 0;
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, example, classes @ ..] = &cells[..] else {
            panic!("{row}")
        };
        assert_eq!(classes.len(), stages.len(), "{row}");
        for (stage, class) in stages.into_iter().zip(classes) {
            let evidence = FailureEvidence {
                status: Some("5.0.0"),
                reply: example.trim_matches('`'),
                stage,
                ..FailureEvidence::default()
            };
            let found = format!("{:?}", evidence.class()).to_lowercase();
            assert_eq!(&found, class, "{stage:?} in {row}");
        }
        count += 1;
    }
    assert!(count >= 20, "{count} rows");
}

/// Sends twenty different messages, each of which is refused like this, until the destination is suspended; says after
/// how many.
fn suspended_after(reply: &Reply) -> Option<usize> {
    let scratch = suspension::scratch();
    for number in 1..=20 {
        suspension::forward(&scratch, [number]);
        let report = report(number, "b@b.test", &reply.stage, &reply.status, &reply.text);
        come(&scratch, &report);
        if !suspension::state(&scratch)["routes"][0]["suspended"].is_null() {
            return Some(number);
        }
    }
    None
}

#[track_caller]
fn come(scratch: &Scratch, report: &[u8]) {
    let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
    run.input(report).go().succeeds();
}

fn basis(reply: &Reply, to: &str) -> Basis {
    match judge(&report(1, to, &reply.stage, &reply.status, &reply.text)).verdict {
        Verdict::Bounce(bounce) => bounce.recipients[0].basis,
        other => panic!("no bounce: {}", other.name()),
    }
}

#[test]
fn nearly_every_dead_address_is_told_from_its_reply() {
    let replies = replies();
    let dead: Vec<_> = replies.iter().filter(|reply| reply.class == "hard").collect();
    let unread = dead.iter().filter(|reply| basis(reply, "x@c.test") != Basis::Said);
    let texts: Vec<_> = unread.map(|reply| reply.text.as_str()).collect();
    assert!(
        texts.len() * 100 <= dead.len() * 4,
        "{} of {}: {texts:#?}",
        texts.len(),
        dead.len()
    );
}

#[test]
fn the_dead_are_suspended_within_six_messages_the_living_never() {
    for reply in replies().iter().step_by(37) {
        let reply = Reply {
            text: reply.text.replace("x@c.test", "b@b.test"),
            stage: reply.stage.clone(),
            status: reply.status.clone(),
            class: reply.class.clone(),
            ..*reply
        };
        let after = suspended_after(&reply);
        let what = format!("{} {} {}", reply.stage, reply.status, reply.text);
        match reply.class.as_str() {
            // What nobody can read takes days.
            "hard" if basis(&reply, "b@b.test") == Basis::Said => {
                assert!(after.is_some_and(|after| after <= 6), "{what}: {after:?}")
            }
            _ => assert_eq!(after, None, "{what}"),
        }
    }
}
