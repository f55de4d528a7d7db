//! Puts the messages of one archived mailbox back: into an mbox or a Maildir, within the quota, begun again when a mail
//! client rewrites it meanwhile.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::Uid;

use crate::archive::messages::{Archived, Inventory, each_message};
use crate::cli::spool::Selection;
use crate::config::location::MailStore;
use crate::deliver::access;
use crate::error::{Category, Error};
use crate::mailbox::expunge::imap_state::is_internal_anywhere;
use crate::mailbox::lock::LockPlan;
use crate::mailbox::open::{Absent, Owner, create_for};
use crate::maildir::departure::MaintenanceLock;
use crate::maildir::directory::{Maildir, is_made_in_own};
use crate::maildir::view::MaildirView;
use crate::message::Message;
use crate::output::shell::quote_word;
use crate::spool::context::{RunMode, SpoolRun, tell_wait};
use crate::spool::merge::Merge;
use crate::spool::merge::into_maildir::MaildirMerge;
use crate::spool::merge::known::Sameness;
use crate::spool::merge::target::{MergeInto, MergeLimits, MergeTally, MergeTarget, Stop};
use crate::spool::restore::destination::RestoreTarget;
use crate::spool::restore::filter::Pick;
use crate::sys::account::with_files_of;

/// How often it is begun again when a mail client rewrites the mailbox meanwhile.
const BEGINNINGS: u32 = 5;

pub(super) struct PutBack<'a> {
    pub(super) care: &'a SpoolRun,
    pub(super) selection: &'a Selection,
    pub(super) pick: &'a Pick,
    pub(super) mode: RunMode,
}

pub(super) struct RestoredMail {
    pub(super) tally: MergeTally,
    pub(super) counts: RestoreCounts,
    pub(super) failed: Option<Error>,
}

