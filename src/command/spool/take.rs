//! Takes chosen messages out of one mailbox, into an archive: look, choose, pack, read back, cut. `archive` and `sweep` differ in what
//! they choose.
//!
//! The mailbox is locked for the look and for the cut, not for what lies between. Where it is another one by then, everything begins
//! anew, a few times; in the end nothing was cut, and the archive is taken away again.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::unistd::{AccessFlags, Uid, access};
use time::OffsetDateTime;

use crate::act::cut::apply::{Cut, Plan, Prepared, Trust, cut};
use crate::act::cut::journal;
use crate::act::cut::look::Look;
use crate::act::lock::{self, Locked};
use crate::act::open::Absent;
use crate::act::pack::{Format, Member};
use crate::act::patience::Patience;
use crate::act::shelf;
use crate::act::vault::{self, Archive, Vault};
use crate::act::{account, dir, mbox};
use crate::cli::spool::Packing;
use crate::command::spool::archive::human;
use crate::command::spool::choose::{self, Choice, Wanted};
use crate::command::spool::progress::Progress;
use crate::command::spool::what::Spool;
use crate::command::spool::{Care, complain, name, retention, say};
use crate::command::{case, mailbox};
use crate::config::{self, value::Age};
use crate::exit::{Class, Error, visible};

/// How often everything begins anew when a reader rewrites the mailbox meanwhile.
const ROUNDS: u32 = 3;

/// How often everything is read again when deliveries keep coming to a large mailbox.
const REREADS: u32 = 2;

/// Whoever moves more than this under the lock is told how long deliveries wait for it, in bytes.
const TOLD_BYTES: u64 = 256 << 20;

/// What is done with the messages of one mailbox.
#[derive(Debug)]
pub struct Take<'a> {
    care: &'a Care,
    spool: &'a Spool,
    wanted: &'a Wanted,
    vault: Vault,
    date: OffsetDateTime,
}

/// What became of it.
#[derive(Debug)]
pub enum Taken {
    /// No message was chosen.
    Nothing(Choice),
    /// These would be taken.
    Would(Choice),
    /// These were.
    Done {
        /// The messages.
        choice: Choice,
        /// Where they are.
        archive: Archive,
        /// The mailbox's length now, in bytes.
        stay_bytes: u64,
        /// For how long the mailbox was locked.
        held: Duration,
    },
}

/// Whether to do it or to say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Do it.
    Execute,
    /// Say what would be done.
    Rehearse,
}

impl<'a> Take<'a> {
    /// Of what `wanted` means in one mailbox, into an archive as flags and configuration say; `date` is when the run began.
    ///
    /// # Errors
    /// When the owner that is configured is nobody's name.
    pub fn new(
        care: &'a Care,
        packing: &Packing,
        spool: &'a Spool,
        wanted: &'a Wanted,
        date: OffsetDateTime,
    ) -> Result<Self, Error> {
        Ok(Self {
            care,
            spool,
            wanted,
            vault: vault(care, packing, spool)?,
            date,
        })
    }

    /// Does it.
    ///
    /// # Errors
    /// When it cannot be done; the mailbox holds everything that is not in an archive, whatever happened.
    pub fn run(&self, mode: Mode) -> Result<Taken, Error> {
        for _ in 0..ROUNDS {
            match self.round(mode)? {
                Some(taken) => return Ok(taken),
                None => tracing::info!(
                    user = self.spool.account.name,
                    "the mailbox was rewritten meanwhile; once more"
                ),
            }
        }
        let cause = "another program rewrites it again and again; nothing was taken out";
        Err(Error::new(Class::Mailbox, "archive", self.spool.path.display(), cause)
            .hint("try again when the user is away"))
    }

