//! Many processes on one mailbox, and locks that others hold. Processes, not threads: that is what locks are between.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use fs2::FileExt;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::signal::Signal;

use crate::support::{
    LIMIT, ORDINARY, Running, Scratch, Watch, content, is_root, large, messages, only, same, shown, skip, until,
    user_name,
};

/// Takes a lock of fcntl(2) the way other programs do; it is held as long as the file is open.
pub fn hold_fcntl(path: &Path) -> File {
    let file = File::options().read(true).append(true).create(true).open(path).unwrap();
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_SETLK(&whole)).unwrap();
    file
}

/// A sum over bytes that changes with their order (FNV-1a).
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn sixteen_processes_give_every_message_once_and_whole() {
    const PROCESSES: usize = 16;
    const EACH: usize = 25;
    let scratch = Scratch::new();
    std::thread::scope(|scope| {
        for process in 0..PROCESSES {
            let scratch = &scratch;
            scope.spawn(move || {
                for number in 0..EACH {
                    // Some take several writes, so that only a lock keeps others from coming between.
                    let lines = if number % 5 == 4 { 30_000 } else { number * 10 };
                    let body = format!("From {process} and {number}\n{}\n", "body \n".repeat(lines));
                    let message = format!("X-Id: {process}-{number}\nX-Sum: {}\n\n{body}", sum(body.as_bytes()));
                    scratch.deliver(message.as_bytes()).go().succeeds();
                }
            });
        }
    });
    let mail = scratch.mail();
    let all = messages(&mail);
    assert_eq!(all.len(), PROCESSES * EACH);
    let mut ids = std::collections::BTreeSet::new();
    for message in all {
        let text = crate::support::unquoted(content(message));
        let text = String::from_utf8(text).unwrap();
        let (header, body) = text.split_once("\n\n").unwrap();
        let (id, want) = header.strip_prefix("X-Id: ").unwrap().split_once("\nX-Sum: ").unwrap();
        assert_eq!(sum(body.as_bytes()).to_string(), want, "message {id}");
        assert!(ids.insert(id.to_owned()), "{id} came twice");
    }
    assert!(!scratch.dotlock().exists());
    assert_eq!(scratch.files("spool").len(), 1, "{:?}", scratch.files("spool"));
}

#[test]
fn a_dotlock_of_another_program_makes_the_message_wait() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    fs::write(scratch.dotlock(), "1").unwrap();
    let begun = Instant::now();
    let name = scratch.dotlock().display().to_string();
    scratch
        .deliver(ORDINARY)
        .go()
        .defers()
        .mentions("4.2.0 ")
        .mentions(&name);
    assert!(
        begun.elapsed() >= Duration::from_millis(900),
        "gave up after {:?}",
        begun.elapsed()
    );
    assert!(begun.elapsed() < LIMIT / 3);
    assert!(scratch.mail().is_empty() && scratch.dotlock().exists());
    fs::remove_file(scratch.dotlock()).unwrap();
    scratch.next_delivery_works();
}

#[test]
fn a_lock_that_goes_in_time_is_waited_for() {
    for kernel in [false, true] {
        let scratch = Scratch::new();
        let watch = Watch::new(&scratch.path("spool"));
        let held = hold_fcntl(&scratch.mailbox());
        if !kernel {
            fs::write(scratch.dotlock(), "1").unwrap();
        }
        let run = scratch.deliver(ORDINARY).start();
        if kernel {
            watch.until_made(&format!("{}.lock", user_name()));
        }
        let _ = fs::remove_file(scratch.dotlock());
        drop(held);
        run.end().succeeds();
        same(only(&scratch.mail()), ORDINARY);
    }
}

#[test]
fn a_kernel_lock_of_another_process_makes_the_message_wait() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    let held = hold_fcntl(&scratch.mailbox());
    scratch.deliver(ORDINARY).go().defers().mentions("fcntl");
    assert!(scratch.mail().is_empty());
    assert!(!scratch.dotlock().exists(), "all locks or none");
    drop(held);
    scratch.next_delivery_works();
}

