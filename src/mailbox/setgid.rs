//! Runs single calls with the group of the spool directory, for what a user cannot do: make and remove the dotlock of
//! the own mailbox there, make that mailbox, and read the SRS secrets that the administrator's configuration names. The
//! group comes from a setgid installation, or from root before it becomes the user, and waits in the saved group id. It
//! is taken for single calls, each of which is first tried without it, and given back when they end. Where anything is
//! not as it should be, there is no group, and the run goes on as one without that installation.
//!
//! `SetAside` is the group while it waits: it cannot be made elsewhere, and dropping it gives it up for good.
//! `SpoolDirAccess` is the only thing that takes it, and exists for one checked directory and one name. Which directory
//! and which name, a caller does not say: the system's configuration does, and `/etc/passwd`.
//!
//! What a caller may try, and why it leads nowhere:
//!
//! - `--config`, the own configuration, `HOME`, `USER`, `MAIL`: none of them is asked for the directory or the name;
//!   `--mailbox` and `--user` lead to other paths, and for those the group is never taken.
//! - `PATH`, a forged name service: getent(1) runs as the caller, who could answer in its place; the name is read from
//!   the file alone.
//! - `LD_PRELOAD`, `LD_LIBRARY_PATH`, `GLIBC_TUNABLES`: the loader ignores them under setgid (`AT_SECURE`, ld.so(8)).
//! - ptrace, strace: a traced execve does not take the group (execve(2)); no process of the caller's may trace or look
//!   into one that did, since it is not dumpable (`PR_SET_DUMPABLE`, prctl(2)). For the same reason nobody opens its
//!   descriptors in `/proc`.
//! - a core dump: not dumpable, and `RLIMIT_CORE` is 0.
//! - seccomp filters that let calls seem to succeed: they need `no_new_privs`, and that voids setgid.
//! - a user namespace with an `/etc` of one's own: the group is not mapped there, and the kernel ignores setgid
//!   (`user_namespaces(7)`).
//! - a link put in the place of the directory or of one above it: the directory is opened once and judged as it is
//!   open; every call is relative to that.
//! - a link or a file put in the place of a name: what is made is made with `O_EXCL` or link(2), which follow nothing
//!   and replace nothing.
//! - a second hard link to a mailbox: one that is there is opened without the group, and refused (`mailbox/open.rs`).
//! - a rename between the calls: each needs the group of the directory, too; and after locking the mailbox is compared
//!   with its name.
//! - somebody else's dotlock under our name: in a sticky directory the kernel keeps it, and elsewhere the group removes
//!   none but the caller's own.
//! - `RLIMIT_FSIZE` 0: the dotlock cannot be filled, and is never named; SIGXFSZ is caught. A new mailbox stays empty.
//! - `RLIMIT_NOFILE`: what cannot be opened is an error; to remove the dotlock no descriptor is needed. `/etc/passwd`
//!   that cannot be opened names nobody.
//! - descriptors 0 to 2 closed: the runtime opens `/dev/null` in their place before main, so none of ours is printed
//!   to.
//! - signals: those that can be caught are held or noted, and end nothing (`sys/deadline.rs`); after SIGKILL there is
//!   no process to have the group, and its dotlock falls to the next run. SIGSTOP holds up nobody but the own mailbox.
//! - umask 0 or 0777: set anew at the start, and every mode is named.
//! - a huge or empty command line: it is parsed without the group.
//! - memory that runs out: the group is given back by a call that needs little; if it cannot be, the process ends at
//!   once.
//! - children: execve copies the effective group into the saved one, and that is the caller's whenever a child is
//!   started.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, raise};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{Gid, UnlinkatFlags, getresgid, getresuid, linkat, setegid, setresgid, unlinkat};

use crate::error::{Category, Error};
use crate::sys::account::{self, Account};
use crate::sys::dirs::parent_of;
use crate::sys::self_exec;

/// How often a group is given back before the process is ended for it.
const TRIES: u32 = 3;

/// A group that this process may take and has not taken. Dropped, it is gone for good.
#[derive(Debug)]
#[must_use]
pub struct SetAside {
    group: Gid,
    own: Gid,
}

