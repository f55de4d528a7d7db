//! Expunges under the lock.
//!
//! It makes sure that the bytes that go are the ones that were looked at, and adds what came meanwhile to the journal.
//! Then it commits the journal, cuts the mailbox off, and appends. Before the commit nothing has happened, and
//! everything can be left as it is. After the commit everything is done in the end, by this run or by the next one that
//! locks the mailbox.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::mailbox::OpenMailbox;
use crate::mailbox::expunge::finish::{cut_off, finish_expunge, hash_before, set_times};
use crate::mailbox::expunge::imap_state;
use crate::mailbox::expunge::journal::{RecordHeader, Undo};
use crate::mailbox::expunge::journal_draft::JournalDraft;
use crate::mailbox::expunge::prepare::{ExpungePlan, Prepared, Unread, unwritten_error, write_kept};
use crate::mailbox::expunge::snapshot::{Changes, Snapshot};
use crate::mailbox::format::ctime_text;
use crate::mailbox::ranges::{Ranges, STEP_BYTES};
use crate::sys::file_stamp::modified_nanoseconds;
use crate::sys::read_at::each_piece;

/// How sure the caller is that the mailbox still holds what it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotTrust {
    /// It looked once.
    Once,
    /// It read everything again, just before. Then it is enough that nothing moved.
    Twice,
}

#[derive(Debug)]
#[must_use]
pub enum Expunge {
    Done(Expunged),
    /// Something was written to the mailbox, and it is too large to be read under the lock: read it again (`reread`),
    /// and come back.
    InDoubt(Box<Prepared>),
    /// The mailbox holds something else than what was looked at. Nothing happened.
    Changed,
    /// It was begun, and could not be finished. What is missing is in the journal, and the next run goes on.
    Unfinished(Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expunged {
    /// The mailbox's length now, in bytes.
    pub bytes: u64,
    /// For how long the mailbox was locked.
    pub held: Duration,
}

/// Cuts what the plan says out of the locked mailbox. What came behind that which was looked at stays. Fails when it
/// cannot be done. Then nothing happened.
pub fn expunge(
    locked: &mut OpenMailbox,
    look: &Snapshot,
    plan: &ExpungePlan,
    prepared: Prepared,
    trust: SnapshotTrust,
) -> Result<Expunge, Error> {
    let begun = Instant::now();
    let fail = |e: io::Error| Error::io("read", look.path(), &e);
    let Some(from) = plan.taken.start() else {
        return Ok(Expunge::Changed);
    };
    match changes(locked, look, plan, &prepared, trust)? {
        Changes::Nothing => {}
        Changes::Written => return Ok(Expunge::InDoubt(Box::new(prepared))),
        Changes::Changed => return Ok(Expunge::Changed),
    }
    let stat = locked.file().metadata().map_err(fail)?;
    let arrived = arrived(locked.file(), look.bytes(), stat.len(), plan).map_err(fail)?;
    let Some(arrived) = arrived else {
        return Ok(Expunge::Changed);
    };
    let mut draft = prepared.draft;
    add_arrived(&mut draft, plan, arrived.reader(locked.file())).map_err(|e| unwritten_error(look.path(), &e))?;
    let arrived_bytes = arrived.bytes();
    let times = times_after(&stat, plan.unread, arrived_bytes);
    let head = RecordHeader {
        from,
        until: stat.len(),
        before: hash_before(locked.file(), from, stat.len()).map_err(fail)?,
        undo: Undo::Possible,
        times,
        archive: plan.archive.clone(),
    };
    let is_all = draft.bytes() == 0;
    let finished = match draft.commit(head) {
        Ok(journal) => finish_expunge(&mut locked.locked, journal, None),
        // Nothing has to be moved, and cutting off is one step: on a full disk it makes room.
        Err(_) if is_all => cut_off(locked.file(), from)
            .map(|()| set_times(locked.file(), times))
            .map(|()| from)
            .map_err(|e| Error::io("cut off", look.path(), &e)),
        Err(e) => return Err(e),
    };
    Ok(match finished {
        Ok(bytes) => Expunge::Done(Expunged {
            bytes,
            held: begun.elapsed(),
        }),
        Err(e) => Expunge::Unfinished(e),
    })
}

/// What happened to the mailbox since the look: `Written` where that is not known, since it is too large to be read
/// under the lock.
fn changes(
    locked: &OpenMailbox,
    look: &Snapshot,
    plan: &ExpungePlan,
    prepared: &Prepared,
    trust: SnapshotTrust,
) -> Result<Changes, Error> {
    let fail = |e: io::Error| Error::io("read", look.path(), &e);
    let holds = match (look.changes_since(locked)?, trust) {
        (known @ (Changes::Nothing | Changes::Changed), _) => return Ok(known),
        (Changes::Written, _) if plan.is_quick(prepared) => {
            prepared.still_holds(locked.file(), plan, |_| Ok(())).map_err(fail)?
        }
        (Changes::Written, SnapshotTrust::Once) => return Ok(Changes::Written),
        (Changes::Written, SnapshotTrust::Twice) => {
            // What is moved is compared, whatever that takes: moving it takes longer.
            let hash = prepared.kept.hash(locked.file(), |_| {
                locked.refresh();
                Ok(())
            });
            hash.map_err(fail)? == prepared.kept_hash
        }
    };
    Ok(if holds { Changes::Nothing } else { Changes::Changed })
}

/// Adds what came meanwhile to what stays; and, where nothing stays that could carry what an IMAP server keeps, a
/// message that does.
fn add_arrived(draft: &mut JournalDraft, plan: &ExpungePlan, arrived: impl Read) -> io::Result<()> {
    let mut carry = plan.carried_field().filter(|_| draft.bytes() == 0);
    each_piece(arrived, STEP_BYTES, |piece| write_kept(draft, piece, &mut carry))?;
    match (carry, &plan.imap_base) {
        (Some(_), Some(base)) => draft.write_all(&imap_state::write_internal_message(base, &ctime_text(plan.date))),
        (Some(_) | None, _) => Ok(()),
    }
}

/// What came behind what was looked at; none where that is not the beginning of a message, and so part of one that was
/// looked at.
fn arrived(file: &File, seen: u64, now: u64, plan: &ExpungePlan) -> io::Result<Option<Ranges>> {
    if now == seen {
        return Ok(Some(Ranges::default()));
    }
    let mut start = [0; 8];
    let read = file.read_at(&mut start, seen)?;
    let start = start.get(..read).unwrap_or_default();
    // A delivery closes a message that was cut short before it begins its own.
    let ends = start.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    if !start.get(ends..).unwrap_or_default().starts_with(b"Fro") {
        return Ok(None);
    }
    let last_goes = plan.taken.end() == Some(seen);
    let from = seen + if last_goes { ends as u64 } else { 0 };
    Ok(Some(Ranges::from(from..now)))
}

/// The times that keep "new mail" right: modified later than read exactly when it was so, and something unread is
/// there.
fn times_after(stat: &std::fs::Metadata, unread: Unread, arrived_bytes: u64) -> (i128, i128) {
    let accessed = i128::from(stat.atime()) * 1_000_000_000 + i128::from(stat.atime_nsec());
    let modified = modified_nanoseconds(stat);
    if unread == Unread::Stays || arrived_bytes > 0 {
        (accessed, modified)
    } else {
        (accessed.max(modified), modified)
    }
}
