//! The conversation with one server: greeting, LHLO, MAIL, RCPT, DATA, the message, the dot, one answer. Each command
//! waits for its answer, and the message for its 354: sent ahead, its lines would be read as commands where the
//! recipient is refused.
//!
//! An answer counts for the command that was sent before it. A server that says more than it was asked for is not
//! trusted with a message: its next word could be an old one.

use std::io::{self, Read};

use crate::error::cause_text;
use crate::lmtp::connection::Connection;
use crate::lmtp::reply::{Lacking, Reply, ReplyMeaning};
use crate::lmtp::wire::{END, WireEncoder};
use crate::sys::account;

/// How much of the message is read at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// One message for one recipient. Its content can be read as often as it is cloned.
#[derive(Clone, Debug)]
pub struct Parcel<'a, R: Read + Clone> {
    /// The envelope sender; empty is the null sender.
    pub sender: &'a str,
    pub recipient: &'a str,
    /// Our own header fields, complete lines.
    pub added: &'a [u8],
    /// The message, without a separator line.
    pub content: R,
    pub content_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Answer {
    Taken,
    /// There is no room for it: 552, 452, or an enhanced status x.2.2 (RFC 3463).
    Full {
        what: Lacking,
        said: String,
    },
}

/// How far a message has come that is handed over. Whoever calls can write that down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoverStep {
    /// All of it is sent, and the dot goes out next.
    Ending,
    /// The server has it.
    Taken,
}

/// What a server says of itself, for whoever looks whether it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The first line.
    pub said: String,
    /// The extensions that it names, as it writes them.
    pub extensions: Vec<String>,
}

/// How a conversation ended without an answer to the message.
#[derive(Debug)]
pub struct SessionStop {
    pub kind: StopKind,
    pub cause: String,
}

/// What is known then of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// This server cannot take it now, and another may: the message is not there.
    Here,
    /// It is not there, and no other server gets it in this run.
    Later,
    /// The server refuses it for good: somebody has to mend that.
    Never,
    /// The answer to the dot did not come: nobody knows whether it is there.
    Lost,
    /// The message itself cannot be read.
    Unread,
}

impl StopKind {
    /// Ends a conversation for this cause.
    pub fn with_cause(self, cause: String) -> SessionStop {
        SessionStop { kind: self, cause }
    }
}

#[derive(Debug)]
pub struct Session {
    connection: Connection,
}

impl Session {
    /// Begins with the server's greeting.
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Reads the greeting and asks for the extensions.
    ///
    /// # Errors
    /// What keeps the server from answering, as a cause.
    pub fn greet(mut self) -> Result<Greeting, String> {
        let (said, extensions) = self.open().map_err(|stop| stop.cause)?;
        self.quit();
        Ok(Greeting { said, extensions })
    }

    /// Asks whether the mailbox would take a message of this size, 0 where that is unknown, and sends none. Gives what
    /// the server said where it is full. Fails when nothing else leaves no doubt.
    pub fn ask_room(mut self, sender: &str, recipient: &str, size_bytes: u64) -> Result<Option<String>, SessionStop> {
        let (_, extensions) = self.open()?;
        let mail = mail_command(sender, recipient, size_bytes, &extensions);
        let begun = self.ask(&mail)?;
        // Whatever is said here is about the sender or the server.
        if begun.meaning() != ReplyMeaning::Done {
            return Err(StopKind::Here.with_cause(refusal(&begun, "MAIL")));
        }
        let reply = self.ask(&format!("RCPT TO:<{recipient}>"))?;
        self.quit();
        if reply.says_mailbox_is_full() {
            return Ok(Some(reply.one_line()));
        }
        if reply.meaning() != ReplyMeaning::Done {
            return Err(StopKind::Later.with_cause(refusal(&reply, "RCPT")));
        }
        Ok(None)
    }

    /// Hands the message over.
    pub fn deliver<R: Read + Clone>(
        mut self,
        parcel: &Parcel<'_, R>,
        tell: &mut dyn FnMut(HandoverStep),
    ) -> Result<Answer, SessionStop> {
        let answer = self.hand_over(parcel, tell)?;
        if answer == Answer::Taken {
            // First of all: until it is noted, a kill brings the message twice.
            tell(HandoverStep::Taken);
        }
        self.quit();
        Ok(answer)
    }

