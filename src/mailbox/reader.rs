//! Reads stored mail: an mbox message by message, whatever program wrote it. Memory does not grow with the file, and of each
//! message only the beginning is handed out.
//!
//! One mbox may hold messages of all kinds. A `Content-Length` is believed only where it leads to a separator or to the end;
//! else a message ends before the next separator line that follows an empty line.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memmem;

use crate::message::from_line::is_separator;
use crate::sys::message_buffer::Intake;

/// How much is read in one step, in bytes.
const WINDOW_BYTES: usize = 1 << 20;

/// How much is kept ahead, so that most headers and separator lines lie in the window as a whole.
const AHEAD_BYTES: usize = 64 << 10;

/// The longest separator line that is recognised, in bytes.
const LINE_BYTES: usize = 1024;

/// Bytes that can be read from any place.
pub trait ReadAt {
    /// How many there are.
    ///
    /// # Errors
    /// When that cannot be asked.
    fn length(&self) -> io::Result<u64>;

    /// Reads from byte `at` on; 0 is the end.
    ///
    /// # Errors
    /// When reading fails.
    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buffer, at)
    }
}

impl ReadAt for Intake {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes())
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buffer, at)
    }
}

/// One message of an mbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MboxMessage<'a> {
    /// Where its separator line begins, in bytes.
    pub offset: u64,
    /// Its length up to the next separator line, in bytes.
    pub bytes: u64,
    /// Its beginning, separator line first; all of a small message.
    pub head: &'a [u8],
}

/// Walks over the messages of an mbox. Reads each byte once, but for the beginning of a message that a window's end cuts.
#[derive(Debug)]
pub struct MboxReader<'f, F> {
    file: &'f F,
    head_bytes: usize,
    length: u64,
    at: u64,
    window: Vec<u8>,
    window_at: u64,
    /// The beginning of the message that is looked at, once the window has moved on.
    kept: Vec<u8>,
    kept_at: Option<u64>,
    finder: memmem::Finder<'static>,
    cut: bool,
}

impl<'f, F: ReadAt> MboxReader<'f, F> {
    /// Begins at the start of `file`; of each message up to `head_bytes` are handed out.
    ///
    /// # Errors
    /// When its length cannot be asked.
    pub fn new(file: &'f F, head_bytes: usize) -> io::Result<Self> {
        Self::resume(file, head_bytes, 0)
    }

    /// Begins at byte `at`, where a message begins.
    ///
    /// # Errors
    /// When the length cannot be asked.
    pub fn resume(file: &'f F, head_bytes: usize, at: u64) -> io::Result<Self> {
        Ok(Self {
            file,
            head_bytes: head_bytes.min(WINDOW_BYTES),
            length: file.length()?,
            at,
            window: Vec::new(),
            window_at: at,
            kept: Vec::new(),
            kept_at: None,
            finder: memmem::Finder::new(b"\nFrom "),
            cut: false,
        })
    }

    /// Tells whether the file is an mbox: it begins with a separator line.
    ///
    /// # Errors
    /// When reading fails.
    pub fn is_mbox(&mut self) -> io::Result<bool> {
        self.fill(0, LINE_BYTES)?;
        Ok(first_line(self.from(0)).is_some_and(is_separator))
    }

