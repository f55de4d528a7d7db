//! The `[guard]` table: what each kind of message gets.

use serde::{Deserialize, Serialize};

/// The `[guard]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// For messages that have been here before.
    pub r#loop: Choice,
    /// For reports from mail systems about forwarded mail, or about nobody knows what.
    pub bounce: Choice,
    /// For reports about mail that the user wrote.
    pub own_bounce: Choice,
    /// For ordinary mail with a null sender.
    pub null_sender: Choice,
    /// For feedback reports.
    pub complaint: Choice,
    /// For read receipts.
    pub receipt: Choice,
    /// For vacation messages and the like.
    pub auto_reply: Choice,
    /// For what rspamd or SpamAssassin marked as spam.
    pub spam: Choice,
    /// Hosts and domains through which the user's own mail leaves, beside this host and the user's domains.
    pub relays: Vec<String>,
    /// How many `Received` fields a message may have.
    pub max_hops: usize,
}

/// What an administrator wants done with one kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// To the administrator.
    Divert,
    /// Into the user's own mailbox, never further.
    Keep,
    /// As if the guard were not there.
    Pass,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            r#loop: Choice::Divert,
            bounce: Choice::Divert,
            own_bounce: Choice::Pass,
            null_sender: Choice::Pass,
            complaint: Choice::Pass,
            receipt: Choice::Pass,
            auto_reply: Choice::Pass,
            spam: Choice::Pass,
            relays: Vec::new(),
            max_hops: 50,
        }
    }
}
