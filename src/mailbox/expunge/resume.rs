//! What is left to do of a cut that was interrupted: nothing, everything, or what lies between.
//!
//! How far it came is told by the mailbox itself. Before it is cut off, it is what the journal says it was; then the run is forgotten,
//! since everything is in the mailbox. Afterwards it holds a part of the journal's content; the rest is appended. Others may have
//! appended their mail behind that part meanwhile; it comes behind the rest then, and goes through the journal as well.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::error::Error;
use crate::mailbox::append;
use crate::mailbox::expunge::execute::{append, before, conclude, finish, unfinished};
use crate::mailbox::expunge::journal;
use crate::mailbox::expunge::journal::{Head, Journal, Undo};
use crate::mailbox::expunge::lacking::lacking;
use crate::mailbox::lock::Locked;
use crate::mailbox::ranges::{Ranges, STEP_BYTES};
use crate::message::from_line::{LINE_BYTES, LOOK_BYTES, begins_anywhere};
use crate::sys::deadline::Deadline;

/// Finishes or forgets what an interrupted run left, if there is anything; nothing more than one look where there is not. Needs the
/// mailbox locked. `state_dir` is where its user keeps journals that cannot lie beside it.
///
/// # Errors
/// When it cannot be finished now; then nothing may be done with the mailbox.
pub(in crate::mailbox) fn resume(
    locked: &mut Locked,
    state_dir: Option<&Path>,
    deadline: &Deadline,
) -> Result<(), Error> {
    let path = locked.path().to_owned();
    let private = state_dir
        .filter(|_| !locked.has_dotlock())
        .map(|dir| journal::place_in(dir, &path));
    for place in [Some(journal::place_beside(&path)), private].into_iter().flatten() {
        if !place.symlink_metadata().is_ok_and(|stat| stat.len() > 0) {
            continue;
        }
        let stat = locked.file().metadata().map_err(|e| Error::io("examine", &path, &e))?;
        if let Some(journal) = Journal::pending(&place, stat.uid())? {
            go_on(locked, journal, deadline)?;
        }
    }
    Ok(())
}

/// Finds out how far an interrupted run came, and goes on from there.
fn go_on(locked: &mut Locked, mut journal: Journal, deadline: &Deadline) -> Result<(), Error> {
    let path = locked.path().to_owned();
    let place = journal.place().to_owned();
    let fail = |e: io::Error| unfinished(&path, &place, &e);
    let length = locked.length()?;
    let head = journal.head().clone();
    let untouched = !journal.is_truncated()
        && length >= head.until
        && before(locked.file(), head.from, head.until).map_err(fail)? == head.before;
    if untouched && head.undo == Undo::Possible {
        journal.done();
        return Ok(());
    }
    let (appended, foreign_from) = if untouched {
        (0, head.until)
    } else {
        match part(locked, &journal, length).map_err(fail)? {
            Some(found) => found,
            None => return put_behind(locked, journal, deadline),
        }
    };
    if appended == journal.bytes() && !untouched {
        // Nothing is missing. What others appended behind it stays where it is.
        let foreign = length > foreign_from;
        return conclude(locked, journal, foreign).map(drop);
    }
    if length > foreign_from {
        if lacking(locked, &journal, foreign_from).map_err(fail)?.bytes() < journal.bytes() {
            // Ours are among it: the mailbox was rewritten, and its place is by chance one where a message begins.
            return put_behind(locked, journal, deadline);
        }
        // Others appended to what was half done. That stays, behind what was there before.
        let mut foreign = Ranges::new();
        foreign.push(foreign_from..length);
        let file = locked.file().try_clone().map_err(fail)?;
        let now = Head {
            until: length,
            before: before(&file, head.from, length).map_err(fail)?,
            undo: Undo::Impossible,
            times: (0, 0),
            ..head
        };
        journal.extend(now, foreign.reader(&file))?;
        return finish(locked, journal, Some(deadline)).map(drop);
    }
    if untouched {
        return finish(locked, journal, Some(deadline)).map(drop);
    }
    if !journal.is_truncated() {
        journal.mark_truncated()?;
    }
    append(locked, &journal, appended, Some(deadline)).map_err(fail)?;
    conclude(locked, journal, false).map(drop)
}

