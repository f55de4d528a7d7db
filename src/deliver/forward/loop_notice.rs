//! The texts of the notices about mail that is held back because it came from its destination, or goes round with it.
//! One goes to the user and, where the brake holds, one to the administrator.

use crate::deliver::context::Run;
use crate::deliver::forward::rules::{HeldBackKind, PendingNotice};
use crate::deliver::headers;
use crate::output::shell;
use crate::sys::account::{self, AccountKind};

pub fn to_user(run: &Run, notice: &PendingNotice, kind: HeldBackKind) -> (String, String) {
    let own = headers::escape_word(&notice.own);
    let to = headers::escape_word(&notice.destination);
    if kind == HeldBackKind::Surge {
        let status = headers::own_status_command(&run.account);
        return surge(&to, &format!("mail for {own}"), &status);
    }
    let what = happened(kind);
    let mailbox = run.store.to_string();
    let subject = if kind == HeldBackKind::CameFrom {
        format!("Mail that came from {to} is not sent there")
    } else {
        format!("Mail goes round with {to}: some is kept")
    };
    let body = format!(
        "Mail for {own} is forwarded to {to}. {what}\n\nSuch messages are delivered into {mailbox} instead, and are not sent to {to}. \
         All other mail is forwarded as before. No message is lost.\n\n\
         If an autoresponder, a ticket system or a forward at {to} answers your mail: let it not answer {own}. To see where your \
         mail goes:\n\n    {}\n",
        headers::own_status_command(&run.account)
    );
    (subject, body)
}

/// The same for the administrator.
pub fn to_admin(run: &Run, notice: &PendingNotice, kind: HeldBackKind) -> (String, String) {
    let own = headers::escape_word(&notice.own);
    let to = headers::escape_word(&notice.destination);
    let mailbox = run.store.to_string();
    let name = headers::escape_word(&run.account.name);
    let host = headers::escape_word(&account::host_name());
    if kind == HeldBackKind::Surge {
        let whose = format!("on {host}, mail for {own} (user {name})");
        return surge(&to, &whose, &headers::status_command(&run.account));
    }
    let what = happened(kind);
    let told = match run.account.kind {
        AccountKind::User => ", and the user is told so",
        AccountKind::Alias => "",
    };
    let subject = if kind == HeldBackKind::CameFrom {
        format!("Mail of {name} that came from {to} is not sent there")
    } else {
        format!("Mail of {name} goes round with {to}")
    };
    let body = format!(
        "On {host}, mail for {own} (user {name}) is forwarded to {to}. {what}\n\nSuch messages are delivered into {mailbox} \
         instead{told}. All other mail is forwarded as before. No message is lost.\n\nTo see the user's forwards:\n\n    {}\n",
        headers::status_command(&run.account)
    );
    (subject, body)
}

fn surge(to: &str, whose: &str, status: &str) -> (String, String) {
    let subject = format!("Far more mail than ever before is forwarded to {to}");
    let body = format!(
        "Far more messages than ever before are forwarded to {to}: {whose}. All of it is forwarded as before, and none is kept.\n\n\
         If so much is expected, there is nothing to do. If a machine at {to} answers what is sent there, each answer may come back and \
         be sent there again. Then let it not answer, or end the forwarding for now:\n\n    {status} --suspend {}\n",
        shell::quote_word(to)
    );
    (subject, body)
}

fn happened(kind: HeldBackKind) -> &'static str {
    match kind {
        HeldBackKind::CameFrom => {
            "Whoever reads there wrote or answered a message that came here; sent there again, it could be answered again."
        }
        HeldBackKind::GoesRound => {
            "What is sent there is answered by a machine, and its answers come here, to be sent there again: each message \
             would lead to the next, without end."
        }
        HeldBackKind::AutoReplies => "Too many automatic answers came for it within an hour.",
        HeldBackKind::Pace => {
            "One writer's mail comes at the pace of a machine that waits for what is sent there, message after message."
        }
        HeldBackKind::Flood => "Far too many messages of unknown senders came for it within an hour.",
        HeldBackKind::Surge => "Far more messages than ever before are sent there.",
    }
}
