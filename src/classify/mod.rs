//! What is this message? One verdict, with the markers that led to it.
//!
//! Each question has its own file; here is the order in which they are asked, and the types that carry the answer.

pub mod auto_reply;
pub mod body_scan;
pub mod bounce;
pub mod evidence;
pub mod header_scan;
pub mod loops;
pub mod ownership;
pub mod patterns;
pub mod policy;
pub mod receipt;
pub mod ses;
pub mod submission;
pub mod verdict;

use crate::classify::auto_reply::{find_reply, find_signs};
use crate::classify::body_scan::BodyScan;
use crate::classify::bounce::{bounce_about, is_suspect, score_bounce};
use crate::classify::evidence::{Evidence, Weighed};
use crate::classify::header_scan::HeaderScan;
use crate::classify::loops::{find_loop, is_inside, is_trace};
use crate::classify::patterns::sender::{SenderKind, classify_sender};
use crate::classify::receipt::{Disposition, find_complaint, find_disposition, may_be_other_report};
use crate::classify::ses::SesNotice;
use crate::classify::verdict::{Bounce, Facts, Judgement, Marker, Verdict};
use crate::message::envelope::Sender;
use crate::message::mime::MimeParts;
use crate::message::text::{decoded_value, find_parameter, normalize_words, part_text};
use crate::message::{Field, Message};
use crate::report::returned_header::{ReturnedHeader, nested_values};

pub use crate::classify::verdict::Ownership;
pub use crate::report::dsn::{Recipient, ReportKind};
pub use crate::report::returned_header::MessageOrigin;
pub use crate::report::status_code::FailureClass;

/// The header in which spoolguard says that it diverted a message; whoever carries it is never sent anywhere again.
pub const DIVERT_HEADER: &str = "X-Spoolguard-Divert";

/// The header on top of the notices that spoolguard writes itself.
pub const NOTICE_HEADER: &str = "X-Spoolguard-Notice";

/// Most messages have no more fields that may show a loop.
const TRACE_FIELDS: usize = 8;

/// Judges one message.
pub fn classify(message: &Message<'_>, facts: &Facts<'_>) -> Judgement {
    let message = &message.below_preamble();
    let null_sender = (*facts.sender == Sender::Null).then(|| null_sender_marker(message));
    // One walk for both, and of a million fields only those are kept that somebody asks for again.
    let mut trace = Vec::with_capacity(TRACE_FIELDS);
    let head = HeaderScan::read(message.fields().inspect(|field| {
        if is_trace(field) {
            trace.push(*field);
        }
    }));
    let body = BodyScan::read(message.body());
    let verdict = match find_notice(&trace, &head, facts) {
        Some(notice) => Verdict::Notice(vec![notice]),
        None => judge_message(message, body, &trace, &head, facts, null_sender.as_ref()),
    };
    Judgement {
        verdict,
        diverted_before: find_diverted(message, body, &head),
        spam: head.spam.map(|field| Marker::of(&field, "marked by a spam filter")),
        null_sender,
    }
}

