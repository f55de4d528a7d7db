//! Many writers on one mailbox at once, and how long the unluckiest message takes. Whatever is refused is tried again
//! at once, as long as there is time; what is not done then is killed.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::deliver::{End, deliver};
use crate::mail::Mail;
use crate::measure;
use crate::programs::Program;
use crate::rounds::milliseconds;
use crate::stage::{Seat, Stage};

/// What the writers of one program went through.
#[derive(Default)]
struct Log {
    delivered: usize,
    refused: usize,
    longest: Duration,
    finished: Duration,
    late: bool,
}

/// Each program by itself, with these numbers of writers.
pub fn alone(stage: &Stage, programs: &[(&Program, Seat)], crowds: &[usize], messages: usize, limit: Duration) {
    println!("| what | writers | delivered | total | longest | CPU of all | refused |\n|---|---|---|---|---|---|---|");
    for (program, seat) in programs {
        for writers in crowds.iter().copied() {
            clear(stage, program, seat);
            let before = measure::children();
            let logs = send(&[program], seat, writers, messages, limit);
            let cpu = measure::children().saturating_sub(before);
            let log = &logs[0];
            println!(
                "| {} | {writers} | {} | {} | {} | {} | {} |",
                program.name,
                delivered(log, writers * messages),
                seconds(log, log.finished),
                seconds(log, log.longest),
                milliseconds(cpu.as_secs_f64()),
                log.refused,
            );
        }
    }
    println!();
}

/// Different programs on the same mailbox.
pub fn mixed(stage: &Stage, programs: &[&Program], seat: &Seat, messages: usize, limit: Duration) {
    const WRITERS: usize = 4;
    for program in programs {
        program.set_up(seat);
        clear(stage, program, seat);
    }
    let logs = send(programs, seat, WRITERS, messages, limit);
    println!("| what | writers | delivered | total | longest | refused |\n|---|---|---|---|---|---|");
    for (program, log) in programs.iter().zip(&logs) {
        println!(
            "| {} | {WRITERS} | {} | {} | {} | {} |",
            program.name,
            delivered(log, WRITERS * messages),
            seconds(log, log.finished),
            seconds(log, log.longest),
            log.refused,
        );
    }
    println!();
}

fn clear(stage: &Stage, program: &Program, seat: &Seat) {
    seat.fill(b"");
    program.forget(seat);
    stage.settle();
}

/// So many writers for each program, all at once; one log for each program.
fn send(programs: &[&Program], seat: &Seat, writers: usize, messages: usize, limit: Duration) -> Vec<Log> {
    let mail = Mail::of(4096);
    let start = Barrier::new(programs.len() * writers);
    thread::scope(|scope| {
        let threads: Vec<Vec<_>> = programs
            .iter()
            .map(|program| {
                let write = |writer: usize| {
                    let (mail, start) = (&mail, &start);
                    scope.spawn(move || {
                        start.wait();
                        one_after_another(program, seat, mail, (writer * messages) as u64, messages, limit)
                    })
                };
                (0..writers).map(write).collect()
            })
            .collect();
        threads
            .into_iter()
            .map(|threads| {
                threads.into_iter().fold(Log::default(), |sum, thread| {
                    let log = thread.join().unwrap();
                    Log {
                        delivered: sum.delivered + log.delivered,
                        refused: sum.refused + log.refused,
                        longest: sum.longest.max(log.longest),
                        finished: sum.finished.max(log.finished),
                        late: sum.late || log.late,
                    }
                })
            })
            .collect()
    })
}

fn one_after_another(program: &Program, seat: &Seat, mail: &Mail, first: u64, messages: usize, limit: Duration) -> Log {
    let begun = Instant::now();
    let mut log = Log::default();
    'messages: for number in (first..).take(messages) {
        let text = mail.numbered(number);
        let this = Instant::now();
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            let end = deliver(program.command(&[], seat), &text, left).end;
            log.longest = log.longest.max(this.elapsed());
            log.finished = begun.elapsed();
            match end {
                End::Done => {
                    log.delivered += 1;
                    break;
                }
                End::Refused(_) => log.refused += 1,
                End::Late => {
                    log.late = true;
                    break 'messages;
                }
            }
        }
    }
    log
}

fn delivered(log: &Log, all: usize) -> String {
    if log.delivered == all {
        all.to_string()
    } else {
        format!("{} of {all}", log.delivered)
    }
}

/// A time that would have been longer, had there been no end.
fn seconds(log: &Log, time: Duration) -> String {
    let more = if log.late { "more than " } else { "" };
    format!("{more}{:.2} s", time.as_secs_f64())
}
