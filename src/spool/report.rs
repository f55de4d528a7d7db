//! What `archive` and `sweep` print: lines for people, or one JSON object a line. Keys are a promise. What is said beside the result goes
//! to standard error where the result is for programs.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use crate::archive::publish::PublishedArchive;
use crate::error::Error;
use crate::escape::visible;
use crate::output::json::write_line;
use crate::output::shell::{program, quote_path};
use crate::output::sizes::{counted, messages, remain, size_text};
use crate::output::{OutputForm, print_error, print_line, print_stderr};
use crate::spool::choose::{ChosenMessages, Doubtful, Inside};
use crate::spool::context::Detail;
use crate::spool::merge::MergeTally;
use crate::spool::returned::Originals;
use crate::spool::select::SelectedMailbox;
use crate::spool::taken::{MoveMode, MoveOutcome};

/// So many senders and recipients are named.
const NAMED: usize = 5;

/// How it is told.
#[derive(Clone, Copy, Debug)]
pub struct BatchReport {
    form: OutputForm,
    detail: Detail,
    inside: Inside,
}

/// What became of all mailboxes.
#[derive(Clone, Debug, Default)]
pub struct BatchSum {
    done: u64,
    planned: u64,
    nothing: u64,
    /// Mailboxes that could not be done.
    pub failed: u64,
    /// Why nothing was done.
    pub undone: Option<String>,
}

impl BatchSum {
    /// Counts a mailbox.
    pub fn add(&mut self, taken: &MoveOutcome) {
        match taken {
            MoveOutcome::Nothing(_) => self.nothing += 1,
            MoveOutcome::Would(..) => self.planned += 1,
            MoveOutcome::Done { .. } => self.done += 1,
        }
    }

    /// The mailboxes of the plan are counted once more.
    pub fn plan_is_carried_out(&mut self) {
        self.planned = 0;
    }
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum ReportLine<'a> {
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
struct NamedCount<'a> {
    address: &'a str,
    messages: u64,
}

#[derive(Serialize)]
struct ReportedDoubt {
    offset: u64,
    other_offset: u64,
    line: String,
}

fn write(line: &ReportLine<'_>) {
    let _ = write_line(&mut io::stdout(), line);
}

impl BatchReport {
    /// In this form; `inside` is what happens to the messages inside bounces.
    pub fn new(form: OutputForm, detail: Detail, inside: Inside) -> Self {
        Self { form, detail, inside }
    }

    /// What is worth knowing while it is done.
    pub fn note(&self, text: &str) {
        match self.form {
            OutputForm::Text => print_line(&visible(text)),
            OutputForm::Json => print_stderr(&format!("spoolguard: {}\n", visible(text))),
        }
    }

    /// What could not be done.
    pub fn error(&self, error: &Error) {
        print_error(error);
        if self.form == OutputForm::Json {
            write(&ReportLine::Error {
                error: error.to_string(),
            });
        }
    }

    /// An archive that is beyond a limit: it is removed, or would be.
    pub fn removed_archive(&self, archive: &str, bytes: u64, limit: &str, mode: MoveMode) {
        let done = mode == MoveMode::Execute;
        match self.form {
            OutputForm::Text => {
                let verb = if done { "removing" } else { "would remove" };
                print_line(&format!(
                    "{verb} {} ({}): beyond {limit}",
                    visible(archive),
                    size_text(bytes)
                ));
            }
            OutputForm::Json => write(&ReportLine::RemovedArchive {
                archive,
                bytes,
                limit,
                done,
            }),
        }
    }

    /// One mailbox; one line in the log where something was done.
    pub fn mailbox(&self, spool: &SelectedMailbox, taken: &MoveOutcome) {
        match self.form {
            OutputForm::Text => self.text(spool, taken),
            OutputForm::Json => write(&line(spool, taken)),
        }
        log(spool, taken);
    }

