//! In which order each kind of run makes its system calls. What is on the disk after a power loss depends on it, and
//! nothing but the order shows that it is right: written, synced, renamed, the directory synced; only then is anything
//! removed, and only then the run ends with 0.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::robust::faults::strace;
use crate::support::{ORDINARY, Run, Scratch, has_attributes, large, shown, skip, user_name};

/// One thing that a run does to the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Make(PathBuf),
    Change(PathBuf),
    Truncate(PathBuf),
    Sync(PathBuf),
    /// From a name to another, of which the first goes or stays.
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
    Note(String),
    Unnote(String),
    End,
}

/// The texts between quotes in a line of strace.
fn quoted(line: &str) -> Vec<PathBuf> {
    line.split('"').skip(1).step_by(2).map(PathBuf::from).collect()
}

/// The file that the call's first argument is a descriptor of.
fn of_descriptor(line: &str) -> Option<PathBuf> {
    let (first, _) = line.split_once('(')?.1.split_once([',', ')'])?;
    let (_, path) = first.split_once('<')?;
    path.strip_suffix('>').map(PathBuf::from)
}

/// What a line of strace says of the disk.
fn step(name: &str, line: &str) -> Option<Step> {
    if name == "exit_group" {
        return Some(Step::End);
    }
    let answer = line.rsplit_once("= ")?.1;
    if answer.starts_with('-') {
        return None;
    }
    let mut names = quoted(line).into_iter();
    Some(match name {
        "open" | "openat" if line.contains("O_CREAT") && !line.contains("O_TMPFILE") => Step::Make(names.next()?),
        "mkdir" | "mkdirat" => Step::Make(names.next()?),
        "write" | "pwrite64" | "writev" | "copy_file_range" | "sendfile" | "fallocate" => {
            Step::Change(of_descriptor(line)?)
        }
        "ftruncate" => Step::Truncate(of_descriptor(line)?),
        "fsync" | "fdatasync" => Step::Sync(of_descriptor(line)?),
        "rename" | "renameat" | "renameat2" => Step::Rename(names.next()?, names.next()?),
        "link" | "linkat" => Step::Link(names.next()?, names.next()?),
        "unlink" | "unlinkat" => Step::Remove(names.next()?),
        "fsetxattr" | "setxattr" | "lsetxattr" => {
            let names: Vec<_> = quoted(line);
            let name = names.iter().find(|name| name.to_string_lossy().starts_with("user."));
            Step::Note(name?.display().to_string())
        }
        "fremovexattr" | "removexattr" | "lremovexattr" => {
            let names: Vec<_> = quoted(line);
            let name = names.iter().find(|name| name.to_string_lossy().starts_with("user."));
            Step::Unnote(name?.display().to_string())
        }
        _ => return None,
    })
}

/// What is not on the disk for certain, while the steps of a run are gone through.
#[derive(Default)]
struct Disk {
    root: PathBuf,
    dirty: BTreeSet<PathBuf>,
    /// By directory: the names in it that were made since it was synced.
    names: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    /// Names of this run's own that were never given to anything before.
    drafts: BTreeSet<PathBuf>,
    notes: BTreeSet<String>,
    /// This run's note on its message is gone.
    is_over: bool,
    wrong: Vec<String>,
}

impl Disk {
    /// Whether it matters if a file is there after a power loss.
    fn counts(&self, path: &Path) -> bool {
        let Ok(inner) = path.strip_prefix(&self.root) else {
            return false;
        };
        let text = inner.to_string_lossy();
        // Locks mean nothing then; what a run remembers to be quick is found out again; of what was forwarded lately,
        // and of how the destinations are, the loss of the last line costs a repeated message and no mail
        // (`sys/state_file.rs`).
        !(text.ends_with(".lock")
            || text.ends_with("(deleted)")
            || text.starts_with("state/tally")
            || text.starts_with("state/list")
            || text.starts_with("state/sent")
            || text.starts_with("state/archiving")
            || text == "state/turns"
            || text.starts_with("record"))
    }

    /// Whether the name of a file has to last, too.
    fn name_counts(&self, path: &Path) -> bool {
        let ends_with = |end: &str| path.extension().is_some_and(|found| found == end);
        // A draft is nothing before it has its name.
        let is_state = ends_with("json") && path.starts_with(self.root.join("state"));
        self.counts(path) && !ends_with("new") && !is_state
    }

    fn add_name(&mut self, path: &Path) {
        if self.name_counts(path) {
            let dir = path.parent().unwrap().to_owned();
            self.names.entry(dir).or_default().insert(path.to_owned());
        }
    }

    fn drop_name(&mut self, path: &Path) {
        if let Some(names) = self.names.get_mut(path.parent().unwrap()) {
            names.remove(path);
        }
    }

    fn names(&self) -> Vec<&PathBuf> {
        self.names.values().flatten().collect()
    }

