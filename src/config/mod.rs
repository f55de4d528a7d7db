//! What may be configured: TOML to `Config`, checked once. A file that cannot be read, an unknown key and a value that
//! is not allowed are errors which name file, line and key.
//!
//! `/etc/spoolguard.toml` is the administrator's. `~/.config/spoolguard.toml` is the user's, for the keys that the
//! administrator leaves to users; without an administrator's file that is all of them. No file is one, too.

mod archive;
mod check;
pub mod destinations;
pub mod excerpt;
mod guard;
pub mod load;
mod located;
pub mod location;
mod log_to;
pub mod mistakes;
mod quota;
pub mod transport;
mod trust;
pub mod value;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::config::log_to::LogTo;
pub use archive::{Archive, ArchiveFormat};
pub use destinations::SuspensionSettings;
pub use guard::{Choice, Guard};
pub use location::Location;
pub use quota::{Over, Quota};
pub use transport::Transport;
use value::{Age, Size};

/// Where the administrator's configuration is.
pub const SYSTEM_FILE: &str = "/etc/spoolguard.toml";

/// Where a user's is, below the home directory.
pub const USER_FILE: &str = ".config/spoolguard.toml";

/// Everything that may be configured. Each field is a key of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who gets what is diverted: an address, or the absolute path of an mbox.
    pub admin: String,
    /// More addresses of the user, beside what the mail system says.
    pub addresses: Vec<String>,
    /// The characters that set off an extension in a local part, as Postfix's parameter of that name.
    pub recipient_delimiter: String,
    /// Where held copies, overflow and memories are kept; empty is `~/.local/state/spoolguard`. `~` and `%u` are filled
    /// in.
    pub state_dir: String,
    /// The keys, or tables of keys, that a user's own file may set beside an administrator's.
    pub users_may_set: Vec<String>,
    /// What each kind of message gets.
    pub guard: Guard,
    /// Where mailboxes are, and how they are locked.
    pub mailbox: Mailbox,
    /// How full mailboxes may be.
    pub quota: Quota,
    /// What is answered at RCPT time for a full mailbox.
    pub policy: Policy,
    /// How mail is sent on.
    pub forward: Forward,
    /// How senders are rewritten.
    pub srs: Srs,
    /// Where the guard of aliases keeps what it keeps.
    pub aliases: AliasTable,
    /// When an address that mail is sent on to counts as dead.
    pub destinations: SuspensionSettings,
    /// How much reaches the administrator before a digest takes its place.
    pub digest: Digest,
    /// Where archives of spools go.
    pub archive: Archive,
    /// Where the log goes.
    pub log: Log,
}

/// The `[mailbox]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mailbox {
    /// Where each user's mail is put.
    pub location: Location,
    /// The user of this host who owns the mailboxes of virtual users; nobody in particular where it is empty.
    pub user: String,
    /// Which locks are taken.
    pub locks: Vec<LockMethod>,
    /// For how long a lock is waited for.
    pub lock_timeout: Age,
    /// How body lines that begin with `From ` are quoted.
    pub quoting: Quoting,
    /// What has to stay free on the file system.
    pub min_free: Size,
}

impl Mailbox {
    /// The locks of those that need no file beside the mailbox.
    pub fn locks_beside_dotlock(&self) -> Vec<LockMethod> {
        let others = self.locks.iter().filter(|lock| **lock != LockMethod::Dotlock);
        others.copied().collect()
    }
}

/// One way to lock a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LockMethod {
    /// `<mailbox>.lock`, made by link(2).
    Dotlock,
    /// A write lock over the whole file, fcntl(2) or lockf(3), which is the same on Linux; seen by every program that
    /// locks any part of it.
    Fcntl,
    /// flock(2), which on Linux neither sees fcntl locks nor is seen by them.
    Flock,
}

impl fmt::Display for LockMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dotlock => "dotlock",
            Self::Fcntl => "fcntl",
            Self::Flock => "flock",
        })
    }
}

/// How body lines that look like separators are quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quoting {
    /// `>` before `From `, `>From `, `>>From ` ...
    Mboxrd,
    /// `>` before `From ` alone.
    Mboxo,
}

/// The `[policy]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The SMTP reply for a recipient whose mailbox is full (RFC 5321 section 4.2), with an enhanced status code (RFC
    /// 3463).
    pub full: String,
    /// How far beyond the limit of a mailbox recipients are still accepted.
    pub grace: Size,
    /// The domains whose recipients are users of this host; empty is any domain.
    pub domains: Vec<String>,
}

/// The `[forward]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Forward {
    /// The path of sendmail, or `outbox:` and the path of a maildir.
    pub transport: Transport,
    /// The envelope sender of what is forwarded.
    pub sender: ForwardSender,
    /// How long the same message does not go to the same address again.
    pub duplicate_window: Age,
}

