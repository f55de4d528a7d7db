//! What the kernel says of processes and of the locks that they hold (proc(5)). Where it says nothing, nobody is made up.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// How many ticks a second has in what the kernel tells (proc_pid_stat(5), sysconf(3)); it is the same on nearly every machine.
const TICKS: u64 = 100;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// What it is called.
    pub name: String,
    /// For how long it has been running.
    pub age: Option<Duration>,
}

/// The process with this number; none where there is none, or where it may not be seen.
#[must_use]
pub fn find_process(pid: u32) -> Option<Process> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(Process {
        name: name.trim_end().to_owned(),
        age: age(pid),
    })
}

fn age(pid: u32) -> Option<Duration> {
    let started: u64 = start_ticks(&pid.to_string())?.parse().ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let up = Duration::try_from_secs_f64(seconds).ok()?;
    Some(up.saturating_sub(Duration::from_secs(started / TICKS)))
}

/// When a process was started, in clock ticks after boot (proc_pid_stat(5), field 22).
#[must_use]
pub fn start_ticks(process: &str) -> Option<String> {
    // The kernel writes it whole into a buffer that holds it.
    let mut stat = [0; 2048];
    let read = File::open(format!("/proc/{process}/stat")).ok()?.read(&mut stat).ok()?;
    let stat = String::from_utf8_lossy(stat.get(..read)?);
    // The name before may hold blanks and brackets.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19).map(str::to_owned)
}

/// The kernel's list of locks, as text.
///
/// # Errors
/// When there is none.
pub fn read_locks() -> io::Result<String> {
    fs::read_to_string("/proc/locks")
}

/// Who has open files with locks, as text of the same form: a lock that belongs to an open file names no process in the list. Those of
/// other users are seen by root alone.
#[must_use]
pub fn locks_of_open_files() -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let files = fs::read_dir(process.path().join("fdinfo"));
        for file in files.into_iter().flatten().flatten() {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            let lines: Vec<_> = text.lines().filter(|line| line.starts_with("lock:")).collect();
            if !lines.is_empty() {
                found.push((pid, lines.join("\n")));
            }
        }
    }
    found
}

/// The device that the kernel's list of locks names for files in `dir`. stat(2) says another one on btrfs and overlayfs; that of the
/// mount is right (`proc_pid_mountinfo(5)`).
#[must_use]
pub fn device_of_locks(dir: &Path) -> Option<(u64, u64)> {
    let dir = dir.canonicalize().ok()?;
    let text = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut found: Option<(usize, (u64, u64))> = None;
    for line in text.lines() {
        let mut words = line.split(' ').skip(2);
        let (device, place) = (words.next()?, Path::new(words.nth(1)?));
        let depth = place.components().count();
        // Of several at one place, the last one is seen.
        if dir.starts_with(place) && found.is_none_or(|(deepest, _)| depth >= deepest) {
            let (major, minor) = device.split_once(':')?;
            found = Some((depth, (major.parse().ok()?, minor.parse().ok()?)));
        }
    }
    found.map(|(_, device)| device)
}

/// Tells whether some process listens at this TCP port, whichever address; none where that cannot be told.
#[must_use]
pub fn listens_at(port: u16) -> Option<bool> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(Path::new(path)));
    if tables.iter().all(Result::is_err) {
        return None;
    }
    let end = format!(":{port:04X}");
    // Local address, remote address, state; 0A is LISTEN.
    let listens = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        words.next().is_some_and(|local| local.ends_with(&end)) && words.nth(1) == Some("0A")
    };
    Some(tables.iter().flatten().any(|text| text.lines().any(listens)))
}

/// Tells whether programs that this process starts get no other user or group by their set-id bits (prctl(2), PR_SET_NO_NEW_PRIVS).
#[must_use]
pub fn has_no_new_privileges() -> Option<bool> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:"))?;
    Some(value.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::{device_of_locks, find_process, listens_at, locks_of_open_files, start_ticks};
    use std::net::TcpListener;

    #[test]
    fn this_process_is_found_with_its_locks() {
        let own = std::process::id();
        assert!(find_process(own).is_some_and(|process| !process.name.is_empty() && process.age.is_some()));
        assert_eq!(find_process(4_000_000_000), None);
        assert_eq!(start_ticks("self"), start_ticks(&own.to_string()));
        let file = tempfile::tempfile().unwrap_or_else(|e| unreachable!("{e}"));
        assert!(fs2::FileExt::try_lock_exclusive(&file).is_ok());
        assert!(
            locks_of_open_files()
                .iter()
                .any(|(pid, text)| *pid == own && text.contains("FLOCK"))
        );
    }

    #[test]
    fn the_device_of_a_lock_is_that_of_its_mount() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let file = std::fs::File::create(dir.path().join("x")).unwrap_or_else(|e| unreachable!("{e}"));
        assert!(fs2::FileExt::try_lock_exclusive(&file).is_ok());
        let own = std::process::id();
        let (major, minor) = device_of_locks(dir.path()).unwrap_or_default();
        let device = format!(" {major:02x}:{minor:02x}:");
        let mut all = locks_of_open_files().into_iter();
        assert!(all.any(|(pid, text)| pid == own && text.contains(&device)), "{device}");
        assert_eq!(device_of_locks(&dir.path().join("none")), None);
    }

    #[test]
    fn a_port_is_listened_at_or_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|e| unreachable!("{e}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        assert_eq!(listens_at(port), Some(true));
        drop(listener);
        assert_eq!(listens_at(port), Some(false));
    }
}
