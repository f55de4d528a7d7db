//! The words of a reply in one plain form, and where each stands. Single words of many languages are looked for, and
//! pairs of them, not whole phrases: every site writes its own. `meaning` says what they mean.
//!
//! Names say nothing by what they are called: addresses, host names and URLs are kept apart from the words.

use crate::report::letters::{has_split_umlaut, is_accent, is_mark, without_accent};
use crate::report::living_words::UNITS;
use crate::report::topics::NEUTRAL;

/// As much of a reply as is read, in bytes. What a far side has to say stands at its beginning.
const REPLY_BYTES: usize = 2 * 1024;

/// Two words belong together where no more stands between them than "has been", in bytes.
const NEAR: usize = 20;

/// The words of a reply, in one plain form.
#[derive(Clone, Debug, Default)]
pub struct Wording {
    /// Lower case, without accents, one blank around each word.
    pub(super) plain: String,
    /// Addresses, host names and URLs, in lower case.
    pub(super) names: String,
    /// Where words begin in `plain`, by their first two bytes, in order: hundreds of words are looked for in one reply.
    starts: Vec<([u8; 2], usize)>,
    /// Which pairs of bytes these are, a bit for several: most words are not there, and need no search.
    pairs: [u64; PAIRS],
}

/// So many times 64 bits tell pairs of bytes apart.
const PAIRS: usize = 16;

/// Where the bit of a pair is.
fn bit_of([first, second]: [u8; 2]) -> (usize, u64) {
    let hash = usize::from(first) * 37 + usize::from(second);
    (hash / 64 % PAIRS, 1 << (hash % 64))
}

impl Wording {
    /// Reads `reply`.
    pub fn of(reply: &str) -> Self {
        let mut end = reply.len().min(REPLY_BYTES);
        while !reply.is_char_boundary(end) {
            end -= 1;
        }
        let mut wording = Self {
            plain: " ".to_owned(),
            names: String::new(),
            starts: Vec::new(),
            pairs: [0; PAIRS],
        };
        for word in reply.get(..end).unwrap_or_default().split_whitespace() {
            if word.contains("://") || !word.contains('@') {
                wording.push(word);
            } else {
                // `(b@b.test:blocked)` is an address and a word.
                word.split(|c: char| "()<>[]:;,\"".contains(c))
                    .for_each(|piece| wording.push(piece));
            }
        }
        wording.push_without_umlauts();
        for neutral in NEUTRAL {
            if wording.plain.contains(neutral) {
                wording.plain = wording.plain.replace(neutral, " ");
            }
        }
        wording.index();
        wording
    }

    /// Adds the text once more, far behind itself, as it is where `ä`, `ö` and `ü` are written with two letters:
    /// `ungueltig` is `ungultig`.
    fn push_without_umlauts(&mut self) {
        if !has_split_umlaut(&self.plain) {
            return;
        }
        let folded = self.plain.replace("ae", "a").replace("oe", "o").replace("ue", "u");
        self.plain.extend(core::iter::repeat_n(' ', 2 * NEAR));
        self.plain.push_str(&folded);
    }

    /// Notes where words begin: behind what is no letter and no digit, or belongs to a script without blanks.
    fn index(&mut self) {
        let mut before = None;
        for (at, c) in self.plain.char_indices() {
            if !before.is_some_and(|b: char| b.is_alphanumeric() && b < '\u{0590}')
                && let Some(&[first, second]) = self.plain.as_bytes().get(at..at + 2)
            {
                self.starts.push(([first, second], at));
                let (place, bit) = bit_of([first, second]);
                if let Some(pairs) = self.pairs.get_mut(place) {
                    *pairs |= bit;
                }
            }
            before = Some(c);
        }
        self.starts.sort_unstable();
    }

    /// Adds a name as it is. `RecipientNotFound;` becomes `recipient not found`, `doesn't` `does not`.
    fn push(&mut self, word: &str) {
        if is_name(word) {
            self.names.extend(word.chars().flat_map(char::to_lowercase));
            self.names.push(' ');
            return;
        }
        let mut before = ' ';
        let mut chars = word.chars().peekable();
        while let Some(c) = chars.next() {
            if c.is_alphanumeric() {
                let starts = before.is_lowercase() && c.is_uppercase();
                if starts || before.is_ascii_digit() && is_unit(c, chars.clone()) {
                    self.plain.push(' ');
                }
                if c.is_ascii() {
                    self.plain.push(c.to_ascii_lowercase());
                } else {
                    self.plain
                        .extend(c.to_lowercase().filter(|c| !is_accent(*c)).map(without_accent));
                }
            } else {
                let is_apostrophe = matches!(c, '\'' | '\u{2019}' | '`');
                if is_apostrophe && self.plain.ends_with('n') && matches!(chars.peek(), Some('t' | 'T')) {
                    chars.next();
                    self.plain.pop();
                    self.plain.push_str(" not ");
                } else if c == '%'
                    && before.is_ascii_digit()
                    && !chars.peek().is_some_and(|next| next.is_alphanumeric())
                {
                    // `102%` is about a limit; `user%host` is an address of old.
                    self.plain.push_str(" percent ");
                } else if is_mark(c) && !self.plain.ends_with(' ') {
                    self.plain.push(' ');
                }
            }
            before = c;
        }
        if !self.plain.ends_with(' ') {
            self.plain.push(' ');
        }
        // No pair of words goes on behind the end of a sentence.
        if word.len() > 1 && word.ends_with(['.', '!', '?', '。']) {
            self.plain.extend(core::iter::repeat_n(' ', 2 * NEAR));
        }
    }

