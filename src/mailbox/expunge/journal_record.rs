//! The records of a journal, as they stand in the file: a head of text, with its own checksum, and the content, whose
//! checksum is in the head. A record that was not written to its end has no head yet; anything else that is not a
//! record counts as damage.

use std::fmt::Write as _;
use std::fs::File;
use std::io;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::mailbox::expunge::journal_units::{self, UNIT_BYTES, stored_bytes};
use crate::mailbox::measure::checksum_of;
use crate::mailbox::ranges::Hash;
use crate::sys::read_at::read_full;

/// A record's head takes this much, in bytes; its content follows.
pub const HEAD_BYTES: u64 = UNIT_BYTES as u64;

/// Where in the head it is noted that the mailbox was cut off.
pub const TRUNCATED_AT: u64 = HEAD_BYTES - 2;

/// Where it is noted that a sync of the mailbox failed.
pub const FAILED_AT: u64 = HEAD_BYTES - 3;

/// Where it is noted how much of the content is in the mailbox and synced, in `SYNCED_BYTES`.
pub const SYNCED_AT: u64 = HEAD_BYTES - 64;
const SYNCED_BYTES: u64 = 25;

const MAGIC: &str = "spoolguard cut 2";

/// No file is longer (off_t), in bytes. A user can write a journal that says so.
const MOST_BYTES: u64 = i64::MAX.unsigned_abs() / 4;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Where the mailbox is cut off, in bytes.
    pub from: u64,
    /// How long the mailbox was before, in bytes.
    pub until: u64,
    /// What stood between, in short.
    pub before: Hash,
    /// What to do if it still stands there.
    pub undo: Undo,
    /// The times that the mailbox gets in the end, access and modification, in nanoseconds since 1970.
    pub times: (i128, i128),
    /// Where the messages are that go; for whoever looks into the journal.
    pub archive: String,
}

/// What to do when a run was ended before it touched the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Forget it: everything is still in the mailbox.
    Possible,
    /// The mailbox was cut before; go on.
    Impossible,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub head: RecordHeader,
    pub bytes: u64,
    pub content: Hash,
    pub truncated: bool,
    /// Whether a sync of the mailbox failed since: then nothing that it holds is proof of anything, and the journal is
    /// kept for good.
    pub sync_failed: bool,
    /// How much of the content was seen to be synced into the mailbox, in bytes.
    pub synced_bytes: u64,
}

/// The note on how much is synced.
pub fn synced_note(bytes: u64) -> String {
    let number = format!("{bytes:016x}");
    format!("{number} {:08x}", checksum_of(number.as_bytes()))
}

/// None where it is damaged.
fn read_synced(field: &[u8]) -> Option<u64> {
    if field.iter().all(|byte| *byte == b'\n') {
        return Some(0);
    }
    let text = std::str::from_utf8(field).ok()?;
    let bytes = u64::from_str_radix(text.get(..16)?, 16).ok()?;
    (synced_note(bytes) == text).then_some(bytes)
}

impl Record {
    pub fn new(head: RecordHeader, bytes: u64, content: Hash) -> Self {
        Self {
            head,
            bytes,
            content,
            truncated: false,
            sync_failed: false,
            synced_bytes: 0,
        }
    }

    fn text(&self) -> String {
        let RecordHeader {
            from,
            until,
            before,
            undo,
            times,
            archive,
        } = &self.head;
        let undo = match undo {
            Undo::Possible => "yes",
            Undo::Impossible => "no",
        };
        let mut text = format!(
            "{MAGIC}\nfrom={from}\nuntil={until}\nbefore={}\nundo={undo}\naccessed={}\nmodified={}\nbytes={}\ncontent={}\n",
            HEXLOWER.encode(before),
            times.0,
            times.1,
            self.bytes,
            HEXLOWER.encode(&self.content),
        );
        if archive.len() < 3000 && !archive.contains('\n') {
            let _ = writeln!(text, "archive={archive}");
        }
        text
    }

    /// The head as it stands in the file.
    pub fn written(&self) -> Vec<u8> {
        let text = self.text();
        let mut head = format!("{text}head={}\n", HEXLOWER.encode(&Sha256::digest(text.as_bytes()))).into_bytes();
        head.resize(HEAD_BYTES as usize, b'\n');
        head
    }

