//! Writes the notices about a destination that was suspended or opened again, or that mail goes round with: one to the
//! user, into the mailbox, and one to the administrator. Nothing answers them (RFC 3834 section 5). The administrator's
//! carries our divert mark: whoever sends it back to the user sends it into the user's mailbox, and no further.

use time::OffsetDateTime;

use crate::classify::DIVERT_HEADER;
use crate::config::value::Age;
use crate::deliver::context::{self, Run};
use crate::deliver::forward::loop_notice;
use crate::deliver::forward::rules::{DestinationEvent, Failure, FailureSource, PendingNotice, To};
use crate::deliver::{headers, notify, quota_notice, store};
use crate::error::Error;
use crate::message::address::{Address, OwnAddresses};
use crate::output::shell;
use crate::output::wrap::wrap_body;
use crate::sys::account::{self, AccountKind};

/// Whom a notice goes to, as logs name it.
pub fn notice_receiver(run: &Run, to: To) -> String {
    match to {
        To::User if !run.account.is_alias() => run.store.to_string(),
        To::User | To::Admin => run.config.admin.clone(),
    }
}

/// Writes one notice. Fails when it could not be written; then no part of it is there.
pub fn write_notice(run: &Run, own: &OwnAddresses, notice: &PendingNotice, date: OffsetDateTime) -> Result<(), Error> {
    let admin = run.config.admin.as_str();
    let mut own = own.clone();
    Address::parse(&notice.own)
        .into_iter()
        .for_each(|address| own.add(address));
    match notice.to {
        // The user has been told.
        To::Admin if context::is_the_user(run, &own, admin) => Ok(()),
        // Nobody reads the mailbox of an alias: the notice that a user would get goes to the administrator, and no
        // other.
        To::Admin if run.account.is_alias() => Ok(()),
        To::User if run.account.is_alias() && !context::is_the_user(run, &own, admin) => tell_admin(run, notice, date),
        To::User => {
            let text = compose(run, notice, &notice.own, "", date);
            store::place_notice(run, &notice.own, &text, date)
        }
        To::Admin => tell_admin(run, notice, date),
    }
}

fn tell_admin(run: &Run, notice: &PendingNotice, date: OffsetDateTime) -> Result<(), Error> {
    let admin = run.config.admin.as_str();
    let host = account::host_name();
    let mark = format!(
        "{DIVERT_HEADER}: notice; recipient={}; host={}\n",
        headers::escape_word(&notice.own),
        headers::escape_word(&host)
    );
    let for_admin = PendingNotice {
        to: To::Admin,
        ..notice.clone()
    };
    let text = compose(run, &for_admin, admin, &mark, date);
    notify::notify_admin(run, "send a notice to", &text, date, None)
}

fn compose(run: &Run, notice: &PendingNotice, to: &str, added: &str, date: OffsetDateTime) -> String {
    let (subject, body) = match notice.to {
        To::User => to_user(run, notice),
        To::Admin => to_admin(run, notice),
    };
    let text = format!("{added}Subject: {subject}\n\n{}", wrap_body(&body));
    // It was read from a file that the user may write to.
    quota_notice::write_message(
        &headers::escape_word(&notice.own),
        to,
        date,
        &format!(".{}", notice.number),
        &text,
    )
}

fn to_user(run: &Run, notice: &PendingNotice) -> (String, String) {
    let to = headers::escape_word(&notice.destination);
    let own = headers::escape_word(&notice.own);
    let mailbox = run.store.to_string();
    let since = headers::moment_text(notice.since);
    let status = headers::own_status_command(&run.account);
    let resume = format!("    {status} --resume {}", shell::quote_word(&to));
    match notice.event {
        DestinationEvent::Suspended => (
            format!("Your mail is no longer forwarded to {to}"),
            format!(
                "Mail for {own} is no longer forwarded to {to}. {}\n\
                 New mail has been kept in {mailbox} since {since}. {}\n\n\
                 To forward there again now:\n\n{resume}\n\n\
                 If the address is gone, take it out of your .forward or procmailrc.\n",
                failures(notice),
                probes(run, notice),
            ),
        ),
        DestinationEvent::SuspendedByHand => (
            format!("Your mail is no longer forwarded to {to}"),
            format!(
                "Mail for {own} is no longer forwarded to {to}: that was suspended manually.\n\
                 New mail has been kept in {mailbox} since {since}. To forward there again:\n\n{resume}\n",
            ),
        ),
        DestinationEvent::HeldBack(kind) => loop_notice::to_user(run, notice, kind),
        DestinationEvent::Reopened | DestinationEvent::ReopenedByHand => (
            format!("Your mail is forwarded to {to} again"),
            format!(
                "Mail for {own} is forwarded to {to} again. {}\n\n{}\n",
                reopened(run, notice),
                kept_text(run, notice, &mailbox),
            ),
        ),
    }
}

