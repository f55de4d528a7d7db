//! What lies in a spool directory: mailboxes, and what is none. Looks at names and at what the file system says of
//! them. Follows no link, and waits for no FIFO. A mailbox that it opens does not look read afterwards.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use memchr::memmem;

use nix::fcntl::{OFlag, PosixFadviseAdvice, posix_fadvise};
use nix::libc;
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::error::Error;
use crate::mailbox::lock::dotlock::{STALE_AGE, is_of_another_host, read_some};
use crate::sys::account::host_name;
use crate::sys::dirs::open_unread;
use crate::sys::file_stamp::same_file;
use crate::sys::procfs::is_alive;

/// A process that just ended may have been about to remove its lock.
const DEAD_AGE: Duration = Duration::from_secs(60);

/// How the journal of a cut is called, behind a dot and the mailbox's name; and one that is still being written.
const JOURNAL: &[u8] = b".spoolguard-cut";
const UNFINISHED: &[u8] = b".spoolguard-cut.new";

/// What the names of journals hold that were set aside; a number may follow.
const SET_ASIDE: [&[u8]; 2] = [b".spoolguard-cut.bad", b".spoolguard-cut.kept"];

#[derive(Debug)]
pub struct DirectoryEntry {
    pub path: PathBuf,
    /// What the file system says of it, of a link and not of what it leads to.
    pub stat: Metadata,
}

#[derive(Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file with one name.
    Mailbox,
    Lock,
    /// A lock of ours that was not finished.
    Draft,
    /// The journal of a cut: what it holds is mail.
    Journal,
    /// A journal that is kept for good, since it is damaged or the disk failed.
    SetAside,
    /// A journal that was not finished: nothing depends on it.
    Leftover,
    Hidden,
    Link(PathBuf),
    /// A file that has other names too, how many in all.
    ManyNames(u64),
    Directory,
    /// Anything else, in words.
    Special(&'static str),
}

#[derive(Debug, PartialEq, Eq)]
pub enum LockState {
    InUse,
    /// Its process is gone.
    Dead(u32),
    /// It has been there for long, and its process is alive.
    Long(u32, Duration),
    /// It has been there for long, and does not say whose it is.
    Old(Duration),
}

/// All names of a directory, in order. One that goes away meanwhile is none.
pub fn read_entries(dir: &Path) -> Result<Vec<DirectoryEntry>, Error> {
    let fail = |e: io::Error| Error::io("read spool directory", dir, &e);
    let mut found = Vec::new();
    for entry in dir.read_dir().map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        match path.symlink_metadata() {
            Ok(stat) => found.push(DirectoryEntry { path, stat }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("examine", &path, &e)),
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

impl DirectoryEntry {
    pub fn entry_kind(&self) -> EntryKind {
        let name = self.path.file_name().unwrap_or_default().as_encoded_bytes();
        let kind = self.stat.file_type();
        if kind.is_symlink() {
            EntryKind::Link(std::fs::read_link(&self.path).unwrap_or_default())
        } else if kind.is_dir() {
            EntryKind::Directory
        } else if !kind.is_file() {
            EntryKind::Special(special(kind))
        } else if name.ends_with(b".lock") {
            EntryKind::Lock
        } else if draft_pid(name).is_some() {
            EntryKind::Draft
        } else if name.starts_with(b".") && name.ends_with(JOURNAL) {
            EntryKind::Journal
        } else if name.starts_with(b".") && name.ends_with(UNFINISHED) {
            EntryKind::Leftover
        } else if name.starts_with(b".") && SET_ASIDE.iter().any(|part| memmem::find(name, part).is_some()) {
            EntryKind::SetAside
        } else if name.starts_with(b".") {
            EntryKind::Hidden
        } else if self.stat.nlink() > 1 {
            EntryKind::ManyNames(self.stat.nlink())
        } else {
            EntryKind::Mailbox
        }
    }

    /// How it stands as a lock, or as what a run of ours left.
    pub fn lock_state(&self, now: SystemTime) -> LockState {
        let age = self.age(now);
        match holder(&self.path) {
            Some(pid) if i32::try_from(pid).is_ok_and(is_alive) => match age {
                age if age < STALE_AGE => LockState::InUse,
                age => LockState::Long(pid, age),
            },
            Some(pid) if age >= DEAD_AGE => LockState::Dead(pid),
            None if age >= STALE_AGE => LockState::Old(age),
            Some(_) | None => LockState::InUse,
        }
    }

    /// The process that it names, as a lock.
    pub fn holder(&self) -> Option<u32> {
        holder(&self.path)
    }

    pub fn age(&self, now: SystemTime) -> Duration {
        let modified = self.stat.modified().ok();
        let age = modified.and_then(|modified| now.duration_since(modified).ok());
        age.unwrap_or_default()
    }

    /// Tells whether nobody has touched it for so long that no run can be at it any more.
    pub fn is_left(&self, now: SystemTime) -> bool {
        self.age(now) >= STALE_AGE
    }

    /// Opens it to read it as a mailbox. Fails when it cannot be opened, is another file by now, or could only be read
    /// as if its user had read it.
    pub fn open(&self) -> io::Result<File> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut options = OpenOptions::new();
        options.read(true);
        let opened = options.custom_flags((flags | OFlag::O_NOATIME).bits()).open(&self.path);
        let file = match opened {
            // Only its owner may read without a trace. "New mail" means written later than read: a look would end it.
            // Nobody but the owner may set the times back.
            Err(e) if e.raw_os_error() == Some(libc::EPERM) => {
                let file = options.custom_flags(flags.bits()).open(&self.path)?;
                if !fstatvfs(&file)?.flags().contains(FsFlags::ST_NOATIME) {
                    return Err(io::Error::other(
                        "it would look read; only its owner and root can read it without",
                    ));
                }
                file
            }
            opened => opened?,
        };
        if !same_file(&file.metadata()?, &self.stat) {
            return Err(io::Error::other("it was replaced a moment ago"));
        }
        // It will be read from its beginning to its end; refused, nothing is lost.
        let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL);
        Ok(file)
    }
}

