//! What is remembered of the messages that were sent on: which destinations had the same one a short while ago, and whether the user
//! has it too. What cannot be read or written is forgotten, and said in the log: no delivery stops for it.

use std::path::PathBuf;

use crate::deliver::context::{Case, Guard};
use crate::deliver::forward::history_file;
use crate::deliver::forward::history_file::{Fate, Line, Memory};
use crate::deliver::forward::rules::attribution::same;
use crate::message::key::{MessageKey, of_id};

/// A destination that had this same message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Had {
    /// The address.
    pub destination: String,
    /// How long ago, in seconds.
    pub seconds_ago: u64,
}

/// Where a message still has to go, and where it went already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Repeats {
    /// These have not had it.
    pub fresh: Vec<String>,
    /// These had it a short while ago, and do not get it again: it came back without any mark, or the mail system tries again
    /// because it could not go everywhere at once.
    pub had: Vec<Had>,
}

impl Repeats {
    /// Says why the message goes nowhere, for the header of the one that is kept; none where it goes somewhere.
    #[must_use]
    pub fn why_nowhere(&self) -> Option<String> {
        if !self.fresh.is_empty() || self.had.is_empty() {
            return None;
        }
        let had: Vec<_> = self
            .had
            .iter()
            .map(|had| {
                format!(
                    "{} had this same message {} ago",
                    had.destination,
                    words(had.seconds_ago)
                )
            })
            .collect();
        Some(had.join("; "))
    }
}

/// Sorts `destinations` by whether they had this same message within the time that is configured.
pub fn without_repeats(guard: &Guard, case: &Case<'_>, destinations: &[String]) -> Repeats {
    let within = guard.config.forward.duplicate_window.duration().as_secs();
    let mut repeats = Repeats::default();
    let memory = if within > 0 { recall(guard) } else { None };
    let lines = memory
        .as_ref()
        .map(|memory| about(memory, case.name()))
        .unwrap_or_default();
    let now = case.date.unix_timestamp();
    for destination in destinations {
        // By the distance: a clock that was set back makes no message new.
        let seconds = lines
            .iter()
            .filter(|line| line.fate == Fate::Sent && same(line.destination, destination))
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

/// Remembers that the mail system has taken the message for these destinations.
pub fn note_sent(guard: &Guard, case: &Case<'_>, destinations: &[String]) {
    let lines: Vec<_> = destinations
        .iter()
        .map(|destination| (Fate::Sent, destination.as_str()))
        .collect();
    note(guard, case, case.name(), &lines);
}

/// Remembers that a message which is sent on, wholly or in part, lies in the user's mailbox as well: when it comes back, it need not
/// be put there again. Before it is sent: its report may be here before sendmail has ended.
pub fn note_kept(guard: &Guard, case: &Case<'_>) {
    note(guard, case, case.name(), &[(Fate::Kept, "-")]);
}

/// Remembers that the copy will be taken back. Before it is: a kill in between leaves a copy too many, and no message is thought to be
/// where it is not.
pub fn note_gone(guard: &Guard, case: &Case<'_>) {
    note(guard, case, case.name(), &[(Fate::Gone, "-")]);
}

/// Remembers that a message which came back was put into the user's mailbox. `name` is its own, `case` the report's.
pub fn note_rescued(guard: &Guard, case: &Case<'_>, name: &MessageKey) {
    note(guard, case, name, &[(Fate::Rescued, "-")]);
}

/// Tells whether the user has the message of this name already: a copy was kept, or it was put into the mailbox when it came back the
/// first time. What was sent to the same address once more after that (replayed, say, from a mailbox that was emptied then) is a
/// matter of its own.
#[must_use]
pub fn has_it(guard: &Guard, name: &MessageKey) -> bool {
    let Some(memory) = recall(guard) else { return false };
    let mut sent: Vec<&str> = Vec::new();
    let (mut has, mut copied_at) = (false, None);
    for line in about(&memory, name) {
        match line.fate {
            Fate::Kept => (has, copied_at) = (true, Some(line.at)),
            Fate::Rescued => has = true,
            Fate::Gone => (has, copied_at) = (false, None),
            Fate::Sent => {
                // The copy of what is sent is noted before it, with the same time.
                has &= copied_at == Some(line.at) || !sent.contains(&line.destination);
                sent.push(line.destination);
            }
        }
    }
    has
}

/// The same for a message of which nothing but the Message-ID is known.
#[must_use]
pub fn has_id(guard: &Guard, message_id: &str) -> bool {
    let name = of_id(message_id).map(|id| MessageKey {
        id: Some(id),
        text: String::new(),
    });
    name.is_some_and(|name| has_it(guard, &name))
}

/// Where the message with this Message-ID was sent to.
#[must_use]
pub fn sent_to(guard: &Guard, message_id: &str) -> Vec<String> {
    let Some((id, memory)) = of_id(message_id).zip(recall(guard)) else {
        return Vec::new();
    };
    distinct(memory.about(&[&id]))
}

/// Every destination that is remembered.
#[must_use]
pub fn destinations(guard: &Guard) -> Vec<String> {
    recall(guard).map(|memory| distinct(memory.lines())).unwrap_or_default()
}

fn distinct<'a>(lines: impl Iterator<Item = Line<'a>>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in lines.filter(|line| line.fate == Fate::Sent) {
        if !found.iter().any(|known| same(known, line.destination)) {
            found.push(line.destination.to_owned());
        }
    }
    found
}

fn about<'a>(memory: &'a Memory, name: &MessageKey) -> Vec<Line<'a>> {
    let mut parts: Vec<&str> = name.id.as_deref().into_iter().chain([name.text.as_str()]).collect();
    parts.retain(|part| !part.is_empty());
    memory.about(&parts).filter(|line| name.is(line.name)).collect()
}

fn dir(guard: &Guard) -> Option<PathBuf> {
    let dir = guard.state_dir();
    if dir.is_none() {
        tracing::debug!(
            user = guard.account.name,
            "no state directory: what is sent on is not remembered"
        );
    }
    dir
}

fn recall(guard: &Guard) -> Option<Memory> {
    match history_file::recall(&dir(guard)?) {
        Ok(memory) => Some(memory),
        Err(e) => {
            tracing::warn!(user = guard.account.name, cause = %e, "what was sent on is not remembered");
            None
        }
    }
}

fn note(guard: &Guard, case: &Case<'_>, name: &MessageKey, fates: &[(Fate, &str)]) {
    let Some(dir) = dir(guard).filter(|_| !fates.is_empty()) else {
        return;
    };
    let (at, name) = (case.date.unix_timestamp(), name.to_string());
    let lines: Vec<_> = fates
        .iter()
        .map(|(fate, destination)| Line {
            at,
            name: &name,
            fate: *fate,
            destination,
        })
        .collect();
    if let Err(e) = history_file::remember(&dir, &lines, &guard.deadline) {
        tracing::warn!(user = guard.account.name, cause = %e, "what was sent on is not remembered");
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
