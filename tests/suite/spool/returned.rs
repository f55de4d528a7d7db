//! `spool sweep --rescue`: messages that never arrived, carried by the reports that go, are put into the mailbox first:
//! each once, whatever kills the run.

use std::fs;

use crate::forward::rescue::{ORIGINAL, report_with};
use crate::spool::archive::{OLD, archived, archived_whole, calls, leftovers, scratch, stored, strace_works, traced};
use crate::support::{Scratch, contains, messages, same, shown, skip, until, user_name};

const DATE: &str = "Mon Nov  2 10:00:00 2026";

fn guarded() -> Scratch {
    scratch().set("addresses", "[\"a@a.test\"]")
}

/// A report as it lies in a mailbox.
fn lying(report: &str) -> String {
    format!(
        "From MAILER-DAEMON {DATE}\n{}\n",
        report.replace("\nFrom here", "\n>From here")
    )
}

/// One that carries this message.
fn carrying(message: &str) -> String {
    report_with(&format!("Content-Type: message/rfc822\n\n{message}"))
}

fn letter(number: u32) -> String {
    format!(
        "From: s{number}@s.test\nTo: a@a.test\nMessage-ID: <{number}@s.test>\nSubject: number {number}\n\nbody {number}\n"
    )
}

/// What lies in the mailbox when a message was put back, without the field on top.
fn put_back(message: &str, sender: &str) -> String {
    format!(
        "From {sender} {DATE}\n{}\n",
        message.replace("\nFrom here", "\n>From here")
    )
}

const FIELD: &str = "X-Spoolguard-Rescued: why=came-back; destination=b@b.test; status=5.1.1; said=\"550 5.1.1 no such user\"; host=mx.b.test";

/// Takes our field away, and looks at it.
fn without_field(mail: &str) -> String {
    assert!(mail.contains(FIELD), "{mail}");
    mail.replace(&format!("{FIELD}\n"), "")
}

fn sweep(scratch: &Scratch, flags: &[&str]) -> String {
    let ended = scratch.run(&["spool", "sweep", &user_name()]).with(flags).go();
    let has_done = flags.contains(&"--yes") || flags.contains(&"--dry-run");
    ended.ends_with(i32::from(!has_done));
    String::from_utf8(ended.stdout.clone()).unwrap()
}

/// Everything that may lie in such a mailbox, and whether it goes.
fn mailbox() -> Vec<(String, bool)> {
    let marked = format!("X-Loop: a@a.test\n{ORIGINAL}");
    let again = format!("Received: from a.test by b.test\nX-Loop: a@a.test\n{ORIGINAL}");
    vec![
        (stored(1, DATE, ""), false),
        (lying(&carrying(&marked)), true),
        // Another report about the same.
        (lying(&carrying(&again)), true),
        // Of a plain forward, which leaves no mark.
        (lying(&carrying(&letter(7))), true),
        // A report about a report, as they come where reports are forwarded.
        (lying(&carrying(&carrying(&letter(8)).replace("x=xyz", "inner"))), true),
        // Its message is in the mailbox, as it came.
        (lying(&carrying(&letter(9))), true),
        (
            format!("From s9@s.test {OLD}\nReceived: x\nStatus: RO\n{}\n", letter(9)),
            false,
        ),
        // Nothing but a header.
        (
            lying(&report_with(
                "Content-Type: text/rfc822-headers\n\nFrom: s@s.test\nMessage-ID: <10@s.test>\nSubject: x\n",
            )),
            true,
        ),
        // What the user wrote.
        (
            lying(&carrying(&letter(11).replace(
                "From: s11@s.test\nTo: a@a.test",
                "From: a@a.test\nTo: c@c.test",
            ))),
            true,
        ),
        // Late, and not given up.
        (
            lying(&carrying(&letter(12)).replace("Action: failed", "Action: delayed")),
            true,
        ),
        (stored(2, DATE, ""), false),
    ]
}

fn of(parts: &[(String, bool)], goes: bool) -> String {
    parts
        .iter()
        .filter(|(_, is)| *is == goes)
        .map(|(part, _)| part.as_str())
        .collect()
}

