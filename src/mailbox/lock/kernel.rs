//! The kernel's locks on an open file. They end when the file is closed, and with the process, however that ends.

use std::fs::File;
use std::io;
use std::path::Path;

use fs2::FileExt;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::error::Error;

/// Takes a write lock over the whole file. An open-file-description lock meets every other program's fcntl locks, and
/// does not vanish when another descriptor of the file is closed (fcntl(2)). Fails when the file system cannot lock at
/// all.
pub fn lock_fcntl(file: &File, path: &Path) -> Result<bool, Error> {
    lock_range(file, path, 0, 0)
}

/// Takes a write lock on the byte at `offset`, which need not exist: one file has a lock for each of many things.
pub fn lock_byte(file: &File, path: &Path, offset: u64) -> Result<bool, Error> {
    lock_range(file, path, offset, 1)
}

/// Waits for as long as it takes to have the same lock.
pub fn wait_for_byte(file: &File, offset: u64) -> io::Result<()> {
    let byte = range(libc::F_WRLCK, offset, 1);
    Ok(fcntl(file, FcntlArg::F_OFD_SETLKW(&byte)).map(drop)?)
}

/// Gives it back.
pub fn unlock_byte(file: &File, offset: u64) -> io::Result<()> {
    let byte = range(libc::F_UNLCK, offset, 1);
    Ok(fcntl(file, FcntlArg::F_OFD_SETLK(&byte)).map(drop)?)
}

fn range(kind: libc::c_int, start: u64, length: libc::off_t) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: libc::off_t::try_from(start).unwrap_or(0),
        l_len: length,
        l_pid: 0,
    }
}

fn lock_range(file: &File, path: &Path, start: u64, length: libc::off_t) -> Result<bool, Error> {
    let range = range(libc::F_WRLCK, start, length);
    let result = match fcntl(file, FcntlArg::F_OFD_SETLK(&range)) {
        Err(Errno::EINVAL | Errno::ENOSYS) => fcntl(file, FcntlArg::F_SETLK(&range)),
        result => result,
    };
    match result {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(e) => Err(Error::io("lock", path, &e.into())),
    }
}

/// Takes an flock(2) lock. Fails when the file system cannot lock at all.
pub fn lock_flock(file: &File, path: &Path) -> Result<bool, Error> {
    match FileExt::try_lock_exclusive(file) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(e) => Err(Error::io("lock", path, &e)),
    }
}
