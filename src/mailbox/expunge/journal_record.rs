//! The records of a journal, as they stand in the file: a head of text, with its own checksum, and the content, whose checksum the head
//! has. What was not written to its end is no record.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use crate::mailbox::ranges::{Hash, Ranges};

/// A record's head takes this much, in bytes; its content follows.
pub const HEAD_BYTES: u64 = 4096;

/// Where in the head it is noted that the mailbox was cut off.
pub const MARK_AT: u64 = HEAD_BYTES - 2;

const MAGIC: &str = "spoolguard cut 1";

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
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

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub head: Head,
    /// How long its content is, in bytes.
    pub bytes: u64,
    /// What that hashes to.
    pub content: Hash,
    /// Whether the mailbox was cut off.
    pub truncated: bool,
}

impl Record {
    /// A record of a mailbox that was not cut off yet.
    #[must_use]
    pub fn new(head: Head, bytes: u64, content: Hash) -> Self {
        Self {
            head,
            bytes,
            content,
            truncated: false,
        }
    }

    fn text(&self) -> String {
        let Head {
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
            hex(before),
            times.0,
            times.1,
            self.bytes,
            hex(&self.content),
        );
        if archive.len() < 3000 && !archive.contains('\n') {
            let _ = writeln!(text, "archive={archive}");
        }
        text
    }

    /// The head as it stands in the file.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        let text = self.text();
        let mut head = format!("{text}head={}\n", hex(&Sha256::digest(text.as_bytes()).into())).into_bytes();
        head.resize(HEAD_BYTES as usize, b'\n');
        if self.truncated
            && let Some(mark) = head.get_mut(MARK_AT as usize)
        {
            *mark = b'T';
        }
        head
    }

    fn read(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        let value = |name: &str| -> Option<&str> {
            let lines = text.lines().filter_map(|line| line.split_once('='));
            lines.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
        };
        let number = |name| value(name)?.parse().ok();
        let record = Self {
            head: Head {
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
            truncated: head.get(MARK_AT as usize) == Some(&b'T'),
        };
        // Its own checksum, and nothing that was read another way than it was written.
        (record.written() == head).then_some(record)
    }

    /// Where it ends that begins at `at`.
    #[must_use]
    pub fn end(&self, at: u64) -> u64 {
        at + HEAD_BYTES + self.bytes
    }
}

fn hex(hash: &Hash) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// The last record that is whole, and where it begins.
///
/// # Errors
/// When the journal cannot be read.
pub fn last_record(file: &File, length: u64) -> io::Result<Option<(u64, Record)>> {
    let mut found = None;
    let mut at = 0;
    while at + HEAD_BYTES <= length {
        let mut head = vec![0; HEAD_BYTES as usize];
        file.read_exact_at(&mut head, at)?;
        let Some(record) = Record::read(&head) else { break };
        let end = record.end(at);
        if end > length || content_hash(file, at + HEAD_BYTES, end)? != record.content {
            break;
        }
        found = Some((at, record));
        at = end;
    }
    Ok(found)
}

fn content_hash(file: &File, from: u64, end: u64) -> io::Result<Hash> {
    let mut part = Ranges::new();
    part.push(from..end);
    part.hash(file, |_| Ok(()))
}
