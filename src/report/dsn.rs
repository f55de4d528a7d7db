//! Delivery reports as RFC 3464 writes them: fields about the message, then a group of fields for each recipient. Read
//! from the `message/delivery-status` part, or from the same lines where a damaged report left them in plain text.

use crate::message::address::Address;
use crate::message::line::begins_line;
use crate::message::{Field, fields_in};
use crate::report::stage::SmtpStage;
use crate::report::status_code::{Basis, FailureClass, find_status};

/// A report that names more recipients says nothing new with the rest.
const MAX_RECIPIENTS: usize = 200;

/// What a delivery report tells about its message (RFC 3464 section 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportKind {
    /// At least one recipient was given up.
    Failure,
    /// Nothing was given up yet.
    Delay,
    /// Everything reached its end.
    Success,
}

impl ReportKind {
    /// The word for it, as JSON and headers use it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Delay => "delay",
            Self::Success => "success",
        }
    }
}

/// One recipient of a delivery report (RFC 3464 section 2.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recipient {
    /// The address that failed, was late, or was reached; the last one on the way where the report says several.
    pub address: String,
    /// The address that the sender wrote, where it differs (`Original-Recipient`).
    pub original: Option<String>,
    /// `failed`, `delayed`, `delivered`, `relayed` or `expanded`, in lower case.
    pub action: Option<String>,
    /// The enhanced status code, `5.1.1` (RFC 3463).
    pub status: Option<String>,
    /// What the other host answered (`Diagnostic-Code`).
    pub diagnostic: Option<String>,
    /// That host (`Remote-MTA`).
    pub remote_host: Option<String>,
    /// At which stage it was refused, where the report says so.
    #[serde(skip)]
    pub stage: Option<SmtpStage>,
    /// What it means for the next message.
    pub class: FailureClass,
    /// How that was found.
    pub basis: Basis,
}

/// A delivery report, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The host that reports (`Reporting-MTA`).
    pub reporting_host: Option<String>,
    /// Its recipients.
    pub recipients: Vec<Recipient>,
}

impl DeliveryReport {
    /// Reads groups of fields, separated by empty lines; lines between that are no fields are passed over.
    pub fn read(mut bytes: &[u8]) -> Self {
        let mut report = Self::default();
        while !bytes.is_empty() && report.recipients.len() < MAX_RECIPIENTS {
            let (group, rest) = next_group(bytes);
            bytes = rest;
            report.take(group);
        }
        for recipient in &mut report.recipients {
            if recipient.action.as_deref() == Some("delayed") {
                recipient.class = FailureClass::Soft;
            }
        }
        report
    }

    /// Failure, delay or success: the worst that happened to any recipient.
    pub fn kind(&self) -> Option<ReportKind> {
        let kinds = || self.recipients.iter().filter_map(kind_of);
        [ReportKind::Failure, ReportKind::Delay, ReportKind::Success]
            .into_iter()
            .find(|kind| kinds().any(|k| k == *kind))
    }

    fn take(&mut self, group: &[u8]) {
        let mut recipient = Recipient::default();
        // Some name the recipient below what happened to it (Sun Messaging Server): only what follows both is another
        // one's.
        let (mut named, mut told) = (false, false);
        for field in fields_in(group) {
            if self.recipients.len() >= MAX_RECIPIENTS {
                return;
            }
            let value = typed_value(&field.text());
            let is_final = field.is("Final-Recipient");
            // A damaged report may lack the empty line between two recipients.
            if is_final && named || told && (is_final || field.is("Original-Recipient")) {
                self.recipients.push(std::mem::take(&mut recipient));
                (named, told) = (false, false);
            }
            if field.is("Reporting-MTA") {
                self.reporting_host.get_or_insert(value);
                continue;
            }
            named |= is_final && address_of(&value).is_some();
            recipient.take(&field, value);
            if field.is("Action") {
                told = recipient.action.is_some() && !recipient.address.is_empty();
            }
        }
        self.finish_group(recipient);
    }

    /// Adds the recipient that a group ends with, or what it says of the one before.
    fn finish_group(&mut self, mut recipient: Recipient) {
        if recipient.status.is_none() {
            recipient.status = recipient.diagnostic.as_deref().and_then(find_status).map(str::to_owned);
        }
        if !recipient.address.is_empty() {
            self.recipients.push(recipient);
        } else if recipient.action.is_some() || recipient.status.is_some() {
            // Action and Status in a group of their own, behind the empty line that some systems put too early.
            if let Some(last) = self.recipients.last_mut().filter(|last| last.action.is_none()) {
                last.action = recipient.action;
                last.status = recipient.status.or(last.status.take());
                last.diagnostic = recipient.diagnostic.or(last.diagnostic.take());
            } else if self.recipients.is_empty() {
                self.recipients.push(recipient);
            }
        }
    }
}

