//! A destination that keeps failing: it is suspended, its mail is kept, both are told once, and it is tried again. Time
//! passes by setting back the times that the program wrote down.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::Value;

use crate::support::{Scratch, contains, content, is_root, messages, only, shown, skip, until, user_name};

pub const HOUR: i64 = 60 * 60;
pub const DAY: i64 = 24 * HOUR;

/// The `number`th message.
pub fn letter(number: usize) -> Vec<u8> {
    format!(
        "From: s@s.test\nTo: a@a.test\nMessage-ID: <{number}@s.test>\nSubject: letter {number}\n\nHello {number}.\n"
    )
    .into_bytes()
}

/// A report about the `number`th message, as `b.test` writes it.
pub fn report(number: usize, action: &str, status: &str) -> Vec<u8> {
    let answer = match status {
        "5.3.4" => "552 message too large",
        _ => "550 no such user here",
    };
    format!(
        "Received: by b.test\nFrom: MAILER-DAEMON@b.test\nTo: a@a.test\nMessage-ID: <r{number}@b.test>\nSubject: Undelivered\n\
         MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"xx\"\n\n\
         --xx\nContent-Type: text/plain\n\nIt did not work.\n\n\
         --xx\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.b.test\n\n\
         Final-Recipient: rfc822; b@b.test\nAction: {action}\nStatus: {status}\nDiagnostic-Code: smtp; {answer}\n\n\
         --xx\nContent-Type: text/rfc822-headers\n\nX-Loop: a@a.test\nFrom: s@s.test\nTo: a@a.test\nMessage-ID: <{number}@s.test>\n\
         Subject: letter {number}\n\n--xx--\n"
    )
    .into_bytes()
}

/// A scratch whose sendmail does as the file `answer` says: its exit status, with a reply where that is 67.
pub fn scratch() -> Scratch {
    let mut scratch = Scratch::new();
    let answer = scratch.path("answer");
    scratch.sendmail(&format!(
        "answer=$(cat '{}'); [ $answer != 67 ] || echo '550 no such user'; exit $answer",
        answer.display()
    ));
    answers(&scratch, 0);
    scratch
}

pub fn answers(scratch: &Scratch, status: i32) {
    fs::write(scratch.path("answer"), status.to_string()).unwrap();
}

