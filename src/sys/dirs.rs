//! Directories and what we keep in them: the one that holds a file, making one, refusing one that is not ours alone, making a name in one
//! last, opening what lies in one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::error::{Class, Error};

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

/// Opens a file that we keep in a directory of the user's, to read it; none where there is none. A link is not followed, and a FIFO in
/// its place does not hold us.
///
/// # Errors
/// When it cannot be opened, or is no regular file.
pub fn open_kept(path: &Path) -> io::Result<Option<File>> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path);
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(io::Error::other("this is none of ours")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
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

/// Refuses a directory that others than `owners` may write to: they could put there what we believe, and take away what we keep. One that
/// is not there yet, or is none, is not refused.
///
/// # Errors
/// When it is another one's, or others may write to it.
pub fn refuse_shared(dir: &Path, owners: &[u32]) -> Result<(), Error> {
    let Ok(stat) = dir.metadata() else { return Ok(()) };
    let refuse = |cause: &str| Error::new(Class::Configuration, "trust", dir.display(), cause).needs_mending();
    if !stat.is_dir() {
        Ok(())
    } else if !owners.contains(&stat.uid()) {
        Err(refuse(&format!("it belongs to uid {}", stat.uid())))
    } else if stat.mode() & 0o022 != 0 {
        Err(refuse("others may write to it").hint("chmod go-w it"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::open_kept;
    use nix::sys::stat::Mode;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_kept_is_a_regular_file_and_nothing_in_its_place_holds_us() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let at = |name: &str| dir.path().join(name);
        assert!(matches!(open_kept(&at("none")), Ok(None)));
        assert!(std::fs::write(at("file"), "x").is_ok());
        assert!(matches!(open_kept(&at("file")), Ok(Some(_))));
        assert!(symlink(at("file"), at("link")).is_ok());
        assert!(std::fs::create_dir(at("directory")).is_ok());
        assert!(nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).is_ok());
        for name in ["link", "directory", "fifo"] {
            assert!(open_kept(&at(name)).is_err(), "{name}");
        }
    }
}
