//! What is wrong with a name of the spool directory, and what to do about it: strays, owners, modes, stale locks.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use crate::config::Config;
use crate::deliver::context::state_place;
use crate::deliver::overflow;
use crate::mailbox::expunge::set_aside as journal_kept;
use crate::maildir::departure;
use crate::maildir::directory::{Maildir, holds_maildir};
use crate::output::shell::{program_command, quote_path, quote_word};
use crate::output::sizes::{age_text, size_text};
use crate::spool::directory::{DirectoryEntry, EntryKind, LockState};
use crate::spool::list::row::{RowProblem, Weight};
use crate::spool::list::scan::ScannedMailbox;
use crate::spool::rules::statistics::MailboxStats;
use crate::sys::account::Account;
use crate::sys::user_directory::Directory;

/// Where Maildirs of virtual users lie below the spool directory: `vhosts/DOMAIN/USER/Maildir`.
const MAILDIRS_BELOW: u32 = 3;

/// What the mailbox had no room for. The directory of another user is not looked into: only a file's length is asked
/// for.
pub fn with_overflow(config: &Config, account: &Account, home: Option<&Path>) -> Option<RowProblem> {
    let account = Account {
        home: home.map(Path::to_owned).or_else(|| account.home.clone()),
        ..account.clone()
    };
    let bytes = overflow::overflow_bytes(&state_place(config, &account)?)?;
    Some(RowProblem::to_mend(
        format!("it had no room for {}: they lie in the overflow", size_text(bytes)),
        format!(
            "make room, and: {} spool restore --overflow --user {}",
            program_command(),
            quote_word(&account.name)
        ),
    ))
}

#[derive(Clone, Copy, Debug, Default)]
pub struct SpoolAccess {
    pub gid: u32,
    /// Whether its group may make mailboxes in it.
    pub shared: bool,
}

impl SpoolAccess {
    pub fn of(stat: &std::fs::Metadata) -> Self {
        Self {
            gid: stat.gid(),
            shared: stat.mode() & 0o020 != 0,
        }
    }
}

/// What is wrong with the directory itself.
pub fn with_directory(dir: &Path, mode: u32) -> Option<RowProblem> {
    (mode & 0o002 != 0 && mode & 0o1000 == 0).then(|| {
        let what = "everybody may remove and replace the mailboxes in it";
        RowProblem::to_mend(what, format!("chmod o-w {}", quote_path(dir)))
    })
}

/// What is wrong with what is no mailbox; nothing where it only is in use.
pub fn with_stray(entry: &DirectoryEntry, thing: &EntryKind, now: SystemTime) -> Option<RowProblem> {
    let path = quote_path(&entry.path);
    let elsewhere = "no delivery uses it; move it elsewhere";
    let problem = match thing {
        EntryKind::Mailbox => return None,
        EntryKind::Lock | EntryKind::Draft => return with_lock(entry, thing, now),
        EntryKind::SetAside => set_aside(&path),
        EntryKind::Journal if journal_kept::is_kept(&entry.path) => set_aside(&path),
        EntryKind::Journal | EntryKind::Leftover if !entry.is_left(now) => return None,
        // Whoever cannot remove one says so in it.
        EntryKind::Journal if journal_kept::is_done(&entry.path) => return None,
        EntryKind::Journal => RowProblem::to_mend(
            "an archive, a sweep or a restore was interrupted, and this holds the mail that it was moving",
            "leave it: the next delivery to the mailbox, or the same command again, finishes it",
        ),
        EntryKind::Leftover => RowProblem::to_mend(
            "it was left by a command that did not end, and nothing depends on it",
            format!("rm {path}"),
        ),
        EntryKind::Directory if holds_maildir(&entry.path, MAILDIRS_BELOW) => return None,
        EntryKind::Directory => RowProblem::to_mend("it is a directory, and not an mbox", elsewhere),
        EntryKind::Hidden => RowProblem::to_mend("it is hidden, and no mailbox", elsewhere),
        EntryKind::Special(kind) => RowProblem::to_mend(format!("it is {kind}, and no mailbox"), format!("rm {path}")),
        EntryKind::Link(to) => RowProblem::to_mend(
            format!("it is a symbolic link to {}, and no delivery follows it", to.display()),
            format!("rm {path}"),
        ),
        EntryKind::ManyNames(count) => RowProblem::to_mend(
            format!("it has {count} names, and no delivery uses it"),
            format!(
                "find the others (find / -xdev -inum {}), and remove all but one",
                entry.stat.ino()
            ),
        ),
    };
    Some(problem)
}

fn set_aside(path: &str) -> RowProblem {
    RowProblem::to_mend(
        "the journal of an archive, a sweep or a restore, set aside since it was damaged or the disk failed",
        format!("check the disk, and look whether the mailbox has all the mail in it (strings {path}); then rm {path}"),
    )
}

fn with_lock(entry: &DirectoryEntry, thing: &EntryKind, now: SystemTime) -> Option<RowProblem> {
    let path = quote_path(&entry.path);
    let noun = if *thing == EntryKind::Lock {
        "a lock"
    } else {
        "a lock that was not finished"
    };
    let problem = match entry.lock_state(now) {
        LockState::InUse => return None,
        LockState::Dead(pid) => RowProblem::to_mend(
            format!("{noun}, left by process {pid}, which is gone"),
            format!("rm {path}"),
        ),
        LockState::Long(pid, age) => RowProblem::to_mend(
            format!("{noun}, held for {} by process {pid}", age_text(age)),
            format!("see what that does (ps -fp {pid}): mail waits for it"),
        ),
        LockState::Old(age) => RowProblem::to_mend(
            format!("{noun}, {} old, and nobody says whose it is", age_text(age)),
            format!("if no mail program has the mailbox open: rm {path}"),
        ),
    };
    Some(problem)
}

