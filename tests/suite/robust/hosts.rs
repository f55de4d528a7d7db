//! Two hosts on one file system: each has a name and processes of its own, and nothing in common but files.

use std::fs;

use crate::support::{Run, Scratch, contains, is_root, messages, skip};

/// Whether hosts can be made here: namespaces for names and processes.
pub fn can_be_made() -> bool {
    let tried = std::process::Command::new("unshare")
        .args(["--uts", "--pid", "--fork", "--mount-proc", "true"])
        .output();
    let can = is_root() && tried.is_ok_and(|output| output.status.success());
    if !can {
        skip("needs root, and the right to make namespaces");
    }
    can
}

/// The run on the host of this name.
pub fn on<'a>(host: &str, run: Run<'a>) -> Run<'a> {
    on_through(host, "", run)
}

/// The same, run by this command of a shell's.
pub fn on_through<'a>(host: &str, command: &str, run: Run<'a>) -> Run<'a> {
    // hostname(1) takes no odd ones; the kernel does.
    let line = format!("printf %s '{host}' >/proc/sys/kernel/hostname && exec {command} \"$@\"");
    run.wrapped(&[
        "unshare",
        "--uts",
        "--pid",
        "--fork",
        "--mount-proc",
        "sh",
        "-c",
        &line,
        "sh",
    ])
    .variable("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
}

fn letter(number: usize) -> Vec<u8> {
    format!("From: s@s.test\nMessage-ID: <{number}@s.test>\nSubject: {number}\n\nbody {number}\n").into_bytes()
}

/// Delivers from both at once, and counts what `found` finds.
fn both_deliver(scratch: &Scratch, found: impl Fn() -> usize) {
    const EACH: usize = 12;
    std::thread::scope(|scope| {
        for host in 0..2 {
            scope.spawn(move || {
                for number in 0..EACH {
                    let run = scratch.deliver(&letter(host * EACH + number));
                    on(&format!("mx{host}.a.test"), run).go().succeeds();
                }
            });
        }
    });
    assert_eq!(found(), 2 * EACH);
}

#[test]
fn two_hosts_deliver_into_one_mbox() {
    if can_be_made() {
        let scratch = Scratch::new();
        both_deliver(&scratch, || messages(&scratch.mail()).len());
    }
}

#[test]
fn two_hosts_deliver_into_one_maildir_under_their_names() {
    if can_be_made() {
        let scratch = Scratch::new();
        let location = format!("\"maildir:{}\"", scratch.path("home/Maildir").display());
        let scratch = scratch.set("mailbox.location", &location);
        both_deliver(&scratch, || scratch.files("home/Maildir/new").len());
        let names = scratch.files("home/Maildir/new");
        let of = |host: &str| {
            names
                .iter()
                .filter(|path| path.to_string_lossy().contains(host))
                .count()
        };
        assert_eq!((of("mx0.a.test"), of("mx1.a.test")), (12, 12));
    }
}

#[test]
fn a_young_lock_of_another_host_is_not_broken() {
    if can_be_made() {
        let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
        // Its process lives there, and no process here has the number.
        let text = "4000000000\nspoolguard host=mx1.a.test\n";
        fs::write(scratch.dotlock(), text).unwrap();
        on("mx0.a.test", scratch.deliver(&letter(1))).go().defers();
        assert_eq!(fs::read_to_string(scratch.dotlock()).unwrap(), text);
        fs::remove_file(scratch.dotlock()).unwrap();
        on("mx0.a.test", scratch.deliver(&letter(1))).go().succeeds();
    }
}

#[test]
fn what_one_host_suspends_the_other_holds_back() {
    if can_be_made() {
        let scratch = Scratch::new();
        let suspend = scratch.run(&["status", "--suspend", "b@b.test", "--yes"]);
        on("mx0.a.test", suspend).go().ends_with(0);
        on("mx1.a.test", scratch.forward(&letter(1), &["b@b.test"]))
            .go()
            .succeeds();
        assert_eq!(scratch.sent().len(), 0);
        assert!(contains(&scratch.mail(), b"body 1"), "it is kept");
    }
}
