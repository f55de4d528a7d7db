//! How well a destination does: what failed there, and how much that counts. Points are Mailman's: a failure counts
//! once a day for each cause, and all of them count no more when nothing failed for a week. Several hard failures
//! within an hour count at once, where the far side says of each that the address is dead. What nobody can read may be
//! a mailbox that is full, or one that refuses whoever sends, in words that are unknown here: that takes days.
//!
//! A report is only worth what it proves: everybody who knows the user's address can write one that quotes our
//! `X-Loop`.

use crate::config::SuspensionSettings;
use crate::config::destinations::MOST_BURST;
use crate::deliver::forward::rules::arrivals::{Arrivals, Between, Reported};
use crate::deliver::forward::rules::attribution::{ForwardFailure, Proof};
use crate::deliver::forward::rules::counted_failures::CountedFailures;
use crate::deliver::forward::rules::kept_text::{TEXT_BYTES, cut_text, escape_id};
use crate::deliver::forward::rules::suspension_reason::SuspensionReason;
use crate::moment::{HOUR, Moment};
use crate::report::failure::class_of;
use crate::report::sendmail_reply::SendmailReply;
use crate::report::status_code::{Basis, FailureClass};

/// How many recent hard failures are remembered; more than any `storm` asks for.
pub const RECENT: usize = 2 * MOST_BURST;

/// Who says that it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureSource {
    /// Sendmail, when it was handed the message.
    Sendmail,
    /// A report that came later, believed for this reason.
    Report(Proof),
}

/// One message that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Failure {
    /// When that was said.
    pub at: Moment,
    /// What it means for the next message.
    pub class: FailureClass,
    /// How that was found.
    #[serde(default)]
    pub basis: Basis,
    /// Who says so.
    pub source: FailureSource,
    /// Which message it was: its Message-ID, where that is known.
    pub id: Option<String>,
    /// The Message-ID of the report, which tells it from another one about a message that is not known.
    pub report_id: Option<String>,
    /// The enhanced status code.
    pub status: Option<String>,
    /// What was answered.
    pub said: String,
    /// Which host answered.
    pub host: Option<String>,
    /// Who wrote the message, where the report quotes that.
    #[serde(default)]
    pub sender: Option<String>,
    /// How often a message with this Message-ID was sent there, as far as is remembered.
    #[serde(default)]
    pub sends: usize,
}

impl Failure {
    /// As a report tells it; `report_id` is the Message-ID of the report itself.
    pub fn from_report(blame: &ForwardFailure, report_id: Option<&str>, at: Moment) -> Self {
        Self {
            at,
            class: blame.class,
            basis: blame.basis,
            source: FailureSource::Report(blame.proof),
            id: blame.message_id.as_deref().map(escape_id),
            report_id: report_id.map(escape_id),
            status: blame.status.as_deref().map(|text| cut_text(text, ID_BYTES_OF_STATUS)),
            said: cut_text(&blame.said, TEXT_BYTES),
            host: blame.host.as_deref().map(|text| cut_text(text, TEXT_BYTES)),
            sender: blame.sender.as_deref().map(|text| cut_text(text, TEXT_BYTES)),
            sends: blame.sends,
        }
    }

    /// As sendmail says it: with its exit status, and some words.
    pub fn from_reply(reply: &SendmailReply, message_id: Option<&str>, at: Moment) -> Self {
        let status = reply.status().map(|text| cut_text(text, ID_BYTES_OF_STATUS));
        let class = match class_of(status.as_deref(), reply.text()) {
            FailureClass::Neither if reply.is_about_the_address() => FailureClass::Hard,
            // It will never take the message, and does not say why.
            FailureClass::Neither => FailureClass::Soft,
            class @ (FailureClass::Hard | FailureClass::Soft | FailureClass::Message) => class,
        };
        Self {
            at,
            class,
            basis: Basis::Said,
            source: FailureSource::Sendmail,
            id: message_id.map(escape_id),
            report_id: None,
            status,
            said: cut_text(&reply.to_string(), TEXT_BYTES),
            host: None,
            sender: None,
            sends: 1,
        }
    }

    /// What tells this failure from others.
    fn key(&self) -> Option<&String> {
        self.id.as_ref().or(self.report_id.as_ref())
    }

    /// Tells whether it was said only when an MTA gave up trying: then news of the next message will take as long.
    pub fn came_late(&self) -> bool {
        // X.4.x is the network (RFC 3463 section 3.5).
        let is_late = |status: &str| status.starts_with('4') || status.split('.').nth(1) == Some("4");
        self.class == FailureClass::Soft && self.status.as_deref().is_none_or(is_late)
    }
}

/// An enhanced status has at most nine characters (RFC 3463 section 2).
const ID_BYTES_OF_STATUS: usize = 12;

