//! A queue of our own runs before a mailbox: where many bring mail at once, each gets its turn in the order in which they came, and only
//! the first in the line asks for the locks that all programs share.
//!
//! A turn is an flock(2) lock on an empty file in the user's state directory, which no other program knows. A run asks for it while it
//! holds nothing else, and keeps it until the mailbox's locks are released, so that the kernel wakes the next run and no other. The file is
//! made when a mailbox is found locked; a mailbox that nobody ever waits for has none.
//!
//! The queue protects nothing. A run that has waited for `PATIENCE` asks for the mailbox as if there were no queue, again and again: a run
//! that is stopped while it has the turn costs the others time, never mail. Where there is no state directory, or it is on a file server,
//! there is no queue.

use std::fs::{File, OpenOptions};
use std::io::{PipeReader, Write, pipe};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fs2::FileExt;
use nix::fcntl::OFlag;
use nix::sys::signal::SigSet;

use crate::sys::cache_file;
use crate::sys::deadline::{Deadline, Woken};
use crate::sys::dirs::make_private_dir;
use crate::sys::filesystem::is_on_nfs;

/// For how long a run waits for its turn before it asks for the mailbox all the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the thread that waits for a turn needs.
const STACK_BYTES: usize = 64 << 10;

/// A place in the queue before a mailbox. Dropped, it is left, and the next has the turn.
#[derive(Debug)]
pub struct Queue {
    path: Option<PathBuf>,
    /// Where this run stands in it.
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Not in it: nobody waits, as far as is known, or there is no queue here.
    Outside,
    /// The pipe closes when it is our turn.
    Waiting(File, PipeReader),
    /// It is our turn, as long as this is open.
    First { _turn: File },
}

impl Queue {
    /// Joins the queue before `mailbox`, if there is one.
    #[must_use]
    pub fn join(mailbox: &Path, state_dir: Option<&Path>) -> Self {
        let path = state_dir.map(|dir| cache_file::cache_path(mailbox, &dir.join("queue")));
        let mut queue = Self {
            path,
            place: Place::Outside,
        };
        queue.enter(OpenOptions::new().write(true));
        queue
    }

    /// Waits for the turn, as long as it is worth it. False where this run is in no queue: then nothing was waited for.
    pub fn wait(&mut self, deadline: &Deadline, time: Duration) -> bool {
        let Place::Waiting(_, turn) = &self.place else {
            return false;
        };
        if deadline.wait(&[turn.as_fd()], time.min(PATIENCE)) == Woken::Readable
            && let Place::Waiting(file, _) = std::mem::replace(&mut self.place, Place::Outside)
        {
            self.place = Place::First { _turn: file };
        }
        true
    }

    /// The mailbox was found locked: from now on there is a queue before it.
    pub fn make(&mut self) {
        if matches!(self.place, Place::Outside)
            && let Some(dir) = self.path.as_deref().and_then(Path::parent)
            && make_private_dir(dir).is_ok()
        {
            self.enter(OpenOptions::new().write(true).create(true).mode(0o600));
        }
    }

    fn enter(&mut self, options: &mut OpenOptions) {
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        let opened = self.path.as_ref().map(|path| options.custom_flags(flags).open(path));
        if let Some(Ok(file)) = opened
            && !is_on_nfs(&file)
        {
            self.place = match FileExt::try_lock_exclusive(&file) {
                Ok(()) => Place::First { _turn: file },
                Err(_) => wait_behind(file).unwrap_or(Place::Outside),
            };
        }
    }
}

/// Has a thread wait for the turn: flock(2) knows no time limit, and a thread ends with the process.
fn wait_behind(file: File) -> std::io::Result<Place> {
    let (turn, mut has_turn) = pipe()?;
    let theirs = file.try_clone()?;
    let wait = move || {
        // Signals are for the thread that looks whether there were any.
        let _ = SigSet::all().thread_block();
        if FileExt::lock_exclusive(&theirs).is_ok() {
            let _ = has_turn.write_all(b"1");
        }
    };
    thread::Builder::new().stack_size(STACK_BYTES).spawn(wait)?;
    Ok(Place::Waiting(file, turn))
}

#[cfg(test)]
mod tests {
    use super::{Place, Queue};
    use crate::sys::deadline::Deadline;
    use std::path::Path;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(60);

    fn deadline() -> Deadline {
        Deadline::begin().unwrap_or_else(|e| unreachable!("{e}"))
    }

    #[test]
    fn there_is_no_queue_until_somebody_had_to_wait() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let mailbox = Path::new("/var/mail/a");
        let mut first = Queue::join(mailbox, Some(dir.path()));
        assert!(matches!(first.place, Place::Outside) && !first.wait(&deadline(), LONG));
        assert_eq!(std::fs::read_dir(dir.path()).map(Iterator::count).ok(), Some(0));
        first.make();
        assert!(matches!(first.place, Place::First { .. }));
        assert!(!first.wait(&deadline(), LONG));
    }

    #[test]
    fn who_leaves_gives_the_turn_to_the_next() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let join = |mailbox: &str| Queue::join(Path::new(mailbox), Some(dir.path()));
        let mut first = join("/var/mail/a");
        first.make();
        let (mut second, mut third, other) = (join("/var/mail/a"), join("/var/mail/a"), join("/var/mail/b"));
        assert!(matches!(other.place, Place::Outside));
        assert!(second.wait(&deadline(), Duration::ZERO) && matches!(second.place, Place::Waiting(..)));
        drop(first);
        // Which of the two it is, the kernel says; the other one comes next.
        let mut firsts = 0;
        while firsts < 2 {
            for queue in [&mut second, &mut third] {
                queue.wait(&deadline(), Duration::from_millis(20));
                if let Place::First { .. } = queue.place {
                    queue.place = Place::Outside;
                    firsts += 1;
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_a_queue_is_none() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let file = dir.path().join("file");
        assert!(std::fs::write(&file, "").is_ok());
        for state_dir in [None, Some(file.as_path())] {
            let mut queue = Queue::join(Path::new("/var/mail/a"), state_dir);
            queue.make();
            assert!(matches!(queue.place, Place::Outside), "{state_dir:?}");
        }
    }
}
