//! Diverts a message to the administrator. A failure says whether it may pass, or somebody has to fix something first.

pub mod digest;
pub(crate) mod held;
pub mod rules;
pub(crate) mod throttle;

use std::path::Path;

use crate::deliver::context::{Delivery, Outcome, Run, is_the_user};
use crate::deliver::{access, forward, headers, overflow};
use crate::sys::account;

use crate::classify::policy::Why;
use crate::config::Over;
use crate::deliver::divert::held::HeldCopy;
use crate::deliver::divert::rules::storm::{HeldBackReason, Step};
use crate::deliver::divert::throttle::Throttle;
use crate::deliver::store::mbox;
use crate::error::{Category, Error, Retry};
use crate::submit;

/// Why a message is not with the administrator.
#[derive(Debug)]
pub enum NotDiverted {
    /// The administrator has had enough: it belongs into the user's mailbox, and where that is full, `over` says what
    /// becomes of it.
    Keep {
        /// Why, in words.
        cause: String,
        /// What is done where the mailbox has no room.
        over: Over,
    },
    /// It is never taken until somebody mends something.
    NeedsFix(Error),
    /// It may be taken at the next try.
    Later(Error),
}

impl From<Error> for NotDiverted {
    fn from(error: Error) -> Self {
        match error.retry_outlook() {
            Retry::NeedsMending => Self::NeedsFix(error),
            Retry::MayPass => Self::Later(error),
        }
    }
}

/// Diverts the message to an address or into an mbox, as `admin` says; or puts it aside, where the administrator had
/// enough.
pub fn divert_message(run: &Run, delivery: &Delivery<'_>, why: Why) -> Result<Outcome, NotDiverted> {
    let admin = run.config.admin.as_str();
    if is_the_user(run, &delivery.envelope.own, admin) {
        let cause = "the administrator is the user";
        let error = Error::new(Category::Configuration, "divert to", admin, cause);
        return Err(NotDiverted::NeedsFix(error.needs_mending()));
    }
    match Throttle::open(run, delivery) {
        (throttle, Step::Send) => send(run, delivery, why, &throttle),
        (throttle, step @ (Step::Hold(_) | Step::Keep(_))) => put_aside(run, delivery, why, &throttle, step),
    }
}

/// Sends it to the administrator. An mbox may turn out to be full only now.
fn send(run: &Run, delivery: &Delivery<'_>, why: Why, throttle: &Throttle<'_>) -> Result<Outcome, NotDiverted> {
    let admin = run.config.admin.as_str();
    let sent = if admin.starts_with('/') {
        to_path(run, delivery, why, Path::new(admin))
    } else {
        to_address(run, delivery, why, admin).map(Some)
    };
    match sent {
        Ok(Some(outcome)) => {
            throttle.note_arrival();
            Ok(outcome)
        }
        Ok(None) => {
            tracing::warn!(
                user = run.account.name,
                to = admin,
                "the administrator's mbox is full: empty it, or raise [digest] admin_limit"
            );
            put_aside(run, delivery, why, throttle, throttle.admin_is_full())
        }
        Err(e) => {
            throttle.take_back();
            Err(e.into())
        }
    }
}

fn put_aside(
    run: &Run,
    delivery: &Delivery<'_>,
    why: Why,
    throttle: &Throttle<'_>,
    step: Step,
) -> Result<Outcome, NotDiverted> {
    let reason = match step {
        Step::Send => return send(run, delivery, why, throttle),
        Step::Keep(reason) => return keep(run, delivery, why, reason),
        Step::Hold(reason) => reason,
    };
    match throttle.hold(delivery, &fields(delivery, why), reason) {
        Ok(held) => Ok(Outcome::Held {
            at: held.path,
            note: throttle::reason_text(reason),
        }),
        Err(e) if reason == HeldBackReason::Full => {
            tracing::warn!(user = run.account.name, note = %e, "kept, because it cannot be held");
            throttle.keep_after_all();
            keep(run, delivery, why, reason)
        }
        Err(e) => {
            tracing::warn!(user = run.account.name, note = %e, "sent all the same, because it cannot be held");
            throttle.send_after_all();
            send(run, delivery, why, throttle)
        }
    }
}

