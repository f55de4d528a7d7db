//! Many writers on one mailbox: nothing of anybody's is lost, doubled or torn, and nobody waits for ever.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use std::io::Write;

use crate::letters::{self, Found};
use crate::programs::{WRITERS, Writer};
use crate::readers;
use crate::scratch::Scratch;

/// How many deliver at once with each program, and how many letters each of them has.
const SENDERS: usize = 4;
const LETTERS: usize = 50;

/// A whole run may take this long.
const LIMIT: Duration = Duration::from_secs(400);

/// What one sender went through.
struct Log {
    writer: Writer,
    serials: Vec<String>,
    deliveries: Vec<Duration>,
    deferred: usize,
    finished: Duration,
}

pub fn four_programs_write_to_one_mailbox_and_nothing_is_lost_or_torn(scratch: &Scratch) {
    let logs = send(scratch, &WRITERS, LETTERS, &|| {});
    show(scratch, &logs);
    let found = letters::find(&scratch.read(&scratch.mailbox()));
    assert_all_there(&logs, &found);
    assert_eq!(found.damaged, [""; 0]);
    let count = WRITERS.len() * SENDERS * LETTERS;
    assert_eq!(
        readers::python(scratch),
        [count, count, 0],
        "letters, whole ones, damaged ones in Python"
    );
    let (counted, mut serials) = readers::dovecot(scratch);
    serials.sort();
    serials.dedup();
    assert_eq!(
        (counted, serials.len()),
        (count, count),
        "letters and different ones in Dovecot"
    );
    assert_eq!(readers::mutt(scratch), count, "letters in mutt");
    assert!(!scratch.spool().join("a.lock").exists(), "a dotlock was left");
}

/// Every kill hits a delivery that holds the dotlock. The lock stays then, until the next spoolguard sees that nobody
/// holds it; the other programs would wait for its age.
pub fn a_killed_delivery_tears_nothing_of_the_others(scratch: &Scratch) {
    const KILLS: usize = 25;
    let others = [Writer::Procmail, Writer::Maildrop, Writer::Dovecot];
    let mut killed = 0;
    let kills = std::sync::Mutex::new(&mut killed);
    let logs = send(scratch, &others, 20, &|| {
        for number in 0..KILLS {
            let serial = format!("killed-{number}");
            // Large, so that there is a middle to be killed in.
            let bytes = letters::letter(&serial, 2_000_000, letters::Separators::In);
            if kill_one(scratch, &bytes) {
                **kills.lock().unwrap() += 1;
            }
            // The next one goes on from there, and takes the lock away that nobody holds.
            deliver(
                scratch,
                Writer::Spoolguard,
                &letters::letter(&format!("after-{number}"), 500, letters::Separators::In),
            );
        }
    });
    show(scratch, &logs);
    let found = letters::find(&scratch.read(&scratch.mailbox()));
    println!(
        "  killed while it held the lock: {killed} of {KILLS}; partial letters in the mailbox: {}",
        found.damaged.len()
    );
    assert_all_there(&logs, &found);
    for number in 0..KILLS {
        assert_eq!(found.whole.get(&format!("after-{number}")), Some(&1), "after-{number}");
    }
    let [_, whole, _] = readers::python(scratch);
    assert_eq!(whole, found.whole.len(), "whole letters in Python");
    let not_ours: Vec<_> = found
        .damaged
        .iter()
        .filter(|text| !text.starts_with("killed-"))
        .collect();
    assert!(not_ours.is_empty(), "{not_ours:#?}");
    assert!(killed > KILLS / 2, "only {killed} were killed in the middle");
}

