//! Every command has a man page, every flag and every key a paragraph there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::support::skip;

fn manual(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/man").join(name);
    std::fs::read_to_string(path).unwrap().replace("\\-", "-")
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_spoolguard"))
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that the help of a command lists.
fn listed(of: &[&str]) -> Vec<String> {
    printed(&[of, &["--help"]].concat())
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_ascii_whitespace().next())
        .filter(|command| *command != "help")
        .map(str::to_owned)
        .collect()
}

/// The flags that a text names: two hyphens, a letter, then letters and hyphens.
fn flags(text: &str) -> BTreeSet<&str> {
    let word = |c: char| c == '-' || c.is_ascii_alphanumeric();
    text.split(|c| !word(c))
        .filter(|flag| {
            flag.strip_prefix("--")
                .is_some_and(|name| name.starts_with(char::is_alphabetic))
        })
        .collect()
}

/// The flags that have a paragraph of their own in a page.
fn described(page: &str) -> BTreeSet<&str> {
    let lines = page.lines();
    let heads = lines.clone().zip(lines.skip(1));
    heads
        .filter(|(mark, _)| *mark == ".TP")
        .flat_map(|(_, head)| flags(head))
        .collect()
}

#[test]
fn every_command_has_a_page_with_its_flags_and_no_others() {
    let overview = manual("spoolguard.1");
    let mut pages = BTreeMap::<String, BTreeSet<String>>::new();
    for command in listed(&[]) {
        let below = listed(&[&command]);
        // The verbs of `config` share a page, those of `spool` have their own.
        let runs = match below.is_empty() {
            true => vec![vec![command.as_str()]],
            false => below.iter().map(|verb| vec![command.as_str(), verb.as_str()]).collect(),
        };
        for words in runs {
            let page = match command.as_str() {
                "config" => command.clone(),
                _ => words.join("-"),
            };
            let help = printed(&[&words[..], &["--help"]].concat());
            let known = flags(&help).into_iter().map(str::to_owned);
            pages.entry(page).or_default().extend(known);
        }
    }
    assert!(pages.len() > 10, "{pages:?}");
    for (name, known) in &pages {
        assert!(
            overview.contains(&format!(".BR spoolguard-{name} (1)")),
            "{name} in the overview"
        );
        let page = manual(&format!("spoolguard-{name}.1"));
        assert!(
            page.contains(&format!("spoolguard {}", name.replace('-', " "))),
            "{name}"
        );
        assert!(known.len() >= 3, "{name}: {known:?}");
        let (described, named) = (described(&page), flags(&page));
        let common = self::described(&overview);
        for flag in known {
            let has =
                described.contains(flag.as_str()) || (common.contains(flag.as_str()) && named.contains(flag.as_str()));
            assert!(has, "{flag} of {name}");
        }
        for flag in described {
            assert!(known.contains(flag), "{flag} is none of {name}");
        }
    }
    let there = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/man")).unwrap();
    let names = there.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let here: BTreeSet<_> = names
        .filter_map(|name| Some(name.strip_prefix("spoolguard-")?.strip_suffix(".1")?.to_owned()))
        .collect();
    assert_eq!(here, pages.into_keys().collect(), "a page of no command");
}

#[test]
fn manual_pages_are_clean_for_mandoc() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/man");
    let pages = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    match Command::new("mandoc").args(["-T", "lint"]).args(pages).output() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => skip("there is no mandoc"),
        said => assert_eq!(String::from_utf8_lossy(&said.unwrap().stdout), ""),
    }
}

#[test]
fn every_key_is_in_the_manual_with_its_default() {
    let manual = manual("spoolguard.toml.5").replace("\\(dq", "\"");
    let shown = printed(&["config", "show", "/dev/null"]);
    let mut keys = 0;
    for line in shown.lines() {
        if line.starts_with('[') {
            assert!(manual.contains(&format!(".SH {line}")), "{line}");
        } else if let Some((key, rest)) = line.split_once(" = ") {
            keys += 1;
            let value = rest.split(" #").next().unwrap().trim_end();
            let entry = format!(".BR {key} \" = {value}\"");
            assert!(manual.contains(&entry), "{entry}");
        }
    }
    assert!(keys > 20, "{shown}");
}

/// All sources of a folder, as one text.
pub fn sources(dir: &Path) -> String {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => sources(&path),
            false => std::fs::read_to_string(&path).unwrap(),
        })
        .collect()
}
