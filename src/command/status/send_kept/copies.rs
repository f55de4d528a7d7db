//! Finds the messages that were kept for a destination, in the mailbox or in the overflow. To show them, it looks
//! without a lock. Before one is taken off the list as gone, or is sent, it looks while nobody moves or rewrites
//! anything.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::location::MailStore;
use crate::deliver::context::Run;
use crate::deliver::forward::rules::kept::{KeptList, KeptMessage, KeptState};
use crate::deliver::{access, overflow};
use crate::error::{Category, Error};
use crate::escape::make_visible;
use crate::mailbox::limited_file::{LimitedFile, refuse_holes};
use crate::mailbox::open::Owner;
use crate::mailbox::reader::MboxReader;
use crate::mailbox::{OpenMailbox, excerpt};
use crate::maildir::directory::Maildir;
use crate::maildir::read::list_messages;
use crate::message::Message;
use crate::message::key::{MessageKey, of_id, split_halves};
use crate::output::columns::cut_to_columns;
use crate::sys::dirs::open_kept;
use crate::sys::message_buffer::{HEAD_BYTES, MessageBuffer};

/// So often a Maildir is looked through for what is not found there.
const MAILDIR_LOOKS: u32 = 3;

/// Where a message that was kept lies now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyLocation {
    pub(super) path: PathBuf,
    form: CopyForm,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// How a message lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CopyForm {
    /// One of an mbox, quoted.
    InMbox,
    /// A file of a Maildir.
    Alone,
}

/// As one run says it to another: offset, length, path.
impl fmt::Display for CopyLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.offset, self.bytes, self.path.display())
    }
}

impl CopyLocation {
    /// Reads what another run said. It is a hint: whether the message is there has to be looked at.
    pub(super) fn read(run: &Run, text: &str) -> Self {
        let mut words = text.splitn(3, ' ');
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        let (offset, bytes) = (number(), number());
        let path = PathBuf::from(words.next().unwrap_or_default());
        let is_alone = matches!(run.store, MailStore::Maildir(_)) && is_in_store(run, &path);
        Self {
            path,
            form: if is_alone { CopyForm::Alone } else { CopyForm::InMbox },
            offset,
            bytes,
        }
    }
}

/// Who wrote the message at a place, and its subject.
pub(super) fn headline_of(place: &CopyLocation) -> Option<String> {
    let buffer = read_copy(place).ok()?;
    let message = Message::new(buffer.head());
    let field = |name| short(&message.first(name).unwrap_or_default());
    Some(format!("{}  {}", field("From"), field("Subject")))
}

/// As much of a field as fits into a line, in columns.
const FIELD_COLUMNS: usize = 40;

fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    cut_to_columns(&make_visible(&words.join(" ")), FIELD_COLUMNS, "…")
}

/// Reads the message at a place, as it lies there.
pub(super) fn read_copy(place: &CopyLocation) -> io::Result<MessageBuffer> {
    let file = open_kept(&place.path)?.ok_or(io::ErrorKind::NotFound)?;
    match place.form {
        CopyForm::InMbox => excerpt::read_excerpt(&file, place.offset, place.bytes),
        CopyForm::Alone => read_alone(file),
    }
}

fn read_alone(mut file: File) -> io::Result<MessageBuffer> {
    MessageBuffer::collect(|to| io::copy(&mut file, to).map(drop))
}

/// Finds the messages that wait on `list` in the mailbox, and in what took its overflow. Takes no lock: what is moved
/// in this moment may be missing.
pub fn find_copies(run: &Run, list: &KeptList) -> Result<HashMap<String, CopyLocation>, Error> {
    let mut places = HashMap::new();
    for path in mboxes(run) {
        let fail = |e: io::Error| Error::io("read", &path, &e);
        if let Some(file) = open_kept(&path).map_err(fail)? {
            find_in(run, &path, &file, list, &mut places).map_err(fail)?;
        }
    }
    find_in_store(run, list, &mut places)?;
    Ok(places)
}

