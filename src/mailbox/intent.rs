//! Intents: notes about appends that are not finished. The next run knows by them what a killed run left, and the MTA's
//! next try does not bring the message a second time.
//!
//! A note is an extended attribute of the mailbox (xattr(7)), one for each append. It is set under the lock before the
//! first byte is written, and removed last of all, when nothing can fail any more. It says where the message begins,
//! where it will end and what checksum it has. Only a run that was killed, or that could not take back what it wrote,
//! leaves one. Whoever opens the mailbox next looks (`mailbox/recover.rs`):
//!
//! - The message ends too early, or has holes: it is cut off again, if nobody wrote behind it.
//! - It is whole: nobody knows whether the disk has it. A sync that failed marks the pages clean, and the next sync of
//!   them succeeds without a write (fsync(2), ERRORS). So the bytes are written again and synced. The note stays, and
//!   says so from then on. When the same bytes come again, they are there already, and the note goes: each note stops
//!   one message, and only one that stands in the mailbox byte for byte.
//! - Something else stands there: mail before it was taken out, or it was never written. The note stays. When the same
//!   bytes come again, the message is looked for by its content (`mailbox/moved.rs`), and the note goes.
//!
//! Two equal messages that are sent on purpose both arrive, because a run that ends well leaves no note.
//!
//! An attribute rather than a file: it needs no directory that the user may write to, and goes where the mailbox goes.
//! All who may write to the mailbox share it. It is a part of the same inode, and reaches the disk with the mailbox's
//! own sync. Where the file system has none, a killed run may bring its message twice; the message never gets lost.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, lremovexattr, lsetxattr};
use time::OffsetDateTime;

use crate::mailbox::intent_text::{AppendProgress, IntentText, MessageSource};
use crate::mailbox::measure::{AppendExtent, checksum_of};
use crate::sys::account::host_name;
use crate::sys::procfs::is_writer_alive;

/// What the names of all notes begin with; behind it stand the process and a number.
pub(crate) const PREFIX: &str = "user.spoolguard.";

/// As long as MTAs try again (Postfix and Exim give up after 4 or 5 days), in seconds.
const KEPT_SECONDS: i64 = 5 * 24 * 60 * 60;

/// No run lasts longer, in seconds.
const RUN_SECONDS: i64 = 300;

/// How many notes of killed runs stay on one mailbox; the oldest go first.
pub(super) const MOST_NOTES: usize = 64;

/// More than a note takes, in bytes.
const VALUE_BYTES: usize = 128;

/// What the names of attributes take, mostly and at most (xattr(7)), in bytes.
const NAMES_BYTES: usize = 1024;
const MOST_NAMES_BYTES: usize = 64 << 10;

/// A note on a mailbox. Dropping it removes it: whatever ends the run in an orderly way has dealt with the message. A
/// panic is no orderly way.
#[derive(Debug)]
pub struct AppendIntent {
    // Not the open file: the kernel's locks would hang on it as long as this lives.
    path: PathBuf,
    name: String,
    left: bool,
}

impl AppendIntent {
    /// Notes that an append to an open mailbox begins; none where the file system knows no attributes.
    #[must_use]
    pub fn begin(
        file: &File,
        path: &Path,
        source: MessageSource,
        extent: AppendExtent,
        date: OffsetDateTime,
    ) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let value = begun(source, extent, date).write();
        // One of that name is of a run that was killed and had our number: where each delivery has process numbers of
        // its own, of the last.
        let name = (0..=MOST_NOTES).find_map(|_| {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PREFIX}{}.{number}", std::process::id());
            match fsetxattr(file, &name, value.as_bytes(), XattrFlags::CREATE) {
                Err(rustix::io::Errno::EXIST) => None,
                result => Some(result.map(|()| name)),
            }
        })?;
        let name = name.ok()?;
        own_names().push(name.clone());
        Some(Self {
            path: path.to_owned(),
            name,
            left: false,
        })
    }

    /// Notes that another append begins, and that the one before is whole.
    pub fn go_on(&self, file: &File, source: MessageSource, extent: AppendExtent, date: OffsetDateTime) {
        // Should that fail, the old note says nothing that is wrong.
        let value = begun(source, extent, date).write();
        let _ = fsetxattr(file, &self.name, value.as_bytes(), XattrFlags::empty());
    }

    /// Leaves it behind: the message is in the mailbox, and will come again all the same.
    pub fn leave(mut self) {
        self.left = true;
    }
}

/// What is noted of an append that begins.
fn begun(source: MessageSource, extent: AppendExtent, date: OffsetDateTime) -> IntentText {
    IntentText {
        host: host_hash(),
        source,
        extent,
        seconds: date.unix_timestamp(),
        progress: AppendProgress::Unknown,
    }
}

impl Drop for AppendIntent {
    fn drop(&mut self) {
        own_names().retain(|name| *name != self.name);
        if self.left || std::thread::panicking() {
            return;
        }
        // One that stayed after a run that ended well would stop an equal message that is sent on purpose: it is tried
        // twice, and emptied at last. Should the mailbox be another file by now, there is no such note on it.
        let (path, name) = (&self.path, self.name.as_str());
        let gone = |result| {
            matches!(
                result,
                Ok(()) | Err(rustix::io::Errno::NODATA | rustix::io::Errno::NOENT)
            )
        };
        if !gone(lremovexattr(path, name)) && !gone(lremovexattr(path, name)) {
            let _ = lsetxattr(path, name, b"", XattrFlags::REPLACE);
        }
    }
}

