//! Ends a delivery with 75 when a call into the system does not return: on a file system whose server is away, or on a
//! disk that stalls. Some such calls nobody can leave, not even by a death; a run that hangs there would stay, its MTA
//! would wait for it, and bounce the message.
//!
//! So the run steps aside at its start, and delivers in a child that shares all that it has (`spoolguard_watch`).
//! Whatever the child touches then, the MTA has its answer in time. What is left is what a killed run leaves, and the
//! next one mends it. Where no child can be had, the run goes on by itself, and nothing watches.

use spoolguard_watch::Watch;

use crate::error::Status;
use crate::sys::deadline::TOTAL;

/// A run that only waits has ended by then, in seconds.
const AFTER_THE_DEADLINE: u64 = 6;

/// How long a run that was told to stop may take back what it did, on a slow disk too, in seconds.
const STOP_SECONDS: u32 = 60;

/// Made beforehand: nothing can be asked for when it is printed.
const LATE: &str = "4.3.0 spoolguard: cannot go on with this run: a file system does not answer\n";

/// The same for a run that was killed, while its MTA waits.
const KILLED: &str = "4.3.0 spoolguard: cannot go on with this run: it was ended by a signal\n";

/// Starts the watch over a delivery, of which everything from here on happens in the child. The first call counts.
pub fn start_watchdog() {
    let seconds = TOTAL.as_secs().saturating_add(AFTER_THE_DEADLINE);
    spoolguard_watch::go_on_in_child(Watch {
        seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
        stop_seconds: STOP_SECONDS,
        late: LATE,
        killed: KILLED,
        status: Status::TryAgain.code(),
    });
}

/// Lets a run that has become the user end with the process that its MTA ends: a message must not be delivered behind
/// its back.
pub fn go_on_as_user() {
    spoolguard_watch::end_with_parent_again();
}

/// Lets the program that takes this run over have all the time it wants.
pub fn let_go() {
    spoolguard_watch::take_all_the_time();
}

#[cfg(test)]
mod tests {
    use super::{KILLED, LATE};
    use crate::error::{Category, Error};

    #[test]
    fn the_lines_are_those_of_errors_of_the_system() {
        for (cause, line) in [
            ("a file system does not answer", LATE),
            ("it was ended by a signal", KILLED),
        ] {
            let error = Error::new(Category::System, "go on", "with this run", cause);
            assert_eq!(error.line(), line);
        }
    }
}
