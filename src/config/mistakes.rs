//! Finds every mistake in the text of a configuration: invalid TOML, unknown keys, values that are not allowed. Each
//! with the place where it stands and what was expected there. Used only where a configuration was refused: a delivery
//! that can use its configuration pays nothing for it.

use std::ops::Range;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use crate::config::Config;
use crate::config::located::{EntryFault, Located, WrongEntry, one_of};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key with its tables, such as `quota.limit`; empty where the text is not TOML.
    pub key: String,
    /// Which bytes of the text are wrong; empty where the mistake stands at no single place.
    pub span: Range<usize>,
    /// What is wrong, and what would be right.
    pub cause: String,
}

/// Returns the mistakes of a text, in the order of the text.
pub fn find_mistakes(text: &str) -> Vec<Mistake> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut document = DeValue::Table(document.into_inner());
    let mut found: Vec<Mistake> = errors.iter().map(|error| Mistake::of_syntax(text, error)).collect();
    let is_toml = found.is_empty();
    let refused_lines: Vec<usize> = found.iter().map(|mistake| mistake.line(text)).collect();
    loop {
        match Config::deserialize(Located(&document)) {
            Ok(config) if is_toml => {
                found.extend(of_values(text, &config));
                break;
            }
            Ok(_) => break,
            // What is named is taken out, so that the next one is found.
            Err(refusal) => {
                let is_out = remove(&mut document, &refusal.path);
                let mistake = Mistake::of_refusal(refusal);
                if !refused_lines.contains(&mistake.line(text)) {
                    found.push(mistake);
                }
                if !is_out {
                    break;
                }
            }
        }
    }
    found.sort_by_key(|mistake| mistake.span.start);
    found
}

/// Returns what the types of the keys cannot say. `config` may hold more than the text says.
pub fn of_values(text: &str, config: &Config) -> Vec<Mistake> {
    let document = DeTable::parse(text).ok();
    let place = |key: &str| span_of(document.as_ref()?.get_ref(), key);
    config
        .check()
        .into_iter()
        .map(|(key, cause)| Mistake {
            span: place(key).unwrap_or(0..0),
            key: key.to_owned(),
            cause,
        })
        .collect()
}

impl Mistake {
    fn of_syntax(text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        // At the end of a line there is nothing to point at.
        let span = match text.get(span.clone()).is_some_and(|wrong| !wrong.trim().is_empty()) {
            true => span,
            false => span.start..span.start,
        };
        let before = text.get(..span.start).unwrap_or_default().trim_end_matches([' ', '\t']);
        let cause = match span.is_empty() && before.ends_with('=') {
            true => "expected a value after =".to_owned(),
            false => error.message().trim().replace('\n', ", "),
        };
        Self {
            key: String::new(),
            span,
            cause,
        }
    }

    fn of_refusal(refusal: WrongEntry) -> Self {
        let key = refusal.path.join(".");
        let cause = match refusal.trouble {
            EntryFault::UnknownKey(known) => unknown_key(&refusal.path, known),
            EntryFault::Value(cause) => cause,
        };
        Self {
            key,
            span: refusal.span.unwrap_or(0..0),
            cause,
        }
    }

    /// Returns the line on which it stands, counted from 1; 0 where that is no single one.
    pub fn line(&self, text: &str) -> usize {
        match self.span {
            Range { start: 0, end: 0 } if !self.key.is_empty() => 0,
            Range { start, .. } => text.get(..start).unwrap_or(text).matches('\n').count() + 1,
        }
    }

    /// Returns it in one sentence, with line and key.
    pub fn sentence(&self, text: &str) -> String {
        let key = match self.key.as_str() {
            "" => String::new(),
            key => format!("{key}: "),
        };
        match self.line(text) {
            0 => format!("{key}{}", self.cause),
            line => format!("line {line}: {key}{}", self.cause),
        }
    }

    /// Returns its line of the text and a line that points at it; none where it stands at no single place.
    pub fn excerpt(&self, text: &str) -> Option<(String, String)> {
        if self.line(text) == 0 {
            return None;
        }
        let start = text.get(..self.span.start)?.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(start..)?.lines().next()?;
        let before = text.get(start..self.span.start)?.chars().count();
        let marked = text
            .get(self.span.clone())?
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .count();
        let shown = line.chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
        Some((shown, format!("{}{}", " ".repeat(before), "^".repeat(marked.max(1)))))
    }
}

