//! A message with its envelope, and what became of it at each recipient.

use crate::error::Error;
use crate::report::sendmail_reply::SendmailReply;

#[derive(Debug)]
pub struct Letter<'a, R> {
    /// The envelope sender; empty is the null sender.
    pub sender: &'a str,
    /// Whom it is for, at least one.
    pub recipients: &'a [String],
    /// Our own header fields, complete lines.
    pub added: &'a [u8],
    /// The message, without a separator line.
    pub content: R,
    pub content_bytes: u64,
}

/// A recipient that the MTA does not take, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub recipient: String,
    pub reply: SendmailReply,
}

/// What became of a letter at each of its recipients.
#[derive(Debug, Default)]
#[must_use]
pub struct Answers {
    /// The MTA has it for these.
    pub taken: Vec<String>,
    /// It will never take it for these.
    pub refused: Vec<Refusal>,
    /// It did not take it for the others, and may do so later.
    pub later: Option<Error>,
}

impl Answers {
    pub fn taken_by(recipients: &[String]) -> Self {
        Self {
            taken: recipients.to_vec(),
            ..Self::default()
        }
    }
}
