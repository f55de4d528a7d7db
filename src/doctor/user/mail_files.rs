//! Reads the files of a user that handle mail, `.forward` and procmailrc: what they do, and whether that is safe.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::doctor::facts::{HostFacts, host_path, read_text};
use crate::doctor::programs::SMTPD_CONFIGURATION;
use crate::doctor::rules::alias_targets::AliasTarget;
use crate::doctor::rules::dot_forward::Site;
use crate::doctor::rules::guard_line::{Hook, guard_of};
use crate::doctor::rules::settings::parse_blocks;
use crate::doctor::rules::unread_files::{UnreadFiles, starts_procmail};
use crate::doctor::rules::{Check, Finding, dot_forward, mta_commands, procmailrc, unread_files};
use crate::doctor::sendmail_host;
use crate::error::Error;
use crate::output::shell::quote_path;
use crate::submit::program::SendmailKind;
use crate::sys::account::Account;
use crate::sys::child;
use crate::sys::dirs::parent_of;

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
    pub procmailrc: Option<String>,
}

pub fn read_files(host: &HostFacts, account: &Account, config: &Config, found: &mut Vec<Finding>) -> MailHandling {
    let mut handling = MailHandling::default();
    let Some(home) = &account.home else {
        return handling;
    };
    let mut unread = unread(host, home, config);
    let path = home.join(FORWARD);
    if let Some(text) = read(&path, Check::Forward, found) {
        let targets = dot_forward::parse_targets(&text);
        let commands: Vec<_> = targets.iter().filter_map(|placed| placed.item.command()).collect();
        if let Some(cause) = &unread.forward {
            let guarded = commands.iter().any(|command| guard_of(command).is_some());
            found.push(not_read(Check::Forward, &path, cause, guarded));
        } else {
            if commands.iter().any(|command| starts_procmail(command)) {
                unread.procmailrc = None;
            }
            read_forward(host, home, &path, &text, config, &mut handling, found);
        }
    }
    let path = home.join(PROCMAILRC);
    if let Some(text) = read(&path, Check::Procmailrc, found) {
        match &unread.procmailrc {
            Some(cause) => {
                let guarded = !procmailrc::find_hooks(&text).is_empty();
                found.push(not_read(Check::Procmailrc, &path, cause, guarded));
            }
            None => read_procmailrc(host, account, &path, text, config, &mut handling, found),
        }
    }
    handling
}

/// What the MTA does not read of them.
fn unread(host: &HostFacts, home: &Path, config: &Config) -> UnreadFiles {
    if ![FORWARD, PROCMAILRC].iter().any(|name| home.join(name).is_file()) {
        return UnreadFiles::default();
    }
    let text = |path: &str| read_text(&host_path(path)).ok();
    let found = match (SendmailKind::of_transport(&config.forward.transport), &host.postfix) {
        (SendmailKind::Postfix | SendmailKind::Other, settings) => {
            settings.as_ref().map(unread_files::postfix_unread_files)
        }
        (SendmailKind::Exim, _) => {
            // Whoever may not ask Exim is not told so here.
            let ask = |what| host.ask_programs(&mut Vec::new(), &["exim4", "exim"], &["-bP", what]);
            let routers = ask("routers").map(|said| parse_blocks(&said, " router:"));
            let transports = ask("transports").map(|said| parse_blocks(&said, " transport:"));
            routers
                .zip(transports)
                .map(|(routers, transports)| unread_files::exim_unread_files(&routers, &transports))
        }
        (SendmailKind::OpenSmtpd, _) => text(SMTPD_CONFIGURATION)
            .as_deref()
            .map(unread_files::opensmtpd_unread_files),
        (SendmailKind::Sendmail, _) => text(sendmail_host::CONFIGURATION)
            .as_deref()
            .map(unread_files::sendmail_unread_files),
        (
            SendmailKind::Msmtp
            | SendmailKind::Ssmtp
            | SendmailKind::Esmtp
            | SendmailKind::Nullmailer
            | SendmailKind::Dma,
            _,
        ) => None,
    };
    found.unwrap_or_default()
}

