//! Puts messages into mboxes: the user's own, within quota, and others that the configuration or the state directory
//! names. The quota is asked under the lock, since any answer before it is a guess.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::config::value::Limit;
use crate::deliver::access::{line_quoting, open_locked, refuse_full_disk, separator_sender};
use crate::deliver::context::{Delivery, Intent, Run, when_settled};
use crate::deliver::notify;
use crate::deliver::store::entry::{Entry, Put, Terms};
use crate::error::Error;
use crate::mailbox::append::{self, Appended};
use crate::mailbox::format::{self, MboxEntry};
use crate::mailbox::open::{Owner, open_existing};
use crate::mailbox::{OpenMailbox, count, recover};
use crate::quota::{Admission, Usage};
use crate::sys::message_buffer;

/// Puts `entry` into the user's mbox at `path`. Fails when the mailbox cannot be locked or written; then it is as it
/// was.
pub fn put_entry<R: Read + Clone>(
    run: &Run,
    path: &Path,
    entry: Entry<'_, R>,
    terms: Option<Terms<'_>>,
) -> Result<Put<Appended>, Error> {
    let sender = separator_sender(entry.sender, &run.account);
    let incoming_bytes = entry.content_bytes + entry.added.len() as u64 + format::frame_bytes(&sender);
    let date = entry.date;
    let letter = own_entry(run, &sender, entry);
    let mut locked = match open_mbox(run, path, Owner::Exactly(run.account.uid), &letter)? {
        Opened::Ready(locked) => locked,
        Opened::There(appended) => return Ok(Put::Done(appended)),
    };
    let Some(terms) = terms else {
        refuse_full_disk(run, &locked, incoming_bytes)?;
        return append::append(&mut locked, letter).map(Put::Done);
    };
    let usage = measure(run, locked.file(), path, terms.limit)?;
    match (terms.fits)(usage, incoming_bytes) {
        Admission::Fits => {}
        Admission::Full(over) => return Ok(Put::Full(over)),
    }
    refuse_full_disk(run, &locked, incoming_bytes)?;
    let is_first = locked.length()? == 0;
    let appended = append::append(&mut locked, letter)?;
    if is_first {
        when_settled(|| warn_of_maildir(run, path));
    }
    // The message is safe. Nothing that comes behind may make the MTA try again.
    when_settled(|| {
        if terms.limit.messages.is_some()
            && let Some(dir) = run.state_dir()
        {
            count::remember_count(locked.file(), path, &dir, usage.messages + 1);
        }
        if let Ok(bytes) = locked.length()
            && let Some(text) = (terms.notice)(bytes)
        {
            append_notice(run, &mut locked, &text, date, terms.limit);
        }
    });
    // With the notice: a copy that is taken back takes along what was said about it.
    Ok(Put::Done(appended.and_since(&locked)))
}

/// Warns with the first message of a mailbox where the user has a Maildir as well: mail in a mailbox that nobody reads
/// is lost to its owner.
fn warn_of_maildir(run: &Run, path: &Path) {
    let Some(maildir) = run.account.home.as_ref().map(|home| home.join("Maildir")) else {
        return;
    };
    let is_maildir = ["new", "cur"].iter().all(|name| maildir.join(name).is_dir());
    if !run.is_named_by_hand && is_maildir && !path.starts_with(&maildir) {
        tracing::warn!(
            user = run.account.name,
            mailbox = path.display().to_string(),
            "the first message here, and ~/Maildir is there too: if mail is read there, set [mailbox] location (spoolguard doctor)"
        );
    }
}

fn own_entry<'a, R: Read + Clone>(run: &Run, sender: &'a str, entry: Entry<'a, R>) -> MboxEntry<'a, R> {
    MboxEntry {
        sender,
        date: entry.date,
        added: entry.added.as_bytes(),
        content: entry.content,
        quoting: line_quoting(&run.config),
        submission: entry.submission,
    }
}

/// Takes over the note of a killed run on `entry`, which is settled: the note goes with this run.
pub fn settle_left<R: Read + Clone>(run: &Run, path: &Path, entry: Entry<'_, R>) -> Result<(), Error> {
    let sender = separator_sender(entry.sender, &run.account);
    let letter = own_entry(run, &sender, entry);
    match open_mbox(run, path, Owner::Exactly(run.account.uid), &letter)? {
        Opened::There(appended) => run.intents.add(appended.into_note().map(Intent::Mbox)),
        Opened::Ready(_) => {}
    }
    Ok(())
}

