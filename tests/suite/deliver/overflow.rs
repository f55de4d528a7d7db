//! `when_full = "overflow"`: what finds no room is put aside, within bounds, each message once, and comes back when
//! there is room.

use std::fs;
use std::path::PathBuf;

use crate::robust::faults::strace;
use crate::spool::archive::strace_works;
use crate::support::{Ended, Scratch, contains, large, messages, same, skip, until, user_name};

const FULL: &[u8] = b"From x Mon Nov  2 10:00:00 2026\n\nold\n\n";

fn letter(number: usize) -> Vec<u8> {
    let body = "x".repeat(300);
    format!("From: Sam <s@s.test>\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nMessage-ID: <{number}@s.test>\nSubject: {number}\n\n{body} {number}\n")
        .into_bytes()
}

/// A mailbox that is full.
fn scratch() -> Scratch {
    let scratch = Scratch::new()
        .set("quota.limit", "\"4K\"")
        .set("quota.warn", "\"none\"")
        .set("quota.when_full", "\"overflow\"");
    fs::write(scratch.mailbox(), FULL.repeat(110)).unwrap();
    scratch
}

fn overflow(scratch: &Scratch) -> PathBuf {
    scratch.path("state/overflow")
}

fn held(scratch: &Scratch) -> Vec<u8> {
    fs::read(overflow(scratch)).unwrap_or_default()
}

/// Which of the letters a mailbox holds, in its order.
fn numbers(mbox: &[u8]) -> Vec<usize> {
    messages(mbox)
        .into_iter()
        .filter_map(|message| {
            let text = String::from_utf8_lossy(message);
            let id = text.lines().find_map(|line| line.strip_prefix("Message-ID: <"))?;
            id.strip_suffix("@s.test>")?.parse().ok()
        })
        .collect()
}

fn restore(scratch: &Scratch) -> Ended<'_> {
    scratch.run(&["spool", "restore", "--yes", "--overflow"]).go()
}

#[test]
fn one_message_sent_again_and_again_is_held_once() {
    let scratch = scratch();
    for hop in 0..20 {
        // Each brought by another connection.
        let message = [format!("Received: by a.test id {hop}\n").as_bytes(), &letter(1)].concat();
        scratch.deliver(&message).go().succeeds();
    }
    assert_eq!(numbers(&held(&scratch)), [1]);
    // The same id with another text is another message.
    let other = String::from_utf8(letter(1)).unwrap() + "and more\n";
    scratch.deliver(other.as_bytes()).go().succeeds();
    assert_eq!(numbers(&held(&scratch)), [1, 1]);
    let ended = scratch.run(&["status"]).go();
    ended.ends_with(1);
    ended.check(contains(&ended.stdout, b"2 messages"), "the overflow is not shown");
    ended.check(contains(&ended.stdout, b"19 more"), "what is counted is not shown");
}

#[test]
fn what_a_killed_run_put_there_does_not_come_twice() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    for forwarded in [false, true] {
        let scratch = scratch();
        let send = || match forwarded {
            true => scratch.forward(&letter(1), &["b@b.test"]),
            false => scratch.deliver(&letter(1)),
        };
        if forwarded {
            scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
        }
        // The note goes last of all.
        let _ = strace::kill_before_its_note_goes(send(), &strace, &overflow(&scratch));
        assert_eq!(numbers(&held(&scratch)), [1], "forwarded: {forwarded}");
        // There is room now.
        fs::write(scratch.mailbox(), FULL).unwrap();
        send().go().succeeds();
        restore(&scratch);
        let all = [numbers(&fs::read(scratch.mailbox()).unwrap()), numbers(&held(&scratch))].concat();
        assert_eq!(all, [1], "forwarded: {forwarded}");
    }
}

#[test]
fn a_full_overflow_leaves_mail_with_the_mail_system() {
    for (key, value) in [("quota.overflow_limit", "\"1K\""), ("quota.overflow_messages", "2")] {
        let scratch = scratch().set(key, value);
        for number in 0..2 {
            scratch.deliver(&letter(number)).go().succeeds();
        }
        let before = held(&scratch);
        for number in 2..6 {
            scratch
                .deliver(&letter(number))
                .go()
                .defers()
                .mentions("overflow is full");
        }
        same(&held(&scratch), &before);
        // What is there needs no room.
        scratch.deliver(&letter(1)).go().succeeds();
    }
}

