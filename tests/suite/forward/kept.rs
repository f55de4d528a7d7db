//! What was kept instead of being sent on: its owner is told, status says so, and one command sends it on.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::{Scratch, contains, messages, shown, until};

fn letter(number: usize) -> Vec<u8> {
    format!(
        "From: S <s{number}@s.test>\nTo: a@a.test\nMessage-ID: <{number}@s.test>\nSubject: letter {number}\n\n\
         Letter {number}.\nFrom here on it is quoted.\n"
    )
    .into_bytes()
}

/// Forwards letter `number`.
fn forward(scratch: &Scratch, number: usize) {
    scratch
        .run(&[
            "forward",
            "-a",
            "a@a.test",
            "-f",
            &format!("s{number}@s.test"),
            "b@b.test",
        ])
        .input(&letter(number))
        .go()
        .succeeds();
}

/// A destination that is suspended, and `count` letters that were kept for it.
fn suspended(count: usize) -> Scratch {
    let scratch = Scratch::new();
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    (1..=count).for_each(|number| forward(&scratch, number));
    scratch
}

/// A bounce of letter `number`, refused for a policy of the destination.
fn policy_bounce(number: usize) -> Vec<u8> {
    let said = "550 5.7.26 Unauthenticated email from s.test is not accepted due to domain's DMARC policy";
    let message = String::from_utf8(letter(number)).unwrap();
    format!(
        "Received: from mx.b.test (mx.b.test [192.0.2.2]) by mx.a.test with ESMTP id 1\nFrom: MAILER-DAEMON@mx.b.test\nTo: a@a.test\n\
         Subject: Undelivered Mail Returned to Sender\nMessage-ID: <r{number}@mx.b.test>\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"xx\"\n\n--xx\nContent-Type: text/plain\n\n\
         This is the mail system at host mx.b.test.\n\n<b@b.test>: host mx.b.test said: {said}\n (in reply to end of DATA command)\n\n\
         --xx\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.a.test\n\nFinal-Recipient: rfc822; b@b.test\n\
         Action: failed\nStatus: 5.7.26\nRemote-MTA: dns; mx.b.test\nDiagnostic-Code: smtp; {said}\n\n\
         --xx\nContent-Type: message/rfc822\n\nX-Loop: a@a.test\n{message}\n--xx--\n"
    )
    .into_bytes()
}

/// The numbers of the letters that were sent on, in order; notices of ours are none.
fn sent(scratch: &Scratch) -> Vec<usize> {
    scratch.sent().iter().filter_map(|message| number_of(message)).collect()
}

fn number_of(message: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(message).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("Subject: letter "))?;
    line.parse().ok()
}

fn send_kept(scratch: &Scratch) {
    scratch
        .run(&["status", "--send-kept", "b@b.test", "--yes"])
        .go()
        .ends_with(0);
}

/// For the destination that got nothing, the copy that is kept of all mail is the message.
#[test]
fn a_copy_of_what_was_not_sent_says_so() {
    let with = |scratch: &Scratch, to: &[&str], number: usize| {
        let sender = format!("s{number}@s.test");
        let run = scratch.run(&[&["forward", "--keep", "-a", "a@a.test", "-f", &sender], to].concat());
        run.input(&letter(number)).go().succeeds();
    };
    let scratch = suspended(0);
    with(&scratch, &["b@b.test"], 1);
    with(&scratch, &["c@c.test"], 2);
    with(&scratch, &["b@b.test", "c@c.test"], 3);
    let mail = scratch.mail();
    let letters: Vec<_> = messages(&mail)
        .into_iter()
        .filter(|text| number_of(text).is_some())
        .collect();
    let marked: Vec<_> = letters
        .iter()
        .map(|text| contains(text, b"X-Spoolguard-Kept: "))
        .collect();
    assert_eq!(marked, [true, false, true], "{}", shown(&mail));
    assert_eq!(sent(&scratch), [2, 3]);
    scratch.run(&["status", "--resume", "b@b.test"]).go().ends_with(0);
    send_kept(&scratch);
    assert_eq!(sent(&scratch), [2, 3, 1, 3], "each once more");
}

