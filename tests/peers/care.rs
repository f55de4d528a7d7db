//! A mailbox is archived, swept and restored again and again while three programs deliver to it: at the end every
//! letter that was sent is there, whole, and once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::letters::{self, Separators};
use crate::programs::Writer;
use crate::scratch::{Scratch, USER};

/// How many letters each program delivers.
const LETTERS: usize = 250;

/// A whole run may take this long.
const LIMIT: Duration = Duration::from_secs(400);

const WRITERS: [Writer; 3] = [Writer::Spoolguard, Writer::Procmail, Writer::Dovecot];

/// How often each thing was done.
#[derive(Debug, Default)]
struct Rounds {
    archived: usize,
    swept: usize,
    restored: usize,
    killed: usize,
}

pub fn care_loses_and_doubles_nothing_while_three_programs_deliver(scratch: &Scratch) {
    for writer in WRITERS {
        writer.set_up(scratch);
    }
    let left = AtomicUsize::new(WRITERS.len());
    let (waits, rounds, restores) = thread::scope(|scope| {
        let left = &left;
        let writers = WRITERS.map(|writer| {
            scope.spawn(move || {
                let longest = write(scratch, writer);
                left.fetch_sub(1, Ordering::Relaxed);
                longest
            })
        });
        let care = scope.spawn(move || archive_and_sweep(scratch, left));
        let restores = scope.spawn(move || restore(scratch, left));
        (
            writers.map(|writer| writer.join().unwrap()),
            care.join().unwrap(),
            restores.join().unwrap(),
        )
    });
    println!(
        "\n  archived {} times, swept {}, restored {}, of which {} were killed",
        rounds.archived, rounds.swept, restores.restored, restores.killed
    );
    for (writer, longest) in WRITERS.iter().zip(waits) {
        println!(
            "  {:<12} longest delivery {:.3} s",
            writer.name(),
            longest.as_secs_f64()
        );
    }
    assert!(
        rounds.archived >= 5 && rounds.swept >= 3 && restores.restored >= 5,
        "{rounds:?} {restores:?}"
    );

    let sent: Vec<String> = WRITERS
        .iter()
        .flat_map(|writer| (0..LETTERS).map(|number| serial(*writer, number)))
        .collect();
    let here = find(scratch);
    assert_few_parts(scratch, &here.damaged, restores.killed);
    assert!(
        here.whole.values().all(|count| *count == 1),
        "doubled: {:?}",
        doubled(&here.whole)
    );
    // All archives put back: what was sent, nothing else, each once.
    for archive in archives(scratch) {
        let output = care(scratch, &["restore", "--yes", archive.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}: {}", content(&archive));
    }
    let found = find(scratch);
    assert_few_parts(scratch, &found.damaged, restores.killed);
    assert_eq!(doubled(&found.whole), BTreeMap::new());
    let lost: Vec<_> = sent
        .iter()
        .filter(|serial| !found.whole.contains_key(*serial))
        .collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(found.whole.len(), sent.len());
    let names: Vec<_> = fs::read_dir(scratch.spool())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [USER], "something was left beside the mailbox");
}

/// A run that is killed while it puts a message back may leave a part of it, and notes so on the mailbox: the next
/// spoolguard cuts it off, unless another program wrote behind it first, or what stands there may be somebody else's.
/// That is rare; where there are no attributes each part is closed and stays.
fn assert_few_parts(scratch: &Scratch, damaged: &[String], killed: usize) {
    let most = if has_attributes(scratch) {
        1 + killed / 50
    } else {
        killed
    };
    assert!(damaged.len() <= most, "{killed} killed, {damaged:?}");
}

fn has_attributes(scratch: &Scratch) -> bool {
    let path = scratch.mailbox();
    rustix::fs::lsetxattr(&path, "user.probe", b"", rustix::fs::XattrFlags::empty()).is_ok()
        && rustix::fs::lremovexattr(&path, "user.probe").is_ok()
}

/// What is in the mailbox, without the message in which Dovecot keeps its numbers.
fn find(scratch: &Scratch) -> letters::Found {
    let mut found = letters::find(&scratch.read(&scratch.mailbox()));
    found.damaged.retain(|text| !text.contains("FOLDER INTERNAL DATA"));
    found
}

fn serial(writer: Writer, number: usize) -> String {
    format!("{}-{number}", writer.name())
}

fn doubled(whole: &BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    whole
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(serial, count)| (serial.clone(), *count))
        .collect()
}

fn archives(scratch: &Scratch) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory(scratch)) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.'))
        .collect();
    paths.sort();
    paths
}

