//! How long this run may still wait, and whether somebody asked it to stop.
//!
//! A signal never ends the run where it strikes: it is noted, and every wait looks. So locks are released, and the
//! mailbox is whole, when a run is told to stop. The append itself never looks, and is never interrupted.
//!
//! A delivery that waits for nothing blocks all signals at its start, which is one system call, and ends so: it is done
//! sooner than it could stop. The first wait and the first child unblock them, with a handler for each.

use std::cell::Cell;
use std::io::{self};
use std::os::fd::BorrowedFd;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigSet, Signal};

use crate::error::{Category, Error, Status};

/// How long a run waits. MTAs kill a command that takes long, and some bounce its message: Postfix after 1000 s,
/// maildrop after 300 s. We promise 240 s; what is left of them is for a run that does not come back from a call.
pub const TOTAL: Duration = Duration::from_secs(230);

/// Signals that end a process unless it asks for them.
const STOPPING: [Signal; 15] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGALRM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGXCPU,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    Signal::SIGPWR,
    Signal::SIGSTKFLT,
    Signal::SIGSYS,
    Signal::SIGTRAP,
];

/// Signals that are handled in another way, that cannot be blocked with any sense, or that end nothing.
const OTHERS: [Signal; 13] = [
    Signal::SIGCHLD,
    Signal::SIGXFSZ,
    Signal::SIGABRT,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGPIPE,
    Signal::SIGCONT,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGWINCH,
];

/// Set when one of them came.
static STOPPED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Set when it was somebody at a terminal.
static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Blocks the signals: from here on none ends the process where it strikes. SIGABRT is among them as long as it has no
/// handler.
pub fn block_signals() -> io::Result<()> {
    let mut mask = held_signals();
    mask.add(Signal::SIGABRT);
    Ok(mask.thread_set_mask()?)
}

fn held_signals() -> SigSet {
    let mut mask = SigSet::all();
    for signal in OTHERS {
        mask.remove(signal);
    }
    // Unhandled and unblocked, it ends the process in mid-write; so the write reports EFBIG (setrlimit(2)).
    mask.add(Signal::SIGXFSZ);
    // The process that waits for the delivery is told so that a program which took it over has ended.
    mask.add(Signal::SIGCHLD);
    mask
}

/// Blocks them, and handles SIGABRT: none is noted before `listen`.
pub fn hold_signals() -> io::Result<()> {
    static HELD: AtomicBool = AtomicBool::new(false);
    if HELD.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    // Out of memory, Rust's runtime aborts; so does a panic in a panic. MTAs bounce on that death, and abort(3)
    // unblocks its signal.
    let always = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(
        Signal::SIGABRT as i32,
        i32::from(Status::TryAgain.code()),
        always,
    )?;
    Ok(held_signals().thread_set_mask()?)
}

/// Takes over the signals: from here on each is noted where it strikes, also those that came while they were held.
pub fn listen_for_signals() -> io::Result<()> {
    static LISTENING: AtomicBool = AtomicBool::new(false);
    hold_signals()?;
    if LISTENING.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    for signal in STOPPING {
        signal_hook::flag::register(signal as i32, Arc::clone(&STOPPED))?;
    }
    signal_hook::flag::register(Signal::SIGINT as i32, Arc::clone(&INTERRUPTED))?;
    // A caller that ignores SIGCHLD would keep us from learning how sendmail ended (waitpid(2), NOTES). Handled,
    // SIGXFSZ does what it does when it is blocked, and no child inherits that.
    for signal in [Signal::SIGCHLD, Signal::SIGXFSZ] {
        signal_hook::flag::register(signal as i32, Arc::new(AtomicBool::new(false)))?;
    }
    // Unblocked is what is handled, and what nobody can go on from. Blocked are the real-time signals, which end a
    // process too and ask for nothing that we know.
    let mut mask = SigSet::all();
    for signal in STOPPING.into_iter().chain(OTHERS) {
        mask.remove(signal);
    }
    mask.thread_set_mask()?;
    Ok(())
}

/// Starts a child, which inherits no signal that is blocked.
pub fn start_child(command: &mut Command) -> io::Result<Child> {
    listen_for_signals()?;
    command.spawn()
}

/// How long a single wait in the kernel lasts at most: a signal that comes just before it does not interrupt it.
const SLICE: Duration = Duration::from_millis(500);

/// Tells whether somebody asked the run to stop.
pub fn is_stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// Ends this process as SIGINT ends one, where one came: a shell ends its loop over several commands only then. For a
/// run that is over and left something undone, and that delivers nothing: MTAs bounce on such an end.
pub fn end_if_interrupted() {
    if INTERRUPTED.load(Ordering::Relaxed) {
        let _ = signal_hook::low_level::emulate_default_handler(Signal::SIGINT as i32);
    }
}

/// The deadline of one run.
#[derive(Debug)]
pub struct Deadline {
    until: Cell<Instant>,
}

