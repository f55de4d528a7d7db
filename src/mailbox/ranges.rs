//! Parts of a file: which bytes, and reading them one behind the other. Fails when the file became shorter meanwhile.

use std::io::{self, Read};
use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::sys::read_at::{ReadAt, each_piece};

/// How much is read in one step, in bytes.
pub const STEP_BYTES: usize = 256 << 10;

/// Parts of a file in the order of their places; those that touch are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    parts: Vec<Range<u64>>,
}

impl From<Range<u64>> for Ranges {
    fn from(part: Range<u64>) -> Self {
        let mut ranges = Self::default();
        ranges.push(part);
        ranges
    }
}

impl Ranges {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part that lies behind the others.
    pub fn push(&mut self, part: Range<u64>) {
        if part.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(last) if last.end >= part.start => last.end = last.end.max(part.end),
            _ => self.parts.push(part),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.end - part.start).sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.parts.iter()
    }

    /// Tells whether byte `at` is in one of them.
    pub fn contain(&self, at: u64) -> bool {
        let behind = self.parts.partition_point(|part| part.start <= at);
        behind > 0 && self.parts.get(behind - 1).is_some_and(|part| at < part.end)
    }

    pub fn start(&self) -> Option<u64> {
        self.parts.first().map(|part| part.start)
    }

    pub fn end(&self) -> Option<u64> {
        self.parts.last().map(|part| part.end)
    }

    /// What lies between them and behind them, up to `end`; nothing of what lies before the first.
    pub fn gaps(&self, end: u64) -> Self {
        let mut gaps = Self::new();
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            let next = parts.peek().map_or(end, |next| next.start);
            gaps.push(part.end..next);
        }
        gaps
    }

    pub fn reader<'a, F: ReadAt + ?Sized>(&'a self, file: &'a F) -> Parts<'a, F> {
        Parts {
            file,
            parts: &self.parts,
            at: 0,
        }
    }

    pub fn hash<F: ReadAt + ?Sized>(&self, file: &F, mut step: impl FnMut(u64) -> io::Result<()>) -> io::Result<Hash> {
        let mut hashing = Hashing::new(self.reader(file));
        each_piece(&mut hashing, STEP_BYTES, |piece| step(piece.len() as u64))?;
        Ok(hashing.finish().0)
    }
}

/// The parts of a file, read one behind the other.
#[derive(Debug)]
pub struct Parts<'a, F: ?Sized> {
    file: &'a F,
    parts: &'a [Range<u64>],
    /// How much of the first was read.
    at: u64,
}

impl<F: ReadAt + ?Sized> Read for Parts<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((part, more)) = self.parts.split_first() else {
            return Ok(0);
        };
        let left = part.end - part.start - self.at;
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self
            .file
            .read_from(buffer.get_mut(..wanted).unwrap_or_default(), part.start + self.at)?;
        if read == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter"));
        }
        self.at += read as u64;
        if self.at == part.end - part.start {
            (self.parts, self.at) = (more, 0);
        }
        Ok(read)
    }
}

pub type Hash = [u8; 32];

/// Hashes what is read through it.
pub struct Hashing<R> {
    inner: R,
    sha: Sha256,
    bytes: u64,
}

impl<R> Hashing<R> {
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            sha: Sha256::new(),
            bytes: 0,
        }
    }

    /// The hash of what was read, and how many bytes that were.
    pub fn finish(self) -> (Hash, u64) {
        (self.sha.finalize().into(), self.bytes)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sha.update(buffer.get(..read).unwrap_or_default());
        self.bytes += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::{Hashing, Ranges};
    use std::io::{Read, Write};

    fn ranges(parts: &[(u64, u64)]) -> Ranges {
        let mut ranges = Ranges::new();
        parts.iter().for_each(|(start, end)| ranges.push(*start..*end));
        ranges
    }

    #[test]
    fn parts_that_touch_are_one_and_gaps_are_the_rest() {
        for (parts, joined, end, gaps) in [
            (&[][..], &[][..], 9, &[][..]),
            (&[(0, 3), (3, 5)], &[(0, 5)], 9, &[(5, 9)]),
            (&[(0, 9)], &[(0, 9)], 9, &[]),
            (&[(2, 3), (4, 4), (5, 9)], &[(2, 3), (5, 9)], 9, &[(3, 5)]),
            (&[(2, 3), (5, 6)], &[(2, 3), (5, 6)], 9, &[(3, 5), (6, 9)]),
        ] {
            assert_eq!(ranges(parts), ranges(joined));
            assert_eq!(ranges(parts).parts.len(), joined.len());
            assert_eq!(ranges(parts).gaps(end), ranges(gaps), "{parts:?}");
            for at in 0..end + 1 {
                let is_in = parts.iter().any(|(start, end)| (*start..*end).contains(&at));
                assert_eq!(ranges(parts).contain(at), is_in, "{at} of {parts:?}");
            }
        }
    }

    #[test]
    fn parts_are_read_in_order_and_a_missing_byte_is_an_error() {
        let mut file = tempfile::tempfile().unwrap_or_else(|e| unreachable!("{e}"));
        file.write_all(b"0123456789").unwrap_or_else(|e| unreachable!("{e}"));
        let parts = ranges(&[(1, 3), (5, 6), (9, 10)]);
        let mut text = String::new();
        let mut hashing = Hashing::new(parts.reader(&file));
        assert_eq!(hashing.read_to_string(&mut text).ok(), Some(4));
        assert_eq!((text.as_str(), parts.bytes()), ("1259", 4));
        assert_eq!(Some(hashing.finish().0), parts.hash(&file, |_| Ok(())).ok());
        assert!(ranges(&[(8, 12)]).reader(&file).read_to_end(&mut Vec::new()).is_err());
    }
}
