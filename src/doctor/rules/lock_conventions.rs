//! Which locks the programs on this host take, in which order and how patiently, from their own settings.

use std::path::Path;

use crate::config::LockMethod;
use crate::doctor::rules::dovecot;
use crate::doctor::rules::settings::{Settings, parse_seconds};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockConvention {
    pub program: &'static str,
    /// What it takes before it writes, in this order.
    pub writing: Vec<LockMethod>,
    /// What it takes before it reads, where that is said apart.
    pub reading: Option<Vec<LockMethod>>,
    /// For how long it holds one while it waits for the next, in seconds; none: for ever.
    pub waits_seconds: Option<u64>,
    /// Where what it takes is set.
    pub set_by: &'static str,
    /// How it is known, where the program did not say.
    pub known_from: &'static str,
}

/// Exim's appendfile, which waits ten times three seconds.
const EXIM_SECONDS: u64 = 30;

fn lock(word: &str) -> Option<LockMethod> {
    let word = word.trim_end_matches("()");
    Some(match word {
        "dotlock" | "dotlocking" | "dotlock_try" => LockMethod::Dotlock,
        "fcntl" | "lockf" => LockMethod::Fcntl,
        "flock" => LockMethod::Flock,
        _ => return None,
    })
}

fn locks<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<LockMethod> {
    let mut found = Vec::new();
    for lock in words.into_iter().filter_map(lock) {
        if !found.contains(&lock) {
            found.push(lock);
        }
    }
    found
}

/// The dotlock first, as many programs take it whatever their settings say.
fn dotlock_first(mut locks: Vec<LockMethod>) -> Vec<LockMethod> {
    locks.sort_by_key(|lock| match lock {
        LockMethod::Dotlock => 0,
        LockMethod::Flock => 1,
        LockMethod::Fcntl => 2,
    });
    locks
}

/// Postfix's local(8), whose order is the same however `mailbox_delivery_lock` is written.
pub fn postfix_convention(settings: &Settings) -> Option<LockConvention> {
    let set_by = "postconf -e 'mailbox_delivery_lock = dotlock, fcntl' && postfix reload";
    of_postfix("Postfix", "mailbox_delivery_lock", set_by, settings)
}

/// Postfix's virtual(8), where it has mailboxes in the directory `dir` or below it.
pub fn postfix_virtual(settings: &Settings, dir: &str) -> Option<LockConvention> {
    let base = settings.non_empty("virtual_mailbox_base")?;
    let set_by = "postconf -e 'virtual_mailbox_lock = dotlock, fcntl' && postfix reload";
    let is_there = Path::new(dir).starts_with(base) || Path::new(base).starts_with(dir);
    is_there.then(|| of_postfix("Postfix's virtual(8)", "virtual_mailbox_lock", set_by, settings))?
}

fn of_postfix(
    program: &'static str,
    setting: &str,
    set_by: &'static str,
    settings: &Settings,
) -> Option<LockConvention> {
    settings.get(setting)?;
    let tries = settings.number("deliver_lock_attempts").unwrap_or(20);
    let pause_seconds = settings.parse_seconds("deliver_lock_delay").unwrap_or(1);
    Some(LockConvention {
        program,
        writing: dotlock_first(locks(settings.words(setting))),
        reading: None,
        waits_seconds: Some(tries.saturating_mul(pause_seconds)),
        set_by,
        known_from: "",
    })
}

/// Dovecot, which takes them as they are written; nothing where its mail is in no mbox.
pub fn dovecot_convention(settings: &Settings) -> Option<LockConvention> {
    let words = |name| Some(dovecot::mbox_setting(settings, name)?.split([',', ' ']));
    let writing = words("write_locks")?;
    if dovecot::find_inbox(settings).is_some_and(|inbox| inbox.driver != "mbox") {
        return None;
    }
    let timeout = dovecot::mbox_setting(settings, "lock_timeout").and_then(parse_seconds);
    Some(LockConvention {
        program: "Dovecot",
        writing: locks(writing),
        reading: Some(words("read_locks").map_or_else(Vec::new, locks)),
        waits_seconds: Some(timeout.unwrap_or(300)),
        set_by: "say mbox_write_locks = dotlock fcntl in Dovecot's configuration, then: doveadm reload",
        known_from: "",
    })
}

/// procmail, from what `procmail -v` says. It waits for the kernel's lock for ever.
pub fn procmail_convention(said: &str) -> Option<LockConvention> {
    let line = said.lines().find_map(|line| line.strip_prefix("Locking strategies:"))?;
    Some(LockConvention {
        program: "procmail",
        writing: dotlock_first(locks(line.split([',', ' ', '\t']))),
        reading: None,
        waits_seconds: None,
        set_by: "that was decided when it was built: set [mailbox] locks in /etc/spoolguard.toml to what it takes",
        known_from: "",
    })
}

/// mutt and neomutt, from what `-v` says. They hold the kernel's lock while they try the dotlock, for five seconds.
pub fn mutt_convention(said: &str) -> Option<LockConvention> {
    let has = |name: &str| {
        let mut words = said.split_ascii_whitespace();
        words.any(|word| {
            let word = word.strip_prefix('+').unwrap_or_default();
            word.trim_start_matches("USE_").eq_ignore_ascii_case(name)
        })
    };
    let order = ["fcntl", "flock", "dotlock"];
    let writing = locks(order.into_iter().filter(|name| has(name)));
    (!writing.is_empty()).then_some(LockConvention {
        program: "mutt",
        writing,
        reading: None,
        waits_seconds: Some(5),
        set_by: "that was decided when it was built: set [mailbox] locks in /etc/spoolguard.toml to what it takes",
        known_from: "",
    })
}

