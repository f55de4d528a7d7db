//! What tells one file from another, and one state of a file from a later one: device, inode, length and times
//! (inode(7)).

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The change time in nanoseconds, as far as the file system keeps it: of anything about the file, and not to be set
/// back (inode(7)).
pub fn changed_nanoseconds(stat: &std::fs::Metadata) -> i128 {
    i128::from(stat.ctime()) * 1_000_000_000 + i128::from(stat.ctime_nsec())
}

/// The modification time in nanoseconds, as far as the file system keeps it.
pub fn modified_nanoseconds(stat: &std::fs::Metadata) -> i128 {
    i128::from(stat.mtime()) * 1_000_000_000 + i128::from(stat.mtime_nsec())
}

/// What the file system says of a file, as far as it tells whether the file is the one that was seen, and unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct FileStamp {
    /// The file system.
    pub device: u64,
    /// The file.
    pub inode: u64,
    pub bytes: u64,
    /// When it was written to, in nanoseconds since 1970.
    pub modified: i128,
    /// When anything about it changed. Mail programs set the time of writing back, and cannot set this one.
    pub changed: i128,
}

impl FileStamp {
    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&file.metadata()?))
    }

    pub fn of(stat: &std::fs::Metadata) -> Self {
        Self {
            device: stat.dev(),
            inode: stat.ino(),
            bytes: stat.len(),
            modified: modified_nanoseconds(stat),
            changed: changed_nanoseconds(stat),
        }
    }
}

/// Tells whether `path` still names the open file.
pub fn is_still(file: &File, path: &Path) -> Result<bool, Error> {
    named_file(file, path).map(|named| named.is_some())
}

/// The open file as `path` names it, in one look; none where `path` names another by now, or nothing.
pub fn named_file(file: &File, path: &Path) -> Result<Option<std::fs::Metadata>, Error> {
    let open = file.metadata().map_err(|e| Error::io("examine", path, &e))?;
    match path.symlink_metadata() {
        Ok(now) => Ok(Some(now).filter(|now| same_file(&open, now))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("examine", path, &e)),
    }
}

/// Tells whether both describe one file.
pub fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}
