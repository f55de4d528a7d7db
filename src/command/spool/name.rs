//! What archives are called: `USER-YYYYMMDDTHHMMSSZ` and the ending of the format, the time in UTC. So they sort by time, and whose
//! they are can be told. What could lead elsewhere or look like a flag is written as `_` and two digits.

use time::OffsetDateTime;

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

#[cfg(test)]
mod tests {
    use super::{archive, parts, prefix};
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
}
