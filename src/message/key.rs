//! Is this the same message as one before? A key for a message that stays the same on its way: its Message-ID *and*
//! what no mail system touches of its header and text. The Message-ID alone is not enough: devices write a constant one
//! into each scan, and a list sends another text under the writer's. Whoever knows an id could keep a message away with
//! it.
//!
//! A key is no secret and no seal: whoever sends the very same text again is taken for the same message, and nothing
//! else.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::message::Message;

/// How much of a body goes into a name, in bytes. A message that has more of it in common with another is the other.
const BODY_BYTES: usize = 256 << 10;

/// How much of a digest is written down, in bytes: 2^48 messages have to be tried for two of one name.
const NAME_BYTES: usize = 12;

/// The fields that writers set and mail systems leave alone.
const STABLE: [&str; 5] = ["From", "Date", "Subject", "To", "Cc"];

/// What stands between the two halves of a written name.
const BETWEEN: char = '+';

/// What a message is remembered by: `id:...+text:...`, or `text:...` alone for one without a Message-ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageKey {
    /// Made of the Message-ID; `None` where that is missing or names nothing.
    pub id: Option<String>,
    /// Made of stable header fields and the body.
    pub text: String,
}

impl MessageKey {
    /// The name of a message; `content_bytes` is the length of all of it, without a separator line.
    pub fn of(message: &Message<'_>, content_bytes: u64) -> Self {
        Self {
            id: message.first("Message-ID").and_then(|id| of_id(&id)),
            text: by_content(message, content_bytes),
        }
    }

    /// Tells whether a written key is this one: the same text, and the same Message-ID. Where one of them has no
    /// Message-ID the text tells: some mail systems add one on the way, and others take it away. The text holds `Date`,
    /// so two alarms are two messages.
    pub fn is(&self, written: &str) -> bool {
        let (id, text) = split_halves(written);
        let same_id = match (&self.id, id) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => true,
        };
        same_id && self.text == text
    }
}

impl std::fmt::Display for MessageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(id) = &self.id {
            write!(f, "{id}{BETWEEN}")?;
        }
        f.write_str(&self.text)
    }
}

/// The two halves of a written key: what was made of the Message-ID, where there was one, and what was made of the
/// text.
pub fn split_halves(written: &str) -> (Option<&str>, &str) {
    match written.split_once(BETWEEN) {
        Some((id, text)) => (Some(id), text),
        None => (None, written),
    }
}

