//! Takes the locks of a delivery, by the same functions, on a mailbox that is made for the trial.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::libc;
use nix::unistd::Uid;

use crate::config::LockMethod;
use crate::doctor::rules::pair::StepEnd;
use crate::error::Error;
use crate::mailbox::lock::dotlock::{Dotlock, DotlockAttempt, DotlockPlan};
use crate::mailbox::lock::kernel::{lock_fcntl, lock_flock};
use crate::mailbox::open::Owner;

/// A lock that is held as long as this lives.
#[derive(Debug)]
pub enum TrialLock {
    Dotlock(#[expect(dead_code, reason = "held")] Dotlock),
    /// A lock of the kernel's, which goes with the file.
    Kernel(#[expect(dead_code, reason = "held")] File),
}

/// This host's tries, and why some could not be made.
#[derive(Debug)]
pub struct Trial {
    mailbox: PathBuf,
    causes: Vec<String>,
}

impl Trial {
    pub fn new(mailbox: PathBuf) -> Self {
        let causes = Vec::new();
        Self { mailbox, causes }
    }

    pub fn hold_lock(&mut self, method: LockMethod, held: &mut Option<TrialLock>) -> StepEnd {
        match self.attempt(method) {
            Ok(Some(lock)) => {
                *held = Some(lock);
                StepEnd::Holds
            }
            Ok(None) => StepEnd::Refused,
            Err(e) => self.cannot(&e),
        }
    }

    /// Tries whether the lock can be taken, and lets it go.
    pub fn try_lock(&mut self, method: LockMethod) -> StepEnd {
        match self.attempt(method) {
            Ok(Some(lock)) => {
                drop(lock);
                StepEnd::Taken
            }
            Ok(None) => StepEnd::Refused,
            Err(e) => self.cannot(&e),
        }
    }

    /// Why locks could not be taken.
    pub fn failure_causes(&self) -> &[String] {
        &self.causes
    }

    fn cannot(&mut self, error: &Error) -> StepEnd {
        let cause = error.to_string();
        if !self.causes.contains(&cause) {
            self.causes.push(cause);
        }
        StepEnd::Cannot
    }

    fn attempt(&self, method: LockMethod) -> Result<Option<TrialLock>, Error> {
        let kernel = |lock: fn(&File, &std::path::Path) -> Result<bool, Error>| {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&self.mailbox)
                .map_err(|e| Error::io("open", &self.mailbox, &e))?;
            Ok(lock(&file, &self.mailbox)?.then_some(TrialLock::Kernel(file)))
        };
        match method {
            LockMethod::Dotlock => {
                let owner = Owner::Exactly(Uid::effective().as_raw());
                let plan = DotlockPlan {
                    mailbox: &self.mailbox,
                    owner,
                    has_others: false,
                    place: None,
                };
                match Dotlock::take(plan)? {
                    DotlockAttempt::Ours(lock) => Ok(Some(TrialLock::Dotlock(lock))),
                    // It stands in nobody's way, so a delivery would go on.
                    DotlockAttempt::Removed => self.attempt(method),
                    DotlockAttempt::NotPossible | DotlockAttempt::Held => Ok(None),
                }
            }
            LockMethod::Fcntl => kernel(lock_fcntl),
            LockMethod::Flock => kernel(lock_flock),
        }
    }
}
