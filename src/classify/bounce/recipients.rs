//! Finds the recipients that a bounce is about, in its machine-readable part or wherever else they are named.

use std::cell::LazyCell;

use crate::classify::evidence::Evidence;
use crate::message::Message;
use crate::message::address::Address;
use crate::message::mime::{MimeParts, PartKind};
use crate::message::text::{decode_transfer_encoding, starts_with_ignoring_case};
use crate::report::dsn::{DeliveryReport, Recipient, ReportKind, count_fields, kind_of};
use crate::report::failure::{FailureEvidence, class_of};
use crate::report::prose::{NamedFailure, find_failed, find_named, find_only, weigh_words};
use crate::report::returned_header::ReturnedHeader;
use crate::report::stage::SmtpStage;
use crate::report::status_code::{FailureClass, find_status, from_reply_code};

/// As much of the system's own words as is read.
const WORDS_BYTES: usize = 8 * 1024;

/// The parts of the report inside, where a filter or a list has wrapped it whole into a message of its own:
/// SpamAssassin with `report_safe`, a digest, Exchange's journal. Its words are about spam, or none, and name nobody
/// who failed.
pub fn unwrap_report<'a>(evidence: &Evidence<'_, 'a>, outline: &MimeParts<'a>) -> Option<MimeParts<'a>> {
    let has = |name: &'static str| evidence.message.first(name).is_some();
    let is_wrapped = has("X-Spam-Flag")
        || has("X-Spam-Status")
        || evidence.head.list.is_some()
        || {
            let kind = evidence.message.first("Content-Type").unwrap_or_default();
            // Forwarded as it is, it is all of the body.
            ["multipart/digest", "message/"]
                .into_iter()
                .any(|start| starts_with_ignoring_case(kind.trim_start(), start))
        }
        || has("X-MS-Journal-Report");
    if !is_wrapped || outline.report_type.is_some() || outline.first(PartKind::DeliveryStatus).is_some() {
        return None;
    }
    let inside = outline.first(PartKind::Message)?;
    let report = Message::new(inside.body().trim_ascii_start());
    let parts = MimeParts::of(&report);
    let is_from_daemon = || {
        let from = report.first("From").unwrap_or_default().to_ascii_lowercase();
        from.contains("mailer-daemon") || from.contains("postmaster")
    };
    let is_report = parts.first(PartKind::DeliveryStatus).is_some()
        || report.first("X-Failed-Recipients").is_some()
        || is_from_daemon();
    is_report.then_some(parts)
}

/// The machine's part; where there is none, the same fields in plain text.
pub fn read_report(outline: &MimeParts<'_>, text: &str) -> DeliveryReport {
    let mut report = DeliveryReport::default();
    let mut take = |outline: &MimeParts<'_>| {
        for part in outline.all(PartKind::DeliveryStatus) {
            // Against RFC 6522 section 3, some encode it.
            let encoding = part.first("Content-Transfer-Encoding").unwrap_or_default();
            let next = DeliveryReport::read(&decode_transfer_encoding(part.body(), &encoding));
            report.reporting_host = report.reporting_host.take().or(next.reporting_host);
            report.recipients.extend(next.recipients);
        }
    };
    take(outline);
    // A filter packed the report into one that says nothing itself (InterScan).
    if outline.report_type.is_some()
        && outline.first(PartKind::DeliveryStatus).is_none()
        && let Some(first) = outline.parts.first().filter(|part| part.kind == PartKind::Message)
    {
        take(&MimeParts::of(&Message::new(first.part.body().trim_ascii_start())));
    }
    if report.recipients.is_empty() && count_fields(text) >= 2 {
        let lines: String = text.lines().flat_map(|line| [line.trim_start(), "\n"]).collect();
        return DeliveryReport::read(lines.as_bytes());
    }
    report
}

/// Weighs what the machine's part says of each recipient that failed together with the words for people. Those name the
/// stage (Postfix), and the whole reason where the machine's part says no more than that it failed: OpenSMTPD writes
/// `Status: 5.0.0` and no `Diagnostic-Code`, and `b@b.test: 550 Invalid recipient` above it.
pub fn weigh_failures(recipients: &mut [Recipient], own: &str, senders: &[String]) {
    let words: String = own.chars().take(WORDS_BYTES).collect();
    // Most reports say all of it in the machine's part.
    let named = LazyCell::new(|| find_named(&words, senders));
    let reached: Vec<Option<String>> = recipients.iter().filter(|r| is_reached(r)).map(domain_of).collect();
    let is_only = recipients.len() == 1;
    for recipient in recipients.iter_mut().filter(|recipient| has_failed(recipient)) {
        let is_same = |other: &&NamedFailure| {
            let is = |address: &str| other.address.eq_ignore_ascii_case(address);
            is(&recipient.address) || recipient.original.as_deref().is_some_and(is)
        };
        let in_words = || named.iter().find(is_same);
        let is_alone = || is_only.then(|| SmtpStage::find(&words)).flatten();
        // Had the message been refused, or its sender, nobody at that host would have got it.
        let is_one_of_many = || reached.contains(&domain_of(recipient)).then_some(SmtpStage::Recipient);
        let by_reply = recipient.diagnostic.as_deref().and_then(SmtpStage::find);
        recipient.stage = by_reply
            .or_else(|| in_words().and_then(|other| other.stage))
            .or_else(is_alone)
            .or_else(is_one_of_many);
        let weigh = |reply: &str| {
            let evidence = FailureEvidence {
                status: recipient.status.as_deref(),
                reply,
                stage: recipient.stage,
                recipient: &recipient.address,
                senders,
            };
            evidence.weigh()
        };
        let (class, basis) = weigh(recipient.diagnostic.as_deref().unwrap_or_default());
        let far_status = recipient.diagnostic.as_deref().and_then(far_status);
        let is_told = class != FailureClass::Neither && far_status.is_some();
        let reason = if is_told {
            None
        } else {
            in_words().map(NamedFailure::reason)
        };
        (recipient.class, recipient.basis) = match (class, reason.as_deref()) {
            (FailureClass::Neither, Some(reason)) => weigh(from_reply_code(reason).unwrap_or(reason)),
            (class, _) => (class, basis),
        };
        // What the far side said is more than what a gateway made of it.
        let by_far_side = far_status
            .or_else(|| reason.as_deref().and_then(self::far_status))
            .map(str::to_owned);
        if recipient.diagnostic.is_none() {
            recipient.diagnostic = reason.filter(|reason| !reason.is_empty());
        }
        if let Some(status) = by_far_side {
            recipient.status = Some(status);
        }
    }
}