    /// All of them, where there are several, and whether nothing was done.
    pub fn sum(&self, sum: &BatchSum) {
        let with_some = sum.done + sum.planned;
        let mailboxes = with_some + sum.nothing + sum.failed;
        match self.form {
            OutputForm::Json => write(&ReportLine::Summary {
                mailboxes,
                done: sum.done,
                planned: sum.planned,
                nothing: sum.nothing,
                failed: sum.failed,
                note: sum.undone.as_deref(),
            }),
            OutputForm::Text => {
                if mailboxes > 1 {
                    print_line(&format!(
                        "{mailboxes} mailboxes: {with_some} with something to take, {} with nothing, {} failed",
                        sum.nothing, sum.failed
                    ));
                }
                if let Some(undone) = &sum.undone {
                    print_line(undone);
                }
            }
        }
    }

    fn text(&self, spool: &SelectedMailbox, taken: &MoveOutcome) {
        let user = visible(&spool.account.name);
        match taken {
            MoveOutcome::Nothing(choice) => print_line(&format!(
                "{user}: nothing to take; {}, {}",
                messages(choice.stay),
                size_text(spool.bytes)
            )),
            MoveOutcome::Would(choice, back) => {
                print_line(&format!(
                    "{user}: would take {} ({}); {} ({})",
                    messages(choice.messages),
                    size_text(choice.taken.bytes()),
                    remain(&messages(choice.stay), choice.stay),
                    size_text(spool.bytes.saturating_sub(choice.taken.bytes())),
                ));
                let told = match self.inside {
                    Inside::PutBack => OriginalsFate::Would(back.restored),
                    Inside::Counted | Inside::Ignored => OriginalsFate::Could,
                };
                self.contents(choice, told);
            }
            MoveOutcome::Done {
                choice,
                archive,
                stay_bytes,
                held,
                back,
            } => {
                print_line(&format!(
                    "{user}: {} ({}) taken into {} ({}); {}{}",
                    messages(choice.messages),
                    size_text(choice.taken.bytes()),
                    visible(&archive.path.display().to_string()),
                    size_text(archive.bytes),
                    remain(&size_text(*stay_bytes), *stay_bytes),
                    held.map_or_else(String::new, |held| format!(
                        "; the mailbox was locked for {} ms",
                        held.as_millis()
                    ))
                ));
                let told = match self.inside {
                    Inside::PutBack => OriginalsFate::Did(back.restored),
                    Inside::Counted | Inside::Ignored => OriginalsFate::LeftIn(archive),
                };
                self.contents(choice, told);
            }
        }
        match taken {
            MoveOutcome::Nothing(choice) | MoveOutcome::Would(choice, _) | MoveOutcome::Done { choice, .. } => {
                doubts(choice)
            }
        }
    }

    /// What goes, where that is asked for: `archive` takes mail whatever it is.
    fn contents(&self, choice: &ChosenMessages, told: OriginalsFate<'_>) {
        if self.inside != Inside::Ignored {
            explain(choice);
            originals(&choice.originals, told, self.detail);
        }
    }
}

fn log(spool: &SelectedMailbox, taken: &MoveOutcome) {
    let mailbox = spool.path.display().to_string();
    let user = &spool.account.name;
    match taken {
        MoveOutcome::Done {
            choice,
            archive,
            stay_bytes,
            ..
        } => tracing::info!(
            action = "archive",
            user,
            mailbox,
            messages = choice.messages,
            bytes = choice.taken.bytes(),
            archive = archive.path.display().to_string(),
            left_bytes = stay_bytes
        ),
        MoveOutcome::Nothing(_) | MoveOutcome::Would(..) => {}
    }
    let choice = match taken {
        MoveOutcome::Nothing(choice) | MoveOutcome::Would(choice, _) | MoveOutcome::Done { choice, .. } => choice,
    };
    if let Some(Doubtful { offset, doubt }) = choice.doubtful.first() {
        tracing::warn!(
            user,
            mailbox,
            messages = choice.doubtful.len(),
            note = format!(
                "remain: in the one at byte {offset} another may begin at byte {}",
                doubt.offset
            )
        );
    }
}