#[test]
fn what_reports_carry_is_said_and_put_back_once_when_asked() {
    let parts = mailbox();
    let all: String = parts.iter().map(|(part, _)| part.as_str()).collect();
    let rescued = [
        put_back(ORIGINAL, "s@s.test"),
        put_back(&letter(7), "s7@s.test"),
        put_back(&letter(8), "s8@s.test"),
    ]
    .concat();
    let scratch = guarded();
    fs::write(scratch.mailbox(), &all).unwrap();
    let said = sweep(&scratch, &[]);
    for text in [
        "    3 messages that never arrived are inside these bounces and not in the mailbox; --rescue recovers them\n",
        "    2 bounces carry messages that are in the mailbox, or in another bounce\n",
        "    1 headers-only bounce: it has no text to recover\n",
        "    1 bounce is about a message that the user wrote; it goes into the archive\n",
    ] {
        assert!(said.contains(text), "{text}{said}");
    }
    let said = sweep(&scratch, &["--rescue", "-v"]);
    assert!(said.contains("would recover 3 messages that never arrived"), "{said}");
    for text in [
        "Sam <s@s.test>",
        "hello",
        "s7@s.test",
        "number 8",
        "2026-11-02 10:00:00",
    ] {
        assert!(said.contains(text), "{text}\n{said}");
    }
    assert!(!said.contains("number 9"), "{said}");
    same(&scratch.mail(), all.as_bytes());

    let said = sweep(&scratch, &["--rescue", "--yes"]);
    assert!(said.contains("recovered 3 messages that never arrived"), "{said}");
    let mail = String::from_utf8(scratch.mail()).unwrap();
    same(
        without_field(&mail).as_bytes(),
        [of(&parts, false), rescued.clone()].concat().as_bytes(),
    );
    assert_eq!(mail.matches(FIELD).count(), 3);
    same(&archived(&scratch), of(&parts, true).as_bytes());

    // The reports once more: nothing comes twice.
    let archive = scratch.files("archives")[0].display().to_string();
    scratch.run(&["spool", "restore", "--yes", &archive]).go().ends_with(0);
    assert!(scratch.mail().len() > mail.len());
    let said = sweep(&scratch, &["--rescue", "--yes"]);
    assert!(!said.contains("    recovered"), "{said}");
    same(&scratch.mail(), mail.as_bytes());
    scratch.next_delivery_works();
}

#[test]
fn without_rescue_they_stay_and_the_command_to_get_them_is_said() {
    let parts = mailbox();
    let all: String = parts.iter().map(|(part, _)| part.as_str()).collect();
    let scratch = guarded();
    fs::write(scratch.mailbox(), &all).unwrap();
    let said = sweep(&scratch, &["--yes"]);
    let archive = scratch.files("archives")[0].display().to_string();
    assert!(
        said.contains(&format!(
            "to get them: {} spool restore {archive}, then sweep again with --rescue",
            scratch.printed_program()
        )),
        "{said}"
    );
    same(&scratch.mail(), of(&parts, false).as_bytes());
    scratch.run(&["spool", "restore", "--yes", &archive]).go().ends_with(0);
    sweep(&scratch, &["--rescue", "--yes"]);
    assert_eq!(String::from_utf8(scratch.mail()).unwrap().matches(FIELD).count(), 3);
}

#[test]
fn what_goes_makes_room_for_what_comes_back_or_nothing_goes() {
    let body = "a line of text\n".repeat(100);
    let original = format!("{ORIGINAL}{body}");
    let stays = stored(1, DATE, "").replace("body 1", &body);
    let all = [stays.clone(), lying(&carrying(&original)), lying(&carrying(&letter(7)))].concat();
    // The mailbox is larger than it may be, until the reports are gone.
    let scratch = guarded().set("quota.limit", &format!("\"{}B\"", all.len() - 400));
    fs::write(scratch.mailbox(), &all).unwrap();
    sweep(&scratch, &["--rescue", "--yes"]);
    assert_eq!(messages(&scratch.mail()).len(), 3);
    for (key, value) in [
        ("quota.limit", format!("\"{}B\"", stays.len() + 1000)),
        ("quota.messages", "2".to_owned()),
    ] {
        let scratch = guarded().set(key, &value);
        fs::write(scratch.mailbox(), &all).unwrap();
        for flags in [&["--rescue"][..], &["--rescue", "--yes"]] {
            let ended = scratch.run(&["spool", "sweep", &user_name()]).with(flags).go();
            ended
                .ends_with(1)
                .mentions("has no room for 1 of the messages inside the reports")
                .mentions("raise the quota; or sweep without --rescue");
            let mail = scratch.mail();
            ended.check(mail.starts_with(all.as_bytes()), &shown(&mail));
            assert!(scratch.files("archives").is_empty());
        }
    }
}

