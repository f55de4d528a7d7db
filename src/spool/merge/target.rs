//! Where archived messages are put back, how much may be there, and what became of them: what an mbox and a Maildir have in common.

use std::io;
use std::path::Path;

use crate::archive::messages::Archived;
use crate::error::Error;
use crate::mailbox::lock::LockPlan;
use crate::spool::context::RunMode;
use crate::spool::merge::known::Sameness;
use crate::sys::deadline::Deadline;

/// Where messages are put.
#[derive(Clone, Copy, Debug)]
pub struct MergeTarget<'a> {
    /// The mailbox.
    pub path: &'a Path,
    /// How it is locked, and whose it is.
    pub plan: &'a LockPlan,
    /// How much may be in it.
    pub room: MergeLimits,
    /// Which messages are there already.
    pub sameness: Sameness<'a>,
    /// Whether to do it.
    pub mode: RunMode,
    /// How long to wait.
    pub deadline: &'a Deadline,
}

/// How much may be in a mailbox; none is any number.
#[derive(Clone, Copy, Debug, Default)]
pub struct MergeLimits {
    /// In bytes.
    pub bytes: Option<u64>,
    /// In messages.
    pub messages: Option<u64>,
    /// What has to stay free on the file system, in bytes.
    pub min_free: Option<u64>,
}

/// Whether the user has read a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadState {
    /// A mail client noted so.
    Yes,
    /// Nobody did.
    No,
}

/// What became of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeTally {
    /// Messages that were put back.
    pub restored: u64,
    /// Their length, in bytes.
    pub restored_bytes: u64,
    /// Messages that were there already.
    pub present: u64,
    /// Messages for which there is no room.
    pub no_room: u64,
}

/// A mailbox that messages are put back into.
pub trait MergeInto {
    /// Puts a message back, unless it is there already or there is no room.
    ///
    /// # Errors
    /// When something fails, or the mailbox was rewritten meanwhile.
    fn offer(&mut self, archived: &Archived<'_>, seen: ReadState) -> Result<(), Stop>;

    /// Writes what still waits. Says what was done.
    ///
    /// # Errors
    /// When something fails, or the mailbox was rewritten meanwhile.
    fn finish(&mut self) -> Result<MergeTally, Stop>;

    /// What was done so far.
    fn tally(&self) -> MergeTally;
}

/// Why it does not go on.
#[derive(Debug)]
pub enum Stop {
    /// Something failed.
    Failed(Error),
    /// The archive cannot be read.
    Archive(io::Error),
    /// The mailbox was rewritten: begin again with the first message. What was put back will be found there.
    Again,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Archive(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
