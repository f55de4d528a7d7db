//! Does what was chosen, and what comes after when it cannot be done: the one place that says in which order things are tried. The
//! last resort is the user's own mailbox; when that fails too, the message goes back to the mail system.

use crate::command::case::{Case, Guard, Outcome};
use crate::command::mailbox::{self, Placement};
use crate::command::rescue::{self, Rescue};
use crate::command::{blame, digest, divert, forward, marks, memory, record};
use crate::decide::policy::{Action, Copies, Over, Why};
use crate::exit::{Class, Error, Outlook};

/// Settles one case, and logs what became of it.
///
/// # Errors
/// When the message is nowhere safe, or is refused; then it has to stay where it came from.
pub fn settle(guard: &Guard, case: &Case<'_>) -> Result<Outcome, Error> {
    // Of the message before, in a run of many.
    guard.begun.finish();
    let result = learn(guard, case).and_then(|()| act(guard, case));
    if result.is_err() {
        guard.begun.leave();
    }
    record::log(guard, case, &result);
    digest::send_behind(guard, case, &result);
    result
}

/// Takes out of a report what it says and what it carries, before it goes anywhere: it must not be done with before that is safe.
fn learn(guard: &Guard, case: &Case<'_>) -> Result<(), Error> {
    if blame::report(case).is_none() {
        return Ok(());
    }
    let blames = blame::find(guard, case, &[]);
    match rescue::rescue(guard, case, &blames)? {
        Rescue::Lost(lost) => {
            tracing::warn!(
                user = guard.account.name,
                id = lost.message_id,
                to = lost.destination,
                "only the header of a message came back: the user does not see it"
            );
        }
        Rescue::Done(_) | Rescue::Had | Rescue::Nothing => {}
    }
    Ok(())
}

fn act(guard: &Guard, case: &Case<'_>) -> Result<Outcome, Error> {
    let over = guard.config.quota.over;
    match case.action {
        Action::Append => append(guard, case, "", over),
        Action::Keep(why) => keep(guard, case, &why.to_string(), over),
        Action::Forward(copies) => forward(guard, case, copies),
        Action::Divert(why) => divert_or_keep(guard, case, why),
    }
}

/// Appends the message with `added` fields on top. When there is no room, `over` says what is done.
fn append(guard: &Guard, case: &Case<'_>, added: &str, over: Over) -> Result<Outcome, Error> {
    let placement = mailbox::place(guard, case, added, over)?;
    finish(guard, case, placement)
}

/// A message that found room is done; for one that found none, `over` says what comes next.
fn finish(guard: &Guard, case: &Case<'_>, placement: Placement) -> Result<Outcome, Error> {
    match placement {
        Placement::Here(appended) => {
            guard.begun.add(appended.into_note());
            Ok(Outcome::Appended {
                mailbox: guard.mailbox(),
                note: None,
            })
        }
        Placement::Full(over) => full(guard, case, over),
    }
}

/// Appends a message that was to go elsewhere, and says why it is here.
///
/// # Errors
/// When it cannot be appended.
pub fn keep(guard: &Guard, case: &Case<'_>, why: &str, over: Over) -> Result<Outcome, Error> {
    let field = marks::kept_field(&case.judgement, why, case.message.line_end()) + &marks::seam(&case.message);
    append(guard, case, &field, over).map(|outcome| with_note(outcome, why))
}

/// Says why a message is in a mailbox, unless something else was said already.
fn with_note(outcome: Outcome, why: &str) -> Outcome {
    match outcome {
        Outcome::Appended { mailbox, note: None } => Outcome::Appended {
            mailbox,
            note: Some(why.to_owned()),
        },
        outcome @ (Outcome::Appended { .. }
        | Outcome::Forwarded { .. }
        | Outcome::Diverted { .. }
        | Outcome::Held { .. }) => outcome,
    }
}

/// There is no room in the mailbox.
fn full(guard: &Guard, case: &Case<'_>, over: Over) -> Result<Outcome, Error> {
    match over {
        Over::Defer => Err(mailbox::full_error(guard, Class::MailboxFull)),
        Over::Refuse => Err(mailbox::full_error(guard, Class::Refused)),
        Over::Overflow => mailbox::overflow(guard, case, ""),
        Over::Divert => match divert::divert(guard, case, Why::OverQuota) {
            // It came here because the mailbox has no room; there is nowhere left to go.
            Err(e) if e.outlook() == Outlook::NeedsMending => {
                Err(mailbox::full_error(guard, Class::MailboxFull).hint(e.to_string()))
            }
            result => result,
        },
    }
}

