//! `sender = "verp"`: the envelope sender of each forward names its destination, and only a report that comes to such
//! an address counts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::forward::loops::{end_quoting_desk, end_slow_desk};
use crate::support::{Ended, ORDINARY, Scratch, contains, messages, shown, user_name};

/// Where no test message came home yet.
fn untested() -> Scratch {
    let mut scratch = Scratch::new()
        .set("forward.sender", "\"verp\"")
        .set("log.to", "\"stderr\"");
    scratch.sendmail("exit 0");
    scratch
}

/// Where one did.
fn scratch() -> Scratch {
    let scratch = untested();
    let (address, test) = send_test(&scratch);
    comes_home(&scratch, &address, &test);
    // What they left behind, but for what is remembered of tokens.
    for path in [scratch.path("calls"), scratch.path("message")]
        .into_iter()
        .chain(scratch.files("state"))
    {
        if !path.to_string_lossy().contains("/state/token") {
            fs::remove_file(path).unwrap();
        }
    }
    scratch
}

/// The first forward, and the test message that goes out with it: its address, and its text.
fn send_test(scratch: &Scratch) -> (String, Vec<u8>) {
    let first = b"From: f@f.test\nMessage-ID: <first@f.test>\nSubject: first\n\nThe first.\n";
    scratch.forward(first, &["b@b.test"]).go().ends_with(0);
    let sent = senders(scratch);
    let (sender, address) = sent.last().cloned().unwrap();
    assert_eq!(sender, "a@a.test");
    assert!(
        address.starts_with("a+fwd=") && address.ends_with("@a.test"),
        "{sent:?}"
    );
    (address, scratch.submitted())
}

/// The MTA delivers the test message.
fn comes_home(scratch: &Scratch, address: &str, test: &[u8]) {
    let run = scratch.run(&["-v", "forward", "-a", address, "-f", "a@a.test", "b@b.test"]);
    run.input(test).go().ends_with(0).mentions("action=test");
}

/// The envelope senders of what was sent, with their recipients.
fn senders(scratch: &Scratch) -> Vec<(String, String)> {
    let calls = scratch.calls();
    calls
        .iter()
        .map(|call| {
            (
                call[2].clone(),
                call.iter()
                    .skip_while(|word| *word != "--")
                    .skip(1)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        })
        .collect()
}

/// Sends one message to b@b.test, and gives the address that a report about it comes to.
fn address_of_a_forward(scratch: &Scratch) -> String {
    scratch.forward(ORDINARY, &["b@b.test"]).go().ends_with(0);
    senders(scratch).pop().unwrap().0
}

#[test]
fn each_destination_has_a_submission_and_a_sender_of_its_own() {
    let scratch = scratch();
    scratch.forward(ORDINARY, &["b@b.test", "c@c.test"]).go().ends_with(0);
    let sent = senders(&scratch);
    let to: Vec<_> = sent.iter().map(|(_, to)| to.as_str()).collect();
    assert_eq!(to, ["b@b.test", "c@c.test"]);
    for (sender, _) in &sent {
        let token = sender
            .strip_prefix("a+fwd=")
            .and_then(|rest| rest.strip_suffix("@a.test"));
        let token = token.unwrap_or_else(|| panic!("no token in {sender}"));
        assert!(
            token.len() == 29 && token.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
            "{sender}"
        );
    }
    assert_ne!(sent[0].0, sent[1].0);
    // The mark of the loop stays what it is.
    assert!(
        scratch.submitted().starts_with(b"X-Loop: a@a.test\n"),
        "{}",
        shown(&scratch.submitted())
    );
    let key = scratch.path("state/token.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_null_sender_stays_null_and_needs_no_key() {
    let scratch = untested().set("guard.null_sender", "\"pass\"");
    let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
    run.input(ORDINARY).go().ends_with(0);
    assert_eq!(senders(&scratch), [("<>".to_owned(), "b@b.test".to_owned())]);
    assert!(!scratch.path("state/token.key").exists());
}

#[test]
fn where_there_is_no_room_or_no_key_mail_goes_out_as_the_user() {
    let long = format!("{}@a.test", "l".repeat(40));
    let scratch = scratch();
    let run = scratch.run(&["forward", "-a", &long, "-f", "s@s.test", "b@b.test"]);
    run.input(ORDINARY).go().ends_with(0);
    assert_eq!(senders(&scratch), [(long, "b@b.test".to_owned())]);
    // A state directory that cannot be made.
    let mut scratch = self::scratch();
    fs::write(scratch.path("file"), "").unwrap();
    let inside = scratch.path("file/state").display().to_string();
    scratch.change("state_dir", &format!("{inside:?}"));
    scratch.forward(ORDINARY, &["b@b.test"]).go().ends_with(0);
    assert_eq!(senders(&scratch), [("a@a.test".to_owned(), "b@b.test".to_owned())]);
}

/// Hands over `message` with the null sender, as it comes to `recipient`.
fn comes<'a>(scratch: &'a Scratch, recipient: &str, message: &str) -> Ended<'a> {
    scratch
        .run(&["-v", "forward", "-a", recipient, "-f", "<>", "b@b.test"])
        .input(message.as_bytes())
        .go()
}

