//! Reads stored mail: an mbox message by message, whatever program wrote it. Memory does not grow with the file, and of each
//! message only the beginning is handed out.
//!
//! This is the one place that finds where messages begin; `message/from_line.rs` has the rule. A `Content-Length` is a hint: it
//! counts only where it leads to a separator or to the end. A message that holds a line which may be a separator all the same says so:
//! whoever takes messages out of a mailbox leaves that one where it is.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memmem;

use crate::message::from_line::{
    ABOVE_BYTES, BYTE_ORDER_MARK, Candidate, LINE_BYTES, LOOK_BYTES, LineKind, Series, begins_anywhere, begins_mbox,
    classify_line, without_preamble,
};
use crate::message::line::{line_length, without_line_end};
use crate::sys::message_buffer::MessageBuffer;

/// How much is read in one step, in bytes.
const WINDOW_BYTES: usize = 1 << 20;

/// How much is kept ahead, so that most headers and separator lines lie in the window as a whole.
const AHEAD_BYTES: usize = 64 << 10;

/// What each separator line begins with, and the end of the line above it.
const SEPARATOR: &[u8] = b"\nFrom ";

/// So much of a doubtful line is kept to be shown, in bytes.
const SHOWN_BYTES: usize = 200;

/// Bytes that can be read from any place.
pub trait ReadAt {
    /// How many there are.
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

/// One message of an mbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MboxMessage<'a> {
    /// Where its separator line begins, in bytes.
    pub offset: u64,
    /// Its length up to the next separator line, in bytes.
    pub bytes: u64,
    /// Its beginning, separator line first; all of a small message.
    pub head: &'a [u8],
    /// The first line in it at which another message may begin.
    pub doubt: Option<&'a Doubt>,
}

/// A line at which a message may begin, and does not surely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its beginning.
    pub line: String,
}

/// Walks over the messages of an mbox. Reads each byte once, but for the beginning of a message that a window's end cuts.
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
    series: Series,
    doubt: Option<Doubt>,
    purpose: Purpose,
    cut: bool,
}

