//! Sending on: history, suspension, VERP, and what a bounce brings back.

pub mod alias;
pub mod failure_class;
pub mod kept;
pub mod kept_moves;
pub mod loops;
pub mod repeats;
pub mod rescue;
pub mod send_on;
pub mod sieve;
pub mod srs;
pub mod suspension;
pub mod verp;
