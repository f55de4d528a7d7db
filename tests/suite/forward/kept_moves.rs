//! What was kept for a destination, while its mailbox is moved by an archive, rewritten by a mail program, or its list
//! is damaged: it is sent on all the same, and nothing else is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::robust::faults::strace;
use crate::support::{Ended, Scratch, contains, large, shown, skip};

const OLD: &[u8] = b"From old@s.test Mon Nov  2 10:00:00 2015\nFrom: old@s.test\nSubject: old\n\nold\n\n";

fn letter(number: usize) -> Vec<u8> {
    format!("From: S <s@s.test>\nMessage-ID: <{number}@s.test>\nSubject: letter {number}\n\nLetter {number}.\n")
        .into_bytes()
}

fn forward(scratch: &Scratch, message: &[u8]) {
    scratch.forward(message, &["b@b.test"]).go().succeeds();
}

/// A destination that is suspended, and letters that were kept for it.
fn suspended(letters: &[Vec<u8>]) -> Scratch {
    let scratch = Scratch::new();
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    letters.iter().for_each(|letter| forward(&scratch, letter));
    scratch
}

fn send_kept(scratch: &Scratch) -> Ended<'_> {
    scratch.run(&["status", "--send-kept", "b@b.test", "--yes"]).go()
}

/// Each of them went out, and nothing else.
#[track_caller]
fn all_are_sent(scratch: &Scratch, letters: &[Vec<u8>]) {
    let sent = scratch.sent();
    for letter in letters {
        assert_eq!(
            sent.iter().filter(|sent| sent.ends_with(letter)).count(),
            1,
            "{}",
            shown(letter)
        );
    }
    assert_eq!(sent.len(), letters.len());
}

#[test]
fn what_a_killed_archive_was_moving_is_sent_on() {
    let Some(program) = strace::program() else {
        return skip("strace is not there, or may not trace");
    };
    let letters = [letter(1), letter(2), letter(3)];
    let scene = || {
        let scratch = suspended(&letters);
        let mail = [OLD, &scratch.mail()].concat();
        fs::write(scratch.mailbox(), mail).unwrap();
        scratch
    };
    fn archive(scratch: &Scratch) -> crate::support::Run<'_> {
        let (mailbox, to) = (scratch.mailbox(), scratch.path("archives"));
        let (mailbox, to) = (mailbox.to_str().unwrap(), to.to_str().unwrap());
        scratch.run(&["spool", "archive", mailbox, "--older-than", "1d", "--yes", "--to", to])
    }
    let scratch = scene();
    let calls = strace::record(archive(&scratch), &program, &scratch.path("record"));
    let cut = calls
        .iter()
        .position(|call| call.name == "ftruncate" && call.line.contains(", 0)"));
    let behind = &calls[cut.expect("it cuts the mailbox") + 1..];
    for call in &behind[..6] {
        let scratch = scene();
        strace::spoil(archive(&scratch), &program, call, &strace::Fault::Kill);
        send_kept(&scratch).ends_with(0);
        all_are_sent(&scratch, &letters);
    }
}

/// Whoever looks meanwhile finds nothing, and that is no end.
#[test]
fn what_an_archive_took_is_sent_on_when_it_is_restored() {
    let letters = [letter(1), letter(2)];
    for looks_between in [false, true] {
        let scratch = suspended(&letters);
        scratch.run(&["status", "--resume", "b@b.test"]).go().ends_with(0);
        let (mailbox, to) = (scratch.mailbox(), scratch.path("archives"));
        let (mailbox, to) = (mailbox.to_str().unwrap(), to.to_str().unwrap());
        let archived = scratch
            .run(&["spool", "archive", mailbox, "--all-mail", "--yes", "--to", to])
            .go();
        archived.ends_with(0).check(
            contains(
                &archived.stdout,
                b"2 messages of these were kept instead of being sent on",
            ),
            "it says that they wait",
        );
        let archive = fs::read_dir(to).unwrap().next().unwrap().unwrap().path();
        let status = scratch.run(&["status"]).go();
        let place = format!(
            "2 messages kept instead of being sent on, and archived in {}",
            archive.display()
        );
        status.ends_with(1).check(
            contains(&status.stdout, place.as_bytes()),
            "status says where they wait",
        );
        if looks_between {
            let ended = send_kept(&scratch);
            ended
                .ends_with(0)
                .check(contains(&ended.stdout, b"2 no longer in the mailbox"), "it says so");
            let again = send_kept(&scratch);
            again
                .ends_with(0)
                .check(contains(&again.stdout, b"nothing was kept"), "once");
            scratch.run(&["status"]).go().ends_with(0);
        }
        let words = [
            "spool",
            "restore",
            archive.to_str().unwrap(),
            "--mailbox",
            mailbox,
            "--yes",
        ];
        scratch.run(&words).go().ends_with(0);
        let status = scratch.run(&["status"]).go();
        status.ends_with(1).check(
            contains(&status.stdout, b"b@b.test: 2 messages kept in"),
            "they wait again",
        );
        send_kept(&scratch).ends_with(0);
        all_are_sent(&scratch, &letters);
    }
}

