//! Postfix's services that run spoolguard, as `postconf -M` prints them: pipe(8) for deliveries, spawn(8) for policy.

use crate::doctor::rules::guard_line::{GuardJob, Hook, of_words};
use crate::doctor::rules::limits::postconf_command;
use crate::doctor::rules::settings::Settings;
use crate::doctor::rules::{Check, CheckSubject, Finding};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostfixService {
    /// Its name, which transports have.
    pub name: String,
    /// The program of Postfix that starts it.
    pub daemon: String,
    pub user: String,
    /// The flags of pipe(8).
    pub flags: String,
    pub words: Vec<String>,
    pub hook: Hook,
}

/// Reads `postconf -M`.
pub fn parse_services(text: &str) -> Vec<PostfixService> {
    text.lines().filter_map(service).collect()
}

fn service(line: &str) -> Option<PostfixService> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let [
        name,
        _type,
        _private,
        _unpriv,
        _chroot,
        _wakeup,
        _maxproc,
        daemon,
        rest @ ..,
    ] = words.as_slice()
    else {
        return None;
    };
    let at = rest.iter().position(|word| word.starts_with("argv="))?;
    let (options, command) = rest.split_at(at);
    let words: Vec<&str> = command.iter().map(|word| word.trim_start_matches("argv=")).collect();
    let option = |name: &str| {
        options
            .iter()
            .find_map(|word| word.strip_prefix(name))
            .unwrap_or_default()
    };
    Some(PostfixService {
        hook: of_words(&words)?,
        name: (*name).to_owned(),
        daemon: (*daemon).to_owned(),
        user: option("user=").split(':').next().unwrap_or_default().to_owned(),
        flags: option("flags=").to_owned(),
        words: words.into_iter().map(str::to_owned).collect(),
    })
}

impl PostfixService {
    /// Whether it answers at RCPT time.
    pub fn is_policy(&self) -> bool {
        self.daemon == "spawn" && self.hook.job == GuardJob::Other("policy".to_owned())
    }

    /// Whether the command names the recipient's or user's name, which Postfix puts in place of the macro.
    fn names(&self, flags: &[&str]) -> bool {
        let is_flag = |word: &String| {
            flags
                .iter()
                .any(|flag| word == flag || word.starts_with(&format!("{flag}=")))
        };
        self.words.iter().any(is_flag)
    }

    /// Judges one; `state_dir` is the configured one.
    pub fn judge(&self, settings: &Settings, state_dir: &str) -> Vec<Finding> {
        let topic = Check::MailSystem.about(format!("master.cf, service {}", self.name));
        let mut found: Vec<_> = self.hook.findings(&topic).collect();
        if self.daemon != "pipe" || self.hook.job == GuardJob::Nothing {
            return found;
        }
        match &self.hook.job {
            GuardJob::Deliver if !self.names(&["-d", "--user"]) => {
                let what = format!("the mail of all its recipients goes into the mailbox of {}", self.user);
                let remedy = "write deliver --user ${user} --recipient ${recipient} --sender ${sender}";
                found.push(topic.error(what, remedy));
            }
            GuardJob::Deliver | GuardJob::Forward(_)
                if !self.names(&["-a", "--recipient"]) && !self.flags.contains('D') =>
            {
                let what = "it does not learn the recipient, by which a loop is known";
                let remedy = "write --recipient ${recipient} behind the command";
                found.push(topic.warning(what, remedy));
            }
            GuardJob::Deliver | GuardJob::Forward(_) => {}
            GuardJob::Filter | GuardJob::Other(_) | GuardJob::Nothing => {
                let what = "its command keeps no message, and mail is lost";
                found.push(topic.error(what, "write spoolguard deliver or forward"));
            }
        }
        found.extend(self.envelope(&topic, settings));
        // Another configuration has another directory.
        if self.names(&["-d", "--user"]) && !self.names(&["--config"]) && !state_dir.contains("%u") {
            let what = format!("all its users share one state directory, that of {}", self.user);
            let remedy = "in /etc/spoolguard.toml: state_dir = \"/var/lib/spoolguard/%u\", a directory of that user";
            found.push(topic.warning(what, remedy));
        }
        if found.is_empty() {
            found.push(topic.ok("it runs spoolguard"));
        }
        found
    }

