//! Decides whether the administrator gets a diverted message, or only its count. At most the budget of an hour gets
//! through, and of equal messages only the first few. Every message is accounted for: it is sent, held, or kept in the
//! user's mailbox. The digest tells what was not sent, at most once an hour.
//!
//! Later messages may push out what is held. So only two kinds are held: a message of which the administrator surely
//! has an equal one, and a report. Mail that may be the only copy is kept in the user's mailbox instead.
//!
//! Time is seconds since 1970, and comes as an argument. The state is bounded, whatever is sent: in storms, in times,
//! in text.

use crate::config::{Digest, MOST_PER_HOUR};
use crate::deliver::divert::rules::similar::{About, Expendable, Similarity};
use crate::deliver::divert::rules::tally::{HeldBackTally, StormCounts, Totals};

/// The time that budget and digests go by, in seconds.
pub const HOUR: i64 = 60 * 60;

/// How long a storm is remembered after its last message, in seconds. Afterwards its first few get through again.
const FORGET: i64 = 24 * HOUR;

/// As many storms are remembered at once.
pub const MOST_STORMS: usize = 64;

/// What shall become of a diverted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// The administrator gets it.
    Send,
    /// It is held in the state directory, and counted.
    Hold(HeldBackReason),
    /// It is kept where nothing pushes it out, and counted.
    Keep(HeldBackReason),
}

/// Why the administrator does not get a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBackReason {
    /// So many equal ones were sent.
    Equal(u32),
    /// So many messages were sent within an hour.
    Budget(usize),
    /// The administrator's mbox is full.
    Full,
}

/// Messages that are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Storm {
    /// What is the same in all of them.
    pub key: String,
    /// What they are about.
    pub about: About,
    /// When the first came.
    pub first: i64,
    /// When the last came.
    pub last: i64,
    /// How many the administrator has.
    pub sent: u32,
    /// What was not sent, and is not told yet.
    pub untold: HeldBackTally,
}

/// What is remembered of one user's diverted mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct StormState {
    /// The user's address, for a digest that no message brings about.
    pub address: String,
    sent: Vec<i64>,
    own_bounces: Vec<i64>,
    digest: i64,
    untold_since: Option<i64>,
    storms: Vec<Storm>,
    forgotten: HeldBackTally,
    pushed_out: u64,
    admin_full_at: Option<i64>,
    totals: Totals,
}

/// What a digest tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestContent {
    /// The user's address.
    pub address: String,
    /// When the first message came that is told here.
    pub since: i64,
    /// When it is told.
    pub until: i64,
    /// The storms, the largest first.
    pub storms: Vec<Storm>,
    /// Messages of storms that were forgotten before they were told.
    pub forgotten: HeldBackTally,
    /// How many held messages were removed to make room.
    pub pushed_out: u64,
}

impl DigestContent {
    /// How many messages it tells of.
    pub fn tally(&self) -> HeldBackTally {
        sum(self.forgotten, &self.storms)
    }
}

impl StormState {
    /// Decides about one message, and counts it. `Send` reserves its place: it is given back with `take_back` when
    /// sending fails.
    pub fn judge(&mut self, print: &Similarity, now: i64, digest: &Digest) -> Step {
        self.age(now);
        let storm = self.storms.iter().find(|storm| storm.key == print.key);
        let sent = storm.map_or(0, |storm| storm.sent);
        // Zero is any number.
        if (1..=sent).contains(&digest.same) {
            return self.put_aside(print, now, HeldBackReason::Equal(sent));
        }
        if (1..=self.sent.len()).contains(&digest.per_hour) {
            return self.put_aside(print, now, HeldBackReason::Budget(digest.per_hour));
        }
        self.reserve(print, now);
        Step::Send
    }

    /// Takes a place for a report about mail that seems to be the user's own; false where as many came within an hour
    /// as the budget allows. Then somebody sends in the user's name.
    pub fn admit_own_bounce(&mut self, now: i64, digest: &Digest) -> bool {
        self.age(now);
        let fits = !(1..=self.own_bounces.len()).contains(&digest.per_hour);
        if fits {
            self.own_bounces.push(now);
            let surplus = self.own_bounces.len().saturating_sub(MOST_PER_HOUR);
            self.own_bounces.drain(..surplus);
        }
        fits
    }

