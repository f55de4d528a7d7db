//! `maildirsize`, the Maildir++ file that says how full a Maildir is: a line with the limit, then lines of bytes and
//! messages that are added up. Whoever delivers adds a line; whoever finds the sums wrong counts by names and writes
//! the file anew. It is the user's: what it says is believed for the user's own limit, and for ours only between
//! counts. What is damaged says nothing: a file without a limit or without sums. So is one that ends in the middle of a
//! line: what is written behind it would be part of that line.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use crate::config::value::Limit;
use crate::maildir::directory::Maildir;
use crate::maildir::usage::MaildirUsage;

const NAME: &str = "maildirsize";

/// A longer one is written anew, in bytes.
const MOST_BYTES: u64 = 5120;

/// The first line where nothing is limited.
const NO_LIMIT: &str = "0S";

/// So many counts that others came into are enough.
const MOST_COUNTS: usize = 5;

/// Reads `10000000S,1000C`, of which either part may lack. Zero limits nothing.
fn parse_limit(line: &str) -> Limit {
    let mut limit = Limit::default();
    for part in line.trim().split(',') {
        let number = |digits: &str| digits.parse().ok().filter(|number: &u64| *number > 0);
        if let Some(digits) = part.strip_suffix('S') {
            limit.bytes = number(digits);
        } else if let Some(digits) = part.strip_suffix('C') {
            limit.messages = number(digits);
        }
    }
    limit
}

