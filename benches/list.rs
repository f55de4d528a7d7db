//! How long a look at many mailboxes takes, beside `grep -c '^From '` over the same files. Makes its own mail, in a
//! directory that goes with it, the same each time.
//!
//! ```text
//! cargo bench --bench list                                # 40 mailboxes, 512 MiB in all
//! cargo bench --bench list -- --mailboxes 200 --mib 5120 [--dir DIR]
//! ```
//!
//! "cold" is with the files out of the page cache (posix_fadvise(2)); "first" is without and "second" with what an
//! earlier look remembered. CPU time is that of all threads. A machine that does something else meanwhile shows only
//! the CPU times rightly.

// A report of figures is what it is for, and it ends where something goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use spoolguard::classify::classify;
use spoolguard::classify::verdict::Facts;
use spoolguard::mailbox::limited_file::LimitedFile;
use spoolguard::mailbox::reader::MboxReader;
use spoolguard::message::Message;
use spoolguard::message::address::{Address, OwnAddresses};
use spoolguard::message::envelope::Sender;
use spoolguard::spool::rules::summary::MessageSummary;
use spoolguard::sys::deadline::ReadLimit;

mod measure;

use measure::{Chance, Took, run};

fn main() {
    let mut mailboxes = 40;
    let mut mib = 512;
    let mut below = std::env::temp_dir();
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = arguments.next() {
        let mut value = || arguments.next().expect("a value behind each flag");
        match word.as_str() {
            "--mailboxes" => mailboxes = value().parse().expect("a number of mailboxes"),
            "--mib" => mib = value().parse().expect("a number of MiB"),
            "--dir" => below = PathBuf::from(value()),
            other => panic!("unknown word {other}"),
        }
    }
    let root = tempfile::Builder::new()
        .prefix("spoolguard-bench-")
        .tempdir_in(below)
        .unwrap();
    let spool = root.path().join("spool");
    fs::create_dir(&spool).unwrap();
    let paths = fill(&spool, mailboxes, mib << 20);
    let bytes: u64 = paths.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    let config = root.path().join("spoolguard.toml");
    fs::write(
        &config,
        format!(
            "state_dir = {:?}\n[mailbox]\nlocation = \"mbox:{}/%u\"\n[quota]\nlimit = \"100M\"\n[log]\nto = \"none\"\n",
            root.path().join("state"),
            spool.display()
        ),
    )
    .unwrap();
    let state = root.path().join("state");
    let look = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spoolguard"));
        command.arg("--config").arg(&config).args(["spool", "list", "--json"]);
        command
    };
    let grep = || {
        let mut command = Command::new("grep");
        command.args(["-c", "^From "]).args(&paths);
        command
    };
    println!(
        "{} mailboxes, {} MiB, {} processors\n",
        paths.len(),
        bytes >> 20,
        processors()
    );
    println!("| what | wall | CPU | MB/s |\n|---|---|---|---|");
    let row = |what: &str, took: Took| {
        let rate = bytes as f64 / took.wall.as_secs_f64() / 1e6;
        println!(
            "| {what} | {:.3} s | {:.3} s | {rate:.0} |",
            took.wall.as_secs_f64(),
            took.cpu.as_secs_f64()
        );
    };
    cool(&paths);
    row("`grep -c '^From '`, cold", run(&mut grep()));
    row("`grep -c '^From '`, cached", run(&mut grep()));
    cool(&paths);
    row("`spool list`, cold, first look", run(&mut look()));
    fs::remove_dir_all(&state).unwrap();
    row("`spool list`, cached, first look", run(&mut look()));
    cool(&paths);
    row("`spool list`, cold, second look", run(&mut look()));
    row("`spool list`, cached, second look", run(&mut look()));
    grow(&paths);
    row("`spool list`, cached, after 1 % came in", run(&mut look()));
    inside(&paths);
}

/// The parts of a look, one thread.
fn inside(paths: &[PathBuf]) {
    let mut own = OwnAddresses::new("+");
    own.add(Address::parse("a@a.test").expect("an address"));
    let facts = Facts {
        sender: &Sender::Unknown,
        own: &own,
        max_hops: 50,
        hosts: &[],
        relays: &[],
    };
    let walk = |judge: bool| {
        let begun = Instant::now();
        let (mut messages, mut bytes, mut reports) = (0_u64, 0_u64, 0_u64);
        for path in paths {
            let file = File::open(path).unwrap();
            let file = LimitedFile::new(&file, ReadLimit::until_stopped());
            let mut mbox = MboxReader::new(&file, 64 << 10).unwrap();
            while let Some(stored) = mbox.next().unwrap() {
                messages += 1;
                bytes += stored.bytes;
                if judge {
                    let message = Message::new(stored.head);
                    let judgement = classify(&message, &facts);
                    let letter = MessageSummary::read(&message, &judgement, stored.bytes);
                    reports += u64::from(!letter.labels.is_empty());
                }
            }
        }
        (begun.elapsed(), messages, bytes, reports)
    };
    let (splitting, messages, bytes, _) = walk(false);
    let (both, _, _, reports) = walk(true);
    let judging = both.saturating_sub(splitting).as_secs_f64();
    println!(
        "\none thread, cached: {messages} messages of {} bytes, {reports} of them reports; splitting {:.2} GB/s, judging {:.0} messages/s",
        bytes / messages,
        bytes as f64 / splitting.as_secs_f64() / 1e9,
        messages as f64 / judging
    );
}

