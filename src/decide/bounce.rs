//! Is this a report from a mail system? Evidence of five sorts is weighed together: who wrote it, what the envelope says, the
//! subject, the system's own words, and how it is built. No single weak piece is enough, and what people and lists add
//! to a message weighs against it.

use crate::decide::address::Address;
use crate::decide::failed::{complete, find_failed, with_reason};
use crate::decide::head::Head;
use crate::decide::message::Message;
use crate::decide::mime::{Kind, Outline};
use crate::decide::quoted::{Quoted, nested_values, own_words};
use crate::decide::report::{Recipient, Report, ReportKind, count_fields};
use crate::decide::shapes::writer::Writer;
use crate::decide::shapes::{opening, subject};
use crate::decide::text::{folded, part_text, starts_with_ignoring_case};
use crate::decide::verdict::{Bounce, Facts, Marker};

/// What the evidence must weigh together.
const ENOUGH: i32 = 100;

/// What it must weigh where the writer's name says nothing: a strong subject and strong words alone could be a person's quote.
const ENOUGH_FROM_ANYONE: i32 = 130;

/// As much of the system's own words as rules look at.
const OPENING_BYTES: usize = 8 * 1024;

/// The pieces that are weighed, and what they weigh.
mod weight {
    pub(super) const REPORT: i32 = 100;
    pub(super) const REPORT_MARK: i32 = 70;
    pub(super) const STATUS_PART: i32 = 60;
    pub(super) const REPORT_UNTYPED: i32 = 50;
    pub(super) const STATUS_LINES: i32 = 50;
    pub(super) const DAEMON: i32 = 50;
    pub(super) const POSTMASTER: i32 = 30;
    pub(super) const MACHINE: i32 = 15;
    pub(super) const NULL_SENDER: i32 = 30;
    pub(super) const NULL_PATH: i32 = 20;
    pub(super) const SUBJECT: i32 = 40;
    pub(super) const SUBJECT_WORDS: i32 = 20;
    pub(super) const OPENING: i32 = 50;
    pub(super) const SECOND_OPENING: i32 = 15;
    pub(super) const WORD: i32 = 10;
    pub(super) const WORDS_AT_MOST: i32 = 40;
    pub(super) const QUOTED: i32 = 20;
    pub(super) const AUTOMATIC: i32 = 10;
    pub(super) const ANSWERED: i32 = -40;
    pub(super) const LIST: i32 = -30;
    pub(super) const PERSON: i32 = -30;
    pub(super) const AUTO_REPLY: i32 = -40;
    pub(super) const QUOTES_LINES: i32 = -20;
}

/// What is known of a message before its body is read.
#[derive(Clone, Debug)]
pub struct Look<'m, 'a> {
    /// The message.
    pub message: &'m Message<'a>,
    /// Its header.
    pub head: &'m Head<'a>,
    /// `From`, decoded.
    pub from: Option<&'m str>,
    /// Who that is.
    pub writer: Writer,
    /// The subject, folded.
    pub subject: &'m str,
    /// The null envelope sender.
    pub null_sender: Option<&'m Marker>,
    /// It has marks of an automatic answer.
    pub answers: Answers,
}

/// Whether a message has marks of an automatic answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// It has, beyond what Postfix puts on its reports too.
    Yes,
    /// It has not.
    No,
}

/// What came of the weighing.
#[derive(Clone, Debug)]
pub enum Weighed {
    /// It is a report.
    Report(Bounce),
    /// It is none, but a machine wrote it about a message that carries our own mark.
    QuotesOurLoop(Marker),
    /// It is none.
    Nothing,
}

/// Tells whether anything at all speaks for a report, so that the body is worth reading.
#[must_use]
pub fn is_suspect(look: &Look<'_, '_>) -> bool {
    let content_type = look.head.content_type.map(|field| field.text());
    look.writer >= Writer::Postmaster
        || look.null_sender.is_some()
        || look.head.null_path.is_some()
        || look.head.report_mark.is_some()
        || content_type.is_some_and(|value| {
            starts_with_ignoring_case(&value, "multipart/report") || starts_with_ignoring_case(&value, "message/")
        })
        || subject::find(look.subject).is_some_and(|found| found.rule.is_some() && !found.answered)
        || has_status_part(look.message.body())
}

