//! Refuses a configuration file that somebody else could write or put in its place: it says which program sends a
//! user's mail. Looks at the file, and at every directory and symbolic link on the way to it. `config/load.rs` reads
//! it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use crate::error::{Category, Error};

/// As many symbolic links as Linux follows in one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// In a directory with this bit only the owner of an entry may rename or remove it (inode(7)).
const STICKY: u32 = 0o1000;

/// Write permission for the group and for everybody.
const OTHERS_WRITE: u32 = 0o022;

/// The device that is empty whoever writes to it (null(4)): major 1, minor 3.
const NULL_DEVICE: u64 = 0x103;

/// Refuses the file at `path`, of which `opened` is known, where somebody else may write to it or to what is on the
/// way. All of that belongs to root or to one of `owners`.
///
/// # Errors
/// Names what others may write to, with the command that helps.
pub fn refuse_others_file(path: &Path, opened: &Metadata, owners: &[u32]) -> Result<(), Error> {
    let is_null = opened.file_type().is_char_device() && opened.rdev() == NULL_DEVICE;
    if !is_null {
        ConfigAccess { path, owners }.refuse(path, opened)?;
    }
    let whole = std::path::absolute(path).map_err(|e| unknown(path, &e))?;
    ConfigAccess { path, owners }.walk(&whole)
}

/// A configuration file, and who may write to it beside root.
struct ConfigAccess<'a> {
    path: &'a Path,
    owners: &'a [u32],
}

impl ConfigAccess<'_> {
    fn is_ours(&self, stat: &Metadata) -> bool {
        stat.uid() == 0 || self.owners.contains(&stat.uid())
    }

    /// Goes to the file as the kernel does, one name after the other.
    fn walk(&self, whole: &Path) -> Result<(), Error> {
        let mut at = PathBuf::from("/");
        let mut names: VecDeque<OsString> = names_of(whole).collect();
        let mut links = 0;
        self.refuse(&at, &look(&at)?)?;
        while let Some(name) = names.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            let stat = look(&next)?;
            // Others may write to the directory, but not replace what is ours there: so far that is all that was
            // allowed.
            if !self.is_ours(&stat) {
                return Err(self.foreign(&next, &stat));
            }
            if stat.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    return Err(unknown(&next, &io::Error::other("too many symbolic links")));
                }
                let target = next.read_link().map_err(|e| unknown(&next, &e))?;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                names_of(&target).rev().for_each(|name| names.push_front(name));
                continue;
            }
            if stat.is_dir() {
                self.refuse(&next, &stat)?;
            }
            at = next;
        }
        Ok(())
    }

    fn refuse(&self, what: &Path, stat: &Metadata) -> Result<(), Error> {
        if !self.is_ours(stat) {
            return Err(self.foreign(what, stat));
        }
        let is_sticky_dir = stat.is_dir() && stat.mode() & STICKY != 0;
        if stat.mode() & OTHERS_WRITE != 0 && !is_sticky_dir {
            let cause = match what == self.path {
                true => "others may write to it".to_owned(),
                false => format!("others may write to {}", what.display()),
            };
            return Err(self.error(cause, format!("chmod go-w {}", what.display())));
        }
        Ok(())
    }

    fn foreign(&self, what: &Path, stat: &Metadata) -> Error {
        let uid = stat.uid();
        let cause = match what == self.path {
            true => format!("it belongs to uid {uid}, neither to root nor to the user"),
            false => format!(
                "{} belongs to uid {uid}, neither to root nor to the user",
                what.display()
            ),
        };
        self.error(cause, format!("chown root {}; chmod go-w {0}", what.display()))
    }

    fn error(&self, cause: String, hint: String) -> Error {
        Error::new(Category::Configuration, "use configuration", self.path.display(), cause)
            .hint(hint)
            .needs_mending()
    }
}

fn names_of(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    })
}

fn look(path: &Path) -> Result<Metadata, Error> {
    path.symlink_metadata().map_err(|e| unknown(path, &e))
}

fn unknown(path: &Path, source: &io::Error) -> Error {
    Error::io("examine the way to the configuration", path, source).class(Category::Configuration)
}
