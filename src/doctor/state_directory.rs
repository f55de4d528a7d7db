//! Checks whether the state directory, with held copies and overflow, belongs to the user alone.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::config::Config;
use crate::deliver::context::state_place;
use crate::doctor::rules::{Check, CheckSubject, Finding};
use crate::error::{Error, cause_text};
use crate::output::shell::quote_path;
use crate::sys::account::Account;
use crate::sys::dirs::refuse_unwritable;
use crate::sys::filesystem;

/// Examines it, as that user.
pub fn examine(config: &Config, account: &Account) -> Vec<Finding> {
    let topic = Check::State.about(format!("state directory of {}", account.name));
    let dir = state_place(config, account);
    let mut found = vec![of_place(&topic, dir.as_deref(), account)];
    let existing = dir.iter().flat_map(|dir| dir.ancestors()).find(|dir| dir.is_dir());
    if let Some(existing) = existing
        && filesystem::find_file_system(existing).is_ok_and(|of| of.nfs)
    {
        found.push(on_nfs(&topic, existing));
    }
    found
}

/// Several hosts may share it, and each believes the others' locks only where the server keeps them.
fn on_nfs(topic: &CheckSubject, dir: &Path) -> Finding {
    let what = format!(
        "{} is on NFS: several hosts share what is remembered only where the server keeps locks, and mail waits while it is away",
        dir.display()
    );
    topic.warning(what, "state_dir = \"/var/lib/spoolguard/%u\", on a local disk")
}

fn of_place(topic: &CheckSubject, dir: Option<&Path>, account: &Account) -> Finding {
    let wrong = |what: String, remedy: String| topic.error(what, remedy);
    let Some(dir) = dir else {
        let what = "there is none, since this user has no home: nothing is held, and no dead address is known";
        return wrong(what.to_owned(), "state_dir = \"/var/lib/spoolguard/%u\"".to_owned());
    };
    let shown = dir.display();
    match dir.metadata() {
        Ok(stat) if !stat.is_dir() => wrong(
            format!("{shown} is not a directory"),
            format!("mv {0} {0}.old", quote_path(dir)),
        ),
        Ok(stat) if stat.uid() != account.uid => wrong(
            format!("{shown} belongs to uid {}", stat.uid()),
            format!("chown -R {} {}", quote_path(Path::new(&account.name)), quote_path(dir)),
        ),
        Ok(stat) if stat.permissions().mode() & 0o022 != 0 => wrong(
            format!("others may write to {shown}"),
            format!("chmod go-w {}", quote_path(dir)),
        ),
        Ok(_) => match refuse_unwritable(dir) {
            Ok(()) => topic.ok(format!("{shown} is this user's alone")),
            Err(e) => unwritable(topic, dir, &e, account),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => match refuse_unwritable(dir) {
            Ok(()) => topic.ok(format!("{shown} is not there yet, and can be made")),
            Err(e) => unwritable(topic, dir, &e, account),
        },
        Err(e) => wrong(
            Error::io("examine", dir, &e).to_string(),
            "let this user enter the directories above it".to_owned(),
        ),
    }
}

fn unwritable(topic: &CheckSubject, dir: &Path, error: &io::Error, account: &Account) -> Finding {
    let what = format!(
        "{} cannot be written ({}): nothing is held, and no dead address is known",
        dir.display(),
        cause_text(error)
    );
    let elsewhere = "state_dir = \"/var/lib/spoolguard/%u\"";
    let kind = error.kind();
    let remedy = if kind == io::ErrorKind::StorageFull {
        format!("make room there, or {elsewhere}")
    } else if kind == io::ErrorKind::ReadOnlyFilesystem {
        elsewhere.to_owned()
    } else {
        let name = quote_path(Path::new(&account.name));
        format!("install -d -m 700 -o {name} {}", quote_path(dir))
    };
    topic.error(what, remedy)
}

#[cfg(test)]
mod tests {
    use super::on_nfs;
    use crate::doctor::rules::{Check, Level};
    use std::path::Path;

    #[test]
    fn a_state_directory_on_nfs_is_a_warning_with_a_remedy() {
        let finding = on_nfs(&Check::State.about("state directory of a"), Path::new("/home/a"));
        assert_eq!(finding.level, Level::Warning);
        assert!(finding.finding.starts_with("/home/a is on NFS") && finding.remedy.is_some());
    }
}
