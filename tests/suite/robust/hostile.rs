//! What others may have put where a mailbox should be, and what they may have written into a message or an argument.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::{ORDINARY, Scratch, contains, is_root, messages, only, same, shown, skip};

#[test]
fn a_symbolic_link_is_no_mailbox() {
    let scratch = Scratch::new();
    let victim = scratch.path("victim");
    fs::write(&victim, "precious\n").unwrap();
    symlink(&victim, scratch.mailbox()).unwrap();
    scratch.deliver(ORDINARY).go().defers().mentions("symbolic link");
    assert_eq!(fs::read(&victim).unwrap(), b"precious\n");
    // One that points nowhere is not created through.
    fs::remove_file(&victim).unwrap();
    scratch.deliver(ORDINARY).go().defers().mentions("symbolic link");
    assert!(!victim.exists());
}

#[test]
fn a_file_with_a_second_name_is_no_mailbox() {
    let scratch = Scratch::new();
    let victim = scratch.path("victim");
    fs::write(&victim, "precious\n").unwrap();
    fs::hard_link(&victim, scratch.mailbox()).unwrap();
    scratch.deliver(ORDINARY).go().defers().mentions("more than one link");
    assert_eq!(fs::read(&victim).unwrap(), b"precious\n");
}

#[test]
fn what_is_no_regular_file_is_no_mailbox() {
    let scratch = Scratch::new();
    mkfifo(&scratch.mailbox(), Mode::from_bits_truncate(0o600)).unwrap();
    scratch.deliver(ORDINARY).go().defers().mentions("no regular file");
    fs::remove_file(scratch.mailbox()).unwrap();
    let _socket = UnixListener::bind(scratch.mailbox()).unwrap();
    scratch.deliver(ORDINARY).go().defers();
    fs::remove_file(scratch.mailbox()).unwrap();
    fs::create_dir(scratch.mailbox()).unwrap();
    scratch.deliver(ORDINARY).go().defers().mentions("directory");
    for device in ["/dev/null", "/dev/full", "/dev/zero", "/dev/tty"] {
        scratch.deliver(ORDINARY).with(&["--mailbox", device]).go().defers();
    }
    assert!(!std::path::Path::new("/dev/null.lock").exists());
}

