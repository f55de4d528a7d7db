//! Opens a mailbox and locks it, all locks or none. On failure nothing is left behind, and the error says who is in the way.
//!
//! Programs that share a mailbox take these locks in different orders, so waiting for one while holding another can deadlock.
//! Nothing here blocks: when a lock is taken, everything is released, and after a random time it starts over.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt as _, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs2::FileExt;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FcntlArg, OFlag, fcntl};
use nix::libc;

use crate::act::patience::Patience;
use crate::exit::{Class, Error};

/// A dotlock that nobody can vouch for is stale after this long. Others refresh theirs each minute, and the shortest age
/// that any of them respects is 5 minutes (liblockfile, lockfile_check(3)).
const STALE_AGE: Duration = Duration::from_secs(600);

/// The first pause after a lock was found taken; it doubles up to `LONGEST_PAUSE`, and each is shortened by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

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
        patience.check("lock", &path.display().to_string())?;
        let held = match attempt(path, plan)? {
            Attempt::Locked(locked) => return Ok(locked),
            Attempt::Changed => continue,
            Attempt::Held(by) => by,
        };
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

fn open_or_create(path: &Path, plan: &Plan) -> Result<(File, bool), Error> {
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
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => Err(odd(path, "it is a directory")),
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
            return Err(Error::io("create mailbox", path, &e).class(Class::Mailbox).hint(format!(
                "create it once as root (install -m 660 -o USER -g mail /dev/null {}), or install spoolguard setgid mail",
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
fn is_still(file: &File, path: &Path) -> Result<bool, Error> {
    let open = file.metadata().map_err(|e| Error::io("examine", path, &e))?;
    match path.symlink_metadata() {
        Ok(now) => Ok(same_file(&open, &now)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("examine", path, &e)),
    }
}

fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Takes a write lock over the whole file. An open-file-description lock meets every other program's fcntl locks, and does
/// not vanish when another descriptor of the file is closed (fcntl(2)).
fn lock_fcntl(file: &File, path: &Path) -> Result<bool, Error> {
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

/// Our `<mailbox>.lock`. Dropping it removes it, if it is still ours.
#[derive(Debug)]
struct Dotlock {
    path: PathBuf,
    // Open and locked for as long as we live: the kernel's own word that the owner is alive.
    file: File,
}

/// Whether there are locks beside the dotlock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    None,
    Planned,
}

enum Taken {
    Ours(Dotlock),
    /// This user can make none here, and there is none; other locks have to do.
    NotPossible,
    /// A stale one was removed.
    Removed,
    Held(String),
}

impl Dotlock {
    fn take(mailbox: &Path, plan: &Plan) -> Result<Taken, Error> {
        let path = beside(mailbox, ".lock");
        let others = if plan.methods.iter().any(|m| *m != Method::Dotlock) {
            Others::Planned
        } else {
            Others::None
        };
        let fresh = match Draft::make(mailbox) {
            Ok(fresh) => fresh,
            Err(e) if cannot_be_made(&e) => {
                // Somebody with more rights may have made one: procmail does, where the user cannot.
                return match path.symlink_metadata() {
                    Ok(stat) if age(&stat, None) < STALE_AGE => Ok(Taken::Held(format!("{} exists", path.display()))),
                    _ if others == Others::Planned => Ok(Taken::NotPossible),
                    _ => Err(Error::io("make dotlock", &path, &e).class(Class::Mailbox)),
                };
            }
            Err(e) => return Err(Error::io("make dotlock", &path, &e)),
        };
        match fresh.publish(&path) {
            Ok(()) => Ok(Taken::Ours(Self { path, file: fresh.file })),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => judge(&path, mailbox, plan, &fresh.file, others),
            Err(e) => Err(Error::io("make dotlock", &path, &e)),
        }
    }
}

impl Drop for Dotlock {
    fn drop(&mut self) {
        // Somebody may have thought it stale and made their own.
        if is_still(&self.file, &self.path).unwrap_or(false) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn cannot_be_made(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::InvalidFilename
    )
}

/// A dotlock that has its content and its kernel lock, but not its name yet: nobody ever sees one without an owner.
struct Draft {
    file: File,
    /// Its name until it gets the right one, where the file system knows no nameless files.
    name: Option<TemporaryName>,
}

impl Draft {
    fn make(mailbox: &Path) -> io::Result<Self> {
        let dir = parent(mailbox);
        let nameless = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(0o644)
            .custom_flags(OFlag::O_TMPFILE.bits())
            .open(dir);
        let (file, name) = match nameless {
            Ok(file) => (file, None),
            // Some file systems, NFS among them, know no nameless files; before Linux 3.11 nobody did (open(2)).
            Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {
                Self::named(mailbox)?
            }
            Err(e) => return Err(e),
        };
        let mut draft = Self { file, name };
        draft.file.write_all(Identity::own().to_string().as_bytes())?;
        // Refused only where the file system knows no flock; then the age decides, as it does between hosts.
        let _ = FileExt::try_lock_exclusive(&draft.file);
        Ok(draft)
    }

    fn named(mailbox: &Path) -> io::Result<(File, Option<TemporaryName>)> {
        let unique = format!(
            ".lock.{}.{}.{:08x}",
            Identity::host(),
            std::process::id(),
            fastrand::u32(..)
        );
        let name = beside(mailbox, &unique);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&name)?;
        Ok((file, Some(TemporaryName(name))))
    }

    /// Gives it its name, unless somebody has that name already: link(2) does both at once, on NFS too.
    fn publish(&self, path: &Path) -> io::Result<()> {
        let linked = match &self.name {
            Some(name) => nix::unistd::linkat(AT_FDCWD, &name.0, AT_FDCWD, path, AtFlags::empty()),
            None => {
                let name = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                nix::unistd::linkat(AT_FDCWD, name.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)
            }
        };
        let links = if self.name.is_some() { 2 } else { 1 };
        match linked {
            Ok(()) => Ok(()),
            // Over NFS the answer may get lost though the link was made; the number of links tells (link(2), BUGS).
            Err(_)
                if self.file.metadata().is_ok_and(|stat| stat.nlink() == links)
                    && is_still(&self.file, path).unwrap_or(false) =>
            {
                Ok(())
            }
            Err(e) => Err(e.into()),
        }
    }
}

/// A name that goes when this does.
struct TemporaryName(PathBuf);

impl Drop for TemporaryName {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Who made a dotlock: the process id on the first line, as every program writes it, and what makes it unique on the second.
struct Identity {
    pid: u32,
    boot: String,
}

impl Identity {
    fn own() -> Self {
        Self {
            pid: std::process::id(),
            boot: Self::boot(),
        }
    }

    /// Names this start of this kernel; processes in other containers of the same machine share it.
    fn boot() -> String {
        read_small(Path::new("/proc/sys/kernel/random/boot_id"))
            .trim()
            .to_owned()
    }

    fn host() -> String {
        nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().replace(['/', '\n', ' '], "_"))
            .unwrap_or_default()
    }

    /// When this process was started, in clock ticks after boot (proc_pid_stat(5), field 22).
    fn started() -> String {
        let stat = read_small(Path::new("/proc/self/stat"));
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        after_name.split_ascii_whitespace().nth(19).unwrap_or("0").to_owned()
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let boot = lines
            .next()?
            .strip_prefix("spoolguard ")?
            .split_ascii_whitespace()
            .find_map(|word| word.strip_prefix("boot="))?;
        Some(Self {
            pid,
            boot: boot.to_owned(),
        })
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.pid)?;
        writeln!(
            f,
            "spoolguard host={} boot={} start={}",
            Self::host(),
            self.boot,
            Self::started()
        )
    }
}

/// Somebody has the dotlock. Looks whether they still live; what a dead spoolguard left is taken over, and what is too old is
/// removed.
fn judge(path: &Path, mailbox: &Path, plan: &Plan, fresh: &File, others: Others) -> Result<Taken, Error> {
    let held = || Taken::Held(format!("{} exists", path.display()));
    let stat = match path.symlink_metadata() {
        Ok(stat) => stat,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Taken::Removed),
        Err(e) => return Err(Error::io("examine dotlock", path, &e)),
    };
    let theirs = open_dotlock(path)
        .ok()
        .filter(|file| file.metadata().is_ok_and(|now| now.is_file() && same_file(&now, &stat)));
    if let Some(file) = theirs
        && let Some(identity) = Identity::read(&read_some(&file))
        && identity.boot == Identity::boot()
    {
        // Made by spoolguard under this kernel: it is stale exactly when its owner's kernel lock is gone. While we hold that
        // lock nobody else comes to the same conclusion, and the path is looked at again before anything is done.
        return match FileExt::try_lock_exclusive(&file) {
            Ok(()) => take_over(path, file, &stat, others),
            Err(_) => Ok(Taken::Held(format!(
                "{} exists, made by process {}",
                path.display(),
                identity.pid
            ))),
        };
    }
    if age(&stat, Some(fresh)) < STALE_AGE {
        return Ok(held());
    }
    // Too old, and nobody can be asked. Whoever removes one holds the mailbox's fcntl lock meanwhile: then of two that come to
    // this point one waits, and a lock made in the last moment is found without effect by its owner.
    let (guard, _) = open_or_create(mailbox, plan)?;
    if lock_fcntl(&guard, mailbox)? {
        remove(path, &stat, others)
    } else {
        Ok(held())
    }
}

/// Opens a dotlock to read it, and to write it where that is allowed.
fn open_dotlock(path: &Path) -> io::Result<File> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags);
    match options.clone().write(true).open(path) {
        Err(e) if cannot_be_made(&e) => options.open(path),
        result => result,
    }
}

