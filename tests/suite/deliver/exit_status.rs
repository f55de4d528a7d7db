//! How a run ends: 0, 75, and 77 where configuration says so; one line when it failed, none when it did not. Mail
//! systems bounce on nearly everything else.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

use crate::support::{ORDINARY, Scratch, is_root, only, same, shown, skip};

/// A bounce about `b@b.test`, as Postfix of this host hands it over.
const POSTFIX_BOUNCE: &str = "Return-Path: <>\nReceived: by mx.a.test (Postfix)\n\tid 4XyZ12abcd; Mon, 2 Nov 2026 10:00:00 +0000 (UTC)\n\
    From: MAILER-DAEMON@mx.a.test (Mail Delivery System)\nSubject: Undelivered Mail Returned to Sender\nTo: a@a.test\n\
    Message-ID: <report@mx.a.test>\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\n\n--x\n\nno\n--x\n\
    Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.a.test\n\nFinal-Recipient: rfc822; b@b.test\n\
    Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no such user\n\n--x\nContent-Type: message/rfc822\n\n\
    From: s@s.test\nMessage-ID: <lunch@s.test>\nSubject: lunch\n\nHi.\n--x--\n";

#[test]
fn a_log_line_has_status_address_original_id_and_queue_id() {
    let scratch = Scratch::new().set("log.to", "\"stderr\"");
    let text = scratch.deliver(POSTFIX_BOUNCE.as_bytes()).go();
    for part in [
        "id=<report@mx.a.test>",
        "queue=4XyZ12abcd",
        "failed=b@b.test",
        "status=5.1.1",
        "original_id=<lunch@s.test>",
        "marker=\"Content-Type: multipart/report",
    ] {
        text.mentions(part);
    }
    let scratch = scratch.set("log.format", "\"json\"");
    let ended = scratch.deliver(POSTFIX_BOUNCE.as_bytes()).go();
    let lines: Vec<serde_json::Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let line = lines.iter().find(|line| line["verdict"] == "bounce").unwrap();
    assert_eq!(line["level"], "info");
    assert_eq!(
        (&line["failed"], &line["status"]),
        (&"b@b.test".into(), &"5.1.1".into())
    );
    assert_eq!(
        (&line["queue"], &line["original_id"]),
        (&"4XyZ12abcd".into(), &"<lunch@s.test>".into())
    );
    assert!(line["bytes"].is_u64(), "{line}");
    // What a bounce has not is not there.
    let ordinary = scratch.deliver(ORDINARY).go();
    assert!(!ordinary.stderr.contains("failed"), "{}", ordinary.story());
}

#[test]
fn what_cannot_be_understood_waits() {
    let scratch = Scratch::new();
    for arguments in [
        &[] as &[&str],
        &["--no-such-flag"],
        &["-x"],
        &["no-such-command"],
        &["deliver", "--no-such-flag"],
        &["deliver", "--user"],
        &["deliver", "surplus"],
        &["forward"],
        &["forward", "--keep"],
        &["forward", "--keep=yes", "b@b.test"],
        &["forward", "-bad", "b@b.test"],
        &["filter", "--json"],
        &["--config"],
        &["deliver", "--user", "a", "--user", "b"],
        &["--user", "status", "deliver"],
        &["-d", "help", "deliver"],
        &["--no-such-flag", "config", "check"],
        &[""],
        &["\n\u{1b}[31m"],
    ] {
        let ended = scratch.bare(arguments).input(ORDINARY).go();
        ended.defers().check(ended.stdout.is_empty(), "stdout is for filter");
    }
    assert!(scratch.mail().is_empty());
}

#[test]
fn the_line_for_the_mta_holds_the_real_cause() {
    let scratch = Scratch::new();
    for (arguments, part) in [
        (&[] as &[&str], "\"|/usr/bin/spoolguard forward ADDRESS\""),
        (&["forward"], "not provided: <ADDRESS>..."),
        (&["foward", "b@b.test"], "exists: 'forward'"),
        (&["sweep"], "did you mean \"spoolguard spool sweep\"?"),
    ] {
        scratch.bare(arguments).input(ORDINARY).go().defers().mentions(part);
    }
    assert!(scratch.sent().is_empty() && scratch.mail().is_empty());
}

