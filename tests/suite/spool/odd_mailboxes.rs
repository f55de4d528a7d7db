//! What others may have put where a mailbox should be, for each command that cares for mailboxes; names that are
//! trouble for shells and terminals; and a mailbox that grows faster than it is read.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::spool::archive::{OLD, archived, scratch, stored};
use crate::support::{Scratch, contains, messages, user_name};

/// Every command, told to do what it does.
const COMMANDS: [&[&str]; 5] = [
    &["spool", "list"],
    &["inspect"],
    &["spool", "archive", "--yes", "--all-mail"],
    &["spool", "sweep", "--duplicates", "--yes"],
    &["spool", "sweep", "--rescue", "--yes"],
];

#[test]
fn links_and_other_things_are_named_and_left_by_each_command() {
    let scratch = scratch();
    let spool = scratch.path("spool");
    let secret = scratch.path("secret");
    fs::write(&secret, stored(1, OLD, "") + &stored(1, OLD, "")).unwrap();
    symlink("/etc/shadow", spool.join("shadow")).unwrap();
    symlink(&secret, spool.join("link")).unwrap();
    fs::write(spool.join("two"), stored(1, OLD, "") + &stored(1, OLD, "")).unwrap();
    fs::hard_link(spool.join("two"), scratch.path("two-more")).unwrap();
    nix::unistd::mkfifo(&spool.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let before = [fs::read(&secret).unwrap(), fs::read(spool.join("two")).unwrap()];
    for command in COMMANDS {
        for name in ["shadow", "link", "two", "fifo"] {
            // Whoever inspects a file by its path may read it; one that is found in a directory is looked at first.
            if command[0] == "inspect" {
                continue;
            }
            let path = spool.join(name);
            let ended = scratch.run(command).with(&[path.to_str().unwrap()]).go();
            let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
            ended.check(ended.code == Some(1), &format!("{command:?} {name}"));
            ended.check(said.contains(name) && !said.contains("root:"), &said);
        }
    }
    let ended = scratch.run(&["inspect", spool.to_str().unwrap()]).go();
    ended.check(!contains(&ended.stdout, b"fifo"), "it waits for a FIFO");
    // Where mail is put back to.
    let archive = scratch.path("x");
    fs::write(&archive, stored(5, OLD, "")).unwrap();
    for name in ["shadow", "link", "two", "fifo"] {
        let ended = scratch
            .run(&["spool", "restore", "--yes", archive.to_str().unwrap(), "--mailbox"])
            .with(&[spool.join(name).to_str().unwrap()])
            .go();
        ended.ends_with(1).mentions("cannot use as a mailbox");
    }
    assert_eq!(
        [fs::read(&secret).unwrap(), fs::read(spool.join("two")).unwrap()],
        before
    );
    assert!(scratch.files("archives").is_empty());
}

#[test]
fn names_that_are_trouble_elsewhere_are_none_here() {
    for name in [
        "new\nline",
        "-rf",
        "--all",
        "with blank",
        "a'b\"c$d",
        "\u{1b}[2J",
        "Gr\u{fc}\u{df}e",
    ] {
        for command in &COMMANDS[2..] {
            let scratch = scratch();
            let path = scratch.path("spool").join(name);
            fs::write(&path, stored(1, OLD, "") + &stored(2, OLD, "") + &stored(2, OLD, "")).unwrap();
            let ended = scratch.run(command).with(&[path.to_str().unwrap()]).go();
            ended.ends_with(0);
            let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
            ended.check(!said.contains("new\nline") && !said.contains('\u{1b}'), &said);
            if command.contains(&"--rescue") {
                continue;
            }
            let archives = scratch.files("archives");
            ended.check(archives.len() == 1, &format!("{archives:?}"));
            // What went comes back, into the mailbox of that name.
            let back = scratch
                .run(&["spool", "restore", "--yes", archives[0].to_str().unwrap()])
                .with(&["--mailbox", path.to_str().unwrap()])
                .go();
            back.ends_with(0);
            // Of two that are the same, one stayed.
            let want = if command.contains(&"sweep") { 2 } else { 3 };
            assert_eq!(messages(&fs::read(&path).unwrap()).len(), want, "{name:?} {command:?}");
            let listed = scratch
                .run(&["spool", "restore", "--yes", "--list", archives[0].to_str().unwrap()])
                .go();
            listed
                .ends_with(0)
                .check(!contains(&listed.stdout, b"\x1b"), "it steers terminals");
        }
        let scratch = scratch();
        fs::write(scratch.path("spool").join(name), stored(1, OLD, "")).unwrap();
        for form in [&[][..], &["--json"], &["--prometheus"]] {
            let ended = scratch.run(&["spool", "list"]).with(form).go();
            let said = String::from_utf8_lossy(&ended.stdout);
            ended.check(!said.contains("new\nline") && !said.contains('\u{1b}'), &said);
        }
    }
}

/// No more than so many: the disk is not ours alone.
const MOST: usize = 200_000;

/// Appends whole messages as fast as it can, under the lock that others take, too.
fn grow(scratch: &Scratch, over: &AtomicBool) -> usize {
    let file = File::options().append(true).open(scratch.mailbox()).unwrap();
    let lock = |kind| libc::flock {
        l_type: kind,
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let mut count = 0;
    while !over.load(Ordering::Relaxed) && count < MOST {
        let text: String = (0..2000)
            .map(|n| stored(1_000_000 + count as u32 + n, OLD, ""))
            .collect();
        fcntl(&file, FcntlArg::F_SETLKW(&lock(libc::F_WRLCK as _))).unwrap();
        (&file).write_all(text.as_bytes()).unwrap();
        fcntl(&file, FcntlArg::F_SETLK(&lock(libc::F_UNLCK as _))).unwrap();
        count += 2000;
        std::thread::sleep(Duration::from_millis(2));
    }
    count
}

#[test]
fn a_mailbox_that_grows_faster_than_it_is_read_holds_no_command() {
    let before: String = (0..20_000).map(|n| stored(n, OLD, "")).collect();
    for command in COMMANDS {
        let scratch = scratch().set("mailbox.locks", "[\"fcntl\"]");
        fs::write(scratch.mailbox(), &before).unwrap();
        fs::set_permissions(scratch.mailbox(), fs::Permissions::from_mode(0o600)).unwrap();
        let over = AtomicBool::new(false);
        let (ended, came) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| grow(&scratch, &over));
            let path = scratch.mailbox();
            let ended = scratch.run(command).with(&[path.to_str().unwrap()]).go();
            over.store(true, Ordering::Relaxed);
            (ended, writer.join().unwrap())
        });
        // One that is changed again and again may give up and say so.
        let gave_up = ended.code == Some(1) && ended.stderr.contains("cannot ");
        assert!(ended.code == Some(0) || gave_up, "{command:?}: {}", ended.stderr);
        let (mail, archived) = (scratch.mail(), archived(&scratch));
        assert_eq!(
            messages(&mail).len() + messages(&archived).len(),
            20_000 + came,
            "{command:?}"
        );
        if !command.contains(&"archive") {
            assert!(mail.starts_with(before.as_bytes()), "{command:?}");
        }
    }
    let name = user_name();
    // For so long it catches up with what comes in.
    let scratch = scratch()
        .set("mailbox.locks", "[\"fcntl\"]")
        .set("mailbox.lock_timeout", "\"5s\"");
    fs::write(scratch.mailbox(), &before).unwrap();
    let archive = scratch.path(&name);
    fs::write(&archive, stored(7, OLD, "") + &stored(900_000, OLD, "")).unwrap();
    let over = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| grow(&scratch, &over));
        let ended = scratch
            .run(&["spool", "restore", "--yes", archive.to_str().unwrap()])
            .go();
        over.store(true, Ordering::Relaxed);
        ended
    });
    ended.check(matches!(ended.code, Some(0 | 1)), "restore");
    let back = memchr::memmem::find_iter(&scratch.mail(), stored(900_000, OLD, "").as_bytes()).count();
    assert_eq!(back, usize::from(ended.code == Some(0)), "{}", ended.story());
}

