//! Directories, and the files that we keep in them: finds a parent, makes a directory for this user alone, refuses one
//! that others may write to, makes a name last, opens a file without following a link.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{AccessFlags, Uid, access};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::error::{Category, Error};
use crate::sys::filesystem;

/// The directory that holds `path`.
pub fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Tells whether users who own nothing there have this right to `path` (`0o004` to read it, `0o001` to start it), and
/// may go through every directory above.
pub fn lets_others(path: &Path, right: u32) -> bool {
    let has = |path: &Path, bit| path.metadata().is_ok_and(|stat| stat.mode() & bit != 0);
    has(path, right) && path.ancestors().skip(1).all(|dir| has(dir, 0o001))
}

pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Tells whether this process can make files in a directory.
pub fn can_make_files(dir: &Path) -> bool {
    access(dir, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// With less than this left, nothing that is remembered can be written anew, in bytes.
const LEAST_ROOM_BYTES: u64 = 64 << 10;

/// Looks whether files can be made in `dir`, or in the nearest directory above it that is there: rights, a read-only
/// file system, room.
pub fn refuse_unwritable(dir: &Path) -> io::Result<()> {
    let there = dir
        .ancestors()
        .find(|dir| dir.symlink_metadata().is_ok())
        .unwrap_or(dir);
    access(there, AccessFlags::W_OK | AccessFlags::X_OK)?;
    match filesystem::find_file_system(there) {
        Ok(on) if on.free_bytes < LEAST_ROOM_BYTES => Err(Errno::NOSPC.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Makes a file's name last: a created file is not safe until its directory is (fsync(2)).
pub fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent_of(path))?.sync_all()
}

/// Opens a file that we keep in a directory of the user's: a link is not followed, and a FIFO in its place does not
/// hold us.
pub fn own_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    options
}

/// Opens what may be a mailbox, as `options` say: a link is not followed, a FIFO does not hold us, and reading does not
/// make it look read. "New mail" means that the modification is later than the access.
pub fn open_unread(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    match options.custom_flags((flags | OFlag::O_NOATIME).bits()).open(path) {
        // For the owner and root alone (open(2)).
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => options.custom_flags(flags.bits()).open(path),
        opened => opened,
    }
}

/// Opens such a file to read and to write it; makes it, readable for this user alone, where there is none. What stands
/// in its place and cannot be used is set aside.
pub fn open_own(path: &Path) -> io::Result<File> {
    let open = || {
        let mut options = own_file();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(path)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("not written by spoolguard")),
        }
    };
    match open() {
        Err(_) if is_foreign(path) && set_aside(path).is_ok() => open(),
        opened => opened,
    }
}

/// Tells whether something stands at `path` that is no regular file of this user: a link, a directory, what root copied
/// there.
pub fn is_foreign(path: &Path) -> bool {
    let own = Uid::effective().as_raw();
    path.symlink_metadata()
        .is_ok_and(|stat| !stat.is_file() || stat.uid() != own)
}