#[test]
fn what_was_kept_is_sent_on_once_and_oldest_first() {
    let scratch = suspended(3);
    assert_eq!(sent(&scratch), [0_usize; 0]);
    let resumed = scratch.run(&["status", "--resume", "b@b.test"]).go();
    resumed.ends_with(0).check(
        String::from_utf8_lossy(&resumed.stdout).contains("--send-kept b@b.test"),
        "resume suggests the command",
    );
    send_kept(&scratch);
    assert_eq!(sent(&scratch), [1, 2, 3]);
    // As it came, with its own sender's marks and none of ours but X-Loop; and the notices stay.
    let first = &scratch.sent()[0];
    assert!(!contains(first, b"X-Spoolguard-"), "{}", shown(first));
    assert!(contains(first, b"\nX-Loop: a@a.test\n"), "{}", shown(first));
    assert!(first.ends_with(&letter(1)), "{}", shown(first));
    send_kept(&scratch);
    assert_eq!(sent(&scratch).len(), 3, "each once");
    scratch.run(&["status"]).go().ends_with(0);
    assert_eq!(
        messages(&scratch.mail())
            .iter()
            .filter(|m| number_of(m).is_some())
            .count(),
        3,
        "they stay in the mailbox"
    );
}

#[test]
fn status_ends_with_1_while_mail_is_kept_that_can_be_sent() {
    let scratch = suspended(2);
    scratch.run(&["status", "--resume", "b@b.test"]).go().ends_with(0);
    let status = scratch.run(&["status"]).go();
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    status.ends_with(1).check(
        text.contains("b@b.test: 2 messages kept in") && text.contains("--send-kept b@b.test"),
        "status says how many, and the command",
    );
    let json = scratch.run(&["status", "--json"]).go();
    let line = String::from_utf8_lossy(&json.stdout)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|line| line["kind"] == "kept")
        .unwrap();
    assert_eq!(
        (&line["messages"], &line["destination"]),
        (&2.into(), &"b@b.test".into())
    );
    // Whoever has read and removed it all has ended it too.
    fs::write(scratch.mailbox(), "").unwrap();
    scratch.run(&["status"]).go().ends_with(0);
    send_kept(&scratch);
    assert!(sent(&scratch).is_empty());
}

#[test]
fn nothing_is_sent_without_a_terminal_and_without_yes() {
    let scratch = suspended(1);
    for (more, status, last) in [
        (&[][..], 1, "nothing was sent; --yes does it"),
        (&["--dry-run"], 0, "nothing was sent: this is a dry run"),
        (&["--dry-run", "--yes"], 0, "nothing was sent: this is a dry run"),
    ] {
        let ended = scratch.run(&["status", "--send-kept", "b@b.test"]).with(more).go();
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        ended.ends_with(status).check(
            text.contains("1 message kept for b@b.test") && text.trim_end().ends_with(last),
            "the plan, and that nothing was done",
        );
    }
    assert!(sent(&scratch).is_empty());
    let other = scratch.run(&["status", "--send-kept", "c@c.test", "--yes"]).go();
    other.ends_with(0).check(
        String::from_utf8_lossy(&other.stdout).contains("nothing was kept for c@c.test"),
        "it says so",
    );
}

#[test]
fn what_a_destination_refuses_by_policy_is_told_once_a_day() {
    let scratch = Scratch::new();
    for number in 1..=4 {
        forward(&scratch, number);
        scratch
            .run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"])
            .input(&policy_bounce(number))
            .go()
            .succeeds();
    }
    let mail = scratch.mail();
    let notices: Vec<_> = messages(&mail)
        .into_iter()
        .filter(|message| contains(message, b"X-Spoolguard-Notice"))
        .map(|message| String::from_utf8_lossy(message).into_owned())
        .collect();
    assert_eq!(notices.len(), 1, "{}", shown(&mail));
    for part in [
        "not sent on to b@b.test",
        "DMARC policy",
        "--send-kept b@b.test",
        scratch.mailbox().to_str().unwrap(),
    ] {
        assert!(notices[0].contains(part), "{part} in {}", notices[0]);
    }
    let status = scratch.run(&["status"]).go();
    status.ends_with(1).check(
        String::from_utf8_lossy(&status.stdout).contains("4 messages kept in"),
        "status says how many",
    );
    // Whoever reads at the destination is told there: it lives.
    let told: Vec<_> = scratch
        .sent()
        .into_iter()
        .filter(|m| contains(m, b"X-Spoolguard-Notice"))
        .collect();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with(b"Return-Path: <>\nEnvelope-To: b@b.test\n"),
        "{}",
        shown(&told[0])
    );
    send_kept(&scratch);
    assert_eq!(
        sent(&scratch),
        [1, 2, 3, 4, 1, 2, 3, 4],
        "once more, for now it may be taken"
    );
    scratch.run(&["status"]).go().ends_with(0);
}

#[test]
fn what_sendmail_refuses_waits_until_it_takes_it() {
    let mut scratch = Scratch::new();
    scratch.sendmail("echo 550 no such user; exit 67");
    forward(&scratch, 1);
    scratch.run(&["status"]).go().ends_with(1);
    scratch
        .run(&["status", "--send-kept", "b@b.test", "--yes"])
        .go()
        .ends_with(1);
    scratch.sendmail("exit 75");
    scratch
        .run(&["status", "--send-kept", "b@b.test", "--yes"])
        .go()
        .ends_with(75);
    let before = scratch.calls().len();
    scratch.sendmail("exit 0");
    send_kept(&scratch);
    send_kept(&scratch);
    assert_eq!(scratch.calls().len(), before + 1);
    assert!(
        scratch.submitted().ends_with(&letter(1)),
        "{}",
        shown(&scratch.submitted())
    );
}

