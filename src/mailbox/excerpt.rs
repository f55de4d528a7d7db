//! Takes one message out of an mbox, as it came by mail: its quoting undone, the empty line that ends it left behind. Fails when the
//! mbox became shorter meanwhile.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::mailbox::quoting;
use crate::mailbox::quoting::LineQuoting;
use crate::mailbox::ranges::Ranges;
use crate::sys::message_buffer::MessageBuffer;

/// Takes the message of `bytes` bytes at `offset`, separator line first.
///
/// # Errors
/// When it cannot be read, or there is no room for a large one.
pub fn read_excerpt(file: &File, offset: u64, bytes: u64) -> io::Result<MessageBuffer> {
    let mut end = [0; 2];
    let ended = bytes >= 2 && file.read_exact_at(&mut end, offset + bytes - 2).is_ok() && end == *b"\n\n";
    let mut part = Ranges::new();
    part.push(offset..offset + bytes - u64::from(ended));
    MessageBuffer::collect(|to| quoting::copy_quoted(part.reader(file), to, &[], LineQuoting::Undo).map(drop))
}
