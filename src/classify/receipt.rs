//! Reports that are not about a delivery: complaints (RFC 5965) and read receipts (RFC 8098), told from rejections that
//! come dressed as receipts.

use crate::classify::body_scan::BodyScan;
use crate::classify::header_scan::HeaderScan;
use crate::classify::patterns::sender::{SenderKind, classify_sender};
use crate::classify::verdict::Marker;
use crate::message::address::Address;
use crate::message::mime::{MimeParts, PartKind};
use crate::message::text::{decoded_value, normalize_words, part_text, starts_with_ignoring_case};
use crate::message::{Message, fields_in};
use crate::report::dsn::Recipient;
use crate::report::failure::class_of;
use crate::report::status_code::find_status;

/// What the subjects of Outlook.com's junk mail reports begin with.
const JUNK_REPORT: &str = "complaint about message from ";

/// What the subjects of receipts from before RFC 2298 begin with, and of Exchange's.
#[rustfmt::skip]
const OLD_RECEIPTS: [&str; 21] = [
    "read:", "not read:", "return receipt", "read receipt", "receipt:", "gelesen:", "ungelesen:",
    "lesebestätigung", "lu :", "lu:", "lu\u{a0}:", "leído:", "letto:", "gelezen:", "lida:", "läst:",
    "læst:", "lest:", "luettu:", "przeczytano:", "прочтено:",
];

/// What makes it a complaint.
pub fn find_complaint(head: &HeaderScan<'_>, outline: &MimeParts<'_>, subject: &str) -> Option<Marker> {
    const FEEDBACK: &str = "feedback report (RFC 5965)";
    let content_type = |why| head.content_type.map(|field| Marker::of(&field, why));
    // The machine's part counts more than the word in the header: some write one and mean the other.
    if outline.first(PartKind::Feedback).is_some() {
        return Some(
            content_type(FEEDBACK).unwrap_or_else(|| Marker::new("Content-Type", "message/feedback-report", FEEDBACK)),
        );
    }
    let delivery = outline.first(PartKind::DeliveryStatus).is_some();
    if outline.report_type.as_deref() == Some("feedback-report") && !delivery {
        return content_type(FEEDBACK);
    }
    if let Some((field, why)) = &head.complaint_mark {
        return Some(Marker::of(field, why));
    }
    let from = head.from.and_then(|field| Address::parse(&field.text()));
    let from_domain = from.as_ref().and_then(Address::domain).unwrap_or_default();
    let field = head.subject?;
    // Outlook.com's junk mail reporting programme before it learnt RFC 5965; SpamCop.
    if subject.starts_with(JUNK_REPORT) {
        return Some(Marker::of(&field, "Outlook.com's junk mail reporting"));
    }
    if from_domain == "reports.spamcop.net" && subject.contains("spamcop (") {
        return Some(Marker::of(&field, "SpamCop's report"));
    }
    None
}

/// Tells whether a message may be a complaint, a receipt or a rejection in the form of one, so that its parts are worth
/// reading. Looks at bytes alone: most mail is neither.
pub fn may_be_other_report(head: &HeaderScan<'_>, body: BodyScan, content_type: &str, subject: &str) -> bool {
    let content_type = content_type.trim_start();
    let may_have_parts = content_type.is_empty() || starts_with_ignoring_case(content_type, "multipart/");
    head.complaint_mark.is_some()
        || subject.starts_with(JUNK_REPORT)
        || subject.contains("spamcop (")
        || OLD_RECEIPTS.iter().any(|start| subject.starts_with(start))
        || BodyScan::read(content_type.as_bytes()).other_report
        || may_have_parts && body.other_report
}

/// A disposition notification, judged.
#[derive(Clone, Debug)]
pub enum Disposition {
    /// Somebody read it, or threw it away.
    Receipt(Marker),
    /// A filter or a mail program refused it: a bounce, whatever it calls itself.
    Rejection(Marker, Vec<Recipient>),
}

