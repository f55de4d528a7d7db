//! What two hosts tell each other while they try each other's locks, in which order they try, and what follows from it.
//!
//! Each host writes one line that nobody else writes, and reads the other's. A step is over when both have said how it
//! ended.

use std::fmt::Write as _;

use crate::config::LockMethod;
use crate::doctor::rules::{Check, CheckSubject, Finding};

/// Clocks that are no further apart than this do no harm, in milliseconds.
const CLOCK_SLACK_MS: i64 = 5000;

/// How many steps one lock takes: it is held, tried, let go, and tried again.
const STEPS_OF_A_ROUND: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairRole {
    First,
    Second,
}

impl PairRole {
    pub fn other_role(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// The locks in the order in which they are tried, each with the host that holds it.
pub const ROUNDS: [(LockMethod, PairRole); 6] = [
    (LockMethod::Dotlock, PairRole::First),
    (LockMethod::Dotlock, PairRole::Second),
    (LockMethod::Fcntl, PairRole::First),
    (LockMethod::Fcntl, PairRole::Second),
    (LockMethod::Flock, PairRole::First),
    (LockMethod::Flock, PairRole::Second),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepEnd {
    Idle,
    Holds,
    Refused,
    /// The lock was taken, and let go at once.
    Taken,
    /// It cannot use this lock there.
    Cannot,
}

impl StepEnd {
    fn letter(self) -> char {
        match self {
            Self::Idle => '-',
            Self::Holds => 'h',
            Self::Refused => 'r',
            Self::Taken => 't',
            Self::Cannot => 'c',
        }
    }

    fn of(letter: char) -> Option<Self> {
        let all = [Self::Idle, Self::Holds, Self::Refused, Self::Taken, Self::Cannot];
        all.into_iter().find(|end| end.letter() == letter)
    }
}

/// What one host says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairLine {
    /// This run, among all runs of all hosts.
    pub run: String,
    pub host: String,
    /// This start of its kernel.
    pub boot: String,
    /// The locks that deliveries take there, joined by commas.
    pub locks: String,
    /// The other run that it works with; `-` before it has met one.
    pub with: String,
    /// Its clock when it wrote this, in milliseconds since 1970.
    pub clock_ms: i64,
    pub steps: Vec<StepEnd>,
}

impl PairLine {
    /// As it is written; a reader knows by its last word whether it is whole.
    pub fn written(&self) -> String {
        let Self {
            run,
            host,
            boot,
            locks,
            with,
            clock_ms,
            steps,
        } = self;
        let mut text = format!("spoolguard-pair-1 {run} {host} {boot} {locks} {with} {clock_ms} =");
        text.extend(steps.iter().map(|end| end.letter()));
        let _ = write!(text, " end");
        text
    }

    /// Reads it; none where it is not there, or not whole.
    pub fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let ["spoolguard-pair-1", run, host, boot, locks, with, clock, steps, "end"] = words.as_slice() else {
            return None;
        };
        Some(Self {
            run: (*run).to_owned(),
            host: (*host).to_owned(),
            boot: (*boot).to_owned(),
            locks: (*locks).to_owned(),
            with: (*with).to_owned(),
            clock_ms: clock.parse().ok()?,
            steps: steps
                .strip_prefix('=')?
                .chars()
                .map(StepEnd::of)
                .collect::<Option<_>>()?,
        })
    }
}

/// What one host saw of a lock that the other one held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// It was refused as long as the other one held it, and not after.
    Seen,
    /// It took the lock all the same.
    Unseen,
    /// It was refused when nobody held it any more.
    Stuck,
    /// The holder cannot take it there.
    HolderCannot,
    OtherCannot,
}

/// What follows from what both said. `clocks_apart_ms` is how far this host's clock is ahead.
pub fn judge(topic: &CheckSubject, first: &PairLine, second: &PairLine, clocks_apart_ms: i64) -> Vec<Finding> {
    let mut found = Vec::new();
    if first.host == second.host {
        found.push(topic.error(
            format!(
                "both hosts are called {}: dotlocks and a Maildir's files cannot tell them apart",
                first.host
            ),
            "give each host a name of its own: hostnamectl hostname NAME",
        ));
    }
    if first.locks != second.locks {
        let what = format!(
            "deliveries take {} on {} and {} on {}",
            first.locks, first.host, second.locks, second.host
        );
        found.push(topic.error(what, "write the same [mailbox] locks on both"));
    }
    for method in [LockMethod::Dotlock, LockMethod::Fcntl, LockMethod::Flock] {
        found.extend(judge_method(topic, method, first, second));
    }
    if clocks_apart_ms.abs() > CLOCK_SLACK_MS {
        let seconds = clocks_apart_ms.abs() / 1000;
        let what =
            format!("the clocks of the hosts are {seconds} seconds apart: dotlocks grow stale too soon or too late");
        found.push(topic.warning(what, "let both keep time by NTP"));
    }
    if first.boot == second.boot {
        found.push(topic.ok("both run under one kernel, such as containers do: other machines may see less"));
    }
    found
}

