//! The journal of an expunge: what shall stand behind a place of the mailbox, written down and synced before the
//! mailbox is touched.
//!
//! It lies beside the mailbox, as `.NAME.spoolguard-cut`, or in the user's state directory where the user can make no
//! file beside the mailbox. It is written under another name, synced, and renamed when it is whole. A user who may not
//! remove it marks it as done. It belongs to the mailbox's owner or to root; a file of anybody else in its place is
//! ignored.
//!
//! A journal is a sequence of records; the last one holds. So another record can be added in a place where the user can
//! rename nothing.
//!
//! What has the final name was whole once, so it is never removed unread. A damaged journal is set aside
//! (`salvage.rs`). So is a journal whose mailbox had a sync that failed, once all of it was written again
//! (`set_aside.rs`).

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use fs2::FileExt as _;

use crate::error::{Category, Error};
use crate::mailbox::expunge::journal_record::{
    FAILED_AT, HEAD_BYTES, Record, SYNCED_AT, TRUNCATED_AT, last_record, synced_note,
};
pub use crate::mailbox::expunge::journal_record::{RecordHeader, Undo};
use crate::mailbox::expunge::journal_units::{Writer, read_content};
use crate::mailbox::expunge::set_aside::{self, SetAsideReason};
use crate::mailbox::in_place::write_again;
use crate::mailbox::ranges::{Hashing, Ranges, STEP_BYTES};
use crate::sys::dirs::{own_file, sync_parent};
use crate::sys::file_stamp::is_still;
use crate::sys::read_at::{ReadAt, each_piece};

/// Tells whether a file may be a journal of the mailbox that `uid` owns. In a directory that others write to, anybody
/// could put one.
pub(super) fn is_trusted(stat: &std::fs::Metadata, uid: u32) -> bool {
    stat.is_file() && stat.nlink() == 1 && (stat.uid() == uid || stat.uid() == 0)
}

/// The journal of a mailbox.
#[derive(Debug)]
#[must_use]
pub struct Journal {
    pub(super) place: PathBuf,
    pub(super) file: File,
    /// Where the record that holds begins.
    pub(super) at: u64,
    pub(super) record: Record,
}

/// What lies in the place of a journal.
#[derive(Debug)]
#[must_use]
pub enum Pending {
    /// Nothing that says anything.
    None,
    /// A journal, all of it.
    Whole(Journal),
    /// What was one.
    Damaged(DamagedJournal),
}

/// A journal of which a part is not as it was written.
#[derive(Debug)]
#[must_use]
pub struct DamagedJournal {
    pub(super) place: PathBuf,
    pub(super) file: File,
}

impl DamagedJournal {
    /// Sets it aside for good. Where it is then.
    pub fn set_aside(self) -> Result<PathBuf, Error> {
        set_aside::put_aside(&self.place, &self.file, SetAsideReason::Bad)
    }
}

impl Pending {
    /// Looks at `place`. One look when nothing is there. Fails when a journal cannot be read, or somebody else acts by
    /// it just now.
    pub fn find(place: &Path, uid: u32) -> Result<Self, Error> {
        match place.symlink_metadata() {
            Ok(stat) if is_trusted(&stat, uid) => {}
            // Not there, or somebody else's.
            _ => return Ok(Self::None),
        }
        let fail = |e: io::Error| {
            Error::io("read journal", place, &e)
                .class(Category::Mailbox)
                .hint("a run of spoolguard spool was interrupted; any such run as root mends it")
        };
        let file = own_file().read(true).write(true).open(place).map_err(fail)?;
        match file.try_lock_exclusive() {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                let cause = "another spoolguard changes the mailbox by it";
                return Err(Error::new(Category::Mailbox, "use journal", place.display(), cause));
            }
            Err(e) => return Err(fail(e)),
        }
        let stat = file.metadata().map_err(fail)?;
        if !is_trusted(&stat, uid) || !is_still(&file, place)? || set_aside::is_labelled(&file).map_err(fail)? {
            return Ok(Self::None);
        }
        let place = place.to_owned();
        let Some((at, record)) = last_record(&file, stat.len()).map_err(fail)? else {
            return Ok(Self::Damaged(DamagedJournal { place, file }));
        };
        if at > 0 {
            // The first record was synced before it had this name. Of another nobody knows.
            write_again(&file, 0, stat.len(), || {})
                .and_then(|()| file.sync_all())
                .map_err(fail)?;
        }
        // A kill may have come between the rename and the sync of the directory. Where the user may not read that, the
        // user did not make the journal there either.
        match sync_parent(&place) {
            Err(e) if e.kind() != io::ErrorKind::PermissionDenied => return Err(fail(e)),
            _ => {}
        }
        Ok(Self::Whole(Journal {
            place,
            file,
            at,
            record,
        }))
    }
}

