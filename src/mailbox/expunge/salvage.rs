//! Saves what is left of a damaged journal: the messages that lie in whole units from their first byte to their last.
//! Those that the mailbox lacks are appended to it, so that no message is there twice. Then the journal is set aside,
//! whatever it held: a person has to look at it.
//!
//! Where the damage is, a message may be lost that stood nowhere else. The archive has the messages that were to go.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;

use time::OffsetDateTime;

use crate::error::Error;
use crate::mailbox::append::{Piece, append_stored_to};
use crate::mailbox::content_hash::{ContentHash, HashScope, of_stored};
use crate::mailbox::expunge::journal::DamagedJournal;
use crate::mailbox::expunge::journal_record::Record;
use crate::mailbox::expunge::journal_units::{self, PAYLOAD_BYTES, UNIT_BYTES, read_content};
use crate::mailbox::in_place::write_again;
use crate::mailbox::limited_file::LimitedFile;
use crate::mailbox::lock::Locked;
use crate::mailbox::ranges::{Ranges, STEP_BYTES};
use crate::mailbox::reader::MboxReader;
use crate::sys::deadline::ReadLimit;
use crate::sys::message_buffer::HEAD_BYTES;
use crate::sys::read_at::{ReadAt, each_piece, read_full};

/// The first read of a comparison, which nearly always ends it, in bytes.
const FIRST_BYTES: usize = 256;

/// Puts back what the mailbox lacks of the whole messages of a damaged journal. How many those were. Fails when the
/// mailbox or the journal cannot be read, or the mailbox cannot be written; then the journal stays where it is.
pub fn put_back(locked: &Locked, journal: &DamagedJournal, now: OffsetDateTime) -> Result<u64, Error> {
    let fail = |e: io::Error| Error::io("read", &journal.place, &e);
    let runs = runs(&journal.file).map_err(fail)?;
    let mut there: HashMap<ContentHash, u64> = HashMap::new();
    for run in &runs {
        cut_part_off(locked, run).map_err(|e| Error::io("cut off", locked.path(), &e))?;
    }
    let mailbox = LimitedFile::new(locked.file(), ReadLimit::until_stopped());
    let both = WholeEnds {
        first: true,
        last: true,
    };
    each(&mailbox, both, |hash, _, _| {
        *there.entry(hash).or_default() += 1;
        locked.refresh();
    })
    .map_err(|e| Error::io("read", locked.path(), &e))?;
    // What is there may be what a run before this one brought back and nobody saw synced.
    let length = locked.length()?;
    write_again(locked.file(), 0, length, || locked.refresh())
        .and_then(|()| locked.file().sync_data())
        .map_err(|e| Error::io("write again", locked.path(), &e))?;
    let mut back = 0;
    for record in runs.chunk_by(|a, b| a.record == b.record) {
        // A record holds all that the one before held, so it lacks no more than itself.
        let mut found = there.clone();
        for run in record {
            let mut lacking = Vec::new();
            each(run, run.ends, |hash, from, end| match found.get_mut(&hash) {
                Some(count) if *count > 0 => *count -= 1,
                Some(_) | None => lacking.push((hash, from..end)),
            })
            .map_err(fail)?;
            for (hash, part) in lacking {
                let write = |to: &mut dyn Write| run.copy(part.clone(), to);
                drop(append_stored_to(locked, &[Piece { write: &write }], now)?);
                *there.entry(hash).or_default() += 1;
                back += 1;
                locked.refresh();
            }
        }
    }
    Ok(back)
}

/// Cuts off what a killed run had appended of the content, down to the middle of a message: all of it is in the
/// journal, and comes anew.
fn cut_part_off(locked: &Locked, run: &UnitRun<'_>) -> io::Result<()> {
    if !run.ends.first {
        return Ok(());
    }
    let mailbox = LimitedFile::new(locked.file(), ReadLimit::until_stopped());
    let mut messages = MboxReader::resume(&mailbox, HEAD_BYTES, 0)?;
    while let Some(stored) = messages.next()? {
        let from = stored.offset;
        if run.begins_with(locked.file(), from)? {
            locked.file().set_len(from)?;
            return locked.file().sync_all();
        }
    }
    Ok(())
}

