//! Prints `spool list` for programs: one JSON object a line, or metrics in Prometheus' text format. Keys, metrics and
//! labels are a promise.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use crate::moment::Moment;
use crate::output::json::write_line;
use crate::output::prometheus::{escape_label, write_head as head};
use crate::spool::list::row::{Findings, NAMES, Numbers, Row, Weight};
use crate::spool::rules::statistics::{Count, by_bytes, by_messages};
use crate::spool::rules::summary::MailKind;
use crate::sys::account::AccountKind;

/// One name of the spool directory. What is not known, or is no mailbox, has null.
#[derive(Serialize)]
struct ListLine<'a> {
    path: Cow<'a, str>,
    user: Cow<'a, str>,
    alias: bool,
    uid: u32,
    size: u64,
    quota: Option<u64>,
    messages_quota: Option<u64>,
    share: Option<u64>,
    messages: Option<u64>,
    unread: Option<u64>,
    oldest: Option<String>,
    newest: Option<String>,
    growth: Option<i64>,
    since: Option<String>,
    bounces: Option<u64>,
    loops: Option<u64>,
    complaints: Option<u64>,
    receipts: Option<u64>,
    auto_replies: Option<u64>,
    notices: Option<u64>,
    cron: Option<u64>,
    lists: Option<u64>,
    ordinary: Option<u64>,
    duplicates: Option<u64>,
    senders: Vec<NameColumn<'a>>,
    failed: Vec<NameColumn<'a>>,
    cause: Option<String>,
    command: Option<&'a str>,
    problems: Vec<ListTrouble<'a>>,
}

#[derive(Serialize)]
struct NameColumn<'a> {
    address: &'a str,
    messages: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct ListTrouble<'a> {
    wrong: bool,
    what: &'a str,
    advice: Option<&'a str>,
}

/// Writes one object a line: the mailboxes, then everything else.
pub fn write_json(findings: &Findings, output: &mut impl Write) -> io::Result<()> {
    for row in findings.mailboxes.iter().chain(&findings.others) {
        write_line(output, &line(row))?;
    }
    Ok(())
}

fn line(row: &Row) -> ListLine<'_> {
    let numbers = row.numbers.as_ref();
    let survey = numbers.map(|numbers| &numbers.survey);
    let judged = survey.filter(|survey| survey.is_judged());
    let of = |kind| judged.map(|survey| survey.of(kind).messages);
    let growth = numbers.and_then(|numbers| numbers.growth);
    let instant = |seconds| Moment::from_seconds(seconds).to_rfc3339();
    ListLine {
        path: row.path.to_string_lossy(),
        user: row.name().to_string_lossy(),
        alias: row.kind == AccountKind::Alias,
        uid: row.uid,
        size: row.bytes,
        quota: numbers.and_then(|numbers| numbers.limit.bytes),
        messages_quota: numbers.and_then(|numbers| numbers.limit.messages),
        share: numbers.and_then(Numbers::quota_share),
        messages: survey.map(|survey| survey.all.messages),
        unread: survey.map(|survey| survey.all.messages - survey.seen.messages),
        oldest: survey.and_then(|survey| instant(survey.oldest?)),
        newest: survey.and_then(|survey| instant(survey.newest?)),
        growth: growth.map(|(grown, _)| grown),
        since: growth.and_then(|(_, since)| instant(since)),
        bounces: of(MailKind::Bounce),
        loops: of(MailKind::Loop),
        complaints: of(MailKind::Complaint),
        receipts: of(MailKind::Receipt),
        auto_replies: of(MailKind::AutoReply),
        notices: of(MailKind::Notice),
        cron: of(MailKind::Cron),
        lists: of(MailKind::List),
        ordinary: of(MailKind::Ordinary),
        duplicates: judged.map(|survey| survey.duplicates.messages),
        senders: survey
            .into_iter()
            .flat_map(|survey| survey.senders.first(NAMES, by_bytes))
            .map(NameColumn::of)
            .collect(),
        failed: survey
            .and_then(|survey| survey.labels.get(&MailKind::Bounce))
            .into_iter()
            .flat_map(|labels| labels.first(NAMES, by_messages))
            .map(NameColumn::of)
            .collect(),
        cause: numbers.map(|numbers| numbers.cause.to_string()),
        command: numbers.and_then(|numbers| numbers.command.as_deref()),
        problems: row
            .problems
            .iter()
            .map(|problem| ListTrouble {
                wrong: problem.weight == Weight::Wrong,
                what: &problem.what,
                advice: problem.advice.as_deref(),
            })
            .collect(),
    }
}

