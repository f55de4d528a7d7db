//! What an administrator gets when there is much to divert: the first few, a count of the rest, and every message
//! somewhere.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{ORDINARY, Scratch, contains, content, messages, only, shown};

/// A report that says that `recipient` failed, about the message `id` (RFC 3464). Nothing says that it was forwarded
/// from here.
fn report(recipient: &str, id: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.test\nTo: a@a.test\nSubject: Undelivered {id}\nMessage-ID: <r{id}@mx.test>\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"xx\"\n\n\
         --xx\n\nIt did not work.\n\n--xx\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.test\n\n\
         Final-Recipient: rfc822; {recipient}\nAction: failed\nStatus: 5.1.1\n\n--xx\nContent-Type: message/rfc822\n\n\
         Message-ID: <{id}@s.test>\nFrom: s@s.test\nSubject: hello\n\nHello {id}.\n\n--xx--\n"
    )
}

fn looped(id: &str) -> String {
    format!("X-Loop: a@a.test\nMessage-ID: <{id}@s.test>\nFrom: s@s.test\nSubject: {id}\n\nHello {id}.\n")
}

/// Delivers a report.
#[track_caller]
fn bounce(scratch: &Scratch, text: &str) {
    scratch
        .run(&["deliver", "-a", "a@a.test", "-f", "<>"])
        .input(text.as_bytes())
        .go()
        .succeeds();
}

/// Puts many messages through the guard in one run.
#[track_caller]
fn replay(scratch: &Scratch, sender: &str, all: impl IntoIterator<Item = String>) {
    let mbox: String = all
        .into_iter()
        .map(|text| format!("From x Mon Nov  2 10:00:00 2026\n{text}\n"))
        .collect();
    let path = scratch.path("stored");
    fs::write(&path, mbox).unwrap();
    let ended = scratch
        .run(&["replay", path.to_str().unwrap(), "-a", "a@a.test", "-f", sender])
        .go();
    ended.ends_with(0);
}

fn held(scratch: &Scratch, sort: &str) -> Vec<PathBuf> {
    scratch.files(&format!("state/storm/{sort}"))
}

/// What the held files are together, as `zcat` shows it.
fn unpacked(files: &[PathBuf]) -> Vec<u8> {
    let mut mbox = Vec::new();
    for file in files {
        flate2::read::GzDecoder::new(fs::File::open(file).unwrap())
            .read_to_end(&mut mbox)
            .unwrap();
    }
    mbox
}

fn state(scratch: &Scratch) -> Value {
    serde_json::from_slice(&fs::read(scratch.path("state/storm.json")).unwrap()).unwrap()
}

#[track_caller]
fn totals(scratch: &Scratch) -> (u64, u64, u64, u64) {
    let totals = &state(scratch)["totals"];
    let of = |key: &str| totals[key].as_u64().unwrap();
    (of("sent"), of("held"), of("kept"), of("pushed_out"))
}

/// Lets an hour pass: what is remembered is as if it had been written two hours ago.
fn an_hour_later(scratch: &Scratch) {
    let mut state = state(scratch);
    let earlier = |value: &mut Value| {
        if let Some(time) = value.as_i64() {
            *value = Value::from((time - 7200).max(0));
        }
    };
    for key in ["untold_since", "digest"] {
        earlier(&mut state[key]);
    }
    for time in state["sent"].as_array_mut().unwrap() {
        earlier(time);
    }
    for storm in state["storms"].as_array_mut().unwrap() {
        earlier(&mut storm["first"]);
        earlier(&mut storm["last"]);
    }
    fs::write(
        scratch.path("state/storm.json"),
        serde_json::to_vec_pretty(&state).unwrap(),
    )
    .unwrap();
}

#[test]
fn of_two_hundred_equal_reports_three_reach_the_administrator() {
    for admin in ["", "\"admin@a.test\""] {
        let mut scratch = Scratch::new();
        if !admin.is_empty() {
            scratch.change("admin", admin);
        }
        let text = report("b@b.test", "1");
        replay(&scratch, "<>", (0..200).map(|_| text.clone()));
        let got = messages(&scratch.diverted()).len() + scratch.sent().len();
        assert_eq!(got, 3, "{admin}");
        let files = held(&scratch, "equal");
        assert_eq!(files.len(), 197);
        let mbox = unpacked(&files);
        let all = messages(&mbox);
        assert_eq!(all.len(), 197);
        assert!(
            all.iter()
                .all(|one| contains(one, b"X-Spoolguard-Divert: verdict=bounce") && contains(one, b"Hello 1."))
        );
        assert!(scratch.mail().is_empty());
        assert_eq!(totals(&scratch), (3, 197, 0, 0));
    }
}

