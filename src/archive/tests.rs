//! What is packed comes back, from what other tools write too, and what is damaged does not pass.

use std::fs::File;
use std::io::{self, Seek, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use crate::archive::Member;
use crate::archive::publish::ArchiveDir;
use crate::archive::read::{ArchiveContent, name_without_endings, unpack_archive};
use crate::archive::write::pack_member;
use crate::config::ArchiveFormat;

const FORMATS: [ArchiveFormat; 3] = [ArchiveFormat::TarGz, ArchiveFormat::Gz, ArchiveFormat::Zst];

fn ok<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|e| unreachable!("{e}"))
}

fn mailbox(bytes: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut number = 0_u32;
    while text.len() < bytes {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ok(write!(
            text,
            "From s@s.test Mon Nov  2 10:00:00 2026\nA: {number}\n\nb{number:x}\n\n"
        ));
    }
    text
}

fn member(name: &str, bytes: usize) -> Member {
    Member {
        name: name.into(),
        bytes: bytes as u64,
        uid: 1000,
        gid: 8,
        user: "a".to_owned(),
        group: "mail".to_owned(),
        mode: 0o660,
        modified: 1_700_000_000,
    }
}

fn file(content: &[u8]) -> File {
    let mut file = ok(tempfile::tempfile());
    ok(file.write_all(content));
    file
}

/// Each file in the archive: whether it is a mailbox, what is said about it, what it holds.
fn contents(archive: &[u8]) -> Result<Vec<(bool, Member, Vec<u8>)>, io::Error> {
    let mut found = Vec::new();
    unpack_archive(&file(archive), |content, bytes| {
        let mut text = Vec::new();
        bytes.read_to_end(&mut text)?;
        let (is_mailbox, member) = match content {
            ArchiveContent::Mailbox(member) => (true, member.clone()),
            ArchiveContent::Other(member) => (false, member.clone()),
            ArchiveContent::Unknown => return Err(io::Error::other("unknown")),
        };
        found.push((is_mailbox, member, text));
        Ok::<(), io::Error>(())
    })?;
    Ok(found)
}

#[test]
fn what_another_run_writes_is_never_published() {
    let dir = ok(tempfile::tempdir());
    let archives = ArchiveDir {
        dir: dir.path().join("archives"),
        format: ArchiveFormat::Gz,
        owner: None,
        min_free_bytes: None,
    };
    ok(archives.open("a-"));
    let place = archives.dir.join("a-1.gz");
    let write = |text: &[u8]| ok(archives.write(&place, &member("a", text.len()), text, |_| Ok(())));
    let ours = write(&mailbox(5000));
    // Another host does not see our lock, and takes our draft for a dead run's.
    for entry in ok(archives.dir.read_dir()) {
        ok(std::fs::remove_file(ok(entry).path()));
    }
    let theirs = write(&mailbox(100));
    assert!(ours.publish().is_err());
    assert!(!place.exists());
    ok(theirs.publish());
    assert!(place.exists());
}

fn packed(format: ArchiveFormat, member: &Member, text: &[u8]) -> Vec<u8> {
    ok(pack_member(Vec::new(), format, member, text))
}

#[test]
fn what_is_packed_comes_back_byte_for_byte() {
    let long = "n".repeat(150);
    for bytes in [0, 1, 511, 512, 513, 1 << 20, 5 << 20] {
        for format in FORMATS {
            for name in ["a", &long] {
                let text = mailbox(bytes);
                let member = member(name, text.len());
                let found = ok(contents(&packed(format, &member, &text)));
                assert_eq!(found.len(), 1, "{format:?} {bytes}");
                for (is_mailbox, back, content) in found {
                    assert!(is_mailbox && content == text, "{format:?} {bytes}");
                    match format {
                        ArchiveFormat::TarGz => assert_eq!(back, member),
                        ArchiveFormat::Gz => assert_eq!(back.name, name),
                        ArchiveFormat::Zst => assert!(back.name.is_empty()),
                    }
                }
            }
        }
    }
}

#[test]
fn fewer_bytes_than_said_are_no_archive() {
    for format in FORMATS {
        let text = mailbox(1000);
        let error = pack_member(Vec::new(), format, &member("a", text.len() + 1), &text[..]).err();
        assert_eq!(
            error.map(|e| e.kind()),
            Some(io::ErrorKind::UnexpectedEof),
            "{format:?}"
        );
        // What came meanwhile is left out.
        let found = ok(contents(&packed(format, &member("a", 900), &text)));
        assert_eq!(found.first().map(|(_, _, content)| content.len()), Some(900));
    }
}

#[test]
fn whatever_is_cut_off_or_flipped_is_noticed() {
    let text = mailbox(3000);
    for format in FORMATS {
        let whole = packed(format, &member("a", text.len()), &text);
        for end in 0..whole.len() {
            let cut = whole.get(..end).unwrap_or_default();
            assert!(contents(cut).is_err(), "{format:?}: {end} of {}", whole.len());
        }
        let last = contents(whole.get(..whole.len() - 1).unwrap_or_default());
        assert_eq!(
            last.map_err(|e| e.to_string()).err().as_deref(),
            Some("it ends too early"),
            "{format:?}"
        );
        // Not in the header of gzip, which no checksum covers.
        for at in 40..whole.len() {
            let mut flipped = whole.clone();
            for byte in flipped.iter_mut().skip(at).take(1) {
                *byte ^= 0x10;
            }
            // Bits that fill the last byte of a stream say nothing: then all of it is there.
            match contents(&flipped) {
                Err(_) => {}
                Ok(found) => assert!(found.iter().all(|(_, _, content)| *content == text), "{format:?}: {at}"),
            }
        }
    }
}