/// A sendmail that takes its time, and keeps what it took.
fn slow_sendmail(scratch: &mut Scratch) {
    let dir = scratch.path("taken");
    fs::create_dir_all(&dir).unwrap();
    let script = scratch.script(
        "slow",
        &format!(
            "cat >'{0}/part.'$$; touch '{0}/started'; sleep 0.05; mv '{0}/part.'$$ '{0}/taken.'$(date +%s%N)",
            dir.display()
        ),
    );
    scratch.change("forward.transport", &format!("{:?}", script.display().to_string()));
}

fn taken(dir: &Path) -> Vec<usize> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries
        .filter(|path| path.to_string_lossy().contains("taken."))
        .collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| number_of(&fs::read(path).unwrap()))
        .collect()
}

#[test]
fn killed_and_run_again_each_is_sent_once() {
    for round in 0..4 {
        let mut scratch = suspended(5);
        slow_sendmail(&mut scratch);
        let dir = scratch.path("taken");
        // Killed at another place in each round: while the first is on its way, or later.
        let running = scratch.run(&["status", "--send-kept", "b@b.test", "--yes"]).start();
        until("a message is on its way", || dir.join("started").exists());
        until("so many were taken", || taken(&dir).len() >= round);
        running.signal(Signal::SIGKILL);
        running.end();
        send_kept(&scratch);
        let mut all = taken(&dir);
        assert_eq!(all, [1, 2, 3, 4, 5], "in round {round}");
        all.dedup();
        assert_eq!(all.len(), 5);
    }
}

#[test]
fn what_the_user_removed_is_not_sent() {
    let scratch = suspended(3);
    let mail = String::from_utf8(scratch.mail()).unwrap();
    let start = mail.find("From s2@s.test").unwrap();
    let end = mail.find("From s3@s.test").unwrap();
    fs::write(scratch.mailbox(), format!("{}{}", &mail[..start], &mail[end..])).unwrap();
    let ended = scratch.run(&["status", "--send-kept", "b@b.test", "--yes"]).go();
    ended.ends_with(0).check(
        String::from_utf8_lossy(&ended.stdout).contains("1 no longer in the mailbox"),
        "it says so",
    );
    assert_eq!(sent(&scratch), [1, 3]);
}

#[test]
fn a_copy_that_was_asked_for_is_sent_on_too() {
    let scratch = Scratch::new();
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    scratch
        .run(&["forward", "--keep", "-a", "a@a.test", "-f", "s1@s.test", "b@b.test"])
        .input(&letter(1))
        .go()
        .succeeds();
    send_kept(&scratch);
    assert_eq!(sent(&scratch), [1]);
}

#[test]
fn two_alarms_of_one_id_are_two_messages() {
    let scratch = Scratch::new();
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    for text in ["one", "two"] {
        scratch
            .run(&["forward", "-a", "a@a.test", "-f", "s@s.test", "b@b.test"])
            .input(format!("From: s@s.test\nMessage-ID: <scan@s.test>\nSubject: scan\n\n{text}\n").as_bytes())
            .go()
            .succeeds();
    }
    send_kept(&scratch);
    let sent = scratch.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent[0].ends_with(b"one\n") && sent[1].ends_with(b"two\n"));
}

#[test]
fn a_large_message_is_sent_on_byte_for_byte() {
    let scratch = Scratch::new();
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    let large = [letter(1), crate::support::large(600_000)].concat();
    scratch
        .run(&["forward", "-a", "a@a.test", "-f", "s1@s.test", "b@b.test"])
        .input(&large)
        .go()
        .succeeds();
    send_kept(&scratch);
    assert!(scratch.sent()[0].ends_with(&large));
}

#[test]
fn a_list_that_has_grown_long_is_written_anew() {
    let scratch = suspended(1);
    let path = scratch.path("state/kept/b@b.test.list");
    let mut text = fs::read_to_string(&path).unwrap();
    for number in 0..2000 {
        text += &format!("1000 kept old{number} suspended \n1000 sent old{number}\n");
    }
    fs::write(&path, &text).unwrap();
    forward(&scratch, 2);
    let shorter = fs::read_to_string(&path).unwrap();
    assert!(shorter.len() < 1000, "{shorter}");
    send_kept(&scratch);
    assert_eq!(sent(&scratch), [1, 2]);
}
