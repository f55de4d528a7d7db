//! Who has still to be told that a destination was suspended or opened again, or that mail goes round with it. A notice
//! is taken by one run, which writes it and says so. When that run fails or dies, the notice is due again later. So it
//! is written at least once, and twice only where a run dies between writing and saying so.

use crate::deliver::forward::rules::health::Failure;
use crate::moment::{DAY, Moment};

/// How many notices one destination may owe; the oldest goes.
pub const MOST: usize = 8;

/// A run that took a notice and says nothing of it for so long has died. In seconds.
const CLAIM: u64 = 10 * 60;

/// How long the second try waits; each further one twice as long, up to a day. In seconds.
const RETRY: u64 = 5 * 60;

/// A notice that cannot be written for so long is given up. In seconds.
const GIVEN_UP: u64 = 14 * DAY;

/// Whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum To {
    /// The user, in the mailbox.
    User,
    /// The administrator.
    Admin,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationEvent {
    /// The guard suspended the destination.
    Suspended,
    /// Somebody did.
    SuspendedByHand,
    /// A probe went out and nothing bad was heard.
    Reopened,
    /// Somebody ended it.
    ReopenedByHand,
    /// Some mail is kept, and not sent there.
    HeldBack(HeldBackKind),
}

/// Why mail is held back, as far as it is told, or may have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldBackKind {
    /// It came from there.
    CameFrom,
    /// It goes round.
    GoesRound,
    /// Too many automatic answers came.
    AutoReplies,
    /// One writer's mail came at a machine's pace.
    Pace,
    /// Too many messages came.
    Flood,
    /// None is held back, but far more came than ever before.
    Surge,
}

/// What has to be told, as it was when it happened.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct PendingNotice {
    /// Its number, which no other has.
    pub number: u64,
    /// Whom it is for.
    pub to: To,
    /// What happened,
    pub event: DestinationEvent,
    /// and when.
    pub at: Moment,
    /// The address that was forwarded to.
    pub destination: String,
    /// The user's own address.
    pub own: String,
    /// Since when it is, or was, suspended.
    pub since: Moment,
    /// Since when it failed.
    pub failing_since: Option<Moment>,
    /// The last failure.
    pub last: Option<Failure>,
    /// How many messages were kept.
    pub kept: u64,
    /// When the next probe goes out, or when the last one did.
    pub probe: Option<Moment>,
    /// When it may be tried.
    pub due: Moment,
    /// How often it was tried in vain.
    pub tries: u32,
}

/// The notices of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct PendingNotices(Vec<PendingNotice>);

impl PendingNotices {
    /// Adds one; where there are too many, the oldest goes, and is handed back.
    pub fn add(&mut self, notice: PendingNotice) -> Option<PendingNotice> {
        self.0.push(notice);
        (self.0.len() > MOST).then(|| self.0.remove(0))
    }

    /// Takes those that are due, for one run to write them.
    pub fn take_due(&mut self, now: Moment) -> Vec<PendingNotice> {
        let mut claimed = Vec::new();
        for notice in &mut self.0 {
            if notice.is_due(now) {
                claimed.push(notice.clone());
                notice.due = now.after(CLAIM);
            }
        }
        claimed
    }

    /// Tells whether any is due.
    pub fn is_due(&self, now: Moment) -> bool {
        self.0.iter().any(|notice| notice.is_due(now))
    }

    /// It was written.
    pub fn note_written(&mut self, number: u64) {
        self.0.retain(|notice| notice.number != number);
    }

    /// It could not be written: it is due again later. One that was tried for too long is given up, and handed back.
    pub fn note_unwritten(&mut self, number: u64, now: Moment) -> Option<PendingNotice> {
        let at = self.0.iter().position(|notice| notice.number == number)?;
        let notice = self.0.get_mut(at)?;
        if now.since(notice.at) >= GIVEN_UP {
            return Some(self.0.remove(at));
        }
        let pause = RETRY.saturating_mul(1 << notice.tries.min(10)).min(DAY);
        notice.tries = notice.tries.saturating_add(1);
        notice.due = now.after(pause);
        None
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &PendingNotice> {
        self.0.iter()
    }

    /// Tells whether nobody has to be told anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PendingNotice {
    /// One about mail that is held back, due now, without a number yet.
    pub fn of_loop(destination: &str, own: &str, kind: HeldBackKind, to: To, now: Moment) -> Self {
        Self {
            number: 0,
            to,
            event: DestinationEvent::HeldBack(kind),
            at: now,
            destination: destination.to_owned(),
            own: own.to_owned(),
            since: now,
            failing_since: None,
            last: None,
            kept: 0,
            probe: None,
            due: now,
            tries: 0,
        }
    }

    fn is_due(&self, now: Moment) -> bool {
        // No pause is longer than a day; a clock was wrong.
        now >= self.due || self.due > now.after(DAY)
    }
}
