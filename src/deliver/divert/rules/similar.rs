//! Decides when two diverted messages are equal, so that the second tells an administrator nothing new. Different
//! messages never count as equal where one of them may be the only copy of somebody's mail.
//!
//! A report is described by who reports, about whom, and with which status, and not by the message that it is about. A
//! dead address makes one report for each message that is sent there, and two hundred of them say one thing. A report
//! that names no recipient is described by the message that it quotes. Without a quote its sender and the words of its
//! subject describe it. Anything else is mail, and equal only where Message-ID, sender, date, subject and body are the
//! same.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::classify::verdict::{Bounce, Judgement};
use crate::message::Message;

/// How much of a body is compared, in bytes, beside its length.
const BODY_BYTES: usize = 64 << 10;

/// How much of each text is remembered, in characters.
const TEXT_CHARACTERS: usize = 100;

/// Whether a message may ever be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expendable {
    /// A machine's report: a copy in a place that may overflow is enough.
    Yes,
    /// It may be the only copy of somebody's mail.
    No,
}

/// What a person wants to know about equal messages. It holds what a message says, so it is escaped where it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct About {
    /// The verdict and its kind.
    pub what: String,
    /// The host that reports, or the writer.
    pub from: String,
    /// The recipients that failed, or the subject.
    pub of: String,
    /// The status of the first recipient.
    pub status: String,
}

/// What equal messages share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Similarity {
    /// The same for equal messages: 16 hexadecimal digits.
    pub key: String,
    /// Whether a message may be given up.
    pub expendable: Expendable,
    /// What it is about.
    pub about: About,
}

impl Similarity {
    /// Tells whether a message counts as sent only when it arrived.
    pub fn counts_when_it_arrives(&self) -> bool {
        self.expendable == Expendable::No
    }
}

/// Takes the similarity of a message whose body has `body_bytes`, of which the message at hand may hold less.
pub fn describe_message(judgement: &Judgement, message: &Message<'_>, body_bytes: u64) -> Similarity {
    match judgement.verdict.bounce() {
        // What calls itself a report, and neither comes as one nor names anybody, may be a person's after all.
        Some(bounce) if judgement.null_sender.is_some() || !bounce.recipients.is_empty() => of_report(bounce, message),
        Some(_) | None => of_mail(judgement, message, body_bytes),
    }
}

fn of_report(bounce: &Bounce, message: &Message<'_>) -> Similarity {
    let host = bounce.reporting_host.as_deref().map(str::to_ascii_lowercase);
    let host = host.unwrap_or_else(|| text(message, "From").to_ascii_lowercase());
    let mut recipients: Vec<(String, &str)> = bounce
        .recipients
        .iter()
        .map(|r| (r.address.to_ascii_lowercase(), r.status.as_deref().unwrap_or_default()))
        .collect();
    recipients.sort_unstable();
    let named = recipients.iter().any(|(address, _)| !address.is_empty());
    let told_by = match &bounce.quoted_message_id {
        _ if named => String::new(),
        Some(id) => id.clone(),
        // Queue numbers and dates differ from report to report.
        None => text(message, "Subject").chars().filter(|c| c.is_alphabetic()).collect(),
    };
    let kind = bounce.kind.map_or("", |kind| kind.name());
    let origin = bounce.origin as u8;
    let addresses: Vec<&str> = recipients.iter().map(|(address, _)| address.as_str()).collect();
    Similarity {
        key: key(&("report", kind, origin, &host, &recipients, told_by)),
        expendable: Expendable::Yes,
        about: About {
            what: if kind.is_empty() {
                "bounce".to_owned()
            } else {
                format!("bounce ({kind})")
            },
            from: bounded(&host),
            of: bounded(&if named {
                addresses.join(", ")
            } else {
                text(message, "Subject")
            }),
            status: bounded(recipients.first().map_or("", |(_, status)| status)),
        },
    }
}

fn of_mail(judgement: &Judgement, message: &Message<'_>, body_bytes: u64) -> Similarity {
    let body = message.body().get(..BODY_BYTES).unwrap_or(message.body());
    let [id, from, date, subject] = ["Message-ID", "From", "Date", "Subject"].map(|name| text(message, name));
    let what = judgement.verdict.name();
    Similarity {
        key: key(&("mail", what, id, &from, date, &subject, body, body_bytes)),
        expendable: Expendable::No,
        about: About {
            what: what.to_owned(),
            from: bounded(&from),
            of: bounded(&subject),
            status: String::new(),
        },
    }
}

