//! Looks at everything in a spool directory: the mailboxes with as many threads as there are processors, the largest
//! first. What cannot be read is handed out with the reason, and the others follow all the same.

use std::cmp::Reverse;
use std::io::{self, IsTerminal};
use std::num::NonZero;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use crate::config::Config;
use crate::config::value::{Limit, Size};
use crate::error::{Category, Error};
use crate::maildir::directory::Maildir;
use crate::output::progress::Progress;
use crate::output::sizes::count_text;
use crate::spool::directory::{DirectoryEntry, EntryKind};
use crate::spool::list::maildir;
use crate::spool::list::problems::{self, SpoolAccess};
use crate::spool::list::row::{self, NAMES, Numbers, Row, RowProblem, row_without_numbers};
use crate::spool::list::scan::{Looker, ScanFailure, unix_seconds};
use crate::spool::maildirs::UserMaildir;
use crate::spool::rules::diagnosis::{self, QuotaPressure};
use crate::spool::rules::statistics::MailboxStats;
use crate::sys::account::{self, Account, AccountKind};
use crate::sys::alias_account;
use crate::sys::dirs::parent_of;
use crate::sys::user_directory::Directory;

/// More readers than this only get in each other's way at the disk.
const MOST_THREADS: usize = 8;

/// What is needed to look at everything.
#[derive(Debug)]
pub struct Crew<'a> {
    pub looker: Looker<'a>,
    pub people: Directory,
    /// Whose directory it is.
    pub place: SpoolAccess,
    pub runner: u32,
    pub now: SystemTime,
}

impl Crew<'_> {
    /// Looks at all of them: the mailboxes with their numbers, and the others.
    pub fn all(
        &self,
        entries: Vec<DirectoryEntry>,
        maildirs: &[UserMaildir],
        over: Option<Size>,
    ) -> Result<(Vec<Row>, Vec<Row>), Error> {
        let mut others = Vec::new();
        let mut left = Vec::new();
        for entry in entries {
            let thing = entry.entry_kind();
            if thing == EntryKind::Mailbox {
                left.push(entry);
            } else {
                others.extend(self.stray(&entry, &thing));
            }
        }
        if let Some(over) = over.and_then(Size::bound) {
            left.retain(|entry| entry.stat.len() > over);
        }
        left.sort_by_key(|entry| Reverse(entry.stat.len()));
        let mut mailboxes = Vec::new();
        let mut rows = self.looked_at(&left)?;
        let worker = self.worker();
        for found in maildirs {
            rows.push(worker.maildir(found).ok_or_else(told_to_stop)?);
        }
        let bound = over.and_then(Size::bound).unwrap_or_default();
        rows.retain(|row| row.user.is_none() || row.bytes >= bound || row.numbers.is_none());
        for row in rows {
            if row.numbers.is_some() {
                mailboxes.push(row);
            } else {
                others.push(row);
            }
        }
        Ok((mailboxes, others))
    }

    fn stray(&self, entry: &DirectoryEntry, thing: &EntryKind) -> Option<Row> {
        let problem = problems::with_stray(entry, thing, self.now)?;
        Some(Row {
            problems: vec![problem],
            ..row_without_numbers(&entry.path, &entry.stat)
        })
    }

    fn worker(&self) -> ScanWorker<'_> {
        ScanWorker {
            looker: self.looker,
            people: &self.people,
            place: self.place,
            now: unix_seconds(self.now),
            runner: self.runner,
        }
    }

    fn looked_at(&self, entries: &[DirectoryEntry]) -> Result<Vec<Row>, Error> {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = processors.min(MOST_THREADS).min(entries.len());
        let next = AtomicUsize::new(0);
        let worker = self.worker();
        let (send, receive) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (send, next) = (send.clone(), &next);
                scope.spawn(move || {
                    while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let row = worker.mailbox(entry);
                        let stop = row.is_none();
                        if send.send(row).is_err() || stop {
                            return;
                        }
                    }
                });
            }
            drop(send);
            collect(&receive, entries, self.looker.read_bytes)
        })
    }
}

