//! The bytes of the model's mail: what people write, what hosts add and take away, and reports in the shapes that they
//! have in the wild.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::plan::{Seconds, Shape, Strip};

/// When the model's time begins.
const EPOCH: i64 = 1_790_000_000;

/// Simulated time as a date.
pub fn date(at: Seconds) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(EPOCH + at).unwrap()
}

/// The same as mail writes it.
pub fn written_date(at: Seconds) -> String {
    date(at).format(&Rfc2822).unwrap()
}

/// What one of the people wrote: a text that is found again wherever it ends up.
pub fn written(number: usize, from: &str, to: &str, bytes: usize, at: Seconds) -> Vec<u8> {
    let domain = from.split_once('@').map_or("", |(_, domain)| domain);
    let mut text = format!(
        "From: {from}\nTo: {to}\nSubject: mail {number}\nDate: {}\nMessage-ID: {}\n\n{}\n",
        written_date(at),
        id(number, domain),
        String::from_utf8_lossy(&body_mark(number)),
    );
    while text.len() < bytes {
        text.push_str("so it goes on and on, as letters do, line after line\n");
    }
    text.into_bytes()
}

/// What shows that the text of a message can be read.
pub fn body_mark(number: usize) -> Vec<u8> {
    format!("the whole text of mail number {number}.").into_bytes()
}

/// What shows that a message is named.
pub fn id(number: usize, domain: &str) -> String {
    format!("<mail{number}.{domain}@{domain}>")
}

/// The beginning of that.
pub fn id_mark(number: usize) -> Vec<u8> {
    format!("<mail{number}.").into_bytes()
}

pub fn has(bytes: &[u8], mark: &[u8]) -> bool {
    memchr::memmem::find(bytes, mark).is_some()
}

/// Where the header ends, behind its empty line.
pub fn header_end(bytes: &[u8]) -> usize {
    memchr::memmem::find(bytes, b"\n\n").map_or(bytes.len(), |at| at + 2)
}

/// The values of a field of the header.
pub fn values<'a>(bytes: &'a [u8], name: &'a str) -> impl Iterator<Item = &'a str> {
    let header = std::str::from_utf8(&bytes[..header_end(bytes)]).unwrap_or_default();
    header.lines().filter_map(move |line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// `added` on top of `bytes`.
pub fn on_top(added: &str, bytes: &[u8]) -> Vec<u8> {
    [added.as_bytes(), bytes].concat()
}

/// What is left of the header when a gateway has had its way.
pub fn stripped(bytes: &[u8], strip: Strip) -> Vec<u8> {
    let goes = |name: &str| match strip {
        Strip::Nothing => false,
        Strip::Loop => name == "x-loop",
        Strip::Extensions => name.starts_with("x-"),
        Strip::Trace => name.starts_with("x-") || name == "received" || name == "delivered-to",
    };
    without(bytes, goes)
}

/// The message without the fields whose name, in lower case, `goes`.
pub fn without(bytes: &[u8], goes: impl Fn(&str) -> bool) -> Vec<u8> {
    let (header, body) = bytes.split_at(header_end(bytes).saturating_sub(1).min(bytes.len()));
    let mut kept = Vec::with_capacity(bytes.len());
    let mut keep = true;
    for line in header.split_inclusive(|b| *b == b'\n') {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|b| *b == b':').next().unwrap_or_default();
            keep = !goes(&String::from_utf8_lossy(name).to_ascii_lowercase());
        }
        if keep {
            kept.extend_from_slice(line);
        }
    }
    kept.extend_from_slice(body);
    kept
}

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// For whom it was.
    pub recipient: &'a str,
    /// `5.1.1`
    pub status: &'a str,
    /// What the other host said.
    pub said: &'a str,
    /// When.
    pub at: Seconds,
}

/// Postfix returns headers only beyond this, in bytes (postconf(5)).
const BOUNCE_SIZE_LIMIT: usize = 50_000;

/// The report of `host` to `to`, and whether it carries the whole message.
pub fn report(
    shape: Shape,
    host: &str,
    to: &str,
    failure: Failure<'_>,
    message: &[u8],
    number: u64,
) -> (Vec<u8>, bool) {
    let Failure {
        recipient,
        status,
        said,
        at,
    } = failure;
    let fits = message.len() <= BOUNCE_SIZE_LIMIT;
    let text = String::from_utf8_lossy(message);
    let header = String::from_utf8_lossy(&message[..header_end(message)]);
    let action = if status.starts_with('4') { "delayed" } else { "failed" };
    let date = written_date(at);
    let top = format!("Date: {date}\nMessage-ID: <report{number:07}@{host}>\nTo: {to}\n");
    match shape {
        Shape::Full | Shape::Headers | Shape::Gateway => {
            let whole = shape != Shape::Headers && fits;
            let (kind, quoted) = if whole {
                ("message/rfc822", &text)
            } else {
                ("text/rfc822-headers", &header)
            };
            let from = if shape == Shape::Gateway { "postmaster" } else { "MAILER-DAEMON" };
            let b = format!("R{number:07}/{host}");
            (
                format!(
                    "From: {from}@{host} (Mail Delivery System)\n{top}Subject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\n\
                     MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"{b}\"\n\n\
                     This is a MIME-encapsulated message.\n\n--{b}\nContent-Type: text/plain\n\n\
                     I'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients.\n\n<{recipient}>: {said}\n\n\
                     --{b}\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; {host}\n\nFinal-Recipient: rfc822; {recipient}\n\
                     Action: {action}\nStatus: {status}\nDiagnostic-Code: smtp; {said}\n\n--{b}\nContent-Type: {kind}\n\n{quoted}\n--{b}--\n"
                )
                .into_bytes(),
                whole,
            )
        }
        Shape::Exim => {
            let quoted = if fits { &text } else { &header };
            (
                format!(
                    "X-Failed-Recipients: {recipient}\nAuto-Submitted: auto-replied\nFrom: Mail Delivery System <Mailer-Daemon@{host}>\n{top}\
                     Subject: Mail delivery failed: returning message to sender\n\nThis message was created automatically by mail delivery software.\n\n\
                     A message that you sent could not be delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n  \
                     {recipient}\n    {said}\n\n------ This is a copy of the message, including all the headers. ------\n\n{quoted}"
                )
                .into_bytes(),
                fits,
            )
        }
        Shape::Qmail => (
            format!(
                "From: MAILER-DAEMON@{host}\n{top}Subject: failure notice\n\nHi. This is the qmail-send program at {host}.\n\
                 I'm afraid I wasn't able to deliver your message to the following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n\
                 <{recipient}>:\n{said}\n\n--- Below this line is a copy of the message.\n\n{text}"
            )
            .into_bytes(),
            true,
        ),
        Shape::Foreign => (
            format!(
                "From: Systemadministrator <postmaster@{host}>\n{top}Subject: Unzustellbar: Protokoll\nMIME-Version: 1.0\n\
                 Content-Type: text/plain; charset=utf-8\n\nFehler bei der Nachrichten\u{fc}bermittlung an folgende Empf\u{e4}nger oder \
                 Verteilerlisten:\n\n{recipient}\n\n{said}\n"
            )
            .into_bytes(),
            false,
        ),
    }
}
