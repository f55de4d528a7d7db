//! The outcome of taking messages out of one mailbox: what was chosen, what was put back, where the archive is. Types
//! without code.

use std::path::PathBuf;
use std::time::Duration;

use crate::archive::publish::PublishedArchive;
use crate::spool::choose::ChosenMessages;
use crate::spool::merge::target::MergeTally;

#[derive(Debug)]
pub struct MoveOutcome {
    pub choice: ChosenMessages,
    /// What of the messages inside the reports was put back, or would be.
    pub back: MergeTally,
    pub end: MoveEnd,
}

#[derive(Debug)]
pub enum MoveEnd {
    Nothing,
    /// The messages would go into an archive in this directory.
    Would(PathBuf),
    Done {
        archive: PublishedArchive,
        /// The mailbox's length now, in bytes.
        stay_bytes: u64,
        /// For how long the mailbox was locked, where nobody could deliver meanwhile.
        held: Option<Duration>,
    },
}

impl MoveOutcome {
    /// Of a mailbox in which nothing was chosen.
    pub fn nothing_chosen(choice: ChosenMessages) -> Self {
        Self {
            choice,
            back: MergeTally::default(),
            end: MoveEnd::Nothing,
        }
    }
}
