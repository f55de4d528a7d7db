//! How messages of one source come: behind what is sent, one for one, or by themselves.

use super::{ArrivalPattern, EPISODE, HandedOverBy, LEARNED, SIMILAR, SOON, TIERS, WINDOW, Weighing, source};
use crate::deliver::forward::rules::past::{Past, Was};

impl Weighing<'_> {
    pub(super) fn arrival_pattern(&self, within: i64) -> ArrivalPattern {
        let mut known = TIERS.iter().zip(self.habits);
        known
            .find(|(tier, _)| **tier == within)
            .map_or(ArrivalPattern::Free, |(_, habit)| habit)
    }

    /// How messages of this source come.
    pub(super) fn find_habit(&self, within: i64) -> ArrivalPattern {
        let own = source(self.sketch);
        let is_own = |p: &&&Past| source(&p.sketch) == own && (self.sketch.is_list || !p.sketch.is_list);
        let age = |p: &Past| self.now.saturating_sub(p.at);
        let recent: Vec<&Past> = self.past.iter().filter(|p| age(p) <= LEARNED).collect();
        if !recent.iter().any(|p| p.was == Was::Sent && source(&p.sketch) != own) {
            return ArrivalPattern::Unknown;
        }
        let comes = recent.iter().filter(is_own).count() + 1;
        let unprompted = recent.iter().filter(is_own);
        let unprompted = unprompted
            .filter(|p| p.sketch.gap.is_none_or(|gap| i64::from(gap) > within))
            .count();
        if unprompted * 10 > comes || self.comes_anyway(&recent, own, within) {
            return ArrivalPattern::Free;
        }
        // One for one: a single message follows a hundred others as well. Some may still be on their way.
        let episode = if within > SOON { SIMILAR } else { EPISODE };
        let is_sent = |place: &usize| {
            recent
                .get(*place)
                .is_some_and(|p| p.was == Was::Sent && age(p) <= episode)
        };
        let sent: Vec<usize> = (0..recent.len()).filter(is_sent).collect();
        let sent = sent.get(sent.len().saturating_sub(WINDOW)..).unwrap_or_default();
        let behind = |place: usize| recent.get(place + 1..).unwrap_or_default().iter().filter(is_own);
        let is_followed = |place: &&usize| {
            let is_in_time = |at: i64| {
                recent
                    .get(**place)
                    .is_some_and(|p| (0..=within).contains(&at.saturating_sub(p.at)))
            };
            behind(**place).any(|p| is_in_time(p.at)) || is_in_time(self.now)
        };
        let answers = sent.first().map_or(0, |first| behind(*first).count() + 1);
        let followed = sent.iter().filter(is_followed).count().min(answers);
        if !sent.is_empty() && followed + 3.min(sent.len() / 4) >= sent.len() {
            ArrivalPattern::Follows
        } else {
            ArrivalPattern::Free
        }
    }

    /// So many of this source came before this episode that one follows soon whatever is sent.
    fn comes_anyway(&self, recent: &[&Past], own: HandedOverBy, within: i64) -> bool {
        let age = |p: &Past| self.now.saturating_sub(p.at);
        let before = |p: &&&Past| (EPISODE..SIMILAR).contains(&age(p));
        let span = recent.iter().filter(before).map(|p| age(p)).max().unwrap_or(0) - EPISODE;
        // Without those that seemed to be caused: they would hide a loop behind its own past.
        let is_free = |p: &&&Past| source(&p.sketch) == own && p.was == Was::Sent && p.sketch.weight < 10;
        let count = recent.iter().filter(before).filter(is_free).count();
        // More than one in three by chance.
        let expected = i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(within * 3);
        within <= SOON && count > 2 && expected > span.max(EPISODE)
    }

    /// More of this writer came than everything that was sent can have caused, one for one: what was kept caused none of them.
    pub(super) fn goes_on_by_itself(&self) -> bool {
        let age = |p: &&Past| self.now.saturating_sub(p.at);
        let came = self.of_writer().into_iter().filter(|p| age(p) <= EPISODE).count() + 1;
        came >= self.sent_within(EPISODE + SOON).count() + 2
    }
}
