//! A table of desks: how each answers, how long it takes, and how many of its answers go on until it rests.
//! `SPOOLGUARD_TABLES=1 cargo test --lib answers_of_each_desk` prints it.

use std::collections::VecDeque;
use std::io::Write;

use super::quoting::{PLAIN, own_words, with_content};
use super::{Traffic, mail};

/// How long a desk takes, in seconds.
const PAUSES: [i64; 4] = [1, 60, 300, 3600];

/// Here a desk is thought to go on for ever.
const MOST: usize = 300;

/// Who writes the answer of this number: a name and a host.
type Author = fn(usize) -> (String, String);

/// What a desk does.
struct Desk {
    name: &'static str,
    author: Author,
    quotes: bool,
    /// It waits for so many messages,
    batch: usize,
    /// and makes so many answers then.
    answers: usize,
    /// So many go on at most, for each of `PAUSES`.
    most: [usize; 4],
}

const NEAR: Author = |n| (format!("x{n}@desk.test"), "mx.desk.test".to_owned());
const NEAR_ONE: Author = |_| ("it@desk.test".to_owned(), "mx.desk.test".to_owned());
const OTHER: Author = |n| (format!("x@d{n}.test"), "mx.cloud.test".to_owned());
const OTHER_ONE: Author = |_| ("it@cloud.test".to_owned(), "mx.cloud.test".to_owned());
const ANY: Author = |n| (format!("x@d{n}.test"), format!("h{n}.test"));
const WRITER: Author = |_| ("ann@s.test".to_owned(), "mail.s.test".to_owned());

const fn desk(name: &'static str, author: Author, (batch, answers): (usize, usize), most: [usize; 4]) -> Desk {
    Desk {
        name,
        author,
        quotes: false,
        batch,
        answers,
        most,
    }
}

/// The same desk, where it quotes what it answers.
const fn quoting(desk: Desk) -> Desk {
    Desk { quotes: true, ..desk }
}

const DESKS: [Desk; 22] = [
    desk("at the destination, one name", NEAR_ONE, (1, 1), [3, 3, 3, 3]),
    desk("at the destination, one name, twice", NEAR_ONE, (1, 2), [3, 3, 5, 4]),
    desk("at the destination, one name, 3 for 3", NEAR_ONE, (3, 3), [8, 6, 6, 4]),
    desk("at the destination, any name", NEAR, (1, 1), [3, 3, 3, 3]),
    desk("at the destination, any name, twice", NEAR, (1, 2), [3, 3, 300, 114]),
    desk("at the destination, any name, 3 for 3", NEAR, (3, 3), [8, 8, 18, 13]),
    desk("another host, one name", OTHER_ONE, (1, 1), [5, 3, 3, 3]),
    desk("another host, one name, twice", OTHER_ONE, (1, 2), [29, 6, 5, 4]),
    desk("another host, one name, five times", OTHER_ONE, (1, 5), [29, 28, 5, 5]),
    desk("another host, one name, 3 for 3", OTHER_ONE, (3, 3), [10, 6, 6, 4]),
    desk("another host, any name", OTHER, (1, 1), [3, 3, 3, 3]),
    desk("another host, any name, twice", OTHER, (1, 2), [3, 7, 300, 114]),
    desk("another host, any name, 3 for 3", OTHER, (3, 3), [8, 12, 18, 13]),
    desk("any host", ANY, (1, 1), [12, 3, 3, 3]),
    desk("any host, twice", ANY, (1, 2), [300, 300, 300, 300]),
    quoting(desk("another host, one name, quotes", OTHER_ONE, (1, 1), [3, 3, 3, 3])),
    quoting(desk(
        "another host, one name, quotes, twice",
        OTHER_ONE,
        (1, 2),
        [5, 6, 5, 4],
    )),
    quoting(desk(
        "another host, one name, quotes, 3 for 3",
        OTHER_ONE,
        (3, 3),
        [7, 6, 6, 4],
    )),
    quoting(desk("any host, quotes", ANY, (1, 1), [3, 3, 3, 3])),
    quoting(desk("any host, quotes, twice", ANY, (1, 2), [12, 14, 30, 20])),
    desk("the writer's own, under their name", WRITER, (1, 1), [9, 199, 288, 24]),
    desk("the writer's own, twice", WRITER, (1, 2), [29, 29, 300, 300]),
];

/// How many answers go on within a day, or until there are too many. The first message came by itself; `batch` of them, where the desk
/// waits for so many.
fn count_answers(desk: &Desk, pause: i64) -> usize {
    let mut traffic = Traffic::default();
    let mut waiting = VecDeque::new();
    for n in 0..desk.batch {
        let header = mail(&WRITER(n).0, &WRITER(n).1, n, "");
        let text = with_content(&header, (PLAIN.to_owned(), own_words(n)));
        let at = 20_000 + n as i64;
        assert!(traffic.comes(at, &text), "{}", desk.name);
        waiting.push_back((at, text));
    }
    let (mut number, mut went) = (100, 0);
    while waiting.len() >= desk.batch && went < MOST {
        let read: Vec<(i64, String)> = waiting.drain(..desk.batch).collect();
        let last = read.iter().map(|(at, _)| *at).max().unwrap_or(0) + pause;
        let mut answers = Vec::new();
        for n in 0..desk.answers {
            number += 1;
            let (from, host) = (desk.author)(number);
            let before = read.get(n % desk.batch).map_or("", |(_, text)| super::body(text));
            let body = match desk.quotes {
                true => format!("{}\n> {}", own_words(number), before.replace('\n', "\n> ")),
                false => own_words(number),
            };
            let text = with_content(&mail(&from, &host, number, ""), (PLAIN.to_owned(), body));
            answers.push((last + n as i64, text));
        }
        if last > 20_000 + 86_400 {
            break;
        }
        for (at, text) in answers {
            if traffic.comes(at, &text) {
                went += 1;
                waiting.push_back((at, text));
            }
        }
        // The next to be answered is the one that came first.
        waiting.make_contiguous().sort_by_key(|(at, _)| *at);
    }
    went
}

#[test]
fn answers_of_each_desk_are_no_more_than_the_table_says() {
    let mut table = format!(
        "{:42}{:>8}{:>8}{:>8}{:>8}\n",
        "answers that go on, after", "1 s", "60 s", "300 s", "3600 s"
    );
    let mut is_more = false;
    for desk in &DESKS {
        table += &format!("{:42}", desk.name);
        for (pause, most) in PAUSES.iter().zip(desk.most) {
            let went = count_answers(desk, *pause).min(MOST);
            is_more |= went > most;
            table += &format!("{went:>6}{:2}", if went > most { "!" } else { "" });
        }
        table.push('\n');
    }
    assert!(!is_more, "{table}");
    if option_env!("SPOOLGUARD_TABLES").is_some() {
        let _ = std::io::stdout().write_all(table.as_bytes());
    }
}
