//! Is this an automatic answer: vacation and the like? By its own word (RFC 3834 section 5), by the marks of older
//! programs, by its subject.

use crate::classify::header_scan::HeaderScan;
use crate::classify::patterns::auto_reply::{SubjectHint, find_auto_reply_subject, says_away};
use crate::classify::patterns::subject::strip_prefixes;
use crate::classify::verdict::Marker;
use crate::message::text::starts_with_ignoring_case;

/// Returns the markers of an automatic answer; other mail has none. `subject` is folded, `null_sender` the envelope's.
pub fn find_reply(head: &HeaderScan<'_>, subject: &str, null_sender: Option<&Marker>) -> Vec<Marker> {
    let mut markers = Vec::new();
    if let Some(field) = &head.auto_submitted
        && starts_with_ignoring_case(field.text().trim_start(), "auto-replied")
    {
        markers.push(Marker::of(field, "an automatic answer (RFC 3834)"));
    }
    if let Some(field) = &head.precedence
        && starts_with_ignoring_case(field.text().trim_start(), "auto_reply")
    {
        markers.push(Marker::of(field, "an automatic answer, as many autoresponders say"));
    }
    if let Some((field, why)) = &head.reply_mark {
        markers.push(Marker::of(field, why));
    }
    if let Some(field) = &head.mailer {
        let value = field.text().to_ascii_lowercase();
        if ["autorespond", "auto-respond", "autoreply", "auto-reply", "vacation"]
            .iter()
            .any(|word| value.contains(word))
        {
            markers.push(Marker::of(field, "sent by an autoresponder"));
        }
    }
    let (bare, answered) = strip_prefixes(subject);
    // Some put their words into a tag before the subject that they answer: `[Automatic reply] The minutes`.
    let tag = subject.strip_prefix('[').and_then(|tail| tail.split_once(']'));
    let tag = tag
        .and_then(|(tag, _)| find_auto_reply_subject(tag))
        .filter(|answer| *answer == SubjectHint::Surely);
    if !answered
        && let Some(answer) = tag.or_else(|| find_auto_reply_subject(bare))
        && let Some(field) = &head.subject
    {
        let second = second_sign(head, null_sender);
        // A newsletter may be about automatic answers.
        let is_sure = answer == SubjectHint::Surely && head.list.is_none();
        if is_sure || second.is_some() || !markers.is_empty() {
            markers.push(Marker::of(field, "the subject of an automatic answer"));
            markers.extend(second);
        }
    }
    markers
}

/// Two signs of a machine that answers, whatever the language. One is the null sender or a field for machines. The
/// other is a subject of its own above an answer, or one that says that somebody is away. People's mail programs write
/// none of the first sort, and few machines that only notify have one of the second.
pub fn find_signs(head: &HeaderScan<'_>, subject: &str, null_sender: Option<&Marker>) -> Option<[Marker; 2]> {
    let (subject, answered) = strip_prefixes(subject);
    if answered || head.list.is_some() {
        return None;
    }
    let is_calendar = head
        .content_type
        .is_some_and(|field| starts_with_ignoring_case(field.text().trim_start(), "text/calendar"));
    if is_calendar {
        return None;
    }
    let machine = null_sender.cloned().or_else(|| automatic(head))?;
    if says_away(subject)
        && let Some(field) = &head.subject
    {
        return Some([Marker::of(field, "says that somebody is away"), machine]);
    }
    let answers = head
        .reply_to_message
        .map(|field| Marker::of(&field, "answers a message under a subject of its own"))?;
    // Trackers and code hosts notify with both fields of the second pair, and with neither null sender nor Exchange's.
    (null_sender.is_some() || head.reply_hint.is_some()).then_some([answers, machine])
}

/// The field that says that no person sent it.
fn automatic(head: &HeaderScan<'_>) -> Option<Marker> {
    let field = head.auto_submitted?;
    let by_person = starts_with_ignoring_case(field.text().trim_start(), "no");
    (!by_person).then(|| Marker::of(&field, "sent without a person (RFC 3834)"))
}

/// What, beside a subject that people write too, says that a machine answered.
fn second_sign(head: &HeaderScan<'_>, null_sender: Option<&Marker>) -> Option<Marker> {
    let precedence = head
        .precedence
        .filter(|field| {
            let value = field.text();
            let value = value.trim_start();
            head.list.is_none()
                && (starts_with_ignoring_case(value, "bulk") || starts_with_ignoring_case(value, "junk"))
        })
        .map(|field| Marker::of(&field, "not for answering"));
    // An answer that does not begin with `Re:` was not written by a mail program of a person.
    let answers = head
        .reply_to_message
        .filter(|_| head.list.is_none())
        .map(|field| Marker::of(&field, "answers a message under a subject of its own"));
    let exchange = head
        .reply_hint
        .map(|field| Marker::of(&field, "Exchange puts this on its automatic answers, among others"));
    null_sender
        .cloned()
        .or_else(|| automatic(head))
        .or(precedence)
        .or(exchange)
        .or(answers)
}
