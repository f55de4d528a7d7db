//! Desks that quote what they answer in every way that programs have, and people who repeat what others wrote.

use super::{Traffic, by_chance, mail, word};
use crate::message::Message;
use crate::message::mime::{MimeParts, PartKind};
use crate::message::text::part_text;

pub(super) const PLAIN: &str = "Content-Type: text/plain; charset=utf-8";
const HTML: &str = "Content-Type: text/html; charset=utf-8";
const ENCODED: &str = "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding:";

/// What a desk writes under a header, from words of its own and from the message that it answers: MIME fields, and a body.
type Quote = fn(&str, &str) -> (String, String);

/// The header of `text`, with a body.
pub(super) fn with_content(text: &str, (fields, body): (String, String)) -> String {
    let header = text.split_once("\n\n").map_or("", |(header, _)| header);
    format!("{header}\n{fields}\n\n{body}")
}

/// Five words that nobody else uses.
pub(super) fn own_words(number: usize) -> String {
    let words = (0..5).map(|n| word(number * 7 + 100_003 * n));
    words.collect::<Vec<_>>().join(" ")
}

/// The longest text of a message, as people see it.
fn seen(text: &str) -> String {
    let message = Message::new(text.as_bytes());
    let texts: Vec<String> = MimeParts::of(&message).all(PartKind::Text).map(part_text).collect();
    let longest = texts.into_iter().max_by_key(String::len).unwrap_or_default();
    longest.trim().to_owned()
}

fn message_id(text: &str) -> String {
    let id = Message::new(text.as_bytes())
        .first("Message-ID")
        .map(|id| id.into_owned());
    id.unwrap_or_default()
}

/// As HTML, with each line in a paragraph.
fn html(own: &str, before: &str) -> String {
    let quoted = seen(before)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('\u{fc}', "&uuml;")
        .replace('\'', "&#x27;");
    let lines: String = quoted
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| format!("<p class=MsoNormal><span>{line}</span></p>"))
        .collect();
    format!("<html><style>p {{ margin: 0 }}</style><span>{own}</span><blockquote>{lines}</blockquote></html>")
}

fn alternative(plain: &str, html: &str) -> (String, String) {
    let body = format!("--bb\n\n{plain}\n--bb\n{HTML}\n\n{html}\n--bb--\n");
    ("Content-Type: multipart/alternative; boundary=bb".to_owned(), body)
}

const QUOTES: [(&str, Quote); 13] = [
    ("with marks", |own, before| {
        let lines: String = seen(before).lines().map(|line| format!("> {line}\n")).collect();
        (PLAIN.to_owned(), format!("{own}\n{lines}"))
    }),
    ("below its own words", |own, before| {
        let text = format!("{own}\n--- Original ---\n{}", seen(before));
        (PLAIN.to_owned(), text)
    }),
    ("wrapped anew", |own, before| {
        let words: Vec<String> = seen(before).split_whitespace().map(str::to_owned).collect();
        let lines: String = words.chunks(3).map(|line| line.join(" ") + "\n").collect();
        (PLAIN.to_owned(), format!("{own}\n{lines}"))
    }),
    ("in another charset", |own, before| {
        let text = format!("{own}\n{}", seen(before)).replace('\u{fc}', "=FC");
        let fields = "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable";
        (fields.to_owned(), text)
    }),
    ("as HTML", |own, before| (HTML.to_owned(), html(own, before))),
    ("as HTML, quoted-printable", |own, before| {
        let text = html(own, before).replace('=', "=3D").replace("<p", "=\n<p");
        (format!("{ENCODED} quoted-printable"), text)
    }),
    ("as HTML, base64", |own, before| {
        let text = data_encoding::BASE64.encode(html(own, before).as_bytes());
        (format!("{ENCODED} base64"), text)
    }),
    ("as HTML alone, beside plain text", |own, before| {
        alternative(own, &html(own, before))
    }),
    ("as HTML, beside a hint at it", |own, before| {
        alternative("This message needs a program that shows HTML.\n", &html(own, before))
    }),
    ("the first three lines", |own, before| {
        let seen = seen(before);
        let lines: Vec<&str> = seen.lines().take(3).collect();
        (PLAIN.to_owned(), format!("{own}\n{}", lines.join("\n")))
    }),
    ("sixty characters", |own, before| {
        let begin: String = seen(before).chars().take(60).collect();
        (PLAIN.to_owned(), format!("{own}\n{begin}..."))
    }),
    ("the Message-ID", |own, before| {
        let text = format!("{own}\n> Message-ID: {}\n", message_id(before));
        (PLAIN.to_owned(), text)
    }),
    ("no word, and says what it answers", |own, before| {
        (format!("In-Reply-To: {}", message_id(before)), own.to_owned())
    }),
];

/// The last of `QUOTES` that know more than the beginning of a message.
const IN_PART: [&str; 2] = ["the first three lines", "sixty characters"];

const TEXT: &str = "The printer on the third floor doesn't work again.\nWe tried f\u{fc}r two hours & nothing helps.\n\
                    Can somebody look at it, please?\n\nAnn Smith\n";

/// How many answers go on, where each quotes the one before.
fn answers(quote: Quote, author: fn(usize) -> (String, String), pause: i64) -> usize {
    let mut traffic = Traffic::default();
    let first = mail("ann@s.test", "mail.s.test", 1, "");
    let mut last = with_content(&first, (PLAIN.to_owned(), TEXT.to_owned()));
    assert!(traffic.comes(20_000, &last));
    let went = (2..40).take_while(|number| {
        let (from, host) = author(*number);
        let answer = mail(&from, &host, *number, "");
        last = with_content(&answer, quote(&own_words(*number), &last));
        traffic.comes(20_000 + pause * (*number as i64 - 1), &last)
    });
    went.count()
}

