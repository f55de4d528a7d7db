//! Checks whether users may submit mail to Postfix: whether they can read main.cf, whether `authorized_submit_users`
//! names them, and whether postdrop(1) can write into the queue. No message is sent: postdrop gives up on an empty
//! input.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::doctor::facts::{HostFacts, host_path};
use crate::doctor::rules::limits::postconf_command;
use crate::doctor::rules::settings::Settings;
use crate::doctor::rules::{Check, Finding};
use crate::output::shell::quote_path;
use crate::submit::program::SendmailKind;
use crate::sys::account::Account;

pub fn of_host(host: &HostFacts) -> Option<Finding> {
    if host.postfix.is_none() && !sends_through_postfix(host) {
        return None;
    }
    let dir = std::env::var_os("MAIL_CONFIG").map_or_else(|| host_path("/etc/postfix"), PathBuf::from);
    readable(&dir.join("main.cf"))
}

fn readable(path: &Path) -> Option<Finding> {
    let closed = [path.parent()?, path].into_iter().find(|path| {
        let needed = if path.is_dir() { 0o001 } else { 0o004 };
        path.metadata()
            .is_ok_and(|stat| stat.permissions().mode() & needed == 0)
    })?;
    let what = "users cannot read it: sendmail, which a user's delivery starts, fails, and nothing is forwarded";
    let mode = if closed.is_dir() { "o+x" } else { "o+r" };
    let remedy = format!("chmod {mode} {}", quote_path(closed));
    Some(Check::Submit.about(closed.display()).error(what, remedy))
}

fn sends_through_postfix(host: &HostFacts) -> bool {
    SendmailKind::of_transport(&host.config.forward.transport) == SendmailKind::Postfix
}

pub fn of_user(host: &HostFacts, account: &Account) -> Vec<Finding> {
    if let Some(finding) = host
        .postfix
        .as_ref()
        .and_then(|postfix| authorized(postfix, &account.name))
    {
        return vec![finding];
    }
    if !sends_through_postfix(host) {
        return Vec::new();
    }
    let Some((program, printed)) = host.ask_anyway("postdrop") else {
        return Vec::new();
    };
    refused(&printed)
        .map(|line| {
            Check::Submit.about(format!("submission by {}", account.name)).error(
                format!("{} refuses it: {line}: nothing is forwarded", program.display()),
                "postfix check, and: postfix set-permissions",
            )
        })
        .into_iter()
        .collect()
}

/// What postdrop says where it could not even begin. Of an empty message it says nothing more than that.
fn refused(printed: &str) -> Option<String> {
    let signs = [
        "ermission denied",
        "not allowed",
        "No such file",
        "Read-only",
        "No space",
        "it does not answer",
    ];
    let line = printed
        .lines()
        .find(|line| signs.iter().any(|sign| line.contains(sign)))?;
    Some(line.trim().chars().take(200).collect())
}

/// Judges `authorized_submit_users` (postconf(5)): names, `!name`, `static:`, and tables, which are not looked at.
fn authorized(settings: &Settings, name: &str) -> Option<Finding> {
    settings.non_empty("authorized_submit_users")?;
    let words = settings.words("authorized_submit_users");
    let topic = Check::Submit.about("Postfix's authorized_submit_users");
    let remedy = postconf_command("authorized_submit_users = static:anyone");
    for word in &words {
        if *word == "static:anyone" || *word == "static:all" || *word == name {
            return None;
        }
        if word.strip_prefix('!') == Some(name) {
            let what = format!("it excludes {name}: nothing of this user is forwarded");
            return Some(topic.error(what, remedy));
        }
        if word.contains([':', '/']) {
            let what = format!("it names {word}, which was not looked at: whether {name} may submit mail is not known");
            return Some(topic.note(what));
        }
    }
    let what = format!("it does not name {name}: nothing of this user is forwarded");
    Some(topic.error(what, remedy))
}

#[cfg(test)]
mod tests {
    use super::{authorized, refused};
    use crate::doctor::rules::Level;
    use crate::doctor::rules::settings::Settings;

    #[test]
    fn whoever_may_not_submit_is_told() {
        for (value, want) in [
            ("static:anyone", None),
            ("", None),
            ("!bob, static:anyone", None),
            ("alice, bob", None),
            ("!alice, static:anyone", Some(Level::Error)),
            ("bob", Some(Level::Error)),
            ("hash:/etc/postfix/users", Some(Level::Warning)),
        ] {
            let settings = Settings::parse(&format!("authorized_submit_users = {value}\n"));
            let found = authorized(&settings, "alice").map(|finding| finding.level);
            assert_eq!(found, want, "{value}");
        }
    }

    #[test]
    fn an_empty_message_is_no_refusal() {
        assert_eq!(refused("postdrop: fatal: uid=1000: unexpected record type: -1\n"), None);
        let text = "postdrop: warning: mail_queue_enter: create file maildrop/1.2: Permission denied\n";
        assert!(refused(text).is_some_and(|line| line.contains("maildrop")));
    }
}
