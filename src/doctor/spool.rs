//! Checks the spool directory: what lies in it, whose it is, and what users can do there.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use crate::config::LockMethod;
use crate::doctor::facts::HostFacts;
use crate::doctor::filesystem;
use crate::doctor::rules::{Check, CheckSubject, Finding, Level};
use crate::error::Error;
use crate::mailbox::setgid;
use crate::output::shell::{program_command, quote_path};
use crate::spool::directory::{self, EntryKind};
use crate::spool::list::problems::{self, SpoolAccess};
use crate::spool::list::row::{RowProblem, Weight};
use crate::sys::account;
use crate::sys::user_directory::Directory;

/// How many things are told of what lies in it: somebody mends the first, and looks again.
const MOST_NAMES: usize = 10;

pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let dir = host.config.mailbox.location.spool_dir();
    let topic = Check::Spool.about(dir.display());
    let stat = match dir.metadata() {
        Ok(stat) if stat.is_dir() => stat,
        Ok(_) => {
            return vec![topic.error("it is not a directory", "set [mailbox] location")];
        }
        Err(e) => {
            return vec![topic.error(
                Error::io("examine", dir, &e).to_string(),
                format!(
                    "install -d -m 2775 -o root -g mail {}, or set [mailbox] location",
                    quote_path(dir)
                ),
            )];
        }
    };
    let mut found = Vec::new();
    let problem = problems::with_directory(dir, stat.permissions().mode());
    found.extend(problem.map(|problem| of_problem(&topic, problem)));
    found.extend(names(dir, SpoolAccess::of(&stat)));
    found.extend(rights(host, dir, &stat));
    found.extend(filesystem::examine(dir, &host.config.mailbox));
    found
}

fn names(dir: &Path, place: SpoolAccess) -> Vec<Finding> {
    let entries = match directory::read_entries(dir) {
        Ok(entries) => entries,
        Err(e) => {
            return vec![Check::LeftOut.about(dir.display()).note(e.to_string())];
        }
    };
    let people = Directory::read();
    let now = SystemTime::now();
    let mut found = Vec::new();
    let mut mailboxes = 0;
    for entry in &entries {
        let topic = Check::Spool.about(entry.path.display());
        let thing = entry.entry_kind();
        if thing == EntryKind::Mailbox {
            mailboxes += 1;
            let name = entry.path.file_name().and_then(|name| name.to_str());
            let user = name.and_then(|name| people.find(name));
            let problems = problems::with_rights(entry, user, place, &people);
            found.extend(problems.into_iter().map(|problem| of_problem(&topic, problem)));
        } else {
            let problem = problems::with_stray(entry, &thing, now);
            found.extend(problem.map(|problem| of_problem(&topic, problem)));
        }
    }
    if found.len() > MOST_NAMES {
        let more = found.len() - MOST_NAMES;
        found.truncate(MOST_NAMES);
        found.push(Check::Spool.about(dir.display()).error(
            format!("{more} more such things are wrong in it"),
            format!("{} spool list, which names them all", program_command()),
        ));
    }
    if found.is_empty() {
        let text = match mailboxes {
            0 => "there is nothing in it yet".to_owned(),
            1 => "1 mailbox, with the right owner and mode, and nothing else".to_owned(),
            count => format!("{count} mailboxes, with the right owners and modes, and nothing else"),
        };
        found.push(Check::Spool.about(dir.display()).ok(text));
    }
    found
}

fn of_problem(topic: &CheckSubject, problem: RowProblem) -> Finding {
    let finding = topic.note(problem.what);
    let finding = match (problem.weight, problem.advice) {
        (_, None) => finding,
        (_, Some(advice)) => finding.remedy(advice),
    };
    match problem.weight {
        Weight::Wrong => Finding {
            level: Level::Error,
            ..finding
        },
        Weight::Note | Weight::NotAllowed => finding,
    }
}

/// What a run of a user, who is in no group but an own one, can do in it.
fn rights(host: &HostFacts, dir: &Path, stat: &std::fs::Metadata) -> Option<Finding> {
    let mode = stat.permissions().mode() & 0o7777;
    let group = match account::group_name(stat.gid()) {
        name if name.is_empty() => stat.gid().to_string(),
        name => name,
    };
    let topic = Check::Rights.about(dir.display());
    let so = format!("its mode is {mode:o}, its group {group}");
    if mode & 0o001 == 0 {
        let what = format!("users cannot enter it: {so}");
        return Some(topic.error(what, format!("chmod o+x {}", quote_path(dir))));
    }
    if mode & 0o002 != 0 {
        let what = format!("users can make mailboxes and dotlocks in it: {so}");
        return Some(topic.ok(what));
    }
    if setgid::is_installed_for(dir) {
        let what = format!("spoolguard is setgid to its group, and makes mailboxes and dotlocks in it: {so}");
        return Some(topic.ok(what));
    }
    let others = host.config.mailbox.locks_beside_dotlock();
    if others.is_empty() {
        let what = format!("users can make no dotlock in it, and [mailbox] locks names no other: mail waits ({so})");
        return Some(topic.error(what, "locks = [\"dotlock\", \"fcntl\"]"));
    }
    let lock = others
        .iter()
        .find(|lock| **lock == LockMethod::Fcntl)
        .or(others.first())?;
    let what = format!("users' runs take the {lock} lock alone, and cannot make a first mailbox: {so}");
    // It refuses to run setgid to root's group, and such a group lets nobody in who may not write to the directory.
    let setgid = match (stat.gid(), mode & 0o020) {
        (0, _) => String::new(),
        (_, 0) => format!("chmod g+w {}, with spoolguard setgid {group}; or ", quote_path(dir)),
        (_, _) => format!("install spoolguard setgid {group}, or "),
    };
    Some(topic.warning(
        what,
        format!(
            "{setgid}make each mailbox once, as root: install -m 660 -o USER -g {group} /dev/null {}/USER",
            quote_path(dir)
        ),
    ))
}
