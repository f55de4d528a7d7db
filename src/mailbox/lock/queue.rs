//! A queue of our own runs before a mailbox: where many bring mail at once, each gets its turn in the order in which
//! they came, and only the first in the line asks for the locks that all programs share.
//!
//! The queue is a file in the user's state directory, which no other program knows: the last number that was taken.
//! Each run takes the next one, and locks the byte of that number. It waits for the byte of the number before, which is
//! free when that run has released the mailbox. So the kernel wakes the next run and no other, and whoever comes
//! meanwhile comes behind all that wait: with one lock for all, a newcomer had it before the one who was woken got to
//! run, and some waited three times as long as all on average. A run asks for a number while it holds nothing else. The
//! file is made when a mailbox is found locked; a mailbox that nobody ever waits for has none.
//!
//! The queue protects nothing. A run that has waited for `PATIENCE` asks for the mailbox as if there were no queue,
//! again and again: a run that is stopped while it has the turn costs the others time, never mail. Where there is no
//! state directory, or it is on a file server, there is no queue.

use std::fs::{File, OpenOptions};
use std::io::{PipeReader, Write, pipe};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::sys::signal::SigSet;

use crate::mailbox::lock::kernel::{lock_byte, unlock_byte, wait_for_byte};
use crate::sys::cache_file;
use crate::sys::deadline::{Deadline, Woken};
use crate::sys::dirs::{make_private_dir, own_file};
use crate::sys::filesystem::is_on_nfs;

/// For how long a run waits for its turn before it asks for the mailbox all the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// The byte that is locked while a number is taken; no number is so large.
const COUNTER: u64 = 1 << 62;

/// For how long another run may have it: then there is no queue for this one.
const COUNTER_TRIES: u32 = 50;
const COUNTER_PAUSE: Duration = Duration::from_micros(200);

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
        queue.enter(own_file().read(true).write(true));
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
            self.enter(own_file().read(true).write(true).create(true).mode(0o600));
        }
    }

    fn enter(&mut self, options: &OpenOptions) {
        if let Some(path) = &self.path
            && let Ok(file) = options.open(path)
            && !is_on_nfs(&file)
            && let Some(before) = take_number(&file, path)
        {
            self.place = match lock_byte(&file, path, before) {
                Ok(true) => Place::First { _turn: file },
                Ok(false) => wait_behind(file, before).unwrap_or(Place::Outside),
                Err(_) => Place::Outside,
            };
        }
    }
}

/// Takes the next number, and the lock on its byte; returns the number before.
fn take_number(file: &File, path: &Path) -> Option<u64> {
    let mut tries = 0;
    while !lock_byte(file, path, COUNTER).ok()? {
        tries += 1;
        if tries > COUNTER_TRIES {
            return None;
        }
        thread::sleep(COUNTER_PAUSE);
    }
    let before = next_number(file, path);
    unlock_byte(file, COUNTER).ok()?;
    before
}

fn next_number(file: &File, path: &Path) -> Option<u64> {
    let mut bytes = [0; 8];
    // A new file is empty.
    file.read_at(&mut bytes, 0).ok()?;
    let before = u64::from_le_bytes(bytes) % (COUNTER - 1);
    let own = before + 1;
    // Somebody has it already where the file was damaged.
    if !lock_byte(file, path, own).ok()? {
        return None;
    }
    file.write_all_at(&own.to_le_bytes(), 0).ok()?;
    Some(before)
}

/// Has a thread wait for the turn: fcntl(2) knows no time limit, and a thread ends with the process.
fn wait_behind(file: File, before: u64) -> std::io::Result<Place> {
    let (turn, mut has_turn) = pipe()?;
    let theirs = file.try_clone()?;
    let wait = move || {
        // Signals are for the thread that looks whether there were any.
        let _ = SigSet::all().thread_block();
        if wait_for_byte(&theirs, before).is_ok() {
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
        assert!(third.wait(&deadline(), Duration::from_millis(20)) && matches!(third.place, Place::Waiting(..)));
        for mut next in [second, third] {
            while matches!(next.place, Place::Waiting(..)) {
                next.wait(&deadline(), LONG);
            }
            assert!(matches!(next.place, Place::First { .. }));
        }
    }

    #[test]
    fn nobody_overtakes_who_waits() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let join = || Queue::join(Path::new("/var/mail/a"), Some(dir.path()));
        let mut first = join();
        first.make();
        // Each comes while the one before has just been woken.
        for _ in 0..50 {
            let mut second = join();
            drop(first);
            let third = join();
            assert!(matches!(third.place, Place::Waiting(..)));
            while matches!(second.place, Place::Waiting(..)) {
                second.wait(&deadline(), LONG);
            }
            assert!(matches!(second.place, Place::First { .. }));
            drop(third);
            first = second;
        }
    }

    #[test]
    fn a_damaged_number_is_a_number() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let join = || Queue::join(Path::new("/var/mail/a"), Some(dir.path()));
        join().make();
        let path = join().path.unwrap_or_default();
        // Each another number: the thread that waited has the last one a moment longer.
        for damage in [&b""[..], b"abc", &[255; 8], &[254; 100]] {
            assert!(std::fs::write(&path, damage).is_ok());
            let (first, mut second) = (join(), join());
            assert!(matches!(first.place, Place::First { .. }), "{damage:?}");
            assert!(second.wait(&deadline(), Duration::ZERO), "{damage:?}");
            drop(first);
            while matches!(second.place, Place::Waiting(..)) {
                second.wait(&deadline(), LONG);
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
