//! Responders of many kinds at every speed, and people of every kind: the first end, the second pass. Time is simulated.

mod days;
mod matrix;
mod quoting;

use std::collections::BTreeSet;

use super::{Brake, weigh_arrival};
use crate::classify::classify;
use crate::classify::verdict::Facts;
use crate::deliver::forward::rules::past::{Past, Was};
use crate::deliver::forward::rules::sketch::Arrival;
use crate::message::Message;
use crate::message::address::{Address, OwnAddresses};
use crate::message::envelope::Sender;
use crate::message::key::of_id;

const RECENT: usize = 1100;

const TO: &str = "desk@desk.test";

/// What the history of one user would hold, for one destination.
#[derive(Default)]
struct Traffic {
    past: Vec<Past>,
    /// The Message-ID of each, as the history has it.
    ids: Vec<Option<String>>,
    braked: usize,
    brakes: Vec<Brake>,
}

impl Traffic {
    /// A message comes in; true where it is sent on.
    fn comes(&mut self, at: i64, text: &str) -> bool {
        let mut own = OwnAddresses::new("+");
        own.add(Address::parse("a@a.test").unwrap_or_else(|| unreachable!()));
        let message = Message::new(text.as_bytes());
        let from = message.first("From").unwrap_or_default();
        let sender = Sender::read(from.rsplit('<').next().unwrap_or_default());
        let facts = Facts {
            sender: &sender,
            own: &own,
            max_hops: 50,
            hosts: &[],
            relays: &[],
        };
        let judgement = classify(&message, &facts);
        let arrival = Arrival::of(&message, &sender, &own, &judgement);
        // As much as is read of a history.
        let recent = self
            .past
            .get(self.past.len().saturating_sub(RECENT)..)
            .unwrap_or_default();
        let is_cause = |id: &Option<String>| {
            id.as_ref()
                .is_some_and(|id| arrival.attached.contains(id) || arrival.references.contains(id))
        };
        let sent = self
            .past
            .iter()
            .zip(&self.ids)
            .filter(|(past, _)| past.was == Was::Sent);
        let causes: Vec<Past> = sent
            .filter(|(_, id)| is_cause(id))
            .map(|(past, _)| past.clone())
            .collect();
        let weighed = weigh_arrival(&arrival, arrival.is_near(TO), recent, &causes, at);
        let was = match weighed.brake {
            None => Was::Sent,
            Some(_) => Was::Braked,
        };
        self.braked += usize::from(was == Was::Braked);
        self.brakes.extend(weighed.brake);
        self.ids.push(message.first("Message-ID").and_then(|id| of_id(&id)));
        self.past.push(Past {
            at,
            was,
            sketch: weighed.sketch,
        });
        was == Was::Sent
    }
}

/// A message of `from` through `host`, unlike every other one.
fn mail(from: &str, host: &str, number: usize, more: &str) -> String {
    format!(
        "Received: from {host} ({host} [192.0.2.8]) by mx.a.test with ESMTP\nFrom: {from}\nTo: a@a.test\n\
         Subject: {} {}\nMessage-ID: <{number}@{host}>\n{more}\n{} {} {}\n",
        word(number * 7),
        word(number * 7 + 1),
        word(number * 7 + 2),
        word(number * 7 + 3),
        word(number * 7 + 4)
    )
}

/// When somebody writes, as people do: one each `pause` seconds, and never as a clock does.
fn by_chance(number: usize, pause: i64) -> i64 {
    number as i64 * pause + fastrand::Rng::with_seed(number as u64).i64(0..=pause)
}

/// A word that nobody else uses.
fn word(number: usize) -> String {
    let mut rest = number.wrapping_mul(2_654_435_761) % 1_000_000_007;
    let mut word = String::new();
    while rest > 0 {
        word.push(char::from(b'a' + u8::try_from(rest % 26).unwrap_or(0)));
        rest /= 26;
    }
    word
}

/// How many messages of a responder are sent on, where `turn` makes the next one from the number of the turn and what it answers.
fn turns(round_trip: i64, turn: impl Fn(usize, &str) -> String) -> usize {
    let mut traffic = Traffic::default();
    let mut at = 1_000_000;
    let mut last = mail("ann@s.test", "mail.s.test", 1, "");
    assert!(traffic.comes(at, &last));
    for number in 0..40 {
        at += round_trip;
        last = turn(number + 2, &last);
        if !traffic.comes(at, &last) {
            return number;
        }
    }
    40
}

