//! Journals and notes that a bad sector, a full disk or a repair of the file system has damaged: each byte in turn, and
//! each length. What stands under a journal's name may be the only copy of mail. It is never deleted unread.

use std::fs;

use rustix::fs::{XattrFlags, lgetxattr, listxattr, lremovexattr, lsetxattr};

use crate::mail::{self, Found, Mail};
use crate::runs::{Interrupt, interrupt_expunge_at, mixed, prepare_expunge};
use crate::stage;
use crate::sums::{Findings, Wrong};
use crate::tracer::{self, Moment, Next};
use crate::world::{Place, World};

/// How many places are damaged in one state, where not all are.
const MOST: usize = 90;

/// What was done to a file or note.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// This bit of this byte is another one.
    Flip(usize, u8),
    /// It ends here.
    End(usize),
    /// From here on it is zeros, as where a block was never written.
    Zeros(usize),
}

impl Damage {
    fn apply(self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Self::Flip(at, bit) => bytes[at] ^= 1 << bit,
            Self::End(at) => bytes.truncate(at),
            Self::Zeros(at) => bytes[at..].fill(0),
        }
        bytes
    }

    /// All that is tried: each byte that says something, and each length up to it.
    fn all(bytes: &[u8], chance: &mut fastrand::Rng) -> Vec<Self> {
        let told: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        let mut all = Vec::new();
        for at in told {
            all.push(Self::Flip(at, chance.u8(..8)));
            if at > 0 {
                all.push(Self::End(at));
                all.push(Self::Zeros(at));
            }
        }
        all
    }
}

/// An expunge that was interrupted: what lay there then.
struct Left {
    mailbox: Vec<u8>,
    journal: Vec<u8>,
}

pub fn a_damaged_journal_is_set_aside_and_nothing_in_it_lost(on: stage::Kind, findings: &mut Findings) {
    for interrupt in Interrupt::ALL {
        let mut world = World::new(on);
        prepare_expunge(&mut world, &mixed(15, 400, Mail::new));
        interrupt_expunge_at(&world, interrupt);
        let left = Left {
            mailbox: world.mail(),
            journal: fs::read(world.journal()).unwrap(),
        };
        assert!(!left.journal.is_empty());
        // In the head, each byte; in the content, where each is like the other, as many.
        let all = Damage::all(&left.journal, &mut findings.chance);
        let (head, content): (Vec<_>, Vec<_>) = all.into_iter().partition(|damage| damage.at() < 4096);
        let mut chosen = findings.sample(head, MOST);
        chosen.extend(findings.sample(content, MOST / 3));
        for damage in chosen {
            findings.damage();
            damage_journal(&mut world, &left, interrupt, damage, findings);
        }
    }
}

impl Damage {
    fn at(self) -> usize {
        match self {
            Self::Flip(at, _) | Self::End(at) | Self::Zeros(at) => at,
        }
    }
}

fn damage_journal(world: &mut World, left: &Left, interrupt: Interrupt, damage: Damage, findings: &mut Findings) {
    for path in world.spool_files() {
        let _ = fs::remove_file(path);
    }
    fs::write(world.mailbox(), &left.mailbox).unwrap();
    let journal = damage.apply(&left.journal);
    fs::write(world.journal(), &journal).unwrap();
    let mut story = format!("{interrupt:?}, the journal's damage: {damage:?}");
    world.next_delivery_works(findings, &story);
    story.push_str("; files:");
    for path in world.spool_files() {
        story.push_str(&format!(" {}", path.file_name().unwrap().to_string_lossy()));
    }
    let found = mail::in_mbox(&world.mail());
    let aside = set_aside(world);
    let mut wanted = in_journal(&left.mailbox);
    let held = in_journal(&journal);
    wanted.whole.extend(held.whole.clone());
    let lost: Vec<_> = wanted
        .whole
        .keys()
        .filter(|id| found.count(id) + aside.count(id) == 0 && !id.starts_with("going"))
        .collect();
    if let Some(first) = lost.first() {
        findings.add(
            Wrong::Lost,
            first,
            &format!("{story}\nneither in the mailbox nor set aside: {lost:?}"),
        );
    }
    // Only the head is damaged: all of the content can be put back.
    let is_content_whole = left.journal.get(4096..) == journal.get(4096..);
    let kept_back = held.whole.keys().find(|id| found.count(id) == 0);
    if let Some(id) = kept_back.filter(|_| is_content_whole && interrupt == Interrupt::Cut) {
        findings.add(
            Wrong::Other,
            "whole in the journal and not put back",
            &format!("{story}\n{id}"),
        );
    }
    for (id, count) in found.whole.iter().filter(|(_, count)| **count > 1) {
        findings.add(Wrong::Doubled, id, &format!("{story}\n{count} times"));
    }
    is_reported(world, findings, &story);
}

