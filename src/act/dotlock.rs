//! The dotlock, `<mailbox>.lock`, made by link(2): taken by us, held by others, or stale.
//!
//! One that spoolguard made is stale at once when its owner is dead, and the kernel says so: the owner keeps a lock on the dotlock
//! itself. Of all others only the age is known. None is broken by a look and an unlink that somebody could come between.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fs2::FileExt;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::Uid;

use crate::act::account::host_name;
use crate::act::dir::beside;
use crate::act::kernel::lock_fcntl;
use crate::act::open::{Owner, is_still, open_or_create, same_file};
use crate::act::process;
use crate::act::spool_group::{self, OwnPlace};
use crate::exit::{Class, Error};

/// A dotlock that nobody can vouch for is stale after this long. Others refresh theirs each minute, and the shortest age
/// that any of them respects is 5 minutes (liblockfile, lockfile_check(3)).
const STALE_AGE: Duration = Duration::from_secs(600);

/// How old our own may grow before it is made young again.
const REFRESH_AGE: Duration = Duration::from_secs(20);

/// A dotlock holds a process id and a few words; what is larger is something else.
const LARGEST_BYTES: u64 = 4096;

/// Everybody may read who has it.
const MODE: Mode = Mode::from_bits_truncate(0o644);

/// How often its removal is tried.
const TRIES: u32 = 3;

/// A dotlock from so far in the future is from a clock that was wrong.
const WRONG_CLOCK: i64 = 24 * 60 * 60;

/// Our `<mailbox>.lock`. Dropping it removes it, if it is still ours.
#[derive(Debug)]
pub struct Dotlock {
    path: PathBuf,
    // Open and locked for as long as we live: the kernel's own word that the owner is alive.
    file: File,
    place: Option<Arc<OwnPlace>>,
}

/// Whether there are locks beside the dotlock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// There are none.
    None,
    /// At least one is taken too.
    Planned,
}

/// What became of the attempt to take one.
#[derive(Debug)]
#[must_use]
pub enum Taken {
    /// It is ours.
    Ours(Dotlock),
    /// This user can make none here, and there is none; other locks have to do.
    NotPossible,
    /// A stale one was removed, or it went away.
    Removed,
    /// Somebody has it.
    Held(String),
}

impl Dotlock {
    /// Takes the dotlock of `mailbox`, in `place` if it is the own one, or says who has it.
    ///
    /// # Errors
    /// When it can neither be made nor done without.
    pub fn take(mailbox: &Path, owner: Owner, others: Others, place: Option<&Arc<OwnPlace>>) -> Result<Taken, Error> {
        let path = beside(mailbox, ".lock");
        let mut fresh = match Draft::make(mailbox, place) {
            Ok(fresh) => fresh,
            Err(e) if cannot_be_made(&e) => {
                // Somebody with more rights may have made one: procmail does, where the user cannot.
                return match path.symlink_metadata() {
                    // What a dead spoolguard left, root's for example, is in nobody's way who has another lock.
                    Ok(stat) if age(&stat, None) < STALE_AGE && !is_dead(&path, &stat) => {
                        Ok(Taken::Held(format!("{} exists", path.display())))
                    }
                    _ if others == Others::Planned => Ok(Taken::NotPossible),
                    _ => Err(Error::io("make dotlock", &path, &e).class(Class::Mailbox)),
                };
            }
            Err(e) => return Err(Error::io("make dotlock", &path, &e)),
        };
        let published = match fresh.publish(&path) {
            // Without /proc a nameless file never gets a name.
            Err(e) if e.kind() == io::ErrorKind::NotFound && fresh.name.is_none() => {
                let named = Draft::named(mailbox, place).and_then(|made| Draft::of(made, place));
                fresh = named.map_err(|e| Error::io("make dotlock", &path, &e))?;
                fresh.publish(&path)
            }
            result => result,
        };
        match published {
            Ok(()) => Ok(Taken::Ours(Self {
                path,
                file: fresh.file,
                place: place.cloned(),
            })),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                judge(&path, mailbox, owner, &fresh.file, others, place)
            }
            Err(e) => Err(Error::io("make dotlock", &path, &e)),
        }
    }
}

impl Dotlock {
    /// Makes it young again, when it is more than some seconds old. Nothing is lost when that fails: it is only removed sooner.
    pub fn refresh(&self) {
        let old = self.file.metadata().and_then(|stat| stat.modified());
        if old.is_ok_and(|old| old.elapsed().is_ok_and(|age| age > REFRESH_AGE)) {
            let _ = self.file.set_modified(SystemTime::now());
        }
    }
}

