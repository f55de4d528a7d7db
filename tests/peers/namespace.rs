//! Starts this program again in a mount namespace of its own, where root can have one: what is mounted there is mounted
//! nowhere else. Used by the bench of deliveries, too.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Says in which mount namespace this program was started first.
const OUTSIDE: &str = "SPOOLGUARD_OUTSIDE";

/// Whether this is the namespace; where there is none yet and there can be one, goes on in it and does not come back.
pub fn enter() -> bool {
    let here = fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string();
    if let Some(outside) = env::var_os(OUTSIDE) {
        assert!(
            outside.to_string_lossy() != here,
            "{OUTSIDE} is set, but this is no namespace of our own"
        );
        return true;
    }
    let able = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "none", "/var/mail"])
        .stderr(Stdio::null())
        .status();
    if !able.is_ok_and(|status| status.success()) {
        return false;
    }
    let error = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .arg(env::current_exe().unwrap())
        .args(env::args_os().skip(1))
        .env(OUTSIDE, here)
        .exec();
    panic!("cannot start again in a namespace: {error}");
}