impl<'a> NameColumn<'a> {
    fn of((address, count): (&'a str, Count)) -> Self {
        Self {
            address,
            messages: count.messages,
            bytes: count.bytes,
        }
    }
}

/// One metric: what it is called, what it means, and its value for a mailbox that has one.
type Metric = (&'static str, &'static str, fn(&Row, &Numbers) -> Option<u64>);

const METRICS: [Metric; 8] = [
    ("mailbox_bytes", "Size of the mailbox.", |row, _| Some(row.bytes)),
    (
        "mailbox_quota_bytes",
        "How large the mailbox may grow.",
        |_, numbers| numbers.limit.bytes,
    ),
    ("mailbox_messages", "Messages in the mailbox.", |_, numbers| {
        Some(numbers.survey.all.messages)
    }),
    (
        "mailbox_quota_messages",
        "How many messages the mailbox may hold.",
        |_, numbers| numbers.limit.messages,
    ),
    (
        "mailbox_unread_messages",
        "Messages that the user has not seen.",
        |_, numbers| Some(numbers.survey.all.messages - numbers.survey.seen.messages),
    ),
    (
        "mailbox_duplicate_messages",
        "Messages that the mailbox holds already, further up.",
        |_, numbers| {
            let survey = Some(&numbers.survey).filter(|survey| survey.is_judged());
            survey.map(|survey| survey.duplicates.messages)
        },
    ),
    (
        "mailbox_oldest_message_timestamp_seconds",
        "When the oldest message was delivered.",
        |_, numbers| numbers.survey.oldest.and_then(|date| u64::try_from(date).ok()),
    ),
    (
        "mailbox_newest_message_timestamp_seconds",
        "When the newest message was delivered.",
        |_, numbers| numbers.survey.newest.and_then(|date| u64::try_from(date).ok()),
    ),
];

const KINDS: [(MailKind, &str); 9] = [
    (MailKind::Loop, "loop"),
    (MailKind::Bounce, "bounce"),
    (MailKind::Complaint, "complaint"),
    (MailKind::Receipt, "receipt"),
    (MailKind::AutoReply, "auto-reply"),
    (MailKind::Notice, "notice"),
    (MailKind::Cron, "cron"),
    (MailKind::List, "list"),
    (MailKind::Ordinary, "ordinary"),
];

/// Writes metrics for the textfile collector of Prometheus' node exporter.
pub fn write_prometheus(findings: &Findings, output: &mut impl Write) -> io::Result<()> {
    for (name, help, value) in METRICS {
        head(output, name, help)?;
        for (row, numbers) in looked_at(findings) {
            if let Some(value) = value(row, numbers) {
                writeln!(output, "spoolguard_{name}{{{}}} {value}", labels(row))?;
            }
        }
    }
    write_kinds(findings, output)?;
    let total = &findings.total;
    for (name, help, value) in [
        (
            "spool_mailboxes",
            "Mailboxes that were looked at.",
            total.mailboxes as u64,
        ),
        ("spool_bytes", "Size of all mailboxes that were looked at.", total.bytes),
        (
            "spool_messages",
            "Messages in all mailboxes that were looked at.",
            total.messages,
        ),
        (
            "spool_problems",
            "Things that are wrong in the spool directory.",
            wrong(findings),
        ),
        (
            "spool_look_timestamp_seconds",
            "When the mailboxes were looked at.",
            u64::try_from(findings.now).unwrap_or(0),
        ),
    ] {
        head(output, name, help)?;
        writeln!(output, "spoolguard_{name} {value}")?;
    }
    Ok(())
}

fn looked_at(findings: &Findings) -> impl Iterator<Item = (&Row, &Numbers)> {
    let rows = findings.mailboxes.iter();
    rows.filter_map(|row| Some((row, row.numbers.as_ref()?)))
}

fn write_kinds(findings: &Findings, output: &mut impl Write) -> io::Result<()> {
    const NAME: &str = "mailbox_kind_messages";
    head(output, NAME, "Messages in the mailbox, by what they are.")?;
    for (row, numbers) in looked_at(findings).filter(|(_, numbers)| numbers.survey.is_judged()) {
        for (kind, word) in KINDS {
            let count = numbers.survey.of(kind).messages;
            writeln!(output, "spoolguard_{NAME}{{{},kind=\"{word}\"}} {count}", labels(row))?;
        }
    }
    Ok(())
}

fn wrong(findings: &Findings) -> u64 {
    let rows = findings.mailboxes.iter().chain(&findings.others);
    let problems = rows.flat_map(|row| &row.problems);
    problems.filter(|problem| problem.weight == Weight::Wrong).count() as u64
}

fn labels(row: &Row) -> String {
    format!(
        "user=\"{}\",path=\"{}\"",
        escape_label(&row.display_name()),
        escape_label(row.path.as_os_str())
    )
}
