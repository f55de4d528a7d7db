//! A fault at every system call of a run: it is killed, told to stop, or the call fails. After each: the run has ended
//! with 0, with 75 or by the kill; what was there before is untouched; once the mail system has tried again, the
//! message is there exactly once; nothing keeps the next delivery waiting.
//!
//! A part of it is in every `cargo test`. All of it takes some minutes:
//!
//!     cargo test --test suite faults -- --include-ignored --nocapture

mod power;
mod scene;
pub mod strace;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Ended, LIMIT, Scratch, has_attributes, skip};
use scene::{Found, Goal, Scene};
use strace::{Call, Fault};

/// What a disk, a limit or a file server may answer.
const ERRORS: [&str; 11] = [
    "ENOSPC", "EDQUOT", "EIO", "EFBIG", "EINTR", "EAGAIN", "ENOMEM", "EMFILE", "EACCES", "EROFS", "ESTALE",
];

/// The errors that are tried on for good: from one call on, nothing of its kind works.
const LASTING: [&str; 4] = ["ENOSPC", "EIO", "EROFS", "ENOMEM"];

/// Calls that make, change or lock something. Each fails in every way; of all others each fails in one.
const CHANGING: [&str; 22] = [
    "openat",
    "open",
    "read",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "fcntl",
    "flock",
    "rename",
    "renameat2",
    "ftruncate",
    "close",
    "mkdir",
    "fsetxattr",
    "lremovexattr",
    "fremovexattr",
    "sendfile",
];

/// Calls that never fail, or answer nothing that anybody looks at.
const NEVER_FAIL: [&str; 13] = [
    // The kernel answers with the old break, and never with an error.
    "brk",
    "exit_group",
    "execve",
    "rt_sigreturn",
    "getpid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "gettid",
    "umask",
    "rt_sigprocmask",
    "munmap",
];

/// No run of these waits for anything: a lock that stays would defer the next one after two seconds. But the machine
/// may be busy.
const SOON: Duration = LIMIT;

/// How much of the matrix is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Kills at each `step`th call, and one error at each `step`th.
    Part {
        step: usize,
    },
    All,
}

/// Which order the mail system's tries come in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    RetryFirst,
    OtherFirst,
}

/// The first call of the program itself: before it only the loader has run.
fn first_own(calls: &[Call]) -> usize {
    let begin = calls.iter().position(|call| call.line.starts_with("rt_sigprocmask("));
    begin.expect("no call of the program itself in the record")
}

pub fn faults(calls: &[Call], extent: Extent) -> Vec<(Call, Fault)> {
    let begin = first_own(calls);
    let mut faults = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        let is_own = number > begin;
        let errors = is_own && !NEVER_FAIL.contains(&call.name.as_str());
        match extent {
            Extent::Part { step } => {
                if is_own && number % step == 0 {
                    faults.push((call.clone(), Fault::Kill));
                }
                if errors && number % step == 1 % step {
                    let error = ERRORS[number % ERRORS.len()];
                    faults.push((call.clone(), Fault::Error(error)));
                }
            }
            Extent::All => {
                // Before that the loader runs, and nothing of ours.
                if is_own || number % 10 == 0 {
                    faults.push((call.clone(), Fault::Kill));
                }
                if is_own {
                    faults.push((call.clone(), Fault::Stop));
                }
                if errors && call.name.starts_with('m') {
                    faults.push((call.clone(), Fault::Error("ENOMEM")));
                } else if errors && CHANGING.contains(&call.name.as_str()) {
                    faults.extend(ERRORS.iter().map(|error| (call.clone(), Fault::Error(error))));
                    faults.extend(LASTING.iter().map(|error| (call.clone(), Fault::ErrorsFrom(error))));
                } else if errors {
                    faults.push((call.clone(), Fault::Error(ERRORS[number % ERRORS.len()])));
                }
            }
        }
    }
    faults
}