#[test]
fn a_dead_address_is_one_storm_whatever_was_sent_there() {
    let scratch = Scratch::new();
    replay(&scratch, "<>", (0..200).map(|id| report("b@b.test", &id.to_string())));
    assert_eq!(messages(&scratch.diverted()).len(), 3);
    assert_eq!(held(&scratch, "equal").len(), 197);
    // Another address is another matter.
    bounce(&scratch, &report("c@c.test", "1"));
    assert_eq!(messages(&scratch.diverted()).len(), 4);
}

#[test]
fn a_storm_about_forwards_brings_each_message_home_once() {
    let scratch = Scratch::new();
    let ours = |id: u32| {
        let text = report("b@b.test", &id.to_string());
        text.replace("message/rfc822\n\n", "message/rfc822\n\nX-Loop: a@a.test\n")
    };
    for _ in 0..2 {
        replay(&scratch, "<>", (0..30).map(ours));
    }
    assert_eq!(messages(&scratch.diverted()).len(), 3);
    assert_eq!(held(&scratch, "equal").len(), 57);
    let mail = scratch.mail();
    let rescued = messages(&mail)
        .iter()
        .filter(|one| contains(one, b"X-Spoolguard-Rescued: "))
        .count();
    assert_eq!(rescued, 30);
    for id in 0..30 {
        assert!(contains(&mail, format!("Hello {id}.").as_bytes()), "{id}");
    }
}

#[test]
fn a_looping_message_is_counted_and_another_one_is_not() {
    let scratch = Scratch::new();
    let one = looped("1");
    replay(&scratch, "s@s.test", (0..50).map(|_| one.clone()));
    assert_eq!(messages(&scratch.diverted()).len(), 3);
    assert_eq!(held(&scratch, "equal").len(), 47);
    scratch.deliver(looped("2").as_bytes()).go().succeeds();
    scratch
        .deliver(one.replace("Hello 1", "Hallo 1").as_bytes())
        .go()
        .succeeds();
    assert_eq!(messages(&scratch.diverted()).len(), 5);
    assert!(scratch.mail().is_empty());
}

#[test]
fn beyond_the_budget_reports_are_held_and_the_user_keeps_mail() {
    let scratch = Scratch::new().set("guard.null_sender", "\"divert\"");
    replay(&scratch, "<>", (0..30).map(|at| report(&format!("b{at}@b.test"), "1")));
    assert_eq!(messages(&scratch.diverted()).len(), 20);
    assert_eq!(held(&scratch, "more").len(), 10);
    assert!(held(&scratch, "equal").is_empty() && scratch.mail().is_empty());
    scratch.deliver(looped("1").as_bytes()).go().succeeds();
    scratch
        .run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"])
        .input(ORDINARY)
        .go()
        .succeeds();
    let mail = scratch.mail();
    let all = messages(&mail);
    assert_eq!(all.len(), 2);
    for one in all {
        assert!(contains(one, b"\nX-Spoolguard-Kept: "), "{}", shown(one));
        assert!(contains(one, b"20 messages were sent within an hour"), "{}", shown(one));
    }
    assert!(scratch.sent().is_empty());
    assert_eq!(messages(&scratch.diverted()).len(), 20);
    assert_eq!(totals(&scratch), (20, 10, 2, 0));
    an_hour_later(&scratch);
    scratch.deliver(looped("2").as_bytes()).go().succeeds();
    // And the digest behind it.
    assert_eq!(messages(&scratch.diverted()).len(), 22);
}

