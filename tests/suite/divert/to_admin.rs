//! What is not ordinary: what each kind of message gets, and what an administrator finds on top of it.

use std::fs;
use std::io::Read;

use crate::support::{ORDINARY, Scratch, below, contains, content, messages, only, same, shown, user_name};

/// A report that quotes the header `quoted` (RFC 3464).
fn report(quoted: &str) -> Vec<u8> {
    format!(
        "Received: by b.test\nFrom: MAILER-DAEMON@b.test\nTo: a@a.test\nSubject: Undelivered\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"xx\"\n\n\
         --xx\nContent-Type: text/plain\n\nIt did not work.\n\n\
         --xx\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; b.test\n\n\
         Final-Recipient: rfc822; b@b.test\nAction: failed\nStatus: 5.1.1\n\n\
         --xx\nContent-Type: message/rfc822\n\n{quoted}From: s@s.test\nTo: a@a.test\nSubject: hello\n\nHello.\n\n--xx--\n"
    )
    .into_bytes()
}

/// What became of a message that was forwarded.
#[derive(Debug, PartialEq)]
enum Fate {
    Forwarded,
    Diverted,
    Kept,
}

#[track_caller]
fn fate_in(scratch: &Scratch, sender: &str, message: &[u8]) -> Fate {
    scratch
        .run(&["forward", "-a", "a@a.test", "-f", sender, "b@b.test"])
        .input(message)
        .go()
        .succeeds();
    // What a report carried is no fate of the report.
    let is_itself = |message: &&&[u8]| !contains(message, b"\nX-Spoolguard-Rescued: ");
    let found = (
        scratch.sent().len(),
        messages(&scratch.diverted()).len(),
        messages(&scratch.mail()).iter().filter(is_itself).count(),
    );
    match found {
        (1, 0, 0) => Fate::Forwarded,
        (0, 1, 0) => Fate::Diverted,
        (0, 0, 1) => Fate::Kept,
        other => panic!("sent, diverted, in the mailbox: {other:?}"),
    }
}

#[track_caller]
fn fate(sender: &str, message: &[u8]) -> Fate {
    fate_in(&Scratch::new(), sender, message)
}

#[test]
fn the_users_own_x_loop_is_a_loop_and_nobody_elses() {
    for (field, want) in [
        ("X-Loop: a@a.test", Fate::Diverted),
        ("x-loop: A@A.TEST", Fate::Diverted),
        ("X-Loop: Ann <a@a.test>", Fate::Diverted),
        ("X-Loop: a+lists@a.test", Fate::Diverted),
        ("X-Loop:\n a@a.test", Fate::Diverted),
        ("X-Loop: list@l.test\nX-Loop: a@a.test", Fate::Diverted),
        ("X-Loop: list@l.test", Fate::Forwarded),
        ("X-Loop: a@other.test", Fate::Forwarded),
        ("X-Loop: ba@a.test", Fate::Forwarded),
        ("X-Loop: yes", Fate::Forwarded),
        ("X-Loop:", Fate::Forwarded),
        ("X-Not-Loop: a@a.test", Fate::Forwarded),
    ] {
        let message = format!("{field}\nFrom: l@l.test\nSubject: x\n\nX-Loop: a@a.test in the body\n");
        assert_eq!(fate("s@s.test", message.as_bytes()), want, "{field}");
    }
}

