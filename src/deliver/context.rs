//! What is known while a message is on its way: `Run` holds for all messages of a run, `Delivery` for one message, and
//! `Outcome` says what became of it.

use crate::message::address::{Address, OwnAddresses};
use std::cell::{Cell, OnceCell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::classify::policy::Action;
use crate::classify::verdict::Judgement;
use crate::config::Config;
use crate::config::location::{self, MailStore};
use crate::config::value::Limit;
use crate::deliver::store::handover_note::HandoverNote;
use crate::error::{Category, Error, Retry};
use crate::mailbox::intent::AppendIntent;
use crate::mailbox::setgid::SpoolDirAccess;
use crate::maildir::intent::DeliveryIntent;
use crate::message::Message;
use crate::message::envelope::Envelope;
use crate::message::key::MessageKey;
use crate::message::verp::VerpToken;
use crate::sys::account::{Account, AccountKind};
use crate::sys::deadline::Deadline;
use crate::sys::message_buffer::MessageBuffer;
use crate::sys::{alias_account, dirs};

/// What stays the same for every message of a run.
#[derive(Debug)]
pub struct Run {
    /// What is configured.
    pub config: Config,
    /// Whose mail it is.
    pub account: Account,
    /// How long this run may wait.
    pub deadline: Deadline,
    /// Where the user's mail is put.
    pub store: MailStore,
    /// Whether the command line names it, and not the configuration.
    pub is_named_by_hand: bool,
    /// The configuration file that the command line names.
    pub chosen: Option<PathBuf>,
    /// What was appended and is not finished.
    pub intents: Intents,
    /// Where the state is, once somebody asked.
    pub state: OnceCell<Option<PathBuf>>,
    /// Whether the log says already that nothing can be remembered.
    pub is_state_failure_logged: Cell<bool>,
    /// The place of the user's own mailbox, where this run has rights of its own there.
    pub place: Option<Arc<SpoolDirAccess>>,
    /// Who wants mail to be sent.
    pub started: Started,
}

/// Who wants mail to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It came in, and goes its way.
    ByMail,
    /// Somebody sends stored mail: also what was sent before, and what would be held back.
    ByHand,
}

/// The notes on what was appended, until the run is over. They go last of all: a kill before that makes the MTA try
/// again.
#[derive(Clone, Debug, Default)]
pub struct Intents(Rc<RefCell<Vec<Intent>>>);

/// A note on what was put into a mailbox.
#[derive(Debug)]
pub enum Intent {
    /// In an mbox.
    Mbox(AppendIntent),
    /// In a Maildir.
    Maildir(DeliveryIntent),
    /// Behind an LMTP server.
    Lmtp(HandoverNote),
}

impl Intent {
    fn leave(self) {
        match self {
            Self::Mbox(intent) => intent.leave(),
            Self::Maildir(intent) => intent.leave(),
            Self::Lmtp(note) => note.leave(),
        }
    }
}

impl Intents {
    /// Keeps a note.
    pub fn add(&self, note: Option<Intent>) {
        self.0.borrow_mut().extend(note);
    }

    /// The message is safe, and will not come again: the notes go.
    pub fn finish(&self) {
        self.0.borrow_mut().clear();
    }

    /// The message goes back to the MTA, and what was appended stays: the notes do, too.
    pub fn leave(&self) {
        self.0.borrow_mut().drain(..).for_each(Intent::leave);
    }
}

/// One message on its way.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// The message, to be read again.
    pub buffer: &'a MessageBuffer,
    /// Its beginning.
    pub message: Message<'a>,
    /// Who sent it, and for whom it is.
    pub envelope: Envelope,
    /// What it is.
    pub judgement: Judgement,
    /// What shall be done with it.
    pub action: Action,
    /// Where it is sent on to.
    pub destinations: Vec<String>,
    /// The token of the address that it came to, if it is one that only we could make.
    pub token: Option<VerpToken>,
    /// When it came.
    pub date: OffsetDateTime,
    /// What it is remembered by, once somebody asked.
    pub name: OnceCell<MessageKey>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It lies in a mailbox.
    Appended {
        /// Which one, as people read it.
        mailbox: String,
        /// Why there, if that was not the plan.
        note: Option<String>,
    },
    /// The MTA has it.
    Forwarded {
        /// For whom.
        to: Vec<String>,
        /// What else happened.
        note: Option<String>,
    },
    /// The administrator has it.
    Diverted {
        /// The address or path.
        to: String,
        /// Where a copy is held.
        held: Option<PathBuf>,
    },
    /// The administrator learns only that it came.
    Held {
        /// Where it is.
        at: PathBuf,
        /// Why it was not sent.
        note: String,
    },
    /// It was a test of ours, or a report about one.
    Test {
        /// What came of it.
        note: String,
    },
    /// Every destination had this same message: it was counted.
    Repeated {
        /// Which had it, and when.
        note: String,
    },
}

/// Does what comes behind a message of which it is settled what becomes of it. A mistake of ours there ends nothing: a
/// message that is safe would come again.
pub fn when_settled(step: impl FnOnce()) {
    let _ = panic::catch_unwind(AssertUnwindSafe(step));
}

impl Run {
    /// Where this user's held copies, overflow and memories are; none where there is neither a home nor a configured
    /// place, or where others may write to it. Whether they may is looked at once.
    pub fn state_dir(&self) -> Option<PathBuf> {
        let state = || state_dir(&self.config, &self.account);
        self.state.get_or_init(state).clone()
    }

