//! Mailbox maintenance in Maildirs: what goes is in an archive, what stays is not touched, what comes back has its
//! flags and dates; whatever comes between, every message is in one of the two places, and after the next run in no
//! more than one.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::forward::rescue::{ORIGINAL, report_with};
use crate::robust::faults::strace::{self, Fault};
use crate::robust::hosts;
use crate::spool::archive::{archived, archived_whole, scratch as spool_scratch, stored, unpacked};
use crate::support::{Scratch, contains, is_root, messages, same, shown, skip, user_name};

/// 2015, and not long ago.
const OLD: u64 = 1_420_070_400;
pub const YOUNG: u64 = 1_793_613_600;

fn scratch() -> Scratch {
    let scratch = spool_scratch();
    let location = format!("\"maildir:{}/%u\"", scratch.path("mail").display());
    let scratch = scratch.set("mailbox.location", &location);
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(maildir(&scratch).join(part)).unwrap();
    }
    scratch
}

pub fn maildir(scratch: &Scratch) -> PathBuf {
    scratch.path("mail").join(user_name())
}

/// The text of a message, with everything in it that an mbox would have to quote.
pub fn letter(number: u32) -> String {
    format!(
        "Return-Path: <s{number}@s.test>\nFrom: s{number}@s.test\nMessage-ID: <{number}@s.test>\nSubject: {number}\n\n\
         body {number}\nFrom here on\n>From there\n\nend\n"
    )
}

/// Lays a message down as an IMAP server has it.
pub fn lay(scratch: &Scratch, place: &str, text: &str, seconds: u64) {
    let sizes = format!("S={},W={}", text.len(), text.len() + text.matches('\n').count());
    let path = maildir(scratch).join(place.replace("SIZES", &sizes));
    fs::write(&path, text).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        .unwrap();
}

/// Old ones with any flags, and young ones.
fn fill(scratch: &Scratch) {
    for (number, place, seconds) in [
        (1, "cur/1.M1P1.h,SIZES:2,S", OLD),
        (2, "cur/2.M1P1.h,SIZES:2,FRSab", OLD + 1),
        (3, "new/3.M1P1.h,SIZES", OLD + 2),
        (4, "cur/4.M1P1.h,SIZES:2,", YOUNG),
        (5, "cur/5.M1P1.h:2,DT", OLD + 3),
        (6, "new/6.M1P1.h,SIZES", YOUNG + 1),
    ] {
        lay(scratch, place, &letter(number), seconds);
    }
    let all: usize = (1..=6).map(|number| letter(number).len()).sum();
    fs::write(maildir(scratch).join("maildirsize"), format!("1000000S\n{all} 6\n")).unwrap();
    fs::write(maildir(scratch).join("dovecot-uidlist"), "3 V1 N7 Gx\n1 :1.M1P1.h\n").unwrap();
}

pub fn filled() -> Scratch {
    let scratch = scratch();
    fill(&scratch);
    scratch
}

/// Every message: where, its name, its text, when it came.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
pub struct Lying {
    pub text: String,
    pub flags: String,
    pub seconds: i64,
    pub name: String,
}

pub fn lying(scratch: &Scratch) -> Vec<Lying> {
    let mut found = Vec::new();
    for part in ["new", "cur"] {
        for path in files(&maildir(scratch).join(part)) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            found.push(Lying {
                text: fs::read_to_string(&path).unwrap(),
                flags: match name.split_once(":2,") {
                    Some((_, flags)) => flags.to_owned(),
                    None => part.to_owned(),
                },
                seconds: fs::metadata(&path).unwrap().mtime(),
                name,
            });
        }
    }
    found.sort();
    found
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn numbers(lying: &[Lying]) -> Vec<u32> {
    let number = |lying: &Lying| {
        let line = lying.text.lines().find_map(|line| line.strip_prefix("Subject: "));
        line.unwrap().parse().unwrap()
    };
    lying.iter().map(number).collect()
}