/// How the mailbox in an archive begins.
fn content(archive: &Path) -> String {
    let output = Command::new("tar").arg("xzOf").arg(archive).output().unwrap();
    format!(
        "{} bytes, {}",
        output.stdout.len(),
        output.stdout[..output.stdout.len().min(900)].escape_ascii()
    )
}

fn directory(scratch: &Scratch) -> PathBuf {
    scratch.at_home("archives")
}

/// A command of an administrator, run as root.
fn care(scratch: &Scratch, words: &[&str]) -> Command {
    let mut command = Command::new(scratch.program());
    command
        .arg("--config")
        .arg(scratch.configuration())
        .arg("spool")
        .args(words);
    command.env_clear().env("TZ", "UTC").current_dir("/");
    command
}

/// Delivers a letter every few milliseconds. Says how long the slowest took.
fn write(scratch: &Scratch, writer: Writer) -> Duration {
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    for number in 0..LETTERS {
        let serial = serial(writer, number);
        // Every third one is a report, for the sweep; Dovecot's and procmail's end up in the mailbox.
        let report = number % 3 == 0 && writer != Writer::Spoolguard;
        let mut message = letters::letter(
            &serial,
            50 + number * 37 % 9000,
            match report {
                true => Separators::Out,
                false => writer.separators(),
            },
        );
        if report {
            let head = b"Auto-Submitted: auto-replied\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n";
            message = [&head[..], &message].concat();
        }
        let delivery = Instant::now();
        loop {
            let output = scratch.feed(&mut writer.command(scratch), &message);
            match output.status.code() {
                Some(0) => break,
                Some(75) => assert!(began.elapsed() < LIMIT, "{serial}: {output:?}"),
                _ => panic!("{}: {output:?}", writer.name()),
            }
        }
        longest = longest.max(delivery.elapsed());
        thread::sleep(Duration::from_millis(3));
    }
    longest
}

fn archive_and_sweep(scratch: &Scratch, left: &AtomicUsize) -> Rounds {
    let mut rounds = Rounds::default();
    let to = directory(scratch).display().to_string();
    let ways: [&[&str]; 4] = [
        &["archive", "--yes", USER, "--all-mail", "--to", &to],
        &["sweep", USER, "--bounces", "--yes", "--to", &to],
        &["archive", "--yes", USER, "--down-to", "20000B", "--to", &to],
        &["sweep", USER, "--duplicates", "--bounces", "--yes", "--to", &to],
    ];
    let mut number = 0;
    while left.load(Ordering::Relaxed) > 0 {
        // The first delivery makes the mailbox.
        if !scratch.mailbox().exists() {
            thread::yield_now();
            continue;
        }
        let words = ways[number % ways.len()];
        number += 1;
        let output = care(scratch, words).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // Where it is rewritten again and again, it gives up and says so.
        let gave_up = String::from_utf8_lossy(&output.stderr).contains("again and again");
        assert!(output.status.success() || gave_up, "{words:?}: {output:?}");
        if text.contains(" taken into ") {
            *(if words[0] == "archive" {
                &mut rounds.archived
            } else {
                &mut rounds.swept
            }) += 1;
        }
    }
    rounds
}

/// Puts the archives back, one after another; every other run is killed after a while.
fn restore(scratch: &Scratch, left: &AtomicUsize) -> Rounds {
    let mut rounds = Rounds::default();
    let mut random = fastrand::Rng::with_seed(7);
    while left.load(Ordering::Relaxed) > 0 {
        let archives = archives(scratch);
        let Some(archive) = random.choice(&archives) else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let mut command = care(scratch, &["restore", "--yes", archive.to_str().unwrap()]);
        if rounds.restored % 2 == 0 {
            let mut child = command
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            thread::sleep(Duration::from_millis(random.u64(1..60)));
            child.kill().unwrap();
            rounds.killed += usize::from(!child.wait().unwrap().success());
        } else {
            let output: Output = command.output().unwrap();
            let gave_up = String::from_utf8_lossy(&output.stderr).contains("again and again");
            // A run that found the mailbox rewritten takes its archive back, when it has looked under the lock.
            let until = Instant::now() + Duration::from_secs(30);
            while !output.status.success() && !gave_up && archive.exists() && Instant::now() < until {
                thread::sleep(Duration::from_millis(20));
            }
            assert!(
                output.status.success() || gave_up || !archive.exists(),
                "{archive:?}: {output:?}: {}",
                content(archive)
            );
        }
        rounds.restored += 1;
    }
    rounds
}
