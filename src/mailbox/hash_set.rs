//! The hashes of very many messages, in 16 bytes for each: a mailbox of millions is compared with an archive, or with
//! itself, in memory. Nothing here fails. What is hashed, and how, is up to the caller.
//!
//! They stand in sorted pieces, each a power of two long and shorter than the one before, as in the binary number that
//! says how many they are: 13 of them are pieces of 8, 4 and 1. One more closes some of the last pieces to a single
//! one, as counting does. So there is no table with empty places, none is copied to a larger one, and each hash is
//! sorted a few times.

/// Set in the place of a hash that was removed. Behind those that are there, it keeps the order.
const GONE: u128 = 1;

/// Hashes, each as often as it was inserted. Of each 127 bits count. Fewer would do against chance, and not against
/// malice: what stands in a mailbox is known to others, who may write messages until the hash of one is that of
/// somebody else's; with 64 bits and millions of hashes to meet, that takes a computer some hours.
#[derive(Debug, Default)]
pub struct Hashes {
    entries: Vec<u128>,
}

impl Hashes {
    pub fn insert(&mut self, hash: [u8; 16]) {
        self.entries.push(entry(hash));
        let count = self.entries.len();
        let start = count - (1 << count.trailing_zeros());
        self.entries.get_mut(start..).unwrap_or_default().sort_unstable();
    }

    pub fn contain(&self, hash: [u8; 16]) -> bool {
        self.find(hash).is_some()
    }

    /// Takes one away; false where there is none.
    pub fn remove(&mut self, hash: [u8; 16]) -> bool {
        let found = self.find(hash).and_then(|at| self.entries.get_mut(at));
        found.map(|entry| *entry |= GONE).is_some()
    }

    /// The first 8 bytes of each that is there.
    pub fn short_hashes(&self) -> impl Iterator<Item = [u8; 8]> {
        let there = self.entries.iter().filter(|entry| **entry & GONE == 0);
        there.map(|entry| u64::try_from(*entry >> 64).unwrap_or_default().to_be_bytes())
    }

    /// The last of its equals in a piece: when that one is gone, the piece is in order still.
    fn find(&self, hash: [u8; 16]) -> Option<usize> {
        let wanted = entry(hash);
        let mut start = 0;
        while let Some(bits) = (self.entries.len() - start).checked_ilog2() {
            let end = start + (1 << bits);
            let piece = self.entries.get(start..end).unwrap_or_default();
            let behind = piece.partition_point(|entry| *entry <= wanted);
            if let Some(last) = behind.checked_sub(1)
                && piece.get(last) == Some(&wanted)
            {
                return Some(start + last);
            }
            start = end;
        }
        None
    }
}

fn entry(hash: [u8; 16]) -> u128 {
    u128::from_be_bytes(hash) & !GONE
}

#[cfg(test)]
mod tests {
    use super::Hashes;
    use std::collections::HashMap;

    fn of(number: u8) -> [u8; 16] {
        (u128::from(number) << (8 * (number % 15 + 1))).to_be_bytes()
    }

    #[test]
    fn each_is_there_as_often_as_it_was_inserted_and_not_removed() {
        let mut chance = fastrand::Rng::with_seed(7);
        let mut hashes = Hashes::default();
        let mut want: HashMap<u8, u32> = HashMap::new();
        for step in 0..20_000 {
            // Few different ones, so that many are equal.
            let number = chance.u8(..40);
            let hash = of(number);
            let count = want.entry(number).or_default();
            assert_eq!(hashes.contain(hash), *count > 0, "step {step}");
            if chance.u8(..3) > 0 {
                hashes.insert(hash);
                *count += 1;
            } else {
                assert_eq!(hashes.remove(hash), *count > 0, "step {step}");
                *count = count.saturating_sub(1);
            }
        }
        let left: u32 = want.values().sum();
        assert!(left > 1000);
        for (number, count) in want {
            let hash = of(number);
            assert!((0..count).all(|_| hashes.remove(hash)) && !hashes.remove(hash));
        }
    }

    #[test]
    fn one_costs_sixteen_bytes() {
        let mut hashes = Hashes::default();
        for number in 0..1000_u128 {
            hashes.insert((number << 64).to_be_bytes());
        }
        assert_eq!(size_of_val(hashes.entries.as_slice()), 16_000);
        assert!((0..1000_u128).all(|number| hashes.contain((number << 64).to_be_bytes())));
        assert!(!hashes.contain((1000_u128 << 64).to_be_bytes()));
    }
}
