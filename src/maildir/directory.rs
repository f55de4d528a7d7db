//! Opens a Maildir, or makes one. Refuses links, another user's directory, and a Maildir of which a part is missing:
//! what looks so may be a file system that is not mounted. Below the directory no link is followed.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, fsync, mkdirat, openat, statat};
use rustix::io::Errno;

use crate::error::{Category, Error};

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// For the owner alone.
const PRIVATE: Mode = Mode::RWXU;

/// The three, in the order in which they are made.
const PARTS: [&str; 3] = ["tmp", "new", "cur"];

/// An open Maildir.
#[derive(Debug)]
pub struct Maildir {
    path: PathBuf,
    root: OwnedFd,
    tmp: OwnedFd,
    new: OwnedFd,
    cur: OwnedFd,
    owner: (u32, u32),
}

impl Maildir {
    /// Opens the Maildir at `path` of the user with this number; none where there is none. Fails when it is no Maildir,
    /// or another one's, or cannot be opened.
    pub fn open(path: &Path, uid: u32) -> Result<Option<Self>, Error> {
        match open_root(path, uid)? {
            None => Ok(None),
            Some(root) => match parts(path, &root)? {
                NameParts::All => Self::of(path, root, uid).map(Some),
                NameParts::None => Ok(None),
                NameParts::Begun => Err(lacks(path, &root)),
            },
        }
    }

    /// The same; makes it where there is none, and what a killed run that made it left undone. Fails when it is no
    /// Maildir, or another one's, or cannot be opened or made.
    pub fn open_or_make(path: &Path, uid: u32) -> Result<Self, Error> {
        let root = match open_root(path, uid)? {
            Some(root) => root,
            None => {
                make_root(path, uid)?;
                let cause = "it is gone again";
                open_root(path, uid)?.ok_or_else(|| Error::new(Category::Mailbox, "open", path.display(), cause))?
            }
        };
        match parts(path, &root)? {
            NameParts::All => {}
            NameParts::None | NameParts::Begun => make_parts(path, &root)?,
        }
        Self::of(path, root, uid)
    }

    fn of(path: &Path, root: OwnedFd, uid: u32) -> Result<Self, Error> {
        let part = |name: &str| {
            let path = path.join(name);
            let part = openat(&root, name, DIRECTORY, Mode::empty()).map_err(|e| open_error(&path, e))?;
            refuse_foreign(&path, &part, uid)?;
            Ok(part)
        };
        let stat = fstat(&root).map_err(|e| Error::io("examine", path, &e.into()))?;
        Ok(Self {
            owner: (stat.st_uid, stat.st_gid),
            tmp: part("tmp")?,
            new: part("new")?,
            cur: part("cur")?,
            path: path.to_owned(),
            root,
        })
    }

    /// A file that is made in it is its owner's, whoever makes it.
    pub fn give_to_user(&self, file: impl AsFd) -> io::Result<()> {
        let (uid, gid) = self.owner;
        if Uid::effective().as_raw() == uid {
            return Ok(());
        }
        std::os::unix::fs::fchown(file, Some(uid), Some(gid))
    }

    /// Tells whether a file in it may be read for its owner: root could be shown any file, by a link.
    pub fn is_own(&self, file: &File) -> io::Result<bool> {
        Ok(!Uid::effective().is_root() || file.metadata()?.uid() == self.owner.0)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory itself.
    pub fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Where messages are written.
    pub fn tmp_dir(&self) -> &OwnedFd {
        &self.tmp
    }

    /// Where messages lie that no reader has seen.
    pub fn new_dir(&self) -> &OwnedFd {
        &self.new
    }

    /// Where messages lie that a reader has seen.
    pub fn cur_dir(&self) -> &OwnedFd {
        &self.cur
    }
}

/// Calls `step` with each name in a directory that does not begin with a dot, until it says that this is enough.
pub fn each_name(dir: impl AsFd, mut step: impl FnMut(&CStr) -> io::Result<ControlFlow<()>>) -> io::Result<()> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(b".") {
            continue;
        }
        if step(entry.file_name())?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Calls `step` with the name of each folder of a Maildir++: `.Name`, with a file `maildirfolder` in it.
pub fn each_folder(root: &OwnedFd, mut step: impl FnMut(&CStr) -> io::Result<()>) -> io::Result<()> {
    for entry in Dir::read_from(root)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !name.starts_with(b".") || name == b"." || name == b".." {
            continue;
        }
        let mark = [name, b"/maildirfolder"].concat();
        if statat(root, mark.as_slice(), AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            step(entry.file_name())?;
        }
    }
    Ok(())
}

/// Tells whether a directory is a Maildir, or one lies in it, so many levels below at most. Links are not followed.
pub fn holds_maildir(path: &Path, levels: u32) -> bool {
    let is_dir = |path: &Path| path.symlink_metadata().is_ok_and(|stat| stat.is_dir());
    if PARTS.iter().all(|part| is_dir(&path.join(part))) {
        return true;
    }
    let Some(levels) = levels.checked_sub(1) else {
        return false;
    };
    // Looking must not change when it was read (open(2): for the owner and root alone).
    let Ok(dir) = openat(CWD, path, DIRECTORY | OFlags::NOATIME, Mode::empty()) else {
        return false;
    };
    let mut holds = false;
    let _ = Dir::new(dir).map(|entries| {
        for entry in entries.flatten() {
            let name = entry.file_name().to_bytes();
            let below = path.join(OsStr::from_bytes(name));
            holds |= !name.starts_with(b".") && is_dir(&below) && holds_maildir(&below, levels);
        }
    });
    holds
}

