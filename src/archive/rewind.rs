//! Reads a stream as if it were a file, as far back as is still needed. What is kept lies in memory, and in a file
//! without a name where it is much: memory does not grow with the longest message.

use std::cell::RefCell;
use std::io::{self, Read};

use crate::sys::read_at::ReadAt;
use crate::sys::spill_file::SpillFile;

/// How much is kept in memory, in bytes.
const MEMORY_BYTES: usize = 8 << 20;

/// One read from the stream, in bytes.
const STEP_BYTES: usize = 256 << 10;

/// A stream of known length of which the part behind some place can be read.
pub struct Rolling<R> {
    length: u64,
    kept: RefCell<Kept<R>>,
}

struct Kept<R> {
    from: R,
    /// What lies in `spill`: from here ...
    spill_at: u64,
    /// ... up to where `memory` begins.
    memory_at: u64,
    spill: Option<SpillFile>,
    memory: Vec<u8>,
}

impl<R: Read> Rolling<R> {
    /// Begins at the start of `from`, which holds `length` bytes.
    pub fn new(from: R, length: u64) -> Self {
        Self {
            length,
            kept: RefCell::new(Kept {
                from,
                spill_at: 0,
                memory_at: 0,
                spill: None,
                memory: Vec::new(),
            }),
        }
    }

    /// Lets go of what stands before `place`.
    pub fn forget(&self, place: u64) {
        self.kept.borrow_mut().forget(place);
    }
}

impl<R: Read> ReadAt for Rolling<R> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        if at >= self.length {
            return Ok(0);
        }
        self.kept.borrow_mut().read(buffer, at)
    }
}

impl<R: Read> Kept<R> {
    fn read(&mut self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        while at >= self.memory_at + self.memory.len() as u64 {
            if !self.pull()? {
                return Ok(0);
            }
        }
        if at < self.spill_at {
            return Err(io::Error::other("this part is forgotten"));
        }
        if at >= self.memory_at {
            let skip = usize::try_from(at - self.memory_at).unwrap_or(usize::MAX);
            let mut rest = self.memory.get(skip..).unwrap_or_default();
            return rest.read(buffer);
        }
        let here = usize::try_from(self.memory_at - at).unwrap_or(usize::MAX);
        let room = here.min(buffer.len());
        match &self.spill {
            Some(file) => file.read_at(buffer.get_mut(..room).unwrap_or_default(), at - self.spill_at),
            None => Err(io::Error::other("this part is forgotten")),
        }
    }

    /// Reads on; false at the end.
    fn pull(&mut self) -> io::Result<bool> {
        if self.memory.len() >= MEMORY_BYTES {
            if self.spill.is_none() {
                self.spill = Some(SpillFile::create()?);
                self.spill_at = self.memory_at;
            }
            if let Some(file) = &mut self.spill {
                file.write_all_at(&self.memory, self.memory_at - self.spill_at)?;
            }
            self.memory_at += self.memory.len() as u64;
            self.memory.clear();
        }
        let before = self.memory.len();
        self.memory.resize(before + STEP_BYTES, 0);
        loop {
            let read = self.from.read(self.memory.get_mut(before..).unwrap_or_default());
            match read {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.memory.truncate(before);
                    return Err(e);
                }
                Ok(read) => {
                    self.memory.truncate(before + read);
                    return Ok(read > 0);
                }
            }
        }
    }

    fn forget(&mut self, place: u64) {
        if place < self.memory_at {
            return;
        }
        self.spill = None;
        let skip = usize::try_from(place - self.memory_at)
            .unwrap_or(usize::MAX)
            .min(self.memory.len());
        // Moving what stays costs as much as it is long: only now and then.
        if skip >= self.memory.len() / 2 {
            self.memory.drain(..skip);
            self.memory_at += skip as u64;
        }
        self.spill_at = self.memory_at;
    }
}
