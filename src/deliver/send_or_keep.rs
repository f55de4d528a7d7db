//! Sends a message on to every destination that may have it, and keeps it in the mailbox for the others. Decides what
//! comes first, the copy or the message, and what is done where a destination has the message already, is suspended, or
//! refuses it.

use crate::classify::policy::Copies;
use crate::config::Over;
use crate::deliver::context::{Delivery, Outcome, Run, when_settled};
use crate::deliver::copies::{
    FirstCopy, Order, copy_fields, copy_text, hold_unreturnable, place_copy, take_copies_back,
};
use crate::deliver::fallback::{append_or_fall_back, fall_back_from_full, finish_put, keep_message, with_note};
use crate::deliver::forward::answer::{self, Answered};
use crate::deliver::forward::gate::{self, Gate, KeptBack};
use crate::deliver::forward::history::{self, Repeats, Sketches};
use crate::deliver::forward::history_line::Fate;
use crate::deliver::forward::turn::MessageTurn;
use crate::deliver::forward::{kept, loops, token_test, turn};
use crate::deliver::store::entry::Put;
use crate::deliver::{forward, store};
use crate::error::Error;
use crate::message::verp::VerpToken;
use crate::submit::letter::Refusal;

/// Forwards the message where it may go, and remembers what became of it there.
pub(super) fn send_or_keep(run: &Run, delivery: &Delivery<'_>, copies: Copies) -> Result<Outcome, Error> {
    // Held to the end: whoever brings the same message meanwhile waits, and then sees what became of it.
    let turn = turn::take_turn(run, delivery)?;
    if let Some(token) = delivery.token
        && answer::is_answer(delivery)
    {
        return answer(run, delivery, &token);
    }
    let known = history::read_history(run).unwrap_or_default();
    let repeats = history::without_repeats(run, delivery, &known, &delivery.destinations);
    if let Some(why) = repeats.why_nowhere() {
        drop(known);
        return repeat(run, delivery, copies, &repeats, why, &turn);
    }
    let mut parted = loops::part_destinations(run, delivery, &known, &repeats.fresh);
    drop(known);
    // Held to the end, too. Where it cannot be had, the message goes its way: the next one is judged by it.
    let _chain = parted.continues_chain().then(|| {
        let turn = turn::take_chain_turn(run);
        let known = history::read_history(run).unwrap_or_default();
        parted = loops::part_destinations(run, delivery, &known, &repeats.fresh);
        turn
    });
    let mut gate = gate::open_gate(run, delivery, parted);
    let result = forward_where_open(run, delivery, copies, &mut gate);
    let kept_back = gate.kept_back();
    gate.remember_outcome(run, delivery);
    if let Ok(outcome) = &result {
        when_settled(|| token_test::send_due_test(run, delivery));
        when_settled(|| note_kept_back(run, delivery, &kept_back, outcome));
    }
    result
}

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

/// A message that every destination has already. One of a submission that is on its way just now is counted: nobody
/// reads it in a mailbox that all is forwarded from. Any other may have come back, and is kept once.
fn repeat(
    run: &Run,
    delivery: &Delivery<'_>,
    copies: Copies,
    repeats: &Repeats,
    why: String,
    turn: &MessageTurn,
) -> Result<Outcome, Error> {
    let outcome = match copies {
        Copies::Keep if !history::has_it(run, delivery.name()) => {
            // The copy that is asked for, and no other bytes: a run that was killed may have put it there already, and
            // what it left is known again by them. Left to wait for room, it would go round once the memory of it
            // fades.
            let outcome = with_note(append_or_fall_back(run, delivery, "", Over::Overflow)?, why);
            history::note_kept(run, delivery);
            outcome
        }
        // It may have come back, and then nobody has it but here.
        Copies::None if !turn.is_by_alias && !history::has_it(run, delivery.name()) => {
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
        return fall_back_from_full(run, delivery, over);
    }
    let destinations = gate.destinations();
    if destinations.is_empty()
        && let Some(put) = copy
    {
        let outcome = finish_put(run, delivery, put)?;
        gate.note_copy();
        return Ok(with_note(outcome, gate.why_kept().unwrap_or_default()));
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
    gate.note_sent(sent);
    // A copy that the mailbox has no room for is put elsewhere only now that the message is sent: it cannot be taken
    // back from there, and each further try would leave another.
    let copied = match order {
        Order::CopyFirst => copy.map(|put| finish_put(run, delivery, put)),
        Order::SendFirst => copy_behind(run, delivery, copies, gate),
    };
    if matches!(copied, Some(Ok(_))) {
        gate.note_copy();
    }
    if (gate.holds_back() || order == Order::SendFirst)
        && let Some(Err(e)) = copied
    {
        // For a destination that got nothing this copy is all there is. One that was only not put there now is put
        // there with the next try.
        return Err(e);
    }
    if refusals.is_empty() {
        return Ok(outcome_of_sent(destinations, gate, copied.as_ref()));
    }
    keep_refused(run, delivery, over, copied, &refusals)
}

/// What is told of a message that every destination took.
fn outcome_of_sent(to: Vec<String>, gate: &Gate, copied: Option<&Result<Outcome, Error>>) -> Outcome {
    let note = match (copied.map(copy_text), gate.why_kept()) {
        (Some(note), Some(why)) => Some(format!("{note}: {why}")),
        (note, why) => note.or(why),
    };
    Outcome::Forwarded { to, note }
}

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
                // Some MTAs refuse it and mail a report as well.
                history::note_kept(run, delivery);
            }
            kept
        }
    }
}

/// Keeps the copy of a message that was sent. Put off for want of room, the message would go round once the memory of
/// it fades: so the copy goes to the overflow then.
fn copy_behind(run: &Run, delivery: &Delivery<'_>, copies: Copies, gate: &Gate) -> Option<Result<Outcome, Error>> {
    let added = copy_fields(delivery, copies, gate)?;
    let copied = append_or_fall_back(run, delivery, &added, Over::Overflow);
    if copied.is_ok() {
        history::note_kept(run, delivery);
    }
    Some(copied)
}
