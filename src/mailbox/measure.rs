//! Where an append begins and ends, and the checksums by which its bytes are known again.

use std::io::{self, Write};

use flate2::Crc;
use memchr::memchr;

/// Where an append begins and ends, and how to know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendExtent {
    /// The mailbox's length before, in bytes.
    pub before_bytes: u64,
    /// The mailbox's length with the whole message, in bytes.
    pub after_bytes: u64,
    /// A checksum of its separator line.
    pub separator: u32,
    /// A checksum of all that is written.
    pub content: u32,
}

/// A checksum that tells one separator line from another.
pub fn checksum_of(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A piece that is shorter waits for more: what takes checksums is slow with the last bytes of each piece.
const PIECE_BYTES: usize = 1024;

/// Counts what is written to it, and takes the checksums of its first line and of all of it.
#[derive(Debug, Default)]
pub struct Measure {
    bytes: u64,
    line: Vec<u8>,
    line_ended: bool,
    all: Crc,
    /// What is not in `all` yet.
    waiting: Vec<u8>,
}

impl Measure {
    /// Where all of this will lie behind `before_bytes`, with `ends` written first.
    pub fn extent(&self, before_bytes: u64, ends: &[u8]) -> AppendExtent {
        let mut content = Crc::new();
        content.update(ends);
        content.combine(&self.all);
        content.update(&self.waiting);
        AppendExtent {
            before_bytes,
            after_bytes: before_bytes + ends.len() as u64 + self.bytes,
            separator: checksum_of(&self.line),
            content: content.sum(),
        }
    }
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.line_ended {
            let line = memchr(b'\n', bytes).and_then(|at| bytes.get(..=at));
            self.line_ended = line.is_some();
            self.line.extend_from_slice(line.unwrap_or(bytes));
        }
        if self.waiting.len() + bytes.len() > PIECE_BYTES {
            self.all.update(&self.waiting);
            self.waiting.clear();
            self.all.update(bytes);
        } else {
            self.waiting.extend_from_slice(bytes);
        }
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