/// The words that open a delivery status part, whatever is around it.
fn has_status_part(body: &[u8]) -> bool {
    const BYTES: usize = 64 * 1024;
    let body = body.get(..BYTES).unwrap_or(body);
    memchr::memmem::find(body, b"/delivery-status").is_some()
        || memchr::memmem::find(body, b"/Delivery-Status").is_some()
}

/// Weighs everything.
#[must_use]
pub fn weigh(look: &Look<'_, '_>, outline: &Outline<'_>, facts: &Facts<'_>) -> Weighed {
    // The pseudo message that mail programs keep in a mailbox for themselves (c-client, Dovecot): MAILER-DAEMON wrote it.
    if look.subject.starts_with("don't delete this message") {
        return Weighed::Nothing;
    }
    let mut scale = Scale::default();
    scale.weigh_writer(look);
    let kind_of_subject = scale.weigh_subject(look);
    let built = scale.weigh_structure(look, outline);

    let text = system_text(outline);
    let own = own_words(&text);
    let report = read_report(outline, &text);
    let quoted = Quoted::find(outline, &text);
    let kind_of_words = scale.weigh_words(own, &text);
    if !quoted.is_empty() {
        scale.add(weight::QUOTED, None);
    }
    scale.weigh_people(look, own, built);

    let our_loop = nested_values(look.message.body(), "x-loop")
        .find(|value| Address::parse(value).is_some_and(|address| facts.own.contains(&address)))
        .map(|value| {
            Marker::new(
                "X-Loop",
                &value,
                "quotes our own X-Loop: the report is about our forward",
            )
        });
    let machine = look.writer > Writer::Machine
        || look.null_sender.is_some()
        || look.head.null_path.is_some()
        || built == Built::Report;
    let enough = if machine || look.writer == Writer::Machine {
        ENOUGH
    } else {
        ENOUGH_FROM_ANYONE
    };
    if scale.sum < enough {
        return match our_loop {
            Some(marker) if machine || look.head.auto_submitted.is_some() => Weighed::QuotesOurLoop(marker),
            _ => Weighed::Nothing,
        };
    }

    let mut markers = scale.markers;
    let mut origin = quoted.origin(facts.own);
    if let Some(marker) = our_loop {
        origin = crate::decide::quoted::Origin::OurForward;
        markers.push(marker);
    }
    let kind = report.kind().or(kind_of_words).or(kind_of_subject);
    let mut recipients = if report.recipients.iter().any(|r| !r.address.is_empty()) {
        report.recipients
    } else {
        failed_recipients(look, own, &quoted, &report)
    };
    complete(&mut recipients, kind);
    let message_id = quoted
        .message()
        .first("Message-ID")
        .map(|id| id.trim().to_owned())
        .filter(|id| !id.is_empty());
    Weighed::Report(Bounce {
        kind,
        recipients,
        origin,
        markers,
        reporting_host: report.reporting_host,
        quoted_message_id: message_id,
    })
}

/// How much the way it is built says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Built {
    /// As RFC 3464 says, or with a mark that only reports carry.
    Report,
    /// As any message.
    Plain,
}

#[derive(Debug, Default)]
struct Scale {
    sum: i32,
    markers: Vec<Marker>,
}

impl Scale {
    fn add(&mut self, weight: i32, marker: Option<Marker>) {
        self.sum += weight;
        self.markers.extend(marker);
    }

    fn weigh_writer(&mut self, look: &Look<'_, '_>) {
        let value = look.from.unwrap_or("(none)");
        match look.writer {
            Writer::Daemon => self.add(
                weight::DAEMON,
                Some(Marker::new("From", value, "sent by a mail system's daemon")),
            ),
            Writer::Postmaster => self.add(
                weight::POSTMASTER,
                Some(Marker::new("From", value, "sent by a postmaster, or by nobody")),
            ),
            Writer::Machine => self.add(
                weight::MACHINE,
                Some(Marker::new("From", value, "sent from an address that machines use")),
            ),
            Writer::Anyone => {}
        }
        match (look.null_sender, look.head.null_path) {
            (Some(marker), _) => self.add(weight::NULL_SENDER, Some(marker.clone())),
            (None, Some(field)) => {
                self.add(
                    weight::NULL_PATH,
                    Some(Marker::of(
                        &field,
                        "the envelope sender was null before somebody forwarded it",
                    )),
                );
            }
            (None, None) => {}
        }
        if let Some(field) = look.head.auto_submitted
            && !starts_with_ignoring_case(field.text().trim_start(), "no")
        {
            self.add(weight::AUTOMATIC, None);
        }
    }

