//! How a user's forwards stand, as text for people and as one JSON object a line for programs. Whatever other hosts said is escaped.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::command::status::send_kept::find_copies;
use crate::config::SuspensionSettings;
use crate::config::value::Limit;
use crate::deliver::context::Run;
use crate::deliver::divert::held::FORWARDED_DIR;
use crate::deliver::divert::rules::storm::StormCounts;
use crate::deliver::divert::throttle;
use crate::deliver::forward::destinations::{self, to_moment};
use crate::deliver::forward::kept;
use crate::deliver::forward::notices;
use crate::deliver::forward::rules::kept::{KeptList, KeptReason};
use crate::deliver::forward::rules::suspension_reason::SuspensionReason;
use crate::deliver::forward::rules::{Destination, Destinations, Failure, PendingNotice, ProbeStage, Waits};
use crate::deliver::headers;
use crate::deliver::overflow::{self, Overflow};
use crate::escape::visible;
use crate::mailbox::expunge::set_aside;
use crate::moment::Moment;
use crate::output::json::write_line;
use crate::quota::Usage;

/// What is to be shown.
#[derive(Debug)]
pub struct View {
    /// Whose forwards they are.
    pub user: String,
    command: String,
    mailbox: String,
    now: Moment,
    settings: SuspensionSettings,
    routes: Destinations,
    /// Copies of what was sent to the administrator: how many, how many bytes, where.
    pub held: (u64, u64, PathBuf),
    /// Copies of null-sender mail that was sent on: how many, how many bytes, where.
    unreturnable: (u64, u64, PathBuf),
    /// What was diverted, where anything was.
    diverted: Option<StormCounts>,
    /// What was kept instead of being sent on, and can be sent on.
    kept: Vec<KeptForDestination>,
    /// What the mailbox has no room for, where there is any.
    pub overflow: Option<Overflow>,
    /// How full the mailbox is, where it can be told.
    pub usage: Option<Usage>,
    /// How full it may be.
    pub limit: Limit,
    /// Journals of the mailbox that were set aside.
    journals: Vec<PathBuf>,
    /// What cannot be read, and why.
    pub wrong: Option<String>,
}

/// What was kept for one destination.
#[derive(Debug)]
struct KeptForDestination {
    list: KeptList,
    command: String,
}

impl KeptForDestination {
    /// Of each list what is still in the mailbox: what the user has removed is no longer kept.
    fn take(run: &Run) -> (Vec<Self>, Option<String>) {
        let (mut found, mut wrong) = (Vec::new(), None);
        for list in kept::read_kept_lists(run) {
            match list {
                Ok(mut list) => {
                    if list.waiting().next().is_none() {
                        continue;
                    }
                    match find_copies(run, &list) {
                        Ok(places) => list.entries.retain(|entry| places.contains_key(&entry.key)),
                        Err(e) => wrong = Some(e.to_string()),
                    }
                    let command = headers::send_kept_command(&run.account, &list.destination);
                    found.push(Self { list, command });
                }
                Err(e) => wrong = Some(e.to_string()),
            }
        }
        found.retain(|kept| kept.list.waiting().next().is_some());
        (found, wrong)
    }
}

impl KeptForDestination {
    /// Tells whether some of it is kept for a reason that the user can end.
    fn can_end(&self) -> bool {
        self.list.waiting().any(|entry| entry.reason.can_end())
    }
}

/// Journals of the mailbox that were set aside; only an mbox has some.
fn journals(run: &Run) -> Vec<PathBuf> {
    let mbox = run.store.mbox();
    mbox.map(|path| set_aside::find_journals(path, run.state_dir().as_deref()))
        .unwrap_or_default()
}