/// Nothing that anybody could read as a report.
const STRANGE: &str = "Received: by b.test\nFrom: Hermes <h@b.test>\nSubject: ekki\n\nGat ekki.\n";

#[test]
fn what_comes_to_a_token_from_the_null_sender_is_a_report() {
    // Passed on, it would go to the very address that it is about.
    let scratch = scratch().set("guard.null_sender", "\"pass\"");
    let address = address_of_a_forward(&scratch);
    comes(&scratch, &address, STRANGE)
        .ends_with(0)
        .mentions("verdict=bounce")
        .mentions("action=divert");
    assert_eq!(senders(&scratch).len(), 1);
    assert_eq!(messages(&scratch.diverted()).len(), 1);
    // To the plain address it is what it was: mail without a sender.
    comes(&scratch, "a@a.test", STRANGE)
        .ends_with(0)
        .mentions("verdict=ordinary");
    assert_eq!(senders(&scratch).len(), 2);
}

#[test]
fn a_forged_token_or_a_sender_makes_no_report_of_it() {
    let scratch = scratch().set("guard.null_sender", "\"pass\"");
    let address = address_of_a_forward(&scratch);
    let (start, end) = address.split_at(10);
    let other = if end.starts_with('a') { "b" } else { "a" };
    let forged = format!("{start}{other}{}", &end[1..]);
    comes(&scratch, &forged, STRANGE)
        .ends_with(0)
        .mentions("verdict=ordinary");
    let run = scratch.run(&["-v", "forward", "-a", &address, "-f", "h@b.test", "b@b.test"]);
    run.input(STRANGE.replace("ekki", "hello").as_bytes())
        .go()
        .ends_with(0)
        .mentions("verdict=ordinary");
    // A vacation message answers the envelope sender with the null sender, and says nothing against the address.
    let vacation = STRANGE.replace(
        "Subject: ekki",
        "Auto-Submitted: auto-replied\nPrecedence: bulk\nX-Autoreply: yes\nSubject: away",
    );
    comes(&scratch, &address, &vacation)
        .ends_with(0)
        .mentions("verdict=auto-reply");
}

#[test]
fn the_token_is_found_where_mail_systems_leave_it() {
    let scratch = scratch();
    let address = address_of_a_forward(&scratch);
    for (name, field) in [
        ("RECIPIENT", ""),
        ("Delivered-To", "Delivered-To: ADDRESS\n"),
        ("Sendmail, that says it to nobody", "To: <ADDRESS>\n"),
        ("capitals", "Envelope-To: UPPER\n"),
    ] {
        let field = field
            .replace("ADDRESS", &address)
            .replace("UPPER", &address.to_uppercase());
        let message = format!("{field}{}", STRANGE.replace("ekki", name));
        let run = scratch
            .run(&["-v", "forward", "-f", "<>", "b@b.test"])
            .input(message.as_bytes());
        let run = if name == "RECIPIENT" {
            run.variable("RECIPIENT", &address)
        } else {
            run
        };
        run.go().ends_with(0).mentions("verdict=bounce");
    }
}

