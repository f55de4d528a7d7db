//! Whether a Sieve script (RFC 5228) sends mail on.

/// Tells whether the script has a `redirect` outside of comments and strings.
pub fn has_redirect(text: &str) -> bool {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '#' => behind(rest, "\n"),
            '/' if rest.starts_with("/*") => behind(rest, "*/"),
            '"' => behind_string(rest),
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let (word, more) = rest.split_at(end.unwrap_or(rest.len()));
                if word.eq_ignore_ascii_case("redirect") {
                    return true;
                }
                // A text of several lines ends at a dot alone (section 2.4.2).
                let is_text = word.eq_ignore_ascii_case("text") && more.starts_with(':');
                if is_text { behind_text(more) } else { more }
            }
            c => rest.get(c.len_utf8()..).unwrap_or_default(),
        };
    }
    false
}

fn behind<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, behind)| behind)
}

fn behind_text(text: &str) -> &str {
    text.split_once("\n.\n")
        .or_else(|| text.split_once("\n.\r\n"))
        .map_or("", |(_, behind)| behind)
}

fn behind_string(text: &str) -> &str {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return text.get(at + 1..).unwrap_or_default(),
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::has_redirect;

    #[test]
    fn a_redirect_is_known_outside_comments_and_texts() {
        for (text, want) in [
            ("redirect \"b@b.test\";", true),
            ("require [\"copy\"];\nif true { Redirect :copy \"b@b.test\"; }", true),
            ("# redirect \"b@b.test\";\nkeep;", false),
            ("/* redirect \"b@b.test\"; */ keep;", false),
            ("/* */ redirect \"b@b.test\";", true),
            ("vacation \"please redirect \\\"it\\\" to b\";", false),
            ("vacation \"\\\\\"; redirect \"b@b.test\";", true),
            ("vacation text:\nredirect it\n.\n;\nkeep;", false),
            ("vacation text:\r\nx\r\n.\r\n;redirect \"b@b.test\";", true),
            ("redirected; my_redirect;", false),
            ("\"", false),
            ("é redirect \"b\";", true),
            ("", false),
        ] {
            assert_eq!(has_redirect(text), want, "{text:?}");
        }
    }
}
