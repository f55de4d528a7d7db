//! `spoolguard spool`: care for mailboxes that have grown. What its commands share: the configuration, who runs them, how they say
//! what went wrong and how they end.

pub mod list;
pub mod what;

use std::io::Write;

use crate::act::account::{self, Account};
use crate::act::patience::Patience;
use crate::cli::Everywhere;
use crate::cli::spool::SpoolCommand;
use crate::command::{guard, log};
use crate::config::Config;
use crate::config::file::{self, Extent, Sources};
use crate::exit::{Class, Error, Status};

/// What holds for the whole run of an administrator, or of a user who cares for an own mailbox.
#[derive(Debug)]
pub struct Care {
    /// What is configured: the administrator's file, and that of whoever runs this. The files of the users whose mailboxes are cared
    /// for are not read: root does not believe them.
    pub config: Config,
    /// Who runs this.
    pub runner: Account,
    /// Whether somebody asked the run to stop.
    pub patience: Patience,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

impl Care {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When it cannot be used, or signals cannot be watched.
    pub fn prepare(everywhere: &Everywhere) -> Result<Self, Error> {
        let patience = guard::begin()?;
        let runner = account::find(None)?;
        let loaded = file::load(
            Sources::chosen(everywhere.config.as_deref(), runner.home.as_deref()),
            Extent::Whole,
        )?;
        log::start(&loaded.config.log, everywhere.verbose);
        Ok(Self {
            config: loaded.config,
            runner,
            patience,
            dry_run: everywhere.dry_run,
        })
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
        SpoolCommand::Archive { .. } => not_yet("archive"),
        SpoolCommand::Sweep { .. } => not_yet("sweep"),
        SpoolCommand::Restore { .. } => not_yet("restore"),
    }
}

fn not_yet(verb: &'static str) -> Result<Status, Error> {
    Err(Error::new(
        Class::System,
        verb,
        "mailboxes",
        "this version cannot do it yet",
    ))
}

/// Says what went wrong, on standard error. Trouble with that changes nothing.
pub fn complain(error: &Error) {
    let _ = writeln!(std::io::stderr(), "spoolguard: {error}");
}