/// Renames what stands at `path` to `<name>.bad`, for an administrator to look at. Fails when it cannot be renamed.
/// Where nothing stands, nothing has to be.
pub fn set_aside(path: &Path) -> io::Result<()> {
    let aside = with_suffix(path, ".bad");
    let renamed = std::fs::rename(path, &aside).or_else(|e| match aside.is_dir() || path.is_dir() {
        // A directory is not renamed over a file, nor a file over a directory (rename(2)).
        true => std::fs::rename(path, with_suffix(&aside, &format!(".{}", std::process::id()))),
        false => Err(e),
    });
    match renamed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Opens a file that we keep in a directory of the user's, to read it; none where there is none. A link is not
/// followed, and a FIFO in its place does not hold us. Fails when it cannot be opened, or is no regular file.
pub fn open_kept(path: &Path) -> io::Result<Option<File>> {
    let opened = own_file().read(true).open(path);
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(io::Error::other("not written by spoolguard")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Makes a directory and those above it, for this user alone, and makes their names last.
pub fn make_private_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = parent_of(dir);
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

/// Refuses a directory that others than `owners` may write to: they could put there what we believe, and take away what
/// we keep. One that is not there yet, or is none, is not refused. Fails when it is another one's, or others may write
/// to it.
pub fn refuse_shared(dir: &Path, owners: &[u32]) -> Result<(), Error> {
    let Ok(stat) = dir.metadata() else { return Ok(()) };
    let refuse = |cause: &str| Error::new(Category::Configuration, "trust", dir.display(), cause).needs_mending();
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

/// Goes to a directory, so that what is named without a slash from then on lies in it, whatever happens to its path. No
/// link on the way is followed: whoever owns a part of the path could have made it, and led root elsewhere. Fails when
/// it cannot be opened, a part of the path is a link, or it cannot be gone to.
pub fn go_without_links(dir: &Path) -> Result<(), Error> {
    open_without_links(dir)
        .and_then(|dir| Ok(nix::unistd::fchdir(&dir)?))
        .map_err(|e| {
            let is_link = matches!(e.raw_os_error(), Some(libc::ELOOP | libc::ENOTDIR));
            let error = Error::io("go to", dir, &e);
            if is_link {
                error.hint("root follows no link on the way to a mailbox; say where it leads (realpath)")
            } else {
                error
            }
        })
}

fn open_without_links(dir: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(CWD, dir, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // Linux before 5.6, or a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => walk_without_links(dir, flags),
        opened => Ok(opened?),
    }
}

/// The same, one part of the path after another.
fn walk_without_links(dir: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let start = if dir.is_absolute() { "/" } else { "." };
    let mut at = openat(CWD, start, flags, Mode::empty())?;
    for part in dir.components() {
        let name = match part {
            Component::Normal(name) => name,
            Component::ParentDir => OsStr::new(".."),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
        };
        at = openat(&at, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::{OFlags, open_kept, open_own, open_without_links, walk_without_links};
    use nix::sys::stat::Mode;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    #[test]
    fn only_a_regular_file_is_kept_and_nothing_there_holds_us() {
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

    #[test]
    fn what_cannot_be_used_is_set_aside_and_begun_anew() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let at = |name: &str| dir.path().join(name);
        type Damage<'a> = &'a dyn Fn(&Path) -> bool;
        let damages: [(&str, Damage<'_>); 3] = [
            ("link", &|path| symlink("/dev/zero", path).is_ok()),
            ("directory", &|path| std::fs::create_dir_all(path.join("below")).is_ok()),
            ("fifo", &|path| nix::unistd::mkfifo(path, Mode::S_IRWXU).is_ok()),
        ];
        for (name, damage) in damages {
            // Twice: what was set aside the first time is in no way.
            for _ in 0..2 {
                let _ = std::fs::remove_file(at(name));
                assert!(damage(&at(name)), "{name}");
                assert!(open_own(&at(name)).is_ok(), "{name}");
                assert!(at(name).is_file(), "{name}");
            }
        }
    }

    #[test]
    fn no_link_on_the_way_to_a_directory_is_followed() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = |name: &str| dir.path().join(name);
        assert!(std::fs::create_dir_all(path("real/below")).is_ok());
        assert!(symlink(path("real"), path("link")).is_ok());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        type PathCheck<'a> = &'a dyn Fn(&Path) -> bool;
        let ways: [(&str, PathCheck<'_>); 2] = [
            ("openat2", &|dir| open_without_links(dir).is_ok()),
            ("a walk", &|dir| walk_without_links(dir, flags).is_ok()),
        ];
        for (way, goes) in ways {
            for good in ["real", "real/below", "real/./below/../below"] {
                assert!(goes(&path(good)), "{way}: {good}");
            }
            for bad in ["link", "link/below", "real/../link/below", "nothing"] {
                assert!(!goes(&path(bad)), "{way}: {bad}");
            }
        }
    }
}
