//! Mailboxes far beyond what anybody should have: memory stays bounded, and what comes out is what went in. Sizes can
//! be given:
//!
//! ```text
//! SPOOLGUARD_LARGE_MIB=4096 SPOOLGUARD_LARGE_MESSAGES=5000000 cargo test --release --test suite huge_mailboxes --
//! --ignored --nocapture
//! ```

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::spool::archive::{OLD, scratch, stored};
use crate::support::{PROGRAM, Scratch, peak_bytes, user_name};

const YOUNG: &str = "Mon Nov  2 10:00:00 2026";

fn given(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(otherwise)
}

/// Runs a command, says how long it took and how much memory, and looks that it was no more than `most_mib`.
#[track_caller]
fn run(scratch: &Scratch, words: &[&str], most_mib: u64) {
    let begun = Instant::now();
    let mut child = Command::new(PROGRAM)
        .arg("--config")
        .arg(scratch.configuration())
        .args(words)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let status = loop {
        peak = peak.max(peak_bytes(child.id()).unwrap_or(0) >> 20);
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    println!("{words:?}: {:.1} s, {peak} MiB", begun.elapsed().as_secs_f64());
    assert!(matches!(status.code(), Some(0 | 1)), "{words:?}: {status}");
    assert!(peak <= most_mib, "{words:?} took {peak} MiB");
}

/// Everything that may be done with a mailbox. What is remembered of each message takes at most so many bytes.
fn everything(scratch: &Scratch, messages: u64) {
    let (name, mailbox) = (user_name(), scratch.mailbox().display().to_string());
    let bytes = fs::metadata(scratch.mailbox()).unwrap().len();
    let (flat, each) = (32, 32 + messages * 80 / (1 << 20));
    run(scratch, &["spool", "list", &mailbox], flat);
    run(scratch, &["inspect", &mailbox], flat);
    run(scratch, &["spool", "sweep", &name, "--dry-run"], flat);
    run(scratch, &["spool", "sweep", &name, "--duplicates", "--dry-run"], each);
    run(
        scratch,
        &[
            "spool",
            "archive",
            "--yes",
            &name,
            "--older-than",
            "1000d",
            "--lock-at-most",
            "600s",
        ],
        each,
    );
    let archive = scratch.files("archives")[0].display().to_string();
    run(scratch, &["spool", "restore", "--yes", "--list", &archive], flat);
    run(scratch, &["spool", "restore", "--yes", &archive], each);
    assert_eq!(fs::metadata(scratch.mailbox()).unwrap().len(), bytes);
    run(scratch, &["spool", "archive", "--yes", &name, "--all-mail"], flat);
    assert!(scratch.mail().is_empty());
}

#[test]
#[ignore = "takes minutes: a mailbox of many messages"]
fn many_small_messages_take_a_few_bytes_each() {
    let scratch = scratch();
    let messages = given("SPOOLGUARD_LARGE_MESSAGES", 50_000);
    let mut file = BufWriter::new(File::create(scratch.mailbox()).unwrap());
    for number in 0..u32::try_from(messages).unwrap() {
        let date = if number % 2 == 0 { OLD } else { YOUNG };
        file.write_all(stored(number, date, "").as_bytes()).unwrap();
    }
    file.flush().unwrap();
    everything(&scratch, messages);
}

#[test]
#[ignore = "takes minutes: one large message"]
fn one_large_message_takes_no_more_than_a_small_one() {
    let scratch = scratch();
    let mut file = File::create(scratch.mailbox()).unwrap();
    file.write_all(stored(1, OLD, "").trim_end().as_bytes()).unwrap();
    file.seek(SeekFrom::Start(given("SPOOLGUARD_LARGE_MIB", 256) << 20))
        .unwrap();
    file.write_all(format!("\n\n{}", stored(2, YOUNG, "")).as_bytes())
        .unwrap();
    drop(file);
    everything(&scratch, 2);
}
