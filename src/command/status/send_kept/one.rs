//! Sends one message that was kept, and notes what came of it: the run that the command starts for each message.

use std::cell::OnceCell;
use std::io::{self, Write};

use time::OffsetDateTime;

use crate::classify::policy::{Action, Copies};
use crate::cli::Who;
use crate::command::status::send_kept::copies::{CopyLocation, take_kept};
use crate::deliver::context::{Delivery, Run};
use crate::deliver::forward::history::{self, Sketches};
use crate::deliver::forward::kept::KeptFile;
use crate::deliver::forward::rules::kept::{KeptEvent, KeptList, KeptMessage, KeptReason};
use crate::deliver::{self, caller, forward, headers};
use crate::error::{Category, Error, Status};
use crate::escape::make_visible;
use crate::mailbox::format::STATE_FIELDS;
use crate::mailbox::quoting::{self, LineQuoting};
use crate::message::Message;
use crate::sys::message_buffer::MessageBuffer;

/// Sends one message, and notes what came of it: the run that the command starts for each. `one` names it: its key, its
/// place and its length there, and the file. Fails when it cannot be sent now.
pub fn run_one(run: &Run, destination: &str, one: &str, now: OffsetDateTime) -> Result<Status, Error> {
    let unknown = || Error::new(Category::Configuration, "send", one, "it is on no list");
    let file = KeptFile::of(run, destination).ok_or_else(unknown)?;
    let (key, place) = one.split_once(' ').unwrap_or((one, ""));
    let hint = CopyLocation::read(run, place);
    let _lock = file.hold_for_sending(run)?;
    let list = file.read()?;
    let Some(entry) = list.entries_to_find().find(|entry| entry.key == key) else {
        // Another run has sent it.
        return Ok(Status::Done);
    };
    let Some((place, stored)) = take_kept(run, &list, entry, hint)? else {
        file.add(run, &list.own, now.unix_timestamp(), &[KeptEvent::Gone(key)])?;
        return Ok(Status::Done);
    };
    send(run, &file, &list, entry, (&place, &stored), now)
}

fn send(
    run: &Run,
    file: &KeptFile,
    list: &KeptList,
    entry: &KeptMessage,
    (place, stored): (&CopyLocation, &MessageBuffer),
    now: OffsetDateTime,
) -> Result<Status, Error> {
    let fail = |e: io::Error| Error::io("read", &place.path, &e);
    let who = Who {
        recipient: (!list.own.is_empty()).then(|| list.own.clone()),
        ..Who::default()
    };
    let whole = Message::new(stored.head());
    let envelope = caller::read_envelope(&who, &|_| None, &whole, &run.config, &run.account);
    let start = stored.head().len() - whole.content().len();
    // As it was before it was kept.
    let dropped: Vec<&str> = headers::KEPT_FIELDS.iter().chain(&STATE_FIELDS).copied().collect();
    let buffer = MessageBuffer::collect(|to| {
        quoting::copy_quoted(stored.reader(start), to, &dropped, LineQuoting::None).map(drop)
    });
    let buffer = buffer.map_err(fail)?;
    let message = Message::new(buffer.head());
    let judgement = deliver::judge::judge_message(&message, &envelope, &run.config);
    let delivery = Delivery {
        buffer: &buffer,
        message,
        envelope,
        judgement,
        action: Action::Forward(Copies::Keep),
        destinations: vec![list.destination.clone()],
        token: None,
        date: now,
        name: OnceCell::new(),
    };
    let at = now.unix_timestamp();
    file.add(run, &list.own, at, &[KeptEvent::Sending(&entry.key)])?;
    // The user has it: what comes back need not be put there again.
    history::note_kept(run, &delivery);
    let sent = forward::send_on(run, &delivery, &delivery.destinations, &Sketches::default())?;
    if let Some(refusal) = sent.refused.first() {
        let event = KeptEvent::Kept(&entry.key, KeptReason::Refused, &refusal.reply.to_string());
        file.add(run, &list.own, at, &[event])?;
        let text = format!("spoolguard: cannot send to {}: {}", list.destination, refusal.reply);
        let _ = writeln!(io::stderr(), "{}", make_visible(&text));
        return Ok(Status::Wrong);
    }
    file.add(run, &list.own, at, &[KeptEvent::Sent(&entry.key)])?;
    tracing::info!(
        action = "send-kept",
        user = run.account.name,
        to = list.destination,
        mailbox = place.path.display().to_string(),
        id = delivery.message.first("Message-ID").map(|id| id.into_owned())
    );
    Ok(Status::Done)
}
