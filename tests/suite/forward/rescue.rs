//! A message that comes back in a report lies in its user's mailbox afterwards: once, as it came, whatever shape the
//! report has.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::robust::faults::strace;
use crate::support::{
    Ended, Scratch, below, contains, content, has_attributes, large, messages, only, same, shown, skip, unquoted, until,
};

pub const ORIGINAL: &str = "Received: from s.test by a.test\nFrom: Sam <s@s.test>\nTo: a@a.test\nMessage-ID: <1@s.test>\n\
                        Date: Mon, 2 Nov 2026 10:00:00 +0000\nSubject: hello\n\nHello.\nFrom here on.\n";

/// A report as most mail systems write them (RFC 3464); `part` is what it brings back, with its own header.
pub fn report_with(part: &str) -> String {
    format!(
        "Received: by b.test\nFrom: MAILER-DAEMON@b.test\nTo: a@a.test\nSubject: Undelivered Mail\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"x=xyz\"\n\n\
         --x=xyz\nContent-Type: text/plain\n\nIt did not work.\n\n\
         --x=xyz\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.b.test\n\n\
         Final-Recipient: rfc822; b@b.test\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no such user\n\n\
         --x=xyz\n{part}\n--x=xyz--\n"
    )
}

/// The same, with what went out for `message`.
fn report(message: &str) -> Vec<u8> {
    report_with(&format!("Content-Type: message/rfc822\n\nX-Loop: a@a.test\n{message}")).into_bytes()
}

/// Hands a report over as a mail system does.
#[track_caller]
fn comes(scratch: &Scratch, report: &[u8]) {
    scratch
        .run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"])
        .input(report)
        .go()
        .succeeds();
}

/// Looks whether the mailbox holds `ORIGINAL` and nothing else.
#[track_caller]
fn is_rescued(mail: &[u8], name: &str) {
    let all = messages(mail);
    assert_eq!(all.len(), 1, "{name}: {}", shown(mail));
    assert!(all[0].starts_with(b"From s@s.test "), "{name}: {}", shown(mail));
    let message = content(all[0]);
    assert!(
        message.starts_with(b"X-Spoolguard-Rescued: why=came-back"),
        "{name}: {}",
        shown(mail)
    );
    same(&unquoted(below(message, 1)), ORIGINAL.as_bytes());
}

#[test]
fn the_original_goes_into_the_mailbox_and_the_report_its_way() {
    let scratch = Scratch::new();
    comes(&scratch, &report(ORIGINAL));
    is_rescued(&scratch.mail(), "a report");
    let mail = scratch.mail();
    let text = String::from_utf8_lossy(only(&mail)).into_owned();
    assert_eq!(
        text.lines().next().unwrap(),
        "X-Spoolguard-Rescued: why=came-back; destination=b@b.test; status=5.1.1; said=\"550 5.1.1 no such user\"; host=mx.b.test"
    );
    let diverted = scratch.diverted();
    assert!(
        contains(only(&diverted), b"X-Spoolguard-Divert: verdict=bounce"),
        "{}",
        shown(&diverted)
    );
    assert!(scratch.sent().is_empty());
}

#[test]
fn whatever_the_shape_it_comes_out_as_it_went_in() {
    let loop_mark = format!("X-Loop: a@a.test\n{ORIGINAL}");
    let base64 = {
        let crlf = loop_mark.replace('\n', "\r\n");
        let mut child = Command::new("base64")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), crlf.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    let quoted = loop_mark.replace('=', "=3D").replace("Hello.", "=48el=\nlo.");
    let text = |words: &str| {
        format!(
            "Received: by b.test\nFrom: MAILER-DAEMON@b.test\nTo: a@a.test\nSubject: failure notice\n\n{words}\n\n{loop_mark}"
        )
    };
    let qmail = "Hi. This is the qmail-send program at b.test.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n\
                 This is a permanent error; I've given up. Sorry it didn't work out.\n\n<b@b.test>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n\
                 --- Below this line is a copy of the message.";
    let exim = "This message was created automatically by mail delivery software.\n\nA message that you sent could not be delivered to one or more of its\n\
                recipients. This is a permanent error. The following address(es) failed:\n\n  b@b.test\n    Unrouteable address\n\n\
                ------ This is a copy of the message, including all the headers. ------";
    let plain = report_with(&format!("Content-Type: message/rfc822\n\n{loop_mark}"));
    let cases = [
        ("as it is", plain.clone()),
        (
            "base64",
            report_with(&format!(
                "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{base64}"
            )),
        ),
        (
            "quoted-printable",
            report_with(&format!(
                "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n{quoted}"
            )),
        ),
        (
            "OpenSMTPD, under the name of a header",
            report_with(&format!("Content-Type: text/rfc822-headers\n\n{loop_mark}")),
        ),
        (
            "with a separator line",
            report_with(&format!(
                "Content-Type: message/rfc822\n\nFrom s@s.test Mon Nov  2 10:00:00 2026\n{loop_mark}"
            )),
        ),
        (
            "below a wrong boundary",
            plain.replace("boundary=\"x=xyz\"", "boundary=\"other\""),
        ),
        ("qmail", text(qmail)),
        (
            "Exim, as it was",
            text(exim).replace(
                "Subject: failure notice",
                "Subject: Mail delivery failed\nX-Failed-Recipients: b@b.test",
            ),
        ),
    ];
    for (name, report) in cases {
        let scratch = Scratch::new();
        comes(&scratch, report.as_bytes());
        is_rescued(&scratch.mail(), name);
    }
}

