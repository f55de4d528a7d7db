//! The user database: `/etc/passwd` and `/etc/group` first, and what is not there is asked of the name service through
//! getent(1).
//!
//! The C library's own look-up loads its modules into the process, which costs more than a small delivery and is closed
//! to a static program. A user who stands in the files needs one read of them; a directory service that hangs holds
//! nobody else's mail, and its users wait no longer than a bound.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use crate::sys::name_service;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// How much of a file is in memory at a time: some hosts list a hundred thousand users.
const BLOCK_BYTES: usize = 64 << 10;

/// How much is read at first, in bytes: most hosts list forty users.
const FIRST_BLOCK_BYTES: usize = 4 << 10;

/// One user, as passwd(5) describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswdEntry {
    pub name: String,
    pub uid: u32,
    /// The number of the primary group.
    pub gid: u32,
    pub home: PathBuf,
}

/// The user called `name`; none where every source says that there is none. Fails when the files cannot be read, or a
/// source of the name service could not be asked.
pub fn by_name(name: &str) -> io::Result<Option<PasswdEntry>> {
    match local_by_name(name)? {
        Some(entry) => Ok(Some(entry)),
        None => look_further(name, |entry| entry.name == name),
    }
}

/// The first user of `/etc/passwd` called `name`. A name stands in fewer lines than a number, and nothing behind it is
/// read.
pub fn local_by_name(name: &str) -> io::Result<Option<PasswdEntry>> {
    first(Path::new(PASSWD), &format!("{name}:"), |line| {
        PasswdEntry::read(line).filter(|entry| entry.name == name)
    })
}

