//! `inspect`: what it says about messages, wherever they are stored, and what it ends with.

use std::fs;
use std::io::Write;

use crate::support::{ORDINARY, Scratch};

const BOUNCE: &str = "Return-Path: <>\nFrom: MAILER-DAEMON@b.test\nTo: a@a.test\nSubject: failure notice\n\nHi. This is the qmail-send program at b.test.\n\n<c@c.test>:\nSorry, no mailbox here by that name. (#5.1.1)\n";
const SEPARATOR: &str = "From s@s.test Mon Nov  2 10:00:00 2026\n";

fn mbox(messages: &[&str]) -> String {
    messages.iter().map(|text| format!("{SEPARATOR}{text}\n")).collect()
}

fn ordinary() -> String {
    String::from_utf8(ORDINARY.to_vec()).unwrap()
}

/// One JSON object a line, in the order of the output.
fn objects(output: &[u8]) -> Vec<serde_json::Value> {
    String::from_utf8_lossy(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn each_message_is_one_json_object_with_the_promised_keys() {
    let scratch = Scratch::new();
    let path = scratch.path("box");
    fs::write(&path, mbox(&[&ordinary(), BOUNCE])).unwrap();
    let ended = scratch.run(&["inspect", "--json", path.to_str().unwrap()]).go();
    ended.ends_with(0);
    let found = objects(&ended.stdout);
    assert_eq!(found.len(), 2);
    let keys = [
        "source",
        "offset",
        "verdict",
        "report",
        "null_sender",
        "markers",
        "recipients",
        "origin",
        "action",
        "size",
        "date",
        "from",
        "subject",
        "message_id",
        "doubt",
    ];
    for object in &found {
        for key in keys {
            assert!(object.get(key).is_some(), "{key} of {object}");
        }
    }
    assert_eq!(found[0]["verdict"], "ordinary");
    assert_eq!(found[0]["report"], serde_json::Value::Null);
    assert_eq!(found[0]["action"], "append");
    assert_eq!(found[1]["verdict"], "bounce");
    assert_eq!(found[1]["report"], "failure");
    assert_eq!(found[1]["action"], "divert");
    assert_eq!(found[1]["origin"], "unknown");
    assert_eq!(found[1]["recipients"][0]["address"], "c@c.test");
    assert_eq!(found[1]["recipients"][0]["status"], "5.1.1");
    let marker = &found[1]["markers"][0];
    assert!(marker["header"].is_string() && marker["value"].is_string() && marker["why"].is_string());
    let offset = usize::try_from(found[1]["offset"].as_u64().unwrap()).unwrap();
    assert!(fs::read(&path).unwrap()[offset..].starts_with(SEPARATOR.as_bytes()));
}

#[test]
fn the_strongest_marker_comes_first() {
    let report = "Return-Path: <>\nFrom: MAILER-DAEMON@b.test\nTo: a@a.test\nSubject: Undelivered Mail Returned to Sender\n\
        Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\nno\n--x\n\
        Content-Type: message/delivery-status\n\nReporting-MTA: dns; b.test\n\nFinal-Recipient: rfc822; c@c.test\n\
        Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no\n   such\n\tuser\n\n--x--\n";
    let scratch = Scratch::new();
    let ended = scratch.run(&["inspect", "--json"]).input(report.as_bytes()).go();
    let found = objects(&ended.stdout);
    assert_eq!(found[0]["markers"][0]["header"], "Content-Type", "{found:?}");
    assert!(
        found[0]["markers"][0]["value"]
            .as_str()
            .unwrap()
            .starts_with("multipart/report"),
        "{found:?}"
    );
    // A folded value is unfolded.
    assert_eq!(found[0]["recipients"][0]["diagnostic"], "550 no such user");
}

#[test]
fn date_sender_subject_and_counts_are_shown() {
    let scratch = Scratch::new();
    let path = scratch.path("box");
    fs::write(&path, mbox(&[&ordinary(), BOUNCE, BOUNCE])).unwrap();
    let path = path.to_str().unwrap();
    let text = |arguments: &[&str]| {
        let ended = scratch.run(&["inspect", path]).with(arguments).go();
        ended.ends_with(0);
        String::from_utf8(ended.stdout.clone()).unwrap()
    };
    let said = text(&[]);
    assert!(
        said.contains("    2026-11-02 10:00:00  Sam <s@s.test>") && said.contains("  hello\n"),
        "{said}"
    );
    assert!(
        said.contains("MAILER-DAEMON@b.test") && said.contains("failure notice"),
        "{said}"
    );
    let counts = text(&["--summary"]);
    assert!(said.ends_with(&counts), "{said}{counts}");
    let lines: Vec<_> = counts.lines().collect();
    assert!(lines[0].starts_with("3 messages, "), "{counts}");
    assert!(
        lines[1].trim_start().starts_with("bounce (failure)  divert"),
        "{counts}"
    );
    assert!(lines[2].trim_start().starts_with("ordinary "), "{counts}");
    let json = scratch.run(&["inspect", "--summary", "--json", path]).go();
    let found = objects(&json.stdout);
    assert_eq!((found.len(), &found[0]["kind"]), (1, &"summary".into()));
    assert_eq!(found[0]["groups"][0]["messages"], 2);
    // One message has no counts.
    let one = scratch.run(&["inspect"]).input(BOUNCE.as_bytes()).go();
    assert!(!String::from_utf8_lossy(&one.stdout).contains("1 message,"));
}

#[test]
fn directories_and_maildirs_are_read_in_the_order_of_names() {
    let scratch = Scratch::new();
    let root = scratch.path("mail");
    for dir in ["maildir/new", "maildir/cur", "maildir/tmp", "plain"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::write(root.join("maildir/new/1"), BOUNCE).unwrap();
    fs::write(root.join("maildir/cur/2:2,S"), ORDINARY).unwrap();
    fs::write(root.join("maildir/tmp/3"), BOUNCE).unwrap();
    fs::write(root.join("maildir/index"), "x").unwrap();
    fs::write(root.join("plain/4"), mbox(&[BOUNCE, BOUNCE])).unwrap();
    let ended = scratch.run(&["inspect", "--json", root.to_str().unwrap()]).go();
    ended.ends_with(0);
    let verdicts: Vec<_> = objects(&ended.stdout)
        .iter()
        .map(|o| o["verdict"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(verdicts, ["ordinary", "bounce", "bounce", "bounce"]);
}

#[test]
fn a_condition_ends_with_0_or_1_and_says_nothing() {
    let scratch = Scratch::new();
    for (verdicts, input, status) in [
        ("bounce", BOUNCE, 0),
        ("loop,bounce", BOUNCE, 0),
        ("loop", BOUNCE, 1),
        ("ordinary", &ordinary(), 0),
        ("bounce", "", 1),
    ] {
        let ended = scratch.run(&["inspect", "--is", verdicts]).input(input.as_bytes()).go();
        assert_eq!(ended.code, Some(status), "{verdicts}");
        assert!(ended.stdout.is_empty() && ended.stderr.is_empty(), "{verdicts}");
    }
}

#[test]
fn as_a_condition_standard_input_is_always_one_message() {
    let scratch = Scratch::new();
    let input = format!("{SEPARATOR}{BOUNCE}\n{SEPARATOR}{}", ordinary());
    let ended = scratch.run(&["inspect", "--is", "bounce"]).input(input.as_bytes()).go();
    assert_eq!(ended.code, Some(0));
    let ended = scratch.run(&["inspect", "--json"]).input(input.as_bytes()).go();
    assert_eq!(objects(&ended.stdout).len(), 2);
}

#[test]
fn what_cannot_be_read_is_named_in_place_and_the_rest_follows() {
    let scratch = Scratch::new();
    let path = scratch.path("box");
    fs::write(&path, BOUNCE).unwrap();
    let path = path.to_str().unwrap();
    let ended = scratch.run(&["inspect", "--json", path, "/no/such", path]).go();
    assert_eq!(ended.code, Some(1));
    let found = objects(&ended.stdout);
    assert_eq!(found.len(), 3);
    assert_eq!(found[1]["source"], "/no/such");
    assert!(found[1]["error"].is_string());
    let ended = scratch.run(&["inspect", "--is", "bounce", path, "/no/such"]).go();
    assert_eq!(ended.code, Some(75));
}

#[test]
fn a_wrong_flag_or_verdict_is_a_usage_error() {
    let scratch = Scratch::new();
    for arguments in [["inspect", "--is", "bounced"], ["inspect", "--jason", "x"]] {
        assert_eq!(scratch.run(&arguments).go().code, Some(64));
    }
}

#[test]
fn what_a_message_says_cannot_steer_the_terminal() {
    let scratch = Scratch::new();
    let input = BOUNCE.replace("failure notice", "failure notice \x1b[2J\u{9b}2J\u{202e}");
    for arguments in [&["inspect"][..], &["inspect", "--json"]] {
        let ended = scratch.run(arguments).input(input.as_bytes()).go();
        let text = String::from_utf8(ended.stdout.clone()).unwrap();
        assert!(
            !text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'),
            "{text:?}"
        );
        assert!(text.contains("failure notice"));
    }
}

#[test]
fn a_reader_who_leaves_is_no_error_and_a_full_device_is_75() {
    let scratch = Scratch::new();
    let path = scratch.path("box");
    fs::write(&path, mbox(&[BOUNCE; 2000])).unwrap();
    let path = path.to_str().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = scratch.run(&["inspect", path]).stdout(writer).go();
    assert_eq!((ended.code, ended.stderr.len()), (Some(0), 0));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = scratch.run(&["inspect", path]).stdout(full).go();
    assert_eq!(ended.code, Some(75));
}

#[test]
fn compressed_mail_is_read_or_named_and_never_ordinary() {
    let gz = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zst = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let whole = mbox(&[&ordinary(), BOUNCE]);
    let scratch = Scratch::new();
    for (name, bytes, want) in [
        ("message.gz", gz(BOUNCE.as_bytes()), &["bounce"][..]),
        ("message.zst", zst(BOUNCE.as_bytes()), &["bounce"]),
        // As in a maildir of Dovecot's: the name says nothing.
        ("1.M1P1.host,S=99:2,S", gz(BOUNCE.as_bytes()), &["bounce"]),
        ("box.gz", gz(whole.as_bytes()), &["ordinary", "bounce"]),
        ("box.zst", zst(whole.as_bytes()), &["ordinary", "bounce"]),
    ] {
        let path = scratch.path(name);
        fs::write(&path, bytes).unwrap();
        let ended = scratch.run(&["inspect", "--json", path.to_str().unwrap()]).go();
        ended.ends_with(0);
        let found = objects(&ended.stdout);
        let verdicts: Vec<_> = found.iter().map(|line| line["verdict"].as_str().unwrap()).collect();
        assert_eq!(verdicts, want, "{name}");
    }
    let cut = gz(BOUNCE.as_bytes());
    for (name, bytes, said) in [
        ("bz2", &b"BZh91AY&SY\x00\x01"[..], "bzip2"),
        ("xz", b"\xfd7zXZ\x00\x00\x04", "xz"),
        ("lz4", b"\x04\x22\x4d\x18\x40\x40", "lz4"),
        ("dovecot", b"Dovecot-LZ4\x0d\x2a\x9b\xc5", "lz4"),
        ("compress", b"\x1f\x9d\x90\x41", "compress"),
        ("cut", &cut[..cut.len() - 9], "too early"),
        ("damaged", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03xxxxxx", "damaged"),
    ] {
        let path = scratch.path(name);
        fs::write(&path, bytes).unwrap();
        let ended = scratch.run(&["inspect", path.to_str().unwrap()]).go();
        ended.ends_with(1).mentions(said);
        assert_eq!(ended.stdout, b"", "{name}");
        scratch
            .run(&["inspect", "--is", "ordinary", path.to_str().unwrap()])
            .go()
            .ends_with(75);
    }
    // Nothing is known of what comes through a pipe.
    scratch
        .run(&["inspect"])
        .input(&gz(BOUNCE.as_bytes()))
        .go()
        .ends_with(1)
        .mentions("compressed");
}

#[test]
fn the_class_of_a_failure_and_what_it_rests_on_are_shown() {
    let scratch = Scratch::new();
    for (reply, class, basis, shown) in [
        ("550 5.1.1 no such user", "hard", "said", " -- hard, said\n"),
        ("550 konto xyzzy", "hard", "presumed", " -- hard, presumed\n"),
        ("550 xyzzy", "hard", "presumed", " -- hard, presumed\n"),
        ("552 5.2.2 full", "soft", "said", " -- soft, said\n"),
        ("554 5.7.1 spam", "message", "said", " -- message, said\n"),
        ("554 access denied", "neither", "said", " -- neither\n"),
    ] {
        let report = format!(
            "Return-Path: <>\nFrom: MAILER-DAEMON@b.test\nTo: a@a.test\nSubject: Undelivered Mail Returned to Sender\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\n\
             <c@c.test>: host mx.c.test said: {reply} (in reply to RCPT TO command)\n--x\n\
             Content-Type: message/delivery-status\n\nReporting-MTA: dns; b.test\n\nFinal-Recipient: rfc822; c@c.test\n\
             Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; {reply}\n\n--x--\n"
        );
        let ended = scratch.run(&["inspect", "--json"]).input(report.as_bytes()).go();
        let recipient = &objects(&ended.stdout)[0]["recipients"][0];
        assert_eq!(
            (&recipient["class"], &recipient["basis"]),
            (&class.into(), &basis.into())
        );
        let ended = scratch.run(&["inspect"]).input(report.as_bytes()).go();
        let text = String::from_utf8_lossy(&ended.stdout);
        assert!(text.contains(shown), "{text}");
    }
}
