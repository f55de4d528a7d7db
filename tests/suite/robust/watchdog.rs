//! A call that does not return: the run ends with 75 all the same, and the next one delivers.

use std::fs::{self, File};
use std::path::Path;

use nix::sys::signal::Signal;

use crate::robust::faults::strace;
use crate::support::hung::Hung;
use crate::support::{ORDINARY, Run, Scratch, child_of, large, only, same, skip, until};

/// The time of the process that waits is over soon. strace(1) stands beside: it waits for whoever hangs.
const HURRY: [&str; 9] = [
    "-D",
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=rt_sigtimedwait",
    "-e",
    "inject=rt_sigtimedwait:error=EAGAIN:delay_enter=500ms",
];

/// It prints into files: strace(1) would keep pipes open.
fn hurried<'a>(run: Run<'a>, strace: &Path, said: &Path) -> Run<'a> {
    let words: Vec<_> = [strace.to_str().unwrap()].into_iter().chain(HURRY).collect();
    let file = File::create(said).unwrap();
    run.wrapped(&words).stdout(file.try_clone().unwrap()).stderr(file)
}

/// Whatever a delivery touches first, it is none of its business what lies below.
#[test]
fn wherever_a_file_system_hangs_a_delivery_ends_with_75() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let big = large(1_300_000);
    for (place, message) in [
        ("mailbox", ORDINARY),
        ("state", ORDINARY),
        ("config", ORDINARY),
        ("home", ORDINARY),
        ("admin", ORDINARY),
        ("aliases", ORDINARY),
        ("large", big.as_slice()),
    ] {
        let mut scratch = Scratch::new();
        let at = scratch.path("hung");
        let Some(hung) = Hung::over(&at) else {
            return skip("needs root, and FUSE in the kernel");
        };
        let below = |name: &str| format!("{:?}", at.join(name).display().to_string());
        match place {
            "mailbox" => scratch.change("mailbox.location", &format!("\"mbox:{}/%u\"", at.display())),
            "state" => scratch.change("state_dir", &below("state")),
            "admin" => scratch.change("admin", &below("admin")),
            "aliases" => scratch.change("aliases.dir", &below("aliases")),
            _ => {}
        }
        let looped = [b"X-Loop: a@a.test\n", message].concat();
        let run = match place {
            "config" => scratch
                .bare(&["deliver", "--config", at.join("c").to_str().unwrap()])
                .input(message),
            "home" => scratch.bare(&["deliver"]).input(message).variable("HOME", &at),
            "admin" => scratch.deliver(&looped),
            "aliases" => scratch.run(&["forward", "b@b.test", "--as", "list"]).input(message),
            "large" => scratch.deliver(message).variable("TMPDIR", &at),
            _ => scratch.deliver(message),
        };
        let said = scratch.path("said");
        hurried(run, &strace, &said).go().ends_with(75);
        let said = fs::read_to_string(said).unwrap();
        assert!(said.contains("does not answer"), "{place}: {said}");
        drop(hung);
    }
}

#[test]
fn a_filter_before_a_file_system_that_hangs_ends_with_75() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = Scratch::new();
    let at = scratch.path("hung");
    let Some(_hung) = Hung::over(&at) else {
        return skip("needs root, and FUSE in the kernel");
    };
    let run = scratch.bare(&["filter", "--config", at.join("c").to_str().unwrap()]);
    let said = scratch.path("said");
    hurried(run.input(ORDINARY), &strace, &said).go().ends_with(75);
}

/// Whoever is stopped is killed when its time is over, and what it left is mended.
#[test]
fn a_run_that_hangs_in_a_call_is_ended_with_75() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = Scratch::new();
    let said = scratch.path("said");
    let words = [
        strace.to_str().unwrap(),
        "-D",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "inject=fsync,fdatasync:signal=STOP",
        "-e",
        "inject=rt_sigtimedwait:error=EAGAIN:delay_enter=1s",
    ];
    let run = scratch.deliver(ORDINARY).wrapped(&words);
    let file = File::create(&said).unwrap();
    run.stdout(file.try_clone().unwrap()).stderr(file).go().ends_with(75);
    let said = fs::read_to_string(said).unwrap();
    assert!(said.contains("does not answer"), "{said}");
    scratch.deliver(ORDINARY).go().succeeds();
    same(only(&scratch.mail()), ORDINARY);
}

/// Exim, Sendmail and OpenSMTPD bounce a message on a command that dies of a signal.
#[test]
fn a_run_that_somebody_kills_is_no_bounce() {
    let scratch = Scratch::new();
    for signal in [Signal::SIGKILL, Signal::SIGILL, Signal::SIGFPE] {
        // The other end stays open, so that it waits for more of the message.
        let (input, _open) = std::io::pipe().unwrap();
        let run = scratch.deliver(b"").input_file(input).start();
        let worker = run.worker();
        let is_reading = || {
            let at = fs::read_to_string(format!("/proc/{worker}/syscall"));
            at.map_or(true, |call| call.starts_with("7 ") || call.starts_with("73 "))
        };
        until("it reads", is_reading);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker as i32), signal).unwrap();
        run.end().defers().mentions("ended by a signal");
    }
    scratch.next_delivery_works();
}

/// A message is not delivered by a run that its MTA has killed.
#[test]
fn whoever_delivers_ends_with_the_process_that_was_started() {
    let scratch = Scratch::new();
    let (input, _open) = std::io::pipe().unwrap();
    let run = scratch.deliver(b"").input_file(input).start();
    let worker = run.worker();
    let dies_with_it = || child_of(run.pid()) == Some(worker);
    assert!(dies_with_it());
    run.signal(Signal::SIGKILL);
    assert_eq!(run.end().signal, Some(9));
    let stat = format!("/proc/{worker}/stat");
    until("it is gone", || {
        fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z ") || text.contains(") X "))
    });
    scratch.next_delivery_works();
}
