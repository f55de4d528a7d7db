//! A file without a name for what is too large for memory. It is gone with this process, however that ends. When its
//! directory is full, the content moves to the next directory. Fails when no directory is left, and names the cause of
//! each.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::vec;

/// How much moves at a time, in bytes.
const STEP_BYTES: usize = 64 << 10;

/// A file without a name, and where it moves to when it cannot grow.
#[derive(Debug)]
pub struct SpillFile {
    file: File,
    place: PathBuf,
    others: vec::IntoIter<PathBuf>,
    refusals: Vec<String>,
    bytes: u64,
}

/// The directories, best first: disks before `/tmp`, which may be memory. The last is the one place where a user often
/// has room.
fn spill_dirs(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let mut dirs = vec![PathBuf::from("/var/tmp"), PathBuf::from("/tmp")];
    if let Some(own) = absolute("TMPDIR") {
        dirs.insert(0, own);
    }
    dirs.extend(absolute("HOME").map(|home| home.join(".local/state/spoolguard")));
    dirs
}

impl SpillFile {
    /// Makes one in the first directory that takes it: `$TMPDIR`, `/var/tmp`, `/tmp`, the state directory of the home.
    pub fn create() -> io::Result<Self> {
        Self::in_one_of(spill_dirs(|name| env::var_os(name)).into_iter(), Vec::new())
    }

    /// Takes `file`, which is empty, as the first place.
    pub fn begin_in(file: File) -> Self {
        Self {
            file,
            place: PathBuf::from("memory"),
            others: spill_dirs(|name| env::var_os(name)).into_iter(),
            refusals: Vec::new(),
            bytes: 0,
        }
    }

    fn in_one_of(mut dirs: vec::IntoIter<PathBuf>, mut refusals: Vec<String>) -> io::Result<Self> {
        while let Some(place) = dirs.next() {
            match tempfile::tempfile_in(&place) {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        place,
                        others: dirs,
                        refusals,
                        bytes: 0,
                    });
                }
                Err(e) => refusals.push(format!("{}: {}", place.display(), cause(&e))),
            }
        }
        Err(io::Error::other(refusals.join(", ")))
    }

    /// Writes `bytes` at `at`.
    pub fn write_all_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        while let Err(e) = self.file.write_all_at(bytes, at) {
            self.move_on(e)?;
        }
        self.bytes = self.bytes.max(at + bytes.len() as u64);
        Ok(())
    }

    /// Reads from byte `at` on; 0 is the end.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(buffer, at)
    }

    /// Gives the file away. Whoever reads it begins at its start.
    pub fn into_file(self) -> File {
        self.file
    }

    /// Moves what was written to the next directory that has room for it.
    fn move_on(&mut self, mut error: io::Error) -> io::Result<()> {
        loop {
            self.refusals
                .push(format!("{}: {}", self.place.display(), cause(&error)));
            let next = Self::in_one_of(std::mem::take(&mut self.others), std::mem::take(&mut self.refusals))?;
            let moved = copy(&self.file, &next.file, self.bytes);
            (self.place, self.others, self.refusals) = (next.place, next.others, next.refusals);
            match moved {
                Ok(()) => {
                    self.file = next.file;
                    return Ok(());
                }
                Err(e) => error = e,
            }
        }
    }
}

impl Write for SpillFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all_at(bytes, self.bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the system says, without the name that the file would have had.
fn cause(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => error.kind().into(),
    }
}

fn copy(from: &File, to: &File, bytes: u64) -> io::Result<()> {
    let mut buffer = vec![0; STEP_BYTES];
    let mut at = 0;
    while at < bytes {
        let wanted = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(STEP_BYTES);
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        from.read_exact_at(part, at)?;
        to.write_all_at(part, at)?;
        at += wanted as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{SpillFile, spill_dirs};
    use std::ffi::OsString;
    use std::io;
    use std::path::PathBuf;

    #[test]
    fn what_was_written_moves_to_the_next_directory() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let missing = dir.path().join("missing");
        let dirs = vec![missing.clone(), dir.path().to_owned(), missing, dir.path().to_owned()];
        let text = vec![7; 200_000];
        let spill = SpillFile::in_one_of(dirs.into_iter(), Vec::new());
        let mut spill = spill.unwrap_or_else(|e| unreachable!("{e}"));
        assert!(spill.write_all_at(&text, 0).is_ok());
        assert!(spill.move_on(io::ErrorKind::StorageFull.into()).is_ok());
        let mut back = vec![0; text.len()];
        assert!(spill.read_at(&mut back, 0).is_ok_and(|read| read == text.len()));
        assert_eq!(back, text);
        let last = spill.move_on(io::ErrorKind::StorageFull.into());
        let told = last.map_err(|e| e.to_string()).err().unwrap_or_default();
        assert_eq!(told.matches("missing: ").count(), 2, "{told}");
        assert_eq!(told.split(", ").count(), 4, "{told}");
    }

    #[test]
    fn only_absolute_directories_of_the_environment_count() {
        let dirs = |value: &str| spill_dirs(|name| (name == "TMPDIR").then(|| OsString::from(value)));
        assert_eq!(dirs("here"), [PathBuf::from("/var/tmp"), PathBuf::from("/tmp")]);
        assert_eq!(dirs("/scratch").first(), Some(&PathBuf::from("/scratch")));
    }
}
