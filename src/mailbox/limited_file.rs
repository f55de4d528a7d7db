//! A file of stored mail that is read until a limit: a deadline, or a request to stop. A user decides how long a
//! mailbox is, and `truncate -s 15T` costs nothing. So such files are read only through here, and no loop over their
//! bytes can forget to look.
//!
//! Holes, the parts of a file that are not on the disk, are skipped by searches and refused by copies.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::fs::{SeekFrom, seek};

use crate::sys::deadline::ReadLimit;
use crate::sys::read_at::ReadAt;

/// One block of `st_blocks`, in bytes (stat(2)).
const BLOCK_BYTES: u64 = 512;

/// Fewer bytes in holes cost nobody much: a crash leaves some.
const HOLES_BYTES: u64 = 1 << 30;

/// So many parts of a file are looked at for holes.
const MOST_PARTS: u32 = 10_000;

/// The file, and how long it may be read.
#[derive(Clone, Copy, Debug)]
pub struct LimitedFile<'f> {
    file: &'f File,
    limit: ReadLimit,
}

impl<'f> LimitedFile<'f> {
    /// Reads `file` until `limit`.
    pub fn new(file: &'f File, limit: ReadLimit) -> Self {
        Self { file, limit }
    }
}

impl ReadAt for LimitedFile<'_> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.limit.check()?;
        self.file.read_at(buffer, at)
    }

    fn data_from(&self, at: u64) -> io::Result<u64> {
        data_from(self.file, at)
    }
}

/// Where the next byte stands that is on the disk, from `at` on; the end of the file where only a hole follows. `at`
/// itself on a file system that does not say (lseek(2)).
pub fn data_from(file: &File, at: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(data.max(at)),
        Err(rustix::io::Errno::NXIO) => Ok(file.metadata()?.len().max(at)),
        Err(_) => Ok(at),
    }
}

/// Refuses a file of which most is holes: nobody has so much mail, and what copies it would be busy for hours and fill
/// disks. Fails when it is one, or cannot be examined.
pub fn refuse_holes(file: &File) -> io::Result<()> {
    let stat = file.metadata()?;
    let holes = holes_of(file, &stat)?;
    if holes > HOLES_BYTES && holes > stat.len() / 2 {
        let text = format!(
            "it is {} bytes long, and {holes} of them are holes: no mail is there",
            stat.len()
        );
        return Err(io::Error::other(text));
    }
    Ok(())
}

/// How many bytes of a file are holes; 0 where its blocks leave no room for many. A file system that compresses has few
/// blocks and no holes.
fn holes_of(file: &File, stat: &Metadata) -> io::Result<u64> {
    if stat.len().saturating_sub(stat.blocks().saturating_mul(BLOCK_BYTES)) <= HOLES_BYTES {
        return Ok(0);
    }
    let (mut at, mut holes) = (0, 0);
    for _ in 0..MOST_PARTS {
        let data = data_from(file, at)?.min(stat.len());
        holes += data - at;
        if data >= stat.len() {
            break;
        }
        at = match seek(file, SeekFrom::Hole(data)) {
            Ok(hole) if hole > data => hole.min(stat.len()),
            Ok(_) | Err(_) => break,
        };
    }
    Ok(holes)
}

#[cfg(test)]
mod tests {
    use super::{LimitedFile, data_from, refuse_holes};
    use crate::mailbox::reader::MboxReader;
    use crate::sys::deadline::ReadLimit;
    use crate::sys::read_at::ReadAt;
    use std::fs::File;
    use std::io::Write;
    use std::os::unix::fs::FileExt;
    use std::time::Duration;

    const ONE: &[u8] = b"From s@s.test Thu Jan  1 00:00:00 1970\nA: 1\n\nx\n\n";
    const LONG: u64 = 1 << 42;

    fn file() -> File {
        let mut file = tempfile::tempfile().unwrap_or_else(|e| unreachable!("{e}"));
        file.write_all(&ONE.repeat(3)).unwrap_or_else(|e| unreachable!("{e}"));
        file
    }

    #[test]
    fn holes_of_a_file_are_neither_read_nor_copied() {
        let file = file();
        assert!(file.set_len(LONG).is_ok());
        if data_from(&file, LONG / 2).is_ok_and(|data| data == LONG / 2) {
            // This file system does not say where holes are.
            return;
        }
        assert!(file.write_all_at(&[b"\n\n", ONE].concat(), LONG - 500).is_ok());
        let limited = LimitedFile::new(&file, ReadLimit::until_stopped());
        let mut mbox = MboxReader::new(&limited, 100).unwrap_or_else(|e| unreachable!("{e}"));
        let mut messages = 0;
        while mbox.next().is_ok_and(|next| next.is_some()) {
            messages += 1;
        }
        assert_eq!((messages, mbox.position()), (4, LONG));
        let mut mbox = MboxReader::new(&limited, 0).unwrap_or_else(|e| unreachable!("{e}"));
        let mut counted = 0;
        assert!(mbox.count(&mut counted).is_ok());
        assert_eq!(counted, 4);
        assert!(refuse_holes(&file).is_err());
    }

    #[test]
    fn a_file_with_a_small_hole_is_mail_all_the_same() {
        let file = file();
        assert!(file.set_len(1 << 20).is_ok() && refuse_holes(&file).is_ok());
    }

    #[test]
    fn nothing_is_read_when_the_time_is_over() {
        let file = file();
        let limited = LimitedFile::new(&file, ReadLimit::ending_in(Duration::ZERO));
        let error = limited.read_from(&mut [0; 10], 0).map_err(|e| e.kind());
        assert_eq!(error, Err(std::io::ErrorKind::TimedOut));
    }
}
