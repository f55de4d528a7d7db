//! Puts archived messages back into a mailbox: those that are not there, byte for byte, at its end.
//!
//! What is there is told by content, and looked at again under the lock before each batch is written. So nothing comes
//! twice, even after a kill, or when two runs are at it. Batches are small, and synced: a delivery that waits for the
//! lock waits for one of them. When a batch cannot be written, the mailbox is as it was before that batch. The next run
//! that locks the mailbox cuts off a part of a message that a killed run left (`mailbox/intent.rs`). Where the file
//! system knows no attributes, it is cut off when that message is put back as a whole.

pub mod into_maildir;
pub mod known;
mod mailbox_end;
pub mod target;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::archive::messages::Archived;
use crate::deliver::recovery_log::log_recovery;
use crate::error::{Category, Error};
use crate::mailbox::append::{self, Piece};
use crate::mailbox::content_hash::ContentHash;
use crate::mailbox::open::open_existing;
use crate::mailbox::{OpenMailbox, open_locked};
use crate::message::Message;
use crate::spool::context::RunMode;
use crate::spool::merge::known::{Known, Since};
use crate::spool::merge::mailbox_end::{begins_with, has_new_mail, is_same, look_read, missing_end};
use crate::spool::merge::target::{MergeInto, MergeTally, MergeTarget, Stop};
use crate::sys::deadline::is_stopped;
use crate::sys::filesystem;

/// How much is written under one lock, in bytes; a larger message alone.
const BATCH_BYTES: usize = 2 << 20;

/// How much new mail is read under a lock, in bytes. It takes some hundredths of a second.
const UNDER_LOCK_BYTES: u64 = 8 << 20;

/// For so long mail that comes in is caught up with, even where no lock is waited for.
const SHORTEST_CATCH_UP: Duration = Duration::from_secs(1);

/// Messages that wait to be written together.
#[derive(Default)]
struct MessageBatch {
    bytes: Vec<u8>,
    items: Vec<BatchItem>,
}

#[derive(Clone, Copy)]
struct BatchItem {
    hash: ContentHash,
    /// A mail client noted that its user has seen it.
    is_seen: bool,
    start: usize,
    end: usize,
}

/// One run over an archive.
pub struct Merge<'a> {
    target: MergeTarget<'a>,
    known: Known<'a>,
    batch: MessageBatch,
    /// What the mailbox would hold, when it is only rehearsed, in bytes.
    rehearsed_bytes: u64,
    tally: MergeTally,
}

impl<'a> Merge<'a> {
    pub fn begin(target: MergeTarget<'a>) -> Result<Self, Stop> {
        let mut merge = Self {
            target,
            known: Known::new(target.sameness),
            batch: MessageBatch::default(),
            rehearsed_bytes: 0,
            tally: MergeTally::default(),
        };
        merge.put_in_order()?;
        merge.look(None)?;
        Ok(merge)
    }

    /// Puts in order what a killed run left, before any of it counts as there: until then the disk may not have it.
    fn put_in_order(&self) -> Result<(), Stop> {
        let MergeTarget { path, plan, mode, .. } = self.target;
        if mode == RunMode::Execute && open_existing(path, plan.owner)?.is_some() {
            log_recovery(&open_locked(path, plan, self.target.deadline)?);
        }
        Ok(())
    }

    /// Tells whether such a message is there, and counts it as found: of as many as are offered, each once.
    pub fn find_once(&mut self, archived: &Archived<'_>) -> Result<bool, Stop> {
        let hash = self.known.content_hash(archived.bytes(), &archived.stored)?;
        let found = self.known.find_once(hash);
        self.tally.present += u64::from(found);
        Ok(found)
    }

    fn name(&self) -> String {
        self.target.path.display().to_string()
    }

    fn unreadable(&self, e: &io::Error) -> Stop {
        Stop::Failed(Error::io("read", self.target.path, e).class(Category::Mailbox))
    }

    /// Reads the mailbox without a lock: however large it is, no delivery waits. What came since is read by `until`.
    fn look(&mut self, until: Option<Instant>) -> Result<(), Stop> {
        let Some(file) = open_existing(self.target.path, self.target.plan.owner)? else {
            return Ok(());
        };
        let is_over = || is_stopped() || is_past(until);
        let since = self.known.catch_up(&file, u64::MAX, is_over);
        match since.map_err(|e| self.unreadable(&e))? {
            Since::Grown | Since::GrownMuch => Ok(()),
            Since::Changed => Err(Stop::Again),
            Since::Unread => {
                self.target.deadline.check("restore into", &self.name())?;
                Err(self.outgrown())
            }
        }
    }

