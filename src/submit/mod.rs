//! Submits a message to the MTA: through its sendmail, or into a Maildir that keeps what would be sent.
//!
//! An answer is yes, no, or later; sendmail's exit status is sorted here, once. A bounce shall bring back the whole
//! message: sendmail is asked for that where it surely understands it.

mod evidence;
pub(crate) mod letter;
mod outbox;
pub(crate) mod program;
pub(crate) mod sendmail;

use std::io::Read;

use crate::config::Transport;
use crate::error::{Category, Error};
use crate::submit::letter::{Answers, Letter};
use crate::sys::deadline::Deadline;

/// Sends a message of ours, which no recipient may refuse; `verb` is what is said when that fails. Fails when the MTA
/// refuses it, which somebody has to mend; or says "later", cannot be started, hangs or dies.
pub fn submit_own<R: Read>(
    transport: &Transport,
    verb: &'static str,
    letter: Letter<'_, R>,
    deadline: &Deadline,
) -> Result<(), Error> {
    let to = letter.recipients.join(", ");
    let Answers { refused, later, .. } = submit_each(transport, letter, deadline);
    if let Some(e) = later {
        return Err(e);
    }
    if refused.is_empty() {
        return Ok(());
    }
    let said: Vec<_> = refused.iter().map(|refusal| refusal.reply.to_string()).collect();
    let cause = format!("refused with {}", said.join("; "));
    Err(Error::new(Category::Submission, verb, to, cause).needs_mending())
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
