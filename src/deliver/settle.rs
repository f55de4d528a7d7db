//! Does what was chosen, and what comes after when it cannot be done: the one place that says in which order things are tried. The
//! last resort is the user's own mailbox; when that fails too, the message goes back to the mail system.

use crate::classify::policy::{self, Action, Copies, Why};
use crate::config::Over;
use crate::deliver::context::{Delivery, Outcome, Run, when_settled};
use crate::deliver::copies::{FirstCopy, Order, copy_text, hold_unreturnable, place_copy, take_copies_back};
use crate::deliver::divert::NotDiverted;
use crate::deliver::divert::digest;
use crate::deliver::divert::throttle::{self, OwnBounce};
use crate::deliver::forward::answer;
use crate::deliver::forward::answer::Answered;
use crate::deliver::forward::gate;
use crate::deliver::forward::gate::{Gate, KeptBack, LocalCopy};
use crate::deliver::forward::history::{Asked, Repeats, Sketches};
use crate::deliver::forward::history_line::Fate;
use crate::deliver::forward::kept;
use crate::deliver::forward::loops;
use crate::deliver::forward::rules::attribution::ForwardFailure;
use crate::deliver::forward::rules::kept::KeptReason;
use crate::deliver::forward::token_test;
use crate::deliver::forward::{destinations, history};
use crate::deliver::rescue;
use crate::deliver::rescue::Rescue;
use crate::deliver::store;
use crate::deliver::store::Receipt;
use crate::deliver::store::entry::Put;
use crate::deliver::{auto_archive, divert, forward, headers, log_line, overflow};
use crate::error::{Category, Error};
use crate::message::verp::VerpToken;
use crate::report::status_code::FailureClass;
use crate::submit::letter::Refusal;

/// Settles one case, and logs what became of it.
///
/// # Errors
/// When the message is nowhere safe, or is refused; then it has to stay where it came from.
pub fn carry_out(run: &Run, delivery: &Delivery<'_>) -> Result<Outcome, Error> {
    // Of the message before, in a run of many.
    run.intents.finish();
    if let Some(outcome) = token_test::take_test(run, delivery) {
        let result = Ok(outcome);
        log_line::log_outcome(run, delivery, &result);
        return result;
    }
    token_test::note_use(run, delivery);
    let blames = destinations::find_failures(run, delivery);
    let told = destinations::note_failures(run, delivery, &blames);
    let mut rescued = None;
    let result = take_out(run, delivery, &blames).and_then(|key| {
        rescued = key;
        act(run, delivery)
    });
    if result.is_err() {
        run.intents.leave();
    }
    log_line::log_outcome(run, delivery, &result);
    when_settled(|| told.write(run, delivery));
    if let Some(key) = rescued {
        when_settled(|| note_returned(run, delivery, &blames, &key));
    }
    when_settled(|| digest::send_behind(run, delivery, &result));
    when_settled(|| auto_archive::start_archiving(run, delivery));
    when_settled(|| overflow::begin_return(run, delivery));
    result
}

/// Takes out of a report what it says and what it carries, before it goes anywhere: it must not be done with before that is safe.
///
/// Gives the key of a message that was put into the mailbox.
fn take_out(run: &Run, delivery: &Delivery<'_>, blames: &[ForwardFailure]) -> Result<Option<String>, Error> {
    match rescue::rescue_message(run, delivery, blames)? {
        Rescue::Lost(lost) => {
            destinations::note_lost(run, delivery, &lost);
            tracing::warn!(
                user = run.account.name,
                id = lost.message_id,
                to = lost.destination,
                "only the header of a message came back: the user does not see it"
            );
        }
        Rescue::Done(key) => return Ok(Some(key)),
        Rescue::Had | Rescue::Nothing => {}
    }
    Ok(None)
}

/// Notes that a message came back and lies in the mailbox, for the destination that it did not reach.
fn note_returned(run: &Run, delivery: &Delivery<'_>, blames: &[ForwardFailure], key: &str) {
    let (destination, reason, said) = match (blames.first(), delivery.destinations.as_slice()) {
        (Some(blame), _) => {
            let reason = match blame.class {
                FailureClass::Message => KeptReason::Policy,
                FailureClass::Hard | FailureClass::Soft | FailureClass::Neither => KeptReason::Returned,
            };
            (&blame.destination, reason, blame.said.as_str())
        }
        (None, [only]) => (only, KeptReason::Returned, ""),
        // Nobody knows which one.
        (None, _) => return,
    };
    kept::note_kept(run, delivery, destination, key, reason, said);
}

