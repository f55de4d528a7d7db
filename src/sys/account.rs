//! The Unix account that mail is delivered for: name, numbers, home. What the caller's environment says about them is
//! believed only where it cannot do harm.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::unistd::{Gid, Uid};

use crate::error::{Category, Error};
use crate::sys::passwd;

/// Who mail is delivered for.
#[derive(Clone, Debug)]
pub struct Account {
    /// The login name; it names the mailbox.
    pub name: String,
    /// The owner that the mailbox has to have.
    pub uid: u32,
    /// The primary group, where the account is known.
    pub gid: Option<u32>,
    /// Where the user's configuration and state are.
    pub home: Option<PathBuf>,
}

/// Variables in which mail systems and shells say whose run this is, the surest first.
const NAME_VARIABLES: [&str; 2] = ["LOGNAME", "USER"];

/// Finds the account that mail is delivered for: the one named, else the one that owns this process.
///
/// A name that the system does not know belongs to this process's user: virtual mailboxes are kept so, one user for all. Root is not
/// such a user: mail that is delivered as root is nobody's.
///
/// # Errors
/// When the user database cannot be asked, the name could leave the spool directory, root is to deliver for a name that nobody has, or
/// several names share the number and nothing tells which one is meant.
pub fn find_account(name: Option<&str>) -> Result<Account, Error> {
    let found = match name {
        Some(name) => find_named(name)?,
        None => own(|variable| std::env::var(variable).ok())?,
    };
    if is_root() && found.gid.is_none() {
        let cause = "nobody in the user database is called so";
        return Err(
            Error::new(Category::Configuration, "deliver for user", found.name, cause)
                .hint("root delivers for known users only; run it as the user who owns virtual mailboxes"),
        );
    }
    Ok(found)
}

/// The account of this name; where the system has none, a virtual one of whoever runs this. For those who deliver nothing.
///
/// # Errors
/// When the user database cannot be asked, or the name could leave the spool directory.
pub fn find_named(name: &str) -> Result<Account, Error> {
    refuse_no_name(name)?;
    Ok(find_known(name)?.unwrap_or_else(|| Account::nameless(name.to_owned(), Uid::current().as_raw())))
}

/// Refuses what could leave the spool directory.
///
/// # Errors
/// When this is no user name.
pub fn refuse_no_name(name: &str) -> Result<(), Error> {
    if is_user_name(name) {
        return Ok(());
    }
    let cause = "this is no user name";
    Err(Error::new(Category::Configuration, "deliver for user", name, cause))
}

/// Who runs this, for what delivers nothing: one of several names will do, and a name service that is away keeps nobody from looking.
#[must_use]
pub fn find_runner() -> Account {
    let variable = |name: &str| std::env::var(name).ok();
    let uid = Uid::current().as_raw();
    let first = || Some(Account::of(passwd::by_uid(uid).ok()?.into_iter().next()?));
    own(variable)
        .ok()
        .or_else(first)
        .unwrap_or_else(|| Account::nameless(uid.to_string(), uid))
}

/// The account of this process. A name of the environment is believed where its number is ours: of names that share a number, nothing
/// but that tells which one is meant.
fn own(variable: impl Fn(&str) -> Option<String>) -> Result<Account, Error> {
    let uid = Uid::current().as_raw();
    let ours = passwd::by_uid(uid).map_err(unanswered)?;
    for name in NAME_VARIABLES.iter().filter_map(|name| variable(name)) {
        if let Some(user) = ours.iter().find(|user| user.name == name) {
            return Ok(Account::of(user.clone()));
        }
        // The number may have another name elsewhere than in the file.
        if let Some(user) = is_user_name(&name)
            .then(|| passwd::by_name(&name).map_err(unanswered))
            .transpose()?
            .flatten()
            && user.uid == uid
        {
            return Ok(Account::of(user));
        }
    }
    let mut ours = ours.into_iter();
    match (ours.next(), ours.next()) {
        (Some(user), None) => Ok(Account::of(user)),
        // Mail for root is read by whoever is root.
        (Some(user), Some(_)) if uid == 0 => Ok(Account::of(user)),
        (Some(one), Some(other)) => {
            let cause = format!("{} and {} share this uid", one.name, other.name);
            Err(
                Error::new(Category::Configuration, "tell who is", format_args!("uid {uid}"), cause)
                    .hint("say --user NAME, or give each a uid"),
            )
        }
        (None, _) => Ok(Account::nameless(uid.to_string(), uid)),
    }
}

