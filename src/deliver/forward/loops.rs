//! Keeps mail from going round with a destination: asks, before a message is sent on, from which destinations it came,
//! and where the brake holds. `rules::came_from` and `rules::brake` decide, by the last lines of the history.
//!
//! What is held back is delivered locally, and the user is told once a day for each destination. When the brake holds,
//! the administrator is told, too. Where nothing can be remembered, only what names the destination as its author is
//! held back.

use crate::deliver::context::{Delivery, Run, Started};
use crate::deliver::forward::destinations;
use crate::deliver::forward::held_back::HeldBack;
use crate::deliver::forward::history::{self, Sketches};
use crate::deliver::forward::history_file::History;
use crate::deliver::forward::history_line::{Fate, HistoryKey, HistoryLine};
use crate::deliver::forward::rules::To;
use crate::deliver::forward::rules::attribution::is_same_address;
use crate::deliver::forward::rules::brake::{FLOOD, HOUR, STRONG, weigh_arrival};
use crate::deliver::forward::rules::came_from::came_from;
use crate::deliver::forward::rules::past::{Past, Was};
use crate::deliver::forward::rules::sketch::{Arrival, Sketch};

/// As much of the history's end is read for each message, in bytes: some hundred messages.
const RECENT_BYTES: u64 = 96 << 10;

/// The same where that is less than an hour: as much as the largest number that is counted.
const FLOOD_BYTES: u64 = FLOOD as u64 * 512;

/// For how long user and administrator have been told, in seconds.
const TOLD: i64 = 24 * 3600;

/// Where a message may go, as far as loops are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Parted {
    /// It may go there.
    pub open: Vec<String>,
    /// It may not.
    pub back: Vec<(String, HeldBack)>,
    /// What is to be remembered of it at each.
    pub sketches: Sketches,
}

impl Parted {
    /// Tells whether the message seems to be caused by an earlier forward to one of the destinations that it may go to.
    pub fn continues_chain(&self) -> bool {
        let mut sketches = self.sketches.0.iter();
        sketches.any(|(to, sketch)| sketch.weight >= STRONG && self.open.contains(to))
    }
}

/// Parts `destinations` by whether the message may go there.
pub fn part_destinations(run: &Run, delivery: &Delivery<'_>, history: &History, destinations: &[String]) -> Parted {
    let mut parted = Parted::default();
    let arrival = Arrival::of(
        &delivery.message,
        &delivery.envelope.sender,
        &delivery.envelope.own,
        &delivery.judgement,
    );
    let now = delivery.date.unix_timestamp();
    let recent = recent(history, now);
    let lines: Vec<HistoryLine<'_>> = HistoryLine::read_all(&recent).collect();
    let [answered, attached] = [&arrival.references, &arrival.attached].map(|ids| lines_about(history, ids));
    let [answered, attached] = [&answered, &attached].map(|lines| read_lines(lines));
    for destination in destinations {
        let past = past(&lines, destination);
        let answered = past_sent(&answered, destination);
        let causes = [answered.clone(), past_sent(&attached, destination)].concat();
        let weighed = weigh_arrival(&arrival, arrival.is_near(destination), &past, &causes, now);
        let back = match came_from(&arrival, destination, &answered) {
            Some(sign) => Some(HeldBack::CameFrom(sign)),
            None => weighed.brake.map(HeldBack::Brake),
        };
        // Whoever sends stored mail by hand wants it sent.
        match back.filter(|_| run.started == Started::ByMail) {
            Some(back) => parted.back.push((destination.clone(), back)),
            None => parted.open.push(destination.clone()),
        }
        parted.sketches.0.push((destination.clone(), weighed.sketch));
    }
    parted
}

/// The last lines, as far as they are needed.
fn recent(history: &History, now: i64) -> String {
    let text = history.recent(RECENT_BYTES);
    let is_young = |line: HistoryLine<'_>| now.saturating_sub(line.at) < HOUR;
    let is_all = (text.len() as u64) < RECENT_BYTES;
    if !is_all && HistoryLine::read_all(&text).next().is_some_and(is_young) {
        history.recent(FLOOD_BYTES)
    } else {
        text
    }
}

/// The lines about the messages with these Message-IDs.
fn lines_about(history: &History, ids: &[String]) -> Vec<String> {
    let ids = ids.iter().cloned().map(HistoryKey::Id);
    ids.flat_map(|id| history.lines_about(&id)).collect()
}

fn read_lines(lines: &[String]) -> Vec<HistoryLine<'_>> {
    lines.iter().filter_map(|text| HistoryLine::read(text)).collect()
}

fn past(lines: &[HistoryLine<'_>], destination: &str) -> Vec<Past> {
    let was = |line: &HistoryLine<'_>| match line.fate {
        Fate::Sent => Some(Was::Sent),
        Fate::Own => Some(Was::Own),
        Fate::Braked => Some(Was::Braked),
        Fate::Kept | Fate::Gone | Fate::Rescued | Fate::Told | Fate::Surged | Fate::Answered | Fate::Repeated => None,
    };
    let is_own =
        |line: &&HistoryLine<'_>| line.destination == destination || is_same_address(line.destination, destination);
    let own = lines.iter().filter(is_own);
    own.filter_map(|line| {
        Some(Past {
            at: line.at,
            was: was(line)?,
            sketch: Sketch::read(line.sketch)?,
        })
    })
    .collect()
}

fn past_sent(lines: &[HistoryLine<'_>], destination: &str) -> Vec<Past> {
    let mut past = past(lines, destination);
    past.retain(|past| past.was == Was::Sent);
    past
}

/// Remembers what was held back and lies where the user finds it, and tells of it.
pub fn end_loops(run: &Run, delivery: &Delivery<'_>, back: &[(String, HeldBack)], sketches: &Sketches, is_kept: bool) {
    if is_kept && !back.is_empty() {
        let fates: Vec<_> = back.iter().map(|(to, back)| (back.fate(), to.clone())).collect();
        history::note_fates(run, delivery, &fates, sketches);
        for (destination, back) in back {
            tell(run, delivery, destination, *back);
        }
    }
}

/// Tells that mail is held back, if that was not told lately. A notice that cannot be written is owed.
fn tell(run: &Run, delivery: &Delivery<'_>, destination: &str, back: HeldBack) {
    let now = delivery.date.unix_timestamp();
    if history::read_history(run).is_some_and(|history| is_told(&history, Fate::Told, destination, now)) {
        return;
    }
    tracing::warn!(
        action = "held-back",
        user = run.account.name,
        to = destination,
        note = back.reason_text(destination)
    );
    let whom: &[To] = match back {
        HeldBack::CameFrom(_) => &[To::User],
        HeldBack::Brake(_) => &[To::User, To::Admin],
    };
    destinations::tell_of_loop(run, delivery, destination, back.kind(), whom);
    let told = [(Fate::Told, destination.to_owned())];
    history::note_fates(run, delivery, &told, &Sketches::default());
}

/// Tells whether the line that says so, of `fate`, was written lately.
pub fn is_told(history: &History, fate: Fate, destination: &str, now: i64) -> bool {
    let lines = history.lines_about(&HistoryKey::count(fate, destination));
    let within =
        |text: &String| HistoryLine::read(text).is_some_and(|line| now.abs_diff(line.at) < TOLD.unsigned_abs());
    lines.iter().any(within)
}
