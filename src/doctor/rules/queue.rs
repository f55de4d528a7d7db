//! Reads an MTA's queue: which mail waits because of spoolguard, and whether the queue fills with bounces. Knows the
//! output of `postqueue -j`, `exim -bp` and `mailq` (postqueue(1), exim(8), mailq(1)).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::doctor::rules::settings::parse_seconds;
use crate::doctor::rules::{Check, Finding};

const MOST_REASONS: usize = 3;

/// From here on, so many bounces in the queue are no accident.
const MANY_BOUNCES: usize = 50;

const REASON_CHARACTERS: usize = 200;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueuedMessage {
    pub id: String,
    pub age_seconds: Option<u64>,
    pub is_bounce: bool,
    /// Why spoolguard left it there; none where something else did.
    pub because: Option<String>,
}

#[derive(Deserialize)]
struct PostfixMessage {
    queue_id: String,
    arrival_time: u64,
    sender: String,
    recipients: Vec<PostfixRecipient>,
}

#[derive(Deserialize)]
struct PostfixRecipient {
    delay_reason: Option<String>,
}

/// Reads `postqueue -j`; `now` is in seconds since 1970.
pub fn parse_postfix_queue(text: &str, now: u64) -> Vec<QueuedMessage> {
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<PostfixMessage>(line).ok());
    messages
        .map(|message| {
            let mut reasons = message.recipients.iter().filter_map(|to| to.delay_reason.as_deref());
            QueuedMessage {
                because: reasons.find_map(of_ours),
                age_seconds: Some(now.saturating_sub(message.arrival_time)),
                is_bounce: message.sender == "MAILER-DAEMON",
                id: message.queue_id,
            }
        })
        .collect()
}

/// Reads `exim -bp`, which tells no reasons: `3h  1.2K 1abcde-000001-2X <s@s.test>`, and `*** frozen ***` behind some.
pub fn parse_exim_queue(text: &str) -> Vec<QueuedMessage> {
    let read = |line: &str| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let [age, _size, id, sender, ..] = words.as_slice() else {
            return None;
        };
        let is_message = sender.starts_with('<') && id.matches('-').count() == 2;
        is_message.then(|| QueuedMessage {
            id: (*id).to_owned(),
            age_seconds: parse_seconds(age),
            is_bounce: *sender == "<>",
            because: None,
        })
    };
    text.lines().filter_map(read).collect()
}

/// Reads what another `mailq` prints: a line that names spoolguard is of a message that waits for it.
pub fn parse_mailq(text: &str) -> Vec<QueuedMessage> {
    let of_line = |line: &str| QueuedMessage {
        because: of_ours(line),
        ..QueuedMessage::default()
    };
    text.lines()
        .map(of_line)
        .filter(|message| message.because.is_some())
        .collect()
}

/// What spoolguard said, in a reason that an MTA tells; none where it is not about spoolguard.
pub fn of_ours(reason: &str) -> Option<String> {
    let at = reason.find("spoolguard")?;
    // Behind a slash it is the name of a program that could not be started.
    let is_ours = reason.get(..at).is_some_and(|before| !before.ends_with('/'));
    let from_ours = reason
        .get(at..)?
        .strip_prefix("spoolguard: ")
        .filter(|_| is_ours)
        .unwrap_or(reason);
    Some(from_ours.trim().chars().take(REASON_CHARACTERS).collect())
}

/// Judges the queue; `again` is the command that tries all of it.
pub fn judge(subject: &str, messages: &[QueuedMessage], again: &str) -> Vec<Finding> {
    let mut reasons: BTreeMap<&str, Vec<&QueuedMessage>> = BTreeMap::new();
    for message in messages {
        if let Some(reason) = &message.because {
            reasons.entry(reason).or_default().push(message);
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, of_reason)| std::cmp::Reverse(of_reason.len()));
    let more = reasons.len().saturating_sub(MOST_REASONS);
    let mut found: Vec<_> = reasons
        .iter()
        .take(MOST_REASONS)
        .map(|(reason, of_reason)| deferred(subject, reason, of_reason, again))
        .collect();
    if more > 0 {
        let what = format!("mail is deferred by spoolguard for {more} more reasons");
        found.push(Check::Queue.about(subject).error(what, "see the MTA's queue"));
    }
    let bounces = messages.iter().filter(|message| message.is_bounce).count();
    if bounces >= MANY_BOUNCES {
        let what = format!(
            "{bounces} of {} messages are bounces: mail goes round, or was forged",
            messages.len()
        );
        found.push(
            Check::Queue
                .about(subject)
                .warning(what, "see whom they are for: mailq"),
        );
    }
    if found.is_empty() {
        found.push(Check::Queue.about(subject).ok("no mail waits because of spoolguard"));
    }
    found
}

