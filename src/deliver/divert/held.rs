//! Holds copies of messages that left with the null sender, to the administrator or to a destination: an MTA drops such
//! a message when it cannot deliver it, and tells nobody. Messages that are only counted are held, too. Each copy is
//! one compressed mbox, so that `zcat held/*.gz` is a mailbox. The directory is bounded: the oldest copy goes first,
//! and the number of those that went is told.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::error::Error;
use crate::mailbox::format::{MboxEntry, write_letter};
use crate::sys::dirs::{make_private_dir, open_kept, sync_parent};

/// Where copies of null-sender mail that was sent on are held, in the state directory.
pub const FORWARDED_DIR: &str = "forwarded";

/// How much is held in one directory, in compressed bytes; the oldest goes first.
pub const HELD_BYTES: u64 = 32 << 20;

pub const HELD_MESSAGES: usize = 1000;

/// A held message. It stays, unless it is withdrawn.
#[derive(Debug)]
#[must_use]
pub struct HeldCopy {
    pub path: PathBuf,
    /// How many older ones had to go for it.
    pub pushed_out: usize,
}

impl HeldCopy {
    /// Removes it again: the message goes back to the MTA, which will come again with it.
    pub fn withdraw(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Holds one message in `dir`, synced. The name of its file begins with the time, then `tag`, by which it is found
/// again. Fails when it cannot be stored; then no part of it stays.
pub fn hold_copy<R: Read>(dir: &Path, tag: &str, letter: MboxEntry<'_, R>) -> Result<HeldCopy, Error> {
    let fail = |e: &io::Error| Error::io("hold a copy in", dir, e);
    make_private_dir(dir)?;
    // Names sort by age.
    let stamp = letter.date.unix_timestamp();
    let prefix = if tag.is_empty() {
        format!("{stamp:012}-")
    } else {
        format!("{stamp:012}-{tag}-")
    };
    let named = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".gz.new")
        .tempfile_in(dir);
    let mut file = named.map_err(|e| fail(&e))?;
    compress(file.as_file_mut(), letter).map_err(|e| fail(&e))?;
    let length = file.as_file().metadata().map_err(|e| fail(&e))?.len();
    let path = file.path().with_extension("").with_extension(format!("{length}.gz"));
    // Named only when complete: what ends in `.gz` is whole.
    file.persist_noclobber(&path).map_err(|e| fail(&e.error))?;
    sync_parent(&path).map_err(|e| fail(&e))?;
    Ok(HeldCopy {
        pushed_out: make_room(dir, &path),
        path,
    })
}

fn compress<R: Read>(file: &mut File, letter: MboxEntry<'_, R>) -> io::Result<()> {
    let mut gz = GzEncoder::new(&mut *file, Compression::default());
    write_letter(&mut gz, letter)?;
    gz.finish()?.flush()?;
    file.sync_all()
}

/// The beginning of the last message in `dir` that was held with `tag`: at most `bytes`, less where it is damaged, none
/// where it is gone.
pub fn read_sample(dir: &Path, tag: &str, bytes: u64) -> Option<Vec<u8>> {
    let entries = std::fs::read_dir(dir).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let last = names
        .filter(|name| name.ends_with(".gz") && name.contains(&format!("-{tag}-")))
        .max()?;
    let file = open_kept(&dir.join(last)).ok()??;
    let mut text = Vec::new();
    // What was read before an error counts.
    let _ = GzDecoder::new(file).take(bytes).read_to_end(&mut text);
    (!text.is_empty()).then_some(text)
}

/// Removes the oldest until what is left is within bounds; never `newest`. Says how many.
fn make_room(dir: &Path, newest: &Path) -> usize {
    let (mut messages, mut bytes) = list_copies(dir).fold((0, 0), |(count, sum), (_, bytes)| (count + 1, sum + bytes));
    if bytes <= HELD_BYTES && messages <= HELD_MESSAGES {
        return 0;
    }
    let mut held: Vec<(PathBuf, u64)> = list_copies(dir).collect();
    held.sort();
    let mut removed = 0;
    for (path, length) in held {
        if bytes <= HELD_BYTES && messages <= HELD_MESSAGES {
            break;
        }
        if path != newest && std::fs::remove_file(&path).is_ok() {
            removed += 1;
        }
        bytes = bytes.saturating_sub(length);
        messages -= 1;
    }
    removed
}

/// The held copies in `dir`, each with its length in compressed bytes.
pub fn list_copies(dir: &Path) -> impl Iterator<Item = (PathBuf, u64)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| {
        let path = entry.path();
        let name = path.file_name()?.to_str()?.strip_suffix(".gz")?;
        // Names tell the length: to ask the file system of a thousand copies took as long as the delivery itself.
        let told = name.rsplit_once('.').and_then(|(_, length)| length.parse().ok());
        let length = told.or_else(|| entry.metadata().ok().map(|stat| stat.len()))?;
        Some((path, length))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{HELD_MESSAGES, list_copies, make_room};

    #[test]
    fn names_tell_lengths_and_older_names_do_without() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        for (name, bytes) in [
            ("1-tag-aB3.700.gz", 3),
            ("2-aB3.gz", 5),
            ("3-123456.gz", 7),
            ("4-x.9.gz.new", 9),
            ("5", 1),
        ] {
            assert!(fs::write(dir.path().join(name), vec![0; bytes]).is_ok());
        }
        let mut lengths: Vec<u64> = list_copies(dir.path()).map(|(_, length)| length).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [5, 7, 700]);
    }

    #[test]
    fn the_oldest_make_room_and_the_newest_stays() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let name = |number: usize| dir.path().join(format!("{number:012}-x.1.gz"));
        for number in 0..HELD_MESSAGES + 2 {
            assert!(fs::write(name(number), "").is_ok());
        }
        assert_eq!(make_room(dir.path(), &name(0)), 1);
        assert!(name(0).exists() && !name(1).exists() && name(2).exists());
        // By their lengths, too.
        assert!(fs::write(dir.path().join("000000009999-y.33554432.gz"), "").is_ok());
        assert_eq!(make_room(dir.path(), &name(0)), HELD_MESSAGES);
    }
}
