//! `spoolguard replay`: runs every message of stored mailboxes through the guard, as if it came in now. A message that
//! cannot be delivered is named, and the others are tried all the same. What IMAP servers keep in a mailbox for
//! themselves is left out. The mailboxes that are read do not change.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::archive;
use crate::cli::{Everywhere, Who};
use crate::deliver::context::{Run, Started};
use crate::deliver::{self, Errand, dry_run, log_line, settle};
use crate::error::{Category, Error, Status};
use crate::mailbox::excerpt;
use crate::mailbox::expunge::imap_state::is_internal_anywhere;
use crate::mailbox::limited_file::{LimitedFile, refuse_holes};
use crate::mailbox::reader::MboxReader;
use crate::maildir::directory::Maildir;
use crate::maildir::read::list_messages;
use crate::message::Message;
use crate::output;
use crate::output::sizes::message_count_text;
use crate::sys::deadline::ReadLimit;
use crate::sys::message_buffer::MessageBuffer;

/// A compressed message may be this large, in bytes.
const UNPACKED_BYTES: u64 = 1 << 30;

/// As much of a message is looked at to see whether it is one, in bytes. What IMAP servers write has a short header.
const HEADER_BYTES: usize = 4096;

/// Runs the command: 0 when every message was delivered, 75 when some was not.
pub fn run(mailboxes: &[PathBuf], errand: &Errand, who: &Who, everywhere: &Everywhere) -> Status {
    let mut run = match Replay::prepare(errand, who, everywhere) {
        Ok(run) => run,
        Err(e) => return failed(&e.to_string()),
    };
    let mut status = Status::Done;
    for path in mailboxes {
        if let Err(e) = run.mailbox(path, &mut status) {
            status = failed(&e.to_string());
        }
    }
    let counts: Vec<_> = run
        .counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let total = message_count_text(run.counts.values().sum());
    let text = match counts.is_empty() {
        true => format!("{total}\n"),
        false => format!("{total}: {}\n", counts.join(", ")),
    };
    output::end_command(output::write_answer(text.as_bytes()).map(|()| status))
}

fn failed(text: &str) -> Status {
    let _ = writeln!(io::stderr(), "spoolguard: {text}");
    Status::TryAgain
}

struct Replay<'a> {
    run: Run,
    errand: &'a Errand,
    who: &'a Who,
    everywhere: &'a Everywhere,
    counts: BTreeMap<&'static str, u64>,
}

impl<'a> Replay<'a> {
    fn prepare(errand: &'a Errand, who: &'a Who, everywhere: &'a Everywhere) -> Result<Self, Error> {
        let mut run = Run::prepare(who, errand.mailbox.clone(), everywhere, deliver::begin_run()?)?;
        // Whoever replays mail wants it sent, also what went out a short while ago and came back.
        run.started = Started::ByHand;
        Ok(Self {
            run,
            errand,
            who,
            everywhere,
            counts: BTreeMap::new(),
        })
    }

    fn mailbox(&mut self, path: &Path, status: &mut Status) -> Result<(), Error> {
        let fail = |e: io::Error| Error::io("read", path, &e);
        let file = File::open(path).map_err(fail)?;
        self.refuse_itself(path, &file)?;
        let stat = file.metadata().map_err(fail)?;
        if stat.is_dir() {
            self.maildir(path, stat.uid(), status)
        } else {
            self.mbox(path, &file, status)
        }
    }

    /// The messages of a Maildir, the oldest first; not those of its folders. What cannot be read is named, too.
    fn maildir(&mut self, path: &Path, owner: u32, status: &mut Status) -> Result<(), Error> {
        let Some(maildir) = Maildir::open(path, owner)? else {
            let cause = "this is no Maildir";
            return Err(Error::new(Category::System, "read", path.display(), cause));
        };
        for message in list_messages(&maildir).map_err(|e| Error::io("read", path, &e))? {
            let place = message.path(&maildir);
            self.run.deadline.check("replay", &place.display().to_string())?;
            let read = message
                .open(&maildir)
                .and_then(|file| file.map(|file| read_message(&file)).transpose());
            match read {
                Ok(Some(buffer)) if is_internal_anywhere(&Message::new(buffer.head())) => self.leave_out(),
                Ok(Some(buffer)) => self.message(&place.display().to_string(), &buffer, status),
                // Its reader has moved it away, or removed it.
                Ok(None) => *status = failed(&format!("{}: it is gone, or no file", place.display())),
                Err(e) => *status = failed(&Error::io("read", &place, &e).to_string()),
            }
        }
        Ok(())
    }

