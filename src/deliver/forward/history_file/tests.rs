use super::{FILE_SECONDS, append_lines, history_path, older, open_history};
use crate::deliver::forward::history_line::{Fate, HistoryKey, HistoryLine};
use crate::sys::deadline::Deadline;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"))
}

fn deadline() -> Deadline {
    Deadline::begin().unwrap_or_else(|e| unreachable!("{e}"))
}

fn line(at: i64, name: &str) -> HistoryLine<'_> {
    HistoryLine::new(at, name, Fate::Sent, "b@b.test")
}

fn lines(dir: &Path) -> Vec<String> {
    let history = open_history(dir, &deadline()).unwrap_or_else(|e| unreachable!("{e}"));
    let text = history.recent(1 << 20);
    let is_line = |text: &&str| HistoryLine::read(text).is_some();
    text.lines().filter(is_line).map(str::to_owned).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let name = |text: &String| HistoryLine::read(text).map(|line| line.name.to_owned());
    lines(dir).iter().filter_map(name).collect()
}

/// The times of all lines about a subject, the latest first.
fn about(dir: &Path, subject: &HistoryKey) -> Vec<i64> {
    let history = open_history(dir, &deadline()).unwrap_or_else(|e| unreachable!("{e}"));
    let at = |text: &String| HistoryLine::read(text).map(|line| line.at);
    history.lines_about(subject).iter().filter_map(at).collect()
}

fn whole(name: &str) -> HistoryKey {
    HistoryKey::Whole(name.to_owned())
}

#[test]
fn what_is_written_is_found_again() {
    let dir = scratch();
    let dir = &dir.path().join("deep/state");
    assert_eq!(names(dir), [""; 0]);
    let kept =
        HistoryLine::new(8, "id:1+text:aa", Fate::Kept, "-").with_content("s@s.test", "1.2.n.3.4.0005.0006.00000007");
    let answered = HistoryLine::new(9, "id:2+text:bb", Fate::Answered, "S@s.test");
    assert!(append_lines(dir, &[line(7, "id:1+text:aa"), line(7, "text:aa")], &deadline()).is_ok());
    assert!(append_lines(dir, &[kept, answered], &deadline()).is_ok());
    let texts = lines(dir);
    let read = texts
        .get(2)
        .and_then(|text| HistoryLine::read(text))
        .unwrap_or_else(|| unreachable!("{texts:?}"));
    assert_eq!(
        (read.at, read.fate, read.sender, read.sketch),
        (8, Fate::Kept, kept.sender, kept.sketch)
    );
    assert_eq!(about(dir, &whole("id:1+text:aa")), [8, 7]);
    assert_eq!(about(dir, &HistoryKey::Id("id:1".to_owned())), [8, 7]);
    assert_eq!(about(dir, &HistoryKey::text("text:aa")), [8, 7, 7]);
    assert_eq!(about(dir, &HistoryKey::count(Fate::Answered, "s@S.test")), [9]);
    assert_eq!(about(dir, &whole("b@b.test")), [0; 0]);
}

#[test]
fn a_torn_line_is_passed_over_and_takes_no_other_along() {
    let whole_line = line(1_764_000_000, "text:aa").text(&[None, None]);
    for cut in 0..whole_line.len() {
        let dir = scratch();
        let dir = dir.path();
        let torn = whole_line.get(..cut).unwrap_or_default();
        assert!(std::fs::write(history_path(dir), format!("{whole_line}{torn}")).is_ok());
        assert!(append_lines(dir, &[line(1_764_000_001, "text:bb")], &deadline()).is_ok());
        let both = if cut + 1 == whole_line.len() { 2 } else { 1 };
        assert_eq!(
            names(dir),
            [vec!["text:aa"; both], vec!["text:bb"]].concat(),
            "{torn:?}"
        );
        assert_eq!(about(dir, &whole("text:bb")), [1_764_000_001], "{torn:?}");
    }
}

#[test]
fn nothing_in_an_address_opens_a_line() {
    let dir = scratch();
    let forged = HistoryLine::new(7, "text:aa", Fate::Sent, "b@b.test sent\n7 other b@b.test");
    assert!(append_lines(dir.path(), &[forged.with_content("s\n8 x y sent", "")], &deadline()).is_ok());
    assert_eq!(names(dir.path()), ["text:aa"]);
}

#[test]
fn many_at_once_lose_no_line_while_the_index_grows() {
    let dir = scratch();
    let dir = dir.path();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                for count in 0..300 {
                    let name = format!("id:{writer}-{count}+text:{writer:04}{count:04}");
                    assert!(append_lines(dir, &[line(7, &name)], &deadline()).is_ok());
                }
            });
        }
    });
    let mut found = names(dir);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 1200);
    for name in found {
        assert_eq!(about(dir, &whole(&name)), [7], "{name}");
    }
}

