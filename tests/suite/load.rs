//! Many at once: 64 processes that deliver without a pause, to one mailbox and to a thousand. Nothing is lost, nothing comes twice, and
//! nobody waits for ever.
//!
//!     SPOOLGUARD_LOAD=10000 cargo test --release --test suite load -- --ignored --nocapture

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::env::{LIMIT, PROGRAM, Scratch, messages};

const WRITERS: usize = 64;

/// As many as the time of an ordinary run of all tests allows.
fn deliveries() -> usize {
    std::env::var("SPOOLGUARD_LOAD")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2000)
}

fn message(number: usize) -> Vec<u8> {
    // Of many lengths, so that no two appends have the same.
    format!("Subject: {number}\n\n{}\nend of {number}\n", "x".repeat(number % 3000)).into_bytes()
}

/// What the longest one waited, and how many had to be tried again.
struct Outcome {
    longest: Duration,
    whole: Duration,
    deferred: usize,
}

fn deliver_all(scratch: &Scratch, count: usize, mailbox_of: impl Fn(usize) -> PathBuf + Sync) -> Outcome {
    let next = AtomicUsize::new(0);
    let deferred = AtomicUsize::new(0);
    let longest = Mutex::new(Duration::ZERO);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let path = scratch.path(&format!("message-{number}"));
                    fs::write(&path, message(number)).unwrap();
                    let started = Instant::now();
                    // As a mail system does it, but at once.
                    while !deliver(scratch, &path, &mailbox_of(number)) {
                        deferred.fetch_add(1, Ordering::Relaxed);
                        assert!(started.elapsed() < 10 * LIMIT, "message {number} is never taken");
                    }
                    let mut longest = longest.lock().unwrap();
                    *longest = (*longest).max(started.elapsed());
                    fs::remove_file(path).unwrap();
                }
            });
        }
    });
    Outcome {
        longest: longest.into_inner().unwrap(),
        whole: begun.elapsed(),
        deferred: deferred.into_inner(),
    }
}

fn deliver(scratch: &Scratch, message: &std::path::Path, mailbox: &std::path::Path) -> bool {
    let status = Command::new(PROGRAM)
        .args(["deliver", "-a", "a@a.test", "-f", "s@s.test", "--config"])
        .arg(scratch.configuration())
        .arg("--mbox")
        .arg(mailbox)
        .env_clear()
        .env("HOME", scratch.path("home"))
        .stdin(fs::File::open(message).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    match status.code() {
        Some(0) => true,
        Some(75) => false,
        _ => panic!("a delivery ended with {status}"),
    }
}

fn check(scratch: &Scratch, count: usize, mailboxes: impl Iterator<Item = PathBuf>) {
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for path in mailboxes {
        let bytes = fs::read(path).unwrap();
        for message in messages(&bytes) {
            *seen.entry(crate::env::content(message).to_vec()).or_default() += 1;
        }
    }
    for number in 0..count {
        assert_eq!(seen.get(&message(number)), Some(&1), "message {number}");
    }
    assert_eq!(seen.len(), count, "something else lies there");
    let names = scratch.files("spool");
    assert!(
        !names.iter().any(|name| name.to_string_lossy().contains(".lock")),
        "{names:?}"
    );
}

#[test]
#[ignore = "takes a minute or two: 64 processes deliver to one mailbox"]
fn sixty_four_processes_and_one_mailbox() {
    let scratch = Scratch::new();
    let count = deliveries();
    let Outcome {
        longest,
        whole,
        deferred,
    } = deliver_all(&scratch, count, |_| scratch.mailbox());
    println!("{count} deliveries to one mailbox: {whole:?}, the longest {longest:?}, deferred {deferred}");
    check(&scratch, count, std::iter::once(scratch.mailbox()));
    assert!(
        longest < Duration::from_secs(60),
        "one was kept waiting for {longest:?}"
    );
}

#[test]
#[ignore = "takes a minute or two: 64 processes deliver to a thousand mailboxes"]
fn sixty_four_processes_and_a_thousand_mailboxes() {
    let scratch = Scratch::new();
    let count = deliveries();
    let mailbox_of = |number: usize| scratch.path("spool").join(format!("u{}", number % 1000));
    let Outcome {
        longest,
        whole,
        deferred,
    } = deliver_all(&scratch, count, mailbox_of);
    println!("{count} deliveries to a thousand mailboxes: {whole:?}, the longest {longest:?}, deferred {deferred}");
    check(&scratch, count, (0..count.min(1000)).map(mailbox_of));
    assert_eq!(deferred, 0);
}
