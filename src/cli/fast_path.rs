//! Reads the command lines of deliveries without clap. An MTA starts this program for every message. To build what clap
//! knows of all commands takes longer than to judge and append a message.
//!
//! It knows fewer spellings than clap, and reads none of them differently. Where a word is not as plain as MTAs and
//! `.forward` files write it, clap reads the whole line. A test holds both against each other.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::cli::{AppendTarget, Cli, Command, Everywhere, PolicyArguments};
use crate::config::location::MailStore;

/// The commands that people type: a mistake in one of them ends with 64, and MTAs bounce on that.
const TYPED: [&str; 9] = [
    "config", "doctor", "help", "inspect", "policy", "replay", "spool", "status", "trace",
];

/// The commands that take a message from whoever waits for them.
const DELIVERING: [&str; 5] = ["deliver", "filter", "forward", "return", "sendmail"];

/// The command among the words behind the program's name; none where that cannot be told. Behind an unknown flag, the
/// next word may be its value: a user can be called `status`.
pub fn find_command<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut words = words.into_iter();
    loop {
        match words.next()? {
            "--config" => drop(words.next()),
            "-n" | "-v" | "-vv" | "--dry-run" | "--verbose" => {}
            word if word.starts_with("--config=") => {}
            word => return Some(word).filter(|word| !word.starts_with('-')),
        }
    }
}

/// Tells the commands that people type from those that deliver. Where it cannot be told, it counts as delivery.
pub fn is_typed<'a>(words: impl IntoIterator<Item = &'a str>) -> bool {
    find_command(words).is_some_and(|command| TYPED.contains(&command))
}

/// Tells the commands that a file system which hangs must not hold.
pub fn is_delivery<'a>(words: impl IntoIterator<Item = &'a str>) -> bool {
    find_command(words).is_some_and(|command| DELIVERING.contains(&command))
}

/// What was typed, if it is `deliver`, `filter`, `forward` or `policy` in a plain form; none leaves it to clap.
pub fn parse_delivery(arguments: &[OsString]) -> Option<Cli> {
    let mut words = arguments.iter().skip(1).map(|word| word.to_str());
    let (mut everywhere, mut target) = (Everywhere::default(), AppendTarget::default());
    let (mut command, mut keep, mut opensmtpd, mut addresses) = (None, false, false, Vec::new());
    let mut alias = None;
    while let Some(word) = words.next() {
        let word = word?;
        let (flag, attached) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
            _ => (word, None),
        };
        let mut value = || {
            attached
                .or_else(|| words.next()?)
                .filter(|value| !value.starts_with('-'))
        };
        match (command, flag) {
            (_, "--config") => set_path(&mut everywhere.config, value()?)?,
            (_, "-n" | "--dry-run") if attached.is_none() && !everywhere.dry_run => everywhere.dry_run = true,
            (None, "deliver" | "filter" | "forward" | "policy") => command = Some(word),
            (Some("policy"), "--opensmtpd") if attached.is_none() && !opensmtpd => opensmtpd = true,
            (Some("policy"), _) if !word.is_empty() && !word.starts_with('-') => addresses.push(word.to_owned()),
            (Some("policy"), _) => return None,
            (Some(_), "-d" | "--user") if alias.is_none() => set(&mut target.who.user, value()?)?,
            (Some(_), "-a" | "--recipient") => set(&mut target.who.recipient, value()?)?,
            (Some(_), "-f" | "--sender") => set(&mut target.who.sender, value()?)?,
            (Some("deliver" | "forward"), "-m" | "--mailbox") => {
                target
                    .mailbox
                    .replace(MailStore::parse(value()?).ok()?)
                    .is_none()
                    .then_some(())?;
            }
            (Some("forward"), "--as") if target.who.user.is_none() => set(&mut alias, value()?)?,
            (Some("forward"), "--keep") if attached.is_none() && !keep => keep = true,
            (Some("forward"), _) if !word.is_empty() && !word.starts_with('-') => addresses.push(word.to_owned()),
            _ => return None,
        }
    }
    let command = match command? {
        "deliver" => Command::Deliver(target),
        "filter" => Command::Filter(target.who),
        "policy" if addresses.len() > usize::from(!opensmtpd) => return None,
        "policy" => Command::Policy(PolicyArguments {
            address: addresses.pop(),
            opensmtpd,
            ..PolicyArguments::default()
        }),
        _ if addresses.is_empty() => return None,
        _ => Command::Forward {
            addresses,
            keep,
            alias,
            target,
        },
    };
    Some(Cli { everywhere, command })
}