impl View {
    /// Looks, and changes nothing. What time has made due is shown as if it were done.
    pub fn take(run: &Run, now: OffsetDateTime) -> Self {
        let settings = &run.config.destinations;
        let (mut routes, wrong) = match destinations::store(run).map(|store| destinations::read_destinations(&store)) {
            None => (Destinations::default(), None),
            Some(Ok(routes)) => (routes, None),
            Some(Err(e)) => (Destinations::default(), Some(e.to_string())),
        };
        routes.tick(to_moment(now), settings);
        let (diverted, wrong) = match throttle::read_counts(run, now.unix_timestamp()) {
            Ok(counts) => (counts, wrong),
            Err(e) => (None, wrong.or(Some(e.to_string()))),
        };
        let (kept, unread) = KeptForDestination::take(run);
        let wrong = wrong.or(unread);
        let wrong = run.state_trouble().map(|e| e.to_string()).or(wrong);
        let held = run.state_dir().unwrap_or_default().join("held");
        let (held_count, held_bytes) = count(&held);
        let forwarded = run.state_dir().unwrap_or_default().join(FORWARDED_DIR);
        let (forwarded_count, forwarded_bytes) = count(&forwarded);
        let limit = run.store.limit(run);
        Self {
            user: run.account.name.clone(),
            command: headers::status_command(&run.account),
            usage: run.store.usage(run, Limit::default()).ok(),
            limit,
            mailbox: run.store.to_string(),
            now: to_moment(now),
            settings: settings.clone(),
            routes,
            held: (held_count, held_bytes, held),
            unreturnable: (forwarded_count, forwarded_bytes, forwarded),
            diverted,
            kept,
            overflow: run
                .state_dir()
                .and_then(|dir| overflow::inspect_overflow(&dir, run.account.uid)),
            journals: journals(run),
            wrong,
        }
    }

    /// Tells whether all mail goes its way.
    pub fn is_well(&self) -> bool {
        let is_late = |notice: &&PendingNotice| notice.tries > 0;
        let owed = self.routes.routes.iter().flat_map(|route| route.owed.iter());
        self.wrong.is_none()
            && !self.kept.iter().any(KeptForDestination::can_end)
            && self.overflow.is_none()
            && self.journals.is_empty()
            && self.suspended() == 0
            && owed.filter(is_late).count() == 0
    }

    /// How many destinations are suspended.
    pub fn suspended(&self) -> usize {
        let routes = self.routes.routes.iter();
        routes.filter(|route| route.suspended.is_some()).count()
    }

    /// Since when each suspended destination is, in seconds since 1970.
    pub fn suspended_since(&self) -> Vec<(Option<&str>, i64)> {
        let routes = self.routes.routes.iter();
        routes
            .filter_map(|route| Some((Some(&*route.destination), route.suspended.as_ref()?.since.seconds())))
            .collect()
    }

    /// When each probe was sent of which nothing is known yet.
    pub fn last_probes(&self) -> Vec<(Option<&str>, i64)> {
        let routes = self.routes.routes.iter();
        routes
            .filter_map(|route| match &route.suspended.as_ref()?.waits {
                Waits::ForNews(probe) => Some((Some(&*route.destination), probe.at.seconds())),
                Waits::ForHand | Waits::ForProbe(_) => None,
            })
            .collect()
    }

    /// How many messages were kept for each destination, and can be sent on.
    pub fn kept_messages(&self) -> Vec<(Option<&str>, i64)> {
        let count = |list: &KeptList| i64::try_from(list.waiting().count()).unwrap_or(i64::MAX);
        let kept = self.kept.iter();
        kept.map(|kept| (Some(&*kept.list.destination), count(&kept.list)))
            .collect()
    }

    fn points(&self, route: &Destination) -> String {
        let halves = route.health.half_points(self.now, &self.settings);
        format!("{}{}", halves / 2, if halves.is_multiple_of(2) { "" } else { ".5" })
    }
}

/// How many held copies there are, and how large.
fn count(held: &std::path::Path) -> (u64, u64) {
    let entries = std::fs::read_dir(held).into_iter().flatten().filter_map(Result::ok);
    entries
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "gz"))
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .fold((0, 0), |(count, bytes), length| (count + 1, bytes + length))
}

/// The word for how a route stands.
fn state(route: &Destination) -> &'static str {
    match route.suspended.as_ref().map(|suspension| &suspension.waits) {
        None => "open",
        Some(Waits::ForHand) => "suspended-by-hand",
        Some(Waits::ForProbe(_)) => "suspended",
        Some(Waits::ForNews(_)) => "probing",
    }
}

