//! Can a run of the user put mail where `[mailbox] location` says? Shows as well what waits in the overflow.

use std::path::Path;

use crate::config::Config;
use crate::config::location::MailStore;
use crate::deliver::context::state_place;
use crate::deliver::overflow;
use crate::doctor::lmtp;
use crate::doctor::rules::{Check, CheckSubject, Finding};
use crate::doctor::user::mail_files::MailHandling;
use crate::mailbox::open::{Owner, open_existing};
use crate::mailbox::setgid;
use crate::maildir::directory::Maildir;
use crate::output::shell::{program_command, quote_path, quote_word};
use crate::output::sizes::{message_count_text, size_text};
use crate::sys::account::Account;
use crate::sys::dirs::{can_make_files, parent_of};

/// Whether this user's run can deliver into the Maildir.
fn maildir(path: &Path, account: &Account, topic: &CheckSubject) -> Finding {
    match Maildir::open(path, account.uid) {
        Ok(Some(_)) => topic.ok("it is a Maildir of this user"),
        Ok(None) => topic.ok("it is not there yet, and the first message makes it"),
        Err(e) => topic.error(e.to_string(), "name another location, or mend this one"),
    }
}

/// Whether this user's run can append, or make the mailbox.
pub fn examine(config: &Config, account: &Account, handling: &MailHandling) -> Finding {
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
        MailStore::Lmtp(servers) => return lmtp::examine(&topic, servers, &account.name),
    };
    let dir = parent_of(path);
    let makes_files = can_make_files(dir) || setgid::is_installed_for(dir);
    match open_existing(path, Owner::Exactly(account.uid)) {
        Ok(Some(_)) if makes_files => topic.ok("this user can append to it and lock it"),
        Ok(Some(_)) if config.mailbox.locks_beside_dotlock().is_empty() => topic.error(
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
            format!("{} spool list, as root, says what is wrong with it", program_command()),
        ),
    }
}

/// Whether the mailbox had no room for mail that still waits to come into it.
pub fn examine_overflow(config: &Config, account: &Account) -> Option<Finding> {
    let overflow = overflow::inspect_overflow(&state_place(config, account)?, account.uid)?;
    let finding = format!(
        "the mailbox had no room for {} ({}), which the overflow holds: {}",
        message_count_text(overflow.messages),
        size_text(overflow.bytes),
        overflow.path.display()
    );
    let remedy = format!(
        "make room, and: {} spool restore --overflow --user {}",
        program_command(),
        quote_word(&account.name)
    );
    Some(Check::Mailbox.about(account.name.clone()).error(finding, remedy))
}
