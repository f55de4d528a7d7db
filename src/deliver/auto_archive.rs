//! `when_full = "archive"`: when a mailbox has grown beyond its limit, its oldest part is archived until the mailbox is
//! below its soft limit. The delivery does not wait for that.
//!
//! MTAs wait until every copy of the pipes that they gave a command is closed, and some kill its process group
//! afterwards. So the archiving runs as a process in a group of its own, which keeps nothing of its caller but the
//! rights. It is started at most once in a while for each mailbox. If it never ends, the mailbox grows to twice its
//! limit, and then mail waits. The archiving may be killed at any time.

use std::ffi::OsString;
use std::fs::FileTimes;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::config::Over;
use crate::deliver::context::{Delivery, Run};
use crate::error::Error;
use crate::quota;
use crate::sys::cache_file::{mark_time, renew_mark};
use crate::sys::{deadline, self_exec};

/// How long after one run no other is started for the same mailbox.
const NOT_AGAIN: Duration = Duration::from_secs(5 * 60);

/// Starts to archive if the mailbox is beyond its limit. The message is safe by now: what fails here is logged, and
/// nothing more.
pub fn start_archiving(run: &Run, delivery: &Delivery<'_>) {
    let Some(mailbox) = run.store.path() else { return };
    if run.config.quota.when_full != Over::Archive {
        return;
    }
    let begun = down_to(run).and_then(|bytes| bytes.map_or(Ok(false), |bytes| archive(run, delivery, mailbox, bytes)));
    match begun {
        Ok(true) => tracing::info!(action = "archive-begin", user = run.account.name, note = ""),
        Ok(false) => {}
        Err(e) => tracing::warn!(action = "archive-begin", user = run.account.name, note = e.to_string()),
    }
}

/// To what length the mailbox has to shrink; none while it is within its limit.
fn down_to(run: &Run) -> Result<Option<u64>, Error> {
    let limit = run.store.limit(run);
    let usage = run.store.usage(run, limit)?;
    let soft = |bound: u64| run.config.quota.warn.of(bound).unwrap_or(bound);
    Ok(quota::needed_relief(usage, limit, soft))
}

fn archive(run: &Run, delivery: &Delivery<'_>, mailbox: &Path, down_to_bytes: u64) -> Result<bool, Error> {
    // With a slash in it, it is a path and no user's name.
    let mailbox = std::path::absolute(mailbox).map_err(unstarted)?;
    let (user, size) = (&run.account.name, format!("{down_to_bytes}B"));
    let words = ["spool", "archive", "--yes", "--user", user, "--down-to", &size, "--"].map(OsString::from);
    in_background(run, delivery, "archiving", &[&words[..], &[mailbox.into()]].concat())
}

/// Starts this program with these words, as whoever runs this, unless that was done a short while ago; `note` is the
/// directory in which that is remembered. Tells whether it was started.
pub fn in_background(run: &Run, delivery: &Delivery<'_>, note: &str, words: &[OsString]) -> Result<bool, Error> {
    if !is_due(run, note, SystemTime::from(delivery.date)) {
        return Ok(false);
    }
    start(run, words).map(|()| true)
}

/// Tells whether it is time to start, and notes that it was.
fn is_due(run: &Run, note: &str, now: SystemTime) -> bool {
    let Some(mark) = run.mark_path(note) else {
        return false;
    };
    // From the future: from a clock that was wrong.
    if mark_time(&mark).is_some_and(|then| now.duration_since(then).is_ok_and(|since| since < NOT_AGAIN)) {
        return false;
    }
    renew_mark(&mark).is_ok_and(|file| file.set_times(FileTimes::new().set_modified(now)).is_ok())
}

#[allow(
    clippy::zombie_processes,
    reason = "this run ends long before, and whoever is then its parent waits for it"
)]
fn start(run: &Run, words: &[OsString]) -> Result<(), Error> {
    let mut command = self_exec::start_self();
    if let Some(path) = &run.chosen {
        command
            .arg("--config")
            .arg(std::path::absolute(path).map_err(unstarted)?);
    }
    command.args(words).env_clear();
    for name in ["HOME", "TZ"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .current_dir(Path::new("/"))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    deadline::start_child(&mut command).map(drop).map_err(unstarted)
}

fn unstarted(e: std::io::Error) -> Error {
    Error::io("start", &self_exec::own_path(), &e)
}
