//! `spoolguard return`: sends a bounce that came to an SRS address on to the sender of the message. It is for the
//! aliases `srs0` and `srs1`, which get such addresses as extensions.
//!
//! This is no open relay. The address has to bear our seal and be recent. The message has to be a bounce or an
//! automatic answer, or have the null sender. It goes on with the null sender and our loop mark. Everything else goes
//! to the administrator. A copy of a bounce goes to the user who forwarded, as our `X-Loop` in it says. The user's own
//! guard learns that the destination is dead, and recovers the message. Every failure leaves the bounce in the MTA's
//! queue.

use std::path::Path;

use crate::classify::policy::{Copies, Why};
use crate::classify::verdict::Verdict;
use crate::cli::{Everywhere, Who};
use crate::deliver::context::{Delivery, Outcome, Run};
use crate::deliver::forward::{loop_field, outgoing_letter, srs};
use crate::deliver::{self, Errand, caller, fallback, log_line};
use crate::error::{Category, Error, Status};
use crate::mailbox::setgid::SetAside;
use crate::message::address::{Address, is_plain};
use crate::message::envelope::Sender;
use crate::message::srs::looks_rewritten;
use crate::output;
use crate::report::returned_header::nested_values;
use crate::submit;
use crate::sys::message_buffer::MessageBuffer;
use crate::sys::{account, alias_account};

/// Where the address stands that a message came to, unless the MTA says it otherwise: reports are addressed to it.
const FIELDS: [&str; 4] = ["Delivered-To", "X-Original-To", "Envelope-To", "To"];

/// Runs the command: 0 and 75, never 77.
pub fn run(who: &Who, everywhere: &Everywhere, group: Option<SetAside>) -> Status {
    deliver::end_run(return_report(who, everywhere, group).map_err(|e| e.class(Category::System)))
}

fn return_report(who: &Who, everywhere: &Everywhere, group: Option<SetAside>) -> Result<Status, Error> {
    let deadline = deliver::begin_delivery()?;
    let input = deliver::input::open_input()?;
    deliver::input::refuse_device(&input)?;
    let buffer = MessageBuffer::read(&input, &deadline)?;
    let run = Run::prepare_to_deliver(who, None, everywhere, deadline, group)?;
    let delivery = run.decide(&buffer, &Errand::new(&[], Copies::None), who, &caller::read_variable);
    let target = find_target(&run, &delivery)?;
    if everywhere.dry_run {
        return show(&target);
    }
    let result = match &target {
        Target::Nobody(why) => {
            tracing::warn!(recipient = delivery.envelope.recipient, why, "is not returned");
            fallback::divert_or_fail(&run, &delivery, Why::NotReturned)
        }
        Target::Writer(writer, forwarder) => send_back(&run, &delivery, writer, forwarder.as_ref()),
    };
    log_line::log_outcome(&run, &delivery, &result);
    result.map(|_| Status::Done)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// To whoever wrote what it is about; and to the user who forwarded that, where it says so.
    Writer(String, Option<String>),
    /// To nobody but the administrator, for this reason.
    Nobody(String),
}

/// Says what would be done. Under an MTA the message has to stay with it: nobody else has it.
fn show(target: &Target) -> Result<Status, Error> {
    let text = match target {
        Target::Nobody(why) => format!("divert to the administrator: {why}\n"),
        Target::Writer(writer, None) => format!("return to {writer}\n"),
        Target::Writer(writer, Some(user)) => format!("return to {writer}, with a copy to {user}\n"),
    };
    let shown = output::write_answer(text.as_bytes());
    deliver::refuse_under_mta("return")?;
    shown.map(|()| Status::Done)
}

