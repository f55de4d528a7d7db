//! Appends to an mbox: one `From_` line, the quoted message, one empty line, synced. When any of it fails, the mailbox
//! is cut back to what it was before the lock is released; the error says when that fails, too. A kill leaves a note
//! (`mailbox/intent.rs`).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use time::OffsetDateTime;

use crate::error::{Category, Error};
use crate::mailbox::OpenMailbox;
use crate::mailbox::format::{EntryDraft, MboxEntry, write_letter};
use crate::mailbox::intent::AppendIntent;
use crate::mailbox::intent_text::MessageSource;
use crate::mailbox::lock::Locked;
use crate::mailbox::measure::{AppendExtent, Measure};
use crate::mailbox::submissions::SubmissionKey;
use crate::sys::dirs::sync_parent;
use crate::sys::file_stamp::FileStamp;

/// Where an appended message lies. As long as this lives, the message is noted as unfinished.
#[derive(Debug)]
#[must_use]
pub struct Appended {
    /// The mailbox's length before.
    pub before_bytes: u64,
    /// The mailbox's length now.
    pub after_bytes: u64,
    /// The file, and when it was changed last. Should that not be known, the message is never taken back.
    stamp: FileStamp,
    note: Option<AppendIntent>,
    /// The submission that was noted with it.
    submission: Option<SubmissionKey>,
}

impl Appended {
    /// One that lies in the mailbox already.
    pub(super) fn from_found(locked: &OpenMailbox, extent: AppendExtent, note: AppendIntent) -> Self {
        Self {
            before_bytes: extent.before_bytes,
            after_bytes: extent.after_bytes,
            stamp: FileStamp::of_file(locked.file()).unwrap_or_default(),
            note: Some(note),
            submission: None,
        }
    }

    /// The same, with the submission noted: its message is synced.
    pub(super) fn with_submission(
        self,
        mailbox: &mut OpenMailbox,
        submission: Option<SubmissionKey>,
        date: OffsetDateTime,
    ) -> Self {
        let Some(key) = submission else { return self };
        mailbox.note_submission(key, date.unix_timestamp());
        Self {
            // The note is a change of the file, too.
            stamp: FileStamp::of_file(mailbox.file()).unwrap_or_default(),
            submission,
            ..self
        }
    }

    /// One that was delivered by a run before, and may have been deleted by its reader. It cannot be taken back.
    pub(super) fn delivered_before(mailbox: &OpenMailbox) -> Self {
        let bytes = mailbox.length().unwrap_or_default();
        Self {
            before_bytes: bytes,
            after_bytes: bytes,
            stamp: Default::default(),
            note: None,
            submission: None,
        }
    }

    /// It stays, though the message will come again: so does the note, and the next try knows it.
    pub fn leave(self) {
        if let Some(note) = self.note {
            note.leave();
        }
    }

    /// The note on it, which has to live until nothing can send the message back any more.
    #[must_use]
    pub fn into_note(self) -> Option<AppendIntent> {
        self.note
    }

    /// The same with what was appended behind it under the same lock: they are taken back together.
    pub fn and_since(self, locked: &OpenMailbox) -> Self {
        match (locked.length(), FileStamp::of_file(locked.file())) {
            (Ok(after_bytes), Ok(stamp)) => Self {
                after_bytes,
                stamp,
                ..self
            },
            _ => self,
        }
    }
}

/// Appends `letter` and syncs. A tail that an interrupted delivery of any program left is closed first, so that nothing
/// is glued to it.
///
/// What is on the disk when the power goes:
///
/// 1. Before `sync_data`: of the note, the length and the bytes any part, or nothing. The message was not acknowledged
///    and comes again. ext4 and XFS journal an inode's attributes and its length in order, so the note is there with
///    the first byte, and what is torn is cut off. A file system that brings the length and loses the note leaves a
///    part, which the next append closes.
/// 2. Behind `sync_data`: every byte and the length; fdatasync(2) leaves out only times. What stood there before was
///    synced by whoever wrote it, and is never written to.
/// 3. Behind `sync_name`: the name as well, where the mailbox may be new. Only then the message is acknowledged.
/// 4. The removal of the note is not synced. It may come back after a power loss, and then stops one equal message: one
///    that stands in the mailbox byte for byte, `Received` lines and all.
///
/// # Errors
/// When any step fails; then the mailbox is as it was, or the error says that it is not.
pub fn append<R: Read + Clone>(locked: &mut OpenMailbox, letter: MboxEntry<'_, R>) -> Result<Appended, Error> {
    let path = locked.path();
    let fail = |e: io::Error| Error::io("append to", path, &e);
    let (before_bytes, end) = place(locked)?;
    // The note says how long it will be.
    let draft = EntryDraft::of(letter.clone()).map_err(fail)?;
    let note = AppendIntent::begin(
        locked.file(),
        path,
        MessageSource::Mail,
        draft.extent(before_bytes, end),
        letter.date,
    );
    let (submission, date) = (letter.submission, letter.date);
    let appended = append_with(locked, (before_bytes, end), note, |to| match draft.text() {
        Some(text) => to.write_all(text),
        None => write_letter(to, letter),
    })?;
    Ok(appended.with_submission(locked, submission, date))
}

