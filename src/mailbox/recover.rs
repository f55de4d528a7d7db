//! Puts a mailbox in order after a run that was killed, and finds the message that it brought, by the notes of
//! `mailbox/intent.rs`. Runs under the lock.
//!
//! A torn message is cut off; it was never acknowledged. A whole one is written again and synced, since nobody saw its
//! sync succeed. A note is removed only after that sync. When any of it fails, the message is deferred, since nobody
//! knows then whether it is there.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;

use time::OffsetDateTime;

use crate::error::Error;
use crate::mailbox::append::{self, Appended};
use crate::mailbox::format::{EntryDraft, MboxEntry, separator_start, write_letter, write_rest};
use crate::mailbox::in_place::{InPlace, write_again};
use crate::mailbox::intent::{LeftIntent, MOST_NOTES, left_by_others};
use crate::mailbox::intent_text::{AppendProgress, MessageSource};
use crate::mailbox::limited_file::LimitedFile;
use crate::mailbox::lock::Locked;
use crate::mailbox::measure::AppendExtent;
use crate::mailbox::torn::{self, Compare, Depth, Tail};
use crate::mailbox::{OpenMailbox, moved, quoting};
use crate::sys::deadline::{ReadLimit, TOTAL};

/// A message of a run that is no more, which its MTA may bring again.
#[derive(Debug)]
pub(super) struct LeftMessage {
    intent: LeftIntent,
    /// What stands where it was; never `Torn`, since that is cut off. Where it is `Foreign`, the message may stand
    /// elsewhere.
    found: Tail,
}

/// What was put in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// How much of torn messages was cut off, in bytes.
    pub cut_bytes: u64,
    /// How much was written again and synced, since nobody saw the sync of it succeed, in bytes.
    pub written_again_bytes: u64,
}

/// Puts in order what killed runs left. The messages that their MTA may bring again. Fails when the mailbox cannot be
/// read, written or synced; then nothing may be done with it.
pub(super) fn recover(
    locked: &Locked,
    now: OffsetDateTime,
    limit: ReadLimit,
) -> Result<(Recovered, Vec<LeftMessage>), Error> {
    let mut recovery = Recovery {
        file: locked.file(),
        now,
        limit,
        done: Recovered::default(),
        has_first: false,
        kept: Vec::new(),
        settled: Vec::new(),
    };
    let fail = |e: io::Error| Error::io("put in order what a killed run left in", locked.path(), &e);
    for intent in left_by_others(locked.file(), now) {
        recovery.settle(intent, || locked.refresh()).map_err(fail)?;
    }
    if recovery.done != Recovered::default() {
        locked.file().sync_data().map_err(fail)?;
        if recovery.has_first {
            append::sync_name(locked, 0).map_err(fail)?;
        }
    }
    // Only behind the sync: until then each note is needed.
    let Recovery {
        done,
        mut kept,
        settled,
        ..
    } = recovery;
    for intent in settled {
        intent.remove(locked.file());
    }
    for left in &mut kept {
        match left.found {
            Tail::Whole(_) => left.intent.advance(locked.file(), AppendProgress::Durable),
            Tail::Foreign => left.intent.advance(locked.file(), AppendProgress::Moved),
            Tail::Holed | Tail::Torn => {}
        }
    }
    let too_many = kept.len().saturating_sub(MOST_NOTES);
    for left in kept.drain(..too_many) {
        left.intent.remove(locked.file());
    }
    Ok((done, kept))
}

struct Recovery<'a> {
    file: &'a File,
    now: OffsetDateTime,
    limit: ReadLimit,
    done: Recovered,
    /// Whether one of the messages is the mailbox's first, so that the mailbox may be new, and its name not on the
    /// disk.
    has_first: bool,
    kept: Vec<LeftMessage>,
    /// Notes that say nothing any more, once the mailbox is synced.
    settled: Vec<LeftIntent>,
}

