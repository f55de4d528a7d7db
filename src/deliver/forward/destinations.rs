//! Remembers which destinations work, and asks that memory before each forward. The decisions are made in `rules/`; the
//! memory is the file `routes.json` in the state directory.
//!
//! No trouble with that file stops a delivery. What cannot be read counts as nothing remembered, and mail is forwarded
//! as if nothing had ever failed. That neither loses a message nor makes a loop, whereas keeping mail would hide the
//! mail of all who have no trouble. A suspension that can be read and not changed holds.

use time::OffsetDateTime;

use crate::config::Config;
use crate::deliver::context::{Delivery, Run, state_place};
use crate::deliver::forward::rules::attribution::{ForwardFailure, is_timely};
use crate::deliver::forward::rules::{DestinationEvent, Destinations, HeldBackKind, PendingNotice, To};
use crate::deliver::forward::{attribution, notices};
use crate::error::Error;
use crate::message::address::OwnAddresses;
use crate::moment::Moment;
use crate::report::returned_message::LostMessage;
use crate::sys::account::Account;
use crate::sys::json_state;
use crate::sys::state_file::Store;

const FILE: &str = "routes.json";

/// The time of `date`, as decisions count it.
pub fn to_moment(date: OffsetDateTime) -> Moment {
    Moment::from_seconds(date.unix_timestamp())
}

/// Where the memory is; none where it is switched off, or there is no place for it.
pub fn open_store(run: &Run) -> Option<Store> {
    if !run.config.destinations.suspend {
        return None;
    }
    let Some(dir) = run.state_dir() else {
        tracing::debug!(
            user = run.account.name,
            note = "no state directory to remember destinations in"
        );
        return None;
    };
    Some(Store::new(&dir, FILE))
}

/// What is remembered, as it is now.
pub fn read_destinations(store: &Store) -> Result<Destinations, Error> {
    json_state::read_state(store)
}

/// The addresses that get no mail of a user's now, and since when; none where nothing is remembered, or what is cannot
/// be read.
pub fn find_suspended(config: &Config, account: &Account) -> Vec<(String, Moment)> {
    let Some(dir) = state_place(config, account).filter(|_| config.destinations.suspend) else {
        return Vec::new();
    };
    let mut known = read_destinations(&Store::new(&dir, FILE)).unwrap_or_default();
    known.pass_time(to_moment(OffsetDateTime::now_utc()), &config.destinations);
    let suspended = known.routes.into_iter().filter_map(|route| {
        let since = route.suspended.as_ref()?.since;
        Some((route.destination, since))
    });
    suspended.collect()
}

/// Changes what is remembered. Trouble is logged, and otherwise nothing happened.
pub fn try_change<R>(run: &Run, store: &Store, action: impl FnOnce(&mut Destinations) -> R) -> Option<R> {
    match json_state::change_state(store, &run.account.name, &run.deadline, action) {
        Ok(result) => Some(result),
        Err(e) => {
            run.log_state_failure(&e, "nothing is remembered of what became of this message");
            None
        }
    }
}

/// Notices that this run has taken to write, once its message is safe.
#[derive(Debug, Default)]
#[must_use]
pub struct DueNotices(pub Vec<PendingNotice>);

impl DueNotices {
    /// Writes them.
    pub fn write(self, run: &Run, delivery: &Delivery<'_>) {
        write_notices(run, &delivery.envelope.own, delivery.date, self.0);
    }
}

/// Tells those of `whom` that mail for a destination is held back. A notice that cannot be written now is due again
/// later; where nothing can be remembered, it is tried once.
pub fn tell_of_loop(run: &Run, delivery: &Delivery<'_>, destination: &str, kind: HeldBackKind, whom: &[To]) {
    let (now, own) = (to_moment(delivery.date), delivery.own_address());
    let one = |to: &To| PendingNotice::of_loop(destination, &own, kind, *to, now);
    let all: Vec<PendingNotice> = whom.iter().map(one).collect();
    let noted = open_store(run).and_then(|store| {
        try_change(run, &store, |routes| {
            routes.note_due(&all).then(|| routes.take_due(now))
        })
    });
    let notices = noted.flatten().unwrap_or(all);
    write_notices(run, &delivery.envelope.own, delivery.date, notices);
}

