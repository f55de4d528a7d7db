//! Directories: the one that holds a file, making one, making a name in one last.

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::exit::Error;

/// The directory that holds `path`.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// The path with `suffix` behind its name.
#[must_use]
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes a file's name last: a created file is not safe until its directory is (fsync(2)).
///
/// # Errors
/// When the directory cannot be opened or synced.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

/// Makes a directory and those above it, for this user alone, and makes their names last.
///
/// # Errors
/// When one cannot be made or synced.
pub fn make_private_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = parent(dir);
    if above != dir {
        make_private_dir(above)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("make directory", dir, &e)),
        // One that may not be read cannot be synced; it was there before us.
        _ => match sync_parent(dir) {
            Err(e) if e.kind() != io::ErrorKind::PermissionDenied => Err(Error::io("sync", above, &e)),
            _ => Ok(()),
        },
    }
}
