//! Puts a message into the user's mailbox, within quota. What the quota says is asked under the lock: before it, it is a guess.

use std::io::Read;
use std::path::Path;

use time::OffsetDateTime;

use crate::classify::policy::{Action, Why};
use crate::classify::submission;
use crate::config::Over;
use crate::config::value::Limit;
use crate::config::value::Size;
use crate::deliver::access::open_locked;
use crate::deliver::access::quoting;
use crate::deliver::access::refuse_full_disk;
use crate::deliver::access::separator_sender;
use crate::deliver::context::{Delivery, Run, when_settled};
use crate::deliver::quota_notice;
use crate::error::{Category, Error};
use crate::mailbox::OpenMailbox;
use crate::mailbox::append;
use crate::mailbox::append::Appended;
use crate::mailbox::count;
use crate::mailbox::format;
use crate::mailbox::format::MboxEntry;
use crate::mailbox::open::Owner;
use crate::mailbox::recover;
use crate::mailbox::submissions::{SubmissionKey, key_of};
use crate::quota::{Admission, Usage, admit};
use crate::sys::account::own_hosts;
use crate::sys::message_buffer;

/// The message in the form that an mbox takes.
#[must_use]
pub fn letter<'a>(
    run: &Run,
    delivery: &'a Delivery<'_>,
    sender: &'a str,
    added: &'a str,
) -> MboxEntry<'a, message_buffer::BufferReader<'a>> {
    MboxEntry {
        sender,
        date: delivery.date,
        added: added.as_bytes(),
        content: delivery.buffer.reader(delivery.content_start()),
        quoting: quoting(&run.config),
        submission: submission_of(run, delivery, added),
    }
}

/// Which submission the message is; none where it does not come from an MTA just now.
fn submission_of(run: &Run, delivery: &Delivery<'_>, added: &str) -> Option<SubmissionKey> {
    let age = OffsetDateTime::now_utc() - delivery.date;
    if delivery.action == Action::Keep(Why::CameBack) || age.abs() > JUST_NOW {
        return None;
    }
    let recipient = delivery.envelope.recipient.as_deref().unwrap_or_default();
    let context = [recipient.as_bytes(), run.account.name.as_bytes(), added.as_bytes()];
    submission::identity(&delivery.message, own_hosts(), delivery.content_bytes(), &context)
        .map(|identity| key_of(&identity))
}

/// A message of another time is not one that an MTA brings.
const JUST_NOW: time::Duration = time::Duration::hours(1);

/// What became of the attempt to append.
#[derive(Debug)]
#[must_use]
pub enum Placement {
    /// It lies in the mailbox.
    Here(Appended),
    /// There is no room, and this is to be done.
    Full(Over),
}

