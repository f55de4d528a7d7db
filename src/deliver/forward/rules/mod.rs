//! Which destinations of a user's forwards work: a state that reports, sendmail's answers and time move, and that says for each
//! message whether it may go there. Nothing here reads a clock or a file; whoever calls says what time it is.
//!
//! - `health` counts failures and says when there are too many.
//! - `suspension` is what follows: mail is kept, one message now and then goes out as a probe, and silence ends it.
//! - `owed` is who has to be told of that and was not yet.
//! - `roll` holds all of it for one user, within bounds.
//!
//! A suspension costs little when it is wrong (mail lies in the user's mailbox for some hours, and the user was told), and a dead
//! address costs a report for each message: so it begins early and ends by itself.

pub mod attribution;
pub mod destinations;
pub mod health;
pub mod pending_notices;
pub mod suspension;

pub use destinations::{Destination, Destinations, Pass, Standing};
pub use health::{Failure, Health, Source};
pub use pending_notices::{Event, Notice, To};
pub use suspension::{Fit, Probe, Stage, Suspension, Waits};

use crate::deliver::forward::rules::attribution::Proof;
use crate::moment::DAY;
use crate::moment::HOUR;
use crate::moment::Moment;

/// When a destination is suspended, and for how long. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many points are too many.
    pub threshold: u32,
    /// Points count no more when nothing failed for so long.
    pub stale: u64,
    /// How many hard failures about different messages within an hour are too many at once.
    pub storm: u32,
    /// How long after the suspension the first probe goes out.
    pub probe: u64,
    /// Each further probe waits twice as long as the one before, and never longer than this.
    pub probe_max: u64,
    /// How long after a probe silence is good news.
    pub trial: u64,
    /// The same where the failures were such as mail systems report only when they give up.
    pub trial_slow: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threshold: 5,
            stale: 7 * DAY,
            storm: 3,
            probe: HOUR,
            probe_max: DAY,
            // A hard failure comes within minutes, unless a host on the way puts the message off first (greylisting). Postfix
            // then tries again after 4000 s at the latest (postconf(5), maximal_backoff_time).
            trial: 2 * HOUR,
            // Mail systems try for up to five days before they report that a host does not answer (RFC 5321 section 4.5.4.1), and
            // Postfix sends no report of a delay unless it is told to.
            trial_slow: 6 * DAY,
        }
    }
}

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
