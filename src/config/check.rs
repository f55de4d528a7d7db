//! Checks what the types of the keys cannot say: which values are allowed, by themselves and together. Looks at no
//! file; where a key stands is up to `config/load.rs`.

use std::fmt;
use std::path::Path;

use crate::config::destinations::MOST_BURST;
use crate::config::value::Age;
use crate::config::{Config, ForwardSender, MOST_PER_HOUR, Over};

/// The longest time that locks may be waited for: mail systems stop waiting for us some time after.
const LONGEST_LOCK_TIMEOUT: Age = Age::seconds(200);

/// What was sent on is remembered for six days at least, unless it was a great deal.
const LONGEST_AGAIN_AFTER: Age = Age::seconds(6 * 24 * 60 * 60);

/// For how long rewritten senders may hold.
const SHORTEST_VALID: Age = Age::seconds(24 * 60 * 60);
const LONGEST_VALID: Age = Age::seconds(1000 * 24 * 60 * 60);

/// The longest length of time that the state of a destination goes by: a year, so that times stay in the calendar.
const LONGEST_AGE: Age = Age::seconds(365 * 24 * 60 * 60);

/// What is expected of whoever is the administrator.
const EXPECTED_ADMIN: &str = "expected one address (for two people, that of an alias), or the absolute path of an mbox";

