//! Takes messages that are in an archive out of a Maildir. What goes is noted first, with the archive's name; then the
//! archive gets that name; then the messages are removed, and the note. So a run that is killed leaves one of two
//! things: a note on an archive that is not there, and all messages are; or a note on one that is, and whoever looks
//! after this Maildir next removes the others. No message is lost, and none is in both places for longer than that.
//!
//! A message that somebody moved into a folder meanwhile stays there. UID lists of IMAP servers are left alone. Nobody
//! who delivers is held up.

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, RenameFlags, flock, fsync, openat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use crate::error::{Category, Error};
use crate::maildir::directory::{Maildir, each_name};
use crate::maildir::name::without_flags;
use crate::maildir::size_file;
use crate::maildir::usage::size_of;
use crate::sys::dirs::sync_parent;

/// The note, in the Maildir itself: IMAP servers pass over files there.
const NOTE: &str = "spoolguard-leaving";

/// The longest note that is read, in bytes: a million names.
const MOST_BYTES: u64 = 64 << 20;

/// Messages by what stays of their names, with their inodes: two files may have one name but for the flags.
type LeavingMessages = HashMap<Vec<u8>, Vec<u64>>;

/// How often it is looked for messages that are not where they were a moment ago.
const MOST_LOOKS: u32 = 10;

/// Nobody else takes mail out of the Maildir, or puts it back, while this lives. Deliveries and mail clients go on.
#[derive(Debug)]
pub struct MaintenanceLock {
    _dir: Option<OwnedFd>,
}

impl MaintenanceLock {
    /// Locks the Maildir, without waiting, and finishes what a killed run left. Fails when another run is at it, or
    /// what was left cannot be finished.
    pub fn take(maildir: &Maildir) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fail = |e: Errno| Error::io("lock", maildir.path(), &e.into()).class(Category::Mailbox);
        let dir = openat(maildir.root(), ".", flags, Mode::empty()).map_err(fail)?;
        let lock = match flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Self { _dir: Some(dir) },
            Err(Errno::WOULDBLOCK) => {
                let cause = "another run archives, sweeps or restores it just now";
                return Err(Error::new(Category::Mailbox, "lock", maildir.path().display(), cause)
                    .hint("try again when that has ended"));
            }
            // A file server may know no such locks.
            Err(Errno::BADF | Errno::NOLCK | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => Self { _dir: None },
            Err(e) => return Err(fail(e)),
        };
        finish_left(maildir)?;
        Ok(lock)
    }
}

/// Messages that are about to go, and are noted. Dropped, the note goes and they stay.
#[derive(Debug)]
#[must_use]
pub struct Departure<'a> {
    maildir: &'a Maildir,
    leaving: LeavingMessages,
    is_noted: bool,
}

impl<'a> Departure<'a> {
    /// Notes that these messages go, each by its name without flags and its inode, as soon as there is an archive of
    /// this name. Fails when that cannot be written; then there is no note.
    pub fn note<'n>(
        maildir: &'a Maildir,
        _lock: &MaintenanceLock,
        messages: impl Iterator<Item = (&'n [u8], u64)>,
        archive: &Path,
    ) -> Result<Self, Error> {
        let path = maildir.path().join(NOTE);
        let fail = |e: io::Error| Error::io("write", &path, &e);
        let archive = std::path::absolute(archive).map_err(fail)?;
        let mut leaving = LeavingMessages::new();
        let mut text = archive.as_os_str().as_bytes().to_vec();
        text.push(0);
        for (name, inode) in messages {
            text.extend_from_slice(format!("{inode} ").as_bytes());
            text.extend_from_slice(name);
            text.push(0);
            leaving.entry(name.to_vec()).or_default().push(inode);
        }
        // Says that all of it is there.
        text.push(b'\n');
        let draft = format!("spoolguard-leaving.P{}.{}", std::process::id(), fastrand::u32(..));
        let write = || {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(maildir.tmp_dir(), &draft, flags, Mode::RUSR | Mode::WUSR)?;
            maildir.give_to_user(&file)?;
            let mut file = File::from(file);
            file.write_all(&text)?;
            file.sync_all()?;
            rename_new(maildir.tmp_dir(), &draft, maildir.root(), NOTE)?;
            Ok(fsync(maildir.root())?)
        };
        let departure = Self {
            maildir,
            leaving,
            is_noted: true,
        };
        if let Err(e) = write() {
            let _ = unlinkat(maildir.tmp_dir(), &draft, AtFlags::empty());
            return Err(fail(e));
        }
        Ok(departure)
    }

    /// The archive is there: the messages go. Returns how many were removed. Fails when one cannot be removed; then the
    /// note stays, and the next run goes on.
    pub fn carry_out(mut self) -> Result<u64, Error> {
        self.is_noted = false;
        let removed = remove(self.maildir, &self.leaving)?;
        let bytes = i64::try_from(removed.bytes).unwrap_or(i64::MAX);
        let messages = i64::try_from(removed.messages).unwrap_or(i64::MAX);
        let counted = size_file::add_size(self.maildir, -bytes, -messages);
        // Where that failed, the note lets the next run count.
        if counted.is_ok() {
            remove_note(self.maildir)?;
        }
        Ok(removed.messages)
    }
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        if self.is_noted {
            let _ = remove_note(self.maildir);
        }
    }
}

