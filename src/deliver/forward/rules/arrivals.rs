//! Did anything arrive between failures? A far side that takes mail lives, whatever it refuses now and then: what nobody can read, or may
//! pass, counts nothing there. Nobody reports what arrived, so it is what was handed over before today and not reported as failed.

use crate::moment::Moment;

/// What was handed over for a destination, and what of it failed, since failures began there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct Arrivals {
    /// The day on which something was handed over last, as `Moment::day`.
    day_on: Option<i64>,
    /// How many messages were handed over on that day,
    today: u64,
    /// and before.
    before: u64,
    /// How many failed.
    failed: u64,
}

impl Arrivals {
    /// Counts a message that the MTA took.
    pub fn take(&mut self, now: Moment) {
        self.turn_day(now);
        self.today = self.today.saturating_add(1);
    }

    /// Counts a message that failed, and tells whether another arrived before. Failures come within minutes, so only messages of earlier
    /// days can be said to have arrived. After one did, counting begins anew.
    pub fn fail(&mut self, now: Moment) -> Between {
        self.turn_day(now);
        self.failed = self.failed.saturating_add(1);
        if self.before > self.failed {
            self.before = 0;
            self.failed = 0;
            Between::Arrived
        } else {
            Between::Nothing
        }
    }

    fn turn_day(&mut self, now: Moment) {
        if self.day_on != Some(now.day()) {
            self.day_on = Some(now.day());
            self.before = self.before.saturating_add(self.today);
            self.today = 0;
        }
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
