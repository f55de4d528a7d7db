//! Which file of `src/` names which other: read from the `use` lines and the paths in the code, tests left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module, as the names behind `crate`.
pub type Module = Vec<String>;

/// The files of `src/`, each with its code: no comments, no text between quotes, no tests.
pub struct Sources {
    pub files: BTreeMap<Module, (PathBuf, String)>,
}

impl Sources {
    pub fn read() -> Self {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = BTreeMap::new();
        walk(&src, &src, &mut files);
        assert!(files.len() > 100, "where are the sources?");
        Self { files }
    }

    /// The file that a path leads to: the longest beginning that is a module.
    fn module_of(&self, path: &[String]) -> Option<Module> {
        (1..=path.len())
            .rev()
            .map(|length| path[..length].to_vec())
            .find(|module| self.files.contains_key(module))
    }

    /// Every path that a file names, with `crate` taken off, or with the name of another crate in front.
    pub fn paths(&self, module: &Module) -> Vec<(bool, Module)> {
        let code = &self.files[module].1;
        let mut paths = Vec::new();
        let mut rest = String::new();
        let mut tail = code.as_str();
        while let Some(at) = next_use(tail) {
            rest.push_str(&tail[..at]);
            let end = tail[at..].find(';').map_or(tail.len(), |end| at + end);
            let tree: String = tail[at + "use ".len()..end]
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            leaves(&[], &tree, &mut paths);
            tail = &tail[(end + 1).min(tail.len())..];
        }
        rest.push_str(tail);
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for word in rest.split(|c: char| !is_name(c)).filter(|word| word.contains("::")) {
            paths.push(word.split("::").map(str::to_owned).collect());
        }
        paths
            .into_iter()
            .filter_map(|path| self.absolute(module, path))
            .collect()
    }

    fn absolute(&self, module: &Module, path: Module) -> Option<(bool, Module)> {
        let first = path.first()?.as_str();
        let mut here = module.clone();
        match first {
            "crate" => Some((true, path[1..].to_vec())),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                here.truncate(here.len().saturating_sub(ups));
                here.extend(path[ups..].iter().cloned());
                Some((true, here))
            }
            _ => {
                here.push(first.to_owned());
                if self.files.contains_key(&here) {
                    here.extend(path[1..].iter().cloned());
                    return Some((true, here));
                }
                Some((false, path))
            }
        }
    }

    /// Which files each file names.
    pub fn edges(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut edges = BTreeMap::new();
        for module in self.files.keys() {
            let to: BTreeSet<_> = self
                .paths(module)
                .into_iter()
                .filter(|(is_ours, _)| *is_ours)
                .filter_map(|(_, path)| self.module_of(&path))
                .filter(|to| to != module)
                .collect();
            edges.insert(module.clone(), to);
        }
        edges
    }
}

/// Where the next `use` statement begins.
fn next_use(code: &str) -> Option<usize> {
    code.match_indices("use ")
        .map(|(at, _)| at)
        .find(|at| code[..*at].chars().next_back().is_none_or(char::is_whitespace))
}

fn walk(src: &Path, dir: &Path, files: &mut BTreeMap<Module, (PathBuf, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(src, &path, files);
            continue;
        }
        let below = path.strip_prefix(src).unwrap().to_owned();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if !is_source || below.ends_with("tests.rs") || below == Path::new("lib.rs") || below == Path::new("main.rs") {
            continue;
        }
        let mut module: Module = below
            .with_extension("")
            .components()
            .map(|part| part.as_os_str().to_str().unwrap().to_owned())
            .collect();
        if module.last().is_some_and(|name| name == "mod") {
            module.pop();
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        files.insert(module, (below, code_alone(code)));
    }
}

/// The code without comments and without what stands between quotes.
pub fn code_alone(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        for (number, part) in line.split('"').enumerate() {
            if number % 2 == 0 {
                code.push_str(part);
            }
        }
        code.push('\n');
    }
    code
}

/// The paths of a `use` tree.
fn leaves(before: &[String], tree: &str, paths: &mut Vec<Module>) {
    let names = |text: &str| -> Vec<String> {
        let text = text.split(" as ").next().unwrap_or_default();
        text.split("::")
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let Some(open) = tree.find('{') else {
        let mut path = before.to_vec();
        path.extend(names(tree));
        paths.push(path);
        return;
    };
    let mut path = before.to_vec();
    path.extend(names(&tree[..open]));
    let inner = &tree[open + 1..tree.rfind('}').unwrap()];
    let (mut depth, mut from) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                leaves(&path, &inner[from..at], paths);
                from = at + 1;
            }
            _ => {}
        }
    }
    if !inner[from..].trim().is_empty() {
        leaves(&path, &inner[from..], paths);
    }
}

/// The circles: files that lead to each other, each circle sorted.
pub fn circles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reach = |from: &Module| -> BTreeSet<Module> {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(module) = open.pop() {
            for next in edges.get(module).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<_, _> = edges.keys().map(|module| (module.clone(), reach(module))).collect();
    let mut found: Vec<BTreeSet<Module>> = Vec::new();
    for (module, to) in &reached {
        if !to.contains(module) || found.iter().any(|circle| circle.contains(module)) {
            continue;
        }
        let circle = to
            .iter()
            .filter(|other| reached[*other].contains(module))
            .cloned()
            .collect();
        found.push(circle);
    }
    found
}

#[test]
fn a_use_tree_gives_every_path_in_it() {
    let mut paths = Vec::new();
    leaves(&[], "crate::a::{b::{C, D}, self, e as f}", &mut paths);
    let shown: Vec<_> = paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(
        shown,
        ["crate::a::b::C", "crate::a::b::D", "crate::a::self", "crate::a::e"]
    );
}

#[test]
fn files_that_lead_to_each_other_are_a_circle() {
    let module = |name: &str| vec![name.to_owned()];
    let edge = |from: &str, to: &[&str]| (module(from), to.iter().map(|to| module(to)).collect());
    let edges = BTreeMap::from([
        edge("a", &["b"]),
        edge("b", &["c"]),
        edge("c", &["a"]),
        edge("d", &["a"]),
    ]);
    assert_eq!(circles(&edges), [["a", "b", "c"].map(module).into()]);
}
