//! A `.forward` that is a program: an Exim filter (filter.txt of Exim's manual) or a Sieve script (RFC 5228). Its first
//! line tells which. Finds the addresses that it sends to and the commands that it runs; evaluates no conditions.

use crate::doctor::rules::alias_targets::{AliasTarget, PlacedTarget, Quoted};

/// What the first line of a `.forward` makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Addresses, commands and files.
    Addresses,
    Exim,
    Sieve,
}

impl Language {
    /// Tells it as Exim does: after the sign and blanks, in any case.
    pub fn of(text: &str) -> Self {
        let first = text.lines().next().unwrap_or_default();
        let Some(words) = first.trim_start().strip_prefix('#') else {
            return Self::Addresses;
        };
        let words = words.trim_start().to_ascii_lowercase();
        let mut words = words.split_ascii_whitespace();
        match (
            words.next(),
            words.next().is_some_and(|word| word.starts_with("filter")),
        ) {
            (Some("exim"), true) => Self::Exim,
            (Some("sieve"), true) => Self::Sieve,
            _ => Self::Addresses,
        }
    }
}

/// Where an Exim filter sends mail: what stands behind `deliver`, `pipe` and `save`.
pub fn of_exim(text: &str) -> Vec<PlacedTarget> {
    let mut found = Vec::new();
    let mut words = words(text, Comments::Hash).into_iter();
    while let Some((line, word, quoted)) = words.next() {
        let verb = if quoted == Quoted::No { word.as_str() } else { "" };
        if !["deliver", "pipe", "save"].contains(&verb) {
            continue;
        }
        let Some((_, argument, _)) = words.next() else { break };
        let item = match verb {
            "deliver" => AliasTarget::Address(argument),
            "pipe" => AliasTarget::Command {
                text: argument,
                quoted: Quoted::Yes,
            },
            _ => AliasTarget::File(argument),
        };
        found.push(PlacedTarget { line, item });
    }
    found
}

/// Where a Sieve script sends mail: what stands behind `redirect`, and the programs of `pipe` and `filter`.
pub fn of_sieve(text: &str) -> Vec<PlacedTarget> {
    let mut found = Vec::new();
    let mut verb = None;
    for (line, word, quoted) in words(text, Comments::HashAndStar) {
        match (verb, quoted) {
            // Tags and their arguments, `:copy`, stand between.
            (Some("redirect"), Quoted::Yes) => {
                let item = AliasTarget::Address(word);
                found.push(PlacedTarget { line, item });
                verb = None;
            }
            (_, Quoted::No) if word.eq_ignore_ascii_case("redirect") => verb = Some("redirect"),
            (_, Quoted::No) if !word.starts_with(':') => verb = None,
            _ => {}
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comments {
    Hash,
    HashAndStar,
}

/// The words, each with its line and whether it stood between quotes. Sieve's punctuation makes words of its own.
fn words(text: &str, comments: Comments) -> Vec<(usize, String, Quoted)> {
    let mut found = Vec::new();
    let (mut line, mut begin) = (1, 1);
    let mut word = String::new();
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        let ends = c.is_whitespace() || c == '"' || (comments == Comments::HashAndStar && ";{}[],()".contains(c));
        if ends && !word.is_empty() {
            if comments == Comments::HashAndStar && word.eq_ignore_ascii_case("text:") {
                line += skip_text(&mut letters);
            }
            found.push((begin, std::mem::take(&mut word), Quoted::No));
        }
        match c {
            '\n' => line += 1,
            '#' if word.is_empty() => {
                let _ = letters.by_ref().find(|c| *c == '\n');
                line += 1;
            }
            '/' if comments == Comments::HashAndStar && letters.next_if_eq(&'*').is_some() => {
                let mut last = ' ';
                for c in letters.by_ref() {
                    line += usize::from(c == '\n');
                    if (last, c) == ('*', '/') {
                        break;
                    }
                    last = c;
                }
            }
            '"' => {
                let (at, mut inner) = (line, String::new());
                while let Some(c) = letters.next().filter(|c| *c != '"') {
                    let c = if c == '\\' { letters.next().unwrap_or(c) } else { c };
                    line += usize::from(c == '\n');
                    inner.push(c);
                }
                found.push((at, inner, Quoted::Yes));
            }
            _ if ends && !c.is_whitespace() => found.push((line, c.to_string(), Quoted::No)),
            _ if ends => {}
            c => {
                if word.is_empty() {
                    begin = line;
                }
                word.push(c);
            }
        }
    }
    if !word.is_empty() {
        found.push((begin, word, Quoted::No));
    }
    found
}

/// Passes over a text of several lines, which ends at a dot alone (RFC 5228 section 2.4.2), and counts them.
fn skip_text(letters: &mut impl Iterator<Item = char>) -> usize {
    let (mut lines, mut text) = (0, String::new());
    for c in letters.filter(|c| *c != '\r') {
        if c != '\n' {
            text.push(c);
            continue;
        }
        lines += 1;
        if std::mem::take(&mut text) == "." {
            break;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{Language, of_exim, of_sieve};
    use crate::doctor::rules::alias_targets::{AliasTarget, PlacedTarget, Quoted};

    fn at(line: usize, item: AliasTarget) -> PlacedTarget {
        PlacedTarget { line, item }
    }

    fn to(line: usize, address: &str) -> PlacedTarget {
        at(line, AliasTarget::Address(address.to_owned()))
    }

    #[test]
    fn the_first_line_says_what_a_forward_file_is() {
        for (text, want) in [
            ("# Exim filter\nfinish\n", Language::Exim),
            ("#exim filter <<== do not edit\n", Language::Exim),
            ("# Sieve filter\nkeep;\n", Language::Sieve),
            ("# my exim filter\nb@b.test\n", Language::Addresses),
            ("b@b.test\n# Exim filter\n", Language::Addresses),
            ("", Language::Addresses),
        ] {
            assert_eq!(Language::of(text), want, "{text}");
        }
    }

    #[test]
    fn an_exim_filter_sends_where_it_delivers() {
        let text = "# Exim filter\nif $h_subject: contains \"deliver x@x.test\" # pipe y\nthen\n  unseen deliver b@b.test\n  \
                    pipe \"/usr/bin/spoolguard forward c@c.test\"\nendif\nsave mail/x\n";
        let pipe = AliasTarget::Command {
            text: "/usr/bin/spoolguard forward c@c.test".to_owned(),
            quoted: Quoted::Yes,
        };
        assert_eq!(
            of_exim(text),
            [
                to(4, "b@b.test"),
                at(5, pipe),
                at(7, AliasTarget::File("mail/x".to_owned()))
            ]
        );
        assert_eq!(of_exim("# Exim filter\nfinish\n"), []);
    }

    #[test]
    fn a_sieve_script_sends_where_it_redirects() {
        let text = "# Sieve filter\nrequire [\"copy\", \"redirect\"];\n/* redirect \"x@x.test\"; */\n\
                    if header :contains \"subject\" \"redirect\" {\n  redirect :copy \"b@b.test\";\n}\nredirect\"c@c.test\";\n";
        assert_eq!(of_sieve(text), [to(5, "b@b.test"), to(7, "c@c.test")]);
    }

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
            assert_eq!(!of_sieve(text).is_empty(), want, "{text:?}");
        }
    }
}