fn judge_method(topic: &CheckSubject, method: LockMethod, first: &PairLine, second: &PairLine) -> Vec<Finding> {
    let sights = [PairRole::First, PairRole::Second].map(|holder| {
        let (holds, tries) = match holder {
            PairRole::First => (first, second),
            PairRole::Second => (second, first),
        };
        (holds, tries, sight(method, holder, holds, tries))
    });
    let [lock, remedy, without] = method_words(method);
    if sights.iter().all(|(.., sight)| *sight == Sight::Seen) {
        return vec![topic.ok(format!("each host sees the other's {lock}"))];
    }
    let word = method.to_string();
    let is_taken = [first, second]
        .iter()
        .any(|line| line.locks.split(',').any(|lock| lock == word));
    let mut found: Vec<Finding> = Vec::new();
    for (holds, tries, sight) in sights {
        let (holds, tries) = (&holds.host, &tries.host);
        let what = match sight {
            Sight::Seen => continue,
            Sight::Unseen => format!("{tries} takes the {lock} that {holds} holds"),
            Sight::Stuck => format!("{tries} is refused the {lock} that {holds} held and let go"),
            Sight::HolderCannot => format!("{holds} cannot take the {lock} there"),
            Sight::OtherCannot => format!("{tries} cannot take the {lock} there"),
        };
        let finding = match is_taken {
            true => topic.error(format!("{what}: {}", consequence(sight)), remedy),
            false => topic.note(format!("{what}; {without}")),
        };
        if !found.contains(&finding) {
            found.push(finding);
        }
    }
    found
}

/// What happens where deliveries rely on it.
fn consequence(sight: Sight) -> &'static str {
    match sight {
        Sight::Seen => "it holds",
        Sight::Unseen => "two deliveries can write into one mailbox at once",
        Sight::Stuck | Sight::HolderCannot | Sight::OtherCannot => "mail waits",
    }
}

/// What is said of a lock: its name, what helps where it fails, and what it is for where deliveries do not take it.
fn method_words(method: LockMethod) -> [&'static str; 3] {
    match method {
        LockMethod::Dotlock => [
            "dotlock",
            "give the user the right to make files there, and mount it on both hosts in the same way",
            "deliveries do not take it here",
        ],
        LockMethod::Fcntl => [
            "fcntl lock",
            "NFS 3: run rpc.statd and mount without nolock or local_lock; better NFS 4, or location = \"maildir:...\"",
            "deliveries do not take it here, but it guards the removal of an old dotlock",
        ],
        LockMethod::Flock => [
            "flock",
            "take \"flock\" out of [mailbox] locks, on both hosts",
            "it guards what a user's guard remembers, and archives of Maildirs: let one host run the timers, and no two deliver for one user",
        ],
    }
}

fn sight(method: LockMethod, holder: PairRole, holds: &PairLine, tries: &PairLine) -> Sight {
    let round = ROUNDS.iter().position(|round| *round == (method, holder)).unwrap_or(0);
    let step = |line: &PairLine, number: usize| line.steps.get(round * STEPS_OF_A_ROUND + number).copied();
    match (step(holds, 0), step(tries, 1), step(tries, 3)) {
        (Some(StepEnd::Holds), Some(StepEnd::Refused), Some(StepEnd::Taken)) => Sight::Seen,
        (Some(StepEnd::Holds), Some(StepEnd::Refused), Some(StepEnd::Refused)) => Sight::Stuck,
        (Some(StepEnd::Holds), Some(StepEnd::Taken), _) => Sight::Unseen,
        (Some(StepEnd::Holds), ..) => Sight::OtherCannot,
        _ => Sight::HolderCannot,
    }
}

