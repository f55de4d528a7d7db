//! Points in time, as state files hold them. Nothing here reads a clock.

use time::OffsetDateTime;

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
        let time = OffsetDateTime::from_unix_timestamp(self.0).ok()?;
        let year = u32::try_from(time.year()).ok()?;
        let day = [u32::from(u8::from(time.month())), u32::from(time.day())];
        let clock = [time.hour(), time.minute(), time.second()].map(u32::from);
        let mut out = String::with_capacity(20);
        // Four digits of a year, and two of all others: a mailbox of many messages is shown with as many dates.
        for (mark, number) in ["", ""].into_iter().zip([year / 100, year % 100]) {
            push_two_digits(&mut out, mark, number);
        }
        for (mark, number) in ["-", "-", "T", ":", ":"].into_iter().zip(day.into_iter().chain(clock)) {
            push_two_digits(&mut out, mark, number);
        }
        out.push('Z');
        Some(out)
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

/// Adds a mark, and a number of two digits.
fn push_two_digits(out: &mut String, mark: &str, number: u32) {
    out.push_str(mark);
    out.extend([number / 10 % 10, number % 10].map(|digit| char::from_digit(digit, 10).unwrap_or('?')));
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use super::Moment;

    proptest::proptest! {
        /// Alike with what the calendar's own crate writes.
        #[test]
        fn a_moment_is_written_as_rfc_3339_has_it(seconds in -70_000_000_000_i64..260_000_000_000) {
            let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
            let want = time.and_then(|time| time.format(&Rfc3339).ok());
            proptest::prop_assert_eq!(Moment::from_seconds(seconds).to_rfc3339(), want);
        }
    }
}