/// What stands in it does not happen. Where it was to run spoolguard, nothing guards this mail.
fn not_read(check: Check, path: &Path, cause: &str, guarded: bool) -> Finding {
    let topic = check.about(path.display());
    match guarded {
        true => topic.error(
            format!("it runs spoolguard, but no MTA reads it: {cause}"),
            "put it where mail comes by, such as .forward, or let the MTA start procmail: /usr/share/doc/spoolguard/docs/src/procmail.md",
        ),
        false => topic.note(format!("no MTA reads it: {cause}")),
    }
}

fn read_forward(
    host: &HostFacts,
    home: &Path,
    path: &Path,
    text: &str,
    config: &Config,
    handling: &mut MailHandling,
    found: &mut Vec<Finding>,
) {
    let name = path.display().to_string();
    let site = Site {
        is_here: &|address| host.is_here(address),
        reads_filters: reads_filters(config),
    };
    found.extend(dot_forward::judge_forward_file(&name, text, &site));
    found.extend(shared_file(home, path, Check::Forward, config));
    for placed in dot_forward::parse_targets(text) {
        match placed.item {
            AliasTarget::Address(address) => handling.destinations.push(address),
            AliasTarget::Command { text, .. } => handling.add(path, guard_of(&text)),
            AliasTarget::Include(file) => found.extend(included(host, Path::new(&file), &site, handling)),
            AliasTarget::Mailbox(_) | AliasTarget::File(_) => {}
        }
    }
}

fn read_procmailrc(
    host: &HostFacts,
    account: &Account,
    path: &Path,
    text: String,
    config: &Config,
    handling: &mut MailHandling,
    found: &mut Vec<Finding>,
) {
    let name = path.display().to_string();
    found.extend(sendmail_host::procmail_shell(account, path, &text));
    found.extend(procmailrc::judge_recipes(&name, &text, &|to| host.is_here(to)));
    found.extend(shared_file(parent_of(path), path, Check::Procmailrc, config));
    handling
        .destinations
        .extend(procmailrc::find_forwards(&text).into_iter().map(|(_, to)| to));
    for (_, hook) in procmailrc::find_hooks(&text) {
        handling.add(path, Some(hook));
    }
    handling.procmailrc = Some(text);
}

/// Exim alone reads filters; none where it is not known whose program sends mail.
fn reads_filters(config: &Config) -> Option<bool> {
    match SendmailKind::of_transport(&config.forward.transport) {
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
    for placed in dot_forward::parse_targets(&text) {
        match placed.item {
            AliasTarget::Address(address) => handling.destinations.push(address),
            AliasTarget::Command { text, .. } => {
                handling.add(file, guard_of(&text));
                found.extend(
                    host.postfix
                        .as_ref()
                        .and_then(|postfix| mta_commands::judge_included_file(postfix, &name)),
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

fn read(path: &Path, check: Check, found: &mut Vec<Finding>) -> Option<String> {
    match read_text(path) {
        Ok(text) => Some(text),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(e) => {
            let cause = Error::io("read", path, &e);
            let what = format!("{cause}: MTAs ignore it, or leave all mail in the queue");
            let remedy = format!(
                "make it a file of the user's that the user can read: ls -ld {}",
                quote_path(path)
            );
            found.push(check.about(path.display()).error(what, remedy));
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
    let transport = &config.forward.transport;
    match SendmailKind::of_transport(transport) {
        // So is Postfix.
        SendmailKind::Postfix => None,
        SendmailKind::Sendmail => {
            let what = format!("{who}: Sendmail ignores it, and nothing guards this mail");
            Some(check.about(name).error(what, remedy))
        }
        SendmailKind::Exim | SendmailKind::OpenSmtpd | SendmailKind::Other
            if transport.sendmail().is_some_and(child::is_program) =>
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
            Some(check.about(name).warning(what, remedy))
        }
    }
}
