//! Which mailboxes a command is about: a user's, the one at a path, or all of the spool directory. Looks at names and
//! owners alone, follows no link, and opens nothing. What cannot be cared for is handed out as an error in its place.

use crate::config::value::{Age, Size};
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use time::OffsetDateTime;

use crate::cli::spool::What;
use crate::config::{Config, Location};
use crate::error::{Category, Error};
use crate::mailbox::open::{Owner, not_a_mailbox};
use crate::maildir::directory::{Maildir, holds_maildir};
use crate::maildir::usage::MaildirUsage;
use crate::output::shell;
use crate::spool::maildirs;
use crate::sys::account::{self, Account};
use crate::sys::user_directory::Directory;
use crate::sys::{alias_account, local_time};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailboxForm {
    Mbox,
    Maildir,
}

#[derive(Clone, Debug)]
pub struct SelectedMailbox {
    pub account: Account,
    pub path: PathBuf,
    pub form: MailboxForm,
    /// Whose file it has to be when it is opened.
    pub owner: Owner,
    pub uid: u32,
    pub gid: u32,
    /// The length it was found with, in bytes.
    pub bytes: u64,
}

impl SelectedMailbox {
    /// What it is called in an archive, by which `restore` finds its user.
    pub fn member_name(&self) -> OsString {
        match self.form {
            MailboxForm::Mbox => self.path.file_name().unwrap_or_default().to_owned(),
            MailboxForm::Maildir => self.account.name.replace('/', "_").into(),
        }
    }
}

/// A mailbox, or why there is none where one was looked for.
pub type FoundMailbox = Result<SelectedMailbox, Error>;

/// The mailboxes that were asked for, in the order asked for; those of a directory in the order of their names.
pub fn find_mailboxes(what: &What, config: &Config) -> Result<Vec<FoundMailbox>, Error> {
    let mut found = if what.all {
        all_mailboxes(config)?
    } else {
        let one = |named: &PathBuf| one(named, what.user.as_deref(), config);
        what.what.iter().map(one).collect()
    };
    if let Some(over) = what.larger_than.and_then(Size::bound) {
        found.retain(|found| found.as_ref().map_or(true, |spool| spool.bytes > over));
    }
    Ok(found)
}

/// Refuses to look for users' mailboxes where their mail is put behind a server: those of `/var/mail` would be others',
/// or old.
pub fn refuse_servers(config: &Config) -> Result<(), Error> {
    let location = &config.mailbox.location;
    if location.lmtp_servers().is_empty() {
        return Ok(());
    }
    let cause = "mail is put there, and only what lies on this host can be listed, archived or swept";
    let error = Error::new(Category::Configuration, "look for mailboxes in", location, cause);
    Err(error.hint("name a mailbox by its path, with a slash in it"))
}

/// Where the mailbox of the user of this name is.
pub fn path_of_user(name: &str, config: &Config) -> Result<PathBuf, Error> {
    refuse_servers(config)?;
    // Refuses names that lead out of the directory.
    account::refuse_no_name(name)?;
    let location = &config.mailbox.location;
    if let Location::Maildir(_) = location {
        let home = account::find_named(name)?.home;
        return maildirs::of_user(location, name, home.as_deref());
    }
    Ok(location.spool_dir().join(name))
}

/// Every mailbox of the spool directory, or every user's Maildir. Locks, hidden files and directories are left out.
pub fn all_mailboxes(config: &Config) -> Result<Vec<FoundMailbox>, Error> {
    refuse_servers(config)?;
    if let Location::Maildir(_) = config.mailbox.location {
        let found = maildirs::find_maildirs(&config.mailbox.location, &Directory::read())?;
        return Ok(found
            .iter()
            .map(|found| at_maildir(&found.path, Some(&found.user), config))
            .collect());
    }
    let dir = config.mailbox.location.spool_dir();
    let fail = |e: io::Error| Error::io("read spool directory", dir, &e);
    let mut paths = Vec::new();
    for entry in dir.read_dir().map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        if !is_aside(name.as_encoded_bytes()) && !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths.iter().map(|path| at(path, None, config)).collect())
}

