//! A secret of one user in a file: made at first use, read by nobody else, never seen half written. A file that is
//! damaged, or that others could read, is set aside and made anew. Old seals are worth nothing then, and no delivery
//! stops for it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use data_encoding::HEXLOWER_PERMISSIVE;
use nix::unistd::Uid;

use crate::error::{Category, Error};
use crate::sys::dirs::{make_private_dir, open_kept, parent_of, sync_parent, with_suffix};

/// How long a secret is, in bytes.
pub const BYTES: usize = 32;

/// Reads the secret at `path`; none where there is no file. Fails when it cannot be read, is damaged, or others could
/// read it.
pub fn read_key(path: &Path) -> Result<Option<[u8; BYTES]>, Error> {
    let fail = |e: io::Error| Error::io("read", path, &e);
    let Some(file) = open_kept(path).map_err(fail)? else {
        return Ok(None);
    };
    let stat = file.metadata().map_err(fail)?;
    let refuse = |cause: &str| Err(Error::new(Category::System, "use", path.display(), cause));
    if stat.uid() != Uid::effective().as_raw() {
        return refuse("it is no file of this user");
    }
    if stat.mode() & 0o077 != 0 {
        return refuse("others could read it");
    }
    let mut text = Vec::new();
    file.take(2 * BYTES as u64 + 2).read_to_end(&mut text).map_err(fail)?;
    match decode(&text) {
        Some(secret) => Ok(Some(secret)),
        None => refuse("it is damaged"),
    }
}

/// Reads the secret at `path`, or makes one. Of many who make one at once, all get the same.
pub fn read_or_make(path: &Path) -> Result<[u8; BYTES], Error> {
    match read_key(path) {
        Ok(Some(secret)) => return Ok(secret),
        Ok(None) => {}
        Err(e) => {
            let aside = std::fs::rename(path, with_suffix(path, ".bad"));
            aside.map_err(|_| e)?;
        }
    }
    make(path)?;
    match read_key(path)? {
        Some(secret) => Ok(secret),
        None => Err(Error::new(
            Category::System,
            "read",
            path.display(),
            "somebody removed it",
        )),
    }
}

/// Makes a new secret; where somebody else was faster, that one stays.
fn make(path: &Path) -> Result<(), Error> {
    let fail = |e: io::Error| Error::io("make", path, &e);
    make_private_dir(parent_of(path))?;
    let mut secret = [0; BYTES];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut secret))
        .map_err(fail)?;
    // tempfile makes it with mode 0600 and O_EXCL.
    let mut draft = tempfile::NamedTempFile::new_in(parent_of(path)).map_err(fail)?;
    draft
        .write_all((HEXLOWER_PERMISSIVE.encode(&secret) + "\n").as_bytes())
        .map_err(fail)?;
    // What is sealed with it goes out into the world at once: it must not get lost behind that.
    draft.as_file().sync_all().map_err(fail)?;
    match draft.persist_noclobber(path) {
        Ok(_) => sync_parent(path).map_err(fail),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(fail(e.error)),
    }
}

fn decode(text: &[u8]) -> Option<[u8; BYTES]> {
    HEXLOWER_PERMISSIVE
        .decode(text.strip_suffix(b"\n")?)
        .ok()?
        .try_into()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{read_key, read_or_make};
    use std::collections::HashSet;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    fn mode(path: &Path) -> u32 {
        path.metadata().map_or(0, |stat| stat.permissions().mode() & 0o777)
    }

    #[test]
    fn all_who_come_first_get_the_same_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("deep/key");
        let found: HashSet<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| read_or_make(&path).ok())).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        assert_eq!(found.len(), 1);
        assert!(!found.contains(&None));
        assert_eq!(mode(&path), 0o600);
        assert_eq!(std::fs::read_dir(dir.path().join("deep")).map_or(0, Iterator::count), 1);
    }

    #[test]
    fn one_that_is_worth_nothing_is_made_anew() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let path = dir.path().join("key");
        assert!(matches!(read_key(&path), Ok(None)));
        let first = read_or_make(&path).ok();
        assert!(first.is_some_and(|first| first != [0; 32]));
        assert_eq!(read_or_make(&path).ok(), first);
        let whole = std::fs::read_to_string(&path).unwrap_or_default();
        let damages: [&dyn Fn(); 4] = [
            &|| assert!(std::fs::write(&path, whole.get(..40).unwrap_or_default()).is_ok()),
            &|| assert!(std::fs::write(&path, "").is_ok()),
            &|| assert!(std::fs::write(&path, format!("+{}", whole.get(1..).unwrap_or_default())).is_ok()),
            &|| assert!(std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).is_ok()),
        ];
        for damage in damages {
            let before = read_or_make(&path).ok();
            damage();
            assert!(read_key(&path).is_err());
            let after = read_or_make(&path).ok();
            assert!(after.is_some() && after != before);
            assert_eq!(mode(&path), 0o600);
        }
    }
}
