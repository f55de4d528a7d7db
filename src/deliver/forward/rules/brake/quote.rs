//! Does a message hold the text of an earlier one, and more? Whoever writes that had the earlier one, from whatever host and domain it
//! comes. People who quote were named in some of what they quote. Templates, alarms and petitions begin with the same words; a quote stands
//! below words of its own, or repeats them.

use super::{SIMILAR, SOON, STRONG, Weighing};
use crate::deliver::forward::rules::past::{Past, Was};

/// A text of fewer pieces may stand in another one by chance: five words have three.
const FEW_PIECES: usize = 3;

/// How much a slow answer of a writer to its own answer counts: agents add to a ticket that shows all before.
const SLOW: u32 = 1;

/// What a writer has to do with an earlier message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// None: somebody else wrote and got it.
    None,
    /// The writer wrote or got it, as people do.
    Takes,
    /// The writer wrote it, and a forward seems to have caused it.
    Answers,
}

impl Weighing<'_> {
    pub(super) fn part_in(&self, past: &Past) -> Part {
        let is_writer = past.sketch.from == self.sketch.from && self.sketch.from != 0;
        match (is_writer && past.sketch.weight > 0, self.takes_part(past)) {
            (true, _) => Part::Answers,
            (false, true) => Part::Takes,
            (false, false) => Part::None,
        }
    }

    /// How much it says that this message answers, quotes or attaches that one.
    pub(super) fn step_behind(&self, past: &Past) -> Option<(u32, u32)> {
        let is_soon = self.age(past) <= SOON;
        let step = match self.part_in(past) {
            Part::None => STRONG,
            Part::Answers if is_soon => STRONG,
            Part::Answers if past.sketch.weight >= STRONG => SLOW,
            Part::Takes | Part::Answers => return None,
        };
        Some((past.sketch.weight, step))
    }

    /// The heaviest of what it quotes, where its writer takes part in none of that.
    pub(super) fn by_quote(&self) -> Option<(u32, u32)> {
        if self.sketch.is_list {
            return None;
        }
        let is_recent = |past: &&Past| self.age(past) <= SIMILAR;
        let mut heaviest = None;
        for past in self.past.iter().filter(is_recent).filter(|past| self.quotes(past)) {
            if self.part_in(past) == Part::Takes {
                return None;
            }
            if past.was == Was::Sent {
                heaviest = heaviest.max(self.step_behind(past));
            }
        }
        heaviest
    }

    fn age(&self, past: &Past) -> i64 {
        self.now.saturating_sub(past.at)
    }

    fn quotes(&self, past: &Past) -> bool {
        let has_own_words = self.arrival.sketch.head != past.sketch.head || self.repeats_beginning(past);
        match has_own_words {
            true => self.quotes_whole(past) || (self.age(past) <= SOON && self.quotes_beginning(past)),
            // A line below is what a gateway there adds.
            false => self.quotes_whole(past) && self.sketch.is_near,
        }
    }

    fn quotes_whole(&self, past: &Past) -> bool {
        let quoted = &past.sketch;
        let is_longer = quoted.pieces >= FEW_PIECES && self.arrival.pieces.len() > quoted.pieces;
        is_longer && quoted.text.iter().all(|piece| self.arrival.pieces.contains(piece))
    }

    fn quotes_beginning(&self, past: &Past) -> bool {
        let head = &past.sketch.head;
        head.len() > 1 && head.iter().all(|piece| self.arrival.pieces.contains(piece))
    }

    fn repeats_beginning(&self, past: &Past) -> bool {
        let mut head = past.sketch.head.iter();
        head.any(|piece| self.arrival.repeated.contains(piece))
    }
}
