//! Refuses users and addresses on the command line of `status` that nobody has, with the reason, before anything is
//! done.

use crate::cli::Who;
use crate::deliver::context::Run;
use crate::deliver::forward::destinations;
use crate::error::{Category, Error};
use crate::message::address::why_not_plain;
use crate::sys::account;

/// Refuses a user whom nobody knows: root delivers to no virtual mailbox, and so has nothing to show of one. Fails when
/// there is no such user, or the user database cannot be asked.
pub fn refuse_unknown(who: &Who) -> Result<(), Error> {
    match who.user.as_deref() {
        Some(name) if account::is_root() && account::find_known(name)?.is_none() => Err(nobody(name)),
        Some(_) | None => Ok(()),
    }
}

fn nobody(name: &str) -> Error {
    match name.contains('@') {
        true => account::unknown_user(name),
        false => account::unknown_user(name).hint("an alias is named with --as"),
    }
}

/// Refuses a name that neither the system knows nor a virtual mailbox has. Fails when nobody is called so, or the user
/// database cannot be asked.
pub fn refuse_without_mail(who: &Who, run: &Run) -> Result<(), Error> {
    let Some(name) = who.user.as_deref() else {
        return Ok(());
    };
    if account::find_known(name)?.is_some() || run.state_dir().is_some_and(|dir| dir.exists()) {
        return Ok(());
    }
    match run.store.mbox() {
        Some(path) if path.symlink_metadata().is_ok() => Ok(()),
        Some(_) | None => Err(nobody(name)),
    }
}

/// Refuses what nothing is forwarded to: what is no address, and a word without a domain that is no user and never was
/// a destination. Fails with the reason.
pub fn refuse_no_destination(address: &str, run: &Run) -> Result<(), Error> {
    let known = destinations::open_store(run).and_then(|store| destinations::read_destinations(&store).ok());
    if known.is_some_and(|known| known.find(address).is_some()) {
        return Ok(());
    }
    let is_nobody = !address.contains('@') && account::find_known(address)?.is_none();
    let no_domain = is_nobody.then_some("it has no domain, and no user of this host is called so");
    match why_not_plain(address).or(no_domain) {
        Some(cause) => {
            Err(Error::new(Category::Arguments, "use address", address, cause).hint("write it as in bob@example.net"))
        }
        None => Ok(()),
    }
}