/// The same, while nobody changes what is looked at: what is not found is gone. Fails when one of them cannot be read,
/// or a mailbox cannot be locked.
pub(super) fn find_locked(run: &Run, list: &KeptList) -> Result<HashMap<String, CopyLocation>, Error> {
    let mut places = HashMap::new();
    for path in mboxes(run) {
        if let Some(locked) = lock_existing(run, &path)? {
            let fail = |e: io::Error| Error::io("read", &path, &e);
            find_in(run, &path, locked.file(), list, &mut places).map_err(fail)?;
        }
    }
    // A Maildir has no lock. What a reader renames while its directory is read may be missed, though hardly each time.
    for _ in 0..MAILDIR_LOOKS {
        if list.entries_to_find().all(|entry| places.contains_key(&entry.key)) {
            break;
        }
        find_in_store(run, list, &mut places)?;
    }
    Ok(places)
}

/// The overflow and the user's mbox, in this order: what comes back from the overflow is in the mailbox before it
/// leaves the overflow.
fn mboxes(run: &Run) -> impl Iterator<Item = PathBuf> {
    let overflow = overflow::overflow_path(run);
    overflow.into_iter().chain(run.store.mbox().map(Path::to_owned))
}

/// Locks a mailbox and finishes what killed runs left there; none where there is no mailbox.
fn lock_existing(run: &Run, path: &Path) -> Result<Option<OpenMailbox>, Error> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let owner = match run.store.mbox() == Some(path) {
        true => Owner::Exactly(run.account.uid),
        false => Owner::Trusted(run.account.uid),
    };
    access::open_locked(run, path, owner).map(Some)
}

fn find_in_store(run: &Run, list: &KeptList, places: &mut HashMap<String, CopyLocation>) -> Result<(), Error> {
    match &run.store {
        MailStore::Mbox(_) => Ok(()),
        MailStore::Maildir(path) => match Maildir::open(path, run.account.uid)? {
            Some(maildir) => find_in_maildir(run, &maildir, list, places).map_err(|e| Error::io("read", path, &e)),
            None => Ok(()),
        },
        MailStore::Lmtp(_) => {
            let cause = "mail that is delivered by LMTP cannot be read again";
            let store = run.store.to_string();
            Err(Error::new(Category::Configuration, "look into", store, cause))
        }
    }
}

