//! One delivery: the program gets the message through a pipe, as from a mail system, and is waited for.

use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::measure;

/// What a delivery took.
pub struct Delivery {
    pub wall: Duration,
    /// Of all children that ended meanwhile: right where there is one at a time.
    pub cpu: Duration,
    pub end: End,
}

pub enum End {
    Done,
    /// It ended with another status, and said this.
    Refused(String),
    /// It took too long, and was killed.
    Late,
}

/// Runs a program on a message.
pub fn deliver(mut command: Command, message: &[u8], limit: Duration) -> Delivery {
    let before = measure::children();
    let (said, says) = io::pipe().unwrap();
    command
        .stdin(Stdio::piped())
        .stdout(says.try_clone().unwrap())
        .stderr(says);
    let begun = Instant::now();
    let mut child = command
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    // It holds the pipe's other end, too.
    drop(command);
    let until = begun + limit;
    let input = child.stdin.take().unwrap();
    // The pipe from it closes when the last process ends that writes to it.
    let text = write_until(input, message, until).and_then(|()| read_until(said, until));
    if text.is_none() {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    let wall = begun.elapsed();
    Delivery {
        wall,
        cpu: measure::children().saturating_sub(before),
        end: match text {
            None => End::Late,
            Some(_) if status.success() => End::Done,
            Some(text) => End::Refused(format!("{status}: {}", text.trim_end())),
        },
    }
}

/// Writes a message into a pipe and closes it, unless that takes too long. A program that fails need not read all of
/// it.
fn write_until(mut pipe: ChildStdin, message: &[u8], until: Instant) -> Option<()> {
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut rest = message;
    while !rest.is_empty() {
        match pipe.write(rest) {
            Ok(bytes) => rest = &rest[bytes..],
            Err(e) if e.kind() == ErrorKind::WouldBlock => wait(&pipe, PollFlags::POLLOUT, until)?,
            Err(_) => break,
        }
    }
    Some(())
}

/// What comes from a pipe until it closes, unless that takes too long.
fn read_until(mut pipe: PipeReader, until: Instant) -> Option<String> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        wait(&pipe, PollFlags::POLLIN, until)?;
        match pipe.read(&mut buffer).unwrap() {
            0 => return Some(String::from_utf8_lossy(&text).into_owned()),
            bytes => text.extend_from_slice(&buffer[..bytes]),
        }
    }
}

/// Waits for a pipe, as long as there is time.
fn wait(pipe: &impl AsFd, what: PollFlags, until: Instant) -> Option<()> {
    let left = until.saturating_duration_since(Instant::now());
    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    let ready = poll(&mut [PollFd::new(pipe.as_fd(), what)], left).unwrap();
    (ready > 0).then_some(())
}
