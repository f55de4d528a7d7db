//! How many archives of a user stay: `keep`, `max_age`, `max_total`.

use std::fs;
use std::os::unix::fs::symlink;

use time::{Duration, OffsetDateTime};

use crate::support::{Ended, Scratch, contains, until, user_name};

const ONE: &[u8] = b"From s@s.test Mon Nov  2 10:00:00 2026\nSubject: 1\n\none\n\n";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let dir = scratch.path("archives");
    fs::create_dir(&dir).unwrap();
    fs::write(scratch.mailbox(), ONE).unwrap();
    scratch.set("archive.dir", &format!("{:?}", dir.display().to_string()))
}

/// Archives that somebody made since a week: the clock goes on as it did.
fn week(scratch: &Scratch) {
    for days in [1, 8] {
        let date = OffsetDateTime::now_utc() - Duration::days(days);
        let name = format!("another-{}.tar.gz", stamp(date));
        fs::write(scratch.path("archives").join(name), [0; 100]).unwrap();
    }
}

fn stamp(date: OffsetDateTime) -> String {
    let (year, month, day) = date.to_calendar_date();
    format!("{year:04}{:02}{day:02}T000000Z", u8::from(month))
}

#[test]
fn nothing_is_removed_unless_somebody_said_so() {
    let user = user_name();
    let scratch = scratch();
    let old: Vec<String> = (1..=30)
        .map(|day| format!("{user}-202001{day:02}T000000Z.tar.gz"))
        .collect();
    for name in &old {
        fs::write(scratch.path("archives").join(name), [0; 100]).unwrap();
    }
    let archive = || scratch.run(&["spool", "archive", "--yes", "--all-mail", &user]).go();
    for more in 1..=2 {
        fs::write(scratch.mailbox(), ONE).unwrap();
        archive().ends_with(0);
        assert_eq!(scratch.files("archives").len(), old.len() + more);
    }
}

#[test]
fn runs_of_the_week_of_a_clock_jump_remove_nothing() {
    let user = user_name();
    for key in ["archive.max_age", "archive.keep"] {
        let value = if key == "archive.keep" { "2" } else { "\"365d\"" };
        let scratch = scratch().set(key, value);
        // Every night, long ago: the clock has jumped since, or nobody was here.
        for day in 1..=9 {
            let name = format!("{user}-2020010{day}T000000Z.tar.gz");
            fs::write(scratch.path("archives").join(name), [0; 100]).unwrap();
        }
        let run = |count: usize| {
            fs::write(scratch.mailbox(), ONE).unwrap();
            let ended = scratch.run(&["spool", "archive", "--yes", "--all-mail", &user]).go();
            ended.ends_with(0);
            ended.check(
                scratch.files("archives").len() == count,
                &format!("{key}: {:?}", scratch.files("archives")),
            );
            ended
        };
        run(10).mentions("the clock may be ahead").mentions("20200109T000000Z");
        // The next run finds an archive of the time that the clock says: made by the same clock.
        wait_a_second();
        run(11).mentions("the clock may be ahead");
        // And a week of them.
        for days in 1..=8 {
            let date = stamp(OffsetDateTime::now_utc() - Duration::days(days));
            fs::write(scratch.path("archives").join(format!("another-{date}.gz")), b"x").unwrap();
        }
        wait_a_second();
        // The three of this user are young.
        run(8 + 3);
    }
}

#[test]
fn an_archive_from_the_future_keeps_all_others() {
    let user = user_name();
    let scratch = scratch().set("archive.keep", "1").set("archive.min_age", "\"none\"");
    for name in ["20200101T000000Z", "20990101T000000Z"] {
        fs::write(scratch.path("archives").join(format!("{user}-{name}.gz")), b"x").unwrap();
    }
    let ended = scratch.run(&["spool", "archive", "--yes", "--all-mail", &user]).go();
    ended.ends_with(0);
    ended.mentions("the clock may be behind");
    assert_eq!(scratch.files("archives").len(), 3);
}

