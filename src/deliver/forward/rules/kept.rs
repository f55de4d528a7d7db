//! The list of messages that were kept for one destination instead of being sent on. It grows by a line for each thing
//! that happens to a message; when it has grown long, it is written anew without the lines that nobody needs. A line
//! that nobody can read is passed over; the others hold.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use crate::moment::{DAY, HOUR};

/// How much of what the other side said is written down, in characters.
const SAID_CHARACTERS: usize = 300;

/// So many messages are on a list. Of more the oldest leave it: they are in the mailbox all the same.
const MOST: usize = 10_000;

/// For how long it is known that a message was sent on: an MTA may bring it again meanwhile (RFC 5321 section 4.5.4.1).
/// In seconds.
const REMEMBERED: u64 = 7 * DAY;

/// For how long a message that is no longer in the mailbox is looked for there, in seconds: it may come back from an
/// archive.
const SOUGHT: u64 = 366 * DAY;

/// So many lines too many are not worth writing the others anew.
const FEW: usize = 200;

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

    /// How long the user need not hear of it, in seconds: a destination that fails is suspended meanwhile, and that is
    /// told. A policy suspends nothing. Of a loop a notice of its own tells at once.
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
    /// It is no longer in the mailbox.
    Gone(&'a str),
    /// The same, and it is in this archive.
    Archived(&'a str, &'a str),
    /// The user was told of all lines above.
    Told,
    /// That notice could not be written: all of it is news again.
    NotTold,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptState {
    /// It waits.
    Kept,
    /// A run that was killed may have sent it.
    Sending,
    /// It is no longer in the mailbox: archived, moved or removed. Put back there, it waits again.
    Gone,
    /// It was sent on.
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
    /// The archive that took it out of the mailbox, where one did.
    pub archive: Option<String>,
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
    /// How many messages left the list because there were too many.
    pub left_off: u64,
    /// Where in `entries` each key is.
    places: HashMap<String, usize>,
    lines: usize,
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
        KeptEvent::Archived(key, archive) => write!(text, "archived {key} {}", one_line(archive)),
        KeptEvent::Told => write!(text, "told"),
        KeptEvent::NotTold => write!(text, "not-told"),
    };
    text.push('\n');
    text
}