/// Tells whether a directory has a part of a Maildir, and not all: deliveries refuse it.
pub fn lacks_a_part(path: &Path) -> bool {
    let is_dir = |part: &&str| path.join(part).symlink_metadata().is_ok_and(|stat| stat.is_dir());
    (1..PARTS.len()).contains(&PARTS.into_iter().filter(is_dir).count())
}

fn open_root(path: &Path, uid: u32) -> Result<Option<OwnedFd>, Error> {
    match openat(CWD, path, DIRECTORY, Mode::empty()) {
        Ok(root) => {
            refuse_foreign(path, &root, uid)?;
            Ok(Some(root))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(open_error(path, e)),
    }
}

/// How much of a Maildir is there.
enum NameParts {
    All,
    None,
    /// What a run leaves that was killed while it made them: those that are made first, and nothing in them.
    Begun,
}

fn parts(path: &Path, root: &OwnedFd) -> Result<NameParts, Error> {
    let is_there = |name: &&str| !is_missing(root, name);
    let there: Vec<&str> = PARTS.iter().copied().filter(is_there).collect();
    if there.len() == PARTS.len() {
        return Ok(NameParts::All);
    }
    if there.is_empty() {
        return Ok(NameParts::None);
    }
    let is_begun = PARTS.starts_with(&there) && there.iter().all(|name| is_empty(root, name));
    is_begun.then_some(NameParts::Begun).ok_or_else(|| lacks(path, root))
}

fn is_missing(root: &OwnedFd, name: &str) -> bool {
    matches!(statat(root, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT))
}

fn lacks(path: &Path, root: &OwnedFd) -> Error {
    let missing: Vec<&str> = PARTS.iter().copied().filter(|name| is_missing(root, name)).collect();
    let cause = format!("it lacks {}", missing.join(" and "));
    Error::new(Category::Mailbox, "use as a Maildir", path.display(), cause)
        .needs_mending()
        .hint("make what is missing (mkdir -m 700), unless the mail is on a file system that is not mounted")
}

fn is_empty(root: &OwnedFd, name: &str) -> bool {
    let Ok(dir) = openat(root, name, DIRECTORY, Mode::empty()) else {
        return false;
    };
    let mut is_empty = true;
    let read = each_name(&dir, |_| {
        is_empty = false;
        Ok(ControlFlow::Break(()))
    });
    read.is_ok() && is_empty
}

/// Tells whether a Maildir that is not there would be made in a directory of the user's.
pub fn is_made_in_own(path: &Path, uid: u32) -> bool {
    let there = path.ancestors().skip(1).find_map(|above| above.metadata().ok());
    there.is_some_and(|stat| stat.is_dir() && stat.uid() == uid)
}

/// Makes the directory and those above it, where the one that is there is the user's.
fn make_root(path: &Path, uid: u32) -> Result<(), Error> {
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = match openat(CWD, above, flags, Mode::empty()) {
        Err(Errno::NOENT) if above != path => {
            make_root(above, uid)?;
            openat(CWD, above, flags, Mode::empty())
        }
        opened => opened,
    };
    let dir = dir.map_err(|e| open_error(above, e))?;
    let stat = fstat(&dir).map_err(|e| Error::io("examine", above, &e.into()))?;
    if stat.st_uid != uid {
        let cause = format!("{} belongs to uid {}, not to uid {uid}", above.display(), stat.st_uid);
        return Err(Error::new(Category::Mailbox, "make the Maildir", path.display(), cause)
            .needs_mending()
            .hint("make it once as root, and give it to the user"));
    }
    let name = path.file_name().unwrap_or_default();
    match mkdirat(&dir, name, PRIVATE) {
        Ok(()) | Err(Errno::EXIST) => fsync(&dir).map_err(|e| Error::io("sync", above, &e.into())),
        Err(e) => Err(Error::io("make the Maildir", path, &e.into())),
    }
}

fn make_parts(path: &Path, root: &OwnedFd) -> Result<(), Error> {
    for name in PARTS {
        match mkdirat(root, name, PRIVATE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(Error::io("make directory", &path.join(name), &e.into())),
        }
    }
    fsync(root).map_err(|e| Error::io("sync", path, &e.into()))
}

fn refuse_foreign(path: &Path, dir: &OwnedFd, uid: u32) -> Result<(), Error> {
    let stat: Stat = fstat(dir).map_err(|e| Error::io("examine", path, &e.into()))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory && stat.st_uid == uid {
        return Ok(());
    }
    let cause = format!("it belongs to uid {}, not to uid {uid}", stat.st_uid);
    Err(not_a_maildir(path, &cause).hint("give it to the user with chown"))
}

fn open_error(path: &Path, e: Errno) -> Error {
    match e {
        Errno::LOOP => not_a_maildir(path, "it is a symbolic link").hint("name the place where it leads"),
        // Which of both a link is depends on the flags (open(2)).
        Errno::NOTDIR if path.is_symlink() => {
            not_a_maildir(path, "it is a symbolic link").hint("name the place where it leads")
        }
        Errno::NOTDIR => not_a_maildir(path, "it is no directory"),
        e => Error::io("open", path, &e.into()).class(Category::Mailbox),
    }
}

fn not_a_maildir(path: &Path, cause: &str) -> Error {
    Error::new(Category::Mailbox, "use as a Maildir", path.display(), cause).needs_mending()
}