#[test]
fn what_comes_in_meanwhile_does_not_come_twice() {
    let scratch = guarded();
    // A report that takes long to be packed.
    let filler = "a line of text, and another one like it\n".repeat(1 << 20);
    let large = report_with(&format!("Content-Type: text/plain\n\n{filler}"));
    let mail = lying(&carrying(&letter(7))) + &lying(&large);
    fs::write(scratch.mailbox(), mail).unwrap();
    let name = user_name();
    let mut run = scratch.run(&["spool", "sweep", &name, "--rescue", "--yes"]).start();
    let begun = |path: &std::path::PathBuf| fs::metadata(path).is_ok_and(|stat| stat.len() > 0);
    until("packing has begun", || {
        scratch.files("archives").iter().any(begun) || run.is_over()
    });
    assert!(!run.is_over(), "it was too fast for this test");
    scratch.deliver(letter(7).as_bytes()).go().succeeds();
    let ended = run.end();
    ended.ends_with(0);
    let text = String::from_utf8(scratch.mail()).unwrap();
    assert!(
        text.starts_with("From s@s.test ") && text.ends_with(&format!("{}\n", letter(7))),
        "{text}"
    );
    assert_eq!(messages(text.as_bytes()).len(), 1, "{text}");
    assert!(contains(&ended.stdout, b"recovered 0 messages"), "{}", ended.story());
    assert!(contains(&ended.stdout, b"1 came in meanwhile"), "{}", ended.story());
}

/// After a kill at each `step`th system call the mailbox holds each message once, and the next run completes it.
fn killed_everywhere(step: usize) {
    if !strace_works() {
        return skip("needs strace, and leave to use it");
    }
    let parts = [
        stored(1, DATE, ""),
        lying(&carrying(ORIGINAL)),
        lying(&carrying(&letter(7))),
        stored(2, DATE, ""),
        lying(&carrying(ORIGINAL)),
    ];
    let mail = parts.concat();
    let name = user_name();
    let arguments = ["spool", "sweep", &name, "--rescue", "--yes"];
    let calls = calls(&mail, &arguments);
    let wanted = [
        parts[0].clone(),
        parts[3].clone(),
        put_back(ORIGINAL, "s@s.test"),
        put_back(&letter(7), "s7@s.test"),
    ];
    let (mut between, mut tried) = (0, 0);
    for (call, count) in calls.iter().skip(60).step_by(step) {
        let at = format!("killed at {call} {count}");
        let scratch = scratch();
        fs::write(scratch.mailbox(), &mail).unwrap();
        let inject = format!("-o /dev/null -e trace={call} -e inject={call}:signal=KILL:when={count}");
        assert_ne!(traced(&scratch, &arguments, &inject), Some(0), "{at}");
        tried += 1;
        let left = scratch.mail();
        between += usize::from(left.len() > mail.len());
        // Whatever is not in the mailbox yet is inside a report, in it or in an archive.
        scratch.run(&["spool", "list", &name]).go();
        let archive = archived_whole(&scratch);
        for original in ["<1@s.test>\nDate", "<7@s.test>"] {
            assert!(
                contains(&left, original.as_bytes())
                    || contains(&archive, original.as_bytes())
                    || journal_has(&scratch, original),
                "{at}: {original} is nowhere\n{}",
                shown(&left)
            );
        }
        scratch.run(&arguments).go().ends_with(0);
        let text = String::from_utf8(scratch.mail()).unwrap();
        let mut found: Vec<_> = messages(without_field(&text).as_bytes())
            .iter()
            .map(|message| String::from_utf8(message.to_vec()).unwrap())
            .collect();
        found.sort();
        let mut wanted = wanted.to_vec();
        wanted.sort();
        assert_eq!(found, wanted, "{at}");
        assert_eq!(leftovers(&scratch), Vec::<String>::new(), "{at}");
        assert!(!scratch.dotlock().exists(), "{at}");
    }
    println!("{tried} kills, {between} of them between putting back and the cut");
    assert!(between > 0, "never between the two");
}

fn journal_has(scratch: &Scratch, text: &str) -> bool {
    scratch.files("spool").iter().any(|path| {
        path.to_string_lossy().contains("spoolguard-cut") && contains(&fs::read(path).unwrap(), text.as_bytes())
    })
}

#[test]
fn a_kill_at_some_system_calls_puts_nothing_back_twice() {
    killed_everywhere(23);
}

#[test]
#[ignore = "takes minutes: a run for each system call"]
fn a_kill_at_every_system_call_puts_nothing_back_twice() {
    killed_everywhere(1);
}
