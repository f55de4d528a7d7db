//! One simulated host: its files, its users, and commands run inside it.
//!
//! Everything is done from outside, through the host's root directory. A step that
//! fails panics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::rcpt::Asks;

/// The spool's group in Debian.
const MAIL_GID: u32 = 8;

/// A host as the others know it.
#[derive(Clone)]
pub struct Peer {
    /// The domain, which is the host's name too.
    pub name: String,
    /// Its address on loopback.
    pub address: String,
}

/// One simulated host.
pub struct Host {
    /// How it is known.
    pub peer: Peer,
    /// Its root directory, seen from outside.
    pub root: PathBuf,
    /// Its users, with their numbers.
    users: BTreeMap<String, u32>,
    /// The delivery command of a user, where it is set in the mail system itself.
    pub commands: BTreeMap<String, String>,
    /// Users whose mail goes through procmail.
    pub procmail: BTreeSet<String>,
    /// The delivery command of everyone else.
    pub mailbox_command: Option<String>,
    /// Aliases that are commands; with them, `+` sets off extensions.
    pub aliases: BTreeMap<String, String>,
    /// Aliases that are forwarded in their own name, by the user `spoolguard`: to which address.
    pub guarded: BTreeMap<String, String>,
    /// The same by a table and a transport: addresses for Postfix, local parts for Exim.
    pub guarded_map: BTreeMap<String, String>,
    /// Believes no user's sender, and delivers extensions. For Exim: Debian sets both the other way round.
    pub distrusts_users: bool,
    /// A domain of virtual users, ann and bob.
    pub virtual_domain: Option<String>,
    /// Words before the command that starts the mail system; for Postfix.
    pub confinement: Vec<&'static str>,
    /// More lines of the mail system's own configuration; for Postfix and Sendmail.
    pub settings: String,
    /// How the mail system asks at RCPT whether there is room; it does not where nothing is set.
    pub asks: Option<Asks>,
}

impl Host {
    /// Takes over a root that holds a bare system, and gives it its name.
    pub fn new(peer: Peer, root: PathBuf) -> Self {
        let host = Self {
            peer,
            root,
            users: BTreeMap::new(),
            commands: BTreeMap::new(),
            procmail: BTreeSet::new(),
            mailbox_command: None,
            aliases: BTreeMap::new(),
            guarded: BTreeMap::new(),
            guarded_map: BTreeMap::new(),
            virtual_domain: None,
            distrusts_users: false,
            confinement: Vec::new(),
            settings: String::new(),
            asks: None,
        };
        let name = format!("{}\n", host.peer.name);
        host.write("etc/hostname", &name);
        host.write("etc/mailname", &name);
        // Names come from the file alone: there is no network to ask.
        let services = fs::read_to_string(host.root.join("etc/nsswitch.conf")).unwrap();
        host.write("etc/nsswitch.conf", &services.replace("files dns", "files"));
        fs::remove_file(host.root.join("etc/resolv.conf")).unwrap();
        host
    }

    /// Adds a user with a home of their own.
    pub fn user(&mut self, name: &str) {
        let number = 2001 + u32::try_from(self.users.len()).unwrap();
        self.user_with(name, number);
    }

    /// Gives a user a second name, with a home and a mailbox of its own.
    pub fn second_name(&mut self, name: &str, user: &str) {
        let number = self.users.get(user).copied().unwrap();
        self.user_with(name, number);
        self.mailbox(name);
    }

    fn user_with(&mut self, name: &str, number: u32) {
        self.users.insert(name.to_owned(), number);
        self.append(
            "etc/passwd",
            &format!("{name}:x:{number}:{number}::/home/{name}:/bin/sh\n"),
        );
        self.append("etc/group", &format!("{name}:x:{number}:\n"));
        self.append("etc/shadow", &format!("{name}:*:19000:0:99999:7:::\n"));
        let home = self.root.join("home").join(name);
        fs::create_dir_all(&home).unwrap();
        chown(&home, Some(number), Some(number)).unwrap();
    }

    /// The path of a user's mailbox, seen from outside.
    pub fn mailbox_path(&self, user: &str) -> PathBuf {
        self.root.join("var/mail").join(user)
    }

    /// The users' names.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }

    /// The users' names and numbers.
    pub fn numbered_users(&self) -> impl Iterator<Item = (&str, u32)> {
        self.users.iter().map(|(name, number)| (name.as_str(), *number))
    }

