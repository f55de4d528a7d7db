//! `spoolguard spool archive`: which mail of a mailbox goes into an archive.

use time::OffsetDateTime;

use crate::cli::spool::{Changing, Mail, Packing, What};
use crate::config::value::Size;
use crate::error::{Error, Status};
use crate::output::OutputForm;
use crate::spool::batch::MailboxBatch;
use crate::spool::choose::{Inside, OnlySeen, Wanted, WantedKind};
use crate::spool::context::SpoolRun;
use crate::spool::select;

/// Runs the command: 0, or 1 when a mailbox could not be done or nothing was done for want of a yes.
///
/// # Errors
/// When the mailboxes cannot be found at all.
pub fn run(care: &SpoolRun, what: &What, mail: &Mail, packing: &Packing, changing: &Changing) -> Result<Status, Error> {
    let date = OffsetDateTime::now_utc();
    let wanted = Wanted {
        kinds: if mail.bounces {
            vec![WantedKind::Bounce]
        } else {
            Vec::new()
        },
        before: mail.older_than.map(|age| select::cutoff_seconds(date, age)),
        seen: mail.seen.then_some(OnlySeen),
        down_to: mail.down_to.map(Size::bytes),
        inside: Inside::Ignored,
    };
    MailboxBatch {
        care,
        what,
        packing,
        wanted: &wanted,
        consent: care.consent(&changing.agreement),
        form: OutputForm::from_flag(changing.json),
    }
    .run(date)
}
