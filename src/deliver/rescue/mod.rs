//! Puts a message that comes back inside a report into its user's mailbox: once, as it came, with its own sender, and
//! with a header that says why. The report itself is settled after that, as if nothing had been in it. So no report is
//! done before what it carries is safe, and a report that comes again finds the message there.
//!
//! When the mailbox cannot take it, it goes to the overflow mbox in the state directory: MTAs drop reports one day, so
//! the report must not wait until somebody fixes the mailbox. Where the trouble may pass (a lock), the report stays in
//! the MTA's queue. Without a state directory nothing is rescued, since nobody would recognise the message the second
//! time; then the report carries it to where reports go.

mod decode;
pub(crate) mod unpack;

use std::cell::OnceCell;
use std::path::Path;

use crate::classify::MessageOrigin;
use crate::classify::policy::{self, Action, Job, Why};
use crate::classify::verdict::Bounce;
use crate::config::Over;
use crate::deliver::context::{Delivery, Outcome, Run};
use crate::deliver::forward::rules::attribution::ForwardFailure;
use crate::deliver::forward::{history, turn};
use crate::deliver::rescue::unpack::UnpackedMessage;
use crate::deliver::store::entry::Put;
use crate::deliver::{headers, overflow, store};
use crate::error::{Error, Retry};
use crate::message::Message;
use crate::message::envelope::Envelope;
use crate::report::returned_message::{self, Completeness, LostMessage, ReturnedMessage};
use crate::sys::message_buffer::MessageBuffer;
use crate::sys::state_file::Store;

/// Why a message lies in the overflow. Nothing in it may differ from try to try: the next one knows by these bytes what
/// a killed run put there.
const MAILBOX_FULL: &str = "mailbox=full";
const MAILBOX_UNUSABLE: &str = "mailbox=unusable";

#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Rescue {
    /// It lies in the mailbox now, and is known by this.
    Done(String),
    /// The user had it already.
    Had,
    /// Only its header came back, and there is no copy: the user does not see it.
    Lost(LostMessage),
    /// There was nothing to rescue.
    Nothing,
}

/// Rescues what a report about our own forward carries; `blames` are the destinations that it is about. Fails when the
/// message is nowhere safe, and trying again can help; then the report has to come again.
pub fn rescue_message(run: &Run, delivery: &Delivery<'_>, blames: &[ForwardFailure]) -> Result<Rescue, Error> {
    let Some(report) = delivery.judgement.verdict.bounce() else {
        return Ok(Rescue::Nothing);
    };
    if !is_about_a_failed_forward(run, delivery, report) {
        return Ok(Rescue::Nothing);
    }
    let Some(dir) = run.state_dir() else {
        tracing::debug!(user = run.account.name, "no state directory: nothing is rescued");
        return Ok(Rescue::Nothing);
    };
    let destination = blames.first().map(|blame| blame.destination.clone());
    let lost = |lost: LostMessage| {
        let has_it = lost.message_id.as_deref().is_some_and(|id| history::has_id(run, id));
        if has_it {
            Rescue::Had
        } else {
            Rescue::Lost(LostMessage { destination, ..lost })
        }
    };
    let place = match ReturnedMessage::find(&delivery.message) {
        ReturnedMessage::Whole(place) => place,
        ReturnedMessage::HeaderOnly(header) => return Ok(lost(header)),
        ReturnedMessage::None => return Ok(Rescue::Nothing),
    };
    let UnpackedMessage { buffer, extent } = unpack::take_out(
        delivery.buffer,
        delivery.content_start(),
        &place,
        &delivery.envelope.own,
    )
    .map_err(|e| Error::io("take a message out of", Path::new("a report"), &e))?;
    let original = delivery_of(run, delivery, &buffer);
    if returned_message::lacks_body(&original.message) {
        return Ok(lost(returned_message::read_lost_message(&original.message)));
    }
    // What a guard diverts was no mail of the user's before either.
    if policy::choose_action(&original.judgement, Job::Deliver, &run.config.guard) != Action::Append {
        return Ok(Rescue::Nothing);
    }
    put_back_once(
        run,
        delivery,
        &original,
        &dir,
        |notes| {
            let host = report.reporting_host.as_deref();
            headers::rescued_field(blames.first(), host, notes, original.message.line_end())
                + &headers::separator_field(&original.message)
        },
        extent,
    )
}

