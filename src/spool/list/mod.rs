//! `spoolguard spool list`: says of every mailbox how large it is, what it holds, why it grows and what helps. Of
//! everything else in the spool directory it says what is wrong with it. Changes only its memory of the last look.
//!
//! Here is what is asked and in which order it is answered; how it is found out and shown is in the files beside.

mod cache;
mod export;
mod maildir;
pub mod problems;
pub mod row;
mod scan;
mod table;
mod workers;

use std::cmp::Reverse;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use crate::cli::spool::{Listing, SortKey};
use crate::config::{Config, Location};
use crate::deliver::context::state_dir;
use crate::error::{Error, Status};
use crate::mailbox::open::not_a_mailbox;
use crate::maildir::directory::holds_maildir;
use crate::output::{finish_answer, print_error};
use crate::spool::context::SpoolRun;
use crate::spool::directory::{self, DirectoryEntry};
use crate::spool::list::problems::SpoolAccess;
use crate::spool::list::row::{Findings, Row, Total, Weight, row_without_numbers};
use crate::spool::list::scan::{CacheTrust, Contents, Looker, unix_seconds};
use crate::spool::list::workers::Crew;
use crate::spool::maildirs::{self, UserMaildir};
use crate::spool::rules::statistics::MailboxStats;
use crate::spool::rules::summary::{MailKind, hash_bytes};
use crate::spool::select;
use crate::sys::user_directory::Directory;
use crate::sys::{account, alias_account};

/// Where root's looks are remembered when no state directory is configured.
const CACHE_DIR: &str = "/var/cache/spoolguard";

/// Runs the command: 0, or 1 when something is wrong.
pub fn run(list: &Listing, care: &SpoolRun) -> Result<Status, Error> {
    let named = named(list, care)?;
    let rules = rules(care);
    let memories = memories(care);
    let crew = Crew {
        runner: care.runner.uid,
        looker: Looker {
            config: &care.config,
            memories: memories.as_deref(),
            rules: &rules,
            read_bytes: &AtomicU64::new(0),
            trust: if list.fresh { CacheTrust::No } else { CacheTrust::Yes },
            contents: if list.contents {
                Contents::Judged
            } else {
                Contents::Unread
            },
        },
        people: Directory::read(),
        place: named.place,
        now: SystemTime::now(),
    };
    let (mut mailboxes, mut others) = crew.all(named.entries, &named.maildirs, list.larger_than)?;
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
        now: unix_seconds(crew.now),
    };
    let mut output = io::BufWriter::new(io::stdout().lock());
    let written = if list.json {
        export::write_json(&findings, &mut output)
    } else if list.prometheus {
        export::write_prometheus(&findings, &mut output)
    } else if named.absent && findings.mailboxes.is_empty() && findings.others.is_empty() {
        Ok(())
    } else {
        table::write_table(&findings, &mut output)
    };
    finish_answer(written.and_then(|()| output.flush()))?;
    Ok(if wrong { Status::Wrong } else { Status::Done })
}

#[derive(Default)]
struct NamedMailbox {
    entries: Vec<DirectoryEntry>,
    maildirs: Vec<UserMaildir>,
    place: SpoolAccess,
    /// What is wrong with the directory itself.
    directory: Option<Row>,
    /// Something that was named is not there.
    absent: bool,
}

