//! Keeps copies of a message that is sent on. One goes into the mailbox, where the user wants it or a destination is
//! suspended. Another is held in the state directory, where no bounce could come back. A message that cannot be sent
//! comes again, so its copies are taken back; where that is impossible, they are made after the message was sent.

use crate::classify::policy::Copies;
use crate::config::Over;
use crate::deliver::context::{Delivery, Outcome, Run};
use crate::deliver::divert::held::{self, HeldCopy};
use crate::deliver::forward::gate::Gate;
use crate::deliver::forward::history;
use crate::deliver::store::entry::Put;
use crate::deliver::store::{Receipt, mbox};
use crate::deliver::{forward, headers, overflow, store};
use crate::error::{Error, Retry};
use crate::submit::program::SendmailKind;

/// What comes first where a message is sent and a copy of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The copy. When the MTA cannot take the message now, the copy is taken back: the message will come again, and
    /// each time would leave another.
    CopyFirst,
    /// The message goes out first, since the copy could not be taken back. When the copy cannot be put there now, the
    /// message comes again; the history knows then that it was sent.
    SendFirst,
}

impl Order {
    /// The one place that decides. Where nothing is sent, the copy is all there is, and nothing has to be taken back.
    pub(super) fn of(run: &Run, gate: &Gate) -> Self {
        if run.store.can_take_back() || gate.destinations().is_empty() {
            Self::CopyFirst
        } else {
            Self::SendFirst
        }
    }
}

/// What became of the copy that is put into the mailbox before the message is sent.
pub(super) enum FirstCopy {
    /// None is wanted, or none can be made.
    None,
    Placed(Put<Receipt>),
    /// It is all that is done.
    InOverflow(Outcome),
}

/// Puts the copy into the mailbox that the user wants, or that a closed destination makes necessary.
pub(super) fn place_copy(
    run: &Run,
    delivery: &Delivery<'_>,
    copies: Copies,
    gate: &mut Gate,
    order: Order,
    over: Over,
) -> Result<FirstCopy, Error> {
    let Some(fields) = copy_fields(delivery, copies, gate).filter(|_| order == Order::CopyFirst) else {
        return Ok(FirstCopy::None);
    };
    let why = match (copies, gate.why_kept()) {
        (Copies::Keep, _) | (Copies::None, None) => {
            return store::place_message(run, delivery, &fields, over).map(FirstCopy::Placed);
        }
        (Copies::None, Some(why)) => why,
    };
    if gate.destinations().is_empty()
        && let Some(outcome) = overflow::find_earlier(run, delivery, "")?
    {
        return Ok(FirstCopy::InOverflow(outcome));
    }
    match store::place_message(run, delivery, &fields, over) {
        Err(e) if e.retry_outlook() == Retry::NeedsMending && gate.ends_a_loop() => {
            tracing::warn!(user = run.account.name, why, note = %e, "goes to the overflow mbox");
            if gate.destinations().is_empty() {
                return overflow::put_in_overflow(run, delivery, &fields).map(FirstCopy::InOverflow);
            }
            Ok(FirstCopy::None)
        }
        Err(e) if e.retry_outlook() == Retry::NeedsMending => {
            // No mailbox can be made for the user. Then it is better sent to a dead address, from where a report comes,
            // than put off until the MTA gives up.
            tracing::warn!(user = run.account.name, why, note = %e, "forwarded all the same");
            gate.hold_nothing();
            Ok(FirstCopy::None)
        }
        put => put.map(FirstCopy::Placed),
    }
}

/// The fields on top of the copy; none where no copy is wanted. One that is asked for says why where some destination
/// gets nothing: for that one it is no copy, it is the message.
pub(super) fn copy_fields(delivery: &Delivery<'_>, copies: Copies, gate: &Gate) -> Option<String> {
    match (copies, gate.why_kept()) {
        (Copies::None, None) => None,
        (Copies::Keep, Some(why)) if gate.holds_back() => Some(why),
        (Copies::Keep, _) => return Some(String::new()),
        (Copies::None, Some(why)) => Some(why),
    }
    .map(|why| headers::kept_fields(&delivery.judgement, &why, &delivery.message))
}

/// Takes back what was put down of a message that could not be sent, and will come again.
pub(super) fn take_copies_back(run: &Run, delivery: &Delivery<'_>, held: Unreturnable, copy: Option<Put<Receipt>>) {
    if let Unreturnable::Held(held) = held {
        held.withdraw();
    }
    if let Some(Put::Done(receipt)) = copy {
        history::note_gone(run, delivery);
        if let Err(left) = run.store.take_back(run, receipt) {
            tracing::warn!(user = run.account.name, cause = %left, "a copy stays, and the message will come again");
        }
    }
}

/// Whether a failure of this forward could ever be reported.
#[derive(Debug)]
pub(super) enum Unreturnable {
    /// It could, or there is a copy anyway.
    No,
    /// It could not: MTAs drop a null-sender message that they cannot deliver, and dma reports without the text. A copy
    /// is held.
    Held(HeldCopy),
    /// It could not, and no copy can be held.
    NotHeld,
}

impl Unreturnable {
    /// Where no copy can be held, one in the mailbox does.
    pub(super) fn copies_or(&self, copies: Copies) -> Copies {
        match self {
            Self::NotHeld => Copies::Keep,
            Self::No | Self::Held(_) => copies,
        }
    }
}

/// Holds a copy of a message that is about to be sent on, and that no report would bring back.
pub(super) fn hold_unreturnable(run: &Run, delivery: &Delivery<'_>, copies: Copies, gate: &Gate) -> Unreturnable {
    let is_unreturnable = || {
        let transport = &run.config.forward.transport;
        forward::goes_with_null_sender(delivery) || SendmailKind::of_transport(transport).returns_header_alone()
    };
    if copies == Copies::Keep || gate.destinations().is_empty() || gate.why_kept().is_some() || !is_unreturnable() {
        return Unreturnable::No;
    }
    let Some(dir) = run.state_dir() else {
        return Unreturnable::NotHeld;
    };
    let letter = mbox::mailbox_entry(run, delivery, "", "");
    match held::hold_copy(&dir.join(held::FORWARDED_DIR), "", letter) {
        Ok(held) => Unreturnable::Held(held),
        Err(e) => {
            run.log_state_failure(&e, "a copy goes into the mailbox");
            Unreturnable::NotHeld
        }
    }
}

/// Says where the copy of a forwarded message is.
pub(super) fn copy_text(copy: &Result<Outcome, Error>) -> String {
    match copy {
        Ok(Outcome::Appended { mailbox, .. }) => format!("kept a copy in {mailbox}"),
        Ok(Outcome::Diverted { to, .. }) => format!("sent a copy to {to}"),
        Ok(Outcome::Held { at, .. }) => format!("held a copy in {}", at.display()),
        Ok(Outcome::Forwarded { .. } | Outcome::Repeated { .. } | Outcome::Test { .. }) => String::new(),
        // The message is on its way; sending it again would be no better.
        Err(e) => format!("kept no copy: {e}"),
    }
}
