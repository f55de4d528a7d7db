//! State and archives in directories that others may write to: nothing there is believed, nothing is put there, and
//! mail goes on.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::support::{ORDINARY, Scratch, contains, is_root, messages, only, same, shown, user_name};

/// Nobody's number.
const OTHER: u32 = 61_302;

/// Ways in which a directory can be others', too, and what is said of it; the last only root can make.
const WAYS: [(u32, Option<u32>, &str); 4] = [
    (0o777, None, "others may write to it"),
    (0o770, None, "others may write to it"),
    (0o1777, None, "others may write to it"),
    (0o755, Some(OTHER), "it belongs to uid 61302"),
];

/// Makes the directory others', too, in each of the ways in turn, and says why it is not trusted.
fn shared(dir: &Path, mut then: impl FnMut(&str)) {
    let _ = fs::create_dir(dir);
    for (mode, owner, why) in WAYS {
        if owner.is_none() || is_root() {
            fs::set_permissions(dir, Permissions::from_mode(mode)).unwrap();
            chown(dir, owner, None).unwrap();
            then(why);
        }
    }
}

#[test]
fn a_state_directory_that_others_may_write_to_goes_unused() {
    let scratch = Scratch::new()
        .set("log.to", "\"stderr\"")
        .set("quota.messages", "1000")
        .set("quota.limit", "\"600B\"")
        .set("quota.warn", "\"1%\"");
    let state = scratch.path("state");
    shared(&state, |why| {
        let ended = scratch.forward(ORDINARY, &["b@b.test"]).go();
        ended.ends_with(0).mentions(why);
        ended.check(ended.stderr.matches(why).count() == 1, "said more than once");
        // With its memory it would be kept the second time.
        let before = scratch.sent().len();
        scratch.forward(ORDINARY, &["b@b.test"]).go().ends_with(0);
        assert_eq!(scratch.sent().len(), before + 1);
        let ended = scratch.deliver(ORDINARY).go();
        ended.ends_with(0).mentions(why);
        same(only(&scratch.mail()), ORDINARY);
        assert!(scratch.files("state").is_empty(), "{:?}", scratch.files("state"));
        fs::remove_file(scratch.mailbox()).unwrap();
        let ended = scratch.run(&["status"]).go();
        ended.ends_with(1);
        ended.check(contains(&ended.stdout, why.as_bytes()), "status does not say so");
        let ended = scratch.run(&["status", "--suspend", "b@b.test"]).go();
        ended.ends_with(75).mentions(why);
    });
    // The user's alone again, it is used.
    if is_root() {
        chown(&state, Some(0), None).unwrap();
    }
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    scratch.forward(ORDINARY, &["b@b.test"]).go().ends_with(0);
    assert!(!scratch.files("state").is_empty());
}

#[test]
fn what_has_no_state_to_be_held_in_is_kept_in_the_mailbox() {
    let scratch = Scratch::new().set("admin", "\"admin@a.test\"");
    shared(&scratch.path("state"), |_| {
        scratch.deliver(b"X-Loop: a@a.test\nSubject: x\n\nx\n").go().succeeds();
        let mail = scratch.mail();
        assert!(contains(only(&mail), b"X-Spoolguard-Kept: "), "{}", shown(&mail));
        assert!(scratch.sent().is_empty() && scratch.files("state").is_empty());
        fs::remove_file(scratch.mailbox()).unwrap();
    });
}

#[test]
fn no_overflow_is_written_where_others_may_write() {
    let scratch = Scratch::new()
        .set("quota.limit", "\"10B\"")
        .set("quota.when_full", "\"overflow\"");
    shared(&scratch.path("state"), |_| {
        scratch.deliver(ORDINARY).go().defers();
        assert!(scratch.mail().is_empty() && scratch.files("state").is_empty());
    });
}

#[test]
fn no_archive_is_put_where_others_may_write() {
    let mut scratch = Scratch::new();
    let archives = scratch.path("archives");
    scratch.change("archive.dir", &format!("{:?}", archives.display().to_string()));
    scratch.deliver(ORDINARY).go().succeeds();
    let before = scratch.mail();
    shared(&archives, |why| {
        let ended = scratch
            .run(&["spool", "archive", "--yes", &user_name(), "--all-mail", "--to"])
            .with(&[archives.to_str().unwrap()])
            .go();
        ended.ends_with(1).mentions(why).mentions("--to");
        same(&scratch.mail(), &before);
        assert!(scratch.files("archives").is_empty());
        if !is_root() {
            // Where it is only configured, a user has one of their own.
            scratch
                .run(&["spool", "archive", "--yes", &user_name(), "--all-mail"])
                .go()
                .ends_with(0);
            assert!(scratch.files("archives").is_empty() && scratch.files("state/archive").len() == 1);
            fs::write(scratch.mailbox(), &before).unwrap();
            fs::remove_dir_all(scratch.path("state/archive")).unwrap();
        }
    });
    assert_eq!(messages(&before).len(), 1);
}
