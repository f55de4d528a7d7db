//! Passes on answers to messages that were forwarded. With `sender = "verp"` whoever reads at the destination answers
//! to an address that only our forward had. A bounce that comes there is ours. Anything else is meant for the sender of
//! the message, and goes there as it would without a guard between.
//!
//! It goes with the null sender, so that nothing comes back for it, and bears our loop mark. The token is sealed, so
//! nobody can name a third person with it; the sender is the one in the history. Nobody gets more than a few within an
//! hour and a day, not even a sender whose machine answers such answers. What cannot go there is delivered locally.

use crate::classify::verdict::Verdict;
use crate::deliver::context::{Delivery, Run};
use crate::deliver::forward::history::{self, Sketches};
use crate::deliver::forward::history_file::History;
use crate::deliver::forward::history_line::{Fate, HistoryKey, HistoryLine};
use crate::deliver::forward::{loop_field, outgoing_letter};
use crate::error::Error;
use crate::message::address::{Address, is_plain};
use crate::message::envelope::Sender;
use crate::message::verp::VerpToken;
use crate::submit;

/// So many answers go to one writer within an hour, and within a day.
const AN_HOUR: (usize, u64) = (3, 3600);
const A_DAY: (usize, u64) = (10, 86_400);

#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Answered {
    Sent(String),
    /// The writer had it before.
    Repeated(String),
    /// It could not go there, for this reason.
    NotSent(String),
}

/// Tells whether a message that came to a token is an answer. What comes with the null sender and has no mark of an
/// answer was taken for a report before.
pub fn is_answer(delivery: &Delivery<'_>) -> bool {
    match delivery.judgement.verdict {
        Verdict::Ordinary | Verdict::AutoReply(_) | Verdict::Receipt(_) => delivery.judgement.diverted_before.is_none(),
        Verdict::Loop(_) | Verdict::Bounce(_) | Verdict::Complaint(_) | Verdict::Notice(_) => false,
    }
}

/// Sends the answer to whoever wrote the message that `token` names. Fails when the MTA cannot take it now.
pub fn send_answer(run: &Run, delivery: &Delivery<'_>, token: &VerpToken) -> Result<Answered, Error> {
    let found = history::read_history(run).map(|history| find(delivery, token, &history));
    let writer = match found {
        None => {
            return Ok(Answered::NotSent(
                "it answers what was sent on, and nothing is remembered of that".to_owned(),
            ));
        }
        Some(Err(answered)) => return Ok(answered),
        Some(Ok(writer)) => writer,
    };
    let recipients = [writer];
    let added = loop_field(delivery);
    let answers = submit::submit_each(
        &run.config.forward.transport,
        outgoing_letter(delivery, "", &recipients, &added),
        &run.deadline,
    );
    let fates: Vec<_> = answers.taken.iter().map(|to| (Fate::Answered, to.clone())).collect();
    history::note_fates(run, delivery, &fates, &Sketches::default());
    if let Some(e) = answers.later {
        return Err(e);
    }
    let [writer] = recipients;
    Ok(match answers.refused.first() {
        Some(refusal) => Answered::NotSent(format!("cannot send the answer to {writer}: {}", refusal.reply)),
        None => Answered::Sent(writer),
    })
}

/// Whom the answer goes to; else what becomes of it.
fn find(delivery: &Delivery<'_>, token: &VerpToken, history: &History) -> Result<String, Answered> {
    let not_sent = |why: &str| Err(Answered::NotSent(format!("it answers what was sent on, and {why}")));
    let lines = history.lines_about(&HistoryKey::Text(token.message()));
    let lines = lines.iter().filter_map(|text| HistoryLine::read(text));
    let mut sent = lines.filter(|line| line.fate == Fate::Sent && token.is_for(line.destination));
    let Some(line) = sent.next() else {
        return not_sent("nothing is remembered of that");
    };
    let writer = line.sender.to_owned();
    let Some(address) = Address::parse(&writer).filter(|_| writer != "-" && is_plain(&writer)) else {
        return not_sent("that had no sender");
    };
    if delivery.envelope.own.contains(&address) {
        return not_sent("that was the user's own message");
    }
    if matches!(&delivery.envelope.sender, Sender::Address(sender) if sender.eq_ignore_ascii_case(&writer)) {
        return not_sent("comes from whoever wrote that");
    }
    let now = delivery.date.unix_timestamp();
    let answers = history.lines_about(&HistoryKey::count(Fate::Answered, &writer));
    let answers: Vec<_> = answers.iter().filter_map(|text| HistoryLine::read(text)).collect();
    if answers.iter().any(|line| delivery.name().is(line.name)) {
        return Err(Answered::Repeated(format!("{writer} had this same answer")));
    }
    for (most, within) in [AN_HOUR, A_DAY] {
        if answers.iter().filter(|line| now.abs_diff(line.at) < within).count() >= most {
            return not_sent(&format!("{writer} had {most} answers a short while ago"));
        }
    }
    Ok(writer)
}
