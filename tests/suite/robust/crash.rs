//! Whatever ends a run early: no message that was whole is touched, nothing is glued to what was begun, and the next
//! delivery works. After each: the status, the bytes of the mailbox, the next delivery.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use spoolguard::mailbox::lock::kernel::lock_fcntl;

use crate::robust::faults::strace::{self, Fault};
use crate::support::{
    LIMIT, ORDINARY, Scratch, Watch, content, full_device, has_attributes, is_root, large, messages, only, same, shown,
    skip, until, user_name,
};

#[test]
fn a_kill_at_any_point_leaves_whole_messages_alone() {
    let message = large(3 << 20);
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).go().succeeds();
    let begun = Instant::now();
    scratch.deliver(&message).go().succeeds();
    // How long the last run took that nobody killed, by which the next kills spread over all of a run: beside others it
    // changes.
    let mut whole_run = begun.elapsed();
    let whole_bytes = scratch.mail().len() - only_whole(&scratch.mail()).len();
    let mut killed = 0;
    for round in 0..200 {
        let before = scratch.mail();
        let begun = Instant::now();
        let mut run = scratch.deliver(&message).start();
        let until_kill = whole_run * (round % 16) / 16;
        while begun.elapsed() < until_kill && !run.is_over() {
            std::thread::yield_now();
        }
        let was_over = run.is_over();
        let took = begun.elapsed();
        if !was_over {
            run.signal(Signal::SIGKILL);
        }
        let ended = run.end();
        let after = scratch.mail();
        ended.check(after.starts_with(&before), "mail that was there is gone");
        if ended.signal.is_some() {
            killed += 1;
        } else {
            ended.succeeds();
            if was_over {
                whole_run = took;
            }
        }
        let is_torn = after.len() - before.len() < whole_bytes;
        scratch.next_delivery_comes_behind(if is_torn { &before } else { &after });
        // Keeps it short.
        fs::write(scratch.mailbox(), only_whole(&before)).unwrap();
        if killed == 16 {
            break;
        }
    }
    assert_eq!(killed, 16, "so few were killed in 200 runs");
}

fn only_whole(mbox: &[u8]) -> Vec<u8> {
    messages(mbox)
        .first()
        .map(|message| message.to_vec())
        .unwrap_or_default()
}

#[test]
fn a_kill_in_the_append_leaves_a_part_that_the_next_cuts_off() {
    let message = large(16 << 20);
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).go().succeeds();
    let before = scratch.mail();
    let mut run = scratch.deliver(&message).start();
    until("the append has begun", || {
        scratch.mail().len() > before.len() || run.is_over()
    });
    if !run.is_over() {
        run.signal(Signal::SIGKILL);
    }
    let is_killed = run.end().signal.is_some();
    let after = scratch.mail();
    assert!(after.starts_with(&before));
    let is_torn = is_killed && after.len() < before.len() + message.len();
    scratch.next_delivery_comes_behind(if is_torn { &before } else { &after });
}

#[test]
fn a_file_size_limit_during_the_append_changes_nothing() {
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).go().succeeds();
    let before = scratch.mail();
    // In units of 512 bytes: with the message in memory, with the limit at a border, and not yet reached by the header.
    for blocks in [1, 100, 200, 256, 300] {
        let ended = scratch
            .deliver(&large(200_000))
            .shell(&format!("ulimit -f {blocks}"))
            .go();
        ended.defers();
        same(&scratch.mail(), &before);
        assert!(!scratch.dotlock().exists());
    }
    // The same where the caller ignores the signal, and where it blocks nothing.
    let ended = scratch
        .deliver(&large(200_000))
        .shell("trap '' XFSZ; ulimit -f 100")
        .go();
    ended.defers().mentions("4.3.1 ");
    same(&scratch.mail(), &before);
    scratch.next_delivery_works();
}

#[test]
fn a_file_size_limit_during_a_large_read_changes_nothing() {
    let scratch = Scratch::new();
    let ended = scratch.deliver(&large(4 << 20)).shell("ulimit -f 4096").go();
    ended.defers();
    assert!(scratch.mail().is_empty());
    scratch.next_delivery_works();
}

#[test]
fn a_file_size_limit_below_the_mailbox_changes_nothing() {
    let scratch = Scratch::new();
    scratch.deliver(&large(100_000)).go().succeeds();
    let before = scratch.mail();
    scratch.deliver(ORDINARY).shell("ulimit -f 20").go().defers();
    same(&scratch.mail(), &before);
    scratch.next_delivery_works();
}

