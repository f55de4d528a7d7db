//! The journal of a cut: what shall stand behind a place of the mailbox, written down and synced before the mailbox is touched.
//!
//! It lies beside the mailbox, as `.NAME.spoolguard-cut`, or where its user can make no file there, in the user's state directory. It
//! is written under another name and renamed when it is whole. A user who may not remove it empties it: an empty one says nothing.
//! It belongs to the mailbox's owner, or to root; what anybody else puts in its place is not looked at.
//!
//! A journal is a sequence of records; the last one that is whole holds. So another record can be added in a place where the user can
//! rename nothing.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fs2::FileExt as _;
use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid};
use sha2::{Digest, Sha256};

use crate::error::{Class, Error};
use crate::mailbox::expunge::journal_record::{HEAD_BYTES, MARK_AT, Record, last_record};
pub use crate::mailbox::expunge::journal_record::{Head, Undo};
use crate::mailbox::ranges::{Hash, Ranges, STEP_BYTES};
use crate::mailbox::reader::ReadAt;
use crate::sys::dirs::{beside, make_private_dir, parent, sync_parent};
use crate::sys::file_stamp::is_still;

/// Where the journal of a mailbox lies beside it.
#[must_use]
pub fn place_beside(mailbox: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(mailbox.file_name().unwrap_or_default());
    name.push(".spoolguard-cut");
    parent(mailbox).join(name)
}

/// Where it lies in a user's state directory.
#[must_use]
pub fn place_in(state_dir: &Path, mailbox: &Path) -> PathBuf {
    let mut hash = String::new();
    for byte in Sha256::digest(mailbox.as_os_str().as_bytes()).iter().take(16) {
        let _ = write!(hash, "{byte:02x}");
    }
    state_dir.join("cut").join(hash)
}

/// A journal that is being written. Dropped, it is gone.
#[derive(Debug)]
pub struct Draft {
    place: PathBuf,
    path: PathBuf,
    file: BufWriter<File>,
    sha: Sha256,
    bytes: u64,
    committed: bool,
}