/// Sets aside the group that the program is installed with; none where it is installed plainly, or where root runs it,
/// who has no need of it. Refuses every other right that the caller does not have: the sendmail that a caller
/// configures would run with it. Fails when the program is installed setuid, or setgid to root's group, or the group
/// cannot be set aside.
pub fn set_aside() -> Result<Option<SetAside>, Error> {
    let fail = |e: Errno| Error::io("give up", Path::new("the group"), &e.into());
    let refuse =
        |cause: &str, hint: &str| Err(Error::new(Category::Configuration, "run", "spoolguard", cause).hint(hint));
    let (user, group) = (getresuid().map_err(fail)?, getresgid().map_err(fail)?);
    if user.effective != user.real || user.saved != user.real {
        return refuse(
            "it is installed setuid, and would lend those rights to everybody",
            "chmod u-s it",
        );
    }
    if group.effective == group.real && group.saved == group.real {
        return Ok(None);
    }
    if group.effective.as_raw() == 0 || group.saved != group.effective {
        return refuse(
            "it is installed setgid to a group that it must not have",
            "chmod g-s it, or chgrp mail it",
        );
    }
    let waiting = SetAside::new(group.effective, group.real).map_err(fail)?;
    Ok((!account::is_root()).then_some(waiting))
}

impl SetAside {
    /// Gives the group up, but for the saved id.
    fn new(group: Gid, own: Gid) -> nix::Result<Self> {
        setresgid(own, own, group)?;
        let waiting = Self { group, own };
        renew_after_change();
        Ok(waiting)
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        or_end(|| setresgid(self.own, self.own, self.own));
        renew_after_change();
    }
}

/// The group, taken. Dropped, by a panic too, it is given back.
struct GroupInUse<'a>(&'a SetAside);

impl<'a> GroupInUse<'a> {
    fn take(waiting: &'a SetAside) -> nix::Result<Self> {
        setegid(waiting.group)?;
        let taken = Self(waiting);
        renew_after_change();
        Ok(taken)
    }
}

impl Drop for GroupInUse<'_> {
    fn drop(&mut self) {
        or_end(|| setegid(self.0.own));
        renew_after_change();
    }
}

/// Gives a group back, or ends the process: nothing may go on with it.
fn or_end(mut give_back: impl FnMut() -> nix::Result<()>) {
    for _ in 0..TRIES {
        if give_back().is_ok() {
            return;
        }
    }
    // Handled by an exit with 75 (`sys/deadline.rs`), without unwinding; a handler that is not there yet leaves the
    // signal's own end.
    let _ = raise(Signal::SIGABRT);
    let _ = raise(Signal::SIGKILL);
}

/// What each change of a group takes back. The kernel forbids dumps itself where `fs.suid_dumpable` is 0, at the start
/// and at each change. Nothing may be delivered behind the back of an MTA that has killed this run (prctl(2),
/// PR_SET_PDEATHSIG).
fn renew_after_change() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = set_dumpable(false);
    spoolguard_watch::end_with_parent_again();
}

/// The system's spool directory, open, if it is one for which a group is taken: root's, written to by a group that is
/// not root's, and by nobody else, or by everybody where each can remove only what is theirs.
#[derive(Debug)]
pub struct SpoolDir {
    dir: OwnedFd,
    path: PathBuf,
    group: Gid,
}

impl SpoolDir {
    /// Opens it; none where it cannot be opened, or is none.
    pub fn open(path: &Path) -> Option<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = open(path, flags, Mode::empty()).ok()?;
        let stat = fstat(&dir).ok()?;
        let is_for_all = stat.st_mode & 0o002 != 0 && stat.st_mode & 0o1000 == 0;
        let is_one = path.is_absolute() && stat.st_uid == 0 && stat.st_gid != 0 && stat.st_mode & 0o020 != 0;
        (is_one && !is_for_all).then(|| Self {
            dir,
            path: path.to_owned(),
            group: Gid::from_raw(stat.st_gid),
        })
    }

    /// The place of `user`'s mailbox there; none where the group is another one, or this is no name for a mailbox.
    #[must_use]
    pub fn place_of(self, user: &str, group: SetAside) -> Option<SpoolDirAccess> {
        // Names that `name` takes for those of a dotlock.
        let is_name = account::is_user_name(user) && !user.ends_with(".lock") && !user.contains(".lock.");
        (is_name && group.group == self.group).then(|| SpoolDirAccess {
            mailbox: self.path.join(user),
            dir: self.dir,
            group,
        })
    }

    /// Becomes the user of `account`, from root, and sets this directory's group aside on the way.
    pub fn become_user(&self, account: &Account) -> Result<Option<SetAside>, Error> {
        let own = account.gid.map(Gid::from_raw).filter(|own| *own != self.group);
        let (Some(own), false) = (own, account.uid == 0) else {
            account.become_user(None)?;
            return Ok(None);
        };
        account.become_user(Some(self.group))?;
        let fail = |e: Errno| Error::io("give up", Path::new("the group"), &e.into());
        Ok(Some(SetAside::new(self.group, own).map_err(fail)?))
    }
}

