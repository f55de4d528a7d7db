//! What a sendmail answered: how it ended, what it printed, and the reply of a mail system in that.

use std::fmt;

use crate::report::status_code::find_status;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this exit status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// It was not started: its answer is known.
    NotStarted,
}

/// The answer of a sendmail, or ours in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendmailReply {
    ending: Ending,
    text: String,
    status: Option<String>,
}

impl SendmailReply {
    /// Reads an answer: `printed` is the beginning of both streams.
    pub fn read(ending: Ending, printed: &str) -> Self {
        let text = printed.trim().to_owned();
        Self {
            ending,
            status: find_status(&text).map(str::to_owned),
            text,
        }
    }

    /// Answers for an address that a sendmail would misread, and that is not given to any.
    pub fn no_address() -> Self {
        Self::read(Ending::NotStarted, "not a valid address")
    }

    /// How it ended.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// What was printed, without white space around.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The enhanced status in what was printed (RFC 3463).
    pub fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    /// Tells whether the exit status says that the address is wrong: EX_NOUSER, EX_NOHOST, or ours.
    pub fn is_about_the_address(&self) -> bool {
        match self.ending {
            Ending::Status(status) => matches!(status, 67 | 68),
            Ending::Signal(_) => false,
            Ending::NotStarted => true,
        }
    }
}

impl fmt::Display for SendmailReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.text.is_empty() { "" } else { ", " };
        match self.ending {
            Ending::Status(status) => write!(f, "status {status}{separator}")?,
            Ending::Signal(signal) => write!(f, "signal {signal}{separator}")?,
            Ending::NotStarted => {}
        }
        f.write_str(&self.text)
    }
}
