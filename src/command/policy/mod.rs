//! `spoolguard policy`: at RCPT time, does the mailbox have room? A full mailbox is then refused while the client is
//! there, and nobody has to send a bounce to a forged sender.
//!
//! `rules/` knows the protocols, `room` the answer, `settings` the files, `turns` the time; `serve` joins them over
//! standard input and output. There is no daemon: the MTA starts one small process for each conversation. Whatever
//! fails, the answer is that nothing is known, and a delivery looks again.

pub mod room;
pub mod rules;
pub mod serve;
pub mod settings;
pub mod turns;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::cli::{Everywhere, PolicyArguments};
use crate::command::policy::room::{RoomAnswer, RoomReason};
use crate::command::policy::rules::RoomQuestion;
use crate::command::policy::serve::{OpenSmtpdSession, PolicyPipe, PostfixSession};
use crate::command::policy::settings::PolicySettingsReader;
use crate::command::policy::turns::{PolicySession, answer_all};
use crate::config::{Log, LogTo};
use crate::error::{Category, Error, Status};
use crate::message::address::why_not_plain;
use crate::message::envelope::Sender;
use crate::output::{self, OutputForm, log};
use crate::sys::file_stamp::same_file;
use crate::sys::{account, deadline};

/// How long an LMTP server may take to say whether it has room, where an MTA waits: less than a whole look may take.
const IN_CONVERSATION: Duration = Duration::from_millis(80);

/// The same, where a person waits.
const FOR_PEOPLE: Duration = Duration::from_secs(10);

/// Runs the command: 0, and 1 when one question was asked and the mailbox is full.
pub fn run(asked: &PolicyArguments, everywhere: &Everywhere) -> Status {
    let settings = Arc::new(PolicySettingsReader::new(everywhere.config.clone()));
    match &asked.address {
        Some(address) => {
            if let Some(cause) = why_not_plain(address) {
                return output::end_command(Err(Error::new(Category::Arguments, "use address", address, cause)));
            }
            let question = RoomQuestion {
                recipient: address.clone(),
                sender: Sender::Unknown,
                size_bytes: asked.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            };
            about(&question, &settings, OutputForm::from_flag(asked.json))
        }
        // The MTA ends with its filter.
        None if asked.opensmtpd => converse(&settings, everywhere, OpenSmtpdSession::new, OnSignal::GoOn),
        None => converse(&settings, everywhere, PostfixSession::new, OnSignal::End),
    }
}

/// Answers one question for people and shells.
fn about(question: &RoomQuestion, settings: &PolicySettingsReader, form: OutputForm) -> Status {
    let answer = match settings.read_current() {
        Ok(Some(settings)) => room::answer_question(question, &settings, FOR_PEOPLE),
        Ok(None) => RoomAnswer::Room(RoomReason::NoConfiguration),
        Err(e) => {
            output::print_error(&e);
            RoomAnswer::Room(RoomReason::NoConfiguration)
        }
    };
    let (reply, reason, status) = match &answer {
        RoomAnswer::Room(reason) => ("DUNNO", reason.to_string(), Status::Done),
        RoomAnswer::Full(full) => (full.reply.as_str(), full.to_string(), Status::Wrong),
    };
    let text = match form {
        OutputForm::Text => format!(
            "{reply}\n{}: {reason}\n",
            crate::escape::make_visible(&question.recipient)
        ),
        OutputForm::Json => {
            let line = serde_json::json!({ "address": question.recipient, "answer": reply, "reason": reason });
            format!("{line}\n")
        }
    };
    output::end_command(output::write_answer(text.as_bytes()).map(|()| status))
}

/// What SIGTERM and the like do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnSignal {
    /// End the conversation after the answer.
    End,
    GoOn,
}

fn converse<S: PolicySession>(
    settings: &Arc<PolicySettingsReader>,
    everywhere: &Everywhere,
    session: impl FnOnce(PolicyPipe) -> S,
    on_signal: OnSignal,
) -> Status {
    let pipe = match (own_copy(&io::stdin()), own_copy(&io::stdout())) {
        (Ok(input), Ok(output)) => PolicyPipe::new(input, output),
        (Err(e), _) | (_, Err(e)) => {
            output::print_error(&Error::from_cause(
                Category::System,
                "use",
                "standard input and output",
                e,
            ));
            return Status::TryAgain;
        }
    };
    start_log(settings, everywhere.verbose);
    // In every thread that starts from here on.
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    let _ = signals.thread_block();
    let looking = Arc::clone(settings);
    let look = move |question: &RoomQuestion| {
        let answer = match looking.read_current() {
            Ok(Some(settings)) => room::answer_question(question, &settings, IN_CONVERSATION),
            Ok(None) => RoomAnswer::Room(RoomReason::NoConfiguration),
            Err(e) => {
                tracing::error!(note = e.to_string(), "refuses nobody");
                RoomAnswer::Room(RoomReason::NoConfiguration)
            }
        };
        // Starting a child, such as getent(1), lets them in again, and one that came then was noted only.
        let _ = signals.thread_block();
        if deadline::is_stopped() {
            let _ = kill(Pid::this(), Signal::SIGTERM);
        }
        answer
    };
    answer_all(session(pipe), look, |over| {
        if on_signal == OnSignal::End {
            let wait = move || {
                let _ = signals.wait();
                let _ = over.send(());
            };
            let _ = std::thread::Builder::new().spawn(wait);
        }
    });
    Status::Done
}

fn own_copy(stream: &impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// Logs as configured, but never into the conversation: spawn(8) and inetd connect standard error to the client as
/// well.
fn start_log(settings: &PolicySettingsReader, verbose: u8) {
    let loaded = settings.read_current();
    let configured = match &loaded {
        Ok(Some(settings)) => settings.config.log.clone(),
        Ok(None) | Err(_) => Log::default(),
    };
    let user = account::find_runner().name;
    let is_same = match (own_copy(&io::stderr()), own_copy(&io::stdout())) {
        (Ok(a), Ok(b)) => matches!((a.metadata(), b.metadata()), (Ok(a), Ok(b)) if same_file(&a, &b)),
        _ => false,
    };
    if is_same && matches!(configured.to, LogTo::Stderr | LogTo::Auto) {
        let to = LogTo::Syslog;
        log::start_logging(&Log { to, ..configured }, &user, 0);
    } else {
        log::start_logging(&configured, &user, verbose);
    }
    if let Err(e) = loaded {
        tracing::error!(note = e.to_string(), "refuses nobody");
    }
}
