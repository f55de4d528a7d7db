//! Prepares an expunge before the mailbox is locked: copies what stays into a journal, and hashes it, however long that
//! takes. Nothing has happened yet, and everything can be left as it is.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use time::OffsetDateTime;

use crate::error::Error;
use crate::mailbox::expunge::imap_state;
use crate::mailbox::expunge::journal_draft::JournalDraft;
use crate::mailbox::expunge::snapshot::Snapshot;
use crate::mailbox::ranges::{Hash, Hashing, Ranges, STEP_BYTES};
use crate::sys::read_at::each_piece;

/// What is hashed under the lock when something was written to the mailbox since the look; more would keep deliveries
/// waiting.
pub const QUICK_BYTES: u64 = 64 << 20;

/// What goes, and what is known about the rest.
#[derive(Clone, Debug)]
pub struct ExpungePlan {
    /// What goes. Each part begins and ends where a message does.
    pub taken: Ranges,
    /// What that hashes to.
    pub hash: Hash,
    /// What `X-IMAPbase` says in the first message, if that goes.
    pub imap_base: Option<Vec<u8>>,
    /// Whether a message stays that the user has not seen.
    pub unread: Unread,
    /// Where the messages that go are safe.
    pub archive: String,
    /// The time, for the separator line of a message that the mailbox may need.
    pub date: OffsetDateTime,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unread {
    Stays,
    /// None stays, of those that were looked at.
    #[default]
    None,
}

/// A cut of which everything is done that needs no lock.
#[derive(Debug)]
pub struct Prepared {
    pub(super) draft: JournalDraft,
    pub(super) kept: Ranges,
    pub(super) kept_hash: Hash,
}

impl Prepared {
    /// Writes what stays behind the first message that goes to a journal. `step` is told how many bytes were copied,
    /// and may stop it.
    pub fn new(
        look: &Snapshot,
        plan: &ExpungePlan,
        place: &Path,
        mut step: impl FnMut(u64) -> io::Result<()>,
    ) -> Result<Self, Error> {
        let fail = |e: io::Error| unwritten_error(look.path(), &e);
        let stat = look.file().metadata().map_err(fail)?;
        let mut draft = JournalDraft::begin(place, stat.uid(), stat.gid())?;
        let kept = plan.taken.gaps(look.bytes());
        let mut from = Hashing::new(kept.reader(look.file()));
        let mut carry = plan.carried_field();
        each_piece(&mut from, STEP_BYTES, |piece| {
            write_kept(&mut draft, piece, &mut carry)?;
            step(piece.len() as u64)
        })
        .map_err(fail)?;
        // Where nothing is moved, a disk that is full to the last byte is no obstacle.
        if draft.bytes() > 0 {
            draft.sync().map_err(fail)?;
        }
        Ok(Self {
            draft,
            kept_hash: from.finish().0,
            kept,
        })
    }

    /// Reads everything again, without a lock, and tells whether it still is what it was.
    pub fn reread(
        &self,
        look: &Snapshot,
        plan: &ExpungePlan,
        step: impl FnMut(u64) -> io::Result<()>,
    ) -> Result<bool, Error> {
        self.still_holds(look.file(), plan, step)
            .map_err(|e| Error::io("read", look.path(), &e))
    }

    pub(super) fn still_holds(
        &self,
        file: &File,
        plan: &ExpungePlan,
        mut step: impl FnMut(u64) -> io::Result<()>,
    ) -> io::Result<bool> {
        Ok(plan.taken.hash(file, &mut step)? == plan.hash && self.kept.hash(file, &mut step)? == self.kept_hash)
    }
}

impl ExpungePlan {
    /// The field that the first message which stays has to get; none where the first message of the mailbox stays.
    pub(super) fn carried_field(&self) -> Option<Vec<u8>> {
        let base = self.imap_base.as_ref().filter(|_| self.taken.start() == Some(0))?;
        Some(imap_state::write_base_field(base))
    }

    /// Tells whether what goes and stays, as far as it is looked at, can be read in no time.
    pub(super) fn is_quick(&self, prepared: &Prepared) -> bool {
        self.taken.bytes() + prepared.kept.bytes() <= QUICK_BYTES
    }
}

/// The journal cannot be written. Then nothing happened.
pub(super) fn unwritten_error(mailbox: &Path, e: &io::Error) -> Error {
    let error = Error::io("write the journal of", mailbox, e);
    if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        error.hint(
            "nothing was taken out; make room beside the mailbox for what stays, or use --all-mail, which needs none",
        )
    } else {
        error
    }
}

/// Writes a part; the first one gets the field.
pub(super) fn write_kept(draft: &mut JournalDraft, part: &[u8], carry: &mut Option<Vec<u8>>) -> io::Result<()> {
    match carry.take() {
        Some(field) => draft.write_all(&imap_state::insert_field(part, &field)),
        None => draft.write_all(part),
    }
}