/// Tells whether a run is at it, or was killed, while it took mail out.
pub fn is_left(maildir: &Maildir) -> bool {
    statat(maildir.root(), NOTE, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Finishes what a killed run left: the messages go when their archive is there.
fn finish_left(maildir: &Maildir) -> Result<(), Error> {
    let path = maildir.path().join(NOTE);
    let Some((archive, leaving)) = read_note(maildir).map_err(|e| Error::io("read", &path, &e))? else {
        return Ok(());
    };
    match archive.symlink_metadata() {
        Ok(stat) if stat.is_file() => {
            // That run was killed perhaps before it had made the name last.
            sync_parent(&archive).map_err(|e| Error::io("sync the directory of", &archive, &e))?;
            let removed = remove(maildir, &leaving)?;
            // Nobody knows which of them were counted. Where that fails, the note stays for the next run.
            let is_counted = size_file::count_again(maildir).is_ok();
            tracing::warn!(
                mailbox = maildir.path().display().to_string(),
                archive = archive.display().to_string(),
                messages = removed.messages,
                "an earlier run archived these messages, and was killed before it could take them out"
            );
            if !is_counted {
                return Ok(());
            }
        }
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => {
            return Err(Error::io("finish an earlier run, and find", &archive, &e)
                .hint("run the command again as whoever began it; the mail is all there"));
        }
    }
    remove_note(maildir)
}

/// What a note says: the archive, and the messages. One that is damaged says nothing: then they stay.
fn read_note(maildir: &Maildir) -> io::Result<Option<(PathBuf, LeavingMessages)>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(maildir.root(), NOTE, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text)?;
    let nothing = (PathBuf::new(), LeavingMessages::new());
    let Some(text) = text.strip_suffix(b"\0\n") else {
        return Ok(Some(nothing));
    };
    let mut parts = text.split(|b| *b == 0);
    let archive = PathBuf::from(OsStr::from_bytes(parts.next().unwrap_or_default()));
    let mut leaving = LeavingMessages::new();
    for part in parts {
        let blank = part.iter().position(|b| *b == b' ').unwrap_or(part.len());
        let (inode, name) = part.split_at_checked(blank).unwrap_or_default();
        let inode = std::str::from_utf8(inode).ok().and_then(|inode| inode.parse().ok());
        if let (Some(inode), Some(name)) = (inode, name.strip_prefix(b" ")) {
            leaving.entry(name.to_vec()).or_default().push(inode);
        }
    }
    Ok(Some((archive, leaving)))
}

fn remove_note(maildir: &Maildir) -> Result<(), Error> {
    let fail = |e: Errno| Error::io("remove", &maildir.path().join(NOTE), &e.into());
    match unlinkat(maildir.root(), NOTE, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => fsync(maildir.root()).map_err(fail),
        Err(e) => Err(fail(e)),
    }
}

#[derive(Default)]
struct RemovedMail {
    bytes: u64,
    messages: u64,
}

/// Removes the messages, whatever flags they have by now, and syncs that.
fn remove(maildir: &Maildir, leaving: &LeavingMessages) -> Result<RemovedMail, Error> {
    let mut removed = RemovedMail::default();
    // One that gets other flags between the look and the removal is found by the next look.
    for _ in 0..MOST_LOOKS {
        if remove_once(maildir, leaving, &mut removed)? == 0 {
            return Ok(removed);
        }
    }
    let cause = "a mail client gives its messages other flags again and again";
    Err(Error::new(
        Category::Mailbox,
        "take messages out of",
        maildir.path().display(),
        cause,
    )
    .hint("run this again: the messages are in the archive, and go then"))
}

/// Looks once; returns how many messages were not where they had been seen.
fn remove_once(maildir: &Maildir, leaving: &LeavingMessages, removed: &mut RemovedMail) -> Result<u64, Error> {
    let mut missed = 0;
    // A reader moves messages from `new/` to `cur/`, and never back.
    for (part, dir) in [("new", maildir.new_dir()), ("cur", maildir.cur_dir())] {
        let path = maildir.path().join(part);
        let fail = |e: io::Error| Error::io("take messages out of", &path, &e).class(Category::Mailbox);
        let mut found: Vec<CString> = Vec::new();
        each_name(dir, |name| {
            if let Some(inodes) = leaving.get(without_flags(name.to_bytes())) {
                match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) if inodes.contains(&stat.st_ino) => found.push(name.to_owned()),
                    Ok(_) => {}
                    Err(Errno::NOENT) => missed += 1,
                    Err(e) => return Err(e.into()),
                }
            }
            Ok(ControlFlow::Continue(()))
        })
        .map_err(fail)?;
        for name in found {
            let bytes = size_of(dir, &name).map_err(fail)?;
            match unlinkat(dir, &name, AtFlags::empty()) {
                Ok(()) => {
                    removed.bytes += bytes.unwrap_or_default();
                    removed.messages += 1;
                }
                Err(Errno::NOENT) => missed += 1,
                Err(e) => return Err(fail(e.into())),
            }
        }
        fsync(dir).map_err(|e| fail(e.into()))?;
    }
    Ok(missed)
}

/// Gives a file a name that is free.
fn rename_new(from_dir: impl AsFd, from: &str, to_dir: impl AsFd, to: &str) -> Result<(), Errno> {
    match renameat_with(&from_dir, from, &to_dir, to, RenameFlags::NOREPLACE) {
        // Not on every file system; the lock keeps others away.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rustix::fs::renameat(&from_dir, from, &to_dir, to),
        renamed => renamed,
    }
}
