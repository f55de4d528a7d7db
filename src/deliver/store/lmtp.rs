//! Puts messages into mailboxes behind an LMTP server. The server decides whether there is room; a message cannot be
//! taken back, and a mailbox cannot be measured.
//!
//! The server names mailboxes by address. A recipient that is the user's own address is named as it came, with its
//! extension. For any other (an alias, a list) the user is named: an alias may be another mailbox there, where its
//! owner would not look.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::config::Over;
use crate::config::location::Endpoint;
use crate::deliver::context::{Intent, Run};
use crate::deliver::store::entry::{Entry, Put, Terms};
use crate::deliver::store::handover_note::{HandoverNote, NoteKey};
use crate::error::{Category, Error};
use crate::lmtp::{self, Answer, HandoverStep, Lacking, Parcel};
use crate::message::address::Address;
use crate::message::envelope::Sender;
use crate::sys::read_at::each_piece;

/// As much of a message as it is known again by, in bytes, beside its length: all of it, for nearly all mail. The MTA's
/// own line on top differs for any two messages.
const KNOWN_BY_BYTES: u64 = 1 << 20;

/// Hands `entry` to the first of the servers that takes it; gives what is noted of it. Fails when no server takes it
/// now. It may be there even so, where the answer did not come; the error says so.
pub fn put_entry<R: Read + Clone>(
    run: &Run,
    servers: &[Endpoint],
    entry: &Entry<'_, R>,
    terms: Option<Terms<'_>>,
) -> Result<Put<Option<HandoverNote>>, Error> {
    let recipient = recipient(run, entry.recipient)?;
    let sender = sender(entry.sender, &recipient);
    let notes = run.state_dir().map(|dir| dir.join("lmtp"));
    let key = key(run, entry, &sender).map_err(|e| Error::io("read", "the message".as_ref(), &e))?;
    if let Some(taken) = find_taken(run, notes.as_deref(), &key) {
        return Ok(Put::Done(Some(taken)));
    }
    let parcel = Parcel {
        sender: &sender,
        recipient: &recipient,
        added: entry.added.as_bytes(),
        content: entry.content.clone(),
        content_bytes: entry.content_bytes,
    };
    let mut note = None;
    let mut tell = |step| match step {
        HandoverStep::Ending => note = begin_note(run, notes.as_deref(), &key),
        HandoverStep::Taken => note.iter_mut().for_each(HandoverNote::set_taken),
    };
    let patience = run.config.mailbox.lock_timeout.duration();
    let answer = lmtp::deliver_message(servers, &parcel, &run.deadline, patience, &mut tell);
    match answer {
        Ok(Answer::Taken) => Ok(Put::Done(note)),
        // Dropped, the note goes: the message is not there.
        Ok(Answer::Full { what, said }) => {
            let mailbox = run.store.to_string();
            tracing::info!(user = run.account.name, mailbox, said, "the server has no room");
            Ok(Put::Full(what_when_full(terms, what)))
        }
        Err(failure) => {
            if failure.may_be_there {
                note.into_iter().for_each(HandoverNote::leave);
            }
            Err(failure.error)
        }
    }
}

/// Notes that the message is handed over now; nothing where that cannot be written down.
fn begin_note(run: &Run, notes: Option<&Path>, key: &NoteKey) -> Option<HandoverNote> {
    HandoverNote::begin(notes?, key)
        .inspect_err(|e| {
            tracing::debug!(user = run.account.name, cause = %e, "a message may come twice if this run is killed");
        })
        .ok()
}

/// The note of an earlier run that handed the same over and had an answer; what one without an answer leaves open is
/// logged.
fn find_taken(run: &Run, notes: Option<&Path>, key: &NoteKey) -> Option<HandoverNote> {
    let note = HandoverNote::find(notes?, key)?;
    let (user, mailbox) = (&run.account.name, run.store.to_string());
    let what = if note.is_taken {
        "an earlier run brought this message, and was killed before it could say so"
    } else {
        "an earlier run handed this message over and had no answer: it may be there twice"
    };
    tracing::warn!(user, mailbox, "{what}");
    Some(note).filter(|note| note.is_taken)
}

