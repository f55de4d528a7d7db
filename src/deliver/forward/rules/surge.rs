//! Does a destination get far more than it ever did? Mail may go round with it in a way that `brake` cannot tell from
//! mail of many people. Nothing is kept for that: the user and the administrator are told, and know.
//!
//! A busy day has two or three times as much as others, so four times as much is far more. What is less than some ten
//! an hour, or some sixty a day, is little to begin with.

use crate::deliver::forward::rules::brake::HOUR;

/// So many times as much as ever before is far more.
const FAR_MORE: usize = 4;

/// As much is little, whatever came before: within an hour or less, and within a day.
const LITTLE_HOUR: usize = 50;
const LITTLE_DAY: usize = 60;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * HOUR;

/// What is compared, in seconds, and what is little there. The short ones are for an account that is new: what came before an hour ago is
/// not known, or is the loop itself.
const WINDOWS: [(i64, usize); 4] = [
    (10 * MINUTE, LITTLE_HOUR),
    (30 * MINUTE, LITTLE_HOUR),
    (HOUR, LITTLE_HOUR),
    (DAY, LITTLE_DAY),
];

/// It is looked at so often at most, in seconds.
const LOOK: i64 = 600;

/// How much more it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surge {
    /// How many messages were sent within the last `minutes`.
    pub messages: usize,
    /// As many as one of `WINDOWS` has.
    pub minutes: i64,
    /// As many at most were sent within as long before.
    pub before: usize,
}

/// Tells whether it is time to look: no message was sent in the ten minutes of the clock that `now` is in. `gap` is the
/// time since the last.
pub fn is_time_to_look(gap: Option<u32>, now: i64) -> bool {
    gap.is_some_and(|gap| now.div_euclid(LOOK) != now.saturating_sub(i64::from(gap)).div_euclid(LOOK))
}

/// Finds how much more was sent than ever before; `sent` are the times of all that is remembered, the oldest first. An
/// hour is compared where two were seen, and so is each other length.
pub fn find_surge(sent: &[i64], now: i64) -> Option<Surge> {
    let seen = now.saturating_sub(*sent.first()?);
    let mut comparable = WINDOWS.into_iter().filter(|(seconds, _)| seen >= 2 * seconds);
    comparable.find_map(|(seconds, little)| find_within(sent, now, seconds, little))
}

fn find_within(sent: &[i64], now: i64, seconds: i64, little: usize) -> Option<Surge> {
    let earlier = sent.partition_point(|at| now.saturating_sub(*at) >= seconds);
    let messages = sent.len() - earlier;
    let (mut before, mut begin) = (0, 0);
    let earlier = sent.get(..earlier).unwrap_or_default();
    for (end, at) in earlier.iter().enumerate() {
        while earlier
            .get(begin)
            .is_some_and(|first| at.saturating_sub(*first) >= seconds)
        {
            begin += 1;
        }
        before = before.max(end + 1 - begin);
    }
    (messages >= before.max(little) * FAR_MORE).then_some(Surge {
        messages,
        minutes: seconds / MINUTE,
        before,
    })
}

#[cfg(test)]
mod tests {
    use super::{DAY, HOUR, Surge, find_surge, is_time_to_look};

    /// The first time at which it is told, of a destination that had `usual` a day before, and now one each `pause`
    /// seconds besides.
    fn told_after(usual: i64, pause: i64, days: i64) -> Option<(i64, Surge)> {
        let begin = 6 * DAY;
        let usual = (0..7 * usual).map(|n| n * DAY / usual);
        let more = (0..days * DAY / pause).map(|n| begin + n * pause);
        let mut sent: Vec<i64> = usual.chain(more).collect();
        sent.sort_unstable();
        let looks = (1..sent.len()).filter(|end| {
            let pair = sent
                .get(end - 1..=*end)
                .and_then(|pair| Some((pair.first()?, pair.last()?)));
            pair.is_some_and(|(last, now)| is_time_to_look(u32::try_from(now - last).ok(), *now))
        });
        let mut found = looks.filter_map(|end| {
            let now = *sent.get(end)?;
            Some((now - begin, find_surge(sent.get(..=end)?, now)?))
        });
        found.next()
    }

    #[test]
    fn a_loop_of_any_pace_is_told_and_a_busy_day_is_not() {
        for (usual, pause, hours) in [(40, 1, 1), (40, 4, 1), (40, 15, 1), (40, 130, 12), (60, 300, 24)] {
            let told = told_after(usual, pause, 2);
            assert!(
                told.is_some_and(|(after, _)| after <= hours * HOUR),
                "{usual} a day, one each {pause} s: {told:?}"
            );
        }
        // Twice and three times as much as ever; five hundred an hour that come every hour; a newsletter day of
        // somebody who gets little.
        for (usual, pause) in [(500, 86), (200, 170), (12_000, 5), (3, 500)] {
            assert_eq!(told_after(usual, pause, 1), None, "{usual} a day, one each {pause} s");
        }
    }

    #[test]
    fn nothing_is_told_before_there_is_something_to_compare() {
        let each = |pause: i64, count: i64| (0..count).map(|n| n * pause).collect::<Vec<_>>();
        for (pause, count) in [(7, 1000), (36, 200), (36, 5000)] {
            let sent = each(pause, count);
            let told = (1..=sent.len()).find(|end| {
                let sent = sent.get(..*end).unwrap_or_default();
                find_surge(sent, sent.last().copied().unwrap_or_default()).is_some()
            });
            assert_eq!(told, None, "{count}, one each {pause} s");
        }
        assert_eq!(find_surge(&[], 0), None);
        let quiet = [vec![0], each(10, 250).iter().map(|at| at + 2 * HOUR).collect()].concat();
        let before = find_surge(&quiet, 2 * HOUR + 2490).map(|surge| surge.before);
        assert_eq!(before, Some(1), "the first day has hours to compare");
    }

    /// What comes to a new account: one each `quiet` seconds for some minutes, and then one each `pause`. The minutes from then on until it
    /// is told.
    fn told_new(minutes: i64, quiet: i64, pause: i64) -> Option<i64> {
        let begin = minutes * 60;
        let before = (0..begin / quiet).map(|n| n * quiet);
        let sent: Vec<i64> = before.chain((0..6 * HOUR / pause).map(|n| begin + n * pause)).collect();
        let mut looks = (1..sent.len()).filter(|end| {
            let gap = sent
                .get(end - 1..=*end)
                .and_then(|pair| Some(pair.last()? - pair.first()?));
            let now = sent.get(*end).copied().unwrap_or(0);
            is_time_to_look(gap.and_then(|gap| u32::try_from(gap).ok()), now)
        });
        let told = looks.find_map(|end| {
            let now = *sent.get(end)?;
            find_surge(sent.get(..=end)?, now).map(|_| now)
        });
        told.map(|now| (now - begin) / 60)
    }

    #[test]
    fn a_new_account_is_told_within_minutes_of_a_loop() {
        for (minutes, pause, most) in [(20, 1, 10), (20, 2, 10), (30, 5, 30), (30, 8, 30), (120, 15, 60)] {
            let told = told_new(minutes, 600, pause);
            assert!(told.is_some_and(|told| told <= most), "one each {pause} s: {told:?}");
        }
        // Busy from the beginning, and three times as busy later.
        for (minutes, quiet, pause) in [(20, 7, 7), (60, 4, 4), (30, 20, 7), (60, 8, 3), (60, 600, 20)] {
            assert_eq!(
                told_new(minutes, quiet, pause),
                None,
                "one each {quiet} s, then {pause} s"
            );
        }
    }
}
