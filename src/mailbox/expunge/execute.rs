//! The cut itself.
//!
//! Preparing needs no lock. Under the lock: make sure that the bytes that go are the ones that were looked at, add what came meanwhile
//! to the journal, commit it, cut the mailbox off, append. Before the commit nothing has happened, and everything can be left
//! as it is; after it, everything is done in the end, by this run or by the next one that locks the mailbox.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::stat::futimens;
use nix::sys::time::{TimeSpec, TimeValLike};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::error::{Category, Error};
use crate::mailbox::OpenMailbox;
use crate::mailbox::expunge::imap_state;
use crate::mailbox::expunge::journal::{Journal, JournalDraft, RecordHeader, Undo};
use crate::mailbox::expunge::snapshot::{Changes, Snapshot};
use crate::mailbox::format::ctime;
use crate::mailbox::lock::Locked;
use crate::mailbox::ranges::{Hash, Hashing, Ranges, STEP_BYTES};
use crate::sys::deadline::Deadline;
use crate::sys::file_stamp::modified_nanoseconds;

/// What is hashed under the lock when something was written to the mailbox since the look; more would keep deliveries waiting.
pub const QUICK_BYTES: u64 = 64 << 20;

/// How much of what stood in the mailbox is remembered, at either end, in bytes.
const BEFORE_BYTES: u64 = 64 << 10;

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

/// Whether a message stays that the user has not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unread {
    /// One stays.
    Stays,
    /// None stays, of those that were looked at.
    #[default]
    None,
}

/// How sure the caller is that the mailbox still holds what it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotTrust {
    /// It looked once.
    Once,
    /// It read everything again, just before. Then it is enough that nothing moved.
    Twice,
}

/// A cut of which everything is done that needs no lock.
#[derive(Debug)]
pub struct Prepared {
    draft: JournalDraft,
    kept: Ranges,
    kept_hash: Hash,
}

/// How a cut ended.
#[derive(Debug)]
#[must_use]
pub enum Expunge {
    /// It is done.
    Done(Expunged),
    /// Something was written to the mailbox, and it is too large to be read under the lock: read it again (`reread`), and come back.
    InDoubt(Box<Prepared>),
    /// The mailbox holds something else than what was looked at. Nothing happened.
    Changed,
    /// It was begun, and could not be finished. What is missing is in the journal, and the next run goes on.
    Unfinished(Error),
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expunged {
    /// The mailbox's length now, in bytes.
    pub bytes: u64,
    /// What came meanwhile, in bytes.
    pub arrived_bytes: u64,
    /// For how long the mailbox was locked.
    pub held: Duration,
}

impl Prepared {
    /// Writes what stays behind the first message that goes to a journal. `step` is told how many bytes were copied, and may stop it.
    pub fn new(
        look: &Snapshot,
        plan: &ExpungePlan,
        place: &Path,
        mut step: impl FnMut(u64) -> io::Result<()>,
    ) -> Result<Self, Error> {
        let fail = |e: io::Error| unwritten(look.path(), &e);
        let stat = look.file().metadata().map_err(fail)?;
        let mut draft = JournalDraft::begin(place, stat.uid(), stat.gid())?;
        let kept = plan.taken.gaps(look.bytes());
        let mut from = Hashing::new(kept.reader(look.file()));
        let mut buffer = vec![0; STEP_BYTES];
        let mut carry = plan.carried();
        loop {
            let read = from.read(&mut buffer).map_err(fail)?;
            if read == 0 {
                break;
            }
            put(&mut draft, buffer.get(..read).unwrap_or_default(), &mut carry).map_err(fail)?;
            step(read as u64).map_err(fail)?;
        }
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
        self.stands(look.file(), plan, step)
            .map_err(|e| Error::io("read", look.path(), &e))
    }

    fn stands(&self, file: &File, plan: &ExpungePlan, mut step: impl FnMut(u64) -> io::Result<()>) -> io::Result<bool> {
        Ok(plan.taken.hash(file, &mut step)? == plan.hash && self.kept.hash(file, &mut step)? == self.kept_hash)
    }
}

impl ExpungePlan {
    /// The field that the first message which stays has to get; none where the first message of the mailbox stays.
    fn carried(&self) -> Option<Vec<u8>> {
        let base = self.imap_base.as_ref().filter(|_| self.taken.start() == Some(0))?;
        Some(imap_state::write_base_field(base))
    }

    /// Tells whether what goes and stays, as far as it is looked at, can be read in no time.
    fn is_quick(&self, prepared: &Prepared) -> bool {
        self.taken.bytes() + prepared.kept.bytes() <= QUICK_BYTES
    }
}

/// The journal cannot be written. Then nothing happened.
fn unwritten(mailbox: &Path, e: &io::Error) -> Error {
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
fn put(draft: &mut JournalDraft, part: &[u8], carry: &mut Option<Vec<u8>>) -> io::Result<()> {
    match carry.take() {
        Some(field) => draft.write_all(&imap_state::insert_field(part, &field)),
        None => draft.write_all(part),
    }
}

/// Cuts what the plan says out of the locked mailbox. What came behind that which was looked at stays.
///
/// # Errors
/// When it cannot be done. Then nothing happened.
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
    match standing(locked, look, plan, &prepared, trust)? {
        Standing::AsSeen => {}
        Standing::Changed => return Ok(Expunge::Changed),
        Standing::InDoubt => return Ok(Expunge::InDoubt(Box::new(prepared))),
    }
    let stat = locked.file().metadata().map_err(fail)?;
    let arrived = arrived(locked.file(), look.bytes(), stat.len(), plan).map_err(fail)?;
    let Some(arrived) = arrived else {
        return Ok(Expunge::Changed);
    };
    let mut draft = prepared.draft;
    add_arrived(&mut draft, plan, arrived.reader(locked.file())).map_err(|e| unwritten(look.path(), &e))?;
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
        Ok(journal) => finish_expunge(locked.locked_mut(), journal, None),
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
            arrived_bytes,
            held: begun.elapsed(),
        }),
        Err(e) => Expunge::Unfinished(e),
    })
}

