//! What is said about each message: one line in the log, one line for a dry run. Never its body or its subject.

use crate::classify::policy::Action;
use crate::classify::verdict::Verdict;
use crate::deliver::context::{Delivery, Outcome, Run};
use crate::deliver::headers;
use crate::error::{Error, Status};
use crate::message::envelope::Sender;

/// The word for what became of a message.
#[must_use]
pub fn action_word(delivery: &Delivery<'_>, result: &Result<Outcome, Error>) -> &'static str {
    match result {
        Ok(Outcome::Appended { .. }) if delivery.action == Action::Append => "append",
        Ok(Outcome::Appended { .. }) => "keep",
        Ok(Outcome::Forwarded { .. }) => "forward",
        Ok(Outcome::Diverted { .. }) => "divert",
        Ok(Outcome::Held { .. }) => "hold",
        Ok(Outcome::Repeated { .. }) => "repeat",
        Err(e) if e.status() == Status::Refused => "refuse",
        Err(_) => "defer",
    }
}

/// Logs what became of a message.
pub fn log_outcome(run: &Run, delivery: &Delivery<'_>, result: &Result<Outcome, Error>) {
    let judgement = &delivery.judgement;
    let marker = headers::strongest_marker(judgement).map(headers::marker_text);
    let origin = match &judgement.verdict {
        Verdict::Bounce(bounce) => Some(bounce.origin.name()),
        Verdict::Loop(_)
        | Verdict::Complaint(_)
        | Verdict::Receipt(_)
        | Verdict::AutoReply(_)
        | Verdict::Notice(_)
        | Verdict::Ordinary => None,
    };
    let id = delivery.message.first("Message-ID").map(|id| id.into_owned());
    let (mailbox, to, note, held) = match result {
        Ok(Outcome::Appended { mailbox, note }) => (Some(mailbox.clone()), None, note.clone(), None),
        Ok(Outcome::Forwarded { to, note }) => (None, Some(to.join(",")), note.clone(), None),
        Ok(Outcome::Diverted { to, held }) => (None, Some(to.clone()), None, held.clone()),
        Ok(Outcome::Held { at, note }) => (None, None, Some(note.clone()), Some(at.clone())),
        Ok(Outcome::Repeated { note }) => (None, None, Some(note.clone()), None),
        Err(e) => (None, None, Some(e.to_string()), None),
    };
    let sender = match &delivery.envelope.sender {
        Sender::Null => "<>",
        Sender::Address(address) => address,
        Sender::Unknown => "unknown",
    };
    let held = held.map(|path| path.display().to_string());
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                action = action_word(delivery, result),
                verdict = judgement.verdict.name(),
                origin,
                marker,
                user = run.account.name,
                sender,
                bytes = delivery.buffer.bytes(),
                mailbox,
                to,
                held,
                note,
                id
            )
        };
    }
    match result {
        Ok(_) => line!(info),
        Err(_) => line!(error),
    }
}
