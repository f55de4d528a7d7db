//! The user database: `/etc/passwd` and `/etc/group` first, and what is not there is asked of the name service through getent(1).
//!
//! The C library's own look-up loads its modules into the process, which costs more than a small delivery and is closed to a static
//! program. A user who stands in the files needs one read of them; a directory service that hangs holds nobody else's mail, and its
//! users wait no longer than a bound.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::sys::name_service;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// One user, as passwd(5) describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswdEntry {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the primary group.
    pub gid: u32,
    /// The home directory.
    pub home: PathBuf,
}

/// The user called `name`; none where every source says that there is none.
///
/// # Errors
/// When the files cannot be read, or a source of the name service could not be asked.
pub fn by_name(name: &str) -> io::Result<Option<PasswdEntry>> {
    if let Some(entry) = find(&read(PASSWD)?, |entry| entry.name == name) {
        return Ok(Some(entry));
    }
    look_further(name, |entry| entry.name == name)
}

/// The users with the number `uid`: those of `/etc/passwd`, in its order, else the one that the name service has.
///
/// # Errors
/// As for `by_name`.
pub fn by_uid(uid: u32) -> io::Result<Vec<PasswdEntry>> {
    let local = local_by_uid(uid)?;
    if !local.is_empty() {
        return Ok(local);
    }
    Ok(look_further(&uid.to_string(), |entry| entry.uid == uid)?
        .into_iter()
        .collect())
}

/// The users with the number `uid` in `/etc/passwd`, each name once.
///
/// # Errors
/// When the file cannot be read.
pub fn local_by_uid(uid: u32) -> io::Result<Vec<PasswdEntry>> {
    let mut found: Vec<PasswdEntry> = Vec::new();
    for entry in read(PASSWD)?.lines().filter_map(PasswdEntry::read) {
        if entry.uid == uid && found.iter().all(|other| other.name != entry.name) {
            found.push(entry);
        }
    }
    Ok(found)
}

/// The numbers that several names of `/etc/passwd` have, each with these names.
///
/// # Errors
/// When the file cannot be read.
pub fn shared_uids() -> io::Result<Vec<(u32, Vec<String>)>> {
    let mut names: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for entry in read(PASSWD)?.lines().filter_map(PasswdEntry::read) {
        let of_uid = names.entry(entry.uid).or_default();
        if !of_uid.contains(&entry.name) {
            of_uid.push(entry.name);
        }
    }
    Ok(names.into_iter().filter(|(_, names)| names.len() > 1).collect())
}

fn find(text: &str, is_it: impl Fn(&PasswdEntry) -> bool) -> Option<PasswdEntry> {
    text.lines().filter_map(PasswdEntry::read).find(|entry| is_it(entry))
}

/// Asks the name service for what the file does not have.
fn look_further(key: &str, is_it: impl Fn(&PasswdEntry) -> bool) -> io::Result<Option<PasswdEntry>> {
    let sources = name_service::sources("passwd")?;
    if sources.iter().all(|source| source == "files") {
        return Ok(None);
    }
    // A number may be somebody's name, and a name a number: the answer is looked at, too.
    Ok(name_service::ask_all(&sources, "passwd", key)?.and_then(|text| find(&text, &is_it)))
}

/// The numbers of the groups that `user` is in, the primary one first.
///
/// # Errors
/// As for `by_name`.
pub fn groups_of(user: &str, primary: u32) -> io::Result<Vec<u32>> {
    let mut groups = vec![primary];
    let mut add = |gid| {
        if !groups.contains(&gid) {
            groups.push(gid);
        }
    };
    for (_, gid, members) in read(GROUP)?.lines().filter_map(group) {
        if members.split(',').any(|member| member.trim() == user) {
            add(gid);
        }
    }
    // What systemd makes up as it goes has no members among the users of the files.
    if !has_only("group", &["files", "systemd"])? {
        let answer = ask_for_group("initgroups", user)?.unwrap_or_default();
        answer
            .split_ascii_whitespace()
            .skip(1)
            .filter_map(|gid| gid.parse().ok())
            .for_each(add);
    }
    Ok(groups)
}

