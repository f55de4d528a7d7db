//! The `[destinations]` table: when an address that mail is sent on to counts as dead, and when it is tried again.

use serde::{Deserialize, Serialize};

use crate::config::value::Age;
use crate::deliver::forward::rules::Settings;
use crate::deliver::forward::rules::health::RECENT;

/// The `[destinations]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Destinations {
    /// Whether an address that keeps failing is suspended.
    pub suspend: bool,
    /// From how many points on.
    pub threshold: u32,
    /// How long nothing has to fail for points to count no more.
    pub forget_after: Age,
    /// How many hard failures about different messages within an hour suspend it at once.
    pub burst: u32,
    /// After what time it is tried first.
    pub probe: Age,
    /// The longest time between two tries.
    pub probe_max: Age,
    /// How long after a try no report is good news.
    pub quiet: Age,
    /// The same for an address whose failures are reported late.
    pub quiet_slow: Age,
}

/// The longest length of time that the state of a destination goes by: a year, so that a time never leaves the calendar.
const LONGEST_AGE: Age = Age::seconds(365 * 24 * 60 * 60);

impl Destinations {
    /// Looks for what the types cannot say. Gives the key and what is wrong with it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, age) in [
            ("destinations.forget_after", self.forget_after),
            ("destinations.probe", self.probe),
            ("destinations.probe_max", self.probe_max),
            ("destinations.quiet", self.quiet),
            ("destinations.quiet_slow", self.quiet_slow),
        ] {
            if age < Age::seconds(1) || age > LONGEST_AGE {
                return Err((key, "expected at least 1s and at most 365d".to_owned()));
            }
        }
        if self.probe > self.probe_max {
            return Err((
                "destinations.probe",
                format!("expected at most probe_max, {}", self.probe_max),
            ));
        }
        if !(1..=1000).contains(&self.threshold) {
            return Err((
                "destinations.threshold",
                "expected 1 to 1000; suspend = false switches it off".to_owned(),
            ));
        }
        if self.burst == 0 || usize::try_from(self.burst).map_or(true, |burst| burst > RECENT) {
            return Err(("destinations.burst", format!("expected 1 to {RECENT}")));
        }
        Ok(())
    }

    /// The same for `decide`.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            threshold: self.threshold,
            stale: self.forget_after.duration().as_secs(),
            storm: self.burst,
            probe: self.probe.duration().as_secs(),
            probe_max: self.probe_max.duration().as_secs(),
            trial: self.quiet.duration().as_secs(),
            trial_slow: self.quiet_slow.duration().as_secs(),
        }
    }
}

impl Default for Destinations {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            suspend: true,
            threshold: settings.threshold,
            forget_after: Age::seconds(settings.stale),
            burst: settings.storm,
            probe: Age::seconds(settings.probe),
            probe_max: Age::seconds(settings.probe_max),
            quiet: Age::seconds(settings.trial),
            quiet_slow: Age::seconds(settings.trial_slow),
        }
    }
}
