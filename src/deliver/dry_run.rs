//! Says what a delivery would do with a message.

use crate::classify::policy::Action;
use crate::deliver::context::{Delivery, Run};
use crate::deliver::forward::gate;
use crate::deliver::headers;
use crate::error::Error;
use crate::message::address::why_not_plain;

/// What a dry run says about a message. Fails when the mailbox that it would go into cannot be used.
pub fn describe_run(run: &Run, delivery: &Delivery<'_>) -> Result<String, Error> {
    let to = match delivery.action {
        Action::Append | Action::Keep(_) => {
            run.store.refuse_unusable(run)?;
            run.store.to_string()
        }
        Action::Forward(_) => delivery.destinations.join(", "),
        Action::Divert(_) => run.config.admin.clone(),
    };
    let verdict = headers::verdict_text(&delivery.judgement.verdict);
    let marker = headers::strongest_marker(&delivery.judgement)
        .map(|m| format!(", because of {}", headers::quote_text(&headers::marker_text(m))));
    let kept = match delivery.action {
        Action::Forward(_) => why_odd(&delivery.destinations).or_else(|| gate::why_kept(run, delivery)),
        Action::Append | Action::Keep(_) | Action::Divert(_) => None,
    };
    let kept = kept.map(|why| format!("; a copy would be kept: {why}"));
    Ok(format!(
        "would {}: {to}; verdict {verdict}{}{}\n",
        delivery.action.name(),
        marker.unwrap_or_default(),
        kept.unwrap_or_default()
    ))
}

/// Which of the destinations is no address, as `forward::send_on` sees it.
fn why_odd(destinations: &[String]) -> Option<String> {
    let (to, why) = destinations.iter().find_map(|to| Some((to, why_not_plain(to)?)))?;
    Some(format!("{} is not a valid address: {why}", headers::quote_text(to)))
}
