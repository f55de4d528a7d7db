//! All destinations of one user that are worth remembering, and the messages that came back as nothing but a header.
//! Bounded: what works is forgotten, and of what does not work only so much is kept.

use crate::config::SuspensionSettings;
use crate::deliver::forward::rules::attribution::{ForwardFailure, is_same_address};
use crate::deliver::forward::rules::health::{Failure, Health, Judged};
use crate::deliver::forward::rules::kept_text::{TEXT_BYTES, cut_text};
use crate::deliver::forward::rules::pending_notices::{DestinationEvent, PendingNotice, PendingNotices, To};
use crate::deliver::forward::rules::suspension::{Fit, Suspension, Tick, Turn, Waits};
use crate::moment::Moment;
use crate::report::dsn::ReportKind;
use crate::report::returned_message::LostMessage;

/// How many destinations are remembered. A user forwards to a handful.
pub const MOST_DESTINATIONS: usize = 100;

/// How many messages that were lost from view are listed; the oldest goes.
pub const MOST_LOST: usize = 100;

/// A longer address is none (RFC 5321 section 4.5.3.1), and is not remembered.
const ADDRESS_BYTES: usize = 320;

/// One destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct Destination {
    /// The address.
    pub destination: String,
    /// The user's own address, as mail for it came last.
    pub own: String,
    /// How well it does.
    pub health: Health,
    /// Whether it is suspended.
    pub suspended: Option<Suspension>,
    /// How long the first probe of the next suspension waits, in seconds: a destination that was opened and failed
    /// again at once is not tried every hour.
    pub next_interval: u64,
    /// Who has to be told.
    pub owed: PendingNotices,
}

/// A message that the user does not see in the mailbox, and when its header came back.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct OutOfView {
    /// When.
    pub at: Moment,
    /// Which.
    #[serde(flatten)]
    pub lost: LostMessage,
}

/// Everything that is remembered for one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct Destinations {
    /// The destinations.
    pub routes: Vec<Destination>,
    /// The messages that were lost from view.
    pub lost: Vec<OutOfView>,
    /// How many more there were, which are listed no longer.
    pub lost_before: u64,
    /// The number of the next notice.
    next_number: u64,
}

/// Whether a message may go to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pass {
    /// It may.
    Open,
    /// It may, to see what becomes of it; a copy is kept.
    Probe {
        /// Since when the destination is suspended.
        since: Moment,
    },
    /// It is kept instead.
    Keep {
        /// Since when the destination is suspended.
        since: Moment,
    },
}

/// How a destination stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestinationState {
    /// Mail is sent there.
    Open,
    /// None is.
    Suspended,
}

impl Destinations {
    /// What is remembered of `destination`.
    pub fn find(&self, destination: &str) -> Option<&Destination> {
        self.routes.iter().find(|route| is(route, destination))
    }

    fn find_mut(&mut self, destination: &str) -> Option<&mut Destination> {
        self.routes.iter_mut().find(|route| is(route, destination))
    }

    /// The same, begun where there is nothing yet. None where there are too many.
    fn find_or_begin(&mut self, destination: &str, own: &str) -> Option<&mut Destination> {
        let at = match self.routes.iter().position(|route| is(route, destination)) {
            Some(at) => at,
            None if destination.len() > ADDRESS_BYTES => return None,
            None => {
                if self.routes.len() >= MOST_DESTINATIONS {
                    // One that works makes room, unless it is suspended or somebody has to be told of it.
                    let works = |route: &Destination| route.suspended.is_none() && route.owed.is_empty();
                    let at = self.routes.iter().position(works)?;
                    self.routes.remove(at);
                }
                self.routes.push(Destination {
                    destination: destination.to_owned(),
                    ..Destination::default()
                });
                self.routes.len() - 1
            }
        };
        let route = self.routes.get_mut(at)?;
        if !own.is_empty() {
            route.own = cut_text(own, ADDRESS_BYTES);
        }
        Some(route)
    }

    /// Does what time has made due at every destination, and forgets those that work.
    pub fn pass_time(&mut self, now: Moment, settings: &SuspensionSettings) {
        let mut number = self.next_number;
        for route in &mut self.routes {
            if let Some(suspension) = &mut route.suspended
                && suspension.advance_time(now, settings) == Tick::IsOver
            {
                route.reopen(DestinationEvent::Reopened, now, settings, &mut number);
            }
        }
        self.next_number = number;
        self.routes.retain(|route| {
            route.suspended.is_some() || !route.owed.is_empty() || !route.health.is_forgettable(now, settings)
        });
    }