#[test]
fn a_message_larger_than_memory_comes_out_whole() {
    let scratch = Scratch::new();
    let body = large(3 << 20);
    let original = [b"From: s@s.test\nMessage-ID: <large@s.test>\n".to_vec(), body].concat();
    let whole = report_with("Content-Type: message/rfc822\n\nX-Loop: a@a.test\nHERE");
    let (before, after) = whole.split_once("HERE").unwrap();
    let report = [before.as_bytes(), &original, after.as_bytes()].concat();
    let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
    run.input(&report).go().succeeds();
    let mail = scratch.mail();
    // The message's own last line end, and the one that ends it in an mbox.
    same(&unquoted(below(only(&mail), 1)), &original);
    assert!(!contains(&mail[..1000], b"cut="), "{}", shown(&mail[..1000]));
}

#[test]
fn two_reports_about_one_message_rescue_it_once() {
    let scratch = Scratch::new();
    for _ in 0..3 {
        comes(&scratch, &report(ORIGINAL));
    }
    // Another destination, another shape.
    let other = report_with(&format!(
        "Content-Type: message/rfc822\n\nX-Loop: a@a.test\nReceived: x\n{ORIGINAL}"
    ))
    .replace("b@b.test", "c@c.test");
    comes(&scratch, other.as_bytes());
    is_rescued(&scratch.mail(), "four reports");
    assert_eq!(messages(&scratch.diverted()).len(), 4);
}

#[test]
fn many_reports_at_once_rescue_it_once() {
    let scratch = Scratch::new();
    let report = report(ORIGINAL);
    let runs: Vec<_> = (0..6)
        .map(|_| {
            scratch
                .run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"])
                .input(&report)
                .start()
        })
        .collect();
    for run in runs {
        run.end().succeeds();
    }
    is_rescued(&scratch.mail(), "six at once");
}

#[test]
fn what_keep_put_there_already_is_not_put_there_again() {
    let scratch = Scratch::new();
    scratch
        .forward(ORIGINAL.as_bytes(), &["--keep", "b@b.test"])
        .go()
        .succeeds();
    comes(&scratch, &report(ORIGINAL));
    let mail = scratch.mail();
    assert!(!contains(only(&mail), b"X-Spoolguard"), "{}", shown(&mail));
    // Without --keep the same story leaves the one that came back.
    let scratch = Scratch::new();
    scratch.forward(ORIGINAL.as_bytes(), &["b@b.test"]).go().succeeds();
    comes(&scratch, &report(ORIGINAL));
    is_rescued(&scratch.mail(), "without --keep");
}

#[test]
fn a_report_that_comes_before_sendmail_ends_finds_the_copy() {
    let mut scratch = Scratch::new();
    let (runs, go) = (scratch.path("runs"), scratch.path("go"));
    scratch.sendmail(&format!(
        "touch '{}'; until [ -e '{}' ]; do sleep 0.01; done",
        runs.display(),
        go.display()
    ));
    let run = scratch.forward(ORIGINAL.as_bytes(), &["--keep", "b@b.test"]).start();
    until("sendmail runs", || runs.exists());
    comes(&scratch, &report(ORIGINAL));
    fs::write(go, "").unwrap();
    run.end().succeeds();
    let mail = scratch.mail();
    assert!(!contains(only(&mail), b"X-Spoolguard"), "{}", shown(&mail));
}

