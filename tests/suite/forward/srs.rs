//! `sender = "srs"`: what is forwarded has a sender that leads back, `return` leads back there, and nothing else gets
//! through it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::forward::loops::{end_quoting_desk, end_slow_desk};
use crate::support::{ORDINARY, Scratch, contains, messages, shown, user_name};

fn scratch() -> Scratch {
    let mut scratch = Scratch::new()
        .set("forward.sender", "\"srs\"")
        .set("log.to", "\"stderr\"");
    let secrets = scratch.path("secrets");
    fs::write(&secrets, "testsecret\n").unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
    scratch.change("srs.secrets", &format!("{:?}", secrets.display().to_string()));
    scratch.sendmail("exit 0");
    scratch
}

fn user() -> String {
    format!("{}@a.test", user_name())
}

/// Forwards a message from `sender`, and gives the envelope sender that it leaves with.
#[track_caller]
fn sender_of_a_forward(scratch: &Scratch, sender: &str) -> String {
    let user = user();
    let run = scratch.run(&["forward", "-a", &user, "-f", sender, "b@b.test"]);
    run.input(ORDINARY).go().ends_with(0);
    let call = scratch.calls().pop().unwrap();
    call[call.iter().position(|word| word == "-f").unwrap() + 1].clone()
}

/// The same message is sent on again.
fn without_history(scratch: &Scratch) -> &Scratch {
    fs::remove_dir_all(scratch.path("state")).unwrap();
    fs::create_dir(scratch.path("state")).unwrap();
    scratch
}

/// What b.test reports about that forward.
fn report(to: &str) -> Vec<u8> {
    let user = user();
    format!(
        "From: MAILER-DAEMON@b.test\nTo: {to}\nSubject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"x\"\n\n--x\n\nb@b.test: 550 5.1.1 no such user\n\n\
         --x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.b.test\n\nFinal-Recipient: rfc822; b@b.test\n\
         Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no such user\n\n--x\nContent-Type: message/rfc822\n\n\
         X-Loop: {user}\n{}\n--x--\n",
        String::from_utf8_lossy(ORDINARY)
    )
    .into_bytes()
}

#[test]
fn a_report_goes_back_to_the_sender_and_a_copy_to_the_user() {
    let scratch = scratch();
    let address = sender_of_a_forward(&scratch, "s@s.test");
    assert!(
        address.starts_with("SRS0+") && address.ends_with("=s.test=s@a.test"),
        "{address}"
    );
    let report = report(&address);
    let run = scratch
        .run(&["return"])
        .variable("SENDER", "")
        .variable("RECIPIENT", &address);
    run.input(&report).go().ends_with(0);
    assert_eq!(
        scratch.last_call(),
        ("<>".to_owned(), vec!["s@s.test".to_owned(), user()])
    );
    let sent = scratch.submitted();
    assert!(
        sent.starts_with(b"X-Loop: SRS0@a.test\n") && sent.ends_with(&report),
        "{}",
        shown(&sent)
    );
    // The user's guard takes the copy for what it is, and has the message again.
    let user = user();
    let run = scratch.run(&["forward", "-a", &user, "-f", "<>", "b@b.test"]);
    run.input(&sent).go().ends_with(0);
    assert_eq!(messages(&scratch.mail()).len(), 1);
    assert!(contains(
        &scratch.mail(),
        b"X-Spoolguard-Rescued: why=came-back; destination=b@b.test"
    ));
    let status = scratch.run(&["status"]).go();
    status.check(
        contains(&status.stdout, b"b@b.test"),
        "the failure counts against the destination",
    );
}

#[test]
fn an_address_is_found_where_the_mta_does_not_say_it() {
    let scratch = scratch();
    let address = sender_of_a_forward(&scratch, "s@s.test");
    let text = String::from_utf8(report(&address)).unwrap();
    // sendmail's prog mailer says nothing but the separator line.
    let message = format!("From MAILER-DAEMON Mon Nov  2 10:00:00 2026\n{text}");
    scratch
        .run(&["return"])
        .variable("AGENT", "sendmail")
        .input(message.as_bytes())
        .go()
        .ends_with(0);
    assert_eq!(scratch.last_call().1, ["s@s.test".to_owned(), user()]);
    // Whatever was done to its case on the way.
    let run = scratch.run(&["return", "-f", "<>", "-a", &address.to_lowercase()]);
    run.input(ORDINARY).go().ends_with(0);
    assert_eq!(scratch.last_call().1, ["s@s.test"]);
}

#[test]
fn an_automatic_answer_goes_back_and_mail_of_people_does_not() {
    let scratch = scratch();
    let address = sender_of_a_forward(&scratch, "s@s.test");
    let send = |sender: &str, to: &str, message: &[u8]| {
        let calls = scratch.calls().len();
        scratch
            .run(&["return", "-f", sender, "-a", to])
            .input(message)
            .go()
            .ends_with(0);
        (scratch.calls().len() - calls, messages(&scratch.diverted()).len())
    };
    let answer = b"From: b@b.test\nSubject: away\nAuto-Submitted: auto-replied\n\nAway.\n";
    assert_eq!(send("b@b.test", &address, answer), (1, 0));
    assert_eq!(scratch.last_call(), ("<>".to_owned(), vec!["s@s.test".to_owned()]));
    // An open relay would send all of these on.
    assert_eq!(send("x@x.test", &address, ORDINARY), (0, 1));
    let forged = address.replace("=s.test=s@", "=v.test=victim@");
    assert_eq!(send("<>", &forged, &report(&forged)), (0, 2));
    assert_eq!(send("<>", "srs0@a.test", ORDINARY), (0, 3));
    // What it sent comes back.
    scratch
        .run(&["return", "-f", "<>", "-a", &address])
        .input(&report(&address))
        .go()
        .ends_with(0);
    assert_eq!(send("<>", &address, &scratch.submitted()), (0, 4));
}

