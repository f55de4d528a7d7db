//! What `restore` prints: lines for people, or one JSON object a line. Keys are a promise.

use serde::Serialize;

use crate::escape::make_visible;
use crate::output::sizes::{message_count_text, size_text};
use crate::spool::context::RunMode;
use crate::spool::merge::target::MergeTally;
use crate::sys::account;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RestoreSum {
    /// Messages that are what was asked for.
    pub(super) met: u64,
    pub(super) tally: MergeTally,
}

/// What is printed for programs. The keys are a promise.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum RestoreLine<'a> {
    Mailbox {
        user: &'a str,
        mailbox: &'a str,
        archive: &'a str,
        done: bool,
        #[serde(flatten)]
        tally: MergeTally,
        left_out: u64,
    },
    Error {
        error: String,
    },
    Summary {
        done: bool,
        #[serde(flatten)]
        tally: MergeTally,
        note: Option<&'a str>,
    },
}

/// The same of an overflow.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum OverflowLine<'a> {
    Overflow {
        user: &'a str,
        mailbox: String,
        done: bool,
        restored: u64,
        bytes: u64,
        remaining: u64,
        note: Option<&'a str>,
    },
}

/// What became of one mailbox, for people.
pub(super) fn mailbox_text(mode: RunMode, mailbox: &str, source: &str, tally: MergeTally, aside: u64) -> String {
    let done = match mode {
        RunMode::Execute => "restored",
        RunMode::Rehearse => "would restore",
    };
    let mut line = format!(
        "{}: {done} {} ({}) from {}",
        make_visible(mailbox),
        message_count_text(tally.restored),
        size_text(tally.restored_bytes),
        make_visible(source)
    );
    for (count, what) in [(tally.present, "already there"), (aside, "left out: nobody's mail")] {
        if count > 0 {
            line.push_str(&format!(", {count} {what}"));
        }
    }
    line
}

/// What helps against a full mailbox: whoever runs this may do it.
pub(super) fn room_hint() -> &'static str {
    if account::is_root() {
        "raise the quota, or use --ignore-quota"
    } else {
        "delete or archive other mail first, or ask the administrator for a larger quota"
    }
}
