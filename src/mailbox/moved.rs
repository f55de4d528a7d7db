//! Finds a message that no longer stands where it was appended. An expunge, ours or a mail client's, took mail out
//! before it, and a client may have noted its state in it. Its separator line, with sender and second, and its content
//! identify it (`mailbox/content_hash.rs`). Only reads.
//!
//! A mailbox is searched only for a message that a killed run may have left, and that its MTA brings again: seldom.
//! When the time is not enough, the message counts as missing: then it is there twice, which is better than not at all.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::time::Duration;

use memchr::memchr;

use crate::mailbox::content_hash::{ContentHash, ContentReader, HashScope, of_stored};
use crate::mailbox::format::{MboxEntry, write_letter};
use crate::mailbox::limited_file::LimitedFile;
use crate::mailbox::measure::checksum_of;
use crate::mailbox::reader::{MboxMessage, MboxReader};
use crate::sys::deadline::ReadLimit;
use crate::sys::message_buffer::HEAD_BYTES;

/// How long is looked at most. Others wait for the lock meanwhile.
const TIME: Duration = Duration::from_secs(20);

/// Finds `entry`, whose separator line has this checksum. `step` is called with each message that is passed.
pub(super) fn find_moved<R: Read + Clone>(
    mailbox: &File,
    entry: &MboxEntry<'_, R>,
    separator: u32,
    step: impl Fn(),
) -> io::Result<Option<Range<u64>>> {
    let wanted = hash(entry)?;
    let limit = ReadLimit::ending_in(TIME);
    let file = LimitedFile::new(mailbox, limit);
    let is_it = |stored: &MboxMessage<'_>| -> io::Result<bool> {
        let end = memchr(b'\n', stored.head).map_or(stored.head.len(), |at| at + 1);
        let line = stored.head.get(..end).unwrap_or_default();
        Ok(checksum_of(line) == separator && of_stored(&file, stored, HashScope::All)? == wanted)
    };
    let search = || -> io::Result<Option<Range<u64>>> {
        let mut messages = MboxReader::resume(&file, HEAD_BYTES, 0)?;
        while let Some(stored) = messages.next()? {
            if is_it(&stored)? {
                return Ok(Some(stored.offset..stored.offset + stored.bytes));
            }
            step();
        }
        Ok(None)
    };
    match search() {
        Err(e) if e.kind() == io::ErrorKind::TimedOut => Ok(None),
        found => found,
    }
}

fn hash<R: Read + Clone>(entry: &MboxEntry<'_, R>) -> io::Result<ContentHash> {
    let mut reader = ContentReader::new(HashScope::All);
    write_letter(&mut reader, entry.clone())?;
    Ok(reader.finish())
}
