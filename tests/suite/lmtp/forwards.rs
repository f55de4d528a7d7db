//! Forwards whose copies lie behind LMTP: a copy cannot be taken back, so the message is sent first.

use std::time::{Duration, Instant};

use super::{behind, own};
use crate::forward::rescue::{ORIGINAL, report_with};
use crate::support::lmtp::{Plan, say};
use crate::support::{ORDINARY, Run, Scratch, contains, until};

fn forward<'a>(scratch: &'a Scratch, arguments: &[&str]) -> Run<'a> {
    scratch
        .run(&["forward", "-a", &own(), "-f", "s@s.test", "b@b.test"])
        .with(arguments)
        .input(ORDINARY)
}

#[test]
fn a_copy_goes_behind_the_forward() {
    let (mut scratch, server) = behind(vec![Plan::good()]);
    scratch.sendmail("exit 75");
    for _ in 0..3 {
        forward(&scratch, &["--keep"]).go().defers();
    }
    assert!(
        server.stored().is_empty(),
        "a copy is there before the message was sent"
    );
    scratch.sendmail("exit 0");
    forward(&scratch, &["--keep"]).go().succeeds();
    assert_eq!(server.stored().len(), 1);
}

#[test]
fn a_report_that_is_here_before_the_copy_waits_for_it() {
    let (mut scratch, server) = behind(vec![Plan::good()]);
    let (runs, go) = (scratch.path("runs"), scratch.path("go"));
    scratch.sendmail(&format!(
        "touch '{}'; until [ -e '{}' ]; do sleep 0.01; done",
        runs.display(),
        go.display()
    ));
    let forward = |message: &[u8], sender: &str| {
        let run = scratch.run(&["forward", "--keep", "-a", "a@a.test", "-f", sender, "b@b.test"]);
        run.input(message).start()
    };
    let sending = forward(ORIGINAL.as_bytes(), "s@s.test");
    until("sendmail runs", || runs.exists());
    let sent = format!("Content-Type: message/rfc822\n\nX-Loop: a@a.test\n{ORIGINAL}");
    let mut report = forward(report_with(&sent).as_bytes(), "<>");
    let begin = Instant::now();
    until("the report is done, or waits", || {
        report.is_over() || begin.elapsed() > Duration::from_millis(500)
    });
    std::fs::write(go, "").unwrap();
    sending.end().succeeds();
    report.end().succeeds();
    let copies = server.stored();
    let copies = copies.iter().filter(|copy| contains(copy, b"\r\n\r\nHello.\r\n"));
    assert_eq!(copies.count(), 1);
}

#[test]
fn a_copy_that_finds_no_server_comes_with_the_next_try() {
    let (mut scratch, server) = behind(vec![Plan::at("rcpt", say("451 4.4.0 no")), Plan::good()]);
    scratch.sendmail("exit 0");
    forward(&scratch, &["--keep"]).go().defers();
    forward(&scratch, &["--keep"]).go().succeeds();
    assert_eq!((scratch.calls().len(), server.stored().len()), (1, 1));
    forward(&scratch, &["--keep"]).go().succeeds();
    assert_eq!((scratch.calls().len(), server.stored().len()), (1, 1));
}

#[test]
fn a_copy_that_finds_no_room_goes_to_the_overflow() {
    let (mut scratch, server) = behind(vec![Plan::at("end", say("552 5.2.2 full"))]);
    scratch.sendmail("exit 0");
    forward(&scratch, &["--keep"]).go().succeeds();
    let overflow = std::fs::read(scratch.path("state/overflow")).unwrap();
    assert!(contains(&overflow, b"\nHello."));
    assert!(server.stored().is_empty());
}

#[test]
fn what_is_refused_is_kept_behind_the_server() {
    let (mut scratch, server) = behind(vec![Plan::good()]);
    scratch.sendmail("echo 550 no such user; exit 67");
    forward(&scratch, &[]).go().succeeds();
    assert!(contains(&server.stored()[0], b"Hello."));
    assert!(contains(&server.stored()[0], b"X-Spoolguard-Kept"));
}

