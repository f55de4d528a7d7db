//! Does one writer's mail come at the pace of a machine that waits for us? Two machines that answer each other, with a
//! forward between them, make one message each time the last one went on: a writer whose messages share nothing may be
//! one of them.
//!
//! A burst looks the same for a while: the patches of a series, the commits of a day, the alarms of a night. What tells
//! them is what happens when one is kept: what waits for an answer stops, and a burst goes on. A machine that answers
//! everything twice looks like a burst then: so no writer's mail goes on without a pause for ever.

use crate::deliver::forward::rules::past::{Past, Was};

/// As many of one writer come one after the other before one is kept,
const MOST: usize = 10;

/// and so many times as many where they come faster than one in two seconds: MTAs hand over bursts so.
const FASTER: usize = 3;

/// The longest pause between two of them, in seconds.
const PAUSE: i64 = 20;

/// As many messages of one writer are sent without a pause before one is kept.
const LONGEST: usize = 200;

/// As many are enough where they come faster and faster,
const FEW: usize = 24;

/// the last ten of them so many times as fast as the first ten.
const TEN: usize = 10;
const QUICKER: i64 = 5;

/// How long a message that was kept speaks for those that came all the same, in seconds.
const PROOF: i64 = 600;

/// Tells whether a message that comes at `now` is the next of too many; `same` are those of its writer within a day,
/// the oldest first.
pub fn is_machine(same: &[&Past], now: i64) -> bool {
    if goes_on(same, now) {
        return false;
    }
    let mut next = now;
    let (mut shortest, mut longest, mut count) = (i64::MAX, 0, 0_usize);
    for past in same.iter().rev().take_while(|past| past.was == Was::Sent) {
        let gap = next.saturating_sub(past.at);
        let (short, long) = (shortest.min(gap), longest.max(gap));
        if gap < 0 || long > PAUSE || long > short * 3 + 1 {
            break;
        }
        (shortest, longest, next) = (short, long, past.at);
        count += 1;
    }
    let is_fast = usize::try_from(now.saturating_sub(next)).is_ok_and(|seconds| seconds * 2 < count);
    count >= if is_fast { MOST * FASTER } else { MOST }
}

/// One was kept a short while ago.
fn goes_on(same: &[&Past], now: i64) -> bool {
    let is_proof = |past: &&Past| past.was == Was::Braked && now.saturating_sub(past.at) <= PROOF;
    same.iter().any(is_proof)
}

/// Tells whether so many of one writer were sent, none longer than `soon` seconds behind the last, that it has to be tried whether one
/// that is kept makes the next. Where each answer leads to several, one that is kept shows nothing: there they come faster and faster.
pub fn is_endless(same: &[&Past], soon: i64, now: i64) -> bool {
    let mut next = now;
    let in_a_row = same.iter().rev().take_while(|past| {
        let gap = next.saturating_sub(past.at);
        next = past.at;
        gap <= soon
    });
    let in_a_row: Vec<&&Past> = in_a_row.collect();
    let since_kept = in_a_row.iter().take_while(|past| past.was == Was::Sent).count();
    let sent = in_a_row.iter().filter(|past| past.was == Was::Sent);
    let sent: Vec<i64> = sent.map(|past| past.at).collect();
    // All that was sent lately was answered by then: what still comes is no answer.
    let is_fresh = sent.first().is_some_and(|last| now.saturating_sub(*last) <= 2 * soon);
    since_kept >= LONGEST || (is_fresh && grows(&sent))
}

/// They come faster and faster; the times are the latest first.
fn grows(times: &[i64]) -> bool {
    let span = |ten: &[i64]| Some(ten.first()?.saturating_sub(*ten.last()?));
    let last = times.get(..TEN).and_then(span);
    let first = times.len().checked_sub(TEN).and_then(|begin| span(times.get(begin..)?));
    let is_quicker = last
        .zip(first)
        .is_some_and(|(last, first)| first > last.saturating_mul(QUICKER));
    times.len() >= FEW && is_quicker
}
