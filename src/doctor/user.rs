//! How the mail of one user is handled, examined as that user: configuration, mailbox, state directory, `.forward`, procmailrc, and
//! whether the administrator is somebody else.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::load::{self, ConfigSources, KeySelection};
use crate::config::location::MailStore;
use crate::config::{Config, LockMethod};
use crate::deliver::context::state_place;
use crate::deliver::overflow;
use crate::doctor::facts::{HostFacts, read_text};
use crate::doctor::lmtp;
use crate::doctor::rules::alias_targets::AliasTarget;
use crate::doctor::rules::aliases::End;
use crate::doctor::rules::dot_forward::Site;
use crate::doctor::rules::guard_line::{Hook, guard_of};
use crate::doctor::rules::{Check, CheckSubject, Finding, dot_forward, mta_commands, procmailrc};
use crate::doctor::{mail_location, postfix_access, sendmail_host, state_directory, submission, tokens};
use crate::error::Error;
use crate::mailbox::open::{Owner, open_existing};
use crate::mailbox::setgid;
use crate::maildir::directory::Maildir;
use crate::output::shell::quote_path;
use crate::submit::program::SendmailKind;
use crate::sys::account::{self, Account};
use crate::sys::child;
use crate::sys::dirs::{can_make_files, parent};
use crate::sys::self_exec;

/// The files that handle a user's mail, below the home directory.
pub const FORWARD: &str = ".forward";
pub const PROCMAILRC: &str = ".procmailrc";

/// Where mail systems look for a program that is named without its directory (MTA-made environments have no other).
const MAIL_SYSTEMS_PATH: [&str; 2] = ["/usr/bin", "/bin"];

/// What a user's files do with mail.
#[derive(Default)]
struct Handling {
    /// The runs of spoolguard, and the file that asks for each.
    hooks: Vec<(PathBuf, Hook)>,
    /// Where mail is sent on to, with spoolguard or without.
    destinations: Vec<String>,
    /// The text of the procmailrc.
    procmailrc: Option<String>,
}

/// Examines one user.
pub fn examine(host: &HostFacts, account: &Account) -> Vec<Finding> {
    let mut found = Vec::new();
    let config = configuration(host, account, &mut found);
    let handling = files(host, account, &config, &mut found);
    found.extend(
        handling
            .hooks
            .iter()
            .filter_map(|(path, hook)| missing_program(path, hook)),
    );
    if handling.hooks.iter().any(|(path, _)| !path.ends_with(PROCMAILRC)) {
        found.extend(sendmail_host::shell(host, account));
    }
    let of_postfix = host.postfix.as_ref().and_then(|postfix| postfix.get("mailbox_command"));
    if !handling.hooks.is_empty() || of_postfix.is_some_and(|command| guard_of(command).is_some()) {
        found.push(mailbox(&config, account, &handling));
        found.extend(mail_location::examine(
            host,
            &config,
            account,
            handling.procmailrc.as_deref(),
        ));
        found.extend(state_directory::examine(&config, account));
        found.extend(submission::of_user(&config, &host.config));
        found.extend(postfix_access::of_user(host, account));
        found.extend(tokens::of_user(host, &config, account));
    }
    found.extend(overflowing(&config, account));
    found.extend(admin(host, &config, account, &handling));
    found
}

/// What holds for this user, where it can be used; what is wrong with the administrator's file is told with the host.
fn configuration(host: &HostFacts, account: &Account, found: &mut Vec<Finding>) -> Config {
    let home = account.home.as_deref();
    match load::load_config(
        ConfigSources::chosen(host.chosen.as_deref(), home, account.owners()),
        KeySelection::Whole,
    ) {
        Ok(loaded) => {
            if !loaded.ignored.is_empty() {
                found.push(
                    Check::Configuration
                        .about(format!("configuration of {}", account.name))
                        .warning(format!(
                            "users_may_set does not name {}: without effect",
                            loaded.ignored.join(", ")
                        )),
                );
            }
            loaded.config
        }
        // It is the administrator's file, and told with the host.
        Err(e) if host.unusable == Some(e.to_string()) => host.config.clone(),
        Err(e) => {
            found.push(
                Check::Configuration
                    .about(format!("configuration of {}", account.name))
                    .error(
                        format!("{e}: this user's mail stays in the MTA's queue"),
                        "fix it, then: spoolguard config check",
                    ),
            );
            host.config.clone()
        }
    }
}

