//! Is there room for a message to this recipient? The answer is "full" only where the message would go into that very
//! mailbox and find no room there. Otherwise it is "room", since a delivery looks again.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::classify::verdict::{Judgement, Verdict};
use crate::command::policy::rules::RoomQuestion;
use crate::command::policy::settings::PolicySettings;
use crate::config::location::{Endpoint, MailStore};
use crate::config::value::Limit;
use crate::config::{Config, Over};
use crate::deliver::context::state_place;
use crate::deliver::store::lmtp::recipient_of;
use crate::doctor::rules::aliases::{End, Names};
use crate::escape::make_visible;
use crate::lmtp;
use crate::mailbox::count;
use crate::maildir::directory::Maildir;
use crate::maildir::size_file;
use crate::maildir::usage::MaildirUsage;
use crate::message::address::Address;
use crate::message::envelope::Sender;
use crate::quota::{Admission, Usage, admit};
use crate::sys::account::{self, Account};

/// Files in a home that may send a user's mail elsewhere before a mailbox sees it. Postfix, Exim, sendmail and
/// OpenSMTPD read the first, procmail and maildrop the others.
const REDIRECTIONS: [&str; 3] = [".forward", ".procmailrc", ".mailfilter"];

/// Whether a message finds room, and why that is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomAnswer {
    Room(RoomReason),
    Full(FullMailbox),
}

