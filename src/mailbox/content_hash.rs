//! Tells whether two stored messages are the same mail, whatever happened to them in their mailboxes: mail clients note
//! there what was seen, deliveries write separator lines and quotes of their own. All that is left out; every other
//! byte counts.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use crate::mailbox::format::STATE_FIELDS;
use crate::mailbox::ranges::{Ranges, STEP_BYTES};
use crate::mailbox::reader::MboxMessage;
use crate::message::CLIENT_FIELDS;
use crate::sys::read_at::{ReadAt, each_piece};

/// Fields that count neither, beside those of mailboxes and mail clients.
const MORE_STATE_FIELDS: [&str; 2] = ["Lines", "X-Mozilla-Status2"];

/// Fields that only a writer writes, and that MTAs leave alone on the way.
const WRITTEN_FIELDS: [&str; 6] = ["Message-ID", "From", "Date", "Subject", "To", "Cc"];

/// Enough of a line to know such a field by.
const NAME_BYTES: usize = 64;

/// What is prose in a body unless quoted.
const FROM: &[u8] = b"From ";

/// The same for two messages when they are the same mail. Half of a SHA-256, so that nobody can write a message that
/// passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 16]);

impl ContentHash {
    /// That of nothing at all.
    pub const NONE: Self = Self([0; 16]);

    /// Tells whether it is that of a message without content: of a separator line alone.
    pub fn is_without_content(self) -> bool {
        self == ContentReader::new(HashScope::All).finish()
    }

    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

/// What of two messages has to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashScope {
    /// All that did not come to it in a mailbox.
    All,
    /// What its writer wrote: what the MTAs on the way added does not count either.
    Written,
}

/// The hash of a message of an mbox.
pub fn of_stored<F: ReadAt + ?Sized>(file: &F, stored: &MboxMessage<'_>, scope: HashScope) -> io::Result<ContentHash> {
    let mut reader = ContentReader::new(scope);
    if !stored.head.starts_with(FROM) {
        // A part of a message, or something else: all of it counts.
        reader.place = LinePosition::Field(Vec::new());
    }
    reader.read(stored.head);
    let rest = Ranges::from(stored.offset + stored.head.len() as u64..stored.offset + stored.bytes);
    let read = each_piece(rest.reader(file), STEP_BYTES, |piece| {
        reader.read(piece);
        Ok(())
    });
    match read {
        // Somebody cut it; what is there has a hash too.
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {}
        read => read?,
    }
    Ok(reader.finish())
}

/// Reads a message piece by piece.
pub struct ContentReader {
    hash: Sha256,
    scope: HashScope,
    place: LinePosition,
    /// Line ends that count only when something follows: how many stand at a message's end is up to the mailbox.
    line_ends: u64,
}

/// Where in a line it is.
enum LinePosition {
    Separator,
    /// At the beginning of a header line, of which so much was read.
    Field(Vec<u8>),
    /// In the line of a field that counts.
    Kept,
    /// In the line of a field that does not.
    Dropped,
    /// The same two, at the beginning of the next line.
    AfterKept,
    AfterDropped,
    /// At the beginning of a body line: so many `>`, and so much of `From `.
    Line(u64, usize),
    /// In the middle of a body line.
    Text,
}

impl ContentReader {
    /// Begins before the separator line.
    pub fn new(scope: HashScope) -> Self {
        Self {
            hash: Sha256::new(),
            scope,
            place: LinePosition::Separator,
            line_ends: 0,
        }
    }