/// What the messages are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// For their beginnings, and what is doubtful about them.
    Read,
    /// For their number.
    Count,
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
    pub fn resume(file: &'f F, head_bytes: usize, at: u64) -> io::Result<Self> {
        let series = if at == 0 {
            Series::Mail
        } else {
            let mut line = [0; LINE_BYTES];
            let read = file.read_from(&mut line, 0)?;
            Series::of(line.get(..read).unwrap_or_default())
        };
        Ok(Self {
            file,
            head_bytes: head_bytes.min(WINDOW_BYTES),
            length: file.length()?,
            at,
            window: Vec::new(),
            window_at: at,
            kept: Vec::new(),
            kept_at: None,
            finder: memmem::Finder::new(SEPARATOR),
            series,
            doubt: None,
            purpose: Purpose::Read,
            cut: false,
        })
    }

    /// Tells whether the file is an mbox: it begins with a separator line, or holds no message.
    pub fn is_mbox(&mut self) -> io::Result<bool> {
        self.fill(0, AHEAD_BYTES)?;
        Ok(begins_mbox(self.from(0)))
    }

    /// How far it has come, in bytes.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// How long the file is, in bytes: as long as it was when this began, unless it was cut since.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Tells whether somebody cut the file while it was read.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// The whole file as one message.
    pub fn whole(&mut self) -> io::Result<MboxMessage<'_>> {
        self.at = self.length;
        self.stored(0, self.length)
    }

    /// The next message; none behind the last.
    #[allow(clippy::should_implement_trait, reason = "what it hands out lives in the window")]
    pub fn next(&mut self) -> io::Result<Option<MboxMessage<'_>>> {
        let start = self.at;
        if start >= self.length {
            return Ok(None);
        }
        self.doubt = None;
        self.fill(start, AHEAD_BYTES)?;
        if start == 0 {
            self.skip_preamble()?;
        }
        let start = self.at;
        if start >= self.length {
            return Ok(None);
        }
        let end = self.end_of(start)?;
        // It was cut away under us before any of it was read.
        if end <= start {
            return Ok(None);
        }
        self.at = end;
        self.stored(start, end).map(Some)
    }

    /// Counts the messages that begin here or behind, and reads nothing else of them: what stands here may be the rest of a message.
    /// When it fails, `position` tells how far it came, and a count that is resumed there goes on.
    pub fn count(&mut self, messages: &mut u64) -> io::Result<()> {
        self.purpose = Purpose::Count;
        self.fill(self.at.saturating_sub(ABOVE_BYTES as u64), AHEAD_BYTES)?;
        let mut begins = self.at == 0;
        if begins {
            self.skip_preamble()?;
        }
        begins = begins || self.kind_at(self.at, 0)? == LineKind::Separator;
        while self.at < self.length {
            let start = self.at;
            let end = self.end_of(start);
            if begins && (end.is_ok() || self.at > start) {
                *messages += 1;
            }
            self.at = end?;
            begins = true;
            self.fill(self.at, AHEAD_BYTES)?;
        }
        Ok(())
    }

    /// Where the message ends that begins at `start`, or in which `start` is.
    fn end_of(&mut self, start: u64) -> io::Result<u64> {
        if let Some(end) = self.end_by_length(start)? {
            return Ok(end);
        }
        Ok(self.next_separator(start, self.length)?.unwrap_or(self.length))
    }

    /// Notes what the file holds, and goes to where its first message begins: behind empty lines, which some programs leave there, and a
    /// byte order mark. That mark makes the message doubtful, as other programs would not find it in an archive.
    fn skip_preamble(&mut self) -> io::Result<()> {
        let bytes = self.from(0);
        let rest = without_preamble(bytes);
        let length = (bytes.len() - rest.len()) as u64;
        let doubt = bytes.starts_with(BYTE_ORDER_MARK).then(|| Doubt {
            offset: length,
            line: shown(rest),
        });
        let (series, is_mbox) = (Series::of(rest), begins_mbox(rest));
        self.series = series;
        if is_mbox {
            self.doubt = doubt;
            self.at = length;
            self.fill(length, AHEAD_BYTES)?;
        }
        Ok(())
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
            doubt: self.doubt.as_ref(),
        })
    }

    /// Where `Content-Length` says that the message ends, if a separator or nothing follows there. What looks like a separator on the way
    /// is somebody's text, or the length is wrong: that is a doubt.
    fn end_by_length(&mut self, start: u64) -> io::Result<Option<u64>> {
        let Some((body, length)) = content_length(self.from(start)) else {
            return Ok(None);
        };
        let Some(claimed) = (start + body).checked_add(length).filter(|end| *end <= self.length) else {
            return Ok(None);
        };
        let mut line_ends = [0; 4];
        let read = read_full(self.file, &mut line_ends, claimed)?;
        let line_ends = line_ends.iter().take(read).take_while(|b| matches!(b, b'\r' | b'\n'));
        let end = (claimed + line_ends.count() as u64).min(self.length);
        // The line end behind the text stands for the empty line: not every program that writes a length writes one.
        let follows = end > claimed && self.kind_at(end, end)? == LineKind::Separator;
        if end < self.length && !follows {
            return Ok(None);
        }
        if self.purpose == Purpose::Read
            && let Some(offset) = self.next_separator(start, end)?
            && self.doubt.is_none()
        {
            let mut line = [0; SHOWN_BYTES];
            let read = read_full(self.file, &mut line, offset)?;
            self.doubt = Some(Doubt {
                offset,
                line: shown(line.get(..read).unwrap_or_default()),
            });
        }
        Ok(Some(end))
    }

    /// What the line at `at` is, wherever the window is. Nothing before `start` is looked at.
    fn kind_at(&self, at: u64, start: u64) -> io::Result<LineKind> {
        let from = at.saturating_sub(ABOVE_BYTES as u64).max(start);
        let mut bytes = vec![0; ABOVE_BYTES + LOOK_BYTES];
        let read = read_full(self.file, &mut bytes, from)?;
        let bytes = bytes.get(..read).unwrap_or_default();
        let above_bytes = usize::try_from(at - from).unwrap_or(usize::MAX);
        Ok(match bytes.split_at_checked(above_bytes) {
            Some((above, bytes)) => classify_line(&Candidate {
                above,
                bytes,
                series: self.series,
            }),
            None => LineKind::Text,
        })
    }

    /// Where the next separator line begins behind `start` and before `limit`.
    fn next_separator(&mut self, start: u64, limit: u64) -> io::Result<Option<u64>> {
        // What begins here or before is known.
        let mut from = start;
        loop {
            let limit = limit.min(self.length);
            let at_end = self.window_at + self.window.len() as u64 >= limit;
            let base = from.saturating_sub(ABOVE_BYTES as u64).max(self.window_at);
            let bytes = self.from(base);
            let within = usize::try_from(limit.saturating_sub(base)).unwrap_or(usize::MAX);
            let bytes = bytes.get(..within).unwrap_or(bytes);
            let search = SeparatorSearch {
                finder: &self.finder,
                series: self.series,
                behind: usize::try_from(from - base).unwrap_or(usize::MAX),
                ends: if at_end { InputEnd::Here } else { InputEnd::Later },
            };
            let (next, doubt) = search.run(bytes);
            let length = bytes.len() as u64;
            if let (Some((at, line)), None) = (doubt, &self.doubt) {
                self.doubt = Some(Doubt {
                    offset: base + at as u64,
                    line,
                });
            }
            from = match next {
                Next::At(at) => return Ok(Some(base + at as u64)),
                Next::None if at_end => return Ok(None),
                Next::None => {
                    let next = (base + length).saturating_sub(SEPARATOR.len() as u64).max(from);
                    self.file.data_from(next)?
                }
                Next::Unsure(at) => (base + at as u64).saturating_sub(1).max(from),
            };
            if from >= limit {
                return Ok(None);
            }
            self.move_window(start, from)?;
        }
    }

    /// Moves the window to where the search goes on, and keeps the beginning of the message at `start`.
    fn move_window(&mut self, start: u64, from: u64) -> io::Result<()> {
        let next = from.saturating_sub(ABOVE_BYTES as u64).max(start);
        if self.purpose == Purpose::Count {
            self.at = from;
            return self.refill(next);
        }
        if self.window_at < start {
            // The message begins in the middle of the window: once more from its beginning, and then on.
            return self.refill(start);
        }
        if self.kept_at != Some(start) {
            let head = self.from(start);
            self.kept = head.get(..self.head_bytes).unwrap_or(head).to_vec();
            self.kept_at = Some(start);
        }
        self.refill(next)
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
        let filled = read_full(self.file, &mut self.window, at)?;
        self.window.truncate(filled);
        // Somebody cut it while we read.
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

/// Reads until `buffer` is full, or nothing more is there.
pub(super) fn read_full<F: ReadAt + ?Sized>(file: &F, buffer: &mut [u8], at: u64) -> io::Result<usize> {
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

/// What a search found.
enum Next {
    /// A separator line begins there.
    At(usize),
    /// One may begin there, but the bytes that tell are not all here.
    Unsure(usize),
    None,
}

/// Whether the bytes are all that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputEnd {
    Here,
    Later,
}

/// A search for the next separator line.
struct SeparatorSearch<'a> {
    finder: &'a memmem::Finder<'static>,
    series: Series,
    /// Lines that begin here or before are known.
    behind: usize,
    ends: InputEnd,
}