/// The sums of `maildirsize`.
pub fn sums(scratch: &Scratch) -> (i64, i64) {
    let text = fs::read_to_string(maildir(scratch).join("maildirsize")).unwrap();
    let number = |word: Option<&str>| word.unwrap().parse::<i64>().unwrap();
    text.lines().skip(1).fold((0, 0), |(bytes, messages), line| {
        let mut words = line.split_whitespace();
        (bytes + number(words.next()), messages + number(words.next()))
    })
}

/// What `maildirsize` has to come to.
pub fn true_sums(scratch: &Scratch) -> (i64, i64) {
    let lying = lying(scratch);
    let bytes: usize = lying.iter().map(|lying| lying.text.len()).sum();
    (i64::try_from(bytes).unwrap(), i64::try_from(lying.len()).unwrap())
}

#[track_caller]
fn sums_are_true(scratch: &Scratch) {
    assert_eq!(sums(scratch), true_sums(scratch));
}

pub fn archive_old(scratch: &Scratch) -> crate::support::Run<'_> {
    scratch.run(&["spool", "archive", "--yes", &user_name(), "--older-than", "1000d"])
}

pub fn only_archive(scratch: &Scratch) -> PathBuf {
    let [archive] = scratch.files("archives").try_into().unwrap();
    archive
}

/// How often each of the six messages is in the Maildir, and how often in archives.
pub fn places(scratch: &Scratch) -> Vec<(usize, usize)> {
    let (lying, archived) = (lying(scratch), archived_whole(scratch));
    let of = |number: u32| {
        let here = lying.iter().filter(|lying| lying.text == letter(number)).count();
        let mark = format!("Message-ID: <{number}@s.test>");
        (here, memchr::memmem::find_iter(&archived, mark.as_bytes()).count())
    };
    assert!(
        lying
            .iter()
            .all(|lying| (1..=6).any(|number| lying.text == letter(number)))
    );
    (1..=6).map(of).collect()
}

#[test]
fn what_goes_from_a_maildir_comes_back_with_flags_and_dates() {
    let scratch = scratch();
    fill(&scratch);
    let before = lying(&scratch);
    let list = |scratch: &Scratch| fs::read_to_string(maildir(scratch).join("dovecot-uidlist")).unwrap();
    let uids = list(&scratch);
    let ended = archive_old(&scratch).go();
    ended.ends_with(0);
    let stays: Vec<_> = before
        .iter()
        .filter(|lying| lying.seconds >= YOUNG as i64)
        .cloned()
        .collect();
    assert_eq!(lying(&scratch), stays, "what stays is not touched");
    sums_are_true(&scratch);
    let archive = only_archive(&scratch);
    let mbox = unpacked(&archive);
    assert_eq!(messages(&mbox).len(), 4, "{}", shown(&mbox));
    assert!(contains(&mbox, b"\n>From here on\n>>From there\n"), "{}", shown(&mbox));
    assert!(contains(&mbox, b"Status: RO\nX-Status: AF\n") || contains(&mbox, b"Status: RO\nX-Status: FA\n"));
    let name = archive.file_name().unwrap().to_str().unwrap().to_owned();
    for round in 0..2 {
        let ended = scratch.run(&["spool", "restore", "--yes", &name]).go();
        ended.ends_with(0);
        let now = lying(&scratch);
        let but_names = |all: &[Lying]| -> Vec<(String, String, i64)> {
            let one = |one: &Lying| (one.text.clone(), one.flags.replace("new", ""), one.seconds);
            all.iter().map(one).collect()
        };
        // What nobody had seen comes back without a flag.
        assert_eq!(but_names(&now), but_names(&before), "round {round}\n{}", ended.story());
        sums_are_true(&scratch);
    }
    let restored = lying(&scratch)
        .into_iter()
        .find(|lying| lying.text == letter(2))
        .unwrap();
    assert!(restored.name.ends_with(":2,FRSab"), "{}", restored.name);
    assert!(
        restored.name.contains(&format!(",S={},", restored.text.len())),
        "{}",
        restored.name
    );
    assert_eq!(list(&scratch), uids);
    assert_eq!(files(&maildir(&scratch).join("tmp")), Vec::<PathBuf>::new());
}

