//! The snippets that an administrator copies. Tests run them as they are, but for the path of the program.

use std::fs;
use std::path::Path;

use crate::scratch::Scratch;

/// A snippet, with this place's spoolguard.
pub fn snippet(scratch: &Scratch, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.replace("/usr/bin/spoolguard", &scratch.wrapper().display().to_string())
        .replace(
            "/usr/lib/dovecot/sieve-bin",
            &scratch.wrapper().parent().unwrap().display().to_string(),
        )
}

/// One part of a snippet, with what stands before the first part.
pub fn part(scratch: &Scratch, name: &str, part: &str) -> String {
    let text = snippet(scratch, name);
    let mut parts = text.split("# --- ");
    let begin = parts.next().unwrap_or_default();
    let chosen = parts.find(|text| text.starts_with(&format!("{part}:")));
    format!(
        "{begin}# --- {}",
        chosen.unwrap_or_else(|| panic!("{name} has no part {part}"))
    )
}
