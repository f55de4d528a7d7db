//! The messages under `tests/corpus`: the folder is the verdict that each deserves. Each is judged with LF and with
//! CRLF, and every rule of the tables is needed by one of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use spoolguard::classify::patterns::{auto_reply, body, subject};
use spoolguard::classify::verdict::{Bounce, Facts, Judgement, Verdict};
use spoolguard::classify::{FailureClass, MessageOrigin, ReportKind, classify};
use spoolguard::message::Message;
use spoolguard::message::address::{Address, OwnAddresses};
use spoolguard::message::envelope::Sender;
use spoolguard::message::text::{decoded_value, find_parameter, normalize_words};

const VERDICTS: [&str; 7] = [
    "bounce",
    "loop",
    "complaint",
    "receipt",
    "auto-reply",
    "notice",
    "ordinary",
];

fn folder(verdict: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(verdict)
}

fn messages(verdict: &str) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(folder(verdict))
        .expect("the corpus is there")
        .map(|entry| entry.expect("it can be listed").path())
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("it can be read"))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no message deserves {verdict}");
    found
}

fn bounce(name: &str) -> Bounce {
    let bytes = fs::read(folder("bounce").join(format!("{name}.eml"))).expect("it can be read");
    match judge(&bytes).verdict {
        Verdict::Bounce(bounce) => bounce,
        other => panic!("{name} is called {}", other.name()),
    }
}

/// The envelope as a mail system would have given it: from `Return-Path`, else from the separator line.
pub fn sender_of(message: &Message<'_>) -> Sender {
    let from_line = message
        .from_line()
        .map(|line| String::from_utf8_lossy(line).into_owned());
    match message.first("Return-Path") {
        Some(value) => Sender::read(&value),
        None => from_line
            .and_then(|line| line.split(' ').nth(1).map(Sender::read))
            .unwrap_or(Sender::Unknown),
    }
}

pub fn judge(bytes: &[u8]) -> Judgement {
    let message = Message::new(bytes);
    let sender = sender_of(&message);
    let mut own = OwnAddresses::new("+");
    own.add(Address::parse("a@a.test").expect("an address"));
    let facts = Facts {
        sender: &sender,
        own: &own,
        max_hops: 50,
        hosts: &[],
        relays: &[],
    };
    classify(&message, &facts)
}

pub fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 20);
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

pub fn all() -> impl Iterator<Item = (&'static str, String, Vec<u8>)> {
    VERDICTS.into_iter().flat_map(|verdict| {
        messages(verdict)
            .into_iter()
            .map(move |(name, bytes)| (verdict, name, bytes))
    })
}

