//! Whether Sieve's redirects pass the guard: Dovecot's `sendmail_path` runs `spoolguard sendmail`, and has what that
//! needs.

use std::path::{Path, PathBuf};

use crate::config::Location;
use crate::doctor::facts::{HostFacts, read_text};
use crate::doctor::rules::filter_file::of_sieve;
use crate::doctor::rules::settings::Settings;
use crate::doctor::rules::{Check, Finding, dovecot};
use crate::sys::account::Account;

/// A user's script, below the home directory.
pub const SCRIPT: &str = ".dovecot.sieve";

const HOW: &str = "in dovecot.conf: sendmail_path = /usr/bin/spoolguard sendmail (/usr/share/doc/spoolguard/docs/src/dovecot-sieve.md)";

/// Examines the host's settings; nothing where redirects do not pass the guard.
pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let Some(settings) = &host.dovecot else {
        return Vec::new();
    };
    let command = settings.non_empty("sendmail_path").unwrap_or_default();
    let Some(program) = guard_program(command) else {
        return Vec::new();
    };
    let topic = Check::MailSystem.about("Dovecot's sendmail_path");
    let mut found = Vec::new();
    if program.is_absolute() && program.symlink_metadata().is_err() {
        let what = format!("{} is missing: redirects and vacation messages fail", program.display());
        found.push(topic.error(what, "install it there, or sendmail_path = /usr/sbin/sendmail"));
    }
    if host.config.forward.transport.sendmail().is_none() {
        let what = format!(
            "[forward] transport = \"{}\" is no program: vacation and reject have nowhere to go, and wait",
            host.config.forward.transport
        );
        found.push(topic.error(what, "transport = \"/usr/sbin/sendmail\""));
    }
    found.extend(elsewhere(host, settings));
    if found.is_empty() {
        found.push(topic.ok("redirects pass the guard"));
    }
    found
}

/// What is kept of a redirect goes where Dovecot does not look.
fn elsewhere(host: &HostFacts, settings: &Settings) -> Option<Finding> {
    let kind = dovecot::find_inbox(settings)?.driver;
    if !matches!(host.config.mailbox.location, Location::Mbox { .. }) || kind == "mbox" {
        return None;
    }
    let what = format!(
        "what is kept of a redirect goes to {}, and Dovecot keeps mail as {kind}: nobody would see it",
        host.config.mailbox.location
    );
    let remedy = if kind == "maildir" {
        "[mailbox] location = \"maildir:~/Maildir\", or where Dovecot's is"
    } else {
        "[mailbox] location = \"lmtp:/run/dovecot/lmtp\""
    };
    Some(Check::MailSystem.about("Dovecot's sendmail_path").error(what, remedy))
}

/// The program, where it runs `spoolguard sendmail`.
fn guard_program(command: &str) -> Option<PathBuf> {
    let mut words = command.split_ascii_whitespace();
    let program = Path::new(words.next()?);
    let is_guard = match program.file_name()?.to_str()? {
        "spoolguard-sendmail" => true,
        "spoolguard" => words.any(|word| word == "sendmail"),
        _ => false,
    };
    is_guard.then(|| program.to_owned())
}

/// A user's script that redirects where redirects do not pass the guard.
pub fn of_user(host: &HostFacts, account: &Account) -> Option<Finding> {
    let path = account.home.as_deref()?.join(SCRIPT);
    if of_sieve(&read_text(&path).ok()?).is_empty() {
        return None;
    }
    let settings = host.ask_dovecot()?;
    let topic = Check::Forward.about(path.display());
    if guard_program(settings.non_empty("sendmail_path").unwrap_or_default()).is_some() {
        return Some(topic.ok("its redirects pass the guard"));
    }
    let what = "it redirects mail without spoolguard: nobody notices when the address is dead, and its bounces go to the senders";
    Some(topic.warning(what, HOW))
}
