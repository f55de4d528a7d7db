//! The command line as its help and its completions show it: an option of every command stands where it does something.
//! No behaviour.

use std::ffi::OsString;

use clap::{Arg, Command, CommandFactory, FromArgMatches};

use crate::cli::Cli;

/// The commands that neither change nor deliver anything, by their words: they accept --dry-run, and do not offer it.
const LOOKS: [&[&str]; 10] = [
    &["config"],
    &["config", "check"],
    &["config", "show"],
    &["doctor"],
    &["filter"],
    &["inspect"],
    &["policy"],
    &["trace"],
    &["spool", "list"],
    &["spool", "archives"],
];

/// The whole command line.
pub fn command_line() -> Command {
    let whole = Cli::command();
    let dry_run = whole.get_arguments().find(|argument| argument.get_id() == "dry_run");
    match dry_run.cloned() {
        Some(dry_run) => hide_below(whole, &dry_run.hide(true), &mut Vec::new()),
        None => whole,
    }
}

/// A command that has an option of this name already does not get that of every command.
fn hide_below(command: Command, hidden: &Arg, words: &mut Vec<String>) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        words.push(name.clone());
        let is_look = LOOKS.iter().any(|look| look.iter().eq(words.iter()));
        let changed = command.mut_subcommand(name, |below| {
            let below = if is_look { below.arg(hidden.clone()) } else { below };
            hide_below(below, hidden, words)
        });
        words.pop();
        changed
    })
}

/// The help of the whole program.
pub fn help_text() -> String {
    command_line().render_help().to_string()
}

impl Cli {
    /// Reads the words of a command line, the program's name first. Fails when they cannot be understood, and when help
    /// or the version is asked for.
    pub fn read(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let mut line = command_line();
        let matches = line.try_get_matches_from_mut(words)?;
        Self::from_arg_matches(&matches).map_err(|e| e.format(&mut line))
    }
}

#[cfg(test)]
mod tests {
    use super::{LOOKS, command_line};
    use crate::cli::Cli;

    #[test]
    fn options_are_offered_where_of_use_and_taken_anywhere() {
        let help = |words: &[&str]| {
            let line = ["spoolguard"].iter().chain(words).chain(&["--help"]);
            Cli::read(line).err().map(|e| e.to_string()).unwrap_or_default()
        };
        for words in LOOKS {
            let help = help(words);
            assert!(
                help.contains("--config") && !help.contains("--dry-run"),
                "{words:?}: {help}"
            );
        }
        for words in [&["forward"][..], &["status"], &["replay"], &["spool", "sweep"]] {
            assert!(help(words).contains("-n, --dry-run"), "{words:?}");
        }
        for command in command_line().get_subcommands() {
            let below: Vec<_> = command.get_subcommands().collect();
            let all = std::iter::once(command).chain(below);
            for command in all {
                let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(examples.starts_with("Examples:\n"), "{}", command.get_name());
            }
        }
        for (line, is_dry) in [
            ("trace x@y.test", false),
            ("trace -n x@y.test", true),
            ("-n trace x@y.test", true),
            ("spool list --dry-run", true),
            ("spool --dry-run list", true),
            ("spool sweep alice -n", true),
            ("config check -n", true),
            ("config -n show", true),
        ] {
            let words = std::iter::once("spoolguard").chain(line.split(' '));
            let read = Cli::read(words).map(|cli| cli.everywhere.dry_run);
            assert_eq!(read.ok(), Some(is_dry), "{line}");
        }
    }
}
