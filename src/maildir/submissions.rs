//! Remembers the last submissions to a Maildir in an extended attribute of `new/`, as an mbox has them
//! (`mailbox/submissions.rs`). One is noted behind the sync of its message, and forgotten before the message is taken
//! back. The intents stand beside them (`maildir/intent.rs`): whichever sync of `new/` was the last before a power
//! loss, it brought one of both to the disk.
//!
//! Many runs deliver at once. So the list is changed under a lock of the directory, held for that moment alone. Whoever
//! holds it longer is not waited for: a message that is not noted may come twice, and one that cannot be forgotten
//! stays.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::mailbox::submissions::{SubmissionKey, Submissions};
use crate::maildir::directory::Maildir;

/// How often the lock is asked for.
const TRIES: u32 = 50;

/// How long is waited between two times.
const PAUSE: Duration = Duration::from_millis(2);

/// Tells whether a submission was delivered lately.
pub fn knows_submission(maildir: &Maildir, key: SubmissionKey, now_seconds: i64) -> bool {
    // The list is replaced in one step: what is read is whole.
    Submissions::read(maildir.new_dir()).has(key, now_seconds)
}

/// Notes one that is delivered and synced. Where that cannot be done, the message may come twice.
pub fn note_submission(maildir: &Maildir, key: SubmissionKey, now_seconds: i64) {
    if let Ok(_locked) = DirectoryLock::new(maildir.new_dir()) {
        Submissions::read(maildir.new_dir()).add(maildir.new_dir(), key, now_seconds);
    }
}

/// Forgets one whose message is about to be taken back. Fails when it cannot be forgotten: then its message must stay.
pub fn forget_submission(maildir: &Maildir, key: SubmissionKey) -> io::Result<()> {
    let _locked = DirectoryLock::new(maildir.new_dir())?;
    Submissions::read(maildir.new_dir()).forget(maildir.new_dir(), key)
}

/// A directory that nobody else changes the list of.
struct DirectoryLock<'a>(&'a OwnedFd);

impl<'a> DirectoryLock<'a> {
    fn new(dir: &'a OwnedFd) -> io::Result<Self> {
        for _ in 0..TRIES {
            match flock(dir, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(dir)),
                Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
                Err(e) => return Err(e.into()),
            }
        }
        Err(Errno::WOULDBLOCK.into())
    }
}

impl Drop for DirectoryLock<'_> {
    fn drop(&mut self) {
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}
