//! The token in the envelope sender of a forward: `a+fwd=TOKEN@a.test`. It says for which destination and for which
//! message it was made. A report comes back to that address whatever its shape and language, and so does whatever
//! answers the message; only who saw the envelope can write there. What is forged, damaged or too old is no token.

use data_encoding::{BASE32_NOPAD, BASE32_NOPAD_NOCASE, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::message::address::{Address, LOCAL_BYTES};

/// How long the key is, in bytes: as long as the hash it is used with (RFC 2104 section 3).
pub const KEY_BYTES: usize = 32;

/// What stands before a token.
const LABEL: &str = "fwd=";

/// For how many days a token holds. Mail systems try for five days; what is set up otherwise may try for some weeks.
const VALID_DAYS: u16 = 28;

/// The clock of the host that made it may be a day ahead.
const AHEAD_DAYS: u16 = 1;

/// Bytes of a token: the day, which destination, which message, and the seal over all. Who guesses 64 bits has one mail
/// each to try.
const DAY: usize = 2;
const TAG: usize = 4;
const MESSAGE: usize = 4;
const SEAL: usize = 8;
const TOKEN: usize = DAY + TAG + MESSAGE + SEAL;

/// The key that seals tokens.
#[derive(Clone)]
pub struct Key([u8; KEY_BYTES]);

impl Key {
    /// Uses these bytes.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Seals `what` for `user`: whoever shares the key with others still has tokens of one's own.
    fn seal(&self, user: &str, what: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(b"spoolguard forward 2\0");
        mac.update(user.as_bytes());
        mac.update(b"\0");
        mac.update(what);
        Some(mac)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// What a token of ours says: which destination and which message it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerpToken {
    tag: [u8; TAG],
    message: [u8; MESSAGE],
}

impl VerpToken {
    /// Tells whether it was made for `destination`.
    pub fn is_for(&self, destination: &str) -> bool {
        self.tag == tag(destination)
    }

    /// The part of the message's key that it holds: eight hexadecimal digits.
    pub fn message(&self) -> String {
        HEXLOWER.encode(&self.message)
    }
}

/// The envelope sender of a message that `own` forwards to `destination` at `unix_seconds`; `message` is a part of the
/// message's key, in hexadecimal digits. None where the address would be too long, or where there is no character that
/// sets off an extension.
pub fn verp_sender(
    key: &Key,
    user: &str,
    own: &Address,
    delimiter: &str,
    destination: &str,
    message: &str,
    unix_seconds: i64,
) -> Option<String> {
    let (local, domain) = (own.without_extension(delimiter), own.domain()?);
    let separator = delimiter.chars().next()?;
    let mut token = Vec::with_capacity(TOKEN);
    token.extend_from_slice(&day(unix_seconds).to_be_bytes());
    token.extend_from_slice(&tag(destination));
    token.extend_from_slice(&u32::from_str_radix(message, 16).unwrap_or(0).to_be_bytes());
    let seal = key.seal(user, &token)?.finalize().into_bytes();
    token.extend(seal.iter().take(SEAL));
    let local = format!(
        "{local}{separator}{LABEL}{}",
        BASE32_NOPAD.encode(&token).to_ascii_lowercase()
    );
    (local.len() <= LOCAL_BYTES).then(|| format!("{local}@{domain}"))
}

/// Tells whether `text` holds an address with something that looks like a token, so that the key is worth reading.
pub fn is_there(text: &str) -> bool {
    find(text).is_some()
}

/// Reads the token in the address `text`. None where there is none, or where it is forged, damaged, too old, or from
/// the future.
pub fn verify_token(key: &Key, user: &str, text: &str, unix_seconds: i64) -> Option<VerpToken> {
    let token = find(text)?;
    let (claim, seal) = token.split_at_checked(DAY + TAG + MESSAGE)?;
    // Compared in constant time: nobody learns from our answer how much of a guess was right.
    key.seal(user, claim)?.verify_truncated_left(seal).ok()?;
    let (made, rest) = claim.split_at_checked(DAY)?;
    let (tag, message) = rest.split_at_checked(TAG)?;
    let made = u16::from_be_bytes(made.try_into().ok()?);
    // The count of days begins anew after 179 years.
    let ahead = made.wrapping_sub(day(unix_seconds));
    let age = day(unix_seconds).wrapping_sub(made);
    (age <= VALID_DAYS || ahead <= AHEAD_DAYS).then_some(VerpToken {
        tag: tag.try_into().ok()?,
        message: message.try_into().ok()?,
    })
}

/// The bytes of what stands behind the label in a local part.
fn find(text: &str) -> Option<[u8; TOKEN]> {
    let local = Address::parse(text)?.local().to_ascii_lowercase();
    let at = local.rfind(LABEL)?;
    // Something sets it off; which character that is, the seal makes unimportant.
    let before = local.get(..at)?.chars().next_back()?;
    if before.is_alphanumeric() {
        return None;
    }
    // Only the one way to write these bytes is read: a token has no second spelling.
    let token = BASE32_NOPAD_NOCASE.decode(local.get(at + LABEL.len()..)?.as_bytes());
    token.ok()?.try_into().ok()
}

fn day(unix_seconds: i64) -> u16 {
    let days = unix_seconds.div_euclid(86_400).rem_euclid(1 << 16);
    u16::try_from(days).unwrap_or_default()
}

/// A few bytes that tell one destination from another; addresses are compared without case.
fn tag(destination: &str) -> [u8; TAG] {
    let hash = Sha256::digest(destination.to_lowercase().as_bytes());
    let mut tag = [0; TAG];
    for (to, from) in tag.iter_mut().zip(hash.iter()) {
        *to = *from;
    }
    tag
}

#[cfg(test)]
mod tests {
    use super::{Key, is_there, verify_token, verp_sender};
    use crate::message::address::Address;

    const NOW: i64 = 1_764_000_000;
    const DAY: i64 = 86_400;

    fn key() -> Key {
        Key::new([7; 32])
    }

    fn own(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|| unreachable!("{text}"))
    }

    fn made() -> String {
        verp_sender(&key(), "a", &own("a+lists@a.test"), "+-", "b@b.test", "0a1b2c3d", NOW).unwrap_or_default()
    }

    #[test]
    fn a_token_names_its_destination_for_four_weeks() {
        let address = made();
        assert!(
            address.starts_with("a+fwd=") && address.ends_with("@a.test"),
            "{address}"
        );
        assert!(is_there(&address) && address.len() <= 64, "{address}");
        let same_for = [
            address.clone(),
            format!("<{address}>"),
            address.to_uppercase(),
            address.replace('+', "-"),
        ];
        for text in same_for {
            let claim = verify_token(&key(), "a", &text, NOW);
            assert!(
                claim.is_some_and(|c| c.is_for("b@b.test") && c.is_for("B@B.Test")),
                "{text}"
            );
            assert!(claim.is_some_and(|c| !c.is_for("c@b.test")), "{text}");
            assert_eq!(claim.map(|c| c.message()).as_deref(), Some("0a1b2c3d"), "{text}");
        }
        for (after, want) in [
            (0, true),
            (28, true),
            (29, false),
            (-1, true),
            (-2, false),
            (40_000, false),
        ] {
            assert_eq!(
                verify_token(&key(), "a", &address, NOW + after * DAY).is_some(),
                want,
                "{after} days later"
            );
        }
    }

    #[test]
    fn nothing_else_is_a_token() {
        let address = made();
        assert!(
            verify_token(&Key::new([8; 32]), "a", &address, NOW).is_none(),
            "another key"
        );
        assert!(verify_token(&key(), "other", &address, NOW).is_none(), "another user");
        // Each letter counts.
        let (start, end) = ("a+fwd=".len(), address.len() - "@a.test".len());
        for at in start..end {
            for letter in ["a", "b", "7"] {
                let mut forged = address.clone();
                forged.replace_range(at..=at, letter);
                assert!(
                    forged == address || verify_token(&key(), "a", &forged, NOW).is_none(),
                    "{forged}"
                );
            }
        }
        let long = address.replacen('@', "a@", 1);
        let short = address.replacen(&address[end - 1..=end], "@", 1);
        for text in [
            "",
            "a@a.test",
            "a+fwd=@a.test",
            "a+fwd=xyz@a.test",
            &long,
            &short,
            &address.replace("+fwd", "fwd"),
            &address.replace("fwd=", "fwd"),
        ] {
            assert!(verify_token(&key(), "a", text, NOW).is_none(), "{text}");
        }
    }

    #[test]
    fn where_there_is_no_room_there_is_no_token() {
        let name = "a".repeat(30);
        assert!(verp_sender(&key(), "a", &own(&format!("{name}@a.test")), "+", "b@b.test", "0", NOW).is_some());
        assert!(verp_sender(&key(), "a", &own(&format!("{name}a@a.test")), "+", "b@b.test", "0", NOW).is_none());
        assert!(verp_sender(&key(), "a", &own("a@a.test"), "", "b@b.test", "0", NOW).is_none());
        assert!(verp_sender(&key(), "a", &own("a"), "+", "b@b.test", "0", NOW).is_none());
    }
}
