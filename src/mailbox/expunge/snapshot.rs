//! Takes a snapshot of a mailbox under its lock, and tells afterwards whether the same bytes still stand there.
//!
//! The same change time proves it, since nobody can set that back (inode(7)). Another change time may come from
//! deliveries, which only append, or from a mail client that rewrote the mailbox. Then the bytes are compared: all of
//! them, or, where that would keep deliveries waiting, all that are moved and the beginnings of thousands of messages:
//! whatever a client removes or rewrites in another length moves those.

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::error::{Category, Error};
use crate::mailbox::OpenMailbox;
use crate::mailbox::limited_file::{data_from, refuse_holes};
use crate::mailbox::ranges::Ranges;
use crate::sys::deadline::ReadLimit;
use crate::sys::dirs::open_unread;
use crate::sys::file_stamp::{FileStamp, is_still};
use crate::sys::read_at::ReadAt;

/// A change within the same tick of the file system's clock leaves the change time as it is. Some count whole seconds.
const TICK_NANOSECONDS: i128 = 2_000_000_000;

/// Of how many messages the beginning is remembered: reading them again takes some milliseconds.
const MOST_SAMPLES: usize = 8192;

/// How much of each, in bytes.
const SAMPLE_BYTES: usize = 256;

/// How much before the end is remembered, in bytes.
const END_BYTES: usize = 64 << 10;

/// Less than this is cut off in a moment, wherever it is, in bytes; and so much a part has to have, to be worth a call.
const LET_GO_BYTES: u64 = 32 << 20;
const LET_GO_PART_BYTES: u64 = 1 << 20;

/// Tells whether a change right after would show.
fn is_settled(seen: FileStamp) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX);
    now.saturating_sub(seen.changed) > TICK_NANOSECONDS
}

/// What stood at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PlaceSample {
    at: u64,
    bytes: usize,
    hash: u64,
}

impl PlaceSample {
    /// Of what was read at `at`.
    fn of(at: u64, bytes: &[u8]) -> Self {
        let bytes = bytes.get(..SAMPLE_BYTES).unwrap_or(bytes);
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        Self {
            at,
            bytes: bytes.len(),
            hash: hasher.finish(),
        }
    }

    /// Tells whether it still stands there.
    fn stands(&self, file: &File) -> io::Result<bool> {
        let mut bytes = [0; SAMPLE_BYTES];
        let bytes = bytes.get_mut(..self.bytes).unwrap_or_default();
        file.read_exact_at(bytes, self.at)?;
        Ok(Self::of(self.at, bytes) == *self)
    }
}

/// How every message begins, or every second one, or every fourth ...: as whoever chose among them has read it, so that
/// what was rewritten while they were read shows, too.
#[derive(Debug, Default)]
pub struct MessageStarts {
    step: u64,
    seen: u64,
    samples: Vec<PlaceSample>,
}

