//! Dovecot, maildrop and spoolguard deliver into one Maildir at once: every message is there, every name says how long
//! its file is, and behind a count all of them agree how full the Maildir is, to the byte. Before it, a few messages
//! may be counted twice, or not: each of the three writes `maildirsize` anew when it gets long, Maildir++ has no lock,
//! and the others hold the old file open meanwhile.
//!
//! And what Dovecot shows of a Maildir that spoolguard has taken mail out of, and put mail back into.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::letters::{self, Separators};
use crate::programs::{Writer, dovecot_configuration};
use crate::scratch::Scratch;

/// How many each of the three delivers, with how many at once.
const LETTERS: usize = 1000;
const SENDERS: usize = 2;

const LIMIT_BYTES: u64 = 1 << 30;

/// So many messages may be counted wrong: one for each that is on its way, at two of the six times or so that the file
/// is written anew.
const MOST_MISCOUNTED: u64 = 12;

fn maildir(scratch: &Scratch) -> PathBuf {
    scratch.at_home("Maildir")
}

fn set_up(scratch: &Scratch) {
    let path = maildir(scratch).display().to_string();
    let configuration = scratch.read(&scratch.configuration());
    let own = format!("mbox:{}/%u", scratch.spool().display());
    fs::write(
        scratch.configuration(),
        configuration.replace(&own, &format!("maildir:{path}")),
    )
    .unwrap();
    let conf = dovecot_configuration(
        scratch,
        &format!(
            "mail_location = maildir:{path}\nmail_plugins = quota\n\
             plugin {{\n  quota = maildir:User quota\n  quota_rule = *:bytes={LIMIT_BYTES}\n}}\n"
        ),
    );
    scratch.write_at_home("dovecot.conf", &conf);
    scratch.write_at_home(
        "maildroprc",
        &format!("MAILDIRQUOTA=\"{LIMIT_BYTES}S\"\nDEFAULT=\"{path}\"\n"),
    );
    let made = scratch.command("maildirmake").arg(&path).status().unwrap();
    assert!(made.success());
    scratch.write_at_home("Maildir/maildirsize", &format!("{LIMIT_BYTES}S\n"));
}

/// Delivers one message; a program that says that it should come again is told so.
fn deliver(scratch: &Scratch, writer: Writer, letter: &[u8]) {
    for _ in 0..50 {
        let mut child = writer
            .command(scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(letter).unwrap();
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            Some(0) => return,
            Some(75) => thread::sleep(Duration::from_millis(50)),
            _ => panic!("{}: {output:?}", writer.name()),
        }
    }
    panic!("{} defers again and again", writer.name());
}

fn said(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn doveadm(scratch: &Scratch, words: &[&str]) -> String {
    let mut command = scratch.command("doveadm");
    command.arg("-c").arg(scratch.at_home("dovecot.conf")).args(words);
    said(command)
}

/// Bytes and messages, as the lines of `maildirsize` say.
fn sums(scratch: &Scratch) -> (u64, u64) {
    let text = scratch.read(&maildir(scratch).join("maildirsize"));
    let mut sums = (0_i64, 0_i64);
    for line in text.lines().skip(1) {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<i64>().unwrap());
        sums.0 += numbers.next().unwrap();
        sums.1 += numbers.next().unwrap();
    }
    (sums.0.try_into().unwrap(), sums.1.try_into().unwrap())
}

/// What `spool list` counts.
fn ours(scratch: &Scratch) -> (u64, u64) {
    let mut command = scratch.command(scratch.program());
    command.arg("--config").arg(scratch.configuration());
    command.args(["spool", "list", "--json"]).arg(maildir(scratch).join(""));
    let line: serde_json::Value = serde_json::from_str(said(command).lines().next().unwrap()).unwrap();
    (line["size"].as_u64().unwrap(), line["messages"].as_u64().unwrap())
}

/// What Dovecot says: KiB, rounded up, and messages by its quota, and the bytes of all messages that it shows.
fn dovecots(scratch: &Scratch) -> (u64, u64, u64) {
    let quota = doveadm(scratch, &["-f", "tab", "quota", "get"]);
    let value = |kind: &str| {
        let line = quota.lines().find(|line| line.contains(kind)).unwrap();
        line.split('\t').nth(2).unwrap().parse::<u64>().unwrap()
    };
    let sizes = doveadm(
        scratch,
        &["-f", "tab", "fetch", "size.physical", "mailbox", "INBOX", "all"],
    );
    let bytes = sizes
        .lines()
        .skip(1)
        .map(|line| line.trim().parse::<u64>().unwrap())
        .sum();
    (value("STORAGE"), value("MESSAGE"), bytes)
}

pub fn three_programs_agree_how_full_a_maildir_is(scratch: &Scratch) {
    set_up(scratch);
    let writers = [Writer::Spoolguard, Writer::Maildrop, Writer::Dovecot];
    thread::scope(|scope| {
        for writer in writers {
            for sender in 0..SENDERS {
                scope.spawn(move || {
                    for number in 0..LETTERS / SENDERS {
                        let serial = format!("{}-{sender}-{number}", writer.name());
                        let bytes = 200 + number * 7 % 5000;
                        deliver(scratch, writer, &letters::letter(&serial, bytes, Separators::In));
                    }
                });
            }
        }
    });
    let all = (writers.len() * LETTERS) as u64;
    let (_, messages) = files(scratch);
    let (_, counted) = sums(scratch);
    println!("  {messages} messages, {counted} counted");
    assert_eq!(messages, all);
    assert!(
        counted.abs_diff(messages) <= MOST_MISCOUNTED,
        "maildirsize says {counted}"
    );
    count_anew(scratch);
    let (bytes, messages) = files(scratch);
    assert_eq!(messages, all + 1);
    assert_eq!(ours(scratch), (bytes, messages));
    assert_eq!(sums(scratch), (bytes, messages), "maildirsize");
    assert_eq!(dovecots(scratch), (bytes.div_ceil(1024), messages, bytes), "Dovecot");
    assert_eq!(sums(scratch), (bytes, messages), "maildirsize, read by Dovecot");
}