/// How much of the journal's content stands in its place, and where the mail of others begins behind that. None where its place is no
/// more: a mail program has rewritten the mailbox meanwhile, to note what was read, say, or to take mail out.
fn part(locked: &Locked, journal: &Journal, length: u64) -> io::Result<Option<(u64, u64)>> {
    let (file, from) = (locked.file(), journal.head().from);
    if !ends_line(file, from)? {
        return Ok(None);
    }
    let same = common(locked, journal, from)?;
    let apart = from + same;
    if same == journal.bytes() || apart == length {
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
    let fail = |e: io::Error| Error::io("read", &path, &e);
    let lacking = lacking(locked, &journal, 0).map_err(fail)?;
    if lacking.is_empty() {
        journal.done();
        return Ok(());
    }
    append::close(locked)?;
    let length = locked.length()?;
    let now = Head {
        from: length,
        until: length,
        before: before(locked.file(), length, length).map_err(fail)?,
        undo: Undo::Impossible,
        times: (0, 0),
        ..journal.head().clone()
    };
    // With its new place written down first: killed again, the next run goes on from there.
    journal.keep(now, &lacking)?;
    finish(locked, journal, Some(deadline)).map(drop)
}

/// How much of the journal's content stands in the mailbox from `from` on.
fn common(locked: &Locked, journal: &Journal, from: u64) -> io::Result<u64> {
    let (mut ours, mut theirs) = (vec![0; STEP_BYTES], vec![0; STEP_BYTES]);
    let mut at = 0;
    loop {
        let wanted = journal.read_at(&mut ours, at)?;
        let found = locked
            .file()
            .read_at(theirs.get_mut(..wanted).unwrap_or_default(), from + at)?;
        let same = ours.iter().zip(&theirs).take(found).take_while(|(a, b)| a == b).count();
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

/// Where the mail of others begins that lies behind a part of ours: it may begin as ours goes on, so it may be before `apart`, where the
/// two first differ; or right there, behind line ends that close the part. None where no message begins that is not ours: then something
/// was written into one of ours.
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
mod tests {
    use super::resume;
    use crate::mailbox::expunge::execute::before;
    use crate::mailbox::expunge::journal::{Draft, Head, Journal, Undo, place_beside};
    use crate::mailbox::lock::{Method, Plan};
    use crate::mailbox::open::{Absent, Owner};
    use crate::mailbox::{OpenMailbox, open_locked};
    use crate::sys::deadline::Deadline;
    use std::io::Write;
    use std::path::Path;
    use std::time::{Duration, Instant};

    const STAYS: &str = "From a@a.test Mon Nov  2 10:00:00 2026\nA: 1\n\nfirst\n\n";
    const GOES: &str = "From b@b.test Mon Nov  2 10:00:00 2026\nB: 1\n\nsecond\n\n";
    const MOVES: &str = "From c@c.test Mon Nov  2 10:00:00 2026\nC: 1\n\nthird\n\nFrom d@d.test Mon Nov  2 10:00:00 2026\nD: 1\n\n4\n\n";
    const FOREIGN: &str = "From c@c.test Mon Nov  2 10:00:01 2026\nE: 1\n\nforeign\n\n";

    fn deadline() -> Deadline {
        Deadline::begin().unwrap_or_else(|e| unreachable!("{e}"))
    }

    fn locked(path: &Path) -> OpenMailbox {
        let plan = Plan {
            methods: vec![Method::Fcntl],
            timeout: Duration::from_secs(5),
            owner: Owner::Exactly(nix::unistd::getuid().as_raw()),
            absent: Absent::Refuse,
            state_dir: None,
            place: None,
        };
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            match open_locked(path, &plan, &deadline()) {
                Ok(locked) => return locked,
                // A child that another test starts has the journal's lock, too, until it executes its program.
                Err(e) if e.to_string().contains("another spoolguard") && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(e) => unreachable!("{e}"),
            }
        }
    }

    /// A mailbox of three parts, and the journal that takes the second one out.
    fn begun(path: &Path) -> Journal {
        begun_with(path, MOVES)
    }

    fn begun_with(path: &Path, moves: &str) -> Journal {
        let mail = [STAYS, GOES, moves].concat();
        assert!(std::fs::write(path, &mail).is_ok());
        let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        let mut draft = Draft::begin(&place_beside(path), uid, gid).unwrap_or_else(|e| unreachable!("{e}"));
        assert!(draft.write_all(moves.as_bytes()).is_ok());
        let (from, until) = (STAYS.len() as u64, mail.len() as u64);
        let file = std::fs::File::open(path).unwrap_or_else(|e| unreachable!("{e}"));
        let head = Head {
            from,
            until,
            before: before(&file, from, until).unwrap_or_default(),
            undo: Undo::Possible,
            times: (0, 0),
            archive: "/an/archive".to_owned(),
        };
        draft.commit(head).unwrap_or_else(|e| unreachable!("{e}"))
    }

    fn text(path: &Path) -> String {
        String::from_utf8(std::fs::read(path).unwrap_or_default()).unwrap_or_default()
    }

    #[test]
    fn wherever_it_was_interrupted_and_whoever_came_meanwhile_everything_is_there_once() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        for torn in 0..=MOVES.len() {
            for foreign in ["", FOREIGN] {
                let mut journal = begun(&path);
                assert!(journal.mark_truncated().is_ok());
                drop(journal);
                let half = MOVES.get(..torn).unwrap_or_default();
                assert!(std::fs::write(&path, [STAYS, half, foreign].concat()).is_ok());
                drop(locked(&path));
                assert_eq!(text(&path), [STAYS, MOVES, foreign].concat(), "torn at {torn}");
                assert!(!place_beside(&path).exists());
            }
        }
    }

    #[test]
    fn a_mailbox_that_was_not_cut_off_yet_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        for foreign in ["", FOREIGN] {
            drop(begun(&path));
            let mail = [STAYS, GOES, MOVES, foreign].concat();
            assert!(std::fs::write(&path, &mail).is_ok());
            drop(locked(&path));
            assert_eq!(text(&path), mail);
            assert!(!place_beside(&path).exists());
        }
    }

    #[test]
    fn one_that_was_cut_off_before_that_was_noted_is_finished() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        for foreign in ["", FOREIGN] {
            drop(begun(&path));
            assert!(std::fs::write(&path, [STAYS, foreign].concat()).is_ok());
            drop(locked(&path));
            assert_eq!(text(&path), [STAYS, MOVES, foreign].concat());
        }
    }

    #[test]
    fn mending_that_was_interrupted_is_mended_too() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        let whole = [MOVES, FOREIGN].concat();
        // The mail of others is in the journal by now; the mailbox was not cut off again, or was, or is half full again.
        for half in (0..whole.len()).map(Some).chain([None]) {
            let mut journal = begun(&path);
            assert!(journal.mark_truncated().is_ok());
            let torn = [STAYS, "From c@c.te", FOREIGN].concat();
            assert!(std::fs::write(&path, &torn).is_ok());
            let file = std::fs::File::open(&path).unwrap_or_else(|e| unreachable!("{e}"));
            let until = torn.len() as u64;
            let head = Head {
                until,
                before: before(&file, STAYS.len() as u64, until).unwrap_or_default(),
                undo: Undo::Impossible,
                ..journal.head().clone()
            };
            assert!(journal.extend(head, FOREIGN.as_bytes()).is_ok());
            if let Some(half) = half {
                assert!(journal.mark_truncated().is_ok());
                assert!(std::fs::write(&path, [STAYS, whole.get(..half).unwrap_or_default()].concat()).is_ok());
            }
            drop(journal);
            drop(locked(&path));
            assert_eq!(text(&path), [STAYS, MOVES, FOREIGN].concat(), "{half:?}");
        }
    }

    /// What a mail program does to a mailbox in which it notes that mail was read.
    fn read(mail: &str) -> String {
        mail.replace(": 1\n\n", ": 1\nStatus: RO\n\n")
    }

    #[test]
    fn in_a_mailbox_that_was_rewritten_meanwhile_no_message_is_torn() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        let long = format!(
            "From c@c.test Mon Nov  2 10:00:00 2026\nL: {}\nC: 1\n\n5\n\n",
            "l".repeat(2000)
        );
        struct Case<'a> {
            name: &'static str,
            moves: &'a str,
            found: String,
            /// What has to stand in it then.
            left: String,
        }
        let case = |name, moves, found: &[&str], behind: &[&str]| Case {
            name,
            moves,
            found: found.concat(),
            left: [found.concat(), behind.concat()].concat(),
        };
        let twice = FOREIGN.repeat(2);
        let (stays, moves, goes) = (read(STAYS), read(MOVES), read(GOES));
        let cases = [
            case("read, and not more", MOVES, &[&stays], &[MOVES]),
            case("read, and mail came", MOVES, &[&stays, FOREIGN], &[MOVES]),
            case("emptied", MOVES, &[], &[MOVES]),
            case("emptied, and mail came", MOVES, &[FOREIGN, FOREIGN], &[MOVES]),
            case(
                "what was back in part was read",
                MOVES,
                &[&stays, &moves[..60]],
                &["\n\n", MOVES],
            ),
            case("not cut off yet, and read", MOVES, &[&stays, &goes, &moves], &[]),
            case("all back, and read", MOVES, &[&stays, &moves], &[]),
            case("all back, and some of it read", MOVES, &[STAYS, &moves, FOREIGN], &[]),
            case(
                "two that are the same, and one of them back",
                &twice,
                &[&stays, &read(FOREIGN)],
                &[FOREIGN],
            ),
            case("a long header", &long, &[STAYS, &read(&long)], &[]),
            case(
                "one back, and read",
                MOVES,
                &[STAYS, &moves[..63], FOREIGN],
                &[&MOVES[52..]],
            ),
            Case {
                name: "torn, closed, and mail came",
                moves: MOVES,
                found: [STAYS, &MOVES[..93], "\n\n", FOREIGN].concat(),
                left: [STAYS, MOVES, "\n\n", FOREIGN].concat(),
            },
        ];
        for case in cases {
            drop(begun_with(&path, case.moves));
            assert!(std::fs::write(&path, &case.found).is_ok());
            drop(locked(&path));
            assert_eq!(text(&path), case.left, "{}", case.name);
            assert!(!place_beside(&path).exists(), "{}", case.name);
        }
    }

    #[test]
    fn a_journal_of_somebody_else_or_of_nothing_changes_nothing() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        assert!(std::fs::write(&path, STAYS).is_ok());
        for content in ["", "spoolguard cut 1\n", "x"] {
            assert!(std::fs::write(place_beside(&path), content).is_ok());
            let mut locked = locked(&path);
            assert!(resume(locked.locked_mut(), None, &deadline()).is_ok());
            assert_eq!(text(&path), STAYS);
        }
        drop(begun(&path));
        assert!(std::fs::remove_file(place_beside(&path)).is_ok());
        assert!(std::os::unix::fs::symlink("/etc/passwd", place_beside(&path)).is_ok());
        drop(locked(&path));
        assert_eq!(text(&path), [STAYS, GOES, MOVES].concat());
    }
}