#[test]
fn what_goes_is_said_before_it_goes() {
    let user = user_name();
    let scratch = scratch().set("archive.keep", "1");
    week(&scratch);
    let old = format!("{user}-20200101T000000Z.gz");
    fs::write(scratch.path("archives").join(&old), b"x").unwrap();
    let arguments = ["spool", "archive", "--yes", "--all-mail", &user];
    let ended = scratch.run(&arguments).with(&["--dry-run"]).go();
    ended.ends_with(0);
    let said = |ended: &Ended<'_>, words: &str| {
        ended.check(contains(&ended.stdout, words.as_bytes()), words);
        ended.check(contains(&ended.stdout, old.as_bytes()), &old);
    };
    said(&ended, "would remove");
    assert!(scratch.path("archives").join(&old).exists());
    let ended = scratch.run(&arguments).go();
    said(&ended, "removing");
    assert!(!scratch.path("archives").join(&old).exists());
}

/// The names of archives say the second.
fn wait_a_second() {
    let begun = OffsetDateTime::now_utc().unix_timestamp();
    until("a second is over", || {
        OffsetDateTime::now_utc().unix_timestamp() > begun
    });
}

#[test]
fn the_oldest_archives_of_this_user_go_and_nothing_else() {
    let user = user_name();
    let own = |month: u8| format!("{user}-20200{month}01T000000Z.tar.gz");
    for (key, value, left) in [
        ("archive.keep", "3", vec![2, 3]),
        ("archive.keep", "0", vec![1, 2, 3]),
        ("archive.keep", "1", vec![]),
        ("archive.max_total", "\"300B\"", vec![3]),
        ("archive.max_age", "\"3650d\"", vec![1, 2, 3]),
        ("archive.max_age", "\"1d\"", vec![]),
    ] {
        let scratch = scratch().set(key, value);
        week(&scratch);
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
        let ended = scratch.run(&["spool", "archive", "--yes", "--all-mail", &user]).go();
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
        // The new one, the link, the week's, the others.
        ended.check(files.len() == 4 + others.len() + left.len(), &format!("{files:?}"));
        ended.check(scratch.mail().is_empty(), "the mail is still there");
    }
}

#[test]
fn young_archives_stay_however_many_they_are() {
    let user = user_name();
    let scratch = scratch().set("archive.max_total", "\"1B\"").set("archive.keep", "1");
    for count in 1..=3 {
        fs::write(scratch.mailbox(), ONE).unwrap();
        scratch
            .run(&["spool", "archive", "--yes", "--all-mail", &user])
            .go()
            .ends_with(0);
        assert_eq!(scratch.files("archives").len(), count);
    }
}

#[test]
fn the_one_just_made_stays_however_little_may_be_kept() {
    let user = user_name();
    let scratch = scratch()
        .set("archive.max_total", "\"1B\"")
        .set("archive.min_age", "\"none\"")
        .set("archive.keep", "1");
    for _ in 0..3 {
        fs::write(scratch.mailbox(), ONE).unwrap();
        scratch
            .run(&["spool", "archive", "--yes", "--all-mail", &user])
            .go()
            .ends_with(0);
        let files = scratch.files("archives");
        assert_eq!(files.len(), 1, "{files:?}");
        let back = scratch.path("back");
        let (archive, mbox) = (files[0].to_str().unwrap(), back.to_str().unwrap());
        scratch
            .run(&["spool", "restore", "--yes", archive, "--mailbox", mbox])
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
    let arguments = [
        "spool",
        "archive",
        "--yes",
        "--all-mail",
        &user,
        "--to",
        to.to_str().unwrap(),
    ];
    scratch.run(&arguments).go().ends_with(0);
    assert_eq!(scratch.files("elsewhere").len(), 2);
    assert!(scratch.files("archives").is_empty());
}
