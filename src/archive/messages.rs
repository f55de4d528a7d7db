//! The messages of an archive. It is read to its end once before anything is done with it. Only then it is known
//! whether all of it is sound, and how long each mailbox in it is.

use std::fs::File;
use std::io::{self, Read, Write};

use crate::archive::Member;
use crate::archive::read::{ArchiveContent, unpack_archive};
use crate::archive::rewind::Rolling;
use crate::archive::tar::damaged_archive;
use crate::mailbox::ranges::Ranges;
use crate::mailbox::reader::{MboxMessage, MboxReader};
use crate::sys::message_buffer::HEAD_BYTES;
use crate::sys::read_at::{ReadAt, each_piece};

/// What an archive holds.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The mailboxes, in order, with their lengths.
    pub mailboxes: Vec<Member>,
    /// Files that are not mailboxes.
    pub others: Vec<Member>,
}

/// Reads all of an archive.
pub fn take_inventory(archive: &File) -> io::Result<Inventory> {
    let mut inventory = Inventory::default();
    unpack_archive(archive, |content, bytes| {
        match content {
            ArchiveContent::Mailbox(member) => {
                let bytes = io::copy(bytes, &mut io::sink())?;
                inventory.mailboxes.push(Member {
                    bytes,
                    ..member.clone()
                });
            }
            ArchiveContent::Other(member) => inventory.others.push(member.clone()),
            ArchiveContent::Unknown => return Err(damaged_archive("it holds neither a mailbox nor a tar archive")),
        }
        Ok::<(), io::Error>(())
    })?;
    Ok(inventory)
}

/// One message in an archive.
pub struct Archived<'a> {
    /// The number of its mailbox in the archive.
    pub mailbox: usize,
    /// Where it lies there.
    pub stored: MboxMessage<'a>,
    bytes: &'a dyn ReadAt,
}

impl<'a> Archived<'a> {
    /// A message that lies somewhere else, by itself.
    pub fn from_elsewhere(stored: MboxMessage<'a>, bytes: &'a dyn ReadAt) -> Self {
        Self {
            mailbox: 0,
            stored,
            bytes,
        }
    }

    /// What it can be read from.
    pub fn bytes(&self) -> &dyn ReadAt {
        self.bytes
    }

    /// Copies all of it, separator line first.
    pub fn copy_to(&self, to: &mut dyn Write) -> io::Result<()> {
        to.write_all(self.stored.head)?;
        let MboxMessage {
            offset, bytes, head, ..
        } = self.stored;
        let rest = Ranges::from(offset + head.len() as u64..offset + bytes);
        each_piece(rest.reader(self.bytes), HEAD_BYTES, |piece| to.write_all(piece))
    }
}

/// Hands every message of the mailboxes that `wanted` says to `visit`. Fails when the archive cannot be read any more,
/// or is another one now, and what `visit` says.
pub fn each_message<E: From<io::Error>>(
    archive: &File,
    inventory: &Inventory,
    wanted: impl Fn(usize) -> bool,
    mut visit: impl FnMut(&Archived<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut number = 0;
    unpack_archive(archive, |content, bytes| {
        let ArchiveContent::Mailbox(_) = content else {
            return Ok(());
        };
        let mailbox = number;
        number += 1;
        let Some(member) = inventory.mailboxes.get(mailbox) else {
            return Err(io::Error::other("it was changed while it was read").into());
        };
        if wanted(mailbox) {
            messages(mailbox, bytes, member.bytes, &mut visit)?;
        }
        Ok(())
    })
}

fn messages<E: From<io::Error>>(
    mailbox: usize,
    bytes: &mut dyn Read,
    length: u64,
    visit: &mut impl FnMut(&Archived<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let rolling = Rolling::new(bytes, length);
    let mut mbox = MboxReader::new(&rolling, HEAD_BYTES)?;
    while let Some(stored) = mbox.next()? {
        rolling.forget(stored.offset);
        visit(&Archived {
            mailbox,
            stored,
            bytes: &rolling,
        })?;
    }
    if mbox.was_cut() {
        return Err(io::Error::other("it was changed while it was read").into());
    }
    Ok(())
}