/// Tells whether a user can be called so and have a mailbox of that name: it stays in the spool directory.
#[must_use]
pub fn is_user_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0', '\n'])
}

/// Tells whether `/etc/passwd` has this name for whoever runs this. The caller has no hand in it: getent(1), which is asked for all
/// others, runs with the caller's rights.
#[must_use]
pub fn is_own_local_name(name: &str) -> bool {
    let users = passwd::local_by_uid(Uid::current().as_raw()).unwrap_or_default();
    users.iter().any(|user| user.name == name)
}

/// The account of this name, if the system knows one.
///
/// # Errors
/// When the user database cannot be asked.
pub fn find_known(name: &str) -> Result<Option<Account>, Error> {
    Ok(passwd::by_name(name).map_err(unanswered)?.map(Account::of))
}

/// The account that owns a file.
///
/// # Errors
/// When the user database cannot be asked.
pub fn find_owner(uid: u32) -> Result<Account, Error> {
    let user = passwd::by_uid(uid).map_err(unanswered)?.into_iter().next();
    Ok(user.map_or_else(
        || Account {
            name: uid.to_string(),
            uid,
            gid: None,
            home: None,
        },
        Account::of,
    ))
}

/// The name of a group; empty where the system knows none.
#[must_use]
pub fn group_name(gid: u32) -> String {
    passwd::group_name(gid).ok().flatten().unwrap_or_default()
}

/// Tells whether a group is called so.
///
/// # Errors
/// When the group database cannot be asked.
pub fn is_group(name: &str) -> Result<bool, Error> {
    passwd::is_group(name).map_err(unanswered)
}

/// The accounts of a host, for a run that asks for thousands of them: the files are read once, and the name service, which may be far
/// away, is not asked again and again.
#[derive(Debug, Default)]
pub struct Directory {
    by_name: HashMap<String, (u32, u32)>,
    homes: HashMap<String, PathBuf>,
    uids: HashSet<u32>,
    /// How many names nobody had.
    misses: AtomicUsize,
    /// What was asked about numbers.
    asked: Mutex<HashMap<u32, bool>>,
}

impl Directory {
    /// So many names that are nobody's, and the mailboxes are virtual: no other name is asked for.
    const MISSES: usize = 64;

    /// Reads the file; what it does not have is asked of the user database.
    #[must_use]
    pub fn read() -> Self {
        let text = std::fs::read("/etc/passwd").unwrap_or_default();
        let mut found = Self::default();
        for line in String::from_utf8_lossy(&text).lines() {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (fields.next(), fields.next(), fields.next(), fields.next());
            if let (Some(name), Some(uid), Some(gid)) = (
                name,
                uid.and_then(|uid| uid.parse().ok()),
                gid.and_then(|gid| gid.parse().ok()),
            ) {
                found.by_name.entry(name.to_owned()).or_insert((uid, gid));
                found.uids.insert(uid);
                if let Some(home) = fields.nth(1).filter(|home| home.starts_with('/')) {
                    found
                        .homes
                        .entry(name.to_owned())
                        .or_insert_with(|| PathBuf::from(home));
                }
            }
        }
        found
    }

    /// The home of a user of the file.
    #[must_use]
    pub fn home(&self, name: &str) -> Option<&Path> {
        self.homes.get(name).map(PathBuf::as_path)
    }

    /// User and group of a name; none where nobody is called so, as far as can be told.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(u32, u32)> {
        if let Some(found) = self.by_name.get(name) {
            return Some(*found);
        }
        if self.misses.load(Ordering::Relaxed) >= Self::MISSES {
            return None;
        }
        let found = find_known(name)
            .ok()
            .flatten()
            .and_then(|account| Some((account.uid, account.gid?)));
        if found.is_none() {
            self.misses.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Tells whether anybody has this number; also where that cannot be told, since much is done to what is nobody's.
    #[must_use]
    pub fn has(&self, uid: u32) -> bool {
        if self.uids.contains(&uid) {
            return true;
        }
        let ask = || find_owner(uid).map_or(true, |account| account.gid.is_some());
        match self.asked.lock() {
            Ok(mut asked) => *asked.entry(uid).or_insert_with(ask),
            Err(_) => ask(),
        }
    }
}

fn unanswered(e: io::Error) -> Error {
    Error::io("look up the user in", Path::new("the user database"), &e)
}

/// Tells whether this is root, who may become any user.
#[must_use]
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// `$HOME`, if it is this user's own directory and nobody else may write to it.
fn home_of_caller(uid: u32) -> Option<PathBuf> {
    let home = PathBuf::from(std::env::var_os("HOME")?);
    let stat = home.metadata().ok()?;
    (home.is_absolute() && stat.is_dir() && stat.uid() == uid && stat.mode() & 0o022 == 0).then_some(home)
}

impl Account {
    /// Somebody whom the user database does not have.
    fn nameless(name: String, uid: u32) -> Self {
        // One of many who share an account: its home is nobody's own.
        let is_virtual = name.contains('@');
        Self {
            home: if is_virtual { None } else { home_of_caller(uid) },
            name,
            uid,
            gid: None,
        }
    }

