//! Checks what `sender = "verp"` needs: an MTA that delivers addresses with a token, and sends with the sender that it
//! is told. Asks programs that answer without sending anything (`exim -bt`, `sendmail -bv`). The state directory says
//! what became of the last test message.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Config, ForwardSender};
use crate::deliver::context::state_place;
use crate::deliver::forward::rules::token_test::TokenTest;
use crate::deliver::forward::token_test;
use crate::deliver::headers::moment_text;
use crate::doctor::facts::HostFacts;
use crate::doctor::rules::settings::Settings;
use crate::doctor::rules::{Check, Finding};
use crate::submit::program::SendmailKind;
use crate::sys::account::{self, Account};
use crate::sys::child::{self, ProgramOutput, Streams};

const ASK_TIME: Duration = Duration::from_secs(10);

const ANY_TOKEN: &str = "fwd=test";

/// Examines it, as that user; nothing where no sender has a token.
pub fn of_user(host: &HostFacts, config: &Config, account: &Account) -> Vec<Finding> {
    if config.forward.sender != ForwardSender::Verp {
        return Vec::new();
    }
    let address = format!("{}@{}", account.name, account::mail_name());
    let test = state_place(config, account)
        .map(|dir| token_test::tests_in(&dir).of(&address))
        .unwrap_or_default();
    let routing = routing(host, config, account);
    let mut found = vec![homecoming(account, test, routing)];
    found.extend(ignored_sender(host, config, account));
    found
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Routing {
    Delivered,
    Refused(String),
    Unknown,
}

fn homecoming(account: &Account, test: TokenTest, routing: Routing) -> Finding {
    let about = Check::MailSystem.about(format!("tokens of {}", account.name));
    let remedy = "let the MTA deliver extensions to the user: Exim's local_part_suffix = +* with local_part_suffix_optional, on the router \
                  that reads .forward; Postfix's recipient_delimiter = +";
    let state = match (test.home_at, test.failed_at, test.sent_at) {
        (Some(at), _, _) if test.is_home() => {
            let on = moment_text(at);
            return about.ok(format!("a test message to an address with one came home on {on}"));
        }
        (_, Some(at), _) => format!("a test message could not be delivered on {}", moment_text(at)),
        (_, None, Some(at)) => format!("the test message of {} did not come home yet", moment_text(at)),
        (_, None, None) => "no test message was sent yet; the first forward sends one".to_owned(),
    };
    match routing {
        Routing::Refused(said) => {
            let what = "the sender is the user, and the MTA does not deliver such addresses";
            about.warning(format!("{state}: {what}: {said}"), remedy)
        }
        Routing::Delivered | Routing::Unknown if test.sent_at.is_none() => {
            about.ok(format!("{state}, and until then the sender is the user"))
        }
        Routing::Delivered | Routing::Unknown => about.warning(format!("{state}: the sender is the user"), remedy),
    }
}

fn routing(host: &HostFacts, config: &Config, account: &Account) -> Routing {
    let Some(delimiter) = config.recipient_delimiter.chars().next() else {
        return Routing::Unknown;
    };
    let address = format!("{}{delimiter}{ANY_TOKEN}@{}", account.name, account::mail_name());
    let answer = match sender_program(host, config) {
        (SendmailKind::Exim, Some(exim)) => ask(exim, &["-bt", &address]),
        (SendmailKind::Sendmail, Some(sendmail)) => ask(sendmail, &["-bv", &address]),
        // Postfix's would mail the answer, and OpenSMTPD has none.
        _ => None,
    };
    match answer {
        None => Routing::Unknown,
        Some(answer) if answer.status.success() => Routing::Delivered,
        Some(answer) => Routing::Refused(
            answer
                .text
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(160)
                .collect(),
        ),
    }
}

/// Whose program sends mail, and the program that is asked.
fn sender_program(host: &HostFacts, config: &Config) -> (SendmailKind, Option<PathBuf>) {
    let Some(sendmail) = config.forward.transport.sendmail() else {
        return (SendmailKind::Other, None);
    };
    let mut names = ["exim4", "exim"].iter();
    let exim = names.find_map(|name| child::find_program(name, &host.dirs));
    let kind = SendmailKind::of(sendmail);
    if kind == SendmailKind::Exim || (kind == SendmailKind::Other && exim.is_some()) {
        (SendmailKind::Exim, exim)
    } else {
        (kind, Some(sendmail.to_owned()))
    }
}

fn ask(program: PathBuf, arguments: &[&str]) -> Option<ProgramOutput> {
    if !child::is_trusted(&program) {
        return None;
    }
    child::output_of(&program, arguments, &[], Streams::Both, ASK_TIME).ok()
}

/// Exim takes `-f` of users whom it trusts, unless it is told otherwise (Debian does).
fn ignored_sender(host: &HostFacts, config: &Config, account: &Account) -> Option<Finding> {
    let (SendmailKind::Exim, Some(exim)) = sender_program(host, config) else {
        return None;
    };
    let answer = ask(
        exim,
        &["-bP", "untrusted_set_sender", "trusted_users", "trusted_groups"],
    )?;
    let settings = Settings::parse(&answer.text);
    let is_empty = |key: &str| settings.get(key).is_none_or(str::is_empty);
    let trusted = settings.get("trusted_users").unwrap_or_default();
    let is_trusted = trusted.split([':', ' ']).any(|name| name == account.name);
    let ignores = answer.status.success()
        && is_empty("untrusted_set_sender")
        && is_empty("trusted_groups")
        && !is_trusted
        && account.uid != 0;
    ignores.then(|| {
        let what = format!(
            "it is empty: Exim ignores the sender that it is told for {}, and bounces come without a token; they count as with \
             sender = \"self\"",
            account.name
        );
        let about = Check::MailSystem.about("Exim's untrusted_set_sender");
        about.warning(what, "untrusted_set_sender = *")
    })
}