/// What is wrong with the owner, the group and the mode of a mailbox; `user` is who has its name, if anybody has.
pub fn with_rights(
    entry: &DirectoryEntry,
    user: Option<(u32, u32)>,
    place: SpoolAccess,
    people: &Directory,
) -> Vec<RowProblem> {
    let mut found = Vec::new();
    let path = quote_path(&entry.path);
    let (uid, gid, mode) = (
        entry.stat.uid(),
        entry.stat.gid(),
        entry.stat.permissions().mode() & 0o7777,
    );
    let name = entry.path.file_name().unwrap_or_default().to_str().unwrap_or_default();
    match user {
        Some((own, _)) if own != uid => found.push(RowProblem::to_mend(
            format!("it belongs to uid {uid}, not to {name}, and no delivery uses it"),
            format!("chown {} {path}", quote_path(Path::new(name))),
        )),
        // Where names are no users', mailboxes are virtual, and somebody has them all.
        None if !people.has(uid) => found.push(RowProblem::to_mend(
            format!("it belongs to uid {uid}, and nobody has that number any more"),
            format!(
                "archive it ({} spool archive {path} --all-mail), then rm {path}",
                program_command()
            ),
        )),
        Some(_) | None => {}
    }
    let usual = if place.shared && gid == place.gid { "660" } else { "600" };
    let mend = |what: &str| RowProblem::to_mend(what, format!("chmod {usual} {path}"));
    if mode & 0o600 != 0o600 {
        found.push(mend(&format!(
            "its mode is {mode:03o}: its owner may not read and write it"
        )));
    } else if mode & 0o007 != 0 {
        found.push(mend(&format!("its mode is {mode:03o}: everybody may use it")));
    } else if mode & 0o7110 != 0 {
        found.push(mend(&format!(
            "its mode is {mode:03o}, and mail programs take that for something else"
        )));
    }
    let own_group = user.is_some_and(|(_, own)| own == gid);
    if mode & 0o060 != 0 && gid != place.gid && !own_group {
        found.push(RowProblem::to_mend(
            format!("its mode is {mode:03o}: the group {gid} may use it, which is not that of the spool directory"),
            format!("chgrp {} {path}", place.gid),
        ));
    }
    found
}

/// What a look met: other programs, holes, lines that may begin a message.
pub fn with_look(seen: &ScannedMailbox) -> Vec<RowProblem> {
    let disturbed = seen
        .disturbed
        .map(|what| RowProblem::to_know(format!("{what}; look again")));
    let holes = seen.holes.as_ref();
    let holes = holes.map(|what| RowProblem::to_mend(what, "truncate(1) it to the end of the last message"));
    disturbed
        .into_iter()
        .chain(holes)
        .chain(with_lines(&seen.survey))
        .collect()
}

/// Lines at which a message may begin, and does not surely: it is not counted, and nothing around it is taken.
fn with_lines(survey: &MailboxStats) -> Option<RowProblem> {
    let doubt = survey.doubt.as_ref()?;
    let (offset, line) = (doubt.offset, &doubt.line);
    let more = match survey.doubtful {
        0 | 1 => String::new(),
        many => format!(", and {} more messages have such a line", many - 1),
    };
    Some(RowProblem {
        advice: Some("no archive and no sweep takes what is around it".to_owned()),
        ..RowProblem::to_know(format!(
            "another message may begin at byte {offset}, in the line \"{line}\"{more}"
        ))
    })
}

/// Why a mailbox could not be read; that others' mailboxes cannot be read by a user is as it should be.
pub fn with_reading(path: &Path, uid: u32, error: &io::Error, runner: u32) -> RowProblem {
    let text = crate::error::Error::io("read", path, error).to_string();
    let cause = text.rsplit_once(": ").map_or(text.as_str(), |(_, cause)| cause);
    let kind = error.kind();
    let barred = matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::Other);
    let weight = if barred && runner != 0 && runner != uid {
        Weight::NotAllowed
    } else {
        Weight::Wrong
    };
    RowProblem {
        weight,
        what: format!("cannot read it: {cause}"),
        advice: None,
    }
}

/// What a killed run left: messages that are in an archive and in the Maildir.
pub fn with_departure(maildir: &Maildir) -> Option<RowProblem> {
    departure::is_left(maildir).then(|| {
        RowProblem::to_mend(
            "a run was killed while it took mail out: some of it may be in the archive and here",
            "the next archive, sweep or restore of this mailbox finishes that",
        )
    })
}

/// A file that is no mbox.
pub fn not_an_mbox(entry: &DirectoryEntry, spool_dir: &Path) -> RowProblem {
    let what = "it does not begin as an mbox does, with a From line";
    if entry.path.parent() != Some(spool_dir) {
        return RowProblem {
            weight: Weight::Wrong,
            ..RowProblem::to_know(what)
        };
    }
    RowProblem::to_mend(
        what,
        format!(
            "look what it is (file {}), and move it elsewhere",
            quote_path(&entry.path)
        ),
    )
}
