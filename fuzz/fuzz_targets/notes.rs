//! Any notes on any mailbox: opening it never panics, changes nothing but zeros and the end, cuts off no message of
//! another program, and the next delivery comes, once.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use rustix::fs::{XattrFlags, lsetxattr};
use spoolguard::mailbox::append::append;
use spoolguard::mailbox::measure::checksum_of;
use spoolguard::mailbox::recover::find_earlier;
use spoolguard::mailbox::separator_search::has_separator;
use spoolguard::maildir::name::UniqueName;
use spoolguard::sys::message_buffer::MessageBuffer;
use spoolguard_fuzz::{Input, clear, entry, mailbox, open};
use time::OffsetDateTime;

/// No process has this number.
const DEAD: u32 = i32::MAX.unsigned_abs();

fuzz_target!(|input: &[u8]| {
    clear();
    let mut input = Input(input);
    let notes: Vec<_> = (0..input.byte() % 4)
        .map(|_| {
            (
                input.byte(),
                input.number(),
                input.number(),
                input.byte(),
                input.bytes(),
            )
        })
        .collect();
    let old = input.0;
    if let Some(name) = std::str::from_utf8(old).ok().and_then(UniqueName::parse) {
        assert_eq!(UniqueName::parse(&name.to_string()), Some(name));
    }
    fs::write(mailbox(), old).expect("a mailbox");
    let mut places = Vec::new();
    for (number, (flags, before, length, days, raw)) in notes.iter().enumerate() {
        let value = if flags & 1 != 0 {
            raw.to_vec()
        } else {
            note(old, *flags, *before, *length, *days, raw).into_bytes()
        };
        let name = format!("user.spoolguard.{DEAD}.{number}");
        if lsetxattr(mailbox(), name, &value, XattrFlags::empty()).is_ok() {
            places.push(usize::try_from(*before).unwrap_or(usize::MAX));
        }
    }
    let Ok(opened) = open() else { return };
    drop(opened);
    let new = fs::read(mailbox()).expect("the mailbox");
    assert!(new.len() <= old.len());
    for (at, (new, old)) in new.iter().zip(old).enumerate() {
        assert!(new == old || (*old == 0 && *new == b'\n'), "byte {at} was changed");
    }
    let cut = &old[new.len()..];
    assert!(
        cut.is_empty() || notes.iter().any(|note| note.0 & 1 != 0) || places.contains(&new.len()),
        "cut where no note says so"
    );
    // Behind its own separator line, which may stand behind what the message before lacked.
    let ends = cut.iter().take(2).take_while(|byte| **byte == b'\n').count();
    let line = cut[ends..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(cut.len(), |at| ends + at + 1);
    let bytes = MessageBuffer::from_bytes(cut.to_vec());
    let is_foreign = has_separator(&bytes, line as u64, cut.len() as u64).expect("bytes in memory can be read");
    assert!(!is_foreign, "another message was cut off");
    for times in 0..2 {
        let mut opened = open().expect("it was opened before");
        let letter = b"Subject: next\n\nnext\n";
        let entry = entry(letter);
        let appended = match find_earlier(&mut opened, &entry).expect("it can be read") {
            Some(appended) => appended,
            None => append(&mut opened, entry).expect("a delivery"),
        };
        drop((opened, appended));
        let all = fs::read(mailbox()).expect("the mailbox");
        assert!(
            times == 0 || all.ends_with(b"\nSubject: next\n\nnext\n\n"),
            "a message that is sent twice comes twice"
        );
    }
});

/// A note whose own checksum is right, and that fits what stands there where `flags` says so.
fn note(old: &[u8], flags: u8, before: u64, length: u64, days: u8, raw: &[u8]) -> String {
    let from = usize::try_from(before).unwrap_or(usize::MAX).min(old.len());
    let to = usize::try_from(before + length).unwrap_or(usize::MAX).min(old.len());
    let line = old[from..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(old.len(), |at| from + at + 1);
    let separator = if flags & 2 != 0 {
        checksum_of(&old[from..line])
    } else {
        checksum_of(raw)
    };
    let content = if flags & 4 != 0 {
        checksum_of(&old[from..to])
    } else {
        checksum_of(raw)
    };
    let seconds = OffsetDateTime::now_utc().unix_timestamp() - i64::from(days % 8) * 24 * 3600;
    let host = if flags & 8 != 0 {
        7
    } else {
        checksum_of(spoolguard::sys::account::host_name().as_bytes())
    };
    let mut text = format!("{host:08x} {before:x} {length:x} {separator:08x} {content:08x} {seconds:x}");
    if flags & 16 != 0 {
        text.push_str(&format!(" m{:x}", before / 2));
    }
    text.push_str(["", " w", " d", " v"][usize::from(flags >> 5) % 4]);
    format!("{text} {:04x}", checksum_of(text.as_bytes()) & 0xffff)
}