impl SeparatorSearch<'_> {
    /// Finds the next separator line, and the first doubtful line before it.
    fn run(&self, bytes: &[u8]) -> (Next, Option<(usize, String)>) {
        let mut doubt = None;
        for hit in self.finder.find_iter(bytes) {
            let at = hit + 1;
            if at <= self.behind {
                continue;
            }
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.len() < LOOK_BYTES && self.ends == InputEnd::Later {
                return (Next::Unsure(at), doubt);
            }
            let candidate = Candidate {
                above: bytes.get(at.saturating_sub(ABOVE_BYTES)..at).unwrap_or_default(),
                bytes: rest,
                series: self.series,
            };
            match classify_line(&candidate) {
                LineKind::Separator => return (Next::At(at), doubt),
                LineKind::Doubtful => doubt = doubt.or_else(|| Some((at, shown(rest)))),
                LineKind::Text => {}
            }
        }
        (Next::None, doubt)
    }
}

/// A line as it is shown.
fn shown(bytes: &[u8]) -> String {
    let line = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
    String::from_utf8_lossy(without_line_end(line.get(..line_length(line)).unwrap_or(line))).into_owned()
}

/// Tells whether a message of somebody else begins anywhere in this part of a file, in the middle of a line too: whoever appends behind a
/// torn message begins right behind its last byte.
pub fn has_separator<F: ReadAt + ?Sized>(file: &F, from: u64, to: u64) -> io::Result<bool> {
    const STEP_BYTES: usize = 64 << 10;
    let mut buffer = vec![0; 1 + STEP_BYTES + LOOK_BYTES];
    let mut at = from;
    while at < to {
        // Nothing begins in a hole.
        at = at.max(file.data_from(at)?);
        if at >= to {
            break;
        }
        // The byte before tells whether a line begins.
        let before = at.min(1);
        let read = read_full(file, &mut buffer, at - before)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        let first = usize::try_from(before).unwrap_or_default();
        let last = usize::try_from(to - at + before)
            .unwrap_or(usize::MAX)
            .min(first + STEP_BYTES);
        if memmem::find_iter(bytes, b"From ").any(|hit| (first..last).contains(&hit) && begins_anywhere(bytes, hit)) {
            return Ok(true);
        }
        at += STEP_BYTES as u64;
    }
    Ok(false)
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
mod tests;
