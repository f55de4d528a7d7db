//! Bytes that are read from any place: a file, a message in memory, an archive that is unpacked meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use crate::sys::message_buffer::MessageBuffer;

/// Bytes that can be read from any place.
pub trait ReadAt {
    fn length(&self) -> io::Result<u64>;

    /// Reads from byte `at` on; 0 is the end.
    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// Where the next byte stands that need not be NUL, from `at` on: a hole in a file is passed over.
    fn data_from(&self, at: u64) -> io::Result<u64> {
        Ok(at)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn length(&self) -> io::Result<u64> {
        (**self).length()
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        (**self).read_from(buffer, at)
    }

    fn data_from(&self, at: u64) -> io::Result<u64> {
        (**self).data_from(at)
    }
}

impl ReadAt for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buffer, at)
    }
}

impl ReadAt for MessageBuffer {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes())
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buffer, at)
    }
}

/// How much is read at first, in bytes; each byte of the buffer is written before that, and few messages are longer.
const FIRST_STEP_BYTES: usize = 8 << 10;

/// Shows all that `from` reads to `step`, at most `step_bytes` at a time.
pub fn each_piece(
    mut from: impl Read,
    step_bytes: usize,
    mut step: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; FIRST_STEP_BYTES.min(step_bytes)];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                step(buffer.get(..read).unwrap_or_default())?;
                if read == buffer.len() && read < step_bytes {
                    buffer.resize(step_bytes, 0);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Reads until `buffer` is full, or nothing more is there.
pub fn read_full<F: ReadAt + ?Sized>(file: &F, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..)
        && !room.is_empty()
    {
        match file.read_from(room, at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
