//! `deliver`: what comes in lies in the mailbox byte for byte, and who sent it is learned from whoever called.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{ORDINARY, Scratch, below, content, large, messages, only, same, shown, unquoted};

/// Delivers `message` and gives what lies in the mailbox for it, without separator line and last empty line.
#[track_caller]
fn delivered(message: &[u8]) -> Vec<u8> {
    let scratch = Scratch::new();
    scratch.deliver(message).go().succeeds();
    only(&scratch.mail()).to_vec()
}

#[test]
fn an_ordinary_message_lies_in_the_mailbox_as_it_came() {
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).go().succeeds();
    let mail = scratch.mail();
    let line_bytes = mail.iter().position(|b| *b == b'\n').unwrap();
    let line = std::str::from_utf8(&mail[..line_bytes]).unwrap();
    let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
    assert_eq!(words[..2], ["From", "s@s.test"], "{line}");
    // "From sender Thu Jan  1 00:00:00 1970": RFC 4155, in UTC.
    assert_eq!(words.len(), 7, "{line}");
    assert_eq!(line.len(), "From s@s.test ".len() + 24, "{line}");
    same(&mail[line_bytes + 1..], &[ORDINARY, b"\n"].concat());
}

#[test]
fn every_shape_of_message_is_kept_byte_for_byte() {
    let shapes: [(&str, &[u8]); 22] = [
        ("nothing at all", b""),
        ("one line end", b"\n"),
        ("a header and no body", b"Subject: x\n"),
        ("a header without its line end", b"Subject: x"),
        ("a header and an empty line", b"Subject: x\n\n"),
        ("a body alone", b"\nbody\n"),
        ("text that is no header", b"Hello there,\nhow are you?\n"),
        (
            "text without a header that names a state field",
            b"Hello there,\nStatus: green\nX-UID: 5\n\nbye\n",
        ),
        ("no final newline", b"Subject: x\n\nbody"),
        ("many newlines at the end", b"Subject: x\n\nbody\n\n\n\n"),
        ("CRLF", b"Subject: x\r\n\r\nbody\r\n"),
        ("CRLF without the last", b"Subject: x\r\n\r\nbody"),
        ("line ends of both kinds", b"Subject: x\r\nA: 1\n\r\nbody\nmore\r\n"),
        ("bare CR", b"Subject: x\r y\n\none\rtwo\r\r\nthree\r"),
        ("NUL bytes", b"Subject: \0x\n\n\0body\0\n\0"),
        ("8-bit text", "Subject: Grüße\n\nÄpfel und Öl\n".as_bytes()),
        ("bytes that are not UTF-8", b"Subject: \xff\xfe\n\n\x80\x81\xc3\n"),
        (
            "a header line with no colon among others",
            b"A: 1\nno colon here\nB: 2\n\nbody\n",
        ),
        ("a folded line first", b" folded: before any field\nA: 1\n\nbody\n"),
        ("a state field in the body", b"A: 1\n\nStatus: RO\nContent-Length: 3\n"),
        ("dots", b"A: 1\n\n.\n..\n.\n"),
        ("a long line", &[b"A: 1\n\n" as &[u8], &[b'x'; 300_000], b"\n"].concat()),
    ];
    for (name, shape) in shapes {
        let got = delivered(shape);
        // An mbox has no messages whose last line does not end.
        let want = if shape.is_empty() || shape.ends_with(b"\n") {
            shape.to_vec()
        } else {
            [shape, b"\n"].concat()
        };
        assert!(got == want, "{name}:\ngot  {}\nwant {}", shown(&got), shown(&want));
    }
}

#[test]
fn all_shapes_in_one_mailbox_stay_apart() {
    let scratch = Scratch::new();
    let shapes: [&[u8]; 6] = [
        b"",
        b"A: 1",
        b"A: 1\n\nx",
        b"\n\n",
        b"A: 1\r\n\r\nx\r\n",
        b"A: 1\n\nFrom y\n",
    ];
    for shape in shapes {
        scratch.deliver(shape).go().succeeds();
    }
    assert_eq!(
        messages(&scratch.mail()).len(),
        shapes.len(),
        "{}",
        shown(&scratch.mail())
    );
}

