//! Reads a message from standard input: its beginning stays in memory, and the rest of a large one goes into a file
//! without a name. So memory does not grow with the message. A message that cannot be read to its end is an error.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::error::{Category, Error};
use crate::sys::deadline::{Deadline, Woken};
use crate::sys::spill_file::SpillFile;

/// How much of a message is kept in memory, in bytes; all that is judged lies within. Mail is mostly smaller (a spill
/// costs two more copies), and the whole program stays under 6 MiB.
pub const HEAD_BYTES: usize = 1 << 20;

/// One read from the pipe, which holds 64 KiB by default (pipe(7)).
const STEP_BYTES: usize = 64 << 10;

/// A whole message, as received.
#[derive(Debug)]
pub struct MessageBuffer {
    head: Vec<u8>,
    spill: Option<SpillFile>,
    bytes: u64,
}

/// The beginning of a message, while the rest is still to be read.
#[derive(Debug)]
pub struct MessageStart {
    bytes: Vec<u8>,
    ended: bool,
}

impl MessageStart {
    /// Reads the beginning of `input`. Fails when reading fails or stalls, or when the run is told to stop.
    pub fn read(input: &impl AsFd, deadline: &Deadline) -> Result<Self, Error> {
        if is_closed(input) {
            return Err(Error::new(
                Category::System,
                "read",
                "the message",
                "standard input is closed",
            ));
        }
        let mut bytes = Vec::with_capacity(STEP_BYTES);
        while bytes.len() < HEAD_BYTES {
            if bytes.len() == bytes.capacity() {
                bytes.reserve_exact(bytes.len().min(HEAD_BYTES - bytes.len()));
            }
            if step(input, deadline, &mut bytes)? == 0 {
                return Ok(Self { bytes, ended: true });
            }
        }
        Ok(Self { bytes, ended: false })
    }

    /// What was read.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl MessageBuffer {
    /// Reads all of `input`. Fails when reading fails or stalls, when there is no room for a large message, or when the
    /// run is told to stop.
    pub fn read(input: &impl AsFd, deadline: &Deadline) -> Result<Self, Error> {
        let MessageStart { bytes: head, ended } = MessageStart::read(input, deadline)?;
        let mut buffer = Self::from_bytes(head);
        let mut more = Vec::with_capacity(if ended { 0 } else { STEP_BYTES });
        while !ended && step(input, deadline, &mut more)? > 0 {
            buffer
                .write_all(&more)
                .map_err(|e| Error::io("store a large message in", Path::new("a temporary file"), &e))?;
            more.clear();
        }
        Ok(buffer)
    }

    /// Takes what `write` writes. Fails when `write` fails, or when there is no room for a large message.
    pub fn collect(write: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<Self> {
        let mut buffer = Self::from_bytes(Vec::new());
        write(&mut buffer)?;
        Ok(buffer)
    }

    /// Takes a message that is in memory already.
    pub fn from_bytes(head: Vec<u8>) -> Self {
        let bytes = head.len() as u64;
        Self {
            head,
            spill: None,
            bytes,
        }
    }

    /// The beginning of the message: all of it up to `HEAD_BYTES`.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The length of the whole message, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads from byte `at` of the message on; 0 is the end.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let in_head = usize::try_from(at).ok().and_then(|at| self.head.get(at..));
        match (in_head, &self.spill) {
            (Some(mut rest), _) if !rest.is_empty() => rest.read(buffer),
            (_, Some(file)) => file.read_at(buffer, at.saturating_sub(self.head.len() as u64)),
            (_, None) => Ok(0),
        }
    }

    /// Reads the message again, from byte `from` of it.
    pub fn reader(&self, from: usize) -> BufferReader<'_> {
        BufferReader {
            head: self.head.get(from..).unwrap_or_default(),
            spill: self.spill.as_ref(),
            at: 0,
            spill_bytes: self.bytes - self.head.len() as u64,
        }
    }
}

/// What does not fit into memory goes into a file without a name.
impl Write for MessageBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = HEAD_BYTES.saturating_sub(self.head.len());
        let written = if room > 0 {
            let part = bytes.get(..room).unwrap_or(bytes);
            self.head.extend_from_slice(part);
            part.len()
        } else {
            let file = match &mut self.spill {
                Some(file) => file,
                None => self.spill.insert(SpillFile::create()?),
            };
            file.write(bytes)?
        };
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a `MessageBuffer` from a place in its head to its end.
#[derive(Clone, Debug)]
pub struct BufferReader<'a> {
    head: &'a [u8],
    spill: Option<&'a SpillFile>,
    at: u64,
    spill_bytes: u64,
}

impl Read for BufferReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.head.is_empty() {
            return self.head.read(buffer);
        }
        let Some(file) = self.spill else { return Ok(0) };
        let read = file.read_at(buffer, self.at)?;
        self.at += read as u64;
        if read == 0 && !buffer.is_empty() && self.at < self.spill_bytes {
            // Taken for its end, the message would be cut off and acknowledged.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read)
    }
}

/// Tells whether a standard stream was closed: then it is `/dev/null`, opened for reading and writing before `main`
/// runs. Taking that for an empty message, or for a place to write to, would acknowledge mail that nobody has.
pub fn is_closed(stream: &impl AsFd) -> bool {
    let flags = fcntl(stream, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
    let stat = nix::sys::stat::fstat(stream);
    match (flags, stat, std::fs::metadata("/dev/null")) {
        (Ok(flags), Ok(stat), Ok(null)) => {
            flags & OFlag::O_ACCMODE == OFlag::O_RDWR && stat.st_rdev == null.rdev() && stat.st_ino == null.ino()
        }
        _ => false,
    }
}

/// What is left of a message behind its `MessageStart`. Reading it fails when it stalls, or when the run is told to
/// stop.
#[derive(Debug)]
pub struct Rest<'a, F> {
    /// Where the message comes from.
    pub input: &'a mut F,
    /// How long this run may wait.
    pub deadline: &'a Deadline,
}

impl<F: AsFd + Read> Read for Rest<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        wait_for(self.input, self.deadline).map_err(io::Error::other)?;
        self.input.read(buffer)
    }
}

const NAME: &str = "the message from standard input";

fn wait_for(input: &impl AsFd, deadline: &Deadline) -> Result<(), Error> {
    loop {
        // Asked each time: an input that is always ready would never let us see that the time is over.
        deadline.check("read", NAME)?;
        if deadline.remaining().is_zero() {
            return Err(Error::new(Category::System, "read", NAME, "it did not end in time"));
        }
        if deadline.wait(&[input.as_fd()], Duration::MAX) == Woken::Readable {
            return Ok(());
        }
    }
}

/// Waits for input and appends it to `to`, as far as that has room; 0 is the end. No page of it is touched before the
/// kernel writes to it.
fn step(input: &impl AsFd, deadline: &Deadline, to: &mut Vec<u8>) -> Result<usize, Error> {
    loop {
        wait_for(input, deadline)?;
        match rustix::io::read(input, rustix::buffer::spare_capacity(to)) {
            Ok(read) => return Ok(read),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(e) => return Err(Error::io("read", Path::new(NAME), &e.into())),
        }
    }
}
