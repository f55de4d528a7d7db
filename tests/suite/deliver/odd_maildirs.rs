//! Maildirs as other programs, administrators and bad days leave them: damaged counts, folders that are somebody
//! else's, directories on other devices, names that are taken, clocks that were wrong. Mail arrives, or waits with
//! nothing of it in the Maildir.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::robust::faults::strace;
use crate::robust::hosts;
use crate::support::{ORDINARY, Scratch, is_root, set_time, skip};

const NOBODY: u32 = 65534;

/// A scratch whose mail goes into a Maildir, in which one message lies.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(scratch.path("home/Maildir").join(part)).unwrap();
    }
    fs::write(in_maildir(&scratch, "cur/1.M1P1.h:2,S"), vec![b'x'; 1000]).unwrap();
    let location = format!("\"maildir:{}\"", scratch.path("home/Maildir").display());
    scratch.set("mailbox.location", &location)
}

fn in_maildir(scratch: &Scratch, name: &str) -> PathBuf {
    scratch.path("home/Maildir").join(name)
}

fn new(scratch: &Scratch) -> Vec<PathBuf> {
    scratch.files("home/Maildir/new")
}

/// What `maildirsize` holds: the line with the limit, and the sums.
fn counted(scratch: &Scratch) -> (String, i64, i64) {
    let text = fs::read_to_string(in_maildir(scratch, "maildirsize")).unwrap();
    let mut lines = text.lines();
    let limit = lines.next().unwrap_or_default().to_owned();
    let sums = lines.fold((0, 0), |(bytes, messages), line| {
        let numbers: Vec<i64> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
        (bytes + numbers[0], messages + numbers[1])
    });
    (limit, sums.0, sums.1)
}

/// The bytes and messages that lie there.
fn lying(scratch: &Scratch) -> (i64, i64) {
    let files = [new(scratch), scratch.files("home/Maildir/cur")].concat();
    let bytes: u64 = files.iter().map(|path| path.metadata().unwrap().len()).sum();
    (i64::try_from(bytes).unwrap(), i64::try_from(files.len()).unwrap())
}

#[test]
fn a_damaged_maildirsize_is_counted_anew() {
    let huge = format!("50000S\n{}", "1 0\n".repeat(500_000));
    for (text, limit) in [
        // Limits in the file, and none.
        ("50000S", "50000S"),
        ("50000S\n", "50000S"),
        ("50000S\n990 1", "50000S"),
        // The rest of a line that a full disk cut off.
        ("50000S\n1000 1\n12", "50000S"),
        ("50000S\n\n", "50000S"),
        ("50000S,9C\n1000 1\n\0\0\0\0\0", "50000S,9C"),
        (&huge, "50000S"),
        ("", "0S"),
        ("\n", "0S"),
        ("1000 1\n", "0S"),
        ("garbage\n5 1\n", "0S"),
        ("\0\0\0\0\0\0\0\0", "0S"),
    ] {
        // With a limit of ours, and with the one in the file alone, where there is one or its last line has no end.
        let is_asked_for = limit != "0S" || !text.ends_with('\n');
        for limits in [Some("1M"), is_asked_for.then_some("none")].into_iter().flatten() {
            let scratch = scratch().set("quota.limit", &format!("{limits:?}"));
            fs::write(in_maildir(&scratch, "maildirsize"), text).unwrap();
            scratch.deliver(ORDINARY).go().succeeds();
            scratch.deliver(ORDINARY).go().succeeds();
            let (kept, bytes, messages) = counted(&scratch);
            assert_eq!(kept, limit, "{text:.40?}");
            assert_eq!((bytes, messages), lying(&scratch), "{text:.40?} {limits:?}");
        }
    }
}

#[test]
fn the_limit_of_an_unended_line_still_holds() {
    let scratch = scratch();
    fs::write(in_maildir(&scratch, "maildirsize"), "1400S").unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    scratch.deliver(ORDINARY).go().succeeds();
    let (limit, _, _) = counted(&scratch);
    assert_eq!(limit, "1400S");
    for _ in 0..4 {
        scratch.deliver(ORDINARY).go();
    }
    scratch.deliver(ORDINARY).go().defers().mentions("the mailbox is full");
}

