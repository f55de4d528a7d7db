//! How many messages a mailbox holds, without reading all of it at each delivery.
//!
//! A small file in the state directory says what was counted up to which byte. It is believed only for the same file, and
//! only as far as the bytes before that place are the ones that were counted; what came since is read. It is a memory and
//! nothing more: when it is lost, damaged or cannot be written, the mailbox is counted again. Of one that is too large to be counted
//! in a run's time the next run counts the rest.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::mailbox::append::modified_nanoseconds;
use crate::sys::cache_file;
use crate::sys::cache_file::tail;
use crate::sys::deadline;
use crate::sys::deadline::Deadline;

/// One read of the mailbox, in bytes.
const STEP_BYTES: usize = 256 << 10;

/// A separator line, and what has to stand before it unless it opens the file.
const SEPARATOR: &[u8] = b"\n\nFrom ";

/// How much of that belongs to the message before.
const LINE_ENDS: u64 = 2;

/// What was counted when.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Memory {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: i128,
    messages: u64,
    tail: String,
}

/// Counts the messages of an open, locked mailbox; all of them where there is no state directory to remember in.
///
/// # Errors
/// When the mailbox cannot be read, or not in time. A memory that cannot be read or written is none.
pub fn count(file: &File, path: &Path, state_dir: Option<&Path>, deadline: &Deadline) -> Result<u64, Error> {
    let fail = |e: io::Error| Error::io("count the messages of", path, &e);
    let stat = file.metadata().map_err(fail)?;
    let remembered = state_dir
        .and_then(|dir| Memory::load(&place(path, dir)))
        .filter(|memory| memory.fits(file, &stat));
    match remembered {
        Some(memory) if memory.bytes == stat.len() && memory.modified == modified_nanoseconds(&stat) => {
            Ok(memory.messages)
        }
        memory => {
            let (from, before) = memory.map_or((0, 0), |memory| (memory.bytes, memory.messages));
            let going_on = || !deadline::is_stopped() && !deadline.remaining().is_zero();
            match separators(file, from, going_on).map_err(fail)? {
                Counted::All(count) => Ok(before + count),
                Counted::Until(bytes, count) => {
                    let memory = Memory::until(file, bytes, before + count).map_err(fail)?;
                    let saved = state_dir.is_some_and(|dir| memory.save(&place(path, dir)).is_ok());
                    let error = fail(io::Error::other("it takes more than one run"));
                    Err(error.hint(if saved {
                        "the next one goes on"
                    } else {
                        "without a state directory each begins anew; take quota.messages away"
                    }))
                }
            }
        }
    }
}

/// Remembers that the mailbox holds `messages` now.
pub fn remember(file: &File, path: &Path, state_dir: &Path, messages: u64) {
    let _ = Memory::of(file, messages).and_then(|memory| memory.save(&place(path, state_dir)));
}

fn place(path: &Path, state_dir: &Path) -> PathBuf {
    cache_file::place(path, &state_dir.join("tally"))
}

impl Memory {
    fn of(file: &File, messages: u64) -> io::Result<Self> {
        Self::until(file, file.metadata()?.len(), messages)
    }

    /// What was counted before byte `bytes`.
    fn until(file: &File, bytes: u64, messages: u64) -> io::Result<Self> {
        let stat = file.metadata()?;
        Ok(Self {
            device: stat.dev(),
            inode: stat.ino(),
            bytes,
            modified: modified_nanoseconds(&stat),
            messages,
            tail: tail(file, bytes)?,
        })
    }

    /// Tells whether the file begins with what was counted.
    fn fits(&self, file: &File, stat: &std::fs::Metadata) -> bool {
        self.device == stat.dev()
            && self.inode == stat.ino()
            && self.bytes <= stat.len()
            && tail(file, self.bytes).is_ok_and(|tail| tail == self.tail)
    }

    fn load(place: &Path) -> Option<Self> {
        let text = cache_file::load(place, 4096)?.text;
        let mut words = text.split_ascii_whitespace();
        Some(Self {
            device: words.next()?.parse().ok()?,
            inode: words.next()?.parse().ok()?,
            bytes: words.next()?.parse().ok()?,
            modified: words.next()?.parse().ok()?,
            messages: words.next()?.parse().ok()?,
            tail: words.next()?.to_owned(),
        })
    }