/// A process that is gone.
fn dead_pid() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn a_lock_of_a_dead_process_is_named_with_its_remedy_at_once() {
    // Far longer than the test may take: it waits for the words, not for the time.
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"200s\"");
    let (archives, told) = (scratch.path("archives"), scratch.path("told"));
    let scratch = scratch.set("archive.dir", &format!("{:?}", archives.display().to_string()));
    scratch.next_delivery_works();
    let dead = dead_pid();
    fs::write(scratch.dotlock(), format!("{dead}\n")).unwrap();
    let run = scratch
        .run(&["spool", "archive", &user_name(), "--all-mail", "--yes"])
        .stderr(File::create(&told).unwrap())
        .start();
    let said = || fs::read_to_string(&told).unwrap();
    until("the dead process is named", || said().ends_with('\n'));
    let lock = scratch.dotlock().display().to_string();
    let want = format!(
        "waiting for its lock: {lock} exists, made by process {dead}, which is gone; if no other host uses this mailbox: rm {lock}\n"
    );
    assert!(said().ends_with(&want), "{}", said());
    assert!(!scratch.mail().is_empty(), "nothing is taken without the lock");
    fs::remove_file(&lock).unwrap();
    run.end().ends_with(0);
    assert!(scratch.mail().is_empty() && said().lines().count() == 1, "{}", said());
}

/// A shell goes on with its loop over several commands unless one dies of the signal.
#[test]
fn an_interrupted_command_takes_nothing_and_ends_by_the_signal() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"200s\"");
    let told = scratch.path("told");
    scratch.next_delivery_works();
    fs::write(scratch.dotlock(), format!("{}\n", dead_pid())).unwrap();
    let before = scratch.mail();
    let by_signal = (None, Some(Signal::SIGINT as i32));
    for (signal, want) in [(Signal::SIGINT, by_signal), (Signal::SIGTERM, (Some(1), None))] {
        let run = scratch
            .run(&["spool", "archive", &user_name(), "--all-mail", "--yes"])
            .stderr(File::create(&told).unwrap())
            .start();
        let said = || fs::read_to_string(&told).unwrap();
        until("it waits for the lock", || said().ends_with('\n'));
        run.signal(signal);
        let ended = run.end();
        assert_eq!((ended.code, ended.signal), want, "{}", said());
        let last = "told to stop by a signal; nothing was taken out of this mailbox\n";
        assert!(said().ends_with(last), "{}", said());
        same(&scratch.mail(), &before);
    }
}

#[test]
fn a_living_process_that_holds_the_lock_is_named_on_a_terminal() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"3s\"");
    scratch.next_delivery_works();
    let held = hold_fcntl(&scratch.mailbox());
    let list = ["spool", "archive", &user_name(), "--all-mail"];
    let (code, shown) = scratch.run(&list).on_a_terminal("[y/N]", "y");
    drop(held);
    assert_eq!(code, Some(1), "{shown}");
    let named = format!("waiting for its lock: process {} (", std::process::id());
    assert!(
        shown.contains(&named) && shown.contains("holds its fcntl lock; end process "),
        "{shown}"
    );
}

#[test]
fn whoever_gives_up_names_the_process_that_holds_the_lock() {
    let own = std::process::id();
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    let held = hold_fcntl(&scratch.mailbox());
    let ended = scratch.deliver(ORDINARY).go();
    ended.defers().mentions(&format!("process {own} ("));
    ended.mentions(") holds its fcntl lock, for longer than 1 s; end process ");
    drop(held);
    fs::write(scratch.dotlock(), format!("{own}\n")).unwrap();
    let ended = scratch.deliver(ORDINARY).go();
    ended.defers().mentions(&format!("made by process {own} ("));
    let dead = dead_pid();
    fs::write(scratch.dotlock(), format!("{dead}\n")).unwrap();
    let ended = scratch.deliver(ORDINARY).go();
    ended
        .defers()
        .mentions(&format!("made by process {dead}, which is gone"));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(scratch.dotlock().exists(), "only its age tells that it is stale");
}

#[test]
fn flock_is_taken_where_it_is_configured() {
    let flock = |path: &Path| {
        let file = File::options().read(true).append(true).create(true).open(path).unwrap();
        FileExt::try_lock_exclusive(&file).unwrap();
        file
    };
    for (locks, waits) in [
        ("[\"flock\"]", true),
        ("[\"dotlock\", \"flock\"]", true),
        ("[\"fcntl\", \"flock\", \"dotlock\"]", true),
        ("[\"dotlock\", \"fcntl\"]", false),
    ] {
        let scratch = Scratch::new()
            .set("mailbox.lock_timeout", "\"1s\"")
            .set("mailbox.locks", locks);
        let held = flock(&scratch.mailbox());
        let ended = scratch.deliver(ORDINARY).go();
        if waits {
            ended.defers().mentions("flock");
        } else {
            ended.succeeds();
        }
        drop(held);
        scratch.next_delivery_works();
    }
}

