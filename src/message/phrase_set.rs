//! Finds hundreds of phrases in one walk over a text. The table is made by the compiler: to make searchers at run time
//! took longer than all the rest of a report's judgement. To search for one phrase after the other took as long again.
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

fn hash_of(bytes: &[u8]) -> usize {
    match bytes {
        &[first, second, third] => hash(first, second, third),
        _ => 0,
    }
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
    pub fn find_all<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (usize, usize)> + 't {
        let text = text.as_bytes();
        let (mut at, mut next_at, mut list) = (0, 0, 0_u16);
        std::iter::from_fn(move || {
            loop {
                while let Some(number) = list.checked_sub(1).map(usize::from) {
                    list = self.next.get(number).copied().unwrap_or_default();
                    if text.get(at..)?.starts_with(self.phrase(number).as_bytes()) {
                        return Some((at, number));
                    }
                }
                // Few places are marked, and all others are passed over here.
                let rest = text.get(next_at..)?.windows(3);
                at = next_at + rest.map(hash_of).position(|hash| self.is_marked(hash))?;
                next_at = at + 1;
                list = self.list_of(hash_of(text.get(at..at + 3)?));
            }
        })
    }

    /// The phrase of a number.
    pub fn phrase(&self, number: usize) -> &'static str {
        self.texts.get(number).copied().unwrap_or_default()
    }

    /// The number of the first phrase with which `text` begins.
    pub fn begin_of(&self, text: &str) -> Option<usize> {
        let hash = hash_of(text.as_bytes().get(..3)?);
        let mut list = if self.is_marked(hash) { self.list_of(hash) } else { 0 };
        while let Some(number) = list.checked_sub(1).map(usize::from) {
            if text.starts_with(self.phrase(number)) {
                return Some(number);
            }
            list = self.next.get(number).copied().unwrap_or_default();
        }
        None
    }

    fn is_marked(&self, hash: usize) -> bool {
        self.marks
            .get(hash / 64)
            .is_some_and(|marks| marks >> (hash % 64) & 1 == 1)
    }

    fn list_of(&self, hash: usize) -> u16 {
        self.lists.get(hash % LISTS).copied().unwrap_or_default()
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