/// Puts the message back, unless another report has brought it.
fn put_back_once(
    run: &Run,
    delivery: &Delivery<'_>,
    original: &Delivery<'_>,
    dir: &Path,
    field: impl Fn(&[String]) -> String,
    extent: Completeness,
) -> Result<Rescue, Error> {
    let name = original.name();
    if !run.store.can_take_back()
        && let Err(e) = turn::wait_for_sender(run, original)
    {
        run.log_state_failure(&e, "the message may be put there twice");
    }
    // Two reports about one message may come at the same time. One after the other: the second sees what the first did.
    let one_at_a_time = Store::new(dir, "rescue").hold(&run.deadline);
    if let Err(e) = &one_at_a_time {
        // Put off for that, the report would wait until the MTA drops it, and the message with it.
        run.log_state_failure(e, "two reports about one message may both leave it in the mailbox");
    }
    if history::has_it(run, name) {
        return Ok(Rescue::Had);
    }
    let (mailbox, notes) = put_original(run, original, extent, field)?;
    // Behind the mailbox: the other way round a kill in between might leave it nowhere. As it is, the note on the
    // mailbox tells the next try that it is there.
    history::note_rescued(run, delivery, name);
    // What this run appends next is the report.
    run.intents.finish();
    let id = original.message.first("Message-ID").map(|id| id.into_owned());
    tracing::info!(
        action = "rescue",
        user = run.account.name,
        mailbox,
        notes = (!notes.is_empty()).then(|| notes.join("; ")),
        id
    );
    Ok(Rescue::Done(name.to_string()))
}

/// Puts the message into the mailbox, or, where that has no room or needs mending, into the overflow. Says where it is,
/// and what is noted. `field` makes the fields above it of those notes.
fn put_original(
    run: &Run,
    original: &Delivery<'_>,
    extent: Completeness,
    field: impl Fn(&[String]) -> String,
) -> Result<(String, Vec<String>), Error> {
    let mut notes = Vec::new();
    if extent == Completeness::Cut {
        notes.push(headers::CUT.to_owned());
    }
    for note in [MAILBOX_FULL, MAILBOX_UNUSABLE] {
        let with_note = [&notes[..], &[note.to_owned()]].concat();
        if let Some(outcome) = overflow::find_earlier(run, original, &field(&with_note))? {
            return Ok((mailbox_of(run, outcome), with_note));
        }
    }
    let outcome = match store::place_message(run, original, &field(&notes), Over::Overflow) {
        Ok(Put::Done(receipt)) => {
            receipt.keep(run);
            return Ok((run.store.to_string(), notes));
        }
        Ok(Put::Full(_)) => {
            notes.push(MAILBOX_FULL.to_owned());
            overflow::put_in_overflow(run, original, &field(&notes))?
        }
        Err(e) if e.retry_outlook() == Retry::NeedsMending => {
            notes.push(MAILBOX_UNUSABLE.to_owned());
            tracing::warn!(user = run.account.name, cause = %e, "a message that came back goes to the overflow mbox");
            overflow::put_in_overflow(run, original, &field(&notes))?
        }
        Err(e) => return Err(e),
    };
    Ok((mailbox_of(run, outcome), notes))
}

fn mailbox_of(run: &Run, outcome: Outcome) -> String {
    if let Outcome::Appended { mailbox, .. } = outcome {
        mailbox
    } else {
        run.store.to_string()
    }
}

/// Tells whether the report gives up a message that this guard sent on. Any proof will do here, also one that is too
/// weak to blame a destination: who forges it puts into the user's mailbox what could have been sent there.
fn is_about_a_failed_forward(run: &Run, delivery: &Delivery<'_>, report: &Bounce) -> bool {
    let is_known = || {
        let id = report.quoted_message_id.as_deref();
        id.is_some_and(|id| !history::sent_to(run, id).is_empty())
    };
    report.gives_up()
        // What went to the administrator is no mail of the user's.
        && delivery.judgement.diverted_before.is_none()
        && (report.origin == MessageOrigin::OurForward || delivery.token.is_some() || is_known())
}

/// The message as a case of its own: from its own sender, for the same user, come when the report came.
fn delivery_of<'a>(run: &Run, report: &Delivery<'_>, buffer: &'a MessageBuffer) -> Delivery<'a> {
    let message = Message::new(buffer.head());
    let own = report.envelope.own.clone();
    let envelope = Envelope {
        sender: returned_message::read_sender(&message, &own),
        recipient: report.envelope.recipient.clone(),
        own,
    };
    let judgement = crate::deliver::judge::judge_message(&message, &envelope, &run.config);
    Delivery {
        buffer,
        message,
        envelope,
        judgement,
        action: Action::Keep(Why::CameBack),
        destinations: Vec::new(),
        token: None,
        date: report.date,
        name: OnceCell::new(),
    }
}
