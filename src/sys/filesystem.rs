//! What a file system can do for mail: extended attributes, whether it is another host's, and reads that are not cut short.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, Statvfs, fstatvfs, statvfs};
use rustix::fs::{CWD, Mode, NFS_SUPER_MAGIC, OFlags, ResolveFlags, StatFs, fstatfs, lgetxattr, openat2, statfs};
use rustix::io::Errno;

use crate::error::Error;
use crate::escape::mount_path;

/// An attribute that nobody sets.
const PROBE: &str = "user.spoolguard-probe";

/// The mounts that this process sees.
const MOUNTS: &str = "/proc/self/mountinfo";

/// A file system.
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
///
/// # Errors
/// When it cannot be asked.
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
    // The numbers are in statfs(2), and for exFAT and SMB in linux/magic.h. They have 32 bits; the type is signed on some machines.
    match stat.f_type.cast_unsigned() & 0xffff_ffff {
        0x4d44 | 0x2011_bab0 => Some(false),
        0x6573_5546 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 => None,
        _ => Some(true),
    }
}

/// Tells whether link(2) failed because the file system has no links: FAT and exFAT say EPERM, SMB EOPNOTSUPP, FUSE any of them.
pub fn has_no_links(error: &io::Error) -> bool {
    let known = [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK];
    Errno::from_io_error(error).is_some_and(|error| known.contains(&error))
}

/// Tells whether a call about `path` may hold a process that nobody can end: a file system that another process serves (FUSE) is in its
/// way. Where that cannot be told it is none. The path itself is not asked: its file system might hang.
pub fn may_hold_a_process(path: &Path) -> bool {
    // What is on the root's file system is not served so. A mount that is in the way is not entered (openat2(2)).
    match openat2(
        CWD,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_XDEV,
    ) {
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => false,
        Err(_) => std::fs::read_to_string(MOUNTS).is_ok_and(|mounts| is_served(path, &mounts)),
    }
}

/// Tells by `mountinfo` (proc_pid_mountinfo(5)) whether a file system that a process serves is in the way of a path on which some mount is.
/// Where none of the mounts is above its name, a link leads into one, and any that is served may be it.
fn is_served(path: &Path, mountinfo: &str) -> bool {
    let mounts = mountinfo.lines().filter_map(|line| {
        let point = mount_path(line.split(' ').nth(4)?);
        Some((point, is_served_mount(line)))
    });
    let (mut is_above, mut any) = (None, false);
    for (point, is_served) in mounts {
        any |= is_served;
        if point != "/" && path.starts_with(&point) {
            is_above = Some(is_above.unwrap_or(false) || is_served);
        }
    }
    is_above.unwrap_or(any)
}

/// Tells whether a line of `mountinfo` is a file system that a process serves, which may hold users' files.
fn is_served_mount(line: &str) -> bool {
    // The type follows a hyphen, since the fields before it are of any number.
    let kind = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next());
    let no_homes = [
        "fusectl",
        "fuse.lxcfs",
        "fuse.portal",
        "fuse.gvfsd-fuse",
        "fuse.snapfuse",
    ];
    kind.is_some_and(|kind| (kind.starts_with("fuse") || kind == "virtiofs") && !no_homes.contains(&kind))
}

fn left_in(room: &Statvfs) -> u64 {
    room.blocks_available().saturating_mul(room.fragment_size())
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
    use super::{find_file_system, is_served, is_served_mount, may_hold_a_process};
    use std::path::Path;

    #[test]
    fn a_mount_that_a_process_serves_is_known_by_its_type() {
        let line = |kind: &str| format!("36 25 0:44 / /home/a\\040b rw,relatime shared:1 - {kind} what rw");
        for served in ["fuse", "fuse.sshfs", "fuseblk", "virtiofs"] {
            assert!(is_served_mount(&line(served)), "{served}");
        }
        for other in ["ext4", "nfs4", "fusectl", "fuse.lxcfs", "cifs"] {
            assert!(!is_served_mount(&line(other)), "{other}");
        }
        assert!(!is_served_mount("odd"));
        assert!(!may_hold_a_process(Path::new("/")));
        assert!(!may_hold_a_process(Path::new("/no such directory")));
    }

    #[test]
    fn a_mount_elsewhere_holds_nobody() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/a rw\n23 22 0:40 / /srv/x\\040y rw - fuse.sshfs s rw\n\
                      24 22 8:2 / /home rw - ext4 /dev/b rw\n25 24 0:41 / /home/carol rw - fuse.bindfs c rw\n";
        for (path, want) in [
            ("/home/alice", false),
            ("/home/carol", true),
            ("/home/carol/deep", true),
            ("/home/carola", false),
            ("/srv/x y/bob", true),
            // A link leads somewhere.
            ("/users/dave", true),
        ] {
            assert_eq!(is_served(Path::new(path), mounts), want, "{path}");
        }
        assert!(!is_served(
            Path::new("/users/dave"),
            "22 1 8:1 / / rw - ext4 /dev/a rw\n"
        ));
    }

    #[test]
    fn a_file_system_is_asked_and_not_changed() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        assert!(find_file_system(dir.path()).is_ok_and(|found| !found.read_only && found.free_bytes > 0));
        // proc(5) has no such attributes.
        assert!(find_file_system(Path::new("/proc/self/stat")).is_ok_and(|found| found.attributes == Some(false)));
        assert!(find_file_system(&dir.path().join("none")).is_err());
    }
}