#[test]
fn a_recipient_with_a_token_disturbs_no_own_address_or_mark() {
    let scratch = scratch();
    let address = address_of_a_forward(&scratch);
    // An answer of somebody there goes to whoever wrote, with the plain mark and without a sender.
    let run = scratch.run(&["forward", "-a", &address, "-f", "x@b.test", "b@b.test"]);
    run.input(b"From: x@b.test\nSubject: answer\n\nx\n").go().ends_with(0);
    assert!(
        scratch.submitted().starts_with(b"X-Loop: a@a.test\n"),
        "{}",
        shown(&scratch.submitted())
    );
    assert_eq!(senders(&scratch).pop(), Some(("<>".to_owned(), "s@s.test".to_owned())));
    // A loop is one under that address too.
    let run = scratch.run(&["-v", "forward", "-a", &address, "-f", "s@s.test", "c@c.test"]);
    run.input(b"X-Loop: a@a.test\nSubject: loop\n\nx\n")
        .go()
        .ends_with(0)
        .mentions("verdict=loop");
}

#[test]
fn many_first_forwards_at_once_make_one_key() {
    let scratch = scratch();
    let runs: Vec<_> = (0..6)
        .map(|n| {
            scratch
                .forward(format!("Subject: {n}\n\n{n}\n").as_bytes(), &["b@b.test"])
                .start()
        })
        .collect();
    for run in runs {
        run.end().ends_with(0);
    }
    let sent: Vec<_> = senders(&scratch).into_iter().map(|(sender, _)| sender).collect();
    assert_eq!(sent.len(), 6, "{sent:?}");
    for (number, sender) in sent.iter().enumerate() {
        let text = STRANGE.replace("ekki", &format!("report {number}"));
        comes(&scratch, sender, &text).ends_with(0).mentions("verdict=bounce");
    }
    assert!(!contains(
        &fs::read(scratch.path("state/token.key")).unwrap(),
        user_name().as_bytes()
    ));
}

#[test]
fn tokens_need_a_delimiter() {
    let scratch = scratch().set("recipient_delimiter", "\"\"");
    let ended = scratch.run(&["config", "check"]).go();
    ended.ends_with(1);
    scratch
        .forward(ORDINARY, &["b@b.test"])
        .go()
        .defers()
        .mentions("recipient_delimiter");
}

/// A desk answers each message to the address that it came from: the writer gets the answers, up to a number, and the
/// desk none.
#[test]
fn an_answer_to_a_forward_goes_to_whoever_wrote_and_is_bounded() {
    let scratch = scratch();
    let address = address_of_a_forward(&scratch);
    for number in 0..6 {
        let text = format!("From: desk@b.test\nSubject: Ticket {number}\n\nNumber {number}.\n");
        let run = scratch.run(&["-v", "forward", "-a", &address, "-f", "desk@b.test", "b@b.test"]);
        run.input(text.as_bytes()).go().ends_with(0);
    }
    let to: Vec<_> = senders(&scratch).into_iter().map(|(_, to)| to).collect();
    assert_eq!(to, ["b@b.test", "s@s.test", "s@s.test", "s@s.test"]);
    assert_eq!(messages(&scratch.mail()).len(), 3, "the others are delivered locally");
}

#[test]
fn an_answer_to_a_forged_or_unknown_token_goes_to_nobody() {
    let scratch = scratch();
    let address = address_of_a_forward(&scratch);
    let answer = b"From: x@b.test\nSubject: answer\n\nx\n";
    // Nobody knows what it answers: it is delivered locally.
    fs::remove_file(scratch.path("state/sent")).unwrap();
    let run = scratch.run(&["-v", "forward", "-a", &address, "-f", "x@b.test", "b@b.test"]);
    run.input(answer)
        .go()
        .ends_with(0)
        .mentions("nothing is remembered of that");
    assert_eq!(messages(&scratch.mail()).len(), 1);
    // A forged token names nobody: what comes there is mail like any other.
    let forged = address.replace(&address[8..12], "zzzz");
    let run = scratch.run(&["-v", "forward", "-a", &forged, "-f", "x@x.test", "b@b.test"]);
    run.input(b"From: x@x.test\nSubject: other\n\ny\n")
        .go()
        .ends_with(0)
        .mentions("action=forward");
    assert_eq!(senders(&scratch).pop().map(|(_, to)| to).as_deref(), Some("b@b.test"));
}

