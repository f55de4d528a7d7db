//! The same message for the same address: sent on once, kept the second time, whatever marks it lost on the way.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::support::{Ended, ORDINARY, Scratch, contains, is_root, messages, only, skip, until};

/// Who sendmail was run for, run by run.
fn recipients(scratch: &Scratch) -> Vec<String> {
    let calls = scratch.calls();
    let of = |call: &Vec<String>| {
        call.iter()
            .skip_while(|word| *word != "--")
            .skip(1)
            .cloned()
            .collect::<Vec<_>>()
    };
    calls.iter().map(|call| of(call).join(" ")).collect()
}

/// A sendmail that takes until there is a file `go`.
const UNTIL_TOLD: &str = "while [ ! -e \"$(dirname $0)/go\" ]; do sleep 0.01; done; exit 0";

#[test]
fn a_message_that_comes_back_without_any_mark_is_kept_once() {
    let mut scratch = Scratch::new().set("log.to", "\"stderr\"");
    scratch.sendmail("exit 0");
    scratch.forward(ORDINARY, &["b@b.test"]).go().ends_with(0);
    // Other trace fields, another envelope sender, nothing of ours.
    let back = [b"Received: from b.test by a.test\nDelivered-To: a@a.test\n", ORDINARY].concat();
    for sender in ["b@b.test", "s@s.test"] {
        let run = scratch.run(&["-v", "forward", "-a", "a@a.test", "-f", sender, "b@b.test"]);
        run.input(&back)
            .go()
            .ends_with(0)
            .mentions("b@b.test had this same message");
    }
    assert_eq!(recipients(&scratch), ["b@b.test"]);
    let mail = scratch.mail();
    assert!(contains(only(&mail), b"X-Spoolguard-Kept: "));
}

/// Another text under the same Message-ID is another message: a device's second scan, a list's copy beside the direct one, whoever
/// knows an id.
#[test]
fn another_text_under_the_same_message_id_goes_on() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    for (number, (field, text)) in [
        ("Date: Mon, 2 Nov 2026 10:00:00 +0000", "Document 1"),
        ("Date: Mon, 2 Nov 2026 10:01:00 +0000", "Document 1"),
        ("Date: Mon, 2 Nov 2026 10:01:00 +0000", "Document 2"),
        ("Subject: [dev] Scan", "Document 1"),
    ]
    .into_iter()
    .enumerate()
    {
        let message = format!("Message-ID: <scan@p.test>\nFrom: scan@p.test\n{field}\n\n{text}\n");
        scratch.forward(message.as_bytes(), &["b@b.test"]).go().succeeds();
        assert_eq!(recipients(&scratch).len(), number + 1, "{field} {text}");
    }
    assert!(!scratch.mailbox().exists());
}

/// A message of the MTA's queue that comes for one user by several aliases at once: one run sends it, the others wait and count it.
#[test]
fn one_submission_that_comes_by_aliases_is_sent_once() {
    let mut scratch = Scratch::new();
    scratch.sendmail(UNTIL_TOLD);
    let queued = b"Received: from s.test (s.test [192.0.2.1])\n\tby mx.a.test (Postfix) with ESMTP id 4W1; Mon, 2 Nov 2026 10:00:00 +0000\n";
    let runs: Vec<_> = ["ann", "info", "sales", "help", "all"]
        .map(|alias| {
            let above = format!("Delivered-To: {alias}@a.test\n");
            let message = [above.as_bytes(), queued, ORDINARY].concat();
            scratch.forward(&message, &["b@b.test"]).start()
        })
        .into_iter()
        .collect();
    for run in &runs {
        run.until_open(&scratch.path("state/turns"));
    }
    fs::write(scratch.path("go"), "").unwrap();
    for run in runs {
        run.end().ends_with(0);
    }
    assert_eq!(recipients(&scratch), ["b@b.test"]);
    assert!(!scratch.mailbox().exists());
}

