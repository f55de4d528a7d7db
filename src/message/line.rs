//! Lines of mail: where one ends, and whether it is a header field (RFC 5322 section 2.2). Takes bytes as they are; never fails.

use memchr::memchr;

/// The length of the first line, its line end included.
#[must_use]
pub fn line_length(bytes: &[u8]) -> usize {
    memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}

/// A line without `\n` or `\r\n`.
#[must_use]
pub fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Tells whether `name` may name a header field: printable, no blank, no colon (RFC 5322 section 2.2).
#[must_use]
pub fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| (0x21..=0x7e).contains(b) && *b != b':')
}

/// The name of the field that begins in `line`, without the blanks that may stand before the colon.
#[must_use]
pub fn field_name(line: &[u8]) -> Option<&[u8]> {
    let name = line.get(..memchr(b':', line)?)?.trim_ascii_end();
    is_field_name(name).then_some(name)
}
