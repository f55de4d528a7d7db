//! Many at once: 64 processes that deliver without a pause, to one mailbox and to a thousand, and to one that is
//! archived and swept all the while. Nothing is lost, nothing comes twice, and nobody waits for ever.
//!
//!     SPOOLGUARD_LOAD=10000 cargo test --release --test suite load -- --ignored --nocapture

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::spool::archive::{archived, scratch as scratch_with_archives};
use crate::support::{LIMIT, PROGRAM, Scratch, messages, user_name};

const WRITERS: usize = 64;

/// As many as the time of an ordinary run of all tests allows.
fn deliveries() -> usize {
    std::env::var("SPOOLGUARD_LOAD")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2000)
}

fn message(number: usize) -> Vec<u8> {
    let from = if number.is_multiple_of(3) {
        "From: MAILER-DAEMON@b.test\nSubject: Undelivered Mail Returned to Sender\n"
    } else {
        "From: s@s.test\n"
    };
    // Of many lengths, so that no two appends have the same.
    format!(
        "{from}X-Number: {number}\n\n{}\nend of {number}\n",
        "x".repeat(number % 3000)
    )
    .into_bytes()
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
        .arg("--mailbox")
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
    check_all(scratch, count, mailboxes.map(|path| fs::read(path).unwrap()));
}

fn check_all(scratch: &Scratch, count: usize, mboxes: impl Iterator<Item = Vec<u8>>) {
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for bytes in mboxes {
        for message in messages(&bytes) {
            *seen.entry(crate::support::content(message).to_vec()).or_default() += 1;
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
    let scratch = Scratch::new().set("guard.bounce", "\"pass\"");
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
    let scratch = Scratch::new().set("guard.bounce", "\"pass\"");
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

#[test]
#[ignore = "takes a minute or two: 64 processes deliver to a mailbox that is archived and swept"]
fn sixty_four_processes_while_the_mailbox_is_archived_and_swept() {
    let scratch = scratch_with_archives().set("guard.bounce", "\"pass\"");
    let (count, user) = (deliveries(), user_name());
    let over = AtomicBool::new(false);
    let (mut archives, mut sweeps) = (0, 0);
    let outcome = std::thread::scope(|scope| {
        let care = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // Ends with 1 where it gave up, since the mailbox changed all the time.
                let archive = scratch.run(&["spool", "archive", "--yes", &user, "--all-mail"]).go();
                let sweep = scratch.run(&["spool", "sweep", &user, "--bounces", "--yes"]).go();
                archives += usize::from(archive.code == Some(0));
                sweeps += usize::from(sweep.code == Some(0));
            }
        });
        let outcome = deliver_all(&scratch, count, |_| scratch.mailbox());
        over.store(true, Ordering::Relaxed);
        care.join().unwrap();
        outcome
    });
    println!(
        "{count} deliveries to a mailbox that was archived {archives} times and swept {sweeps} times: {:?}, the longest {:?}, deferred {}",
        outcome.whole, outcome.longest, outcome.deferred
    );
    assert!(
        archives > 0 && sweeps > 0,
        "archived {archives} times, swept {sweeps} times"
    );
    check_all(&scratch, count, [scratch.mail(), archived(&scratch)].into_iter());
    let longest = outcome.longest;
    assert!(
        longest < Duration::from_secs(60),
        "one was kept waiting for {longest:?}"
    );
}
