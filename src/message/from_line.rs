//! The line that begins each message of an mbox: `From sender date` (RFC 4155, mbox(5)). Every program writes its date a little
//! differently, and prose begins with the same word; here is what counts.

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Tells a separator line from prose ("From the desk of ..."): behind the sender stand a month, a time of day and a year.
#[must_use]
pub fn is_separator(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else {
        return false;
    };
    let mut words = rest.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty());
    // The sender; without one, `MAILER-DAEMON` or nothing at all stands there, and the date follows all the same.
    let _ = words.next();
    let mut month = false;
    let mut time = false;
    for word in words {
        if time && is_year(word) {
            return true;
        }
        month = month || MONTHS.contains(&word);
        time = time || (month && is_time(word));
    }
    false
}

/// When the message was delivered, in seconds since 1970: the line's day and time of day, taken as UTC, since most programs write the
/// local time and not which that is.
#[must_use]
pub fn date(line: &[u8]) -> Option<i64> {
    let words: Vec<&[u8]> = line
        .split(|b| b.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
        .skip(2)
        .collect();
    let (at, month) = words.iter().enumerate().find_map(|(at, word)| {
        let month = MONTHS.iter().position(|month| month == word)?;
        Some((at, month as i64 + 1))
    })?;
    let behind = words.get(at + 1..)?;
    // `Nov  2` in most, `2 Nov` in some.
    let day = |word: &[u8]| number(word).filter(|day| word.len() <= 2 && (1..=31).contains(day));
    let before = at.checked_sub(1).and_then(|at| words.get(at));
    let day = behind
        .first()
        .and_then(|word| day(word))
        .or_else(|| before.and_then(|word| day(word)))?;
    let time = behind.iter().find(|word| is_time(word))?;
    let year = behind.iter().find(|word| is_year(word)).and_then(|word| number(word))?;
    let seconds = time
        .split(|b| *b == b':')
        .zip([3600, 60, 1])
        .map(|(part, unit)| number(part).map_or(0, |count| count * unit))
        .sum::<i64>();
    Some(days(year, month, day) * 86400 + seconds)
}

fn number(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

/// Year, month and day of a time in seconds since 1970; the other way round.
#[must_use]
pub fn civil(seconds: i64) -> (i64, i64, i64) {
    let day = seconds.div_euclid(86400) + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn is_year(word: &[u8]) -> bool {
    word.len() == 4 && word.iter().all(u8::is_ascii_digit)
}

/// `9:05`, `09:05` or `09:05:00`.
fn is_time(word: &[u8]) -> bool {
    let mut parts = word.split(|b| *b == b':');
    let digits = |part: &[u8]| (1..=2).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    parts.next().is_some_and(digits) && parts.next().is_some_and(digits) && parts.all(digits)
}

#[cfg(test)]
mod tests {
    use super::{civil, date, days, is_separator};

    #[test]
    fn days_are_counted_there_and_back() {
        for day in -800_000..800_000 {
            let (year, month, of_month) = civil(day * 86400 + 7);
            assert_eq!(days(year, month, of_month), day);
        }
        assert_eq!(civil(951_782_400), (2000, 2, 29));
    }

    #[test]
    fn dates_of_all_programs_are_read() {
        for (line, want) in [
            ("From s@s.test Mon Nov  2 10:00:00 2026", Some(1_793_613_600)),
            ("From s@s.test Mon Nov 2 10:00 2026", Some(1_793_613_600)),
            ("From s@s.test Mon Nov  2 10:00:00 MET DST 2026", Some(1_793_613_600)),
            ("From s@s.test Mon, 2 Nov 2026 10:00:00 +0000 2026", Some(1_793_613_600)),
            ("From MAILER-DAEMON  Thu Jan  1 00:00:00 1970\r", Some(0)),
            ("From s@s.test Sat Feb 29 23:59:59 2020", Some(1_583_020_799)),
            ("From s@s.test Sun Mar  1 00:00:00 2020", Some(1_583_020_800)),
            ("From s@s.test Fri Dec 31 23:59:59 1999", Some(946_684_799)),
            ("From s@s.test Mon Nov 32 10:00:00 2026", None),
            ("From s@s.test", None),
        ] {
            assert_eq!(date(line.as_bytes()), want, "{line:?}");
        }
    }

    #[test]
    fn separators_of_all_programs_count_and_prose_does_not() {
        for (line, want) in [
            ("From s@s.test Mon Nov  2 10:00:00 2026\n", true),
            ("From MAILER-DAEMON  Mon Nov  2 10:00:00 2026\r\n", true),
            ("From s@s.test Mon Nov 2 9:05 2026", true),
            ("From s@s.test Mon Nov  2 10:00:00 MET DST 2026", true),
            ("From s@s.test Mon, 2 Nov 2026 10:00:00 +0000 2026", true),
            ("From s@s.test  Mon Nov  2 10:00:00 2026 +0100", true),
            ("From the desk of Ann, at 10:00 in 2026", false),
            ("From 10:00 on we meet in May 2026", false),
            ("From s@s.test", false),
            (">From s@s.test Mon Nov  2 10:00:00 2026", false),
            ("From: s@s.test", false),
            ("", false),
        ] {
            assert_eq!(is_separator(line.as_bytes()), want, "{line:?}");
        }
    }
}
