//! Notes about appends that are not finished, so that a run that is killed is known by what it left, and the mail system's next try
//! does not bring the message a second time.
//!
//! A note is an extended attribute of the mailbox (xattr(7)), one for each append. It is set under the lock before the first byte is
//! written, says where the message begins and where it will end, and is removed last of all, when nothing can fail any more. Only a
//! run that was killed, or that could not take back what it wrote, leaves one. Whoever locks the mailbox next looks:
//!
//! - The message ends too early: it is cut off again, if nobody wrote behind it.
//! - It is whole: the note stays, since the next message need not be that one. When the same bytes come again, they are there
//!   already, and the note goes: each note stops one message, and only one that stands in the mailbox byte for byte. Two equal
//!   messages that are sent on purpose both arrive, because a run that ends well leaves no note.
//!
//! An attribute rather than a file: it needs no directory that the user may write to, goes where the mailbox goes, is shared by all
//! who may write to it, and reaches the disk with the mailbox's own sync, since it is a part of the same inode. Where the file
//! system has none, a killed run may bring its message twice. So it may when the kill comes between the removal of the note
//! and the end of the process, and when another program moved the message before the next try; never does it get lost.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use flate2::Crc;
use memchr::{memchr, memmem};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, lremovexattr, lsetxattr};
use time::OffsetDateTime;

use crate::act::account::host_name;
use crate::separator::is_separator;

/// What the names of all notes begin with; behind it stand the process and a number.
const PREFIX: &str = "user.spoolguard.";

/// As long as mail systems try again (Postfix and Exim give up after 4 or 5 days), in seconds.
const KEPT_SECONDS: i64 = 5 * 24 * 60 * 60;

/// No run lasts longer, in seconds.
const RUN_SECONDS: i64 = 300;

/// How many notes of killed runs stay on one mailbox; the oldest go first.
const MOST_NOTES: usize = 64;

/// What the names of attributes take, mostly and at most (xattr(7)), in bytes.
const NAMES_BYTES: usize = 1024;
const MOST_NAMES_BYTES: usize = 64 << 10;

/// The longest separator line that is recognised, in bytes.
const LINE_BYTES: usize = 1024;

/// One read of the mailbox, in bytes.
const STEP_BYTES: usize = 64 << 10;

/// Where an append begins and ends, and how to know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The mailbox's length before, in bytes.
    pub before_bytes: u64,
    /// The mailbox's length with the whole message, in bytes.
    pub after_bytes: u64,
    /// A checksum of its separator line.
    pub separator: u32,
}

/// A note on a mailbox. Dropping it removes it: whatever ends the run in an orderly way has dealt with the message. A panic is no
/// orderly way.
#[derive(Debug)]
pub struct Note {
    // Not the open file: the kernel's locks would hang on it as long as this lives.
    path: PathBuf,
    name: String,
    left: bool,
}

impl Note {
    /// Notes that an append to an open mailbox begins; none where the file system knows no attributes.
    #[must_use]
    pub fn begin(file: &File, path: &Path, extent: Extent, date: OffsetDateTime) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Extent {
            before_bytes,
            after_bytes,
            separator,
        } = extent;
        // Short enough for the inode itself, on ext4 with its usual 256 bytes for each.
        let name = format!(
            "{PREFIX}{}.{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let value = format!(
            "{:08x} {before_bytes} {after_bytes} {separator:08x} {}",
            host(),
            date.unix_timestamp()
        );
        fsetxattr(file, name.as_str(), value.as_bytes(), XattrFlags::empty()).ok()?;
        Some(Self {
            path: path.to_owned(),
            name,
            left: false,
        })
    }

    /// Takes over the note of a dead run. Ours comes first: a kill in between must not leave the message without one.
    fn adopt(file: &File, path: &Path, name: String, extent: Extent, date: OffsetDateTime) -> Self {
        match Self::begin(file, path, extent, date) {
            Some(note) => {
                remove(file, &name);
                note
            }
            None => Self {
                path: path.to_owned(),
                name,
                left: false,
            },
        }
    }

    /// Leaves it behind: the message is in the mailbox, and will come again all the same.
    pub fn leave(mut self) {
        self.left = true;
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if self.left || std::thread::panicking() {
            return;
        }
        // One that stayed after a run that ended well would stop an equal message that is sent on purpose: it is tried twice, and
        // emptied at last. Should the mailbox be another file by now, there is no such note on it.
        let (path, name) = (&self.path, self.name.as_str());
        let gone = |result| {
            matches!(
                result,
                Ok(()) | Err(rustix::io::Errno::NODATA | rustix::io::Errno::NOENT)
            )
        };
        if !gone(lremovexattr(path, name)) && !gone(lremovexattr(path, name)) {
            let _ = lsetxattr(path, name, b"", XattrFlags::REPLACE);
        }
    }
}

