//! The table at the end: what each story did without a guard and with it.

use std::fmt::Write as _;

use crate::stage::{Hook, Measured};

/// What became of one telling of one story.
pub struct Row {
    /// The mail system.
    pub system: &'static str,
    /// The story's short name.
    pub story: &'static str,
    /// What happens in it.
    pub title: &'static str,
    /// How the guard was hung in.
    pub hook: Hook,
    /// The same, in the mail system's words.
    pub hook_name: &'static str,
    /// What was measured.
    pub measured: Measured,
    /// Something did not hold.
    pub failed: bool,
}

/// Says in a few words how it ended without a guard.
fn outcome(measured: &Measured) -> String {
    let lost = if measured.lost.is_empty() { "" } else { ", text LOST" };
    if measured.ended {
        format!("{}: ends{lost}", measured.attempts)
    } else {
        format!("{}+ in {:.1} s: LOOPS{lost}", measured.attempts, measured.seconds)
    }
}

fn mailboxes(measured: &Measured) -> String {
    let list: Vec<String> = measured
        .mailboxes
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if list.is_empty() {
        "-".to_owned()
    } else {
        list.join(", ")
    }
}

/// Prints the rows, those of one story together, beside what happens without a guard.
pub fn render(rows: &[Row]) -> String {
    let heads = [
        "story",
        "mail system",
        "hook",
        "plain forward",
        "sent",
        "transm.",
        "reports",
        "queue",
        "held",
        "mailboxes",
        "lost",
        "",
    ];
    let mut lines: Vec<Vec<String>> = vec![heads.map(str::to_owned).to_vec()];
    for row in rows {
        let alone = |row: &Row| {
            !rows
                .iter()
                .any(|r| r.hook != Hook::Plain && (r.system, r.story) == (row.system, row.story))
        };
        if row.hook == Hook::Plain && !alone(row) {
            continue;
        }
        let plain = rows
            .iter()
            .find(|r| r.hook == Hook::Plain && (r.system, r.story) == (row.system, row.story))
            .map_or_else(|| "-".to_owned(), |r| outcome(&r.measured));
        let mut line = vec![
            format!("{}: {}", row.story, row.title),
            row.system.to_owned(),
            row.hook_name.to_owned(),
            plain,
        ];
        if row.hook != Hook::Plain {
            let m = &row.measured;
            line.extend([
                m.sent.to_string(),
                format!("{}{}", m.attempts, if m.ended { "" } else { "+ LOOPS" }),
                m.reports.to_string(),
                m.queue.to_string(),
                m.held.to_string(),
                mailboxes(m),
                m.lost.len().to_string(),
                if row.failed { "FAILED" } else { "" }.to_owned(),
            ]);
        }
        lines.push(line);
    }
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            lines
                .iter()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in lines {
        let mut out = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(out, "{cell:width$}  ");
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
    for row in rows {
        for figures in &row.measured.counted {
            let _ = writeln!(text, "{} {}, {}: {figures}", row.system, row.story, row.hook_name);
        }
    }
    text
}
