//! Forwards whose copies lie behind LMTP: a copy cannot be taken back, so the message is sent first.

use super::{behind, own};
use crate::support::lmtp::{Plan, say};
use crate::support::{ORDINARY, Run, Scratch, contains};

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
