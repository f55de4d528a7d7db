//! Writes seeds for the fuzz targets, one file each, below the directory that `SEEDS_TO` names: made by the code that
//! writes such files, so that an input begins where a reader goes deepest. They are small. It is built as the targets
//! are, and needs the fuzzer for that alone.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};

use spoolguard::archive::write::pack_member;
use spoolguard::archive::{Member, tar};
use spoolguard::config::ArchiveFormat as Format;
use spoolguard::config::Digest;
use spoolguard::config::destinations::SuspensionSettings;
use spoolguard::deliver::divert::rules::similar::{About, Expendable, Similarity};
use spoolguard::deliver::divert::rules::storm::StormState;
use spoolguard::deliver::forward::history_file::append_lines;
use spoolguard::deliver::forward::history_line::{Fate, HistoryLine};
use spoolguard::deliver::forward::rules::destinations::Destinations;
use spoolguard::deliver::forward::rules::kept::{KeptEvent, KeptReason, first_line, write_line};
use spoolguard::mailbox::append::append;
use spoolguard::moment::Moment;
use spoolguard_fuzz::{Output, clear, deadline, dir, entry, mailbox, open};

const NOW: i64 = 1_795_000_000;

libfuzzer_sys::fuzz_target!(init: write_all(), |_input: &[u8]| {});

fn write_all() {
    let to = PathBuf::from(std::env::var_os("SEEDS_TO").expect("SEEDS_TO names a directory"));
    let mbox = mbox();
    journals(&to.join("journal"), &mbox);
    notes(&to.join("notes"), &mbox);
    archives(&to.join("archive"), &mbox);
    states(&to.join("state"));
    configurations(&to.join("configuration"));
    clear();
    fs::remove_dir(dir()).expect("a directory of its own");
    std::process::exit(0);
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    fs::create_dir_all(dir).expect("a directory");
    fs::write(dir.join(name), bytes).expect("a seed");
}

/// Three messages, as we deliver them.
fn mbox() -> Vec<u8> {
    clear();
    for number in 0..3 {
        let letter = format!("From: s@s.test\nMessage-ID: <{number}@s.test>\nSubject: {number}\n\nFrom here on\n");
        let mut opened = open().expect("a mailbox");
        drop(append(&mut opened, entry(letter.as_bytes())).expect("a delivery"));
    }
    fs::read(mailbox()).expect("the mailbox")
}

fn journals(to: &Path, mbox: &[u8]) {
    let first = mbox.len() / 3;
    for (name, flags, mailbox) in [
        ("committed", 4, mbox),
        ("cut", 1, &mbox[..first]),
        ("appended", 1, mbox),
        ("none", 2, mbox),
        ("ended", 8, mbox),
    ] {
        let seed = Output::default()
            .number(first)
            .number(mbox.len())
            .byte(flags)
            .byte(0)
            .bytes(mailbox);
        write(to, name, &seed.rest(&mbox[first..]).0);
    }
    let damaged = Output::default()
        .number(first)
        .number(mbox.len())
        .byte(1)
        .byte(1)
        .number(20)
        .byte(1);
    write(to, "damaged", &damaged.bytes(&mbox[..first]).rest(&mbox[first..]).0);
}

fn notes(to: &Path, mbox: &[u8]) {
    let (begin, length) = (2 * mbox.len() / 3, mbox.len() / 3);
    for (name, flags, mailbox) in [
        ("whole", 6, mbox),
        ("torn", 2, &mbox[..mbox.len() - 20]),
        ("other", 0, mbox),
        ("moved", 6 | 3 << 5, mbox),
        ("durable", 6 | 2 << 5, mbox),
        ("stored", 6 | 16, mbox),
    ] {
        let note = Output::default()
            .byte(1)
            .byte(flags)
            .number(begin)
            .number(length)
            .byte(1)
            .bytes(b"");
        write(to, name, &note.rest(mailbox).0);
    }
    let holed = [&mbox[..begin + 60], &[0; 40][..], &mbox[begin + 100..]].concat();
    let note = Output::default()
        .byte(1)
        .byte(2)
        .number(begin)
        .number(length)
        .byte(0)
        .bytes(b"");
    write(to, "holed", &note.rest(&holed).0);
    write(to, "name", b"\x001795661026.M598047P79Q0F0123456789abcdef.mx.a.test");
}