/// A time that is long ago; or in the future, from a clock that was wrong; or none at all.
fn is_old(then: Option<Moment>, now: Moment, settings: &SuspensionSettings) -> bool {
    then.is_none_or(|then| {
        now.since(then) >= settings.forget_after.as_seconds() || then.since(now) > settings.forget_after.as_seconds()
    })
}

/// Whose messages failed in a way that nobody can read. One sender's may all be refused for what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
struct UnreadableSenders {
    /// Who wrote the first of them.
    sender: Option<String>,
    /// Whether somebody else's failed as well.
    is_of_many: bool,
}

impl UnreadableSenders {
    fn add(&mut self, sender: Option<&String>) {
        match (&self.sender, sender) {
            (None, Some(sender)) => self.sender = Some(sender.clone()),
            (Some(first), Some(sender)) => self.is_of_many |= first != sender,
            (_, None) => {}
        }
    }
}

/// A hard failure of the last hour that the far side says is the address.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Recent {
    /// When that was said.
    at: Moment,
    /// What tells it from others.
    key: Option<String>,
}

/// How well a destination does.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct Health {
    /// Points, in halves.
    half_points: u32,
    /// When something failed last that counted, or the destination was opened again; from here on points grow stale.
    touched: Option<Moment>,
    /// When something was said last, whatever it counts.
    heard: Option<Moment>,
    /// The days on which each cause counted last.
    refused_on: Option<i64>,
    hard_on: Option<i64>,
    soft_on: Option<i64>,
    /// Hard failures of the last hour, each about another message.
    recent: Vec<Recent>,
    /// What reports were counted: the same one may come for days, from an MTA that has to keep it or from somebody who
    /// kept it.
    counted: CountedFailures,
    /// Whether anything arrives in between.
    arrivals: Arrivals,
    /// Failures that nobody can read.
    unread: UnreadableSenders,
    /// Since when it fails.
    pub failing_since: Option<Moment>,
    /// The last failure that counted.
    pub last: Option<Failure>,
    /// How many messages the MTA took since then. It says nothing about the far end.
    pub taken: u64,
    /// How many failed because of the address,
    pub hard: u64,
    /// of its state,
    pub soft: u64,
    /// of the message,
    pub message: u64,
    /// and for no reason that could be told.
    pub unclear: u64,
    /// How many reports said that a message is late.
    pub late: u64,
}

/// Whether there were too many failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Judged {
    /// There were not.
    Bearable,
    /// There were, for this reason.
    TooMany(SuspensionReason),
}

impl Health {
    /// Points at this time, in halves.
    pub fn half_points(&self, now: Moment, settings: &SuspensionSettings) -> u32 {
        if self.is_stale(now, settings) {
            0
        } else {
            self.half_points
        }
    }

    /// Tells whether nothing failed for so long that the points do not matter.
    pub fn is_stale(&self, now: Moment, settings: &SuspensionSettings) -> bool {
        is_old(self.touched, now, settings)
    }

    /// Tells whether nothing was heard for so long that all of it may be forgotten.
    pub fn is_forgettable(&self, now: Moment, settings: &SuspensionSettings) -> bool {
        self.is_stale(now, settings) && is_old(self.heard, now, settings)
    }

    /// Counts one failure. What says something about the message alone, or nothing, is counted and changes nothing.
    pub fn count_failure(&mut self, failure: &Failure, settings: &SuspensionSettings) -> Judged {
        let now = failure.at;
        self.forget_stale(now, settings);
        if self.is_counted(failure) {
            return Judged::Bearable;
        }
        let is_again = self.is_again(failure);
        let between = if is_again {
            Between::Nothing
        } else {
            self.count(failure)
        };
        let Some(worth) = self.worth(failure, &between) else {
            return Judged::Bearable;
        };
        self.touched = Some(now);
        self.failing_since = self.failing_since.or(Some(now));
        self.last = Some(failure.clone());
        self.add_points(failure, worth);
        if worth == 2 && failure.basis == Basis::Said && !is_again {
            self.remember(failure);
        }
        let enough = settings.threshold.saturating_mul(2);
        // Points never grow beyond what they are compared with, so that each reason to wait ends in finite time.
        self.half_points = self.half_points.min(enough);
        let burst = usize::try_from(settings.burst.max(1)).unwrap_or(usize::MAX);
        let is_storm = self.recent.len() >= burst;
        if is_storm {
            Judged::TooMany(SuspensionReason::Burst)
        } else if self.half_points >= enough {
            Judged::TooMany(SuspensionReason::Points)
        } else {
            Judged::Bearable
        }
    }

