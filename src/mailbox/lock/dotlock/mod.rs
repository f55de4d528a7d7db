//! The dotlock, `<mailbox>.lock`: taken by us, held by others, or stale.
//!
//! One that spoolguard made is stale at once when its owner is dead, and the kernel says so: the owner keeps a lock on the dotlock
//! itself. Of all others only the age is known.

mod create;
mod owner;
mod stale;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::{Category, Error};
use crate::mailbox::open::Owner;
use crate::mailbox::setgid;
use crate::mailbox::setgid::SpoolDirAccess;
use crate::sys::dirs::with_suffix;
use crate::sys::file_stamp::is_still;
use create::DotlockDraft;
use stale::{STALE_AGE, dotlock_age, is_dead, judge_dotlock};

/// How old our own may grow before it is made young again.
const REFRESH_AGE: Duration = Duration::from_secs(20);

/// How often its removal is tried.
const TRIES: u32 = 3;

/// Our `<mailbox>.lock`. Dropping it removes it, if it is still ours.
#[derive(Debug)]
pub struct Dotlock {
    path: PathBuf,
    // Open and locked for as long as we live: the kernel's own word that the owner is alive.
    file: File,
    place: Option<Arc<SpoolDirAccess>>,
}

/// Whether there are locks beside the dotlock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// There are none.
    None,
    /// At least one is taken too.
    Planned,
}

/// What became of the attempt to take one.
#[derive(Debug)]
#[must_use]
pub enum DotlockAttempt {
    /// It is ours.
    Ours(Dotlock),
    /// This user can make none here, and there is none; other locks have to do.
    NotPossible,
    /// A stale one was removed, or it went away.
    Removed,
    /// Somebody has it.
    Held(String),
}

impl Dotlock {
    /// Takes the dotlock of `mailbox`, in `place` if it is the own one, or says who has it.
    ///
    /// # Errors
    /// When it can neither be made nor done without.
    pub fn take(
        mailbox: &Path,
        owner: Owner,
        others: Others,
        place: Option<&Arc<SpoolDirAccess>>,
    ) -> Result<DotlockAttempt, Error> {
        let path = with_suffix(mailbox, ".lock");
        let mut fresh = match DotlockDraft::make(mailbox, place) {
            Ok(fresh) => fresh,
            Err(e) if cannot_be_made(&e) => {
                // Somebody with more rights may have made one: procmail does, where the user cannot.
                return match path.symlink_metadata() {
                    // What a dead spoolguard left, root's for example, is in nobody's way who has another lock.
                    Ok(stat) if dotlock_age(&stat, None) < STALE_AGE && !is_dead(&path, &stat) => {
                        Ok(DotlockAttempt::Held(format!("{} exists", path.display())))
                    }
                    _ if others == Others::Planned => Ok(DotlockAttempt::NotPossible),
                    _ => Err(Error::io("make dotlock", &path, &e).class(Category::Mailbox)),
                };
            }
            Err(e) => return Err(Error::io("make dotlock", &path, &e)),
        };
        let published = match fresh.publish(&path) {
            // Without /proc a nameless file never gets a name.
            Err(e) if e.kind() == io::ErrorKind::NotFound && fresh.name.is_none() => {
                let named = DotlockDraft::named(mailbox, place).and_then(|made| DotlockDraft::of(made, place));
                fresh = named.map_err(|e| Error::io("make dotlock", &path, &e))?;
                fresh.publish(&path)
            }
            result => result,
        };
        match published {
            Ok(()) => Ok(DotlockAttempt::Ours(Self {
                path,
                file: fresh.file,
                place: place.cloned(),
            })),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                judge_dotlock(&path, mailbox, owner, &fresh.file, others, place)
            }
            Err(e) => Err(Error::io("make dotlock", &path, &e)),
        }
    }
}

impl Dotlock {
    /// Makes it young again, when it is more than some seconds old. Nothing is lost when that fails: it is only removed sooner.
    pub fn refresh(&self) {
        let old = self.file.metadata().and_then(|stat| stat.modified());
        if old.is_ok_and(|old| old.elapsed().is_ok_and(|age| age > REFRESH_AGE)) {
            let _ = self.file.set_modified(SystemTime::now());
        }
    }
}

impl Drop for Dotlock {
    fn drop(&mut self) {
        // Somebody may have thought it stale and made their own. Other programs wait for minutes when one is left, so a call that
        // fails once is made again.
        for _ in 0..TRIES {
            match is_still(&self.file, &self.path) {
                Ok(false) => return,
                Ok(true) if setgid::remove_file(self.place.as_deref(), &self.path).is_ok() => return,
                Ok(true) | Err(_) => {}
            }
        }
    }
}

fn cannot_be_made(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::InvalidFilename
    )
}

#[cfg(test)]
mod tests {
    use super::owner::Identity;
    use super::{Dotlock, DotlockAttempt, Others};
    use crate::mailbox::open::Owner;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_dotlock_of_a_dead_owner_is_taken_over_and_never_missing() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let mailbox = dir.path().join("a");
        let dotlock = dir.path().join("a.lock");
        let take = || {
            let owner = Owner::Exactly(nix::unistd::getuid().as_raw());
            Dotlock::take(&mailbox, owner, Others::Planned, None)
        };
        let dead = Identity {
            pid: 4_000_000_000,
            ..Identity::own()
        };
        assert!(std::fs::write(&dotlock, dead.to_string()).is_ok());
        let inode = || std::fs::metadata(&dotlock).map(|stat| stat.ino()).ok();
        let before = inode();
        let taken = take();
        assert!(matches!(&taken, Ok(DotlockAttempt::Ours(_))));
        assert_eq!(inode(), before);
        let content = std::fs::read_to_string(&dotlock).unwrap_or_default();
        assert_eq!(content, Identity::own().to_string());
        assert!(matches!(take(), Ok(DotlockAttempt::Held(_))));
        drop(taken);
        assert!(!dotlock.exists());
    }
}
