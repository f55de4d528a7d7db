//! The digest tells the administrator, at most once an hour, what was diverted and not sent. Its length is bounded, its
//! sender is null, and it carries the divert mark, so that no guard sends it on. A digest that cannot be sent is tried
//! again an hour later, with what came meanwhile. No message depends on it.
//!
//! It follows the first message that is diverted, kept or forwarded after the hour. When no message comes any more, a
//! timer calls `send_due`.

use std::fmt::Write as _;
use std::path::Path;

use time::OffsetDateTime;

use crate::classify::DIVERT_HEADER;
use crate::classify::policy::Action;
use crate::deliver::context::{Delivery, Outcome, Run};
use crate::deliver::divert::rules::storm::{DigestContent, Storm};
use crate::deliver::divert::{held, throttle};
use crate::deliver::{headers, notify, quota_notice};
use crate::error::Error;
use crate::escape::make_visible;
use crate::moment::Moment;
use crate::sys::account;

/// As many storms are told one by one.
const LISTED: usize = 20;

/// How much of a sample is read, in bytes, and shown, in lines.
const SAMPLE_BYTES: u64 = 4 << 10;
const SAMPLE_LINES: usize = 60;

/// An mbox that is full has room for this much more, in bytes, so that the digest can say that it is full.
const ROOM_BYTES: u64 = 1 << 20;

/// Sends the digest behind a message that was settled, if it is due. That message is safe, and nothing here changes
/// that. What is plainly delivered does not even look.
pub fn send_behind(run: &Run, delivery: &Delivery<'_>, result: &Result<Outcome, Error>) {
    let looks = match (result, delivery.action) {
        (Err(_), _) | (Ok(Outcome::Appended { .. }), Action::Append) => false,
        (Ok(_), Action::Append | Action::Keep(_) | Action::Forward(_) | Action::Divert(_)) => true,
    };
    if looks && let Err(e) = send_due(run, delivery.date) {
        tracing::warn!(user = run.account.name, note = %e, "the digest is tried again in an hour");
    }
}

/// Sends the digest if it is due.
pub fn send_due(run: &Run, now: OffsetDateTime) -> Result<(), Error> {
    let seconds = now.unix_timestamp();
    // Looked at without the lock first: it is seldom due.
    if throttle::read_state(run)?.is_none_or(|mut state| state.begin_digest(seconds).is_none()) {
        return Ok(());
    }
    let Some(digest) = throttle::change_state(run, |state| state.begin_digest(seconds))?.flatten() else {
        return Ok(());
    };
    let admin = run.config.admin.as_str();
    let message = message(run, &digest, now);
    let limit = run.config.digest.admin_limit.bound();
    let limit_bytes = limit.map(|bytes| bytes.saturating_add(ROOM_BYTES));
    notify::notify_admin(run, "send the digest to", &message, now, limit_bytes)?;
    tracing::info!(
        action = "digest",
        user = run.account.name,
        to = admin,
        messages = digest.tally().all(),
        dropped = digest.pushed_out
    );
    throttle::change_state(run, |state| state.note_told(&digest)).map(drop)
}

fn message(run: &Run, digest: &DigestContent, now: OffsetDateTime) -> String {
    // It comes from a file that the user can change: it must not add header fields.
    let own = headers::escape_word(if digest.address.is_empty() {
        &run.account.name
    } else {
        &digest.address
    });
    let mark = format!(
        "{DIVERT_HEADER}: why=digest; recipient={}; host={}\n",
        own,
        headers::escape_word(&account::host_name())
    );
    let text = text(run, &own, digest);
    quota_notice::write_message(&own, &run.config.admin, now, ".digest", &(mark + &text))
}

fn text(run: &Run, own: &str, digest: &DigestContent) -> String {
    let tally = digest.tally();
    let mut text = format!(
        "Subject: {} diverted messages of {own} were held back\n\n\
         Between {} and {} {} messages for\n{own} were to be diverted to you and were not: you have equal ones, or you had as\n\
         many about this user within an hour as the configuration allows{}.\n\n",
        tally.all(),
        headers::moment_text(Moment::from_seconds(digest.since)),
        headers::moment_text(Moment::from_seconds(digest.until)),
        tally.all(),
        if run.config.admin.starts_with('/') {
            ", or\nyour mbox is full"
        } else {
            ""
        }
    );
    let dir = for_shell(&throttle::storm_dir(run).unwrap_or_default());
    for storm in digest.storms.iter().take(LISTED) {
        let _ = writeln!(text, "{}", told(storm));
        if storm.untold.held > 0 {
            // The administrator may paste this into a shell, and the user can change the file that it comes from.
            let key: String = storm.key.chars().filter(char::is_ascii_hexdigit).take(16).collect();
            let _ = writeln!(text, "      zcat {dir}/*/*-{key}-*.gz");
        }
    }
    let rest: u64 = digest.storms.iter().skip(LISTED).map(|storm| storm.untold.all()).sum();
    let rest = rest.saturating_add(digest.forgotten.all());
    if rest > 0 {
        let _ = writeln!(text, "{rest:6} more, of many other kinds");
    }
    text.push_str(&copies_text(digest, &dir));
    if tally.kept > 0 {
        let _ = write!(
            text,
            "\nKept for {own}: {} messages that are no reports. They are in the user's own mailbox,\nmarked by the header {}.\n",
            tally.kept,
            headers::KEPT_HEADER
        );
    }
    if let Some(sample) = digest.storms.iter().find_map(|storm| sample(run, storm)) {
        let _ = write!(text, "\nOne of them begins:\n\n{sample}");
    }
    text
}

/// Where the copies lie that are held, and how many made room for others.
fn copies_text(digest: &DigestContent, dir: &str) -> String {
    let mut text = String::new();
    let held = digest.tally().held;
    if held > 0 {
        let _ = write!(
            text,
            "\nHeld, compressed: {held} messages. To read them all as one mailbox:\n    zcat {dir}/*/*.gz\n\
             They make room for newer ones beyond {} messages or {} MiB of a sort.\n",
            held::HELD_MESSAGES,
            held::HELD_BYTES >> 20
        );
    }
    if digest.pushed_out > 0 {
        let count = digest.pushed_out;
        let _ = writeln!(text, "Removed meanwhile to make room: {count} held messages.");
    }
    text
}

/// One storm: how many, from where, about what, since when.
fn told(storm: &Storm) -> String {
    let about = &storm.about;
    let status = match about.status.as_str() {
        "" => String::new(),
        status => format!(", {}", safe(status)),
    };
    format!(
        "{:6} {} from {} about {}{status}\n      first {}, last {}; you have {}",
        storm.untold.all(),
        safe(&about.what),
        safe(&about.from),
        safe(&about.of),
        headers::moment_text(Moment::from_seconds(storm.first)),
        headers::moment_text(Moment::from_seconds(storm.last)),
        storm.sent
    )
}

/// The beginning of one held message, indented: what it says is not ours.
fn sample(run: &Run, storm: &Storm) -> Option<String> {
    let bytes = throttle::stored_sample(run, &storm.key, SAMPLE_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    Some(
        text.lines()
            .take(SAMPLE_LINES)
            .map(|line| format!("    {}\n", safe(line.trim_end())))
            .collect(),
    )
}

/// What a message says, as one bounded piece of ASCII.
fn safe(text: &str) -> String {
    headers::quote_text(text).trim_matches('"').to_owned()
}

/// A path as a shell takes it for one word.
fn for_shell(path: &Path) -> String {
    let text = make_visible(&path.display().to_string());
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
