//! The quota: what fits, what happens to what does not, and what the user is told.

use std::fs;
use std::io::Write;
use std::time::{Duration, SystemTime};

use nix::unistd::{Gid, Group, User};

use crate::support::{ORDINARY, Scratch, below, contains, large, messages, only, same, shown, skip, user_name};

/// A mailbox with this many bytes of mail in it.
fn with_mail(scratch: Scratch, body_bytes: usize) -> Scratch {
    let mail = [
        b"From x Mon Nov  2 10:00:00 2026\nSubject: old\n\n" as &[u8],
        &vec![b'x'; body_bytes],
        b"\n\n",
    ]
    .concat();
    fs::write(scratch.mailbox(), mail).unwrap();
    scratch
}

const SEPARATOR: &str = "From s@s.test Mon Nov  2 10:00:00 2026\n";

#[test]
fn over_quota_defers_and_leaves_mailbox_unchanged() {
    let scratch = with_mail(Scratch::new().set("quota.limit", "\"10K\""), 10_200);
    let before = scratch.mail();
    let ended = scratch.deliver(ORDINARY).go();
    ended
        .defers()
        .mentions("4.2.2 ")
        .mentions("over quota (10.0 KiB)")
        .mentions("the mailbox is full");
    same(&scratch.mail(), &before);
    assert!(!scratch.dotlock().exists());
    fs::write(scratch.mailbox(), "").unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
}

#[test]
fn over_quota_refuses_only_where_configuration_says_so() {
    let scratch = with_mail(
        Scratch::new()
            .set("quota.limit", "\"1K\"")
            .set("quota.when_full", "\"refuse\""),
        1000,
    );
    let before = scratch.mail();
    scratch.deliver(ORDINARY).go().refuses().mentions("5.2.2 ");
    same(&scratch.mail(), &before);
}

#[test]
fn over_quota_never_refuses_the_null_sender() {
    let scratch = with_mail(
        Scratch::new()
            .set("quota.limit", "\"1K\"")
            .set("quota.when_full", "\"refuse\"")
            .set("guard.null_sender", "\"pass\""),
        1000,
    );
    scratch.run(&["deliver", "-f", "<>"]).input(ORDINARY).go().defers();
}

#[test]
fn over_quota_diverts_with_the_reason() {
    let scratch = with_mail(
        Scratch::new()
            .set("quota.limit", "\"1K\"")
            .set("quota.when_full", "\"divert\""),
        1000,
    );
    let before = scratch.mail();
    scratch.deliver(ORDINARY).go().succeeds();
    same(&scratch.mail(), &before);
    let admin = scratch.diverted();
    let got = only(&admin);
    assert!(contains(got, b"why=over-quota"), "{}", shown(got));
    same(below(got, 2), ORDINARY);
}

#[test]
fn over_quota_with_nobody_to_divert_to_defers() {
    let mut scratch = with_mail(
        Scratch::new()
            .set("quota.limit", "\"1K\"")
            .set("quota.when_full", "\"divert\""),
        1000,
    );
    let before = scratch.mail();
    let nowhere = scratch.path("home").display().to_string();
    scratch.change("admin", &format!("{nowhere:?}"));
    scratch.deliver(ORDINARY).go().defers();
    // A loop that can be neither diverted nor kept: put off, it would come round again.
    scratch.deliver(b"X-Loop: a@a.test\n\nx\n").go().succeeds();
    assert_eq!(messages(&fs::read(scratch.path("state/overflow")).unwrap()).len(), 1);
    same(&scratch.mail(), &before);
}

#[test]
fn over_quota_goes_into_the_overflow() {
    let scratch = with_mail(
        Scratch::new()
            .set("quota.limit", "\"1K\"")
            .set("quota.when_full", "\"overflow\""),
        1000,
    );
    let before = scratch.mail();
    for text in [ORDINARY, &large(10)] {
        scratch.deliver(text).go().succeeds();
    }
    // What was there stays, and the notice follows.
    assert!(scratch.mail().starts_with(&before));
    let overflow = fs::read(scratch.path("state/overflow")).unwrap();
    assert_eq!(messages(&overflow).len(), 2);
}

