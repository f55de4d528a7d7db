//! Counts the messages in a mailbox, without reading all of it at each delivery.
//!
//! A small file in the state directory says up to which byte messages were counted, and how many. It is believed only
//! for the same file, and only as far as the bytes before that place are the ones that were counted; what came since is
//! read. The file is a cache: when it is lost, damaged or cannot be written, the mailbox is counted again. When a
//! mailbox is too large to be counted in the time of one run, the next run counts the rest.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::mailbox::limited_file::LimitedFile;
use crate::mailbox::reader::MboxReader;
use crate::sys::cache_file::{self, fingerprint_tail};
use crate::sys::deadline::{self, Deadline};
use crate::sys::file_stamp::modified_nanoseconds;
use crate::sys::read_at::ReadAt;

/// By which rule it was counted: what an older one says is void.
const RULE: &str = "2";

/// What was counted when.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RememberedCount {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: i128,
    messages: u64,
    tail: String,
}

/// Counts the messages of an open, locked mailbox; all of them where there is no state directory to remember in. Fails
/// when the mailbox cannot be read, or not in time. A memory that cannot be read or written is none.
pub fn count_messages(file: &File, path: &Path, state_dir: Option<&Path>, deadline: &Deadline) -> Result<u64, Error> {
    let fail = |e: io::Error| Error::io("count the messages of", path, &e);
    let stat = file.metadata().map_err(fail)?;
    let remembered = state_dir
        .and_then(|dir| RememberedCount::load(&place(path, dir)))
        .filter(|memory| memory.fits(file, &stat));
    match remembered {
        Some(memory) if memory.bytes == stat.len() && memory.modified == modified_nanoseconds(&stat) => {
            Ok(memory.messages)
        }
        memory => {
            let (from, before) = memory.map_or((0, 0), |memory| (memory.bytes, memory.messages));
            let limited = LimitedFile::new(file, deadline.for_reading());
            match messages(&limited, from).map_err(fail)? {
                Counted::All(count) => {
                    // Whoever finds no room does not append, and each next try would count the same anew.
                    if let Some(dir) = state_dir {
                        remember_count(file, path, dir, before + count);
                    }
                    Ok(before + count)
                }
                Counted::Until(bytes, count) => {
                    let memory = RememberedCount::until(file, bytes, before + count).map_err(fail)?;
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
pub fn remember_count(file: &File, path: &Path, state_dir: &Path, messages: u64) {
    let length = file.metadata().map(|stat| stat.len());
    let _ = length.and_then(|length| RememberedCount::until(file, length, messages)?.save(&place(path, state_dir)));
}

/// The number that was noted for the mailbox as it is now; none where it has changed since, or nothing can be read.
/// Opens no mailbox: for those who may only look.
pub fn read_noted_count(path: &Path, state_dir: &Path) -> Option<u64> {
    let stat = path.symlink_metadata().ok()?;
    let memory = RememberedCount::load(&place(path, state_dir))?;
    let is_same = (memory.device, memory.inode, memory.bytes) == (stat.dev(), stat.ino(), stat.len())
        && memory.modified == modified_nanoseconds(&stat);
    is_same.then_some(memory.messages)
}

fn place(path: &Path, state_dir: &Path) -> PathBuf {
    cache_file::cache_path(path, &state_dir.join("tally"))
}

impl RememberedCount {
    /// What was counted before byte `bytes`.
    fn until(file: &File, bytes: u64, messages: u64) -> io::Result<Self> {
        let stat = file.metadata()?;
        Ok(Self {
            device: stat.dev(),
            inode: stat.ino(),
            bytes,
            modified: modified_nanoseconds(&stat),
            messages,
            tail: fingerprint_tail(file, bytes)?,
        })
    }

    /// Tells whether the file begins with what was counted.
    fn fits(&self, file: &File, stat: &std::fs::Metadata) -> bool {
        self.device == stat.dev()
            && self.inode == stat.ino()
            && self.bytes <= stat.len()
            && fingerprint_tail(file, self.bytes).is_ok_and(|tail| tail == self.tail)
    }

    fn load(place: &Path) -> Option<Self> {
        let text = cache_file::load_cached(place, 4096)?.text;
        let mut words = text.split_ascii_whitespace();
        if words.next() != Some(RULE) {
            return None;
        }
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
        let text = format!("{RULE} {device} {inode} {bytes} {modified} {messages} {tail}\n");
        cache_file::save_cached(place, &text)
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

/// How many messages begin at byte `from` or behind it, as far as there is time.
fn messages<F: ReadAt>(file: &F, from: u64) -> io::Result<Counted> {
    let mut mbox = MboxReader::resume(file, 0, from)?;
    let mut count = 0;
    match mbox.count(&mut count) {
        Ok(()) => Ok(Counted::All(count)),
        Err(e) if e.kind() == io::ErrorKind::TimedOut || deadline::is_stopped() => {
            Ok(Counted::Until(mbox.position(), count))
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::{Counted, RememberedCount, count_messages, messages, place, remember_count};
    use crate::sys::deadline::Deadline;
    use crate::sys::read_at::ReadAt;
    use std::cell::Cell;
    use std::fs::File;
    use std::io::{self, Seek, SeekFrom, Write};
    use std::os::unix::fs::FileExt;

    /// A file of which so many windows can be read before the time is over.
    struct Steps<'f>(&'f File, Cell<u32>);

    impl ReadAt for Steps<'_> {
        fn length(&self) -> io::Result<u64> {
            Ok(self.0.metadata()?.len())
        }

        fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
            const WINDOW_BYTES: usize = 64 << 10;
            if buffer.len() >= WINDOW_BYTES && self.1.replace(self.1.get().saturating_sub(1)) == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.0.read_at(buffer, at)
        }
    }

    /// Counts so many steps at a time, each run where the one before stopped.
    fn in_runs(file: &File, steps: u32) -> u64 {
        let (mut at, mut sum, mut runs) = (0, 0, 0);
        loop {
            match messages(&Steps(file, Cell::new(steps)), at) {
                Ok(Counted::Until(bytes, count)) => (at, sum) = (bytes, sum + count),
                Ok(Counted::All(count)) => return sum + count,
                Err(e) => unreachable!("{e}"),
            }
            runs += 1;
            assert!(at > 0 && runs < 100);
        }
    }

    #[test]
    fn messages_are_counted_as_they_are_read_and_from_any_place() {
        let mut file = tempfile::tempfile().unwrap_or_else(|e| unreachable!("{e}"));
        let one =
            b"From s@s.test Thu Jan  1 00:00:00 1970\nA: 1\n\nx From y\n\nFrom here on it is prose.\n\n>From z\n\n";
        let copies = (5 << 20) / one.len();
        for _ in 0..copies {
            file.write_all(one).unwrap_or_else(|e| unreachable!("{e}"));
        }
        let from = |at| messages(&Steps(&file, Cell::new(u32::MAX)), at).ok();
        let copies = copies as u64;
        assert_eq!(from(0), Some(Counted::All(copies)));
        assert_eq!(from(one.len() as u64), Some(Counted::All(copies - 1)));
        assert_eq!(from(one.len() as u64 * copies), Some(Counted::All(0)));
        // In the middle of a message, which was counted before.
        assert_eq!(from(one.len() as u64 + 50), Some(Counted::All(copies - 2)));
        for steps in 1..4 {
            assert_eq!(in_runs(&file, steps), copies, "{steps} steps");
        }
    }

    #[test]
    fn one_message_larger_than_a_runs_time_is_counted_once() {
        let mut file = tempfile::tempfile().unwrap_or_else(|e| unreachable!("{e}"));
        let head = b"From s@s.test Thu Jan  1 00:00:00 1970\nA: 1\n\n";
        for _ in 0..3 {
            let body = b"From here on\n\n".repeat(300_000);
            let written = file.write_all(head).and_then(|()| file.write_all(&body));
            written.unwrap_or_else(|e| unreachable!("{e}"));
        }
        assert_eq!(in_runs(&file, 1), 3);
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
        let counted = |file: &std::fs::File| count_messages(file, &path, Some(dir.path()), &deadline).ok();
        file.write_all(one).unwrap_or_else(|e| unreachable!("{e}"));
        let remembered = || RememberedCount::load(&place(&path, dir.path())).map(|memory| memory.messages);
        assert_eq!(remembered(), None);
        assert_eq!(counted(&file), Some(1));
        // Also where nothing is appended then: each next try would count it anew.
        assert_eq!(remembered(), Some(1));
        // A wrong number shows that the memory was used.
        remember_count(&file, &path, dir.path(), 7);
        assert_eq!(counted(&file), Some(7));
        file.write_all(one).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(counted(&file), Some(8));
        file.seek(SeekFrom::End(-5))
            .and_then(|_| file.write_all(b"x"))
            .unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(counted(&file), Some(2));
        file.set_len(0).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(counted(&file), Some(0));
    }
}
