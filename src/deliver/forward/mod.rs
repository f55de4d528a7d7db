//! Sends a message on, marked so that it is known when it comes back.

pub(crate) mod answer;
mod attribution;
pub mod destinations;
pub(crate) mod gate;
mod held_back;
pub(crate) mod history;
pub mod history_file;
mod history_index;
pub mod history_line;
pub(crate) mod kept;
mod loop_notice;
pub(crate) mod loops;
pub(crate) mod notices;
pub mod rules;
pub(crate) mod srs;
mod surge;
pub(crate) mod token_test;
pub(crate) mod turn;
pub(crate) mod verp;

use std::collections::HashSet;

use crate::classify::verdict::Verdict;
use crate::config::ForwardSender;
use crate::deliver::context::{Delivery, Run};
use crate::deliver::forward::history::Sketches;
use crate::deliver::forward::history_line::Fate;
use crate::deliver::headers;
use crate::error::Error;
use crate::message::address::is_plain;
use crate::message::envelope::Sender;
use crate::report::sendmail_reply::SendmailReply;
use crate::submit;
use crate::submit::letter::{Answers, Letter, Refusal};
use crate::sys::message_buffer;

/// The message in the form that is sent.
pub fn outgoing_letter<'a>(
    delivery: &'a Delivery<'_>,
    sender: &'a str,
    recipients: &'a [String],
    added: &'a str,
) -> Letter<'a, message_buffer::BufferReader<'a>> {
    Letter {
        sender,
        recipients,
        added: added.as_bytes(),
        content: delivery.buffer.reader(delivery.content_start()),
        content_bytes: delivery.content_bytes(),
    }
}

/// Sends the message to `destinations`. What is no address is refused here: every sendmail makes something else of it.
/// Fails when the MTA cannot take it now for some of them; those that it took it for are remembered, and left out the
/// next time.
pub fn send_on(
    run: &Run,
    delivery: &Delivery<'_>,
    destinations: &[String],
    sketches: &Sketches,
) -> Result<Answers, Error> {
    let field = loop_field(delivery);
    // OpenSMTPD sends as many copies as it is told addresses.
    let mut seen = HashSet::new();
    let distinct = destinations.iter().filter(|text| seen.insert(*text)).cloned();
    let (plain, odd): (Vec<String>, Vec<String>) = distinct.partition(|text| is_plain(text));
    let no_address = odd.into_iter().map(|recipient| Refusal {
        recipient,
        reply: SendmailReply::no_address(),
    });
    let mut sent = Answers {
        refused: no_address.collect(),
        ..Answers::default()
    };
    for (sender, recipients) in submissions(run, delivery, plain) {
        let answers = submit::submit_each(
            &run.config.forward.transport,
            outgoing_letter(delivery, &sender, &recipients, &field),
            &run.deadline,
        );
        sent.taken.extend(answers.taken);
        sent.refused.extend(answers.refused);
        // The others are tried all the same: they need not wait for this one.
        sent.later = sent.later.or(answers.later);
    }
    let fates: Vec<_> = sent.taken.iter().map(|to| (Fate::Sent, to.clone())).collect();
    history::note_fates(run, delivery, &fates, sketches);
    match sent.later.take() {
        Some(e) => Err(e),
        None => Ok(sent),
    }
}

/// Tells whether a message is sent on with the null sender: one that came with it, and every bounce, whatever a gateway
/// made of its sender. A report about it would be sent on, too, and so on.
pub fn goes_with_null_sender(delivery: &Delivery<'_>) -> bool {
    delivery.envelope.sender == Sender::Null || matches!(delivery.judgement.verdict, Verdict::Bounce(_))
}

/// Our mark, by which the message is known when it comes back.
pub fn loop_field(delivery: &Delivery<'_>) -> String {
    format!(
        "X-Loop: {}{}",
        delivery.envelope.own.loop_mark(),
        delivery.message.line_end()
    ) + &headers::separator_field(&delivery.message)
}

/// Which envelope senders go with which destinations: one for all, or, with a token, one for each.
fn submissions(run: &Run, delivery: &Delivery<'_>, destinations: Vec<String>) -> Vec<(String, Vec<String>)> {
    if destinations.is_empty() {
        return Vec::new();
    }
    let own = delivery.own_address();
    let plain = match (&delivery.envelope.sender, run.config.forward.sender) {
        _ if goes_with_null_sender(delivery) => String::new(),
        // A null sender stays null: nothing may ever come back for it (RFC 5228 section 4.2).
        (Sender::Null, _) => String::new(),
        // Exim and OpenSMTPD refuse a message for a malformed sender, and Postfix loses its report.
        (Sender::Address(address), ForwardSender::Original) if is_plain(address) => address.clone(),
        (Sender::Address(address), ForwardSender::Srs) => srs::rewrite_sender(run, delivery, address).unwrap_or(own),
        (Sender::Address(_) | Sender::Unknown, ForwardSender::Verp) => {
            // Until a test came home, a report to such an address may go nowhere.
            if token_test::read_tests(run).of(&own).is_home()
                && let Some(maker) = verp::Maker::prepare(run, delivery)
            {
                let one = |destination: String| (maker.sender(&destination), vec![destination]);
                return destinations.into_iter().map(one).collect();
            }
            own
        }
        (Sender::Unknown, ForwardSender::Srs) => own,
        (Sender::Address(_) | Sender::Unknown, ForwardSender::User | ForwardSender::Original) => own,
    };
    vec![(plain, destinations)]
}
