//! Sends a message on, marked so that it is known when it comes back.

use std::path::PathBuf;

use crate::act::intake;
use crate::act::submit::{self, Answer, Letter, Way};
use crate::command::case::{Case, Guard};
use crate::command::marks;
use crate::config::ForwardSender;
use crate::decide::envelope::Sender;
use crate::exit::Error;

/// How mail leaves this host.
#[must_use]
pub fn way(guard: &Guard) -> Way {
    match guard.config.forward.submit.strip_prefix("outbox:") {
        Some(dir) => Way::Outbox(PathBuf::from(dir)),
        None => Way::Sendmail(PathBuf::from(&guard.config.forward.submit)),
    }
}

/// The message in the form that is sent.
#[must_use]
pub fn letter<'a>(
    case: &'a Case<'_>,
    sender: &'a str,
    recipients: &'a [String],
    added: &'a str,
) -> Letter<'a, intake::Reader<'a>> {
    Letter {
        sender,
        recipients,
        added: added.as_bytes(),
        content: case.intake.reader(case.content_start()),
        content_bytes: case.content_bytes(),
    }
}

/// Sends the message to where it is to go.
///
/// # Errors
/// When the mail system cannot take it now.
pub fn send(guard: &Guard, case: &Case<'_>) -> Result<Answer, Error> {
    let own = case.own_address();
    let field = format!("X-Loop: {}{}", marks::word(&own), case.message.line_end()) + &marks::seam(&case.message);
    let sender = envelope_sender(guard, case, &own);
    submit::submit(
        &way(guard),
        letter(case, &sender, &case.destinations, &field),
        &guard.patience,
    )
}

/// A null sender stays null: nothing may ever come back for it (RFC 5228 section 4.2).
fn envelope_sender(guard: &Guard, case: &Case<'_>, own: &str) -> String {
    match (&case.envelope.sender, guard.config.forward.sender) {
        (Sender::Null, _) => String::new(),
        (Sender::Address(address), ForwardSender::Keep) => address.clone(),
        (Sender::Address(_) | Sender::Unknown, ForwardSender::User | ForwardSender::Keep) => own.to_owned(),
    }
}
