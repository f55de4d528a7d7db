//! Remembers the messages that were sent on: which destinations had the same message a short while ago, whether the
//! user has it, too, and who wrote it. What cannot be read or written is forgotten, and the log says so: no delivery
//! stops for it.
//!
//! Looking and noting are one step: whoever forwards a message holds its turn meanwhile (`turn.rs`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::deliver::context::{Delivery, Run, Started};
use crate::deliver::forward::history_file::{self, History};
use crate::deliver::forward::history_line::{Fate, HistoryKey, HistoryLine, NOTHING, half_tag};
use crate::deliver::forward::rules::attribution::is_same_address;
use crate::deliver::forward::rules::sketch::Sketch;
use crate::message::envelope::Sender;
use crate::message::key::{MessageKey, of_id, split_halves};
use crate::message::verp::VerpToken;

/// A destination that had this same message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Had {
    pub destination: String,
    pub seconds_ago: u64,
}

/// Where a message still has to go, and where it went already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Repeats {
    /// These have not had it.
    pub fresh: Vec<String>,
    /// These had it a short while ago, and do not get it again: it came back without any mark, it came by another alias
    /// too, or the MTA tries again because it could not go everywhere at once.
    pub had: Vec<Had>,
}

impl Repeats {
    /// Says why the message goes nowhere; none where it goes somewhere.
    pub fn why_nowhere(&self) -> Option<String> {
        if !self.fresh.is_empty() || self.had.is_empty() {
            return None;
        }
        let had = self.had.iter().map(|had| {
            let ago = words(had.seconds_ago);
            format!("{} had this same message {ago} ago", had.destination)
        });
        Some(had.collect::<Vec<_>>().join("; "))
    }
}

/// Sorts `destinations` by whether they had this same message within the time that is configured.
pub fn without_repeats(run: &Run, delivery: &Delivery<'_>, history: &History, destinations: &[String]) -> Repeats {
    let within = match run.started {
        Started::ByMail => run.config.forward.duplicate_window.duration().as_secs(),
        Started::ByHand => 0,
    };
    let mut repeats = Repeats::default();
    let texts = if within > 0 {
        lines_about(history, delivery.name())
    } else {
        Vec::new()
    };
    let lines: Vec<_> = texts.iter().filter_map(|text| HistoryLine::read(text)).collect();
    let now = delivery.date.unix_timestamp();
    for destination in destinations {
        // By the distance: a clock that was set back makes no message new.
        let seconds = lines
            .iter()
            .filter(|line| line.fate == Fate::Sent && is_same_address(line.destination, destination))
            .map(|line| now.abs_diff(line.at))
            .min()
            .filter(|seconds| *seconds < within);
        match seconds {
            Some(seconds_ago) => repeats.had.push(Had {
                destination: destination.clone(),
                seconds_ago,
            }),
            None => repeats.fresh.push(destination.clone()),
        }
    }
    repeats
}

/// The envelope sender as a line has it.
fn sender_of<'a>(delivery: &'a Delivery<'_>) -> &'a str {
    match &delivery.envelope.sender {
        Sender::Address(address) => address.as_str(),
        Sender::Null | Sender::Unknown => NOTHING,
    }
}

/// What is to be remembered of a message at each destination, beside its fate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketches(pub Vec<(String, Sketch)>);

impl Sketches {
    fn text(&self, destination: &str) -> String {
        let found = self.0.iter().find(|(to, _)| to == destination);
        found.map(|(_, sketch)| sketch.text()).unwrap_or_default()
    }
}

/// Remembers what became of the message at these destinations.
pub fn note_fates(run: &Run, delivery: &Delivery<'_>, fates: &[(Fate, String)], sketches: &Sketches) {
    let texts: Vec<String> = fates.iter().map(|(_, to)| sketches.text(to)).collect();
    let (at, name) = (delivery.date.unix_timestamp(), delivery.name().to_string());
    let sender = sender_of(delivery);
    let mut lines = Vec::new();
    for ((fate, destination), sketch) in fates.iter().zip(&texts) {
        lines.push(HistoryLine::new(at, &name, *fate, destination).with_content(sender, sketch));
    }
    note(run, &lines);
}

/// Remembers that a message which is sent on, wholly or in part, lies in the user's mailbox as well: when it comes
/// back, it need not be put there again. Before it is sent: its report may be here before sendmail has ended.
pub fn note_kept(run: &Run, delivery: &Delivery<'_>) {
    note_one(run, delivery, delivery.name(), Fate::Kept);
}

/// Remembers that the copy will be taken back. Before it is: a kill in between leaves a copy too many, and no message
/// is thought to be where it is not.
pub fn note_gone(run: &Run, delivery: &Delivery<'_>) {
    note_one(run, delivery, delivery.name(), Fate::Gone);
}

/// Remembers that a message which came back was put into the user's mailbox. `name` is its own, `delivery` the
/// report's.
pub fn note_rescued(run: &Run, delivery: &Delivery<'_>, name: &MessageKey) {
    note_one(run, delivery, name, Fate::Rescued);
}