/// Finds out whom the address stands for. Fails when the secrets cannot be used: then the message waits.
fn find_target(run: &Run, delivery: &Delivery<'_>) -> Result<Target, Error> {
    let nobody = |why: &str| Ok(Target::Nobody(why.to_owned()));
    if let Verdict::Loop(_) = delivery.judgement.verdict {
        return nobody("it has been here before");
    }
    if !is_report_or_answer(delivery) {
        return nobody("it is neither a report nor an automatic answer");
    }
    let fields = delivery.message.fields();
    let named = fields.filter(|field| FIELDS.iter().any(|name| field.is(name)));
    let named = named.take(20).map(|field| field.text().into_owned());
    let addresses = delivery.envelope.recipient.iter().cloned().chain(named);
    let addresses = addresses.filter_map(|text| Some(Address::parse(&text)?.to_string()));
    let candidates: Vec<String> = addresses.filter(|address| looks_rewritten(address)).collect();
    if candidates.is_empty() {
        return nobody("it came to no SRS address");
    }
    let rewriter = srs::read_rewriter(run, "")?;
    let now = delivery.date.unix_timestamp();
    let mut why = String::new();
    for address in &candidates {
        match rewriter.reverse(address, now) {
            Ok(writer) if is_plain(&writer) => {
                let forwarder = forwarder(run, delivery, address).filter(|user| *user != writer);
                return Ok(Target::Writer(writer, forwarder));
            }
            Ok(_) => why = format!("{address}: nobody could be sent what it stands for"),
            Err(e) => why = format!("{address}: {e}"),
        }
    }
    Ok(Target::Nobody(why))
}

/// What nobody answers: anything else would make a relay of this host.
fn is_report_or_answer(delivery: &Delivery<'_>) -> bool {
    match delivery.judgement.verdict {
        Verdict::Bounce(_) | Verdict::AutoReply(_) | Verdict::Receipt(_) => true,
        Verdict::Complaint(_) | Verdict::Notice(_) | Verdict::Ordinary => delivery.envelope.sender == Sender::Null,
        Verdict::Loop(_) => false,
    }
}

/// The user or the guarded alias of this host whose forward a report is about. No other: whoever has seen a valid
/// address could name anybody.
fn forwarder(run: &Run, delivery: &Delivery<'_>, srs_address: &str) -> Option<String> {
    delivery.judgement.verdict.bounce()?;
    let hosts = [account::mail_name(), account::host_name()];
    let own = srs_address.rsplit_once('@').map(|(_, domain)| domain);
    let is_here = |domain: &str| {
        let mut domains = hosts.iter().map(String::as_str).chain(own);
        domains.any(|here| here.eq_ignore_ascii_case(domain))
    };
    let marks = nested_values(delivery.message.body(), "x-loop").take(20);
    let mut addresses = marks.filter_map(|mark| Address::parse(&mark));
    let found = addresses.find(|address| {
        let is_user = || matches!(account::find_known(address.local()), Ok(Some(_)));
        let aliases = Path::new(&run.config.aliases.dir);
        let is_alias = || {
            let names = [address.local().to_owned(), address.to_string()];
            names.iter().any(|name| alias_account::has_directory(name, aliases))
        };
        address.domain().is_some_and(is_here) && (is_user() || is_alias())
    })?;
    Some(found.to_string()).filter(|user| is_plain(user))
}

fn send_back(run: &Run, delivery: &Delivery<'_>, writer: &str, forwarder: Option<&String>) -> Result<Outcome, Error> {
    let recipients: Vec<String> = std::iter::once(writer.to_owned()).chain(forwarder.cloned()).collect();
    let added = loop_field(delivery);
    let letter = outgoing_letter(delivery, "", &recipients, &added);
    let answers = submit::submit_each(&run.config.forward.transport, letter, &run.deadline);
    if let Some(e) = answers.later {
        return Err(e);
    }
    if let Some(refusal) = answers.refused.iter().find(|refusal| refusal.recipient == writer) {
        tracing::warn!(recipient = writer, reply = %refusal.reply, "is not returned");
        return fallback::divert_or_fail(run, delivery, Why::NotReturned);
    }
    Ok(Outcome::Forwarded {
        to: answers.taken,
        note: Some("a report goes on to the sender".to_owned()),
    })
}
