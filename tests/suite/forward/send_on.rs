//! `forward`: how sendmail is run, what it is given, and what becomes of the message for each way in which that ends.

use std::fs;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::support::{LIMIT, ORDINARY, Scratch, below, contains, large, messages, only, same, shown, until};

#[test]
fn one_run_of_sendmail_takes_all_addresses() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    scratch
        .forward(ORDINARY, &["b@b.test", "c@c.test", "d"])
        .go()
        .succeeds();
    assert_eq!(
        scratch.calls(),
        [["-oi", "-f", "a@a.test", "--", "b@b.test", "c@c.test", "d"]]
    );
    let sent = scratch.submitted();
    assert!(sent.starts_with(b"X-Loop: a@a.test\n"), "{}", shown(&sent));
    same(below(&sent, 1), ORDINARY);
    assert!(!scratch.mailbox().exists());
}

#[test]
fn an_address_is_never_an_option() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    scratch
        .forward(ORDINARY, &["--", "-Ctrap", "--bad@b.test", "b@b.test"])
        .go()
        .succeeds();
    assert_eq!(
        scratch.calls(),
        [["-oi", "-f", "a@a.test", "--", "-Ctrap", "--bad@b.test", "b@b.test"]]
    );
}

#[test]
fn the_envelope_sender_is_user_or_writer_and_null_stays_null() {
    for (mode, sender, want) in [
        ("self", "s@s.test", "a@a.test"),
        ("original", "s@s.test", "s@s.test"),
        ("self", "<>", "<>"),
        ("original", "<>", "<>"),
        ("original", "-odd@s.test", "-odd@s.test"),
    ] {
        let mut scratch = Scratch::new()
            .set("forward.sender", &format!("{mode:?}"))
            .set("guard.null_sender", "\"pass\"");
        scratch.sendmail("exit 0");
        let run = scratch.run(&["forward", "-a", "a@a.test", "-f", sender, "b@b.test"]);
        run.input(ORDINARY).go().succeeds();
        assert_eq!(
            scratch.calls(),
            [["-oi", "-f", want, "--", "b@b.test"]],
            "{mode} {sender}"
        );
    }
}

#[test]
fn bytes_below_our_field_are_identical() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    let shapes: [Vec<u8>; 8] = [
        b"".to_vec(),
        b"no header\n".to_vec(),
        b"Status: RO\nDKIM-Signature: v=1;\n\tb=abc\nContent-Length: 4\n\nFrom x\n>From y\n.\n..\n".to_vec(),
        b"A: 1\r\n\r\nbody\r\nno end".to_vec(),
        b"A: \0\xff\n\n\0\r\r\n\xff".to_vec(),
        large((1 << 20) - 20),
        large(1 << 20),
        large(5 << 20),
    ];
    for shape in shapes {
        scratch.forward(&shape, &["b@b.test"]).go().succeeds();
        let sent = scratch.submitted();
        let crlf = contains(&shape, b"A: 1\r\n");
        let field: &[u8] = if crlf {
            b"X-Loop: a@a.test\r\n"
        } else {
            b"X-Loop: a@a.test\n"
        };
        same(&sent, &[field, &shape].concat());
    }
}

#[test]
fn the_callers_separator_line_is_not_sent() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    let message = [b"From s@s.test  Mon Nov  2 10:00:00 2026\n", ORDINARY].concat();
    scratch.forward(&message, &["b@b.test"]).go().succeeds();
    same(below(&scratch.submitted(), 1), ORDINARY);
}

#[test]
fn a_copy_is_held_where_reports_bring_back_the_header_alone() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    let held = |scratch: &Scratch| {
        let dir = scratch.path("state").join("forwarded");
        fs::read_dir(dir).into_iter().flatten().count()
    };
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    assert_eq!(held(&scratch), 0);
    fs::rename(scratch.path("sendmail"), scratch.path("dma")).unwrap();
    let path = scratch.path("dma").display().to_string();
    scratch.change("forward.transport", &format!("{path:?}"));
    scratch.forward(&large(2000), &["b@b.test"]).go().succeeds();
    assert_eq!(held(&scratch), 1);
    assert!(scratch.mail().is_empty());
}

