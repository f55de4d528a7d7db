//! Why does a mailbox grow, and what helps? One sentence and one remedy, from the numbers of a survey.
//!
//! A loop and its reports come first: they are what somebody has to mend. Then what makes up half of the mailbox, then
//! whether its owner reads at all. Where nothing stands out, nothing is said.

use std::fmt;

use crate::moment::Moment;
use crate::spool::rules::statistics::{Count, MailboxStats, by_bytes, by_messages};
use crate::spool::rules::summary::MailKind;

const DAY: i64 = 86400;

/// Fewer messages than this show no habit.
const FEW: u64 = 10;

/// Mail that was not touched for so long lies there for good, in days.
const LONG: i64 = 90;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrowthReason {
    Empty,
    /// Mail comes back again and again.
    Loop {
        /// The host that it comes back through.
        through: Option<String>,
        count: Count,
    },
    Reports {
        /// The address that most of them are about, and how many are.
        about: Option<(String, u64)>,
        count: Count,
    },
    /// The same messages again and again.
    Duplicates(Count),
    /// Output of jobs.
    Cron {
        /// The user and the command of most.
        job: Option<String>,
        count: Count,
    },
    /// Mailing lists.
    Lists {
        /// The one that most is from, and whether it alone is half of the mailbox.
        most: Option<String>,
        count: Count,
    },
    /// Complaints, receipts or automatic answers.
    Notices(MailKind, Count),
    Sender {
        address: String,
        count: Count,
    },
    NeverRead,
    /// Nothing that came since was read.
    NotReadSince(i64),
    /// What was read is left where it is.
    ReadAndKept(Count),
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    SweepBounces,
    SweepLoops,
    SweepDuplicates,
    /// Archive what is older than so many days.
    ArchiveOlder(i64),
    /// Archive what was read and is older than so many days.
    ArchiveSeen(i64),
    ArchiveAll,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    pub reason: GrowthReason,
    /// What else is to be said: nobody reads it.
    pub unread: bool,
    pub remedy: Option<Remedy>,
}

/// Whether a mailbox is near its limit, so that something has to go even where nothing stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaPressure {
    /// There is room, or no limit.
    Enough,
    /// It is nearly full, or over its limit.
    Short,
}

/// Finds the cause; `now` is in seconds since 1970.
pub fn diagnose(survey: &MailboxStats, now: i64, room: QuotaPressure) -> Diagnosis {
    let reason = reason(survey, now);
    let unread = survey.all.messages >= FEW && survey.seen.messages == 0 && age(survey.oldest, now) > LONG;
    let old = age(survey.oldest, now);
    let archive = [LONG, 30, 7]
        .into_iter()
        .find(|days| old > *days)
        .map(Remedy::ArchiveOlder);
    let remedy = match &reason {
        GrowthReason::Empty => None,
        GrowthReason::Loop { .. } => Some(Remedy::SweepLoops),
        GrowthReason::Reports { .. } => Some(Remedy::SweepBounces),
        GrowthReason::Duplicates(_) => Some(Remedy::SweepDuplicates),
        GrowthReason::ReadAndKept(_) => Some(Remedy::ArchiveSeen(LONG)),
        GrowthReason::Cron { .. }
        | GrowthReason::Lists { .. }
        | GrowthReason::Notices(..)
        | GrowthReason::Sender { .. }
        | GrowthReason::NeverRead
        | GrowthReason::NotReadSince(_) => archive,
        GrowthReason::Nothing if room == QuotaPressure::Short => archive,
        GrowthReason::Nothing => None,
    };
    let remedy = match (remedy, room) {
        (None, QuotaPressure::Short) if survey.all.messages > 0 => Some(Remedy::ArchiveAll),
        (remedy, _) => remedy,
    };
    Diagnosis {
        unread: unread && reason != GrowthReason::NeverRead,
        reason,
        remedy,
    }
}

fn reason(survey: &MailboxStats, now: i64) -> GrowthReason {
    let all = survey.all;
    if all.messages == 0 {
        return GrowthReason::Empty;
    }
    // By number or by length, whichever says more: a few large ones fill a mailbox as well.
    let part = |count: Count, of: u64| {
        count.messages > 0 && (count.messages * of >= all.messages || count.bytes.saturating_mul(of) >= all.bytes)
    };
    let name = |kind| survey.top_of(kind).map(|(name, n)| (name.to_owned(), n.messages));
    let as_loop = |count| GrowthReason::Loop {
        through: name(MailKind::Loop).map(|(host, _)| host),
        count,
    };
    let (loops, reports) = (survey.of(MailKind::Loop), survey.of(MailKind::Bounce));
    if part(loops, 3) && loops.messages >= reports.messages {
        return as_loop(loops);
    }
    if part(reports, 3) {
        let about = name(MailKind::Bounce);
        return GrowthReason::Reports { about, count: reports };
    }
    if part(loops, 3) {
        return as_loop(loops);
    }
    if all.messages < FEW {
        return GrowthReason::Nothing;
    }
    if part(survey.duplicates, 2) {
        return GrowthReason::Duplicates(survey.duplicates);
    }
    let cron = survey.of(MailKind::Cron);
    if part(cron, 2) {
        let job = name(MailKind::Cron).map(|(job, _)| job);
        return GrowthReason::Cron { job, count: cron };
    }
    let lists = survey.of(MailKind::List);
    if part(lists, 2) {
        let most = survey.top_of(MailKind::List);
        let most = most.filter(|(_, count)| part(*count, 2));
        return GrowthReason::Lists {
            most: most.map(|(list, _)| list.to_owned()),
            count: most.map_or(lists, |(_, count)| count),
        };
    }
    for kind in [MailKind::Complaint, MailKind::AutoReply, MailKind::Receipt] {
        if part(survey.of(kind), 2) {
            return GrowthReason::Notices(kind, survey.of(kind));
        }
    }
    for by in [by_messages, by_bytes] {
        if let Some((address, count)) = survey.senders.first(1, by).next()
            && part(count, 2)
        {
            let address = address.to_owned();
            return GrowthReason::Sender { address, count };
        }
    }
    reading(survey, now)
}

