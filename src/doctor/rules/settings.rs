//! Settings as `postconf`, `doveconf` and `exim -bP` print them, one `name = value` a line.

use std::collections::BTreeMap;

/// What a program said about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Reads them. Exim writes `name` for what is on and `no_name` for what is off.
    pub fn parse(text: &str) -> Self {
        let mut found = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once('=') {
                Some((name, value)) => found.insert(name.trim().to_owned(), value.trim().to_owned()),
                None if line.contains(char::is_whitespace) => None,
                None => match line.strip_prefix("no_") {
                    Some(name) => found.insert(name.to_owned(), "no".to_owned()),
                    None => found.insert(line.to_owned(), "yes".to_owned()),
                },
            };
        }
        Self(found)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The words of a setting, without commas and blanks; none where it was not named.
    pub fn words(&self, name: &str) -> Vec<&str> {
        let value = self.get(name).unwrap_or_default();
        value
            .split([',', ' ', '\t', '\n'])
            .filter(|word| !word.is_empty())
            .collect()
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// A length of time, in seconds: `1000s`, `5 mins`, `1h`; a number alone counts seconds.
    pub fn parse_seconds(&self, name: &str) -> Option<u64> {
        parse_seconds(self.get(name)?)
    }
}

/// A length of time, in seconds; Exim strings several together, `1h30m`.
pub fn parse_seconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let behind = behind.trim_start();
        let letters = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let factor = match unit.bytes().next() {
            None | Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            Some(b'd') => 86400,
            Some(b'w') => 7 * 86400,
            Some(_) => return None,
        };
        total = number.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(total)?;
        rest = behind.trim_start();
    }
    Some(total)
}

/// The blocks that `exim -bP transports` or `routers` prints: a line with the name and `end`, and the settings below.
pub fn parse_blocks(said: &str, end: &str) -> Vec<(String, Settings)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in said.lines() {
        if let Some(name) = line.trim_end().strip_suffix(end) {
            found.push((name.trim().to_owned(), String::new()));
        } else if let Some((_, text)) = found.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    found
        .into_iter()
        .map(|(name, text)| (name, Settings::parse(&text)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Settings, parse_seconds};

    #[test]
    fn settings_are_read_as_each_program_prints_them() {
        let settings = Settings::parse(
            "mailbox_delivery_lock = fcntl, dotlock\nmailbox_size_limit = 0\nmailbox_command =\n\
             mbox_lock_timeout = 5 mins\nlocal_delivery transport:\nno_freeze_signal\nuse_lockfile\n",
        );
        assert_eq!(settings.words("mailbox_delivery_lock"), ["fcntl", "dotlock"]);
        assert_eq!(settings.number("mailbox_size_limit"), Some(0));
        assert_eq!(settings.get("mailbox_command"), Some(""));
        assert_eq!(settings.parse_seconds("mbox_lock_timeout"), Some(300));
        assert_eq!(settings.get("freeze_signal"), Some("no"));
        assert_eq!(settings.get("use_lockfile"), Some("yes"));
        assert_eq!(settings.get("local_delivery transport:"), None);
        assert_eq!(settings.get("none"), None);
    }

    #[test]
    fn lengths_of_time_have_units() {
        for (text, want) in [
            ("1000s", Some(1000)),
            ("1000", Some(1000)),
            ("5 mins", Some(300)),
            ("1h30m", Some(5400)),
            ("2w", Some(14 * 86400)),
            ("", None),
            ("soon", None),
            ("5x", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_seconds(text), want, "{text}");
        }
    }
}