fn subject(text: &str) -> &str {
    text.lines()
        .find_map(|line| line.strip_prefix("Subject: "))
        .unwrap_or_default()
}

fn body(text: &str) -> &str {
    text.split_once("\n\n").map_or("", |(_, body)| body)
}

/// `text` with another subject.
fn with_subject(text: &str, other: &str) -> String {
    text.replacen(
        &format!("Subject: {}\n", subject(text)),
        &format!("Subject: {other}\n"),
        1,
    )
}

/// The header of `text`, and `body`.
fn with_body(text: &str, body: &str) -> String {
    let header = text.split_once("\n\n").map_or("", |(header, _)| header);
    format!("{header}\n\n{body}")
}

type Turn = fn(usize, &str) -> String;

const RESPONDERS: [(&str, Turn); 8] = [
    ("another name each time", |n, _| {
        mail(&format!("x{n}@desk.test"), "desk.test", n, "")
    }),
    ("another domain each time", |n, _| {
        mail(&format!("x@d{n}.test"), "mx.desk.test", n, "")
    }),
    ("one name, and answers to nothing", |n, _| {
        mail("it@desk.test", "desk.test", n, &format!("In-Reply-To: <{n}@x.test>\n"))
    }),
    ("through a host of others", |n, _| {
        mail(&format!("x@d{n}.test"), "mx.cloud.test", n, "")
    }),
    ("its subject holds the one before", |n, before| {
        let text = mail(&format!("x@d{n}.test"), &format!("h{n}.test"), n, "");
        with_subject(&text, &format!("Ticket {}: {}", word(n), subject(before)))
    }),
    ("a gateway that mails the text on", |n, before| {
        with_body(&mail("Ann <ann@s.test>", "gw.desk.test", n, ""), body(before))
    }),
    ("the same, with a line below each time", |n, before| {
        let text = format!("{}-- \nby the gateway\n", body(before));
        with_body(&mail("ann@s.test", "desk.test", n, ""), &text)
    }),
    ("says that it is an automatic answer", |n, _| {
        mail(
            "x@elsewhere.test",
            &format!("h{n}.test"),
            n,
            "Auto-Submitted: auto-replied\n",
        )
    }),
];

#[test]
fn whatever_answers_is_ended_whatever_it_says() {
    for (name, turn) in RESPONDERS {
        for round_trip in [0, 1, 15] {
            let went = turns(round_trip, turn);
            assert!(went <= 3, "{name}, {round_trip} s: {went}");
        }
    }
    // Slower ones, as far as their answers share something with what they answer, or come within two minutes.
    for (at, round_trips) in [
        (0, &[60, 110][..]),
        (1, &[60, 110]),
        (3, &[60, 110]),
        (4, &[60]),
        (5, &[60, 600, 3600]),
        (6, &[60, 600, 3600]),
        (7, &[60, 500]),
    ] {
        let Some((name, turn)) = RESPONDERS.get(at) else {
            continue;
        };
        for round_trip in round_trips {
            let went = turns(*round_trip, turn);
            assert!(went <= 8, "{name}, {round_trip} s: {went}");
        }
    }
    let list = |n: usize, _: &str| mail(&format!("x{n}@desk.test"), "desk.test", n, "List-Id: <x>\n");
    for round_trip in [0, 1, 15] {
        let went = turns(round_trip, list);
        assert!(went <= 3, "says that it is a list, {round_trip} s: {went}");
    }
}

