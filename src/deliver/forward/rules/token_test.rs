//! Does mail to an address with a token come home? Only then may such an address be a sender: where the MTA does not
//! deliver extensions, reports to it would be frozen or lost. For each address of a user a test message tells; a report
//! that comes with a token tells that the MTA sends with such senders, too.

use std::collections::BTreeMap;

use crate::moment::{DAY, Moment};

/// So many addresses of one user are tested. Mail for further ones is sent as the user.
const ADDRESSES: usize = 32;

/// The second test waits a day, each further one twice as long, up to this many times doubled.
const DOUBLED: u32 = 5;

/// After so long a test is repeated: an MTA may be set up anew. In seconds.
const OLD: u64 = 30 * DAY;

/// What is known of all addresses of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct TokenTests {
    addresses: BTreeMap<String, TokenTest>,
    /// When something came last to an address with a token that a forward had.
    used_at: Option<Moment>,
}

/// What is known of one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct TokenTest {
    /// How many test messages were sent since the last one came home.
    tests: u32,
    /// When the last one was sent.
    pub sent_at: Option<Moment>,
    /// When one came home.
    pub home_at: Option<Moment>,
    /// When one was reported, or refused, as not deliverable.
    pub failed_at: Option<Moment>,
}

impl TokenTest {
    /// Tells whether mail to this address with a token comes home.
    pub fn is_home(&self) -> bool {
        self.home_at > self.failed_at
    }

    fn is_due(&self, now: Moment) -> bool {
        let wait = DAY << self.tests.saturating_sub(1).min(DOUBLED);
        let waits = |at: Option<Moment>, seconds: u64| at.is_some_and(|at| now.since(at) < seconds);
        !(waits(self.sent_at, wait) || (self.is_home() && waits(self.home_at, OLD)))
    }
}

impl TokenTests {
    /// What is known of `address`.
    pub fn of(&self, address: &str) -> TokenTest {
        self.addresses.get(&key(address)).copied().unwrap_or_default()
    }

    /// Tells whether reports come to addresses with a token: then one that brings none is not about our forward.
    pub fn are_used(&self) -> bool {
        self.used_at.is_some()
    }

    /// Tells whether a test of `address` is due.
    pub fn is_due(&self, address: &str, now: Moment) -> bool {
        let is_room = self.addresses.len() < ADDRESSES || self.addresses.contains_key(&key(address));
        is_room && self.of(address).is_due(now)
    }

    /// A test message is about to be sent.
    pub fn note_sending(&mut self, address: &str, now: Moment) {
        let test = self.addresses.entry(key(address)).or_default();
        test.tests = test.tests.saturating_add(1);
        test.sent_at = Some(now);
    }

    /// It came home.
    pub fn come_home(&mut self, address: &str, now: Moment) {
        if let Some(test) = self.addresses.get_mut(&key(address)) {
            (test.tests, test.home_at, test.failed_at) = (0, Some(now), None);
        }
    }

    /// It was reported, or refused.
    pub fn note_failure(&mut self, address: &str, now: Moment) {
        if let Some(test) = self.addresses.get_mut(&key(address)) {
            (test.home_at, test.failed_at) = (None, Some(now));
        }
    }

    /// Something came to an address with a token that a forward had. Noted once a day.
    pub fn take_use(&mut self, now: Moment) {
        if self.used_at.is_none_or(|at| now.since(at) >= DAY) {
            self.used_at = Some(now);
        }
    }
}

fn key(address: &str) -> String {
    address.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{ADDRESSES, OLD, TokenTests};
    use crate::moment::{DAY, Moment};

    #[test]
    fn a_test_is_repeated_less_and_less_until_one_comes_home() {
        let mut tests = TokenTests::default();
        let mut sent_on = Vec::new();
        for day in 0..100 {
            let now = Moment::from_seconds(0).after(day * DAY);
            if tests.is_due("A@a.test", now) {
                tests.note_sending("a@a.test", now);
                sent_on.push(day);
            }
        }
        assert_eq!(sent_on, [0, 1, 3, 7, 15, 31, 63, 95]);
        assert!(!tests.of("a@a.test").is_home());
        let now = Moment::from_seconds(0).after(100 * DAY);
        tests.come_home("a@a.test", now);
        assert!(tests.of("a@a.test").is_home() && !tests.is_due("a@a.test", now.after(OLD - 1)));
        assert!(tests.is_due("a@a.test", now.after(OLD)));
        tests.note_sending("a@a.test", now.after(OLD));
        assert!(tests.of("a@a.test").is_home(), "it holds meanwhile");
        tests.note_failure("a@a.test", now.after(OLD + 1));
        assert!(!tests.of("a@a.test").is_home());
    }

    #[test]
    fn what_was_never_sent_never_comes_home() {
        let mut tests = TokenTests::default();
        tests.come_home("a@a.test", Moment::from_seconds(1));
        assert_eq!(tests, TokenTests::default());
        for n in 0..ADDRESSES {
            tests.note_sending(&format!("a{n}@a.test"), Moment::from_seconds(1));
        }
        assert!(!tests.is_due("a@a.test", Moment::from_seconds(1)));
    }
}