/// The name of the group with the number `gid`.
///
/// # Errors
/// As for `by_name`.
pub fn group_name(gid: u32) -> io::Result<Option<String>> {
    let find = |text: &str| {
        text.lines()
            .filter_map(group)
            .find(|(_, number, _)| *number == gid)
            .map(|(name, _, _)| name.to_owned())
    };
    if let Some(name) = find(&read(GROUP)?) {
        return Ok(Some(name));
    }
    if has_only("group", &["files"])? {
        return Ok(None);
    }
    Ok(ask_for_group("group", &gid.to_string())?.and_then(|text| find(&text)))
}

/// Tells whether a group is called so.
///
/// # Errors
/// As for `by_name`.
pub fn is_group(name: &str) -> io::Result<bool> {
    let has = |text: &str| text.lines().filter_map(group).any(|(other, ..)| other == name);
    if has(&read(GROUP)?) {
        return Ok(true);
    }
    if has_only("group", &["files"])? {
        return Ok(false);
    }
    Ok(ask_for_group("group", name)?.is_some_and(|text| has(&text)))
}

/// A host without getent(1) has the groups of its files.
fn ask_for_group(database: &str, key: &str) -> io::Result<Option<String>> {
    match name_service::ask_name_service(database, key) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        answer => answer,
    }
}

impl PasswdEntry {
    /// Reads a line `name:password:uid:gid:gecos:home:shell`; lines for other sources, `+...` and `-...`, are none (nsswitch.conf(5)).
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields
            .next()
            .filter(|name| !name.is_empty() && !name.starts_with(['+', '-', '#']))?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        let home = fields.nth(1)?;
        Some(Self {
            name: name.to_owned(),
            uid,
            gid,
            home: PathBuf::from(home),
        })
    }
}

/// Reads a line `name:password:gid:members`.
fn group(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.starts_with(['+', '-', '#']))?;
    let gid = fields.nth(1)?.parse().ok()?;
    Some((name, gid, fields.next().unwrap_or_default()))
}

/// A file that is not there says nothing.
fn read(path: &str) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(4096);
    match File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(e),
    }
    // A comment field in Latin-1 must not hide anybody.
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    })
}

/// Tells whether `database` comes from these sources alone.
fn has_only(database: &str, sources: &[&str]) -> io::Result<bool> {
    Ok(name_service::sources(database)?
        .iter()
        .all(|source| sources.contains(&source.as_str())))
}

#[cfg(test)]
mod tests {
    use super::{PasswdEntry, by_name, by_uid, group, group_name, groups_of};

    #[test]
    fn a_line_is_a_user_or_none() {
        let a = PasswdEntry::read("a:x:1000:100:A,,,:/home/a:/bin/sh");
        assert_eq!(
            a.map(|a| (a.name, a.uid, a.gid, a.home)),
            Some(("a".to_owned(), 1000, 100, "/home/a".into()))
        );
        for line in [
            "",
            "+::::::",
            "+@staff",
            "-b:x:1:1::/:",
            "# a:x:1:1::/:",
            "a:x:one:1::/:",
            "a:x:1",
        ] {
            assert_eq!(PasswdEntry::read(line), None, "{line}");
        }
        assert_eq!(group("mail:x:8:a,b"), Some(("mail", 8, "a,b")));
        assert_eq!(group("mail:x:8:"), Some(("mail", 8, "")));
        assert_eq!(group("+:::"), None);
    }

    #[test]
    fn root_is_found_and_nobody_made_up() {
        let root = by_uid(0).ok().and_then(|roots| Some(roots.into_iter().next()?.name));
        assert_eq!(
            by_name(root.as_deref().unwrap_or("root")).ok().flatten().map(|r| r.uid),
            Some(0)
        );
        assert!(matches!(by_name("no such user, surely"), Ok(None)));
        assert!(group_name(0).is_ok_and(|name| name.is_some()));
        assert!(groups_of("no such user, surely", 7).is_ok_and(|groups| groups == [7]));
    }
}
