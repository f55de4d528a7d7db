//! A command line that runs spoolguard, in a `.forward`, a procmailrc, the aliases or an MTA's configuration: what it
//! does, and what is wrong with it. The program's own parser reads it, so that only what a delivery takes passes.
//!
//! The value of a shell variable is not known, and counts as good.

use crate::cli::{Cli, Command, fast_path, mistake};
use crate::doctor::rules::{CheckSubject, Finding};
use crate::message::address::is_plain;

/// What runs the program that is named behind it.
const STARTERS: [&str; 8] = ["exec", "env", "nice", "ionice", "command", "time", "!", "setsid"];

/// A run of spoolguard that some file asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub program: String,
    pub job: GuardJob,
    pub alias: Option<String>,
    pub problems: Vec<GuardLineProblem>,
}

/// What a run does with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardJob {
    Deliver,
    Forward(Vec<String>),
    Filter,
    /// Another command, which keeps no message.
    Other(String),
    /// None: the line cannot be understood.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardLineProblem {
    pub what: String,
    pub remedy: String,
}

impl GuardLineProblem {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (what, remedy) = (what.into(), remedy.into());
        Self { what, remedy }
    }
}

impl GuardJob {
    /// What becomes of mail that is given to a command which keeps none.
    pub fn keeps_nothing(&self) -> String {
        let name = match self {
            Self::Other(name) => name,
            Self::Filter | Self::Deliver | Self::Forward(_) | Self::Nothing => "filter",
        };
        format!("spoolguard {name} keeps no message, and mail is lost")
    }
}

impl Hook {
    /// What is wrong with the line, as findings about `topic`.
    pub fn findings(&self, topic: &CheckSubject) -> impl Iterator<Item = Finding> {
        let problems = self.problems.iter();
        problems.map(|problem| topic.error(&problem.what, &problem.remedy))
    }

    pub fn destinations(&self) -> &[String] {
        match &self.job {
            GuardJob::Forward(addresses) => addresses,
            GuardJob::Deliver | GuardJob::Filter | GuardJob::Other(_) | GuardJob::Nothing => &[],
        }
    }
}

/// Reads a command; none where it runs no spoolguard.
pub fn guard_of(command: &str) -> Option<Hook> {
    let tokens = tokens(command);
    let at = (0..tokens.len()).find(|at| is_program(&tokens, *at))?;
    let Some(LineToken::Word(program)) = tokens.get(at) else {
        return None;
    };
    let (words, problems) = arguments(tokens.get(at + 1..).unwrap_or_default());
    Some(understand(program.clone(), &words, problems))
}

/// Reads the arguments of a program that an MTA starts without a shell.
pub fn of_words(words: &[&str]) -> Option<Hook> {
    let (program, arguments) = words.split_first()?;
    let is_guard = *program == "spoolguard" || program.ends_with("/spoolguard");
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    is_guard.then(|| understand((*program).to_owned(), &arguments, Vec::new()))
}

fn understand(program: String, words: &[String], mut problems: Vec<GuardLineProblem>) -> Hook {
    let mut alias = None;
    let job = match mistake::read_words(words) {
        Ok(cli) => {
            problems.extend(of_flags(&cli));
            if let Command::Forward { alias: Some(name), .. } = &cli.command {
                alias = Some(name.clone());
            }
            job_of(cli.command, words, &mut problems)
        }
        // What a shell takes for files explains it better.
        Err(_) if !problems.is_empty() => GuardJob::Nothing,
        Err(cause) => {
            let fate = if fast_path::is_typed(words.iter().map(String::as_str)) {
                "mail is bounced"
            } else {
                "mail stays in the MTA's queue (deferred)"
            };
            problems.push(GuardLineProblem::new(
                format!("{fate}: {cause}"),
                "write spoolguard forward ADDRESS, or spoolguard deliver",
            ));
            GuardJob::Nothing
        }
    };
    Hook {
        program,
        job,
        alias,
        problems,
    }
}

fn job_of(command: Command, words: &[String], problems: &mut Vec<GuardLineProblem>) -> GuardJob {
    if let Command::Forward { addresses, .. } = command {
        problems.extend(of_addresses(&addresses));
        return GuardJob::Forward(addresses);
    }
    if let Command::Deliver(_) = command {
        return GuardJob::Deliver;
    }
    if let Command::Filter(_) = command {
        return GuardJob::Filter;
    }
    let name = fast_path::find_command(words.iter().map(String::as_str));
    GuardJob::Other(name.unwrap_or_default().to_owned())
}