/// Makes a dead spoolguard's dotlock ours, without a moment in which there is none: the mailbox may end in a part of a message,
/// and other programs would write theirs right behind it.
fn take_over(path: &Path, file: File, judged: &std::fs::Metadata, others: Others) -> Result<Taken, Error> {
    if !is_still(&file, path)? {
        return Ok(Taken::Removed);
    }
    let own = Identity::own().to_string();
    // Written over rather than emptied first: one without an owner would have to grow old. This makes it young, too.
    let written = file
        .write_all_at(own.as_bytes(), 0)
        .and_then(|()| file.set_len(own.len() as u64));
    match written {
        Ok(()) => Ok(Taken::Ours(Dotlock {
            path: path.to_owned(),
            file,
        })),
        // Another user's. In a directory of ours it can be removed all the same.
        Err(_) => remove(path, judged, others),
    }
}

/// Removes the dotlock at `path` if it is still the one that was judged.
fn remove(path: &Path, judged: &std::fs::Metadata, others: Others) -> Result<Taken, Error> {
    match path.symlink_metadata() {
        Ok(now) if same_file(&now, judged) && now.mtime() == judged.mtime() => match std::fs::remove_file(path) {
            Ok(()) => Ok(Taken::Removed),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Taken::Removed),
            // In a sticky directory somebody else's cannot be removed; it has no owner, and the other locks hold.
            Err(e) if cannot_be_made(&e) && others == Others::Planned => Ok(Taken::NotPossible),
            Err(e) => Err(Error::io("remove stale dotlock", path, &e).class(Class::Mailbox)),
        },
        _ => Ok(Taken::Removed),
    }
}

