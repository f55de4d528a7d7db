//! Shows who holds a lock on a mailbox now: dotlocks as they lie there, the kernel's locks as lslocks(8) lists them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::doctor::facts::HostFacts;
use crate::doctor::rules::{Check, Finding};
use crate::output::sizes::age_text;
use crate::spool::directory::{self, DirectoryEntry, EntryKind, LockState};
use crate::sys::child::{self, Streams};
use crate::sys::procfs::program_of;

const ASK_TIME: Duration = Duration::from_secs(10);

const ARGUMENTS: [&str; 4] = ["--json", "--notruncate", "--output", "COMMAND,PID,TYPE,MODE,INODE,PATH"];

/// What lslocks(8) prints.
#[derive(Deserialize)]
struct LockList {
    locks: Vec<HeldLock>,
}

/// A lock that somebody holds, or waits for: then there is an asterisk behind its mode.
#[derive(Deserialize)]
struct HeldLock {
    command: Option<String>,
    /// -1 for a lock that belongs to an open file, whose process is not known (2.38).
    pid: i64,
    #[serde(rename = "type")]
    kind: String,
    mode: String,
    inode: u64,
    /// The mount point and `...` where the process may not be seen.
    path: Option<String>,
}

/// Looks at all locks in the spool directory; stale ones are told with what lies there.
pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let dir = host.config.mailbox.location.spool_dir();
    let Ok(entries) = directory::read_entries(dir) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries.iter().filter_map(dotlock).collect();
    match list_locks() {
        Ok(locks) => found.extend(locks.iter().filter_map(|lock| kernel_lock(lock, &entries))),
        Err(e) => {
            let what = format!("lslocks(8) does not tell who holds them: {e}");
            found.push(Check::LeftOut.about("kernel locks").note(what));
        }
    }
    if found.is_empty() {
        let what = "nobody holds a lock on a mailbox now";
        found.push(Check::Holder.about(dir.display()).ok(what));
    }
    found
}

fn dotlock(entry: &DirectoryEntry) -> Option<Finding> {
    let now = SystemTime::now();
    if entry.entry_kind() != EntryKind::Lock || entry.lock_state(now) != LockState::InUse {
        return None;
    }
    let by = match entry.holder() {
        Some(pid) => format!("process {pid}{}", program_of(pid)),
        None => "somebody who does not say who it is".to_owned(),
    };
    let held_for = match entry.age(now) {
        age if age.as_secs() < 120 => format!("{} s", age.as_secs()),
        age => age_text(age),
    };
    let what = format!("held for {held_for} by {by}");
    Some(Check::Holder.about(entry.path.display()).note(what))
}

fn list_locks() -> io::Result<Vec<HeldLock>> {
    let answer = child::output_of("lslocks", &ARGUMENTS, &[], Streams::Output, ASK_TIME)?;
    // Without any lock it prints nothing.
    if answer.text.trim().is_empty() && answer.status.success() {
        return Ok(Vec::new());
    }
    let list: LockList = serde_json::from_str(&answer.text).map_err(io::Error::other)?;
    Ok(list.locks)
}

/// A lock that is held on one of the mailboxes.
fn kernel_lock(lock: &HeldLock, entries: &[DirectoryEntry]) -> Option<Finding> {
    let is_on = |entry: &&DirectoryEntry| {
        entry.entry_kind() == EntryKind::Mailbox
            && entry.stat.ino() == lock.inode
            && names(lock.path.as_deref(), &entry.path)
    };
    let entry = entries.iter().find(is_on)?;
    let kind = match (lock.kind.as_str(), lock.mode.as_str()) {
        ("FLOCK", "WRITE") => "flock",
        ("FLOCK", "READ") => "shared flock",
        ("POSIX" | "OFDLCK", "WRITE") => "fcntl",
        ("POSIX" | "OFDLCK", "READ") => "shared fcntl",
        _ => return None,
    };
    let by = match (&lock.command, lock.pid) {
        (Some(command), 1..) => format!("process {} ({command})", lock.pid),
        (None, 1..) => format!("process {}", lock.pid),
        _ => "a process that lslocks(8) cannot tell".to_owned(),
    };
    let what = format!("its {kind} lock is held by {by}");
    Some(Check::Holder.about(entry.path.display()).note(what))
}

/// Whether a path of the list may mean the file at `path`, whose inode it is.
fn names(listed: Option<&str>, path: &Path) -> bool {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    listed.is_none_or(|listed| match listed.strip_suffix("...") {
        Some(mount_point) => real.starts_with(mount_point),
        None => real == Path::new(listed),
    })
}
