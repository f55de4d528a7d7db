//! Pure rules of what goes to the administrator: how often, and what equals what.

pub mod similar;
pub mod storm;