/// The far side's own enhanced status, in its reply. One that says nothing is passed over.
fn far_status(reply: &str) -> Option<&str> {
    from_reply_code(reply)
        .and_then(find_status)
        .filter(|status| !status.ends_with(".0.0"))
}

fn is_reached(recipient: &Recipient) -> bool {
    kind_of(recipient) == Some(ReportKind::Success)
}

fn has_failed(recipient: &Recipient) -> bool {
    !is_reached(recipient) && recipient.action.as_deref() != Some("delayed")
}

fn domain_of(recipient: &Recipient) -> Option<String> {
    let (_, domain) = recipient.address.rsplit_once('@')?;
    Some(domain.to_ascii_lowercase())
}

/// Whom the report is from and whom it is for: neither can have failed.
pub fn collect_parties(evidence: &Evidence<'_, '_>) -> Vec<String> {
    let from = evidence
        .from
        .and_then(Address::parse)
        .map(|address| address.to_string());
    from.into_iter().chain(reader_of(evidence)).collect()
}

/// Whom the report is for.
fn reader_of(evidence: &Evidence<'_, '_>) -> Option<String> {
    let to = evidence.head.to?.text();
    Address::parse(&to).map(|address| address.to_string())
}

/// Who sent the message that failed: whom the report is for, and whom the returned header names. A reply that names one
/// of them and not the recipient refuses the sender.
pub fn collect_senders(evidence: &Evidence<'_, '_>, returned: &ReturnedHeader<'_>) -> Vec<String> {
    let header = returned.message();
    let of = |name: &'static str| {
        header
            .first(name)
            .and_then(|value| Address::parse(&value))
            .map(|a| a.to_string())
    };
    let mut found = collect_parties(evidence);
    found.extend(["Return-Path", "From", "Sender"].into_iter().filter_map(of));
    found
}

/// Where no line says who failed: whom the quoted message was for, or the only address there is. A message that was
/// forwarded was for whom the report is for, so that comes last.
fn likeliest_address(words: &str, parties: &[String], quoted: &ReturnedHeader<'_>) -> Option<String> {
    let to = quoted.message().first("To").and_then(|value| Address::parse(&value));
    let to = to.map(|address| address.to_string());
    let is_other = |address: &String| !parties.iter().any(|party| party.eq_ignore_ascii_case(address));
    to.clone().filter(is_other).or_else(|| find_only(words, parties)).or(to)
}

/// Where no report names them: the header, the words, the quoted message.
pub fn failed_recipients(
    evidence: &Evidence<'_, '_>,
    own: &str,
    quoted: &ReturnedHeader<'_>,
    report: &DeliveryReport,
) -> Vec<Recipient> {
    let words: String = own.chars().take(WORDS_BYTES).collect();
    let senders = collect_senders(evidence, quoted);
    let parties = collect_parties(evidence);
    let mut recipients = find_failed(&words, &parties, &senders);
    if recipients.is_empty() {
        // Some daemons write in the name of the address that failed. There a reply stands behind it.
        recipients = find_failed(&words, reader_of(evidence).as_slice(), &senders);
        recipients.retain(|recipient| recipient.diagnostic.as_deref().and_then(from_reply_code).is_some());
    }
    let weigh_all_words = |address| {
        let (paragraph, stage) = (String::new(), SmtpStage::find(&words));
        weigh_words(
            NamedFailure {
                address,
                paragraph,
                stage,
            },
            &words,
            &senders,
        )
    };
    if let Some((field, _)) = evidence
        .head
        .report_mark
        .filter(|(field, _)| field.is("X-Failed-Recipients"))
    {
        let named = field.text();
        let named = named.split(',').filter_map(Address::parse).take(50);
        recipients = named
            .map(|address| {
                let address = address.to_string();
                let known = recipients.iter().find(|r| r.address.eq_ignore_ascii_case(&address));
                known.cloned().unwrap_or_else(|| weigh_all_words(address))
            })
            .collect();
    }
    if recipients.is_empty() {
        recipients.extend(likeliest_address(&words, &parties, quoted).map(weigh_all_words));
    }
    // A report that names no recipient may still have their fate (Netscape).
    if let (Some(fate), [only]) = (report.recipients.first(), recipients.as_mut_slice()) {
        only.action = fate.action.clone();
        only.status = fate.status.clone().or(only.status.take());
        only.class = if fate.class == FailureClass::Neither && has_failed(fate) {
            class_of(fate.status.as_deref(), fate.diagnostic.as_deref().unwrap_or_default())
        } else {
            fate.class
        };
    }
    recipients
}
