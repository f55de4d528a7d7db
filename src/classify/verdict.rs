//! The verdicts, with the markers that led to them: types without code.

use crate::message::Field;
use crate::message::address::OwnAddresses;
use crate::message::envelope::Sender;
use crate::report::dsn::{Recipient, ReportKind};
use crate::report::returned_header::MessageOrigin;

/// The piece of a message that convinced us.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Marker {
    /// The header field, as we call it; `Body` for what stands there.
    pub header: String,
    /// Its value, unfolded; still holds whatever the sender wrote, so it is escaped where it is shown.
    pub value: String,
    /// What that means, in words.
    pub why: &'static str,
}

impl Marker {
    /// As much of a value as is kept.
    const VALUE_BYTES: usize = 500;

    /// Keeps `value`, without blanks at its ends and not longer than anyone reads.
    pub(crate) fn new(header: &str, value: &str, why: &'static str) -> Self {
        let value = value.trim();
        let mut end = value.len().min(Self::VALUE_BYTES);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            header: header.to_owned(),
            value: value.get(..end).unwrap_or_default().to_owned(),
            why,
        }
    }

    /// Keeps a field as it stands in the message.
    pub(crate) fn of(field: &Field<'_>, why: &'static str) -> Self {
        Self::new(&field.name_text(), &field.text(), why)
    }
}

/// A report from a mail system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// Failure, delay or success, as far as the report says.
    pub kind: Option<ReportKind>,
    /// The recipients it names.
    pub recipients: Vec<Recipient>,
    /// Whose message it is about.
    pub origin: MessageOrigin,
    /// Whether more than its writer's name says that the message is the user's.
    pub ownership: Ownership,
    /// Why it is a report; never empty.
    pub markers: Vec<Marker>,
    /// The host that reports, where it says so (RFC 3464 section 2.2.2).
    pub reporting_host: Option<String>,
    /// The Message-ID of the message that it is about.
    pub quoted_message_id: Option<String>,
    /// Who wrote that message.
    pub quoted_sender: Option<String>,
}

impl Bounce {
    /// Tells whether it gives a message up: one that says nothing does, that is what reports are for.
    pub fn gives_up(&self) -> bool {
        match self.kind {
            Some(ReportKind::Failure) | None => true,
            Some(ReportKind::Delay | ReportKind::Success) => false,
        }
    }
}

/// What a message is. Every verdict but `Ordinary` holds at least one marker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It has been here before.
    Loop(Vec<Marker>),
    /// A report from a mail system about another message (RFC 3464, and the shapes before it).
    Bounce(Bounce),
    /// A feedback report (RFC 5965).
    Complaint(Vec<Marker>),
    /// A read receipt (RFC 8098).
    Receipt(Vec<Marker>),
    /// Vacation and the like (RFC 3834).
    AutoReply(Vec<Marker>),
    /// Written by spoolguard itself.
    Notice(Vec<Marker>),
    /// Everything else.
    Ordinary,
}

impl Verdict {
    /// The bounce that it is, if it is one.
    pub fn bounce(&self) -> Option<&Bounce> {
        match self {
            Self::Bounce(bounce) => Some(bounce),
            Self::Loop(_)
            | Self::Complaint(_)
            | Self::Receipt(_)
            | Self::AutoReply(_)
            | Self::Notice(_)
            | Self::Ordinary => None,
        }
    }

    /// The word for it, as flags, logs and JSON use it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Loop(_) => "loop",
            Self::Bounce(_) => "bounce",
            Self::Complaint(_) => "complaint",
            Self::Receipt(_) => "receipt",
            Self::AutoReply(_) => "auto-reply",
            Self::Notice(_) => "notice",
            Self::Ordinary => "ordinary",
        }
    }

    /// What led to it.
    pub fn markers(&self) -> &[Marker] {
        match self {
            Self::Loop(markers)
            | Self::Complaint(markers)
            | Self::Receipt(markers)
            | Self::AutoReply(markers)
            | Self::Notice(markers) => markers,
            Self::Bounce(bounce) => &bounce.markers,
            Self::Ordinary => &[],
        }
    }
}

/// A verdict, and the facts that stand beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Judgement {
    /// What the message is.
    pub verdict: Verdict,
    /// The envelope sender is null.
    pub null_sender: Option<Marker>,
    /// The message, or the header that it quotes, says that a guard diverted it before.
    pub diverted_before: Option<Marker>,
    /// A filter marked the message as spam.
    pub spam: Option<Marker>,
}

/// What has to be known beside the message.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who sent it.
    pub sender: &'a Sender,
    /// The user's own addresses.
    pub own: &'a OwnAddresses,
    /// How many `Received` fields are too many.
    pub max_hops: usize,
    /// The names of this host.
    pub hosts: &'a [String],
    /// Other hosts and domains through which the user's own mail leaves.
    pub relays: &'a [String],
}

/// Whether more than a name says that a quoted message is the user's. Whoever sends spam writes anybody into `From`;
/// what the MTAs on its way wrote, the sender of spam does not choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The user's host, domain or relay is among its `Received` fields, or made its Message-ID.
    Shown,
    /// Nothing says so.
    NotShown,
}
