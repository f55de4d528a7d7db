//! Takes chosen messages out of one mailbox, into an archive: look, choose, pack, read back, cut. `archive` and `sweep` differ in what
//! they choose.
//!
//! The mailbox is locked for the look and for the cut, not for what lies between. Where it is another one by then, everything begins
//! anew, a few times; in the end nothing was cut, and the archive is taken away again.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::archive::Member;
use crate::archive::names;
use crate::archive::publish::{ArchiveDir, PublishedArchive, estimate_bytes};
use crate::archive::retention;
use crate::cli::spool::Packing;
use crate::deliver::access;
use crate::deliver::recovery_log::log_recovery;
use crate::error::{Category, Error};
use crate::mailbox::expunge::execute::{Expunge, ExpungePlan, Prepared, SnapshotTrust, expunge};
use crate::mailbox::expunge::snapshot::Snapshot;
use crate::mailbox::expunge::{journal, place};
use crate::mailbox::lock::LockPlan;
use crate::mailbox::open::Absent;
use crate::mailbox::{OpenMailbox, open_locked};
use crate::output::print_error;
use crate::output::progress::Progress;
use crate::output::sizes::size_text;
use crate::spool::choose;
use crate::spool::choose::{ChosenMessages, Inside, Wanted};
use crate::spool::context::SpoolRun;
use crate::spool::merge::{MergeLimits, MergeMode, MergeTally, MergeTarget, Sameness, Stop};
use crate::spool::report::BatchReport;
use crate::spool::returned::Unpacker;
use crate::spool::select::SelectedMailbox;
use crate::spool::taken::{MoveMode, MoveOutcome};
use crate::spool::{archive_target, expire};
use crate::sys::deadline::stop_if_asked;
use crate::sys::{account, filesystem};

/// How often everything begins anew when a reader rewrites the mailbox meanwhile.
const ROUNDS: u32 = 3;

/// How often everything is read again when deliveries keep coming to a large mailbox.
const REREADS: u32 = 2;

/// Whoever moves more than this under the lock is told how long deliveries wait for it, in bytes.
const TOLD_BYTES: u64 = 256 << 20;

/// What is done with the messages of one mailbox.
#[derive(Debug)]
pub struct MoveOut<'a> {
    care: &'a SpoolRun,
    spool: &'a SelectedMailbox,
    wanted: &'a Wanted,
    archive_dir: ArchiveDir,
    lock_at_most: Duration,
    date: OffsetDateTime,
}

impl<'a> MoveOut<'a> {
    /// Of what `wanted` means in one mailbox, into an archive as flags and configuration say; `date` is when the run began.
    ///
    /// # Errors
    /// When the owner that is configured is nobody's name.
    pub fn new(
        care: &'a SpoolRun,
        packing: &Packing,
        spool: &'a SelectedMailbox,
        wanted: &'a Wanted,
        date: OffsetDateTime,
    ) -> Result<Self, Error> {
        Ok(Self {
            care,
            spool,
            wanted,
            archive_dir: archive_target::archive_dir(care, packing, spool)?,
            lock_at_most: packing.lock_at_most.duration(),
            date,
        })
    }

    /// Does it.
    ///
    /// # Errors
    /// When it cannot be done; the mailbox holds everything that is not in an archive, whatever happened.
    pub fn run(&self, mode: MoveMode, report: &BatchReport) -> Result<MoveOutcome, Error> {
        for _ in 0..ROUNDS {
            match self.round(mode, report)? {
                Some(taken) => return Ok(taken),
                None => tracing::info!(
                    user = self.spool.account.name,
                    "the mailbox was rewritten meanwhile; once more"
                ),
            }
        }
        let cause = "another program rewrites it again and again; nothing was taken out";
        Err(
            Error::new(Category::Mailbox, "archive", self.spool.path.display(), cause)
                .hint("try again when the user is away"),
        )
    }