#[test]
fn a_plan_for_a_maildir_changes_nothing() {
    let scratch = scratch();
    fill(&scratch);
    let before = (lying(&scratch), fs::metadata(maildir(&scratch)).unwrap().ctime_nsec());
    let ended = scratch
        .run(&["spool", "archive", "-n", &user_name(), "--older-than", "1000d"])
        .go();
    ended.ends_with(0).check(
        String::from_utf8_lossy(&ended.stdout).contains("would take 4 messages"),
        "it says what it would do",
    );
    assert_eq!(
        (lying(&scratch), fs::metadata(maildir(&scratch)).unwrap().ctime_nsec()),
        before
    );
    assert_eq!(scratch.files("archives"), Vec::<PathBuf>::new());
    // Nor does one for a Maildir that is not there.
    archive_old(&scratch).go().ends_with(0);
    let archive = only_archive(&scratch).display().to_string();
    let elsewhere = format!("{}/", scratch.path("elsewhere").display());
    let ended = scratch
        .run(&["spool", "restore", "-n", "-m", &elsewhere, &archive])
        .go();
    ended.ends_with(0).check(
        String::from_utf8_lossy(&ended.stdout).contains("would restore 4 messages"),
        "it counts them all",
    );
    assert!(!scratch.path("elsewhere").exists());
}

#[test]
fn an_mbox_archive_goes_into_a_maildir_and_back() {
    let mut scratch = scratch();
    let date = |second: u32| format!("Thu Jan  1 00:00:{second:02} 2015");
    let mbox = stored(1, &date(1), "Status: RO\nX-Status: AF\n")
        + &stored(2, &date(2), "Status: O\n")
        + &stored(3, &date(3), "").replace("body 3", ">From me\nbody 3")
        + &stored(4, &date(4), "Status: RO\nX-Status: DT\n");
    let in_mbox = format!("\"mbox:{}/%u\"", scratch.path("spool").display());
    let in_maildir = format!("\"maildir:{}/%u\"", scratch.path("mail").display());
    scratch.change("mailbox.location", &in_mbox);
    fs::write(scratch.mailbox(), &mbox).unwrap();
    archive_old(&scratch).go().ends_with(0);
    let archive = only_archive(&scratch);
    same(&unpacked(&archive), mbox.as_bytes());
    scratch.change("mailbox.location", &in_maildir);
    let name = archive.file_name().unwrap().to_str().unwrap().to_owned();
    scratch.run(&["spool", "restore", "--yes", &name]).go().ends_with(0);
    let found = lying(&scratch);
    assert_eq!(numbers(&found), [1, 2, 3, 4]);
    let flags: Vec<&str> = found.iter().map(|lying| lying.flags.as_str()).collect();
    assert_eq!(flags, ["FRS", "", "", "DST"]);
    assert!(found[2].text.contains("\nFrom me\n"), "{}", found[2].text);
    assert!(found.iter().all(|lying| !lying.text.contains("Status")), "{found:?}");
    fs::remove_file(&archive).unwrap();
    archive_old(&scratch).go().ends_with(0);
    assert_eq!(lying(&scratch), []);
    // What an mbox has no word for was not there; unread mail that was looked at is old.
    let back = String::from_utf8(unpacked(&only_archive(&scratch))).unwrap();
    let want = mbox
        .replace("X-Status: AF", "X-Status: FA")
        .replace("X-Status: DT", "X-Status: TD");
    let third = stored(3, &date(3), "").replace("body 3", ">From me\nbody 3");
    let old_third = stored(3, &date(3), "Status: O\n").replace("body 3", ">From me\nbody 3");
    let back = back.replace(&fields_first(&old_third), &third);
    let want: String = messages(want.as_bytes())
        .iter()
        .map(|one| fields_first(std::str::from_utf8(one).unwrap()))
        .collect();
    same(fields_first_of(&back).as_bytes(), want.as_bytes());
}

