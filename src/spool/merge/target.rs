//! Where archived messages are put back, how much may be there, and what became of them, for mboxes and Maildirs.

use std::io;
use std::path::Path;

use serde::Serialize;

use crate::archive::messages::Archived;
use crate::error::Error;
use crate::mailbox::lock::LockPlan;
use crate::spool::context::RunMode;
use crate::spool::merge::known::Sameness;
use crate::sys::deadline::Deadline;

#[derive(Clone, Copy, Debug)]
pub struct MergeTarget<'a> {
    pub path: &'a Path,
    /// How it is locked, and whose it is.
    pub plan: &'a LockPlan,
    pub room: MergeLimits,
    pub sameness: Sameness<'a>,
    pub mode: RunMode,
    pub deadline: &'a Deadline,
}

/// How much may be in a mailbox; none is any number.
#[derive(Clone, Copy, Debug, Default)]
pub struct MergeLimits {
    pub bytes: Option<u64>,
    pub messages: Option<u64>,
    /// What has to stay free on the file system, in bytes.
    pub min_free: Option<u64>,
}

impl MergeLimits {
    pub fn have_room(&self, bytes: u64, messages: u64) -> bool {
        self.bytes.is_none_or(|most| bytes <= most) && self.messages.is_none_or(|most| messages <= most)
    }
}

/// What became of the messages. The keys are a promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MergeTally {
    pub restored: u64,
    #[serde(rename = "bytes")]
    pub restored_bytes: u64,
    pub present: u64,
    pub no_room: u64,
}

pub trait MergeInto {
    /// Puts a message back, unless it is there already or there is no room.
    fn offer(&mut self, archived: &Archived<'_>) -> Result<(), Stop>;

    /// Writes what still waits. Says what was done.
    fn finish(&mut self) -> Result<MergeTally, Stop>;

    fn tally(&self) -> MergeTally;
}

/// Why it does not go on.
#[derive(Debug)]
pub enum Stop {
    Failed(Error),
    /// The archive cannot be read.
    Archive(io::Error),
    /// The mailbox was rewritten: begin again with the first message. What was put back will be found there.
    Again,
}

impl Stop {
    /// What failed at `archive` or behind it; none where it is begun again.
    pub fn into_failure(self, archive: &Path) -> Option<Error> {
        match self {
            Self::Failed(e) => Some(e),
            Self::Archive(e) => Some(Error::io("read", archive, &e)),
            Self::Again => None,
        }
    }
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
