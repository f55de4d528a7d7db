//! The pipeline: one message, from standard input to an exit status. Every way out of here is 0, 75 or a configured 77.
//!
//! This file says in which order things happen. What a message is, and what it gets, `classify` decides; `settle` does
//! it.

pub(crate) mod access;
mod auto_archive;
pub mod caller;
pub mod context;
mod copies;
pub mod divert;
pub(crate) mod dry_run;
pub(crate) mod fallback;
pub mod forward;
pub(crate) mod headers;
pub(crate) mod input;
pub(crate) mod judge;
pub(crate) mod log_line;
mod notify;
pub(crate) mod overflow;
mod quota_notice;
pub(crate) mod recovery_log;
pub(crate) mod rescue;
mod send_or_keep;
mod service_user;
pub mod settle;
pub(crate) mod store;
pub mod watchdog;

use std::cell::{Cell, OnceCell};
use std::io;
use std::path::Path;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::classify::policy::{self, Copies, Job};
use crate::cli::{Everywhere, Who};
use crate::config::Log;
use crate::config::load::{self, ConfigSources, KeySelection};
use crate::config::location::MailStore;
use crate::deliver::caller::Variable;
use crate::deliver::context::{Delivery, Intents, Run, Started};
use crate::deliver::forward::rules::attribution;
use crate::deliver::forward::{history, verp};
use crate::error::{Category, Error, Status};
use crate::mailbox::setgid::{SetAside, SpoolDir, SpoolDirAccess};
use crate::message::Message;
use crate::message::address::Address;
use crate::message::envelope::Envelope;
use crate::output::{self, log};
use crate::sys::account::{self, Account};
use crate::sys::alias_account;
use crate::sys::deadline::Deadline;
use crate::sys::message_buffer::MessageBuffer;

/// What the command line asked for.
#[derive(Clone, Debug)]
pub struct Errand {
    /// Append or forward.
    pub job: Job,
    /// Where to forward to.
    pub destinations: Vec<String>,
    /// Where to append, if not to the user's own mailbox.
    pub mailbox: Option<MailStore>,
}

impl Errand {
    /// To append, or to forward where there is somewhere to forward to.
    pub fn new(destinations: &[String], copies: Copies) -> Self {
        Self {
            job: if destinations.is_empty() {
                Job::Deliver
            } else {
                Job::Forward(copies)
            },
            destinations: destinations.to_vec(),
            mailbox: None,
        }
    }

    /// The same, to another mailbox.
    pub fn into_mailbox(mut self, mailbox: Option<MailStore>) -> Self {
        self.mailbox = mailbox;
        self
    }
}

/// `spoolguard deliver` and `spoolguard forward`; `group` is what a setgid installation gives.
pub fn run(errand: &Errand, who: &Who, everywhere: &Everywhere, group: Option<SetAside>) -> Status {
    // Dropped last, when all the rest is done and let go of.
    let intents = Intents::default();
    end_run(guard(errand, who, everywhere, group, &intents))
}

fn guard(
    errand: &Errand,
    who: &Who,
    everywhere: &Everywhere,
    group: Option<SetAside>,
    intents: &Intents,
) -> Result<Status, Error> {
    let deadline = begin_delivery()?;
    let input = input::open_input()?;
    if !errand.destinations.is_empty() {
        input::refuse_device(&input)?;
    }
    let buffer = MessageBuffer::read(&input, &deadline)?;
    let mut run = Run::prepare_to_deliver(who, errand.mailbox.clone(), everywhere, deadline, group)?;
    run.intents = intents.clone();
    if everywhere.dry_run {
        let delivery = run.decide(&buffer, errand, who, &caller::read_variable);
        return rehearse(&run, &delivery);
    }
    Ok(settle_message(&run, &buffer, errand, who))
}

/// Judges a message that was read, and does what it gets. What became of it is logged there.
pub fn settle_message(run: &Run, buffer: &MessageBuffer, errand: &Errand, who: &Who) -> Status {
    let delivery = run.decide(buffer, errand, who, &caller::read_variable);
    match settle::carry_out(run, &delivery) {
        Ok(_) => Status::Done,
        Err(e) => say(&e),
    }
}