impl Recovery<'_> {
    /// Does what can be done for a note by itself.
    fn settle(&mut self, mut intent: LeftIntent, step: impl Fn()) -> io::Result<()> {
        let extent = intent.noted.extent;
        let length = self.file.metadata()?.len();
        let depth = match intent.noted.progress {
            AppendProgress::Unknown | AppendProgress::Whole => Depth::Content,
            AppendProgress::Durable => Depth::Separator,
            AppendProgress::Moved => {
                self.keep(intent, Tail::Foreign);
                return Ok(());
            }
        };
        let tail = torn::examine_tail(&LimitedFile::new(self.file, self.limit), &extent, length, depth)?;
        if !intent.is_left(self.file, self.now) {
            // It has let go of the lock, and does itself what is to be done. Taken out by a mail client, its message
            // leaves its place to what stands behind it, which may begin with the same line. This run's own is left as
            // it is: a copy is taken back only where nothing changed since, and a note changes the file's stamp.
            if matches!(tail, Tail::Whole(_)) && !intent.is_own() {
                intent.advance(self.file, AppendProgress::Whole);
            }
            return Ok(());
        }
        self.has_first |= extent.before_bytes == 0;
        // It was whole before: what is shorter now is something else, which moved into its place.
        let tail = if intent.noted.progress != AppendProgress::Unknown && length < extent.after_bytes {
            Tail::Foreign
        } else {
            tail
        };
        match &tail {
            Tail::Torn => {
                self.file.set_len(extent.before_bytes)?;
                self.file.sync_all()?;
                self.done.cut_bytes += length - extent.before_bytes;
            }
            Tail::Holed => self.close_hole(&extent)?,
            Tail::Whole(_) | Tail::Foreign => {}
        }
        if intent.noted.progress != AppendProgress::Durable {
            self.make_durable(&intent, step)?;
        }
        self.keep(intent, tail);
        Ok(())
    }

    /// Keeps the note of a message for when the same comes again. One of a message that does not come again has done
    /// what it was for.
    fn keep(&mut self, intent: LeftIntent, found: Tail) {
        let may_come_again = intent.noted.source == MessageSource::Mail && !intent.is_old(self.now);
        match found {
            Tail::Whole(_) | Tail::Holed | Tail::Foreign if may_come_again => {
                self.kept.push(LeftMessage { intent, found });
            }
            Tail::Torn | Tail::Whole(_) | Tail::Holed | Tail::Foreign => self.settled.push(intent),
        }
    }

    /// Ends a message that has holes with an empty line, as it ended before. So what others wrote behind it is a
    /// message of its own.
    fn close_hole(&mut self, extent: &AppendExtent) -> io::Result<()> {
        let mut end = [0; 2];
        let from = extent.after_bytes.saturating_sub(2).max(extent.before_bytes);
        self.file.read_exact_at(&mut end, from)?;
        let closed = end.map(|byte| if byte == 0 { b'\n' } else { byte });
        let mut to = InPlace::begin(self.file, from, extent.after_bytes)?;
        to.write_all(&closed)?;
        to.finish()
    }

    /// Writes again what stands there of the message, and of those before it that were to be synced with it. The caller
    /// syncs.
    fn make_durable(&mut self, intent: &LeftIntent, step: impl Fn()) -> io::Result<()> {
        let extent = intent.noted.extent;
        let from = match intent.noted.source {
            MessageSource::Mail => extent.before_bytes,
            MessageSource::Mbox { unsynced_from_bytes } => unsynced_from_bytes,
        };
        let end = self.file.metadata()?.len().min(extent.after_bytes);
        if from < end {
            write_again(self.file, from, end, step)?;
            self.done.written_again_bytes += end - from;
        }
        Ok(())
    }
}

/// Finds `entry` where a run that was killed left it, fills the holes that it has there, and syncs it. None where it is
/// not there.
pub fn find_earlier<R: Read + Clone>(
    mailbox: &mut OpenMailbox,
    entry: &MboxEntry<'_, R>,
) -> Result<Option<Appended>, Error> {
    let path = mailbox.path().to_owned();
    let fail = |e: io::Error| Error::io("look for an earlier try in", &path, &e);
    let mut same: Option<LeftMessage> = None;
    let (mut moved, mut others) = (Vec::new(), Vec::new());
    for left in std::mem::take(&mut mailbox.left) {
        let place = |left: &LeftMessage| {
            let extent = left.intent.noted.extent;
            (extent.before_bytes, extent.after_bytes)
        };
        match &same {
            // A try that was killed when it had found its message left a second note on it.
            Some(found) if place(found) == place(&left) => left.intent.remove(mailbox.file()),
            None if left.is(mailbox.file(), entry).map_err(fail)? => match left.found {
                Tail::Foreign | Tail::Torn => moved.push(left.intent),
                Tail::Whole(_) | Tail::Holed => same = Some(left),
            },
            Some(_) | None => others.push(left),
        }
    }
    mailbox.left = others;
    let found = match same {
        Some(left) => Some(left.rewrite(mailbox, entry).map_err(fail)?),
        None => find_moved(mailbox, entry, moved).map_err(fail)?,
    };
    if let Some(appended) = found {
        return Ok(Some(appended.with_submission(mailbox, entry.submission, entry.date)));
    }
    let now = entry.date.unix_timestamp();
    let is_known = entry.submission.is_some_and(|key| mailbox.has_submission(key, now));
    // Its message was synced before it was noted. Whoever deleted it since has seen it.
    Ok(is_known.then(|| Appended::delivered_before(mailbox)))
}