/// What the notes on a mailbox led to.
#[derive(Debug, Default)]
#[must_use]
pub struct Found {
    /// The bytes of torn messages that were cut off.
    pub cut_bytes: u64,
    /// Where the message lies that was asked for, with a note of ours on it.
    pub same: Option<(Extent, Note)>,
}

/// Looks at the notes that ended runs left on an open, locked mailbox. Cuts off with `cut_back(before, after)`, and asks
/// `is_same(extent, begin)` whether the message that stands between `begin`, behind its separator line, and the extent's end is the
/// one that came now.
///
/// # Errors
/// When the mailbox cannot be read. Notes that cannot be read are none.
pub fn look(
    file: &File,
    path: &Path,
    date: OffsetDateTime,
    mut cut_back: impl FnMut(u64, u64) -> io::Result<()>,
    mut is_same: impl FnMut(&Extent, &Separator) -> bool,
) -> io::Result<Found> {
    let mut found = Found::default();
    let mut dead = Vec::new();
    for name in names(file) {
        match Written::read(file, &name) {
            Some(written) if written.is_alive(date) => {}
            Some(written) => dead.push((written, name)),
            None => remove(file, &name),
        }
    }
    dead.sort_by_key(|(written, _)| written.seconds);
    let too_many = dead.len().saturating_sub(MOST_NOTES);
    for (_, name) in dead.drain(..too_many) {
        remove(file, &name);
    }
    for (written, name) in dead {
        let extent = written.extent;
        let length = file.metadata()?.len();
        match state(file, &extent, length)? {
            State::Torn => {
                if cut_back(extent.before_bytes, length).is_ok() {
                    found.cut_bytes += length - extent.before_bytes;
                    remove(file, &name);
                }
            }
            State::Whole(separator) if !written.is_old(date) => {
                match &found.same {
                    // A try that was killed when it had found its message left a second note on it.
                    Some((same, _)) if *same == extent => remove(file, &name),
                    None if is_same(&extent, &separator) => {
                        found.same = Some((extent, Note::adopt(file, path, name, extent, date)));
                    }
                    _ => {}
                }
            }
            State::Whole(_) | State::Changed => remove(file, &name),
        }
    }
    Ok(found)
}

/// Removes the note of somebody who is no more. One that stays is looked at again.
fn remove(file: &File, name: &str) {
    let _ = fremovexattr(file, name);
}

/// The names of all notes; nothing where there are none, as nearly always.
fn names(file: &File) -> Vec<String> {
    let mut buffer = vec![0; NAMES_BYTES];
    let mut listed = flistxattr(file, buffer.as_mut_slice());
    if listed == Err(rustix::io::Errno::RANGE) {
        buffer.resize(MOST_NAMES_BYTES, 0);
        listed = flistxattr(file, buffer.as_mut_slice());
    }
    let names = buffer.get(..listed.unwrap_or(0)).unwrap_or_default();
    names
        .split(|b| *b == 0)
        .filter_map(|name| std::str::from_utf8(name).ok())
        .filter(|name| name.starts_with(PREFIX))
        .map(str::to_owned)
        .collect()
}

/// A note as somebody wrote it.
struct Written {
    pid: i32,
    host: u32,
    extent: Extent,
    seconds: i64,
}

impl Written {
    fn read(file: &File, name: &str) -> Option<Self> {
        let mut buffer = [0; 128];
        let length = fgetxattr(file, name, &mut buffer).ok()?;
        let text = std::str::from_utf8(buffer.get(..length)?).ok()?;
        let pid = name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok()?;
        let mut words = text.split(' ');
        let host = u32::from_str_radix(words.next()?, 16).ok()?;
        let before_bytes = words.next()?.parse().ok()?;
        let after_bytes = words.next()?.parse().ok()?;
        let separator = u32::from_str_radix(words.next()?, 16).ok()?;
        let seconds = words.next()?.parse().ok()?;
        let extent = Extent {
            before_bytes,
            after_bytes,
            separator,
        };
        (pid > 0 && before_bytes < after_bytes).then_some(Self {
            pid,
            host,
            extent,
            seconds,
        })
    }

    /// Tells whether the run that wrote it may go on: it has let go of the lock, and waits for sendmail.
    fn is_alive(&self, now: OffsetDateTime) -> bool {
        if now.unix_timestamp() - self.seconds > RUN_SECONDS {
            return false;
        }
        // Of another host's processes nothing is known but that they end.
        self.host != host() || kill(Pid::from_raw(self.pid), None) != Err(Errno::ESRCH)
    }

    fn is_old(&self, now: OffsetDateTime) -> bool {
        now.unix_timestamp() - self.seconds > KEPT_SECONDS
    }
}

