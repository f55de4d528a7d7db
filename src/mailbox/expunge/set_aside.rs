//! Journals that no run acts by any more, and that are kept: damaged ones, and those whose mailbox had a sync that
//! failed. They get another name for good. Where a user may rename nothing, a label at the beginning of the file says
//! that it is set aside, or done. Somebody has to look at what is set aside: `find` names it for the log, `status`,
//! `spool list` and doctor.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Category, Error};
use crate::mailbox::expunge::place::{place_beside, place_in};
use crate::sys::dirs::{open_kept, open_unread, sync_parent, with_suffix};
use crate::sys::read_at::read_full;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAsideReason {
    /// A part of it is not as it was written.
    Bad,
    /// A sync of the mailbox failed.
    SyncFailed,
}

impl SetAsideReason {
    const ALL: [Self; 2] = [Self::Bad, Self::SyncFailed];

    /// What the name ends in then.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Bad => ".bad",
            Self::SyncFailed => ".kept",
        }
    }

    const fn label(self) -> &'static [u8; LABEL_BYTES] {
        match self {
            Self::Bad => b"spoolguard bad!!",
            Self::SyncFailed => b"spoolguard kept!",
        }
    }
}

const LABEL_BYTES: usize = 16;

/// What stands alone in a journal that is done.
const DONE: &[u8; LABEL_BYTES] = b"spoolguard done!";

/// How many journals of one mailbox are set aside for one reason at most.
const MOST: u32 = 100;

/// Sets a journal aside. Where it is then. Fails when it can neither be renamed nor be written to.
pub fn put_aside(place: &Path, file: &File, reason: SetAsideReason) -> Result<PathBuf, Error> {
    let fail = |e: io::Error| Error::io("set aside journal", place, &e);
    if let Ok(path) = rename(place, reason) {
        return Ok(path);
    }
    file.write_all_at(reason.label(), 0).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    Ok(place.to_owned())
}

/// Gives it another, free name.
fn rename(place: &Path, reason: SetAsideReason) -> io::Result<PathBuf> {
    for number in 0..MOST {
        let path = name(place, reason, number);
        if path.symlink_metadata().is_ok() {
            continue;
        }
        std::fs::rename(place, &path)?;
        sync_parent(&path)?;
        return Ok(path);
    }
    Err(io::Error::other("too many are set aside already"))
}

fn name(place: &Path, reason: SetAsideReason, number: u32) -> PathBuf {
    match number {
        0 => with_suffix(place, reason.suffix()),
        number => with_suffix(place, &format!("{}.{number}", reason.suffix())),
    }
}

/// Removes a journal of which everything is done, or says so in it.
pub fn remove_journal(place: &Path, file: &File) {
    if std::fs::remove_file(place).is_err() {
        let _ = file
            .write_all_at(DONE, 0)
            .and_then(|()| file.set_len(DONE.len() as u64))
            .and_then(|()| file.sync_all());
    } else {
        let _ = sync_parent(place);
    }
}

fn label(file: &File) -> io::Result<[u8; LABEL_BYTES]> {
    let mut label = [0; LABEL_BYTES];
    read_full(file, &mut label, 0)?;
    Ok(label)
}

/// Tells whether nobody acts by it any more.
pub fn is_labelled(file: &File) -> io::Result<bool> {
    let label = label(file)?;
    Ok(label == *DONE || SetAsideReason::ALL.iter().any(|reason| label == *reason.label()))
}

/// Makes way for a new journal: one that is done may be renamed over, one that is kept gets another name. Fails when
/// there is one that somebody has to act by, or it cannot be renamed.
pub fn make_way(place: &Path) -> Result<(), Error> {
    let fail = |e: io::Error| Error::io("write journal", place, &e);
    let Some(file) = open_kept(place).map_err(fail)? else {
        return Ok(());
    };
    let label = label(&file).map_err(fail)?;
    match SetAsideReason::ALL.iter().find(|reason| label == *reason.label()) {
        Some(reason) => rename(place, *reason).map(drop).map_err(fail),
        None if label == *DONE => Ok(()),
        None => {
            let cause = "another one is there";
            Err(Error::new(Category::System, "write journal", place.display(), cause))
        }
    }
}

pub fn find_journals(mailbox: &Path, state_dir: Option<&Path>) -> Vec<PathBuf> {
    let places = [Some(place_beside(mailbox)), state_dir.map(|dir| place_in(dir, mailbox))];
    let mut found = Vec::new();
    for place in places.into_iter().flatten() {
        for reason in SetAsideReason::ALL {
            let names = (0..MOST).map(|number| name(&place, reason, number));
            found.extend(names.take_while(|path| path.symlink_metadata().is_ok()));
        }
        if is_kept(&place) {
            found.push(place);
        }
    }
    found
}

/// Tells whether a file under a journal's own name is kept, by its label.
pub fn is_kept(place: &Path) -> bool {
    label_at(place).is_some_and(|label| SetAsideReason::ALL.iter().any(|reason| label == *reason.label()))
}

/// Tells whether a file under a journal's own name says that it is done.
pub fn is_done(place: &Path) -> bool {
    label_at(place).is_some_and(|label| label == *DONE)
}

fn label_at(place: &Path) -> Option<[u8; LABEL_BYTES]> {
    let file = open_unread(OpenOptions::new().read(true), place).ok()?;
    file.metadata().ok()?.is_file().then(|| label(&file).ok())?
}