    fn save(&self, place: &Path) -> io::Result<()> {
        let Self {
            device,
            inode,
            bytes,
            modified,
            messages,
            tail,
        } = self;
        let text = format!("{device} {inode} {bytes} {modified} {messages} {tail}\n");
        cache_file::save(place, &text)
    }
}

/// How far messages were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    /// To the end.
    All(u64),
    /// Up to this byte, so many.
    Until(u64, u64),
}

/// How many messages begin at byte `from` or behind it, as long as `going_on` says so.
fn separators(file: &File, from: u64, going_on: impl Fn() -> bool) -> io::Result<Counted> {
    let mut buffer = Vec::with_capacity(STEP_BYTES + SEPARATOR.len());
    let mut count = 0;
    // The two line ends before `from`, so that a separator that begins there is found.
    let mut at = from.saturating_sub(LINE_ENDS);
    if at == 0 {
        buffer.extend_from_slice(b"\n\n");
    }
    loop {
        let kept = buffer.len();
        buffer.resize(kept + STEP_BYTES, 0);
        let read = match file.read_at(buffer.get_mut(kept..).unwrap_or_default(), at) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            result => result?,
        };
        buffer.truncate(kept + read);
        if read == 0 {
            return Ok(Counted::All(count));
        }
        at += read as u64;
        count += memchr::memmem::find_iter(&buffer, SEPARATOR).count() as u64;
        // What may be the beginning of a separator that goes on in the next step.
        let keep = buffer.len().saturating_sub(SEPARATOR.len() - 1);
        buffer.drain(..keep);
        if read == STEP_BYTES && !going_on() {
            return Ok(Counted::Until(at - buffer.len() as u64 + LINE_ENDS, count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Counted, STEP_BYTES, count, remember, separators};
    use crate::sys::deadline::Deadline;
    use std::io::{Seek, SeekFrom, Write};

    #[test]
    fn messages_are_counted_across_steps_and_from_any_place() {
        let mut file = tempfile::tempfile().unwrap_or_else(|e| unreachable!("{e}"));
        let one = b"From s@s.test Thu Jan  1 00:00:00 1970\nA: 1\n\nx From y\n>From z\n\n";
        let copies = STEP_BYTES * 3 / one.len();
        for _ in 0..copies {
            file.write_all(one).unwrap_or_else(|e| unreachable!("{e}"));
        }
        let from = |at| separators(&file, at, || true).ok();
        assert_eq!(from(0), Some(Counted::All(copies as u64)));
        assert_eq!(from(one.len() as u64), Some(Counted::All(copies as u64 - 1)));
        assert_eq!(from((one.len() * copies) as u64), Some(Counted::All(0)));
        // One step at a time, each where the one before stopped.
        let (mut at, mut sum) = (0, 0);
        while let Ok(Counted::Until(bytes, count)) = separators(&file, at, || false) {
            (at, sum) = (bytes, sum + count);
        }
        assert!(at > 0);
        assert_eq!(from(at), Some(Counted::All(copies as u64 - sum)));
    }

    #[test]
    fn a_memory_is_believed_only_while_it_fits() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        let one = b"From s@s.test Thu Jan  1 00:00:00 1970\nA: 1\n\n\n";
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap_or_else(|e| unreachable!("{e}"));
        let deadline = Deadline::begin().unwrap_or_else(|e| unreachable!("{e}"));
        let counted = |file: &std::fs::File| count(file, &path, Some(dir.path()), &deadline).ok();
        file.write_all(one).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(counted(&file), Some(1));
        // A wrong number shows that the memory was used.
        remember(&file, &path, dir.path(), 7);
        assert_eq!(counted(&file), Some(7));
        file.write_all(one).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(counted(&file), Some(8));
        file.seek(SeekFrom::Start(5))
            .and_then(|_| file.write_all(b"x"))
            .unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(counted(&file), Some(2));
        file.set_len(0).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(counted(&file), Some(0));
    }
}
