//! Reads stored mail: an mbox message by message, whatever program wrote it. Memory does not grow with the file, and of
//! each message only the beginning is handed out.
//!
//! This is the one place that finds where messages begin; `message/from_line.rs` has the rule. A `Content-Length` is a
//! hint: it counts only where it leads to a separator or to the end. A message that holds a line which may be a
//! separator all the same says so: whoever takes messages out of a mailbox leaves that one where it is.

use std::io;

use memchr::memmem;

use crate::mailbox::separator_search::{Next, SEPARATOR, SHOWN_BYTES, SeparatorSearch, content_length, shown_line};
use crate::message::from_line::{
    ABOVE_BYTES, BYTE_ORDER_MARK, Candidate, LINE_BYTES, LOOK_BYTES, LineKind, Series, begins_mbox, classify_line,
    without_preamble,
};
use crate::sys::message_buffer::MessageBuffer;
use crate::sys::read_at::{ReadAt, read_full};

/// How much is read in one step, in bytes: it stays in the caches of the processor, and the program small.
const STEP_BYTES: usize = 256 << 10;

/// How much is held of a large message, in bytes.
const WINDOW_BYTES: usize = 1 << 20;

/// How much is kept ahead, so that most headers and separator lines lie in the window as a whole.
const AHEAD_BYTES: usize = 64 << 10;

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

impl<'a> MboxMessage<'a> {
    /// One that lies in a buffer by itself.
    pub fn of_buffer(buffer: &'a MessageBuffer) -> Self {
        Self {
            offset: 0,
            bytes: buffer.bytes(),
            head: buffer.head(),
            doubt: None,
        }
    }
}

/// A line at which a message may begin, and does not surely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its beginning.
    pub line: String,
}

/// Walks over the messages of an mbox. Reads each byte once, but for the beginning of a message that a window's end
/// cuts.
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
    /// Whether only the number of messages is wanted, and nothing that is doubtful about them.
    counts_only: bool,
    cut: bool,
}

impl<'f, F: ReadAt> MboxReader<'f, F> {
    /// Begins at the start of `file`; of each message up to `head_bytes` are handed out.
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
            counts_only: false,
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
    pub fn read_whole(&mut self) -> io::Result<MboxMessage<'_>> {
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

    /// Counts the messages that begin here or behind, and reads nothing else of them: what stands here may be the rest
    /// of a message. When it fails, `position` tells how far it came, and a count that is resumed there goes on.
    pub fn count(&mut self, messages: &mut u64) -> io::Result<()> {
        self.counts_only = true;
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

    /// Notes what the file holds, and goes to where its first message begins: behind empty lines, which some programs
    /// leave there, and a byte order mark. That mark makes the message doubtful, as other programs would not find it in
    /// an archive.
    fn skip_preamble(&mut self) -> io::Result<()> {
        let bytes = self.from(0);
        let rest = without_preamble(bytes);
        let length = (bytes.len() - rest.len()) as u64;
        let doubt = bytes.starts_with(BYTE_ORDER_MARK).then(|| Doubt {
            offset: length,
            line: shown_line(rest),
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

    /// Where `Content-Length` says that the message ends, if a separator or nothing follows there. What looks like a
    /// separator on the way is somebody's text, or the length is wrong: that is a doubt.
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
        if !self.counts_only
            && let Some(offset) = self.next_separator(start, end)?
            && self.doubt.is_none()
        {
            let mut line = [0; SHOWN_BYTES];
            let read = read_full(self.file, &mut line, offset)?;
            self.doubt = Some(Doubt {
                offset,
                line: shown_line(line.get(..read).unwrap_or_default()),
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
                goes_on: !at_end,
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
        if self.counts_only {
            self.at = from;
            return self.refill(next, STEP_BYTES);
        }
        if self.window_at < start {
            // The message begins in the middle of the window: once more from its beginning, and then on.
            return self.refill(start, STEP_BYTES);
        }
        if self.kept_at != Some(start) && self.window.len() < self.head_bytes {
            return self.refill(start, WINDOW_BYTES);
        }
        if self.kept_at != Some(start) {
            let head = self.from(start);
            self.kept = head.get(..self.head_bytes).unwrap_or(head).to_vec();
            self.kept_at = Some(start);
        }
        self.refill(next, STEP_BYTES)
    }

    /// Makes the window hold `wanted` bytes from `at` on, if there are as many.
    fn fill(&mut self, at: u64, wanted: usize) -> io::Result<()> {
        let end = (at + wanted as u64).min(self.length);
        if at >= self.window_at && end <= self.window_at + self.window.len() as u64 {
            return Ok(());
        }
        self.refill(at, wanted.max(STEP_BYTES))
    }

    /// Makes the window begin at `at`, and hold so many bytes.
    fn refill(&mut self, at: u64, bytes: usize) -> io::Result<()> {
        let room = usize::try_from(self.length.saturating_sub(at))
            .unwrap_or(usize::MAX)
            .min(bytes);
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

#[cfg(test)]
mod tests;
