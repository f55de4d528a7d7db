//! What a dry run says: what would be done with the message.

use crate::classify::policy::Action;
use crate::deliver::context::{Delivery, Run};
use crate::deliver::forward::gate;
use crate::deliver::headers;

/// What a dry run says about a message.
#[must_use]
pub fn rehearsal(guard: &Run, case: &Delivery<'_>) -> String {
    let to = match case.action {
        Action::Append | Action::Keep(_) => guard.mailbox().display().to_string(),
        Action::Forward(_) => case.destinations.join(", "),
        Action::Divert(_) => guard.config.admin.clone(),
    };
    let verdict = headers::verdict(&case.judgement.verdict);
    let marker =
        headers::strongest(&case.judgement).map(|m| format!(", because of {}", headers::quoted(&headers::shown(m))));
    let suspended = match case.action {
        Action::Forward(_) => gate::why_kept(guard, case).map(|why| format!("; a copy would be kept: {why}")),
        Action::Append | Action::Keep(_) | Action::Divert(_) => None,
    };
    format!(
        "would {}: {to}; verdict {verdict}{}{}\n",
        case.action.name(),
        marker.unwrap_or_default(),
        suspended.unwrap_or_default()
    )
}
