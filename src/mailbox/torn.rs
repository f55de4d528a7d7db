//! Examines the place where an append was begun: torn, whole, or something else. Only reads, until a limit, and no
//! holes: a user can write a note about 15 TiB.
//!
//! A wrong `Torn` would cut good mail off, so `Torn` is the answer only where nothing but our own bytes can stand.

use std::io::{self, Write};

use flate2::Crc;
use memchr::{memchr, memmem};

use crate::mailbox::limited_file::LimitedFile;
use crate::mailbox::measure::{AppendExtent, checksum_of};
use crate::mailbox::separator_search::has_separator;
use crate::message::from_line::LINE_BYTES;
use crate::sys::read_at::{ReadAt, read_full};

/// An empty line, with the end of the one before.
const EMPTY_LINE: &[u8; 2] = b"\n\n";

/// One read of the mailbox, in bytes.
const STEP_BYTES: usize = 64 << 10;

/// What a disk writes as a whole, in bytes. A hole that a lost write left begins and ends at such a place.
const SECTOR_BYTES: u64 = 512;

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
    /// A part of it, and nothing else: it ends too early, or has holes.
    Torn,
    Whole(Separator),
    /// It has holes of zeros where the disk lost what was written, and others wrote behind it.
    Holed,
    Foreign,
}

/// How closely a message is looked at that ends where the note says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All of it is read.
    Content,
    /// Only its separator line: a run before has read all of it.
    Separator,
}

/// Examines a mailbox of this length.
pub fn examine_tail(file: &LimitedFile<'_>, extent: &AppendExtent, length: u64, depth: Depth) -> io::Result<Tail> {
    if length <= extent.before_bytes {
        return Ok(Tail::Foreign);
    }
    if length >= extent.after_bytes {
        return examine_full(file, extent, length, depth);
    }
    let start = Start::read(file, extent)?;
    if start.is_hole() {
        // After a power loss: the length had come to the disk, and the bytes had not.
        return torn_unless_foreign(file, extent.before_bytes, length);
    }
    match start.line() {
        Some(line) if checksum_of(line) == extent.separator => {
            torn_unless_foreign(file, start.end_bytes(extent, line), length)
        }
        Some(_) => Ok(Tail::Foreign),
        // Not even the separator line is there. Nobody else's could be as short and mean anything.
        None => Ok(if start.is_begun() { Tail::Torn } else { Tail::Foreign }),
    }
}

/// The same where the mailbox is as long as it has to be, or longer.
fn examine_full(file: &LimitedFile<'_>, extent: &AppendExtent, length: u64, depth: Depth) -> io::Result<Tail> {
    let start = Start::read(file, extent)?;
    let line = start.line().filter(|line| checksum_of(line) == extent.separator);
    if let Some(line) = line
        && (depth == Depth::Separator || content(file, extent)? == Some(extent.content))
    {
        return Ok(Tail::Whole(Separator {
            line: line.to_vec(),
            end_bytes: start.end_bytes(extent, line),
        }));
    }
    let from = match line {
        Some(line) => start.end_bytes(extent, line),
        None if start.is_hole() => extent.before_bytes,
        None => return Ok(Tail::Foreign),
    };
    if !has_hole(file, extent)? || has_separator(file, from, extent.after_bytes)? {
        return Ok(Tail::Foreign);
    }
    Ok(if length == extent.after_bytes {
        Tail::Torn
    } else {
        Tail::Holed
    })
}

/// The first bytes behind the place where an append began.
struct Start {
    bytes: Vec<u8>,
    /// How many line ends were written first: what the message before lacked.
    ends: usize,
}

impl Start {
    fn read(file: &LimitedFile<'_>, extent: &AppendExtent) -> io::Result<Self> {
        let mut bytes = vec![0; LINE_BYTES + 2];
        let read = read_full(file, &mut bytes, extent.before_bytes)?;
        bytes.truncate(read);
        let ends = bytes.iter().take(2).take_while(|b| **b == b'\n').count();
        Ok(Self { bytes, ends })
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.ends..).unwrap_or_default()
    }

    fn line(&self) -> Option<&[u8]> {
        let end = memchr(b'\n', self.rest())?;
        self.rest().get(..=end)
    }

    fn end_bytes(&self, extent: &AppendExtent, line: &[u8]) -> u64 {
        extent.before_bytes + (self.ends + line.len()) as u64
    }

    fn is_hole(&self) -> bool {
        self.rest().first() == Some(&0)
    }

    fn is_begun(&self) -> bool {
        let rest = self.rest();
        (rest.starts_with(b"From ") || b"From ".starts_with(rest)) && rest.len() < LINE_BYTES
    }
}