/// Appends the message with `added` fields on top, if there is room; if not, `over` says what is to be done.
///
/// # Errors
/// When the mailbox cannot be locked or written.
pub fn place(run: &Run, delivery: &Delivery<'_>, added: &str, over: Over) -> Result<Placement, Error> {
    let path = run.mailbox();
    let sender = separator_sender(&delivery.envelope.sender, &run.account);
    let letter = letter(run, delivery, &sender, added);
    let mut locked = match open(run, &path, Owner::Exactly(run.account.uid), &letter)? {
        Opened::Ready(locked) => locked,
        Opened::There(appended) => return Ok(Placement::Here(appended)),
    };
    let limit = run.limit();
    let usage = measure(run, &locked, limit)?;
    let incoming_bytes = delivery.content_bytes() + added.len() as u64 + format::frame_bytes(&sender);
    match admit(
        usage,
        incoming_bytes,
        limit,
        over,
        &delivery.envelope.sender,
        &delivery.judgement,
    ) {
        Admission::Fits => {}
        Admission::Full(over) => return Ok(Placement::Full(over)),
    }
    refuse_full_disk(run, &locked, incoming_bytes)?;
    let appended = append::append(&mut locked, letter)?;
    // The message is safe. Nothing that comes behind may make the mail system try again.
    when_settled(|| {
        if limit.messages.is_some()
            && let Some(dir) = run.state_dir()
        {
            count::remember(locked.file(), &path, &dir, usage.messages + 1);
        }
        quota_notice::warn_user(run, delivery, &mut locked, limit);
    });
    // With the notice: a copy that is taken back takes along what was said about it.
    Ok(Placement::Here(appended.and_since(&locked)))
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

/// Opens and locks the mailbox at `path`, puts in order what a killed run left, and looks whether `entry` is what it brought.
///
/// # Errors
/// When the mailbox cannot be locked, or cannot be put in order.
pub fn open<R: Read + Clone>(run: &Run, path: &Path, owner: Owner, entry: &MboxEntry<'_, R>) -> Result<Opened, Error> {
    let mut mailbox = open_locked(run, path, owner)?;
    match recover::find(&mut mailbox, entry)? {
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

/// Takes a copy back, when the message goes back to the mail system and will come again. A copy that stays is known then.
///
/// # Errors
/// When the mailbox has changed since, or cannot be locked.
pub fn take_back(run: &Run, appended: Appended) -> Result<(), Error> {
    match open_locked(run, &run.mailbox(), Owner::Exactly(run.account.uid)) {
        Ok(mut locked) => append::take_back(&mut locked, appended),
        Err(e) => {
            appended.leave();
            Err(e)
        }
    }
}

fn measure(run: &Run, locked: &OpenMailbox, limit: Limit) -> Result<Usage, Error> {
    let messages = match limit.messages {
        None => 0,
        Some(_) => count::count(locked.file(), locked.path(), run.state_dir().as_deref(), &run.deadline)?,
    };
    Ok(Usage {
        bytes: locked.length()?,
        messages,
    })
}

/// Says that the mailbox is full.
#[must_use]
pub fn full_error(run: &Run, class: Category) -> Error {
    let limit = run.limit();
    let bytes = limit.bytes.map(|bytes| Size::from_bytes(bytes).to_string());
    let messages = limit.messages.map(|count| format!("{count} messages"));
    let bounds: Vec<_> = bytes.into_iter().chain(messages).collect();
    Error::new(
        class,
        "append to",
        run.mailbox().display(),
        format_args!("the mailbox is full, its limit is {}", bounds.join(" or ")),
    )
}

/// Appends the message with `added` fields on top to an mbox that is not the user's mailbox.
///
/// # Errors
/// When it cannot be locked or written.
pub fn append_elsewhere(run: &Run, delivery: &Delivery<'_>, path: &Path, added: &str) -> Result<(), Error> {
    append_within(run, delivery, path, added, None).map(drop)
}

/// Whether there was room for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Room {
    /// It is there.
    Taken,
    /// The mbox would grow beyond its limit; nothing was written.
    None,
}

/// The same, if the mbox stays within `limit_bytes`.
///
/// # Errors
/// When it cannot be locked or written.
pub fn append_within(
    run: &Run,
    delivery: &Delivery<'_>,
    path: &Path,
    added: &str,
    limit_bytes: Option<u64>,
) -> Result<Room, Error> {
    let sender = separator_sender(&delivery.envelope.sender, &run.account);
    let letter = letter(run, delivery, &sender, added);
    let appended = match open(run, path, Owner::Trusted(run.account.uid), &letter)? {
        Opened::There(appended) => appended,
        Opened::Ready(mut locked) => {
            let incoming_bytes = delivery.content_bytes() + added.len() as u64 + format::frame_bytes(&sender);
            if let Some(limit_bytes) = limit_bytes
                && locked.length()?.saturating_add(incoming_bytes) > limit_bytes
            {
                return Ok(Room::None);
            }
            refuse_full_disk(run, &locked, incoming_bytes)?;
            append::append(&mut locked, letter)?
        }
    };
    run.intents.add(appended.into_note());
    Ok(Room::Taken)
}