    /// For how long to catch up with what comes in: as long as for a lock that somebody else holds.
    fn catching_up(&self) -> Duration {
        self.target.plan.timeout.max(SHORTEST_CATCH_UP)
    }

    fn outgrown(&self) -> Stop {
        let waited = self.catching_up().as_secs();
        let cause = format!("mail comes in faster than it is read, for longer than {waited} s");
        Error::new(Category::Mailbox, "restore into", self.name(), cause)
            .hint("run this again when less mail comes in: nothing comes twice")
            .into()
    }

    fn lock(&mut self) -> Result<OpenMailbox, Stop> {
        let until = Some(Instant::now() + self.catching_up());
        loop {
            self.look(until)?;
            let locked = open_locked(self.target.path, self.target.plan, self.target.deadline)?;
            log_recovery(&locked);
            let since = self.known.catch_up(locked.file(), UNDER_LOCK_BYTES, || false);
            match since.map_err(|e| self.unreadable(&e))? {
                Since::Grown => return Ok(locked),
                Since::GrownMuch | Since::Unread if is_past(until) => return Err(self.outgrown()),
                Since::GrownMuch | Since::Unread => {}
                Since::Changed => return Err(Stop::Again),
            }
        }
    }

    fn commit(&mut self) -> Result<(), Stop> {
        if self.batch.items.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        // Nobody waits for a whole run of ours, only for a batch.
        self.target.deadline.begin_again();
        if self.target.mode == RunMode::Rehearse {
            return self.rehearse(&batch);
        }
        let mut locked = self.lock()?;
        let of = |item: &BatchItem| batch.bytes.get(item.start..item.end).unwrap_or_default();
        let cut = self.part_of(locked.file(), |bytes| {
            batch.items.iter().any(|item| begins_with(of(item), bytes))
        })?;
        if cut {
            self.cut_off(&locked)?;
        }
        let mut length = locked.length()?;
        let mut messages = self.known.count_messages();
        let mut fitting = Vec::new();
        for item in &batch.items {
            // It may have come in meanwhile: from another run like this.
            if self.known.find_once(item.hash) {
                self.tally.present += 1;
                continue;
            }
            let bytes = of(item).len() as u64;
            if self.target.room.have_room(length + bytes, messages + 1) {
                length += bytes;
                messages += 1;
                fitting.push(*item);
            } else {
                self.tally.no_room += 1;
            }
        }
        let writes: Vec<_> = fitting
            .iter()
            .map(|item| |to: &mut dyn Write| to.write_all(of(item)))
            .collect();
        let pieces: Vec<_> = writes.iter().map(|write| Piece { write }).collect();
        self.append(&mut locked, &fitting, &pieces)
    }

    /// Writes a message that is too large to wait in memory.
    fn commit_large(&mut self, archived: &Archived<'_>, hash: ContentHash) -> Result<(), Stop> {
        let bytes = archived.stored.bytes;
        let item = BatchItem {
            hash,
            is_seen: Message::new(archived.stored.head).is_seen(),
            start: 0,
            end: usize::try_from(bytes).unwrap_or(usize::MAX),
        };
        self.target.deadline.begin_again();
        if self.target.mode == RunMode::Rehearse {
            self.rehearse_one(hash, bytes);
            return Ok(());
        }
        let mut locked = self.lock()?;
        if self.known.find_once(hash) {
            self.tally.present += 1;
            return Ok(());
        }
        let last = self.known.last_tail().filter(|last| last.bytes < bytes);
        if let Some(last) = last
            && is_same(locked.file(), last.offset, archived, last.bytes)?
        {
            self.cut_off(&locked)?;
        }
        if !self
            .target
            .room
            .have_room(locked.length()? + bytes, self.known.count_messages() + 1)
        {
            self.tally.no_room += 1;
            return Ok(());
        }
        // What its last bytes lack is added when something comes behind it.
        let piece = Piece {
            write: &|to| archived.copy_to(to),
        };
        self.append(&mut locked, &[item], &[piece])
    }