#[test]
fn somebody_elses_mailbox_is_not_written_to() {
    if !is_root() {
        return skip("needs root, to make a mailbox of somebody else's");
    }
    let scratch = Scratch::new();
    fs::write(scratch.mailbox(), "").unwrap();
    chown(scratch.mailbox(), Some(61_234), None).unwrap();
    scratch
        .deliver(ORDINARY)
        .go()
        .defers()
        .mentions("61234")
        .mentions("chown");
    assert!(scratch.mail().is_empty());
    let foreign = scratch.path("spool/foreign");
    fs::write(&foreign, "").unwrap();
    fs::set_permissions(&foreign, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    for dir in ["home", "state", "spool"] {
        chown(scratch.path(dir), Some(61_236), Some(61_236)).unwrap();
    }
    let run = scratch
        .deliver(ORDINARY)
        .with(&["--mailbox", foreign.to_str().unwrap()]);
    run.uid(61_236).go().defers().mentions("belongs to uid 0");
}

#[test]
fn a_trap_in_a_directory_that_all_may_write_to_is_not_used() {
    if !is_root() {
        return skip("needs root, to be two users");
    }
    let scratch = Scratch::new();
    let dir = scratch.path("open");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    let trap = dir.join("admin");
    fs::write(&trap, "").unwrap();
    chown(&trap, Some(61_237), Some(61_237)).unwrap();
    let mut scratch = scratch;
    scratch.change("admin", &format!("{:?}", trap.display().to_string()));
    scratch.deliver(b"X-Loop: a@a.test\n\nx\n").go().succeeds();
    assert!(fs::read(&trap).unwrap().is_empty());
    assert_eq!(messages(&scratch.mail()).len(), 1);
}

#[test]
fn a_user_name_cannot_leave_the_spool() {
    let scratch = Scratch::new();
    for name in ["../x", "/etc/passwd", "..", ".", ".hidden", "", "a/b", "a\nb"] {
        scratch
            .deliver(ORDINARY)
            .with(&[&format!("--user={name}")])
            .go()
            .defers();
    }
    assert!(scratch.files("spool").is_empty());
    assert!(!scratch.path("x").exists());
}

#[test]
fn a_mailbox_may_have_any_name_that_a_file_may_have() {
    let scratch = Scratch::new();
    for name in ["with blank", "Grüße", "new\nline", "-dash", &"l".repeat(250)] {
        let path = scratch.path("spool").join(name);
        let run = scratch.deliver(ORDINARY).with(&["--mailbox", path.to_str().unwrap()]);
        run.go().succeeds();
        same(only(&fs::read(&path).unwrap()), ORDINARY);
    }
    let missing = scratch.path("spool/no\n4.0.0 dir/x");
    let run = scratch
        .deliver(ORDINARY)
        .with(&["--mailbox", missing.to_str().unwrap()]);
    run.go().defers();
}

#[test]
fn an_address_with_control_characters_opens_no_line() {
    let scratch = Scratch::new();
    let run = scratch.run(&[
        "forward",
        "-a",
        "a\nX-Injected: 1@a.test",
        "-f",
        "s@s.test\nX-Injected: 2",
    ]);
    let ended = run.with(&["b@b.test\nX-Injected: 3"]).input(ORDINARY).go();
    let sent = scratch.sent().concat();
    let everything = [sent, scratch.mail(), scratch.diverted()].concat();
    ended.check(!contains(&everything, b"\nX-Injected"), &shown(&everything));
    let scratch = Scratch::new().set("guard.null_sender", "\"pass\"");
    let run = scratch.run(&["deliver", "-f", "s@s.test Mon\nFrom evil\n\nX-Injected: 1"]);
    run.input(ORDINARY).go().succeeds();
    let mail = scratch.mail();
    assert_eq!(messages(&mail).len(), 1, "{}", shown(&mail));
    assert!(!contains(&mail, b"\nX-Injected"), "{}", shown(&mail));
}

#[test]
fn what_a_message_says_opens_no_line_anywhere() {
    const EVIL: &str = "\"x\r\n\tX-Injected: 1\x1b[2J\x07 \u{202e}\" <a@a.test>";
    let message = format!(
        "X-Loop: {EVIL}\nMessage-ID: <1\x1b[31m\r@s.test>\nDelivered-To: {EVIL}\nDelivered-To: {EVIL}\nSubject: x\n\nx\n"
    );
    let scratch = Scratch::new().set("log.to", "\"stderr\"");
    let ended = scratch.deliver(message.as_bytes()).go();
    ended.ends_with(0);
    let line = ended.stderr.strip_suffix('\n').unwrap();
    ended.check(
        !line.chars().any(char::is_control) && !line.contains('\u{202e}'),
        "raw in the log",
    );
    let admin = scratch.diverted();
    let got = only(&admin);
    let added = &got[..got.len() - crate::support::below(got, 2).len()];
    assert!(
        added.is_ascii() && !added.contains(&b'\x1b') && added.split(|b| *b == b'\n').count() == 3,
        "{}",
        shown(added)
    );
    same(crate::support::below(got, 2), message.as_bytes());
}

#[test]
fn what_sendmail_says_opens_no_line_anywhere() {
    let mut scratch = Scratch::new();
    scratch.sendmail("printf '5.1.1 no\\r\\n4.4.4 X-Injected: 1\\033[2J\\n'; exit 75");
    scratch.forward(ORDINARY, &["b@b.test"]).go().defers();
    scratch.sendmail("printf '550 no\\nX-Injected: 1\\n\\nbody\\033[2J\\n'; exit 67");
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    let mail = scratch.mail();
    assert_eq!(messages(&mail).len(), 1);
    assert!(
        !contains(&mail, b"\nX-Injected") && !contains(&mail, b"\x1b"),
        "{}",
        shown(&mail)
    );
}

#[test]
fn a_folded_line_on_top_does_not_join_our_field() {
    // The first line of the message continues whatever stands above it.
    let scratch = Scratch::new();
    scratch
        .forward(b" evil@e.test\nSubject: x\n\nx\n", &["b@b.test"])
        .go()
        .succeeds();
    let sent = scratch.sent();
    let back = crate::support::below(&sent[0], 2);
    scratch.forward(back, &["b@b.test"]).go().succeeds();
    assert_eq!(scratch.sent().len(), 1, "it goes round: {}", shown(back));
}

#[test]
fn a_forged_mark_of_ours_keeps_mail_at_home_and_no_more() {
    let scratch = Scratch::new();
    let message = b"X-Spoolguard-Kept: forged\nX-Spoolguard-Verdict: bounce\nSubject: x\n\nx\n";
    scratch.forward(message, &["b@b.test"]).go().succeeds();
    assert_eq!(scratch.sent().len(), 1);
}

#[test]
fn the_environment_cannot_name_another_mailbox_or_configuration() {
    let scratch = Scratch::new();
    scratch
        .deliver(ORDINARY)
        .variable("USER", "../../x")
        .variable("LOGNAME", "root2")
        .variable("MAIL", "/tmp/x")
        .variable("TMPDIR", "/nonexistent")
        .variable("XDG_CONFIG_HOME", "/nonexistent")
        .variable("TZ", "America/New_York")
        .variable("RUST_BACKTRACE", "1")
        .variable("HOME", "/nonexistent")
        .go()
        .succeeds();
    same(only(&scratch.mail()), ORDINARY);
}

#[test]
fn arguments_and_variables_that_are_no_text_are_survived() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new();
    let bytes = OsStr::from_bytes(b"\xff\xfe@a.test");
    scratch
        .run(&["deliver"])
        .variable("SENDER", bytes)
        .variable("RECIPIENT", bytes)
        .variable("EXTENSION", bytes)
        .input(ORDINARY)
        .go()
        .succeeds();
    same(only(&scratch.mail()), ORDINARY);
}

