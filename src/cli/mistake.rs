//! Says what is wrong with a command line. People read all that clap knows; an MTA reads one line that holds the real
//! cause. A subcommand that was typed without its command is suggested with both words.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use crate::cli::Cli;

/// Without any word: someone forgot the quotes in `.forward`, or the command in the MTA's configuration.
const NO_COMMAND: &str = "no command is given: write deliver or forward ADDRESS; in .forward, put quotes around all of it: \
                          \"|/usr/bin/spoolguard forward ADDRESS\"";

/// Returns the text for whoever typed it, on several lines.
pub fn for_people(error: &clap::Error, words: &[OsString]) -> String {
    let text = name_odd_word(error, error.render().to_string(), words);
    match below_another(error) {
        Some(command) => {
            let cause = text.lines().next().unwrap_or_default();
            format!(
                "{cause}\n\n  tip: did you mean \"spoolguard {command}\"?\n\nFor more information, try \"--help\".\n"
            )
        }
        None => text,
    }
}

/// Names the word that is no UTF-8: clap says that there is one.
fn name_odd_word(error: &clap::Error, text: String, words: &[OsString]) -> String {
    let odd = words.iter().find(|word| word.to_str().is_none());
    match odd.filter(|_| error.kind() == ErrorKind::InvalidUtf8) {
        Some(word) => {
            let bytes = word.as_encoded_bytes().escape_ascii();
            text.replace(
                "invalid UTF-8 was detected in one or more arguments",
                &format!("the argument \"{bytes}\" is not valid UTF-8"),
            )
        }
        None => text,
    }
}

/// Returns the cause in one line, with the argument that is missing; `words` begin with the program's name.
pub fn in_one_line(error: &clap::Error, words: &[OsString]) -> String {
    if words.len() < 2 {
        return NO_COMMAND.to_owned();
    }
    let text = name_odd_word(error, error.render().to_string(), words);
    let cause: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let cause = cause.join(" ");
    let cause = cause.trim_start_matches("error: ");
    let tip = match below_another(error) {
        Some(command) => Some(format!("tip: did you mean \"spoolguard {command}\"?")),
        None => text
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("tip: "))
            .map(str::to_owned),
    };
    match tip {
        Some(tip) => format!("{cause}; {tip}"),
        None => format!("{cause}; see spoolguard --help"),
    }
}

/// Reads what stands behind the program's name in some file. Fails when no run understands it: the cause in one line.
pub fn read_words(words: &[String]) -> Result<Cli, String> {
    let line: Vec<OsString> = std::iter::once("spoolguard")
        .chain(words.iter().map(String::as_str))
        .map(OsString::from)
        .collect();
    Cli::read(&line).map_err(|e| in_one_line(&e, &line))
}

/// Returns the command below another one that is called like the unknown word, such as `spool sweep`.
fn below_another(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let all = Cli::command();
    let is_near = |command: &Command| crate::config::mistakes::is_near(word, command.get_name());
    // A near command of the first level is clap's own suggestion.
    if all.get_subcommands().any(is_near) {
        return None;
    }
    all.get_subcommands()
        .flat_map(|above| above.get_subcommands().map(move |below| (above, below)))
        .find(|(_, below)| is_near(below))
        .map(|(above, below)| format!("{} {}", above.get_name(), below.get_name()))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser;

    use super::{for_people, in_one_line};
    use crate::cli::Cli;

    #[test]
    fn the_cause_is_one_whole_line() {
        for (words, part) in [
            (&[][..], "no command is given"),
            (&["forward"], "not provided: <ADDRESS>...; see"),
            (
                &["foward", "b@b.test"],
                "'foward'; tip: a similar subcommand exists: 'forward'",
            ),
            (&["sweep"], "did you mean \"spoolguard spool sweep\"?"),
            (&["archiv"], "did you mean \"spoolguard spool archive\"?"),
            (&["check"], "did you mean \"spoolguard config check\"?"),
            (
                &["forward", "--kepp", "b@b.test"],
                "'--kepp' found; tip: a similar argument exists: '--keep'",
            ),
        ] {
            let line: Vec<OsString> = ["spoolguard"].iter().chain(words).map(OsString::from).collect();
            let Err(error) = Cli::try_parse_from(&line) else {
                unreachable!("{words:?}")
            };
            let said = in_one_line(&error, &line);
            assert!(said.contains(part) && !said.contains('\n'), "{words:?}: {said}");
        }
        let Err(error) = Cli::try_parse_from(["spoolguard", "sweep"]) else {
            unreachable!()
        };
        assert!(for_people(&error, &[]).contains("spoolguard spool sweep"));
    }
}
