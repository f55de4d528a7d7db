//! A dotlock that is ours: it is kept young, and removed when it is dropped, if it is still ours.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::mailbox::open::Owner;
use crate::mailbox::setgid::{self, SpoolDirAccess};
use crate::sys::file_stamp::is_still;

/// How old our own may grow before it is made young again.
const REFRESH_AGE: Duration = Duration::from_secs(20);

/// How often its removal is tried.
const TRIES: u32 = 3;

/// Our `<mailbox>.lock`. Dropping it removes it, if it is still ours.
#[derive(Debug)]
pub struct Dotlock {
    pub(super) path: PathBuf,
    // Open and locked for as long as we live: the kernel's own word that the owner is alive.
    pub(super) file: File,
    pub(super) place: Option<Arc<SpoolDirAccess>>,
}

/// How the dotlock of one mailbox is taken.
#[derive(Clone, Copy)]
pub struct DotlockPlan<'a> {
    pub mailbox: &'a Path,
    pub owner: Owner,
    /// Whether another lock is taken too.
    pub has_others: bool,
    /// The place of the mailbox, if it is the own one.
    pub place: Option<&'a Arc<SpoolDirAccess>>,
}

#[derive(Debug)]
#[must_use]
pub enum DotlockAttempt {
    Ours(Dotlock),
    /// This user can make none here, and there is none; other locks have to do.
    NotPossible,
    /// A stale one was removed, or it went away.
    Removed,
    Held,
}

impl Dotlock {
    /// Makes it young again, when it is more than some seconds old. Nothing is lost when that fails: it is only removed
    /// sooner.
    pub fn refresh(&self) {
        let old = self.file.metadata().and_then(|stat| stat.modified());
        if old.is_ok_and(|old| old.elapsed().is_ok_and(|age| age > REFRESH_AGE)) {
            let _ = self.file.set_modified(SystemTime::now());
        }
    }
}

impl Drop for Dotlock {
    fn drop(&mut self) {
        // Somebody may have thought it stale and made their own. Other programs wait for minutes when one is left, so a
        // call that fails once is made again.
        for _ in 0..TRIES {
            match is_still(&self.file, &self.path) {
                Ok(false) => return,
                Ok(true) if setgid::remove_file(self.place.as_deref(), &self.path).is_ok() => return,
                Ok(true) | Err(_) => {}
            }
        }
    }
}

/// Tells whether this user may make or remove nothing there.
pub(super) fn cannot_be_made(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::InvalidFilename
    )
}
