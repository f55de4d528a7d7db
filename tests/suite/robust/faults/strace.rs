//! strace(1) as the hand that puts faults into a run: it says which system calls there are, and spoils one of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Ended, Run, Running, child_of, until};

/// One system call of a run: its name, and how many of that name came up to and with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub number: usize,
    /// The line that strace wrote for it.
    pub line: String,
}

/// What goes wrong at a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed instead of the call.
    Kill,
    /// It is told to stop; the call is made.
    Stop,
    /// The call fails with this error, and is not made.
    Error(&'static str),
    /// This call and all later ones of its name fail.
    ErrorsFrom(&'static str),
}

/// Where strace is, if it is.
pub fn program() -> Option<PathBuf> {
    ["/usr/bin/strace", "/bin/strace", "/usr/local/bin/strace"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .filter(|path| {
            // In a container it may be there and be forbidden to trace.
            let probe = std::process::Command::new(path)
                .args(["-o", "/dev/null", "-e", "inject=close:error=EIO:when=9999", "true"])
                .output();
            probe.is_ok_and(|output| output.status.success())
        })
}

/// Runs it, which has to succeed, and writes down its calls.
pub fn calls(run: Run<'_>, strace: &Path, record: &Path) -> Vec<Call> {
    let record_text = record.to_str().unwrap();
    run.wrapped(&[strace.to_str().unwrap(), "-o", record_text])
        .go()
        .succeeds();
    parse(&fs::read_to_string(record).unwrap())
}

/// Runs it, however it ends, and writes down its calls.
pub fn record(run: Run<'_>, strace: &Path, record: &Path) -> Vec<Call> {
    let _ = run
        .wrapped(&[strace.to_str().unwrap(), "-o", record.to_str().unwrap()])
        .go();
    parse(&fs::read_to_string(record).unwrap())
}

pub fn parse(record: &str) -> Vec<Call> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in record.lines() {
        // Not the run's own trouble (`support::ALONE`).
        if line.starts_with("clone(") && line.ends_with("(INJECTED)") {
            continue;
        }
        let Some((name, _)) = line.split_once('(') else {
            continue;
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        let number = seen.entry(name.to_owned()).or_default();
        *number += 1;
        calls.push(Call {
            name: name.to_owned(),
            number: *number,
            line: line.to_owned(),
        });
    }
    calls
}

/// Runs it with one fault.
pub fn spoil<'a>(run: Run<'a>, strace: &Path, call: &Call, fault: &Fault) -> Ended<'a> {
    inject(run, strace, call, fault, Path::new("/dev/null"), &call.name)
}

/// The same, and writes down the calls of that run: another one may wait once more or less, and have its fault
/// elsewhere.
pub fn spoil_and_record<'a>(
    run: Run<'a>,
    strace: &Path,
    call: &Call,
    fault: &Fault,
    record: &Path,
) -> (Ended<'a>, Vec<Call>) {
    let ended = inject(run, strace, call, fault, record, "all");
    (ended, parse(&fs::read_to_string(record).unwrap()))
}

fn inject<'a>(run: Run<'a>, strace: &Path, call: &Call, fault: &Fault, record: &Path, traced: &str) -> Ended<'a> {
    let Call { name, number, .. } = call;
    let injection = match fault {
        Fault::Kill => format!("inject={name}:signal=KILL:when={number}"),
        Fault::Stop => format!("inject={name}:signal=TERM:when={number}"),
        Fault::Error(error) => format!("inject={name}:error={error}:when={number}"),
        Fault::ErrorsFrom(error) => format!("inject={name}:error={error}:when={number}+"),
    };
    let trace = format!("trace={traced}");
    run.wrapped(&[
        strace.to_str().unwrap(),
        "-qq",
        "-o",
        record.to_str().unwrap(),
        "-e",
        &trace,
        "-e",
        &injection,
    ])
    .go()
}

/// Kills it before it takes its note off the mbox at `path`: the message lies there, and nobody has said so.
pub fn kill_before_its_note_goes<'a>(run: Run<'a>, strace: &Path, path: &Path) -> Ended<'a> {
    let calls = "fremovexattr,lremovexattr";
    let (trace, kill) = (
        format!("trace={calls}"),
        format!("inject={calls}:signal=KILL:error=EIO"),
    );
    let path = path.to_str().unwrap();
    run.wrapped(&[
        strace.to_str().unwrap(),
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-P",
        path,
        "-e",
        &trace,
        "-e",
        &kill,
    ])
    .go()
}

/// A run that is stopped behind one of its calls, while a test changes the world.
pub struct Stopped<'a>(Running<'a>);

/// Starts it, and waits until it is stopped as `options` say: `inject=CALL:signal=STOP:when=N`, and what else strace is
/// to be told.
#[track_caller]
pub fn stop<'a>(run: Run<'a>, strace: &Path, record: &Path, options: &[&str]) -> Stopped<'a> {
    stop_or_end(run, strace, record, options).expect("it ended before it was stopped")
}

/// The same; none where it ended without such a call.
#[track_caller]
pub fn stop_or_end<'a>(run: Run<'a>, strace: &Path, record: &Path, options: &[&str]) -> Option<Stopped<'a>> {
    let mut words = vec![strace.to_str().unwrap(), "-qq", "-o", record.to_str().unwrap()];
    words.extend(options);
    let mut running = run.wrapped(&words).start();
    let is_stopped = || fs::read_to_string(record).is_ok_and(|text| text.contains("--- stopped by SIGSTOP ---"));
    until("it is stopped, or over", || is_stopped() || running.is_over());
    is_stopped().then_some(Stopped(running))
}

impl<'a> Stopped<'a> {
    /// Lets it go on, to its end.
    #[track_caller]
    pub fn end(self) -> Ended<'a> {
        let program = child_of(self.0.pid()).unwrap();
        // Or it is the child for which it stepped aside. Any other child may be gone as soon as the program goes on.
        let child = child_of(program);
        kill(Pid::from_raw(program as i32), Signal::SIGCONT).unwrap();
        if let Some(child) = child {
            let sent = kill(Pid::from_raw(child as i32), Signal::SIGCONT);
            assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "{sent:?}");
        }
        self.0.end()
    }
}
