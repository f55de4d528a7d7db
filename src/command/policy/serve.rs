//! Conversations over standard input and output: which bytes come in, and which go out for each answer.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};

use crate::command::policy::room::{FullEvidence, RoomAnswer};
use crate::command::policy::rules::RoomQuestion;
use crate::command::policy::rules::line::LineBuffer;
use crate::command::policy::rules::opensmtpd::{self, FilterEvent, IsNull, ReplyTo};
use crate::command::policy::rules::postfix::{DUNNO, PostfixRequest, RequestReader};
use crate::command::policy::turns::PolicySession;
use crate::message::envelope::Sender;

const READ_BYTES: usize = 4096;

/// So many sessions with a null sender are remembered; with more of them, nobody is refused.
const MOST_SESSIONS: usize = 10_000;

/// Standard input and output, unbuffered but for what was read too far.
pub struct PolicyPipe {
    input: File,
    output: File,
    read: Vec<u8>,
    used: usize,
}

impl PolicyPipe {
    pub fn new(input: File, output: File) -> Self {
        Self {
            input,
            output,
            read: Vec::new(),
            used: 0,
        }
    }

    /// What was read and not used; reads more where there is nothing. None at the end, and where it cannot be read.
    fn bytes(&mut self) -> Option<&[u8]> {
        if self.used >= self.read.len() {
            self.read.resize(READ_BYTES, 0);
            self.used = 0;
            let count = loop {
                match self.input.read(&mut self.read) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Ok(count) => break count,
                    Err(_) => break 0,
                }
            };
            self.read.truncate(count);
        }
        self.read.get(self.used..).filter(|rest| !rest.is_empty())
    }

    /// In one write: no other thread's comes between, and whoever reads gets it whole.
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.output.write_all(text.as_bytes())
    }
}

/// A client that speaks the Postfix policy protocol.
pub struct PostfixSession {
    pipe: PolicyPipe,
    requests: RequestReader,
}

impl PostfixSession {
    pub fn new(pipe: PolicyPipe) -> Self {
        Self {
            pipe,
            requests: RequestReader::default(),
        }
    }

    /// The next request; the last one may have no end.
    fn request(&mut self) -> Option<PostfixRequest> {
        loop {
            let Some(bytes) = self.pipe.bytes() else {
                return std::mem::take(&mut self.requests).end();
            };
            let (taken, request) = self.requests.take(bytes);
            self.pipe.used += taken;
            if request.is_some() {
                return request;
            }
        }
    }
}

impl PolicySession for PostfixSession {
    fn next(&mut self) -> Option<RoomQuestion> {
        loop {
            match self.request()? {
                PostfixRequest::Room(question) => return Some(question),
                PostfixRequest::OtherStage => {}
                PostfixRequest::Bad(cause) => tracing::warn!(cause, "cannot understand a policy request"),
            }
            self.pipe.write(DUNNO).ok()?;
        }
    }

    fn answer(&mut self, question: &RoomQuestion, answer: &RoomAnswer) -> io::Result<()> {
        match refusal(question, answer) {
            None => self.pipe.write(DUNNO),
            Some(reply) => self.pipe.write(&format!("action={reply}\n\n")),
        }
    }
}

/// OpenSMTPD, whose filter this is.
pub struct OpenSmtpdSession {
    pipe: PolicyPipe,
    lines: LineBuffer,
    null_senders: HashSet<String>,
    asked: Option<ReplyTo>,
}

impl OpenSmtpdSession {
    pub fn new(pipe: PolicyPipe) -> Self {
        Self {
            pipe,
            lines: LineBuffer::default(),
            null_senders: HashSet::new(),
            asked: None,
        }
    }

    /// What the next line says; a recipient that is too long to be kept is none that can be looked for.
    fn event(&mut self) -> Option<FilterEvent> {
        loop {
            let bytes = self.pipe.bytes()?;
            let (taken, line) = self.lines.take(bytes);
            let event = line.map(|line| (opensmtpd::read(line.bytes), line.is_cut));
            self.pipe.used += taken;
            match event {
                None => {}
                Some((FilterEvent::RecipientTo(to, _), true)) => return Some(FilterEvent::OtherQuestion(to)),
                Some((event, _)) => return Some(event),
            }
        }
    }

    fn sender_of(&self, session: &str) -> Sender {
        let is_null = self.null_senders.contains(session) || self.null_senders.len() >= MOST_SESSIONS;
        if is_null { Sender::Null } else { Sender::Unknown }
    }
}

impl PolicySession for OpenSmtpdSession {
    fn next(&mut self) -> Option<RoomQuestion> {
        loop {
            let reply = match self.event()? {
                FilterEvent::Ready => opensmtpd::REGISTRATION.to_owned(),
                FilterEvent::MailFrom(to, IsNull::Yes) => {
                    if self.null_senders.len() < MOST_SESSIONS {
                        self.null_senders.insert(to.session.clone());
                    }
                    to.proceed()
                }
                FilterEvent::MailFrom(to, IsNull::No) => {
                    self.null_senders.remove(&to.session);
                    to.proceed()
                }
                FilterEvent::RecipientTo(to, recipient) => {
                    let sender = self.sender_of(&to.session);
                    self.asked = Some(to);
                    return Some(RoomQuestion {
                        recipient,
                        sender,
                        size_bytes: 0,
                    });
                }
                FilterEvent::OtherQuestion(to) => to.proceed(),
                FilterEvent::Disconnected(session) => {
                    self.null_senders.remove(&session);
                    continue;
                }
                FilterEvent::Other => continue,
            };
            self.pipe.write(&reply).ok()?;
        }
    }

    fn answer(&mut self, question: &RoomQuestion, answer: &RoomAnswer) -> io::Result<()> {
        let Some(to) = self.asked.take() else { return Ok(()) };
        let reply = match refusal(question, answer) {
            None => to.proceed(),
            Some(reply) => to.reject(reply),
        };
        self.pipe.write(&reply)
    }
}

/// The reply for a full mailbox, which is logged; none where there is room.
fn refusal<'a>(question: &RoomQuestion, answer: &'a RoomAnswer) -> Option<&'a str> {
    let full = match answer {
        RoomAnswer::Room(_) => return None,
        RoomAnswer::Full(full) => full,
    };
    match &full.evidence {
        FullEvidence::Measured(usage, limit) => tracing::info!(
            action = "refuse",
            user = full.user,
            recipient = question.recipient,
            size = question.size_bytes,
            used = usage.bytes,
            limit = limit.bytes,
            reply = full.reply
        ),
        FullEvidence::Said(said) => tracing::info!(
            action = "refuse",
            user = full.user,
            recipient = question.recipient,
            size = question.size_bytes,
            said,
            reply = full.reply
        ),
    }
    Some(&full.reply)
}
