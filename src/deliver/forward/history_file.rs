//! A small memory of what was sent on lately: one line for each message and destination, and for what became of it here. Lines are
//! added to a file of bounded size; when that is full it becomes the older of two. A damaged line is passed over, and a file
//! that is none of ours is set aside.
//!
//! A file that is added to, and not one that is replaced: each forward writes some hundred bytes and syncs nothing. What a power cut
//! takes away costs one more copy of a message that was under way in that moment; a sync for each forward would cost more than the
//! forward. That a message was sent is written when the mail system has taken it, never before: a kill in between sends it a second
//! time, and one line too early would have kept it from being sent at all.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs2::FileExt as _;
use memchr::memmem;
use nix::fcntl::OFlag;
use nix::libc;

use crate::error::{Class, Error};
use crate::sys::deadline::Deadline;
use crate::sys::dirs::{beside, make_private_dir, open_kept};
use crate::sys::file_stamp::is_still;

/// How large each of the two files grows, in bytes: some 2500 lines.
const FILE_BYTES: u64 = 256 << 10;

/// The file begins anew after this time, in seconds, also when it is not full. Two of them are longer than any mail system
/// tries before it reports a failure (five days).
const FILE_SECONDS: i64 = 6 * 86_400;

/// For how long the lock is waited for. Who holds it only writes one line; a forward is not held up for what may get lost.
const LOCK_TIME: Duration = Duration::from_secs(5);

/// How often it is asked for meanwhile.
const PAUSE: Duration = Duration::from_millis(2);

/// What is remembered of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The mail system has it for this destination.
    Sent,
    /// It lies in the user's mailbox as well.
    Kept,
    /// It does not lie there any more: it was not sent after all, and comes again.
    Gone,
    /// It came back, and was put into the user's mailbox.
    Rescued,
}

impl Fate {
    const ALL: [Self; 4] = [Self::Sent, Self::Kept, Self::Gone, Self::Rescued];

    /// The word for it in the file. None of them is the beginning of another: so a line that was cut is no line.
    fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Kept => "kept",
            Self::Gone => "gone",
            Self::Rescued => "rescued",
        }
    }
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// When, in seconds since 1970.
    pub at: i64,
    /// The name of the message; one word.
    pub name: &'a str,
    /// What became of it.
    pub fate: Fate,
    /// Where it was sent to; `-` where it stayed.
    pub destination: &'a str,
}

impl<'a> Line<'a> {
    /// Reads a line without its line end.
    fn read(line: &'a [u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let (at, name, destination, word) = (words.next()?, words.next()?, words.next()?, words.next()?);
        if words.next().is_some() || name.is_empty() || destination.is_empty() {
            return None;
        }
        Some(Self {
            at: at.parse().ok()?,
            name,
            fate: Fate::ALL.into_iter().find(|fate| fate.word() == word)?,
            destination,
        })
    }

    fn text(&self) -> String {
        let word = |text: &str| -> String {
            let kept = |c: &char| !c.is_whitespace() && !c.is_control();
            text.chars().filter(kept).take(320).collect()
        };
        let (name, destination) = (word(self.name), word(self.destination));
        format!("{} {name} {destination} {}\n", self.at, self.fate.word())
    }
}

/// What is remembered, as it was when it was read.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    text: Vec<u8>,
}

impl Memory {
    /// Every line about a message whose name holds one of `parts`, in the order in which they were written.
    pub fn about(&self, parts: &[&str]) -> impl Iterator<Item = Line<'_>> {
        // Searched for as bytes: most lines are about other messages, and need not be read.
        let mut starts = BTreeSet::new();
        for part in parts {
            starts.extend(memmem::find_iter(&self.text, part.as_bytes()).map(|at| {
                let before = self.text.get(..at).unwrap_or_default();
                memchr::memrchr(b'\n', before).map_or(0, |end| end + 1)
            }));
        }
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        starts.into_iter().filter_map(move |start| {
            let line = self.text.get(start..)?.split(|b| *b == b'\n').next()?;
            Line::read(line).filter(|line| parts.iter().any(|part| line.name.contains(part.as_str())))
        })
    }

    /// Every line that can be read, the oldest first.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.text.split(|b| *b == b'\n').filter_map(Line::read)
    }
}

/// Where the memory is below a state directory.
#[must_use]
pub fn path(dir: &Path) -> PathBuf {
    dir.join("sent")
}

