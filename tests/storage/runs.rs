//! The kinds of runs that write to a mailbox: what is there before, what is called, and what has to be where once it
//! ended with 0.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use time::OffsetDateTime;

use crate::mail::Mail;
use crate::tracer::{self, Ended, Moment, Next};
use crate::world::{Place, USER, World, only_archive};

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Deliver,
    /// Into a mailbox that does not exist yet.
    DeliverFirst,
    Keep,
    Archive,
    Sweep,
    /// A delivery that finishes an expunge which was killed.
    Resume,
    Restore,
}

/// The separator line's date of a message that stays.
pub fn recent() -> String {
    date(OffsetDateTime::now_utc() - time::Duration::days(2))
}

/// The separator line's date of a message that is old enough to go.
pub fn old() -> String {
    date(OffsetDateTime::now_utc() - time::Duration::days(900))
}

fn date(at: OffsetDateTime) -> String {
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    format!(
        "{} {} {:>2} {:02}:{:02}:{:02} {}",
        &weekday[..3],
        &month[..3],
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.year()
    )
}

/// What the mailbox holds before an expunge: in the middle, what goes.
pub struct Mixed {
    pub stored: Vec<(Mail, String)>,
    pub going: Vec<String>,
    pub staying: Vec<String>,
}

/// A mailbox of `count` messages, of which the second fifth goes.
pub fn mixed(count: usize, body_bytes: usize, make: impl Fn(&str, usize) -> Mail) -> Mixed {
    let mut mixed = Mixed {
        stored: Vec::new(),
        going: Vec::new(),
        staying: Vec::new(),
    };
    for number in 0..count {
        let goes = (count / 5..2 * count / 5).contains(&number);
        let id = format!("{}-{number}", if goes { "going" } else { "staying" });
        let (mail, date) = if goes {
            (make(&id, body_bytes), old())
        } else {
            (Mail::new(&id, body_bytes), recent())
        };
        mixed.stored.push((mail, date));
        if goes { &mut mixed.going } else { &mut mixed.staying }.push(id);
    }
    mixed
}

/// A run that is ready to be made.
pub struct Ready {
    kind: Kind,
    message: Option<Mail>,
    archive: Option<PathBuf>,
    /// Which messages have to be where when it has ended with 0.
    then: Vec<(String, Place)>,
}

impl Ready {
    /// Brings the world into the state before the run.
    pub fn prepare(kind: Kind, world: &mut World) -> Self {
        let mut ready = Self {
            kind,
            message: None,
            archive: None,
            then: Vec::new(),
        };
        match kind {
            Kind::DeliverFirst => ready.message = Some(Mail::new("first", 9000)),
            Kind::Deliver | Kind::Keep => {
                for number in 0..3 {
                    world.must_deliver(&Mail::new(&format!("before-{number}"), 2500));
                }
                ready.message = Some(Mail::new("message", 9000));
            }
            Kind::Archive => prepare_expunge(world, &mixed(40, 1500, Mail::new)),
            Kind::Sweep => prepare_expunge(world, &mixed(40, 1500, Mail::bounce)),
            Kind::Resume => {
                prepare_expunge(world, &mixed(40, 1500, Mail::new));
                interrupt_expunge(world);
                ready.message = Some(Mail::new("message", 3000));
            }
            Kind::Restore => ready.prepare_restore(world),
        }
        if let Some(message) = &ready.message {
            let place = if kind == Kind::Keep {
                Place::MailboxAndSent
            } else {
                Place::Mailbox
            };
            ready.then.push((message.id.clone(), place));
        }
        ready
    }

