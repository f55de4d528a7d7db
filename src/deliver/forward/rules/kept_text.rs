//! Cuts text from outside to the length that is remembered of it.

/// As much of a text from outside as is kept, in bytes.
pub const TEXT_BYTES: usize = 300;

/// As much of a Message-ID as is kept, in bytes. Both sides of a comparison are cut.
pub const ID_BYTES: usize = 120;

/// The beginning of `text`, at most `bytes` long.
pub fn cut_text(text: &str, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// A Message-ID as it is kept and compared.
pub fn escape_id(text: &str) -> String {
    cut_text(text.trim(), ID_BYTES)
}
