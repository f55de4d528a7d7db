//! Any bytes as an archive: reading them never panics, needs bounded memory, and what passes as sound gives as many
//! bytes as it says. What we pack comes back.
#![no_main]

use std::fs::{self, File};
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use spoolguard::archive::Member;
use spoolguard::archive::messages::{each_message, take_inventory};
use spoolguard::archive::read::{ArchiveContent, is_packed, unpack_archive};
use spoolguard::archive::write::pack_member;
use spoolguard::config::ArchiveFormat as Format;
use spoolguard_fuzz::dir;

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 6 {
        0 => read(bytes),
        1 => {
            let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
            gz.write_all(bytes).expect("memory");
            read(&gz.finish().expect("memory"));
        }
        2 => read(&zstd::encode_all(bytes, 1).expect("memory")),
        kind => {
            let format = [Format::TarGz, Format::Gz, Format::Zst][usize::from(kind) - 3];
            comes_back(format, &[b"From s@s.test Mon Nov  2 10:00:00 2026\n", bytes].concat());
        }
    }
});

fn file(bytes: &[u8]) -> File {
    let path = dir().join("archive");
    fs::write(&path, bytes).expect("an archive");
    File::open(path).expect("the archive")
}

fn read(bytes: &[u8]) {
    let _ = is_packed(bytes);
    let archive = file(bytes);
    let Ok(inventory) = take_inventory(&archive) else {
        return;
    };
    // Where the first message begins, and how long all are.
    let mut found = vec![None; inventory.mailboxes.len()];
    let read = each_message(
        &archive,
        &inventory,
        |_| true,
        |message| {
            let (_, bytes) = found[message.mailbox].get_or_insert((message.stored.offset, 0));
            *bytes += message.stored.bytes;
            let mut text = Vec::new();
            message.copy_to(&mut text)?;
            assert_eq!(text.len() as u64, message.stored.bytes);
            std::io::Result::Ok(())
        },
    );
    read.expect("it was read before");
    for (member, found) in inventory.mailboxes.iter().zip(found) {
        // What stands before it is no message.
        if let Some((first, bytes)) = found {
            assert_eq!(member.bytes, first + bytes);
        }
    }
}

fn comes_back(format: Format, mbox: &[u8]) {
    let member = Member {
        name: "a".into(),
        bytes: mbox.len() as u64,
        mode: 0o660,
        ..Member::default()
    };
    let packed = pack_member(Vec::new(), format, &member, mbox).expect("memory");
    let mut back = Vec::new();
    let all = unpack_archive(&file(&packed), |content, bytes| {
        assert!(matches!(content, ArchiveContent::Mailbox(_)), "a mailbox is none");
        bytes.read_to_end(&mut back)?;
        std::io::Result::Ok(())
    });
    all.expect("it is sound");
    assert!(back == mbox, "it is not what was packed");
}
