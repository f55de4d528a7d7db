//! Is this a report from a mail system? Evidence of five sorts is weighed together: who wrote it, what the envelope
//! says, the subject, the system's own words, and how it is built. No single weak piece is enough, and what people and
//! lists add to a message weighs against it.

pub mod recipients;
mod reply;
pub mod score;

use crate::classify::bounce::recipients::{
    collect_parties, collect_senders, failed_recipients, read_report, unwrap_report, weigh_failures,
};
use crate::classify::bounce::reply::find_reply;
use crate::classify::bounce::score::{Built, Score};
use crate::classify::evidence::{Evidence, Weighed};
use crate::classify::ownership::find_ownership;
use crate::classify::patterns::sender::SenderKind;
use crate::classify::patterns::{body, subject};
use crate::classify::verdict::{Bounce, Facts, Marker};
use crate::message::mime::{MimeParts, PartKind};
use crate::message::text::{normalize_words, part_text, starts_with_ignoring_case};
use crate::report::dsn::{DeliveryReport, Recipient};
use crate::report::prose::{complete_recipients, names_anybody};
use crate::report::returned_header::{MessageOrigin, ReturnedHeader, nested_values, own_words};

/// As much of the system's own words as rules look at.
const OPENING_BYTES: usize = 8 * 1024;

/// Tells whether anything at all speaks for a report, so that the body is worth reading.
pub fn is_suspect(evidence: &Evidence<'_, '_>) -> bool {
    let content_type = evidence.head.content_type.map(|field| field.text());
    evidence.sender_kind >= SenderKind::Postmaster
        || evidence.null_sender.is_some()
        || evidence.head.null_path.is_some()
        || evidence.head.report_mark.is_some()
        || evidence.head.report_hint.is_some()
        || evidence
            .head
            .auto_submitted
            .is_some_and(|field| starts_with_ignoring_case(field.text().trim_start(), "auto-replied"))
        || content_type.is_some_and(|value| {
            starts_with_ignoring_case(&value, "multipart/report") || starts_with_ignoring_case(&value, "message/")
        })
        || subject::is_rule(evidence.subject)
        || evidence.body.status_part
}

/// Weighs everything.
pub fn score_bounce(evidence: &Evidence<'_, '_>, outline: &MimeParts<'_>, facts: &Facts<'_>) -> Weighed {
    // The pseudo message that mail programs keep in a mailbox for themselves (c-client, Dovecot): MAILER-DAEMON wrote
    // it.
    if evidence.subject.starts_with("don't delete this message") || is_alert(evidence.subject) {
        return Weighed::Nothing;
    }
    let mut score = Score::default();
    score.score_sender(evidence);
    let kind_of_subject = score.score_subject(evidence);
    let built = score.score_structure(evidence, outline);

    let unwrapped = unwrap_report(evidence, outline);
    let outline = unwrapped.as_ref().unwrap_or(outline);
    let text = system_text(outline);
    let own = own_words(&text);
    let report = read_report(outline, &text);
    let quoted = ReturnedHeader::find(outline, &text);
    let words = body::find_phrases(&opening_of(own));
    let kind_of_words = score.score_words(&words, &text);
    score.score_quote(&quoted, &words, built);
    score.score_people(evidence, own, built);
    score.score_reply(evidence, own, &quoted);

    let our_loop = find_our_loop(evidence, facts);
    if is_challenge(&report, own) || !score.is_enough(evidence, built, &words, &quoted) {
        let null = evidence.null_sender.is_some() || evidence.head.null_path.is_some();
        let automatic = null || evidence.sender_kind > SenderKind::Machine || evidence.head.auto_submitted.is_some();
        return match our_loop {
            Some(marker) if automatic || built == Built::Report => Weighed::QuotesOurLoop(marker),
            _ => Weighed::Nothing,
        };
    }
    let kind = report.kind().or(kind_of_words).or(kind_of_subject);
    let reporting_host = report.reporting_host.clone();
    let mut recipients = collect_recipients(evidence, own, &quoted, report);
    // Exchange names people, as its own address book does.
    let says_so_itself = built == Built::Report
        || evidence.sender_kind == SenderKind::Daemon
        || evidence.head.report_hint.is_some()
        || words.are_of("Exchange");
    let gives_back = !quoted.is_empty() || outline.first(PartKind::Message).is_some();
    if !says_so_itself && !gives_back && !names_recipient(evidence, own, &recipients) {
        return Weighed::Nothing;
    }
    complete_recipients(&mut recipients, kind, own);
    let mut bounce = Bounce {
        kind,
        recipients,
        reporting_host,
        markers: score.into_markers(),
        ..bounce_about(&quoted, facts)
    };
    // Our own mark, quoted: nothing weighs more.
    if let Some(marker) = our_loop {
        bounce.origin = MessageOrigin::OurForward;
        bounce.markers.insert(0, marker);
    }
    Weighed::Report(bounce)
}