    /// Says whether a message may go to `destination` now. A probe is taken by whoever asks first.
    pub fn ask_pass(
        &mut self,
        destination: &str,
        message_id: Option<&str>,
        fit: Fit,
        now: Moment,
        settings: &SuspensionSettings,
    ) -> Pass {
        self.pass_time(now, settings);
        let Some(suspension) = self.find_mut(destination).and_then(|route| route.suspended.as_mut()) else {
            return Pass::Open;
        };
        let since = suspension.since;
        match suspension.take_turn(now, message_id, fit) {
            Turn::Probe => Pass::Probe { since },
            Turn::Keep => Pass::Keep { since },
        }
    }

    /// A message was kept because `destination` is suspended.
    pub fn count_kept(&mut self, destination: &str) {
        if let Some(suspension) = self.find_mut(destination).and_then(|route| route.suspended.as_mut()) {
            suspension.kept = suspension.kept.saturating_add(1);
        }
    }

    /// The MTA took a message for `destination`; `is_probe` where that was the probe.
    pub fn count_taken(&mut self, destination: &str, pass: Pass, now: Moment, settings: &SuspensionSettings) {
        let Some(route) = self.find_mut(destination) else {
            return;
        };
        route.health.count_taken(now);
        let slow = route.health.last.as_ref().is_some_and(Failure::came_late);
        if let (Pass::Probe { .. }, Some(suspension)) = (pass, &mut route.suspended) {
            suspension.kept = suspension.kept.saturating_add(1);
            suspension.probe_sent(now, slow, settings);
        }
    }

    /// The MTA could not take a message now, which was to be a probe.
    pub fn probe_stayed(&mut self, destination: &str, now: Moment) {
        if let Some(suspension) = self.find_mut(destination).and_then(|route| route.suspended.as_mut()) {
            suspension.probe_stayed(now);
        }
    }

    /// Sendmail will never take a message for `destination`.
    pub fn count_refusal(&mut self, destination: &str, own: &str, failure: &Failure, settings: &SuspensionSettings) {
        self.fail(destination, own, failure, settings);
    }

    /// A report says something about `destination`; `report_id` is the report's own Message-ID.
    pub fn take_report(
        &mut self,
        blame: &ForwardFailure,
        report_id: Option<&str>,
        own: &str,
        now: Moment,
        settings: &SuspensionSettings,
    ) {
        match blame.kind {
            ReportKind::Failure => {
                let failure = Failure::from_report(blame, report_id, now);
                self.fail(&blame.destination, own, &failure, settings);
            }
            ReportKind::Delay => {
                if let Some(route) = self.find_or_begin(&blame.destination, own) {
                    route.health.count_delay(now);
                    if let Some(suspension) = &mut route.suspended {
                        suspension.note_delay(blame.message_id.as_deref(), now);
                    }
                }
            }
            // Also said of what only went on to another host, so it proves nothing.
            ReportKind::Success => {}
        }
    }

    fn fail(&mut self, destination: &str, own: &str, failure: &Failure, settings: &SuspensionSettings) {
        // What time had made due before this failure was said comes first.
        self.pass_time(failure.at, settings);
        let mut number = self.next_number;
        if let Some(route) = self.find_or_begin(destination, own) {
            let judged = route.health.count_failure(failure, settings);
            match (&mut route.suspended, judged) {
                (Some(suspension), _) => suspension.note_failure(failure, settings),
                (None, Judged::Bearable) => {}
                (None, Judged::TooMany(reason)) => {
                    let suspension = Suspension::by_guard(failure.at, route.next_interval, reason, settings);
                    route.suspended = Some(suspension);
                    route.tell(DestinationEvent::Suspended, failure.at, &mut number);
                }
            }
        }
        self.next_number = number;
    }

    /// Suspends `destination` until somebody ends it. Says how it stood before; none where no more can be remembered.
    pub fn suspend(
        &mut self,
        destination: &str,
        own: &str,
        now: Moment,
        settings: &SuspensionSettings,
    ) -> Option<DestinationState> {
        let mut number = self.next_number;
        let route = self.find_or_begin(destination, own)?;
        let before = match &mut route.suspended {
            Some(suspension) => {
                suspension.waits = Waits::ForHand;
                DestinationState::Suspended
            }
            None => {
                route.suspended = Some(Suspension::by_hand(now, settings));
                route.tell(DestinationEvent::SuspendedByHand, now, &mut number);
                DestinationState::Open
            }
        };
        self.next_number = number;
        Some(before)
    }

