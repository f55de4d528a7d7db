//! The scale on which the evidence for a report is weighed, and what each piece weighs. No single weak piece is enough,
//! and what people and lists add to a message weighs against it.

use crate::classify::bounce::recipients::collect_parties;
use crate::classify::bounce::reply::{find_reply, names_alone};
use crate::classify::evidence::Evidence;
use crate::classify::patterns::sender::SenderKind;
use crate::classify::patterns::{body, subject};
use crate::classify::verdict::Marker;
use crate::message::address::Address;
use crate::message::mime::{MimeParts, PartKind};
use crate::message::text::starts_with_ignoring_case;
use crate::report::dsn::{ReportKind, count_fields};
use crate::report::returned_header::ReturnedHeader;

/// What the evidence must weigh together.
const THRESHOLD: i32 = 100;

/// What it must weigh where the envelope sender is null and the writer's name says nothing: answers have null senders
/// too.
const THRESHOLD_FROM_NOBODY: i32 = 120;

/// What it must weigh where a machine's address is all there is: shops and tickets speak of delivery too.
const THRESHOLD_FROM_A_MACHINE: i32 = 105;

/// What it must weigh where neither says anything: a strong subject and strong words alone could be a person's quote.
const THRESHOLD_FROM_ANYONE: i32 = 130;

/// The pieces that are weighed, and what they weigh.
mod weight {
    pub(super) const REPORT: i32 = 100;
    pub(super) const REPORT_MARK: i32 = 70;
    pub(super) const REPORT_HINT: i32 = 40;
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
    pub(super) const LIST_AROUND_DAEMON: i32 = -10;
    pub(super) const PERSON: i32 = -30;
    pub(super) const AUTO_REPLY: i32 = -40;
    pub(super) const QUOTES_LINES: i32 = -20;
    pub(super) const WISHES: i32 = -40;
    pub(super) const REPLY: i32 = 50;
}

/// How much the way it is built says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    /// As RFC 3464 says, or with a mark that only reports carry.
    Report,
    /// As any message.
    Plain,
}

/// The score.
#[derive(Debug, Default)]
pub struct Score {
    /// What it all weighs together.
    pub sum: i32,
    /// Something was found that only mail systems write.
    core: bool,
    /// The subject is a mail system's.
    subject: bool,
    /// Something was found that only reports are made of.
    structured: bool,
    /// A field was found that reports carry, and now and then another message of the same system.
    hinted: bool,
    /// It quotes what a mail system answered about an address.
    replied: bool,
    /// What it was, as far as it can be shown, and what each weighs.
    markers: Vec<(i32, Marker)>,
}

impl Score {
    fn add(&mut self, weight: i32, marker: Option<Marker>) {
        self.sum += weight;
        self.markers.extend(marker.map(|marker| (weight, marker)));
    }

    /// What it was, the weightiest first.
    pub fn into_markers(mut self) -> Vec<Marker> {
        self.markers.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        self.markers.into_iter().map(|(_, marker)| marker).collect()
    }

