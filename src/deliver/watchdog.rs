//! Ends a delivery with 75 when a call into the system does not return: a home on a file system whose server is away holds the thread that
//! asked, and no signal reaches it. MTAs kill a command that takes longer than they wait, and bounce its message.
//!
//! The end comes from a thread of its own, at any point of the run: what is left is what a killed run leaves, and the next one mends it. A
//! call that the kernel lets nobody leave holds the process even so: where a process serves the home, `supervisor` waits outside; a disk
//! that stalls is nobody's to leave. Without a thread nothing watches.

use spoolguard_watch::end_process_after;

use crate::error::Status;
use crate::sys::deadline::{Deadline, Kind, TOTAL};

/// A run that only waits has ended by then, in seconds.
const AFTER_THE_DEADLINE: u64 = 8;

/// Made beforehand: nothing can be asked for when it is printed.
pub const LINE: &str = "4.3.0 spoolguard: cannot go on with this run: a file system does not answer\n";

/// Starts the watch over a delivery; what its message took to arrive is part of the time. The first call counts. The thread stays the user
/// that the process is now, so root calls it when it has become the user.
pub fn watch(deadline: &Deadline) {
    let seconds = deadline.remaining().as_secs().saturating_add(AFTER_THE_DEADLINE);
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    match deadline.kind() {
        Kind::Delivery => end_process_after(seconds, LINE, Status::TryAgain.code()),
        Kind::Command => {}
    }
}

/// Starts the watch over a run that only waits for its child. The child ends before, if it can; where it cannot, it goes no further whenever
/// its call returns.
pub fn watch_child() {
    const MORE: u64 = AFTER_THE_DEADLINE + 1;
    let seconds = u32::try_from(TOTAL.as_secs().saturating_add(MORE)).unwrap_or(u32::MAX);
    end_process_after(seconds, LINE, Status::TryAgain.code());
}

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
