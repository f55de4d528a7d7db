//! Does what was chosen, in the order in which things are tried. What a bounce carries is taken out first; notices and
//! other work that can wait follow when the message is safe. Where something fails, `fallback.rs` and `send_or_keep.rs`
//! say what comes next.

use crate::classify::policy::{self, Action};
use crate::deliver::context::{Delivery, Outcome, Run, when_settled};
use crate::deliver::divert::digest;
use crate::deliver::divert::throttle;
use crate::deliver::fallback::{append_or_fall_back, divert_or_keep, keep_message};
use crate::deliver::forward::rules::attribution::ForwardFailure;
use crate::deliver::forward::rules::kept::KeptReason;
use crate::deliver::forward::{destinations, kept, token_test};
use crate::deliver::rescue::{self, Rescue};
use crate::deliver::send_or_keep::send_or_keep;
use crate::deliver::{auto_archive, log_line, overflow};
use crate::error::Error;
use crate::report::status_code::FailureClass;

/// Settles one case, and logs what became of it. Fails when the message is nowhere safe, or is refused; then it has to
/// stay where it came from.
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

/// Takes out of a report what it says and what it carries, before it goes anywhere: it must not be done with before
/// that is safe.
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

fn act(run: &Run, delivery: &Delivery<'_>) -> Result<Outcome, Error> {
    let is_own = policy::counts_as_own_bounce(&delivery.judgement, delivery.action);
    if is_own && !throttle::admit_own_bounce(run, delivery) {
        return perform(
            run,
            delivery,
            policy::beyond_own_bounces(delivery.action, &run.config.guard),
        );
    }
    let result = perform(run, delivery, delivery.action);
    if is_own && result.is_err() {
        throttle::take_back_own_bounce(run, delivery);
    }
    result
}

fn perform(run: &Run, delivery: &Delivery<'_>, action: Action) -> Result<Outcome, Error> {
    let over = run.config.quota.when_full;
    match action {
        Action::Append => append_or_fall_back(run, delivery, "", over),
        Action::Keep(why) => keep_message(run, delivery, &why.to_string(), over),
        Action::Forward(copies) => send_or_keep(run, delivery, copies),
        Action::Divert(why) => divert_or_keep(run, delivery, why),
    }
}
