//! A note on a message that is being handed to a server, in the state directory: written before the dot goes out,
//! changed when the server has answered, removed when nothing can send the message back any more. The next try of a run
//! that was killed finds it, and knows whether the message is there.
//!
//! A note belongs to the process that holds its lock, and the kernel ends that with the process: what can be locked is
//! a dead one's. Notes are not synced: after a power loss the message may come twice.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::HEXLOWER;

use crate::error::Error;
use crate::sys::dirs::{make_private_dir, own_file};

/// What is in it before the answer, and after. Of the same length: one call changes it.
const ASKED: &[u8] = b"asked\n";
const TAKEN: &[u8] = b"taken\n";

/// As long as MTAs try again.
const KEPT: Duration = Duration::from_secs(6 * 24 * 60 * 60);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey(String);

impl NoteKey {
    /// The name that a digest gives.
    pub fn of(digest: &[u8]) -> Self {
        Self(HEXLOWER.encode(digest.get(..16).unwrap_or(digest)))
    }
}

/// A note that this process holds. Dropped, it goes.
#[derive(Debug)]
#[must_use]
pub struct HandoverNote {
    path: Option<PathBuf>,
    file: File,
    /// Whether the server has the message. Where its answer did not come, nobody knows.
    pub is_taken: bool,
}

impl HandoverNote {
    /// Notes that a message is handed over now.
    pub fn begin(dir: &Path, key: &NoteKey) -> Result<Self, Error> {
        make_private_dir(dir)?;
        let path = dir.join(format!("{}.{:08x}", key.0, fastrand::u32(..)));
        let fail = |e: &io::Error| Error::io("write", &path, e);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| fail(&e))?;
        let note = Self {
            path: Some(path.clone()),
            file,
            is_taken: false,
        };
        note.file.try_lock().map_err(|e| fail(&e.into()))?;
        note.file.write_all_at(ASKED, 0).map_err(|e| fail(&e))?;
        Ok(note)
    }

    /// The server has the message. A note that cannot be changed stays as it was: then the message may come twice.
    pub fn set_taken(&mut self) {
        let _ = self.file.write_all_at(TAKEN, 0);
    }

    /// The message goes back to the MTA: the note stays for the next try.
    pub fn leave(mut self) {
        self.path = None;
    }

    /// Finds what a run that is over has left about this message, and removes what is too old for any.
    pub fn find(dir: &Path, key: &NoteKey) -> Option<Self> {
        let mut unanswered = None;
        for entry in std::fs::read_dir(dir).ok()?.flatten() {
            let name = entry.file_name();
            let is_it = name.to_string_lossy().split('.').next() == Some(key.0.as_str());
            if !is_it {
                remove_old(&entry.path());
                continue;
            }
            match Self::open_left(&entry.path()) {
                Some(note) if note.is_taken => return Some(note),
                Some(note) => unanswered = Some(note),
                None => {}
            }
        }
        unanswered
    }

    /// The note at `path`; none where a living process holds it.
    fn open_left(path: &Path) -> Option<Self> {
        let file = own_file().read(true).write(true).open(path).ok()?;
        file.try_lock().ok()?;
        let mut text = [0; ASKED.len()];
        let read = file.read_at(&mut text, 0).ok()?;
        Some(Self {
            path: Some(path.to_owned()),
            file,
            is_taken: text.get(..read) == Some(TAKEN),
        })
    }
}

impl Drop for HandoverNote {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn remove_old(path: &Path) {
    let age = path
        .symlink_metadata()
        .and_then(|stat| stat.modified())
        .ok()
        .and_then(|at| at.elapsed().ok());
    if age.is_some_and(|age| age > KEPT) {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::{HandoverNote, KEPT, NoteKey};
    use std::fs::File;
    use std::time::SystemTime;

    #[test]
    fn a_note_speaks_of_the_dead_alone() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let dir = dir.path().join("lmtp");
        let (key, other) = (NoteKey::of(b"one"), NoteKey::of(b"other"));
        let begin = || HandoverNote::begin(&dir, &key).unwrap_or_else(|e| unreachable!("{e}"));
        let living = begin();
        assert!(HandoverNote::find(&dir, &key).is_none());
        living.leave();
        assert!(HandoverNote::find(&dir, &other).is_none());
        // Found, it belongs to whoever found it, and goes with that.
        assert_eq!(HandoverNote::find(&dir, &key).map(|note| note.is_taken), Some(false));
        assert!(HandoverNote::find(&dir, &key).is_none());
        let mut answered = begin();
        answered.set_taken();
        begin().leave();
        answered.leave();
        assert_eq!(HandoverNote::find(&dir, &key).map(|note| note.is_taken), Some(true));
    }

    #[test]
    fn what_no_mta_asks_for_any_more_goes() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let (old, young) = (dir.path().join("1.a"), dir.path().join("2.a"));
        for (path, age) in [(&old, KEPT * 2), (&young, KEPT / 2)] {
            let file = File::create(path).unwrap_or_else(|e| unreachable!("{e}"));
            assert!(file.set_modified(SystemTime::now() - age).is_ok());
        }
        assert!(HandoverNote::find(dir.path(), &NoteKey::of(b"one")).is_none());
        assert!(!old.exists() && young.exists());
    }
}
