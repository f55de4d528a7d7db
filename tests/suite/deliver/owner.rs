//! Whose message is it? What the user has to see goes to the user: bounces of own mail, mail with a null sender, our
//! own notices.

use std::fs;

use crate::support::{ORDINARY, Scratch, contains, messages, only, shown};

/// A bounce about a message with the header `quoted`.
fn bounce_about(number: usize, quoted: &str) -> Vec<u8> {
    format!(
        "Return-Path: <>\nDelivered-To: a@a.test\nReceived: from mx.b.test (mx.b.test [192.0.2.2]) by mx.a.test (Postfix) with ESMTP id 1\n\
         From: MAILER-DAEMON@mx.b.test (Mail Delivery System)\nTo: a@a.test\nSubject: Undelivered Mail Returned to Sender\n\
         Auto-Submitted: auto-replied\nMessage-ID: <r{number}@mx.b.test>\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"xx\"\n\n\
         --xx\nContent-Type: text/plain\n\nThis is the mail system at host mx.b.test.\n\n\
         <x{number}@b.test>: host mx.b.test said: 550 5.1.1 User unknown (in reply to RCPT TO command)\n\n\
         --xx\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.b.test\n\n\
         Final-Recipient: rfc822; x{number}@b.test\nAction: failed\nStatus: 5.1.1\n\n\
         --xx\nContent-Type: message/rfc822\n\n{quoted}Subject: contract\n\nSigned copy attached.\n\n--xx--\n"
    )
    .into_bytes()
}

/// What the user wrote: it left through a host of the user's domain.
const OWN: &str = "Received: from laptop (unknown [192.0.2.44]) by mx.a.test (Postfix) with ESMTPSA id 1\n\
                   From: A <a@a.test>\nTo: x@b.test\nMessage-ID: <c1@laptop>\n";

/// What somebody wrote in the user's name.
const FORGED: &str = "Received: from bot.test (bot.test [203.0.113.9]) by mx.b.test with ESMTP id 1\n\
                      From: A <a@a.test>\nTo: x@b.test\nMessage-ID: <c1@bot.test>\n";

fn deliver(scratch: &Scratch, message: &[u8]) {
    scratch
        .run(&["deliver", "-a", "a@a.test", "-f", "<>"])
        .input(message)
        .go()
        .succeeds();
}

fn forward(scratch: &Scratch, sender: &str, message: &[u8]) {
    scratch
        .run(&["forward", "-a", "a@a.test", "-f", sender, "b@b.test"])
        .input(message)
        .go()
        .succeeds();
}

fn counts(scratch: &Scratch) -> (usize, usize, usize) {
    let (mail, diverted) = (scratch.mail(), scratch.diverted());
    (scratch.sent().len(), messages(&mail).len(), messages(&diverted).len())
}

#[test]
fn a_bounce_of_own_mail_goes_to_whoever_wrote_it() {
    let scratch = Scratch::new();
    deliver(&scratch, &bounce_about(1, OWN));
    assert_eq!(counts(&scratch), (0, 1, 0), "sent, in the mailbox, diverted");
    let scratch = Scratch::new();
    forward(&scratch, "<>", &bounce_about(1, OWN));
    assert_eq!(counts(&scratch), (1, 0, 0), "sent, in the mailbox, diverted");
    let sent = scratch.sent();
    assert!(sent[0].starts_with(b"Return-Path: <>\n"), "{}", shown(&sent[0]));
    assert_eq!(scratch.files("state/forwarded").len(), 1, "a copy is held");
}

#[test]
fn own_bounces_are_delivered_however_many_come() {
    let scratch = Scratch::new().set("digest.per_hour", "3");
    for number in 0..6 {
        deliver(&scratch, &bounce_about(number, OWN));
    }
    assert_eq!(counts(&scratch), (0, 6, 0), "sent, in the mailbox, diverted");
}