    /// Logs that `error` keeps this run from its state, and what comes of that. Where a home is full or cannot be
    /// written, each step fails for the same reason: only the first is a warning.
    pub fn log_state_failure(&self, error: &Error, consequence: &'static str) {
        let user = &self.account.name;
        let is_lasting = error.retry_outlook() == Retry::NeedsMending || error.is_lack_of_room();
        if !is_lasting {
            tracing::warn!(user, cause = %error, "{consequence}");
        } else if self.is_state_failure_logged.replace(true) {
            tracing::debug!(user, cause = %error, "{consequence}");
        } else {
            let what = "the state directory cannot be used: nothing is remembered of sent mail, storms and suspensions";
            tracing::warn!(user, cause = %error, "{what}");
        }
    }

    /// Why nothing can be remembered, as far as looking tells: others may write to the state directory, or this run may
    /// not.
    pub fn state_trouble(&self) -> Option<Error> {
        let dir = match trusted_state_dir(&self.config, &self.account) {
            Ok(dir) => dir?,
            Err(e) => return Some(e),
        };
        let e = dirs::refuse_unwritable(&dir).err()?;
        Some(Error::io("write to the state directory", &dir, &e))
    }

    /// The mark of `kind` for this user, whose time says when something was done last (`sys::cache_file`).
    pub fn mark_path(&self, kind: &str) -> Option<PathBuf> {
        Some(self.state_dir()?.join(kind).join(self.account.name.replace('/', "_")))
    }

    /// How full the user's mailbox may be.
    pub fn limit(&self) -> Limit {
        self.config.quota.limit_of(&self.account.name, || self.account.groups())
    }
}

/// Where a user's mail is put. Fails when the location needs something that the user has not got.
pub fn store_of(config: &Config, account: &Account) -> Result<MailStore, Error> {
    if let (AccountKind::Alias, Some(home)) = (account.kind, &account.home) {
        return Ok(MailStore::Mbox(home.join(alias_account::MAILBOX)));
    }
    let store = config.mailbox.location.of(&account.name, account.home.as_deref());
    store.map_err(|cause| Error::new(Category::Configuration, "find the mailbox of", &account.name, cause))
}

/// The mailbox that the command line names. Fails when it is below the home directory, and the user has none.
pub fn named_store(store: MailStore, account: &Account) -> Result<MailStore, Error> {
    let store = store.at_home(account.home.as_deref());
    store.map_err(|cause| Error::new(Category::Configuration, "find the mailbox of", &account.name, cause))
}

/// Where a user's state is; none where there is neither a home nor a configured place, or where others may write to it:
/// then the log says so.
pub fn state_dir(config: &Config, account: &Account) -> Option<PathBuf> {
    trusted_state_dir(config, account).unwrap_or_else(|e| {
        tracing::warn!(user = account.name, note = e.to_string(), "goes on without its state");
        None
    })
}

fn trusted_state_dir(config: &Config, account: &Account) -> Result<Option<PathBuf>, Error> {
    let dir = state_place(config, account);
    if let Some(dir) = &dir {
        dirs::refuse_shared(dir, &[account.uid, 0])?;
    }
    Ok(dir)
}

/// Where the state of a virtual user is, unless the configuration says so: all of them belong to one account.
const VIRTUAL_STATE_DIR: &str = "/var/lib/spoolguard/%d/%n";

/// Where a user's state would be, whoever may write there.
pub fn state_place(config: &Config, account: &Account) -> Option<PathBuf> {
    let configured = match (config.state_dir.as_str(), account.is_virtual()) {
        ("", true) => VIRTUAL_STATE_DIR,
        (configured, _) => configured,
    };
    // A name that would lead elsewhere has no state.
    let configured = location::fill_in(configured, &account.name).ok()?;
    match (configured.as_str(), &account.home) {
        ("", None) => None,
        ("", Some(home)) => Some(home.join(".local/state/spoolguard")),
        (path, home) => match (path.strip_prefix("~/"), home) {
            (Some(below), Some(home)) => Some(home.join(below)),
            (Some(_), None) => None,
            (None, _) => Some(PathBuf::from(path)),
        },
    }
}

impl Delivery<'_> {
    /// What the message is remembered by. Made once: all of its beginning goes into it.
    pub fn name(&self) -> &MessageKey {
        self.name
            .get_or_init(|| MessageKey::of(&self.message, self.content_bytes()))
    }

    /// The message without the separator line that the caller put in front.
    pub fn content_start(&self) -> usize {
        self.buffer.head().len() - self.message.content().len()
    }

    /// Its length, in bytes.
    pub fn content_bytes(&self) -> u64 {
        self.buffer.bytes() - self.content_start() as u64
    }

    /// The user's address, as it goes into `X-Loop`.
    pub fn own_address(&self) -> String {
        self.envelope
            .own
            .primary()
            .map(|own| own.to_string())
            .unwrap_or_default()
    }
}

/// Tells whether the administrator is the user, so that diverting would only bring the message back.
pub fn is_the_user(run: &Run, own: &OwnAddresses, admin: &str) -> bool {
    if admin.starts_with('/') {
        return run.store.path() == Some(Path::new(admin));
    }
    match Address::parse(admin) {
        Some(address) if address.domain().is_none() => address.local() == run.account.name,
        Some(address) => own.contains(&address),
        None => false,
    }
}
