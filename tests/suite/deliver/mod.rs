//! Delivering one message, and the commands that look at one: deliver, filter, inspect, policy, status.

pub mod auto_archive;
pub mod config;
pub mod exit_status;
pub mod filter;
pub mod inspect;
pub mod into_mailbox;
pub mod log;
pub mod maildir;
pub mod odd_maildirs;
pub mod overflow;
pub mod owner;
pub mod policy;
pub mod quota;
pub mod replay;
pub mod status;
pub mod trace;