fn of_flags(cli: &Cli) -> Vec<GuardLineProblem> {
    let mut found = Vec::new();
    if let Some(path) = cli.everywhere.config.as_deref().filter(|path| !path.is_absolute()) {
        found.push(GuardLineProblem::new(
            format!(
                "--config {} begins in whatever directory the MTA works in: there, mail stays in the queue",
                path.display()
            ),
            "name the file with all its directories: --config /etc/...",
        ));
    }
    if cli.everywhere.dry_run {
        found.push(GuardLineProblem::new(
            "with --dry-run nothing is done, and mail stays in the MTA's queue",
            "take --dry-run away",
        ));
    }
    found
}

fn of_addresses(addresses: &[String]) -> Option<GuardLineProblem> {
    let odd: Vec<&String> = addresses.iter().filter(|address| !is_plain(address)).collect();
    let first = odd.first()?;
    let bare: Vec<String> = addresses
        .iter()
        .flat_map(|address| address.split([',', ';', '<', '>']))
        .map(|part| part.trim().trim_matches('"').to_owned())
        .filter(|part| is_plain(part))
        .collect();
    let bare = if bare.is_empty() {
        "bob@example.net".to_owned()
    } else {
        bare.join(" ")
    };
    Some(GuardLineProblem::new(
        format!("\"{first}\": not a valid address: what is for it is delivered locally, not forwarded"),
        format!("write bare addresses with blanks between them: spoolguard forward {bare}"),
    ))
}

/// A piece of a shell's command line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LineToken {
    Word(String),
    /// `<` or `>`, with the digits before and what belongs to it.
    Redirection(char),
    /// `;`, `|`, `&`, brackets: another command begins.
    Operator,
}

fn is_program(tokens: &[LineToken], at: usize) -> bool {
    let Some(LineToken::Word(word)) = tokens.get(at) else {
        return false;
    };
    if word.ends_with("/spoolguard") {
        return true;
    }
    // A bare name may be an argument of something else: `logger -t spoolguard`.
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    let begins = match before {
        None | Some(LineToken::Operator) => true,
        Some(LineToken::Word(before)) => STARTERS.contains(&before.as_str()) || before.contains('='),
        Some(LineToken::Redirection(_)) => false,
    };
    word == "spoolguard" && begins
}

/// The words up to the next command, without what a shell does with files.
fn arguments(tokens: &[LineToken]) -> (Vec<String>, Vec<GuardLineProblem>) {
    let mut words = Vec::new();
    let mut problems = Vec::new();
    let mut rest = tokens
        .iter()
        .take_while(|token| **token != LineToken::Operator)
        .peekable();
    while let Some(token) = rest.next() {
        match token {
            LineToken::Word(word) => words.push(word.clone()),
            LineToken::Operator => {}
            LineToken::Redirection(sign) => {
                let file = rest.next_if(|next| matches!(next, LineToken::Word(_)));
                if let (Some(LineToken::Word(file)), '<') = (file, sign) {
                    problems.push(GuardLineProblem::new(
                        format!("a shell reads {file} in place of the message, and mail is bounced"),
                        "write the address without < and >",
                    ));
                }
            }
        }
    }
    (words, problems)
}

/// Splits a command as sh(1) does, as far as MTAs and users need it.
fn tokens(text: &str) -> Vec<LineToken> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '\'' => word
                .get_or_insert_default()
                .extend(letters.by_ref().take_while(|c| *c != '\'')),
            '"' => {
                let word = word.get_or_insert_default();
                while let Some(c) = letters.next().filter(|c| *c != '"') {
                    word.push(if c == '\\' { letters.next().unwrap_or(c) } else { c });
                }
            }
            '\\' => word.get_or_insert_default().extend(letters.next()),
            '#' if word.is_none() => break,
            // A descriptor's number belongs to the sign behind it.
            '<' | '>' => {
                found.extend(
                    word.take()
                        .filter(|word| !word.bytes().all(|b| b.is_ascii_digit()))
                        .map(LineToken::Word),
                );
                while letters.next_if(|c| "<>&".contains(*c)).is_some() {}
                found.push(LineToken::Redirection(c));
            }
            ';' | '|' | '&' | '(' | ')' | '\n' => {
                found.extend(word.take().map(LineToken::Word));
                found.push(LineToken::Operator);
            }
            c if c.is_whitespace() => found.extend(word.take().map(LineToken::Word)),
            c => word.get_or_insert_default().push(c),
        }
    }
    found.extend(word.map(LineToken::Word));
    found
}