    /// How far it has come, in bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.at
    }

    /// How long the file is, in bytes: as long as it was when this began, unless it was cut since.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Tells whether somebody cut the file while it was read.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// The whole file as one message.
    ///
    /// # Errors
    /// When reading fails.
    pub fn whole(&mut self) -> io::Result<MboxMessage<'_>> {
        self.at = self.length;
        self.stored(0, self.length)
    }

    /// The next message; none behind the last.
    ///
    /// # Errors
    /// When reading fails.
    #[allow(clippy::should_implement_trait, reason = "what it hands out lives in the window")]
    pub fn next(&mut self) -> io::Result<Option<MboxMessage<'_>>> {
        let start = self.at;
        if start >= self.length {
            return Ok(None);
        }
        let end = match self.end_by_length(start)? {
            Some(end) => end,
            None => self.end_by_separator(start)?,
        };
        // It was cut away under us before any of it was read.
        if end <= start {
            return Ok(None);
        }
        self.at = end;
        self.stored(start, end).map(Some)
    }

    fn stored(&mut self, start: u64, end: u64) -> io::Result<MboxMessage<'_>> {
        let bytes = end - start;
        let wanted = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.head_bytes);
        let kept = self.kept_at.take() == Some(start);
        let rest = if kept {
            &self.kept
        } else {
            self.fill(start, wanted)?;
            self.from(start)
        };
        Ok(MboxMessage {
            offset: start,
            bytes,
            head: rest.get(..wanted).unwrap_or(rest),
        })
    }

    /// Where `Content-Length` says that the message ends, if a separator or nothing follows there.
    fn end_by_length(&mut self, start: u64) -> io::Result<Option<u64>> {
        self.fill(start, AHEAD_BYTES)?;
        let Some((body, length)) = content_length(self.from(start)) else {
            return Ok(None);
        };
        let Some(claimed) = (start + body).checked_add(length).filter(|end| *end <= self.length) else {
            return Ok(None);
        };
        if claimed == self.length {
            return Ok(Some(claimed));
        }
        let mut line = vec![0; LINE_BYTES];
        let read = self.file.read_from(&mut line, claimed)?;
        let mut rest = line.get(..read).unwrap_or_default();
        let mut end = claimed;
        while let [b'\r' | b'\n', more @ ..] = rest {
            rest = more;
            end += 1;
        }
        let follows = rest.is_empty() || (end > claimed && first_line(rest).is_some_and(is_separator));
        Ok((follows && end - claimed <= 4).then_some(end))
    }

    /// Where the next separator line begins that follows an empty line, or the end.
    fn end_by_separator(&mut self, start: u64) -> io::Result<u64> {
        let mut from = start;
        loop {
            let window_end = self.window_at + self.window.len() as u64;
            let at_end = window_end >= self.length;
            let step = match separator(&self.finder, self.from(from), at_end) {
                Next::At(at) => return Ok(from + at as u64),
                Next::None if at_end => return Ok(self.length),
                // Other offsets of the last bytes, in which a separator may begin, are looked at again.
                Next::None => self.from(from).len().saturating_sub(LINE_BYTES),
                Next::Unsure(at) => at,
            };
            from += step as u64;
            if self.window_at < start {
                // The message begins in the middle of the window: once more from its beginning, and then on.
                self.refill(start)?;
                continue;
            }
            if self.kept_at != Some(start) {
                let head = self.from(start);
                let head = head.get(..self.head_bytes).unwrap_or(head).to_vec();
                self.kept = head;
                self.kept_at = Some(start);
            }
            self.refill(from)?;
        }
    }

    /// Makes the window hold `wanted` bytes from `at` on, if there are as many.
    fn fill(&mut self, at: u64, wanted: usize) -> io::Result<()> {
        let end = (at + wanted as u64).min(self.length);
        if at >= self.window_at && end <= self.window_at + self.window.len() as u64 {
            return Ok(());
        }
        self.refill(at)
    }

    /// Makes the window begin at `at`.
    fn refill(&mut self, at: u64) -> io::Result<()> {
        let room = usize::try_from(self.length.saturating_sub(at))
            .unwrap_or(usize::MAX)
            .min(WINDOW_BYTES);
        self.window.resize(room, 0);
        self.window_at = at;
        let mut filled = 0;
        while filled < room {
            match self
                .file
                .read_from(self.window.get_mut(filled..).unwrap_or_default(), at + filled as u64)
            {
                // Somebody cut it while we read.
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.window.truncate(filled);
        if filled < room {
            self.length = at + filled as u64;
            self.cut = true;
        }
        Ok(())
    }

    /// What the window holds from `at` on.
    fn from(&self, at: u64) -> &[u8] {
        let skip = usize::try_from(at.saturating_sub(self.window_at)).unwrap_or(usize::MAX);
        self.window.get(skip..).unwrap_or_default()
    }
}

/// What a search for the next separator line found.
enum Next {
    /// It begins there.
    At(usize),
    /// One may begin behind there, but its line goes on where the bytes end.
    Unsure(usize),
    None,
}

/// Looks for a separator line that follows an empty line.
fn separator(finder: &memmem::Finder<'_>, bytes: &[u8], at_end: bool) -> Next {
    for hit in finder.find_iter(bytes) {
        let before = bytes.get(..hit).unwrap_or_default();
        if !(before.ends_with(b"\n") || before.ends_with(b"\n\r")) {
            continue;
        }
        let line = bytes.get(hit + 1..).unwrap_or_default();
        if line.len() < LINE_BYTES && !at_end {
            return Next::Unsure(hit.saturating_sub(2));
        }
        if first_line(line).is_some_and(is_separator) {
            return Next::At(hit + 1);
        }
    }
    Next::None
}

fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let line = bytes.get(..bytes.len().min(LINE_BYTES))?;
    line.get(..memchr::memchr(b'\n', line).unwrap_or(line.len()))
}

