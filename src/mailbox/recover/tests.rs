use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{XattrFlags, llistxattr, lsetxattr};
use time::OffsetDateTime;

use super::find_earlier;
use crate::config::LockMethod;
use crate::mailbox::append::{Appended, append};
use crate::mailbox::format::{MboxEntry, write_letter};
use crate::mailbox::intent::host_hash;
use crate::mailbox::intent_text::{AppendProgress, IntentText, MessageSource};
use crate::mailbox::lock::LockPlan;
use crate::mailbox::measure::{AppendExtent, Measure};
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
        methods: vec![LockMethod::Fcntl],
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
    (mailbox.recovered.cut_bytes, appended)
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

fn noted_at(seconds: i64, host: u32, extent: AppendExtent) -> String {
    let noted = IntentText {
        host,
        source: MessageSource::Mail,
        extent,
        seconds,
        progress: AppendProgress::Unknown,
    };
    noted.write()
}

fn note_of(path: &Path, pid: u32, host: u32, extent: AppendExtent) -> bool {
    // A process that began after the note did not write it.
    let seconds = if pid == living() {
        OffsetDateTime::now_utc().unix_timestamp()
    } else {
        0
    };
    let text = noted_at(seconds, host, extent);
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
    let own = host_hash();
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
fn what_moves_into_a_whole_messages_place_is_no_part_of_it() {
    let own = host_hash();
    let whole = written(letter("s@s.test", CONTENT, 0));
    // From the same sender in the same second: the line is the same.
    let behind = written(letter("s@s.test", b"A: 4\n\nnew\n", 0));
    assert!(behind.len() < whole.len());
    // Some mail clients leave no empty line behind the last message: then it does not end as one.
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
        // A mail client takes the first one out, in place, and the run that goes on is killed.
        assert!(std::fs::write(&path, [OLD, left].concat()).is_ok());
        // Long after: no run goes on for so long.
        assert_eq!(found(&path, &letter("s@s.test", CONTENT, 40_000)).0, 0, "{pid}");
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
            if !note_of(&path, DEAD, host_hash(), extent) {
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
    let (number, own) = (std::process::id(), host_hash());
    // Which number the next append takes is not known here: other tests append, too.
    for next in 0..20 {
        let name = format!("user.spoolguard.{number}.{next}");
        let extent = Measure::default().extent(1, b"\n");
        let text = noted_at(0, own, extent);
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
