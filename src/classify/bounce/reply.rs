//! Does a text quote what a mail system answered, an SMTP reply or an enhanced status, about an address? That is the
//! one thing that reports have in every language. Looks at a bounded piece, and at nothing but lines near each other.

use crate::message::address::Address;
use crate::report::status_code::find_status;

/// As many lines as are looked at: a report says so soon, and what follows may be anything.
const MAX_LINES: usize = 80;

/// An address stands at most so many lines from the reply that is about it.
const NEAR_LINES: usize = 4;

/// The first line of `own`, the system's own words, that quotes a reply near an address that is none of `parties`.
pub fn find_reply<'t>(own: &'t str, parties: &[String]) -> Option<&'t str> {
    let lines: Vec<&str> = own.lines().take(MAX_LINES).map(str::trim).collect();
    let names: Vec<bool> = lines.iter().map(|line| names_another(line, parties)).collect();
    let quoting = lines.iter().enumerate().filter(|(_, line)| quotes_reply(line));
    let near = |at: usize| {
        let piece = at.saturating_sub(NEAR_LINES)..(at + NEAR_LINES + 1).min(names.len());
        names.get(piece).unwrap_or_default().contains(&true)
    };
    quoting
        .map(|(at, line)| (at, *line))
        .find(|(at, _)| near(*at))
        .map(|(_, line)| line)
}

/// Tells whether `own` names somebody else's address on a line of its own, as qmail, Exim, Gmail and all that imitate
/// them do.
pub fn names_alone(own: &str, parties: &[String]) -> bool {
    let lines = own.lines().take(MAX_LINES).map(str::trim);
    lines
        .map(|line| line.trim_end_matches(':').trim_end())
        .filter(|line| line.contains('@') && !line.contains(char::is_whitespace))
        .any(|line| names_another(line, parties))
}

/// Tells whether an address stands in `line` that is neither who sent the report nor who got it.
fn names_another(line: &str, parties: &[String]) -> bool {
    let edges = |c: char| !c.is_alphanumeric();
    line.split(|c: char| c.is_whitespace() || "<>()[]\"',;:=".contains(c))
        .map(|word| word.trim_matches(edges))
        .filter(|word| word.contains('@'))
        .filter_map(Address::parse)
        .filter(|address| address.domain().is_some_and(|domain| domain.contains('.')))
        .any(|address| {
            let address = address.to_string();
            !parties.iter().any(|party| party.eq_ignore_ascii_case(&address))
        })
}

/// Tells whether `line` quotes a reply: a code with words behind it, or an enhanced status that is more than a version
/// of something.
fn quotes_reply(line: &str) -> bool {
    let Some(status) = find_status(line).filter(|status| is_failure(status)) else {
        return quotes_code(line);
    };
    let at = line.find(status).unwrap_or_default();
    let before = line.get(..at).unwrap_or_default().trim_end().to_lowercase();
    before.is_empty()
        || before.ends_with(['#', '(', '[', ':', ';', '-', '"', '\'', '<', '='])
        || before.ends_with(|c: char| c.is_ascii_digit()) && code_at_end(&before)
        || ["status", "code", "error", "dsn", "smtp"]
            .iter()
            .any(|word| before.ends_with(word))
}

/// `4.x.x` or `5.x.x`, as RFC 3463 and the register of codes know them: no more than seven subjects.
fn is_failure(status: &str) -> bool {
    let mut parts = status.split('.');
    let (class, subject, detail) = (parts.next(), parts.next(), parts.next());
    matches!(class, Some("4" | "5"))
        && match subject {
            Some("0") => detail == Some("0"),
            Some("1" | "2" | "3" | "4" | "5" | "6" | "7") => true,
            Some(_) | None => false,
        }
}

fn code_at_end(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .next_back()
        .is_some_and(is_code)
}

/// A reply code of a failure (RFC 5321 section 4.2.3).
fn is_code(word: &str) -> bool {
    let known = |range: std::ops::RangeInclusive<u16>| word.parse().is_ok_and(|code| range.contains(&code));
    word.len() == 3
        && (word == "421" || word == "521" || word == "571" || known(450..=455) || known(500..=504) || known(550..=557))
}

/// Tells whether a code stands where replies are quoted, with words behind it that are no unit of anything.
fn quotes_code(line: &str) -> bool {
    const UNITS: [&str; 12] = [
        "mb", "gb", "kb", "mib", "gib", "kib", "m", "k", "%", "bytes", "messages", "byte",
    ];
    let mut rest = line;
    let mut before = "";
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let head_bytes = before.len() + at;
        let digits = rest.get(at..).unwrap_or_default();
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        let (code, behind) = digits.split_at(length);
        before = line.get(..head_bytes).unwrap_or_default();
        let opens = before.is_empty()
            || before.trim_end().ends_with([
                '\'', '"', ':', '(', '[', '<', '>', '#', ';', ',', '«', '»', '“', '„', '「', '：',
            ]);
        let separates = behind.starts_with([' ', '-', '#']);
        let word = behind.trim_start_matches([' ', '-', '#']);
        let word = word
            .split(|c: char| c.is_whitespace() || c == ',' || c == '.')
            .next()
            .unwrap_or_default();
        let is_unit = UNITS.contains(&word.to_lowercase().as_str());
        if is_code(code) && opens && separates && !word.is_empty() && !is_unit {
            return true;
        }
        rest = behind;
        before = line.get(..line.len() - rest.len()).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::find_reply;

    #[test]
    fn a_reply_near_an_address_is_found_in_every_language() {
        let parties = ["a@a.test".to_owned()];
        for (text, want) in [
            (
                "x@c.test\nRemote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'",
                true,
            ),
            ("<x@c.test>: 550 User unknown", true),
            ("x@c.test\n\n\n(#5.1.1)", true),
            ("Kättetoimetamine nurjus: x@c.test (5.1.1)", true),
            ("宛先 x@c.test\n550 そのような利用者はいません", true),
            ("x@c.test: host mx said: 550-5.2.1 The user", true),
            ("Status: 5.0.0, x@c.test", true),
            // About nobody else.
            ("a@a.test\n550 User unknown", false),
            ("550 User unknown", false),
            // No reply.
            ("x@c.test has used 550 MB", false),
            ("Used: 552 MB, ask x@c.test", false),
            ("Exim 4.2.1 at x@c.test", false),
            ("x@c.test, 552", false),
            ("x@c.test 192.5.1.1", false),
            ("x@c.test\n1\n2\n3\n4\n550 User unknown", false),
        ] {
            assert_eq!(find_reply(text, &parties).is_some(), want, "{text}");
        }
    }
}