#[test]
fn what_was_diverted_and_finds_no_room_is_not_diverted_again() {
    let scratch = with_mail(
        Scratch::new()
            .set("quota.limit", "\"1K\"")
            .set("quota.when_full", "\"divert\""),
        1000,
    );
    scratch
        .deliver(b"X-Spoolguard-Divert: verdict=bounce\nSubject: x\n\nx\n")
        .go()
        .succeeds();
    assert!(scratch.diverted().is_empty());
    assert_eq!(messages(&fs::read(scratch.path("state/overflow")).unwrap()).len(), 1);
}

#[test]
fn a_report_that_finds_no_room_neither_goes_back_nor_waits() {
    for over in ["\"refuse\"", "\"defer\""] {
        let scratch = with_mail(
            Scratch::new().set("quota.limit", "\"1K\"").set("quota.when_full", over),
            1000,
        );
        let before = scratch.mail();
        scratch
            .deliver(b"X-Spoolguard-Divert: verdict=bounce\nSubject: x\n\nx\n")
            .go()
            .succeeds();
        assert_eq!(messages(&fs::read(scratch.path("state/overflow")).unwrap()).len(), 1);
        same(&scratch.mail(), &before);
    }
}

#[test]
fn a_message_fits_up_to_the_limit_and_not_beyond() {
    // What it takes beside the message: a separator line and an empty line.
    const ENVELOPE: u64 = 64;
    let grown = {
        let scratch = with_mail(Scratch::new(), 500);
        scratch.deliver(ORDINARY).go().succeeds();
        scratch.mail().len() as u64
    };
    for (limit, fits) in [(grown + ENVELOPE, true), (grown - 1, false)] {
        let scratch = with_mail(
            Scratch::new()
                .set("quota.limit", &format!("\"{limit}B\""))
                .set("quota.warn", "\"none\""),
            500,
        );
        let ended = scratch.deliver(ORDINARY).go();
        if fits {
            ended.succeeds();
        } else {
            ended.defers();
        }
    }
}

#[test]
fn the_list_and_the_quota_count_the_same_messages() {
    let prose = "From here on it is prose.\n\n";
    let head = "From s@s.test 2026-11-02 10:00:00\nFrom: S <s@s.test>\nTo: a@a.test\nDate: x\nSubject: y\n\n";
    for (mail, messages) in [
        (format!("{SEPARATOR}A: 1\n\n{prose}{prose}"), 1),
        (format!("{SEPARATOR}A: 1\n\n{prose}{head}{prose}"), 2),
        (format!("{SEPARATOR}A: 1\n\nb\n\n").replace('\n', "\r\n").repeat(2), 2),
    ] {
        let scratch = Scratch::new().set("quota.messages", &(messages + 1).to_string());
        fs::write(scratch.mailbox(), &mail).unwrap();
        let listed = scratch.run(&["spool", "list", "--json"]).go();
        let line = String::from_utf8_lossy(&listed.stdout).into_owned();
        let line: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
        assert_eq!(line["messages"], messages, "{mail}");
        scratch.deliver(ORDINARY).go().succeeds();
        scratch.deliver(ORDINARY).go().defers().mentions("messages");
    }
}

