//! Ways to lose a message, to say 0 without having it, or to send it round, each of which was found open once.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use crate::support::{PROGRAM, Scratch, contains, messages, only, same, shown, until};

const ORDINARY: &[u8] = b"From: s@s.test\nSubject: hello\nMessage-ID: <1@s.test>\n\nHello.\n";

/// A full mailbox whose overflow cannot be written, and a destination that is refused: nobody has the message.
#[test]
fn a_copy_that_was_kept_nowhere_is_none() {
    for over in ["overflow", "divert"] {
        let mut scratch = Scratch::new()
            .set("quota.limit", "\"10B\"")
            .set("quota.when_full", &format!("{over:?}"));
        fs::write(scratch.path("file"), b"").unwrap();
        scratch.change(
            "state_dir",
            &format!("{:?}", scratch.path("file").display().to_string()),
        );
        scratch.change("admin", "\"nobody@a.test\"");
        scratch.sendmail("echo 550 no; exit 67");
        scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().defers();
    }
}

/// While sendmail ran, a reader emptied the mailbox and another message of the same length came in.
#[test]
fn only_the_copy_itself_is_taken_back() {
    let mut scratch = Scratch::new();
    let (program, mailbox) = (PROGRAM, scratch.mailbox());
    let other = scratch.path("other");
    fs::write(&other, String::from_utf8_lossy(ORDINARY).replace("Hello", "Other")).unwrap();
    let (config, mailbox, other) = (
        scratch.configuration(),
        mailbox.display().to_string(),
        other.display().to_string(),
    );
    let config = config.display();
    scratch.sendmail(&format!(
        "[ -e '{other}' ] || exit 0\n: >'{mailbox}'\n'{program}' --config '{config}' deliver -a a@a.test -f s@s.test <'{other}' || exit 1\nexit 75"
    ));
    scratch.forward(ORDINARY, &["--keep", "b@b.test"]).go().defers();
    let mail = scratch.mail();
    assert!(contains(only(&mail), b"Other."), "{}", shown(&mail));
}

#[test]
fn a_mailbox_is_never_taken_for_a_dotlock() {
    let scratch = Scratch::new();
    let path = scratch.path("spool/bob.lock");
    scratch.deliver(ORDINARY).with(&["--user", "bob.lock"]).go().defers();
    // Somebody else's file of that name is not removed either, however old it is.
    let large = vec![b'x'; 10_000];
    fs::write(&path, &large).unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(old)
        .unwrap();
    let short = scratch.set("mailbox.lock_timeout", "\"1s\"");
    short.deliver(ORDINARY).with(&["--user", "bob"]).go().defers();
    same(&fs::read(&path).unwrap(), &large);
}

#[test]
fn a_dotlock_from_the_future_is_stale() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    fs::write(scratch.dotlock(), b"1\n").unwrap();
    let future = SystemTime::now() + Duration::from_secs(10 * 365 * 24 * 3600);
    File::open(scratch.dotlock()).unwrap().set_modified(future).unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
}

#[test]
fn a_dead_owners_dotlock_that_somebody_locked_grows_old() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let text = format!("4000000000\nspoolguard host=h boot={} start=1\n", boot.trim());
    fs::write(scratch.dotlock(), text).unwrap();
    let bystander = File::open(scratch.dotlock()).unwrap();
    bystander.lock_shared().unwrap();
    scratch.deliver(ORDINARY).go().defers();
    bystander
        .set_modified(SystemTime::now() - Duration::from_secs(3600))
        .unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
}

#[test]
fn a_filter_that_cannot_write_does_not_say_that_it_did() {
    let scratch = Scratch::new();
    fs::write(scratch.path("readonly"), b"").unwrap();
    let output = File::open(scratch.path("readonly")).unwrap();
    scratch.run(&["filter"]).input(ORDINARY).stdout(output).go().defers();
}

