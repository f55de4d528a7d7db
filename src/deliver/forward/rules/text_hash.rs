//! What is remembered of a text instead of it: a number for a word or an address, and one for each three words in a
//! row. By these a text is known again wherever some of it is found. Two texts may share a number by chance.

use std::collections::BTreeSet;

use crate::message::text::normalize_words;

/// As many words of a text are looked at.
const TEXT_WORDS: usize = 4000;

/// As many words are one piece.
const PIECE_WORDS: usize = 3;

/// As many pieces of the beginning tell a text that is quoted in part.
const HEAD_PIECES: usize = 2;

/// A text with so many times fewer pieces than another one of its message is none that people read.
const STUB: usize = 3;

/// The texts of one message, as pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextPieces {
    /// Those of every text that is looked at.
    pub all: BTreeSet<u32>,
    /// Those that stand in one text more than once.
    pub repeated: BTreeSet<u32>,
    /// Those of the text that people read.
    pub main: BTreeSet<u32>,
    /// Those that the same text begins with: three words, and the next three.
    pub head: Vec<u32>,
}

/// The pieces of the texts of one message; of a short text, all of it is one piece. Of several texts, people read the
/// first, unless it is so short that it only says to look at another one.
pub fn hash_pieces(texts: &[String]) -> TextPieces {
    let mut texts: Vec<Vec<u32>> = texts.iter().map(|text| hash_whole_text(text)).collect();
    let repeated = texts.iter().flat_map(|text| find_repeated(text)).collect();
    let most = texts.iter().map(Vec::len).max().unwrap_or(0);
    let main = texts.iter().position(|text| text.len() * STUB >= most);
    let main = main.map(|at| texts.swap_remove(at)).unwrap_or_default();
    let head = main.iter().copied().step_by(PIECE_WORDS).take(HEAD_PIECES).collect();
    let main: BTreeSet<u32> = main.into_iter().collect();
    let all = texts.into_iter().flatten().chain(main.iter().copied()).collect();
    TextPieces {
        all,
        repeated,
        main,
        head,
    }
}

fn find_repeated(text: &[u32]) -> Vec<u32> {
    let mut sorted = text.to_vec();
    sorted.sort_unstable();
    let pairs = sorted.windows(2);
    pairs
        .filter_map(|pair| pair.first().filter(|first| pair.last() == Some(first)).copied())
        .collect()
}

fn hash_whole_text(text: &str) -> Vec<u32> {
    let text = normalize_words(text);
    match text.is_ascii() {
        true => hash_words(text.as_bytes().split(|b| !b.is_ascii_alphanumeric())),
        false => hash_words(text.split(|c: char| !c.is_alphanumeric()).map(str::as_bytes)),
    }
}

/// The hashes of each three words in a row, with blanks between; of fewer words, that of all.
fn hash_words<'a>(words: impl Iterator<Item = &'a [u8]>) -> Vec<u32> {
    let mut found = Vec::new();
    // Of what begins with this word, with the one before, and with the one before that.
    let mut begun = [HASH_BASIS; PIECE_WORDS];
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
    found
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
            let wanted: BTreeSet<u32> = pieces.iter().map(|piece| hash_text(piece)).collect();
            assert_eq!(hash_pieces(&[body.to_owned()]).main, wanted, "{body:?}");
        }
        // As files of earlier versions have it (FNV-1a, test vectors of draft-eastlake-fnv).
        assert_eq!((hash_text(""), hash_text("foobar")), (0x811c_9dc5, 0xbf9c_f968));
    }
    #[test]
    fn the_main_text_is_the_first_that_is_no_stub() {
        let text = "one two three four five six seven eight nine ten one two three".to_owned();
        for (texts, main) in [(["see the html", &text], &text), ([&text, "see the html"], &text)] {
            let found = hash_pieces(&texts.map(str::to_owned));
            assert_eq!(found.main, hash_pieces(std::slice::from_ref(main)).main);
            assert_eq!(found.all.len(), found.main.len() + 1);
            let pieces = |texts: &[&str]| texts.iter().map(|text| hash_text(text)).collect::<Vec<_>>();
            assert_eq!(found.head, pieces(&["one two three", "four five six"]));
            assert_eq!(found.repeated, pieces(&["one two three"]).into_iter().collect());
        }
    }
}
