//! Judges a dotlock that is there already: its owner lives, is dead, or cannot be asked. What a dead spoolguard left is
//! taken over, and what is too old is removed. What can be opened is taken over under its own kernel lock. What this
//! user may not open is looked at and unlinked under the mailbox's fcntl lock: only a program that ignores that lock
//! could come between.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fs2::FileExt;
use nix::unistd::Uid;

use crate::error::{Category, Error};
use crate::mailbox::lock::dotlock::held::{Dotlock, DotlockAttempt, DotlockPlan, cannot_be_made};
use crate::mailbox::lock::dotlock::owner::{Identity, read_some};
use crate::mailbox::lock::kernel::lock_fcntl;
use crate::mailbox::open::{Absent, open_or};
use crate::mailbox::setgid;
use crate::sys::dirs::own_file;
use crate::sys::file_stamp::{is_still, same_file};
use crate::sys::filesystem::is_on_nfs;

/// A dotlock that nobody can vouch for is stale after this long. Others refresh theirs each minute, and the shortest
/// age that any of them respects is 5 minutes (liblockfile, lockfile_check(3)).
pub const STALE_AGE: Duration = Duration::from_secs(600);

/// A dotlock holds a process id and a few words; what is larger is something else.
const LARGEST_BYTES: u64 = 4096;

/// How far off the time of the last start may be.
const CLOCK_SLACK: Duration = Duration::from_secs(5);

/// A dotlock from so far in the future is from a clock that was wrong.
const WRONG_CLOCK: i64 = 24 * 60 * 60;

/// Somebody has the dotlock. Looks whether they still live; what a dead spoolguard left is taken over, and what is too
/// old is removed. Fails when it cannot be examined, or what is stale cannot be removed.
pub fn judge_dotlock(path: &Path, plan: DotlockPlan<'_>, fresh: &File) -> Result<DotlockAttempt, Error> {
    let stat = match path.symlink_metadata() {
        Ok(stat) => stat,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(DotlockAttempt::Removed),
        Err(e) => return Err(Error::io("examine dotlock", path, &e)),
    };
    let theirs = open_dotlock(path)
        .ok()
        .filter(|file| file.metadata().is_ok_and(|now| now.is_file() && same_file(&now, &stat)));
    let text = theirs.as_ref().map(read_some).unwrap_or_default();
    let free = theirs.filter(|file| FileExt::try_lock_exclusive(file).is_ok());
    if dies_with_its_lock(&text, &stat, free.as_ref()) {
        // When its owner's kernel lock is gone, so is the owner. While we hold that lock nobody else comes to the same
        // conclusion, and the path is looked at again before anything is done. Refused, its age decides like any
        // other's: no run of ours takes that long, and somebody else may have locked what a dead one left.
        if let Some(file) = free {
            return take_over(path, file, &stat, plan);
        }
    }
    if dotlock_age(&stat, Some(fresh)) < STALE_AGE {
        return Ok(DotlockAttempt::Held);
    }
    // Too old, and nobody can be asked. Whoever removes one holds the mailbox's fcntl lock meanwhile: then of two that
    // come to this point one waits, and a lock made in the last moment is found without effect by its owner.
    let guard = open_or(plan.mailbox, plan.owner, Absent::Create, plan.place.map(Arc::as_ref))?;
    if lock_fcntl(&guard, plan.mailbox)? {
        // Where it can be written to, it is never missing, and never somebody else's.
        match free {
            Some(file) => take_over(path, file, &stat, plan),
            None => remove(path, &stat, plan),
        }
    } else {
        Ok(DotlockAttempt::Held)
    }
}

/// Tells whether a dotlock is of a spoolguard that is no more.
pub fn is_dead(path: &Path, stat: &std::fs::Metadata) -> bool {
    open_dotlock(path).is_ok_and(|file| {
        file.metadata().is_ok_and(|now| now.is_file() && same_file(&now, stat))
            && dies_with_its_lock(&read_some(&file), stat, Some(&file))
            && FileExt::try_lock_exclusive(&file).is_ok()
    })
}

