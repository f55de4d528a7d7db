//! Power that goes: at each flush of a run, with everything lost that was written since, and with a part of it there.

use crate::image::{Crash, crashes};
use crate::runs::{Kind, Ready};
use crate::stage;
use crate::sums::{Findings, Wrong};
use crate::world::{Format, World};

/// How many crash images of one kind of run are tried, where not all are.
const MOST: usize = 14;

/// Every how many crash images the file system's own check is asked, too. It says whether the images are what a disk
/// leaves.
const CHECK_EACH: usize = 5;

fn replay(kind: Kind, on: stage::Kind, findings: &mut Findings) {
    replay_in(World::new(on), kind, findings);
}

fn replay_in(mut world: World, kind: Kind, findings: &mut Findings) {
    let ready = Ready::prepare(kind, &mut world);
    world.stage.sync();
    let base = world.stage.disk.begin_log();
    let ended = ready.run(&world);
    assert!(ended.is_acknowledged(), "{}", ended.story());
    world.stage.disk.log_acknowledged();
    let log = world.stage.disk.end_log();
    let expected = world.expectations();
    let random = if findings.is_full { 6 } else { 2 };
    let all = crashes(&base, &log, random, &mut findings.chance);
    // Behind the answer is where nothing may be missing; it is always tried.
    let (last, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|crash| crash.is_acknowledged);
    assert!(!last.is_empty() && others.len() >= 2, "{} crash images", others.len());
    let chosen = findings.sample(others, MOST);
    for (number, crash) in last.iter().chain(&chosen).enumerate() {
        world.expect_again(&expected);
        world.stage.boot_from(&crash.image);
        findings.crash_point();
        after(&mut world, &ready, crash, number, findings);
    }
}

fn after(world: &mut World, ready: &Ready, crash: &Crash, number: usize, findings: &mut Findings) {
    let mut story = crash.story.clone();
    // Another message may come before the mail system tries again.
    let is_other_first = findings.chance.bool();
    if is_other_first {
        story.push_str("\nanother delivery first");
        world.next_delivery_works(findings, &story);
    }
    if crash.is_acknowledged {
        ready.note_acknowledged(world);
    } else {
        let mut is_done = false;
        for _ in 0..3 {
            let ended = ready.run(world);
            story.push_str(&format!("\n{}", ended.story()));
            is_done = ended.is_acknowledged();
            if is_done {
                ready.note_acknowledged(world);
                break;
            }
        }
        if !is_done {
            findings.add(Wrong::Other, "the run cannot be made again", &story);
        }
    }
    world.next_delivery_works(findings, &story);
    world.check(findings, &story);
    if number.is_multiple_of(CHECK_EACH)
        && let Err(e) = world.stage.check()
    {
        findings.add(Wrong::Other, "the file system is not sound", &format!("{story}\n{e}"));
    }
}

pub fn power_loss_in_deliver(on: stage::Kind, findings: &mut Findings) {
    replay(Kind::Deliver, on, findings);
    replay(Kind::DeliverFirst, on, findings);
}

pub fn power_loss_in_delivery_to_a_maildir(on: stage::Kind, findings: &mut Findings) {
    for kind in [Kind::Deliver, Kind::DeliverFirst, Kind::Keep] {
        replay_in(World::with(Format::Maildir, on), kind, findings);
    }
}

pub fn power_loss_in_forward_keep(on: stage::Kind, findings: &mut Findings) {
    replay(Kind::Keep, on, findings);
}

pub fn power_loss_in_expunge(on: stage::Kind, findings: &mut Findings) {
    replay(Kind::Archive, on, findings);
    replay(Kind::Sweep, on, findings);
}

pub fn power_loss_in_resume(on: stage::Kind, findings: &mut Findings) {
    replay(Kind::Resume, on, findings);
}

pub fn power_loss_in_restore(on: stage::Kind, findings: &mut Findings) {
    replay(Kind::Restore, on, findings);
}