/// On a fast host a message is back before the run has ended that sent it. Without any trace of its way it looks like one that came by
/// another alias, and nobody would have it.
#[test]
fn what_is_back_before_its_run_has_ended_is_kept() {
    let of_queue = |id: &str| format!("Received: by a.test (Postfix)\n\tid {id}; Mon, 2 Nov 2026 10:00:00 +0000\n");
    for (first, second) in [
        (String::new(), String::new()),
        (of_queue("4W1"), String::new()),
        (of_queue("4W1"), of_queue("4W2")),
    ] {
        let mut scratch = Scratch::new();
        scratch.sendmail(&format!("touch \"$(dirname $0)/sent\"; {UNTIL_TOLD}"));
        let messages = [first, second].map(|above| [above.as_bytes(), ORDINARY].concat());
        let sending = scratch.forward(&messages[0], &["b@b.test"]).start();
        until("sendmail runs", || scratch.path("sent").exists());
        let back = scratch.forward(&messages[1], &["b@b.test"]).start();
        back.until_open(&scratch.path("state/turns"));
        fs::write(scratch.path("go"), "").unwrap();
        for run in [sending, back] {
            run.end().ends_with(0);
        }
        assert_eq!(recipients(&scratch), ["b@b.test"]);
        assert!(contains(only(&scratch.mail()), b"X-Spoolguard-Kept: "));
    }
}

#[test]
fn a_message_without_a_message_id_is_known_by_its_text() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    let plain = b"From: s@s.test\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nSubject: hello\n\nHello.\n";
    scratch.forward(plain, &["b@b.test"]).go().succeeds();
    let added = [
        b"Received: x\nMessage-ID: <added@b.test>\n".to_vec(),
        plain.to_vec(),
        b"\n".to_vec(),
    ]
    .concat();
    scratch.forward(&added, &["b@b.test"]).go().succeeds();
    assert_eq!(recipients(&scratch), ["b@b.test"]);
    // Another text is another message.
    let other = b"From: s@s.test\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nSubject: hello\n\nHello!\n";
    scratch.forward(other, &["b@b.test"]).go().succeeds();
    assert_eq!(recipients(&scratch).len(), 2);
}

#[test]
fn each_address_is_remembered_by_itself() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    scratch.forward(ORDINARY, &["B@B.test", "c@c.test"]).go().succeeds();
    assert_eq!(recipients(&scratch), ["b@b.test", "c@c.test"]);
    assert!(!scratch.mailbox().exists(), "it was on its way to somebody new");
    scratch.forward(ORDINARY, &["c@c.test", "b@b.test"]).go().succeeds();
    assert_eq!(recipients(&scratch).len(), 2);
    let mail = scratch.mail();
    let kept = String::from_utf8_lossy(only(&mail)).into_owned();
    assert!(
        kept.contains("c@c.test had this same message") && kept.contains("; b@b.test had this"),
        "{kept}"
    );
}

#[test]
fn another_try_of_the_mail_system_sends_nothing_twice() {
    let mut scratch = Scratch::new();
    // As long as b waits, one run for all fails; then each is tried alone.
    scratch.sendmail(
        "case \"$*\" in *' -- b@b.test c@c.test'*) echo 550 no; exit 67;; *'-- c@c.test') [ -e \"$(dirname $0)/c-works\" ] || exit 75;; esac; exit 0",
    );
    fn forward(scratch: &Scratch) -> Ended<'_> {
        scratch.forward(ORDINARY, &["b@b.test", "c@c.test"]).go()
    }
    forward(&scratch).defers();
    forward(&scratch).defers();
    fs::write(scratch.path("c-works"), "").unwrap();
    forward(&scratch).succeeds();
    let alone: Vec<_> = recipients(&scratch)
        .into_iter()
        .filter(|to| !to.contains(' '))
        .collect();
    assert_eq!(alone, ["b@b.test", "c@c.test", "c@c.test", "c@c.test"]);
    assert!(!scratch.mailbox().exists());
}

#[test]
fn what_was_not_taken_is_not_remembered() {
    for (then, tries) in [("exit 75", 2), ("echo 550 no; exit 67", 2)] {
        let mut scratch = Scratch::new();
        scratch.sendmail(then);
        for _ in 0..2 {
            let _ = scratch.forward(ORDINARY, &["b@b.test"]).go();
        }
        assert_eq!(recipients(&scratch).len(), tries, "{then}");
    }
}

#[test]
fn with_keep_the_copy_lies_in_the_mailbox_once() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    for _ in 0..2 {
        scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().succeeds();
    }
    assert_eq!(recipients(&scratch), ["b@b.test"]);
    let mail = scratch.mail();
    assert!(!contains(only(&mail), b"X-Spoolguard-Kept"));
}