/// Tells whether a file of the spool directory is none that a user could have as a mailbox: a lock, or hidden.
pub fn is_aside(name: &[u8]) -> bool {
    name.starts_with(b".") || name.ends_with(b".lock")
}

/// A path is what has a slash in it; everything else is a user's name.
fn one(named: &Path, user: Option<&str>, config: &Config) -> FoundMailbox {
    if named.as_os_str().as_encoded_bytes().contains(&b'/') {
        return at(named, user, config);
    }
    let Some(name) = named.to_str() else {
        return Err(Error::new(
            Category::Configuration,
            "find the mailbox of",
            named.display(),
            "this is no user name",
        )
        .hint("name a path, with a slash in it"));
    };
    let path = path_of_user(name, config)?;
    if let Location::Maildir(_) = config.mailbox.location {
        return at_maildir(&path, user.or(Some(name)), config);
    }
    match path.symlink_metadata() {
        Err(e) => Err(not_found(&path, Some(name), &e, config)),
        Ok(_) => at(&path, user, config),
    }
}

/// Why a mailbox cannot be examined that somebody named by its path, or by the name of its user.
pub fn not_found(path: &Path, name: Option<&str>, e: &io::Error, config: &Config) -> Error {
    let error = Error::io("examine", path, e).class(Category::Mailbox);
    if e.kind() != io::ErrorKind::NotFound {
        return error;
    }
    let Some(name) = name.filter(|name| matches!(account::find_known(name), Ok(None))) else {
        return error.hint("there is no such mailbox");
    };
    let cause = format!("there is no such mailbox, and no user {name}");
    let unknown = Error::new(Category::Arguments, "examine", path.display(), cause);
    let of_alias = alias_account::mailbox_of(name, Path::new(&config.aliases.dir));
    match of_alias.filter(|path| path.is_file()) {
        Some(path) => unknown.hint(format!("that of the alias is {}", shell::quote_path(&path))),
        None => unknown,
    }
}

fn at(path: &Path, user: Option<&str>, config: &Config) -> FoundMailbox {
    let stat = path.symlink_metadata().map_err(|e| not_found(path, None, &e, config))?;
    if stat.is_dir() && holds_maildir(path, 0) {
        return at_maildir(path, user, config);
    }
    refuse_odd(path, &stat)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let in_spool = path.parent() == Some(config.mailbox.location.spool_dir());
    let named = if in_spool { account::find_known(&name)? } else { None };
    // Where the name is a user's, so has the file to be. Otherwise mailboxes are virtual, and one user has them.
    let owner = Owner::Exactly(named.as_ref().map_or(stat.uid(), |account| account.uid));
    if let Owner::Exactly(uid) = owner
        && uid != stat.uid()
    {
        let cause = format!("it belongs to uid {}, not to {name}", stat.uid());
        return Err(not_a_mailbox(path, &cause).hint("give it to the user with chown"));
    }
    let account = match (user, named) {
        (Some(user), _) => account::find_named(user)?,
        (None, Some(named)) => named,
        (None, None) if in_spool => Account::of_mailbox(name, stat.uid()),
        (None, None) => account::find_owner(stat.uid())?,
    };
    Ok(SelectedMailbox {
        account,
        path: path.to_owned(),
        form: MailboxForm::Mbox,
        owner,
        uid: stat.uid(),
        gid: stat.gid(),
        bytes: stat.len(),
    })
}

/// A Maildir, of `user` or of whoever owns it. Where the name is a user's, so has the directory to be.
fn at_maildir(path: &Path, user: Option<&str>, config: &Config) -> FoundMailbox {
    let examine = |e: io::Error| not_found(path, None, &e, config);
    let stat = path.symlink_metadata().map_err(examine)?;
    let uid = stat.uid();
    let account = match user.map(account::find_known) {
        Some(known) => match known? {
            Some(account) if account.uid != uid => {
                let cause = format!("it belongs to uid {uid}, not to {}", account.name);
                return Err(not_a_mailbox(path, &cause).hint("give it to the user with chown"));
            }
            Some(account) => account,
            None => Account::of_mailbox(user.unwrap_or_default(), uid),
        },
        None => account::find_owner(uid)?,
    };
    let gone = || not_a_mailbox(path, "it is no Maildir");
    let maildir = Maildir::open(path, uid)?.ok_or_else(gone)?;
    Ok(SelectedMailbox {
        account,
        path: path.to_owned(),
        form: MailboxForm::Maildir,
        owner: Owner::Exactly(uid),
        uid,
        gid: stat.gid(),
        bytes: MaildirUsage::count(&maildir).map_err(examine)?.bytes,
    })
}