/// Everything in the spool directory, or the mailboxes that were named.
fn named(list: &Listing, care: &SpoolRun) -> Result<NamedMailbox, Error> {
    let is_path = |what: &PathBuf| what.as_os_str().as_encoded_bytes().contains(&b'/');
    if list.what.is_empty() || !list.what.iter().all(is_path) {
        select::refuse_servers(&care.config)?;
    }
    let location = &care.config.mailbox.location;
    let dir = location.spool_dir();
    let mut found = NamedMailbox::default();
    if let (Location::Maildir(_), []) = (location, list.what.as_slice()) {
        found.maildirs = maildirs::find_maildirs(location, &Directory::read())?;
        return Ok(found);
    }
    let stat = dir
        .metadata()
        .map_err(|e| Error::io("examine spool directory", dir, &e));
    if list.what.is_empty() {
        let stat = stat?;
        let problem = problems::with_directory(dir, stat.permissions().mode());
        found.entries = directory::read_entries(dir)?;
        found.entries.extend(of_aliases(&care.config));
        found.place = SpoolAccess::of(&stat);
        found.directory = problem.map(|problem| Row {
            problems: vec![problem],
            ..row_without_numbers(dir, &stat)
        });
        return Ok(found);
    }
    found.place = stat.map(|stat| SpoolAccess::of(&stat)).unwrap_or_default();
    for what in &list.what {
        match one(what, &care.config) {
            Ok(ListedMailbox::Mbox(entry)) => found.entries.push(entry),
            Ok(ListedMailbox::Maildir(maildir)) => found.maildirs.push(maildir),
            Err(e) => {
                found.absent = true;
                print_error(&e);
            }
        }
    }
    Ok(found)
}

enum ListedMailbox {
    Mbox(DirectoryEntry),
    Maildir(UserMaildir),
}

/// A path is what has a slash in it; everything else is a user's name.
fn one(what: &Path, config: &Config) -> Result<ListedMailbox, Error> {
    let location = &config.mailbox.location;
    let is_path = what.as_os_str().as_encoded_bytes().contains(&b'/');
    let name = what.to_string_lossy();
    let path = match is_path {
        true => what.to_owned(),
        false => select::path_of_user(&name, config)?,
    };
    let named = (!is_path).then_some(&*name);
    let stat = path
        .symlink_metadata()
        .map_err(|e| select::not_found(&path, named, &e, config))?;
    if stat.is_dir() && holds_maildir(&path, 0) {
        let user = match is_path {
            true => account::find_owner(stat.uid())?.name,
            false => name.into_owned(),
        };
        return Ok(ListedMailbox::Maildir(UserMaildir {
            path,
            user,
            is_configured: !is_path,
        }));
    }
    let entry = DirectoryEntry { path, stat };
    // Nobody is told to remove what is not in the way of a mailbox.
    match problems::with_stray(&entry, &entry.entry_kind(), SystemTime::now()) {
        Some(problem) if entry.path.parent() != Some(location.spool_dir()) => {
            Err(not_a_mailbox(&entry.path, &problem.what))
        }
        Some(_) | None => Ok(ListedMailbox::Mbox(entry)),
    }
}

/// The mailboxes of aliases, as far as this run can see. What keeps one from being used is doctor's to say.
fn of_aliases(config: &Config) -> Vec<DirectoryEntry> {
    let dir = Path::new(&config.aliases.dir);
    let entry = |name: String| {
        alias_account::find_alias(&name, dir).ok()?;
        let path = alias_account::mailbox_of(&name, dir)?;
        let stat = path.symlink_metadata().ok()?;
        Some(DirectoryEntry { path, stat })
    };
    alias_account::list_aliases(dir).into_iter().filter_map(entry).collect()
}

/// Where looks are remembered; nowhere in a dry run.
fn memories(care: &SpoolRun) -> Option<PathBuf> {
    if care.is_dry_run() {
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
fn rules(care: &SpoolRun) -> String {
    let config = &care.config;
    let text = format!(
        "{:?} {} {} {}",
        config.addresses,
        config.recipient_delimiter,
        config.guard.max_hops,
        account::mail_name()
    );
    format!("{} {:016x}", env!("CARGO_PKG_VERSION"), hash_bytes(text.as_bytes()))
}

/// Puts the rows in the order asked for; names decide where it does not.
fn sort(rows: &mut [Row], key: SortKey) {
    fn survey(row: &Row) -> Option<&MailboxStats> {
        row.numbers.as_ref().map(|numbers| &numbers.survey)
    }
    let messages = |row: &Row| survey(row).map_or(0, |survey| survey.all.messages);
    let bounces = |row: &Row| survey(row).map_or(0, |survey| survey.of(MailKind::Bounce).messages);
    let growth = |row: &Row| Some(row.numbers.as_ref()?.growth?.0);
    let oldest = |row: &Row| survey(row).and_then(|survey| survey.oldest).unwrap_or(i64::MAX);
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