/// Appends a notice about the mailbox itself. One that cannot be written is left out: the message is safe, and that is
/// what counts.
fn append_notice(run: &Run, locked: &mut OpenMailbox, text: &str, date: time::OffsetDateTime, limit: Limit) {
    if append::append(locked, notify::own_entry(text, date)).is_ok()
        && limit.messages.is_some()
        && let Some(dir) = run.state_dir()
        && let Ok(messages) = count::count_messages(locked.file(), locked.path(), Some(&dir), &run.deadline)
    {
        count::remember_count(locked.file(), locked.path(), &dir, messages);
    }
}

/// A mailbox that is about to be appended to.
#[derive(Debug)]
#[must_use]
pub enum Opened {
    /// It waits for the message.
    Ready(OpenMailbox),
    /// An earlier try has put the message there, and was killed before it could say so.
    There(Appended),
}

/// Opens and locks the mailbox at `path`, puts in order what a killed run left, and looks whether `entry` is what it
/// brought.
pub fn open_mbox<R: Read + Clone>(
    run: &Run,
    path: &Path,
    owner: Owner,
    entry: &MboxEntry<'_, R>,
) -> Result<Opened, Error> {
    let mut mailbox = open_locked(run, path, owner)?;
    match recover::find_earlier(&mut mailbox, entry)? {
        None => Ok(Opened::Ready(mailbox)),
        Some(appended) => {
            tracing::warn!(
                user = run.account.name,
                mailbox = path.display().to_string(),
                "an earlier run brought this message, and was killed before it could say so"
            );
            Ok(Opened::There(appended))
        }
    }
}

/// Takes a copy back, when the message goes back to the MTA and will come again. A copy that stays is known then. Fails
/// when the mailbox has changed since, or cannot be locked.
pub fn take_back(run: &Run, path: &Path, appended: Appended) -> Result<(), Error> {
    match open_locked(run, path, Owner::Exactly(run.account.uid)) {
        Ok(mut locked) => append::take_back(&mut locked, appended),
        Err(e) => {
            appended.leave();
            Err(e)
        }
    }
}

fn measure(run: &Run, file: &File, path: &Path, limit: Limit) -> Result<Usage, Error> {
    let messages = match limit.messages {
        None => 0,
        Some(_) => count::count_messages(file, path, run.state_dir().as_deref(), &run.deadline)?,
    };
    let stat = file.metadata().map_err(|e| Error::io("examine", path, &e))?;
    Ok(Usage {
        bytes: stat.len(),
        messages,
    })
}

/// How full the user's mbox at `path` is, without a lock; nothing where there is none.
pub fn measure_usage(run: &Run, path: &Path, limit: Limit) -> Result<Usage, Error> {
    match open_existing(path, Owner::Exactly(run.account.uid))? {
        Some(file) => measure(run, &file, path, limit),
        None => Ok(Usage::default()),
    }
}

/// The message in the form that an mbox takes.
pub fn mailbox_entry<'a>(
    run: &Run,
    delivery: &'a Delivery<'_>,
    sender: &'a str,
    added: &'a str,
) -> MboxEntry<'a, message_buffer::BufferReader<'a>> {
    own_entry(run, sender, Entry::of(run, delivery, added))
}

/// Appends the message with `added` fields on top to an mbox that is not the user's mailbox, if it stays within
/// `limit_bytes`. False where it would not: then nothing was written.
pub fn append_within(
    run: &Run,
    delivery: &Delivery<'_>,
    path: &Path,
    added: &str,
    limit_bytes: Option<u64>,
) -> Result<bool, Error> {
    let sender = separator_sender(&delivery.envelope.sender, &run.account);
    let letter = mailbox_entry(run, delivery, &sender, added);
    let appended = match open_mbox(run, path, Owner::Trusted(run.account.uid), &letter)? {
        Opened::There(appended) => appended,
        Opened::Ready(mut locked) => {
            let incoming_bytes = delivery.content_bytes() + added.len() as u64 + format::frame_bytes(&sender);
            if let Some(limit_bytes) = limit_bytes
                && locked.length()?.saturating_add(incoming_bytes) > limit_bytes
            {
                return Ok(false);
            }
            refuse_full_disk(run, &locked, incoming_bytes)?;
            append::append(&mut locked, letter)?
        }
    };
    run.intents.add(appended.into_note().map(Intent::Mbox));
    Ok(true)
}
