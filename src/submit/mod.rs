//! Hands a message to the mail system: through its sendmail, or into a maildir where what would be sent is kept.
//!
//! An answer is yes, no, or later. What sendmail says with its exit status is sorted here, once. A failure that is reported later
//! shall bring back the whole message: that is asked for where it is sure that sendmail understands it.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::error::{Category, Error};
use crate::sys::deadline;
use crate::sys::deadline::{Deadline, Woken};
use crate::sys::dirs::{make_private_dir, sync_parent};

/// How much of what sendmail prints is kept, in bytes; the rest is read and thrown away.
const SAID_BYTES: usize = 500;

/// Up to this length the message waits in memory for sendmail to read it, in bytes.
const MEMORY_BYTES: u64 = 1 << 20;

/// How a message leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The path of a program that understands `-oi -f SENDER -- ADDRESS...`.
    Sendmail(PathBuf),
    /// A maildir; each file is one message with its envelope on top.
    Outbox(PathBuf),
}

/// One message with its envelope.
#[derive(Debug)]
pub struct Letter<'a, R> {
    /// The envelope sender; empty is the null sender.
    pub sender: &'a str,
    /// Whom it is for, at least one.
    pub recipients: &'a [String],
    /// Our own header fields, complete lines.
    pub added: &'a [u8],
    /// The message, without a separator line.
    pub content: R,
    /// Its length, in bytes.
    pub content_bytes: u64,
}

/// What became of it.
#[derive(Debug)]
#[must_use]
pub enum SubmitResult {
    /// The mail system has it for all recipients.
    Accepted,
    /// The mail system will never take it for these recipients. It has it for all others.
    Refused(Vec<Refusal>),
}

/// A recipient that the mail system does not take, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The address.
    pub recipient: String,
    /// The exit status, and what was printed.
    pub said: String,
}

/// What became of a letter at each of its recipients.
#[derive(Debug, Default)]
#[must_use]
pub struct Answers {
    /// The mail system has it for these.
    pub taken: Vec<String>,
    /// It will never take it for these.
    pub refused: Vec<Refusal>,
    /// It did not take it for the others, and may do so later.
    pub later: Option<Error>,
}

/// Sends `letter` to all its recipients.
///
/// # Errors
/// When the mail system says "later", cannot be started, hangs or dies. It may have taken some of it even so.
pub fn submit<R: Read>(way: &Transport, letter: Letter<'_, R>, deadline: &Deadline) -> Result<SubmitResult, Error> {
    let Answers { refused, later, .. } = submit_each(way, letter, deadline);
    match later {
        Some(e) => Err(e),
        None if refused.is_empty() => Ok(SubmitResult::Accepted),
        None => Ok(SubmitResult::Refused(refused)),
    }
}

/// Sends `letter` to all its recipients, and says for each what came of it.
pub fn submit_each<R: Read>(way: &Transport, letter: Letter<'_, R>, deadline: &Deadline) -> Answers {
    let recipients = letter.recipients;
    let sent = match way {
        Transport::Sendmail(program) => sendmail(program, letter, deadline),
        Transport::Outbox(dir) => outbox(dir, letter).map(|()| taken_by(recipients)),
    };
    sent.unwrap_or_else(|e| Answers {
        later: Some(e),
        ..Answers::default()
    })
}

fn taken_by(recipients: &[String]) -> Answers {
    Answers {
        taken: recipients.to_vec(),
        ..Answers::default()
    }
}

fn sendmail<R: Read>(program: &Path, mut letter: Letter<'_, R>, deadline: &Deadline) -> Result<Answers, Error> {
    let store = |e: io::Error| Error::io("store the message for", program, &e);
    // A file, not a pipe: a sendmail that does not read, or stops reading, cannot hold us.
    let mut message = waiting_file(letter.content_bytes).map_err(store)?;
    message.write_all(letter.added).map_err(store)?;
    io::copy(&mut letter.content, &mut message).map_err(store)?;
    let kind = SendmailKind::of(program);
    let mut run = SendmailRun {
        program,
        returns: kind.returns(),
        sender: letter.sender,
        message,
        deadline,
    };
    let refused = |recipient: String, said| Answers {
        refused: vec![Refusal { recipient, said }],
        ..Answers::default()
    };
    match run.once(letter.recipients)? {
        Reply::Taken => Ok(taken_by(letter.recipients)),
        Reply::Never(said) => match letter.recipients {
            [only] => Ok(refused(only.clone(), said)),
            several if kind.has_sent_the_rest(&said) => Ok(refused(several.join(" or "), said)),
            // One bad address may have spoilt it for all: each is tried alone, so that none is forgotten.
            several => Ok(run.each(several)),
        },
    }
}

