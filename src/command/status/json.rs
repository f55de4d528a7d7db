//! How a user's forwards stand, as one JSON object a line for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::command::status::view::{KeptForDestination, View};
use crate::deliver::divert::rules::tally::StormCounts;
use crate::deliver::forward::rules::kept::KeptReason;
use crate::deliver::forward::rules::suspension_reason::SuspensionReason;
use crate::deliver::forward::rules::{Destination, Failure, FailureSource, ProbeStage, Waits};
use crate::deliver::overflow::Overflow;
use crate::moment::Moment;
use crate::output::json::write_line;
use crate::report::status_code::FailureClass;

/// The word for how a route stands.
fn state(route: &Destination) -> &'static str {
    match route.suspended.as_ref().map(|suspension| &suspension.waits) {
        None => "open",
        Some(Waits::ForHand) => "suspended-by-hand",
        Some(Waits::ForProbe(_)) => "suspended",
        Some(Waits::ForNews(_)) => "probing",
    }
}

/// The keys are a promise; `kind` comes first.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[allow(clippy::large_enum_variant, reason = "made, written and dropped one at a time")]
enum StatusLine<'a> {
    Destination {
        user: &'a str,
        destination: &'a str,
        state: &'a str,
        since: Option<String>,
        reason: Option<&'a str>,
        kept: u64,
        next_probe: Option<String>,
        probe_sent: Option<String>,
        open_again: Option<String>,
        points: f64,
        threshold: u32,
        failing_since: Option<String>,
        hard: u64,
        soft: u64,
        message: u64,
        unclear: u64,
        late: u64,
        taken: u64,
        last: Option<LastFailure<'a>>,
        notices_owed: usize,
    },
    Lost {
        user: &'a str,
        at: String,
        message_id: Option<&'a str>,
        from: Option<&'a str>,
        date: Option<&'a str>,
        destination: Option<&'a str>,
    },
    Kept {
        user: &'a str,
        destination: &'a str,
        messages: u64,
        archives: BTreeMap<&'a str, u64>,
        since: String,
        mailbox: String,
        reasons: Vec<KeptFor<'a>>,
        command: &'a str,
    },
    Summary {
        user: &'a str,
        suspended: usize,
        kept: u64,
        lost: u64,
        held: u64,
        held_bytes: u64,
        unreturnable: u64,
        unreturnable_bytes: u64,
        diverted: Option<&'a StormCounts>,
        overflow: u64,
        overflow_bytes: u64,
        overflow_counted: u64,
        journals: Vec<String>,
        error: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct KeptFor<'a> {
    reason: KeptReason,
    messages: u64,
    said: &'a str,
}

#[derive(Serialize)]
struct LastFailure<'a> {
    at: String,
    class: FailureClass,
    source: FailureSource,
    status: Option<&'a str>,
    said: &'a str,
    host: Option<&'a str>,
    message_id: Option<&'a str>,
}

fn stamp(moment: Moment) -> String {
    moment.to_rfc3339().unwrap_or_default()
}

fn last(failure: &Failure) -> LastFailure<'_> {
    LastFailure {
        at: stamp(failure.at),
        class: failure.class,
        source: failure.source,
        status: failure.status.as_deref(),
        said: &failure.said,
        host: failure.host.as_deref(),
        message_id: failure.id.as_deref(),
    }
}

/// Writes it for programs: a line for each route, for each message that was lost from view, for each list of kept mail,
/// and one that sums up.
pub fn write_json(view: &View, output: &mut impl Write) -> io::Result<()> {
    let routes = view.routes.routes.iter().map(|route| destination_line(view, route));
    let lost = view.routes.lost.iter().map(|entry| StatusLine::Lost {
        user: &view.user,
        at: stamp(entry.at),
        message_id: entry.lost.message_id.as_deref(),
        from: entry.lost.from.as_deref(),
        date: entry.lost.date.as_deref(),
        destination: entry.lost.destination.as_deref(),
    });
    let kept = view.kept.iter().map(|kept| kept_line(view, kept));
    for line in routes.chain(lost).chain(kept) {
        write_line(output, &line)?;
    }
    write_line(output, &summary_line(view))
}

fn destination_line<'a>(view: &'a View, route: &'a Destination) -> StatusLine<'a> {
    let suspension = route.suspended.as_ref();
    let (next_probe, probe_sent, open_again) = match suspension.map(|suspension| &suspension.waits) {
        None | Some(Waits::ForHand) => (None, None, None),
        Some(Waits::ForProbe(from)) => (Some(stamp(*from)), None, None),
        Some(Waits::ForNews(probe)) => match probe.stage {
            ProbeStage::Claimed => (None, Some(stamp(probe.at)), None),
            ProbeStage::Sent(until) => (None, Some(stamp(probe.at)), Some(stamp(until))),
        },
    };
    let reason = suspension.and_then(|suspension| suspension.reason);
    let health = &route.health;
    StatusLine::Destination {
        user: &view.user,
        destination: &route.destination,
        state: state(route),
        since: suspension.map(|suspension| stamp(suspension.since)),
        reason: reason.map(SuspensionReason::name),
        kept: suspension.map_or(0, |suspension| suspension.kept),
        next_probe,
        probe_sent,
        open_again,
        points: f64::from(health.half_points(view.now, &view.settings)) / 2.0,
        threshold: view.settings.threshold,
        failing_since: health.failing_since.map(stamp),
        hard: health.hard,
        soft: health.soft,
        message: health.message,
        unclear: health.unclear,
        late: health.late,
        taken: health.taken,
        last: health.last.as_ref().map(last),
        notices_owed: route.owed.iter().count(),
    }
}

fn kept_line<'a>(view: &'a View, kept: &'a KeptForDestination) -> StatusLine<'a> {
    let since = kept.list.waiting().map(|entry| entry.at).min().unwrap_or_default();
    let reasons = kept.list.count_by_reason().into_iter();
    let reasons = reasons.map(|(reason, messages, said)| KeptFor { reason, messages, said });
    StatusLine::Kept {
        user: &view.user,
        destination: &kept.list.destination,
        messages: kept.list.waiting().count() as u64,
        archives: kept.list.count_by_archive(),
        since: stamp(Moment::from_seconds(since)),
        mailbox: view.mailbox.clone(),
        reasons: reasons.collect(),
        command: &kept.command,
    }
}

fn summary_line(view: &View) -> StatusLine<'_> {
    let overflow = |number: fn(&Overflow) -> u64| view.overflow.as_ref().map_or(0, number);
    StatusLine::Summary {
        user: &view.user,
        suspended: view.count_suspended(),
        kept: view.kept.iter().map(|kept| kept.list.waiting().count() as u64).sum(),
        lost: view.routes.lost.len() as u64 + view.routes.lost_before,
        held: view.held.0,
        held_bytes: view.held.1,
        unreturnable: view.unreturnable.0,
        unreturnable_bytes: view.unreturnable.1,
        diverted: view.diverted.as_ref(),
        overflow: overflow(|overflow| overflow.messages),
        overflow_bytes: overflow(|overflow| overflow.bytes),
        overflow_counted: overflow(|overflow| overflow.counted),
        journals: view.journals.iter().map(|path| path.display().to_string()).collect(),
        error: view.wrong.as_deref(),
    }
}
