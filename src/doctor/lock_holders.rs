//! Who holds a lock on a mailbox now, and since when.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::sys::stat::{major, minor};

use crate::doctor::facts::HostFacts;
use crate::doctor::rules::lock_conventions::Lock;
use crate::doctor::rules::proc_locks::{Access, FileId, HeldLock, held};
use crate::doctor::rules::{Check, Finding};
use crate::output::sizes::age_text;
use crate::spool::directory;
use crate::spool::directory::{DirectoryEntry, EntryKind, LockState};
use crate::sys::procfs;

/// Looks at all locks in the spool directory; stale ones are told with what lies there.
pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let Ok(entries) = directory::read_entries(host.config.mailbox.location.spool_dir()) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries.iter().filter_map(dotlock).collect();
    match procfs::read_locks() {
        Ok(text) => {
            let device = procfs::device_of_locks(host.config.mailbox.location.spool_dir());
            found.extend(kernel(&entries, device, &held(&text)));
        }
        Err(e) => found.push(Finding::warning(
            Check::LeftOut,
            "kernel locks",
            crate::error::Error::io("read", Path::new("/proc/locks"), &e).to_string(),
        )),
    }
    if found.is_empty() {
        found.push(Finding::ok(
            Check::Holder,
            host.config.mailbox.location.spool_dir().display().to_string(),
            "nobody holds a lock on a mailbox now",
        ));
    }
    found
}

fn dotlock(entry: &DirectoryEntry) -> Option<Finding> {
    let now = SystemTime::now();
    if entry.thing() != EntryKind::Lock || entry.standing(now) != LockState::InUse {
        return None;
    }
    let by = match entry.holder() {
        Some(pid) => format!("process {pid}{}", name_of(pid)),
        None => "somebody who does not say who it is".to_owned(),
    };
    let text = format!("held for {} by {by}", age(entry.age(now)));
    Some(Finding::warning(Check::Holder, entry.path.display().to_string(), text))
}

fn kernel(entries: &[DirectoryEntry], device: Option<(u64, u64)>, locks: &[HeldLock]) -> Vec<Finding> {
    let mailboxes: HashMap<FileId, &DirectoryEntry> = entries
        .iter()
        .filter(|entry| entry.thing() == EntryKind::Mailbox)
        .map(|entry| (id(entry, device), entry))
        .collect();
    let on_mailboxes: Vec<_> = locks
        .iter()
        .filter_map(|lock| Some((lock, *mailboxes.get(&lock.file)?)))
        .collect();
    // A lock may belong to an open file, and outlive the process that took it. Reading about every open file of the host takes age_text,
    // and is seldom needed.
    let alive = |lock: &HeldLock| lock.pid.filter(|pid| procfs::find_process(*pid).is_some());
    let owners = if on_mailboxes.iter().any(|(lock, _)| alive(lock).is_none()) {
        procfs::locks_of_open_files()
    } else {
        Vec::new()
    };
    let has_it = |lock: &HeldLock, text: &str| {
        let same = |other: &HeldLock| (other.file, other.lock, other.access) == (lock.file, lock.lock, lock.access);
        held(text).iter().any(same)
    };
    let owner = |lock: &HeldLock| {
        let found = owners.iter().find(|(_, text)| has_it(lock, text));
        alive(lock).or_else(|| found.map(|(pid, _)| *pid))
    };
    on_mailboxes
        .into_iter()
        .map(|(lock, entry)| told(lock, entry, owner(lock)))
        .collect()
}

fn id(entry: &DirectoryEntry, device: Option<(u64, u64)>) -> FileId {
    let of_file = entry.stat.dev();
    let (major, minor) = device.unwrap_or_else(|| (major(of_file), minor(of_file)));
    FileId {
        major,
        minor,
        inode: entry.stat.ino(),
    }
}

fn told(lock: &HeldLock, entry: &DirectoryEntry, pid: Option<u32>) -> Finding {
    let kind = match (lock.lock, lock.access) {
        (Lock::Flock, Access::Write) => "flock",
        (Lock::Flock, Access::Read) => "shared flock",
        (Lock::Fcntl | Lock::Dotlock, Access::Write) => "fcntl",
        (Lock::Fcntl | Lock::Dotlock, Access::Read) => "shared fcntl",
    };
    let by = match pid {
        Some(pid) => format!("process {pid}{}{}", name_of(pid), running(pid)),
        None => "a process that only root can see".to_owned(),
    };
    let text = format!("its {kind} lock is held by {by}");
    Finding::warning(Check::Holder, entry.path.display().to_string(), text)
}

fn name_of(pid: u32) -> String {
    procfs::find_process(pid).map_or(String::new(), |process| format!(" ({})", process.name))
}

/// The kernel does not say since when a lock is held: not for longer than its process has been there.
fn running(pid: u32) -> String {
    let age_of = procfs::find_process(pid).and_then(|process| process.age);
    age_of.map_or(String::new(), |time| format!(", which was started {} ago", age(time)))
}

fn age(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        _ => age_text(time),
    }
}