#[test]
fn a_separator_line_that_the_caller_put_in_front_is_replaced() {
    for first in [
        "From other@o.test Mon Nov  2 10:00:00 2026\n",
        "From other@o.test  Mon Nov  2 10:00:00 2026\n",
        ">From other@o.test Mon Nov  2 10:00:00 2026\n",
        "From other@o.test Mon Nov  2 10:00:00 2026\r\n",
        "From MAILER-DAEMON Mon Nov  2 10:00:00 2026\n>From other@o.test Mon Nov  2 10:00:00 2026\n",
    ] {
        let got = delivered(&[first.as_bytes(), ORDINARY].concat());
        same(&got, ORDINARY);
    }
}

#[test]
fn prose_that_begins_like_a_separator_line_is_text() {
    let text = b"From the desk of Sam\n\nHello.\n";
    let got = delivered(text);
    same(&got, &[b">", text as &[u8]].concat());
    same(&unquoted(&got), text);
}

#[test]
fn mboxrd_quotes_can_be_undone() {
    let message =
        b"A: 1\n\nFrom x\n>From y\n>>From z\n>>>Fromage\n> From a\nxFrom b\n From c\nfrom d\nFrom\n\nFrom last";
    let got = delivered(message);
    same(
        &got,
        b"A: 1\n\n>From x\n>>From y\n>>>From z\n>>>Fromage\n> From a\nxFrom b\n From c\nfrom d\nFrom\n\n>From last\n",
    );
    same(&unquoted(&got), &[message as &[u8], b"\n"].concat());
}

#[test]
fn mboxo_quotes_only_what_separates() {
    let scratch = Scratch::new().set("mailbox.quoting", "\"mboxo\"");
    scratch.deliver(b"A: 1\n\nFrom x\n>From y\n").go().succeeds();
    same(only(&scratch.mail()), b"A: 1\n\n>From x\n>From y\n");
}

#[test]
fn quotes_are_right_wherever_a_read_ends() {
    // 64 KiB is the step of reading and of writing, 1 MiB the bound between memory and file.
    for (bound, places) in [(64 << 10, 0..9), (1 << 20, 2..5)] {
        for before in places.map(|place| bound - place) {
            let mut message = b"A: 1\n\n".to_vec();
            message.resize(before, b'x');
            message.extend_from_slice(b"\nFrom x\n>From y\nz\n");
            let got = delivered(&message);
            assert!(got.ends_with(b"x\n>From x\n>>From y\nz\n"), "{before}: {}", shown(&got));
            same(&unquoted(&got), &message);
        }
    }
}

#[test]
fn fields_about_another_mailbox_are_left_out() {
    let message = b"Status: RO\nA: 1\nstatus: O\n folded\n\tagain\nX-Status: AF\nContent-Length: 12\n\
        X-UID: 4\nX-UIDL: ab\nX-IMAPbase: 1 2\n  3\nX-IMAP: 9\nX-KEYWORDS: a b\nB: 2\nX-Status-Report: kept\nStatus : R\n\n\
        Status: stays\n";
    same(
        &delivered(message),
        b"A: 1\nB: 2\nX-Status-Report: kept\n\nStatus: stays\n",
    );
}

#[test]
fn a_state_field_in_a_long_header_is_left_out() {
    let mut message = Vec::new();
    for number in 0..40_000 {
        message.extend_from_slice(format!("X-Filler-{number}: some text that is long enough to count\n").as_bytes());
    }
    assert!(message.len() > 2 << 20);
    let header = message.clone();
    message.extend_from_slice(b"Status: RO\n  folded\nX-Last: 1\n\nbody\n");
    let got = delivered(&message);
    same(&got, &[&header, b"X-Last: 1\n\nbody\n" as &[u8]].concat());
}

#[test]
fn a_header_of_ten_megabytes_is_kept() {
    let mut message = b"A: 1\nX-Long:".to_vec();
    while message.len() < 10 << 20 {
        message.extend_from_slice(b" another word of a folded field, and one more of those\n");
    }
    message.extend_from_slice(b"B: 2\n\nbody\n");
    same(&delivered(&message), &message);
}

