//! What `spoolguard status` was asked for: to show, or to change something.

use crate::cli::spool::Changing;
use crate::cli::{Everywhere, StatusArguments};
use crate::output::OutputForm;
use crate::spool::consent::Consent;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Show(OutputForm),
    Metrics,
    Resume(String),
    Suspend(String),
    /// Send on what was kept for this address; one message alone, where one is named.
    SendKept(String, Consent, Option<String>),
    /// Do what time has made due.
    Due,
    /// Note what is no longer in the mailbox: it is in this archive, or was gone before where none is named.
    NoteArchived(String),
}

impl Request {
    pub fn of(asked: &StatusArguments, everywhere: &Everywhere) -> Self {
        let StatusArguments {
            resume,
            suspend,
            send_kept,
            ..
        } = asked;
        match (resume, suspend, send_kept) {
            (Some(address), _, _) => Self::Resume(address.clone()),
            (None, Some(address), _) => Self::Suspend(address.clone()),
            (None, None, Some(address)) => {
                let changing = Changing {
                    yes: asked.yes,
                    json: asked.json,
                };
                let consent = Consent::of(&changing, everywhere);
                Self::SendKept(address.clone(), consent, asked.one.clone())
            }
            (None, None, None) if asked.archived.is_some() => {
                Self::NoteArchived(asked.archived.clone().unwrap_or_default())
            }
            (None, None, None) if asked.due => Self::Due,
            (None, None, None) if asked.prometheus => Self::Metrics,
            (None, None, None) => Self::Show(OutputForm::from_flag(asked.json)),
        }
    }
}