/// Says what would be done. Under an MTA the message has to stay with it: nobody else has it.
fn rehearse(run: &Run, delivery: &Delivery<'_>) -> Result<Status, Error> {
    let shown = output::write_answer(dry_run::describe_run(run, delivery)?.as_bytes());
    refuse_under_mta("deliver")?;
    shown.map(|()| Status::Done)
}

/// Fails where an MTA started this run: after a dry run nobody else has the message.
pub fn refuse_under_mta(verb: &'static str) -> Result<(), Error> {
    if caller::is_mail_system(&caller::read_variable) {
        let cause = "this is a dry run, started by a mail system";
        return Err(Error::new(Category::Configuration, verb, "the message", cause).hint("take --dry-run away"));
    }
    Ok(())
}

/// Shakes off what the caller left behind: signals that it blocks or ignores, and its umask, since every file that is
/// made here names its mode.
pub fn begin_run() -> Result<Deadline, Error> {
    begin_with(Deadline::begin)
}

/// The same for a single delivery, which waits for nothing if it need not, and which hangs on nothing. Called before a
/// file is touched.
pub fn begin_delivery() -> Result<Deadline, Error> {
    let deadline = begin_with(Deadline::begin_delivery)?;
    watchdog::start_watchdog();
    Ok(deadline)
}

fn begin_with(deadline: fn() -> io::Result<Deadline>) -> Result<Deadline, Error> {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    deadline().map_err(|e| Error::from_cause(Category::System, "watch", "signals", e))
}

impl Run {
    /// Finds the user, becomes that user where it started as root, and reads the configuration.
    pub fn prepare(
        who: &Who,
        mailbox: Option<MailStore>,
        everywhere: &Everywhere,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        Self::prepare_as(
            who,
            mailbox,
            everywhere,
            deadline,
            alias_account::find_alias,
            |account| account.become_user(None).map(|()| None),
        )
    }

    /// The same, and finds the place of the own mailbox, where this run may do there what a user may not.
    pub fn prepare_to_deliver(
        who: &Who,
        mailbox: Option<MailStore>,
        everywhere: &Everywhere,
        deadline: Deadline,
        group: Option<SetAside>,
    ) -> Result<Self, Error> {
        Self::prepare_as(
            who,
            mailbox,
            everywhere,
            deadline,
            alias_account::make_alias,
            |account| become_user(account, group),
        )
    }

    fn prepare_as(
        who: &Who,
        mailbox: Option<MailStore>,
        everywhere: &Everywhere,
        deadline: Deadline,
        alias_of: impl FnOnce(&str, &Path) -> Result<Account, Error>,
        become_user: impl FnOnce(&Account) -> Result<Option<SpoolDirAccess>, Error>,
    ) -> Result<Self, Error> {
        let only = everywhere.config.as_deref();
        let (account, place, loaded) = match &who.alias {
            None => {
                let account = service_user::find_account(who.user.as_deref(), only)?;
                let place = become_user(&account)?;
                watchdog::go_on_as_user();
                let sources = ConfigSources::from_choice(only, account.home.as_deref(), account.trusted_owners());
                let loaded = load::load_config(sources, KeySelection::User(&account.name))?;
                service_user::refuse_other_owner(&account, &loaded.config.mailbox.user)?;
                (account, place, loaded)
            }
            // The administrator's configuration says where its directory is, and that says whose it is.
            Some(name) => {
                let sources = ConfigSources::from_choice(only, None, account::find_runner().trusted_owners());
                let mut loaded = load::load_config(sources, KeySelection::User(name))?;
                let account = alias_of(name, Path::new(&loaded.config.aliases.dir))?;
                account.become_user(None)?;
                watchdog::go_on_as_user();
                loaded.config = loaded.config.for_alias(name, alias_account::STATE_DIR);
                (account, None, loaded)
            }
        };
        log::start_logging(&loaded.config.log, &account.name, everywhere.verbose);
        if !loaded.ignored.is_empty() {
            let keys = loaded.ignored.join(", ");
            tracing::warn!(
                user = account.name,
                keys,
                "keys that are not left to users are without effect"
            );
        }
        let is_named_by_hand = mailbox.is_some();
        let store = match mailbox {
            Some(store) => context::named_store(store, &account)?,
            None => context::store_of(&loaded.config, &account)?,
        };
        Ok(Self {
            config: loaded.config,
            account,
            deadline,
            store,
            is_named_by_hand,
            chosen: everywhere.config.clone(),
            intents: Intents::default(),
            state: OnceCell::new(),
            is_state_failure_logged: Cell::default(),
            place: place.map(Arc::new),
            started: Started::ByMail,
        })
    }

