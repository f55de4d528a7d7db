//! An mbox on disk: lock, recover, append, read, expunge.
//!
//! `open_locked` is the only way to a mailbox that is changed. It takes the locks (`lock`) and finishes an expunge that
//! was interrupted (`expunge`). It puts in order what a killed run left of a message (`recover`, by the notes of
//! `intent`). What it returns, `OpenMailbox`, is what `append` and `expunge` ask for: neither can be called before that
//! is done.
//!
//! Bytes whose sync this run has not seen to succeed count for nothing. They are written again (`in_place`) or cut off
//! and appended anew, and synced, before anybody relies on them.
//!
//! `reader` knows where a message begins and ends, `format` what one looks like, `content_hash` which two are the same.

pub mod append;
pub(crate) mod content_hash;
pub mod count;
pub(crate) mod excerpt;
pub mod expunge;
pub mod format;
pub(crate) mod hash_set;
mod in_place;
pub(crate) mod intent;
mod intent_text;
pub mod limited_file;
pub mod lock;
pub mod measure;
mod moved;
pub mod open;
pub mod quoting;
pub(crate) mod ranges;
pub mod reader;
pub mod recover;
pub mod separator_search;
pub mod setgid;
pub(crate) mod submissions;
mod torn;

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use time::OffsetDateTime;

use crate::error::Error;
use crate::mailbox::lock::{LockPlan, Locked};
use crate::mailbox::recover::{LeftMessage, Recovered};
use crate::mailbox::submissions::{SubmissionKey, Submissions};
use crate::sys::deadline::Deadline;

/// A mailbox that is open and locked, and in which everything is finished or cut off that an earlier run began.
/// `open_locked` makes it.
#[derive(Debug)]
#[must_use]
pub struct OpenMailbox {
    locked: Locked,
    /// What killed runs had left, and was put in order.
    pub recovered: Recovered,
    /// How many messages of damaged journals were put back.
    pub salvaged: u64,
    /// What an MTA may bring again.
    left: Vec<LeftMessage>,
    submissions: Option<Submissions>,
}

/// Opens and locks the mailbox at `path`, makes it where there is none and the plan says so, and finishes what an
/// earlier run began. Fails when it cannot be locked in time, is no mailbox, or cannot be put in order; then nothing
/// may be done with it.
pub fn open_locked(path: &Path, plan: &LockPlan, deadline: &Deadline) -> Result<OpenMailbox, Error> {
    open_locked_at(OffsetDateTime::now_utc(), path, plan, deadline)
}

fn open_locked_at(
    now: OffsetDateTime,
    path: &Path,
    plan: &LockPlan,
    deadline: &Deadline,
) -> Result<OpenMailbox, Error> {
    let mut locked = lock::acquire(path, plan, deadline)?;
    let damaged = expunge::resume::resume(&mut locked, plan.state_dir.as_deref(), deadline)?;
    let (recovered, left) = recover::recover(&locked, now, deadline.for_mending())?;
    let mut salvaged = 0;
    for journal in damaged {
        salvaged += expunge::salvage::put_back(&locked, &journal, now)?;
        let path = journal.set_aside()?;
        locked.note_set_aside(Some(path));
    }
    Ok(OpenMailbox {
        locked,
        recovered,
        salvaged,
        left,
        submissions: None,
    })
}

impl Deref for OpenMailbox {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        &self.locked
    }
}

impl OpenMailbox {
    fn submissions(&mut self) -> (&File, &mut Submissions) {
        let file = self.locked.file();
        let known = self.submissions.get_or_insert_with(|| Submissions::read(file));
        (file, known)
    }

    fn has_submission(&mut self, key: SubmissionKey, now_seconds: i64) -> bool {
        self.submissions().1.has(key, now_seconds)
    }

    /// Notes that a submission was delivered, and is synced.
    fn note_submission(&mut self, key: SubmissionKey, now_seconds: i64) {
        let (file, known) = self.submissions();
        known.add(file, key, now_seconds);
    }

    /// Forgets a submission whose message is about to be taken back.
    fn forget_submission(&mut self, key: SubmissionKey) -> std::io::Result<()> {
        let (file, known) = self.submissions();
        known.forget(file, key)
    }
}
