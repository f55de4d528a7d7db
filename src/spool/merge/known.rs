//! What a mailbox holds, message by message, kept up to date while mail comes in. When something else happens to the
//! mailbox than that it grows, all that was known is void, and it says so.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::mailbox::content_hash::{ContentHash, HashScope, of_stored};
use crate::mailbox::hash_set::Hashes;
use crate::mailbox::limited_file::{LimitedFile, refuse_holes};
use crate::mailbox::ranges::Ranges;
use crate::mailbox::reader::{MboxMessage, MboxReader};
use crate::sys::deadline::ReadLimit;
use crate::sys::file_stamp::FileStamp;
use crate::sys::message_buffer::HEAD_BYTES;
use crate::sys::read_at::ReadAt;

/// How much of the mailbox's end is remembered, to know it again.
const END_BYTES: u64 = 4096;

/// The longest separator line, of which a killed program may have written a part, in bytes.
const LINE_BYTES: u64 = 1024;

/// Which messages are the same, and how many of them the mailbox is to hold.
#[derive(Clone, Copy, Debug)]
pub enum Sameness<'a> {
    /// Byte for byte, and as many as are offered.
    Each,
    /// What their writer wrote is the same, and the mailbox holds it once, however often it is offered. What lies in
    /// these parts of the mailbox is about to go, and counts for nothing.
    Once(&'a Ranges),
}

/// Knows the messages of a mailbox by what they are.
#[derive(Debug)]
pub struct Known<'a> {
    sameness: Sameness<'a>,
    /// What is there to be found: where as many are wanted as are offered, what was not found yet. What was put back
    /// for an offer was found by it, and is not even added.
    mail: Hashes,
    messages: u64,
    stamp: Option<FileStamp>,
    last: Option<MailboxTail>,
    end: Vec<u8>,
}

/// What lies at the mailbox's end. It may be the beginning of a message that a killed program did not write to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxTail {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its length, in bytes.
    pub bytes: u64,
    /// What it counts as; a piece that is not even a whole separator line counts as nothing.
    hash: Option<ContentHash>,
}

/// What happened since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Since {
    /// Nothing, or mail came in, which is known now.
    Grown,
    /// So much mail came in that reading it takes long.
    GrownMuch,
    /// It was rewritten: what was known is void.
    Changed,
    /// Not all that came in was read before it was over: what was known is void.
    Unread,
}

impl<'a> Known<'a> {
    pub fn new(sameness: Sameness<'a>) -> Self {
        Self {
            sameness,
            mail: Hashes::default(),
            messages: 0,
            stamp: None,
            last: None,
            end: Vec::new(),
        }
    }

    /// What a message that is offered counts as.
    pub fn content_hash<F: ReadAt + ?Sized>(&self, file: &F, stored: &MboxMessage<'_>) -> io::Result<ContentHash> {
        let scope = match self.sameness {
            Sameness::Each => HashScope::All,
            Sameness::Once(_) => HashScope::Written,
        };
        of_stored(file, stored, scope)
    }

    pub fn count_messages(&self) -> u64 {
        self.messages
    }

    pub fn last_tail(&self) -> Option<MailboxTail> {
        self.last
    }

    /// Finds such a message in the mailbox; where as many are wanted as are offered, each only once.
    pub fn find_once(&mut self, hash: ContentHash) -> bool {
        match self.sameness {
            Sameness::Once(_) => self.mail.contain(hash.bytes()),
            Sameness::Each => self.mail.remove(hash.bytes()),
        }
    }

    /// Learns what came since the last look, or at the first one all there is, if that is no more than `most_bytes`.
    /// Stops when `is_over` says so.
    pub fn catch_up(&mut self, file: &File, most_bytes: u64, is_over: impl Fn() -> bool) -> io::Result<Since> {
        if self.stamp.is_none() {
            refuse_holes(file)?;
        }
        let now = FileStamp::of_file(file)?;
        let (before, from) = match self.stamp {
            Some(then) if then == now => return Ok(Since::Grown),
            Some(then) => {
                if (then.device, then.inode) != (now.device, now.inode)
                    || now.bytes < then.bytes
                    || self.end != end(file, then.bytes)?
                {
                    return Ok(Since::Changed);
                }
                // The last message of then may have grown too: it is read again.
                (then.bytes, self.last.map_or(0, |last| last.offset))
            }
            None => (0, 0),
        };
        if now.bytes - before > most_bytes {
            return Ok(Since::GrownMuch);
        }
        let found = self.forget_last();
        self.read_from(file, from, now, found, is_over)
    }

    /// Notes that these messages were appended, the last of them at `offset`, and that they were found.
    pub fn add(&mut self, file: &File, added: impl Iterator<Item = ContentHash>, offset: u64) -> io::Result<()> {
        let stamp = FileStamp::of_file(file)?;
        for hash in added {
            if let Sameness::Once(_) = self.sameness {
                self.mail.insert(hash.bytes());
            }
            self.messages += 1;
            self.last = Some(MailboxTail {
                offset,
                bytes: stamp.bytes.saturating_sub(offset),
                hash: Some(hash),
            });
        }
        self.end = end(file, stamp.bytes)?;
        self.stamp = Some(stamp);
        Ok(())
    }

    pub fn cut_off_last(&mut self, file: &File) -> io::Result<()> {
        self.forget_last();
        let stamp = FileStamp::of_file(file)?;
        self.end = end(file, stamp.bytes)?;
        self.stamp = Some(stamp);
        Ok(())
    }

    /// Says what it was, if it was found before.
    fn forget_last(&mut self) -> Option<ContentHash> {
        let hash = self.last.take()?.hash?;
        self.messages -= 1;
        (!self.mail.remove(hash.bytes())).then_some(hash)
    }

