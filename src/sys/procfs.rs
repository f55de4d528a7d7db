//! What the kernel says of this process, of locks, and of the ports that are listened at (proc(5)). Where the kernel
//! says nothing, the answer is none.

use std::fmt::Display;
use std::fs;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use rustix::time::{ClockId, clock_gettime};

/// Tells whether some process listens at this TCP port, whichever address; none where that cannot be told.
pub fn listens_at(port: u16) -> Option<bool> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
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

/// What /proc/locks calls the locks of fcntl(2).
pub const FCNTL_LOCK: &str = "POSIX";

/// What it calls those of flock(2).
pub const FLOCK_LOCK: &str = "FLOCK";

/// The process that holds such a lock on this file. None where nobody holds it, or the lock belongs to an open file and
/// not to a process. Also where the process may not be seen, or the file system gives files another device number than
/// its own.
pub fn find_lock_holder(kind: &str, device: u64, inode: u64) -> Option<i32> {
    holder_in(&fs::read_to_string("/proc/locks").ok()?, kind, device, inode)
}

/// `1: POSIX  ADVISORY  WRITE 4711 fe:00:131077 0 EOF`; one that waits has an arrow behind its number.
fn holder_in(locks: &str, kind: &str, device: u64, inode: u64) -> Option<i32> {
    let (major, minor) = (libc::major(device), libc::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let is_it = words.next() == Some(kind);
        let mut words = words.skip(2);
        let pid = words.next()?.parse().ok().filter(|pid| *pid > 0);
        pid.filter(|_| is_it && words.next() == Some(file.as_str()))
    })
}

/// The kernel counts the starts of processes in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: i64 = 100;

/// How much later than a note its process may seem to have begun, in seconds: the times of both are rounded.
const ROUNDING_SECONDS: i64 = 2;

/// Tells whether a process may still do something. One that has ended, and that nobody asked how, does nothing any
/// more: in a container whose first process asks nobody, such a process stays. Whoever may not be seen counts as alive.
pub fn is_alive(pid: i32) -> bool {
    living(pid).is_some()
}

/// Tells whether the process that wrote a note at `seconds` since 1970 may still do something. A process that began
/// later has its number by chance: where a container starts anew, numbers come again at once.
pub fn is_writer_alive(pid: i32, seconds: i64) -> bool {
    let has_begun_by_then = |began| began <= seconds + ROUNDING_SECONDS;
    living(pid).is_some_and(|stat| stat.began_seconds().is_none_or(has_begun_by_then))
}

/// What the kernel says of a process that may still do something.
fn living(pid: i32) -> Option<ProcessStat> {
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return None;
    }
    Some(ProcessStat::read(pid)).filter(|stat| !matches!(stat.state, Some('Z' | 'X')))
}

/// What the kernel says of a process; nothing where it may not be seen.
struct ProcessStat {
    state: Option<char>,
    /// When it began, on the clock that counts from the start of the machine.
    start_ticks: Option<i64>,
}

impl ProcessStat {
    fn read(pid: i32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name before the state may have any characters.
        let fields = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
        let mut fields = fields.split(' ');
        Self {
            state: fields.next().and_then(|state| state.chars().next()),
            start_ticks: fields.nth(18).and_then(|ticks| ticks.parse().ok()),
        }
    }

    /// When it began, in seconds since 1970; none where that cannot be told. The kernel's clock is asked, and not
    /// /proc/uptime, which may be that of a container.
    fn began_seconds(&self) -> Option<i64> {
        let since_boot = clock_gettime(ClockId::Boottime).tv_sec;
        let age_seconds = since_boot - self.start_ticks? / TICKS_PER_SECOND;
        (age_seconds >= 0).then(|| clock_gettime(ClockId::Realtime).tv_sec - age_seconds)
    }
}

/// The program of a process, as ` (mutt)`; nothing where it may not be seen.
pub fn program_of(pid: impl Display) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    name.map_or_else(|_| String::new(), |name| format!(" ({})", name.trim_end()))
}

/// Tells whether programs that this process starts get no other user or group by their set-id bits (prctl(2),
/// PR_SET_NO_NEW_PRIVS).
pub fn has_no_new_privileges() -> Option<bool> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:"))?;
    Some(value.trim() == "1")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::{Command, Stdio};

    use super::{FCNTL_LOCK, FLOCK_LOCK, holder_in, is_alive, is_writer_alive, listens_at};

    #[test]
    fn whoever_has_ended_is_not_alive_though_nobody_waited() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "read line"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| unreachable!("{e}"));
        let pid = i32::try_from(child.id()).unwrap_or(0);
        assert!(is_alive(pid));
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        assert!(is_writer_alive(pid, now));
        assert!(!is_writer_alive(pid, now - 10), "it began after that");
        drop(child.stdin.take());
        let id = nix::sys::wait::Id::Pid(nix::unistd::Pid::from_raw(pid));
        let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        assert!(nix::sys::wait::waitid(id, flags).is_ok());
        assert!(!is_alive(pid), "it is there, and has ended");
        assert!(child.wait().is_ok());
        assert!(!is_alive(pid));
    }

    #[test]
    fn the_holder_of_a_lock_is_read_from_its_line() {
        let locks = "1: FLOCK  ADVISORY  WRITE 11 fe:00:7 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 12 fe:00:8 0 EOF\n\
                     3: OFDLCK ADVISORY  WRITE -1 fe:00:9 0 EOF\n\
                     4: POSIX  ADVISORY  READ  13 fe:00:7 0 EOF\n\
                     4: -> POSIX  ADVISORY  WRITE 14 fe:01:7 0 EOF\n";
        for (kind, device, inode, want) in [
            (FLOCK_LOCK, 0xfe00, 7, Some(11)),
            (FCNTL_LOCK, 0xfe00, 7, Some(13)),
            (FCNTL_LOCK, 0xfe00, 8, Some(12)),
            (FCNTL_LOCK, 0xfe00, 9, None),
            (FCNTL_LOCK, 0xfe01, 7, None),
            (FLOCK_LOCK, 0xfe00, 8, None),
        ] {
            assert_eq!(
                holder_in(locks, kind, device, inode),
                want,
                "{kind:?} {device:x} {inode}"
            );
        }
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
