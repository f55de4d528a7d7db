//! Small files of the state directory that many processes share: read whole, replaced whole, by one process at a time.
//!
//! A file replaced under a lock, and not a database: a look is an open and a read of a few kilobytes. A kill at any
//! point leaves the old file or the new one. An administrator reads it with `cat` and fixes it with `rm`. A file that
//! is lost or damaged is begun anew, and no delivery stops for it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs2::FileExt;
use nix::libc;

use crate::error::{Category, Error};
use crate::sys::deadline::Deadline;
use crate::sys::dirs::{self, make_private_dir, open_kept, open_own, parent_of, with_suffix};
use crate::sys::file_stamp::is_still;

/// A file that is larger was not written by us, in bytes.
pub const LARGEST_BYTES: u64 = 4 << 20;

/// For how long a lock is waited for. Whoever holds one only reads and writes a small file.
const LOCK_TIME: Duration = Duration::from_secs(10);

/// How often it is asked for meanwhile.
const PAUSE: Duration = Duration::from_millis(3);

/// One such file, which need not exist yet.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

/// The file, while nobody else changes it.
#[derive(Debug)]
#[must_use]
pub struct LockedStateFile {
    path: PathBuf,
    content: Option<Vec<u8>>,
    // The lock ends with it. It hangs on a file of its own, because the store itself is another file after each change.
    _lock: File,
}

impl Store {
    pub fn new(dir: &Path, name: &str) -> Self {
        Self { path: dir.join(name) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds, none where there is no file. Takes no lock: it is never seen half written.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        read(&self.path).map_err(|e| Error::io("read", &self.path, &e))
    }

    /// Waits until nobody else changes it, and reads it. One that cannot be read is set aside. Fails when the directory
    /// or the lock cannot be made, or somebody else holds it for too long.
    pub fn hold(&self, deadline: &Deadline) -> Result<LockedStateFile, Error> {
        self.hold_within(deadline, LOCK_TIME)
    }

    /// The same, and waits for so long.
    pub fn hold_within(&self, deadline: &Deadline, most: Duration) -> Result<LockedStateFile, Error> {
        make_private_dir(parent_of(&self.path))?;
        let lock = self.lock(deadline, most)?;
        let mut held = LockedStateFile {
            path: self.path.clone(),
            content: None,
            _lock: lock,
        };
        match read(&self.path) {
            Ok(content) => held.content = content,
            Err(e) if is_of_the_moment(&e) => return Err(Error::io("read", &self.path, &e)),
            Err(e) => held.set_aside(&format!("cannot be read: {e}"))?,
        }
        Ok(held)
    }

    fn lock(&self, deadline: &Deadline, most: Duration) -> Result<File, Error> {
        let path = with_suffix(&self.path, ".lock");
        let fail = |e: io::Error| Error::io("lock", &path, &e);
        let until = Instant::now() + most.min(deadline.remaining());
        loop {
            let file = open_own(&path).map_err(fail)?;
            let locked = match FileExt::try_lock_exclusive(&file) {
                Ok(()) => true,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => false,
                Err(e) => return Err(fail(e)),
            };
            // Somebody may have tidied the directory between open and lock.
            if locked && is_still(&file, &path)? {
                return Ok(file);
            }
            deadline.check("lock", &path.display().to_string())?;
            if Instant::now() >= until {
                let cause = format!("another process holds it for longer than {} s", most.as_secs());
                return Err(Error::new(Category::System, "lock", path.display(), cause));
            }
            if !locked {
                deadline.sleep(PAUSE.mul_f64(0.5 + fastrand::f64()));
            }
        }
    }
}

impl LockedStateFile {
    /// What the file holds; none where there is no file.
    pub fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// Puts `content` in its place. The old one stays until the new one is on disk. Fails when it cannot be written;
    /// then the old one holds.
    pub fn replace(&mut self, content: &[u8]) -> Result<(), Error> {
        let fail = |e: io::Error| Error::io("write", &self.path, &e);
        // One name for all tries, so that what killed runs leave behind does not pile up. Only the holder of the lock
        // writes to it.
        let draft = with_suffix(&self.path, ".new");
        if let Err(e) = std::fs::remove_file(&draft)
            && e.kind() != io::ErrorKind::NotFound
        {
            let _ = dirs::set_aside(&draft);
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .map_err(fail)?;
        let written = file
            .write_all(content)
            // Without it the name may reach the disk before what it names (rename(2), fsync(2)).
            .and_then(|()| file.sync_data())
            .and_then(|()| std::fs::rename(&draft, &self.path));
        if let Err(e) = written {
            let _ = std::fs::remove_file(&draft);
            return Err(fail(e));
        }
        self.content = Some(content.to_vec());
        Ok(())
    }

    /// Renames a file that cannot be understood to `<name>.bad`, for an administrator to look at, and goes on without.
    pub fn set_aside(&mut self, cause: &str) -> Result<(), Error> {
        dirs::set_aside(&self.path).map_err(|e| Error::io("set aside", &self.path, &e).hint(format!("it {cause}")))?;
        self.content = None;
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = open_kept(path)? else {
        return Ok(None);
    };
    if file.metadata()?.len() > LARGEST_BYTES {
        return Err(io::Error::other("not written by spoolguard"));
    }
    let mut content = Vec::new();
    file.take(LARGEST_BYTES).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Tells whether the system lacks something now: that says nothing about the file.
fn is_of_the_moment(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EINTR, libc::ESTALE]
        .map(Some)
        .contains(&code)
}

#[cfg(test)]
mod tests {
    use super::Store;
    use crate::sys::deadline::Deadline;
    use std::os::unix::fs::symlink;

    fn deadline() -> Deadline {
        Deadline::begin().unwrap_or_else(|e| unreachable!("{e}"))
    }

    #[test]
    fn many_at_once_lose_no_change() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let store = Store::new(&dir.path().join("deep/state"), "count");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let mut held = store.hold(&deadline()).unwrap_or_else(|e| unreachable!("{e}"));
                        let text = String::from_utf8_lossy(held.content().unwrap_or(b"0")).into_owned();
                        let next = text.parse::<u32>().unwrap_or(0) + 1;
                        assert!(held.replace(next.to_string().as_bytes()).is_ok());
                    }
                });
            }
        });
        assert_eq!(store.read().ok().flatten().as_deref(), Some(&b"100"[..]));
    }

    #[test]
    fn what_is_none_of_ours_is_set_aside() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let store = Store::new(dir.path(), "s");
        assert!(std::fs::write(dir.path().join("secret"), "x").is_ok());
        assert!(symlink(dir.path().join("secret"), store.path()).is_ok());
        assert!(store.read().is_err());
        let mut held = store.hold(&deadline()).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(held.content(), None);
        assert!(held.replace(b"new").is_ok());
        assert!(dir.path().join("s.bad").symlink_metadata().is_ok());
        assert_eq!(
            std::fs::read(dir.path().join("secret")).ok().as_deref(),
            Some(&b"x"[..])
        );
        assert_eq!(store.read().ok().flatten().as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn a_draft_that_a_killed_run_left_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let store = Store::new(dir.path(), "s");
        assert!(std::fs::write(dir.path().join("s.new"), "half").is_ok());
        let mut held = store.hold(&deadline()).unwrap_or_else(|e| unreachable!("{e}"));
        assert_eq!(held.content(), None);
        assert!(held.replace(b"whole").is_ok());
        assert_eq!(store.read().ok().flatten().as_deref(), Some(&b"whole"[..]));
    }
}
