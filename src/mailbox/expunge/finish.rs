//! The last steps of an expunge, done by the run that committed the journal or by the next one that locks the mailbox:
//! cut the mailbox off, append the journal's content, sync, remove the journal.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::sys::stat::futimens;
use nix::sys::time::{TimeSpec, TimeValLike};
use sha2::{Digest, Sha256};

use crate::error::{Category, Error};
use crate::mailbox::expunge::journal::Journal;
use crate::mailbox::lock::Locked;
use crate::mailbox::ranges::{Hash, STEP_BYTES};
use crate::sys::deadline::Deadline;

/// How much of what stood in the mailbox is remembered, at either end, in bytes.
const BEFORE_BYTES: u64 = 64 << 10;

/// Refused to those who do not own the mailbox; then it looks as if mail came.
pub(super) fn set_times(file: &File, (accessed, modified): (i128, i128)) {
    let spec = |nanoseconds: i128| TimeSpec::nanoseconds(i64::try_from(nanoseconds).unwrap_or_default());
    let _ = futimens(file, &spec(accessed), &spec(modified));
}

/// What stands in the mailbox between two places, in short.
pub(super) fn hash_before(file: &File, from: u64, until: u64) -> io::Result<Hash> {
    let mut sha = Sha256::new();
    let mut buffer = vec![0; BEFORE_BYTES as usize];
    for (start, end) in [
        (from, until.min(from + BEFORE_BYTES)),
        (until.saturating_sub(BEFORE_BYTES).max(from), until),
    ] {
        let length = usize::try_from(end.saturating_sub(start)).unwrap_or_default();
        let part = buffer.get_mut(..length).unwrap_or_default();
        file.read_exact_at(part, start)?;
        sha.update(part);
    }
    Ok(sha.finalize().into())
}

pub(super) fn cut_off(file: &File, from: u64) -> io::Result<()> {
    file.set_len(from)?;
    file.sync_all()
}

/// Cuts the mailbox off behind as much of the journal's content as is synced, and appends the rest. The mailbox's
/// length afterwards.
///
/// A sync that fails is noted in the journal, which is kept for good then: the kernel may hold pages for clean that the
/// disk never saw.
pub(super) fn finish_expunge(
    locked: &mut Locked,
    mut journal: Journal,
    deadline: Option<&Deadline>,
) -> Result<u64, Error> {
    let path = locked.path().to_owned();
    let place = journal.place.clone();
    let done = move_content(locked, &mut journal, deadline);
    if let Err(e) = done {
        return Err(unfinished_error(&path, &place, &e));
    }
    let times = journal.record.head.times;
    if times.1 > 0 {
        set_times(locked.file(), times);
    }
    conclude_expunge(locked, journal)
}

fn move_content(locked: &Locked, journal: &mut Journal, deadline: Option<&Deadline>) -> io::Result<()> {
    let synced_bytes = journal.record.synced_bytes;
    let cut = cut_off(locked.file(), journal.record.head.from + synced_bytes);
    cut.inspect_err(|_| journal.mark_failed())?;
    if !journal.record.truncated {
        journal.mark_truncated().map_err(io::Error::other)?;
    }
    append(locked, journal, synced_bytes, deadline)
}

/// It was begun, and what is missing is in the journal.
pub(super) fn unfinished_error(mailbox: &Path, journal: &Path, e: &io::Error) -> Error {
    let place = journal.display();
    Error::io("finish the cut of", mailbox, e)
        .class(Category::Mailbox)
        .hint(format!(
            "what is missing is in {place}; the next run of spoolguard on this mailbox goes on"
        ))
}

/// Appends the journal's content from byte `at` on, and syncs. A run that has no more time stops in between: the next
/// one goes on.
fn append(locked: &Locked, journal: &mut Journal, mut at: u64, deadline: Option<&Deadline>) -> io::Result<()> {
    let mut file = locked.file();
    let mut buffer = vec![0; STEP_BYTES];
    loop {
        let read = journal.read_at(&mut buffer, at)?;
        if read == 0 {
            break;
        }
        file.write_all(buffer.get(..read).unwrap_or_default())?;
        at += read as u64;
        locked.refresh();
        if deadline.is_some_and(|deadline| deadline.remaining().is_zero()) {
            sync_noted(locked, journal)?;
            // Only what was seen to be synced need not be written again.
            journal.note_synced(at).map_err(io::Error::other)?;
            return Err(io::Error::other("it takes more than one run; the next one goes on"));
        }
    }
    sync_noted(locked, journal)
}

/// Syncs the mailbox. A failure is noted in the journal.
pub(super) fn sync_noted(locked: &Locked, journal: &mut Journal) -> io::Result<()> {
    locked.file().sync_all().inspect_err(|_| journal.mark_failed())
}

/// Removes the journal, of which everything is synced. The mailbox's length.
pub(super) fn conclude_expunge(locked: &mut Locked, journal: Journal) -> Result<u64, Error> {
    let kept = journal.mark_done()?;
    locked.note_set_aside(kept);
    locked.length()
}
