//! Does mail that is diverted about a user reach somebody else, and stay there?

use std::path::Path;

use crate::config::Config;
use crate::doctor::facts::{HostFacts, read_text};
use crate::doctor::rules::aliases::End;
use crate::doctor::rules::{Check, CheckSubject, Finding, dot_forward, procmailrc};
use crate::doctor::user::mail_files::{FORWARD, MailHandling, PROCMAILRC};
use crate::mailbox::open::{Owner, open_existing};
use crate::sys::account::{self, Account};
use crate::sys::dirs::{can_make_files, parent_of};

/// Whether what is diverted about this user reaches somebody else, and stays there.
pub fn examine(host: &HostFacts, config: &Config, account: &Account, handling: &MailHandling) -> Vec<Finding> {
    if config.admin.starts_with('/') {
        return admin_mbox(config, account, handling).into_iter().collect();
    }
    let ends = host.find_ends(&config.admin);
    let topic = Check::Admin.about(format!("admin {}", config.admin));
    if !handling.hooks.is_empty()
        && let Some(to) = handling.destinations.iter().find(|to| is_one_of(to, &ends))
    {
        let what = format!(
            "the mail of {} is forwarded to {to}, too: when that address is dead, nobody learns it",
            account.name
        );
        return vec![topic.error(what, "set admin to somebody else")];
    }
    if !ends.contains(&End::User(account.name.clone())) {
        return Vec::new();
    }
    let mut found = Vec::new();
    if !handling.hooks.is_empty() {
        let what = format!(
            "it is {}, whose own mail is guarded: what is diverted stays with that user, and the next is kept there too",
            account.name
        );
        let finding = topic.note(what);
        found.push(finding.remedy("set admin to somebody whose mail is not forwarded"));
    }
    for to in &handling.destinations {
        for end in host.find_ends(to) {
            if let End::User(name) = end
                && name != account.name
            {
                found.push(goes_on(&topic, &account.name, &name));
            }
        }
    }
    found
}

fn is_one_of(address: &str, ends: &[End]) -> bool {
    ends.iter()
        .any(|end| matches!(end, End::Elsewhere(end) if end.eq_ignore_ascii_case(address)))
}

/// The administrator forwards to another user here, who may be one that is guarded.
fn goes_on(topic: &CheckSubject, from: &str, to: &str) -> Finding {
    let home = account::find_known(to).ok().flatten().and_then(|account| account.home);
    let text = |file| {
        home.as_deref()
            .and_then(|home| read_text(&home.join(file)).ok())
            .unwrap_or_default()
    };
    let forward = dot_forward::parse_targets(&text(FORWARD));
    let in_forward = forward.iter().any(|placed| placed.item.hook().is_some());
    if in_forward || !procmailrc::find_hooks(&text(PROCMAILRC)).is_empty() {
        let what = format!("{from}, whose mail it is, forwards to {to}, who is guarded: what is diverted comes back");
        return topic.error(what, "set admin to somebody whose mail is not forwarded");
    }
    let what = format!("{from}, whose mail it is, forwards to {to}: if {to} is guarded, what is diverted comes back");
    topic.note(what)
}

fn admin_mbox(config: &Config, account: &Account, handling: &MailHandling) -> Option<Finding> {
    let path = Path::new(&config.admin);
    let topic = Check::Admin.about(format!("admin {}", config.admin));
    let store = config.mailbox.location.of(&account.name, account.home.as_deref());
    if store.is_ok_and(|store| store.path() == Some(path)) {
        let what = format!("it is the mailbox of {}, whose own reports go there, too", account.name);
        return Some(topic.note(what));
    }
    if handling.hooks.is_empty() {
        return None;
    }
    let dir = parent_of(path);
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
