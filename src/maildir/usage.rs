//! How much lies in a Maildir, by the names of its messages. What a name does not say, its file is asked for; no
//! message is read.

use std::ffi::CStr;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::maildir::directory::{Maildir, each_folder, each_name};
use crate::maildir::name;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaildirUsage {
    /// In bytes on disk.
    pub bytes: u64,
    pub messages: u64,
}

impl MaildirUsage {
    /// Counts what lies in the Maildir and in its folders, but not in `.Trash` (Maildir++).
    pub fn count(maildir: &Maildir) -> io::Result<Self> {
        let mut usage = Self::default();
        each_message(maildir, |_, bytes| {
            usage.bytes = usage.bytes.saturating_add(bytes);
            usage.messages += 1;
        })?;
        Ok(usage)
    }
}

#[derive(Clone, Copy)]
enum MessagePlace {
    /// What is left out there would be missing in the count.
    Inbox,
    /// One that may not be looked into must not hold mail up.
    Folder,
}

/// Calls `step` with the name and the size in bytes of each message that counts: those of the Maildir and of its
/// folders, but not of `.Trash` (Maildir++).
pub fn each_message(maildir: &Maildir, mut step: impl FnMut(&[u8], u64)) -> io::Result<()> {
    let mut each_in = |dir: &OwnedFd, place: MessagePlace| {
        each_name(dir, |name| {
            let size = match (size_of(dir, name), place) {
                (Err(e), MessagePlace::Folder) if e.kind() == io::ErrorKind::PermissionDenied => None,
                (size, MessagePlace::Folder | MessagePlace::Inbox) => size?,
            };
            if let Some(bytes) = size {
                step(name.to_bytes(), bytes);
            }
            Ok(ControlFlow::Continue(()))
        })
    };
    each_in(maildir.new_dir(), MessagePlace::Inbox)?;
    each_in(maildir.cur_dir(), MessagePlace::Inbox)?;
    each_folder(maildir.root(), |folder| {
        if folder == c".Trash" {
            return Ok(());
        }
        let Some(folder) = open_own(maildir.root(), folder)? else {
            return Ok(());
        };
        for part in [c"new", c"cur"] {
            if let Some(part) = open_own(&folder, part)? {
                each_in(&part, MessagePlace::Folder)?;
            }
        }
        Ok(())
    })
}

/// Opens a directory of the Maildir; none where it is a link to somebody else's, as shared folders are put in, or may
/// not be looked into. Mail would have to wait for ever for a count of it.
fn open_own(dir: &OwnedFd, name: &CStr) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(dir, name, flags, Mode::empty()) {
        Ok(part) => Ok(Some(part)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The size of a message, by its name, else by its file; none where it is gone, or no file.
pub fn size_of(dir: &OwnedFd, name: &CStr) -> io::Result<Option<u64>> {
    if let Some(bytes) = name::size_of(name.to_bytes()) {
        return Ok(Some(bytes));
    }
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            Ok(Some(u64::try_from(stat.st_size).unwrap_or_default()))
        }
        Ok(_) => Ok(None),
        // Given other flags meanwhile, or removed.
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
