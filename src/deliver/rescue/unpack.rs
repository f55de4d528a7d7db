//! Takes the message out of a report that carries it, as it was before the guard sent it on. A damaged message comes
//! out as far as it can be read, and the caller is told that it is incomplete. Whether it belongs into a mailbox is
//! left to the caller.

use std::io::{self, Write};

use crate::deliver::rescue::decode::{self, DecodeEnd};
use crate::message::Message;
use crate::message::address::OwnAddresses;
use crate::report::returned_message::{self, Completeness, ReturnedPlace};
use crate::sys::message_buffer::MessageBuffer;

#[derive(Debug)]
pub struct UnpackedMessage {
    pub buffer: MessageBuffer,
    pub extent: Completeness,
}

/// Takes the message at `place` out of `report`, whose content begins at byte `start`, without the marks of the guard.
/// Fails when the report cannot be read, or there is no room for a large message.
pub fn take_out(
    report: &MessageBuffer,
    start: usize,
    place: &ReturnedPlace,
    own: &OwnAddresses,
) -> io::Result<UnpackedMessage> {
    let mut ended = DecodeEnd::WithReport;
    let packed = report.reader(start + place.start);
    let whole = MessageBuffer::collect(|to| {
        ended = decode::extract_message(packed, place.until.as_deref(), place.coding, to)?;
        Ok(())
    })?;
    let message = Message::new(whole.head());
    let header = message.header();
    let kept = returned_message::without_marks(header, own);
    let begin = whole.head().len() - message.content().len() + header.len();
    let buffer = MessageBuffer::collect(|to| {
        to.write_all(&kept)?;
        io::copy(&mut whole.reader(begin), to).map(drop)
    })?;
    let lacks_end = ended == DecodeEnd::WithReport && place.until.is_some();
    let extent = if lacks_end { Completeness::Cut } else { place.extent };
    Ok(UnpackedMessage { buffer, extent })
}