    fn mbox(&mut self, path: &Path, file: &File, status: &mut Status) -> Result<(), Error> {
        let fail = |e: io::Error| Error::io("read", path, &e);
        refuse_holes(file).map_err(fail)?;
        let limited = LimitedFile::new(file, ReadLimit::until_stopped());
        let mut mbox = MboxReader::new(&limited, HEADER_BYTES).map_err(fail)?;
        if !mbox.is_mbox().map_err(fail)? {
            return Err(Error::new(Category::System, "read", path.display(), "this is no mbox"));
        }
        while let Some(stored) = mbox.next().map_err(fail)? {
            self.run.deadline.check("replay", &path.display().to_string())?;
            let (offset, bytes) = (stored.offset, stored.bytes);
            if is_internal_anywhere(&Message::new(stored.head)) {
                self.leave_out();
                continue;
            }
            let buffer = excerpt::read_excerpt(file, offset, bytes).map_err(fail)?;
            self.message(&format!("{}:{offset}", path.display()), &buffer, status);
        }
        Ok(())
    }

    /// What an IMAP server keeps for itself.
    fn leave_out(&mut self) {
        *self.counts.entry("no mail (FOLDER INTERNAL DATA)").or_default() += 1;
    }

    /// One message, which was found at `place`.
    fn message(&mut self, place: &str, buffer: &MessageBuffer, status: &mut Status) {
        // Nothing of this run's environment is about a stored message.
        let delivery = self.run.decide(buffer, self.errand, self.who, &|_| None);
        let word = if self.everywhere.dry_run {
            let described = dry_run::describe_run(&self.run, &delivery);
            let shown = described.and_then(|text| output::write_answer(format!("{place}: {text}").as_bytes()));
            if let Err(e) = shown {
                *status = failed(&format!("{place}: {e}"));
            }
            delivery.action.name()
        } else {
            self.run.deadline.begin_again();
            let result = settle::carry_out(&self.run, &delivery);
            if let Err(e) = &result {
                *status = failed(&format!("{place}: {e}"));
            }
            log_line::action_word(&delivery, &result)
        };
        *self.counts.entry(word).or_default() += 1;
    }

    /// A mailbox that is read while it is appended to never ends.
    fn refuse_itself(&self, path: &Path, file: &File) -> Result<(), Error> {
        let is_it = |target: &Path| match (file.metadata(), target.metadata()) {
            (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
            _ => false,
        };
        let overflow = self.run.state_dir().map(|dir| dir.join("overflow"));
        let targets = [
            self.run.store.path().map(Path::to_owned),
            Some(PathBuf::from(&self.run.config.admin)),
            overflow,
        ];
        if targets.iter().flatten().any(|target| is_it(target)) {
            let cause = "the messages would be appended to it";
            return Err(Error::new(Category::Configuration, "replay", path.display(), cause).hint("move it away first"));
        }
        Ok(())
    }
}

/// Reads a message that is a file of its own, compressed perhaps, as Dovecot does it.
fn read_message(file: &File) -> io::Result<MessageBuffer> {
    let mut content = file;
    let stored = MessageBuffer::collect(|collector| io::copy(&mut content, collector).map(drop))?;
    if !archive::read::is_packed(stored.head()) {
        return Ok(stored);
    }
    let mut unpacked = Vec::new();
    archive::read::unpack_archive(file, |_, bytes| {
        unpacked.push(archive::read::unpack_file(bytes, UNPACKED_BYTES)?);
        Ok::<(), io::Error>(())
    })?;
    match (unpacked.pop(), unpacked.is_empty()) {
        (Some(message), true) => Ok(message),
        (Some(_) | None, _) => Err(io::Error::other("what is packed here is not one message")),
    }
}
