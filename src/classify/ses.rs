//! Is this what Amazon SES tells of a message through SNS: JSON in place of a mail system's report? A bounce and a
//! complaint have the same form and differ in one word. Reads the few keys that are needed, wherever they stand; other
//! text is ignored.

use crate::classify::verdict::{Bounce, Marker, Ownership};
use crate::report::dsn::{Recipient, ReportKind};
use crate::report::failure::class_of;
use crate::report::returned_header::MessageOrigin;

/// As many recipients as are read of one notice.
const MOST_RECIPIENTS: usize = 50;

/// What a notice tells of.
#[derive(Clone, Debug)]
#[must_use]
pub enum SesNotice {
    /// A message that was not delivered, or not yet.
    Bounce(Bounce),
    /// Somebody called the message spam.
    Complaint(Marker),
}

/// Reads the text of a message, which is such JSON from its beginning on (Amazon SES developer guide, "notification
/// contents").
pub fn read_notice(text: &str) -> Option<SesNotice> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    // SNS puts one JSON into another as a string.
    let text = text.replace('\\', "");
    let event = value(&text, "notificationType").or_else(|| value(&text, "eventType"))?;
    // The object that the notice is about, which has the name of the event.
    let about = |name: &str| text.contains(&format!("\"{name}\""));
    let list = |key: &str| {
        let behind = text.split_once(key).map(|(_, behind)| behind);
        behind.map_or("", |behind| behind.split(']').next().unwrap_or(behind))
    };
    let marker = |why| Marker::new("Body", &format!("notificationType: {event}"), why);
    let (kind, list) = match event.to_ascii_lowercase().as_str() {
        "complaint" if about("complaint") => {
            return Some(SesNotice::Complaint(marker(
                "Amazon SES tells of a complaint through SNS",
            )));
        }
        "bounce" if about("bounce") => (ReportKind::Failure, list("\"bouncedRecipients\"")),
        "deliverydelay" if about("deliveryDelay") => (ReportKind::Delay, list("\"delayedRecipients\"")),
        _ => return None,
    };
    let recipients = list.split('}').filter_map(|piece| recipient(piece, kind));
    Some(SesNotice::Bounce(Bounce {
        kind: Some(kind),
        recipients: recipients.take(MOST_RECIPIENTS).collect(),
        origin: MessageOrigin::Unknown,
        ownership: Ownership::NotShown,
        markers: vec![marker("Amazon SES tells of a bounce through SNS")],
        reporting_host: value(&text, "reportingMTA")
            .map(|host| host.rsplit([' ', ';']).next().unwrap_or(host).to_owned()),
        quoted_message_id: text
            .split_once("\"commonHeaders\"")
            .and_then(|(_, headers)| value(headers, "messageId"))
            .map(str::to_owned),
        quoted_sender: None,
    }))
}

fn recipient(piece: &str, kind: ReportKind) -> Option<Recipient> {
    let address = value(piece, "emailAddress")?;
    let (status, diagnostic) = (value(piece, "status"), value(piece, "diagnosticCode"));
    let action = match kind {
        ReportKind::Failure => "failed",
        ReportKind::Delay => "delayed",
        ReportKind::Success => "delivered",
    };
    Some(Recipient {
        address: address.to_owned(),
        action: Some(value(piece, "action").unwrap_or(action).to_ascii_lowercase()),
        status: status.map(str::to_owned),
        diagnostic: diagnostic.map(str::to_owned),
        class: class_of(status, diagnostic.unwrap_or_default()),
        ..Recipient::default()
    })
}

/// The string that stands for `key`.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut rest = text;
    while let Some(at) = rest.find(key) {
        let (before, behind) = (rest.get(..at)?, rest.get(at + key.len()..)?);
        let string = behind.strip_prefix('"').map(str::trim_start);
        let string = string.and_then(|tail| tail.strip_prefix(':')).map(str::trim_start);
        if before.ends_with('"')
            && let Some(string) = string.and_then(|tail| tail.strip_prefix('"'))
        {
            return string.split('"').next();
        }
        rest = behind;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{SesNotice, read_notice};

    const PLAIN: &str = r#"{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","reportingMTA":"dns; mx.test","bouncedRecipients":[{"emailAddress":"x@c.test","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 <x@c.test> unknown"},{"emailAddress":"y@c.test"}]},"mail":{"commonHeaders":{"messageId":"<1@a.test>"}}}"#;

    #[test]
    fn bounces_and_complaints_are_read_however_they_are_packed() {
        let spaced = PLAIN.replace("\":", "\" : ").replace(',', ",\n  ");
        let packed = format!(
            "{{\"Type\":\"Notification\",\"Message\":\"{}\"}}\n\n--\nunsubscribe",
            PLAIN.replace('"', "\\\"")
        );
        for text in [PLAIN, &spaced, &packed, &PLAIN.replace("notificationType", "eventType")] {
            let Some(SesNotice::Bounce(bounce)) = read_notice(text) else {
                unreachable!("{text}");
            };
            let found: Vec<_> = bounce
                .recipients
                .iter()
                .map(|recipient| (recipient.address.as_str(), recipient.status.as_deref()))
                .collect();
            assert_eq!(found, [("x@c.test", Some("5.1.1")), ("y@c.test", None)], "{text}");
            assert_eq!(bounce.reporting_host.as_deref(), Some("mx.test"));
            assert_eq!(bounce.quoted_message_id.as_deref(), Some("<1@a.test>"));
            let complaint = text.replace("Bounce", "Complaint").replace("bounce", "complaint");
            assert!(
                matches!(read_notice(&complaint), Some(SesNotice::Complaint(_))),
                "{complaint}"
            );
        }
        for text in [
            "",
            "look: {\"notificationType\":\"Bounce\",\"bouncedRecipients\":[]}",
            "{\"notificationType\":\"Bounce\"}",
            "{\"notificationType\":\"Delivery\",\"bouncedRecipients\":[]}",
        ] {
            assert!(read_notice(text).is_none(), "{text}");
        }
    }
}