    /// Lets go of what is too old to count beside a failure that happens now.
    fn forget_stale(&mut self, now: Moment, settings: &SuspensionSettings) {
        if self.is_forgettable(now, settings) {
            *self = Self::default();
        } else if self.is_stale(now, settings) {
            self.half_points = 0;
            self.failing_since = None;
        }
        self.heard = Some(now);
        self.recent
            .retain(|recent| now.since(recent.at) < HOUR && recent.at.since(now) < HOUR);
    }

    /// Counts a failure by its class; returns what arrived since the one before.
    fn count(&mut self, failure: &Failure) -> Between {
        let counter = match failure.class {
            FailureClass::Hard => &mut self.hard,
            FailureClass::Soft => &mut self.soft,
            FailureClass::Message => &mut self.message,
            FailureClass::Neither => &mut self.unclear,
        };
        *counter = counter.saturating_add(1);
        let reported = if failure.came_late() {
            Reported::GivenUp
        } else {
            Reported::AtOnce
        };
        let between = self.arrivals.count_failure(failure.at, reported);
        if between == Between::Arrived {
            self.unread = UnreadableSenders::default();
        }
        between
    }

    /// How many half points a failure is worth; none where the destination is not to blame, or lives.
    fn worth(&mut self, failure: &Failure, between: &Between) -> Option<u32> {
        let has_arrived = *between == Between::Arrived;
        match (failure.class, failure.source) {
            (FailureClass::Message, _) => None,
            (FailureClass::Neither, _) => {
                self.unread.add(failure.sender.as_ref());
                (!has_arrived && self.unread.is_of_many).then_some(1)
            }
            // While messages arrive, it is no dead address whose refusals nobody can read.
            (FailureClass::Hard, _) if has_arrived && failure.basis != Basis::Said => None,
            (FailureClass::Hard, FailureSource::Sendmail | FailureSource::Report(Proof::MessageId | Proof::Token)) => {
                Some(2)
            }
            // The second of them anybody could write.
            (FailureClass::Soft, _) | (FailureClass::Hard, FailureSource::Report(Proof::LoopMark)) if has_arrived => {
                None
            }
            (FailureClass::Soft, _) | (FailureClass::Hard, FailureSource::Report(Proof::LoopMark)) => Some(1),
        }
    }

    /// Adds what a failure is worth, once a day for each cause.
    fn add_points(&mut self, failure: &Failure, worth: u32) {
        let today = failure.at.day();
        let counted_on = match (failure.source, failure.class) {
            (FailureSource::Sendmail, _) => &mut self.refused_on,
            (FailureSource::Report(_), FailureClass::Hard) => &mut self.hard_on,
            (FailureSource::Report(_), FailureClass::Soft | FailureClass::Message | FailureClass::Neither) => {
                &mut self.soft_on
            }
        };
        if *counted_on != Some(today) {
            *counted_on = Some(today);
            self.half_points = self.half_points.saturating_add(worth);
        }
    }

    /// Counts a report that a message is late. Nothing failed yet.
    pub fn count_delay(&mut self, now: Moment) {
        self.heard = Some(now);
        self.late = self.late.saturating_add(1);
    }

    /// Counts a message that the MTA took.
    pub fn count_taken(&mut self, now: Moment) {
        self.arrivals.count_taken(now);
        self.taken = self.taken.saturating_add(1);
    }

    /// Begins anew on parole: the next failure for which the address is to blame is one too many, until that grows
    /// stale.
    pub fn begin_parole(&mut self, now: Moment, settings: &SuspensionSettings) {
        *self = Self {
            half_points: settings.threshold.saturating_mul(2).saturating_sub(2),
            touched: Some(now),
            heard: Some(now),
            ..self.begin_anew()
        };
    }

    /// Nothing failed yet; but a report of before says nothing about what comes now.
    pub fn begin_anew(&self) -> Self {
        Self {
            counted: self.counted.clone(),
            ..Self::default()
        }
    }

    /// Tells whether as many reports about this message were counted as it was sent. What sendmail says happens now.
    fn is_counted(&mut self, failure: &Failure) -> bool {
        match (failure.source, failure.key()) {
            (FailureSource::Report(_), Some(key)) => self.counted.is_over(key, failure.class, failure.sends),
            (FailureSource::Report(_) | FailureSource::Sendmail, _) => false,
        }
    }

    fn is_again(&self, failure: &Failure) -> bool {
        let is_it = |key: Option<&String>| key.is_some() && key == failure.key();
        self.recent.iter().any(|recent| is_it(recent.key.as_ref()))
            || self
                .last
                .as_ref()
                .is_some_and(|last| is_it(last.key()) && last.class == failure.class)
    }

    fn remember(&mut self, failure: &Failure) {
        if self.recent.len() >= RECENT {
            self.recent.remove(0);
        }
        self.recent.push(Recent {
            at: failure.at,
            key: failure.key().cloned(),
        });
    }
}
