//! Nothing loops, whoever reads at the destination: a desk that acknowledges everything, under any name and without any
//! mark.

use std::fs;

use crate::forward::suspension::pass_time;
use crate::support::{Scratch, contains, messages, shown};

/// A guard for a@a.test that forwards to desk@desk.test.
fn scratch() -> Scratch {
    let mut scratch = Scratch::new().set("log.to", "\"stderr\"");
    scratch.sendmail("exit 0");
    scratch
}

fn comes(scratch: &Scratch, sender: &str, message: &str) {
    let run = scratch.run(&["forward", "-a", "a@a.test", "-f", sender, "desk@desk.test"]);
    run.input(message.as_bytes()).go().ends_with(0);
}

fn mail(from: &str, host: &str, number: usize, text: &str) -> String {
    format!(
        "Received: from {host} ({host} [192.0.2.8]) by mx.a.test; Mon, 2 Nov 2026 10:00:00 +0000\nFrom: {from}\nTo: a@a.test\n\
         Subject: {text} subject\nMessage-ID: <{number}@{host}>\n\nThe {text} text of number {number}.\n"
    )
}

#[test]
fn what_came_from_the_destination_is_kept_and_told_once() {
    let scratch = scratch();
    comes(&scratch, "ann@s.test", &mail("ann@s.test", "mail.s.test", 1, "first"));
    comes(
        &scratch,
        "desk@desk.test",
        &mail("noreply@x.test", "x.test", 2, "second"),
    );
    comes(
        &scratch,
        "x@x.test",
        &mail("Desk <Desk@desk.test>", "x.test", 3, "third"),
    );
    let answer = mail("noreply@desk.test", "x.test", 4, "fourth");
    comes(
        &scratch,
        "x@x.test",
        &answer.replacen("Subject", "In-Reply-To: <1@mail.s.test>\nSubject", 1),
    );
    assert_eq!(scratch.calls().len(), 1);
    let mail = scratch.mail();
    let kept = messages(&mail);
    assert_eq!(kept.len(), 4, "{}", shown(&mail));
    assert_eq!(
        kept.iter()
            .filter(|text| contains(text, b"X-Spoolguard-Kept: "))
            .count(),
        3
    );
    assert_eq!(
        kept.iter()
            .filter(|text| contains(text, b"is not sent there\n"))
            .count(),
        1
    );
    assert!(scratch.diverted().is_empty());
    // The list of what is kept has them, with the command; their owner need not end anything.
    let status = scratch.run(&["status"]).go();
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    let tells = text.contains("desk@desk.test: 3 messages kept in")
        && text.contains("3 because it came from desk@desk.test")
        && text.contains("--send-kept desk@desk.test");
    status.ends_with(0).check(tells, "status lists what was kept");
}

#[test]
fn what_the_brake_kept_is_sent_on_when_its_owner_says_so() {
    let scratch = scratch();
    comes(&scratch, "ann@s.test", &mail("ann@s.test", "mail.s.test", 1, "printer"));
    for number in 2..9 {
        let from = format!("x{number}@other{number}.test");
        comes(
            &scratch,
            &from,
            &mail(&from, "mx.desk.test", number, &format!("w{number}")),
        );
    }
    let sent = scratch.calls().len();
    let status = scratch.run(&["status"]).go();
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    let told = format!("{} because mail goes round with desk@desk.test", 8 - sent);
    status
        .ends_with(1)
        .check(text.contains(&told), "status lists what the brake kept");
    scratch
        .run(&["status", "--send-kept", "desk@desk.test", "--yes"])
        .go()
        .ends_with(0);
    assert_eq!(scratch.calls().len(), 8, "each once");
    scratch.run(&["status"]).go().ends_with(0);
}

/// Under another name each time, from hosts of others, and every text is new.
#[test]
fn whoever_attaches_what_it_answers_is_ended() {
    let scratch = scratch();
    let mut last = mail("ann@s.test", "mail.s.test", 1, "printer");
    comes(&scratch, "ann@s.test", &last);
    let mut number = 1;
    while scratch.calls().len() == number && number < 20 {
        number += 1;
        let from = format!("x@other{number}.test");
        let text = mail(&from, &format!("mx.h{number}.test"), number, &format!("w{number}"));
        let (header, body) = text.split_once("\n\n").unwrap();
        last = format!(
            "{header}\nContent-Type: multipart/mixed; boundary=b{number}\n\n--b{number}\n\n{body}\n\
             --b{number}\nContent-Type: message/rfc822\n\n{last}\n--b{number}--\n"
        );
        comes(&scratch, &from, &last);
    }
    assert_eq!(number, 5, "three answers go on");
}

