//! `spoolguard sendmail`: what Dovecot calls in place of sendmail. A Sieve redirect of the user who runs this is a
//! guarded forward. Everything else goes to the real sendmail, the program of `[forward] transport`: this process
//! becomes that program, with the same arguments and the same bytes.
//!
//! Pigeonhole starts it as `-i -f SENDER -- ADDRESS...`, and writes `X-Sieve-Redirected-From` above all that arrived.
//! Only such a call is read here. Every failure of ours is 75, and Sieve leaves the message in the MTA's queue. Nothing
//! loops: this program is never started as its own transport.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::{Mode, umask};

use crate::classify::policy::Copies;
use crate::cli::{Everywhere, Who};
use crate::config::Config;
use crate::config::load::{self, ConfigSources, KeySelection};
use crate::deliver::context::{Intents, Run};
use crate::deliver::{self, Errand, headers, watchdog};
use crate::error::{Category, Error, Status};
use crate::mailbox::setgid::SetAside;
use crate::message::Message;
use crate::message::address::Address;
use crate::output::log;
use crate::submit::sendmail::{STARTED_BY_US, waiting_file};
use crate::sys::account::Account;
use crate::sys::message_buffer::MessageBuffer;
use crate::sys::{account, self_exec};

/// The field that Pigeonhole writes on top of what it redirects: the address of the user.
const REDIRECTED: &str = "X-Sieve-Redirected-From";

/// Runs the command. It does not return where the real sendmail takes over.
pub fn run(arguments: &[OsString], everywhere: &Everywhere, group: Option<SetAside>) -> Status {
    // Dropped last, when all the rest is done and let go of.
    let intents = Intents::default();
    deliver::end_run(sendmail(arguments, everywhere, group, &intents))
}

