//! Puts a message into the mailbox or hands it to the administrator; where that cannot be done, says where it goes
//! instead. The last resort is the user's own mailbox; when that fails, too, the message goes back to the MTA.

use crate::classify::policy::Why;
use crate::config::Over;
use crate::deliver::context::{Delivery, Outcome, Run};
use crate::deliver::divert::NotDiverted;
use crate::deliver::store::entry::Put;
use crate::deliver::store::{self, Receipt};
use crate::deliver::{divert, headers, overflow};
use crate::error::{Category, Error};

/// Appends the message with `added` fields on top. When there is no room, `over` says what is done.
pub(super) fn append_or_fall_back(
    run: &Run,
    delivery: &Delivery<'_>,
    added: &str,
    over: Over,
) -> Result<Outcome, Error> {
    if let Some(outcome) = overflow::find_earlier(run, delivery, "")? {
        return Ok(outcome);
    }
    let put = store::place_message(run, delivery, added, over)?;
    finish_put(run, delivery, put)
}

/// A message that found room is done; for one that found none, `over` says what comes next.
pub(super) fn finish_put(run: &Run, delivery: &Delivery<'_>, put: Put<Receipt>) -> Result<Outcome, Error> {
    match put {
        Put::Done(receipt) => {
            receipt.keep(run);
            Ok(Outcome::Appended {
                mailbox: run.store.to_string(),
                note: None,
            })
        }
        Put::Full(over) => fall_back_from_full(run, delivery, over),
    }
}

/// Appends a message that was to go elsewhere, and says why it is here.
pub fn keep_message(run: &Run, delivery: &Delivery<'_>, why: &str, over: Over) -> Result<Outcome, Error> {
    let outcome = append_or_fall_back(
        run,
        delivery,
        &headers::kept_fields(&delivery.judgement, why, &delivery.message),
        over,
    )?;
    Ok(with_note(outcome, why.to_owned()))
}

/// Says why a message is in a mailbox, unless something else was said already.
pub(super) fn with_note(mut outcome: Outcome, why: String) -> Outcome {
    if let Outcome::Appended { note: note @ None, .. } = &mut outcome {
        *note = Some(why);
    }
    outcome
}

pub(super) fn fall_back_from_full(run: &Run, delivery: &Delivery<'_>, over: Over) -> Result<Outcome, Error> {
    match over {
        Over::Defer | Over::Archive => Err(store::full_error(run, delivery.content_bytes(), Category::MailboxFull)),
        Over::Refuse => Err(store::full_error(run, delivery.content_bytes(), Category::Refused)),
        Over::Overflow => overflow::put_and_tell(run, delivery),
        // It came here because the mailbox has no room; there is nowhere left to go.
        Over::Divert => divert_or_else(run, delivery, Why::OverQuota, |e| {
            Err(store::full_error(run, delivery.content_bytes(), Category::MailboxFull).hint(e.to_string()))
        }),
    }
}

/// Diverts the message; where the administrator has had enough, it stays in the user's own mailbox. Fails when it can
/// be neither diverted nor kept; the error says whether trying again can help.
pub fn divert_or_fail(run: &Run, delivery: &Delivery<'_>, why: Why) -> Result<Outcome, Error> {
    divert_or_else(run, delivery, why, Err)
}

/// Diverts the message; where that is impossible, it stays in the user's own mailbox.
pub(super) fn divert_or_keep(run: &Run, delivery: &Delivery<'_>, why: Why) -> Result<Outcome, Error> {
    divert_or_else(run, delivery, why, |e| {
        let over = match run.config.quota.when_full {
            // It could not be diverted a moment ago.
            Over::Divert => Over::Defer,
            over @ (Over::Defer | Over::Refuse | Over::Overflow | Over::Archive) => over,
        };
        keep_message(run, delivery, &e.to_string(), over)
    })
}

/// Diverts the message; where the administrator has had enough, it stays in the user's own mailbox. `needs_fix` says
/// what is done where it is impossible until somebody mends something.
fn divert_or_else(
    run: &Run,
    delivery: &Delivery<'_>,
    why: Why,
    needs_fix: impl FnOnce(Error) -> Result<Outcome, Error>,
) -> Result<Outcome, Error> {
    match divert::divert_message(run, delivery, why) {
        Ok(outcome) => Ok(outcome),
        Err(NotDiverted::Keep { cause, over }) => keep_message(run, delivery, &cause, over),
        Err(NotDiverted::NeedsFix(e)) => needs_fix(e),
        Err(NotDiverted::Later(e)) => Err(e),
    }
}
