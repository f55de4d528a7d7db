//! The notices that mail is held back because it came from its destination, or goes round with it: one to the user, into the mailbox,
//! and, where the brake holds, one to the administrator. Nothing answers them, and the administrator's carries our divert mark.

use crate::classify::DIVERT_HEADER;
use crate::deliver::context::{Delivery, Run};
use crate::deliver::forward::held_back::HeldBack;
use crate::deliver::forward::rules::brake::Brake;
use crate::deliver::{context, headers, notify, quota_notice, store};
use crate::error::Error;
use crate::output::wrap::wrap_body;
use crate::sys::account;

/// Writes what has to be written.
///
/// # Errors
/// When one of them could not be written.
pub fn write_loop_notice(run: &Run, delivery: &Delivery<'_>, destination: &str, back: HeldBack) -> Result<(), Error> {
    let own = headers::escape_word(&delivery.own_address());
    let to = headers::escape_word(destination);
    let mailbox = run.store.to_string();
    let what = happened(back);
    let subject = match back {
        HeldBack::CameFrom(_) => format!("Mail that came from {to} is not sent there"),
        HeldBack::Brake(_) => format!("Mail goes round with {to}: some is kept"),
    };
    let user = format!(
        "Mail for {own} is forwarded to {to}. {what}\n\nSuch messages are delivered into {mailbox} instead, and are not sent to {to}. \
         All other mail is forwarded as before. No message is lost.\n\n\
         If an autoresponder, a ticket system or a forward at {to} answers your mail: let it not answer {own}. To see where your \
         mail goes:\n\n    {}\n",
        headers::own_status_command(&run.account)
    );
    let text = compose(
        delivery,
        &own,
        &own,
        &format!("Subject: {subject}\n\n{}", wrap_body(&user)),
        "user",
    );
    store::place_notice(run, &own, &text, delivery.date)?;
    if matches!(back, HeldBack::CameFrom(_)) {
        return Ok(());
    }
    let admin = run.config.admin.as_str();
    // Of an alias there is nobody else to tell.
    if context::is_the_user(run, &delivery.envelope.own, admin) || run.account.is_alias() {
        return Ok(());
    }
    let name = headers::escape_word(&run.account.name);
    let host = headers::escape_word(&account::host_name());
    let body = format!(
        "On {host}, mail for {own} (user {name}) is forwarded to {to}. {what}\n\nSuch messages are delivered into {mailbox} instead, and \
         the user is told so. All other mail is forwarded as before. No message is lost.\n\nTo see the user's forwards:\n\n    \
         {}\n",
        headers::status_command(&run.account)
    );
    let text = format!(
        "{DIVERT_HEADER}: notice; recipient={own}; host={host}\nSubject: Mail of {name} goes round with {to}\n\n{}",
        wrap_body(&body)
    );
    let text = compose(delivery, &own, admin, &text, "admin");
    notify::notify_admin(run, "send a notice to", &text, delivery.date, None)
}

fn happened(back: HeldBack) -> &'static str {
    match back {
        HeldBack::CameFrom(_) => {
            "Whoever reads there wrote or answered a message that came here; sent there again, it could be answered again."
        }
        HeldBack::Brake(Brake::Chain | Brake::Again) => {
            "What is sent there is answered by a machine, and its answers come here, to be sent there again: each message \
             would lead to the next, without end."
        }
        HeldBack::Brake(Brake::AutoReplies) => "Too many automatic answers came for it within an hour.",
        HeldBack::Brake(Brake::Pace) => {
            "One writer's mail comes at the pace of a machine that waits for what is sent there, message after message."
        }
        HeldBack::Brake(Brake::Flood) => "Far too many messages of unknown senders came for it within an hour.",
    }
}

fn compose(delivery: &Delivery<'_>, own: &str, to: &str, text: &str, kind: &str) -> String {
    let id = format!("{}.{}.{kind}", delivery.date.unix_timestamp_nanos(), std::process::id());
    quota_notice::write_message(own, to, delivery.date, &id, text)
}
