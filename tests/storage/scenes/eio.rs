//! A disk that fails once, at each sync of each kind of run. The kernel says EIO once and marks the pages clean; what
//! is read comes from the page cache, and what is on the disk is something else. Afterwards comes a retry, a restore or
//! an archive, and a remount.

use std::fs;

use crate::disk::Mode;
use crate::mail::Mail;
use crate::runs::{Kind, Ready, archive_command, old, recent};
use crate::stage;
use crate::sums::{Findings, Wrong};
use crate::tracer::{self, Ended, Moment, Next};
use crate::world::{Format, Place, USER, World};

/// How many syncs of one kind of run fail, where not all do.
const MOST: usize = 7;

/// What comes after the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Retry,
    Restore,
    Archive,
}

impl Then {
    const ALL: [Self; 3] = [Self::Retry, Self::Restore, Self::Archive];
}

/// Runs it; its sync number `failing` meets a disk that fails. The run's end, and how many syncs there were.
fn run_with_failure(world: &World, ready: &Ready, failing: Option<usize>) -> (Ended, usize) {
    let disk = world.stage.disk.clone();
    let mut syncs = 0;
    let ended = tracer::trace(&ready.command(world), ready.input(), |moment, call| {
        if call.is_sync() {
            let fails = moment == Moment::Before && Some(syncs) == failing;
            syncs += usize::from(moment == Moment::Before);
            disk.set(if fails { Mode::Fails } else { Mode::Works });
        }
        Next::GoOn
    });
    disk.set(Mode::Works);
    (ended, syncs)
}

fn each_sync_fails(kind: Kind, on: stage::Kind, findings: &mut Findings) {
    let mut world = World::new(on);
    let ready = Ready::prepare(kind, &mut world);
    prepare_followers(kind, &mut world);
    fail_each(&mut world, &ready, &Then::ALL, findings);
}

/// Nothing but the mail system touches a Maildir in between.
fn each_sync_fails_in_maildir(kind: Kind, on: stage::Kind, findings: &mut Findings) {
    let mut world = World::with(Format::Maildir, on);
    let ready = Ready::prepare(kind, &mut world);
    fail_each(&mut world, &ready, &[Then::Retry], findings);
}

fn fail_each(world: &mut World, ready: &Ready, thens: &[Then], findings: &mut Findings) {
    let base = world.stage.sync();
    let expected = world.expectations();
    let (ended, syncs) = run_with_failure(world, ready, None);
    assert!(ended.is_acknowledged() && syncs > 0, "{syncs} syncs: {}", ended.story());
    let mut points: Vec<_> = (0..syncs)
        .flat_map(|sync| thens.iter().map(move |then| (sync, *then)))
        .collect();
    if !findings.is_full {
        // Each sync once, and a retry as often as both others.
        points = (0..syncs)
            .map(|sync| (sync, thens[findings.chance.usize(..4) % thens.len()]))
            .collect();
    }
    for (sync, then) in findings.sample(points, MOST) {
        world.expect_again(&expected);
        world.stage.start_from(&base);
        let (ended, _) = run_with_failure(world, ready, Some(sync));
        findings.eio_point();
        let failed = world.stage.disk.take_failed();
        let mut story = format!(
            "EIO at sync {} of {syncs} ({failed} writes failed), then {then:?}\n{}",
            sync + 1,
            ended.story()
        );
        if ended.is_killed || !matches!(ended.code, Some(0 | 1 | 75)) {
            findings.add(Wrong::Other, "it ended in another way", &story);
        }
        let mut is_done = ended.is_acknowledged();
        follow(world, ready, then, &mut is_done, &mut story);
        if is_done {
            ready.note_acknowledged(world);
        }
        finish(world, ready, is_done, &mut story, findings);
    }
}

/// What `restore` and `archive` find to do afterwards: a message that has nothing to do with the run, and an old one.
fn prepare_followers(kind: Kind, world: &mut World) {
    fs::write(world.path("others"), Mail::new("others", 800).stored(&recent())).unwrap();
    if [Kind::Deliver, Kind::Keep, Kind::Restore].contains(&kind) {
        let mail = Mail::new("old", 500);
        let mailbox = [mail.stored(&old()), world.mail()].concat();
        fs::write(world.mailbox(), mailbox).unwrap();
        world.expect(&mail.id, Place::MailboxOrArchive);
    }
}

/// What comes while the page cache still holds what the disk does not.
fn follow(world: &mut World, ready: &Ready, then: Then, is_done: &mut bool, story: &mut String) {
    let ended = match then {
        Then::Retry if *is_done => world.deliver(&Mail::new("follow", 500)),
        Then::Retry => {
            let ended = ready.run(world);
            *is_done = ended.is_acknowledged();
            ended
        }
        Then::Restore => {
            let others = world.path("others").display().to_string();
            let ended = tracer::run(&world.command(&["spool", "restore", "--yes", "-d", USER, &others]), b"");
            if ended.is_acknowledged() {
                world.expect("others", Place::Mailbox);
            }
            ended
        }
        Then::Archive => tracer::run(&archive_command(world), b""),
    };
    story.push_str(&format!("\n{}", ended.story()));
}

/// The disk works again. What the cache held and the disk does not is gone with the mount; what was acknowledged may
/// not be.
fn finish(world: &mut World, ready: &Ready, is_done: bool, story: &mut String, findings: &mut Findings) {
    world.stage.remount();
    // A file system that gave up is mounted anew by a boot.
    world.stage.age_locks();
    story.push_str("\nunmounted and mounted");
    world.next_delivery_works(findings, story);
    world.check(findings, story);
    // Until it ends with 0, a mail system and an administrator try again.
    if !is_done {
        let ended = ready.run(world);
        story.push_str(&format!("\n{}", ended.story()));
        if ended.is_acknowledged() {
            ready.note_acknowledged(world);
        } else {
            findings.add(Wrong::Other, "the run cannot be made again", story);
        }
    }
    world.next_delivery_works(findings, story);
    world.stage.remount();
    world.check(findings, story);
}

pub fn eio_in_deliver(on: stage::Kind, findings: &mut Findings) {
    each_sync_fails(Kind::Deliver, on, findings);
    each_sync_fails(Kind::DeliverFirst, on, findings);
}

pub fn eio_in_delivery_to_a_maildir(on: stage::Kind, findings: &mut Findings) {
    for kind in [Kind::Deliver, Kind::DeliverFirst] {
        each_sync_fails_in_maildir(kind, on, findings);
    }
}

pub fn eio_in_forward_keep(on: stage::Kind, findings: &mut Findings) {
    each_sync_fails(Kind::Keep, on, findings);
}

pub fn eio_in_expunge(on: stage::Kind, findings: &mut Findings) {
    each_sync_fails(Kind::Archive, on, findings);
    each_sync_fails(Kind::Sweep, on, findings);
}

pub fn eio_in_resume(on: stage::Kind, findings: &mut Findings) {
    each_sync_fails(Kind::Resume, on, findings);
}

pub fn eio_in_restore(on: stage::Kind, findings: &mut Findings) {
    each_sync_fails(Kind::Restore, on, findings);
}