    fn open(&mut self) -> Result<(String, Vec<String>), SessionStop> {
        let greeting = self
            .connection
            .receive()
            .map_err(|e| StopKind::Here.with_cause(cause_text(&e)))?;
        if greeting.meaning() != ReplyMeaning::Done {
            return Err(StopKind::Here.with_cause(format!("it greets with {}", greeting.one_line())));
        }
        let named = self.ask(&format!("LHLO {}", host_name()))?;
        if named.meaning() != ReplyMeaning::Done {
            return Err(StopKind::Here.with_cause(refusal(&named, "LHLO")));
        }
        let extensions = named.lines().iter().skip(1).cloned().collect();
        Ok((greeting.one_line(), extensions))
    }

    fn hand_over<R: Read + Clone>(
        &mut self,
        parcel: &Parcel<'_, R>,
        tell: &mut dyn FnMut(HandoverStep),
    ) -> Result<Answer, SessionStop> {
        let (_, extensions) = self.open()?;
        // As far as it is known before each line is looked at (RFC 1870 section 6.1).
        let size_bytes = parcel.content_bytes + parcel.added.len() as u64;
        let mail = mail_command(parcel.sender, parcel.recipient, size_bytes, &extensions);
        let rcpt = format!("RCPT TO:<{}>", parcel.recipient);
        // Without 354 it has not begun to take the message.
        for (command, wanted) in [
            (mail.as_str(), ReplyMeaning::Done),
            (&rcpt, ReplyMeaning::Done),
            ("DATA", ReplyMeaning::GoOn),
        ] {
            let reply = self.ask(command)?;
            if reply.meaning() != wanted {
                return refused(&reply, command);
            }
        }
        self.connection.extend();
        if let Some(early) = self.send_message(parcel)? {
            return self.stopped_early(&early);
        }
        tell(HandoverStep::Ending);
        self.end_message()
    }

    fn ask(&mut self, command: &str) -> Result<Reply, SessionStop> {
        let word = first_word(command);
        let mut exchange = || -> io::Result<Reply> {
            if self.connection.has_unread()? {
                let unasked = self.connection.receive()?;
                if unasked.ends_session() {
                    return Ok(unasked);
                }
                let cause = format!("the server says what it was not asked: {}", unasked.one_line());
                return Err(io::Error::other(cause));
            }
            self.connection.send(format!("{command}\r\n").as_bytes())?;
            self.connection.receive()
        };
        match exchange() {
            Ok(reply) if reply.ends_session() => Err(StopKind::Here.with_cause(refusal(&reply, word))),
            Ok(reply) => Ok(reply),
            Err(e) => Err(StopKind::Here.with_cause(format!("{} ({word})", cause_text(&e)))),
        }
    }