/// The same for the administrator.
fn to_admin(run: &Run, notice: &PendingNotice) -> (String, String) {
    let to = headers::escape_word(&notice.destination);
    let own = headers::escape_word(&notice.own);
    let user = headers::escape_word(&run.account.name);
    let host = headers::escape_word(&account::host_name());
    let mailbox = run.store.to_string();
    let since = headers::moment_text(notice.since);
    let status = headers::status_command(&run.account);
    let word = shell::quote_word(&to);
    let (whose, told) = match run.account.kind {
        AccountKind::User => (format!("user {user}"), ", and the user is told so"),
        AccountKind::Alias => (format!("alias {user}"), ""),
    };
    match notice.event {
        DestinationEvent::SuspendedByHand => (
            format!("Forward of {user} to {to} is suspended"),
            format!(
                "On {host}, mail for {own} ({whose}) is no longer forwarded to {to}: that was suspended manually.\n\
                 New mail has been kept in {mailbox} since {since}. To forward there again:\n\n    \
                 {status} --resume {word}\n"
            ),
        ),
        DestinationEvent::Suspended => (
            format!("Forward of {user} to {to} is suspended"),
            format!(
                "On {host}, mail for {own} ({whose}) is no longer forwarded to {to}. {}\n\
                 New mail has been kept in {mailbox} since {since}{told}. {}\n\n\
                 You need not do anything. To forward there again now:\n\n    \
                 {status} --resume {word}\n",
                failures(notice),
                probes(run, notice),
            ),
        ),
        DestinationEvent::HeldBack(kind) => loop_notice::to_admin(run, notice, kind),
        DestinationEvent::Reopened | DestinationEvent::ReopenedByHand => (
            format!("Forward of {user} to {to} is open again"),
            format!(
                "On {host}, mail for {own} ({whose}) is forwarded to {to} again. {}\n\n{}\n",
                reopened(run, notice),
                kept_text(run, notice, &mailbox),
            ),
        ),
    }
}

/// Since when it fails, and what was said last.
fn failures(notice: &PendingNotice) -> String {
    let since = match notice.failing_since {
        Some(since) => format!("It has been failing since {}.", headers::moment_text(since)),
        None => String::new(),
    };
    match &notice.last {
        Some(last) => format!(
            "{since} The last answer:\n\n    {}, {}\n",
            failure_text(last),
            headers::moment_text(last.at),
        ),
        None => format!("{since}\n"),
    }
}

/// What a failure said, on one line: `"550 5.1.1 unknown user" (mx.b.test)`.
pub fn failure_text(failure: &Failure) -> String {
    let words = match (failure.said.as_str(), &failure.status) {
        ("", Some(status)) => status,
        ("", None) => "no reason given",
        (said, _) => said,
    };
    let by = match (&failure.host, failure.source) {
        (Some(host), _) => format!(" ({})", headers::escape_word(host)),
        (None, FailureSource::Sendmail) => " (sendmail on this host)".to_owned(),
        (None, FailureSource::Report(_)) => String::new(),
    };
    format!("{}{by}", headers::quote_text(words))
}

fn probes(run: &Run, notice: &PendingNotice) -> String {
    match notice.probe {
        Some(from) => format!(
            "After {} one message is sent there as a probe, with a copy kept. When {} pass without a report that it failed, \
             forwarding resumes, and you are told.",
            headers::moment_text(from),
            trial(run, notice),
        ),
        None => String::new(),
    }
}

fn trial(run: &Run, notice: &PendingNotice) -> Age {
    let routes = &run.config.destinations;
    if notice.last.as_ref().is_some_and(Failure::came_late) {
        routes.quiet_slow
    } else {
        routes.quiet
    }
}

fn reopened(run: &Run, notice: &PendingNotice) -> String {
    let probe = notice.probe.filter(|_| notice.event == DestinationEvent::Reopened);
    match probe {
        Some(probe) => format!(
            "A message was sent there on {}, and nobody reported within {} that it failed.",
            headers::moment_text(probe),
            trial(run, notice),
        ),
        None => "It was resumed manually.".to_owned(),
    }
}

fn kept_text(run: &Run, notice: &PendingNotice, mailbox: &str) -> String {
    let since = headers::moment_text(notice.since);
    let command = headers::send_kept_command(&run.account, &notice.destination);
    match notice.kept {
        0 => format!("No message came in while it was suspended, since {since}."),
        1 => format!(
            "1 message was kept in {mailbox} while it was suspended, since {since}. It stays there. To send it on as \
             well:\n\n    {command}"
        ),
        count => format!(
            "{count} messages were kept in {mailbox} while it was suspended, since {since}. They stay there. To send them on \
             as well:\n\n    {command}"
        ),
    }
}