#[test]
fn nothing_is_forwarded_from_a_device() {
    let scratch = Scratch::new();
    let forward = scratch.forward(b"", &["notanaddress"]).shell("exec 0</dev/null");
    forward.go().defers().mentions("/dev/null, not a message");
    assert!(scratch.sent().is_empty() && scratch.mail().is_empty());
}

/// script(1) gives a terminal.
#[test]
fn on_a_terminal_people_are_told_what_to_do() {
    let on_terminal = |command: &str| {
        let line = format!("'{}' {command}; echo \"status $?\"", crate::support::PROGRAM);
        let mut child = std::process::Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env_remove("SENDER")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .ok()?;
        // A message, and Ctrl-D.
        std::io::Write::write_all(&mut child.stdin.take()?, b"Subject: x\n\nx\n\x04").ok()?;
        let ran = child.wait_with_output().ok()?;
        Some(String::from_utf8_lossy(&ran.stdout).into_owned())
    };
    if on_terminal("--version").is_none_or(|said| !said.contains("status 0")) {
        return skip("needs script(1) and a terminal");
    }
    let scratch = Scratch::new();
    let config = format!("--config '{}'", scratch.configuration().display());
    for (command, parts) in [
        (
            String::new(),
            &["Usage: spoolguard", "Commands:", "status 64"] as &[&str],
        ),
        (
            "sweep".to_owned(),
            &["did you mean \"spoolguard spool sweep\"?", "status 64"],
        ),
        (format!("deliver {config}"), &["reading a message from the terminal"]),
        (format!("inspect {config}"), &["reading a message from the terminal"]),
        (format!("filter {config}"), &["reading a message from the terminal"]),
        (
            format!("forward b@b.test {config}"),
            &["reading a message from the terminal"],
        ),
    ] {
        let said = on_terminal(&command).unwrap();
        for part in parts {
            assert!(said.contains(part), "{command}: {said}");
        }
    }
}

#[test]
fn commands_that_people_type_end_with_64_for_usage() {
    let scratch = Scratch::new();
    for arguments in [
        &["config", "nonsense"] as &[&str],
        &["config"],
        &["-v", "config", "check", "--wrong"],
        &["-n", "inspect", "--wrong"],
        &["trace"],
    ] {
        let ended = scratch.bare(arguments).go();
        ended.ends_with(64).check(!ended.stderr.is_empty(), "nothing is said");
    }
}

#[test]
fn help_is_no_delivery() {
    let scratch = Scratch::new();
    for arguments in [
        &["--help"] as &[&str],
        &["deliver", "--help"],
        &["--version"],
        &["help", "forward"],
    ] {
        let ended = scratch.bare(arguments).go();
        ended.ends_with(0).check(!ended.stdout.is_empty(), "nothing is said");
    }
    for arguments in [
        &["--help"] as &[&str],
        &["deliver", "--help"],
        &["--version"],
        &["forward", "-h"],
    ] {
        for (name, value) in [("SENDER", ""), ("RECIPIENT", "a@a.test"), ("AGENT", "sendmail")] {
            scratch
                .bare(arguments)
                .variable(name, value)
                .input(ORDINARY)
                .go()
                .defers();
        }
    }
}

#[test]
fn a_configuration_that_cannot_be_used_waits() {
    let scratch = Scratch::new();
    let file = scratch.path("other.toml");
    let name = file.to_str().unwrap();
    let run = || scratch.bare(&["deliver", "--config", name]).input(ORDINARY).go();
    run().defers().mentions("4.3.5 ").mentions(name);
    for text in [
        "nonsense",
        "admin = 3",
        "no_such_key = 1",
        "[mailbox]\nlock_timeout = \"1y\"",
        "\u{feff}[",
        "admin = \"\x01\n",
    ] {
        fs::write(&file, text).unwrap();
        run().defers().mentions("4.3.5 ").mentions(name);
    }
    fs::write(&file, b"admin = \"\xff\"").unwrap();
    run().defers();
    // As a device that has no end.
    fs::File::create(&file).unwrap().set_len(17 << 20).unwrap();
    run().defers().mentions("it is too large to be one");
    scratch
        .bare(&["deliver", "--config", "/"])
        .input(ORDINARY)
        .go()
        .defers();
    if !is_root() {
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
        run().defers();
    }
    assert!(scratch.mail().is_empty());
}

