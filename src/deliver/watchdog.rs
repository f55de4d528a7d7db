//! Ends a delivery with 75 when a call into the system does not return: a home on a file system whose server is away holds the thread that
//! asked, and no signal reaches it. MTAs kill a command that takes longer than they wait, and bounce its message.
//!
//! The end comes from a thread of its own, at any point of the run: what is left is what a killed run leaves, and the next one mends it. A
//! call that the kernel lets nobody leave, as of a disk that stalls, holds the process even so. Without a thread nothing watches.

use spoolguard_watch::end_process_after;

use crate::error::Status;
use crate::sys::deadline::{Deadline, Kind, TOTAL};

/// A run that only waits has ended by then, in seconds.
const AFTER_THE_DEADLINE: u32 = 8;

/// Made beforehand: nothing can be asked for when it is printed.
const LINE: &str = "4.3.0 spoolguard: cannot go on with this run: a file system does not answer\n";

/// Starts the watch over a delivery. The thread stays the user that the process is now.
pub fn watch(deadline: &Deadline) {
    match deadline.kind() {
        Kind::Delivery => end_process_after(TOTAL_SECONDS + AFTER_THE_DEADLINE, LINE, Status::TryAgain.code()),
        Kind::Command => {}
    }
}

#[allow(clippy::cast_possible_truncation, reason = "some minutes")]
const TOTAL_SECONDS: u32 = TOTAL.as_secs() as u32;

#[cfg(test)]
mod tests {
    use super::LINE;
    use crate::error::{Category, Error};

    #[test]
    fn the_line_is_that_of_an_error_of_the_system() {
        let error = Error::new(
            Category::System,
            "go on",
            "with this run",
            "a file system does not answer",
        );
        assert_eq!(error.line(), LINE);
    }
}
