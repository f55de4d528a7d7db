//! Does mail go round with this destination, although nothing on it says so? Whoever reads there may answer every message to the
//! user's address, under another name each time, with another Message-ID, subject and text, without `In-Reply-To`, and answer the null
//! sender as well. Or a gateway there mails the text on as a new message. Nothing that such a message carries can be trusted to stay. What
//! cannot be hidden is that **it comes because something was sent**: without a forward to the destination there is no answer.
//!
//! So each message gets a weight: how far it is from mail that nobody caused. A message that seems to be caused by an earlier forward
//! has the weight of that, and a step more. Steps add up along a chain and never between strangers. Beyond `LIMIT` the message is
//! delivered locally, and with that the chain is over: what is not sent is not answered.
//!
//! | sign that this message was caused by that forward | step |
//! |---|---|
//! | it answers, names, attaches or quotes that message, and whoever wrote it neither wrote nor got that one | 10 |
//! | the same, where its writer wrote that one too, and that was caused itself: within two minutes, later | 10, 1 |
//! | the same within 20 s, where that was not caused, or seemed so by time alone | 5, 10 |
//! | it came from the destination's domain or through its hosts, and repeats the text of that message | 10 |
//! | the same, or an automatic answer, and its subject is that one's with words around it | 10 |
//! | an automatic answer within ten minutes, from who sent the last one | 10 |
//! | it came from the destination's domain or hosts within two minutes of that, as all that was sent is followed by one | 10 |
//! | the same, through one other host | 10 or 5 within 20 s, 4 within two minutes |
//!
//! The last two know nothing but time, and rest on a **habit**: what was sent within the last ten minutes was followed by messages of
//! the same source, one for one, and that source brings little by itself. Colleagues at the destination's domain, a busy list, newsletters,
//! alarms and five hundred writers an hour have no such habit: most messages there are followed by none of theirs, or theirs come
//! without any before, or so many came all day that one follows whatever is sent. Where nobody else wrote there is no habit to be seen, and a
//! step is 3 or nothing.
//!
//! A writer of whom one message was kept and more came than all that was sent can have caused has sent a burst, the patches of a series for
//! example: there the last sign says nothing.
//!
//! What people do counts little: an answer to somebody who takes part, a list, a sender who also writes unprompted. Whoever
//! wants to be braked can be; the price of a mistake is a message in the user's mailbox, and that both user and administrator are told.
//!
//! Whatever else they share, answers come a constant time after what they answer: `lag` ends those that need minutes or hours, and those
//! of another host each time.
//!
//! Limits of this, which `docs/src/verdicts.md` has with numbers. A responder that comes through another host each time, none of the
//! destination's, whose answers share nothing with what they answer, and who makes several for each, is ended by number alone (`FLOOD`). So
//! is one that wrote first and whose answers share nothing (`pace`). `surge` tells of both.

use std::collections::BTreeSet;

use crate::deliver::forward::rules::pace;
use crate::deliver::forward::rules::past::{Past, Was};
use crate::deliver::forward::rules::sketch::{Arrival, Sketch};

/// A chain that weighs more goes no further: the fourth of strong steps.
pub const LIMIT: u32 = 30;

/// A step that says much.
pub const STRONG: u32 = 10;

/// For how long a brake is remembered, in seconds: then the first of a chain are let through again.
const LEARNED: i64 = 24 * 3600;

/// How far back a text or a subject is compared, in seconds.
const SIMILAR: i64 = 6 * 3600;

/// Within what time an automatic answer follows at once, in seconds.
const ANSWER: i64 = 600;

/// What counts as soon after a forward, in seconds: as machines do it, as MTAs deliver it, as slow ones do.
const AT_ONCE: i64 = 20;
const SOON: i64 = 120;
const LATER: i64 = 3 * 3600;
const TIERS: [i64; 3] = [AT_ONCE, SOON, LATER];

/// What was sent within this time, in seconds, tells the habit, the last so many of it.
const EPISODE: i64 = 600;
const WINDOW: usize = 24;

/// So many automatic answers within an hour are too many, whoever sends them.
const AUTO_REPLIES: usize = 30;

/// So many messages of unknown writers within an hour are too many.
pub const FLOOD: usize = 1000;

/// What both are counted by, in seconds.
pub const HOUR: i64 = 3600;

/// What a message weighs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct MessageWeight {
    /// What is to be remembered of it.
    pub sketch: Sketch,
    /// Why it goes no further; none where it may.
    pub brake: Option<Brake>,
}

/// Why a message goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// It is the last of a chain, or of some that came a constant time after what was sent.
    Chain,
    /// Mail went round here a short while ago, and this one was caused by a forward too.
    Again,
    /// Too many automatic answers within an hour.
    AutoReplies,
    /// Too many messages of one writer came at the pace of a machine that waits for the last one to go on.
    Pace,
    /// Too many messages of unknown writers within an hour.
    Flood,
}

