//! Commands that are printed, so that they can be copied: words quoted for a shell, and the program with the
//! configuration that this run reads.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The configuration that the command line names, in the whole run.
static CONFIG: OnceLock<PathBuf> = OnceLock::new();

/// Notes which configuration the command line names: printed commands name the same. The first counts.
pub fn note_config(path: &Path) {
    let _ = CONFIG.set(path.to_owned());
}

/// How printed commands begin: `spoolguard`, with `--config PATH` where this run was started so.
pub fn program_command() -> String {
    match CONFIG.get() {
        Some(path) => format!("spoolguard --config {}", quote_path(path)),
        None => "spoolguard".to_owned(),
    }
}

/// A word as a shell reads it, on one line whatever it holds.
pub fn quote_word(word: &str) -> String {
    quote_path(Path::new(word))
}

/// A path as a shell reads it, on one line whatever it holds.
pub fn quote_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/_.-@+:,=".contains(b);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    if let Some(text) = path.to_str()
        && crate::escape::make_visible(text) == text
    {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    // As bash, zsh and ksh read it: every byte that is not plain as an octal number.
    let mut text = "$'".to_owned();
    for byte in bytes {
        if plain(byte) || *byte == b' ' {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("\\{byte:03o}"));
        }
    }
    text.push('\'');
    text
}
