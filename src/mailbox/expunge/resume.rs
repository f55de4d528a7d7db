//! Finishes an expunge that was interrupted: nothing, everything, or something in between is left to do.
//!
//! The mailbox itself tells how far it came. Before it is cut off, it is what the journal says; then the journal is
//! forgotten, since everything is in the mailbox. Afterwards it holds a part of the journal's content, and the rest is
//! appended. Others may have appended their mail behind that part meanwhile; then their mail goes through the journal
//! as well, and comes behind the rest.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::error::Error;
use crate::mailbox::append;
use crate::mailbox::expunge::finish::{conclude_expunge, finish_expunge, hash_before, sync_noted, unfinished_error};
use crate::mailbox::expunge::journal::{DamagedJournal, Journal, Pending, RecordHeader, Undo};
use crate::mailbox::expunge::lacking::find_lacking;
use crate::mailbox::expunge::place;
use crate::mailbox::in_place::{InPlace, write_again};
use crate::mailbox::lock::Locked;
use crate::mailbox::ranges::{Ranges, STEP_BYTES};
use crate::message::from_line::{LINE_BYTES, LOOK_BYTES, begins_anywhere};
use crate::sys::deadline::Deadline;
use crate::sys::read_at::each_piece;

/// The largest block that a file system zeroes the rest of, in bytes.
const BLOCK_BYTES: u64 = 4096;

/// Finishes or forgets what an interrupted run left, if there is anything; nothing more than one look where there is
/// not. Needs the mailbox locked. `state_dir` is where its user keeps journals that cannot lie beside it. What of a
/// journal is damaged comes back. Fails when it cannot be finished now; then nothing may be done with the mailbox.
pub(in crate::mailbox) fn resume(
    locked: &mut Locked,
    state_dir: Option<&Path>,
    deadline: &Deadline,
) -> Result<Vec<DamagedJournal>, Error> {
    let path = locked.path().to_owned();
    let private = state_dir
        .filter(|_| !locked.has_dotlock())
        .map(|dir| place::place_in(dir, &path));
    let mut damaged = Vec::new();
    for place in [Some(place::place_beside(&path)), private].into_iter().flatten() {
        if place.symlink_metadata().is_err() {
            continue;
        }
        let stat = locked.file().metadata().map_err(|e| Error::io("examine", &path, &e))?;
        match Pending::find(&place, stat.uid())? {
            Pending::None => {}
            Pending::Whole(journal) => go_on(locked, journal, deadline)?,
            Pending::Damaged(journal) => damaged.push(journal),
        }
    }
    Ok(damaged)
}

/// Finds out how far an interrupted run came, and goes on from there.
fn go_on(locked: &mut Locked, mut journal: Journal, deadline: &Deadline) -> Result<(), Error> {
    let path = locked.path().to_owned();
    let place = journal.place.clone();
    let fail = |e: io::Error| unfinished_error(&path, &place, &e);
    let length = locked.length()?;
    let head = journal.record.head.clone();
    let is_as_long = !journal.record.truncated && length >= head.until;
    let untouched = is_as_long && hash_before(locked.file(), head.from, head.until).map_err(fail)? == head.before;
    if untouched && head.undo == Undo::Possible {
        let kept = journal.mark_done()?;
        locked.note_set_aside(kept);
        return Ok(());
    }
    let (appended, foreign_from) = if untouched || (is_as_long && is_zeroed(locked.file(), &head).map_err(fail)?) {
        (0, head.until)
    } else {
        match part(locked, &journal, length).map_err(fail)? {
            Some(found) => found,
            None => return put_behind(locked, journal, deadline),
        }
    };
    if length <= foreign_from {
        // Nobody wrote behind it: what is not known to be synced is cut off and appended anew.
        return finish_expunge(locked, journal, Some(deadline)).map(drop);
    }
    if appended == journal.record.bytes {
        // Nothing is missing. What others appended behind it stays where it is.
        fill(locked, &journal)
            .and_then(|()| write_again(locked.file(), head.from, length, || locked.refresh()))
            .and_then(|()| sync_noted(locked, &mut journal))
            .map_err(fail)?;
        return conclude_expunge(locked, journal).map(drop);
    }
    if find_lacking(locked, &journal, foreign_from).map_err(fail)?.bytes() < journal.record.bytes {
        // Ours are among it: the mailbox was rewritten, and its place is by chance one where a message begins.
        return put_behind(locked, journal, deadline);
    }
    // Others appended to what was half done. That stays, behind what was there before.
    let file = locked.file().try_clone().map_err(fail)?;
    let now = RecordHeader {
        until: length,
        before: hash_before(&file, head.from, length).map_err(fail)?,
        undo: Undo::Impossible,
        times: (0, 0),
        ..head
    };
    journal.extend(now, Ranges::from(foreign_from..length).reader(&file))?;
    finish_expunge(locked, journal, Some(deadline)).map(drop)
}

/// Writes the journal's content over what stands of it in the mailbox, holes and all.
fn fill(locked: &Locked, journal: &Journal) -> io::Result<()> {
    let from = journal.record.head.from;
    let mut to = InPlace::begin(locked.file(), from, from + journal.record.bytes)?;
    let content = Ranges::from(0..journal.record.bytes);
    each_piece(content.reader(journal), STEP_BYTES, |piece| {
        locked.refresh();
        to.write_all(piece)
    })?;
    to.finish()
}

