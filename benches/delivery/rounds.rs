//! Programs beside each other: each delivers once in every round, so that whatever else the machine does meets all of
//! them alike. What is compared is each program with the first one of the same round.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::deliver::{End, deliver};
use crate::observe::Observer;
use crate::stage::Stage;

/// Makes a command, below a tool where one is given.
pub type Make<'a> = Box<dyn Fn(&[OsString]) -> Command + 'a>;

/// A delivery that is repeated.
pub struct Contender<'a> {
    pub name: String,
    /// Makes things as they were before, without being measured.
    pub prepare: Box<dyn Fn() + 'a>,
    pub command: Make<'a>,
    /// What it is given, each time a number that it did not have yet.
    pub message: Box<dyn Fn(u64) -> Vec<u8> + 'a>,
    /// Where its locks are looked for.
    pub mailbox: PathBuf,
}

/// What a table says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Columns {
    /// Times and memory.
    Times,
    /// Which locks they take and what they sync as well.
    Calls,
    /// And instructions.
    All,
}

/// How often; the first rounds do not count.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub warm: u32,
    pub counted: u32,
    /// A delivery may take this long; a program that is slower is left out.
    pub limit: Duration,
}

struct Times {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

/// Lets them deliver, and prints a table. Says which of them were too slow.
pub fn compare(
    stage: &Stage,
    observer: &Observer,
    contenders: &[Contender<'_>],
    rounds: Rounds,
    columns: Columns,
) -> Vec<String> {
    let mut times: Vec<Option<Times>> = contenders.iter().map(|_| Some(Times::new())).collect();
    let (mut notes, mut slow) = (Vec::new(), Vec::new());
    let mut number = 0;
    for round in 0..rounds.warm + rounds.counted {
        for (contender, times) in contenders.iter().zip(&mut times) {
            let Some(sums) = times else { continue };
            number += 1;
            let message = (contender.message)(number);
            (contender.prepare)();
            stage.settle();
            let delivery = deliver((contender.command)(&[]), &message, rounds.limit);
            match delivery.end {
                End::Done if round < rounds.warm => {}
                End::Done => {
                    sums.wall.push(delivery.wall.as_secs_f64());
                    sums.cpu.push(delivery.cpu.as_secs_f64());
                }
                End::Refused(said) => {
                    notes.push(format!("{}: left out, it ended with {said}", contender.name));
                    *times = None;
                }
                End::Late => {
                    let limit = rounds.limit.as_secs();
                    notes.push(format!("{}: left out, it took longer than {limit} s", contender.name));
                    slow.push(contender.name.clone());
                    *times = None;
                }
            }
        }
    }
    let (names, lines) = match columns {
        Columns::Times => ("", ""),
        Columns::Calls => (" syncs | locks |", "---|---|"),
        Columns::All => (" syncs | locks | instructions |", "---|---|---|"),
    };
    println!("| what | wall | fastest | CPU | wall, times the first | CPU, times the first | memory |{names}");
    println!("|---|---|---|---|---|---|---|{lines}");
    let first = times.iter().flatten().next();
    for (contender, own) in contenders.iter().zip(&times) {
        let Some(own) = own else { continue };
        let first = first.unwrap_or(own);
        number += 1;
        let message = (contender.message)(number);
        (contender.prepare)();
        let memory = observer.memory(&contender.command, &message);
        print!(
            "| {} | {} | {} | {} | {:.2} | {:.2} | {} |",
            contender.name,
            milliseconds(median(&own.wall)),
            milliseconds(own.wall.iter().copied().fold(f64::INFINITY, f64::min)),
            milliseconds(median(&own.cpu)),
            median(&ratios(&own.wall, &first.wall)),
            median(&ratios(&own.cpu, &first.cpu)),
            or_dash(memory.map(|bytes| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)))),
        );
        if columns >= Columns::Calls {
            number += 1;
            let message = (contender.message)(number);
            (contender.prepare)();
            let calls = observer.calls(&contender.command, &message, &contender.mailbox);
            let (syncs, locks) = calls.map(|calls| (calls.syncs, calls.locks)).unzip();
            print!(" {} | {} |", or_dash(syncs), or_dash(locks));
        }
        if columns >= Columns::All {
            number += 1;
            let message = (contender.message)(number);
            (contender.prepare)();
            let instructions = observer.instructions(&contender.command, &message);
            print!(
                " {} |",
                or_dash(instructions.map(|count| format!("{:.2} M", count as f64 / 1e6)))
            );
        }
        println!();
    }
    println!();
    for note in notes {
        println!("{note}\n");
    }
    slow
}

impl Times {
    fn new() -> Self {
        Self {
            wall: Vec::new(),
            cpu: Vec::new(),
        }
    }
}

/// Round by round; one that lacks rounds was left out.
fn ratios(own: &[f64], first: &[f64]) -> Vec<f64> {
    own.iter().zip(first).map(|(own, first)| own / first).collect()
}

/// The middle of what was measured, or of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

/// Three digits, as far as they mean anything.
pub fn milliseconds(seconds: f64) -> String {
    let ms = seconds * 1e3;
    if ms < 10.0 {
        format!("{ms:.2} ms")
    } else if ms < 100.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}