/// The lines that make an entry what it is.
fn write_entry(entry: &KeptMessage) -> String {
    let kept = write_line(entry.at, &KeptEvent::Kept(&entry.key, entry.reason, &entry.said));
    let then = match entry.state {
        KeptState::Kept => String::new(),
        KeptState::Sending => write_line(entry.at, &KeptEvent::Sending(&entry.key)),
        KeptState::Gone => match &entry.archive {
            Some(archive) => write_line(entry.at, &KeptEvent::Archived(&entry.key, archive)),
            None => write_line(entry.at, &KeptEvent::Gone(&entry.key)),
        },
        KeptState::Settled => write_line(entry.at, &KeptEvent::Sent(&entry.key)),
    };
    kept + &then
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
            list.lines += 1;
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
            "sending" => self.change(rest, KeptState::Sending, None),
            "sent" => self.change(rest, KeptState::Settled, None),
            "gone" => self.change(rest, KeptState::Gone, None),
            "archived" => {
                let (key, archive) = rest.split_once(' ')?;
                self.change(key, KeptState::Gone, Some(archive));
            }
            "left-off" => self.left_off = rest.parse().ok()?,
            "told" => {
                self.told_at = Some(at);
                self.entries.iter_mut().for_each(|entry| entry.told = true);
            }
            "not-told" => {
                self.told_at = None;
                self.entries.iter_mut().for_each(|entry| entry.told = false);
            }
            _ => {}
        }
        Some(())
    }

    /// A message that is kept a second time is one: the MTA tried again, or it was sent and refused.
    fn keep(&mut self, key: &str, at: i64, reason: KeptReason, said: &str) {
        if let Some(entry) = self.find(key) {
            entry.archive = None;
            if entry.state != KeptState::Settled {
                (entry.reason, entry.said, entry.state) = (reason, said.to_owned(), KeptState::Kept);
            } else if matches!(reason, KeptReason::Returned | KeptReason::Policy) {
                // It was sent on, and came back once more: nobody has to be told twice, and once more it waits.
                (entry.reason, entry.said, entry.state) = (reason, said.to_owned(), KeptState::Kept);
            }
            return;
        }
        self.places.insert(key.to_owned(), self.entries.len());
        self.entries.push(KeptMessage {
            key: key.to_owned(),
            at,
            reason,
            said: said.to_owned(),
            state: KeptState::Kept,
            archive: None,
            told: false,
        });
    }

    fn find(&mut self, key: &str) -> Option<&mut KeptMessage> {
        let place = self.places.get(key)?;
        self.entries.get_mut(*place)
    }

    fn change(&mut self, key: &str, state: KeptState, archive: Option<&str>) {
        if let Some(entry) = self.find(key)
            && entry.state != KeptState::Settled
        {
            entry.state = state;
            entry.archive = archive.map(str::to_owned);
        }
    }

    /// Notes which of those that were gone are in the mailbox again: they wait once more.
    pub fn bring_back(&mut self, is_found: impl Fn(&str) -> bool) {
        let gone = self.entries.iter_mut().filter(|entry| entry.state == KeptState::Gone);
        gone.filter(|entry| is_found(&entry.key))
            .for_each(|entry| (entry.state, entry.archive) = (KeptState::Kept, None));
    }

    /// The list without what nobody needs any more; none where that would change little. What came from the destination
    /// nobody can send there: it is on the list to be told of, once.
    pub fn shorten(&self, now: i64) -> Option<String> {
        let is_older =
            |entry: &KeptMessage, than: u64| u64::try_from(now.saturating_sub(entry.at)).is_ok_and(|age| age > than);
        let is_over = |entry: &KeptMessage| match entry.state {
            KeptState::Settled => is_older(entry, REMEMBERED),
            KeptState::Gone => is_older(entry, SOUGHT),
            KeptState::Kept | KeptState::Sending => {
                entry.told && !entry.reason.can_end() && is_older(entry, REMEMBERED)
            }
        };
        let needed: Vec<&KeptMessage> = self.entries.iter().filter(|entry| !is_over(entry)).collect();
        let surplus = needed.len().saturating_sub(MOST);
        if self.lines <= 2 * needed.len() + FEW && surplus <= MOST / 4 {
            return None;
        }
        let mut text = first_line(&self.destination, &self.own);
        let left_off = self.left_off + surplus as u64;
        if left_off > 0 {
            let _ = writeln!(text, "{now} left-off {left_off}");
        }
        let (told, news): (Vec<_>, Vec<_>) = needed.into_iter().skip(surplus).partition(|entry| entry.told);
        told.into_iter().for_each(|entry| text.push_str(&write_entry(entry)));
        if let Some(at) = self.told_at {
            text.push_str(&write_line(at, &KeptEvent::Told));
        }
        news.into_iter().for_each(|entry| text.push_str(&write_entry(entry)));
        Some(text)
    }

    /// Those that wait, in the mailbox or in an archive that took them from there; the oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &KeptMessage> {
        let waits = |entry: &&KeptMessage| match entry.state {
            KeptState::Kept | KeptState::Sending => true,
            KeptState::Gone => entry.archive.is_some(),
            KeptState::Settled => false,
        };
        self.entries.iter().filter(waits)
    }

    /// How many of those that wait each archive has.
    pub fn count_by_archive(&self) -> BTreeMap<&str, u64> {
        let mut archives = BTreeMap::new();
        for archive in self.waiting().filter_map(|entry| entry.archive.as_deref()) {
            *archives.entry(archive).or_default() += 1;
        }
        archives
    }

    /// How many of those that wait are in the mailbox, as far as is known.
    pub fn count_in_mailbox(&self) -> u64 {
        self.waiting().filter(|entry| entry.archive.is_none()).count() as u64
    }

    /// Those that may be in the mailbox and are not sent: they wait, or were gone and may be back.
    pub fn entries_to_find(&self) -> impl Iterator<Item = &KeptMessage> {
        self.entries.iter().filter(|entry| entry.state != KeptState::Settled)
    }

    /// Tells whether the user has to be told now: something was kept of which the user does not know, and a day has
    /// passed since the last notice. A time from the future, from a clock that was wrong, holds nothing up; runs at the
    /// same time need not agree to the second.
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
    pub fn count_by_reason(&self) -> Vec<(KeptReason, u64, &str)> {
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
        assert_eq!(read.count_by_reason(), [(KeptReason::Policy, 1, "550 no such user")]);
        // What was sent and came back waits once more.
        let again = list(&[
            (1, kept("x")),
            (2, KeptEvent::Sent("x")),
            (3, KeptEvent::Kept("x", KeptReason::Returned, "")),
        ]);
        assert_eq!(again.waiting().count(), 1);
    }

    #[test]
    fn what_is_gone_is_sought_and_waits_once_it_is_back() {
        let events = [(1, kept("x")), (2, KeptEvent::Gone("x")), (3, kept("y"))];
        let mut read = list(&events);
        assert_eq!((read.waiting().count(), read.entries_to_find().count()), (1, 2));
        read.bring_back(|key| key == "x");
        assert_eq!(read.waiting().count(), 2);
        let sent = [(4, KeptEvent::Sending("x")), (5, KeptEvent::Sent("x"))];
        assert_eq!(list(&[&events[..], &sent].concat()).entries_to_find().count(), 1);
        // A list that is written anew keeps it for a year.
        let many = vec![(3, KeptEvent::Kept("y", KeptReason::Policy, "")); 300];
        let long = list(&[&events[..2], &many].concat());
        let count = |now| {
            KeptList::read(long.shorten(now).unwrap_or_default().as_bytes())
                .entries_to_find()
                .count()
        };
        assert_eq!((count(300 * DAY), count(400 * DAY)), (2, 1));
    }

    #[test]
    fn what_an_archive_took_waits_until_its_owner_lets_it_go() {
        let events = [
            (1, kept("x")),
            (1, kept("y")),
            (2, KeptEvent::Archived("x", "/a b.tar.gz")),
        ];
        let mut read = list(&events);
        assert_eq!((read.waiting().count(), read.count_in_mailbox()), (2, 1));
        assert_eq!(
            read.count_by_archive().into_iter().collect::<Vec<_>>(),
            [("/a b.tar.gz", 1)]
        );
        read.bring_back(|key| key == "x");
        assert_eq!((read.count_in_mailbox(), read.count_by_archive().len()), (2, 0));
        for over in [KeptEvent::Gone("x"), KeptEvent::Sent("x")] {
            let read = list(&[&events[..], &[(3, over)]].concat());
            assert_eq!((read.waiting().count(), read.count_by_archive().len()), (1, 0));
        }
        let many = vec![(3, kept("y")); 300];
        let text = list(&[&events[..], &many].concat()).shorten(4).unwrap_or_default();
        assert_eq!(KeptList::read(text.as_bytes()).count_by_archive().len(), 1, "{text}");
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
        let failed = [(10, kept("x")), (10, KeptEvent::Told), (10, KeptEvent::NotTold)];
        assert!(list(&failed).is_due(10), "the notice was not written");
        let refused = [(11, KeptEvent::Kept("x", KeptReason::Refused, ""))];
        assert!(!list(&refused).is_due(10), "another run has seen the next second");
        let dead = [(10, KeptEvent::Kept("x", KeptReason::Returned, ""))];
        assert!(!list(&dead).is_due(10) && list(&dead).is_due(10 + 60 * 60));
        let sent = [(10, kept("x")), (11, KeptEvent::Sent("x"))];
        assert!(!list(&sent).is_due(12));
    }

    #[test]
    fn a_long_list_loses_what_nobody_needs() {
        let own = |key| KeptEvent::Kept(key, KeptReason::Own, "");
        let keys: Vec<String> = (0..400).map(|n| format!("k{n}")).collect();
        let mut events = vec![(1, own("from-there")), (1, kept("waits")), (1, kept("sending"))];
        events.push((2, KeptEvent::Sending("sending")));
        events.extend(keys.iter().flat_map(|key| [(3, kept(key)), (3, KeptEvent::Sent(key))]));
        events.push((4, KeptEvent::Told));
        events.push((8 * DAY, kept("news")));
        events.extend([(8 * DAY, kept("sent")), (8 * DAY, KeptEvent::Sent("sent"))]);
        let long = list(&events);
        assert_eq!(long.shorten(5), None, "all of it is young");
        let text = long.shorten(9 * DAY).unwrap_or_default();
        let short = KeptList::read(text.as_bytes());
        let seen: Vec<_> = short
            .entries
            .iter()
            .map(|e| (e.key.as_str(), e.state, e.told))
            .collect();
        assert_eq!(
            seen,
            [
                ("waits", KeptState::Kept, true),
                ("sending", KeptState::Sending, true),
                ("news", KeptState::Kept, false),
                ("sent", KeptState::Settled, false),
            ]
        );
        assert_eq!(
            (short.told_at, short.destination.as_str(), short.own.as_str()),
            (Some(4), "b@b.test", "a@a.test")
        );
        assert_eq!((short.left_off, short.shorten(9 * DAY)), (0, None));
    }

    #[test]
    fn of_too_many_the_oldest_leave_the_list_and_are_counted() {
        let keys: Vec<String> = (0..13_000).map(|n| format!("k{n}")).collect();
        let events: Vec<_> = keys.iter().map(|key| (1, kept(key))).collect();
        let mut short = KeptList::read(list(&events).shorten(2).unwrap_or_default().as_bytes());
        assert_eq!((short.entries.len(), short.left_off), (10_000, 3000));
        assert_eq!(short.entries.first().map(|entry| entry.key.as_str()), Some("k3000"));
        assert_eq!(short.shorten(2), None);
        for n in 0..2501 {
            short.keep(&format!("more{n}"), 3, KeptReason::Suspended, "");
        }
        let again = KeptList::read(short.shorten(3).unwrap_or_default().as_bytes());
        assert_eq!((again.entries.len(), again.left_off), (10_000, 5501));
    }

    #[test]
    fn lines_that_nobody_can_read_are_passed_over() {
        let text = b"for b@b.test of a@a.test\n1 kept x refused\n2 kep\n\xff\xff\n3 kept y suspended b\n9 se";
        let read = KeptList::read(text);
        assert_eq!(read.waiting().count(), 2);
    }
}