/// A message that lay in an mbox before.
pub struct Piece<'a> {
    /// Writes it.
    pub write: &'a dyn Fn(&mut dyn Write) -> io::Result<()>,
}

impl Piece<'_> {
    fn extent(&self, before_bytes: u64, ends: &[u8]) -> io::Result<AppendExtent> {
        let mut measure = Measure::default();
        (self.write)(&mut measure)?;
        Ok(measure.extent(before_bytes, ends))
    }
}

/// Appends messages that lay in an mbox before, byte for byte, with their separator lines, and syncs. No MTA brings
/// them again; the note says of one after the other that it is not whole yet, so that what a kill leaves of it is cut
/// off.
pub fn append_stored(mailbox: &mut OpenMailbox, pieces: &[Piece<'_>], date: OffsetDateTime) -> Result<Appended, Error> {
    append_stored_to(mailbox, pieces, date)
}

/// The same while the mailbox is put in order.
pub(super) fn append_stored_to(locked: &Locked, pieces: &[Piece<'_>], date: OffsetDateTime) -> Result<Appended, Error> {
    let (file, path) = (locked.file(), locked.path());
    let (before_bytes, end) = place(locked)?;
    let fail = |e: io::Error| Error::io("append to", path, &e);
    // Until the sync, a kill leaves none of them for sure.
    let source = MessageSource::Mbox {
        unsynced_from_bytes: before_bytes,
    };
    let note = match pieces.first() {
        Some(first) => {
            let extent = first.extent(before_bytes, end).map_err(fail)?;
            AppendIntent::begin(file, path, source, extent, date)
        }
        None => None,
    };
    append_with(locked, (before_bytes, end), note, |to| {
        for (number, piece) in pieces.iter().enumerate() {
            if let Some(note) = to.note.as_ref().filter(|_| number > 0) {
                note.go_on(to.file, source, piece.extent(to.after_bytes, b"")?, date);
            }
            (piece.write)(to)?;
        }
        Ok(())
    })
}

/// Where an append begins: the mailbox's length, and what its end lacks. Under the lock both stay so.
fn place(locked: &Locked) -> Result<(u64, &'static [u8]), Error> {
    let before_bytes = locked.length()?;
    let end = missing_end(locked.file(), before_bytes).map_err(|e| Error::io("append to", locked.path(), &e))?;
    Ok((before_bytes, end))
}

fn append_with(
    locked: &Locked,
    (before_bytes, end): (u64, &[u8]),
    note: Option<AppendIntent>,
    write: impl FnOnce(&mut Append<'_>) -> io::Result<()>,
) -> Result<Appended, Error> {
    let path = locked.path();
    let file = locked.file();
    let fail = |e: io::Error| Error::io("append to", path, &e);
    let mut begun = Append {
        file,
        before_bytes,
        after_bytes: before_bytes,
        note,
        settled: false,
    };
    let written = begun
        .write_all(end)
        .and_then(|()| write(&mut begun))
        .and_then(|()| file.sync_data())
        .and_then(|()| sync_name(locked, before_bytes));
    match written {
        Ok(()) => Ok(begun.complete()),
        Err(e) => match begun.undo() {
            Ok(()) => Err(fail(e)),
            Err(undo) => Err(fail(e).hint(format!("the mailbox ends in a part of the message: {undo}"))),
        },
    }
}

/// A message of which some may be in the mailbox. Dropped before it is settled, by a panic too, it is cut off again.
struct Append<'a> {
    file: &'a File,
    before_bytes: u64,
    after_bytes: u64,
    note: Option<AppendIntent>,
    settled: bool,
}

impl Append<'_> {
    fn complete(mut self) -> Appended {
        self.settled = true;
        Appended {
            before_bytes: self.before_bytes,
            after_bytes: self.after_bytes,
            stamp: FileStamp::of_file(self.file).unwrap_or_default(),
            note: self.note.take(),
            submission: None,
        }
    }

    fn undo(mut self) -> io::Result<()> {
        self.settled = true;
        let undone = cut_back(self.file, self.before_bytes, self.after_bytes);
        if let Some(note) = self.note.take_if(|_| undone.is_err()) {
            // Whoever comes next may have better luck.
            note.leave();
        }
        undone
    }
}

impl Drop for Append<'_> {
    fn drop(&mut self) {
        if !self.settled {
            let _ = cut_back(self.file, self.before_bytes, self.after_bytes);
        }
    }
}