impl PutBack<'_> {
    /// Puts back what was asked for; nothing where that is impossible. What failed at last comes with what was done
    /// before.
    pub(super) fn run(
        &self,
        archive: &Path,
        file: &File,
        inventory: &Inventory,
        number: usize,
        destination: &RestoreTarget,
    ) -> Result<Option<RestoredMail>, Error> {
        let mut before = MergeTally::default();
        for _ in 0..BEGINNINGS {
            let mut counts = RestoreCounts::default();
            let mut offer =
                |merge: &mut dyn MergeInto| offer_all(merge, file, inventory, number, self.pick, &mut counts);
            let (tally, result) = match &destination.store {
                MailStore::Maildir(path) => self.merge_maildir(path, destination, &mut offer),
                MailStore::Mbox(path) => self.merge_mbox(path, destination, &mut offer),
                MailStore::Lmtp(_) => return Ok(None),
            };
            // What was put back before it was begun again is there now.
            let tally = MergeTally {
                restored: before.restored + tally.restored,
                restored_bytes: before.restored_bytes + tally.restored_bytes,
                present: tally.present.saturating_sub(before.restored),
                no_room: tally.no_room,
            };
            let failed = match result {
                Err(Stop::Again) => {
                    before = tally;
                    continue;
                }
                Err(Stop::Failed(e)) => Some(e),
                Err(Stop::Archive(e)) => Some(Error::io("read archive", archive, &e)),
                Ok(()) => None,
            };
            return Ok(Some(RestoredMail { tally, counts, failed }));
        }
        let cause = "another program rewrites it again and again";
        Err(
            Error::new(Category::Mailbox, "restore into", destination.store.to_string(), cause)
                .hint("close the mail reader that does so, and run this again: nothing comes twice"),
        )
    }

    fn merge_mbox(&self, path: &Path, destination: &RestoreTarget, offer: Offer<'_>) -> (MergeTally, Result<(), Stop>) {
        if self.mode == RunMode::Execute
            && let Err(e) = make_for_its_user(path, destination)
        {
            return (MergeTally::default(), Err(e.into()));
        }
        let plan = plan(self.care, destination);
        let target = MergeTarget {
            path,
            plan: &plan,
            room: self.room(destination),
            sameness: Sameness::Each,
            mode: self.mode,
            deadline: &self.care.deadline,
        };
        match Merge::begin(target) {
            Ok(mut merge) => (offer)(&mut merge),
            Err(e) => (MergeTally::default(), Err(e)),
        }
    }

    fn merge_maildir(
        &self,
        path: &Path,
        destination: &RestoreTarget,
        offer: Offer<'_>,
    ) -> (MergeTally, Result<(), Stop>) {
        let uid = match destination.owner {
            Owner::Exactly(uid) => uid,
            // One that was named by its path is whosever it is.
            Owner::Trusted(own) => path.symlink_metadata().map_or(own, |stat| stat.uid()),
        };
        let gid = destination.account.gid;
        if path.symlink_metadata().is_err() {
            if !can_make_maildir(path, uid) {
                return (MergeTally::default(), Err(no_maildir(path, uid, gid).into()));
            }
            if self.mode == RunMode::Rehearse {
                // Nothing is made, and all of it would be new.
                return self.merge_mbox(path, destination, offer);
            }
        }
        let begun = open_maildir(path, uid, gid).and_then(|maildir| {
            let lock = match self.mode {
                RunMode::Execute => Some(MaintenanceLock::take(&maildir)?),
                RunMode::Rehearse => None,
            };
            Ok((maildir, lock))
        });
        let (maildir, _lock) = match begun {
            Ok(begun) => begun,
            Err(e) => return (MergeTally::default(), Err(e.into())),
        };
        let read = |e: io::Error| Stop::Failed(Error::io("read", path, &e).class(Category::Mailbox));
        let view = match MaildirView::take(&maildir, self.care.reading.get()) {
            Ok(view) => view,
            Err(e) => return (MergeTally::default(), Err(read(e))),
        };
        let (room, deadline) = (self.room(destination), &self.care.deadline);
        match MaildirMerge::begin(&maildir, &view, room, Sameness::Each, self.mode, deadline) {
            Ok(mut merge) => (offer)(&mut merge),
            Err(_) if view.is_changed() => (MergeTally::default(), Err(Stop::Again)),
            Err(e) => (MergeTally::default(), Err(e)),
        }
    }

    fn room(&self, destination: &RestoreTarget) -> MergeLimits {
        let config = &self.care.config;
        let min_free = config.mailbox.min_free.bound();
        // A file somewhere else is nobody's spool.
        if self.selection.ignore_quota || self.selection.mailbox.is_some() {
            return MergeLimits {
                min_free,
                ..MergeLimits::default()
            };
        }
        let account = &destination.account;
        let limit = config.quota.limit_of(&account.name, || account.groups());
        MergeLimits {
            bytes: limit.bytes,
            messages: limit.messages,
            min_free,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RestoreCounts {
    /// Messages that are what was asked for.
    pub(super) met: u64,
    /// Messages that are nobody's mail.
    pub(super) aside: u64,
}

/// Offers messages to a mailbox.
type Offer<'a> = &'a mut dyn FnMut(&mut dyn MergeInto) -> (MergeTally, Result<(), Stop>);

/// Goes through the archive once.
fn offer_all(
    merge: &mut dyn MergeInto,
    file: &File,
    inventory: &Inventory,
    number: usize,
    pick: &Pick,
    counts: &mut RestoreCounts,
) -> (MergeTally, Result<(), Stop>) {
    let offered = each_message(
        file,
        inventory,
        |mailbox| mailbox == number,
        |archived: &Archived<'_>| {
            let message = Message::new(archived.stored.head);
            if !pick.is_wanted(&message) {
                return Ok(());
            }
            if is_internal_anywhere(&message) {
                counts.aside += 1;
                return Ok(());
            }
            counts.met += 1;
            merge.offer(archived)
        },
    );
    let result = offered.and_then(|()| merge.finish());
    (merge.tally(), result.map(drop))
}

/// A Maildir that is not there is made as the user's, where root does this.
fn open_maildir(path: &Path, uid: u32, gid: Option<u32>) -> Result<Maildir, Error> {
    if Uid::effective().as_raw() == uid {
        return Maildir::open_or_make(path, uid);
    }
    match Maildir::open(path, uid)? {
        Some(maildir) => Ok(maildir),
        None => with_files_of(uid, gid.unwrap_or(uid), || Maildir::open_or_make(path, uid)),
    }
}

/// Whether a Maildir can be made as the user's: root can, in a directory that is the user's.
fn can_make_maildir(path: &Path, uid: u32) -> bool {
    let runner = Uid::effective();
    runner.as_raw() == uid || runner.is_root() && is_made_in_own(path, uid)
}

fn no_maildir(path: &Path, uid: u32, gid: Option<u32>) -> Error {
    let parts = ["", "tmp", "new", "cur"].map(|part| quote_word(&path.join(part).display().to_string()));
    let gid = gid.map(|gid| format!(" -g {gid}")).unwrap_or_default();
    let install = format!("install -d -m 700 -o {uid}{gid} {}", parts.join(" "));
    Error::new(Category::Mailbox, "restore into", path.display(), "there is no Maildir")
        .hint(format!("a delivery makes it, or: {install}"))
}

/// A mailbox that was removed is made again as its user's, where root does this.
fn make_for_its_user(path: &Path, destination: &RestoreTarget) -> Result<(), Error> {
    let Owner::Exactly(uid) = destination.owner else {
        return Ok(());
    };
    if Uid::effective().is_root() && uid != 0 && path.symlink_metadata().is_err() {
        create_for(path, uid, destination.account.gid)?;
    }
    Ok(())
}

fn plan(care: &SpoolRun, destination: &RestoreTarget) -> LockPlan {
    let state_dir = care.state_dir(&destination.account);
    LockPlan {
        tell: Some(tell_wait),
        ..access::lock_plan(&care.config, destination.owner, Absent::Create, state_dir)
    }
}
