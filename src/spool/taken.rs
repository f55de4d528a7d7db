//! What becomes of the messages that a command takes out of one mailbox: data alone.

use std::path::PathBuf;
use std::time::Duration;

use crate::archive::publish::PublishedArchive;
use crate::spool::choose::ChosenMessages;
use crate::spool::merge::target::MergeTally;

#[derive(Debug)]
pub enum MoveOutcome {
    Nothing(ChosenMessages),
    /// These would be taken, and of what their reports carry so much put back.
    Would {
        choice: ChosenMessages,
        /// The directory of archives.
        dir: PathBuf,
        /// What of the messages inside the reports would be put back.
        back: MergeTally,
    },
    Done {
        choice: ChosenMessages,
        archive: PublishedArchive,
        /// The mailbox's length now, in bytes.
        stay_bytes: u64,
        /// For how long the mailbox was locked, where nobody could deliver meanwhile.
        held: Option<Duration>,
        back: MergeTally,
    },
}