/// What the user removed is over, what an archive took is not, and what is sent meanwhile leaves that where it is.
#[test]
fn status_tells_what_is_archived_from_what_is_removed() {
    let scratch = suspended(&[letter(1)]);
    scratch.run(&["status", "--resume", "b@b.test"]).go().ends_with(0);
    let (mailbox, to) = (scratch.mailbox(), scratch.path("archives"));
    fs::write(&mailbox, "").unwrap();
    scratch.run(&["status"]).go().ends_with(0);
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    forward(&scratch, &letter(2));
    let words = ["--all-mail", "--yes", "--to", to.to_str().unwrap()];
    let archive = [&["spool", "archive", mailbox.to_str().unwrap()], &words[..]].concat();
    scratch.run(&archive).go().ends_with(0);
    forward(&scratch, &letter(3));
    scratch.run(&["status", "--resume", "b@b.test"]).go().ends_with(0);
    let status = scratch.run(&["status"]).go();
    status
        .ends_with(1)
        .check(
            contains(&status.stdout, b"b@b.test: 1 message kept instead of"),
            "one is archived",
        )
        .check(contains(&status.stdout, b"b@b.test: 1 message kept in "), "one is here");
    let ended = send_kept(&scratch);
    ended.ends_with(0).check(
        contains(
            &ended.stdout,
            b"1 message sent to b@b.test; 1 in an archive, still kept",
        ),
        "it says so",
    );
    scratch.run(&["status"]).go().ends_with(1);
}

#[test]
fn large_messages_of_one_id_are_each_sent_on() {
    let scan = |page: &str| {
        let head = format!("From: scanner@s.test\nMessage-ID: <scan@s.test>\nSubject: scan\n\n{page}\n");
        [head.as_bytes(), &large(400_000)].concat()
    };
    let letters = [scan("one"), scan("two"), scan("three")];
    let scratch = suspended(&letters);
    send_kept(&scratch).ends_with(0);
    all_are_sent(&scratch, &letters);
}

/// A mail program rewrites the mailbox in place, and the kept message's place has another one of the same length.
#[test]
fn no_other_message_is_sent_in_place_of_one_that_was_kept() {
    let Some(program) = strace::program() else {
        return skip("strace is not there, or may not trace");
    };
    for number in 1.. {
        let scratch = suspended(&[letter(1)]);
        let list = fs::read_to_string(scratch.path("state/kept/b@b.test.list")).unwrap();
        let key = list
            .lines()
            .find_map(|line| line.split(' ').nth(2).filter(|key| key.starts_with("id:")))
            .unwrap();
        let mailbox = scratch.mailbox();
        let mail = scratch.mail();
        let one = format!("{key} 0 {} {}", mail.len(), mailbox.display());
        let run = scratch.run(&["status", "--yes", "--send-kept", "b@b.test", "--one", &one]);
        let inject = format!("inject=pread64:signal=STOP:when={number}");
        let options = ["-P", mailbox.to_str().unwrap(), "-e", "trace=pread64", "-e", &inject];
        let Some(stopped) = strace::stop_or_end(run, &program, &scratch.path("record"), &options) else {
            assert!(number > 1, "it reads the mailbox");
            return;
        };
        let other = String::from_utf8(mail)
            .unwrap()
            .replace("1@s.test", "9@s.test")
            .replace("etter 1", "ecret 9");
        fs::write(&mailbox, other).unwrap();
        stopped.end();
        for sent in scratch.sent() {
            assert!(!contains(&sent, b"ecret 9"), "at call {number}:\n{}", shown(&sent));
        }
    }
}

