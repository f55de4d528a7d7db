//! Is this a report from a mail system? Evidence of five sorts is weighed together: who wrote it, what the envelope says, the
//! subject, the system's own words, and how it is built. No single weak piece is enough, and what people and lists add
//! to a message weighs against it.

pub mod recipients;
pub mod score;

use crate::classify::bounce::recipients::{add_reasons, failed_recipients, parties, read_report};
use crate::classify::bounce::score::{Built, Scale};
use crate::classify::header_scan::Head;
use crate::classify::patterns::sender::Writer;
use crate::classify::patterns::{body, subject};
use crate::classify::{Bounce, Facts, Marker};
use crate::message::Message;
use crate::message::mime::{MimeParts, PartKind};
use crate::message::text::{normalize, part_text, starts_with_ignoring_case};
use crate::report::prose::{complete, names_anybody};
use crate::report::returned_header::{Quoted, nested_values, own_words};

/// As much of the system's own words as rules look at.
const OPENING_BYTES: usize = 8 * 1024;

/// What is known of a message before its body is read.
#[derive(Clone, Debug)]
pub struct Look<'m, 'a> {
    /// The message.
    pub message: &'m Message<'a>,
    /// Its header.
    pub head: &'m Head<'a>,
    /// `From`, decoded.
    pub from: Option<&'m str>,
    /// Who that is.
    pub writer: Writer,
    /// The subject, folded.
    pub subject: &'m str,
    /// The null envelope sender.
    pub null_sender: Option<&'m Marker>,
    /// It has marks of an automatic answer.
    pub answers: Answers,
}

/// Whether a message has marks of an automatic answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// It has, beyond what Postfix puts on its reports too.
    Yes,
    /// It has not.
    No,
}

/// What came of the weighing.
#[derive(Clone, Debug)]
pub enum Weighed {
    /// It is a report.
    Report(Bounce),
    /// It is none, but a machine wrote it about a message that carries our own mark.
    QuotesOurLoop(Marker),
    /// It is none.
    Nothing,
}

/// Tells whether anything at all speaks for a report, so that the body is worth reading.
#[must_use]
pub fn is_suspect(look: &Look<'_, '_>) -> bool {
    let content_type = look.head.content_type.map(|field| field.text());
    look.writer >= Writer::Postmaster
        || look.null_sender.is_some()
        || look.head.null_path.is_some()
        || look.head.report_mark.is_some()
        || look.head.report_hint.is_some()
        || look
            .head
            .auto_submitted
            .is_some_and(|field| starts_with_ignoring_case(field.text().trim_start(), "auto-replied"))
        || content_type.is_some_and(|value| {
            starts_with_ignoring_case(&value, "multipart/report") || starts_with_ignoring_case(&value, "message/")
        })
        || subject::is_rule(look.subject)
        || has_status_part(look.message.body())
}

/// The words that open a delivery status part, whatever is around it.
fn has_status_part(body: &[u8]) -> bool {
    const BYTES: usize = 64 * 1024;
    let body = body.get(..BYTES).unwrap_or(body);
    memchr::memmem::find(body, b"/delivery-status").is_some()
        || memchr::memmem::find(body, b"/Delivery-Status").is_some()
}

/// Weighs everything.
#[must_use]
pub fn weigh(look: &Look<'_, '_>, outline: &MimeParts<'_>, facts: &Facts<'_>) -> Weighed {
    // The pseudo message that mail programs keep in a mailbox for themselves (c-client, Dovecot): MAILER-DAEMON wrote it.
    if look.subject.starts_with("don't delete this message") {
        return Weighed::Nothing;
    }
    let mut scale = Scale::default();
    scale.weigh_writer(look);
    let kind_of_subject = scale.weigh_subject(look);
    let built = scale.weigh_structure(look, outline);

    let text = system_text(outline);
    let own = own_words(&text);
    let report = read_report(outline, &text);
    let quoted = Quoted::find(outline, &text);
    let words = body::find(&opening_of(own));
    let kind_of_words = scale.weigh_words(&words, &text);
    scale.weigh_quote(&quoted, &words, built);
    scale.weigh_people(look, own, built);

    let our_loop = nested_values(look.message.body(), "x-loop")
        .find(|value| facts.own.is_loop_mark(value))
        .map(|value| {
            Marker::new(
                "X-Loop",
                &value,
                "quotes our own X-Loop: the report is about our forward",
            )
        });
    if !scale.is_enough(look, built, &words, &quoted) {
        let null = look.null_sender.is_some() || look.head.null_path.is_some();
        let automatic = null || look.writer > Writer::Machine || look.head.auto_submitted.is_some();
        return match our_loop {
            Some(marker) if automatic || built == Built::Report => Weighed::QuotesOurLoop(marker),
            _ => Weighed::Nothing,
        };
    }

    let mut markers = scale.markers;
    let mut origin = quoted.origin(facts.own);
    if let Some(marker) = our_loop {
        origin = crate::report::returned_header::Origin::OurForward;
        markers.push(marker);
    }
    let kind = report.kind().or(kind_of_words).or(kind_of_subject);
    let mut recipients = if report.recipients.iter().any(|r| !r.address.is_empty()) {
        let mut recipients = report.recipients;
        add_reasons(&mut recipients, own);
        recipients
    } else {
        failed_recipients(look, own, &quoted, &report)
    };
    // Parcels, payments and short messages fail in the same words. What says so of mail names an address or gives the message back.
    let names_mail = !quoted.is_empty()
        || outline.first(PartKind::Message).is_some()
        || recipients.iter().any(|recipient| !recipient.address.is_empty())
        || look.writer == Writer::Postmaster && names_anybody(own, &parties(look));
    // Exchange names people, as its own address book does.
    let says_so_itself = built == Built::Report
        || look.writer == Writer::Daemon
        || look.head.report_hint.is_some()
        || words.are_of("Exchange");
    if !names_mail && !says_so_itself {
        return Weighed::Nothing;
    }
    complete(&mut recipients, kind);
    let message_id = quoted
        .message()
        .first("Message-ID")
        .map(|id| id.trim().to_owned())
        .filter(|id| !id.is_empty());
    Weighed::Report(Bounce {
        kind,
        recipients,
        origin,
        markers,
        reporting_host: report.reporting_host,
        quoted_message_id: message_id,
    })
}

/// The text parts of the report itself, decoded, in order.
fn system_text(outline: &MimeParts<'_>) -> String {
    const PARTS: usize = 4;
    let mut text = String::new();
    for part in outline.all(PartKind::Text).take(PARTS) {
        text.push_str(&part_text(part));
        text.push('\n');
    }
    text
}

/// What rules are compared with: the beginning of the system's own words, normalize, without lines that quote.
fn opening_of(own: &str) -> String {
    let mut out = String::new();
    for line in own
        .lines()
        .filter(|line| !line.starts_with('>') || line.starts_with(">>>"))
    {
        if out.len() > OPENING_BYTES {
            break;
        }
        let line = line.get(..2000).unwrap_or(line);
        out.push_str(line);
        out.push('\n');
    }
    normalize(&out.replace('\u{2019}', "'"))
}
