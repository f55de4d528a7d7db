//! One JSON object a line.

use crate::escape::visible;
use serde::Serialize;
use std::io::{self, Write};

/// Writes `line` as one JSON object and a line end.
///
/// `serde_json` escapes the control characters below a blank; the others, and those that turn the direction of writing, are
/// escaped here. Outside strings JSON has none of them.
///
/// # Errors
/// When writing fails.
pub fn write_line(output: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string(line).map_err(io::Error::other)?;
    if visible(&text) == text {
        output.write_all(text.as_bytes())?;
    } else {
        for c in text.chars() {
            if visible(c.encode_utf8(&mut [0; 4])) == c.to_string() {
                write!(output, "{c}")?;
            } else {
                write!(output, "\\u{:04x}", u32::from(c))?;
            }
        }
    }
    output.write_all(b"\n")
}
