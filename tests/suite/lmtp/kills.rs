//! A fault at every system call of a run that hands a message over: it is killed, told to stop, or the call fails. The
//! message is never lost. It is there twice only where the run ended between the dot and the answer, or had noted all
//! and had only to end.

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

/// What a run did until it ended, with a fault or without.
struct Conversation {
    calls: Vec<Call>,
    dot: Option<usize>,
    answer: Option<usize>,
    noted: Option<usize>,
    /// The note that the answer had come is removed.
    gone: Option<usize>,
}

impl Conversation {
    fn of(calls: Vec<Call>) -> Self {
        let find = |part: &str| calls.iter().position(|call| call.line.contains(part));
        let noted = find("\"taken\\n\"");
        let gone = noted.and_then(|noted| (noted..calls.len()).find(|at| calls[*at].name.starts_with("unlink")));
        Self {
            dot: find("\".\\r\\n\""),
            answer: find("\"250 2.0.0"),
            noted,
            gone,
            calls,
        }
    }

    /// Where a call stands in this run; none where it did not come to that.
    fn place_of(&self, call: &Call) -> Option<usize> {
        self.calls
            .iter()
            .position(|own| own.name == call.name && own.number == call.number)
    }

    /// Tells whether a call is behind the one in which the message is ended.
    fn is_behind_dot(&self, call: &Call) -> bool {
        self.place_of(call) > self.dot && self.dot.is_some()
    }

    /// Tells whether a kill in `call` may leave a message that comes again. A call that is not made counts as what came
    /// before it. The answer is noted before anything else is done.
    fn may_be_twice(&self, call: &Call) -> bool {
        let place = self.place_of(call).expect("the kill");
        let is_before_note = self.answer.is_none_or(|answer| place <= answer + 1);
        self.is_behind_dot(call) && is_before_note || self.gone.is_some_and(|gone| place > gone)
    }
}

/// Runs it with one fault, and once more where that ends with anything but 0. Gives how often the message is there.
fn try_one(strace: &std::path::Path, call: &Call, fault: &Fault) -> (usize, Conversation, String) {
    let (scratch, server): (Scratch, FakeLmtp) = behind(vec![Plan::good()]);
    let record = scratch.path("spoiled");
    let (ended, calls) = strace::spoil_and_record(deliver(&scratch, ORDINARY), strace, call, fault, &record);
    let conversation = Conversation::of(calls);
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
        return (first, conversation, ended.story());
    }
    deliver(&scratch, ORDINARY).go().succeeds();
    (server.stored().len(), conversation, ended.story())
}

fn matrix(step: usize) {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let (scratch, server) = behind(vec![Plan::good()]);
    let calls = strace::calls(deliver(&scratch, ORDINARY), &strace, &scratch.path("record"));
    drop(server);
    let whole = Conversation::of(calls);
    let calls = &whole.calls;
    let begin = calls.iter().position(|call| call.line.contains("rt_sigprocmask("));
    let begin = begin.expect("no call of the program itself");
    let dot = whole.dot.expect("no dot in the record");
    assert!(
        whole.answer.is_some() && whole.noted.is_some(),
        "no answer or no note in the record"
    );
    let gone = whole.gone.expect("the note stays");
    let mut twice = Vec::new();
    for (at, call) in calls.iter().enumerate().skip(begin + 1) {
        if call.name == "exit_group" || call.name == "rt_sigreturn" {
            continue;
        }
        if at % step == 0 || (dot..=gone + 1).contains(&at) {
            let (count, done, story) = try_one(&strace, call, &Fault::Kill);
            assert!(count >= 1, "lost by a kill at {}\n{story}", call.line);
            assert!(
                count == 1 || (count == 2 && done.may_be_twice(call)),
                "{count} times by a kill at {}\n{story}",
                call.line
            );
            twice.extend((count == 2).then(|| call.line.clone()));
        }
        if at % step == 1 % step {
            for fault in [Fault::Stop, Fault::Error(ERRORS[at % ERRORS.len()])] {
                let (count, done, story) = try_one(&strace, call, &fault);
                assert!(count >= 1, "lost by {fault:?} at {}\n{story}", call.line);
                assert!(
                    count == 1 || done.is_behind_dot(call),
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
