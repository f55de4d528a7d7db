//! Finds the messages of a journal that a mailbox lacks. They are compared by content, since after a mail client has
//! rewritten the mailbox, no place in it is certain. What mail clients note in messages does not count
//! (`mailbox/content_hash.rs`). A message of which only a part is there is lacking.

use std::io;

use crate::mailbox::content_hash::{ContentHash, HashScope, of_stored};
use crate::mailbox::expunge::journal::Journal;
use crate::mailbox::hash_set::Hashes;
use crate::mailbox::limited_file::LimitedFile;
use crate::mailbox::lock::Locked;
use crate::mailbox::ranges::Ranges;
use crate::mailbox::reader::MboxReader;
use crate::sys::deadline::ReadLimit;
use crate::sys::message_buffer::HEAD_BYTES;
use crate::sys::read_at::ReadAt;

/// The parts of the journal's content that the mailbox lacks from byte `at` on, where a message begins.
pub(super) fn find_lacking(locked: &Locked, journal: &Journal, at: u64) -> io::Result<Ranges> {
    let mut there = Hashes::default();
    let file = LimitedFile::new(locked.file(), ReadLimit::until_stopped());
    each(locked, &file, at, |hash, _, _| {
        there.insert(hash.bytes());
    })?;
    let mut lacking = Ranges::new();
    each(locked, journal, 0, |hash, start, end| {
        // One without content is equal to any other.
        if hash.is_without_content() || !there.remove(hash.bytes()) {
            lacking.push(start..end);
        }
    })?;
    Ok(lacking)
}

/// Goes through the messages of an mbox from byte `at` on: what each is, where it begins and where it ends.
fn each<F: ReadAt>(locked: &Locked, mbox: &F, at: u64, mut step: impl FnMut(ContentHash, u64, u64)) -> io::Result<()> {
    let mut messages = MboxReader::resume(mbox, HEAD_BYTES, at)?;
    while let Some(stored) = messages.next()? {
        let hash = of_stored(mbox, &stored, HashScope::All)?;
        step(hash, stored.offset, stored.offset + stored.bytes);
        locked.refresh();
    }
    Ok(())
}