/// What real programs print and end with, and whether that means that the message will never be taken.
const ANSWERS: [(&str, &str, bool); 27] = [
    ("these are my words", "exit 75", false),
    ("these are my words", "exit 70", false),
    ("these are my words", "exit 71", false),
    ("these are my words", "exit 78", false),
    ("these are my words", "exit 126", false),
    ("these are my words", "exit 127", false),
    ("550 5.1.1 no", "kill -9 $$", false),
    ("these are my words", "kill -15 $$", false),
    // No exit status is evidence by itself.
    ("these are my words", "exit 1", false),
    ("these are my words", "exit 2", false),
    ("these are my words", "exit 64", false),
    ("these are my words", "exit 65", false),
    ("these are my words", "exit 66", false),
    ("these are my words", "exit 67", false),
    ("these are my words", "exit 68", false),
    ("these are my words", "exit 69", false),
    ("these are my words", "exit 76", false),
    ("these are my words", "exit 77", false),
    // Exim, msmtp, ssmtp and esmtp while something is broken or greylists.
    ("exim: insufficient disk space", "exit 1", false),
    (
        "sendmail: cannot locate host hub.test: Temporary failure in name resolution",
        "exit 68",
        false,
    ),
    (
        "sendmail: RCPT TO:<b@b.test> (451 4.7.1 <b@b.test>: Recipient address rejected: Greylisted)",
        "exit 1",
        false,
    ),
    (
        "sendmail: server message: 535 5.7.8 Error: authentication failed",
        "exit 77",
        false,
    ),
    ("Insufficient disk space; try again later", "exit 0", false),
    (
        "sendmail: RCPT TO:<b@b.test> (550 5.1.1 <b@b.test>: User unknown)",
        "exit 1",
        true,
    ),
    ("sendmail: server message: 554 no", "exit 69", true),
    ("b@b.test: 550 5.1.1 <b@b.test>: User unknown", "exit 70", true),
    ("5.1.1 no such user", "exit 67", true),
];

#[test]
fn what_may_pass_waits_and_what_is_final_is_kept() {
    for (printed, then, is_final) in ANSWERS {
        let mut scratch = Scratch::new();
        scratch.sendmail(&format!("echo '{printed}' >&2; {then}"));
        let ended = scratch.forward(ORDINARY, &["b@b.test"]).go();
        let words = printed.split(" <").next().unwrap_or(printed);
        if is_final {
            ended.succeeds();
            let mail = scratch.mail();
            let got = only(&mail);
            let top = String::from_utf8_lossy(&got[..got.len() - below(got, 1).len()]).into_owned();
            let top = top.replace("\n ", " ").replace("\n\t", " ");
            assert!(
                top.starts_with("X-Spoolguard-Kept: ")
                    && top.contains("cannot forward: b@b.test refused with status ")
                    && top.contains(words),
                "{printed}, {then}: {top}"
            );
            same(below(got, 1), ORDINARY);
        } else {
            ended.defers().mentions(words);
            assert!(scratch.mail().is_empty(), "{printed}, {then}");
        }
        assert_eq!(scratch.calls().len(), 1, "{printed}, {then}");
    }
}

#[test]
fn a_sendmail_that_is_not_there_makes_the_message_wait() {
    let mut scratch = Scratch::new();
    fs::write(scratch.path("not-executable"), "").unwrap();
    for name in ["missing", "not-executable", "home"] {
        let path = scratch.path(name).display().to_string();
        scratch.change("forward.transport", &format!("{path:?}"));
        scratch.forward(ORDINARY, &["b@b.test"]).go().defers().mentions(&path);
        assert!(scratch.mail().is_empty());
    }
}

/// A sendmail that refuses one address, and takes none when that is among several.
const PICKY: &str = "for last; do case $last in bad*) echo \"550 no $last\"; exit 67; esac; done; exit 0";

#[test]
fn one_refused_address_does_not_keep_it_from_the_others() {
    let mut scratch = Scratch::new();
    scratch.sendmail(PICKY);
    scratch
        .forward(ORDINARY, &["b@b.test", "bad@c.test", "d@d.test"])
        .go()
        .succeeds();
    let calls = scratch.calls();
    assert_eq!(calls.len(), 4, "{calls:?}");
    for address in ["b@b.test", "bad@c.test", "d@d.test"] {
        assert!(
            calls[1..]
                .iter()
                .any(|call| call == &["-oi", "-f", "a@a.test", "--", address]),
            "{calls:?}"
        );
    }
    let mail = scratch.mail();
    let got = only(&mail);
    assert!(contains(got, b"bad@c.test refused with status 67"), "{}", shown(got));
    assert!(!contains(got, b"b@b.test refused"), "{}", shown(got));
    same(below(got, 1), ORDINARY);
}

