//! What doctor says of the LMTP servers that mail goes to: whether they answer, what they have, and whether they would
//! take mail.

use crate::doctor::scene::{Found, doctor, findings, guarded_home, host, own_findings};
use crate::support::lmtp::{FakeLmtp, Plan, say};
use crate::support::{is_root, user_name};

/// What is found about mailboxes at this location.
fn found(location: &str) -> Vec<Found> {
    let scratch = host().set("mailbox.location", location);
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    let found = own_findings(&scratch);
    found
        .into_iter()
        .filter(|found| found.check == "mailbox" && found.subject.starts_with("lmtp:"))
        .collect()
}

#[track_caller]
fn tells(location: &str, level: &str, parts: &[&str]) {
    let found = found(location);
    let is_told = |found: &Found| found.level == level && parts.iter().all(|part| found.finding.contains(part));
    assert!(found.iter().any(is_told), "{level} {parts:?}: {found:?}");
}

#[test]
fn a_server_that_takes_mail_is_asked_for_no_more() {
    let server = FakeLmtp::start_tcp(vec![Plan::good()]);
    let takes = format!("it takes mail for {}", user_name());
    tells(
        &format!("{:?}", server.place),
        "ok",
        &["8BITMIME, CHUNKING, ENHANCEDSTATUSCODES, PIPELINING", &takes],
    );
    assert!(server.stored().is_empty());
    assert!(
        !server.commands().contains(&"DATA".to_owned()),
        "{:?}",
        server.commands()
    );
}

#[test]
fn what_a_server_says_of_the_mailbox_is_told() {
    for (line, parts) in [
        ("452 4.2.2 Over quota", ["is full there", "452 4.2.2 Over quota"]),
        (
            "552 5.2.2 Quota exceeded",
            ["is full there", "552 5.2.2 Quota exceeded"],
        ),
        (
            "550 5.1.1 User doesn't exist",
            ["would wait", "550 5.1.1 User doesn't exist"],
        ),
        ("451 4.4.0 Proxy failed", ["would wait", "451 4.4.0 Proxy failed"]),
    ] {
        let server = FakeLmtp::start_tcp(vec![Plan::at("rcpt", say(line))]);
        tells(&format!("{:?}", server.place), "warning", &parts);
    }
    // Cyrus by TCP.
    let server = FakeLmtp::start_tcp(vec![Plan::at("mail", say("430 Authentication required"))]);
    tells(&format!("{:?}", server.place), "warning", &["would wait", "430"]);
}

#[test]
fn a_silent_server_is_an_error_unless_another_answers() {
    let server = FakeLmtp::start_tcp(vec![Plan::good()]);
    let nobody = "lmtp:/nowhere/lmtp";
    let list = format!("[{nobody:?}, {:?}]", server.place);
    tells(&list, "warning", &["the others are used", "no such file or directory"]);
    tells(&format!("{nobody:?}"), "error", &["no server answers"]);
    let other = FakeLmtp::start_tcp(vec![Plan::at("lhlo", say("502 5.5.2 Unknown command"))]);
    tells(&format!("{:?}", other.place), "error", &["no server answers", "502"]);
}

#[test]
fn a_server_in_a_public_net_is_an_error() {
    for place in ["192.0.2.1", "[2001:db8::1]"] {
        tells(&format!("\"lmtp:{place}:24\""), "error", &["not encrypted"]);
    }
}

/// Its mail comes through a transport of the MTA's: no file of anybody's names spoolguard, and whoever runs its
/// deliveries looks.
#[test]
fn a_virtual_users_server_is_looked_at() {
    let server = FakeLmtp::start_tcp(vec![Plan::good()]);
    let scratch = host().set("mailbox.location", &format!("{:?}", server.place));
    let look = || doctor(&scratch, &["--json", "-v", "--user", "ann@x.test"]);
    let found = match is_root() {
        true => {
            scratch.open_to_all();
            look().go().ends_with(64).mentions("run this as the user who delivers");
            std::os::unix::fs::chown(scratch.path("state"), Some(65534), None).unwrap();
            findings(look().uid(65534))
        }
        false => findings(look()),
    };
    let takes = |found: &Found| found.finding.contains("it takes mail for ann@x.test");
    assert!(found.iter().any(takes), "{found:?}");
    assert!(server.commands().contains(&"RCPT TO:<ann@x.test>".to_owned()));
}
