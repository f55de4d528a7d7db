//! Puts a mailbox in order after a run that was killed, and finds the message that it brought: what `mailbox/intent.rs` notes, made
//! use of under the lock.
//!
//! What is torn is cut off; it was never acknowledged. What is whole is written again and synced, since nobody saw its sync succeed. A
//! note goes only after that sync. When any of it fails the message is deferred, since nobody knows then whether it is there.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;

use time::OffsetDateTime;

use crate::error::Error;
use crate::mailbox::OpenMailbox;
use crate::mailbox::append::{self, Appended};
use crate::mailbox::format::{EntryDraft, MboxEntry, separator_start, write_letter, write_rest};
use crate::mailbox::in_place::{InPlace, write_again};
use crate::mailbox::intent::{AppendExtent, AppendProgress, LeftIntent, MOST_NOTES, MessageSource, left_by_others};
use crate::mailbox::limited_file::LimitedFile;
use crate::mailbox::lock::Locked;
use crate::mailbox::moved;
use crate::mailbox::quoting;
use crate::mailbox::torn::{self, Compare, Depth, Separator, Tail};
use crate::sys::deadline::{ReadLimit, TOTAL};

/// A message of a run that is no more, which its MTA may bring again.
#[derive(Debug)]
pub(super) struct LeftMessage {
    intent: LeftIntent,
    found: Wholeness,
}

/// How much of such a message stands in the mailbox.
#[derive(Debug)]
enum Wholeness {
    /// All of it.
    Whole(Separator),
    /// It has holes.
    Holed,
    /// Something else stands in its place; it may stand elsewhere.
    Moved,
}

/// What was put in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// How much of torn messages was cut off, in bytes.
    pub cut_bytes: u64,
    /// How much was written again and synced, since nobody saw the sync of it succeed, in bytes.
    pub written_again_bytes: u64,
}

/// Puts in order what killed runs left. The messages that their MTA may bring again.
///
/// # Errors
/// When the mailbox cannot be read, written or synced; then nothing may be done with it.
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
            Wholeness::Whole(_) => left.intent.advance(locked.file(), AppendProgress::Durable),
            Wholeness::Moved => left.intent.advance(locked.file(), AppendProgress::Moved),
            Wholeness::Holed => {}
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
    /// Whether one of the messages is the mailbox's first, so that the mailbox may be new, and its name not on the disk.
    has_first: bool,
    kept: Vec<LeftMessage>,
    /// Notes that say nothing any more, once the mailbox is synced.
    settled: Vec<LeftIntent>,
}

