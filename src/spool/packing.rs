//! Packs chosen mail into an archive, for mboxes and Maildirs alike: finds the messages, writes the archive and reads
//! it back, removes older archives that are beyond a bound. Taking the messages out is left to `spool/move_out.rs` and
//! `spool/move_out_maildir.rs`.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use crate::archive::publish::{ArchiveDir, ELSEWHERE, VerifiedArchive, estimate_bytes};
use crate::archive::retention::{self, ClockDoubt, RetentionPlan, Surplus};
use crate::archive::{Member, names};
use crate::cli::spool::Packing;
use crate::error::{Category, Error};
use crate::output::print_error;
use crate::output::progress::Progress;
use crate::spool::archive_target;
use crate::spool::choose::{self, ChosenMessages, Wanted};
use crate::spool::context::{RunMode, SpoolRun};
use crate::spool::merge::target::{MergeLimits, MergeTally};
use crate::spool::report::BatchReport;
use crate::spool::returned::Unpacker;
use crate::spool::select::SelectedMailbox;
use crate::sys::read_at::ReadAt;
use crate::sys::{account, child, self_exec};

const NOTE_TIME: Duration = Duration::from_secs(60);

/// Mail of one mailbox, on its way into an archive.
#[derive(Debug)]
pub struct PackingJob<'a> {
    pub care: &'a SpoolRun,
    pub spool: &'a SelectedMailbox,
    pub wanted: &'a Wanted,
    pub archive_dir: ArchiveDir,
    /// When the run began.
    pub date: OffsetDateTime,
}

