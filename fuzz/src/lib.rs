//! What the fuzz targets share: a directory on a disk that is none, the mailbox in it, and how they read their input.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::{XattrFlags, lsetxattr};
use spoolguard::config::LockMethod;
use spoolguard::error::Error;
use spoolguard::mailbox::format::MboxEntry;
use spoolguard::mailbox::lock::LockPlan;
use spoolguard::mailbox::open::{Absent, Owner};
use spoolguard::mailbox::quoting::LineQuoting;
use spoolguard::mailbox::{OpenMailbox, open_locked};
use spoolguard::sys::deadline::Deadline;
use time::OffsetDateTime;

/// Where this process works: in memory, and with extended attributes.
pub fn dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let places = ["/dev/shm", "/var/tmp", "."];
        let made = places.into_iter().filter_map(|place| {
            tempfile::Builder::new()
                .prefix("spoolguard-fuzz-")
                .tempdir_in(place)
                .ok()
        });
        let mut usable = made.filter(|dir| lsetxattr(dir.path(), "user.probe", b"", XattrFlags::empty()).is_ok());
        usable.next().expect("a directory with extended attributes").keep()
    })
}

/// Removes what the last input left.
pub fn clear() {
    for entry in fs::read_dir(dir()).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
}

/// The mailbox.
pub fn mailbox() -> PathBuf {
    dir().join("a")
}

/// Opens it, locks it, and puts in order what a killed run left.
pub fn open() -> Result<OpenMailbox, Error> {
    let plan = LockPlan {
        methods: vec![LockMethod::Fcntl],
        timeout: Duration::from_secs(5),
        owner: Owner::Exactly(rustix::process::geteuid().as_raw()),
        absent: Absent::Create,
        state_dir: None,
        place: None,
        tell: None,
    };
    open_locked(&mailbox(), &plan, &deadline())
}

/// As long as a run may last.
pub fn deadline() -> Deadline {
    Deadline::begin().expect("a deadline")
}

/// A message that is delivered behind all else.
pub fn entry(content: &[u8]) -> MboxEntry<'_, &[u8]> {
    MboxEntry {
        sender: "s@s.test",
        date: OffsetDateTime::now_utc(),
        added: b"",
        content,
        quoting: LineQuoting::Mboxrd,
        submission: None,
    }
}

/// Reads an input piece by piece; what is missing is zero.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    pub fn number(&mut self) -> u64 {
        u64::from(self.byte()) | u64::from(self.byte()) << 8
    }

    /// As many bytes as a number before them says.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::try_from(self.number()).unwrap_or_default().min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

/// The same, written: for seeds.
#[derive(Default)]
pub struct Output(pub Vec<u8>);

impl Output {
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub fn number(mut self, number: usize) -> Self {
        self.0
            .extend(u16::try_from(number).expect("a small number").to_le_bytes());
        self
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self = self.number(bytes.len());
        self.0.extend(bytes);
        self
    }

    pub fn rest(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}
