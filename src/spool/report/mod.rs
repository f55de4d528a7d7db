//! What `archive` and `sweep` print: lines for people, or one JSON object a line. Keys are a promise. What is said
//! beside the result goes to standard error where the result is for programs.

mod json;
mod text;

use crate::error::Error;
use crate::escape::make_visible;
use crate::output::sizes::size_text;
use crate::output::{OutputForm, print_error, print_line, print_stderr};
use crate::spool::choose::{Doubtful, Inside};
use crate::spool::context::{Detail, RunMode};
use crate::spool::report::json::{ReportLine, mailbox_line, print_json};
use crate::spool::select::SelectedMailbox;
use crate::spool::taken::{MoveEnd, MoveOutcome};

#[derive(Clone, Copy, Debug)]
pub struct BatchReport {
    form: OutputForm,
    detail: Detail,
    inside: Inside,
}

#[derive(Clone, Debug, Default)]
pub struct BatchSum {
    done: u64,
    planned: u64,
    nothing: u64,
    /// Mailboxes that could not be done.
    pub failed: u64,
    pub undone: Option<String>,
}

impl BatchSum {
    pub fn add(&mut self, taken: &MoveOutcome) {
        match taken.end {
            MoveEnd::Nothing => self.nothing += 1,
            MoveEnd::Would(_) => self.planned += 1,
            MoveEnd::Done { .. } => self.done += 1,
        }
    }

    /// The mailboxes of the plan are counted once more.
    pub fn plan_is_carried_out(&mut self) {
        self.planned = 0;
    }
}

impl BatchReport {
    /// In this form; `inside` is what happens to the messages inside bounces.
    pub fn new(form: OutputForm, detail: Detail, inside: Inside) -> Self {
        Self { form, detail, inside }
    }

    pub fn tell_note(&self, text: &str) {
        match self.form {
            OutputForm::Text => print_line(&make_visible(text)),
            OutputForm::Json => print_stderr(&format!("spoolguard: {}\n", make_visible(text))),
        }
    }

    pub fn tell_error(&self, error: &Error) {
        print_error(error);
        if self.form == OutputForm::Json {
            print_json(&ReportLine::Error {
                error: error.to_string(),
            });
        }
    }

    /// An archive that is beyond a limit: it is removed, or would be.
    pub fn removed_archive(&self, archive: &str, bytes: u64, limit: &str, mode: RunMode) {
        let done = mode == RunMode::Execute;
        match self.form {
            OutputForm::Text => {
                let verb = if done { "removing" } else { "would remove" };
                print_line(&format!(
                    "{verb} {} ({}): beyond {limit}",
                    make_visible(archive),
                    size_text(bytes)
                ));
            }
            OutputForm::Json => print_json(&ReportLine::RemovedArchive {
                archive,
                bytes,
                limit,
                done,
            }),
        }
    }

    /// One mailbox; one line in the log where something was done.
    pub fn tell_mailbox(&self, spool: &SelectedMailbox, taken: &MoveOutcome) {
        match self.form {
            OutputForm::Text => text::print_mailbox(spool, taken, self.detail, self.inside),
            OutputForm::Json => print_json(&mailbox_line(spool, taken)),
        }
        log(spool, taken);
    }

    /// All of them, where there are several, and whether nothing was done.
    pub fn tell_sum(&self, sum: &BatchSum) {
        let with_some = sum.done + sum.planned;
        let mailboxes = with_some + sum.nothing + sum.failed;
        match self.form {
            OutputForm::Json => print_json(&ReportLine::Summary {
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
}

fn log(spool: &SelectedMailbox, taken: &MoveOutcome) {
    let mailbox = spool.path.display().to_string();
    let user = &spool.account.name;
    let choice = &taken.choice;
    if let MoveEnd::Done {
        archive, stay_bytes, ..
    } = &taken.end
    {
        tracing::info!(
            action = "archive",
            user,
            mailbox,
            messages = choice.messages,
            bytes = choice.taken.bytes(),
            archive = archive.path.display().to_string(),
            left_bytes = stay_bytes
        );
    }
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