/// What the configuration says for a full mailbox.
fn what_when_full(terms: Option<Terms<'_>>, what: Lacking) -> Over {
    match (terms.map_or(Over::Defer, |terms| terms.when_full), what) {
        // A disk of the server that is full for everybody is mended without the sender.
        (Over::Refuse, Lacking::Server) => Over::Defer,
        (over, Lacking::Mailbox | Lacking::Server) => over,
    }
}

/// Takes over the note of a killed run on `entry`, which is settled: the note goes with this run. Fails when the
/// message cannot be read, or has no recipient in LMTP.
pub fn settle_left<R: Read + Clone>(run: &Run, entry: &Entry<'_, R>) -> Result<(), Error> {
    let sender = sender(entry.sender, &recipient(run, entry.recipient)?);
    let key = key(run, entry, &sender).map_err(|e| Error::io("read", "the message".as_ref(), &e))?;
    let dir = run.state_dir().map(|dir| dir.join("lmtp"));
    let left = dir.and_then(|dir| HandoverNote::find(&dir, &key));
    run.intents.add(left.map(Intent::Lmtp));
    Ok(())
}

/// The address that the server is told: the one that the message came to, where its mailbox is the user's; else the
/// user's name.
pub fn recipient_of<'a>(user: &'a str, came_to: Option<&'a str>, delimiter: &str) -> &'a str {
    came_to
        .filter(|address| is_users(address, user, delimiter))
        .unwrap_or(user)
}

fn recipient(run: &Run, came_to: Option<&str>) -> Result<String, Error> {
    let recipient = recipient_of(&run.account.name, came_to, &run.config.recipient_delimiter);
    if recipient.is_empty() || !lmtp::is_path(recipient) {
        let cause = "this can be no recipient in LMTP";
        return Err(Error::new(Category::Configuration, "deliver to", recipient, cause).needs_mending());
    }
    Ok(recipient.to_owned())
}

fn is_users(address: &str, user: &str, delimiter: &str) -> bool {
    let Some(address) = Address::parse(address) else {
        return false;
    };
    match Address::parse(user) {
        Some(user) if user.domain().is_some() => address.same_mailbox(&user, delimiter),
        _ => {
            let is_user = |name: &str| name.eq_ignore_ascii_case(user);
            is_user(address.local()) || is_user(address.without_extension(delimiter))
        }
    }
}

/// The sender that the server is told. Where nobody said one it is the user. What can stand in no command is the null
/// sender: the message would wait for ever.
fn sender(sender: &Sender, recipient: &str) -> String {
    match sender {
        Sender::Null => String::new(),
        Sender::Unknown => recipient.to_owned(),
        Sender::Address(address) if lmtp::is_path(address) => address.clone(),
        Sender::Address(address) => {
            tracing::warn!(
                sender = address,
                "this can be no sender in LMTP: the message goes with the null sender"
            );
            String::new()
        }
    }
}

/// Names the message among those of this user. Our own fields are no part of it: they may say other things with the
/// next try.
fn key<R: Read + Clone>(run: &Run, entry: &Entry<'_, R>, sender: &str) -> io::Result<NoteKey> {
    let mut digest = Sha256::new();
    for part in [run.account.name.as_str(), entry.recipient.unwrap_or_default(), sender] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.update(entry.content_bytes.to_le_bytes());
    let content = entry.content.clone().take(KNOWN_BY_BYTES);
    each_piece(content, 16 << 10, |piece| {
        digest.update(piece);
        Ok(())
    })?;
    Ok(NoteKey::of(&digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::is_users;

    #[test]
    fn the_server_is_told_the_address_only_where_it_is_the_users() {
        for (address, user) in [
            ("a@a.test", "a"),
            ("A@a.test", "a"),
            ("a+x@a.test", "a"),
            ("a+x@a.test", "a+x"),
            ("a@a.test", "a@a.test"),
            ("a+x@A.TEST", "a@a.test"),
        ] {
            assert!(is_users(address, user, "+"), "{address} {user}");
        }
        for (address, user) in [
            ("list@a.test", "a"),
            ("ab@a.test", "a"),
            ("a@b.test", "a@a.test"),
            ("b@a.test", "a@a.test"),
            ("a+x@a.test", "b"),
            ("", "a"),
        ] {
            assert!(!is_users(address, user, "+"), "{address} {user}");
        }
    }
}
