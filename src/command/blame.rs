//! Finds out which of the user's destinations a report is about: gathers what the message, the key and the memory of recent
//! forwards know, and lets `decide` judge. What cannot be read proves nothing, and stops no delivery.

use crate::command::case::{Case, Guard};
use crate::decide::attribution::{Blame, Evidence, Token, attribute};
use crate::decide::verdict::Verdict;

/// The destinations that this message reports about, `known` among them; none where it is no report, or proves nothing.
#[must_use]
pub fn find(_guard: &Guard, case: &Case<'_>, known: &[String]) -> Vec<Blame> {
    let bounce = match &case.judgement.verdict {
        Verdict::Bounce(bounce) => bounce,
        Verdict::Loop(_) | Verdict::Complaint(_) | Verdict::Receipt(_) | Verdict::AutoReply(_) | Verdict::Ordinary => {
            return Vec::new();
        }
    };
    let evidence = Evidence {
        token: Token::Unused,
        sent_to: &[],
        destinations: known,
    };
    attribute(bounce, &evidence)
}
