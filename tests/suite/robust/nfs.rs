//! What a file server may do to a run, put into it by strace(1) where there is none: no nameless files, answers that
//! get lost, files that are no longer there, and one kind of lock where this host has two.

use std::fs;

use crate::robust::faults::strace;
use crate::support::{Ended, ORDINARY, Scratch, messages, only, same, skip};

/// Runs a delivery with these injections, and gives what was called.
fn spoiled<'a>(scratch: &'a Scratch, injections: &[&str]) -> Option<(Ended<'a>, String)> {
    let Some(strace) = strace::program() else {
        skip("needs strace(1) and the right to trace");
        return None;
    };
    let record = scratch.path("record").display().to_string();
    let mut words = vec![strace.to_str().unwrap(), "-qq", "-o", &record];
    for injection in injections {
        words.extend(["-e", injection]);
    }
    let ended = scratch.deliver(ORDINARY).wrapped(&words).go();
    let record = fs::read_to_string(record).unwrap();
    Some((ended, record))
}

/// The number of the call that asks for a nameless file, among all of its name: other file systems answer EOPNOTSUPP.
fn no_nameless_files(scratch: &Scratch) -> Option<String> {
    let (_, record) = spoiled(scratch, &["trace=?open,openat"])?;
    let calls = strace::parse(&record);
    let call = calls.iter().find(|call| call.line.contains("O_TMPFILE")).unwrap();
    let injection = format!("inject={}:error=EOPNOTSUPP:when={}", call.name, call.number);
    fs::remove_file(scratch.mailbox()).unwrap();
    Some(injection)
}

/// Where the first line that holds all of these words is.
fn at(record: &str, words: &[&str]) -> usize {
    let line = record
        .lines()
        .position(|line| words.iter().all(|word| line.contains(word)));
    line.unwrap_or_else(|| panic!("no call with {words:?} in\n{record}"))
}

#[test]
fn without_nameless_files_the_dotlock_links_to_a_unique_file() {
    let scratch = Scratch::new();
    let Some(nameless) = no_nameless_files(&scratch) else {
        return;
    };
    let Some((ended, record)) = spoiled(&scratch, &[&nameless]) else {
        return;
    };
    ended.ends_with(0);
    same(only(&scratch.mail()), ORDINARY);
    assert_eq!(scratch.files("spool"), [scratch.mailbox()]);
    let (made, linked, gone) = (
        at(&record, &["open", ".lock.", "O_CREAT|O_EXCL", "O_NOFOLLOW"]),
        at(&record, &["link", ".lock.", ".lock\""]),
        at(&record, &["unlink", ".lock."]),
    );
    let counted = record
        .lines()
        .skip(linked)
        .position(|line| line.contains("stat(") || line.starts_with("statx("))
        .map(|line| line + linked);
    let mailbox = scratch.mailbox().display().to_string();
    let opened = at(&record, &["open", &format!("\"{mailbox}\""), "O_APPEND"]);
    assert!(
        made < linked && Some(linked + 1) == counted && linked < gone,
        "{record}"
    );
    // The mailbox is opened under the dotlock: what was known of it before may be old.
    assert!(linked < opened, "{record}");
}

#[test]
fn a_link_that_is_not_there_is_no_lock_whatever_the_answer_was() {
    let scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    let Some(nameless) = no_nameless_files(&scratch) else {
        return;
    };
    for error in ["EIO", "ESTALE", "ETIMEDOUT"] {
        let injections = [nameless.as_str(), &format!("inject=linkat:error={error}")];
        let Some((ended, _)) = spoiled(&scratch, &injections) else {
            return;
        };
        ended.defers().mentions("dotlock");
        assert!(scratch.files("spool").is_empty(), "{:?}", scratch.files("spool"));
    }
    // Answered with success, and not made: it has one name, and everything begins anew.
    let lost = [nameless.as_str(), "inject=linkat:retval=0:when=1"];
    let Some((ended, record)) = spoiled(&scratch, &lost) else {
        return;
    };
    ended.ends_with(0);
    assert_eq!(record.matches("linkat(").count(), 2, "{record}");
    assert_eq!(scratch.files("spool"), [scratch.mailbox()]);
}

