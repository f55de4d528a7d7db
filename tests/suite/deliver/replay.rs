//! `replay`: stored mail through the guard. What IMAP servers keep for themselves in a mailbox is no mail, and stays
//! there.

use std::fs;

use crate::support::{Scratch, messages};

const INTERNAL: &str = "From MAILER-DAEMON Mon Nov  2 10:00:00 2026\n\
    From: Mail System Internal Data <MAILER-DAEMON>\n\
    Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\
    X-IMAP: 1162000000 0000000002\nStatus: RO\n\n\
    This text is part of the internal format of your mail folder, and is not\na real message.\n\n";

#[test]
fn folder_internal_data_is_not_replayed() {
    let scratch = Scratch::new();
    let stored = scratch.path("stored");
    let mail = "From x@x.test Mon Nov  2 10:00:00 2026\nFrom: x@x.test\nSubject: mail\n\nHello.\n\n";
    // Also where two mailboxes were put together.
    fs::write(&stored, format!("{INTERNAL}{mail}{INTERNAL}{mail}")).unwrap();
    let ended = scratch
        .run(&["replay", stored.to_str().unwrap(), "-a", "a@a.test"])
        .go();
    ended.ends_with(0);
    let shown = String::from_utf8_lossy(&ended.stdout);
    assert!(shown.contains("2 no mail (FOLDER INTERNAL DATA)"), "{shown}");
    assert_eq!(messages(&scratch.mail()).len(), 2);
    assert!(scratch.submitted().is_empty());
}
