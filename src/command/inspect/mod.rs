//! `spoolguard inspect`: shows what each message is, by which markers, and what would be done with it. Changes nothing.
//!
//! Messages are read one after another, and only their beginnings, so that memory does not grow with a mailbox. An
//! input that cannot be read is named in its place, and the others follow.

pub mod show;
pub mod summary;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::archive;
use crate::archive::read::ArchiveContent;
use crate::classify::policy::{self, Job};
use crate::cli::{Everywhere, InspectArguments};
use crate::command::inspect::show::InspectedMessage;
use crate::command::inspect::summary::Summary;
use crate::command::sources::SourceWalk;
use crate::config::Config;
use crate::config::load::{self, ConfigSources as Files, KeySelection};
use crate::deliver::caller::{self, Variable};
use crate::deliver::judge;
use crate::error::{Error, Status};
use crate::escape::make_visible;
use crate::mailbox::limited_file::LimitedFile;
use crate::mailbox::reader::{MboxMessage, MboxReader};
use crate::message::Message;
use crate::message::envelope::Envelope;
use crate::output::progress::Progress;
use crate::output::{self, OutputForm};
use crate::spool::restore::catalog::CatalogEntry;
use crate::sys::account::{self, Account};
use crate::sys::deadline::ReadLimit;
use crate::sys::message_buffer::{HEAD_BYTES, MessageBuffer};
use crate::sys::read_at::ReadAt;

/// A compressed mailbox may be this large, in bytes: it is unpacked into a file in `/var/tmp`.
const UNPACKED_BYTES: u64 = 4 << 30;

/// Runs the command: 0, or 1 when something could not be read, or when some message is not what was asked for.
pub fn run(question: &InspectArguments, everywhere: &Everywhere) -> Status {
    let mut inspection = match Inspection::prepare(question, everywhere) {
        Ok(inspection) => inspection,
        Err(e) => {
            output::print_error(&e);
            return e.command_status();
        }
    };
    let written = inspection.all().and_then(|()| inspection.sum_up());
    match written.and_then(|()| inspection.output.flush()) {
        Ok(()) => {}
        // Whoever read our output has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Status::Done,
        Err(e) => return output::end_command(output::finish_answer(Err(e)).map(|()| Status::Done)),
    }
    let tally = inspection.tally;
    match (question.is.is_empty(), tally.unread) {
        (true, 0) => Status::Done,
        (true, _) => Status::Wrong,
        // A condition that cannot be told is neither true nor false.
        (false, 1..) => Status::TryAgain,
        (false, 0) if tally.messages > 0 && tally.others == 0 => Status::Done,
        (false, 0) => Status::Wrong,
    }
}

fn starts_packed(file: &File) -> io::Result<bool> {
    let mut start = [0; 16];
    let read = file.read_at(&mut start, 0)?;
    Ok(archive::read::is_packed(start.get(..read).unwrap_or_default()))
}

fn complain(text: &str) {
    let _ = io::stderr().write_all(format!("spoolguard: {text}\n").as_bytes());
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    OneMessage,
    MayBeMbox,
}

#[derive(Clone, Copy, Debug, Default)]
struct InspectTally {
    messages: u64,
    /// Messages that are none of what was asked for.
    others: u64,
    unread: u64,
}

struct Inspection<'q> {
    question: &'q InspectArguments,
    config: Config,
    account: Account,
    /// That of the message before.
    envelope: Option<Envelope>,
    output: BufWriter<io::StdoutLock<'static>>,
    progress: Option<Progress>,
    tally: InspectTally,
    summary: Summary,
}

impl<'q> Inspection<'q> {
    fn prepare(question: &'q InspectArguments, everywhere: &Everywhere) -> Result<Self, Error> {
        let account = match &question.who.user {
            Some(name) => account::find_subject(name)?,
            None => account::find_runner(),
        };
        let only = everywhere.config.as_deref();
        let sources = Files::from_choice(only, account.home.as_deref(), account.trusted_owners());
        Ok(Self {
            question,
            config: load::load_config(sources, KeySelection::User(&account.name))?.config,
            account,
            envelope: None,
            output: BufWriter::with_capacity(64 << 10, io::stdout().lock()),
            progress: None,
            tally: InspectTally::default(),
            summary: Summary::default(),
        })
    }

