//! Sends a message on, marked so that it is known when it comes back.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::act::intake;
use crate::act::submit::{self, Answer, Letter, Refusal, Way};
use crate::command::case::{Case, Guard};
use crate::command::marks;
use crate::config::ForwardSender;
use crate::decide::address::is_plain;
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

/// What became of a message at each of its destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Sent {
    /// The mail system has it for these.
    pub taken: Vec<String>,
    /// These had this same message a short while ago, and do not get it again.
    pub again: Vec<String>,
    /// The mail system will never take it for these.
    pub refused: Vec<Refusal>,
}

/// Sends the message to `destinations`. What is no address is refused here: every sendmail makes something else of it.
///
/// # Errors
/// When the mail system cannot take it now for some of them; those that it took it for are remembered, and left out the next time.
pub fn send(guard: &Guard, case: &Case<'_>, destinations: &[String]) -> Result<Sent, Error> {
    let own = case.own_address();
    let field =
        format!("X-Loop: {}{}", case.envelope.own.loop_mark(), case.message.line_end()) + &marks::seam(&case.message);
    let sender = envelope_sender(guard, case, &own);
    let mut told = destinations.to_vec();
    // OpenSMTPD sends as many copies as it is told addresses.
    let mut seen = HashSet::new();
    told.retain(|text| seen.insert(text.clone()));
    let (plain, odd): (Vec<String>, Vec<String>) = told.into_iter().partition(|text| is_plain(text));
    let mut refused: Vec<Refusal> = odd
        .into_iter()
        .map(|recipient| Refusal {
            recipient,
            said: "this is no address".to_owned(),
        })
        .collect();
    if !plain.is_empty()
        && let Answer::Refused(more) =
            submit::submit(&way(guard), letter(case, &sender, &plain, &field), &guard.patience)?
    {
        refused.extend(more);
    }
    let taken = plain
        .into_iter()
        .filter(|address| {
            !refused
                .iter()
                .any(|refusal| refusal.recipient.contains(address.as_str()))
        })
        .collect();
    Ok(Sent {
        taken,
        again: Vec::new(),
        refused,
    })
}

/// A null sender stays null: nothing may ever come back for it (RFC 5228 section 4.2).
fn envelope_sender(guard: &Guard, case: &Case<'_>, own: &str) -> String {
    match (&case.envelope.sender, guard.config.forward.sender) {
        (Sender::Null, _) => String::new(),
        // Exim and OpenSMTPD refuse a message for a malformed sender, and Postfix loses its report.
        (Sender::Address(address), ForwardSender::Keep) if is_plain(address) => address.clone(),
        (Sender::Address(_) | Sender::Unknown, ForwardSender::User | ForwardSender::Keep) => own.to_owned(),
    }
}