impl Recipient {
    /// Takes what a field of its group says; `value` is without its type.
    fn take(&mut self, field: &Field<'_>, value: String) {
        if field.is("Final-Recipient") {
            if let Some(address) = address_of(&value).filter(|address| self.address.is_empty() || !is_x400(address)) {
                if named_differently(&self.address, &address) {
                    self.original = Some(std::mem::take(&mut self.address));
                }
                self.address = address;
            }
        } else if field.is("Original-Recipient") {
            match address_of(&value) {
                Some(address) if self.address.is_empty() || is_x400(&self.address) => self.address = address,
                Some(address) if named_differently(&self.address, &address) => self.original = Some(address),
                _ => {}
            }
        } else if field.is("Action") {
            let action: String = value.chars().take_while(char::is_ascii_alphabetic).collect();
            self.action = Some(usual_action(&action.to_ascii_lowercase())).filter(|action| !action.is_empty());
        } else if field.is("Status") {
            self.status = find_status(&value).map(str::to_owned);
        } else if field.is("Diagnostic-Code") {
            self.diagnostic = Some(value).filter(|value| !value.is_empty());
        } else if field.is("Remote-MTA") {
            self.remote_host = Some(value).filter(|value| !value.is_empty());
        } else if field.is("X-Actual-Recipient")
            && let Some(address) = address_of(&value).filter(|address| is_address(address))
        {
            // sendmail's own: where the aliases and `.forward` files behind `Final-Recipient` led.
            if named_differently(&self.address, &address) {
                self.original.get_or_insert(std::mem::take(&mut self.address));
            }
            self.address = address;
        }
    }
}

/// The word of RFC 3464 section 2.3.3 for what some write instead: OpenSMTPD wrote `error`.
fn usual_action(action: &str) -> String {
    let usual = match action {
        "error" | "failure" | "fail" | "undeliverable" => "failed",
        "delay" | "deferred" | "warning" => "delayed",
        "success" | "deliver" => "delivered",
        other => other,
    };
    usual.to_owned()
}

/// What happened to one recipient: by `Action`, by `Status` where that is missing.
pub fn kind_of(recipient: &Recipient) -> Option<ReportKind> {
    match (
        recipient.action.as_deref(),
        recipient.status.as_deref().and_then(|s| s.chars().next()),
    ) {
        (Some("failed" | "failure"), _) => Some(ReportKind::Failure),
        (Some("delayed"), _) => Some(ReportKind::Delay),
        (Some("delivered" | "relayed" | "expanded"), _) => Some(ReportKind::Success),
        (_, Some('5')) => Some(ReportKind::Failure),
        (_, Some('4')) => Some(ReportKind::Delay),
        (_, Some('2')) => Some(ReportKind::Success),
        _ => None,
    }
}

/// How many different fields of a delivery report stand at the start of lines in `text`: two or more make a copy of
/// one.
pub fn count_fields(text: &str) -> usize {
    #[rustfmt::skip]
    const NAMES: [&str; 7] = [
        "Reporting-MTA", "Final-Recipient", "Original-Recipient", "Action", "Diagnostic-Code", "Remote-MTA",
        "Arrival-Date",
    ];
    let text = text.as_bytes();
    let mut seen = [false; NAMES.len()];
    // Of colons even encoded text has few.
    for at in memchr::memchr_iter(b':', text) {
        let before = text.get(..at).unwrap_or_default();
        for (seen, name) in seen.iter_mut().zip(NAMES) {
            let (above, word) = before.split_at(at.saturating_sub(name.len()));
            *seen |= word.eq_ignore_ascii_case(name.as_bytes()) && begins_line(above, b"");
        }
    }
    seen.iter().filter(|seen| **seen).count()
}

/// Splits at the first empty line.
fn next_group(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\n', bytes.get(at..).unwrap_or_default()) {
        let line = bytes.get(at..at + found).unwrap_or_default();
        let next = at + found + 1;
        if line.trim_ascii().is_empty() {
            return (
                bytes.get(..at).unwrap_or_default(),
                bytes.get(next..).unwrap_or_default(),
            );
        }
        at = next;
    }
    (bytes, &[])
}

