//! Pure rules of what goes to the administrator: how often, and which messages count as equal.

pub mod similar;
pub mod storm;
pub(crate) mod tally;
