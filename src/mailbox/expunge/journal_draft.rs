//! A journal while it is written: under another name, which one run at a time may have. When it is whole, it is synced
//! and renamed; a draft that is dropped is removed.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fs2::FileExt as _;
use nix::unistd::{Gid, Uid};
use sha2::{Digest, Sha256};

use crate::error::{Category, Error};
use crate::mailbox::expunge::journal::{Journal, is_trusted};
use crate::mailbox::expunge::journal_record::{HEAD_BYTES, Record, RecordHeader};
use crate::mailbox::expunge::journal_units::Writer;
use crate::mailbox::expunge::set_aside;
use crate::mailbox::ranges::{Hash, STEP_BYTES};
use crate::sys::dirs::{own_file, sync_parent, with_suffix};
use crate::sys::file_stamp::is_still;

/// A journal that is being written. Dropped, it is gone.
#[derive(Debug)]
pub struct JournalDraft {
    place: PathBuf,
    path: PathBuf,
    content: Writer<BufWriter<File>>,
    sha: Sha256,
    committed: bool,
}

impl JournalDraft {
    /// Begins one for the mailbox of this owner and group. Nobody else can begin one meanwhile. Fails when it cannot be
    /// made, or somebody else is at it.
    pub fn begin(place: &Path, uid: u32, gid: u32) -> Result<Self, Error> {
        let path = with_suffix(place, ".new");
        let fail = |e: io::Error| Error::io("make journal", &path, &e);
        let mut options = own_file();
        options.read(true).write(true).mode(0o600);
        let file = match options.clone().create_new(true).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => options.open(&path).map_err(fail)?,
            result => result.map_err(fail)?,
        };
        let stat = file.metadata().map_err(fail)?;
        if !is_trusted(&stat, uid) {
            let cause = format!("it belongs to uid {}, and is none of ours", stat.uid());
            return Err(Error::new(Category::System, "use journal", path.display(), cause).hint("remove it"));
        }
        let taken = || {
            let cause = "another spoolguard archives, sweeps or restores this mailbox";
            Err(Error::new(Category::Mailbox, "begin journal", path.display(), cause))
        };
        match file.try_lock_exclusive() {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return taken(),
            Err(e) => return Err(Error::io("lock", &path, &e)),
        }
        if !is_still(&file, &path)? {
            return taken();
        }
        let mut draft = Self {
            place: place.to_owned(),
            path: path.clone(),
            content: Writer::new(BufWriter::with_capacity(STEP_BYTES, file)),
            sha: Sha256::new(),
            committed: false,
        };
        let file = draft.file();
        file.set_len(0).map_err(fail)?;
        if stat.uid() != uid && Uid::effective().is_root() {
            // The owner's delivery has to read it, and to empty it.
            nix::unistd::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(|e| fail(e.into()))?;
        }
        // Where the head goes when the content is known.
        let head = [0; HEAD_BYTES as usize];
        draft.content.to.write_all(&head).map_err(fail)?;
        Ok(draft)
    }

    fn file(&self) -> &File {
        self.content.to.get_ref()
    }

    /// How much content it has, in bytes.
    pub fn bytes(&self) -> u64 {
        self.content.bytes()
    }

    /// Makes what was written so far last, so that little is left to do under the lock.
    pub fn sync(&mut self) -> io::Result<()> {
        self.content.flush()?;
        self.file().sync_data()
    }

    /// Makes it the mailbox's journal. From here on whoever locks the mailbox acts by it. Fails when it cannot be
    /// written; then there is none.
    pub fn commit(mut self, head: RecordHeader) -> Result<Journal, Error> {
        let fail = |e: io::Error| Error::io("write journal", &self.path, &e);
        let content: Hash = self.sha.clone().finalize().into();
        self.content.finish().map_err(fail)?;
        let record = Record::new(head, self.bytes(), content);
        let file = self.file().try_clone().map_err(fail)?;
        file.write_all_at(&record.written(), 0).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        set_aside::make_way(&self.place)?;
        std::fs::rename(&self.path, &self.place).map_err(fail)?;
        self.committed = true;
        let journal = Journal {
            place: self.place.clone(),
            file,
            at: 0,
            record,
        };
        if let Err(e) = sync_parent(&self.place) {
            let error = Error::io("sync the directory of", &self.place, &e);
            let _ = journal.mark_done();
            return Err(error);
        }
        Ok(journal)
    }
}

impl Write for JournalDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.content.write(bytes)?;
        self.sha.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.content.flush()
    }
}

impl Drop for JournalDraft {
    fn drop(&mut self) {
        if !self.committed && is_still(self.file(), &self.path).unwrap_or(false) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