impl Drop for Dotlock {
    fn drop(&mut self) {
        // Somebody may have thought it stale and made their own. Other programs wait for minutes when one is left, so a call that
        // fails once is made again.
        for _ in 0..TRIES {
            match is_still(&self.file, &self.path) {
                Ok(false) => return,
                Ok(true) if spool_group::remove(self.place.as_deref(), &self.path).is_ok() => return,
                Ok(true) | Err(_) => {}
            }
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
    place: Option<Arc<OwnPlace>>,
}

impl Draft {
    fn make(mailbox: &Path, place: Option<&Arc<OwnPlace>>) -> io::Result<Self> {
        let made = match spool_group::make_nameless(place.map(Arc::as_ref), mailbox, MODE) {
            Ok(file) => (file, None),
            // Some file systems, NFS among them, know no nameless files; before Linux 3.11 nobody did (open(2)).
            Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {
                Self::named(mailbox, place)?
            }
            Err(e) => return Err(e),
        };
        Self::of(made, place)
    }

    /// Writes its content and takes its kernel lock.
    fn of((file, name): (File, Option<TemporaryName>), place: Option<&Arc<OwnPlace>>) -> io::Result<Self> {
        let mut draft = Self {
            file,
            name,
            place: place.cloned(),
        };
        match draft.file.write_all(Identity::own().to_string().as_bytes()) {
            // On a full disk an empty one is a lock like any other, judged by its age and our kernel lock: whoever empties the mailbox there
            // has to lock it first.
            Err(e) if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                draft.file.set_len(0)?;
            }
            result => result?,
        }
        // Refused only where the file system knows no flock; then the age decides, as it does between hosts.
        let _ = FileExt::try_lock_exclusive(&draft.file);
        Ok(draft)
    }

    fn named(mailbox: &Path, place: Option<&Arc<OwnPlace>>) -> io::Result<(File, Option<TemporaryName>)> {
        let unique = format!(
            ".lock.{}.{}.{:08x}",
            Identity::host(),
            std::process::id(),
            fastrand::u32(..)
        );
        let path = beside(mailbox, &unique);
        let file = spool_group::make(place.map(Arc::as_ref), &path, OFlag::O_RDWR, MODE)?;
        let place = place.cloned();
        Ok((file, Some(TemporaryName { path, place })))
    }

    /// Gives it its name, unless somebody has that name already: link(2) does both at once, on NFS too.
    fn publish(&self, path: &Path) -> io::Result<()> {
        let named = self.name.as_ref().map(|name| name.path.as_path());
        let linked = spool_group::name(self.place.as_deref(), &self.file, named, path);
        let links = if self.name.is_some() { 2 } else { 1 };
        let is_linked = || self.file.metadata().is_ok_and(|stat| stat.nlink() == links);
        match linked {
            Ok(()) if named.is_none() => Ok(()),
            // Where it had a name, the file system may be NFS, and the number of links is what counts there (open(2), O_EXCL).
            Ok(()) if is_linked() => Ok(()),
            Ok(()) => Err(io::ErrorKind::AlreadyExists.into()),
            // The answer may have got lost though the link was made (link(2), BUGS).
            Err(_) if is_linked() && is_still(&self.file, path).unwrap_or(false) => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// A name that goes when this does.
struct TemporaryName {
    path: PathBuf,
    place: Option<Arc<OwnPlace>>,
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        let _ = spool_group::remove(self.place.as_deref(), &self.path);
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
        host_name().replace(['/', '\n', ' '], "_")
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
            process::start_ticks("self").unwrap_or_else(|| "0".to_owned())
        )
    }
}

/// Somebody has the dotlock. Looks whether they still live; what a dead spoolguard left is taken over, and what is too old is
/// removed.
fn judge(
    path: &Path,
    mailbox: &Path,
    owner: Owner,
    fresh: &File,
    others: Others,
    place: Option<&Arc<OwnPlace>>,
) -> Result<Taken, Error> {
    let mut by = String::new();
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
        // Made by spoolguard under this kernel: when its owner's kernel lock is gone, so is the owner. While we hold that
        // lock nobody else comes to the same conclusion, and the path is looked at again before anything is done.
        // Refused, its age decides like any other's: no run of ours takes that long, and somebody else may have locked what a
        // dead one left.
        match FileExt::try_lock_exclusive(&file) {
            Ok(()) => return take_over(path, file, &stat, others, place),
            Err(_) => by = format!(", made by process {}", identity.pid),
        }
    }
    let held = || Taken::Held(format!("{} exists{by}", path.display()));
    if age(&stat, Some(fresh)) < STALE_AGE {
        return Ok(held());
    }
    // Too old, and nobody can be asked. Whoever removes one holds the mailbox's fcntl lock meanwhile: then of two that come to
    // this point one waits, and a lock made in the last moment is found without effect by its owner.
    let guard = open_or_create(mailbox, owner, place.map(Arc::as_ref))?;
    if lock_fcntl(&guard, mailbox)? {
        remove(path, &stat, others, place)
    } else {
        Ok(held())
    }
}

/// Tells whether a dotlock is of a spoolguard that is no more.
fn is_dead(path: &Path, stat: &std::fs::Metadata) -> bool {
    open_dotlock(path).is_ok_and(|file| {
        file.metadata().is_ok_and(|now| now.is_file() && same_file(&now, stat))
            && Identity::read(&read_some(&file)).is_some_and(|identity| identity.boot == Identity::boot())
            && FileExt::try_lock_exclusive(&file).is_ok()
    })
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
fn take_over(
    path: &Path,
    file: File,
    judged: &std::fs::Metadata,
    others: Others,
    place: Option<&Arc<OwnPlace>>,
) -> Result<Taken, Error> {
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
            place: place.cloned(),
        })),
        // Another user's. In a directory of ours it can be removed all the same.
        Err(_) => remove(path, judged, others, place),
    }
}

