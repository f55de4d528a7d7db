//! Finds the last line about something in the history: a table of hashes in a file beside it.
//!
//! The table is a cache. Lines that it does not cover yet are read from the history and added. A table that is damaged,
//! or belongs to another file, is made anew. Where it cannot be written, the lines behind it are read each time. It
//! never says what is missing: whoever asks reads the line and looks. A power cut may lose some of its pages; then a
//! message that was sent may be sent once more.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::deliver::forward::history_line::HistoryLine;
use crate::sys::dirs::{own_file, with_suffix};

/// How a table begins: what it is, the number of the history's file, how much of that it covers, its places, and how
/// many are taken.
const MAGIC: &[u8; 8] = b"sgindex1";
const HEAD_BYTES: u64 = 64;

/// One place: the key and the offset behind it, both of eight bytes; an offset of zero is none.
const PLACE_BYTES: u64 = 16;

/// A table begins with so many places; when half of them are taken, it becomes four times as large.
const FIRST_PLACES: u64 = 2048;
const GROWTH: u64 = 4;

/// More places are not looked at for one key: a table that is half empty has no such run.
const MOST_PROBES: u64 = 4096;

/// How much of the history is read at once, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// The table of one file of the history.
#[derive(Debug)]
pub struct Index {
    table: Option<IndexTable>,
    path: PathBuf,
    inode: u64,
    /// What the table does not hold, the earliest first.
    rest: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct IndexTable {
    file: File,
    covered: u64,
    places: u64,
    taken: u64,
}

impl Index {
    /// Opens the table at `path` for `history`, which nobody changes meanwhile. Reads what it does not cover.
    pub fn open(history: &File, path: &Path) -> Self {
        let (inode, bytes) = history.metadata().map_or((0, 0), |stat| (stat.ino(), stat.len()));
        let table = IndexTable::open(path, inode).filter(|table| table.covered <= bytes);
        let covered = table.as_ref().map_or(0, |table| table.covered);
        Self {
            table,
            path: path.to_owned(),
            inode,
            rest: keys_behind(history, covered),
        }
    }

    pub fn find(&self, key: u64) -> Option<u64> {
        let in_rest = self
            .rest
            .iter()
            .rev()
            .find(|(known, _)| *known == key)
            .map(|(_, at)| *at);
        in_rest.or_else(|| self.table.as_ref()?.find(key))
    }

