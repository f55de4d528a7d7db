//! What each answer of a server means: the tables of Dovecot's and Cyrus's answers, and what no server should say.

use super::{behind, deliver};
use crate::support::lmtp::{Act, FakeLmtp, Plan, STAGES, say};
use crate::support::{ORDINARY, Scratch, contains};

#[test]
fn a_message_that_the_server_takes_is_done() {
    let (scratch, server) = behind(vec![Plan::good()]);
    deliver(&scratch, ORDINARY).go().succeeds();
    assert_eq!(server.stored().len(), 1);
    assert_eq!(
        scratch.files("state/lmtp"),
        [] as [std::path::PathBuf; 0],
        "a note is left"
    );
}

#[test]
fn what_dovecot_and_cyrus_refuse_for_now_waits() {
    for (stage, line) in [
        ("rcpt", "550 5.1.1 <nobody@a.test> User doesn't exist: nobody@a.test"),
        ("rcpt", "451 4.4.0 Proxy failed (connect, session=x)"),
        ("rcpt", "554 5.4.6 <a@a.test> Proxying loops to itself"),
        (
            "rcpt",
            "550-Mailbox unknown. Either there is no mailbox\r\n550-associated with this name\r\n550 5.1.1 User unknown",
        ),
        ("mail", "555 5.5.4 Unsupported parameters"),
        ("mail", "430 Authentication required"),
        ("data", "503 5.5.0 No valid recipients"),
        ("end", "451 4.2.0 <b@a.test> Internal error occurred."),
        (
            "end",
            "451 4.2.0 <b@a.test> Execution of Sieve filters was aborted due to temporary failure",
        ),
        ("end", "554 5.6.0 rejected"),
        ("end", "550 5.7.1 Sieve says no"),
        ("greeting", "421 4.3.2 shutting down"),
        ("greeting", "554 5.7.0 not you"),
        ("lhlo", "502 5.5.2 Unknown command"),
        ("mail", "421 4.3.2 shutting down"),
        ("end", "421 4.3.2 shutting down"),
    ] {
        // Only a full mailbox may be refused.
        for when_full in ["defer", "refuse"] {
            let (mut scratch, server) = behind(vec![Plan::at(stage, say(line))]);
            scratch.change("quota.when_full", &format!("{when_full:?}"));
            let ended = deliver(&scratch, ORDINARY).go();
            let code = line.split([' ', '-']).next().unwrap();
            ended.defers().mentions(code);
            assert!(server.stored().is_empty(), "{stage} {line}");
            assert!(
                !server.commands().iter().any(|command| command.starts_with("From:")),
                "{stage} {line}: the message was sent as commands"
            );
        }
    }
}

#[test]
fn what_the_server_says_cannot_steer_a_terminal() {
    let line = "451 4.2.0 a\u{1b}[2Jb\rc";
    let (scratch, _server) = behind(vec![Plan::at("rcpt", say(line))]);
    deliver(&scratch, ORDINARY).go().defers().mentions("a\\u{1b}[2Jb\\rc");
}

/// Each way to say that there is no room, and where.
const FULL: [(&str, &str); 8] = [
    (
        "end",
        "552 5.2.2 <full@a.test> Quota exceeded (mailbox for user is full)",
    ),
    (
        "end",
        "452 4.2.2 <full@a.test> Quota exceeded (mailbox for user is full)",
    ),
    (
        "rcpt",
        "552 5.2.2 <full@a.test> Quota exceeded (mailbox for user is full)",
    ),
    ("rcpt", "452 4.2.2 Over quota"),
    ("rcpt", "552 5.2.2 Over quota"),
    ("end", "554 5.2.2 full"),
    ("data", "452 4.2.2 full"),
    ("mail", "552 too large"),
];

#[test]
fn a_full_mailbox_is_handled_as_configured() {
    for (stage, line) in FULL {
        let full = || behind(vec![Plan::at(stage, say(line))]);
        let (mut scratch, _server) = full();
        deliver(&scratch, ORDINARY).go().defers().mentions("full");
        scratch.change("quota.when_full", "\"refuse\"");
        deliver(&scratch, ORDINARY).go().refuses().mentions("full");
        scratch.change("quota.when_full", "\"divert\"");
        deliver(&scratch, ORDINARY).go().succeeds();
        assert!(contains(&scratch.diverted(), b"\nHello."), "{stage} {line}");
        let (mut scratch, server) = full();
        scratch.change("quota.when_full", "\"overflow\"");
        deliver(&scratch, ORDINARY).go().succeeds();
        let overflow = std::fs::read(scratch.path("state/overflow")).unwrap();
        assert!(contains(&overflow, b"\nHello."), "{stage} {line}");
        assert!(server.stored().is_empty());
    }
}

