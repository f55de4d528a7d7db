//! Hands one message for one recipient to an LMTP server (RFC 2033): the mailboxes of Dovecot and Cyrus. What the
//! server answers is sorted here, once: it has the message, there is no room, or later. A 5xx of the server is "later"
//! too: it is our configuration that named the user.
//!
//! Servers are tried in turn, as long as none can have the message. From the dot on, which ends the message, a server
//! may have it: then no other is tried, and where its answer does not come, nobody knows. Whoever calls can write that
//! down before the dot goes out.

mod connection;
mod reply;
mod session;
mod wire;

use std::io::Read;
use std::time::{Duration, Instant};

use crate::config::location::Endpoint;
use crate::error::{Category, Error};
use crate::lmtp::connection::Connection;
pub use crate::lmtp::connection::addresses_of;
pub use crate::lmtp::reply::Lacking;
pub use crate::lmtp::session::{Answer, Greeting, HandoverStep, Parcel};
use crate::lmtp::session::{Session, SessionStop, StopKind};
use crate::sys::deadline::Deadline;

/// Why the message was not handed over.
#[derive(Debug)]
pub struct LmtpFailure {
    pub error: Error,
    /// Whether it may be there even so: the answer to the dot did not come.
    pub may_be_there: bool,
}

impl LmtpFailure {
    fn without_trace(error: Error) -> Self {
        Self {
            error,
            may_be_there: false,
        }
    }
}

/// Tells whether an address can stand in a command: nothing in it ends the path or the line.
pub fn is_path(address: &str) -> bool {
    const MOST_BYTES: usize = 900;
    let mut is_quoted = false;
    let is_harmless = |c: char| {
        is_quoted ^= c == '"';
        !c.is_control() && !matches!(c, '<' | '>') && (is_quoted || !c.is_whitespace())
    };
    address.len() <= MOST_BYTES && address.chars().all(is_harmless) && !is_quoted
}

/// Hands the message to the first of the servers that can take it. Each has `patience` to ask for the message, and a
/// list of them shares what is left of the run; the answer to the dot may take the rest of it. `tell` learns each step,
/// each at most once.
pub fn deliver_message<R: Read + Clone>(
    servers: &[Endpoint],
    parcel: &Parcel<'_, R>,
    deadline: &Deadline,
    patience: Duration,
    tell: &mut dyn FnMut(HandoverStep),
) -> Result<Answer, LmtpFailure> {
    let mut tried: Vec<(&Endpoint, String)> = Vec::new();
    for (server, left) in servers.iter().zip((1..=servers.len()).rev()) {
        deadline
            .check("deliver to", &server.to_string())
            .map_err(LmtpFailure::without_trace)?;
        let share = deadline.remaining() / u32::try_from(left).unwrap_or(1);
        let until = Instant::now() + share.min(patience);
        let connected = Connection::open(server, deadline, until).map_err(|cause| StopKind::Here.with_cause(cause));
        match connected.and_then(|connection| Session::new(connection).deliver(parcel, tell)) {
            Ok(answer) => return Ok(answer),
            Err(stop) if stop.kind == StopKind::Here => tried.push((server, stop.cause)),
            Err(stop) => return Err(failure(server, stop, &tried)),
        }
    }
    let (object, cause) = match tried.as_slice() {
        [(server, cause)] if servers.len() == 1 => (server.to_string(), cause.clone()),
        several => ("any of the LMTP servers".to_owned(), join_causes(several)),
    };
    let error = Error::new(Category::Mailbox, "deliver to", object, cause);
    Err(LmtpFailure::without_trace(error))
}

fn join_causes(tried: &[(&Endpoint, String)]) -> String {
    let causes = tried.iter().map(|(server, cause)| format!("{server}: {cause}"));
    causes.collect::<Vec<_>>().join("; ")
}

/// What a server left us with behind which no other one is tried.
fn failure(server: &Endpoint, stop: SessionStop, tried: &[(&Endpoint, String)]) -> LmtpFailure {
    let new = |cause: String| Error::new(Category::Mailbox, "deliver to", server, cause);
    let mut hints = Vec::new();
    let may_be_there = stop.kind == StopKind::Lost;
    if may_be_there {
        hints.push("the server may have it, and then have it twice when it comes again".to_owned());
    }
    let error = match stop.kind {
        StopKind::Here | StopKind::Later | StopKind::Lost => new(stop.cause),
        StopKind::Never => new(stop.cause).needs_mending(),
        StopKind::Unread => Error::new(Category::System, "read", "the message", stop.cause),
    };
    if !tried.is_empty() {
        hints.push(format!("tried before: {}", join_causes(tried)));
    }
    let error = if hints.is_empty() {
        error
    } else {
        error.hint(hints.join("; "))
    };
    LmtpFailure { error, may_be_there }
}

/// Asks the first of the servers that answers whether the mailbox of `recipient` would take a message from `sender`,
/// and sends none. Gives what the server said where the mailbox is full. All of it takes no longer than `time`.
///
/// # Errors
/// Where anything else leaves a doubt, as a cause.
pub fn ask_room(
    servers: &[Endpoint],
    (sender, recipient): (&str, &str),
    size_bytes: u64,
    time: Duration,
) -> Result<Option<String>, String> {
    let end = Instant::now() + time;
    let mut doubt = "there is no server".to_owned();
    for (server, left) in servers.iter().zip((1..=servers.len()).rev()) {
        let share = end.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(1);
        let connected = Connection::open_for_question(server, Instant::now() + share)
            .map_err(|cause| StopKind::Here.with_cause(cause));
        match connected.and_then(|connection| Session::new(connection).ask_room(sender, recipient, size_bytes)) {
            Ok(answer) => return Ok(answer),
            // A delivery tries the next one, too.
            Err(stop) if stop.kind == StopKind::Here => doubt = stop.cause,
            Err(stop) => return Err(stop.cause),
        }
    }
    Err(doubt)
}

/// Asks the server for its greeting and its extensions, within `time`.
///
/// # Errors
/// What keeps it from answering, as a cause.
pub fn greet_server(server: &Endpoint, deadline: &Deadline, time: Duration) -> Result<Greeting, String> {
    let connection = Connection::open(server, deadline, Instant::now() + time)?;
    Session::new(connection).greet()
}

#[cfg(test)]
mod tests {
    use super::is_path;

    #[test]
    fn an_address_never_ends_the_command_that_it_stands_in() {
        for good in [
            "",
            "a@a.test",
            "a",
            "\"s t\"@s.test",
            "gr\u{fc}n@a.test",
            "a+x=y@a.test",
        ] {
            assert!(is_path(good), "{good:?}");
        }
        for bad in [
            "a>",
            "<a",
            "a\r\nDATA",
            "a\0",
            "a b@a.test",
            "\"a",
            "a\u{7f}",
            "a\u{85}b",
        ] {
            assert!(!is_path(bad), "{bad:?}");
        }
        assert!(!is_path(&"a".repeat(1000)));
    }
}
