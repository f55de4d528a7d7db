//! Compares the locks of the installed programs with those that spoolguard takes, and checks what bounds a delivery.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::config::value::Limit;
use crate::config::{ForwardSender, LockMethod};
use crate::doctor::facts::{HostFacts, read_text};
use crate::doctor::rules::limits::{self, Needs};
use crate::doctor::rules::lock_conventions::{self, LockConvention};
use crate::doctor::rules::{Check, Finding, lock_conflicts, mta_commands, procmailrc};
use crate::spool::directory;
use crate::sys::deadline;

pub const PROCMAILRC: &str = "/etc/procmailrc";

pub const SMTPD_CONFIGURATION: &str = "/etc/smtpd.conf";

pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let mut found = locks(host);
    let needs = find_needs(host);
    if let Some(postfix) = &host.postfix {
        found.extend(limits::check_postfix(postfix, needs));
        if host.config.forward.sender == ForwardSender::Verp {
            found.extend(limits::check_delimiter(postfix, &host.config.recipient_delimiter));
        }
        found.extend(mta_commands::judge_postfix(postfix));
        let state_dir = host.config.state_dir.as_str();
        let services = host.services.iter();
        found.extend(services.flat_map(|service| service.judge(postfix, state_dir)));
        let commands = host.aliases.guarded_aliases();
        found.extend(commands.flat_map(|(alias, hook)| mta_commands::alias_command(postfix, alias, &hook)));
    }
    if let Some(transports) = &host.exim {
        found.extend(limits::check_exim(transports, needs));
        found.extend(mta_commands::judge_exim(&host.exim_routers, transports));
    }
    if host.postfix.is_none() {
        let mut aliases: Vec<&str> = host.aliases.guarded_aliases().map(|(alias, _)| alias).collect();
        aliases.dedup();
        let of_exim = |alias: &str| mta_commands::exim_alias(&host.exim_routers, alias);
        found.extend(aliases.into_iter().filter_map(of_exim));
    }
    let limit = getrlimit(Resource::RLIMIT_FSIZE).ok();
    let soft = limit.map(|(soft, _)| soft).filter(|soft| *soft != RLIM_INFINITY);
    found.push(limits::own_file_size(soft, needs));
    if host.procmail.is_some()
        && let Ok(text) = read_text(Path::new(PROCMAILRC))
    {
        found.extend(procmailrc::judge_recipes(PROCMAILRC, &text, &|to| host.is_here(to)));
        found.extend(procmailrc::forwards_everybody(PROCMAILRC, &text));
    }
    found
}

fn locks(host: &HostFacts) -> Vec<Finding> {
    let habits: Vec<LockConvention> = [
        host.postfix.as_ref().and_then(lock_conventions::postfix_convention),
        host.postfix.as_ref().and_then(|postfix| {
            lock_conventions::postfix_virtual(postfix, &host.config.mailbox.location.spool_dir().to_string_lossy())
        }),
        host.exim.as_deref().and_then(lock_conventions::exim_convention),
        host.dovecot.as_ref().and_then(lock_conventions::dovecot_convention),
        host.procmail.as_deref().and_then(lock_conventions::procmail_convention),
        host.maildrop.as_ref().map(|_| lock_conventions::maildrop_convention()),
        host.mutt.as_deref().and_then(lock_conventions::mutt_convention),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut found = lock_conflicts::judge_conventions(&in_effect(host), &habits);
    if host.has_smtpd
        && let Ok(text) = read_text(Path::new(SMTPD_CONFIGURATION))
    {
        found.extend(lock_conflicts::check_opensmtpd(&text));
    }
    if host.dovecot.is_some() && !habits.iter().any(|habit| habit.program == "Dovecot") {
        found.push(Check::Locks.about("Dovecot").ok("its mail is in no mbox"));
    }
    found
}

/// The locks that users' runs take: no dotlock where they can make no file beside the mailbox.
fn in_effect(host: &HostFacts) -> Vec<LockMethod> {
    let dir = host.config.mailbox.location.spool_dir();
    let everybody_writes = dir.metadata().is_ok_and(|stat| stat.permissions().mode() & 0o002 != 0);
    let others = host.config.mailbox.locks_beside_dotlock();
    if everybody_writes || others.is_empty() {
        host.config.mailbox.locks.clone()
    } else {
        others
    }
}

pub fn find_needs(host: &HostFacts) -> Needs {
    let quota = &host.config.quota;
    let general = host.config.quota.limit_of("", Vec::new).bytes;
    let named = quota.users.values().chain(quota.groups.values());
    let limit_bytes = named
        .map(|ceiling| {
            let general = Limit {
                bytes: general,
                messages: None,
            };
            ceiling.limit(general).bytes
        })
        .fold(general, |a, b| a.zip(b).map(|(a, b)| a.max(b)));
    let entries = directory::read_entries(host.config.mailbox.location.spool_dir()).unwrap_or_default();
    let mailboxes = entries
        .iter()
        .filter(|entry| entry.entry_kind() == directory::EntryKind::Mailbox);
    Needs {
        run_seconds: deadline::TOTAL.as_secs(),
        limit_bytes,
        largest_bytes: mailboxes.map(|entry| entry.stat.len()).max().unwrap_or_default(),
    }
}
