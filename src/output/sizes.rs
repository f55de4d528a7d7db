//! Sizes and lengths of time as people read them.

use std::time::Duration;

/// A size with three digits: `980`, `12.3K`, `75.1M`.
pub fn short_size(bytes: u64) -> String {
    let units = ["", "K", "M", "G", "T", "P", "E"];
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    let name = units.get(unit).unwrap_or(&"");
    if unit == 0 {
        bytes.to_string()
    } else if tenths < 1000 {
        format!("{}.{}{name}", tenths / 10, tenths % 10)
    } else {
        format!("{}{name}", tenths / 10)
    }
}

/// A number of bytes for people.
pub fn size_text(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >> shift > 0 {
            let tenths = (u128::from(bytes) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    count_text(bytes, "byte", "bytes")
}

/// A length of time as people say it.
pub fn age_text(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..7200 => count_text(seconds / 60, "minute", "minutes"),
        7200..172_800 => count_text(seconds / 3600, "hour", "hours"),
        _ => count_text(seconds / 86400, "day", "days"),
    }
}

/// A number and what is counted: `1 mailbox`, `2 mailboxes`.
pub fn count_text(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// `1 message`, `2 messages`.
pub fn message_count_text(count: u64) -> String {
    count_text(count, "message", "messages")
}

/// The first of some names, and how many more there are: `ann, bob, 3 more`.
pub fn first_names(names: &[&str], most: usize) -> String {
    let mut shown: Vec<String> = names.iter().take(most).map(|name| (*name).to_owned()).collect();
    if names.len() > most {
        shown.push(format!("{} more", names.len() - most));
    }
    shown.join(", ")
}

/// What is left: `1 message remains`, `0 bytes remain`.
pub fn what_remains(what: &str, count: u64) -> String {
    format!("{what} {}", if count == 1 { "remains" } else { "remain" })
}
