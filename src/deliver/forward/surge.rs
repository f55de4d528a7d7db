//! Tells the user and the administrator, once a day, that a destination gets far more than ever before. `rules::surge`
//! decides, by all that the history has. Nothing is kept for that.

use crate::deliver::context::{Delivery, Run, Started};
use crate::deliver::forward::destinations;
use crate::deliver::forward::history::{self, Sketches};
use crate::deliver::forward::history_line::{Fate, HistoryLine};
use crate::deliver::forward::loops::is_told;
use crate::deliver::forward::rules::attribution::is_same_address;
use crate::deliver::forward::rules::surge::{find_surge, is_time_to_look};
use crate::deliver::forward::rules::{HeldBackKind, To};

/// As much of the history's end is read, in bytes: some ten thousand messages.
const PAST_BYTES: u64 = 4 << 20;

/// Looks, now and then, at how much was sent to those that had this message.
pub fn tell_of_surge(run: &Run, delivery: &Delivery<'_>, taken: &[String], sketches: &Sketches) {
    let now = delivery.date.unix_timestamp();
    let sketches = sketches.0.iter().filter(|_| run.started == Started::ByMail);
    for (destination, _) in sketches.filter(|(to, sketch)| taken.contains(to) && is_time_to_look(sketch.gap, now)) {
        tell_of(run, delivery, destination, now);
    }
}

fn tell_of(run: &Run, delivery: &Delivery<'_>, destination: &str, now: i64) {
    let Some(known) = history::read_history(run) else {
        return;
    };
    let text = known.recent(PAST_BYTES);
    let sent = HistoryLine::read_all(&text)
        .filter(|line| line.fate == Fate::Sent)
        .filter(|line| line.destination == destination || is_same_address(line.destination, destination));
    let mut times: Vec<i64> = sent.map(|line| line.at).collect();
    times.sort_unstable();
    let Some(surge) = find_surge(&times, now) else {
        return;
    };
    if is_told(&known, Fate::Surged, destination, now) {
        return;
    }
    drop(known);
    tracing::warn!(
        action = "surge",
        user = run.account.name,
        to = destination,
        note = format!(
            "{} messages within {} min, never more than {} before",
            surge.messages, surge.minutes, surge.before
        )
    );
    destinations::tell_of_loop(run, delivery, destination, HeldBackKind::Surge, &[To::User, To::Admin]);
    let told = [(Fate::Surged, destination.to_owned())];
    history::note_fates(run, delivery, &told, &Sketches::default());
}