#[test]
fn a_message_that_was_here_before_is_a_loop() {
    let received = |count: usize, line: &str| format!("{}\n", line).repeat(count);
    let rest = "Subject: x\n\nx\n";
    let hop = "Received: from b.test (b.test [192.0.2.1])\n by a.test (Postfix) id 1; Mon, 2 Nov 2026 10:00:00 +0000";
    let hops = |count: usize| {
        (0..count)
            .map(|n| format!("Received: from h{n}.test by h{}.test; Mon\n", n + 1))
            .collect::<String>()
    };
    for (name, header, want) in [
        (
            "once in Delivered-To",
            "Delivered-To: a@a.test\n".to_owned(),
            Fate::Forwarded,
        ),
        (
            "twice in Delivered-To",
            "Delivered-To: a@a.test\nReceived: x\nDelivered-To: A@A.test\n".to_owned(),
            Fate::Diverted,
        ),
        (
            "twice in Delivered-To, fetched",
            "Delivered-To: a@a.test\nReceived: from b.test by a.test with POP3\nDelivered-To: A@A.test\n".to_owned(),
            Fate::Forwarded,
        ),
        (
            "an extension delivered on to its owner",
            "Delivered-To: a@a.test\nReceived: x\nDelivered-To: a+y@a.test\n".to_owned(),
            Fate::Forwarded,
        ),
        (
            "others in Delivered-To",
            "Delivered-To: a@a.test\nReceived: x\nDelivered-To: b@b.test\nDelivered-To: b@b.test\n".to_owned(),
            Fate::Forwarded,
        ),
        ("one hop twice", received(2, hop), Fate::Forwarded),
        ("one hop three times", received(3, hop), Fate::Diverted),
        ("50 hops", hops(50), Fate::Forwarded),
        ("51 hops", hops(51), Fate::Diverted),
    ] {
        assert_eq!(fate("s@s.test", format!("{header}{rest}").as_bytes()), want, "{name}");
    }
    let message = format!("{}{rest}", hops(8));
    assert_eq!(
        fate_in(
            &Scratch::new().set("guard.max_hops", "8"),
            "s@s.test",
            message.as_bytes()
        ),
        Fate::Forwarded
    );
    assert_eq!(
        fate_in(
            &Scratch::new().set("guard.max_hops", "7"),
            "s@s.test",
            message.as_bytes()
        ),
        Fate::Diverted
    );
}

#[test]
fn reports_from_mail_systems_are_bounces_whoever_sends_them_on() {
    let exim = b"X-Failed-Recipients: b@b.test\nFrom: Mail Delivery System <x@b.test>\nSubject: failed\n\nx\n";
    let daemon = b"From: MAILER-DAEMON@b.test (Mail Delivery System)\nSubject: Returned mail: user unknown\n\n\
        This message could not be delivered.\n\n<b@b.test>: 550 5.1.1 unknown user\n";
    for sender in ["<>", "neighbour@n.test"] {
        assert_eq!(fate(sender, &report("")), Fate::Diverted, "RFC 3464 from {sender}");
        assert_eq!(
            fate(sender, &report("X-Loop: a@a.test\n")),
            Fate::Diverted,
            "about our forward, from {sender}"
        );
        assert_eq!(fate(sender, exim), Fate::Diverted, "Exim's, from {sender}");
    }
    assert_eq!(fate("<>", daemon), Fate::Diverted);
}

#[test]
fn a_report_with_crlf_is_one_too() {
    let text = String::from_utf8(report("X-Loop: a@a.test\n"))
        .unwrap()
        .replace('\n', "\r\n");
    let scratch = Scratch::new();
    assert_eq!(fate_in(&scratch, "neighbour@n.test", text.as_bytes()), Fate::Diverted);
    let admin = scratch.diverted();
    let got = only(&admin);
    assert!(
        got.starts_with(b"X-Loop: a@a.test\r\nX-Spoolguard-Divert: "),
        "{}",
        shown(got)
    );
    same(below(got, 2), text.as_bytes());
}

#[test]
fn people_lists_and_automatic_mail_pass() {
    for message in [
        "List-Id: <l.l.test>\nPrecedence: list\nX-Loop: l@l.test\nSubject: x\n\nx\n",
        "From: root@a.test\nSubject: Cron <a@a>\nAuto-Submitted: auto-generated\n\nx\n",
        "From: postmaster@s.test\nSubject: about your bounce message\n\nx\n",
        "Subject: Undelivered Mail Returned to Sender\n\nI got this, what is it?\n",
        "Auto-Submitted: auto-replied (vacation)\nSubject: away\n\nx\n",
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=x\n\n--x--\n",
        "Content-Type: multipart/report; report-type=feedback-report; boundary=x\n\n--x--\n",
    ] {
        assert_eq!(fate("s@s.test", message.as_bytes()), Fate::Forwarded, "{message}");
    }
}