    /// Nothing may be left that a power loss would take, but these names.
    fn must_be_safe(&mut self, what: &str) {
        let names = self.names();
        if !self.dirty.is_empty() || !names.is_empty() {
            let story = format!(
                "{what}: written and not synced {:?}, names not synced {names:?}",
                self.dirty
            );
            self.wrong.push(story);
        }
    }

    fn go(&mut self, step: &Step, mailbox: &Path) {
        if self.is_over
            && matches!(step, Step::Make(path) | Step::Change(path) | Step::Truncate(path) | Step::Sync(path) | Step::Rename(path, _) if self.counts(path))
        {
            self.wrong.push(format!("behind the removal of the note: {step:?}"));
        }
        match step {
            Step::Make(path) => {
                if self.counts(path) && !self.names().contains(&path) {
                    self.add_name(path);
                    self.drafts.insert(path.clone());
                }
            }
            Step::Change(path) if self.counts(path) => {
                if is_journal(path) && self.dirty.contains(mailbox) {
                    self.wrong
                        .push("the journal says what the mailbox is not on the disk".to_owned());
                }
                self.dirty.insert(path.clone());
            }
            Step::Truncate(path) if path == mailbox => {
                self.must_be_safe("the mailbox is cut");
                self.dirty.insert(path.clone());
            }
            Step::Truncate(path) if self.counts(path) => drop(self.dirty.insert(path.clone())),
            Step::Change(_) | Step::Truncate(_) => {}
            Step::Sync(path) => {
                self.dirty.remove(path);
                self.names.remove(path);
            }
            Step::Rename(from, to) | Step::Link(from, to) => self.rename(step, from, to),
            Step::Remove(path) => {
                if self.counts(path) && !self.drafts.contains(path) {
                    self.must_be_safe(&format!("{} is removed", path.display()));
                }
                self.drafts.remove(path);
                self.drop_name(path);
            }
            Step::Note(name) => drop(self.notes.insert(name.clone())),
            Step::Unnote(name) => {
                if self.notes.contains(name) {
                    self.must_be_safe("the note is removed");
                    self.is_over = true;
                }
            }
            Step::End => self.must_be_safe("it ends with 0"),
        }
    }

    fn rename(&mut self, step: &Step, from: &Path, to: &Path) {
        if !self.counts(to) {
            return;
        }
        if self.dirty.remove(from) {
            self.wrong.push(format!("given its name before it is synced: {step:?}"));
        }
        if matches!(step, Step::Rename(..)) {
            self.drop_name(from);
        }
        self.add_name(to);
    }
}

/// A journal that has its name: whoever locks the mailbox acts by it.
fn is_journal(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".spoolguard-cut")
}

/// What is wrong with the order of a run's calls.
fn wrong(record: &str, scratch: &Scratch) -> Vec<String> {
    let mut disk = Disk {
        root: scratch.path(""),
        ..Disk::default()
    };
    let mut is_ended = false;
    let mut syncs = 0;
    for call in strace::parse(record) {
        if let Some(step) = step(&call.name, &call.line) {
            is_ended |= step == Step::End;
            syncs += usize::from(matches!(step, Step::Sync(_)));
            disk.go(&step, &scratch.mailbox());
        }
    }
    assert!(is_ended && syncs > 0, "no whole record:\n{record}");
    disk.wrong
}

/// Runs it and holds its calls against the order.
#[track_caller]
fn check(name: &str, scratch: &Scratch, run: Run<'_>) {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    if !has_attributes(&scratch.configuration()) {
        return skip("needs a file system with extended attributes below the temporary directory");
    }
    let record = scratch.path("record");
    let words = [
        strace.to_str().unwrap(),
        "-y",
        "-s",
        "300",
        "-o",
        record.to_str().unwrap(),
    ];
    run.wrapped(&words).go().ends_with(0);
    let record = fs::read_to_string(record).unwrap();
    let wrong = wrong(&record, scratch);
    let shown_record: String = record
        .lines()
        .filter(|line| step(line.split('(').next().unwrap(), line).is_some())
        .map(|line| format!("{}\n", shown(line.as_bytes())))
        .collect();
    assert!(wrong.is_empty(), "{name}: {wrong:#?}\n{shown_record}");
}

const OLD: &[u8] = b"From old@s.test Mon Nov  2 10:00:00 2020\nMessage-ID: <old@s.test>\nSubject: old\n\nold\n\n";
const NEW: &[u8] = b"From new@s.test Mon Nov  2 10:00:00 2099\nMessage-ID: <new@s.test>\nSubject: new\n\nnew\n\n";
const LOOPED: &[u8] = b"X-Loop: a@a.test\nMessage-ID: <looped@s.test>\nSubject: looped\n\nlooped\n";

fn with_mailbox(content: &[&[u8]]) -> Scratch {
    let scratch = Scratch::new();
    let archives = scratch.path("archives");
    fs::create_dir(&archives).unwrap();
    let scratch = scratch.set("archive.dir", &format!("{archives:?}"));
    fs::write(scratch.mailbox(), content.concat()).unwrap();
    scratch
}