#[test]
fn one_address_that_may_pass_makes_the_message_wait() {
    let mut scratch = Scratch::new();
    scratch.sendmail("case \"$*\" in *bad*) echo 550 no; exit 67;; *later*) exit 75;; esac; exit 0");
    scratch
        .forward(ORDINARY, &["bad@b.test", "later@c.test", "d@d.test"])
        .go()
        .defers();
    assert!(scratch.mail().is_empty());
}

#[test]
fn a_copy_is_kept_beside_what_is_sent() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().succeeds();
    same(only(&scratch.mail()), ORDINARY);
    assert_eq!(scratch.calls(), [["-oi", "-f", "a@a.test", "--", "b@b.test"]]);
}

#[test]
fn a_copy_is_taken_back_when_the_message_will_come_again() {
    let mut scratch = Scratch::new();
    scratch.deliver(b"Subject: before\n\nbefore\n").go().succeeds();
    let before = scratch.mail();
    // The copy is there when sendmail runs: should the host die, it is the mailbox that has the message.
    let mailbox = scratch.mailbox().display().to_string();
    let seen = scratch.path("seen").display().to_string();
    scratch.sendmail(&format!("cp '{mailbox}' '{seen}'; exit 75"));
    scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().defers();
    same(&scratch.mail(), &before);
    assert_eq!(messages(&fs::read(seen).unwrap()).len(), 2);
    scratch.sendmail("exit 0");
    scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().succeeds();
    assert_eq!(messages(&scratch.mail()).len(), 2);
}

#[test]
fn a_copy_is_taken_back_though_the_mailbox_filled_up_with_it() {
    let mut scratch = Scratch::new().set("quota.limit", "\"1K\"").set("quota.warn", "\"10%\"");
    scratch.sendmail("exit 75");
    for _ in 0..3 {
        scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().defers();
    }
    let mail = scratch.mail();
    assert!(!contains(&mail, b"Hello."), "copies pile up: {}", shown(&mail));
}

#[test]
fn a_copy_stays_when_somebody_wrote_behind_it() {
    let mut scratch = Scratch::new();
    let mailbox = scratch.mailbox().display().to_string();
    scratch.sendmail(&format!(
        "printf 'From x Mon Nov  2 10:00:00 2026\\n\\nx\\n\\n' >>'{mailbox}'; exit 75"
    ));
    scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().defers();
    assert_eq!(messages(&scratch.mail()).len(), 2, "nobody else's mail is cut off");
}

#[test]
fn with_a_copy_a_final_refusal_leaves_one_copy() {
    let mut scratch = Scratch::new();
    scratch.sendmail("echo 550 no; exit 67");
    scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().succeeds();
    same(only(&scratch.mail()), ORDINARY);
}

#[test]
fn the_users_own_address_means_the_mailbox() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    scratch.forward(ORDINARY, &["A+copy@a.test"]).go().succeeds();
    same(only(&scratch.mail()), ORDINARY);
    assert!(scratch.calls().is_empty());
    scratch.forward(ORDINARY, &["a@a.test", "b@b.test"]).go().succeeds();
    assert_eq!(messages(&scratch.mail()).len(), 2);
    assert_eq!(scratch.calls(), [["-oi", "-f", "a@a.test", "--", "b@b.test"]]);
}

#[test]
fn what_we_forwarded_is_known_when_it_comes_back() {
    let scratch = Scratch::new();
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    let sent = scratch.sent();
    let back = [b"Received: from b.test by a.test\n" as &[u8], below(&sent[0], 2)].concat();
    scratch.forward(&back, &["b@b.test"]).go().succeeds();
    assert_eq!(scratch.sent().len(), 1);
    assert_eq!(messages(&scratch.diverted()).len(), 1);
}

