//! What is remembered of a message that came before, as far as loops are concerned.

use crate::deliver::forward::rules::sketch::Sketch;

/// A message before, to the same destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When it came, in seconds since 1970.
    pub at: i64,
    /// What became of it.
    pub was: Was,
    /// What it looked like.
    pub sketch: Sketch,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Was {
    /// It was sent to the destination.
    Sent,
    /// It came from there, and was kept.
    Own,
    /// The brake kept it.
    Braked,
}
