//! Delivers for virtual users, whose names are addresses, as the user of this host that `[mailbox] user` names. Any
//! other user leaves the message in the MTA's queue.

use std::path::Path;

use crate::config::load::{self, ConfigSources, KeySelection};
use crate::error::{Category, Error};
use crate::sys::account::{self, Account};

/// Finds the account that mail is delivered for. Where root is to deliver for a virtual user, becomes the user of this
/// host who owns those mailboxes, if the configuration names one.
pub fn find_account(name: Option<&str>, config: Option<&Path>) -> Result<Account, Error> {
    if let Some(name) = name.filter(|name| account::is_root() && name.contains('@'))
        && account::find_known(name)?.is_none()
        && let Some(owner) = owner_of(config)
    {
        match account::find_known(&owner)? {
            Some(owner) if owner.uid != 0 => owner.become_user(None)?,
            Some(_) | None => return Err(no_service_user(&owner, "this is no user of this host, or root")),
        }
    }
    account::find_account(name)
}

/// The user that the administrator's file names, or the one that root was told; none where nobody is named, or that
/// file cannot be used.
fn owner_of(config: Option<&Path>) -> Option<String> {
    // The limits of single users do not matter here; nobody is called by no name.
    let sources = ConfigSources::from_choice(config, None, [0; 2]);
    let loaded = load::load_config(sources, KeySelection::User("")).ok()?;
    Some(loaded.config.mailbox.user).filter(|user| !user.is_empty())
}

/// The mail of virtual users that anybody else delivered would be where its owner does not look.
pub fn refuse_other_owner(account: &Account, owner: &str) -> Result<(), Error> {
    if owner.is_empty() || !account.is_virtual() {
        return Ok(());
    }
    match account::find_known(owner)? {
        Some(known) if known.uid == account.uid => Ok(()),
        Some(_) => {
            let cause = format!("uid {} runs it, and [mailbox] user is {owner}", account.uid);
            Err(Error::new(Category::Configuration, "deliver for", &account.name, cause)
                .hint("let the MTA start it as that user"))
        }
        None => Err(no_service_user(owner, "nobody in the user database is called so")),
    }
}

fn no_service_user(owner: &str, cause: &str) -> Error {
    Error::new(Category::Configuration, "use as [mailbox] user", owner, cause).needs_mending()
}
