//! `spoolguard spool sweep`: takes what a mailbox fills with out of it, into an archive. Says first what that is; does it when told to.

use time::OffsetDateTime;

use crate::cli::spool::{Dirt, Packing, What};
use crate::command::spool::archive::{each, tell};
use crate::command::spool::choose::{Choice, Kind, Wanted};
use crate::command::spool::take::{self, Mode, Take, Taken};
use crate::command::spool::{Care, say};
use crate::exit::{Error, Status, visible};

/// So many senders and recipients are named.
const NAMED: usize = 5;

/// Runs the command: 0, or 1 when a mailbox could not be done.
///
/// # Errors
/// When the mailboxes cannot be found at all.
pub fn run(care: &Care, what: &What, dirt: &Dirt, packing: &Packing) -> Result<Status, Error> {
    let date = OffsetDateTime::now_utc();
    let wanted = Wanted {
        kinds: kinds(dirt),
        before: dirt.older_than.map(|age| take::ago(date, age)),
        seen: None,
        down_to: None,
    };
    let mode = if dirt.execute && !care.dry_run {
        Mode::Execute
    } else {
        Mode::Rehearse
    };
    let mut would = false;
    let status = each(care, what, |spool| {
        let taken = Take::new(care, packing, spool, &wanted, date)?.run(mode)?;
        tell(spool, &taken);
        match &taken {
            Taken::Nothing(_) => {}
            Taken::Would(choice) => {
                would = true;
                explain(choice);
            }
            Taken::Done { choice, .. } => explain(choice),
        }
        Ok(matches!(taken, Taken::Nothing(_)))
    })?;
    if would && !care.dry_run {
        say("nothing was taken; --execute does it");
    }
    Ok(status)
}

fn kinds(dirt: &Dirt) -> Vec<Kind> {
    let named = [
        (dirt.bounces, Kind::Bounce),
        (dirt.loops, Kind::Loop),
        (dirt.duplicates, Kind::Duplicate),
    ];
    let kinds: Vec<_> = named.iter().filter(|(is, _)| *is).map(|(_, kind)| *kind).collect();
    if kinds.is_empty() { vec![Kind::Bounce] } else { kinds }
}

/// Who sent it, and about whom it is: for an administrator to see whether this is what it should be.
fn explain(choice: &Choice) {
    for (what, names) in [("from", &choice.senders), ("about", &choice.recipients)] {
        let mut names: Vec<_> = names.iter().collect();
        names.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
        let shown: Vec<_> = names
            .iter()
            .take(NAMED)
            .map(|(name, count)| format!("{} ({count})", visible(name)))
            .collect();
        if !shown.is_empty() {
            let more = if names.len() > NAMED { ", ..." } else { "" };
            say(&format!("    {what} {}{more}", shown.join(", ")));
        }
    }
}
