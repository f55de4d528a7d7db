//! What is this message? One verdict, with the markers that led to it.
//!
//! Every rule is one small function that looks for its marker and says why it counts. A single weak marker never makes a
//! verdict; where rules meet, the order in `classify` decides.

use crate::decide::address::{Address, OwnAddresses};
use crate::decide::envelope::Sender;
use crate::decide::message::Message;

/// The header in which spoolguard says that it diverted a message; whoever carries it is never sent anywhere again.
pub const DIVERT_HEADER: &str = "X-Spoolguard-Divert";

/// How many times one (from, by) pair may stand among the `Received` fields before it is a loop. Honest mail has two at most.
const SAME_HOP_LIMIT: usize = 3;

/// The piece of a message that convinced us.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Marker {
    /// The header field, as we call it.
    pub header: String,
    /// Its value, unfolded; still holds whatever the sender wrote, so it is escaped where it is shown.
    pub value: String,
    /// What that means, in words.
    pub why: &'static str,
}

impl Marker {
    fn new(header: &str, value: &str, why: &'static str) -> Self {
        Self {
            header: header.to_owned(),
            value: value.trim().to_owned(),
            why,
        }
    }
}

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
    #[must_use]
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
    /// The address that failed, was late, or was reached.
    pub address: String,
    /// `failed`, `delayed`, `delivered`, `relayed` or `expanded`, in lower case.
    pub action: Option<String>,
    /// The enhanced status code, `5.1.1` (RFC 3463).
    pub status: Option<String>,
}

/// Whose message a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A message that this guard forwarded: what is quoted carries our `X-Loop`.
    OurForward,
    /// A message that the user wrote.
    User,
    /// Neither: backscatter, or a report that quotes nothing.
    Unknown,
}

/// A report from a mail system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// Failure, delay or success, as far as the report says.
    pub kind: Option<ReportKind>,
    /// The recipients it names.
    pub recipients: Vec<Recipient>,
    /// Whose message it is about.
    pub origin: Origin,
    /// Why it is a report; never empty.
    pub markers: Vec<Marker>,
}

/// What a message is. Every verdict but `Ordinary` holds at least one marker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It has been here before.
    Loop(Vec<Marker>),
    /// A report from a mail system about another message (RFC 3464, and the shapes before it).
    Bounce(Bounce),
    /// A feedback report (RFC 5965).
    Complaint(Vec<Marker>),
    /// A read receipt (RFC 8098).
    Receipt(Vec<Marker>),
    /// Vacation and the like (RFC 3834).
    AutoReply(Vec<Marker>),
    /// Everything else.
    Ordinary,
}

impl Verdict {
    /// The word for it, as flags, logs and JSON use it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Loop(_) => "loop",
            Self::Bounce(_) => "bounce",
            Self::Complaint(_) => "complaint",
            Self::Receipt(_) => "receipt",
            Self::AutoReply(_) => "auto-reply",
            Self::Ordinary => "ordinary",
        }
    }

    /// What led to it.
    #[must_use]
    pub fn markers(&self) -> &[Marker] {
        match self {
            Self::Loop(markers) | Self::Complaint(markers) | Self::Receipt(markers) | Self::AutoReply(markers) => {
                markers
            }
            Self::Bounce(bounce) => &bounce.markers,
            Self::Ordinary => &[],
        }
    }
}

/// A verdict, and the two facts that stand beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Judgement {
    /// What the message is.
    pub verdict: Verdict,
    /// The envelope sender is null.
    pub null_sender: Option<Marker>,
    /// The message, or the header that it quotes, says that a guard diverted it before.
    pub diverted_before: Option<Marker>,
}

/// What has to be known beside the message.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who sent it.
    pub sender: &'a Sender,
    /// The user's own addresses.
    pub own: &'a OwnAddresses,
    /// How many `Received` fields are too many.
    pub max_hops: usize,
}

