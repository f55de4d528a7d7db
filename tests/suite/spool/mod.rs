//! Mailbox maintenance: list, archive, sweep, restore.

pub mod archive;
mod consent;
pub mod disk_full;
pub mod huge_mailboxes;
pub mod interrupted_repair;
pub mod list;
mod maildir;
mod maildir_faults;
pub mod odd_mailboxes;
pub mod restore;
pub mod retention;
pub mod returned;
pub mod sweep;
