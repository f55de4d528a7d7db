//! Dates as programs write them into separator lines and header fields: words of a dozen forms, read without knowing
//! which one it is. What is no date is `None`. Zones are passed over: most programs write the local time and not which
//! that is.

use time::{Date, Month};

/// A day, in seconds.
const DAY_SECONDS: i64 = 86_400;

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

const WEEKDAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

/// What one word says about a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateWord {
    Weekday,
    Month,
    Day,
    Year,
    Time,
    /// A whole date in digits, or seconds since 1970.
    Numeric,
    Zone,
}

impl DateWord {
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        let bare = word.strip_suffix(b",").unwrap_or(word);
        Some(if position(&WEEKDAYS, bare).is_some() {
            Self::Weekday
        } else if position(&MONTHS, bare).is_some() {
            Self::Month
        } else if is_time(bare) {
            Self::Time
        } else if year(bare).is_some() {
            Self::Year
        } else if day(bare).is_some() {
            Self::Day
        } else if numeric_date(bare).is_some() {
            Self::Numeric
        } else if is_zone(bare) {
            Self::Zone
        } else {
            return None;
        })
    }
}

/// `+0100`, `MET`, `(CEST)`, and the `AM` of a clock with twelve hours.
fn is_zone(word: &[u8]) -> bool {
    if let [b'+' | b'-', digits @ ..] = word {
        return (2..=5).contains(&digits.len()) && digits.iter().all(|b| b.is_ascii_digit() || *b == b':');
    }
    let name = word.strip_prefix(b"(").unwrap_or(word);
    let name = name.strip_suffix(b")").unwrap_or(name);
    (1..=5).contains(&name.len()) && name.iter().all(u8::is_ascii_uppercase)
}

/// The words of a line.
pub(super) fn split_words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// The date of asctime(3) at the end of a line below a sender with a domain: what nearly every separator line is, read
/// without its words.
pub(super) fn asctime_tail(line: &[u8]) -> Option<&[u8; 24]> {
    let (head, date) = line.strip_prefix(b"From ")?.split_last_chunk::<24>()?;
    let sender = head.trim_ascii();
    let is_plain = head.ends_with(b" ") && sender.contains(&b'@') && !sender.iter().any(u8::is_ascii_whitespace);
    let [
        _,
        _,
        _,
        b' ',
        _,
        _,
        _,
        b' ',
        _,
        _,
        b' ',
        h0,
        h1,
        b':',
        m0,
        m1,
        b':',
        s0,
        s1,
        b' ',
        year @ ..,
    ] = date
    else {
        return None;
    };
    let is_day = day(date.get(8..10)?.trim_ascii_start()).is_some();
    let is_clock = [h0, h1, m0, m1, s0, s1].into_iter().chain(year).all(u8::is_ascii_digit);
    let is_named = position(&WEEKDAYS, date.get(..3)?).is_some() && position(&MONTHS, date.get(4..7)?).is_some();
    (is_plain && is_day && is_clock && is_named).then_some(date)
}

/// When the message was delivered, in seconds since 1970: the line's day and time of day, taken as UTC, since most
/// programs write the local time and not which that is. A line without a time of day means the end of that day, so that
/// nothing seems older than it is.
pub fn parse_date(line: &[u8]) -> Option<i64> {
    if let Some(date) = asctime_tail(line) {
        let at = |from: usize, to: usize| number(date.get(from..to)?.trim_ascii_start());
        let month = position(&MONTHS, date.get(4..7)?)? as i64 + 1;
        return Some(midnight(at(20, 24)?, month, at(8, 10)?)? + seconds_of(date.get(11..19)?)?);
    }
    let words: Vec<&[u8]> = split_words(line.strip_prefix(b"From ")?).collect();
    // The sender may be called May; without one the date begins at once.
    read_date(words.get(1..)?).or_else(|| read_date(&words))
}

/// The day and time of day of a header field such as `Date` (RFC 5322 section 3.3), taken as UTC.
pub fn field_date(value: &[u8]) -> Option<i64> {
    read_date(&split_words(value).collect::<Vec<_>>())
}

