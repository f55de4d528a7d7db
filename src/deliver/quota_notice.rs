//! Writes the notices about a mailbox that fills, and decides when they are due. Nothing answers them (RFC 3834 section
//! 5).

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::classify::NOTICE_HEADER;
use crate::config::Over;
use crate::config::value::Limit;
use crate::deliver::context::{Delivery, Run};
use crate::deliver::headers;
use crate::output::sizes::size_text;
use crate::sys::cache_file::{mark_time, renew_mark};

/// How long the user is not warned again.
const WARN_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// What the user is told about a mailbox that holds `now_bytes`: that it fills up, once a day while it lasts, and when
/// it is over. Whoever gets a text has to put it there: it is noted that the user was told.
pub fn take_due_notice(run: &Run, delivery: &Delivery<'_>, limit: Limit, now_bytes: u64) -> Option<String> {
    let (bytes, mark) = (limit.bytes?, run.mark_path("quota-warned")?);
    let threshold = run.config.quota.warn.of(bytes)?;
    let recently = |then: SystemTime| match SystemTime::from(delivery.date).duration_since(then) {
        Ok(since) => since < WARN_AGAIN,
        // From the future: from a clock that was wrong.
        Err(_) => false,
    };
    let is_full = now_bytes >= threshold;
    let text = match mark_time(&mark) {
        Some(then) if is_full && recently(then) => return None,
        _ if is_full => fills_up(now_bytes, bytes, run.config.quota.when_full),
        Some(_) => has_room_again(now_bytes, bytes),
        None => return None,
    };
    // The mark first: a user who is not warned once is better off than one who is warned with each message.
    let noted = if is_full {
        renew_mark(&mark).is_ok()
    } else {
        std::fs::remove_file(&mark).is_ok()
    };
    let own = delivery.own_address();
    noted.then(|| write_message(&own, &own, delivery.date, "", &text))
}

/// Subject and text for a mailbox beyond its soft limit.
fn fills_up(now_bytes: u64, limit_bytes: u64, over: Over) -> String {
    let when_full = match over {
        Over::Defer | Over::Refuse | Over::Divert | Over::Overflow => "new mail has to wait or goes elsewhere",
        Over::Archive => "the mail at its beginning goes into an archive",
    };
    format!(
        "Subject: Your mailbox is {}% full\n\n\
         Your mailbox holds {} of {}.\n\
         When it is full, {when_full}.\n\n\
         Please delete what you no longer need, or move it to another folder.\n\
         This notice comes once a day until there is room again.\n",
        share(now_bytes, limit_bytes),
        size_text(now_bytes),
        size_text(limit_bytes),
    )
}

/// Subject and text for a mailbox that is below its soft limit again.
fn has_room_again(now_bytes: u64, limit_bytes: u64) -> String {
    format!(
        "Subject: Your mailbox has room again\n\n\
         Your mailbox holds {} of {} ({} %). Nothing more needs to be done.\n",
        size_text(now_bytes),
        size_text(limit_bytes),
        share(now_bytes, limit_bytes),
    )
}

/// A whole message of ours from `text`: a subject, more header fields before it where there are any, and the body. Its
/// Message-ID has `tag` behind time and process.
pub fn write_message(own: &str, to: &str, date: OffsetDateTime, tag: &str, text: &str) -> String {
    let (nanoseconds, process) = (date.unix_timestamp_nanos(), std::process::id());
    let written = date.format(&Rfc2822).unwrap_or_default();
    let domain = own.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let to = match to.contains('@') {
        true => format!("<{to}>"),
        // A path, or a name of this host.
        false => headers::escape_word(to),
    };
    format!(
        "From: Mail delivery guard <MAILER-DAEMON@{domain}>\nTo: {to}\nDate: {written}\nMessage-ID: <{nanoseconds}.{process}{tag}.spoolguard@{domain}>\n\
         Auto-Submitted: auto-generated\nX-Loop: {own}\n{NOTICE_HEADER}: written by spoolguard\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n{text}"
    )
}

fn share(part: u64, whole: u64) -> u128 {
    u128::from(part) * 100 / u128::from(whole.max(1))
}