#[test]
fn the_numbers_are_configuration_and_nought_is_any_number() {
    let scratch = Scratch::new().set("digest.same", "1").set("digest.per_hour", "2");
    replay(&scratch, "<>", ["b", "b", "c", "d"].map(|name| report(name, "1")));
    assert_eq!(messages(&scratch.diverted()).len(), 2);
    assert_eq!((held(&scratch, "equal").len(), held(&scratch, "more").len()), (1, 1));
    let scratch = Scratch::new().set("digest.same", "0").set("digest.per_hour", "0");
    let text = report("b@b.test", "1");
    replay(&scratch, "<>", (0..50).map(|_| text.clone()));
    assert_eq!(messages(&scratch.diverted()).len(), 50);
}

#[test]
fn what_is_pushed_out_is_counted_and_told() {
    let scratch = Scratch::new().set("digest.same", "1");
    let dir = scratch.path("state/storm/equal");
    fs::create_dir_all(&dir).unwrap();
    for number in 0..1000 {
        fs::write(dir.join(format!("{number:012}-old-x.gz")), "x").unwrap();
    }
    let text = report("b@b.test", "1");
    replay(&scratch, "<>", (0..4).map(|_| text.clone()));
    assert_eq!(held(&scratch, "equal").len(), 1000);
    assert!(!dir.join("000000000002-old-x.gz").exists() && dir.join("000000000003-old-x.gz").exists());
    assert_eq!(totals(&scratch), (1, 3, 0, 3));
    an_hour_later(&scratch);
    bounce(&scratch, &report("c@c.test", "1"));
    let admin = scratch.diverted();
    let digest = messages(&admin)[2];
    assert!(
        contains(digest, b"\nRemoved meanwhile to make room: 3 held messages.\n"),
        "{}",
        shown(digest)
    );
}

#[test]
fn the_digest_says_how_many_whence_of_what_and_how_to_read_them() {
    for admin in ["", "\"admin@a.test\""] {
        let mut scratch = Scratch::new();
        if !admin.is_empty() {
            scratch.change("admin", admin);
        }
        replay(&scratch, "<>", (0..40).map(|id| report("b@b.test", &id.to_string())));
        bounce(&scratch, &report("c@c.test", "1"));
        an_hour_later(&scratch);
        bounce(&scratch, &report("c@c.test", "1"));
        bounce(&scratch, &report("c@c.test", "1"));
        let mbox = scratch.diverted();
        let sent = scratch.sent();
        let all: Vec<&[u8]> = if admin.is_empty() {
            messages(&mbox)
        } else {
            sent.iter().map(Vec::as_slice).collect()
        };
        // 3 + 3, and one digest.
        assert_eq!(all.len(), 7, "{admin}");
        let digests: Vec<_> = all.iter().filter(|one| contains(one, b"why=digest")).collect();
        let [digest] = digests.as_slice() else {
            panic!("{} digests", digests.len())
        };
        let text = String::from_utf8_lossy(digest).into_owned();
        for part in [
            "\nAuto-Submitted: auto-generated\n",
            "\nX-Loop: a@a.test\n",
            "\nX-Spoolguard-Divert: why=digest; recipient=a@a.test; host=",
            "\nSubject: 37 diverted messages of a@a.test were held back\n",
            "\n    37 bounce (failure) from mx.test about b@b.test, 5.1.1\n",
            "; you have 3\n",
            "\n    Reporting-MTA: dns; mx.test\n",
        ] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
        if !admin.is_empty() {
            assert!(
                text.starts_with("Return-Path: <>\nEnvelope-To: admin@a.test\n"),
                "{text}"
            );
        }
        assert!(text.len() < 16 << 10, "{}", text.len());
        // The commands that it names work as they stand there.
        let commands: Vec<_> = text
            .lines()
            .filter(|line| line.trim_start().starts_with("zcat "))
            .collect();
        assert_eq!(commands.len(), 2, "{text}");
        for command in commands {
            let output = std::process::Command::new("/bin/sh")
                .args(["-c", command.trim()])
                .output()
                .unwrap();
            assert_eq!(messages(&output.stdout).len(), 37, "{command}");
        }
        // Should it ever come back, it goes no further.
        let back = if admin.is_empty() { content(digest) } else { *digest };
        let before = scratch.sent().len();
        let other = Scratch::new();
        other
            .run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"])
            .input(back)
            .go()
            .succeeds();
        assert!(contains(&other.mail(), b"why=diverted-before"));
        assert_eq!((scratch.sent().len(), other.sent().len()), (before, 0));
    }
}