/// Takes the rows as they come, and shows on a terminal how far it is.
fn collect(receive: &Receiver<Option<Row>>, entries: &[DirectoryEntry], read: &AtomicU64) -> Result<Vec<Row>, Error> {
    const EVERY: Duration = Duration::from_millis(500);
    let all = entries.iter().map(|entry| entry.stat.len()).sum();
    let what = count_text(entries.len() as u64, "mailbox", "mailboxes");
    let mut progress = io::stderr().is_terminal().then(|| Progress::begin(&what, all));
    let mut rows: Vec<Row> = Vec::with_capacity(entries.len());
    let is_told_to_stop = loop {
        match receive.recv_timeout(EVERY) {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => break true,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break false,
        }
        if let Some(progress) = &mut progress {
            progress.reach_bytes(read.load(Ordering::Relaxed));
        }
    };
    drop(progress);
    if is_told_to_stop {
        return Err(told_to_stop());
    }
    if rows.len() < entries.len() {
        return Err(Error::new(
            Category::System,
            "look at",
            "the mailboxes",
            "a thread of this program ended early",
        ));
    }
    Ok(rows)
}

fn told_to_stop() -> Error {
    Error::new(Category::System, "look at", "the mailboxes", "told to stop by a signal")
}

#[derive(Clone, Copy)]
struct ScanWorker<'a> {
    looker: Looker<'a>,
    people: &'a Directory,
    place: SpoolAccess,
    now: i64,
    runner: u32,
}

