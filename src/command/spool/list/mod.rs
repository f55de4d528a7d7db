//! `spoolguard spool list`: says of every mailbox how large it is, what it holds, why it grows and what helps, and of everything else
//! in the spool directory what is wrong with it. Changes nothing but its own memory of the last look.
//!
//! Mailboxes are looked at by several threads, the largest first. What cannot be read is named, and the others follow all the same.

mod export;
mod memory;
mod row;
mod scan;
mod table;
mod wrong;

use std::cmp::Reverse;
use std::io::{self, IsTerminal, Write};
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use crate::act::account::{self, Account, Directory};
use crate::act::dir::parent;
use crate::act::spooldir::{self, Entry, Thing};
use crate::cli::spool::{Listing, SortKey};
use crate::command::case::state_dir;
use crate::command::spool::list::row::{Numbers, Problem, Row, Weight};
use crate::command::spool::list::scan::{Looker, Trust, Unseen, seconds};
use crate::command::spool::list::wrong::Place;
use crate::command::spool::{Care, complain};
use crate::config::value::Size;
use crate::decide::cause::{self, Room};
use crate::decide::policy::Limit;
use crate::decide::survey::{Kind, hash};
use crate::exit::{Class, Error, Status};

/// Where root's looks are remembered when no state directory is configured.
const CACHE_DIR: &str = "/var/cache/spoolguard";

/// How many names of each sort are shown.
const NAMES: usize = 5;

/// More readers than this only get in each other's way at the disk.
const MOST_THREADS: usize = 8;

/// Everything that was found.
#[derive(Debug)]
struct Findings {
    /// The mailboxes that could be looked at, sorted and cut as asked for.
    mailboxes: Vec<Row>,
    /// What is no mailbox, or could not be read.
    others: Vec<Row>,
    /// What all mailboxes take, whatever is shown of them.
    total: Total,
    /// Now, in seconds since 1970.
    now: i64,
}

/// The mailboxes together.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    mailboxes: usize,
    bytes: u64,
    messages: u64,
    read_bytes: u64,
}

impl Total {
    fn of(mailboxes: &[Row]) -> Self {
        let numbers = || mailboxes.iter().filter_map(|row| row.numbers.as_ref());
        Self {
            mailboxes: mailboxes.len(),
            bytes: mailboxes.iter().map(|row| row.bytes).sum(),
            messages: numbers().map(|numbers| numbers.survey.all.messages).sum(),
            read_bytes: numbers().map(|numbers| numbers.read_bytes).sum(),
        }
    }
}

/// Runs the command: 0, or 1 when something is wrong.
///
/// # Errors
/// When the spool directory cannot be read, the run is told to stop, or the answer cannot be written.
pub fn run(list: &Listing, care: &Care) -> Result<Status, Error> {
    let named = named(list, care)?;
    let rules = rules(care);
    let memories = memories(care);
    let lister = Lister {
        care,
        looker: Looker {
            config: &care.config,
            memories: memories.as_deref(),
            rules: &rules,
            trust: if list.fresh { Trust::No } else { Trust::Yes },
        },
        people: Directory::read(),
        place: named.place,
        now: SystemTime::now(),
    };
    let (mut mailboxes, mut others) = lister.all(named.entries, list.over)?;
    others.extend(named.directory);
    let total = Total::of(&mailboxes);
    let is_wrong = |row: &Row| row.problems.iter().any(|problem| problem.weight == Weight::Wrong);
    let wrong = named.absent || mailboxes.iter().chain(&others).any(&is_wrong);
    sort(&mut mailboxes, list.sort);
    let shown = list.top.unwrap_or(usize::MAX).min(mailboxes.len());
    // What is wrong is said whatever else is shown.
    others.extend(mailboxes.split_off(shown).into_iter().filter(is_wrong));
    others.sort_by(|a, b| a.path.cmp(&b.path));
    let findings = Findings {
        mailboxes,
        others,
        total,
        now: seconds(lister.now),
    };
    let mut output = io::BufWriter::new(io::stdout().lock());
    let written = if list.json {
        export::write_json(&findings, &mut output)
    } else if list.prometheus {
        export::write_prometheus(&findings, &mut output)
    } else {
        table::write(&findings, &mut output)
    };
    match written.and_then(|()| output.flush()) {
        // Whoever read our output has seen enough.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Error::io("write", Path::new("the answer"), &e)),
        _ if wrong => Ok(Status::Wrong),
        _ => Ok(Status::Done),
    }
}

/// What is to be looked at.
struct Named {
    entries: Vec<Entry>,
    place: Place,
    /// What is wrong with the directory itself.
    directory: Option<Row>,
    /// Something that was named is not there.
    absent: bool,
}

