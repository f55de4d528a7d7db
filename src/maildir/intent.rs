//! Intents: notes about messages that are put into a Maildir and not acknowledged yet. The MTA's next try knows by them what a killed run
//! left, and brings it no second time.
//!
//! A note is a symbolic link in the state directory: it is made in one step, and read in one. It is called after the content of the message
//! and the Maildir; it leads to the name that the message gets there, which says who delivers it and when. It is made before the message
//! appears in `new/`, and removed last of all. Only a run that was killed, or that could not take back what it did, leaves one. So two equal
//! messages that are sent on purpose both arrive, and a note that nobody left stops nothing. Without a state directory there are no notes.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::maildir::name::UniqueName;
use crate::sys::dirs;

/// As long as MTAs try again, in seconds.
const KEPT_SECONDS: i64 = 5 * 24 * 60 * 60;

/// No run lasts longer, in seconds.
const RUN_SECONDS: i64 = 300;

/// So many equal messages may be under way at once; beyond that one is not noted.
const MOST_EQUAL: u32 = 64;

/// The notes of one user about one Maildir.
#[derive(Clone, Debug)]
pub struct IntentDir {
    dir: PathBuf,
    maildir: u32,
    now_seconds: i64,
}

/// A note. Dropping it removes it: whatever ends the run in an orderly way has dealt with the message. A panic is no orderly way.
#[derive(Debug)]
pub struct DeliveryIntent {
    path: PathBuf,
    left: bool,
}

impl IntentDir {
    /// The notes in the state directory `state_dir` about the Maildir at `path`.
    #[must_use]
    pub fn new(state_dir: &Path, path: &Path, now_seconds: i64) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(path.as_os_str().as_encoded_bytes());
        Self {
            dir: state_dir.join("maildir-intents"),
            maildir: crc.sum(),
            now_seconds,
        }
    }

    fn path(&self, fingerprint: u64, number: u32) -> PathBuf {
        self.dir
            .join(format!("{fingerprint:016x}.{:08x}.{number}", self.maildir))
    }

    /// Notes that a message is about to get `name`; none where that cannot be written down.
    #[must_use]
    pub fn begin(&self, name: &UniqueName) -> Option<DeliveryIntent> {
        let mut is_made = false;
        for number in 0..MOST_EQUAL {
            let path = self.path(name.fingerprint, number);
            match symlink(name.to_string(), &path) {
                Ok(()) => {
                    own().push(path.clone());
                    return Some(DeliveryIntent { path, left: false });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound && !is_made => {
                    is_made = dirs::make_private_dir(&self.dir).is_ok();
                    // Number 0 is free: the directory was not there.
                    if is_made && symlink(name.to_string(), &path).is_ok() {
                        own().push(path.clone());
                        return Some(DeliveryIntent { path, left: false });
                    }
                }
                Err(_) => return None,
            }
        }
        None
    }

    /// The notes that runs left which are no more, about a message of this fingerprint, with the names that it may have.
    #[must_use]
    pub fn left(&self, fingerprint: u64, host: &str) -> Vec<(UniqueName, DeliveryIntent)> {
        let mut left = Vec::new();
        for number in 0..MOST_EQUAL {
            let path = self.path(fingerprint, number);
            let Ok(target) = std::fs::read_link(&path) else {
                // Those of other numbers are of messages that came at the same time as this one, which may be done with.
                if number < 2 { continue } else { break }
            };
            let name = target.to_str().and_then(UniqueName::parse);
            match name {
                Some(name) if self.is_alive(&name, host, &path) => {}
                // A run that ended in order meanwhile has removed its note first.
                Some(_) if path.symlink_metadata().is_err() => {}
                Some(name) if self.now_seconds.saturating_sub(name.seconds) <= KEPT_SECONDS => {
                    own().push(path.clone());
                    left.push((name, DeliveryIntent { path, left: true }));
                }
                // Too old, or not written by us.
                Some(_) | None => drop(std::fs::remove_file(&path)),
            }
        }
        left
    }

    /// Removes notes that no MTA will ask for any more.
    pub fn clean(&self) {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for entry in entries {
            let name = std::fs::read_link(entry.path()).ok();
            let name = name.and_then(|name| UniqueName::parse(name.to_str()?));
            if name.is_none_or(|name| self.now_seconds.saturating_sub(name.seconds) > KEPT_SECONDS) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Tells whether the run that wrote a note may go on.
    fn is_alive(&self, name: &UniqueName, host: &str, path: &Path) -> bool {
        if self.now_seconds.saturating_sub(name.seconds) > RUN_SECONDS {
            return false;
        }
        if name.host != host {
            // Of another host's processes nothing is known but that they end.
            return true;
        }
        if name.pid == std::process::id() {
            return own().iter().any(|own| own == path);
        }
        i32::try_from(name.pid).is_ok_and(|pid| kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
    }
}

impl DeliveryIntent {
    /// Leaves it behind: the message is there, and will come again all the same.
    pub fn leave(mut self) {
        self.left = true;
    }

    /// Takes over a note that was left: it goes with this run.
    #[must_use]
    pub fn adopt(mut self) -> Self {
        self.left = false;
        self
    }

    /// The message is not there: the note says nothing any more.
    pub fn remove(mut self) {
        self.left = false;
    }
}

impl Drop for DeliveryIntent {
    fn drop(&mut self) {
        own().retain(|path| *path != self.path);
        if !self.left && !std::thread::panicking() {
            // One that stayed would stop an equal message that is sent on purpose, if the first is still there: it is tried twice.
            let _ = std::fs::remove_file(&self.path).or_else(|_| std::fs::remove_file(&self.path));
        }
    }
}

/// The notes that this run holds.
fn own() -> MutexGuard<'static, Vec<PathBuf>> {
    static PATHS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    PATHS.lock().unwrap_or_else(PoisonError::into_inner)
}
