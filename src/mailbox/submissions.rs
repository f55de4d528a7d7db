//! Remembers the last submissions to a mailbox, in an extended attribute of the mbox, or of a Maildir's `new/`
//! (`maildir/submissions.rs`). An MTA may die behind our answer, or a run be killed after its note was removed. Then
//! the message comes again although it is there, or its user has deleted it since.
//!
//! A submission is noted only after the sync of its message, under the lock, and forgotten before the message is taken
//! back. So it never stands for mail that is not safe. After a power loss the last ones may be missing; then the note
//! of the append comes back as well (`mailbox/intent.rs`). Where the file system knows no attributes, or a mail client
//! makes a new file, the message comes twice.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

/// How the attribute is called. Not as the notes are.
const NAME: &str = "user.spoolguard-delivered";

/// Names one submission.
pub type SubmissionKey = [u8; KEY_BYTES];

const KEY_BYTES: usize = 12;

/// Names the submission that is known by `identity`.
pub fn key_of(identity: &[u8]) -> SubmissionKey {
    let digest = Sha256::digest(identity);
    digest.first_chunk().copied().unwrap_or_default()
}

/// An entry: the key, and when, in seconds since 1970.
const ENTRY_BYTES: usize = KEY_BYTES + 4;

/// How many are remembered: more than an MTA has under way for one mailbox when it dies, and what comes before it tries
/// again.
const MOST: usize = 64;

/// As long as MTAs try again, in seconds.
const KEPT_SECONDS: u32 = 5 * 24 * 60 * 60;

/// What an open mailbox remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Submissions(Vec<(SubmissionKey, u32)>);

impl Submissions {
    /// Reads them; nothing where there are none.
    pub fn read(file: impl AsFd) -> Self {
        let mut buffer = [0; (MOST + 1) * ENTRY_BYTES];
        let length = fgetxattr(file, NAME, &mut buffer).unwrap_or(0);
        let entries = buffer.get(..length).unwrap_or_default().chunks_exact(ENTRY_BYTES);
        let parsed = entries.filter_map(|entry| {
            let (key, seconds) = entry.split_first_chunk()?;
            Some((*key, u32::from_le_bytes(*seconds.first_chunk()?)))
        });
        Self(parsed.collect())
    }

    /// Tells whether this one was delivered within the time in which an MTA tries again.
    pub fn has(&self, key: SubmissionKey, now_seconds: i64) -> bool {
        let now = u32::try_from(now_seconds).unwrap_or_default();
        let is_young = |at: u32| now.saturating_sub(at) <= KEPT_SECONDS;
        self.0.iter().any(|(found, at)| *found == key && is_young(*at))
    }

    /// Notes one, and drops the oldest. Nothing depends on it: where that fails, the message may come twice.
    pub fn add(&mut self, file: impl AsFd, key: SubmissionKey, now_seconds: i64) {
        self.0.retain(|(found, _)| *found != key);
        let too_many = (self.0.len() + 1).saturating_sub(MOST);
        self.0.drain(..too_many);
        self.0.push((key, u32::try_from(now_seconds).unwrap_or_default()));
        let _ = self.write(file);
    }

    /// Forgets one. Fails when it cannot be forgotten: then its message must stay.
    pub fn forget(&mut self, file: impl AsFd, key: SubmissionKey) -> io::Result<()> {
        let before = self.0.len();
        self.0.retain(|(found, _)| *found != key);
        if self.0.len() == before {
            return Ok(());
        }
        Ok(self.write(file)?)
    }

    fn write(&self, file: impl AsFd) -> Result<(), Errno> {
        let mut value = Vec::with_capacity(MOST * ENTRY_BYTES);
        for (key, seconds) in &self.0 {
            value.extend_from_slice(key);
            value.extend_from_slice(&seconds.to_le_bytes());
        }
        fsetxattr(file, NAME, &value, XattrFlags::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_SECONDS, MOST, Submissions};

    #[test]
    fn submissions_are_known_as_long_as_they_may_come_again() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let file = std::fs::File::create(dir.path().join("a")).unwrap_or_else(|e| unreachable!("{e}"));
        let key = |number: usize| [u8::try_from(number).unwrap_or_default(); 12];
        for number in 0..MOST + 10 {
            let mut known = Submissions::read(&file);
            known.add(&file, key(number), 1000);
            if Submissions::read(&file) == Submissions::default() {
                return;
            }
        }
        let mut known = Submissions::read(&file);
        assert!(known.has(key(MOST + 9), 1000) && known.has(key(10), 1000));
        assert!(!known.has(key(9), 1000), "the oldest go");
        let late = 1000 + i64::from(KEPT_SECONDS);
        assert!(known.has(key(10), late) && !known.has(key(10), late + 1));
        assert!(known.forget(&file, key(20)).is_ok());
        let known = Submissions::read(&file);
        assert!(!known.has(key(20), 1000) && known.has(key(21), 1000));
    }
}
