//! What was kept for one destination instead of being sent on, as a list that only grows: a line for each thing that happened to a message.
//! What a line says that nobody can read is passed over; the others hold.

use std::fmt::Write as _;

use crate::moment::{DAY, HOUR};

/// How much of what the other side said is written down, in characters.
const SAID_CHARACTERS: usize = 300;

/// Why a message was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeptReason {
    /// The destination is suspended.
    Suspended,
    /// The MTA of this host refused to send it there.
    Refused,
    /// It was sent there, and came back in a bounce.
    Returned,
    /// The same, refused for what it is: a policy, a filter, its sender. The destination lives.
    Policy,
    /// It came from there, and whoever reads there knows it.
    Own,
    /// Mail goes round with the destination.
    Loop,
}

impl KeptReason {
    const ALL: [Self; 6] = [
        Self::Suspended,
        Self::Refused,
        Self::Returned,
        Self::Policy,
        Self::Own,
        Self::Loop,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::Refused => "refused",
            Self::Returned => "returned",
            Self::Policy => "policy",
            Self::Own => "own",
            Self::Loop => "loop",
        }
    }

    /// How long the user need not hear of it, in seconds: a destination that fails is suspended meanwhile, and that is told. A policy
    /// suspends nothing. Of a loop a notice of its own tells at once.
    fn patience(self) -> u64 {
        match self {
            Self::Policy => 0,
            Self::Suspended | Self::Refused | Self::Returned => HOUR,
            Self::Own | Self::Loop => DAY,
        }
    }

    /// Tells whether the user can end it, and so send the message on.
    pub fn can_end(self) -> bool {
        self != Self::Own
    }
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeptEvent<'a> {
    /// A message was kept: its key, why, and what was said.
    Kept(&'a str, KeptReason, &'a str),
    /// It is about to be sent on.
    Sending(&'a str),
    /// It was sent on.
    Sent(&'a str),
    /// The user has removed it from the mailbox.
    Gone(&'a str),
    /// The user was told of all lines above.
    Told,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptState {
    /// It waits.
    Kept,
    /// A run that was killed may have sent it.
    Sending,
    /// It was sent on, or the user has removed it.
    Settled,
}

/// One message that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMessage {
    /// What it is known by.
    pub key: String,
    /// When it was kept, in seconds since 1970.
    pub at: i64,
    /// Why.
    pub reason: KeptReason,
    /// What the other side said; may be empty.
    pub said: String,
    /// How far it has come.
    pub state: KeptState,
    /// Whether the user knows.
    pub told: bool,
}

/// All that was kept for one destination, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptList {
    /// The destination.
    pub destination: String,
    /// The user's own address.
    pub own: String,
    /// The messages.
    pub entries: Vec<KeptMessage>,
    /// When the user was told last.
    pub told_at: Option<i64>,
}

/// The first line of a list.
pub fn first_line(destination: &str, own: &str) -> String {
    format!("for {} of {}\n", one_line(destination), one_line(own))
}

/// The line about one event.
pub fn write_line(at: i64, event: &KeptEvent<'_>) -> String {
    let mut text = format!("{at} ");
    let _ = match event {
        KeptEvent::Kept(key, reason, said) => write!(text, "kept {key} {} {}", reason.name(), one_line(said)),
        KeptEvent::Sending(key) => write!(text, "sending {key}"),
        KeptEvent::Sent(key) => write!(text, "sent {key}"),
        KeptEvent::Gone(key) => write!(text, "gone {key}"),
        KeptEvent::Told => write!(text, "told"),
    };
    text.push('\n');
    text
}

fn one_line(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.take(SAID_CHARACTERS).collect()
}

impl KeptList {
    /// Reads a list.
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut list = Self::default();
        for line in text.lines() {
            if let Some((destination, own)) = line.strip_prefix("for ").and_then(|rest| rest.split_once(" of ")) {
                (list.destination, list.own) = (destination.to_owned(), own.to_owned());
            } else {
                list.take(line);
            }
        }
        list
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let (at, rest) = line.split_once(' ')?;
        let at: i64 = at.parse().ok()?;
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "kept" => {
                let (key, rest) = rest.split_once(' ')?;
                let (reason, said) = rest.split_once(' ').unwrap_or((rest, ""));
                let reason = KeptReason::ALL.into_iter().find(|known| known.name() == reason)?;
                self.keep(key, at, reason, said);
            }
            "sending" => self.change(rest, KeptState::Sending),
            "sent" | "gone" => self.change(rest, KeptState::Settled),
            "told" => {
                self.told_at = Some(at);
                self.entries.iter_mut().for_each(|entry| entry.told = true);
            }
            _ => {}
        }
        Some(())
    }

    /// A message that is kept a second time is one: the MTA tried again, or it was sent and refused.
    fn keep(&mut self, key: &str, at: i64, reason: KeptReason, said: &str) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == key) {
            if entry.state != KeptState::Settled {
                (entry.reason, entry.said, entry.state) = (reason, said.to_owned(), KeptState::Kept);
            } else if matches!(reason, KeptReason::Returned | KeptReason::Policy) {
                // It was sent on, and came back once more: nobody has to be told twice, and once more it waits.
                (entry.reason, entry.said, entry.state) = (reason, said.to_owned(), KeptState::Kept);
            }
            return;
        }
        self.entries.push(KeptMessage {
            key: key.to_owned(),
            at,
            reason,
            said: said.to_owned(),
            state: KeptState::Kept,
            told: false,
        });
    }

    fn change(&mut self, key: &str, state: KeptState) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == key)
            && entry.state != KeptState::Settled
        {
            entry.state = state;
        }
    }

    /// Those that wait, the oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &KeptMessage> {
        self.entries.iter().filter(|entry| entry.state != KeptState::Settled)
    }

    /// Tells whether the user has to be told now: something was kept of which the user does not know, and a day has passed since the last
    /// notice. A time from the future, from a clock that was wrong, holds nothing up; runs at the same time need not agree to the second.
    pub fn is_due(&self, now: i64) -> bool {
        let hour = i64::try_from(HOUR).unwrap_or(i64::MAX);
        let has_passed = |at: i64, seconds: u64| {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            now.saturating_sub(at) >= seconds || at.saturating_sub(now) > hour
        };
        let is_news = |entry: &KeptMessage| !entry.told && has_passed(entry.at, entry.reason.patience());
        self.waiting().any(is_news) && self.told_at.is_none_or(|at| has_passed(at, DAY))
    }

    /// How many wait for each reason, and what was said last.
    pub fn reasons(&self) -> Vec<(KeptReason, u64, &str)> {
        let mut found: Vec<(KeptReason, u64, &str)> = Vec::new();
        for entry in self.waiting() {
            match found.iter_mut().find(|(reason, ..)| *reason == entry.reason) {
                Some((_, count, said)) => {
                    *count += 1;
                    *said = &entry.said;
                }
                None => found.push((entry.reason, 1, &entry.said)),
            }
        }
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{KeptEvent, KeptList, KeptReason, KeptState, first_line, write_line};

    const DAY: i64 = 24 * 60 * 60;

    fn list(events: &[(i64, KeptEvent<'_>)]) -> KeptList {
        let lines: String = events.iter().map(|(at, event)| write_line(*at, event)).collect();
        KeptList::read((first_line("b@b.test", "a@a.test") + &lines).as_bytes())
    }

    fn kept(key: &str) -> KeptEvent<'_> {
        KeptEvent::Kept(key, KeptReason::Policy, "550 no\nsuch user")
    }

    #[test]
    fn a_message_waits_until_it_was_sent_or_is_gone() {
        let read = list(&[
            (1, kept("x")),
            (2, kept("y")),
            (3, kept("x")),
            (4, kept("z")),
            (5, KeptEvent::Sending("x")),
            (6, KeptEvent::Sent("x")),
            (7, KeptEvent::Sending("y")),
            (8, KeptEvent::Gone("z")),
            // The MTA tries again what was sent meanwhile.
            (9, KeptEvent::Kept("x", KeptReason::Suspended, "")),
        ]);
        let waiting: Vec<_> = read.waiting().map(|e| (e.key.as_str(), e.state)).collect();
        assert_eq!(waiting, [("y", KeptState::Sending)]);
        assert_eq!((read.destination.as_str(), read.own.as_str()), ("b@b.test", "a@a.test"));
        assert_eq!(read.reasons(), [(KeptReason::Policy, 1, "550 no such user")]);
        // What was sent and came back waits once more.
        let again = list(&[
            (1, kept("x")),
            (2, KeptEvent::Sent("x")),
            (3, KeptEvent::Kept("x", KeptReason::Returned, "")),
        ]);
        assert_eq!(again.waiting().count(), 1);
    }

    #[test]
    fn the_user_is_told_once_a_day_at_most_and_only_of_news() {
        let told = [(10, kept("x")), (10, KeptEvent::Told)];
        assert!(list(&told[..1]).is_due(10));
        assert!(!list(&told).is_due(10 + 2 * DAY));
        let news = [(10, kept("x")), (10, KeptEvent::Told), (11, kept("y"))];
        assert!(!list(&news).is_due(9 + DAY));
        assert!(list(&news).is_due(10 + DAY));
        assert!(!list(&news).is_due(9), "another run's clock");
        assert!(list(&news).is_due(9 - 2 * 60 * 60), "the clock was wrong");
        let refused = [(11, KeptEvent::Kept("x", KeptReason::Refused, ""))];
        assert!(!list(&refused).is_due(10), "another run has seen the next second");
        let dead = [(10, KeptEvent::Kept("x", KeptReason::Returned, ""))];
        assert!(!list(&dead).is_due(10) && list(&dead).is_due(10 + 60 * 60));
        let sent = [(10, kept("x")), (11, KeptEvent::Sent("x"))];
        assert!(!list(&sent).is_due(12));
    }

    #[test]
    fn lines_that_nobody_can_read_are_passed_over() {
        let text = b"for b@b.test of a@a.test\n1 kept x refused\n2 kep\n\xff\xff\n3 kept y suspended b\n9 se";
        let read = KeptList::read(text);
        assert_eq!(read.waiting().count(), 2);
    }
}
