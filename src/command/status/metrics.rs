//! `spoolguard status --prometheus`: gauges for the textfile collector of Prometheus' node exporter. Names and labels
//! are a promise. They differ from those of `spool list --prometheus`: one collector takes both files, and refuses a
//! metric that comes twice.
//!
//! What cannot be read has no sample, and `status_errors` says so.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Write};

use crate::command::status::view::View;
use crate::output::prometheus::{escape_label, write_head};

/// One value, and the destination that it is about.
type Sample<'a> = (Option<&'a str>, i64);

/// Name, meaning, and how it is taken.
type Gauge = (&'static str, &'static str, fn(&View) -> Vec<Sample<'_>>);

const GAUGES: [Gauge; 11] = [
    (
        "suspended_destinations",
        "Destinations that get no mail now, by the guard or by hand.",
        |view| number(view.count_suspended()),
    ),
    (
        "suspended_timestamp_seconds",
        "Since when the destination is suspended.",
        View::suspended_since,
    ),
    (
        "last_probe_timestamp_seconds",
        "When the probe was sent on which it is not yet known whether it arrived.",
        View::last_probes,
    ),
    (
        "kept_messages",
        "Messages that were kept instead of being sent there, and can be sent on.",
        View::kept_messages,
    ),
    (
        "held_messages",
        "Copies of what was sent to the administrator.",
        |view| number(view.held.0),
    ),
    ("held_bytes", "Size of these copies, compressed.", |view| {
        number(view.held.1)
    }),
    (
        "overflow_messages",
        "Messages for which the mailbox has no room.",
        |view| number(view.overflow.as_ref().map_or(0, |overflow| overflow.messages)),
    ),
    ("overflow_bytes", "Size of these messages.", |view| {
        number(view.overflow.as_ref().map_or(0, |overflow| overflow.bytes))
    }),
    (
        "user_mailbox_bytes",
        "Size of the mailbox, where it can be told.",
        |view| view.usage.map_or_else(Vec::new, |usage| number(usage.bytes)),
    ),
    (
        "user_quota_bytes",
        "How large it may be, where that is limited.",
        |view| view.limit.bytes.map_or_else(Vec::new, number),
    ),
    (
        "status_errors",
        "Whether something that is remembered could not be read.",
        |view| number(u8::from(view.wrong.is_some())),
    ),
];

fn number<'a>(value: impl TryInto<i64>) -> Vec<Sample<'a>> {
    vec![(None, value.try_into().unwrap_or(i64::MAX))]
}

pub fn write_metrics(view: &View, output: &mut impl Write) -> io::Result<()> {
    let user = escape_label(OsStr::new(&view.user));
    for (name, help, take) in GAUGES {
        write_head(output, name, help)?;
        for (destination, value) in take(view) {
            let destination = destination.map_or_else(String::new, |to| {
                format!(",destination=\"{}\"", escape_label(OsStr::new(to)))
            });
            writeln!(output, "spoolguard_{name}{{user=\"{user}\"{destination}}} {value}")?;
        }
    }
    Ok(())
}

/// What several users' runs wrote, with all values of a metric behind one head: the format takes no metric in two
/// places.
#[derive(Debug, Default)]
pub struct Merged(BTreeMap<usize, String>);

impl Merged {
    /// Takes what a run wrote. Lines that are none of ours are left out.
    pub fn take(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split('{').next().and_then(|name| name.strip_prefix("spoolguard_"));
            if let Some(at) = GAUGES.iter().position(|(own, _, _)| Some(*own) == name) {
                let samples = self.0.entry(at).or_default();
                samples.push_str(line);
                samples.push('\n');
            }
        }
    }

    pub fn write(&self, output: &mut impl Write) -> io::Result<()> {
        for (at, (name, help, _)) in GAUGES.iter().enumerate() {
            write_head(output, name, help)?;
            output.write_all(self.0.get(&at).map_or(&b""[..], |samples| samples.as_bytes()))?;
        }
        Ok(())
    }
}