    fn weigh_subject(&mut self, look: &Look<'_, '_>) -> Option<ReportKind> {
        let found = subject::find(look.subject)?;
        let field = look.head.subject?;
        if found.answered {
            if look.writer != Writer::Daemon {
                self.add(weight::ANSWERED, None);
            }
            return None;
        }
        match found.rule {
            Some(rule) if rule.strength == crate::decide::shapes::Strength::Strong => {
                self.add(weight::SUBJECT, Some(Marker::of(&field, rule.system)));
                kind_in_subject(look.subject).or(rule.kind)
            }
            Some(rule) => {
                self.add(weight::SUBJECT_WORDS, Some(Marker::of(&field, rule.system)));
                rule.kind
            }
            None => {
                self.add(
                    weight::SUBJECT_WORDS,
                    Some(Marker::of(&field, "the subject speaks of delivery and of trouble")),
                );
                None
            }
        }
    }

    fn weigh_structure(&mut self, look: &Look<'_, '_>, outline: &Outline<'_>) -> Built {
        let value = look
            .head
            .content_type
            .map_or_else(|| "multipart/report".to_owned(), |field| field.text().into_owned());
        let marker = |why| Some(Marker::new("Content-Type", &value, why));
        let mut built = Built::Plain;
        let status = outline.first(Kind::DeliveryStatus).is_some();
        match outline.report_type.as_deref() {
            Some("delivery-status") => {
                self.add(weight::REPORT, marker("delivery report (RFC 3464)"));
                built = Built::Report;
            }
            Some("" | "disposition-notification" | "feedback-report") => {
                self.add(weight::REPORT_UNTYPED, marker("a report (RFC 6522)"));
            }
            _ => {}
        }
        if status {
            const WHY: &str = "delivery status part (RFC 3464)";
            self.add(
                weight::STATUS_PART,
                Some(Marker::new("Content-Type", "message/delivery-status", WHY)),
            );
        }
        if let Some((field, why)) = &look.head.report_mark {
            self.add(weight::REPORT_MARK, Some(Marker::of(field, why)));
            built = Built::Report;
        }
        if outline.report_type.is_some() && status {
            built = Built::Report;
        }
        built
    }

    fn weigh_words(&mut self, own: &str, text: &str) -> Option<ReportKind> {
        let found = opening::find(&opening_of(own));
        for (at, rule) in found.rules.iter().enumerate() {
            let weight = match at {
                0 => weight::OPENING,
                1 => weight::SECOND_OPENING,
                _ => 0,
            };
            self.add(weight, Some(Marker::new("Body", rule.text, rule.system)));
        }
        let words = i32::try_from(found.words)
            .unwrap_or(i32::MAX)
            .min(weight::WORDS_AT_MOST / weight::WORD);
        if words > 1 {
            let why = "words of trouble with delivery";
            self.add(
                words * weight::WORD,
                Some(Marker::new("Body", &format!("{} of them", found.words), why)),
            );
        }
        if count_fields(text) >= 2 {
            self.add(
                weight::STATUS_LINES,
                Some(Marker::new(
                    "Body",
                    "Final-Recipient, Action",
                    "a delivery status in plain text",
                )),
            );
        }
        let kinds = || found.rules.iter().filter_map(|rule| rule.kind);
        [ReportKind::Delay, ReportKind::Failure, ReportKind::Success]
            .into_iter()
            .find(|kind| kinds().any(|k| k == *kind))
    }

