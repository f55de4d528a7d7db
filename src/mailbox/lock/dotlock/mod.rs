//! The dotlock, `<mailbox>.lock`: taken by us, held by others, or stale.
//!
//! A dotlock that spoolguard made is stale at once when its owner is dead. The kernel tells: the owner keeps a lock on
//! the dotlock itself. Of all others only the age is known.

mod create;
mod held;
mod owner;
mod stale;

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Category, Error};
use crate::mailbox::open::no_directory;
use crate::mailbox::setgid::SpoolDirAccess;
use crate::sys::dirs::with_suffix;
use crate::sys::filesystem::has_no_links;
use create::DotlockDraft;
use held::cannot_be_made;
pub use held::{Dotlock, DotlockAttempt, DotlockPlan};
use owner::Identity;
pub use owner::read_some;
pub use stale::{STALE_AGE, is_no_dotlock, read_dotlock};
use stale::{dotlock_age, is_dead, judge_dotlock};

impl Dotlock {
    /// Takes the dotlock of a mailbox, or says who has it.
    pub fn take(plan: DotlockPlan<'_>) -> Result<DotlockAttempt, Error> {
        let DotlockPlan { mailbox, place, .. } = plan;
        let path = with_suffix(mailbox, ".lock");
        let mut fresh = match DotlockDraft::make(mailbox, place) {
            Ok(fresh) => fresh,
            Err(e) if cannot_be_made(&e) => {
                // Somebody with more rights may have made one: procmail does, where the user cannot.
                return match path.symlink_metadata() {
                    // What a dead spoolguard left, root's for example, is in nobody's way who has another lock.
                    Ok(stat) if dotlock_age(&stat, None) < STALE_AGE && !is_dead(&path, &stat) => {
                        Ok(DotlockAttempt::Held)
                    }
                    _ if plan.has_others => Ok(DotlockAttempt::NotPossible),
                    _ => Err(Error::io("make dotlock", &path, &e).class(Category::Mailbox)),
                };
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(no_directory(mailbox)),
            Err(e) => return Err(Error::io("make dotlock", &path, &e)),
        };
        match publish(&mut fresh, mailbox, &path, place) {
            Ok(()) => Ok(DotlockAttempt::Ours(Self {
                path,
                file: fresh.file,
                place: place.cloned(),
            })),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => judge_dotlock(&path, plan, &fresh.file),
            Err(e) => Err(Error::io("make dotlock", &path, &e)),
        }
    }
}

/// Tells whether a dotlock's content says that a spoolguard on another host made it.
pub fn is_of_another_host(text: &str) -> bool {
    Identity::host_in(text).is_some_and(|host| host != Identity::host_word())
}

/// Gives a draft its name, in one of the ways that file systems know.
fn publish(
    fresh: &mut DotlockDraft,
    mailbox: &Path,
    path: &Path,
    place: Option<&Arc<SpoolDirAccess>>,
) -> io::Result<()> {
    match fresh.publish(path) {
        // Without /proc a nameless file never gets a name.
        Err(e) if e.kind() == io::ErrorKind::NotFound && fresh.name.is_none() => {
            *fresh = DotlockDraft::named(mailbox, place).and_then(|made| DotlockDraft::of(made, place))?;
            publish(fresh, mailbox, path, place)
        }
        Err(e) if has_no_links(&e) => {
            *fresh = DotlockDraft::create_exclusively(path, place)?;
            Ok(())
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::{Dotlock, DotlockAttempt, DotlockPlan, Identity};
    use crate::mailbox::open::Owner;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_dotlock_of_a_dead_owner_is_taken_over_and_never_missing() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let mailbox = dir.path().join("a");
        let dotlock = dir.path().join("a.lock");
        let take = || {
            Dotlock::take(DotlockPlan {
                mailbox: &mailbox,
                owner: Owner::Exactly(nix::unistd::getuid().as_raw()),
                has_others: true,
                place: None,
            })
        };
        let dead = Identity {
            pid: 4_000_000_000,
            ..Identity::of_this_process()
        };
        assert!(std::fs::write(&dotlock, dead.to_string()).is_ok());
        let inode = || std::fs::metadata(&dotlock).map(|stat| stat.ino()).ok();
        let before = inode();
        let taken = take();
        assert!(matches!(&taken, Ok(DotlockAttempt::Ours(_))));
        assert_eq!(inode(), before);
        let content = std::fs::read_to_string(&dotlock).unwrap_or_default();
        assert_eq!(content, Identity::of_this_process().to_string());
        assert!(matches!(take(), Ok(DotlockAttempt::Held)));
        drop(taken);
        assert!(!dotlock.exists());
    }
}
