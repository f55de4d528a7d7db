//! Puts a mailbox in order after a run that was killed, and finds the message that it brought: what `mailbox/intent.rs` notes, made
//! use of under the lock.
//!
//! When it fails the message is deferred, since nobody knows then whether it is there. What is cut off was never acknowledged.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use time::OffsetDateTime;

use crate::error::Error;
use crate::mailbox::append;
use crate::mailbox::append::Appended;
use crate::mailbox::format::{MboxEntry, separator_start, write_rest};
use crate::mailbox::intent::{AppendIntent, Extent, LeftIntent, Progress, Source, left_by_others};
use crate::mailbox::lock::OpenMailbox;
use crate::mailbox::quoting;
use crate::mailbox::torn;
use crate::mailbox::torn::{Compare, Separator, Tail};

/// What became of earlier, unfinished tries.
#[derive(Debug)]
#[must_use]
pub struct Recovered {
    /// How much of a torn message was cut off, in bytes.
    pub cut_bytes: u64,
    /// Where an earlier try put the message that came now.
    pub appended: Option<Appended>,
}

/// Cuts off what a killed run left half written, and finds `letter` where such a run left it whole; that is synced then.
///
/// # Errors
/// When the mailbox cannot be read or synced.
pub fn recover<R: Read + Clone>(locked: &mut OpenMailbox, letter: &MboxEntry<'_, R>) -> Result<Recovered, Error> {
    let mut cut_bytes = 0;
    let mut same = None;
    let found = look(locked, letter, &mut cut_bytes, &mut same).and_then(|()| match &same {
        None => Ok(()),
        // The kill may have come before the sync.
        Some((extent, _)) => {
            locked.file().sync_data()?;
            append::sync_name(locked, extent.before_bytes)
        }
    });
    match (found, same) {
        (Ok(()), same) => Ok(Recovered {
            cut_bytes,
            appended: same.map(|(extent, note)| Appended::found(locked, extent, note)),
        }),
        (Err(e), same) => {
            if let Some((_, note)) = same {
                note.leave();
            }
            Err(Error::io("look for an earlier try in", locked.path(), &e))
        }
    }
}

/// Cuts off what a killed run left half written, where no message came now. What it left whole stays, and so does the note on that.
///
/// # Errors
/// When the mailbox cannot be read.
pub fn tidy(locked: &mut OpenMailbox, now: OffsetDateTime) -> Result<u64, Error> {
    let fail = |e: io::Error| Error::io("look for an earlier try in", locked.path(), &e);
    let mut cut_bytes = 0;
    for left in left_by_others(locked.file(), now) {
        settle(locked.file(), left, now, &mut cut_bytes).map_err(fail)?;
    }
    Ok(cut_bytes)
}

