//! What a mailbox holds: numbers that grow message by message. Memory does not grow with the mailbox. The rarer senders
//! of a large one are forgotten on the way. Of two equal messages far apart, the second may not be known again. What
//! bloats a mailbox is neither rare nor far apart.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::spool::rules::summary::{DoubtfulLine, MailKind, MessageSummary, Reading, Repetition};

/// How many messages, and how many bytes they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub messages: u64,
    /// Their length, separator lines included.
    pub bytes: u64,
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
    }
}

/// The most frequent of many names, with their counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tops(HashMap<String, Count>);

impl Tops {
    /// From here on the rarest are forgotten.
    const MOST: usize = 1024;

    /// So many stay then, by messages and by bytes.
    const STAY: usize = 256;

    fn add(&mut self, name: &str, bytes: u64) {
        if let Some(count) = self.0.get_mut(name) {
            count.add(bytes);
            return;
        }
        if self.0.len() >= Self::MOST {
            self.keep_largest(Self::STAY);
        }
        self.0.entry(name.to_owned()).or_default().add(bytes);
    }

    /// Forgets all but the `most` that have the most messages and the `most` that have the most bytes.
    pub fn keep_largest(&mut self, most: usize) {
        if self.0.len() <= most {
            return;
        }
        let mut kept: HashMap<String, Count> = HashMap::new();
        for by in [by_messages, by_bytes] {
            let chosen: Vec<_> = self
                .first(most, by)
                .map(|(name, count)| (name.to_owned(), count))
                .collect();
            kept.extend(chosen);
        }
        self.0 = kept;
    }

    /// The first `most` of them, the greatest first.
    pub fn first(&self, most: usize, by: fn(&Count) -> u64) -> impl Iterator<Item = (&str, Count)> {
        let mut all: Vec<_> = self.0.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        all.sort_unstable_by(|(a, x), (b, y)| by(y).cmp(&by(x)).then_with(|| a.cmp(b)));
        all.into_iter().take(most)
    }
}

pub fn by_messages(count: &Count) -> u64 {
    count.messages
}

pub fn by_bytes(count: &Count) -> u64 {
    count.bytes
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxStats {
    pub all: Count,
    pub kinds: BTreeMap<MailKind, Count>,
    pub seen: Count,
    /// Those that the mailbox holds already, further up.
    pub duplicates: Count,
    /// When the oldest was delivered, in seconds since 1970.
    pub oldest: Option<i64>,
    pub newest: Option<i64>,
    pub newest_seen: Option<i64>,
    pub senders: Tops,
    /// What they are about, by kind.
    pub labels: BTreeMap<MailKind, Tops>,
    /// Those in which another message may begin.
    #[serde(default)]
    pub doubtful: u64,
    #[serde(default)]
    pub doubt: Option<DoubtfulLine>,
}

impl MailboxStats {
    pub fn add(&mut self, letter: &MessageSummary) {
        let bytes = letter.bytes;
        self.add_named(bytes, letter.reading == Reading::Seen, letter.date);
        self.kinds.entry(letter.kind).or_default().add(bytes);
        self.senders.add(&letter.sender, bytes);
        if !letter.labels.is_empty() {
            let labels = self.labels.entry(letter.kind).or_default();
            letter.labels.iter().for_each(|label| labels.add(label, bytes));
        }
        // Two notices are no duplicates, whatever they say; and what may be two messages is left where it is.
        if letter.repeats == Repetition::Earlier && letter.kind != MailKind::Notice && letter.doubt.is_none() {
            self.duplicates.add(bytes);
        }
        if let Some(doubt) = &letter.doubt {
            self.doubtful += 1;
            self.doubt.get_or_insert_with(|| doubt.clone());
        }
    }

    /// Counts one message of which nothing is known but what its name says.
    pub fn add_named(&mut self, bytes: u64, is_seen: bool, date: Option<i64>) {
        self.all.add(bytes);
        if is_seen {
            self.seen.add(bytes);
            self.newest_seen = self.newest_seen.max(date);
        }
        self.newest = self.newest.max(date);
        self.oldest = match (self.oldest, date) {
            (Some(oldest), Some(date)) => Some(oldest.min(date)),
            (oldest, date) => oldest.or(date),
        };
    }

    pub fn is_judged(&self) -> bool {
        self.all.messages == 0 || !self.kinds.is_empty()
    }

    pub fn of(&self, kind: MailKind) -> Count {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }

    /// What most of one kind are about.
    pub fn top_of(&self, kind: MailKind) -> Option<(&str, Count)> {
        self.labels.get(&kind)?.first(1, by_messages).next()
    }

    /// Forgets what only matters while it grows.
    pub fn forget_growth(&mut self, most: usize) {
        self.senders.keep_largest(most);
        self.labels.values_mut().for_each(|labels| labels.keep_largest(most));
    }
}

#[cfg(test)]
mod tests {
    use super::{MailboxStats, Tops, by_bytes, by_messages};
    use crate::spool::rules::summary::{DoubtfulLine, MailKind, MessageSummary, Reading, Repetition};

    fn letter(repeats: Repetition, reading: Reading) -> MessageSummary {
        MessageSummary {
            bytes: 100,
            date: Some(5),
            kind: MailKind::Ordinary,
            reading,
            sender: "s@s.test".to_owned(),
            labels: Vec::new(),
            repeats,
            doubt: None,
        }
    }

    #[test]
    fn numbers_grow_message_by_message() {
        let mut survey = MailboxStats::default();
        for (repeats, reading) in [
            (Repetition::No, Reading::Seen),
            (Repetition::No, Reading::Unseen),
            (Repetition::Earlier, Reading::Unseen),
        ] {
            survey.add(&letter(repeats, reading));
        }
        assert_eq!(
            (survey.all.messages, survey.seen.messages, survey.duplicates.messages),
            (3, 1, 1)
        );
        assert_eq!(survey.oldest, survey.newest_seen);
        // Neither is taken by a sweep.
        let mut notice = letter(Repetition::Earlier, Reading::Unseen);
        notice.kind = MailKind::Notice;
        let mut doubtful = letter(Repetition::Earlier, Reading::Unseen);
        doubtful.doubt = Some(DoubtfulLine {
            offset: 1,
            line: String::new(),
        });
        [notice, doubtful].iter().for_each(|letter| survey.add(letter));
        assert_eq!(survey.duplicates.messages, 1);
    }

    #[test]
    fn the_greatest_stay_whatever_else_comes() {
        let mut tops = Tops::default();
        for n in 0..20_000_u64 {
            tops.add(&format!("rare{n}@s.test"), 10);
            tops.add("often@s.test", 1);
            if n.is_multiple_of(1000) {
                tops.add("large@s.test", 1_000_000);
            }
        }
        assert_eq!(
            tops.first(1, by_messages).next().map(|(name, _)| name),
            Some("often@s.test")
        );
        assert_eq!(
            tops.first(1, by_bytes)
                .next()
                .map(|(name, count)| (name, count.messages)),
            Some(("large@s.test", 20))
        );
        assert!(tops.0.len() <= Tops::MOST);
        tops.keep_largest(3);
        assert!(tops.0.len() <= 6);
    }
}