/// Tells whether a line is a limit at all: numbers, each with a letter behind it.
fn is_limit(line: &str) -> bool {
    line.split(',').all(|part| {
        let digits = part.strip_suffix(|last: char| last.is_ascii_alphabetic());
        digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeFile {
    /// The limit in it.
    pub limit: Limit,
    /// When it was written to.
    pub modified: SystemTime,
    sums: Option<(i64, i64)>,
    limit_line: String,
    stamp: (u64, u64, u64),
}

impl SizeFile {
    /// What lies in the Maildir; none where the sums cannot be believed, and it has to be counted.
    pub fn usage(&self) -> Option<MaildirUsage> {
        let (bytes, messages) = self.sums?;
        Some(MaildirUsage {
            bytes: u64::try_from(bytes).ok()?,
            messages: u64::try_from(messages).ok()?,
        })
    }

    fn parse(text: &str, stamp: (u64, u64, u64), modified: SystemTime) -> Self {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().trim();
        let is_whole = stamp.2 <= MOST_BYTES && text.ends_with('\n') && is_limit(first);
        let has_sums = lines.clone().next().is_some();
        let mut sums = (is_whole && has_sums).then_some((0_i64, 0_i64));
        for line in lines {
            let mut words = line.split_whitespace();
            let (bytes, messages, more) = (words.next(), words.next(), words.next());
            let number = |word: Option<&str>| word.and_then(|word| word.parse::<i64>().ok());
            sums = match (sums, number(bytes), number(messages), more) {
                (Some((b, m)), Some(bytes), Some(messages), None) => b.checked_add(bytes).zip(m.checked_add(messages)),
                _ => None,
            };
        }
        Self {
            limit: parse_limit(first),
            modified,
            sums,
            limit_line: if is_limit(first) { first } else { NO_LIMIT }.to_owned(),
            stamp,
        }
    }
}

/// Reads the file; none where there is none, or something else stands in its place.
pub fn read_size_file(maildir: &Maildir) -> io::Result<Option<SizeFile>> {
    match open(maildir.root(), Path::new(NAME), OFlags::RDONLY)? {
        Some(file) => read_from(file).map(Some),
        None => Ok(None),
    }
}

/// The limit in the file of the Maildir at `path`; none where it cannot be read.
pub fn limit_at(path: &Path) -> Limit {
    let file = open(CWD, &path.join(NAME), OFlags::RDONLY).ok().flatten();
    let read = file.and_then(|file| read_from(file).ok());
    read.map(|file| file.limit).unwrap_or_default()
}

fn read_from(file: File) -> io::Result<SizeFile> {
    let stat = file.metadata()?;
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text)?;
    let stamp = (stat.dev(), stat.ino(), stat.len());
    Ok(SizeFile::parse(
        &String::from_utf8_lossy(&text),
        stamp,
        stat.modified()?,
    ))
}

fn open(dir: impl std::os::fd::AsFd, name: &Path, how: OFlags) -> io::Result<Option<File>> {
    let flags = how | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(dir, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ISDIR | Errno::NOTDIR) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let stat = file.metadata()?;
    // A second name could lead to any file of the user's.
    Ok((stat.is_file() && stat.nlink() == 1).then_some(file))
}

/// Adds a line, where there is the file: so many bytes and messages more, or fewer. Where no line can be added, counts
/// and writes it anew. Fails when neither can be; then the next count finds it out.
pub fn add_size(maildir: &Maildir, bytes: i64, messages: i64) -> io::Result<()> {
    add_line(maildir, bytes, messages).or_else(|_| count_again(maildir))
}

fn add_line(maildir: &Maildir, bytes: i64, messages: i64) -> io::Result<()> {
    let Some(mut file) = open(maildir.root(), Path::new(NAME), OFlags::RDWR | OFlags::APPEND)? else {
        return Ok(());
    };
    let mut last = [0];
    let at = file
        .metadata()?
        .len()
        .checked_sub(1)
        .ok_or(io::ErrorKind::InvalidData)?;
    file.read_exact_at(&mut last, at)?;
    if last != *b"\n" {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // One write: others add lines, too.
    file.write_all(format!("{bytes} {messages}\n").as_bytes())
}

/// Writes the file anew after a count, with the limit that stood in it. Tells whether it did: where the file changed
/// since it was read, it stays as it is. Fails when it cannot be written; then the old one is still there.
pub fn write_size_file(maildir: &Maildir, seen: &SizeFile, counted: MaildirUsage) -> io::Result<bool> {
    let draft = format!("maildirsize.P{}.{}", std::process::id(), fastrand::u32(..));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(maildir.tmp_dir(), &draft, flags, Mode::RUSR | Mode::WUSR)?;
    let text = format!("{}\n{} {}\n", seen.limit_line, counted.bytes, counted.messages);
    let replace = || {
        maildir.give_to_user(&file)?;
        File::from(file).write_all(text.as_bytes())?;
        let stat = statat(maildir.root(), NAME, AtFlags::SYMLINK_NOFOLLOW)?;
        let bytes = u64::try_from(stat.st_size).unwrap_or_default();
        let is_as_seen = (stat.st_dev, stat.st_ino, bytes) == seen.stamp;
        if is_as_seen {
            renameat(maildir.tmp_dir(), &draft, maildir.root(), NAME)?;
        }
        Ok(is_as_seen)
    };
    let written = replace();
    if !matches!(written, Ok(true)) {
        let _ = unlinkat(maildir.tmp_dir(), &draft, AtFlags::empty());
    }
    written
}

/// Counts by names and writes the file anew, where there is one. Fails when the Maildir cannot be read, the file not be
/// written, or others write to it all the time: then it is wrong until the next count.
pub fn count_again(maildir: &Maildir) -> io::Result<()> {
    for _ in 0..MOST_COUNTS {
        let Some(seen) = read_size_file(maildir)? else {
            return Ok(());
        };
        if write_size_file(maildir, &seen, MaildirUsage::count(maildir)?)? {
            return Ok(());
        }
    }
    Err(io::Error::other("others write to maildirsize all the time"))
}

#[cfg(test)]
mod tests {
    use super::{Limit, SizeFile, add_size, read_size_file, write_size_file};
    use crate::maildir::directory::Maildir;
    use crate::maildir::usage::MaildirUsage;
    use std::time::SystemTime;

    #[test]
    fn every_programs_size_file_is_read() {
        let limit = |bytes, messages| Limit { bytes, messages };
        let usage = |bytes, messages| Some(MaildirUsage { bytes, messages });
        for (text, limits, found) in [
            (
                "1048576S\n0 0\n522 1\n5137 1\n",
                limit(Some(1_048_576), None),
                usage(5659, 2),
            ),
            (
                "10000S,5C\n        7111            1\n",
                limit(Some(10_000), Some(5)),
                usage(7111, 1),
            ),
            ("5C\n10 1\n-10 -1\n", limit(None, Some(5)), usage(0, 0)),
            ("0S\n0 0\n", limit(None, None), usage(0, 0)),
            ("0S\n", limit(None, None), None),
            ("10S", limit(Some(10), None), None),
            ("10S\n1 1", limit(Some(10), None), None),
            ("10S,x\n1 1\n", limit(Some(10), None), None),
            ("1 1\n1 1\n", limit(None, None), None),
            ("10S\n-1 0\n", limit(Some(10), None), None),
            ("10S\n1 1\n7", limit(Some(10), None), None),
            ("10S\n1 1 1\n", limit(Some(10), None), None),
            ("10S\n9223372036854775807 1\n1 1\n", limit(Some(10), None), None),
            ("", limit(None, None), None),
        ] {
            let file = SizeFile::parse(text, (1, 2, text.len() as u64), SystemTime::UNIX_EPOCH);
            assert_eq!((file.limit, file.usage()), (limits, found), "{text:?}");
        }
        let long = SizeFile::parse("10S\n1 1\n", (1, 2, 5121), SystemTime::UNIX_EPOCH);
        assert_eq!(long.usage(), None);
    }

    #[test]
    fn a_count_that_others_came_into_is_not_written() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("Maildir");
        let uid = nix::unistd::Uid::effective().as_raw();
        let maildir = Maildir::open_or_make(&path, uid).unwrap_or_else(|e| unreachable!("{e}"));
        let (file, tmp) = (path.join("maildirsize"), path.join("tmp"));
        let text = || std::fs::read_to_string(&file).unwrap_or_default();
        assert!(std::fs::write(&file, "10000S\n5 1\n").is_ok());
        let counted = MaildirUsage { bytes: 7, messages: 2 };
        let read = || read_size_file(&maildir).ok().flatten();
        let before = read().unwrap_or_else(|| unreachable!("it was written"));
        assert!(add_size(&maildir, 3, 1).is_ok());
        assert!(matches!(write_size_file(&maildir, &before, counted), Ok(false)));
        assert_eq!(text(), "10000S\n5 1\n3 1\n");
        let now = read().unwrap_or_else(|| unreachable!("it was written"));
        assert!(matches!(write_size_file(&maildir, &now, counted), Ok(true)));
        assert_eq!(text(), "10000S\n7 2\n");
        assert!(tmp.read_dir().is_ok_and(|mut drafts| drafts.next().is_none()));
    }
}
