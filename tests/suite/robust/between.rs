//! What others do between two calls of a run: the run is stopped there, the world is changed, and it goes on. What was
//! true when it looked first is not true any more.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::robust::faults::strace::{self, Stopped};
use crate::robust::lock::hold_fcntl;
use crate::support::{
    ORDINARY, Scratch, Watch, contains, is_root, large, messages, only, same, skip, until, user_name,
};

/// A delivery that has opened and examined the mailbox, and has just locked it; `None` where nothing can be traced.
fn locked(scratch: &Scratch) -> Option<Stopped<'_>> {
    let Some(strace) = strace::program() else {
        skip("needs strace(1), and leave to use it");
        return None;
    };
    let mailbox = scratch.mailbox().display().to_string();
    let options = [
        "-P",
        &mailbox,
        "-e",
        "trace=fcntl",
        "-e",
        "inject=fcntl:signal=STOP:when=1",
    ];
    Some(strace::stop(
        scratch.deliver(ORDINARY),
        &strace,
        &scratch.path("record"),
        &options,
    ))
}

const OLD: &[u8] = b"From old@s.test Mon Nov  2 10:00:00 2026\nSubject: old\n\nold\n\n";

#[test]
fn a_mailbox_replaced_before_the_lock_is_opened_anew() {
    let scratch = Scratch::new();
    fs::write(scratch.mailbox(), OLD).unwrap();
    let Some(run) = locked(&scratch) else { return };
    let old = scratch.path("old");
    fs::rename(scratch.mailbox(), &old).unwrap();
    fs::write(scratch.mailbox(), "").unwrap();
    run.end().succeeds();
    same(&fs::read(&old).unwrap(), OLD);
    same(only(&scratch.mail()), ORDINARY);
}

#[test]
fn equal_messages_of_two_living_runs_are_both_there() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = Scratch::new();
    let stop_at = |record: &str, call: &str, injection: &str| {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{injection}"));
        let options = ["-e", trace.as_str(), "-e", inject.as_str()];
        strace::stop(scratch.deliver(ORDINARY), &strace, &scratch.path(record), &options)
    };
    // The first has let go of the lock, and its note is still there. The second has read that, and the first ends
    // before it is asked for.
    let first = stop_at("first", "lremovexattr", "error=EINTR:signal=STOP:when=1");
    let second = stop_at("second", "fgetxattr", "signal=STOP:when=1");
    first.end().succeeds();
    second.end().succeeds();
    assert_eq!(messages(&scratch.mail()).len(), 2);
}

#[test]
fn a_mailbox_given_away_before_the_lock_is_refused() {
    if !is_root() {
        return skip("needs root, to give a mailbox away");
    }
    let scratch = Scratch::new();
    fs::write(scratch.mailbox(), OLD).unwrap();
    let Some(run) = locked(&scratch) else { return };
    std::os::unix::fs::chown(scratch.mailbox(), Some(61_234), None).unwrap();
    run.end().defers();
    same(&scratch.mail(), OLD);
}

#[test]
fn a_mailbox_with_a_second_name_before_the_lock_is_refused() {
    let scratch = Scratch::new();
    fs::write(scratch.mailbox(), OLD).unwrap();
    let Some(run) = locked(&scratch) else { return };
    fs::hard_link(scratch.mailbox(), scratch.path("second")).unwrap();
    run.end().defers();
    same(&scratch.mail(), OLD);
}

/// Whoever counts by names finds the message as soon as it has one, and writes `maildirsize` anew: it must not be
/// counted on top of that.
#[test]
fn a_maildir_counted_while_a_message_is_synced_is_right() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = Scratch::new();
    let maildir = scratch.path("home/Maildir");
    let scratch = scratch.set("mailbox.location", &format!("\"maildir:{}\"", maildir.display()));
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(maildir.join(part)).unwrap();
    }
    let (new, size_file) = (maildir.join("new"), maildir.join("maildirsize"));
    fs::write(&size_file, "100000S\n0 0\n").unwrap();
    let record = scratch.path("record");
    let options = [
        "-P",
        new.to_str().unwrap(),
        "-e",
        "trace=fsync",
        "-e",
        "inject=fsync:signal=STOP:when=1",
    ];
    let run = strace::stop(scratch.deliver(ORDINARY), &strace, &record, &options);
    let files = scratch.files("home/Maildir/new");
    let counted = format!("100000S\n{} {}\n", files[0].metadata().unwrap().len(), files.len());
    let draft = maildir.join("tmp/size");
    fs::write(&draft, &counted).unwrap();
    fs::rename(&draft, &size_file).unwrap();
    run.end().succeeds();
    assert_eq!(fs::read_to_string(&size_file).unwrap(), counted);
}

