//! spoolguard stands between a mail system and a mailbox. It reads one message and sees what it is. Then it appends it,
//! forwards it in a way that cannot loop, diverts it to the administrator, or leaves it with the mail system.

pub mod archive;
pub mod classify;
pub mod cli;
pub mod command;
pub mod config;
pub mod deliver;
mod doctor;
pub mod error;
pub mod escape;
mod lmtp;
pub mod mailbox;
pub mod maildir;
pub mod message;
pub mod moment;
pub mod output;
pub mod quota;
pub mod report;
pub mod spool;
mod submit;
pub mod sys;
