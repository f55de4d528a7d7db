//! Checks how full mailboxes are, whether one grows because mail loops, and whether the MTA asks for room first.

use std::time::{Duration, SystemTime};

use crate::config::Config;
use crate::doctor::facts::HostFacts;
use crate::doctor::policy_service;
use crate::doctor::rules::growth::find_burst;
use crate::doctor::rules::{Check, Finding, rcpt_check};
use crate::output::shell::program_command;
use crate::output::sizes::size_text;
use crate::spool::directory::{self, DirectoryEntry, EntryKind};
use crate::sys::account;
use crate::sys::read_at::read_full;

/// How much of a mailbox's end is looked at, in bytes.
const TAIL_BYTES: u64 = 512 << 10;

/// What was written longer ago grows no more.
const RECENT: Duration = Duration::from_secs(600);

const MOST_NAMES: usize = 10;

pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let topic = Check::Quota.about("mailboxes");
    let entries = directory::read_entries(host.config.mailbox.location.spool_dir()).unwrap_or_default();
    let mailboxes = || entries.iter().filter(|entry| entry.entry_kind() == EntryKind::Mailbox);
    let mut found: Vec<_> = mailboxes().filter_map(|entry| fullness(&host.config, entry)).collect();
    found.sort_by_key(|finding| finding.level);
    if found.len() > MOST_NAMES {
        let what = format!("{} more mailboxes are nearly full", found.len() - MOST_NAMES);
        found.truncate(MOST_NAMES);
        found.push(topic.warning(what, format!("{} spool list, which names them all", program_command())));
    }
    found.extend(mailboxes().filter_map(growing));
    found.extend(rcpt_check::judge(&host.config, policy_service::asking_mta(host)));
    if found.is_empty() {
        found.push(topic.ok("none is nearly full, and none grows by the second"));
    }
    found
}

/// A mailbox that has reached the share of its limit from which its user is warned.
fn fullness(config: &Config, entry: &DirectoryEntry) -> Option<Finding> {
    let name = entry.path.file_name()?.to_str()?;
    let groups = || {
        account::find_known(name)
            .ok()
            .flatten()
            .map(|account| account.groups())
            .unwrap_or_default()
    };
    let limit_bytes = config.quota.limit_of(name, groups).bytes?;
    let bytes = entry.stat.len();
    let percent = u128::from(bytes) * 100 / u128::from(limit_bytes.max(1));
    let topic = Check::Quota.about(entry.path.display());
    let remedy = format!(
        "{} spool list {name}, which says what fills it and what helps",
        program_command()
    );
    if bytes >= limit_bytes {
        let what = format!("it is full: {} of {}", size_text(bytes), size_text(limit_bytes));
        return Some(topic.error(what, remedy));
    }
    let nearly = config.quota.warn.of(limit_bytes).unwrap_or(limit_bytes / 100 * 95);
    (bytes >= nearly).then(|| {
        let (used, limit) = (size_text(bytes), size_text(limit_bytes));
        let what = format!("it is {percent}% full: {used} of {limit}");
        topic.warning(what, remedy)
    })
}

/// A mailbox into which the same sender writes by the second.
fn growing(entry: &DirectoryEntry) -> Option<Finding> {
    let modified = entry.stat.modified().ok()?;
    if SystemTime::now().duration_since(modified).is_ok_and(|age| age > RECENT) {
        return None;
    }
    let found = find_burst(&tail(entry)?)?;
    let name = entry.path.file_name()?.display().to_string();
    let topic = Check::Quota.about(entry.path.display());
    let what = format!(
        "it is growing: the last {} messages came within {} s, most of them from {}",
        found.messages, found.seconds, found.sender
    );
    let list = format!("what fills it says: {} spool list {name}", program_command());
    // A program may well write so much; an MTA reports so much only where mail goes round.
    Some(match found.is_of_mta() {
        true => {
            let remedy = format!("put spoolguard in place of the forward of {name}; {list}");
            topic.error(format!("{what}: mail goes round"), remedy)
        }
        false => topic.warning(format!("{what}: a program writes to it, or mail goes round"), list),
    })
}

fn tail(entry: &DirectoryEntry) -> Option<Vec<u8>> {
    let length = entry.stat.len();
    let mut bytes = vec![0; usize::try_from(length.min(TAIL_BYTES)).ok()?];
    let file = entry.open().ok()?;
    let read = read_full(&file, &mut bytes, length.saturating_sub(TAIL_BYTES)).ok()?;
    bytes.truncate(read);
    Some(bytes)
}
