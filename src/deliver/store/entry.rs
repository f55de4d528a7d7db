//! What is put into a mailbox, of whatever kind that is, and what the quota is asked about it.

use std::io::Read;

use time::OffsetDateTime;

use crate::classify::policy::{Action, Why};
use crate::classify::submission;
use crate::config::Over;
use crate::config::value::Limit;
use crate::deliver::context::{Delivery, Run};
use crate::mailbox::submissions::{SubmissionKey, key_of};
use crate::message::Message;
use crate::message::envelope::Sender;
use crate::quota::{Admission, Usage};
use crate::sys::account::own_hosts;
use crate::sys::message_buffer;

/// A message on its way into a mailbox. Its content can be read as often as it is cloned.
#[derive(Clone, Debug)]
pub struct Entry<'a, R: Read + Clone> {
    pub sender: &'a Sender,
    /// The envelope recipient, where the caller names one.
    pub recipient: Option<&'a str>,
    pub date: OffsetDateTime,
    /// A field that names the sender, for a mailbox that has no other place for it; empty where the message has one, or
    /// nobody knows.
    pub return_path: String,
    /// Our own header fields, complete lines.
    pub added: &'a str,
    /// The message, without a separator line.
    pub content: R,
    pub content_bytes: u64,
    /// Which submission it is, where its MTA says so.
    pub submission: Option<SubmissionKey>,
}

impl<'a> Entry<'a, message_buffer::BufferReader<'a>> {
    pub fn of(run: &Run, delivery: &'a Delivery<'_>, added: &'a str) -> Self {
        Self {
            sender: &delivery.envelope.sender,
            recipient: delivery.envelope.recipient.as_deref(),
            date: delivery.date,
            return_path: return_path(&delivery.envelope.sender, &delivery.message),
            added,
            content: delivery.buffer.reader(delivery.content_start()),
            content_bytes: delivery.content_bytes(),
            submission: submission_of(run, delivery, added),
        }
    }
}

/// What is asked before a message goes into a mailbox, and once it is there. A message of our own asks nothing.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// How full the mailbox may be. Messages are counted only where this limits them.
    pub limit: Limit,
    /// Whether so many bytes more fit. Asked while nobody else writes, where the store can see to that.
    pub fits: &'a dyn Fn(Usage, u64) -> Admission,
    /// What is to be done where the store itself says that there is no room.
    pub when_full: Over,
    /// A notice about a mailbox that holds so many bytes now. It is put there, too, and taken back with the message.
    pub notice: &'a dyn Fn(u64) -> Option<String>,
}

#[derive(Debug)]
#[must_use]
pub enum Put<R> {
    /// It lies there, and is safe.
    Done(R),
    /// There is no room, and this is to be done. Nothing was written.
    Full(Over),
}

impl<R> Put<R> {
    pub fn map<S>(self, receipt: impl FnOnce(R) -> S) -> Put<S> {
        match self {
            Self::Done(done) => Put::Done(receipt(done)),
            Self::Full(over) => Put::Full(over),
        }
    }
}

/// The field that an MTA sets at the end (RFC 5321 section 4.4), where none has.
pub fn return_path(sender: &Sender, message: &Message<'_>) -> String {
    let sender = match sender {
        Sender::Null => "",
        Sender::Address(address) if !address.contains(char::is_control) => address,
        Sender::Address(_) | Sender::Unknown => return String::new(),
    };
    if message.first("Return-Path").is_some() {
        return String::new();
    }
    format!("Return-Path: <{sender}>{}", message.line_end())
}

/// Which submission the message is; none where it does not come from an MTA just now.
fn submission_of(run: &Run, delivery: &Delivery<'_>, added: &str) -> Option<SubmissionKey> {
    let age = OffsetDateTime::now_utc() - delivery.date;
    if delivery.action == Action::Keep(Why::CameBack) || age.abs() > JUST_NOW {
        return None;
    }
    let recipient = delivery.envelope.recipient.as_deref().unwrap_or_default();
    let context = [recipient.as_bytes(), run.account.name.as_bytes(), added.as_bytes()];
    submission::identify_submission(&delivery.message, own_hosts(), delivery.content_bytes(), &context)
        .map(|identity| key_of(&identity))
}

/// A message of another time is not one that an MTA brings.
const JUST_NOW: time::Duration = time::Duration::hours(1);
