//! Small files in which a run remembers what it saw, so that the next run need not look again. A file that is lost,
//! damaged, somebody else's or cannot be written counts as missing. Nothing is synced.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use data_encoding::HEXLOWER;

use crate::sys::dirs::{make_private_dir, open_kept, own_file, parent_of};

/// How much of a file before some place is remembered, to know it again.
const TAIL_BYTES: usize = 64;

/// What was remembered, and when.
#[derive(Debug)]
pub struct CachedContent {
    pub text: String,
    /// When it was written, or last found to hold still.
    pub noted: SystemTime,
}

/// Where something about the file at `path` is remembered: one file for each, named after its path.
pub fn cache_path(path: &Path, dir: &Path) -> PathBuf {
    let mut name = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => name.push(char::from(*byte)),
            other => name.push_str(&format!("_{other:02x}")),
        }
    }
    // A name may have 255 bytes (NAME_MAX); the end of a path tells more than its beginning.
    let cut = name.len().saturating_sub(200);
    dir.join(name.get(cut..).unwrap_or(&name))
}

/// Reads a memory of at most `most_bytes`.
pub fn load_cached(place: &Path, most_bytes: u64) -> Option<CachedContent> {
    let file = open_kept(place).ok()??;
    let stat = file.metadata().ok().filter(|stat| stat.len() <= most_bytes)?;
    let mut text = String::new();
    file.take(most_bytes).read_to_string(&mut text).ok()?;
    Some(CachedContent {
        text,
        noted: stat.modified().ok()?,
    })
}

/// Replaces a memory as a whole. Fails when it cannot be written. Nobody has to be told.
pub fn save_cached(place: &Path, text: &str) -> io::Result<()> {
    let dir = place.parent().ok_or(io::ErrorKind::InvalidInput)?;
    make_private_dir(dir).map_err(io::Error::other)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.persist(place)?;
    Ok(())
}

/// Notes that a memory was found to hold still.
pub fn confirm_cached(place: &Path) {
    let opened = own_file().write(true).open(place);
    let _ = opened.and_then(|file| file.set_modified(SystemTime::now()));
}

/// When the mark at `path` was made: an empty file, of which only the time counts.
pub fn mark_time(path: &Path) -> Option<SystemTime> {
    path.symlink_metadata().ok()?.modified().ok()
}

/// Makes a mark. It is made anew, since what stands there may be a link to something else. Of two runs at once, one
/// makes it.
pub fn renew_mark(path: &Path) -> io::Result<File> {
    let _ = std::fs::remove_file(path);
    make_private_dir(parent_of(path)).map_err(io::Error::other)?;
    File::create_new(path)
}

/// The last bytes before `end`, in hexadecimal digits, with a dot in front.
pub fn fingerprint_tail(file: &File, end: u64) -> io::Result<String> {
    let length = TAIL_BYTES.min(usize::try_from(end).unwrap_or(TAIL_BYTES));
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, end - length as u64)?;
    Ok(format!(".{}", HEXLOWER.encode(&bytes)))
}

/// How much of the beginning and of the end makes a fingerprint, in bytes.
const PRINT_BYTES: u64 = 4096;

/// A fingerprint of what a file holds up to `end`: of its first bytes, where mail clients note that they were at it,
/// and of the last before `end`. Another version of this program may make another one; then the file is looked at
/// again.
pub fn fingerprint_file(file: &File, end: u64) -> io::Result<String> {
    let length = PRINT_BYTES.min(end);
    let mut hasher = DefaultHasher::new();
    for at in [0, end - length] {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut bytes, at)?;
        hasher.write(&bytes);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::{cache_path, load_cached, save_cached};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    #[test]
    fn a_memory_comes_back_and_what_is_none_of_ours_does_not() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let at = cache_path(Path::new("/var/mail/a\n/../b"), &dir.path().join("deep"));
        assert!(load_cached(&at, 100).is_none());
        assert!(save_cached(&at, "seen").is_ok());
        assert_eq!(load_cached(&at, 100).map(|memory| memory.text).as_deref(), Some("seen"));
        assert!(load_cached(&at, 3).is_none());
        assert_eq!(at.parent(), Some(dir.path().join("deep").as_path()));
        let link = dir.path().join("link");
        assert!(symlink(&at, &link).is_ok());
        assert!(load_cached(&link, 100).is_none());
    }
}
