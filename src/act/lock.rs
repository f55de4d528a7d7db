//! Opens a mailbox and locks it, all locks or none. On failure nothing is left behind, and the error says who is in the way.
//!
//! Programs that share a mailbox take these locks in different orders, so waiting for one while holding another can deadlock.
//! Nothing here blocks: when a lock is taken, everything is released, and after a random time it starts over.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs2::FileExt;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use crate::act::dir::parent;
use crate::act::dotlock::{Dotlock, Taken};
use crate::act::patience::Patience;
use crate::exit::{Class, Error};

/// The first pause after a lock was found taken; it doubles up to `LONGEST_PAUSE`, and each is shortened by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

/// One way to lock a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `<mailbox>.lock`, made by link(2).
    Dotlock,
    /// A write lock over the whole file, fcntl(2); seen by every program that locks any part of it.
    Fcntl,
    /// flock(2), which on Linux neither sees fcntl locks nor is seen by them.
    Flock,
}

/// Whose mailbox this has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This user, and nobody else.
    Exactly(u32),
    /// The administrator named the path: whoever owns it, but in a directory that everybody may write to only this user or root.
    Trusted(u32),
}

/// How to lock, and for how long to try.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The methods, at least one; whatever their order here, the dotlock comes first.
    pub methods: Vec<Method>,
    /// For how long to try.
    pub timeout: Duration,
    /// Whose mailbox it has to be.
    pub owner: Owner,
}

/// An open mailbox that nobody else changes as long as this lives.
#[derive(Debug)]
#[must_use]
pub struct Locked {
    path: PathBuf,
    file: File,
    created: bool,
    // Dropped last, after `file` and the kernel locks that hang on it.
    _dotlock: Option<Dotlock>,
}

impl Locked {
    /// The mailbox, open for reading and appending.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells whether it was made by this run.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }
}

/// Opens and locks the mailbox at `path`, and makes it if there is none.
///
/// # Errors
/// When the path is no mailbox (a link, a device, somebody else's), when it cannot be opened or made, or when somebody else
/// holds a lock for longer than the plan waits.
pub fn lock(path: &Path, plan: &Plan, patience: &Patience) -> Result<Locked, Error> {
    let until = Instant::now() + plan.timeout.min(patience.remaining());
    let mut pause = FIRST_PAUSE;
    loop {
        let held = match attempt(path, plan)? {
            Attempt::Locked(locked) => return Ok(locked),
            Attempt::Changed => continue,
            Attempt::Held(by) => by,
        };
        patience.check("lock", &path.display().to_string())?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let waited = plan.timeout.as_secs_f32();
            return Err(Error::new(
                Class::Mailbox,
                "lock",
                path.display(),
                format_args!("{held} for longer than {waited} s"),
            ));
        }
        // By chance, so that two that met do not meet again (Debian policy 11.6).
        let part = 0.5 + fastrand::f64() / 2.0;
        patience.sleep(pause.mul_f64(part).min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Attempt {
    Locked(Locked),
    /// Something in our way was removed, or the mailbox was replaced: no reason to wait.
    Changed,
    /// Somebody holds it.
    Held(String),
}

/// Takes every lock, or none of them.
fn attempt(path: &Path, plan: &Plan) -> Result<Attempt, Error> {
    // The dotlock is taken before the file is opened: over NFS an older descriptor may not see the true end of the file.
    let dotlock = if plan.methods.contains(&Method::Dotlock) {
        match Dotlock::take(path, plan)? {
            Taken::Ours(dotlock) => Some(dotlock),
            Taken::NotPossible => None,
            Taken::Removed => return Ok(Attempt::Changed),
            Taken::Held(by) => return Ok(Attempt::Held(by)),
        }
    } else {
        None
    };
    let (file, created) = open_or_create(path, plan)?;
    if plan.methods.contains(&Method::Fcntl) && !lock_fcntl(&file, path)? {
        return Ok(Attempt::Held("another program holds its fcntl lock".to_owned()));
    }
    if plan.methods.contains(&Method::Flock) && !lock_flock(&file, path)? {
        return Ok(Attempt::Held("another program holds its flock lock".to_owned()));
    }
    // Between open and lock the mailbox may have been replaced; then the path names another file now.
    if is_still(&file, path)? {
        check(&file, path, plan.owner)?;
        Ok(Attempt::Locked(Locked {
            path: path.to_owned(),
            file,
            created,
            _dotlock: dotlock,
        }))
    } else {
        Ok(Attempt::Changed)
    }
}

/// Opens the mailbox without following a link and without waiting for a FIFO.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    // Reading its end must not make the mailbox look read: "new mail" means mtime later than atime. Owner only (open(2)).
    match options.custom_flags((flags | OFlag::O_NOATIME).bits()).open(path) {
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => options.custom_flags(flags.bits()).open(path),
        result => result,
    }
}

/// Opens the mailbox, or makes an empty one.
///
/// # Errors
/// When the path is no mailbox, or neither can be done.
pub fn open_or_create(path: &Path, plan: &Plan) -> Result<(File, bool), Error> {
    match open(path) {
        Ok(file) => {
            check(&file, path, plan.owner)?;
            Ok((file, false))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => create(path, plan.owner),
        Err(e) if e.raw_os_error() == Some(libc::ELOOP) => Err(odd(path, "it is a symbolic link")),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENXIO | libc::ENODEV)) => {
            Err(odd(path, "it is no regular file"))
        }
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => Err(odd(path, "it is a directory, and not an mbox")),
        Err(e) => Err(Error::io("open", path, &e).class(Class::Mailbox)),
    }
}

