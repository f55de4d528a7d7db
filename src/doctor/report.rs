//! Writes the findings for people and for programs: errors first, then warnings. Checks that passed are counted.

use std::io::{self, IsTerminal, Write};

use crate::doctor::rules::{Finding, Level};
use crate::escape::make_visible;
use crate::output::colours::{Colour, Colours};
use crate::output::json::write_line;
use crate::output::wrap::wrap_indented;

/// Below the level's name.
const INDENT: usize = 9;

/// Lines do not get narrower than this, however narrow the terminal is.
const NARROWEST: usize = 40;

pub fn write_json(findings: &[Finding], output: &mut impl Write) -> io::Result<()> {
    findings.iter().try_for_each(|finding| write_line(output, finding))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Problems,
    /// Checks that passed, too.
    Everything,
}

/// Writes errors, then warnings, and what passed where it is asked for; in the end how many there are of each.
pub fn write_text(findings: &[Finding], shown: Shown, colours: Colours, output: &mut impl Write) -> io::Result<()> {
    let width = width();
    let of = |level: Level| findings.iter().filter(move |finding| finding.level == level);
    let levels: &[Level] = match shown {
        Shown::Everything => &[Level::Error, Level::Warning, Level::Ok],
        Shown::Problems => &[Level::Error, Level::Warning],
    };
    let mut any = false;
    for finding in levels.iter().flat_map(|level| of(*level)) {
        any = true;
        let colour = match finding.level {
            Level::Error => Colour::Red,
            Level::Warning => Colour::Yellow,
            Level::Ok => Colour::Green,
        };
        let word = colours.paint(&format!("{:<INDENT$}", finding.level.word()), colour);
        let text = make_visible(&format!("{}: {}", finding.subject, finding.finding));
        writeln!(output, "{word}{}", wrap_indented(&text, width, INDENT))?;
        if let Some(remedy) = &finding.remedy {
            let text = make_visible(remedy);
            writeln!(output, "{:INDENT$}-> {}", "", wrap_indented(&text, width, INDENT + 3))?;
        }
    }
    if any {
        writeln!(output)?;
    }
    let count = |level: Level| of(level).count();
    let summary = summary(count(Level::Error), count(Level::Warning), count(Level::Ok));
    let hint = match shown {
        Shown::Problems if count(Level::Ok) > 0 => " (-v shows them)",
        Shown::Problems | Shown::Everything => "",
    };
    writeln!(output, "{summary}{hint}")
}

fn summary(errors: usize, warnings: usize, passed: usize) -> String {
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
    format!("{errors}, {warnings}, {} passed", counted(passed, "check"))
}

/// How wide the terminal is; without one, lines are not broken.
fn width() -> usize {
    let output = io::stdout();
    let size = terminal_size::terminal_size_of(&output).filter(|_| output.is_terminal());
    size.map_or(usize::MAX, |(width, _)| usize::from(width.0).max(NARROWEST))
}

#[cfg(test)]
mod tests {
    use super::{Shown, summary, write_text};
    use crate::doctor::rules::Check;
    use crate::output::colours::Colours;
    use crate::output::wrap::wrap_indented;

    #[test]
    fn errors_come_first_and_what_passed_is_counted() {
        let findings = [
            Check::Locks.about("procmail").ok("it takes dotlock"),
            Check::Rights.about("/var/mail").note("users\u{1b} cannot"),
            Check::Submit.about("sendmail").error("there is none", "install one"),
        ];
        let text = |shown, colours| {
            let mut text = Vec::new();
            assert!(write_text(&findings, shown, colours, &mut text).is_ok());
            String::from_utf8_lossy(&text).into_owned()
        };
        let problems =
            "error    sendmail: there is none\n         -> install one\nwarning  /var/mail: users\\u{1b} cannot\n";
        let sum = "1 error, 1 warning, 1 check passed";
        assert_eq!(
            text(Shown::Problems, Colours::Off),
            format!("{problems}\n{sum} (-v shows them)\n")
        );
        assert_eq!(
            text(Shown::Everything, Colours::Off),
            format!("{problems}ok       procmail: it takes dotlock\n\n{sum}\n")
        );
        assert!(text(Shown::Problems, Colours::On).starts_with("\u{1b}[31merror    \u{1b}[0msendmail: "));
        assert_eq!(summary(3, 0, 12), "3 errors, 0 warnings, 12 checks passed");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap_indented("one two three", 80, 2), "one two three");
        assert_eq!(wrap_indented("one two three", 9, 2), "one two\n  three");
        assert_eq!(wrap_indented("a verylongword b", 8, 2), "a\n  verylongword\n  b");
    }
}
