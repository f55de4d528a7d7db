//! The findings for people and for programs: what is wrong first, then what is worth a word; what is as it should be is counted.

use crate::output::wrap::wrap_indented;
use std::io::{self, IsTerminal, Write};

use crate::doctor::rules::{Finding, Level};
use crate::escape::visible;
use crate::output::json::write_line;

/// Below the level's name.
const INDENT: usize = 7;

/// Lines do not get narrower than this, however narrow the terminal is.
const NARROWEST: usize = 40;

/// Writes one JSON object a line.
///
/// # Errors
/// When writing fails.
pub fn write_json(findings: &[Finding], output: &mut impl Write) -> io::Result<()> {
    findings.iter().try_for_each(|finding| write_line(output, finding))
}

/// Writes what is wrong, then what is to be known, and with `all` what is good; in the end how many there are of each.
///
/// # Errors
/// When writing fails.
pub fn write_text(findings: &[Finding], all: bool, output: &mut impl Write) -> io::Result<()> {
    let width = width();
    let of = |level: Level| findings.iter().filter(move |finding| finding.level == level);
    let levels: &[Level] = if all {
        &[Level::Wrong, Level::Note, Level::Ok]
    } else {
        &[Level::Wrong, Level::Note]
    };
    let mut any = false;
    for finding in levels.iter().flat_map(|level| of(*level)) {
        any = true;
        let name = match finding.level {
            Level::Wrong => "wrong",
            Level::Note => "note",
            Level::Ok => "ok",
        };
        let text = visible(&format!("{}: {}", finding.subject, finding.finding));
        writeln!(output, "{name:<INDENT$}{}", wrap_indented(&text, width, INDENT))?;
        if let Some(remedy) = &finding.remedy {
            let text = visible(remedy);
            writeln!(output, "{:INDENT$}-> {}", "", wrap_indented(&text, width, INDENT + 3))?;
        }
    }
    if any {
        writeln!(output)?;
    }
    let (wrong, notes, good) = (of(Level::Wrong).count(), of(Level::Note).count(), of(Level::Ok).count());
    writeln!(output, "{}", summary(wrong, notes, good, all))
}

fn summary(wrong: usize, notes: usize, good: usize, all: bool) -> String {
    let wrong = match wrong {
        0 => "nothing is wrong".to_owned(),
        1 => "1 thing is wrong".to_owned(),
        count => format!("{count} things are wrong"),
    };
    let notes = match notes {
        0 => String::new(),
        1 => ", 1 note".to_owned(),
        count => format!(", {count} notes"),
    };
    let hint = if all { "" } else { " (-v shows them)" };
    match good {
        0 => format!("{wrong}{notes}"),
        count => format!("{wrong}{notes}, {count} as it should be{hint}"),
    }
}

/// How wide the terminal is; without one, lines are not broken.
fn width() -> usize {
    let output = io::stdout();
    let size = terminal_size::terminal_size_of(&output).filter(|_| output.is_terminal());
    size.map_or(usize::MAX, |(width, _)| usize::from(width.0).max(NARROWEST))
}

#[cfg(test)]
mod tests {
    use super::{summary, write_text};
    use crate::doctor::rules::{Check, Finding};
    use crate::output::wrap::wrap_indented;

    #[test]
    fn what_is_wrong_comes_first_and_what_is_good_is_counted() {
        let findings = [
            Finding::ok(Check::Locks, "procmail", "it takes dotlock"),
            Finding::note(Check::Rights, "/var/mail", "users\u{1b} cannot"),
            Finding::wrong(Check::Submit, "sendmail", "there is none", "install one"),
        ];
        let text = |all| {
            let mut text = Vec::new();
            assert!(write_text(&findings, all, &mut text).is_ok());
            String::from_utf8_lossy(&text).into_owned()
        };
        let shown = "wrong  sendmail: there is none\n       -> install one\nnote   /var/mail: users\\u{1b} cannot\n";
        let sum = "1 thing is wrong, 1 note, 1 as it should be";
        assert_eq!(text(false), format!("{shown}\n{sum} (-v shows them)\n"));
        assert_eq!(
            text(true),
            format!("{shown}ok     procmail: it takes dotlock\n\n{sum}\n")
        );
        assert_eq!(summary(0, 0, 2, true), "nothing is wrong, 2 as it should be");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap_indented("one two three", 80, 2), "one two three");
        assert_eq!(wrap_indented("one two three", 9, 2), "one two\n  three");
        assert_eq!(wrap_indented("a verylongword b", 8, 2), "a\n  verylongword\n  b");
    }
}