#[test]
fn only_the_configured_locks_count() {
    let scratch = Scratch::new().set("mailbox.locks", "[\"fcntl\"]");
    fs::write(scratch.dotlock(), "1").unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    let scratch = Scratch::new().set("mailbox.locks", "[\"dotlock\"]");
    let _held = hold_fcntl(&scratch.mailbox());
    scratch.deliver(ORDINARY).go().succeeds();
}

/// The files by which runs of ours stand in line.
fn queues(scratch: &Scratch) -> Vec<std::path::PathBuf> {
    let dir = fs::read_dir(scratch.path("state/queue")).into_iter().flatten();
    dir.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_queue_is_there_only_where_somebody_waited() {
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(queues(&scratch), [""; 0].map(std::path::PathBuf::from));
    let held = hold_fcntl(&scratch.mailbox());
    let run = scratch.deliver(ORDINARY).start();
    until("it stands in line", || queues(&scratch).len() == 1);
    drop(held);
    run.end().succeeds();
    assert_eq!(messages(&scratch.mail()).len(), 2);
}

#[test]
fn who_has_its_turn_and_does_not_go_on_holds_up_nobody() {
    let scratch = Scratch::new();
    let held = hold_fcntl(&scratch.mailbox());
    let first = scratch.deliver(ORDINARY).start();
    until("it stands in line", || queues(&scratch).len() == 1);
    let queue = queues(&scratch).remove(0);
    until("it has the first number", || fs::read(&queue).unwrap().len() == 8);
    let worker = first.worker();
    signal_to(worker, Signal::SIGSTOP);
    let stat_file = format!("/proc/{worker}/stat");
    until("it is stopped", || {
        fs::read_to_string(&stat_file).unwrap().contains(") T ")
    });
    // Where it was caught with the dotlock in its hand, that is in the way, and not its turn.
    let _ = fs::remove_file(scratch.dotlock());
    drop(held);
    for _ in 0..2 {
        scratch.deliver(ORDINARY).go().succeeds();
    }
    signal_to(worker, Signal::SIGCONT);
    first.end().succeeds();
    assert_eq!(messages(&scratch.mail()).len(), 3);
}

fn signal_to(pid: u32, signal: Signal) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), signal);
}

/// Starts a delivery that is stopped in the middle of its append, with all locks held.
fn stopped_in_the_append(scratch: &Scratch) -> Running<'_> {
    let message = large(12 << 20);
    for _ in 0..20 {
        let mailbox = scratch.mailbox();
        let before = fs::metadata(&mailbox).map_or(0, |stat| stat.len());
        let mut run = scratch.deliver(&message).start();
        until("the append has begun", || {
            fs::metadata(&mailbox).map_or(0, |stat| stat.len()) > before || run.is_over()
        });
        if !run.is_over() {
            let worker = run.worker();
            signal_to(worker, Signal::SIGSTOP);
            let stat_file = format!("/proc/{worker}/stat");
            until("it is stopped or over", || {
                run.is_over() || fs::read_to_string(&stat_file).is_ok_and(|stat| stat.contains(") T "))
            });
            if !run.is_over() && scratch.dotlock().exists() {
                return run;
            }
            if !run.is_over() {
                signal_to(worker, Signal::SIGCONT);
            }
        }
        run.end();
    }
    panic!("no delivery was slow enough to be caught");
}

#[test]
fn a_dotlock_of_a_live_spoolguard_is_respected_however_old() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    let run = stopped_in_the_append(&scratch);
    let old = SystemTime::now() - Duration::from_secs(3600);
    File::open(scratch.dotlock()).unwrap().set_modified(old).unwrap();
    let worker = run.worker();
    scratch.deliver(ORDINARY).go().defers().mentions(&worker.to_string());
    signal_to(worker, Signal::SIGCONT);
    run.end().succeeds();
    scratch.next_delivery_works();
    let mail = scratch.mail();
    assert!(messages(&mail).len() >= 2, "{}", shown(&mail));
}

