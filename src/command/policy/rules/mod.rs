//! The policy protocol of Postfix and the filter protocol of OpenSMTPD: requests and answers. Pure.

pub mod line;
pub mod opensmtpd;
pub mod postfix;

use crate::message::envelope::Sender;

/// One question: would a message for this recipient find room?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomQuestion {
    /// The address as the client gave it, before aliases.
    pub recipient: String,
    /// Who sends it, as far as that is said.
    pub sender: Sender,
    /// What the client says about its size, in bytes; 0 where it says nothing (RFC 1870 section 6).
    pub size_bytes: u64,
}
