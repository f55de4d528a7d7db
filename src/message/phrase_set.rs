//! Finds hundreds of phrases in one walk over a text. The table is made by the compiler: to make searchers at run time took longer than
//! all the rest of a report's judgement, and to search for one phrase after the other as long again.
//!
//! A phrase is looked at only where its first three bytes stand. The texts are in lower case already.

/// Bits that tell first bytes apart, as words of 64.
const MARKS: usize = 256;

/// Lists of phrases that may begin alike.
const LISTS: usize = 512;

/// Phrases, each of three bytes at least, ready to be looked for.
#[derive(Debug)]
pub struct PhraseSet<const N: usize> {
    texts: [&'static str; N],
    /// A bit for the first bytes of each phrase.
    marks: [u64; MARKS],
    /// The first phrase of each list, counted from 1.
    lists: [u16; LISTS],
    /// The phrase behind each in its list, counted from 1, in the order of the table.
    next: [u16; N],
}

/// A number below `MARKS * 64`.
const fn hash(first: u8, second: u8, third: u8) -> usize {
    let bytes = u32::from_le_bytes([first, second, third, 0]);
    (bytes.wrapping_mul(0x9e37_79b1) >> 18) as usize
}

impl<const N: usize> PhraseSet<N> {
    /// Makes the table of these phrases. A phrase of less than three bytes does not compile.
    #[allow(
        clippy::indexing_slicing,
        reason = "the compiler runs it, and stops at an index that is too large"
    )]
    pub const fn new(phrases: &[&'static str]) -> Self {
        let mut texts = [""; N];
        let (mut marks, mut lists, mut next) = ([0; MARKS], [0; LISTS], [0; N]);
        // From the end, so that each list is in the order of the table.
        let mut at = N;
        while at > 0 {
            at -= 1;
            texts[at] = phrases[at];
            let bytes = texts[at].as_bytes();
            let hash = hash(bytes[0], bytes[1], bytes[2]);
            marks[hash / 64] |= 1 << (hash % 64);
            let list = hash % LISTS;
            next[at] = lists[list];
            lists[list] = at as u16 + 1;
        }
        Self {
            texts,
            marks,
            lists,
            next,
        }
    }

    /// Where each phrase begins for the first time in `text`, in the order of the table.
    pub fn find(&self, text: &str) -> [Option<usize>; N] {
        let mut found = [None; N];
        for (at, number) in self.find_all(text) {
            if let Some(found @ None) = found.get_mut(number) {
                *found = Some(at);
            }
        }
        found
    }

    /// Tells whether any of them is in `text`.
    pub fn is_in(&self, text: &str) -> bool {
        self.find_all(text).next().is_some()
    }

    /// Each place where a phrase begins, in the order of the text, with the number of the phrase.
    pub fn find_all(&self, text: &str) -> impl Iterator<Item = (usize, usize)> {
        let text = text.as_bytes();
        text.windows(3).enumerate().flat_map(move |(at, bytes)| {
            let rest = text.get(at..).unwrap_or_default();
            let here = self.beginning_with(bytes);
            here.filter(|(_, phrase)| rest.starts_with(phrase.as_bytes()))
                .map(move |(number, _)| (at, number))
        })
    }

    /// The phrase of a number.
    pub fn phrase(&self, number: usize) -> &'static str {
        self.texts.get(number).copied().unwrap_or_default()
    }

    /// The number of the first phrase with which `text` begins.
    pub fn begin_of(&self, text: &str) -> Option<usize> {
        let mut alike = self.beginning_with(text.as_bytes().get(..3)?);
        alike
            .find(|(_, phrase)| text.starts_with(phrase))
            .map(|(number, _)| number)
    }

    /// The phrases that may begin with these three bytes, in the order of the table, with their numbers.
    fn beginning_with(&self, bytes: &[u8]) -> impl Iterator<Item = (usize, &'static str)> {
        let hash = match bytes {
            &[first, second, third] => hash(first, second, third),
            _ => 0,
        };
        let is_marked = self
            .marks
            .get(hash / 64)
            .is_some_and(|marks| marks >> (hash % 64) & 1 == 1);
        let list = self.lists.get(hash % LISTS).filter(|_| is_marked);
        let mut rest = list.copied().unwrap_or_default();
        std::iter::from_fn(move || {
            let number = usize::from(rest.checked_sub(1)?);
            rest = self.next.get(number).copied().unwrap_or_default();
            self.texts.get(number).map(|text| (number, *text))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::PhraseSet;

    const TEXTS: [&str; 9] = [
        "user unknown",
        "unknown",
        "550",
        "own",
        "unknown user",
        "邮件",
        "knowing",
        "nowhere",
        "user",
    ];

    proptest::proptest! {
        /// Alike with what each search by itself finds.
        #[test]
        fn one_walk_finds_what_single_searches_find(
            words in proptest::collection::vec(
                proptest::sample::select(vec!["user", "unknown", " ", "550", "own", "know", "ing", "邮件", "邮", "n", "here"]),
                0..30,
            ),
        ) {
            static SET: PhraseSet<9> = PhraseSet::new(&TEXTS);
            let text = words.concat();
            let want = TEXTS.map(|phrase| text.find(phrase));
            proptest::prop_assert_eq!(SET.find(&text), want);
            proptest::prop_assert_eq!(SET.is_in(&text), want.iter().any(Option::is_some));
            proptest::prop_assert_eq!(SET.begin_of(&text), TEXTS.iter().position(|phrase| text.starts_with(phrase)));
        }
    }
}