    /// Gives that place back: the report will come again.
    pub fn take_back_own_bounce(&mut self, now: i64) {
        if let Some(at) = self.own_bounces.iter().rposition(|then| *then == now) {
            self.own_bounces.remove(at);
        }
    }

    /// Notes that the administrator has it. Only then is the next one that is equal a mere copy.
    pub fn note_arrival(&mut self, print: &Similarity, now: i64) {
        match print.expendable {
            // Counted when it was reserved, so that of many at once only the first few go.
            Expendable::Yes => {}
            Expendable::No => self.change(print, now, |storm| storm.sent = storm.sent.saturating_add(1)),
        }
    }

    /// Gives a reserved place back: it was not sent.
    pub fn take_back(&mut self, print: &Similarity, now: i64) {
        self.totals.sent = self.totals.sent.saturating_sub(1);
        // Its own place, and not that of one which was sent meanwhile. None where that hour is over.
        if let Some(at) = self.sent.iter().rposition(|then| *then == now) {
            self.sent.remove(at);
        }
        match print.expendable {
            Expendable::Yes => self.change(print, now, |storm| storm.sent = storm.sent.saturating_sub(1)),
            Expendable::No => {}
        }
    }

    /// Decides about a message whose place was given back, because the administrator's mbox is full.
    pub fn admin_is_full(&mut self, print: &Similarity, now: i64) -> Step {
        self.take_back(print, now);
        self.admin_full_at = Some(now);
        self.put_aside(print, now, HeldBackReason::Full)
    }

    /// Takes a count back: the message could not be held, and is sent.
    pub fn send_after_all(&mut self, print: &Similarity, now: i64) {
        let one = HeldBackTally { held: 1, kept: 0 };
        self.totals.held = self.totals.held.saturating_sub(1);
        self.change(print, now, |storm| storm.untold.subtract(one));
        if self.count_untold().all() == 0 {
            self.untold_since = None;
        }
        self.reserve(print, now);
    }

    /// Takes a count back: the message could not be held, and is kept in the user's mailbox.
    pub fn keep_after_all(&mut self, print: &Similarity, now: i64) {
        let (held, kept) = (HeldBackTally { held: 1, kept: 0 }, HeldBackTally { held: 0, kept: 1 });
        self.totals.held = self.totals.held.saturating_sub(1);
        self.totals.kept = self.totals.kept.saturating_add(1);
        self.change(print, now, |storm| {
            storm.untold.subtract(held);
            storm.untold.add(kept);
        });
    }

    /// Counts held messages that were removed to make room.
    pub fn push_out(&mut self, count: u64, now: i64) {
        self.pushed_out = self.pushed_out.saturating_add(count);
        self.totals.pushed_out = self.totals.pushed_out.saturating_add(count);
        if count > 0 {
            self.untold_since.get_or_insert(now);
        }
    }

    /// Begins a digest, if something is to be told and an hour has passed since that began and since the last digest.
    /// Whether it arrives or not, the next one begins an hour later at the earliest.
    pub fn begin_digest(&mut self, now: i64) -> Option<DigestContent> {
        self.age(now);
        let since = self.untold_since?;
        if now.saturating_sub(since.max(self.digest)) < HOUR {
            return None;
        }
        self.digest = now;
        let mut storms: Vec<Storm> = self.storms.iter().filter(|s| s.untold.all() > 0).cloned().collect();
        storms.sort_by_key(|storm| std::cmp::Reverse(storm.untold.all()));
        Some(DigestContent {
            address: self.address.clone(),
            since,
            until: now,
            storms,
            forgotten: self.forgotten,
            pushed_out: self.pushed_out,
        })
    }

    /// Notes that a digest arrived. What came meanwhile stays to be told.
    pub fn note_told(&mut self, digest: &DigestContent) {
        let mut rest = digest.forgotten;
        for told in &digest.storms {
            match self.storms.iter_mut().find(|storm| storm.key == told.key) {
                Some(storm) => storm.untold.subtract(told.untold),
                // Forgotten since.
                None => rest.add(told.untold),
            }
        }
        self.forgotten.subtract(rest);
        self.pushed_out = self.pushed_out.saturating_sub(digest.pushed_out);
        let more = self.count_untold().all() > 0 || self.pushed_out > 0;
        self.untold_since = more.then_some(digest.until);
    }