    fn prepare_restore(&mut self, world: &mut World) {
        let archived: Vec<_> = (0..12)
            .map(|number| (Mail::new(&format!("archived-{number}"), 2000), recent()))
            .collect();
        world.write_mailbox(&archived);
        let ended = tracer::run(&world.command(&["spool", "archive", "--yes", USER, "--all-mail"]), b"");
        assert!(ended.is_acknowledged(), "{}", ended.story());
        let archive = only_archive(&world.path("archives"));
        // Not where archives are looked for: that it lies there is no reason for a message to be missing.
        let moved = world.path(&format!("{USER}.tar.gz"));
        fs::rename(archive, &moved).unwrap();
        self.archive = Some(moved);
        let there: Vec<_> = archived[..3]
            .iter()
            .cloned()
            .chain([(Mail::new("before", 700), recent())])
            .collect();
        world.write_mailbox(&there);
        for (mail, _) in &there {
            world.expect(&mail.id, Place::Mailbox);
        }
        self.then = archived
            .iter()
            .map(|(mail, _)| (mail.id.clone(), Place::Mailbox))
            .collect();
    }

    pub fn command(&self, world: &World) -> Command {
        match self.kind {
            Kind::Deliver | Kind::DeliverFirst | Kind::Resume => world.deliver_command(),
            Kind::Keep => world.command(&["forward", "-a", "a@a.test", "-f", "s@s.test", "--keep", "b@b.test"]),
            Kind::Archive => archive_command(world),
            Kind::Sweep => sweep_command(world),
            Kind::Restore => restore_command(world, self.archive.as_ref().unwrap()),
        }
    }

    pub fn input(&self) -> &[u8] {
        self.message.as_ref().map_or(b"", |message| &message.bytes)
    }

    /// Runs it as it is.
    pub fn run(&self, world: &World) -> Ended {
        tracer::run(&self.command(world), self.input())
    }

    /// It has ended with 0: what it had to do is done, for good.
    pub fn note_acknowledged(&self, world: &mut World) {
        for (id, place) in &self.then {
            world.expect(id, *place);
        }
    }
}

/// Takes old mail out of the mailbox.
pub fn archive_command(world: &World) -> Command {
    world.command(&["spool", "archive", "--yes", USER, "--older-than", "365d"])
}

/// Takes bounces out of the mailbox.
pub fn sweep_command(world: &World) -> Command {
    world.command(&["spool", "sweep", USER, "--bounces", "--yes"])
}

/// Puts an archive's messages back.
pub fn restore_command(world: &World, archive: &Path) -> Command {
    world.command(&["spool", "restore", "--yes", "-d", USER, archive.to_str().unwrap()])
}

/// A mailbox with what stays and what goes.
pub fn prepare_expunge(world: &mut World, mixed: &Mixed) {
    world.write_mailbox(&mixed.stored);
    mixed.staying.iter().for_each(|id| world.expect(id, Place::Mailbox));
    mixed
        .going
        .iter()
        .for_each(|id| world.expect(id, Place::MailboxOrArchive));
}

/// Where an expunge is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// The journal is there, and nothing was done by it.
    Committed,
    /// The mailbox is cut off: what stays is in the journal alone.
    Cut,
    /// What stays is appended, and not synced.
    Appended,
}

impl Interrupt {
    pub const ALL: [Self; 3] = [Self::Committed, Self::Cut, Self::Appended];
}

/// An expunge that is killed when the mailbox is cut off and nothing is appended yet: what stays is in the journal
/// alone.
pub fn interrupt_expunge(world: &World) {
    interrupt_expunge_at(world, Interrupt::Cut);
}

/// An expunge that is killed there.
pub fn interrupt_expunge_at(world: &World, interrupt: Interrupt) {
    let mailbox = world.mailbox();
    let (mut is_cut, mut is_appended) = (false, false);
    let ended = tracer::trace(&archive_command(world), b"", |moment, call| {
        if !call.is_on(&mailbox) {
            return Next::GoOn;
        }
        let is_reached = moment == Moment::Before
            && match interrupt {
                Interrupt::Committed => call.is_truncate(),
                Interrupt::Cut => is_cut && call.is_write(),
                Interrupt::Appended => is_appended && call.is_sync(),
            };
        is_cut |= moment == Moment::Behind && call.is_truncate();
        is_appended |= is_cut && call.is_write();
        if is_reached { Next::Kill } else { Next::GoOn }
    });
    assert!(ended.is_killed, "not killed at {interrupt:?}: {}", ended.story());
}

/// What comes while an expunge is unfinished.
pub fn resume_message(number: usize) -> Mail {
    Mail::new(&format!("while-{number}"), 600)
}
