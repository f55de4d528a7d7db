//! What is this message, and what shall be done with it? Pure: everything comes in as an argument.

pub mod address;
pub mod envelope;
pub mod message;
pub mod policy;
pub mod verdict;
