//! What a power loss leaves on the disk, at every moment of a delivery. A run is recorded call by call; from the record
//! every state is made that POSIX allows when the power goes: what was synced is there, of all else any part may be,
//! and whole sectors of it may be zeros. Then the machine is up again, and the mail system goes on.
//!
//! This is a model of a file system, and says nothing about one that breaks its word. It is stricter than ext4 and XFS,
//! which keep the order of what they write about one file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::fs::{XattrFlags, lsetxattr};

use crate::robust::faults::strace;
use crate::support::{Scratch, has_attributes, large, messages, shown, skip};

const OLD: &[u8] = b"From old@s.test Mon Nov  2 10:00:00 2026\nSubject: old\n\nold\n\n";

/// What reaches a disk as a whole, or not at all.
const SECTOR: usize = 512;

/// What a run does to the mailbox, as far as a disk is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Append(usize),
    SyncFile,
    SyncName,
    Note(String, Vec<u8>),
    Unnote,
    /// The mail system has its answer.
    Acknowledge,
}

/// What may be on the disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    mailbox: Option<Vec<u8>>,
    note: Option<(String, Vec<u8>)>,
    is_acknowledged: bool,
}

fn steps(record: &str, mailbox: &Path, note_of: impl Fn(&str) -> Option<(String, Vec<u8>)>) -> Vec<Step> {
    let mailbox_text = mailbox.to_str().unwrap();
    let file = format!("<{mailbox_text}>");
    let dir = format!("<{}>", mailbox.parent().unwrap().display());
    let mut steps = Vec::new();
    for call in strace::parse(record) {
        let on = |what: &str| call.line.split(',').next().unwrap().trim_end().contains(what);
        let result = || {
            call.line
                .rsplit("= ")
                .next()
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .parse::<i64>()
        };
        let answer = call.line.rsplit("= ").next().unwrap();
        match call.name.as_str() {
            "open" | "openat"
                if call.line.contains(&format!("\"{mailbox_text}\"")) && call.line.contains("O_CREAT") =>
            {
                steps.push(Step::Create);
            }
            "write" if on(&file) => steps.push(Step::Append(usize::try_from(result().unwrap()).unwrap())),
            "fdatasync" | "fsync" if on(&file) => steps.push(Step::SyncFile),
            "fsync" if on(&dir) => steps.push(Step::SyncName),
            "fsetxattr" if on(&file) && answer == "0" => {
                let (name, value) = note_of(&call.line).expect("a note in another form");
                steps.push(Step::Note(name, value));
            }
            "lremovexattr" if answer == "0" => steps.push(Step::Unnote),
            _ => {}
        }
    }
    steps.push(Step::Acknowledge);
    steps
}

/// The first two texts between quotes.
fn name_and_value(line: &str) -> Option<(String, Vec<u8>)> {
    let mut texts = line.split('"').skip(1).step_by(2);
    Some((texts.next()?.to_owned(), texts.next()?.as_bytes().to_vec()))
}

/// Every state that may be found when the power goes right behind one of the steps, or before the first.
fn states(steps: &[Step], before: Option<&[u8]>, after: &[u8]) -> BTreeSet<State> {
    let mut all = BTreeSet::new();
    let begin = before.map_or(0, <[u8]>::len);
    // What is there now, and how much of it is on the disk for certain.
    let (mut length, mut synced) = (begin, begin);
    let (mut exists, mut is_named) = (before.is_some(), before.is_some());
    let mut notes: BTreeSet<Option<(String, Vec<u8>)>> = [None].into();
    let mut note = None;
    let mut is_acknowledged = false;
    for step in std::iter::once(None).chain(steps.iter().map(Some)) {
        match step {
            None => {}
            Some(Step::Create) => exists = true,
            Some(Step::Append(bytes)) => length += bytes,
            Some(Step::SyncFile) => {
                synced = length;
                // No promise about attributes is made use of.
            }
            Some(Step::SyncName) => is_named = true,
            Some(Step::Note(name, value)) => note = Some((name.clone(), value.clone())),
            Some(Step::Unnote) => note = None,
            Some(Step::Acknowledge) => is_acknowledged = true,
        }
        notes.insert(note.clone());
        for note in &notes {
            let mut add = |mailbox: Option<Vec<u8>>| {
                all.insert(State {
                    note: note.clone().filter(|_| mailbox.is_some()),
                    mailbox,
                    is_acknowledged,
                });
            };
            if !is_named {
                add(None);
            }
            if exists {
                for bytes in contents(&after[..length], synced) {
                    add(Some(bytes));
                }
            }
        }
    }
    all
}