#[test]
fn a_dotlock_of_a_killed_spoolguard_is_broken_at_once() {
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).go().succeeds();
    let whole = scratch.mail();
    let run = stopped_in_the_append(&scratch);
    run.signal(Signal::SIGKILL);
    let ended = run.end();
    assert_eq!(ended.signal, Some(9));
    assert!(scratch.dotlock().exists());
    let begun = Instant::now();
    scratch.deliver(ORDINARY).go().succeeds();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it waited {:?}",
        begun.elapsed()
    );
    let mail = scratch.mail();
    assert!(mail.starts_with(&whole));
    assert_eq!(content(messages(&mail).last().unwrap()), ORDINARY);
    assert!(!scratch.dotlock().exists());
}

#[test]
fn a_dotlock_that_a_crash_of_this_host_left_is_taken_at_once() {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let other_boot = format!("1\nspoolguard host={} boot=0 start=1\n", host.trim());
    let foreign_host = "1\nspoolguard host=elsewhere.test boot=0 start=1\n".to_owned();
    let before_boot = SystemTime::now() - Duration::from_secs(60 + uptime_seconds());
    let now = SystemTime::now();
    for (text, made, is_dead) in [
        (other_boot.as_str(), now, true),
        (foreign_host.as_str(), now, false),
        ("", before_boot, true),
        ("", now, false),
    ] {
        let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
        fs::write(scratch.dotlock(), text).unwrap();
        let dotlock = File::options().append(true).open(scratch.dotlock()).unwrap();
        dotlock.set_modified(made).unwrap();
        drop(dotlock);
        let is_old = made.elapsed().is_ok_and(|age| age > Duration::from_secs(600));
        let ended = scratch.deliver(ORDINARY).go();
        if is_dead || is_old {
            ended.succeeds();
            assert!(!scratch.dotlock().exists(), "{text}");
        } else {
            ended.defers();
        }
    }
}

fn uptime_seconds() -> u64 {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    uptime.split('.').next().unwrap().parse().unwrap()
}

#[test]
fn many_that_find_one_stale_dotlock_still_take_turns() {
    let scratch = Scratch::new();
    for round in 0..4 {
        if round % 2 == 0 {
            // Another program's, long ago.
            fs::write(scratch.dotlock(), "99999").unwrap();
            let old = SystemTime::now() - Duration::from_secs(3600);
            File::open(scratch.dotlock()).unwrap().set_modified(old).unwrap();
        } else {
            // A dead spoolguard's, of this kernel.
            let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
            let text = format!("99999\nspoolguard host=h boot={} start=1\n", boot.trim());
            fs::write(scratch.dotlock(), text).unwrap();
        }
        let runs: Vec<_> = (0..8).map(|_| scratch.deliver(ORDINARY).start()).collect();
        for run in runs {
            run.end().succeeds();
        }
    }
    let mail = scratch.mail();
    let all = messages(&mail);
    assert_eq!(all.len(), 32);
    assert!(
        all.iter().all(|message| content(message) == ORDINARY),
        "{}",
        shown(&mail)
    );
    assert!(!scratch.dotlock().exists());
}

#[test]
fn another_programs_dotlock_is_stale_after_ten_minutes_not_five() {
    for (minutes, broken) in [(5, false), (9, false), (11, true)] {
        let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
        fs::write(scratch.dotlock(), "1").unwrap();
        let old = SystemTime::now() - Duration::from_secs(minutes * 60);
        File::open(scratch.dotlock()).unwrap().set_modified(old).unwrap();
        let ended = scratch.deliver(ORDINARY).go();
        if broken {
            ended.succeeds();
            assert!(!scratch.dotlock().exists());
        } else {
            ended.defers();
            assert!(scratch.dotlock().exists());
        }
    }
}

#[test]
fn an_old_dotlock_is_not_broken_while_a_kernel_lock_is_held() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    fs::write(scratch.dotlock(), "1").unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    File::open(scratch.dotlock()).unwrap().set_modified(old).unwrap();
    let _held = hold_fcntl(&scratch.mailbox());
    scratch.deliver(ORDINARY).go().defers();
    assert!(scratch.dotlock().exists());
}

#[test]
fn a_dotlock_that_is_a_link_or_directory_is_respected() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    let victim = scratch.path("victim");
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, scratch.dotlock()).unwrap();
    scratch.deliver(ORDINARY).go().defers();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    fs::remove_file(scratch.dotlock()).unwrap();
    fs::create_dir(scratch.dotlock()).unwrap();
    scratch.deliver(ORDINARY).go().defers();
}