/// Judges one message.
pub fn classify(message: &Message<'_>, facts: &Facts<'_>) -> Judgement {
    let null_sender = (*facts.sender == Sender::Null).then(|| null_sender_marker(message));
    let quoted = quoted_header(message);
    let diverted_before = find(message, DIVERT_HEADER, "diverted by a guard before")
        .or_else(|| find(&quoted, DIVERT_HEADER, "quotes a message that a guard diverted"));
    let verdict = if let Some(markers) = find_loop(message, facts) {
        Verdict::Loop(markers)
    } else if let Some(marker) = find_report_type(message, "feedback-report", "feedback report (RFC 5965)") {
        Verdict::Complaint(vec![marker])
    } else if let Some(marker) = find_report_type(message, "disposition-notification", "read receipt (RFC 8098)") {
        Verdict::Receipt(vec![marker])
    } else {
        let mut markers = find_bounce(message, null_sender.as_ref());
        if markers.is_empty() {
            match find_auto_reply(message) {
                Some(marker) => Verdict::AutoReply(vec![marker]),
                None => Verdict::Ordinary,
            }
        } else {
            let ours = find_own_x_loop(
                &quoted,
                facts.own,
                "quotes our own X-Loop: the report is about our forward",
            );
            let origin = if ours.is_some() {
                Origin::OurForward
            } else {
                Origin::Unknown
            };
            markers.extend(ours);
            Verdict::Bounce(Bounce {
                kind: None,
                recipients: Vec::new(),
                origin,
                markers,
            })
        }
    };
    Judgement {
        verdict,
        null_sender,
        diverted_before,
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

fn find(message: &Message<'_>, header: &'static str, why: &'static str) -> Option<Marker> {
    message.first(header).map(|value| Marker::new(header, &value, why))
}

/// Loops: our own `X-Loop`, our address twice in `Delivered-To`, one hop again and again, too many hops.
fn find_loop(message: &Message<'_>, facts: &Facts<'_>) -> Option<Vec<Marker>> {
    let mut markers: Vec<Marker> = Vec::new();
    markers.extend(find_own_x_loop(
        message,
        facts.own,
        "our own X-Loop: this message was forwarded by us before",
    ));
    let delivered: Vec<_> = message
        .values("Delivered-To")
        .filter(|value| Address::parse(value).is_some_and(|address| facts.own.contains(&address)))
        .collect();
    if let [_, second, ..] = delivered.as_slice() {
        markers.push(Marker::new(
            "Delivered-To",
            second,
            "our own address twice: this message was delivered to us before",
        ));
    }
    let mut hops: Vec<(String, String)> = Vec::new();
    let mut count = 0;
    let mut counts: std::collections::HashMap<(String, String), usize> = std::collections::HashMap::new();
    for value in message.values("Received") {
        count += 1;
        if let Some(hop) = hop_of(&value) {
            let seen = counts.entry(hop.clone()).or_default();
            *seen += 1;
            if *seen == SAME_HOP_LIMIT {
                hops.push(hop);
            }
        }
    }
    if let Some((from, by)) = hops.first() {
        let value = format!("from {from} by {by}");
        markers.push(Marker::new(
            "Received",
            &value,
            "one hop three times or more: this message goes round",
        ));
    }
    if count > facts.max_hops {
        markers.push(Marker::new(
            "Received",
            &format!("{count} hops"),
            "more hops than max_hops allows",
        ));
    }
    (!markers.is_empty()).then_some(markers)
}

/// Only the user's own address counts: lists put theirs into `X-Loop` too.
fn find_own_x_loop(message: &Message<'_>, own: &OwnAddresses, why: &'static str) -> Option<Marker> {
    message
        .values("X-Loop")
        .find(|value| Address::parse(value).is_some_and(|address| own.contains(&address)))
        .map(|value| Marker::new("X-Loop", &value, why))
}

/// The host that handed over and the host that took, from one `Received` value (RFC 5321 section 4.4).
fn hop_of(received: &str) -> Option<(String, String)> {
    let mut words = received.split_ascii_whitespace();
    (words.next()?.eq_ignore_ascii_case("from")).then_some(())?;
    let from = words.next()?;
    words.find(|word| word.eq_ignore_ascii_case("by"))?;
    let by = words.next()?;
    Some((from.to_ascii_lowercase(), by.trim_end_matches(';').to_ascii_lowercase()))
}

fn find_report_type(message: &Message<'_>, kind: &str, why: &'static str) -> Option<Marker> {
    let value = message.first("Content-Type")?;
    let lower = value.to_ascii_lowercase();
    let compact: String = lower.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
    (compact.starts_with("multipart/report") && compact.contains(&format!("report-type={kind}")))
        .then(|| Marker::new("Content-Type", &value, why))
}

/// Bounces by the plain means.
fn find_bounce(message: &Message<'_>, null_sender: Option<&Marker>) -> Vec<Marker> {
    let mut markers: Vec<Marker> = Vec::new();
    markers.extend(find_report_type(
        message,
        "delivery-status",
        "delivery report (RFC 3464)",
    ));
    markers.extend(find(
        message,
        "X-Failed-Recipients",
        "Exim names the recipients that failed",
    ));
    if let Some(marker) = find_daemon(message) {
        markers.push(marker);
        markers.extend(null_sender.cloned());
    }
    markers
}

/// A mail system's name in `From`.
fn find_daemon(message: &Message<'_>) -> Option<Marker> {
    let value = message.first("From")?;
    let address = Address::parse(&value)?;
    address
        .local()
        .eq_ignore_ascii_case("mailer-daemon")
        .then(|| Marker::new("From", &value, "sent by a mail system's daemon"))
}

/// Automatic answers (RFC 3834 section 5).
fn find_auto_reply(message: &Message<'_>) -> Option<Marker> {
    let value = message.first("Auto-Submitted")?;
    value
        .trim_start()
        .get(..12)
        .is_some_and(|word| word.eq_ignore_ascii_case("auto-replied"))
        .then(|| Marker::new("Auto-Submitted", &value, "an automatic answer (RFC 3834)"))
}

/// The header of the message that a report quotes, wherever it begins.
fn quoted_header<'a>(message: &Message<'a>) -> Message<'a> {
    const STARTS: [&[u8]; 2] = [b"message/rfc822", b"text/rfc822-headers"];
    let body = message.body();
    let lower = body.to_ascii_lowercase();
    let start = STARTS
        .iter()
        .filter_map(|start| memchr::memmem::find(&lower, start))
        .min()
        .and_then(|at| {
            let rest = lower.get(at..)?;
            let part = memchr::memmem::find(rest, b"\n\n").map(|end| end + 2);
            let part_crlf = memchr::memmem::find(rest, b"\r\n\r\n").map(|end| end + 4);
            Some(at + part.into_iter().chain(part_crlf).min()?)
        });
    Message::new(start.and_then(|at| body.get(at..)).unwrap_or_default())
}