#[test]
fn a_copy_goes_to_the_guarded_alias_that_forwarded() {
    let mut scratch = scratch();
    let aliases = scratch.path("aliases");
    scratch.change("aliases.dir", &format!("{:?}", aliases.display().to_string()));
    let address = sender_of_a_forward(&scratch, "s@s.test");
    let report = String::from_utf8(report(&address)).unwrap();
    for (mark, place, to) in [
        ("nobody-called-so@a.test", None, &["s@s.test"][..]),
        ("sales@a.test", Some("sales"), &["s@s.test", "sales@a.test"]),
        ("info@a.test", Some("info@a.test"), &["s@s.test", "info@a.test"]),
        ("sales@b.test", None, &["s@s.test"]),
    ] {
        place.inspect(|place| fs::create_dir_all(aliases.join(place)).unwrap());
        let report = report.replace(&format!("X-Loop: {}", user()), &format!("X-Loop: {mark}"));
        let run = scratch.run(&["return", "-f", "<>", "-a", &address]);
        run.input(report.as_bytes()).go().ends_with(0);
        assert_eq!(scratch.last_call().1, to, "{mark}");
    }
}

#[test]
fn a_copy_goes_to_no_user_but_one_of_this_host() {
    let scratch = scratch();
    let address = sender_of_a_forward(&scratch, "s@s.test");
    for stranger in ["victim@v.test", "surely-nobody-is-called-so@a.test", "root@v.test"] {
        let text = String::from_utf8(report(&address)).unwrap();
        let forged = text.replace(&format!("X-Loop: {}", user()), &format!("X-Loop: {stranger}"));
        scratch
            .run(&["return", "-f", "<>", "-a", &address])
            .input(forged.as_bytes())
            .go()
            .ends_with(0);
        assert_eq!(scratch.last_call().1, ["s@s.test"], "{stranger}");
    }
}

#[test]
fn without_room_or_secrets_the_user_sends_and_reports_wait() {
    let mut scratch = scratch();
    let long = format!("{}@s.test", "l".repeat(50));
    let user = user();
    let run = scratch.run(&["forward", "-a", &user, "-f", &long, "b@b.test"]);
    run.input(ORDINARY).go().ends_with(0).mentions("64 bytes");
    assert_eq!(scratch.last_call().0, user);
    assert_eq!(
        sender_of_a_forward(without_history(&scratch), "other@a.test"),
        "other@a.test"
    );
    scratch.change("log.to", "\"none\"");
    let address = "SRS0+abcd=JP=s.test=s@a.test";
    for (mode, text) in [(0o666, "testsecret\n"), (0o600, "\n")] {
        fs::write(scratch.path("secrets"), text).unwrap();
        fs::set_permissions(scratch.path("secrets"), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(sender_of_a_forward(without_history(&scratch), "s@s.test"), user);
        scratch
            .run(&["return", "-f", "<>", "-a", address])
            .input(ORDINARY)
            .go()
            .defers();
    }
    fs::remove_file(scratch.path("secrets")).unwrap();
    scratch
        .run(&["return", "-f", "<>", "-a", address])
        .input(ORDINARY)
        .go()
        .defers();
}

#[test]
fn a_null_sender_stays_null_with_srs() {
    let scratch = scratch();
    assert_eq!(sender_of_a_forward(&scratch, "<>"), "<>");
}

#[test]
fn a_return_can_be_rehearsed_and_a_mail_system_keeps_the_report() {
    let scratch = scratch();
    let address = sender_of_a_forward(&scratch, "s@s.test");
    let calls = scratch.calls().len();
    let words = ["--dry-run", "return", "-f", "<>", "-a", &address];
    let ended = scratch.run(&words).input(&report(&address)).go();
    ended.ends_with(0).check(
        contains(&ended.stdout, b"return to s@s.test, with a copy to "),
        "it says where",
    );
    scratch
        .run(&words)
        .variable("SENDER", "")
        .input(&report(&address))
        .go()
        .ends_with(75);
    assert_eq!(scratch.calls().len(), calls);
}

#[test]
fn what_is_not_returned_is_diverted_where_nothing_can_be_held() {
    // As MTAs run an alias: an account without a home. It waited in the queue until the MTA gave it up.
    let mut scratch = scratch();
    let address = sender_of_a_forward(&scratch, "s@s.test");
    fs::write(scratch.path("file"), "").unwrap();
    let inside = scratch.path("file/state").display().to_string();
    scratch.change("state_dir", &format!("{inside:?}"));
    scratch.change("admin", "\"admin@a.test\"");
    let run = scratch.run(&["return", "-f", "x@b.test", "-a", &address]);
    run.input(ORDINARY).go().ends_with(0).mentions("without a held copy");
    assert_eq!(scratch.last_call(), ("<>".to_owned(), vec!["admin@a.test".to_owned()]));
}

#[test]
fn a_desk_that_quotes_or_is_slow_is_ended_with_srs() {
    end_quoting_desk(&scratch(), "srs");
    end_slow_desk(&scratch(), "srs", 300);
}