#[test]
fn a_copy_that_was_taken_back_stands_in_for_nothing() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 75");
    let keep = scratch.forward(ORIGINAL.as_bytes(), &["--keep", "b@b.test"]);
    keep.go().defers();
    assert!(scratch.mail().is_empty(), "{}", shown(&scratch.mail()));
    scratch.sendmail("exit 0");
    scratch.forward(ORIGINAL.as_bytes(), &["b@b.test"]).go().succeeds();
    comes(&scratch, &report(ORIGINAL));
    is_rescued(&scratch.mail(), "without a copy");
}

#[test]
fn what_is_sent_once_more_after_that_is_rescued_once_more() {
    let scratch = Scratch::new().set("forward.duplicate_window", "\"0s\"");
    for round in 1..=2 {
        scratch.forward(ORIGINAL.as_bytes(), &["b@b.test"]).go().succeeds();
        comes(&scratch, &report(ORIGINAL));
        assert_eq!(messages(&scratch.mail()).len(), round);
    }
}

#[test]
fn only_what_a_report_gives_up_and_we_sent_comes_back() {
    let delayed = String::from_utf8(report(ORIGINAL))
        .unwrap()
        .replace("failed", "delayed")
        .replace("5.1.1", "4.4.1");
    let delivered = String::from_utf8(report(ORIGINAL))
        .unwrap()
        .replace("failed", "delivered")
        .replace("5.1.1", "2.0.0");
    let unmarked = String::from_utf8(report(ORIGINAL))
        .unwrap()
        .replace("X-Loop: a@a.test\n", "");
    let others = unmarked.replace("Message-ID: <1@", "X-Loop: list@l.test\nMessage-ID: <1@");
    for (name, report) in [
        ("delayed", &delayed),
        ("delivered", &delivered),
        ("not ours", &unmarked),
        ("another's mark", &others),
    ] {
        let scratch = Scratch::new();
        comes(&scratch, report.as_bytes());
        assert!(!scratch.mailbox().exists(), "{name}: {}", shown(&scratch.mail()));
        assert_eq!(messages(&scratch.diverted()).len(), 1, "{name}");
    }
    // The mark was removed on the way, and what was sent is remembered.
    let scratch = Scratch::new();
    scratch.forward(ORIGINAL.as_bytes(), &["b@b.test"]).go().succeeds();
    comes(&scratch, unmarked.as_bytes());
    is_rescued(&scratch.mail(), "a known Message-ID");
}

#[test]
fn a_report_or_a_loop_inside_a_report_is_no_mail_of_the_users() {
    let inner = String::from_utf8(report(ORIGINAL)).unwrap();
    let nested = report(&inner.replace("x=xyz", "y=yyy"));
    let diverted = report(&format!("X-Spoolguard-Divert: verdict=bounce\n{ORIGINAL}"));
    for (name, report) in [("a report", nested), ("diverted before", diverted)] {
        let scratch = Scratch::new();
        comes(&scratch, &report);
        let mail = scratch.mail();
        assert!(!contains(&mail, b"X-Spoolguard-Rescued"), "{name}: {}", shown(&mail));
    }
}

#[test]
fn what_is_cut_off_is_rescued_as_far_as_it_came_and_says_so() {
    let whole = String::from_utf8(report(ORIGINAL)).unwrap();
    let (cut, _) = whole.split_once("From here on.").unwrap();
    let scratch = Scratch::new();
    comes(&scratch, cut.as_bytes());
    let mail = scratch.mail();
    let text = String::from_utf8_lossy(only(&mail)).into_owned();
    assert!(
        text.starts_with("X-Spoolguard-Rescued: ") && text.lines().next().unwrap().ends_with("; cut=yes"),
        "{text}"
    );
    assert!(text.trim_end().ends_with("\nHello."), "{text}");
}