#[test]
fn an_index_that_is_lost_or_damaged_is_made_anew() {
    type Break = fn(&Path);
    let breaks: [(&str, Break); 5] = [
        ("lost", |path| assert!(std::fs::remove_file(path).is_ok())),
        ("empty", |path| assert!(std::fs::write(path, "").is_ok())),
        ("another's", |path| {
            assert!(std::fs::write(path, vec![7; 64 + 2048 * 16]).is_ok())
        }),
        ("a link", |path| {
            assert!(std::fs::remove_file(path).is_ok() && symlink("/dev/zero", path).is_ok());
        }),
        ("cut", |path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            assert!(std::fs::write(path, bytes.get(..1000).unwrap_or_default()).is_ok());
        }),
    ];
    for (name, break_it) in breaks {
        let dir = scratch();
        let dir = dir.path();
        assert!(append_lines(dir, &[line(7, "text:aa"), line(8, "text:bb")], &deadline()).is_ok());
        break_it(&dir.join("sent.index"));
        assert_eq!(about(dir, &whole("text:aa")), [7], "{name}");
        assert!(append_lines(dir, &[line(9, "text:aa")], &deadline()).is_ok(), "{name}");
        assert_eq!(about(dir, &whole("text:aa")), [9, 7], "{name}");
        assert_eq!(about(dir, &whole("text:bb")), [8], "{name}");
    }
}

#[test]
fn it_forgets_by_time_and_by_nothing_else() {
    let dir = scratch();
    let dir = dir.path();
    // More than fitted into half a megabyte.
    let many: Vec<String> = (0..6000).map(|n| format!("id:{n}+text:{n:08}")).collect();
    for names in many.chunks(50) {
        let first: Vec<_> = names.iter().map(|name| line(0, name)).collect();
        assert!(append_lines(dir, &first, &deadline()).is_ok());
    }
    assert!(append_lines(dir, &[line(FILE_SECONDS, "text:b")], &deadline()).is_ok());
    assert_eq!(about(dir, &whole("id:0+text:00000000")), [0]);
    assert!(append_lines(dir, &[line(FILE_SECONDS + 1, "text:c")], &deadline()).is_ok());
    assert_eq!(
        about(dir, &whole("id:0+text:00000000")),
        [0],
        "the older file is read, too"
    );
    assert!(append_lines(dir, &[line(2 * FILE_SECONDS + 2, "text:d")], &deadline()).is_ok());
    assert_eq!(names(dir), ["text:c", "text:d"]);
    assert_eq!(about(dir, &whole("text:b")), [0; 0]);
    assert_eq!(about(dir, &whole("text:c")), [FILE_SECONDS + 1]);
    assert!(older(&history_path(dir)).exists());
}

#[test]
fn one_message_id_for_all_costs_no_more_than_its_latest_lines() {
    let dir = scratch();
    let dir = dir.path();
    let many: Vec<String> = (0..2000).map(|n| format!("id:one+text:{n:08}")).collect();
    for (at, name) in many.iter().enumerate() {
        assert!(append_lines(dir, &[line(at as i64, name)], &deadline()).is_ok());
    }
    let found = about(dir, &HistoryKey::Id("id:one".to_owned()));
    assert_eq!((found.len(), found.first()), (super::MOST_LINES, Some(&1999)));
    assert_eq!(about(dir, &whole("id:one+text:00000000")), [0]);
}

#[test]
fn what_is_none_of_ours_is_set_aside() {
    let dir = scratch();
    let dir = dir.path();
    let secret = dir.join("secret");
    assert!(std::fs::write(&secret, "x\n").is_ok());
    assert!(symlink(&secret, history_path(dir)).is_ok());
    assert!(open_history(dir, &deadline()).is_err());
    assert!(append_lines(dir, &[line(7, "text:aa")], &deadline()).is_ok());
    assert_eq!(names(dir), ["text:aa"]);
    assert_eq!(std::fs::read(&secret).ok().as_deref(), Some(&b"x\n"[..]));
    // Bytes that are no lines.
    let grown = std::fs::OpenOptions::new().append(true).open(history_path(dir));
    assert!(grown.is_ok_and(|mut file| file.write_all(&vec![0xff; 600 << 10]).is_ok()));
    assert!(append_lines(dir, &[line(8, "text:bb")], &deadline()).is_ok());
    assert_eq!(about(dir, &whole("text:bb")), [8]);
    assert_eq!(about(dir, &whole("text:aa")), [7]);
}

/// `cargo test --release -- --ignored --nocapture measure`: what one look and one note cost beside a hundred lines, and
/// a hundred thousand.
#[test]
#[ignore = "measures, and proves nothing"]
fn measure_a_delivery_beside_few_and_many_lines() {
    let sketch = "x".repeat(200);
    for count in [100, 10_000, 100_000] {
        let dir = scratch();
        let dir = dir.path();
        let name = |n: usize| format!("id:{n:024}+text:{n:08}{n:016}");
        for n in (0..count).step_by(100) {
            let names: Vec<String> = (n..n + 100).map(name).collect();
            let of = |name| line(7, name).with_content("someone@somewhere.test", &sketch);
            let lines: Vec<_> = names.iter().map(|name| of(name)).collect();
            assert!(append_lines(dir, &lines, &deadline()).is_ok());
        }
        let mut times = Vec::new();
        for n in count..count + 1000 {
            let (begin, name) = (Instant::now(), name(n));
            let history = open_history(dir, &deadline()).unwrap_or_else(|e| unreachable!("{e}"));
            assert!(history.lines_about(&whole(&name)).is_empty());
            assert!(!history.recent(96 << 10).is_empty());
            drop(history);
            assert!(append_lines(dir, &[line(8, &name)], &deadline()).is_ok());
            times.push(begin.elapsed());
        }
        times.sort();
        let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or(Duration::ZERO);
        let _ = writeln!(
            std::io::stderr(),
            "{count} lines: median {:?}, 99 % below {:?}",
            at(50),
            at(99)
        );
    }
}