    /// Reads a head; none where it is damaged, or is none.
    pub fn read(head: &[u8]) -> Option<Self> {
        let (text, notes) = head.split_at_checked(SYNCED_AT as usize)?;
        let (synced, marks) = notes.split_at_checked(SYNCED_BYTES as usize)?;
        let [unused @ .., failed, truncated, b'\n'] = marks else {
            return None;
        };
        let mark = |found: u8, mark: u8| match found {
            b'\n' => Some(false),
            found => (found == mark).then_some(true),
        };
        if head.len() as u64 != HEAD_BYTES || unused.iter().any(|byte| *byte != b'\n') {
            return None;
        }
        let whole_text = text;
        let text = std::str::from_utf8(text).ok()?;
        let value = |name: &str| -> Option<&str> {
            let lines = text.lines().filter_map(|line| line.split_once('='));
            lines.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
        };
        let number = |name| value(name)?.parse().ok();
        let record = Self {
            head: RecordHeader {
                from: number("from")?,
                until: number("until")?,
                before: unhex(value("before")?)?,
                undo: match value("undo")? {
                    "yes" => Undo::Possible,
                    "no" => Undo::Impossible,
                    _ => return None,
                },
                times: (value("accessed")?.parse().ok()?, value("modified")?.parse().ok()?),
                archive: value("archive").unwrap_or_default().to_owned(),
            },
            bytes: number("bytes")?,
            content: unhex(value("content")?)?,
            truncated: mark(*truncated, b'T')?,
            sync_failed: mark(*failed, b'E')?,
            synced_bytes: read_synced(synced)?,
        };
        // Its own checksum, and nothing that was read another way than it was written; and no sums of lengths overflow.
        let Self { head, bytes, .. } = &record;
        let is_possible = head.from <= head.until && head.until <= MOST_BYTES && *bytes <= MOST_BYTES;
        let is_as_written = record.written().get(..SYNCED_AT as usize) == Some(whole_text);
        (is_possible && is_as_written).then_some(record)
    }

    /// Where it ends that begins at `at`.
    pub fn end(&self, at: u64) -> u64 {
        at + HEAD_BYTES + stored_bytes(self.bytes)
    }
}

fn unhex(text: &str) -> Option<Hash> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// The record that holds, which is the last one, and where it begins; none where anything is damaged.
pub fn last_record(file: &File, length: u64) -> io::Result<Option<(u64, Record)>> {
    let mut found = None;
    let mut at = 0;
    while at < length {
        let mut head = vec![0; HEAD_BYTES as usize];
        let read = read_full(file, &mut head, at)?;
        head.truncate(read);
        match Record::read(&head) {
            Some(record) if record.end(at) <= length && is_whole(file, at, &record)? => {
                let end = record.end(at);
                found = Some((at, record));
                at = end;
            }
            // Another record was begun behind it, and its head, which comes last, was not written.
            None if found.is_some() && head.iter().all(|byte| *byte == 0) => return Ok(found),
            Some(_) | None => return Ok(None),
        }
    }
    Ok(found)
}

/// Tells whether all of the content is as it was written.
fn is_whole(file: &File, at: u64, record: &Record) -> io::Result<bool> {
    let mut sha = Sha256::new();
    let mut unit = vec![0; UNIT_BYTES];
    let mut place = at + HEAD_BYTES;
    let mut content_at = 0;
    while place < record.end(at) {
        read_full(file, &mut unit, place)?;
        let Some((belongs_at, length)) = journal_units::read_unit(&unit) else {
            return Ok(false);
        };
        if belongs_at != content_at {
            return Ok(false);
        }
        content_at += length as u64;
        place += UNIT_BYTES as u64;
        sha.update(journal_units::unit_payload(&unit, length));
    }
    let hash: Hash = sha.finalize().into();
    Ok(content_at == record.bytes && hash == record.content)
}

#[cfg(test)]
mod tests {
    use super::{Record, RecordHeader, Undo};

    #[test]
    fn a_record_that_nobody_can_have_meant_is_damaged() {
        let record = |from, until, bytes| {
            let head = RecordHeader {
                from,
                until,
                before: [1; 32],
                undo: Undo::Impossible,
                times: (0, 0),
                archive: String::new(),
            };
            Record::read(&Record::new(head, bytes, [2; 32]).written())
        };
        assert!(record(10, 20, 5).is_some() && record(10, 10, 5).is_some());
        // Where it ends, what it holds, and how long the mailbox gets: all of it is added up somewhere.
        for (from, until, bytes) in [
            (20, 10, 5),
            (10, u64::MAX, 5),
            (u64::MAX, u64::MAX, 5),
            (10, 20, u64::MAX),
        ] {
            assert!(record(from, until, bytes).is_none(), "{from} {until} {bytes}");
        }
    }
}
