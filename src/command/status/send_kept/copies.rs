//! Finds the messages that were kept for a destination, in the mailbox or in the overflow.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::location::MailStore;
use crate::deliver::context::Run;
use crate::deliver::forward::rules::kept::{KeptList, KeptMessage};
use crate::error::{Category, Error};
use crate::mailbox::excerpt;
use crate::mailbox::limited_file::{LimitedFile, refuse_holes};
use crate::mailbox::reader::MboxReader;
use crate::maildir::directory::Maildir;
use crate::maildir::read::list_messages;
use crate::message::Message;
use crate::message::key::{MessageKey, of_id};
use crate::sys::dirs::open_kept;
use crate::sys::message_buffer::{HEAD_BYTES, MessageBuffer};

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

/// Who wrote the message at a place.
pub(super) fn author(place: &CopyLocation) -> Option<String> {
    let buffer = take(place).ok()?;
    Message::new(buffer.head()).first("From").map(|from| from.into_owned())
}

/// Reads the message at a place, as it lies there.
pub(super) fn take(place: &CopyLocation) -> io::Result<MessageBuffer> {
    let file = open_kept(&place.path)?.ok_or(io::ErrorKind::NotFound)?;
    match place.form {
        CopyForm::InMbox => excerpt::read_excerpt(&file, place.offset, place.bytes),
        CopyForm::Alone => read_alone(file),
    }
}

fn read_alone(mut file: File) -> io::Result<MessageBuffer> {
    MessageBuffer::collect(|to| io::copy(&mut file, to).map(drop))
}

/// Finds the messages that wait on `list` in the mailbox, and in what took its overflow.
pub fn find_copies(run: &Run, list: &KeptList) -> Result<HashMap<String, CopyLocation>, Error> {
    let mut places = HashMap::new();
    let overflow = run.state_dir().map(|dir| dir.join("overflow"));
    for path in [run.store.mbox().map(Path::to_owned), overflow].into_iter().flatten() {
        let fail = |e: io::Error| Error::io("read", &path, &e);
        if let Some(file) = open_kept(&path).map_err(fail)? {
            find_in(run, &path, &file, list, &mut places).map_err(fail)?;
        }
    }
    match &run.store {
        MailStore::Mbox(_) => {}
        MailStore::Maildir(path) => {
            if let Some(maildir) = Maildir::open(path, run.account.uid)? {
                find_in_maildir(run, &maildir, list, &mut places).map_err(|e| Error::io("read", path, &e))?;
            }
        }
        MailStore::Lmtp(_) => {
            let cause = "mail that is delivered by LMTP cannot be read again";
            return Err(Error::new(
                Category::Configuration,
                "look into",
                run.store.to_string(),
                cause,
            ));
        }
    }
    Ok(places)
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
        if !list.waiting().any(|entry| may_be(id.as_deref(), entry)) {
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

/// Tells whether a message of this id may be the one that was kept. Most have other ids, and are not looked at any further.
fn may_be(id: Option<&str>, entry: &KeptMessage) -> bool {
    id.is_none_or(|id| entry.key.starts_with(id) || !entry.key.starts_with("id:"))
}

fn note_place(
    list: &KeptList,
    id: Option<&str>,
    key: &MessageKey,
    place: CopyLocation,
    places: &mut HashMap<String, CopyLocation>,
) {
    let mut waiting = list.waiting().filter(|entry| may_be(id, entry));
    if let Some(entry) = waiting.find(|entry| is(key, place.bytes, &entry.key)) {
        places.entry(entry.key.clone()).or_insert(place);
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
        if !list.waiting().any(|entry| may_be(id.as_deref(), entry)) {
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
    let buffer = take(place)?;
    let message = Message::new(buffer.head());
    let above = buffer.head().len() - message.content().len();
    Ok(MessageKey::of(&message, buffer.bytes().saturating_sub(above as u64)))
}

/// Tells whether the message of `key` in the mailbox is the one that was kept. Of a large one the length is part of the text, and the
/// mailbox adds to that.
fn is(key: &MessageKey, bytes: u64, kept: &str) -> bool {
    const LARGE_BYTES: u64 = 200 << 10;
    let written = key.to_string();
    match (&key.id, kept.split_once('+')) {
        (Some(id), Some((kept_id, _))) if bytes >= LARGE_BYTES => id == kept_id,
        _ => written == kept || (!kept.starts_with("id:") && key.text == kept),
    }
}

/// Where the message is: at the place where it was seen, else wherever it moved to.
pub(super) fn still_at(
    run: &Run,
    list: &KeptList,
    entry: &KeptMessage,
    hint: CopyLocation,
) -> Result<Option<CopyLocation>, Error> {
    let known = is_in_store(run, &hint.path) || run.state_dir().is_some_and(|dir| dir.join("overflow") == hint.path);
    if known && key_at(&hint).is_ok_and(|key| is(&key, hint.bytes, &entry.key)) {
        return Ok(Some(hint));
    }
    Ok(find_copies(run, list)?.remove(&entry.key))
}

/// Tells whether a path is the user's mbox, or a message of the user's Maildir.
fn is_in_store(run: &Run, path: &Path) -> bool {
    match &run.store {
        MailStore::Mbox(mbox) => mbox == path,
        MailStore::Maildir(maildir) => path.parent().and_then(Path::parent) == Some(maildir),
        MailStore::Lmtp(_) => false,
    }
}
