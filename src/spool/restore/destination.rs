//! Where an archived mailbox goes back to: the mailbox that the command line names, or the one of the user it was. What
//! an archive says chooses among the mailboxes of the spool directory, and can name no other place.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::Uid;

use crate::archive::read::name_without_endings;
use crate::archive::{Member, retention};
use crate::cli::spool::Selection;
use crate::config::Config;
use crate::config::location::MailStore;
use crate::deliver::context::named_store;
use crate::error::{Category, Error};
use crate::mailbox::open::Owner;
use crate::sys::account::{self, Account};

#[derive(Clone, Debug)]
pub struct RestoreTarget {
    pub store: MailStore,
    /// Whose mail it is, for the quota.
    pub account: Account,
    /// Whose file it has to be.
    pub owner: Owner,
}

/// The mailbox that the command line names, where it does.
pub fn named_mailbox(selection: &Selection) -> Result<Option<MailStore>, Error> {
    let Some(store) = &selection.mailbox else {
        return Ok(None);
    };
    let account = match &selection.user {
        Some(user) => account::find_named(user)?,
        None => account::find_runner(),
    };
    named_store(store.clone(), &account).map(Some)
}

/// Finds where the mailboxes of an archive go: for each its destination, or none when another one was asked for.
pub fn of_all(
    archive: &Path,
    mailboxes: &[Member],
    selection: &Selection,
    runner: &Account,
    config: &Config,
) -> Result<Vec<Option<RestoreTarget>>, Error> {
    if let Some(store) = &selection.mailbox {
        refuse_server(store)?;
        let account = match &selection.user {
            Some(user) => account::find_named(user)?,
            None => runner.clone(),
        };
        let destination = RestoreTarget {
            store: store.clone(),
            account,
            owner: Owner::Trusted(Uid::current().as_raw()),
        };
        return Ok(vec![Some(destination); mailboxes.len()]);
    }
    if let Some(user) = &selection.user {
        let destination = of_user(user, config)?;
        let one_of_several = |member: &Member| mailboxes.len() == 1 || member.name == user.as_str();
        let destinations: Vec<_> = mailboxes
            .iter()
            .map(|member| one_of_several(member).then(|| destination.clone()))
            .collect();
        if destinations.iter().all(Option::is_none) {
            let names: Vec<_> = mailboxes.iter().map(|member| member.name.to_string_lossy()).collect();
            let cause = format!("it holds the mailboxes {}, and none of {user}", names.join(", "));
            return Err(
                Error::new(Category::Configuration, "restore from", archive.display(), cause)
                    .hint("say --mailbox to put all of them into one file"),
            );
        }
        return Ok(destinations);
    }
    mailboxes
        .iter()
        .map(|member| {
            let name = user_name(archive, member);
            let user = name.to_str().unwrap_or_default();
            of_user(user, config).map(Some).map_err(|e| {
                let cause = format!("nobody can tell whose mail it is ({e})");
                Error::new(Category::Configuration, "restore from", archive.display(), cause)
                    .hint("say --user NAME, or --mailbox PATH")
            })
        })
        .collect()
}

/// The user that a mailbox was of: as it is called in the archive, or as the archive is called.
pub fn user_name(archive: &Path, member: &Member) -> std::ffi::OsString {
    if !member.name.is_empty() {
        return member.name.clone();
    }
    let name = archive.file_name().unwrap_or_default();
    match retention::read_name(name) {
        Some(label) => label.user.into(),
        None => name_without_endings(archive),
    }
}

/// What is behind a server cannot be compared with an archive.
fn refuse_server(store: &MailStore) -> Result<&Path, Error> {
    store.path().ok_or_else(|| {
        let cause = "nobody can tell what is there already";
        Error::new(Category::Configuration, "restore into", store.to_string(), cause)
            .hint("say --mailbox to put the mail into an mbox or a Maildir, and let a mail client move it")
    })
}

fn of_user(user: &str, config: &Config) -> Result<RestoreTarget, Error> {
    // Refuses names that lead out of the directory.
    let found = account::find_named(user)?;
    let fail = |cause: String| Error::new(Category::Configuration, "restore the mailbox of", user, cause);
    let store = config.mailbox.location.of(user, found.home.as_deref()).map_err(fail)?;
    let path = refuse_server(&store)?.to_owned();
    if let Some(account) = account::find_known(user)? {
        return Ok(RestoreTarget {
            store,
            owner: Owner::Exactly(account.uid),
            account,
        });
    }
    // A name that the system does not know has a virtual mailbox, if it has one, and who has that file has them all.
    match path.symlink_metadata() {
        Ok(stat) => Ok(RestoreTarget {
            store,
            owner: Owner::Exactly(stat.uid()),
            account: found,
        }),
        Err(e) => {
            Err(Error::io("find", &path, &e).hint(format!("there is neither a user {user} nor a mailbox of that name")))
        }
    }
}
