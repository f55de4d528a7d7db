//! `when_full = "archive"`: mail comes in beyond the limit, and the first part of the mailbox goes into an archive,
//! behind the delivery's back.

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::support::{ORDINARY, Scratch, contains, is_root, messages, same, until, user_name};

fn mail(count: usize, line_bytes: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|n| {
            let body = "x".repeat(line_bytes);
            format!("From s@s.test Mon Nov  2 10:00:00 2026\nMessage-ID: <{n}@s.test>\n\n{body}\n\n").into_bytes()
        })
        .collect()
}

fn scratch(limit: &str) -> Scratch {
    let scratch = Scratch::new();
    let archives = format!("{:?}", scratch.path("archives").display().to_string());
    fs::create_dir(scratch.path("archives")).unwrap();
    scratch
        .set("quota.limit", limit)
        .set("quota.when_full", "\"archive\"")
        .set("quota.warn", "\"50%\"")
        .set("archive.dir", &archives)
        .set("archive.format", "\"gz\"")
}

fn note(scratch: &Scratch) -> PathBuf {
    scratch.path("state/archiving").join(user_name())
}

fn archived(path: &PathBuf) -> Vec<u8> {
    Command::new("gzip").arg("-dc").arg(path).output().unwrap().stdout
}

/// The processes whose command line mentions the directory of this test.
fn background(scratch: &Scratch, mailbox: &str) -> Vec<u32> {
    let mark = scratch.path(mailbox).display().to_string();
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        (contains(&line, mark.as_bytes()) && contains(&line, b"archive")).then_some(pid)
    });
    all.collect()
}

#[test]
fn beyond_the_limit_mail_comes_in_and_the_oldest_is_archived() {
    for limit in ["\"20000B\"", "{ messages = 20 }"] {
        let scratch = if limit.starts_with('{') {
            scratch("\"none\"").set("quota.messages", "20")
        } else {
            scratch(limit)
        };
        let before = mail(20, 1000);
        fs::write(scratch.mailbox(), &before).unwrap();
        scratch.deliver(ORDINARY).go().succeeds();
        until("the mailbox shrinks", || scratch.mail().len() < 11_000);
        until("it is over", || background(&scratch, "spool").is_empty());
        let archives = scratch.files("archives");
        assert_eq!(archives.len(), 1, "{archives:?}");
        let went = archived(&archives[0]);
        let stays = scratch.mail();
        assert!(before.starts_with(&went), "not the oldest");
        assert!(contains(&stays, b"Subject: hello"));
        // The notice about the quota is the last one.
        let all = [went, stays].concat();
        assert!(all.starts_with(&before));
        let behind = messages(&all).len();
        assert!((21..=22).contains(&behind), "{behind}");
        scratch.deliver(ORDINARY).go().succeeds();
    }
}

#[test]
fn beyond_the_limit_the_oldest_of_a_maildir_go_into_an_archive() {
    for (bytes, messages) in [("\"20000B\"", "0"), ("\"none\"", "20")] {
        let scratch = scratch(bytes).set("quota.messages", messages);
        let maildir = scratch.path("home/Maildir");
        let scratch = scratch.set("mailbox.location", &format!("\"maildir:{}\"", maildir.display()));
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(maildir.join(part)).unwrap();
        }
        for number in 0..20 {
            let text = format!("Message-ID: <{number}@old.test>\n\n{}\n", "x".repeat(990));
            let path = maildir.join(format!("cur/{}.M1P1.h:2,S", 1000 + number));
            fs::write(&path, text).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + number))
                .unwrap();
        }
        let lying = || [scratch.files("home/Maildir/new"), scratch.files("home/Maildir/cur")].concat();
        scratch.deliver(ORDINARY).go().succeeds();
        until("the Maildir shrinks", || lying().len() < 13);
        until("it is over", || background(&scratch, "home/Maildir").is_empty());
        let [archive] = scratch.files("archives").try_into().unwrap();
        let went = archived(&archive);
        let stays: Vec<_> = lying().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        for number in 0..20 {
            let mark = format!("Message-ID: <{number}@old.test>");
            let here = stays.iter().filter(|text| text.contains(&mark)).count();
            let there = usize::from(contains(&went, mark.as_bytes()));
            assert_eq!(here + there, 1, "{number}");
            // The oldest went.
            assert!(there == 1 || number >= 8, "{number} stays");
        }
        assert!(stays.iter().any(|text| text.contains("Subject: hello")));
        scratch.deliver(ORDINARY).go().succeeds();
    }
}

#[test]
fn a_program_replaced_while_it_runs_archives_all_the_same() {
    let scratch = scratch("\"20000B\"");
    let program = scratch.copy_program("spoolguard");
    let other = scratch.script("other", "exit 1");
    let before = mail(20, 1000);
    fs::write(scratch.mailbox(), &before).unwrap();
    let (message, mut sender) = std::io::pipe().unwrap();
    let running = scratch.run(&["deliver"]).program(&program).input_file(message).start();
    let exe = format!("/proc/{}/exe", running.pid());
    until("it runs", || fs::read_link(&exe).is_ok_and(|path| path == program));
    fs::rename(&other, &program).unwrap();
    sender.write_all(ORDINARY).unwrap();
    drop(sender);
    running.end().succeeds();
    until("the mailbox shrinks", || scratch.mail().len() < 11_000);
    until("it is over", || background(&scratch, "spool").is_empty());
    assert!(before.starts_with(&archived(&scratch.files("archives")[0])));
}

