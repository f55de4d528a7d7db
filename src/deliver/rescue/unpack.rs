//! Takes the message out of a report that carries it, as it was before the guard sent it on. Whatever is damaged comes out as far as it can
//! be read, and it is said that this is not all. Whether it belongs into a mailbox is the caller's.

use std::io::{self, Write};

use crate::deliver::rescue::decode;
use crate::deliver::rescue::decode::Ended;
use crate::message::Message;
use crate::message::address::OwnAddresses;
use crate::report::returned_message;
use crate::report::returned_message::{Coding, Extent, Place};
use crate::sys::message_buffer::Intake;

/// A message that was taken out of a report.
#[derive(Debug)]
pub struct Taken {
    /// The message.
    pub intake: Intake,
    /// Whether that is all of it.
    pub extent: Extent,
}

/// Takes the message at `place` out of `report`, whose content begins at byte `start`, without the marks of the guard.
///
/// # Errors
/// When the report cannot be read, or there is no room for a large message.
pub fn take_out(report: &Intake, start: usize, place: &Place, own: &OwnAddresses) -> io::Result<Taken> {
    let coding = match place.coding {
        Coding::Plain => decode::Coding::Plain,
        Coding::Base64 => decode::Coding::Base64,
        Coding::QuotedPrintable => decode::Coding::QuotedPrintable,
    };
    let mut ended = Ended::WithReport;
    let packed = report.reader(start + place.start);
    let whole = Intake::collect(|to| {
        ended = decode::extract(packed, place.until.as_deref(), coding, to)?;
        Ok(())
    })?;
    let message = Message::new(whole.head());
    let header = message.header();
    let kept = returned_message::without_marks(header, own);
    let begin = whole.head().len() - message.content().len() + header.len();
    let intake = Intake::collect(|to| {
        to.write_all(&kept)?;
        io::copy(&mut whole.reader(begin), to).map(drop)
    })?;
    Ok(Taken {
        intake,
        extent: match (place.extent, ended, &place.until) {
            (Extent::All, Ended::AtDelimiter, _) | (Extent::All, Ended::WithReport, None) => Extent::All,
            (Extent::Cut, _, _) | (Extent::All, Ended::WithReport, Some(_)) => Extent::Cut,
        },
    })
}