/// What is wrong: each key, with what was expected.
#[derive(Default)]
struct Faults(Vec<(&'static str, String)>);

impl Faults {
    fn add_unless(&mut self, is_right: bool, key: &'static str, expected: impl fmt::Display) {
        if !is_right {
            self.0.push((key, expected.to_string()));
        }
    }
}

impl Config {
    /// Looks for what the types cannot say. Returns each key that is wrong, with what was expected.
    pub fn check(&self) -> Vec<(&'static str, String)> {
        let mut faults = Faults::default();
        self.check_delivery(&mut faults);
        self.check_forward(&mut faults);
        // The default is known to be right; asking costs more than all the rest.
        let default = Self::default().users_may_set;
        for name in self.users_may_set.iter().filter(|name| !default.contains(name)) {
            let expected = format_args!("\"{name}\" is neither a key nor a table of keys");
            faults.add_unless(is_known(name), "users_may_set", expected);
        }
        self.check_destinations(&mut faults);
        self.check_quota(&mut faults);
        faults.0
    }

    /// What has to hold for what stays on this host.
    fn check_delivery(&self, faults: &mut Faults) {
        const ABSOLUTE: &str = "expected an absolute path";
        let Self {
            admin,
            aliases,
            state_dir,
            mailbox,
            ..
        } = self;
        faults.add_unless(is_admin(admin), "admin", EXPECTED_ADMIN);
        let admins_are_right = aliases.admins.values().all(|admin| is_admin(admin));
        faults.add_unless(admins_are_right, "aliases.admins", EXPECTED_ADMIN);
        faults.add_unless(is_absolute(&aliases.dir), "aliases.dir", ABSOLUTE);
        let is_state_dir = state_dir.is_empty() || is_absolute(state_dir) || state_dir.starts_with("~/");
        let expected = "expected an absolute path, or one that begins with ~/";
        faults.add_unless(is_state_dir, "state_dir", expected);
        faults.add_unless(is_absolute(&self.archive.dir), "archive.dir", ABSOLUTE);
        let can_archive = mailbox.location.lmtp_servers().is_empty() || self.quota.when_full != Over::Archive;
        let expected = "expected another value: what an LMTP server keeps cannot be archived";
        faults.add_unless(can_archive, "quota.when_full", expected);
        let expected = "expected at least one of dotlock, fcntl, flock";
        faults.add_unless(!mailbox.locks.is_empty(), "mailbox.locks", expected);
        let is_short = mailbox.lock_timeout <= LONGEST_LOCK_TIMEOUT;
        let expected = format_args!("expected at most {LONGEST_LOCK_TIMEOUT}: an MTA stops waiting for a delivery");
        faults.add_unless(is_short, "mailbox.lock_timeout", expected);
        let expected = "expected a reply such as \"552 5.2.2 mailbox is full\": ASCII, at most 200 characters, neither 421 nor 521";
        faults.add_unless(is_refusal(&self.policy.full), "policy.full", expected);
    }

    /// The same for what is sent on.
    fn check_forward(&self, faults: &mut Faults) {
        let (forward, srs) = (&self.forward, &self.srs);
        let has_delimiter = forward.sender != ForwardSender::Verp || !self.recipient_delimiter.is_empty();
        let expected =
            "expected \"self\" or \"original\", since recipient_delimiter names no character to set the token off";
        faults.add_unless(has_delimiter, "forward.sender", expected);
        let is_domain_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        faults.add_unless(
            srs.domain.bytes().all(is_domain_byte),
            "srs.domain",
            "expected a domain",
        );
        faults.add_unless(is_absolute(&srs.secrets), "srs.secrets", "expected an absolute path");
        let is_separator = matches!(srs.separator.as_str(), "+" | "=" | "-");
        faults.add_unless(is_separator, "srs.separator", "expected \"+\", \"=\" or \"-\"");
        let is_valid = (SHORTEST_VALID..=LONGEST_VALID).contains(&srs.valid);
        let expected = "expected from 1d to 1000d: days are counted modulo 1024";
        faults.add_unless(is_valid, "srs.valid", expected);
        let is_remembered = forward.duplicate_window <= LONGEST_AGAIN_AFTER;
        let expected =
            format_args!("expected at most {LONGEST_AGAIN_AFTER}: what was sent is not remembered for longer");
        faults.add_unless(is_remembered, "forward.duplicate_window", expected);
        let expected = format_args!("expected at most {MOST_PER_HOUR}, or 0 for any number");
        faults.add_unless(self.digest.per_hour <= MOST_PER_HOUR, "digest.per_hour", expected);
    }

    /// The same for the state of destinations.
    fn check_destinations(&self, faults: &mut Faults) {
        let of = &self.destinations;
        for (key, age) in [
            ("destinations.forget_after", of.forget_after),
            ("destinations.probe", of.probe),
            ("destinations.probe_max", of.probe_max),
            ("destinations.quiet", of.quiet),
            ("destinations.quiet_slow", of.quiet_slow),
        ] {
            let is_right = (Age::seconds(1)..=LONGEST_AGE).contains(&age);
            faults.add_unless(is_right, key, "expected at least 1s and at most 365d");
        }
        let expected = format_args!("expected at most probe_max, {}", of.probe_max);
        faults.add_unless(of.probe <= of.probe_max, "destinations.probe", expected);
        let expected = "expected 1 to 1000; suspend = false switches it off";
        faults.add_unless((1..=1000).contains(&of.threshold), "destinations.threshold", expected);
        let is_remembered = usize::try_from(of.burst).is_ok_and(|burst| (1..=MOST_BURST).contains(&burst));
        faults.add_unless(
            is_remembered,
            "destinations.burst",
            format_args!("expected 1 to {MOST_BURST}"),
        );
    }

    /// Behind LMTP the server has the quota: nothing there is ours to measure.
    fn check_quota(&self, faults: &mut Faults) {
        if self.mailbox.location.lmtp_servers().is_empty() {
            return;
        }
        let quota = &self.quota;
        for (is_unset, key) in [
            (quota.limit.bound().is_none(), "quota.limit"),
            (quota.messages == 0, "quota.messages"),
            (quota.users.is_empty(), "quota.users"),
            (quota.groups.is_empty(), "quota.groups"),
        ] {
            let expected = "with mailbox.location = \"lmtp:...\" the LMTP server has the quota; set the limit there";
            faults.add_unless(is_unset, key, expected);
        }
    }
}

fn is_admin(text: &str) -> bool {
    !(text.is_empty() || text.contains(char::is_whitespace) || text.starts_with('-'))
}

fn is_absolute(path: &str) -> bool {
    Path::new(path).is_absolute()
}

/// Tells whether an MTA can give this reply to a client. It has a code that refuses, an enhanced status code of the
/// same class (RFC 3463), and a text. On 421 and 521 MTAs end the session.
fn is_refusal(reply: &str) -> bool {
    let mut words = reply.splitn(3, ' ');
    let (Some(code), Some(enhanced), Some(text)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let is_number =
        |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = enhanced.split('.');
    let class = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    reply.len() <= 200
        && reply.bytes().all(|b| matches!(b, b' '..=b'~'))
        && !text.trim().is_empty()
        && code.len() == 3
        && is_number(code, 3)
        && matches!(class, "4" | "5")
        && code.starts_with(class)
        && !matches!(code, "421" | "521")
        && rest.len() == 2
        && rest.iter().all(|part| is_number(part, 3))
}

/// Tells whether there is a key, or a table of keys, of this name.
fn is_known(name: &str) -> bool {
    let mut place = toml::Value::try_from(Config::default()).ok();
    for part in name.split('.') {
        place = place.and_then(|value| value.get(part).cloned());
    }
    place.is_some()
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn what_the_types_cannot_say_is_checked() {
        for (text, key) in [
            ("admin = \"\"", "admin"),
            ("admin = \"a b\"", "admin"),
            ("[aliases]\ndir = \"here\"", "aliases.dir"),
            ("[aliases.admins]\nsales = \"\"", "aliases.admins"),
            ("state_dir = \"here\"", "state_dir"),
            ("users_may_set = [\"guard.bouce\"]", "users_may_set"),
            ("[mailbox]\nlocks = []", "mailbox.locks"),
            (
                "[mailbox]\nlocation = \"lmtp:a.test:24\"\n[quota]\nlimit = \"1G\"",
                "quota.limit",
            ),
            (
                "[mailbox]\nlocation = \"lmtp:/l\"\n[quota.users]\na = \"1G\"",
                "quota.users",
            ),
            (
                "[mailbox]\nlocation = \"lmtp:/l\"\n[quota]\nwhen_full = \"archive\"",
                "quota.when_full",
            ),
            ("[digest]\nper_hour = 1001", "digest.per_hour"),
            ("[mailbox]\nlock_timeout = \"1h\"", "mailbox.lock_timeout"),
            ("[destinations]\nthreshold = 0", "destinations.threshold"),
            ("[destinations]\nburst = 21", "destinations.burst"),
            ("[destinations]\nburst = 0", "destinations.burst"),
            ("[destinations]\nprobe = \"2d\"", "destinations.probe"),
            ("[destinations]\nquiet = \"0s\"", "destinations.quiet"),
            ("[destinations]\nforget_after = \"400d\"", "destinations.forget_after"),
            ("[srs]\ndomain = \"a b\"", "srs.domain"),
            ("[srs]\nsecrets = \"secret\"", "srs.secrets"),
            ("[srs]\nseparator = \"_\"", "srs.separator"),
            ("[srs]\nvalid = \"1h\"", "srs.valid"),
            ("[srs]\nvalid = \"none\"", "srs.valid"),
            ("[policy]\nfull = \"\"", "policy.full"),
            ("[policy]\nfull = \"250 2.1.5 ok\"", "policy.full"),
            ("[policy]\nfull = \"552 4.2.2 full\"", "policy.full"),
            ("[policy]\nfull = \"552 full\"", "policy.full"),
            ("[policy]\nfull = \"552 5.2.2 \"", "policy.full"),
            ("[policy]\nfull = \"552 5.2.2 voll f\u{fc}r heute\"", "policy.full"),
            ("[policy]\nfull = \"552 5.2.2 full\\naction=OK\"", "policy.full"),
            ("[policy]\nfull = \"421 4.2.2 full\"", "policy.full"),
        ] {
            let config: Config = toml::from_str(text).unwrap_or_else(|e| unreachable!("{e}"));
            let keys: Vec<_> = config.check().into_iter().map(|(key, _)| key).collect();
            assert_eq!(keys, [key], "{text}");
        }
        assert!(Config::default().check().is_empty());
    }
}
