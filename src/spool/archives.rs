//! The archives that there are: `spoolguard spool archives` lists them, and a restore finds them by a user's name.
//! Looks at names alone; what was not named by `archive/retention.rs` is no archive here.

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use serde::Serialize;

use crate::archive::retention::{ArchiveLabel, read_name};
use crate::archive::{names, retention};
use crate::deliver::context;
use crate::error::{Category, Error, Status};
use crate::escape::make_visible;
use crate::moment::Moment;
use crate::output::columns::{count_columns, pad_to_columns};
use crate::output::json::write_line;
use crate::output::sizes::short_size;
use crate::output::{OutputForm, finish_answer, shell, write_answer};
use crate::spool::context::SpoolRun;
use crate::sys::account;

#[derive(Clone, Debug, PartialEq, Eq)]
struct ListedArchive {
    label: ArchiveLabel,
    path: PathBuf,
    bytes: u64,
}

/// The keys are a promise.
#[derive(Serialize)]
struct ArchiveLine<'a> {
    user: &'a str,
    made: String,
    size: u64,
    path: String,
}

/// Runs the command: 0, or 1 when there is no archive.
pub fn run(care: &SpoolRun, user: Option<&str>, form: OutputForm) -> Result<Status, Error> {
    let found = find(care, user)?;
    match form {
        OutputForm::Json => {
            let mut lines = Vec::new();
            for archive in &found {
                let line = ArchiveLine {
                    user: &archive.label.user,
                    made: made(archive),
                    size: archive.bytes,
                    path: archive.path.display().to_string(),
                };
                finish_answer(write_line(&mut lines, &line))?;
            }
            write_answer(&lines)?;
        }
        OutputForm::Text => write_answer(text(care, user, &found).as_bytes())?,
    }
    Ok(if found.is_empty() { Status::Wrong } else { Status::Done })
}

fn text(care: &SpoolRun, user: Option<&str>, found: &[ListedArchive]) -> String {
    if found.is_empty() {
        let whose = user.map_or_else(String::new, |user| format!(" of {}", make_visible(user)));
        let dirs: Vec<_> = dirs(care).iter().map(|dir| shell::quote_path(dir)).collect();
        let unknown = user.is_some_and(|user| matches!(account::find_known(user), Ok(None)));
        let unknown = if unknown { "; there is no such user" } else { "" };
        return format!("no archives{whose} in {}{unknown}\n", dirs.join(" or "));
    }
    let width = found
        .iter()
        .map(|archive| count_columns(&archive.label.user))
        .max()
        .unwrap_or(0);
    let line = |archive: &ListedArchive| {
        format!(
            "{}  {}  {:>6}  {}\n",
            pad_to_columns(&archive.label.user, width),
            made(archive).replace('T', " ").replace('Z', " UTC"),
            short_size(archive.bytes),
            shell::quote_path(&archive.path)
        )
    };
    found.iter().map(line).collect()
}

/// When it was made, in UTC: its name has a day of the calendar.
fn made(archive: &ListedArchive) -> String {
    let made = Moment::from_seconds(archive.label.made);
    made.to_rfc3339().unwrap_or_default()
}

/// Where whoever runs this may find archives: the configured directory, and the own one of a user.
fn dirs(care: &SpoolRun) -> Vec<PathBuf> {
    let mut dirs = vec![PathBuf::from(&care.config.archive.dir)];
    if !Uid::effective().is_root() {
        dirs.extend(context::state_dir(&care.config, &care.runner).map(|dir| dir.join("archive")));
    }
    dirs
}

/// The archives of a user, or of everybody: by user, the newest first. A user hears of the own ones alone.
fn find(care: &SpoolRun, user: Option<&str>) -> Result<Vec<ListedArchive>, Error> {
    let own = (!Uid::effective().is_root()).then(|| care.runner.name.clone());
    let user = user.map(str::to_owned).or(own).map(|user| names::safe_name(&user));
    let mut found = Vec::new();
    for dir in dirs(care) {
        let entries = match dir.read_dir() {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            // What others keep in it is none of this user's business.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied && !Uid::effective().is_root() => continue,
            Err(e) => return Err(Error::io("read archive directory", &dir, &e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("read archive directory", &dir, &e))?;
            let Some(label) = read_name(&entry.file_name()) else {
                continue;
            };
            let stat = entry.metadata().ok().filter(std::fs::Metadata::is_file);
            let Some(stat) = stat.filter(|_| user.as_ref().is_none_or(|user| *user == label.user)) else {
                continue;
            };
            found.push(ListedArchive {
                label,
                path: entry.path(),
                bytes: stat.len(),
            });
        }
    }
    found.sort_by(|a, b| {
        let key = |found: &ListedArchive| (found.label.made, found.label.nth);
        a.label.user.cmp(&b.label.user).then_with(|| key(b).cmp(&key(a)))
    });
    Ok(found)
}

/// What words name: archives, and an error for each word that names none.
pub fn resolve_all(care: &SpoolRun, words: &[PathBuf]) -> (Vec<PathBuf>, Vec<Error>) {
    let (mut paths, mut errors) = (Vec::new(), Vec::new());
    for word in words {
        match resolve(care, word) {
            Ok(path) => paths.push(path),
            Err(e) => errors.push(e),
        }
    }
    (paths, errors)
}

/// The archive that a word names: a path, which has a slash in it, or the newest archive of a user. It may also be the
/// name of an archive, here or in the directory of archives, or any other file here. A user comes before a file: in
/// `/var/mail` there is a mailbox of that name.
fn resolve(care: &SpoolRun, word: &Path) -> Result<PathBuf, Error> {
    let is_path = word.as_os_str().as_encoded_bytes().contains(&b'/');
    let is_here = word.symlink_metadata().is_ok();
    let name = match word.to_str() {
        Some(name) if !is_path => name,
        Some(_) | None => return Ok(word.to_owned()),
    };
    if retention::read_name(word.as_os_str()).is_some() && !is_here {
        let known = dirs(care).into_iter().map(|dir| dir.join(word));
        let there = known.into_iter().find(|path| path.symlink_metadata().is_ok());
        return Ok(there.unwrap_or_else(|| word.to_owned()));
    }
    if !account::is_user_name(name) {
        return Ok(word.to_owned());
    }
    let newest = find(care, Some(name))?.into_iter().next().map(|archive| archive.path);
    newest.or_else(|| is_here.then(|| word.to_owned())).ok_or_else(|| {
        let dirs: Vec<_> = dirs(care).iter().map(|dir| dir.display().to_string()).collect();
        let cause = format!(
            "there is no such file, and no archive of such a user in {}",
            dirs.join(" or ")
        );
        let hint = if Uid::effective().is_root() {
            "what a user's own run archived may lie in the user's state directory, below archive; name its path"
        } else {
            "spoolguard spool archives lists yours"
        };
        Error::new(Category::Configuration, "restore", name, cause).hint(hint)
    })
}
