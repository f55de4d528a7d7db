//! Mail that was acknowledged and is not on the disk: three ways to that, each seen outside. The bytes of a run whose
//! sync failed, or was never made, are in the page cache all the same, and a sync of clean pages succeeds.

use crate::disk::Mode;
use crate::image::crashes;
use crate::mail::Mail;
use crate::runs::{self, Kind, Ready, archive_command, interrupt_expunge, mixed, prepare_expunge};
use crate::stage;
use crate::sums::Findings;
use crate::tracer::{self, Ended, Moment, Next};
use crate::world::{Place, World};

/// Runs `ready` on a disk that stalls in its sync; it is killed there, and the disk answers with an error.
fn killed_on_a_stalled_disk(world: &World, ready: &Ready, findings: &mut Findings) -> Ended {
    let command = ready.command(world);
    world.stage.disk.set(Mode::Stalls);
    let mut child = tracer::start_free(&command, ready.input());
    let waits = world.stage.disk.until_something_waits();
    child.kill().unwrap();
    findings.kill();
    findings.eio_point();
    // It cannot be gone before its writes are answered.
    world.stage.disk.set(Mode::Fails);
    let ended = tracer::finish(child, &command);
    world.stage.disk.set(Mode::Works);
    waits.unwrap();
    ended
}

/// The mail system tries again until the run ends with 0.
fn retried(world: &mut World, ready: &Ready, story: &mut String) {
    for _ in 0..3 {
        let ended = ready.run(world);
        story.push('\n');
        story.push_str(&ended.story());
        if ended.is_acknowledged() {
            ready.note_acknowledged(world);
            return;
        }
    }
}

fn stalls_and_fails(kind: Kind, on: stage::Kind, findings: &mut Findings) {
    let mut world = World::new(on);
    let ready = Ready::prepare(kind, &mut world);
    world.stage.sync();
    let mut story = killed_on_a_stalled_disk(&world, &ready, findings).story();
    retried(&mut world, &ready, &mut story);
    world.stage.remount();
    story.push_str("\nunmounted and mounted");
    world.check(findings, &story);
    if kind == Kind::Restore {
        // What is there already is not put there again.
        retried(&mut world, &ready, &mut story);
    }
    world.next_delivery_works(findings, &story);
    world.stage.remount();
    world.check(findings, &story);
}

/// A delivery stalls in its sync and is killed; the disk answers with EIO; the retry ends with 0.
pub fn a_delivery_killed_on_a_stalled_disk_is_written_again(on: stage::Kind, findings: &mut Findings) {
    stalls_and_fails(Kind::Deliver, on, findings);
    stalls_and_fails(Kind::DeliverFirst, on, findings);
}

/// The same with `restore`: the second run finds the messages there.
pub fn a_restore_killed_on_a_stalled_disk_is_written_again(on: stage::Kind, findings: &mut Findings) {
    stalls_and_fails(Kind::Restore, on, findings);
}

/// An expunge whose sync behind the append of what stays fails, with nobody killed; then mail comes.
pub fn an_expunge_whose_sync_failed_loses_nothing(on: stage::Kind, findings: &mut Findings) {
    let mut world = World::new(on);
    prepare_expunge(&mut world, &mixed(400, 1500, Mail::new));
    world.stage.sync();
    let (mailbox, disk) = (world.mailbox(), world.stage.disk.clone());
    let mut syncs = 0;
    let ended = tracer::trace(&archive_command(&world), b"", |moment, call| {
        if call.is_sync() && call.is_on(&mailbox) {
            syncs += usize::from(moment == Moment::Before);
            // The first comes behind the cut, the second behind the append.
            let fails = syncs == 2 && moment == Moment::Before;
            disk.set(if fails { Mode::Fails } else { Mode::Works });
        }
        Next::GoOn
    });
    disk.set(Mode::Works);
    findings.eio_point();
    assert!(syncs >= 2, "{syncs} syncs of the mailbox: {}", ended.story());
    then_mail_comes(&mut world, ended, findings);
}

/// The same, killed at that sync; the next delivery believes what it sees, and the power goes.
pub fn an_expunge_killed_before_its_sync_loses_nothing_when_the_power_goes(on: stage::Kind, findings: &mut Findings) {
    let mut world = World::new(on);
    prepare_expunge(&mut world, &mixed(400, 1500, Mail::new));
    world.stage.sync();
    let mailbox = world.mailbox();
    let mut syncs = 0;
    let ended = tracer::trace(&archive_command(&world), b"", |moment, call| {
        let is_second = call.is_sync() && call.is_on(&mailbox) && moment == Moment::Before && {
            syncs += 1;
            syncs == 2
        };
        if is_second { Next::Kill } else { Next::GoOn }
    });
    findings.kill();
    assert!(ended.is_killed, "{}", ended.story());
    let base = world.stage.disk.begin_log();
    let expected = world.expectations();
    let mail = Mail::new("while", 600);
    let delivered = world.deliver(&mail);
    world.stage.disk.log_acknowledged();
    let log = world.stage.disk.end_log();
    for crash in crashes(&base, &log, 1, &mut findings.chance) {
        let story = format!("{}\n{}\n{}", ended.story(), delivered.story(), crash.story);
        world.expect_again(&expected);
        world.stage.boot_from(&crash.image);
        findings.crash_point();
        if crash.is_acknowledged && delivered.is_acknowledged() {
            world.expect(&mail.id, Place::Mailbox);
        }
        world.next_delivery_works(findings, &story);
        world.check(findings, &story);
    }
}

fn then_mail_comes(world: &mut World, ended: Ended, findings: &mut Findings) {
    let mut story = ended.story();
    let delivered = world.deliver(&Mail::new("while", 600));
    story.push_str(&format!("\n{}", delivered.story()));
    world.stage.remount();
    story.push_str("\nunmounted and mounted");
    world.next_delivery_works(findings, &story);
    world.check(findings, &story);
    world.stage.remount();
    world.next_delivery_works(findings, &story);
    world.check(findings, &story);
}

/// An expunge that was killed, and the delivery that finishes it meets an error at each of its syncs in turn.
pub fn a_resume_whose_sync_failed_loses_nothing(on: stage::Kind, findings: &mut Findings) {
    let mut world = World::new(on);
    prepare_expunge(&mut world, &mixed(60, 1500, Mail::new));
    interrupt_expunge(&world);
    let base = world.stage.sync();
    let expected = world.expectations();
    let mut number = 0;
    loop {
        world.expect_again(&expected);
        world.stage.start_from(&base);
        let mail = runs::resume_message(number);
        let disk = world.stage.disk.clone();
        let mut syncs = 0;
        let ended = tracer::trace(&world.deliver_command(), &mail.bytes, |moment, call| {
            if call.is_sync() {
                let fails = moment == Moment::Before && syncs == number;
                syncs += usize::from(moment == Moment::Before);
                disk.set(if fails { Mode::Fails } else { Mode::Works });
            }
            Next::GoOn
        });
        disk.set(Mode::Works);
        if syncs <= number {
            break;
        }
        findings.eio_point();
        if ended.is_acknowledged() {
            world.expect(&mail.id, Place::Mailbox);
        }
        then_mail_comes(&mut world, ended, findings);
        number += 1;
    }
    assert!(number > 2, "only {number} syncs");
}
