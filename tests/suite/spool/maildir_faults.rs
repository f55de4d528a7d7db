//! A fault at each system call of a run that takes mail out of a Maildir, or puts it back: the run is killed or told to
//! stop, the call fails, or files may grow to a limit, so that a write is short. Whatever comes, no message is lost,
//! and a run that ends with 0 has done all. Once the command has run again, no message is there twice, and
//! `maildirsize` counts what is there.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::time::Instant;

use crate::forward::rescue::{ORIGINAL, report_with};
use crate::robust::faults::strace::{self, Call, Fault};
use crate::robust::faults::{Extent, faults};
use crate::spool::archive::archived_whole;
use crate::spool::maildir::{YOUNG, archive_old, filled, lay, letter, lying, only_archive, sums, true_sums};
use crate::support::{Ended, Run, Scratch, messages, skip, user_name};

/// What a run does to the Maildir that `filled` makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Care {
    Archive,
    Sweep,
    Restore,
}

/// What goes wrong.
enum Trouble<'a> {
    At(&'a Call, &'a Fault),
    /// No file grows beyond so many bytes: the write that comes there is short, and the next one fails (setrlimit(2)).
    FilesUpTo(u64),
}

/// How often a message is in the Maildir, and how often in archives.
type Place = (usize, usize);

/// Two reports, and the message that both carry; the six letters are before them.
const REPORTS: [u32; 2] = [7, 8];
const CARRIED: u32 = 9;

/// As before the run of that kind; a restore begins with an archive and without those messages.
fn staged(care: Care) -> Scratch {
    let scratch = filled().set("addresses", "[\"a@a.test\"]");
    match care {
        Care::Archive => {}
        Care::Restore => {
            archive_old(&scratch).go().ends_with(0);
        }
        Care::Sweep => {
            let scratch = &scratch;
            for (number, place) in REPORTS.iter().zip(["new/7.M1P1.h,SIZES", "cur/8.M1P1.h,SIZES:2,S"]) {
                lay(scratch, place, &report(*number), YOUNG);
            }
            let (bytes, count) = true_sums(scratch);
            let size_file = super::maildir::maildir(scratch).join("maildirsize");
            fs::write(size_file, format!("1000000S\n{bytes} {count}\n")).unwrap();
        }
    }
    scratch
}

fn report(number: u32) -> String {
    let report = report_with(&format!("Content-Type: message/rfc822\n\n{ORIGINAL}"));
    format!("Return-Path: <>\nX-Number: {number}\n{report}")
}

fn run(scratch: &Scratch, care: Care) -> Run<'_> {
    match care {
        Care::Archive => archive_old(scratch),
        Care::Sweep => scratch.run(&["spool", "sweep", "--yes", &user_name(), "--rescue"]),
        Care::Restore => {
            let archive = only_archive(scratch).display().to_string();
            scratch.run(&["spool", "restore", "--yes", &archive])
        }
    }
}

/// Which message this is; none where it is not whole.
fn number_of(text: &str) -> Option<u32> {
    if text.starts_with("X-Spoolguard-Rescued: ") {
        return text.ends_with(ORIGINAL).then_some(CARRIED);
    }
    (1..=6)
        .find(|number| text == letter(*number))
        .or_else(|| REPORTS.into_iter().find(|number| text == report(*number)))
}

/// Where each message is. None of a torn one.
fn places(scratch: &Scratch) -> Result<Vec<Place>, String> {
    let mut places = vec![(0, 0); CARRIED as usize];
    for lying in lying(scratch) {
        let number = number_of(&lying.text).ok_or_else(|| format!("not whole: {lying:?}"))?;
        places[number as usize - 1].0 += 1;
    }
    for stored in messages(&archived_whole(scratch)) {
        let text = String::from_utf8_lossy(stored);
        let find = |mark: &str| text.split_once(mark)?.1.lines().next()?.parse().ok();
        let number: Option<usize> = find("X-Number: ").or_else(|| find("\nSubject: "));
        places[number.ok_or_else(|| format!("in an archive: {text}"))? - 1].1 += 1;
    }
    Ok(places)
}

/// Where each message has to be once all is done.
fn wanted(care: Care) -> Vec<Place> {
    let place = |number| match (care, number) {
        (Care::Archive | Care::Restore, 4 | 6) | (Care::Sweep, 1..=6 | CARRIED) => (1, 0),
        (Care::Archive, 1..=6) | (Care::Sweep, 7 | 8) => (0, 1),
        (Care::Restore, 1..=6) => (1, 1),
        (Care::Archive | Care::Restore | Care::Sweep, _) => (0, 0),
    };
    (1..=CARRIED).map(place).collect()
}

/// Tells whether a message is nowhere that was there before.
fn is_lost(places: &[Place], care: Care) -> bool {
    let is_gone = |number: u32| places[number as usize - 1] == (0, 0);
    let is_carried = REPORTS.into_iter().any(|number| places[number as usize - 1].0 > 0);
    (1..=6).any(is_gone) || care == Care::Sweep && (REPORTS.into_iter().any(is_gone) || is_gone(CARRIED) && !is_carried)
}