impl Write for Append<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.after_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes the mailbox's name last where it was empty: it may be new, made by an earlier try or by somebody else, and its
/// name not on disk yet.
pub(super) fn sync_name(locked: &Locked, before_bytes: u64) -> io::Result<()> {
    if before_bytes > 0 {
        return Ok(());
    }
    match sync_parent(locked.path()) {
        // A directory that may be written to but not read (mode 1733) cannot be opened to be synced. Syncing the file
        // as a whole carries its name along on journalling file systems.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => locked.file().sync_all(),
        synced => synced,
    }
}

/// Cuts off what was written. Where the mailbox has another length than that, somebody writes to it without locks, and
/// cutting would take their mail.
pub(crate) fn cut_back(file: &File, before_bytes: u64, after_bytes: u64) -> io::Result<()> {
    let now = file.metadata()?.len();
    if now > after_bytes {
        return Err(io::Error::other("another program appends to it without a lock"));
    }
    if now > before_bytes {
        file.set_len(before_bytes)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Takes a message back that was appended, if nothing came after it. One that stays is noted, so that it is known when
/// it comes again. Fails when the mailbox has changed since, or cannot be cut.
pub fn take_back(locked: &mut OpenMailbox, appended: Appended) -> Result<(), Error> {
    let taken = cut_off(locked, &appended);
    if taken.is_err() {
        appended.leave();
    }
    taken
}

fn cut_off(locked: &mut OpenMailbox, appended: &Appended) -> Result<(), Error> {
    let path = locked.path().to_owned();
    let fail = |e: io::Error| Error::io("take a copy back from", &path, &e);
    if locked.length()? != appended.after_bytes || FileStamp::of_file(locked.file()).map_err(fail)? != appended.stamp {
        return Err(fail(io::Error::other("the mailbox has changed since")));
    }
    if let Some(key) = appended.submission {
        // First, or a kill in between would leave a note on mail that is nowhere.
        locked.forget_submission(key).map_err(fail)?;
    }
    cut_back(locked.file(), appended.before_bytes, appended.after_bytes).map_err(fail)
}

/// Closes a message that was cut short at the mailbox's end, so that nothing is glued to it.
pub(super) fn end_last_message(locked: &mut Locked) -> Result<(), Error> {
    let length = locked.length()?;
    let mut file = locked.file();
    missing_end(file, length)
        .and_then(|end| file.write_all(end))
        .map_err(|e| Error::io("append to", locked.path(), &e))
}

/// What the mailbox's end lacks before a separator line may follow: an empty line.
fn missing_end(file: &File, length: u64) -> io::Result<&'static [u8]> {
    let mut end = [0; 2];
    let end = match length {
        0 => return Ok(b""),
        1 => end.get_mut(1..).unwrap_or_default(),
        _ => &mut end,
    };
    file.read_exact_at(end, length - end.len() as u64)?;
    Ok(match end {
        [b'\n', b'\n'] | [b'\n'] => b"",
        [.., b'\n'] => b"\n",
        _ => b"\n\n",
    })
}

/// What a full disk is called.
pub fn too_little_space(path: &Path, free_bytes: u64, min_free_bytes: u64) -> Error {
    Error::new(
        Category::SystemFull,
        "append to",
        path.display(),
        format_args!(
            "{} MiB are free, and min_free asks for {} MiB beside the message",
            free_bytes >> 20,
            min_free_bytes >> 20
        ),
    )
}