/// Who hands messages over, as far as a chain is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandedOverBy {
    /// The destination's own domain.
    Near,
    /// One other host's domain.
    Host(u32),
}

fn source(sketch: &Sketch) -> HandedOverBy {
    if sketch.is_near {
        HandedOverBy::Near
    } else {
        HandedOverBy::Host(sketch.source)
    }
}

/// What is known of how messages of one source come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArrivalPattern {
    /// They follow what is sent.
    Follows,
    /// Nobody else wrote.
    Unknown,
    /// They come by themselves.
    Free,
}

/// Weighs a message that is to be sent to a destination; `past` is what came before for that destination, the oldest first, and
/// `causes` are those that this message answers by Message-ID, or has attached.
pub fn weigh_arrival(arrival: &Arrival, is_near: bool, past: &[Past], causes: &[Past], now: i64) -> MessageWeight {
    let mut sketch = arrival.sketch.clone();
    sketch.is_near = is_near;
    // A run waits for its turn: what came in a moment later may have been sent before.
    let is_meanwhile = |at: &i64| (0..=SOON).contains(&at.saturating_sub(now));
    let now = past.iter().map(|p| p.at).filter(is_meanwhile).max().unwrap_or(now);
    let last = past.iter().rev().find(|p| p.was == Was::Sent);
    sketch.gap = last
        .map(|last| now.saturating_sub(last.at))
        .filter(|gap| (0..=LATER).contains(gap))
        .and_then(|gap| u32::try_from(gap).ok());
    let mut case = Weighing {
        arrival,
        sketch: &sketch,
        past,
        now,
        words: arrival.words.iter().copied().collect(),
        habits: [ArrivalPattern::Free; TIERS.len()],
        is_burst: false,
    };
    case.is_burst = case.goes_on_by_itself();
    case.habits = TIERS.map(|within| case.find_habit(within));
    let (base, step) = case.heaviest(causes);
    let weight = base + step;
    let brake = case.brake(weight, step);
    sketch.weight = weight;
    MessageWeight { sketch, brake }
}

struct Weighing<'a> {
    arrival: &'a Arrival,
    sketch: &'a Sketch,
    past: &'a [Past],
    now: i64,
    words: BTreeSet<u16>,
    /// One for each of `TIERS`.
    habits: [ArrivalPattern; TIERS.len()],
    /// More of this writer came than what was sent can have caused.
    is_burst: bool,
}

