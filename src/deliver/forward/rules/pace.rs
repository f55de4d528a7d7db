//! Does one writer's mail come at the pace of a machine that waits for us? Two machines that answer each other, with a forward between
//! them, make one message each time the last one went on: a writer who is known and whose messages share nothing may be one of them.
//!
//! A burst looks the same for a while: the commits of a day, the alarms of a night. What tells them is what happens when one message is
//! kept: a burst goes on, and then as many again and again as many may pass; what waits for an answer stops.

use crate::deliver::forward::rules::past::{Past, Was};

/// As many of one writer come one after the other before one is kept,
const MOST: usize = 10;

/// and so many times as many where they come faster than one in two seconds: MTAs hand over bursts so.
const FASTER: usize = 3;

/// The longest pause between two of them, in seconds.
const PAUSE: i64 = 20;

/// Tells whether a message that comes at `now` is the next of too many; `same` are those of its writer within a day, the oldest first.
pub fn is_machine(same: &[&Past], now: i64) -> bool {
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
    let most = if is_fast { MOST * FASTER } else { MOST };
    count >= most << survived(same, now).min(16)
}

/// How often one was kept, and the next came all the same.
fn survived(same: &[&Past], now: i64) -> usize {
    let times = same.iter().skip(1).map(|past| past.at).chain([now]);
    let pairs = same.iter().zip(times);
    pairs
        .filter(|(past, next)| past.was == Was::Braked && (0..=PAUSE).contains(&next.saturating_sub(past.at)))
        .count()
}
