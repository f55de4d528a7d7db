//! The `[mailbox] location`: where each user's mail is put. Text becomes this checked type once, when the configuration
//! is read; a user's name makes one mailbox of it. What stands for the name or the home directory never leads out of
//! the place that is configured.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// What stands for the user's name in the location of an mbox.
const USER: &str = "/%u";

/// What a location may be, for whoever wrote another one.
const EXPECTED: &str = "expected mbox: and an absolute path that ends with /%u, such as mbox:/var/mail/%u; or maildir: and a path that is absolute \
                        or begins with ~/; or lmtp: and a socket or host:port, or a list of these";

/// Where each user's mail is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `mbox:/var/mail/%u`: mboxes in one directory, each named after its user.
    Mbox {
        /// The directory of the mailboxes.
        dir: PathBuf,
    },
    /// `maildir:~/Maildir`: a path in which `~`, `%u`, `%n` and `%d` stand for what is the user's.
    Maildir(String),
    /// `lmtp:/run/dovecot/lmtp`, `lmtp:HOST:PORT`: servers that are tried in turn. Never empty.
    Lmtp(Vec<Endpoint>),
}

/// Where an LMTP server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket of this host.
    Unix(PathBuf),
    /// A name or an address, without brackets, and a port.
    Tcp(String, u16),
}

/// Where the mail of one user is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailStore {
    /// An mbox.
    Mbox(PathBuf),
    /// A Maildir: the directory that holds `tmp`, `new` and `cur`.
    Maildir(PathBuf),
    /// LMTP servers that are tried in turn.
    Lmtp(Vec<Endpoint>),
}

impl Location {
    /// Returns where the mail of the user of this name is put. `%u` is the name, `%n` its part before the `@`, `%d` the
    /// part behind it. Fails when the location needs something that the user has not got, or the name would lead
    /// elsewhere.
    pub fn of(&self, user: &str, home: Option<&Path>) -> Result<MailStore, String> {
        match self {
            Self::Mbox { dir } => Ok(MailStore::Mbox(dir.join(user))),
            Self::Maildir(template) => expand(template, user, home).map(MailStore::Maildir),
            Self::Lmtp(endpoints) => Ok(MailStore::Lmtp(endpoints.clone())),
        }
    }

    /// The servers that have the mail and its quota; none where it lies on this host.
    pub fn lmtp_servers(&self) -> &[Endpoint] {
        match self {
            Self::Mbox { .. } | Self::Maildir(_) => &[],
            Self::Lmtp(servers) => servers,
        }
    }

    /// The directory of the mboxes; where mail is put elsewhere, the one that mail programs use.
    pub fn spool_dir(&self) -> &Path {
        match self {
            Self::Mbox { dir } => dir,
            Self::Maildir(_) | Self::Lmtp(_) => Path::new("/var/mail"),
        }
    }
}

/// Puts in what stands in the template for the user's name and home directory.
fn expand(template: &str, user: &str, home: Option<&Path>) -> Result<PathBuf, String> {
    let path = fill_in(template, user).map_err(|cause| format!("in maildir:{template} {cause}"))?;
    match (path.strip_prefix("~/"), home) {
        (None, _) => Ok(PathBuf::from(path)),
        (Some(below), Some(home)) => Ok(home.join(below)),
        (Some(_), None) => Err(format!("maildir:{template} needs a home directory, and there is none")),
    }
}

/// Puts in what stands in the template for the user: `%u` is the name, `%n` its part before the `@`, `%d` the part
/// behind it, `%%` a `%`. Fails when something would lead elsewhere, or the user has not got it.
pub fn fill_in(template: &str, user: &str) -> Result<String, String> {
    let (local, domain) = user.rsplit_once('@').unwrap_or((user, ""));
    let mut path = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('%') {
        let (sign, behind) = after.split_at_checked(1).unwrap_or((after, ""));
        let value = match sign {
            "u" => user,
            "n" => local,
            "d" => domain,
            _ => "%",
        };
        if value.is_empty() || value == "." || value == ".." || value.contains(['/', '\0']) {
            return Err(format!("%{sign} stands for \"{value}\" here, which names no directory"));
        }
        path.push_str(before);
        path.push_str(value);
        rest = behind;
    }
    path.push_str(rest);
    Ok(path)
}