/// Whether a locked mailbox holds what was looked at.
enum Standing {
    AsSeen,
    Changed,
    /// It is too large to be read under the lock.
    InDoubt,
}

fn standing(
    locked: &OpenMailbox,
    look: &Snapshot,
    plan: &ExpungePlan,
    prepared: &Prepared,
    trust: SnapshotTrust,
) -> Result<Standing, Error> {
    let fail = |e: io::Error| Error::io("read", look.path(), &e);
    let stands = match (look.since(locked)?, trust) {
        (Changes::Nothing, _) => true,
        (Changes::Changed, _) => false,
        (Changes::Written, _) if plan.is_quick(prepared) => {
            prepared.stands(locked.file(), plan, |_| Ok(())).map_err(fail)?
        }
        (Changes::Written, SnapshotTrust::Once) => return Ok(Standing::InDoubt),
        (Changes::Written, SnapshotTrust::Twice) => {
            // What is moved is compared, whatever that takes: moving it takes longer.
            let hash = prepared.kept.hash(locked.file(), |_| {
                locked.refresh();
                Ok(())
            });
            hash.map_err(fail)? == prepared.kept_hash
        }
    };
    Ok(if stands { Standing::AsSeen } else { Standing::Changed })
}

/// Adds what came meanwhile to what stays; and, where nothing stays that could carry what an IMAP server keeps, a message that does.
fn add_arrived(draft: &mut JournalDraft, plan: &ExpungePlan, mut arrived: impl Read) -> io::Result<()> {
    let mut carry = plan.carried().filter(|_| draft.bytes() == 0);
    let mut buffer = vec![0; STEP_BYTES];
    loop {
        let read = arrived.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        put(draft, buffer.get(..read).unwrap_or_default(), &mut carry)?;
    }
    match (carry, &plan.imap_base) {
        (Some(_), Some(base)) => draft.write_all(&imap_state::write_internal_message(base, &ctime(plan.date))),
        (Some(_) | None, _) => Ok(()),
    }
}

/// What came behind what was looked at; none where that is not the beginning of a message, and so part of one that was looked at.
fn arrived(file: &File, seen: u64, now: u64, plan: &ExpungePlan) -> io::Result<Option<Ranges>> {
    let mut arrived = Ranges::new();
    if now == seen {
        return Ok(Some(arrived));
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
    arrived.push(seen + if last_goes { ends as u64 } else { 0 }..now);
    Ok(Some(arrived))
}

/// The times that keep "new mail" right: modified later than read exactly when it was so, and something unread is there.
fn times_after(stat: &std::fs::Metadata, unread: Unread, arrived_bytes: u64) -> (i128, i128) {
    let accessed = i128::from(stat.atime()) * 1_000_000_000 + i128::from(stat.atime_nsec());
    let modified = modified_nanoseconds(stat);
    if unread == Unread::Stays || arrived_bytes > 0 {
        (accessed, modified)
    } else {
        (accessed.max(modified), modified)
    }
}

/// Refused to those who do not own the mailbox; then it looks as if mail came.
fn set_times(file: &File, (accessed, modified): (i128, i128)) {
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

fn cut_off(file: &File, from: u64) -> io::Result<()> {
    file.set_len(from)?;
    file.sync_all()
}

/// Cuts the mailbox off behind as much of the journal's content as is synced, and appends the rest. The mailbox's length afterwards.
///
/// A sync that fails is noted in the journal, which is kept for good then: the kernel may hold pages for clean that the disk never saw.
pub(super) fn finish_expunge(
    locked: &mut Locked,
    mut journal: Journal,
    deadline: Option<&Deadline>,
) -> Result<u64, Error> {
    let path = locked.path().to_owned();
    let place = journal.place().to_owned();
    let done = move_content(locked, &mut journal, deadline);
    if let Err(e) = done {
        return Err(unfinished_error(&path, &place, &e));
    }
    conclude_expunge(locked, journal, Foreign::None)
}

fn move_content(locked: &Locked, journal: &mut Journal, deadline: Option<&Deadline>) -> io::Result<()> {
    let synced_bytes = journal.synced_bytes();
    let cut = cut_off(locked.file(), journal.head().from + synced_bytes);
    cut.inspect_err(|_| journal.mark_failed())?;
    if !journal.is_truncated() {
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

/// Appends the journal's content from byte `at` on, and syncs. A run that has no more time stops in between: the next one goes on.
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

/// Whether others appended behind the journal's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    None,
    Behind,
}

/// Sets the times, and removes the journal, of which everything is synced. The mailbox's length.
pub(super) fn conclude_expunge(locked: &mut Locked, journal: Journal, foreign: Foreign) -> Result<u64, Error> {
    let times = journal.head().times;
    if foreign == Foreign::None && times.1 > 0 {
        set_times(locked.file(), times);
    }
    let kept = journal.done()?;
    locked.note_set_aside(kept);
    locked.length()
}