    fn round(&self, mode: MoveMode, report: &BatchReport) -> Result<Option<MoveOutcome>, Error> {
        let spool = self.spool;
        let locked = self.lock()?;
        let mut look = Snapshot::take(&locked, self.care.reading.get())?;
        let place = self.journal_place(&locked);
        drop(locked);
        let mut progress = Progress::begin(&format!("{}: reading", spool.account.name), look.bytes());
        let choice = choose::choose_messages(self.unpacker(&look), self.wanted, &self.care.deadline, |bytes| {
            progress.step(bytes);
        })?;
        drop(progress);
        if choice.taken.is_empty() {
            return Ok(Some(MoveOutcome::Nothing(choice)));
        }
        if mode == MoveMode::Rehearse {
            let back = self.put_back(&look, &choice, MergeMode::Rehearse)?;
            self.expire(&self.free_place()?, MoveMode::Rehearse, report);
            return Ok(back.map(|back| MoveOutcome::Would(choice, back)));
        }
        look.remember(choice.starts.places())?;
        self.archive_dir
            .open(&format!("{}-", names::safe_name(&spool.account.name)))?;
        self.refuse_full(&look, &choice)?;
        let (archive, hash) = self.pack(&look, &choice)?;
        // Before the reports go, and synced: whatever comes between, each message is in a report or in the mailbox, and the next run sees
        // which.
        let back = match self.put_back(&look, &choice, MergeMode::Write) {
            Ok(Some(back)) => back,
            Ok(None) => {
                archive.withdraw();
                return Ok(None);
            }
            Err(e) => {
                archive.withdraw();
                return Err(e);
            }
        };
        let plan = ExpungePlan {
            taken: choice.taken.clone(),
            hash,
            imap_base: choice.imap_base.clone(),
            unread: choice.unread,
            archive: archive.path.display().to_string(),
            date: self.date,
        };
        match self.expunge(&mut look, &plan, &place, report) {
            Ok(Some(Expunge::Done(done))) => {
                self.expire(&archive.path, MoveMode::Execute, report);
                Ok(Some(MoveOutcome::Done {
                    choice,
                    archive,
                    stay_bytes: done.bytes,
                    held: done.held,
                    back,
                }))
            }
            Ok(Some(Expunge::Unfinished(e))) => {
                let path = archive.path.display().to_string();
                report.note(&format!("{}: the messages that go are in {path}", spool.account.name));
                Err(e)
            }
            Ok(Some(Expunge::Changed | Expunge::InDoubt(_)) | None) => {
                archive.withdraw();
                Ok(None)
            }
            Err(e) => {
                archive.withdraw();
                Err(e)
            }
        }
    }

    fn unpacker<'l>(&'l self, look: &'l Snapshot) -> Unpacker<'l> {
        Unpacker {
            look,
            account: &self.spool.account,
            config: &self.care.config,
            date: self.date,
        }
    }

    /// Puts back what the reports carry, where that is asked for; none when the mailbox was rewritten meanwhile. All of it, or the reports
    /// have to stay.
    fn put_back(&self, look: &Snapshot, choice: &ChosenMessages, mode: MergeMode) -> Result<Option<MergeTally>, Error> {
        if self.wanted.inside != Inside::PutBack || choice.originals.count() == 0 {
            return Ok(Some(MergeTally::default()));
        }
        let (config, account) = (&self.care.config, &self.spool.account);
        let limit = config.quota.limit_of(&account.name, || account.groups());
        let plan = self.lock_plan();
        let target = MergeTarget {
            path: &self.spool.path,
            plan: &plan,
            // What goes makes room.
            room: MergeLimits {
                bytes: limit.bytes.map(|bytes| bytes.saturating_add(choice.taken.bytes())),
                messages: limit.messages.map(|messages| messages.saturating_add(choice.messages)),
                min_free: config.mailbox.min_free.bound(),
            },
            sameness: Sameness::Once(&choice.taken),
            mode,
            deadline: &self.care.deadline,
        };
        let tally = match choice.originals.put_back(&self.unpacker(look), target) {
            Ok(tally) => tally,
            Err(Stop::Again) => return Ok(None),
            Err(Stop::Failed(e)) => return Err(e),
            Err(Stop::Archive(e)) => return Err(Error::io("read", &self.spool.path, &e)),
        };
        if mode == MergeMode::Write && tally.restored > 0 {
            tracing::info!(
                action = "rescue",
                user = account.name,
                mailbox = self.spool.path.display().to_string(),
                messages = tally.restored,
                bytes = tally.restored_bytes
            );
        }
        if tally.no_room > 0 {
            let cause = format!(
                "the mailbox has no room for {} of the messages inside the reports, and no report was taken out",
                tally.no_room
            );
            return Err(Error::new(
                Category::MailboxFull,
                "put back all into",
                self.spool.path.display(),
                cause,
            )
            .hint("raise the quota; or sweep without --rescue, and they stay inside the reports in the archive"));
        }
        Ok(Some(tally))
    }

    /// Removes archives that are too many by now. What cannot be removed is said, and changes nothing. A directory that was named with `--to`
    /// is somebody else's to keep.
    fn expire(&self, newest: &Path, mode: MoveMode, report: &BatchReport) {
        let dir = &self.archive_dir.dir;
        if *dir != archive_target::archive_dir_path(self.care, self.spool) || !dir.is_dir() {
            return;
        }
        let user = names::safe_name(&self.spool.account.name);
        let configured = &self.care.config.archive;
        if let Err(e) = expire::remove_expired(configured, dir, &user, newest, self.date, mode, report) {
            tracing::warn!(action = "remove-archive", user, note = e.to_string());
            print_error(&e);
        }
    }

    /// Where the archive goes.
    fn free_place(&self) -> Result<PathBuf, Error> {
        let dir = &self.archive_dir.dir;
        let user = names::safe_name(&self.spool.account.name);
        retention::free_path(dir, &user, self.date, self.archive_dir.format)
            .map_err(|e| Error::io("name an archive in", dir, &e))
    }

