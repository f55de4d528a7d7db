//! Counts of diverted mail: what the administrator got, what was held or kept instead, and what `status` shows of that.

/// How many messages did not reach the administrator, by where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct HeldBackTally {
    /// Held in the state directory.
    pub held: u64,
    /// Kept in the user's mailbox.
    pub kept: u64,
}

impl HeldBackTally {
    pub fn all(self) -> u64 {
        self.held.saturating_add(self.kept)
    }

    pub fn add(&mut self, other: Self) {
        self.held = self.held.saturating_add(other.held);
        self.kept = self.kept.saturating_add(other.kept);
    }

    pub fn subtract(&mut self, other: Self) {
        self.held = self.held.saturating_sub(other.held);
        self.kept = self.kept.saturating_sub(other.kept);
    }
}

/// Everything since the state began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Sent to the administrator.
    pub sent: u64,
    /// Held, and counted.
    pub held: u64,
    /// Kept in the user's mailbox.
    pub kept: u64,
    /// Held, and removed to make room.
    pub pushed_out: u64,
}

/// What `status` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StormCounts {
    /// Sent to the administrator within the last hour.
    pub sent_last_hour: usize,
    /// Kinds of equal messages that are remembered.
    pub storms: usize,
    /// Not sent, and not told in a digest yet.
    pub untold: u64,
    /// When the administrator's mbox had no room for a message, the last time.
    pub admin_full_at: Option<i64>,
    /// Everything since the state began.
    #[serde(flatten)]
    pub totals: Totals,
}
