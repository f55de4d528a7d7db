//! The one rule of every command that changes mailboxes or sends on what was kept. The plan is shown, and on a terminal
//! somebody is asked. `--yes` does it without asking; `--dry-run` never does. Without a terminal and without `--yes`
//! nothing is done, and the last line says so.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::cli::Everywhere;
use crate::cli::spool::Changing;
use crate::error::Status;
use crate::escape::make_visible;
use crate::output::OutputForm;
use crate::sys::deadline;

/// How long one wait for an answer lasts, in milliseconds: a signal that comes just before it does not interrupt it.
const WAIT_MILLISECONDS: u16 = 500;

/// What the command line says about doing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// `--yes`: do it.
    Given,
    Ask,
    /// `--dry-run`: never, whatever else is said.
    DryRun,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum ConsentAnswer {
    Proceed,
    /// It is not; the last line of the command says so.
    Leave {
        status: Status,
        last_line: String,
    },
}

impl Consent {
    pub fn of(changing: &Changing, everywhere: &Everywhere) -> Self {
        if everywhere.dry_run {
            Self::DryRun
        } else if changing.yes {
            Self::Given
        } else {
            Self::Ask
        }
    }

    /// Decides about a plan that has been shown. `undone` says what was not done, such as `nothing was sent`.
    pub fn decide(self, question: &str, undone: &str, form: OutputForm) -> ConsentAnswer {
        let leave = |status, last_line| ConsentAnswer::Leave { status, last_line };
        match self {
            Self::Given => ConsentAnswer::Proceed,
            Self::DryRun => leave(Status::Done, format!("{undone}: this is a dry run")),
            Self::Ask if !is_attended(form) => leave(Status::Wrong, format!("{undone}; --yes does it")),
            Self::Ask if agrees(question, form) => ConsentAnswer::Proceed,
            Self::Ask => leave(Status::Wrong, undone.to_owned()),
        }
    }
}

/// Tells whether somebody can read a question and answer it. Among JSON lines it goes to standard error.
fn is_attended(form: OutputForm) -> bool {
    let reads = match form {
        OutputForm::Text => io::stdout().is_terminal(),
        OutputForm::Json => io::stderr().is_terminal(),
    };
    reads && io::stdin().is_terminal()
}

/// Asks. Whatever is not yes is no: an empty answer, the end of the input, a signal.
fn agrees(question: &str, form: OutputForm) -> bool {
    let question = make_visible(question);
    let _ = match form {
        OutputForm::Text => write!(io::stdout(), "{question} [y/N] ").and_then(|()| io::stdout().flush()),
        OutputForm::Json => write!(io::stderr(), "{question} [y/N] "),
    };
    if !is_answered() {
        let _ = writeln!(io::stderr());
        return false;
    }
    let mut answer = String::new();
    let _ = io::stdin().read_line(&mut answer);
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Waits until there is an answer; a signal ends that.
fn is_answered() -> bool {
    // Else ^C would be held back, and nobody would notice it.
    if deadline::listen_for_signals().is_err() {
        return false;
    }
    let stdin = io::stdin();
    while !deadline::is_stopped() {
        let mut input = PollFd::new(stdin.as_fd(), PollFlags::POLLIN);
        if let Ok(1..) = poll(std::slice::from_mut(&mut input), PollTimeout::from(WAIT_MILLISECONDS)) {
            return true;
        }
    }
    false
}