/// Says that a key is unknown, and which one may be meant: the nearest of its table, or the same name in another table.
fn unknown_key(path: &[String], known: &[&str]) -> String {
    let Some((name, tables)) = path.split_last() else {
        return "unknown key".to_owned();
    };
    if let Some(near) = nearest(name, known) {
        return format!("unknown key; did you mean {near}?");
    }
    let all = toml::Table::try_from(Config::default()).unwrap_or_default();
    if !tables.is_empty() && all.contains_key(name) {
        return format!("unknown key here; {name} stands above all tables");
    }
    let keys = |table: &toml::Value| -> Vec<String> {
        table
            .as_table()
            .map(|keys| keys.keys().cloned().collect())
            .unwrap_or_default()
    };
    for (table, value) in &all {
        let keys = keys(value);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        if keys.contains(&name.as_str()) {
            return format!("unknown key here; {name} belongs to [{table}]");
        }
        if let Some(near) = nearest(name, &keys) {
            return format!("unknown key; did you mean {near} of [{table}]?");
        }
    }
    format!("unknown key; expected {}", one_of(known))
}

/// Tells whether a word is near enough to a name to be meant.
pub fn is_near(word: &str, name: &str) -> bool {
    nearest(word, &[name]).is_some()
}

/// Returns the name that is nearest, if it is near enough to be meant.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let enough = (name.chars().count() / 3).max(1);
    let by_distance = known.iter().map(|known| (distance(name, known), *known));
    by_distance
        .min()
        .filter(|(far, _)| *far <= enough)
        .map(|(_, known)| known)
}

/// Counts the letters that have to be added, taken away or changed to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (count, letter) in one.chars().enumerate() {
        let mut next = vec![count + 1];
        for ((diagonal, above), is) in row.iter().zip(row.iter().skip(1)).zip(&other) {
            let left = next.last().copied().unwrap_or_default();
            let change = diagonal + usize::from(*is != letter);
            next.push(change.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// Takes an entry out; false where it is missing.
fn remove(value: &mut DeValue<'_>, path: &[String]) -> bool {
    match (value, path) {
        (DeValue::Table(table), [name]) => table.remove(name.as_str()).is_some(),
        (DeValue::Table(table), [name, rest @ ..]) => {
            let inner = table.get_mut(name.as_str());
            inner.is_some_and(|inner| remove(inner.get_mut(), rest))
        }
        _ => false,
    }
}

/// Which bytes hold the value of a key.
fn span_of(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let value = table.get(first)?;
    match (value.get_ref(), rest) {
        (_, None) => Some(value.span()),
        (DeValue::Table(inner), Some(rest)) => span_of(inner, rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{distance, find_mistakes};

    #[test]
    fn words_are_as_far_apart_as_the_letters_that_differ() {
        for (one, other, far) in [
            ("limit", "limit", 0),
            ("limt", "limit", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), far, "{one} {other}");
        }
    }

    #[test]
    fn every_mistake_is_found_in_the_order_of_the_text() {
        let text = "colour = 1\nadmin = \"\"\n[guard]\nbounce = \"drop\"\nmax_hop = 3\n[quota]\nlimit = 500\nwarn = true\n\
                    users = 3\n[quota.groups]\nstaff = { limit = \"x\", size = 1 }\n[mailbox]\nlocks = [\"lockf\"]\n";
        let found: Vec<_> = find_mistakes(text)
            .iter()
            .map(|mistake| mistake.sentence(text))
            .collect();
        let starts = [
            "line 1: colour: unknown key; expected admin, addresses",
            "line 2: admin: expected one address",
            "line 4: guard.bounce: expected divert, keep or pass",
            "line 5: guard.max_hop: unknown key; did you mean max_hops?",
            "line 7: quota.limit: a size needs a unit, such as \"500M\"",
            "line 8: quota.warn: expected a share",
            "line 9: quota.users: expected a table",
            "line 11: quota.groups.staff.limit: expected a size",
            "line 11: quota.groups.staff.size: unknown key; expected limit or messages",
            "line 13: mailbox.locks: expected dotlock, fcntl or flock",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (is, start) in found.iter().zip(starts) {
            assert!(is.starts_with(start), "{is}\n{start}");
        }
    }
}
