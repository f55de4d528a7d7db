//! Takes messages out of a mailbox in place: same file, and every byte that stays is one that was there.
//!
//! What stays behind the first message that goes is written to a journal, with what came meanwhile. Then the mailbox is cut off at that
//! message, and the journal's content appended, as a delivery appends. So at each moment the mailbox holds whole messages and at
//! most one part of a message at its end, whoever reads it and whatever ends us; what is not in it is in the journal. Whoever locks
//! the mailbox next, a delivery too, finishes what was begun (`recover`).
//!
//! Which messages go, and that they are safe elsewhere first, is the caller's.

pub mod apply;
pub mod imap;
pub mod journal;
pub mod look;
pub mod ranges;
pub mod record;
pub mod recover;