#[test]
fn a_hanging_sendmail_goes_when_the_run_is_told_to_stop() {
    let mut scratch = Scratch::new();
    let pid_file = scratch.hanging_sendmail();
    let run = scratch.forward(ORDINARY, &["--keep", "b@b.test"]).start();
    until("sendmail runs", || pid_file.exists());
    let begun = Instant::now();
    run.signal(Signal::SIGTERM);
    run.end().defers().mentions("signal");
    assert!(begun.elapsed() < LIMIT / 3);
    let pid: i32 = fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    let gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_err();
    assert!(gone, "sendmail still runs");
    assert!(scratch.mail().is_empty(), "the copy stays: {}", shown(&scratch.mail()));
    assert!(!scratch.dotlock().exists());
}

#[test]
fn what_a_hanging_sendmail_started_ends_with_it() {
    let mut scratch = Scratch::new();
    let (pid, words) = (scratch.path("pid"), "echo these are my words");
    let then = format!(
        "{words}; sleep 300 & echo $! >'{0}.new'; mv '{0}.new' '{0}'; wait",
        pid.display()
    );
    scratch.sendmail(&then);
    let run = scratch.forward(ORDINARY, &["b@b.test"]).start();
    until("sendmail runs", || pid.exists());
    run.signal(Signal::SIGTERM);
    run.end().defers().mentions("signal");
    let left = fs::read_to_string(&pid).unwrap().trim().to_owned();
    let is_gone = || {
        let stat = fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_none_or(|rest| rest.is_empty() || rest.trim_start().starts_with('Z'))
    };
    until("what sendmail started is gone", is_gone);
}

#[test]
fn a_postdrop_that_can_write_nowhere_is_not_waited_for() {
    for cause in ["Permission denied", "Read-only file system"] {
        let mut scratch = Scratch::new();
        let words = format!("postdrop: warning: mail_queue_enter: create file maildrop/492222.66: {cause}");
        let postfix = scratch.script("sendmail.postfix", &format!("echo '{words}' >&2; sleep 300"));
        scratch.change("forward.transport", &format!("{:?}", postfix.display().to_string()));
        let begun = Instant::now();
        scratch.forward(ORDINARY, &["b@b.test"]).go().defers().mentions(&words);
        assert!(begun.elapsed() < LIMIT, "{cause}");
    }
}

#[test]
fn a_sendmail_that_floods_or_reads_nothing_holds_nobody() {
    let mut scratch = Scratch::new();
    let noisy = scratch.script("noisy", "head -c 4000000 /dev/zero; exit 75");
    scratch.change("forward.transport", &format!("{:?}", noisy.display().to_string()));
    let ended = scratch.forward(&large(2 << 20), &["b@b.test"]).go();
    ended.ends_with(75);
    ended
        .check(ended.stderr.len() < 20_000, "all of it is repeated")
        .defers();
    let deaf = scratch.script("deaf", "exit 0");
    scratch.change("forward.transport", &format!("{:?}", deaf.display().to_string()));
    scratch.forward(&large(2 << 20), &["b@b.test"]).go().succeeds();
}

#[test]
fn a_child_that_sendmail_leaves_behind_holds_nobody() {
    let mut scratch = Scratch::new();
    let pid_file = scratch.path("left");
    let left = scratch.script(
        "left-behind",
        &format!("sleep 300 &\necho $! >'{}'; exit 0", pid_file.display()),
    );
    scratch.change("forward.transport", &format!("{:?}", left.display().to_string()));
    let begun = Instant::now();
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    assert!(begun.elapsed() < LIMIT / 3);
    let pid: i32 = fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
}