#[test]
fn messages_are_counted_whoever_changes_the_mailbox() {
    let scratch = Scratch::new().set("quota.messages", "3");
    for _ in 0..3 {
        scratch.deliver(ORDINARY).go().succeeds();
    }
    let full = scratch.mail();
    scratch.deliver(ORDINARY).go().defers().mentions("3 messages");
    same(&scratch.mail(), &full);

    // Expunged: written anew as another file, and in place.
    let one = messages(&full)[0].to_vec();
    let other = scratch.path("spool/new");
    fs::write(&other, &one).unwrap();
    fs::rename(&other, scratch.mailbox()).unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    fs::write(scratch.mailbox(), &one).unwrap();
    scratch.deliver(ORDINARY).go().succeeds();

    // Another program appended one.
    let mut mailbox = fs::File::options().append(true).open(scratch.mailbox()).unwrap();
    mailbox.write_all(&one).unwrap();
    drop(mailbox);
    scratch.deliver(ORDINARY).go().defers();

    // Rewritten in place, as a reader does that marks what was read: one message less, and no fewer bytes.
    let mail = scratch.mail();
    let all = messages(&mail);
    assert_eq!(all.len(), 3);
    let marked = |message: &[u8]| {
        let (line, rest) = message.split_at(message.len() - below(message, 1).len());
        [
            line,
            format!("Status: RO\nX-Filler: {}\n", "x".repeat(100)).as_bytes(),
            rest,
        ]
        .concat()
    };
    fs::write(scratch.mailbox(), [marked(all[0]), marked(all[2])].concat()).unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(messages(&scratch.mail()).len(), 3);
    scratch.deliver(ORDINARY).go().defers();

    // Emptied.
    fs::write(scratch.mailbox(), "").unwrap();
    for _ in 0..3 {
        scratch.deliver(ORDINARY).go().succeeds();
    }
    scratch.deliver(ORDINARY).go().defers();
}

#[test]
fn messages_are_counted_without_a_memory_that_can_be_used() {
    let scratch = Scratch::new().set("quota.messages", "2");
    let tally = scratch.path("state/tally");
    fs::write(&tally, "not a directory").unwrap();
    for _ in 0..2 {
        scratch.deliver(ORDINARY).go().succeeds();
    }
    scratch.deliver(ORDINARY).go().defers();
    fs::remove_file(&tally).unwrap();
    fs::create_dir(&tally).unwrap();
    scratch.deliver(ORDINARY).go().defers();
    // A damaged memory is none.
    fs::write(scratch.mailbox(), "").unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    for file in scratch.files("state/tally") {
        fs::write(file, "1 2 three").unwrap();
    }
    scratch.deliver(ORDINARY).go().succeeds();
    scratch.deliver(ORDINARY).go().defers();
}

#[test]
fn quoted_separators_and_text_are_not_counted() {
    let scratch = Scratch::new().set("quota.messages", "2");
    scratch
        .deliver(b"A: 1\n\nx\n\nFrom y\n\nFrom z\n\n>From a\n")
        .go()
        .succeeds();
    scratch.deliver(ORDINARY).go().succeeds();
    scratch.deliver(ORDINARY).go().defers();
}

#[test]
fn a_users_limit_wins_over_groups_and_theirs_over_the_general() {
    let user = user_name();
    let group = Group::from_gid(Gid::current()).ok().flatten();
    let (Some(group), true) = (group, User::from_name(&user).is_ok_and(|user| user.is_some())) else {
        return skip("whoever runs this has no name, or no group that has one");
    };
    let users = format!("quota.users.{user:?}");
    let groups = format!("quota.groups.{:?}", group.name);
    let cases: [(&[(&str, &str)], bool); 9] = [
        (&[("quota.limit", "\"1K\"")], false),
        (&[("quota.limit", "\"1K\""), (&users, "\"1M\"")], true),
        (&[("quota.limit", "\"1K\""), (&users, "\"none\"")], true),
        (&[("quota.limit", "\"1K\""), (&groups, "\"1M\"")], true),
        (&[("quota.limit", "\"1M\""), (&groups, "\"1K\"")], false),
        (
            &[("quota.limit", "\"1M\""), (&groups, "\"1M\""), (&users, "\"1K\"")],
            false,
        ),
        (
            &[("quota.limit", "\"1K\""), ("quota.users.somebody-else", "\"1M\"")],
            false,
        ),
        (&[("quota.messages", "1"), (&users, "{ messages = 0 }")], true),
        (&[("quota.limit", "\"none\""), ("quota.messages", "0")], true),
    ];
    for (keys, fits) in cases {
        let mut scratch = with_mail(Scratch::new(), 1000);
        for (key, value) in keys {
            scratch.change(key, value);
        }
        let ended = scratch.deliver(ORDINARY).go();
        ended.check((ended.code == Some(0)) == fits, &format!("{keys:?} decide otherwise"));
    }
}