#[test]
fn backscatter_in_the_users_name_is_bounded_by_the_hour() {
    let scratch = Scratch::new().set("digest.per_hour", "3");
    for number in 0..6 {
        deliver(&scratch, &bounce_about(number, FORGED));
    }
    assert_eq!(counts(&scratch), (0, 3, 3), "sent, in the mailbox, diverted");
    let scratch = Scratch::new().set("digest.per_hour", "3");
    for number in 0..6 {
        forward(&scratch, "<>", &bounce_about(number, OWN));
    }
    assert_eq!(counts(&scratch), (3, 0, 3), "sent, in the mailbox, diverted");
}

#[test]
fn a_relay_shows_that_the_user_sent_it() {
    let quoted = "Received: from laptop (laptop [192.0.2.44]) by smtp.relay.test with ESMTPSA id 1\n\
                  From: A <a@a.test>\nTo: x@b.test\nMessage-ID: <c1@laptop>\n";
    let scratch = Scratch::new()
        .set("digest.per_hour", "1")
        .set("guard.relays", "[\"relay.test\"]");
    for number in 0..3 {
        deliver(&scratch, &bounce_about(number, quoted));
    }
    assert_eq!(counts(&scratch), (0, 3, 0), "sent, in the mailbox, diverted");
}

#[test]
fn configuration_says_what_an_own_bounce_gets() {
    for (choice, want) in [("divert", (0, 0, 1)), ("keep", (0, 1, 0)), ("pass", (1, 0, 0))] {
        let scratch = Scratch::new().set("guard.own_bounce", &format!("{choice:?}"));
        forward(&scratch, "<>", &bounce_about(1, OWN));
        assert_eq!(counts(&scratch), want, "{choice}");
    }
}

#[test]
fn inspect_and_the_log_name_the_origin_of_a_bounce() {
    for (quoted, origin) in [
        (OWN, "user"),
        ("X-Loop: a@a.test\nFrom: s@s.test\nTo: a@a.test\n", "our-forward"),
        ("From: s@s.test\nTo: a@a.test\n", "unknown"),
    ] {
        let scratch = Scratch::new().set("log.to", "\"stderr\"");
        let ended = scratch
            .run(&["inspect", "-a", "a@a.test"])
            .input(&bounce_about(1, quoted))
            .go();
        ended.ends_with(0).check(
            String::from_utf8_lossy(&ended.stdout).contains(origin),
            &format!("inspect says {origin}"),
        );
        let ended = scratch
            .run(&["deliver", "-a", "a@a.test", "-f", "<>"])
            .input(&bounce_about(1, quoted))
            .go();
        ended.ends_with(0).mentions(&format!("origin={origin}"));
    }
}

#[test]
fn a_password_reset_with_a_null_sender_reaches_its_reader() {
    let message = b"Return-Path: <>\nDelivered-To: a@a.test\nReceived: from m.shop.test (m.shop.test [192.0.2.9]) by mx.a.test with ESMTPS id 1\n\
        From: Shop <no-reply@shop.test>\nTo: a@a.test\nSubject: Reset your password\nMessage-ID: <p1@shop.test>\n\
        Auto-Submitted: auto-generated\n\nYour code is 4711.\n";
    let scratch = Scratch::new();
    deliver(&scratch, message);
    assert_eq!(counts(&scratch), (0, 1, 0), "sent, in the mailbox, diverted");
    let scratch = Scratch::new();
    forward(&scratch, "<>", message);
    assert_eq!(counts(&scratch), (1, 0, 0), "sent, in the mailbox, diverted");
    assert!(scratch.sent()[0].starts_with(b"Return-Path: <>\n"));
    assert_eq!(scratch.files("state/forwarded").len(), 1, "a copy is held");
    let status = scratch.run(&["status"]).go();
    status.ends_with(0).check(
        String::from_utf8_lossy(&status.stdout).contains("with the null sender"),
        "status tells of the copy",
    );
}