#[test]
fn the_delivery_does_not_wait_and_nothing_of_it_is_held() {
    // Packed, read back and compared, this takes a second and more; on a machine that looks elsewhere for so long, a
    // larger one is tried.
    let caught = (0..5).any(|step| is_caught_archiving(40 << step));
    assert!(caught, "the archiving was over before anybody could look");
}

/// Delivers into a mailbox of this many MiB. False where the archiving was over before it was looked at.
fn is_caught_archiving(mebibytes: usize) -> bool {
    let scratch = scratch("\"1M\"");
    let before: Vec<u8> = (0..mebibytes).flat_map(|_| crate::support::noise(1 << 20)).collect();
    let before = [
        &b"From s@s.test Mon Nov  2 10:00:00 2026\nSubject: 1\n\n"[..],
        &before,
        b"\n\n",
    ]
    .concat();
    fs::write(scratch.mailbox(), &before).unwrap();
    // Far beyond twice the limit, mail waits; the archiving begins all the same. `go` reads until the pipes are closed.
    scratch.deliver(ORDINARY).go().defers();
    let caught = background(&scratch, "spool")
        .first()
        .is_some_and(|pid| is_on_its_own(*pid));
    until("the archive is there", || scratch.mail().is_empty());
    until("it is over", || background(&scratch, "spool").is_empty());
    same(&archived(&scratch.files("archives")[0]), &before);
    scratch.next_delivery_works();
    caught
}

/// Checks that a process has nothing of its caller's. False where it is over.
fn is_on_its_own(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let group = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(2);
    assert_eq!(group.unwrap(), pid.to_string(), "it is in its caller's process group");
    for descriptor in 0..3 {
        match fs::read_link(format!("/proc/{pid}/fd/{descriptor}")) {
            Ok(file) => assert_eq!(file, PathBuf::from("/dev/null")),
            Err(_) => return false,
        }
    }
    true
}

#[test]
fn it_is_not_begun_again_for_a_while() {
    let scratch = scratch("\"20000B\"");
    fs::create_dir_all(scratch.path("state/archiving")).unwrap();
    let a_minute_ago = SystemTime::now() - Duration::from_secs(60);
    let long_ago = SystemTime::now() - Duration::from_secs(6 * 60);
    let set = |time: SystemTime| {
        let file = File::create(note(&scratch)).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    };
    fs::write(scratch.mailbox(), mail(20, 1000)).unwrap();
    set(a_minute_ago);
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(fs::metadata(note(&scratch)).unwrap().modified().unwrap(), a_minute_ago);
    assert!(background(&scratch, "spool").is_empty() && scratch.files("archives").is_empty());
    set(long_ago);
    scratch.deliver(ORDINARY).go().succeeds();
    until("the mailbox shrinks", || scratch.mail().len() < 11_000);
    assert!(fs::metadata(note(&scratch)).unwrap().modified().unwrap() > a_minute_ago);
    until("it is over", || background(&scratch, "spool").is_empty());
}

#[test]
fn a_mailbox_that_nobody_archives_grows_to_twice_its_limit() {
    let scratch = scratch("\"20000B\"");
    fs::create_dir_all(note(&scratch).parent().unwrap()).unwrap();
    File::create(note(&scratch)).unwrap();
    fs::write(scratch.mailbox(), mail(36, 1000)).unwrap();
    let mut delivered = 0;
    let full = loop {
        let ended = scratch.deliver(ORDINARY).go();
        if ended.code != Some(0) {
            break ended;
        }
        delivered += 1;
        assert!(delivered < 100, "it grows without end");
    };
    full.defers().mentions("the mailbox is full");
    assert!(delivered > 0 && scratch.mail().len() <= 40_000);
    assert!(scratch.files("archives").is_empty());
}

#[test]
fn without_rights_in_the_archive_directory_users_have_their_own() {
    let mut scratch = scratch("\"20000B\"");
    scratch.change("archive.dir", "\"/proc/archives\"");
    let uid = if is_root() {
        61_235
    } else {
        nix::unistd::getuid().as_raw()
    };
    let mailbox = scratch.path("spool").join("box");
    fs::write(&mailbox, mail(20, 1000)).unwrap();
    if is_root() {
        for path in [
            mailbox.clone(),
            scratch.path("spool"),
            scratch.path("home"),
            scratch.path("state"),
        ] {
            chown(path, Some(uid), Some(uid)).unwrap();
        }
    }
    let run = scratch
        .deliver(ORDINARY)
        .with(&["--mailbox", mailbox.to_str().unwrap()]);
    let ended = if is_root() { run.uid(uid).go() } else { run.go() };
    ended.succeeds();
    until("the mailbox shrinks", || fs::metadata(&mailbox).unwrap().len() < 11_000);
    until("it is over", || background(&scratch, "spool").is_empty());
    let archives = scratch.files("state/archive");
    assert_eq!(archives.len(), 1, "{archives:?}");
    assert!(mail(20, 1000).starts_with(&archived(&archives[0])));
}
