//! `policy` where an LMTP server keeps the mailboxes: the server is asked, and refused is only whom it calls full
//! without a doubt.

use super::{behind, own};
use crate::support::lmtp::{Act, FakeLmtp, Plan, STAGES, say};
use crate::support::{Scratch, contains, user_name};

const ASKED: &str = "request=smtpd_access_policy\nprotocol_state=RCPT\nsender=s@s.test\n";

/// What one question from the command line is answered: its first line, and why.
#[track_caller]
fn answer(scratch: &Scratch, recipient: &str) -> (String, String) {
    let ended = scratch.run(&["policy", recipient, "--size", "900"]).go();
    let text = String::from_utf8(ended.stdout.clone()).unwrap();
    let (reply, reason) = text.split_once('\n').unwrap_or_default();
    ended.ends_with(i32::from(reply != "DUNNO"));
    (reply.to_owned(), reason.to_owned())
}

#[track_caller]
fn is_left_to_delivery(plan: Plan, why: &str) {
    let (scratch, server) = behind(vec![plan]);
    let (reply, reason) = answer(&scratch, &own());
    assert_eq!(reply, "DUNNO", "{why}: {reason}");
    assert!(!server.commands().contains(&"DATA".to_owned()), "{why}");
}

#[test]
fn a_mailbox_that_the_server_calls_full_is_refused() {
    for line in [
        "552 5.2.2 <full@a.test> Quota exceeded (mailbox for user is full)",
        "452 4.2.2 <full@a.test> Quota exceeded (mailbox for user is full)",
        "452 4.2.2 Over quota",
        "552 5.2.2 Over quota",
        "554 5.2.2 full",
        "552-5.2.2 Over\r\n552 5.2.2 quota",
        "552 exceeded storage allocation",
    ] {
        let (scratch, server) = behind(vec![Plan::at("rcpt", say(line))]);
        let (reply, reason) = answer(&scratch, &own());
        assert_eq!(reply, "552 5.2.2 mailbox is full", "{line}: {reason}");
        assert!(reason.contains("over quota: the LMTP server said"), "{reason}");
        let commands = server.commands();
        let words: Vec<_> = commands.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(words, ["LHLO", "MAIL", "RCPT", "QUIT"], "{line}");
        assert_eq!(commands[2], format!("RCPT TO:<{}>", own()));
    }
}

#[test]
fn what_else_the_server_says_refuses_nobody() {
    for (stage, line) in [
        ("rcpt", "250 2.1.5 OK"),
        ("rcpt", "550 5.1.1 <nobody@a.test> User doesn't exist: nobody@a.test"),
        ("rcpt", "550-Mailbox unknown.\r\n550 5.1.1 User unknown"),
        ("rcpt", "451 4.4.0 Proxy failed (connect, session=x)"),
        ("rcpt", "554 5.4.6 <a@a.test> Proxying loops to itself"),
        ("rcpt", "452 4.3.1 Insufficient system storage"),
        ("rcpt", "552 5.3.4 too big for this server"),
        ("rcpt", "452 later"),
        ("rcpt", "354 what"),
        ("rcpt", "nonsense"),
        // This is about the sender or the server, whatever its words are.
        ("mail", "552 5.2.2 full"),
        ("mail", "555 5.5.4 Unsupported parameters"),
        ("lhlo", "552 5.2.2 full"),
        ("greeting", "552 5.2.2 full"),
        ("greeting", "421 4.3.2 shutting down"),
        ("rcpt", "421 4.2.2 full, and closing"),
    ] {
        is_left_to_delivery(Plan::at(stage, say(line)), &format!("{stage} {line}"));
    }
    for stage in &STAGES[..4] {
        is_left_to_delivery(Plan::at(stage, vec![Act::Close]), &format!("{stage}: it closes"));
    }
}

#[test]
fn an_answer_that_was_not_asked_for_refuses_nobody() {
    // The answer to RCPT would be one that came before it.
    is_left_to_delivery(
        Plan::at("mail", say("250 2.1.0 OK\r\n552 5.2.2 full")),
        "two answers to MAIL",
    );
}

#[test]
fn a_slow_answer_counts_however_it_comes() {
    let line = "552 5.2.2 full\r\n".to_owned();
    let (scratch, _server) = behind(vec![Plan::at("rcpt", vec![Act::Bytewise(line)])]);
    assert_eq!(answer(&scratch, &own()).0, "552 5.2.2 mailbox is full");
}

