//! Finds the lines in a piece of an mbox at which a message begins, or may begin, by the rule of
//! `message/from_line.rs`. Reads how long a message itself claims to be.

use std::io;

use memchr::memmem;

use crate::message::from_line::{ABOVE_BYTES, Candidate, LOOK_BYTES, LineKind, Series, begins_anywhere, classify_line};
use crate::message::line::{line_length, without_line_end};
use crate::sys::read_at::{ReadAt, read_full};

/// What each separator line begins with, and the end of the line above it.
pub(super) const SEPARATOR: &[u8] = b"\nFrom ";

/// So much of a doubtful line is kept to be shown, in bytes.
pub(super) const SHOWN_BYTES: usize = 200;

pub(super) enum Next {
    /// A separator line begins there.
    At(usize),
    /// One may begin there, but the bytes that tell are not all here.
    Unsure(usize),
    None,
}

/// A search for the next separator line.
pub(super) struct SeparatorSearch<'a> {
    pub(super) finder: &'a memmem::Finder<'static>,
    pub(super) series: Series,
    /// Lines that begin here or before are known.
    pub(super) behind: usize,
    /// Whether more bytes follow.
    pub(super) goes_on: bool,
}

impl SeparatorSearch<'_> {
    /// Finds the next separator line, and the first doubtful line before it.
    pub(super) fn run(&self, bytes: &[u8]) -> (Next, Option<(usize, String)>) {
        let mut doubt = None;
        for hit in self.finder.find_iter(bytes) {
            let at = hit + 1;
            if at <= self.behind {
                continue;
            }
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.len() < LOOK_BYTES && self.goes_on {
                return (Next::Unsure(at), doubt);
            }
            let candidate = Candidate {
                above: bytes.get(at.saturating_sub(ABOVE_BYTES)..at).unwrap_or_default(),
                bytes: rest,
                series: self.series,
            };
            match classify_line(&candidate) {
                LineKind::Separator => return (Next::At(at), doubt),
                LineKind::Doubtful => doubt = doubt.or_else(|| Some((at, shown_line(rest)))),
                LineKind::Text => {}
            }
        }
        (Next::None, doubt)
    }
}

/// A line as it is shown.
pub(super) fn shown_line(bytes: &[u8]) -> String {
    let line = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
    String::from_utf8_lossy(without_line_end(line.get(..line_length(line)).unwrap_or(line))).into_owned()
}

/// Tells whether a message of somebody else begins anywhere in this part of a file, in the middle of a line too:
/// whoever appends behind a torn message begins right behind its last byte.
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
pub(super) fn content_length(message: &[u8]) -> Option<(u64, u64)> {
    const NAME: &[u8] = b"content-length:";
    let mut claim = None;
    // Of each line one byte is looked at, unless it may be the field or the end of the header.
    for at in [0]
        .into_iter()
        .chain(memchr::memchr_iter(b'\n', message).map(|end| end + 1))
    {
        let rest = message.get(at..)?;
        match rest {
            [b'\n', ..] | [b'\r', b'\n', ..] => {
                let length = std::str::from_utf8(claim?).ok()?.parse().ok()?;
                let body = at + line_length(rest);
                return Some((body as u64, length));
            }
            [b'c' | b'C', ..] if claim.is_none() => {
                let name = rest.get(..NAME.len()).filter(|name| name.eq_ignore_ascii_case(NAME));
                let line = rest.get(..line_length(rest)).filter(|line| line.ends_with(b"\n"));
                claim = name
                    .and(line)
                    .and_then(|line| line.get(NAME.len()..))
                    .map(<[u8]>::trim_ascii);
            }
            _ => {}
        }
    }
    None
}
