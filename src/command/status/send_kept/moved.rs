//! Notes which kept messages an archive took out of the mailbox. `spool archive` starts this run as the user whose mail
//! it is, before it takes any and after. What fails is said, and changes nothing: then `status` does not know of them,
//! and the archive has them.

use time::OffsetDateTime;

use crate::command::status::send_kept::copies::{find_copies, find_locked};
use crate::deliver::context::Run;
use crate::deliver::forward::kept::{self, KeptFile};
use crate::deliver::forward::rules::kept::{KeptEvent, KeptList, KeptMessage};
use crate::error::{Error, Status};

/// Notes that what waits and is not in the mailbox is in `archive`; where that is empty, that its owner has removed it.
/// Fails when a list or the mailbox cannot be read or written.
pub fn note_archived(run: &Run, archive: &str, now: OffsetDateTime) -> Result<Status, Error> {
    for list in kept::read_kept_lists(run) {
        let list = list?;
        let missing = find_missing(run, &list)?;
        let events: Vec<KeptEvent<'_>> = missing
            .iter()
            .map(|entry| match archive {
                "" => KeptEvent::Gone(&entry.key),
                archive => KeptEvent::Archived(&entry.key, archive),
            })
            .collect();
        if !events.is_empty()
            && let Some(file) = KeptFile::of(run, &list.destination)
        {
            file.add(run, &list.own, now.unix_timestamp(), &events)?;
        }
    }
    Ok(Status::Done)
}

/// Those that nothing is noted of and that are not in the mailbox. What was not seen may only have been on the move.
fn find_missing<'l>(run: &Run, list: &'l KeptList) -> Result<Vec<&'l KeptMessage>, Error> {
    let mut missing: Vec<&KeptMessage> = list.waiting().filter(|entry| entry.archive.is_none()).collect();
    for find in [find_copies, find_locked] {
        if missing.is_empty() {
            break;
        }
        let places = find(run, list)?;
        missing.retain(|entry| !places.contains_key(&entry.key));
    }
    Ok(missing)
}
