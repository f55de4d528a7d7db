//! A user who reads and deletes in mutt while mail comes, is archived, swept and restored, and runs are killed by
//! chance. mutt itself is not killed: it rewrites the mailbox in place, and what that costs is mutt's own.

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::mail::{self, Mail};
use crate::runs::{old, recent};
use crate::stage;
use crate::sums::{Findings, Wrong};
use crate::tracer::{self, Ended};
use crate::world::{Place, USER, World, only_archive};

/// How many messages come at least, how often mutt is there, and how long all of it may take.
const MESSAGES: usize = 60;
const ROUNDS: usize = 8;
const LIMIT: Duration = Duration::from_secs(150);

/// Mail for all who take part: what is deleted in mutt, and what is not.
fn is_deleted(id: &str) -> bool {
    id.starts_with("junk")
}

pub fn mutt_expunges_while_mail_comes_and_is_archived(on: stage::Kind, findings: &mut Findings) {
    let mut world = World::new(on);
    let archive = prepare(&mut world);
    let (is_over, rounds, sent) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let seed = findings.chance.u64(..);
    let wrong: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let restored = thread::scope(|scope| {
        let (sent, world, is_over, rounds, wrong, findings) = (&sent, &world, &is_over, &rounds, &wrong, &*findings);
        scope.spawn(move || read_until(world, is_over, rounds));
        let keeper = scope.spawn(move || keep_house(world, &archive, is_over, seed ^ 1, findings));
        let end = Instant::now() + LIMIT;
        let mut number = 0;
        // Until all has come, and mutt has been there often enough.
        while Instant::now() < end && (number < MESSAGES || rounds.load(Ordering::Acquire) < ROUNDS) {
            deliver_until_taken(world, number, seed, end, findings, wrong);
            number += 1;
        }
        sent.store(number, Ordering::Release);
        is_over.store(true, Ordering::Release);
        keeper.join().unwrap()
    });
    let (rounds, sent) = (rounds.into_inner(), sent.into_inner());
    for story in wrong.into_inner().unwrap() {
        findings.add(Wrong::Other, "mail waits for ever", &story);
    }
    let story = format!("mutt opened and synced the mailbox {rounds} times, restore ended with 0: {restored}");
    let junk = (0..sent).map(|number| message(number).id).filter(|id| is_deleted(id));
    let kept = mail::in_mbox(&world.mail());
    let archived = mail::in_archives(&world.path("archives"));
    let deleted = junk.filter(|id| kept.count(id) + archived.count(id) == 0).count();
    assert!(rounds >= ROUNDS && deleted > 0, "{deleted} deleted in mutt; {story}");
    findings.tell(&format!("{deleted} deleted in mutt; {story}"));
    for number in 0..sent {
        let id = message(number).id;
        if !is_deleted(&id) {
            world.expect(&id, Place::MailboxOrArchive);
        }
    }
    if restored {
        (0..4).for_each(|number| world.expect(&format!("restored-{number}"), Place::MailboxOrArchive));
    }
    world.next_delivery_works(findings, &story);
    world.check(findings, &story);
    world.stage.remount();
    world.check(findings, &story);
}

fn message(number: usize) -> Mail {
    let id = format!("{}-{number}", if number.is_multiple_of(3) { "junk" } else { "mail" });
    // As a mail system queues it: when it comes again, it is the same.
    let received = format!(
        "Received: from mail.s.test (mail.s.test [192.0.2.1])\n\tby mx.a.test (Postfix) with ESMTPS id 4W{number:08X}\n\t\
         for <a@a.test>; Thu, 26 Nov 2026 10:00:00 +0000 (UTC)\n"
    );
    Mail::with_fields(&id, &received, 1500)
}

