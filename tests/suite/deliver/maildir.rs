//! Delivering into a Maildir: where a message lies, what its name says, what counts, and what is refused.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::{ORDINARY, Scratch, contains, has_attributes, is_root, large, same, set_time, shown, skip};

const MAILDIR: &str = "home/Maildir";
const RETURN_PATH: &[u8] = b"Return-Path: <s@s.test>\n";

/// A scratch whose mail goes into a Maildir that is not there yet.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let location = format!("\"maildir:{}\"", scratch.path(MAILDIR).display());
    scratch.set("mailbox.location", &location)
}

fn with_parts(scratch: Scratch) -> Scratch {
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(scratch.path(MAILDIR).join(part)).unwrap();
    }
    scratch
}

/// The files in `new/` and `cur/`.
fn mail(scratch: &Scratch) -> Vec<PathBuf> {
    let mut files = scratch.files(&format!("{MAILDIR}/new"));
    files.extend(scratch.files(&format!("{MAILDIR}/cur")));
    files
}

#[track_caller]
fn only(scratch: &Scratch) -> PathBuf {
    let files = mail(scratch);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

fn size_file(scratch: &Scratch) -> PathBuf {
    scratch.path(MAILDIR).join("maildirsize")
}

/// The sums of `maildirsize`.
fn sums(scratch: &Scratch) -> (i64, i64) {
    let text = fs::read_to_string(size_file(scratch)).unwrap();
    let mut sums = (0, 0);
    for line in text.lines().skip(1) {
        let numbers: Vec<i64> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
        sums = (sums.0 + numbers[0], sums.1 + numbers[1]);
    }
    sums
}

fn set_age(path: &Path, age: Duration) {
    set_time(path, SystemTime::now() - age);
}

/// Checks that each name says how long its file is, with LF and with CRLF.
#[track_caller]
fn names_are_true(scratch: &Scratch) {
    for path in mail(scratch) {
        let text = fs::read(&path).unwrap();
        let ends = memchr::memchr_iter(b'\n', &text).count() - memchr::memmem::find_iter(&text, b"\r\n").count();
        let want = format!(",S={},W={}", text.len(), text.len() + ends);
        assert!(path.display().to_string().contains(&want), "{} {want}", path.display());
    }
}

#[test]
fn virtual_users_mail_is_their_service_users() {
    if !is_root() {
        return skip("needs root");
    }
    const NOBODY: u32 = 65534;
    let scratch = Scratch::new();
    let location = format!("\"maildir:{}/%d/%n\"", scratch.path("mail").display());
    let scratch = scratch
        .set("mailbox.location", &location)
        .set("mailbox.user", "\"nobody\"");
    scratch.open_to_all();
    for dir in ["mail", "mail/x.test", "mail/x.test/ann", "state"] {
        let path = scratch.path(dir);
        fs::create_dir_all(&path).unwrap();
        std::os::unix::fs::chown(&path, Some(NOBODY), None).unwrap();
    }
    let words = ["deliver", "-d", "ann@x.test", "-a", "ann@x.test", "-f", "s@s.test"];
    let deliver = || scratch.run(&words).input(ORDINARY);
    deliver().go().succeeds();
    let mail = scratch.files("mail/x.test/ann/new");
    assert_eq!(mail.len(), 1, "{mail:?}");
    assert_eq!(fs::metadata(&mail[0]).unwrap().uid(), NOBODY);
    deliver().uid(NOBODY).go().succeeds();
    // Whoever else starts it would put it where nobody looks.
    deliver().uid(1).go().defers().mentions("[mailbox] user is nobody");
    assert_eq!(scratch.files("mail/x.test/ann/new").len(), 2);
    let scratch = scratch.set("mailbox.user", "\"no-such-user\"");
    let deliver = || scratch.run(&words).input(ORDINARY);
    deliver().go().defers();
    deliver().uid(NOBODY).go().defers();
}

#[test]
fn a_message_lies_in_new_as_it_came_and_its_name_is_true() {
    for message in [
        ORDINARY,
        b"",
        b"Subject: x\r\n\r\nbody\r\nmixed\nends",
        b"From s@s.test Mon Nov  2 10:00:00 2026\nA: 1\nStatus: RO\n\nFrom here\n>From there\n.\n",
        &large(300_000),
        &large(1_300_000),
    ] {
        let scratch = scratch();
        scratch.deliver(message).go().succeeds();
        let text = fs::read(only(&scratch)).unwrap();
        let without_line = message
            .strip_prefix(b"From s@s.test Mon Nov  2 10:00:00 2026\n")
            .unwrap_or(message);
        assert!(text.starts_with(b"Return-Path: <s@s.test>"), "{}", shown(&text));
        assert!(text.ends_with(without_line), "{}", shown(&text));
        names_are_true(&scratch);
        assert!(scratch.files(&format!("{MAILDIR}/tmp")).is_empty());
    }
}

#[test]
fn what_is_made_is_for_the_owner_alone() {
    let scratch = scratch();
    scratch.deliver(ORDINARY).go().succeeds();
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
    for part in ["", "tmp", "new", "cur"] {
        assert_eq!(mode(&scratch.path(MAILDIR).join(part)), 0o700, "{part}");
    }
    assert_eq!(mode(&only(&scratch)), 0o600);
    assert!(!size_file(&scratch).exists());
}

#[test]
fn a_sender_that_is_named_already_is_not_named_again() {
    let scratch = scratch();
    let message = [RETURN_PATH, ORDINARY].concat();
    scratch.deliver(&message).go().succeeds();
    same(&fs::read(only(&scratch)).unwrap(), &message);
}

#[test]
fn a_mailbox_with_a_slash_at_its_end_is_a_maildir() {
    for kind in ["", "maildir:"] {
        let scratch = Scratch::new();
        let flag = format!("{kind}{}/", scratch.path(MAILDIR).display());
        scratch.deliver(ORDINARY).with(&["--mailbox", &flag]).go().succeeds();
        assert!(contains(&fs::read(only(&scratch)).unwrap(), ORDINARY));
        assert!(scratch.mail().is_empty());
    }
}

#[test]
fn a_maildir_that_lacks_a_part_defers_and_stays_so() {
    for there in [&["cur"][..], &["new"], &["new", "cur"], &["tmp", "cur"]] {
        let scratch = scratch();
        for part in there {
            fs::create_dir_all(scratch.path(MAILDIR).join(part)).unwrap();
        }
        scratch.deliver(ORDINARY).go().defers().mentions("it lacks");
        assert_eq!(scratch.files(MAILDIR).len(), there.len());
    }
    let scratch = with_parts(scratch());
    fs::remove_dir(scratch.path(MAILDIR).join("cur")).unwrap();
    fs::write(scratch.path(MAILDIR).join("new/1.M1P1.h"), ORDINARY).unwrap();
    scratch.deliver(ORDINARY).go().defers().mentions("it lacks cur");
}

#[test]
fn what_a_killed_run_began_to_make_is_made_whole() {
    for there in [&[][..], &["tmp"], &["tmp", "new"]] {
        let scratch = scratch();
        fs::create_dir(scratch.path(MAILDIR)).unwrap();
        for part in there {
            fs::create_dir(scratch.path(MAILDIR).join(part)).unwrap();
        }
        scratch.deliver(ORDINARY).go().succeeds();
        only(&scratch);
    }
}

#[test]
fn no_link_is_followed() {
    let scratch = scratch();
    fs::create_dir(scratch.path("elsewhere")).unwrap();
    symlink(scratch.path("elsewhere"), scratch.path(MAILDIR)).unwrap();
    scratch
        .deliver(ORDINARY)
        .go()
        .defers()
        .mentions("it is a symbolic link");
    for part in ["tmp", "new", "cur"] {
        let scratch = with_parts(self::scratch());
        let other = scratch.path("elsewhere");
        fs::create_dir(&other).unwrap();
        let part = scratch.path(MAILDIR).join(part);
        fs::remove_dir(&part).unwrap();
        symlink(&other, &part).unwrap();
        scratch
            .deliver(ORDINARY)
            .go()
            .defers()
            .mentions("it is a symbolic link");
        assert!(scratch.files("elsewhere").is_empty());
    }
    let scratch = with_parts(self::scratch());
    fs::write(scratch.path("precious"), "1000000S\n").unwrap();
    symlink(scratch.path("precious"), size_file(&scratch)).unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(fs::read_to_string(scratch.path("precious")).unwrap(), "1000000S\n");
}

#[test]
fn another_users_maildir_is_refused() {
    if !is_root() {
        return skip("needs root, to give a directory away");
    }
    for part in ["", "tmp", "new", "cur"] {
        let scratch = with_parts(scratch());
        std::os::unix::fs::chown(scratch.path(MAILDIR).join(part), Some(65534), None).unwrap();
        scratch
            .deliver(ORDINARY)
            .go()
            .defers()
            .mentions("it belongs to uid 65534");
        assert!(mail(&scratch).is_empty());
    }
}

#[test]
fn two_equal_messages_both_arrive() {
    let scratch = scratch();
    scratch.deliver(ORDINARY).go().succeeds();
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(mail(&scratch).len(), 2);
}

/// Where a note on a message stands that a killed run left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Note {
    Attribute,
    Link,
}