#[test]
fn a_header_alone_is_not_put_there_and_the_log_names_its_mail() {
    let header = &ORIGINAL[..ORIGINAL.find("\n\n").unwrap() + 1];
    let marked = format!("X-Loop: a@a.test\n{header}");
    let multipart = format!("Content-Type: multipart/mixed; boundary=q\n{marked}");
    for part in [
        format!("Content-Type: text/rfc822-headers\n\n{marked}"),
        format!("Content-Type: message/rfc822-headers\n\n{marked}"),
        format!("Content-Type: message/rfc822\n\n{multipart}\n"),
    ] {
        let scratch = Scratch::new().set("log.to", "\"stderr\"");
        let run = scratch.run(&["-v", "forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
        let ended = run.input(report_with(&part).as_bytes()).go();
        ended
            .ends_with(0)
            .mentions("only the header of a message came back")
            .mentions("<1@s.test>");
        assert!(!scratch.mailbox().exists(), "{part}");
        assert_eq!(messages(&scratch.diverted()).len(), 1);
    }
}

#[test]
fn a_header_that_comes_back_is_no_loss_where_a_copy_was_kept() {
    let scratch = Scratch::new().set("log.to", "\"stderr\"");
    let keep = scratch.forward(ORIGINAL.as_bytes(), &["--keep", "b@b.test"]);
    keep.go().ends_with(0);
    let header = &ORIGINAL[..ORIGINAL.find("\n\n").unwrap() + 1];
    let part = format!("Content-Type: text/rfc822-headers\n\nX-Loop: a@a.test\n{header}");
    let run = scratch.run(&["-v", "forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
    let ended = run.input(report_with(&part).as_bytes()).go();
    assert!(!ended.stderr.contains("only the header"), "{}", ended.stderr);
    assert_eq!(messages(&scratch.mail()).len(), 1);
}

#[test]
fn a_devices_header_is_a_loss_though_another_was_kept() {
    let scratch = Scratch::new().set("log.to", "\"stderr\"");
    let other = ORIGINAL.replace("Hello.", "Page one.").replace("10:00:00", "11:00:00");
    scratch
        .forward(ORIGINAL.as_bytes(), &["--keep", "b@b.test"])
        .go()
        .ends_with(0);
    scratch.forward(other.as_bytes(), &["b@b.test"]).go().ends_with(0);
    let header = &other[..other.find("\n\n").unwrap() + 1];
    let part = format!("Content-Type: text/rfc822-headers\n\nX-Loop: a@a.test\n{header}");
    let run = scratch.run(&["-v", "forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
    let ended = run.input(report_with(&part).as_bytes()).go();
    ended.ends_with(0).mentions("only the header of a message came back");
}

#[test]
fn while_the_mailbox_is_locked_a_report_waits_undoubled() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    fs::write(scratch.mailbox(), "").unwrap();
    fs::write(scratch.dotlock(), "1\n").unwrap();
    let forward = || {
        scratch
            .run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"])
            .input(&report(ORIGINAL))
            .go()
    };
    forward().defers();
    assert!(
        scratch.diverted().is_empty(),
        "the report is done with before the message is safe"
    );
    fs::remove_file(scratch.dotlock()).unwrap();
    forward().succeeds();
    is_rescued(&scratch.mail(), "after the lock");
    assert_eq!(messages(&scratch.diverted()).len(), 1);
}

#[test]
fn a_report_that_waits_for_the_admin_rescues_nothing_twice() {
    let mut scratch = Scratch::new();
    scratch.change("admin", "\"postmaster@a.test\"");
    scratch.sendmail("exit 75");
    fn forward(scratch: &Scratch) -> Ended<'_> {
        scratch
            .run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"])
            .input(&report(ORIGINAL))
            .go()
    }
    forward(&scratch).defers();
    forward(&scratch).defers();
    scratch.sendmail("exit 0");
    forward(&scratch).succeeds();
    is_rescued(&scratch.mail(), "three tries");
}

#[test]
fn where_the_mailbox_is_full_it_lies_in_the_overflow_with_why() {
    let full: &dyn Fn(&Scratch) =
        &|scratch| fs::write(scratch.mailbox(), "From x Mon Nov  2 10:00:00 2026\n\nx\n\n").unwrap();
    let directory: &dyn Fn(&Scratch) = &|scratch| fs::create_dir(scratch.mailbox()).unwrap();
    for (prepare, limit, why) in [
        (full, "\"50B\"", "mailbox=full"),
        (directory, "\"none\"", "mailbox=unusable"),
    ] {
        for over in ["defer", "refuse", "divert", "overflow"] {
            let scratch = Scratch::new()
                .set("quota.limit", limit)
                .set("quota.when_full", &format!("{over:?}"));
            prepare(&scratch);
            comes(&scratch, &report(ORIGINAL));
            let overflow = fs::read(scratch.path("state/overflow")).unwrap_or_default();
            is_rescued(&overflow, over);
            let text = String::from_utf8_lossy(&overflow).into_owned();
            assert!(
                text.lines().nth(1).unwrap().contains(&format!("; {why}")),
                "{over}: {text}"
            );
            assert_eq!(messages(&scratch.diverted()).len(), 1, "{over}");
            // The next report finds that done.
            comes(&scratch, &report(ORIGINAL));
            assert_eq!(
                messages(&fs::read(scratch.path("state/overflow")).unwrap()).len(),
                1,
                "{over}"
            );
        }
    }
}

/// The run is killed when the original lies in the overflow, and the report comes again when the mailbox can take it.
#[test]
fn what_a_killed_run_put_into_the_overflow_is_found_there() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let full: fn(&Scratch) =
        |scratch| fs::write(scratch.mailbox(), "From x Mon Nov  2 10:00:00 2026\n\nx\n\n").unwrap();
    let unfull: fn(&Scratch) = |scratch| fs::write(scratch.mailbox(), "").unwrap();
    let directory: fn(&Scratch) = |scratch| fs::create_dir(scratch.mailbox()).unwrap();
    let undirectory: fn(&Scratch) = |scratch| fs::remove_dir(scratch.mailbox()).unwrap();
    for (spoil, mend, limit) in [(full, unfull, "\"50B\""), (directory, undirectory, "\"none\"")] {
        let scratch = Scratch::new().set("quota.limit", limit);
        spoil(&scratch);
        let overflow = scratch.path("state/overflow");
        let send = || {
            let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
            run.input(&report(ORIGINAL))
        };
        let _ = strace::kill_before_its_note_goes(send(), &strace, &overflow);
        is_rescued(&fs::read(&overflow).unwrap(), limit);
        // It was killed before it could remember that.
        fs::remove_file(scratch.path("state/sent")).unwrap_or_default();
        mend(&scratch);
        let scratch = scratch.set("quota.limit", "\"none\"");
        let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
        run.input(&report(ORIGINAL)).go().succeeds();
        // That run begins to put back what lies in the overflow: until that is done, it is in both.
        until("the overflow is empty", || {
            fs::read(&overflow).unwrap_or_default().is_empty()
        });
        is_rescued(&scratch.mail(), limit);
    }
}

#[test]
fn a_delivered_report_is_rescued_from_too() {
    // Only some of the mail is forwarded, by a rule; the reports come to the mailbox.
    for bounce in ["divert", "keep", "pass"] {
        let scratch = Scratch::new().set("guard.bounce", &format!("{bounce:?}"));
        scratch
            .run(&["deliver", "-a", "a@a.test", "-f", "<>"])
            .input(&report(ORIGINAL))
            .go()
            .succeeds();
        let mail = scratch.mail();
        let all = messages(&mail);
        assert_eq!(all.len(), if bounce == "divert" { 1 } else { 2 }, "{bounce}");
        assert!(contains(all[0], b"X-Spoolguard-Rescued"), "{bounce}: {}", shown(&mail));
    }
}

#[test]
fn what_was_rescued_can_be_sent_on_again_one_day() {
    let scratch = Scratch::new();
    comes(&scratch, &report(ORIGINAL));
    let old = scratch.path("old.mbox");
    fs::rename(scratch.mailbox(), &old).unwrap();
    let path = old.display().to_string();
    scratch
        .run(&["replay", "-a", "a@a.test", "--forward", "c@c.test", &path])
        .go()
        .ends_with(0);
    assert_eq!(
        scratch.sent().len(),
        1,
        "taken for a loop: {}",
        shown(&scratch.diverted())
    );
}

#[test]
fn a_run_killed_before_it_remembers_rescues_nothing_twice() {
    let scratch = Scratch::new();
    fs::write(scratch.mailbox(), "").unwrap();
    if !has_attributes(&scratch.mailbox()) {
        return skip("needs a file system with extended attributes below the temporary directory");
    }
    // Whoever holds this keeps the run from remembering what it did.
    let memory = fs::File::create(scratch.path("state/sent")).unwrap();
    memory.lock().unwrap();
    let start = || {
        let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
        run.input(&report(ORIGINAL)).start()
    };
    let run = start();
    let files = format!("/proc/{}/fd", run.pid());
    let waits = || {
        let is_open = |file: fs::DirEntry| fs::read_link(file.path()).is_ok_and(|path| path.ends_with("state/sent"));
        fs::read_dir(&files).is_ok_and(|mut all| all.any(|file| file.is_ok_and(is_open)))
    };
    until("it waits to remember what it did", || {
        !scratch.mail().is_empty() && waits()
    });
    run.signal(Signal::SIGKILL);
    assert_eq!(run.end().signal, Some(9));
    assert!(scratch.diverted().is_empty(), "the test came too late");
    memory.unlock().unwrap();
    start().end().succeeds();
    is_rescued(&scratch.mail(), "after a kill");
    assert_eq!(messages(&scratch.diverted()).len(), 1);
}
