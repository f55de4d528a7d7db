//! `spoolguard doctor` asks the programs that Debian installs, and sees the locks that they hold.

use std::fs;
use std::process::Command;

use crate::scratch::Scratch;

/// Runs it as the user, and gives what it prints: one object a line.
fn findings(scratch: &Scratch) -> String {
    let mut command = scratch.command(scratch.program());
    command.arg("--config").arg(scratch.configuration());
    let output = command.args(["doctor", "--json"]).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn doctor_knows_the_locks_of_the_real_programs(scratch: &Scratch) {
    let text = findings(scratch);
    for (program, takes) in [
        ("procmail", "it takes dotlock, then fcntl"),
        (
            "maildrop",
            "it takes dotlock, then fcntl, as Debian builds it: it does not say",
        ),
        ("mutt", "it takes fcntl, then dotlock"),
    ] {
        let line = format!(
            "{{\"check\":\"locks\",\"level\":\"ok\",\"subject\":\"{program}\",\"finding\":\"{takes}\",\"remedy\":null}}"
        );
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let order = Command::new("doveconf")
        .args(["-h", "mbox_write_locks"])
        .output()
        .unwrap();
    let fcntl_first = order.stdout.starts_with(b"fcntl dotlock");
    let told = "\"check\":\"lock-order\",\"level\":\"error\",\"subject\":\"Dovecot\"";
    assert_eq!(text.contains(told), fcntl_first, "{text}");
}

pub fn doctor_sees_the_lock_of_procmails_lockfile(scratch: &Scratch) {
    fs::write(scratch.mailbox(), "").unwrap();
    let lock = format!("{}.lock", scratch.mailbox().display());
    let made = Command::new("lockfile").args(["-r", "0", &lock]).status().unwrap();
    assert!(made.success());
    // It writes 0 in place of its number.
    let text = findings(scratch);
    let told = |line: &&str| line.contains("\"check\":\"holder\"") && line.contains(&lock);
    let line = text
        .lines()
        .find(told)
        .unwrap_or_else(|| panic!("{lock} is not in\n{text}"));
    assert!(line.contains("by somebody who does not say who it is"), "{line}");
}