/// How the runs of one scene ended, and how often the message was there twice.
#[derive(Default)]
struct Tally {
    ends: BTreeMap<String, usize>,
    retried: usize,
    sent_twice: usize,
    /// Killed when all was done and the note was gone, and the process had only to end.
    too_late: usize,
}

/// Something that goes wrong once, and the order of what comes then.
struct Attempt<'a> {
    call: &'a Call,
    fault: &'a Fault,
    order: Order,
    /// The note is gone already: nothing tells the next run any more.
    is_over: bool,
}

fn matrix(name: &str, extent: Extent) {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scene = Scene::named(name);
    let stage = scene.stage();
    if !has_attributes(&stage.configuration()) {
        return skip("needs a file system with extended attributes below the temporary directory");
    }
    let calls = strace::calls(scene.run(&stage), &strace, &stage.path("state/record"));
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    let faults = faults(&calls, extent);
    for (call, fault) in &faults {
        let orders: &[Order] = match fault {
            Fault::Kill => &[Order::RetryFirst, Order::OtherFirst],
            Fault::Stop | Fault::Error(_) | Fault::ErrorsFrom(_) => &[Order::RetryFirst],
        };
        for order in orders {
            let attempt = Attempt {
                call,
                fault,
                order: *order,
                is_over: *fault == Fault::Kill && is_over(&calls, call),
            };
            let one = std::panic::AssertUnwindSafe(|| try_one(&scene, &strace, &attempt, &mut tally));
            if let Err(cause) = std::panic::catch_unwind(one) {
                let cause = cause.downcast_ref::<String>().cloned().unwrap_or_default();
                let order = if *order == Order::OtherFirst {
                    ", another first"
                } else {
                    ""
                };
                // Of a large message a page is enough.
                let cause: String = cause.chars().take(1500).collect();
                failures.push(format!(
                    "{fault:?} at {} number {}{order}: {}\n{cause}",
                    call.name, call.number, call.line
                ));
            }
        }
    }
    let own = calls.len() - first_own(&calls);
    println!(
        "{name}: {} faults at {own} calls of {}, {:?}; {} tried again, {} sent twice, {} there twice; {} s",
        faults.len(),
        calls.len(),
        tally.ends,
        tally.retried,
        tally.sent_twice,
        tally.too_late,
        begun.elapsed().as_secs()
    );
    assert!(
        failures.is_empty(),
        "{} of {} faults, the first ones:\n\n{}",
        failures.len(),
        faults.len(),
        failures[..failures.len().min(5)].join("\n\n")
    );
}

/// Tells whether a call comes after the removal of the last note.
fn is_over(calls: &[Call], call: &Call) -> bool {
    let removes_note = |call: &Call| call.name == "lremovexattr";
    let last = calls.iter().rposition(removes_note);
    let this = calls.iter().position(|other| other == call);
    last.is_some_and(|last| this.is_some_and(|this| this > last))
}