impl MessageStarts {
    /// Remembers that a message begins at `at`, and with `head`.
    pub fn push(&mut self, at: u64, head: &[u8]) {
        if self.seen.is_multiple_of(self.step.max(1)) {
            self.samples.push(PlaceSample::of(at, head));
        }
        self.seen += 1;
        if self.samples.len() >= MOST_SAMPLES {
            self.step = self.step.max(1) * 2;
            let mut number = 0_u64;
            self.samples.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }
}

#[derive(Debug)]
pub struct Snapshot {
    path: PathBuf,
    file: File,
    bytes: u64,
    stamp: FileStamp,
    settled: bool,
    limit: ReadLimit,
    samples: Vec<PlaceSample>,
}

/// As far as it was looked at.
impl ReadAt for Snapshot {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        self.limit.check()?;
        self.file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), at)
    }

    fn data_from(&self, at: u64) -> io::Result<u64> {
        data_from(&self.file, at)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Changes {
    Nothing,
    /// It was written to; whether only behind what was seen is not known.
    Written,
    /// It is another file, became shorter, or other bytes stand there.
    Changed,
}

impl Snapshot {
    /// Looks at a locked mailbox. What is read later goes through a descriptor of its own, on which no lock hangs.
    /// Fails when it cannot be opened again or examined, or is mostly holes.
    pub fn take(locked: &OpenMailbox, limit: ReadLimit) -> Result<Self, Error> {
        let path = locked.path();
        let file = open_unread(OpenOptions::new().read(true), path)
            .map_err(|e| Error::io("open", path, &e).class(Category::Mailbox))?;
        if !is_still(locked.file(), path)? {
            return Err(Error::new(Category::Mailbox, "read", path.display(), "it was replaced"));
        }
        let odd = |e: io::Error| Error::io("take messages out of", path, &e).class(Category::Mailbox);
        refuse_holes(&file).map_err(|e| odd(e).needs_mending())?;
        let stamp = FileStamp::of_file(&file).map_err(|e| Error::io("examine", path, &e))?;
        let samples = sample_end(&file, stamp.bytes).map_err(|e| Error::io("read", path, &e))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes: stamp.bytes,
            stamp,
            settled: is_settled(stamp),
            limit,
            samples,
        })
    }

    /// The mailbox, to be read without a lock.
    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Remembers how its messages begin.
    pub fn remember(&mut self, starts: &MessageStarts) {
        self.samples.extend_from_slice(&starts.samples);
    }

    /// Lets the kernel forget what goes, before the mailbox is locked: to cut off what is in memory takes a tenth of a
    /// second for each GiB, and what is not, nothing. What `since` will read is fetched again where it is likely to
    /// ask. Advice, no more: nothing depends on it.
    pub fn let_go(&self, parts: &Ranges) {
        let advise = |advice, part: &Range<u64>| {
            let offset = i64::try_from(part.start).unwrap_or_default();
            let length = i64::try_from(part.end - part.start).unwrap_or_default();
            let _ = posix_fadvise(&self.file, offset, length, advice);
        };
        if parts.bytes() < LET_GO_BYTES {
            return;
        }
        // What is not on the disk yet stays in memory.
        let _ = self.file.sync_data();
        for part in parts.iter().filter(|part| part.end - part.start >= LET_GO_PART_BYTES) {
            advise(PosixFadviseAdvice::POSIX_FADV_DONTNEED, part);
        }
        if self.settled && FileStamp::of_file(&self.file).is_ok_and(|now| now == self.stamp) {
            return;
        }
        // Those places and nothing around them.
        let all = 0..self.bytes;
        advise(PosixFadviseAdvice::POSIX_FADV_RANDOM, &all);
        for sample in &self.samples {
            let _ = sample.stands(&self.file);
        }
        advise(PosixFadviseAdvice::POSIX_FADV_NORMAL, &all);
    }

    /// Looks again, before everything is read once more: what happens from here on is asked for next time.
    pub fn look_again(&mut self, locked: &OpenMailbox) -> Result<(), Error> {
        let now = FileStamp::of_file(locked.file()).map_err(|e| Error::io("examine", &self.path, &e))?;
        (self.stamp, self.settled) = (now, is_settled(now));
        Ok(())
    }

    /// What happened to the mailbox since the last look, as far as it can be told in milliseconds.
    pub fn changes_since(&self, locked: &OpenMailbox) -> Result<Changes, Error> {
        let fail = |e: io::Error| Error::io("read", &self.path, &e);
        let now = FileStamp::of_file(locked.file()).map_err(fail)?;
        if (now.device, now.inode) != (self.stamp.device, self.stamp.inode) {
            return Ok(Changes::Changed);
        }
        if now == self.stamp && self.settled {
            return Ok(Changes::Nothing);
        }
        Ok(match self.is_unmoved(locked.file())? {
            true => Changes::Written,
            false => Changes::Changed,
        })
    }

    /// Tells whether the messages still begin in `file` where they did, as far as that is remembered.
    pub fn is_unmoved(&self, file: &File) -> Result<bool, Error> {
        let fail = |e: io::Error| Error::io("read", &self.path, &e);
        if file.metadata().map_err(fail)?.len() < self.bytes {
            return Ok(false);
        }
        for sample in &self.samples {
            if !sample.stands(file).map_err(fail)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// How a mailbox of this length ends.
fn sample_end(file: &File, length: u64) -> io::Result<Vec<PlaceSample>> {
    let start = length.saturating_sub(END_BYTES as u64);
    let mut bytes = vec![0; usize::try_from(length - start).unwrap_or(END_BYTES)];
    file.read_exact_at(&mut bytes, start)?;
    let parts = bytes.chunks(SAMPLE_BYTES).enumerate();
    Ok(parts
        .map(|(number, part)| PlaceSample::of(start + (number * SAMPLE_BYTES) as u64, part))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{FileStamp, MOST_SAMPLES, MessageStarts, TICK_NANOSECONDS, is_settled};

    #[test]
    fn of_many_messages_some_are_remembered_evenly() {
        let mut starts = MessageStarts::default();
        assert!(starts.is_empty());
        (0..100_000).for_each(|at| starts.push(at * 10, b"From "));
        let places: Vec<u64> = starts.samples.iter().map(|sample| sample.at).collect();
        assert!(places.len() > MOST_SAMPLES / 2 && places.len() < MOST_SAMPLES);
        assert_eq!(places.first(), Some(&0));
        let gap = places.get(1).copied().unwrap_or_default();
        assert!(places.windows(2).all(|pair| matches!(pair, [a, b] if b - a == gap)));
    }

    #[test]
    fn a_change_of_a_moment_ago_may_hide_another_one() {
        let file = tempfile::tempfile().unwrap_or_else(|e| unreachable!("{e}"));
        let now = FileStamp::of_file(&file).unwrap_or_else(|e| unreachable!("{e}"));
        assert!(!is_settled(now));
        let long_ago = now.changed - 2 * TICK_NANOSECONDS;
        assert!(is_settled(FileStamp {
            changed: long_ago,
            ..now
        }));
    }
}