/// A short name for this host.
pub(crate) fn host() -> u32 {
    checksum(host_name().as_bytes())
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A separator line that stands in a mailbox.
#[derive(Debug)]
pub struct Separator {
    /// The line, with its end.
    pub line: Vec<u8>,
    /// Where the line behind it begins.
    pub end_bytes: u64,
}

/// What stands where a note says that a message was appended.
enum State {
    /// The beginning of it, and nothing else.
    Torn,
    /// All of it, as far as its length and its separator line tell.
    Whole(Separator),
    /// Something else.
    Changed,
}

fn state(file: &File, extent: &Extent, length: u64) -> io::Result<State> {
    if length <= extent.before_bytes {
        return Ok(State::Changed);
    }
    let mut buffer = [0; LINE_BYTES + 2];
    let read = read_full(file, &mut buffer, extent.before_bytes)?;
    let bytes = buffer.get(..read).unwrap_or_default();
    // What the message before lacked at its end was written first.
    let ends = bytes.iter().take(2).take_while(|b| **b == b'\n').count();
    let rest = bytes.get(ends..).unwrap_or_default();
    if rest.first() == Some(&0) && length <= extent.after_bytes {
        // After a power loss: the length had come to the disk, and the bytes had not.
        return torn_unless_foreign(file, extent.before_bytes, length);
    }
    let is_short = length < extent.after_bytes;
    let Some(at) = memchr(b'\n', rest) else {
        // Not even the separator line is there. Nobody else's could be as short and mean anything.
        let is_begun = rest.starts_with(b"From ") || b"From ".starts_with(rest);
        return Ok(if is_short && is_begun && rest.len() < LINE_BYTES {
            State::Torn
        } else {
            State::Changed
        });
    };
    let line = rest.get(..=at).unwrap_or_default();
    if checksum(line) != extent.separator {
        return Ok(State::Changed);
    }
    let end_bytes = extent.before_bytes + (ends + line.len()) as u64;
    if !is_short {
        return Ok(State::Whole(Separator {
            line: line.to_vec(),
            end_bytes,
        }));
    }
    torn_unless_foreign(file, end_bytes, length)
}

/// We quote whatever looks like a separator. One that stands there is somebody else's, who wrote behind the torn message without a
/// lock, right behind its last byte.
fn torn_unless_foreign(file: &File, from: u64, length: u64) -> io::Result<State> {
    Ok(if has_separator(file, from, length)? {
        State::Changed
    } else {
        State::Torn
    })
}

/// Tells whether a separator line begins anywhere in this part of the file, in the middle of a line too.
fn has_separator(file: &File, from: u64, to: u64) -> io::Result<bool> {
    let mut buffer = vec![0; STEP_BYTES + LINE_BYTES];
    let mut at = from;
    while at < to {
        let read = read_full(file, &mut buffer, at)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        for hit in memmem::find_iter(bytes, b"From ") {
            let rest = bytes.get(hit..bytes.len().min(hit + LINE_BYTES)).unwrap_or_default();
            let line = memchr(b'\n', rest).and_then(|end| rest.get(..end)).unwrap_or(rest);
            if is_separator(line) {
                return Ok(true);
            }
        }
        if read < buffer.len() {
            break;
        }
        at += STEP_BYTES as u64;
    }
    Ok(false)
}

fn read_full(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..)
        && !room.is_empty()
    {
        match file.read_at(room, at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Counts what is written to it, and takes the checksum of its first line.
#[derive(Default)]
pub struct Measure {
    bytes: u64,
    line: Crc,
    line_ended: bool,
}

impl Measure {
    /// Where all of this will lie behind `before_bytes`, with `ends` written first.
    #[must_use]
    pub fn extent(&self, before_bytes: u64, ends: &[u8]) -> Extent {
        Extent {
            before_bytes,
            after_bytes: before_bytes + ends.len() as u64 + self.bytes,
            separator: self.line.sum(),
        }
    }
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.line_ended {
            let line = memchr(b'\n', bytes).and_then(|at| bytes.get(..=at));
            self.line_ended = line.is_some();
            self.line.update(line.unwrap_or(bytes));
        }
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compares what is written to it with what stands in a file; the first difference is an error.
pub struct Compare<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
}

impl<'a> Compare<'a> {
    /// Compares with the bytes from `at` to `end`.
    #[must_use]
    pub fn new(file: &'a File, at: u64, end: u64) -> Self {
        Self {
            file,
            at,
            end,
            buffer: Vec::new(),
        }
    }

    /// Tells whether everything was compared.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.at == self.end
    }
}

impl Write for Compare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = bytes.get(..bytes.len().min(STEP_BYTES)).unwrap_or(bytes);
        self.buffer.resize(bytes.len(), 0);
        let read = read_full(self.file, &mut self.buffer, self.at)?;
        if read < bytes.len() || self.at + read as u64 > self.end || self.buffer != bytes {
            return Err(io::Error::other("this is another message"));
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