impl Note {
    /// Leaves one that leads to the message of this name.
    fn leave(self, scratch: &Scratch, name: &str) {
        let fingerprint = name.split_once('F').unwrap().1.split_once('.').unwrap().0;
        match self {
            Self::Attribute => {
                let note = format!("user.spoolguard.{fingerprint}.3");
                let new = scratch.path(MAILDIR).join("new");
                rustix::fs::setxattr(new, note, name.as_bytes(), rustix::fs::XattrFlags::CREATE).unwrap();
            }
            Self::Link => {
                let mut crc = flate2::Crc::new();
                crc.update(scratch.path(MAILDIR).as_os_str().as_encoded_bytes());
                let dir = scratch.path("state/maildir-intents");
                fs::create_dir_all(&dir).unwrap();
                symlink(name, dir.join(format!("{fingerprint}.{:08x}.0", crc.sum()))).unwrap();
            }
        }
    }
}

/// The notes on messages that are not done with.
fn notes(scratch: &Scratch) -> Vec<String> {
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::listxattr(scratch.path(MAILDIR).join("new"), names.as_mut_slice()).unwrap_or(0);
    let names = names[..length].split(|byte| *byte == 0);
    let notes = names.map(|name| String::from_utf8_lossy(name).into_owned());
    let mut notes: Vec<_> = notes.filter(|name| name.starts_with("user.spoolguard.")).collect();
    let links = scratch.files("state/maildir-intents").into_iter();
    notes.extend(links.map(|path| path.display().to_string()));
    notes
}