#[test]
fn a_full_file_system_changes_nothing() {
    if !is_root() {
        return skip("needs root, to mount a small file system");
    }
    // In a namespace of its own, so that the mount goes with the process.
    let scratch = Scratch::new();
    let spool = scratch.path("spool").display().to_string();
    let copy = scratch.path("copy").display().to_string();
    let name = user_name();
    let probe = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "-o", "size=64k", "none", &spool])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return skip("needs unshare(1) and leave to mount");
    }
    let line = format!(
        "exec unshare -m sh -c \"mount -t tmpfs -o size=64k none '{spool}' && echo \\\"$(printf 'From x Mon Nov  2 10:00:00 2026\\n\\nold')\\\" >'{spool}/{name}' && echo >>'{spool}/{name}' && \
         cp '{spool}/{name}' '{copy}.before'; \\\"\\$@\\\"; code=\\$?; cp '{spool}/{name}' '{copy}.after'; ls -A '{spool}' >'{copy}.names'; exit \\$code\" sh \"$@\""
    );
    let ended = scratch
        .deliver(&large(200_000))
        .variable("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .shell_line(&line)
        .go();
    ended.defers();
    let read = |suffix: &str| fs::read(format!("{copy}.{suffix}")).unwrap();
    same(&read("after"), &read("before"));
    assert_eq!(read("names"), format!("{name}\n").as_bytes());
}

#[test]
fn a_read_only_spool_makes_the_message_wait() {
    if !is_root() {
        return skip("needs root, to mount a directory read-only");
    }
    let scratch = Scratch::new();
    let spool = scratch.path("spool").display().to_string();
    let remount = format!("mount --bind '{spool}' '{spool}' && mount -o remount,ro,bind '{spool}'");
    let probe = Command::new("unshare").args(["-m", "sh", "-c", &remount]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return skip("needs unshare(1) and leave to mount");
    }
    scratch.deliver(ORDINARY).go().succeeds();
    let before = scratch.mail();
    let line = format!("exec unshare -m sh -c \"{remount} && exec \\\"\\$@\\\"\" sh \"$@\"");
    let ended = scratch
        .deliver(ORDINARY)
        .variable("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .shell_line(&line)
        .go();
    ended.defers();
    same(&scratch.mail(), &before);
    scratch.next_delivery_works();
}

#[test]
fn a_full_stderr_changes_nothing() {
    let scratch = Scratch::new();
    scratch
        .deliver(ORDINARY)
        .with(&["-v"])
        .stderr(full_device())
        .go()
        .ends_with(0);
    same(only(&scratch.mail()), ORDINARY);
    let stuck = Scratch::new()
        .set("mailbox.lock_timeout", "\"1s\"")
        .set("log.to", "\"stderr\"");
    fs::write(stuck.dotlock(), "1").unwrap();
    stuck
        .deliver(ORDINARY)
        .stderr(full_device())
        .stdout(full_device())
        .go()
        .ends_with(75);
    fs::remove_file(stuck.dotlock()).unwrap();
    stuck
        .deliver(ORDINARY)
        .stderr(full_device())
        .stdout(full_device())
        .go()
        .ends_with(0);
    assert_eq!(messages(&stuck.mail()).len(), 1);
}

#[test]
fn a_signal_while_the_message_is_read_makes_it_wait() {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGALRM,
        Signal::SIGUSR1,
        Signal::SIGXCPU,
    ] {
        let scratch = Scratch::new();
        let (reader, writer) = std::io::pipe().unwrap();
        let run = scratch.deliver(b"").input_file(reader).start();
        // More than a pipe holds: when all is written, the program has begun to read.
        let mut writer = writer;
        std::io::Write::write_all(&mut writer, &large(200_000)).unwrap();
        let begun = Instant::now();
        run.signal(signal);
        run.end().defers().mentions("signal");
        assert!(begun.elapsed() < LIMIT / 3);
        drop(writer);
        assert!(!scratch.mailbox().exists() && !scratch.dotlock().exists());
        scratch.next_delivery_works();
    }
}

