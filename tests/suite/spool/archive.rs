//! `spool archive`: what goes is in an archive, what stays is byte for byte what it was, in the same file; whatever
//! comes between, every message is in one of the two.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::support::{ORDINARY, Scratch, contains, is_root, messages, same, skip, until, user_name};

/// A spool and a directory for archives.
pub fn scratch() -> Scratch {
    let scratch = Scratch::new();
    // Where it is not there, a user who is not root has one of their own.
    fs::create_dir(scratch.path("archives")).unwrap();
    let dir = format!("{:?}", scratch.path("archives").display().to_string());
    // Every archive is counted, however many runs there are.
    scratch.set("archive.dir", &dir).set("archive.keep", "0")
}

/// A message as it lies in a mailbox.
pub fn stored(number: u32, date: &str, fields: &str) -> String {
    format!(
        "From s{number}@s.test {date}\nFrom: s{number}@s.test\nMessage-ID: <{number}@s.test>\n{fields}Subject: {number}\n\nbody {number}\n\n"
    )
}

pub const OLD: &str = "Thu Jan  1 00:00:00 2015";

/// The time of the separator line of mail that came just now.
fn now() -> String {
    let output = Command::new("date")
        .args(["-u", "+%a %b %e %H:%M:%S %Y"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn archives(scratch: &Scratch) -> Vec<PathBuf> {
    scratch.files("archives")
}

/// What is in an archive, read by other programs than ours.
pub fn unpacked(path: &PathBuf) -> Vec<u8> {
    let (program, flags): (&str, &[&str]) = if path.to_string_lossy().ends_with(".tar.gz") {
        ("tar", &["xzOf"])
    } else {
        ("zcat", &[])
    };
    let output = Command::new(program).args(flags).arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// All archives, one behind the other.
pub fn archived(scratch: &Scratch) -> Vec<u8> {
    archives(scratch).iter().flat_map(unpacked).collect()
}

/// Every message of spool and archives, sorted.
fn everything(scratch: &Scratch) -> Vec<Vec<u8>> {
    let (mail, archived) = (scratch.mail(), archived(scratch));
    let mut all: Vec<Vec<u8>> = messages(&mail)
        .into_iter()
        .chain(messages(&archived))
        .map(<[u8]>::to_vec)
        .collect();
    all.sort();
    all
}

pub fn leftovers(scratch: &Scratch) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let files = scratch.files("spool").into_iter().chain(scratch.files("archives"));
    let mut names: Vec<_> = files.map(|path| name(&path)).collect();
    names.retain(|name| name.starts_with('.') || name.ends_with(".lock"));
    names
}

#[test]
fn all_mail_is_archived_and_the_mailbox_stays_the_same_file() {
    let scratch = scratch();
    let mail: String = (0..200).map(|n| stored(n, OLD, "")).collect();
    fs::write(scratch.mailbox(), &mail).unwrap();
    fs::set_permissions(scratch.mailbox(), fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(scratch.mailbox()).unwrap();
    let ended = scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--all-mail"])
        .go();
    ended.ends_with(0);
    let after = fs::metadata(scratch.mailbox()).unwrap();
    assert_eq!(
        (after.ino(), after.mode(), after.uid(), after.gid(), after.len()),
        (before.ino(), before.mode(), before.uid(), before.gid(), 0)
    );
    let [archive] = archives(&scratch).try_into().unwrap();
    same(&unpacked(&archive), mail.as_bytes());
    assert_eq!(fs::metadata(&archive).unwrap().mode() & 0o777, 0o600);
    assert_eq!(leftovers(&scratch), Vec::<String>::new());
    // Once more is harmless.
    scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--all-mail"])
        .go()
        .ends_with(0);
    assert_eq!(archives(&scratch).len(), 1);
    scratch.next_delivery_works();
}

#[test]
fn attributes_and_access_lists_stay() {
    // What setfattr(1) and setfacl(1) would do, in the form of acl(5) for Linux: user 12345 may read.
    const SET: &str = "import os, struct, sys\n\
        entries = [(1, 6, 0xffffffff), (2, 4, 12345), (4, 0, 0xffffffff), (16, 4, 0xffffffff), (32, 0, 0xffffffff)]\n\
        os.setxattr(sys.argv[1], 'user.kept', b'value')\n\
        os.setxattr(sys.argv[1], 'system.posix_acl_access', struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in entries))";
    const GET: &str =
        "import os, sys\nfor n in sorted(os.listxattr(sys.argv[1])): print(n, os.getxattr(sys.argv[1], n))";
    let scratch = scratch();
    let python = |code: &str| {
        Command::new("python3")
            .args(["-c", code])
            .arg(scratch.mailbox())
            .output()
    };
    fs::write(scratch.mailbox(), stored(1, OLD, "") + &stored(2, &now(), "")).unwrap();
    if !python(SET).is_ok_and(|output| output.status.success()) {
        return skip("needs python3, and a file system with attributes and access lists");
    }
    let before = python(GET).unwrap().stdout;
    assert!(contains(&before, b"user.kept") && contains(&before, b"posix_acl_access"));
    for flags in [&["--older-than", "1d"][..], &["--all-mail"]] {
        scratch
            .run(&["spool", "archive", "--yes", &user_name()])
            .with(flags)
            .go()
            .ends_with(0);
        same(&python(GET).unwrap().stdout, &before);
    }
    assert!(scratch.mail().is_empty());
}

#[test]
fn what_is_chosen_goes_and_the_rest_stays_byte_for_byte() {
    let now = now();
    let bounce = |number| {
        format!(
            "From MAILER-DAEMON {now}\nFrom: MAILER-DAEMON@h.test\nMessage-ID: <b{number}@h.test>\nSubject: Undelivered Mail Returned to Sender\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=\"x\"\n\n--x\n\nno\n--x\n\
             Content-Type: message/delivery-status\n\nReporting-MTA: dns; h.test\n\nFinal-Recipient: rfc822; b@b.test\n\
             Action: failed\nStatus: 5.1.1\n\n--x--\n\n"
        )
    };
    // With a Content-Length that hides a separator line: one that Dovecot wrote, or one that whoever sent it made up.
    // Only all mail takes it.
    let hidden = format!("{}\n", stored(90, OLD, ""));
    let lengthy = format!(
        "From d@s.test {now}\nSubject: d\nContent-Length: {}\nStatus: RO\n\n{hidden}\n",
        hidden.len()
    );
    let parts = [
        stored(1, OLD, "Status: RO\n"),
        stored(2, &now, ""),
        bounce(3),
        stored(4, OLD, ""),
        lengthy,
        bounce(6),
        stored(7, &now, "Status: O\n"),
    ];
    let mail: String = parts.concat();
    let down_to = (mail.len() - parts[..3].concat().len()).to_string() + "B";
    let cases: [(&[&str], &[usize]); 6] = [
        (&["--older-than", "30d"], &[0, 3]),
        (&["--seen"], &[0]),
        (&["--bounces"], &[2, 5]),
        (&["--seen", "--older-than", "1d"], &[0]),
        (&["--down-to", &down_to], &[0, 1, 2]),
        (&["--all-mail"], &[0, 1, 2, 3, 4, 5, 6]),
    ];
    for (flags, goes) in cases {
        for format in ["tar.gz", "gz"] {
            let scratch = scratch().set("archive.format", &format!("{format:?}"));
            fs::write(scratch.mailbox(), &mail).unwrap();
            let rehearsed = scratch
                .run(&["spool", "archive", "--yes", &user_name(), "--dry-run"])
                .with(flags)
                .go();
            rehearsed.ends_with(0);
            let said = String::from_utf8_lossy(&rehearsed.stdout).into_owned();
            let noun = if goes.len() == 1 { "message" } else { "messages" };
            assert!(
                said.contains(&format!("would take {} {noun} (", goes.len())),
                "{flags:?}: {said}"
            );
            same(&scratch.mail(), mail.as_bytes());
            assert!(archives(&scratch).is_empty());
            scratch
                .run(&["spool", "archive", "--yes", &user_name()])
                .with(flags)
                .go()
                .ends_with(0);
            let (went, stays): (Vec<_>, Vec<_>) = (0..parts.len()).partition(|number| goes.contains(number));
            let of = |numbers: &[usize]| numbers.iter().map(|number| parts[*number].as_str()).collect::<String>();
            same(&scratch.mail(), of(&stays).as_bytes());
            same(&archived(&scratch), of(&went).as_bytes());
            assert_eq!(leftovers(&scratch), Vec::<String>::new());
        }
    }
}

#[test]
fn mail_that_comes_meanwhile_stays() {
    let scratch = scratch();
    let first: String = (0..50).map(|n| stored(n, OLD, "")).collect();
    fs::write(scratch.mailbox(), &first).unwrap();
    let mut sent: Vec<Vec<u8>> = messages(first.as_bytes()).into_iter().map(<[u8]>::to_vec).collect();
    let flags: [&[&str]; 3] = [&["--all-mail"], &["--down-to", "3000B"], &["--older-than", "1d"]];
    let mut rounds = 0;
    std::thread::scope(|scope| {
        let deliveries = scope.spawn(|| {
            for number in 1000..1150 {
                let message = stored(number, OLD, "")
                    .split_once('\n')
                    .unwrap()
                    .1
                    .trim_end()
                    .to_owned()
                    + "\n";
                scratch.deliver(message.as_bytes()).go().succeeds();
            }
        });
        while !deliveries.is_finished() {
            let ended = scratch
                .run(&["spool", "archive", "--yes", &user_name()])
                .with(flags[rounds % 3])
                .go();
            ended.ends_with(0);
            rounds += 1;
        }
        deliveries.join().unwrap();
    });
    assert!(rounds >= 3, "only {rounds} runs while mail came");
    // The separator line of a delivery has the time of the delivery.
    let numbers = |all: Vec<Vec<u8>>| {
        let mut ids: Vec<String> = all
            .iter()
            .map(|message| {
                String::from_utf8_lossy(message)
                    .lines()
                    .find(|line| line.starts_with("Message-ID"))
                    .unwrap()
                    .to_owned()
            })
            .collect();
        ids.sort();
        ids
    };
    sent.extend((1000..1150).map(|number| stored(number, OLD, "").into_bytes()));
    assert_eq!(numbers(everything(&scratch)), numbers(sent));
    assert_eq!(leftovers(&scratch), Vec::<String>::new());
}

#[test]
fn the_new_mail_mark_is_kept_only_while_something_unread_stays() {
    let times = |scratch: &Scratch| {
        let stat = fs::metadata(scratch.mailbox()).unwrap();
        (stat.accessed().unwrap(), stat.modified().unwrap())
    };
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for (stays, accessed, modified, is_new) in [
        ("", 1000, 2000, true),
        ("Status: RO\n", 1000, 2000, false),
        ("", 2000, 1000, false),
    ] {
        let scratch = scratch();
        let mail = stored(1, OLD, "") + &stored(2, &now(), stays);
        fs::write(scratch.mailbox(), mail).unwrap();
        let file = fs::File::options().write(true).open(scratch.mailbox()).unwrap();
        let set = fs::FileTimes::new()
            .set_accessed(at(accessed))
            .set_modified(at(modified));
        file.set_times(set).unwrap();
        scratch
            .run(&["spool", "archive", "--yes", &user_name(), "--older-than", "1d"])
            .go()
            .ends_with(0);
        let (accessed, modified) = times(&scratch);
        assert_eq!(modified > accessed, is_new, "{stays:?}");
        scratch
            .run(&["spool", "archive", "--yes", &user_name(), "--all-mail"])
            .go()
            .ends_with(0);
        let (accessed, modified) = times(&scratch);
        assert!(modified <= accessed, "an empty mailbox has no new mail");
    }
}

#[test]
fn what_imap_servers_keep_in_the_first_message_is_carried_over() {
    const BASE: &str = "X-IMAPbase: 1793620860 0000000012 $Label1\n";
    let first = stored(1, OLD, BASE);
    let second = stored(2, &now(), "");
    let scratch = scratch();
    fs::write(scratch.mailbox(), first.clone() + &second).unwrap();
    scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--older-than", "1d"])
        .go()
        .ends_with(0);
    let (line, rest) = second.split_once('\n').unwrap();
    let carried = format!("{line}\n{BASE}{rest}");
    same(&scratch.mail(), carried.as_bytes());
    same(&archived(&scratch), first.as_bytes());
    // Where nothing stays, a message of the server's own holds it; that one stays from then on.
    scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--all-mail"])
        .go()
        .ends_with(0);
    let internal = scratch.mail();
    let text = String::from_utf8_lossy(&internal);
    assert!(text.starts_with("From MAILER-DAEMON "), "{text}");
    assert!(text.contains("\nX-IMAP: 1793620860 0000000012 $Label1\n"), "{text}");
    scratch.next_delivery_works();
    scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--all-mail"])
        .go()
        .ends_with(0);
    same(&scratch.mail(), &internal);
}

#[test]
fn what_is_no_mailbox_is_named_and_left_alone() {
    let scratch = scratch();
    let spool = scratch.path("spool");
    fs::write(spool.join("text"), "no separator line\n").unwrap();
    fs::write(scratch.path("secret"), stored(1, OLD, "")).unwrap();
    symlink(scratch.path("secret"), spool.join("link")).unwrap();
    fs::write(spool.join("two"), stored(1, OLD, "")).unwrap();
    fs::hard_link(spool.join("two"), scratch.path("two-more")).unwrap();
    nix::unistd::mkfifo(&spool.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(spool.join("dir")).unwrap();
    fs::write(spool.join("good"), stored(1, OLD, "")).unwrap();
    for (name, cause) in [
        ("text", "it does not begin with a separator line"),
        ("link", "it is a symbolic link"),
        ("two", "it has more than one link"),
        ("fifo", "it is no regular file"),
        ("dir", "it is a directory"),
        ("absent", "there is no such mailbox"),
        ("../secret", "this is no user name"),
    ] {
        if name != "../secret" {
            let ended = scratch.run(&["spool", "archive", "--yes", name, "--all-mail"]).go();
            ended.ends_with(1).mentions("cannot ").mentions(cause);
        }
    }
    // One that fails does not stop the others.
    let ended = scratch.run(&["spool", "archive", "--yes", "--all", "--all-mail"]).go();
    ended.ends_with(1);
    assert_eq!(fs::read(spool.join("good")).unwrap(), b"");
    assert_eq!(archives(&scratch).len(), 1);
    assert_eq!(fs::read(scratch.path("secret")).unwrap(), stored(1, OLD, "").as_bytes());
    assert_eq!(fs::read(spool.join("two")).unwrap(), stored(1, OLD, "").as_bytes());
    assert_eq!(fs::read(spool.join("text")).unwrap(), b"no separator line\n");
    assert!(!spool.join("absent").exists());
}

#[test]
fn a_last_message_that_was_cut_short_goes_or_stays_as_it_is() {
    let whole = stored(1, OLD, "");
    let torn = "From s2@s.test Thu Jan  1 00:00:00 2015\nSubject: torn";
    let scratch = scratch();
    fs::write(scratch.mailbox(), whole.clone() + torn).unwrap();
    scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--down-to", "60B"])
        .go()
        .ends_with(0);
    same(&scratch.mail(), torn.as_bytes());
    scratch.next_delivery_works();
    let with_torn = scratch.mail();
    scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--older-than", "1d"])
        .go()
        .ends_with(0);
    assert!(scratch.mail().starts_with(b"From s@s.test "));
    assert!(with_torn.ends_with(&scratch.mail()));
}

#[test]
fn a_mailbox_that_somebody_holds_is_left_alone() {
    let scratch = scratch().set("mailbox.lock_timeout", "\"1s\"");
    let mail = stored(1, OLD, "");
    fs::write(scratch.mailbox(), &mail).unwrap();
    fs::write(scratch.dotlock(), "1").unwrap();
    let ended = scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--all-mail"])
        .go();
    ended.ends_with(1).mentions("for longer than 1 s");
    same(&scratch.mail(), mail.as_bytes());
    assert!(archives(&scratch).is_empty());
}

#[test]
fn an_archive_directory_that_cannot_be_used_changes_nothing() {
    if !is_root() {
        return skip("a user who may not write to it has one of their own");
    }
    let scratch = scratch();
    fs::remove_dir(scratch.path("archives")).unwrap();
    fs::write(scratch.path("archives"), "a file").unwrap();
    let mail = stored(1, OLD, "");
    fs::write(scratch.mailbox(), &mail).unwrap();
    let ended = scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--all-mail"])
        .go();
    ended.ends_with(1).mentions("--to");
    same(&scratch.mail(), mail.as_bytes());
    let other = scratch.path("other").display().to_string();
    scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--all-mail", "--to", &other])
        .go()
        .ends_with(0);
    assert!(scratch.mail().is_empty());
    assert_eq!(scratch.files("other").len(), 1);
}

#[test]
fn a_file_size_limit_in_the_middle_changes_nothing() {
    let scratch = scratch();
    let mail: String = (0..400)
        .map(|n| stored(n, if n % 2 == 0 { OLD } else { "Mon Nov  2 10:00:00 2026" }, ""))
        .collect();
    fs::write(scratch.mailbox(), &mail).unwrap();
    // In units of 512 bytes: in the archive, in the journal, in what is appended. The mailbox has some 90.
    for blocks in [0, 1, 4, 20, 40] {
        let ended = scratch
            .run(&["spool", "archive", "--yes", &user_name(), "--older-than", "1000d"])
            .shell(&format!("ulimit -f {blocks}"))
            .go();
        ended.ends_with(1);
        same(&scratch.mail(), mail.as_bytes());
        assert!(
            archives(&scratch)
                .iter()
                .all(|path| path.to_string_lossy().ends_with(".tar.gz"))
        );
        assert!(!scratch.dotlock().exists());
    }
    scratch.next_delivery_works();
}

#[test]
fn roots_journal_is_finished_by_the_users_delivery() {
    if !is_root() {
        return skip("needs root, to archive for somebody else");
    }
    // A spool as Debian has it: the user can make no file in it.
    let scratch = scratch();
    let uid = 54_321;
    let spool = scratch.path("spool");
    fs::set_permissions(&spool, fs::Permissions::from_mode(0o755)).unwrap();
    let mailbox = spool.join(uid.to_string());
    let mail = stored(1, OLD, "") + &stored(2, &now(), "");
    fs::write(&mailbox, &mail).unwrap();
    std::os::unix::fs::chown(&mailbox, Some(uid), Some(uid)).unwrap();
    if !strace_works() {
        return skip("needs strace, and leave to use it");
    }
    let name = uid.to_string();
    let log = scratch.path("trace");
    // Killed when the mailbox was cut off, and nothing appended yet.
    let ended = scratch
        .run(&["spool", "archive", "--yes", &name, "--older-than", "1d"])
        .shell_line(&format!(
            "exec strace -f -o '{}' -e trace=pwrite64 -e inject=pwrite64:signal=KILL:when=2 \"$@\"",
            log.display()
        ))
        .variable("PATH", "/usr/bin:/bin")
        .go();
    ended.check(ended.code != Some(0), "it was not killed");
    assert_eq!(
        fs::metadata(&mailbox).unwrap().len(),
        0,
        "{}",
        fs::read_to_string(&log).unwrap()
    );
    assert!(spool.join(format!("{name}.lock")).exists());
    fs::set_permissions(scratch.path("state"), fs::Permissions::from_mode(0o777)).unwrap();
    let ended = scratch.deliver(ORDINARY).uid(uid).go();
    ended.succeeds();
    let after = fs::read(&mailbox).unwrap();
    let stays = stored(2, &now(), "");
    let (_, stays) = stays.split_once('\n').unwrap();
    assert!(messages(&after)[0].ends_with(stays.as_bytes()), "{}", ended.story());
    assert_eq!(messages(&after).len(), 2);
    // It could not be removed, and says nothing any more.
    assert_eq!(
        fs::read(spool.join(format!(".{name}.spoolguard-cut"))).unwrap(),
        b"spoolguard done!"
    );
    scratch
        .run(&["spool", "archive", "--yes", &name, "--all-mail"])
        .go()
        .ends_with(0);
    assert_eq!(fs::read(&mailbox).unwrap(), b"");
}

#[test]
fn without_rights_in_the_spool_the_journal_is_kept_at_home() {
    if !is_root() {
        return skip("needs root, to make a spool directory of somebody else's");
    }
    if !strace_works() {
        return skip("needs strace, and leave to use it");
    }
    let scratch = scratch();
    let uid = 54_322;
    let mailbox = scratch.path("spool").join(uid.to_string());
    let archives = scratch.path("own");
    fs::create_dir(&archives).unwrap();
    let mail = stored(1, OLD, "") + &stored(2, "Mon Nov  2 10:00:00 2026", "");
    fs::write(&mailbox, &mail).unwrap();
    for path in [&mailbox, &archives, &scratch.path("state"), &scratch.path("home")] {
        std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    }
    let (name, to) = (uid.to_string(), archives.display().to_string());
    let arguments = ["spool", "archive", "--yes", &name, "--older-than", "3650d", "--to", &to];
    let killed = scratch
        .run(&arguments)
        .uid(uid)
        .shell_line("exec strace -f -o /dev/null -e trace=pwrite64 -e inject=pwrite64:signal=KILL:when=2 \"$@\"")
        .variable("PATH", "/usr/bin:/bin")
        .go();
    killed.check(killed.code != Some(0), "it was not killed");
    assert_eq!(fs::metadata(&mailbox).unwrap().len(), 0, "{}", killed.story());
    assert_eq!(scratch.files("spool").len(), 1, "{:?}", scratch.files("spool"));
    assert_eq!(scratch.files("state/cut").len(), 1);
    scratch.deliver(ORDINARY).uid(uid).go().succeeds();
    let after = fs::read(&mailbox).unwrap();
    let stays = stored(2, "Mon Nov  2 10:00:00 2026", "");
    assert!(
        after.starts_with(stays.as_bytes()) && messages(&after).len() == 2,
        "{}",
        killed.story()
    );
    assert!(scratch.files("state/cut").is_empty());
    scratch
        .run(&["spool", "archive", "--yes", &name, "--all-mail", "--to", &to])
        .uid(uid)
        .go()
        .ends_with(0);
    assert_eq!(fs::read(&mailbox).unwrap(), b"");
}

pub fn strace_works() -> bool {
    Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Runs a command under strace(1) with these flags.
pub fn traced(scratch: &Scratch, arguments: &[&str], flags: &str) -> Option<i32> {
    scratch
        .run(arguments)
        .shell_line(&format!("exec strace -f {flags} \"$@\""))
        .variable("PATH", "/usr/bin:/bin")
        .go()
        .code
}

/// The system calls of an undisturbed run, each with how many of its name there were up to it: that is how strace
/// counts.
pub fn calls(mail: &str, arguments: &[&str]) -> Vec<(String, u32)> {
    let scratch = scratch();
    fs::write(scratch.mailbox(), mail).unwrap();
    let trace = scratch.path("trace");
    let code = traced(&scratch, arguments, &format!("-o '{}'", trace.display()));
    assert_eq!(code, Some(0));
    counted(&fs::read_to_string(trace).unwrap())
}

/// The system calls of a trace with process numbers, counted as strace does: each thread by itself. Other processes
/// than the one that does the work are left out, as their end is no end of the run.
pub fn counted(text: &str) -> Vec<(String, u32)> {
    let called = |line: &str| {
        let (before, _) = line.split_once('(')?;
        let mut words = before.split_ascii_whitespace();
        let (pid, name) = (words.next()?.to_owned(), words.last()?.to_owned());
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then_some((pid, name))
    };
    let calls: Vec<(String, String)> = text.lines().filter_map(called).collect();
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for (pid, _) in &calls {
        *numbers.entry(pid).or_default() += 1;
    }
    let busiest = numbers
        .into_iter()
        .max_by_key(|(_, number)| *number)
        .map(|(pid, _)| pid);
    let ends = |name: &str| name == "execve" || name == "exit_group";
    let others: BTreeSet<_> = calls
        .iter()
        .filter(|(pid, name)| Some(pid.as_str()) != busiest && ends(name))
        .map(|(pid, _)| pid.clone())
        .collect();
    let mut counts = BTreeMap::new();
    // How often somebody looks whether another one has ended is chance.
    let varies = |name: &str| ["wait4", "poll", "futex"].contains(&name);
    let own = calls
        .into_iter()
        .filter(|(pid, name)| !others.contains(pid) && !ends(name) && !varies(name));
    own.map(|(pid, name)| {
        let count = counts.entry((pid, name.clone())).or_insert(0);
        *count += 1;
        (name, *count)
    })
    .collect()
}

/// After a kill at each `step`th system call, a delivery finds everything in order.
fn killed_everywhere(step: usize, flags: &[&str]) {
    if !strace_works() {
        return skip("needs strace, and leave to use it");
    }
    let now = now();
    let parts: Vec<String> = (0..6)
        .map(|n| stored(n, if n % 2 == 0 { OLD } else { &now }, ""))
        .collect();
    let mail = parts.concat();
    let name = user_name();
    let arguments: Vec<&str> = ["spool", "archive", "--yes", &name]
        .into_iter()
        .chain(flags.iter().copied())
        .collect();
    let calls = calls(&mail, &arguments);
    assert!(calls.len() > 100, "{calls:?}");
    // The first ones start the program.
    for (number, (call, count)) in calls.iter().enumerate().skip(60).step_by(step) {
        let at = format!("killed at {call} {count}");
        let scratch = scratch();
        fs::write(scratch.mailbox(), &mail).unwrap();
        let inject = format!("-o /dev/null -e trace={call} -e inject={call}:signal=KILL:when={count}");
        let code = traced(&scratch, &arguments, &inject);
        assert_ne!(code, Some(0), "{at}");
        // Somebody who knows nothing of us may be first; every third time.
        let foreign = stored(77, &now, "");
        let glued = number % 3 == 0;
        if glued {
            let mut file = fs::File::options().append(true).open(scratch.mailbox()).unwrap();
            std::io::Write::write_all(&mut file, foreign.as_bytes()).unwrap();
        }
        scratch.deliver(ORDINARY).go().succeeds();
        let mut want: Vec<Vec<u8>> = parts.iter().map(|part| part.clone().into_bytes()).collect();
        want.extend(glued.then(|| foreign.clone().into_bytes()));
        let mail = scratch.mail();
        let (last, rest) = messages(&mail)
            .split_last()
            .map(|(last, rest)| (last.to_vec(), rest.to_vec()))
            .unwrap();
        assert!(
            last.ends_with(ORDINARY) || last.ends_with(&[ORDINARY, b"\n"].concat()),
            "{at}"
        );
        let archived: Vec<u8> = archived_whole(&scratch);
        let mut found: Vec<Vec<u8>> = rest.iter().map(|message| message.to_vec()).collect();
        found.extend(messages(&archived).into_iter().map(<[u8]>::to_vec));
        found.sort();
        want.sort();
        // In both is allowed; in neither is not, nor in the mailbox twice.
        let mut once = rest.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), rest.len(), "{at}: a message is in the mailbox twice");
        found.dedup();
        assert_eq!(found.len(), want.len(), "{at}");
        for (found, want) in found.iter().zip(&want) {
            same(found, want);
        }
        let order: Vec<_> = rest.iter().map(|message| message.to_vec()).collect();
        let mut sorted = order.clone();
        sorted.sort();
        assert_eq!(order, sorted, "{at}: the order changed");
        assert!(!scratch.dotlock().exists(), "{at}");
        // The next run works, and removes what the killed one left.
        scratch.run(&arguments).go().ends_with(0);
        assert_eq!(leftovers(&scratch), Vec::<String>::new(), "{at}");
    }
}

/// What is in the archives that have their names.
pub fn archived_whole(scratch: &Scratch) -> Vec<u8> {
    let whole = archives(scratch);
    whole
        .iter()
        .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'))
        .flat_map(unpacked)
        .collect()
}

#[test]
fn a_kill_at_some_system_calls_leaves_every_message_somewhere() {
    killed_everywhere(23, &["--older-than", "1d"]);
}

#[test]
#[ignore = "takes minutes: a run for each system call"]
fn a_kill_at_every_system_call_leaves_every_message_somewhere() {
    killed_everywhere(1, &["--older-than", "1d"]);
    killed_everywhere(1, &["--all-mail"]);
}

/// More than is hashed under the lock.
fn large_mailbox(scratch: &Scratch) -> Vec<u8> {
    let body = "a line of text, and another one like it\n".repeat(400);
    let mail: String = (0..4400).map(|n| stored(n, OLD, "").replace("body", &body)).collect();
    assert!(mail.len() > 66 << 20);
    fs::write(scratch.mailbox(), &mail).unwrap();
    mail.into_bytes()
}

#[test]
fn mail_that_keeps_coming_to_a_large_mailbox_stays() {
    let scratch = scratch();
    let mail = large_mailbox(&scratch);
    let name = user_name();
    let mut run = scratch.run(&["spool", "archive", "--yes", &name, "--all-mail"]).start();
    let mut sent = 0;
    while !run.is_over() {
        scratch.deliver(ORDINARY).go().succeeds();
        sent += 1;
    }
    run.end().ends_with(0);
    assert!(sent > 2);
    let (archived, left) = (archived(&scratch), scratch.mail());
    assert!(archived.starts_with(&mail));
    let came = messages(&archived[mail.len()..]).len() + messages(&left).len();
    assert_eq!(came, sent);
}

#[test]
fn a_mailbox_rewritten_meanwhile_is_archived_as_it_is_then() {
    let scratch = scratch();
    let mut mail = large_mailbox(&scratch);
    // In the header of the second message.
    let at = mail.windows(11).position(|part| part == b"Subject: 1\n").unwrap();
    let name = user_name();
    let mut run = scratch.run(&["spool", "archive", "--yes", &name, "--all-mail"]).start();
    // Something of it is written, so the beginning was read.
    let begun = || {
        archives(&scratch)
            .iter()
            .any(|path| fs::metadata(path).is_ok_and(|stat| stat.len() > 0))
    };
    until("packing has begun", || begun() || run.is_over());
    // The same length, as a program does that keeps room for its marks.
    assert!(!run.is_over(), "it was too fast for this test");
    mail[at + 9] = b'8';
    let file = fs::File::options().write(true).open(scratch.mailbox()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"8", at as u64 + 9).unwrap();
    run.end().ends_with(0);
    assert!(scratch.mail().is_empty());
    same(&archived(&scratch), &mail);
}

#[test]
fn two_at_once_do_not_meet() {
    let scratch = scratch();
    let mail: String = (0..2000).map(|n| stored(n, OLD, "")).collect();
    fs::write(scratch.mailbox(), &mail).unwrap();
    let name = user_name();
    let runs: Vec<_> = (0..4)
        .map(|_| scratch.run(&["spool", "archive", "--yes", &name, "--all-mail"]).start())
        .collect();
    for run in runs {
        let ended = run.end();
        ended.check(matches!(ended.code, Some(0 | 1)), "the status");
    }
    scratch
        .run(&["spool", "archive", "--yes", &name, "--all-mail"])
        .go()
        .ends_with(0);
    assert!(scratch.mail().is_empty());
    let mut all = everything(&scratch);
    all.dedup();
    assert_eq!(all.len(), 2000);
    assert_eq!(leftovers(&scratch), Vec::<String>::new());
}

#[test]
fn a_signal_before_the_cut_changes_nothing() {
    let scratch = scratch();
    let mail: String = (0..200_000).map(|n| stored(n, OLD, "")).collect();
    fs::write(scratch.mailbox(), &mail).unwrap();
    let mut run = scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--all-mail"])
        .start();
    until("packing has begun", || !archives(&scratch).is_empty() || run.is_over());
    run.signal(nix::sys::signal::Signal::SIGTERM);
    let ended = run.end();
    ended.ends_with(1).mentions("signal");
    same(&scratch.mail(), mail.as_bytes());
    assert!(archives(&scratch).is_empty(), "{:?}", archives(&scratch));
}

#[test]
fn a_cut_that_would_hold_the_lock_for_too_long_is_not_begun() {
    let scratch = scratch();
    let mail = stored(1, OLD, "") + &stored(2, &now(), "");
    fs::write(scratch.mailbox(), &mail).unwrap();
    for (word, flags) in [
        ("archive", &["--older-than", "1d", "--yes"][..]),
        ("sweep", &["--duplicates", "--yes"]),
    ] {
        let mail = if word == "sweep" {
            mail.clone() + &stored(1, OLD, "") + &stored(3, OLD, "")
        } else {
            mail.clone()
        };
        fs::write(scratch.mailbox(), &mail).unwrap();
        let ended = scratch
            .run(&["spool", word, &user_name(), "--lock-at-most", "0s"])
            .with(flags)
            .go();
        ended
            .ends_with(1)
            .mentions("would be moved under the lock for about 1 s, and --lock-at-most is 0 s; nothing was taken out")
            .mentions("archive --all-mail moves nothing");
        same(&scratch.mail(), mail.as_bytes());
        assert!(archives(&scratch).is_empty());
        assert_eq!(leftovers(&scratch), Vec::<String>::new());
    }
    scratch
        .run(&[
            "spool",
            "archive",
            "--yes",
            &user_name(),
            "--lock-at-most",
            "0s",
            "--all-mail",
        ])
        .go()
        .ends_with(0);
    assert!(scratch.mail().is_empty());
}
