//! Names and sizes: a type's name is defined once, files and functions are short, functions and tests have names that
//! say what they do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The files below `dir`, from the root of the project.
fn files_below(dir: &str) -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(dir), &mut found);
    let named = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        (name, fs::read_to_string(&path).unwrap())
    };
    found.into_iter().map(named).collect()
}

/// The files of `src/`, each with its lines that are not tests.
fn sources() -> Vec<(String, Vec<String>)> {
    let files = files_below("src")
        .into_iter()
        .filter(|(name, _)| !name.ends_with("tests.rs"));
    let sources: Vec<(String, Vec<String>)> = files
        .map(|(name, text)| {
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            (name, code.lines().map(str::to_owned).collect())
        })
        .collect();
    assert!(sources.len() > 100, "where are the sources?");
    sources
}

/// What a line declares, if it declares one of `kinds`: its indentation and the name.
fn declared<'a>(line: &'a str, kinds: &[&str]) -> Option<(usize, &'a str)> {
    let trimmed = line.trim_start();
    let indentation = line.len() - trimmed.len();
    let visible = trimmed.strip_prefix("pub").map_or(trimmed, |rest| {
        let scope = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        scope.map_or(rest, |(_, rest)| rest).trim_start()
    });
    let bare = visible
        .strip_prefix("const fn ")
        .map_or(visible, |_| &visible["const ".len()..]);
    let rest = kinds
        .iter()
        .find_map(|kind| bare.strip_prefix(kind)?.strip_prefix(' '))?;
    let end = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    Some((indentation, &rest[..end]))
}

#[test]
fn the_name_of_a_type_is_defined_once() {
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, lines) in sources() {
        for line in &lines {
            // `type Error = ...` in an implementation is somebody else's name.
            let of_an_item = declared(line, &["struct", "enum", "trait", "union"])
                .or_else(|| declared(line, &["type"]).filter(|(indentation, _)| *indentation == 0));
            if let Some((_, name)) = of_an_item {
                homes.entry(name.to_owned()).or_default().push(file.clone());
            }
        }
    }
    assert!(homes.len() > 300, "where are the types?");
    let twice: Vec<_> = homes.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn a_file_has_at_most_400_lines_without_tests() {
    let long = sources().into_iter().filter(|(_, lines)| lines.len() > 400);
    let long: Vec<_> = long.map(|(file, _)| file).collect();
    assert!(long.is_empty(), "look for the second reason: {long:?}");
}

#[test]
fn a_function_has_at_most_60_lines() {
    let mut long = BTreeSet::new();
    for (file, lines) in sources() {
        for (at, line) in lines.iter().enumerate() {
            let Some((indentation, name)) = declared(line, &["fn"]) else {
                continue;
            };
            // As rustfmt writes it, the brace that ends a function is below its first letter.
            let end = format!("{}}}", " ".repeat(indentation));
            let body = lines[at..].iter().position(|line| *line == end);
            if !line.ends_with(';') && body.is_some_and(|length| length + 1 > 60) {
                long.insert(format!("{file}: {name}"));
            }
        }
    }
    assert_eq!(long, BTreeSet::new(), "name the steps");
}

#[test]
fn the_name_of_a_test_has_at_most_60_characters() {
    let mut long = Vec::new();
    for (file, text) in files_below("src").into_iter().chain(files_below("tests")) {
        for test in text.split("#[test]\n").skip(1) {
            let name = test
                .lines()
                .find_map(|line| declared(line, &["fn"]))
                .map(|(_, name)| name);
            long.extend(
                name.filter(|name| name.len() > 60)
                    .map(|name| format!("{file}: {name}")),
            );
        }
    }
    assert!(long.is_empty(), "say it in fewer words: {}", long.join("\n"));
}

/// Words that name a public function of a file alone: the file's name is in front, or it is what the folder is for.
const OF_A_FILE: &str = "
acquire admit append classify diagnose examine expunge judge of read recover resume run submit
";

/// Words that name a method alone: its type is in front. A new one is added here by whoever is sure that a stranger
/// understands it.
const OF_A_TYPE: &str = "
about add advance after age all arguments begin body bounce bound bytes check class code collect command commit consent contain
contains content count create date day decide deliver destinations domain duration encode end ending entries error excerpt
extend extent fate field fields file find findings finish first flag flags forget gaps get greet groups has hash head header
headline hint hold holder homes hook insert io is iter join judge keep kind leave length limit line lines local mailbox make
map markers mbox meaning mebibytes message name named names new next note number of ok open origin paint parse path percent
phrase position prepare primary proceed publish push put read reader reason receive recent refresh reject remaining remedy
remember remove replace reread resume reverse rewrite root run seconds send sender sendmail sentence shorten since sketches
sleep start status subtract suffix summarize suspend sync take tally text topic unpacker usage values wait waiting warning
weigh withdraw word words write written
";

#[test]
fn no_public_function_is_one_vague_word() {
    let [of_a_file, of_a_type] = [OF_A_FILE, OF_A_TYPE].map(|words| words.split_whitespace().collect::<BTreeSet<_>>());
    let (mut vague, mut used) = (Vec::new(), BTreeSet::new());
    for (file, lines) in sources() {
        for line in lines.iter().filter(|line| line.trim_start().starts_with("pub")) {
            let Some((indentation, name)) = declared(line, &["fn"]) else {
                continue;
            };
            let known = if indentation == 0 { &of_a_file } else { &of_a_type };
            if name.contains('_') {
                continue;
            }
            used.insert(name.to_owned());
            if !known.contains(name) {
                vague.push(format!("{file}: {name}"));
            }
        }
    }
    assert!(vague.is_empty(), "a verb and its object: {}", vague.join("\n"));
    let unused = of_a_file.union(&of_a_type).filter(|word| !used.contains(**word));
    let unused: Vec<_> = unused.collect();
    assert!(unused.is_empty(), "no function has these names: {unused:?}");
}
