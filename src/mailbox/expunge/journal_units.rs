//! How the content of a journal lies in its file: in units of one size, each with its place in the content and a
//! checksum of its own. So a flipped bit or a lost sector costs the messages in one unit, and all others can still be
//! put back.

use std::fs::File;
use std::io::{self, Write};

use crate::mailbox::measure::checksum_of;
use crate::sys::read_at::read_full;

/// One unit, in bytes. Heads of records are as large, so that everything begins at a multiple of it.
pub const UNIT_BYTES: usize = 4096;

/// What stands before the content of a unit, in bytes: `MAGIC`, the checksum, the length, the place.
const HEADER_BYTES: usize = 24;

/// How much content a unit holds, in bytes; the last one of a record holds less, perhaps none.
pub const PAYLOAD_BYTES: usize = UNIT_BYTES - HEADER_BYTES;

const MAGIC: &[u8] = b"sg part\n";

/// One read of a journal, in units.
const STEP_UNITS: u64 = 64;

/// How much `bytes` of content take in the file, in bytes.
pub fn stored_bytes(bytes: u64) -> u64 {
    (bytes / PAYLOAD_BYTES as u64 + 1) * UNIT_BYTES as u64
}

fn unit(at: u64, payload: &[u8]) -> Vec<u8> {
    let mut checked = u32::try_from(payload.len()).unwrap_or_default().to_le_bytes().to_vec();
    checked.extend_from_slice(&at.to_le_bytes());
    checked.extend_from_slice(payload);
    let mut unit = MAGIC.to_vec();
    unit.extend_from_slice(&checksum_of(&checked).to_le_bytes());
    unit.append(&mut checked);
    unit.resize(UNIT_BYTES, 0);
    unit
}

/// Where the content of a unit belongs, and how long it is; none where the unit is damaged, or is none.
pub fn read_unit(unit: &[u8]) -> Option<(u64, usize)> {
    let (sum, checked) = unit.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (length, rest) = checked.split_first_chunk()?;
    let (at, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let end = HEADER_BYTES - MAGIC.len() - sum.len() + length;
    let is_whole = checksum_of(checked.get(..end)?) == u32::from_le_bytes(*sum)
        && rest.get(length..)?.iter().all(|byte| *byte == 0);
    (is_whole && unit.len() == UNIT_BYTES).then(|| (u64::from_le_bytes(*at), length))
}

/// The content of a unit, which is so long.
pub fn unit_payload(unit: &[u8], length: usize) -> &[u8] {
    unit.get(HEADER_BYTES..HEADER_BYTES + length).unwrap_or_default()
}

#[derive(Debug)]
pub struct Writer<W: Write> {
    pub to: W,
    at: u64,
    payload: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins where the content begins.
    pub fn new(to: W) -> Self {
        Self {
            to,
            at: 0,
            payload: Vec::with_capacity(PAYLOAD_BYTES),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.at + self.payload.len() as u64
    }

    /// Writes the last unit, by which the end is known.
    pub fn finish(&mut self) -> io::Result<()> {
        self.to.write_all(&unit(self.at, &self.payload))?;
        self.at += self.payload.len() as u64;
        self.payload.clear();
        self.to.flush()
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PAYLOAD_BYTES - self.payload.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.payload.extend_from_slice(taken);
        if self.payload.len() == PAYLOAD_BYTES {
            self.to.write_all(&unit(self.at, &self.payload))?;
            self.at += PAYLOAD_BYTES as u64;
            self.payload.clear();
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Reads content from byte `at` on, of a record whose units begin at `start` of the file. No more than stands in some
/// units.
pub fn read_content(file: &File, start: u64, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let payload_bytes = PAYLOAD_BYTES as u64;
    let (first, skip) = (
        at / payload_bytes,
        usize::try_from(at % payload_bytes).unwrap_or_default(),
    );
    let units = ((skip + buffer.len()) as u64).div_ceil(payload_bytes).min(STEP_UNITS);
    let mut stored = vec![0; usize::try_from(units).unwrap_or_default() * UNIT_BYTES];
    let read = read_full(file, &mut stored, start + first * UNIT_BYTES as u64)?;
    let payloads = stored.get(..read).unwrap_or_default().chunks(UNIT_BYTES);
    let mut filled = 0;
    for (number, unit) in payloads.enumerate() {
        let from = HEADER_BYTES + if number == 0 { skip } else { 0 };
        let payload = unit.get(from..).unwrap_or_default();
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let taken = payload.len().min(room.len());
        room.get_mut(..taken)
            .unwrap_or_default()
            .copy_from_slice(payload.get(..taken).unwrap_or_default());
        filled += taken;
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::{PAYLOAD_BYTES, UNIT_BYTES, Writer, read_content, read_unit, stored_bytes, unit};
    use std::io::Write;

    #[test]
    fn content_is_read_back_from_any_place() {
        for length in [
            0,
            1,
            PAYLOAD_BYTES - 1,
            PAYLOAD_BYTES,
            PAYLOAD_BYTES + 1,
            3 * PAYLOAD_BYTES,
        ] {
            let content: Vec<u8> = (0..length)
                .map(|at| b'a' + u8::try_from(at % 26).unwrap_or(0))
                .collect();
            let mut file = tempfile::tempfile().unwrap_or_else(|e| unreachable!("{e}"));
            assert!(file.write_all(b"12345").is_ok());
            let mut writer = Writer::new(&file);
            assert!(writer.write_all(&content).is_ok() && writer.finish().is_ok());
            assert_eq!(writer.bytes(), length as u64);
            assert_eq!(
                file.metadata().map_or(0, |stat| stat.len()),
                5 + stored_bytes(length as u64)
            );
            for at in [0, 1, PAYLOAD_BYTES - 1, PAYLOAD_BYTES, length] {
                let Some(want) = content.get(at..) else { continue };
                let mut found = vec![0; want.len()];
                let count = read_content(&file, 5, &mut found, at as u64).unwrap_or(0);
                assert!(count == want.len() && found == want, "{length} from {at}");
            }
        }
    }

    #[test]
    fn a_unit_with_one_flipped_bit_is_none() {
        let whole = unit(8, b"some content");
        assert_eq!(read_unit(&whole), Some((8, 12)));
        for at in 0..UNIT_BYTES {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                if let Some(byte) = damaged.get_mut(at) {
                    *byte ^= 1 << bit;
                }
                assert_eq!(read_unit(&damaged), None, "byte {at}");
            }
            assert_eq!(read_unit(whole.get(..at).unwrap_or_default()), None);
        }
    }
}
