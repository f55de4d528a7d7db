//! `spoolguard spool restore`: puts archived mail back, or lists it. An archive is read to its end before anything is put back from it: of
//! one that is damaged nothing is. One archive that fails does not stop the others.

pub mod catalog;
pub mod destination;
pub mod filter;
pub mod overflow;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::Uid;
use serde::Serialize;

use crate::archive::messages::{Archived, Inventory, each_message, take_inventory};
use crate::cli::spool::Selection;
use crate::config::location::MailStore;
use crate::deliver::access;
use crate::error::{Category, Error, Status};
use crate::escape::visible;
use crate::mailbox::lock::LockPlan;
use crate::mailbox::open::{Absent, Owner, create_for, not_a_mailbox};
use crate::maildir::departure::MaintenanceLock;
use crate::maildir::directory::Maildir;
use crate::maildir::view::MaildirView;
use crate::message::Message;
use crate::output::json::write_line;
use crate::output::sizes::{messages, size_text};
use crate::output::{OutputForm, print_error};
use crate::spool::archives;
use crate::spool::consent::{Consent, ConsentAnswer};
use crate::spool::context::{SpoolRun, tell_wait};
use crate::spool::merge::Merge;
use crate::spool::merge::into_maildir::MaildirMerge;
use crate::spool::merge::known::Sameness;
use crate::spool::merge::target::{MergeInto, MergeLimits, MergeMode, MergeTally, MergeTarget, ReadState, Stop};
use crate::spool::restore::catalog::CatalogEntry;
use crate::spool::restore::destination::{RestoreTarget, user_name};
use crate::spool::restore::filter::Pick;
use crate::sys::account;
use crate::sys::dirs::{go_without_links, parent};

/// How often it is begun again when a mail reader rewrites the mailbox meanwhile.
const BEGINNINGS: u32 = 5;

/// Runs the command: 0 when all that was meant is in its mailbox, 1 when some is not, 64 when nobody can tell what is meant.
pub fn run(selection: &Selection, care: &SpoolRun) -> Status {
    let pick = match Pick::read(selection) {
        Ok(pick) => pick,
        Err(e) => {
            print_error(&e);
            return Status::Usage;
        }
    };
    let (archives, unresolved) = archives::resolve_all(care, &selection.archives);
    let resolved = Selection {
        archives,
        ..selection.clone()
    };
    let pinned = match pinned(&resolved) {
        Ok(pinned) => pinned,
        Err(e) => {
            print_error(&e);
            return Status::Wrong;
        }
    };
    let mut run = RestoreRun {
        asked: selection,
        selection: pinned.as_ref().unwrap_or(&resolved),
        unresolved,
        care,
        pick,
        output: BufWriter::new(io::stdout().lock()),
        form: SpoolRun::form(&selection.changing),
        mode: MergeMode::Rehearse,
        sum: RestoreSum::default(),
        status: Status::Done,
    };
    run.all();
    let _ = run.output.flush();
    run.status
}

/// The same, with the mailbox named by its place in its directory, where this is root: somebody else may own a part of the path, and put
/// a link there at any time.
fn pinned(selection: &Selection) -> Result<Option<Selection>, Error> {
    let store = selection.mailbox.as_ref().filter(|_| Uid::effective().is_root());
    let Some((store, mailbox)) = store.and_then(|store| Some((store, store.path()?))) else {
        return Ok(None);
    };
    let Some(name) = mailbox.file_name() else {
        return Err(not_a_mailbox(mailbox, "it is a directory"));
    };
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|e| Error::io("find", path, &e));
    let archives = selection.archives.iter().map(absolute).collect::<Result<_, _>>()?;
    go_without_links(parent(mailbox))?;
    Ok(Some(Selection {
        archives,
        mailbox: Some(store.at(Path::new(".").join(name))),
        ..selection.clone()
    }))
}

struct RestoreRun<'a> {
    /// As it was typed.
    asked: &'a Selection,
    selection: &'a Selection,
    /// Words that name no archive.
    unresolved: Vec<Error>,
    care: &'a SpoolRun,
    pick: Pick,
    output: BufWriter<io::StdoutLock<'static>>,
    form: OutputForm,
    mode: MergeMode,
    sum: RestoreSum,
    status: Status,
}

