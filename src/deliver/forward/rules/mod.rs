//! Which destinations of a user's forwards work: a state that reports, sendmail's answers and time move, and that says
//! for each message whether it may go there. Nothing here reads a clock or a file; whoever calls says what time it is.
//!
//! - `health` counts failures and says when there are too many.
//! - `suspension` is what follows: mail is kept, one message now and then goes out as a probe, and silence ends it.
//! - `arrivals` tells whether anything arrives between failures.
//! - `pending_notices` is who has to be told of that and was not yet.
//! - `destinations` holds all of it for one user, within bounds.
//!
//! A suspension costs little when it is wrong (mail lies in the user's mailbox for some hours, and the user was told),
//! and a dead address costs a report for each message: so it begins early and ends by itself.

mod arrivals;
pub(crate) mod attribution;
pub(crate) mod brake;
pub(crate) mod came_from;
mod counted_failures;
pub mod destinations;
mod health;
pub mod kept;
pub(crate) mod kept_name;
mod kept_text;
mod pace;
pub(crate) mod past;
mod pending_notices;
pub mod sketch;
pub(crate) mod surge;
pub mod suspension;
pub(crate) mod suspension_reason;
mod text_hash;
pub(crate) mod token_test;

pub use destinations::{Destination, DestinationState, Destinations, Pass};
pub use health::{Failure, FailureSource};
pub use pending_notices::{DestinationEvent, HeldBackKind, PendingNotice, To};
pub use suspension::{Fit, ProbeStage, Suspension, Waits};

#[cfg(test)]
mod tests;
