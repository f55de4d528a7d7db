//! The notices that spoolguard writes to users, in plain words. Nothing answers them (RFC 3834 section 5).

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Subject and text for a mailbox beyond its soft limit.
#[must_use]
pub fn fills_up(now_bytes: u64, limit_bytes: u64) -> String {
    format!(
        "Subject: Your mailbox is {} % full\n\n\
         Your mailbox holds {} of {}.\n\
         When it is full, new mail has to wait or goes elsewhere.\n\n\
         Please delete what you no longer need, or move it to another folder.\n\
         This notice comes once a day until there is room again.\n",
        share(now_bytes, limit_bytes),
        mebibytes(now_bytes),
        mebibytes(limit_bytes),
    )
}

/// Subject and text for a mailbox that is below its soft limit again.
#[must_use]
pub fn has_room_again(now_bytes: u64, limit_bytes: u64) -> String {
    format!(
        "Subject: Your mailbox has room again\n\n\
         Your mailbox holds {} of {} ({} %). Nothing more needs to be done.\n",
        mebibytes(now_bytes),
        mebibytes(limit_bytes),
        share(now_bytes, limit_bytes),
    )
}

/// A whole message to the user from a subject and text.
#[must_use]
pub fn message(own: &str, date: OffsetDateTime, text: &str) -> String {
    let written = date.format(&Rfc2822).unwrap_or_default();
    let id = format!("{}.{}.spoolguard", date.unix_timestamp_nanos(), std::process::id());
    let domain = own.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    format!(
        "From: Mail delivery guard <MAILER-DAEMON@{domain}>\nTo: <{own}>\nDate: {written}\nMessage-ID: <{id}@{domain}>\n\
         Auto-Submitted: auto-generated\nX-Loop: {own}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n{text}"
    )
}

fn share(part: u64, whole: u64) -> u128 {
    u128::from(part) * 100 / u128::from(whole.max(1))
}

fn mebibytes(bytes: u64) -> String {
    let tenths = u128::from(bytes) * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