/// Tells whether the cut was begun when the power went: ext4 and XFS zero the rest of the block behind the new end on
/// the disk before the new length is there.
fn is_zeroed(file: &File, head: &RecordHeader) -> io::Result<bool> {
    let end = head.from.next_multiple_of(BLOCK_BYTES).min(head.until);
    let mut rest = vec![1; usize::try_from(end - head.from).unwrap_or_default()];
    file.read_exact_at(&mut rest, head.from)?;
    Ok(!rest.is_empty() && rest.iter().all(|byte| *byte == 0))
}

/// How much of the journal's content stands in its place, and where the mail of others begins behind that. None where
/// its place is no more: a mail client has rewritten the mailbox meanwhile, to note what was read, say, or to take mail
/// out.
fn part(locked: &Locked, journal: &Journal, length: u64) -> io::Result<Option<(u64, u64)>> {
    let (file, from) = (locked.file(), journal.record.head.from);
    if !ends_line(file, from)? {
        return Ok(None);
    }
    let same = common(locked, journal, from)?;
    let apart = from + same;
    if same == journal.record.bytes || apart == length {
        return Ok(Some((same, apart)));
    }
    Ok(foreign_start(file, from, apart)?.map(|foreign| (foreign - from, foreign)))
}

/// Tells whether the file reaches to `at`, and a line ends there.
fn ends_line(file: &File, at: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    let Some(before) = at.checked_sub(1) else {
        return Ok(true);
    };
    Ok(file.read_at(&mut last, before)? == 1 && last == *b"\n")
}

/// Leaves all that stands in the mailbox as it is, and puts what it lacks of the journal's content behind it.
fn put_behind(locked: &mut Locked, mut journal: Journal, deadline: &Deadline) -> Result<(), Error> {
    let path = locked.path().to_owned();
    let place = journal.place.clone();
    let fail = |e: io::Error| Error::io("read", &path, &e);
    let lacking = find_lacking(locked, &journal, 0).map_err(fail)?;
    // What is there is not known to be synced, wherever it lies now.
    let length = locked.length()?;
    write_again(locked.file(), 0, length, || locked.refresh())
        .and_then(|()| sync_noted(locked, &mut journal))
        .map_err(|e| unfinished_error(&path, &place, &e))?;
    if lacking.is_empty() {
        return conclude_expunge(locked, journal).map(drop);
    }
    append::end_last_message(locked)?;
    let length = locked.length()?;
    let now = RecordHeader {
        from: length,
        until: length,
        before: hash_before(locked.file(), length, length).map_err(fail)?,
        undo: Undo::Impossible,
        times: (0, 0),
        ..journal.record.head.clone()
    };
    // With its new place written down first: killed again, the next run goes on from there.
    journal.keep(now, &lacking)?;
    finish_expunge(locked, journal, Some(deadline)).map(drop)
}

/// How much of the journal's content stands in the mailbox from `from` on. A zero counts as what was written there:
/// after a power loss the length may be on the disk, and the bytes not.
fn common(locked: &Locked, journal: &Journal, from: u64) -> io::Result<u64> {
    let (mut ours, mut theirs) = (vec![0; STEP_BYTES], vec![0; STEP_BYTES]);
    let mut at = 0;
    loop {
        let wanted = journal.read_at(&mut ours, at)?;
        let found = locked
            .file()
            .read_at(theirs.get_mut(..wanted).unwrap_or_default(), from + at)?;
        let same = ours
            .iter()
            .zip(&theirs)
            .take(found)
            .take_while(|(a, b)| a == b || **b == 0)
            .count();
        at += same as u64;
        if same < wanted.max(1) {
            if same == found && found > 0 && found < wanted {
                // A short read, or the end.
                continue;
            }
            return Ok(at);
        }
        locked.refresh();
    }
}

/// Where the mail of others begins that lies behind a part of ours: it may begin as ours goes on, so it may be before
/// `apart`, where the two first differ; or right there, behind line ends that close the part. None where no message
/// begins that is not ours: then something was written into one of ours.
fn foreign_start(file: &File, from: u64, apart: u64) -> io::Result<Option<u64>> {
    let start = apart.saturating_sub(LINE_BYTES as u64).max(from);
    let mut bytes = vec![0; LINE_BYTES + LOOK_BYTES];
    let read = file.read_at(&mut bytes, start)?;
    let bytes = bytes.get(..read).unwrap_or_default();
    let line = |at: usize| {
        let rest = bytes.get(at..).unwrap_or_default();
        rest.split(|b| *b == b'\n').next().unwrap_or_default()
    };
    let last = usize::try_from(apart - start).unwrap_or_default();
    let behind = bytes.get(last..).unwrap_or_default();
    let ends = behind.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    if begins_anywhere(bytes, last + ends) {
        return Ok(Some(apart));
    }
    let nearest = (0..last).rev().find(|at| begins_anywhere(bytes, *at));
    // As long as all of the line is the same it is ours.
    Ok(nearest
        .filter(|at| at + line(*at).len() >= last)
        .map(|at| start + at as u64))
}

#[cfg(test)]
mod tests;
