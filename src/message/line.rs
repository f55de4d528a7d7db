//! Lines of mail: where one ends, and whether it is a header field (RFC 5322 section 2.2). Takes bytes as they are;
//! never fails.

use memchr::memchr;

/// The length of the first line, its line end included.
pub fn line_length(bytes: &[u8]) -> usize {
    memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}

/// What follows the first line.
pub fn behind_line(bytes: &[u8]) -> &[u8] {
    bytes.get(line_length(bytes)..).unwrap_or_default()
}

/// A line without `\n` or `\r\n`.
pub fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What is left behind empty lines.
pub fn skip_empty_lines(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b"\n").or_else(|| bytes.strip_prefix(b"\r\n")) {
        bytes = rest;
    }
    bytes
}

/// Tells whether what stands behind `above` begins its line, these marks of quoting and blanks aside.
pub fn begins_line(above: &[u8], marks: &[u8]) -> bool {
    let mut above = above;
    while let [rest @ .., last] = above
        && (matches!(last, b' ' | b'\t') || marks.contains(last))
    {
        above = rest;
    }
    above.is_empty() || above.ends_with(b"\n")
}

/// Lines with their line ends, each with the folded ones below it (RFC 5322 section 2.2.3).
pub fn folded_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut ends = memchr::memchr_iter(b'\n', bytes).map(|end| end + 1);
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = ends.find(|end| !matches!(bytes.get(*end), Some(b' ' | b'\t')));
        let line = bytes.get(start..end.unwrap_or(bytes.len()))?;
        start += line.len();
        (!line.is_empty()).then_some(line)
    })
}

/// Tells whether `name` may name a header field: printable, no blank, no colon (RFC 5322 section 2.2).
pub fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| (0x21..=0x7e).contains(b) && *b != b':')
}

/// The name of the field that begins in `line`, without the blanks that may stand before the colon.
pub fn field_name(line: &[u8]) -> Option<&[u8]> {
    // Names are short, so that each byte is looked at once and no search begins.
    let end = line.iter().position(|b| !(0x21..=0x7e).contains(b) || *b == b':')?;
    let (name, rest) = line.split_at(end);
    let ends = rest.first() == Some(&b':') || rest.trim_ascii_start().first() == Some(&b':');
    (ends && !name.is_empty()).then_some(name)
}
