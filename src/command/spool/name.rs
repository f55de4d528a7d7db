//! What archives are called: `USER-YYYYMMDDTHHMMSSZ` and the ending of the format, the time in UTC. So they sort by time, and whose
//! they are can be told. What could lead elsewhere or look like a flag is written as `_` and two digits.

use time::{Date, Month, OffsetDateTime, Time};

use crate::act::pack::Format;

/// The beginning of the names of a user's archives.
#[must_use]
pub fn prefix(user: &str) -> String {
    let mut name = String::new();
    for (at, byte) in user.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'@');
        if plain && !(at == 0 && matches!(byte, b'.' | b'-')) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("_{byte:02x}"));
        }
    }
    // NAME_MAX is 255 bytes.
    let cut = name.len().min(180);
    format!("{}-", name.get(..cut).unwrap_or(&name))
}

/// The name of an archive.
#[must_use]
pub fn archive(user: &str, date: OffsetDateTime, format: Format) -> String {
    format!(
        "{}{:04}{:02}{:02}T{:02}{:02}{:02}Z{}",
        prefix(user),
        date.year(),
        u8::from(date.month()),
        date.day(),
        date.hour(),
        date.minute(),
        date.second(),
        format.suffix()
    )
}

/// Whose archive it is and from when, as its name says: the user's part, then the time as it is written.
#[must_use]
pub fn parts(name: &str) -> Option<(&str, &str)> {
    let formats = [Format::TarGz, Format::Gz, Format::Zst];
    let stem = formats.iter().find_map(|format| name.strip_suffix(format.suffix()))?;
    let (user, time) = stem.rsplit_once('-')?;
    let shape = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    let is_time = time.len() == 16 && time.bytes().enumerate().all(shape);
    (is_time && !user.is_empty()).then_some((user, time))
}

/// The user that the user's part of a name speaks of; none where that cannot be told.
#[must_use]
pub fn user(part: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'_' {
            bytes.push(*first);
            continue;
        }
        let (digits, more) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = more;
    }
    let user = String::from_utf8(bytes).ok()?;
    // What was cut off, or is written otherwise, is another name.
    (prefix(&user).strip_suffix('-') == Some(part)).then_some(user)
}

/// When an archive was made, in seconds since 1970, if this is the name of one of this user's.
#[must_use]
pub fn made(file_name: &str, user: &str) -> Option<i64> {
    let (part, time) = parts(file_name)?;
    let number = |from: usize, to: usize| time.get(from..to)?.parse::<u16>().ok();
    let small = |from: usize| u8::try_from(number(from, from + 2)?).ok();
    let month = Month::try_from(small(4)?).ok()?;
    let day = Date::from_calendar_date(i32::from(number(0, 4)?), month, small(6)?).ok()?;
    let of_day = Time::from_hms(small(9)?, small(11)?, small(13)?).ok()?;
    (prefix(user).strip_suffix('-') == Some(part)).then(|| day.with_time(of_day).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::{archive, made, parts, prefix, user};
    use crate::act::pack::Format;
    use time::OffsetDateTime;

    #[test]
    fn names_tell_whose_and_when_and_lead_nowhere() {
        for (user, want) in [
            ("a", "a-19700101T000000Z.tar.gz"),
            ("a-b.c@d", "a-b.c@d-19700101T000000Z.tar.gz"),
            ("-rf", "_2drf-19700101T000000Z.tar.gz"),
            ("../x\n", "_2e._2fx_0a-19700101T000000Z.tar.gz"),
            ("a_b", "a_5fb-19700101T000000Z.tar.gz"),
        ] {
            let name = archive(user, OffsetDateTime::UNIX_EPOCH, Format::TarGz);
            assert_eq!(name, want);
            let (of, time) = parts(&name).unwrap_or_default();
            assert_eq!((format!("{of}-"), time), (prefix(user), "19700101T000000Z"));
            assert_eq!(super::user(of).as_deref(), Some(user));
            assert_eq!((made(&name, user), made(&name, "other")), (Some(0), None));
        }
        for name in [
            "a.tar.gz",
            "a-2026.gz",
            "-19700101T000000Z.gz",
            "a-19700101T000000Z.bz2",
            "a-1970010xT000000Z.gz",
        ] {
            assert_eq!(parts(name), None, "{name}");
        }
    }
    #[test]
    fn what_looks_like_a_name_and_is_none_is_nobodys() {
        for part in ["a_", "a_zz", "a_61", "_2E", "a_ff", ".a"] {
            assert_eq!(user(part), None, "{part}");
        }
        let long = "u".repeat(300);
        assert_eq!(user(prefix(&long).trim_end_matches('-')).as_deref(), long.get(..180));
        assert_eq!(made("a-20261102T100000Z.zst", "a"), Some(1_793_613_600));
        for name in [
            "a-20261302T100000Z.gz",
            "a-20261131T100000Z.gz",
            "a-20261102T250000Z.gz",
            "a-b-20261102T100000Z.gz",
            "a-20261102T100000Z-2.gz",
            "a-20261102T100000Z.tar",
            "a-20261102T100000Z.gz.part",
            "a_old.tar.gz",
            "a",
        ] {
            assert_eq!(made(name, "a"), None, "{name}");
        }
    }
}
