//! Makes a dotlock: it is written and locked before it has its name, so that nobody ever sees one without an owner. It
//! is named by link(2), whose answer may get lost. Where the file system has no links, it is made under its name at
//! once. Fails where the user can make no file beside the mailbox; what follows then is left to the caller. Where it
//! had to have another name first, a killed run leaves that; a later run removes it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs2::FileExt;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::Uid;

use crate::mailbox::lock::dotlock::owner::Identity;
use crate::mailbox::lock::dotlock::stale::{STALE_AGE, dotlock_age};
use crate::mailbox::setgid::{self, SpoolDirAccess};
use crate::sys::dirs::with_suffix;
use crate::sys::file_stamp::is_still;

/// Everybody may read who has it.
const MODE: Mode = Mode::from_bits_truncate(0o644);

/// Every so many runs that make a dotlock under another name look for those of killed runs.
const CLEAN_EVERY: u32 = 64;

/// What stands between the name of a mailbox and what makes the name of a draft its own.
const INFIX: &str = ".lock.";

/// A dotlock that has its content and its kernel lock, but not its name yet: nobody ever sees one without an owner.
pub struct DotlockDraft {
    /// Open and locked.
    pub file: File,
    /// Its name until it gets the right one, where the file system knows no nameless files.
    pub name: Option<TemporaryName>,
    place: Option<Arc<SpoolDirAccess>>,
}

impl DotlockDraft {
    /// Makes one, without a name where that can be. Fails when there can be none beside the mailbox.
    pub fn make(mailbox: &Path, place: Option<&Arc<SpoolDirAccess>>) -> io::Result<Self> {
        let made = match setgid::make_nameless(place.map(Arc::as_ref), mailbox, MODE) {
            Ok(file) => (file, None),
            // Some file systems, NFS among them, know no nameless files; before Linux 3.11 nobody did (open(2)).
            Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {
                Self::named(mailbox, place)?
            }
            Err(e) => return Err(e),
        };
        Self::of(made, place)
    }