fn find_in_maildir(
    run: &Run,
    maildir: &Maildir,
    list: &KeptList,
    places: &mut HashMap<String, CopyLocation>,
) -> io::Result<()> {
    let limit = run.deadline.for_reading();
    for message in list_messages(maildir)? {
        limit.check()?;
        let Some(file) = message.open(maildir)? else { continue };
        let bytes = file.metadata()?.len();
        let mut head = Vec::new();
        (&file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let id = Message::new(&head).first("Message-ID").and_then(|id| of_id(&id));
        if !list.entries_to_find().any(|entry| may_be(id.as_deref(), entry)) {
            continue;
        }
        let place = CopyLocation {
            path: message.path(maildir),
            form: CopyForm::Alone,
            offset: 0,
            bytes,
        };
        // A reader that sets flags meanwhile gives it another name.
        let Ok(key) = key_at(&place) else { continue };
        note_place(list, id.as_deref(), &key, place, places);
    }
    Ok(())
}

/// Tells whether a message of this id may be the one that was kept. Most have other ids, and are not looked at any
/// further.
fn may_be(id: Option<&str>, entry: &KeptMessage) -> bool {
    id.is_none_or(|id| entry.key.starts_with(id) || !entry.key.starts_with("id:"))
}

/// Notes which entry of the list a message is. One that was sent on already does not wait.
fn note_place(
    list: &KeptList,
    id: Option<&str>,
    key: &MessageKey,
    place: CopyLocation,
    places: &mut HashMap<String, CopyLocation>,
) {
    let mut candidates = list.entries.iter().filter(|entry| may_be(id, entry));
    if let Some(entry) = candidates.find(|entry| is(key, &entry.key)) {
        if entry.state != KeptState::Settled {
            places.insert(entry.key.clone(), place);
        }
        return;
    }
    if place.bytes >= LARGE_BYTES {
        let mut alike = list.entries_to_find().filter(|entry| has_id_of(key, &entry.key));
        if let Some(entry) = alike.find(|entry| !places.contains_key(&entry.key)) {
            places.insert(entry.key.clone(), place);
        }
    }
}

fn find_in(
    run: &Run,
    path: &Path,
    file: &File,
    list: &KeptList,
    places: &mut HashMap<String, CopyLocation>,
) -> io::Result<()> {
    refuse_holes(file)?;
    let limited = LimitedFile::new(file, run.deadline.for_reading());
    let mut reader = MboxReader::new(&limited, HEAD_BYTES)?;
    while let Some(stored) = reader.next()? {
        let (offset, bytes) = (stored.offset, stored.bytes);
        let id = Message::new(stored.head).first("Message-ID").and_then(|id| of_id(&id));
        if !list.entries_to_find().any(|entry| may_be(id.as_deref(), entry)) {
            continue;
        }
        let place = CopyLocation {
            path: path.to_owned(),
            form: CopyForm::InMbox,
            offset,
            bytes,
        };
        let key = key_at(&place)?;
        note_place(list, id.as_deref(), &key, place, places);
    }
    Ok(())
}

fn key_at(place: &CopyLocation) -> io::Result<MessageKey> {
    read_copy(place).map(|buffer| key_of(&buffer))
}

fn key_of(buffer: &MessageBuffer) -> MessageKey {
    let message = Message::new(buffer.head());
    let above = buffer.head().len() - message.content().len();
    MessageKey::of(&message, buffer.bytes().saturating_sub(above as u64))
}

/// Tells whether the message of `key` in the mailbox is the one that was kept.
fn is(key: &MessageKey, kept: &str) -> bool {
    key.to_string() == kept || (!kept.starts_with("id:") && key.text == kept)
}

/// Of a message that is so large the length is part of the text, in bytes. A mailbox may end it with a line that it did
/// not have.
const LARGE_BYTES: u64 = 200 << 10;

fn has_id_of(key: &MessageKey, kept: &str) -> bool {
    key.id.is_some() && key.id.as_deref() == split_halves(kept).0
}

/// Reads the message that is about to be sent, while nobody changes it: at the place where it was seen, else wherever
/// it moved to. None where it is gone. Fails when it cannot be read, or its mailbox cannot be locked.
pub(super) fn take_kept(
    run: &Run,
    list: &KeptList,
    entry: &KeptMessage,
    hint: CopyLocation,
) -> Result<Option<(CopyLocation, MessageBuffer)>, Error> {
    let is_known = is_in_store(run, &hint.path) || mboxes(run).any(|path| path == hint.path);
    if is_known && let Some(stored) = take_locked(run, &hint, |key| is(key, &entry.key))? {
        return Ok(Some((hint, stored)));
    }
    for _ in 0..MAILDIR_LOOKS {
        let Some(place) = find_locked(run, list)?.remove(&entry.key) else {
            return Ok(None);
        };
        let is_it =
            |key: &MessageKey| is(key, &entry.key) || (place.bytes >= LARGE_BYTES && has_id_of(key, &entry.key));
        if let Some(stored) = take_locked(run, &place, is_it)? {
            return Ok(Some((place, stored)));
        }
    }
    let cause = "other programs move it again and again";
    Err(Error::new(Category::Mailbox, "read", run.store.to_string(), cause))
}

/// Reads the message at a place, if it is the right one: what is sent is what was looked at.
fn take_locked(
    run: &Run,
    place: &CopyLocation,
    is_it: impl Fn(&MessageKey) -> bool,
) -> Result<Option<MessageBuffer>, Error> {
    let _locked = match place.form {
        CopyForm::InMbox => lock_existing(run, &place.path)?,
        CopyForm::Alone => None,
    };
    Ok(read_copy(place).ok().filter(|stored| is_it(&key_of(stored))))
}

/// Tells whether a path is the user's mbox, or a message of the user's Maildir.
fn is_in_store(run: &Run, path: &Path) -> bool {
    match &run.store {
        MailStore::Mbox(mbox) => mbox == path,
        MailStore::Maildir(maildir) => path.parent().and_then(Path::parent) == Some(maildir),
        MailStore::Lmtp(_) => false,
    }
}