#[test]
fn configuration_says_what_each_kind_gets() {
    let kinds: [(&str, &str, Vec<u8>); 6] = [
        ("loop", "s@s.test", b"X-Loop: a@a.test\n\nx\n".to_vec()),
        ("bounce", "<>", report("")),
        ("null_sender", "<>", ORDINARY.to_vec()),
        (
            "complaint",
            "s@s.test",
            b"Content-Type: multipart/report; report-type=feedback-report; boundary=x\n\n--x--\n".to_vec(),
        ),
        (
            "receipt",
            "s@s.test",
            b"Content-Type: multipart/report; report-type=disposition-notification; boundary=x\n\n--x--\n".to_vec(),
        ),
        (
            "auto_reply",
            "s@s.test",
            b"Auto-Submitted: auto-replied\n\nx\n".to_vec(),
        ),
    ];
    for (key, sender, message) in &kinds {
        for (choice, want) in [
            ("divert", Fate::Diverted),
            ("keep", Fate::Kept),
            ("pass", Fate::Forwarded),
        ] {
            let scratch = Scratch::new().set(&format!("guard.{key}"), &format!("{choice:?}"));
            assert_eq!(fate_in(&scratch, sender, message), want, "{key} = {choice}");
        }
    }
}

#[test]
fn deliver_diverts_bounces_and_keeps_what_is_to_be_kept() {
    let scratch = Scratch::new();
    let bounce = report("");
    scratch
        .run(&["deliver", "-a", "a@a.test", "-f", "<>"])
        .input(&bounce)
        .go()
        .succeeds();
    assert_eq!(messages(&scratch.diverted()).len(), 1);
    assert!(scratch.mail().is_empty());
    let scratch = Scratch::new().set("guard.bounce", "\"keep\"");
    scratch
        .run(&["deliver", "-a", "a@a.test", "-f", "<>"])
        .input(&bounce)
        .go()
        .succeeds();
    let mail = scratch.mail();
    let got = only(&mail);
    assert!(got.starts_with(b"X-Spoolguard-Kept: "), "{}", shown(got));
    same(below(got, 1), &bounce);
}

#[test]
fn the_copy_says_on_top_why_and_for_whom_it_was() {
    let scratch = Scratch::new();
    let bounce = report("X-Loop: a@a.test\n");
    scratch
        .run(&["forward", "-a", "a+work@a.test", "-f", "<>", "b@b.test"])
        .input(&bounce)
        .go()
        .succeeds();
    let admin = scratch.diverted();
    assert!(admin.starts_with(b"From MAILER-DAEMON "), "{}", shown(&admin));
    let got = only(&admin);
    let text = String::from_utf8_lossy(got).into_owned();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("X-Loop: a@a.test"));
    let mark = lines.next().unwrap();
    assert!(mark.starts_with("X-Spoolguard-Divert: "), "{mark}");
    for part in ["verdict=bounce", "marker=\"", "recipient=a+work@a.test", "host="] {
        assert!(mark.contains(part), "{part} is missing in {mark}");
    }
    same(below(got, 2), &bounce);
    assert!(scratch.held().is_empty(), "what lies in an mbox need not be held");
}

#[test]
fn an_address_gets_it_with_the_null_sender_and_a_copy_is_held() {
    let scratch = Scratch::new().set("admin", "\"admin@a.test\"");
    let bounce = report("");
    scratch
        .run(&["deliver", "-a", "a@a.test", "-f", "x@x.test"])
        .input(&bounce)
        .go()
        .succeeds();
    let sent = scratch.sent();
    assert_eq!(sent.len(), 1);
    assert!(
        sent[0].starts_with(b"Return-Path: <>\nEnvelope-To: admin@a.test\nX-Loop: a@a.test\nX-Spoolguard-Divert: "),
        "{}",
        shown(&sent[0])
    );
    same(below(&sent[0], 4), &bounce);
    let held = scratch.held();
    assert_eq!(held.len(), 1);
    assert!(held[0].to_str().unwrap().ends_with(".gz"), "{held:?}");
    let mut mbox = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(&held[0]).unwrap())
        .read_to_end(&mut mbox)
        .unwrap();
    assert_eq!(messages(&mbox).len(), 1);
    same(only(&mbox), below(&sent[0], 2));
    assert!(scratch.mail().is_empty());
}