#[test]
fn a_message_that_a_killed_run_left_comes_once() {
    // Where a reader has it by now, and where nobody has looked.
    for (moved, note) in [
        (false, Note::Link),
        (true, Note::Link),
        (false, Note::Attribute),
        (true, Note::Attribute),
    ] {
        let scratch = with_parts(scratch());
        if note == Note::Attribute && !has_attributes(&scratch.path(MAILDIR)) {
            return skip("no extended attributes here");
        }
        fs::write(size_file(&scratch), "0S\n").unwrap();
        scratch.deliver(ORDINARY).go().succeeds();
        assert!(notes(&scratch).is_empty());
        let path = only(&scratch);
        let name = path.file_name().unwrap().to_str().unwrap();
        // A note of a process that is no more.
        let unique = name.split_once(',').unwrap().0;
        let (begin, rest) = unique.split_once('P').unwrap();
        let dead = format!("{begin}P999999999Q{}", rest.split_once('Q').unwrap().1);
        let name = name.replace(unique, &dead);
        let place = match moved {
            true => scratch.path(MAILDIR).join(format!("cur/{name}:2,RS")),
            false => scratch.path(MAILDIR).join(format!("new/{name}")),
        };
        fs::rename(&path, &place).unwrap();
        note.leave(&scratch, &dead);
        // Nobody knows whether the killed run counted it.
        fs::write(size_file(&scratch), "0S\n").unwrap();
        scratch.deliver(ORDINARY).go().succeeds();
        assert_eq!(only(&scratch), place);
        assert!(notes(&scratch).is_empty());
        names_are_true(&scratch);
        assert_eq!(sums(&scratch).1, 1);
        // The note is used up: one that is sent on purpose comes.
        scratch.deliver(ORDINARY).go().succeeds();
        assert_eq!(mail(&scratch).len(), 2);
    }
}