#[test]
fn until_a_test_comes_home_the_sender_is_the_user() {
    let scratch = untested();
    let (address, test) = send_test(&scratch);
    assert_eq!(senders(&scratch)[0], ("a@a.test".to_owned(), "b@b.test".to_owned()));
    // Another forward on the same day sends no second test.
    scratch.forward(ORDINARY, &["b@b.test"]).go().ends_with(0);
    assert_eq!(senders(&scratch).len(), 3);
    assert_eq!(senders(&scratch)[2].0, "a@a.test");
    comes_home(&scratch, &address, &test);
    assert_eq!(senders(&scratch).len(), 3, "it goes nowhere");
    assert!(!scratch.mailbox().exists() && !scratch.path("admin").exists());
    let other = b"From: s@s.test\nMessage-ID: <2@s.test>\nSubject: other\n\nOther.\n";
    scratch.forward(other, &["b@b.test"]).go().ends_with(0);
    assert!(senders(&scratch)[3].0.starts_with("a+fwd="), "{:?}", senders(&scratch));
    let scratch = untested();
    scratch
        .forward(ORDINARY, &["b@b.test"])
        .with(&["-v"])
        .go()
        .mentions("until it comes home, the sender is the user");
}

#[test]
fn where_no_token_is_delivered_the_sender_stays_the_user() {
    // It takes the test, and reports that nobody is called so.
    let scratch = untested();
    let (address, test) = send_test(&scratch);
    let report = format!(
        "From: MAILER-DAEMON@a.test\nTo: a@a.test\nSubject: Undelivered Mail Returned to Sender\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"x\"\n\n--x\n\nunknown user\n\n\
         --x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; a.test\n\nFinal-Recipient: rfc822; {address}\n\
         Action: failed\nStatus: 5.1.1\nDiagnostic-Code: x-unix; user unknown\n\n--x\nContent-Type: message/rfc822\n\n{}\n--x--\n",
        String::from_utf8_lossy(&test)
    );
    comes(&scratch, "a@a.test", &report)
        .ends_with(0)
        .mentions("action=test")
        .mentions("does not come home");
    assert!(
        !scratch.mailbox().exists() && !scratch.path("admin").exists(),
        "nobody has to read that"
    );
    scratch.forward(ORDINARY, &["b@b.test"]).go().ends_with(0);
    assert_eq!(
        senders(&scratch).pop(),
        Some(("a@a.test".to_owned(), "b@b.test".to_owned()))
    );
    // It refuses the test at once.
    let mut scratch = untested();
    scratch.sendmail("case $* in *fwd=*) echo '550 5.1.1 user unknown' >&2; exit 67;; esac; exit 0");
    let ended = scratch.forward(ORDINARY, &["b@b.test"]).go();
    ended.ends_with(0).mentions("does not come home");
    assert_eq!(senders(&scratch)[0], ("a@a.test".to_owned(), "b@b.test".to_owned()));
}

#[test]
fn where_senders_are_ignored_reports_count_without_a_token() {
    // Exim ignores -f of users whom it does not trust: reports come to the plain address.
    let scratch = scratch();
    address_of_a_forward(&scratch);
    let report = "From: MAILER-DAEMON@b.test\nSubject: Undelivered Mail Returned to Sender\nMIME-Version: 1.0\n\
        Content-Type: multipart/report; report-type=delivery-status; boundary=\"x\"\n\n--x\n\nunknown user\n\n\
        --x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; b.test\n\nFinal-Recipient: rfc822; b@b.test\n\
        Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 user unknown\n\n--x\nContent-Type: message/rfc822\n\n\
        X-Loop: a@a.test\n";
    let report = format!("{report}{}\n--x--\n", String::from_utf8_lossy(ORDINARY));
    comes(&scratch, "a@a.test", &report).ends_with(0);
    let counted = |scratch: &Scratch| fs::read_to_string(scratch.path("state/routes.json")).unwrap_or_default();
    assert!(counted(&scratch).contains("b@b.test"), "{}", counted(&scratch));
    // Once one came with a token, others prove nothing.
    let scratch = self::scratch();
    let address = address_of_a_forward(&scratch);
    comes(&scratch, &address, STRANGE).ends_with(0);
    fs::remove_file(scratch.path("state/routes.json")).unwrap();
    comes(&scratch, "a@a.test", &report).ends_with(0);
    assert_eq!(counted(&scratch), "");
}

#[test]
fn a_desk_that_quotes_or_is_slow_is_ended_with_tokens() {
    end_quoting_desk(&scratch(), "with tokens");
    end_slow_desk(&scratch(), "with tokens", 300);
}
