//! `spoolguard spool sweep`: takes what a mailbox fills with out of it, into an archive. Says first what that is; does it when told to.

use time::OffsetDateTime;

use crate::archive::publish::PublishedArchive;
use crate::cli::spool::{Dirt, Packing, What};
use crate::error::{Error, Status};
use crate::escape::visible;
use crate::output::print_line;
use crate::spool::archive::{each, tell};
use crate::spool::choose::{ChosenMessages, Inside, Wanted, WantedKind};
use crate::spool::context::{Detail, SpoolRun};
use crate::spool::move_out::{MoveMode, MoveOut, MoveOutcome};
use crate::spool::returned::Originals;
use crate::spool::select;

/// So many senders and recipients are named.
const NAMED: usize = 5;

/// Runs the command: 0, or 1 when a mailbox could not be done.
///
/// # Errors
/// When the mailboxes cannot be found at all.
pub fn run(care: &SpoolRun, what: &What, dirt: &Dirt, packing: &Packing) -> Result<Status, Error> {
    let date = OffsetDateTime::now_utc();
    let wanted = Wanted {
        kinds: kinds(dirt),
        before: dirt.older_than.map(|age| select::cutoff(date, age)),
        seen: None,
        down_to: None,
        inside: if dirt.rescue { Inside::PutBack } else { Inside::Counted },
    };
    let mode = if dirt.execute && !care.dry_run {
        MoveMode::Execute
    } else {
        MoveMode::Rehearse
    };
    let mut would = false;
    let status = each(care, what, |spool| {
        let taken = MoveOut::new(care, packing, spool, &wanted, date)?.run(mode)?;
        tell(spool, &taken);
        match &taken {
            MoveOutcome::Nothing(_) => {}
            MoveOutcome::Would(choice, back) => {
                would = true;
                explain(choice);
                let told = if dirt.rescue {
                    OriginalsFate::Would(back.restored)
                } else {
                    OriginalsFate::Could
                };
                tell_of_originals(&choice.originals, told, care.detail);
            }
            MoveOutcome::Done {
                choice, back, archive, ..
            } => {
                explain(choice);
                let told = if dirt.rescue {
                    OriginalsFate::Did(back.restored)
                } else {
                    OriginalsFate::LeftIn(archive)
                };
                tell_of_originals(&choice.originals, told, care.detail);
            }
        }
        Ok(matches!(taken, MoveOutcome::Nothing(_)))
    })?;
    if would && !care.dry_run {
        print_line("nothing was taken; --execute does it");
    }
    Ok(status)
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

/// Who sent it, and about whom it is: for an administrator to see whether this is what it should be.
fn explain(choice: &ChosenMessages) {
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
            print_line(&format!("    {what} {}{more}", shown.join(", ")));
        }
    }
}

/// What happens to the messages inside the reports.
enum OriginalsFate<'a> {
    /// They could be put back.
    Could,
    /// So many would be.
    Would(u64),
    /// So many were.
    Did(u64),
    /// They stay inside the reports, in this archive.
    LeftIn(&'a PublishedArchive),
}

/// What the reports carry inside: mail that never arrived, for somebody to miss.
fn tell_of_originals(originals: &Originals, told: OriginalsFate<'_>, detail: Detail) {
    let count = originals.count();
    if count > 0 {
        print_line(&match told {
            OriginalsFate::Could => format!(
                "    {count} messages that did not arrive are inside these reports and not in the mailbox; --rescue puts them back"
            ),
            OriginalsFate::Would(back) => {
                format!("    would put back {back} messages that did not arrive, out of these reports")
            }
            OriginalsFate::Did(back) => format!(
                "    put back {back} messages that did not arrive, out of these reports{}",
                match count as u64 - back.min(count as u64) {
                    0 => String::new(),
                    came => format!("; {came} came in meanwhile"),
                }
            ),
            OriginalsFate::LeftIn(archive) => format!(
                "    {count} messages that did not arrive are inside these reports and not in the mailbox; to get them: spoolguard spool restore {}, then sweep again with --rescue",
                visible(&archive.path.display().to_string())
            ),
        });
        if detail == Detail::Much {
            originals
                .described
                .iter()
                .for_each(|line| print_line(&format!("      {line}")));
            let more = count - originals.described.len();
            if more > 0 {
                print_line(&format!("      and {more} more"));
            }
        }
    }
    for (count, what) in [
        (originals.present, "are in the mailbox, or carried more than once"),
        (
            originals.header_only,
            "came back as nothing but a header: no text to put back",
        ),
        (originals.written, "the user wrote to others, and stay in the archive"),
    ] {
        if count > 0 {
            print_line(&format!("    {count} {what}"));
        }
    }
}
