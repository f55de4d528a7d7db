//! Which reports were counted against a destination. One report may come for days: from an MTA that has to keep it as
//! long as nobody takes it, or from somebody who kept it. Of a message that was sent so many times, as many failures
//! count.

use crate::report::status_code::FailureClass;

/// So many are remembered: more than suspend, and more than messages of one id are worth telling apart.
const MOST: usize = 64;

/// The last reports that were counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct CountedFailures(Vec<CountedFailure>);

/// One of them: what the message is known by, and what was said of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
struct CountedFailure {
    key: String,
    class: FailureClass,
}

impl CountedFailures {
    /// Tells whether `sends` reports about this message were counted before; if not, this is one more.
    pub fn is_over(&mut self, key: &str, class: FailureClass, sends: usize) -> bool {
        let is_same = |counted: &&CountedFailure| counted.key == key && counted.class == class;
        if self.0.iter().filter(is_same).count() >= sends.max(1) {
            return true;
        }
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(CountedFailure {
            key: key.to_owned(),
            class,
        });
        false
    }
}