/// The same message with its state on top, as a Maildir's messages are packed.
fn fields_first(message: &str) -> String {
    let (line, rest) = message.split_once('\n').unwrap();
    let is_state = |line: &&str| line.starts_with("Status:") || line.starts_with("X-Status:");
    let state: Vec<&str> = rest
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(is_state)
        .collect();
    let mut others = rest.to_owned();
    for field in &state {
        others = others.replacen(&format!("{field}\n"), "", 1);
    }
    let state: String = state.iter().map(|field| format!("{field}\n")).collect();
    format!("{line}\n{state}{others}")
}

fn fields_first_of(mbox: &str) -> String {
    let all = messages(mbox.as_bytes());
    all.iter()
        .map(|one| fields_first(std::str::from_utf8(one).unwrap()))
        .collect()
}

#[test]
fn a_sweep_takes_bounces_out_of_a_maildir_and_rescues() {
    let scratch = scratch().set("addresses", "[\"a@a.test\"]");
    fill(&scratch);
    let report = report_with(&format!("Content-Type: message/rfc822\n\n{ORIGINAL}"));
    lay(
        &scratch,
        "new/7.M1P1.h,SIZES",
        &format!("Return-Path: <>\n{report}"),
        YOUNG,
    );
    lay(
        &scratch,
        "cur/8.M1P1.h,SIZES:2,S",
        &format!("Return-Path: <>\n{report}"),
        YOUNG,
    );
    let before = lying(&scratch);
    let name = user_name();
    let ended = scratch.run(&["spool", "sweep", "--yes", &name, "--rescue"]).go();
    ended.ends_with(0);
    let now = lying(&scratch);
    assert_eq!(
        now.len(),
        before.len() - 1,
        "two reports went, and what both carry came once\n{}",
        ended.story()
    );
    let rescued: Vec<_> = now
        .iter()
        .filter(|lying| lying.text.contains("X-Spoolguard-Rescued: "))
        .collect();
    assert_eq!(rescued.len(), 1, "{now:?}");
    assert_eq!(messages(&archived(&scratch)).len(), 2);
    assert!(
        before
            .iter()
            .filter(|lying| !lying.text.contains("Return-Path: <>"))
            .all(|lying| now.contains(lying))
    );
}

/// An archive run that is stopped where the archive has its name, and nothing is removed yet.
fn stop_at_link<'a>(scratch: &'a Scratch, strace: &Path) -> strace::Stopped<'a> {
    let options = ["-e", "trace=link,linkat", "-e", "inject=link,linkat:signal=STOP:when=1"];
    strace::stop(archive_old(scratch), strace, &scratch.path("record"), &options)
}

#[test]
fn a_message_that_gets_a_flag_meanwhile_goes_all_the_same() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = scratch();
    fill(&scratch);
    let run = stop_at_link(&scratch, &strace);
    let from = maildir(&scratch);
    let seen = files(&from.join("new"))
        .into_iter()
        .find(|path| path.to_string_lossy().contains("/3.M1"))
        .unwrap();
    let name = seen.file_name().unwrap().to_str().unwrap();
    fs::rename(&seen, from.join("cur").join(format!("{name}:2,S"))).unwrap();
    run.end().ends_with(0);
    assert_eq!(numbers(&lying(&scratch)), [4, 6]);
}

