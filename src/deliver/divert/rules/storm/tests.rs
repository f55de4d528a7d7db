//! The bound holds and the sum is right, whatever comes.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::config::Digest;
use crate::deliver::divert::rules::similar::{About, Expendable, Similarity};
use crate::deliver::divert::rules::storm::{DigestContent, HOUR, HeldBackReason, MOST_STORMS, Step, StormState};
use crate::deliver::divert::rules::tally::{StormCounts, Totals};

const DAY: i64 = 24 * HOUR;

fn print(number: usize, expendable: Expendable) -> Similarity {
    Similarity {
        key: format!("{number:016x}"),
        expendable,
        about: About::default(),
    }
}

fn report(number: usize) -> Similarity {
    print(number, Expendable::Yes)
}

/// At most so many equal ones, and so many an hour.
fn limits(same: u32, per_hour: usize) -> Digest {
    Digest {
        same,
        per_hour,
        ..Digest::default()
    }
}

#[test]
fn of_equal_reports_a_few_are_sent_and_the_rest_counted() {
    let mut state = StormState::default();
    let steps: Vec<Step> = (0..200)
        .map(|at| state.judge(&report(1), 1000 + at, &limits(3, 20)))
        .collect();
    assert_eq!(steps.iter().filter(|step| **step == Step::Send).count(), 3);
    assert_eq!(steps.get(3), Some(&Step::Hold(HeldBackReason::Equal(3))));
    assert_eq!(state.count_untold().held, 197);
    // A day without one, and its first is news again.
    assert_eq!(
        state.judge(&report(1), 1199 + DAY, &limits(3, 20)),
        Step::Hold(HeldBackReason::Equal(3))
    );
    let digest = state.begin_digest(1200 + DAY);
    assert_eq!(digest.as_ref().map(|digest| digest.tally().held), Some(198));
    state.note_told(&digest.unwrap_or_else(|| unreachable!()));
    assert_eq!(state.judge(&report(1), 1199 + 2 * DAY, &limits(3, 20)), Step::Send);
}

#[test]
fn beyond_the_budget_reports_are_held_and_mail_is_kept() {
    let mut state = StormState::default();
    for number in 0..20 {
        assert_eq!(state.judge(&report(number), 5, &limits(3, 20)), Step::Send);
    }
    assert_eq!(
        state.judge(&report(20), 5, &limits(3, 20)),
        Step::Hold(HeldBackReason::Budget(20))
    );
    let mail = print(21, Expendable::No);
    assert_eq!(
        state.judge(&mail, 5 + HOUR - 1, &limits(3, 20)),
        Step::Keep(HeldBackReason::Budget(20))
    );
    assert_eq!(state.judge(&mail, 5 + HOUR, &limits(3, 20)), Step::Send);
    let none = limits(0, 0);
    for _ in 0..5000 {
        assert_eq!(state.judge(&report(1), 5 + HOUR, &none), Step::Send);
    }
}

#[test]
fn mail_is_a_copy_only_when_the_first_arrived() {
    let one = limits(1, 20);
    let mut state = StormState::default();
    let mail = print(1, Expendable::No);
    // A run that was killed neither says that it arrived nor gives its place back.
    assert_eq!(state.judge(&mail, 0, &one), Step::Send);
    assert_eq!(state.judge(&mail, 1, &one), Step::Send);
    state.note_arrival(&mail, 2);
    assert_eq!(state.judge(&mail, 3, &one), Step::Hold(HeldBackReason::Equal(1)));
    assert_eq!(
        state.admin_is_full(&print(2, Expendable::No), 3),
        Step::Keep(HeldBackReason::Full)
    );
    assert_eq!(state.count_all(4).admin_full_at, Some(3));
}

#[test]
fn a_place_that_is_given_back_can_be_taken_again() {
    let one = limits(1, 1);
    let mut state = StormState::default();
    for now in 0..10 {
        assert_eq!(state.judge(&report(1), now, &one), Step::Send);
        state.take_back(&report(1), now);
    }
    assert_eq!(state.judge(&report(1), 10, &one), Step::Send);
    assert_eq!(state.judge(&report(1), 10, &one), Step::Hold(HeldBackReason::Equal(1)));
    assert_eq!(state.judge(&report(2), 10, &one), Step::Hold(HeldBackReason::Budget(1)));
    assert_eq!(state.count_all(10).totals.sent, 1);
}

#[test]
fn a_digest_waits_for_its_hour_and_is_tried_once_in_it() {
    let mut state = StormState::default();
    for _ in 0..5 {
        let _ = state.judge(&report(1), 0, &limits(3, 20));
    }
    assert_eq!(state.begin_digest(HOUR - 1), None);
    let first = state.begin_digest(HOUR);
    assert_eq!(first.as_ref().map(|digest| digest.tally().held), Some(2));
    // It did not arrive. One more came meanwhile.
    let _ = state.judge(&report(1), HOUR + 1, &limits(3, 20));
    assert_eq!(state.begin_digest(2 * HOUR - 1), None);
    let Some(second) = state.begin_digest(2 * HOUR) else {
        unreachable!("it is due")
    };
    assert_eq!(second.tally().held, 3);
    let _ = state.judge(&report(1), 2 * HOUR + 1, &limits(3, 20));
    state.note_told(&second);
    assert_eq!(state.count_untold().held, 1, "what came meanwhile is told next");
    assert!(state.begin_digest(3 * HOUR).is_some());
}

