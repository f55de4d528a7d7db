//! Puts a message into a Maildir: written to `tmp/`, synced, named in `new/` without replacing anything, `new/` synced.
//! On a failure nothing of it is in `new/`. What is on the disk when the power goes: before the last sync any part or
//! nothing, and the message comes again; behind it the whole message. The line in `maildirsize` follows the name,
//! before the sync; one that is lost is found out by the next count.

use std::ffi::CStr;
use std::fs::{File, FileTimes};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, fstat, fsync, linkat, openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use time::OffsetDateTime;

use crate::error::Error;
use crate::maildir::directory::{Maildir, each_name};
use crate::maildir::draft::MaildirDraft;
use crate::maildir::intent::{DeliveryIntent, IntentDir};
use crate::maildir::name::{UniqueName, escape_host, without_flags};
use crate::maildir::size_file;
use crate::sys::account::host_name;
use crate::sys::filesystem::has_no_links;

/// What lies in `tmp/` for so long is no longer written to (maildir(5)), in seconds.
const STALE_SECONDS: i64 = 36 * 60 * 60;

/// So many of them are looked at in one run: the MTA waits meanwhile, and the next run goes on.
const MOST_DRAFTS: usize = 1000;

/// A message that lies in a Maildir. As long as this lives, it is noted as unfinished.
#[derive(Debug)]
#[must_use]
pub struct Delivered {
    path: PathBuf,
    name: String,
    bytes: u64,
    intent: Option<DeliveryIntent>,
}

impl Delivered {
    /// The note on it, which has to live until nothing can send the message back any more.
    #[must_use]
    pub fn into_intent(self) -> Option<DeliveryIntent> {
        self.intent
    }

    /// It stays, though the message will come again: so does the note, and the next try knows it.
    pub fn leave(self) {
        if let Some(intent) = self.intent {
            intent.leave();
        }
    }

    pub fn path(&self) -> PathBuf {
        self.path.join("new").join(&self.name)
    }
}

/// Delivers the message at `now`. Fails when any step fails; then nothing of it is in `new/`, or the error says that it
/// is.
pub fn deliver_message<R: Read + Clone>(
    maildir: &Maildir,
    draft: &MaildirDraft<R>,
    intents: Option<&IntentDir>,
    now: OffsetDateTime,
) -> Result<Delivered, Error> {
    let tmp = TmpFile::write(maildir, draft, now)?;
    let name = tmp.name.with_sizes(draft.bytes, draft.crlf_bytes);
    let intent = intents.and_then(|intents| intents.begin(&tmp.name));
    let path = maildir.path().join("new").join(&name);
    let fail = |e: Errno| name_error("deliver", &path, e);
    tmp.place(maildir.new_dir(), &name).map_err(fail)?;
    // At once, not behind the sync: whoever counts in between has counted it, and writes a new file, which this line
    // would come on top of. One that is lost is found out by the next count.
    let count = |bytes, messages| drop(size_file::add_size(maildir, bytes, messages));
    count(signed(draft.bytes), 1);
    if let Err(e) = fsync(maildir.new_dir()) {
        return match unlinkat(maildir.new_dir(), &name, AtFlags::empty()) {
            Ok(()) => {
                count(-signed(draft.bytes), -1);
                Err(fail(e))
            }
            Err(undo) => {
                if let Some(intent) = intent {
                    intent.leave();
                }
                Err(fail(e).hint(format!("the message stays there: {undo}")))
            }
        };
    }
    Ok(Delivered {
        path: maildir.path().to_owned(),
        name,
        bytes: draft.bytes,
        intent,
    })
}

/// Puts a message back into `cur/` with these flags, as delivered at `date`. `sync_restored` makes it last, one call
/// for many. Fails when any step fails; then nothing of it is in `cur/`.
pub fn put_back<R: Read + Clone>(
    maildir: &Maildir,
    draft: &MaildirDraft<R>,
    flags: &str,
    date: OffsetDateTime,
) -> Result<(), Error> {
    let tmp = TmpFile::write(maildir, draft, date)?;
    let name = format!("{}:2,{flags}", tmp.name.with_sizes(draft.bytes, draft.crlf_bytes));
    let path = maildir.path().join("cur").join(&name);
    let fail = |e: io::Error| Error::io("put back", &path, &e);
    // What IMAP servers show as the time of arrival.
    let arrived = FileTimes::new().set_modified(SystemTime::from(date));
    let file = File::from(tmp.file.try_clone().map_err(fail)?);
    file.set_times(arrived).map_err(fail)?;
    tmp.place(maildir.cur_dir(), &name)
        .map_err(|e| name_error("put back", &path, e))?;
    // One that is lost is found out by the next count.
    let _ = size_file::add_size(maildir, signed(draft.bytes), 1);
    Ok(())
}

