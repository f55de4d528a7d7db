//! The `[destinations]` table: when an address that mail is sent on to counts as dead, and when it is tried again.

use serde::{Deserialize, Serialize};

use crate::config::value::Age;

/// The `[destinations]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuspensionSettings {
    /// Whether an address that keeps failing is suspended.
    pub suspend: bool,
    /// From how many points on.
    pub threshold: u32,
    /// How long nothing has to fail for points to count no more.
    pub forget_after: Age,
    /// How many hard failures about different messages within an hour suspend it at once.
    pub burst: u32,
    /// After what time it is tried first.
    pub probe: Age,
    /// The longest time between two tries.
    pub probe_max: Age,
    /// How long after a try no report is good news.
    pub quiet: Age,
    /// The same for an address whose failures are reported late.
    pub quiet_slow: Age,
}

/// The largest `burst`: so many failures are remembered one by one.
pub const MOST_BURST: usize = 20;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

impl Default for SuspensionSettings {
    fn default() -> Self {
        Self {
            suspend: true,
            threshold: 5,
            forget_after: Age::seconds(7 * DAY),
            burst: 3,
            probe: Age::seconds(HOUR),
            probe_max: Age::seconds(DAY),
            // A hard failure comes within minutes, unless a host on the way puts the message off first (greylisting).
            // Postfix then tries again after 4000 s at the latest (postconf(5), maximal_backoff_time).
            quiet: Age::seconds(2 * HOUR),
            // MTAs try for up to five days before they report that a host does not answer (RFC 5321 section 4.5.4.1).
            // Postfix sends no report of a delay unless it is told to.
            quiet_slow: Age::seconds(6 * DAY),
        }
    }
}