    fn round(&self, mode: Mode) -> Result<Option<Taken>, Error> {
        let spool = self.spool;
        let locked = self.lock()?;
        let mut look = Look::take(&locked)?;
        let place = self.journal_place(&locked);
        drop(locked);
        let mut progress = Progress::begin(&format!("{}: reading", spool.account.name), look.bytes());
        let choice = choose::choose(
            &look,
            self.wanted,
            &spool.account,
            &self.care.config,
            &self.care.patience,
            |bytes| progress.step(bytes),
        )?;
        drop(progress);
        if choice.taken.is_empty() {
            return Ok(Some(Taken::Nothing(choice)));
        }
        if mode == Mode::Rehearse {
            return Ok(Some(Taken::Would(choice)));
        }
        look.remember(choice.starts.places())?;
        self.vault.open(&format!("{}-", name::safe(&spool.account.name)))?;
        self.refuse_full(&look, &choice)?;
        let (archive, hash) = self.pack(&look, &choice)?;
        let plan = Plan {
            taken: choice.taken.clone(),
            hash,
            imap_base: choice.imap_base.clone(),
            unread: choice.unread,
            archive: archive.path.display().to_string(),
            date: self.date,
        };
        match self.cut(&mut look, &plan, &place) {
            Ok(Some(Cut::Done(done))) => {
                self.tidy(&archive);
                Ok(Some(Taken::Done {
                    choice,
                    archive,
                    stay_bytes: done.bytes,
                    held: done.held,
                }))
            }
            Ok(Some(Cut::Unfinished(e))) => {
                let path = archive.path.display().to_string();
                say(&format!(
                    "{}: the messages that go are in {}",
                    visible(&spool.account.name),
                    visible(&path)
                ));
                Err(e)
            }
            Ok(Some(Cut::Changed | Cut::InDoubt(_)) | None) => {
                archive.withdraw();
                Ok(None)
            }
            Err(e) => {
                archive.withdraw();
                Err(e)
            }
        }
    }

    /// Removes archives that are too many by now. What cannot be removed is said, and changes nothing. A directory that was named with `--to`
    /// is somebody else's to keep.
    fn tidy(&self, archive: &Archive) {
        if self.vault.dir != place(self.care, self.spool) {
            return;
        }
        let user = name::safe(&self.spool.account.name);
        let configured = &self.care.config.archive;
        let output = &mut io::stdout();
        if let Err(e) = retention::tidy(configured, &self.vault.dir, &user, &archive.path, self.date, output) {
            complain(&e);
        }
    }

    fn lock(&self) -> Result<Locked, Error> {
        let patience = &self.care.patience;
        patience.begin_again();
        let state_dir = self.care.state_dir(&self.spool.account);
        let plan = mailbox::lock_plan(&self.care.config, self.spool.owner, Absent::Refuse, state_dir);
        lock::lock(&self.spool.path, &plan, patience)
    }

    fn journal_place(&self, locked: &Locked) -> Place {
        let path = locked.path();
        match self.care.state_dir(&self.spool.account) {
            Some(dir) if !locked.has_dotlock() => Place::Private(journal::place_in(&dir, path)),
            _ => Place::Beside(journal::place_beside(path)),
        }
    }

    fn refuse_full(&self, look: &Look, choice: &Choice) -> Result<(), Error> {
        let estimate = vault::estimate(look.file(), &choice.taken).map_err(|e| Error::io("read", look.path(), &e))?;
        self.vault.refuse_full(estimate)?;
        let moved = choice.taken.gaps(look.bytes()).bytes();
        let min_free = self.care.config.spool.min_free.bound().unwrap_or_default();
        let free = mbox::free_bytes(look.path(), look.file())?;
        if free < moved.saturating_add(min_free) {
            let cause = format!(
                "what stays is written down first, {} MiB; {} MiB are free, and min_free asks for {} MiB",
                moved.div_ceil(1 << 20),
                free >> 20,
                min_free >> 20
            );
            return Err(Error::new(Class::SystemFull, "archive", look.path().display(), cause)
                .hint("--all-mail needs no such room"));
        }
        Ok(())
    }

    fn pack(&self, look: &Look, choice: &Choice) -> Result<(Archive, [u8; 32]), Error> {
        let user = &self.spool.account.name;
        let bytes = choice.taken.bytes();
        let member = self.member(look, bytes)?;
        let path = look.path().display().to_string();
        let patience = &self.care.patience;
        let mut packing = Progress::begin(&format!("{user}: packing"), bytes);
        let from = Stepping {
            inner: choice.taken.reader(look.file()),
            step: |bytes| {
                packing.step(bytes);
                stopped(patience, &path)
            },
        };
        let mut checking = None;
        let dir = &self.vault.dir;
        let free = || shelf::free_path(dir, &name::safe(user), self.date, self.vault.format);
        let place = free().map_err(|e| Error::io("name an archive in", dir, &e))?;
        let checked = self.vault.write(&place, &member, from, |read| {
            checking
                .get_or_insert_with(|| Progress::begin(&format!("{user}: reading back"), bytes))
                .step(read);
            stopped(patience, &path)
        })?;
        let hash = checked.hash;
        Ok((checked.publish()?, hash))
    }