const EVIL: &str = "x\r\n4.0.0 X-Injected: 1\n\x1b[2J\x07\x08\x7f\u{202e}\u{9b}2J";

/// No line but ours, and nothing in it that a terminal obeys.
#[track_caller]
fn is_plain(text: &str, what: &str) {
    for line in text.lines() {
        let is_safe = |c: char| !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c);
        assert!(
            line.chars().all(is_safe) && !line.starts_with("4.0.0"),
            "{what}: {line:?}"
        );
    }
}

#[test]
fn what_arguments_say_opens_no_line_anywhere() {
    let scratch = Scratch::new().set("log.to", "\"stderr\"");
    let path = format!("/not/there/{EVIL}");
    for arguments in [
        &["deliver", "--user", EVIL] as &[&str],
        &["deliver", "--mailbox", &path],
        &["deliver", &format!("--{EVIL}")],
        &["deliver", EVIL],
        &[EVIL],
    ] {
        let ended = scratch.run(arguments).with(&["-v", "-v"]).input(ORDINARY).go();
        ended.ends_with(75);
        is_plain(&ended.stderr, "stderr");
    }
    scratch
        .bare(&["deliver", "--config", &path])
        .input(ORDINARY)
        .go()
        .defers();
    for arguments in [
        &["deliver", "-a", EVIL, "-f", EVIL] as &[&str],
        &["forward", "-a", EVIL, "-f", EVIL, EVIL],
    ] {
        let ended = scratch.run(arguments).with(&["-v", "-v"]).input(ORDINARY).go();
        assert!(ended.code == Some(0) || ended.code == Some(75));
        is_plain(&ended.stderr, "stderr");
    }
    let run = scratch
        .run(&["deliver"])
        .variable("SENDER", EVIL)
        .variable("RECIPIENT", EVIL);
    let ended = run.input(ORDINARY).go();
    ended.ends_with(0);
    is_plain(&ended.stderr, "stderr");
    assert!(!contains(
        &[scratch.mail(), scratch.sent().concat(), scratch.diverted()].concat(),
        b"\n4.0.0"
    ));
}

