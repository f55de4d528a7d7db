//! Does a message hold the text of an earlier one, and more? Whoever writes that had the earlier one, from whatever host and domain it
//! comes. People who quote were named in some of what they quote. Templates, alarms and petitions begin with the same words; a quote stands
//! below words of its own, or repeats them.

use super::{AT_ONCE, SIMILAR, SOON, STRONG, Weighing};
use crate::deliver::forward::rules::past::{Past, Was};

/// A text of fewer pieces may stand in another one by chance: five words have three.
const FEW_PIECES: usize = 3;

/// How much a slow answer of a writer to its own answer counts: agents add to a ticket that shows all before.
const SLOW: u32 = 1;

/// How much the first one counts that comes at once.
const FIRST: u32 = 5;

/// What a writer has to do with an earlier message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// None: somebody else wrote and got it.
    None,
    /// The writer wrote or got it, as people do.
    Takes,
    /// The writer wrote it, and answers it at once, or it seemed to be caused itself.
    Answers,
}

impl Weighing<'_> {
    pub(super) fn part_in(&self, past: &Past) -> Part {
        let is_writer = past.sketch.from == self.sketch.from && self.sketch.from != 0;
        let answers = self.age(past) <= AT_ONCE || past.sketch.weight >= STRONG;
        match (is_writer && answers, self.takes_part(past)) {
            (true, _) => Part::Answers,
            (false, true) => Part::Takes,
            (false, false) => Part::None,
        }
    }

    /// How much it says that this message answers, quotes or attaches that one.
    pub(super) fn step_behind(&self, past: &Past) -> Option<(u32, u32)> {
        let weight = past.sketch.weight;
        let step = match self.part_in(past) {
            Part::None => STRONG,
            Part::Answers if weight == 0 => FIRST,
            Part::Answers if self.age(past) <= if weight < STRONG { AT_ONCE } else { SOON } => STRONG,
            Part::Answers => SLOW,
            Part::Takes => return None,
        };
        Some((weight, step))
    }

    /// The heaviest of what it quotes, where its writer takes part in none of that.
    pub(super) fn by_quote(&self, is_meant: impl Fn(&Past) -> bool) -> Option<(u32, u32)> {
        if self.sketch.is_list {
            return None;
        }
        let is_recent = |past: &&Past| self.age(past) <= SIMILAR && is_meant(past);
        let quoted = self.past.iter().filter(is_recent).filter(|past| self.quotes(past));
        let quoted: Vec<&Past> = quoted.collect();
        let answers_itself = quoted.iter().any(|past| self.part_in(past) == Part::Answers);
        // What answers itself again and again holds its older words, too.
        let is_older = |past: &Past| answers_itself && past.sketch.from == self.sketch.from;
        let takes = |past: &&Past| self.part_in(past) == Part::Takes && !is_older(past);
        if quoted.iter().any(takes) {
            return None;
        }
        let sent = quoted.into_iter().filter(|past| past.was == Was::Sent);
        sent.filter_map(|past| self.step_behind(past)).max()
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
