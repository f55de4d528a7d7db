//! The user database: `/etc/passwd` and `/etc/group` first, and what is not there is asked of the name service through getent(1).
//!
//! The C library's own look-up loads its modules into the process, which costs more than a small delivery and is closed to a static
//! program. A user who stands in the files needs one read of them; a directory service that hangs holds nobody else's mail, and its
//! users wait no longer than a bound.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use crate::sys::child;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
const SWITCH: &str = "/etc/nsswitch.conf";

/// For how long the name service is waited for.
const ASK_TIME: Duration = Duration::from_secs(60);

/// One user, as passwd(5) describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the primary group.
    pub gid: u32,
    /// The home directory.
    pub home: PathBuf,
}

/// The user called `name`; none where there is none.
///
/// # Errors
/// When the files cannot be read, or the name service fails.
pub fn by_name(name: &str) -> io::Result<Option<Entry>> {
    look_up(name, |entry| entry.name == name)
}

/// The user with the number `uid`.
///
/// # Errors
/// As for `by_name`.
pub fn by_uid(uid: u32) -> io::Result<Option<Entry>> {
    look_up(&uid.to_string(), |entry| entry.uid == uid)
}

/// The user with the number `uid`, if `/etc/passwd` has one.
///
/// # Errors
/// When the file cannot be read.
pub fn local_by_uid(uid: u32) -> io::Result<Option<Entry>> {
    Ok(find(&read(PASSWD)?, |entry| entry.uid == uid))
}

fn find(text: &str, is_it: impl Fn(&Entry) -> bool) -> Option<Entry> {
    text.lines().filter_map(Entry::read).find(|entry| is_it(entry))
}

fn look_up(key: &str, is_it: impl Fn(&Entry) -> bool) -> io::Result<Option<Entry>> {
    if let Some(entry) = find(&read(PASSWD)?, &is_it) {
        return Ok(Some(entry));
    }
    if has_only("passwd", &["files"]) {
        return Ok(None);
    }
    // A number may be somebody's name, and a name a number: the answer is looked at, too.
    Ok(ask("passwd", key)?.and_then(|text| find(&text, &is_it)))
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
    if !has_only("group", &["files", "systemd"]) {
        let answer = ask("initgroups", user)?.unwrap_or_default();
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
    if has_only("group", &["files"]) {
        return Ok(None);
    }
    Ok(ask("group", &gid.to_string())?.and_then(|text| find(&text)))
}

impl Entry {
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

/// Tells whether `database` comes from none but these sources (nsswitch.conf(5)); without that file it is `files`.
fn has_only(database: &str, sources: &[&str]) -> bool {
    sources_of(&read(SWITCH).unwrap_or_default(), database)
        .iter()
        .all(|source| sources.contains(&source.as_str()))
}

fn sources_of(switch: &str, database: &str) -> Vec<String> {
    let lines = switch.lines().map(|line| line.split('#').next().unwrap_or_default());
    let value = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == database)
        .map_or("", |(_, value)| value);
    // `[NOTFOUND=return]` says when to stop asking, and names no source.
    let mut in_brackets = false;
    let mut sources = Vec::new();
    for word in value.split_ascii_whitespace() {
        let begins = word.starts_with('[');
        if !begins && !in_brackets {
            sources.push(word.to_owned());
        }
        in_brackets = (begins || in_brackets) && !word.ends_with(']');
    }
    sources
}

/// Asks getent(1); none where the name service knows no such entry, or where there is no such program.
fn ask(database: &str, key: &str) -> io::Result<Option<String>> {
    if key.starts_with('-') {
        // It would be an option.
        return Ok(None);
    }
    let answer = match child::ask("getent", &[database, key], &[], child::Streams::Output, ASK_TIME) {
        Ok(answer) => answer,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::TimedOut => {
            return Err(io::Error::other("the name service does not answer in time"));
        }
        Err(e) => return Err(e),
    };
    match answer.status.code() {
        Some(0) => Ok(Some(answer.text)),
        // Not found (getent(1)); 3 says that this database cannot be listed.
        Some(2) => Ok(None),
        _ => Err(io::Error::other(format!(
            "getent {database} ended with {}",
            answer.status
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, ask, by_name, by_uid, group, group_name, groups_of, sources_of};

    #[test]
    fn a_line_is_a_user_or_none() {
        let a = Entry::read("a:x:1000:100:A,,,:/home/a:/bin/sh");
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
            assert_eq!(Entry::read(line), None, "{line}");
        }
        assert_eq!(group("mail:x:8:a,b"), Some(("mail", 8, "a,b")));
        assert_eq!(group("mail:x:8:"), Some(("mail", 8, "")));
        assert_eq!(group("+:::"), None);
    }

    #[test]
    fn the_sources_are_read_without_what_they_do_on_failure() {
        let switch = "passwd: files [NOTFOUND=return UNAVAIL=continue] ldap # x\n#group: nis\ngroup:files systemd\n";
        assert_eq!(sources_of(switch, "passwd"), ["files", "ldap"]);
        assert_eq!(sources_of(switch, "group"), ["files", "systemd"]);
        assert_eq!(sources_of(switch, "shadow"), [] as [&str; 0]);
    }

    #[test]
    fn root_is_found_and_nobody_made_up() {
        let root = by_uid(0).ok().flatten().map(|root| root.name);
        assert_eq!(
            by_name(root.as_deref().unwrap_or("root")).ok().flatten().map(|r| r.uid),
            Some(0)
        );
        assert!(matches!(by_name("no such user, surely"), Ok(None)));
        assert!(group_name(0).is_ok_and(|name| name.is_some()));
        assert!(groups_of("no such user, surely", 7).is_ok_and(|groups| groups == [7]));
        assert!(ask("passwd", "no such user, surely").is_ok_and(|answer| answer.is_none()));
    }
}
