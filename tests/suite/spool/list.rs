//! `spool list`: what it says of mailboxes and of everything else in the spool directory, what it remembers, and that
//! it leaves all of it as it was.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::{ORDINARY, Run, Scratch, is_root, skip, user_name};

const BOUNCE: &str = "Return-Path: <>\nFrom: MAILER-DAEMON@b.test\nTo: a@a.test\nSubject: failure notice\n\nHi. This is the qmail-send program at b.test.\n\n<c@c.test>:\nSorry, no mailbox here by that name. (#5.1.1)\n";
const SEPARATOR: &str = "From s@s.test Mon Nov  2 10:00:00 2026\n";

fn mbox(messages: &[&str]) -> String {
    messages.iter().map(|text| format!("{SEPARATOR}{text}\n")).collect()
}

fn ordinary() -> &'static str {
    std::str::from_utf8(ORDINARY).unwrap()
}

fn in_spool(scratch: &Scratch, name: &str) -> PathBuf {
    scratch.path("spool").join(name)
}

/// Puts a mailbox into the spool directory, as one has to be.
fn put(scratch: &Scratch, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = in_spool(scratch, name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn append(path: &Path, text: &str) {
    File::options()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn list<'a>(scratch: &'a Scratch, arguments: &[&str]) -> Run<'a> {
    scratch.run(&["spool", "list"]).with(arguments)
}

/// One JSON object a line, in the order of the output.
fn objects(output: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What `--json` says of the only mailbox.
#[track_caller]
fn only(scratch: &Scratch, arguments: &[&str]) -> Value {
    let ended = list(scratch, &["--json"]).with(arguments).go();
    ended.ends_with(0);
    let mut found = objects(&ended.stdout);
    assert_eq!(found.len(), 1, "{}", ended.story());
    found.remove(0)
}

/// The same without what tells one look from another.
fn numbers(mut object: Value) -> Value {
    for key in ["growth", "since"] {
        object.as_object_mut().unwrap().remove(key);
    }
    object
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

#[test]
fn the_cause_is_said_with_the_command_that_helps() {
    let scratch = Scratch::new().set("quota.limit", "\"700B\"");
    let user = user_name();
    put(&scratch, &user, mbox(&[BOUNCE, BOUNCE, ordinary(), BOUNCE]));
    let ended = list(&scratch, &[]).go();
    let said = text(&ended.ends_with(0).stdout);
    for part in [
        "bounces about c@c.test (3 messages)".to_owned(),
        format!("-> {} spool sweep {user} --bounces", scratch.printed_program()),
        "  114% of 700  ".to_owned(),
        " 75% ".to_owned(),
        "1 mailbox, ".to_owned(),
    ] {
        assert!(said.contains(&part), "{part:?} is missing in\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "colours where there is no terminal");
    assert!(ended.stderr.is_empty(), "{}", ended.story());
}

#[test]
fn each_mailbox_is_one_json_object_with_the_promised_keys() {
    let scratch = Scratch::new().set("quota.limit", "\"10K\"").set("quota.messages", "4");
    let user = user_name();
    let seen = "From: Sam <S@s.test>\nMessage-ID: <1@s.test>\nStatus: RO\n\nHello.\n";
    let again = "From: Sam <S@s.test>\nMessage-ID: <1@s.test>\n\nHello.\n";
    let text = mbox(&[seen, again]) + &mbox(&[BOUNCE]).replace("Nov  2", "Nov  3");
    let path = put(&scratch, &user, &text);
    let found = only(&scratch, &[]);
    let want = serde_json::json!({
        "path": path, "user": user, "alias": false, "size": text.len(), "quota": 10240, "messages_quota": 4, "share": 75,
        "messages": 3, "unread": 2, "oldest": "2026-11-02T10:00:00Z", "newest": "2026-11-03T10:00:00Z",
        "growth": null, "since": null, "bounces": 1, "loops": 0, "complaints": 0, "receipts": 0, "auto_replies": 0, "notices": 0, "cron": 0,
        "lists": 0, "ordinary": 2, "duplicates": 1, "problems": [],
    });
    for (key, value) in want.as_object().unwrap() {
        assert_eq!(found.get(key), Some(value), "{key} of {found}");
    }
    assert_eq!(found["senders"][0]["address"], "mailer-daemon@b.test");
    assert_eq!(found["senders"][1]["messages"], 2);
    assert_eq!(found["failed"][0]["address"], "c@c.test");
    assert_eq!(found["cause"], "bounces about c@c.test (1 message)");
    assert!(found["command"].is_string() && found["uid"].is_u64(), "{found}");
    assert_eq!(
        found.as_object().unwrap().len(),
        29,
        "a key that nobody promised: {found}"
    );
}

#[test]
fn duplicates_are_what_a_sweep_would_take() {
    let scratch = Scratch::new();
    let user = user_name();
    let letter = |id: &str, text: &str| format!("From: s@s.test\n{id}Subject: x\n\n{text}\n");
    let (same, long) = (letter("Message-ID: <1@s.test>\n", "Hello."), "long\n".repeat(20_000));
    let parts = [
        same.clone(),
        // Another text under the same Message-ID.
        letter("Message-ID: <1@s.test>\n", "Goodbye."),
        // None has a Message-ID.
        letter("", "Good morning."),
        letter("", "Good morning."),
        // They differ behind what is judged.
        letter("", &format!("{long}one")),
        letter("", &format!("{long}two")),
        letter("", &format!("{long}two")),
        // Two messages, or one.
        letter("", "Good morning.\n\nFrom s@s.test 2026-11-02\nSubject: x\n\nhello"),
        letter("", "Good morning.\n\nFrom s@s.test 2026-11-02\nSubject: x\n\nhello"),
    ];
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let path = put(&scratch, &user, mbox(&parts));
    let agree = |want: u64| {
        let found = only(&scratch, &[]);
        let sweep = scratch
            .run(&["spool", "sweep", &user, "--duplicates", "--dry-run", "--json"])
            .go();
        let planned = objects(&sweep.stdout)[0]["messages"].as_u64().unwrap();
        assert_eq!(
            (found["duplicates"].as_u64(), planned),
            (Some(want), want),
            "{}",
            sweep.story()
        );
    };
    agree(2);
    // What came since the last look is compared with all that was there.
    append(&path, &mbox(&[same.as_str(); 3]));
    agree(5);
}

#[test]
fn what_is_no_mailbox_is_named_with_advice_and_left_alone() {
    let scratch = Scratch::new();
    let at = |name: &str| in_spool(&scratch, name);
    let secret = scratch.path("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, at("link")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(at("directory")).unwrap();
    put(&scratch, "two", mbox(&[ordinary()]));
    fs::hard_link(at("two"), scratch.path("zwei")).unwrap();
    put(&scratch, "archive.tar.gz", b"\x1f\x8b not mail");
    put(&scratch, "-odd\n\u{1b}[2Jname", "no mbox");
    put(&scratch, "open", mbox(&[ordinary()]));
    fs::set_permissions(at("open"), fs::Permissions::from_mode(0o644)).unwrap();
    let foreign = if is_root() { "daemon" } else { "root" };
    put(&scratch, foreign, mbox(&[ordinary()]));
    put(&scratch, "x.lock", "4000000000\n");
    put(&scratch, "y.lock", format!("{}\n", std::process::id()));
    put(&scratch, "z.lock", "0");
    put(&scratch, ".open.spoolguard-cut", "mail");
    put(&scratch, ".two.spoolguard-cut", "spoolguard done!");
    put(&scratch, ".z.spoolguard-cut.new", "half");
    put(&scratch, ".y.spoolguard-cut.new", "a moment ago");
    let old = SystemTime::now() - Duration::from_secs(7200);
    for name in [
        "x.lock",
        "z.lock",
        ".open.spoolguard-cut",
        ".two.spoolguard-cut",
        ".z.spoolguard-cut.new",
    ] {
        File::options()
            .write(true)
            .open(at(name))
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    let state = || -> Vec<_> {
        fs::read_dir(scratch.path("spool"))
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let stat = path.symlink_metadata().unwrap();
                // Reading where a link leads is noted in the link, and nothing can be done about it.
                let accessed = if stat.is_symlink() { 0 } else { stat.atime_nsec() };
                let times = (stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec(), accessed);
                (path, stat.ino(), stat.mode(), stat.size(), times)
            })
            .collect()
    };
    let before = state();
    let ended = list(&scratch, &[]).go();
    ended.ends_with(1);
    let said = text(&ended.stdout);
    let dir = scratch.path("spool").display().to_string();
    for line in [
        format!(
            "wrong: {dir}/link: it is a symbolic link to {}, and no delivery follows it; rm {dir}/link",
            secret.display()
        ),
        format!("wrong: {dir}/fifo: it is a FIFO, and no mailbox; rm {dir}/fifo"),
        format!("wrong: {dir}/directory: it is a directory, and not an mbox; no delivery uses it; move it elsewhere"),
        format!("wrong: {dir}/two: it has 2 names, and no delivery uses it; find the others"),
        format!("wrong: {dir}/archive.tar.gz: it does not begin as an mbox does, with a From line; look what it is"),
        format!("wrong: {dir}/-odd\\n\\u{{1b}}[2Jname: it does not begin as an mbox does"),
        format!("(file $'{dir}/-odd\\012\\033\\133"),
        format!("wrong: {dir}/open: its mode is 644: everybody may use it; chmod 600 {dir}/open"),
        format!("not to {foreign}, and no delivery uses it; chown {foreign} {dir}/{foreign}"),
        format!("wrong: {dir}/x.lock: a lock, left by process 4000000000, which is gone; rm {dir}/x.lock"),
        format!(
            "wrong: {dir}/.open.spoolguard-cut: an archive, a sweep or a restore was interrupted, and this holds the mail"
        ),
        format!(
            "wrong: {dir}/.z.spoolguard-cut.new: it was left by a command that did not end, and nothing depends on it; rm {dir}/.z"
        ),
        format!("wrong: {dir}/z.lock: a lock, 2 hours old, and nobody says whose it is; if no mail program"),
    ] {
        assert!(said.contains(&line), "{line:?} is missing in\n{said}");
    }
    for name in ["y.lock", ".two.", ".y."] {
        assert!(!said.contains(name), "{name} is in use, or done with:\n{said}");
    }
    assert!(!said.contains("secret\n") && !said.contains('\u{1b}'), "{said}");
    assert_eq!(state(), before, "something in the spool directory was changed");
    // The same for programs: one object for each, with nothing where there are no numbers.
    let ended = list(&scratch, &["--json"]).go();
    ended.ends_with(1);
    let found = objects(&ended.stdout);
    assert_eq!(found.len(), 12, "{}", ended.story());
    let link = found.iter().find(|object| object["user"] == "link").unwrap();
    assert!(
        link["messages"].is_null() && link["problems"][0]["wrong"] == true,
        "{link}"
    );
}

#[test]
fn a_second_look_reads_only_what_grew() {
    let scratch = Scratch::new();
    let path = put(&scratch, &user_name(), mbox(&[BOUNCE, ordinary()]).repeat(50));
    let first = only(&scratch, &[]);
    assert_eq!((&first["messages"], &first["growth"]), (&100.into(), &Value::Null));
    let said = text(&list(&scratch, &[]).go().stdout);
    assert!(said.contains("; 0 bytes of it read, the rest known"), "{said}");
    let more = mbox(&[BOUNCE, "List-Id: <l.lists.test>\nFrom: l@lists.test\nStatus: RO\n\nx\n"]);
    append(&path, &more);
    let second = only(&scratch, &[]);
    assert_eq!(
        (
            &second["messages"],
            &second["bounces"],
            &second["lists"],
            &second["unread"]
        ),
        (&102.into(), &51.into(), &1.into(), &101.into())
    );
    assert_eq!(second["growth"], more.len());
    assert!(second["since"].is_string(), "{second}");
    // Whatever was remembered, the numbers are those of a look at everything.
    assert_eq!(numbers(second), numbers(only(&scratch, &["--fresh"])));
    append(&path, &more);
    let said = text(&list(&scratch, &[]).go().stdout);
    let bytes = more.len() + mbox(&["List-Id: <l.lists.test>\nFrom: l@lists.test\nStatus: RO\n\nx\n"]).len();
    assert!(
        said.contains(&format!("; {bytes} bytes of it read")),
        "more than the last message and what came since:\n{said}"
    );
}

#[test]
fn a_message_half_written_at_the_last_look_is_judged_again() {
    let scratch = Scratch::new();
    let whole = mbox(&[ordinary(), BOUNCE]);
    let (half, rest) = whole.split_at(whole.len() - BOUNCE.len() / 2);
    let path = put(&scratch, &user_name(), half);
    let _ = only(&scratch, &[]);
    append(&path, rest);
    append(&path, &mbox(&[ordinary()]));
    let found = only(&scratch, &[]);
    assert_eq!((&found["messages"], &found["bounces"]), (&3.into(), &1.into()));
    assert_eq!(found["failed"][0]["address"], "c@c.test");
    assert_eq!(numbers(found), numbers(only(&scratch, &["--fresh"])));
}

#[test]
fn a_mailbox_that_is_another_one_now_is_read_anew() {
    let scratch = Scratch::new();
    let user = user_name();
    let bounces = mbox(&[BOUNCE]).repeat(4);
    let path = put(&scratch, &user, &bounces);
    let look = |messages: u64, reports: u64, why: &str| {
        let found = only(&scratch, &[]);
        assert_eq!(
            (&found["messages"], &found["bounces"]),
            (&messages.into(), &reports.into()),
            "{why}"
        );
        found
    };
    let _ = look(4, 4, "at first");
    // Written over in place, and the time of writing set back, as mail programs do.
    let stat = fs::metadata(&path).unwrap();
    let other = mbox(&[&BOUNCE
        .replace("qmail-send program", "friend of yours   ")
        .replace("failure notice", "a short notice")
        .replace("MAILER-DAEMON", "somebody-else")
        .replace("Return-Path: <>", "X-Other-Way: <>")])
    .repeat(4);
    assert_eq!(other.len(), bounces.len());
    let file = File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, other.as_bytes(), 0).unwrap();
    file.set_times(FileTimes::new().set_modified(stat.modified().unwrap()))
        .unwrap();
    let _ = look(4, 0, "written over");
    // Cut, as an expunge does.
    file.set_len((other.len() / 2) as u64).unwrap();
    let found = look(2, 0, "cut");
    assert_eq!(found["growth"], -i64::try_from(other.len() / 2).unwrap());
    // Another file, and longer.
    let fresh = scratch.path("fresh");
    fs::write(&fresh, mbox(&[BOUNCE]).repeat(7)).unwrap();
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&fresh, &path).unwrap();
    let _ = look(7, 7, "replaced");
    // The same with messages as long as those before, so that one begins where one began.
    let alike = other.replace("Sorry, no", "Happy, so").repeat(10);
    File::options()
        .write(true)
        .truncate(true)
        .open(&path)
        .unwrap()
        .write_all(alike.as_bytes())
        .unwrap();
    let _ = look(40, 0, "as long as before");
    // The first message is another, and it has grown.
    let first = alike
        .replacen("X-Other-Way", "Return-Path", 1)
        .replacen("somebody-else", "MAILER-DAEMON", 1);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .write_all((first.replacen("a short notice", "failure notice", 1) + &mbox(&[ordinary()])).as_bytes())
        .unwrap();
    let _ = look(41, 1, "another first message");
    // The beginning is other, and it has grown.
    let text = mbox(&[ordinary()]) + &mbox(&[BOUNCE]).repeat(60);
    File::options()
        .write(true)
        .truncate(true)
        .open(&path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let _ = look(61, 60, "another beginning");
}

#[test]
fn a_damaged_memory_is_none() {
    let scratch = Scratch::new();
    put(&scratch, &user_name(), mbox(&[BOUNCE, ordinary()]));
    let first = numbers(only(&scratch, &[]));
    let memories = scratch.files("state/list");
    assert_eq!(memories.len(), 1);
    let whole = fs::read_to_string(&memories[0]).unwrap();
    let wrong_number = whole.replace("\"messages\":1", "\"messages\":7");
    assert_ne!(wrong_number, whole);
    fs::write(&memories[0], &wrong_number).unwrap();
    assert_eq!(
        only(&scratch, &[])["messages"],
        8,
        "the memory was not used, so that this test shows nothing"
    );
    fs::write(&memories[0], &wrong_number).unwrap();
    assert_eq!(numbers(only(&scratch, &["--fresh"])), first);
    for damaged in [
        "",
        "{",
        "[]",
        &whole[..whole.len() / 2],
        &whole.replace("\"settled\":", "\"settled\":9"),
    ] {
        fs::write(&memories[0], damaged).unwrap();
        let found = only(&scratch, &["--fresh"]);
        assert_eq!(numbers(found), first, "{damaged}");
        fs::write(&memories[0], damaged).unwrap();
        if !damaged.contains("settled\":9") {
            assert_eq!(numbers(only(&scratch, &[])), first, "{damaged}");
        }
    }
    // A place where nothing can be remembered changes nothing.
    fs::remove_dir_all(scratch.path("state")).unwrap();
    fs::write(scratch.path("state"), "").unwrap();
    assert_eq!(numbers(only(&scratch, &[])), first);
}

#[test]
fn a_look_leaves_the_times_of_a_mailbox_alone() {
    let scratch = Scratch::new();
    let path = put(&scratch, &user_name(), mbox(&[ordinary()]));
    let hour = |hours: u64| SystemTime::now() - Duration::from_secs(3600 * hours);
    // Written later than read: there is new mail. A read would set the time of reading, also where the file system is
    // lazy about it.
    let times = FileTimes::new().set_accessed(hour(3)).set_modified(hour(2));
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_times(times)
        .unwrap();
    let stat = || {
        let stat = fs::metadata(&path).unwrap();
        (
            stat.atime(),
            stat.atime_nsec(),
            stat.mtime(),
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec(),
        )
    };
    let before = stat();
    for arguments in [&[][..], &["--fresh"]] {
        let _ = only(&scratch, arguments);
        assert_eq!(stat(), before);
    }
    let _ = scratch.run(&["spool", "list", "--dry-run"]).go();
    assert_eq!(stat(), before);
}

#[test]
fn nothing_is_remembered_in_a_dry_run() {
    let scratch = Scratch::new();
    put(&scratch, &user_name(), mbox(&[ordinary()]));
    list(&scratch, &["--dry-run"]).go().ends_with(0);
    assert!(scratch.files("state/list").is_empty());
}

#[test]
fn the_numbers_are_those_of_inspect() {
    let scratch = Scratch::new();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut text = Vec::new();
    for kind in ["bounce", "loop", "complaint", "receipt", "auto-reply", "ordinary"] {
        for entry in fs::read_dir(corpus.join(kind)).unwrap() {
            let message = fs::read(entry.unwrap().path()).unwrap();
            if !message.windows(6).any(|window| window == b"\nFrom ") {
                text.extend([SEPARATOR.as_bytes(), &message, b"\n\n"].concat());
            }
        }
    }
    let path = put(&scratch, &user_name(), &text);
    let inspected = objects(&scratch.run(&["inspect", "--json", path.to_str().unwrap()]).go().stdout);
    let found = only(&scratch, &[]);
    assert_eq!(found["messages"], inspected.len());
    assert!(inspected.len() > 300, "where is the corpus?");
    let count = |verdict: &str| inspected.iter().filter(|object| object["verdict"] == verdict).count();
    for (key, verdict) in [
        ("bounces", "bounce"),
        ("loops", "loop"),
        ("complaints", "complaint"),
        ("receipts", "receipt"),
        ("auto_replies", "auto-reply"),
    ] {
        assert_eq!(found[key], count(verdict), "{key}");
    }
    let rest = ["cron", "lists", "ordinary"].map(|key| found[key].as_u64().unwrap());
    assert_eq!(rest.iter().sum::<u64>(), count("ordinary") as u64);
}

#[test]
fn mailboxes_are_sorted_and_cut_as_asked_for() {
    let scratch = Scratch::new();
    let old = mbox(&[ordinary()]).replace("2026", "2014");
    put(&scratch, "old", old);
    put(&scratch, "bounces", mbox(&[BOUNCE, BOUNCE]));
    put(&scratch, "many", mbox(&["A: 1\n\n"; 9]));
    put(&scratch, "large", mbox(&[&format!("A: 1\n\n{}\n", "x".repeat(9000))]));
    let names = |arguments: &[&str]| -> Vec<String> {
        let ended = list(&scratch, &["--json"]).with(arguments).go();
        objects(&ended.stdout)
            .iter()
            .map(|object| object["user"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&[]), ["large", "bounces", "many", "old"]);
    assert_eq!(names(&["--sort", "messages", "--top", "2"]), ["many", "bounces"]);
    assert_eq!(names(&["--sort", "bounces", "--top", "1"]), ["bounces"]);
    assert_eq!(names(&["--sort", "oldest", "--top", "1"]), ["old"]);
    assert_eq!(names(&["--sort", "name"]), ["bounces", "large", "many", "old"]);
    assert_eq!(names(&["--larger-than", "5K"]), ["large"]);
    assert_eq!(
        names(&["old", in_spool(&scratch, "many").to_str().unwrap()]),
        ["many", "old"]
    );
    append(&in_spool(&scratch, "old"), &mbox(&[ordinary()]));
    assert_eq!(names(&["--sort", "growth", "--top", "1"]), ["old"]);
    let said = text(&list(&scratch, &["--top", "1"]).go().stdout);
    assert!(
        said.contains("4 mailboxes, ") && said.contains("; the first 1 are shown"),
        "{said}"
    );
    fs::set_permissions(in_spool(&scratch, "many"), fs::Permissions::from_mode(0o644)).unwrap();
    let ended = list(&scratch, &["--top", "1"]).go();
    ended.ends_with(1);
    let said = text(&ended.stdout);
    assert!(
        said.contains("many: its mode is 644") && !said.contains("\nmany "),
        "{said}"
    );
    let absent = list(&scratch, &["old", "nobody-of-this-name"]).go();
    absent.ends_with(1).mentions("there is no such mailbox");
}

#[test]
fn metrics_are_in_the_text_format_of_prometheus() {
    let scratch = Scratch::new().set("quota.limit", "\"1M\"");
    put(&scratch, "a\\b\"c\nd", mbox(&[BOUNCE, ordinary()]));
    let ended = list(&scratch, &["--prometheus"]).go();
    ended.ends_with(0);
    let said = text(&ended.stdout);
    let dir = scratch.path("spool").display().to_string();
    let labels = format!("user=\"a\\\\b\\\"c\\nd\",path=\"{dir}/a\\\\b\\\"c\\nd\"");
    for line in [
        format!("spoolguard_mailbox_messages{{{labels}}} 2\n"),
        format!("spoolguard_mailbox_quota_bytes{{{labels}}} 1048576\n"),
        format!("spoolguard_mailbox_kind_messages{{{labels},kind=\"bounce\"}} 1\n"),
        "spoolguard_spool_mailboxes 1\n".to_owned(),
        "spoolguard_spool_problems 0\n".to_owned(),
    ] {
        assert!(said.contains(&line), "{line} is missing in\n{said}");
    }
    // Each sample stands below the lines that explain it.
    let mut explained = String::new();
    let mut samples = 0;
    for line in said.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            explained = rest.strip_suffix(" gauge").unwrap().to_owned();
        } else if !line.starts_with("# HELP ") {
            assert_eq!(line.split(['{', ' ']).next(), Some(explained.as_str()), "{line}");
            let (_, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            samples += 1;
        }
    }
    assert!(samples > 15, "{said}");
}

#[test]
fn whatever_a_file_is_called_its_metrics_are_text_and_its_own() {
    let scratch = Scratch::new();
    let names: [&[u8]; 5] = [b"a\xff", b"a\xfe", br"a\xff", b"a\rb", b"a\x1b[2J"];
    for name in names {
        let path = scratch.path("spool").join(OsStr::from_bytes(name));
        fs::write(&path, mbox(&[ordinary()])).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let ended = list(&scratch, &["--prometheus"]).go();
    ended.ends_with(0);
    let said = text(&ended.stdout);
    ended.check(
        !said.chars().any(|c| c.is_control() && c != '\n') && !said.contains('\u{fffd}'),
        "it steers terminals, or says nothing",
    );
    let labels: BTreeSet<_> = said
        .lines()
        .filter(|line| line.starts_with("spoolguard_mailbox_messages{"))
        .collect();
    assert_eq!(labels.len(), names.len(), "{said}");
    assert!(
        said.contains(r#"{user="a\\xff",path="#) && said.contains(r#"{user="a\\x1b[2J",path="#),
        "{said}"
    );
}

#[test]
fn a_user_sees_what_may_be_read_and_how_much_may_not() {
    if !is_root() {
        return skip("only root can make a mailbox of somebody else");
    }
    let scratch = Scratch::new();
    fs::set_permissions(scratch.path("spool"), fs::Permissions::from_mode(0o755)).unwrap();
    put(&scratch, "other", mbox(&[ordinary()]));
    let own = put(&scratch, "own-box", mbox(&[BOUNCE]));
    let uid = 54_321;
    std::os::unix::fs::chown(&own, Some(uid), Some(uid)).unwrap();
    // Others may read this one, but not without leaving a trace: it would look read. Where times of reading are not
    // kept, none is left.
    let mount = rustix::fs::statvfs(scratch.path("spool")).unwrap();
    let leaves_no_trace = mount.f_flag.contains(rustix::fs::StatVfsMountFlags::NOATIME);
    let trace = put(&scratch, "trace", mbox(&[ordinary()]));
    fs::set_permissions(&trace, fs::Permissions::from_mode(0o604)).unwrap();
    let before = fs::metadata(&trace).unwrap().atime_nsec();
    let ended = list(&scratch, &[]).uid(uid).go();
    let said = text(&ended.stdout);
    assert!(said.contains("bounces about c@c.test"), "{}", ended.story());
    let unread = if leaves_no_trace {
        "1 mailbox of somebody else cannot be read"
    } else {
        "2 mailboxes of others cannot be read"
    };
    assert!(said.contains(unread), "{}", ended.story());
    assert_eq!(fs::metadata(&trace).unwrap().atime_nsec(), before);
}

#[test]
fn a_directory_that_cannot_be_read_ends_it_with_75() {
    let scratch = Scratch::new().set("mailbox.location", "\"mbox:/no/such/spool/%u\"");
    let ended = list(&scratch, &[]).go();
    ended.ends_with(75);
    assert_eq!(
        ended.stderr,
        "spoolguard: cannot examine spool directory /no/such/spool: no such file or directory\n"
    );
    let scratch = Scratch::new();
    scratch.run(&["spool", "list", "--sort", "colour"]).go().ends_with(64);
}

#[test]
fn a_mailbox_that_outgrows_the_reader_is_read_up_to_its_old_end() {
    let scratch = Scratch::new();
    let user = user_name();
    let path = put(&scratch, &user, mbox(&[ordinary()]).repeat(2000));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // A message is sooner written than judged: whoever reads to the end does not come there in time. The bound is
        // for the disk, where the check below fails and nobody says stop.
        scope.spawn(|| {
            let mut file = File::options().append(true).open(&path).unwrap();
            for _ in 0..1_000_000 {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                file.write_all(mbox(&[ordinary()]).as_bytes()).unwrap();
            }
        });
        let ended = list(&scratch, &["--json"]).go();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        ended.ends_with(0);
        let found = objects(&ended.stdout);
        assert!(found[0]["messages"].as_u64().unwrap() >= 2000, "{}", ended.story());
        assert_eq!(
            found[0]["problems"],
            serde_json::json!([]),
            "that it grew is nothing to be said"
        );
    });
}

#[test]
fn a_mailbox_cut_or_replaced_while_it_is_read_is_said_to_be() {
    let scratch = Scratch::new();
    // So long that it is still being read when it is cut.
    let whole = mbox(&[ordinary()]).repeat(30_000);
    let path = put(&scratch, &user_name(), &whole);
    let running = list(&scratch, &["--json"]).start();
    running.until_open(&path);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(whole.len() as u64 / 30)
        .unwrap();
    let ended = running.end();
    ended.ends_with(0);
    let found = &objects(&ended.stdout)[0];
    let what = |found: &Value| found["problems"][0]["what"].as_str().unwrap_or_default().to_owned();
    assert_eq!(what(found), "it was cut while it was read; look again");
    assert!(found["messages"].as_u64().unwrap() < 30_000, "{found}");
    assert!(
        scratch.files("state/list").is_empty(),
        "what was never there is remembered"
    );
    fs::write(&path, &whole).unwrap();
    let running = list(&scratch, &["--json"]).start();
    running.until_open(&path);
    let other = scratch.path("other");
    fs::write(&other, mbox(&[ordinary()])).unwrap();
    fs::rename(&other, &path).unwrap();
    let ended = running.end();
    let found = &objects(&ended.ends_with(0).stdout)[0];
    assert_eq!(what(found), "it was replaced while it was read; look again");
    assert!(scratch.files("state/list").is_empty());
}

#[test]
fn memory_does_not_grow_with_mailbox_or_message() {
    let scratch = Scratch::new();
    let user = user_name();
    let path = put(
        &scratch,
        &user,
        mbox(&[&String::from_utf8(crate::support::large(20_000)).unwrap()]).repeat(100),
    );
    // And a message that is larger than what it may take by far, most of which is a hole.
    append(&path, &mbox(&["Subject: huge\n\nx\n"]));
    let file = File::options().write(true).open(&path).unwrap();
    let end = (128 << 20) + file.metadata().unwrap().len();
    file.set_len(end).unwrap();
    append(&path, &format!("\n\n{}", mbox(&[BOUNCE])));
    let ended = list(&scratch, &["--json"]).measured().go();
    ended.ends_with(0);
    let found = objects(&ended.stdout);
    assert_eq!((&found[0]["messages"], &found[0]["bounces"]), (&102.into(), &1.into()));
    assert!(
        ended.peak_bytes > 0 && ended.peak_bytes < 24 << 20,
        "{} bytes",
        ended.peak_bytes
    );
}

#[test]
fn a_signal_ends_a_look_with_75() {
    let scratch = Scratch::new();
    let path = put(&scratch, &user_name(), mbox(&[ordinary()]));
    // So long that it is still at it.
    append(&path, &mbox(&[ordinary()]).repeat(100_000));
    let running = list(&scratch, &[]).start();
    running.until_open(&path);
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.end().ends_with(75).mentions("told to stop by a signal");
}