#[test]
fn a_message_larger_than_memory_holds_is_kept() {
    for body_bytes in [(1 << 20) - 17, (1 << 20) - 16, 3 << 20] {
        let message = large(body_bytes);
        same(&unquoted(&delivered(&message)), &message);
    }
}

#[test]
fn the_mailbox_named_is_used_and_its_user_is_who_owns_it() {
    let scratch = Scratch::new();
    let other = scratch.path("other");
    scratch
        .deliver(ORDINARY)
        .with(&["--mailbox", other.to_str().unwrap()])
        .go()
        .succeeds();
    same(only(&fs::read(other).unwrap()), ORDINARY);
    assert!(!scratch.mailbox().exists());
}

#[test]
fn a_mailbox_that_ends_in_the_middle_of_a_line_is_closed_first() {
    for (torn, joint) in [
        ("From x Mon Nov  2 10:00:00 2026\nA: 1\n\nhalf a li", "\n\n"),
        ("From x Mon Nov  2 10:00:00 2026\nA: 1\n\nhalf\n", "\n"),
        ("From x Mon Nov  2 10:00:00 2026\nA: 1\n\nwhole\n\n", ""),
        ("\n", ""),
        ("x", "\n\n"),
    ] {
        let scratch = Scratch::new();
        fs::write(scratch.mailbox(), torn).unwrap();
        scratch.deliver(ORDINARY).go().succeeds();
        let mail = scratch.mail();
        let want = format!("{torn}{joint}From s@s.test ");
        assert!(mail.starts_with(want.as_bytes()), "{torn:?}: {}", shown(&mail));
        assert!(
            mail.ends_with(&[ORDINARY, b"\n"].concat()),
            "{torn:?}: {}",
            shown(&mail)
        );
    }
}

#[test]
fn a_new_mailbox_belongs_to_the_user_or_the_spools_group() {
    for (dir_mode, mode) in [(0o755, 0o600), (0o700, 0o600), (0o775, 0o660), (0o2775, 0o660)] {
        let scratch = Scratch::new();
        let dir = scratch.path("spool");
        fs::set_permissions(&dir, fs::Permissions::from_mode(dir_mode)).unwrap();
        scratch.deliver(ORDINARY).shell("umask 0").go().succeeds();
        let got = fs::metadata(scratch.mailbox()).unwrap().permissions().mode() & 0o7777;
        assert_eq!(got, mode, "{got:o} in a directory of mode {dir_mode:o}");
    }
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).shell("umask 077").go().succeeds();
    scratch.next_delivery_works();
}

#[test]
fn the_callers_directory_umask_and_path_do_not_matter() {
    let scratch = Scratch::new();
    let gone = scratch.path("gone");
    fs::create_dir(&gone).unwrap();
    let preparation = format!("cd '{0}' && /bin/rmdir '{0}' && umask 0777", gone.display());
    scratch
        .deliver(ORDINARY)
        .variable("PATH", "/nonexistent")
        .shell(&preparation)
        .go()
        .succeeds();
    same(only(&scratch.mail()), ORDINARY);
}

/// Forwards `message` the way a mail system would, and gives envelope sender and `X-Loop` of what leaves.
#[track_caller]
fn envelope(variables: &[(&str, &str)], message: &[u8]) -> (String, String) {
    let scratch = Scratch::new()
        .set("forward.sender", "\"original\"")
        .set("guard.null_sender", "\"pass\"");
    let mut run = scratch.run(&["forward", "b@b.test"]).input(message);
    for (name, value) in variables {
        run = run.variable(name, value);
    }
    run.go().succeeds();
    let sent = scratch.sent();
    assert_eq!(sent.len(), 1);
    let text = String::from_utf8_lossy(&sent[0]).into_owned();
    let mut lines = text.lines();
    let sender = lines.next().unwrap().strip_prefix("Return-Path: ").unwrap().to_owned();
    assert_eq!(lines.next(), Some("Envelope-To: b@b.test"));
    let own = lines.next().unwrap().strip_prefix("X-Loop: ").unwrap().to_owned();
    // All of it but the callers' separator line.
    let start = message.iter().position(|b| *b == b'\n').unwrap() + 1;
    let start = if message.starts_with(b"From ") { start } else { 0 };
    same(below(&sent[0], 3), &message[start..]);
    (sender, own)
}

