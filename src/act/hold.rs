//! Keeps a copy of what was sent to an administrator who may never get it: a mail system drops a null-sender message that it
//! cannot deliver, and nobody is told. Each copy is one compressed mbox, so that `zcat held/*.gz` is a mailbox.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::act::dir::{make_private_dir, sync_parent};
use crate::act::mbox::{Letter, write_letter};
use crate::exit::Error;

/// How much is held for one user, in compressed bytes; the oldest goes first.
pub const HELD_BYTES: u64 = 32 << 20;

/// How many messages are held for one user.
pub const HELD_MESSAGES: usize = 1000;

/// A held message. It stays, unless it is withdrawn.
#[derive(Debug)]
#[must_use]
pub struct Held {
    path: PathBuf,
    pushed_out: usize,
}

impl Held {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many older ones had to go for it.
    #[must_use]
    pub fn pushed_out(&self) -> usize {
        self.pushed_out
    }

    /// Removes it again: the message goes back to the mail system, which will come again with it.
    pub fn withdraw(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Holds one message in `dir`, synced.
///
/// # Errors
/// When it cannot be stored; then no part of it stays.
pub fn hold<R: Read>(dir: &Path, letter: Letter<'_, R>) -> Result<Held, Error> {
    let fail = |e: &io::Error| Error::io("hold a copy in", dir, e);
    make_private_dir(dir)?;
    // Names sort by age.
    let stamp = letter.date.unix_timestamp();
    let prefix = format!("{stamp:012}-");
    let named = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".gz.new")
        .tempfile_in(dir);
    let mut file = named.map_err(|e| fail(&e))?;
    compress(file.as_file_mut(), letter).map_err(|e| fail(&e))?;
    let path = file.path().with_extension("");
    // Named only when complete: what ends in `.gz` is whole.
    file.persist_noclobber(&path).map_err(|e| fail(&e.error))?;
    sync_parent(&path).map_err(|e| fail(&e))?;
    Ok(Held {
        pushed_out: make_room(dir, &path),
        path,
    })
}

fn compress<R: Read>(file: &mut File, letter: Letter<'_, R>) -> io::Result<()> {
    let mut gz = GzEncoder::new(&mut *file, Compression::default());
    write_letter(&mut gz, letter)?;
    gz.finish()?.flush()?;
    file.sync_all()
}

/// Removes the oldest until what is left is within bounds; never `newest`. Says how many.
fn make_room(dir: &Path, newest: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let mut held: Vec<(PathBuf, u64)> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "gz"))
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())))
        .collect();
    held.sort();
    let mut bytes: u64 = held.iter().map(|(_, bytes)| bytes).sum();
    let mut messages = held.len();
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