/// Whose program it is. All are called by the same name, and Debian's alternatives lead to the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendmailKind {
    /// Sendmail's own.
    Sendmail,
    /// Postfix's.
    Postfix,
    /// Any other, or not known for sure.
    Other,
}

impl SendmailKind {
    /// Finds out whose it is, without starting it.
    #[must_use]
    pub fn of(program: &Path) -> Self {
        let real = program.canonicalize().unwrap_or_default();
        let is = |ends: &[&str]| ends.iter().any(|end| real.ends_with(end));
        // Postfix's runs postdrop, which lies in the same directory and nowhere else (postfix-files(5)); where several mail
        // systems are installed, its sendmail has a longer name.
        let has_postdrop = || real.with_file_name("postdrop").is_file();
        if is(&["sendmail/sendmail", "sm.bin/sendmail", "sendmail.sendmail"]) {
            Self::Sendmail
        } else if is(&["sendmail.postfix"]) || (is(&["sbin/sendmail"]) && has_postdrop()) {
            Self::Postfix
        } else {
            Self::Other
        }
    }

    /// The flags that ask for reports with the whole message (RFC 3461 section 4.3). Exim runs its queue for `-R`, OpenSMTPD's
    /// server refuses the message for it (503, measured with 6.8), and others do not know it.
    fn returns(self) -> &'static [&'static str] {
        match self {
            Self::Sendmail | Self::Postfix => &["-R", "full"],
            Self::Other => &[],
        }
    }

    /// Sendmail itself sends to the good addresses and says with its status that there was a bad one; it does not say which. Exim
    /// and OpenSMTPD then have sent nothing.
    fn has_sent_the_rest(self, said: &str) -> bool {
        let statuses = ["status 64", "status 65", "status 67", "status 68"];
        self == Self::Sendmail && statuses.iter().any(|status| said.starts_with(status))
    }
}

enum Reply {
    Taken,
    Never(String),
}

struct SendmailRun<'a> {
    program: &'a Path,
    returns: &'static [&'static str],
    sender: &'a str,
    message: File,
    deadline: &'a Deadline,
}

