//! Days of people, busy in every way, and of machines that write by themselves: how much of their mail the brake keeps.
//! `SPOOLGUARD_TABLES=1 cargo test --lib days_of_people` prints the table.

use std::io::Write;

use super::{Brake, Traffic, mail};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Who writes when: a time, a name, a host, and more fields.
type PlannedMail = (i64, String, String, String);

fn planned(at: i64, from: String, host: String) -> PlannedMail {
    (at, from, host, String::new())
}

fn stranger(at: i64, number: usize) -> PlannedMail {
    planned(at, format!("u{number}@s{number}.test"), format!("mx.s{number}.test"))
}

/// Somebody of `people` writes, by chance one in `pause` seconds.
fn at_random(chance: &mut fastrand::Rng, pause: f64, span: i64, people: usize) -> Vec<PlannedMail> {
    let (mut at, mut letters, mut number) = (0.0, Vec::new(), 100_000);
    loop {
        at += -pause * (1.0 - chance.f64()).ln();
        if at as i64 >= span {
            return letters;
        }
        number += 1;
        let who = if people == 0 {
            number
        } else {
            200_000 + chance.usize(..people)
        };
        letters.push(stranger(at as i64, who));
    }
}

/// One machine writes `count` times, each `pause` seconds and up to `more`.
fn machine(chance: &mut fastrand::Rng, begin: i64, count: i64, pause: i64, more: i64) -> Vec<PlannedMail> {
    let number = chance.u32(..);
    let mut at = begin;
    let each = |_| {
        at += pause + chance.i64(0..=more);
        planned(at, format!("root@m{number}.test"), format!("m{number}.test"))
    };
    (0..count).map(each).collect()
}

type Day = fn(&mut fastrand::Rng) -> Vec<PlannedMail>;

fn usual(chance: &mut fastrand::Rng) -> Vec<PlannedMail> {
    at_random(chance, 2160.0, DAY, 0)
}

/// Mail as usual, and 300 alarms in a row of a machine that wrote once before.
fn known(chance: &mut fastrand::Rng, pause: i64, more: i64) -> Vec<PlannedMail> {
    let begin = chance.i64(HOUR..2 * HOUR);
    let alarms = machine(chance, begin, 300, pause, more);
    let mut first = alarms.first().cloned().unwrap_or_else(|| stranger(0, 0));
    first.0 = -4 * HOUR;
    [usual(chance), vec![first], alarms].concat()
}

const DAYS: [(&str, Day, usize); 23] = [
    ("40 a day, all strangers", usual, 0),
    ("60 an hour, all strangers", |c| at_random(c, 60.0, 4 * HOUR, 0), 0),
    ("60 an hour of 30 people", |c| at_random(c, 60.0, 4 * HOUR, 30), 0),
    ("500 an hour, all strangers", |c| at_random(c, 7.2, HOUR, 0), 0),
    ("500 an hour of 100 people", |c| at_random(c, 7.2, HOUR, 100), 0),
    ("12 an hour, all strangers", |c| at_random(c, 300.0, 12 * HOUR, 0), 0),
    ("one an hour, all strangers", |c| at_random(c, 3600.0, 5 * DAY, 0), 0),
    (
        "a new monitor each 5 minutes",
        |c| {
            let begin = c.i64(HOUR..2 * HOUR);
            [usual(c), machine(c, begin, 100, 300, 0)].concat()
        },
        0,
    ),
    (
        "a new monitor each minute",
        |c| {
            let begin = c.i64(HOUR..2 * HOUR);
            [usual(c), machine(c, begin, 200, 60, 0)].concat()
        },
        12,
    ),
    (
        "a new report each hour",
        |c| {
            let begin = c.i64(HOUR..2 * HOUR);
            [usual(c), machine(c, begin, 20, 3600, 0)].concat()
        },
        0,
    ),
    (
        "the same, and nobody else but three",
        |c| {
            let begin = c.i64(HOUR..2 * HOUR);
            let three = (0..3).map(|n| stranger(c.i64(0..DAY), n)).collect();
            [three, machine(c, begin, 20, 3600, 1)].concat()
        },
        0,
    ),
    (
        "200 alarms an hour at random",
        |c| {
            let begin = c.i64(HOUR..2 * HOUR);
            let alarms = at_random(c, 18.0, HOUR, 1);
            let later = alarms
                .into_iter()
                .map(|(at, from, host, more)| (begin + at, from, host, more));
            [usual(c), later.collect()].concat()
        },
        10,
    ),
    ("a known monitor each minute", |c| known(c, 60, 0), 3),
    ("a known monitor each 18 s", |c| known(c, 18, 0), 14),
    ("a known monitor, 200 an hour", |c| known(c, 3, 30), 3),
    (
        "a series of 25, one a second",
        |c| {
            let begin = c.i64(HOUR..20 * HOUR);
            [usual(c), machine(c, begin, 25, 1, 0)].concat()
        },
        3,
    ),
    (
        "a series of 25, one in 5 s, slowly",
        |c| {
            let begin = c.i64(HOUR..20 * HOUR);
            [usual(c), machine(c, begin, 25, 4, 3)].concat()
        },
        3,
    ),
    (
        "a series right behind a message",
        |c| {
            let begin = c.i64(HOUR..20 * HOUR);
            let behind = begin - c.i64(0..30);
            [vec![stranger(behind, 7)], machine(c, begin, 8, 3, 4)].concat()
        },
        3,
    ),
    (
        "five photos, a minute each, behind one",
        |c| {
            let begin = c.i64(HOUR..20 * HOUR);
            let behind = begin - c.i64(0..300);
            [vec![stranger(behind, 7)], machine(c, begin, 5, 50, 20)].concat()
        },
        0,
    ),
    (
        "30 new hosts report at 6:25, for 3 days",
        |c| {
            let report = |n: i64| {
                let host = n % 30;
                let at = n / 30 * DAY + 23_100 + c.i64(0..8) + c.i64(0..8);
                planned(at, format!("root@c{host}.test"), format!("mx.c{host}.test"))
            };
            (0..90).map(report).collect()
        },
        0,
    ),
    (
        "50 newsletters of 50 hosts within 5 minutes",
        |c| (0..50).map(|n| stranger(25_200 + c.i64(0..300), n)).collect(),
        0,
    ),
    (
        "40 hosts bring what waited",
        |c| (0..40).map(|n| stranger(25_200 + c.i64(0..60), n)).collect(),
        0,
    ),
    (
        "a petition, 200 within an hour",
        |c| (0..200).map(|n| stranger(25_200 + c.i64(0..HOUR), n)).collect(),
        0,
    ),
];

