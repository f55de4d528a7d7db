//! Writes one line about each message into the log, or on the terminal in a dry run. Never its body or its subject.

use crate::classify::loops::queue_id;
use crate::classify::policy::Action;
use crate::classify::verdict::Bounce;
use crate::deliver::context::{Delivery, Outcome, Run};
use crate::deliver::headers;
use crate::error::{Error, Status};
use crate::message::envelope::Sender;

pub fn action_word(delivery: &Delivery<'_>, result: &Result<Outcome, Error>) -> &'static str {
    match result {
        Ok(Outcome::Appended { .. }) if delivery.action == Action::Append => "append",
        Ok(Outcome::Appended { .. }) => "keep",
        Ok(Outcome::Forwarded { .. }) => "forward",
        Ok(Outcome::Diverted { .. }) => "divert",
        Ok(Outcome::Held { .. }) => "hold",
        Ok(Outcome::Repeated { .. }) => "repeat",
        Ok(Outcome::Test { .. }) => "test",
        Err(e) if e.status() == Status::Refused => "refuse",
        Err(_) => "defer",
    }
}

/// So many failed addresses are logged: the others are in the report.
const FAILED: usize = 5;

/// Which addresses a bounce names, and their status codes (RFC 3463), in the same order.
fn failed(bounce: Option<&Bounce>) -> (Option<String>, Option<String>) {
    let recipients = bounce.map(|bounce| bounce.recipients.as_slice()).unwrap_or_default();
    let named: Vec<_> = recipients
        .iter()
        .filter(|one| !one.address.is_empty())
        .take(FAILED)
        .collect();
    let joined = |texts: Vec<&str>| (!texts.is_empty()).then(|| texts.join(","));
    let addresses = named.iter().map(|one| one.address.as_str()).collect();
    let has_status = named.iter().any(|one| one.status.is_some());
    let codes = named.iter().map(|one| one.status.as_deref().unwrap_or("?")).collect();
    (joined(addresses), joined(codes).filter(|_| has_status))
}

pub fn log_outcome(run: &Run, delivery: &Delivery<'_>, result: &Result<Outcome, Error>) {
    let judgement = &delivery.judgement;
    let marker = headers::strongest_marker(judgement).map(headers::marker_text);
    let bounce = judgement.verdict.bounce();
    let origin = bounce.map(|bounce| bounce.origin.name());
    let original_id = bounce.and_then(|bounce| bounce.quoted_message_id.as_deref());
    let (failed, status) = failed(bounce);
    let received = delivery.message.fields().find(|field| field.is("Received"));
    let queue = received.and_then(|field| queue_id(field.value));
    let id = delivery.message.first("Message-ID").map(|id| id.into_owned());
    let (mailbox, to, note, held) = match result {
        Ok(Outcome::Appended { mailbox, note }) => (Some(mailbox.clone()), None, note.clone(), None),
        Ok(Outcome::Forwarded { to, note }) => (None, Some(to.join(",")), note.clone(), None),
        Ok(Outcome::Diverted { to, held }) => (None, Some(to.clone()), None, held.clone()),
        Ok(Outcome::Held { at, note }) => (None, None, Some(note.clone()), Some(at.clone())),
        Ok(Outcome::Repeated { note } | Outcome::Test { note }) => (None, None, Some(note.clone()), None),
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
                id,
                queue,
                failed,
                status,
                original_id
            )
        };
    }
    match result {
        Ok(_) => line!(info),
        Err(_) => line!(error),
    }
}