#[test]
fn each_mail_system_says_who_sent_it_and_for_whom_it_is() {
    let postfix_lines =
        b"From s@s.test  Mon Nov  2 10:00:00 2026\nReturn-Path: <s@s.test>\nX-Original-To: list@a.test\n\
        Delivered-To: a@a.test\nReceived: by a.test\nSubject: x\n\nx\n";
    let postfix = [
        ("SENDER", "s@s.test"),
        ("RECIPIENT", "a+work@a.test"),
        ("ORIGINAL_RECIPIENT", "list@a.test"),
        ("USER", "a"),
        ("LOGNAME", "a"),
        ("LOCAL", "a+work"),
        ("DOMAIN", "a.test"),
        ("EXTENSION", "work"),
        ("SHELL", "/bin/sh"),
        ("MAIL_CONFIG", "/etc/postfix"),
        ("LANG", "C"),
    ];
    let exim = [
        ("SENDER", "s@s.test"),
        ("RECIPIENT", "a@a.test"),
        ("LOCAL_PART", "a"),
        ("LOCAL_PART_PREFIX", ""),
        ("LOCAL_PART_SUFFIX", ""),
        ("DOMAIN", "a.test"),
        ("QUALIFY_DOMAIN", "a.test"),
    ];
    let exim_lines = b"From s@s.test Mon Nov  2 10:00:00 2026\nReceived: by a.test\nSubject: x\n\nx\n";
    let opensmtpd = [
        ("SENDER", "s@s.test"),
        ("RECIPIENT", "a@a.test"),
        ("LOCAL", "a"),
        ("DOMAIN", "a.test"),
    ];
    let opensmtpd_lines = b"Return-Path: <s@s.test>\nDelivered-To: a@a.test\nReceived: by a.test\nSubject: x\n\nx\n";
    let here = |name: &str| (name.to_owned(), "a@a.test".to_owned());
    assert_eq!(envelope(&postfix, postfix_lines), here("<s@s.test>"));
    assert_eq!(envelope(&exim, exim_lines), here("<s@s.test>"));
    assert_eq!(envelope(&opensmtpd, opensmtpd_lines), here("<s@s.test>"));
    // Exim without RECIPIENT.
    let parts: Vec<_> = exim.iter().copied().filter(|(name, _)| *name != "RECIPIENT").collect();
    assert_eq!(envelope(&parts, exim_lines), here("<s@s.test>"));
    // procmail under Postfix and under Exim: all that is known stands in the header.
    let procmail = [("LOGNAME", "a"), ("HOST", "a.test"), ("DEFAULT", "/var/mail/a")];
    assert_eq!(envelope(&procmail, postfix_lines), here("<s@s.test>"));
    let exim_procmail = b"From s@s.test Mon Nov  2 10:00:00 2026\nReturn-path: <s@s.test>\nEnvelope-to: a@a.test\n\
        Delivery-date: Mon, 2 Nov 2026\nReceived: by a.test\nSubject: x\n\nx\n";
    assert_eq!(envelope(&procmail, exim_procmail), here("<s@s.test>"));
    // sendmail's prog mailer: the separator line, and nothing else.
    let sendmail = b"From s@s.test Mon Nov  2 10:00:00 2026\nReceived: by a.test\nReturn-Path: <forged@f.test>\n\nx\n";
    assert_eq!(
        envelope(&[("AGENT", "sendmail"), ("PWD", "/home/a")], sendmail).0,
        "<s@s.test>"
    );
}

#[test]
fn the_null_sender_is_known_each_way_it_is_written() {
    const REST: &str = "Received: by a.test\nSubject: x\n\nx\n";
    let with = |lines: &str| format!("{lines}{REST}").into_bytes();
    for (variables, lines) in [
        (&[("SENDER", "")] as &[(&str, &str)], "Return-Path: <s@s.test>\n"),
        (&[("SENDER", "<>")], ""),
        (&[("SENDER", "MAILER-DAEMON")], ""),
        (&[], "Return-Path: <>\n"),
        (&[], "Return-Path: < >\n"),
        (&[], "return-path:<>\n"),
        (&[], "Return-Path:\n <>\n"),
        (&[], "From MAILER-DAEMON Mon Nov  2 10:00:00 2026\n"),
        (&[], "From MAILER-DAEMON  Mon Nov  2 10:00:00 2026\nReturn-Path: <>\n"),
        (&[], "From <> Mon Nov  2 10:00:00 2026\n"),
    ] {
        assert_eq!(envelope(variables, &with(lines)).0, "<>", "{variables:?} {lines:?}");
    }
}