#[test]
fn a_null_sender_copy_that_cannot_be_held_is_in_the_mailbox() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("state")).unwrap();
    fs::write(scratch.path("state/forwarded"), "in the way").unwrap();
    forward(&scratch, "<>", b"From: s@s.test\nSubject: x\n\nx\n");
    assert_eq!(counts(&scratch), (1, 1, 0), "sent, in the mailbox, diverted");
}

#[test]
fn a_null_sender_copy_goes_when_the_message_stays_in_the_queue() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 75");
    scratch
        .run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"])
        .input(b"From: s@s.test\nSubject: x\n\nx\n")
        .go()
        .defers();
    assert_eq!(scratch.files("state/forwarded").len(), 0, "no copy stays");
}

#[test]
fn marked_spam_is_kept_where_a_site_does_not_forward_it() {
    for mark in [
        "X-Spam: Yes",
        "X-Spam-Flag: YES",
        "X-Spam-Status: Yes, score=9.1 required=5.0\n\ttests=BAYES_99",
    ] {
        let message = format!("{mark}\nFrom: s@s.test\nSubject: x\n\nx\n");
        let scratch = Scratch::new();
        forward(&scratch, "s@s.test", message.as_bytes());
        assert_eq!(counts(&scratch), (1, 0, 0), "{mark}: by default it passes");
        let scratch = Scratch::new().set("guard.spam", "\"keep\"");
        forward(&scratch, "s@s.test", message.as_bytes());
        assert_eq!(counts(&scratch), (0, 1, 0), "{mark}");
        let mail = scratch.mail();
        assert!(contains(only(&mail), b"why=spam"), "{}", shown(&mail));
    }
    for mark in [
        "X-Spam: No",
        "X-Spam-Flag: NO",
        "X-Spam-Status: No, score=-1.0",
        "X-Spam-Level: **",
    ] {
        let message = format!("{mark}\nFrom: s@s.test\nSubject: x\n\nx\n");
        let scratch = Scratch::new().set("guard.spam", "\"keep\"");
        forward(&scratch, "s@s.test", message.as_bytes());
        assert_eq!(counts(&scratch), (1, 0, 0), "{mark}");
    }
}

/// One of our own notices, as it lies in the mailbox.
fn notice() -> (Scratch, Vec<u8>) {
    let scratch = Scratch::new();
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    let mail = scratch.mail();
    let notice = only(&mail).to_vec();
    (scratch, notice)
}

#[test]
fn our_own_notice_is_neither_a_loop_nor_a_bounce_nor_swept() {
    let (scratch, _) = notice();
    let mailbox = scratch.mailbox();
    let path = mailbox.to_str().unwrap();
    let ended = scratch.run(&["inspect", path]).go();
    ended.ends_with(0).check(
        String::from_utf8_lossy(&ended.stdout).contains(": notice, "),
        "inspect calls it a notice",
    );
    // Also to whoever it is about.
    scratch
        .run(&["inspect", "-a", "a@a.test", "--is", "notice", path])
        .go()
        .ends_with(0);
    let before = scratch.mail();
    let twice = [before.clone(), before.clone()].concat();
    fs::write(&mailbox, &twice).unwrap();
    scratch
        .run(&["spool", "sweep", "--bounces", "--loops", "--duplicates", "--yes", path])
        .go();
    assert!(scratch.mail() == twice, "{}", shown(&scratch.mail()));
}

#[test]
fn replay_neither_diverts_nor_forwards_our_own_notice() {
    let (scratch, _) = notice();
    let other = Scratch::new();
    let stored = other.path("stored");
    fs::write(&stored, scratch.mail()).unwrap();
    let path = stored.to_str().unwrap();
    other.run(&["replay", path, "-a", "a@a.test"]).go().ends_with(0);
    other
        .run(&["replay", path, "-a", "a@a.test", "--forward", "b@b.test"])
        .go()
        .ends_with(0);
    let (sent, _, diverted) = counts(&other);
    assert_eq!((sent, diverted), (0, 0), "sent, diverted");
}

/// What README.md says of where a message goes, a row for each kind.
fn readme_table() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("| it is |")).skip(2);
    rows.take_while(|line| line.starts_with("| "))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            (cells[0].to_owned(), cells[2].to_owned())
        })
        .collect()
}

