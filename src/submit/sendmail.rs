//! Runs sendmail: gives it the message as a file, waits for its end within the deadline, and sorts its exit status.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::error::{Category, Error};
use crate::report::sendmail_reply::{Ending, SendmailReply};
use crate::submit::evidence::Meaning;
use crate::submit::letter::{Answers, Letter, Refusal};
use crate::submit::program::SendmailKind;
use crate::sys::deadline::{self, Deadline, Woken};
use crate::sys::spill_file::SpillFile;
use crate::sys::{child, procfs};

/// How much of what sendmail prints is kept, in bytes; the rest is read and thrown away.
const SAID_BYTES: usize = 500;

/// What tells `spoolguard sendmail` that a program which we started leads back to it.
pub const STARTED_BY_US: &str = "SPOOLGUARD_SENDMAIL";

/// Up to this length the message waits in memory for sendmail to read it, in bytes.
const MEMORY_BYTES: u64 = 1 << 20;

/// Sends `letter` to all its recipients through `program`. Fails when sendmail says "later", cannot be started, hangs
/// or dies before anything is known of any recipient.
pub fn submit<R: Read>(program: &Path, mut letter: Letter<'_, R>, deadline: &Deadline) -> Result<Answers, Error> {
    let store = |e: io::Error| Error::io("store the message for", program, &e);
    // A file, not a pipe: a sendmail that does not read, or stops reading, cannot hold us.
    let mut message = waiting_file(letter.content_bytes).map_err(store)?;
    message.write_all(letter.added).map_err(store)?;
    io::copy(&mut letter.content, &mut message).map_err(store)?;
    let kind = SendmailKind::of(program);
    let mut run = SendmailRun {
        program,
        kind,
        flags: kind.flags(),
        sender: letter.sender,
        message: message.into_file(),
        deadline,
    };
    let refused = |recipient: String, reply| Answers {
        refused: vec![Refusal { recipient, reply }],
        ..Answers::default()
    };
    if kind.takes_one_address() && letter.recipients.len() > 1 {
        return Ok(run.each(letter.recipients));
    }
    let reply = run.once(letter.recipients)?;
    match (Meaning::of(&reply, kind), letter.recipients) {
        (Meaning::Taken, recipients) => Ok(Answers::taken_by(recipients)),
        (Meaning::Later, _) => Err(run.later(&reply)),
        (Meaning::Refused, [only]) => Ok(refused(only.clone(), reply)),
        (Meaning::Refused, several) if kind.has_sent_the_rest(reply.ending()) => {
            Ok(refused(several.join(" or "), reply))
        }
        // One bad address may have spoilt it for all: each is tried alone, so that none is forgotten.
        (Meaning::Refused, several) => Ok(run.each(several)),
    }
}

struct SendmailRun<'a> {
    program: &'a Path,
    kind: SendmailKind,
    flags: &'static [&'static str],
    sender: &'a str,
    message: File,
    deadline: &'a Deadline,
}

