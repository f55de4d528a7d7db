//! `spoolguard spool sweep`: which mail of a mailbox is what it fills with, and goes into an archive.

use time::OffsetDateTime;

use crate::cli::spool::{Changing, Dirt, Packing, What};
use crate::error::{Error, Status};
use crate::output::OutputForm;
use crate::spool::batch::MailboxBatch;
use crate::spool::choose::{Inside, Wanted, WantedKind};
use crate::spool::context::SpoolRun;
use crate::spool::select;

/// Runs the command: 0, or 1 when a mailbox could not be done or nothing was done for want of a yes.
///
/// # Errors
/// When the mailboxes cannot be found at all.
pub fn run(care: &SpoolRun, what: &What, dirt: &Dirt, packing: &Packing, changing: &Changing) -> Result<Status, Error> {
    let date = OffsetDateTime::now_utc();
    let wanted = Wanted {
        kinds: kinds(dirt),
        before: dirt.older_than.map(|age| select::cutoff_seconds(date, age)),
        seen: None,
        down_to: None,
        inside: if dirt.rescue { Inside::PutBack } else { Inside::Counted },
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

fn kinds(dirt: &Dirt) -> Vec<WantedKind> {
    let named = [
        (dirt.bounces, WantedKind::Bounce),
        (dirt.loops, WantedKind::Loop),
        (dirt.duplicates, WantedKind::Duplicate),
    ];
    let kinds: Vec<_> = named.iter().filter(|(is, _)| *is).map(|(_, kind)| *kind).collect();
    if kinds.is_empty() {
        vec![WantedKind::Bounce]
    } else {
        kinds
    }
}
