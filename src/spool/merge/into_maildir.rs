//! Puts archived messages back into a Maildir: those that are not there, into `cur/`, with flags and dates. Run again
//! after a kill, nothing comes twice: what is there is told by content, flags left out. `MaintenanceLock` keeps two
//! runs apart.

use std::io;

use time::OffsetDateTime;

use crate::archive::messages::Archived;
use crate::error::{Category, Error};
use crate::mailbox::content_hash::{ContentHash, HashScope, of_stored};
use crate::mailbox::hash_set::Hashes;
use crate::mailbox::reader::MboxReader;
use crate::mailbox::{append, excerpt};
use crate::maildir::directory::Maildir;
use crate::maildir::draft::MaildirDraft;
use crate::maildir::usage::MaildirUsage;
use crate::maildir::view::MaildirView;
use crate::maildir::{deliver, flags, size_file};
use crate::message::Message;
use crate::spool::context::RunMode;
use crate::spool::merge::known::Sameness;
use crate::spool::merge::target::{MergeInto, MergeLimits, MergeTally, Stop};
use crate::sys::deadline::Deadline;
use crate::sys::message_buffer::{HEAD_BYTES, MessageBuffer};
use crate::sys::{filesystem, local_time};

/// So many messages are made to last together.
const SYNC_EVERY: u64 = 256;

/// One run over an archive.
pub struct MaildirMerge<'a> {
    maildir: &'a Maildir,
    room: MergeLimits,
    sameness: Sameness<'a>,
    mode: RunMode,
    deadline: &'a Deadline,
    known: Hashes,
    usage: MaildirUsage,
    unsynced: u64,
    tally: MergeTally,
}

impl<'a> MaildirMerge<'a> {
    pub fn begin(
        maildir: &'a Maildir,
        view: &MaildirView<'_>,
        room: MergeLimits,
        sameness: Sameness<'a>,
        mode: RunMode,
        deadline: &'a Deadline,
    ) -> Result<Self, Stop> {
        let fail = |e: io::Error| Error::io("read", maildir.path(), &e).class(Category::Mailbox);
        if mode == RunMode::Execute {
            // A killed run may have put one back that no line counts. Where that fails, the next count finds it out.
            let _ = size_file::count_again(maildir);
        }
        let mut merge = Self {
            maildir,
            room,
            sameness,
            mode,
            deadline,
            known: Hashes::default(),
            usage: MaildirUsage::count(maildir).map_err(fail)?,
            unsynced: 0,
            tally: MergeTally::default(),
        };
        let mut mbox = MboxReader::new(view, HEAD_BYTES).map_err(fail)?;
        while let Some(stored) = mbox.next().map_err(fail)? {
            let goes = match sameness {
                Sameness::Each => false,
                Sameness::Once(going) => going.contain(stored.offset),
            };
            if !goes {
                let hash = of_stored(view, &stored, merge.scope()).map_err(fail)?;
                merge.known.insert(hash.bytes());
            }
        }
        Ok(merge)
    }

    fn scope(&self) -> HashScope {
        match self.sameness {
            Sameness::Each => HashScope::All,
            Sameness::Once(_) => HashScope::Written,
        }
    }

    /// Tells whether such a message is there; of as many as are offered, each is found once, or all by the same.
    fn find(&mut self, hash: ContentHash) -> bool {
        match self.sameness {
            Sameness::Each => self.known.remove(hash.bytes()),
            Sameness::Once(_) => self.known.contain(hash.bytes()),
        }
    }

    fn put(&mut self, archived: &Archived<'_>, content: &MessageBuffer) -> Result<(), Stop> {
        let fail = |e: io::Error| Error::io("write", self.maildir.path(), &e);
        if let Some(min_free_bytes) = self.room.min_free {
            let free_bytes = filesystem::free_bytes(self.maildir.path(), self.maildir.tmp_dir())?;
            if free_bytes < content.bytes().saturating_add(min_free_bytes) {
                return Err(append::too_little_space(self.maildir.path(), free_bytes, min_free_bytes).into());
            }
        }
        let message = Message::new(archived.stored.head);
        let now = OffsetDateTime::now_utc();
        let seconds = message.delivered_at().map(local_time::from_clock);
        let date = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        let draft = MaildirDraft::of(Vec::new(), content.reader(0)).map_err(fail)?;
        deliver::put_back(self.maildir, &draft, &flags::read_fields(&message), date.unwrap_or(now))?;
        self.unsynced += 1;
        if self.unsynced >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        if self.unsynced > 0 {
            deliver::sync_restored(self.maildir)?;
            self.unsynced = 0;
        }
        Ok(())
    }
}

impl MergeInto for MaildirMerge<'_> {
    fn offer(&mut self, archived: &Archived<'_>) -> Result<(), Stop> {
        let path = self.maildir.path().display().to_string();
        self.deadline.check("restore into", &path)?;
        let hash = of_stored(archived.bytes(), &archived.stored, self.scope())?;
        if self.find(hash) {
            self.tally.present += 1;
            return Ok(());
        }
        let content = excerpt::read_delivered(archived.bytes(), &archived.stored)?;
        let bytes = self.usage.bytes.saturating_add(content.bytes());
        if !self.room.have_room(bytes, self.usage.messages + 1) {
            self.tally.no_room += 1;
            return Ok(());
        }
        if self.mode == RunMode::Execute {
            self.deadline.begin_again();
            self.put(archived, &content)?;
        }
        if let Sameness::Once(_) = self.sameness {
            self.known.insert(hash.bytes());
        }
        self.usage.bytes += content.bytes();
        self.usage.messages += 1;
        self.tally.restored += 1;
        self.tally.restored_bytes += content.bytes();
        Ok(())
    }

    fn finish(&mut self) -> Result<MergeTally, Stop> {
        self.sync()?;
        Ok(self.tally)
    }

    fn tally(&self) -> MergeTally {
        self.tally
    }
}

impl Drop for MaildirMerge<'_> {
    fn drop(&mut self) {
        // What was put back before something failed.
        let _ = self.sync();
    }
}
