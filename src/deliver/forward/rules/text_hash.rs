//! What is remembered of a text instead of it: a number for a word or an address, and one for each three words in a row, by which a text is
//! known again wherever some of it is found. Two texts may share a number by chance.

use std::collections::BTreeSet;

use crate::message::mime::{MimeParts, PartKind};
use crate::message::text::{normalize_words, part_text};

/// As many words of a text are looked at.
const TEXT_WORDS: usize = 4000;

/// Every piece of the text among the parts of a message; of a short text, all of it is one.
pub fn hash_pieces(parts: &MimeParts<'_>) -> BTreeSet<u32> {
    let text = parts.first(PartKind::Text).map(part_text).unwrap_or_default();
    let text = normalize_words(&text);
    match text.is_ascii() {
        true => hash_words(text.as_bytes().split(|b| !b.is_ascii_alphanumeric())),
        false => hash_words(text.split(|c: char| !c.is_alphanumeric()).map(str::as_bytes)),
    }
}

/// The hashes of each three words in a row, with blanks between; of fewer words, that of all.
fn hash_words<'a>(words: impl Iterator<Item = &'a [u8]>) -> BTreeSet<u32> {
    let mut found = Vec::new();
    // Of what begins with this word, with the one before, and with the one before that.
    let mut begun = [HASH_BASIS; 3];
    let mut count = 0;
    for word in words.filter(|word| !word.is_empty()).take(TEXT_WORDS) {
        let [last, one_before, _] = begun;
        begun = [HASH_BASIS, hash_byte(last, b' '), hash_byte(one_before, b' ')];
        for byte in word {
            begun = begun.map(|hash| hash_byte(hash, *byte));
        }
        count += 1;
        if count >= begun.len() {
            let [.., whole] = begun;
            found.push(whole);
        }
    }
    let [of_one, of_two, _] = begun;
    match count {
        1 => found.push(of_one),
        2 => found.push(of_two),
        _ => {}
    }
    found.into_iter().collect()
}

/// FNV-1a: the same number in every version of this program, since it is written down.
pub fn hash_text(text: &str) -> u32 {
    text.bytes().fold(HASH_BASIS, hash_byte)
}

const HASH_BASIS: u32 = 0x811c_9dc5;

fn hash_byte(hash: u32, byte: u8) -> u32 {
    (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}

#[cfg(test)]
mod tests {
    use super::{hash_pieces, hash_text};
    use crate::message::Message;
    use crate::message::mime::MimeParts;
    use std::collections::BTreeSet;

    #[test]
    fn a_piece_is_three_words_with_blanks_between() {
        for (body, pieces) in [
            ("", &[][..]),
            (" -- \n", &[]),
            ("One", &["one"]),
            ("one, TWO.", &["one two"]),
            ("one two\nthree", &["one two three"]),
            ("one two  three; four", &["one two three", "two three four"]),
            (
                "eins zwei dr\u{fc}ben vier",
                &["eins zwei dr\u{fc}ben", "zwei dr\u{fc}ben vier"],
            ),
        ] {
            let message = format!("Subject: x\nContent-Type: text/plain; charset=utf-8\n\n{body}");
            let wanted: BTreeSet<u32> = pieces.iter().map(|piece| hash_text(piece)).collect();
            let parts = MimeParts::of(&Message::new(message.as_bytes()));
            assert_eq!(hash_pieces(&parts), wanted, "{body:?}");
        }
        // As files of earlier versions have it (FNV-1a, test vectors of draft-eastlake-fnv).
        assert_eq!((hash_text(""), hash_text("foobar")), (0x811c_9dc5, 0xbf9c_f968));
    }
}