    /// The counts: where they were asked for, and below several messages.
    fn sum_up(&mut self) -> io::Result<()> {
        let (question, tally) = (self.question, self.tally);
        let is_below = !question.json && question.is.is_empty() && tally.messages > 1;
        if !question.summary && !is_below {
            return Ok(());
        }
        self.progress = None;
        self.summary
            .write(OutputForm::from_flag(question.json), tally.unread, &mut self.output)
    }

    /// Goes through everything. The error is one of writing the answer.
    fn all(&mut self) -> io::Result<()> {
        let question = self.question;
        if question.paths.is_empty() {
            return self.standard_input();
        }
        for source in SourceWalk::new(&question.paths) {
            match source {
                Ok(path) if path == Path::new("-") => self.standard_input()?,
                Ok(path) => self.path(&path)?,
                Err((path, e)) => self.unread(&path.display().to_string(), &Error::io("read", &path, &e))?,
            }
        }
        Ok(())
    }

    /// Standard input is about one message when it is a condition: mail systems hand over bodies in which a line may
    /// look like a separator.
    fn standard_input(&mut self) -> io::Result<()> {
        let shape = if self.question.is.is_empty() {
            Shape::MayBeMbox
        } else {
            Shape::OneMessage
        };
        if io::stdin().is_terminal() {
            output::print_stderr("spoolguard: reading a message from the terminal; end it with Ctrl-D\n");
        }
        let read = MessageBuffer::collect(|collector| io::copy(&mut io::stdin().lock(), collector).map(drop));
        match read {
            Ok(buffer) if archive::read::is_packed(buffer.head()) => {
                let e = io::Error::other("it is compressed; unpack it first");
                self.unread("-", &Error::io("read", Path::new("standard input"), &e))
            }
            Ok(buffer) => self.file("-", &buffer, Some(&caller::read_variable), shape),
            Err(e) => self.unread("-", &Error::io("read", Path::new("standard input"), &e)),
        }
    }

