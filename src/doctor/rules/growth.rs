//! Does a mailbox grow because mail loops? Looks for many messages of one sender at its end, within seconds.

use std::collections::BTreeMap;

use crate::message::date::parse_date;

/// How many messages at the end are looked at.
const LAST: usize = 20;

/// Within so many seconds they are more than people write.
const SECONDS: i64 = 60;

/// How many of them have to be of one sender.
const OF_ONE: usize = 15;

/// What came at the end of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    pub messages: usize,
    /// From whom most of them are.
    pub sender: String,
    /// Within how many seconds they came.
    pub seconds: i64,
}

impl Burst {
    pub fn is_of_mta(&self) -> bool {
        let sender = self.sender.to_ascii_lowercase();
        let local = sender.split('@').next().unwrap_or_default();
        ["mailer-daemon", "postmaster", "<>"].contains(&local)
    }
}

pub fn find_burst(tail: &[u8]) -> Option<Burst> {
    let lines = tail
        .split(|byte| *byte == b'\n')
        .filter(|line| line.starts_with(b"From "));
    let mut all: Vec<(i64, String)> = lines
        .filter_map(|line| Some((parse_date(line)?, sender(line))))
        .collect();
    let last = all.split_off(all.len().saturating_sub(LAST));
    let (first, end) = (last.iter().map(|one| one.0).min()?, last.iter().map(|one| one.0).max()?);
    let mut senders: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, sender) in &last {
        *senders.entry(sender).or_default() += 1;
    }
    let (sender, count) = senders.into_iter().max_by_key(|(_, count)| *count)?;
    let is_burst = last.len() == LAST && count >= OF_ONE && end - first <= SECONDS;
    is_burst.then(|| Burst {
        messages: last.len(),
        sender: sender.to_owned(),
        seconds: (end - first).max(1),
    })
}

fn sender(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.split_ascii_whitespace().nth(1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::find_burst;

    fn mbox(sender: &str, step_seconds: usize, count: usize) -> Vec<u8> {
        let message = |number: usize| {
            let second = number * step_seconds;
            format!(
                "From {sender} Thu Nov 26 {:02}:{:02}:{:02} 2026\nSubject: x\n\nx\n\n",
                10 + second / 3600,
                second / 60 % 60,
                second % 60
            )
        };
        (0..count).map(message).collect::<String>().into_bytes()
    }

    #[test]
    fn a_burst_of_one_sender_is_told_and_a_busy_day_is_not() {
        let found = find_burst(&mbox("MAILER-DAEMON", 1, 60));
        assert!(
            found.is_some_and(|found| (found.messages, found.seconds) == (20, 19) && found.sender == "MAILER-DAEMON")
        );
        assert_eq!(find_burst(&mbox("MAILER-DAEMON", 60, 60)), None);
        assert_eq!(find_burst(&mbox("MAILER-DAEMON", 1, 19)), None);
        let mixed: Vec<u8> = (0..30)
            .flat_map(|number| mbox(&format!("s{number}@s.test"), 1, 1))
            .collect();
        assert_eq!(find_burst(&mixed), None);
        assert_eq!(find_burst(b""), None);
    }
}
