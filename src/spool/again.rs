//! Which messages a mailbox holds already, further up: what `spool list` counts is what `spool sweep --duplicates`
//! takes. Keeps 16 bytes for each message. The caller decides whether a repeated message may go.

use std::fmt::Write;
use std::io;

use sha2::{Digest, Sha256};

use crate::mailbox::hash_set::Hashes;
use crate::mailbox::ranges::STEP_BYTES;
use crate::mailbox::reader::MboxMessage;
use crate::message::Message;
use crate::sys::read_at::ReadAt;

/// What one message has in common with another copy of it.
pub type ShortHash = [u8; 16];

#[derive(Debug, Default)]
pub struct SeenMessages {
    hashes: Hashes,
}

impl SeenMessages {
    /// Reads what `to_digits` wrote; what is none of it is left out.
    pub fn of_digits(digits: &str) -> Self {
        let mut seen = Self::default();
        for hash in digits.as_bytes().chunks(16) {
            let number = std::str::from_utf8(hash)
                .ok()
                .and_then(|hash| u64::from_str_radix(hash, 16).ok());
            if let Some(number) = number {
                seen.hashes.insert(widen(number));
            }
        }
        seen
    }

    /// What they hash to, where only hashes that `shorten` made are in it: 16 hexadecimal digits for each.
    pub fn to_digits(&self) -> String {
        let mut digits = String::new();
        for hash in self.hashes.short_hashes() {
            let _ = write!(digits, "{:016x}", u64::from_be_bytes(hash));
        }
        digits
    }

    /// Tells whether such a message came before.
    pub fn has(&self, hash: ShortHash) -> bool {
        self.hashes.contain(hash)
    }

    /// Tells whether such a message came before, and remembers this one.
    pub fn is_again(&mut self, hash: ShortHash) -> bool {
        let again = self.has(hash);
        if !again {
            self.hashes.insert(hash);
        }
        again
    }
}

/// The first 8 bytes alone: what is only counted need not stand against malice, and half of it is remembered.
pub fn shorten_hash(hash: ShortHash) -> ShortHash {
    let (number, _) = hash.split_first_chunk::<8>().unwrap_or((&[0; 8], b""));
    widen(u64::from_be_bytes(*number))
}

fn widen(number: u64) -> ShortHash {
    (u128::from(number) << 64).to_be_bytes()
}

/// Hashes who wrote what to whom when. Not how it came, nor what a reader noted.
pub fn hash_content(file: &impl ReadAt, stored: &MboxMessage<'_>, message: &Message<'_>) -> io::Result<ShortHash> {
    let mut text = TextHash::default();
    for name in ["Message-ID", "Date", "From", "To", "Subject"] {
        text.sha.update(message.first(name).unwrap_or_default().as_bytes());
        text.sha.update(b"\n");
    }
    let body = message.body();
    if stored.head.len() as u64 >= stored.bytes {
        text.add(body);
        return Ok(text.finish());
    }
    let mut at = stored.offset + (stored.head.len() - body.len()) as u64;
    let end = stored.offset + stored.bytes;
    let mut buffer = vec![0; STEP_BYTES];
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(STEP_BYTES).min(STEP_BYTES);
        let read = file.read_from(buffer.get_mut(..most).unwrap_or_default(), at)?;
        if read == 0 {
            break;
        }
        text.add(buffer.get(..read).unwrap_or_default());
        at += read as u64;
    }
    Ok(text.finish())
}

/// A hash of a text without the line ends behind it: the empty line at a message's end belongs to the mailbox.
#[derive(Default)]
struct TextHash {
    sha: Sha256,
    ends: usize,
}

impl TextHash {
    fn add(&mut self, part: &[u8]) {
        let text = part.len() - part.iter().rev().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let (text, ends) = part.split_at_checked(text).unwrap_or((part, b""));
        if !text.is_empty() {
            self.sha.update(vec![b'\n'; self.ends]);
            self.sha.update(text);
            self.ends = 0;
        }
        self.ends += ends.iter().filter(|b| **b == b'\n').count();
    }

    fn finish(self) -> ShortHash {
        let mut short = [0; 16];
        short
            .iter_mut()
            .zip(self.sha.finalize())
            .for_each(|(to, from)| *to = from);
        short
    }
}