#[test]
fn a_desk_without_any_mark_is_ended_and_both_are_told_once() {
    for domain in ["desk", "other"] {
        let scratch = scratch();
        comes(&scratch, "ann@s.test", &mail("ann@s.test", "mail.s.test", 1, "printer"));
        let mut number = 1;
        while scratch.calls().len() == number && number < 20 {
            number += 1;
            let from = format!(
                "x{number}@{domain}{}.test",
                if domain == "desk" {
                    String::new()
                } else {
                    number.to_string()
                }
            );
            comes(
                &scratch,
                &from,
                &mail(&from, "mx.desk.test", number, &format!("w{number}")),
            );
        }
        assert_eq!(number, 5, "three go on");
        // A message of somebody else does, and what it leads to does not.
        comes(
            &scratch,
            "bob@t.test",
            &mail("bob@t.test", "mail.t.test", 100, "another"),
        );
        comes(&scratch, "y@y.test", &mail("y@y.test", "mx.desk.test", 101, "answer"));
        assert_eq!(scratch.calls().len(), 5);
        let mail = scratch.mail();
        let told = |text: &&[u8]| contains(text, b"Subject: Mail goes round with desk@desk.test");
        assert_eq!(
            messages(&mail).iter().filter(|text| told(text)).count(),
            1,
            "{}",
            shown(&mail)
        );
        assert_eq!(messages(&mail).len(), 3, "two answers and the notice");
        let admin = scratch.diverted();
        assert_eq!(messages(&admin).len(), 1, "{}", shown(&admin));
        assert!(contains(&admin, b"goes round with desk@desk.test"));
    }
}

#[test]
fn a_loop_notice_that_fails_comes_with_a_later_run_and_once() {
    let scratch = scratch();
    fs::create_dir(scratch.path("admin")).unwrap();
    let answer = |number: usize| {
        let from = format!("x{number}@desk.test");
        comes(
            &scratch,
            &from,
            &mail(&from, "mx.desk.test", number, &format!("w{number}")),
        );
    };
    let told = |text: &[u8]| {
        let subject = b"goes round with desk@desk.test";
        messages(text).iter().filter(|one| contains(one, subject)).count()
    };
    comes(&scratch, "ann@s.test", &mail("ann@s.test", "mail.s.test", 1, "printer"));
    (2..9).for_each(answer);
    assert_eq!(told(&scratch.mail()), 1, "the user is told once");
    fs::remove_dir(scratch.path("admin")).unwrap();
    // Mail of people brings it, when it is due again.
    comes(
        &scratch,
        "bob@t.test",
        &mail("bob@t.test", "mail.t.test", 100, "another"),
    );
    assert_eq!(told(&scratch.diverted()), 0);
    pass_time(&scratch, 300);
    for number in [101, 102] {
        comes(
            &scratch,
            "bob@t.test",
            &mail("bob@t.test", "mail.t.test", number, "one more"),
        );
    }
    assert_eq!((told(&scratch.mail()), told(&scratch.diverted())), (1, 1));
}

#[test]
fn answers_that_come_at_once_are_judged_one_after_the_other() {
    // A desk that answers each message ten times: side by side all of them went on, and each was answered ten times
    // again.
    let mut scratch = scratch();
    comes(&scratch, "ann@s.test", &mail("ann@s.test", "mail.s.test", 1, "printer"));
    scratch.sendmail("sleep 0.2");
    let runs: Vec<_> = (2..12)
        .map(|number| {
            let from = format!("x{number}@desk.test");
            let text = mail(&from, "mx.desk.test", number, &format!("w{number}"));
            let run = scratch.run(&["forward", "-a", "a@a.test", "-f", &from, "desk@desk.test"]);
            run.input(text.as_bytes()).start()
        })
        .collect();
    for run in runs {
        run.end().ends_with(0);
    }
    assert_eq!(scratch.calls().len(), 4, "three of ten go on");
    let told = messages(&scratch.mail())
        .iter()
        .filter(|text| contains(text, b"Subject: Mail goes round"))
        .count();
    assert_eq!(
        (messages(&scratch.mail()).len(), told),
        (8, 1),
        "seven answers and one notice"
    );
}

#[test]
fn other_destinations_get_what_one_of_them_wrote() {
    let scratch = scratch();
    let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "b@b.test", "b@b.test", "c@c.test"]);
    run.input(b"From: b@b.test\nSubject: x\n\nx\n").go().ends_with(0);
    let calls = scratch.calls();
    assert_eq!(
        calls.last().and_then(|call| call.last()).map(String::as_str),
        Some("c@c.test")
    );
    assert!(calls.iter().flatten().all(|word| word != "b@b.test"));
    assert!(contains(&scratch.mail(), b"it came from b@b.test"));
}

#[test]
fn a_full_mailbox_defers_nothing_from_the_destination() {
    let scratch = scratch().set("quota.limit", "\"1B\"");
    comes(
        &scratch,
        "desk@desk.test",
        &mail("desk@desk.test", "desk.test", 1, "answer"),
    );
    assert!(scratch.calls().is_empty());
    assert!(contains(&fs::read(scratch.path("state/overflow")).unwrap(), b"answer"));
}