    /// Writes its content and takes its kernel lock.
    pub fn of((file, name): (File, Option<TemporaryName>), place: Option<&Arc<SpoolDirAccess>>) -> io::Result<Self> {
        let mut draft = Self {
            file,
            name,
            place: place.cloned(),
        };
        match draft.file.write_all(Identity::of_this_process().to_string().as_bytes()) {
            // On a full disk an empty one is a lock like any other, judged by its age and our kernel lock: whoever
            // empties the mailbox there has to lock it first.
            Err(e) if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                draft.file.set_len(0)?;
            }
            result => result?,
        }
        // Refused only where the file system knows no flock; then the age decides, as it does between hosts.
        let _ = FileExt::try_lock_exclusive(&draft.file);
        Ok(draft)
    }

    /// A file with a name of its own.
    pub fn named(mailbox: &Path, place: Option<&Arc<SpoolDirAccess>>) -> io::Result<(File, Option<TemporaryName>)> {
        let unique = format!(
            "{INFIX}{}.{}.{:08x}",
            Identity::host_word(),
            std::process::id(),
            fastrand::u32(..)
        );
        let path = with_suffix(mailbox, &unique);
        let file = setgid::create_file(place.map(Arc::as_ref), &path, OFlag::O_RDWR, MODE)?;
        if fastrand::u32(..CLEAN_EVERY) == 0 {
            remove_old_drafts(mailbox, &file, place.map(Arc::as_ref));
        }
        let place = place.cloned();
        Ok((file, Some(TemporaryName { path, place })))
    }

    /// Makes one under its name at once (open(2), `O_EXCL`). Until it is locked, others take it for another program's;
    /// a run that is killed before leaves one whose owner is unknown.
    ///
    /// # Errors
    /// `AlreadyExists` when somebody has that name.
    pub fn create_exclusively(path: &Path, place: Option<&Arc<SpoolDirAccess>>) -> io::Result<Self> {
        let file = setgid::create_file(place.map(Arc::as_ref), path, OFlag::O_RDWR, MODE)?;
        Self::of((file, None), place).inspect_err(|_| {
            let _ = setgid::remove_file(place.map(Arc::as_ref), path);
        })
    }

    /// Gives it its name, unless somebody has that name already: link(2) does both at once, on NFS too.
    ///
    /// # Errors
    /// `AlreadyExists` when somebody has it.
    pub fn publish(&self, path: &Path) -> io::Result<()> {
        let named = self.name.as_ref().map(|name| name.path.as_path());
        let linked = setgid::link_file(self.place.as_deref(), &self.file, named, path);
        let links = if self.name.is_some() { 2 } else { 1 };
        let is_linked = || self.file.metadata().is_ok_and(|stat| stat.nlink() == links);
        match linked {
            Ok(()) if named.is_none() => Ok(()),
            // Where it had a name, the file system may be NFS, and the number of links is what counts there (open(2),
            // O_EXCL).
            Ok(()) if is_linked() => Ok(()),
            Ok(()) => Err(io::ErrorKind::AlreadyExists.into()),
            // The answer may have got lost though the link was made (link(2), BUGS).
            Err(_) if is_linked() && is_still(&self.file, path).unwrap_or(false) => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// Removes what runs of this user's left beside the mailbox that were killed long ago. What cannot be removed stays.
fn remove_old_drafts(mailbox: &Path, fresh: &File, place: Option<&SpoolDirAccess>) {
    let own = Uid::effective().as_raw();
    let dir = mailbox.parent().filter(|dir| !dir.as_os_str().is_empty());
    let entries = dir.unwrap_or(Path::new(".")).read_dir();
    for entry in entries.into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let is_left = |stat: std::fs::Metadata| {
            stat.is_file() && stat.uid() == own && dotlock_age(&stat, Some(fresh)) >= STALE_AGE
        };
        if is_draft(name.as_bytes(), mailbox) && path.symlink_metadata().is_ok_and(is_left) {
            let _ = setgid::remove_file(place, &path);
        }
    }
}

/// Tells whether this is the name of a draft of the mailbox's dotlock: a host, a process and a random number make it
/// its own.
fn is_draft(name: &[u8], mailbox: &Path) -> bool {
    let of_mailbox = mailbox.file_name().and_then(|of| name.strip_prefix(of.as_bytes()));
    let Some(own) = of_mailbox.and_then(|rest| rest.strip_prefix(INFIX.as_bytes())) else {
        return false;
    };
    let mut parts = own.rsplitn(3, |b| *b == b'.');
    let (random, process, host) = (parts.next(), parts.next(), parts.next());
    random.is_some_and(|random| random.len() == 8 && random.iter().all(u8::is_ascii_hexdigit))
        && process.is_some_and(|process| !process.is_empty() && process.iter().all(u8::is_ascii_digit))
        && host.is_some_and(|host| !host.is_empty())
}

/// A name that goes when this does.
pub struct TemporaryName {
    path: PathBuf,
    place: Option<Arc<SpoolDirAccess>>,
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        let _ = setgid::remove_file(self.place.as_deref(), &self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::{DotlockDraft, STALE_AGE, remove_old_drafts};
    use std::fs::{File, FileTimes};
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_link_whose_answer_got_lost_is_ours() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let mailbox = dir.path().join("a");
        let path = dir.path().join("a.lock");
        let draft = || DotlockDraft::named(&mailbox, None).and_then(|made| DotlockDraft::of(made, None));
        let (first, second) = (draft(), draft());
        assert!(first.as_ref().is_ok_and(|first| first.publish(&path).is_ok()));
        // To ask again for what is done already is an error, and yet it is done.
        assert!(first.as_ref().is_ok_and(|first| first.publish(&path).is_ok()));
        assert!(second.is_ok_and(|second| second.publish(&path).is_err()));
        drop(first);
        assert_eq!(std::fs::read_dir(dir.path()).map_or(0, Iterator::count), 1);
    }

    #[test]
    fn drafts_of_runs_that_were_killed_long_ago_go() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let mailbox = dir.path().join("a");
        let past = SystemTime::now() - STALE_AGE;
        let (old, young) = (past - Duration::from_secs(60), past + Duration::from_secs(60));
        let make = |name: &str, time| {
            let file = File::create(dir.path().join(name)).unwrap_or_else(|e| unreachable!("{e}"));
            assert!(file.set_times(FileTimes::new().set_modified(time)).is_ok());
        };
        let gone = ["a.lock.h.1.deadbeef", "a.lock.mx1.a.test.77.0123abcd"];
        gone.iter().for_each(|name| make(name, old));
        let stay = [
            "a",
            "a.lock",
            "a.lock.h.1.deadbee",
            "a.lock.h.x.deadbeef",
            "a.lock.1.deadbeef",
            "a.lock.h.1.deadbeef.",
            "ab.lock.h.1.deadbeef",
            "a.gz",
        ];
        stay.iter().for_each(|name| make(name, old));
        make("a.lock.h.2.deadbeef", young);
        assert!(std::fs::create_dir(dir.path().join("a.lock.h.3.deadbeef")).is_ok());
        let fresh = tempfile::tempfile_in(dir.path()).unwrap_or_else(|e| unreachable!("{e}"));
        remove_old_drafts(&mailbox, &fresh, None);
        let entries = std::fs::read_dir(dir.path()).into_iter().flatten().flatten();
        let mut left: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        left.sort();
        let mut want: Vec<_> = stay
            .into_iter()
            .chain(["a.lock.h.2.deadbeef", "a.lock.h.3.deadbeef"])
            .collect();
        want.sort_unstable();
        assert_eq!(left, want);
    }
}
