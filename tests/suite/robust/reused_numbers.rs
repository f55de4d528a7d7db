//! The kernel gives numbers of processes again, and in a container that starts anew it does so at once. A note of a
//! killed run whose number another process has by now is the note of a killed run all the same.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use rustix::fs::{XattrFlags, lgetxattr, listxattr, lremovexattr, lsetxattr};

use crate::robust::faults::strace;
use crate::support::{ORDINARY, Scratch, has_attributes, messages, skip};

/// When the note was written, before now, in seconds.
const AGE: u64 = 60;

/// Somebody else's process. It ends with its input.
fn other_process() -> Child {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).spawn().unwrap()
}

fn now_seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// The only note on a file, and its text.
fn only_note(path: &Path) -> (String, Vec<u8>) {
    let mut names = vec![0; 64 << 10];
    let length = listxattr(path, names.as_mut_slice()).unwrap();
    let names = names[..length].split(|byte| *byte == 0);
    let names = names.map(|name| String::from_utf8_lossy(name).into_owned());
    let notes: Vec<_> = names.filter(|name| name.starts_with("user.spoolguard.")).collect();
    let [note] = notes.try_into().unwrap();
    let mut text = vec![0; 1024];
    let length = lgetxattr(path, &note, text.as_mut_slice()).unwrap();
    text.truncate(length);
    (note, text)
}

/// Puts another note in its place.
fn replace_note(path: &Path, old: &str, new: &str, text: &[u8]) {
    lremovexattr(path, old).unwrap();
    lsetxattr(path, new, text, XattrFlags::CREATE).unwrap();
}

#[test]
fn a_reused_number_brings_nothing_twice_into_an_mbox() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = Scratch::new();
    let mailbox = scratch.mailbox();
    fs::write(&mailbox, "").unwrap();
    if !has_attributes(&mailbox) {
        return skip("no extended attributes here");
    }
    let killed = strace::kill_before_its_note_goes(scratch.deliver(ORDINARY), &strace, &mailbox);
    killed.check(killed.code != Some(0), "it was killed");
    let (note, text) = only_note(&mailbox);
    let mut other = other_process();
    let text = String::from_utf8(text).unwrap();
    let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
    words.pop();
    words[5] = format!("{:x}", now_seconds() - AGE);
    let text = words.join(" ");
    let mut crc = flate2::Crc::new();
    crc.update(text.as_bytes());
    let text = format!("{text} {:04x}", crc.sum() & 0xffff);
    let name = format!("user.spoolguard.{}.0", other.id());
    replace_note(&mailbox, &note, &name, text.as_bytes());
    let again = scratch.deliver(ORDINARY).go();
    again.succeeds();
    again.check(messages(&scratch.mail()).len() == 1, "it is there once");
    drop(other.stdin.take());
    other.wait().unwrap();
}

#[test]
fn a_reused_number_brings_nothing_twice_into_a_maildir() {
    let mut scratch = Scratch::new();
    let maildir = scratch.path("home/Maildir");
    let new = maildir.join("new");
    scratch.change("mailbox.location", &format!("\"maildir:{}\"", maildir.display()));
    scratch.deliver(ORDINARY).go().succeeds();
    if !has_attributes(&new) {
        return skip("no extended attributes here");
    }
    let lying = || -> Vec<String> {
        let entries = fs::read_dir(&new).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    let [first] = lying().try_into().unwrap();
    let mut other = other_process();
    let (_, rest) = first.split_once('P').unwrap();
    let (_, rest) = rest.split_once('Q').unwrap();
    let name = format!("{}.M1P{}Q{rest}", now_seconds() - AGE, other.id());
    fs::rename(new.join(&first), new.join(&name)).unwrap();
    let (unique, _) = name.split_once(",S=").unwrap();
    let (_, fingerprint) = unique.split_once('F').unwrap();
    let note = format!("user.spoolguard.{}.0", fingerprint.split_once('.').unwrap().0);
    lsetxattr(&new, &note, unique.as_bytes(), XattrFlags::CREATE).unwrap();
    let again = scratch.deliver(ORDINARY).go();
    again.succeeds();
    again.check(lying() == [name], "it is there once");
    drop(other.stdin.take());
    other.wait().unwrap();
}
