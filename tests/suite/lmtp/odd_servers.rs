//! Servers that nobody here has tried: slow, talkative, without lines, on the way down, of another protocol, or not
//! there at all. A message is done when it was answered for, and waits otherwise.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::Duration;

use super::{behind, deliver};
use crate::support::lmtp::{Act, FakeLmtp, Plan, STAGES, say};
use crate::support::{ORDINARY, Scratch, is_root};

/// A scratch whose mail goes to this place, which is waited for a second.
fn to(place: &str) -> Scratch {
    Scratch::new()
        .set("mailbox.location", place)
        .set("mailbox.lock_timeout", "\"1s\"")
}

/// What a good server does at `stage`, and this before it.
fn before(stage: &str, first: Vec<Act>) -> Plan {
    let good = match (stage, Plan::good()) {
        ("greeting", plan) => plan.greeting,
        ("lhlo", plan) => plan.lhlo,
        ("mail", plan) => plan.mail,
        ("rcpt", plan) => plan.rcpt,
        ("data", plan) => plan.data,
        (_, plan) => plan.end,
    };
    Plan::at(stage, [first, good].concat())
}

#[test]
fn each_refusal_at_each_point_waits() {
    for stage in STAGES {
        for code in [
            421, 430, 450, 451, 454, 455, 500, 501, 503, 521, 530, 550, 554, 571, 599,
        ] {
            for line in [
                format!("{code}"),
                format!("{code} no"),
                format!("{code}-no\r\n{code} 5.7.1 no"),
            ] {
                let (mut scratch, server) = behind(vec![Plan::at(stage, say(&line))]);
                scratch.change("quota.when_full", "\"refuse\"");
                deliver(&scratch, ORDINARY).go().defers().mentions(&code.to_string());
                assert!(server.stored().is_empty(), "{stage} {line}");
            }
        }
    }
}

#[test]
fn a_server_that_takes_its_time_is_waited_for() {
    for stage in STAGES {
        let (scratch, server) = behind(vec![before(stage, vec![Act::Pause(Duration::from_millis(700))])]);
        deliver(&scratch, ORDINARY).go().succeeds();
        assert_eq!(server.stored().len(), 1, "{stage}");
    }
}

#[test]
fn a_line_of_64_kib_is_an_answer() {
    let long = "x".repeat(64 << 10);
    let stored = vec![Act::Store];
    for (stage, acts) in [
        ("greeting", say(&format!("220 {long}"))),
        ("lhlo", say(&format!("250-{long}\r\n250 8BITMIME"))),
        ("mail", say(&format!("250 2.1.0 {long}"))),
        ("rcpt", say(&format!("250 2.1.5 {long}"))),
        ("data", say(&format!("354 {long}"))),
        ("end", [stored, say(&format!("250 2.0.0 {long}"))].concat()),
    ] {
        let (scratch, server) = behind(vec![Plan::at(stage, acts)]);
        deliver(&scratch, ORDINARY).go().succeeds();
        assert_eq!(server.stored().len(), 1, "{stage}");
        let (scratch, server) = behind(vec![Plan::at(stage, say(&format!("451 {long}")))]);
        let ended = deliver(&scratch, ORDINARY).go();
        ended.defers().mentions("451 xxx");
        ended.check(ended.stderr.len() < 1000, "what it says has no end");
        assert!(server.stored().is_empty(), "{stage}");
    }
}

#[test]
fn any_bytes_may_stand_behind_the_code() {
    for text in [
        &b"250 2.0.0 \0\0 saved\r\n"[..],
        b"250 \xff\xfe\x80\r\n",
        b"250 ok\n",
        b"250\n",
        b"250 a\rb\r\n",
    ] {
        let (scratch, server) = behind(vec![Plan::at("end", vec![Act::Store, Act::Bytes(text)])]);
        deliver(&scratch, ORDINARY).go().succeeds();
        assert_eq!(server.stored().len(), 1, "{}", text.escape_ascii());
    }
    for text in [
        &b"\x00250 ok\r\n"[..],
        b" 250 ok\r\n",
        b"\xef\xbb\xbf250 ok\r\n",
        b"2\x0050 ok\r\n",
        // TLS alone: an alert, and the beginning of a handshake.
        b"\x15\x03\x03\x00\x02\x02\x0a\n",
        b"\x16\x03\x01\x02\x00\x01\n",
    ] {
        for stage in STAGES {
            let (scratch, server) = behind(vec![Plan::at(stage, vec![Act::Bytes(text), Act::Close])]);
            deliver(&scratch, ORDINARY).go().defers();
            assert!(server.stored().is_empty(), "{stage} {}", text.escape_ascii());
        }
    }
}

#[test]
fn lines_of_different_codes_are_no_answer() {
    for text in [
        "550-5.1.1 no such user\r\n250 2.0.0 saved",
        "250-2.0.0 saved\r\n550 5.1.1 no such user",
    ] {
        for stage in ["rcpt", "end"] {
            let (scratch, server) = behind(vec![Plan::at(stage, say(text))]);
            deliver(&scratch, ORDINARY)
                .go()
                .defers()
                .mentions("no answer of an LMTP server");
            assert!(server.stored().is_empty(), "{stage} {text}");
        }
    }
}