/// Tells whether the user has the message of this name already: a copy was kept, or it was put into the mailbox when it
/// came back the first time. What was sent to the same address once more after that (replayed, say, from a mailbox that
/// was emptied then) is a matter of its own.
pub fn has_it(run: &Run, name: &MessageKey) -> bool {
    read_history(run).is_some_and(|history| has(&lines_about(&history, name)))
}

/// The same for a message of which nothing but the Message-ID is known. A device may have one for all that it sends:
/// the user has to have each message of that id.
pub fn has_id(run: &Run, message_id: &str) -> bool {
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in lines_with_id(run, message_id) {
        if let Some(name) = HistoryLine::read(&text).map(|line| split_halves(line.name).1.to_owned()) {
            by_text.entry(name).or_default().push(text);
        }
    }
    !by_text.is_empty() && by_text.values().all(|texts| has(texts))
}

/// Goes through lines, the latest first.
fn has(texts: &[String]) -> bool {
    let mut sent: Vec<&str> = Vec::new();
    let (mut has, mut copied_at) = (false, None);
    for line in texts.iter().rev().filter_map(|text| HistoryLine::read(text)) {
        match line.fate {
            Fate::Kept => (has, copied_at) = (true, Some(line.at)),
            Fate::Rescued => has = true,
            Fate::Gone => (has, copied_at) = (false, None),
            Fate::Sent => {
                // The copy of what is sent is noted before it, with the same time.
                has &= copied_at == Some(line.at) || !sent.contains(&line.destination);
                sent.push(line.destination);
            }
            Fate::Own | Fate::Braked | Fate::Told | Fate::Surged | Fate::Answered | Fate::Repeated => {}
        }
    }
    has
}

/// Every line about messages with this Message-ID, the latest first.
fn lines_with_id(run: &Run, message_id: &str) -> Vec<String> {
    let found = of_id(message_id).zip(read_history(run));
    found.map_or_else(Vec::new, |(id, history)| history.lines_about(&HistoryKey::Id(id)))
}

pub fn sent_to(run: &Run, message_id: &str) -> Vec<String> {
    destinations_of(&lines_with_id(run, message_id))
}

/// How often a message with this Message-ID was sent to `destination`: a device may have one for all that it sends.
pub fn count_sent(run: &Run, message_id: &str, destination: &str) -> usize {
    let texts = lines_with_id(run, message_id);
    let lines = texts.iter().filter_map(|text| HistoryLine::read(text));
    let sent = lines.filter(|line| line.fate == Fate::Sent && is_same_address(line.destination, destination));
    sent.count()
}

/// Where the message was sent to that a token names.
pub fn sent_with(run: &Run, token: &VerpToken) -> Vec<String> {
    let Some(history) = read_history(run) else {
        return Vec::new();
    };
    destinations_of(&history.lines_about(&HistoryKey::Text(token.message())))
}

fn destinations_of(texts: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let lines = texts.iter().filter_map(|text| HistoryLine::read(text));
    for line in lines.filter(|line| line.fate == Fate::Sent) {
        if !found.iter().any(|known| is_same_address(known, line.destination)) {
            found.push(line.destination.to_owned());
        }
    }
    found
}

/// Every line about this message, the latest first.
pub fn lines_about(history: &History, name: &MessageKey) -> Vec<String> {
    let subjects = match &name.id {
        // Noted without its Message-ID, it is the same: some MTAs add one on the way.
        Some(_) => vec![
            HistoryKey::Whole(name.to_string()),
            HistoryKey::Whole(name.text.clone()),
        ],
        None => vec![HistoryKey::text(&name.text)],
    };
    let mut texts: Vec<String> = subjects
        .iter()
        .flat_map(|subject| history.lines_about(subject))
        .collect();
    texts.retain(|text| HistoryLine::read(text).is_some_and(|line| name.is(line.name)));
    texts
}

/// The part of a message's key that stands in a token.
pub fn token_part(name: &MessageKey) -> &str {
    half_tag(&name.text)
}

pub(super) fn find_dir(run: &Run) -> Option<PathBuf> {
    let dir = run.state_dir();
    if dir.is_none() {
        tracing::debug!(
            user = run.account.name,
            "no state directory: what is sent on is not remembered"
        );
    }
    dir
}

/// Opens what is remembered; none where that cannot be done. Nothing can be noted as long as it is held.
pub fn read_history(run: &Run) -> Option<History> {
    match history_file::open_history(&find_dir(run)?, &run.deadline) {
        Ok(history) => Some(history),
        Err(e) => {
            run.log_state_failure(&e, "what was sent on is not remembered");
            None
        }
    }
}

fn note_one(run: &Run, delivery: &Delivery<'_>, name: &MessageKey, fate: Fate) {
    let name = name.to_string();
    note(
        run,
        &[HistoryLine::new(delivery.date.unix_timestamp(), &name, fate, "-")],
    );
}

fn note(run: &Run, lines: &[HistoryLine<'_>]) {
    let Some(dir) = find_dir(run).filter(|_| !lines.is_empty()) else {
        return;
    };
    if let Err(e) = history_file::append_lines(&dir, lines, &run.deadline) {
        run.log_state_failure(&e, "what was sent on is not remembered");
    }
}

/// A length of time as people say it: the largest unit that fits.
fn words(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        _ => (seconds / 3600, "hour"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