/// What became of all archives, or would.
#[derive(Clone, Copy, Debug, Default)]
struct RestoreSum {
    /// Messages that are what was asked for.
    met: u64,
    restored: u64,
    restored_bytes: u64,
    present: u64,
    no_room: u64,
}

/// What is printed for programs. The keys are a promise.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum RestoreLine<'a> {
    Mailbox {
        user: &'a str,
        mailbox: &'a str,
        archive: &'a str,
        done: bool,
        restored: u64,
        bytes: u64,
        present: u64,
        no_room: u64,
        left_out: u64,
    },
    Error {
        error: String,
    },
    Summary {
        done: bool,
        restored: u64,
        bytes: u64,
        present: u64,
        no_room: u64,
        note: Option<&'a str>,
    },
}

/// Why an archive is not gone through to its end.
enum Interruption {
    Failed(Error),
    /// Whoever read our output has seen enough.
    Listener,
}

impl From<Error> for Interruption {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Where reading and writing meet.
enum RestoreListing {
    Archive(io::Error),
    Output(io::Error),
}

impl From<io::Error> for RestoreListing {
    fn from(error: io::Error) -> Self {
        Self::Archive(error)
    }
}

impl RestoreRun<'_> {
    fn wrong(&mut self, error: &Error) {
        self.status = Status::Wrong;
        let _ = self.output.flush();
        print_error(error);
        if self.form == OutputForm::Json && !self.selection.list {
            let error = error.to_string();
            let _ = write_line(&mut self.output, &RestoreLine::Error { error });
        }
    }

    /// The list; or the plan, the question and the work.
    fn all(&mut self) {
        let consent = self.care.consent(&self.selection.changing.agreement);
        if !self.selection.list && consent == Consent::Given {
            self.mode = MergeMode::Write;
        }
        if self.each().is_break() || self.selection.list {
            return;
        }
        let mut note = None;
        if self.mode == MergeMode::Rehearse && self.sum.restored > 0 {
            let _ = self.output.flush();
            let question = format!("Put {} back?", messages(self.sum.restored));
            match consent.decide(&question, "nothing was put back", self.form) {
                ConsentAnswer::Proceed => {
                    self.mode = MergeMode::Write;
                    self.sum = RestoreSum::default();
                    self.status = Status::Done;
                    if self.each().is_break() {
                        return;
                    }
                }
                ConsentAnswer::Leave { status, last_line } => {
                    if self.status == Status::Done {
                        self.status = status;
                    }
                    note = Some(last_line);
                }
            }
        }
        self.end(note.as_deref());
    }

    fn end(&mut self, note: Option<&str>) {
        let _ = match (self.form, note) {
            (OutputForm::Text, None) => Ok(()),
            (OutputForm::Text, Some(note)) => writeln!(self.output, "{note}"),
            (OutputForm::Json, note) => write_line(
                &mut self.output,
                &RestoreLine::Summary {
                    done: self.mode == MergeMode::Write,
                    restored: self.sum.restored,
                    bytes: self.sum.restored_bytes,
                    present: self.sum.present,
                    no_room: self.sum.no_room,
                    note,
                },
            ),
        };
    }

    /// One archive after another. Breaks when nobody reads any more.
    fn each(&mut self) -> ControlFlow<()> {
        let unresolved = std::mem::take(&mut self.unresolved);
        unresolved.iter().for_each(|e| self.wrong(e));
        self.unresolved = unresolved;
        for archive in &self.selection.archives {
            match self.archive(archive) {
                Ok(()) => {}
                Err(Interruption::Listener) => return ControlFlow::Break(()),
                Err(Interruption::Failed(e)) => self.wrong(&e),
            }
        }
        if self.sum.met == 0 && !self.pick.is_everything() && self.status == Status::Done {
            let cause = "no message is what was asked for";
            self.wrong(&Error::new(
                Category::Configuration,
                "restore",
                "from these archives",
                cause,
            ));
        }
        ControlFlow::Continue(())
    }

