//! Full disks, and others that are slow, hang or die: a run ends all the same, in bounded time, and the message is
//! where its status says.

use std::fs;
use std::io::{Read, Write};
use std::process::Command;
use std::time::Instant;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;

use crate::support::{LIMIT, ORDINARY, Scratch, is_root, large, messages, only, same, skip, until, user_name};

/// A pipe that holds all that it can, and whose reader does not read.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader, writer)
}

#[test]
fn a_standard_error_that_nobody_reads_holds_nobody() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    let (mut reader, writer) = full_pipe();
    let begun = Instant::now();
    scratch
        .deliver(ORDINARY)
        .with(&["-v"])
        .stderr(writer.try_clone().unwrap())
        .go()
        .ends_with(0);
    same(only(&scratch.mail()), ORDINARY);
    fs::write(scratch.dotlock(), "1").unwrap();
    scratch
        .deliver(ORDINARY)
        .stderr(writer.try_clone().unwrap())
        .go()
        .ends_with(75);
    let wrong = scratch.run(&["deliver", "--wrong"]).input(ORDINARY);
    wrong.stderr(writer).go().ends_with(75);
    assert!(begun.elapsed() < LIMIT / 2, "it waited {:?}", begun.elapsed());
    // It is still full, so that nothing was printed.
    let mut held = Vec::new();
    reader.read_to_end(&mut held).unwrap();
    assert!(held.iter().all(|byte| *byte == b'x'));
}

