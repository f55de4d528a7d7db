//! What happens while a destination is suspended: when one message may go out as a probe, and when silence about it is
//! good news. A suspension by the guard always tries again in finite time, even where a clock was wrong; one by hand
//! waits for a hand.

use crate::config::SuspensionSettings;
use crate::deliver::forward::rules::health::Failure;
use crate::deliver::forward::rules::kept_text::escape_id;
use crate::deliver::forward::rules::suspension_reason::SuspensionReason;
use crate::moment::{DAY, Moment};
use crate::report::status_code::FailureClass;

/// A run that took a message for a probe and says nothing of it for so long has died; no run lives longer than four
/// minutes. In seconds.
const CLAIM: u64 = 10 * 60;

/// A report that the probe is late keeps it open for this much longer: MTAs that send such reports send them some hours
/// apart, or only one. In seconds.
const EXTENSION: u64 = DAY;

/// An MTA that has not given up a message by now never will. In seconds.
const LONGEST: u64 = 7 * DAY;

/// A destination to which nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Suspension {
    /// Since when.
    pub since: Moment,
    /// How many messages were kept instead.
    pub kept: u64,
    /// How long the next probe waits behind a failed one, in seconds.
    pub interval: u64,
    /// What it waits for.
    pub waits: Waits,
    /// Why the guard began it; none where a hand did.
    #[serde(default)]
    pub reason: Option<SuspensionReason>,
}

/// What a suspended destination waits for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waits {
    /// For somebody who ends what somebody began.
    ForHand,
    /// For the first message from then on.
    ForProbe(Moment),
    /// For what is reported about the message that was let through.
    ForNews(Probe),
}

/// A message that was let through to see what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Probe {
    /// When.
    pub at: Moment,
    /// Its Message-ID.
    pub id: Option<String>,
    /// How far it is.
    pub stage: ProbeStage,
}

/// How far a probe is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeStage {
    /// Some run is about to send it.
    Claimed,
    /// The MTA has it. Silence until then means that it arrived.
    Sent(Moment),
}

/// Whether a message may be a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// What becomes of it will be reported to the user.
    ForProbe,
    /// Nothing is ever reported about it: its sender is null.
    ForNothing,
}

/// What a suspension means for one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// It is kept.
    Keep,
    /// It is sent, and a copy kept.
    Probe,
}

/// What time did to a suspension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Tick {
    /// It goes on.
    GoesOn,
    /// A probe went out and nothing bad was heard.
    IsOver,
}

impl Suspension {
    /// Begins one that tries again after `interval` seconds.
    pub fn by_guard(now: Moment, interval: u64, reason: SuspensionReason, settings: &SuspensionSettings) -> Self {
        let interval = interval.clamp(
            settings.probe.as_seconds(),
            settings.probe_max.as_seconds().max(settings.probe.as_seconds()),
        );
        Self {
            since: now,
            kept: 0,
            interval,
            waits: Waits::ForProbe(now.after(interval)),
            reason: Some(reason),
        }
    }

    /// Begins one that only a hand ends.
    pub fn by_hand(now: Moment, settings: &SuspensionSettings) -> Self {
        Self {
            since: now,
            kept: 0,
            interval: settings.probe.as_seconds(),
            waits: Waits::ForHand,
            reason: None,
        }
    }

    /// Does what time has made due.
    pub fn advance_time(&mut self, now: Moment, settings: &SuspensionSettings) -> Tick {
        match &mut self.waits {
            Waits::ForHand => Tick::GoesOn,
            Waits::ForProbe(from) => {
                // No probe is due later than this; a clock was wrong.
                *from = (*from).min(now.after(self.interval.max(settings.probe_max.as_seconds())));
                Tick::GoesOn
            }
            Waits::ForNews(probe) => match &mut probe.stage {
                ProbeStage::Claimed if now.since(probe.at) >= CLAIM || probe.at > now.after(CLAIM) => {
                    self.waits = Waits::ForProbe(now);
                    Tick::GoesOn
                }
                ProbeStage::Claimed => Tick::GoesOn,
                ProbeStage::Sent(until) => {
                    *until = (*until).min(now.after(LONGEST.max(settings.quiet_slow.as_seconds())));
                    if now >= *until { Tick::IsOver } else { Tick::GoesOn }
                }
            },
        }
    }

    /// Says whether a message is kept, or goes out as the probe that is due.
    pub fn take_turn(&mut self, now: Moment, message_id: Option<&str>, fit: Fit) -> Turn {
        match (&self.waits, fit) {
            (Waits::ForProbe(from), Fit::ForProbe) if now >= *from => {
                self.waits = Waits::ForNews(Probe {
                    at: now,
                    id: message_id.map(escape_id),
                    stage: ProbeStage::Claimed,
                });
                Turn::Probe
            }
            (Waits::ForHand | Waits::ForProbe(_) | Waits::ForNews(_), _) => Turn::Keep,
        }
    }

    /// The MTA took the probe. `slow` says that failures were reported late before.
    pub fn probe_sent(&mut self, now: Moment, slow: bool, settings: &SuspensionSettings) {
        let trial = if slow {
            settings.quiet_slow.as_seconds()
        } else {
            settings.quiet.as_seconds()
        };
        if let Waits::ForNews(probe) = &mut self.waits {
            probe.stage = ProbeStage::Sent(now.after(trial));
        }
    }

    /// The probe did not leave: the next message may.
    pub fn probe_stayed(&mut self, now: Moment) {
        if let Waits::ForNews(Probe {
            stage: ProbeStage::Claimed,
            ..
        }) = self.waits
        {
            self.waits = Waits::ForProbe(now);
        }
    }

    /// A failure was reported. If it is the probe's, the next waits longer; where it says something about that message
    /// alone, it waits as long again. One that may or may not be the probe's is taken for it: mail is kept, and nothing
    /// is lost by that.
    pub fn note_failure(&mut self, failure: &Failure, settings: &SuspensionSettings) {
        if !self.is_about_probe(failure.id.as_deref()) {
            return;
        }
        let next = match failure.class {
            FailureClass::Message => self.interval,
            FailureClass::Hard | FailureClass::Soft | FailureClass::Neither => self.interval.saturating_mul(2),
        };
        self.interval = next.clamp(
            settings.probe.as_seconds(),
            settings.probe_max.as_seconds().max(settings.probe.as_seconds()),
        );
        self.waits = Waits::ForProbe(failure.at.after(self.interval));
    }

    /// The probe is late: news of it will take longer, but not for ever.
    pub fn note_delay(&mut self, message_id: Option<&str>, now: Moment) {
        if self.is_about_probe(message_id)
            && let Waits::ForNews(Probe {
                at,
                stage: ProbeStage::Sent(until),
                ..
            }) = &mut self.waits
        {
            *until = (*until).max(now.after(EXTENSION)).min(at.after(LONGEST).max(*until));
        }
    }

    fn is_about_probe(&self, message_id: Option<&str>) -> bool {
        match &self.waits {
            Waits::ForNews(probe) => match (&probe.id, message_id) {
                (Some(probe), Some(reported)) => *probe == escape_id(reported),
                _ => true,
            },
            Waits::ForHand | Waits::ForProbe(_) => false,
        }
    }
}
