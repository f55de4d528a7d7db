//! Reads the command lines of deliveries without clap. A mail system starts this program for every message, and to build what clap knows
//! of all commands and their help takes longer than to judge and append one.
//!
//! It knows fewer ways to write things than clap, and none otherwise: where anything is not as plain as mail systems and `.forward` files
//! write it, clap reads all of it. A test holds both against each other.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::{AppendTarget, Cli, Command, Everywhere};
use crate::config::location::MailStore;

/// What was typed, if it is `deliver`, `forward` or `policy` in a plain form; none leaves it to clap.
#[must_use]
pub fn parse_delivery(arguments: &[OsString]) -> Option<Cli> {
    let mut words = arguments.iter().skip(1).map(|word| word.to_str());
    let (mut everywhere, mut target) = (Everywhere::default(), AppendTarget::default());
    let (mut command, mut keep, mut opensmtpd, mut addresses) = (None, false, false, Vec::new());
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
            (None, "deliver" | "forward" | "policy") => command = Some(word),
            (Some("policy"), "--opensmtpd") if attached.is_none() && !opensmtpd => opensmtpd = true,
            (Some("policy"), _) if !word.is_empty() && !word.starts_with('-') => addresses.push(word.to_owned()),
            (Some("policy"), _) => return None,
            (Some(_), "-d" | "--user") => set(&mut target.who.user, value()?)?,
            (Some(_), "-a" | "--recipient") => set(&mut target.who.recipient, value()?)?,
            (Some(_), "-f" | "--sender") => set(&mut target.who.sender, value()?)?,
            (Some(_), "-m" | "--mailbox") => {
                target
                    .mailbox
                    .replace(MailStore::parse(value()?).ok()?)
                    .is_none()
                    .then_some(())?;
            }
            (Some("forward"), "--keep") if attached.is_none() && !keep => keep = true,
            (Some("forward"), _) if !word.is_empty() && !word.starts_with('-') => addresses.push(word.to_owned()),
            _ => return None,
        }
    }
    let command = match command? {
        "deliver" => Command::Deliver { target },
        "policy" if addresses.len() > usize::from(!opensmtpd) => return None,
        "policy" => Command::Policy {
            address: addresses.pop(),
            size: None,
            opensmtpd,
            json: false,
        },
        _ if addresses.is_empty() => return None,
        _ => Command::Forward {
            addresses,
            keep,
            target,
        },
    };
    Some(Cli { everywhere, command })
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

    use clap::Parser;
    use proptest::prelude::{ProptestConfig, proptest};
    use proptest::sample::select;
    use proptest::{collection, prop_assert_eq};

    use super::parse_delivery;
    use crate::cli::Cli;

    /// Words that mail systems, users and mistakes put on a command line.
    const WORDS: &[&str] = &[
        "deliver",
        "forward",
        "filter",
        "policy",
        "--opensmtpd",
        "--opensmtpd=1",
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
            &["policy"],
            &["policy", "--opensmtpd"],
            &["--config", "/etc/x.toml", "policy", "a@a.test"],
            &["forward", "b@b.test"],
            &["forward", "b@b.test", "c@c.test", "--keep"],
            &["forward", "--keep", "b@b.test", "-f", "s@s.test", "--dry-run"],
        ] {
            let line = line(words);
            let quick = parse_delivery(&line).map(|cli| format!("{cli:?}"));
            assert!(quick.is_some(), "{words:?}");
            assert_eq!(quick, with_clap(&line), "{words:?}");
        }
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
