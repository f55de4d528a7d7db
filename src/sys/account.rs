//! The Unix account that mail is delivered for: name, numbers, home. What the caller's environment says about them is
//! believed only where it cannot do harm.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

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
    /// Who or what it is.
    pub kind: AccountKind,
}

/// Whose mail it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountKind {
    /// A user of this host, or a virtual one.
    #[default]
    User,
    /// An alias, which nobody reads (`sys::alias_account`).
    Alias,
}

/// Variables in which MTAs and shells say whose run this is, the surest first.
const NAME_VARIABLES: [&str; 2] = ["LOGNAME", "USER"];

/// Finds the account that mail is delivered for: the one named, else the one that owns this process.
///
/// A name that the system does not know belongs to this process's user: virtual mailboxes are kept so, one user for
/// all. Root is not such a user: mail that is delivered as root is nobody's. Fails when the user database cannot be
/// asked, or the name could leave the spool directory. Also when root is to deliver for a name that nobody has, or
/// several names share the number and nothing tells which is meant.
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

/// The account of this name; where the system has none, a virtual one of whoever runs this. For those who deliver
/// nothing. Fails when the user database cannot be asked, or the name could leave the spool directory.
pub fn find_named(name: &str) -> Result<Account, Error> {
    refuse_no_name(name)?;
    Ok(find_known(name)?.unwrap_or_else(|| Account::nameless(name.to_owned(), Uid::current().as_raw())))
}

/// Refuses what could leave the spool directory.
pub fn refuse_no_name(name: &str) -> Result<(), Error> {
    if is_user_name(name) {
        return Ok(());
    }
    let cause = "this is no user name";
    Err(Error::new(Category::Arguments, "find user", name, cause))
}

/// The account that a command is about which delivers nothing: root looks at users of this host alone, others may have
/// virtual ones. Fails when the user database cannot be asked, or nobody is called so.
pub fn find_subject(name: &str) -> Result<Account, Error> {
    let found = find_named(name)?;
    if found.gid.is_none() && is_root() {
        return Err(unknown_user(name));
    }
    Ok(found)
}

/// That nobody is called so, for whoever typed the name.
pub fn unknown_user(name: &str) -> Error {
    let unknown = Error::new(Category::Arguments, "find user", name, "there is no such user");
    match name.contains('@') {
        true => unknown.hint("run this as the user who delivers for virtual users ([mailbox] user)"),
        false => unknown,
    }
}

/// Who runs this, for what delivers nothing: one of several names will do, and a name service that is away keeps nobody
/// from looking.
pub fn find_runner() -> Account {
    let variable = |name: &str| std::env::var(name).ok();
    let uid = Uid::current().as_raw();
    let first = || Some(Account::of(passwd::by_uid(uid).ok()?.into_iter().next()?));
    own(variable)
        .ok()
        .or_else(first)
        .unwrap_or_else(|| Account::nameless(uid.to_string(), uid))
}

