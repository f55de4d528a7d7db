//! The archives that spools go into and come back from: a tar.gz with one member, or an mbox compressed with gzip or
//! zstd. Other tools read what is written, and what other tools wrote is read. Nothing here knows where they are kept.

pub mod messages;
pub(crate) mod names;
pub(crate) mod parallel_gzip;
pub(crate) mod publish;
pub mod read;
pub(crate) mod retention;
pub(crate) mod rewind;
pub mod tar;
pub mod write;

use std::ffi::OsString;

/// A mailbox in an archive: its name, and what is known about the file it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The file's name, without directories.
    pub name: OsString,
    /// Its length, in bytes.
    pub bytes: u64,
    /// The owner, as a number.
    pub uid: u32,
    /// The group, as a number.
    pub gid: u32,
    /// The owner's name.
    pub user: String,
    /// The group's name.
    pub group: String,
    /// The permission bits.
    pub mode: u32,
    /// When it was changed last, in seconds since 1970.
    pub modified: u64,
}

#[cfg(test)]
mod tests;
