//! Puts a mailbox in order after a run that was killed, and finds the message that it brought: what `act/unfinished.rs` notes, made
//! use of under the lock.
//!
//! When it fails the message is deferred, since nobody knows then whether it is there. What is cut off was never acknowledged.

use std::io::{self, Read};

use crate::act::lock::Locked;
use crate::act::mbox::{self, Appended, Letter};
use crate::act::unfinished::{self, Compare, Extent, Separator};
use crate::exit::Error;

/// What became of earlier, unfinished tries.
#[derive(Debug)]
#[must_use]
pub struct Recovered {
    /// How much of a torn message was cut off, in bytes.
    pub cut_bytes: u64,
    /// Where an earlier try put the message that came now.
    pub appended: Option<Appended>,
}

/// Cuts off what a killed run left half written, and finds `letter` where such a run left it whole; that is synced then.
///
/// # Errors
/// When the mailbox cannot be read or synced.
pub fn recover<R: Read + Clone>(locked: &mut Locked, letter: &Letter<'_, R>) -> Result<Recovered, Error> {
    let file = locked.file();
    let fail = |e: io::Error| Error::io("look for an earlier try in", locked.path(), &e);
    let found = unfinished::look(
        file,
        locked.path(),
        letter.date,
        |before, after| mbox::cut_back(file, before, after),
        |extent, separator| is_same(locked, letter, extent, separator),
    )
    .map_err(fail)?;
    let appended = match found.same {
        None => None,
        Some((extent, note)) => {
            // The kill may have come before the sync.
            let synced = file
                .sync_data()
                .and_then(|()| mbox::sync_name(locked, extent.before_bytes));
            if let Err(e) = synced {
                note.leave();
                return Err(fail(e));
            }
            Some(Appended::found(locked, extent, note))
        }
    };
    Ok(Recovered {
        cut_bytes: found.cut_bytes,
        appended,
    })
}

/// Compares all but the date of delivery.
fn is_same<R: Read + Clone>(locked: &Locked, letter: &Letter<'_, R>, extent: &Extent, separator: &Separator) -> bool {
    let mut compare = Compare::new(locked.file(), separator.end_bytes, extent.after_bytes);
    separator
        .line
        .starts_with(mbox::separator_start(letter.sender).as_bytes())
        && mbox::write_rest(&mut compare, letter.clone()).is_ok()
        && compare.is_at_end()
}