/// Tells whether the program is installed setgid to the group of this spool directory.
pub fn is_installed_for(dir: &Path) -> bool {
    let dir = SpoolDir::open(dir);
    dir.zip(self_exec::stat_self().ok())
        .is_some_and(|(dir, program)| program.mode() & 0o2010 == 0o2010 && program.gid() == dir.group.as_raw())
}

/// The place of the own mailbox in the system's spool directory, and the group that may write there.
#[derive(Debug)]
pub struct SpoolDirAccess {
    mailbox: PathBuf,
    dir: OwnedFd,
    group: SetAside,
}

impl SpoolDirAccess {
    /// Tells whether this is the own mailbox.
    pub fn is(&self, mailbox: &Path) -> bool {
        self.mailbox == mailbox
    }

    /// The name in the directory, if it is the mailbox, its dotlock, or a dotlock that has another name yet.
    fn link_file<'a>(&self, path: &'a Path) -> Option<&'a OsStr> {
        let name = path.file_name()?;
        let behind = name.as_bytes().strip_prefix(self.mailbox.file_name()?.as_bytes())?;
        let is_own = behind.is_empty() || behind == b".lock" || behind.starts_with(b".lock.");
        (is_own && parent_of(path) == parent_of(&self.mailbox)).then_some(name)
    }

    /// Opens a file to read it with the group. Which one, no caller may say: only one that the administrator's
    /// configuration names, and what stands in it must not get out.
    pub fn open_for_reading(&self, path: &Path) -> io::Result<File> {
        let _taken = GroupInUse::take(&self.group)?;
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        Ok(File::from(openat(AT_FDCWD, path, flags, Mode::empty())?))
    }

    /// Makes a call in the directory as the user, and only if that is not allowed with the group.
    fn call<T>(&self, call: impl Fn(BorrowedFd<'_>) -> nix::Result<T>) -> io::Result<T> {
        let made = match call(self.dir.as_fd()) {
            Err(Errno::EACCES) => {
                let _taken = GroupInUse::take(&self.group)?;
                call(self.dir.as_fd())
            }
            made => made,
        };
        Ok(made?)
    }
}

/// Makes the file `path`, which must not exist; with the group where `place` has it.
pub fn create_file(place: Option<&SpoolDirAccess>, path: &Path, flags: OFlag, mode: Mode) -> io::Result<File> {
    let flags = flags | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(match in_place(place, path) {
        Some((place, name)) => place.call(|dir| openat(dir, name, flags, mode))?,
        None => openat(AT_FDCWD, path, flags, mode)?,
    }))
}

/// Makes a file without a name in the directory of `path`; with the group where `place` has it.
pub fn make_nameless(place: Option<&SpoolDirAccess>, path: &Path, mode: Mode) -> io::Result<File> {
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    Ok(File::from(match in_place(place, path) {
        Some((place, _)) => place.call(|dir| openat(dir, ".", flags, mode))?,
        None => openat(AT_FDCWD, parent_of(path), flags, mode)?,
    }))
}

/// Gives the open file, which has this name or none, the name `path`, which must not exist; with the group where
/// `place` has it.
///
/// # Errors
/// When it cannot be named. Over NFS it may have been even so.
pub fn link_file(place: Option<&SpoolDirAccess>, file: &File, named: Option<&Path>, path: &Path) -> io::Result<()> {
    let descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    let (from, flags) = match named {
        Some(from) => (from, AtFlags::empty()),
        None => (Path::new(&descriptor), AtFlags::AT_SYMLINK_FOLLOW),
    };
    match in_place(place, path) {
        Some((place, name)) => place.call(|dir| match in_place(Some(place), from) {
            Some((_, from)) => linkat(dir, from, dir, name, flags),
            None => linkat(AT_FDCWD, from, dir, name, flags),
        }),
        None => Ok(linkat(AT_FDCWD, from, AT_FDCWD, path, flags)?),
    }
}

/// Removes the file `path`; with the group where `place` has it.
pub fn remove_file(place: Option<&SpoolDirAccess>, path: &Path) -> io::Result<()> {
    match in_place(place, path) {
        Some((place, name)) => place.call(|dir| unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)),
        None => std::fs::remove_file(path),
    }
}

fn in_place<'a, 'b>(place: Option<&'a SpoolDirAccess>, path: &'b Path) -> Option<(&'a SpoolDirAccess, &'b OsStr)> {
    let place = place?;
    Some((place, place.link_file(path)?))
}
