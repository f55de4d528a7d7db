//! README.md and the book: what they link to exists, every command in them can be typed, and every page is in the
//! summary. The commands are parsed here; blocks of commands are run in `document_commands`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind;
use spoolguard::cli::Cli;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document for people, with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "RELEASE-CHECKLIST.md",
        "docs/suspension.md",
    ]
    .map(|name| root().join(name))
    .to_vec();
    let pages = fs::read_dir(root().join("docs/src"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths.extend(pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    let documents: Vec<_> = paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path, text)
        })
        .collect();
    assert!(documents.len() > 20, "where are the documents?");
    documents
}

/// What stands between `](` and `)`.
fn links(text: &str) -> Vec<&str> {
    text.match_indices("](")
        .filter_map(|(at, _)| text[at + 2..].split(')').next())
        .collect()
}

/// The anchor that mdBook and GitHub make of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut count = 0;
    for (path, text) in documents() {
        for link in links(&text) {
            if link.starts_with("http") || link.contains(char::is_whitespace) {
                continue;
            }
            count += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link}", path.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#')));
                assert!(anchors.any(|anchor| anchor == heading), "{}: {link}", path.display());
            }
        }
    }
    assert!(count > 60, "{count} links");
}

#[test]
fn every_page_is_in_the_summary_once() {
    let pages: BTreeSet<String> = documents()
        .iter()
        .filter(|(path, _)| path.parent().unwrap().ends_with("docs/src") && !path.ends_with("SUMMARY.md"))
        .map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let summary = fs::read_to_string(root().join("docs/src/SUMMARY.md")).unwrap();
    let named = links(&summary);
    assert_eq!(named.len(), pages.len());
    assert_eq!(
        named.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(),
        pages
    );
}

/// Whether a piece of text is all of a command, or may be a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Whole,
    Part,
}

/// The commands of a text, in indented blocks and between backquotes.
fn commands(text: &str) -> Vec<(String, Piece)> {
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(block) = line.strip_prefix("    ") {
            let block = block
                .trim_start()
                .trim_start_matches("$ ")
                .trim_start_matches('"')
                .trim_start_matches(['|', ' ']);
            let block = block.strip_prefix("mailbox_command = ").unwrap_or(block);
            found.push((block.to_owned(), Piece::Whole));
        }
        for (number, part) in line.split('`').enumerate() {
            if number % 2 == 1 {
                found.push((part.trim_start_matches(['"', '|', '\\']).to_owned(), Piece::Part));
            }
        }
    }
    found
        .into_iter()
        .filter(|(text, _)| text.starts_with("spoolguard ") || text.starts_with("/usr/bin/spoolguard "))
        // What it prints begins with its name, too.
        .filter(|(text, _)| !text.starts_with("spoolguard cannot"))
        .collect()
}

/// The words of a shell command, up to a comment, a redirection or the next command.
fn words(command: &str) -> Vec<String> {
    let command = command.trim_end().trim_end_matches('"');
    let mut words = Vec::new();
    for word in command.split_ascii_whitespace() {
        if matches!(word, "#" | "<" | ">" | "|" | "&&" | ";" | "2>" | "...") || word.starts_with("\"],") {
            break;
        }
        let end = word.ends_with(';');
        words.push(word.trim_end_matches(';').trim_matches(['"', '\'', '\\']).to_owned());
        if end {
            break;
        }
    }
    words
}

#[test]
fn every_command_in_the_documents_can_be_typed() {
    let mut count = 0;
    for (path, text) in documents() {
        for (command, piece) in commands(&text) {
            count += 1;
            let Err(error) = Cli::try_parse_from(words(&command)) else {
                continue;
            };
            let is_part = piece == Piece::Part && error.kind() == ErrorKind::MissingRequiredArgument
                || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                || matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            assert!(is_part, "{}: {command}\n{error}", path.display());
        }
    }
    assert!(count > 60, "{count} commands");
}

#[test]
fn the_readme_is_short_enough_to_be_read() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let longest = text.lines().map(|line| line.chars().count()).max();
    assert!(
        text.lines().count() <= 150 && longest <= Some(100),
        "{longest:?} columns"
    );
}