    /// The writer and the envelope.
    pub fn score_sender(&mut self, evidence: &Evidence<'_, '_>) {
        let value = evidence.from.unwrap_or("(none)");
        match evidence.sender_kind {
            SenderKind::Daemon => self.add(
                weight::DAEMON,
                Some(Marker::new("From", value, "sent by a mail system's daemon")),
            ),
            SenderKind::Postmaster => self.add(
                weight::POSTMASTER,
                Some(Marker::new("From", value, "sent by a postmaster, or by nobody")),
            ),
            SenderKind::Machine => self.add(
                weight::MACHINE,
                Some(Marker::new("From", value, "sent from an address that machines use")),
            ),
            SenderKind::Anyone => {}
        }
        match (evidence.null_sender, evidence.head.null_path) {
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
        if let Some(field) = evidence.head.auto_submitted
            && !starts_with_ignoring_case(field.text().trim_start(), "no")
        {
            self.add(weight::AUTOMATIC, None);
        }
    }

    /// The subject, and what it says about how it went.
    pub fn score_subject(&mut self, evidence: &Evidence<'_, '_>) -> Option<ReportKind> {
        let found = subject::find_subject_phrase(evidence.subject)?;
        let field = evidence.head.subject?;
        if found.answered {
            if evidence.sender_kind != SenderKind::Daemon {
                self.add(weight::ANSWERED, None);
            }
            return None;
        }
        match found.rule {
            Some(rule) => {
                self.core = true;
                self.subject = true;
                self.add(weight::SUBJECT, Some(Marker::of(&field, rule.system)));
                rule.kind.or_else(|| subject::find_kind(evidence.subject))
            }
            None => {
                self.add(
                    weight::SUBJECT_WORDS,
                    Some(Marker::of(&field, "the subject speaks of a failed delivery")),
                );
                None
            }
        }
    }

    /// How the message is built, and fields that only reports have.
    pub fn score_structure(&mut self, evidence: &Evidence<'_, '_>, outline: &MimeParts<'_>) -> Built {
        let value = evidence
            .head
            .content_type
            .map_or_else(|| "multipart/report".to_owned(), |field| field.text().into_owned());
        let marker = |why| Some(Marker::new("Content-Type", &value, why));
        let mut built = Built::Plain;
        let status = outline.first(PartKind::DeliveryStatus).is_some();
        match outline.report_type.as_deref() {
            Some("delivery-status") => {
                self.add(weight::REPORT, marker("delivery report (RFC 3464)"));
                built = Built::Report;
            }
            Some(_) => {
                self.add(weight::REPORT_UNTYPED, marker("a report (RFC 6522)"));
            }
            None => {}
        }
        if status {
            const WHY: &str = "delivery status part (RFC 3464)";
            self.core = true;
            self.structured = true;
            self.add(
                weight::STATUS_PART,
                Some(Marker::new("Content-Type", "message/delivery-status", WHY)),
            );
        }
        if let Some((field, why)) = &evidence.head.report_mark {
            self.add(weight::REPORT_MARK, Some(Marker::of(field, why)));
            built = Built::Report;
        }
        if let Some((field, why)) = &evidence.head.report_hint {
            self.add(weight::REPORT_HINT, Some(Marker::of(field, why)));
            self.core = true;
            self.hinted = true;
        }
        if outline.report_type.is_some() && status {
            built = Built::Report;
        }
        built
    }

    /// Whether it all is enough. The less the writer and the envelope say, the more must the rest. Where people or
    /// lists have had it in hand, the system's words must be the first ones. Nobody wrote anything above them.
    pub fn is_enough(
        &self,
        evidence: &Evidence<'_, '_>,
        built: Built,
        words: &body::BodyFindings,
        quoted: &ReturnedHeader<'_>,
    ) -> bool {
        if built == Built::Report {
            return self.sum >= THRESHOLD;
        }
        let null = evidence.null_sender.is_some() || evidence.head.null_path.is_some();
        let enough = match (evidence.sender_kind, null) {
            (SenderKind::Daemon | SenderKind::Postmaster, _) | (SenderKind::Machine, true) => THRESHOLD,
            (SenderKind::Anyone, true) if self.structured => THRESHOLD,
            (SenderKind::Anyone, true) => THRESHOLD_FROM_NOBODY,
            (SenderKind::Machine, false) => THRESHOLD_FROM_A_MACHINE,
            (SenderKind::Anyone, false) => THRESHOLD_FROM_ANYONE,
        };
        if self.sum < enough {
            return false;
        }
        let handled = evidence.head.list.is_some() && !is_for_list_owner(evidence)
            || evidence.head.reply_to_message.is_some()
            || evidence
                .head
                .mailer
                .is_some_and(|field| is_a_persons_program(&field.text()));
        match evidence.sender_kind {
            SenderKind::Daemon => self.core || null && words.words > 1,
            SenderKind::Postmaster if null => self.core || !quoted.is_empty(),
            SenderKind::Postmaster if handled => words.starts || self.structured || self.hinted && words.first,
            SenderKind::Postmaster => {
                let given_back = self.subject || self.replied;
                words.first || self.structured || self.subject && self.hinted || given_back && !quoted.is_empty()
            }
            SenderKind::Machine if null => words.first || self.structured || self.replied,
            SenderKind::Anyone if null => {
                words.starts || self.structured || self.replied || self.subject && words.is_strong()
            }
            // fml answers the message that it gives back, and its lists' mail has the mark as well.
            SenderKind::Machine if self.hinted && evidence.head.list.is_none() && words.are_of("fml") => words.first,
            SenderKind::Machine => self.structured || !handled && (words.starts || words.first && !quoted.is_empty()),
            SenderKind::Anyone => self.structured || words.starts && !handled,
        }
    }

    /// What a mail system answered about an address: that is said in every language. Others than mail systems quote it
    /// as well.
    pub fn score_reply(&mut self, evidence: &Evidence<'_, '_>, own: &str, quoted: &ReturnedHeader<'_>) {
        let parties = collect_parties(evidence);
        // A gateway of any name answers with the null sender, and gives the message back. Monitors have that sender,
        // too.
        let returns = evidence.null_sender.is_some() && !quoted.is_empty();
        if evidence.sender_kind < SenderKind::Postmaster && !returns {
            return;
        }
        let (value, why) = if find_reply(own, &parties).is_some() {
            let why = "quotes what a mail system answered about an address";
            ("a reply, an address", why)
        } else if evidence.sender_kind == SenderKind::Daemon && !quoted.is_empty() && names_alone(own, &parties) {
            (
                "an address, a header",
                "a daemon gives a message back, and names an address",
            )
        } else {
            return;
        };
        self.core = true;
        self.replied = true;
        self.add(weight::REPLY, Some(Marker::new("Body", value, why)));
    }

    /// A message that is quoted, and words that want something done.
    pub fn score_quote(&mut self, quoted: &ReturnedHeader<'_>, words: &body::BodyFindings, built: Built) {
        if !quoted.is_empty() {
            self.add(weight::QUOTED, None);
        }
        if words.wishes && built == Built::Plain {
            self.add(weight::WISHES, None);
        }
    }

    /// The system's own words, and what they say about how it went.
    pub fn score_words(&mut self, found: &body::BodyFindings, text: &str) -> Option<ReportKind> {
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
        self.core |= found.is_strong();
        if words > 0 {
            let noun = if found.words == 1 { "phrase" } else { "phrases" };
            let what = format!("{} {noun}", found.words);
            let why = "typical of bounces";
            self.add(words * weight::WORD, Some(Marker::new("Body", &what, why)));
        }
        if count_fields(text) >= 2 {
            self.core = true;
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

    /// What a person or a list leaves on a message, and a mail system does not. A daemon's report that came through a
    /// list is a report still; one that Exchange threads with its subject is, too.
    pub fn score_people(&mut self, evidence: &Evidence<'_, '_>, own: &str, built: Built) {
        if evidence.head.list.is_some() && !is_for_list_owner(evidence) {
            let weight = match evidence.sender_kind {
                SenderKind::Daemon => weight::LIST_AROUND_DAEMON,
                SenderKind::Postmaster | SenderKind::Machine | SenderKind::Anyone => weight::LIST,
            };
            self.add(weight, None);
        }
        if built == Built::Report || evidence.sender_kind == SenderKind::Daemon {
            return;
        }
        if evidence.head.reply_to_message.is_some() {
            self.add(weight::PERSON, None);
        }
        if evidence
            .head
            .mailer
            .is_some_and(|field| is_a_persons_program(&field.text()))
        {
            self.add(weight::PERSON, None);
        }
        if evidence.is_answer {
            self.add(weight::AUTO_REPLY, None);
        }
        // MDaemon writes `> a@a.test` before each address that failed.
        if own
            .lines()
            .any(|line| line.starts_with("> ") && line.trim_end().matches(' ').count() > 1)
        {
            self.add(weight::QUOTES_LINES, None);
        }
    }
}

/// Tells whether a list hands on what came to its owner, and not to its readers: that is where the reports about its
/// mail go.
fn is_for_list_owner(evidence: &Evidence<'_, '_>) -> bool {
    const ENDS: [&str; 5] = ["-admin", "-owner", "-bounces", "-errors", "-request"];
    let to = evidence.head.to.and_then(|field| Address::parse(&field.text()));
    let Some(local) = to.map(|to| to.local().to_ascii_lowercase()) else {
        return false;
    };
    // A list may be called `linux-admin`; then its own fields say so.
    let list = evidence.head.list.map(|field| field.text().to_ascii_lowercase());
    let is_list = list.is_some_and(|value| value.contains(&local));
    !is_list && (local.starts_with("owner-") || ENDS.iter().any(|end| local.ends_with(end)))
}

fn is_a_persons_program(mailer: &str) -> bool {
    #[rustfmt::skip]
    const PROGRAMS: [&str; 16] = [
        "thunderbird", "mozilla", "mutt", "pine", "apple mail", "outlook", "eudora", "evolution", "kmail",
        "gnus", "sylpheed", "claws", "roundcube", "squirrelmail", "ximian", "pegasus",
    ];
    let lower = mailer.to_ascii_lowercase();
    PROGRAMS.iter().any(|program| lower.contains(program))
}