#[test]
fn a_disk_of_the_server_that_is_full_refuses_nobody() {
    for line in ["452 4.3.1 Insufficient system storage", "552 5.3.1 disk full"] {
        let (mut scratch, _server) = behind(vec![Plan::at("end", say(line))]);
        scratch.change("quota.when_full", "\"refuse\"");
        deliver(&scratch, ORDINARY).go().defers();
    }
}

#[test]
fn a_report_to_a_full_mailbox_is_never_sent_round() {
    let (mut scratch, _server) = behind(vec![Plan::at("end", say("552 5.2.2 full"))]);
    scratch.change("quota.when_full", "\"refuse\"");
    let run = |message: &[u8]| {
        scratch
            .run(&["deliver", "-a", &super::own(), "-f", "<>"])
            .input(message)
    };
    run(ORDINARY).go().defers();
}

#[test]
fn answers_in_pieces_of_a_byte_are_read() {
    let mut plan = Plan::good();
    for acts in [
        &mut plan.greeting,
        &mut plan.lhlo,
        &mut plan.mail,
        &mut plan.rcpt,
        &mut plan.data,
        &mut plan.end,
    ] {
        for act in acts {
            if let Act::Say(text) = act {
                *act = Act::Bytewise(text.clone());
            }
        }
    }
    let (scratch, server) = behind(vec![plan]);
    deliver(&scratch, ORDINARY).go().succeeds();
    assert_eq!(server.stored().len(), 1);
}

#[test]
fn long_lines_and_many_are_read_and_bounded() {
    let many = "250-2.0.0 x\r\n".repeat(100) + "250 2.0.0 Saved";
    for line in [format!("250 2.0.0 {}", "x".repeat(1000)), many] {
        let (scratch, server) = behind(vec![Plan::at("end", [vec![Act::Store], say(&line)].concat())]);
        deliver(&scratch, ORDINARY).go().succeeds();
        assert_eq!(server.stored().len(), 1);
    }
    for endless in ["250-2.0.0 x\r\n".repeat(10_000), "2".repeat(200_000)] {
        for stage in ["greeting", "rcpt", "end"] {
            let (scratch, _server) = behind(vec![Plan::at(stage, vec![Act::Say(endless.clone()), Act::Hang])]);
            deliver(&scratch, ORDINARY).go().defers().mentions("no end");
        }
    }
}

#[test]
fn a_server_gone_at_any_point_leaves_the_message_queued() {
    for stage in STAGES {
        for acts in [vec![Act::Close], vec![Act::Say("25".to_owned()), Act::Close]] {
            let (scratch, server) = behind(vec![Plan::at(stage, acts), Plan::good()]);
            deliver(&scratch, ORDINARY).go().defers().mentions("closed");
            assert!(server.stored().is_empty());
            deliver(&scratch, ORDINARY).go().succeeds();
            assert_eq!(server.stored().len(), 1, "{stage}");
        }
    }
}

#[test]
fn a_server_that_is_gone_in_mid_message_is_tried_again() {
    let message = [ORDINARY, &crate::support::noise(3_000_000)].concat();
    let acts = vec![Act::Say("354 OK\r\n".to_owned()), Act::Read(100_000), Act::Close];
    let (scratch, server) = behind(vec![Plan::at("data", acts), Plan::good()]);
    deliver(&scratch, &message).go().defers();
    deliver(&scratch, &message).go().succeeds();
    assert_eq!(server.stored().len(), 1);
}

#[test]
fn a_server_that_stops_reading_says_why() {
    let message = [ORDINARY, &crate::support::noise(3_000_000)].concat();
    for (line, mention) in [("552 5.2.2 too large", "full"), ("451 4.3.0 no", "451 4.3.0 no")] {
        let acts = vec![
            Act::Say("354 OK\r\n".to_owned()),
            Act::Read(100_000),
            Act::Say(format!("{line}\r\n")),
            Act::Hang,
        ];
        let (scratch, _server) = behind(vec![Plan::at("data", acts)]);
        deliver(&scratch, &message).go().defers().mentions(mention);
    }
}

#[test]
fn an_answer_before_its_question_is_not_believed() {
    // The answer to the dot stands there before the dot.
    let early = say("354 OK\r\n250 2.0.0 Saved");
    let (scratch, server) = behind(vec![Plan::at("data", [early, vec![Act::Hang]].concat())]);
    deliver(&scratch, ORDINARY).go().defers().mentions("before the end");
    assert!(server.stored().is_empty());
    // Of two answers to one command the second would be taken for the next one's.
    for stage in ["greeting", "lhlo", "mail", "rcpt"] {
        let (scratch, server) = behind(vec![Plan::at(stage, say("250 2.0.0 OK\r\n250 2.0.0 OK"))]);
        deliver(&scratch, ORDINARY).go().defers().mentions("not asked");
        assert!(server.stored().is_empty(), "{stage}");
    }
}