/// How many messages came, and how many were kept.
fn live(day: Day, seed: u64) -> (usize, Vec<Brake>) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut letters = day(&mut chance);
    letters.sort();
    let mut traffic = Traffic::default();
    for (number, (at, from, host, more)) in letters.iter().enumerate() {
        let _ = traffic.comes(1_000_000 + at, &mail(from, host, number, more));
    }
    (letters.len(), traffic.brakes)
}

#[test]
fn days_of_people_and_machines_lose_few_to_the_brake() {
    let seeds = option_env!("SPOOLGUARD_DAYS").and_then(|n| n.parse().ok()).unwrap_or(1);
    let (mut table, mut is_more) = (String::new(), false);
    for (name, day, most) in DAYS {
        let (mut came, mut brakes) = (0, Vec::new());
        for seed in 0..seeds {
            let (count, kept) = live(day, seed);
            came += count;
            is_more |= kept.len() > most;
            brakes.extend(kept);
        }
        table += &format!("{name:46}{came:>8} came, kept {}: {brakes:?}\n", brakes.len());
    }
    assert!(!is_more, "{table}");
    if option_env!("SPOOLGUARD_TABLES").is_some() {
        let _ = std::io::stdout().write_all(table.as_bytes());
    }
}

/// Strangers at many hosts who write as a clock does. One that is kept shows for a day that they go on.
#[test]
fn strangers_at_the_pace_of_a_clock_lose_one_a_day() {
    for pause in [1, 5, 60, 300, 3600] {
        let mut traffic = Traffic::default();
        for n in 0..200 {
            let (_, from, host, _) = stranger(0, n);
            let _ = traffic.comes(1_000_000 + n as i64 * pause, &mail(&from, &host, n, ""));
        }
        let most = 1 + usize::try_from(200 * pause / DAY).unwrap_or(0);
        assert!(traffic.braked <= most, "every {pause} s: {}", traffic.braked);
    }
}

/// The alarms of a new machine, of which the first comes behind a message of somebody as long as each behind the last.
#[test]
fn alarms_that_begin_like_answers_lose_one() {
    for pause in [300, 3600] {
        let mut traffic = Traffic::default();
        assert!(traffic.comes(1_000_000, &mail("ann@s.test", "mail.s.test", 1000, "")));
        for n in 1..24 {
            let _ = traffic.comes(1_000_000 + n as i64 * pause, &mail("root@m.test", "m.test", n, ""));
        }
        assert_eq!(traffic.braked, 1, "every {pause} s");
    }
}