impl ScanWorker<'_> {
    /// Looks at one mailbox; nothing when the run was told to stop.
    fn mailbox(&self, entry: &DirectoryEntry) -> Option<Row> {
        let mut row = row_without_numbers(&entry.path, &entry.stat);
        let config = self.looker.config;
        let in_spool = parent_of(&entry.path) == config.mailbox.location.spool_dir();
        // Asked once: where nobody has the name, the answer may come from far away.
        let user = entry
            .path
            .file_name()
            .and_then(|name| name.to_str())
            .filter(|_| in_spool);
        let user = user.and_then(|name| self.people.find(name));
        if in_spool {
            row.problems = problems::with_rights(entry, user, self.place, self.people);
        }
        let account = match account_of_alias(entry, config) {
            Some(alias) => {
                row.user = Some(alias.name.clone());
                row.kind = AccountKind::Alias;
                alias
            }
            None => account_of(entry, user, in_spool),
        };
        if in_spool {
            row.problems.extend(self.overflow(&account));
        }
        match self.looker.scan_mailbox(entry, &account) {
            Ok(seen) => {
                let limit = config.quota.limit_of(&account.name, || account.groups());
                row.bytes = seen.survey.all.bytes;
                row.problems.extend(problems::with_look(&seen));
                let what = row::mailbox_arguments(&entry.path, config);
                row.numbers = Some(Numbers {
                    growth: seen.growth,
                    read_bytes: seen.read_bytes,
                    ..self.numbers(seen.survey, limit, &what)
                });
            }
            Err(ScanFailure::Stopped) => return None,
            Err(ScanFailure::NotMbox) => {
                row.problems = vec![problems::not_an_mbox(entry, config.mailbox.location.spool_dir())]
            }
            Err(ScanFailure::Failed(e)) => {
                row.problems
                    .push(problems::with_reading(&entry.path, entry.stat.uid(), &e, self.runner))
            }
        }
        Some(row)
    }

    /// What the user's mailbox had no room for.
    fn overflow(&self, account: &Account) -> Option<RowProblem> {
        let own_home = (account.uid == self.runner)
            .then(|| account::find_runner().home)
            .flatten();
        let home = own_home.as_deref().or_else(|| self.people.find_home(&account.name));
        problems::with_overflow(self.looker.config, account, home)
    }

    fn maildir(&self, found: &UserMaildir) -> Option<Row> {
        let stat = found.path.symlink_metadata().ok();
        let uid = stat.as_ref().map(MetadataExt::uid).unwrap_or_default();
        let mut row = Row {
            path: found.path.clone(),
            user: Some(found.user.clone()),
            uid,
            bytes: 0,
            numbers: None,
            problems: Vec::new(),
            kind: AccountKind::User,
        };
        let config = self.looker.config;
        let account = Account {
            name: found.user.clone(),
            uid,
            gid: self.people.find(&found.user).map(|(_, gid)| gid),
            home: self.people.find_home(&found.user).map(Path::to_owned),
            kind: AccountKind::User,
        };
        row.problems
            .extend(problems::with_overflow(config, &account, account.home.as_deref()));
        let opened = Maildir::open(&found.path, uid);
        let looked = match opened {
            Ok(Some(maildir)) => {
                row.problems.extend(problems::with_departure(&maildir));
                maildir::count_maildir(&self.looker, &maildir, &account)
            }
            Ok(None) => Err(ScanFailure::Failed(io::ErrorKind::NotFound.into())),
            Err(e) => {
                row.problems.push(RowProblem::to_mend(e.to_string(), "look what it is"));
                return Some(row);
            }
        };
        match looked {
            Ok(survey) => {
                let limit = maildir::maildir_limit(config.quota.limit_of(&account.name, || account.groups()), found);
                row.bytes = survey.all.bytes;
                row.numbers = Some(self.numbers(survey, limit, &row::maildir_arguments(found)));
            }
            Err(ScanFailure::Stopped) => return None,
            Err(ScanFailure::NotMbox) => {}
            Err(ScanFailure::Failed(e)) => row
                .problems
                .push(problems::with_reading(&found.path, uid, &e, self.runner)),
        }
        Some(row)
    }

    /// What a mailbox holds that was read as a whole, and why it grows; `what` is what commands here take for it.
    fn numbers(&self, mut survey: MailboxStats, limit: Limit, what: &str) -> Numbers {
        // There may be thousands of rows, and nobody looks at more of each.
        survey.forget_growth(NAMES);
        let bytes = survey.all.bytes;
        let cause = diagnosis::diagnose(&survey, self.now, self.room(bytes, limit));
        Numbers {
            limit,
            growth: None,
            read_bytes: bytes,
            command: cause.remedy.map(|remedy| row::remedy_command(remedy, what)),
            cause,
            survey,
        }
    }

    fn room(&self, bytes: u64, limit: Limit) -> QuotaPressure {
        let threshold = limit
            .bytes
            .map(|limit| self.looker.config.quota.warn.of(limit).unwrap_or(limit));
        match threshold {
            Some(threshold) if bytes >= threshold => QuotaPressure::Short,
            Some(_) | None => QuotaPressure::Enough,
        }
    }
}

/// An alias has its mail under the uid that the MTA runs it as.
fn account_of_alias(entry: &DirectoryEntry, config: &Config) -> Option<Account> {
    let name = alias_account::owner_of_mailbox(&entry.path, Path::new(&config.aliases.dir))?;
    Some(Account {
        name: name.to_owned(),
        uid: entry.stat.uid(),
        gid: Some(entry.stat.gid()),
        home: entry.path.parent().map(Path::to_owned),
        kind: AccountKind::Alias,
    })
}

/// Whose mail it is: in the spool directory that of the user it is named after.
fn account_of(entry: &DirectoryEntry, user: Option<(u32, u32)>, in_spool: bool) -> Account {
    let uid = entry.stat.uid();
    let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
    let named = || Account {
        gid: user.map(|(_, gid)| gid),
        ..Account::of_mailbox(name, uid)
    };
    if in_spool {
        named()
    } else {
        account::find_owner(uid).unwrap_or_else(|_| named())
    }
}
