//! What holds for every source file: pure code is known by its path, and some words occur nowhere. Read from the
//! sources, as they are built.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project::elf;
use crate::project::graph::code_alone;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All source files, with the code that is not a test: tests stand last in a file, or in files of their own called
/// `tests.rs`.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), code));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("src"), &mut found);
    assert!(found.len() > 10, "where are the sources?");
    found
}

/// Pure code is known by its path.
fn is_pure(path: &Path) -> bool {
    let below = path.strip_prefix("src").unwrap();
    below.starts_with("message")
        || below.starts_with("report")
        || below.starts_with("classify")
        || ["quota.rs", "moment.rs", "escape.rs"]
            .iter()
            .any(|name| below == Path::new(name))
        || below.components().any(|part| part.as_os_str() == "rules")
}

/// The crates that the package depends on, as code spells them.
fn crates() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    manifest["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[test]
fn judging_touches_neither_files_nor_processes_nor_the_clock() {
    for (path, text) in sources() {
        if is_pure(&path) {
            let code = code_alone(&text);
            for word in [
                "std::fs",
                "std::process",
                "std::env",
                "std::net",
                "std::os",
                "std::thread",
                "SystemTime",
                "Instant::now",
                "File::",
                "now_utc",
                "tracing",
            ] {
                assert!(!code.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn words_that_occur_nowhere() {
    for (path, text) in sources() {
        let code = code_alone(&text);
        for word in [
            "unsafe ",
            "println!",
            "eprintln!",
            "print!(",
            "eprint!(",
            "process::exit",
            "process::abort",
            "todo!",
            "dbg!",
            ".unwrap()",
        ] {
            assert!(!code.contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn every_child_is_started_where_signals_are_unblocked_first() {
    for (path, text) in sources() {
        let is_allowed = path.ends_with("sys/deadline.rs") || path.ends_with("sys/child.rs");
        let code = code_alone(&text);
        assert!(
            is_allowed || !code.contains(".spawn()"),
            "{} starts a child",
            path.display()
        );
    }
}

#[test]
fn every_source_file_says_first_what_it_promises() {
    for (path, text) in sources() {
        assert!(
            text.starts_with("//! "),
            "{} does not begin with its purpose",
            path.display()
        );
    }
}

#[test]
fn the_c_library_is_no_direct_dependency_and_a_panic_unwinds() {
    assert!(!crates().iter().any(|name| name == "libc"));
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(!manifest.contains("panic = \"abort\""));
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}

/// Where the C compiler has an archive (gcc(1), -print-file-name).
fn has_archive(name: &str) -> bool {
    let output = Command::new("cc").arg(format!("-print-file-name={name}")).output();
    output.is_ok_and(|output| output.stdout.starts_with(b"/"))
}

#[test]
fn no_loader_works_at_each_start() {
    let is_decided = option_env!("SPOOLGUARD_LINK").is_some() || option_env!("RUSTFLAGS").is_some();
    if is_decided
        || !cfg!(all(
            target_os = "linux",
            target_env = "gnu",
            target_pointer_width = "64"
        ))
    {
        return;
    }
    let can_be_static = ["libc.a", "libm.a", "libgcc_eh.a"].into_iter().all(has_archive);
    let is_static = elf::is_static(Path::new(env!("CARGO_BIN_EXE_spoolguard")));
    assert_eq!(is_static, can_be_static);
}

#[test]
fn what_a_delivery_calls_lies_together() {
    let is_decided = option_env!("RUSTFLAGS").is_some();
    if is_decided || !cfg!(all(target_os = "linux", target_pointer_width = "64")) {
        return;
    }
    // Of another profile than the one that was traced, other functions are inlined; of another compiler, some are
    // called otherwise.
    let text = elf::section(Path::new(env!("CARGO_BIN_EXE_spoolguard")), ".text.delivery");
    let bytes = text.map(|text| text.len());
    assert!(bytes.is_some_and(|bytes| bytes > 10_000), "{bytes:?}");
}

/// A function's name as `contrib/link/trace` writes it: without the numbers of crates, and the places that it points
/// back to.
fn leave_open(name: &str) -> String {
    let parts: Vec<&str> = name.split('_').collect();
    let before = |pair: &[&str]| {
        let (part, next) = (pair[0], pair[1]);
        let of_crate = part.find("Cs").filter(|at| at + 2 < part.len());
        let back = (part.len().saturating_sub(4)..part.len().saturating_sub(1)).find(|at| part[*at..].starts_with('B'));
        match (
            of_crate.filter(|_| next.starts_with(|first: char| first.is_ascii_digit())),
            back,
        ) {
            (Some(at), _) => format!("{}Cs*", &part[..at]),
            (None, Some(at)) => format!("{}B*", &part[..at]),
            (None, None) => part.to_owned(),
        }
    };
    let mut open: Vec<String> = parts.windows(2).map(before).collect();
    open.extend(parts.last().map(|last| (*last).to_owned()));
    open.join("_")
}

/// `contrib/link/trace` makes the list when somebody runs it; functions that were renamed since are not in it.
#[test]
fn the_list_of_what_a_delivery_calls_is_up_to_date() {
    let is_decided = option_env!("RUSTFLAGS").is_some();
    let names = elf::section(Path::new(env!("CARGO_BIN_EXE_spoolguard")), ".strtab");
    let Some(names) = names.filter(|_| !is_decided && cfg!(target_os = "linux")) else {
        return;
    };
    let names: BTreeSet<String> = names
        .split(|byte| *byte == 0)
        .filter(|name| name.starts_with(b"_R"))
        .map(|name| leave_open(&String::from_utf8_lossy(name)))
        .collect();
    let list = fs::read_to_string(root().join("contrib/link/order.ld")).unwrap();
    let listed: Vec<&str> = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("*(.text.")?.split_once(' '))
        .map(|(name, _)| name)
        .collect();
    let gone: Vec<&&str> = listed.iter().filter(|name| !names.contains(**name)).collect();
    assert!(listed.len() > 300, "{}", listed.len());
    // Some are there in an optimised program alone, or for another C library.
    assert!(
        gone.len() * 4 < listed.len(),
        "{} of {} functions in contrib/link/order.ld are gone; make it anew with contrib/link/trace: {gone:#?}",
        gone.len(),
        listed.len()
    );
}

#[test]
fn every_file_is_a_module_of_its_folder() {
    fn walk(dir: &Path, missing: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, missing);
                continue;
            }
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if path.extension().is_none_or(|extension| extension != "rs")
                || ["mod", "main", "lib"].contains(&name.as_str())
            {
                continue;
            }
            let parents = ["mod.rs", "main.rs", "lib.rs"].map(|file| dir.join(file));
            let parents = parents.into_iter().chain([dir.with_extension("rs")]);
            let is_named = parents
                .filter_map(|parent| fs::read_to_string(parent).ok())
                .any(|text| text.contains(&format!("mod {name};")));
            if !is_named {
                missing.push(path);
            }
        }
    }
    let mut missing = Vec::new();
    for dir in [
        "src",
        "tests/suite",
        "tests/model",
        "tests/mta",
        "tests/storage",
        "tests/peers",
    ] {
        walk(&root().join(dir), &mut missing);
    }
    assert!(missing.is_empty(), "no compiler reads {missing:?}");
}
