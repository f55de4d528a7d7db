//! How long `spool archive` and `spool sweep` take, beside what an administrator types by hand over the same file, and
//! how long a delivery waits meanwhile. Makes its own mail, in a directory that goes with it, the same each time.
//!
//! ```text
//! cargo bench --bench archive                              # 128 MiB, and 10,000 messages to sweep
//! cargo bench --bench archive -- --mib 1024 --messages 100000 [--dir DIR]
//! ```
//!
//! Everything is read from the page cache, and written to the disk that holds DIR; what is typed by hand is not synced,
//! read back and compared, and `spool archive` is. CPU time is that of all threads. A machine that does something else
//! meanwhile shows only the CPU times rightly. Rows of programs that are not installed are left out.

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
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

mod measure;

use measure::{Chance, Took, run};

fn main() {
    let (mut mib, mut messages, mut below) = (128_u64, 10_000_u64, std::env::temp_dir());
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = arguments.next() {
        let mut value = || arguments.next().expect("a value behind each flag");
        match word.as_str() {
            "--mib" => mib = value().parse().expect("a number of MiB"),
            "--messages" => messages = value().parse().expect("a number of messages"),
            "--dir" => below = PathBuf::from(value()),
            other => panic!("unknown word {other}"),
        }
    }
    let root = tempfile::Builder::new()
        .prefix("spoolguard-bench-")
        .tempdir_in(below)
        .unwrap();
    let bench = Bench {
        root: root.path().to_owned(),
        user: nix::unistd::User::from_uid(nix::unistd::getuid())
            .unwrap()
            .unwrap()
            .name,
    };
    fs::create_dir(bench.path("spool")).unwrap();
    bench.archives(mib << 20);
    bench.sweeps(messages);
}

struct Bench {
    root: PathBuf,
    user: String,
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn mailbox(&self) -> PathBuf {
        self.path("spool").join(&self.user)
    }