fn try_one(scene: &Scene, strace: &Path, attempt: &Attempt<'_>, tally: &mut Tally) {
    let Attempt {
        call,
        fault,
        order,
        is_over,
    } = *attempt;
    let mut scratch = scene.stage();
    let begun = Instant::now();
    let ended = strace::spoil(scene.run(&scratch), strace, call, fault);
    let end = match (ended.code, ended.signal) {
        (Some(code @ (0 | 75)), None) => code.to_string(),
        (None, Some(9)) if *fault == Fault::Kill => "killed".to_owned(),
        _ => panic!("it ended in another way\n{}", ended.story()),
    };
    *tally.ends.entry(end).or_default() += 1;
    let mut last = None;
    if order == Order::OtherFirst {
        let other = scene.other(&scratch).go();
        other.succeeds();
    }
    if ended.code != Some(0) {
        tally.retried += 1;
        let retry = scene.run(&scratch).go();
        retry.succeeds();
        last = Some(retry);
    }
    let took = begun.elapsed();
    let last = last.as_ref().unwrap_or(&ended);
    last.check(took < SOON, &format!("it took {took:?}"));
    let mut found = scene.find(&scratch, last);
    // Where no call of a kind works any more, it cannot be removed; the next run takes it over.
    if !matches!(fault, Fault::ErrorsFrom(_)) {
        scene.has_no_lock(&scratch, last);
    }
    if is_over {
        // Only the end of the process was missing. Better twice than never.
        let place = if scene.goal == Goal::Admin {
            &mut found.admin
        } else {
            &mut found.mailbox
        };
        if *place == 2 {
            tally.too_late += 1;
            *place = 1;
        }
    }
    tally.sent_twice += usize::from(is_there(scene, &found, last));
    let other = scene.other(&scratch).go();
    other.succeeds();
    scene.has_no_lock(&scratch, &other);
    // Where no call of a kind works, the next count finds out what is missing.
    if !matches!(fault, Fault::ErrorsFrom(_)) {
        scene.size_file_is_true(&scratch, &other);
    }
    // The same again, sent on purpose, must come: no note is left that stops it. An error elsewhere leaves none.
    if matches!(fault, Fault::Error(_) | Fault::ErrorsFrom(_)) && !call.name.contains("xattr") {
        return;
    }
    let before = scene.find(&scratch, last);
    // What the destination had is kept and not sent; here it is to be sent.
    scratch.change("forward.duplicate_window", "\"0s\"");
    let again = scene.run(&scratch).go();
    again.succeeds();
    once_more(scene, &scratch, &before, &again);
}

/// Checks that the message is where it has to be, and says whether it was sent twice.
fn is_there(scene: &Scene, found: &Found, ended: &Ended<'_>) -> bool {
    let Found { mailbox, admin, sent } = *found;
    let (holds, twice) = match scene.goal {
        // What cannot be diverted is kept.
        Goal::Mailbox | Goal::Admin => (mailbox + admin == 1 && sent == 0, false),
        Goal::Sent => (
            (1..=2).contains(&(mailbox + sent)) && mailbox <= 1 && admin == 0,
            mailbox + sent == 2,
        ),
        Goal::Both => (mailbox == 1 && (1..=2).contains(&sent) && admin == 0, sent == 2),
    };
    ended.check(holds, &format!("{found:?}"));
    twice
}

fn once_more(scene: &Scene, scratch: &Scratch, before: &Found, again: &Ended<'_>) {
    let now = scene.find(scratch, again);
    let more = now.mailbox + now.admin + now.sent - before.mailbox - before.admin - before.sent;
    let want = if scene.goal == Goal::Both { 2 } else { 1 };
    // The note of a copy whose run was killed stops one copy more, where the retry was counted: the mailbox has it, and
    // it is sent.
    let is_sent_alone = scene.goal == Goal::Both && now.mailbox == before.mailbox && now.sent == before.sent + 1;
    again.check(
        more == want || is_sent_alone,
        &format!("sent again on purpose: {before:?} became {now:?}"),
    );
}

macro_rules! matrices {
    ($($scene:ident, $step:expr;)*) => {
        mod part {
            $(#[test]
            fn $scene() {
                super::matrix(stringify!($scene), super::Extent::Part { step: $step });
            })*
        }
        mod all {
            $(#[test]
            #[ignore = "takes minutes: one run for each fault at each system call"]
            fn $scene() {
                super::matrix(stringify!($scene), super::Extent::All);
            })*
        }
    };
}

matrices! {
    deliver, 4;
    deliver_new_mailbox, 19;
    deliver_without_dotlock, 11;
    deliver_large, 17;
    deliver_spilled, 23;
    deliver_counted, 23;
    deliver_maildir, 5;
    deliver_maildir_spilled, 23;
    deliver_new_maildir, 7;
    divert_to_path, 17;
    divert_to_address, 23;
    forward_to_outbox, 23;
    forward, 23;
    forward_and_keep, 13;
}