#[test]
fn a_damaged_list_is_begun_anew_and_later_mail_is_on_it() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 9] = [
        ("nothing in it", |path| fs::write(path, "").unwrap()),
        ("zeros", |path| fs::write(path, [0; 500]).unwrap()),
        ("no first line", |path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.split_once('\n').unwrap().1).unwrap();
        }),
        ("a part of the first line", |path| fs::write(path, "for b@").unwrap()),
        ("a directory", |path| fs::create_dir(path).unwrap()),
        ("a directory with something in it", |path| {
            fs::create_dir(path).unwrap();
            fs::write(path.join("x"), "x").unwrap();
        }),
        ("a link", |path| symlink("/dev/zero", path).unwrap()),
        ("a FIFO", |path| {
            nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap()
        }),
        ("a length without end", |path| {
            fs::File::create(path).unwrap().set_len(40 << 30).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let scratch = suspended(&[letter(1)]);
        let path = scratch.path("state/kept/b@b.test.list");
        if !what.contains("first") {
            fs::remove_file(&path).unwrap();
        }
        damage(&path);
        forward(&scratch, &letter(2));
        let status = scratch.run(&["status"]).go();
        let text = String::from_utf8_lossy(&status.stdout).into_owned();
        status.ends_with(1).check(
            text.contains("--send-kept b@b.test") || text.contains("b@b.test: suspended"),
            what,
        );
        let ended = send_kept(&scratch);
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        ended.ends_with(0).check(text.contains("sent to b@b.test"), what);
        let sent = scratch.sent();
        assert!(sent.iter().any(|sent| sent.ends_with(&letter(2))), "{what}");
    }
}

/// The file is made, and the disk is full.
#[test]
fn a_list_that_a_full_disk_left_empty_names_its_destination() {
    let scratch = suspended(&[]);
    fs::create_dir_all(scratch.path("state/kept")).unwrap();
    fs::write(scratch.path("state/kept/b@b.test.list"), "").unwrap();
    forward(&scratch, &letter(1));
    let list = fs::read_to_string(scratch.path("state/kept/b@b.test.list")).unwrap();
    assert!(list.starts_with("for b@b.test of a@a.test\n"), "{list}");
    send_kept(&scratch).ends_with(0);
    all_are_sent(&scratch, &[letter(1)]);
}

/// The system has no descriptor left for a moment, or no memory: the file says nothing about that.
#[test]
fn a_moment_without_descriptors_forgets_no_suspension() {
    let Some(program) = strace::program() else {
        return skip("strace is not there, or may not trace");
    };
    let scratch = suspended(&[letter(1)]);
    let state = scratch.path("state/routes.json");
    let trace = ["-P", state.to_str().unwrap(), "-e", "inject=openat:error=ENFILE"];
    let mut words = vec![program.to_str().unwrap(), "-qq", "-o", "/dev/null"];
    words.extend(trace);
    let run = scratch.forward(&letter(2), &["b@b.test"]).wrapped(&words);
    run.go().ends_with(0);
    assert!(!scratch.path("state/routes.json.bad").exists());
    forward(&scratch, &letter(3));
    assert!(scratch.sent().iter().all(|sent| !sent.ends_with(&letter(3))));
}

/// An administrator who delivers through the guard keeps what was diverted, and nobody can send that on.
#[test]
fn what_was_diverted_does_not_count_as_kept_from_sending() {
    let scratch = Scratch::new();
    let mbox = "From MAILER-DAEMON Mon Nov  2 10:00:00 2026\nX-Spoolguard-Kept: verdict=bounce; why=diverted-before\n\
                X-Spoolguard-Divert: verdict=bounce; why=verdict\nSubject: x\n\nx\n\n";
    fs::write(scratch.mailbox(), mbox).unwrap();
    let (mailbox, to) = (scratch.mailbox(), scratch.path("archives"));
    let words = [
        "spool",
        "archive",
        mailbox.to_str().unwrap(),
        "--all-mail",
        "-n",
        "--to",
    ];
    let ended = scratch.run(&words).with(&[to.to_str().unwrap()]).go();
    ended.ends_with(0).check(
        contains(&ended.stdout, b"would take 1 message ") && !contains(&ended.stdout, b"kept instead"),
        "nothing waits",
    );
}