fn archives(to: &Path, mbox: &[u8]) {
    let member = Member {
        name: "alice".into(),
        bytes: mbox.len() as u64,
        user: "alice".to_owned(),
        ..Member::default()
    };
    for (name, format) in [("tar.gz", Format::TarGz), ("gz", Format::Gz), ("zst", Format::Zst)] {
        let packed = pack_member(Vec::new(), format, &member, mbox).expect("memory");
        write(to, name, &Output::default().byte(0).rest(&packed).0);
    }
    let tar = [
        tar::write_header(&member).expect("a header"),
        mbox.to_vec(),
        tar::write_trailer(member.bytes),
    ]
    .concat();
    for kind in [0, 1, 2] {
        write(to, &format!("tar-{kind}"), &Output::default().byte(kind).rest(&tar).0);
    }
    for kind in [3, 4, 5] {
        write(to, &format!("mbox-{kind}"), &Output::default().byte(kind).rest(mbox).0);
    }
}

fn states(to: &Path) {
    let seed = |name: &str, kind: u8, bytes: &[u8]| write(to, name, &Output::default().byte(kind).rest(bytes).0);
    let settings = SuspensionSettings::default();
    let mut known = Destinations::default();
    let _ = known.suspend("b@b.test", "a@a.test", Moment::from_seconds(NOW), &settings);
    seed(
        "destinations",
        0,
        &serde_json::to_vec(&known).expect("it can be written"),
    );
    let mut state = StormState::default();
    let print = Similarity {
        key: "k".to_owned(),
        expendable: Expendable::Yes,
        about: About::default(),
    };
    for at in 0..8 {
        let _ = state.judge(&print, NOW + at, &Digest::default());
    }
    seed("storm", 1, &serde_json::to_vec(&state).expect("it can be written"));
    clear();
    let line = HistoryLine::new(NOW, "id:1/text:12345678", Fate::Sent, "b@b.test").with_content("s@s.test", "-");
    for _ in 0..3 {
        append_lines(dir(), &[line], &deadline()).expect("a line");
    }
    seed("history", 2, &fs::read(dir().join("sent")).expect("a history"));
    if let Ok(index) = fs::read(dir().join("sent.index")) {
        seed("index", 3, &index[..index.len().min(4096)]);
    }
    let key = "id:1/text:12345678";
    let kept = KeptEvent::Kept(key, KeptReason::Returned, "550 no");
    let list = [
        first_line("b@b.test", "a@a.test"),
        write_line(NOW, &kept),
        write_line(NOW, &KeptEvent::Told),
    ]
    .concat();
    seed("kept", 4, list.as_bytes());
    seed("sizes", 5, b"100000S,50C\n990 9\n-5 -1\n");
    seed("count", 6, b"{}");
}

fn configurations(to: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let example = fs::read_to_string(root.join("contrib/spoolguard.toml")).expect("the example");
    write(to, "example", example.as_bytes());
    // What the example says, and does not set.
    let set: String = example
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|rest| rest.contains(" = "))
                .unwrap_or(line)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    write(to, "set", set.as_bytes());
    for (number, text) in [
        "admin = \"postmaster\"\n[quota]\nlimit = \"1G\"\n[quota.users]\nalice = \"2G\"\n\"a.b\" = { limit = \"1M\", messages = 5 }\n[quota.groups]\nstaff = \"none\"\n",
        "[mailbox]\nlocation = \"lmtp:mail1.example.org:24\"\nlocks = [\"dotlock\", \"fcntl\"]\n[forward]\ntransport = \"outbox:/x\"\n",
        "quota.limt = 5\n[nothing]\na = [\n",
    ]
    .into_iter()
    .enumerate()
    {
        write(to, &number.to_string(), text.as_bytes());
    }
}
