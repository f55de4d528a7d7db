//! Quotes paths for a shell, so that a command can be copied from what is printed.

use std::path::Path;

/// A path as a shell reads it, on one line whatever it holds.
pub fn quote_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/_.-@+:,=".contains(b);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    if let Some(text) = path.to_str()
        && crate::escape::visible(text) == text
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