#[test]
fn a_mailbox_that_grows_without_end_is_given_up_and_left_alone() {
    const STEP_BYTES: u64 = 9 << 20;
    let scratch = scratch()
        .set("mailbox.locks", "[\"fcntl\"]")
        .set("mailbox.lock_timeout", "\"1s\"");
    let archive = scratch.path(&user_name());
    fs::write(&archive, stored(900_000, OLD, "")).unwrap();
    let said = "mail comes in faster than it is read, for longer than 1 s; run this again when less mail comes in: nothing comes twice";
    for _ in 0..20 {
        fs::write(scratch.mailbox(), stored(1, OLD, "")).unwrap();
        fs::set_permissions(scratch.mailbox(), fs::Permissions::from_mode(0o600)).unwrap();
        let over = AtomicBool::new(false);
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| {
                // Holes cost no room.
                let file = File::options().write(true).open(scratch.mailbox()).unwrap();
                let mut at = file.metadata().unwrap().len();
                while !over.load(Ordering::Relaxed) {
                    at += STEP_BYTES;
                    let text = format!("\n\n{}", stored(2, OLD, ""));
                    file.write_all_at(text.as_bytes(), at).unwrap();
                    at += text.len() as u64;
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            let ended = scratch
                .run(&["spool", "restore", "--yes", archive.to_str().unwrap()])
                .go();
            over.store(true, Ordering::Relaxed);
            ended
        });
        match ended.code {
            // Nobody wrote for a while.
            Some(0) => {}
            Some(1) => {
                assert!(ended.stderr.contains(said), "{}", ended.stderr);
                assert!(contains(&ended.stdout, b"restored 0 messages"));
                return;
            }
            _ => panic!("{:?} {}", ended.code, ended.stderr),
        }
    }
    panic!("it was read faster than it grew, each time");
}

