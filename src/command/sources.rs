//! Which files a command reads when it is given paths, in the order of their names: a file itself, the messages of a
//! Maildir, all files below any other directory. Memory holds one directory for each level. A directory that cannot be
//! listed is returned as an error in its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A path to read, or why it cannot be found out what to read there.
pub type SourcePath = Result<PathBuf, (PathBuf, io::Error)>;

#[derive(Debug)]
pub struct SourceWalk {
    /// What is still to be looked at, the next one last.
    left: Vec<SourcePath>,
}

impl SourceWalk {
    pub fn new(paths: &[PathBuf]) -> Self {
        Self {
            left: paths.iter().rev().cloned().map(Ok).collect(),
        }
    }

    /// Puts the files of a directory where the directory was.
    fn open(&mut self, directory: &Path) {
        match listed(directory) {
            Ok(found) => self.left.extend(found.into_iter().rev().map(Ok)),
            Err(e) => self.left.push(Err((directory.to_owned(), e))),
        }
    }
}

impl Iterator for SourceWalk {
    type Item = SourcePath;

    fn next(&mut self) -> Option<SourcePath> {
        loop {
            match self.left.pop()? {
                Ok(path) if path.is_dir() => self.open(&path),
                source => return Some(source),
            }
        }
    }
}

/// What is to be read in a directory. In a maildir that is `new`, `cur` and the folders whose names begin with a dot
/// (Maildir++); its other files are indexes. Elsewhere hidden files are passed over, and symbolic links to directories,
/// which may lead round.
fn listed(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let maildir = ["new", "cur"].iter().all(|name| directory.join(name).is_dir());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let path = entry.path();
        let wanted = if maildir {
            kind.is_dir() && (hidden || name == "new" || name == "cur")
        } else if kind.is_symlink() {
            !hidden && path.is_file()
        } else {
            !hidden && (kind.is_dir() || kind.is_file())
        };
        if wanted {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::SourceWalk;
    use std::fs;
    use std::path::PathBuf;

    #[test]
    fn files_come_by_name_and_maildirs_without_their_indexes() {
        let root = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
        let files = [
            "b.eml",
            "a/x.eml",
            ".hidden",
            "m/new/2",
            "m/cur/1:2,S",
            "m/tmp/3",
            "m/index",
            "m/.Sent/cur/4",
            "m/.Sent/new/5",
        ];
        for name in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap_or_else(|| unreachable!())).unwrap_or_default();
            fs::write(path, b"").unwrap_or_default();
        }
        let found: Vec<String> = SourceWalk::new(&[root.path().to_owned(), PathBuf::from("/no/such")])
            .map(|source| match source {
                Ok(path) => path.strip_prefix(root.path()).unwrap_or(&path).display().to_string(),
                Err((path, _)) => format!("{}?", path.display()),
            })
            .collect();
        let want = [
            "a/x.eml",
            "b.eml",
            "m/.Sent/cur/4",
            "m/.Sent/new/5",
            "m/cur/1:2,S",
            "m/new/2",
            "/no/such",
        ];
        assert_eq!(found, want);
    }
}
