//! The context of a run over mailboxes: the configuration, who runs it, how much is printed, when it stops.

use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::cli::Everywhere;
use crate::cli::spool::Changing;
use crate::config::Config;
use crate::config::load::{self, ConfigSources, KeySelection};
use crate::deliver;
use crate::error::Error;
use crate::escape::make_visible;
use crate::mailbox::lock::holder::Holder;
use crate::output::{log, print_stderr};
use crate::spool::consent::Consent;
use crate::sys::account::{self, Account};
use crate::sys::deadline::{Deadline, ReadLimit};

/// What holds for the whole run of an administrator, or of a user who cares for an own mailbox.
#[derive(Debug)]
pub struct SpoolRun {
    /// What is configured: the administrator's file, and that of whoever runs this. The files of the users whose
    /// mailboxes are cared for are not read: root does not believe them.
    pub config: Config,
    pub runner: Account,
    /// Whether somebody asked the run to stop.
    pub deadline: Deadline,
    /// For how long the mailbox that is cared for now may be read.
    pub reading: Cell<ReadLimit>,
    /// What was typed for every command.
    /// What was typed for every command; a run that this one starts gets it, too.
    pub everywhere: Everywhere,
    pub detail: Detail,
}

impl SpoolRun {
    /// Reads the configuration.
    pub fn prepare(everywhere: &Everywhere) -> Result<Self, Error> {
        let deadline = deliver::begin_run()?;
        let runner = account::find_runner();
        let only = everywhere.config.as_deref();
        let sources = ConfigSources::from_choice(only, runner.home.as_deref(), runner.trusted_owners());
        let loaded = load::load_config(sources, KeySelection::Whole)?;
        log::start_logging(&loaded.config.log, &runner.name, everywhere.verbose);
        Ok(Self {
            config: loaded.config,
            runner,
            deadline,
            reading: Cell::new(ReadLimit::until_stopped()),
            everywhere: everywhere.clone(),
            detail: if everywhere.verbose > 0 {
                Detail::Much
            } else {
                Detail::Little
            },
        })
    }

    pub fn is_dry_run(&self) -> bool {
        self.everywhere.dry_run
    }

    pub fn consent(&self, changing: &Changing) -> Consent {
        Consent::of(changing, &self.everywhere)
    }

    /// Where a user keeps what cannot lie beside the mailbox, for a run of that user. Root can write beside it, and
    /// does not look into directories of users.
    pub fn state_dir(&self, account: &Account) -> Option<PathBuf> {
        let is_own = !Uid::effective().is_root() && Uid::effective().as_raw() == account.uid;
        is_own
            .then(|| deliver::context::state_dir(&self.config, account))
            .flatten()
    }
}

/// Tells whoever typed the command who has the mailbox: on a terminal always, elsewhere only if it is gone.
pub fn tell_wait(mailbox: &Path, holder: &Holder) {
    let Holder { text, is_gone, remedy } = holder;
    if *is_gone || io::stderr().is_terminal() {
        let line = format!("{}: waiting for its lock: {text}; {remedy}", mailbox.display());
        print_stderr(&format!("spoolguard: {}\n", make_visible(&line)));
    }
}

/// Whether to do what is planned, or to find out what would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    Execute,
    Rehearse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What has to be known.
    Little,
    /// Each message by itself, too.
    Much,
}
