//! Copies one message out of an mbox, as it came by mail: without its quoting and the empty line that ends it. Fails
//! when the mbox became shorter meanwhile.

use std::io::{self, Read};

use crate::mailbox::format::STATE_FIELDS;
use crate::mailbox::quoting::{self, LineQuoting};
use crate::mailbox::ranges::Ranges;
use crate::mailbox::reader::MboxMessage;
use crate::message::Message;
use crate::sys::message_buffer::MessageBuffer;
use crate::sys::read_at::ReadAt;

/// Takes a message as it came by mail: also without its separator line and the fields that a mailbox gives it.
pub fn read_delivered<F: ReadAt + ?Sized>(file: &F, stored: &MboxMessage<'_>) -> io::Result<MessageBuffer> {
    let line = stored.head.len() - Message::new(stored.head).content().len();
    let begin = stored.offset + line as u64;
    let end = stored.offset + stored.bytes;
    let content = content_range(file, begin, end);
    MessageBuffer::collect(|to| {
        quoting::copy_quoted(content.reader(file), to, &STATE_FIELDS, LineQuoting::Undo).map(drop)
    })
}

/// A part of an mbox without the empty line that ends a message.
fn content_range<F: ReadAt + ?Sized>(file: &F, begin: u64, end: u64) -> Ranges {
    let tail = Ranges::from(end.saturating_sub(2).max(begin)..end);
    let mut last = Vec::new();
    let is_ended = tail.reader(file).read_to_end(&mut last).is_ok() && last == b"\n\n";
    Ranges::from(begin..end - u64::from(is_ended))
}

/// Takes the message of `bytes` bytes at `offset`, separator line first.
pub fn read_excerpt<F: ReadAt + ?Sized>(file: &F, offset: u64, bytes: u64) -> io::Result<MessageBuffer> {
    let part = content_range(file, offset, offset + bytes);
    MessageBuffer::collect(|to| quoting::copy_quoted(part.reader(file), to, &[], LineQuoting::Undo).map(drop))
}