    fn append(&mut self, locked: &mut OpenMailbox, items: &[BatchItem], pieces: &[Piece<'_>]) -> Result<(), Stop> {
        let Some(last) = items.last() else { return Ok(()) };
        let bytes: u64 = items.iter().map(|item| (item.end - item.start) as u64).sum();
        if let Some(min_free_bytes) = self.target.room.min_free {
            let free_bytes = filesystem::free_bytes(locked.path(), locked.file())?;
            if free_bytes < bytes.saturating_add(min_free_bytes) {
                return Err(append::too_little_space(locked.path(), free_bytes, min_free_bytes).into());
            }
        }
        let was_new = has_new_mail(locked.file());
        let appended = append::append_stored(locked, pieces, OffsetDateTime::now_utc())?;
        let offset = appended.after_bytes.saturating_sub((last.end - last.start) as u64);
        // Its note goes with it, which is a change too.
        drop(appended);
        if !was_new && items.iter().all(|item| item.is_seen) {
            look_read(locked.file());
        }
        self.tally.restored += items.len() as u64;
        self.tally.restored_bytes += bytes;
        let added = items.iter().map(|item| item.hash);
        self.known
            .add(locked.file(), added, offset)
            .map_err(|e| self.unreadable(&e))
    }

    /// Counts a batch as if it were written.
    fn rehearse(&mut self, batch: &MessageBatch) -> Result<(), Stop> {
        self.look(Some(Instant::now() + self.catching_up()))?;
        for item in &batch.items {
            self.rehearse_one(item.hash, (item.end - item.start) as u64);
        }
        Ok(())
    }

    fn rehearse_one(&mut self, hash: ContentHash, bytes: u64) {
        let held = self.known.last_tail().map_or(0, |last| last.offset + last.bytes);
        if self.known.find_once(hash) {
            self.tally.present += 1;
        } else if self.target.room.have_room(
            held + self.rehearsed_bytes + bytes,
            self.known.count_messages() + self.tally.restored + 1,
        ) {
            self.rehearsed_bytes += bytes;
            self.tally.restored += 1;
            self.tally.restored_bytes += bytes;
        } else {
            self.tally.no_room += 1;
        }
    }

    /// Tells whether what lies at the mailbox's end is a part of something that is about to be written as a whole.
    fn part_of(&self, file: &File, is_part: impl Fn(&[u8]) -> bool) -> Result<bool, Stop> {
        let Some(last) = self.known.last_tail().filter(|last| last.bytes < BATCH_BYTES as u64) else {
            return Ok(false);
        };
        let mut bytes = vec![0; usize::try_from(last.bytes).unwrap_or_default()];
        file.read_exact_at(&mut bytes, last.offset)
            .map_err(|e| self.unreadable(&e))?;
        Ok(is_part(&bytes))
    }

    fn cut_off(&mut self, locked: &OpenMailbox) -> Result<(), Stop> {
        let fail = |e: io::Error| Error::io("cut a part of a message off", locked.path(), &e);
        if let Some(last) = self.known.last_tail() {
            locked.file().set_len(last.offset).map_err(fail)?;
            self.known.cut_off_last(locked.file()).map_err(fail)?;
        }
        Ok(())
    }
}

impl MergeInto for Merge<'_> {
    fn offer(&mut self, archived: &Archived<'_>) -> Result<(), Stop> {
        self.target.deadline.check("restore into", &self.name())?;
        let hash = self.known.content_hash(archived.bytes(), &archived.stored)?;
        if self.known.find_once(hash) {
            self.tally.present += 1;
            return Ok(());
        }
        let large = usize::try_from(archived.stored.bytes).unwrap_or(usize::MAX) > BATCH_BYTES;
        if large || self.batch.bytes.len() >= BATCH_BYTES {
            self.commit()?;
        }
        if large {
            return self.commit_large(archived, hash);
        }
        let start = self.batch.bytes.len();
        archived.copy_to(&mut self.batch.bytes)?;
        let lacks = missing_end(self.batch.bytes.get(start..).unwrap_or_default());
        self.batch.bytes.extend_from_slice(lacks);
        self.batch.items.push(BatchItem {
            hash,
            is_seen: Message::new(archived.stored.head).is_seen(),
            start,
            end: self.batch.bytes.len(),
        });
        Ok(())
    }

    fn finish(&mut self) -> Result<MergeTally, Stop> {
        self.commit()?;
        Ok(self.tally)
    }

    fn tally(&self) -> MergeTally {
        self.tally
    }
}

fn is_past(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}