#[test]
fn a_quota_that_is_met_to_the_byte_is_not_exceeded() {
    let probe = scratch();
    probe.deliver(ORDINARY).go().succeeds();
    let incoming = fs::metadata(&new(&probe)[0]).unwrap().len();
    for (limit, fits) in [(1000 + incoming, true), (1000 + incoming - 1, false)] {
        for by_file in [true, false] {
            let mut scratch = scratch();
            match by_file {
                true => fs::write(in_maildir(&scratch, "maildirsize"), format!("{limit}S\n1000 1\n")).unwrap(),
                false => scratch.change("quota.limit", &format!("\"{limit}B\"")),
            }
            let ended = scratch.deliver(ORDINARY).go();
            match fits {
                true => ended.succeeds(),
                false => ended.defers().mentions("the mailbox is full"),
            };
            // A notice says that it is full.
            assert_eq!(!new(&scratch).is_empty(), fits);
        }
    }
}

#[test]
fn what_cannot_be_read_for_a_count_stops_no_mail() {
    let scratch = scratch().set("quota.limit", "\"1M\"");
    // Another user's folder, as shared ones are put in.
    let other = scratch.path("shared");
    fs::create_dir_all(other.join("cur")).unwrap();
    fs::write(other.join("maildirfolder"), "").unwrap();
    fs::write(other.join("cur/1.M1P1.h:2,S"), vec![b'x'; 2_000_000]).unwrap();
    symlink(&other, in_maildir(&scratch, ".shared")).unwrap();
    symlink("nowhere", in_maildir(&scratch, ".dangling")).unwrap();
    // A folder without its parts, and one whose part is no directory.
    for folder in [".empty", ".odd"] {
        fs::create_dir(in_maildir(&scratch, folder)).unwrap();
        fs::write(in_maildir(&scratch, folder).join("maildirfolder"), "").unwrap();
    }
    fs::write(in_maildir(&scratch, ".odd/cur"), "").unwrap();
    symlink(other.join("cur"), in_maildir(&scratch, ".odd/new")).unwrap();
    fs::create_dir(in_maildir(&scratch, "cur/directory")).unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(new(&scratch).len(), 1);
}

/// A virtual user whose mail is nobody's.
fn virtual_user() -> Scratch {
    let scratch = Scratch::new();
    let location = format!("\"maildir:{}/%d/%n\"", scratch.path("mail").display());
    scratch.open_to_all();
    for dir in ["mail/x.test/ann/tmp", "mail/x.test/ann/new", "mail/x.test/ann/cur"] {
        fs::create_dir_all(scratch.path(dir)).unwrap();
    }
    for dir in [
        "",
        "/x.test",
        "/x.test/ann",
        "/x.test/ann/tmp",
        "/x.test/ann/new",
        "/x.test/ann/cur",
    ] {
        chown(scratch.path(&format!("mail{dir}")), Some(NOBODY), None).unwrap();
    }
    chown(scratch.path("state"), Some(NOBODY), None).unwrap();
    scratch
        .set("mailbox.location", &location)
        .set("mailbox.user", "\"nobody\"")
        .set("quota.limit", "\"1M\"")
}

