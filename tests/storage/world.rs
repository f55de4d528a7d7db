//! A user's mail on a disk that lies: mailbox, state, archives and what is sent all lie on it. It knows which messages
//! have to be where, since their runs ended with 0, and looks whether they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::mail::{self, Found, Mail};
use crate::stage::{Kind, Stage};
use crate::sums::{Findings, Wrong};
use crate::tracer::{self, Ended};

/// Where a message has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Mailbox,
    /// It may have been archived.
    MailboxOrArchive,
    /// A copy was kept, and another was sent.
    MailboxAndSent,
}

/// In which form a mailbox holds its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Mbox,
    Maildir,
}

/// The program, what it is called with, and where its mail is.
pub struct World {
    pub stage: Stage,
    program: PathBuf,
    format: Format,
    expected: BTreeMap<String, Place>,
    /// How often each message was sent, of those that were sent more than once.
    times: BTreeMap<String, usize>,
    next: usize,
}

/// Who runs the tests, and whose mail it is.
pub const USER: &str = "root";

impl World {
    /// An empty one on a new file system, for an mbox.
    pub fn new(kind: Kind) -> Self {
        Self::with(Format::Mbox, kind)
    }

    /// The same, for a mailbox of this form.
    pub fn with(format: Format, kind: Kind) -> Self {
        let program = std::env::var_os("SPOOLGUARD_STORAGE_PROGRAM");
        let world = Self {
            stage: Stage::new(kind),
            format,
            program: program.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_spoolguard")), PathBuf::from),
            expected: BTreeMap::new(),
            times: BTreeMap::new(),
            next: 0,
        };
        for name in ["spool", "home", "state", "archives"] {
            fs::create_dir(world.path(name)).unwrap();
        }
        world.configure();
        world
    }