/// The value without its type: `rfc822; a@a.test` is `a@a.test`.
fn typed_value(text: &str) -> String {
    let value = match text.split_once(';') {
        Some((kind, value)) if kind.trim().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => value,
        _ => text,
    };
    // Unfolded (RFC 5322 section 2.2.3), a folded value still has the blanks of each line's beginning.
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn address_of(text: &str) -> Option<String> {
    Address::parse(text).map(|address| address.to_string())
}

/// Tells whether it can be sent to: sendmail names programs and files here as well.
fn is_address(text: &str) -> bool {
    text.contains('@') && !text.starts_with(['|', '/', '"'])
}

/// Tells whether it is a name of X.400, `/S=x/O=c/`, to which nobody sends.
fn is_x400(address: &str) -> bool {
    address.starts_with('/') && !address.contains('@')
}

fn named_differently(one: &str, other: &str) -> bool {
    !one.is_empty() && !one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::{DeliveryReport, ReportKind, count_fields};
    use crate::report::status_code::FailureClass;

    #[test]
    fn a_report_is_read_to_its_end() {
        let text = "Reporting-MTA: dns; mx.a.test\nArrival-Date: today\n\nOriginal-Recipient: rfc822;c@c.test\nFinal-Recipient: RFC822; <b@b.test>\nAction: Failed (unknown)\nStatus: 5.1.1 (bad)\nRemote-MTA: dns; mx.b.test\nDiagnostic-Code: smtp; 550 5.1.1\n  unknown\n\nFinal-Recipient: rfc822; d@d.test\nAction: delayed\nStatus: 4.4.1\n\n";
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let report = DeliveryReport::read(text.as_bytes());
            assert_eq!(report.reporting_host.as_deref(), Some("mx.a.test"));
            assert_eq!(report.kind(), Some(ReportKind::Failure));
            let [first, second] = report.recipients.as_slice() else {
                unreachable!("two recipients: {report:?}")
            };
            assert_eq!(
                (first.address.as_str(), first.original.as_deref()),
                ("b@b.test", Some("c@c.test"))
            );
            assert_eq!(
                (first.action.as_deref(), first.status.as_deref()),
                (Some("failed"), Some("5.1.1"))
            );
            assert_eq!(first.diagnostic.as_deref(), Some("550 5.1.1 unknown"));
            assert_eq!(first.remote_host.as_deref(), Some("mx.b.test"));
            assert_eq!(
                (second.address.as_str(), second.class),
                ("d@d.test", FailureClass::Soft)
            );
        }
    }

    #[test]
    fn the_address_behind_an_alias_is_the_one_that_failed() {
        let named =
            "Final-Recipient: RFC822; a@a.test\nX-Actual-Recipient: RFC822; b@b.test\nAction: failed\nStatus: 5.1.1\n";
        for (text, address, original) in [
            (named.to_owned(), "b@b.test", Some("a@a.test")),
            (named.replace("b@b.test", "|/bin/filter"), "a@a.test", None),
            (
                "Original-Recipient: rfc822; o@o.test\nFinal-Recipient: x400; /S=o/O=o/\nStatus: 5.0.0\n".to_owned(),
                "o@o.test",
                None,
            ),
            (
                format!("Original-Recipient: rfc822;o@o.test\n{named}"),
                "b@b.test",
                Some("o@o.test"),
            ),
        ] {
            let report = DeliveryReport::read(text.as_bytes());
            let found: Vec<_> = report
                .recipients
                .iter()
                .map(|r| (r.address.as_str(), r.original.as_deref()))
                .collect();
            assert_eq!(found, [(address, original)], "{text}");
        }
    }

    #[test]
    fn damaged_reports_give_what_they_have() {
        let cases = [
            ("", 0, None),
            ("Reporting-MTA: dns; x\n", 0, None),
            (
                "Final-Recipient: rfc822; a@a.test\n\nAction: failed\nStatus: 5.0.0\n",
                1,
                Some(ReportKind::Failure),
            ),
            (
                "Final-Recipient: rfc822; a@a.test\nAction: failed\nFinal-Recipient: rfc822; b@b.test\nAction: failed\n",
                2,
                Some(ReportKind::Failure),
            ),
            (
                "Final-Recipient: a@a.test\nStatus: 4.2.2\nAct",
                1,
                Some(ReportKind::Delay),
            ),
            ("Action: delivered\nStatus: 2.0.0\n", 1, Some(ReportKind::Success)),
            // What happened stands first, and the recipient below it is one.
            (
                "Action: failed\nStatus: 5.0.0\nOriginal-Recipient: rfc822;a@a.test\nFinal-Recipient: rfc822;a@mail-daemon\n",
                1,
                Some(ReportKind::Failure),
            ),
            (
                "Final-Recipient: rfc822; a@a.test\nAction: relayed\n",
                1,
                Some(ReportKind::Success),
            ),
        ];
        for (text, recipients, kind) in cases {
            let report = DeliveryReport::read(text.as_bytes());
            assert_eq!((report.recipients.len(), report.kind()), (recipients, kind), "{text}");
        }
        assert_eq!(
            count_fields("x\nFinal-Recipient: a\n  Action: failed\nAction: failed\n> Remote-MTA: x"),
            2
        );
    }
}
