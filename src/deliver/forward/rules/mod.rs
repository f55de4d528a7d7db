//! Which destinations of a user's forwards work: a state that reports, sendmail's answers and time move, and that says for each
//! message whether it may go there. Nothing here reads a clock or a file; whoever calls says what time it is.
//!
//! - `health` counts failures and says when there are too many.
//! - `suspension` is what follows: mail is kept, one message now and then goes out as a probe, and silence ends it.
//! - `arrivals` tells whether anything arrives between failures.
//! - `pending_notices` is who has to be told of that and was not yet.
//! - `destinations` holds all of it for one user, within bounds.
//!
//! A suspension costs little when it is wrong (mail lies in the user's mailbox for some hours, and the user was told), and a dead
//! address costs a report for each message: so it begins early and ends by itself.

pub mod arrivals;
pub mod attribution;
pub mod destinations;
pub mod health;
pub mod kept;
pub mod pending_notices;
pub mod suspension;

pub use destinations::{Destination, Destinations, Pass, Standing};
pub use health::{Failure, Health, Source};
pub use pending_notices::{Event, Notice, To};
pub use suspension::{Fit, Probe, Stage, Suspension, Waits};

use crate::deliver::forward::rules::attribution::Proof;
use crate::moment::DAY;
use crate::moment::Moment;

/// A report that quotes nothing but our mark proves little, and an old one nothing: mailboxes are full of reports that some hand may
/// run through the guard again. In seconds.
const TIMELY: u64 = 2 * DAY;

/// Tells whether a report is about now. One that names a message of ours is told by the memory of recent forwards.
#[must_use]
pub fn is_timely(proof: Proof, dated: Option<&str>, now: Moment) -> bool {
    match proof {
        Proof::MessageId | Proof::Token => true,
        Proof::LoopMark => match dated.and_then(mail_parser::DateTime::parse_rfc822) {
            Some(date) => now.since(Moment::at(date.to_timestamp())) <= TIMELY,
            None => true,
        },
    }
}

/// As much of a text from outside as is kept, in bytes.
const TEXT_BYTES: usize = 300;

/// As much of a Message-ID as is kept, in bytes. Both sides of a comparison are cut.
const ID_BYTES: usize = 120;

/// The beginning of `text`, at most `bytes` long.
fn cut(text: &str, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// A Message-ID as it is kept and compared.
fn id(text: &str) -> String {
    cut(text.trim(), ID_BYTES)
}

#[cfg(test)]
mod tests;