/// Everything in the spool directory, or the mailboxes that were named.
fn named(list: &Listing, care: &Care) -> Result<Named, Error> {
    let dir = Path::new(&care.config.spool.dir);
    let stat = dir
        .metadata()
        .map_err(|e| Error::io("examine spool directory", dir, &e));
    let place = |stat: &std::fs::Metadata| Place {
        gid: stat.gid(),
        shared: stat.permissions().mode() & 0o020 != 0,
    };
    if list.what.is_empty() {
        let stat = stat?;
        let problem = wrong::with_directory(dir, stat.permissions().mode());
        return Ok(Named {
            entries: spooldir::entries(dir)?,
            place: place(&stat),
            directory: problem.map(|problem| Row {
                problems: vec![problem],
                ..bare(dir, &stat)
            }),
            absent: false,
        });
    }
    let mut found = Named {
        entries: Vec::new(),
        place: stat.map_or(Place { gid: 0, shared: false }, |stat| place(&stat)),
        directory: None,
        absent: false,
    };
    for what in &list.what {
        match one(what, dir) {
            Ok(entry) => found.entries.push(entry),
            Err(e) => {
                found.absent = true;
                complain(&e);
            }
        }
    }
    Ok(found)
}

/// A path is what has a slash in it; everything else is a user's name.
fn one(what: &Path, dir: &Path) -> Result<Entry, Error> {
    let path = if what.as_os_str().as_encoded_bytes().contains(&b'/') {
        what.to_owned()
    } else {
        account::find(Some(&what.to_string_lossy()))?;
        dir.join(what)
    };
    let stat = path.symlink_metadata().map_err(|e| {
        let error = Error::io("examine", &path, &e).class(Class::Mailbox);
        if e.kind() == io::ErrorKind::NotFound {
            error.hint("there is no such mailbox")
        } else {
            error
        }
    })?;
    Ok(Entry { path, stat })
}

/// Where looks are remembered; nowhere in a dry run.
fn memories(care: &Care) -> Option<PathBuf> {
    if care.dry_run {
        return None;
    }
    let dir = if care.config.state_dir.is_empty() && care.runner.uid == 0 {
        Some(PathBuf::from(CACHE_DIR))
    } else {
        state_dir(&care.config, &care.runner)
    };
    dir.map(|dir| dir.join("list"))
}

/// What the numbers depend on beside the mailboxes: other rules, other numbers.
fn rules(care: &Care) -> String {
    let config = &care.config;
    let text = format!(
        "{:?} {} {} {}",
        config.addresses,
        config.recipient_delimiter,
        config.guard.max_hops,
        account::mail_name()
    );
    format!("{} {:016x}", env!("CARGO_PKG_VERSION"), hash(text.as_bytes()))
}

/// Puts the rows in the order asked for; names decide where it does not.
fn sort(rows: &mut [Row], key: SortKey) {
    let messages = |row: &Row| row.numbers.as_ref().map_or(0, |n| n.survey.all.messages);
    let bounces = |row: &Row| row.numbers.as_ref().map_or(0, |n| n.survey.of(Kind::Bounce).messages);
    let growth = |row: &Row| {
        row.numbers
            .as_ref()
            .and_then(|n| n.growth)
            .map_or(i64::MIN, |(grown, _)| grown)
    };
    let oldest = |row: &Row| row.numbers.as_ref().and_then(|n| n.survey.oldest).unwrap_or(i64::MAX);
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    match key {
        SortKey::Size => rows.sort_by_key(|row| Reverse(row.bytes)),
        SortKey::Messages => rows.sort_by_key(|row| Reverse(messages(row))),
        SortKey::Bounces => rows.sort_by_key(|row| Reverse(bounces(row))),
        SortKey::Growth => rows.sort_by_key(|row| Reverse(growth(row))),
        SortKey::Oldest => rows.sort_by_key(oldest),
        SortKey::Name => {}
    }
}

/// A name of which nothing is known yet but what the file system says.
fn bare(path: &Path, stat: &std::fs::Metadata) -> Row {
    Row {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        path: path.display().to_string(),
        uid: stat.uid(),
        bytes: stat.len(),
        numbers: None,
        problems: Vec::new(),
    }
}

/// What is needed to look at everything.
struct Lister<'a> {
    care: &'a Care,
    looker: Looker<'a>,
    people: Directory,
    place: Place,
    now: SystemTime,
}

impl Lister<'_> {
    /// Looks at all of them: the mailboxes with their numbers, and the others.
    fn all(&self, entries: Vec<Entry>, over: Option<Size>) -> Result<(Vec<Row>, Vec<Row>), Error> {
        let mut others = Vec::new();
        let mut left = Vec::new();
        for entry in entries {
            let thing = entry.thing();
            if thing == Thing::Mailbox {
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
        for row in self.looked_at(&left)? {
            if row.numbers.is_some() {
                mailboxes.push(row);
            } else {
                others.push(row);
            }
        }
        Ok((mailboxes, others))
    }

    fn stray(&self, entry: &Entry, thing: &Thing) -> Option<Row> {
        let problem = wrong::with_stray(entry, thing, self.now)?;
        Some(Row {
            problems: vec![problem],
            ..bare(&entry.path, &entry.stat)
        })
    }

    /// Looks at the mailboxes with as many threads as there are processors.
    fn looked_at(&self, entries: &[Entry]) -> Result<Vec<Row>, Error> {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = processors.min(MOST_THREADS).min(entries.len());
        let next = AtomicUsize::new(0);
        // What the threads share; the patience of the run stays with this one.
        let worker = Worker {
            looker: self.looker,
            people: &self.people,
            place: self.place,
            now: seconds(self.now),
            runner: self.care.runner.uid,
        };
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
            collect(&receive, entries)
        })
    }
}