    /// Sends the message up to its dot. Gives what the server said meanwhile: it has stopped reading then.
    fn send_message<R: Read + Clone>(&mut self, parcel: &Parcel<'_, R>) -> Result<Option<Reply>, SessionStop> {
        let mut content = parcel.added.chain(parcel.content.clone());
        let (mut encoder, mut wire) = (WireEncoder::new(), Vec::with_capacity(2 * PIECE_BYTES));
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = match content.read(&mut piece) {
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                // The message, not the server: no other one is tried, and without its dot this one drops what it has.
                Err(e) => return Err(StopKind::Unread.with_cause(cause_text(&e))),
            };
            match piece.get(..read) {
                Some([]) | None => encoder.finish(&mut wire),
                Some(part) => encoder.encode(part, &mut wire),
            }
            let sent = self.connection.send(&wire);
            wire.clear();
            let stop = |e: io::Error| StopKind::Here.with_cause(format!("{} (message)", cause_text(&e)));
            match (sent, self.connection.has_unread()) {
                // What it says is worth more than that it is gone.
                (_, Ok(true)) => return self.connection.receive().map(Some).map_err(stop),
                (Err(e), _) | (_, Err(e)) => return Err(stop(e)),
                (Ok(()), Ok(false)) if read == 0 => return Ok(None),
                (Ok(()), Ok(false)) => {}
            }
        }
    }

    /// What an answer means that came before the dot: never that the message is there.
    fn stopped_early(&mut self, reply: &Reply) -> Result<Answer, SessionStop> {
        match reply.meaning() {
            ReplyMeaning::Done | ReplyMeaning::GoOn => Err(StopKind::Here.with_cause(format!(
                "the server answered before the end of the message: {}",
                reply.one_line()
            ))),
            ReplyMeaning::Full(_) | ReplyMeaning::Later | ReplyMeaning::Never => refused(reply, "message"),
        }
    }

    /// Sends the dot and reads the answer to it, the first for the only recipient. What comes behind is none of ours.
    fn end_message(&mut self) -> Result<Answer, SessionStop> {
        self.connection.outlast_stop();
        let lost = |e: io::Error| StopKind::Lost.with_cause(format!("{} (end of message)", cause_text(&e)));
        let unclear = |reply: &Reply| lost(io::Error::other(format!("the server answered {}", reply.one_line())));
        let sent = self.connection.send(END);
        // A server that closes behind its answer may be gone before the dot is out of our hands: what it said is there,
        // or does not come.
        if sent.is_err() {
            self.connection.stop_waiting();
        }
        let reply = match (self.connection.receive(), sent) {
            (Ok(reply), _) => reply,
            (Err(_), Err(e)) | (Err(e), Ok(())) => return Err(lost(e)),
        };
        match reply.meaning() {
            ReplyMeaning::Done => Ok(Answer::Taken),
            ReplyMeaning::GoOn => Err(unclear(&reply)),
            // Whoever is behind a proxy may have the message.
            ReplyMeaning::Later if reply.is_about_network() => Err(unclear(&reply)),
            ReplyMeaning::Full(_) | ReplyMeaning::Later | ReplyMeaning::Never => {
                refused(&reply, "message").map_err(|stop| match stop.kind {
                    // It has had the message once.
                    StopKind::Here => StopKind::Later.with_cause(stop.cause),
                    StopKind::Later | StopKind::Never | StopKind::Lost | StopKind::Unread => stop,
                })
            }
        }
    }

    /// Takes leave. Its answer changes nothing.
    fn quit(&mut self) {
        let _ = self.connection.send(b"QUIT\r\n");
    }
}

/// What a refusal means. Of several servers another may do better with what may pass.
fn refused(reply: &Reply, command: &str) -> Result<Answer, SessionStop> {
    let cause = refusal(reply, command);
    match reply.meaning() {
        ReplyMeaning::Full(what) => Ok(Answer::Full {
            what,
            said: reply.one_line(),
        }),
        ReplyMeaning::Never => Err(StopKind::Never.with_cause(cause)),
        ReplyMeaning::Done | ReplyMeaning::GoOn | ReplyMeaning::Later => Err(StopKind::Here.with_cause(cause)),
    }
}

fn refusal(reply: &Reply, command: &str) -> String {
    format!("the server answered {} ({})", reply.one_line(), first_word(command))
}

fn first_word(command: &str) -> &str {
    command.split(' ').next().unwrap_or(command)
}

/// MAIL with the parameters that the server has named: of others it may refuse the whole transaction (555 5.5.4,
/// Dovecot).
fn mail_command(sender: &str, recipient: &str, size_bytes: u64, extensions: &[String]) -> String {
    let names = |name: &str| {
        let words = extensions
            .iter()
            .filter_map(|line| line.split_ascii_whitespace().next());
        words.into_iter().any(|word| word.eq_ignore_ascii_case(name))
    };
    let mut text = format!("MAIL FROM:<{sender}>");
    if names("SIZE") && size_bytes > 0 {
        text.push_str(&format!(" SIZE={size_bytes}"));
    }
    if names("8BITMIME") {
        text.push_str(" BODY=8BITMIME");
    }
    if names("SMTPUTF8") && !(sender.is_ascii() && recipient.is_ascii()) {
        text.push_str(" SMTPUTF8");
    }
    text
}

/// Our name for LHLO: a server refuses what is no domain.
fn host_name() -> String {
    let name = account::host_name();
    let is_domain = |name: &str| {
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
    };
    match name.as_str() {
        name if !name.is_empty() && is_domain(name) => name.to_owned(),
        _ => "localhost".to_owned(),
    }
}
