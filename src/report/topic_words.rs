//! The words of all topics in one table, so that one walk over a reply finds which topics it speaks of. Made by the
//! compiler.

use crate::message::phrase_set::PhraseSet;
use crate::report::topics::TOPICS;

/// The words of all topics in one table, in the same order.
pub static TOPIC_WORDS: PhraseSet<{ count_words() }> = PhraseSet::new(&all_words::<{ count_words() }>());

#[allow(
    clippy::indexing_slicing,
    reason = "the compiler runs it, and stops at an index that is too large"
)]
const fn count_words() -> usize {
    let (mut count, mut topic) = (0, 0);
    while topic < TOPICS.len() {
        count += TOPICS[topic].1.len();
        topic += 1;
    }
    count
}

#[allow(
    clippy::indexing_slicing,
    reason = "the compiler runs it, and stops at an index that is too large"
)]
const fn all_words<const N: usize>() -> [&'static str; N] {
    let mut all = [""; N];
    let (mut count, mut topic) = (0, 0);
    while topic < TOPICS.len() {
        let words = TOPICS[topic].1;
        let mut at = 0;
        while at < words.len() {
            all[count] = words[at];
            count += 1;
            at += 1;
        }
        topic += 1;
    }
    all
}
