//! How letters are made plain, so that words compare: accents and marks are left out, and an umlaut may be written with
//! two letters.

/// Tells whether `ae`, `oe` or `ue` may be an umlaut somewhere. It is none behind a vowel or `q` (`queue`, `request`),
/// nor at the end of a word (`true`), nor in `does`. Most English texts have no other.
pub fn has_split_umlaut(plain: &str) -> bool {
    let bytes = plain.as_bytes();
    memchr::memchr_iter(b'e', bytes).any(|at| {
        let letter = |back: usize| {
            at.checked_sub(back)
                .and_then(|at| bytes.get(at))
                .copied()
                .unwrap_or(b' ')
        };
        let next = bytes.get(at + 1).copied().unwrap_or(b' ');
        matches!(letter(1), b'a' | b'o' | b'u')
            && !matches!(letter(2), b'a' | b'e' | b'i' | b'o' | b'u' | b'q')
            && next != b' '
            && bytes.get(at.saturating_sub(2)..at + 3) != Some(b"does ")
    })
}

/// Punctuation parts words; the marks that some scripts put on or between letters do not.
pub fn is_mark(c: char) -> bool {
    c.is_ascii() || c.is_whitespace() || !matches!(u32::from(c), 0x300..=0x36f | 0x0e31..=0x0e4e | 0x064b..=0x065f)
}

/// Tells whether `c` is an accent of its own: `İ` in lower case is `i` and a dot.
pub fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// The letter below the accent, for Latin and Greek: half of all sites write without them.
pub fn without_accent(c: char) -> char {
    match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' | 'ĉ' => 'c',
        'ď' | 'đ' => 'd',
        'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => 'e',
        'ğ' | 'ģ' | 'ĝ' => 'g',
        'ì'..='ï' | 'ī' | 'į' | 'ı' => 'i',
        'ķ' => 'k',
        'ĺ' | 'ļ' | 'ľ' | 'ł' => 'l',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => 'o',
        'ŕ' | 'ř' => 'r',
        'ś' | 'ş' | 'š' | 'ș' | 'ß' | 'ŝ' => 's',
        'ţ' | 'ť' | 'ț' => 't',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' | 'ŭ' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        'æ' => 'a',
        'œ' => 'o',
        'ё' => 'е',
        'ά' => 'α',
        'έ' => 'ε',
        'ή' => 'η',
        'ί' => 'ι',
        'ό' => 'ο',
        'ύ' => 'υ',
        'ώ' => 'ω',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::has_split_umlaut;

    #[test]
    fn english_has_few_pairs_that_may_be_umlauts() {
        for (text, want) in [
            (" empfaenger ungueltig ", true),
            (" ueberfuellt ", true),
            (" the queue does not request a true value ", false),
            (" unique quest ", false),
            (" goes ", true),
            ("", false),
        ] {
            assert_eq!(has_split_umlaut(text), want, "{text}");
        }
    }
}
