//! What is left to do of a cut that was interrupted: nothing, everything, or what lies between.
//!
//! How far it came is told by the mailbox itself. Before it is cut off, it is what the journal says it was; then the run is forgotten,
//! since everything is in the mailbox. Afterwards it holds a part of the journal's content; the rest is appended. Others may have
//! appended their mail behind that part meanwhile; it comes behind the rest then, and goes through the journal as well.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::error::Error;
use crate::mailbox::append;
use crate::mailbox::expunge::execute::{
    Foreign, conclude_expunge, finish_expunge, hash_before, sync_noted, unfinished_error,
};
use crate::mailbox::expunge::journal::{DamagedJournal, Journal, Pending, RecordHeader, Undo};
use crate::mailbox::expunge::lacking::find_lacking;
use crate::mailbox::expunge::place;
use crate::mailbox::in_place::{InPlace, write_again};
use crate::mailbox::lock::Locked;
use crate::mailbox::ranges::{Ranges, STEP_BYTES};
use crate::message::from_line::{LINE_BYTES, LOOK_BYTES, begins_anywhere};
use crate::sys::deadline::Deadline;

/// The largest block that a file system zeroes the rest of, in bytes.
const BLOCK_BYTES: u64 = 4096;

/// Finishes or forgets what an interrupted run left, if there is anything; nothing more than one look where there is not. Needs the
/// mailbox locked. `state_dir` is where its user keeps journals that cannot lie beside it. What of a journal is damaged comes back.
///
/// # Errors
/// When it cannot be finished now; then nothing may be done with the mailbox.
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
    let place = journal.place().to_owned();
    let fail = |e: io::Error| unfinished_error(&path, &place, &e);
    let length = locked.length()?;
    let head = journal.head().clone();
    let is_as_long = !journal.is_truncated() && length >= head.until;
    let untouched = is_as_long && hash_before(locked.file(), head.from, head.until).map_err(fail)? == head.before;
    if untouched && head.undo == Undo::Possible {
        let kept = journal.done()?;
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
    if appended == journal.bytes() {
        // Nothing is missing. What others appended behind it stays where it is.
        fill(locked, &journal)
            .and_then(|()| write_again(locked.file(), head.from, length, || locked.refresh()))
            .and_then(|()| sync_noted(locked, &mut journal))
            .map_err(fail)?;
        return conclude_expunge(locked, journal, Foreign::Behind).map(drop);
    }
    if find_lacking(locked, &journal, foreign_from).map_err(fail)?.bytes() < journal.bytes() {
        // Ours are among it: the mailbox was rewritten, and its place is by chance one where a message begins.
        return put_behind(locked, journal, deadline);
    }
    // Others appended to what was half done. That stays, behind what was there before.
    let mut foreign = Ranges::new();
    foreign.push(foreign_from..length);
    let file = locked.file().try_clone().map_err(fail)?;
    let now = RecordHeader {
        until: length,
        before: hash_before(&file, head.from, length).map_err(fail)?,
        undo: Undo::Impossible,
        times: (0, 0),
        ..head
    };
    journal.extend(now, foreign.reader(&file))?;
    finish_expunge(locked, journal, Some(deadline)).map(drop)
}

/// Writes the journal's content over what stands of it in the mailbox, holes and all.
fn fill(locked: &Locked, journal: &Journal) -> io::Result<()> {
    let from = journal.head().from;
    let mut to = InPlace::begin(locked.file(), from, from + journal.bytes())?;
    let mut buffer = vec![0; STEP_BYTES];
    let mut at = 0;
    loop {
        let read = journal.read_at(&mut buffer, at)?;
        if read == 0 {
            return to.finish();
        }
        to.write_all(buffer.get(..read).unwrap_or_default())?;
        at += read as u64;
        locked.refresh();
    }
}

/// Tells whether the cut was begun when the power went: ext4 and XFS zero the rest of the block behind the new end on the disk before the
/// new length is there.
fn is_zeroed(file: &File, head: &RecordHeader) -> io::Result<bool> {
    let end = head.from.next_multiple_of(BLOCK_BYTES).min(head.until);
    let mut rest = vec![1; usize::try_from(end - head.from).unwrap_or_default()];
    file.read_exact_at(&mut rest, head.from)?;
    Ok(!rest.is_empty() && rest.iter().all(|byte| *byte == 0))
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
    let place = journal.place().to_owned();
    let fail = |e: io::Error| Error::io("read", &path, &e);
    let lacking = find_lacking(locked, &journal, 0).map_err(fail)?;
    // What is there is not known to be synced, wherever it lies now.
    let length = locked.length()?;
    write_again(locked.file(), 0, length, || locked.refresh())
        .and_then(|()| sync_noted(locked, &mut journal))
        .map_err(|e| unfinished_error(&path, &place, &e))?;
    if lacking.is_empty() {
        return conclude_expunge(locked, journal, Foreign::Behind).map(drop);
    }
    append::end_last_message(locked)?;
    let length = locked.length()?;
    let now = RecordHeader {
        from: length,
        until: length,
        before: hash_before(locked.file(), length, length).map_err(fail)?,
        undo: Undo::Impossible,
        times: (0, 0),
        ..journal.head().clone()
    };
    // With its new place written down first: killed again, the next run goes on from there.
    journal.keep(now, &lacking)?;
    finish_expunge(locked, journal, Some(deadline)).map(drop)
}