fn processors() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

/// Takes the files out of the page cache.
fn cool(paths: &[PathBuf]) {
    for path in paths {
        let file = File::open(path).unwrap();
        file.sync_all().unwrap();
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
    }
}

/// Mailboxes of very different sizes: a few hold most of the mail, as it is everywhere.
fn fill(spool: &Path, mailboxes: u64, bytes: u64) -> Vec<PathBuf> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let weights: Vec<u64> = (0..mailboxes).map(|n| 1000 / (n + 3) + 1).collect();
    let all: u64 = weights.iter().sum();
    let mut paths = Vec::new();
    for (n, weight) in weights.iter().enumerate() {
        let path = spool.join(format!("user{n}"));
        let mut file = BufWriter::new(File::create(&path).unwrap());
        let mut left = i64::try_from(bytes / all * weight).unwrap();
        let mut number = 0;
        while left > 0 {
            number += 1;
            let text = message(n as u64, number, &mut chance);
            file.write_all(text.as_bytes()).unwrap();
            left -= i64::try_from(text.len()).unwrap();
        }
        file.flush().unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        paths.push(path);
    }
    paths
}

/// One more for each hundred.
fn grow(paths: &[PathBuf]) {
    let mut chance = Chance(77);
    for (n, path) in paths.iter().enumerate() {
        let mut left = i64::try_from(fs::metadata(path).unwrap().len() / 100).unwrap();
        let mut file = BufWriter::new(File::options().append(true).open(path).unwrap());
        while left > 0 {
            let text = message(n as u64, 1 << 40 | chance.next(1 << 30), &mut chance);
            file.write_all(text.as_bytes()).unwrap();
            left -= i64::try_from(text.len()).unwrap();
        }
        file.flush().unwrap();
    }
}

/// Every fifth user forwards to a dead address, so that nine tenths of the mail are reports; the others get mail of all
/// sorts.
fn message(user: u64, number: u64, chance: &mut Chance) -> String {
    if user.is_multiple_of(5) && chance.next(10) < 9 {
        report(number, chance)
    } else {
        let head = header(user, number, chance);
        match chance.next(20) {
            0 => attachment(&head, number, chance),
            1..5 => both_forms(&head, number, chance),
            _ => format!(
                "{head}Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\nStatus: RO\n\n{}\n",
                prose(300 + chance.next(5000), chance)
            ),
        }
    }
}

fn header(user: u64, number: u64, chance: &mut Chance) -> String {
    const SUBJECTS: [&str; 5] = [
        "lunch on friday",
        "Re: the plan for next week",
        "Fwd: photos",
        "Invoice",
        "Weekly report: numbers",
    ];
    let (sender, host) = (chance.next(60), chance.next(9));
    let subject = SUBJECTS[usize::try_from(chance.next(5)).unwrap()];
    let list = if chance.next(4) == 0 {
        format!("List-Id: <l{host}.lists.test>\nPrecedence: list\n")
    } else {
        String::new()
    };
    format!(
        "From sam{sender}@s{host}.test Mon Nov  2 10:00:00 2026\nReturn-Path: <sam{sender}@s{host}.test>\nX-Original-To: user{user}@a.test\nDelivered-To: user{user}@a.test\nReceived: from mx.s{host}.test (mx.s{host}.test [192.0.2.{host}])\n\tby mx.a.test (Postfix) with ESMTPS id 4A{number:010X}\n\tfor <user{user}@a.test>; Mon,  2 Nov 2026 10:00:00 +0000 (UTC)\nReceived: from [10.0.0.5] (client.s{host}.test [198.51.100.7])\n\tby mx.s{host}.test (Postfix) with ESMTPSA id 77{number:010X};\n\tMon,  2 Nov 2026 09:59:58 +0000 (UTC)\nDKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=s{host}.test; s=mail;\n\tt=1700000000; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\n\th=Date:From:To:Subject; b={}\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nFrom: Sam Sample {sender} <sam{sender}@s{host}.test>\nTo: User <user{user}@a.test>\nSubject: {subject} {number}\nMessage-ID: <{number}.{user}.{host}@s{host}.test>\n{list}MIME-Version: 1.0\nUser-Agent: Mutt/2.2\n",
        base64(240, chance)
    )
}

