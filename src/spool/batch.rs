//! `spoolguard spool archive` and `spool sweep`, which differ in the mail that they take. First comes the plan for all
//! mailboxes, then a question, the work on one after another, the sum. One that fails does not stop the others.

use std::time::Duration;

use time::OffsetDateTime;

use crate::cli::spool::{Changing, Dirt, Mail, Packing, What};
use crate::config::value::Size;
use crate::error::{Error, Status};
use crate::output::OutputForm;
use crate::output::sizes::{count_text, message_count_text};
use crate::spool::choose::{Inside, OnlySeen, Wanted, WantedKind};
use crate::spool::consent::{Consent, ConsentAnswer};
use crate::spool::context::{RunMode, SpoolRun};
use crate::spool::move_out::MoveOut;
use crate::spool::move_out_maildir;
use crate::spool::packing::PackingJob;
use crate::spool::report::{BatchReport, BatchSum};
use crate::spool::select::{self, FoundMailbox, MailboxForm, SelectedMailbox};
use crate::spool::taken::MoveEnd;
use crate::sys::deadline::{self, ReadLimit};

/// For how long one of all mailboxes is read. Its user decides how large it is, and the others wait. By itself it has
/// all time.
const MAILBOX_TIME: Duration = Duration::from_secs(60 * 60);

/// What is taken out of which mailboxes. The flags are those of both commands.
#[derive(Clone, Copy, Debug)]
pub struct MailboxBatch<'a> {
    pub care: &'a SpoolRun,
    pub what: &'a What,
    pub packing: &'a Packing,
    pub changing: &'a Changing,
}

struct Planned {
    spool: SelectedMailbox,
    messages: u64,
}

impl MailboxBatch<'_> {
    /// Archives this mail: 0, or 1 when a mailbox could not be done or nothing was done for want of a yes.
    pub fn archive_mail(&self, mail: &Mail) -> Result<Status, Error> {
        let date = OffsetDateTime::now_utc();
        let wanted = Wanted {
            kinds: mail.bounces.then_some(WantedKind::Bounce).into_iter().collect(),
            before: mail.older_than.map(|age| select::cutoff_seconds(date, age)),
            seen: mail.seen.then_some(OnlySeen),
            down_to: mail.down_to.map(Size::bytes),
            inside: Inside::Ignored,
        };
        self.run(&wanted, date)
    }

    /// The same for what a mailbox fills with.
    pub fn sweep_dirt(&self, dirt: &Dirt) -> Result<Status, Error> {
        let date = OffsetDateTime::now_utc();
        let named = [
            (dirt.bounces, WantedKind::Bounce),
            (dirt.loops, WantedKind::Loop),
            (dirt.duplicates, WantedKind::Duplicate),
        ];
        let mut kinds: Vec<_> = named.iter().filter(|(is, _)| *is).map(|(_, kind)| *kind).collect();
        if kinds.is_empty() {
            kinds.push(WantedKind::Bounce);
        }
        let wanted = Wanted {
            kinds,
            before: dirt.older_than.map(|age| select::cutoff_seconds(date, age)),
            seen: None,
            down_to: None,
            inside: if dirt.rescue { Inside::PutBack } else { Inside::Counted },
        };
        self.run(&wanted, date)
    }

    fn run(&self, wanted: &Wanted, date: OffsetDateTime) -> Result<Status, Error> {
        let consent = self.care.consent(self.changing);
        let form = OutputForm::from_flag(self.changing.json);
        let report = BatchReport::new(form, self.care.detail, wanted.inside);
        let mut sum = BatchSum::default();
        let mut plan = Vec::new();
        let first = match consent {
            Consent::Given => RunMode::Execute,
            Consent::Ask | Consent::DryRun => RunMode::Rehearse,
        };
        for found in select::find_mailboxes(self.what, &self.care.config)? {
            if let Some(planned) = self.one(found, first, wanted, date, &report, &mut sum)? {
                plan.push(planned);
            }
        }
        let mut ended = Status::Done;
        if !plan.is_empty() {
            let all = plan.iter().map(|planned| planned.messages).sum();
            let from = count_text(plan.len() as u64, "mailbox", "mailboxes");
            let question = format!("Take {} out of {from}?", message_count_text(all));
            match consent.decide(&question, "nothing was taken out", form) {
                ConsentAnswer::Proceed => {
                    sum.plan_is_carried_out();
                    for Planned { spool, .. } in plan {
                        self.one(Ok(spool), RunMode::Execute, wanted, date, &report, &mut sum)?;
                    }
                }
                ConsentAnswer::Leave { status, last_line } => {
                    sum.undone = Some(last_line);
                    ended = status;
                }
            }
        }
        report.tell_sum(&sum);
        Ok(if sum.failed > 0 { Status::Wrong } else { ended })
    }

    /// One mailbox, and one line about it. Returns what would be taken.
    fn one(
        &self,
        found: FoundMailbox,
        mode: RunMode,
        wanted: &Wanted,
        date: OffsetDateTime,
        report: &BatchReport,
        sum: &mut BatchSum,
    ) -> Result<Option<Planned>, Error> {
        let care = self.care;
        care.deadline.check("go on", "with the other mailboxes")?;
        if self.what.all {
            care.reading.set(ReadLimit::ending_in(MAILBOX_TIME));
        }
        let taken = found.and_then(|spool| {
            let job = PackingJob::new(care, self.packing, &spool, wanted, date)?;
            let taken = match spool.form {
                MailboxForm::Mbox => {
                    let lock_at_most = self.packing.lock_at_most.duration();
                    MoveOut { job, lock_at_most }.run(mode, report)?
                }
                MailboxForm::Maildir => move_out_maildir::take_out(&job, mode, report)?,
            };
            Ok((spool, taken))
        });
        match taken {
            Ok((spool, taken)) => {
                report.tell_mailbox(&spool, &taken);
                sum.add(&taken);
                let messages = taken.choice.messages;
                Ok(matches!(taken.end, MoveEnd::Would(_)).then_some(Planned { spool, messages }))
            }
            Err(e) => {
                let e = match deadline::is_stopped() {
                    true => e.or_hint("nothing was taken out of this mailbox"),
                    false => e,
                };
                sum.failed += 1;
                tracing::error!(note = e.to_string());
                report.tell_error(&e);
                Ok(None)
            }
        }
    }
}