/// Whatever the hash is worth, an attacker who finds two messages with one key has one of both held instead of sent.
fn key(parts: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn text(message: &Message<'_>, name: &'static str) -> String {
    message.first(name).unwrap_or_default().trim().to_owned()
}

fn bounded(text: &str) -> String {
    text.chars().take(TEXT_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::{Expendable, Similarity, describe_message};
    use crate::classify::classify;
    use crate::classify::verdict::Facts;
    use crate::message::Message;
    use crate::message::address::{Address, OwnAddresses};
    use crate::message::envelope::Sender;

    fn of(text: &str, sender: &Sender) -> Similarity {
        let mut own = OwnAddresses::new("+");
        own.add(Address::parse("a@a.test").unwrap_or_else(|| unreachable!()));
        let message = Message::new(text.as_bytes());
        let facts = Facts {
            sender,
            own: &own,
            max_hops: 50,
            hosts: &[],
            relays: &[],
        };
        describe_message(&classify(&message, &facts), &message, message.body().len() as u64)
    }

    fn report(host: &str, recipient: &str, status: &str, id: &str) -> String {
        let fate = if recipient.is_empty() {
            String::new()
        } else {
            format!("Final-Recipient: rfc822; {recipient}\n")
        };
        format!(
            "From: MAILER-DAEMON@{host}\nMessage-ID: <r-{id}@{host}>\nSubject: Undelivered {id}\nMIME-Version: 1.0\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\nIt did not work.\n\
             --x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; {host}\n\n{fate}Action: failed\n\
             Status: {status}\n\n--x\nContent-Type: message/rfc822\n\nMessage-ID: <{id}@s.test>\nX-Loop: a@a.test\n\
             From: s@s.test\n\nx\n--x--\n"
        )
    }

    #[test]
    fn reports_are_equal_where_they_tell_the_same() {
        let first = of(&report("mx.a.test", "b@b.test", "5.1.1", "1"), &Sender::Null);
        assert_eq!(first.expendable, Expendable::Yes);
        assert_eq!(
            (
                first.about.what.as_str(),
                first.about.from.as_str(),
                first.about.of.as_str()
            ),
            ("bounce (failure)", "mx.a.test", "b@b.test")
        );
        for (name, host, recipient, status, id, equal) in [
            ("about another message", "mx.a.test", "b@b.test", "5.1.1", "2", true),
            ("spelt otherwise", "MX.A.TEST", "B@b.test", "5.1.1", "1", true),
            ("another host", "mx2.a.test", "b@b.test", "5.1.1", "1", false),
            ("another recipient", "mx.a.test", "c@b.test", "5.1.1", "1", false),
            ("another status", "mx.a.test", "b@b.test", "5.2.2", "1", false),
        ] {
            let other = of(&report(host, recipient, status, id), &Sender::Null);
            assert_eq!(first.key == other.key, equal, "{name}");
        }
    }

    #[test]
    fn reports_that_name_nobody_are_told_by_quote_or_shape() {
        let shapeless = |subject: &str, quoted: &str| {
            let text = format!("From: MAILER-DAEMON@b.test\nSubject: {subject}\n\nIt did not work.\n{quoted}");
            of(&text, &Sender::Null)
        };
        let quoted = |id: &str| {
            format!(
                "\n--- Below this line is a copy of the message.\n\nReceived: x\nMessage-ID: <{id}@s.test>\nFrom: s@s.test\n\nx\n"
            )
        };
        let shape = shapeless("Undeliverable mail 17", "");
        assert_eq!(shape.expendable, Expendable::Yes, "{shape:?}");
        assert_eq!(shape.key, shapeless("Undeliverable mail 4711", "").key);
        assert_ne!(shape.key, shapeless("Undeliverable message", "").key);
        let one = shapeless("Undeliverable mail 17", &quoted("1"));
        assert_eq!(one.key, shapeless("Undeliverable mail 18", &quoted("1")).key);
        assert_ne!(one.key, shapeless("Undeliverable mail 17", &quoted("2")).key);
    }

    #[test]
    fn mail_is_equal_only_where_it_is_the_same_mail() {
        let sender = Sender::Address("s@s.test".to_owned());
        let text = "X-Loop: a@a.test\nMessage-ID: <1@s.test>\nFrom: s@s.test\nSubject: x\n\nhello\n";
        let first = of(text, &sender);
        assert_eq!((first.expendable, first.about.what.as_str()), (Expendable::No, "loop"));
        assert_eq!(first.key, of(&format!("Received: from x by y\n{text}"), &sender).key);
        for other in [
            text.replace("<1@", "<2@"),
            text.replace("hello", "hallo"),
            text.replace("Subject: x", "Subject: y"),
            text.replace("hello", "hello, hello"),
        ] {
            assert_ne!(first.key, of(&other, &sender).key, "{other}");
        }
    }

    #[test]
    fn what_neither_comes_as_a_report_nor_names_anybody_is_mail() {
        let sender = Sender::Address("s@s.test".to_owned());
        let text = "From: MAILER-DAEMON@b.test\nSubject: Undelivered Mail Returned to Sender\n\nIt did not work.\n";
        assert_eq!(of(text, &sender).expendable, Expendable::No);
        assert_eq!(of(text, &Sender::Null).expendable, Expendable::Yes);
    }
}