/// Tells whether a filter tells its administrator of somebody's message that it stopped (amavisd-new:
/// `BANNED (.exe) FROM ...`). What it writes to the sender says `FROM YOU`.
fn is_alert(subject: &str) -> bool {
    #[rustfmt::skip]
    const STARTS: [&str; 8] = [
        "virus (", "banned (", "spam (", "spam from", "bad header", "bad-header", "unchecked", "infected",
    ];
    let begins = STARTS.iter().any(|start| subject.starts_with(start));
    begins && subject.contains(" from ") && !subject.contains("from you")
}

/// A report about the message whose header it returns; what it says of that is left to the caller.
pub fn bounce_about(returned: &ReturnedHeader<'_>, facts: &Facts<'_>) -> Bounce {
    let message = returned.message();
    let message_id = message.first("Message-ID").map(|id| id.trim().to_owned());
    Bounce {
        kind: None,
        recipients: Vec::new(),
        origin: returned.origin(facts.own),
        ownership: find_ownership(&message, facts),
        markers: Vec::new(),
        reporting_host: None,
        quoted_message_id: message_id.filter(|id| !id.is_empty()),
        quoted_sender: returned.sender(),
    }
}

/// Our own `X-Loop` anywhere in the body.
fn find_our_loop(evidence: &Evidence<'_, '_>, facts: &Facts<'_>) -> Option<Marker> {
    let mut marks = nested_values(evidence.message.body(), "x-loop");
    let value = marks.find(|value| facts.own.is_loop_mark(value))?;
    let why = "quotes our own X-Loop: the report is about our forward";
    Some(Marker::new("X-Loop", &value, why))
}

/// Whom the report names, in the machine's part or else in words.
fn collect_recipients(
    evidence: &Evidence<'_, '_>,
    own: &str,
    returned: &ReturnedHeader<'_>,
    mut report: DeliveryReport,
) -> Vec<Recipient> {
    if report.recipients.iter().all(|recipient| recipient.address.is_empty()) {
        return failed_recipients(evidence, own, returned, &report);
    }
    weigh_failures(&mut report.recipients, own, &collect_senders(evidence, returned));
    report.recipients
}

/// Tells whether a report names an address. Parcels, payments and short messages fail in the same words; what says so
/// of mail names an address or gives the message back.
fn names_recipient(evidence: &Evidence<'_, '_>, own: &str, recipients: &[Recipient]) -> bool {
    recipients.iter().any(|recipient| !recipient.address.is_empty())
        || evidence.sender_kind == SenderKind::Postmaster && names_anybody(own, &collect_parties(evidence))
}

/// Tells whether somebody's filter asks for something before it lets a message through. Nothing failed, whatever form
/// it comes in (Boxbe writes a whole delivery report). One that quotes the reply of a server is a report, and what it
/// asks for is the server's.
fn is_challenge(report: &DeliveryReport, own: &str) -> bool {
    #[rustfmt::skip]
    const WISHES: [&str; 12] = [
        "guest list", "waitlisted", "allowed list", "approved senders", "approved sender list",
        "to ensure delivery of your", "not a robot", "you are human", "you are a real person",
        "verify that you sent", "confirm that you sent", "have your message delivered",
    ];
    let refused = |recipient: &Recipient| {
        recipient
            .status
            .as_deref()
            .is_some_and(|status| status.starts_with('5'))
    };
    if report.recipients.iter().any(refused) || !own.contains("http") {
        return false;
    }
    let lower = normalize_words(own);
    WISHES.iter().any(|words| lower.contains(words)) && find_reply(own, &[]).is_none()
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
    normalize_words(&out.replace('\u{2019}', "'"))
}