#[test]
fn each_kind_of_message_goes_where_readme_says() {
    let corpus = |name: &str| fs::read(format!("{}/tests/corpus/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let with = |fields: &str| [fields.as_bytes(), ORDINARY].concat();
    let null = "null sender, receipt, auto-reply, spam";
    let forwarded = "X-Loop: a@a.test\nFrom: s@s.test\nTo: a@a.test\nMessage-ID: <f@s.test>\n";
    let (_, noticed) = notice();
    let cases = [
        ("a loop", "s@s.test", with("X-Loop: a@a.test\n")),
        ("a bounce about a forward", "<>", bounce_about(1, forwarded)),
        ("a bounce about own mail", "<>", bounce_about(1, OWN)),
        (null, "<>", ORDINARY.to_vec()),
        (null, "s@s.test", corpus("auto-reply/auto-submitted.eml")),
        (null, "s@s.test", with("X-Spam: Yes\n")),
        ("a notice of spoolguard's", "<>", noticed),
        ("ordinary", "s@s.test", ORDINARY.to_vec()),
    ];
    let rows = readme_table();
    for (row, _) in &rows {
        assert!(cases.iter().any(|(kind, ..)| kind == row), "no message for: {row}");
    }
    for (kind, sender, message) in cases {
        let row = rows.iter().find(|(row, _)| row == kind);
        let (_, goes) = row.unwrap_or_else(|| panic!("README.md has no row: {kind}"));
        let scratch = Scratch::new();
        forward(&scratch, sender, &message);
        let (sent, kept, diverted) = counts(&scratch);
        let is_so = match goes.as_str() {
            "into the mailbox, never further" => (sent, kept, diverted) == (0, 1, 0),
            // The message inside may be recovered.
            text if text.starts_with("to the administrator") => (sent, diverted) == (0, 1),
            text if text.starts_with("on") => (sent, kept, diverted) == (1, 0, 0),
            text => panic!("{kind}: {text}"),
        };
        assert!(is_so, "{kind} goes {goes}: {:?}", (sent, kept, diverted));
    }
}

#[test]
fn a_strangers_notice_mark_changes_nothing() {
    let hop = "Received: from localhost (unknown [203.0.113.9]) by mx.a.test (Postfix) with ESMTP id 1\n";
    let mark = "X-Spoolguard-Notice: written by spoolguard\n";
    // Backscatter stays backscatter, a loop a loop, and mail of a person goes on.
    let report = bounce_about(1, "From: s@s.test\nTo: a@a.test\n");
    let report = [mark.as_bytes(), report.as_slice()].concat();
    let scratch = Scratch::new();
    deliver(&scratch, &report);
    assert_eq!(counts(&scratch), (0, 0, 1), "sent, in the mailbox, diverted");
    let scratch = Scratch::new();
    let looped = format!("{hop}{mark}X-Loop: a@a.test\nFrom: MAILER-DAEMON@a.test\nSubject: x\n\nx\n");
    forward(&scratch, "<>", looped.as_bytes());
    assert_eq!(counts(&scratch), (0, 0, 1), "sent, in the mailbox, diverted");
    let scratch = Scratch::new();
    forward(
        &scratch,
        "s@s.test",
        format!("{mark}From: s@s.test\nSubject: x\n\nx\n").as_bytes(),
    );
    assert_eq!(counts(&scratch), (1, 0, 0), "sent, in the mailbox, diverted");
}

/// A message that a POP client fetched, with `fields` on top of what the first host wrote.
fn fetched(fields: &str) -> String {
    format!(
        "{fields}Delivered-To: a@a.test\nReceived: from mail.s.test (mail.s.test [192.0.2.9]) by mx.old.test (Postfix) with ESMTPS id 1\n\
         From: Ann <ann@s.test>\nTo: a@a.test\nSubject: lunch\nMessage-ID: <l1@s.test>\n\nTwelve?\n"
    )
}

#[test]
fn fetched_mail_was_not_here_before() {
    for fields in [
        "Delivered-To: a@a.test\nReceived: from pop.old.test by new.a.test with POP3 for <a@a.test>; 26 Nov 2026 02:00:00 -0000\n",
        "Delivered-To: a@a.test\nReceived: from imap.old.test by laptop (getmail 6.18) with IMAP4-SSL; 26 Nov 2026 02:00:00 -0000\n",
        "Delivered-To: a@a.test\nReceived: from mx.old.test (mx.old.test [192.0.2.7]) by store.old.test (Dovecot) with LMTP id 1\n",
        "Delivered-To: a@a.test\nReceived: from localhost (localhost [127.0.0.1]) by mx.a.test (Postfix) with ESMTP id 1\n",
    ] {
        let scratch = Scratch::new();
        forward(&scratch, "ann@s.test", fetched(fields).as_bytes());
        assert_eq!(counts(&scratch), (1, 0, 0), "{fields}");
    }
    let scratch = Scratch::new();
    let hop = "Delivered-To: a@a.test\nReceived: from mx.b.test (mx.b.test [192.0.2.7]) by mx.a.test (Postfix) with ESMTPS id 1\n";
    forward(&scratch, "ann@s.test", fetched(hop).as_bytes());
    assert_eq!(counts(&scratch), (0, 0, 1), "it came from another host in between");
}

#[test]
fn two_users_of_a_fetching_host_share_no_mark() {
    let mut scratch = Scratch::new();
    let unknown = fetched(
        "Delivered-To: unknown\nReceived: from pop.old.test by new.a.test with POP3-SSL; 26 Nov 2026 02:00:00 -0000\n",
    );
    scratch
        .run(&["forward", "c@c.test"])
        .input(unknown.as_bytes())
        .go()
        .succeeds();
    let sent = String::from_utf8_lossy(&scratch.sent()[0]).into_owned();
    let mark = sent.lines().find(|line| line.starts_with("X-Loop: ")).unwrap();
    assert!(!mark.contains("unknown"), "{mark}");
    // Whatever an older guard wrote: with -a, only that address is own.
    scratch.change("addresses", "[\"c2@c.test\"]");
    for (field, want) in [
        ("unknown@vm", (0, 1, 0)),
        ("a@a.test", (0, 2, 0)),
        ("c2@c.test", (0, 2, 1)),
    ] {
        let again = format!("Delivered-To: unknown\nX-Loop: {field}\n{unknown}");
        let before = scratch.sent().len();
        scratch
            .run(&["deliver", "-a", "c@c.test"])
            .input(again.as_bytes())
            .go()
            .succeeds();
        let (sent, mail, diverted) = counts(&scratch);
        assert_eq!((sent - before, mail, diverted), want, "{field}");
    }
}

#[test]
fn an_address_is_the_same_however_it_is_spelled() {
    for (own, mark) in [
        ("a@b\u{fc}cher.test", "a@xn--bcher-kva.test"),
        ("a@xn--bcher-kva.test", "A@B\u{dc}CHER.test"),
        ("j\u{f6}rg@a.test", "J\u{d6}RG@a.test"),
        ("\"j d\"@a.test", "\"j d\"@a.test"),
    ] {
        let scratch = Scratch::new();
        scratch
            .run(&["forward", "-a", own, "-f", "s@s.test", "b@b.test"])
            .input(format!("X-Loop: {mark}\nSubject: x\n\nx\n").as_bytes())
            .go()
            .succeeds();
        assert_eq!(counts(&scratch), (0, 0, 1), "{own} {mark}");
    }
}

#[test]
fn a_source_route_is_no_null_sender() {
    let scratch = Scratch::new().set("guard.null_sender", "\"divert\"");
    forward(&scratch, "<@r.test,@q.test:s@s.test>", b"Subject: x\n\nx\n");
    assert_eq!(counts(&scratch), (1, 0, 0), "sent, in the mailbox, diverted");
}