/// The line for a user of whom there is nothing to tell.
pub fn nothing_text(user: &str) -> String {
    format!("{}: no forward fails or is suspended, nothing is held\n", visible(user))
}

fn write_overflow(user: &str, overflow: &Overflow, output: &mut impl Write) -> io::Result<()> {
    let Overflow {
        path,
        messages: count,
        bytes,
        counted,
    } = overflow;
    let more = match counted {
        0 => String::new(),
        counted => format!(", and {counted} more were equal to one of them"),
    };
    writeln!(
        output,
        "{user}: the mailbox had no room for {} ({} KiB){more}: {}; to put back what fits: spoolguard spool restore \
         --overflow --user {user}",
        messages(*count),
        bytes.div_ceil(1024),
        visible(&path.display().to_string())
    )
}

/// Writes it for people.
///
/// # Errors
/// When writing fails.
pub fn write_text(view: &View, output: &mut impl Write) -> io::Result<()> {
    let user = visible(&view.user);
    if let Some(wrong) = &view.wrong {
        writeln!(
            output,
            "{user}: {}; it is set aside with the next delivery",
            visible(wrong)
        )?;
    }
    let (held, held_bytes, dir) = &view.held;
    let routes = &view.routes;
    let is_nothing = routes.routes.is_empty()
        && routes.lost.is_empty()
        && *held == 0
        && view.unreturnable.0 == 0
        && view.kept.is_empty()
        && view.overflow.is_none()
        && view.journals.is_empty()
        && view.diverted.is_none();
    if is_nothing && view.wrong.is_none() {
        return output.write_all(nothing_text(&view.user).as_bytes());
    }
    for journal in &view.journals {
        writeln!(
            output,
            "{user}: {}: the journal of an archive, a sweep or a restore, set aside since it was damaged or the disk failed: check the \
             disk, and whether the mailbox has the mail in it; then remove it",
            visible(&journal.display().to_string())
        )?;
    }
    for route in &view.routes.routes {
        write_route(view, route, output)?;
    }
    write_lost(view, output)?;
    for kept in &view.kept {
        write_kept(view, kept, output)?;
    }
    if let Some(counts) = &view.diverted {
        write_diverted(&user, counts, output)?;
    }
    if *held > 0 {
        writeln!(
            output,
            "{user}: held copies of what was sent to the administrator: {held}, {} KiB; to read them: zcat {}/*.gz",
            held_bytes.div_ceil(1024),
            visible(&dir.display().to_string())
        )?;
    }
    if let Some(overflow) = &view.overflow {
        write_overflow(&user, overflow, output)?;
    }
    let (count, bytes, dir) = &view.unreturnable;
    if *count > 0 {
        writeln!(
            output,
            "{user}: copies of forwarded mail with the null sender, of which no failure would be reported: {count}, {} KiB; to read \
             them: zcat {}/*.gz",
            bytes.div_ceil(1024),
            visible(&dir.display().to_string())
        )?;
    }
    Ok(())
}