#[cfg(test)]
mod tests {
    use super::{GuardJob, guard_of, of_words};

    fn forward(addresses: &[&str]) -> GuardJob {
        GuardJob::Forward(addresses.iter().map(|address| (*address).to_owned()).collect())
    }

    #[test]
    fn a_command_runs_spoolguard_or_does_not() {
        for (text, want) in [
            (
                "/usr/bin/spoolguard forward b@b.test --keep",
                Some(forward(&["b@b.test"])),
            ),
            (
                "exec /opt/spoolguard --config /x -v forward -f s@s.test b c || exit 75",
                Some(forward(&["b", "c"])),
            ),
            (
                "IFS=' '&&exec spoolguard forward 'b@b.test' #u",
                Some(forward(&["b@b.test"])),
            ),
            ("spoolguard deliver >/dev/null 2>&1", Some(GuardJob::Deliver)),
            ("(spoolguard deliver; exit 75)", Some(GuardJob::Deliver)),
            (
                "/usr/bin/spoolguard --config /x inspect",
                Some(GuardJob::Other("inspect".to_owned())),
            ),
            ("spoolguard filter", Some(GuardJob::Filter)),
            ("/usr/bin/vacation a", None),
            ("/usr/bin/myspoolguard forward b", None),
            ("/usr/bin/logger -t spoolguard", None),
        ] {
            let hook = guard_of(text);
            assert_eq!(hook.as_ref().map(|hook| hook.job.clone()), want, "{text}");
            let problems = hook.map(|hook| hook.problems).unwrap_or_default();
            assert!(problems.is_empty(), "{text}: {problems:?}");
        }
    }

    #[test]
    fn a_line_that_a_delivery_refuses_is_refused_here() {
        for (text, part) in [
            ("spoolguard", "no command is given"),
            (
                "spoolguard forward --kepp b@b.test",
                "deferred): unexpected argument '--kepp'",
            ),
            ("spoolguard forward", "were not provided: <ADDRESS>..."),
            (
                "spoolguard forward b@b.test, c@c.test",
                "\"b@b.test,\": not a valid address",
            ),
            ("spoolguard forward '<b@b.test>'", "\"<b@b.test>\": not a valid address"),
            (
                "spoolguard forward <b@b.test>",
                "a shell reads b@b.test in place of the message",
            ),
            ("spoolguard forward b@b.test < /dev/null", "a shell reads /dev/null"),
            (
                "spoolguard --config x.toml forward b@b.test",
                "--config x.toml begins in whatever",
            ),
            ("spoolguard forward b@b.test -n", "with --dry-run nothing is done"),
            ("spoolguard foward b@b.test", "a similar subcommand exists: 'forward'"),
            ("spoolguard sweep", "did you mean \"spoolguard spool sweep\"?"),
            (
                "spoolguard inspect --foo",
                "mail is bounced: unexpected argument '--foo'",
            ),
            (
                "spoolguard deliver b@b.test",
                "deferred): unexpected argument 'b@b.test'",
            ),
        ] {
            let problems = guard_of(text).map(|hook| hook.problems).unwrap_or_default();
            assert!(
                problems.len() == 1 && problems.iter().all(|problem| problem.what.contains(part)),
                "{text}: {problems:?}"
            );
        }
    }

    #[test]
    fn a_remedy_names_the_addresses_that_were_meant() {
        for (text, want) in [
            ("spoolguard forward b@b.test, c@c.test", "forward b@b.test c@c.test"),
            ("spoolguard forward b@b.test,c@c.test", "forward b@b.test c@c.test"),
            ("spoolguard forward '<b@b.test>'", "forward b@b.test"),
            ("spoolguard forward ','", "forward bob@example.net"),
        ] {
            let problems = guard_of(text).map(|hook| hook.problems).unwrap_or_default();
            assert!(
                problems.iter().any(|problem| problem.remedy.ends_with(want)),
                "{text}: {problems:?}"
            );
        }
    }

    #[test]
    fn words_that_no_shell_reads_are_taken_as_they_are() {
        let hook = of_words(&["/usr/bin/spoolguard", "forward", "<b@b.test>"]);
        assert!(hook.is_some_and(|hook| hook.problems.iter().any(|problem| problem.what.contains("not a valid"))));
        assert_eq!(of_words(&["/usr/bin/maildrop", "spoolguard"]), None);
    }
}