impl Weighing<'_> {
    /// The heaviest chain that this message may belong to, and its own step on it.
    fn heaviest(&self, causes: &[Past]) -> (u32, u32) {
        let mut all = vec![(0, 0)];
        if !self.sketch.is_list {
            all.extend(causes.iter().filter_map(|past| self.step_behind(past)));
        }
        all.extend(self.by_answer());
        if self.is_known() {
            all.extend(self.sent_within(SOON).filter_map(|p| self.by_growth(p)));
            all.extend(self.by_quote(|past| past.sketch.from == self.sketch.from));
        } else {
            all.extend(self.sent_within(SIMILAR).filter_map(|p| self.by_content(p)));
            all.extend(self.by_quote(|_| true));
            all.extend([AT_ONCE, SOON].into_iter().filter_map(|within| self.by_time(within)));
        }
        all.into_iter()
            .max_by_key(|(base, step)| (base + step, *step))
            .unwrap_or((0, 0))
    }

    fn sent_within(&self, seconds: i64) -> impl Iterator<Item = &Past> {
        self.past
            .iter()
            .filter(move |p| p.was == Was::Sent && self.now.saturating_sub(p.at) <= seconds)
    }

    /// Whoever wrote this wrote or got that one as well.
    fn takes_part(&self, past: &Past) -> bool {
        self.arrival.from.as_ref().is_some_and(|from| past.sketch.names(from))
    }

    /// The same writer has written by the same way without any forward before.
    fn is_known(&self) -> bool {
        let mut past = self.past.iter().map(|p| &p.sketch);
        past.any(|p| p.gap.is_none() && p.from == self.sketch.from && p.source == self.sketch.source && p.from != 0)
    }

    /// It is the next automatic answer of the same writer, or the first behind a message of somebody else.
    fn by_answer(&self) -> Option<(u32, u32)> {
        if !self.sketch.is_auto_reply || self.sketch.is_list {
            return None;
        }
        let causes = self
            .sent_within(ANSWER)
            .filter(|p| p.sketch.weight == 0 || p.sketch.from == self.sketch.from);
        causes.map(|p| (p.sketch.weight, 10)).max()
    }

    /// It came so soon after something that was sent, as all from there do.
    fn by_time(&self, within: i64) -> Option<(u32, u32)> {
        let own = source(self.sketch);
        self.sent_within(within).next()?;
        let mut base = 0;
        let mut is_talk = false;
        for cause in self.sent_within(within).filter(|p| source(&p.sketch) == own) {
            base = base.max(cause.sketch.weight);
            is_talk |= self.sketch.answers && cause.sketch.from == self.sketch.from;
        }
        // At the destination's own hosts a burst may be many answers to one message.
        if self.is_burst && own != HandedOverBy::Near {
            return None;
        }
        let step = self.step(own, within, is_talk);
        (step > 0).then_some((base, step))
    }

    fn step(&self, own: HandedOverBy, within: i64, is_talk: bool) -> u32 {
        let habit = self.arrival_pattern(within);
        if self.sketch.is_list && (own != HandedOverBy::Near || within > AT_ONCE || self.is_known_list()) {
            return 0;
        }
        let is_new = !self.past.iter().any(|p| p.sketch.from == self.sketch.from);
        // Somebody who wrote by another way before: a machine behind that address writes now.
        let has_moved = self.past.iter().any(|p| {
            p.sketch.from == self.sketch.from && source(&p.sketch) != own && !p.sketch.is_list && self.sketch.from != 0
        });
        // Where nobody else wrote, and there neither but for what began it.
        let is_first = is_new && self.unprompted(own, SOON) <= 1;
        match (habit, own, within) {
            (ArrivalPattern::Follows, HandedOverBy::Near, AT_ONCE) => 10,
            (ArrivalPattern::Follows, HandedOverBy::Near, SOON) if is_talk => 2,
            (ArrivalPattern::Follows, HandedOverBy::Near, SOON) => 10,
            (ArrivalPattern::Follows, HandedOverBy::Host(_), AT_ONCE) if is_new || has_moved => 10,
            (ArrivalPattern::Follows, HandedOverBy::Host(_), AT_ONCE) => 5,
            (ArrivalPattern::Follows, HandedOverBy::Host(_), SOON) if is_talk => 1,
            (ArrivalPattern::Follows, HandedOverBy::Host(_), SOON) => 4,
            (ArrivalPattern::Unknown, HandedOverBy::Near, AT_ONCE | SOON) if is_talk => 1,
            (ArrivalPattern::Unknown, HandedOverBy::Near, AT_ONCE) if is_first => 8,
            (ArrivalPattern::Unknown, HandedOverBy::Near, AT_ONCE | SOON) => 3,
            (
                ArrivalPattern::Follows | ArrivalPattern::Unknown | ArrivalPattern::Free,
                HandedOverBy::Near | HandedOverBy::Host(_),
                _,
            ) => 0,
        }
    }

    /// A list wrote by this way before without any forward.
    fn is_known_list(&self) -> bool {
        let own = source(self.sketch);
        let lists = self
            .past
            .iter()
            .filter(|p| p.sketch.is_list && source(&p.sketch) == own);
        lists
            .filter(|p| p.sketch.gap.is_none_or(|gap| i64::from(gap) > SOON))
            .count()
            > 0
    }

    /// How many came from there by themselves within a day.
    fn unprompted(&self, own: HandedOverBy, within: i64) -> usize {
        let is_recent = |p: &&Past| self.now.saturating_sub(p.at) <= LEARNED && source(&p.sketch) == own;
        let own = self.past.iter().filter(is_recent);
        own.filter(|p| p.sketch.gap.is_none_or(|gap| i64::from(gap) > within))
            .count()
    }

    /// What the same writer sent by the same way within a day.
    fn of_writer(&self) -> Vec<&Past> {
        let is_same = |p: &&Past| {
            p.sketch.from == self.sketch.from
                && p.sketch.from != 0
                && p.sketch.source == self.sketch.source
                && self.now.saturating_sub(p.at) <= LEARNED
        };
        self.past.iter().filter(is_same).collect()
    }

    fn is_at_a_pace(&self) -> bool {
        let same = self.of_writer();
        pace::is_machine(&same, self.now) || pace::is_endless(&same, SOON, self.now)
    }

    fn brake(&self, weight: u32, step: u32) -> Option<Brake> {
        let own = source(self.sketch);
        let within = |p: &&Past, seconds: i64| self.now.saturating_sub(p.at) < seconds;
        let is_strong = step >= STRONG;
        let braked = |p: &&Past| p.was == Was::Braked && within(p, LEARNED) && (is_strong || source(&p.sketch) == own);
        let hour = self.past.iter().filter(|p| within(p, HOUR));
        if weight > LIMIT {
            Some(Brake::Chain)
        } else if step > 2 && self.past.iter().any(|p| braked(&p)) {
            Some(Brake::Again)
        } else if self.sketch.is_auto_reply && hour.clone().filter(|p| p.sketch.is_auto_reply).count() >= AUTO_REPLIES {
            Some(Brake::AutoReplies)
        } else if !self.sketch.is_list && self.is_at_a_pace() {
            Some(Brake::Pace)
        } else if self.keeps_a_lag() {
            Some(Brake::Chain)
        } else if !self.sketch.is_list && !self.is_known() && hour.count() >= FLOOD {
            Some(Brake::Flood)
        } else {
            None
        }
    }
}

mod content;
mod habit;
mod lag;
mod quote;
#[cfg(test)]
mod tests;