/// Reads the words of a date in any form that a program writes.
fn read_date(words: &[&[u8]]) -> Option<i64> {
    let bare = |word: &&[u8]| word.strip_suffix(b",").map_or(word.len(), <[u8]>::len);
    let words: Vec<&[u8]> = words
        .iter()
        .map(|word| word.get(..bare(word)).unwrap_or_default())
        .collect();
    if let Some(numeric) = words.iter().find_map(|word| numeric_date(word)) {
        return Some(match numeric {
            Numeric::Moment(seconds) => seconds,
            Numeric::Day(midnight) => midnight + time_of(&words).unwrap_or(DAY_SECONDS - 1),
        });
    }
    let (month, day, behind) = words.iter().enumerate().find_map(|(at, word)| {
        let month = position(&MONTHS, word)? as i64 + 1;
        let behind = words.get(at + 1..)?;
        // `Nov  2` in most, `2 Nov` in some.
        let before = at.checked_sub(1).and_then(|at| words.get(at));
        let day = behind.first().and_then(|word| day(word)).or_else(|| day(before?))?;
        Some((month, day, behind))
    })?;
    let year = behind.iter().find_map(|word| year(word))?;
    let time = time_of(&words).unwrap_or(DAY_SECONDS - 1);
    Some(midnight(year, month, day)? + time)
}

/// The first time of day, in seconds since midnight; with `AM` or `PM` behind it, on a clock with twelve hours.
fn time_of(words: &[&[u8]]) -> Option<i64> {
    let (at, time) = words.iter().enumerate().find(|(_, word)| is_time(word))?;
    let half = words.get(at + 1).map(|word| word.to_ascii_uppercase());
    Some(match (seconds_of(time)?, half.as_deref()) {
        (seconds, Some(b"AM")) => seconds % 43_200,
        (seconds, Some(b"PM")) => seconds % 43_200 + 43_200,
        (seconds, _) => seconds,
    })
}

fn seconds_of(time: &[u8]) -> Option<i64> {
    time.split(|b| *b == b':')
        .zip([3600, 60, 1])
        .map(|(part, unit)| Some(number(part.get(..2).unwrap_or(part))? * unit))
        .sum()
}

/// A date in digits, in seconds since 1970.
enum Numeric {
    /// When the day begins.
    Day(i64),
    /// A day and its time.
    Moment(i64),
}

/// `2026-11-02`, with or without `T10:00:00Z`; `11/2/2026`, the month first as in the United States, unless there is no
/// such month; `2.11.2026`; `2026/11/02`; `1793613600`.
fn numeric_date(word: &[u8]) -> Option<Numeric> {
    if (9..=11).contains(&word.len()) && word.iter().all(u8::is_ascii_digit) {
        return number(word).map(Numeric::Moment);
    }
    let (date, time) = match word.iter().position(|b| matches!(b, b'T' | b't')) {
        Some(at) => (word.get(..at)?, word.get(at + 1..)),
        None => (word, None),
    };
    let mark = *date.iter().find(|b| matches!(b, b'-' | b'/' | b'.'))?;
    let parts: Vec<i64> = date.split(|b| *b == mark).map(digits).collect::<Option<_>>()?;
    let is_year = |year: &i64| (1970..2100).contains(year);
    let (year, month, day) = match (*parts.as_slice().first_chunk()?, mark) {
        _ if parts.len() != 3 => return None,
        ([year, month, day], _) if is_year(&year) => (year, month, day),
        ([month, day, year], b'/') if is_year(&year) && month <= 12 => (year, month, day),
        ([day, month, year], _) if is_year(&year) => (year, month, day),
        _ => return None,
    };
    if !(1..=31).contains(&day) {
        return None;
    }
    let midnight = midnight(year, month, day)?;
    Some(match time {
        Some(time) if is_time(time.get(..5)?) => Numeric::Moment(midnight + seconds_of(time)?),
        Some(_) => return None,
        None => Numeric::Day(midnight),
    })
}

fn digits(part: &[u8]) -> Option<i64> {
    (part.len() <= 4 && part.iter().all(u8::is_ascii_digit))
        .then(|| number(part))
        .flatten()
}

