//! `spoolguard-log(7)` and `docs/src/logging.md` name every action and every key that a line of the log can have, and
//! no other action.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::project::manuals::sources;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands between the parentheses of each macro of `tracing`.
fn events(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("tracing::") {
        let rest = &text[at..];
        let Some(open) = rest.find("!(").filter(|open| *open < 20) else {
            continue;
        };
        let (mut depth, mut quoted, mut before) = (0_u32, false, ' ');
        let inside: String = rest[open + 1..]
            .chars()
            .take_while(|c| {
                if *c == '"' && before != '\\' {
                    quoted = !quoted;
                }
                before = *c;
                match c {
                    '(' | '[' | '{' if !quoted => depth += 1,
                    ')' | ']' | '}' if !quoted => depth -= 1,
                    _ => {}
                }
                depth > 0
            })
            .collect();
        found.push(inside[1..].to_owned());
    }
    found
}

/// The fields of an event, `key` and what it is set to.
fn fields(event: &str) -> Vec<(String, String)> {
    let (mut parts, mut depth, mut quoted) = (vec![String::new()], 0_i32, false);
    for c in event.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty() && !part.starts_with('"') && !part.starts_with('$'))
        .map(|part| match part.split_once('=') {
            Some((key, value)) => (key.trim().to_owned(), value.trim().to_owned()),
            None => (part.to_owned(), String::new()),
        })
        .collect()
}

/// Every action: the text that a macro has, and the arms of what chooses among several.
fn actions(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for event in events(source) {
        for (key, value) in fields(&event) {
            if key == "action" && value.starts_with('"') {
                found.insert(value.trim_matches('"').to_owned());
            }
        }
    }
    let log_line = fs::read_to_string(root().join("src/deliver/log_line.rs")).unwrap();
    let destinations = fs::read_to_string(root().join("src/deliver/forward/destinations.rs")).unwrap();
    for (text, begin) in [
        (&log_line, "pub fn action_word("),
        (&destinations, "let action = match"),
    ] {
        let part = &text[text.find(begin).unwrap_or_else(|| panic!("{begin}"))..];
        let part = &part[..part.find("\n    }").unwrap()];
        found.extend(
            part.split("=> \"")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap().to_owned()),
        );
    }
    found
}

/// The actions that the manual explains: the bold words that begin its paragraphs.
fn explained(manual: &str) -> BTreeSet<String> {
    let part = &manual[manual.find(".SH ACTIONS").unwrap()..manual.find(".SH KEYS").unwrap()];
    let mut found = BTreeSet::new();
    let mut lines = part.lines();
    while let Some(line) = lines.next() {
        if line == ".TP" {
            let entry = lines.next().unwrap();
            let words = entry.trim_start_matches(".BR").trim_start_matches(".B");
            found.extend(
                words
                    .split([' ', '"', ','])
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned),
            );
        }
    }
    found
}

#[test]
fn every_action_of_the_log_is_documented_and_no_other() {
    let source = sources(&root().join("src"));
    let actions = actions(&source);
    assert!(actions.len() > 15, "{actions:?}");
    let manual = fs::read_to_string(root().join("contrib/man/spoolguard-log.7"))
        .unwrap()
        .replace("\\-", "-");
    assert_eq!(explained(&manual), actions);
    let page = fs::read_to_string(root().join("docs/src/logging.md")).unwrap();
    for action in &actions {
        assert!(
            page.contains(&format!("`{action}`")),
            "{action} is not in docs/src/logging.md"
        );
    }
}

#[test]
fn every_key_of_the_log_is_documented() {
    let source = sources(&root().join("src"));
    let manual = fs::read_to_string(root().join("contrib/man/spoolguard-log.7"))
        .unwrap()
        .replace("\\-", "-");
    let manual = &manual[manual.find(".SH KEYS").unwrap()..];
    let page = fs::read_to_string(root().join("docs/src/logging.md")).unwrap();
    let mut keys = BTreeSet::new();
    for event in events(&source) {
        keys.extend(fields(&event).into_iter().map(|(key, _)| key));
    }
    assert!(keys.len() > 20 && keys.contains("original_id"), "{keys:?}");
    let words: BTreeSet<&str> = manual
        .lines()
        .filter(|line| line.starts_with(".B"))
        .flat_map(|line| line.split([' ', '"', ',']))
        .collect();
    for key in keys {
        assert!(words.contains(key.as_str()), "{key} is not in spoolguard-log(7)");
        assert!(
            page.contains(&format!("`{key}`")),
            "{key} is not in docs/src/logging.md"
        );
    }
}