#[test]
fn what_could_not_be_held_is_counted_where_it_is() {
    let mut state = StormState::default();
    for _ in 0..5 {
        let _ = state.judge(&report(1), 0, &limits(3, 20));
    }
    state.send_after_all(&report(1), 0);
    state.keep_after_all(&report(1), 0);
    let want = StormCounts {
        sent_last_hour: 4,
        storms: 1,
        untold: 1,
        admin_full_at: None,
        totals: Totals {
            sent: 4,
            held: 0,
            kept: 1,
            pushed_out: 0,
        },
    };
    assert_eq!(state.count_all(1), want);
}

#[test]
fn a_wrong_clock_holds_nothing_up_for_over_an_hour() {
    let mut state = StormState::default();
    let future = 1000 * DAY;
    for number in 0..40 {
        let _ = state.judge(&report(number), future, &limits(3, 20));
    }
    assert_eq!(
        state.judge(&report(50), 0, &limits(3, 20)),
        Step::Hold(HeldBackReason::Budget(20))
    );
    assert_eq!(state.judge(&report(50), HOUR, &limits(3, 20)), Step::Send);
    assert!(state.begin_digest(HOUR).is_some());
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Fails,
    AdminIsFull,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    wait: i64,
    number: usize,
    expendable: Expendable,
    fate: Fate,
    digest: Fate,
}

fn event() -> impl Strategy<Value = Event> {
    let wait = prop_oneof![6 => 0..3_i64, 3 => 0..600_i64, 1 => 0..(2 * DAY)];
    let fate = || prop_oneof![8 => Just(Fate::Arrives), 1 => Just(Fate::Fails), 1 => Just(Fate::AdminIsFull)];
    let number = prop_oneof![0..5_usize, 0..200_usize];
    let expendable = prop_oneof![Just(Expendable::Yes), Just(Expendable::No)];
    (wait, number, expendable, fate(), fate()).prop_map(|(wait, number, expendable, fate, digest)| Event {
        wait,
        number,
        expendable,
        fate,
        digest,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]
    #[test]
    fn however_many_come_the_bound_holds_and_the_sum_is_right(
        events in vec(event(), 1..600),
        equal in 1..4_u32,
        budget in 1..12_usize,
    ) {
        const SHELF: u64 = 7;
        let limits = limits(equal, budget);
        let mut state = StormState::default();
        let mut now = 1_000_000;
        let (mut sent, mut digests): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
        let (mut received, mut shelf, mut pushed_out, mut kept) = (0, 0, 0, 0);
        let (mut told, mut told_pushed_out) = (0, 0);
        let mut arrived: BTreeMap<String, u32> = BTreeMap::new();
        for event in events {
            now += event.wait;
            let print = print(event.number * 2 + usize::from(event.expendable == Expendable::No), event.expendable);
            let step = match (state.judge(&print, now, &limits), event.fate) {
                (Step::Send, Fate::Fails) => {
                    // It will come again, and is none of ours until then.
                    state.take_back(&print, now);
                    continue;
                }
                (Step::Send, Fate::AdminIsFull) => state.admin_is_full(&print, now),
                (step, _) => step,
            };
            received += 1;
            match step {
                Step::Send => {
                    state.note_arrival(&print, now);
                    *arrived.entry(print.key.clone()).or_default() += 1;
                    sent.push(now);
                }
                Step::Hold(reason) => {
                    let has_some = arrived.get(&print.key).copied().unwrap_or_default() >= equal;
                    prop_assert!(event.expendable == Expendable::Yes || has_some, "the only copy may be pushed out");
                    prop_assert!(!matches!(reason, HeldBackReason::Equal(_)) || has_some, "equal to nothing that was sent");
                    shelf += 1;
                    if shelf > SHELF {
                        shelf -= 1;
                        pushed_out += 1;
                        state.push_out(1, now);
                    }
                }
                Step::Keep(_) => kept += 1,
            }
            if let Some(digest) = state.begin_digest(now) {
                prop_assert!(digests.last().is_none_or(|last| now - last >= HOUR), "two digests within an hour");
                digests.push(now);
                let DigestContent { pushed_out, .. } = digest;
                if matches!(event.digest, Fate::Arrives) {
                    told += digest.tally().all();
                    told_pushed_out += pushed_out;
                    state.note_told(&digest);
                }
            }
            let within = sent.iter().rev().take_while(|then| now - **then < HOUR).count();
            prop_assert!(within <= budget, "{within} within an hour");
            let totals = state.count_all(now).totals;
            prop_assert_eq!(sent.len() as u64 + shelf + pushed_out + kept, received);
            prop_assert_eq!((totals.sent, totals.held, totals.kept), (sent.len() as u64, shelf + pushed_out, kept));
            prop_assert_eq!(told + state.count_untold().all(), totals.held + totals.kept);
            prop_assert_eq!((told_pushed_out + state.pushed_out, totals.pushed_out), (pushed_out, pushed_out));
            prop_assert!(state.storms.len() <= MOST_STORMS && state.sent.len() <= budget);
        }
    }
}