/// Why nothing is known against a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomReason {
    /// The configuration cannot be used.
    NoConfiguration,
    /// Within 100 ms nothing could be told.
    TooLate,
    /// A report or another message that nobody could return.
    NullSender,
    /// The address cannot be read.
    NoAddress,
    /// Its domain is not among `[policy] domains`.
    OtherDomain,
    /// `when_full` finds a place for each message.
    AlwaysRoom(Over),
    NoSingleUser,
    NoLimit(String),
    /// A file in the home of this user may send the mail elsewhere.
    Redirected(String, String),
    HomeUnseen(String),
    /// The mailbox of this user cannot be measured.
    MailboxUnseen(String),
    Fits(String, Usage, Limit),
    ServerTakes(String),
    /// The LMTP server does not say that the mailbox of this user is full; what it says, or why nothing.
    ServerUnclear(String, String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullMailbox {
    pub user: String,
    pub evidence: FullEvidence,
    /// The SMTP reply that says so.
    pub reply: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FullEvidence {
    /// How full it is, and how full it may be, `grace` included.
    Measured(Usage, Limit),
    /// What the LMTP server said that keeps it.
    Said(String),
}

/// Answers a question. An LMTP server has `patience` to say whether there is room.
pub fn answer_question(question: &RoomQuestion, settings: &PolicySettings, patience: Duration) -> RoomAnswer {
    match full_mailbox(question, settings, patience) {
        Ok(full) => RoomAnswer::Full(full),
        Err(reason) => RoomAnswer::Room(reason),
    }
}

/// The mailbox that has no room for the message; an error says why nothing is known against it.
fn full_mailbox(
    question: &RoomQuestion,
    settings: &PolicySettings,
    patience: Duration,
) -> Result<FullMailbox, RoomReason> {
    let config = &settings.config;
    if question.sender == Sender::Null {
        return Err(RoomReason::NullSender);
    }
    match config.quota.when_full {
        Over::Defer | Over::Refuse => {}
        over @ (Over::Divert | Over::Overflow | Over::Archive) => return Err(RoomReason::AlwaysRoom(over)),
    }
    let address = Address::parse(&question.recipient).ok_or(RoomReason::NoAddress)?;
    if !is_own_domain(&address, config) {
        return Err(RoomReason::OtherDomain);
    }
    let account = single_user(&address, settings)?;
    refuse_redirected(&account, &address, config)?;
    let evidence = match config.mailbox.location.of(&account.name, account.home.as_deref()) {
        Ok(MailStore::Lmtp(servers)) => ask_servers(&servers, question, &account, config, patience)?,
        Ok(MailStore::Mbox(path)) => measure(&account, question, config, |limit, _| {
            mbox_usage(&path, &account, limit, config)
        })?,
        Ok(MailStore::Maildir(path)) => measure(&account, question, config, |limit, incoming_bytes| {
            maildir_usage(&path, &account, limit, incoming_bytes)
        })?,
        Err(_) => return Err(RoomReason::MailboxUnseen(account.name)),
    };
    Ok(FullMailbox {
        user: account.name,
        evidence,
        reply: config.policy.full.clone(),
    })
}

/// Asks whoever keeps the mailbox, in the words of a delivery.
fn ask_servers(
    servers: &[Endpoint],
    question: &RoomQuestion,
    account: &Account,
    config: &Config,
    patience: Duration,
) -> Result<FullEvidence, RoomReason> {
    let user = account.name.as_str();
    let recipient = recipient_of(user, Some(&question.recipient), &config.recipient_delimiter);
    let sender = match &question.sender {
        Sender::Address(sender) => sender,
        Sender::Unknown | Sender::Null => recipient,
    };
    if !lmtp::is_path(sender) || !lmtp::is_path(recipient) {
        return Err(RoomReason::NoAddress);
    }
    match lmtp::ask_room(servers, (sender, recipient), question.size_bytes, patience) {
        Ok(Some(said)) => Ok(FullEvidence::Said(said)),
        Ok(None) => Err(RoomReason::ServerTakes(user.to_owned())),
        Err(cause) => Err(RoomReason::ServerUnclear(user.to_owned(), cause)),
    }
}

/// Holds what `usage` tells of the mailbox against the user's limit.
fn measure(
    account: &Account,
    question: &RoomQuestion,
    config: &Config,
    usage: impl FnOnce(Limit, u64) -> Option<Usage>,
) -> Result<FullEvidence, RoomReason> {
    let limit = limit_of(account, config)?;
    let incoming_bytes = question.size_bytes.max(1);
    let usage = usage(limit, incoming_bytes).ok_or_else(|| RoomReason::MailboxUnseen(account.name.clone()))?;
    let ordinary = Judgement {
        verdict: Verdict::Ordinary,
        null_sender: None,
        diverted_before: None,
        spam: None,
    };
    match admit(usage, incoming_bytes, limit, Over::Refuse, &question.sender, &ordinary) {
        Admission::Full(_) => Ok(FullEvidence::Measured(usage, limit)),
        Admission::Fits => Err(RoomReason::Fits(account.name.clone(), usage, limit)),
    }
}

/// Whether the users of this host are meant at all. Nobody but the MTA knows its domains; where none is configured,
/// each counts.
fn is_own_domain(address: &Address, config: &Config) -> bool {
    let domains = &config.policy.domains;
    match address.domain() {
        Some(domain) if !domains.is_empty() => domains.iter().any(|own| own.eq_ignore_ascii_case(domain)),
        Some(_) | None => true,
    }
}

/// The user whose mailbox the address leads to, through aliases, where that is one and nothing else gets the message.
fn single_user(address: &Address, settings: &PolicySettings) -> Result<Account, RoomReason> {
    let config = &settings.config;
    let found: RefCell<Option<Account>> = RefCell::default();
    let names = Names {
        aliases: &settings.aliases,
        is_user: &|name| match account::find_known(name) {
            Ok(Some(account)) => found.replace(Some(account)).is_none_or(|_| true),
            // Whoever cannot be asked for is nobody here.
            Ok(None) | Err(_) => false,
        },
        is_own_domain: &|domain| {
            let own = config.policy.domains.iter().map(String::as_str);
            let hosts = [account::mail_name(), account::host_name(), "localhost".to_owned()];
            own.chain(hosts.iter().map(String::as_str))
                .any(|own| own.eq_ignore_ascii_case(domain))
        },
        delimiter: &config.recipient_delimiter,
    };
    // The domain was judged before; in the aliases a foreign one leads away.
    let local = Address::from_parts(address.local(), "").ok_or(RoomReason::NoAddress)?;
    let ends = names.find_ends(&local.to_string());
    match (ends.as_slice(), found.take()) {
        ([End::User(name)], Some(account)) if account.name == *name => Ok(account),
        // An alias may name a mailbox without asking whether somebody is called so.
        ([End::User(name)], _) => account::find_known(name).ok().flatten().ok_or(RoomReason::NoSingleUser),
        ([End::Nobody(_)], _) => virtual_user(address, config).ok_or(RoomReason::NoSingleUser),
        _ => Err(RoomReason::NoSingleUser),
    }
}

/// The virtual user of this address, whom only an LMTP server knows.
fn virtual_user(address: &Address, config: &Config) -> Option<Account> {
    let is_known = !config.mailbox.location.lmtp_servers().is_empty() && !config.mailbox.user.is_empty();
    let name = format!(
        "{}@{}",
        address.without_extension(&config.recipient_delimiter),
        address.domain()?
    );
    account::find_named(&name).ok().filter(|_| is_known)
}

fn limit_of(account: &Account, config: &Config) -> Result<Limit, RoomReason> {
    let grace = config.policy.grace.bytes();
    let limit = config.quota.limit_of(&account.name, || account.groups());
    let limit = Limit {
        bytes: limit.bytes.map(|bytes| bytes.saturating_add(grace)),
        ..limit
    };
    match limit.bytes.is_none() && limit.messages.is_none() {
        true => Err(RoomReason::NoLimit(account.name.clone())),
        false => Ok(limit),
    }
}

/// Refuses to judge a mailbox past which a file in the user's home may send the message. `forward` needs no room.
fn refuse_redirected(account: &Account, address: &Address, config: &Config) -> Result<(), RoomReason> {
    let Some(home) = &account.home else { return Ok(()) };
    let extension = address
        .local()
        .get(address.without_extension(&config.recipient_delimiter).len()..);
    let with_extension = extension
        .filter(|text| !text.is_empty())
        .map(|text| format!(".forward{text}"));
    let names = REDIRECTIONS.iter().map(|name| (*name).to_owned()).chain(with_extension);
    for name in names {
        if name.contains(['/', '\0']) {
            return Err(RoomReason::Redirected(account.name.clone(), name));
        }
        match home.join(&name).symlink_metadata() {
            Ok(_) => return Err(RoomReason::Redirected(account.name.clone(), name)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(_) => return Err(RoomReason::HomeUnseen(account.name.clone())),
        }
    }
    Ok(())
}

/// How full an mbox is. Messages count where a delivery has noted their number since the mailbox last changed, and that
/// note can be read; otherwise only bytes do. None where it cannot be told.
fn mbox_usage(path: &Path, account: &Account, limit: Limit, config: &Config) -> Option<Usage> {
    let bytes = match path.symlink_metadata() {
        Ok(stat) if stat.is_file() => stat.len(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
        Ok(_) | Err(_) => return None,
    };
    let noted = |path: &Path| count::read_noted_count(path, &state_place(config, account)?);
    let messages = limit.messages.and_then(|_| noted(path)).unwrap_or(0);
    Some(Usage { bytes, messages })
}

/// How full a Maildir is: as its `maildirsize` says, where that leaves room. Otherwise the names of its messages tell,
/// since the file still counts mail that was removed without a line. None where it cannot be told.
fn maildir_usage(path: &Path, account: &Account, limit: Limit, incoming_bytes: u64) -> Option<Usage> {
    let Some(maildir) = Maildir::open(path, account.uid).ok()? else {
        return Some(Usage::default());
    };
    let file = size_file::read_size_file(&maildir).ok().flatten();
    let believed = file.and_then(|file| file.usage()).filter(|usage| {
        let within = |used: u64, most: Option<u64>| most.is_none_or(|most| used <= most);
        within(usage.bytes.saturating_add(incoming_bytes), limit.bytes) && within(usage.messages + 1, limit.messages)
    });
    let usage = believed.map_or_else(|| MaildirUsage::count(&maildir).ok(), Some)?;
    Some(Usage {
        bytes: usage.bytes,
        messages: usage.messages,
    })
}

impl fmt::Display for RoomReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConfiguration => f.write_str("the configuration cannot be used"),
            Self::TooLate => f.write_str("nothing could be told in time"),
            Self::NullSender => f.write_str("the null sender is never refused"),
            Self::NoAddress => f.write_str("not a valid address"),
            Self::OtherDomain => f.write_str("the domain is not in [policy] domains"),
            Self::AlwaysRoom(over) => {
                let name = match over {
                    Over::Divert => "divert",
                    Over::Overflow => "overflow",
                    Over::Archive => "archive",
                    Over::Defer => "defer",
                    Over::Refuse => "refuse",
                };
                write!(f, "when_full = \"{name}\" finds a place for each message")
            }
            Self::NoSingleUser => f.write_str("the address leads to no single user of this host"),
            Self::NoLimit(user) => write!(f, "user {user} has no limit"),
            Self::Redirected(user, file) => write!(f, "user {user} has a {file}, which may send the message elsewhere"),
            Self::HomeUnseen(user) => write!(f, "the home of user {user} cannot be searched for a .forward"),
            Self::MailboxUnseen(user) => write!(f, "the mailbox of user {user} cannot be measured"),
            Self::Fits(user, usage, limit) => write!(f, "user {user} has room: {}", FillLevel(*usage, *limit)),
            Self::ServerTakes(user) => write!(f, "the LMTP server takes mail for user {user}"),
            Self::ServerUnclear(user, cause) => {
                write!(
                    f,
                    "the LMTP server does not say that user {user} is over quota: {}",
                    make_visible(cause)
                )
            }
        }
    }
}

impl fmt::Display for FullMailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = &self.user;
        match &self.evidence {
            FullEvidence::Measured(usage, limit) if is_within(*usage, *limit) => {
                write!(
                    f,
                    "user {user} has no room for this size: {}",
                    FillLevel(*usage, *limit)
                )
            }
            FullEvidence::Measured(usage, limit) => {
                write!(f, "user {user} is over quota: {}", FillLevel(*usage, *limit))
            }
            FullEvidence::Said(said) => {
                write!(
                    f,
                    "user {user} is over quota: the LMTP server said {}",
                    make_visible(said)
                )
            }
        }
    }
}

/// Tells whether there would be room for a smaller message.
fn is_within(usage: Usage, limit: Limit) -> bool {
    limit.bytes.is_none_or(|bytes| usage.bytes < bytes) && limit.messages.is_none_or(|most| usage.messages < most)
}

/// How full a mailbox is, beside its limits.
struct FillLevel(Usage, Limit);

impl fmt::Display for FillLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(usage, limit) = self;
        match limit.bytes {
            Some(bytes) => write!(f, "{} of {bytes} bytes", usage.bytes)?,
            None => write!(f, "{} bytes", usage.bytes)?,
        }
        match limit.messages {
            Some(messages) => write!(f, ", {} of {messages} messages", usage.messages),
            None => Ok(()),
        }
    }
}
