//! Makes the envelope senders that name a destination, and reads the token in the address that a message came to.
//! Without a key, or room for a token, mail is sent without one.

use std::path::{Path, PathBuf};

use crate::config::ForwardSender;
use crate::deliver::context::{Delivery, Run};
use crate::deliver::forward::history;
use crate::message::Message;
use crate::message::address::{Address, is_plain};
use crate::message::envelope::Envelope;
use crate::message::verp::{self, Key, VerpToken};
use crate::sys::key_file;

/// Where the key is below a state directory.
fn key_path(dir: &Path) -> PathBuf {
    dir.join("token.key")
}

/// Makes envelope senders for one message.
pub struct Maker<'a> {
    run: &'a Run,
    key: Key,
    own: Address,
    message: String,
    unix_seconds: i64,
}

impl<'a> Maker<'a> {
    /// Reads the key, or makes one. None where that cannot be done, or where there is no room for a token.
    pub fn prepare(run: &'a Run, delivery: &Delivery<'_>) -> Option<Self> {
        let own = delivery.envelope.own.primary()?;
        let Some(dir) = run.state_dir() else {
            tracing::debug!(user = run.account.name, "no state directory: no key for tokens");
            return None;
        };
        let key = match key_file::read_or_make(&key_path(&dir)) {
            Ok(bytes) => Key::new(bytes),
            Err(e) => {
                run.log_state_failure(&e, "sent on without a token");
                return None;
            }
        };
        let maker = Self {
            run,
            key,
            own,
            message: history::token_part(delivery.name()).to_owned(),
            unix_seconds: delivery.date.unix_timestamp(),
        };
        if maker.token("b@b.test").is_none() {
            tracing::debug!(user = run.account.name, "the address has no room for a token");
            return None;
        }
        Some(maker)
    }

    pub fn sender(&self, destination: &str) -> String {
        self.token(destination).unwrap_or_else(|| self.own.to_string())
    }

    fn token(&self, destination: &str) -> Option<String> {
        let delimiter = &self.run.config.recipient_delimiter;
        let user = &self.run.account.name;
        let sender = verp::verp_sender(
            &self.key,
            user,
            &self.own,
            delimiter,
            destination,
            &self.message,
            self.unix_seconds,
        );
        sender.filter(|sender| is_plain(sender))
    }
}

/// The token that a message brings in the address that it came to, if it is one of ours and holds; with the address.
/// Sendmail says no address to a program in `.forward`: there, and for whoever it went through, it stands in `To`,
/// where every report has the envelope sender that it goes to. The key is read only where there is something that looks
/// like a token.
pub fn find_token(
    run: &Run,
    envelope: &Envelope,
    message: &Message<'_>,
    unix_seconds: i64,
) -> Option<(VerpToken, String)> {
    const FIELDS: [&str; 4] = ["Delivered-To", "X-Original-To", "Envelope-To", "To"];
    let named = message
        .fields()
        .filter(|field| FIELDS.iter().any(|name| field.is(name)));
    let named = named.take(20).map(|field| field.text().into_owned());
    let candidates: Vec<_> = envelope
        .recipient
        .iter()
        .cloned()
        .chain(named)
        .filter(|text| verp::is_there(text))
        .collect();
    if candidates.is_empty() {
        return None;
    }
    let key = key(run)?;
    let user = &run.account.name;
    candidates
        .into_iter()
        .find_map(|text| Some((verp::verify_token(&key, user, &text, unix_seconds)?, text)))
}

/// The token in an address, if it is one of ours and holds.
pub fn read_token(run: &Run, address: &str, unix_seconds: i64) -> Option<VerpToken> {
    if !verp::is_there(address) {
        return None;
    }
    verp::verify_token(&key(run)?, &run.account.name, address, unix_seconds)
}

/// Tells whether a report about a forward of ours has to bring a token: they are in use, and there is a key and room
/// for one. Where none can be made, none can be asked for.
pub fn are_required(run: &Run, envelope: &Envelope) -> bool {
    if run.config.forward.sender != ForwardSender::Verp {
        return false;
    }
    let delimiter = &run.config.recipient_delimiter;
    let user = &run.account.name;
    let made = envelope.own.primary().zip(key(run));
    made.is_some_and(|(own, key)| verp::verp_sender(&key, user, &own, delimiter, "b@b.test", "0", 0).is_some())
}

/// The key, if one was made.
fn key(run: &Run) -> Option<Key> {
    match key_file::read_key(&key_path(&run.state_dir()?)) {
        Ok(bytes) => bytes.map(Key::new),
        Err(e) => {
            run.log_state_failure(&e, "tokens cannot be examined");
            None
        }
    }
}