/// The messages of a journal, or of a mailbox.
fn in_journal(bytes: &[u8]) -> Found {
    let begin = memchr::memmem::find(bytes, b"From s@s.test").unwrap_or(bytes.len());
    mail::in_mbox(&bytes[begin..])
}

/// What was set aside, beside the mailbox.
fn set_aside(world: &World) -> Found {
    let mut found = Found::default();
    for path in world.spool_files() {
        if path.to_string_lossy().contains(".bad") {
            found.join(in_journal(&fs::read(path).unwrap()));
        }
    }
    found
}

/// What is set aside is no secret.
fn is_reported(world: &World, findings: &mut Findings, story: &str) {
    let is_there = world
        .spool_files()
        .iter()
        .any(|path| path.to_string_lossy().contains(".bad"));
    // Three programs take their time; they say the same each time.
    if !is_there || findings.chance.usize(..20) > 0 {
        return;
    }
    for words in [&["doctor"][..], &["status"], &["spool", "list"]] {
        let told = tracer::run(&world.command(words), b"");
        if !told.output.contains(".bad") {
            findings.add(
                Wrong::Other,
                "set aside and not reported",
                &format!("{story}\n{}", told.story()),
            );
        }
    }
}

/// Which part of a message a killed run left, with its note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Torn,
    Whole,
}

pub fn a_damaged_note_costs_no_message(on: stage::Kind, findings: &mut Findings) {
    for part in [Part::Torn, Part::Whole] {
        let mut world = World::new(on);
        world.must_deliver(&Mail::new("before", 600));
        let message = Mail::new("message", 5000);
        kill_in_append(&world, &message, part);
        let before = world.mail();
        let notes = notes(&world);
        assert!(!notes.is_empty(), "the run left no note");
        for (name, value) in notes {
            let all = Damage::all(&value, &mut findings.chance);
            for damage in findings.sample(all, MOST / 2) {
                findings.damage();
                fs::remove_file(world.mailbox()).unwrap();
                fs::write(world.mailbox(), &before).unwrap();
                lsetxattr(
                    world.mailbox(),
                    name.as_str(),
                    &damage.apply(&value),
                    XattrFlags::empty(),
                )
                .unwrap();
                let story = format!("{part:?}, the note {name} {damage:?}");
                bring_again(&mut world, &message, part, findings, &story);
            }
        }
    }
}

/// Another message, and then the same again; what stood there before stays, and both are there whole.
fn bring_again(world: &mut World, message: &Mail, part: Part, findings: &mut Findings, story: &str) {
    let next = format!("other-{}", fastrand::u64(..));
    let other = Mail::new(&next, 300);
    for mail in [&other, message] {
        let ended = world.deliver(mail);
        if !ended.is_acknowledged() {
            findings.add(Wrong::Other, "mail waits", &format!("{story}\n{}", ended.story()));
        }
    }
    let found = mail::in_mbox(&world.mail());
    for id in ["before", &message.id, &next] {
        if found.count(id) == 0 {
            findings.add(Wrong::Lost, id, story);
        }
        // A note that says nothing cannot say either that the message is there already.
        if found.count(id) > 1 && (part == Part::Torn || id != message.id) {
            findings.add(Wrong::Doubled, id, story);
        }
    }
    world.expect_again(&[("before".to_owned(), Place::Mailbox)].into());
}

fn kill_in_append(world: &World, message: &Mail, part: Part) {
    let mailbox = world.mailbox();
    let ended = tracer::trace(&world.deliver_command(), &message.bytes, |moment, call| {
        if moment == Moment::Before && call.is_sync() && call.is_on(&mailbox) {
            return Next::Kill;
        }
        Next::GoOn
    });
    assert!(ended.is_killed, "{}", ended.story());
    if part == Part::Torn {
        let file = fs::OpenOptions::new().write(true).open(&mailbox).unwrap();
        file.set_len(file.metadata().unwrap().len() - 2000).unwrap();
    }
}

/// The extended attributes of the mailbox that a user's program can make.
fn notes(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 4096];
    let length = listxattr(world.mailbox(), &mut names).unwrap();
    names.truncate(length);
    let mut notes = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| name.starts_with(b"user.")) {
        let name = String::from_utf8(name.to_vec()).unwrap();
        let mut value = vec![0; 4096];
        let length = lgetxattr(world.mailbox(), name.as_str(), &mut value).unwrap();
        value.truncate(length);
        lremovexattr(world.mailbox(), name.as_str()).unwrap();
        notes.push((name, value));
    }
    notes
}