fn deferred(subject: &str, reason: &str, messages: &[&QueuedMessage], again: &str) -> Finding {
    let count = match messages.len() {
        1 => "1 message is".to_owned(),
        count => format!("{count} messages are"),
    };
    let mut oldest_first = messages.to_vec();
    oldest_first.sort_by_key(|message| std::cmp::Reverse(message.age_seconds));
    let oldest = oldest_first.first().and_then(|message| message.age_seconds);
    let since = oldest.map_or(String::new(), |seconds| format!(", the oldest for {}", age(seconds)));
    let ids = oldest_first.iter().map(|message| message.id.as_str());
    let first = ids
        .filter(|id| !id.is_empty())
        .map(|id| format!(" ({id})"))
        .next()
        .unwrap_or_default();
    Check::Queue.about(subject).error(
        format!("{count} deferred by spoolguard{since}{first}: {reason}"),
        format!("fix that, then: {again}"),
    )
}

fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::{judge, of_ours, parse_exim_queue, parse_mailq, parse_postfix_queue};
    use crate::doctor::rules::Level;

    /// As Postfix 3.7 printed it.
    const POSTFIX: &str = r#"{"queue_name": "deferred", "queue_id": "4gHwbh", "arrival_time": 1000, "message_size": 331, "forced_expire": false, "sender": "s@s.test", "recipients": [{"address": "a@a.test", "delay_reason": "temporary failure. Command output: 4.3.5 spoolguard: cannot understand the command line: unexpected argument '--kepp' found"}]}
{"queue_name": "deferred", "queue_id": "4gHwbi", "arrival_time": 9000, "message_size": 331, "forced_expire": false, "sender": "MAILER-DAEMON", "recipients": [{"address": "b@b.test", "delay_reason": "connect to b.test[192.0.2.1]:25: Connection refused"}]}
{"queue_name": "active", "queue_id": "4gHwbj", "arrival_time": 9999, "message_size": 331, "forced_expire": false, "sender": "s@s.test", "recipients": [{"address": "a@a.test"}]}
"#;

    #[test]
    fn mail_that_the_guard_deferred_is_told_with_its_reason() {
        let found = judge("Postfix's queue", &parse_postfix_queue(POSTFIX, 11_800), "postqueue -f");
        let texts: Vec<_> = found
            .iter()
            .map(|found| (found.level, found.finding.as_str()))
            .collect();
        assert_eq!(
            texts,
            [(
                Level::Error,
                "1 message is deferred by spoolguard, the oldest for 3 hours (4gHwbh): cannot understand the command line: \
                 unexpected argument '--kepp' found"
            )]
        );
        let program = "local: fatal: execvp /usr/local/bin/spoolguard: No such file or directory";
        assert_eq!(of_ours(program).as_deref(), Some(program));
        let other_reasons = POSTFIX.replace("spoolguard", "procmail");
        let found = judge(
            "Postfix's queue",
            &parse_postfix_queue(&other_reasons, 11_800),
            "postqueue -f",
        );
        assert!(
            found.iter().all(|found| found.level == Level::Ok) && found.len() == 1,
            "{found:?}"
        );
    }

    #[test]
    fn many_reasons_are_counted_and_many_bounces_are_told() {
        let lines: String = (0..5)
            .map(|number| {
                POSTFIX
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .replace("--kepp", &format!("--kepp{number}"))
                    + "\n"
            })
            .collect();
        let found = judge("q", &parse_postfix_queue(&lines, 1000), "postqueue -f");
        assert_eq!(found.len(), 4);
        assert!(
            found
                .last()
                .is_some_and(|last| last.finding.ends_with("for 2 more reasons"))
        );
        let bounces = POSTFIX.lines().nth(1).unwrap_or_default().to_owned() + "\n";
        let found = judge("q", &parse_postfix_queue(&bounces.repeat(60), 9000), "postqueue -f");
        assert!(
            found
                .iter()
                .any(|found| found.finding.starts_with("60 of 60 messages are bounces")),
            "{found:?}"
        );
    }

    #[test]
    fn the_queues_of_others_are_read_as_they_print_them() {
        let text = "44h   332 1vOXYz-000001-2X <s@s.test>\n          a@a.test\n\n 3m  2.1K 1vOXYz-000003-4X <> *** frozen ***\n          b@b.test\n";
        let found = parse_exim_queue(text);
        let shown: Vec<_> = found
            .iter()
            .map(|message| (message.id.as_str(), message.age_seconds, message.is_bounce))
            .collect();
        assert_eq!(
            shown,
            [
                ("1vOXYz-000001-2X", Some(44 * 3600), false),
                ("1vOXYz-000003-4X", Some(180), true)
            ]
        );
        let text = "\t\t/var/spool/mqueue (1 request)\n5AQ9 331 Thu Nov 26 10:00 <s@s.test>\n\t (Deferred: prog mailer (/bin/sh) exited with \
                    EX_TEMPFAIL)\n\t\t\t\t\t\"|/usr/bin/spoolguard forward b@b.test\"\n";
        assert_eq!(parse_mailq(text).len(), 1);
        assert_eq!(parse_mailq("Mail queue is empty\n"), []);
    }
}