#[test]
fn archives_of_other_tools_are_read() {
    let text = mailbox(2000);
    let long = format!("var/{}/a", "d".repeat(200));
    let mut tar = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(0);
    header.set_entry_type(EntryType::Directory);
    ok(tar.append_data(&mut header, "mail/", io::empty()));
    header.set_entry_type(EntryType::Symlink);
    ok(tar.append_link(&mut header, "mail/shadow", "/etc/shadow"));
    header.set_entry_type(EntryType::Regular);
    for (path, content) in [
        ("mail/a", &text[..]),
        (&long, &text),
        ("mail/note", b"no mail"),
        ("mail/b", b""),
    ] {
        header.set_size(content.len() as u64);
        ok(tar.append_data(&mut header, path, content));
    }
    let tar = ok(tar.into_inner());
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    ok(gz.write_all(&tar));
    let want = [
        (true, "a", &text[..]),
        (true, "a", &text),
        (false, "note", b"no mail"),
        (true, "b", b""),
    ];
    for archive in [tar, ok(gz.finish())] {
        let found = ok(contents(&archive));
        let found: Vec<_> = found
            .iter()
            .map(|(is_mailbox, member, content)| (*is_mailbox, member.name.to_str().unwrap_or_default(), &content[..]))
            .collect();
        assert_eq!(found, want);
    }
    // By itself, and as gzip members one after another.
    assert_eq!(ok(contents(&text)).len(), 1);
    let half = packed(ArchiveFormat::Gz, &member("a", text.len()), &text);
    let both = [&half[..], &half].concat();
    assert_eq!(
        ok(contents(&both)).first().map(|(_, _, content)| content.len()),
        Some(2 * text.len())
    );
}

#[test]
fn names_lead_nowhere_and_sizes_are_not_believed() {
    let mut names = Vec::new();
    for path in ["../../etc/passwd", "/etc/passwd", "..", ""] {
        // As a hostile tool writes it: the library refuses to.
        let mut header = Header::new_gnu();
        let field = header.as_mut_bytes();
        for (to, from) in field.iter_mut().zip(path.as_bytes()) {
            *to = *from;
        }
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        header.set_cksum();
        let archive = [&header.as_bytes()[..], &[0; 1024]].concat();
        for (_, member, _) in ok(contents(&archive)) {
            names.push(member.name);
        }
    }
    assert_eq!(names, ["passwd", "passwd", "", ""]);
    for (kind, cause) in [
        (EntryType::GNULongName, "a name in the tar archive in it is too long"),
        (EntryType::XHeader, "a name in the tar archive in it is too long"),
        (EntryType::Regular, "it ends too early"),
    ] {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(1 << 40);
        header.set_cksum();
        let error = contents(&[&header.as_bytes()[..], &[0; 1024]].concat()).err();
        assert_eq!(error.map(|e| e.to_string()).as_deref(), Some(cause), "{kind:?}");
    }
}

#[test]
fn what_is_no_archive_is_called_so() {
    for (content, cause) in [
        (&b""[..], "it is empty"),
        (b"hello\n", "unknown"),
        (&[0; 1024], "unknown"),
        (b"BZh91AY", "bzip2 packed it; unpack it first (bunzip2)"),
        (b"\xfd7zXZ\0", "xz packed it; unpack it first (unxz)"),
        (b"PK\x03\x04....", "zip packed it; unpack it first (unzip)"),
    ] {
        assert_eq!(
            contents(content).map_err(|e| e.to_string()).err().as_deref(),
            Some(cause)
        );
    }
}

#[test]
fn an_archive_that_says_no_name_has_its_files() {
    for (path, name) in [
        ("/b/a.tar.gz", "a"),
        ("a.tgz", "a"),
        ("a.mbox.zst", "a"),
        ("a.b", "a.b"),
        ("/b/a", "a"),
    ] {
        assert_eq!(name_without_endings(path.as_ref()), name);
    }
}

#[test]
fn a_stream_is_read_like_a_file() {
    use crate::archive::rewind::Rolling;
    use crate::mailbox::limited_file::LimitedFile;
    use crate::mailbox::reader::MboxReader;
    use crate::sys::deadline::ReadLimit;
    use crate::sys::read_at::ReadAt;
    let mut text = mailbox(1 << 20);
    // One message larger than what is kept in memory.
    text.extend_from_slice(b"From s@s.test Mon Nov  2 10:00:00 2026\nA: 1\n\n");
    text.resize(text.len() + (20 << 20), b'x');
    text.extend_from_slice(b"\n\n");
    let behind = text.len();
    text.extend_from_slice(&mailbox(2 << 20));
    let mut on_disk = file(&text);
    ok(on_disk.rewind());
    let rolling = Rolling::new(&text[..], text.len() as u64);
    let limited = LimitedFile::new(&on_disk, ReadLimit::until_stopped());
    let (mut a, mut b) = (ok(MboxReader::new(&limited, 100)), ok(MboxReader::new(&rolling, 100)));
    loop {
        let (from_file, from_stream) = (ok(a.next()), ok(b.next()));
        assert_eq!(from_file, from_stream);
        let Some(stored) = from_stream else { break };
        rolling.forget(stored.offset);
        let mut byte = [0];
        assert_eq!(ok(rolling.read_from(&mut byte, stored.offset + stored.bytes - 1)), 1);
        assert_eq!(byte, *b"\n");
    }
    assert!(rolling.read_from(&mut [0], behind as u64).is_err(), "it is forgotten");
    assert_eq!(ok(rolling.read_from(&mut [0], text.len() as u64)), 0);
}