/// Reads the files, judges them, and finds out what they do.
fn files(host: &HostFacts, account: &Account, config: &Config, found: &mut Vec<Finding>) -> Handling {
    let mut handling = Handling::default();
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
fn included(host: &HostFacts, file: &Path, site: &Site<'_>, handling: &mut Handling) -> Vec<Finding> {
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

impl Handling {
    /// Whether spoolguard is run by procmail and by nobody else.
    fn is_procmails(&self) -> bool {
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

fn missing_program(path: &Path, hook: &Hook) -> Option<Finding> {
    let is_there = if hook.program.starts_with('/') {
        child::is_program(Path::new(&hook.program))
    } else {
        MAIL_SYSTEMS_PATH
            .iter()
            .any(|dir| child::is_program(&Path::new(dir).join(&hook.program)))
    };
    let check = if path.ends_with(FORWARD) {
        Check::Forward
    } else {
        Check::Procmailrc
    };
    (!is_there).then(|| {
        let what = format!("there is no program {}: mail is bounced or waits", hook.program);
        check.about(path.display()).error(
            what,
            format!("install it there, or name {}", self_exec::own_path().display()),
        )
    })
}

/// Whether this user's run can deliver into the Maildir.
fn maildir(path: &Path, account: &Account, topic: &CheckSubject) -> Finding {
    match Maildir::open(path, account.uid) {
        Ok(Some(_)) => topic.ok("it is a Maildir of this user"),
        Ok(None) => topic.ok("it is not there yet, and the first message makes it"),
        Err(e) => topic.error(e.to_string(), "name another location, or mend this one"),
    }
}

/// Whether this user's run can append, or make the mailbox.
fn mailbox(config: &Config, account: &Account, handling: &Handling) -> Finding {
    let store = match config.mailbox.location.of(&account.name, account.home.as_deref()) {
        Ok(store) => store,
        Err(cause) => {
            let subject = format!("[mailbox] location of {}", account.name);
            return Check::Mailbox.about(subject).error(cause, "name another location");
        }
    };
    let topic = Check::Mailbox.about(&store);
    let path = match &store {
        MailStore::Mbox(path) => path.as_path(),
        MailStore::Maildir(path) => return maildir(path, account, &topic),
        MailStore::Lmtp(servers) => return lmtp::examine(&topic, servers),
    };
    let dir = parent(path);
    let makes_files = can_make_files(dir) || setgid::is_installed_for(dir);
    match open_existing(path, Owner::Exactly(account.uid)) {
        Ok(Some(_)) if makes_files => topic.ok("this user can append to it and lock it"),
        Ok(Some(_)) if config.mailbox.locks == [LockMethod::Dotlock] => topic.error(
            "this user can make no dotlock for it, and [mailbox] locks names no other: mail waits",
            "locks = [\"dotlock\", \"fcntl\"]",
        ),
        Ok(Some(_)) => topic.ok("this user can append to it, without a dotlock"),
        Ok(None) if makes_files => topic.ok("it is not there yet, and this user can make it"),
        // Debian's is setuid, and makes it before it reads the file.
        Ok(None) if handling.is_procmails() => topic.ok("it is not there yet, and procmail makes it"),
        Ok(None) => topic.error(
            "it is not there, and this user cannot make it: what has to be kept stays in the MTA's queue",
            format!(
                "install -m 660 -o {} -g mail /dev/null {}",
                quote_path(Path::new(&account.name)),
                quote_path(path)
            ),
        ),
        Err(e) => topic.error(
            format!("{e}: what has to be kept stays in the MTA's queue"),
            "spoolguard spool list, as root, says what is wrong with it",
        ),
    }
}

/// Whether the mailbox had no room for mail that still waits to come into it.
fn overflowing(config: &Config, account: &Account) -> Option<Finding> {
    let overflow = overflow::inspect_overflow(&state_place(config, account)?, account.uid)?;
    let finding = format!(
        "the mailbox had no room for {} messages, {} bytes: they lie in the overflow, {}",
        overflow.messages,
        overflow.bytes,
        overflow.path.display()
    );
    let remedy = format!(
        "make room, and: spoolguard spool restore --overflow --user {}",
        account.name
    );
    Some(Check::Mailbox.about(account.name.clone()).error(finding, remedy))
}

/// Whether what is diverted about this user reaches somebody else, and stays there.
fn admin(host: &HostFacts, config: &Config, account: &Account, handling: &Handling) -> Vec<Finding> {
    if config.admin.starts_with('/') {
        return admin_mbox(config, account, handling).into_iter().collect();
    }
    let is_admin = host.ends(&config.admin).contains(&End::User(account.name.clone()));
    if !is_admin {
        return Vec::new();
    }
    let topic = Check::Admin.about(format!("admin {}", config.admin));
    let mut found = Vec::new();
    if !handling.hooks.is_empty() {
        let what = format!(
            "it is {}, whose own mail is guarded: what is diverted stays with that user, and the next is kept there too",
            account.name
        );
        let finding = topic.warning(what);
        found.push(finding.remedy("set admin to somebody whose mail is not forwarded"));
    }
    for to in &handling.destinations {
        for end in host.ends(to) {
            if let End::User(name) = end
                && name != account.name
            {
                found.push(goes_on(&topic, &account.name, &name));
            }
        }
    }
    found
}

/// The administrator forwards to another user here, who may be one that is guarded.
fn goes_on(topic: &CheckSubject, from: &str, to: &str) -> Finding {
    let home = account::find_known(to).ok().flatten().and_then(|account| account.home);
    let text = |file| {
        home.as_deref()
            .and_then(|home| read_text(&home.join(file)).ok())
            .unwrap_or_default()
    };
    let forward = dot_forward::targets(&text(FORWARD));
    let in_forward = forward.iter().any(|placed| placed.item.hook().is_some());
    if in_forward || !procmailrc::find_hooks(&text(PROCMAILRC)).is_empty() {
        let what = format!("{from}, whose mail it is, forwards to {to}, who is guarded: what is diverted comes back");
        return topic.error(what, "set admin to somebody whose mail is not forwarded");
    }
    let what = format!("{from}, whose mail it is, forwards to {to}: if {to} is guarded, what is diverted comes back");
    topic.warning(what)
}

fn admin_mbox(config: &Config, account: &Account, handling: &Handling) -> Option<Finding> {
    let path = Path::new(&config.admin);
    let topic = Check::Admin.about(format!("admin {}", config.admin));
    let store = config.mailbox.location.of(&account.name, account.home.as_deref());
    if store.is_ok_and(|store| store.path() == Some(path)) {
        let what = format!("it is the mailbox of {}, whose own reports go there, too", account.name);
        return Some(topic.warning(what));
    }
    if handling.hooks.is_empty() {
        return None;
    }
    let dir = parent(path);
    let makes_files = can_make_files(dir);
    let cause = match open_existing(path, Owner::Trusted(account.uid)) {
        Ok(Some(_)) => return None,
        Ok(None) if makes_files => return None,
        Ok(None) => format!("{} cannot make it", account.name),
        Err(e) => e.to_string(),
    };
    let what = format!("{cause}: what is diverted from {} stays with that user", account.name);
    Some(topic.error(what, "name an address, or let users write to that mbox"))
}