/// Makes an empty mailbox: 0660 where the directory belongs to a group that writes to it, 0600 elsewhere.
fn create(path: &Path, owner: Owner) -> Result<(File, bool), Error> {
    let dir = parent(path);
    let made = OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path);
    let file = match made {
        Ok(file) => file,
        // Somebody was faster; or a link stood there, and the next look will say so.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let file = open(path).map_err(|e| Error::io("open", path, &e).class(Class::Mailbox))?;
            check(&file, path, owner)?;
            return Ok((file, false));
        }
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            let user = path.file_name().unwrap_or_default().to_string_lossy();
            return Err(Error::io("create mailbox", path, &e).class(Class::Mailbox).hint(format!(
                "create it once as root (install -m 660 -o {user} -g mail /dev/null {}), or install spoolguard setgid mail",
                path.display()
            )));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(Error::io("create mailbox", path, &e)
                .class(Class::Mailbox)
                .hint(format!("the directory {} has to exist", dir.display())));
        }
        Err(e) => return Err(Error::io("create mailbox", path, &e)),
    };
    let shared = dir
        .metadata()
        .is_ok_and(|d| d.mode() & 0o020 != 0 && file.metadata().is_ok_and(|f| f.gid() == d.gid()));
    let mode = if shared { 0o660 } else { 0o600 };
    // The caller's umask says nothing about mailboxes.
    file.set_permissions(std::fs::Permissions::from_mode(mode))
        .map_err(|e| Error::io("set the mode of", path, &e))?;
    Ok((file, true))
}

/// Refuses what is no mailbox: one that is linked elsewhere too, special files, somebody else's.
fn check(file: &File, path: &Path, owner: Owner) -> Result<(), Error> {
    let stat = file.metadata().map_err(|e| Error::io("examine", path, &e))?;
    if !stat.is_file() {
        return Err(odd(path, "it is no regular file"));
    }
    if stat.nlink() > 1 {
        // In a directory that others write to, a second name may be anybody's trap (CVE-2008-2936, CVE-2010-2023).
        return Err(odd(path, "it has more than one link"));
    }
    let (uid, found) = (stat.uid(), stat.uid());
    match owner {
        Owner::Exactly(user) if user != found => {
            Err(odd(path, &format!("it belongs to uid {uid}, not to uid {user}"))
                .hint("give it to the user with chown"))
        }
        Owner::Trusted(user) if user != found && found != 0 && everybody_writes(path) => Err(odd(
            path,
            &format!("it belongs to uid {uid}, in a directory that everybody may write to"),
        )),
        Owner::Exactly(_) | Owner::Trusted(_) => Ok(()),
    }
}

fn everybody_writes(path: &Path) -> bool {
    parent(path).metadata().is_ok_and(|dir| dir.mode() & 0o002 != 0)
}

fn odd(path: &Path, cause: &str) -> Error {
    Error::new(Class::Mailbox, "use as a mailbox", path.display(), cause).needs_mending()
}

/// Tells whether `path` still names the open file.
///
/// # Errors
/// When either cannot be examined.
pub fn is_still(file: &File, path: &Path) -> Result<bool, Error> {
    let open = file.metadata().map_err(|e| Error::io("examine", path, &e))?;
    match path.symlink_metadata() {
        Ok(now) => Ok(same_file(&open, &now)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("examine", path, &e)),
    }
}

/// Tells whether both describe one file.
#[must_use]
pub fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Takes a write lock over the whole file. An open-file-description lock meets every other program's fcntl locks, and does
/// not vanish when another descriptor of the file is closed (fcntl(2)).
///
/// # Errors
/// When the file system cannot lock at all.
pub fn lock_fcntl(file: &File, path: &Path) -> Result<bool, Error> {
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let result = match fcntl(file, FcntlArg::F_OFD_SETLK(&whole)) {
        Err(Errno::EINVAL | Errno::ENOSYS) => fcntl(file, FcntlArg::F_SETLK(&whole)),
        result => result,
    };
    match result {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(e) => Err(Error::io("lock", path, &e.into())),
    }
}

fn lock_flock(file: &File, path: &Path) -> Result<bool, Error> {
    match FileExt::try_lock_exclusive(file) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(e) => Err(Error::io("lock", path, &e)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Method, Owner, Plan, attempt};
    use std::time::Duration;

    #[test]
    fn one_attempt_takes_every_lock_and_dropping_it_leaves_none() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        let plan = Plan {
            methods: vec![Method::Dotlock, Method::Fcntl, Method::Flock],
            timeout: Duration::ZERO,
            owner: Owner::Exactly(nix::unistd::getuid().as_raw()),
        };
        let dotlock = dir.path().join("a.lock");
        let locked = attempt(&path, &plan);
        assert!(matches!(&locked, Ok(Attempt::Locked(_))));
        assert!(dotlock.exists());
        assert!(matches!(attempt(&path, &plan), Ok(Attempt::Held(_))));
        drop(locked);
        assert!(!dotlock.exists());
    }
}
