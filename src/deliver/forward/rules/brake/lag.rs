//! Finds answers by their lag: each message comes a constant time after one that was sent, and each one that was sent
//! is followed by one. Whoever waits for a message to make the next one has a lag. Mail of other kinds has none: what a
//! machine sends at fixed times does not begin with a message of somebody else, and people keep no time.
//!
//! Two kinds of writers are looked at. **One** who wrote before: each of their messages came behind another one, the
//! first of them behind somebody else's. And **many**, of whom nobody wrote before: since the message that began it,
//! they came behind each other.
//!
//! One that is kept proves it. Where the next comes all the same, and as soon as ever, it was caused by nothing that
//! was sent. So a machine that keeps a lag by chance loses one message a day.
//!
//! How sure that is goes by chance. People who write at random, as often as suits best, hit the lag of one second in
//! two of five cases, and that of an hour in one of eighty. So many in a row must hit it that it happens once in some
//! thousand hours.

use std::collections::BTreeSet;

use super::{HOUR, LATER, LEARNED, Weighing};
use crate::deliver::forward::rules::past::{Past, Was};

/// So many lags are tried, those to what was sent last.
const LAGS: usize = 16;

/// A lag may be longer by one second and by this part of it, and shorter by this part.
const PART: i64 = 60;

/// One that does not fit weighs as much as so many that fit.
const MISFIT: usize = 3;

/// As many must fit at least.
const FEWEST: usize = 3;

/// So many tenths of a lag are two of them, but for some.
const TENTHS: i64 = 10;
const TWICE: i64 = 18;

/// Of more than so many since it began, nothing is said.
const MOST: usize = 200;

/// How many hours of such mail are kept by mistake for one message, if people write as often as suits best.
const HOURS: f64 = 5000.0;

/// A lag, in seconds: the shortest and the longest that count as the same.
#[derive(Clone, Copy, Debug)]
struct Lag {
    shortest: i64,
    longest: i64,
}

impl Lag {
    fn of(seconds: i64) -> Self {
        Self {
            shortest: seconds - seconds / PART,
            longest: seconds + 1 + seconds / PART,
        }
    }

    fn is(self, seconds: i64) -> bool {
        (self.shortest..=self.longest).contains(&seconds)
    }

    /// How often the next message comes by chance after this lag, where nothing else comes between, and messages come
    /// as often as suits best.
    fn chance(self) -> f64 {
        let ratio = self.shortest as f64 / (self.longest + 1) as f64;
        (1.0 - ratio) * ratio.powf(ratio / (1.0 - ratio))
    }
}

/// What comes for one destination, as far as lags are concerned.
struct Comings<'a> {
    /// All of a day, the oldest first, and whether it is one of those that may be answers.
    all: Vec<(&'a Past, bool)>,
    /// How many of them came within the last hour, with the one that comes now.
    hour: usize,
    now: i64,
    is_one: bool,
    source: u32,
}

impl Weighing<'_> {
    /// It is the next of those that come a constant time after what was sent.
    pub(super) fn keeps_a_lag(&self) -> bool {
        let (from, source) = (self.sketch.from, self.sketch.source);
        if from == 0 || self.sketch.is_list {
            return false;
        }
        let is_today = |p: &&Past| (0..=LEARNED).contains(&self.now.saturating_sub(p.at));
        let day: Vec<&Past> = self.past.iter().filter(is_today).collect();
        let is_one = self.past.iter().any(|p| p.sketch.from == from);
        let mut seen = BTreeSet::new();
        let mut is_meant = |p: &&Past| {
            let is_new = seen.insert(p.sketch.from);
            let is_same = p.sketch.from == from && p.sketch.source == source;
            !p.sketch.is_list && if is_one { is_same } else { is_new }
        };
        let comings = Comings {
            hour: day.iter().filter(|p| self.now - p.at < HOUR).count() + 1,
            all: day.into_iter().map(|p| (p, is_meant(&p))).collect(),
            now: self.now,
            is_one,
            source,
        };
        if !is_one && comings.go_on_by_themselves(self.sketch.gap) {
            return false;
        }
        let sent = self.past.iter().rev().filter(|p| p.was == Was::Sent);
        let last = sent.map(|p| self.now.saturating_sub(p.at)).take(LAGS);
        // It may be the shortest that was seen, or the longest.
        let lags = last.flat_map(|lag| [lag, lag - 1 - lag / PART]);
        let mut lags = lags.filter(|lag| (1..=LATER).contains(lag));
        lags.any(|lag| comings.keep(Lag::of(lag)))
    }
}

