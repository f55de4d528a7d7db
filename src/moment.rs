//! Points in time, as what is remembered holds them. Nothing here reads a clock.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds of an hour.
pub const HOUR: u64 = 60 * 60;

/// Seconds of a day.
pub const DAY: u64 = 24 * HOUR;

/// A point in time, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct Moment(i64);

impl Moment {
    /// That many seconds after the beginning of 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// The number of seconds.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// That much later.
    pub fn after(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX)))
    }

    /// How long it is after `earlier`; nothing where it is before.
    pub fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// In UTC as RFC 3339 writes it, `2026-11-25T03:14:00Z`; none beyond the calendar.
    pub fn to_rfc3339(self) -> Option<String> {
        OffsetDateTime::from_unix_timestamp(self.0).ok()?.format(&Rfc3339).ok()
    }

    /// Its day in UTC, `2026-11-25`; none beyond the calendar.
    pub fn to_day(self) -> Option<String> {
        let date = OffsetDateTime::from_unix_timestamp(self.0).ok()?;
        Some(date.date().to_string())
    }

    /// The number of its day, in UTC.
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY.cast_signed())
    }
}