/// Removes the dotlock at `path` if it is still the one that was judged.
fn remove(
    path: &Path,
    judged: &std::fs::Metadata,
    others: Others,
    place: Option<&Arc<OwnPlace>>,
) -> Result<Taken, Error> {
    if !judged.is_file() || judged.len() > LARGEST_BYTES {
        return Ok(Taken::Held(format!("{} is there, and is no dotlock", path.display())));
    }
    // With rights that the user has not, only what is the user's.
    let is_own = judged.uid() == Uid::effective().as_raw();
    let place = place.filter(|_| is_own).map(Arc::as_ref);
    match path.symlink_metadata() {
        Ok(now) if same_file(&now, judged) && now.mtime() == judged.mtime() => match spool_group::remove(place, path) {
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
    match now.saturating_sub(stat.mtime()) {
        future if future < -WRONG_CLOCK => Duration::MAX,
        age => Duration::from_secs(u64::try_from(age).unwrap_or(0)),
    }
}

fn read_small(path: &Path) -> String {
    File::open(path).map(|file| read_some(&file)).unwrap_or_default()
}

fn read_some(mut file: &File) -> String {
    let mut bytes = [0; 512];
    let read = file.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Dotlock, Draft, Identity, Others, Taken};
    use crate::act::open::Owner;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_dotlock_of_a_dead_owner_is_taken_over_and_never_missing() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let mailbox = dir.path().join("a");
        let dotlock = dir.path().join("a.lock");
        let take = || {
            let owner = Owner::Exactly(nix::unistd::getuid().as_raw());
            Dotlock::take(&mailbox, owner, Others::Planned, None)
        };
        let dead = Identity {
            pid: 4_000_000_000,
            ..Identity::own()
        };
        assert!(std::fs::write(&dotlock, dead.to_string()).is_ok());
        let inode = || std::fs::metadata(&dotlock).map(|stat| stat.ino()).ok();
        let before = inode();
        let taken = take();
        assert!(matches!(&taken, Ok(Taken::Ours(_))));
        assert_eq!(inode(), before);
        let content = std::fs::read_to_string(&dotlock).unwrap_or_default();
        assert_eq!(content, Identity::own().to_string());
        assert!(matches!(take(), Ok(Taken::Held(_))));
        drop(taken);
        assert!(!dotlock.exists());
    }

    #[test]
    fn a_link_whose_answer_got_lost_is_ours() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let mailbox = dir.path().join("a");
        let path = dir.path().join("a.lock");
        let draft = || Draft::named(&mailbox, None).and_then(|made| Draft::of(made, None));
        let (first, second) = (draft(), draft());
        assert!(first.as_ref().is_ok_and(|first| first.publish(&path).is_ok()));
        // To ask again for what is done already is an error, and yet it is done.
        assert!(first.as_ref().is_ok_and(|first| first.publish(&path).is_ok()));
        assert!(second.is_ok_and(|second| second.publish(&path).is_err()));
        drop(first);
        assert_eq!(std::fs::read_dir(dir.path()).map_or(0, Iterator::count), 1);
    }

    #[test]
    fn an_identity_is_read_back() {
        let own = Identity::own();
        let read = Identity::read(&own.to_string());
        assert!(read.is_some_and(|read| read.pid == own.pid && read.boot == own.boot));
        assert!(Identity::read("123\n").is_none());
        assert!(Identity::read("0").is_none());
    }
}