#[test]
fn no_mbox_is_taken_for_a_user_whose_mail_is_put_elsewhere() {
    let scratch = Scratch::new().set("mailbox.location", "\"lmtp:/run/dovecot/lmtp\"");
    for command in [
        &["spool", "list"][..],
        &["spool", "list", "root"],
        &["spool", "archive", "--yes", "--all-mail", "root"],
        &["spool", "sweep", "--duplicates", "--yes", "--all"],
    ] {
        let ended = scratch.run(command).go();
        let said = ended.stderr.contains("only what lies on this host can be listed");
        ended.check(
            said && ended.stdout.is_empty(),
            "it says that nothing else is looked at",
        );
    }
}

#[test]
fn empty_lines_before_the_first_message_are_no_message() {
    let mail = stored(1, OLD, "") + &stored(2, OLD, "");
    for preamble in ["\n", "\r\n\n\n", "\u{feff}\n"] {
        let all = format!("{preamble}{mail}").len();
        for which in [
            vec!["--all-mail".to_owned()],
            vec!["--down-to".to_owned(), format!("{}B", all - 1)],
            vec!["--older-than".to_owned(), "30d".to_owned()],
        ] {
            let scratch = scratch();
            fs::write(scratch.mailbox(), format!("{preamble}{mail}")).unwrap();
            let which: Vec<&str> = which.iter().map(String::as_str).collect();
            let archive = ["spool", "archive", "--yes", &user_name()];
            scratch.run(&archive).with(&which).go().ends_with(0);
            for name in scratch.files("archives") {
                let restore = scratch.path("archives").join(name);
                let restore = ["spool", "restore", "--yes", restore.to_str().unwrap()];
                scratch.run(&restore).go().ends_with(0);
            }
            let found = fs::read_to_string(scratch.mailbox()).unwrap();
            for number in [1, 2] {
                assert_eq!(
                    found.matches(&stored(number, OLD, "")).count(),
                    1,
                    "{preamble:?} {which:?}"
                );
            }
        }
    }
    // A mailbox of nothing else is an empty one.
    for (content, counted) in [
        ("\n\n".to_owned(), ", 0 messages"),
        (format!("\n{mail}"), ", 2 messages"),
    ] {
        let scratch = scratch();
        fs::write(scratch.mailbox(), content).unwrap();
        fs::set_permissions(scratch.mailbox(), fs::Permissions::from_mode(0o600)).unwrap();
        let list = scratch.run(&["spool", "list"]).go();
        list.ends_with(0);
        let said = String::from_utf8_lossy(&list.stdout);
        assert!(said.contains(counted), "{said}");
    }
}