/// Where the body begins, and how long it claims to be. Looks at no more than the header: most messages claim nothing.
fn content_length(message: &[u8]) -> Option<(u64, u64)> {
    let mut claim = None;
    let mut at = 0;
    for end in memchr::memchr_iter(b'\n', message) {
        let line = message.get(at..end)?;
        at = end + 1;
        match line {
            [] | [b'\r'] => {
                let length = std::str::from_utf8(claim?).ok()?.parse().ok()?;
                return Some((at as u64, length));
            }
            [b'c' | b'C', ..] if claim.is_none() => {
                let name = line
                    .get(..15)
                    .filter(|name| name.eq_ignore_ascii_case(b"content-length:"));
                claim = name.and_then(|_| line.get(15..)).map(<[u8]>::trim_ascii);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Intake, LINE_BYTES, MboxReader, WINDOW_BYTES};

    const FROM: &str = "From s@s.test Mon Nov  2 10:00:00 2026\n";

    fn split(text: &[u8]) -> Vec<(u64, u64)> {
        let file = Intake::from_bytes(text.to_vec());
        let mut mbox = MboxReader::new(&file, 4096).unwrap_or_else(|e| unreachable!("{e}"));
        let mut found = Vec::new();
        while let Some(stored) = mbox.next().unwrap_or_else(|e| unreachable!("{e}")) {
            let at = usize::try_from(stored.offset).unwrap_or_default();
            assert!(text.get(at..).is_some_and(|rest| rest.starts_with(stored.head)));
            assert_eq!(stored.head.len() as u64, stored.bytes.min(4096));
            found.push((stored.offset, stored.bytes));
        }
        found
    }

    fn bodies(parts: &[&str]) -> (Vec<u8>, Vec<(u64, u64)>) {
        let mut text = Vec::new();
        let mut want = Vec::new();
        for part in parts {
            want.push((text.len() as u64, part.len() as u64));
            text.extend_from_slice(part.as_bytes());
        }
        (text, want)
    }

    #[test]
    fn messages_end_where_the_next_begins() {
        let lengthy = format!("{FROM}Content-Length: 50\nA: 1\n\n");
        let cases: [&[&str]; 8] = [
            &[],
            &[&format!("{FROM}A: 1\n\nb\n\n")],
            &[
                &format!("{FROM}A: 1\n\nb\n\n"),
                &format!("{FROM}A: 1\n\nFrom here\nFrom 10:00\n\n"),
                &format!("{FROM}A: 1\n\n"),
            ],
            // No empty line before, so it is text.
            &[&format!("{FROM}A: 1\n\nb\n{FROM}c\n\n")],
            // A length that leads to a separator holds, whatever the body says ...
            &[&format!("{lengthy}{FROM}\n{:10}\n", ""), &format!("{FROM}A: 1\n\n")],
            // ... one that leads nowhere, or beyond the end, does not.
            &[
                &format!("{FROM}Content-Length: 3\n\nlonger\n\n"),
                &format!("{FROM}A: 1\n\n"),
            ],
            &[
                &format!("{FROM}Content-Length: 18446744073709551615\n\nb\n\n"),
                &format!("{FROM}A: 1\n\n"),
            ],
            &[&format!("{FROM}A: 1\r\n\r\nb\r\n\r\n"), &format!("{FROM}A: 1\r\n\r\n")],
        ];
        for parts in cases {
            let (text, want) = bodies(parts);
            assert_eq!(split(&text), want, "{:?}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn a_separator_is_found_wherever_a_window_ends() {
        for shift in (0..LINE_BYTES + 80).step_by(7) {
            let first = format!(
                "{FROM}A: 1\n\n{}\n\n",
                "x".repeat(WINDOW_BYTES - LINE_BYTES - 40 + shift)
            );
            let second = format!("{FROM}B: 2\n\nb\n\n");
            let (text, want) = bodies(&[&first, &second]);
            assert_eq!(split(&text), want, "shift {shift}");
        }
    }

    #[test]
    fn the_head_of_a_message_longer_than_a_window_is_its_beginning_and_a_walk_may_begin_at_any_message() {
        for before in [1, WINDOW_BYTES / 2, WINDOW_BYTES - 100] {
            let first = format!("{FROM}A: 1\n\n{}\n\n", "x".repeat(before));
            let second = format!("{FROM}B: 2\n\n{}\n\n", "y\n".repeat(WINDOW_BYTES * 3 / 2));
            let third = format!("{FROM}C: 3\n\n{}\n\n", "z".repeat(WINDOW_BYTES));
            let (text, want) = bodies(&[&first, &second, &third]);
            assert_eq!(split(&text), want, "{before} bytes before");
            let file = Intake::from_bytes(text);
            let mut mbox = MboxReader::resume(&file, 100, first.len() as u64).unwrap_or_else(|e| unreachable!("{e}"));
            let second = mbox.next().unwrap_or_else(|e| unreachable!("{e}"));
            assert_eq!(second.map(|stored| (stored.offset, stored.bytes)), want.get(1).copied());
            assert!(!mbox.was_cut());
        }
    }

    #[test]
    fn a_file_that_is_cut_while_it_is_read_ends_where_it_was_cut() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("box");
        let one = format!("{FROM}A: 1\n\n{}\n\n", "x".repeat(1000));
        assert!(std::fs::write(&path, one.repeat(4000)).is_ok());
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap_or_else(|e| unreachable!("{e}"));
        let mut mbox = MboxReader::new(&file, 100).unwrap_or_else(|e| unreachable!("{e}"));
        assert!(mbox.next().is_ok_and(|first| first.is_some()));
        assert!(file.set_len(one.len() as u64 * 2).is_ok());
        let mut end = 0;
        while let Some(stored) = mbox.next().unwrap_or_else(|e| unreachable!("{e}")) {
            end = stored.offset + stored.bytes;
        }
        assert!(mbox.was_cut());
        assert_eq!(end, mbox.length());
    }
}
