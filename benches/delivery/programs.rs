//! The programs that are compared: where each is found, how it is set up for a user's mailbox, and how it is started.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::stage::{Seat, Stage};

/// A program that appends one message from its standard input to a mailbox.
pub struct Program {
    pub name: String,
    kind: Kind,
    path: PathBuf,
    /// A copy without set-id bits, which can be watched.
    bare: PathBuf,
    /// Where shared libraries are that the system has not.
    libraries: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Minimal,
    Spoolguard,
    Procmail,
    Maildrop,
    Dovecot,
    SendmailLocal,
    OpensmtpdLocal,
    MailutilsMda,
    /// It knows Maildirs alone.
    Deliverquota,
}

/// Those that deliver, and where each is looked for.
const OTHERS: [(Kind, &str, &[&str], &str); 6] = [
    (
        Kind::Procmail,
        "procmail",
        &["/usr/bin/procmail"],
        "apt-get install procmail",
    ),
    (
        Kind::Maildrop,
        "maildrop",
        &["/usr/bin/maildrop"],
        "apt-get install maildrop",
    ),
    (
        Kind::Dovecot,
        "dovecot-lda",
        &["/usr/lib/dovecot/dovecot-lda", "/usr/libexec/dovecot/dovecot-lda"],
        "apt-get install dovecot-core",
    ),
    (
        Kind::SendmailLocal,
        "mail.local of sendmail, by root",
        &["/usr/libexec/sendmail/mail.local", "/usr/lib/sm.bin/mail.local"],
        "benches/delivery/fetch",
    ),
    (
        Kind::OpensmtpdLocal,
        "mail.local of OpenSMTPD",
        &["/usr/libexec/opensmtpd/mail.local"],
        "benches/delivery/fetch",
    ),
    (
        Kind::MailutilsMda,
        "mda of mailutils",
        &["/usr/sbin/mda", "/usr/libexec/mailutils/mda"],
        "benches/delivery/fetch",
    ),
];

/// The programs besides ours that can be run here; and of the others, why not.
pub fn others(stage: &Stage, fetched: &Path) -> (Vec<Program>, Vec<String>) {
    let fetched = stage.whole.then(|| stage.bring_all(fetched, "fetched")).flatten();
    let (mut programs, mut missing) = (Vec::new(), Vec::new());
    for (kind, name, paths, how) in OTHERS {
        if !stage.whole && kind.writes_to_var_mail() {
            missing.push(format!(
                "{name}: writes to /var/mail, so it is run by root only, in a mount namespace"
            ));
            continue;
        }
        let installed = paths.iter().map(PathBuf::from).find(|path| path.exists());
        let found = installed
            .map(|path| (path, String::new()))
            .or_else(|| unpacked(kind, stage, fetched.as_deref()?, paths));
        match found {
            Some((path, libraries)) => programs.push(Program {
                name: name.to_owned(),
                kind,
                bare: stage.bring(&path, &name.replace(' ', "-")),
                path,
                libraries,
            }),
            None => missing.push(format!("{name}: not found; {how} brings it")),
        }
    }
    (programs, missing)
}

/// The program of Courier's that delivers into a Maildir, where it is.
pub fn deliverquota() -> Option<Program> {
    let paths = ["/usr/sbin/deliverquota.maildrop", "/usr/bin/deliverquota"];
    let path = paths.iter().map(PathBuf::from).find(|path| path.exists())?;
    Some(Program::own(Kind::Deliverquota, "deliverquota", path))
}

/// A program of `fetch`, and where its libraries are.
fn unpacked(kind: Kind, stage: &Stage, fetched: &Path, paths: &[&str]) -> Option<(PathBuf, String)> {
    let root = fetched.join(kind.package()?);
    let path = paths
        .iter()
        .map(|path| root.join(path.trim_start_matches('/')))
        .find(|path| path.exists())?;
    if kind == Kind::OpensmtpdLocal {
        // It starts lockspool by its whole path.
        return stage
            .overlay(&root.join("usr/libexec"), "/usr/libexec")
            .then(|| (PathBuf::from(paths[0]), String::new()));
    }
    let mut libraries = Vec::new();
    for dir in ["usr/lib", "lib"] {
        for entry in fs::read_dir(root.join(dir)).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().ends_with("-linux-gnu") {
                libraries.push(path.display().to_string());
            }
        }
    }
    Some((path, libraries.join(":")))
}

impl Kind {
    /// procmail makes sure of its user's mailbox there, whatever its rc file says.
    fn writes_to_var_mail(self) -> bool {
        match self {
            Self::Minimal | Self::Spoolguard | Self::Maildrop | Self::Dovecot | Self::Deliverquota => false,
            Self::Procmail | Self::SendmailLocal | Self::OpensmtpdLocal | Self::MailutilsMda => true,
        }
    }

    fn package(self) -> Option<&'static str> {
        match self {
            Self::SendmailLocal => Some("sendmail-bin"),
            Self::OpensmtpdLocal => Some("opensmtpd"),
            Self::MailutilsMda => Some("mailutils-mda"),
            Self::Minimal | Self::Spoolguard | Self::Procmail | Self::Maildrop | Self::Dovecot | Self::Deliverquota => {
                None
            }
        }
    }
}

