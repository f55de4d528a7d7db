//! Where a user's mail is put. The rest of a delivery does not know the kind of mailbox: it asks a `MailStore` to put a
//! message there, and holds a `Receipt` for it. A new kind gets a file here, a variant of both.
//!
//! When `put` returns, the message is safe, or it is not there. A receipt is kept until nothing can send the message
//! back any more. Then the next try does not bring it a second time, where the store can recognise it.

pub(crate) mod entry;
pub(crate) mod handover_note;
pub(crate) mod lmtp;
mod maildir;
pub(crate) mod mbox;

use std::io::Read;

use time::OffsetDateTime;

use crate::config::Over;
use crate::config::location::MailStore;
use crate::config::value::Limit;
use crate::deliver::context::{self, Delivery, Intent, Run};
use crate::deliver::store::entry::{Entry, Put, Terms};
use crate::deliver::store::handover_note::HandoverNote;
use crate::deliver::store::maildir::InMaildir;
use crate::deliver::{notify, quota_notice};
use crate::error::{Category, Error};
use crate::mailbox::append::Appended;
use crate::mailbox::open::{Owner, no_directory, open_existing};
use crate::maildir::directory::Maildir;
use crate::message::address::{Address, OwnAddresses};
use crate::message::envelope::Sender;
use crate::output::sizes::{message_count_text, size_text};
use crate::quota::{Usage, admit, when_full};
use crate::sys::dirs::parent_of;

/// Proof that a message lies in a mailbox. Dropped, the message stays, and its next try is not known.
#[derive(Debug)]
#[must_use]
pub enum Receipt {
    Mbox(Appended),
    Maildir(InMaildir),
    /// Behind an LMTP server; what is noted of it, where that could be.
    Lmtp(Option<HandoverNote>),
}

impl MailStore {
    /// Tells whether a message can be taken back. Where it cannot, a message is sent before a copy of it is put there.
    pub fn can_take_back(&self) -> bool {
        match self {
            Self::Mbox(_) | Self::Maildir(_) => true,
            Self::Lmtp(_) => false,
        }
    }

    /// Tells whether messages can be read there again.
    pub fn can_be_read(&self) -> bool {
        match self {
            Self::Mbox(_) | Self::Maildir(_) => true,
            Self::Lmtp(_) => false,
        }
    }

    /// Puts the entry there, synced, if it fits. A repeated try of a killed run finds what is there. Fails when it
    /// cannot be done now; then no part of it is there.
    pub fn put<R: Read + Clone>(
        &self,
        run: &Run,
        entry: Entry<'_, R>,
        terms: Option<Terms<'_>>,
    ) -> Result<Put<Receipt>, Error> {
        match self {
            Self::Mbox(path) => mbox::put_entry(run, path, entry, terms).map(|put| put.map(Receipt::Mbox)),
            Self::Maildir(path) => maildir::put_entry(run, path, entry, terms).map(|put| put.map(Receipt::Maildir)),
            Self::Lmtp(servers) => lmtp::put_entry(run, servers, &entry, terms).map(|put| put.map(Receipt::Lmtp)),
        }
    }

    /// Takes over the note of a killed run on a message that is there, and is not put there again: it goes with this
    /// run. Fails when the mailbox cannot be looked at now: then the note stays.
    pub fn settle_left<R: Read + Clone>(&self, run: &Run, entry: Entry<'_, R>) -> Result<(), Error> {
        match self {
            Self::Mbox(path) => mbox::settle_left(run, path, entry),
            Self::Maildir(path) => maildir::settle_left(run, path, entry),
            Self::Lmtp(_) => lmtp::settle_left(run, &entry),
        }
    }

    /// Takes a message back, when it goes back to the MTA and will come again. One that stays is known then, where that
    /// can be.
    pub fn take_back(&self, run: &Run, receipt: Receipt) -> Result<(), Error> {
        match (self, receipt) {
            (Self::Mbox(path), Receipt::Mbox(appended)) => mbox::take_back(run, path, appended),
            (Self::Maildir(path), Receipt::Maildir(delivered)) => maildir::take_back(run, path, delivered),
            (Self::Lmtp(_), Receipt::Lmtp(note)) => {
                note.into_iter().for_each(HandoverNote::leave);
                Err(self.cannot("take a copy back from", "LMTP has no command for that"))
            }
            (Self::Mbox(_) | Self::Maildir(_) | Self::Lmtp(_), receipt) => {
                receipt.keep(run);
                Err(self.cannot("take a copy back from", "the copy is in another mailbox"))
            }
        }
    }

    /// Looks whether a message could be put there, changes nothing and takes no lock.
    pub fn refuse_unusable(&self, run: &Run) -> Result<(), Error> {
        let uid = run.account.uid;
        match self {
            Self::Mbox(path) => match open_existing(path, Owner::Exactly(uid))? {
                None if !parent_of(path).exists() => Err(no_directory(path)),
                Some(_) | None => Ok(()),
            },
            Self::Maildir(path) => Maildir::open(path, uid).map(drop),
            Self::Lmtp(_) => Ok(()),
        }
    }