/// Tells whether a dotlock that nobody holds a kernel lock on has no owner any more: spoolguard made it under this
/// kernel, or on this host before it was started last. One that lost its content in a crash is as old as that. On a
/// file server it may be another host's.
fn dies_with_its_lock(text: &str, stat: &std::fs::Metadata, file: Option<&File>) -> bool {
    let is_local = || file.is_some_and(|file| !is_on_nfs(file));
    match Identity::read(text) {
        Some(identity) if identity.boot == Identity::boot_id() => true,
        Some(_) => Identity::host_in(text) == Some(Identity::host_word()) && is_local(),
        None => stat.is_file() && stat.len() == 0 && is_before_boot(stat) && is_local(),
    }
}

fn is_before_boot(stat: &std::fs::Metadata) -> bool {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime.split('.').next().and_then(|seconds| seconds.parse().ok());
    let booted = seconds.and_then(|seconds| SystemTime::now().checked_sub(Duration::from_secs(seconds)));
    match (booted, stat.modified()) {
        // The clock may have been set by some seconds since.
        (Some(booted), Ok(modified)) => modified + CLOCK_SLACK < booted,
        _ => false,
    }
}

/// The beginning of a dotlock; nothing where it cannot be read.
pub fn read_dotlock(path: &Path) -> String {
    open_dotlock(path).map(|file| read_some(&file)).unwrap_or_default()
}

/// Opens a dotlock to read it, and to write it where that is allowed.
fn open_dotlock(path: &Path) -> io::Result<File> {
    let mut options = own_file();
    options.read(true);
    match options.clone().write(true).open(path) {
        Err(e) if cannot_be_made(&e) => options.open(path),
        result => result,
    }
}

/// Makes a dead spoolguard's dotlock ours, without a moment in which there is none: the mailbox may end in a part of a
/// message, and other programs would write theirs right behind it.
fn take_over(
    path: &Path,
    file: File,
    judged: &std::fs::Metadata,
    plan: DotlockPlan<'_>,
) -> Result<DotlockAttempt, Error> {
    if !is_still(&file, path)? {
        return Ok(DotlockAttempt::Removed);
    }
    let own = Identity::of_this_process().to_string();
    // Written over rather than emptied first: one without an owner would have to grow old. This makes it young, too.
    let written = file
        .write_all_at(own.as_bytes(), 0)
        .and_then(|()| file.set_len(own.len() as u64));
    match written {
        Ok(()) => Ok(DotlockAttempt::Ours(Dotlock {
            path: path.to_owned(),
            file,
            place: plan.place.cloned(),
        })),
        // Another user's. In a directory of ours it can be removed all the same.
        Err(_) => remove(path, judged, plan),
    }
}

/// Tells whether what has the name of a dotlock is none.
pub fn is_no_dotlock(stat: &std::fs::Metadata) -> bool {
    !stat.is_file() || stat.len() > LARGEST_BYTES
}

/// Removes the dotlock at `path` if it is still the one that was judged.
fn remove(path: &Path, judged: &std::fs::Metadata, plan: DotlockPlan<'_>) -> Result<DotlockAttempt, Error> {
    if is_no_dotlock(judged) {
        return Ok(DotlockAttempt::Held);
    }
    // With rights that the user has not, only what is the user's.
    let is_own = judged.uid() == Uid::effective().as_raw();
    let place = plan.place.filter(|_| is_own).map(Arc::as_ref);
    match path.symlink_metadata() {
        Ok(now) if same_file(&now, judged) && now.mtime() == judged.mtime() => match setgid::remove_file(place, path) {
            Ok(()) => Ok(DotlockAttempt::Removed),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(DotlockAttempt::Removed),
            // In a sticky directory somebody else's cannot be removed; it has no owner, and the other locks hold.
            Err(e) if cannot_be_made(&e) && plan.has_others => Ok(DotlockAttempt::NotPossible),
            Err(e) => Err(Error::io("remove stale dotlock", path, &e).class(Category::Mailbox)),
        },
        _ => Ok(DotlockAttempt::Removed),
    }
}

/// How long ago a file was changed, by the file server's clock where a file just made there tells it.
pub fn dotlock_age(stat: &std::fs::Metadata, fresh: Option<&File>) -> Duration {
    let now = match fresh.and_then(|file| file.metadata().ok()) {
        Some(fresh) => fresh.mtime(),
        None => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
    };
    match now.saturating_sub(stat.mtime()) {
        future if future < -WRONG_CLOCK => Duration::MAX,
        age => Duration::from_secs(u64::try_from(age).unwrap_or(0)),
    }
}
