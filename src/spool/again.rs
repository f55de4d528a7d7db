//! Which messages a mailbox holds already, further up: what `spool list` counts is what `spool sweep --duplicates`
//! takes. What their writer wrote counts, and not how it came, nor what a reader noted (`HashScope::Written`). Keeps 16
//! bytes for each message. The caller decides whether a repeated message may go.

use std::fmt::Write;

use crate::mailbox::content_hash::ContentHash;
use crate::mailbox::hash_set::Hashes;

/// What one message has in common with another copy of it.
pub type ShortHash = [u8; 16];

#[derive(Debug, Default)]
pub struct SeenMessages {
    hashes: Hashes,
}

impl SeenMessages {
    /// Reads what `to_digits` wrote; leaves out everything else.
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
pub fn shorten_hash(hash: ContentHash) -> ShortHash {
    let bytes = hash.bytes();
    let (number, _) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], b""));
    widen(u64::from_be_bytes(*number))
}

fn widen(number: u64) -> ShortHash {
    (u128::from(number) << 64).to_be_bytes()
}