    fn configure(&self) {
        let path = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "admin = {:?}\nstate_dir = {:?}\nmailbox.location = {:?}\nmailbox.min_free = \"0\"\nmailbox.lock_timeout = \"3s\"\n\
             forward.transport = {:?}\narchive.dir = {:?}\nlog.to = \"none\"\n",
            path("admin"),
            path("state"),
            match self.format {
                Format::Mbox => format!("mbox:{}/%u", path("spool")),
                Format::Maildir => format!("maildir:{}/%u", path("spool")),
            },
            format!("outbox:{}", path("outbox")),
            path("archives"),
        );
        fs::write(self.configuration(), text).unwrap();
    }

    fn configuration(&self) -> PathBuf {
        self.stage.outside().join("spoolguard.toml")
    }

    /// A path on the disk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.stage.path().join(name)
    }

    pub fn mailbox(&self) -> PathBuf {
        self.path("spool").join(USER)
    }

    /// What a delivery syncs last.
    pub fn synced_last(&self) -> PathBuf {
        match self.format {
            Format::Mbox => self.mailbox(),
            Format::Maildir => self.mailbox().join("new"),
        }
    }

    /// The journal of an expunge that is under way.
    pub fn journal(&self) -> PathBuf {
        self.path("spool").join(format!(".{USER}.spoolguard-cut"))
    }

    /// What the mbox holds; nothing where there is none.
    pub fn mail(&self) -> Vec<u8> {
        fs::read(self.mailbox()).unwrap_or_default()
    }

    /// The program with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.configuration()).args(arguments);
        command.env("HOME", self.path("home")).env("TZ", "UTC");
        command
    }

    pub fn deliver_command(&self) -> Command {
        self.command(&["deliver", "-a", "a@a.test", "-f", "s@s.test"])
    }

    /// Delivers a message.
    pub fn deliver(&mut self, mail: &Mail) -> Ended {
        let ended = tracer::run(&self.deliver_command(), &mail.bytes);
        if ended.is_acknowledged() {
            self.expect(&mail.id, Place::Mailbox);
        }
        ended
    }

    /// Delivers a message, which must work.
    pub fn must_deliver(&mut self, mail: &Mail) {
        let ended = self.deliver(mail);
        assert!(ended.is_acknowledged(), "{}", ended.story());
    }

    /// Writes a mailbox: these messages, each with the date of its separator line.
    pub fn write_mailbox(&mut self, mails: &[(Mail, String)]) {
        let bytes: Vec<u8> = mails.iter().flat_map(|(mail, date)| mail.stored(date)).collect();
        fs::write(self.mailbox(), bytes).unwrap();
        fs::File::open(self.mailbox()).unwrap().sync_all().unwrap();
    }

    /// From here on this message has to be there.
    pub fn expect(&mut self, id: &str, place: Place) {
        self.expected.insert(id.to_owned(), place);
    }

    /// This message was sent so often on purpose.
    pub fn expect_times(&mut self, id: &str, times: usize) {
        self.times.insert(id.to_owned(), times);
    }

    /// What is expected now, to be put back when the disk is.
    pub fn expectations(&self) -> BTreeMap<String, Place> {
        self.expected.clone()
    }

    /// Forgets what came since.
    pub fn expect_again(&mut self, expected: &BTreeMap<String, Place>) {
        self.expected.clone_from(expected);
    }

    /// Delivers another message, as a mail system does that tries again when it has to: on a disk that works it
    /// succeeds in the end.
    pub fn next_delivery_works(&mut self, findings: &mut Findings, story: &str) {
        self.next += 1;
        let mail = Mail::new(&format!("next-{}", self.next), 300);
        let mut told = String::new();
        for _ in 0..3 {
            let ended = self.deliver(&mail);
            told = ended.story();
            if ended.is_acknowledged() {
                return;
            }
        }
        findings.add(Wrong::Other, "mail waits for ever", &format!("{story}\n{told}"));
    }

    /// Looks whether everything that was acknowledged is there, whole, and nothing twice.
    pub fn check(&self, findings: &mut Findings, story: &str) {
        findings.tell(story);
        let mailbox = match self.format {
            Format::Mbox => mail::in_mbox(&self.mail()),
            Format::Maildir => mail::in_maildir(&self.mailbox()),
        };
        let archives = mail::in_archives(&self.path("archives"));
        let sent = mail::in_maildir(&self.path("outbox"));
        let is_there = |id: &str, place| match place {
            Place::Mailbox => mailbox.count(id) >= self.times.get(id).copied().unwrap_or(1),
            Place::MailboxOrArchive => mailbox.count(id) + archives.count(id) > 0,
            Place::MailboxAndSent => mailbox.count(id) > 0 && sent.count(id) > 0,
        };
        let missing: Vec<_> = self
            .expected
            .iter()
            .filter(|(id, place)| !is_there(id, **place))
            .map(|(id, _)| id.as_str())
            .collect();
        if let Some(first) = missing.first() {
            let shown = mail::shown(&self.mail(), 300);
            let what = format!("{story}\n{} missing: {missing:?}\nmailbox: {shown}", missing.len());
            findings.add(Wrong::Lost, first, &what);
        }
        self.check_found("mailbox", &mailbox, findings, story);
        for (name, found) in [("archives", &archives), ("outbox", &sent)] {
            for torn in &found.torn {
                findings.add(Wrong::Torn, name, &format!("{story}\n{torn}"));
            }
        }
    }

    fn check_found(&self, name: &str, found: &Found, findings: &mut Findings, story: &str) {
        for torn in &found.torn {
            findings.add(Wrong::Torn, name, &format!("{story}\n{torn}"));
        }
        let most = |id: &String| self.times.get(id).copied().unwrap_or(1);
        for (id, count) in found.whole.iter().filter(|(id, count)| **count > most(id)) {
            findings.add(Wrong::Doubled, id, &format!("{story}\n{count} times in the {name}"));
        }
    }

    /// Whether a file of that name lies beside the mailbox, for a reader of a failed check.
    pub fn spool_files(&self) -> Vec<PathBuf> {
        mail::files(&self.path("spool"))
    }
}

/// The only archive in a directory.
pub fn only_archive(dir: &Path) -> PathBuf {
    let files: Vec<_> = mail::files(dir)
        .into_iter()
        .filter(|path| path.to_string_lossy().ends_with(".tar.gz"))
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}