#[test]
fn held_copies_are_one_mbox_together() {
    let scratch = Scratch::new().set("admin", "\"admin@a.test\"");
    for number in 0..3 {
        let message = format!("X-Loop: a@a.test\nSubject: {number}\n\nFrom {number}");
        scratch.deliver(message.as_bytes()).go().succeeds();
    }
    let held = scratch.held();
    assert_eq!(held.len(), 3);
    let mut together = Vec::new();
    for path in &held {
        together.extend(fs::read(path).unwrap());
    }
    let mut mbox = Vec::new();
    flate2::read::MultiGzDecoder::new(&together[..])
        .read_to_end(&mut mbox)
        .unwrap();
    let all = messages(&mbox);
    assert_eq!(all.len(), 3, "{}", shown(&mbox));
    assert!(all.iter().all(|message| content(message).ends_with(b"\n")));
}

#[test]
fn the_state_directory_is_nobody_elses_business() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new().set("admin", "\"admin@a.test\"");
    scratch
        .deliver(b"X-Loop: a@a.test\n\nx\n")
        .shell("umask 0")
        .go()
        .succeeds();
    for path in [scratch.path("state/held"), scratch.held()[0].clone()] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o} {}", path.display());
    }
}

#[test]
fn what_was_diverted_before_goes_nowhere_again() {
    let mark = "X-Spoolguard-Divert: verdict=bounce; why=verdict; recipient=a@a.test; host=h\n";
    let marked = format!("{mark}X-Loop: a@a.test\nSubject: x\n\nx\n");
    let deep = format!("Received: by a.test\nSubject: x\nX-Loop: c@c.test\n{mark}\nx\n");
    for message in [
        marked.into_bytes(),
        deep.into_bytes(),
        report(mark),
        report(&format!("X-Loop: a@a.test\n{mark}")),
    ] {
        for admin in ["\"admin@a.test\"", ""] {
            let scratch = if admin.is_empty() {
                Scratch::new()
            } else {
                Scratch::new().set("admin", admin)
            };
            assert_eq!(fate_in(&scratch, "<>", &message), Fate::Kept, "{}", shown(&message));
            assert!(scratch.held().is_empty());
            let mail = scratch.mail();
            let got = only(&mail);
            assert!(
                got.starts_with(b"X-Spoolguard-Kept: ") && contains(got, b"why=diverted-before"),
                "{}",
                shown(got)
            );
            same(below(got, 1), &message);
        }
    }
}

#[test]
fn an_administrator_who_is_the_user_keeps_it() {
    let message = b"X-Loop: a@a.test\n\nx\n";
    let user = user_name();
    for admin in ["a@a.test", "A@a.test", "a+bounces@a.test", &user] {
        let scratch = Scratch::new().set("admin", &format!("{admin:?}"));
        assert_eq!(fate_in(&scratch, "s@s.test", message), Fate::Kept, "{admin}");
        assert!(scratch.held().is_empty());
    }
    let mut scratch = Scratch::new();
    let own = scratch.mailbox().display().to_string();
    scratch.change("admin", &format!("{own:?}"));
    assert_eq!(fate_in(&scratch, "s@s.test", message), Fate::Kept, "{own}");
}