#[test]
fn what_its_user_may_not_read_is_left_out_of_the_count() {
    if !is_root() {
        return skip("needs root, to leave what belongs to root");
    }
    let scratch = virtual_user();
    let root = scratch.path("mail/x.test/ann");
    let deliver = || {
        let words = ["deliver", "-d", "ann@x.test", "-a", "ann@x.test", "-f", "s@s.test"];
        scratch.run(&words).input(ORDINARY).uid(NOBODY).go().succeeds();
    };
    // What root wrote anew once.
    fs::write(root.join("maildirsize"), "1000000S\n0 0\n").unwrap();
    fs::set_permissions(root.join("maildirsize"), fs::Permissions::from_mode(0o600)).unwrap();
    deliver();
    let folder = root.join(".backup");
    fs::create_dir_all(folder.join("cur")).unwrap();
    fs::write(folder.join("maildirfolder"), "").unwrap();
    fs::set_permissions(folder.join("cur"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::remove_file(root.join("maildirsize")).unwrap();
    deliver();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    deliver();
    assert_eq!(scratch.files("mail/x.test/ann/new").len(), 3);
}

#[test]
fn a_maildirsize_that_takes_no_line_is_written_anew() {
    if !is_root() {
        return skip("needs root, to run as another user");
    }
    let scratch = virtual_user().set("quota.limit", "\"none\"");
    let root = scratch.path("mail/x.test/ann");
    fs::write(root.join("maildirsize"), "1000000S\n0 0\n").unwrap();
    fs::set_permissions(root.join("maildirsize"), fs::Permissions::from_mode(0o444)).unwrap();
    let words = ["deliver", "-d", "ann@x.test", "-a", "ann@x.test", "-f", "s@s.test"];
    scratch.run(&words).input(ORDINARY).uid(NOBODY).go().succeeds();
    let bytes = fs::metadata(&scratch.files("mail/x.test/ann/new")[0]).unwrap().len();
    let text = fs::read_to_string(root.join("maildirsize")).unwrap();
    assert_eq!(text, format!("1000000S\n{bytes} 1\n"));
}

#[test]
fn a_name_that_cannot_be_given_leaves_nothing_behind() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    for (calls, error) in [
        // `new/` on a device of its own; no room for a name; a name that is taken; too many names.
        ("renameat2", "EXDEV"),
        ("renameat2", "ENOSPC"),
        ("renameat2", "EDQUOT"),
        ("renameat2", "EEXIST"),
        ("renameat2", "EMLINK"),
        ("renameat2", "EROFS"),
        ("renameat2", "EIO"),
    ] {
        let scratch = scratch();
        fs::write(in_maildir(&scratch, "maildirsize"), "100000S\n1000 1\n").unwrap();
        let trace = format!("trace={calls}");
        let injection = format!("inject={calls}:error={error}");
        let strace = strace.to_str().unwrap();
        let words = [strace, "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &injection];
        scratch.deliver(ORDINARY).wrapped(&words).go().defers();
        assert!(
            new(&scratch).is_empty() && scratch.files("home/Maildir/tmp").is_empty(),
            "{error}"
        );
        assert_eq!(counted(&scratch), ("100000S".to_owned(), 1000, 1), "{error}");
        scratch.deliver(ORDINARY).go().succeeds();
        assert_eq!(new(&scratch).len(), 1);
    }
}

#[test]
fn a_new_directory_on_another_device_defers_and_says_why() {
    if !hosts::can_be_made() {
        return;
    }
    let scratch = scratch();
    let path = in_maildir(&scratch, "new");
    let line = format!("mount -t tmpfs none {} || exit 1; exec \"$@\"", path.display());
    let words = ["unshare", "--mount", "sh", "-c", &line, "sh"];
    let run = scratch.deliver(ORDINARY).wrapped(&words);
    let ended = run.variable("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").go();
    ended.defers().mentions("new").mentions("file system");
    assert!(scratch.files("home/Maildir/tmp").is_empty());
}

#[test]
fn a_host_name_with_a_slash_makes_a_name_that_is_read() {
    if !hosts::can_be_made() {
        return;
    }
    for host in ["a/b:c", "a,S=1", "..", "host\\057x"] {
        let scratch = scratch();
        hosts::on(host, scratch.deliver(ORDINARY)).go().succeeds();
        let [path] = new(&scratch).try_into().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let size = fs::metadata(&path).unwrap().len();
        assert!(name.contains(&format!(",S={size},W=")) && !name.contains(':'), "{name}");
        assert_eq!(name.matches(",S=").count(), 1, "{name}");
    }
}

#[test]
fn files_from_the_future_hold_nothing_up() {
    let ahead = SystemTime::now() + Duration::from_secs(7 * 24 * 60 * 60);
    let scratch = scratch();
    // Written before the clock was set back.
    fs::write(in_maildir(&scratch, "tmp/draft"), "x").unwrap();
    set_time(&in_maildir(&scratch, "tmp/draft"), ahead);
    fs::write(in_maildir(&scratch, "maildirsize"), "2000S\n1990 9\n").unwrap();
    set_time(&in_maildir(&scratch, "maildirsize"), ahead);
    scratch.deliver(ORDINARY).go().succeeds();
    assert_eq!(new(&scratch).len(), 1);
    assert!(in_maildir(&scratch, "tmp/draft").exists());
}

#[test]
fn old_drafts_go_and_what_is_no_file_is_in_nobodys_way() {
    let scratch = scratch();
    let old = SystemTime::now() - Duration::from_secs(40 * 60 * 60);
    for number in 0..3000 {
        let path = in_maildir(&scratch, &format!("tmp/{number}.draft"));
        fs::write(&path, "x").unwrap();
        set_time(&path, old);
    }
    fs::create_dir(in_maildir(&scratch, "tmp/directory")).unwrap();
    symlink("nowhere", in_maildir(&scratch, "tmp/link")).unwrap();
    for _ in 0..4 {
        scratch.deliver(ORDINARY).go().succeeds();
    }
    assert_eq!(new(&scratch).len(), 4);
    let left = scratch.files("home/Maildir/tmp");
    assert_eq!(left.len(), 2, "{left:?}");
}
