//! Hard failures of the last hour, and how much each counts in a burst. `health` keeps them, and decides.

use crate::moment::Moment;
use crate::report::status_code::Basis;

/// A hard failure of the last hour.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Recent {
    /// When that was said.
    pub at: Moment,
    /// What tells it from others.
    pub key: Option<String>,
    /// How it was found to be the address.
    #[serde(default)]
    pub basis: Basis,
}

impl Recent {
    /// In halves of a failure that the far side says is the address.
    pub fn weight(&self) -> u32 {
        match self.basis {
            Basis::Said => 2,
            Basis::Named => 1,
            Basis::Presumed => 0,
        }
    }
}