pub fn state(scratch: &Scratch) -> Value {
    let text = fs::read_to_string(scratch.path("state/routes.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Sets every time in the state back, as if that long had passed.
pub fn pass_time(scratch: &Scratch, seconds: i64) {
    pass_time_in(scratch, "routes.json", seconds);
}

/// The same in another of the state's files.
pub fn pass_time_in(scratch: &Scratch, file: &str, seconds: i64) {
    fn set_back(value: &mut Value, key: &str, seconds: i64) {
        match value {
            Value::Number(number) => {
                let now = number.as_i64().unwrap();
                if now > 1_000_000_000 {
                    *value = (now - seconds).into();
                } else if key.ends_with("_on") {
                    *value = (now - seconds.div_euclid(DAY)).into();
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|inner| set_back(inner, key, seconds)),
            Value::Object(object) => object.iter_mut().for_each(|(key, inner)| set_back(inner, key, seconds)),
            _ => {}
        }
    }
    let path = scratch.path("state").join(file);
    let mut all: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    set_back(&mut all, "", seconds);
    fs::write(path, all.to_string()).unwrap();
}

/// Sends the messages of these numbers to b@b.test.
#[track_caller]
pub fn forward(scratch: &Scratch, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        scratch.forward(&letter(number), &["b@b.test"]).go().succeeds();
    }
}

/// A report may be here before sendmail has answered for its message: it proves as much as a later one.
#[test]
fn a_report_before_its_run_has_ended_counts_in_full() {
    let mut scratch = Scratch::new();
    scratch.sendmail("touch \"$(dirname $0)/taken\"; sleep 1; exit 0");
    for number in 1..=3 {
        let sending = scratch.forward(&letter(number), &["b@b.test"]).start();
        until("sendmail runs", || scratch.path("taken").exists());
        let back = scratch
            .forward(&report(number, "failed", "5.1.1"), &["b@b.test"])
            .start();
        for run in [sending, back] {
            run.end().ends_with(0);
        }
        fs::remove_file(scratch.path("taken")).unwrap();
    }
    let ended = scratch.run(&["status"]).go();
    assert!(contains(&ended.stdout, b"suspended since"), "{}", shown(&ended.stdout));
}

/// A scratch in which b@b.test is suspended after three messages, with nothing in the mailbox or at the administrator.
#[track_caller]
pub fn suspended() -> Scratch {
    let scratch = scratch();
    answers(&scratch, 67);
    forward(&scratch, 1..=3);
    answers(&scratch, 0);
    assert!(
        !state(&scratch)["routes"][0]["suspended"].is_null(),
        "{}",
        state(&scratch)
    );
    forget(&scratch);
    scratch
}

/// Empties mailbox, administrator's mbox, and the list of what was sent.
fn forget(scratch: &Scratch) {
    for path in [scratch.mailbox(), scratch.path("admin"), scratch.path("calls")] {
        if path.exists() {
            fs::write(path, "").unwrap();
        }
    }
}

/// How many times sendmail ran, how many messages are in the mailbox, and how many the administrator has.
pub fn counts(scratch: &Scratch) -> (usize, usize, usize) {
    (
        scratch.calls().len(),
        messages(&scratch.mail()).len(),
        messages(&scratch.diverted()).len(),
    )
}

#[test]
fn three_refusals_suspend_a_destination_and_both_are_told_once() {
    let scratch = scratch();
    answers(&scratch, 67);
    forward(&scratch, 1..=2);
    assert_eq!(counts(&scratch), (2, 2, 0));
    forward(&scratch, 3..=3);
    assert_eq!(counts(&scratch), (3, 4, 1), "the third, and a notice to each");
    forward(&scratch, 4..=6);
    assert_eq!(counts(&scratch), (3, 7, 1), "kept, and nobody is told again");
    let mail = scratch.mail();
    let all = messages(&mail);
    let kept = content(all[4]);
    let field = "X-Spoolguard-Kept: verdict=ordinary; why=\"b@b.test is suspended since ";
    assert!(kept.starts_with(field.as_bytes()), "{}", shown(kept));
    assert!(kept.ends_with(b"\n\nHello 4.\n"), "{}", shown(kept));

    let user = String::from_utf8(content(all[3]).to_vec()).unwrap();
    let mailbox = scratch.mailbox().display().to_string();
    for part in [
        "Auto-Submitted: auto-generated\n",
        "X-Loop: a@a.test\n",
        "To: <a@a.test>\n",
        "Subject: Your mail is no longer forwarded to b@b.test\n",
        "\"status 67, 550 no such user\" (sendmail on this host)",
        &format!("    {} status --resume b@b.test\n", scratch.printed_program()),
        "It has been failing since ",
        "New mail has been kept in ",
        &mailbox,
    ] {
        assert!(
            user.replace('\n', " ").contains(&part.replace('\n', " ")),
            "{part:?} is missing in\n{user}"
        );
    }
    assert!(all[3].starts_with(b"From MAILER-DAEMON "), "{}", shown(all[3]));
    let admin = scratch.diverted();
    let admin = String::from_utf8(only(&admin).to_vec()).unwrap();
    for part in [
        "Auto-Submitted: auto-generated\n",
        "X-Spoolguard-Divert: notice; recipient=a@a.test; host=",
        &format!("Subject: Forward of {} to b@b.test is suspended\n", user_name()),
        &format!(
            "    {} status --user {} --resume b@b.test\n",
            scratch.printed_program(),
            user_name()
        ),
    ] {
        assert!(admin.contains(part), "{part:?} is missing in\n{admin}");
    }
    assert!(
        user.lines().chain(admin.lines()).all(|line| line.len() < 200),
        "{user}{admin}"
    );
}

#[test]
fn the_others_are_sent_to_and_a_copy_is_kept_once() {
    let scratch = suspended();
    scratch.forward(&letter(4), &["b@b.test", "c@c.test"]).go().succeeds();
    assert_eq!(counts(&scratch), (1, 1, 0));
    assert_eq!(scratch.calls()[0].last().map(String::as_str), Some("c@c.test"));
    assert!(!scratch.calls()[0].contains(&"b@b.test".to_owned()));
    scratch.forward(&letter(5), &["b@b.test", "--keep"]).go().succeeds();
    assert_eq!(counts(&scratch), (1, 2, 0));
    let mail = scratch.mail();
    let copy = content(messages(&mail)[1]);
    assert!(
        copy.starts_with(b"X-Spoolguard-Kept: ") && copy.ends_with(&letter(5)),
        "it is the copy that was asked for, and was not sent"
    );
    assert_eq!(state(&scratch)["routes"][0]["suspended"]["kept"], 2);
}

#[test]
fn one_message_is_a_probe_and_silence_about_it_ends_the_case() {
    let scratch = suspended();
    pass_time(&scratch, HOUR - 60);
    forward(&scratch, 4..=4);
    assert_eq!(counts(&scratch), (0, 1, 0), "it is early");
    pass_time(&scratch, 60);
    forward(&scratch, 5..=6);
    assert_eq!(counts(&scratch), (1, 3, 0), "one, and a copy of each");
    let mail = scratch.mail();
    assert!(contains(
        messages(&mail)[1],
        b"this message was sent all the same, as a probe"
    ));
    assert!(!contains(messages(&mail)[2], b"as a probe"));
    pass_time(&scratch, 2 * HOUR);
    forward(&scratch, 7..=8);
    assert_eq!(counts(&scratch), (3, 4, 1), "forwarded again, and a notice to each");
    let (mail, admin) = (scratch.mail(), scratch.diverted());
    let notice = content(messages(&mail)[3]);
    assert!(contains(notice, b"Subject: Your mail is forwarded to b@b.test again\n"));
    assert!(contains(notice, b"3 messages were kept in"), "{}", shown(notice));
    assert!(contains(only(&admin), b" to b@b.test is open again\n"));
}

#[test]
fn a_probe_that_fails_is_followed_by_a_longer_wait() {
    let scratch = suspended();
    pass_time(&scratch, HOUR);
    answers(&scratch, 67);
    forward(&scratch, 4..=4);
    assert_eq!(counts(&scratch), (1, 1, 0), "one copy, and no notice");
    pass_time(&scratch, 2 * HOUR - 60);
    forward(&scratch, 5..=5);
    assert_eq!(counts(&scratch), (1, 2, 0));
    pass_time(&scratch, 60);
    answers(&scratch, 0);
    forward(&scratch, 6..=6);
    assert_eq!(counts(&scratch), (2, 3, 0));
    // The report of it comes later.
    let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
    run.input(&report(6, "failed", "5.1.1")).go().succeeds();
    assert_eq!(counts(&scratch), (2, 3, 1), "diverted");
    pass_time(&scratch, 4 * HOUR - 60);
    forward(&scratch, 7..=7);
    assert_eq!(counts(&scratch), (2, 4, 1));
    pass_time(&scratch, 60);
    forward(&scratch, 8..=8);
    assert_eq!(counts(&scratch), (3, 5, 1));
}

#[test]
fn a_probe_that_sendmail_cannot_take_now_is_none() {
    let scratch = suspended();
    pass_time(&scratch, HOUR);
    answers(&scratch, 75);
    scratch.forward(&letter(4), &["b@b.test"]).go().defers();
    assert_eq!(counts(&scratch), (1, 0, 0), "no copy stays of what comes again");
    answers(&scratch, 0);
    forward(&scratch, 4..=4);
    assert_eq!(counts(&scratch), (2, 1, 0), "it is the probe now");
}

#[test]
fn of_many_at_once_one_is_the_probe_and_all_are_kept() {
    let scratch = suspended();
    pass_time(&scratch, HOUR);
    let letters: Vec<_> = (4..12).map(letter).collect();
    let running: Vec<_> = letters
        .iter()
        .map(|letter| scratch.forward(letter, &["b@b.test"]).start())
        .collect();
    for run in running {
        run.end().succeeds();
    }
    assert_eq!(counts(&scratch), (1, 8, 0));
    assert_eq!(
        state(&scratch)["routes"][0]["suspended"]["kept"],
        8,
        "{}",
        state(&scratch)
    );
}

#[test]
fn many_refusals_at_once_are_told_once() {
    let scratch = scratch();
    answers(&scratch, 67);
    let letters: Vec<_> = (0..8).map(letter).collect();
    let running: Vec<_> = letters
        .iter()
        .map(|letter| scratch.forward(letter, &["b@b.test"]).start())
        .collect();
    for run in running {
        run.end().succeeds();
    }
    assert_eq!((counts(&scratch).1, counts(&scratch).2), (9, 1));
}

#[test]
fn reports_about_our_own_forward_count_a_day_at_a_time() {
    let scratch = scratch();
    let come = |number: usize, action: &str, status: &str| {
        let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
        run.input(&report(number, action, status)).go().succeeds();
    };
    come(1, "failed", "5.1.1");
    come(1, "failed", "5.1.1");
    let health = &state(&scratch)["routes"][0]["health"];
    assert_eq!(
        (&health["hard"], &health["last"]["host"]),
        (&1.into(), &"mx.b.test".into()),
        "{health}"
    );
    come(2, "delayed", "4.4.1");
    come(3, "failed", "5.3.4");
    let health = &state(&scratch)["routes"][0]["health"];
    assert_eq!((&health["late"], &health["soft"]), (&1.into(), &0.into()), "{health}");
    let mut days = 1;
    while state(&scratch)["routes"][0]["suspended"].is_null() {
        assert!(days <= 10, "never suspended: {}", state(&scratch));
        days += 1;
        pass_time(&scratch, DAY);
        come(10 + days, "failed", "5.1.1");
    }
    assert!(days >= 5, "suspended after {days} days");
    let mail = scratch.mail();
    let notice = only(&mail);
    assert!(contains(notice, b"no such user here"), "{}", shown(notice));
    forget(&scratch);
    forward(&scratch, 30..=30);
    assert_eq!(counts(&scratch), (0, 1, 0));
}

#[test]
fn three_reports_about_three_sent_messages_suspend_at_once() {
    let scratch = scratch();
    forward(&scratch, 1..=5);
    let come = |number: usize, action: &str, status: &str| {
        let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
        run.input(&report(number, action, status)).go().succeeds();
    };
    // Twice the same, late ones, and one that was never sent.
    for number in [1, 1, 2, 99] {
        come(number, "failed", "5.1.1");
    }
    come(3, "delayed", "4.4.1");
    come(4, "failed", "5.3.4");
    assert!(
        state(&scratch)["routes"][0]["suspended"].is_null(),
        "{}",
        state(&scratch)
    );
    come(5, "failed", "5.1.1");
    assert!(
        !state(&scratch)["routes"][0]["suspended"].is_null(),
        "{}",
        state(&scratch)
    );
    forget(&scratch);
    forward(&scratch, 6..=6);
    assert_eq!(counts(&scratch), (0, 1, 0));
}

#[test]
fn a_reason_counts_that_only_the_words_of_a_report_give() {
    let scratch = scratch();
    forward(&scratch, 1..=5);
    let come = |number: usize, words: &str| {
        // As OpenSMTPD writes it: a status that says nothing, and no diagnostic code.
        let text = String::from_utf8(report(number, "failed", "5.0.0")).unwrap();
        let text = text
            .replace("It did not work.", words)
            .replace("Diagnostic-Code: smtp; 550 no such user here\n", "");
        let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
        run.input(text.as_bytes()).go().succeeds();
    };
    // No reason, one that is about the message, and one of another address.
    come(1, "An error has occurred for these recipients:\n\nb@b.test:\n");
    come(
        2,
        "An error has occurred for these recipients:\n\nb@b.test: 554 this looks like spam\n",
    );
    come(
        3,
        "An error has occurred for these recipients:\n\nc@c.test: 550 Invalid recipient: <c@c.test>\n",
    );
    for number in [3, 4, 5] {
        assert!(
            state(&scratch)["routes"][0]["suspended"].is_null(),
            "{}",
            state(&scratch)
        );
        come(
            number,
            "An error has occurred for these recipients:\n\nb@b.test: 550 Invalid recipient: <b@b.test>\n",
        );
    }
    let suspended = &state(&scratch)["routes"][0];
    assert!(!suspended["suspended"].is_null(), "{suspended}");
    assert!(suspended.to_string().contains("550 Invalid recipient"), "{suspended}");
}

#[test]
fn a_message_that_went_there_already_is_no_probe() {
    let scratch = suspended();
    pass_time(&scratch, HOUR);
    forward(&scratch, 4..=4);
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    scratch.run(&["status", "--resume", "b@b.test"]).go().ends_with(0);
    answers(&scratch, 67);
    forward(&scratch, 5..=7);
    answers(&scratch, 0);
    pass_time(&scratch, HOUR);
    forget(&scratch);
    forward(&scratch, [4, 8]);
    assert_eq!(counts(&scratch), (1, 1, 0), "the other is, and a copy of that is kept");
    let mail = scratch.mail();
    assert!(contains(messages(&mail)[0], b"as a probe"), "{}", shown(&mail));
}

#[test]
fn reports_about_something_else_count_for_nothing() {
    let scratch = scratch();
    let foreign = String::from_utf8(report(1, "failed", "5.1.1"))
        .unwrap()
        .replace("X-Loop: a@a.test\n", "");
    for number in 0..5 {
        let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
        let foreign = foreign.replace("<1@s.test>", &format!("<{number}@x.test>"));
        run.input(foreign.as_bytes()).go().succeeds();
    }
    assert!(!scratch.path("state/routes.json").exists());
    let old = format!(
        "Date: Mon, 2 Nov 2020 10:00:00 +0000\n{}",
        String::from_utf8(report(1, "failed", "5.1.1")).unwrap()
    );
    let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
    run.input(old.as_bytes()).go().succeeds();
    // The message is listed, and the address is not blamed.
    assert_eq!(state(&scratch)["routes"], serde_json::json!([]), "an old one");
}

#[test]
fn mail_that_works_leaves_no_trace() {
    let scratch = scratch();
    scratch.deliver(&letter(1)).go().succeeds();
    scratch.forward(&letter(2), &["b@b.test"]).go().succeeds();
    let traces: Vec<_> = scratch
        .files("state")
        .into_iter()
        .filter(|path| path.display().to_string().contains("routes"))
        .collect();
    assert!(traces.is_empty(), "{traces:?}");
}

#[test]
fn it_can_be_switched_off() {
    let scratch = scratch().set("destinations.suspend", "false");
    answers(&scratch, 67);
    forward(&scratch, 1..=5);
    assert_eq!(counts(&scratch), (5, 5, 0));
    assert!(!scratch.path("state/routes.json").exists());
    // What was remembered before does not hold then.
    let mut scratch = suspended();
    scratch.change("destinations.suspend", "false");
    forward(&scratch, 4..=4);
    assert_eq!(counts(&scratch), (1, 0, 0));
}

#[test]
fn state_that_is_none_stops_no_mail() {
    for damage in ["", "{", "\"text\"", "{\"routes\": 1}", "link", "directory"] {
        let scratch = suspended();
        let path = scratch.path("state/routes.json");
        fs::remove_file(&path).unwrap();
        match damage {
            "link" => symlink(scratch.path("answer"), &path).unwrap(),
            "directory" => fs::create_dir(&path).unwrap(),
            text => fs::write(&path, text).unwrap(),
        }
        forward(&scratch, 4..=4);
        assert_eq!(counts(&scratch), (1, 0, 0), "{damage:?}");
        answers(&scratch, 67);
        forward(&scratch, 5..=7);
        assert_eq!(counts(&scratch), (4, 4, 1), "{damage:?}: begun anew");
        assert!(
            scratch.path("state/routes.json.bad").symlink_metadata().is_ok(),
            "{damage:?}"
        );
    }
}

#[test]
fn state_that_cannot_be_written_stops_no_mail() {
    let mut scratch = scratch();
    answers(&scratch, 67);
    let file = scratch.path("file");
    fs::write(&file, "x").unwrap();
    scratch.change("state_dir", &format!("{:?}", file.join("state").display().to_string()));
    forward(&scratch, 1..=5);
    assert_eq!(counts(&scratch), (5, 5, 0));
}

#[test]
fn a_suspension_that_cannot_be_changed_holds() {
    if is_root() {
        skip("root writes into any directory");
        return;
    }
    let scratch = suspended();
    pass_time(&scratch, HOUR);
    let dir = scratch.path("state");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
    forward(&scratch, 4..=5);
    assert_eq!(counts(&scratch), (0, 2, 0), "kept, and no probe that two might send");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    forward(&scratch, 6..=6);
    assert_eq!(counts(&scratch), (1, 3, 0));
}

#[test]
fn where_no_mailbox_can_be_made_mail_goes_out_all_the_same() {
    let scratch = suspended();
    fs::remove_dir_all(scratch.path("spool")).unwrap();
    forward(&scratch, 4..=4);
    assert_eq!(scratch.calls().len(), 1);
}

#[test]
fn a_full_mailbox_does_as_it_is_told() {
    let mut scratch = suspended();
    fs::write(scratch.mailbox(), [b'x'; 4096]).unwrap();
    scratch.change("quota.limit", "\"2k\"");
    pass_time(&scratch, HOUR);
    scratch.forward(&letter(4), &["b@b.test"]).go().defers();
    assert!(scratch.calls().is_empty(), "a probe of which no copy can be kept");
    scratch.change("quota.when_full", "\"overflow\"");
    forward(&scratch, 5..=6);
    assert_eq!(scratch.calls().len(), 1, "a probe");
    let overflow = fs::read(scratch.path("state/overflow")).unwrap();
    assert_eq!(messages(&overflow).len(), 2);
    scratch.change("quota.when_full", "\"refuse\"");
    scratch.forward(&letter(7), &["b@b.test"]).go().refuses();
}

#[test]
fn a_copy_that_is_all_that_a_destination_gets_is_not_given_up() {
    let scratch = suspended()
        .set("quota.limit", "\"2k\"")
        .set("quota.when_full", "\"overflow\"");
    fs::write(scratch.mailbox(), [b'x'; 4096]).unwrap();
    fs::create_dir(scratch.path("state/overflow")).unwrap();
    scratch.forward(&letter(4), &["b@b.test", "c@c.test"]).go().defers();
    scratch.forward(&letter(5), &["b@b.test"]).go().defers();
    // A copy that was only asked for beside is another matter: the message is where it was to go.
    scratch.forward(&letter(6), &["c@c.test", "--keep"]).go().succeeds();
    fs::remove_dir(scratch.path("state/overflow")).unwrap();
    scratch.forward(&letter(4), &["b@b.test", "c@c.test"]).go().succeeds();
    assert_eq!(messages(&fs::read(scratch.path("state/overflow")).unwrap()).len(), 1);
}

#[test]
fn a_message_with_a_null_sender_is_no_probe() {
    let scratch = suspended();
    let scratch = scratch.set("guard.null_sender", "\"pass\"");
    pass_time(&scratch, HOUR);
    let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
    run.input(&letter(4)).go().succeeds();
    assert_eq!(counts(&scratch), (0, 1, 0), "nobody would hear that it failed");
    forward(&scratch, 5..=5);
    assert_eq!(counts(&scratch), (1, 2, 0));
}

#[test]
fn a_notice_that_cannot_be_written_comes_later_and_only_once() {
    let scratch = scratch();
    answers(&scratch, 67);
    fs::create_dir(scratch.path("admin")).unwrap();
    forward(&scratch, 1..=3);
    assert_eq!(messages(&scratch.mail()).len(), 4, "the user knows");
    fs::remove_dir(scratch.path("admin")).unwrap();
    forward(&scratch, 4..=4);
    assert_eq!(counts(&scratch), (3, 5, 0), "not at once");
    pass_time(&scratch, 300);
    forward(&scratch, 5..=6);
    assert_eq!(counts(&scratch), (3, 7, 1));
    pass_time(&scratch, 1200);
    forward(&scratch, 7..=7);
    assert_eq!(counts(&scratch), (3, 8, 1));
}

#[test]
fn a_notice_to_an_address_can_neither_bounce_nor_loop() {
    let mut scratch = suspended();
    scratch.change("admin", "\"boss@a.test\"");
    answers(&scratch, 67);
    for number in 4..=6 {
        scratch.forward(&letter(number), &["c@c.test"]).go().succeeds();
    }
    let calls = scratch.calls();
    let last = calls.last().unwrap();
    assert_eq!(&last[last.len() - 4..], ["-f", "<>", "--", "boss@a.test"], "{calls:?}");
    assert_eq!(calls.len(), 4);
    let notice = scratch.submitted();
    assert!(
        contains(&notice, b"\nX-Spoolguard-Divert: notice; "),
        "{}",
        shown(&notice)
    );
    // The administrator's mail is forwarded back to the user.
    answers(&scratch, 0);
    forget(&scratch);
    let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "d@d.test"]);
    run.input(&notice).go().succeeds();
    assert_eq!(counts(&scratch), (0, 1, 0));
    // It could not be sent: tried again later, and the user is not told again.
    let mut scratch = scratch_with_boss();
    answers(&scratch, 67);
    forward(&scratch, 1..=3);
    assert_eq!(counts(&scratch), (4, 4, 0));
    scratch.change("admin", &format!("{:?}", scratch.path("admin").display().to_string()));
    pass_time(&scratch, 300);
    forward(&scratch, 4..=4);
    assert_eq!(counts(&scratch), (4, 5, 1));
}

fn scratch_with_boss() -> Scratch {
    scratch().set("admin", "\"boss@a.test\"")
}

#[test]
fn an_administrator_who_is_the_user_is_told_once() {
    let mut scratch = scratch();
    scratch.change("admin", "\"a@a.test\"");
    answers(&scratch, 67);
    forward(&scratch, 1..=3);
    assert_eq!(counts(&scratch), (3, 4, 0));
}

#[test]
fn what_other_hosts_say_cannot_leave_its_line_in_a_notice() {
    let mut scratch = scratch();
    scratch.sendmail("printf '550 no\\nX-Evil: 1\\r\\nFrom evil\\n\\033[2J%0900d' 0; exit 67");
    forward(&scratch, 1..=3);
    let mail = scratch.mail();
    let notice = messages(&mail)[3];
    assert!(contains(notice, b"550 no"), "{}", shown(notice));
    assert!(!contains(notice, b"\nX-Evil") && !contains(notice, b"\x1b") && !contains(notice, b"\nFrom evil"));
    assert!(notice.split(|b| *b == b'\n').all(|line| line.len() < 400));
}

#[test]
fn a_run_that_is_killed_with_the_probe_leaves_it_to_another() {
    let mut scratch = suspended();
    pass_time(&scratch, HOUR);
    let pid_file = scratch.hanging_sendmail();
    let message = letter(4);
    let run = scratch.forward(&message, &["b@b.test"]).start();
    until("sendmail runs", || pid_file.exists());
    run.signal(nix::sys::signal::Signal::SIGKILL);
    let pid: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    let _ = run.end();
    let answer = scratch.path("answer");
    scratch.sendmail(&format!("exit \"$(cat '{}')\"", answer.display()));
    forget(&scratch);
    forward(&scratch, 5..=5);
    assert_eq!(counts(&scratch), (0, 1, 0));
    pass_time(&scratch, 600);
    forward(&scratch, 6..=6);
    assert_eq!(counts(&scratch), (1, 2, 0));
}