#[test]
fn two_messages_with_one_name_but_for_flags_are_two() {
    let scratch = scratch();
    lay(&scratch, "cur/1.M1P1.h:2,S", &letter(1), OLD);
    lay(&scratch, "cur/1.M1P1.h:2,", &letter(2), YOUNG);
    lay(&scratch, "new/1.M1P1.h", &letter(3), YOUNG);
    archive_old(&scratch).go().ends_with(0);
    assert_eq!(numbers(&lying(&scratch)), [2, 3]);
    assert_eq!(messages(&archived(&scratch)).len(), 1);
}

#[test]
fn root_reads_no_file_of_others_in_a_maildir() {
    if !is_root() {
        return skip("needs root");
    }
    let scratch = scratch();
    fill(&scratch);
    let root = maildir(&scratch);
    let nobody = |path: &Path| std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    nobody(&root);
    for part in ["tmp", "new", "cur"] {
        nobody(&root.join(part));
        files(&root.join(part)).iter().for_each(|path| nobody(path));
    }
    lay(&scratch, "cur/9.M1P1.h:2,S", "Subject: 9\n\na secret of root's\n", OLD);
    let path = format!("{}/", root.display());
    scratch
        .run(&["spool", "archive", "--yes", &path, "--older-than", "1000d"])
        .go()
        .ends_with(0);
    assert!(!contains(&archived(&scratch), b"secret"));
    assert_eq!(numbers(&lying(&scratch)), [4, 6, 9]);
}

#[test]
fn two_runs_do_not_care_for_a_maildir_at_once() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = scratch();
    fill(&scratch);
    let run = stop_at_link(&scratch, &strace);
    archive_old(&scratch).go().ends_with(1).mentions("another run");
    run.end().ends_with(0);
    assert_eq!(numbers(&lying(&scratch)), [4, 6]);
    assert_eq!(messages(&archived(&scratch)).len(), 4);
}

/// As two hosts that do not see each other's `flock`: one run goes on where another one is in the middle.
#[test]
fn two_hosts_without_a_common_flock_cost_no_message() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let stage = scratch();
    fill(&stage);
    let calls = strace::record(archive_old(&stage), &strace, &stage.path("record"));
    let changing = ["renameat2", "rename", "link", "linkat", "unlink", "unlinkat", "fsync"];
    let points = calls.iter().filter(|call| changing.contains(&call.name.as_str()));
    // NFS cannot rename without replacing, either.
    let blind = ["inject=flock:retval=0", "inject=renameat2:error=EINVAL"];
    for (calls, number) in points.map(|call| (call.name.as_str(), call.number)) {
        for injections in [&blind[..1], &blind[..]] {
            let scratch = scratch();
            fill(&scratch);
            let stop = format!("inject={calls}:signal=STOP:when={number}");
            let is_twice = calls == "renameat2" && injections.len() > 1;
            let mut options = vec!["-e", "trace=flock,rename,renameat2,link,linkat,unlink,unlinkat,fsync"];
            // A call has one injection alone.
            let kept = injections
                .iter()
                .filter(|_| !is_twice)
                .chain(injections.first().filter(|_| is_twice));
            options.extend(kept.flat_map(|injection| ["-e", *injection]));
            options.extend(["-e", &stop]);
            let first = strace::stop(archive_old(&scratch), &strace, &scratch.path("record"), &options);
            let mut words = vec![
                strace.to_str().unwrap(),
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "trace=flock,renameat2",
            ];
            words.extend(injections.iter().flat_map(|injection| ["-e", *injection]));
            let second = archive_old(&scratch).wrapped(&words).go();
            let first = first.end();
            let places = places(&scratch);
            let story = format!("{calls} {number}: {places:?}\n{}\n{}", first.story(), second.story());
            assert!(
                places
                    .iter()
                    .all(|(here, there)| here + there > 0 && *here < 2 && *there < 3),
                "{story}"
            );
            assert_eq!((places[3], places[5]), ((1, 0), (1, 0)), "{story}");
            archive_old(&scratch).go();
            assert_eq!(numbers(&lying(&scratch)), [4, 6], "{story}");
        }
    }
}

