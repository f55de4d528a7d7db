//! Answers for a process that hangs in a call which no signal ends.
//!
//! Whoever started a process waits until it is gone, and one that hangs in a file system is not gone whoever kills it.
//! So the process that was started steps aside: its work goes on in a child, which shares its memory and its table of
//! files, and so has nothing to copy. The first process only waits, for the child and for signals. It ends as the child
//! ends. Where the child does not end in time, it prints a line, closes the child's pipes, kills the child, and ends
//! all the same. A child that dies of a signal has an exit status too, then.
//!
//! The child goes on where the process was, on the same stack. The first process leaves that stack at once for one that
//! is part of the program. It touches nothing but that stack, lines that never go, and system calls: no allocation, no
//! lock, no `errno`, whose place the child has.
//!
//! Root's child becomes a user, and then must not write to the memory of a process that stays root: it gets a copy of
//! that memory. A group that the program is installed with is given up by the first process.
//!
//! A stack that overflows is answered for, too, before there is a child and where there is none.
//!
//! This is a crate of its own because that cannot be written without unsafe code, which spoolguard forbids. There is
//! nothing else in it. On processors that it does not know, a thread ends the process when its time is over; a call
//! that hangs holds such a process.

/// What the first process does for the child.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// How long the child may take, in seconds.
    pub seconds: u32,
    /// How long it may take to end when it was told to, in seconds.
    pub stop_seconds: u32,
    /// What is printed to standard error when it does not end.
    pub late: &'static str,
    /// What is printed when a signal ends it.
    pub killed: &'static str,
    /// The exit status of both.
    pub status: u8,
}

/// Goes on in a child, while the process that was started waits as `watch` says. Called once, before there is a second
/// thread, by a process that has blocked the signals that ask it to stop, and SIGCHLD: they wait for the first process
/// then, which hands them on.
///
/// Where no child can be had, this process goes on by itself, and nothing watches.
pub fn go_on_in_child(watch: Watch) {
    static STARTED: std::sync::Once = std::sync::Once::new();
    STARTED.call_once(|| aside::start(Box::leak(Box::new(watch))));
}

/// Lets a child that has become another user end with the first process again: such a change takes that back (prctl(2),
/// PR_SET_PDEATHSIG).
pub fn end_with_parent_again() {
    aside::end_with_parent_again();
}

/// Takes the limit of time away, before another program takes this child over.
pub fn take_all_the_time() {
    aside::take_all_the_time();
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod aside;

#[cfg(target_os = "linux")]
mod overflow;

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod aside {
    use std::io::Write;
    use std::time::Duration;

    use crate::Watch;

    /// Starts a thread that ends the process.
    pub(super) fn start(watch: &'static Watch) {
        let _ = std::thread::Builder::new().stack_size(64 << 10).spawn(move || {
            std::thread::sleep(Duration::from_secs(watch.seconds.into()));
            let _ = std::io::stderr().write_all(watch.late.as_bytes());
            std::process::exit(watch.status.into());
        });
    }

    pub(super) fn end_with_parent_again() {}

    /// The thread ends with the program that is left.
    pub(super) fn take_all_the_time() {}
}