/// A number for `what` of this `kind`, for tables.
pub fn short_hash(kind: &str, what: &str) -> u64 {
    let hash = Sha256::new()
        .chain_update(kind)
        .chain_update(":")
        .chain_update(what)
        .finalize();
    hash.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// The first half of the key of the message with this Message-ID. `<>`, `<@host>` and the like come from broken
/// programs, each time the same, and name nothing.
pub fn of_id(id: &str) -> Option<String> {
    let id: String = id.chars().filter(|c| !c.is_whitespace()).collect();
    let bare = id.trim_start_matches('<').trim_end_matches('>');
    if bare.split('@').any(str::is_empty) {
        return None;
    }
    Some(written("id:", Sha256::new_with_prefix(bare)))
}

fn by_content(message: &Message<'_>, content_bytes: u64) -> String {
    let mut hash = Sha256::new();
    for name in STABLE {
        for value in message.values(name) {
            // Folded anew on the way, it is still the same.
            let words: String = value.chars().filter(|c| !c.is_whitespace()).collect();
            hash.update(name.as_bytes());
            hash.update(b":");
            hash.update(words.as_bytes());
            hash.update(b"\n");
        }
    }
    let body = message.body();
    if body.len() > BODY_BYTES {
        // The rest is known by its length.
        let above = message.content().len() - body.len();
        hash.update(content_bytes.saturating_sub(above as u64).to_be_bytes());
    }
    // Exim and procmail add an empty line at the end; line ends change with the transport.
    let body = body.get(..BODY_BYTES).unwrap_or(body.trim_ascii_end());
    for line in body.split(|b| *b == b'\r') {
        hash.update(line);
    }
    written("text:", hash)
}

fn written(kind: &str, hash: Sha256) -> String {
    let digest = hash.finalize();
    kind.to_owned() + &HEXLOWER.encode(digest.get(..NAME_BYTES).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{MessageKey, by_content, of_id};
    use crate::message::Message;

    fn of(text: &str) -> MessageKey {
        MessageKey::of(&Message::new(text.as_bytes()), text.len() as u64)
    }

    #[test]
    fn a_name_stays_on_the_way_and_differs_between_messages() {
        let base = "Message-ID: <1@s.test>\nFrom: s@s.test\nSubject: a\n\nx\n";
        let plain = "From: s@s.test\nDate: today\nSubject: a b\n\nx\ny\n";
        let same = [
            (
                base,
                "Received: x\nX-Loop: a@a.test\nmessage-id:\n <1@s.test>\nSubject:  a\nFrom: s@s.test\n\nx\n\n",
            ),
            (base, "Message-ID: 1@s.test\nFrom: s@s.test\nSubject: a\n\nx\n"),
            (
                plain,
                "Return-Path: <s@s.test>\nReceived: y\nFrom: s@s.test\nDate: today\nSubject: a\n b\nStatus: RO\n\nx\ny\n\n",
            ),
            (plain, "From: s@s.test\r\nDate: today\r\nSubject: a b\r\n\r\nx\r\ny\r\n"),
            ("Message-ID: <>\n\nx", "Message-ID: <>\n\nx\n"),
            // Added on the way, or taken away.
            (base, "From: s@s.test\nSubject: a\n\nx\n"),
        ];
        for (one, other) in same {
            assert!(of(one).is(&of(other).to_string()), "{one:?} {other:?}");
            assert!(of(other).is(&of(one).to_string()), "{other:?} {one:?}");
        }
        let different = [
            (base, "Message-ID: <2@s.test>\nFrom: s@s.test\nSubject: a\n\nx\n"),
            // A list's copy, a device's second scan, and whoever knows an id.
            (base, "Message-ID: <1@s.test>\nFrom: s@s.test\nSubject: [l] a\n\nx\n"),
            (
                base,
                "Message-ID: <1@s.test>\nFrom: s@s.test\nSubject: a\n\nx\n__\nlist\n",
            ),
            (
                base,
                "Message-ID: <1@s.test>\nFrom: s@s.test\nDate: later\nSubject: a\n\nx\n",
            ),
            (base, "Message-ID: <1@s.test>\n\n"),
            (base, "From: s@s.test\nSubject: a\n\ny\n"),
            (plain, "From: s@s.test\nDate: today\nSubject: a b\n\nx\nz\n"),
            (plain, "From: s@s.test\nDate: tomorrow\nSubject: a b\n\nx\ny\n"),
            ("Message-ID: <>\n\nx", "Message-ID: <>\n\ny"),
            ("From: a\n\n", "To: a\n\n"),
        ];
        for (one, other) in different {
            assert!(!of(one).is(&of(other).to_string()), "{one:?} {other:?}");
        }
        assert_eq!(of_id("<1@s.test>"), of(base).id);
        for broken in ["", "<>", " ", "<@s.test>", "<1@>"] {
            assert_eq!(of_id(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_large_body_is_known_by_its_beginning_and_its_length() {
        let large = format!("Subject: a\n\n{}", "x\n".repeat(super::BODY_BYTES));
        let message = Message::new(large.as_bytes());
        let bytes = large.len() as u64;
        assert_eq!(by_content(&message, bytes), by_content(&message, bytes));
        assert_ne!(by_content(&message, bytes), by_content(&message, bytes + 1));
        // Fields that were added on the way change neither.
        let later = format!("Received: x\n{large}");
        assert_eq!(
            by_content(&message, bytes),
            by_content(&Message::new(later.as_bytes()), later.len() as u64)
        );
    }
}
