//! Remembers and says why a message is not sent to a destination.

use crate::deliver::forward::history_line::Fate;
use crate::deliver::forward::rules::HeldBackKind;
use crate::deliver::forward::rules::brake::{Brake, FLOOD};
use crate::deliver::forward::rules::came_from::CameFrom;
use crate::deliver::forward::rules::kept::KeptReason;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// It came from there.
    CameFrom(CameFrom),
    /// Mail goes round with it.
    Brake(Brake),
}

impl HeldBack {
    /// What is remembered of it.
    pub fn fate(self) -> Fate {
        match self {
            Self::CameFrom(_) => Fate::Own,
            Self::Brake(_) => Fate::Braked,
        }
    }

    /// As what it stands on the list of kept messages.
    pub fn reason(self) -> KeptReason {
        match self {
            Self::CameFrom(_) => KeptReason::Own,
            Self::Brake(_) => KeptReason::Loop,
        }
    }

    /// What user and administrator are told.
    pub fn kind(self) -> HeldBackKind {
        match self {
            Self::CameFrom(_) => HeldBackKind::CameFrom,
            Self::Brake(Brake::Chain | Brake::Again) => HeldBackKind::GoesRound,
            Self::Brake(Brake::AutoReplies) => HeldBackKind::AutoReplies,
            Self::Brake(Brake::Pace) => HeldBackKind::Pace,
            Self::Brake(Brake::Flood) => HeldBackKind::Flood,
        }
    }

    pub fn reason_text(self, destination: &str) -> String {
        match self {
            Self::CameFrom(CameFrom::Author) => format!("it came from {destination}"),
            Self::CameFrom(CameFrom::Answer) => {
                format!("it answers what was sent to {destination}, and comes from there")
            }
            Self::Brake(Brake::Chain | Brake::Again) => {
                format!("what is sent to {destination} is answered, and the answers come here to be sent there again")
            }
            Self::Brake(Brake::AutoReplies) => format!("too many automatic answers within an hour for {destination}"),
            Self::Brake(Brake::Pace) => {
                format!(
                    "one writer's mail for {destination} comes at the pace of a machine that waits for the last to be sent"
                )
            }
            Self::Brake(Brake::Flood) => format!("more than {FLOOD} messages within an hour for {destination}"),
        }
    }
}
