//! What a list found, before it is shown.

use crate::spool::list::row::Row;

/// How many names of each sort are shown.
pub const NAMES: usize = 5;

#[derive(Debug)]
pub struct Findings {
    /// The mailboxes that could be looked at, sorted and cut as asked for.
    pub mailboxes: Vec<Row>,
    /// What is no mailbox, or could not be read.
    pub others: Vec<Row>,
    /// What all mailboxes take, whatever is shown of them.
    pub total: Total,
    /// Now, in seconds since 1970.
    pub now: i64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Total {
    pub mailboxes: usize,
    pub bytes: u64,
    pub messages: u64,
    /// How many bytes the user has read of them.
    pub read_bytes: u64,
}

impl Total {
    pub fn of(mailboxes: &[Row]) -> Self {
        let numbers = || mailboxes.iter().filter_map(|row| row.numbers.as_ref());
        Self {
            mailboxes: mailboxes.len(),
            bytes: mailboxes.iter().map(|row| row.bytes).sum(),
            messages: numbers().map(|numbers| numbers.survey.all.messages).sum(),
            read_bytes: numbers().map(|numbers| numbers.read_bytes).sum(),
        }
    }
}