/// The account of this process. A name of the environment is believed where its number is ours: of names that share a
/// number, nothing but that tells which one is meant.
fn own(variable: impl Fn(&str) -> Option<String>) -> Result<Account, Error> {
    let uid = Uid::current().as_raw();
    let names: Vec<String> = NAME_VARIABLES.iter().filter_map(|name| variable(name)).collect();
    if let Some(name) = names.first().filter(|name| is_user_name(name))
        && let Some(user) = passwd::local_by_name(name).map_err(unanswered)?
        && user.uid == uid
    {
        return Ok(Account::of(user));
    }
    let ours = passwd::by_uid(uid).map_err(unanswered)?;
    for name in names {
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
pub fn is_user_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0', '\n'])
}

/// Tells whether `/etc/passwd` has this name for whoever runs this. The caller has no hand in it: getent(1), which is
/// asked for all others, runs with the caller's rights.
pub fn is_own_local_name(name: &str) -> bool {
    let users = passwd::local_by_uid(Uid::current().as_raw()).unwrap_or_default();
    users.iter().any(|user| user.name == name)
}

/// The account of this name, if the system knows one.
pub fn find_known(name: &str) -> Result<Option<Account>, Error> {
    Ok(passwd::by_name(name).map_err(unanswered)?.map(Account::of))
}

/// The account that owns a file.
pub fn find_owner(uid: u32) -> Result<Account, Error> {
    let user = passwd::by_uid(uid).map_err(unanswered)?.into_iter().next();
    Ok(user.map_or_else(
        || Account {
            name: uid.to_string(),
            uid,
            gid: None,
            home: None,
            kind: AccountKind::User,
        },
        Account::of,
    ))
}

/// The name of a group; empty where the system knows none.
pub fn group_name(gid: u32) -> String {
    passwd::group_name(gid).ok().flatten().unwrap_or_default()
}

/// Tells whether a group is called so.
pub fn is_group(name: &str) -> Result<bool, Error> {
    passwd::is_group(name).map_err(unanswered)
}

fn unanswered(e: io::Error) -> Error {
    Error::io("look up the user in", Path::new("the user database"), &e)
}

/// Tells whether this is root, who may become any user.
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
    /// Whose mailbox it is, by its name and its owner alone.
    pub fn of_mailbox(name: impl Into<String>, uid: u32) -> Self {
        Self {
            name: name.into(),
            uid,
            gid: None,
            home: None,
            kind: AccountKind::User,
        }
    }

    /// Somebody whom the user database does not have.
    fn nameless(name: String, uid: u32) -> Self {
        // One of many who share an account: its home is nobody's own.
        let is_virtual = name.contains('@');
        Self {
            home: if is_virtual { None } else { home_of_caller(uid) },
            name,
            uid,
            gid: None,
            kind: AccountKind::User,
        }
    }

    /// Tells whether this is an alias, whose mailbox nobody reads.
    pub fn is_alias(&self) -> bool {
        self.kind == AccountKind::Alias
    }

    /// The flag of commands that names it.
    pub fn flag(&self) -> &'static str {
        match self.kind {
            AccountKind::User => "--user",
            AccountKind::Alias => "--as",
        }
    }

    /// Whose files this run believes beside root's: those of this user and of whoever runs it.
    pub fn trusted_owners(&self) -> [u32; 2] {
        [self.uid, Uid::effective().as_raw()]
    }

    /// Tells whether this is a virtual user, whose name is an address and who has no account of the system.
    pub fn is_virtual(&self) -> bool {
        self.gid.is_none() && self.name.contains('@')
    }

    /// Tells whether all that is known of whoever this is, is a number.
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
            kind: AccountKind::User,
        }
    }

    /// The names of the groups that the user is in. Costs a look into the group database for each: ask only when
    /// needed.
    pub fn groups(&self) -> Vec<String> {
        let Some(gid) = self.gid else { return Vec::new() };
        passwd::groups_of(&self.name, gid)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|gid| passwd::group_name(gid).ok().flatten())
            .collect()
    }

    /// Gives up root's rights for this user's, groups first, so that nothing of theirs is read or written as root. Of
    /// those rights `saved` is left, as the saved group id.
    pub fn become_user(&self, saved: Option<Gid>) -> Result<(), Error> {
        if !is_root() || (self.uid == 0 && self.gid.is_some()) {
            return Ok(());
        }
        let Some(gid) = self.gid else {
            let cause = "nobody in the user database is called so";
            return Err(Error::new(Category::Configuration, "become user", &self.name, cause));
        };
        let become_it = || -> io::Result<()> {
            let of_name = match self.kind {
                AccountKind::User => passwd::groups_of(&self.name, gid)?,
                // A user of the same name is somebody else.
                AccountKind::Alias => vec![gid],
            };
            let groups: Vec<_> = of_name.into_iter().map(Gid::from_raw).collect();
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(gid));
            nix::unistd::setgroups(&groups)?;
            nix::unistd::setresgid(gid, gid, saved.unwrap_or(gid))?;
            Ok(nix::unistd::setresuid(uid, uid, uid)?)
        };
        become_it().map_err(|e| Error::io("become user", Path::new(&self.name), &e))
    }
}

/// Does something with the rights to files of a user, and of nobody else, where root runs this: what is made is the
/// user's from the first moment on, whatever becomes of this run (setfsuid(2)).
pub fn with_files_of<T>(uid: u32, gid: u32, act: impl FnOnce() -> T) -> T {
    if !is_root() || uid == 0 {
        return act();
    }
    let before = FileRights {
        gid: setfsgid(Gid::from_raw(gid)),
        uid: setfsuid(Uid::from_raw(uid)),
    };
    let done = act();
    drop(before);
    done
}

/// Whose files this thread has the rights to, once it is over.
struct FileRights {
    gid: Gid,
    uid: Uid,
}

impl Drop for FileRights {
    fn drop(&mut self) {
        setfsuid(self.uid);
        setfsgid(self.gid);
    }
}

/// The name that this host gives to mail: Debian's `/etc/mailname`, else the host name.
pub fn mail_name() -> String {
    let named = std::fs::read_to_string("/etc/mailname").unwrap_or_default();
    match named.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(name) => name.to_owned(),
        None => host_name(),
    }
}

/// The host name, gethostname(2).
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
