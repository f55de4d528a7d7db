//! Intents: notes about messages that are put into a Maildir and not acknowledged yet. The MTA's next try knows by them
//! what a killed run left, and brings it no second time.
//!
//! A note is an extended attribute of `new/`, or a symbolic link in the state directory where that cannot be: it is
//! made in one step, and read in one. Where there are no links either (exFAT, VFAT), it is a small file there; of one
//! that is not written to its end nothing is in `new/`. It is called after the content of the message, and holds the
//! name that the message gets, which says who delivers it and when. It is made before the message appears in `new/`,
//! and removed last of all. As an attribute it reaches the disk by the very sync that brings the name there; a file
//! system that brings nothing else (Btrfs) loses a link when the power goes, and the message may come twice.
//!
//! Only a run that was killed, or that could not take back what it did, leaves a note. So two equal messages that are
//! sent on purpose both arrive, and a note that nobody left stops nothing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{XattrFlags, lgetxattr, lremovexattr, lsetxattr};

use crate::mailbox::intent::{PREFIX, note_names};
use crate::maildir::name::UniqueName;
use crate::sys::dirs;
use crate::sys::filesystem::has_no_links;
use crate::sys::procfs::is_writer_alive;

/// More than a name in a Maildir takes, in bytes.
const NOTE_BYTES: usize = 512;

/// As long as MTAs try again, in seconds.
const KEPT_SECONDS: i64 = 5 * 24 * 60 * 60;

/// No run lasts longer, in seconds.
const RUN_SECONDS: i64 = 300;

/// So many equal messages may be under way at once; beyond that one is not noted.
const MOST_EQUAL: u32 = 64;

/// The notes of one user about one Maildir.
#[derive(Clone, Debug)]
pub struct IntentDir {
    new: PathBuf,
    links: Option<PathBuf>,
    maildir: u32,
    now_seconds: i64,
}

/// Where a note stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NotePlace {
    /// An attribute of `new/`.
    Attribute(PathBuf, String),
    /// A link in the state directory, or a file.
    Link(PathBuf),
}

/// A note. Dropping it removes it: whatever ends the run in an orderly way has dealt with the message. A panic is no
/// orderly way.
#[derive(Debug)]
pub struct DeliveryIntent {
    place: NotePlace,
    left: bool,
}

impl NotePlace {
    fn write(&self, name: &UniqueName) -> io::Result<()> {
        let text = name.to_string();
        match self {
            Self::Attribute(new, note) => Ok(lsetxattr(new, note, text.as_bytes(), XattrFlags::CREATE)?),
            Self::Link(path) => match symlink(&text, path) {
                Err(e) if has_no_links(&e) => File::create_new(path)?.write_all(text.as_bytes()),
                linked => linked,
            },
        }
    }

    fn read(&self) -> Option<String> {
        match self {
            Self::Attribute(new, note) => {
                let mut buffer = [0; NOTE_BYTES];
                let length = lgetxattr(new, note, &mut buffer).ok()?;
                Some(String::from_utf8_lossy(buffer.get(..length)?).into_owned())
            }
            Self::Link(path) => match std::fs::read_link(path) {
                Ok(text) => Some(text.to_string_lossy().into_owned()),
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => read_file(path).ok(),
                Err(_) => None,
            },
        }
    }

    fn remove(&self) -> io::Result<()> {
        match self {
            Self::Attribute(new, note) => Ok(lremovexattr(new, note)?),
            Self::Link(path) => std::fs::remove_file(path),
        }
    }
}