/// A mailbox with old mail, new mail, and bounces; an archive to restore from.
fn prepare(world: &mut World) -> std::path::PathBuf {
    let restored: Vec<_> = (0..4)
        .map(|number| (Mail::new(&format!("restored-{number}"), 900), recent()))
        .collect();
    world.write_mailbox(&restored);
    let ended = tracer::run(&world.command(&["spool", "archive", "--yes", USER, "--all-mail"]), b"");
    assert!(ended.is_acknowledged(), "{}", ended.story());
    let archive = world.path("restored.tar.gz");
    fs::rename(only_archive(&world.path("archives")), &archive).unwrap();
    let mut stored = Vec::new();
    for number in 0..6 {
        stored.push((Mail::new(&format!("old-{number}"), 1200), old()));
        stored.push((Mail::new(&format!("new-{number}"), 1200), recent()));
        stored.push((Mail::bounce(&format!("bounce-{number}"), 1200), recent()));
    }
    world.write_mailbox(&stored);
    for (mail, _) in &stored {
        world.expect(&mail.id, Place::MailboxOrArchive);
    }
    archive
}

/// Brings a message; one in three tries is killed, and it comes again until it is taken.
fn deliver_until_taken(
    world: &World,
    number: usize,
    seed: u64,
    end: Instant,
    findings: &Findings,
    wrong: &Mutex<Vec<String>>,
) {
    let mut chance = fastrand::Rng::with_seed(seed.wrapping_add(number as u64));
    let mail = message(number);
    loop {
        let ended = by_chance(&world.deliver_command(), &mail.bytes, 3, &mut chance, findings);
        if ended.is_acknowledged() {
            return;
        }
        if Instant::now() > end {
            return wrong.lock().unwrap().push(ended.story());
        }
    }
}

/// Runs a command, and kills it once in `each` times, at some moment.
fn by_chance(command: &Command, input: &[u8], each: usize, chance: &mut fastrand::Rng, findings: &Findings) -> Ended {
    if chance.usize(..each) > 0 {
        return tracer::run(command, input);
    }
    findings.kill();
    // About as many calls as a run makes; it is killed at one of them.
    let at = chance.usize(..260);
    tracer::trace(command, input, |_, call| {
        if call.number == at {
            tracer::Next::Kill
        } else {
            tracer::Next::GoOn
        }
    })
}

/// Archives, sweeps and restores until all mail has come. Whether a restore ended with 0.
fn keep_house(world: &World, archive: &std::path::Path, is_over: &AtomicBool, seed: u64, findings: &Findings) -> bool {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut restored = false;
    while !is_over.load(Ordering::Acquire) {
        match chance.u8(..4) {
            0 => drop(by_chance(
                &crate::runs::archive_command(world),
                b"",
                2,
                &mut chance,
                findings,
            )),
            1 => {
                let command = world.command(&["spool", "archive", "--yes", USER, "--down-to", "20K"]);
                drop(by_chance(&command, b"", 2, &mut chance, findings));
            }
            2 => drop(by_chance(
                &crate::runs::sweep_command(world),
                b"",
                2,
                &mut chance,
                findings,
            )),
            _ => {
                let command = crate::runs::restore_command(world, archive);
                restored |= by_chance(&command, b"", 2, &mut chance, findings).is_acknowledged();
            }
        }
    }
    restored
}

/// Opens the mailbox in mutt, deletes, and syncs, again and again.
fn read_until(world: &World, is_over: &AtomicBool, rounds: &AtomicUsize) {
    let settings = world.stage.outside().join("muttrc");
    let text = format!(
        "set folder='{0}'\nset delete=yes\nset move=no\nset sleep_time=0\nset quit=yes\nset sort=mailbox-order\nset mbox_type=mbox\nset confirmappend=no\n\
         push '<delete-pattern>~s junk<enter><sync-mailbox><exit>'\n",
        world.stage.outside().display()
    );
    fs::write(&settings, text).unwrap();
    while !is_over.load(Ordering::Acquire) {
        let line = format!("mutt -n -F {} -f {}", settings.display(), world.mailbox().display());
        let output = Command::new("timeout")
            .args(["20", "script", "-qec", &line, "/dev/null"])
            .env("TERM", "vt100")
            .env("HOME", world.stage.outside())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        rounds.fetch_add(usize::from(output.status.success()), Ordering::AcqRel);
    }
}
