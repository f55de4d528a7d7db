//! The history on disk: one line for each message and destination, and for what became of the message here. Lines are
//! added to a file. After six days it becomes the older of two, so that every line is remembered for at least six days,
//! however many there are. A damaged line is passed over, and a file that spoolguard did not write is set aside.
//!
//! Lines are added and the file is never replaced: each forward writes some hundred bytes and syncs nothing. A power
//! cut costs one more copy of a message that was under way in that moment; a sync for each forward would cost more.
//! That a message was sent is written when the MTA has taken it, never before. A kill in between sends the message a
//! second time; a line that is too early would keep it from being sent at all.
//!
//! Nobody reads the whole file: `history_index` says where the last line about something stands, and each line says
//! where the one before it stands. So a delivery costs the same with a hundred lines and with a million.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs2::FileExt as FileExt2;

use crate::deliver::forward::history_index::Index;
use crate::deliver::forward::history_line::{HistoryKey, HistoryLine, LINE_BYTES};
use crate::error::{Category, Error};
use crate::sys::deadline::Deadline;
use crate::sys::dirs::{self, make_private_dir, open_kept, own_file, with_suffix};
use crate::sys::file_stamp::is_still;

/// The file begins anew after this time, in seconds. Two of them are longer than any MTA tries before it reports a
/// failure (five days), and one is longer than `duplicate_window` may be.
const FILE_SECONDS: i64 = 6 * 86_400;

/// Nor does it grow beyond this, in bytes: half a million forwards. Nobody forwards so much within six days; a disk
/// that some fault fills is worse than a memory that is shorter, and the log says so.
const FILE_BYTES: u64 = 128 << 20;

/// For how long the lock is waited for. Who holds it only writes one line; a forward is not held up for what may get
/// lost.
const LOCK_TIME: Duration = Duration::from_secs(5);

/// How often it is asked for meanwhile.
const PAUSE: Duration = Duration::from_millis(2);

/// As many lines about one thing are read, the latest first. A device with one Message-ID for all it sends has
/// thousands.
const MOST_LINES: usize = 512;

/// The history of one user, while nobody adds to it.
#[derive(Debug, Default)]
pub struct History {
    /// The current file and the older one, as far as they exist.
    files: Vec<HistoryPart>,
}

#[derive(Debug)]
struct HistoryPart {
    /// Held with the lock.
    file: File,
    index: Index,
}

impl History {
    /// Every line about `subject`, the latest first; of very many the latest alone. Whatever cannot be read is passed
    /// over.
    pub fn lines_about(&self, subject: &HistoryKey) -> Vec<String> {
        let mut found = Vec::new();
        for part in &self.files {
            let mut at = part.index.find(subject.hash_in_index());
            while let Some(offset) = at.filter(|_| found.len() < MOST_LINES) {
                let Some(text) = line_at(&part.file, offset) else { break };
                let Some(line) = HistoryLine::read(&text) else { break };
                // Each stands before the one that names it: a damaged file has no circle.
                at = line.previous_line(subject).filter(|before| *before < offset);
                if line.is_about(subject) {
                    found.push(text);
                }
            }
        }
        found
    }

    /// The last lines, one below the other, the oldest first: as much as stands in `bytes`, and what is no line among
    /// them.
    pub fn recent(&self, bytes: u64) -> String {
        let mut text = Vec::new();
        let mut left = bytes;
        for part in &self.files {
            let length = part.file.metadata().map_or(0, |stat| stat.len());
            let mut piece = vec![0; usize::try_from(length.min(left)).unwrap_or(0)];
            if part
                .file
                .read_exact_at(&mut piece, length.saturating_sub(left))
                .is_err()
            {
                continue;
            }
            left = left.saturating_sub(length);
            if !text.is_empty() {
                piece.push(b'\n');
                piece.extend_from_slice(&text);
            }
            text = piece;
        }
        String::from_utf8(text).unwrap_or_else(|damaged| {
            let lines = damaged.as_bytes().split(|b| *b == b'\n');
            let lines: Vec<_> = lines.filter_map(|line| std::str::from_utf8(line).ok()).collect();
            lines.join("\n")
        })
    }
}

/// Where the memory is below a state directory.
pub fn history_path(dir: &Path) -> PathBuf {
    dir.join("sent")
}

/// Opens what is remembered in `dir`: nothing where there is nothing. Nobody adds to it as long as this is held. Fails
/// when a file cannot be read, spoolguard did not write it, or somebody else holds it for too long.
pub fn open_history(dir: &Path, deadline: &Deadline) -> Result<History, Error> {
    let path = history_path(dir);
    let mut history = History::default();
    for path in [path.clone(), older(&path)] {
        let fail = |e: io::Error| Error::io("read", &path, &e);
        let opened = match open_kept(&path) {
            // It is no reason to forget the file that lines are added to.
            Err(_) if !history.files.is_empty() && dirs::is_foreign(&path) => None,
            opened => opened.map_err(fail)?,
        };
        if let Some(file) = opened {
            wait_for(&file, &path, deadline, FileExt2::try_lock_shared)?;
            let index = Index::open(&file, &index_path(&path));
            history.files.push(HistoryPart { file, index });
        }
    }
    Ok(history)
}