#[test]
fn the_next_server_of_a_list_is_asked_when_one_is_away() {
    let (mut scratch, server) = behind(vec![Plan::at("rcpt", say("552 5.2.2 full"))]);
    let away = format!("lmtp:{}", scratch.path("away").display());
    scratch.change("mailbox.location", &format!("[{away:?}, {:?}]", server.place));
    assert_eq!(answer(&scratch, &own()).0, "552 5.2.2 mailbox is full");
    drop(server);
    let (reply, reason) = answer(&scratch, &own());
    assert_eq!(reply, "DUNNO");
    assert!(reason.contains("does not say"), "{reason}");
}

#[test]
fn the_server_is_asked_for_the_size_where_it_names_size() {
    let mut plan = Plan::at("lhlo", say("250-a.test\r\n250 SIZE 10000"));
    plan.rcpt = say("452 4.2.2 Over quota");
    let (scratch, server) = behind(vec![plan]);
    answer(&scratch, &own());
    let asked = format!("MAIL FROM:<{}> SIZE=900", own());
    assert!(server.commands().contains(&asked), "{:?}", server.commands());
}

#[test]
fn nobody_is_asked_where_the_answer_is_known() {
    for (key, value) in [
        ("quota.when_full", "\"divert\""),
        ("policy.domains", "[\"other.test\"]"),
    ] {
        let (mut scratch, server) = behind(vec![Plan::at("rcpt", say("552 5.2.2 full"))]);
        scratch.change(key, value);
        assert_eq!(answer(&scratch, &own()).0, "DUNNO");
        assert_eq!(server.connections(), 0, "{key}");
    }
    let (scratch, server) = behind(vec![Plan::at("rcpt", say("552 5.2.2 full"))]);
    let null = format!(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nsender=\nrecipient={}\n\n",
        own()
    );
    let ended = scratch.run(&["policy"]).input(null.as_bytes()).go();
    assert!(contains(&ended.stdout, b"action=DUNNO"));
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_virtual_user_is_asked_about_by_the_whole_address() {
    let (mut scratch, server) = behind(vec![Plan::at("rcpt", say("552 5.2.2 full"))]);
    let ann = "surely-nobody-is-called-so+x@v.test";
    assert_eq!(answer(&scratch, ann).0, "DUNNO");
    assert_eq!(
        server.connections(),
        0,
        "without [mailbox] user there are no virtual users"
    );
    scratch.change("mailbox.user", &format!("{:?}", user_name()));
    assert_eq!(answer(&scratch, ann).0, "552 5.2.2 mailbox is full");
    let asked = format!("RCPT TO:<{ann}>");
    assert!(server.commands().contains(&asked), "{:?}", server.commands());
}

#[test]
fn a_server_that_hangs_holds_no_conversation() {
    let (scratch, server) = behind(vec![Plan::at("rcpt", vec![Act::Hang])]);
    let question = format!("{ASKED}recipient={}\n\n", own());
    let ended = scratch.run(&["policy"]).input(question.repeat(3).as_bytes()).go();
    assert_eq!(ended.stdout, b"action=DUNNO\n\n".repeat(3));
    drop(server);
}

#[test]
fn a_conversation_is_told_of_a_full_mailbox() {
    let (mut scratch, _server) = behind(vec![Plan::at("rcpt", say("452 4.2.2 Over quota"))]);
    let log = scratch.path("log");
    scratch.change("log.to", &format!("{log:?}"));
    let question = format!("{ASKED}recipient={}\n\n", own());
    // On a busy machine an answer may come too late, and is left to the delivery.
    let full = || {
        let ended = scratch.run(&["policy"]).input(question.as_bytes()).go();
        contains(&ended.stdout, b"action=552 5.2.2 mailbox is full\n\n")
    };
    assert!((0..50).any(|_| full()), "nobody is ever refused");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(
        log.contains("action=refuse") && log.contains("said=\"452 4.2.2 Over quota\""),
        "{log}"
    );
}

#[test]
fn over_tcp_the_server_is_asked_as_well() {
    let server = FakeLmtp::start_tcp(vec![Plan::at("rcpt", say("552 5.2.2 full"))]);
    let scratch = Scratch::new().set("mailbox.location", &format!("{:?}", server.place));
    assert_eq!(answer(&scratch, &own()).0, "552 5.2.2 mailbox is full");
}