#[test]
fn the_user_is_warned_once_a_day_and_told_when_it_is_over() {
    let scratch = with_mail(Scratch::new().set("quota.limit", "\"100K\""), 79_000);
    let subjects = |scratch: &Scratch| -> Vec<String> {
        String::from_utf8_lossy(&scratch.mail())
            .lines()
            .filter(|line| line.starts_with("Subject: Your mailbox"))
            .map(str::to_owned)
            .collect()
    };
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(subjects(&scratch), [""; 0]);
    scratch.deliver(&large(4000)).go().succeeds();
    assert_eq!(subjects(&scratch).len(), 1);
    let mail = scratch.mail();
    let notice = messages(&mail).pop().unwrap();
    for part in [
        "From MAILER-DAEMON ",
        "Auto-Submitted: auto-generated",
        "\nTo: <a@a.test>",
        "80%",
        "80 %",
    ] {
        let whole = String::from_utf8_lossy(notice);
        assert!(
            whole.contains(part) || part.starts_with("80"),
            "{part} is missing in {whole}"
        );
    }
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(subjects(&scratch).len(), 1, "within the day");

    // A day and an hour later.
    let note = scratch.files("state/quota-warned").pop().unwrap();
    let yesterday = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    fs::File::options()
        .write(true)
        .open(note)
        .unwrap()
        .set_modified(yesterday)
        .unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(subjects(&scratch).len(), 2);

    fs::write(scratch.mailbox(), "").unwrap();
    for _ in 0..2 {
        scratch.deliver(ORDINARY).go().succeeds();
    }
    let told = subjects(&scratch);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("room again"), "{told:?}");
}

#[test]
fn a_warning_counts_as_a_message() {
    let scratch = with_mail(
        Scratch::new()
            .set("quota.limit", "\"10K\"")
            .set("quota.messages", "4")
            .set("quota.warn", "\"50%\""),
        6000,
    );
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(messages(&scratch.mail()).len(), 3);
    scratch.deliver(ORDINARY).go().succeeds();
    scratch.deliver(ORDINARY).go().defers();
    assert_eq!(messages(&scratch.mail()).len(), 4);
}

#[test]
fn space_is_left_for_others() {
    let scratch = Scratch::new().set("mailbox.min_free", "\"1000T\"");
    scratch
        .deliver(ORDINARY)
        .go()
        .defers()
        .mentions("4.3.1 ")
        .mentions("min_free");
    assert!(scratch.mail().is_empty());
    scratch.deliver(b"X-Loop: a@a.test\n\nx\n").go().defers();
    assert!(scratch.diverted().is_empty() && scratch.mail().is_empty());
}

#[test]
fn a_full_mailbox_holds_back_a_copy_and_with_it_the_forward() {
    let mut scratch = with_mail(Scratch::new().set("quota.limit", "\"1K\""), 1000);
    scratch.sendmail("exit 0");
    scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().defers();
    assert!(scratch.calls().is_empty());
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    assert_eq!(scratch.calls().len(), 1, "what only passes needs no room");
}

#[test]
fn a_copy_overflows_only_when_the_message_is_sent() {
    let mut scratch = Scratch::new()
        .set("quota.limit", "\"10B\"")
        .set("quota.when_full", "\"overflow\"");
    scratch.sendmail("exit 75");
    for _ in 0..3 {
        scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().defers();
    }
    assert!(!scratch.path("state/overflow").exists(), "each try leaves a copy");
    scratch.sendmail("exit 0");
    scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().succeeds();
    assert_eq!(messages(&fs::read(scratch.path("state/overflow")).unwrap()).len(), 1);
}

#[test]
fn a_message_that_fills_the_mailbox_to_the_byte_fits() {
    let empty = Scratch::new();
    empty.deliver(ORDINARY).go().succeeds();
    let bytes = empty.mail().len();
    let exact = Scratch::new().set("quota.limit", &format!("\"{bytes}B\""));
    exact.deliver(ORDINARY).go().succeeds();
    let short = Scratch::new().set("quota.limit", &format!("\"{}B\"", bytes - 1));
    short.deliver(ORDINARY).go().defers();
}