    /// Whether sender and recipients come through as they are.
    fn envelope(&self, topic: &CheckSubject, settings: &Settings) -> Vec<Finding> {
        let mut found = Vec::new();
        if !self.names(&["-f", "--sender"]) && !self.flags.contains(['F', 'R']) {
            let what = "it does not learn the envelope sender, by which a bounce is known";
            let remedy = "write --sender ${sender} behind the command, or flags=R";
            found.push(topic.warning(what, remedy));
        }
        let limit = format!("{}_destination_recipient_limit", self.name);
        let expands = self.words.iter().any(|word| {
            ["recipient", "user", "mailbox", "extension"]
                .iter()
                .any(|name| word.contains(&format!("${{{name}}}")) || word.ends_with(&format!("${name}")))
        });
        if expands && settings.number(&limit) != Some(1) {
            let what = "Postfix hands it several recipients at once, and the second becomes an argument of its own";
            found.push(topic.error(what, postconf_command(&format!("{limit} = 1"))));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::parse_services;
    use crate::doctor::rules::Level;
    use crate::doctor::rules::settings::Settings;

    #[test]
    fn a_service_gets_what_a_delivery_needs() {
        let good = "guard unix - n n - - pipe flags=DRhu user=vmail argv=/usr/bin/spoolguard deliver --user ${user} \
                    --recipient ${recipient} --sender ${sender}";
        for (from, to, state_dir, want) in [
            ("", "", "/var/lib/spoolguard/%u", None),
            (
                "",
                "",
                "",
                Some((Level::Warning, "all its users share one state directory")),
            ),
            (
                "--user ${user}",
                "--usr ${user}",
                "%u",
                Some((Level::Error, "mail stays in the MTA's queue")),
            ),
            (
                "--user ${user}",
                "",
                "%u",
                Some((
                    Level::Error,
                    "the mail of all its recipients goes into the mailbox of vmail",
                )),
            ),
            ("flags=DRhu user=vmail", "user=vmail", "%u", None),
            (
                "flags=DRhu user=vmail argv=/usr/bin/spoolguard deliver --user ${user} --recipient ${recipient} --sender ${sender}",
                "flags=hu user=vmail argv=/usr/bin/spoolguard forward b@b.test --recipient x@x.test",
                "",
                Some((Level::Warning, "it does not learn the envelope sender")),
            ),
            (
                "deliver --user ${user}",
                "filter",
                "%u",
                Some((Level::Error, "its command keeps no message")),
            ),
            ("argv=/usr/bin/spoolguard", "argv=/usr/bin/maildrop", "%u", None),
        ] {
            let settings = Settings::parse("guard_destination_recipient_limit = 1\n");
            let text = good.replace(from, to);
            let found: Vec<_> = parse_services(&text)
                .iter()
                .flat_map(|one| one.judge(&settings, state_dir))
                .collect();
            let bad: Vec<_> = found.iter().filter(|found| found.level != Level::Ok).collect();
            let holds = match (bad.as_slice(), want) {
                ([], None) => true,
                ([first], Some((level, part))) => first.level == level && first.finding.starts_with(part),
                _ => false,
            };
            assert!(holds, "{from} -> {to}: {found:?}");
        }
        let found: Vec<_> = parse_services(good)
            .iter()
            .flat_map(|one| one.judge(&Settings::default(), "%u"))
            .collect();
        assert!(
            found
                .iter()
                .any(|found| found.finding.starts_with("Postfix hands it several recipients at once"))
        );
        assert_eq!(
            parse_services("smtp inet n - y - - smtpd\nalias_maps = hash:/etc/aliases\n"),
            []
        );
    }
}
