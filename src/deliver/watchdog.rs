//! Ends a delivery with 75 when a call into the system does not return: a home on a file system whose server is away holds the thread that
//! asked, and no signal reaches it. MTAs kill a command that takes longer than they wait, and bounce its message.
//!
//! The end comes from a thread of its own, at any point of the run: what is left is what a killed run leaves, and the next one mends it. A
//! call that the kernel lets nobody leave, as of a disk that stalls, holds the process even so. Without a thread nothing watches.

use std::thread;
use std::time::Duration;

use nix::sys::signal::SigSet;

use crate::error::{Category, Error, Status};
use crate::output;
use crate::sys::deadline::TOTAL;

/// A run that only waits has ended by then.
const AFTER_THE_DEADLINE: Duration = Duration::from_secs(8);

/// It sleeps, prints a line and ends the process.
const STACK_BYTES: usize = 64 << 10;

/// Starts the watch.
pub fn watch() {
    let _ = thread::Builder::new().stack_size(STACK_BYTES).spawn(|| {
        // Signals are for the thread that looks whether there were any.
        let _ = SigSet::all().thread_block();
        thread::sleep(TOTAL + AFTER_THE_DEADLINE);
        end();
    });
}

#[allow(clippy::exit, reason = "main cannot return while it hangs in a call")]
fn end() {
    let cause = "a file system does not answer";
    output::print_stderr(&Error::new(Category::System, "go on", "with this run", cause).line());
    std::process::exit(i32::from(Status::TryAgain.code()));
}