/// What was typed, if it is `sendmail`: what stands behind that word is the other program's, `-n` and `-v` too. Alone,
/// `--help` is ours.
pub fn parse_sendmail(arguments: &[OsString]) -> Option<Cli> {
    const NAME: &str = "spoolguard-sendmail";
    let (program, mut rest) = arguments.split_first()?;
    let mut everywhere = Everywhere::default();
    let mut is_behind = Path::new(program).file_name().is_some_and(|name| name == NAME);
    while !is_behind {
        let (word, behind) = rest.split_first()?;
        rest = behind;
        match word.to_str()? {
            "sendmail" => is_behind = true,
            "--config" => {
                let (path, behind) = rest.split_first()?;
                rest = behind;
                set_path(&mut everywhere.config, path.to_str()?)?;
            }
            "-n" | "--dry-run" => everywhere.dry_run = true,
            "-v" | "--verbose" => everywhere.verbose = everywhere.verbose.saturating_add(1),
            word => set_path(&mut everywhere.config, word.strip_prefix("--config=")?)?,
        }
    }
    if matches!(rest, [only] if only == "--help") {
        return None;
    }
    let arguments = rest.to_vec();
    Some(Cli {
        everywhere,
        command: Command::Sendmail { arguments },
    })
}

/// Twice the same flag is a mistake that clap explains.
fn set(place: &mut Option<String>, value: &str) -> Option<()> {
    place.replace(value.to_owned()).is_none().then_some(())
}

