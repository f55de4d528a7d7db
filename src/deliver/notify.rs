//! Delivers a message that spoolguard wrote itself: into an mbox, under its lock, or to an address, with the null
//! sender, so that nothing ever comes back for it. When that fails, no part of the message is there.

use std::path::Path;

use time::OffsetDateTime;

use crate::deliver::access;
use crate::deliver::context::Run;
use crate::error::{Category, Error};
use crate::mailbox::format::MboxEntry;
use crate::mailbox::open::Owner;
use crate::mailbox::{append, quoting};
use crate::submit;

pub fn own_entry(text: &str, date: OffsetDateTime) -> MboxEntry<'_, &[u8]> {
    MboxEntry {
        sender: "",
        date,
        added: b"",
        content: text.as_bytes(),
        quoting: quoting::LineQuoting::Mboxrd,
        submission: None,
    }
}

/// Appends it to the mbox at `path`, which digests may let grow to `limit_bytes`. Fails when the mbox is full, or
/// cannot be locked or written.
fn append_notice(
    run: &Run,
    path: &Path,
    owner: Owner,
    text: &str,
    date: OffsetDateTime,
    limit_bytes: Option<u64>,
) -> Result<(), Error> {
    let mut locked = access::open_locked(run, path, owner)?;
    let bytes = text.len() as u64;
    access::refuse_full_disk(run, &locked, bytes)?;
    if let Some(limit_bytes) = limit_bytes
        && locked.length()?.saturating_add(bytes) > limit_bytes
    {
        let cause = "it is full, and more than full with digests";
        return Err(Error::new(Category::MailboxFull, "append to", path.display(), cause).hint("read and empty it"));
    }
    append::append(&mut locked, own_entry(text, date)).map(drop)
}

/// Gives it to the administrator: an mbox, which digests may let grow to `limit_bytes`, or an address.
pub fn notify_admin(
    run: &Run,
    verb: &'static str,
    text: &str,
    date: OffsetDateTime,
    limit_bytes: Option<u64>,
) -> Result<(), Error> {
    let admin = run.config.admin.as_str();
    if admin.starts_with('/') {
        let owner = Owner::Trusted(run.account.uid);
        append_notice(run, Path::new(admin), owner, text, date, limit_bytes)
    } else {
        submit_notice(run, verb, admin, text)
    }
}

/// Sends it to `address`; `verb` is what is said when that fails.
pub fn submit_notice(run: &Run, verb: &'static str, address: &str, text: &str) -> Result<(), Error> {
    let letter = submit::letter::Letter {
        sender: "",
        recipients: &[address.to_owned()],
        added: b"",
        content: text.as_bytes(),
        content_bytes: text.len() as u64,
    };
    submit::submit_own(&run.config.forward.transport, verb, letter, &run.deadline)
}