impl<'a> PackingJob<'a> {
    /// Of what `wanted` means in one mailbox, into an archive as flags and configuration say.
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
            date,
        })
    }

    /// Finds what is meant in the mailbox, of which `mail` was seen.
    pub fn choose_messages(&self, mail: &dyn ReadAt) -> Result<ChosenMessages, Error> {
        let bytes = mail.length().map_err(|e| Error::io("read", &self.spool.path, &e))?;
        let mut progress = Progress::begin(&format!("{}: reading", self.spool.account.name), bytes);
        choose::choose_messages(self.unpacker(mail), self.wanted, &self.care.deadline, |bytes| {
            progress.add_bytes(bytes);
        })
    }

    /// Takes messages out of the reports in it.
    pub fn unpacker<'l>(&'l self, mail: &'l dyn ReadAt) -> Unpacker<'l> {
        Unpacker {
            mail,
            path: &self.spool.path,
            account: &self.spool.account,
            config: &self.care.config,
            date: self.date,
        }
    }

    /// How much may be put back before `choice` goes, which makes room.
    pub fn room_beside(&self, choice: &ChosenMessages) -> MergeLimits {
        let (config, account) = (&self.care.config, &self.spool.account);
        let limit = config.quota.limit_of(&account.name, || account.groups());
        MergeLimits {
            bytes: limit.bytes.map(|bytes| bytes.saturating_add(choice.taken.bytes())),
            messages: limit.messages.map(|messages| messages.saturating_add(choice.messages)),
            min_free: config.mailbox.min_free.bound(),
        }
    }

    /// Tells what was put back. All of it, or the reports have to stay.
    pub fn tell_put_back(&self, tally: MergeTally, mode: RunMode) -> Result<MergeTally, Error> {
        if mode == RunMode::Execute && tally.restored > 0 {
            tracing::info!(
                action = "rescue",
                user = self.spool.account.name,
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
        Ok(tally)
    }

    /// Makes the directory of archives, and refuses where there is no room for this one.
    pub fn open_archive_dir(&self, mail: &dyn ReadAt, choice: &ChosenMessages) -> Result<(), Error> {
        self.archive_dir
            .open(&format!("{}-", names::safe_name(&self.spool.account.name)))?;
        self.refuse_full_archive_dir(mail, choice)?;
        self.note_archived(choice, Path::new(""));
        Ok(())
    }

    /// Has noted, as the user, which of the messages that were kept instead of being sent on are in `archive`, so that
    /// `status` says so. An empty path, before any goes, notes which are gone by then.
    pub fn note_archived(&self, choice: &ChosenMessages, archive: &Path) {
        if choice.not_sent_on == 0 {
            return;
        }
        let account = &self.spool.account;
        let archive = std::path::absolute(archive).unwrap_or_else(|_| archive.to_owned());
        let mut command = self_exec::start_self();
        command.args(self.care.everywhere.arguments());
        command
            .args(["status", account.flag(), &account.name, "--archived"])
            .arg(archive);
        let failed = match child::run_command(command, NOTE_TIME) {
            Ok(output) if output.status.success() => return,
            Ok(output) => String::from_utf8_lossy(&output.error).into_owned(),
            Err(e) => e.to_string(),
        };
        tracing::warn!(
            user = account.name,
            note = failed,
            "status does not tell what is archived of the mail that was kept"
        );
    }

    /// The same for a plan, which makes nothing.
    pub fn refuse_unusable_archive_dir(&self, mail: &dyn ReadAt, choice: &ChosenMessages) -> Result<(), Error> {
        if !self.archive_dir.dir.is_dir() {
            return Ok(());
        }
        self.archive_dir.refuse_shared().map_err(|e| e.hint(ELSEWHERE))?;
        self.refuse_full_archive_dir(mail, choice)
    }

    fn refuse_full_archive_dir(&self, mail: &dyn ReadAt, choice: &ChosenMessages) -> Result<(), Error> {
        let expected = estimate_bytes(mail, &choice.taken).map_err(|e| Error::io("read", &self.spool.path, &e))?;
        self.archive_dir.refuse_full(expected)
    }

    /// Packs what was chosen, and reads it back. `described` is the mailbox on the disk.
    pub fn pack_chosen(
        &self,
        mail: &dyn ReadAt,
        described: &std::fs::Metadata,
        choice: &ChosenMessages,
    ) -> Result<VerifiedArchive, Error> {
        let user = &self.spool.account.name;
        let bytes = choice.taken.bytes();
        let member = self.member(described, bytes)?;
        let reading = self.care.reading.get();
        let mut packing = Progress::begin(&format!("{user}: packing"), bytes);
        let from = Stepping {
            inner: choice.taken.reader(mail),
            step: |bytes| {
                packing.add_bytes(bytes);
                reading.check()
            },
        };
        let mut checking = None;
        let place = self.free_place()?;
        self.archive_dir.write(&place, &member, from, |read| {
            checking
                .get_or_insert_with(|| Progress::begin(&format!("{user}: reading back"), bytes))
                .add_bytes(read);
            reading.check()
        })
    }

    fn member(&self, stat: &std::fs::Metadata, bytes: u64) -> Result<Member, Error> {
        Ok(Member {
            name: self.spool.member_name(),
            bytes,
            uid: stat.uid(),
            gid: stat.gid(),
            user: account::find_owner(stat.uid())?.name,
            group: account::group_name(stat.gid()),
            // What is packed is a file, whatever it was.
            mode: stat.mode() & if stat.is_dir() { 0o600 } else { 0o7777 },
            modified: u64::try_from(stat.mtime()).unwrap_or_default(),
        })
    }

    pub fn free_place(&self) -> Result<PathBuf, Error> {
        let dir = &self.archive_dir.dir;
        let user = names::safe_name(&self.spool.account.name);
        retention::free_path(dir, &user, self.date, self.archive_dir.format)
            .map_err(|e| Error::io("name an archive in", dir, &e))
    }

    /// Removes archives that are too many by now. What cannot be removed is said, and changes nothing. A directory that
    /// was named with `--to` is somebody else's to keep.
    pub fn expire_archives(&self, newest: &Path, mode: RunMode, report: &BatchReport) {
        let dir = &self.archive_dir.dir;
        if *dir != archive_target::archive_dir_path(self.care, self.spool) || !dir.is_dir() {
            return;
        }
        let user = names::safe_name(&self.spool.account.name);
        if let Err(e) = self.remove_expired(&user, newest, mode, report) {
            tracing::warn!(action = "remove-archive", user, note = e.to_string());
            print_error(&e);
        }
    }

    /// Removes the archives that are beyond a bound of the configuration; first it says which, in `report` and in the
    /// log. `newest`, which this run makes, stays. Nothing is removed where the clock cannot be believed. Returns the
    /// first archive that could not be removed.
    fn remove_expired(&self, user: &str, newest: &Path, mode: RunMode, report: &BatchReport) -> Result<(), Error> {
        let dir = &self.archive_dir.dir;
        let surplus = match retention::decide_retention(dir, user, newest, &self.care.config.archive, self.date)? {
            RetentionPlan::Remove(surplus) => surplus,
            RetentionPlan::Doubt(doubt) => return Err(in_doubt(dir, &doubt)),
        };
        for Surplus { path, bytes, limit } in &surplus {
            let path = path.display().to_string();
            report.removed_archive(&path, *bytes, limit, mode);
            if mode == RunMode::Execute {
                tracing::warn!(action = "remove-archive", user, archive = path, bytes, note = limit);
            }
        }
        if mode == RunMode::Rehearse {
            return Ok(());
        }
        let mut failed = None;
        for surplus in &surplus {
            if let Err(e) = surplus.remove() {
                let path = surplus.path.display().to_string();
                tracing::error!(action = "remove-archive", user, archive = path, note = e.to_string());
                failed = failed.or(Some(e));
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn in_doubt(dir: &Path, doubt: &ClockDoubt) -> Error {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (cause, hint) = match doubt {
        ClockDoubt::Ahead(path) => (
            format!(
                "the clock may be ahead: there was long no archive behind {}",
                name(path)
            ),
            "if the clock is right, what is too old is removed from a week later on",
        ),
        ClockDoubt::Behind(path) => (
            format!("the clock may be behind: {} is from the future", name(path)),
            "set the clock, or rename that archive",
        ),
    };
    Error::new(Category::System, "remove archives from", dir.display(), cause).hint(hint)
}

/// Tells a step what was read.
struct Stepping<R, F> {
    inner: R,
    step: F,
}

impl<R: Read, F: FnMut(u64) -> io::Result<()>> Read for Stepping<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        (self.step)(read as u64)?;
        Ok(read)
    }
}