/// Delivers one more message under a limit of the administrator's, as if a day had gone by since the last count: it
/// does not go by what the user's file says.
fn count_anew(scratch: &Scratch) {
    let _ = fs::remove_dir_all(scratch.at_home("state").join("maildir-counted"));
    let configuration = scratch.read(&scratch.configuration());
    let limited = format!("{configuration}\n[quota]\nlimit = \"1G\"\n");
    fs::write(scratch.configuration(), limited).unwrap();
    deliver(
        scratch,
        Writer::Spoolguard,
        &letters::letter("last", 300, Separators::In),
    );
}

/// Bytes and messages, as the files are. What their names say is true.
fn files(scratch: &Scratch) -> (u64, u64) {
    let (mut bytes, mut messages) = (0, 0);
    for part in ["new", "cur"] {
        for entry in fs::read_dir(maildir(scratch).join(part)).unwrap().flatten() {
            let (name, length) = (
                entry.file_name().into_string().unwrap(),
                entry.metadata().unwrap().len(),
            );
            assert!(name.contains(&format!(",S={length}")), "{name} is {length} bytes long");
            let text = fs::read(entry.path()).unwrap();
            let crlf = length + memchr::memchr_iter(b'\n', &text).count() as u64;
            assert!(
                !name.contains(",W=") || name.contains(&format!(",W={crlf}")),
                "{name}: {crlf}"
            );
            bytes += length;
            messages += 1;
        }
    }
    (bytes, messages)
}

/// What Dovecot shows of each message: by its serial number the UID, the flags, when it came, and its sizes on disk and
/// on the wire.
fn shown(scratch: &Scratch) -> BTreeMap<String, (u64, String)> {
    let fields = "uid hdr.x-serial flags date.received size.physical size.virtual";
    let text = doveadm(scratch, &["-f", "tab", "fetch", fields, "mailbox", "INBOX", "all"]);
    let of_line = |line: &str| {
        let mut words: Vec<&str> = line.split('\t').collect();
        let (uid, serial) = (words.remove(0).parse().unwrap(), words.remove(0).to_owned());
        // Until somebody looks a message is recent, whoever brought it.
        let flags: Vec<&str> = words.remove(0).split(' ').filter(|flag| *flag != "\\Recent").collect();
        (serial, (uid, format!("{} {}", flags.join(" "), words.join(" "))))
    };
    text.lines().skip(1).map(of_line).collect()
}

/// A command of mailbox maintenance, on the user's Maildir.
fn care(scratch: &Scratch, words: &[&str]) {
    let mut command = scratch.command(scratch.program());
    command
        .arg("--config")
        .arg(scratch.configuration())
        .arg("spool")
        .args(words);
    said(command);
}

/// Twenty messages, of which half are seen; some have more flags.
pub fn dovecot_sees_what_an_archive_left_and_a_restore_brought_back(scratch: &Scratch) {
    set_up(scratch);
    for number in 0..20 {
        let writer = [Writer::Spoolguard, Writer::Maildrop, Writer::Dovecot][number % 3];
        deliver(
            scratch,
            writer,
            &letters::letter(&number.to_string(), 300 + 40 * number, Separators::In),
        );
    }
    let mark = |flags: &str, numbers: &str| {
        doveadm(scratch, &["flags", "add", flags, "mailbox", "INBOX", numbers]);
    };
    mark("\\Seen", "1:10");
    mark("\\Flagged \\Answered $Later", "3:5");
    let before = shown(scratch);
    assert_eq!(before.len(), 20);
    let uidlist = || scratch.read(&maildir(scratch).join("dovecot-uidlist"));
    let (list, path) = (uidlist(), maildir(scratch).join("").display().to_string());
    care(scratch, &["archive", "--yes", &path, "--seen"]);
    assert_eq!(uidlist(), list, "the UID list is Dovecot's");
    let left = shown(scratch);
    assert_eq!(left.len(), 10);
    assert!(
        left.iter().all(|(serial, message)| before[serial] == *message),
        "{left:?}\n{before:?}"
    );
    let list = uidlist();
    let [archive] = fs::read_dir(scratch.at_home("state/archive"))
        .unwrap()
        .flatten()
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    care(
        scratch,
        &["restore", "--yes", archive.path().to_str().unwrap(), "--mailbox", &path],
    );
    assert_eq!(uidlist(), list, "the UID list is Dovecot's");
    let after = shown(scratch);
    assert_eq!(after.len(), 20);
    let last = before.values().map(|(uid, _)| *uid).max().unwrap();
    for (serial, (uid, message)) in &after {
        assert_eq!(*message, before[serial].1, "{serial}");
        match left.get(serial) {
            Some((same, _)) => assert_eq!(uid, same, "{serial}"),
            // A UID is never used again (RFC 3501 section 2.3.1.1).
            None => assert!(*uid > last, "{serial}: {uid}"),
        }
    }
    let (bytes, messages) = files(scratch);
    assert_eq!((sums(scratch), ours(scratch)), ((bytes, messages), (bytes, messages)));
}
