//! Runs that are killed when all is done and only their end is missing, and mail systems that die when they have our
//! answer and have not noted it. The same message comes again then, with the same queue id, and must not be there
//! twice. The same text under another queue id was sent twice on purpose, and comes twice.

use nix::unistd::gethostname;

use crate::disk::Mode;
use crate::mail::Mail;
use crate::stage;
use crate::sums::{Findings, Wrong};
use crate::tracer::{self, Ended, Moment, Next};
use crate::world::{Format, Place, World};

/// How many of a run's calls are tried, where not all are.
const MOST: usize = 16;

/// The mail systems, each with its own form of a `Received` field.
#[derive(Clone, Copy, Debug)]
enum Mta {
    Postfix,
    Exim,
    Sendmail,
}

impl Mta {
    const ALL: [Self; 3] = [Self::Postfix, Self::Exim, Self::Sendmail];

    /// What it writes on top of a message that it has queued.
    fn received(self, number: usize) -> String {
        let host = gethostname().unwrap().to_string_lossy().into_owned();
        match self {
            Self::Postfix => format!(
                "Received: from mail.s.test (mail.s.test [192.0.2.1])\n\tby {host} (Postfix) with ESMTPS id 4W{number:08X}\n\t\
                 for <a@a.test>; Thu, 26 Nov 2026 10:00:00 +0000 (UTC)\n"
            ),
            Self::Exim => format!(
                "Received: from mail.s.test ([192.0.2.1])\n\tby {host} with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\n\t\
                 (Exim 4.96)\n\t(envelope-from <s@s.test>)\n\tid 1tF{number:03}-0000Ab-2{}\n\tfor a@a.test;\n\t\
                 Thu, 26 Nov 2026 10:00:00 +0000\n",
                number % 10
            ),
            Self::Sendmail => format!(
                "Received: from mail.s.test (mail.s.test [192.0.2.1])\n\tby {host} (8.17.1.9/8.17.1.9/Debian-2) with ESMTPS id 4AQA{number:06}\n\t\
                 for <a@a.test>; Thu, 26 Nov 2026 10:00:00 GMT\n"
            ),
        }
    }
}

/// Mail that this mail system queued as its `number`th.
fn queued(mta: Mta, number: usize, id: &str) -> Mail {
    Mail::with_fields(id, &mta.received(number), 700)
}

/// How a message is brought.
#[derive(Clone, Copy, Debug)]
enum Way {
    Deliver,
    Keep,
}

impl Way {
    fn command(self, world: &World) -> std::process::Command {
        match self {
            Self::Deliver => world.deliver_command(),
            Self::Keep => world.command(&["forward", "-a", "a@a.test", "-f", "s@s.test", "--keep", "b@b.test"]),
        }
    }

    fn run(self, world: &mut World, mail: &Mail) -> Ended {
        let ended = tracer::run(&self.command(world), &mail.bytes);
        if ended.is_acknowledged() {
            self.expect(world, mail);
        }
        ended
    }

    fn expect(self, world: &mut World, mail: &Mail) {
        let place = match self {
            Self::Deliver => Place::Mailbox,
            Self::Keep => Place::MailboxAndSent,
        };
        world.expect(&mail.id, place);
    }
}

/// Killed before each of the calls from the last sync of the mailbox on, each time with another message.
fn killed_at_its_end(mut world: World, findings: &mut Findings) {
    let mut number = 0;
    for way in [Way::Deliver, Way::Keep] {
        let (first, all) = last_calls(&mut world, way, number);
        let points: Vec<_> = (first..all).collect();
        for point in findings.sample(points, MOST) {
            number += 1;
            let mta = Mta::ALL[number % 3];
            let mail = queued(mta, number, &format!("killed-{number}"));
            let mut at = String::new();
            let ended = tracer::trace(&way.command(&world), &mail.bytes, |moment, call| {
                if moment == Moment::Before && call.number == point {
                    at = format!("call {point} of {all} ({})", call.id);
                    return Next::Kill;
                }
                Next::GoOn
            });
            findings.kill();
            let mut story = format!("{way:?} by {mta:?}, killed before {at}\n{}", ended.story());
            if ended.is_acknowledged() {
                way.expect(&mut world, &mail);
            }
            if findings.chance.bool() {
                story.push_str("\nanother delivery first");
                world.next_delivery_works(findings, &story);
            }
            again(&mut world, way, &mail, findings, &mut story);
            world.check(findings, &story);
        }
    }
}

/// The mail system brings it again, until it is taken.
fn again(world: &mut World, way: Way, mail: &Mail, findings: &mut Findings, story: &mut String) {
    for _ in 0..3 {
        let ended = way.run(world, mail);
        story.push_str(&format!("\nagain: {}", ended.story()));
        if ended.is_acknowledged() {
            return;
        }
    }
    findings.add(Wrong::Other, "mail waits for ever", story);
}

