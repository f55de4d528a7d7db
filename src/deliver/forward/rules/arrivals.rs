//! Did anything arrive between failures? A far side that takes mail lives, whatever it refuses now and then: what
//! nobody can read, or may pass, counts nothing there. Nobody reports what arrived, so it is what was handed over so
//! long ago that its failure would have been reported: before today, or some days ago where MTAs report only when they
//! give up.

use crate::moment::Moment;

/// After so many days it is known that nothing failed at once,
const AT_ONCE_DAYS: i64 = 1;

/// and after so many that no MTA has given up: they try for five days at most (RFC 5321 section 4.5.4.1).
const GIVEN_UP_DAYS: i64 = 6;

/// When a failure is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// When the far side refuses.
    AtOnce,
    /// When an MTA gives up.
    GivenUp,
}

/// What was handed over for a destination, and what of it failed, since failures began there.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct Arrivals {
    at_once: HandedOver,
    given_up: HandedOver,
}

/// The same, as far as it matters for failures that are reported within some days.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
struct HandedOver {
    /// How many messages were handed over on the last days, each as `Moment::day`, which may still be reported,
    lately: Vec<(i64, u64)>,
    /// and before.
    before: u64,
    /// How many failed.
    failed: u64,
    /// The day on which a failure was the first behind something that arrived.
    arrived_on: Option<i64>,
}

impl Arrivals {
    /// Counts a message that the MTA took.
    pub fn count_taken(&mut self, now: Moment) {
        self.at_once.take(now, AT_ONCE_DAYS);
        self.given_up.take(now, GIVEN_UP_DAYS);
    }

    /// Counts a message that failed, and tells whether another arrived before. After one did, counting begins anew;
    /// what else fails on that day is no other news.
    pub fn count_failure(&mut self, now: Moment, reported: Reported) -> Between {
        let at_once = self.at_once.fail(now, AT_ONCE_DAYS);
        let given_up = self.given_up.fail(now, GIVEN_UP_DAYS);
        match reported {
            Reported::AtOnce => at_once,
            Reported::GivenUp => given_up,
        }
    }
}

impl HandedOver {
    fn take(&mut self, now: Moment, days: i64) {
        self.turn_day(now, days);
        match self.lately.last_mut().filter(|(day, _)| *day == now.day()) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.lately.push((now.day(), 1)),
        }
    }

    fn fail(&mut self, now: Moment, days: i64) -> Between {
        self.turn_day(now, days);
        self.failed = self.failed.saturating_add(1);
        if self.before > self.failed {
            self.before = 0;
            self.failed = 0;
            self.arrived_on = Some(now.day());
        }
        if self.arrived_on == Some(now.day()) {
            Between::Arrived
        } else {
            Between::Nothing
        }
    }

    /// What is of a day that is not one of the last, or of one that has not come, counts as before: a clock was wrong.
    fn turn_day(&mut self, now: Moment, days: i64) {
        let last = now.day().saturating_sub(days)..=now.day();
        let (lately, before) = self
            .lately
            .iter()
            .partition(|(day, _)| last.contains(day) && *day != *last.start());
        self.lately = lately;
        let before: Vec<(i64, u64)> = before;
        self.before = before
            .iter()
            .fold(self.before, |sum, (_, count)| sum.saturating_add(*count));
    }
}

/// What happened between two failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// At least one message arrived.
    Arrived,
    /// No message is known to have arrived.
    Nothing,
}