/// Is this one of our own notices? Anybody can write its mark, so it counts only on what never left this host. That has
/// the null sender, a daemon's name, and no hop from anywhere else. Whatever a stranger sends has such a hop: the MTA
/// that took it in wrote it.
fn find_notice(trace: &[Field<'_>], head: &HeaderScan<'_>, facts: &Facts<'_>) -> Option<Marker> {
    let field = head.notice?;
    let from = head.from.map(|field| field.text().into_owned());
    let is_null = match facts.sender {
        Sender::Null | Sender::Unknown => true,
        Sender::Address(_) => false,
    };
    let stayed_here = trace
        .iter()
        .filter(|field| field.is("Received"))
        .all(|field| is_inside(field.value, facts.hosts));
    let is_ours =
        is_null && stayed_here && head.list.is_none() && sender_kind_of(head, from.as_deref()) == SenderKind::Daemon;
    is_ours.then(|| Marker::of(&field, "a notice of a guard of this host"))
}

/// The questions, in order. A loop must end whatever else the message is. A notice of another kind is no bounce
/// although it is built like one. A report's marks outweigh those of an automatic answer, which Postfix puts on its
/// reports too.
fn judge_message(
    message: &Message<'_>,
    body: BodyScan,
    trace: &[Field<'_>],
    head: &HeaderScan<'_>,
    facts: &Facts<'_>,
    null_sender: Option<&Marker>,
) -> Verdict {
    let loops = find_loop(trace, facts.own, facts.hosts, facts.max_hops);
    if !loops.is_empty() {
        return Verdict::Loop(loops);
    }
    let content_type = head.content_type.map(|field| field.text()).unwrap_or_default();
    // Only of a header in bytes of its own does it matter in which charset it is.
    let is_raw =
        |field: Option<Field<'_>>| field.is_some_and(|field| field.value.iter().any(|b| !b.is_ascii() || *b == 0x1b));
    let charset = (is_raw(head.subject) || is_raw(head.from)).then(|| find_parameter(&content_type, "charset"));
    let charset = charset.flatten();
    let subject = head
        .subject
        .map(|field| normalize_words(&decoded_value(&field, charset.as_deref())))
        .unwrap_or_default();
    let from = head.from.map(|field| decoded_value(&field, charset.as_deref()));
    let from = from.as_deref();

    if let Some(notice) = ses_notice(message, from) {
        return match notice {
            SesNotice::Bounce(bounce) => Verdict::Bounce(bounce),
            SesNotice::Complaint(marker) => Verdict::Complaint(vec![marker]),
        };
    }
    let replies = find_reply(head, &subject, null_sender);
    let evidence = Evidence {
        message,
        body,
        head,
        from,
        sender_kind: sender_kind_of(head, from),
        subject: &subject,
        null_sender,
        // Postfix writes `Auto-Submitted: auto-replied` on its reports: that alone does not make it an answer.
        is_answer: replies
            .iter()
            .any(|marker| !marker.header.eq_ignore_ascii_case("Auto-Submitted")),
    };
    if let Some(verdict) = judge_report(&evidence, &content_type, facts) {
        return verdict;
    }
    if !replies.is_empty() {
        return Verdict::AutoReply(replies);
    }
    // What a mail system itself wrote under such signs is a report that nobody knows.
    let by_others = evidence.sender_kind < SenderKind::Postmaster;
    match find_signs(head, &subject, null_sender).filter(|_| by_others) {
        Some(signs) => Verdict::AutoReply(signs.into()),
        None => Verdict::Ordinary,
    }
}

/// The questions that need the parts of the message: complaint, receipt, bounce. Most messages have nothing that makes
/// them worth asking.
fn judge_report(evidence: &Evidence<'_, '_>, content_type: &str, facts: &Facts<'_>) -> Option<Verdict> {
    let (head, subject) = (evidence.head, evidence.subject);
    let is_suspect = is_suspect(evidence);
    if !is_suspect && !may_be_other_report(head, evidence.body, content_type, subject) {
        return None;
    }
    let outline = MimeParts::of(evidence.message);
    if let Some(marker) = find_complaint(head, &outline, subject) {
        return Some(Verdict::Complaint(vec![marker]));
    }
    match find_disposition(head, &outline, subject) {
        Some(Disposition::Receipt(marker)) => return Some(Verdict::Receipt(vec![marker])),
        Some(Disposition::Rejection(marker, recipients)) => {
            return Some(Verdict::Bounce(rejection(marker, recipients, &outline, facts)));
        }
        None => {}
    }
    match is_suspect.then(|| score_bounce(evidence, &outline, facts))? {
        Weighed::Report(bounce) => Some(Verdict::Bounce(bounce)),
        Weighed::QuotesOurLoop(marker) => Some(Verdict::Loop(vec![marker])),
        Weighed::Nothing => None,
    }
}

/// What Amazon's notification service passes on. Only JSON that stands alone is asked about, and only from an address
/// of machines.
fn ses_notice(message: &Message<'_>, from: Option<&str>) -> Option<SesNotice> {
    // Nothing else in mail begins so, and in base64 that is `e`.
    let begins = message.body().trim_ascii_start().first().copied();
    let is_machines = || {
        from.is_some_and(|from| classify_sender(Some(from)) >= SenderKind::Machine || from.contains("amazonaws.com"))
    };
    match begins {
        Some(b'{' | b'e') if is_machines() => ses::read_notice(&part_text(message)),
        Some(_) | None => None,
    }
}

/// Who wrote it, going by `From`; where a daemon names itself in `Sender` alone, that daemon (MDaemon).
fn sender_kind_of(head: &HeaderScan<'_>, from: Option<&str>) -> SenderKind {
    let sender = head.sender.map(|field| classify_sender(Some(&field.text())));
    match sender {
        Some(SenderKind::Daemon) => SenderKind::Daemon,
        _ => classify_sender(from),
    }
}

/// A bounce that calls itself a disposition notification.
fn rejection(marker: Marker, recipients: Vec<Recipient>, outline: &MimeParts<'_>, facts: &Facts<'_>) -> Bounce {
    let quoted = ReturnedHeader::find(outline, "");
    Bounce {
        kind: Some(ReportKind::Failure),
        recipients,
        markers: vec![marker],
        ..bounce_about(&quoted, facts)
    }
}

/// Names the field that shows the null sender; `SENDER` where only the mail system's word does.
fn null_sender_marker(message: &Message<'_>) -> Marker {
    const WHY: &str = "the envelope sender is null";
    let field = message
        .first("Return-Path")
        .filter(|value| Sender::read(value) == Sender::Null);
    match (field, message.from_line()) {
        (Some(value), _) => Marker::new("Return-Path", &value, WHY),
        (None, Some(line)) if line.windows(13).any(|w| w == b"MAILER-DAEMON") => {
            Marker::new("From_", &String::from_utf8_lossy(line), WHY)
        }
        (None, _) => Marker::new("SENDER", "<>", WHY),
    }
}

/// Our divert mark, in the message's own header or anywhere in what it holds. Reports quote reports, each deeper than
/// the last, and one mark that is missed is a loop. One that is found by mistake only keeps a message in the user's
/// mailbox.
fn find_diverted(message: &Message<'_>, body: BodyScan, head: &HeaderScan<'_>) -> Option<Marker> {
    const NAME: &str = "x-spoolguard-divert";
    const WHY: &str = "quotes a message that a guard diverted";
    if let Some(field) = &head.diverted {
        return Some(Marker::new(DIVERT_HEADER, &field.text(), "diverted by a guard before"));
    }
    if body.divert_mark
        && let Some(value) = nested_values(message.body(), NAME).next()
    {
        return Some(Marker::new(DIVERT_HEADER, &value, WHY));
    }
    // Against RFC 2046 section 5.2.1, some encode the message that they return.
    let encoded = body.encoded_part && memchr::memmem::find(message.body(), b"base64").is_some();
    if !encoded || memchr::memmem::find(message.body(), b"rfc822").is_none() {
        return None;
    }
    let quoted = ReturnedHeader::find(&MimeParts::of(message), "");
    nested_values(quoted.bytes(), NAME)
        .next()
        .map(|value| Marker::new(DIVERT_HEADER, &value, WHY))
}

#[cfg(test)]
mod tests {
    use super::classify;
    use crate::classify::verdict::Facts;
    use crate::message::Message;
    use crate::message::address::OwnAddresses;
    use crate::message::envelope::Sender;

    #[test]
    fn a_header_below_an_empty_line_is_read_all_the_same() {
        let own = OwnAddresses::new("+");
        let facts = Facts {
            sender: &Sender::Unknown,
            own: &own,
            max_hops: 50,
            hosts: &[],
            relays: &[],
        };
        let report = "From: MAILER-DAEMON@b.test\nTo: a@a.test\nSubject: failure notice\n\n<c@c.test>:\nno such user\n";
        for above in [
            "\r\n",
            "\u{feff}",
            "\u{feff}From MAILER-DAEMON Mon Nov  2 10:00:00 2026\n",
            "\n\nFrom MAILER-DAEMON\n",
            "From MAILER-DAEMON\n\n",
            "From MAILER-DAEMON Mon Nov  2 10:00:00 2026\n\n\n",
        ] {
            let text = format!("{above}{report}");
            let found = classify(&Message::new(text.as_bytes()), &facts).verdict;
            assert_eq!(found.name(), "bounce", "{above:?}");
        }
        let prose = "\nFrom: here on\nwe walk\n";
        assert_eq!(
            classify(&Message::new(prose.as_bytes()), &facts).verdict.name(),
            "ordinary"
        );
    }
}