fn sendmail(
    arguments: &[OsString],
    everywhere: &Everywhere,
    group: Option<SetAside>,
    intents: &Intents,
) -> Result<Status, Error> {
    let mask = umask(Mode::empty());
    let deadline = deliver::begin_delivery()?;
    let host = MailHost::read(everywhere)?;
    let real = host.real_sendmail()?;
    let call = RedirectCall::read(arguments).filter(|_| !io::stdin().is_terminal());
    let Some(call) = call else {
        drop(group);
        umask(mask);
        return take_over(real, arguments, None, everywhere);
    };
    let buffer = MessageBuffer::read(&deliver::input::open_input()?, &deadline)?;
    if let Some(from) = redirected_from(&buffer) {
        if let Some(user) = host.user_of(&from)? {
            let who = call.who(user, &from);
            let mut run = Run::prepare_to_deliver(&who, None, everywhere, deadline, group)?;
            run.intents = intents.clone();
            refuse_round(&run, &buffer)?;
            refuse_rehearsal(everywhere, "guard and forward this redirect")?;
            let errand = Errand::new(&call.recipients, Copies::None);
            return Ok(deliver::settle_message(&run, &buffer, &errand, &who));
        }
        log::start_logging(&host.config.log, &host.runner.name, everywhere.verbose);
        let user = host.runner.name.as_str();
        let note = "a redirect of somebody else is handed over without the guard";
        tracing::warn!(user, recipient = from.to_string(), note);
    }
    drop(group);
    umask(mask);
    let input = store_again(&buffer).map_err(|e| Error::io("store the message for", real, &e))?;
    take_over(real, arguments, Some(input), everywhere)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct RedirectCall {
    sender: String,
    recipients: Vec<String>,
}

impl RedirectCall {
    /// Reads `-i -f SENDER -- ADDRESS...`, as Pigeonhole writes it; none for any other line.
    fn read(arguments: &[OsString]) -> Option<Self> {
        let mut words = arguments.iter().map(|word| word.to_str());
        let (mut sender, mut ignores_dots) = (None, false);
        loop {
            match words.next()?? {
                "-i" | "-oi" => ignores_dots = true,
                "-f" if sender.is_none() => sender = Some(words.next()??.to_owned()),
                "--" => break,
                word => match word.strip_prefix("-f").filter(|_| sender.is_none()) {
                    Some(attached) => sender = Some(attached.to_owned()),
                    None => return None,
                },
            }
        }
        let recipients: Vec<String> = words.map(|word| word.map(str::to_owned)).collect::<Option<_>>()?;
        let is_complete = ignores_dots && !recipients.is_empty() && recipients.iter().all(|word| !word.is_empty());
        is_complete.then_some(())?;
        Some(Self {
            sender: sender?,
            recipients,
        })
    }

    fn who(&self, user: String, from: &Address) -> Who {
        Who {
            user: Some(user),
            recipient: Some(from.to_string()),
            sender: Some(self.sender.clone()),
            alias: None,
        }
    }
}

/// Whose redirect a message is. Further down than the first `Received` another host wrote the field. Or the message was
/// redirected to the user, who now sends it on by hand.
fn redirected_from(buffer: &MessageBuffer) -> Option<Address> {
    let message = Message::new(buffer.head());
    let field = message.delivery_fields().find(|field| field.is(REDIRECTED))?;
    Address::parse(&field.text())
}

/// Refuses what was kept or recovered before: an LMTP server runs Sieve over what it is handed, and redirects it again.
fn refuse_round(run: &Run, buffer: &MessageBuffer) -> Result<(), Error> {
    let message = Message::new(buffer.head());
    let is_kept = message.fields().any(|field| {
        [headers::KEPT_HEADER, headers::RESCUED_HEADER]
            .iter()
            .any(|name| field.is(name))
    });
    if is_kept && !run.store.can_be_read() {
        let cause = "it was kept, and Sieve redirects it once more";
        return Err(
            Error::new(Category::Configuration, "keep", "the message", cause).hint(
                "keep what has X-Spoolguard-Kept or X-Spoolguard-Rescued in the script, or let [mailbox] location be a Maildir or an mbox",
            ),
        );
    }
    Ok(())
}

/// Who runs this, and what is configured for that user.
struct MailHost {
    runner: Account,
    config: Config,
}

impl MailHost {
    fn read(everywhere: &Everywhere) -> Result<Self, Error> {
        let runner = account::find_runner();
        let only = everywhere.config.as_deref();
        let sources = ConfigSources::from_choice(only, runner.home.as_deref(), runner.trusted_owners());
        let config = load::load_config(sources, KeySelection::User(&runner.name))?.config;
        Ok(Self { runner, config })
    }

    /// The program that everything else goes to. Fails when there is none, or when it leads back here.
    fn real_sendmail(&self) -> Result<&Path, Error> {
        let transport = &self.config.forward.transport;
        let refuse = |cause: &str| {
            let error = Error::new(Category::Configuration, "hand a message over to", transport, cause);
            Err(error.hint("let [forward] transport be the sendmail of the MTA"))
        };
        let Some(program) = transport.sendmail() else {
            return refuse("it is no program");
        };
        if std::env::var_os(STARTED_BY_US).is_some() || is_this_program(program) {
            return refuse("it leads back to spoolguard");
        }
        Ok(program)
    }

    /// The user whose address this is, as far as it is who runs this. Behind a uid that virtual users share, what is
    /// kept would lie where its owner does not look: they have no guard.
    fn user_of(&self, from: &Address) -> Result<Option<String>, Error> {
        let delimiter = self.config.recipient_delimiter.as_str();
        let base = from.without_extension(delimiter);
        for name in [base.to_owned(), base.to_ascii_lowercase()] {
            let known = if account::is_user_name(&name) {
                account::find_known(&name)?
            } else {
                None
            };
            if known.is_some_and(|user| user.uid == self.runner.uid) {
                return Ok(Some(name));
            }
        }
        let mut listed = self.config.addresses.iter().filter_map(|text| Address::parse(text));
        let is_listed = listed.any(|own| own.same_mailbox(from, delimiter));
        Ok((is_listed && !self.runner.is_nameless()).then(|| self.runner.name.clone()))
    }
}

fn is_this_program(program: &Path) -> bool {
    let own = self_exec::stat_self().map(|stat| (stat.dev(), stat.ino())).ok();
    own.is_some() && program.metadata().map(|stat| (stat.dev(), stat.ino())).ok() == own
}

/// Under Dovecot nothing tells that an MTA waits: the message has to stay with it.
fn refuse_rehearsal(everywhere: &Everywhere, plan: &str) -> Result<(), Error> {
    if everywhere.dry_run {
        let cause = format!("this is a dry run; it would {plan}");
        return Err(Error::new(Category::Configuration, "send", "the message", cause).hint("take --dry-run away"));
    }
    Ok(())
}

/// The whole message again, as a file without a name.
fn store_again(buffer: &MessageBuffer) -> io::Result<File> {
    let mut file = waiting_file(buffer.bytes())?;
    io::copy(&mut buffer.reader(0), &mut file)?;
    Ok(file.into_file())
}

/// Becomes the real sendmail.
fn take_over(
    real: &Path,
    arguments: &[OsString],
    input: Option<File>,
    everywhere: &Everywhere,
) -> Result<Status, Error> {
    refuse_rehearsal(everywhere, &format!("start {}", real.display()))?;
    let mut command = Command::new(real);
    command.args(arguments).env(STARTED_BY_US, "1");
    if let Some(input) = input {
        command.stdin(input);
    }
    watchdog::let_go();
    let e = command.exec();
    Err(Error::io("start", real, &e).class(Category::Submission))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{RedirectCall, redirected_from};
    use crate::sys::message_buffer::MessageBuffer;

    fn read(line: &str) -> Option<(String, Vec<String>)> {
        let words: Vec<OsString> = line.split(' ').map(|word| word.replace('_', " ").into()).collect();
        RedirectCall::read(&words).map(|call| (call.sender, call.recipients))
    }

    #[test]
    fn only_the_line_of_pigeonhole_is_read() {
        let want = |sender: &str, to: &[&str]| Some((sender.to_owned(), to.iter().map(|&to| to.into()).collect()));
        assert_eq!(read("-i -f s@s.test -- b@b.test"), want("s@s.test", &["b@b.test"]));
        assert_eq!(read("-i -f <> -- b@b.test"), want("<>", &["b@b.test"]));
        assert_eq!(
            read("-oi -fs@s.test -- -b@b.test c@c.test"),
            want("s@s.test", &["-b@b.test", "c@c.test"])
        );
        for other in [
            "",
            "-t",
            "-i -t -f s@s.test -- b@b.test",
            "-i -f s@s.test b@b.test",
            "-f s@s.test -- b@b.test",
            "-i -f s@s.test --",
            "-i -f s@s.test -- ",
            "-i -- b@b.test",
            "-i -f s@s.test -f t@t.test -- b@b.test",
            "-i -f s@s.test -N never -- b@b.test",
            "-bs",
            "-bp",
            "-i -f",
            "--version",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn the_field_counts_above_the_first_received_alone() {
        let from =
            |text: &[u8]| redirected_from(&MessageBuffer::from_bytes(text.to_vec())).map(|from| from.to_string());
        let own = Some("a@a.test".to_owned());
        assert_eq!(
            from(b"X-Sieve: P\r\nX-Sieve-Redirected-From: a@a.test\r\nReceived: x\r\n\r\n"),
            own
        );
        assert_eq!(from(b"x-sieve-redirected-from: <a@a.test>\n\n"), own);
        assert_eq!(
            from(b"Received: x\nX-Sieve-Redirected-From: a@a.test\nReceived: y\n\n"),
            None
        );
        assert_eq!(from(b"Subject: x\n\nX-Sieve-Redirected-From: a@a.test\n"), None);
    }
}