    fn spoolguard(&self, format: &str, arguments: &[&str]) -> Command {
        let config = self.path("spoolguard.toml");
        let text = format!(
            "state_dir = {:?}\n[mailbox]\nlocation = \"mbox:{}/%u\"\nmin_free = \"0\"\n[archive]\ndir = {:?}\nformat = {format:?}\n[log]\nto = \"none\"\n",
            self.path("state"),
            self.path("spool").display(),
            self.path("archives"),
        );
        // Deliveries read it meanwhile.
        if !fs::read_to_string(&config).is_ok_and(|old| old == text) {
            fs::write(self.path("new.toml"), &text).unwrap();
            fs::rename(self.path("new.toml"), &config).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_spoolguard"));
        command.arg("--config").arg(config).args(arguments);
        command
    }

    /// One mailbox, archived in every way.
    fn archives(&self, bytes: u64) {
        let original = self.path("original");
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let count = fill(&original, &mut chance, |written, _| written < bytes, false);
        let bytes = fs::metadata(&original).unwrap().len();
        let processors = thread::available_parallelism().unwrap().get();
        println!(
            "archive: {count} messages, {} MiB, {processors} processors\n",
            bytes >> 20
        );
        println!("| what | wall | CPU | MB/s | size | locked | longest delivery |\n|---|---|---|---|---|---|---|");
        let (dir, user) = (self.path("spool").display().to_string(), &self.user);
        let by_hand = [
            ("tar", format!("tar czf {dir}/../by-hand -C {dir} {user}")),
            ("pigz", format!("tar cf - -C {dir} {user} | pigz >{dir}/../by-hand")),
            ("zstd", format!("tar cf - -C {dir} {user} | zstd -q >{dir}/../by-hand")),
        ];
        for (program, line) in by_hand {
            let found = Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if !found.is_ok_and(|status| status.success()) {
                continue;
            }
            fs::copy(&original, self.mailbox()).unwrap();
            let mut shell = Command::new("sh");
            let took = run(shell.args(["-ec", &line]));
            let size = fs::metadata(self.path("by-hand")).unwrap().len();
            let short = line
                .replace(&format!("{dir}/../by-hand"), "a")
                .replace(&format!("-C {dir} {user}"), "a")
                .replace('|', "\\|");
            row(&format!("`{short}`"), bytes, &took, size, "-", "-");
        }
        for (format, way) in [
            ("tar.gz", "--all-mail"),
            ("gz", "--all-mail"),
            ("zst", "--all-mail"),
            ("tar.gz", "--down-to"),
        ] {
            let half = format!("{}B", bytes / 2);
            let mut words = vec!["spool", "archive", "--yes", user, way];
            if way == "--down-to" {
                words.push(&half);
            }
            fs::copy(&original, self.mailbox()).unwrap();
            let took = run(&mut self.spoolguard(format, &words));
            let size = self.only_archive();
            // Once more, with deliveries.
            fs::copy(&original, self.mailbox()).unwrap();
            let longest = self.deliver_while(|| drop(run(&mut self.spoolguard(format, &words))));
            self.only_archive();
            let locked = took
                .said
                .split("locked for ")
                .nth(1)
                .and_then(|rest| rest.split(" ms").next())
                .unwrap_or("?");
            let what = format!("`spool archive {way}`, {format}");
            row(
                &what,
                bytes,
                &took,
                size,
                &format!("{locked} ms"),
                &format!("{} ms", longest.as_millis()),
            );
        }
        fs::write(self.mailbox(), b"").unwrap();
        let longest = self.deliver_while(|| thread::sleep(Duration::from_secs(3)));
        println!(
            "\nlongest delivery while nothing else is done: {} ms",
            longest.as_millis()
        );
    }

    /// The length of what lies in the directory of the archives, which is removed.
    fn only_archive(&self) -> u64 {
        let mut bytes = 0;
        for entry in fs::read_dir(self.path("archives")).unwrap() {
            let path = entry.unwrap().path();
            bytes += fs::metadata(&path).unwrap().len();
            fs::remove_file(path).unwrap();
        }
        bytes
    }

    /// Delivers a small message every few milliseconds while something is done. Says how long the slowest delivery
    /// took.
    fn deliver_while(&self, work: impl FnOnce()) -> Duration {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let deliveries = scope.spawn(|| {
                let mut longest = Duration::ZERO;
                while !over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let mut child = self
                        .spoolguard_as_is(&["deliver", "-a", "a@a.test", "-f", "s@s.test"])
                        .stdin(Stdio::piped())
                        .spawn()
                        .unwrap();
                    child.stdin.take().unwrap().write_all(b"Subject: new\n\nnew\n").unwrap();
                    assert!(child.wait().unwrap().success());
                    longest = longest.max(begun.elapsed());
                    thread::sleep(Duration::from_millis(5));
                }
                longest
            });
            work();
            over.store(true, Ordering::Relaxed);
            deliveries.join().unwrap()
        })
    }

    fn spoolguard_as_is(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spoolguard"));
        command
            .arg("--config")
            .arg(self.path("spoolguard.toml"))
            .args(arguments);
        command
    }

    /// A mailbox of which nine tenths are reports, swept, and put back.
    fn sweeps(&self, messages: u64) {
        let mut chance = Chance(7);
        fill(&self.mailbox(), &mut chance, |_, count| count < messages, true);
        let bytes = fs::metadata(self.mailbox()).unwrap().len();
        println!(
            "\nsweep: {messages} messages, nine tenths of them reports, {} MiB\n",
            bytes >> 20
        );
        println!("| what | wall | CPU | messages/s |\n|---|---|---|---|");
        let row = |what: &str, took: &Took| {
            println!(
                "| {what} | {:.2} s | {:.2} s | {:.0} |",
                took.wall.as_secs_f64(),
                took.cpu.as_secs_f64(),
                messages as f64 / took.wall.as_secs_f64()
            );
        };
        let user = &self.user;
        row(
            "`spool sweep --bounces`, only said",
            &run(&mut self.spoolguard("tar.gz", &["spool", "sweep", user, "--bounces", "--dry-run"])),
        );
        let took = run(&mut self.spoolguard("tar.gz", &["spool", "sweep", user, "--bounces", "--yes"]));
        row("`spool sweep --bounces --execute`", &took);
        let archive = fs::read_dir(self.path("archives"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let archive = archive.to_str().unwrap();
        row(
            "`spool restore` of what was swept",
            &run(&mut self.spoolguard("tar.gz", &["spool", "restore", "--yes", archive])),
        );
        row(
            "`spool restore`, all of it there",
            &run(&mut self.spoolguard("tar.gz", &["spool", "restore", "--yes", archive])),
        );
        println!("\n{}", took.said.lines().next().unwrap_or_default());
    }
}

fn row(what: &str, bytes: u64, took: &Took, size: u64, locked: &str, longest: &str) {
    println!(
        "| {what} | {:.2} s | {:.2} s | {:.0} | {:.1} MB | {locked} | {longest} |",
        took.wall.as_secs_f64(),
        took.cpu.as_secs_f64(),
        bytes as f64 / took.wall.as_secs_f64() / 1e6,
        size as f64 / 1e6,
    );
}

impl Chance {
    fn words(&mut self, bytes: u64, out: &mut String) {
        let begin = out.len() as u64;
        let mut line = 0;
        while (out.len() as u64) < begin + bytes {
            for _ in 0..2 + self.next(7) {
                out.push(char::from(b"etaoinshrdlucmfw"[usize::try_from(self.next(16)).unwrap()]));
            }
            line += 1;
            out.push(if line % 12 == 0 { '\n' } else { ' ' });
        }
        out.push('\n');
    }
    fn attachment(&mut self, bytes: u64, out: &mut String) {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for at in 1..=bytes {
            out.push(char::from(LETTERS[usize::try_from(self.next(64)).unwrap()]));
            if at % 76 == 0 {
                out.push('\n');
            }
        }
        out.push('\n');
    }
}

/// Writes messages as long as `more` says so of bytes and messages. Half of the bytes are attachments, as in the
/// mailbox of 78 MB that `tar czf` made 41 MB of; or nine messages of ten are reports.
fn fill(path: &Path, chance: &mut Chance, more: impl Fn(u64, u64) -> bool, reports: bool) -> u64 {
    let mut file = BufWriter::new(File::create(path).unwrap());
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (mut bytes, mut count) = (0, 0);
    while more(bytes, count) {
        count += 1;
        let mut text = if reports && count % 10 != 0 {
            report(count)
        } else {
            format!(
                "From s{0}@s.test Mon Nov  2 10:00:00 2026\nReturn-Path: <s{0}@s.test>\nReceived: from mx.s.test (mx.s.test [192.0.2.7])\n\tby mx.a.test (Postfix) with ESMTPS id 4A{count:010X}\n\tfor <a@a.test>; Mon,  2 Nov 2026 10:00:00 +0000 (UTC)\nFrom: Sam {0} <s{0}@s.test>\nTo: a@a.test\nSubject: number {count}\nMessage-ID: <{count}@s.test>\n\n",
                chance.next(60)
            )
        };
        let length = 300 + chance.next(5000);
        chance.words(length, &mut text);
        if !reports && count % 20 == 0 {
            let length = 20_000 + chance.next(100_000);
            chance.attachment(length, &mut text);
        }
        text.push('\n');
        bytes += text.len() as u64;
        file.write_all(text.as_bytes()).unwrap();
    }
    file.flush().unwrap();
    count
}

fn report(number: u64) -> String {
    format!(
        "From MAILER-DAEMON Mon Nov  2 10:00:00 2026\nReturn-Path: <>\nFrom: MAILER-DAEMON@mx.a.test (Mail Delivery System)\nSubject: Undelivered Mail Returned to Sender\nTo: a@a.test\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b{number}\"\nMessage-ID: <{number}.r@mx.a.test>\n\n--b{number}\nContent-Type: text/plain\n\n<b@b.test>: User unknown\n\n--b{number}\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.a.test\n\nFinal-Recipient: rfc822; b@b.test\nAction: failed\nStatus: 5.1.1\n\n--b{number}--\n"
    )
}