#[test]
fn the_overflow_returns_behind_the_server() {
    let full = || Plan::at("end", say("552 5.2.2 full"));
    let (mut scratch, server) = behind(vec![full(), full(), full(), Plan::good()]);
    scratch.change("quota.when_full", "\"overflow\"");
    // It is put back by hand here.
    let deliver = |text: &str| {
        let message = format!("Subject: {text}\n\n.{text}\nFrom here\n");
        super::deliver(&scratch, message.as_bytes()).go().succeeds();
    };
    std::fs::create_dir_all(scratch.path("state/returning")).unwrap();
    std::fs::write(scratch.path("state/returning").join(crate::support::user_name()), "").unwrap();
    deliver("one");
    // The notice about it finds no room either.
    let user = crate::support::user_name();
    let restore = |flags: &[&str]| {
        let words = ["spool", "restore", "--overflow", &user];
        scratch.run(&words).with(flags).go()
    };
    let says = |flags: &[&str], status: i32, what: &str| {
        let ended = restore(flags);
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        ended.ends_with(status).check(text.contains(what), what);
    };
    says(&["-n"], 0, "the server alone knows how many it has room for");
    says(
        &["--yes"],
        1,
        "the server says that the mailbox has no room for the next one",
    );
    assert!(server.stored().is_empty());
    says(&["--yes"], 0, "put 1 message");
    restore(&["--yes", "another"]).ends_with(64).mentions("name one user");
    assert_eq!(server.stored().len(), 1);
    assert!(contains(&server.stored()[0], b"\r\n.one\r\nFrom here\r\n"));
    assert!(
        std::fs::read(scratch.path("state/overflow"))
            .unwrap_or_default()
            .is_empty()
    );
}

#[test]
fn what_cannot_be_read_back_is_not_taken_for_gone() {
    let (mut scratch, server) = behind(vec![Plan::good()]);
    scratch.sendmail("echo 550 no such user; exit 67");
    forward(&scratch, &[]).go().succeeds();
    let sending = ["status", "--send-kept", "b@b.test", "--yes"];
    for _ in 0..2 {
        let ended = scratch.run(&sending).go();
        ended.ends_with(75).mentions("cannot be read");
    }
    assert!(!server.stored().is_empty());
}

#[test]
fn a_virtual_user_needs_no_account_and_has_a_state_of_its_own() {
    let (scratch, server) = behind(vec![Plan::good()]);
    let state = format!("\"{}/%d/%n\"", scratch.path("state").display());
    let mut scratch = scratch.set("state_dir", &state);
    scratch.sendmail("exit 0");
    let uid = 64_999;
    if crate::support::is_root() {
        std::os::unix::fs::chown(scratch.path("state"), Some(uid), Some(uid)).unwrap();
        std::os::unix::fs::chown(scratch.path("home"), Some(uid), Some(uid)).unwrap();
        std::fs::set_permissions(
            scratch.path("lmtp"),
            std::os::unix::fs::PermissionsExt::from_mode(0o666),
        )
        .unwrap();
        for name in ["calls", "message"] {
            std::fs::write(scratch.path(name), "").unwrap();
            std::os::unix::fs::chown(scratch.path(name), Some(uid), Some(uid)).unwrap();
        }
    }
    let as_vmail = |arguments: &[&str]| {
        let run = scratch.run(arguments).input(ORDINARY);
        if crate::support::is_root() { run.uid(uid) } else { run }
    };
    as_vmail(&["deliver", "-d", "ann@x.test", "-a", "ann+y@x.test", "-f", "s@s.test"])
        .go()
        .succeeds();
    assert!(server.commands().contains(&"RCPT TO:<ann+y@x.test>".to_owned()));
    as_vmail(&["deliver", "-d", "ann@x.test", "-a", "list@x.test", "-f", "s@s.test"])
        .go()
        .succeeds();
    assert!(server.commands().contains(&"RCPT TO:<ann@x.test>".to_owned()));
    as_vmail(&[
        "forward",
        "b@b.test",
        "-d",
        "ann@x.test",
        "-a",
        "ann@x.test",
        "-f",
        "s@s.test",
    ])
    .go()
    .succeeds();
    assert!(
        scratch.path("state/x.test/ann/sent").exists(),
        "{:?}",
        scratch.files("state")
    );
    for name in ["ann@..", "../ann@x.test", "ann@x/y"] {
        as_vmail(&["forward", "b@b.test", "-d", name, "-a", "ann@x.test"]).go();
    }
    assert_eq!(scratch.files("state").len(), 1);
}