#[test]
fn a_digest_that_cannot_be_sent_comes_an_hour_later() {
    let mut scratch = Scratch::new().set("digest.same", "1").set("admin", "\"admin@a.test\"");
    let text = report("b@b.test", "1");
    replay(&scratch, "<>", (0..10).map(|_| text.clone()));
    an_hour_later(&scratch);
    let outbox = format!("\"outbox:{}\"", scratch.path("outbox").display());
    scratch.sendmail("exit 75");
    // Counted, so that nothing but the digest needs sendmail.
    bounce(&scratch, &text);
    bounce(&scratch, &text);
    assert_eq!(scratch.calls().len(), 1, "tried once an hour");
    scratch.change("forward.transport", &outbox);
    an_hour_later(&scratch);
    bounce(&scratch, &text);
    let sent = scratch.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().any(|one| contains(one, b"Subject: 12 diverted messages ")));
}

#[test]
fn with_the_administrators_mbox_full_all_is_somewhere_and_told() {
    let scratch = Scratch::new().set("digest.admin_limit", "\"2K\"");
    replay(&scratch, "<>", (0..6).map(|at| report(&format!("b{at}@b.test"), "1")));
    let before = messages(&scratch.diverted()).len();
    assert!((1..6).contains(&before), "{before}");
    assert!(scratch.diverted().len() <= 2048);
    assert_eq!(held(&scratch, "more").len(), 6 - before);
    let large = format!("{}{}\n", looped("1"), "x".repeat(2000));
    scratch.deliver(large.as_bytes()).go().succeeds();
    let mail = scratch.mail();
    let kept = only(&mail);
    assert!(
        contains(kept, b"the administrator's mbox is full") && kept.starts_with(b"X-Spoolguard-Kept: "),
        "{}",
        shown(kept)
    );
    assert_eq!(totals(&scratch), (before as u64, 6 - before as u64, 1, 0));
    assert!(state(&scratch)["admin_full_at"].is_number());
    an_hour_later(&scratch);
    bounce(&scratch, &report("c@c.test", "1"));
    let admin = scratch.diverted();
    let all = messages(&admin);
    assert_eq!(all.len(), before + 1);
    assert!(
        contains(all[before], b"your mbox is full") && contains(all[before], b"header X-Spoolguard-Kept."),
        "{}",
        shown(all[before])
    );
    assert_eq!(held(&scratch, "more").len(), 7 - before);
    let unlimited = scratch.set("digest.admin_limit", "\"none\"");
    bounce(&unlimited, &report("d@d.test", "1"));
    assert_eq!(messages(&unlimited.diverted()).len(), before + 2);
}

#[test]
fn the_administrators_full_mbox_takes_some_digests() {
    let scratch = Scratch::new().set("digest.admin_limit", "\"2K\"");
    let old = format!("From x Mon Nov  2 10:00:00 2026\n\n{}\n\n", "x".repeat(1 << 19));
    fs::write(scratch.path("admin"), &old).unwrap();
    bounce(&scratch, &report("b@b.test", "1"));
    an_hour_later(&scratch);
    bounce(&scratch, &report("b@b.test", "2"));
    assert_eq!(messages(&scratch.diverted()).len(), 2, "the old one and the digest");
    let more = format!("{old}{}", "y".repeat(1 << 20));
    fs::write(scratch.path("admin"), &more).unwrap();
    bounce(&scratch, &report("b@b.test", "3"));
    an_hour_later(&scratch);
    let scratch = scratch.set("log.to", "\"stderr\"");
    let run = scratch.run(&["deliver", "-a", "a@a.test", "-f", "<>"]);
    run.input(report("b@b.test", "4").as_bytes())
        .go()
        .ends_with(0)
        .mentions("more than full with digests");
    assert_eq!(scratch.diverted(), more.as_bytes());
}