fn number(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn position(names: &[&[u8]], word: &[u8]) -> Option<usize> {
    names.iter().position(|name| name.eq_ignore_ascii_case(word))
}

fn day(word: &[u8]) -> Option<i64> {
    let word = word.strip_suffix(b".").unwrap_or(word);
    number(word).filter(|day| word.len() <= 2 && (1..=31).contains(day))
}

/// Four digits, behind which Chinese and Japanese write their word for a year.
fn year(word: &[u8]) -> Option<i64> {
    let (digits, rest) = word.split_at_checked(4)?;
    let is_year = digits.iter().all(u8::is_ascii_digit) && rest.iter().all(|b| !b.is_ascii());
    number(digits).filter(|_| is_year)
}

/// `9:05`, `09:05` or `09:05:00`.
fn is_time(word: &[u8]) -> bool {
    let mut parts = word.split(|b| *b == b':');
    let digits = |part: &[u8]| (1..=2).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    parts.next().is_some_and(digits) && parts.next().is_some_and(digits) && parts.all(digits)
}

/// When a day begins that a program wrote. One beyond the end of its month is a day of the next.
fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let first = Date::from_calendar_date(i32::try_from(year).ok()?, month, 1).ok()?;
    Some(first.midnight().assume_utc().unix_timestamp() + (day - 1) * DAY_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::{field_date, parse_date};

    #[test]
    fn dates_of_all_programs_are_read() {
        const DAY_END: i64 = 1_793_577_600 + 86_399;
        for (line, want) in [
            ("From s@s.test Mon Nov  2 10:00:00 2026", Some(1_793_613_600)),
            ("From s@s.test Mon Nov 2 10:00 2026", Some(1_793_613_600)),
            ("From s@s.test Mon Nov  2 10:00:00 MET DST 2026", Some(1_793_613_600)),
            ("From s@s.test Mon, 2 Nov 2026 10:00:00 +0000 2026", Some(1_793_613_600)),
            ("From s@s.test Mon, 2 Nov 2026 10:00:00 +0000", Some(1_793_613_600)),
            ("From s@s.test Mon Nov  2 10:00:00 AM 2026", Some(1_793_613_600)),
            ("From s@s.test Mon Nov  2 12:00:00 AM 2026", Some(1_793_577_600)),
            (
                "From s@s.test Mon Nov  2 12:00:00 PM 2026",
                Some(1_793_577_600 + 43_200),
            ),
            ("From s@s.test 2026-11-02T10:00:00Z", Some(1_793_613_600)),
            ("From s@s.test 2026-11-02T10:00:00.5+01:00", Some(1_793_613_600)),
            ("From s@s.test 2026-11-02 10:00:00", Some(1_793_613_600)),
            ("From s@s.test 11/2/2026 10:00:00", Some(1_793_613_600)),
            ("From s@s.test 2.11.2026 10:00:00", Some(1_793_613_600)),
            ("From s@s.test 2026/11/02 10:00:00 PM", Some(1_793_656_800)),
            ("From s@s.test 1793613600", Some(1_793_613_600)),
            ("From s@s.test Mon Nov 2 2026", Some(DAY_END)),
            ("From s@s.test 2026-11-02", Some(DAY_END)),
            ("From May Mon Nov  2 10:00:00 2026", Some(1_793_613_600)),
            ("From Mon Nov  2 10:00:00 2026", Some(1_793_613_600)),
            ("From MAILER-DAEMON  Thu Jan  1 00:00:00 1970\r", Some(0)),
            ("From s@s.test Sat Feb 29 23:59:59 2020", Some(1_583_020_799)),
            ("From s@s.test Sun Mar  1 00:00:00 2020", Some(1_583_020_800)),
            ("From s@s.test Fri Dec 31 23:59:59 1999", Some(946_684_799)),
            // A day too many, as some programs count.
            ("From s@s.test Sun Feb 30 00:00:00 2020", Some(1_583_020_800)),
            ("From s@s.test Mon Nov 32 10:00:00 2026", None),
            ("From s@s.test 2026-13-02", None),
            ("From s@s.test 1.2.3", None),
            ("From s@s.test", None),
            ("From ", None),
        ] {
            assert_eq!(parse_date(line.as_bytes()), want, "{line:?}");
        }
        let field = b"Mon, 2 Nov 2026 10:00:00 +0000 (UTC)";
        assert_eq!(field_date(field), Some(1_793_613_600));
    }
}