/// Diverts the message; where that is impossible, it stays in the user's own mailbox.
fn divert_or_keep(guard: &Guard, case: &Case<'_>, why: Why) -> Result<Outcome, Error> {
    match divert::divert(guard, case, why) {
        Err(e) if e.outlook() == Outlook::NeedsMending => {
            let over = match guard.config.quota.over {
                // It could not be diverted a moment ago.
                Over::Divert => Over::Defer,
                over @ (Over::Defer | Over::Refuse | Over::Overflow) => over,
            };
            keep(guard, case, &e.to_string(), over)
        }
        result => result,
    }
}

/// Forwards the message, after a copy was kept where that is asked for. When the mail system cannot take it now, no copy stays:
/// the message will come again, and each time would leave another.
fn forward(guard: &Guard, case: &Case<'_>, copies: Copies) -> Result<Outcome, Error> {
    let over = guard.config.quota.over;
    let sifted = memory::sift(guard, case, &case.destinations);
    let nowhere = sifted.why_nowhere();
    if let (Copies::None, Some(why)) = (copies, &nowhere) {
        return keep(guard, case, why, over);
    }
    let copy = match copies {
        Copies::None => None,
        Copies::Keep => Some(mailbox::place(guard, case, "", over)?),
    };
    if let Some(Placement::Full(over @ (Over::Defer | Over::Refuse))) = copy {
        return full(guard, case, over);
    }
    // What is sent nowhere is kept as it would have been: a try after one that was killed finds its copy there.
    let copy = match (nowhere, copy) {
        (Some(why), Some(placement)) => {
            return finish(guard, case, placement).map(|outcome| with_note(outcome, &why));
        }
        (_, copy) => copy,
    };
    let refusals = match forward::send(guard, case, &sifted.fresh) {
        Ok(sent) => sent.refused,
        Err(e) => {
            if let Some(Placement::Here(appended)) = copy
                && let Err(left) = mailbox::take_back(guard, appended)
            {
                tracing::warn!(user = guard.account.name, cause = %left, "a copy stays, and the message will come again");
            }
            return Err(e);
        }
    };
    // A copy that the mailbox has no room for is put elsewhere only now that the message is sent: it cannot be taken back from
    // there, and each further try would leave another.
    if let Some(Placement::Here(_)) = copy {
        memory::note_kept(guard, case);
    }
    let copied = copy.map(|placement| finish(guard, case, placement));
    if refusals.is_empty() {
        return Ok(Outcome::Forwarded {
            to: case.destinations.clone(),
            note: copied.map(|copy| said_of(&copy)),
        });
    }
    let refused: Vec<_> = refusals
        .iter()
        .map(|r| format!("{} refused with {}", r.recipient, r.said))
        .collect();
    let why = format!("cannot forward: {}", refused.join("; "));
    match copied {
        // The user has it already.
        Some(Ok(Outcome::Appended { mailbox, .. })) => Ok(Outcome::Appended {
            mailbox,
            note: Some(why),
        }),
        Some(Ok(outcome @ (Outcome::Forwarded { .. } | Outcome::Diverted { .. } | Outcome::Held { .. }))) => {
            Ok(outcome)
        }
        Some(Err(_)) | None => {
            let kept = keep(guard, case, &why, over);
            if matches!(kept, Ok(Outcome::Appended { .. })) {
                // Some mail systems refuse it and mail a report as well.
                memory::note_kept(guard, case);
            }
            kept
        }
    }
}

/// Says where the copy of a forwarded message is.
fn said_of(copy: &Result<Outcome, Error>) -> String {
    match copy {
        Ok(Outcome::Appended { mailbox, .. }) => format!("kept a copy in {}", mailbox.display()),
        Ok(Outcome::Diverted { to, .. }) => format!("sent a copy to {to}"),
        Ok(Outcome::Held { at, .. }) => format!("held a copy in {}", at.display()),
        Ok(Outcome::Forwarded { .. }) => String::new(),
        // The message is on its way; sending it again would be no better.
        Err(e) => format!("kept no copy: {e}"),
    }
}