#[test]
fn the_quota_is_measured_under_the_lock() {
    for (key, value) in [("quota.limit", "\"2000B\""), ("quota.messages", "3")] {
        let scratch = Scratch::new().set(key, value);
        let watch = Watch::new(&scratch.path("spool"));
        let mut held = hold_fcntl(&scratch.mailbox());
        let run = scratch.deliver(ORDINARY).start();
        watch.until_made(&format!("{}.lock", user_name()));
        let full = [OLD.repeat(3), OLD.repeat(30)].concat();
        held.write_all(&full).unwrap();
        drop(held);
        run.end().defers().mentions("the mailbox is full");
        same(&scratch.mail(), &full);
    }
}

/// The sync fails when another program has appended without a lock: what we wrote cannot be cut off any more without
/// theirs.
#[test]
fn what_comes_without_a_lock_is_not_cut_off_with_ours() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let theirs = b"\nFrom x@x.test Mon Nov  2 10:00:00 2026\nSubject: theirs\n\ntheirs\n\n";
    for message in [ORDINARY, &large(200_000)] {
        let scratch = Scratch::new();
        fs::write(scratch.mailbox(), OLD).unwrap();
        let mailbox = scratch.mailbox().display().to_string();
        let options = [
            "-P",
            &mailbox,
            "-e",
            "trace=fdatasync,fsync,write",
            "-e",
            "inject=write:signal=STOP:when=1",
            "-e",
            "inject=fdatasync,fsync:error=EIO",
        ];
        let run = strace::stop(scratch.deliver(message), &strace, &scratch.path("record"), &options);
        append(&scratch.mailbox(), theirs);
        run.end().defers();
        assert!(
            contains(&scratch.mail(), b"Subject: theirs\n\ntheirs\n"),
            "their message is gone"
        );
        assert!(scratch.mail().starts_with(OLD));
    }
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Sixteen of them on one mailbox would leave a machine no time for anything else.
#[test]
fn a_lock_that_is_held_is_asked_for_with_pauses() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    let _held = hold_fcntl(&scratch.mailbox());
    let record = scratch.path("record");
    let words = [
        strace.to_str().unwrap(),
        "-qq",
        "-e",
        "trace=?open,openat",
        "-o",
        record.to_str().unwrap(),
    ];
    scratch.deliver(ORDINARY).wrapped(&words).go().defers();
    let text = fs::read_to_string(record).unwrap();
    let mailbox = format!("\"{}\"", scratch.mailbox().display());
    let tries = text.lines().filter(|line| line.contains(&mailbox)).count();
    // The first pauses are milliseconds, and each is up to twice as long as the one before, up to 32.
    assert!((2..=150).contains(&tries), "{tries} tries in a second");
}

/// A panic that a real call brings about: a directory whose descriptor cannot be closed. Mail systems take 0 for
/// "delivered".
#[test]
fn a_panic_leaves_the_message_with_the_mail_system() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = Scratch::new().set("admin", "\"admin@a.test\"");
    let looped = [b"X-Loop: a@a.test\n", ORDINARY].concat();
    let held = scratch.path("state/held").display().to_string();
    let words = [
        strace.to_str().unwrap(),
        "-qq",
        "-P",
        &held,
        "-e",
        "trace=close",
        "-e",
        "inject=close:error=EIO",
        "-o",
        "/dev/null",
    ];
    let ended = scratch.deliver(&looped).wrapped(&words).go();
    ended.defers().mentions("please report this");
    assert!(scratch.sent().is_empty());
    scratch.deliver(&looped).go().succeeds();
    assert_eq!(scratch.sent().len(), 1);
}

