//! The kernel's list of locks, `/proc/locks` and the `lock:` lines of `/proc/PID/fdinfo/FD` (proc_locks(5)).

use crate::doctor::rules::lock_conventions::Lock;

/// A file, as that list names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// Major number of the device.
    pub major: u64,
    /// Minor number of the device.
    pub minor: u64,
    /// The number of the inode.
    pub inode: u64,
}

/// A lock that somebody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLock {
    /// How.
    pub lock: Lock,
    /// Whether others may read meanwhile.
    pub access: Access,
    /// The process; none for a lock that belongs to an open file, which several processes may have.
    pub pid: Option<u32>,
    /// The file.
    pub file: FileId,
}

/// What a lock is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Others may read, too.
    Read,
    /// Nobody else.
    Write,
}

/// The locks that are held. Those that somebody only waits for, and leases, are left out.
#[must_use]
pub fn held(text: &str) -> Vec<HeldLock> {
    text.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<HeldLock> {
    let text = text.strip_prefix("lock:").unwrap_or(text);
    let mut words = text.split_ascii_whitespace().skip(1);
    let lock = match words.next()? {
        "POSIX" | "OFDLCK" => Lock::Fcntl,
        "FLOCK" => Lock::Flock,
        _ => return None,
    };
    let access = match words.nth(1)? {
        "WRITE" => Access::Write,
        "READ" => Access::Read,
        _ => return None,
    };
    let pid = words.next()?.parse().ok();
    let mut file = words.next()?.split(':');
    let device = |part: Option<&str>| u64::from_str_radix(part?, 16).ok();
    let (major, minor) = (device(file.next())?, device(file.next())?);
    let inode = file.next()?.parse().ok()?;
    Some(HeldLock {
        lock,
        access,
        pid,
        file: FileId { major, minor, inode },
    })
}

#[cfg(test)]
mod tests {
    use super::{Access, FileId, HeldLock, held};
    use crate::doctor::rules::lock_conventions::Lock;

    #[test]
    fn held_locks_are_read_and_waiting_ones_are_not() {
        let text = "1: POSIX  ADVISORY  WRITE 1234 08:02:12345 0 EOF\n1: -> POSIX  ADVISORY  WRITE 1235 08:02:12345 0 EOF\n\
                    2: FLOCK  ADVISORY  READ 7 00:1f:9 0 EOF\nlock:\t3: OFDLCK ADVISORY  WRITE -1 fd:00:77 10 EOF\n\
                    4: LEASE  ACTIVE    READ 5 08:02:1 0 EOF\n5: POSIX ADVISORY WRITE 3 <none>:0 0 EOF\nnonsense\n";
        let one = |lock, access, pid, major, minor, inode| HeldLock {
            lock,
            access,
            pid,
            file: FileId { major, minor, inode },
        };
        assert_eq!(
            held(text),
            [
                one(Lock::Fcntl, Access::Write, Some(1234), 8, 2, 12345),
                one(Lock::Flock, Access::Read, Some(7), 0, 0x1f, 9),
                one(Lock::Fcntl, Access::Write, None, 0xfd, 0, 77),
            ]
        );
    }
}
