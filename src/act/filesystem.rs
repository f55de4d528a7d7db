//! What a file system can do for mail: extended attributes, and whether it is another host's.

use std::io;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};
use rustix::fs::{NFS_SUPER_MAGIC, lgetxattr, statfs};
use rustix::io::Errno;

/// An attribute that nobody sets.
const PROBE: &str = "user.spoolguard-probe";

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Whether it is another host's, by NFS.
    pub nfs: bool,
    /// Whether files can have attributes of the user's (xattr(7)), where that can be told.
    pub attributes: Option<bool>,
    /// Whether nothing can be written.
    pub read_only: bool,
    /// What this user may still write, in bytes.
    pub free_bytes: u64,
}

/// The file system that `path` is on. Nothing is written to find out.
///
/// # Errors
/// When it cannot be asked.
pub fn of(path: &Path) -> io::Result<FileSystem> {
    let room = statvfs(path)?;
    Ok(FileSystem {
        nfs: statfs(path)?.f_type == NFS_SUPER_MAGIC,
        attributes: attributes(path),
        read_only: room.flags().contains(FsFlags::ST_RDONLY),
        free_bytes: (room.blocks_available() as u64).saturating_mul(room.fragment_size() as u64),
    })
}

/// A file system that knows them says that there is none of this name.
fn attributes(path: &Path) -> Option<bool> {
    match lgetxattr(path, PROBE, &mut [0u8; 1]) {
        Ok(_) | Err(Errno::NODATA | Errno::RANGE) => Some(true),
        Err(Errno::OPNOTSUPP) => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use std::path::Path;

    #[test]
    fn a_file_system_is_asked_and_not_changed() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        assert!(of(dir.path()).is_ok_and(|found| !found.read_only && found.free_bytes > 0));
        // proc(5) has no such attributes.
        assert!(of(Path::new("/proc/self/stat")).is_ok_and(|found| found.attributes == Some(false)));
        assert!(of(&dir.path().join("none")).is_err());
    }
}