fn line<'a>(spool: &'a SelectedMailbox, taken: &'a MoveOutcome) -> ReportLine<'a> {
    let (choice, back, archive, locked) = match taken {
        MoveOutcome::Nothing(choice) => (choice, MergeTally::default(), None, None),
        MoveOutcome::Would(choice, back) => (choice, *back, None, None),
        MoveOutcome::Done {
            choice,
            archive,
            held,
            back,
            ..
        } => (choice, *back, Some(archive), *held),
    };
    let remaining_bytes = match taken {
        MoveOutcome::Nothing(_) => spool.bytes,
        MoveOutcome::Would(..) => spool.bytes.saturating_sub(choice.taken.bytes()),
        MoveOutcome::Done { stay_bytes, .. } => *stay_bytes,
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

/// The most frequent first.
fn by_messages(names: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    let mut names: Vec<_> = names.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    names.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    names
}

/// Which messages remain although they are meant, and why: up to some of them.
fn doubts(choice: &ChosenMessages) {
    const NAMED: usize = 10;
    for Doubtful { offset, doubt } in choice.doubtful.iter().take(NAMED) {
        print_line(&format!(
            "    the message at byte {offset} remains: another one may begin in it, at byte {} in the line \"{}\"",
            doubt.offset,
            visible(&doubt.line)
        ));
    }
    let count = choice.doubtful.len();
    if count > NAMED {
        print_line(&format!("    and {} more remain for such a line", count - NAMED));
    }
}

/// Who sent it, and about whom it is: for an administrator to see whether this is what it should be.
fn explain(choice: &ChosenMessages) {
    for (what, names) in [("from", &choice.senders), ("about", &choice.recipients)] {
        let names = by_messages(names);
        let shown: Vec<_> = names
            .iter()
            .take(NAMED)
            .map(|(name, count)| format!("{} ({count})", visible(name)))
            .collect();
        if !shown.is_empty() {
            let more = if names.len() > NAMED { ", ..." } else { "" };
            print_line(&format!("    {what} {}{more}", shown.join(", ")));
        }
    }
}

/// What happens to the messages inside the bounces.
#[derive(Clone, Copy)]
enum OriginalsFate<'a> {
    /// They could be put back.
    Could,
    /// So many would be.
    Would(u64),
    /// So many were.
    Did(u64),
    /// They stay inside the bounces, in this archive.
    LeftIn(&'a PublishedArchive),
}

/// `3 messages that never arrived are`.
fn that_never_arrived(count: u64) -> String {
    counted(
        count,
        "message that never arrived is",
        "messages that never arrived are",
    )
}

/// What the bounces carry inside: mail that never arrived, for somebody to miss.
fn originals(originals: &Originals, told: OriginalsFate<'_>, detail: Detail) {
    let count = originals.count() as u64;
    if count > 0 {
        print_line(&format!("    {}", told.text(count)));
        if detail == Detail::Much {
            originals
                .described
                .iter()
                .for_each(|line| print_line(&format!("      {line}")));
            let more = count.saturating_sub(originals.described.len() as u64);
            if more > 0 {
                print_line(&format!("      and {more} more"));
            }
        }
    }
    let bounces = |count, one: &str, several: &str| {
        if count > 0 {
            print_line(&format!("    {}", counted(count, one, several)));
        }
    };
    bounces(
        originals.present,
        "bounce carries a message that is in the mailbox, or in another bounce",
        "bounces carry messages that are in the mailbox, or in another bounce",
    );
    bounces(
        originals.header_only,
        "headers-only bounce: it has no text to recover",
        "headers-only bounces: they have no text to recover",
    );
    bounces(
        originals.written,
        "bounce is about a message that the user wrote; it goes into the archive",
        "bounces are about messages that the user wrote; they go into the archive",
    );
}

impl OriginalsFate<'_> {
    fn text(self, count: u64) -> String {
        match self {
            Self::Could => format!(
                "{} inside these bounces and not in the mailbox; --rescue recovers them",
                that_never_arrived(count)
            ),
            Self::Would(back) => {
                format!("would recover {} that never arrived from these bounces", messages(back))
            }
            Self::Did(back) => {
                let came = match count.saturating_sub(back) {
                    0 => String::new(),
                    came => format!("; {came} came in meanwhile"),
                };
                format!(
                    "recovered {} that never arrived from these bounces{came}",
                    messages(back)
                )
            }
            Self::LeftIn(archive) => format!(
                "{} inside these bounces and not in the mailbox; to get them: {} spool restore {}, then sweep again with --rescue",
                that_never_arrived(count),
                program(),
                quote_path(&archive.path)
            ),
        }
    }
}