/// Takes the rows as they come, and says on a terminal how far it is.
fn collect(receive: &Receiver<Option<Row>>, entries: &[Entry]) -> Result<Vec<Row>, Error> {
    const EVERY: Duration = Duration::from_millis(500);
    let wanted = io::stderr().is_terminal();
    let all: u64 = entries.iter().map(|entry| entry.stat.len()).sum();
    let mut rows: Vec<Row> = Vec::with_capacity(entries.len());
    let mut said = std::time::Instant::now();
    let mut bytes = 0;
    let mut clear = "";
    let told_to_stop = loop {
        match receive.recv_timeout(EVERY) {
            Ok(Some(row)) => {
                bytes += row.bytes;
                rows.push(row);
            }
            Ok(None) => break true,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break false,
        }
        if wanted && said.elapsed() >= EVERY {
            said = std::time::Instant::now();
            clear = "\r\x1b[K";
            let line = format!(
                "{clear}{} of {} mailboxes, {} of {}",
                rows.len(),
                entries.len(),
                table::human(bytes),
                table::human(all)
            );
            let _ = io::stderr().write_all(line.as_bytes());
        }
    };
    let _ = io::stderr().write_all(clear.as_bytes());
    if told_to_stop {
        return Err(Error::new(
            Class::System,
            "look at",
            "the mailboxes",
            "told to stop by a signal",
        ));
    }
    if rows.len() < entries.len() {
        return Err(Error::new(
            Class::System,
            "look at",
            "the mailboxes",
            "a thread of this program ended early",
        ));
    }
    Ok(rows)
}

/// What a thread needs to look at mailboxes.
#[derive(Clone, Copy)]
struct Worker<'a> {
    looker: Looker<'a>,
    people: &'a Directory,
    place: Place,
    now: i64,
    runner: u32,
}

impl Worker<'_> {
    /// Looks at one mailbox; nothing when the run was told to stop.
    fn mailbox(&self, entry: &Entry) -> Option<Row> {
        let mut row = bare(&entry.path, &entry.stat);
        let config = self.looker.config;
        let in_spool = parent(&entry.path) == Path::new(&config.spool.dir);
        if in_spool {
            row.problems = wrong::with_rights(entry, self.place, self.people);
        }
        let account = self.account(entry, in_spool);
        match self.looker.look(entry, &account) {
            Ok(mut seen) => {
                // There may be thousands of rows, and nobody looks at more of each.
                seen.survey.trim(NAMES);
                let limit = config.limit_of(&account.name, || account.groups());
                row.bytes = seen.survey.all.bytes;
                row.problems
                    .extend(seen.disturbed.map(|what| Problem::note(format!("{what}; look again"))));
                let cause = cause::find(&seen.survey, self.now, self.room(row.bytes, limit));
                let what = row::what(&entry.path, config);
                row.numbers = Some(Numbers {
                    limit,
                    growth: seen.growth,
                    read_bytes: seen.read_bytes,
                    command: cause.remedy.map(|remedy| row::command(remedy, &what)),
                    cause,
                    survey: seen.survey,
                });
            }
            Err(Unseen::Stopped) => return None,
            Err(Unseen::NotMbox) => row.problems = vec![wrong::not_an_mbox(entry)],
            Err(Unseen::Failed(e)) => row.problems.push(wrong::with_reading(entry, &e, self.runner)),
        }
        Some(row)
    }

    /// Whose mail it is: in the spool directory that of the user it is named after.
    fn account(&self, entry: &Entry, in_spool: bool) -> Account {
        let uid = entry.stat.uid();
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
        let unknown = || Account {
            name: name.clone().into_owned(),
            uid,
            gid: None,
            home: None,
        };
        if in_spool {
            Account {
                gid: self.people.find(&name).map(|(_, gid)| gid),
                ..unknown()
            }
        } else {
            account::owner(uid).unwrap_or_else(|_| unknown())
        }
    }

    fn room(&self, bytes: u64, limit: Limit) -> Room {
        let threshold = limit
            .bytes
            .map(|limit| self.looker.config.quota.warn.of(limit).unwrap_or(limit));
        match threshold {
            Some(threshold) if bytes >= threshold => Room::Short,
            Some(_) | None => Room::Enough,
        }
    }
}
