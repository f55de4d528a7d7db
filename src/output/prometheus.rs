//! Prometheus' text format: the head of a metric, and the value of a label. Only the writer can fail.

use std::ffi::OsStr;
use std::io::{self, Write};

use crate::escape::is_harmful;

/// Writes what a metric is. All its values stand directly behind it.
pub fn write_head(output: &mut impl Write, name: &str, help: &str) -> io::Result<()> {
    writeln!(
        output,
        "# HELP spoolguard_{name} {help}\n# TYPE spoolguard_{name} gauge"
    )
}

/// A label's value. It has to be UTF-8, with backslash, quote and line end escaped (Prometheus, text-based format). Any
/// other byte is shown as `\xff`, and so is what would steer a terminal. A backslash before an `x` is shown so, too: no
/// two names may have the same labels, or the collector drops every metric of the file.
pub fn escape_label(name: &OsStr) -> String {
    let shown = |byte: u8| format!("\\\\x{byte:02x}");
    let mut value = String::new();
    for part in name.as_encoded_bytes().utf8_chunks() {
        let mut characters = part.valid().chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '\n' => value.push_str("\\n"),
                '"' => value.push_str("\\\""),
                '\\' if characters.peek() == Some(&'x') => value.push_str(&shown(b'\\')),
                '\\' => value.push_str("\\\\"),
                c if is_harmful(c) => value.extend(c.encode_utf8(&mut [0; 4]).bytes().map(shown)),
                c => value.push(c),
            }
        }
        value.extend(part.invalid().iter().copied().map(shown));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::escape_label;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_label_steers_nothing_and_no_two_names_share_one() {
        let cases: [(&[u8], &str); 10] = [
            (b"a", "a"),
            ("Gr\u{fc}\u{df}e".as_bytes(), "Gr\u{fc}\u{df}e"),
            (b"a\\b\"c\nd", r#"a\\b\"c\nd"#),
            (b"a\rb\x1b[2J\x7f", r"a\\x0db\\x1b[2J\\x7f"),
            ("a\u{9b}\u{202e}".as_bytes(), r"a\\xc2\\x9b\\xe2\\x80\\xae"),
            (b"\xffa\xc3", r"\\xffa\\xc3"),
            (br"\xffa\xc3", r"\\x5cxffa\\x5cxc3"),
            (b"\\\xff", r"\\\\xff"),
            (br"\\xff", r"\\\\x5cxff"),
            ("\u{fffd}".as_bytes(), "\u{fffd}"),
        ];
        for (name, want) in cases {
            assert_eq!(escape_label(OsStr::from_bytes(name)), want);
        }
    }
}