    /// `found` is what the first message was when it was read before, if it is not to be found again.
    fn read_from(
        &mut self,
        file: &File,
        from: u64,
        now: FileStamp,
        mut found: Option<ContentHash>,
        is_over: impl Fn() -> bool,
    ) -> io::Result<Since> {
        let end_now = end(file, now.bytes)?;
        let piece = piece_of_separator(file, now.bytes)?;
        let limited = LimitedFile::new(file, ReadLimit::until_stopped());
        let mut mbox = MboxReader::resume(&limited, HEAD_BYTES, from)?;
        self.last = None;
        while let Some(stored) = mbox.next()? {
            if is_over() {
                return Ok(Since::Unread);
            }
            // Mail that came while this was read is for the next look.
            if stored.offset >= now.bytes {
                break;
            }
            let until = piece.unwrap_or(now.bytes);
            if stored.offset >= until {
                break;
            }
            let stored = shorter(stored, until);
            let hash = match self.sameness {
                Sameness::Once(going) if going.contain(stored.offset) => ContentHash::NONE,
                Sameness::Once(_) | Sameness::Each => self.content_hash(&limited, &stored)?,
            };
            if found.take() != Some(hash) && hash != ContentHash::NONE {
                self.mail.insert(hash.bytes());
            }
            self.messages += 1;
            self.last = Some(MailboxTail {
                offset: stored.offset,
                bytes: stored.bytes,
                hash: Some(hash),
            });
        }
        if let Some(offset) = piece {
            self.last = Some(MailboxTail {
                offset,
                bytes: now.bytes - offset,
                hash: None,
            });
        }
        if mbox.was_cut() || end(file, now.bytes)? != end_now {
            return Ok(Since::Changed);
        }
        self.stamp = Some(now);
        self.end = end_now;
        Ok(Since::Grown)
    }
}

fn shorter(stored: MboxMessage<'_>, end: u64) -> MboxMessage<'_> {
    let bytes = stored.bytes.min(end - stored.offset);
    let head = usize::try_from(bytes).ok().and_then(|bytes| stored.head.get(..bytes));
    MboxMessage {
        bytes,
        head: head.unwrap_or(stored.head),
        ..stored
    }
}

/// The last bytes before `at`.
fn end(file: &File, at: u64) -> io::Result<Vec<u8>> {
    let start = at.saturating_sub(END_BYTES);
    let mut bytes = vec![0; usize::try_from(at - start).unwrap_or_default()];
    match file.read_exact_at(&mut bytes, start) {
        // Somebody cut it: what it ends in now is nothing that was known.
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(vec![0; 2 * END_BYTES as usize]),
        result => result.map(|()| bytes),
    }
}

/// Where a part of a separator line begins, if the file ends in one. It would pass for text of the message before.
fn piece_of_separator(file: &File, length: u64) -> io::Result<Option<u64>> {
    let start = length.saturating_sub(LINE_BYTES);
    let mut bytes = vec![0; usize::try_from(length - start).unwrap_or_default()];
    if file.read_exact_at(&mut bytes, start).is_err() {
        return Ok(None);
    }
    let Some(at) = memchr::memmem::rfind(&bytes, b"\n\n").map(|at| at + 2) else {
        return Ok(None);
    };
    let piece = bytes.get(at..).unwrap_or_default();
    let is_one =
        !piece.is_empty() && !piece.contains(&b'\n') && (b"From ".starts_with(piece) || piece.starts_with(b"From "));
    Ok(is_one.then_some(start + at as u64))
}

#[cfg(test)]
mod tests {
    use super::{Known, Sameness, Since};
    use crate::mailbox::content_hash::ContentHash;
    use crate::mailbox::ranges::Ranges;
    use crate::mailbox::reader::MboxMessage;
    use crate::sys::message_buffer::MessageBuffer;
    use std::fs::File;
    use std::io::Write;

    fn message(number: u32) -> String {
        format!("From s@s.test Mon Nov  2 10:00:00 2026\nMessage-ID: <{number}@s.test>\n\nb\n\n")
    }

    fn content_hash(known: &Known<'_>, number: u32) -> ContentHash {
        let letter = MessageBuffer::from_bytes(message(number).into_bytes());
        let stored = MboxMessage {
            offset: 0,
            bytes: letter.bytes(),
            head: letter.head(),
            doubt: None,
        };
        known
            .content_hash(&letter, &stored)
            .unwrap_or_else(|e| unreachable!("{e}"))
    }

    /// What is found of messages 0, 1 and 2 in a mailbox of 0 and 1, when both were found before and 2 then came in.
    fn found(sameness: Sameness<'_>) -> [bool; 3] {
        let mut file = tempfile::tempfile().unwrap_or_else(|e| unreachable!("{e}"));
        let mut known = Known::new(sameness);
        let come = |known: &mut Known<'_>, file: &mut File, numbers: &[u32]| {
            for number in numbers {
                assert!(file.write_all(message(*number).as_bytes()).is_ok());
            }
            assert_eq!(known.catch_up(file, u64::MAX, || false).ok(), Some(Since::Grown));
        };
        come(&mut known, &mut file, &[0, 1]);
        for number in [0, 1] {
            let hash = content_hash(&known, number);
            assert!(known.find_once(hash));
        }
        // The last message is read again, for it may have grown.
        come(&mut known, &mut file, &[2]);
        assert_eq!(known.count_messages(), 3);
        [0, 1, 2].map(|number| {
            let hash = content_hash(&known, number);
            known.find_once(hash)
        })
    }

    #[test]
    fn what_was_found_is_not_found_again_where_each_counts() {
        assert_eq!(found(Sameness::Each), [false, false, true]);
        assert_eq!(found(Sameness::Once(&Ranges::new())), [true, true, true]);
    }
}
