//! `spoolguard spool restore`: puts archived mail back, or lists it. An archive is read to its end before anything is
//! put back from it: of one that is damaged nothing is. One archive that fails does not stop the others.

pub mod catalog;
pub mod destination;
pub mod filter;
pub mod overflow;
mod put_back;
mod report;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::Uid;

use crate::archive::messages::{Inventory, each_message, take_inventory};
use crate::cli::spool::Selection;
use crate::error::{Category, Error, Status};
use crate::escape::make_visible;
use crate::mailbox::open::not_a_mailbox;
use crate::message::Message;
use crate::output::json::write_line;
use crate::output::sizes::message_count_text;
use crate::output::{OutputForm, print_error};
use crate::spool::archives;
use crate::spool::consent::{Consent, ConsentAnswer};
use crate::spool::context::{RunMode, SpoolRun};
use crate::spool::merge::target::MergeTally;
use crate::spool::restore::catalog::CatalogEntry;
use crate::spool::restore::destination::{RestoreTarget, user_name};
use crate::spool::restore::filter::Pick;
use crate::spool::restore::put_back::PutBack;
use crate::spool::restore::report::{RestoreLine, RestoreSum, mailbox_text, room_hint};
use crate::sys::deadline;
use crate::sys::dirs::{go_without_links, parent_of};

/// Runs the command: 0 when all that was meant is in its mailbox, 1 when some is not, 64 when the meaning is unclear.
pub fn run(selection: &Selection, care: &SpoolRun) -> Status {
    let pick = match Pick::read(selection) {
        Ok(pick) => pick,
        Err(e) => {
            print_error(&e);
            return Status::Usage;
        }
    };
    let (archives, unresolved) = archives::resolve_all(care, &selection.archives);
    let resolved = match destination::named_mailbox(selection) {
        Ok(mailbox) => Selection {
            archives,
            mailbox,
            ..selection.clone()
        },
        Err(e) => {
            print_error(&e);
            return e.command_status();
        }
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
        form: OutputForm::from_flag(selection.changing.json),
        mode: RunMode::Rehearse,
        sum: RestoreSum::default(),
        status: Status::Done,
    };
    run.all();
    let _ = run.output.flush();
    run.status
}

/// The same selection, with the mailbox named by its place in its directory, where this is root. Somebody else may own
/// a part of the path, and put a link there at any time.
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
    go_without_links(parent_of(mailbox))?;
    Ok(Some(Selection {
        archives,
        mailbox: Some(store.at_path(Path::new(".").join(name))),
        ..selection.clone()
    }))
}

struct RestoreRun<'a> {
    asked: &'a Selection,
    selection: &'a Selection,
    /// Words that name no archive.
    unresolved: Vec<Error>,
    care: &'a SpoolRun,
    pick: Pick,
    output: BufWriter<io::StdoutLock<'static>>,
    form: OutputForm,
    mode: RunMode,
    sum: RestoreSum,
    status: Status,
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
        let consent = self.care.consent(&self.selection.changing);
        if !self.selection.list && consent == Consent::Given {
            self.mode = RunMode::Execute;
        }
        if self.each().is_break() || self.selection.list {
            return;
        }
        let mut note = None;
        if self.mode == RunMode::Rehearse && self.sum.tally.restored > 0 {
            let _ = self.output.flush();
            let question = format!("Put {} back?", message_count_text(self.sum.tally.restored));
            match consent.decide(&question, "nothing was put back", self.form) {
                ConsentAnswer::Proceed => {
                    self.mode = RunMode::Execute;
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
                    done: self.mode == RunMode::Execute,
                    tally: self.sum.tally,
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
                Err(Interruption::Failed(e)) if deadline::is_stopped() => {
                    self.wrong(&e.or_hint("run it again: nothing comes twice"));
                    return ControlFlow::Break(());
                }
                Err(Interruption::Failed(e)) => self.wrong(&e),
            }
        }
        if self.sum.met == 0 && !self.pick.is_everything() && self.status == Status::Done {
            let cause = "no message is what was asked for";
            let error = Error::new(Category::Configuration, "restore", "from these archives", cause);
            self.wrong(&error);
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
            let name = make_visible(&other.name.to_string_lossy());
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
                self.put_back(path, &file, &inventory, number, destination)
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
                if !pick.is_wanted(&message) {
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

    fn put_back(
        &mut self,
        archive: &Path,
        file: &File,
        inventory: &Inventory,
        number: usize,
        destination: &RestoreTarget,
    ) -> Result<(), Error> {
        let job = PutBack {
            care: self.care,
            selection: self.selection,
            pick: &self.pick,
            mode: self.mode,
        };
        let Some(restored) = job.run(archive, file, inventory, number, destination)? else {
            return Ok(());
        };
        self.sum.met += restored.counts.met;
        self.tell(archive, destination, restored.tally, restored.counts.aside);
        restored.failed.map_or(Ok(()), Err)
    }

    /// Tells what was done, to whoever looks on and in the log.
    fn tell(&mut self, archive: &Path, destination: &RestoreTarget, tally: MergeTally, aside: u64) {
        let user = &destination.account.name;
        let mailbox = self.asked.mailbox.as_ref().unwrap_or(&destination.store).to_string();
        let source = archive.display().to_string();
        let sum = &mut self.sum.tally;
        sum.restored += tally.restored;
        sum.restored_bytes += tally.restored_bytes;
        sum.present += tally.present;
        sum.no_room += tally.no_room;
        if self.mode == RunMode::Execute {
            tracing::info!(
                action = "restore",
                user,
                archive = source,
                mailbox,
                restored = tally.restored,
                bytes = tally.restored_bytes,
                present = tally.present,
                no_room = tally.no_room,
            );
        }
        let _ = match self.form {
            OutputForm::Text => writeln!(
                self.output,
                "{}",
                mailbox_text(self.mode, &mailbox, &source, tally, aside)
            ),
            OutputForm::Json => write_line(
                &mut self.output,
                &RestoreLine::Mailbox {
                    user,
                    mailbox: &mailbox,
                    archive: &source,
                    done: self.mode == RunMode::Execute,
                    tally,
                    left_out: aside,
                },
            ),
        };
        if tally.no_room > 0 {
            let cause = format!("the mailbox has no room for {}", message_count_text(tally.no_room));
            let error = Error::new(Category::MailboxFull, "restore all into", &mailbox, cause);
            self.wrong(&error.hint(room_hint()));
        }
    }
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