#[test]
fn a_closed_standard_input_is_no_empty_message() {
    let scratch = Scratch::new();
    scratch
        .deliver(b"")
        .shell("exec 0<&-")
        .go()
        .defers()
        .mentions("standard input is closed");
    scratch.forward(b"", &["b@b.test"]).shell("exec 0<&-").go().defers();
    assert!(scratch.mail().is_empty() && scratch.sent().is_empty());
    // An empty file is an empty message.
    scratch.deliver(b"").shell("exec 0</dev/null").go().succeeds();
}

#[test]
fn closed_output_changes_nothing() {
    let scratch = Scratch::new();
    let shell = "exec 1>&- 2>&-";
    scratch.deliver(ORDINARY).shell(shell).go().succeeds();
    same(only(&scratch.mail()), ORDINARY);
    scratch.forward(ORDINARY, &["b@b.test"]).shell(shell).go().succeeds();
    assert_eq!(scratch.sent().len(), 1);
    scratch.bare(&["no-such-command"]).shell(shell).go().ends_with(75);
    // Nothing that is opened later is taken for an output: the mailbox holds no log.
    scratch.deliver(ORDINARY).with(&["-vv"]).shell(shell).go().succeeds();
    assert!(!shown(&scratch.mail()).contains("action="));
}

#[test]
fn closed_output_reaches_sendmail_as_open() {
    let mut scratch = Scratch::new();
    scratch.sendmail("echo out; echo 550 err >&2; exit 67");
    scratch
        .forward(ORDINARY, &["b@b.test"])
        .shell("exec 1>&- 2>&-")
        .go()
        .succeeds();
    assert!(shown(&scratch.mail()).contains("refused with status 67"));
}

#[test]
fn input_that_fails_makes_the_message_wait() {
    let scratch = Scratch::new();
    scratch.deliver(b"").input_file(File::open("/").unwrap()).go().defers();
    scratch
        .deliver(b"")
        .input_file(File::options().write(true).open("/dev/null").unwrap())
        .go()
        .defers();
    assert!(scratch.mail().is_empty());
}

#[test]
fn a_message_is_read_from_a_file_as_well() {
    let scratch = Scratch::new();
    fs::write(scratch.path("message"), ORDINARY).unwrap();
    scratch
        .deliver(b"")
        .input_file(File::open(scratch.path("message")).unwrap())
        .go()
        .succeeds();
    same(only(&scratch.mail()), ORDINARY);
}

#[test]
fn signals_that_the_caller_ignores_change_nothing() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 75");
    let traps = "trap '' TERM HUP INT QUIT PIPE CHLD USR1 XFSZ ALRM";
    scratch.deliver(ORDINARY).shell(traps).go().succeeds();
    scratch
        .forward(ORDINARY, &["b@b.test"])
        .shell(traps)
        .go()
        .defers()
        .mentions("75");
    scratch.sendmail("exit 0");
    scratch.forward(ORDINARY, &["b@b.test"]).shell(traps).go().succeeds();
}

#[test]
fn signals_that_the_caller_blocks_change_nothing() {
    let blocking = "exec /usr/bin/env --block-signal=TERM,HUP,INT,CHLD,XFSZ,ALRM \"$@\"";
    let known = std::process::Command::new("/usr/bin/env")
        .args(["--block-signal=TERM", "true"])
        .status();
    if !known.is_ok_and(|status| status.success()) {
        return crate::support::skip("needs an env(1) that can block signals");
    }
    let mut scratch = Scratch::new();
    scratch.sendmail("echo 550 no; /bin/grep SigBlk /proc/self/status; exit 67");
    scratch.deliver(ORDINARY).shell_line(blocking).go().succeeds();
    scratch
        .forward(ORDINARY, &["b@b.test"])
        .shell_line(blocking)
        .go()
        .succeeds();
    assert!(
        shown(&scratch.mail()).contains("0000000000000000"),
        "{}",
        shown(&scratch.mail())
    );
    let (reader, mut writer) = std::io::pipe().unwrap();
    let run = scratch.deliver(b"").input_file(reader).shell_line(blocking).start();
    std::io::Write::write_all(&mut writer, &crate::support::large(200_000)).unwrap();
    run.signal(nix::sys::signal::Signal::SIGTERM);
    run.end().defers().mentions("signal");
}