impl Default for Location {
    fn default() -> Self {
        Self::Mbox {
            dir: PathBuf::from("/var/mail"),
        }
    }
}

impl FromStr for Location {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(path) = text.strip_prefix("mbox:") {
            return mbox(path);
        }
        if let Some(path) = text.strip_prefix("maildir:") {
            return maildir(path);
        }
        endpoint(text).map(|endpoint| Self::Lmtp(vec![endpoint]))
    }
}

fn mbox(path: &str) -> Result<Location, ()> {
    let dir = path.strip_suffix(USER).ok_or(())?;
    // "/%u" alone is the root directory.
    let dir = Path::new(if dir.is_empty() { "/" } else { dir });
    if !dir.is_absolute() || dir.to_string_lossy().contains('%') {
        return Err(());
    }
    Ok(Location::Mbox { dir: dir.to_owned() })
}

fn maildir(path: &str) -> Result<Location, ()> {
    let path = path.trim_end_matches('/');
    let signs_are_known = path
        .replace("%%", "")
        .split('%')
        .skip(1)
        .all(|part| part.starts_with(['u', 'n', 'd']));
    let is_rooted = path.strip_prefix("~/").is_some_and(|below| !below.is_empty()) || path.starts_with('/');
    (is_rooted && signs_are_known)
        .then(|| Location::Maildir(path.to_owned()))
        .ok_or(())
}

fn endpoint(text: &str) -> Result<Endpoint, ()> {
    let place = text.strip_prefix("lmtp:").ok_or(())?;
    if place.starts_with('/') {
        return Ok(Endpoint::Unix(PathBuf::from(place)));
    }
    let (host, port) = place.rsplit_once(':').ok_or(())?;
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().map_err(drop)?.to_string(),
        None if !host.is_empty() && host.chars().all(is_host) => host.to_owned(),
        None => return Err(()),
    };
    let port = port.parse().ok().filter(|port| *port > 0).ok_or(())?;
    Ok(Endpoint::Tcp(host, port))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mbox { dir } => {
                let dir = dir.display().to_string();
                write!(f, "mbox:{}{USER}", dir.trim_end_matches('/'))
            }
            Self::Maildir(template) => write!(f, "maildir:{template}"),
            Self::Lmtp(endpoints) => write_all(endpoints, f),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "lmtp:{}", path.display()),
            Self::Tcp(host, port) if host.contains(':') => write!(f, "lmtp:[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "lmtp:{host}:{port}"),
        }
    }
}

/// Writes servers as a list of them is written.
fn write_all(endpoints: &[Endpoint], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (number, endpoint) in endpoints.iter().enumerate() {
        if number > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{endpoint}")?;
    }
    Ok(())
}

impl fmt::Display for MailStore {
    /// As it is typed behind `--mailbox`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mbox(path) => write!(f, "{}", path.display()),
            Self::Maildir(path) => write!(f, "{}/", path.display().to_string().trim_end_matches('/')),
            Self::Lmtp(endpoints) => write_all(endpoints, f),
        }
    }
}

impl MailStore {
    /// The same kind of mailbox at another place.
    pub fn at_path(&self, path: PathBuf) -> Self {
        match self {
            Self::Mbox(_) => Self::Mbox(path),
            Self::Maildir(_) => Self::Maildir(path),
            Self::Lmtp(servers) => Self::Lmtp(servers.clone()),
        }
    }