#[test]
fn mail_that_finds_neither_room_nor_administrator_overflows() {
    let scratch = Scratch::new()
        .set("quota.limit", "\"1K\"")
        .set("quota.when_full", "\"divert\"")
        .set("digest.per_hour", "2");
    fs::write(scratch.mailbox(), "From x Mon Nov  2 10:00:00 2026\n\nx\n\n".repeat(30)).unwrap();
    for id in 0..4 {
        let text = format!("Message-ID: <{id}@s.test>\nSubject: {id}\n\nHello {id}.\n");
        scratch.deliver(text.as_bytes()).go().succeeds();
    }
    assert_eq!(messages(&scratch.diverted()).len(), 2);
    let overflow = fs::read(scratch.path("state/overflow")).unwrap();
    assert_eq!(messages(&overflow).len(), 2);
    assert!(contains(&overflow, b"\nHello 3.\n"));
    assert_eq!(totals(&scratch), (2, 0, 2, 0));
    // So does mail that was to be diverted for what it is.
    scratch
        .run(&["deliver", "-a", "a@a.test", "-f", "<>"])
        .input(looped("9").as_bytes())
        .go()
        .succeeds();
    assert_eq!(messages(&fs::read(scratch.path("state/overflow")).unwrap()).len(), 3);
    assert_eq!(totals(&scratch), (2, 0, 3, 0));
}

#[test]
fn a_storm_that_is_over_is_told_behind_the_next_forward() {
    let scratch = Scratch::new();
    replay(&scratch, "<>", (0..10).map(|id| report("b@b.test", &id.to_string())));
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    assert_eq!(messages(&scratch.diverted()).len(), 3, "not yet");
    an_hour_later(&scratch);
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(messages(&scratch.diverted()).len(), 3, "a plain delivery does not look");
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    assert!(contains(&scratch.diverted(), b"\nSubject: 7 diverted messages "));
    an_hour_later(&scratch);
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    assert_eq!(messages(&scratch.diverted()).len(), 4, "told once");
}

#[test]
fn many_at_once_keep_the_bound_and_lose_nothing() {
    let scratch = Scratch::new();
    let running: Vec<_> = (0..24)
        .map(|id| {
            scratch
                .run(&["deliver", "-a", "a@a.test", "-f", "<>"])
                .input(report("b@b.test", &id.to_string()).as_bytes())
                .start()
        })
        .collect();
    for run in running {
        run.end().succeeds();
    }
    let admin = scratch.diverted();
    let files = held(&scratch, "equal");
    let mbox = unpacked(&files);
    assert_eq!((messages(&admin).len(), messages(&mbox).len()), (3, 21));
    for id in 0..24 {
        let text = format!("\nHello {id}.\n");
        assert!(
            contains(&admin, text.as_bytes()) || contains(&mbox, text.as_bytes()),
            "{id} is gone"
        );
    }
    assert_eq!(totals(&scratch), (3, 21, 0, 0));
}

#[test]
fn a_memory_that_cannot_be_understood_is_set_aside() {
    for nonsense in ["", "{", "{\"storms\": 3}", "\0\0\0"] {
        let scratch = Scratch::new();
        fs::write(scratch.path("state/storm.json"), nonsense).unwrap();
        bounce(&scratch, &report("b@b.test", "1"));
        assert_eq!(messages(&scratch.diverted()).len(), 1, "{nonsense:?}");
        assert_eq!(
            fs::read_to_string(scratch.path("state/storm.json.bad")).unwrap(),
            nonsense
        );
        assert_eq!(totals(&scratch), (1, 0, 0, 0));
    }
}

#[test]
fn absurd_numbers_in_the_memory_stop_nothing() {
    let scratch = Scratch::new();
    let most = u64::MAX;
    let (early, late) = (i64::MIN, i64::MAX);
    let text = format!(
        "{{\"digest\": {early}, \"untold_since\": {early}, \"sent\": [{late}, {early}], \"pushed_out\": {most}, \
         \"forgotten\": {{\"held\": {most}, \"kept\": {most}}}, \"totals\": {{\"held\": {most}, \"sent\": {most}}}}}"
    );
    fs::write(scratch.path("state/storm.json"), text).unwrap();
    bounce(&scratch, &report("b@b.test", "1"));
    assert!(!scratch.path("state/storm.json.bad").exists());
    // And a digest that tells of them.
    assert_eq!(messages(&scratch.diverted()).len(), 2);
}

