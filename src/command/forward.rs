//! Sends a message on, marked so that it is known when it comes back.

use std::path::PathBuf;

use crate::act::intake;
use crate::act::submit::{self, Answer, Letter, Way};
use crate::command::guard::{Case, Guard, Outcome};
use crate::command::mailbox::{self, Placed};
use crate::command::marks;
use crate::config::ForwardSender;
use crate::decide::envelope::Sender;
use crate::decide::policy::Copies;
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

/// Forwards the message, after a copy was kept where that is asked for.
///
/// # Errors
/// When the mail system cannot take it now; then no copy stays, since the message will come again.
pub fn forward(guard: &Guard, case: &Case<'_>, copies: Copies) -> Result<Outcome, Error> {
    let copy = match copies {
        Copies::None => None,
        Copies::Keep => Some(mailbox::place(guard, case, "", guard.config.quota.over)?),
    };
    let own = case.own_address();
    let field = format!("X-Loop: {}{}", marks::word(&own), case.message.line_end()) + &marks::seam(&case.message);
    let sender = envelope_sender(guard, case, &own);
    match submit::submit(
        &way(guard),
        letter(case, &sender, &case.destinations, &field),
        &guard.patience,
    ) {
        Ok(Answer::Accepted) => Ok(Outcome::Forwarded {
            to: case.destinations.clone(),
            note: copy.map(|_| format!("kept a copy in {}", mailbox::path(guard).display())),
        }),
        Ok(Answer::Refused(refusals)) => {
            let refused: Vec<_> = refusals
                .iter()
                .map(|r| format!("{} refused with {}", r.recipient, r.said))
                .collect();
            let why = format!("cannot forward: {}", refused.join("; "));
            match copy {
                // The user has it already.
                Some(_) => Ok(Outcome::Appended {
                    mailbox: mailbox::path(guard),
                    note: Some(why),
                }),
                None => mailbox::keep(guard, case, &why),
            }
        }
        Err(e) => {
            // Otherwise each try of the mail system would leave another copy.
            if let Some(Placed::Here(appended)) = copy
                && let Err(left) = mailbox::take_back(guard, appended)
            {
                tracing::warn!(user = guard.account.name, cause = %left, "a copy stays, and the message will come again");
            }
            Err(e)
        }
    }
}

/// A null sender stays null: nothing may ever come back for it (RFC 5228 section 4.2).
fn envelope_sender(guard: &Guard, case: &Case<'_>, own: &str) -> String {
    match (&case.envelope.sender, guard.config.forward.sender) {
        (Sender::Null, _) => String::new(),
        (Sender::Address(address), ForwardSender::Keep) => address.clone(),
        (Sender::Address(_) | Sender::Unknown, ForwardSender::User | ForwardSender::Keep) => own.to_owned(),
    }
}