    /// Where it is on this host.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Mbox(path) | Self::Maildir(path) => Some(path),
            Self::Lmtp(_) => None,
        }
    }

    /// The mbox, where it is one.
    pub fn mbox(&self) -> Option<&Path> {
        match self {
            Self::Mbox(path) => Some(path),
            Self::Maildir(_) | Self::Lmtp(_) => None,
        }
    }

    /// Reads what `--mailbox` names: a path, which ends with a slash where it is a Maildir, or a kind and a path. It
    /// may begin with `~/`, which `at_home` replaces: MTAs start commands without a shell. Fails when the text is
    /// empty, of a kind that is not known, or begins with somebody else's home.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected the path of an mbox, the path of a Maildir with a slash at its end, mbox: or maildir: and a path, or lmtp: and a \
                        socket or host:port";
        if text.starts_with("lmtp:") {
            return endpoint(text)
                .map(|server| Self::Lmtp(vec![server]))
                .map_err(|()| expected.to_owned());
        }
        let maildir = text.strip_prefix("maildir:");
        let path = maildir.or_else(|| text.strip_prefix("mbox:")).unwrap_or(text);
        let first = path.split('/').next().unwrap_or_default();
        if first.contains(':') {
            return Err(format!("{expected}; a file of this name is ./{path}"));
        }
        if first.starts_with('~') && (first != "~" || first == path) {
            return Err("only ~/ stands for a home directory, that of the user; write any other in full".to_owned());
        }
        let without_slash = path.trim_end_matches('/');
        match (maildir, without_slash) {
            (_, "" | "~") => Err(expected.to_owned()),
            (None, _) if without_slash == path => Ok(Self::Mbox(PathBuf::from(path))),
            (None, _) if text.starts_with("mbox:") => Err(expected.to_owned()),
            (_, path) => Ok(Self::Maildir(PathBuf::from(path))),
        }
    }

    /// The same mailbox, with the home directory in place of a `~/` in front. Fails when the user has none.
    pub fn at_home(self, home: Option<&Path>) -> Result<Self, String> {
        match (self.path().and_then(|path| path.strip_prefix("~").ok()), home) {
            (None, _) => Ok(self),
            (Some(below), Some(home)) => Ok(self.at_path(home.join(below))),
            (Some(_), None) => Err(format!("{self} needs a home directory, and there is none")),
        }
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LocationVisitor)
    }
}

struct LocationVisitor;