#[test]
fn users_of_one_mailbox_exclude_each_other_without_a_dotlock() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    let uid = if is_root() {
        61_234
    } else {
        nix::unistd::getuid().as_raw()
    };
    let mailbox = scratch.path("spool").join(uid.to_string());
    fs::write(&mailbox, "").unwrap();
    if is_root() {
        std::os::unix::fs::chown(&mailbox, Some(uid), Some(uid)).unwrap();
        for dir in ["home", "state"] {
            std::os::unix::fs::chown(scratch.path(dir), Some(uid), Some(uid)).unwrap();
        }
    }
    fs::set_permissions(scratch.path("spool"), fs::Permissions::from_mode(0o555)).unwrap();
    let run = || {
        let run = scratch
            .deliver(ORDINARY)
            .with(&["--mailbox", mailbox.to_str().unwrap()]);
        if is_root() { run.uid(uid).go() } else { run.go() }
    };
    run().succeeds();
    same(only(&fs::read(&mailbox).unwrap()), ORDINARY);
    let held = hold_fcntl(&mailbox);
    run().defers().mentions("fcntl");
    drop(held);
    run().succeeds();
    assert_eq!(messages(&fs::read(&mailbox).unwrap()).len(), 2);
    // Where the dotlock is the only lock, it is needed.
    let mut scratch = scratch;
    scratch.change("mailbox.locks", "[\"dotlock\"]");
    let run = scratch
        .deliver(ORDINARY)
        .with(&["--mailbox", mailbox.to_str().unwrap()]);
    let ended = if is_root() { run.uid(uid).go() } else { run.go() };
    ended.defers().mentions("dotlock");
    fs::set_permissions(scratch.path("spool"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_mailbox_that_cannot_be_made_waits_and_names_the_ways_out() {
    if !is_root() {
        return skip("needs root, to make a spool directory of somebody else's");
    }
    let scratch = Scratch::new();
    let uid = 61_235;
    std::os::unix::fs::chown(scratch.path("home"), Some(uid), Some(uid)).unwrap();
    let ended = scratch.deliver(ORDINARY).uid(uid).go();
    ended.defers().mentions("create it once as root").mentions("setgid");
}

#[test]
fn a_mailbox_replaced_while_it_is_waited_for_is_opened_anew() {
    let scratch = Scratch::new();
    let watch = Watch::new(&scratch.path("spool"));
    let old = scratch.path("old");
    let held = hold_fcntl(&scratch.mailbox());
    let run = scratch.deliver(ORDINARY).start();
    watch.until_made(&format!("{}.lock", user_name()));
    // As an administrator does: away with it, and an empty one in its place.
    fs::rename(scratch.mailbox(), &old).unwrap();
    fs::write(scratch.mailbox(), "").unwrap();
    drop(held);
    run.end().succeeds();
    assert!(fs::read(&old).unwrap().is_empty());
    same(only(&scratch.mail()), ORDINARY);
}

#[test]
fn a_mailbox_replaced_again_and_again_gets_every_message() {
    let scratch = Scratch::new();
    let done = std::sync::atomic::AtomicBool::new(false);
    let parts = std::thread::scope(|scope| {
        let replacer = scope.spawn(|| {
            let mut parts = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let part = scratch.path(&format!("part-{parts}"));
                if fs::rename(scratch.mailbox(), &part).is_ok() {
                    parts += 1;
                }
                std::thread::yield_now();
            }
            parts
        });
        for _ in 0..60 {
            scratch.deliver(ORDINARY).go().succeeds();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        replacer.join().unwrap()
    });
    let mut all = scratch.mail();
    for part in 0..parts {
        all.extend(fs::read(scratch.path(&format!("part-{part}"))).unwrap());
    }
    assert_eq!(messages(&all).len(), 60, "in {parts} parts");
}

#[test]
fn the_time_of_the_last_look_at_the_mailbox_stays() {
    let scratch = Scratch::new();
    scratch.deliver(ORDINARY).go().succeeds();
    let looked = SystemTime::now() - Duration::from_secs(7200);
    let times = fs::FileTimes::new().set_accessed(looked).set_modified(looked);
    File::options()
        .write(true)
        .open(scratch.mailbox())
        .unwrap()
        .set_times(times)
        .unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    let stat = fs::metadata(scratch.mailbox()).unwrap();
    assert!(
        stat.modified().unwrap() > stat.accessed().unwrap(),
        "the mailbox does not look as if it had new mail"
    );
}
