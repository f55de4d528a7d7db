//! What a delivery does, seen from outside, one delivery each: how much memory it needs, how many instructions, which
//! locks it takes and what it syncs. Where the tool for it is missing or cannot be used, nothing is said.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::built;
use crate::deliver::{End, deliver};
use crate::stage::Stage;

/// Watched, a program may take this long.
const LIMIT: Duration = Duration::from_secs(120);

/// The tools that are here.
pub struct Observer {
    peak: Option<PathBuf>,
    strace: Option<PathBuf>,
    valgrind: Option<PathBuf>,
    note: PathBuf,
}

impl Observer {
    pub fn new(stage: &Stage) -> Self {
        let find = |name: &str| {
            let paths = ["/usr/bin", "/usr/local/bin"].map(|dir| Path::new(dir).join(name));
            paths.into_iter().find(|path| path.exists())
        };
        let notes = stage.path("notes");
        fs::create_dir(&notes).unwrap();
        // The programs of all users write there.
        fs::set_permissions(&notes, Permissions::from_mode(0o777)).unwrap();
        Self {
            peak: built::compile(stage, "peak.c", "peak", &[]),
            strace: find("strace"),
            valgrind: find("valgrind"),
            note: notes.join("note"),
        }
    }

    /// The most memory that it has at a time, in bytes; of several processes the largest.
    pub fn memory(&self, make: &dyn Fn(&[OsString]) -> Command, message: &[u8]) -> Option<u64> {
        let under = [self.peak.as_deref()?.into(), self.note.clone().into()];
        let kib: u64 = self.watch(&under, make, message)?.trim().parse().ok()?;
        Some(kib << 10)
    }

    /// How many instructions it runs outside the kernel, with the processes that it starts.
    pub fn instructions(&self, make: &dyn Fn(&[OsString]) -> Command, message: &[u8]) -> Option<u64> {
        let mut under: Vec<OsString> = vec![self.valgrind.as_deref()?.into()];
        under.extend(
            [
                "--tool=callgrind",
                "--callgrind-out-file=/dev/null",
                "--trace-children=yes",
            ]
            .map(OsString::from),
        );
        under.push(format!("--log-file={}.%p", self.note.display()).into());
        self.watch(&under, make, message)?;
        let mut sum = None;
        for entry in fs::read_dir(self.note.parent()?).ok()? {
            // One for each process.
            let path = entry.ok()?.path();
            let text = fs::read_to_string(&path).ok()?;
            for count in text.lines().filter_map(|line| line.split("Collected : ").nth(1)) {
                sum = Some(sum.unwrap_or(0) + count.trim().parse::<u64>().ok()?);
            }
            fs::remove_file(&path).ok()?;
        }
        sum
    }

    /// What it calls to sync and to lock.
    pub fn calls(&self, make: &dyn Fn(&[OsString]) -> Command, message: &[u8], mailbox: &Path) -> Option<Calls> {
        let mut under: Vec<OsString> = vec![self.strace.as_deref()?.into()];
        under.extend(["-f", "-qq", "-y", "-e"].map(OsString::from));
        under.push("trace=fsync,fdatasync,sync,syncfs,sync_file_range,fcntl,flock,link,linkat,openat".into());
        under.extend(["-o".into(), self.note.clone().into()]);
        let log = self.watch(&under, make, message)?;
        Some(Calls::read(&log, &mailbox.display().to_string()))
    }

    /// Runs a command below a tool, and reads what that noted. A delivery that failed says nothing.
    fn watch(&self, under: &[OsString], make: &dyn Fn(&[OsString]) -> Command, message: &[u8]) -> Option<String> {
        match deliver(make(under), message, LIMIT).end {
            End::Done => {
                let text = fs::read_to_string(&self.note).unwrap_or_default();
                // Made by another user than who comes next.
                let _ = fs::remove_file(&self.note);
                Some(text)
            }
            End::Refused(_) | End::Late => None,
        }
    }
}

/// The calls that matter for how safe a delivery is.
#[derive(Debug)]
pub struct Calls {
    pub syncs: String,
    pub locks: String,
}

impl Calls {
    /// Reads what strace(1) wrote, with the paths of descriptors (`-y`).
    fn read(log: &str, mailbox: &str) -> Self {
        let (mut syncs, mut locks) = (Vec::new(), Vec::new());
        let dotlock = format!("\"{mailbox}.lock\"");
        let on_mailbox = format!("<{mailbox}>");
        for line in log.lines() {
            // The process, the call, its arguments and its result.
            let Some((call, rest)) = line
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
                .split_once('(')
            else {
                continue;
            };
            let Some((arguments, result)) = rest.rsplit_once(" = ") else {
                continue;
            };
            if result.starts_with('-') {
                continue;
            }
            match call {
                "fsync" | "fdatasync" | "sync" | "syncfs" | "sync_file_range" => syncs.push(call),
                "link" | "linkat" if arguments.contains(&dotlock) => locks.push("dotlock"),
                "openat" if arguments.contains(&dotlock) && arguments.contains("O_EXCL") => locks.push("dotlock"),
                "fcntl" if arguments.contains(&on_mailbox) && arguments.contains("F_WRLCK") => locks.push("fcntl"),
                "flock" if arguments.contains(&on_mailbox) && arguments.contains("LOCK_EX") => locks.push("flock"),
                _ => {}
            }
        }
        Self {
            syncs: in_order(&syncs),
            locks: in_order(&locks),
        }
    }
}

/// Each word once, in the order of their first.
fn in_order(words: &[&str]) -> String {
    let mut once: Vec<&str> = Vec::new();
    for word in words {
        if !once.contains(word) {
            once.push(word);
        }
    }
    if once.is_empty() {
        "none".to_owned()
    } else {
        once.join(", ")
    }
}