/// How much of the journal's content stands in the mailbox from `from` on. A zero counts as what was written there: after a power loss
/// the length may be on the disk, and the bytes not.
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
    use crate::mailbox::expunge::execute::hash_before;
    use crate::mailbox::expunge::journal::{Journal, JournalDraft, RecordHeader, Undo};
    use crate::mailbox::expunge::journal_units::UNIT_BYTES;
    use crate::mailbox::expunge::place::place_beside;
    use crate::mailbox::expunge::set_aside;
    use crate::mailbox::lock::{LockPlan, Method};
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
        let plan = LockPlan {
            methods: vec![Method::Fcntl],
            timeout: Duration::from_secs(5),
            owner: Owner::Exactly(nix::unistd::getuid().as_raw()),
            absent: Absent::Refuse,
            state_dir: None,
            place: None,
            tell: None,
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
        let mut draft = JournalDraft::begin(&place_beside(path), uid, gid).unwrap_or_else(|e| unreachable!("{e}"));
        assert!(draft.write_all(moves.as_bytes()).is_ok());
        let (from, until) = (STAYS.len() as u64, mail.len() as u64);
        let file = std::fs::File::open(path).unwrap_or_else(|e| unreachable!("{e}"));
        let head = RecordHeader {
            from,
            until,
            before: hash_before(&file, from, until).unwrap_or_default(),
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
            let head = RecordHeader {
                until,
                before: hash_before(&file, STAYS.len() as u64, until).unwrap_or_default(),
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

    /// Damages a journal at its byte `at`, and returns what the mailbox holds once it was opened.
    fn after_damage(path: &Path, mail: &str, damage: impl Fn(&mut Vec<u8>)) -> String {
        let mut journal = begun(path);
        if mail == STAYS {
            assert!(journal.mark_truncated().is_ok());
        }
        drop(journal);
        assert!(std::fs::write(path, mail).is_ok());
        let mut bytes = std::fs::read(place_beside(path)).unwrap_or_default();
        damage(&mut bytes);
        assert!(std::fs::write(place_beside(path), &bytes).is_ok());
        let mailbox = locked(path);
        assert_eq!(mailbox.set_aside().len(), 1);
        assert!(
            mailbox
                .set_aside()
                .iter()
                .all(|bad| std::fs::read(bad).unwrap_or_default() == bytes)
        );
        assert_eq!(set_aside::find_journals(path, None), mailbox.set_aside());
        assert!(!place_beside(path).exists());
        for bad in mailbox.set_aside() {
            assert!(std::fs::remove_file(bad).is_ok());
        }
        drop(mailbox);
        text(path)
    }

    #[test]
    fn what_has_no_content_is_put_back_whatever_stands_there() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        // One line, which does not end where the journal's place was.
        let rewritten = format!("From {}", "y".repeat(STAYS.len() - "From ".len()));
        for moves in ["bytes of no message", "From x@x.test\n", "no field\nA: 1\n\nb\n"] {
            let mut journal = begun_with(&path, moves);
            assert!(journal.mark_truncated().is_ok());
            drop(journal);
            assert!(std::fs::write(&path, &rewritten).is_ok());
            drop(locked(&path));
            let now = text(&path);
            assert!(
                now.starts_with(&rewritten) && now.ends_with(moves),
                "{moves:?}: {now:?}"
            );
            assert!(!place_beside(&path).exists());
        }
    }

    #[test]
    fn a_damaged_head_costs_no_message_and_is_set_aside() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        let whole = [STAYS, GOES, MOVES].concat();
        for at in (0..UNIT_BYTES).step_by(61).chain([UNIT_BYTES - 1]) {
            let flip = |bytes: &mut Vec<u8>| {
                for byte in bytes.iter_mut().skip(at).take(1) {
                    *byte ^= 1;
                }
            };
            assert_eq!(after_damage(&path, STAYS, flip), [STAYS, MOVES].concat(), "byte {at}");
            // Before the mailbox was cut off, all of it is there.
            assert_eq!(after_damage(&path, &whole, flip), whole, "byte {at}");
            // A run was killed in the middle of the append.
            let half = [STAYS, MOVES.get(..70).unwrap_or_default()].concat();
            assert_eq!(after_damage(&path, &half, flip), [STAYS, MOVES].concat(), "byte {at}");
        }
    }

    #[test]
    fn a_journal_that_is_cut_off_anywhere_is_set_aside() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        for length in (0..2 * UNIT_BYTES).step_by(509) {
            let found = after_damage(&path, STAYS, |bytes| bytes.truncate(length));
            assert_eq!(found, STAYS, "{length}");
        }
    }

    #[test]
    fn messages_outside_of_a_damaged_unit_are_put_back_once() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        let message = |number: u32| {
            let body = format!("{number} some words of a body\n").repeat(40);
            format!("From c@c.test Mon Nov  2 10:00:00 2026\nMessage-ID: <{number}@c.test>\n\n{body}\n")
        };
        let moves: Vec<_> = (0..20).map(message).collect();
        for (unit, there) in [(1, 0), (2, 0), (3, 5), (4, 20)] {
            let mut journal = begun_with(&path, &moves.concat());
            assert!(journal.mark_truncated().is_ok());
            drop(journal);
            let before = moves.get(..there).unwrap_or_default().concat();
            assert!(std::fs::write(&path, [STAYS, &before].concat()).is_ok());
            let mut bytes = std::fs::read(place_beside(&path)).unwrap_or_default();
            for byte in bytes.iter_mut().skip(unit * UNIT_BYTES + 2000).take(1) {
                *byte ^= 8;
            }
            assert!(std::fs::write(place_beside(&path), &bytes).is_ok());
            drop(locked(&path));
            let found = text(&path);
            let missing = moves.iter().filter(|message| !found.contains(message.as_str())).count();
            let most = if there == 20 { 0 } else { 6 };
            assert!(
                missing <= most && (there == 20 || missing > 0),
                "unit {unit}: {missing} are missing"
            );
            let twice = moves
                .iter()
                .filter(|message| found.matches(message.as_str()).count() > 1)
                .count();
            assert_eq!(twice, 0, "unit {unit}");
        }
    }

    #[test]
    fn what_was_there_and_may_not_be_synced_is_written_again_before_the_journal_goes() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        for hole in [0..10, 20..MOVES.len(), 0..MOVES.len()] {
            for foreign in ["", FOREIGN] {
                let mut journal = begun(&path);
                assert!(journal.mark_truncated().is_ok());
                drop(journal);
                // The disk had the length, and not the bytes.
                let mut bytes = MOVES.as_bytes().to_vec();
                for byte in bytes.get_mut(hole.clone()).unwrap_or_default() {
                    *byte = 0;
                }
                assert!(std::fs::write(&path, [STAYS.as_bytes(), &bytes, foreign.as_bytes()].concat()).is_ok());
                drop(locked(&path));
                assert_eq!(text(&path), [STAYS, MOVES, foreign].concat(), "{hole:?}");
                assert!(!place_beside(&path).exists());
            }
        }
    }

    #[test]
    fn a_journal_whose_mailbox_had_a_failed_sync_is_kept_for_good() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        let mut journal = begun(&path);
        assert!(journal.mark_truncated().is_ok());
        journal.mark_failed();
        drop(journal);
        assert!(std::fs::write(&path, [STAYS, MOVES].concat()).is_ok());
        let mailbox = locked(&path);
        assert_eq!(text(&path), [STAYS, MOVES].concat());
        assert!(!place_beside(&path).exists());
        assert_eq!(mailbox.set_aside(), set_aside::find_journals(&path, None));
        assert_eq!(mailbox.set_aside().len(), 1);
    }

    #[test]
    fn a_journal_of_somebody_else_or_of_nothing_changes_nothing() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("a");
        assert!(std::fs::write(&path, STAYS).is_ok());
        for content in ["", "spoolguard cut 2\n", "x"] {
            assert!(std::fs::write(place_beside(&path), content).is_ok());
            drop(locked(&path));
            assert_eq!(text(&path), STAYS);
        }
        drop(begun(&path));
        assert!(std::fs::remove_file(place_beside(&path)).is_ok());
        assert!(std::os::unix::fs::symlink("/etc/passwd", place_beside(&path)).is_ok());
        drop(locked(&path));
        assert_eq!(text(&path), [STAYS, GOES, MOVES].concat());
    }
}