#[test]
fn a_signal_while_a_lock_is_waited_for_makes_the_message_wait() {
    let scratch = Scratch::new();
    let watch = Watch::new(&scratch.path("spool"));
    let file = fs::File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(scratch.mailbox())
        .unwrap();
    assert!(lock_fcntl(&file, &scratch.mailbox()).unwrap());
    let run = scratch.deliver(ORDINARY).start();
    watch.until_made(&format!("{}.lock", user_name()));
    let begun = Instant::now();
    run.signal(Signal::SIGTERM);
    run.end().defers().mentions("signal");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "it waited {:?}",
        begun.elapsed()
    );
    assert!(scratch.mail().is_empty() && !scratch.dotlock().exists());
    drop(file);
    scratch.next_delivery_works();
}

#[test]
fn a_signal_in_the_append_does_not_tear_it() {
    let message = large(4 << 20);
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).go().succeeds();
    for _ in 0..3 {
        let before = scratch.mail();
        let mut run = scratch.deliver(&message).start();
        until("the append has begun", || {
            fs::metadata(scratch.mailbox()).unwrap().len() > before.len() as u64 || run.is_over()
        });
        if !run.is_over() {
            run.signal(Signal::SIGTERM);
        }
        let ended = run.end();
        let after = scratch.mail();
        match ended.code {
            Some(0) => assert!(after.ends_with(b"\n\n") && messages(&after).len() == messages(&before).len() + 1),
            Some(75) => same(&after, &before),
            _ => panic!("{}", ended.story()),
        }
        assert!(!scratch.dotlock().exists());
        scratch.next_delivery_works();
        fs::write(scratch.mailbox(), only_whole(&before)).unwrap();
    }
}

#[test]
fn a_forward_that_is_killed_leaves_a_copy_that_is_known_again() {
    let mut scratch = Scratch::new();
    let pid_file = scratch.hanging_sendmail();
    let run = scratch.forward(ORDINARY, &["--keep", "b@b.test"]).start();
    until("sendmail runs", || pid_file.exists());
    run.signal(Signal::SIGKILL);
    assert_eq!(run.end().signal, Some(9));
    let pid: i32 = fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
    // The copy is there. When the message comes again it is known, and another one that came first changes nothing.
    same(only(&scratch.mail()), ORDINARY);
    scratch.next_delivery_works();
    scratch.sendmail("exit 0");
    let copies = || {
        let mail = scratch.mail();
        messages(&mail)
            .iter()
            .filter(|m| content(m).ends_with(ORDINARY))
            .count()
    };
    scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().succeeds();
    assert_eq!(copies(), if has_attributes(&scratch.mailbox()) { 1 } else { 2 });
    // Both have it by now: the same message once more is counted.
    let before = copies();
    scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().succeeds();
    assert_eq!(copies(), before);
}

#[test]
fn a_notice_of_ours_is_not_put_behind_a_torn_message() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).go().succeeds();
    if !has_attributes(&scratch.mailbox()) {
        return skip("needs a file system with extended attributes below the temporary directory");
    }
    let message = large(300_000);
    let calls = strace::calls(scratch.deliver(&message), &strace, &scratch.path("record"));
    let last = calls.iter().rfind(|call| call.name == "write").unwrap();
    let before = scratch.mail();
    let ended = strace::spoil(scratch.deliver(&message), &strace, last, &Fault::Kill);
    assert_eq!(ended.signal, Some(9), "{}", ended.story());
    assert!(scratch.mail().len() > before.len(), "nothing of it is there");
    let run = scratch.run(&["status", "--suspend", "b@b.test"]).go();
    run.ends_with(0);
    assert!(
        shown(&scratch.mail()).contains("no longer forwarded"),
        "{}",
        run.story()
    );
    scratch.deliver(&message).go().succeeds();
    let mail = scratch.mail();
    let whole = messages(&mail).iter().filter(|found| content(found) == message).count();
    assert_eq!((whole, messages(&mail).len()), (2, 4), "{}", shown(&mail));
}

#[test]
fn a_mailbox_that_shrinks_under_the_append_is_not_grown_back() {
    // Somebody who knows no locks empties the mailbox while a delivery runs: its end is not the end that was noted.
    let scratch = Scratch::new();
    scratch.deliver(&large(100_000)).go().succeeds();
    fs::write(scratch.mailbox(), "").unwrap();
    scratch.next_delivery_works();
    assert!(!shown(&scratch.mail()).contains("\\x00"));
}