#[test]
fn sendmail_gets_a_clean_environment_and_no_blocked_signals() {
    let mut scratch = Scratch::new();
    let seen = scratch.path("seen").display().to_string();
    scratch.sendmail(&format!(
        "/usr/bin/env >'{seen}'; /bin/pwd >>'{seen}'; /bin/ls -l /proc/self/fd >'{seen}-fds'; /bin/grep -E 'Sig(Blk|Ign)' /proc/self/status >'{seen}-signals'; exit 0"
    ));
    scratch
        .forward(ORDINARY, &["b@b.test"])
        .variable("LD_PRELOAD", "")
        .variable("IFS", "x")
        .variable("SENDER", "x@x.test")
        .variable("PATH", "/nonexistent")
        .variable("MAIL_CONFIG", "/etc/other")
        .variable("POSTFIX_EVIL", "1")
        .shell("trap '' TERM HUP INT PIPE CHLD")
        .go()
        .succeeds();
    let text = fs::read_to_string(scratch.path("seen")).unwrap();
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    // What a shell sets by itself stands beside what it was given.
    assert!(
        names.iter().all(|name| [
            "PATH",
            "LANG",
            "MAIL_CONFIG",
            "SPOOLGUARD_SENDMAIL",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "_"
        ]
        .contains(name)),
        "{text}"
    );
    assert!(
        text.contains("PATH=/usr/sbin:/usr/bin") && text.ends_with("\n/\n"),
        "{text}"
    );
    let signals = fs::read_to_string(scratch.path("seen-signals")).unwrap();
    for line in signals.lines() {
        let mask = u64::from_str_radix(line.split_ascii_whitespace().nth(1).unwrap(), 16).unwrap();
        // From 32 on they belong to the C library (signal(7)), and are as whoever runs the tests left them.
        assert_eq!(mask & 0x7fff_ffff, 0, "{signals}");
    }
    // Whoever runs the tests may have left some open; ours are the mailbox, its locks, our memories, and the message
    // once.
    let fds = fs::read_to_string(scratch.path("seen-fds")).unwrap();
    let spool = scratch.path("spool").display().to_string();
    let state = scratch.path("state").display().to_string();
    assert!(
        !fds.contains(&spool) && !fds.contains(&state),
        "open files are inherited: {fds}"
    );
    assert!(
        fds.matches("memfd:").count() + fds.matches("(deleted)").count() <= 2,
        "{fds}"
    );
}

#[test]
fn an_outbox_holds_the_message_with_its_envelope() {
    let scratch = Scratch::new().set("forward.duplicate_window", "\"0s\"");
    for _ in 0..3 {
        scratch.forward(ORDINARY, &["b@b.test", "c@c.test"]).go().succeeds();
    }
    let sent = scratch.sent();
    assert_eq!(sent.len(), 3);
    for message in sent {
        assert!(message.starts_with(b"Return-Path: <a@a.test>\nEnvelope-To: b@b.test, c@c.test\nX-Loop: a@a.test\n"));
        same(below(&message, 3), ORDINARY);
    }
    assert!(scratch.files("outbox/tmp").is_empty());
}

#[test]
fn what_is_no_address_is_kept_and_never_reaches_sendmail() {
    for odd in [
        "",
        "@b.test",
        "b@@b.test",
        "b b@b.test",
        "<b@b.test>",
        "b@b.test\nX-Evil: 1",
        "b,c@b.test",
    ] {
        let scratch = Scratch::new();
        scratch.forward(ORDINARY, &[odd, "c@c.test"]).go().succeeds();
        let sent = scratch.sent();
        assert_eq!(sent.len(), 1, "{odd:?}");
        assert!(contains(&sent[0], b"\nEnvelope-To: c@c.test\n"), "{}", shown(&sent[0]));
        let mail = scratch.mail();
        assert!(
            contains(&mail, b"X-Spoolguard-Kept: ") && !contains(&mail, b"\nX-Evil"),
            "{}",
            shown(&mail)
        );
    }
}

#[test]
fn an_address_named_twice_gets_one_copy() {
    let scratch = Scratch::new();
    scratch
        .forward(ORDINARY, &["c@c.test", "b@b.test", "c@c.test"])
        .go()
        .succeeds();
    let sent = scratch.sent();
    assert!(
        contains(&sent[0], b"\nEnvelope-To: c@c.test, b@b.test\n"),
        "{}",
        shown(&sent[0])
    );
}

#[test]
fn sendmail_sent_to_the_good_ones_itself_and_is_not_rerun() {
    for (name, runs) in [("sendmail/sendmail", 1), ("other/sendmail", 3)] {
        let mut scratch = Scratch::new();
        scratch.sendmail("echo 550 no; exit 67");
        // Debian's alternatives lead from one name to all of them.
        let real = scratch.path(name);
        fs::rename(scratch.path("sendmail"), scratch.path("script")).unwrap();
        fs::create_dir_all(real.parent().unwrap()).unwrap();
        fs::rename(scratch.path("script"), &real).unwrap();
        let link = scratch.path("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        scratch.change("forward.transport", &format!("{:?}", link.display().to_string()));
        scratch.forward(ORDINARY, &["b@b.test", "c@c.test"]).go().succeeds();
        assert_eq!(scratch.calls().len(), runs, "{name}");
        assert_eq!(messages(&scratch.mail()).len(), 1, "{name}");
    }
}
