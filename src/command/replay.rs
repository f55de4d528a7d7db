//! `spoolguard replay`: runs every message of stored mailboxes through the guard, as if they came in now. A message that cannot be
//! delivered is named, and the others are tried all the same. What IMAP servers keep in a mailbox for themselves is no mail. The mailboxes
//! that are read stay as they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cli::{Everywhere, Who};
use crate::deliver;
use crate::deliver::Errand;
use crate::deliver::context::{Run, Started};
use crate::deliver::dry_run;
use crate::deliver::{log_line, settle};
use crate::error::{Category, Error, Status};
use crate::mailbox::excerpt;
use crate::mailbox::limited_file::{LimitedFile, refuse_holes};
use crate::mailbox::reader::MboxReader;
use crate::message::Message;
use crate::spool::restore::is_internal;
use crate::sys::deadline::ReadLimit;

/// As much of a message as is looked at to see whether it is one, in bytes: what IMAP servers write for themselves has a short header.
const HEADER_BYTES: usize = 4096;

/// Runs the command: 0 when every message was delivered, 75 when some was not.
pub fn run(mboxes: &[PathBuf], errand: &Errand, who: &Who, everywhere: &Everywhere) -> Status {
    let mut run = match Replay::prepare(errand, who, everywhere) {
        Ok(run) => run,
        Err(e) => return failed(&e.to_string()),
    };
    let mut status = Status::Done;
    for path in mboxes {
        if let Err(e) = run.mbox(path, &mut status) {
            status = failed(&e.to_string());
        }
    }
    let counts: Vec<_> = run
        .counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let total: u64 = run.counts.values().sum();
    let _ = writeln!(io::stdout(), "{total} messages: {}", counts.join(", "));
    status
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

    fn mbox(&mut self, path: &Path, status: &mut Status) -> Result<(), Error> {
        let fail = |e: io::Error| Error::io("read", path, &e);
        let file = File::open(path).map_err(fail)?;
        self.refuse_itself(path, &file)?;
        refuse_holes(&file).map_err(fail)?;
        let limited = LimitedFile::new(&file, ReadLimit::until_stopped());
        let mut mbox = MboxReader::new(&limited, HEADER_BYTES).map_err(fail)?;
        if !mbox.is_mbox().map_err(fail)? {
            return Err(Error::new(Category::System, "read", path.display(), "this is no mbox"));
        }
        while let Some(stored) = mbox.next().map_err(fail)? {
            self.run.deadline.check("replay", &path.display().to_string())?;
            let (offset, bytes) = (stored.offset, stored.bytes);
            if is_internal(&Message::new(stored.head)) {
                *self.counts.entry("no mail (FOLDER INTERNAL DATA)").or_default() += 1;
                continue;
            }
            let buffer = excerpt::read_excerpt(&file, offset, bytes).map_err(fail)?;
            // Nothing of this run's environment is about a stored message.
            let delivery = self.run.decide(&buffer, self.errand, self.who, &|_| None);
            let word = if self.everywhere.dry_run {
                let _ = write!(
                    io::stdout(),
                    "{}:{offset}: {}",
                    path.display(),
                    dry_run::describe_run(&self.run, &delivery)
                );
                delivery.action.name()
            } else {
                self.run.deadline.begin_again();
                let result = settle::carry_out(&self.run, &delivery);
                if let Err(e) = &result {
                    *status = failed(&format!("{}:{offset}: {e}", path.display()));
                }
                log_line::action_word(&delivery, &result)
            };
            *self.counts.entry(word).or_default() += 1;
        }
        Ok(())
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