#[test]
fn where_diverting_is_impossible_the_user_keeps_it() {
    let message = b"X-Loop: a@a.test\n\nx\n";
    let mut scratch = Scratch::new();
    fs::create_dir(scratch.path("a-directory")).unwrap();
    std::os::unix::fs::symlink("/dev/null", scratch.path("a-link")).unwrap();
    for admin in [
        "a-directory",
        "a-link",
        "missing/mbox",
        "/dev/null",
        "spoolguard.toml/mbox",
    ] {
        let path = scratch.path(admin).display().to_string();
        scratch.change("admin", &format!("{path:?}"));
        let before = messages(&scratch.mail()).len();
        scratch.deliver(message).go().succeeds();
        let mail = scratch.mail();
        let all = messages(&mail);
        assert_eq!(all.len(), before + 1, "{admin}");
        let got = content(all[before]);
        assert!(got.starts_with(b"X-Spoolguard-Kept: "), "{admin}: {}", shown(got));
        assert!(contains(got, b"why=\"cannot "), "{admin}: {}", shown(got));
        same(below(got, 1), message);
    }
}

#[test]
fn where_the_administrators_mbox_is_locked_the_message_waits() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    fs::write(scratch.path("admin.lock"), "0").unwrap();
    scratch
        .deliver(b"X-Loop: a@a.test\n\nx\n")
        .go()
        .defers()
        .mentions("admin.lock");
    assert!(scratch.mail().is_empty());
    fs::remove_file(scratch.path("admin.lock")).unwrap();
    scratch.deliver(b"X-Loop: a@a.test\n\nx\n").go().succeeds();
    assert_eq!(messages(&scratch.diverted()).len(), 1);
}

#[test]
fn when_sendmail_is_down_nothing_is_held_and_the_message_waits() {
    let mut scratch = Scratch::new().set("admin", "\"admin@a.test\"");
    scratch.sendmail("exit 75");
    scratch.deliver(b"X-Loop: a@a.test\n\nx\n").go().defers().mentions("75");
    assert!(scratch.held().is_empty(), "each try would hold another copy");
    assert!(scratch.mail().is_empty());
    assert_eq!(scratch.calls(), [["-oi", "-f", "<>", "--", "admin@a.test"]]);
}

#[test]
fn when_sendmail_refuses_the_administrator_the_user_keeps_it() {
    let mut scratch = Scratch::new().set("admin", "\"admin@a.test\"");
    scratch.sendmail("echo '550 no such administrator'; exit 65");
    scratch.deliver(b"X-Loop: a@a.test\n\nx\n").go().succeeds();
    let mail = scratch.mail();
    let got = only(&mail);
    assert!(
        contains(got, b"no such administrator") && got.starts_with(b"X-Spoolguard-Kept: "),
        "{}",
        shown(got)
    );
    same(below(got, 1), b"X-Loop: a@a.test\n\nx\n");
    assert!(scratch.held().is_empty());
}

#[test]
fn more_held_copies_than_are_kept_push_out_the_oldest() {
    let scratch = Scratch::new().set("admin", "\"admin@a.test\"");
    let dir = scratch.path("state/held");
    fs::create_dir(&dir).unwrap();
    for number in 0..1000 {
        fs::write(dir.join(format!("{number:012}-old.gz")), "x").unwrap();
    }
    scratch.deliver(b"X-Loop: a@a.test\n\nx\n").go().succeeds();
    let held = scratch.held();
    assert_eq!(held.len(), 1000);
    assert!(!dir.join("000000000000-old.gz").exists() && dir.join("000000000001-old.gz").exists());
    assert!(held.iter().any(|path| !path.to_str().unwrap().contains("-old")));
}

#[test]
fn where_held_copies_are_links_in_a_circle_the_user_keeps_it() {
    let scratch = Scratch::new().set("admin", "\"admin@a.test\"");
    let dir = scratch.path("state/held");
    std::os::unix::fs::symlink(&dir, &dir).unwrap();
    scratch.deliver(b"X-Loop: a@a.test\n\nx\n").go().succeeds();
    let mail = scratch.mail();
    assert!(contains(only(&mail), b"X-Spoolguard-Kept: "), "{}", shown(&mail));
}
