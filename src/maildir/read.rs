//! Reads a Maildir: its messages, in the order in which they came. No link is followed; what is removed meanwhile is
//! left out.

use std::cmp::Ordering;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::maildir::directory::{Maildir, each_name};
use crate::maildir::name::delivered_seconds;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMessage {
    part: SeenIn,
    name: CString,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SeenIn {
    New,
    Cur,
}

/// The messages of a Maildir, without those of its folders, the oldest first.
pub fn list_messages(maildir: &Maildir) -> io::Result<Vec<SeenMessage>> {
    let mut messages = Vec::new();
    for (part, dir) in [(SeenIn::New, maildir.new_dir()), (SeenIn::Cur, maildir.cur_dir())] {
        each_name(dir, |name| {
            messages.push(SeenMessage {
                part,
                name: name.to_owned(),
            });
            Ok(ControlFlow::Continue(()))
        })?;
    }
    messages.sort_by(|a, b| by_age(a.name.to_bytes(), b.name.to_bytes()));
    Ok(messages)
}

/// Names begin with the second of delivery, of any number of digits.
fn by_age(a: &[u8], b: &[u8]) -> Ordering {
    delivered_seconds(a).cmp(&delivered_seconds(b)).then_with(|| a.cmp(b))
}

impl SeenMessage {
    /// Its name, flags and all.
    pub fn name(&self) -> &[u8] {
        self.name.to_bytes()
    }

    /// Tells whether no reader has looked at it.
    pub fn is_in_new(&self) -> bool {
        self.part == SeenIn::New
    }

    /// One of this path.
    #[cfg(test)]
    pub fn named(path: &str) -> Self {
        let (part, name) = path.split_once('/').unwrap_or(("new", path));
        Self {
            part: if part == "cur" { SeenIn::Cur } else { SeenIn::New },
            name: CString::new(name).unwrap_or_default(),
        }
    }

    pub fn path(&self, maildir: &Maildir) -> PathBuf {
        let part = match self.part {
            SeenIn::New => "new",
            SeenIn::Cur => "cur",
        };
        maildir.path().join(part).join(OsStr::from_bytes(self.name.to_bytes()))
    }

    /// Opens it for reading; none where it is gone, or is no regular file.
    pub fn open(&self, maildir: &Maildir) -> io::Result<Option<File>> {
        let dir = match self.part {
            SeenIn::New => maildir.new_dir(),
            SeenIn::Cur => maildir.cur_dir(),
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(dir, &self.name, flags, Mode::empty()) {
            Ok(file) => {
                let file = File::from(file);
                let is_file = file.metadata()?.is_file();
                Ok(is_file.then_some(file))
            }
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::by_age;

    #[test]
    fn names_are_ordered_by_their_seconds() {
        let mut names = ["10.b", "9.a", "x", "10.a", "1795661026.M5P5.h:2,S"];
        names.sort_by(|a, b| by_age(a.as_bytes(), b.as_bytes()));
        assert_eq!(names, ["x", "9.a", "10.a", "10.b", "1795661026.M5P5.h:2,S"]);
    }
}
