//! Remembers what `spool list` found in a mailbox, so that the next look reads only what came since. The last message
//! is kept apart from the numbers: it may have been on its way into the mailbox.
//!
//! It is believed whole only while nothing about the file has changed. As the beginning of more it is believed while
//! the first bytes, and those before the last message, are the same. A mail client that rewrites flags in place, in a
//! mailbox that has also grown since, can deceive it about what was read; `--fresh` begins anew.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::spool::again::SeenMessages;
use crate::spool::rules::statistics::MailboxStats;
use crate::spool::rules::summary::MessageSummary;
use crate::sys::cache_file::{self, fingerprint_file};
use crate::sys::file_stamp::FileStamp;

/// A memory that is larger is not believed: most of it are hashes, 16 bytes for each message.
const LARGEST_BYTES: u64 = 64 << 20;

/// How many names of each sort are kept.
const NAMES: usize = 24;

#[derive(Debug, Deserialize, Serialize)]
struct RememberedScan {
    /// By which rules: of which version, with which configuration.
    rules: String,
    stamp: FileStamp,
    /// Where the last message begins.
    settled: u64,
    print: String,
    /// The numbers of all messages but the last.
    survey: MailboxStats,
    last: Option<MessageSummary>,
    /// What its messages hash to, all but the last: of each 16 hexadecimal digits.
    contents: String,
}

#[derive(Debug)]
pub struct ScanToRemember<'a> {
    /// The mailbox as it was when the look began.
    pub identity: FileStamp,
    /// Where its last message begins, in bytes.
    pub settled: u64,
    /// The numbers of all messages but the last.
    pub survey: &'a MailboxStats,
    pub last: Option<&'a MessageSummary>,
    /// All messages but the last.
    pub contents: &'a SeenMessages,
}

/// How much of a memory still holds.
#[derive(Debug)]
pub enum Holds {
    /// All of it: nothing has changed.
    Whole(MailboxStats, Option<MessageSummary>),
    /// Up to this byte, where a message begins; and what stands before it.
    UpTo(u64, MailboxStats, SeenMessages),
    Nothing,
}

/// The last look at a mailbox.
#[derive(Debug)]
pub struct Before {
    place: PathBuf,
    memory: RememberedScan,
    pub noted: SystemTime,
}

impl Before {
    /// Finds the last look at the mailbox of this path, if it was remembered.
    pub fn find(path: &Path, dir: &Path) -> Option<Self> {
        let place = cache_file::cache_path(path, dir);
        let found = cache_file::load_cached(&place, LARGEST_BYTES)?;
        Some(Self {
            memory: serde_json::from_str(&found.text).ok()?,
            noted: found.noted,
            place,
        })
    }

    /// How long the mailbox was, in bytes.
    pub fn bytes(&self) -> u64 {
        self.memory.stamp.bytes
    }

    pub fn compare_with(self, file: &File, now: &FileStamp, rules: &str) -> Holds {
        let memory = self.memory;
        let seen = memory.stamp;
        if memory.rules != rules || (seen.device, seen.inode) != (now.device, now.inode) {
            return Holds::Nothing;
        }
        if seen == *now {
            cache_file::confirm_cached(&self.place);
            return Holds::Whole(memory.survey, memory.last);
        }
        let grown = memory.settled <= seen.bytes && seen.bytes < now.bytes;
        if grown && fingerprint_file(file, memory.settled).is_ok_and(|print| print == memory.print) {
            return Holds::UpTo(memory.settled, memory.survey, SeenMessages::of_digits(&memory.contents));
        }
        Holds::Nothing
    }
}

/// Remembers a look. What cannot be remembered is looked at again.
pub fn remember_scan(path: &Path, dir: &Path, file: &File, rules: &str, look: &ScanToRemember<'_>) {
    let Ok(print) = fingerprint_file(file, look.settled) else {
        return;
    };
    let mut survey = look.survey.clone();
    survey.forget_growth(NAMES);
    let memory = RememberedScan {
        rules: rules.to_owned(),
        stamp: look.identity,
        settled: look.settled,
        print,
        survey,
        last: look.last.cloned(),
        contents: look.contents.to_digits(),
    };
    if let Ok(text) = serde_json::to_string(&memory) {
        let _ = cache_file::save_cached(&cache_file::cache_path(path, dir), &text);
    }
}
