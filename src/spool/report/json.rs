//! What `archive` and `sweep` print for programs: one object a line. Keys are a promise.

use std::io;

use serde::Serialize;

use crate::output::json::write_line;
use crate::spool::choose::{Doubtful, by_messages};
use crate::spool::select::SelectedMailbox;
use crate::spool::taken::{MoveEnd, MoveOutcome};

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum ReportLine<'a> {
    Mailbox {
        user: &'a str,
        mailbox: String,
        done: bool,
        messages: u64,
        bytes: u64,
        remaining: u64,
        remaining_bytes: u64,
        archive: Option<String>,
        archive_bytes: Option<u64>,
        locked_ms: Option<u64>,
        senders: Vec<NamedCount<'a>>,
        recipients: Vec<NamedCount<'a>>,
        recoverable: u64,
        recovered: u64,
        present: u64,
        headers_only: u64,
        own_messages: u64,
        not_sent_on: u64,
        doubtful: Vec<ReportedDoubt>,
    },
    RemovedArchive {
        archive: &'a str,
        bytes: u64,
        limit: &'a str,
        done: bool,
    },
    Error {
        error: String,
    },
    Summary {
        mailboxes: u64,
        done: u64,
        planned: u64,
        nothing: u64,
        failed: u64,
        note: Option<&'a str>,
    },
}

#[derive(Serialize)]
pub(super) struct NamedCount<'a> {
    address: &'a str,
    messages: u64,
}

#[derive(Serialize)]
pub(super) struct ReportedDoubt {
    offset: u64,
    other_offset: u64,
    line: String,
}

pub(super) fn print_json(line: &ReportLine<'_>) {
    let _ = write_line(&mut io::stdout(), line);
}

/// What became of one mailbox.
pub(super) fn mailbox_line<'a>(spool: &'a SelectedMailbox, taken: &'a MoveOutcome) -> ReportLine<'a> {
    let MoveOutcome { choice, back, end } = taken;
    let remaining_bytes = spool.bytes.saturating_sub(choice.taken.bytes());
    let (archive, locked, remaining_bytes) = match end {
        MoveEnd::Nothing | MoveEnd::Would(_) => (None, None, remaining_bytes),
        MoveEnd::Done {
            archive,
            stay_bytes,
            held,
        } => (Some(archive), *held, *stay_bytes),
    };
    ReportLine::Mailbox {
        user: &spool.account.name,
        mailbox: spool.path.display().to_string(),
        done: archive.is_some(),
        messages: choice.messages,
        bytes: choice.taken.bytes(),
        remaining: choice.stay,
        remaining_bytes,
        archive: archive.map(|archive| archive.path.display().to_string()),
        archive_bytes: archive.map(|archive| archive.bytes),
        locked_ms: locked.map(|held| u64::try_from(held.as_millis()).unwrap_or(u64::MAX)),
        senders: by_messages(&choice.senders).into_iter().map(NamedCount::of).collect(),
        recipients: by_messages(&choice.recipients)
            .into_iter()
            .map(NamedCount::of)
            .collect(),
        recoverable: choice.originals.count() as u64,
        recovered: back.restored,
        present: choice.originals.present,
        headers_only: choice.originals.header_only,
        own_messages: choice.originals.written,
        not_sent_on: choice.not_sent_on,
        doubtful: choice.doubtful.iter().map(ReportedDoubt::of).collect(),
    }
}

impl<'a> NamedCount<'a> {
    fn of((address, messages): (&'a str, u64)) -> Self {
        Self { address, messages }
    }
}

impl ReportedDoubt {
    fn of(doubtful: &Doubtful) -> Self {
        Self {
            offset: doubtful.offset,
            other_offset: doubtful.doubt.offset,
            line: doubtful.doubt.line.clone(),
        }
    }
}