/// What makes it a receipt, or a rejection.
pub fn find_disposition(head: &HeaderScan<'_>, outline: &MimeParts<'_>, subject: &str) -> Option<Disposition> {
    let part = outline.first(PartKind::Disposition);
    let named = outline.report_type.as_deref() == Some("disposition-notification");
    if part.is_none() && !named || outline.first(PartKind::DeliveryStatus).is_some() {
        return find_old_receipt(head, outline, subject).map(Disposition::Receipt);
    }
    let notice = ReceiptParts::read(part);
    let text: String = outline
        .all(PartKind::Text)
        .next()
        .map(|part| normalize_words(&part_text(part)))
        .unwrap_or_default();
    if notice.is_rejection(head, subject, &text) {
        let recipient = Recipient {
            address: notice.recipient,
            action: Some("failed".to_owned()),
            status: find_status(&text).map(str::to_owned),
            class: class_of(find_status(&text), &text),
            ..Recipient::default()
        };
        let found = if recipient.address.is_empty() {
            Vec::new()
        } else {
            vec![recipient]
        };
        let why = "a rejection that comes as a disposition notification";
        return Some(Disposition::Rejection(
            Marker::new("Disposition", &notice.disposition, why),
            found,
        ));
    }
    let why = "read receipt (RFC 8098)";
    let marker = match head.content_type {
        Some(field) => Marker::of(&field, why),
        None => Marker::new("Disposition", &notice.disposition, why),
    };
    Some(Disposition::Receipt(marker))
}

#[derive(Debug, Default)]
struct ReceiptParts {
    disposition: String,
    recipient: String,
}

impl ReceiptParts {
    fn read(part: Option<&Message<'_>>) -> Self {
        let mut notice = Self::default();
        for field in part.into_iter().flat_map(|part| fields_in(part.body())) {
            if field.is("Disposition") {
                notice.disposition = field.text().into_owned();
            } else if field.is("Final-Recipient") || field.is("Original-Recipient") && notice.recipient.is_empty() {
                let value = field.text();
                let value = value.split_once(';').map_or(&*value, |(_, value)| value);
                notice.recipient = Address::parse(value).map(|a| a.to_string()).unwrap_or_default();
            }
        }
        notice
    }

    /// `automatic-action/...; deleted` with words of refusal is Sieve's reject (RFC 5429 section 2.2.1, Dovecot,
    /// Cyrus); `manual-action/...; deleted` is somebody who did not read it, and `displayed` somebody who did.
    fn is_rejection(&self, head: &HeaderScan<'_>, subject: &str, text: &str) -> bool {
        #[rustfmt::skip]
        const REFUSALS: [&str; 12] = [
            "reject", "refus", "not delivered", "not be delivered", "undeliver", "quota", "mailbox full",
            "mailbox is full", "abgelehnt", "rechaz", "rejet", "rifiut",
        ];
        let lower = self.disposition.to_ascii_lowercase();
        let (mode, kind) = lower.split_once(';').unwrap_or(("", &lower));
        let kind = kind.trim();
        let refused = || {
            REFUSALS
                .iter()
                .any(|word| text.contains(word) || subject.contains(word))
        };
        let by_daemon = || {
            let from = head.from.map(|field| decoded_value(&field, None).into_owned());
            classify_sender(from.as_deref()) >= SenderKind::Postmaster
        };
        match kind.split('/').next().unwrap_or_default().trim() {
            "deleted" => mode.contains("automatic-action") && (refused() || by_daemon()),
            "denied" | "failed" | "dispatched" => refused(),
            _ => false,
        }
    }
}

/// Receipts from before RFC 2298, and Exchange's: a subject that says so and a short text that says so too.
fn find_old_receipt(head: &HeaderScan<'_>, outline: &MimeParts<'_>, subject: &str) -> Option<Marker> {
    #[rustfmt::skip]
    const WORDS: [&str; 14] = [
        "was read on", "was read at", "has been read", "was displayed", "was deleted without being read",
        "read your message", "wurde gelesen", "wurde am", "a été lu", "se leyó", "è stato letto", "foi lida",
        "gelezen op", "return receipt for",
    ];
    /// So much of the subject is looked for.
    const ABOUT_CHARS: usize = 40;
    let field = head.subject?;
    if !OLD_RECEIPTS.iter().any(|start| subject.starts_with(start)) {
        return None;
    }
    let part = outline.all(PartKind::Text).next()?;
    let text = normalize_words(&part_text(part));
    let short = text.len() < 2000;
    // It repeats the subject of the message that was read. People write of books.
    let about = subject
        .split_once(':')
        .map(|(_, about)| about.trim())
        .unwrap_or_default();
    let about: String = about.chars().take(ABOUT_CHARS).collect();
    (short && text.contains(&about) && WORDS.iter().any(|words| text.contains(words)))
        .then(|| Marker::of(&field, "read receipt, in an older form"))
}
