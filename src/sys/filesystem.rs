//! What a file system can do for mail: extended attributes, whether it is another host's, and reads that are not cut
//! short.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, Statvfs, fstatvfs, statvfs};
use rustix::fs::{NFS_SUPER_MAGIC, StatFs, fstatfs, lgetxattr, statfs};
use rustix::io::Errno;

use crate::error::Error;

/// An attribute that nobody sets.
const PROBE: &str = "user.spoolguard-probe";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Whether it is another host's, by NFS.
    pub nfs: bool,
    /// Whether files can have attributes of the user's (xattr(7)), where that can be told.
    pub attributes: Option<bool>,
    /// Whether a file can have a second name (link(2)), where that can be told.
    pub links: Option<bool>,
    /// Whether nothing can be written.
    pub read_only: bool,
    /// What this user may still write, in bytes.
    pub free_bytes: u64,
}

/// The file system that `path` is on. Nothing is written to find out.
pub fn find_file_system(path: &Path) -> io::Result<FileSystem> {
    let room = statvfs(path)?;
    let kind = statfs(path)?;
    Ok(FileSystem {
        nfs: is_nfs(&kind),
        links: links(&kind),
        attributes: attributes(path),
        read_only: room.flags().contains(FsFlags::ST_RDONLY),
        free_bytes: left_in(&room),
    })
}

/// Tells whether a file server keeps the file, and its locks.
pub fn is_on_nfs(file: &File) -> bool {
    fstatfs(file).is_ok_and(|stat| is_nfs(&stat))
}

/// Free space for this user on the file system that holds `path`, in bytes (statvfs(3)).
pub fn free_bytes(path: &Path, file: impl AsFd) -> Result<u64, Error> {
    let room = fstatvfs(file).map_err(|e| Error::io("ask for free space at", path, &e.into()))?;
    Ok(left_in(&room))
}

fn is_nfs(stat: &StatFs) -> bool {
    stat.f_type == NFS_SUPER_MAGIC
}

/// FAT and exFAT have none. What is behind FUSE and SMB decides there, and says so only when it is tried.
fn links(stat: &StatFs) -> Option<bool> {
    // The numbers are in statfs(2), and for exFAT and SMB in linux/magic.h. They have 32 bits; the type is signed on
    // some machines.
    match stat.f_type.cast_unsigned() & 0xffff_ffff {
        0x4d44 | 0x2011_bab0 => Some(false),
        0x6573_5546 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 => None,
        _ => Some(true),
    }
}

/// Tells whether link(2) failed because the file system has no links: FAT and exFAT say EPERM, SMB EOPNOTSUPP, FUSE any
/// of them.
pub fn has_no_links(error: &io::Error) -> bool {
    let known = [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK];
    Errno::from_io_error(error).is_some_and(|error| known.contains(&error))
}

/// What has no blocks, such as many a file system behind FUSE, does not say how full it is.
fn left_in(room: &Statvfs) -> u64 {
    match room.blocks() {
        0 => u64::MAX,
        _ => room.blocks_available().saturating_mul(room.fragment_size()),
    }
}

/// A file system with attributes answers that this name is missing.
fn attributes(path: &Path) -> Option<bool> {
    match lgetxattr(path, PROBE, &mut [0u8; 1]) {
        Ok(_) | Err(Errno::NODATA | Errno::RANGE) => Some(true),
        Err(Errno::OPNOTSUPP) => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::find_file_system;
    use std::path::Path;

    #[test]
    fn a_file_system_is_asked_and_not_changed() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        assert!(find_file_system(dir.path()).is_ok_and(|found| !found.read_only && found.free_bytes > 0));
        // proc(5) has no such attributes.
        assert!(find_file_system(Path::new("/proc/self/stat")).is_ok_and(|found| found.attributes == Some(false)));
        assert!(find_file_system(Path::new("/proc")).is_ok_and(|found| found.free_bytes == u64::MAX));
        assert!(find_file_system(&dir.path().join("none")).is_err());
    }
}