/// maildrop, which does not say; this is how Debian builds it.
pub fn maildrop_convention() -> LockConvention {
    LockConvention {
        program: "maildrop",
        writing: vec![LockMethod::Dotlock, LockMethod::Fcntl],
        reading: None,
        waits_seconds: Some(300),
        set_by: "",
        known_from: ", as Debian builds it: it does not say",
    }
}

/// Exim, from what `exim -bP transports` says of those that append to a mailbox.
pub fn exim_convention(transports: &[(String, Settings)]) -> Option<LockConvention> {
    let (_, settings) = transports.iter().find(|(_, settings)| {
        let is = |name: &str| settings.get(name) == Some("yes");
        settings.get("driver") == Some("appendfile") && !is("maildir_format") && !is("mailstore_format")
    })?;
    let has = |name: &str, default: bool| {
        settings
            .get(name)
            .map_or(default, |value| value != "no" && value != "false")
    };
    let mut writing = Vec::new();
    if has("use_lockfile", true) {
        writing.push(LockMethod::Dotlock);
    }
    if has("use_fcntl_lock", true) {
        writing.push(LockMethod::Fcntl);
    }
    if has("use_flock_lock", false) {
        writing.push(LockMethod::Flock);
    }
    Some(LockConvention {
        program: "Exim",
        writing,
        reading: None,
        waits_seconds: Some(EXIM_SECONDS),
        set_by: "set use_lockfile and use_fcntl_lock in Exim's appendfile transports",
        known_from: "",
    })
}

#[cfg(test)]
pub(crate) mod samples {
    //! What programs print.

    use super::{LockConvention, dovecot_convention};
    use crate::doctor::rules::settings::Settings;

    pub(crate) const PROCMAIL: &str = "procmail v3.23pre 2001/09/13\n\nLocking strategies:\tdotlocking, fcntl()\nDefault rcfile:\t\t$HOME/.procmailrc\n";
    pub(crate) const MUTT: &str =
        "Compile options:\n-HOMESPOOL  +USE_SETGID  +USE_DOTLOCK  +DL_STANDALONE  +USE_FCNTL  -USE_FLOCK   \n";
    pub(crate) const NEOMUTT: &str =
        "NeoMutt 20220429\n+attach_headers_color +bkgdset +color +fcntl -flock -fmemopen\n";
    pub(crate) const EXIM: &str = "\naddress_pipe transport:\ndriver = pipe\n\nmail_spool transport:\ndriver = appendfile\nuse_fcntl_lock\nno_use_flock_lock\nuse_lockfile\n";

    pub(crate) fn debians_dovecot(write: &str, more: &str) -> Option<LockConvention> {
        let text = format!(
            "mbox_read_locks = fcntl\nmbox_write_locks = {write}\nmbox_lock_timeout = 5 mins\n\
             mail_location = mbox:~/mail:INBOX=/var/mail/%u\n{more}"
        );
        dovecot_convention(&Settings::parse(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{EXIM, MUTT, NEOMUTT, PROCMAIL, debians_dovecot};
    use super::{exim_convention, mutt_convention, postfix_convention, postfix_virtual, procmail_convention};
    use crate::config::LockMethod;
    use crate::doctor::rules::settings::{Settings, parse_blocks};

    #[test]
    fn each_program_says_in_its_own_way_what_it_takes() {
        use LockMethod::{Dotlock, Fcntl, Flock};
        let postfix = postfix_convention(&Settings::parse("mailbox_delivery_lock = fcntl, dotlock\n"));
        let exim = |text: &str| exim_convention(&parse_blocks(text, " transport:")).map(|habit| habit.writing);
        for (habit, want) in [
            (postfix, Some(vec![Dotlock, Fcntl])),
            (super::postfix_convention(&Settings::default()), None),
            (procmail_convention(PROCMAIL), Some(vec![Dotlock, Fcntl])),
            (
                procmail_convention("Locking strategies:\tdotlocking, fcntl(), lockf(), flock()\n"),
                Some(vec![Dotlock, Flock, Fcntl]),
            ),
            (procmail_convention("something else"), None),
            (mutt_convention(MUTT), Some(vec![Fcntl, Dotlock])),
            (mutt_convention(NEOMUTT), Some(vec![Fcntl])),
            (mutt_convention(""), None),
            (debians_dovecot("fcntl dotlock", ""), Some(vec![Fcntl, Dotlock])),
            (debians_dovecot("dotlock_try lockf", ""), Some(vec![Dotlock, Fcntl])),
            (debians_dovecot("fcntl", "mail_location = maildir:~/Maildir\n"), None),
            (debians_dovecot("fcntl", "mail_driver = sdbox\n"), None),
        ] {
            assert_eq!(habit.map(|habit| habit.writing), want);
        }
        assert_eq!(exim(EXIM), Some(vec![Dotlock, Fcntl]));
        assert_eq!(
            exim(&EXIM.replace("use_lockfile", "no_use_lockfile")),
            Some(vec![Fcntl])
        );
        assert_eq!(exim("\nremote transport:\ndriver = smtp\n"), None);
        assert_eq!(exim(&format!("{EXIM}maildir_format\n")), None);
    }

    #[test]
    fn virtual_mailboxes_count_where_they_are() {
        let postfix = Settings::parse("virtual_mailbox_lock = fcntl\nvirtual_mailbox_base = /srv/mail\n");
        let takes = |dir| postfix_virtual(&postfix, dir).map(|habit| habit.writing);
        assert_eq!(takes("/srv/mail/a.test"), Some(vec![LockMethod::Fcntl]));
        assert_eq!(takes("/var/mail"), None);
        assert_eq!(postfix_virtual(&Settings::default(), "/srv/mail"), None);
    }
}