    pub fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match std::mem::replace(&mut self.place, LinePosition::Text) {
                LinePosition::Separator => {
                    self.skip_line(bytes, LinePosition::Separator, || LinePosition::Field(Vec::new()))
                }
                LinePosition::Dropped => self.skip_line(bytes, LinePosition::Dropped, || LinePosition::AfterDropped),
                LinePosition::Kept => self.keep_line(bytes),
                LinePosition::AfterKept | LinePosition::AfterDropped if !matches!(bytes, [b' ' | b'\t', ..]) => {
                    self.place = LinePosition::Field(Vec::new());
                    bytes
                }
                // It continues the line before.
                LinePosition::AfterKept => {
                    self.place = LinePosition::Kept;
                    bytes
                }
                LinePosition::AfterDropped => {
                    self.place = LinePosition::Dropped;
                    bytes
                }
                LinePosition::Field(start) => self.field(start, bytes),
                LinePosition::Line(quotes, matched) => self.line(quotes, matched, bytes),
                LinePosition::Text => self.text(bytes),
            };
        }
    }

    /// What was read, in short.
    pub fn finish(mut self) -> ContentHash {
        match std::mem::replace(&mut self.place, LinePosition::Text) {
            LinePosition::Field(start) => self.emit(&start),
            LinePosition::Line(quotes, matched) => self.unquoted(quotes, matched),
            LinePosition::Separator
            | LinePosition::Kept
            | LinePosition::Dropped
            | LinePosition::AfterKept
            | LinePosition::AfterDropped
            | LinePosition::Text => {}
        }
        let digest = self.hash.finalize();
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(digest) {
            *to = from;
        }
        ContentHash(short)
    }

    fn skip_line<'a>(
        &mut self,
        bytes: &'a [u8],
        inside: LinePosition,
        behind: impl FnOnce() -> LinePosition,
    ) -> &'a [u8] {
        match memchr::memchr(b'\n', bytes) {
            Some(at) => {
                self.place = behind();
                bytes.get(at + 1..).unwrap_or_default()
            }
            None => {
                self.place = inside;
                b""
            }
        }
    }

    fn keep_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (line, rest) = match memchr::memchr(b'\n', bytes) {
            Some(at) => bytes.split_at_checked(at + 1).unwrap_or((bytes, b"")),
            None => (bytes, &b""[..]),
        };
        self.place = if line.ends_with(b"\n") {
            LinePosition::AfterKept
        } else {
            LinePosition::Kept
        };
        match self.scope {
            HashScope::All => self.emit(line),
            // Folded anew on the way, it is still the same.
            HashScope::Written => {
                let words: Vec<u8> = line.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
                self.emit(&words);
            }
        }
        rest
    }

    /// Reads the beginning of a header line, until it is known what it is.
    fn field<'a>(&mut self, mut start: Vec<u8>, bytes: &'a [u8]) -> &'a [u8] {
        let room = NAME_BYTES.saturating_sub(start.len());
        let here = bytes.get(..room).unwrap_or(bytes);
        let end = memchr::memchr2(b':', b'\n', here).map(|at| at + 1);
        let (part, rest) = bytes
            .split_at_checked(end.unwrap_or(here.len()))
            .unwrap_or((bytes, b""));
        start.extend_from_slice(part);
        let known = end.is_some() || start.len() >= NAME_BYTES;
        if !known {
            self.place = LinePosition::Field(start);
            return rest;
        }
        if matches!(start.as_slice(), b"\n" | b"\r\n") {
            self.place = LinePosition::Line(0, 0);
            self.emit(&start);
            return rest;
        }
        let name = start.strip_suffix(b":").map(<[u8]>::trim_ascii_end);
        if name.is_some_and(|name| !self.counts(name)) {
            self.place = LinePosition::Dropped;
            return rest;
        }
        // A line that is no field is quoted as in a body.
        let quotes = start.iter().take_while(|b| **b == b'>').count();
        let unquoted = start
            .get(quotes..)
            .filter(|rest| rest.starts_with(FROM))
            .unwrap_or(&start);
        self.emit(unquoted);
        self.place = if start.ends_with(b"\n") {
            LinePosition::AfterKept
        } else {
            LinePosition::Kept
        };
        rest
    }

    fn counts(&self, name: &[u8]) -> bool {
        let is_one_of = |fields: &[&str]| fields.iter().any(|field| field.as_bytes().eq_ignore_ascii_case(name));
        let state: [&[&str]; 3] = [&STATE_FIELDS, &CLIENT_FIELDS, &MORE_STATE_FIELDS];
        match self.scope {
            HashScope::All => !state.into_iter().any(is_one_of),
            HashScope::Written => is_one_of(&WRITTEN_FIELDS),
        }
    }

    /// Reads the beginning of a body line, as long as it may be a quoted `From `.
    fn line<'a>(&mut self, mut quotes: u64, mut matched: usize, bytes: &'a [u8]) -> &'a [u8] {
        for (at, byte) in bytes.iter().enumerate() {
            if matched == 0 && *byte == b'>' {
                quotes += 1;
            } else if FROM.get(matched) == Some(byte) {
                matched += 1;
                if matched == FROM.len() {
                    self.emit(FROM);
                    self.place = LinePosition::Text;
                    return bytes.get(at + 1..).unwrap_or_default();
                }
            } else {
                self.unquoted(quotes, matched);
                self.place = LinePosition::Text;
                return bytes.get(at..).unwrap_or_default();
            }
        }
        self.place = LinePosition::Line(quotes, matched);
        b""
    }

    /// It was no quote.
    fn unquoted(&mut self, quotes: u64, matched: usize) {
        for _ in 0..quotes {
            self.emit(b">");
        }
        self.emit(FROM.get(..matched).unwrap_or_default());
    }

    /// Reads on to the beginning of a line that may be quoted.
    fn text<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        for end in memchr::memchr_iter(b'\n', bytes) {
            if matches!(bytes.get(end + 1), None | Some(b'>' | b'F')) {
                let (lines, rest) = bytes.split_at_checked(end + 1).unwrap_or((bytes, b""));
                self.emit(lines);
                self.place = LinePosition::Line(0, 0);
                return rest;
            }
        }
        self.emit(bytes);
        self.place = LinePosition::Text;
        b""
    }

    fn emit(&mut self, bytes: &[u8]) {
        let content = bytes.iter().rposition(|b| *b != b'\n').map_or(0, |at| at + 1);
        let (content, ends) = bytes.split_at_checked(content).unwrap_or((bytes, b""));
        if !content.is_empty() {
            const ENDS: [u8; 256] = [b'\n'; 256];
            while self.line_ends > 0 {
                let now = usize::try_from(self.line_ends).unwrap_or(ENDS.len()).min(ENDS.len());
                self.hash.update(ENDS.get(..now).unwrap_or_default());
                self.line_ends -= now as u64;
            }
            self.hash.update(content);
        }
        self.line_ends += ends.len() as u64;
    }
}

impl Write for ContentReader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.read(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
