//! Names of messages in a Maildir: `SECONDS.MmicrosecondsPpidQnumberFfingerprint.HOST,S=bytes,W=bytes`, with `:2,` and
//! flags behind it in `cur/`. What reads a name takes any program's.

use std::fmt::Write;

/// The name of a message that is about to be delivered, without sizes and flags. No other message has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueName {
    /// When, in seconds since 1970.
    pub seconds: i64,
    /// The part of a second, in microseconds.
    pub microseconds: u32,
    /// The process that delivers it.
    pub pid: u32,
    /// The how manyth of this process.
    pub number: u32,
    /// A fingerprint of its content.
    pub fingerprint: u64,
    /// The host, escaped.
    pub host: String,
}

impl UniqueName {
    /// Reads a name that `Display` wrote; none for another program's.
    pub fn parse(text: &str) -> Option<Self> {
        let (seconds, rest) = text.split_once('.')?;
        let (middle, host) = rest.split_once('.')?;
        let (microseconds, rest) = middle.strip_prefix('M')?.split_once('P')?;
        let (pid, rest) = rest.split_once('Q')?;
        let (number, fingerprint) = rest.split_once('F')?;
        if host.contains('/') {
            // No name of ours leads out of its directory.
            return None;
        }
        Some(Self {
            seconds: seconds.parse().ok()?,
            microseconds: microseconds.parse().ok()?,
            pid: pid.parse().ok()?,
            number: number.parse().ok()?,
            fingerprint: u64::from_str_radix(fingerprint, 16).ok()?,
            host: host.to_owned(),
        })
    }

    /// The name in `new/`: with the sizes on disk and with CRLF, in bytes.
    pub fn with_sizes(&self, bytes: u64, crlf_bytes: u64) -> String {
        format!("{self},S={bytes},W={crlf_bytes}")
    }
}

impl std::fmt::Display for UniqueName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}.M{}P{}Q{}F{:016x}.{}",
            self.seconds, self.microseconds, self.pid, self.number, self.fingerprint, self.host
        )
    }
}

/// The host's name without what has a meaning in names (maildir(5): `\057` for a slash, `\072` for a colon).
pub fn escape_host(host: &str) -> String {
    let mut escaped = String::new();
    for c in host.chars() {
        match c {
            '/' | ':' | ',' | '\\' | '\0'..='\x20' | '\x7f' => {
                let _ = write!(escaped, "\\{:03o}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    if escaped.is_empty() {
        "localhost".to_owned()
    } else {
        escaped
    }
}

/// The part of a name that stays when a reader sets flags.
pub fn without_flags(name: &[u8]) -> &[u8] {
    name.split(|b| *b == b':').next().unwrap_or(name)
}

/// The flags in a name, such as `RS`: P passed, R replied, S seen, T trashed, D draft, F flagged.
pub fn flags_of(name: &[u8]) -> &[u8] {
    let at = name.windows(3).position(|part| part == b":2,");
    at.and_then(|at| name.get(at + 3..)).unwrap_or_default()
}

/// When the message was delivered, in seconds since 1970: every program's names begin with that.
pub fn delivered_seconds(name: &[u8]) -> Option<i64> {
    let digits = name.split(|b| !b.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The size on disk that a name says, in bytes; none where it says nothing.
pub fn size_of(name: &[u8]) -> Option<u64> {
    let fields = without_flags(name).split(|b| *b == b',').skip(1);
    let digits = fields.filter_map(|field| field.strip_prefix(b"S=")).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{UniqueName, delivered_seconds, escape_host, flags_of, size_of, without_flags};

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let name = UniqueName {
            seconds: 1_795_661_026,
            microseconds: 598_047,
            pid: 79,
            number: 0,
            fingerprint: 0x0123_4567_89ab_cdef,
            host: "mx.a.test".to_owned(),
        };
        let text = "1795661026.M598047P79Q0F0123456789abcdef.mx.a.test";
        assert_eq!(name.to_string(), text);
        assert_eq!(name.with_sizes(5, 6), format!("{text},S=5,W=6"));
        assert_eq!(UniqueName::parse(text), Some(name));
        for other in [
            "",
            "1.M2P3.host",
            "1795661026.M598047P54.mx.a.test",
            "1.M1P1Q1Fx.h",
            "1.M1P1Q1F1./../h",
        ] {
            assert_eq!(UniqueName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn sizes_and_flags_of_any_program_are_read() {
        for (name, bytes, set, stays) in [
            ("1.M5P5.h,S=522,W=535", Some(522), "", "1.M5P5.h,S=522,W=535"),
            ("1.M5P5.h,S=522,W=535:2,RS", Some(522), "RS", "1.M5P5.h,S=522,W=535"),
            ("1.M5P5V2CI9_0.h,S=7111:2,", Some(7111), "", "1.M5P5V2CI9_0.h,S=7111"),
            ("1.5.h:2,S", None, "S", "1.5.h"),
            ("1.5.h,W=9,S=8", Some(8), "", "1.5.h,W=9,S=8"),
            ("1.5.h,S=x", None, "", "1.5.h,S=x"),
            ("S=7", None, "", "S=7"),
        ] {
            assert_eq!(size_of(name.as_bytes()), bytes, "{name}");
            assert_eq!(flags_of(name.as_bytes()), set.as_bytes(), "{name}");
            assert_eq!(without_flags(name.as_bytes()), stays.as_bytes(), "{name}");
        }
    }

    #[test]
    fn the_second_of_delivery_stands_first() {
        for (name, seconds) in [
            ("1795661026.M5P5.h", Some(1_795_661_026)),
            ("9:2,S", Some(9)),
            ("x.1", None),
            ("", None),
        ] {
            assert_eq!(delivered_seconds(name.as_bytes()), seconds, "{name}");
        }
    }

    #[test]
    fn a_host_name_never_ends_a_name_early() {
        for (host, escaped) in [
            ("mx.a.test", "mx.a.test"),
            ("a/b:c", "a\\057b\\072c"),
            ("a,S=1", "a\\054S=1"),
            ("", "localhost"),
        ] {
            assert_eq!(escape_host(host), escaped);
        }
    }
}