    /// What is not told yet.
    pub fn count_untold(&self) -> HeldBackTally {
        sum(self.forgotten, &self.storms)
    }

    /// What `status` shows.
    pub fn count_all(&self, now: i64) -> StormCounts {
        StormCounts {
            sent_last_hour: self.sent.iter().filter(|then| is_within(**then, now, HOUR)).count(),
            storms: self.storms.len(),
            untold: self.count_untold().all(),
            admin_full_at: self.admin_full_at,
            totals: self.totals,
        }
    }

    fn put_aside(&mut self, print: &Similarity, now: i64, reason: HeldBackReason) -> Step {
        // A copy of what the administrator has, or a report. Anything else might be lost where something could push it
        // out.
        let is_copy = matches!(reason, HeldBackReason::Equal(_));
        let (one, step) = match print.expendable {
            Expendable::No if !is_copy => (HeldBackTally { held: 0, kept: 1 }, Step::Keep(reason)),
            Expendable::No | Expendable::Yes => (HeldBackTally { held: 1, kept: 0 }, Step::Hold(reason)),
        };
        self.change(print, now, |storm| storm.untold.add(one));
        self.totals.held = self.totals.held.saturating_add(one.held);
        self.totals.kept = self.totals.kept.saturating_add(one.kept);
        self.untold_since.get_or_insert(now);
        step
    }

    fn reserve(&mut self, print: &Similarity, now: i64) {
        self.totals.sent = self.totals.sent.saturating_add(1);
        self.sent.push(now);
        let surplus = self.sent.len().saturating_sub(MOST_PER_HOUR);
        self.sent.drain(..surplus);
        match print.expendable {
            Expendable::Yes => self.change(print, now, |storm| storm.sent = storm.sent.saturating_add(1)),
            Expendable::No => {}
        }
    }

    /// Changes the storm that this message belongs to; a new one where there is none. They stand in the order of their
    /// last message.
    fn change(&mut self, print: &Similarity, now: i64, change: impl FnOnce(&mut Storm)) {
        let mut storm = match self.storms.iter().position(|storm| storm.key == print.key) {
            Some(at) => self.storms.remove(at),
            None => Storm {
                key: print.key.clone(),
                about: print.about.clone(),
                first: now,
                ..Storm::default()
            },
        };
        storm.last = now;
        change(&mut storm);
        self.storms.push(storm);
        self.forget_surplus();
    }

    fn forget_surplus(&mut self) {
        let surplus = self.storms.len().saturating_sub(MOST_STORMS);
        for storm in self.storms.drain(..surplus) {
            self.forgotten.add(storm.untold);
        }
    }

    /// Lets go of what is over. Times from the future, from a clock that was wrong, count as now: they are over in
    /// time.
    fn age(&mut self, now: i64) {
        self.digest = self.digest.min(now);
        self.untold_since = self.untold_since.map(|since| since.min(now));
        for then in &mut self.sent {
            *then = (*then).min(now);
        }
        self.sent.retain(|then| is_within(*then, now, HOUR));
        for then in &mut self.own_bounces {
            *then = (*then).min(now);
        }
        self.own_bounces.retain(|then| is_within(*then, now, HOUR));
        let surplus = self.sent.len().saturating_sub(MOST_PER_HOUR);
        self.sent.drain(..surplus);
        self.forget_surplus();
        for storm in &mut self.storms {
            storm.last = storm.last.min(now);
        }
        self.storms
            .retain(|storm| storm.untold.all() > 0 || is_within(storm.last, now, FORGET));
    }
}

fn is_within(then: i64, now: i64, seconds: i64) -> bool {
    now.saturating_sub(then) < seconds
}

fn sum(mut tally: HeldBackTally, storms: &[Storm]) -> HeldBackTally {
    for storm in storms {
        tally.add(storm.untold);
    }
    tally
}

#[cfg(test)]
mod tests;