#[test]
fn a_note_of_a_maildir_without_room_for_it_is_a_link() {
    let scratch = with_parts(scratch());
    let new = scratch.path(MAILDIR).join("new");
    if !has_attributes(&scratch.path(MAILDIR)) {
        return skip("no extended attributes here");
    }
    // As much as the file system takes: the last ones are small.
    for bytes in [3000, 500, 100, 20, 1] {
        for number in 0..200 {
            let name = format!("user.full.{bytes}.{number}");
            let value = vec![b'x'; bytes];
            if rustix::fs::setxattr(&new, name, &value, rustix::fs::XattrFlags::CREATE).is_err() {
                break;
            }
        }
    }
    if rustix::fs::setxattr(&new, "user.note", &[b'x'; 60], rustix::fs::XattrFlags::CREATE).is_ok() {
        return skip("as many attributes as one likes");
    }
    // The links' directory is made where there is none.
    scratch.deliver(ORDINARY).go().succeeds();
    assert!(scratch.path("state/maildir-intents").is_dir());
    assert!(notes(&scratch).is_empty());
    only(&scratch);
}

/// A message that this host's own MTA has queued under this id.
fn queued(id: &str) -> Vec<u8> {
    let host = nix::unistd::gethostname().unwrap();
    let received = format!(
        "Received: from mail.s.test (mail.s.test [192.0.2.1])\n\tby {} (Postfix) with ESMTPS id {id}\n\tfor <a@a.test>; Mon, 2 Nov 2026 10:00:00 +0000\n",
        host.display()
    );
    [received.as_bytes(), ORDINARY].concat()
}

#[test]
fn what_an_mta_brings_again_comes_once() {
    let scratch = with_parts(scratch());
    if !has_attributes(&scratch.path(MAILDIR)) {
        return skip("no extended attributes here");
    }
    scratch.deliver(&queued("4W1")).go().succeeds();
    scratch.deliver(&queued("4W1")).go().succeeds();
    // Its reader has seen it, and does not want to see it again.
    fs::remove_file(only(&scratch)).unwrap();
    scratch.deliver(&queued("4W1")).go().succeeds();
    assert!(mail(&scratch).is_empty());
    // Another submission.
    scratch.deliver(&queued("4W2")).go().succeeds();
    only(&scratch);
}

#[test]
fn what_was_taken_back_is_not_taken_for_delivered() {
    let mut scratch = with_parts(scratch());
    scratch.sendmail("exit 75");
    let message = queued("4W1");
    let keep = ["--keep"];
    scratch.forward(&message, &["b@b.test"]).with(&keep).go().defers();
    assert!(mail(&scratch).is_empty());
    scratch.sendmail("exit 0");
    scratch.forward(&message, &["b@b.test"]).with(&keep).go().succeeds();
    only(&scratch);
}

#[test]
fn whoever_holds_a_lock_of_a_maildir_stops_no_mail() {
    let scratch = with_parts(scratch());
    let new = fs::File::open(scratch.path(MAILDIR).join("new")).unwrap();
    new.lock().unwrap();
    scratch.deliver(&queued("4W1")).go().succeeds();
    only(&scratch);
}