impl<'de> Visitor<'de> for LocationVisitor {
    type Value = Location;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a location, such as \"mbox:/var/mail/%u\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Location, E> {
        text.parse().map_err(|()| E::custom(EXPECTED))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Location, A::Error> {
        let texts = Vec::<String>::deserialize(SeqAccessDeserializer::new(list))?;
        let endpoints: Result<Vec<_>, ()> = texts.iter().map(|text| endpoint(text)).collect();
        match endpoints {
            Ok(endpoints) if !endpoints.is_empty() => Ok(Location::Lmtp(endpoints)),
            Ok(_) | Err(()) => Err(de::Error::custom(EXPECTED)),
        }
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Lmtp(endpoints) if endpoints.len() > 1 => {
                serializer.collect_seq(endpoints.iter().map(ToString::to_string))
            }
            Self::Mbox { .. } | Self::Maildir(_) | Self::Lmtp(_) => serializer.collect_str(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Serialize};

    use super::{Endpoint, Location, MailStore};

    #[derive(Debug, Deserialize, Serialize)]
    struct Table {
        location: Location,
    }

    fn read(text: &str) -> Result<Location, String> {
        let table: Result<Table, _> = toml::from_str(&format!("location = {text}"));
        table.map(|table| table.location).map_err(|e| e.to_string())
    }

    #[test]
    fn a_location_is_written_as_it_is_read() {
        let tcp = |host: &str, port| Endpoint::Tcp(host.to_owned(), port);
        for (text, want) in [
            (
                "\"mbox:/var/mail/%u\"",
                Location::Mbox {
                    dir: "/var/mail".into(),
                },
            ),
            ("\"mbox:/%u\"", Location::Mbox { dir: "/".into() }),
            ("\"maildir:~/Maildir\"", Location::Maildir("~/Maildir".to_owned())),
            ("\"maildir:/v/%d/%n\"", Location::Maildir("/v/%d/%n".to_owned())),
            (
                "\"lmtp:/run/lmtp\"",
                Location::Lmtp(vec![Endpoint::Unix("/run/lmtp".into())]),
            ),
            (
                "\"lmtp:mail1.example.org:24\"",
                Location::Lmtp(vec![tcp("mail1.example.org", 24)]),
            ),
            ("\"lmtp:[::1]:24\"", Location::Lmtp(vec![tcp("::1", 24)])),
            (
                "[\"lmtp:a.test:24\", \"lmtp:/run/lmtp\"]",
                Location::Lmtp(vec![tcp("a.test", 24), Endpoint::Unix("/run/lmtp".into())]),
            ),
        ] {
            let location = read(text).unwrap_or_else(|e| unreachable!("{text}: {e}"));
            assert_eq!(location, want);
            let written = toml::to_string(&Table { location }).unwrap_or_default();
            assert_eq!(written.trim_end(), format!("location = {text}"));
        }
        for text in [
            "",
            "/var/mail",
            "mbox:mail/%u",
            "mbox:/var/mail",
            "mbox:/var/mail/",
            "mbox:/v/%d/%u",
            "mbox:",
            "maildir:",
            "maildir:~/",
            "maildir:Maildir",
            "maildir:/v/%x",
            "maildir:/v/%",
            "lmtp:",
            "lmtp:host",
            "lmtp:host:0",
            "lmtp:ho st:24",
            "lmtp:[host]:24",
        ] {
            assert_eq!(text.parse::<Location>(), Err(()), "{text}");
        }
        assert!(read("[]").is_err() && read("[\"mbox:/var/mail/%u\"]").is_err());
    }

    #[test]
    fn a_name_never_leads_out_of_the_location() {
        let home = Path::new("/home/a");
        let maildir = |path: &str| Ok(MailStore::Maildir(PathBuf::from(path)));
        for (template, user, want) in [
            ("~/Maildir", "a", maildir("/home/a/Maildir")),
            ("/v/%d/%n", "a@a.test", maildir("/v/a.test/a")),
            ("/v/%u/100%%", "a@a.test", maildir("/v/a@a.test/100%")),
        ] {
            let location = Location::Maildir(template.to_owned());
            assert_eq!(location.of(user, Some(home)), want, "{template}");
        }
        for (template, user) in [
            ("/v/%d/%n", "a"),
            ("/v/%n", "@a.test"),
            ("/v/%d/x", "a@.."),
            ("/v/%u", "../b"),
            ("/v/%n", ".@a.test"),
        ] {
            let location = Location::Maildir(template.to_owned());
            assert!(location.of(user, Some(home)).is_err(), "{template} {user}");
        }
        let at_home = Location::Maildir("~/Maildir".to_owned());
        assert!(at_home.of("a", None).is_err());
    }

    #[test]
    fn a_mailbox_of_the_command_line_is_what_was_meant() {
        let home = Path::new("/home/a");
        let mbox = |path: &str| Some(MailStore::Mbox(PathBuf::from(path)));
        let maildir = |path: &str| Some(MailStore::Maildir(PathBuf::from(path)));
        for (text, want) in [
            ("/var/mail/a", mbox("/var/mail/a")),
            ("mail/a", mbox("mail/a")),
            ("./foo:/x", mbox("./foo:/x")),
            ("a/b:c", mbox("a/b:c")),
            ("/m/", maildir("/m")),
            ("maildir:/m", maildir("/m")),
            ("mbox:/m", mbox("/m")),
            ("~/x", mbox("/home/a/x")),
            ("~/Maildir/", maildir("/home/a/Maildir")),
            ("maildir:~/Maildir", maildir("/home/a/Maildir")),
            ("a/~/x", mbox("a/~/x")),
            ("", None),
            ("/", None),
            ("~", None),
            ("~/", None),
            ("maildir:~/", None),
            ("~bob/x", None),
            ("mbox:~bob/x", None),
            ("foo:/x", None),
            ("mdir:/x", None),
            ("Maildir:/x", None),
            ("mbox:foo:/x", None),
            ("mbox:/m/", None),
            ("lmtp:", None),
        ] {
            let read = MailStore::parse(text).and_then(|store| store.at_home(Some(home)));
            assert_eq!(read.ok(), want, "{text}");
        }
        assert!(MailStore::parse("~/x").and_then(|store| store.at_home(None)).is_err());
    }
}
