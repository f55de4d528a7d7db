//! The digits of base32 (RFC 4648 section 6), small: where somebody else wants capitals, they are made of these.

/// The digits, each at the place of its value.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The digit of the low five bits.
#[must_use]
pub fn digit(bits: u32) -> Option<char> {
    let place = usize::try_from(bits & 31).ok()?;
    DIGITS.get(place).map(|digit| char::from(*digit))
}

/// What a small digit stands for; none where it is no digit.
#[must_use]
pub fn value(digit: u8) -> Option<u32> {
    let place = DIGITS.iter().position(|known| *known == digit)?;
    u32::try_from(place).ok()
}