/// The users with the number `uid`: those of `/etc/passwd`, in its order, else the one that the name service has.
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
pub fn local_by_uid(uid: u32) -> io::Result<Vec<PasswdEntry>> {
    let mut found: Vec<PasswdEntry> = Vec::new();
    // With what ends the field: alone, a short number is in every line.
    each_line(Path::new(PASSWD), &format!("{uid}:"), |line| {
        if let Some(entry) = PasswdEntry::read(line)
            && entry.uid == uid
            && found.iter().all(|other| other.name != entry.name)
        {
            found.push(entry);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// All users of `/etc/passwd`, in its order.
pub fn local_users() -> io::Result<Vec<PasswdEntry>> {
    let mut found = Vec::new();
    each_line(Path::new(PASSWD), "", |line| {
        found.extend(PasswdEntry::read(line));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// The numbers that several names of `/etc/passwd` have, each with these names.
pub fn shared_uids() -> io::Result<Vec<(u32, Vec<String>)>> {
    let mut names: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for user in local_users()? {
        let of_uid = names.entry(user.uid).or_default();
        if !of_uid.contains(&user.name) {
            of_uid.push(user.name);
        }
    }
    Ok(names.into_iter().filter(|(_, names)| names.len() > 1).collect())
}

/// What `read` makes of the first line with `word` in it of which it makes anything.
fn first<T>(path: &Path, word: &str, mut read: impl FnMut(&[u8]) -> Option<T>) -> io::Result<Option<T>> {
    let mut found = None;
    each_line(path, word, |line| {
        found = read(line);
        match found {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    })?;
    Ok(found)
}

/// Asks the name service for what the file does not have.
fn look_further(key: &str, is_it: impl Fn(&PasswdEntry) -> bool) -> io::Result<Option<PasswdEntry>> {
    let sources = name_service::database_sources("passwd")?;
    if sources.iter().all(|source| source == "files") {
        return Ok(None);
    }
    // A number may be somebody's name, and a name a number: the answer is looked at, too.
    let text = name_service::ask_all(&sources, "passwd", key)?.unwrap_or_default();
    let mut entries = text.lines().filter_map(|line| PasswdEntry::read(line.as_bytes()));
    Ok(entries.find(is_it))
}

/// The numbers of the groups that `user` is in, the primary one first.
pub fn groups_of(user: &str, primary: u32) -> io::Result<Vec<u32>> {
    let mut groups = vec![primary];
    let mut add = |gid| {
        if !groups.contains(&gid) {
            groups.push(gid);
        }
    };
    each_line(Path::new(GROUP), user, |line| {
        if let Some(group) = GroupEntry::read(line)
            && group.has_member(user)
        {
            add(group.gid);
        }
        ControlFlow::Continue(())
    })?;
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
pub fn group_name(gid: u32) -> io::Result<Option<String>> {
    find_group(&gid.to_string(), |group| group.gid == gid)
}

/// Tells whether a group is called so.
pub fn is_group(name: &str) -> io::Result<bool> {
    Ok(find_group(name, |group| group.name == name.as_bytes())?.is_some())
}

/// The name of the group that is known by `key`, its name or its number.
fn find_group(key: &str, is_it: impl Fn(&GroupEntry<'_>) -> bool) -> io::Result<Option<String>> {
    let name_of = |line: &[u8]| {
        let group = GroupEntry::read(line).filter(&is_it)?;
        Some(String::from_utf8_lossy(group.name).into_owned())
    };
    if let Some(name) = first(Path::new(GROUP), key, name_of)? {
        return Ok(Some(name));
    }
    if has_only("group", &["files"])? {
        return Ok(None);
    }
    let text = ask_for_group("group", key)?.unwrap_or_default();
    Ok(text.lines().find_map(|line| name_of(line.as_bytes())))
}

/// A host without getent(1) has the groups of its files.
fn ask_for_group(database: &str, key: &str) -> io::Result<Option<String>> {
    match name_service::ask_name_service(database, key) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        answer => answer,
    }
}

impl PasswdEntry {
    /// Reads a line `name:password:uid:gid:gecos:home:shell`; lines for other sources, `+...` and `-...`, are none
    /// (nsswitch.conf(5)). A comment in Latin-1 hides nobody.
    fn read(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields
            .next()
            .filter(|name| !matches!(name.first(), None | Some(b'+' | b'-' | b'#')))?;
        let (uid, gid) = (number(fields.nth(1)?)?, number(fields.next()?)?);
        let home = fields.nth(1)?;
        Some(Self {
            name: String::from_utf8_lossy(name).into_owned(),
            uid,
            gid,
            home: PathBuf::from(OsStr::from_bytes(home)),
        })
    }
}

/// One group, as group(5) describes them.
struct GroupEntry<'a> {
    name: &'a [u8],
    gid: u32,
    members: &'a [u8],
}

impl<'a> GroupEntry<'a> {
    /// Reads a line `name:password:gid:members`.
    fn read(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields
            .next()
            .filter(|name| !matches!(name.first(), Some(b'+' | b'-' | b'#')))?;
        Some(Self {
            name,
            gid: number(fields.nth(1)?)?,
            members: fields.next().unwrap_or_default(),
        })
    }

    fn has_member(&self, user: &str) -> bool {
        let mut members = self.members.split(|byte| *byte == b',');
        members.any(|member| member.trim_ascii() == user.as_bytes())
    }
}

fn number(field: &[u8]) -> Option<u32> {
    u32::from_str(std::str::from_utf8(field).ok()?).ok()
}

/// Shows each line of a file that has `word` in it, in order, until told to stop. A file that is not there has none.
fn each_line(path: &Path, word: &str, mut show: impl FnMut(&[u8]) -> ControlFlow<()>) -> io::Result<()> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let finder = Finder::new(word);
    let mut block = vec![0; FIRST_BLOCK_BYTES];
    let mut kept = 0;
    loop {
        let read = match file.read(block.get_mut(kept..).unwrap_or_default()) {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let filled = kept + read;
        let text = block.get(..filled).unwrap_or_default();
        // The last line may lack its end.
        let whole = if read == 0 {
            filled
        } else {
            memrchr(b'\n', text).map_or(0, |at| at + 1)
        };
        if show_lines(text.get(..whole).unwrap_or_default(), &finder, &mut show).is_break() || read == 0 {
            return Ok(());
        }
        block.copy_within(whole..filled, 0);
        kept = filled - whole;
        // The file is longer than this, or one line is.
        if filled == block.len() && (filled < BLOCK_BYTES || kept == filled) {
            block.resize(2 * filled, 0);
        }
    }
}

/// Shows each line of `text` in which something is found. One search goes over all of it, rather than one over each
/// line.
fn show_lines(text: &[u8], finder: &Finder<'_>, show: &mut impl FnMut(&[u8]) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut rest = text;
    while let Some(at) = finder.find(rest).filter(|_| !rest.is_empty()) {
        let (before, behind) = rest.split_at_checked(at).unwrap_or((rest, b""));
        let start = memrchr(b'\n', before).map_or(0, |at| at + 1);
        let end = memchr(b'\n', behind).map_or(rest.len(), |length| at + length);
        let line = rest.get(start..end).unwrap_or_default();
        show(line.strip_suffix(b"\r").unwrap_or(line))?;
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    ControlFlow::Continue(())
}

/// Tells whether `database` comes from these sources alone.
fn has_only(database: &str, sources: &[&str]) -> io::Result<bool> {
    Ok(name_service::database_sources(database)?
        .iter()
        .all(|source| sources.contains(&source.as_str())))
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, GroupEntry, PasswdEntry, by_name, by_uid, each_line, group_name, groups_of};
    use std::ops::ControlFlow;

    #[test]
    fn a_line_is_a_user_or_none() {
        let a = PasswdEntry::read(b"a:x:1000:100:A,,,:/home/a:/bin/sh");
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
            assert_eq!(PasswdEntry::read(line.as_bytes()), None, "{line}");
        }
        let latin = PasswdEntry::read(b"a:x:1:2:J\xfcrgen:/home/a:/bin/sh\r").map(|a| (a.name, a.home));
        assert_eq!(latin, Some(("a".to_owned(), "/home/a".into())));
        let mail =
            GroupEntry::read(b"mail:x:8:a, b").map(|mail| (mail.gid, mail.has_member("b"), mail.has_member("c")));
        assert_eq!(mail, Some((8, true, false)));
        assert!(GroupEntry::read(b"mail:x:8").is_some_and(|mail| mail.name == b"mail" && !mail.has_member("a")));
        assert!(GroupEntry::read(b"+:::").is_none());
    }

    /// What is shown of a file with this text.
    fn shown(text: &str, word: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("passwd");
        assert!(std::fs::write(&path, text).is_ok());
        let mut lines = Vec::new();
        let read = each_line(&path, word, |line| {
            lines.push(String::from_utf8_lossy(line).into_owned());
            ControlFlow::Continue(())
        });
        assert!(read.is_ok());
        lines
    }

    #[test]
    fn a_line_is_shown_once_wherever_a_block_ends() {
        let long = "y".repeat(2 * BLOCK_BYTES);
        for filler in [
            0,
            1,
            BLOCK_BYTES - 20,
            BLOCK_BYTES - 3,
            BLOCK_BYTES - 2,
            BLOCK_BYTES - 1,
            BLOCK_BYTES,
            5 * BLOCK_BYTES,
        ] {
            let fill = format!("{}\n", "z".repeat(filler));
            let text = format!("u1:{fill}u1 u1\n{fill}u2\nu1{long}\r\n\nend u1");
            let lines = shown(&text, "u1");
            let first = format!("u1:{}", "z".repeat(filler));
            assert_eq!(
                lines,
                [first.as_str(), "u1 u1", &format!("u1{long}"), "end u1"],
                "{filler}"
            );
            assert_eq!(shown(&text, ""), text.lines().collect::<Vec<_>>(), "{filler}");
        }
        assert_eq!(shown("", "a"), [""; 0]);
        assert_eq!(shown("a", "a"), ["a"]);
    }

    #[test]
    fn a_look_stops_at_what_it_wanted() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("passwd");
        assert!(std::fs::write(&path, "a1\na2\n").is_ok());
        let mut lines = 0;
        let read = each_line(&path, "a", |_| {
            lines += 1;
            ControlFlow::Break(())
        });
        assert!(read.is_ok() && lines == 1);
        assert!(each_line(&path.join("none"), "a", |_| ControlFlow::Break(())).is_err());
        assert!(each_line(&dir.path().join("none"), "a", |_| ControlFlow::Break(())).is_ok());
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