#[test]
fn a_server_on_its_way_down_has_no_message_or_all_of_it() {
    let down = "421 4.3.2 shutting down";
    for (stage, line) in [
        ("greeting", "220 ready"),
        ("lhlo", "250 a.test"),
        ("mail", "250 2.1.0 OK"),
        ("rcpt", "250 2.1.5 OK"),
        ("data", "354 OK"),
    ] {
        for then in [Act::Close, Act::Hang] {
            let acts = [say(&format!("{line}\r\n{down}")), vec![then]].concat();
            let (scratch, server) = behind(vec![Plan::at(stage, acts), Plan::good()]);
            deliver(&scratch, ORDINARY).go().defers().mentions("421");
            assert!(server.stored().is_empty(), "{stage}");
            deliver(&scratch, ORDINARY).go().succeeds();
            assert_eq!(server.stored().len(), 1, "{stage}");
        }
    }
    let answered = [
        vec![Act::Store],
        say(&format!("250 2.0.0 Saved\r\n{down}")),
        vec![Act::Close],
    ]
    .concat();
    let (scratch, server) = behind(vec![Plan::at("end", answered)]);
    deliver(&scratch, ORDINARY).go().succeeds();
    assert_eq!(server.stored().len(), 1);
}

#[test]
fn a_server_without_any_extension_gets_the_message() {
    for named in [
        "250 a.test",
        "250",
        "250-\r\n250 ",
        "250-a.test\r\n250-\r\n250 X-NOBODY-KNOWS a b c",
    ] {
        let (scratch, server) = behind(vec![Plan::at("lhlo", say(named))]);
        deliver(&scratch, b"Subject: gr\xc3\xbc\xdf\n\n\0\xff\n")
            .go()
            .succeeds();
        assert!(
            server.commands().contains(&"MAIL FROM:<s@s.test>".to_owned()),
            "{named}"
        );
    }
}

#[test]
fn what_is_no_socket_defers_and_is_named() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path(name);
    fs::write(path("file"), "").unwrap();
    fs::create_dir(path("directory")).unwrap();
    nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
    let _datagram = UnixDatagram::bind(path("datagram")).unwrap();
    drop(UnixListener::bind(path("left")).unwrap());
    std::os::unix::fs::symlink(path("nowhere"), path("dangling")).unwrap();
    std::os::unix::fs::symlink(path("loop"), path("loop")).unwrap();
    let long = format!("{}/{}", scratch.path("x").display(), "x".repeat(200));
    let places = [
        "file",
        "directory",
        "fifo",
        "datagram",
        "left",
        "dangling",
        "loop",
        "missing",
        "file/below",
    ];
    let places = places
        .map(|name| path(name).display().to_string())
        .into_iter()
        .chain([long]);
    for place in places {
        let scratch = to(&format!("\"lmtp:{place}\""));
        deliver(&scratch, ORDINARY)
            .go()
            .defers()
            .mentions(&place[place.len() - 4..]);
    }
}

#[test]
fn a_socket_without_permission_defers_and_says_so() {
    if is_root() {
        let scratch = Scratch::new();
        scratch.open_to_all();
        let server = FakeLmtp::start(&scratch.path("lmtp"), vec![Plan::good()]);
        fs::set_permissions(scratch.path("lmtp"), fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(scratch.path("state"), Some(65534), None).unwrap();
        let scratch = scratch.set("mailbox.location", &format!("{:?}", server.place));
        let words = ["deliver", "-d", "ann@x.test", "-a", "ann@x.test", "-f", "s@s.test"];
        let run = scratch.run(&words).input(ORDINARY).uid(65534);
        run.go().defers().mentions("permission denied");
        return;
    }
    let scratch = Scratch::new();
    let server = FakeLmtp::start(&scratch.path("lmtp"), vec![Plan::good()]);
    fs::set_permissions(scratch.path("lmtp"), fs::Permissions::from_mode(0o000)).unwrap();
    let scratch = scratch.set("mailbox.location", &format!("{:?}", server.place));
    deliver(&scratch, ORDINARY).go().defers().mentions("permission denied");
}

#[test]
fn a_server_is_reached_by_any_address_that_its_name_has() {
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let reach = |server: &FakeLmtp, host: &str| {
        let port = server.place.rsplit_once(':').unwrap().1;
        let scratch = to(&format!("\"lmtp:{host}:{port}\""));
        deliver(&scratch, ORDINARY).go().succeeds();
    };
    let fourth = FakeLmtp::start_tcp(vec![Plan::good()]);
    for host in ["127.0.0.1", "localhost"] {
        reach(&fourth, host);
    }
    assert_eq!(fourth.stored().len(), 2);
    if has_ipv6 {
        let sixth = FakeLmtp::start_at("[::1]:0", vec![Plan::good()]);
        reach(&sixth, "[::1]");
        assert_eq!(sixth.stored().len(), 1);
    }
    let names = fs::read_to_string(Path::new("/etc/hosts")).unwrap_or_default();
    let has_both = names
        .lines()
        .any(|line| line.starts_with("::1") && line.contains("localhost"));
    if has_ipv6 && has_both {
        let sixth = FakeLmtp::start_at("[::1]:0", vec![Plan::good()]);
        reach(&sixth, "localhost");
    }
}

#[test]
fn a_first_server_that_hangs_leaves_time_for_the_next() {
    for stage in ["greeting", "lhlo", "mail", "rcpt", "data"] {
        let first = FakeLmtp::start_tcp(vec![Plan::at(stage, vec![Act::Hang])]);
        let second = FakeLmtp::start_tcp(vec![Plan::good()]);
        let scratch = to(&format!("[{:?}, {:?}]", first.place, second.place));
        deliver(&scratch, ORDINARY).go().succeeds();
        assert_eq!((first.stored().len(), second.stored().len()), (0, 1), "{stage}");
    }
}