#[test]
fn without_hard_links_the_dotlock_is_made_under_its_name() {
    let mut scratch = Scratch::new().set("mailbox.lock_timeout", "\"1s\"");
    let Some(nameless) = no_nameless_files(&scratch) else {
        return;
    };
    for error in ["EPERM", "EOPNOTSUPP", "ENOSYS", "EMLINK"] {
        let no_links = format!("inject=linkat:error={error}");
        for injections in [vec![nameless.as_str(), no_links.as_str()], vec![no_links.as_str()]] {
            let Some((ended, record)) = spoiled(&scratch, &injections) else {
                return;
            };
            ended.ends_with(0);
            same(only(&scratch.mail()), ORDINARY);
            assert_eq!(scratch.files("spool"), [scratch.mailbox()]);
            if injections.len() == 2 {
                at(&record, &["open", ".lock\"", "O_CREAT|O_EXCL", "O_NOFOLLOW"]);
            }
            fs::remove_file(scratch.mailbox()).unwrap();
            // Somebody else's is respected.
            fs::write(scratch.dotlock(), "1\n").unwrap();
            let Some((ended, _)) = spoiled(&scratch, &injections) else {
                return;
            };
            ended.defers().mentions(".lock exists");
            assert_eq!(fs::read_to_string(scratch.dotlock()).unwrap(), "1\n");
            fs::remove_file(scratch.dotlock()).unwrap();
        }
    }
    let maildir = scratch.path("Maildir");
    let location = format!("\"maildir:{}\"", maildir.display());
    scratch.change("mailbox.location", &location);
    let rename = "inject=renameat2:error=EINVAL";
    let Some((ended, _)) = spoiled(&scratch, &[rename, "inject=linkat:error=EPERM"]) else {
        return;
    };
    ended.ends_with(0);
    assert_eq!(scratch.files("Maildir/new").len(), 1);
}

#[test]
fn a_handle_that_went_stale_is_tried_again_later() {
    let scratch = Scratch::new();
    let Some((ended, record)) = spoiled(&scratch, &["trace=?open,openat,fcntl,write,fdatasync,flock"]) else {
        return;
    };
    ended.ends_with(0);
    let calls = strace::parse(&record);
    let mailbox = scratch.mailbox().display().to_string();
    let open = calls
        .iter()
        .find(|call| call.line.contains(&format!("\"{mailbox}\"")) && call.line.contains("O_APPEND"))
        .unwrap();
    let before = scratch.mail();
    for injection in [
        &format!("inject={}:error=ESTALE:when={}", open.name, open.number) as &str,
        "inject=fcntl:error=ESTALE",
        "inject=fdatasync:error=ESTALE",
    ] {
        let Some((ended, _)) = spoiled(&scratch, &[injection]) else {
            return;
        };
        ended.defers();
        same(&scratch.mail(), &before);
        assert!(!scratch.dotlock().exists());
    }
    scratch.next_delivery_works();
}

#[test]
fn a_file_server_is_asked_for_one_lock_and_not_for_two() {
    let mut scratch = Scratch::new().set("mailbox.locks", "[\"dotlock\", \"fcntl\", \"flock\"]");
    // The type of the file system, first word of what fstatfs(2) tells: NFS_SUPER_MAGIC.
    let nfs = "inject=fstatfs:poke_exit=@arg2=6969000000000000";
    let locks = |scratch: &Scratch, injections: &[&str]| {
        let (ended, record) = spoiled(scratch, injections)?;
        ended.ends_with(0);
        let mailbox = scratch.mailbox().display().to_string();
        let opened = at(&record, &["open", &format!("\"{mailbox}\""), "O_APPEND"]);
        let behind: Vec<_> = record.lines().skip(opened).collect();
        let has = |word: &str| behind.iter().any(|line| line.contains(word));
        Some((has("F_OFD_SETLK"), has("flock(")))
    };
    let Some(found) = locks(&scratch, &[]) else { return };
    assert_eq!(found, (true, true));
    assert_eq!(locks(&scratch, &[nfs]), Some((true, false)));
    scratch.change("mailbox.locks", "[\"flock\"]");
    assert_eq!(locks(&scratch, &[nfs]), Some((false, true)));
    assert_eq!(messages(&scratch.mail()).len(), 3);
}

/// As exFAT and VFAT are: without attributes, and without links of either kind.
#[test]
fn without_links_a_killed_delivery_to_a_maildir_comes_once() {
    let bare = [
        "inject=setxattr,lsetxattr:error=EOPNOTSUPP",
        "inject=symlink,symlinkat:error=EPERM",
    ];
    let maildir = || {
        let scratch = Scratch::new();
        let path = scratch.path("home/Maildir");
        scratch.set("mailbox.location", &format!("\"maildir:{}\"", path.display()))
    };
    let scratch = maildir();
    let Some((ended, record)) = spoiled(&scratch, &bare) else {
        return;
    };
    ended.ends_with(0);
    let calls = strace::parse(&record);
    let named = calls.iter().position(|call| call.name == "renameat2").unwrap();
    let sync = calls[named..].iter().find(|call| call.name == "fsync").unwrap();
    let kill = format!("inject=fsync:signal=KILL:when={}", sync.number);
    let scratch = maildir();
    let _ = spoiled(&scratch, &[bare[0], bare[1], &kill]);
    assert_eq!(scratch.files("home/Maildir/new").len(), 1);
    spoiled(&scratch, &bare).unwrap().0.ends_with(0);
    assert_eq!(scratch.files("home/Maildir/new").len(), 1);
    // The note is used up.
    spoiled(&scratch, &bare).unwrap().0.ends_with(0);
    assert_eq!(scratch.files("home/Maildir/new").len(), 2);
}
