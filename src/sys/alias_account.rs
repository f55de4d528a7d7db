//! The account of an alias: mail that comes for an alias belongs to nobody, and is handled by whatever user the MTA
//! runs commands of aliases as. What it leaves has a directory of its own, known by the alias's name, whose owner that
//! user is.
//!
//! Where the directory is missing and cannot be made, or is another one's, the message stays with the MTA: what is kept
//! would lie nowhere.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::error::{Category, Error};
use crate::sys::account::{self, Account, AccountKind};
use crate::sys::dirs;

/// What keeps the mail of an alias, below its directory.
pub const MAILBOX: &str = "mailbox";

/// Its state, below its directory.
pub const STATE_DIR: &str = "~/state";

/// The account of the alias `name`, whose directory is in `dir` and there already. Fails when this is no name, there is
/// no such directory, or it belongs to somebody whom this run cannot become.
pub fn find_alias(name: &str, dir: &Path) -> Result<Account, Error> {
    account::refuse_no_name(name)?;
    let home = dir.join(name);
    let refuse = |cause: String| Error::new(Category::Configuration, "use", home.display(), cause).needs_mending();
    let missing = "it is made with the first message that comes through forward --as";
    let stat = home.symlink_metadata().map_err(|e| {
        let error = Error::io("find", &home, &e);
        if e.kind() == ErrorKind::NotFound {
            error.class(Category::Arguments).hint(missing)
        } else {
            error
        }
    })?;
    if !stat.is_dir() {
        return Err(refuse("it is no directory".to_owned()));
    }
    let own = Uid::effective().as_raw();
    if stat.uid() == 0 {
        let cause = "it belongs to root, and no MTA runs the commands of aliases as root".to_owned();
        return Err(refuse(cause).hint("chown it to the user that the MTA runs them as"));
    }
    if own != 0 && stat.uid() != own {
        let cause = format!("it belongs to uid {}, and this runs as uid {own}", stat.uid());
        return Err(refuse(cause).hint("let the MTA run the alias as its owner, or chown -R it"));
    }
    dirs::refuse_shared(&home, &[stat.uid()])?;
    Ok(Account {
        name: name.to_owned(),
        uid: stat.uid(),
        gid: Some(stat.gid()),
        home: Some(home),
        kind: AccountKind::Alias,
    })
}

/// The same, and makes the directory where it is missing.
///
/// # Errors
/// The same, and when it cannot be made.
pub fn make_alias(name: &str, dir: &Path) -> Result<Account, Error> {
    account::refuse_no_name(name)?;
    if !account::is_root() && dir.join(name).symlink_metadata().is_err() {
        let user = account::find_runner().name;
        let how = format!("as root: install -d -m 700 -o {user} {}", dir.display());
        dirs::make_private_dir(&dir.join(name)).map_err(|e| e.hint(how))?;
    }
    find_alias(name, dir)
}

/// Where the mail of the alias `name` is kept, if this is a name.
pub fn mailbox_of(name: &str, dir: &Path) -> Option<PathBuf> {
    account::is_user_name(name).then(|| dir.join(name).join(MAILBOX))
}

/// The alias whose mailbox lies at `path`.
pub fn owner_of_mailbox<'p>(path: &'p Path, dir: &Path) -> Option<&'p str> {
    let home = path.parent().filter(|_| path.ends_with(MAILBOX))?;
    home.file_name()?.to_str().filter(|_| home.parent() == Some(dir))
}

/// The names of the directories of aliases in `dir`, as far as this run can see.
pub fn list_aliases(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

/// Tells whether the alias `name` has a directory in `dir`, as far as this run can see.
pub fn has_directory(name: &str, dir: &Path) -> bool {
    account::is_user_name(name) && dir.join(name).is_dir()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::{find_alias, make_alias};
    use crate::sys::account::{AccountKind, is_root};

    #[test]
    fn an_alias_has_a_directory_of_its_own_and_no_other() {
        if is_root() {
            let _ = writeln!(std::io::stderr(), "skipped: for root no directory is made");
            return;
        }
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        assert!(find_alias("dave", dir.path()).is_err());
        let made = make_alias("dave", dir.path()).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!((made.kind, made.flag()), (AccountKind::Alias, "--as"));
        assert_eq!(made.home, Some(dir.path().join("dave")));
        assert!(find_alias("dave", dir.path()).is_ok());
        for odd in ["", ".", "..", "../x", "a/b", ".hidden"] {
            assert!(make_alias(odd, dir.path()).is_err(), "{odd:?}");
        }
        assert!(symlink(dir.path().join("dave"), dir.path().join("link")).is_ok());
        assert!(make_alias("link", dir.path()).is_err());
        let open = std::fs::Permissions::from_mode(0o770);
        assert!(std::fs::set_permissions(dir.path().join("dave"), open).is_ok());
        assert!(find_alias("dave", dir.path()).is_err());
    }
}
