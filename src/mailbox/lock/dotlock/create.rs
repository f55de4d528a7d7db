//! Makes a dotlock: it is written and locked before it has its name, so that nobody ever sees one without an owner, and named by link(2),
//! whose answer may get lost. Where the file system has no links, it is made under its name at once. Fails where the user can make no file
//! beside the mailbox; what follows then is left to the caller.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs2::FileExt;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::Mode;

use crate::mailbox::lock::dotlock::owner::Identity;
use crate::mailbox::setgid::{self, SpoolDirAccess};
use crate::sys::dirs::with_suffix;
use crate::sys::file_stamp::is_still;

/// Everybody may read who has it.
const MODE: Mode = Mode::from_bits_truncate(0o644);

/// A dotlock that has its content and its kernel lock, but not its name yet: nobody ever sees one without an owner.
pub struct DotlockDraft {
    /// Open and locked.
    pub file: File,
    /// Its name until it gets the right one, where the file system knows no nameless files.
    pub name: Option<TemporaryName>,
    place: Option<Arc<SpoolDirAccess>>,
}

impl DotlockDraft {
    /// Makes one, without a name where that can be.
    ///
    /// # Errors
    /// When there can be none beside the mailbox.
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
        match draft.file.write_all(Identity::own().to_string().as_bytes()) {
            // On a full disk an empty one is a lock like any other, judged by its age and our kernel lock: whoever empties the mailbox there
            // has to lock it first.
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
            ".lock.{}.{}.{:08x}",
            Identity::host_word(),
            std::process::id(),
            fastrand::u32(..)
        );
        let path = with_suffix(mailbox, &unique);
        let file = setgid::create_file(place.map(Arc::as_ref), &path, OFlag::O_RDWR, MODE)?;
        let place = place.cloned();
        Ok((file, Some(TemporaryName { path, place })))
    }

    /// Makes one under its name at once (open(2), `O_EXCL`). Until it is locked, others take it for another program's; a run that is killed
    /// before leaves one whose owner is unknown.
    ///
    /// # Errors
    /// `AlreadyExists` when somebody has that name.
    pub fn exclusive(path: &Path, place: Option<&Arc<SpoolDirAccess>>) -> io::Result<Self> {
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
            // Where it had a name, the file system may be NFS, and the number of links is what counts there (open(2), O_EXCL).
            Ok(()) if is_linked() => Ok(()),
            Ok(()) => Err(io::ErrorKind::AlreadyExists.into()),
            // The answer may have got lost though the link was made (link(2), BUGS).
            Err(_) if is_linked() && is_still(&self.file, path).unwrap_or(false) => Ok(()),
            Err(e) => Err(e),
        }
    }
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
    use super::DotlockDraft;

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
}
