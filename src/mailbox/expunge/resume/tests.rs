use crate::config::LockMethod;
use crate::mailbox::expunge::finish::hash_before;
use crate::mailbox::expunge::journal::{Journal, RecordHeader, Undo};
use crate::mailbox::expunge::journal_draft::JournalDraft;
use crate::mailbox::expunge::journal_units::UNIT_BYTES;
use crate::mailbox::expunge::place::place_beside;
use crate::mailbox::expunge::set_aside;
use crate::mailbox::lock::LockPlan;
use crate::mailbox::open::{Absent, Owner};
use crate::mailbox::{OpenMailbox, open_locked};
use crate::sys::deadline::Deadline;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const STAYS: &str = "From a@a.test Mon Nov  2 10:00:00 2026\nA: 1\n\nfirst\n\n";
const GOES: &str = "From b@b.test Mon Nov  2 10:00:00 2026\nB: 1\n\nsecond\n\n";
const MOVES: &str =
    "From c@c.test Mon Nov  2 10:00:00 2026\nC: 1\n\nthird\n\nFrom d@d.test Mon Nov  2 10:00:00 2026\nD: 1\n\n4\n\n";
const FOREIGN: &str = "From c@c.test Mon Nov  2 10:00:01 2026\nE: 1\n\nforeign\n\n";

fn deadline() -> Deadline {
    Deadline::begin().unwrap_or_else(|e| unreachable!("{e}"))
}

fn locked(path: &Path) -> OpenMailbox {
    let plan = LockPlan {
        methods: vec![LockMethod::Fcntl],
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
fn interrupted_anywhere_with_others_between_all_is_there_once() {
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
            ..journal.record.head.clone()
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

/// What a mail client does to a mailbox in which it notes that mail was read.
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
fn what_may_be_unsynced_is_written_before_the_journal_goes() {
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