/// Every field of a report that is logged, remembered, shown or quoted.
#[test]
fn what_a_report_says_opens_no_line_anywhere() {
    let mut scratch = Scratch::new().set("log.to", "\"stderr\"").set("log.level", "\"debug\"");
    scratch.change("admin", "\"admin@a.test\"");
    scratch.forward(ORDINARY, &["b@b.test"]).go().ends_with(0);
    let evil = EVIL.replace(['\n', '\r'], "\r");
    for number in 0..3 {
        let report = format!(
            "From: MAILER-DAEMON@{evil} ({evil})\nTo: a@a.test\nMessage-ID: <{number}{evil}@m.test>\nDate: {evil}\n\
             Subject: {evil}\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\n{evil}\n\
             --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; {evil}\n\nOriginal-Recipient: rfc822;{evil}\n\
             Final-Recipient: rfc822; b@b.test\nAction: failed\nStatus: 5.1.1 {evil}\nRemote-MTA: dns; {evil}\n\
             Diagnostic-Code: smtp; 550 5.1.1 {evil}\n\n--b\nContent-Type: message/rfc822\n\nX-Loop: a@a.test\n\
             From: {evil}\nDate: {evil}\nMessage-ID: <1@s.test>\nSubject: hello{number}\n\nHello {number}.\n\n--b--\n"
        );
        let ended = scratch
            .run(&["deliver", "-a", "a@a.test", "-f", ""])
            .input(report.as_bytes())
            .go();
        ended.ends_with(0);
        assert!(ended.stderr.contains("verdict=bounce"), "{}", ended.stderr);
        is_plain(&ended.stderr, "the log");
    }
    for arguments in [
        &["status"] as &[&str],
        &["status", "--json"],
        &["status", "--due"],
        &["spool", "list"],
    ] {
        let ended = scratch.run(arguments).go();
        is_plain(&String::from_utf8_lossy(&ended.stdout), &arguments.join(" "));
        is_plain(&ended.stderr, &arguments.join(" "));
    }
    // In what we wrote ourselves on top of it.
    for sent in scratch
        .sent()
        .iter()
        .filter(|sent| contains(sent, b"X-Spoolguard-Divert"))
    {
        let text = String::from_utf8_lossy(sent);
        for line in text.split('\n').take_while(|line| !line.starts_with("From: ")) {
            is_plain(line, "our fields");
        }
    }
}

#[test]
fn an_address_that_begins_with_a_dash_is_no_flag_of_sendmails() {
    let mut scratch = Scratch::new().set("forward.sender", "\"original\"");
    scratch.sendmail("exit 0");
    let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "-oQ/tmp@s.test", "--", "-Cx@b.test"]);
    run.input(ORDINARY).go().succeeds();
    // The sender is the word behind -f, whatever it begins with (getopt(3)).
    assert_eq!(scratch.calls(), [["-oi", "-f", "-oQ/tmp@s.test", "--", "-Cx@b.test"]]);
}

/// Anybody can write such fields. The mail goes no further, lies where somebody reads it, and what stands on top says
/// why.
#[test]
fn mail_with_forged_marks_is_kept_or_diverted_naming_the_mark() {
    let forged = "X-Spoolguard-Divert: verdict=bounce; recipient=a@a.test; host=h\nSubject: x\n\nprecious\n";
    let looped = "X-Loop: A@A.test\nSubject: x\n\nprecious\n";
    let quoted = format!(
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n{forged}\n--b--\n"
    );
    for (message, is_diverted, mark) in [
        (forged, false, "X-Spoolguard-Divert"),
        (looped, true, "X-Loop"),
        (&quoted as &str, false, "X-Spoolguard-Divert"),
    ] {
        for forwards in [false, true] {
            let scratch = Scratch::new().set("log.to", "\"stderr\"");
            let run = if forwards {
                scratch.forward(message.as_bytes(), &["b@b.test"])
            } else {
                scratch.deliver(message.as_bytes())
            };
            let ended = run.go();
            ended.ends_with(0).mentions(mark);
            assert!(scratch.sent().is_empty(), "{}", shown(&scratch.sent().concat()));
            let (kept, diverted) = (scratch.mail(), scratch.diverted());
            let (has_it, has_not) = if is_diverted {
                (&diverted, &kept)
            } else {
                (&kept, &diverted)
            };
            assert!(has_not.is_empty(), "{}", shown(has_not));
            let got = only(has_it);
            let added = &got[..got.len() - message.len()];
            same(&got[added.len()..], message.as_bytes());
            assert!(
                contains(added, mark.as_bytes()),
                "{mark} is not named in {}",
                shown(added)
            );
        }
    }
}
