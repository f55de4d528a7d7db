//! `trace`: the story of a message, from the lines of the log and from what is remembered.

use std::fs;

use crate::support::{ORDINARY, Scratch, is_root, skip, user_name};

const REPORT: &str = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.a.test (Mail Delivery System)\n\
    Subject: Undelivered Mail Returned to Sender\nTo: a@a.test\nMessage-ID: <report@mx.a.test>\n\
    Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\nno\n--x\n\
    Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.a.test\n\nFinal-Recipient: rfc822; b@b.test\n\
    Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no such user\n\n--x\nContent-Type: message/rfc822\n\n\
    From: Sam <s@s.test>\nTo: a@a.test\nMessage-ID: <1@s.test>\nSubject: hello\nX-Loop: a@a.test\n\nHello.\n--x--\n";

/// A message is forwarded, and comes back; the log is what the runs wrote, as syslog keeps it.
fn story() -> Scratch {
    let scratch = Scratch::new()
        .set("log.to", "\"stderr\"")
        .set("addresses", "[\"a@a.test\"]");
    let mut log = String::from("Nov  2 09:59:59 mx postfix/qmgr[1]: 4XyZ: from=<s@s.test>, id=<1@s.test>\n");
    for message in [ORDINARY, REPORT.as_bytes()] {
        let ended = scratch.forward(message, &["b@b.test"]).go();
        ended.ends_with(0);
        for line in ended.stderr.lines() {
            log.push_str(&format!(
                "Nov  2 10:00:00 mx {}\n",
                line.replacen("spoolguard: ", "spoolguard[7]: ", 1)
            ));
        }
    }
    fs::write(scratch.path("mail.log"), log).unwrap();
    scratch
}

fn trace(scratch: &Scratch, what: &str, more: &[&str]) -> (Option<i32>, String) {
    let log = scratch.path("mail.log");
    let ended = scratch
        .run(&["trace", what, "--log", log.to_str().unwrap()])
        .with(more)
        .go();
    (ended.code, String::from_utf8(ended.stdout.clone()).unwrap())
}

#[test]
fn a_message_is_followed_through_forward_bounce_and_recovery() {
    let scratch = story();
    for what in ["<1@s.test>", "1@s.test"] {
        let (code, said) = trace(&scratch, what, &[]);
        assert_eq!(code, Some(0), "{said}");
        let actions: Vec<_> = said
            .lines()
            .filter_map(|line| line.split(&format!("{}: ", user_name())).nth(1)?.split(' ').next())
            .collect();
        assert_eq!(actions.first(), Some(&"forward"), "{said}");
        assert!(actions.contains(&"rescue") && actions.contains(&"divert"), "{said}");
        assert!(said.contains("failed=b@b.test  status=5.1.1"), "{said}");
        assert!(!said.contains("4XyZ"), "lines of others are theirs: {said}");
    }
}

#[test]
fn an_address_has_its_lines_and_what_is_remembered() {
    let scratch = story();
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    let (code, said) = trace(&scratch, "B@b.test", &[]);
    assert_eq!(code, Some(0));
    assert!(
        said.contains(": forward ") && said.contains("b@b.test is suspended since"),
        "{said}"
    );
    let (code, said) = trace(&scratch, "b@b.test", &["--json"]);
    assert_eq!(code, Some(0));
    let kinds: Vec<_> = said
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].clone())
        .collect();
    assert!(
        kinds.contains(&"log".into()) && kinds.contains(&"state".into()),
        "{said}"
    );
}

#[test]
fn a_user_has_every_line_of_the_own_mail() {
    let scratch = story();
    let host = nix::unistd::gethostname().unwrap();
    let host = host.to_string_lossy();
    for what in [user_name(), format!("{}@{host}", user_name())] {
        let (code, said) = trace(&scratch, &what, &[]);
        assert_eq!(code, Some(0), "{said}");
        for action in [": forward ", ": rescue ", ": divert "] {
            assert!(said.contains(action), "{what}: {said}");
        }
    }
    let (code, _) = trace(&scratch, &format!("{}@elsewhere.test", user_name()), &[]);
    assert_eq!(code, Some(1));
}

#[test]
fn what_nobody_knows_is_1_and_a_missing_log_75() {
    let scratch = story();
    let (code, said) = trace(&scratch, "<other@s.test>", &[]);
    let log = scratch.path("mail.log").display().to_string();
    let looked = format!("nothing is known of <other@s.test>: looked into {log}, and the state of ");
    assert!(code == Some(1) && said.starts_with(&looked), "{code:?}: {said}");
    fs::write(&log, "").unwrap();
    let (code, said) = trace(&scratch, "other", &[]);
    for part in [
        "nothing is known of other, which is no user here, no address and no Message-ID: ",
        "which has no line of spoolguard (see spoolguard doctor)",
    ] {
        assert!(code == Some(1) && said.contains(part), "{code:?}: {said}");
    }
    scratch
        .run(&["trace", "x@y.test", "--log", "/no/such/log"])
        .go()
        .ends_with(75)
        .mentions("cannot read /no/such/log");
}

#[test]
fn root_is_told_of_everybody_and_that_a_user_is_not_there() {
    if !is_root() {
        return skip("only root looks into the state of others");
    }
    let scratch = story();
    let log = scratch.path("mail.log").display().to_string();
    let ask = |words: &[&str]| scratch.run(&["trace", "b@b.test", "--log", &log]).with(words).go();
    ask(&["--user", "nobody-is-called-so"])
        .ends_with(64)
        .mentions("there is no such user; an alias is named with --as");
    ask(&["--as", "sales"])
        .ends_with(64)
        .mentions("it is made with the first message");
    fs::write(&log, "").unwrap();
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    let ended = ask(&["--json"]);
    let said = String::from_utf8_lossy(&ended.ends_with(0).stdout).into_owned();
    let states = said.lines().filter(|line| line.starts_with("{\"kind\":\"state\""));
    assert!(states.count() >= 1, "{said}");
}
