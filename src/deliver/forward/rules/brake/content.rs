//! Does a message say again what an earlier one said? Its subject grows from turn to turn, or its text comes back from the destination's hosts.

use std::collections::BTreeSet;

use super::{ArrivalPattern, LATER, SOON, Weighing};
use crate::deliver::forward::rules::past::Past;
use crate::deliver::forward::rules::sketch::SUBJECT_WORDS;

impl Weighing<'_> {
    /// It says again what that message said.
    pub(super) fn by_content(&self, past: &Past) -> Option<(u32, u32)> {
        let (is_list, answers) = (self.sketch.is_list, self.sketch.answers);
        if answers && self.takes_part(past) {
            return None;
        }
        let around = if is_list { None } else { self.words_around_subject(past) };
        let step = around.or_else(|| match self.arrival_pattern(LATER) {
            ArrivalPattern::Free => None,
            // Whoever answers, and whoever writes to a list, repeats what others wrote.
            ArrivalPattern::Follows if self.repeats_text(past) => Some(10),
            ArrivalPattern::Unknown if self.repeats_text(past) && !is_list && !answers => Some(10),
            ArrivalPattern::Follows | ArrivalPattern::Unknown => self.repeats_subject(past),
        });
        step.map(|step| (past.sketch.weight, step))
    }

    /// Its subject holds the whole of that one's and more, as it grows from turn to turn. People's subjects stay, and those of machines
    /// that only notify.
    pub(super) fn by_growth(&self, past: &Past) -> Option<(u32, u32)> {
        let words = past.sketch.subject.len();
        // Of a long subject it is not remembered how long it is: there only what grew before goes on growing.
        let is_known = words < SUBJECT_WORDS || past.sketch.weight >= 20;
        let is_longer = is_known && self.arrival.words.len() > words;
        let is_whole = self.shared_subject(past) == past.sketch.subject.iter().collect::<BTreeSet<_>>().len();
        let grows = is_longer && is_whole && words > 1 && !self.sketch.answers && !self.sketch.is_list;
        grows.then_some((past.sketch.weight, 10))
    }

    fn repeats_text(&self, past: &Past) -> bool {
        let text = &past.sketch.text;
        let known = text.iter().filter(|piece| self.arrival.pieces.contains(piece)).count();
        self.sketch.is_near && !text.is_empty() && known * 4 >= text.len() * 3
    }

    /// Its subject is that one's, with words added.
    fn words_around_subject(&self, past: &Past) -> Option<u32> {
        let words = past.sketch.subject.len();
        let adds = self.arrival.words.len() > words || words >= SUBJECT_WORDS;
        let is_soon = self.now.saturating_sub(past.at) <= SOON;
        match self.shared_subject(past) {
            1.. if adds && (self.sketch.is_near || self.sketch.is_auto_reply) => Some(10),
            2.. if adds && is_soon && !self.sketch.answers => Some(10),
            _ => None,
        }
    }

    fn repeats_subject(&self, past: &Past) -> Option<u32> {
        let is_same = self.sketch.is_near && !self.sketch.is_list && !self.sketch.answers;
        (is_same && self.shared_subject(past) > 1).then_some(5)
    }

    /// How many words both subjects have, where the earlier one is in this one as good as whole.
    fn shared_subject(&self, past: &Past) -> usize {
        let subject: BTreeSet<u16> = past.sketch.subject.iter().copied().collect();
        let shared = subject.intersection(&self.words).count();
        if shared * 10 >= subject.len() * 7 { shared } else { 0 }
    }
}
