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
    use super::is_separator;

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