/// The history as it would be so many seconds later.
fn pass_history_time(scratch: &Scratch, seconds: i64) {
    let path = scratch.path("state/sent");
    let later = |line: &str| {
        let (at, rest) = line.split_once(' ').unwrap();
        format!("{} {rest}\n", at.parse::<i64>().unwrap() - seconds)
    };
    let text: String = fs::read_to_string(&path).unwrap().lines().map(later).collect();
    fs::write(path, text).unwrap();
}

/// Each from another domain and host, and nothing in it that is alike: told from mail of many people by its number
/// alone.
#[test]
fn far_more_than_ever_is_told_once_and_sent_on() {
    let scratch = scratch();
    let far_more = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            let from = format!("x@d{number}.test");
            let text = mail(
                &from,
                &format!("h{number}.test"),
                number,
                &format!("w{number} v{number}"),
            );
            comes(&scratch, &from, &text);
        }
    };
    let told = |text: &[u8]| {
        let subject = b"Subject: Far more mail than ever before is forwarded to desk@desk.test";
        messages(text).iter().filter(|one| contains(one, subject)).count()
    };
    far_more(0..1);
    pass_history_time(&scratch, 7200);
    far_more(1..200);
    pass_history_time(&scratch, 600);
    assert_eq!((told(&scratch.mail()), told(&scratch.diverted())), (0, 0));
    far_more(200..201);
    assert_eq!((told(&scratch.mail()), told(&scratch.diverted())), (1, 1));
    pass_history_time(&scratch, 600);
    far_more(201..205);
    assert_eq!(scratch.calls().len(), 205, "all of it is sent on");
    assert_eq!((told(&scratch.mail()), told(&scratch.diverted())), (1, 1), "once a day");
}

/// A desk in the cloud answers in HTML, to the address that everybody knows, and quotes what it answers.
pub fn end_quoting_desk(scratch: &Scratch, name: &str) {
    // With tokens, a test of them is sent, too.
    let sent = || {
        let calls = scratch.calls();
        calls
            .iter()
            .filter(|call| call.last().is_some_and(|to| to == "desk@desk.test"))
            .count()
    };
    let before = sent();
    let header = |from: &str, host: &str, number: usize| {
        let text = mail(from, host, number, &format!("w{number} v{number}"));
        text.split_once("\n\n").unwrap().0.to_owned()
    };
    let mut text = "the printer on the third floor does not work".to_owned();
    let first = format!("{}\n\n{text}\n", header("ann@s.test", "mail.s.test", 1));
    comes(scratch, "ann@s.test", &first);
    let mut number = 1;
    while sent() == before + number && number < 20 {
        number += 1;
        text = format!("request w{number} v{number} was received<blockquote>{text}</blockquote>");
        let header = header("Desk <it@cloud.test>", "mx.cloud.test", number);
        let body = format!("--b\n\nsee w{number}\n--b\nContent-Type: text/html\n\n<p>{text}</p>\n--b--\n");
        let answer = format!("{header}\nContent-Type: multipart/alternative; boundary=b\n\n{body}");
        comes(scratch, "it@cloud.test", &answer);
    }
    assert_eq!(number, 5, "{name}: three answers go on");
}

/// Another name, domain and host each time, and nothing that any two share: each comes so many seconds after the last was sent.
pub fn end_slow_desk(scratch: &Scratch, name: &str, seconds: i64) {
    let sent = || {
        let calls = scratch.calls();
        let is_forward = |call: &&Vec<String>| call.last().is_some_and(|to| to == "desk@desk.test");
        calls.iter().filter(is_forward).count()
    };
    let before = sent();
    let first = mail("ann@s.test", "mail.s.test", 1, "printer");
    comes(scratch, "ann@s.test", &first);
    let mut number = 1;
    while sent() == before + number && number < 20 {
        number += 1;
        pass_history_time(scratch, seconds);
        let from = format!("x@d{number}.test");
        let words = format!("w{number} v{number}");
        comes(scratch, &from, &mail(&from, &format!("h{number}.test"), number, &words));
    }
    assert_eq!(number, 5, "{name}, {seconds} s: three answers go on");
}

#[test]
fn a_slow_desk_of_many_hosts_is_ended_whoever_the_sender_is() {
    for sender in ["self", "original"] {
        for seconds in [60, 300, 3600] {
            end_slow_desk(
                &scratch().set("forward.sender", &format!("{sender:?}")),
                sender,
                seconds,
            );
        }
    }
}

#[test]
fn a_desk_that_quotes_is_ended_whoever_the_sender_is() {
    for sender in ["self", "original", "verp"] {
        end_quoting_desk(&scratch().set("forward.sender", &format!("{sender:?}")), sender);
    }
}