    fn archive(&mut self, path: &Path) -> Result<(), Interruption> {
        let file = open(path)?;
        let unreadable = |e: &io::Error| Error::io("read archive", path, e);
        let inventory = take_inventory(&file).map_err(|e| unreadable(&e))?;
        if inventory.mailboxes.is_empty() {
            let cause = "it holds no mailbox";
            return Err(Error::new(Category::Configuration, "restore from", path.display(), cause).into());
        }
        if self.selection.list {
            return self.list(path, &file, &inventory);
        }
        for other in &inventory.others {
            let name = visible(&other.name.to_string_lossy());
            let _ = writeln!(self.output, "left out {name}: it is no mailbox");
        }
        let destinations = destination::of_all(
            path,
            &inventory.mailboxes,
            self.selection,
            &self.care.runner,
            &self.care.config,
        )?;
        for (number, destination) in destinations.iter().enumerate() {
            if let Some(destination) = destination {
                self.restore(path, &file, &inventory, number, destination)
                    .unwrap_or_else(|e| self.wrong(&e));
            }
        }
        Ok(())
    }

    fn list(&mut self, path: &Path, file: &File, inventory: &Inventory) -> Result<(), Interruption> {
        let archive = path.display().to_string();
        let names: Vec<String> = inventory
            .mailboxes
            .iter()
            .map(|member| user_name(path, member).to_string_lossy().into_owned())
            .collect();
        let (pick, output, json) = (&self.pick, &mut self.output, self.selection.changing.json);
        let mut met = 0_u64;
        let listed = each_message(
            file,
            inventory,
            |_| true,
            |archived| {
                let message = Message::new(archived.stored.head);
                if !pick.takes(&message) {
                    return Ok(());
                }
                met += 1;
                let entry = CatalogEntry {
                    archive: &archive,
                    mailbox: names.get(archived.mailbox).map_or("", String::as_str),
                    offset: archived.stored.offset,
                    bytes: archived.stored.bytes,
                    message: &message,
                };
                let written = if json {
                    entry.write_json(output)
                } else {
                    entry.write_text(output)
                };
                written.map_err(RestoreListing::Output)
            },
        );
        self.sum.met += met;
        match listed {
            Ok(()) => Ok(()),
            Err(RestoreListing::Archive(e)) => Err(Error::io("read archive", path, &e).into()),
            Err(RestoreListing::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => Err(Interruption::Listener),
            Err(RestoreListing::Output(e)) => Err(Error::from_cause(Category::System, "write", "the list", e).into()),
        }
    }

    fn restore(
        &mut self,
        archive: &Path,
        file: &File,
        inventory: &Inventory,
        number: usize,
        destination: &RestoreTarget,
    ) -> Result<(), Error> {
        let mut before = MergeTally::default();
        for _ in 0..BEGINNINGS {
            let mut counts = RestoreCounts::default();
            let mut offer =
                |merge: &mut dyn MergeInto| offer_all(merge, file, inventory, number, &self.pick, &mut counts);
            let (tally, result) = match &destination.store {
                MailStore::Maildir(path) => self.merge_maildir(path, destination, &mut offer),
                MailStore::Mbox(path) => self.merge_mbox(path, destination, &mut offer),
                MailStore::Lmtp(_) => return Ok(()),
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
            self.sum.met += counts.met;
            self.tell(archive, destination, tally, counts.aside);
            return failed.map_or(Ok(()), Err);
        }
        let cause = "another program rewrites it again and again";
        Err(
            Error::new(Category::Mailbox, "restore into", destination.store.to_string(), cause)
                .hint("close the mail reader that does so, and run this again: nothing comes twice"),
        )
    }

    fn merge_mbox(&self, path: &Path, destination: &RestoreTarget, offer: Offer<'_>) -> (MergeTally, Result<(), Stop>) {
        if self.mode == MergeMode::Write
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
        let is_absent = path.symlink_metadata().is_err();
        if self.mode == MergeMode::Rehearse && is_absent {
            // Nothing is made, and all of it would be new.
            return self.merge_mbox(path, destination, offer);
        }
        let begun = open_maildir(path, uid).and_then(|maildir| {
            let lock = match self.mode {
                MergeMode::Write => Some(MaintenanceLock::take(&maildir)?),
                MergeMode::Rehearse => None,
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

    /// Tells what was done, to whoever looks on and in the log.
    fn tell(&mut self, archive: &Path, destination: &RestoreTarget, tally: MergeTally, aside: u64) {
        let MergeTally {
            restored,
            restored_bytes,
            present,
            no_room,
        } = tally;
        let user = &destination.account.name;
        let mailbox = self.asked.mailbox.as_ref().unwrap_or(&destination.store).to_string();
        let source = archive.display().to_string();
        self.sum.restored += restored;
        self.sum.restored_bytes += restored_bytes;
        self.sum.present += present;
        self.sum.no_room += no_room;
        if self.mode == MergeMode::Write {
            tracing::info!(
                action = "restore",
                user,
                archive = source,
                mailbox,
                restored,
                bytes = restored_bytes,
                present,
                no_room,
                note = "",
            );
        }
        let _ = match self.form {
            OutputForm::Text => writeln!(self.output, "{}", self.text(&mailbox, &source, tally, aside)),
            OutputForm::Json => write_line(
                &mut self.output,
                &RestoreLine::Mailbox {
                    user,
                    mailbox: &mailbox,
                    archive: &source,
                    done: self.mode == MergeMode::Write,
                    restored,
                    bytes: restored_bytes,
                    present,
                    no_room,
                    left_out: aside,
                },
            ),
        };
        if no_room > 0 {
            let cause = format!("the mailbox has no room for {}", messages(no_room));
            let error = Error::new(Category::MailboxFull, "restore all into", &mailbox, cause);
            self.wrong(&error.hint(room_hint()));
        }
    }

    fn text(&self, mailbox: &str, source: &str, tally: MergeTally, aside: u64) -> String {
        let done = match self.mode {
            MergeMode::Write => "restored",
            MergeMode::Rehearse => "would restore",
        };
        let mut line = format!(
            "{}: {done} {} ({}) from {}",
            visible(mailbox),
            messages(tally.restored),
            size_text(tally.restored_bytes),
            visible(source)
        );
        for (count, what) in [(tally.present, "already there"), (aside, "left out: nobody's mail")] {
            if count > 0 {
                line.push_str(&format!(", {count} {what}"));
            }
        }
        line
    }
}

/// What helps against a full mailbox: whoever runs this may do it.
fn room_hint() -> &'static str {
    if account::is_root() {
        "raise the quota, or use --ignore-quota"
    } else {
        "delete or archive other mail first, or ask the administrator for a larger quota"
    }
}

/// What was found in an archive.
#[derive(Clone, Copy, Debug, Default)]
struct RestoreCounts {
    /// Messages that are what was asked for.
    met: u64,
    /// Messages that are nobody's mail.
    aside: u64,
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
            if !pick.takes(&message) {
                return Ok(());
            }
            if is_internal(&message) {
                counts.aside += 1;
                return Ok(());
            }
            counts.met += 1;
            let seen = match message.first("Status") {
                Some(status) if status.contains('R') => ReadState::Yes,
                Some(_) | None => ReadState::No,
            };
            merge.offer(archived, seen)
        },
    );
    let result = offered.and_then(|()| merge.finish());
    (merge.tally(), result.map(drop))
}

/// The first message of mailboxes that c-client keeps (pine, UW IMAP) is none: it holds their numbers, and would hold old ones in
/// the middle of a mailbox.
pub fn is_internal(message: &Message<'_>) -> bool {
    message.fields().any(|field| field.is("X-IMAP"))
        && message
            .first("Subject")
            .is_some_and(|subject| subject.starts_with("DON'T DELETE THIS MESSAGE"))
}

/// Opens the archive. A FIFO would hold us, and it is read twice.
fn open(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
        .map_err(|e| Error::io("open archive", path, &e))?;
    let stat = file.metadata().map_err(|e| Error::io("examine", path, &e))?;
    if stat.is_file() {
        return Ok(file);
    }
    let cause = "it is no regular file";
    Err(Error::new(Category::System, "read archive", path.display(), cause).needs_mending())
}

/// A Maildir that is not there is made where it is the runner's own: what root made would be root's.
fn open_maildir(path: &Path, uid: u32) -> Result<Maildir, Error> {
    if Uid::effective().as_raw() == uid {
        return Maildir::open_or_make(path, uid);
    }
    let gone = || {
        Error::new(Category::Mailbox, "restore into", path.display(), "there is no Maildir")
            .hint("make it once as its user, with maildirmake, or by a delivery")
    };
    Maildir::open(path, uid)?.ok_or_else(gone)
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
