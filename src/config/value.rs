//! The values that have a form of their own: sizes, ages, shares, ceilings. Each reads what a person writes and says
//! what it expected otherwise.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A size in bytes: `50M`, `1G`, `800B`; `none` or 0 where it bounds nothing. A number alone is no size: 500 means
/// 500M.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// Bounds nothing.
    pub const NONE: Self = Self(0);

    /// A number of MiB.
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// A number of bytes.
    pub const fn from_bytes(count: u64) -> Self {
        Self(count)
    }

    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes, if it bounds anything.
    pub fn bound(self) -> Option<u64> {
        (self.0 > 0).then_some(self.0)
    }
}

impl std::str::FromStr for Size {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::NONE);
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim().to_ascii_lowercase().as_str() {
            "" if number == "0" => 0,
            "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(()),
        };
        let number: u64 = number.parse().map_err(drop)?;
        number.checked_mul(1 << shift).map(Self).ok_or(())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("none");
        }
        for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] {
            if self.0 & ((1 << shift) - 1) == 0 {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}B", self.0)
    }
}

/// A length of time: `60s`, `5m`, `2h`, `90d`, `1w`; `none` where it bounds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(u64);

impl Age {
    /// Bounds nothing.
    pub const NONE: Self = Self(0);

    /// A number of seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(count)
    }

    /// The number of seconds.
    pub const fn as_seconds(self) -> u64 {
        self.0
    }

    /// The same as the standard library knows it.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// The same, if it bounds anything.
    pub fn bound(self) -> Option<Duration> {
        (self.0 > 0).then(|| self.duration())
    }
}

impl std::str::FromStr for Age {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::NONE);
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(())?;
        let (number, unit) = text.split_at(digits);
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86400,
            "w" => 7 * 86400,
            _ => return Err(()),
        };
        let number: u64 = number.parse().map_err(drop)?;
        number.checked_mul(seconds).map(Self).ok_or(())
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("none");
        }
        // A week is seven days to people, and a minute sixty seconds.
        for (seconds, unit, from) in [
            (7 * 86400, "w", 14 * 86400),
            (86400, "d", 86400),
            (3600, "h", 3600),
            (60, "m", 120),
        ] {
            if self.0 >= from && self.0.is_multiple_of(seconds) {
                return write!(f, "{}{unit}", self.0 / seconds);
            }
        }
        write!(f, "{}s", self.0)
    }
}

/// A share of a limit: `80%`; `none` is never reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u64);

impl Share {
    /// A number of hundredths.
    pub const fn percent(count: u64) -> Self {
        Self(count)
    }

    /// That part of `whole`, if it is any.
    pub fn of(self, whole: u64) -> Option<u64> {
        let part = u128::from(whole) * u128::from(self.0) / 100;
        (self.0 > 0).then(|| u64::try_from(part).unwrap_or(u64::MAX))
    }
}

impl std::str::FromStr for Share {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.trim().eq_ignore_ascii_case("none") {
            return Ok(Self(0));
        }
        let number: u64 = text.trim().strip_suffix('%').ok_or(())?.trim().parse().map_err(drop)?;
        if number <= 100 { Ok(Self(number)) } else { Err(()) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("none"),
            part => write!(f, "{part}%"),
        }
    }
}

/// What is expected of a size.
pub(super) const SIZE: &str = "a size such as \"50M\" or \"1G\", or \"none\"";
const AGE: &str = "a length of time such as \"60s\", \"5m\" or \"90d\", or \"none\"";
const SHARE: &str = "a share such as \"80%\", or \"none\"";

struct Parsed<T>(&'static str, std::marker::PhantomData<T>);

impl<T: std::str::FromStr> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|_| match text.trim().parse::<u64>() {
            Ok(number) => lacks_unit(number, self.0),
            Err(_) => E::invalid_value(de::Unexpected::Str(text), &self.0),
        })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        number.to_string().parse().map_err(|_| match u64::try_from(number) {
            Ok(number) => lacks_unit(number, self.0),
            Err(_) => E::invalid_value(de::Unexpected::Signed(number), &self.0),
        })
    }
}

/// A number from here on was more likely counted in bytes than in MiB.
const FEWEST_BYTES: u64 = 100_000;

/// Returns the size that a number without a unit most likely means, such as `500M`.
pub fn with_unit(number: u64) -> String {
    match number {
        FEWEST_BYTES.. => Size::from_bytes(number).to_string(),
        _ => format!("{number}M"),
    }
}

/// Shows the number with the unit that is most likely meant.
fn lacks_unit<E: de::Error>(number: u64, expected: &'static str) -> E {
    match expected {
        SIZE => E::custom(format_args!("a size needs a unit, such as \"{}\"", with_unit(number))),
        AGE => E::custom(format_args!("a length of time needs a unit, such as \"{number}s\"")),
        _ => E::custom(format_args!("a share needs its sign, such as \"{number}%\"")),
    }
}

macro_rules! written_as_text {
    ($($type:ty => $expected:expr),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Parsed($expected, std::marker::PhantomData))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    )*};
}

written_as_text!(Size => SIZE, Age => AGE, Share => SHARE);

/// How full a mailbox may be; `None` is without bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// In bytes.
    pub bytes: Option<u64>,
    /// In messages.
    pub messages: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::{Age, Share, Size};

    #[test]
    fn values_are_read_as_written_and_written_as_read() {
        for (text, bytes, shown) in [
            ("50M", Some(50 << 20), "50M"),
            ("1G", Some(1 << 30), "1G"),
            ("1024 k", Some(1 << 20), "1M"),
            ("1500B", Some(1500), "1500B"),
            ("1500", None, ""),
            ("none", Some(0), "none"),
            ("0", Some(0), "none"),
            ("50X", None, ""),
            ("M", None, ""),
            ("-1", None, ""),
            ("99999999999T", None, ""),
        ] {
            let size: Option<Size> = text.parse().ok();
            assert_eq!(size.map(Size::bytes), bytes, "{text}");
            assert_eq!(size.map(|s| s.to_string()).unwrap_or_default(), shown, "{text}");
        }
        for (text, shown) in [
            ("60s", Some("60s")),
            ("90d", Some("90d")),
            ("120s", Some("2m")),
            ("60m", Some("1h")),
            ("24h", Some("1d")),
            ("7d", Some("7d")),
            ("none", Some("none")),
            ("60", None),
            ("1y", None),
        ] {
            let age: Option<Age> = text.parse().ok();
            assert_eq!(age.map(|a| a.to_string()).as_deref(), shown, "{text}");
        }
        for (text, part) in [
            ("80%", Some(Some(80))),
            ("none", Some(None)),
            ("101%", None),
            ("80", None),
        ] {
            let share: Option<Share> = text.parse().ok();
            assert_eq!(share.map(|s| s.of(100)), part, "{text}");
        }
    }
}