impl SendmailRun<'_> {
    /// Runs sendmail for each of `recipients` alone.
    fn each(&mut self, recipients: &[String]) -> Answers {
        let mut answers = Answers::default();
        for recipient in recipients {
            match self.once(std::slice::from_ref(recipient)) {
                Ok(Reply::Taken) => answers.taken.push(recipient.clone()),
                Ok(Reply::Never(said)) => answers.refused.push(Refusal {
                    recipient: recipient.clone(),
                    said,
                }),
                // The others are tried all the same; this one is tried again when the message comes again.
                Err(e) => answers.later = Some(e),
            }
        }
        answers
    }

    /// Runs sendmail for `recipients`.
    fn once(&mut self, recipients: &[String]) -> Result<Reply, Error> {
        let fail = |e: io::Error| Error::io("run", self.program, &e).class(Category::Submission);
        self.message.rewind().map_err(fail)?;
        let (output, child_output) = io::pipe().map_err(fail)?;
        let sender = if self.sender.is_empty() { "<>" } else { self.sender };
        let mut command = Command::new(self.program);
        command
            // `-oi`: a line with a single dot does not end the message. `--`: an address is never an option.
            .args(["-oi", "-f", sender])
            .args(self.returns)
            .arg("--")
            .args(recipients)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C")
            // The caller's instance of Postfix, where there are several (postfix(1)).
            .envs(std::env::var_os("MAIL_CONFIG").map(|dir| ("MAIL_CONFIG", dir)))
            .current_dir("/")
            .stdin(self.message.try_clone().map_err(fail)?)
            .stdout(child_output.try_clone().map_err(fail)?)
            .stderr(child_output);
        let child = deadline::start(&mut command).map_err(fail)?;
        // The command holds copies of our ends of the pipe.
        drop(command);
        let (status, said) = self.wait(child, output)?;
        // EX_USAGE: of an old version, perhaps, that does not know all flags. The message matters more than what reports bring back.
        if status.code() == Some(64) && !self.returns.is_empty() {
            self.returns = &[];
            return self.once(recipients);
        }
        self.sort(status, &said)
    }

    /// Waits for sendmail to end, and reads what it prints. A child that it leaves behind may hold the pipe open for ever.
    fn wait(&self, mut child: Child, mut output: io::PipeReader) -> Result<(ExitStatus, String), Error> {
        let fail = |e: io::Error| Error::io("wait for", self.program, &e).class(Category::Submission);
        let mut said = Vec::new();
        let mut open = true;
        loop {
            if let Some(status) = child.try_wait().map_err(fail)? {
                // What is in the pipe already is all that matters, and of that only what is kept: a child that sendmail left
                // behind may print without end.
                while open
                    && said.len() < SAID_BYTES
                    && self.deadline.wait(Some(output.as_fd()), Duration::ZERO) == Woken::Readable
                {
                    open = drain(&mut output, &mut said);
                }
                return Ok((status, String::from_utf8_lossy(&said).trim().to_owned()));
            }
            let stopped = self
                .deadline
                .check("submit the message to", &self.program.display().to_string());
            let late = self.deadline.remaining().is_zero();
            if late || stopped.is_err() {
                let _ = child.kill();
                let _ = child.wait();
                stopped?;
                return Err(Error::new(
                    Category::Submission,
                    "submit the message to",
                    self.program.display(),
                    "it did not end in time and was killed",
                ));
            }
            let file = open.then(|| output.as_fd());
            if self.deadline.wait(file, Duration::from_secs(1)) == Woken::Readable {
                open = drain(&mut output, &mut said);
            }
        }
    }

    /// Sorts an exit status (sysexits.h). "Never" is believed only where it is about the message or its addresses; a mail
    /// system that is broken will be mended.
    fn sort(&self, status: ExitStatus, said: &str) -> Result<Reply, Error> {
        let ended = match (status.code(), status.signal()) {
            (Some(0), _) => return Ok(Reply::Taken),
            (Some(code), _) => format!("status {code}"),
            (None, signal) => format!("signal {}", signal.unwrap_or(0)),
        };
        let said = if said.is_empty() {
            ended
        } else {
            format!("{ended}, {said}")
        };
        match status.code() {
            // Exim says 1 and 2 for an address it cannot read; EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_NOUSER, EX_NOHOST,
            // EX_UNAVAILABLE, EX_PROTOCOL, EX_NOPERM.
            Some(1 | 2 | 64 | 65 | 66 | 67 | 68 | 69 | 76 | 77) => Ok(Reply::Never(said)),
            // OpenSMTPD's sendmail ends with EX_SOFTWARE for every answer of its server, and prints the answer.
            Some(70) if said.contains("command failed: 5") => Ok(Reply::Never(said)),
            _ => Err(Error::new(
                Category::Submission,
                "submit the message to",
                self.program.display(),
                format_args!("it ended with {said}"),
            )),
        }
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

/// A file without a name, in memory for a small message.
fn waiting_file(bytes: u64) -> io::Result<File> {
    if bytes <= MEMORY_BYTES
        && let Ok(memory) = memfd_create("message", MFdFlags::MFD_CLOEXEC)
    {
        return Ok(memory.into());
    }
    tempfile::tempfile_in("/var/tmp").or_else(|_| tempfile::tempfile_in("/tmp"))
}

/// Writes the message and its envelope into the maildir `dir` (maildir(5)).
fn outbox<R: Read>(dir: &Path, mut letter: Letter<'_, R>) -> Result<(), Error> {
    let fail = |e: io::Error| Error::io("write to the outbox", dir, &e);
    for part in ["tmp", "new", "cur"] {
        make_private_dir(&dir.join(part))?;
    }
    let mut file = tempfile::Builder::new()
        .prefix("")
        .rand_bytes(12)
        .tempfile_in(dir.join("tmp"))
        .map_err(fail)?;
    write!(
        file,
        "Return-Path: <{}>\nEnvelope-To: {}\n",
        letter.sender,
        letter.recipients.join(", ")
    )
    .map_err(fail)?;
    file.write_all(letter.added).map_err(fail)?;
    io::copy(&mut letter.content, &mut file).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros();
    let name = format!("{seconds}.P{}R{:08x}.spoolguard", std::process::id(), fastrand::u32(..));
    let path = dir.join("new").join(name);
    file.persist_noclobber(&path).map_err(|e| fail(e.error))?;
    sync_parent(&path).map_err(fail)
}