    /// What a person or a list leaves on a message, and a mail system does not. A daemon's report that came through a list
    /// is a report still; one that Exchange threads with its subject is, too.
    fn weigh_people(&mut self, look: &Look<'_, '_>, own: &str, built: Built) {
        if look.head.list.is_some() {
            self.add(weight::LIST, None);
        }
        if built == Built::Report || look.writer == Writer::Daemon {
            return;
        }
        if look.head.reply_to_message.is_some() {
            self.add(weight::PERSON, None);
        }
        if look
            .head
            .mailer
            .is_some_and(|field| is_a_persons_program(&field.text()))
        {
            self.add(weight::PERSON, None);
        }
        if look.answers == Answers::Yes {
            self.add(weight::AUTO_REPLY, None);
        }
        if own.lines().any(|line| line.starts_with('>')) {
            self.add(weight::QUOTES_LINES, None);
        }
    }
}

/// `(Failure)`, `(Delay)`, `(Success)` in a subject that several systems share.
fn kind_in_subject(subject: &str) -> Option<ReportKind> {
    const WORDS: [(&str, ReportKind); 9] = [
        ("delay", ReportKind::Delay),
        ("still being retried", ReportKind::Delay),
        ("fail", ReportKind::Failure),
        ("undeliver", ReportKind::Failure),
        ("(success", ReportKind::Success),
        ("relay)", ReportKind::Success),
        ("relayed", ReportKind::Success),
        ("delivered", ReportKind::Success),
        ("expanded", ReportKind::Success),
    ];
    WORDS
        .iter()
        .find(|(word, _)| subject.contains(word))
        .map(|(_, kind)| *kind)
}

fn is_a_persons_program(mailer: &str) -> bool {
    const PROGRAMS: [&str; 16] = [
        "thunderbird",
        "mozilla",
        "mutt",
        "pine",
        "apple mail",
        "outlook",
        "eudora",
        "evolution",
        "kmail",
        "gnus",
        "sylpheed",
        "claws",
        "roundcube",
        "squirrelmail",
        "ximian",
        "pegasus",
    ];
    let lower = mailer.to_ascii_lowercase();
    PROGRAMS.iter().any(|program| lower.contains(program))
}

/// The text parts of the report itself, decoded, in order.
fn system_text(outline: &Outline<'_>) -> String {
    const PARTS: usize = 4;
    let mut text = String::new();
    for part in outline.all(Kind::Text).take(PARTS) {
        text.push_str(&part_text(part));
        text.push('\n');
    }
    text
}

/// What rules are compared with: the beginning of the system's own words, folded, without lines that quote.
fn opening_of(own: &str) -> String {
    let mut out = String::new();
    for line in own
        .lines()
        .filter(|line| !line.starts_with('>') || line.starts_with(">>>"))
    {
        if out.len() > OPENING_BYTES {
            break;
        }
        let line = line.get(..2000).unwrap_or(line);
        out.push_str(line);
        out.push('\n');
    }
    folded(&out.replace('\u{2019}', "'"))
}

/// The machine's part; where there is none, the same fields in plain text.
fn read_report(outline: &Outline<'_>, text: &str) -> Report {
    let mut report = Report::default();
    for part in outline.all(Kind::DeliveryStatus) {
        let next = Report::read(part.body());
        report.reporting_host = report.reporting_host.or(next.reporting_host);
        report.recipients.extend(next.recipients);
    }
    if report.recipients.is_empty() && count_fields(text) >= 2 {
        let lines: String = text.lines().flat_map(|line| [line.trim_start(), "\n"]).collect();
        return Report::read(lines.as_bytes());
    }
    report
}

/// Where no report names them: the header, the words, the quoted message.
fn failed_recipients(look: &Look<'_, '_>, own: &str, quoted: &Quoted<'_>, report: &Report) -> Vec<Recipient> {
    let mut recipients: Vec<Recipient> = Vec::new();
    let words: String = own.chars().take(OPENING_BYTES).collect();
    if let Some((field, _)) = look
        .head
        .report_mark
        .filter(|(field, _)| field.is("X-Failed-Recipients"))
    {
        let value = field.text();
        let failed = value.split(',').filter_map(Address::parse).take(50);
        recipients.extend(failed.map(|address| with_reason(address.to_string(), "", &words)));
    }
    if recipients.is_empty() {
        let of = |value: Option<&str>| value.and_then(Address::parse).map(|address| address.to_string());
        let to = look.head.to.map(|field| field.text().into_owned());
        let not: Vec<String> = [of(look.from), of(to.as_deref())].into_iter().flatten().collect();
        recipients = find_failed(&words, &not);
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