#[test]
fn a_maildir_is_replayed_the_oldest_first() {
    let scratch = Scratch::new();
    let stored = scratch.path("old");
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(stored.join(part)).unwrap();
    }
    let letter = |subject: &str| format!("Subject: {subject}\n\nx\n").into_bytes();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &letter("second")).unwrap();
    fs::write(stored.join("cur/1795661027.M1P1.h,S=20:2,S"), packed.finish().unwrap()).unwrap();
    fs::write(stored.join("new/1795661028.M1P1.h"), letter("third")).unwrap();
    fs::write(stored.join("cur/999999999.M1P1.h:2,RS"), letter("first")).unwrap();
    fs::write(stored.join("tmp/1795661029.M1P1.h"), letter("half")).unwrap();
    let internal = b"From: Mail System Internal Data <MAILER-DAEMON@a.test>\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nx\n";
    fs::write(stored.join("cur/1.M1P1.h:2,S"), internal).unwrap();
    scratch.run(&["replay", stored.to_str().unwrap()]).go().ends_with(0);
    let mail = String::from_utf8(scratch.mail()).unwrap();
    let subjects: Vec<_> = mail.lines().filter(|line| line.starts_with("Subject")).collect();
    assert_eq!(subjects, ["Subject: first", "Subject: second", "Subject: third"]);
    assert_eq!(scratch.files("old/cur").len(), 3);
}

#[test]
fn what_cannot_be_replayed_is_named_and_the_rest_comes() {
    let scratch = with_parts(scratch());
    // Into itself, it would double all.
    let own = scratch.path(MAILDIR);
    scratch.run(&["replay", own.to_str().unwrap()]).go().ends_with(75);
    // No Maildir.
    scratch
        .run(&["replay", scratch.path("home").to_str().unwrap()])
        .go()
        .ends_with(75);
    let stored = scratch.path("old");
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(stored.join(part)).unwrap();
    }
    fs::write(stored.join("cur/1.a.h:2,S"), b"\x1f\x8bdamaged").unwrap();
    fs::write(stored.join("new/2.b.h"), ORDINARY).unwrap();
    scratch.run(&["replay", stored.to_str().unwrap()]).go().ends_with(75);
    only(&scratch);
}

#[test]
fn what_lies_in_tmp_for_long_is_removed() {
    let scratch = with_parts(scratch());
    let (old, young) = (
        scratch.path(MAILDIR).join("tmp/old"),
        scratch.path(MAILDIR).join("tmp/young"),
    );
    fs::write(&old, "x").unwrap();
    fs::write(&young, "x").unwrap();
    set_age(&old, Duration::from_secs(37 * 60 * 60));
    set_age(&young, Duration::from_secs(35 * 60 * 60));
    scratch.deliver(ORDINARY).go().succeeds();
    assert!(!old.exists() && young.exists());
}

#[test]
fn sixteen_at_once_all_arrive_and_are_counted() {
    let scratch = with_parts(scratch());
    fs::write(size_file(&scratch), "100000000S\n0 0\n").unwrap();
    let running: Vec<_> = (0..16)
        .map(|number| {
            scratch
                .deliver(format!("Subject: {}\n\nx\n", number / 2).as_bytes())
                .start()
        })
        .collect();
    for run in running {
        run.end().succeeds();
    }
    let bytes: u64 = mail(&scratch).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert_eq!(
        (mail(&scratch).len(), sums(&scratch)),
        (16, (i64::try_from(bytes).unwrap(), 16))
    );
    names_are_true(&scratch);
}

#[test]
fn the_limit_of_maildirsize_holds_where_there_is_no_other() {
    let scratch = with_parts(scratch());
    fs::write(size_file(&scratch), "1000S\n950 1\n").unwrap();
    scratch.deliver(ORDINARY).go().defers().mentions("the mailbox is full");
    fs::write(size_file(&scratch), "100000S,2C\n950 2\n").unwrap();
    scratch.deliver(ORDINARY).go().defers().mentions("2 messages");
    assert!(mail(&scratch).is_empty());
    let scratch = scratch.set("quota.limit", "\"1M\"");
    scratch.deliver(ORDINARY).go().succeeds();
}

