//! Writes over bytes of a mailbox that stand there already, so that a sync writes them to the disk.
//!
//! After a failed sync the kernel may hold pages for clean that the disk has never seen; the next sync succeeds without
//! a write (fsync(2), ERRORS). Whoever relies on such bytes writes them again first. A mailbox is open for appending,
//! and then pwrite(2) appends wherever it is told to write (BUGS there), so that mode is switched off meanwhile. The
//! length never changes; the caller has the lock, and syncs.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use crate::mailbox::limited_file::data_from;
use crate::sys::deadline::ReadLimit;
use rustix::fs::{Advice, OFlags, fadvise, fcntl_getfl, fcntl_setfl};

/// One read and one write, in bytes.
const STEP_BYTES: usize = 256 << 10;

/// No page of a file is larger than that on any machine that Linux runs on, in bytes; and a step is a multiple of it.
const PAGE_BYTES: u64 = 64 << 10;

/// A part of a mailbox that is written over, from its beginning on.
#[derive(Debug)]
#[must_use]
pub(super) struct InPlace<'a> {
    file: &'a File,
    flags: OFlags,
    at: u64,
    end: u64,
}

impl<'a> InPlace<'a> {
    /// Begins at byte `from`; nothing is written at `end` or behind it.
    pub fn begin(file: &'a File, from: u64, end: u64) -> io::Result<Self> {
        let flags = fcntl_getfl(file)?;
        fcntl_setfl(file, flags.difference(OFlags::APPEND))?;
        Ok(Self {
            file,
            flags,
            at: from,
            end,
        })
    }

    /// Ends it. Until then, appends may go astray. Fails when the file cannot be made one for appending again; then it
    /// must not be used any more.
    pub fn finish(self) -> io::Result<()> {
        fcntl_setfl(self.file, self.flags)?;
        Ok(())
    }
}

impl Drop for InPlace<'_> {
    fn drop(&mut self) {
        let _ = fcntl_setfl(self.file, self.flags);
    }
}

impl Write for InPlace<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        if room < bytes.len() {
            return Err(io::Error::other("more would be written than stands there"));
        }
        let written = self.file.write_at(bytes, self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the bytes from `from` to `end` again, as they are, and what else lies in their pages. `step` is called after
/// each part.
///
/// The pages are dropped first. ext4 remembers in them which blocks it has yet to turn from reserved into written ones,
/// and forgets that when the write fails: without a drop the blocks would be written again and stay reserved, which
/// reads as zeros after the next mount. A drop loses nothing that the disk has.
pub(super) fn write_again(file: &File, from: u64, end: u64, step: impl Fn()) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut at = from - from % PAGE_BYTES;
    let end = end.next_multiple_of(PAGE_BYTES).min(length);
    // What is dirty is not dropped. Whatever becomes of that sync, the bytes are written again.
    let _ = file.sync_data();
    let mut to = InPlace::begin(file, at, end)?;
    let mut buffer = vec![0; STEP_BYTES];
    let limit = ReadLimit::until_stopped();
    loop {
        limit.check()?;
        // A hole has nothing that could be lost, however long it is.
        let data = data_from(file, at)?;
        at = at.max(data - data % PAGE_BYTES);
        if at >= end {
            return to.finish();
        }
        // What lies before stays as it is.
        to.at = at;
        let room = usize::try_from(end - at).unwrap_or(STEP_BYTES).min(STEP_BYTES);
        let bytes = buffer.get_mut(..room).unwrap_or_default();
        file.read_exact_at(bytes, at)?;
        drop_pages(file, at, at + room as u64);
        to.write_all(bytes)?;
        at += room as u64;
        step();
    }
}

/// Drops the pages that hold these bytes, if they are clean and nobody uses them just now.
pub(super) fn drop_pages(file: &File, from: u64, end: u64) {
    let from = from - from % PAGE_BYTES;
    let bytes = std::num::NonZero::new(end.next_multiple_of(PAGE_BYTES) - from);
    let _ = fadvise(file, from, bytes, Advice::DontNeed);
}

#[cfg(test)]
mod tests {
    use super::{InPlace, write_again};
    use std::fs::OpenOptions;
    use std::io::{Read, Seek, Write};

    #[test]
    fn bytes_are_written_where_they_stand_and_appends_append() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .unwrap_or_else(|e| unreachable!("{e}"));
        assert!(file.write_all(b"0123456789").is_ok());
        assert!(write_again(&file, 2, 10, || {}).is_ok());
        let mut to = InPlace::begin(&file, 3, 5).unwrap_or_else(|e| unreachable!("{e}"));
        assert!(to.write_all(b"ab").is_ok());
        assert!(to.write_all(b"c").is_err());
        assert!(to.finish().is_ok());
        assert!(file.write_all(b"x").is_ok());
        let mut text = String::new();
        assert!(file.rewind().is_ok() && file.read_to_string(&mut text).is_ok());
        assert_eq!(text, "012ab56789x");
    }
}