/// Reads what is remembered in `dir`: nothing where there is nothing.
///
/// # Errors
/// When a file cannot be read, or is none of ours.
pub fn recall(dir: &Path) -> Result<Memory, Error> {
    let path = path(dir);
    let mut memory = Memory::default();
    for path in [older(&path), path] {
        read(&path, &mut memory.text).map_err(|e| Error::io("read", &path, &e))?;
        memory.text.push(b'\n');
    }
    Ok(memory)
}

/// Remembers `lines` in `dir`.
///
/// # Errors
/// When they cannot be written; then they are forgotten.
pub fn remember(dir: &Path, lines: &[Line<'_>], deadline: &Deadline) -> Result<(), Error> {
    let path = path(dir);
    make_private_dir(dir)?;
    let fail = |e: io::Error| Error::io("write", &path, &e);
    let file = lock(&path, deadline)?;
    let bytes = file.metadata().map_err(fail)?.len();
    let now = lines.first().map_or(0, |line| line.at);
    let file = if bytes >= FILE_BYTES || is_over(&file, now) {
        // Who waits for the lock of this file sees then that it has another name.
        std::fs::rename(&path, older(&path)).map_err(fail)?;
        lock(&path, deadline)?
    } else {
        file
    };
    let mut text = String::new();
    if !ends_line(&file).map_err(fail)? {
        // Somebody was killed, or the power went, in the middle of a line.
        text.push('\n');
    }
    text.extend(lines.iter().map(Line::text));
    (&file).write_all(text.as_bytes()).map_err(fail)
}

fn older(path: &Path) -> PathBuf {
    beside(path, ".old")
}

/// Opens the file to add to it, and waits until nobody else does. The lock ends with the file.
fn lock(path: &Path, deadline: &Deadline) -> Result<File, Error> {
    let fail = |e: io::Error| Error::io("open", path, &e);
    let until = Instant::now() + LOCK_TIME.min(deadline.remaining());
    loop {
        let opened = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(path);
        let is_ours = |file: &File| {
            file.metadata()
                .is_ok_and(|stat| stat.is_file() && stat.len() <= 2 * FILE_BYTES)
        };
        let file = match opened {
            Ok(file) if is_ours(&file) => file,
            Err(e) if e.raw_os_error() != Some(libc::ELOOP) && e.kind() != io::ErrorKind::IsADirectory => {
                return Err(fail(e));
            }
            // A link, a directory, a file that grew in other ways: it is put where an administrator can look at it.
            Ok(_) | Err(_) => {
                std::fs::rename(path, beside(path, ".bad")).map_err(fail)?;
                continue;
            }
        };
        match file.try_lock_exclusive() {
            Ok(()) if is_still(&file, path)? => return Ok(file),
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                deadline.check("lock", &path.display().to_string())?;
                if Instant::now() >= until {
                    let cause = "another process holds it for too long";
                    return Err(Error::new(Class::System, "lock", path.display(), cause));
                }
                deadline.sleep(PAUSE.mul_f64(0.5 + fastrand::f64()));
            }
            Err(e) => return Err(fail(e)),
        }
    }
}

/// Tells whether the first line is older than a file may get.
fn is_over(file: &File, now: i64) -> bool {
    let mut begin = [0; 24];
    let read = file.read_at(&mut begin, 0).unwrap_or(0);
    let word = begin.get(..read).and_then(|begin| begin.split(|b| *b == b' ').next());
    word.and_then(|word| std::str::from_utf8(word).ok())
        .and_then(|word| word.parse::<i64>().ok())
        .is_some_and(|first| now.saturating_sub(first) > FILE_SECONDS)
}

fn ends_line(file: &File) -> io::Result<bool> {
    let bytes = file.metadata()?.len();
    let mut last = [b'\n'];
    if bytes > 0 {
        file.read_exact_at(&mut last, bytes - 1)?;
    }
    Ok(last == *b"\n")
}

fn read(path: &Path, to: &mut Vec<u8>) -> io::Result<()> {
    let Some(file) = open_kept(path)? else {
        return Ok(());
    };
    // Not by its length: it may grow while it is read.
    file.take(2 * FILE_BYTES).read_to_end(to).map(drop)
}

