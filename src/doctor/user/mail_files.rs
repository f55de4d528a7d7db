//! Reads the files of a user that handle mail, `.forward` and procmailrc: what they do, and whether that is safe.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::doctor::facts::{HostFacts, read_text};
use crate::doctor::rules::alias_targets::AliasTarget;
use crate::doctor::rules::dot_forward::Site;
use crate::doctor::rules::guard_line::{Hook, guard_of};
use crate::doctor::rules::{Check, Finding, dot_forward, mta_commands, procmailrc};
use crate::doctor::sendmail_host;
use crate::error::Error;
use crate::output::shell::quote_path;
use crate::submit::program::SendmailKind;
use crate::sys::account::Account;
use crate::sys::child;

/// The files that handle a user's mail, below the home directory.
pub const FORWARD: &str = ".forward";
pub const PROCMAILRC: &str = ".procmailrc";

/// What a user's files do with mail.
#[derive(Default)]
pub struct MailHandling {
    /// The runs of spoolguard, and the file that asks for each.
    pub hooks: Vec<(PathBuf, Hook)>,
    /// Where mail is sent on to, with spoolguard or without.
    pub destinations: Vec<String>,
    /// The text of the procmailrc.
    pub procmailrc: Option<String>,
}

/// Reads the files, judges them, and finds out what they do.
pub fn read_files(host: &HostFacts, account: &Account, config: &Config, found: &mut Vec<Finding>) -> MailHandling {
    let mut handling = MailHandling::default();
    let Some(home) = &account.home else {
        return handling;
    };
    let path = home.join(FORWARD);
    if let Some(text) = read(&path, found) {
        let name = path.display().to_string();
        let site = Site {
            is_here: &|address| host.is_here(address),
            reads_filters: reads_filters(config),
        };
        found.extend(dot_forward::judge_forward_file(&name, &text, &site));
        found.extend(shared_file(home, &path, Check::Forward, config));
        for placed in dot_forward::targets(&text) {
            match placed.item {
                AliasTarget::Address(address) => handling.destinations.push(address),
                AliasTarget::Command { text, .. } => handling.add(&path, guard_of(&text)),
                AliasTarget::Include(file) => found.extend(included(host, Path::new(&file), &site, &mut handling)),
                AliasTarget::Mailbox(_) | AliasTarget::File(_) => {}
            }
        }
    }
    let path = home.join(PROCMAILRC);
    if let Some(text) = read(&path, found) {
        let name = path.display().to_string();
        found.extend(sendmail_host::procmail_shell(account, &path, &text));
        found.extend(procmailrc::judge_recipes(&name, &text, &|to| host.is_here(to)));
        found.extend(shared_file(home, &path, Check::Procmailrc, config));
        handling
            .destinations
            .extend(procmailrc::find_forwards(&text).into_iter().map(|(_, to)| to));
        for (_, hook) in procmailrc::find_hooks(&text) {
            handling.add(&path, Some(hook));
        }
        handling.procmailrc = Some(text);
    }
    handling
}

/// Exim alone reads filters; none where it is not known whose program sends mail.
fn reads_filters(config: &Config) -> Option<bool> {
    match config
        .forward
        .transport
        .sendmail()
        .map_or(SendmailKind::Other, SendmailKind::of)
    {
        SendmailKind::Exim => Some(true),
        SendmailKind::Postfix | SendmailKind::Sendmail | SendmailKind::OpenSmtpd => Some(false),
        SendmailKind::Msmtp
        | SendmailKind::Ssmtp
        | SendmailKind::Esmtp
        | SendmailKind::Nullmailer
        | SendmailKind::Dma
        | SendmailKind::Other => None,
    }
}

/// What stands in a file that a `.forward` includes.
fn included(host: &HostFacts, file: &Path, site: &Site<'_>, handling: &mut MailHandling) -> Vec<Finding> {
    let name = file.display().to_string();
    let text = match read_text(file) {
        Ok(text) => text,
        Err(e) => {
            let text = Error::io("read", file, &e).to_string();
            return vec![Check::Forward.about(&name).error(
                format!("{text}: a .forward includes it"),
                "make the file, or take the line away",
            )];
        }
    };
    let mut found = dot_forward::judge_forward_file(&name, &text, site);
    for placed in dot_forward::targets(&text) {
        match placed.item {
            AliasTarget::Address(address) => handling.destinations.push(address),
            AliasTarget::Command { text, .. } => {
                handling.add(file, guard_of(&text));
                found.extend(
                    host.postfix
                        .as_ref()
                        .and_then(|postfix| mta_commands::included(postfix, &name)),
                );
            }
            AliasTarget::Include(_) | AliasTarget::Mailbox(_) | AliasTarget::File(_) => {}
        }
    }
    found
}

impl MailHandling {
    /// Whether spoolguard is run by procmail and by nobody else.
    pub fn is_procmails(&self) -> bool {
        !self.hooks.is_empty() && self.hooks.iter().all(|(path, _)| path.ends_with(PROCMAILRC))
    }

    fn add(&mut self, path: &Path, hook: Option<Hook>) {
        if let Some(hook) = hook {
            self.destinations.extend(hook.destinations().iter().cloned());
            self.hooks.push((path.to_owned(), hook));
        }
    }
}

fn read(path: &Path, found: &mut Vec<Finding>) -> Option<String> {
    match read_text(path) {
        Ok(text) => Some(text),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(e) => {
            let text = Error::io("read", path, &e).to_string();
            found.push(Check::LeftOut.about(path.display()).warning(text));
            None
        }
    }
}

/// Mail systems leave such a file aside, or all mail in the queue.
fn shared_file(home: &Path, path: &Path, check: Check, config: &Config) -> Option<Finding> {
    let mode = |path: &Path| path.metadata().map_or(0, |stat| stat.permissions().mode());
    let mode = mode(path) | mode(home);
    let name = path.display().to_string();
    let remedy = format!("chmod go-w {} {}", quote_path(home), quote_path(path));
    if mode & 0o002 != 0 {
        let what = "everybody may write to it or to its directory: MTAs ignore it, and nothing guards this mail";
        return Some(check.about(name).error(what, remedy));
    }
    // Debian's procmail is content with that.
    if check != Check::Forward || mode & 0o020 == 0 {
        return None;
    }
    let who = "its group may write to it or to its directory";
    let sendmail = config.forward.transport.sendmail();
    match sendmail.map_or(SendmailKind::Other, SendmailKind::of) {
        // So is Postfix.
        SendmailKind::Postfix => None,
        SendmailKind::Sendmail => {
            let what = format!("{who}: Sendmail ignores it, and nothing guards this mail");
            Some(check.about(name).error(what, remedy))
        }
        SendmailKind::Exim | SendmailKind::OpenSmtpd | SendmailKind::Other
            if sendmail.is_some_and(child::is_program) =>
        {
            let what = format!("{who}: Exim leaves all mail in the queue, and OpenSMTPD refuses it");
            Some(check.about(name).error(what, remedy))
        }
        SendmailKind::Exim
        | SendmailKind::OpenSmtpd
        | SendmailKind::Msmtp
        | SendmailKind::Ssmtp
        | SendmailKind::Esmtp
        | SendmailKind::Nullmailer
        | SendmailKind::Dma
        | SendmailKind::Other => {
            let what = format!("{who}: many MTAs ignore it, or leave all mail in the queue");
            Some(check.about(name).warning(what).remedy(remedy))
        }
    }
}