impl Draft {
    /// Begins one for the mailbox of this owner and group. Nobody else can begin one meanwhile.
    ///
    /// # Errors
    /// When it cannot be made, or somebody else is at it.
    pub fn begin(place: &Path, uid: u32, gid: u32) -> Result<Self, Error> {
        let path = beside(place, ".new");
        let fail = |e: io::Error| Error::io("make journal", &path, &e);
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
        let file = match options.clone().create_new(true).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => options.open(&path).map_err(fail)?,
            result => result.map_err(fail)?,
        };
        let stat = file.metadata().map_err(fail)?;
        if !is_trusted(&stat, uid) {
            let cause = format!("it belongs to uid {}, and is none of ours", stat.uid());
            return Err(Error::new(Class::System, "use journal", path.display(), cause).hint("remove it"));
        }
        let taken = || {
            let cause = "another spoolguard archives, sweeps or restores this mailbox";
            Err(Error::new(Class::Mailbox, "begin journal", path.display(), cause))
        };
        match file.try_lock_exclusive() {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return taken(),
            Err(e) => return Err(Error::io("lock", &path, &e)),
        }
        if !is_still(&file, &path)? {
            return taken();
        }
        let draft = Self {
            place: place.to_owned(),
            path: path.clone(),
            file: BufWriter::with_capacity(STEP_BYTES, file),
            sha: Sha256::new(),
            bytes: 0,
            committed: false,
        };
        let file = draft.file.get_ref();
        file.set_len(0).map_err(fail)?;
        if stat.uid() != uid && Uid::effective().is_root() {
            // The owner's delivery has to read it, and to empty it.
            nix::unistd::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(|e| fail(e.into()))?;
        }
        Ok(draft)
    }

    /// How much content it has, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes what was written so far last, so that little is left to do under the lock.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_data()
    }

    /// Makes it the mailbox's journal. From here on whoever locks the mailbox acts by it.
    ///
    /// # Errors
    /// When it cannot be written; then there is none.
    pub fn commit(mut self, head: Head) -> Result<Journal, Error> {
        let fail = |e: io::Error| Error::io("write journal", &self.path, &e);
        let content: Hash = self.sha.clone().finalize().into();
        self.file.flush().map_err(fail)?;
        let record = Record::new(head, self.bytes, content);
        let file = self.file.get_ref().try_clone().map_err(fail)?;
        file.write_all_at(&record.written(), 0).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        if self.place.symlink_metadata().is_ok_and(|stat| stat.len() > 0) {
            let cause = "another one is there";
            return Err(Error::new(Class::System, "write journal", self.place.display(), cause));
        }
        std::fs::rename(&self.path, &self.place).map_err(fail)?;
        self.committed = true;
        let journal = Journal {
            place: self.place.clone(),
            file,
            at: 0,
            record,
        };
        if let Err(e) = sync_parent(&self.place) {
            let error = Error::io("sync the directory of", &self.place, &e);
            journal.done();
            return Err(error);
        }
        Ok(journal)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes == 0 && !bytes.is_empty() {
            // Where the head goes when the content is known.
            self.file.write_all(&[0; HEAD_BYTES as usize])?;
        }
        let written = self.file.write(bytes)?;
        self.sha.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.committed && is_still(self.file.get_ref(), &self.path).unwrap_or(false) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Tells whether a file may be a journal of the mailbox that `uid` owns. In a directory that others write to, anybody could put one.
fn is_trusted(stat: &std::fs::Metadata, uid: u32) -> bool {
    stat.is_file() && stat.nlink() == 1 && (stat.uid() == uid || stat.uid() == 0)
}

/// The journal of a mailbox.
#[derive(Debug)]
#[must_use]
pub struct Journal {
    place: PathBuf,
    file: File,
    /// Where the record that holds begins.
    at: u64,
    record: Record,
}

impl Journal {
    /// The journal at `place`, if there is one that says anything. One look when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or somebody else acts by it just now.
    pub fn pending(place: &Path, uid: u32) -> Result<Option<Self>, Error> {
        match place.symlink_metadata() {
            Ok(stat) if stat.len() > 0 && is_trusted(&stat, uid) => {}
            // Not there, said all, or somebody else's.
            _ => return Ok(None),
        }
        let fail = |e: io::Error| {
            Error::io("read journal", place, &e)
                .class(Class::Mailbox)
                .hint("a run of spoolguard spool was interrupted; any such run as root mends it")
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(place)
            .map_err(fail)?;
        match file.try_lock_exclusive() {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                let cause = "another spoolguard changes the mailbox by it";
                return Err(Error::new(Class::Mailbox, "use journal", place.display(), cause));
            }
            Err(e) => return Err(fail(e)),
        }
        let stat = file.metadata().map_err(fail)?;
        if !is_trusted(&stat, uid) || !is_still(&file, place)? {
            return Ok(None);
        }
        match last_record(&file, stat.len()).map_err(fail)? {
            Some((at, record)) => Ok(Some(Self {
                place: place.to_owned(),
                file,
                at,
                record,
            })),
            None => {
                // It was never whole, so that nobody acted by it.
                remove_or_empty(place, &file);
                Ok(None)
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// What it says.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.record.head
    }

    /// How much content there is, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.record.bytes
    }

    /// Tells whether the mailbox was cut off.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.record.truncated
    }

    /// Reads content from byte `at` on.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.record.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        self.file
            .read_at(buffer.get_mut(..wanted).unwrap_or_default(), self.at + HEAD_BYTES + at)
    }

    /// Notes that the mailbox was cut off.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn mark_truncated(&mut self) -> Result<(), Error> {
        self.file
            .write_all_at(b"T", self.at + MARK_AT)
            .and_then(|()| self.file.sync_data())
            .map_err(|e| Error::io("write journal", &self.place, &e))?;
        self.record.truncated = true;
        Ok(())
    }

    /// Lets another record hold: the content so far, and `more` behind it.
    ///
    /// # Errors
    /// When it cannot be written; then the former record holds.
    pub fn extend(&mut self, head: Head, more: impl Read) -> Result<(), Error> {
        let mut content = Ranges::new();
        content.push(0..self.record.bytes);
        self.hold(head, &content, more)
    }

    /// Lets another record hold: these parts of the content so far.
    ///
    /// # Errors
    /// When it cannot be written; then the former record holds.
    pub fn keep(&mut self, head: Head, parts: &Ranges) -> Result<(), Error> {
        self.hold(head, parts, io::empty())
    }

    fn hold(&mut self, head: Head, parts: &Ranges, more: impl Read) -> Result<(), Error> {
        let fail = |e: io::Error| Error::io("write journal", &self.place, &e);
        let start = self.record.end(self.at);
        let mut at = start + HEAD_BYTES;
        let content = self.at + HEAD_BYTES;
        let mut kept = Ranges::new();
        parts
            .iter()
            .for_each(|part| kept.push(content + part.start..content + part.end));
        let mut from = kept.reader(&self.file).chain(more);
        let mut sha = Sha256::new();
        let mut buffer = vec![0; STEP_BYTES];
        let mut copied = 0;
        loop {
            let read = from.read(&mut buffer).map_err(fail)?;
            if read == 0 {
                break;
            }
            let bytes = buffer.get(..read).unwrap_or_default();
            self.file.write_all_at(bytes, at).map_err(fail)?;
            sha.update(bytes);
            copied += read as u64;
            at += read as u64;
        }
        let record = Record::new(head, copied, sha.finalize().into());
        self.file.set_len(at).map_err(fail)?;
        self.file.sync_all().map_err(fail)?;
        // Only now: a head without its content would say that the journal is damaged.
        self.file.write_all_at(&record.written(), start).map_err(fail)?;
        self.file.sync_all().map_err(fail)?;
        (self.at, self.record) = (start, record);
        Ok(())
    }

    /// Removes it: everything it says was done, or nothing.
    pub fn done(self) {
        remove_or_empty(&self.place, &self.file);
    }
}

impl ReadAt for Journal {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes())
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buffer, at)
    }
}

/// In a directory in which the user may remove nothing, an empty one says nothing.
fn remove_or_empty(place: &Path, file: &File) {
    if std::fs::remove_file(place).is_err() {
        let _ = file.set_len(0).and_then(|()| file.sync_all());
    } else {
        let _ = sync_parent(place);
    }
}

/// Makes the directory of a journal in a state directory.
///
/// # Errors
/// When it cannot be made.
pub fn make_place(place: &Path) -> Result<(), Error> {
    make_private_dir(parent(place))
}