#[test]
fn a_delivery_is_on_the_disk_before_it_ends() {
    let scratch = with_mailbox(&[OLD]);
    check("deliver", &scratch, scratch.deliver(ORDINARY));
    let scratch = Scratch::new();
    check("into a new mailbox", &scratch, scratch.deliver(ORDINARY));
    let scratch = Scratch::new();
    check("a large one", &scratch, scratch.deliver(&large(1_500_000)));
    let scratch = with_mailbox(&[OLD]).set("quota.messages", "100");
    check("counted", &scratch, scratch.deliver(ORDINARY));
    let scratch = with_mailbox(&[b"From x@x.test Mon Nov  2 10:00:00 2020\nSubject: to"]);
    check("behind a torn one", &scratch, scratch.deliver(ORDINARY));
}

#[test]
fn what_is_sent_or_held_is_on_the_disk_before_it_ends() {
    let scratch = with_mailbox(&[OLD]);
    check("forward", &scratch, scratch.forward(ORDINARY, &["b@b.test"]));
    let scratch = with_mailbox(&[OLD]);
    check("keep", &scratch, scratch.forward(ORDINARY, &["--keep", "b@b.test"]));
    let scratch = with_mailbox(&[OLD]);
    let null = scratch
        .run(&["forward", "-a", "a@a.test", "-f", "", "b@b.test"])
        .input(ORDINARY);
    check("null sender", &scratch, null);
    let scratch = with_mailbox(&[OLD]);
    check("divert to an mbox", &scratch, scratch.deliver(LOOPED));
    let scratch = with_mailbox(&[OLD]).set("admin", "\"admin@a.test\"");
    check("divert to an address", &scratch, scratch.deliver(LOOPED));
    let scratch = with_mailbox(&[OLD])
        .set("quota.limit", "\"10B\"")
        .set("quota.when_full", "\"overflow\"");
    // The first one makes notices, too, behind what is done.
    scratch
        .deliver(b"Message-ID: <first@s.test>\n\nfirst\n")
        .go()
        .succeeds();
    check("overflow", &scratch, scratch.deliver(ORDINARY));
}

#[test]
fn an_expunge_is_on_the_disk_step_by_step() {
    let user = user_name();
    let scratch = with_mailbox(&[NEW, OLD, NEW]);
    let run = scratch.run(&["spool", "archive", "--yes", &user, "--older-than", "365d"]);
    check("archive from the middle", &scratch, run);
    assert_eq!(scratch.mail(), [NEW, NEW].concat());
    let scratch = with_mailbox(&[OLD, OLD]);
    check(
        "archive all",
        &scratch,
        scratch.run(&["spool", "archive", "--yes", &user, "--all-mail"]),
    );
    assert!(scratch.mail().is_empty());
}

#[test]
fn a_sweep_is_on_the_disk_step_by_step() {
    let scratch = with_mailbox(&[NEW, OLD, NEW]);
    let run = scratch.run(&["spool", "sweep", &user_name(), "--duplicates", "--yes"]);
    check("sweep", &scratch, run);
    assert_eq!(scratch.mail(), [NEW, OLD].concat());
}

#[test]
fn an_expunge_that_was_killed_is_finished_step_by_step() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1), and leave to use it");
    };
    for call in ["ftruncate", "write,pwrite64", "fsync,fdatasync"] {
        let scratch = with_mailbox(&[NEW, OLD, NEW]);
        let mailbox = scratch.mailbox().display().to_string();
        let (trace, kill) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when=1"));
        let words = [
            strace.to_str().unwrap(),
            "-qq",
            "-P",
            &mailbox,
            "-e",
            &trace,
            "-e",
            &kill,
            "-o",
            "/dev/null",
        ];
        let archive = scratch.run(&["spool", "archive", "--yes", &user_name(), "--older-than", "365d"]);
        let ended = archive.wrapped(&words).go();
        ended.check(ended.code.is_none(), &format!("it was not killed at {call}"));
        check(&format!("killed at {call}"), &scratch, scratch.deliver(ORDINARY));
        let mail = scratch.mail();
        assert!(
            mail.starts_with(NEW) && mail.ends_with(b"\nHello.\n\n"),
            "{}",
            shown(&mail)
        );
    }
}

#[test]
fn what_is_restored_is_on_the_disk_before_it_ends() {
    let scratch = with_mailbox(&[NEW]);
    let archive = scratch.path("old");
    fs::write(&archive, OLD).unwrap();
    let run = scratch.run(&[
        "spool",
        "restore",
        "--yes",
        "-d",
        &user_name(),
        archive.to_str().unwrap(),
    ]);
    check("restore", &scratch, run);
    assert_eq!(scratch.mail(), [NEW, OLD].concat());
}