#[test]
fn a_limit_of_ours_is_held_against_what_lies_there() {
    let scratch = with_parts(scratch()).set("quota.limit", "\"1K\"");
    let old = scratch.path(MAILDIR).join("cur/1.M1P1.h:2,S");
    fs::write(&old, vec![b'x'; 1000]).unwrap();
    // The user's own file says that nothing lies there.
    fs::write(size_file(&scratch), "100000S\n0 0\n").unwrap();
    scratch.deliver(ORDINARY).go().defers().mentions("the mailbox is full");
    assert_eq!(sums(&scratch), (1000, 1));
    // A name is believed, as Dovecot does.
    fs::rename(&old, scratch.path(MAILDIR).join("cur/1.M1P1.h,S=10:2,S")).unwrap();
    fs::remove_file(size_file(&scratch)).unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    let scratch = scratch.set("quota.limit", "\"none\"").set("quota.messages", "2");
    scratch.deliver(ORDINARY).go().defers().mentions("2 messages");
}

#[test]
fn folders_count_and_the_trash_does_not() {
    let scratch = with_parts(scratch()).set("quota.messages", "2");
    for folder in [".Sent", ".Trash", ".no-folder"] {
        let dir = scratch.path(MAILDIR).join(folder);
        fs::create_dir_all(dir.join("cur")).unwrap();
        fs::write(dir.join("cur/1.M1P1.h:2,S"), "x").unwrap();
        if folder != ".no-folder" {
            fs::write(dir.join("maildirfolder"), "").unwrap();
        }
    }
    scratch.deliver(ORDINARY).go().succeeds();
    scratch.deliver(ORDINARY).go().defers().mentions("2 messages");
}

#[test]
fn a_full_maildirsize_is_believed_for_a_quarter_of_an_hour() {
    let scratch = with_parts(scratch());
    fs::write(size_file(&scratch), "1000S\n990 9\n").unwrap();
    scratch.deliver(ORDINARY).go().defers();
    set_age(&size_file(&scratch), Duration::from_secs(20 * 60));
    scratch.deliver(ORDINARY).go().succeeds();
    let bytes = only(&scratch).metadata().unwrap().len();
    assert_eq!(sums(&scratch), (i64::try_from(bytes).unwrap(), 1));
}

#[test]
fn a_maildirsize_that_cannot_be_believed_is_written_anew() {
    let long = format!("100000S,50C\n{}", "1 0\n".repeat(1300));
    for text in [long.as_str(), "100000S,50C\n-5 0\n", "100000S,50C\nnonsense\n"] {
        let scratch = with_parts(scratch());
        fs::write(size_file(&scratch), text).unwrap();
        scratch.deliver(ORDINARY).go().succeeds();
        let bytes = only(&scratch).metadata().unwrap().len();
        assert_eq!(sums(&scratch), (i64::try_from(bytes).unwrap(), 1), "{text:.20}");
        let written = fs::read_to_string(size_file(&scratch)).unwrap();
        assert!(written.starts_with("100000S,50C\n") && written.len() < 100, "{written}");
    }
}

#[test]
fn a_copy_goes_back_when_the_message_cannot_be_sent() {
    let mut scratch = with_parts(scratch());
    fs::write(size_file(&scratch), "100000S\n0 0\n").unwrap();
    scratch.sendmail("exit 75");
    scratch.forward(ORDINARY, &["b@b.test"]).with(&["--keep"]).go().defers();
    assert!(mail(&scratch).is_empty());
    assert_eq!(sums(&scratch), (0, 0));
    assert!(notes(&scratch).is_empty());
    scratch.sendmail("exit 0");
    scratch
        .forward(ORDINARY, &["b@b.test"])
        .with(&["--keep"])
        .go()
        .succeeds();
    only(&scratch);
    assert_eq!(sums(&scratch).1, 1);
}

#[test]
fn a_user_is_warned_once_that_a_maildir_fills_up() {
    let scratch = with_parts(scratch())
        .set("quota.limit", "\"10K\"")
        .set("quota.warn", "\"1%\"");
    scratch.deliver(ORDINARY).go().succeeds();
    scratch.deliver(ORDINARY).go().succeeds();
    let warned = |path: &&PathBuf| contains(&fs::read(path).unwrap(), b"\nSubject: Your mailbox is ");
    assert_eq!(mail(&scratch).iter().filter(warned).count(), 1);
    assert_eq!(mail(&scratch).len(), 3);
    names_are_true(&scratch);
}

