//! The name service: which sources `nsswitch.conf` names, and what getent(1) says of a key that the files do not have.
//!
//! getent(1) ends with 2 both where a key is nobody's and where the source that would know it is away. So "nobody's" is
//! believed only when every source could be asked; otherwise the answer is an error, and mail waits. What the files
//! themselves say is left to `passwd`.

use std::fs::DirEntry;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sys::child;

const SWITCH: &str = "/etc/nsswitch.conf";

/// For how long the name service is waited for.
const ASK_TIME: Duration = Duration::from_secs(60);

/// Sources that are files of this host, or its own systemd: nothing of theirs can be away.
const LOCAL: [&str; 8] = [
    "files",
    "compat",
    "db",
    "systemd",
    "extrausers",
    "altfiles",
    "mymachines",
    "myhostname",
];

/// Sources that a daemon of this host answers for, and its sockets. Without the daemon the source knows nobody.
const DAEMONS: [(&str, &[&str]); 3] = [
    ("sss", &["/var/lib/sss/pipes/nss"]),
    ("ldap", &["/run/nslcd/socket", "/var/run/nslcd/socket"]),
    (
        "winbind",
        &[
            "/run/samba/winbindd/pipe",
            "/var/run/samba/winbindd/pipe",
            "/var/lib/samba/winbindd_privileged/pipe",
        ],
    ),
];

/// Where the modules of the name service are; on Debian in a directory below that is named after the architecture.
const MODULE_DIRS: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// The sources of a database, in their order (nsswitch.conf(5)); none where no such line is: then it is `files`.
pub fn database_sources(database: &str) -> io::Result<Vec<String>> {
    let text = match std::fs::read(SWITCH) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e),
    };
    Ok(sources_of(&text, database))
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

/// Asks getent(1) for a key; none where the name service has no such entry, as far as getent can tell. Fails when
/// getent fails, or does not answer in time.
pub fn ask_name_service(database: &str, key: &str) -> io::Result<Option<String>> {
    if key.starts_with('-') {
        // It would be an option.
        return Ok(None);
    }
    let answer = match child::output_of("getent", &[database, key], &[], child::Streams::Output, ASK_TIME) {
        Ok(answer) => answer,
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

/// The same for one of several `sources`, and none only where each of them could be asked. Fails when one of them could
/// not be asked: then nobody can tell whether there is such an entry.
pub fn ask_all(sources: &[String], database: &str, key: &str) -> io::Result<Option<String>> {
    match ask_name_service(database, key) {
        Ok(None) => {}
        // Of local sources, only what systemd makes up as it goes is then missing.
        Err(e)
            if e.kind() == io::ErrorKind::NotFound && sources.iter().all(|source| LOCAL.contains(&source.as_str())) =>
        {
            return Ok(None);
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(io::Error::other("getent(1) is missing, which asks the name service"));
        }
        answer => return answer,
    }
    match remote_sources(sources).next() {
        None => Ok(None),
        Some(source) => Err(io::Error::other(format!(
            "the source {source} of {SWITCH} cannot be asked"
        ))),
    }
}

/// Those of the sources that cannot be asked now.
pub fn remote_sources(sources: &[String]) -> impl Iterator<Item = &str> {
    let sources = sources.iter().map(String::as_str);
    sources.filter(|source| !LOCAL.contains(source) && !can_be_asked(source))
}

/// Tells whether there is somebody to ask behind a source. Of one that we do not know, its module has to be there.
fn can_be_asked(source: &str) -> bool {
    match DAEMONS.iter().find(|(name, _)| *name == source) {
        // The module of old asks the directory itself, without a daemon.
        Some(("ldap", _)) if !Path::new("/etc/nslcd.conf").exists() => has_module(source),
        // getent(1) has just had its answer: whoever listens does not make us wait.
        Some((_, sockets)) => has_module(source) && sockets.iter().any(|path| UnixStream::connect(path).is_ok()),
        None => has_module(source),
    }
}

fn has_module(source: &str) -> bool {
    let module = format!("libnss_{source}.so.2");
    // `x86_64-linux-gnu` and the like.
    let is_architecture = |entry: &DirEntry| entry.file_name().to_string_lossy().contains("-linux-");
    MODULE_DIRS.iter().any(|dir| {
        let below = std::fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter(is_architecture);
        let mut dirs = std::iter::once(PathBuf::from(dir)).chain(below.map(|entry| entry.path()));
        dirs.any(|dir| dir.join(&module).exists())
    })
}

#[cfg(test)]
mod tests {
    use super::{ask_all, ask_name_service, can_be_asked, sources_of};

    #[test]
    fn the_sources_are_read_without_what_they_do_on_failure() {
        let switch = "passwd: files [NOTFOUND=return UNAVAIL=continue] ldap # x\n#group: nis\ngroup:files systemd\n";
        assert_eq!(sources_of(switch, "passwd"), ["files", "ldap"]);
        assert_eq!(sources_of(switch, "group"), ["files", "systemd"]);
        assert_eq!(sources_of(switch, "shadow"), [] as [&str; 0]);
    }

    #[test]
    fn nobody_is_made_up_and_absence_needs_every_source() {
        const NOBODY: &str = "no such user, surely";
        assert!(ask_name_service("passwd", NOBODY).is_ok_and(|answer| answer.is_none()));
        let asked = |sources: &[&str]| {
            let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
            ask_all(&sources, "passwd", NOBODY)
        };
        assert!(asked(&["files", "systemd"]).is_ok_and(|answer| answer.is_none()));
        assert!(!can_be_asked("no_such_module"));
        let error = asked(&["files", "no_such_module"]).map_err(|e| e.to_string());
        assert!(error.is_err_and(|text| text.contains("no_such_module")));
    }
}