/// Notes for which destinations a message was kept instead of being sent.
fn note_kept_back(run: &Run, delivery: &Delivery<'_>, kept_back: &[KeptBack], outcome: &Outcome) {
    match outcome {
        Outcome::Appended { .. } | Outcome::Forwarded { .. } => {
            for one in kept_back {
                kept::note_kept(
                    run,
                    delivery,
                    &one.destination,
                    &delivery.name().to_string(),
                    one.reason,
                    &one.said,
                );
            }
        }
        // The administrator has it.
        Outcome::Diverted { .. } | Outcome::Held { .. } | Outcome::Repeated { .. } | Outcome::Test { .. } => {}
    }
}

fn act(run: &Run, delivery: &Delivery<'_>) -> Result<Outcome, Error> {
    if !policy::counts_as_own_bounce(&delivery.judgement, delivery.action) {
        return perform(run, delivery, delivery.action);
    }
    match throttle::admit_own_bounce(run, delivery) {
        OwnBounce::Fits => {
            let result = perform(run, delivery, delivery.action);
            if result.is_err() {
                throttle::take_back_own_bounce(run, delivery);
            }
            result
        }
        OwnBounce::TooMany => {
            let action = policy::beyond_own_bounces(delivery.action, &run.config.guard);
            perform(run, delivery, action)
        }
    }
}

fn perform(run: &Run, delivery: &Delivery<'_>, action: Action) -> Result<Outcome, Error> {
    let over = run.config.quota.when_full;
    match action {
        Action::Append => append(run, delivery, "", over),
        Action::Keep(why) => keep_message(run, delivery, &why.to_string(), over),
        Action::Forward(copies) => forward(run, delivery, copies),
        Action::Divert(why) => divert_or_keep(run, delivery, why),
    }
}

/// Appends the message with `added` fields on top. When there is no room, `over` says what is done.
fn append(run: &Run, delivery: &Delivery<'_>, added: &str, over: Over) -> Result<Outcome, Error> {
    let put = store::place_message(run, delivery, added, over)?;
    finish(run, delivery, put)
}

/// A message that found room is done; for one that found none, `over` says what comes next.
fn finish(run: &Run, delivery: &Delivery<'_>, put: Put<Receipt>) -> Result<Outcome, Error> {
    match put {
        Put::Done(receipt) => {
            receipt.keep(run);
            Ok(Outcome::Appended {
                mailbox: run.store.to_string(),
                note: None,
            })
        }
        Put::Full(over) => full(run, delivery, over),
    }
}

/// Appends a message that was to go elsewhere, and says why it is here.
///
/// # Errors
/// When it cannot be appended.
pub fn keep_message(run: &Run, delivery: &Delivery<'_>, why: &str, over: Over) -> Result<Outcome, Error> {
    let outcome = append(
        run,
        delivery,
        &headers::kept_fields(&delivery.judgement, why, &delivery.message),
        over,
    )?;
    Ok(with_note(outcome, why.to_owned()))
}

/// Says why a message is in a mailbox, unless something else was said already.
fn with_note(outcome: Outcome, why: String) -> Outcome {
    match outcome {
        Outcome::Appended { mailbox, note: None } => Outcome::Appended {
            mailbox,
            note: Some(why),
        },
        outcome @ (Outcome::Appended { .. }
        | Outcome::Forwarded { .. }
        | Outcome::Diverted { .. }
        | Outcome::Held { .. }
        | Outcome::Repeated { .. }
        | Outcome::Test { .. }) => outcome,
    }
}

/// There is no room in the mailbox.
fn full(run: &Run, delivery: &Delivery<'_>, over: Over) -> Result<Outcome, Error> {
    match over {
        Over::Defer | Over::Archive => Err(store::full_error(run, Category::MailboxFull)),
        Over::Refuse => Err(store::full_error(run, Category::Refused)),
        Over::Overflow => overflow::put_and_tell(run, delivery),
        Over::Divert => match divert::divert_message(run, delivery, Why::OverQuota) {
            Ok(outcome) => Ok(outcome),
            // It came here because the mailbox has no room; there is nowhere left to go.
            Err(NotDiverted::NeedsFix(e)) => Err(store::full_error(run, Category::MailboxFull).hint(e.to_string())),
            Err(NotDiverted::Keep { cause, over }) => keep_message(run, delivery, &cause, over),
            Err(NotDiverted::Later(e)) => Err(e),
        },
    }
}

/// Diverts the message; where the administrator has had enough, it stays in the user's own mailbox.
///
/// # Errors
/// When it can be neither diverted nor kept; the error says whether trying again can help.
pub fn divert_or_fail(run: &Run, delivery: &Delivery<'_>, why: Why) -> Result<Outcome, Error> {
    match divert::divert_message(run, delivery, why) {
        Ok(outcome) => Ok(outcome),
        Err(NotDiverted::Keep { cause, over }) => keep_message(run, delivery, &cause, over),
        Err(NotDiverted::NeedsFix(e) | NotDiverted::Later(e)) => Err(e),
    }
}