#[test]
fn user_and_administrator_are_told_once() {
    let scratch = scratch();
    for number in 0..3 {
        scratch.deliver(&letter(number)).go().succeeds();
    }
    let told = |mbox: &[u8]| {
        messages(mbox)
            .iter()
            .filter(|message| contains(message, b"spool restore --overflow"))
            .count()
    };
    assert_eq!((told(&scratch.mail()), told(&scratch.diverted())), (1, 1));
    // Once more when it was empty meanwhile.
    fs::write(scratch.mailbox(), "").unwrap();
    restore(&scratch).ends_with(0);
    fs::write(scratch.mailbox(), FULL.repeat(110)).unwrap();
    scratch.deliver(&letter(9)).go().succeeds();
    assert_eq!((told(&scratch.mail()), told(&scratch.diverted())), (1, 2));
}

#[test]
fn what_fits_comes_back_in_order_and_the_rest_stays() {
    let scratch = scratch();
    for number in 0..12 {
        scratch.deliver(&letter(number)).go().succeeds();
    }
    fs::write(scratch.mailbox(), FULL).unwrap();
    let ended = scratch
        .run(&["spool", "restore", "--yes", "--overflow", "--dry-run"])
        .go();
    ended.ends_with(1);
    same(&scratch.mail(), FULL);
    restore(&scratch).ends_with(1);
    let (back, stay) = (numbers(&scratch.mail()), numbers(&held(&scratch)));
    assert!(!back.is_empty() && !stay.is_empty(), "{back:?} {stay:?}");
    assert_eq!([back.clone(), stay].concat(), (0..12).collect::<Vec<_>>());
    assert!(scratch.mail().len() <= 4096);
    // Again with the same mailbox: nothing twice.
    restore(&scratch).ends_with(1);
    assert_eq!(numbers(&scratch.mail()), back);
    fs::write(scratch.mailbox(), "").unwrap();
    restore(&scratch).ends_with(0);
    assert_eq!(numbers(&scratch.mail()), (back.len()..12).collect::<Vec<_>>());
    assert!(held(&scratch).is_empty());
    let ended = scratch.run(&["status"]).go();
    ended.ends_with(0);
}

#[test]
fn one_that_never_fits_holds_up_no_other() {
    let scratch = scratch();
    scratch.deliver(&large(5000)).go().succeeds();
    for number in 0..2 {
        scratch.deliver(&letter(number)).go().succeeds();
    }
    fs::write(scratch.mailbox(), "").unwrap();
    restore(&scratch).ends_with(1);
    assert_eq!(numbers(&scratch.mail()), [0, 1]);
    assert_eq!(messages(&held(&scratch)).len(), 1);
}

#[test]
fn the_next_delivery_brings_it_back() {
    let scratch = scratch();
    for number in 0..3 {
        scratch.deliver(&letter(number)).go().succeeds();
    }
    fs::write(scratch.mailbox(), "").unwrap();
    scratch.deliver(&letter(3)).go().succeeds();
    until("the overflow is empty", || held(&scratch).is_empty());
    let mut back = numbers(&scratch.mail());
    back.sort_unstable();
    assert_eq!(back, [0, 1, 2, 3]);
}

#[test]
fn killed_anywhere_nothing_is_lost_and_nothing_comes_twice() {
    if !strace_works() {
        return skip("needs strace, and leave to use it");
    }
    let calls = [
        "fsync",
        "fdatasync",
        "pwrite64",
        "write",
        "ftruncate",
        "rename",
        "renameat2",
        "unlink",
    ];
    let mut killed = 0;
    for call in calls {
        for number in 1..12 {
            let scratch = scratch();
            for number in 0..6 {
                scratch.deliver(&letter(number)).go().succeeds();
            }
            // Some fit, and some do not.
            fs::write(scratch.mailbox(), FULL.repeat(60)).unwrap();
            let line = format!(
                "exec strace -f -o /dev/null -e trace={call} -e inject={call}:signal=KILL:when={number} \"$@\""
            );
            let ended = scratch
                .run(&["spool", "restore", "--yes", "--overflow"])
                .shell_line(&line)
                .variable("PATH", "/usr/bin:/bin")
                .go();
            if ended.code.is_some() {
                break;
            }
            killed += 1;
            restore(&scratch);
            fs::write(scratch.path("kept"), scratch.mail()).unwrap();
            let first = numbers(&scratch.mail());
            let rest = numbers(&held(&scratch));
            assert_eq!(
                [first, rest].concat(),
                (0..6).collect::<Vec<_>>(),
                "{call} {number}: {}",
                ended.story()
            );
        }
    }
    assert!(killed > 5, "{killed} kills");
}

#[test]
fn a_list_shows_what_lies_in_the_overflow() {
    let scratch = scratch();
    scratch.deliver(&letter(1)).go().succeeds();
    let ended = scratch.run(&["spool", "list", &user_name()]).go();
    ended.check(contains(&ended.stdout, b"overflow"), "the overflow is not shown");
    let ended = scratch.run(&["doctor", "--user", &user_name()]).go();
    ended.check(contains(&ended.stdout, b"overflow"), "the doctor does not see it");
}