/// Another name, domain and host each time, and nothing that stays but the text it answers.
#[test]
fn whoever_quotes_the_whole_is_ended_from_wherever_it_comes() {
    let quoted = |number: usize, before: &str| {
        let text = mail(&format!("x@d{number}.test"), &format!("h{number}.test"), number, "");
        let lines: String = body(before).lines().map(|line| format!("> {line}\n")).collect();
        with_body(&text, &format!("{}\n{lines}", body(&text)))
    };
    for round_trip in [1, 60, 3600] {
        let mut traffic = Traffic::default();
        let mut last = with_body(
            &mail("ann@s.test", "mail.s.test", 1, ""),
            "The printer on the third floor is broken again.\n",
        );
        assert!(traffic.comes(0, &last));
        let went = (2..40).take_while(|number| {
            last = quoted(*number, &last);
            traffic.comes(round_trip * *number as i64, &last)
        });
        assert_eq!(went.count(), 3, "{round_trip} s");
    }
    // One text from many, and people who are named in what they quote.
    let mut traffic = Traffic::default();
    let alarm = |number: usize| {
        let text = mail(
            &format!("root@db{number}.test"),
            &format!("db{number}.test"),
            number,
            "",
        );
        with_body(&text, "The backup of last night failed, and nobody knows why.\n")
    };
    assert!((0..30).all(|number| traffic.comes(by_chance(number, 60), &alarm(number))));
    let mut traffic = Traffic::default();
    let mut last = alarm(1);
    for number in 2..30 {
        let more = format!("Cc: u{number}@s{number}.test, u{}@s{}.test\n", number + 1, number + 1);
        let text = mail(
            &format!("u{number}@s{number}.test"),
            &format!("h{number}.test"),
            number,
            &more,
        );
        last = with_body(&text, &format!("{}\n{}", body(&text), body(&last)));
        assert!(traffic.comes(by_chance(number, 60), &last), "{number}");
    }
}

