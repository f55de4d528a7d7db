//! `spoolguard spool archive` and what it has in common with `sweep`: one mailbox after another, one line about each. A mailbox that
//! cannot be done does not stop the others.

use std::time::Duration;

use time::OffsetDateTime;

use crate::cli::spool::{Mail, Packing, What};
use crate::config::value::Size;
use crate::error::{Error, Status};
use crate::escape::visible;
use crate::output::sizes::size;
use crate::output::{print_error, print_line};
use crate::spool::choose::{ChosenMessages, Doubtful, Inside, OnlySeen, Wanted, WantedKind};
use crate::spool::context::SpoolRun;
use crate::spool::move_out::{MoveMode, MoveOut, MoveOutcome};
use crate::spool::select;
use crate::spool::select::SelectedMailbox;
use crate::sys::deadline::ReadLimit;

/// Runs the command: 0, or 1 when a mailbox could not be done.
///
/// # Errors
/// When the mailboxes cannot be found at all.
pub fn run(care: &SpoolRun, what: &What, mail: &Mail, packing: &Packing) -> Result<Status, Error> {
    let date = OffsetDateTime::now_utc();
    let wanted = Wanted {
        kinds: if mail.bounces {
            vec![WantedKind::Bounce]
        } else {
            Vec::new()
        },
        before: mail.older_than.map(|age| select::cutoff(date, age)),
        seen: mail.seen.then_some(OnlySeen),
        down_to: mail.down_to.map(Size::bytes),
        inside: Inside::Ignored,
    };
    let mode = if care.dry_run {
        MoveMode::Rehearse
    } else {
        MoveMode::Execute
    };
    each(care, what, |spool| {
        let taken = MoveOut::new(care, packing, spool, &wanted, date)?.run(mode)?;
        tell(spool, &taken);
        Ok(matches!(taken, MoveOutcome::Nothing(_)))
    })
}

/// For how long one of all mailboxes is read. Its user decides how large it is, and the others wait; by itself it has all the time it takes.
const MAILBOX_TIME: Duration = Duration::from_secs(60 * 60);

/// Does something with each mailbox that was asked for, and sums up. `one` tells whether there was nothing to do.
///
/// # Errors
/// When the mailboxes cannot be found at all.
pub fn each(
    care: &SpoolRun,
    what: &What,
    mut one: impl FnMut(&SelectedMailbox) -> Result<bool, Error>,
) -> Result<Status, Error> {
    let (mut done, mut nothing, mut failed) = (0_u64, 0_u64, 0_u64);
    for found in select::find(what, &care.config)? {
        care.deadline.check("go on", "with the other mailboxes")?;
        if what.all {
            care.reading.set(ReadLimit::within(MAILBOX_TIME));
        }
        match found.and_then(|spool| one(&spool)) {
            Ok(true) => nothing += 1,
            Ok(false) => done += 1,
            Err(e) => {
                failed += 1;
                tracing::error!(note = e.to_string());
                print_error(&e);
            }
        }
    }
    if done + nothing + failed > 1 {
        print_line(&format!(
            "{} mailboxes: {done} with something to take, {nothing} with nothing, {failed} failed",
            done + nothing + failed
        ));
    }
    Ok(if failed > 0 { Status::Wrong } else { Status::Done })
}

/// One line about a mailbox, for people; one in the log where something was done.
pub fn tell(spool: &SelectedMailbox, taken: &MoveOutcome) {
    let user = visible(&spool.account.name);
    match taken {
        MoveOutcome::Nothing(choice) => print_line(&format!(
            "{user}: nothing to take; {} messages, {}",
            choice.stay,
            size(spool.bytes)
        )),
        MoveOutcome::Would(choice, _) => print_line(&format!(
            "{user}: would take {} messages ({}), and leave {} ({})",
            choice.messages,
            size(choice.taken.bytes()),
            choice.stay,
            size(spool.bytes.saturating_sub(choice.taken.bytes())),
        )),
        MoveOutcome::Done {
            choice,
            archive,
            stay_bytes,
            held,
            ..
        } => {
            let path = archive.path.display().to_string();
            print_line(&format!(
                "{user}: {} messages ({}) are in {} ({}); {} stays, locked for {} ms",
                choice.messages,
                size(choice.taken.bytes()),
                visible(&path),
                size(archive.bytes),
                size(*stay_bytes),
                held.as_millis()
            ));
            tracing::info!(
                action = "archive",
                user = spool.account.name,
                mailbox = spool.path.display().to_string(),
                messages = choice.messages,
                bytes = choice.taken.bytes(),
                archive = path,
                left_bytes = stay_bytes
            );
        }
    }
    match taken {
        MoveOutcome::Nothing(choice) | MoveOutcome::Would(choice, _) | MoveOutcome::Done { choice, .. } => {
            tell_of_doubts(spool, choice)
        }
    }
}

/// Which messages stay although they are meant, and why: up to some of them.
fn tell_of_doubts(spool: &SelectedMailbox, choice: &ChosenMessages) {
    const NAMED: usize = 10;
    for Doubtful { offset, doubt } in choice.doubtful.iter().take(NAMED) {
        print_line(&format!(
            "    the message at byte {offset} stays: another one may begin in it, at byte {} in the line \"{}\"",
            doubt.offset,
            visible(&doubt.line)
        ));
    }
    let count = choice.doubtful.len();
    if count > NAMED {
        print_line(&format!("    and {} more stay for such a line", count - NAMED));
    }
    if let Some(Doubtful { offset, doubt }) = choice.doubtful.first() {
        tracing::warn!(
            user = spool.account.name,
            mailbox = spool.path.display().to_string(),
            messages = count,
            note = format!(
                "stay: in the one at byte {offset} another may begin at byte {}",
                doubt.offset
            )
        );
    }
}