    /// Tells whether a word begins at byte `at`.
    pub fn is_start(&self, at: usize) -> bool {
        let pair = self.plain.as_bytes().get(at..).and_then(<[u8]>::first_chunk::<2>);
        pair.is_some_and(|pair| self.starts.binary_search(&(*pair, at)).is_ok())
    }

    /// Tells whether `word` counts wherever it stands: it is of a script without blanks.
    pub fn is_anywhere(&self, word: &str) -> bool {
        word.chars().next().is_some_and(|c| c >= '\u{0590}') && !self.plain.is_ascii()
    }

    /// Tells whether it names this address.
    pub fn names(&self, address: &str) -> bool {
        let address = address.to_lowercase();
        !address.is_empty()
            && self.names.match_indices(&address).any(|(at, _)| {
                let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
                let before = self.names.get(..at).and_then(|head| head.chars().next_back());
                let after = self.names.get(at + address.len()..).unwrap_or_default();
                // A full stop may end the sentence.
                let after = after.strip_prefix('.').unwrap_or(after).chars().next();
                !before.is_some_and(is_part) && !after.is_some_and(|c| c.is_alphanumeric() || c == '-')
            })
    }

    /// Tells whether one of `words` stands anywhere.
    pub fn has(&self, words: &[&str]) -> bool {
        words
            .iter()
            .any(|word| self.may_have(word) && self.find(word).next().is_some())
    }

    /// Tells whether a word may begin as `word` does. Of scripts without blanks any may.
    fn may_have(&self, word: &str) -> bool {
        let Some(pair) = word.as_bytes().first_chunk::<2>() else {
            return true;
        };
        let (place, bit) = bit_of(*pair);
        // Hebrew, the first of those scripts, is written with such bytes.
        pair[0] >= 0xd6 || self.pairs.get(place).is_some_and(|pairs| pairs & bit != 0)
    }

    /// Tells whether one of `second` stands close behind one of `first`.
    pub fn has_near(&self, first: &[&str], second: &[&str]) -> bool {
        self.has_within(first, second, NEAR)
    }

    /// Tells whether one of `second` stands behind one of `first`, with at most `gap` bytes between them.
    pub fn has_within(&self, first: &[&str], second: &[&str], gap: usize) -> bool {
        let near = |from: usize, at: usize| at >= from && at - from <= gap;
        first.iter().filter(|one| self.may_have(one)).any(|one| {
            self.find(one).any(|start| {
                let end = start + one.len();
                second.iter().any(|other| self.find(other).any(|at| near(end, at)))
            })
        })
    }

    /// Tells whether one of `second` stands behind one of `first`, next to it or with one word between them.
    pub fn has_before(&self, first: &[&str], second: &[&str]) -> bool {
        let begins = |rest: &str| second.iter().any(|word| rest.starts_with(word));
        first.iter().filter(|one| self.may_have(one)).any(|one| {
            self.find(one).any(|at| {
                let rest = self.plain.get(at + one.len()..).unwrap_or_default();
                begins(rest) || rest.split_once(' ').is_some_and(|(_, rest)| begins(rest))
            })
        })
    }

    /// Where `word` stands, at the beginning of a word: a blank at its end ends that, too. Scripts without blanks have
    /// it anywhere.
    fn find<'w>(&'w self, word: &'w str) -> impl Iterator<Item = usize> + 'w {
        let anywhere = self.is_anywhere(word);
        let everywhere = anywhere.then(|| self.plain.match_indices(word).map(|(at, _)| at));
        let key = word.as_bytes().first_chunk::<2>().copied().filter(|_| !anywhere);
        let from = self.starts.partition_point(|(start, _)| Some(*start) < key);
        let alike = self
            .starts
            .iter()
            .skip(from)
            .take_while(move |(start, _)| Some(*start) == key);
        let at_starts = alike.map(|(_, at)| *at);
        let at_starts = at_starts.filter(move |at| {
            self.plain
                .as_bytes()
                .get(*at..)
                .is_some_and(|rest| rest.starts_with(word.as_bytes()))
        });
        everywhere.into_iter().flatten().chain(at_starts)
    }
}

/// Tells whether `first` and the letters behind it are a unit of size: `15GB` is two words.
fn is_unit(first: char, rest: impl Iterator<Item = char>) -> bool {
    let letters = core::iter::once(first).chain(rest).take_while(|c| c.is_alphanumeric());
    let unit: String = letters.flat_map(char::to_lowercase).take(4).collect();
    UNITS.iter().any(|known| known.trim_end() == unit)
}

/// Tells whether `word` is an address, a URL, a host name, an IP address or a status code.
/// `RESOLVER.ADR.RecipientNotFound` and the seam of two sentences are words.
fn is_name(word: &str) -> bool {
    if word.contains('@') || word.contains("://") {
        return true;
    }
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let mut labels = bare.split('.');
    let first = labels.next().unwrap_or_default();
    let rest: Vec<&str> = labels.collect();
    !rest.is_empty()
        && !first.is_empty()
        && bare.is_ascii()
        && rest
            .iter()
            .all(|label| !label.is_empty() && !label.starts_with(|c: char| c.is_ascii_uppercase()))
}
