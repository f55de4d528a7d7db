//! One JSON object a line.

use crate::escape::{is_harmful, is_visible};
use serde::Serialize;
use std::io::{self, Write};

/// Writes `line` as one JSON object and a line end.
///
/// `serde_json` escapes the control characters below a blank; the others, and those that turn the direction of writing,
/// are escaped here. Outside strings JSON has none of them.
pub fn write_line(output: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string(line).map_err(io::Error::other)?;
    if is_visible(&text) {
        output.write_all(text.as_bytes())?;
    } else {
        for c in text.chars() {
            if is_harmful(c) {
                write!(output, "\\u{:04x}", u32::from(c))?;
            } else {
                write!(output, "{c}")?;
            }
        }
    }
    output.write_all(b"\n")
}
