//! The Unix account that mail is delivered for: name, numbers, home. What the caller's environment says about them is
//! believed only where it cannot do harm.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};

use crate::act::passwd;
use crate::exit::{Class, Error};

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

/// Finds the account: the one named, else the one that owns this process.
///
/// A name that the system does not know belongs to this process's user: virtual mailboxes are kept so, one user for all.
///
/// # Errors
/// When the user database cannot be asked, or the name could leave the spool directory.
pub fn find(name: Option<&str>) -> Result<Account, Error> {
    let uid = Uid::current();
    let ask = |e: io::Error| Error::io("look up the user in", Path::new("the user database"), &e);
    let known = match name {
        Some(name) if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0', '\n']) => {
            return Err(Error::new(
                Class::Configuration,
                "deliver for user",
                name,
                "this is no user name",
            ));
        }
        Some(name) => passwd::by_name(name).map_err(ask)?,
        None => passwd::by_uid(uid.as_raw()).map_err(ask)?,
    };
    Ok(match known {
        Some(user) => Account {
            home: home_of_caller(user.uid).or(Some(user.home)),
            name: user.name,
            uid: user.uid,
            gid: Some(user.gid),
        },
        None => Account {
            home: home_of_caller(uid.as_raw()),
            name: name.map_or_else(|| uid.to_string(), str::to_owned),
            uid: uid.as_raw(),
            gid: None,
        },
    })
}

/// Refuses to run with rights that the caller does not have: reading with them, or running the sendmail that the caller configures,
/// would give everybody's mail to whoever asks.
///
/// # Errors
/// When the program is installed setuid or setgid.
pub fn refuse_borrowed_rights() -> Result<(), Error> {
    if Uid::current() == Uid::effective() && Gid::current() == Gid::effective() {
        return Ok(());
    }
    let cause = "it is installed setuid or setgid, and would lend those rights to everybody";
    Err(Error::new(Class::Configuration, "run", "spoolguard", cause).hint("chmod ug-s it"))
}

/// `$HOME`, if it is this user's own directory and nobody else may write to it.
fn home_of_caller(uid: u32) -> Option<PathBuf> {
    let home = PathBuf::from(std::env::var_os("HOME")?);
    let stat = home.metadata().ok()?;
    (home.is_absolute() && stat.is_dir() && stat.uid() == uid && stat.mode() & 0o022 == 0).then_some(home)
}

impl Account {
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

    /// Gives up root's rights for this user's, groups first, so that nothing of theirs is read or written as root.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn become_user(&self) -> Result<(), Error> {
        let (true, Some(gid), false) = (Uid::effective().is_root(), self.gid, self.uid == 0) else {
            return Ok(());
        };
        let become_it = || -> io::Result<()> {
            let groups: Vec<_> = passwd::groups_of(&self.name, gid)?
                .into_iter()
                .map(Gid::from_raw)
                .collect();
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(gid));
            nix::unistd::setgroups(&groups)?;
            nix::unistd::setresgid(gid, gid, gid)?;
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