/// Which ends of a piece of an mbox are those of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WholeEnds {
    first: bool,
    last: bool,
}

/// Units that follow each other without a gap.
#[derive(Debug)]
struct UnitRun<'a> {
    file: &'a File,
    /// Which record it belongs to.
    record: u64,
    /// Where the first of its units begins in the file.
    start: u64,
    bytes: u64,
    ends: WholeEnds,
}

impl ReadAt for UnitRun<'_> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }

    fn read_from(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        read_content(self.file, self.start, buffer.get_mut(..wanted).unwrap_or_default(), at)
    }
}

impl UnitRun<'_> {
    /// Tells whether it begins with all that the mailbox holds from `from` on.
    fn begins_with(&self, mailbox: &File, from: u64) -> io::Result<bool> {
        let end = mailbox.metadata()?.len();
        let (mut ours, mut theirs) = (vec![0; STEP_BYTES], vec![0; STEP_BYTES]);
        let mut at = 0;
        while from + at < end {
            let wanted = if at == 0 { FIRST_BYTES } else { STEP_BYTES };
            let found = read_full(mailbox, theirs.get_mut(..wanted).unwrap_or_default(), from + at)?;
            let read = self.read_from(ours.get_mut(..found).unwrap_or_default(), at)?;
            if read == 0 || ours.get(..read) != theirs.get(..read) {
                return Ok(false);
            }
            at += read as u64;
        }
        Ok(at > 0)
    }

    fn copy(&self, part: Range<u64>, to: &mut dyn Write) -> io::Result<()> {
        each_piece(Ranges::from(part).reader(self), STEP_BYTES, |piece| to.write_all(piece))
    }
}

/// The runs of whole units of a journal, in their order.
fn runs(file: &File) -> io::Result<Vec<UnitRun<'_>>> {
    let mut runs: Vec<UnitRun<'_>> = Vec::new();
    let mut unit = vec![0; UNIT_BYTES];
    let mut record = 0;
    let mut place = 0;
    loop {
        let read = read_full(file, &mut unit, place)?;
        if read == 0 {
            return Ok(runs);
        }
        let whole = unit.get(..read).unwrap_or_default();
        if Record::read(whole).is_some() {
            record += 1;
        } else if let Some((at, length)) = journal_units::read_unit(whole) {
            match runs.last_mut() {
                Some(run) if run.continues(record, place, at) => run.bytes += length as u64,
                Some(_) | None => {
                    // The head of the record was not whole.
                    record += u64::from(at == 0 && runs.last().is_some_and(|run| run.record == record));
                    runs.push(UnitRun {
                        file,
                        record,
                        start: place,
                        bytes: length as u64,
                        ends: WholeEnds {
                            first: at == 0,
                            last: false,
                        },
                    });
                }
            }
            if let Some(run) = runs.last_mut().filter(|_| length < PAYLOAD_BYTES) {
                run.ends.last = true;
            }
        }
        place += UNIT_BYTES as u64;
    }
}

impl UnitRun<'_> {
    /// Tells whether the unit at `place` of the file, which holds the content from `at` on, is the next one.
    fn continues(&self, record: u64, place: u64, at: u64) -> bool {
        let units = self.bytes / PAYLOAD_BYTES as u64;
        !self.ends.last && self.record == record && self.start + units * UNIT_BYTES as u64 == place && at > 0
    }
}

/// Goes through the whole messages of a piece of an mbox: what each is, where it begins and where it ends.
fn each<F: ReadAt>(mbox: &F, ends: WholeEnds, mut step: impl FnMut(ContentHash, u64, u64)) -> io::Result<()> {
    let length = mbox.length()?;
    let mut messages = MboxReader::resume(mbox, HEAD_BYTES, 0)?;
    while let Some(stored) = messages.next()? {
        let (from, end) = (stored.offset, stored.offset + stored.bytes);
        if (ends.first || from > 0) && (ends.last || end < length) {
            step(of_stored(mbox, &stored, HashScope::All)?, from, end);
        }
    }
    Ok(())
}