/// Keeps a message that may be the only copy, where nothing pushes it out: in the user's mailbox; where that is full
/// and its mail would go to the administrator, in the overflow.
fn keep(run: &Run, delivery: &Delivery<'_>, why: Why, reason: HeldBackReason) -> Result<Outcome, NotDiverted> {
    if why == Why::OverQuota {
        return Ok(overflow::put_in_overflow(run, delivery, "")?);
    }
    let over = match run.config.quota.when_full {
        Over::Divert => Over::Overflow,
        over @ (Over::Defer | Over::Refuse | Over::Overflow | Over::Archive) => over,
    };
    let cause = throttle::reason_text(reason);
    let error = Error::new(Category::System, "divert to", &run.config.admin, cause);
    Err(NotDiverted::Keep {
        cause: error.to_string(),
        over,
    })
}

fn fields(delivery: &Delivery<'_>, why: Why) -> String {
    let own = delivery.own_address();
    let recipient = delivery.envelope.recipient.as_deref().unwrap_or(&own);
    let host = account::host_name();
    headers::divert_fields(
        &delivery.judgement,
        &why.to_string(),
        &delivery.envelope.own.loop_mark(),
        recipient,
        &host,
        delivery.message.line_end(),
    ) + &headers::separator_field(&delivery.message)
}

/// Appends it to the administrator's mbox; none where that is full.
fn to_path(run: &Run, delivery: &Delivery<'_>, why: Why, path: &Path) -> Result<Option<Outcome>, Error> {
    let limit_bytes = run.config.digest.admin_limit.bound();
    let is_there = mbox::append_within(run, delivery, path, &fields(delivery, why), limit_bytes)?;
    Ok(is_there.then(|| Outcome::Diverted {
        to: path.display().to_string(),
        held: None,
    }))
}

/// Sends it with the null sender, so that it can never bounce back. An MTA drops such a message when it cannot deliver
/// it, and nobody is told: so a copy is held first.
fn to_address(run: &Run, delivery: &Delivery<'_>, why: Why, admin: &str) -> Result<Outcome, Error> {
    let fields = fields(delivery, why);
    let held = match hold_copy(run, delivery, &fields, admin) {
        Ok(held) => Some(held),
        // Such a run has no user: it belongs to an account without a home and a mailbox (aliases(5)), so that nothing
        // could be held ever.
        Err(e) if why == Why::NotReturned => {
            tracing::warn!(to = admin, note = %e, "sent without a held copy");
            None
        }
        Err(e) => return Err(e),
    };
    let recipients = [admin.to_owned()];
    let letter = forward::outgoing_letter(delivery, "", &recipients, &fields);
    if let Err(e) = submit::submit_own(&run.config.forward.transport, "divert to", letter, &run.deadline) {
        held.into_iter().for_each(HeldCopy::withdraw);
        return Err(e);
    }
    Ok(Outcome::Diverted {
        to: admin.to_owned(),
        held: held.map(|held| held.path),
    })
}

/// Holds a copy of what is about to be sent to `admin`.
fn hold_copy(run: &Run, delivery: &Delivery<'_>, fields: &str, admin: &str) -> Result<HeldCopy, Error> {
    let Some(dir) = run.state_dir() else {
        let cause = "there is no state directory to hold a copy in";
        return Err(Error::new(Category::System, "divert to", admin, cause).needs_mending());
    };
    let sender = access::separator_sender(&delivery.envelope.sender, &run.account);
    let letter = mbox::mailbox_entry(run, delivery, &sender, fields);
    let held = held::hold_copy(&dir.join("held"), "", letter)?;
    if held.pushed_out > 0 {
        tracing::warn!(
            user = run.account.name,
            dropped = held.pushed_out,
            "older held copies were removed"
        );
    }
    Ok(held)
}