#[test]
fn a_disk_that_may_not_fill_up_defers() {
    let scratch = with_parts(scratch()).set("mailbox.min_free", "\"1000000G\"");
    scratch.deliver(ORDINARY).go().defers().mentions("min_free");
    assert!(mail(&scratch).is_empty() && scratch.files(&format!("{MAILDIR}/tmp")).is_empty());
}

#[test]
fn a_directory_that_cannot_be_written_to_defers() {
    if is_root() {
        return skip("root may write anywhere");
    }
    let scratch = with_parts(scratch());
    let new = scratch.path(MAILDIR).join("new");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o500)).unwrap();
    scratch.deliver(ORDINARY).go().defers();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(mail(&scratch).is_empty() && scratch.files(&format!("{MAILDIR}/tmp")).is_empty());
    scratch.deliver(ORDINARY).go().succeeds();
}

#[test]
fn what_a_full_maildir_had_no_room_for_comes_back() {
    let scratch = with_parts(scratch())
        .set("quota.limit", "\"1K\"")
        .set("quota.when_full", "\"overflow\"");
    let old = scratch.path(MAILDIR).join("cur/1.M1P1.h:2,S");
    fs::write(&old, vec![b'x'; 1000]).unwrap();
    let message = b"From: s@s.test\nSubject: late\nMessage-ID: <late@s.test>\n\nFrom here\n>From there\n";
    scratch.deliver(message).go().succeeds();
    assert!(contains(
        &fs::read(scratch.path("state/overflow")).unwrap(),
        b"Subject: late"
    ));
    fs::remove_file(&old).unwrap();
    let back = scratch.run(&["spool", "restore", "--overflow", "--yes"]).go();
    back.ends_with(0);
    let is_late = |path: &&PathBuf| contains(&fs::read(path).unwrap(), b"\nSubject: late\n");
    let late: Vec<_> = mail(&scratch).into_iter().filter(|path| is_late(&path)).collect();
    assert_eq!(late.len(), 1);
    same(&fs::read(&late[0]).unwrap(), &[RETURN_PATH, message].concat());
    names_are_true(&scratch);
    assert!(fs::read(scratch.path("state/overflow")).unwrap().is_empty());
    assert!(notes(&scratch).is_empty());
}

#[test]
fn what_was_kept_in_a_maildir_is_sent_on() {
    let mut scratch = with_parts(scratch());
    scratch.sendmail("echo '<b@b.test>... 550 5.7.1 no' >&2; exit 69");
    scratch.change("destinations.suspend", "true");
    let user = scratch.run(&["status", "--suspend", "b@b.test"]);
    user.go().ends_with(0);
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    let kept = mail(&scratch)
        .iter()
        .filter(|path| contains(&fs::read(path).unwrap(), b"<1@s.test>"))
        .count();
    assert_eq!(kept, 1);
    // A reader has seen it.
    for path in scratch.files(&format!("{MAILDIR}/new")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        fs::rename(&path, scratch.path(MAILDIR).join(format!("cur/{name}:2,S"))).unwrap();
    }
    scratch.sendmail("exit 0");
    scratch.run(&["status", "--resume", "b@b.test"]).go().ends_with(0);
    let sent = scratch.run(&["status", "--yes", "--send-kept", "b@b.test"]).go();
    sent.ends_with(0);
    sent.check(contains(&sent.stdout, b"1 message sent to b@b.test"), "it was not sent");
}

#[test]
fn a_maildir_in_the_spool_directory_is_not_called_wrong() {
    let scratch = scratch();
    for dir in ["spool/alice", "spool/vhosts/a.test/bob/Maildir"] {
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(scratch.path(dir).join(part)).unwrap();
        }
    }
    let location = format!("\"mbox:{}/%u\"", scratch.path("spool").display());
    let scratch = scratch.set("mailbox.location", &location);
    let listed = scratch.run(&["spool", "list"]).go();
    let text = [&listed.stdout[..], listed.stderr.as_bytes()].concat();
    listed.check(!contains(&text, b"is a directory"), "a Maildir is called wrong");
}