/// The envelope sender of what is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ForwardSender {
    /// The user: a failure comes home, where it is recognised.
    #[serde(rename = "self")]
    User,
    /// The sender that the message came with: a bounce goes to whoever wrote it.
    Original,
    /// The user, with a token that names the destination and that nobody else can make (variable envelope return path).
    Verp,
    /// The sender that the message came with, rewritten into this host's domain (sender rewriting scheme).
    Srs,
}

/// The `[srs]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Srs {
    /// The domain of rewritten senders; empty is the domain of the user's address.
    pub domain: String,
    /// The file of secrets, one a line: the first seals, each of them verifies.
    pub secrets: String,
    /// What stands behind the tag: `+`, `=` or `-`.
    pub separator: String,
    /// For how long a rewritten sender holds.
    pub valid: Age,
}

/// The `[aliases]` table, for `forward --as`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AliasTable {
    /// Where each alias has a directory of its own, with its mailbox and its state.
    pub dir: String,
    /// Who gets what is diverted from an alias, and is told what is kept for it; `admin`, unless it is named here.
    pub admins: BTreeMap<String, String>,
}

/// The largest `per_hour`: so many times of sending are remembered.
pub const MOST_PER_HOUR: usize = 1000;

/// The `[digest]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Digest {
    /// How many messages of the same kind reach the administrator; 0 is any number.
    pub same: u32,
    /// How many messages an hour reach the administrator about one user; 0 is any number.
    pub per_hour: usize,
    /// How large the administrator's mbox may grow.
    pub admin_limit: Size,
}

/// The `[log]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Where the line about each message goes.
    pub to: LogTo,
    /// How much is logged.
    pub level: LogLevel,
    /// What a line looks like.
    pub format: LogFormat,
}

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `key=value`.
    Text,
    /// One JSON object.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what an administrator should look at.
    Warn,
    /// And one line for each message.
    Info,
    /// And the steps in between.
    Debug,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            admin: "postmaster".to_owned(),
            addresses: Vec::new(),
            recipient_delimiter: "+".to_owned(),
            state_dir: String::new(),
            users_may_set: ["addresses", "guard", "forward.sender"].map(str::to_owned).to_vec(),
            guard: Guard::default(),
            mailbox: Mailbox::default(),
            quota: Quota::default(),
            policy: Policy::default(),
            forward: Forward::default(),
            srs: Srs::default(),
            aliases: AliasTable::default(),
            destinations: SuspensionSettings::default(),
            digest: Digest::default(),
            archive: Archive::default(),
            log: Log::default(),
        }
    }
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            location: Location::default(),
            user: String::new(),
            locks: vec![LockMethod::Dotlock, LockMethod::Fcntl],
            lock_timeout: Age::seconds(60),
            quoting: Quoting::Mboxrd,
            min_free: Size::mebibytes(100),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            full: "552 5.2.2 mailbox is full".to_owned(),
            grace: Size::NONE,
            domains: Vec::new(),
        }
    }
}

impl Default for Forward {
    fn default() -> Self {
        Self {
            transport: Transport::default(),
            sender: ForwardSender::User,
            duplicate_window: Age::seconds(12 * 60 * 60),
        }
    }
}

impl Default for Srs {
    fn default() -> Self {
        Self {
            domain: String::new(),
            secrets: "/etc/spoolguard.secret".to_owned(),
            separator: "+".to_owned(),
            valid: Age::seconds(21 * 24 * 60 * 60),
        }
    }
}

impl Default for AliasTable {
    fn default() -> Self {
        Self {
            dir: "/var/lib/spoolguard/aliases".to_owned(),
            admins: BTreeMap::new(),
        }
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self {
            same: 3,
            per_hour: 20,
            admin_limit: Size::mebibytes(100),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            to: LogTo::Auto,
            level: LogLevel::Info,
            format: LogFormat::Text,
        }
    }
}

impl Config {
    /// What holds for the alias `name`: everything that it leaves lies in its own directory, and whoever looks after it
    /// is its administrator. Its mailbox has no limit, since nobody empties it as a user would.
    pub fn for_alias(mut self, name: &str, state_dir: &str) -> Self {
        if let Some(admin) = self.aliases.admins.get(name) {
            self.admin = admin.clone();
        }
        self.state_dir = state_dir.to_owned();
        self.quota = Quota::default();
        self
    }
}
#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_example_configuration_has_every_key_with_its_default() {
        let text = include_str!("../../contrib/spoolguard.toml");
        assert_eq!(toml::from_str(text), Ok(Config::default()));
        let keys = toml::Value::try_from(Config::default()).unwrap_or_else(|e| unreachable!("{e}"));
        let read: toml::Value = toml::from_str(text).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(read, keys, "a key is missing from the example");
    }
}