/// Starts a delivery and kills it once it holds the lock. Tells whether it was in time.
fn kill_one(scratch: &Scratch, message: &[u8]) -> bool {
    let mut child = Writer::Spoolguard
        .command(scratch)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It delivers in a child of its own.
    let parent = format!("PPid:\t{}\n", child.id());
    let is_own = |lock: &str| {
        let holder = lock.lines().next().unwrap_or_default();
        fs::read_to_string(format!("/proc/{holder}/status")).is_ok_and(|status| status.contains(&parent))
    };
    let mut input = child.stdin.take().unwrap();
    input.write_all(message).unwrap();
    drop(input);
    let lock = scratch.spool().join("a.lock");
    let before = fs::metadata(scratch.mailbox()).map_or(0, |stat| stat.len());
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let holds = fs::read_to_string(&lock).is_ok_and(|lock| is_own(&lock));
        let writes = holds && fs::metadata(scratch.mailbox()).is_ok_and(|stat| stat.len() > before);
        if writes || child.try_wait().unwrap().is_some() {
            break;
        }
        assert!(Instant::now() < until, "it never got the lock");
        thread::yield_now();
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// Delivers with several senders of each program at once, while `beside` runs.
fn send(scratch: &Scratch, writers: &[Writer], letters_each: usize, beside: &(dyn Fn() + Sync)) -> Vec<Log> {
    for writer in WRITERS {
        writer.set_up(scratch);
    }
    let start = Barrier::new(writers.len() * SENDERS + 1);
    thread::scope(|scope| {
        let mut senders = Vec::new();
        for &writer in writers {
            for sender in 0..SENDERS {
                let start = &start;
                senders.push(scope.spawn(move || {
                    start.wait();
                    one_after_another(scratch, writer, sender, letters_each)
                }));
            }
        }
        start.wait();
        beside();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    })
}

fn one_after_another(scratch: &Scratch, writer: Writer, sender: usize, letters_each: usize) -> Log {
    let began = Instant::now();
    let mut log = Log {
        writer,
        serials: Vec::new(),
        deliveries: Vec::new(),
        deferred: 0,
        finished: Duration::ZERO,
    };
    for number in 0..letters_each {
        let serial = format!("{}-{sender}-{number}", writer.name());
        // From 0.1 to 200 KiB, small ones more often.
        let share = ((number * 7 + sender * 3) % letters_each) as f64 / (letters_each - 1) as f64;
        let body_bytes = (102.4 * 2000_f64.powf(share)) as usize;
        let bytes = letters::letter(&serial, body_bytes, writer.separators());
        let delivery = Instant::now();
        // A mail system would try again.
        while !deliver(scratch, writer, &bytes) {
            log.deferred += 1;
            assert!(began.elapsed() < LIMIT, "{serial}: not within {LIMIT:?}");
        }
        log.deliveries.push(delivery.elapsed());
        log.serials.push(serial);
    }
    log.finished = began.elapsed();
    log
}

/// Delivers one letter: true when it was, false when it is to be tried again.
fn deliver(scratch: &Scratch, writer: Writer, message: &[u8]) -> bool {
    let output = scratch.feed(&mut writer.command(scratch), message);
    match output.status.code() {
        Some(0) => true,
        Some(75) => {
            println!(
                "  {} defers: {}",
                writer.name(),
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
            false
        }
        _ => panic!("{}: {output:?}", writer.name()),
    }
}

fn assert_all_there(logs: &[Log], found: &Found) {
    let sent: Vec<_> = logs.iter().flat_map(|log| &log.serials).collect();
    let wrong: BTreeMap<_, _> = sent
        .iter()
        .map(|serial| (serial, found.whole.get(*serial).copied().unwrap_or(0)))
        .filter(|(_, times)| *times != 1)
        .collect();
    assert!(
        wrong.is_empty(),
        "not exactly once: {wrong:#?}\ndamaged: {:#?}",
        found.damaged
    );
}

/// The figures. They depend on the machine, and nothing is asserted of them.
fn show(scratch: &Scratch, logs: &[Log]) {
    let all = logs.iter().map(|log| log.finished).max().unwrap_or_default();
    let bytes = fs::metadata(scratch.mailbox()).map_or(0, |stat| stat.len());
    println!(
        "\n  {} senders, {:.1} s in all, mailbox of {bytes} bytes",
        logs.len(),
        all.as_secs_f64()
    );
    println!("  program      letters  median s  longest s  first done s  last done s  deferred");
    let mut by_program: BTreeMap<Writer, Vec<&Log>> = BTreeMap::new();
    for log in logs {
        by_program.entry(log.writer).or_default().push(log);
    }
    for (writer, logs) in by_program {
        let mut times: Vec<_> = logs
            .iter()
            .flat_map(|log| &log.deliveries)
            .map(Duration::as_secs_f64)
            .collect();
        times.sort_by(f64::total_cmp);
        let done = |pick: fn(f64, f64) -> f64| logs.iter().map(|log| log.finished.as_secs_f64()).reduce(pick);
        println!(
            "  {:<12} {:>7} {:>9.3} {:>10.3} {:>13.1} {:>12.1} {:>9}",
            writer.name(),
            times.len(),
            times[times.len() / 2],
            times[times.len() - 1],
            done(f64::min).unwrap_or_default(),
            done(f64::max).unwrap_or_default(),
            logs.iter().map(|log| log.deferred).sum::<usize>(),
        );
    }
}
