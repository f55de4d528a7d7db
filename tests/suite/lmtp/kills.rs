//! A fault at every system call of a run that hands a message over: it is killed, told to stop, or the call fails. The message is never lost. It is
//! there twice only where the run ended between the dot and the answer, or had noted all and had only to end.

use super::{behind, deliver};
use crate::robust::faults::strace;
use crate::robust::faults::strace::{Call, Fault};
use crate::support::lmtp::{FakeLmtp, Plan};
use crate::support::{ORDINARY, Scratch, skip};

/// What a socket, a disk or the kernel may answer.
const ERRORS: [&str; 8] = [
    "EIO",
    "ENOSPC",
    "EPIPE",
    "ECONNRESET",
    "EINTR",
    "EAGAIN",
    "ENOMEM",
    "EMFILE",
];

/// Runs it with one fault, and once more where that ends with anything but 0. Gives how often the message is there.
fn try_one(strace: &std::path::Path, call: &Call, fault: &Fault) -> (usize, String) {
    let (scratch, server): (Scratch, FakeLmtp) = behind(vec![Plan::good()]);
    let ended = strace::spoil(deliver(&scratch, ORDINARY), strace, call, fault);
    let first = server.stored().len();
    let is_killed = ended.code != Some(0) && ended.code != Some(75);
    ended.check(
        !is_killed || *fault == Fault::Kill,
        &format!("{fault:?} at {} ended with another status", call.line),
    );
    if ended.code == Some(0) {
        ended.check(
            first == 1,
            &format!("{fault:?} at {}: done, and not there once", call.line),
        );
        return (first, ended.story());
    }
    deliver(&scratch, ORDINARY).go().succeeds();
    (server.stored().len(), ended.story())
}

fn matrix(step: usize) {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let (scratch, server) = behind(vec![Plan::good()]);
    let calls = strace::calls(deliver(&scratch, ORDINARY), &strace, &scratch.path("record"));
    drop(server);
    let find = |part: &str| calls.iter().position(|call| call.line.contains(part));
    let begin = find("rt_sigprocmask(").expect("no call of the program itself");
    let dot = find("\".\\r\\n\"").expect("no dot in the record");
    let answer = find("\"250 2.0.0").expect("no answer in the record");
    let noted = find("\"taken\\n\"").expect("no note in the record");
    let gone = (noted..calls.len())
        .find(|at| calls[*at].name.starts_with("unlink"))
        .expect("the note stays");
    let mut twice = Vec::new();
    for (at, call) in calls.iter().enumerate().skip(begin + 1) {
        if call.name == "exit_group" || call.name == "rt_sigreturn" {
            continue;
        }
        if at % step == 0 || (dot..=gone + 1).contains(&at) {
            let (count, story) = try_one(&strace, call, &Fault::Kill);
            assert!(count >= 1, "lost by a kill at {}\n{story}", call.line);
            // A call that is not made counts as what came before it. The answer is noted before anything else is done.
            let may_be_twice = (dot + 1..=answer + 1).contains(&at) || at > gone;
            assert!(
                count == 1 || (count == 2 && may_be_twice),
                "{count} times by a kill at {}\n{story}",
                call.line
            );
            twice.extend((count == 2).then(|| call.line.clone()));
        }
        if at % step == 1 % step {
            for fault in [Fault::Stop, Fault::Error(ERRORS[at % ERRORS.len()])] {
                let (count, story) = try_one(&strace, call, &fault);
                assert!(count >= 1, "lost by {fault:?} at {}\n{story}", call.line);
                assert!(
                    count == 1 || at > dot,
                    "{count} times by {fault:?} at {}\n{story}",
                    call.line
                );
            }
        }
    }
    println!("{} calls; twice after a kill at {twice:?}", calls.len() - begin);
}

#[test]
fn some_faults_lose_no_message_behind_lmtp() {
    matrix(7);
}

#[test]
#[ignore = "takes some minutes"]
fn every_fault_loses_no_message_behind_lmtp() {
    matrix(1);
}