    /// Judges a message that came in now, and chooses what to do with it.
    pub fn decide<'a>(
        &self,
        buffer: &'a MessageBuffer,
        errand: &Errand,
        who: &Who,
        variable: Variable<'_>,
    ) -> Delivery<'a> {
        self.decide_at(OffsetDateTime::now_utc(), buffer, errand, who, variable)
    }

    /// The same for a message that came in at `date`; whatever depends on the time goes by that.
    pub fn decide_at<'a>(
        &self,
        date: OffsetDateTime,
        buffer: &'a MessageBuffer,
        errand: &Errand,
        who: &Who,
        variable: Variable<'_>,
    ) -> Delivery<'a> {
        let message = Message::new(buffer.head());
        let envelope = caller::read_envelope(who, variable, &message, &self.config, &self.account);
        let errand = without_own(errand, &envelope, &self.account.name);
        let mut judgement = judge::judge_message(&message, &envelope, &self.config);
        let found = verp::find_token(self, &envelope, &message, date.unix_timestamp());
        let token = found.map(|(claim, address)| {
            attribution::believe_token(&mut judgement, &address);
            claim
        });
        let knows_forward = |id: &str| history::sent_to(self, id);
        let destination = token.as_ref().map(|_| "");
        attribution::believe_history(&mut judgement, destination, knows_forward);
        let action = policy::choose_action(&judgement, errand.job, &self.config.guard);
        Delivery {
            buffer,
            message,
            envelope,
            judgement,
            action,
            destinations: errand.destinations,
            token,
            date,
            name: OnceCell::new(),
        }
    }
}

/// Becomes the user where this is root, and finds the place of the user's mailbox: in the system's spool directory,
/// under the name that root was told, or, of a setgid installation, under the name of whoever runs it. None where there
/// is nothing to be done there that the user could not do.
fn become_user(account: &Account, group: Option<SetAside>) -> Result<Option<SpoolDirAccess>, Error> {
    let spool_dir = || load::system_config().and_then(|config| SpoolDir::open(config.mailbox.location.spool_dir()));
    if account::is_root() {
        let Some(dir) = spool_dir() else {
            return account.become_user(None).map(|()| None);
        };
        let group = dir.become_user(account)?;
        return Ok(group.and_then(|group| dir.place_of(&account.name, group)));
    }
    let place = group
        .filter(|_| account::is_own_local_name(&account.name))
        .and_then(|group| spool_dir()?.place_of(&account.name, group));
    Ok(place)
}

/// A user who forwards to an own address wants the message here; sent out, it would only come back.
fn without_own(errand: &Errand, envelope: &Envelope, user: &str) -> Errand {
    let is_own = |text: &String| match Address::parse(text) {
        Some(address) if address.domain().is_none() => address.local() == user,
        Some(address) => envelope.own.contains(&address),
        None => false,
    };
    let (own, others): (Vec<_>, Vec<_>) = errand.destinations.iter().cloned().partition(is_own);
    let copies = match errand.job {
        Job::Forward(copies) if own.is_empty() => copies,
        Job::Forward(_) | Job::Deliver => Copies::Keep,
    };
    Errand::new(&others, copies)
}

/// Ends a delivering run that failed before there was a case: MTAs do not always log what is printed.
pub fn end_run(result: Result<Status, Error>) -> Status {
    result.unwrap_or_else(|e| {
        log::start_logging(&Log::default(), "", 0);
        tracing::error!(action = "defer", note = e.to_string());
        say(&e)
    })
}

/// Says what failed, in one line on standard error.
fn say(error: &Error) -> Status {
    output::print_stderr(&error.line());
    error.status()
}