#[test]
fn who_says_nothing_does_not_say_null() {
    for lines in [
        "Received: by a.test\nReturn-Path: <s@s.test>\nSubject: x\n\nx\n",
        "Subject: x\n\nx\n",
        "\nx\n",
    ] {
        let scratch = Scratch::new();
        scratch
            .run(&["deliver", "-a", "a@a.test"])
            .input(lines.as_bytes())
            .go()
            .succeeds();
        same(only(&scratch.mail()), lines.as_bytes());
        assert!(!scratch.mail().starts_with(b"From MAILER-DAEMON "));
    }
}

#[test]
fn flags_win_over_what_the_mail_system_says() {
    let scratch = Scratch::new();
    scratch
        .deliver(ORDINARY)
        .variable("SENDER", "x@x.test")
        .variable("RECIPIENT", "y@y.test")
        .go()
        .succeeds();
    assert!(scratch.mail().starts_with(b"From s@s.test "));
    for flags in [["-f", ""], ["-f", "<>"], ["--sender", "MAILER-DAEMON"]] {
        let scratch = Scratch::new().set("guard.null_sender", "\"divert\"");
        let run = scratch.run(&["deliver", "-a", "a@a.test"]).with(&flags);
        run.variable("SENDER", "x@x.test").input(ORDINARY).go().succeeds();
        assert_eq!(messages(&scratch.diverted()).len(), 1, "{flags:?} is the null sender");
    }
}

#[test]
fn the_null_sender_is_written_as_mailer_daemon() {
    let scratch = Scratch::new().set("guard.null_sender", "\"pass\"");
    scratch.run(&["deliver", "-f", "<>"]).input(ORDINARY).go().succeeds();
    let mail = scratch.mail();
    assert!(mail.starts_with(b"From MAILER-DAEMON "), "{}", shown(&mail));
    same(content(messages(&mail)[0]), ORDINARY);
}

#[test]
fn the_separator_line_has_the_local_time() {
    let scratch = Scratch::new();
    for (zone, hours) in [("JST-9", 9), ("EST5", -5), ("UTC0", 0)] {
        let before = time::OffsetDateTime::now_utc();
        scratch
            .run(&["deliver"])
            .variable("TZ", zone)
            .input(ORDINARY)
            .go()
            .ends_with(0);
        let mail = scratch.mail();
        let last = messages(&mail).pop().unwrap().to_vec();
        let line = String::from_utf8_lossy(&last).lines().next().unwrap().to_owned();
        // The run may have seen the next second.
        let is_then = |seconds: i64| {
            let local = before + time::Duration::hours(hours) + time::Duration::seconds(seconds);
            let clock = format!("{:02}:{:02}:{:02}", local.hour(), local.minute(), local.second());
            line.contains(&clock) && line.contains(&format!(" {:2} ", local.day()))
        };
        assert!((0..60).any(is_then), "{zone}: {line}");
    }
}

#[test]
fn the_first_message_beside_a_maildir_is_warned_of() {
    let scratch = Scratch::new().set("log.to", "\"stderr\"");
    let first = scratch.deliver(ORDINARY).go();
    first
        .ends_with(0)
        .check(!first.stderr.contains("Maildir"), "there is none");
    fs::remove_file(scratch.mailbox()).unwrap();
    for name in ["new", "cur"] {
        fs::create_dir_all(scratch.path("home/Maildir").join(name)).unwrap();
    }
    scratch
        .deliver(ORDINARY)
        .go()
        .ends_with(0)
        .mentions("~/Maildir is there too");
    let second = scratch.deliver(b"Subject: another\n\nx\n").go();
    second
        .ends_with(0)
        .check(!second.stderr.contains("Maildir"), "it was said");
}