/// The number of the call behind the mailbox's last sync, and how many calls there are.
fn last_calls(world: &mut World, way: Way, number: usize) -> (usize, usize) {
    let mailbox = world.synced_last();
    let (mut first, mut all) = (0, 0);
    let mail = queued(Mta::Postfix, 900_000 + number, &format!("probe-{way:?}"));
    let ended = tracer::trace(&way.command(world), &mail.bytes, |moment, call| {
        if moment == Moment::Before {
            all = call.number + 1;
            if call.is_sync() && call.is_on(&mailbox) {
                first = call.number + 1;
            }
        }
        Next::GoOn
    });
    assert!(ended.is_acknowledged() && first > 0, "{}", ended.story());
    way.expect(world, &mail);
    (first, all)
}

/// It ends with 0, and the mail system dies before it has noted that.
fn acknowledged_and_comes_again(mut world: World, findings: &mut Findings) {
    let mut number = 0;
    for way in [Way::Deliver, Way::Keep] {
        for mta in Mta::ALL {
            for gap in [Gap::Nothing, Gap::Others, Gap::Remount] {
                number += 1;
                let mail = queued(mta, number, &format!("again-{number}"));
                let mut story = format!("{way:?} by {mta:?}, {gap:?} in between");
                again(&mut world, way, &mail, findings, &mut story);
                match gap {
                    Gap::Nothing => {}
                    Gap::Others => (0..3).for_each(|_| world.next_delivery_works(findings, &story)),
                    Gap::Remount => world.stage.remount(),
                }
                again(&mut world, way, &mail, findings, &mut story);
                world.check(findings, &story);
            }
        }
    }
}

/// What happens between the two.
#[derive(Clone, Copy, Debug)]
enum Gap {
    Nothing,
    Others,
    Remount,
}

/// The power goes behind our 0: the mail system's note of it is lost, too, and it brings the message again.
fn comes_again_behind_a_power_loss(mut world: World, findings: &mut Findings) {
    for number in 0..4 {
        let (way, mta) = ([Way::Deliver, Way::Keep][number % 2], Mta::ALL[number % 3]);
        let mail = queued(mta, number, &format!("again-{number}"));
        world.stage.sync();
        let base = world.stage.disk.begin_log();
        let mut story = format!("{way:?} by {mta:?}");
        again(&mut world, way, &mail, findings, &mut story);
        world.stage.disk.log_acknowledged();
        let log = world.stage.disk.end_log();
        let crashes = crate::image::crashes(&base, &log, 0, &mut findings.chance);
        world.stage.boot_from(&crashes.last().unwrap().image);
        findings.crash_point();
        story.push_str("\npower loss");
        again(&mut world, way, &mail, findings, &mut story);
        world.check(findings, &story);
    }
    world.stage.disk.set(Mode::Works);
}

/// Another queue id: another submission. No queue id: nobody can tell, and better twice than never.
fn sent_twice_on_purpose(mut world: World, findings: &mut Findings) {
    for (number, mta) in Mta::ALL.into_iter().enumerate() {
        let id = format!("purpose-{number}");
        let mut story = format!("{mta:?}, two queue ids");
        for queue_id in [2 * number, 2 * number + 1] {
            again(
                &mut world,
                Way::Deliver,
                &queued(mta, queue_id, &id),
                findings,
                &mut story,
            );
        }
        world.expect_times(&id, 2);
        world.check(findings, &story);
    }
    let plain = Mail::new("plain", 700);
    let mut story = "no Received field, taken twice".to_owned();
    again(&mut world, Way::Deliver, &plain, findings, &mut story);
    again(&mut world, Way::Deliver, &plain, findings, &mut story);
    world.expect_times("plain", 2);
    world.check(findings, &story);
}

pub fn a_run_killed_at_its_end_brings_nothing_twice(on: stage::Kind, findings: &mut Findings) {
    killed_at_its_end(World::new(on), findings);
}

pub fn in_a_maildir_a_run_killed_at_its_end_brings_nothing_twice(on: stage::Kind, findings: &mut Findings) {
    killed_at_its_end(World::with(Format::Maildir, on), findings);
}

pub fn a_message_that_was_acknowledged_and_comes_again_is_there_once(on: stage::Kind, findings: &mut Findings) {
    acknowledged_and_comes_again(World::new(on), findings);
}

pub fn in_a_maildir_a_message_that_was_acknowledged_and_comes_again_is_there_once(
    on: stage::Kind,
    findings: &mut Findings,
) {
    acknowledged_and_comes_again(World::with(Format::Maildir, on), findings);
}

pub fn a_message_that_comes_again_behind_a_power_loss_is_there_once(on: stage::Kind, findings: &mut Findings) {
    comes_again_behind_a_power_loss(World::new(on), findings);
}

pub fn in_a_maildir_a_message_that_comes_again_behind_a_power_loss_is_there_once(
    on: stage::Kind,
    findings: &mut Findings,
) {
    comes_again_behind_a_power_loss(World::with(Format::Maildir, on), findings);
}

pub fn a_message_that_was_sent_twice_on_purpose_comes_twice(on: stage::Kind, findings: &mut Findings) {
    sent_twice_on_purpose(World::new(on), findings);
}

pub fn in_a_maildir_a_message_that_was_sent_twice_on_purpose_comes_twice(on: stage::Kind, findings: &mut Findings) {
    sent_twice_on_purpose(World::with(Format::Maildir, on), findings);
}
