//! `spoolguard spool`: care for mailboxes that have grown. What its commands share: the configuration, who runs them,
//! how they tell what went wrong and how they end.

pub(crate) mod again;
pub(crate) mod archive_target;
pub(crate) mod archives;
pub(crate) mod batch;
pub(crate) mod choose;
pub(crate) mod consent;
pub(crate) mod context;
pub(crate) mod directory;
pub(crate) mod list;
pub(crate) mod maildirs;
pub(crate) mod merge;
pub(crate) mod move_out;
pub(crate) mod move_out_maildir;
pub(crate) mod packing;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod returned;
pub mod rules;
pub(crate) mod select;
pub(crate) mod taken;

use std::path::Path;

use crate::cli::Everywhere;
use crate::cli::spool::SpoolCommand;
use crate::error::{Error, Status};
use crate::output::{OutputForm, print_error};
use crate::spool::batch::MailboxBatch;
use crate::spool::context::SpoolRun;
use crate::sys::presence;

/// Runs one of the commands: 0, 1 when something is wrong or could not be done, 75 when the run as a whole could not.
pub fn run(command: &SpoolCommand, everywhere: &Everywhere) -> Status {
    // The user's own business, with the user's own rights.
    if let SpoolCommand::Restore(restore) = command
        && restore.overflow
    {
        return restore::overflow::run(restore, everywhere);
    }
    let ended = SpoolRun::prepare(everywhere).and_then(|care| run_with(command, &care));
    ended.unwrap_or_else(|e| {
        print_error(&e);
        Status::TryAgain
    })
}

fn run_with(command: &SpoolCommand, care: &SpoolRun) -> Result<Status, Error> {
    // A timer starts this as root: a run that hangs there would not be the last one.
    let config = &care.config;
    for dir in [config.mailbox.location.spool_dir(), Path::new(&config.archive.dir)] {
        presence::refuse_hung(dir)?;
    }
    let batch = |what, packing, changing| MailboxBatch {
        care,
        what,
        packing,
        changing,
    };
    match command {
        SpoolCommand::List(list) => list::run(list, care),
        SpoolCommand::Archive {
            what,
            mail,
            packing,
            changing,
        } => batch(what, packing, changing).archive_mail(mail),
        SpoolCommand::Sweep {
            what,
            dirt,
            packing,
            changing,
        } => batch(what, packing, changing).sweep_dirt(dirt),
        SpoolCommand::Archives { user, json } => {
            let form = OutputForm::from_flag(*json);
            archives::run(care, user.as_deref(), form)
        }
        SpoolCommand::Restore(restore) => Ok(restore::run(restore, care)),
    }
}
