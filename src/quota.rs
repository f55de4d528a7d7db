//! Does a message fit into a mailbox? How full mailboxes may be, and what a full one means for what comes in.

use crate::classify::verdict::{Judgement, Verdict};
use crate::config::Over;
use crate::config::value::Limit;
use crate::message::envelope::Sender;

/// How full a mailbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In bytes.
    pub bytes: u64,
    /// In messages; zero where nothing limits them.
    pub messages: u64,
}

/// Whether a message may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// There is room.
    Fits,
    /// There is none, and this is to be done.
    Full(Over),
}

/// Decides whether a message of `incoming_bytes` fits into a mailbox. A message that fills it exactly fits.
///
/// A report, or what has been here before, finds a place in any case. Refused, or left to wait for hours, it makes the
/// mail system report that to whoever passed it on. A plain forward there passes on the report as well, which finds the
/// same full mailbox.
pub fn admit(
    usage: Usage,
    incoming_bytes: u64,
    limit: Limit,
    over: Over,
    sender: &Sender,
    judgement: &Judgement,
) -> Admission {
    // Archiving takes its time, and cannot always be done.
    let times = if over == Over::Archive { 2 } else { 1 };
    let too_big = limit
        .bytes
        .is_some_and(|bytes| usage.bytes.saturating_add(incoming_bytes) > bytes.saturating_mul(times));
    let too_many = limit
        .messages
        .is_some_and(|messages| usage.messages >= messages.saturating_mul(times));
    if !too_big && !too_many {
        return Admission::Fits;
    }
    Admission::Full(when_full(over, sender, judgement))
}

/// What is to be done with a message for which there is no room, where the configuration says `over`.
pub fn when_full(over: Over, sender: &Sender, judgement: &Judgement) -> Over {
    let comes_round = match judgement.verdict {
        Verdict::Loop(_) | Verdict::Bounce(_) | Verdict::Notice(_) => true,
        Verdict::Complaint(_) | Verdict::Receipt(_) | Verdict::AutoReply(_) | Verdict::Ordinary => {
            judgement.diverted_before.is_some()
        }
    };
    match over {
        Over::Defer | Over::Refuse | Over::Archive if comes_round => Over::Overflow,
        Over::Divert if judgement.diverted_before.is_some() => Over::Overflow,
        // Nobody would learn that it was refused: mail systems drop what they cannot return.
        Over::Refuse if *sender == Sender::Null => Over::Defer,
        Over::Archive => Over::Defer,
        Over::Defer | Over::Refuse | Over::Divert | Over::Overflow => over,
    }
}

/// To what length a mailbox that is beyond a limit has to shrink, so that it is within its soft limits again; none
/// while it is within its limits. `soft` gives the soft limit to a hard one. Messages are taken to be of the same
/// length, for want of anything better.
pub fn needed_relief(usage: Usage, limit: Limit, soft: impl Fn(u64) -> u64) -> Option<u64> {
    let by_bytes = limit.bytes.filter(|bytes| usage.bytes > *bytes).map(&soft);
    let by_messages = limit
        .messages
        .filter(|messages| usage.messages > *messages)
        .map(|messages| {
            let share = u128::from(usage.bytes) * u128::from(soft(messages)) / u128::from(usage.messages.max(1));
            u64::try_from(share).unwrap_or(u64::MAX)
        });
    match (by_bytes, by_messages) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}
