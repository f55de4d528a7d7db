//! `doctor --pair`: two hosts, each with a name and processes of its own, try each other's locks on a directory that
//! both have.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::robust::faults::strace;
use crate::robust::hosts::{can_be_made, on, on_through};
use crate::support::{Ended, Run, Scratch, is_root, skip, until};

fn shared(scratch: &Scratch) -> PathBuf {
    let dir = scratch.path("shared");
    fs::create_dir(&dir).unwrap();
    dir
}

fn pair<'a>(scratch: &'a Scratch, dir: &std::path::Path) -> Run<'a> {
    scratch.run(&["doctor", "--pair", dir.to_str().unwrap()])
}

/// Both hosts do their part at once.
fn both<'a>(first: Run<'a>, second: Run<'a>) -> [Ended<'a>; 2] {
    let (first, second) = (first.start(), second.start());
    [first.end(), second.end()]
}

fn text(ended: &Ended) -> String {
    String::from_utf8_lossy(&ended.stdout)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn two_hosts_see_each_others_locks_and_leave_nothing() {
    if !can_be_made() {
        return;
    }
    let scratch = Scratch::new();
    let dir = shared(&scratch);
    let run = |host| on(host, pair(&scratch, &dir));
    for ended in both(run("mx0.a.test"), run("mx1.a.test")) {
        ended.ends_with(0);
        let said = text(&ended);
        for lock in ["dotlock", "fcntl lock", "flock"] {
            assert!(said.contains(&format!("each host sees the other's {lock}")), "{said}");
        }
        assert!(said.contains("mx0.a.test") && said.contains("mx1.a.test"), "{said}");
        assert!(said.contains("both run under one kernel"), "{said}");
    }
    assert_eq!(scratch.files("shared"), [] as [PathBuf; 0]);
}

#[test]
fn a_lock_that_is_not_seen_is_an_error_on_both_hosts() {
    let Some(strace) = strace::program().filter(|_| can_be_made()) else {
        return skip("needs strace(1) and the right to trace");
    };
    let scratch = Scratch::new();
    let dir = shared(&scratch);
    // As on a file server without locks: each is granted, and nobody hears of it.
    let blind = |host| {
        let strace = format!(
            "{} -qq -o /dev/null -e trace=fcntl -e inject=fcntl:retval=0",
            strace.display()
        );
        on_through(host, &strace, pair(&scratch, &dir))
    };
    for ended in both(on("mx0.a.test", pair(&scratch, &dir)), blind("mx1.a.test")) {
        ended.ends_with(1);
        let said = text(&ended);
        for words in [
            "mx1.a.test takes the fcntl lock that mx0.a.test holds",
            "mx0.a.test takes the fcntl lock that mx1.a.test holds",
            "two deliveries can write into one mailbox at once",
            "each host sees the other's dotlock",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    assert_eq!(scratch.files("shared"), [] as [PathBuf; 0]);
}

#[test]
fn hosts_of_one_name_and_of_other_locks_are_an_error() {
    let (scratch, other) = (Scratch::new(), Scratch::new().set("mailbox.locks", "[\"fcntl\"]"));
    let dir = shared(&scratch);
    for ended in both(pair(&scratch, &dir).with(&["--json"]), pair(&other, &dir)) {
        ended.ends_with(1);
        let said = text(&ended);
        assert!(said.contains("both hosts are called"), "{said}");
        assert!(said.contains("deliveries take "), "{said}");
    }
}

#[test]
fn a_host_that_waits_alone_can_be_told_to_stop() {
    let scratch = Scratch::new();
    let dir = shared(&scratch);
    let waiting = pair(&scratch, &dir).start();
    until("it waits", || dir.join("spoolguard-pair/first").exists());
    waiting.signal(Signal::SIGTERM);
    waiting.end().ends_with(75).mentions("told to stop by a signal");
    assert_eq!(scratch.files("shared"), [] as [PathBuf; 0]);
}

#[test]
fn a_third_host_is_told_that_two_are_at_it() {
    let scratch = Scratch::new();
    let dir = shared(&scratch);
    let place = dir.join("spoolguard-pair");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("first"), "spoolguard-pair-1 r1 mx0 b0 dotlock r2 0 = end").unwrap();
    pair(&scratch, &dir)
        .go()
        .ends_with(75)
        .mentions("two hosts are at it already")
        .mentions("rm -r");
    assert!(place.exists(), "it is the others'");
}

#[test]
fn what_cannot_be_shared_is_told_at_once() {
    let scratch = Scratch::new();
    let dir = shared(&scratch);
    pair(&scratch, &dir.join("none")).go().ends_with(75).mentions("none");
    if is_root() {
        let place = dir.join("spoolguard-pair");
        fs::create_dir(&place).unwrap();
        std::os::unix::fs::chown(&place, Some(4321), None).unwrap();
        pair(&scratch, &dir).go().ends_with(75).mentions("root_squash");
        fs::remove_dir(&place).unwrap();
        std::os::unix::fs::symlink("/tmp", &place).unwrap();
        pair(&scratch, &dir).go().ends_with(75).mentions("no directory");
    } else {
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
        pair(&scratch, &dir).go().ends_with(75).mentions("make");
    }
}