    /// Adds `lines`, which end at `covered`. What cannot be written is read again the next time.
    pub fn add(mut self, lines: &[(u64, u64)], covered: u64) {
        self.rest.extend_from_slice(lines);
        // Made anew, it holds what is in no table yet: all of it.
        let table = match self.table.take() {
            Some(table) => Ok(table),
            None => IndexTable::create(&self.path, self.inode, FIRST_PLACES),
        };
        let added = table.and_then(|mut table| {
            for (key, at) in &self.rest {
                if (table.taken + 1) * 2 > table.places {
                    table = table.grown(&self.path, self.inode)?;
                }
                table.put(*key, *at)?;
            }
            table.covered = covered;
            table.write_head(self.inode)
        });
        if let Err(e) = added {
            tracing::debug!(path = %self.path.display(), cause = %e, "the index of what was sent on is not written");
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The keys of every line of `history` behind `covered`.
fn keys_behind(history: &File, covered: u64) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let left = history.metadata().map_or(0, |data| data.len().saturating_sub(covered));
    // Nearly always nothing.
    if left == 0 {
        return found;
    }
    let mut buffer = vec![0; usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES)];
    let mut at = covered;
    while let Ok(read) = history.read_at(&mut buffer, at) {
        let piece = buffer.get(..read).unwrap_or_default();
        let Some(end) = memchr::memrchr(b'\n', piece) else {
            if read < buffer.len() || read == 0 {
                break;
            }
            // No line of ours is so long.
            at += read as u64;
            continue;
        };
        let mut offset = at;
        for line in piece.get(..end).unwrap_or_default().split(|b| *b == b'\n') {
            let subjects = std::str::from_utf8(line)
                .ok()
                .and_then(HistoryLine::read)
                .map(|line| line.history_keys());
            found.extend(
                subjects
                    .into_iter()
                    .flatten()
                    .map(|subject| (subject.hash_in_index(), offset)),
            );
            offset += line.len() as u64 + 1;
        }
        at += end as u64 + 1;
    }
    found
}

impl IndexTable {
    fn open(path: &Path, inode: u64) -> Option<Self> {
        let file = own_file().read(true).write(true).open(path).ok()?;
        let mut head = [0; HEAD_BYTES as usize];
        file.read_exact_at(&mut head, 0).ok()?;
        let number = |place: usize| {
            let bytes = head.get(place * 8..place * 8 + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        let (covered, places, taken) = (number(2)?, number(3)?, number(4)?);
        let is_ours = head.starts_with(MAGIC)
            && number(1)? == inode
            && places.is_power_of_two()
            && taken <= places
            && file.metadata().ok()?.len() == HEAD_BYTES + places.checked_mul(PLACE_BYTES)?;
        is_ours.then_some(Self {
            file,
            covered,
            places,
            taken,
        })
    }

    /// A table of so many places in the place of another.
    fn create(path: &Path, inode: u64, places: u64) -> io::Result<Self> {
        let draft = with_suffix(path, ".new");
        let _ = std::fs::remove_file(&draft);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.set_len(HEAD_BYTES + places * PLACE_BYTES)?;
        let table = Self {
            file,
            covered: 0,
            places,
            taken: 0,
        };
        table.write_head(inode)?;
        std::fs::rename(&draft, path)?;
        Ok(table)
    }

    fn write_head(&self, inode: u64) -> io::Result<()> {
        let mut head = MAGIC.to_vec();
        for number in [inode, self.covered, self.places, self.taken] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        self.file.write_all_at(&head, 0)
    }

    fn find(&self, key: u64) -> Option<u64> {
        let (_, offset) = self.probe(key).ok()??;
        offset
    }

    fn put(&mut self, key: u64, offset: u64) -> io::Result<()> {
        let Some((place, before)) = self.probe(key)? else {
            return Err(io::Error::other("the table is damaged"));
        };
        let mut bytes = key.to_le_bytes().to_vec();
        bytes.extend_from_slice(&(offset + 1).to_le_bytes());
        self.file.write_all_at(&bytes, HEAD_BYTES + place * PLACE_BYTES)?;
        self.taken += u64::from(before.is_none());
        Ok(())
    }

    /// The place of `key`, and what stands there; nothing where the table has no end of it.
    fn probe(&self, key: u64) -> io::Result<Option<(u64, Option<u64>)>> {
        const AT_ONCE: u64 = 16;
        let mut buffer = [0; (AT_ONCE * PLACE_BYTES) as usize];
        let mut place = key & (self.places - 1);
        let mut probes = 0;
        while probes < MOST_PROBES {
            let count = AT_ONCE.min(self.places - place);
            let wanted = usize::try_from(count * PLACE_BYTES).unwrap_or(0);
            let piece = buffer.get_mut(..wanted).unwrap_or_default();
            self.file.read_exact_at(piece, HEAD_BYTES + place * PLACE_BYTES)?;
            for (number, bytes) in piece.chunks_exact(PLACE_BYTES as usize).enumerate() {
                let (known, offset) = read_place(bytes);
                if offset.is_none() || known == key {
                    return Ok(Some((place + number as u64, offset)));
                }
            }
            probes += count;
            place = (place + count) & (self.places - 1);
        }
        Ok(None)
    }

    fn grown(self, path: &Path, inode: u64) -> io::Result<Self> {
        let mut larger = Self::create(path, inode, self.places * GROWTH)?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut at = 0;
        while at < self.places * PLACE_BYTES {
            let wanted = usize::try_from(self.places * PLACE_BYTES - at).unwrap_or(CHUNK_BYTES);
            let piece = buffer.get_mut(..wanted.min(CHUNK_BYTES)).unwrap_or_default();
            self.file.read_exact_at(piece, HEAD_BYTES + at)?;
            at += piece.len() as u64;
            for bytes in piece.chunks_exact(PLACE_BYTES as usize) {
                if let (key, Some(offset)) = read_place(bytes) {
                    larger.put(key, offset)?;
                }
            }
        }
        larger.covered = self.covered;
        Ok(larger)
    }
}

fn read_place(bytes: &[u8]) -> (u64, Option<u64>) {
    let number = |bytes: Option<&[u8]>| {
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    (number(bytes.get(..8)), number(bytes.get(8..)).checked_sub(1))
}