/// A file of which only the first `synced` bytes are certain.
fn contents(whole: &[u8], synced: usize) -> Vec<Vec<u8>> {
    let mut ends: Vec<usize> = (synced..whole.len()).filter(|at| at % SECTOR == 0).collect();
    ends.extend([synced, whole.len()]);
    let mut contents = Vec::new();
    for end in ends {
        let bytes = whole[..end].to_vec();
        let first = (synced / SECTOR + 1) * SECTOR;
        let last = end / SECTOR * SECTOR;
        for hole in [
            synced..synced,
            synced..end,
            synced..first.min(end),
            last.max(synced)..end,
            first.min(end)..last.max(first).min(end),
        ] {
            let mut bytes = bytes.clone();
            bytes[hole].fill(0);
            contents.push(bytes);
        }
    }
    contents
}

fn stage(state: &State) -> Scratch {
    let scratch = Scratch::new();
    if let Some(bytes) = &state.mailbox {
        fs::write(scratch.mailbox(), bytes).unwrap();
    }
    if let Some((name, value)) = &state.note {
        // The run is dead, and so may be the process that has its number by chance.
        let name = name.replacen(|c: char| c.is_ascii_digit(), "214748364", 1);
        let name = format!("user.spoolguard.2147483647.{}", name.rsplit('.').next().unwrap());
        lsetxattr(scratch.mailbox(), name.as_str(), value, XattrFlags::empty()).unwrap();
    }
    scratch
}

/// The messages of an mbox that may begin with something else.
fn pieces(mbox: &[u8]) -> Vec<&[u8]> {
    let begin = if mbox.starts_with(b"From ") {
        0
    } else {
        memchr::memmem::find(mbox, b"\n\nFrom ").map_or(mbox.len(), |at| at + 2)
    };
    let (rest, whole) = mbox.split_at(begin);
    let mut pieces = messages(whole);
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// The same without its separator line and its last line end.
fn text(message: &[u8]) -> &[u8] {
    let line = message
        .iter()
        .position(|b| *b == b'\n')
        .map_or(message.len(), |at| at + 1);
    message[line..].strip_suffix(b"\n").unwrap_or(&message[line..])
}

fn power_loss(before: Option<&[u8]>, message: &[u8]) {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = Scratch::new();
    if !has_attributes(&scratch.configuration()) {
        return skip("needs a file system with extended attributes below the temporary directory");
    }
    if let Some(bytes) = before {
        fs::write(scratch.mailbox(), bytes).unwrap();
    }
    let record = scratch.path("record");
    scratch
        .deliver(message)
        .wrapped(&[
            strace.to_str().unwrap(),
            "-y",
            "-s",
            "200",
            "-o",
            record.to_str().unwrap(),
        ])
        .go()
        .succeeds();
    let after = scratch.mail();
    let steps = steps(&fs::read_to_string(record).unwrap(), &scratch.mailbox(), name_and_value);
    let appended: usize = steps
        .iter()
        .map(|step| if let Step::Append(bytes) = step { *bytes } else { 0 })
        .sum();
    assert_eq!(appended, after.len() - before.map_or(0, <[u8]>::len), "{steps:?}");
    let wanted = crate::support::content(messages(&after).last().unwrap()).to_vec();
    let states = states(&steps, before, &after);
    let (mut twice, mut parts) = (0, 0);
    for state in &states {
        for other_first in [false, true] {
            let scratch = stage(state);
            if other_first {
                scratch.next_delivery_works_in_any_case();
            }
            if !state.is_acknowledged {
                scratch.deliver(message).go().succeeds();
            }
            scratch.next_delivery_works();
            let mail = scratch.mail();
            let story = || format!("{steps:?}\n{state:?}\n{}", shown(&mail));
            assert!(
                mail.starts_with(before.unwrap_or_default()),
                "mail that was there is gone\n{}",
                story()
            );
            let whole = pieces(&mail).iter().filter(|m| text(m) == wanted).count();
            assert!(whole >= 1, "the message is not there\n{}", story());
            assert!(
                whole == 1 || !state.is_acknowledged,
                "twice, and was never tried again\n{}",
                story()
            );
            twice += usize::from(whole > 1);
            let others = pieces(&mail)
                .iter()
                .filter(|m| m.ends_with(b"\nSubject: next\n\nnext\n\n"))
                .count();
            assert_eq!(others, 1 + usize::from(other_first), "{}", story());
            parts += pieces(&mail).len() - whole - others - before.map_or(0, |before| messages(before).len());
        }
    }
    println!(
        "{} steps, {} states, each with two ways to go on: none lost, {twice} twice, {parts} parts left that belong to nobody",
        steps.len(),
        states.len()
    );
    assert!(states.len() > 8, "only {} states", states.len());
}

#[test]
fn power_that_goes_in_a_delivery_costs_no_message() {
    power_loss(Some(OLD), &large(1200));
}

#[test]
fn power_that_goes_in_the_first_delivery_costs_no_message() {
    power_loss(None, &large(700));
}

#[test]
fn power_that_goes_behind_a_torn_message_costs_none() {
    power_loss(
        Some(&[OLD, b"From x@x.test Mon Nov  2 10:00:00 2026\nSubject: to"].concat()),
        b"Subject: x\n\nx\n",
    );
}
