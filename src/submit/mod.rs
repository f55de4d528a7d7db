//! Hands a message to the mail system: through its sendmail, or into a maildir where what would be sent is kept.
//!
//! An answer is yes, no, or later. What sendmail says with its exit status is sorted here, once. A failure that is reported later
//! shall bring back the whole message: that is asked for where it is sure that sendmail understands it.

pub mod evidence;
pub mod letter;
pub mod outbox;
pub mod program;
pub mod sendmail;

use std::io::Read;

use crate::config::Transport;
use crate::error::Error;
use crate::submit::letter::{Answers, Letter, SubmitResult};
use crate::sys::deadline::Deadline;

/// Sends `letter` to all its recipients.
///
/// # Errors
/// When the mail system says "later", cannot be started, hangs or dies. It may have taken some of it even so.
pub fn submit<R: Read>(
    transport: &Transport,
    letter: Letter<'_, R>,
    deadline: &Deadline,
) -> Result<SubmitResult, Error> {
    let Answers { refused, later, .. } = submit_each(transport, letter, deadline);
    match later {
        Some(e) => Err(e),
        None if refused.is_empty() => Ok(SubmitResult::Accepted),
        None => Ok(SubmitResult::Refused(refused)),
    }
}

/// Sends `letter` to all its recipients, and says for each what came of it.
pub fn submit_each<R: Read>(transport: &Transport, letter: Letter<'_, R>, deadline: &Deadline) -> Answers {
    let recipients = letter.recipients;
    let sent = match transport {
        Transport::Sendmail(program) => sendmail::submit(program, letter, deadline),
        Transport::Outbox(dir) => outbox::keep_letter(dir, letter).map(|()| Answers::taken_by(recipients)),
    };
    sent.unwrap_or_else(|e| Answers {
        later: Some(e),
        ..Answers::default()
    })
}