/// Diverts the message; where that is impossible, it stays in the user's own mailbox.
fn divert_or_keep(run: &Run, delivery: &Delivery<'_>, why: Why) -> Result<Outcome, Error> {
    match divert::divert_message(run, delivery, why) {
        Ok(outcome) => Ok(outcome),
        Err(NotDiverted::Keep { cause, over }) => keep_message(run, delivery, &cause, over),
        Err(NotDiverted::Later(e)) => Err(e),
        Err(NotDiverted::NeedsFix(e)) => {
            let over = match run.config.quota.when_full {
                // It could not be diverted a moment ago.
                Over::Divert => Over::Defer,
                over @ (Over::Defer | Over::Refuse | Over::Overflow | Over::Archive) => over,
            };
            keep_message(run, delivery, &e.to_string(), over)
        }
    }
}

/// Forwards the message where it may go, and remembers what became of it there.
fn forward(run: &Run, delivery: &Delivery<'_>, copies: Copies) -> Result<Outcome, Error> {
    // Held to the end: whoever brings the same message meanwhile waits, and then sees what became of it.
    let turn = history::take_turn(run, delivery)?;
    if let Some(token) = delivery.token
        && answer::is_answer(delivery)
    {
        return answer(run, delivery, &token);
    }
    let known = history::read_history(run).unwrap_or_default();
    let repeats = history::without_repeats(run, delivery, &known, &delivery.destinations);
    if let Some(why) = repeats.why_nowhere() {
        drop(known);
        return repeat(run, delivery, copies, &repeats, why, turn.was);
    }
    let mut parted = loops::part_destinations(run, delivery, &known, &repeats.fresh);
    drop(known);
    // Held to the end, too. Where it cannot be had, the message goes its way: the next one is judged by it.
    let _chain = parted.continues_chain().then(|| {
        let turn = history::take_chain_turn(run);
        let known = history::read_history(run).unwrap_or_default();
        parted = loops::part_destinations(run, delivery, &known, &repeats.fresh);
        turn
    });
    let mut gate = gate::open_gate(run, delivery, parted);
    let result = forward_where_open(run, delivery, copies, &mut gate);
    let kept_back = gate.kept_back();
    gate.end(run, delivery);
    if let Ok(outcome) = &result {
        when_settled(|| token_test::send_due_test(run, delivery));
        when_settled(|| note_kept_back(run, delivery, &kept_back, outcome));
    }
    result
}

/// A message that every destination has already. One that came while the first was on its way is counted: nobody reads it in a mailbox
/// that all is forwarded from. One that came later may have come back, and is kept once.
fn repeat(
    run: &Run,
    delivery: &Delivery<'_>,
    copies: Copies,
    repeats: &Repeats,
    why: String,
    asked: Asked,
) -> Result<Outcome, Error> {
    let outcome = match copies {
        Copies::Keep if !history::has_it(run, delivery.name()) => {
            // The copy that is asked for, and no other bytes: a run that was killed may have put it there already, and what it left
            // is known again by them. Left to wait for room, it would go round once the memory of it fades.
            let outcome = with_note(append(run, delivery, "", Over::Overflow)?, why);
            history::note_kept(run, delivery);
            outcome
        }
        // It may have come back, and then nobody has it but here.
        Copies::None if asked == Asked::Alone && !history::has_it(run, delivery.name()) => {
            let kept = keep_message(run, delivery, &why, Over::Overflow)?;
            history::note_kept(run, delivery);
            kept
        }
        Copies::Keep => {
            store::settle_left(run, delivery, "");
            Outcome::Repeated { note: why }
        }
        Copies::None => Outcome::Repeated { note: why },
    };
    let fates: Vec<_> = repeats
        .had
        .iter()
        .map(|had| (Fate::Repeated, had.destination.clone()))
        .collect();
    history::note_fates(run, delivery, &fates, &Sketches::default());
    Ok(outcome)
}

/// Sends an answer on to whoever wrote the message that it answers; where that cannot be, it is delivered locally.
fn answer(run: &Run, delivery: &Delivery<'_>, token: &VerpToken) -> Result<Outcome, Error> {
    match answer::send_answer(run, delivery, token)? {
        Answered::Sent(writer) => Ok(Outcome::Forwarded {
            to: vec![writer],
            note: Some("it answers a message that was sent on".to_owned()),
        }),
        Answered::Repeated(note) => Ok(Outcome::Repeated { note }),
        Answered::NotSent(why) => keep_message(run, delivery, &why, Over::Overflow),
    }
}