    /// How full it is, looked at without a lock; messages are counted where `limit` limits them.
    pub fn usage(&self, run: &Run, limit: Limit) -> Result<Usage, Error> {
        match self {
            Self::Mbox(path) => mbox::measure_usage(run, path, limit),
            Self::Maildir(path) => maildir::measure_usage(run, path),
            Self::Lmtp(_) => Err(self.cannot("measure", "LMTP does not say how full a mailbox is")),
        }
    }

    /// How full it may be.
    pub fn limit(&self, run: &Run) -> Limit {
        match self {
            Self::Mbox(_) => run.limit(),
            Self::Maildir(path) => maildir::find_limit(run, path),
            // The server limits it.
            Self::Lmtp(_) => Limit::default(),
        }
    }

    fn cannot(&self, verb: &'static str, cause: &str) -> Error {
        Error::new(Category::Mailbox, verb, self.to_string(), cause)
    }
}

impl Receipt {
    /// The message stays. What is noted of it goes last of all, when nothing can send the message back any more.
    pub fn keep(self, run: &Run) {
        match self {
            Self::Mbox(appended) => run.intents.add(appended.into_note().map(Intent::Mbox)),
            Self::Maildir(delivered) => delivered.keep(run),
            Self::Lmtp(note) => run.intents.add(note.map(Intent::Lmtp)),
        }
    }
}

/// Puts the message with `added` fields on top into the user's mailbox, if there is room; if not, `over` says what is
/// to be done.
pub fn place_message(run: &Run, delivery: &Delivery<'_>, added: &str, over: Over) -> Result<Put<Receipt>, Error> {
    let store = &run.store;
    let limit = store.limit(run);
    let terms = Terms {
        limit,
        fits: &|usage, incoming_bytes| {
            let sender = &delivery.envelope.sender;
            admit(usage, incoming_bytes, limit, over, sender, &delivery.judgement)
        },
        when_full: when_full(over, &delivery.envelope.sender, &delivery.judgement),
        notice: &|bytes| quota_notice::take_due_notice(run, delivery, limit, bytes),
    };
    store.put(run, Entry::of(run, delivery, added), Some(terms))
}

/// Takes over the note that a killed run left on the message in the user's mailbox. So it does not stop one that is
/// sent on purpose.
pub fn settle_left(run: &Run, delivery: &Delivery<'_>, added: &str) {
    if let Err(e) = run.store.settle_left(run, Entry::of(run, delivery, added)) {
        tracing::debug!(user = run.account.name, cause = %e, "a note of a killed run stays");
    }
}

/// Puts a message that spoolguard wrote itself to `own` into the user's mailbox, whether it is full or not. Nobody
/// reads that of an alias: its administrator gets it.
pub fn place_notice(run: &Run, own: &str, text: &str, date: OffsetDateTime) -> Result<(), Error> {
    let mut addresses = OwnAddresses::new(&run.config.recipient_delimiter);
    Address::parse(own)
        .into_iter()
        .for_each(|address| addresses.add(address));
    if run.account.is_alias() && !context::is_the_user(run, &addresses, &run.config.admin) {
        return notify::notify_admin(run, "send a notice to", text, date, None);
    }
    let entry = Entry {
        sender: &Sender::Null,
        recipient: Some(own).filter(|own| !own.is_empty()),
        date,
        return_path: "Return-Path: <>\n".to_owned(),
        added: "",
        content: text.as_bytes(),
        content_bytes: text.len() as u64,
        submission: None,
    };
    match run.store.put(run, entry, None)? {
        // Nobody brings it again.
        Put::Done(_) => Ok(()),
        Put::Full(_) => Err(full_error(run, text.len() as u64, Category::MailboxFull)),
    }
}

/// Says that the mailbox has no room for a message of `incoming_bytes`.
pub fn full_error(run: &Run, incoming_bytes: u64, class: Category) -> Error {
    let limit = run.store.limit(run);
    if let Some(most) = limit.bytes.filter(|bytes| *bytes < incoming_bytes) {
        let (message, quota) = (size_text(incoming_bytes), size_text(most));
        let cause = format!("over quota: the message ({message}) is larger than the whole quota ({quota})");
        return Error::new(class, "append to", run.store.to_string(), cause);
    }
    let bytes = limit.bytes.map(size_text);
    let messages = limit.messages.map(message_count_text);
    let bounds: Vec<_> = bytes.into_iter().chain(messages).collect();
    let cause = match bounds.as_slice() {
        [] => "the mailbox is full, as its server says".to_owned(),
        bounds => format!("the mailbox is full, over quota ({})", bounds.join(" or ")),
    };
    Error::new(class, "append to", run.store.to_string(), cause)
}
