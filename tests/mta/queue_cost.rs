//! What a message costs on its way from Postfix' queue into a Maildir: by Postfix itself (`home_mailbox`), and by a
//! command for each message. The letters lie in the queue first, deferred. From the moment when they are released until
//! the queue is empty, the time is taken, and the CPU of all processes of the hosts with those that they waited for.
//! Homes and Maildirs are on the disk of `target/mta`, all else is in memory.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::host::files_below;
use crate::lab::{must, wait_for};
use crate::stage::{GUARD, Stage};
use crate::stories::CALM;

const LETTERS: usize = 200;
const ROUNDS: usize = 3;

/// The kernel counts CPU in hundredths of a second.
const TICK_MS: f64 = 10.0;

/// The hosts, each with its way into the Maildir. The last one keeps nothing: it shows what starting a command costs.
const WAYS: [(&str, &str); 3] = [
    ("a.test", "home_mailbox"),
    ("b.test", "spoolguard deliver"),
    ("c.test", "cat"),
];

/// Plays the rounds, all ways in each.
pub fn play(stage: &mut Stage) {
    stage.put_mail_into("maildir:~/Maildir");
    let disk = tempfile::tempdir_in(crate::ground()).unwrap();
    for (name, way) in WAYS {
        let host = stage.host(name, &["a", "admin"]);
        let home = host.root.join("home/a");
        let stat = fs::metadata(&home).unwrap();
        let place = disk.path().join(name);
        fs::create_dir(&place).unwrap();
        chown(&place, Some(stat.uid()), Some(stat.gid())).unwrap();
        must(Command::new("mount").arg("--bind").args([&place, &home]));
        match way {
            "home_mailbox" => host.settings.push_str("home_mailbox = Maildir/\n"),
            "cat" => host.mailbox_command = Some("/bin/cat >/dev/null".to_owned()),
            _ => host.mailbox_command = Some(format!("{GUARD} deliver")),
        }
        host.settings.push_str("defer_transports = local\n");
    }
    stage.start();
    let mut costs = vec![Vec::new(); WAYS.len()];
    for _ in 0..ROUNDS {
        for (costs, (name, _)) in costs.iter_mut().zip(WAYS) {
            costs.push(release(stage, name));
        }
    }
    for (costs, (name, way)) in costs.into_iter().zip(WAYS) {
        let median = |of: fn(&(f64, f64)) -> f64| {
            let mut all: Vec<f64> = costs.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2] / LETTERS as f64
        };
        let (wall, cpu) = (median(|cost| cost.0), median(|cost| cost.1));
        stage.count(format!(
            "{way}: {wall:.2} ms wall, {cpu:.2} ms CPU a letter, median of {ROUNDS} rounds with {LETTERS}"
        ));
        let lying = files_below(&stage.lab.at(name).root.join("home/a/Maildir/new")).len();
        let wanted = if way == "cat" { 0 } else { ROUNDS * LETTERS };
        stage.check_equal(&format!("letters by {way}"), lying, wanted);
    }
    stage.check_equal("messages in the queues", stage.lab.queued(), 0);
}

/// Queues the letters of a round, releases them, and gives what they cost: wall and CPU in milliseconds.
fn release(stage: &mut Stage, name: &str) -> (f64, f64) {
    let letter = format!("Subject: a letter\n\n{}", format!("{}\n", "x".repeat(63)).repeat(64));
    let address = format!("a@{name}");
    let words = ["/usr/sbin/sendmail", "-oi", "-f", &address, "--", &address];
    for _ in 0..LETTERS {
        let sent = stage.lab.at(name).run_as("a", &words, letter.as_bytes());
        assert!(sent.status.success(), "{sent:?}");
    }
    settle(stage);
    let host = |command: &[&str]| must(&mut stage.lab.at(name).command(command));
    let limit = Duration::from_secs(30);
    // A file that is moved while the queues are counted may count twice, or not at all.
    wait_for("all letters to be deferred", limit, || stage.lab.queued() == LETTERS);
    host(&["postconf", "-e", "defer_transports ="]);
    host(&["postfix", "reload"]);
    settle(stage);
    let host = |command: &[&str]| must(&mut stage.lab.at(name).command(command));
    let (begun, cpu) = (Instant::now(), cpu_ticks());
    host(&["postqueue", "-f"]);
    while stage.lab.queued() > 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the queue does not get empty"
        );
        thread::sleep(Duration::from_millis(2));
    }
    let wall = begun.elapsed().as_secs_f64() * 1000.0;
    // What has ended counts once it was waited for.
    settle(stage);
    let cost = (wall, (cpu_ticks() - cpu) as f64 * TICK_MS);
    let host = |command: &[&str]| must(&mut stage.lab.at(name).command(command));
    host(&["postconf", "-e", "defer_transports = local"]);
    host(&["postfix", "reload"]);
    settle(stage);
    cost
}

/// Waits for rest, however many deliveries there were.
fn settle(stage: &mut Stage) {
    stage.settle_many(usize::MAX, CALM);
}

/// What all processes but this one have used, with those that they waited for.
fn cpu_ticks() -> u64 {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter(|entry| entry.file_name().to_string_lossy() != own);
    stats
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        .filter_map(|stat| {
            // utime, stime, cutime and cstime, behind the name (proc(5)).
            let (_, fields) = stat.rsplit_once(") ")?;
            let used = fields.split(' ').skip(11).take(4);
            Some(used.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>())
        })
        .sum()
}