fn special(kind: std::fs::FileType) -> &'static str {
    if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// The process that made one of our own drafts: `<mailbox>.lock.<host>.<pid>.<8 digits>`.
fn draft_pid(name: &[u8]) -> Option<u32> {
    let name = std::str::from_utf8(name).ok()?;
    let (_, rest) = name.split_once(&format!(".lock.{}.", host_name().replace(['/', ' '], "_")))?;
    let (pid, chance) = rest.split_once('.')?;
    (chance.len() == 8).then(|| pid.parse().ok())?
}

/// The process that a lock names, if it is one of this host. Nearly every program writes its number on the first line,
/// some with the host behind it. sendmail writes 0.
fn holder(path: &Path) -> Option<u32> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    if let Some(pid) = draft_pid(name) {
        return Some(pid);
    }
    let text = open_unread(OpenOptions::new().read(true), path).map_or_else(|_| String::new(), |file| read_some(&file));
    let line = text.lines().next()?.trim();
    let (pid, host) = line.split_once(':').unwrap_or((line, ""));
    let ours = (host.is_empty() || host == host_name()) && !is_of_another_host(&text);
    pid.trim().parse().ok().filter(|pid| *pid > 0 && ours)
}

#[cfg(test)]
mod tests {
    use super::{EntryKind, LockState, host_name, read_entries};
    use std::os::unix::fs::symlink;
    use std::time::{Duration, SystemTime};

    #[test]
    fn every_name_is_told_by_what_it_is() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let at = |name: &str| dir.path().join(name);
        let draft = format!("a.lock.{}.4000000000.0123abcd", super::host_name());
        for name in [
            "a",
            "a.lock",
            ".x",
            "two",
            draft.as_str(),
            ".a.spoolguard-cut.new",
            ".a.spoolguard-cut.bad",
            ".a.spoolguard-cut.kept.3",
            ".b.spoolguard-cut",
        ] {
            assert!(std::fs::write(at(name), "").is_ok());
        }
        assert!(std::fs::write(at(".a.spoolguard-cut"), "mail").is_ok());
        assert!(std::fs::hard_link(at("two"), at("zwei")).is_ok());
        assert!(symlink("/etc/shadow", at("link")).is_ok());
        assert!(std::fs::create_dir(at("d")).is_ok());
        assert!(nix::unistd::mkfifo(&at("f"), nix::sys::stat::Mode::S_IRUSR).is_ok());
        let found = read_entries(dir.path()).unwrap_or_else(|e| unreachable!("{e}"));
        let told: Vec<_> = found
            .iter()
            .map(|entry| {
                (
                    entry
                        .path
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned(),
                    entry.entry_kind(),
                )
            })
            .collect();
        let want = [
            (".a.spoolguard-cut", EntryKind::Journal),
            (".a.spoolguard-cut.bad", EntryKind::SetAside),
            (".a.spoolguard-cut.kept.3", EntryKind::SetAside),
            (".a.spoolguard-cut.new", EntryKind::Leftover),
            (".b.spoolguard-cut", EntryKind::Journal),
            (".x", EntryKind::Hidden),
            ("a", EntryKind::Mailbox),
            ("a.lock", EntryKind::Lock),
            (draft.as_str(), EntryKind::Draft),
            ("d", EntryKind::Directory),
            ("f", EntryKind::Special("a FIFO")),
            ("link", EntryKind::Link("/etc/shadow".into())),
            ("two", EntryKind::ManyNames(2)),
            ("zwei", EntryKind::ManyNames(2)),
        ];
        assert_eq!(told.len(), want.len());
        for ((name, thing), (want_name, want_thing)) in told.iter().zip(&want) {
            assert_eq!((name.as_str(), thing), (*want_name, want_thing));
        }
    }

    #[test]
    fn a_lock_is_judged_by_its_process_and_its_age() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a.lock");
        let own = std::process::id();
        let long = Duration::from_secs(3600);
        let soon = Duration::from_secs(90);
        let cases = [
            (format!("{own}\n"), soon, LockState::InUse),
            (format!("{own}\n"), long, LockState::Long(own, long)),
            ("4000000000\n".to_owned(), Duration::ZERO, LockState::InUse),
            (
                format!("4000000000\nspoolguard host={}", host_name()),
                soon,
                LockState::Dead(4_000_000_000),
            ),
            (
                "4000000000\nspoolguard host=elsewhere.test".to_owned(),
                soon,
                LockState::InUse,
            ),
            ("4000000000:elsewhere.test".to_owned(), soon, LockState::InUse),
            ("0".to_owned(), soon, LockState::InUse),
            ("0".to_owned(), long, LockState::Old(long)),
            (String::new(), long, LockState::Old(long)),
        ];
        for (text, age, want) in cases {
            assert!(std::fs::write(&path, &text).is_ok());
            let found = read_entries(dir.path()).unwrap_or_else(|e| unreachable!("{e}"));
            let standing = found.first().map(|entry| {
                let made = entry.stat.modified().unwrap_or_else(|_| SystemTime::now());
                entry.lock_state(made + age)
            });
            assert_eq!(standing, Some(want), "{text:?} {age:?}");
        }
    }
}
