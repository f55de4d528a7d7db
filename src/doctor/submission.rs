//! Checks how mail leaves: the program or the Maildir of `[forward] transport`. Sends nothing, and starts no program.

use std::path::Path;

use crate::config::{Config, Over, Transport};
use crate::doctor::facts::HostFacts;
use crate::doctor::rules::{Check, Finding, Level};
use crate::output::shell::quote_path;
use crate::submit::program::SendmailKind;
use crate::sys::dirs::can_make_files;
use crate::sys::{account, child, procfs};

/// The port of mail (RFC 5321 section 4.5.4.2).
const SMTP: u16 = 25;

/// Examines it, and says what configuration does on purpose that somebody may not expect.
pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let mut found = match &host.config.forward.transport {
        Transport::Outbox(dir) => vec![outbox(dir)],
        Transport::Sendmail(path) => vec![program(path)],
    };
    if host.config.quota.when_full == Over::Refuse {
        found.push(
            Check::Configuration
                .about("[quota] when_full")
                .note("it is \"refuse\": mail for a full mailbox is bounced, on purpose"),
        );
    }
    found
}

/// What a user's run meets beyond that: an own program, or an outbox that this user has to write to.
pub fn of_user(config: &Config, of_host: &Config) -> Option<Finding> {
    let transport = &config.forward.transport;
    match transport {
        Transport::Outbox(dir) => Some(outbox(dir)).filter(|finding| finding.level == Level::Error),
        Transport::Sendmail(path) => (*transport != of_host.forward.transport).then(|| program(path)),
    }
}

fn program(path: &Path) -> Finding {
    let topic = Check::Submit.about(path.display());
    let remedy = "install an MTA, or set [forward] transport to the path of its sendmail";
    if path.symlink_metadata().is_err() {
        let what = "it is not there: nothing can be forwarded or sent to the administrator";
        return topic.error(what, remedy);
    }
    if !child::is_program(path) {
        let what = "it cannot be started: nothing can be forwarded or sent to the administrator";
        return topic.error(what, remedy);
    }
    let kind = SendmailKind::of(path);
    // The real name of these two says less.
    let whose = if kind == SendmailKind::Postfix {
        "it is Postfix's".to_owned()
    } else if kind == SendmailKind::Sendmail {
        "it is Sendmail's".to_owned()
    } else {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        format!("it is {}", real.display())
    };
    if kind.needs_set_id() && procfs::has_no_new_privileges() == Some(true) {
        let what = format!(
            "{whose}, and this process runs with NoNewPrivileges: sendmail cannot write to its queue, and mail waits"
        );
        return topic.error(what, "take NoNewPrivileges= out of the unit that starts it");
    }
    if let Some(lacks) = kind.missing_feature() {
        return topic.warning(
            format!("{whose}: {lacks}"),
            "install an MTA with a queue that takes any sender, such as Postfix or Exim",
        );
    }
    match procfs::listens_at(SMTP) {
        Some(true) => topic.ok(format!("{whose}, and something listens at port {SMTP}")),
        Some(false) => topic.warning(
            format!("{whose}, and nothing listens at port {SMTP}: if the MTA is not running, mail stays in its queue"),
            "see whether it runs: mailq",
        ),
        None => topic.ok(whose),
    }
}

/// Users' runs make it, and write to it.
fn outbox(dir: &Path) -> Finding {
    let topic = Check::Submit.about(format!("outbox:{}", dir.display()));
    let whose = account::find_runner().name;
    let mut made = dir;
    while made.symlink_metadata().is_err() {
        match made.parent() {
            Some(above) => made = above,
            None => break,
        }
    }
    if !made.is_dir() || !can_make_files(made) {
        let what = format!("{whose} cannot make files in {}", made.display());
        let remedy = format!("make it a directory that users may write to: {}", quote_path(dir));
        return topic.error(what, remedy);
    }
    topic.note("what would be sent is kept there, and nobody sends it; every user's run has to be able to write there")
}
