//! Where the log goes: a file of the user's own, and what happens to mail when nobody takes the log.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::robust::faults::strace;
use crate::robust::slow::on_a_file_system_of_its_own;
use crate::support::{ORDINARY, Scratch, skip, user_name};

fn logging_to(path: &Path) -> Scratch {
    Scratch::new().set("log.to", &format!("\"{}\"", path.display()))
}

#[test]
fn each_user_has_a_log_file_that_trace_reads() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = logging_to(&dir.path().join("%u.log"));
    let path = dir.path().join(format!("{}.log", user_name()));
    for _ in 0..2 {
        let ended = scratch.deliver(ORDINARY).go();
        ended.succeeds();
        assert_eq!(ended.stderr, "");
    }
    let log = fs::read_to_string(&path).unwrap();
    assert_eq!(log.matches("action=append").count(), 2, "{log}");
    assert!(log.lines().all(|line| line.contains(" spoolguard[")), "{log}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let ended = scratch
        .run(&["trace", "s@s.test", "--log", path.to_str().unwrap()])
        .go();
    ended.ends_with(0);
}

#[test]
fn a_log_file_that_cannot_be_written_holds_no_mail() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    fs::write(&target, "").unwrap();
    let (link, fifo) = (dir.path().join("link"), dir.path().join("fifo"));
    symlink(&target, &link).unwrap();
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let missing = dir.path().join("missing/log");
    for path in [link.as_path(), &fifo, &missing, dir.path(), Path::new("/dev/full")] {
        logging_to(path).deliver(ORDINARY).go().succeeds();
    }
    assert_eq!(fs::read(&target).unwrap(), b"");
}

#[test]
fn a_log_target_that_is_no_file_is_a_mistake() {
    for to in ["syslogd", "log/file", "~/log"] {
        let scratch = Scratch::new().set("log.to", &format!("\"{to}\""));
        let ended = scratch.run(&["config", "check"]).go();
        ended.ends_with(1);
        let shown = format!("{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
        assert!(shown.contains("the absolute path of a file"), "{shown}");
    }
}

#[test]
fn a_home_that_cannot_be_written_is_one_warning_a_message() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1) and the right to trace");
    };
    let scratch = Scratch::new()
        .set("log.to", "\"stderr\"")
        .set("log.format", "\"json\"")
        .set("addresses", "[\"a@a.test\"]");
    let state = scratch.path("home/.local/state/spoolguard");
    let mut scratch = scratch.set("state_dir", &format!("\"{}\"", state.display()));
    scratch.sendmail("exit 0");
    let inject = "inject=mkdir,mkdirat:error=EROFS";
    let words = [strace.to_str().unwrap(), "-qq", "-o", "/dev/null", "-e", inject];
    let looped = [b"X-Loop: a@a.test\n", ORDINARY].concat();
    for run in [
        scratch.deliver(ORDINARY),
        scratch.deliver(&looped),
        scratch.forward(ORDINARY, &["--keep", "b@b.test"]),
    ] {
        let ended = run.wrapped(&words).go();
        ended.ends_with(0);
        let warnings = ended.stderr.matches("\"level\":\"warn\"").count();
        ended.check(warnings <= 1, &format!("{warnings} warnings"));
    }
}

/// Mail goes on; what stops without a memory is said in one line a run, and by whoever is asked how things stand.
#[test]
fn a_full_state_directory_holds_no_mail_and_is_told() {
    let prepare = "mount -t tmpfs -o size=64k,mode=700 tmpfs \"$root/state\"; head -c 100000 /dev/zero >\"$root/state/fill\" 2>/dev/null || :";
    let lines = [
        "set +e",
        "\"$@\" forward -a a@a.test -f s@s.test b@b.test <\"$root/message\" 2>\"$root/log\"; echo $? >\"$root/codes\"",
        "\"$@\" status >\"$root/status\"; echo $? >>\"$root/codes\"",
        "mount -o remount,ro \"$root/state\"",
        "\"$@\" forward -a a@a.test -f s@s.test b@b.test <\"$root/message\" 2>>\"$root/log\"; echo $? >>\"$root/codes\"",
        "\"$@\" status >>\"$root/status\"; echo $? >>\"$root/codes\"; exit 0",
    ];
    let Some((scratch, line)) = on_a_file_system_of_its_own(prepare, &lines) else {
        return;
    };
    let scratch = scratch.set("log.to", "\"stderr\"");
    fs::write(scratch.path("message"), ORDINARY).unwrap();
    let ended = scratch
        .run(&[])
        .variable("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .shell_line(&line)
        .go();
    ended.ends_with(0);
    let read = |name: &str| fs::read_to_string(scratch.path(name)).unwrap();
    assert_eq!(read("codes"), "0\n1\n0\n1\n", "{}{}", read("log"), ended.story());
    assert_eq!(scratch.sent().len(), 2);
    let log = read("log");
    let warnings: Vec<_> = log.lines().filter(|line| !line.contains("action=")).collect();
    let [full, read_only] = warnings.as_slice() else {
        panic!("one line a run: {log}");
    };
    let what = "the state directory cannot be used: nothing is remembered of sent mail, storms and suspensions";
    assert!(
        full.contains(what) && full.contains("no space left on device"),
        "{full}"
    );
    assert!(
        read_only.contains(what) && read_only.contains("read-only file system"),
        "{read_only}"
    );
    let status = read("status");
    for cause in ["no space left on device", "read-only file system"] {
        let want = format!("{cause}; until that is fixed nothing is remembered");
        assert!(status.contains(&want), "{status}");
    }
}