fn look<R: Read + Clone>(
    locked: &OpenMailbox,
    letter: &MboxEntry<'_, R>,
    cut_bytes: &mut u64,
    same: &mut Option<(Extent, AppendIntent)>,
) -> io::Result<()> {
    let file = locked.file();
    for left in left_by_others(file, letter.date) {
        let extent = left.extent();
        let Some((left, separator)) = settle(file, left, letter.date, cut_bytes)? else {
            continue;
        };
        match same {
            // A try that was killed when it had found its message left a second note on it.
            Some((found, _)) if *found == extent => left.remove(file),
            None if is_same(locked, letter, &extent, &separator) => {
                *same = Some((extent, left.adopt(file, locked.path(), letter.date)));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// Does what can be done for a note by itself: cuts off what is torn, and removes a note that says nothing any more. Gives back the one on
/// a whole message that may come again.
fn settle(
    file: &File,
    mut left: LeftIntent,
    now: OffsetDateTime,
    cut_bytes: &mut u64,
) -> io::Result<Option<(LeftIntent, Separator)>> {
    let extent = left.extent();
    let length = file.metadata()?.len();
    let remains = torn::look(file, &extent, length)?;
    if matches!(remains, Tail::Whole(_)) {
        // Taken out by a mail program, it leaves its place to what stands behind it, which may begin with the same line.
        left.found_whole(file);
    }
    if left.is_alive(now) {
        // It has let go of the lock, and does itself what is to be done.
        return Ok(None);
    }
    match remains {
        Tail::Torn if left.progress() == Progress::Unknown => {
            if append::cut_back(file, extent.before_bytes, length).is_ok() {
                *cut_bytes += length - extent.before_bytes;
                left.remove(file);
            }
            Ok(None)
        }
        Tail::Whole(separator) if left.source() == Source::Mail && !left.is_old(now) => Ok(Some((left, separator))),
        Tail::Torn | Tail::Whole(_) | Tail::Foreign => {
            left.remove(file);
            Ok(None)
        }
    }
}

/// Compares all but the date of delivery.
fn is_same<R: Read + Clone>(
    locked: &OpenMailbox,
    letter: &MboxEntry<'_, R>,
    extent: &Extent,
    separator: &Separator,
) -> bool {
    let mut compare = Compare::new(locked.file(), separator.end_bytes, extent.after_bytes);
    let starts = separator_start(letter.sender);
    if !separator.line.starts_with(starts.as_bytes()) {
        return false;
    }
    let mut pieces = BufWriter::with_capacity(quoting::STEP_BYTES, &mut compare);
    let is_equal = write_rest(&mut pieces, letter.clone()).and_then(|()| pieces.flush());
    drop(pieces);
    is_equal.is_ok() && compare.is_at_end()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::time::Duration;

    use rustix::fs::{XattrFlags, flistxattr, fsetxattr};
    use time::OffsetDateTime;

    use super::{Recovered, recover};
    use crate::mailbox::append::{append, length};
    use crate::mailbox::format::{MboxEntry, write_letter};
    use crate::mailbox::intent::Measure;
    use crate::mailbox::lock::{Method, OpenMailbox, Plan, lock};
    use crate::mailbox::open::{Absent, Owner};
    use crate::mailbox::quoting::Quoting;
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
            quoting: Quoting::Mboxrd,
        }
    }

    fn written(letter: MboxEntry<'_, &[u8]>) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_letter(&mut bytes, letter).unwrap_or_else(|e| unreachable!("{e}"));
        bytes
    }

    fn locked(path: &Path) -> OpenMailbox {
        let plan = Plan {
            methods: vec![Method::Fcntl],
            timeout: Duration::from_secs(5),
            owner: Owner::Exactly(nix::unistd::getuid().as_raw()),
            absent: Absent::Create,
            state_dir: None,
            place: None,
        };
        let deadline = Deadline::begin().unwrap_or_else(|e| unreachable!("{e}"));
        lock(path, &plan, &deadline).unwrap_or_else(|e| unreachable!("{e}"))
    }

    /// The process that waits for this one.
    fn living() -> u32 {
        nix::unistd::getppid().as_raw().unsigned_abs()
    }

    /// What a run that was killed noted about the letter of day 0, behind `OLD`. False where there are no attributes.
    fn note(file: &File, pid: u32, host: u32) -> bool {
        let mut measure = Measure::default();
        write_letter(&mut measure, letter("s@s.test", CONTENT, 0)).unwrap_or_else(|e| unreachable!("{e}"));
        let extent = measure.extent(OLD.len() as u64, b"");
        let text = format!(
            "{host:08x} {} {} {:08x} 0",
            extent.before_bytes, extent.after_bytes, extent.separator
        );
        fsetxattr(
            file,
            format!("user.spoolguard.{pid}.0"),
            text.as_bytes(),
            XattrFlags::empty(),
        )
        .is_ok()
    }

    fn notes(file: &File) -> usize {
        let mut names = [0; 1000];
        let length = flistxattr(file, &mut names).unwrap_or(0);
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
        let own = crate::mailbox::intent::host();
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
                1,
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
            let mut locked = locked(&path);
            if !note(locked.file(), case.by.0, case.by.1) {
                return;
            }
            let Recovered { cut_bytes, appended } =
                recover(&mut locked, &case.then).unwrap_or_else(|e| unreachable!("{e}"));
            let name = case.name;
            let cut = if case.is_cut { case.tail.len() } else { 0 };
            assert_eq!(cut_bytes, cut as u64, "{name}");
            let left = length(&locked).unwrap_or_default();
            assert_eq!(left, (OLD.len() + case.tail.len() - cut) as u64, "{name}");
            assert_eq!(appended.is_some(), case.is_same, "{name}");
            assert_eq!(notes(locked.file()), case.notes, "{name}");
            // Each note stops one message.
            drop(appended);
            let again = recover(&mut locked, &case.then).unwrap_or_else(|e| unreachable!("{e}"));
            assert!(again.appended.is_none() && again.cut_bytes == 0, "{name}");
        }
    }

    #[test]
    fn what_moves_into_the_place_of_a_whole_message_is_no_part_of_it() {
        let own = crate::mailbox::intent::host();
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
            let mut locked = locked(&path);
            if !note(locked.file(), pid, own) {
                return;
            }
            let next = || letter("s@s.test", b"A: 4\n\nnew\n", days);
            assert!(recover(&mut locked, &next()).is_ok_and(|found| found.appended.is_none()));
            // A mail program takes the first one out, in place, and the run that goes on is killed.
            assert!(std::fs::write(&path, [OLD, left].concat()).is_ok());
            let found = recover(&mut locked, &letter("s@s.test", CONTENT, 3));
            assert!(found.is_ok_and(|found| found.cut_bytes == 0), "{pid}");
            assert_eq!(length(&locked).ok(), Some((OLD.len() + left.len()) as u64), "{pid}");
            assert_eq!(notes(locked.file()), 0, "{pid}");
        }
    }

    #[test]
    fn the_note_of_one_that_had_our_number_stays() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        assert!(std::fs::write(&path, [OLD, &written(letter("s@s.test", CONTENT, 0))].concat()).is_ok());
        let mut locked = locked(&path);
        let (number, own) = (std::process::id(), crate::mailbox::intent::host());
        // Which number the next append takes is not known here: other tests append, too.
        for next in 0..20 {
            let name = format!("user.spoolguard.{number}.{next}");
            if fsetxattr(
                locked.file(),
                name,
                format!("{own:08x} 1 2 0 0").as_bytes(),
                XattrFlags::empty(),
            )
            .is_err()
            {
                return;
            }
        }
        let before = notes(locked.file());
        let appended = append(&mut locked, letter("s@s.test", CONTENT, 0)).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(notes(locked.file()), before + 1);
        drop(appended);
        assert_eq!(notes(locked.file()), before);
    }

    #[test]
    fn a_message_that_is_finished_leaves_no_note() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let mut locked = locked(&dir.path().join("a"));
        if !note(locked.file(), DEAD, 0) {
            return;
        }
        let appended = append(&mut locked, letter("s@s.test", CONTENT, 0)).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(notes(locked.file()), 2);
        drop(appended);
        assert_eq!(notes(locked.file()), 1);
    }
}