/// The checksum of what stands there; none where a part of it is on no disk.
fn content(file: &LimitedFile<'_>, extent: &AppendExtent) -> io::Result<Option<u32>> {
    let mut crc = Crc::new();
    let mut is_there = true;
    each_part(file, extent.before_bytes, extent.after_bytes, |part| match part {
        FilePart::Bytes(bytes, _) => crc.update(bytes),
        FilePart::Hole(_) => is_there = false,
    })?;
    Ok(is_there.then(|| crc.sum()))
}

/// Tells whether zeros stand there as a lost write leaves them: whole sectors of them, or all to where the message
/// begins or ends.
fn has_hole(file: &LimitedFile<'_>, extent: &AppendExtent) -> io::Result<bool> {
    let is_edge =
        |at: u64| at.is_multiple_of(SECTOR_BYTES) || at <= extent.before_bytes + 2 || at >= extent.after_bytes;
    let mut zeros_from = None;
    let mut found = false;
    each_part(file, extent.before_bytes, extent.after_bytes, |part| match part {
        FilePart::Hole(start) => zeros_from = zeros_from.or(Some(start)),
        FilePart::Bytes(bytes, start) => {
            for (number, byte) in bytes.iter().enumerate() {
                let at = start + number as u64;
                match (byte, zeros_from) {
                    (0, None) => zeros_from = Some(at),
                    (0, Some(_)) | (_, None) => {}
                    (_, Some(from)) => {
                        found |= is_edge(from) && is_edge(at);
                        zeros_from = None;
                    }
                }
            }
        }
    })?;
    Ok(found || zeros_from.is_some_and(is_edge))
}

/// A part of a file, and where it begins.
enum FilePart<'a> {
    Bytes(&'a [u8], u64),
    /// It reads as zeros, and is on no disk.
    Hole(u64),
}

/// Reads a part of the file, step by step; holes are passed over.
fn each_part(file: &LimitedFile<'_>, from: u64, to: u64, mut step: impl FnMut(FilePart<'_>)) -> io::Result<()> {
    let mut buffer = vec![0; STEP_BYTES];
    let mut at = from;
    while at < to {
        let data = file.data_from(at)?.min(to);
        if data > at {
            step(FilePart::Hole(at));
            at = data;
            continue;
        }
        let room = usize::try_from(to - at).unwrap_or(STEP_BYTES).min(STEP_BYTES);
        let read = read_full(file, buffer.get_mut(..room).unwrap_or_default(), at)?;
        if read == 0 {
            return Ok(());
        }
        step(FilePart::Bytes(buffer.get(..read).unwrap_or_default(), at));
        at += read as u64;
    }
    Ok(())
}

/// We quote whatever looks like a separator. One that stands there is somebody else's, who wrote behind the torn
/// message, right behind its last byte. So may be what ends as a message does: procmail writes whatever it is given for
/// a separator, or none.
fn torn_unless_foreign(file: &LimitedFile<'_>, from: u64, length: u64) -> io::Result<Tail> {
    Ok(
        if has_separator(file, from, length)? || ends_a_message(file, from, length)? {
            Tail::Foreign
        } else {
            Tail::Torn
        },
    )
}

/// Tells whether this part of the file ends in an empty line that is not the first one in it, which ends a header. Of a
/// torn message that is true where it was torn there by chance: then a part of it stays.
fn ends_a_message(file: &LimitedFile<'_>, from: u64, to: u64) -> io::Result<bool> {
    let mut last = [0; 2];
    if read_full(file, &mut last, to.saturating_sub(2))? < last.len() || last != *EMPTY_LINE {
        return Ok(false);
    }
    let mut buffer = vec![0; STEP_BYTES + 1];
    // The separator line's end may be the first part of one.
    let mut at = from.saturating_sub(1);
    while at + 2 < to {
        // No line ends in a hole.
        at = at.max(file.data_from(at)?);
        let read = read_full(file, &mut buffer, at)?;
        let before_last = usize::try_from(to - 1 - at).unwrap_or(usize::MAX).min(read);
        if memmem::find(buffer.get(..before_last).unwrap_or_default(), EMPTY_LINE).is_some() {
            return Ok(true);
        }
        at += STEP_BYTES as u64;
    }
    Ok(false)
}

/// Compares what is written to it with what stands in a file; the first difference is an error.
pub struct Compare<'a> {
    file: LimitedFile<'a>,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
}

impl<'a> Compare<'a> {
    /// Compares with the bytes from `at` to `end`.
    pub fn new(file: LimitedFile<'a>, at: u64, end: u64) -> Self {
        Self {
            file,
            at,
            end,
            buffer: Vec::new(),
        }
    }

    /// Tells whether everything was compared.
    pub fn is_at_end(&self) -> bool {
        self.at == self.end
    }
}

impl Write for Compare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = bytes.get(..bytes.len().min(STEP_BYTES)).unwrap_or(bytes);
        self.buffer.resize(bytes.len(), 0);
        let read = read_full(&self.file, &mut self.buffer, self.at)?;
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
