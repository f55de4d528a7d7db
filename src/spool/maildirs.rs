//! The Maildirs of all users, where `[mailbox] location` puts mail into Maildirs. They lie below the homes of the
//! host's users, or below directories of their names. Looks at names alone. What is no Maildir is left out, and so is
//! what whoever runs this may not look into. One that deliveries refuse is there, so that it is told.

use std::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::Location;
use crate::config::location::MailStore;
use crate::error::{Category, Error};
use crate::maildir::directory::{holds_maildir, lacks_a_part};
use crate::output::print_error;
use crate::sys::presence::{self, Presence};
use crate::sys::user_directory::Directory;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserMaildir {
    pub path: PathBuf,
    pub user: String,
    /// It is where the configuration has it, so that the name is enough.
    pub is_configured: bool,
}

/// Finds all that the location stands for, in the order of their paths. Fails when a directory cannot be read, or its
/// names do not say whose Maildirs they are.
pub fn find_maildirs(location: &Location, people: &Directory) -> Result<Vec<UserMaildir>, Error> {
    let Location::Maildir(template) = location else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    if template.starts_with("~/") {
        for (user, home) in people.homes() {
            if let Ok(MailStore::Maildir(path)) = location.of(user, Some(home)) {
                found.push(UserMaildir {
                    path,
                    user: user.to_owned(),
                    is_configured: true,
                });
            }
        }
        found = leave_out_hung(found);
    } else {
        let parts: Vec<&str> = template.split('/').filter(|part| !part.is_empty()).collect();
        let names = NamedParts::default();
        let fixed: PathBuf = parts.iter().take_while(|part| !part.contains('%')).collect();
        presence::refuse_hung(&Path::new("/").join(fixed))?;
        walk(location, PathBuf::from("/"), &parts, &names, &mut found)?;
    }
    found.retain(|found| holds_maildir(&found.path, 0) || lacks_a_part(&found.path));
    found.sort();
    // Two accounts may share a home.
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

/// Leaves out what does not answer, and says so. What is not there is left out as well.
fn leave_out_hung(maildirs: Vec<UserMaildir>) -> Vec<UserMaildir> {
    let paths: Vec<_> = maildirs.iter().map(|maildir| vec![maildir.path.clone()]).collect();
    let asked = maildirs.into_iter().zip(presence::of_groups(&paths));
    let answers = asked.filter(|(maildir, presence)| match presence {
        Presence::There => true,
        Presence::Absent => false,
        Presence::Unknown => {
            print_error(&presence::no_answer(&maildir.path));
            false
        }
    });
    answers.map(|(maildir, _)| maildir).collect()
}

/// What the parts of a path stand for.
#[derive(Clone, Debug, Default)]
struct NamedParts {
    user: Option<String>,
    local: Option<String>,
    domain: Option<String>,
}

impl NamedParts {
    /// The same with one more; none where it contradicts what is there.
    fn with(&self, sign: char, value: &str) -> Option<Self> {
        let mut named = self.clone();
        let place = match sign {
            'u' => &mut named.user,
            'n' => &mut named.local,
            _ => &mut named.domain,
        };
        if place.as_deref().is_some_and(|there| there != value) {
            return None;
        }
        *place = Some(value.to_owned());
        Some(named)
    }

    fn user(&self) -> Option<String> {
        match (&self.user, &self.local, &self.domain) {
            (Some(user), _, _) => Some(user.clone()),
            (None, Some(local), Some(domain)) => Some(format!("{local}@{domain}")),
            (None, Some(local), None) => Some(local.clone()),
            (None, None, _) => None,
        }
    }
}

fn walk(
    location: &Location,
    path: PathBuf,
    parts: &[&str],
    named: &NamedParts,
    found: &mut Vec<UserMaildir>,
) -> Result<(), Error> {
    let Some((part, rest)) = parts.split_first() else {
        let user = named.user().filter(|user| {
            let store = location.of(user, None);
            store.is_ok_and(|store| store.path() == Some(&path))
        });
        found.extend(user.map(|user| UserMaildir {
            path,
            user,
            is_configured: true,
        }));
        return Ok(());
    };
    let Some((before, sign, behind)) = signed(part).map_err(|()| unclear(location, part))? else {
        return walk(location, path.join(part), rest, named, found);
    };
    let entries = match path.read_dir() {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(e) => return Err(Error::io("read directory", &path, &e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("read directory", &path, &e))?;
        let name = entry.file_name();
        let value = name.to_str().filter(|name| !name.starts_with('.'));
        let value = value.and_then(|name| name.strip_prefix(before)?.strip_suffix(behind));
        let Some(named) = value.and_then(|value| named.with(sign, value)) else {
            continue;
        };
        // No delivery follows a link at the end.
        let is_wanted = |kind: FileType| kind.is_dir() || kind.is_symlink() && rest.is_empty();
        if entry.file_type().is_ok_and(is_wanted) {
            walk(location, entry.path(), rest, &named, found)?;
        }
    }
    Ok(())
}

/// What stands before and behind the sign in a part of a path; none where there is no sign.
fn signed(part: &str) -> Result<Option<(&str, char, &str)>, ()> {
    let Some((before, after)) = part.split_once('%') else {
        return Ok(None);
    };
    let mut characters = after.chars();
    let sign = characters
        .next()
        .filter(|sign| matches!(sign, 'u' | 'n' | 'd'))
        .ok_or(())?;
    let behind = characters.as_str();
    (!behind.contains('%'))
        .then_some(Some((before, sign, behind)))
        .ok_or(())
}

fn unclear(location: &Location, part: &str) -> Error {
    let cause = format!("\"{part}\" does not say where a user's name ends");
    Error::new(Category::Configuration, "look for mailboxes in", location, cause)
        .hint("name the Maildirs by their paths, with a slash in them")
}

/// The Maildir of one user by name.
pub fn of_user(location: &Location, user: &str, home: Option<&Path>) -> Result<PathBuf, Error> {
    let fail = |cause: String| Error::new(Category::Configuration, "find the mailbox of", user, cause);
    match location.of(user, home).map_err(fail)? {
        MailStore::Maildir(path) => Ok(path),
        MailStore::Mbox(_) | MailStore::Lmtp(_) => Err(fail("mail is put into no Maildir".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::{UserMaildir, find_maildirs, signed};
    use crate::config::Location;
    use crate::sys::user_directory::Directory;

    #[test]
    fn the_directories_say_whose_maildirs_they_are() {
        let root = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let maildir = |path: &str| {
            for part in ["tmp", "new", "cur"] {
                assert!(std::fs::create_dir_all(root.path().join(path).join(part)).is_ok());
            }
        };
        for path in ["a.test/a/mail", "b.test/a/mail", "a.test/.hidden/mail", "users/u-c"] {
            maildir(path);
        }
        assert!(std::fs::create_dir_all(root.path().join("a.test/empty/mail")).is_ok());
        let seen = |template: &str| -> Vec<String> {
            let location = Location::Maildir(format!("{}/{template}", root.path().display()));
            let found = find_maildirs(&location, &Directory::default()).unwrap_or_else(|e| unreachable!("{e}"));
            found.into_iter().map(|UserMaildir { user, .. }| user).collect()
        };
        assert_eq!(seen("%d/%n/mail"), ["a@a.test", "a@b.test"]);
        assert_eq!(seen("users/u-%u"), ["c"]);
        assert_eq!(seen("users/u-c"), Vec::<String>::new());
        assert_eq!(seen("nowhere/%u"), Vec::<String>::new());
        // The name has a domain, and the path does not say which.
        assert_eq!(seen("%d/%u/mail"), Vec::<String>::new());
        for (part, want) in [
            ("mail", Ok(None)),
            ("%u", Ok(Some(("", 'u', "")))),
            ("u-%n.d", Ok(Some(("u-", 'n', ".d")))),
            ("%n-%d", Err(())),
            ("100%%", Err(())),
        ] {
            assert_eq!(signed(part), want, "{part}");
        }
    }
}
