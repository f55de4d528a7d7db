//! Why the guard suspended a destination: a word that is remembered and shown.

/// Why the guard suspended a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SuspensionReason {
    /// Its failures of several days reached the threshold of points.
    Points,
    /// So many messages failed hard within an hour.
    Burst,
}

impl SuspensionReason {
    /// The word for it, as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Points => "points",
            Self::Burst => "burst",
        }
    }
}