/// Finds `entry` where it stands now, by notes that say that it stood elsewhere, and makes it last. These notes have
/// done then what they were for.
fn find_moved<R: Read + Clone>(
    mailbox: &OpenMailbox,
    entry: &MboxEntry<'_, R>,
    notes: Vec<LeftIntent>,
) -> io::Result<Option<Appended>> {
    let file = mailbox.file();
    let mut found = None;
    for note in notes {
        if found.is_some() {
            note.remove(file);
            continue;
        }
        let Some(place) = moved::find_moved(file, entry, note.noted.extent.separator, || mailbox.refresh())? else {
            note.remove(file);
            continue;
        };
        // Nobody knows whether whoever moved it has synced it.
        write_again(file, place.start, place.end, || mailbox.refresh())?;
        file.sync_data()?;
        let extent = AppendExtent {
            before_bytes: place.start,
            after_bytes: place.end,
            ..note.noted.extent
        };
        found = Some(Appended::from_found(mailbox, extent, note.take_over(mailbox.path())));
    }
    Ok(found)
}

impl LeftMessage {
    /// Compares all but the date of delivery.
    fn is<R: Read + Clone>(&self, file: &File, entry: &MboxEntry<'_, R>) -> io::Result<bool> {
        let extent = self.intent.noted.extent;
        let Tail::Whole(separator) = &self.found else {
            // What the holes have swallowed, the note's checksum knows.
            return Ok(self.whole(entry)?.is_some_and(|(_, whole)| whole == extent));
        };
        if !separator.line.starts_with(separator_start(entry.sender).as_bytes()) {
            return Ok(false);
        }
        let mut compare = Compare::new(
            LimitedFile::new(file, ReadLimit::ending_in(TOTAL)),
            separator.end_bytes,
            extent.after_bytes,
        );
        let mut pieces = BufWriter::with_capacity(quoting::STEP_BYTES, &mut compare);
        let is_equal = write_rest(&mut pieces, entry.clone()).and_then(|()| pieces.flush());
        drop(pieces);
        Ok(is_equal.is_ok() && compare.is_at_end())
    }

    /// `entry` as it was written when the note was, and where it would lie then; none where it has another length.
    fn whole<'e, R: Read + Clone>(
        &self,
        entry: &MboxEntry<'e, R>,
    ) -> io::Result<Option<(MboxEntry<'e, R>, AppendExtent)>> {
        let extent = self.intent.noted.extent;
        let entry = MboxEntry {
            date: self.intent.date(),
            ..entry.clone()
        };
        let draft = EntryDraft::of(entry.clone())?;
        let bytes = draft.extent(0, b"").after_bytes;
        let ends = (extent.after_bytes - extent.before_bytes).checked_sub(bytes);
        let ends = ends.and_then(|ends| b"\n\n".get(..usize::try_from(ends).ok()?));
        Ok(ends.map(|ends| (entry, draft.extent(extent.before_bytes, ends))))
    }

    /// Writes the message over what stands there of it, and syncs: whatever the disk has, afterwards it has this.
    fn rewrite<R: Read + Clone>(self, mailbox: &OpenMailbox, entry: &MboxEntry<'_, R>) -> io::Result<Appended> {
        let (file, extent) = (mailbox.file(), self.intent.noted.extent);
        let written = self
            .write_over(file, entry)
            .and_then(|()| file.sync_data())
            .and_then(|()| append::sync_name(mailbox, extent.before_bytes));
        let intent = self.intent.replace_with_own(file, mailbox.path(), entry.date);
        match written {
            Ok(()) => Ok(Appended::from_found(mailbox, extent, intent)),
            Err(e) => {
                intent.leave();
                Err(e)
            }
        }
    }

    fn write_over<R: Read + Clone>(&self, file: &File, entry: &MboxEntry<'_, R>) -> io::Result<()> {
        let extent = self.intent.noted.extent;
        match &self.found {
            Tail::Whole(separator) => {
                // The separator line has another date, and stays.
                write_again(file, extent.before_bytes, separator.end_bytes, || {})?;
                let mut to = InPlace::begin(file, separator.end_bytes, extent.after_bytes)?;
                let mut pieces = BufWriter::with_capacity(quoting::STEP_BYTES, &mut to);
                write_rest(&mut pieces, entry.clone()).and_then(|()| pieces.flush())?;
                drop(pieces);
                to.finish()
            }
            Tail::Foreign | Tail::Torn => Err(io::Error::other("another message stands there")),
            Tail::Holed => {
                let Some((entry, whole)) = self.whole(entry)? else {
                    return Err(io::Error::other("this is another message"));
                };
                let mut to = InPlace::begin(file, extent.before_bytes, extent.after_bytes)?;
                let bytes = EntryDraft::of(entry.clone())?.extent(0, b"").after_bytes;
                for _ in whole.before_bytes + bytes..whole.after_bytes {
                    to.write_all(b"\n")?;
                }
                write_letter(&mut to, entry)?;
                to.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests;