#[test]
fn a_caller_who_ignores_term_can_still_stop_the_run() {
    let scratch = Scratch::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let run = scratch.deliver(b"").input_file(reader).shell("trap '' TERM").start();
    std::io::Write::write_all(&mut writer, &crate::support::large(200_000)).unwrap();
    run.signal(nix::sys::signal::Signal::SIGTERM);
    run.end().defers().mentions("signal");
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    for (arguments, message, says) in [
        (&["deliver", "-f", "s@s.test"] as &[&str], ORDINARY, "would append: "),
        (
            &["forward", "-f", "s@s.test", "b@b.test"],
            ORDINARY,
            "would forward: b@b.test",
        ),
        (
            &["forward", "-f", "<>", "b@b.test"],
            b"X-Loop: a@a.test\n\n",
            "would divert: ",
        ),
        (
            &["forward", "-f", "<>", "b@b.test"],
            b"X-Spoolguard-Divert: x\n\n",
            "would keep: ",
        ),
    ] {
        let ended = scratch
            .run(arguments)
            .with(&["--dry-run", "-a", "a@a.test"])
            .input(message)
            .go();
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        ended.ends_with(0).check(text.starts_with(says), says);
        ended.check(text.lines().count() == 1, "not one line");
        // Under a mail system nobody else has the message.
        scratch
            .run(arguments)
            .with(&["--dry-run"])
            .variable("SENDER", "s@s.test")
            .input(message)
            .go()
            .ends_with(75);
    }
    assert!(!scratch.mailbox().exists() && scratch.calls().is_empty() && scratch.diverted().is_empty());
    assert!(scratch.files("state").is_empty() && scratch.files("spool").is_empty());
}

#[test]
fn a_dry_run_refuses_what_a_delivery_would_refuse() {
    let scratch = Scratch::new();
    fs::write(scratch.path("home/file"), "").unwrap();
    let below_file = scratch.path("home/file/x").display().to_string();
    for (place, why) in [
        (
            "/etc",
            "cannot use as a mailbox /etc: it is a directory, and not an mbox",
        ),
        ("/dev/null", "cannot use as a mailbox /dev/null: it is no regular file"),
        (
            "/no/such/mbox",
            "cannot create mailbox /no/such/mbox: the directory /no/such does not exist",
        ),
        (below_file.as_str(), "not a directory"),
        ("foo:/x", "a file of this name is ./foo:/x"),
        ("~nobody/x", "only ~/ stands for a home directory"),
    ] {
        let run = |more: &[&str]| {
            let deliver = scratch.deliver(ORDINARY).with(&["-m", place]);
            deliver.with(more).go()
        };
        run(&[]).ends_with(75).mentions(why);
        run(&["--dry-run"]).ends_with(75).mentions(why);
    }
    let forward = scratch.forward(b"X-Spoolguard-Divert: x\n\n", &["b@b.test", "-m", "/etc", "--dry-run"]);
    forward.go().ends_with(75).mentions("cannot use as a mailbox /etc");
}

/// MTAs start commands without a shell.
#[test]
fn a_tilde_that_no_shell_replaced_is_the_users_home() {
    let scratch = Scratch::new();
    for (place, made) in [("~/x", "home/x"), ("~/m/", "home/m/new"), ("maildir:~/n", "home/n/new")] {
        let ended = scratch.deliver(ORDINARY).with(&["-n", "-m", place]).go();
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        let want = format!("would append: {}/", scratch.path("home").display());
        ended.ends_with(0).check(text.starts_with(&want), &want);
        scratch.deliver(ORDINARY).with(&["-m", place]).go().succeeds();
        assert!(scratch.path(made).exists(), "{place}");
    }
}

#[test]
fn the_log_is_one_line_with_the_facts_and_nothing_private() {
    let scratch = Scratch::new().set("log.to", "\"stderr\"");
    let message = b"Message-ID: <1@s.test>\nSubject: secret words\nX-Loop: a@a.test\n\nprivate body\n";
    let ended = scratch.deliver(message).go();
    ended.ends_with(0);
    for part in [
        "action=divert",
        "verdict=loop",
        "a@a.test",
        "bytes=",
        "id=<1@s.test>",
        "sender=s@s.test",
    ] {
        ended.mentions(part);
    }
    ended.check(ended.stderr.lines().count() == 1, "not one line");
    ended.check(
        !ended.stderr.contains("secret") && !ended.stderr.contains("private"),
        "subject or body in the log",
    );
}
