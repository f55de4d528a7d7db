//! The end of an mbox to which messages are added. A killed run may have left a part of a message there, or no empty
//! line. Shells and mail clients tell new mail by the file's times.

use std::fs::{File, FileTimes};
use std::os::unix::fs::FileExt;

use crate::archive::messages::Archived;
use crate::spool::merge::target::Stop;

/// Strictly: what is whole is no part.
pub(super) fn begins_with(whole: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && part.len() < whole.len() && whole.starts_with(part)
}

pub(super) fn is_same(file: &File, offset: u64, archived: &Archived<'_>, bytes: u64) -> Result<bool, Stop> {
    let (mut a, mut b) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut at = 0;
    while at < bytes {
        let room = usize::try_from(bytes - at).unwrap_or(a.len()).min(a.len());
        let here = file.read_at(a.get_mut(..room).unwrap_or_default(), offset + at)?;
        let there = archived
            .bytes()
            .read_from(b.get_mut(..here).unwrap_or_default(), archived.stored.offset + at)?;
        if there == 0 || a.get(..there) != b.get(..there) {
            return Ok(false);
        }
        at += there as u64;
    }
    Ok(bytes > 0)
}

/// What a message lacks at its end before a separator line may follow: an empty line.
pub(super) fn missing_end(message: &[u8]) -> &'static [u8] {
    if message.ends_with(b"\n\n") || message.ends_with(b"\n\r\n") {
        b""
    } else if message.ends_with(b"\n") {
        b"\n"
    } else {
        b"\n\n"
    }
}

/// What shells and mail clients go by: changed after it was read last.
pub(super) fn has_new_mail(file: &File) -> bool {
    let times = file
        .metadata()
        .and_then(|stat| Ok((stat.len(), stat.modified()?, stat.accessed()?)));
    times.is_ok_and(|(bytes, modified, accessed)| bytes > 0 && modified > accessed)
}

/// Makes it look read: what came back was read before. A mailbox that still looks as if mail had come harms nobody.
pub(super) fn look_read(file: &File) {
    if let Ok(modified) = file.metadata().and_then(|stat| stat.modified()) {
        let _ = file.set_times(FileTimes::new().set_accessed(modified).set_modified(modified));
    }
}
