//! This program itself: where it is, and how it is run once more. An upgrade replaces its file while it runs; the
//! kernel keeps the old file until the run ends (proc_pid_exe(5)). The old file is run then: a version's words to
//! itself are no promise to another version.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is running, wherever its file is by now.
const RUNNING: &str = "/proc/self/exe";

/// What the kernel says behind the path of a file that is no longer there.
const GONE: &[u8] = b" (deleted)";

/// Where it was started from. After an upgrade that is another file.
pub fn own_path() -> PathBuf {
    std::env::current_exe().map_or_else(|_| "/usr/bin/spoolguard".into(), |path| still(&path))
}

/// What kind of file is running.
pub fn stat_self() -> std::io::Result<Metadata> {
    Path::new(RUNNING).metadata()
}

/// A command that runs it once more.
pub fn start_self() -> Command {
    once_more(&own_path(), Path::new(RUNNING))
}

fn still(path: &Path) -> PathBuf {
    let before = path.as_os_str().as_bytes().strip_suffix(GONE);
    before.map_or_else(|| path.to_owned(), |before| OsStr::from_bytes(before).into())
}

/// By its path, if that is what is running: the kernel calls a process after the file that it was started by, and the
/// other one is called `exe`.
fn once_more(path: &Path, running: &Path) -> Command {
    let identity = |path: &Path| path.metadata().map(|stat| (stat.dev(), stat.ino()));
    let was_replaced = identity(running).is_ok_and(|now| identity(path).ok() != Some(now));
    let mut command = Command::new(if was_replaced { running } else { path });
    command.arg0(path);
    command
}

#[cfg(test)]
mod tests {
    use super::{once_more, still};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    #[test]
    fn what_was_replaced_is_run_as_it_was_and_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let (path, running) = (dir.path().join("spoolguard"), dir.path().join("running"));
        let says = |name: &Path| {
            let output = once_more(name, &running).args(["-c", "echo $0"]).output();
            output.map_or_else(
                |e| e.to_string(),
                |output| String::from_utf8_lossy(&output.stdout).into_owned(),
            )
        };
        let want = format!("{}\n", path.display());
        // Where the kernel does not say what is running.
        assert!(symlink("/bin/sh", &path).is_ok());
        assert_eq!(says(&path), want);
        // What is running is still there.
        assert!(symlink("/bin/sh", &running).is_ok());
        assert_eq!(once_more(&path, &running).get_program(), path);
        assert_eq!(says(&path), want);
        // It is another one by now, or none.
        assert!(std::fs::remove_file(&path).is_ok());
        assert_eq!(says(&path), want);
        assert!(symlink("/bin/false", &path).is_ok());
        assert_eq!(says(&path), want);
    }

    #[test]
    fn a_path_is_told_without_what_the_kernel_says_behind_it() {
        assert_eq!(still(Path::new("/usr/bin/a (deleted)")), Path::new("/usr/bin/a"));
        assert_eq!(still(Path::new("/usr/bin/a")), Path::new("/usr/bin/a"));
    }
}