    fn member(&self, look: &Look, bytes: u64) -> Result<Member, Error> {
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
            user: account::owner(stat.uid())?.name,
            group: account::group_name(stat.gid()),
            mode: stat.mode() & 0o7777,
            modified: u64::try_from(stat.mtime()).unwrap_or_default(),
        })
    }

    /// How it ended; none when deliveries leave no time to read the mailbox again.
    fn cut(&self, look: &mut Look, plan: &Plan, place: &Place) -> Result<Option<Cut>, Error> {
        let user = &self.spool.account.name;
        let path = look.path().display().to_string();
        let patience = &self.care.patience;
        let step = |progress: &mut Progress, bytes: u64| {
            progress.step(bytes);
            stopped(patience, &path)
        };
        let place = match place {
            Place::Beside(path) => path,
            Place::Private(path) => {
                journal::make_place(path)?;
                path
            }
        };
        let moved = plan.taken.gaps(look.bytes()).bytes();
        let mut progress = Progress::begin(&format!("{user}: writing down what stays"), moved);
        let begun = Instant::now();
        let mut prepared = Prepared::new(look, plan, place, |bytes| step(&mut progress, bytes))?;
        drop(progress);
        if moved >= TOLD_BYTES {
            // It was just written once, and synced.
            say(&format!(
                "{}: {} stay behind what goes and are moved under the lock; deliveries wait for about {} s",
                visible(user),
                human(moved),
                begun.elapsed().as_secs() + 1
            ));
        }
        let mut trust = Trust::Once;
        for _ in 0..=REREADS {
            let mut locked = self.lock()?;
            match cut(&mut locked, look, plan, prepared, trust)? {
                Cut::InDoubt(again) => {
                    prepared = *again;
                    look.look_again(&locked)?;
                }
                cut @ (Cut::Done(_) | Cut::Changed | Cut::Unfinished(_)) => return Ok(Some(cut)),
            }
            drop(locked);
            let mut progress = Progress::begin(&format!("{user}: reading again"), plan.taken.bytes() + moved);
            if !prepared.reread(look, plan, |bytes| step(&mut progress, bytes))? {
                return Ok(None);
            }
            trust = Trust::Twice;
        }
        Ok(None)
    }
}

/// Where the journal lies.
enum Place {
    Beside(PathBuf),
    /// In the user's state directory.
    Private(PathBuf),
}

fn stopped(patience: &Patience, path: &str) -> io::Result<()> {
    patience
        .check("archive", path)
        .map_err(|_| io::Error::other("told to stop by a signal"))
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

/// So long before `date`, in seconds since 1970.
#[must_use]
pub fn ago(date: OffsetDateTime, age: Age) -> i64 {
    let seconds = i64::try_from(age.duration().as_secs()).unwrap_or(i64::MAX);
    date.unix_timestamp().saturating_sub(seconds)
}

/// Where archives go, by flags and configuration.
///
/// # Errors
/// When the owner that is configured is nobody's name.
fn vault(care: &Care, packing: &Packing, spool: &Spool) -> Result<Vault, Error> {
    let configured = &care.config.archive;
    Ok(Vault {
        dir: packing.to.clone().unwrap_or_else(|| place(care, spool)),
        format: match configured.format {
            config::Format::TarGz => Format::TarGz,
            config::Format::Gz => Format::Gz,
            config::Format::Zst => Format::Zst,
        },
        owner: owner(&configured.owner, spool)?,
        min_free_bytes: care.config.spool.min_free.bound(),
    })
}

/// Where archives go unless `--to` says so. A user who may not write to that directory, or may write there with others, has one of their
/// own.
fn place(care: &Care, spool: &Spool) -> PathBuf {
    let configured = PathBuf::from(&care.config.archive.dir);
    let allowed = AccessFlags::W_OK | AccessFlags::X_OK;
    let own = Uid::effective();
    let is_trusted = || dir::refuse_shared(&configured, &[own.as_raw(), 0]).is_ok();
    if own.is_root() || (access(&configured, allowed).is_ok() && is_trusted()) {
        return configured;
    }
    match case::state_dir(&care.config, &spool.account) {
        Some(dir) => dir.join("archive"),
        None => configured,
    }
}

fn owner(configured: &str, spool: &Spool) -> Result<Option<(u32, u32)>, Error> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = match configured {
        "" => return Ok(None),
        "%u" => return Ok(Some((spool.uid, spool.gid))),
        user => account::known(user)?,
    };
    match user.and_then(|user| Some((user.uid, user.gid?))) {
        Some(owner) => Ok(Some(owner)),
        None => {
            let cause = "archive.owner is nobody's name";
            Err(Error::new(Class::Configuration, "give archives to", configured, cause))
        }
    }
}