impl Program {
    /// One of ours.
    pub fn own(kind: Kind, name: &str, path: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            bare: path.clone(),
            path,
            libraries: String::new(),
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it remembers what its mailbox holds.
    pub fn remembers(&self) -> bool {
        self.kind == Kind::Dovecot
    }

    /// Whether it writes the whole mailbox anew for each message, into another file.
    pub fn rewrites(&self) -> bool {
        self.kind == Kind::MailutilsMda
    }

    /// Writes its configuration for delivery to the user's mailbox.
    pub fn set_up(&self, seat: &Seat) {
        let mailbox = seat.mailbox.display();
        match self.kind {
            Kind::Minimal | Kind::SendmailLocal | Kind::OpensmtpdLocal | Kind::MailutilsMda | Kind::Deliverquota => {}
            Kind::Spoolguard => drop(seat.write("spoolguard.toml", &spoolguard_configuration(seat))),
            Kind::Procmail => {
                let text = format!("DEFAULT={mailbox}\nORGMAIL={mailbox}\nLOCKSLEEP=1\n:0:\n{mailbox}\n");
                seat.write("procmailrc", &text);
            }
            Kind::Maildrop => drop(seat.write("maildroprc", &format!("LOCKSLEEP=1\nDEFAULT=\"{mailbox}\"\n"))),
            Kind::Dovecot => {
                seat.write("dovecot.conf", &dovecot_configuration(seat));
            }
        }
    }

    /// The same for a Maildir, which it makes; false where the program knows none.
    pub fn set_up_maildir(&self, seat: &Seat) -> bool {
        let maildir = seat.mailbox.display();
        for part in ["tmp", "new", "cur"] {
            seat.make_dir(&format!("Maildir/{part}"));
        }
        match self.kind {
            Kind::Minimal | Kind::Deliverquota => {}
            Kind::Spoolguard => {
                let own = format!("mbox:{}/%u", seat.mailbox.parent().unwrap().display());
                let text = spoolguard_configuration(seat).replace(&own, &format!("maildir:{maildir}"));
                seat.write("spoolguard.toml", &text);
            }
            Kind::Procmail => {
                let text = format!("DEFAULT={maildir}/\nORGMAIL={maildir}/\n:0\n{maildir}/\n");
                seat.write("procmailrc", &text);
            }
            Kind::Maildrop => drop(seat.write("maildroprc", &format!("DEFAULT=\"{maildir}\"\n"))),
            Kind::Dovecot => {
                let text = dovecot_configuration(seat);
                seat.write("dovecot.conf", &format!("{text}mail_location = maildir:{maildir}\n"));
            }
            Kind::SendmailLocal | Kind::OpensmtpdLocal | Kind::MailutilsMda => return false,
        }
        true
    }

    /// Takes the program's file out of memory.
    pub fn forget_pages(&self) {
        let file = File::open(&self.path).unwrap();
        // What was copied a moment ago is not on the disk yet, and stays.
        file.sync_all().unwrap();
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
    }

    /// Makes it forget what it knew about the mailbox.
    pub fn forget(&self, seat: &Seat) {
        if self.kind == Kind::Dovecot {
            let folders = seat.at_home("folders");
            if folders.exists() {
                fs::remove_dir_all(folders).unwrap();
            }
        }
    }

    /// The program without arguments, by itself or below a tool that watches it.
    pub fn plain(&self, under: &[OsString], seat: &Seat) -> Command {
        let path = if under.is_empty() { &self.path } else { &self.bare };
        let mut command = seat.command(under, path);
        if !self.libraries.is_empty() {
            command.env("LD_LIBRARY_PATH", &self.libraries);
        }
        command
    }

    /// The command that delivers.
    pub fn command(&self, under: &[OsString], seat: &Seat) -> Command {
        let mut command = self.plain(under, seat);
        match self.kind {
            Kind::Minimal => command.arg(&seat.mailbox).arg("s@s.test"),
            Kind::Deliverquota => command.arg(&seat.mailbox),
            Kind::Spoolguard => command
                .arg("--config")
                .arg(seat.at_home("spoolguard.toml"))
                .args(["deliver", "-f", "s@s.test"]),
            // Without -f it writes no separator line where the message came without one.
            Kind::Procmail => command.args(["-t", "-f", "s@s.test"]).arg(seat.at_home("procmailrc")),
            Kind::Maildrop => command.args(["-f", "s@s.test"]).arg(seat.at_home("maildroprc")),
            Kind::Dovecot => command
                .arg("-c")
                .arg(seat.at_home("dovecot.conf"))
                .args(["-f", "s@s.test"]),
            // It becomes the user by itself, and refuses when it cannot.
            Kind::SendmailLocal => command.uid(0).args(["-f", "s@s.test", &seat.user]),
            Kind::OpensmtpdLocal | Kind::MailutilsMda => command.args(["-f", "s@s.test", &seat.user]),
        };
        command
    }
}

/// What spoolguard needs to know in any case: nothing is logged, so that the host's log stays out of it.
pub fn spoolguard_configuration(seat: &Seat) -> String {
    format!(
        "state_dir = {:?}\n[mailbox]\nlocation = \"mbox:{}/%u\"\n[log]\nto = \"none\"\n",
        seat.at_home("state"),
        seat.mailbox.parent().unwrap().display()
    )
}

/// A configuration with which dovecot-lda works without its daemon. Debian's takes the fcntl lock first; that would
/// block whoever takes the dotlock first.
fn dovecot_configuration(seat: &Seat) -> String {
    let (home, user) = (seat.home.display(), &seat.user);
    let group = nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(seat.gid()))
        .unwrap()
        .expect("a group with a name")
        .name;
    format!(
        "protocols =\nssl = no\nbase_dir = {home}/run\nlog_path = /dev/stderr\nhostname = a.test\n\
         postmaster_address = postmaster@a.test\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_uid = {user}\nmail_gid = {group}\n\
         mail_location = mbox:{home}/folders:INBOX={}\nuserdb {{\n  driver = static\n  args = uid={user} gid={group} home={home}\n}}\n\
         mbox_write_locks = dotlock fcntl\n",
        seat.mailbox.display()
    )
}