#[test]
fn state_files_that_are_no_files_hold_nobody_and_lead_nowhere() {
    let scratch = Scratch::new()
        .set("quota.limit", "\"1000B\"")
        .set("quota.messages", "100")
        .set("quota.warn", "\"1%\"");
    scratch.deliver(ORDINARY).go().succeeds();
    let files = |dir: &str| scratch.files(dir);
    let (note, tally) = (files("state/quota-warned").remove(0), files("state/tally").remove(0));
    // A link to something precious, and a FIFO that nobody writes to.
    let precious = scratch.path("precious");
    fs::write(&precious, b"precious").unwrap();
    let old = SystemTime::now() - Duration::from_secs(7 * 24 * 3600);
    File::options()
        .write(true)
        .open(&precious)
        .unwrap()
        .set_modified(old)
        .unwrap();
    fs::remove_file(&note).unwrap();
    symlink(&precious, &note).unwrap();
    fs::remove_file(&tally).unwrap();
    nix::unistd::mkfifo(&tally, nix::sys::stat::Mode::S_IRWXU).unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    same(&fs::read(&precious).unwrap(), b"precious");
    let times = |path| File::options().write(true).open(path).unwrap();
    // A note from beyond the calendar is from a wrong clock; the file system may refuse such a time.
    let _ = times(&note).set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(999_999_999_999));
    scratch.deliver(ORDINARY).go().succeeds();
    let ours = messages(&scratch.mail())
        .iter()
        .filter(|m| contains(m, b"Hello."))
        .count();
    assert_eq!(ours, 3);
}

#[test]
fn a_configuration_that_is_a_fifo_holds_nobody() {
    let scratch = Scratch::new();
    let fifo = scratch.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let arguments = ["deliver", "--config", fifo.to_str().unwrap()];
    scratch.bare(&arguments).input(ORDINARY).go().defers();
}

#[test]
fn no_signal_that_can_be_noted_ends_a_delivery_by_itself() {
    use Signal::{SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGPWR, SIGQUIT, SIGSYS};
    use Signal::{SIGSTKFLT, SIGTERM, SIGTRAP, SIGUSR1, SIGUSR2, SIGXCPU};
    let scratch = Scratch::new();
    for signal in [
        SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU, SIGPROF, SIGIO, SIGPWR, SIGSYS, SIGTRAP,
        SIGSTKFLT,
    ] {
        // The other end stays open, so that it waits for more of the message.
        let (input, _open) = std::io::pipe().unwrap();
        let run = scratch.deliver(b"").input_file(input).start();
        let handled = |text: String| {
            let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            let mask = u64::from_str_radix(caught.trim(), 16).ok()?;
            Some(mask >> (signal as i32 - 1) & 1 == 1)
        };
        let status = format!("/proc/{}/status", run.worker());
        until("the signal is watched", || {
            fs::read_to_string(&status).ok().and_then(handled) == Some(true)
        });
        run.signal(signal);
        run.end().defers();
    }
}

#[test]
fn whatever_the_address_the_loop_mark_is_known_again() {
    for own in [
        "ü@a.test",
        "a@ä.test",
        "\"a;b\"@a.test",
        &format!("{}@a.test", "a".repeat(180)),
    ] {
        let scratch = Scratch::new();
        let forward = |message: &[u8]| {
            let run = scratch.bare(&["forward", "b@b.test", "-f", "s@s.test"]);
            let config = scratch.configuration();
            run.with(&["-a", own, "--config", config.to_str().unwrap()])
                .input(message)
                .go()
                .succeeds();
        };
        forward(ORDINARY);
        let sent = scratch.sent();
        assert_eq!(sent.len(), 1, "{own}");
        forward(crate::support::below(&sent[0], 2));
        assert_eq!(scratch.sent().len(), 1, "{own} goes round: {}", shown(&sent[0]));
    }
}

#[test]
fn a_replay_of_the_overflow_into_itself_is_refused() {
    let scratch = Scratch::new();
    let mbox = scratch.path("old");
    fs::write(&mbox, b"From s@s.test Mon Nov  2 10:00:00 2026\nSubject: x\n\nx\n\n").unwrap();
    let overflow = scratch.path("state/overflow");
    fs::create_dir_all(overflow.parent().unwrap()).unwrap();
    fs::copy(&mbox, &overflow).unwrap();
    scratch.run(&["replay", overflow.to_str().unwrap()]).go().ends_with(75);
    scratch.run(&["replay", mbox.to_str().unwrap()]).go().ends_with(0);
    assert_eq!(messages(&scratch.mail()).len(), 1);
}
