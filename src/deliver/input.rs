//! Reads the message from standard input.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;

use crate::error::{Category, Error};
use crate::output;

/// Standard input as a file of its own: `Stdin` would put a buffer between. Whoever sits at a terminal is told that it
/// is read.
pub fn open_input() -> Result<File, Error> {
    let input = io::stdin();
    if input.is_terminal() {
        output::print_stderr("spoolguard: reading a message from the terminal; end it with Ctrl-D\n");
    }
    let input = input.as_fd().try_clone_to_owned();
    input
        .map(File::from)
        .map_err(|e| Error::from_cause(Category::System, "read", "the message from standard input", e))
}

/// Refuses to send on what a device such as /dev/null gives: no MTA hands a message over so, and an empty message would
/// go out.
pub fn refuse_device(input: &File) -> Result<(), Error> {
    let is_device = input.metadata().is_ok_and(|stat| stat.file_type().is_char_device());
    if is_device && !input.is_terminal() {
        let cause = "standard input is a device such as /dev/null, not a message";
        return Err(Error::new(Category::System, "forward", "the message", cause));
    }
    Ok(())
}
