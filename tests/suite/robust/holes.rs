//! Mailboxes whose length costs their owner nothing: `truncate -s 15T`. Whoever looks at all mailboxes goes on to the
//! next, and copies nothing of them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::support::{ORDINARY, Scratch, contains, has_attributes, is_root, skip, user_name};

const LONG: u64 = 15 << 40;
const ONE: &[u8] = b"From s@s.test Mon Nov  2 10:00:00 2026\nSubject: 1\n\none\n\n";

/// A mailbox with a message, and a hole behind it; none where the file system takes no such file.
fn scratch(length: u64) -> Option<Scratch> {
    let scratch = Scratch::new().set("mailbox.min_free", "\"none\"");
    fs::write(scratch.mailbox(), ONE).unwrap();
    let file = File::options().write(true).open(scratch.mailbox()).unwrap();
    if file.set_len(length).is_err() {
        skip("the file system has no files of this length");
        return None;
    }
    Some(scratch)
}

#[test]
fn a_list_passes_over_holes_and_names_them() {
    let Some(scratch) = scratch(LONG) else { return };
    fs::write(scratch.path("spool/zoe"), ONE).unwrap();
    let ended = scratch.run(&["spool", "list"]).go();
    ended.ends_with(1);
    ended.check(contains(&ended.stdout, b"are holes"), "the holes are not named");
    if is_root() {
        ended.check(contains(&ended.stdout, b"zoe"), "the other mailbox is missing");
    }
}

#[test]
fn a_delivery_counts_without_reading_holes() {
    let Some(scratch) = scratch(LONG) else { return };
    let scratch = scratch.set("quota.messages", "2");
    scratch.deliver(ORDINARY).go().succeeds();
    let file = File::open(scratch.mailbox()).unwrap();
    let mut added = vec![0; 4096];
    let read = file.read_at(&mut added, LONG).unwrap();
    assert!(contains(&added[..read], b"Hello."));
    scratch.deliver(ORDINARY).go().defers().mentions("2 messages");
}

#[test]
fn what_would_copy_holes_refuses_them() {
    let Some(scratch) = scratch(LONG) else { return };
    let user = user_name();
    let archives = scratch.path("archives").display().to_string();
    let old = scratch.path("old");
    fs::write(&old, ONE).unwrap();
    File::options().write(true).open(&old).unwrap().set_len(LONG).unwrap();
    let old = old.display().to_string();
    for arguments in [
        &["spool", "archive", "--yes", "--all-mail", &user, "--to", &archives] as &[&str],
        &[
            "spool",
            "archive",
            "--yes",
            "--older-than",
            "1d",
            &user,
            "--to",
            &archives,
        ],
        &["spool", "sweep", &user, "--to", &archives],
        &["replay", &old],
    ] {
        let ended = scratch.run(arguments).go();
        ended.check(ended.code != Some(0), "it was taken");
        ended.mentions("are holes");
        assert_eq!(fs::metadata(scratch.mailbox()).unwrap().len(), LONG);
    }
    assert!(scratch.files("archives").is_empty());
}

/// What a user writes to hold up whoever puts the mailbox in order: a note about a message as long as the hole.
#[test]
fn a_note_about_a_hole_holds_up_nobody() {
    let Some(scratch) = scratch(LONG) else { return };
    if !has_attributes(&scratch.mailbox()) {
        return skip("no extended attributes here");
    }
    let sum = |bytes: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
    };
    let line = ONE.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    // It ends where the mailbox ends, or is one that is torn there.
    for (number, length) in [LONG, LONG + 1].into_iter().enumerate() {
        let text = format!("00000000 0 {length:x} {:08x} 00000000 {:x}", sum(line), now - 4000);
        let value = format!("{text} {:04x}", sum(text.as_bytes()) & 0xffff);
        let name = format!("user.spoolguard.999999999.{number}");
        rustix::fs::setxattr(
            scratch.mailbox(),
            name,
            value.as_bytes(),
            rustix::fs::XattrFlags::CREATE,
        )
        .unwrap();
    }
    scratch.deliver(ORDINARY).go().succeeds();
}