    /// Ends the suspension of `destination`, and forgets what failed there. Says how it stood before.
    pub fn resume(&mut self, destination: &str, now: Moment, settings: &SuspensionSettings) -> DestinationState {
        let mut number = self.next_number;
        let Some(route) = self.find_mut(destination).filter(|route| route.suspended.is_some()) else {
            return DestinationState::Open;
        };
        route.reopen(DestinationEvent::ReopenedByHand, now, settings, &mut number);
        self.next_number = number;
        DestinationState::Suspended
    }

    /// A message came back as nothing but its header.
    pub fn note_lost(&mut self, lost: &LostMessage, now: Moment) {
        let short = |text: &Option<String>| text.as_deref().map(|text| cut_text(text, TEXT_BYTES));
        let lost = LostMessage {
            message_id: short(&lost.message_id),
            from: short(&lost.from),
            date: short(&lost.date),
            destination: short(&lost.destination),
        };
        // The report of it comes again when the MTA had to keep that.
        if lost.message_id.is_some() && self.lost.iter().any(|known| known.lost == lost) {
            return;
        }
        if self.lost.len() >= MOST_LOST {
            self.lost.remove(0);
            self.lost_before = self.lost_before.saturating_add(1);
        }
        self.lost.push(OutOfView { at: now, lost });
    }

    /// Notes what is owed, with a number for each; tells whether all of it could be noted.
    pub fn note_due(&mut self, notices: &[PendingNotice]) -> bool {
        notices.iter().all(|notice| {
            let number = self.next_number;
            self.next_number = number.wrapping_add(1);
            let route = self.find_or_begin(&notice.destination, &notice.own);
            let owed = notice.clone();
            route
                .map(|route| route.owed.add(PendingNotice { number, ..owed }))
                .is_some()
        })
    }

    /// Takes the notices that are due, for the caller to write them.
    pub fn take_due(&mut self, now: Moment) -> Vec<PendingNotice> {
        self.routes
            .iter_mut()
            .flat_map(|route| route.owed.take_due(now))
            .collect()
    }

    /// Tells whether somebody has to be told something now.
    pub fn is_notice_due(&self, now: Moment) -> bool {
        self.routes.iter().any(|route| route.owed.is_due(now))
    }

    /// A notice was written.
    pub fn note_written(&mut self, number: u64) {
        for route in &mut self.routes {
            route.owed.note_written(number);
        }
    }

    /// A notice could not be written. One that is given up is handed back.
    pub fn not_written(&mut self, number: u64, now: Moment) -> Option<PendingNotice> {
        self.routes
            .iter_mut()
            .find_map(|route| route.owed.note_unwritten(number, now))
    }
}

fn is(route: &Destination, destination: &str) -> bool {
    // What is no address is compared as it stands: sendmail refused it, and will again.
    route.destination == destination || is_same_address(&route.destination, destination)
}

impl Destination {
    fn reopen(&mut self, event: DestinationEvent, now: Moment, settings: &SuspensionSettings, number: &mut u64) {
        self.tell(event, now, number);
        let Some(suspension) = self.suspended.take() else {
            return;
        };
        match event {
            DestinationEvent::ReopenedByHand => {
                self.health = self.health.begin_anew();
                self.next_interval = 0;
            }
            DestinationEvent::Reopened
            | DestinationEvent::Suspended
            | DestinationEvent::SuspendedByHand
            | DestinationEvent::HeldBack(_) => {
                self.health.begin_parole(now, settings);
                self.next_interval = suspension.interval.saturating_mul(2);
            }
        }
    }

    /// Notes that user and administrator have to be told. What was done by hand is told to the user alone.
    fn tell(&mut self, event: DestinationEvent, now: Moment, number: &mut u64) {
        let Some(suspension) = &self.suspended else {
            return;
        };
        let by_hand = matches!(suspension.waits, Waits::ForHand);
        for to in [To::User, To::Admin] {
            if to == To::Admin && by_hand {
                continue;
            }
            let notice = PendingNotice {
                number: *number,
                to,
                event,
                at: now,
                destination: self.destination.clone(),
                own: self.own.clone(),
                since: suspension.since,
                failing_since: self.health.failing_since,
                last: self.health.last.clone(),
                kept: suspension.kept,
                probe: match &suspension.waits {
                    Waits::ForHand => None,
                    Waits::ForProbe(from) => Some(*from),
                    Waits::ForNews(probe) => Some(probe.at),
                },
                due: now,
                tries: 0,
            };
            *number = number.wrapping_add(1);
            // A destination that owes so many was told of often enough.
            let _ = self.owed.add(notice);
        }
    }
}