#[test]
fn with_both_line_ends_a_message_gets_its_folders_verdict() {
    let mut wrong = Vec::new();
    for (verdict, name, bytes) in all() {
        for (ends, bytes) in [("LF", bytes.clone()), ("CRLF", with_crlf(&bytes))] {
            let found = judge(&bytes).verdict;
            if found.name() != verdict {
                wrong.push(format!(
                    "{verdict}/{name} with {ends} is called {}: {:?}",
                    found.name(),
                    found.markers()
                ));
            }
            assert_eq!(found.markers().is_empty(), verdict == "ordinary", "{name}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_rule_is_needed_by_a_message() {
    let mut subjects = BTreeSet::new();
    let mut openings = BTreeSet::new();
    for (_, bytes) in messages("bounce") {
        let message = Message::new(&bytes);
        if let Some(rule) = subject::find_subject_phrase(&subject_of(&message)).and_then(|found| found.rule) {
            subjects.insert(rule.text);
        }
        for marker in judge(&bytes).verdict.markers() {
            if let Some(rule) = body::RULES
                .iter()
                .find(|rule| marker.header == "Body" && marker.value == rule.text)
            {
                openings.insert(rule.text);
            }
        }
    }
    let mut replies = BTreeSet::new();
    for (_, bytes) in messages("auto-reply") {
        let subject = subject_of(&Message::new(&bytes));
        for text in auto_reply::SURELY.iter().chain(auto_reply::PERHAPS) {
            if subject.contains(text) {
                replies.insert(*text);
            }
        }
    }
    let unused: Vec<_> = subject::RULES
        .iter()
        .map(|rule| rule.text)
        .filter(|text| !subjects.contains(text))
        .chain(
            body::RULES
                .iter()
                .map(|rule| rule.text)
                .filter(|text| !openings.contains(text)),
        )
        .chain(
            auto_reply::SURELY
                .iter()
                .chain(auto_reply::PERHAPS)
                .copied()
                .filter(|text| !replies.contains(text)),
        )
        .collect();
    assert!(unused.is_empty(), "no message needs these rules: {unused:#?}");
}

fn subject_of(message: &Message<'_>) -> String {
    let charset = message
        .first("Content-Type")
        .and_then(|value| find_parameter(&value, "charset"));
    let field = message.fields().find(|field| field.is("Subject"));
    field
        .map(|field| normalize_words(&decoded_value(&field, charset.as_deref())))
        .unwrap_or_default()
}

#[test]
fn bounces_tell_who_failed_and_how() {
    let cases = [
        (
            "postfix-unknown-user",
            "bea@north.test",
            Some("5.1.1"),
            "Hard",
            Some(ReportKind::Failure),
        ),
        (
            "postfix-delayed",
            "bea@north.test",
            Some("4.4.1"),
            "Soft",
            Some(ReportKind::Delay),
        ),
        (
            "postfix-success",
            "bea@north.test",
            Some("2.0.0"),
            "Neither",
            Some(ReportKind::Success),
        ),
        (
            "qmail-unknown",
            "bea@north.test",
            Some("5.1.1"),
            "Hard",
            Some(ReportKind::Failure),
        ),
        (
            "exim-unrouteable",
            "bea@north.test",
            None,
            "Hard",
            Some(ReportKind::Failure),
        ),
        ("exim-delayed", "bea@north.test", None, "Soft", Some(ReportKind::Delay)),
        (
            "sendmail-5-unsent",
            "bea@north.test",
            Some("5.0.0"),
            "Hard",
            Some(ReportKind::Failure),
        ),
        (
            "exchange-2003",
            "bea@north.test",
            Some("5.1.1"),
            "Hard",
            Some(ReportKind::Failure),
        ),
        (
            "gmail-old",
            "bea@north.test",
            Some("5.1.1"),
            "Hard",
            Some(ReportKind::Failure),
        ),
        (
            "domino",
            "bea@north.test",
            Some("5.1.1"),
            "Hard",
            Some(ReportKind::Failure),
        ),
        ("notes", "bea@north.test", None, "Hard", Some(ReportKind::Failure)),
        (
            "exchange-5.5-through-a-list",
            "bea@north.test",
            None,
            "Hard",
            Some(ReportKind::Failure),
        ),
        (
            "interscan-packed-report",
            "bea@north.test",
            Some("5.1.1"),
            "Hard",
            Some(ReportKind::Failure),
        ),
        (
            "qmail-relative-mail-not-delivered",
            "bea@north.test",
            Some("5.0.0"),
            "Hard",
            Some(ReportKind::Failure),
        ),
        ("symantec", "bea@north.test", None, "Soft", Some(ReportKind::Delay)),
        (
            "frontbridge-late",
            "bea@north.test",
            None,
            "Soft",
            Some(ReportKind::Delay),
        ),
        (
            "imail-final-userid",
            "bea@north.test",
            None,
            "Hard",
            Some(ReportKind::Failure),
        ),
        ("kddi", "bea@carrier.test", None, "Soft", Some(ReportKind::Failure)),
        (
            "barracuda",
            "bea@north.test",
            Some("5.7.1"),
            "Message",
            Some(ReportKind::Failure),
        ),
        (
            "lda-over-quota",
            "bea@north.test",
            None,
            "Soft",
            Some(ReportKind::Failure),
        ),
    ];
    for (name, address, status, class, kind) in cases {
        let bounce = bounce(name);
        let first = bounce
            .recipients
            .first()
            .unwrap_or_else(|| panic!("{name} names nobody"));
        assert_eq!(first.address, address, "{name}");
        assert_eq!(first.status.as_deref(), status, "{name}");
        assert_eq!(format!("{:?}", first.class), class, "{name}");
        assert_eq!(bounce.kind, kind, "{name}");
    }
}

#[test]
fn a_reply_ends_where_its_paragraph_does() {
    // Below it stands "The headers of your message", and headers are a matter of policy.
    let failed = |name: &str| bounce(name).recipients[0].clone();
    let found = failed("postal");
    assert_eq!((found.address.as_str(), found.class), ("x@c.test", FailureClass::Hard));
    for name in [
        "haraka",
        "hmailserver",
        "ironport",
        "maddy",
        "masqmail",
        "nullmailer",
        "smartermail",
        "stalwart",
    ] {
        let found = failed(name);
        assert_eq!(
            (found.address.as_str(), found.class),
            ("x@c.test", FailureClass::Hard),
            "{name}"
        );
    }
    assert_eq!(failed("kumomta").class, FailureClass::Soft);
}

#[test]
fn who_failed_is_found_in_every_wrapping_and_every_shape() {
    const QUOTED: &str = "\"john doe\"@c.test";
    for (name, address, action, status, class) in [
        (
            "spamassassin-wrapped-postfix",
            "x@c.test",
            "failed",
            Some("5.1.1"),
            "Hard",
        ),
        ("spamassassin-wrapped-exim", "x@c.test", "failed", Some("5.1.1"), "Hard"),
        ("postfix-in-a-digest", "x@c.test", "failed", Some("5.1.1"), "Hard"),
        ("postfix-status-part-lost", "x@c.test", "failed", Some("5.2.0"), "Hard"),
        ("status-part-in-base64", "x@c.test", "failed", Some("5.1.1"), "Hard"),
        ("opensmtpd-without-mime", "x@c.test", "failed", Some("5.1.1"), "Hard"),
        ("opensmtpd-without-mime-late", "x@c.test", "delayed", None, "Soft"),
        ("opensmtpd-action-error", "x@c.test", "failed", Some("5.1.1"), "Hard"),
        ("google-groups-ja", "grp@c.test", "failed", None, "Message"),
        ("google-groups-pt", "grp@c.test", "failed", None, "Message"),
        ("google-groups-de", "grp@c.test", "failed", None, "Message"),
        ("google-groups-ru", "grp@c.test", "failed", None, "Message"),
        ("postfix-quoted-local-part", QUOTED, "failed", Some("5.1.1"), "Hard"),
        ("exim-quoted-local-part", QUOTED, "failed", Some("5.1.1"), "Hard"),
        ("sendmail-pipelined", "x@c.test", "failed", Some("5.1.1"), "Hard"),
        ("courier-dialogue", "x@c.test", "failed", Some("5.0.0"), "Hard"),
        (
            "exchange-journal-around-exchange",
            "x@c.test",
            "failed",
            Some("5.1.10"),
            "Hard",
        ),
        ("exim-forwarded-whole", "x@c.test", "failed", Some("5.0.0"), "Hard"),
        ("sendmail-behind-an-alias", "x@c.test", "failed", Some("5.1.1"), "Hard"),
        ("sendmail-late-without-mime", "x@c.test", "delayed", None, "Soft"),
        ("postmaster-korean", "x@c.test", "failed", Some("5.1.1"), "Hard"),
        (
            "postmaster-subject-chinese",
            "x@c.test",
            "failed",
            Some("5.1.1"),
            "Hard",
        ),
        (
            "postfix-in-the-name-of-who-failed",
            "x@c.test",
            "failed",
            Some("5.1.1"),
            "Hard",
        ),
    ] {
        let bounce = bounce(name);
        assert_eq!(bounce.recipients.len(), 1, "{name}: {:?}", bounce.recipients);
        let first = &bounce.recipients[0];
        let found = (first.address.as_str(), first.action.as_deref(), first.status.as_deref());
        assert_eq!(found, (address, Some(action), status), "{name}");
        assert_eq!(format!("{:?}", first.class), class, "{name}");
    }
}

#[test]
fn several_recipients_are_told_apart() {
    let exim = bounce("exim-two-recipients-over-quota");
    let classes: Vec<_> = exim
        .recipients
        .iter()
        .map(|r| (r.address.as_str(), format!("{:?}", r.class)))
        .collect();
    assert_eq!(
        classes,
        [
            ("bea@north.test", "Soft".to_owned()),
            ("carl@south.test", "Hard".to_owned())
        ]
    );
    let qmail = bounce("qmail-remote-and-quota");
    let statuses: Vec<_> = qmail.recipients.iter().map(|r| r.status.as_deref()).collect();
    assert_eq!(statuses, [Some("5.1.1"), Some("4.2.2")]);
}

#[test]
fn origin_and_message_id_come_from_what_is_quoted() {
    for (name, origin, id) in [
        ("postfix-unknown-user", MessageOrigin::User, Some("<minutes.17@a.test>")),
        (
            "postfix-our-forward-full",
            MessageOrigin::OurForward,
            Some("<pictures.3@far.test>"),
        ),
        (
            "postfix-through-a-neighbours-forward",
            MessageOrigin::OurForward,
            Some("<pictures.3@far.test>"),
        ),
        (
            "exim-two-recipients-over-quota",
            MessageOrigin::OurForward,
            Some("<pictures.3@far.test>"),
        ),
        (
            "postfix-list-passed-it-on",
            MessageOrigin::Unknown,
            Some("<tulips@lists.far.test>"),
        ),
        ("kddi", MessageOrigin::Unknown, None),
    ] {
        let bounce = bounce(name);
        assert_eq!(bounce.origin, origin, "{name}");
        assert_eq!(bounce.quoted_message_id.as_deref(), id, "{name}");
    }
}

#[test]
fn a_divert_mark_is_found_however_deep_it_is_quoted() {
    let (_, bytes) = messages("bounce")
        .into_iter()
        .find(|(name, _)| name == "postfix-report-of-a-diverted-report")
        .expect("it is there");
    assert!(judge(&bytes).diverted_before.is_some());
    let encoded = "Return-Path: <>\nFrom: MAILER-DAEMON@b.test\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nWC1TcG9vbGd1YXJkLURpdmVydDogYUBhLnRlc3QKRnJvbTogeAo=\n--b--\n";
    assert!(judge(encoded.as_bytes()).diverted_before.is_some());
    let mut nested = bytes;
    for depth in 0..5 {
        let boundary = format!("deep{depth}");
        let head = format!(
            "Return-Path: <>\nFrom: MAILER-DAEMON@b.test\nContent-Type: multipart/report; report-type=delivery-status; boundary={boundary}\n\n--{boundary}\n\nfailed\n--{boundary}\nContent-Type: message/rfc822\n\n"
        );
        nested = [head.as_bytes(), &nested, format!("\n--{boundary}--\n").as_bytes()].concat();
        assert!(judge(&nested).diverted_before.is_some(), "{depth}");
    }
}