/// How long ago a file was changed, by the file server's clock where a file just made there tells it.
fn age(stat: &std::fs::Metadata, fresh: Option<&File>) -> Duration {
    let now = match fresh.and_then(|file| file.metadata().ok()) {
        Some(fresh) => fresh.mtime(),
        None => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
    };
    Duration::from_secs(u64::try_from(now - stat.mtime()).unwrap_or(0))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// The path with `suffix` behind its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn read_small(path: &Path) -> String {
    File::open(path).map(|file| read_some(&file)).unwrap_or_default()
}

fn read_some(mut file: &File) -> String {
    let mut bytes = [0; 512];
    let read = file.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned()
}

/// Makes a file's name last: a created file is not safe until its directory is (fsync(2)).
///
/// # Errors
/// When the directory cannot be opened or synced.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

/// Makes a directory and those above it, for this user alone.
///
/// # Errors
/// When one cannot be made.
pub fn make_private_dir(dir: &Path) -> Result<(), Error> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| Error::io("make directory", dir, &e))
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Identity, Method, Owner, Plan, attempt};
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;

    #[test]
    fn an_identity_is_read_back() {
        let own = Identity::own();
        let read = Identity::read(&own.to_string());
        assert!(read.is_some_and(|read| read.pid == own.pid && read.boot == own.boot));
        assert!(Identity::read("123\n").is_none());
        assert!(Identity::read("0").is_none());
    }

    #[test]
    fn the_dotlock_of_a_dead_owner_is_taken_over_and_never_missing() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        let plan = Plan {
            methods: vec![Method::Dotlock, Method::Fcntl],
            timeout: Duration::ZERO,
            owner: Owner::Exactly(nix::unistd::getuid().as_raw()),
        };
        let dotlock = dir.path().join("a.lock");
        let dead = Identity {
            pid: 4_000_000_000,
            ..Identity::own()
        };
        let written = std::fs::write(&dotlock, dead.to_string());
        assert!(written.is_ok());
        let inode = || std::fs::metadata(&dotlock).map(|stat| stat.ino()).ok();
        let before = inode();
        let locked = attempt(&path, &plan);
        assert!(matches!(&locked, Ok(Attempt::Locked(_))));
        assert_eq!(inode(), before);
        assert_eq!(
            std::fs::read_to_string(&dotlock).unwrap_or_default(),
            Identity::own().to_string()
        );
        assert!(matches!(attempt(&path, &plan), Ok(Attempt::Held(_))));
        drop(locked);
        assert!(!dotlock.exists());
    }

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