#[test]
fn a_maildir_that_takes_no_mail_is_told_in_the_list() {
    let scratch = filled();
    let place = maildir(&scratch);
    fs::remove_file(place.join("maildirsize")).unwrap();
    let says = |part: &str| {
        let list = scratch.run(&["spool", "list"]).go();
        list.check(contains(&list.stdout, part.as_bytes()), part);
    };
    says("1 mailbox, ");
    fs::rename(place.join("tmp"), place.join("tmp.away")).unwrap();
    says("it lacks tmp");
    fs::rename(place.join("tmp.away"), place.join("tmp")).unwrap();
    let real = scratch.path("real");
    fs::rename(&place, &real).unwrap();
    symlink(&real, &place).unwrap();
    says("it is a symbolic link; name the place where it leads");
    // What was never one is nobody's mistake.
    fs::remove_file(&place).unwrap();
    symlink(scratch.path("spool"), &place).unwrap();
    fs::create_dir(scratch.path("mail/other")).unwrap();
    scratch.run(&["spool", "list"]).go().ends_with(0);
}

#[test]
fn what_is_no_file_counts_as_no_message() {
    let scratch = filled();
    for part in ["new", "cur"] {
        let part = maildir(&scratch).join(part);
        fs::create_dir(part.join("directory")).unwrap();
        symlink("/etc/passwd", part.join("link")).unwrap();
    }
    let all: usize = (1..=6).map(|number| letter(number).len()).sum();
    let told = scratch.run(&["spool", "list", "--json"]).go();
    told.ends_with(0);
    for part in ["\"messages\":6,".to_owned(), format!("\"size\":{all},")] {
        told.check(contains(&told.stdout, part.as_bytes()), &part);
    }
}

#[test]
fn a_part_on_another_device_is_told_by_a_restore() {
    if !hosts::can_be_made() {
        return;
    }
    let scratch = filled();
    archive_old(&scratch).go().ends_with(0);
    let archive = only_archive(&scratch).display().to_string();
    let cur = maildir(&scratch).join("cur");
    let line = format!("mount -t tmpfs none {} || exit 1; exec \"$@\"", cur.display());
    let words = ["unshare", "--mount", "sh", "-c", &line, "sh"];
    let run = scratch.run(&["spool", "restore", "--yes", &archive]).wrapped(&words);
    let ended = run.variable("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").go();
    ended
        .ends_with(1)
        .mentions("tmp, new and cur of a Maildir have to be on one file system");
    assert!(files(&maildir(&scratch).join("tmp")).is_empty());
}

#[test]
fn a_users_maildir_that_is_missing_is_told_in_advance() {
    if !is_root() {
        return skip("needs root");
    }
    let scratch = filled();
    archive_old(&scratch).go().ends_with(0);
    let archive = only_archive(&scratch).display().to_string();
    for how in ["-n", "--yes"] {
        let ended = scratch
            .run(&["spool", "restore", how, "--user", "nobody", &archive])
            .go();
        ended
            .check(ended.code != Some(0), "it cannot be done")
            .mentions("there is no Maildir; a delivery makes it, or: install -d -m 700 -o 65534 -g 65534 /");
        assert!(!scratch.path("mail/nobody").exists());
    }
}