impl Comings<'_> {
    /// One that was kept was followed by the next as soon as ever, although nothing was sent for that. `gap` is the
    /// time from what was sent last until now.
    fn go_on_by_themselves(&self, gap: Option<u32>) -> bool {
        let meant = self.all.iter().filter(|(_, is_meant)| *is_meant);
        let now = (self.now, Was::Sent, gap);
        let meant = meant.map(|(p, _)| (p.at, p.was, p.sketch.gap)).chain([now]);
        let meant: Vec<(i64, Was, i64)> = meant
            .map(|(at, was, gap)| (at, was, gap.map_or(0, i64::from)))
            .collect();
        meant.windows(2).any(|pair| match pair {
            [(kept_at, Was::Braked, lag), (at, _, gap)] => {
                at - kept_at <= Lag::of(*lag).longest && gap * TENTHS >= lag * TWICE
            }
            _ => false,
        })
    }

    fn keep(&self, lag: Lag) -> bool {
        let begin = match self.is_one {
            true => self.first_cause(lag),
            false => self.origin(lag),
        };
        let since = begin.and_then(|begin| self.all.get(begin..)).unwrap_or_default();
        let needed = (HOURS * self.hour as f64).ln() / self.chance(since, lag).recip().ln();
        let is_possible = (FEWEST..=MOST).contains(&since.len()) && since.len() as f64 >= needed;
        if !is_possible || (!self.is_one && self.is_one_host(since)) {
            return false;
        }
        let answers = since
            .iter()
            .skip(1)
            .filter(|(_, is_meant)| *is_meant)
            .map(|(p, _)| p.at);
        let answers: Vec<i64> = answers.chain([self.now]).collect();
        let sent: Vec<i64> = since
            .iter()
            .filter(|(p, _)| p.was == Was::Sent)
            .map(|(p, _)| p.at)
            .collect();
        let strays = answers
            .iter()
            .filter(|at| !sent.iter().any(|sent| lag.is(**at - sent)))
            .count();
        let is_due = |sent: &&i64| self.now - **sent > lag.longest;
        let unanswered = sent
            .iter()
            .filter(is_due)
            .filter(|sent| !answers.iter().any(|at| lag.is(at - **sent)));
        if self.is_one && strays > 0 {
            return false;
        }
        // The first shows what the lag is.
        let misfits = (strays + unanswered.count()) * (MISFIT + 1);
        let hits = self.count_hits(&answers, lag).saturating_sub(1 + misfits);
        hits >= FEWEST && hits as f64 >= needed
    }

    /// Many who come through the host of who began it may be what that host sends at fixed times.
    fn is_one_host(&self, since: &[(&Past, bool)]) -> bool {
        let meant = since.iter().filter(|(_, is_meant)| *is_meant);
        let mut sources = meant.map(|(p, _)| p.sketch.source).chain([self.source]);
        since
            .first()
            .is_some_and(|(origin, _)| sources.all(|source| source == origin.sketch.source))
    }

    /// Those of many that come at once count once.
    fn count_hits(&self, answers: &[i64], lag: Lag) -> usize {
        let width = if self.is_one { 0 } else { lag.longest - lag.shortest };
        let mut last = None;
        let mut is_apart = |at: &&i64| {
            let is_apart = last.is_none_or(|last| **at - last >= width);
            last = Some(**at);
            is_apart
        };
        answers.iter().filter(|at| is_apart(at)).count()
    }

    /// How often one of them fits by chance.
    fn chance(&self, since: &[(&Past, bool)], lag: Lag) -> f64 {
        let times: Vec<i64> = since.iter().map(|(p, _)| p.at).chain([self.now]).collect();
        let is_row = times.windows(2).all(|pair| matches!(pair, [a, b] if lag.is(b - a)));
        let span = self.now - times.first().copied().unwrap_or(self.now);
        let width = lag.longest + 1 - lag.shortest;
        match is_row {
            true => lag.chance(),
            false => (width as f64 * since.len() as f64 / span.max(1) as f64).min(1.0),
        }
    }

    /// The place of what the first of one writer came behind.
    fn first_cause(&self, lag: Lag) -> Option<usize> {
        let place = self.all.iter().position(|(_, is_meant)| *is_meant)?;
        self.cause_before(place, lag)
    }

    /// The place of what began the row that ends now.
    fn origin(&self, lag: Lag) -> Option<usize> {
        let mut place = self.cause_before(self.all.len(), lag)?;
        while self.all.get(place)?.1
            && let Some(before) = self.cause_before(place, lag)
        {
            place = before;
            if self.all.len() - place > MOST {
                return None;
            }
        }
        Some(place)
    }

    /// The place of what the message at this place came behind; behind the last is the one that comes now.
    fn cause_before(&self, place: usize, lag: Lag) -> Option<usize> {
        let at = self.all.get(place).map_or(self.now, |(p, _)| p.at);
        let before = self.all.get(..place)?.iter().enumerate().rev();
        let mut near = before.take_while(|(_, (p, _))| at - p.at <= lag.longest);
        near.find(|(_, (p, _))| p.was == Was::Sent && lag.is(at - p.at))
            .map(|(place, _)| place)
    }
}