impl Journal {
    /// Reads content from byte `at` on.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.record.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        read_content(&self.file, self.at + HEAD_BYTES, buffer, at)
    }

    /// Notes that the mailbox was cut off.
    pub fn mark_truncated(&mut self) -> Result<(), Error> {
        self.note(TRUNCATED_AT, b"T")?;
        self.record.truncated = true;
        Ok(())
    }

    /// Notes that so much of the content is in the mailbox, and synced.
    pub fn note_synced(&mut self, bytes: u64) -> Result<(), Error> {
        self.note(SYNCED_AT, synced_note(bytes).as_bytes())?;
        self.record.synced_bytes = bytes;
        Ok(())
    }

    /// Notes that a sync of the mailbox failed. Where that cannot be written, the next run does what it can without.
    pub fn mark_failed(&mut self) {
        let _ = self.note(FAILED_AT, b"E");
        self.record.sync_failed = true;
    }

    fn note(&self, at: u64, text: &[u8]) -> Result<(), Error> {
        self.file
            .write_all_at(text, self.at + at)
            .and_then(|()| self.file.sync_data())
            .map_err(|e| Error::io("write journal", &self.place, &e))
    }

    /// Lets another record hold: the content so far, and `more` behind it. Fails when it cannot be written; then the
    /// former record holds.
    pub fn extend(&mut self, head: RecordHeader, more: impl Read) -> Result<(), Error> {
        self.hold(head, &Ranges::from(0..self.record.bytes), more)
    }

    /// Lets another record hold: these parts of the content so far. Fails when it cannot be written; then the former
    /// record holds.
    pub fn keep(&mut self, head: RecordHeader, parts: &Ranges) -> Result<(), Error> {
        self.hold(head, parts, io::empty())
    }

    fn hold(&mut self, head: RecordHeader, parts: &Ranges, more: impl Read) -> Result<(), Error> {
        let fail = |e: io::Error| Error::io("write journal", &self.place, &e);
        let start = self.record.end(self.at);
        self.file.set_len(start).map_err(fail)?;
        let to = At {
            file: &self.file,
            at: start + HEAD_BYTES,
        };
        let mut to = Writer::new(BufWriter::with_capacity(STEP_BYTES, to));
        let mut content = Hashing::new(parts.reader(&*self).chain(more));
        each_piece(&mut content, STEP_BYTES, |piece| to.write_all(piece)).map_err(fail)?;
        to.finish().map_err(fail)?;
        let mut record = Record::new(head, to.bytes(), content.finish().0);
        record.sync_failed = self.record.sync_failed;
        self.file.sync_all().map_err(fail)?;
        // Only now: a head without its content would say that the journal is damaged.
        self.file.write_all_at(&record.written(), start).map_err(fail)?;
        self.file.sync_all().map_err(fail)?;
        (self.at, self.record) = (start, record);
        Ok(())
    }

    /// Removes it: everything it says was done and synced, or nothing. Where a sync failed in between, it is kept for
    /// good, and this is where. Fails when it has to be kept, and cannot be set aside.
    pub fn mark_done(self) -> Result<Option<PathBuf>, Error> {
        if self.record.sync_failed {
            return set_aside::put_aside(&self.place, &self.file, SetAsideReason::SyncFailed).map(Some);
        }
        set_aside::remove_journal(&self.place, &self.file);
        Ok(None)
    }
}

impl ReadAt for Journal {
    fn length(&self) -> io::Result<u64> {
        Ok(self.record.bytes)
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buffer, at)
    }
}

/// Writes from a place of a file on.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Write for At<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(bytes, self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
