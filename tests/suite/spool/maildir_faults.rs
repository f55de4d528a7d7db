//! A fault at each system call of a run that takes mail out of a Maildir, or puts it back: no message is lost, none is there twice once the
//! command has run again, and `maildirsize` counts what is there.

use std::time::Instant;

use crate::robust::faults::strace::{self, Fault};
use crate::robust::faults::{Extent, faults};
use crate::spool::maildir::{archive_old, filled, only_archive, places, sums};
use crate::support::{Run, Scratch, skip};

/// What a run does to the Maildir that `filled` makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Care {
    Archive,
    Restore,
}

/// As before the run of that kind; a restore begins with an archive and without those messages.
fn staged(care: Care) -> Scratch {
    let scratch = filled();
    if care == Care::Restore {
        archive_old(&scratch).go().ends_with(0);
    }
    scratch
}

fn run(scratch: &Scratch, care: Care) -> Run<'_> {
    match care {
        Care::Archive => archive_old(scratch),
        Care::Restore => {
            let archive = only_archive(scratch).display().to_string();
            scratch.run(&["spool", "restore", "--yes", &archive])
        }
    }
}

fn matrix(care: Care, extent: Extent) {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let want: Vec<(usize, usize)> = (1..=6)
        .map(|number| match (care, [4, 6].contains(&number)) {
            (_, true) => (1, 0),
            (Care::Archive, false) => (0, 1),
            (Care::Restore, false) => (1, 1),
        })
        .collect();
    let stage = staged(care);
    let calls = strace::record(run(&stage, care), &strace, &stage.path("state/record"));
    assert_eq!(places(&stage), want);
    let begun = Instant::now();
    let faults = faults(&calls, extent);
    let mut failures = Vec::new();
    for (call, fault) in &faults {
        let scratch = staged(care);
        let ended = strace::spoil(run(&scratch, care), &strace, call, fault);
        let between = places(&scratch);
        let again = run(&scratch, care).go();
        let after = places(&scratch);
        let is_lost = between.iter().any(|(here, there)| here + there == 0);
        let may_end = *fault == Fault::Kill || ended.code.is_some_and(|code| [0, 1, 75].contains(&code));
        if is_lost || after != want || !may_end || sums(&scratch).1 != size_of(&after) {
            failures.push(format!(
                "{fault:?} at {} number {}: {}\n{between:?}, then {after:?}, sums {:?}\n{}\n{}",
                call.name,
                call.number,
                call.line,
                sums(&scratch),
                ended.story(),
                again.story()
            ));
        }
    }
    println!(
        "{care:?}: {} faults at calls of {}, {} failures; {} s",
        faults.len(),
        calls.len(),
        failures.len(),
        begun.elapsed().as_secs()
    );
    assert!(
        failures.is_empty(),
        "{} of {} faults:\n\n{}",
        failures.len(),
        faults.len(),
        failures[..failures.len().min(4)].join("\n\n")
    );
}

fn size_of(places: &[(usize, usize)]) -> i64 {
    i64::try_from(places.iter().map(|(here, _)| here).sum::<usize>()).unwrap()
}

#[test]
fn faults_at_some_calls_of_an_archive_cost_no_message() {
    matrix(Care::Archive, Extent::Part { step: 7 });
}

#[test]
fn faults_at_some_calls_of_a_restore_cost_no_message() {
    matrix(Care::Restore, Extent::Part { step: 7 });
}

#[test]
#[ignore = "takes minutes: one run for each fault at each system call"]
fn faults_at_every_call_of_an_archive_cost_no_message() {
    matrix(Care::Archive, Extent::All);
}

#[test]
#[ignore = "takes minutes: one run for each fault at each system call"]
fn faults_at_every_call_of_a_restore_cost_no_message() {
    matrix(Care::Restore, Extent::All);
}
