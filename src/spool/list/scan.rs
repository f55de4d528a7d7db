//! Looks at one mailbox: all of it, or only what came since the last look. Takes no lock, which would hold deliveries
//! up. What is read may change meanwhile: then the numbers are those of a moment, and the list says so.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cli::Who;
use crate::config::Config;
use crate::deliver::{caller, judge};
use crate::mailbox::content_hash::{HashScope, of_stored};
use crate::mailbox::limited_file::{LimitedFile, refuse_holes};
use crate::mailbox::reader::{Doubt, MboxMessage, MboxReader};
use crate::message::Message;
use crate::message::envelope::Envelope;
use crate::spool::again::{SeenMessages, ShortHash, shorten_hash};
use crate::spool::directory::DirectoryEntry;
use crate::spool::list::cache::{self, Before, Holds, ScanToRemember};
use crate::spool::rules::statistics::MailboxStats;
use crate::spool::rules::summary::{DoubtfulLine, MessageSummary, Repetition};
use crate::sys::account::Account;
use crate::sys::deadline::{self, ReadLimit};
use crate::sys::file_stamp::FileStamp;
use crate::sys::read_at::ReadAt;

/// As much of each message as is judged. Rules look at no more of a text than this, and so does the search for a status
/// part. What lies further on matters only where a report quotes our own mark that deep.
pub const JUDGED_BYTES: usize = 64 << 10;

/// For how long one mailbox is looked at. Whoever has so much mail is named, and the others follow.
pub const MOST_TIME: Duration = Duration::from_secs(30 * 60);

#[derive(Debug)]
pub struct ScannedMailbox {
    pub survey: MailboxStats,
    pub read_bytes: u64,
    /// How much it grew since the last look, in bytes, and when that was, in seconds since 1970.
    pub growth: Option<(i64, i64)>,
    /// What happened to the mailbox meanwhile.
    pub disturbed: Option<&'static str>,
    /// Most of it is holes.
    pub holes: Option<String>,
}

#[derive(Debug)]
pub enum ScanFailure {
    Failed(io::Error),
    NotMbox,
    Stopped,
}

impl From<io::Error> for ScanFailure {
    fn from(error: io::Error) -> Self {
        if deadline::is_stopped() {
            Self::Stopped
        } else {
            Self::Failed(error)
        }
    }
}

/// What is needed to look at mailboxes.
#[derive(Clone, Copy, Debug)]
pub struct Looker<'a> {
    pub config: &'a Config,
    /// Where looks are remembered, if anywhere.
    pub memories: Option<&'a Path>,
    /// By which rules messages are judged.
    pub rules: &'a str,
    /// How much all lookers together are through with, in bytes: for whoever waits.
    pub read_bytes: &'a AtomicU64,
    pub trust: CacheTrust,
    pub contents: Contents,
}

/// Whether the messages of Maildirs are read: their names say how many there are, and not what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    Unread,
    /// What they are is wanted.
    Judged,
}

/// Whether what was remembered is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheTrust {
    /// As far as it still fits.
    Yes,
    /// Not at all; it only tells how much a mailbox grew.
    No,
}

impl Looker<'_> {
    /// Looks at the mailbox of `account`.
    pub fn scan_mailbox(&self, entry: &DirectoryEntry, account: &Account) -> Result<ScannedMailbox, ScanFailure> {
        let counter = ScanCounter::new(self.read_bytes, entry.stat.len());
        let file = entry.open()?;
        let identity = FileStamp::of(&file.metadata()?);
        let before = self.memories.and_then(|dir| Before::find(&entry.path, dir));
        let growth = before.as_ref().map(|before| {
            let grown = i128::from(identity.bytes) - i128::from(before.bytes());
            (i64::try_from(grown).unwrap_or(i64::MAX), unix_seconds(before.noted))
        });
        let holds = match before {
            Some(before) if self.trust == CacheTrust::Yes => before.compare_with(&file, &identity, self.rules),
            Some(_) | None => Holds::Nothing,
        };
        let (from, survey, known) = match holds {
            Holds::Whole(mut survey, last) => {
                last.iter().for_each(|last| survey.add(last));
                return Ok(ScannedMailbox {
                    survey,
                    read_bytes: 0,
                    growth,
                    disturbed: None,
                    holes: refuse_holes(&file).err().map(|e| e.to_string()),
                });
            }
            Holds::UpTo(at, survey, known) => (at, survey, known),
            Holds::Nothing => (0, MailboxStats::default(), SeenMessages::default()),
        };
        let mut walk = Walk {
            looker: self,
            survey,
            summarizer: Summarizer::new(self.config, account, known),
            counter,
        };
        let disturbed = walk.all(entry, &file, identity, from)?;
        Ok(ScannedMailbox {
            survey: walk.survey,
            read_bytes: identity.bytes - from,
            growth,
            disturbed,
            holes: refuse_holes(&file).err().map(|e| e.to_string()),
        })
    }
}

/// Finds what one message after another of a mailbox is.
pub struct Summarizer<'a> {
    config: &'a Config,
    account: &'a Account,
    envelope: Option<Envelope>,
    seen: SeenMessages,
}

/// Whether a message is compared with those before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RepeatSearch {
    Looked,
    /// It is not read for that.
    Ignored,
}

impl<'a> Summarizer<'a> {
    /// Begins behind the messages that were `seen`.
    pub fn new(config: &'a Config, account: &'a Account, seen: SeenMessages) -> Self {
        Self {
            config,
            account,
            envelope: None,
            seen,
        }
    }

