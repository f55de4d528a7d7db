//! What the benchmarks share: how long a program takes, and mail that is the same each time.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// How long a program took, and what it printed.
#[allow(dead_code, reason = "not every benchmark uses it")]
pub struct Took {
    pub wall: Duration,
    /// Of all its threads.
    pub cpu: Duration,
    pub said: String,
}

#[allow(dead_code, reason = "not every benchmark uses it")]
/// Runs a program that has to succeed. Its output goes into a pipe: where nobody reads it, grep stops at the first line
/// that matches.
pub fn run(command: &mut Command) -> Took {
    let before = children();
    let begun = Instant::now();
    let output = command.output().unwrap();
    let wall = begun.elapsed();
    assert!(output.status.success(), "{command:?}: {output:?}");
    Took {
        wall,
        cpu: children().saturating_sub(before),
        said: String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

/// The CPU time of all programs that ended so far.
pub fn children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
    };
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Numbers that are always the same and never the same twice in a row.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}
