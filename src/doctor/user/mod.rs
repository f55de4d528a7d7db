//! Checks how the mail of one user is handled, as that user: configuration, `.forward`, procmailrc, mailbox, state
//! directory, and whether the administrator is somebody else.

mod admin;
pub mod mail_files;
mod mailbox;

use crate::config::Config;
use crate::config::load::{self, ConfigSources, KeySelection};
use crate::deliver::forward::destinations::find_suspended;
use crate::deliver::headers::moment_text;
use crate::doctor::facts::HostFacts;
use crate::doctor::rules::guard_line::guard_of;
use crate::doctor::rules::{Check, Finding, mta_commands};
use crate::doctor::user::mail_files::{FORWARD, MailHandling, PROCMAILRC, read_files};
use crate::doctor::{
    admin as host_admin, hook_programs, mail_location, postfix_access, sendmail_host, sieve, state_directory,
    submission, tokens,
};
use crate::output::shell::{program_command, quote_word};
use crate::sys::account::Account;

/// Examines the mailbox of a virtual user, for whom a transport of the MTA's runs spoolguard, and no file.
pub fn examine_mailbox(host: &HostFacts, account: &Account) -> Finding {
    let config = configuration(host, account, &mut Vec::new());
    mailbox::examine(&config, account, &MailHandling::default())
}

pub fn examine(host: &HostFacts, account: &Account) -> Vec<Finding> {
    let mut found = Vec::new();
    let config = configuration(host, account, &mut found);
    let handling = read_files(host, account, &config, &mut found);
    for (path, hook) in &handling.hooks {
        let is_procmailrc = path.ends_with(PROCMAILRC);
        let check = if is_procmailrc {
            Check::Procmailrc
        } else {
            Check::Forward
        };
        found.extend(hook_programs::examine_hook(&check.about(path.display()), hook));
        if path.ends_with(FORWARD)
            && let Some(postfix) = &host.postfix
        {
            found.extend(mta_commands::judge_forward_command(
                postfix,
                &path.display().to_string(),
            ));
        }
    }
    if handling.hooks.iter().any(|(path, _)| !path.ends_with(PROCMAILRC)) {
        found.extend(sendmail_host::examine_shell(host, account));
    }
    let of_postfix = host
        .postfix
        .as_ref()
        .and_then(|postfix| postfix.non_empty("mailbox_command"));
    // Every command is told with the host, where one delivers.
    if account.uid == 0 && !handling.hooks.is_empty() && of_postfix.is_none() {
        found.extend(host_admin::root_commands(host, "its command"));
    }
    if !handling.hooks.is_empty() || of_postfix.is_some_and(|command| guard_of(command).is_some()) {
        found.push(mailbox::examine(&config, account, &handling));
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
    found.extend(suspended(&config, account));
    found.extend(sieve::of_user(host, account));
    found.extend(mailbox::examine_overflow(&config, account));
    found.extend(admin::examine(host, &config, account, &handling));
    found
}

/// What holds for this user, where it can be used; what is wrong with the administrator's file is told with the host.
fn configuration(host: &HostFacts, account: &Account, found: &mut Vec<Finding>) -> Config {
    let home = account.home.as_deref();
    match load::load_config(
        ConfigSources::from_choice(host.chosen.as_deref(), home, account.trusted_owners()),
        KeySelection::Whole,
    ) {
        Ok(loaded) => {
            if !loaded.ignored.is_empty() {
                found.push(
                    Check::Configuration
                        .about(format!("configuration of {}", account.name))
                        .note(format!(
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
                        format!("fix it, then, as {}: {} config check", account.name, program_command()),
                    ),
            );
            host.config.clone()
        }
    }
}

fn suspended(config: &Config, account: &Account) -> Option<Finding> {
    let suspended = find_suspended(config, account);
    let named = suspended
        .iter()
        .map(|(to, since)| format!("{to} since {}", moment_text(*since)));
    let what = format!("suspended, and mail is kept: {}", named.collect::<Vec<_>>().join(", "));
    let topic = Check::Forward.about(format!("forwards of {}", account.name));
    let remedy = format!("{} status --user {}", program_command(), quote_word(&account.name));
    (!suspended.is_empty()).then(|| topic.warning(what, remedy))
}
