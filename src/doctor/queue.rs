//! Asks the MTA what waits in its queue. Requeues nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::doctor::facts::HostFacts;
use crate::doctor::rules::queue::{QueuedMessage, judge, of_ours, parse_exim_queue, parse_mailq, parse_postfix_queue};
use crate::doctor::rules::{Finding, queue};

/// Of so many messages Exim is asked for its log: each costs a process.
const MOST_ASKED: usize = 20;

pub fn examine(host: &HostFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(text) = host.ask_programs(&mut found, &["postqueue"], &["-j"]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        found.extend(judge(
            "Postfix's queue",
            &parse_postfix_queue(&text, now.as_secs()),
            "postqueue -f",
        ));
    } else if host.exim.is_some() {
        if let Some(text) = host.ask_programs(&mut found, &["exim4", "exim"], &["-bp"]) {
            let mut messages = parse_exim_queue(&text);
            for message in messages.iter_mut().take(MOST_ASKED) {
                message.because = because(host, message, &mut found);
            }
            found.extend(judge("Exim's queue", &messages, "exim -qff"));
        }
    } else if let Some(text) = host.ask_programs(&mut found, &["mailq"], &[]) {
        found.extend(queue::judge(
            "the MTA's queue",
            &parse_mailq(&text),
            "sendmail -q, as root",
        ));
    }
    found
}

/// The last line about spoolguard in the log that Exim keeps of a message.
fn because(host: &HostFacts, message: &QueuedMessage, found: &mut Vec<Finding>) -> Option<String> {
    let log = host.ask_programs(found, &["exim4", "exim"], &["-Mvl", &message.id])?;
    log.lines().rev().find_map(of_ours)
}