fn set_path(place: &mut Option<PathBuf>, value: &str) -> Option<()> {
    (!value.is_empty() && place.replace(value.into()).is_none()).then_some(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::{CommandFactory, Parser};
    use proptest::prelude::{ProptestConfig, proptest};
    use proptest::sample::select;
    use proptest::{collection, prop_assert_eq};

    use super::{is_delivery, is_typed, parse_delivery, parse_sendmail};
    use crate::cli::{Cli, Command};

    #[test]
    fn only_mistakes_in_typed_commands_are_usage_errors() {
        for (line, is_ours) in [
            ("trace --x", true),
            ("-n inspect --x", true),
            ("--config /x -v status --x", true),
            ("--config=/x -vv doctor", true),
            ("deliver status", false),
            ("--user status deliver", false),
            ("-d inspect", false),
            ("--config status", false),
            ("", false),
        ] {
            assert_eq!(is_typed(line.split_ascii_whitespace()), is_ours, "{line}");
        }
    }

    #[test]
    fn each_command_is_typed_or_delivers() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert_ne!(is_typed([name]), is_delivery([name]), "{name}");
        }
    }

    /// Words that mail systems, users and mistakes put on a command line.
    const WORDS: &[&str] = &[
        "deliver",
        "forward",
        "filter",
        "policy",
        "--opensmtpd",
        "--opensmtpd=1",
        "--as",
        "--as=sales",
        "--size",
        "status",
        "help",
        "--help",
        "-h",
        "-V",
        "--config",
        "--config=/etc/x",
        "--config=",
        "--dry-run",
        "--dry-run=yes",
        "-n",
        "-nv",
        "mbox:/var/mail/a",
        "maildir:/m",
        "-v",
        "-vv",
        "--verbose",
        "--",
        "-",
        "-d",
        "--user",
        "--user=a",
        "--us",
        "-da",
        "-d=a",
        "-a",
        "--recipient",
        "--recipient=a@a.test",
        "--recipient=",
        "-f",
        "--sender",
        "--sender=<>",
        "--sender=-x",
        "--sender==",
        "-m",
        "--mailbox",
        "--mailbox=m",
        "--mailbox=",
        "--keep",
        "--keep=no",
        "a",
        "b@b.test",
        "c@c.test",
        "",
        "<>",
        "-x@x.test",
        "a=b",
        "/var/mail/a",
        "ü",
    ];

    fn line(words: &[&str]) -> Vec<OsString> {
        ["spoolguard"].iter().chain(words).map(OsString::from).collect()
    }

    fn with_clap(line: &[OsString]) -> Option<String> {
        Cli::try_parse_from(line).ok().map(|cli| format!("{cli:?}"))
    }

    #[test]
    fn what_mail_systems_write_needs_no_clap() {
        for words in [
            &["deliver"][..],
            &["deliver", "--user", "a"],
            &["deliver", "-d", "a", "-a", "a@a.test", "-f", ""],
            &["deliver", "--user=a", "--recipient=a@a.test", "--sender=<>"],
            &["--config", "/etc/x.toml", "deliver", "-m", "/var/mail/x"],
            &["filter"],
            &["filter", "-d", "a", "--sender=<>"],
            &["policy"],
            &["policy", "--opensmtpd"],
            &["--config", "/etc/x.toml", "policy", "a@a.test"],
            &["forward", "b@b.test"],
            &["forward", "b@b.test", "c@c.test", "--keep"],
            &["forward", "--keep", "b@b.test", "-f", "s@s.test", "--dry-run"],
            &["forward", "--as", "sales", "b@b.test"],
            &["forward", "--as=sales@a.test", "b@b.test", "-a", "sales@a.test"],
        ] {
            let line = line(words);
            let quick = parse_delivery(&line).map(|cli| format!("{cli:?}"));
            assert!(quick.is_some(), "{words:?}");
            assert_eq!(quick, with_clap(&line), "{words:?}");
        }
    }

    #[test]
    fn what_stands_behind_sendmail_is_the_other_programs() {
        let read = |line: &[&str]| {
            let line: Vec<OsString> = line.iter().map(OsString::from).collect();
            let cli = parse_sendmail(&line)?;
            let config = cli.everywhere.config.map(|path| path.display().to_string());
            let Command::Sendmail { arguments } = cli.command else {
                return None;
            };
            let arguments: Vec<String> = arguments
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            Some((config, cli.everywhere.dry_run, arguments.join(" ")))
        };
        let seen =
            |config: Option<&str>, dry_run, rest: &str| Some((config.map(str::to_owned), dry_run, rest.to_owned()));
        assert_eq!(read(&["spoolguard", "sendmail"]), seen(None, false, ""));
        assert_eq!(
            read(&["spoolguard", "--config", "/c", "-n", "sendmail", "-n", "--config", "x"]),
            seen(Some("/c"), true, "-n --config x")
        );
        assert_eq!(
            read(&["spoolguard", "--config=/c", "sendmail", "-t"]),
            seen(Some("/c"), false, "-t")
        );
        assert_eq!(
            read(&["/usr/lib/spoolguard-sendmail", "-n", "sendmail"]),
            seen(None, false, "-n sendmail")
        );
        assert_eq!(read(&["spoolguard", "sendmail", "--help"]), None);
        assert_eq!(read(&["spoolguard", "deliver", "sendmail"]), None);
        assert_eq!(read(&["spoolguard", "-x", "sendmail"]), None);
        assert_eq!(read(&["spoolguard"]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

        #[test]
        fn whatever_it_reads_clap_reads_in_the_same_way(
            first in select(&["deliver", "forward", "policy", "--dry-run", "--config"][..]),
            rest in collection::vec(select(WORDS), 0..7),
        ) {
            let line = line(&[&[first][..], &rest].concat());
            if let Some(cli) = parse_delivery(&line) {
                prop_assert_eq!(Some(format!("{cli:?}")), with_clap(&line), "{:?}", line);
            }
        }
    }
}