#[test]
fn the_time_is_configured_and_none_means_each_time() {
    let mut scratch = Scratch::new().set("forward.duplicate_window", "\"0s\"");
    scratch.sendmail("exit 0");
    for _ in 0..2 {
        scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    }
    assert_eq!(recipients(&scratch).len(), 2);
    // A line of an hour ago, and two limits around it.
    let sent = fs::read_to_string(scratch.path("state/sent")).unwrap();
    let first = sent.lines().next().unwrap();
    let (at, rest) = first.split_once(' ').unwrap();
    let before = at.parse::<i64>().unwrap() - 3600;
    fs::write(scratch.path("state/sent"), format!("{before} {rest}\n")).unwrap();
    for (after, runs) in [("59m", 3), ("2h", 3), ("6d", 3)] {
        scratch.change("forward.duplicate_window", &format!("{after:?}"));
        scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
        assert_eq!(recipients(&scratch).len(), runs, "{after}");
    }
    scratch.change("forward.duplicate_window", "\"7d\"");
    let refused = scratch.run(&["config", "check"]).go();
    refused.ends_with(1);
}

#[test]
fn replayed_mail_is_sent_whatever_is_remembered() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    let mbox = [b"From s@s.test Mon Nov  2 10:00:00 2026\n", ORDINARY, b"\n"].concat();
    fs::write(scratch.path("old.mbox"), mbox).unwrap();
    let path = scratch.path("old.mbox").display().to_string();
    scratch
        .run(&["replay", "-a", "a@a.test", "--forward", "b@b.test", &path])
        .go()
        .ends_with(0);
    assert_eq!(recipients(&scratch).len(), 2);
}

#[test]
fn a_memory_that_is_broken_or_cannot_be_written_stops_no_mail() {
    for break_it in [
        "head -c 700000 /dev/urandom >sent",
        "mkdir sent",
        "ln -s /dev/zero sent",
        "mkfifo sent",
        "chmod 0 .; chmod 0 sent",
    ] {
        let mut scratch = Scratch::new();
        scratch.sendmail("exit 0");
        let state = scratch.path("state");
        fs::write(state.join("sent"), "").unwrap();
        let script = format!(
            "cd '{}' && {{ [ -d sent ] || rm -f sent; {break_it}; }}",
            state.display()
        );
        let status = std::process::Command::new("sh")
            .args(["-c", &script])
            .stderr(std::process::Stdio::null())
            .status();
        assert!(status.is_ok());
        scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
        assert_eq!(recipients(&scratch), ["b@b.test"], "{break_it}");
        let _ = std::process::Command::new("chmod").arg("700").arg(&state).status();
    }
}

#[test]
fn without_a_state_directory_mail_flows_as_ever() {
    let mut scratch = Scratch::new();
    scratch.sendmail("exit 0");
    // Nobody can make a directory there, root included.
    scratch.change("state_dir", "\"/proc/spoolguard/state\"");
    for _ in 0..2 {
        scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    }
    assert_eq!(recipients(&scratch).len(), 2);
}

#[test]
fn a_plain_delivery_remembers_nothing() {
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).go().succeeds();
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(messages(&scratch.mail()).len(), 2);
    assert!(scratch.files("state").is_empty(), "{:?}", scratch.files("state"));
}

/// A home that root restored from a backup: the user may read and write none of the files, and may rename all of them.
#[test]
fn what_root_left_in_the_state_directory_ends_no_memory() {
    const NOBODY: u32 = 65534;
    if !is_root() {
        return skip("only root leaves files that belong to root");
    }
    let scratch = Scratch::new();
    scratch.open_to_all();
    fs::create_dir(scratch.path("outbox")).unwrap();
    for dir in ["home", "state", "spool", "outbox"] {
        chown(scratch.path(dir), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let letter = |id: u32| format!("From: s@s.test\nMessage-ID: <{id}@s.test>\n\nletter {id}\n").into_bytes();
    let forward = |id: u32| {
        let run = scratch.forward(&letter(id), &["b@b.test"]).uid(NOBODY);
        run.go().succeeds();
    };
    forward(1);
    for path in scratch.files("state").iter().filter(|path| path.is_file()) {
        chown(path, Some(0), Some(0)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    for _ in 0..2 {
        forward(2);
    }
    let sent = scratch.sent();
    assert_eq!(sent.iter().filter(|sent| contains(sent, b"letter 2")).count(), 1);
}
