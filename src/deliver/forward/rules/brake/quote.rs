//! Does a message hold the whole text of an earlier one, and more? Whoever does that had the earlier one, from whatever host and domain it
//! comes. People who quote were named in some of what they quote; templates, alarms and newsletters repeat a text, but not the whole.

use super::{SIMILAR, STRONG, Weighing};
use crate::deliver::forward::rules::past::{Past, Was};

/// A text of fewer pieces may stand in another one by chance: five words have three.
const FEW_PIECES: usize = 3;

impl Weighing<'_> {
    /// The heaviest of what it quotes, where its writer takes part in none of that.
    pub(super) fn by_quote(&self) -> Option<(u32, u32)> {
        if self.sketch.is_list {
            return None;
        }
        let is_recent = |past: &&Past| self.now.saturating_sub(past.at) <= SIMILAR;
        let mut heaviest = None;
        for past in self
            .past
            .iter()
            .filter(is_recent)
            .filter(|past| self.quotes_whole(past))
        {
            if self.takes_part(past) {
                return None;
            }
            if past.was == Was::Sent {
                heaviest = heaviest.max(Some((past.sketch.weight, STRONG)));
            }
        }
        heaviest
    }

    fn quotes_whole(&self, past: &Past) -> bool {
        let quoted = &past.sketch;
        let is_longer = quoted.pieces >= FEW_PIECES && self.sketch.pieces > quoted.pieces;
        is_longer && quoted.text.iter().all(|piece| self.arrival.pieces.contains(piece))
    }
}