impl IntentDir {
    /// The notes about the Maildir at `path`; what has to be a link is put into the state directory `state_dir`.
    pub fn new(state_dir: Option<&Path>, path: &Path, now_seconds: i64) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(path.as_os_str().as_encoded_bytes());
        Self {
            new: path.join("new"),
            links: state_dir.map(|dir| dir.join("maildir-intents")),
            maildir: crc.sum(),
            now_seconds,
        }
    }

    fn attributes(&self, fingerprint: u64) -> impl Iterator<Item = NotePlace> {
        (0..MOST_EQUAL)
            .map(move |number| NotePlace::Attribute(self.new.clone(), format!("{PREFIX}{fingerprint:016x}.{number}")))
    }

    fn links(&self, fingerprint: u64) -> impl Iterator<Item = NotePlace> {
        self.links.iter().flat_map(move |dir| {
            (0..MOST_EQUAL).map(move |number| {
                NotePlace::Link(dir.join(format!("{fingerprint:016x}.{:08x}.{number}", self.maildir)))
            })
        })
    }

    /// Notes that a message is about to get `name`; none where that cannot be written down.
    #[must_use]
    pub fn begin(&self, name: &UniqueName) -> Option<DeliveryIntent> {
        begin_at(self.attributes(name.fingerprint), name)
            .or_else(|_| begin_at(self.links(name.fingerprint), name))
            .or_else(|e| match (e.kind(), &self.links) {
                (io::ErrorKind::NotFound, Some(dir)) if dirs::make_private_dir(dir).is_ok() => {
                    begin_at(self.links(name.fingerprint), name)
                }
                _ => Err(e),
            })
            .ok()
    }

    /// The notes that runs left which are no more, about a message of this fingerprint, with the names that it may
    /// have.
    pub fn find_left(&self, new_dir: impl AsFd, fingerprint: u64, host: &str) -> Vec<(UniqueName, DeliveryIntent)> {
        let prefix = format!("{PREFIX}{fingerprint:016x}.");
        let attributes = self.attributes_on(new_dir, &prefix);
        let read = |place: NotePlace| place.read().map(|text| (place, text));
        // Those of other numbers are of messages that came at the same time as this one, which may be done with.
        let links = self.links(fingerprint).map(read).enumerate();
        let links = links.take_while(|(number, note)| *number < 2 || note.is_some());
        let links: Vec<_> = links.filter_map(|(_, note)| note).collect();
        let mut left = Vec::new();
        for (place, text) in attributes.filter_map(read).chain(links) {
            match UniqueName::parse(&text) {
                Some(name) if self.is_alive(&name, host, &place) => {}
                // A run that ended in order meanwhile has removed its note first.
                Some(_) if place.read().is_none() => {}
                Some(name) if !self.is_old(&name) => {
                    own().push(place.clone());
                    left.push((name, DeliveryIntent { place, left: true }));
                }
                // Too old, or not written by us.
                Some(_) | None => drop(place.remove()),
            }
        }
        left
    }

    /// Removes notes that no MTA will ask for any more.
    pub fn remove_stale(&self, new_dir: impl AsFd) {
        let links = self.links.iter().flat_map(std::fs::read_dir).flatten().flatten();
        let links = links.map(|entry| NotePlace::Link(entry.path()));
        for place in links.chain(self.attributes_on(new_dir, PREFIX)) {
            let name = place.read().and_then(|text| UniqueName::parse(&text));
            if name.is_none_or(|name| self.is_old(&name)) {
                let _ = place.remove();
            }
        }
    }

    fn attributes_on(&self, new_dir: impl AsFd, prefix: &str) -> impl Iterator<Item = NotePlace> {
        let names = note_names(new_dir).into_iter();
        names
            .filter(move |name| name.starts_with(prefix))
            .map(|name| NotePlace::Attribute(self.new.clone(), name))
    }

    fn is_old(&self, name: &UniqueName) -> bool {
        self.now_seconds.saturating_sub(name.seconds) > KEPT_SECONDS
    }

    /// Tells whether the run that wrote a note may go on.
    fn is_alive(&self, name: &UniqueName, host: &str, place: &NotePlace) -> bool {
        if self.now_seconds.saturating_sub(name.seconds) > RUN_SECONDS {
            return false;
        }
        if name.host != host {
            // Of another host's processes nothing is known but that they end.
            return true;
        }
        if name.pid == std::process::id() {
            return own().iter().any(|own| own == place);
        }
        i32::try_from(name.pid).is_ok_and(|pid| is_writer_alive(pid, name.seconds))
    }
}

impl DeliveryIntent {
    /// Leaves it behind: the message is there, and will come again all the same.
    pub fn leave(mut self) {
        self.left = true;
    }

    /// Takes over a note that was left: it goes with this run.
    #[must_use]
    pub fn take_over(mut self) -> Self {
        self.left = false;
        self
    }

    /// The message is not there: the note says nothing any more.
    pub fn remove(mut self) {
        self.left = false;
    }
}

impl Drop for DeliveryIntent {
    fn drop(&mut self) {
        own().retain(|place| *place != self.place);
        if !self.left && !std::thread::panicking() {
            // One that stayed would stop an equal message that is sent on purpose, if the first is still there: it is
            // tried twice.
            let _ = self.place.remove().or_else(|_| self.place.remove());
        }
    }
}

fn read_file(path: &Path) -> io::Result<String> {
    let file = dirs::own_file().read(true).open(path)?;
    let mut text = String::new();
    file.take(NOTE_BYTES as u64).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes the note to the first of these places that is free.
fn begin_at(places: impl Iterator<Item = NotePlace>, name: &UniqueName) -> io::Result<DeliveryIntent> {
    for place in places {
        match place.write(name) {
            Ok(()) => {
                own().push(place.clone());
                return Ok(DeliveryIntent { place, left: false });
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The notes that this run holds.
fn own() -> MutexGuard<'static, Vec<NotePlace>> {
    static PLACES: Mutex<Vec<NotePlace>> = Mutex::new(Vec::new());
    PLACES.lock().unwrap_or_else(PoisonError::into_inner)
}