impl Recovery<'_> {
    /// Does what can be done for a note by itself.
    fn settle(&mut self, mut intent: LeftIntent, step: impl Fn()) -> io::Result<()> {
        let extent = intent.extent();
        let length = self.file.metadata()?.len();
        let depth = match intent.progress() {
            AppendProgress::Unknown | AppendProgress::Whole => Depth::Content,
            AppendProgress::Durable => Depth::Separator,
            AppendProgress::Moved => {
                self.keep_moved(intent);
                return Ok(());
            }
        };
        let tail = torn::examine_tail(&LimitedFile::new(self.file, self.limit), &extent, length, depth)?;
        if !intent.is_left(self.file, self.now) {
            // It has let go of the lock, and does itself what is to be done. Taken out by a mail program, its message leaves its place to
            // what stands behind it, which may begin with the same line.
            // This run's own is left as it is: a copy is taken back only where nothing changed since, and a note changes the file's stamp.
            if matches!(tail, Tail::Whole(_)) && !intent.is_own() {
                intent.advance(self.file, AppendProgress::Whole);
            }
            return Ok(());
        }
        self.has_first |= extent.before_bytes == 0;
        // It was whole before: what is shorter now is something else, which moved into its place.
        let tail = if intent.progress() != AppendProgress::Unknown && length < extent.after_bytes {
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
        if intent.progress() != AppendProgress::Durable {
            self.make_durable(&intent, step)?;
        }
        let may_come_again = intent.source() == MessageSource::Mail && !intent.is_old(self.now);
        match tail {
            Tail::Whole(separator) if may_come_again => self.kept.push(LeftMessage {
                intent,
                found: Wholeness::Whole(separator),
            }),
            Tail::Holed if may_come_again => self.kept.push(LeftMessage {
                intent,
                found: Wholeness::Holed,
            }),
            Tail::Foreign => self.keep_moved(intent),
            Tail::Torn | Tail::Whole(_) | Tail::Holed => self.settled.push(intent),
        }
        Ok(())
    }

    /// Keeps the note of a message that stands elsewhere, or nowhere, for when the same comes again.
    fn keep_moved(&mut self, intent: LeftIntent) {
        if intent.source() == MessageSource::Mail && !intent.is_old(self.now) {
            self.kept.push(LeftMessage {
                intent,
                found: Wholeness::Moved,
            });
        } else {
            self.settled.push(intent);
        }
    }

    /// Ends a message that has holes with an empty line, as it ended before, so that what others wrote behind it is a message of its own.
    fn close_hole(&mut self, extent: &AppendExtent) -> io::Result<()> {
        let mut end = [0; 2];
        let from = extent.after_bytes.saturating_sub(2).max(extent.before_bytes);
        self.file.read_exact_at(&mut end, from)?;
        let closed = end.map(|byte| if byte == 0 { b'\n' } else { byte });
        let mut to = InPlace::begin(self.file, from, extent.after_bytes)?;
        to.write_all(&closed)?;
        to.finish()
    }

    /// Writes again what stands there of the message, and of those before it that were to be synced with it. The caller syncs.
    fn make_durable(&mut self, intent: &LeftIntent, step: impl Fn()) -> io::Result<()> {
        let extent = intent.extent();
        let from = match intent.source() {
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

/// Finds `entry` where a run that was killed left it, fills the holes that it has there, and syncs it. None where it is not there.
pub fn find_earlier<R: Read + Clone>(
    mailbox: &mut OpenMailbox,
    entry: &MboxEntry<'_, R>,
) -> Result<Option<Appended>, Error> {
    let path = mailbox.path().to_owned();
    let fail = |e: io::Error| Error::io("look for an earlier try in", &path, &e);
    let mut same: Option<LeftMessage> = None;
    let (mut moved, mut others) = (Vec::new(), Vec::new());
    for left in mailbox.take_left_messages() {
        let place = |left: &LeftMessage| (left.intent.extent().before_bytes, left.intent.extent().after_bytes);
        match &same {
            // A try that was killed when it had found its message left a second note on it.
            Some(found) if place(found) == place(&left) => left.intent.remove(mailbox.file()),
            None if left.is(mailbox.file(), entry).map_err(fail)? => match left.found {
                Wholeness::Moved => moved.push(left.intent),
                Wholeness::Whole(_) | Wholeness::Holed => same = Some(left),
            },
            Some(_) | None => others.push(left),
        }
    }
    mailbox.give_left_messages(others);
    if same.is_none()
        && let Some(appended) = find_moved(mailbox, entry, moved).map_err(fail)?
    {
        return Ok(Some(appended.noted(mailbox, entry.submission, entry.date)));
    }
    match same {
        Some(left) => {
            let appended = left.rewrite(mailbox, entry).map_err(fail)?;
            Ok(Some(appended.noted(mailbox, entry.submission, entry.date)))
        }
        None => {
            let now = entry.date.unix_timestamp();
            let is_known = entry.submission.is_some_and(|key| mailbox.has_submission(key, now));
            // Its message was synced before it was noted. Whoever deleted it since has seen it.
            Ok(is_known.then(|| Appended::delivered_before(mailbox)))
        }
    }
}

/// Finds `entry` where it stands now, by notes that say that it stood elsewhere, and makes it last. These notes have done then what they
/// were for.
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
        let Some(place) = moved::find(file, entry, note.extent().separator, || mailbox.refresh())? else {
            note.remove(file);
            continue;
        };
        // Nobody knows whether whoever moved it has synced it.
        write_again(file, place.start, place.end, || mailbox.refresh())?;
        file.sync_data()?;
        let extent = AppendExtent {
            before_bytes: place.start,
            after_bytes: place.end,
            ..note.extent()
        };
        found = Some(Appended::found(mailbox, extent, note.take_over(mailbox.path())));
    }
    Ok(found)
}

impl LeftMessage {
    /// Compares all but the date of delivery.
    fn is<R: Read + Clone>(&self, file: &File, entry: &MboxEntry<'_, R>) -> io::Result<bool> {
        let extent = self.intent.extent();
        let separator = match &self.found {
            Wholeness::Whole(separator) => separator,
            // What the holes have swallowed, the note's checksum knows.
            Wholeness::Holed | Wholeness::Moved => {
                return Ok(self.whole(entry)?.is_some_and(|(_, whole)| whole == extent));
            }
        };
        if !separator.line.starts_with(separator_start(entry.sender).as_bytes()) {
            return Ok(false);
        }
        let mut compare = Compare::new(
            LimitedFile::new(file, ReadLimit::within(TOTAL)),
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
        let extent = self.intent.extent();
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
        let (file, extent) = (mailbox.file(), self.intent.extent());
        let written = self
            .write_over(file, entry)
            .and_then(|()| file.sync_data())
            .and_then(|()| append::sync_name(mailbox.locked(), extent.before_bytes));
        let intent = self.intent.adopt(file, mailbox.path(), entry.date);
        match written {
            Ok(()) => Ok(Appended::found(mailbox, extent, intent)),
            Err(e) => {
                intent.leave();
                Err(e)
            }
        }
    }

    fn write_over<R: Read + Clone>(&self, file: &File, entry: &MboxEntry<'_, R>) -> io::Result<()> {
        let extent = self.intent.extent();
        match &self.found {
            Wholeness::Whole(separator) => {
                // The separator line has another date, and stays.
                write_again(file, extent.before_bytes, separator.end_bytes, || {})?;
                let mut to = InPlace::begin(file, separator.end_bytes, extent.after_bytes)?;
                let mut pieces = BufWriter::with_capacity(quoting::STEP_BYTES, &mut to);
                write_rest(&mut pieces, entry.clone()).and_then(|()| pieces.flush())?;
                drop(pieces);
                to.finish()
            }
            Wholeness::Moved => Err(io::Error::other("another message stands there")),
            Wholeness::Holed => {
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
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::time::Duration;

    use rustix::fs::{XattrFlags, llistxattr, lsetxattr};
    use time::OffsetDateTime;

    use super::find_earlier;
    use crate::mailbox::append::{Appended, append};
    use crate::mailbox::format::{MboxEntry, write_letter};
    use crate::mailbox::intent::{AppendExtent, AppendProgress, Measure, MessageSource};
    use crate::mailbox::lock::{LockPlan, Method};
    use crate::mailbox::open::{Absent, Owner};
    use crate::mailbox::quoting::LineQuoting;
    use crate::mailbox::{OpenMailbox, open_locked_at};
    use crate::sys::deadline::Deadline;

    const OLD: &[u8] = b"From o@o.test Thu Jan  1 00:00:00 1970\nA: 1\n\nold\n\n";
    const FOREIGN: &[u8] = b"From f@f.test Mon Nov  2 10:00:00 2026\nA: 2\n\nforeign\n\n";
    const CONTENT: &[u8] = b"A: 3\n\nFrom here on\nGreetings From Berlin\n";
    /// No process has this number.
    const DEAD: u32 = i32::MAX.unsigned_abs();

    fn letter(sender: &'static str, content: &'static [u8], days: i64) -> MboxEntry<'static, &'static [u8]> {
        MboxEntry {
            sender,
            date: OffsetDateTime::UNIX_EPOCH + time::Duration::days(days),
            added: b"X: y\n",
            content,
            quoting: LineQuoting::Mboxrd,
            submission: None,
        }
    }

    fn written(letter: MboxEntry<'_, &[u8]>) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_letter(&mut bytes, letter).unwrap_or_else(|e| unreachable!("{e}"));
        bytes
    }

    fn locked(path: &Path, now: OffsetDateTime) -> OpenMailbox {
        let plan = LockPlan {
            methods: vec![Method::Fcntl],
            timeout: Duration::from_secs(5),
            owner: Owner::Exactly(nix::unistd::getuid().as_raw()),
            absent: Absent::Create,
            state_dir: None,
            place: None,
            tell: None,
        };
        let deadline = Deadline::begin().unwrap_or_else(|e| unreachable!("{e}"));
        open_locked_at(now, path, &plan, &deadline).unwrap_or_else(|e| unreachable!("{e}"))
    }

    /// Opens the mailbox. How much was cut off, and where an earlier run left `entry`.
    fn found(path: &Path, entry: &MboxEntry<'_, &[u8]>) -> (u64, Option<Appended>) {
        let mut mailbox = locked(path, entry.date);
        let appended = find_earlier(&mut mailbox, entry).unwrap_or_else(|e| unreachable!("{e}"));
        (mailbox.recovered().cut_bytes, appended)
    }

    fn length(path: &Path) -> u64 {
        std::fs::metadata(path).map_or(0, |stat| stat.len())
    }

    /// The process that waits for this one.
    fn living() -> u32 {
        nix::unistd::getppid().as_raw().unsigned_abs()
    }

    /// What a run that was killed noted about the letter of day 0, behind `OLD`. False where there are no attributes.
    fn note(path: &Path, pid: u32, host: u32) -> bool {
        let mut measure = Measure::default();
        write_letter(&mut measure, letter("s@s.test", CONTENT, 0)).unwrap_or_else(|e| unreachable!("{e}"));
        note_of(path, pid, host, measure.extent(OLD.len() as u64, b""))
    }

    fn note_of(path: &Path, pid: u32, host: u32, extent: AppendExtent) -> bool {
        let text = crate::mailbox::intent::write_value(host, MessageSource::Mail, extent, 0, AppendProgress::Unknown);
        lsetxattr(
            path,
            format!("user.spoolguard.{pid}.0"),
            text.as_bytes(),
            XattrFlags::empty(),
        )
        .is_ok()
    }

    fn notes(path: &Path) -> usize {
        let mut names = [0; 1000];
        let length = llistxattr(path, &mut names).unwrap_or(0);
        names
            .split(|b| *b == 0)
            .take_while(|name| !name.is_empty())
            .filter(|name| name.starts_with(b"user.spoolguard."))
            .count()
            .min(length)
    }

    #[test]
    fn what_a_killed_run_left_is_cut_off_or_known_again() {
        let whole = written(letter("s@s.test", CONTENT, 0));
        let half = whole.get(..whole.len() - 45).unwrap_or_default();
        let header = whole.get(..whole.len() - 37).unwrap_or_default();
        let line = whole.get(..7).unwrap_or_default();
        let same = || letter("s@s.test", CONTENT, 3);
        let own = crate::mailbox::intent::host_hash();
        struct Case<'a> {
            name: &'static str,
            tail: Vec<u8>,
            by: (u32, u32),
            then: MboxEntry<'a, &'a [u8]>,
            is_cut: bool,
            is_same: bool,
            notes: usize,
        }
        let case = |name, tail: &[&[u8]], then, is_cut, is_same, notes| Case {
            name,
            tail: tail.concat(),
            by: (DEAD, own),
            then,
            is_cut,
            is_same,
            notes,
        };
        let other = || letter("s@s.test", b"A: 3\n\nother\n", 3);
        let cases = [
            case("whole, and it comes again", &[&whole], same(), false, true, 1),
            case("whole, and another comes", &[&whole], other(), false, false, 1),
            case("whole, and others behind", &[&whole, FOREIGN], same(), false, true, 1),
            case(
                "whole, from another sender",
                &[&whole],
                letter("t@s.test", CONTENT, 3),
                false,
                false,
                1,
            ),
            case(
                "whole, and more of it comes",
                &[&whole],
                letter("s@s.test", b"A: 3\n\nFrom here on\nGreetings From Berlin\nx\n", 3),
                false,
                false,
                1,
            ),
            case(
                "whole, and less of it comes",
                &[&whole],
                letter("s@s.test", b"A: 3\n\nFrom here on\n", 3),
                false,
                false,
                1,
            ),
            case(
                "whole, long ago",
                &[&whole],
                letter("s@s.test", CONTENT, 6),
                false,
                false,
                0,
            ),
            case("torn", &[half], same(), true, false, 0),
            case("torn, and another comes", &[half], other(), true, false, 0),
            case("torn in its separator line", &[line], same(), true, false, 0),
            case(
                "torn, and glued to it another",
                &[half, FOREIGN],
                same(),
                false,
                false,
                0,
            ),
            case(
                "torn, and glued to it the beginning of another",
                &[half, FOREIGN.get(..39).unwrap_or_default()],
                same(),
                false,
                false,
                0,
            ),
            case(
                "torn, and glued to it one without a date",
                &[half, b"From foo\nA: 2\n\nf\n\n"],
                same(),
                false,
                false,
                0,
            ),
            case(
                "torn, and glued to it one without a separator",
                &[half, b"A: 2\n\nf\n\n"],
                same(),
                false,
                false,
                0,
            ),
            case("torn behind its header", &[header], same(), true, false, 0),
            case("nothing but its length", &[&[0; 60]], same(), true, false, 0),
            case(
                "nothing but its length, and another",
                &[&[0; 10], FOREIGN],
                same(),
                false,
                false,
                0,
            ),
            case("another in its place", &[FOREIGN], same(), false, false, 0),
            case(
                "another in its place, torn",
                &[FOREIGN.get(..45).unwrap_or_default()],
                same(),
                false,
                false,
                0,
            ),
            case("nothing", &[b""], same(), false, false, 0),
            Case {
                by: (living(), own),
                ..case(
                    "whole, of a run that lives",
                    &[&whole],
                    letter("s@s.test", CONTENT, 0),
                    false,
                    false,
                    1,
                )
            },
            Case {
                by: (DEAD, own ^ 1),
                ..case(
                    "whole, of another host just now",
                    &[&whole],
                    letter("s@s.test", CONTENT, 0),
                    false,
                    false,
                    1,
                )
            },
            Case {
                by: (std::process::id(), own),
                ..case(
                    "whole, of one that had our number",
                    &[&whole],
                    letter("s@s.test", CONTENT, 0),
                    false,
                    true,
                    1,
                )
            },
            Case {
                by: (DEAD, own ^ 1),
                ..case("whole, of another host", &[&whole], same(), false, true, 1)
            },
        ];
        for case in cases {
            let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
            let path = dir.path().join("a");
            assert!(std::fs::write(&path, [OLD, &case.tail].concat()).is_ok());
            if !note(&path, case.by.0, case.by.1) {
                return;
            }
            let (cut_bytes, appended) = found(&path, &case.then);
            let name = case.name;
            let cut = if case.is_cut { case.tail.len() } else { 0 };
            assert_eq!(cut_bytes, cut as u64, "{name}");
            assert_eq!(length(&path), (OLD.len() + case.tail.len() - cut) as u64, "{name}");
            assert_eq!(appended.is_some(), case.is_same, "{name}");
            assert_eq!(notes(&path), case.notes, "{name}");
            // Each note stops one message.
            drop(appended);
            let again = found(&path, &case.then);
            assert!(again.1.is_none() && again.0 == 0, "{name}");
        }
    }

    #[test]
    fn what_moves_into_the_place_of_a_whole_message_is_no_part_of_it() {
        let own = crate::mailbox::intent::host_hash();
        let whole = written(letter("s@s.test", CONTENT, 0));
        // From the same sender in the same second: the line is the same.
        let behind = written(letter("s@s.test", b"A: 4\n\nnew\n", 0));
        assert!(behind.len() < whole.len());
        // Some mail programs leave no empty line behind the last message: then it does not end as one.
        let bare = behind.get(..behind.len() - 1).unwrap_or_default();
        let cases = [(DEAD, 3), (living(), 0)].map(|run| [&*behind, bare].map(|left| (run, left)));
        for ((pid, days), left) in cases.into_iter().flatten() {
            let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
            let path = dir.path().join("a");
            assert!(std::fs::write(&path, [OLD, &whole].concat()).is_ok());
            let next = || letter("s@s.test", b"A: 4\n\nnew\n", days);
            if !note(&path, pid, own) {
                return;
            }
            assert!(found(&path, &next()).1.is_none());
            // A mail program takes the first one out, in place, and the run that goes on is killed.
            assert!(std::fs::write(&path, [OLD, left].concat()).is_ok());
            assert_eq!(found(&path, &letter("s@s.test", CONTENT, 3)).0, 0, "{pid}");
            assert_eq!(length(&path), (OLD.len() + left.len()) as u64, "{pid}");
            assert_eq!(notes(&path), 0, "{pid}");
        }
    }

    #[test]
    fn holes_of_a_noted_message_are_filled_or_cut_off() {
        let long: &'static [u8] = [b"A: 3\n\n".to_vec(), b"0123456\n".repeat(500)].concat().leak();
        let entry = |content| letter("s@s.test", content, 0);
        let whole = written(entry(long));
        let tail = |hole: std::ops::Range<usize>| {
            let mut bytes = [OLD, &whole].concat();
            for byte in bytes.get_mut(hole).unwrap_or_default() {
                *byte = 0;
            }
            bytes
        };
        let end = OLD.len() + whole.len();
        for hole in [
            OLD.len()..512,
            OLD.len()..1024,
            512..1024,
            1024..end,
            3584..end,
            OLD.len()..end,
        ] {
            for (behind, again) in [(FOREIGN, true), (FOREIGN, false), (b"", true)] {
                let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
                let path = dir.path().join("a");
                let mut measure = Measure::default();
                assert!(measure.write_all(&whole).is_ok());
                let extent = measure.extent(OLD.len() as u64, b"");
                assert!(std::fs::write(&path, [&tail(hole.clone()), behind].concat()).is_ok());
                if !note_of(&path, DEAD, crate::mailbox::intent::host_hash(), extent) {
                    return;
                }
                let next = if again { long } else { CONTENT };
                let (cut_bytes, appended) = found(&path, &entry(next));
                let want = match (behind, again) {
                    (b"", _) => OLD.to_vec(),
                    (_, true) => [OLD, &whole, behind].concat(),
                    (_, false) => {
                        let mut want = tail(hole.clone());
                        for byte in want.iter_mut().skip(end - 2) {
                            *byte = b'\n';
                        }
                        [&want, behind].concat()
                    }
                };
                assert_eq!(appended.is_some(), !behind.is_empty() && again, "{hole:?}");
                assert_eq!(
                    cut_bytes,
                    if behind.is_empty() { whole.len() as u64 } else { 0 },
                    "{hole:?}"
                );
                let now = std::fs::read(&path).unwrap_or_default();
                assert!(now == want, "{hole:?} {again}\n{}", now.escape_ascii());
            }
        }
    }

    #[test]
    fn the_note_of_one_that_had_our_number_stays() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        assert!(std::fs::write(&path, [OLD, &written(letter("s@s.test", CONTENT, 0))].concat()).is_ok());
        let mut mailbox = locked(&path, OffsetDateTime::now_utc());
        let (number, own) = (std::process::id(), crate::mailbox::intent::host_hash());
        // Which number the next append takes is not known here: other tests append, too.
        for next in 0..20 {
            let name = format!("user.spoolguard.{number}.{next}");
            let extent = Measure::default().extent(1, b"\n");
            let text =
                crate::mailbox::intent::write_value(own, MessageSource::Mail, extent, 0, AppendProgress::Unknown);
            if lsetxattr(&path, name, text.as_bytes(), XattrFlags::empty()).is_err() {
                return;
            }
        }
        let before = notes(&path);
        let appended = append(&mut mailbox, letter("s@s.test", CONTENT, 0)).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(notes(&path), before + 1);
        drop(appended);
        assert_eq!(notes(&path), before);
    }

    #[test]
    fn a_message_that_is_finished_leaves_no_note() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        let mut mailbox = locked(&path, OffsetDateTime::now_utc());
        if !note(&path, DEAD, 0) {
            return;
        }
        let appended = append(&mut mailbox, letter("s@s.test", CONTENT, 0)).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(notes(&path), 2);
        drop(appended);
        assert_eq!(notes(&path), 1);
    }
}