#[test]
fn a_users_maildir_that_is_missing_is_made_as_the_users() {
    if !is_root() {
        return skip("needs root");
    }
    const NOBODY: u32 = 65534;
    let scratch = filled();
    archive_old(&scratch).go().ends_with(0);
    let archive = only_archive(&scratch).display().to_string();
    let home = scratch.path("homes/nobody");
    fs::create_dir_all(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let location = format!("\"maildir:{}/%u/mail/Maildir\"", scratch.path("homes").display());
    let scratch = scratch.set("mailbox.location", &location);
    let restore = |how: &str| {
        let words = ["spool", "restore", how, "--user", "nobody", &archive];
        scratch.run(&words).go().ends_with(0);
    };
    restore("-n");
    assert!(files(&home).is_empty());
    restore("--yes");
    let made = home.join("mail/Maildir");
    for part in ["..", "", "tmp", "new", "cur"] {
        let stat = fs::metadata(made.join(part)).unwrap();
        let found = (stat.uid(), stat.gid(), stat.mode() & 0o7777);
        assert_eq!(found, (NOBODY, NOBODY, 0o700), "{part}");
    }
    let restored = files(&made.join("cur"));
    assert_eq!(restored.len(), 4);
    for path in restored {
        assert_eq!(fs::metadata(&path).unwrap().uid(), NOBODY, "{}", path.display());
    }
}

#[test]
fn root_cares_for_a_users_maildir_and_leaves_it_the_users() {
    if !is_root() {
        return skip("needs root");
    }
    const NOBODY: u32 = 65534;
    let scratch = scratch();
    fill(&scratch);
    let own = |path: &Path| std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    let root = maildir(&scratch);
    own(&root);
    for part in ["tmp", "new", "cur"] {
        own(&root.join(part));
        files(&root.join(part)).iter().for_each(|path| own(path));
    }
    let path = format!("{}/", root.display());
    let before = numbers(&lying(&scratch));
    let archive = ["spool", "archive", "--yes", &path, "--older-than", "1000d"];
    scratch.run(&archive).go().ends_with(0);
    assert_eq!(numbers(&lying(&scratch)), [4, 6]);
    let packed = only_archive(&scratch).display().to_string();
    scratch
        .run(&["spool", "restore", "--yes", &packed, "-m", &path])
        .go()
        .ends_with(0);
    assert_eq!(numbers(&lying(&scratch)), before);
    // Unless it can be read and written to, no delivery of the user's goes by it.
    assert_eq!(fs::metadata(root.join("maildirsize")).unwrap().uid(), NOBODY);
    sums_are_true(&scratch);
    for file in files(&root.join("cur")) {
        let stat = fs::metadata(&file).unwrap();
        assert_eq!(
            (stat.uid(), stat.permissions().mode() & 0o077),
            (
                NOBODY,
                if stat.mtime() < YOUNG as i64 {
                    0
                } else {
                    stat.mode() & 0o077
                }
            ),
            "{file:?}"
        );
    }
}

fn listed(scratch: &Scratch, flags: &[&str], status: i32) -> String {
    let ended = scratch.run(&["spool", "list"]).with(flags).go();
    ended.ends_with(status);
    String::from_utf8(ended.stdout.clone()).unwrap()
}

#[test]
fn a_maildir_is_listed_by_names_and_on_request_by_contents() {
    let scratch = scratch().set("addresses", "[\"a@a.test\"]");
    fill(&scratch);
    let report = report_with("Content-Type: text/plain\n\nnothing\n");
    lay(
        &scratch,
        "new/7.M1P1.h,SIZES",
        &format!("Return-Path: <>\n{report}"),
        YOUNG,
    );
    // A folder counts, and what was thrown away does not.
    for folder in [".Sent", ".Trash"] {
        fs::create_dir_all(maildir(&scratch).join(folder).join("cur")).unwrap();
        fs::write(maildir(&scratch).join(folder).join("maildirfolder"), "").unwrap();
        fs::write(maildir(&scratch).join(folder).join("cur/8.M1P1.h,S=1000:2,S"), "x").unwrap();
    }
    let bytes: u64 = files(&maildir(&scratch).join("cur"))
        .iter()
        .chain(&files(&maildir(&scratch).join("new")))
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    let name = user_name();
    for what in [vec![], vec![name.as_str()]] {
        let line = listed(&scratch, &[&["--json"][..], &what].concat(), 0);
        for part in [
            format!("\"user\":\"{name}\""),
            format!("\"size\":{}", bytes + 1000),
            "\"messages\":8,\"unread\":5".to_owned(),
            "\"quota\":1000000".to_owned(),
            "\"oldest\":\"1970-01-01T00:00:01Z\"".to_owned(),
            "\"bounces\":null".to_owned(),
        ] {
            assert!(line.contains(&part), "{part}\n{line}");
        }
    }
    let line = listed(&scratch, &["--json", "--contents"], 0);
    assert!(
        line.contains("\"bounces\":1") && line.contains("\"messages\":8"),
        "{line}"
    );
    let text = listed(&scratch, &[], 0);
    assert!(text.contains(&name) && !text.contains("12%"), "{text}");
    assert!(listed(&scratch, &["--contents"], 0).contains("12%"));
    assert!(!listed(&scratch, &["--prometheus"], 0).contains("kind=\"bounce\""));
}

#[test]
fn all_maildirs_of_the_location_are_cared_for() {
    let scratch = scratch();
    let location = format!("\"maildir:{}/%d/%n\"", scratch.path("vhosts").display());
    let scratch = scratch.set("mailbox.location", &location);
    for user in ["a.test/a", "a.test/b", "b.test/a"] {
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(scratch.path("vhosts").join(user).join(part)).unwrap();
        }
        fs::write(scratch.path("vhosts").join(user).join("cur/1.M1P1.h:2,S"), letter(1)).unwrap();
    }
    let text = listed(&scratch, &["--json"], 0);
    for user in ["a@a.test", "b@a.test", "a@b.test"] {
        assert!(text.contains(&format!("\"user\":\"{user}\"")), "{text}");
    }
    scratch
        .run(&["spool", "archive", "--yes", "--all", "--all-mail"])
        .go()
        .ends_with(0);
    let archives: Vec<String> = scratch
        .files("archives")
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(archives.len(), 3, "{archives:?}");
    // An archive finds its user again.
    let of_b = archives.iter().find(|name| name.starts_with("b@a.test-")).unwrap();
    scratch.run(&["spool", "restore", "--yes", of_b]).go().ends_with(0);
    assert_eq!(files(&scratch.path("vhosts/a.test/b/cur")).len(), 1);
    assert_eq!(files(&scratch.path("vhosts/a.test/a/cur")).len(), 0);
}