/// `text` with `inside` attached.
fn with_attached(text: &str, inside: &str, encoding: &str) -> String {
    let (header, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let inside = match encoding {
        "base64" => data_encoding::BASE64.encode(inside.as_bytes()),
        _ => inside.to_owned(),
    };
    format!(
        "{header}\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n{body}\n--b\nContent-Type: message/rfc822\n\
         Content-Transfer-Encoding: {encoding}\n\n{inside}\n--b--\n"
    )
}

#[test]
fn whoever_attaches_what_it_answers_is_ended_wherever_from() {
    let from_anywhere = |number: usize| mail(&format!("x@d{number}.test"), &format!("h{number}.test"), number, "");
    for encoding in ["7bit", "base64"] {
        for round_trip in [1, 60, 3600] {
            let mut traffic = Traffic::default();
            let mut last = mail("ann@s.test", "mail.s.test", 1, "");
            assert!(traffic.comes(0, &last));
            let went = (2..40).take_while(|number| {
                last = with_attached(&from_anywhere(*number), &last, encoding);
                traffic.comes(round_trip * *number as i64, &last)
            });
            assert_eq!(went.count(), 3, "{encoding}, {round_trip} s");
        }
    }
    // Many pass on to the user what the user got before.
    let mut traffic = Traffic::default();
    let plan = mail("ann@s.test", "mail.s.test", 1, "");
    assert!(traffic.comes(0, &plan));
    for number in 2..40 {
        let text = with_attached(&from_anywhere(number), &plan, "7bit");
        assert!(traffic.comes(by_chance(number, 60), &text), "{number}");
    }
}

/// Of runs that wait for their turn, one that began a second later may be the first.
#[test]
fn answers_at_once_are_few_in_whatever_order_they_are_judged() {
    let orders: [&[i64]; 5] = [
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 1, 0, 1, 0, 1, 0, 1, 0],
        &[1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        &[3, 0, 2, 1, 0, 4, 1, 3, 0, 2],
        &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    for order in orders {
        let mut traffic = Traffic::default();
        assert!(traffic.comes(1_000_000, &mail("ann@s.test", "mail.s.test", 1, "")));
        let sent = (2..).zip(order).filter(|(number, later)| {
            let from = format!("x{number}@desk.test");
            traffic.comes(1_000_001 + **later, &mail(&from, "mx.desk.test", *number, ""))
        });
        assert_eq!(sent.count(), 3, "{order:?}");
    }
}

#[test]
fn a_loop_nobody_can_tell_from_mail_is_ended_by_number() {
    let mut traffic = Traffic::default();
    let went = (0..1100).filter(|n| {
        traffic.comes(
            by_chance(*n as usize, 1),
            &mail(&format!("x@d{n}.test"), &format!("h{n}.test"), *n as usize, ""),
        )
    });
    assert_eq!(went.count(), super::FLOOD);
}

/// How many messages of a machine are sent on, where it wrote the first one itself and is known.
fn turns_of_known(round_trip: i64, turn: impl Fn(usize, &str) -> String) -> usize {
    let mut traffic = Traffic::default();
    let mut last = turn(1, "Subject: printer broken\n\nIt does not print.\n");
    assert!(traffic.comes(1_000_000, &last));
    (0..100)
        .find(|number| {
            last = turn(number + 2, &last);
            !traffic.comes(1_000_000 + (*number as i64 + 1) * round_trip, &last)
        })
        .unwrap_or(100)
}

#[test]
fn whoever_wrote_first_and_then_answers_by_machine_is_ended() {
    let grows: Turn = |n, before| {
        let text = mail("d@d.test", "mail.d.test", n, "");
        with_subject(&text, &format!("Ticket received: {}", subject(before)))
    };
    let marked: Turn = |n, _| mail("d@d.test", "mail.d.test", n, "Auto-Submitted: auto-replied\n");
    for (name, turn) in [("its subject grows", grows), ("it says so", marked)] {
        for round_trip in [0, 1, 15, 60] {
            let went = turns_of_known(round_trip, turn);
            assert!(went <= 3, "{name}, {round_trip} s: {went}");
        }
    }
    let unlike: Turn = |n, _| mail("d@d.test", "mail.d.test", n, "");
    let same: Turn =
        |_, _| "Received: from d.test by mx.a.test\nFrom: d@d.test\nSubject: thanks\n\nWe have it.\n".to_owned();
    for (name, turn) in [("nothing is alike", unlike), ("all is the same", same)] {
        for (round_trip, most) in [(0, 30), (1, 10), (5, 10), (15, 10)] {
            let went = turns_of_known(round_trip, turn);
            assert!(went <= most, "{name}, {round_trip} s: {went}");
        }
    }
}

#[test]
fn a_machine_that_writes_for_somebody_else_is_ended() {
    let answers: Turn = |n, _| mail("ann@s.test", "mail.d.test", n, "");
    for round_trip in [0, 1, 15] {
        let went = turns(round_trip, answers);
        assert!(went <= 3, "{round_trip} s: {went}");
    }
}

#[test]
fn where_nobody_else_wrote_a_machine_there_is_ended() {
    let mut traffic = Traffic::default();
    assert!(traffic.comes(0, &mail("bob@desk.test", "mail.desk.test", 1, "")));
    let went = (2..50).take_while(|n| traffic.comes(*n as i64, &mail(&format!("x{n}@desk.test"), "desk.test", *n, "")));
    assert!(went.count() <= 3);
}

#[test]
fn a_burst_of_one_writer_goes_on_but_for_a_few() {
    // The commits of a push, and the alarms of a night, of a writer who is known.
    for (count, pause, kept) in [(25, 0, 0), (200, 0, 2), (200, 2, 5)] {
        let mut traffic = Traffic::default();
        assert!(traffic.comes(0, &mail("git@m.test", "git.m.test", 1000, "")));
        assert!(traffic.comes(20_000, &mail("ann@s.test", "mail.s.test", 1001, "")));
        for n in 0..count {
            let _ = traffic.comes(20_100 + n as i64 * pause, &mail("git@m.test", "git.m.test", n, ""));
        }
        assert!(traffic.braked <= kept, "{count} every {pause} s: {}", traffic.braked);
    }
    // A new list at the destination's domain, with mail that waited; and colleagues there who all write at once.
    let mut traffic = Traffic::default();
    for n in 0..4 {
        assert!(traffic.comes(n * 5000, &mail("ann@s.test", "mail.s.test", n as usize, "")));
        let text = mail(
            &format!("u{n}@desk.test"),
            "lists.desk.test",
            50 + n as usize,
            "List-Id: <x>\n",
        );
        assert!(traffic.comes(n * 5000 + 1000, &text));
    }
    for n in 0..20 {
        let text = mail(&format!("v{n}@desk.test"), "lists.desk.test", 100 + n, "List-Id: <x>\n");
        assert!(traffic.comes(20_000 + n as i64, &text), "{n}");
    }
}

/// The patches of a series, a host's reports, the pages of a scanner, by somebody who never wrote before, behind mail of others.
#[test]
fn a_burst_of_somebody_new_goes_on_but_for_a_few() {
    for behind in [&[5][..], &[300], &[5, 60, 200]] {
        for (count, pause) in [(25, 1), (30, 0), (30, 10), (25, 30), (25, 60)] {
            let mut traffic = Traffic::default();
            for (n, before) in (0..).zip(behind) {
                let text = mail(&format!("u{n}@s{n}.test"), &format!("mail.s{n}.test"), 900 + n, "");
                assert!(traffic.comes(10_000 - before, &text));
            }
            for n in 0..count {
                let text = mail("dev@k.test", "mail.k.test", n, "");
                let _ = traffic.comes(10_000 + n as i64 * pause, &text);
            }
            let kept = traffic.braked;
            assert!(kept <= 5, "{count} every {pause} s behind {behind:?}: {kept}");
        }
    }
}

/// How many answers are sent on within a day, where each message that is sent is answered `times` times, a second after the other.
fn repeated_answers(round_trip: i64, times: i64, first: &str, from: &str, host: &str) -> usize {
    let mut traffic = Traffic::default();
    assert!(traffic.comes(0, first));
    let mut coming: BTreeSet<(i64, usize)> = (0..times).map(|n| (round_trip + n, n as usize)).collect();
    let (mut number, mut sent) = (100, 0);
    while let Some((at, id)) = coming.pop_first().filter(|(at, _)| *at < 86_400 && sent < 3000) {
        if traffic.comes(at, &mail(from, host, 10 + id, "")) {
            sent += 1;
            coming.extend((0..times).map(|n| (at + round_trip + n, number + n as usize)));
            number += times as usize;
        }
    }
    sent
}

#[test]
fn whoever_answers_everything_twice_or_slowly_is_ended() {
    for (times, round_trip) in [(1, 60), (2, 1), (2, 15), (2, 60), (3, 1), (3, 60)] {
        for (from, host) in [("it@desk.test", "mx.desk.test"), ("it@cloud.test", "mx.cloud.test")] {
            let known = repeated_answers(round_trip, times, &mail(from, host, 1, ""), from, host);
            assert!(known < 200, "{from} wrote first, {times} each {round_trip} s: {known}");
            let ann = mail("ann@s.test", "mail.s.test", 1, "");
            let unknown = repeated_answers(round_trip, times, &ann, from, host);
            let most = if host.ends_with("desk.test") { 3 } else { 35 };
            assert!(unknown <= most, "{from}, {times} each {round_trip} s: {unknown}");
        }
    }
}

#[test]
fn mail_of_people_goes_on_while_the_brake_holds() {
    let mut traffic = Traffic::default();
    let (mut people, mut answers) = (0, 0);
    for n in 0..60 {
        let at = by_chance(n as usize, 60);
        let (from, host) = (format!("u{n}@s{n}.test"), format!("mail.s{n}.test"));
        assert!(traffic.comes(at, &mail(&from, &host, n as usize * 1000, "")), "{from}");
        people += 1;
        for turn in 1..50 {
            let number = n as usize * 1000 + turn;
            if !traffic.comes(
                at + turn as i64,
                &mail(&format!("x{number}@desk.test"), "desk.test", number, ""),
            ) {
                break;
            }
            answers += 1;
        }
    }
    assert_eq!(people, 60);
    assert!(answers <= 3, "{answers}");
}

#[test]
fn people_pass_however_much_they_write() {
    // Two who talk as fast as they can, one of them at the destination's domain.
    for (from, host) in [("ann@s.test", "mail.s.test"), ("bob@desk.test", "mail.desk.test")] {
        let mut traffic = Traffic::default();
        for n in 0..60 {
            let text = with_subject(
                &mail(from, host, n, "In-Reply-To: <u@desk.test>\n"),
                "Re: lunch on friday",
            );
            assert!(traffic.comes(n as i64 * 45, &text), "{from}, {n}");
        }
    }
    // Five hundred within an hour, each with a domain and a host, and all through one host.
    for host in ["", "mx.filter.test"] {
        let mut traffic = Traffic::default();
        for n in 0..900 {
            let own = format!("mail.s{n}.test");
            let text = mail(
                &format!("u{n}@s{n}.test"),
                if host.is_empty() { &own } else { host },
                n,
                "",
            );
            assert!(traffic.comes(by_chance(n, 7), &text), "{host} {n}");
        }
    }
    // A third, a half, nearly all of them at the destination's domain, which is a large provider. Of the last some look like answers, as
    // long as nothing is remembered but them.
    for (near, all, most) in [(1, 3, 0), (1, 2, 1), (2, 3, 60)] {
        let mut traffic = Traffic::default();
        let mut chance = fastrand::Rng::with_seed(near as u64 * 10 + all as u64);
        for n in 0..900 {
            let is_near = chance.usize(..all) < near;
            let (domain, host) = if is_near {
                ("desk".to_owned(), "mx.desk.test".to_owned())
            } else {
                (format!("s{n}"), format!("mx.s{n}.test"))
            };
            let text = mail(&format!("u{n}@{domain}.test"), &host, n, "");
            let _ = traffic.comes(n as i64 * 36 / 5 + chance.i64(0..5), &text);
        }
        assert!(traffic.braked <= most, "{near} of {all}: {:?}", traffic.brakes);
    }
    // Alarms, the same each time, for a day; and a burst of them behind a message of somebody.
    let mut traffic = Traffic::default();
    assert!(traffic.comes(0, &mail("ann@s.test", "mail.s.test", 1, "")));
    for n in 0..288 {
        let text = with_subject(
            &mail("nagios@m.test", "nagios.m.test", 2, ""),
            "PROBLEM: disk full on db1",
        );
        assert!(traffic.comes(4000 + n * 300, &text), "{n}");
    }
}

#[test]
fn lists_and_newsletters_pass_whoever_writes_there() {
    let mut traffic = Traffic::default();
    for n in 0..500 {
        // Half of the people of the list are at the destination's domain, and quote what they answer.
        let domain = if n % 2 == 0 { "desk" } else { "s" };
        let more = "List-Id: <dev.l.test>\nIn-Reply-To: <1@l.test>\n";
        let text = mail(&format!("u{}@{domain}.test", n % 30), "lists.l.test", n / 3, more);
        let text = with_body(
            &text,
            &format!("> The text of all that went before, as people quote it.\n{}", word(n)),
        );
        assert!(traffic.comes(n as i64 * 20, &text), "list {n}");
        let from = format!("news@n{}.test", n % 60);
        let text = mail(
            &from,
            &format!("mta.n{}.test", n % 60),
            9000 + n,
            "List-Unsubscribe: <mailto:u@n.test>\nPrecedence: bulk\n",
        );
        assert!(traffic.comes(n as i64 * 20 + 1, &text), "newsletter {n}");
    }
}

#[test]
fn automatic_answers_to_what_the_user_wrote_pass_up_to_a_number() {
    let mut traffic = Traffic::default();
    assert!(traffic.comes(0, &mail("ann@s.test", "mail.s.test", 1, "")));
    let away = |n: usize| {
        mail(
            &format!("u{n}@s{n}.test"),
            &format!("h{n}.test"),
            n,
            "Auto-Submitted: auto-replied\n",
        )
    };
    let went = (10..90).filter(|n| traffic.comes(by_chance(*n, 1), &away(*n))).count();
    assert_eq!(went, super::AUTO_REPLIES);
    assert!(
        traffic.comes(95, &mail("bob@t.test", "mail.t.test", 2, "")),
        "others pass"
    );
}

#[test]
fn what_a_brake_says_names_its_reason() {
    let mut traffic = Traffic::default();
    assert!(traffic.comes(0, &mail("ann@s.test", "mail.s.test", 1, "")));
    let (mut at, mut reasons) = (0, Vec::new());
    for n in 2..8 {
        at += 1;
        let text = mail(&format!("x{n}@desk.test"), "desk.test", n, "");
        let message = Message::new(text.as_bytes());
        let sender = Sender::Address(format!("x{n}@desk.test"));
        let own = OwnAddresses::new("+");
        let facts = Facts {
            sender: &sender,
            own: &own,
            max_hops: 50,
            hosts: &[],
            relays: &[],
        };
        let arrival = Arrival::of(&message, &sender, &own, &classify(&message, &facts));
        reasons.push(weigh_arrival(&arrival, arrival.is_near(TO), &traffic.past, &[], at).brake);
        let _ = traffic.comes(at, &text);
    }
    assert_eq!(
        reasons.get(2..5),
        Some(&[None, Some(Brake::Chain), Some(Brake::Chain)][..]),
        "{reasons:?}"
    );
}
