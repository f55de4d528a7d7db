//! What a bounce tells, once it is one: its recipients, from the machine's part or from wherever else they are named.

use crate::classify::bounce::Evidence;
use crate::message::Message;
use crate::message::address::Address;
use crate::message::mime::{MimeParts, PartKind};
use crate::report::dsn::{Recipient, Report, count_fields};
use crate::report::prose::{find_failed, with_reason};
use crate::report::returned_header::ReturnedHeader;
use crate::report::status_code::FailureClass;

/// As much of the system's own words as is read.
const WORDS_BYTES: usize = 8 * 1024;

/// The machine's part; where there is none, the same fields in plain text.
#[must_use]
pub fn read_report(outline: &MimeParts<'_>, text: &str) -> Report {
    let mut report = Report::default();
    let mut take = |outline: &MimeParts<'_>| {
        for part in outline.all(PartKind::DeliveryStatus) {
            let next = Report::read(part.body());
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
        return Report::read(lines.as_bytes());
    }
    report
}

/// Where the machine's part says no more than that it failed, the reason that the system's own words give for that address: OpenSMTPD
/// writes `Status: 5.0.0` and no `Diagnostic-Code`, and `b@b.test: 550 Invalid recipient` above it.
pub fn add_reasons(recipients: &mut [Recipient], own: &str) {
    let unclear = |recipient: &Recipient| {
        recipient.class == FailureClass::Neither
            && recipient.diagnostic.is_none()
            && !matches!(recipient.action.as_deref(), Some("delivered" | "relayed" | "expanded"))
    };
    if !recipients.iter().any(unclear) {
        return;
    }
    let words: String = own.chars().take(WORDS_BYTES).collect();
    let named = find_failed(&words, &[]);
    for recipient in recipients.iter_mut().filter(|recipient| unclear(recipient)) {
        if let Some(reason) = named
            .iter()
            .find(|other| other.address.eq_ignore_ascii_case(&recipient.address))
        {
            recipient.diagnostic.clone_from(&reason.diagnostic);
            recipient.class = reason.class;
        }
    }
}

/// Whom the report is from and whom it is for: neither can have failed.
#[must_use]
pub fn parties(evidence: &Evidence<'_, '_>) -> Vec<String> {
    let of = |value: Option<&str>| value.and_then(Address::parse).map(|address| address.to_string());
    let to = evidence.head.to.map(|field| field.text().into_owned());
    [of(evidence.from), of(to.as_deref())].into_iter().flatten().collect()
}

/// Where no report names them: the header, the words, the quoted message.
#[must_use]
pub fn failed_recipients(
    evidence: &Evidence<'_, '_>,
    own: &str,
    quoted: &ReturnedHeader<'_>,
    report: &Report,
) -> Vec<Recipient> {
    let words: String = own.chars().take(WORDS_BYTES).collect();
    let mut recipients = find_failed(&words, &parties(evidence));
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
                known.cloned().unwrap_or_else(|| with_reason(address, "", &words))
            })
            .collect();
    }
    if recipients.is_empty()
        && let Some(to) = quoted.message().first("To").and_then(|value| Address::parse(&value))
    {
        recipients.push(with_reason(to.to_string(), "", &words));
    }
    // A report that names no recipient may still have their fate (Netscape).
    if let (Some(fate), [only]) = (report.recipients.first(), recipients.as_mut_slice()) {
        only.action = fate.action.clone();
        only.status = fate.status.clone().or(only.status.take());
        only.class = fate.class;
    }
    recipients
}