/// Remembers `lines` in `dir`. Fails when they cannot be written; then they are forgotten.
pub fn append_lines(dir: &Path, lines: &[HistoryLine<'_>], deadline: &Deadline) -> Result<(), Error> {
    let path = history_path(dir);
    make_private_dir(dir)?;
    let fail = |e: io::Error| Error::io("write", &path, &e);
    let mut file = lock(&path, deadline)?;
    let bytes = file.metadata().map_err(fail)?.len();
    if bytes >= FILE_BYTES {
        tracing::warn!(path = %path.display(), bytes, "what was sent on is remembered for less than six days");
    }
    if bytes >= FILE_BYTES || is_over(&file, lines.first().map_or(0, |line| line.at)) {
        if older(&path).is_dir() {
            dirs::set_aside(&older(&path)).map_err(fail)?;
        }
        // Who waits for the lock of this file sees then that it has another name.
        std::fs::rename(&path, older(&path)).map_err(fail)?;
        let _ = std::fs::rename(index_path(&path), index_path(&older(&path)));
        file = lock(&path, deadline)?;
    }
    let index = Index::open(&file, &index_path(&path));
    let mut at = file.metadata().map_err(fail)?.len();
    if !ends_line(&file).map_err(fail)? {
        // Somebody was killed, or the power went, in the middle of a line.
        (&file).write_all(b"\n").map_err(fail)?;
        at += 1;
    }
    let mut text = String::new();
    let mut added = Vec::new();
    for line in lines {
        let offset = at + text.len() as u64;
        let subjects = line.history_keys();
        // The line of this very call that is about the same comes before what the index knows.
        let before = subjects.iter().map(|subject| {
            let in_call = added.iter().rev().find(|(key, _)| *key == subject.hash_in_index());
            in_call
                .map(|(_, at)| *at)
                .or_else(|| index.find(subject.hash_in_index()))
        });
        text.push_str(&line.text(&before.collect::<Vec<_>>()));
        added.extend(subjects.iter().map(|subject| (subject.hash_in_index(), offset)));
    }
    (&file).write_all(text.as_bytes()).map_err(fail)?;
    index.add(&added, at + text.len() as u64);
    Ok(())
}

fn older(path: &Path) -> PathBuf {
    with_suffix(path, ".old")
}

fn index_path(path: &Path) -> PathBuf {
    with_suffix(path, ".index")
}

/// The line that begins at `offset`.
pub fn line_at(file: &File, offset: u64) -> Option<String> {
    let mut bytes = vec![0; LINE_BYTES];
    let mut read = 0;
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + read as u64) {
            Ok(0) | Err(_) => break,
            Ok(count) => read += count,
        }
        if bytes
            .get(..read)
            .is_some_and(|bytes| memchr::memchr(b'\n', bytes).is_some())
        {
            break;
        }
    }
    let end = memchr::memchr(b'\n', bytes.get(..read)?)?;
    bytes.truncate(end);
    String::from_utf8(bytes).ok()
}

/// Opens the file to add to it, and waits until nobody else does. The lock ends with the file.
fn lock(path: &Path, deadline: &Deadline) -> Result<File, Error> {
    let fail = |e: io::Error| Error::io("open", path, &e);
    loop {
        let mut options = own_file();
        let opened = options.read(true).append(true).create(true).mode(0o600).open(path);
        let is_file = |file: &File| file.metadata().is_ok_and(|stat| stat.is_file());
        let file = match opened {
            Ok(file) if is_file(&file) => file,
            // A link, a directory, a file of root's: it is put where an administrator can look at it.
            Ok(_) | Err(_) if dirs::is_foreign(path) => {
                dirs::set_aside(path).map_err(fail)?;
                continue;
            }
            Ok(_) => continue,
            Err(e) => return Err(fail(e)),
        };
        wait_for(&file, path, deadline, FileExt2::try_lock_exclusive)?;
        if is_still(&file, path)? {
            return Ok(file);
        }
    }
}

fn wait_for(
    file: &File,
    path: &Path,
    deadline: &Deadline,
    try_lock: impl Fn(&File) -> io::Result<()>,
) -> Result<(), Error> {
    let until = Instant::now() + LOCK_TIME.min(deadline.remaining());
    loop {
        match try_lock(file) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                deadline.check("lock", &path.display().to_string())?;
                if Instant::now() >= until {
                    let cause = "another process holds it for too long";
                    return Err(Error::new(Category::System, "lock", path.display(), cause));
                }
                deadline.sleep(PAUSE.mul_f64(0.5 + fastrand::f64()));
            }
            Err(e) => return Err(Error::io("lock", path, &e)),
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

#[cfg(test)]
mod tests;
