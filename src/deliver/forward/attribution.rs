//! Finds out which of the user's destinations a report is about: gathers what the message, the key and the memory of
//! recent forwards know, and lets `rules/attribution.rs` judge. What cannot be read proves nothing, and stops no
//! delivery.

use crate::classify::MessageOrigin;
use crate::deliver::context::{Delivery, Run};
use crate::deliver::forward::rules::attribution::{AttributionEvidence, ForwardFailure, Token, attribute_bounce};
use crate::deliver::forward::{history, token_test, turn, verp};

/// The destinations that this message reports about; none where it is no report, or proves nothing. `known` are those
/// that the user's mail goes to, as far as the caller knows, beside the ones of this run.
pub fn find_forward_failures(run: &Run, delivery: &Delivery<'_>, known: &[String]) -> Vec<ForwardFailure> {
    let Some(bounce) = delivery.judgement.verdict.bounce() else {
        return Vec::new();
    };
    let mut destinations = delivery.destinations.clone();
    destinations.extend(
        known
            .iter()
            .filter(|address| !delivery.destinations.contains(address))
            .cloned(),
    );
    let quoted = bounce.quoted_message_id.as_deref();
    let find_sent = || quoted.map(|id| history::sent_to(run, id)).unwrap_or_default();
    let mut sent_to = find_sent();
    if let Some(id) = quoted.filter(|_| sent_to.is_empty() && bounce.origin == MessageOrigin::OurForward) {
        turn::wait_for_sender_of(run, id);
        sent_to = find_sent();
    }
    let named;
    let token = match delivery.token {
        Some(claim) => {
            // It holds no address, only what tells one from another: whoever it is for is among these.
            let mut candidates = destinations.clone();
            candidates.extend(history::sent_with(run, &claim));
            candidates.extend(bounce.recipients.iter().map(|recipient| recipient.address.clone()));
            named = candidates.into_iter().find(|address| claim.is_for(address));
            named.as_deref().map_or(Token::Missing, Token::For)
        }
        // An MTA may not send as it is told: then no report ever brings one.
        None if verp::are_required(run, &delivery.envelope) && token_test::read_tests(run).are_used() => Token::Missing,
        None => Token::Unused,
    };
    let evidence = AttributionEvidence {
        token,
        sent_to: &sent_to,
        destinations: &destinations,
    };
    let mut failures = attribute_bounce(bounce, &evidence);
    for failure in &mut failures {
        let sent = |id| history::count_sent(run, id, &failure.destination);
        failure.sends = failure.message_id.as_deref().map_or(0, sent);
    }
    failures
}
