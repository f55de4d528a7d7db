//! What is known when a message is examined for a bounce, and the possible answers: types without code.

use crate::classify::body_scan::BodyScan;
use crate::classify::header_scan::HeaderScan;
use crate::classify::patterns::sender::SenderKind;
use crate::classify::verdict::{Bounce, Marker};
use crate::message::Message;

/// What is known of a message before its body is read.
#[derive(Clone, Debug)]
pub struct Evidence<'m, 'a> {
    /// The message.
    pub message: &'m Message<'a>,
    /// The names in its body.
    pub body: BodyScan,
    /// Its header.
    pub head: &'m HeaderScan<'a>,
    /// `From`, decoded.
    pub from: Option<&'m str>,
    /// Who that is.
    pub sender_kind: SenderKind,
    /// The subject, folded.
    pub subject: &'m str,
    /// The null envelope sender.
    pub null_sender: Option<&'m Marker>,
    /// It has marks of an automatic answer, beyond what Postfix puts on its reports too.
    pub is_answer: bool,
}

/// The result of weighing the evidence.
#[derive(Clone, Debug)]
pub enum Weighed {
    /// It is a report.
    Report(Bounce),
    /// It is not a report, but a machine wrote it about a message that carries our own mark.
    QuotesOurLoop(Marker),
    /// It is not a report.
    Nothing,
}