    /// What the message is, and what it hashes to; nothing where nobody can tell whose mail it is.
    pub fn summarize(
        &mut self,
        mail: &impl ReadAt,
        stored: &MboxMessage<'_>,
        copies: RepeatSearch,
    ) -> io::Result<Option<(MessageSummary, Option<ShortHash>)>> {
        let message = Message::new(stored.head);
        let who = Who::default();
        caller::take_stored(&mut self.envelope, &who, &message, self.config, self.account);
        let Some(envelope) = &self.envelope else {
            return Ok(None);
        };
        let judgement = judge::judge_message(&message, envelope, self.config);
        let mut letter = MessageSummary::read(&message, &judgement, stored.bytes);
        letter.doubt = stored.doubt.map(doubtful_line);
        let hash = match copies {
            RepeatSearch::Looked => Some(shorten_hash(of_stored(mail, stored, HashScope::Written)?)),
            RepeatSearch::Ignored => None,
        };
        if hash.is_some_and(|hash| self.seen.has(hash)) {
            letter.repeats = Repetition::Earlier;
        }
        Ok(Some((letter, hash)))
    }

    /// The message is one of those before from now on.
    pub fn remember(&mut self, hash: Option<ShortHash>) {
        if let Some(hash) = hash {
            let _ = self.seen.is_again(hash);
        }
    }
}

/// Counts how far one look is. Where it ends, for whatever reason, all of the mailbox is counted.
struct ScanCounter<'a> {
    all: &'a AtomicU64,
    counted: u64,
    bytes: u64,
}

impl<'a> ScanCounter<'a> {
    fn new(all: &'a AtomicU64, bytes: u64) -> Self {
        Self { all, counted: 0, bytes }
    }

    /// Everything before byte `at` is done.
    fn reach(&mut self, at: u64) {
        let more = at.min(self.bytes).saturating_sub(self.counted);
        self.counted += more;
        self.all.fetch_add(more, Ordering::Relaxed);
    }
}

impl Drop for ScanCounter<'_> {
    fn drop(&mut self) {
        self.reach(self.bytes);
    }
}

struct Walk<'l, 'a> {
    looker: &'l Looker<'a>,
    survey: MailboxStats,
    summarizer: Summarizer<'l>,
    counter: ScanCounter<'l>,
}

impl Walk<'_, '_> {
    /// Goes through all messages from byte `from` on; tells what disturbed it.
    fn all(
        &mut self,
        entry: &DirectoryEntry,
        file: &File,
        identity: FileStamp,
        from: u64,
    ) -> Result<Option<&'static str>, ScanFailure> {
        let limited = LimitedFile::new(file, ReadLimit::ending_in(MOST_TIME));
        let mut mbox = MboxReader::resume(&limited, JUDGED_BYTES, from)?;
        if from == 0 && !mbox.is_mbox()? {
            return Err(ScanFailure::NotMbox);
        }
        // From such a file nothing is taken, and its holes are not read.
        let copies = match refuse_holes(file) {
            Ok(()) => RepeatSearch::Looked,
            Err(_) => RepeatSearch::Ignored,
        };
        let mut last = None;
        let mut settled = from;
        while let Some(stored) = mbox.next()? {
            self.counter.reach(stored.offset);
            let Some((letter, hash)) = self.summarizer.summarize(&limited, &stored, copies)? else {
                continue;
            };
            // The last one is kept apart: a delivery may be writing it, and then it is judged again at the next look.
            if stored.offset + stored.bytes >= identity.bytes {
                settled = stored.offset;
                last = Some(letter);
                break;
            }
            self.survey.add(&letter);
            self.summarizer.remember(hash);
            settled = stored.offset + stored.bytes;
        }
        let disturbed = disturbance(entry, file, identity, mbox.was_cut())?;
        if let (None, Some(dir)) = (disturbed, self.looker.memories) {
            let look = ScanToRemember {
                identity,
                settled,
                survey: &self.survey,
                last: last.as_ref(),
                contents: &self.summarizer.seen,
            };
            cache::remember_scan(&entry.path, dir, file, self.looker.rules, &look);
        }
        if let Some(last) = &last {
            self.survey.add(last);
        }
        Ok(disturbed)
    }
}

fn doubtful_line(doubt: &Doubt) -> DoubtfulLine {
    DoubtfulLine {
        offset: doubt.offset,
        line: doubt.line.clone(),
    }
}

/// What happened to the mailbox while it was read, if that makes the numbers wrong. That it grew does not.
fn disturbance(
    entry: &DirectoryEntry,
    file: &File,
    before: FileStamp,
    was_cut: bool,
) -> io::Result<Option<&'static str>> {
    let now = FileStamp::of(&file.metadata()?);
    if was_cut || now.bytes < before.bytes {
        return Ok(Some("it was cut while it was read"));
    }
    match entry.path.symlink_metadata() {
        Ok(stat) if (stat_device_inode(&stat)) == (before.device, before.inode) => {}
        Ok(_) | Err(_) => return Ok(Some("it was replaced while it was read")),
    }
    if now.bytes == before.bytes && now.modified != before.modified {
        return Ok(Some("it was rewritten while it was read"));
    }
    Ok(None)
}

fn stat_device_inode(stat: &std::fs::Metadata) -> (u64, u64) {
    let identity = FileStamp::of(stat);
    (identity.device, identity.inode)
}

pub fn unix_seconds(time: std::time::SystemTime) -> i64 {
    time.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
