//! Who may use whom: the table of ARCHITECTURE.md, held against every path of the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::project::graph::{Module, Sources, circles};

fn architecture() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap()
}

/// The rows of the table: a folder, the folders that it may use, and the crates.
fn table() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let text = architecture();
    let section = text.split("## Who may use whom").nth(1).unwrap();
    let mut rows = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        if cells.len() != 3 || cells[0] == "folder" {
            continue;
        }
        let names = |cell: &str| -> BTreeSet<String> {
            let names = cell.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        rows.insert(cells[0].to_owned(), (names(cells[1]), names(cells[2])));
    }
    assert!(rows.len() > 15, "the table is not found: {rows:?}");
    rows
}

/// The crates that the package depends on, as code spells them.
fn crates() -> BTreeSet<String> {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let names = manifest["dependencies"].as_table().unwrap().keys();
    names.map(|name| name.replace('-', "_")).collect()
}

fn shown(module: &Module) -> String {
    module.join("/")
}

#[test]
fn no_folder_uses_what_the_table_does_not_name() {
    let (table, crates, sources) = (table(), crates(), Sources::read());
    let mut broken = Vec::new();
    for module in sources.files.keys() {
        let (folders, allowed) = table
            .get(&module[0])
            .unwrap_or_else(|| panic!("{} has no row in ARCHITECTURE.md", module[0]));
        for (is_ours, path) in sources.paths(module) {
            let Some(first) = path.first() else { continue };
            let is_broken = if is_ours {
                *first != module[0] && !folders.contains(first)
            } else {
                crates.contains(first) && !allowed.contains(first)
            };
            if is_broken {
                broken.push(format!("{} uses {}", shown(module), path.join("::")));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_table_names_nothing_that_nobody_uses() {
    let (table, sources) = (table(), Sources::read());
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for module in sources.files.keys() {
        let paths = sources.paths(module).into_iter();
        used.entry(&module[0])
            .or_default()
            .extend(paths.filter_map(|(_, path)| path.first().cloned()));
    }
    for (folder, (folders, crates)) in &table {
        for name in folders.iter().chain(crates) {
            assert!(
                used[folder.as_str()].contains(name),
                "{folder} does not use {name}: take it out of the table"
            );
        }
    }
}

#[test]
fn rules_use_pure_code_and_themselves() {
    let sources = Sources::read();
    let pure = [
        "message", "report", "classify", "config", "moment", "escape", "quota", "cli",
    ];
    for module in sources.files.keys() {
        let Some(at) = module.iter().position(|name| name == "rules") else {
            continue;
        };
        let own = &module[..=at];
        for (_, path) in sources.paths(module).into_iter().filter(|(is_ours, _)| *is_ours) {
            let is_pure = path.first().is_some_and(|first| pure.contains(&first.as_str()));
            let is_own = path.starts_with(own);
            // The rules of one slice may ask those of another: they are pure, too.
            let is_rule = path.iter().any(|name| name == "rules");
            assert!(
                is_pure || is_own || is_rule,
                "{} uses {}",
                shown(module),
                path.join("::")
            );
        }
    }
}

#[test]
fn pure_code_does_not_load_the_configuration() {
    let sources = Sources::read();
    for module in sources.files.keys() {
        let is_pure = ["message", "report", "classify", "quota", "moment", "escape"].contains(&module[0].as_str())
            || module.iter().any(|name| name == "rules");
        for (_, path) in sources
            .paths(module)
            .into_iter()
            .filter(|(is_ours, _)| *is_ours && is_pure)
        {
            let loads = path.starts_with(&["config".to_owned(), "load".to_owned()]);
            assert!(!loads, "{} uses {}", shown(module), path.join("::"));
        }
    }
}

/// The circles that ARCHITECTURE.md admits: lines of code spans behind `- circle:`.
fn known_circles() -> BTreeSet<BTreeSet<String>> {
    let text = architecture();
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("- circle:"));
    lines
        .map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned).collect())
        .collect()
}

#[test]
fn no_circle_is_there_that_is_not_named() {
    let found: BTreeSet<BTreeSet<String>> = circles(&Sources::read().edges())
        .into_iter()
        .map(|circle| circle.iter().map(shown).collect())
        .collect();
    let known = known_circles();
    for circle in &found {
        let is_known = known.iter().any(|known| circle.is_subset(known));
        assert!(is_known, "these files lead to each other: {circle:?}");
    }
    for circle in &known {
        let is_there = found.iter().any(|found| found.is_subset(circle));
        assert!(
            is_there,
            "this circle is open: take it out of ARCHITECTURE.md: {circle:?}"
        );
    }
}