/// Whether its owner reads it.
fn reading(survey: &MailboxStats, now: i64) -> GrowthReason {
    let old = age(survey.oldest, now) > LONG;
    match survey.newest_seen {
        None if old => GrowthReason::NeverRead,
        // Newer mail came, and nobody looked.
        Some(seen) if age(Some(seen), now) > LONG && survey.newest > Some(seen) => GrowthReason::NotReadSince(seen),
        Some(_) if old && survey.seen.messages * 2 >= survey.all.messages => GrowthReason::ReadAndKept(survey.seen),
        _ => GrowthReason::Nothing,
    }
}

/// How long ago, in days.
fn age(date: Option<i64>, now: i64) -> i64 {
    date.map_or(0, |date| now.saturating_sub(date) / DAY)
}

/// Seconds since 1970 as a day: `2014-03-01`.
pub fn day_text(seconds: i64) -> String {
    Moment::from_seconds(seconds).to_day().unwrap_or_default()
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if self.unread {
            f.write_str("; none was ever read")?;
        }
        Ok(())
    }
}

impl fmt::Display for GrowthReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Loop { through, count } => match through {
                Some(host) => write!(f, "a loop through {host} ({})", messages(*count)),
                None => write!(f, "a loop ({})", messages(*count)),
            },
            Self::Reports { about, count } => match about {
                Some((address, of)) if *of == count.messages => {
                    write!(f, "bounces about {address} ({})", messages(*count))
                }
                Some((address, of)) => write!(f, "reports, {of} of {} about {address}", count.messages),
                None => write!(f, "reports from mail systems ({})", messages(*count)),
            },
            Self::Duplicates(count) => write!(f, "the same mail again and again ({} too many)", count.messages),
            Self::Cron { job, count } => match job.as_deref().map(|job| job.split_once(' ').unwrap_or((job, ""))) {
                Some((user, "")) => write!(f, "cron of {user} ({})", messages(*count)),
                Some((user, command)) => write!(f, "cron of {user} ({}), mostly {command}", messages(*count)),
                None => write!(f, "cron ({})", messages(*count)),
            },
            Self::Lists { most, count } => match most {
                Some(list) => write!(f, "the list {list} ({})", messages(*count)),
                None => write!(f, "mailing lists ({})", messages(*count)),
            },
            Self::Notices(kind, count) => {
                let what = match kind {
                    MailKind::Complaint => "complaints",
                    MailKind::Receipt => "read receipts",
                    MailKind::AutoReply => "automatic answers",
                    MailKind::Loop
                    | MailKind::Bounce
                    | MailKind::Notice
                    | MailKind::Cron
                    | MailKind::List
                    | MailKind::Ordinary => "mail of machines",
                };
                write!(f, "{what} ({})", messages(*count))
            }
            Self::Sender { address, count } => write!(f, "mail from {address} ({})", messages(*count)),
            Self::NeverRead => f.write_str("hoards: nobody ever read it"),
            Self::NotReadSince(date) => write!(f, "hoards: nobody reads it, nothing since {} was", day_text(*date)),
            Self::ReadAndKept(count) => write!(f, "hoards: what was read is kept ({})", messages(*count)),
            Self::Nothing => f.write_str("nothing in particular"),
        }
    }
}

fn messages(count: Count) -> String {
    match count.messages {
        1 => "1 message".to_owned(),
        many => format!("{many} messages"),
    }
}

#[cfg(test)]
mod tests {
    use super::{QuotaPressure, Remedy, diagnose};
    use crate::spool::rules::statistics::MailboxStats;
    use crate::spool::rules::summary::{MailKind, MessageSummary, Reading, Repetition};

    const NOW: i64 = 1_793_613_600;

    type Letters = Vec<MessageSummary>;

    /// So many messages of a kind, about this, by this writer, so many days old.
    fn letters(count: u64, kind: MailKind, label: &'static str, days: i64) -> Letters {
        let one = |n| MessageSummary {
            bytes: 1000,
            date: Some(NOW - days * 86400),
            kind,
            reading: Reading::Unseen,
            sender: format!("s{n}@s.test"),
            labels: if label.is_empty() {
                Vec::new()
            } else {
                vec![label.to_owned()]
            },
            repeats: Repetition::No,
            doubt: None,
        };
        (0..count).map(one).collect()
    }

