//! Finds out which of the user's destinations a report is about: gathers what the message, the key and the memory of recent
//! forwards know, and lets `decide` judge. What cannot be read proves nothing, and stops no delivery.

use crate::classify::verdict::{Bounce, Verdict};
use crate::deliver::context::{Case, Guard};
use crate::deliver::forward::rules::attribution::{Evidence, ForwardFailure, Token, attribute};
use crate::deliver::forward::{history, verp};

/// The report that a message is; none where it is something else.
#[must_use]
pub fn report<'a>(case: &'a Case<'_>) -> Option<&'a Bounce> {
    match &case.judgement.verdict {
        Verdict::Bounce(bounce) => Some(bounce),
        Verdict::Loop(_)
        | Verdict::Complaint(_)
        | Verdict::Receipt(_)
        | Verdict::AutoReply(_)
        | Verdict::Notice(_)
        | Verdict::Ordinary => None,
    }
}

/// The destinations that this message reports about; none where it is no report, or proves nothing. `known` are those that the user's
/// mail goes to, as far as the caller knows, beside the ones of this run.
#[must_use]
pub fn find(guard: &Guard, case: &Case<'_>, known: &[String]) -> Vec<ForwardFailure> {
    let Some(bounce) = report(case) else {
        return Vec::new();
    };
    let mut destinations = case.destinations.clone();
    destinations.extend(
        known
            .iter()
            .filter(|address| !case.destinations.contains(address))
            .cloned(),
    );
    let sent_to = bounce
        .quoted_message_id
        .as_deref()
        .map(|id| history::sent_to(guard, id))
        .unwrap_or_default();
    let named;
    let token = match case.token {
        Some(claim) => {
            // It holds no address, only what tells one from another: whoever it is for is among these.
            let mut candidates = destinations.clone();
            candidates.extend(history::sent_with(guard, &claim));
            candidates.extend(bounce.recipients.iter().map(|recipient| recipient.address.clone()));
            named = candidates.into_iter().find(|address| claim.is_for(address));
            named.as_deref().map_or(Token::Missing, Token::For)
        }
        None if verp::are_required(guard, &case.envelope) => Token::Missing,
        None => Token::Unused,
    };
    let evidence = Evidence {
        token,
        sent_to: &sent_to,
        destinations: &destinations,
    };
    attribute(bounce, &evidence)
}