#[test]
fn whoever_quotes_is_ended_however_it_quotes() {
    let anybody = |number| (format!("x@d{number}.test"), format!("h{number}.test"));
    let one = |_| ("it@cloud.test".to_owned(), "mx.cloud.test".to_owned());
    for (name, quote) in QUOTES {
        for pause in [1, 60, 110] {
            assert_eq!(
                answers(quote, anybody, pause),
                3,
                "{name}, another each time, {pause} s"
            );
            assert_eq!(answers(quote, one, pause), 3, "{name}, one writer, {pause} s");
        }
        for pause in [300, 3600] {
            if !IN_PART.contains(&name) {
                assert_eq!(answers(quote, anybody, pause), 3, "{name}, {pause} s");
                assert!(answers(quote, one, pause) <= 21, "{name}, one writer, {pause} s");
            }
        }
    }
}

/// Somebody's machine answers the desk's answers, which the guard does not see.
#[test]
fn whoever_wrote_first_and_quotes_its_own_words_is_ended() {
    for (name, quote) in QUOTES {
        for pause in [1, 15] {
            let went = answers(quote, |_| ("ann@s.test".to_owned(), "mail.s.test".to_owned()), pause);
            assert!(went <= 3, "{name}, {pause} s: {went}");
        }
    }
}

/// Each message that goes on is answered so often, the first answer after `pause` seconds.
fn branching_answers(times: usize, batch: usize, pause: i64) -> usize {
    let (_, quote) = QUOTES[0];
    let mut traffic = Traffic::default();
    let first = mail("ann@s.test", "mail.s.test", 1, "");
    let mut open = std::collections::VecDeque::new();
    let first = with_content(&first, (PLAIN.to_owned(), TEXT.to_owned()));
    assert!(traffic.comes(20_000, &first));
    open.push_back((20_000, first));
    let (mut number, mut went) = (1, 0);
    while open.len() >= batch && went < 200 {
        let read: Vec<(i64, String)> = (0..batch).filter_map(|_| open.pop_front()).collect();
        let last = read.iter().map(|(at, _)| *at).max().unwrap_or(0);
        for n in 0..times * batch {
            number += 1;
            let Some((_, before)) = read.get(n % batch) else {
                continue;
            };
            let header = mail("it@cloud.test", "mx.cloud.test", number, "");
            let answer = with_content(&header, quote(&own_words(number), before));
            let at = last + pause + n as i64;
            if traffic.comes(at, &answer) {
                went += 1;
                open.push_back((at, answer));
            }
        }
    }
    went
}

#[test]
fn whoever_quotes_and_answers_everything_twice_is_ended() {
    let mut found = Vec::new();
    for (times, batch) in [(2, 1), (3, 1)] {
        for pause in [1, 15, 60] {
            found.push((times, batch, pause, branching_answers(times, batch, pause)));
        }
    }
    assert!(found.iter().all(|(.., went)| *went <= 14), "{found:?}");
}

/// Two hundred send one text that somebody wrote for them, each with another name below.
#[test]
fn a_petition_passes() {
    for pause in [1, 5, 30, 200] {
        let mut traffic = Traffic::default();
        let common: Vec<String> = (0..60).map(|n| word(1_000_000 + n)).collect();
        for n in 0..200 {
            let letter = mail(&format!("u{n}@s{n}.test"), &format!("mx.s{n}.test"), n, "");
            let name: Vec<String> = (0..2 + n * 7 % 5).map(|part| word(n * 100 + part)).collect();
            let text = format!("Dear member, {}\n\nSincerely,\n{}\n", common.join(" "), name.join(" "));
            assert!(
                traffic.comes(
                    by_chance(n, pause),
                    &with_content(&letter, (PLAIN.to_owned(), text.clone()))
                ),
                "{n}, every {pause} s"
            );
        }
    }
}

/// A ticket whose every message shows all before, and a log that grows from hour to hour.
#[test]
fn a_text_that_grows_by_itself_passes() {
    for (pause, count) in [(300, 60), (3600, 24)] {
        let mut traffic = Traffic::default();
        let mut text = String::new();
        for n in 0..count {
            let at = 20_000 + n as i64 * pause;
            let other = mail(&format!("u{n}@s{n}.test"), &format!("mx.s{n}.test"), 500 + n, "");
            assert!(traffic.comes(at - 7, &other));
            text = format!("{}\n{text}", own_words(n));
            let note = mail("root@db.test", "mx.db.test", n, "");
            let note = with_content(&note, (PLAIN.to_owned(), text.clone()));
            assert!(traffic.comes(at, &note), "{n}, every {pause} s");
        }
    }
    // The first shows a message that the user has, too.
    let mut traffic = Traffic::default();
    let first = mail("ann@s.test", "mail.s.test", 1, "");
    let mut last = with_content(&first, (PLAIN.to_owned(), TEXT.to_owned()));
    for n in 2..18 {
        assert!(traffic.comes(20_000 + by_chance(n, 600), &last), "{n}");
        let text = format!("{}\n{}", own_words(n), seen(&last));
        last = with_content(&mail("it@cloud.test", "mx.cloud.test", n, ""), (PLAIN.to_owned(), text));
    }
}
