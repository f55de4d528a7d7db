//! `spoolguard spool`: care for mailboxes that have grown. What its commands share: the configuration, who runs them, how they tell
//! what went wrong and how they end.

pub mod again;
pub mod archive;
pub mod archive_target;
pub mod archives;
pub mod batch;
pub mod choose;
pub mod consent;
pub mod context;
pub mod directory;
pub mod expire;
pub mod list;
pub mod maildirs;
pub mod merge;
pub mod move_out;
pub mod move_out_maildir;
pub mod packing;
pub mod report;
pub mod restore;
pub mod returned;
pub mod rules;
pub mod select;
pub mod sweep;
pub mod taken;

use std::path::Path;

use crate::cli::Everywhere;
use crate::cli::spool::SpoolCommand;
use crate::error::{Error, Status};
use crate::output::{OutputForm, print_error};
use crate::spool::context::SpoolRun;
use crate::sys::presence;

/// Runs one of the commands: 0, 1 when something is wrong or could not be done, 75 when the run as a whole could not.
pub fn run(command: &SpoolCommand, everywhere: &Everywhere) -> Status {
    // The user's own business, with the user's own rights.
    if let SpoolCommand::Restore { restore } = command
        && restore.overflow
    {
        return restore::overflow::run(restore, everywhere);
    }
    let care = match SpoolRun::prepare(everywhere) {
        Ok(care) => care,
        Err(e) => {
            print_error(&e);
            return Status::TryAgain;
        }
    };
    match run_with(command, &care) {
        Ok(status) => status,
        Err(e) => {
            print_error(&e);
            Status::TryAgain
        }
    }
}

fn run_with(command: &SpoolCommand, care: &SpoolRun) -> Result<Status, Error> {
    // A timer starts this as root: a run that hangs there would not be the last one.
    let config = &care.config;
    for dir in [config.mailbox.location.spool_dir(), Path::new(&config.archive.dir)] {
        presence::refuse_hung(dir)?;
    }
    match command {
        SpoolCommand::List { list } => list::run(list, care),
        SpoolCommand::Archive {
            what,
            mail,
            packing,
            changing,
        } => archive::run(care, what, mail, packing, changing),
        SpoolCommand::Sweep {
            what,
            dirt,
            packing,
            changing,
        } => sweep::run(care, what, dirt, packing, changing),
        SpoolCommand::Archives { user, json } => {
            let form = OutputForm::from_flag(*json);
            archives::run(care, user.as_deref(), form)
        }
        SpoolCommand::Restore { restore } => Ok(restore::run(restore, care)),
    }
}