/// The names of the notes that this run wrote, and has not done with.
fn own_names() -> MutexGuard<'static, Vec<String>> {
    static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The notes on an open, locked mailbox, the oldest first. Of runs that go on, only those that know nothing of their
/// progress. Those that cannot be understood go.
pub fn left_by_others(file: &File, now: OffsetDateTime) -> Vec<LeftIntent> {
    let (mut living, mut dead) = (Vec::new(), Vec::new());
    for name in note_names(file) {
        let mut buffer = [0; VALUE_BYTES];
        // What cannot be read now may be read by the next.
        let Ok(length) = fgetxattr(file, &name, &mut buffer) else {
            continue;
        };
        match LeftIntent::parse(name.as_str(), buffer.get(..length).unwrap_or_default()) {
            Some(left) if left.is_left(file, now) => dead.push(left),
            Some(left) if left.noted.progress == AppendProgress::Unknown => living.push(left),
            Some(_) => {}
            // One that stays is looked at again.
            None => drop(fremovexattr(file, &name)),
        }
    }
    dead.sort_by_key(|left| left.noted.seconds);
    dead.append(&mut living);
    dead
}

/// The names of all notes on a mailbox or directory; nothing where there are none, as nearly always.
pub(crate) fn note_names(file: impl AsFd) -> Vec<String> {
    let mut buffer = vec![0; NAMES_BYTES];
    let mut listed = flistxattr(&file, buffer.as_mut_slice());
    if listed == Err(rustix::io::Errno::RANGE) {
        buffer.resize(MOST_NAMES_BYTES, 0);
        listed = flistxattr(&file, buffer.as_mut_slice());
    }
    let names = buffer.get(..listed.unwrap_or(0)).unwrap_or_default();
    names
        .split(|b| *b == 0)
        .filter_map(|name| std::str::from_utf8(name).ok())
        .filter(|name| name.starts_with(PREFIX))
        .map(str::to_owned)
        .collect()
}

/// A note that another run wrote.
#[derive(Debug)]
pub struct LeftIntent {
    name: String,
    pid: i32,
    pub noted: IntentText,
}

impl LeftIntent {
    /// When it was begun; then the separator line has this date.
    pub fn date(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.noted.seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Notes what is known now; nothing where as much was known before.
    pub fn advance(&mut self, file: &File, progress: AppendProgress) {
        if self.noted.progress >= progress {
            return;
        }
        self.noted.progress = progress;
        let value = self.noted.write();
        // A run that goes on may have removed it just now: then it is not made again, and stops nothing.
        let _ = fsetxattr(file, &self.name, value.as_bytes(), XattrFlags::REPLACE);
    }

    /// Tells whether the MTA has given up by now.
    pub fn is_old(&self, now: OffsetDateTime) -> bool {
        now.unix_timestamp().saturating_sub(self.noted.seconds) > KEPT_SECONDS
    }

    /// Removes it: it has done what it was for.
    pub fn remove(self, file: &File) {
        let _ = fremovexattr(file, &self.name);
    }

    /// Takes it over as it is: it says nothing of where its message stands.
    #[must_use]
    pub fn take_over(self, path: &Path) -> AppendIntent {
        own_names().push(self.name.clone());
        AppendIntent {
            path: path.to_owned(),
            name: self.name,
            left: false,
        }
    }

    /// Takes it over. Ours comes first: a kill in between must not leave the message without one.
    #[must_use]
    pub fn replace_with_own(self, file: &File, path: &Path, date: OffsetDateTime) -> AppendIntent {
        match AppendIntent::begin(file, path, self.noted.source, self.noted.extent, date) {
            Some(note) => {
                self.remove(file);
                note
            }
            None => self.take_over(path),
        }
    }

    fn parse(name: &str, value: &[u8]) -> Option<Self> {
        let pid = name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok()?;
        let noted = IntentText::parse(std::str::from_utf8(value).ok()?)?;
        (pid > 0).then(|| Self {
            name: name.to_owned(),
            pid,
            noted,
        })
    }

    /// Tells whether this very run wrote it.
    pub fn is_own(&self) -> bool {
        own_names().contains(&self.name)
    }

    /// Tells whether a killed run left it. A run that ends in order removes its note first: so the note is looked for
    /// once more when its run is gone, or a message of the same bytes that comes meanwhile would be taken for another
    /// try.
    pub fn is_left(&self, file: &File, now: OffsetDateTime) -> bool {
        !self.is_alive(now) && fgetxattr(file, self.name.as_str(), &mut [0; VALUE_BYTES]).is_ok()
    }

    /// Tells whether the run that wrote it may go on: it has let go of the lock, and waits for sendmail.
    fn is_alive(&self, now: OffsetDateTime) -> bool {
        if now.unix_timestamp().saturating_sub(self.noted.seconds) > RUN_SECONDS {
            return false;
        }
        if self.noted.host == host_hash() && u32::try_from(self.pid) == Ok(std::process::id()) {
            return self.is_own();
        }
        // Of another host's processes nothing is known but that they end.
        self.noted.host != host_hash() || is_writer_alive(self.pid, self.noted.seconds)
    }
}

/// A short name for this host.
pub(crate) fn host_hash() -> u32 {
    checksum_of(host_name().as_bytes())
}
