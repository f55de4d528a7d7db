//! Takes messages out of a mailbox in place: same file, and every byte that stays is one that was there.
//!
//! What stays behind the first message that goes is written to a journal, with what came meanwhile. Then the mailbox is
//! cut off at that message, and the journal's content appended, as a delivery appends. At each moment the mailbox holds
//! whole messages, and at most one part of a message at its end, whatever ends us; what is not in it is in the journal.
//! Whoever locks the mailbox next, a delivery too, finishes what was begun (`recover`).
//!
//! Why what stays is moved in one go, under one lock: other programs read the mailbox whenever they get the lock. Were
//! it let go between two steps, they would find a mailbox that is half done. Where the rest slides down in place, bytes
//! of one message lie over those of another. Where it goes through the journal piece by piece, mail has vanished that
//! comes back later. Mail clients write down what they see and fetch it anew under other numbers, and new mail would
//! come before old. A new file under the old name would be one step, and is another file: whoever has the old one open
//! appends to that, and loses the mail. So the time is bounded by not beginning (`--lock-at-most`): what it takes is
//! known when the journal is written, which is as much to write. Where nothing stays behind what goes, nothing is
//! moved.
//!
//! Which messages go, and that they are safe elsewhere first, is the caller's.

pub(crate) mod execute;
mod finish;
pub(crate) mod imap_state;
pub mod journal;
pub mod journal_draft;
mod journal_record;
mod journal_units;
mod lacking;
pub mod place;
pub(crate) mod prepare;
pub(crate) mod resume;
pub(crate) mod salvage;
pub(crate) mod set_aside;
pub(crate) mod snapshot;