/// Forwards the message, and keeps a copy where that is asked for or some destination is suspended.
fn forward_where_open(run: &Run, delivery: &Delivery<'_>, copies: Copies, gate: &mut Gate) -> Result<Outcome, Error> {
    let over = match gate.ends_a_loop() {
        // Put off or refused, it would be reported to whoever answers, and that would be answered.
        true => Over::Overflow,
        false => run.config.quota.when_full,
    };
    let held = hold_unreturnable(run, delivery, copies, gate);
    let copies = held.copies_or(copies);
    let order = Order::of(run, gate);
    let copy = match place_copy(run, delivery, copies, gate, order, over)? {
        FirstCopy::Placed(put) => Some(put),
        FirstCopy::None => None,
        FirstCopy::InOverflow(outcome) => return Ok(outcome),
    };
    if let Some(Put::Full(over @ (Over::Defer | Over::Refuse | Over::Archive))) = copy {
        return full(run, delivery, over);
    }
    let destinations = gate.destinations();
    if destinations.is_empty()
        && let Some(put) = copy
    {
        let outcome = finish(run, delivery, put)?;
        gate.keep(LocalCopy::Yes);
        return Ok(with_note(outcome, gate.why().unwrap_or_default()));
    }
    if let Some(Put::Done(_)) = copy {
        history::note_kept(run, delivery);
    }
    let sent = match forward::send_on(run, delivery, &destinations, gate.sketches()) {
        Ok(sent) => sent,
        Err(e) => {
            take_copies_back(run, delivery, held, copy);
            return Err(e);
        }
    };
    let refusals = sent.refused.clone();
    gate.send(sent);
    // A copy that the mailbox has no room for is put elsewhere only now that the message is sent: it cannot be taken back from
    // there, and each further try would leave another.
    let copied = match order {
        Order::CopyFirst => copy.map(|put| finish(run, delivery, put)),
        Order::SendFirst => copy_behind(run, delivery, copies, gate),
    };
    gate.keep(match copied {
        Some(Ok(_)) => LocalCopy::Yes,
        Some(Err(_)) | None => LocalCopy::No,
    });
    if (gate.holds_back() || order == Order::SendFirst)
        && let Some(Err(e)) = copied
    {
        // For a destination that got nothing this copy is all there is. One that was only not put there now is put there with the next try.
        return Err(e);
    }
    if refusals.is_empty() {
        return Ok(outcome_of_sent(destinations, gate, copied.as_ref()));
    }
    keep_refused(run, delivery, over, copied, &refusals)
}

/// What is told of a message that every destination took.
fn outcome_of_sent(to: Vec<String>, gate: &Gate, copied: Option<&Result<Outcome, Error>>) -> Outcome {
    let note = match (copied.map(copy_text), gate.why()) {
        (Some(note), Some(why)) => Some(format!("{note}: {why}")),
        (note, why) => note.or(why),
    };
    Outcome::Forwarded { to, note }
}

/// Keeps a message that a destination refused, where the user has no copy yet.
fn keep_refused(
    run: &Run,
    delivery: &Delivery<'_>,
    over: Over,
    copied: Option<Result<Outcome, Error>>,
    refusals: &[Refusal],
) -> Result<Outcome, Error> {
    let refused: Vec<_> = refusals
        .iter()
        .map(|r| format!("{} refused with {}", r.recipient, r.reply))
        .collect();
    let why = format!("cannot forward: {}", refused.join("; "));
    match copied {
        // The user has it already.
        Some(Ok(Outcome::Appended { mailbox, .. })) => Ok(Outcome::Appended {
            mailbox,
            note: Some(why),
        }),
        Some(Ok(
            outcome @ (Outcome::Forwarded { .. }
            | Outcome::Diverted { .. }
            | Outcome::Held { .. }
            | Outcome::Repeated { .. }
            | Outcome::Test { .. }),
        )) => Ok(outcome),
        Some(Err(_)) | None => {
            let kept = keep_message(run, delivery, &why, over);
            if matches!(kept, Ok(Outcome::Appended { .. })) {
                // Some mail systems refuse it and mail a report as well.
                history::note_kept(run, delivery);
            }
            kept
        }
    }
}

/// Keeps the copy of a message that was sent. Put off for want of room, the message would go round once the memory of it fades: so the
/// copy goes to the overflow then.
fn copy_behind(run: &Run, delivery: &Delivery<'_>, copies: Copies, gate: &Gate) -> Option<Result<Outcome, Error>> {
    let added = match (copies, gate.why()) {
        (Copies::Keep, _) => String::new(),
        (Copies::None, Some(why)) => headers::kept_fields(&delivery.judgement, &why, &delivery.message),
        (Copies::None, None) => return None,
    };
    let copied = append(run, delivery, &added, Over::Overflow);
    if copied.is_ok() {
        history::note_kept(run, delivery);
    }
    Some(copied)
}
