//! How many messages a mailbox holds, without reading all of it at each delivery.
//!
//! A small file in the state directory says what was counted up to which byte. It is believed only for the same file, and
//! only as far as the bytes before that place are the ones that were counted; what came since is read. It is a memory and
//! nothing more: when it is lost, damaged or cannot be written, the mailbox is counted again.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::act::mbox::modified_nanoseconds;
use crate::act::recall::{self, tail};
use crate::exit::Error;

/// One read of the mailbox, in bytes.
const STEP_BYTES: usize = 256 << 10;

/// A separator line, and what has to stand before it unless it opens the file.
const SEPARATOR: &[u8] = b"\n\nFrom ";

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
/// When the mailbox cannot be read. A memory that cannot be read or written is none.
pub fn count(file: &File, path: &Path, state_dir: Option<&Path>) -> Result<u64, Error> {
    let fail = |e: io::Error| Error::io("count the messages of", path, &e);
    let stat = file.metadata().map_err(fail)?;
    let remembered = state_dir
        .and_then(|dir| Memory::load(&place(path, dir)))
        .filter(|memory| memory.fits(file, &stat));
    match remembered {
        Some(memory) if memory.bytes == stat.len() && memory.modified == modified_nanoseconds(&stat) => {
            Ok(memory.messages)
        }
        Some(memory) => Ok(memory.messages + separators(file, memory.bytes).map_err(fail)?),
        None => separators(file, 0).map_err(fail),
    }
}

/// Remembers that the mailbox holds `messages` now.
pub fn remember(file: &File, path: &Path, state_dir: &Path, messages: u64) {
    let _ = Memory::of(file, messages).and_then(|memory| memory.save(&place(path, state_dir)));
}

fn place(path: &Path, state_dir: &Path) -> PathBuf {
    recall::place(path, &state_dir.join("tally"))
}

impl Memory {
    fn of(file: &File, messages: u64) -> io::Result<Self> {
        let stat = file.metadata()?;
        Ok(Self {
            device: stat.dev(),
            inode: stat.ino(),
            bytes: stat.len(),
            modified: modified_nanoseconds(&stat),
            messages,
            tail: tail(file, stat.len())?,
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
        let text = recall::load(place, 4096)?.text;
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
        recall::save(place, &text)
    }
}

/// How many messages begin at byte `from` or behind it.
fn separators(file: &File, from: u64) -> io::Result<u64> {
    let mut buffer = Vec::with_capacity(STEP_BYTES + SEPARATOR.len());
    let mut count = 0;
    // The two line ends before `from`, so that a separator that begins there is found.
    let mut at = from.saturating_sub(2);
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
            return Ok(count);
        }
        at += read as u64;
        count += memchr::memmem::find_iter(&buffer, SEPARATOR).count() as u64;
        // What may be the beginning of a separator that goes on in the next step.
        let keep = buffer.len().saturating_sub(SEPARATOR.len() - 1);
        buffer.drain(..keep);
    }
}

#[cfg(test)]
mod tests {
    use super::{STEP_BYTES, count, remember, separators};
    use std::io::{Seek, SeekFrom, Write};

    #[test]
    fn messages_are_counted_across_steps_and_from_any_place() {
        let mut file = tempfile::tempfile().unwrap_or_else(|e| unreachable!("{e}"));
        let one = b"From s@s.test Thu Jan  1 00:00:00 1970\nA: 1\n\nx From y\n>From z\n\n";
        let copies = STEP_BYTES * 3 / one.len();
        for _ in 0..copies {
            file.write_all(one).unwrap_or_else(|e| unreachable!("{e}"));
        }
        assert_eq!(separators(&file, 0).ok(), Some(copies as u64));
        assert_eq!(separators(&file, one.len() as u64).ok(), Some(copies as u64 - 1));
        assert_eq!(separators(&file, (one.len() * copies) as u64).ok(), Some(0));
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
        let counted = |file: &std::fs::File| count(file, &path, Some(dir.path())).ok();
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