impl SendmailRun<'_> {
    /// Runs sendmail for each of `recipients` alone.
    fn each(&mut self, recipients: &[String]) -> Answers {
        let mut answers = Answers::default();
        for recipient in recipients {
            let reply = self.once(std::slice::from_ref(recipient));
            match reply.map(|reply| (Meaning::of(&reply, self.kind), reply)) {
                Ok((Meaning::Taken, _)) => answers.taken.push(recipient.clone()),
                Ok((Meaning::Refused, reply)) => answers.refused.push(Refusal {
                    recipient: recipient.clone(),
                    reply,
                }),
                // The others are tried all the same; this one is tried again when the message comes again.
                Ok((Meaning::Later, reply)) => answers.later = Some(self.later(&reply)),
                Err(e) => answers.later = Some(e),
            }
        }
        answers
    }

    fn later(&self, reply: &SendmailReply) -> Error {
        self.fail(format_args!("it ended with {reply}"))
    }

    fn fail(&self, cause: impl std::fmt::Display) -> Error {
        Error::new(
            Category::Submission,
            "submit the message to",
            self.program.display(),
            cause,
        )
    }

    /// Runs sendmail for `recipients`.
    fn once(&mut self, recipients: &[String]) -> Result<SendmailReply, Error> {
        let fail = |e: io::Error| Error::io("run", self.program, &e).class(Category::Submission);
        self.message.rewind().map_err(fail)?;
        let (output, child_output) = io::pipe().map_err(fail)?;
        let sender = if self.sender.is_empty() {
            self.kind.null_sender()
        } else {
            self.sender
        };
        let mut command = Command::new(self.program);
        command
            // `-oi`: a line with a single dot does not end the message. `--`: an address is never an option.
            .args(["-oi", "-f", sender])
            .args(self.flags)
            .arg("--")
            .args(recipients)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C")
            .env(STARTED_BY_US, "1")
            // The caller's instance of Postfix, where there are several (postfix(1)).
            .envs(std::env::var_os("MAIL_CONFIG").map(|dir| ("MAIL_CONFIG", dir)))
            .current_dir("/")
            // Whatever it starts can be ended with it: Postfix's postdrop outlives its sendmail.
            .process_group(0)
            .stdin(self.message.try_clone().map_err(fail)?)
            .stdout(child_output.try_clone().map_err(fail)?)
            .stderr(child_output);
        let child = deadline::start_child(&mut command).map_err(fail)?;
        // The command holds copies of our ends of the pipe.
        drop(command);
        let (status, printed) = self.wait(child, output)?;
        // EX_USAGE: of an old version, perhaps, that does not know all flags. The message matters more than what
        // reports bring back.
        if status.code() == Some(64) && !self.flags.is_empty() {
            self.flags = &[];
            return self.once(recipients);
        }
        let ending = match (status.code(), status.signal()) {
            (Some(code), _) => Ending::Status(code),
            (None, signal) => Ending::Signal(signal.unwrap_or(0)),
        };
        Ok(SendmailReply::read(ending, &printed))
    }

    /// Waits for sendmail to end, and reads what it prints. A child that it leaves behind may hold the pipe open for
    /// ever.
    fn wait(&self, mut child: Child, mut output: io::PipeReader) -> Result<(ExitStatus, String), Error> {
        let fail = |e: io::Error| Error::io("wait for", self.program, &e).class(Category::Submission);
        let end = child::end_of(&child);
        let mut said = Vec::new();
        let mut open = true;
        loop {
            if let Some(status) = child.try_wait().map_err(fail)? {
                // What is in the pipe already is all that matters, and of that only what is kept: a child that sendmail
                // left behind may print without end.
                while open && said.len() < SAID_BYTES && self.is_readable(&output) {
                    open = drain(&mut output, &mut said);
                }
                return Ok((status, String::from_utf8_lossy(&said).into_owned()));
            }
            if let Err(e) = self.may_go_on(&said) {
                child::end_group(&mut child);
                return Err(e);
            }
            let files = [open.then(|| output.as_fd()), end.as_ref().map(AsFd::as_fd)];
            let files: Vec<_> = files.into_iter().flatten().collect();
            let _ = self.deadline.wait(&files, Duration::from_secs(1));
            if open && self.is_readable(&output) {
                open = drain(&mut output, &mut said);
            }
        }
    }

    fn is_readable(&self, output: &io::PipeReader) -> bool {
        self.deadline.wait(&[output.as_fd()], Duration::ZERO) == Woken::Readable
    }

    /// Fails when waiting for sendmail has no sense any more.
    fn may_go_on(&self, said: &[u8]) -> Result<(), Error> {
        self.deadline
            .check("submit the message to", &self.program.display().to_string())?;
        let said = String::from_utf8_lossy(said);
        let said = said.trim();
        // Postfix's postdrop tries for ever where the queue cannot be written: without its setgid, or on a file system
        // mounted read-only.
        if self.kind == SendmailKind::Postfix
            && said.contains("mail_queue_enter: create file")
            && ["Permission denied", "Read-only file system"]
                .iter()
                .any(|cause| said.contains(cause))
        {
            let error = self.fail(format_args!("it cannot write to its queue: {said}"));
            return Err(match procfs::has_no_new_privileges() {
                Some(true) => {
                    error.hint("this process runs with NoNewPrivileges, which keeps sendmail from becoming setgid")
                }
                Some(false) | None => error,
            });
        }
        if self.deadline.remaining().is_zero() {
            let printed = if said.is_empty() {
                String::new()
            } else {
                format!("; it printed {said}")
            };
            return Err(self.fail(format_args!("it did not end in time and was killed{printed}")));
        }
        Ok(())
    }
}

/// Reads once, keeps the beginning; false at the end.
fn drain(output: &mut io::PipeReader, said: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    match output.read(&mut buffer) {
        Ok(0) => false,
        Ok(read) => {
            let room = SAID_BYTES.saturating_sub(said.len()).min(read);
            said.extend_from_slice(buffer.get(..room).unwrap_or_default());
            true
        }
        Err(e) => e.kind() == io::ErrorKind::Interrupted,
    }
}

/// Makes a file without a name, in memory for a small message.
pub fn waiting_file(bytes: u64) -> io::Result<SpillFile> {
    if bytes <= MEMORY_BYTES
        && let Ok(memory) = memfd_create("message", MFdFlags::MFD_CLOEXEC)
    {
        return Ok(SpillFile::begin_in(memory.into()));
    }
    SpillFile::create()
}