/// sendmail prints why, and ends, while nobody looks.
#[test]
fn what_sendmail_printed_last_is_read_when_it_has_ended() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let mut scratch = Scratch::new();
    let (go, pid) = (scratch.path("go"), scratch.path("pid"));
    scratch.sendmail(&format!(
        "echo $$ >'{1}.new'; mv '{1}.new' '{1}'; echo first words; while [ ! -e '{0}' ]; do sleep 0.01; done; echo last words; exit 75",
        go.display(),
        pid.display()
    ));
    // Which read gets the first words.
    fs::write(&go, "").unwrap();
    let record = scratch.path("record");
    let calls = strace::record(scratch.forward(ORDINARY, &["b@b.test"]), &strace, &record);
    let read = calls
        .iter()
        .find(|call| call.name == "read" && call.line.contains("first words"));
    let number = read.unwrap().number;
    fs::remove_file(&go).unwrap();
    fs::remove_file(&pid).unwrap();
    let injection = format!("inject=read:signal=STOP:when={number}");
    let run = scratch.forward(ORDINARY, &["b@b.test"]);
    let run = strace::stop(run, &strace, &record, &["-e", "trace=read", "-e", &injection]);
    let text = fs::read_to_string(&record).unwrap();
    assert!(text.contains("first words"), "{text}");
    fs::write(&go, "").unwrap();
    let stat = format!("/proc/{}/stat", fs::read_to_string(&pid).unwrap().trim());
    until("sendmail has ended", || {
        fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z "))
    });
    run.end().defers().mentions("first words").mentions("last words");
}

#[test]
fn a_rewrite_between_any_two_reads_splits_no_message() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let bodies: Vec<String> = (0..6).map(|number| format!("body {number}\n")).collect();
    let line = "From s@s.test Mon Nov  2 10:00:00 2015\nFrom: s@s.test\n";
    let mail: String = bodies
        .iter()
        .map(|body| format!("{line}Subject: {}\n\n{}\n\n", body.trim(), body.repeat(60)))
        .collect();
    let bodies: Vec<String> = bodies.iter().map(|body| body.trim().to_owned()).collect();
    let (first, last) = (
        format!("{line}Subject: {}\n", bodies[0]),
        format!("{line}Subject: {}\n", bodies[5]),
    );
    let field = "X-UID: 1\n";
    let rewritten = mail.replace(&first, &format!("{first}{field}"));
    let mail = mail.replace(&last, &format!("{last}{field}"));
    assert_eq!(mail.len(), rewritten.len());
    for which in [&["--all-mail"][..], &["--down-to", "900B"]] {
        let mut number = 1;
        loop {
            let scratch = crate::spool::archive::scratch();
            fs::write(scratch.mailbox(), &mail).unwrap();
            let mailbox = scratch.mailbox().display().to_string();
            let inject = format!("inject=pread64:signal=STOP:when={number}");
            let options = ["-P", mailbox.as_str(), "-e", "trace=pread64", "-e", inject.as_str()];
            let archive = ["spool", "archive", "--yes", &user_name()];
            let run = scratch.run(&archive).with(which);
            let record = scratch.path("record");
            let Some(run) = strace::stop_or_end(run, &strace, &record, &options) else {
                break;
            };
            // As Dovecot writes a field into a message, which moves what stands behind it, up to where there was room.
            fs::write(scratch.mailbox(), &rewritten).unwrap();
            run.end().ends_with(0);
            for name in scratch.files("archives") {
                let path = scratch.path("archives").join(name);
                let archived = crate::spool::archive::unpacked(&path);
                assert!(
                    archived.starts_with(b"From "),
                    "{which:?} {number}: {}",
                    archived.escape_ascii()
                );
                scratch
                    .run(&["spool", "restore", "--yes", path.to_str().unwrap()])
                    .go()
                    .ends_with(0);
            }
            let now = String::from_utf8(scratch.mail()).unwrap();
            for body in &bodies {
                let text = format!("\n\n{}\n", format!("{body}\n").repeat(60));
                assert_eq!(now.matches(&text).count(), 1, "{which:?} {number}: {now}");
            }
            number += 1;
        }
        assert!(number > 5, "{number}");
    }
}