#[cfg(test)]
mod tests {
    use super::{FILE_SECONDS, Fate, Line, older, path, recall, remember};
    use crate::sys::deadline::Deadline;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"))
    }

    fn deadline() -> Deadline {
        Deadline::begin().unwrap_or_else(|e| unreachable!("{e}"))
    }

    fn line(at: i64, name: &str) -> Line<'_> {
        Line {
            at,
            name,
            fate: Fate::Sent,
            destination: "b@b.test",
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let memory = recall(dir).unwrap_or_else(|e| unreachable!("{e}"));
        memory.lines().map(|line| line.name.to_owned()).collect()
    }

    #[test]
    fn what_is_written_is_found_again() {
        let dir = scratch();
        let dir = &dir.path().join("deep/state");
        assert_eq!(names(dir), [""; 0]);
        let kept = Line {
            fate: Fate::Kept,
            destination: "-",
            ..line(8, "one")
        };
        assert!(remember(dir, &[line(7, "one"), line(7, "other")], &deadline()).is_ok());
        assert!(remember(dir, &[kept], &deadline()).is_ok());
        let memory = recall(dir).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(memory.about(&["one"]).collect::<Vec<_>>(), [line(7, "one"), kept]);
        assert_eq!(memory.about(&["the", "other"]).collect::<Vec<_>>(), [line(7, "other")]);
        assert_eq!(memory.about(&["b@b.test"]).count(), 0);
    }

    #[test]
    fn a_torn_line_is_passed_over_and_takes_no_other_along() {
        let whole = line(1_764_000_000, "name").text();
        for cut in 0..whole.len() {
            let dir = scratch();
            let dir = dir.path();
            let torn = whole.get(..cut).unwrap_or_default();
            assert!(std::fs::write(path(dir), format!("{whole}{torn}")).is_ok());
            assert!(remember(dir, &[line(1_764_000_001, "next")], &deadline()).is_ok());
            let whole_again = if cut + 1 == whole.len() {
                vec!["name"; 2]
            } else {
                vec!["name"]
            };
            assert_eq!(names(dir), [whole_again, vec!["next"]].concat(), "{torn:?}");
        }
    }

    #[test]
    fn nothing_in_an_address_opens_a_line() {
        let dir = scratch();
        let odd = Line {
            destination: "b@b.test sent\n7 other b@b.test",
            ..line(7, "one")
        };
        assert!(remember(dir.path(), &[odd], &deadline()).is_ok());
        assert_eq!(names(dir.path()), ["one"]);
    }

    #[test]
    fn many_at_once_lose_no_line_also_where_the_file_begins_anew() {
        let dir = scratch();
        let dir = dir.path();
        let long = "x".repeat(240);
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let long = &long;
                scope.spawn(move || {
                    for count in 0..300 {
                        let name = format!("{writer}-{count}-{long}");
                        assert!(remember(dir, &[line(7, &name)], &deadline()).is_ok());
                    }
                });
            }
        });
        let mut found = names(dir);
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 1200);
        assert!(older(&path(dir)).exists(), "the test did not fill a file");
    }

    #[test]
    fn it_forgets_but_not_too_early() {
        let dir = scratch();
        let dir = dir.path();
        for (at, name) in [
            (0, "a"),
            (FILE_SECONDS, "b"),
            (FILE_SECONDS + 1, "c"),
            (2 * FILE_SECONDS + 2, "d"),
        ] {
            assert!(remember(dir, &[line(at, name)], &deadline()).is_ok());
        }
        assert_eq!(names(dir), ["c", "d"]);
    }

    #[test]
    fn what_is_none_of_ours_is_set_aside() {
        let dir = scratch();
        let dir = dir.path();
        let secret = dir.join("secret");
        assert!(std::fs::write(&secret, "x\n").is_ok());
        assert!(symlink(&secret, path(dir)).is_ok());
        assert!(recall(dir).is_err());
        assert!(remember(dir, &[line(7, "one")], &deadline()).is_ok());
        assert_eq!(names(dir), ["one"]);
        assert_eq!(std::fs::read(&secret).ok().as_deref(), Some(&b"x\n"[..]));
        // Grown in other ways, with bytes that are no lines.
        let grown = std::fs::OpenOptions::new().append(true).open(path(dir));
        assert!(grown.is_ok_and(|mut file| file.write_all(&vec![0xff; 600 << 10]).is_ok()));
        assert!(remember(dir, &[line(8, "two")], &deadline()).is_ok());
        assert_eq!(names(dir), ["two"]);
    }
}
