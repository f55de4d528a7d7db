//! Takes chosen messages out of one mailbox, into an archive: look, choose, pack, read back, cut. `archive` and `sweep`
//! differ in what they choose.
//!
//! The mailbox is locked for the look and for the cut, not for what lies between. Where it is another one by then,
//! everything begins anew, a few times; in the end nothing was cut, and the archive is taken away again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::archive::publish::PublishedArchive;
use crate::deliver::access;
use crate::deliver::recovery_log::log_recovery;
use crate::error::{Category, Error};
use crate::mailbox::expunge::execute::{Expunge, SnapshotTrust, expunge};
use crate::mailbox::expunge::place;
use crate::mailbox::expunge::prepare::{ExpungePlan, Prepared};
use crate::mailbox::expunge::snapshot::Snapshot;
use crate::mailbox::lock::LockPlan;
use crate::mailbox::open::Absent;
use crate::mailbox::{OpenMailbox, open_locked};
use crate::output::progress::Progress;
use crate::output::sizes::size_text;
use crate::spool::choose::{ChosenMessages, Inside};
use crate::spool::context::{RunMode, tell_wait};
use crate::spool::merge::Merge;
use crate::spool::merge::known::Sameness;
use crate::spool::merge::target::{MergeTally, MergeTarget};
use crate::spool::packing::PackingJob;
use crate::spool::report::BatchReport;
use crate::spool::taken::{MoveEnd, MoveOutcome};
use crate::sys::deadline::stop_if_asked;
use crate::sys::dirs::{make_private_dir, parent_of};
use crate::sys::filesystem;

/// How often everything begins anew when a reader rewrites the mailbox meanwhile.
const ROUNDS: u32 = 3;

/// How often everything is read again when deliveries keep coming to a large mailbox.
const REREADS: u32 = 2;

/// Whoever moves more than this under the lock is told how long deliveries wait for it, in bytes.
const TOLD_BYTES: u64 = 256 << 20;

#[derive(Debug)]
pub struct MoveOut<'a> {
    pub job: PackingJob<'a>,
    /// What stays is not moved under the lock for longer than this.
    pub lock_at_most: Duration,
}