/// Writes notices that were taken, and notes which of them are written.
pub fn write_notices(run: &Run, own: &OwnAddresses, date: OffsetDateTime, notices: Vec<PendingNotice>) {
    if notices.is_empty() {
        return;
    }
    let mut written = Vec::new();
    let mut failed = Vec::new();
    for notice in &notices {
        if notice.tries == 0 && notice.to == To::User {
            log(run, notice);
        }
        match notices::write_notice(run, own, notice, date) {
            Ok(()) => written.push(notice.number),
            Err(e) => {
                let to = notices::notice_receiver(run, notice.to);
                tracing::warn!(user = run.account.name, to, note = %e, "a notice is not written yet");
                failed.push(notice.number);
            }
        }
    }
    let Some(store) = open_store(run) else {
        return;
    };
    let given_up = try_change(run, &store, |routes| {
        written.iter().for_each(|number| routes.note_written(*number));
        let now = to_moment(date);
        failed
            .iter()
            .filter_map(|number| routes.not_written(*number, now))
            .collect::<Vec<_>>()
    });
    for notice in given_up.into_iter().flatten() {
        let to = notices::notice_receiver(run, notice.to);
        let destination = notice.destination;
        tracing::error!(
            user = run.account.name,
            to,
            destination,
            "a notice could not be written for two weeks, and is given up"
        );
    }
}

fn log(run: &Run, notice: &PendingNotice) {
    let action = match notice.event {
        DestinationEvent::Suspended | DestinationEvent::SuspendedByHand => "suspend",
        DestinationEvent::Reopened | DestinationEvent::ReopenedByHand => "resume",
        // It was logged with its message.
        DestinationEvent::HeldBack(_) => return,
    };
    let said = notice.last.as_ref().map(|last| last.said.as_str());
    let (user, to, kept) = (&run.account.name, &notice.destination, notice.kept);
    tracing::warn!(action, user, to, said, kept);
}

/// Does what time has made due, although no message came, and writes what is owed.
pub fn write_due(run: &Run, own: &OwnAddresses, date: OffsetDateTime) -> Result<(), Error> {
    let Some(store) = open_store(run) else {
        return Ok(());
    };
    // Nearly nobody has anything, and what cannot be understood is set aside by that change.
    if matches!(read_destinations(&store), Ok(routes) if routes == Destinations::default()) {
        return Ok(());
    }
    let (now, settings) = (to_moment(date), &run.config.destinations);
    let notices = json_state::change_state(&store, &run.account.name, &run.deadline, |routes: &mut Destinations| {
        routes.pass_time(now, settings);
        routes.take_due(now)
    })?;
    write_notices(run, own, date, notices);
    Ok(())
}

/// The destinations that a message reports about, among those of this run and those that are remembered; none where it
/// is no report.
pub fn find_failures(run: &Run, delivery: &Delivery<'_>) -> Vec<ForwardFailure> {
    if delivery.judgement.verdict.bounce().is_none() {
        return Vec::new();
    }
    let routes = open_store(run)
        .and_then(|store| read_destinations(&store).ok())
        .unwrap_or_default();
    let known: Vec<_> = routes.routes.into_iter().map(|route| route.destination).collect();
    attribution::find_forward_failures(run, delivery, &known)
}

/// Learns from what a report says about forwards of ours.
pub fn note_failures(run: &Run, delivery: &Delivery<'_>, blames: &[ForwardFailure]) -> DueNotices {
    let Some(store) = open_store(run).filter(|_| !blames.is_empty()) else {
        return DueNotices::default();
    };
    let (now, settings) = (to_moment(delivery.date), &run.config.destinations);
    let dated = delivery.message.first("Date");
    let timely: Vec<_> = blames
        .iter()
        .filter(|blame| is_timely(blame.proof, dated.as_deref(), now))
        .collect();
    if timely.is_empty() {
        return DueNotices::default();
    }
    let (id, own) = (delivery.message.first("Message-ID"), delivery.own_address());
    let told = try_change(run, &store, |routes| {
        for blame in timely {
            routes.take_report(blame, id.as_deref(), &own, now, settings);
        }
        routes.take_due(now)
    });
    DueNotices(told.unwrap_or_default())
}

/// Lists a message of which only the header came back, and of which there is no copy here.
pub fn note_lost(run: &Run, delivery: &Delivery<'_>, lost: &LostMessage) {
    if let Some(store) = open_store(run) {
        let now = to_moment(delivery.date);
        let _ = try_change(run, &store, |routes| routes.note_lost(lost, now));
    }
}