#[test]
fn a_changed_memory_adds_no_header_or_command_to_the_digest() {
    let scratch = Scratch::new();
    replay(&scratch, "<>", (0..9).map(|id| report("b@b.test", &id.to_string())));
    let mut state = state(&scratch);
    state["address"] = Value::from("a@a.test\nBcc: c@c.test\n\nx");
    state["storms"][0]["key"] = Value::from("1 2; touch /tmp/x $(reboot) `reboot`\n");
    state["storms"][0]["about"]["of"] = Value::from("b@b.test\n    zcat x\u{202e}");
    state["untold_since"] = Value::from(0);
    fs::write(scratch.path("state/storm.json"), state.to_string()).unwrap();
    // A forward looks whether a digest is due, and does not write the address anew.
    scratch
        .run(&["forward", "-a", "a@a.test", "-f", "s@s.test", "b@b.test"])
        .input(ORDINARY)
        .go()
        .succeeds();
    let admin = scratch.diverted();
    let all = messages(&admin);
    let digest = String::from_utf8_lossy(all[3]).into_owned();
    assert!(digest.contains("diverted messages"), "{digest}");
    for harm in ["\nBcc:", "reboot", "touch", "\n    zcat x"] {
        assert!(!digest.contains(harm), "{harm:?} in {digest}");
    }
}

#[test]
fn trouble_with_the_memory_never_holds_a_message_up() {
    let text = report("b@b.test", "1");
    for trouble in ["state/storm.json.lock", "state/storm.json.new"] {
        let scratch = Scratch::new();
        fs::create_dir_all(scratch.path(trouble).join("full")).unwrap();
        replay(&scratch, "<>", (0..5).map(|_| text.clone()));
        // It is set aside, and the memory works.
        assert!(scratch.path(&format!("{trouble}.bad/full")).exists(), "{trouble}");
        assert_eq!(messages(&scratch.diverted()).len(), 3, "{trouble}");
    }
    // Nor does a place where nothing can be held: all is sent instead.
    for admin in ["", "\"admin@a.test\""] {
        let mut scratch = Scratch::new();
        if !admin.is_empty() {
            scratch.change("admin", admin);
        }
        fs::write(scratch.path("state/storm"), "no directory").unwrap();
        replay(&scratch, "<>", (0..5).map(|_| text.clone()));
        assert_eq!(messages(&scratch.diverted()).len() + scratch.sent().len(), 5, "{admin}");
        assert_eq!(totals(&scratch), (5, 0, 0, 0));
    }
    let scratch = Scratch::new().set("digest.admin_limit", "\"1K\"");
    fs::write(scratch.path("state/storm"), "no directory").unwrap();
    replay(&scratch, "<>", (0..5).map(|at| report(&format!("b{at}@b.test"), "1")));
    let (admin, mail) = (messages(&scratch.diverted()).len(), messages(&scratch.mail()).len());
    assert_eq!((admin, mail), (1, 4));
    assert_eq!(totals(&scratch), (1, 0, 4, 0));
}

#[test]
fn a_message_that_was_not_sent_takes_nothing_from_the_budget() {
    let mut scratch = Scratch::new()
        .set("admin", "\"admin@a.test\"")
        .set("digest.per_hour", "2")
        .set("digest.same", "1");
    let outbox = format!("\"outbox:{}\"", scratch.path("outbox").display());
    scratch.sendmail("exit 75");
    let text = report("b@b.test", "1");
    for _ in 0..5 {
        scratch
            .run(&["deliver", "-a", "a@a.test", "-f", "<>"])
            .input(text.as_bytes())
            .go()
            .defers();
    }
    scratch.change("forward.transport", &outbox);
    bounce(&scratch, &text);
    assert_eq!(scratch.sent().len(), 1);
    assert_eq!(totals(&scratch), (1, 0, 0, 0));
}

#[test]
fn an_ordinary_delivery_touches_none_of_it() {
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).go().succeeds();
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    let names: Vec<_> = scratch
        .files("state")
        .into_iter()
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("storm"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn without_a_state_directory_mail_is_diverted_as_ever() {
    let scratch = Scratch::new().set("state_dir", "\"/dev/null/none\"");
    let text = report("b@b.test", "1");
    replay(&scratch, "<>", (0..5).map(|_| text.clone()));
    assert_eq!(messages(&scratch.diverted()).len(), 5);
}