/// How long something may be read, and by whom that is ended. A copy has the same end.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    begun: Instant,
    until: Option<Instant>,
    ends_by_signal: bool,
}

/// After so long a read, signals that a delivery holds back are let in.
const HELD_BACK: Duration = Duration::from_millis(100);

impl ReadLimit {
    /// Until somebody asks the run to stop.
    pub fn until_stopped() -> Self {
        Self {
            begun: Instant::now(),
            until: None,
            ends_by_signal: true,
        }
    }

    /// The same, and no longer than `time`.
    pub fn ending_in(time: Duration) -> Self {
        let begun = Instant::now();
        Self {
            begun,
            until: begun.checked_add(time),
            ends_by_signal: true,
        }
    }

    /// Asked before each read. Fails when somebody asked the run to stop, or the time is over (`TimedOut`).
    pub fn check(&self) -> io::Result<()> {
        let now = Instant::now();
        if now.saturating_duration_since(self.begun) > HELD_BACK {
            listen_for_signals()?;
        }
        if self.ends_by_signal && is_stopped() {
            return Err(io::Error::other("told to stop by a signal"));
        }
        if self.until.is_some_and(|until| now >= until) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes too long"));
        }
        Ok(())
    }
}

/// Why a wait ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Woken {
    /// The time was up.
    TimedOut,
    /// The file can be read, or its other end is gone.
    Readable,
    /// A signal came: a child ended, or somebody asked us to stop.
    Signal,
}

impl Deadline {
    /// Starts the clock and takes over the signals: none that the caller blocked or ignored stays so.
    pub fn begin() -> io::Result<Self> {
        listen_for_signals()?;
        Ok(Self::starting_now())
    }

    /// Starts the clock for a single delivery: the signals are held until it has to wait.
    pub fn begin_delivery() -> io::Result<Self> {
        hold_signals()?;
        Ok(Self::starting_now())
    }

    fn starting_now() -> Self {
        Self {
            until: Cell::new(Instant::now() + TOTAL),
        }
    }

    /// Starts the clock anew, for the next message of a run that no mail system waits for.
    pub fn begin_again(&self) {
        self.until.set(Instant::now() + TOTAL);
    }

    /// How much of the whole run's time is left.
    pub fn remaining(&self) -> Duration {
        self.until.get().saturating_duration_since(Instant::now())
    }

    /// For how long a file may be read: as long as the run lasts.
    pub fn for_reading(&self) -> ReadLimit {
        ReadLimit {
            until: Some(self.until.get()),
            ..ReadLimit::until_stopped()
        }
    }

    /// The same where a mailbox is mended before it is used. A run that was told to stop already uses one to take back
    /// what it put there: then time alone ends the reading.
    pub fn for_mending(&self) -> ReadLimit {
        ReadLimit {
            ends_by_signal: !is_stopped(),
            ..self.for_reading()
        }
    }

    /// Says so when somebody asked the run to stop.
    pub fn check(&self, verb: &'static str, object: &str) -> Result<(), Error> {
        if is_stopped() {
            return Err(Error::new(Category::System, verb, object, "told to stop by a signal"));
        }
        Ok(())
    }

    /// Sleeps for `time`, or until a signal comes.
    pub fn sleep(&self, time: Duration) {
        let _ = self.wait(&[], time);
    }

    /// Waits until one of `files` can be read, `time` is over, or a signal came; never beyond the run's own time.
    pub fn wait(&self, files: &[BorrowedFd<'_>], time: Duration) -> Woken {
        let is_ready = |milliseconds: u16| {
            let mut wanted: Vec<_> = files.iter().map(|file| PollFd::new(*file, PollFlags::POLLIN)).collect();
            let ready = poll(&mut wanted, milliseconds);
            (ready.is_err(), wanted.iter().any(|file| file.any().unwrap_or(false)))
        };
        if !files.is_empty() && matches!(is_ready(0), (_, true)) {
            return Woken::Readable;
        }
        // Where that fails they stay blocked: then it waits to the end, and is not stopped.
        let _ = listen_for_signals();
        let end = Instant::now() + time.min(self.remaining());
        loop {
            let left = end.saturating_duration_since(Instant::now());
            // Rounded up, so that a wait of less than a millisecond is none that spins.
            let milliseconds = u16::try_from(left.min(SLICE).as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
            let (is_interrupted, is_ready) = is_ready(milliseconds);
            if is_ready {
                return Woken::Readable;
            }
            if is_interrupted || is_stopped() {
                return Woken::Signal;
            }
            if left.is_zero() {
                return Woken::TimedOut;
            }
        }
    }
}

/// Fails when somebody asked the run to stop.
pub fn stop_if_asked(deadline: &Deadline, path: &str) -> io::Result<()> {
    deadline
        .check("archive", path)
        .map_err(|_| io::Error::other("told to stop by a signal"))
}