/// What an MTA shows of a delivery that failed begins with one of these.
#[test]
fn troubleshooting_has_every_status_that_a_delivery_prints() {
    let page = fs::read_to_string(root().join("docs/src/troubleshooting.md")).unwrap();
    let errors = fs::read_to_string(root().join("src/error.rs")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let codes: BTreeSet<&str> = errors
        .split('"')
        .filter(|text| text.len() == 5 && text.chars().all(|c| c.is_ascii_digit() || c == '.'))
        .collect();
    assert!(codes.len() >= 7, "{codes:?}");
    for code in codes {
        let starts = format!("| `{code} ");
        assert!(rows.iter().any(|row| row.starts_with(&starts)), "no row for {code}");
    }
}

/// A sentence in the table that the program no longer prints helps nobody.
#[test]
fn troubleshooting_quotes_what_the_program_prints() {
    fn sources(dir: &Path, text: &mut String) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => sources(&path, text),
                false => text.push_str(&fs::read_to_string(&path).unwrap()),
            }
        }
    }
    let mut text = String::new();
    sources(&root().join("src"), &mut text);
    let page = fs::read_to_string(root().join("docs/src/troubleshooting.md")).unwrap();
    let quoted = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut count = 0;
    for sentence in quoted {
        let parts = sentence
            .split("...")
            .flat_map(|part| part.split([';', ':', ',', '(']))
            .map(str::trim);
        // The verb and the object are put together when it is printed; the required arguments are clap's sentence.
        for part in parts.filter(|part| !part.contains("required arguments")) {
            let words = part.trim_start_matches("cannot ");
            if words.split(' ').count() > 2 {
                count += 1;
                assert!(text.contains(words), "{sentence}: nothing prints \"{words}\"");
            }
        }
    }
    assert!(count > 8, "{count} sentences");
}

/// The sentences of warnings and errors in the log. A remedy is in the page: a line of the log has room for facts
/// alone.
#[test]
fn troubleshooting_has_every_warning_of_the_log() {
    let page = fs::read_to_string(root().join("docs/src/troubleshooting.md")).unwrap();
    let (_, table) = page.split_once("## Warnings in the log").unwrap();
    let quoted: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    let mut missing = Vec::new();
    let mut count = 0;
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for sentence in logged_sentences(&text) {
            count += 1;
            // What follows a colon there may say what to do.
            if !quoted.iter().any(|part| sentence.starts_with(part)) {
                missing.push(format!("{}: {sentence}", path.display()));
            }
        }
    }
    assert!(count > 45, "{count} sentences");
    assert!(missing.is_empty(), "not in the page: {missing:#?}");
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => rust_files(&path, found),
            false => found.push(path),
        }
    }
}

/// What is logged as a warning or an error: the literal that ends the macro, or the consequence that goes to
/// `log_state_failure`. A sentence in a variable is the last one that was bound before it.
fn logged_sentences(text: &str) -> Vec<String> {
    let text = &text.replace("\\\"", "'");
    let mut found = Vec::new();
    for start in ["tracing::warn!(", "tracing::error!(", ".log_state_failure("] {
        for (at, _) in text.match_indices(start) {
            let call = arguments(&text[at + start.len()..]).trim_end().trim_end_matches(',');
            let Some(call) = call.strip_suffix('"') else { continue };
            let last = call.rsplit('"').next().unwrap();
            let sentence = match last {
                "{consequence}" => continue,
                "{what}" => {
                    let before = &text[..at];
                    let bound = before.rfind("let what =").unwrap();
                    before[bound..].split('"').nth(1).unwrap()
                }
                last => last,
            };
            // A word or a value is no sentence: `action = "defer"` has its facts in `note`.
            if sentence.contains(' ') {
                found.push(sentence.to_owned());
            }
        }
    }
    found
}

/// The text up to the parenthesis that closes.
fn arguments(text: &str) -> &str {
    let (mut depth, mut is_quoted) = (1, false);
    let end = text.char_indices().find(|(_, c)| {
        match c {
            '"' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}