/// The same words as when it is opened: whoever asks for a list hears what a delivery would hear.
fn refuse_odd(path: &Path, stat: &Metadata) -> Result<(), Error> {
    let kind = stat.file_type();
    let cause = if kind.is_symlink() {
        "it is a symbolic link"
    } else if kind.is_dir() {
        "it is a directory, and no Maildir"
    } else if kind.is_fifo() || !kind.is_file() {
        "it is no regular file"
    } else if stat.nlink() > 1 {
        "it has more than one link"
    } else {
        return Ok(());
    };
    Err(not_a_mailbox(path, cause))
}

/// So long before `date`, in seconds since 1970 on the clock of this host: From_ lines are in local time.
pub fn cutoff_seconds(date: OffsetDateTime, age: Age) -> i64 {
    let seconds = i64::try_from(age.duration().as_secs()).unwrap_or(i64::MAX);
    local_time::clock_seconds(date.unix_timestamp().saturating_sub(seconds))
}

#[cfg(test)]
mod tests {
    use super::{all_mailboxes, find_mailboxes};
    use crate::cli::spool::What;
    use crate::config::{Config, Location};
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    fn configured(dir: &Path) -> Config {
        let mut config = Config::default();
        config.mailbox.location = Location::Mbox { dir: dir.to_owned() };
        config
    }

    #[test]
    fn mailboxes_are_found_by_name_by_path_and_all_together() {
        let root = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let config = configured(root.path());
        for (name, length) in [
            ("no-such-user", 10),
            ("-other", 20),
            (".hidden", 5),
            ("x.lock", 5),
            ("third", 30),
        ] {
            assert!(std::fs::write(root.path().join(name), vec![b'x'; length]).is_ok());
        }
        assert!(std::fs::create_dir(root.path().join("dir")).is_ok());
        assert!(symlink("/etc/shadow", root.path().join("link")).is_ok());
        let seen = |what: &What| -> Vec<String> {
            let found = find_mailboxes(what, &config).unwrap_or_else(|e| unreachable!("{e}"));
            let word = |found: &super::FoundMailbox| match found {
                Ok(spool) => format!("{}:{}", spool.account.name, spool.bytes),
                Err(e) => e.to_string(),
            };
            found.iter().map(word).collect()
        };
        let link = format!(
            "cannot use as a mailbox {}: it is a symbolic link",
            root.path().join("link").display()
        );
        let every = What {
            all: true,
            ..What::default()
        };
        assert_eq!(
            seen(&every),
            ["-other:20", link.as_str(), "no-such-user:10", "third:30"]
        );
        let large = What {
            larger_than: "15B".parse().ok(),
            ..every
        };
        assert_eq!(seen(&large), ["-other:20", link.as_str(), "third:30"]);
        let some = What {
            what: vec![
                PathBuf::from("third"),
                root.path().join("-other"),
                PathBuf::from("absent"),
            ],
            ..What::default()
        };
        let found = seen(&some);
        assert_eq!(found.iter().take(2).collect::<Vec<_>>(), ["third:30", "-other:20"]);
        assert!(
            found
                .last()
                .is_some_and(|text| text.contains("there is no such mailbox, and no user absent")),
            "{found:?}"
        );
        let out = What {
            what: vec![PathBuf::from("..")],
            ..What::default()
        };
        assert!(seen(&out).iter().all(|text| text.contains("this is no user name")));
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        assert!(all_mailboxes(&configured(Path::new("/no/such"))).is_err());
    }
}