#[test]
fn answers_for_more_recipients_than_one_change_nothing() {
    let end = [
        vec![Act::Store],
        say("250 2.0.0 Saved\r\n550 5.1.1 no\r\n250 2.0.0 Saved"),
    ]
    .concat();
    let (scratch, server) = behind(vec![Plan::at("end", end)]);
    deliver(&scratch, ORDINARY).go().succeeds();
    assert_eq!(server.stored().len(), 1);
}

#[test]
fn no_answer_at_all_waits_no_longer_than_configured() {
    for stage in ["greeting", "lhlo", "mail", "rcpt", "data"] {
        let (scratch, server) = behind(vec![Plan::at(stage, vec![Act::Hang]), Plan::good()]);
        let scratch = scratch.set("mailbox.lock_timeout", "\"1s\"");
        deliver(&scratch, ORDINARY).go().defers().mentions("in time");
        assert!(server.stored().is_empty());
    }
}

#[test]
fn what_is_no_lmtp_server_gets_no_message() {
    for stage in STAGES {
        for text in ["HTTP/1.1 400 Bad Request", "150 no", "2500 no", "\u{fffd}"] {
            let (scratch, server) = behind(vec![Plan::at(stage, say(text))]);
            deliver(&scratch, ORDINARY)
                .go()
                .defers()
                .mentions("no answer of an LMTP server");
            assert!(server.stored().is_empty());
        }
    }
    // Nor does one that wants no message when it has to take it, and the other way round.
    for (stage, line) in [
        ("data", "250 OK"),
        ("end", "354 OK"),
        ("mail", "354 OK"),
        ("rcpt", "354 OK"),
    ] {
        let (scratch, server) = behind(vec![Plan::at(stage, say(line))]);
        deliver(&scratch, ORDINARY).go().defers();
        assert!(server.stored().is_empty(), "{stage} {line}");
    }
}

#[test]
fn servers_are_tried_in_turn_while_none_can_have_it() {
    let scratch = Scratch::new();
    let second = FakeLmtp::start_tcp(vec![Plan::good()]);
    let list = |first: &str, second: &str| format!("[{first:?}, {second:?}]");
    let nobody = format!("lmtp:{}", scratch.path("nobody").display());
    let scratch = scratch.set("mailbox.location", &list(&nobody, &second.place));
    deliver(&scratch, ORDINARY).go().succeeds();
    assert_eq!(second.stored().len(), 1);
    for (stage, acts) in [
        ("greeting", say("421 4.3.2 no")),
        ("mail", say("451 4.3.0 no")),
        ("rcpt", say("451 4.4.0 Proxy failed")),
        ("data", vec![Act::Close]),
    ] {
        let before = second.stored().len();
        let first = FakeLmtp::start_tcp(vec![Plan::at(stage, acts)]);
        let scratch = Scratch::new().set("mailbox.location", &list(&first.place, &second.place));
        deliver(&scratch, ORDINARY).go().succeeds();
        assert_eq!((first.connections(), second.stored().len()), (1, before + 1), "{stage}");
    }
    // One that may have it is the last.
    for acts in [
        vec![Act::Close],
        vec![Act::Store, Act::Close],
        say("451 4.2.0 no"),
        say("550 5.1.1 no"),
    ] {
        let before = second.stored().len();
        let first = FakeLmtp::start_tcp(vec![Plan::at("end", acts)]);
        let scratch = Scratch::new().set("mailbox.location", &list(&first.place, &second.place));
        deliver(&scratch, ORDINARY).go().defers();
        assert_eq!(second.stored().len(), before);
    }
    let scratch = Scratch::new().set("mailbox.location", &list(&nobody, "lmtp:127.0.0.1:1"));
    let ended = deliver(&scratch, ORDINARY).go();
    ended
        .defers()
        .mentions("no such file or directory")
        .mentions("connection refused");
}

#[test]
fn a_try_whose_answer_was_lost_is_told_of_with_the_next() {
    // What a proxy says that lost the server behind it (Dovecot 2.3, 2.4).
    let proxied = "451 4.4.0 Proxy failed (connection lost, session=x)\r\n";
    for last in [Act::Close, Act::Say(proxied.to_owned())] {
        is_told_of_with_the_next(Plan::at("end", vec![Act::Store, last]));
    }
}

fn is_told_of_with_the_next(lost: Plan) {
    let (scratch, server) = behind(vec![lost, Plan::good()]);
    deliver(&scratch, ORDINARY).go().defers().mentions("may have it");
    assert_eq!(scratch.files("state/lmtp").len(), 1);
    // Another message has nothing to do with it.
    deliver(&scratch, b"Subject: other\n\n").go().succeeds();
    let scratch = scratch.set("log.to", "\"stderr\"");
    let ended = deliver(&scratch, ORDINARY).go();
    ended.ends_with(0).mentions("it may be there twice");
    assert_eq!(server.stored().len(), 3);
    assert!(scratch.files("state/lmtp").is_empty());
    assert!(!deliver(&scratch, ORDINARY).go().stderr.contains("twice"));
}