/// Why a message could not be given its name.
fn name_error(verb: &'static str, path: &Path, e: Errno) -> Error {
    let error = Error::io(verb, path, &e.into());
    match e {
        Errno::XDEV => error.hint("tmp, new and cur of a Maildir have to be on one file system"),
        _ => error,
    }
}

/// Makes what was put back last.
pub fn sync_restored(maildir: &Maildir) -> Result<(), Error> {
    let fail = |e: Errno| Error::io("sync", &maildir.path().join("cur"), &e.into());
    fsync(maildir.cur_dir()).map_err(fail)
}

/// Looks whether a killed run has delivered this message; if so, makes sure that it lasts.
pub fn find_delivered<R: Read + Clone>(
    maildir: &Maildir,
    draft: &MaildirDraft<R>,
    intents: &IntentDir,
    now: OffsetDateTime,
) -> Result<Option<Delivered>, Error> {
    for (left, intent) in intents.find_left(maildir.new_dir(), draft.fingerprint, &escape_host(&host_name())) {
        // Its run is no more.
        let _ = unlinkat(maildir.tmp_dir(), left.to_string(), AtFlags::empty());
        let name = left.with_sizes(draft.bytes, draft.crlf_bytes);
        if is_safe_again(maildir, draft, &name, now)? {
            // Nobody knows whether it was counted. It is safe, and a count that fails must not bring it again.
            let _ = size_file::count_again(maildir);
            return Ok(Some(Delivered {
                path: maildir.path().to_owned(),
                name,
                bytes: draft.bytes,
                intent: Some(intent.take_over()),
            }));
        }
        intent.remove();
    }
    Ok(None)
}

/// Tells whether a message is there, and makes it last. The run that wrote it saw its content synced, but nobody knows
/// what became of the name: after a sync that failed, the next one succeeds without a write (fsync(2)). So what nobody
/// has read is written once more.
fn is_safe_again<R: Read + Clone>(
    maildir: &Maildir,
    draft: &MaildirDraft<R>,
    name: &str,
    now: OffsetDateTime,
) -> Result<bool, Error> {
    let path = maildir.path().join("new").join(name);
    let fail = |e: io::Error| Error::io("put in order what a killed run left at", &path, &e);
    if statat(maildir.new_dir(), name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        let tmp = TmpFile::write(maildir, draft, now)?;
        let own = tmp.name.to_string();
        match renameat_with(maildir.tmp_dir(), &own, maildir.new_dir(), name, RenameFlags::EXCHANGE) {
            // A reader has moved it in between; or the file system cannot do that.
            Ok(()) | Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(e) => return Err(fail(e.into())),
        }
        if statat(maildir.new_dir(), name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            fsync(maildir.new_dir()).map_err(|e| fail(e.into()))?;
            return Ok(true);
        }
    }
    let seen = seen_as(maildir, name).map_err(fail)?;
    if seen.is_some() {
        fsync(maildir.cur_dir()).map_err(|e| fail(e.into()))?;
    }
    Ok(seen.is_some())
}