#[test]
fn a_count_that_could_not_be_written_is_made_up_for() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let record = scratch().path("state/record");
    fs::create_dir_all(record.parent().unwrap()).unwrap();
    let calls = strace::record(archive_old(&filled()), &strace, &record);
    let line = calls
        .iter()
        .find(|call| call.name == "write" && call.line.contains(" -4\\n\""));
    let scratch = filled();
    strace::spoil(
        archive_old(&scratch),
        &strace,
        line.unwrap(),
        &Fault::ErrorsFrom("ENOSPC"),
    );
    assert_eq!(numbers(&lying(&scratch)), [4, 6]);
    archive_old(&scratch).go().ends_with(0);
    sums_are_true(&scratch);
}

#[test]
fn a_list_says_that_a_run_was_killed_in_a_maildir() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    let scratch = scratch();
    fill(&scratch);
    let record = scratch.path("state/record");
    let calls = strace::record(archive_old(&filled()), &strace, &record);
    let removal = calls
        .iter()
        .find(|call| call.name == "unlinkat" && call.line.contains("1.M1P1.h"));
    let ended = strace::spoil(archive_old(&scratch), &strace, removal.unwrap(), &Fault::Kill);
    assert_eq!(ended.code, None);
    assert!(listed(&scratch, &[], 1).contains("a run was killed while it took mail out"));
    archive_old(&scratch).go().ends_with(0);
    assert!(!listed(&scratch, &[], 0).contains("killed"));
    assert_eq!(places(&scratch), [(0, 1), (0, 1), (0, 1), (1, 0), (0, 1), (1, 0)]);
}
