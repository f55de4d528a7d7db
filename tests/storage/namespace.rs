//! Starts this program again in a mount namespace of its own, and keeps the namespace for longer than the program: a
//! file system whose disk this process serves can only be unmounted while that is served, or when it is known to be
//! gone. Were the process the last one in the namespace, a kill would let it wait for itself for ever.

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
        assert!(outside.to_string_lossy() != here, "no namespace of our own");
        return true;
    }
    let able = Command::new("unshare")
        .args(["--mount", "true"])
        .stderr(Stdio::null())
        .status();
    if !able.is_ok_and(|status| status.success()) {
        return false;
    }
    // The shell outlives the program, whatever ends that: a signal that is caught, and not ignored, is back to its
    // default in a child.
    let error = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--", "/bin/sh", "-c"])
        .args(["trap : INT TERM HUP; \"$@\"; exit $?", "sh"])
        .arg(env::current_exe().unwrap())
        .args(env::args_os().skip(1))
        .env(OUTSIDE, here)
        .exec();
    panic!("cannot start again in a namespace: {error}");
}