pub fn pair_subject(dir: &str, first: &str, second: &str) -> CheckSubject {
    Check::Locks.about(format!("{dir}, {first} and {second}"))
}

#[cfg(test)]
mod tests {
    use super::{PairLine, StepEnd, judge, pair_subject};
    use crate::doctor::rules::Level;

    fn line(host: &str, steps: &str) -> PairLine {
        let text = format!("spoolguard-pair-1 run-{host} {host} boot-{host} dotlock,fcntl - 0 ={steps} end");
        PairLine::read(&text).unwrap_or_else(|| unreachable!("{text}"))
    }

    /// The steps of both hosts where each sees each lock.
    const GOOD: (&str, &str) = ("h----r-th----r-th----r-t", "-r-th----r-th----r-th---");

    fn with(steps: &str, at: usize, letter: char) -> String {
        let replaced = |(number, old)| if number == at { letter } else { old };
        steps.chars().enumerate().map(replaced).collect()
    }

    fn found(first: &str, second: &str) -> Vec<(Level, String)> {
        let (first, second) = (line("mx1", first), line("mx2", second));
        let found = judge(&pair_subject("/d", "mx1", "mx2"), &first, &second, 0);
        found.into_iter().map(|found| (found.level, found.finding)).collect()
    }

    #[test]
    fn a_line_is_read_as_it_was_written_and_only_whole() {
        let whole = line("mx1", "h-rtc");
        assert_eq!(PairLine::read(&whole.written()), Some(whole.clone()));
        let text = whole.written();
        for cut in 0..text.len() {
            assert_eq!(PairLine::read(&text[..cut]), None, "{cut}");
        }
        assert_eq!(line("mx1", "").steps, [] as [StepEnd; 0]);
        assert_eq!(PairLine::read(&text.replace("=h", "=x")), None);
    }

    #[test]
    fn what_both_saw_decides() {
        let good = found(GOOD.0, GOOD.1);
        assert_eq!(good.len(), 3, "{good:?}");
        assert!(good.iter().all(|(level, _)| *level == Level::Ok), "{good:?}");
        for (side, at, letter, level, words) in [
            (
                1,
                1,
                't',
                Level::Error,
                "mx2 takes the dotlock that mx1 holds: two deliveries",
            ),
            (
                0,
                5,
                't',
                Level::Error,
                "mx1 takes the dotlock that mx2 holds: two deliveries",
            ),
            (
                1,
                11,
                'r',
                Level::Error,
                "mx2 is refused the fcntl lock that mx1 held and let go: mail waits",
            ),
            (
                0,
                8,
                'c',
                Level::Error,
                "mx1 cannot take the fcntl lock there: mail waits",
            ),
            (
                1,
                9,
                'c',
                Level::Error,
                "mx2 cannot take the fcntl lock there: mail waits",
            ),
            (
                1,
                17,
                't',
                Level::Warning,
                "mx2 takes the flock that mx1 holds; it guards",
            ),
        ] {
            let (mut first, mut second) = (GOOD.0.to_owned(), GOOD.1.to_owned());
            match side {
                0 => first = with(&first, at, letter),
                _ => second = with(&second, at, letter),
            }
            let found = found(&first, &second);
            let bad: Vec<_> = found.iter().filter(|(level, _)| *level != Level::Ok).collect();
            assert!(
                matches!(bad.as_slice(), [(its, what)] if *its == level && what.starts_with(words)),
                "{side} {at}: {found:?}"
            );
        }
    }

    #[test]
    fn hosts_that_cannot_be_told_apart_or_disagree_are_told() {
        let judged = |first: &PairLine, second: &PairLine, apart| {
            let found = judge(&pair_subject("/d", "mx1", "mx2"), first, second, apart);
            let bad = found.into_iter().filter(|found| found.level != Level::Ok);
            bad.map(|found| found.finding).collect::<Vec<_>>().join("\n")
        };
        let (first, second) = (line("mx1", GOOD.0), line("mx2", GOOD.1));
        assert_eq!(judged(&first, &second, 4000), "");
        assert!(judged(&first, &second, -70_000).contains("70 seconds apart"));
        let twin = line("mx1", GOOD.1);
        assert!(judged(&first, &twin, 0).contains("both hosts are called mx1"));
        let other = PairLine {
            locks: "fcntl".to_owned(),
            ..second
        };
        assert!(judged(&first, &other, 0).contains("dotlock,fcntl on mx1 and fcntl on mx2"));
    }
}