    fn lock(&self) -> Result<OpenMailbox, Error> {
        let deadline = &self.care.deadline;
        deadline.begin_again();
        let mailbox = open_locked(&self.spool.path, &self.lock_plan(), deadline)?;
        log_recovery(&mailbox);
        Ok(mailbox)
    }

    fn lock_plan(&self) -> LockPlan {
        let state_dir = self.care.state_dir(&self.spool.account);
        access::lock_plan(&self.care.config, self.spool.owner, Absent::Refuse, state_dir)
    }

    fn journal_place(&self, locked: &OpenMailbox) -> JournalPlace {
        let path = locked.path();
        match self.care.state_dir(&self.spool.account) {
            Some(dir) if !locked.has_dotlock() => JournalPlace::Private(place::place_in(&dir, path)),
            _ => JournalPlace::Beside(place::place_beside(path)),
        }
    }

    fn refuse_full(&self, look: &Snapshot, choice: &ChosenMessages) -> Result<(), Error> {
        let expected = estimate_bytes(look.file(), &choice.taken).map_err(|e| Error::io("read", look.path(), &e))?;
        self.archive_dir.refuse_full(expected)?;
        let moved = choice.taken.gaps(look.bytes()).bytes();
        let min_free = self.care.config.mailbox.min_free.bound().unwrap_or_default();
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

    fn pack(&self, look: &Snapshot, choice: &ChosenMessages) -> Result<(PublishedArchive, [u8; 32]), Error> {
        let user = &self.spool.account.name;
        let bytes = choice.taken.bytes();
        let member = self.member(look, bytes)?;
        let reading = self.care.reading.get();
        let mut packing = Progress::begin(&format!("{user}: packing"), bytes);
        let from = Stepping {
            inner: choice.taken.reader(look.file()),
            step: |bytes| {
                packing.step(bytes);
                reading.check()
            },
        };
        let mut checking = None;
        let place = self.free_place()?;
        let checked = self.archive_dir.write(&place, &member, from, |read| {
            checking
                .get_or_insert_with(|| Progress::begin(&format!("{user}: reading back"), bytes))
                .step(read);
            reading.check()
        })?;
        let hash = checked.hash;
        Ok((checked.publish()?, hash))
    }

    fn member(&self, look: &Snapshot, bytes: u64) -> Result<Member, Error> {
        use std::os::unix::fs::MetadataExt;
        let stat = look
            .file()
            .metadata()
            .map_err(|e| Error::io("examine", look.path(), &e))?;
        Ok(Member {
            name: look.path().file_name().unwrap_or_default().to_owned(),
            bytes,
            uid: stat.uid(),
            gid: stat.gid(),
            user: account::find_owner(stat.uid())?.name,
            group: account::group_name(stat.gid()),
            mode: stat.mode() & 0o7777,
            modified: u64::try_from(stat.mtime()).unwrap_or_default(),
        })
    }

    /// How it ended; none when deliveries leave no time to read the mailbox again.
    fn expunge(
        &self,
        look: &mut Snapshot,
        plan: &ExpungePlan,
        place: &JournalPlace,
        report: &BatchReport,
    ) -> Result<Option<Expunge>, Error> {
        let user = &self.spool.account.name;
        let path = look.path().display().to_string();
        let deadline = &self.care.deadline;
        let step = |progress: &mut Progress, bytes: u64| {
            progress.step(bytes);
            stop_if_asked(deadline, &path)
        };
        let place = match place {
            JournalPlace::Beside(path) => path,
            JournalPlace::Private(path) => {
                journal::make_place(path)?;
                path
            }
        };
        let moved = plan.taken.gaps(look.bytes()).bytes();
        let mut progress = Progress::begin(&format!("{user}: writing down what stays"), moved);
        let begun = Instant::now();
        let mut prepared = Prepared::new(look, plan, place, |bytes| step(&mut progress, bytes))?;
        drop(progress);
        // It was just written once, and synced.
        let expected = begun.elapsed();
        if moved > 0 && expected > self.lock_at_most {
            let cause = format!(
                "{} behind what goes would be moved under the lock for about {} s, and --lock-at-most is {} s; nothing was taken out",
                size_text(moved),
                expected.as_secs() + 1,
                self.lock_at_most.as_secs()
            );
            return Err(Error::new(Category::Mailbox, "take mail out of", &path, cause).hint(
                "archive --all-mail moves nothing, and spool restore --since puts the younger mail back; or allow more at a quiet hour",
            ));
        }
        if moved >= TOLD_BYTES {
            report.note(&format!(
                "{user}: {} behind what goes are moved under the lock; deliveries wait for about {} s",
                size_text(moved),
                expected.as_secs() + 1
            ));
        }
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
}

/// Where the journal lies.
enum JournalPlace {
    Beside(PathBuf),
    /// In the user's state directory.
    Private(PathBuf),
}

/// Tells a step what was read.
struct Stepping<R, F> {
    inner: R,
    step: F,
}

impl<R: io::Read, F: FnMut(u64) -> io::Result<()>> io::Read for Stepping<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        (self.step)(read as u64)?;
        Ok(read)
    }
}