    /// Whose files this run believes beside root's: those of this user and of whoever runs it.
    #[must_use]
    pub fn owners(&self) -> [u32; 2] {
        [self.uid, Uid::effective().as_raw()]
    }

    /// Tells whether this is a virtual user, whose name is an address and who has no account of the system.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.gid.is_none() && self.name.contains('@')
    }

    /// Tells whether all that is known of whoever this is, is a number.
    #[must_use]
    pub fn is_nameless(&self) -> bool {
        self.gid.is_none() && self.name == self.uid.to_string()
    }

    fn of(user: passwd::PasswdEntry) -> Self {
        Self {
            // An empty one, or any other that has no root, would be whatever directory the caller is in.
            home: home_of_caller(user.uid).or(Some(user.home).filter(|home| home.is_absolute())),
            name: user.name,
            uid: user.uid,
            gid: Some(user.gid),
        }
    }

    /// The names of the groups that the user is in. Costs a look into the group database for each: ask only when needed.
    #[must_use]
    pub fn groups(&self) -> Vec<String> {
        let Some(gid) = self.gid else { return Vec::new() };
        passwd::groups_of(&self.name, gid)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|gid| passwd::group_name(gid).ok().flatten())
            .collect()
    }

    /// Gives up root's rights for this user's, groups first, so that nothing of theirs is read or written as root. Of those rights `saved`
    /// is left, as the saved group id.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn become_user(&self, saved: Option<Gid>) -> Result<(), Error> {
        if !is_root() || (self.uid == 0 && self.gid.is_some()) {
            return Ok(());
        }
        let Some(gid) = self.gid else {
            let cause = "nobody in the user database is called so";
            return Err(Error::new(Category::Configuration, "become user", &self.name, cause));
        };
        let become_it = || -> io::Result<()> {
            let groups: Vec<_> = passwd::groups_of(&self.name, gid)?
                .into_iter()
                .map(Gid::from_raw)
                .collect();
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(gid));
            nix::unistd::setgroups(&groups)?;
            nix::unistd::setresgid(gid, gid, saved.unwrap_or(gid))?;
            Ok(nix::unistd::setresuid(uid, uid, uid)?)
        };
        become_it().map_err(|e| Error::io("become user", Path::new(&self.name), &e))
    }
}

/// The name that this host gives to mail: Debian's `/etc/mailname`, else the host name.
#[must_use]
pub fn mail_name() -> String {
    let named = std::fs::read_to_string("/etc/mailname").unwrap_or_default();
    match named.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(name) => name.to_owned(),
        None => host_name(),
    }
}

/// The host name, gethostname(2).
#[must_use]
pub fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(|_| "localhost".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The names that this host goes by, asked once.
pub fn own_hosts() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| vec![host_name()])
}

#[cfg(test)]
mod tests {
    use super::Account;
    use crate::sys::passwd::PasswdEntry;
    use std::path::{Path, PathBuf};

    #[test]
    fn a_home_is_never_the_directory_that_the_caller_is_in() {
        // Nobody's, so that the caller's own home does not count.
        let home = |home: &str| {
            let user = PasswdEntry {
                name: "a".to_owned(),
                uid: 4_000_000_000,
                gid: 4_000_000_000,
                home: PathBuf::from(home),
            };
            Account::of(user).home
        };
        assert_eq!(home("/home/a").as_deref(), Some(Path::new("/home/a")));
        for none in ["", "home/a", "~"] {
            assert_eq!(home(none), None, "{none:?}");
        }
    }
}