    fn said(letters: &[Letters], room: QuotaPressure) -> (String, Option<Remedy>) {
        let mut survey = MailboxStats::default();
        letters.iter().flatten().for_each(|letter| survey.add(letter));
        let cause = diagnose(&survey, NOW, room);
        (cause.to_string(), cause.remedy)
    }

    #[test]
    fn what_stands_out_is_said_with_what_helps() {
        let seen = |mut letters: Letters| {
            letters.iter_mut().for_each(|letter| letter.reading = Reading::Seen);
            letters
        };
        let from_one = |mut letters: Letters| {
            letters
                .iter_mut()
                .for_each(|letter| letter.sender = "shop@s.test".to_owned());
            letters
        };
        let same = |mut letters: Letters| {
            letters
                .iter_mut()
                .skip(1)
                .for_each(|letter| letter.repeats = Repetition::Earlier);
            letters
        };
        let large = |mut letters: Letters| {
            letters.iter_mut().for_each(|letter| letter.bytes = 1_000_000);
            letters
        };
        let plain = |count, days| letters(count, MailKind::Ordinary, "", days);
        let cases: Vec<(Vec<Letters>, &str, Option<Remedy>)> = vec![
            (vec![], "empty", None),
            (vec![plain(5, 400)], "nothing in particular", None),
            (
                vec![letters(40, MailKind::Bounce, "b@b.test", 1), plain(60, 1)],
                "bounces about b@b.test (40 messages)",
                Some(Remedy::SweepBounces),
            ),
            (
                vec![
                    letters(39, MailKind::Bounce, "b@b.test", 1),
                    letters(2, MailKind::Bounce, "c@c.test", 1),
                ],
                "reports, 39 of 41 about b@b.test",
                Some(Remedy::SweepBounces),
            ),
            (
                vec![letters(1, MailKind::Bounce, "", 1)],
                "reports from mail systems (1 message)",
                Some(Remedy::SweepBounces),
            ),
            // A third by length is enough.
            (
                vec![large(letters(1, MailKind::Bounce, "b@b.test", 1)), plain(99, 1)],
                "bounces about b@b.test (1 message)",
                Some(Remedy::SweepBounces),
            ),
            (
                vec![
                    letters(50, MailKind::Loop, "mx.b.test", 1),
                    letters(50, MailKind::Bounce, "b@b.test", 1),
                ],
                "a loop through mx.b.test (50 messages)",
                Some(Remedy::SweepLoops),
            ),
            (
                vec![letters(50, MailKind::Cron, "root /bin/job", 40)],
                "cron of root (50 messages), mostly /bin/job",
                Some(Remedy::ArchiveOlder(30)),
            ),
            (
                vec![letters(50, MailKind::List, "l.lists.test", 400)],
                "the list l.lists.test (50 messages); none was ever read",
                Some(Remedy::ArchiveOlder(90)),
            ),
            (
                vec![
                    letters(30, MailKind::List, "l.lists.test", 1),
                    letters(30, MailKind::List, "m.lists.test", 1),
                    plain(20, 1),
                ],
                "mailing lists (60 messages)",
                None,
            ),
            (
                vec![letters(50, MailKind::AutoReply, "", 8)],
                "automatic answers (50 messages)",
                Some(Remedy::ArchiveOlder(7)),
            ),
            (
                vec![same(plain(50, 1)), plain(40, 1)],
                "the same mail again and again (49 too many)",
                Some(Remedy::SweepDuplicates),
            ),
            (
                vec![from_one(plain(50, 100)), plain(40, 1)],
                "mail from shop@s.test (50 messages); none was ever read",
                Some(Remedy::ArchiveOlder(90)),
            ),
            (
                vec![plain(20, 100)],
                "hoards: nobody ever read it",
                Some(Remedy::ArchiveOlder(90)),
            ),
            (
                vec![seen(plain(20, 200)), plain(20, 100)],
                "hoards: nobody reads it, nothing since 2026-04-16 was",
                Some(Remedy::ArchiveOlder(90)),
            ),
            (
                vec![seen(plain(20, 200)), seen(plain(2, 1))],
                "hoards: what was read is kept (22 messages)",
                Some(Remedy::ArchiveSeen(90)),
            ),
            (vec![plain(20, 20)], "nothing in particular", None),
        ];
        for (letters, want, remedy) in cases {
            assert_eq!(said(&letters, QuotaPressure::Enough), (want.to_owned(), remedy));
        }
    }

    #[test]
    fn a_full_mailbox_gets_a_remedy_even_where_nothing_stands_out() {
        let cases = [(20, Remedy::ArchiveOlder(7)), (1, Remedy::ArchiveAll)];
        for (days, remedy) in cases {
            let letters = [letters(20, MailKind::Ordinary, "", days)];
            assert_eq!(said(&letters, QuotaPressure::Short).1, Some(remedy), "{days} days");
        }
        assert_eq!(said(&[], QuotaPressure::Short).1, None);
    }
}
