//! Judges a message by the configuration, the host's name and the user's own addresses.

use crate::classify;
use crate::classify::verdict::{Facts, Judgement};
use crate::config::Config;
use crate::message::Message;
use crate::message::envelope::Envelope;
use crate::sys::account;

pub fn judge_message(message: &Message<'_>, envelope: &Envelope, config: &Config) -> Judgement {
    let facts = Facts {
        sender: &envelope.sender,
        own: &envelope.own,
        max_hops: config.guard.max_hops,
        hosts: account::own_hosts(),
        relays: &config.guard.relays,
    };
    classify::classify(message, &facts)
}