fn both_forms(head: &str, number: u64, chance: &mut Chance) -> String {
    let text = prose(800 + chance.next(3000), chance);
    format!(
        "{head}Content-Type: multipart/alternative; boundary=\"=-{number}\"\n\n--=-{number}\nContent-Type: text/plain; charset=utf-8\n\n{text}\n--=-{number}\nContent-Type: text/html; charset=utf-8\n\n<html><body style=\"font-family: sans\"><p>{text}</p></body></html>\n--=-{number}--\n\n"
    )
}

fn attachment(head: &str, number: u64, chance: &mut Chance) -> String {
    let text = prose(500, chance);
    let content = base64(20_000 + chance.next(130_000), chance);
    format!(
        "{head}Content-Type: multipart/mixed; boundary=\"=-{number}\"\n\n--=-{number}\nContent-Type: text/plain; charset=utf-8\n\n{text}\n--=-{number}\nContent-Type: application/pdf; name=x.pdf\nContent-Transfer-Encoding: base64\n\n{content}\n--=-{number}--\n\n"
    )
}

fn report(number: u64, chance: &mut Chance) -> String {
    let text = prose(200 + chance.next(1500), chance);
    format!(
        "From MAILER-DAEMON Mon Nov  2 10:00:00 2026\nReturn-Path: <>\nDelivered-To: a@a.test\nReceived: by mx.a.test (Postfix)\n\tid 4B{number:010X}; Mon,  2 Nov 2026 10:00:00 +0000 (UTC)\nDate: Mon,  2 Nov 2026 10:00:00 +0000 (UTC)\nFrom: MAILER-DAEMON@mx.a.test (Mail Delivery System)\nSubject: Undelivered Mail Returned to Sender\nTo: a@a.test\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"4B{number}.1/mx.a.test\"\nMessage-Id: <2026.4B{number:010X}@mx.a.test>\n\nThis is a MIME-encapsulated message.\n\n--4B{number}.1/mx.a.test\nContent-Description: Notification\nContent-Type: text/plain; charset=us-ascii\n\nThis is the mail system at host mx.a.test.\n\nI'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients. It's attached below.\n\n                   The mail system\n\n<b@b.test>: host mx.b.test[192.0.2.9] said: 550 5.1.1 <b@b.test>: Recipient address\n    rejected: User unknown (in reply to RCPT TO command)\n\n--4B{number}.1/mx.a.test\nContent-Description: Delivery report\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.a.test\nArrival-Date: Mon,  2 Nov 2026 10:00:00 +0000 (UTC)\n\nFinal-Recipient: rfc822; b@b.test\nOriginal-Recipient: rfc822;b@b.test\nAction: failed\nStatus: 5.1.1\nRemote-MTA: dns; mx.b.test\nDiagnostic-Code: smtp; 550 5.1.1 <b@b.test>: Recipient address rejected: User\n    unknown\n\n--4B{number}.1/mx.a.test\nContent-Description: Undelivered Message\nContent-Type: message/rfc822\n\nReturn-Path: <a@a.test>\nFrom: Sam <s@s.test>\nTo: a@a.test\nSubject: hello {number}\nX-Loop: a@a.test\nMessage-ID: <{number}@s.test>\n\n{text}\n--4B{number}.1/mx.a.test--\n\n"
    )
}

fn prose(length: u64, chance: &mut Chance) -> String {
    const WORDS: [&str; 16] = [
        "the", "mail", "server", "project", "meeting", "from", "people", "office", "attached", "notes", "exchange",
        "returned", "message", "with", "some", "box",
    ];
    let mut text = String::new();
    let mut line = 0;
    while (text.len() as u64) < length {
        let word = WORDS[usize::try_from(chance.next(16)).unwrap()];
        text.push_str(word);
        line += word.len() + 1;
        if line > 66 {
            text.push('\n');
            line = 0;
        } else {
            text.push(' ');
        }
    }
    text.push('\n');
    text
}

fn base64(length: u64, chance: &mut Chance) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    let mut groups = 0;
    while (text.len() as u64) < length {
        let mut bits = chance.next(u64::MAX);
        for _ in 0..10 {
            text.push(char::from(LETTERS[usize::try_from(bits & 63).unwrap()]));
            bits >>= 6;
        }
        groups += 1;
        if groups % 7 == 0 {
            // A blank, so that it may also stand in a header.
            text.push_str("\n ");
        }
    }
    text.trim_end().to_owned()
}
