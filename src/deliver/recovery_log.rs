//! Logs what was put in order when a mailbox was opened: what killed runs had left, and journals that somebody has to
//! look at.

use crate::mailbox::OpenMailbox;
use crate::mailbox::recover::Recovered;

/// Logs it; nothing where everything was in order, as nearly always.
pub fn log_recovery(mailbox: &OpenMailbox) {
    let path = mailbox.path().display().to_string();
    let Recovered {
        cut_bytes,
        written_again_bytes,
    } = mailbox.recovered;
    if cut_bytes > 0 || written_again_bytes > 0 {
        tracing::warn!(
            mailbox = path,
            cut_bytes,
            written_again_bytes,
            "put in order what a killed run left"
        );
    }
    for journal in mailbox.set_aside() {
        tracing::error!(
            mailbox = path,
            journal = journal.display().to_string(),
            put_back = mailbox.salvaged,
            "set aside a journal that was damaged, or in use when the disk failed: check the disk and the mailbox, then remove it"
        );
    }
}
