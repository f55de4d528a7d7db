//! The counts of an inspection: what the messages are, and what would be done with them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::classify::policy::Action;
use crate::classify::verdict::Verdict;
use crate::deliver::headers;
use crate::output::OutputForm;
use crate::output::json::write_line;
use crate::output::sizes::{count_text, message_count_text, size_text};

/// So many messages, and their length together.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Group {
    messages: u64,
    bytes: u64,
}

/// All messages, by what they are and what would be done.
#[derive(Debug, Default)]
pub struct Summary {
    /// By verdict, kind of report and action.
    groups: BTreeMap<(&'static str, Option<&'static str>, &'static str), Group>,
    all: Group,
}

/// The keys are a promise.
#[derive(Serialize)]
struct SummaryLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    all: Group,
    unread: u64,
    groups: Vec<GroupLine<'a>>,
}

#[derive(Serialize)]
struct GroupLine<'a> {
    verdict: String,
    action: &'a str,
    #[serde(flatten)]
    group: Group,
}

impl Summary {
    pub fn add(&mut self, verdict: &Verdict, action: Action, bytes: u64) {
        let group = self
            .groups
            .entry((verdict.name(), headers::report_kind(verdict), action.name()))
            .or_default();
        for group in [group, &mut self.all] {
            group.messages += 1;
            group.bytes += bytes;
        }
    }

    fn sorted(&self) -> Vec<(String, &str, Group)> {
        let named = self.groups.iter();
        let mut groups: Vec<_> = named
            .map(|((verdict, kind, action), group)| (headers::kind_text(verdict, *kind), *action, *group))
            .collect();
        groups.sort_by_key(|(.., group)| std::cmp::Reverse(group.messages));
        groups
    }

    /// Writes the counts; `unread` is how many inputs could not be read.
    pub fn write(&self, form: OutputForm, unread: u64, output: &mut impl Write) -> io::Result<()> {
        let groups = self.sorted();
        if form == OutputForm::Json {
            let groups = groups
                .into_iter()
                .map(|(verdict, action, group)| GroupLine { verdict, action, group });
            let line = SummaryLine {
                kind: "summary",
                all: self.all,
                unread,
                groups: groups.collect(),
            };
            return write_line(output, &line);
        }
        let mut text = format!(
            "{}, {}",
            message_count_text(self.all.messages),
            size_text(self.all.bytes)
        );
        if unread > 0 {
            text.push_str(&format!(
                "; {}",
                count_text(unread, "input could not be read", "inputs could not be read")
            ));
        }
        writeln!(output, "{text}")?;
        let wide = |cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or(0);
        let verdicts = wide(&mut groups.iter().map(|(verdict, ..)| verdict.len()));
        let actions = wide(&mut groups.iter().map(|(_, action, _)| action.len()));
        for (verdict, action, group) in &groups {
            writeln!(
                output,
                "    {verdict:verdicts$}  {action:actions$}  {:>8}  {:>10}",
                group.messages,
                size_text(group.bytes)
            )?;
        }
        Ok(())
    }
}