fn write_route(view: &View, route: &Destination, output: &mut impl Write) -> io::Result<()> {
    let user = visible(&view.user);
    let to = visible(&route.destination);
    let health = &route.health;
    let mailbox = visible(&view.mailbox);
    match &route.suspended {
        None => writeln!(output, "{user}: {to}: open")?,
        Some(suspension) => {
            writeln!(
                output,
                "{user}: {to}: suspended since {}, {} kept in {mailbox}",
                headers::moment_text(suspension.since),
                messages(suspension.kept)
            )?;
            let next = match &suspension.waits {
                Waits::ForHand => "suspended manually".to_owned(),
                Waits::ForProbe(from) if *from <= view.now => "the next message is the probe".to_owned(),
                Waits::ForProbe(from) => {
                    format!(
                        "the first message after {} is the next probe",
                        headers::moment_text(*from)
                    )
                }
                Waits::ForNews(probe) => match probe.stage {
                    ProbeStage::Claimed => "a probe is on its way".to_owned(),
                    ProbeStage::Sent(until) => format!(
                        "a probe was sent on {}; open again on {} if nobody reports that it failed",
                        headers::moment_text(probe.at),
                        headers::moment_text(until)
                    ),
                },
            };
            match suspension.reason {
                Some(SuspensionReason::Burst) => writeln!(
                    output,
                    "    suspended by a burst: {} or more messages failed within an hour",
                    view.settings.burst
                )?,
                Some(SuspensionReason::Points) => writeln!(
                    output,
                    "    suspended by points: its failures reached {} points",
                    view.settings.threshold
                )?,
                None => {}
            }
            writeln!(output, "    {next}")?;
        }
    }
    writeln!(
        output,
        "    {} of {} points",
        view.points(route),
        view.settings.threshold
    )?;
    let counts = [
        (health.hard, "failed because of the address"),
        (health.soft, "because of its state"),
        (health.message, "because of the message"),
        (health.unclear, "cause unknown"),
        (health.late, "reports of delay"),
        (health.taken, "accepted by sendmail since the last failure"),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    if !counts.is_empty() {
        writeln!(output, "    {}", counts.join(", "))?;
    }
    if let Some(last) = &health.last {
        writeln!(
            output,
            "    last failure {}: {}",
            headers::moment_text(last.at),
            notices::failure_text(last)
        )?;
    }
    for notice in route.owed.iter() {
        let tries = if notice.tries == 0 {
            "not written yet"
        } else {
            "still to be written: the last try failed"
        };
        let whom = match notice.to {
            crate::deliver::forward::rules::To::User => "the user",
            crate::deliver::forward::rules::To::Admin => "the administrator",
        };
        writeln!(
            output,
            "    a notice to {whom} of {} is {tries}",
            headers::moment_text(notice.at)
        )?;
    }
    if route.suspended.is_some() {
        let to = headers::escape_word(&route.destination);
        writeln!(output, "    to forward there again: {} --resume {to}", view.command)?;
    }
    Ok(())
}

fn write_lost(view: &View, output: &mut impl Write) -> io::Result<()> {
    let lost = &view.routes.lost;
    if lost.is_empty() {
        return Ok(());
    }
    let user = visible(&view.user);
    writeln!(
        output,
        "{user}: {} could not be forwarded, and came back as nothing but a header:",
        messages(lost.len() as u64 + view.routes.lost_before)
    )?;
    for entry in lost {
        let word = |text: &Option<String>| visible(text.as_deref().unwrap_or("unknown"));
        writeln!(
            output,
            "    {}: {} from {}, of {}, to {}",
            headers::moment_text(entry.at),
            word(&entry.lost.message_id),
            word(&entry.lost.from),
            word(&entry.lost.date),
            word(&entry.lost.destination)
        )?;
    }
    match view.routes.lost_before {
        0 => Ok(()),
        more => writeln!(output, "    and {more} before these"),
    }
}

fn write_kept(view: &View, kept: &KeptForDestination, output: &mut impl Write) -> io::Result<()> {
    let to = visible(&kept.list.destination);
    let since = kept.list.waiting().map(|entry| entry.at).min().unwrap_or_default();
    writeln!(
        output,
        "{}: {to}: {} kept in {} instead of being sent on, the first on {}; to send what is kept on: {}",
        visible(&view.user),
        messages(kept.list.waiting().count() as u64),
        visible(&view.mailbox),
        headers::moment_text(Moment::at(since)),
        visible(&kept.command)
    )?;
    for reason in kept.list.reasons() {
        writeln!(
            output,
            "    {}",
            visible(&kept::reason_text(&kept.list.destination, &reason))
        )?;
    }
    Ok(())
}

fn write_diverted(user: &str, counts: &StormCounts, output: &mut impl Write) -> io::Result<()> {
    let totals = &counts.totals;
    let numbers = [
        (totals.sent, "sent to the administrator"),
        (totals.held, "held and counted"),
        (totals.kept, "kept in the mailbox"),
        (totals.pushed_out, "removed to make room"),
        (counts.untold, "in the next digest"),
    ];
    let said: Vec<_> = numbers
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    if !said.is_empty() {
        writeln!(output, "{user}: diverted mail: {}", said.join(", "))?;
    }
    match counts.admin_full_at {
        Some(at) => writeln!(
            output,
            "{user}: the administrator's mbox had no room on {}",
            headers::moment_text(Moment::at(at))
        ),
        None => Ok(()),
    }
}

fn messages(count: u64) -> String {
    match count {
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
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
    class: crate::report::status_code::FailureClass,
    source: crate::deliver::forward::rules::FailureSource,
    status: Option<&'a str>,
    said: &'a str,
    host: Option<&'a str>,
    message_id: Option<&'a str>,
}

fn stamp(moment: Moment) -> String {
    OffsetDateTime::from_unix_timestamp(moment.seconds())
        .ok()
        .and_then(|date| date.format(&Rfc3339).ok())
        .unwrap_or_default()
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

/// Writes it for programs: a line for each route, for each message that was lost from view, and one that sums up.
///
/// # Errors
/// When writing fails.
pub fn write_json(view: &View, output: &mut impl Write) -> io::Result<()> {
    let user = view.user.as_str();
    for route in &view.routes.routes {
        let suspension = route.suspended.as_ref();
        let (next_probe, probe_sent, open_again) = match suspension.map(|suspension| &suspension.waits) {
            None | Some(Waits::ForHand) => (None, None, None),
            Some(Waits::ForProbe(from)) => (Some(stamp(*from)), None, None),
            Some(Waits::ForNews(probe)) => match probe.stage {
                ProbeStage::Claimed => (None, Some(stamp(probe.at)), None),
                ProbeStage::Sent(until) => (None, Some(stamp(probe.at)), Some(stamp(until))),
            },
        };
        let health = &route.health;
        let line = StatusLine::Destination {
            user,
            destination: &route.destination,
            state: state(route),
            since: suspension.map(|suspension| stamp(suspension.since)),
            reason: suspension
                .and_then(|suspension| suspension.reason)
                .map(SuspensionReason::name),
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
        };
        write_line(output, &line)?;
    }
    for entry in &view.routes.lost {
        let line = StatusLine::Lost {
            user,
            at: stamp(entry.at),
            message_id: entry.lost.message_id.as_deref(),
            from: entry.lost.from.as_deref(),
            date: entry.lost.date.as_deref(),
            destination: entry.lost.destination.as_deref(),
        };
        write_line(output, &line)?;
    }
    for kept in &view.kept {
        let since = kept.list.waiting().map(|entry| entry.at).min().unwrap_or_default();
        let reasons =
            kept.list
                .reasons()
                .into_iter()
                .map(|(reason, messages, said)| KeptFor { reason, messages, said });
        let line = StatusLine::Kept {
            user,
            destination: &kept.list.destination,
            messages: kept.list.waiting().count() as u64,
            since: stamp(Moment::at(since)),
            mailbox: view.mailbox.clone(),
            reasons: reasons.collect(),
            command: &kept.command,
        };
        write_line(output, &line)?;
    }
    let line = StatusLine::Summary {
        user,
        suspended: view.suspended(),
        kept: view.kept.iter().map(|kept| kept.list.waiting().count() as u64).sum(),
        lost: view.routes.lost.len() as u64 + view.routes.lost_before,
        held: view.held.0,
        held_bytes: view.held.1,
        unreturnable: view.unreturnable.0,
        unreturnable_bytes: view.unreturnable.1,
        diverted: view.diverted.as_ref(),
        overflow: view.overflow.as_ref().map_or(0, |overflow| overflow.messages),
        overflow_bytes: view.overflow.as_ref().map_or(0, |overflow| overflow.bytes),
        overflow_counted: view.overflow.as_ref().map_or(0, |overflow| overflow.counted),
        journals: view.journals.iter().map(|path| path.display().to_string()).collect(),
        error: view.wrong.as_deref(),
    };
    write_line(output, &line)
}