/// The name in `cur/` of a message that was delivered under `name`.
fn seen_as(maildir: &Maildir, name: &str) -> io::Result<Option<std::ffi::CString>> {
    let mut found = None;
    each_name(maildir.cur_dir(), |entry: &CStr| {
        if without_flags(entry.to_bytes()) != name.as_bytes() {
            return Ok(ControlFlow::Continue(()));
        }
        found = Some(entry.to_owned());
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// Takes a message back that was delivered. One that stays is noted, so that it is known when it comes again. Fails
/// when a reader has moved it away, or it cannot be removed.
pub fn take_back(maildir: &Maildir, delivered: Delivered) -> Result<(), Error> {
    let fail = |e: io::Error| Error::io("take a copy back from", &delivered.path(), &e);
    let taken = remove(maildir, &delivered.name).map_err(fail);
    match &taken {
        Ok(()) => drop(size_file::add_size(maildir, -signed(delivered.bytes), -1)),
        Err(_) => {
            delivered.leave();
        }
    }
    taken
}

fn remove(maildir: &Maildir, name: &str) -> io::Result<()> {
    match unlinkat(maildir.new_dir(), name, AtFlags::empty()) {
        Ok(()) => return Ok(fsync(maildir.new_dir())?),
        Err(Errno::NOENT) => {}
        Err(e) => return Err(e.into()),
    }
    let seen = seen_as(maildir, name)?.ok_or_else(|| io::Error::other("a reader has moved it"))?;
    unlinkat(maildir.cur_dir(), &seen, AtFlags::empty())?;
    Ok(fsync(maildir.cur_dir())?)
}

/// Removes what runs left in `tmp/` that were killed long ago. What cannot be removed stays.
pub fn remove_old_drafts(maildir: &Maildir, now: OffsetDateTime) {
    let mut seen = 0;
    let _ = each_name(maildir.tmp_dir(), |name| {
        seen += 1;
        if let Ok(stat) = statat(maildir.tmp_dir(), name, AtFlags::SYMLINK_NOFOLLOW) {
            let touched = stat.st_atime.max(stat.st_mtime);
            if now.unix_timestamp().saturating_sub(touched) > STALE_SECONDS {
                let _ = unlinkat(maildir.tmp_dir(), name, AtFlags::empty());
            }
        }
        Ok(if seen < MOST_DRAFTS {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    });
}

/// A message in `tmp/`, synced. Dropped, it goes.
struct TmpFile<'a> {
    maildir: &'a Maildir,
    name: UniqueName,
    file: OwnedFd,
}

impl<'a> TmpFile<'a> {
    fn write<R: Read + Clone>(
        maildir: &'a Maildir,
        draft: &MaildirDraft<R>,
        now: OffsetDateTime,
    ) -> Result<Self, Error> {
        let tmp = Self::create(maildir, draft.fingerprint, now)?;
        let path = maildir.path().join("tmp").join(tmp.name.to_string());
        let fail = |e: io::Error| Error::io("write", &path, &e);
        let file = File::from(tmp.file.try_clone().map_err(fail)?);
        draft.write(&file).and_then(|()| file.sync_all()).map_err(fail)?;
        Ok(tmp)
    }

    fn create(maildir: &'a Maildir, fingerprint: u64, now: OffsetDateTime) -> Result<Self, Error> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let host = escape_host(&host_name());
        loop {
            let name = UniqueName {
                seconds: now.unix_timestamp(),
                microseconds: now.microsecond(),
                pid: std::process::id(),
                number: NUMBER.fetch_add(1, Ordering::Relaxed),
                fingerprint,
                host: host.clone(),
            };
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(maildir.tmp_dir(), name.to_string(), flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => {
                    let made = Self { maildir, name, file };
                    let path = || maildir.path().join("tmp").join(made.name.to_string());
                    maildir
                        .give_to_user(&made.file)
                        .map_err(|e| Error::io("give to its user", &path(), &e))?;
                    return Ok(made);
                }
                // Of a run that was killed, and had our number and this very time; or a trap.
                Err(Errno::EXIST) if name.number < 100 => {}
                Err(e) => {
                    let path: &Path = &maildir.path().join("tmp").join(name.to_string());
                    return Err(Error::io("create", path, &e.into()));
                }
            }
        }
    }

    /// Gives the message its name in `new/` or `cur/`. Nothing is ever replaced.
    fn place(&self, new: &OwnedFd, name: &str) -> Result<(), Errno> {
        let (tmp, own) = (self.maildir.tmp_dir(), self.name.to_string());
        let placed = match renameat_with(tmp, &own, new, name, RenameFlags::NOREPLACE) {
            // Not on every file system.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match linkat(tmp, &own, new, name, AtFlags::empty())
            {
                // Neither there. The name is this message's alone, so rename(2) replaces nothing that anybody else
                // made.
                Err(e) if has_no_links(&e.into()) => match statat(new, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(_) => Err(Errno::EXIST),
                    Err(Errno::NOENT) => renameat(tmp, &own, new, name),
                    Err(e) => Err(e),
                },
                linked => linked,
            },
            placed => placed,
        };
        match placed {
            // A file server may have done it, and its answer was lost.
            Err(e) if !self.is_at(new, name) => Err(e),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn is_at(&self, new: &OwnedFd, name: &str) -> bool {
        let there = statat(new, name, AtFlags::SYMLINK_NOFOLLOW);
        match (there, fstat(&self.file)) {
            (Ok(there), Ok(own)) => (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino),
            _ => false,
        }
    }
}

impl Drop for TmpFile<'_> {
    fn drop(&mut self) {
        // Where it was renamed, there is nothing of this name.
        let _ = unlinkat(self.maildir.tmp_dir(), self.name.to_string(), AtFlags::empty());
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
