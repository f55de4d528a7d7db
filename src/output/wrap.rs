//! Breaks text into lines that fit.

use crate::output::columns::count_columns;

/// `text` in lines that fit beside an indent. A word that is longer stays whole: it may be a command to copy.
pub fn wrap_indented(text: &str, width: usize, indent: usize) -> String {
    let room = width.saturating_sub(indent);
    if count_columns(text) <= room {
        return text.to_owned();
    }
    let mut lines = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let letters = count_columns(word);
        if used > 0 && used + 1 + letters > room {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            used = 0;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += letters;
    }
    lines
}

/// Breaks lines at blanks; one that is set in stays as it is.
pub fn wrap_body(text: &str) -> String {
    const WIDTH: usize = 74;
    let lines = text.lines().map(|line| match line.starts_with("    ") {
        true => line.to_owned() + "\n",
        false => wrap_indented(line, WIDTH, 0) + "\n",
    });
    lines.collect()
}
