//! Any bytes in the files of the state directory: what is read never panics, what is understood can be written and is
//! understood again, and a memory of a mailbox never says what is not so.
#![no_main]

use std::fs::{self, File};

use libfuzzer_sys::fuzz_target;
use spoolguard::config::Digest;
use spoolguard::config::destinations::SuspensionSettings;
use spoolguard::deliver::divert::rules::similar::{About, Expendable, Similarity};
use spoolguard::deliver::divert::rules::storm::StormState;
use spoolguard::deliver::forward::history_file::{append_lines, open_history};
use spoolguard::deliver::forward::history_line::{Fate, HistoryKey, HistoryLine};
use spoolguard::deliver::forward::rules::destinations::Destinations;
use spoolguard::deliver::forward::rules::kept::KeptList;
use spoolguard::deliver::forward::rules::sketch::Sketch;
use spoolguard::deliver::forward::rules::suspension::Fit;
use spoolguard::mailbox::count::count_messages;
use spoolguard::maildir::directory::Maildir;
use spoolguard::maildir::size_file;
use spoolguard::moment::Moment;
use spoolguard_fuzz::{clear, deadline, dir, mailbox};

const NOW: i64 = 1_795_000_000;

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 7 {
        0 => destinations(bytes),
        1 => storm(bytes),
        2 => history(bytes, b""),
        3 => history(b"", bytes),
        4 => kept(bytes),
        5 => sizes(bytes),
        _ => count(bytes),
    }
});

fn destinations(bytes: &[u8]) {
    let Ok(mut known) = serde_json::from_slice::<Destinations>(bytes) else {
        return;
    };
    let settings = SuspensionSettings::default();
    for (now, address) in [(NOW, "b@b.test"), (NOW + 400_000, "c@c.test"), (i64::MAX, "b@b.test")] {
        let now = Moment::from_seconds(now);
        known.pass_time(now, &settings);
        let pass = known.ask_pass(address, Some("<1@s.test>"), Fit::ForProbe, now, &settings);
        known.count_taken(address, pass, now, &settings);
        known.count_kept(address);
        known.probe_stayed(address, now);
        let _ = known.suspend(address, "a@a.test", now, &settings);
        let due = known.take_due(now);
        for notice in due {
            let _ = known.not_written(notice.number, now);
        }
        let _ = known.is_notice_due(now);
        let _ = known.resume(address, now, &settings);
        let text = serde_json::to_vec(&known).expect("it can be written");
        assert_eq!(
            serde_json::from_slice::<Destinations>(&text).expect("it was written"),
            known
        );
    }
}

fn storm(bytes: &[u8]) {
    let Ok(mut state) = serde_json::from_slice::<StormState>(bytes) else {
        return;
    };
    let limits = Digest {
        same: 2,
        per_hour: 5,
        ..Digest::default()
    };
    for now in [NOW, NOW + 4000, i64::MAX] {
        let print = Similarity {
            key: "k".to_owned(),
            expendable: Expendable::Yes,
            about: About::default(),
        };
        let _ = state.judge(&print, now, &limits);
        state.note_arrival(&print, now);
        let _ = state.admit_own_bounce(now, &limits);
        state.push_out(1, now);
        if let Some(digest) = state.begin_digest(now) {
            state.note_told(&digest);
        }
        let _ = (state.count_untold(), state.count_all(now));
        let text = serde_json::to_vec(&state).expect("it can be written");
        assert_eq!(
            serde_json::from_slice::<StormState>(&text).expect("it was written"),
            state
        );
    }
}

/// Whatever stands in the history and its index, what is noted now is found.
fn history(lines: &[u8], index: &[u8]) {
    clear();
    let dir = dir();
    let deadline = deadline();
    if !lines.is_empty() {
        fs::write(dir.join("sent"), lines).expect("a history");
    }
    let line = HistoryLine::new(NOW, "id:1/text:12345678", Fate::Sent, "b@b.test");
    let append = || append_lines(dir, &[line], &deadline).expect("a line");
    append();
    if !index.is_empty() {
        fs::write(dir.join("sent.index"), index).expect("an index");
        append();
    }
    let history = open_history(dir, &deadline).expect("a history");
    assert!(!history.recent(100_000).is_empty());
    for subject in line.history_keys() {
        let found = history.lines_about(&subject);
        assert!(
            !found.is_empty() || !index.is_empty(),
            "what was noted is not found: {subject:?}"
        );
        for text in &found {
            let read = HistoryLine::read(text).expect("a line");
            assert!(read.is_about(&subject));
            let _ = Sketch::read(read.sketch);
        }
    }
    let _ = history.lines_about(&HistoryKey::Id("id:2".to_owned()));
}

fn kept(bytes: &[u8]) {
    let list = KeptList::read(bytes);
    let waiting = u64::try_from(list.waiting().count()).expect("a number");
    assert_eq!(list.count_by_reason().iter().map(|(_, count, _)| count).sum::<u64>(), waiting);
    for now in [i64::MIN, NOW, i64::MAX] {
        assert!(waiting > 0 || !list.is_due(now));
    }
}

fn sizes(bytes: &[u8]) {
    clear();
    let path = dir().join("Maildir");
    let maildir = Maildir::open_or_make(&path, rustix::process::geteuid().as_raw()).expect("a Maildir");
    fs::write(path.join("maildirsize"), bytes).expect("a file");
    let _ = size_file::limit_at(&path);
    let _ = size_file::add_size(&maildir, -5, -1);
    if let Ok(Some(file)) = size_file::read_size_file(&maildir) {
        let _ = file.usage();
    }
    let _ = size_file::count_again(&maildir);
}

/// A memory that does not fit the mailbox is none.
fn count(bytes: &[u8]) {
    clear();
    let mail = b"From s@s.test Mon Nov  2 10:00:00 2026\nSubject: 1\n\none\n\nFrom s@s.test Mon Nov  2 10:00:00 2026\nSubject: 2\n\ntwo\n\n";
    fs::write(mailbox(), mail).expect("a mailbox");
    let file = File::open(mailbox()).expect("the mailbox");
    let count = || count_messages(&file, &mailbox(), Some(dir()), &deadline()).expect("a count");
    assert_eq!(count(), 2);
    for entry in fs::read_dir(dir().join("tally")).expect("a memory").flatten() {
        fs::write(entry.path(), bytes).expect("a memory");
    }
    assert_eq!(count(), 2);
}
