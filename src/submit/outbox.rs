//! Keeps what would be sent in a Maildir: for tests, trials, and programs that fetch mail from there.

use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::Error;
use crate::submit::letter::Letter;
use crate::sys::dirs::{make_private_dir, sync_parent};

/// Writes the message and its envelope into the maildir `dir` (maildir(5)). Fails when the directories cannot be made,
/// or the file cannot be written or synced.
pub fn keep_letter<R: Read>(dir: &Path, mut letter: Letter<'_, R>) -> Result<(), Error> {
    let fail = |e: io::Error| Error::io("write to the outbox", dir, &e);
    for part in ["tmp", "new", "cur"] {
        make_private_dir(&dir.join(part))?;
    }
    let mut file = tempfile::Builder::new()
        .prefix("")
        .rand_bytes(12)
        .tempfile_in(dir.join("tmp"))
        .map_err(fail)?;
    write!(
        file,
        "Return-Path: <{}>\nEnvelope-To: {}\n",
        letter.sender,
        letter.recipients.join(", ")
    )
    .map_err(fail)?;
    file.write_all(letter.added).map_err(fail)?;
    io::copy(&mut letter.content, &mut file).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros();
    let name = format!("{seconds}.P{}R{:08x}.spoolguard", std::process::id(), fastrand::u32(..));
    let path = dir.join("new").join(name);
    file.persist_noclobber(&path).map_err(|e| fail(e.error))?;
    sync_parent(&path).map_err(fail)
}