    /// A user's messages that are files: in a Maildir, and where Cyrus keeps them.
    pub fn message_files(&self, user: &str) -> Vec<PathBuf> {
        let maildir = self.root.join("home").join(user).join("Maildir");
        let mut found = files_below(&maildir.join("new"));
        found.extend(files_below(&maildir.join("cur")));
        let first = user.get(..1).unwrap_or_default();
        for inbox in [format!("user/{user}"), format!("{first}/user/{user}")] {
            let files = files_below(&self.root.join("var/spool/cyrus/mail").join(inbox));
            // "1.", "2.", beside indexes.
            found.extend(files.into_iter().filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let number = name.strip_suffix('.');
                number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
            }));
        }
        found
    }

    /// Makes an empty mailbox with the owner and mode that Debian gives it.
    pub fn mailbox(&self, user: &str) {
        self.fill_mailbox(user, "");
    }

    /// Makes a mailbox with these contents.
    pub fn fill_mailbox(&self, user: &str, contents: &str) {
        let path = self.mailbox_path(user);
        fs::write(&path, contents).unwrap();
        chown(&path, self.users.get(user).copied(), Some(MAIL_GID)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    }

    /// Makes an empty mbox elsewhere that a user may write.
    pub fn mbox_for(&self, user: &str, path: &str) {
        self.write(path.trim_start_matches('/'), "");
        let path = self.root.join(path.trim_start_matches('/'));
        let number = self.users.get(user).copied();
        chown(&path, number, number).unwrap();
        chown(path.parent().unwrap(), number, number).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    }

    /// Writes a file of the system.
    pub fn write(&self, path: &str, contents: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn append(&self, path: &str, contents: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(self.root.join(path)).unwrap();
        file.write_all(contents.as_bytes()).unwrap();
    }

    /// Writes a file in a user's home, as the user would.
    pub fn write_home(&self, user: &str, name: &str, contents: &str) {
        let path = format!("home/{user}/{name}");
        self.write(&path, contents);
        let number = self.users.get(user).copied();
        assert!(number.is_some(), "no user {user}");
        chown(self.root.join(&path), number, number).unwrap();
    }

    /// Gives a file of the system to a user.
    pub fn give(&self, path: &str, user: &str) {
        let number = self.users.get(user).copied();
        assert!(number.is_some(), "no user {user}");
        chown(self.root.join(path), number, number).unwrap();
    }

    /// The aliases file with all commands, in the form of this mail system.
    pub fn alias_lines(&self) -> String {
        let commands = self.aliases.iter();
        commands
            .map(|(name, command)| format!("{name}: \"|{command}\"\n"))
            .collect()
    }

    /// Puts a program into the host.
    pub fn install(&self, program: &Path, path: &str) {
        let to = self.root.join(path);
        fs::copy(program, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Prepares a command inside the host, run as root.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--uts", "--", "/bin/sh", "-c"])
            .arg(r#"hostname "$1"; root=$2; shift 2; exec chroot "$root" "$@""#)
            .args(["host", &self.peer.name])
            .arg(&self.root)
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir("/");
        command
    }

    /// Runs a command as a user, with this input.
    pub fn run_as(&self, user: &str, words: &[&str], input: &[u8]) -> Output {
        let mut all = vec![
            "setpriv",
            "--reuid",
            user,
            "--regid",
            user,
            "--init-groups",
            "--reset-env",
        ];
        all.extend(words);
        let mut child = self
            .command(&all)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // A program that ends without reading everything is not an error here.
        let _ = pipe.write_all(input);
        drop(pipe);
        child.wait_with_output().unwrap()
    }
}

/// Counts the messages of an mbox file; none when there is no file.
pub fn count_messages(path: &Path) -> usize {
    let Ok(bytes) = fs::read(path) else { return 0 };
    usize::from(bytes.starts_with(b"From ")) + bytes.windows(7).filter(|window| window == b"\n\nFrom ").count()
}

/// Lists every file below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// Reads a file, unpacked where it is compressed.
pub fn read_text(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap_or_default();
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut text = Vec::new();
    // What can be read of a torn archive still counts as being there.
    let _ = flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text);
    text
}

/// Says whether some bytes hold others.
pub fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}
