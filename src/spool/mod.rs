//! `spoolguard spool`: care for mailboxes that have grown. What its commands share: the configuration, who runs them, how they say
//! what went wrong and how they end.

pub mod archive;
pub mod archive_target;
pub mod choose;
pub mod directory;
pub mod expire;
pub mod list;
pub mod merge;
pub mod move_out;
pub mod restore;
pub mod returned;
pub mod rules;
pub mod select;
pub mod sweep;

use std::io::Write;
use std::path::PathBuf;

use nix::unistd::Uid;

use crate::cli::Everywhere;
use crate::cli::spool::SpoolCommand;
use crate::config::Config;
use crate::config::load;
use crate::config::load::{Extent, Sources};
use crate::deliver;
use crate::deliver::context;
use crate::error::{Error, Status};
use crate::output::log;
use crate::sys::account;
use crate::sys::account::Account;
use crate::sys::deadline::Deadline;

/// What holds for the whole run of an administrator, or of a user who cares for an own mailbox.
#[derive(Debug)]
pub struct Care {
    /// What is configured: the administrator's file, and that of whoever runs this. The files of the users whose mailboxes are cared
    /// for are not read: root does not believe them.
    pub config: Config,
    /// Who runs this.
    pub runner: Account,
    /// Whether somebody asked the run to stop.
    pub deadline: Deadline,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// How much is said.
    pub detail: Detail,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What has to be known.
    Little,
    /// Each message by itself, too.
    Much,
}

impl Care {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When it cannot be used, or signals cannot be watched.
    pub fn prepare(everywhere: &Everywhere) -> Result<Self, Error> {
        let deadline = deliver::begin()?;
        let runner = account::runner();
        let loaded = load::load(
            Sources::chosen(everywhere.config.as_deref(), runner.home.as_deref()),
            Extent::Whole,
        )?;
        log::start(&loaded.config.log, everywhere.verbose);
        Ok(Self {
            config: loaded.config,
            runner,
            deadline,
            dry_run: everywhere.dry_run,
            detail: if everywhere.verbose > 0 {
                Detail::Much
            } else {
                Detail::Little
            },
        })
    }

    /// Where a user keeps what cannot lie beside the mailbox, for a run of that user. Root can write beside it, and does not look into
    /// directories of users.
    #[must_use]
    pub fn state_dir(&self, account: &Account) -> Option<PathBuf> {
        let is_own = !Uid::effective().is_root() && Uid::effective().as_raw() == account.uid;
        is_own.then(|| context::state_dir(&self.config, account)).flatten()
    }
}

/// Runs one of the commands: 0, 1 when something is wrong or could not be done, 75 when the run as a whole could not.
pub fn run(command: &SpoolCommand, everywhere: &Everywhere) -> Status {
    let care = match Care::prepare(everywhere) {
        Ok(care) => care,
        Err(e) => {
            complain(&e);
            return Status::TryAgain;
        }
    };
    match run_with(command, &care) {
        Ok(status) => status,
        Err(e) => {
            complain(&e);
            Status::TryAgain
        }
    }
}

fn run_with(command: &SpoolCommand, care: &Care) -> Result<Status, Error> {
    match command {
        SpoolCommand::List { list } => list::run(list, care),
        SpoolCommand::Archive { what, mail, packing } => archive::run(care, what, mail, packing),
        SpoolCommand::Sweep { what, dirt, packing } => sweep::run(care, what, dirt, packing),
        SpoolCommand::Restore { restore } => Ok(restore::run(restore, care)),
    }
}

/// Says what went wrong, on standard error. Trouble with that changes nothing.
pub fn complain(error: &Error) {
    let _ = writeln!(std::io::stderr(), "spoolguard: {error}");
}

/// Says something, on standard output. Whoever reads it may have seen enough: what is done is done all the same.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
