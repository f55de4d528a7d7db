//! strace(1) as the hand that puts faults into a run: it says which system calls there are, and spoils one of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Ended, Run};

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

/// Runs it and writes down its calls.
pub fn calls(run: Run<'_>, strace: &Path, record: &Path) -> Vec<Call> {
    let record_text = record.to_str().unwrap();
    run.wrapped(&[strace.to_str().unwrap(), "-o", record_text])
        .go()
        .succeeds();
    parse(&fs::read_to_string(record).unwrap())
}

pub fn parse(record: &str) -> Vec<Call> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in record.lines() {
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
    let Call { name, number, .. } = call;
    let injection = match fault {
        Fault::Kill => format!("inject={name}:signal=KILL:when={number}"),
        Fault::Stop => format!("inject={name}:signal=TERM:when={number}"),
        Fault::Error(error) => format!("inject={name}:error={error}:when={number}"),
        Fault::ErrorsFrom(error) => format!("inject={name}:error={error}:when={number}+"),
    };
    let trace = format!("trace={name}");
    run.wrapped(&[
        strace.to_str().unwrap(),
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &injection,
    ])
    .go()
}
