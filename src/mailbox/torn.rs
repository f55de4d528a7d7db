//! What stands where an append was begun: a part of it, all of it, or something else. Only reads.
//!
//! A wrong "part" would cut mail off, so it is said only where nothing but our own bytes can stand.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use memchr::{memchr, memmem};

use crate::mailbox::intent::{Extent, checksum};
use crate::mailbox::reader::has_separator;
use crate::message::from_line::LINE_BYTES;

/// An empty line, with the end of the one before.
const EMPTY_LINE: &[u8; 2] = b"\n\n";

/// One read of the mailbox, in bytes.
const STEP_BYTES: usize = 64 << 10;

/// A separator line that stands in a mailbox.
#[derive(Debug)]
pub struct Separator {
    /// The line, with its end.
    pub line: Vec<u8>,
    /// Where the line behind it begins.
    pub end_bytes: u64,
}

/// What stands where a note says that a message was appended.
#[derive(Debug)]
#[must_use]
pub enum Tail {
    /// The beginning of it, and nothing else.
    Torn,
    /// All of it, as far as its length and its separator line tell.
    Whole(Separator),
    /// Something else.
    Foreign,
}

/// Looks at a mailbox of this length.
///
/// # Errors
/// When it cannot be read.
pub fn look(file: &File, extent: &Extent, length: u64) -> io::Result<Tail> {
    if length <= extent.before_bytes {
        return Ok(Tail::Foreign);
    }
    let mut buffer = [0; LINE_BYTES + 2];
    let read = read_full(file, &mut buffer, extent.before_bytes)?;
    let bytes = buffer.get(..read).unwrap_or_default();
    // What the message before lacked at its end was written first.
    let ends = bytes.iter().take(2).take_while(|b| **b == b'\n').count();
    let rest = bytes.get(ends..).unwrap_or_default();
    if rest.first() == Some(&0) && length <= extent.after_bytes {
        // After a power loss: the length had come to the disk, and the bytes had not.
        return torn_unless_foreign(file, extent.before_bytes, length);
    }
    let is_short = length < extent.after_bytes;
    let Some(at) = memchr(b'\n', rest) else {
        // Not even the separator line is there. Nobody else's could be as short and mean anything.
        let is_begun = rest.starts_with(b"From ") || b"From ".starts_with(rest);
        return Ok(if is_short && is_begun && rest.len() < LINE_BYTES {
            Tail::Torn
        } else {
            Tail::Foreign
        });
    };
    let line = rest.get(..=at).unwrap_or_default();
    if checksum(line) != extent.separator {
        return Ok(Tail::Foreign);
    }
    let end_bytes = extent.before_bytes + (ends + line.len()) as u64;
    if !is_short {
        return Ok(Tail::Whole(Separator {
            line: line.to_vec(),
            end_bytes,
        }));
    }
    torn_unless_foreign(file, end_bytes, length)
}

/// We quote whatever looks like a separator. One that stands there is somebody else's, who wrote behind the torn message, right behind
/// its last byte. So may be what ends as a message does: procmail writes whatever it is given for a separator, or none.
fn torn_unless_foreign(file: &File, from: u64, length: u64) -> io::Result<Tail> {
    Ok(
        if has_separator(file, from, length)? || ends_a_message(file, from, length)? {
            Tail::Foreign
        } else {
            Tail::Torn
        },
    )
}

/// Tells whether this part of the file ends in an empty line that is not the first one in it, which ends a header. Of a torn message that
/// is true where it was torn there by chance: then a part of it stays.
fn ends_a_message(file: &File, from: u64, to: u64) -> io::Result<bool> {
    let mut last = [0; 2];
    if read_full(file, &mut last, to.saturating_sub(2))? < last.len() || last != *EMPTY_LINE {
        return Ok(false);
    }
    let mut buffer = vec![0; STEP_BYTES + 1];
    // The separator line's end may be the first part of one.
    let mut at = from.saturating_sub(1);
    while at + 2 < to {
        let read = read_full(file, &mut buffer, at)?;
        let before_last = usize::try_from(to - 1 - at).unwrap_or(usize::MAX).min(read);
        if memmem::find(buffer.get(..before_last).unwrap_or_default(), EMPTY_LINE).is_some() {
            return Ok(true);
        }
        at += STEP_BYTES as u64;
    }
    Ok(false)
}

fn read_full(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..)
        && !room.is_empty()
    {
        match file.read_at(room, at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Compares what is written to it with what stands in a file; the first difference is an error.
pub struct Compare<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
}

impl<'a> Compare<'a> {
    /// Compares with the bytes from `at` to `end`.
    #[must_use]
    pub fn new(file: &'a File, at: u64, end: u64) -> Self {
        Self {
            file,
            at,
            end,
            buffer: Vec::new(),
        }
    }

    /// Tells whether everything was compared.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.at == self.end
    }
}

impl Write for Compare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = bytes.get(..bytes.len().min(STEP_BYTES)).unwrap_or(bytes);
        self.buffer.resize(bytes.len(), 0);
        let read = read_full(self.file, &mut self.buffer, self.at)?;
        if read < bytes.len() || self.at + read as u64 > self.end || self.buffer != bytes {
            return Err(io::Error::other("this is another message"));
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