/// One run with this trouble, and one more. What was wrong, if anything was.
fn try_one(
    strace: &std::path::Path,
    care: Care,
    trouble: &Trouble<'_>,
    ends: &mut BTreeMap<String, usize>,
) -> Option<String> {
    let scratch = staged(care);
    let run_now = || run(&scratch, care);
    let ended = match trouble {
        Trouble::At(call, fault) => strace::spoil(run_now(), strace, call, fault),
        Trouble::FilesUpTo(bytes) => run_now().wrapped(&["prlimit", &format!("--fsize={bytes}")]).go(),
    };
    let end = ended.code.map_or_else(|| "killed".to_owned(), |code| code.to_string());
    *ends.entry(end).or_default() += 1;
    let between = places(&scratch);
    let again = run_now().go();
    let after = places(&scratch);
    let wrong = find_wrong(care, trouble, &ended, &between)
        .or_else(|| (again.code != Some(0)).then(|| "the next run does not end with 0".to_owned()))
        .or_else(|| (after != Ok(wanted(care))).then(|| "not everything is where it has to be".to_owned()))
        .or_else(|| (sums(&scratch) != true_sums(&scratch)).then(|| "maildirsize is wrong".to_owned()))?;
    let (sums, true_sums) = (sums(&scratch), true_sums(&scratch));
    Some(format!(
        "{wrong}: {between:?}, then {after:?}, sums {sums:?} for {true_sums:?}\n{}\n{}",
        ended.story(),
        again.story()
    ))
}

/// What is wrong after the run that had the trouble.
fn find_wrong(
    care: Care,
    trouble: &Trouble<'_>,
    ended: &Ended<'_>,
    between: &Result<Vec<Place>, String>,
) -> Option<String> {
    let is_killed = matches!(trouble, Trouble::At(_, Fault::Kill)) && ended.code.is_none();
    let Ok(between) = between else {
        return Some("a message is torn".to_owned());
    };
    if is_lost(between, care) {
        return Some("a message is lost".to_owned());
    }
    match ended.code {
        Some(0) if *between != wanted(care) => Some("it ended with 0, and had not done all".to_owned()),
        Some(0 | 1 | 75) => None,
        _ if is_killed => None,
        _ => Some("it ended in another way".to_owned()),
    }
}

fn matrix(care: Care, extent: Extent) {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let stage = staged(care);
    let calls = strace::record(run(&stage, care), &strace, &stage.path("state/record"));
    assert_eq!(places(&stage), Ok(wanted(care)));
    let largest_bytes = lying(&stage).iter().map(|lying| lying.text.len()).max().unwrap() as u64;
    let step = match extent {
        Extent::Part { step } => 40 * step,
        Extent::All => 5,
    };
    let faults = faults(&calls, extent);
    let at = faults.iter().map(|(call, fault)| Trouble::At(call, fault));
    let limits = (0..=2 * largest_bytes).step_by(step).map(Trouble::FilesUpTo);
    let begun = Instant::now();
    let (mut ends, mut count, mut failures) = (BTreeMap::new(), 0, Vec::new());
    for trouble in at.chain(limits) {
        count += 1;
        if let Some(wrong) = try_one(&strace, care, &trouble, &mut ends) {
            let mut text = match trouble {
                Trouble::At(call, fault) => format!("{fault:?} at {} number {}: {}", call.name, call.number, call.line),
                Trouble::FilesUpTo(bytes) => format!("files up to {bytes} bytes"),
            };
            let _ = write!(text, "\n{wrong}");
            failures.push(text);
        }
    }
    println!(
        "{care:?}: {count} faults at {} calls, {ends:?}, {} failures; {} s",
        calls.len(),
        failures.len(),
        begun.elapsed().as_secs()
    );
    let first = &failures[..failures.len().min(4)];
    assert!(
        failures.is_empty(),
        "{} of {count} faults:\n\n{}",
        failures.len(),
        first.join("\n\n")
    );
}

#[test]
fn what_a_killed_sweep_put_back_is_counted_by_the_next() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let stage = staged(Care::Sweep);
    let calls = strace::record(run(&stage, Care::Sweep), &strace, &stage.path("state/record"));
    let adds_line = |call: &&Call| call.line.contains("\"maildirsize\", O_RDWR|O_APPEND");
    let call = calls.iter().find(adds_line).unwrap();
    let kill = Trouble::At(call, &Fault::Kill);
    assert_eq!(try_one(&strace, Care::Sweep, &kill, &mut BTreeMap::new()), None);
}

#[test]
fn a_message_that_cannot_be_measured_spoils_no_count() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let stage = staged(Care::Sweep);
    let calls = strace::record(run(&stage, Care::Sweep), &strace, &stage.path("state/record"));
    // Its name does not say its size.
    let measures = |call: &&Call| call.name == "newfstatat" && call.line.contains("\"5.M1P1.h:2,DT\"");
    let measuring: Vec<_> = calls.iter().filter(measures).collect();
    assert!(measuring.len() > 1);
    for call in measuring {
        let trouble = Trouble::At(call, &Fault::Error("EACCES"));
        let wrong = try_one(&strace, Care::Sweep, &trouble, &mut BTreeMap::new());
        assert_eq!(wrong, None, "number {}", call.number);
    }
}

#[test]
fn faults_at_some_calls_of_an_archive_cost_no_message() {
    matrix(Care::Archive, Extent::Part { step: 7 });
}

#[test]
fn faults_at_some_calls_of_a_sweep_cost_no_message() {
    matrix(Care::Sweep, Extent::Part { step: 13 });
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
fn faults_at_every_call_of_a_sweep_cost_no_message() {
    matrix(Care::Sweep, Extent::All);
}

#[test]
#[ignore = "takes minutes: one run for each fault at each system call"]
fn faults_at_every_call_of_a_restore_cost_no_message() {
    matrix(Care::Restore, Extent::All);
}