#[test]
#[ignore = "takes four minutes: as long as a run may wait"]
fn a_message_that_stalls_for_ever_goes_back() {
    let scratch = Scratch::new();
    let (input, mut rest) = std::io::pipe().unwrap();
    let mut run = scratch.deliver(b"").input_file(input).start();
    rest.write_all(b"Subject: x\n\nthe beginning").unwrap();
    let begun = Instant::now();
    while !run.is_over() {
        assert!(begun.elapsed().as_secs() < 250, "it waits for longer than 240 s");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    run.end().defers();
    assert!(!scratch.mailbox().exists());
}

#[test]
fn a_sendmail_that_dies_makes_the_message_wait() {
    for death in [
        "kill -9 $$",
        "kill -SEGV $$",
        "kill -TERM $$",
        "exec >&-; kill -KILL $$",
    ] {
        let mut scratch = Scratch::new();
        scratch.sendmail(death);
        scratch
            .forward(ORDINARY, &["b@b.test"])
            .go()
            .defers()
            .mentions("signal ");
        scratch.sendmail("exit 0");
        scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
        assert_eq!(scratch.calls().len(), 2);
        assert!(scratch.mail().is_empty());
    }
}

/// What real-time signals are for, nobody here knows; an abort is how Rust ends without memory.
#[test]
fn signals_without_a_name_end_nothing_and_an_abort_is_no_bounce() {
    let scratch = Scratch::new();
    let start = || {
        let (input, rest) = std::io::pipe().unwrap();
        let run = scratch.deliver(b"").input_file(input).start();
        let status = format!("/proc/{}/status", run.worker());
        let is_blocked = || {
            let text = fs::read_to_string(&status).ok()?;
            let mask = text.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
            let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
            Some(mask >> (40 - 1) & 1 == 1)
        };
        until("signals are taken over", || is_blocked() == Some(true));
        (run, rest)
    };
    let (run, mut rest) = start();
    // 34 is the C library's own with musl.
    for signal in ["35", "40", "64"] {
        let sent = Command::new("sh")
            .args(["-c", "kill -$0 $1", signal, &run.pid().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }
    rest.write_all(ORDINARY).unwrap();
    drop(rest);
    run.end().succeeds();
    same(only(&scratch.mail()), ORDINARY);
    let (run, _rest) = start();
    run.signal(Signal::SIGABRT);
    run.end().ends_with(75);
    scratch.next_delivery_works();
}

/// Too little memory ends in 75 from `main` on; before that, nobody of ours can say anything.
#[test]
fn too_little_memory_is_no_bounce() {
    let scratch = Scratch::new();
    let message = large(900_000);
    let mut ends = [0; 3];
    for kibibytes in (2000..30_000).step_by(500) {
        let ended = scratch.deliver(&message).shell(&format!("ulimit -v {kibibytes}")).go();
        match (ended.code, ended.signal) {
            (Some(0), None) => ends[0] += 1,
            (Some(75), None) => ends[1] += 1,
            // The loader, or the shell that starts it.
            (Some(127 | 126), None) | (None, Some(_)) if ends[0] + ends[1] == 0 => ends[2] += 1,
            _ => panic!("with {kibibytes} KiB: {}", ended.story()),
        }
    }
    assert!(ends[0] > 0 && ends[1] > 0, "{ends:?}");
    assert_eq!(messages(&scratch.mail()).len(), ends[0]);
}

/// In a namespace of its own, so that the mount goes with the processes. `prepare` mounts onto `$spool` and leaves the
/// mailbox to the user.
pub fn on_a_file_system_of_its_own(prepare: &str, fill: &[&str]) -> Option<(Scratch, String)> {
    if !is_root() {
        skip("needs root, to mount a file system");
        return None;
    }
    let scratch = Scratch::new();
    let (spool, root) = (scratch.path("spool"), scratch.path(""));
    let name = user_name();
    let line = format!(
        "set -e; spool='{}'; root='{}'; box=\"$spool/{name}\"; {prepare}\n{}",
        spool.display(),
        root.display(),
        fill.join("\n")
    );
    let script = scratch.script("mounted", &line).display().to_string();
    let command = format!("exec unshare -m --propagation private '{script}' \"$@\"");
    let probe = Command::new("unshare")
        .args(["-m", "--propagation", "private", "true"])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        skip("needs unshare(1) and leave to mount");
        return None;
    }
    Some((scratch, command))
}

/// The last delivery fails; what lies in the mailbox is copied before and after.
const TO_THE_BRIM: &[&str] = &[
    "i=0; while [ $i -lt 40 ]; do",
    "  head -c 60000 /dev/zero | tr '\\0' x >\"$root/part\"; echo >>\"$root/part\"",
    "  cp \"$box\" \"$root/before\" 2>/dev/null || : >\"$root/before\"",
    "  set +e; { printf 'Subject: fill\\n\\n'; cat \"$root/part\"; } | \"$@\" 2>\"$root/said\"; code=$?; set -e",
    "  cp \"$box\" \"$root/after\"; ls -A \"$spool\" | grep -v lost+found >\"$root/names\" || :",
    "  echo $code >>\"$root/codes\"; [ $code = 0 ] || exit $code",
    "  i=$((i+1))",
    "done",
];

fn fills_up_and_stays_whole(prepare: &str) {
    let Some((scratch, line)) = on_a_file_system_of_its_own(prepare, TO_THE_BRIM) else {
        return;
    };
    let ended = scratch
        .deliver(b"")
        .variable("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .shell_line(&line)
        .go();
    let read = |name: &str| fs::read(scratch.path(name)).unwrap_or_default();
    if read("codes").is_empty() {
        return skip(&format!("cannot mount here: {}", ended.stderr.trim()));
    }
    ended.ends_with(75);
    same(&read("after"), &read("before"));
    let count = messages(&read("after")).len();
    let codes = String::from_utf8(read("codes")).unwrap();
    assert_eq!(codes.lines().filter(|code| *code == "0").count(), count, "{codes}");
    assert!(count >= 5, "only {count} before it was full");
    assert_eq!(String::from_utf8(read("names")).unwrap().trim(), user_name());
    let said = String::from_utf8(read("said")).unwrap();
    assert!(said.starts_with("4.3.1 ") || said.starts_with("4.2.2 "), "{said}");
}

#[test]
fn a_mebibyte_of_memory_fills_up_and_stays_whole() {
    fills_up_and_stays_whole("mount -t tmpfs -o size=1m none \"$spool\"");
}

#[test]
fn a_small_ext4_fills_up_and_stays_whole() {
    fills_up_and_stays_whole(
        "truncate -s 4m \"$root/disk\"; mkfs.ext4 -q -b 1024 -N 16 -O ^has_journal -m 0 \"$root/disk\" 1700; mount -o loop \"$root/disk\" \"$spool\"",
    );
}
