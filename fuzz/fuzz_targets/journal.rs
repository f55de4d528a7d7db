//! A journal of an expunge beside any mailbox, whole or damaged: opening the mailbox never panics, says the same when
//! it is opened again, and a journal that is damaged costs no byte of the mailbox and is never deleted.
#![no_main]

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;

use libfuzzer_sys::fuzz_target;
use spoolguard::mailbox::append::append;
use spoolguard::mailbox::expunge::journal::{RecordHeader, Undo};
use spoolguard::mailbox::expunge::journal_draft::JournalDraft;
use spoolguard::mailbox::expunge::place::place_beside;
use spoolguard_fuzz::{Input, clear, dir, entry, mailbox, open};

fuzz_target!(|input: &[u8]| {
    clear();
    let mut input = Input(input);
    let (from, until, flags, damages) = (input.number(), input.number(), input.byte(), input.byte() % 8);
    let damages: Vec<_> = (0..damages).map(|_| (input.number(), input.byte())).collect();
    let (old, content) = (input.bytes(), input.0);
    fs::write(mailbox(), old).expect("a mailbox");
    let place = place_beside(&mailbox());
    let is_cut = flags & 1 != 0;
    if flags & 2 != 0 {
        // Not even a journal.
        fs::write(&place, content).expect("a file");
    } else {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let mut draft = JournalDraft::begin(&place, uid, gid).expect("a journal");
        draft.write_all(content).expect("its content");
        let head = RecordHeader {
            from,
            until,
            before: [flags; 32],
            undo: if flags & 4 != 0 {
                Undo::Possible
            } else {
                Undo::Impossible
            },
            times: (0, 0),
            archive: "archive".to_owned(),
        };
        let mut journal = draft.commit(head).expect("a journal");
        if is_cut {
            journal.mark_truncated().expect("a mark");
        }
    }
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(&place)
        .expect("the journal");
    let length = file.metadata().expect("its length").len();
    for (at, bits) in &damages {
        let mut byte = [0];
        if *at < length && file.read_exact_at(&mut byte, *at).is_ok() {
            file.write_all_at(&[byte[0] ^ bits], *at).expect("its damage");
        }
    }
    if flags & 8 != 0 {
        file.set_len(from.min(length)).expect("its end");
    }
    drop(file);
    let left = fs::read(&place).expect("the journal");
    let Ok(opened) = open() else {
        assert!(
            place.exists() || aside().is_some(),
            "a journal is gone, and nothing was done by it"
        );
        return;
    };
    drop(opened);
    let new = fs::read(mailbox()).expect("the mailbox");
    if let Some(aside) = aside() {
        assert!(new.starts_with(old), "a damaged journal took mail");
        assert_eq!(aside.len(), left.len(), "a damaged journal is not kept as it was");
    } else {
        assert!(!place.exists() || left.is_empty(), "a journal was not acted by");
    }
    let is_whole = damages.iter().all(|(_, bits)| *bits == 0) && flags & (2 | 8) == 0;
    // Where no line ends there, the mailbox was rewritten: what is in it already does not come again.
    let is_place = old.is_empty() || old.ends_with(b"\n");
    if is_whole && is_cut && is_place && old.len() as u64 == from && from < until {
        assert!(
            new.starts_with(old) && new.ends_with(content),
            "what a whole journal holds is not there"
        );
    }
    drop(open().expect("it was opened before"));
    assert!(
        fs::read(mailbox()).expect("the mailbox") == new,
        "it is not put in order at once"
    );
    let mut opened = open().expect("it was opened before");
    let letter = b"Subject: next\n\nnext\n";
    let appended = append(&mut opened, entry(letter)).expect("a delivery");
    drop((opened, appended));
    let all = fs::read(mailbox()).expect("the mailbox");
    assert!(all.starts_with(&new) && all.ends_with(b"Subject: next\n\nnext\n\n"));
});

/// What was set aside.
fn aside() -> Option<Vec<u8>> {
    let entries = fs::read_dir(dir()).expect("the directory").flatten();
    let mut paths = entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains(".bad"));
    fs::read(paths.next()?).ok()
}
