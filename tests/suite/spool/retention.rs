//! How many archives of a user stay: `keep`, `max_age`, `max_total`.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Scratch, contains, user_name};

const ONE: &[u8] = b"From s@s.test Mon Nov  2 10:00:00 2026\nSubject: 1\n\none\n\n";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let dir = scratch.path("archives");
    fs::create_dir(&dir).unwrap();
    fs::write(scratch.mailbox(), ONE).unwrap();
    scratch.set("archive.dir", &format!("{:?}", dir.display().to_string()))
}

#[test]
fn the_oldest_archives_of_this_user_go_and_nothing_else() {
    let user = user_name();
    let own = |month: u8| format!("{user}-20200{month}01T000000Z.tar.gz");
    for (key, value, left) in [
        ("archive.keep", "3", vec![2, 3]),
        ("archive.keep", "0", vec![1, 2, 3]),
        ("archive.keep", "1", vec![]),
        ("archive.max_total", "\"300\"", vec![3]),
        ("archive.max_age", "\"3650d\"", vec![1, 2, 3]),
        ("archive.max_age", "\"1d\"", vec![]),
    ] {
        let scratch = scratch().set(key, value);
        let others = [
            format!("{user}x-20200101T000000Z.tar.gz"),
            format!("{user}-x-20200101T000000Z.tar.gz"),
            format!("{user}_old-20200101.tar.gz"),
            format!("{user}-20200199T000000Z.tar.gz"),
            format!("{user}-20200101T000000Z.tar.gz.bak"),
        ];
        for name in others.iter().cloned().chain([1, 2, 3].map(own)) {
            fs::write(scratch.path("archives").join(name), [0; 100]).unwrap();
        }
        symlink(
            "/etc/passwd",
            scratch.path("archives").join(format!("{user}-19990101T000000Z.gz")),
        )
        .unwrap();
        let ended = scratch.run(&["spool", "archive", "--all-mail", &user]).go();
        ended.ends_with(0);
        let files = scratch.files("archives");
        for name in &others {
            ended.check(files.contains(&scratch.path("archives").join(name)), name);
        }
        let stays: Vec<u8> = (1..=3)
            .filter(|month| files.contains(&scratch.path("archives").join(own(*month))))
            .collect();
        ended.check(stays == left, &format!("{key} = {value}: {stays:?} stay"));
        for month in (1..=3).filter(|month| !left.contains(month)) {
            ended.check(contains(&ended.stdout, own(month).as_bytes()), "what went is not named");
        }
        // The new one, the link, the others.
        ended.check(files.len() == 2 + others.len() + left.len(), &format!("{files:?}"));
        ended.check(scratch.mail().is_empty(), "the mail is still there");
    }
}

#[test]
fn young_archives_stay_however_many_they_are() {
    let user = user_name();
    let scratch = scratch().set("archive.max_total", "\"1\"").set("archive.keep", "1");
    for count in 1..=3 {
        fs::write(scratch.mailbox(), ONE).unwrap();
        scratch
            .run(&["spool", "archive", "--all-mail", &user])
            .go()
            .ends_with(0);
        assert_eq!(scratch.files("archives").len(), count);
    }
}

#[test]
fn the_one_just_made_stays_however_little_may_be_kept() {
    let user = user_name();
    let scratch = scratch()
        .set("archive.max_total", "\"1\"")
        .set("archive.min_age", "\"none\"")
        .set("archive.keep", "1");
    for _ in 0..3 {
        fs::write(scratch.mailbox(), ONE).unwrap();
        scratch
            .run(&["spool", "archive", "--all-mail", &user])
            .go()
            .ends_with(0);
        let files = scratch.files("archives");
        assert_eq!(files.len(), 1, "{files:?}");
        let back = scratch.path("back");
        let (archive, mbox) = (files[0].to_str().unwrap(), back.to_str().unwrap());
        scratch
            .run(&["spool", "restore", archive, "--mailbox", mbox])
            .go()
            .ends_with(0);
        assert_eq!(fs::read(&back).unwrap(), ONE);
    }
}

#[test]
fn a_directory_that_is_named_by_hand_is_not_tidied() {
    let user = user_name();
    let scratch = scratch().set("archive.keep", "1");
    let to = scratch.path("elsewhere");
    fs::create_dir(&to).unwrap();
    fs::write(to.join(format!("{user}-20200101T000000Z.gz")), b"x").unwrap();
    let arguments = ["spool", "archive", "--all-mail", &user, "--to", to.to_str().unwrap()];
    scratch.run(&arguments).go().ends_with(0);
    assert_eq!(scratch.files("elsewhere").len(), 2);
    assert!(scratch.files("archives").is_empty());
}
