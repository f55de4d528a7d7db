//! What people and programs read: text, JSON lines, sizes, progress, log.

pub(crate) mod colours;
pub(crate) mod columns;
pub(crate) mod json;
pub(crate) mod log;
pub(crate) mod progress;
pub(crate) mod prometheus;
pub mod shell;
pub(crate) mod sizes;
pub(crate) mod wrap;

use crate::error::{Error, Status};
use nix::poll::{PollFd, PollFlags, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// How long a reader of standard error may take for each piece, in milliseconds.
const READER_MILLISECONDS: u16 = 1000;

/// The most that a pipe takes without a wait when poll(2) says that it takes any: `PIPE_BUF` (pipe(7)).
const PIPE_BYTES: usize = 4096;

/// How a command shows what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputForm {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl OutputForm {
    /// Returns the form that is asked for by the flag `--json`.
    pub fn from_flag(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// Prints an error on standard error, as a command that an administrator types does. A failure changes nothing.
pub fn print_error(error: &Error) {
    let _ = writeln!(io::stderr(), "spoolguard: {error}");
}

/// Ends a command that an administrator types: where it failed, says why, and is to be tried again.
pub fn end_command(result: Result<Status, Error>) -> Status {
    result.unwrap_or_else(|e| {
        print_error(&e);
        e.command_status()
    })
}

/// Writes the answer of a command to standard output. Fails when it cannot be written. Whoever stopped reading has seen
/// enough.
pub fn write_answer(answer: &[u8]) -> Result<(), Error> {
    let mut output = io::stdout().lock();
    finish_answer(output.write_all(answer).and_then(|()| output.flush()))
}

/// Ends an answer that was written in pieces. Fails when it could not be written. Whoever stopped reading has seen
/// enough.
pub fn finish_answer(written: io::Result<()>) -> Result<(), Error> {
    match written {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Error::io("write", Path::new("the answer"), &e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints a line on standard output. A failure to print changes nothing: what is done is done.
pub fn print_line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints on standard error. Nobody waits for a reader who does not read: then the rest is left out.
pub fn print_stderr(text: &str) {
    let mut stderr = io::stderr();
    for piece in text.as_bytes().chunks(PIPE_BYTES) {
        let takes_it = || {
            let stderr = io::stderr();
            let mut file = PollFd::new(stderr.as_fd(), PollFlags::POLLOUT);
            poll(std::slice::from_mut(&mut file), READER_MILLISECONDS)
        };
        // A signal interrupts it (signal(7)), once or twice.
        let ready = takes_it().or_else(|_| takes_it()).or_else(|_| takes_it());
        if !matches!(ready, Ok(1..)) || stderr.write_all(piece).is_err() {
            return;
        }
    }
}
