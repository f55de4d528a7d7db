//! Makes text from outside harmless: it can neither steer a terminal nor look like another line. And reads what the
//! kernel has made so.

use std::borrow::Cow;

/// Text with its control characters escaped, so that what a message says can neither open a line nor steer a terminal.
pub fn make_visible(text: &str) -> String {
    escape_harmful(text).into_owned()
}

/// The same, as it is where nothing is to be escaped.
pub fn escape_harmful(text: &str) -> Cow<'_, str> {
    if is_visible(text) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| {
        if is_harmful(c) {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    });
    Cow::Owned(escaped.collect())
}

/// A path as `mountinfo` has it (proc_pid_mountinfo(5)): the kernel escapes blanks, tabs, line ends and backslashes
/// there.
pub fn mount_path(escaped: &str) -> String {
    let blanks = escaped
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n");
    blanks.replace("\\134", "\\")
}

/// Tells whether a text is harmless as it is.
pub fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b)) || !text.chars().any(is_harmful)
}

/// Tells whether a character opens a line, steers a terminal, or shows a line other than it is.
pub fn is_harmful(c: char) -> bool {
    // Bidirectional overrides are no control characters to `char`.
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