    fn path(&mut self, path: &Path) -> io::Result<()> {
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| file.metadata().map(|data| (file, data)));
        match opened {
            Ok((file, data)) if data.is_file() => match starts_packed(&file) {
                Ok(true) => self.packed(&name, path, &file),
                Ok(false) => {
                    let file = LimitedFile::new(&file, ReadLimit::until_stopped());
                    self.file(&name, &file, None, Shape::MayBeMbox)
                }
                Err(e) => self.unread(&name, &Error::io("read", path, &e)),
            },
            Ok((mut file, _)) => match MessageBuffer::collect(|collector| io::copy(&mut file, collector).map(drop)) {
                Ok(buffer) => self.file(&name, &buffer, None, Shape::MayBeMbox),
                Err(e) => self.unread(&name, &Error::io("read", path, &e)),
            },
            Err(e) => self.unread(&name, &Error::io("open", path, &e)),
        }
    }

    /// A compressed message or mailbox, as Dovecot's maildirs hold them, or an archive of mailboxes.
    fn packed(&mut self, name: &str, path: &Path, file: &File) -> io::Result<()> {
        // Kept apart: whoever reads the archive takes each error for one of reading.
        let mut written = Ok(());
        let read = archive::read::unpack_archive(file, |content, bytes| {
            let name = match content {
                ArchiveContent::Mailbox(member) | ArchiveContent::Other(member) if !member.name.is_empty() => {
                    format!("{name}:{}", Path::new(&member.name).display())
                }
                ArchiveContent::Mailbox(_) | ArchiveContent::Other(_) | ArchiveContent::Unknown => name.to_owned(),
            };
            let buffer = archive::read::unpack_file(bytes, UNPACKED_BYTES)?;
            if written.is_ok() {
                written = self.file(&name, &buffer, None, Shape::MayBeMbox);
            }
            Ok::<(), io::Error>(())
        });
        written?;
        match read {
            Ok(()) => Ok(()),
            Err(e) => self.unread(name, &Error::io("read", path, &e)),
        }
    }

    /// One message, or an mbox where it begins as one and `shape` allows it. What this run's `variable`s say is of no
    /// stored message.
    fn file<F: ReadAt>(
        &mut self,
        name: &str,
        file: &F,
        variable: Option<Variable<'_>>,
        shape: Shape,
    ) -> io::Result<()> {
        let fail = |e: io::Error| Error::io("read", Path::new(name), &e);
        let mut mbox = match MboxReader::new(file, HEAD_BYTES) {
            Ok(mbox) => mbox,
            Err(e) => return self.unread(name, &fail(e)),
        };
        let is_mbox = match mbox.is_mbox() {
            Ok(is_mbox) => is_mbox && shape == Shape::MayBeMbox,
            Err(e) => return self.unread(name, &fail(e)),
        };
        if !is_mbox {
            return match mbox.read_whole() {
                Ok(stored) => self.message(name, &stored, variable),
                Err(e) => self.unread(name, &fail(e)),
            };
        }
        // A bar on a terminal, while the answer goes elsewhere.
        let is_watched = io::stderr().is_terminal() && !io::stdout().is_terminal();
        self.progress = is_watched.then(|| Progress::begin(name, mbox.length()));
        loop {
            match mbox.next() {
                Ok(Some(stored)) => self.message(name, &stored, variable)?,
                Ok(None) => break,
                Err(e) => return self.unread(name, &fail(e)),
            }
        }
        self.progress = None;
        Ok(())
    }

    fn message(&mut self, name: &str, stored: &MboxMessage<'_>, variable: Option<Variable<'_>>) -> io::Result<()> {
        let head = stored.head;
        // A file that an editor saved may begin with a byte order mark, which would hide the first field.
        let message = Message::new(head).below_preamble();
        let who = &self.question.who;
        match variable {
            Some(variable) => {
                let envelope = caller::read_envelope(who, variable, &message, &self.config, &self.account);
                self.envelope = Some(envelope);
            }
            None => caller::take_stored(&mut self.envelope, who, &message, &self.config, &self.account),
        }
        let Some(envelope) = &self.envelope else {
            return Ok(());
        };
        let judgement = judge::judge_message(&message, envelope, &self.config);
        let action = policy::choose_action(&judgement, Job::Deliver, &self.config.guard);
        self.tally.messages += 1;
        let is = &self.question.is;
        if !is.is_empty() && !is.iter().any(|word| word == judgement.verdict.name()) {
            self.tally.others += 1;
        }
        if let Some(progress) = &mut self.progress {
            progress.add_bytes(stored.bytes);
        }
        let separator_bytes = (head.len() - message.content().len()) as u64;
        let bytes = stored.bytes.saturating_sub(separator_bytes);
        self.summary.add(&judgement.verdict, action, bytes);
        if self.question.summary {
            return Ok(());
        }
        let finding = InspectedMessage {
            judgement: &judgement,
            action,
            doubt: stored.doubt,
            entry: CatalogEntry {
                archive: "",
                mailbox: name,
                offset: stored.offset,
                bytes,
                message: &message,
            },
        };
        match OutputForm::from_flag(self.question.json) {
            OutputForm::Json => finding.write_json(&mut self.output),
            // A condition is asked by programs that take output for trouble.
            OutputForm::Text if !is.is_empty() => Ok(()),
            OutputForm::Text => finding.write_text(&mut self.output),
        }
    }

    fn unread(&mut self, name: &str, error: &Error) -> io::Result<()> {
        self.tally.unread += 1;
        self.progress = None;
        match OutputForm::from_flag(self.question.json) {
            OutputForm::Json => {
                crate::command::inspect::show::write_json_error(&mut self.output, name, &error.to_string())
            }
            OutputForm::Text => {
                self.output.flush()?;
                complain(&make_visible(&error.to_string()));
                Ok(())
            }
        }
    }
}
