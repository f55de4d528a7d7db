//! Copies a message and changes as little as it must: leaves out header fields, quotes what would separate messages.
//! Memory does not grow with the message, nor time with the way it is cut into lines.

use std::io::{self, Read, Write};

use memchr::{memchr, memmem, memrchr};

/// How much is read and written in one step, and the longest line that is looked at as a whole, in bytes.
pub const STEP_BYTES: usize = 64 << 10;

/// The memory that the first step has, in bytes. It is doubled while a message fills it, so that a small one touches no
/// more than it needs.
const FIRST_STEP_BYTES: usize = 8 << 10;

/// How a line that looks like a separator is told from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineQuoting {
    /// `>` before `From `, `>From `, `>>From ` ...: can be undone.
    Mboxrd,
    /// `>` before `From ` alone, as Postfix and procmail do.
    Mboxo,
    /// None: the message is not put into an mbox.
    None,
    /// Takes one `>` away from `>From `, `>>From ` ...: the message comes out of an mbox.
    Undo,
}

/// Copies `from` to `to`, without the header fields named in `dropped`, in many small pieces: `to` should have a
/// buffer. Gives the last byte that was written. Fails when reading or writing fails; then a part may have been
/// written.
pub fn copy_quoted<R: Read, W: Write>(
    mut from: R,
    to: &mut W,
    dropped: &[&str],
    quoting: LineQuoting,
) -> io::Result<Option<u8>> {
    let mut copier = Copier {
        separator: memmem::Finder::new(b"From "),
        dropped,
        quoting,
        place: CopyPosition::Start,
        in_line: false,
        last: None,
    };
    let mut buffer = vec![0; FIRST_STEP_BYTES];
    let mut filled = 0;
    let mut is_too_small = false;
    loop {
        if is_too_small && buffer.len() < 2 * STEP_BYTES {
            buffer.resize(2 * buffer.len(), 0);
        }
        let end = buffer.len().min(filled + STEP_BYTES);
        let read = match from.read(buffer.get_mut(filled..end).unwrap_or_default()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        filled += read;
        is_too_small = filled == end;
        // Whole lines, unless it is the end or one line is longer than a step.
        let bytes = buffer.get(..filled).unwrap_or_default();
        let ready = match memrchr(b'\n', bytes) {
            _ if read == 0 => filled,
            Some(at) => at + 1,
            None if filled >= STEP_BYTES => filled,
            None => 0,
        };
        copier.lines(bytes.get(..ready).unwrap_or_default(), to)?;
        if read == 0 {
            return Ok(copier.last);
        }
        buffer.copy_within(ready..filled, 0);
        filled -= ready;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CopyPosition {
    /// Before the first line, which says whether there is a header at all.
    Start,
    Header,
    /// In a header field that is left out.
    Dropped,
    Body,
}

struct Copier<'a> {
    /// Made once: it is looked for in each line of the header.
    separator: memmem::Finder<'static>,
    dropped: &'a [&'a str],
    quoting: LineQuoting,
    place: CopyPosition,
    /// The next byte continues a line that was begun before.
    in_line: bool,
    last: Option<u8>,
}

impl Copier<'_> {
    fn lines(&mut self, mut bytes: &[u8], to: &mut impl Write) -> io::Result<()> {
        while self.place != CopyPosition::Body && !bytes.is_empty() {
            let length = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
            let (line, rest) = bytes.split_at(length);
            if !self.in_line {
                self.place = match line {
                    b"\n" | b"\r\n" => CopyPosition::Body,
                    [b' ' | b'\t', ..] => self.place,
                    _ if self.is_dropped(line) => CopyPosition::Dropped,
                    // Text that came without a header; what looks like a field in it is the writer's own words.
                    _ if self.place == CopyPosition::Start && !is_field(line) => CopyPosition::Body,
                    _ => CopyPosition::Header,
                };
            }
            if self.place != CopyPosition::Dropped {
                self.quoted(line, to)?;
            }
            self.in_line = line.last() != Some(&b'\n');
            bytes = rest;
        }
        self.quoted(bytes, to)?;
        if let Some(last) = bytes.last() {
            self.in_line = *last != b'\n';
        }
        Ok(())
    }

    fn is_dropped(&self, line: &[u8]) -> bool {
        memchr(b':', line)
            .and_then(|colon| line.get(..colon))
            .is_some_and(|name| {
                self.dropped
                    .iter()
                    .any(|field| name.trim_ascii_end().eq_ignore_ascii_case(field.as_bytes()))
            })
    }

    /// Copies, and quotes what would separate messages.
    fn quoted(&mut self, bytes: &[u8], to: &mut impl Write) -> io::Result<()> {
        let mut copied = 0;
        if self.quoting != LineQuoting::None {
            for at in self.separator.find_iter(bytes) {
                let before = bytes.get(..at).unwrap_or_default();
                let quotes = before.iter().rev().take_while(|b| **b == b'>').count();
                let start = at - quotes;
                let opens_line = match start {
                    0 => !self.in_line,
                    _ => bytes.get(start - 1) == Some(&b'\n'),
                };
                if !opens_line {
                    continue;
                }
                match self.quoting {
                    LineQuoting::Undo if quotes > 0 => {
                        to.write_all(bytes.get(copied..start).unwrap_or_default())?;
                        copied = start + 1;
                    }
                    LineQuoting::Mboxo if quotes > 0 => {}
                    LineQuoting::None | LineQuoting::Undo => {}
                    LineQuoting::Mboxrd | LineQuoting::Mboxo => {
                        to.write_all(bytes.get(copied..start).unwrap_or_default())?;
                        to.write_all(b">")?;
                        copied = start;
                    }
                }
            }
        }
        to.write_all(bytes.get(copied..).unwrap_or_default())?;
        self.last = bytes.last().copied().or(self.last);
        Ok(())
    }
}

/// Tells a header field from text: a name of printable characters, and a colon (RFC 5322 section 2.2).
fn is_field(line: &[u8]) -> bool {
    memchr(b':', line)
        .and_then(|colon| line.get(..colon))
        .is_some_and(|name| !name.is_empty() && name.trim_ascii_end().iter().all(u8::is_ascii_graphic))
}