impl MoveOut<'_> {
    /// Does it. Fails when it cannot be done; the mailbox holds everything that is not in an archive, whatever
    /// happened.
    pub fn run(&self, mode: RunMode, report: &BatchReport) -> Result<MoveOutcome, Error> {
        for _ in 0..ROUNDS {
            match self.round(mode, report)? {
                Some(taken) => return Ok(taken),
                None => tracing::info!(
                    user = self.job.spool.account.name,
                    "the mailbox was rewritten meanwhile; once more"
                ),
            }
        }
        let cause = "another program rewrites it again and again; nothing was taken out";
        Err(
            Error::new(Category::Mailbox, "archive", self.job.spool.path.display(), cause)
                .hint("try again when the user is away"),
        )
    }

    fn round(&self, mode: RunMode, report: &BatchReport) -> Result<Option<MoveOutcome>, Error> {
        let locked = self.lock()?;
        let mut look = Snapshot::take(&locked, self.job.care.reading.get())?;
        let place = self.journal_place(&locked);
        drop(locked);
        let choice = self.job.choose_messages(&look)?;
        if choice.taken.is_empty() {
            return Ok(Some(MoveOutcome::nothing_chosen(choice)));
        }
        if mode == RunMode::Rehearse {
            self.job.refuse_unusable_archive_dir(look.file(), &choice)?;
            let back = self.put_back(&look, &choice, RunMode::Rehearse)?;
            self.job
                .expire_archives(&self.job.free_place()?, RunMode::Rehearse, report);
            let end = MoveEnd::Would(self.job.archive_dir.dir.clone());
            return Ok(back.map(|back| MoveOutcome { choice, back, end }));
        }
        look.remember(&choice.starts);
        self.job.open_archive_dir(look.file(), &choice)?;
        self.refuse_full(&look, &choice)?;
        let Some((archive, hash)) = self.pack(&look, &choice)? else {
            return Ok(None);
        };
        // Before the reports go, and synced: whatever comes between, each message is in a report or in the mailbox, and
        // the next run sees which.
        let back = match self.put_back(&look, &choice, RunMode::Execute) {
            Ok(Some(back)) => back,
            rewritten @ (Ok(None) | Err(_)) => {
                archive.withdraw();
                return rewritten.map(|_| None);
            }
        };
        let plan = self.expunge_plan(&choice, hash, &archive);
        match self.expunge(&mut look, &plan, &place, report) {
            Ok(Some(Expunge::Done(done))) => {
                self.job.note_archived(&choice, &archive.path);
                self.job.expire_archives(&archive.path, RunMode::Execute, report);
                let end = MoveEnd::Done {
                    archive,
                    stay_bytes: done.bytes,
                    held: Some(done.held),
                };
                Ok(Some(MoveOutcome { choice, back, end }))
            }
            Ok(Some(Expunge::Unfinished(e))) => {
                report.tell_note(&format!(
                    "{}: the messages that go are in {}",
                    self.job.spool.account.name, plan.archive
                ));
                Err(e)
            }
            untouched @ (Ok(Some(Expunge::Changed | Expunge::InDoubt(_)) | None) | Err(_)) => {
                archive.withdraw();
                untouched.map(|_| None)
            }
        }
    }

    fn expunge_plan(&self, choice: &ChosenMessages, hash: [u8; 32], archive: &PublishedArchive) -> ExpungePlan {
        ExpungePlan {
            taken: choice.taken.clone(),
            hash,
            imap_base: choice.imap_base.clone(),
            unread: choice.unread,
            archive: archive.path.display().to_string(),
            date: self.job.date,
        }
    }

    /// Puts back what the reports carry, where that is asked for; none when the mailbox was rewritten meanwhile. All of
    /// it, or the reports have to stay.
    fn put_back(&self, look: &Snapshot, choice: &ChosenMessages, mode: RunMode) -> Result<Option<MergeTally>, Error> {
        if self.job.wanted.inside != Inside::PutBack || choice.originals.count() == 0 {
            return Ok(Some(MergeTally::default()));
        }
        let plan = self.lock_plan();
        let target = MergeTarget {
            path: &self.job.spool.path,
            plan: &plan,
            room: self.job.room_beside(choice),
            sameness: Sameness::Once(&choice.taken),
            mode,
            deadline: &self.job.care.deadline,
        };
        let put =
            Merge::begin(target).and_then(|mut merge| choice.originals.put_back(&self.job.unpacker(look), &mut merge));
        match put {
            Ok(tally) => self.job.tell_put_back(tally, mode).map(Some),
            Err(stop) => stop.into_failure(&self.job.spool.path).map_or(Ok(None), Err),
        }
    }

    fn lock(&self) -> Result<OpenMailbox, Error> {
        let deadline = &self.job.care.deadline;
        deadline.begin_again();
        let mailbox = open_locked(&self.job.spool.path, &self.lock_plan(), deadline)?;
        log_recovery(&mailbox);
        Ok(mailbox)
    }

    fn lock_plan(&self) -> LockPlan {
        let state_dir = self.job.care.state_dir(&self.job.spool.account);
        LockPlan {
            tell: Some(tell_wait),
            ..access::lock_plan(&self.job.care.config, self.job.spool.owner, Absent::Refuse, state_dir)
        }
    }

    fn journal_place(&self, locked: &OpenMailbox) -> JournalPlace {
        let path = locked.path();
        match self.job.care.state_dir(&self.job.spool.account) {
            Some(dir) if !locked.has_dotlock() => JournalPlace::Private(place::place_in(&dir, path)),
            _ => JournalPlace::Beside(place::place_beside(path)),
        }
    }

    fn refuse_full(&self, look: &Snapshot, choice: &ChosenMessages) -> Result<(), Error> {
        let moved = choice.taken.gaps(look.bytes()).bytes();
        let min_free = self.job.care.config.mailbox.min_free.bound().unwrap_or_default();
        let free = filesystem::free_bytes(look.path(), look.file())?;
        if free < moved.saturating_add(min_free) {
            let cause = format!(
                "what stays is written down first, {} MiB; {} MiB are free, and min_free asks for {} MiB",
                moved.div_ceil(1 << 20),
                free >> 20,
                min_free >> 20
            );
            return Err(
                Error::new(Category::SystemFull, "archive", look.path().display(), cause)
                    .hint("--all-mail needs no such room"),
            );
        }
        Ok(())
    }

    /// Packs what was chosen; none when the mailbox was rewritten since: it would hold what is no message.
    fn pack(&self, look: &Snapshot, choice: &ChosenMessages) -> Result<Option<(PublishedArchive, [u8; 32])>, Error> {
        let described = look.file().metadata();
        let described = described.map_err(|e| Error::io("examine", look.path(), &e))?;
        let packed = self.job.pack_chosen(look.file(), &described, choice)?;
        if !look.is_unmoved(look.file())? {
            return Ok(None);
        }
        let hash = packed.hash;
        Ok(Some((packed.publish()?, hash)))
    }

    /// How it ended; none when deliveries leave no time to read the mailbox again.
    fn expunge(
        &self,
        look: &mut Snapshot,
        plan: &ExpungePlan,
        place: &JournalPlace,
        report: &BatchReport,
    ) -> Result<Option<Expunge>, Error> {
        let user = &self.job.spool.account.name;
        let path = look.path().display().to_string();
        let deadline = &self.job.care.deadline;
        let step = |progress: &mut Progress, bytes: u64| {
            progress.add_bytes(bytes);
            stop_if_asked(deadline, &path)
        };
        let place = match place {
            JournalPlace::Beside(path) => path,
            JournalPlace::Private(path) => {
                make_private_dir(parent_of(path))?;
                path
            }
        };
        let moved = plan.taken.gaps(look.bytes()).bytes();
        let mut progress = Progress::begin(&format!("{user}: writing down what stays"), moved);
        let begun = Instant::now();
        let mut prepared = Prepared::new(look, plan, place, |bytes| step(&mut progress, bytes))?;
        drop(progress);
        self.refuse_long_lock(&path, moved, begun.elapsed(), report)?;
        let mut trust = SnapshotTrust::Once;
        for _ in 0..=REREADS {
            look.let_go(&plan.taken);
            let mut locked = self.lock()?;
            match expunge(&mut locked, look, plan, prepared, trust)? {
                Expunge::InDoubt(again) => {
                    prepared = *again;
                    look.look_again(&locked)?;
                }
                end @ (Expunge::Done(_) | Expunge::Changed | Expunge::Unfinished(_)) => return Ok(Some(end)),
            }
            drop(locked);
            let mut progress = Progress::begin(&format!("{user}: reading again"), plan.taken.bytes() + moved);
            if !prepared.reread(look, plan, |bytes| step(&mut progress, bytes))? {
                return Ok(None);
            }
            trust = SnapshotTrust::Twice;
        }
        Ok(None)
    }

    /// Refuses to hold the lock for longer than is allowed; `expected` is what writing and syncing it took.
    fn refuse_long_lock(&self, path: &str, moved: u64, expected: Duration, report: &BatchReport) -> Result<(), Error> {
        if moved > 0 && expected > self.lock_at_most {
            let cause = format!(
                "{} behind what goes would be moved under the lock for about {} s, and --lock-at-most is {} s; nothing was taken out",
                size_text(moved),
                expected.as_secs() + 1,
                self.lock_at_most.as_secs()
            );
            return Err(Error::new(Category::Mailbox, "take mail out of", path, cause).hint(
                "archive --all-mail moves nothing, and spool restore --since puts the younger mail back; or allow more at a quiet hour",
            ));
        }
        if moved >= TOLD_BYTES {
            report.tell_note(&format!(
                "{}: {} behind what goes are moved under the lock; deliveries wait for about {} s",
                self.job.spool.account.name,
                size_text(moved),
                expected.as_secs() + 1
            ));
        }
        Ok(())
    }
}

enum JournalPlace {
    Beside(PathBuf),
    /// In the user's state directory.
    Private(PathBuf),
}
