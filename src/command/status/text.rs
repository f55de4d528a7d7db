//! How a user's forwards stand, as text for people. Whatever other hosts said is escaped.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::command::status::view::{KeptForDestination, View};
use crate::deliver::divert::rules::tally::StormCounts;
use crate::deliver::forward::rules::suspension_reason::SuspensionReason;
use crate::deliver::forward::rules::{Destination, ProbeStage, Suspension, To, Waits};
use crate::deliver::forward::{kept, notices};
use crate::deliver::headers;
use crate::deliver::overflow::Overflow;
use crate::escape::make_visible;
use crate::moment::Moment;
use crate::output::shell;
use crate::output::sizes::{message_count_text, size_text};

pub fn nothing_text(user: &str) -> String {
    format!(
        "{}: no forward fails or is suspended, nothing is held\n",
        make_visible(user)
    )
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
        "{user}: the mailbox had no room for {} ({}){more}: {}; to put back what fits: {} spool restore --overflow --user {}",
        message_count_text(*count),
        size_text(*bytes),
        make_visible(&path.display().to_string()),
        shell::program_command(),
        shell::quote_word(user)
    )
}

pub fn write_text(view: &View, output: &mut impl Write) -> io::Result<()> {
    let user = make_visible(&view.user);
    if let Some(wrong) = &view.wrong {
        writeln!(output, "{user}: {}", make_visible(wrong))?;
    }
    if view.is_empty() {
        return output.write_all(nothing_text(&view.user).as_bytes());
    }
    for journal in &view.journals {
        writeln!(
            output,
            "{user}: {}: the journal of an archive, a sweep or a restore, set aside since it was damaged or the disk failed: check the \
             disk, and whether the mailbox has the mail in it; then remove it",
            make_visible(&journal.display().to_string())
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
    let what = "held copies of what was sent to the administrator";
    write_copies(&user, what, &view.held, output)?;
    if let Some(overflow) = &view.overflow {
        write_overflow(&user, overflow, output)?;
    }
    let what = "copies of forwarded mail that no report would bring back, such as that with the null sender";
    write_copies(&user, what, &view.unreturnable, output)
}

/// How many copies lie in a directory, where any do, and how to read them.
fn write_copies(user: &str, what: &str, copies: &(u64, u64, PathBuf), output: &mut impl Write) -> io::Result<()> {
    let (count, bytes, dir) = copies;
    if *count == 0 {
        return Ok(());
    }
    let (size, dir) = (size_text(*bytes), shell::quote_path(dir));
    writeln!(output, "{user}: {what}: {count}, {size}; to read them: zcat {dir}/*.gz")
}

fn write_route(view: &View, route: &Destination, output: &mut impl Write) -> io::Result<()> {
    let (user, to) = (make_visible(&view.user), make_visible(&route.destination));
    match &route.suspended {
        None => writeln!(output, "{user}: {to}: open")?,
        Some(suspension) => {
            let since = headers::moment_text(suspension.since);
            let (kept, mailbox) = (
                message_count_text(kept_count(view, route, suspension)),
                make_visible(&view.mailbox),
            );
            writeln!(
                output,
                "{user}: {to}: suspended since {since}, {kept} kept in {mailbox}"
            )?;
            write_suspension(view, suspension, output)?;
        }
    }
    // Neither a burst nor a hand asked for points.
    let counts_points = route
        .suspended
        .as_ref()
        .is_none_or(|suspension| suspension.reason == Some(SuspensionReason::Points));
    if counts_points {
        let (points, threshold) = (view.points_text(route), view.settings.threshold);
        writeln!(output, "    {points} of {threshold} points")?;
    }
    write_failures(route, output)?;
    for notice in route.owed.iter() {
        let tries = match notice.tries {
            0 => "not written yet",
            _ => "still to be written: the last try failed",
        };
        let whom = match notice.to {
            To::User => "the user",
            To::Admin => "the administrator",
        };
        let at = headers::moment_text(notice.at);
        writeln!(output, "    a notice to {whom} of {at} is {tries}")?;
    }
    if route.suspended.is_some() {
        let to = shell::quote_word(&headers::escape_word(&route.destination));
        writeln!(output, "    to forward there again: {} --resume {to}", view.command)?;
    }
    Ok(())
}

/// How many messages for a suspended destination are kept: those that can be sent on, or what was counted where there
/// is no list of them.
fn kept_count(view: &View, route: &Destination, suspension: &Suspension) -> u64 {
    let list = view
        .kept
        .iter()
        .find(|kept| kept.list.destination.eq_ignore_ascii_case(&route.destination));
    list.map_or(suspension.kept, |kept| kept.list.count_in_mailbox())
}

fn write_suspension(view: &View, suspension: &Suspension, output: &mut impl Write) -> io::Result<()> {
    let (burst, threshold) = (view.settings.burst, view.settings.threshold);
    match suspension.reason {
        Some(SuspensionReason::Burst) => {
            writeln!(
                output,
                "    suspended by a burst: {burst} or more messages failed within an hour"
            )?;
        }
        Some(SuspensionReason::Points) => {
            writeln!(
                output,
                "    suspended by points: its failures reached {threshold} points"
            )?;
        }
        None => {}
    }
    let next = match &suspension.waits {
        Waits::ForHand => "suspended manually".to_owned(),
        Waits::ForProbe(from) if *from <= view.now => "the next message is the probe".to_owned(),
        Waits::ForProbe(from) => format!(
            "the first message after {} is the next probe",
            headers::moment_text(*from)
        ),
        Waits::ForNews(probe) => match probe.stage {
            ProbeStage::Claimed => "a probe is on its way".to_owned(),
            ProbeStage::Sent(until) => format!(
                "a probe was sent on {}; open again on {} if nobody reports that it failed",
                headers::moment_text(probe.at),
                headers::moment_text(until)
            ),
        },
    };
    writeln!(output, "    {next}")
}

/// How many failures of each kind there were, and the last of them.
fn write_failures(route: &Destination, output: &mut impl Write) -> io::Result<()> {
    let health = &route.health;
    // What was taken before a suspension says nothing any more.
    let taken = if route.suspended.is_none() { health.taken } else { 0 };
    let counts = join_counts(&[
        (health.hard, "failed because of the address"),
        (health.soft, "because of its state"),
        (health.message, "because of the message"),
        (health.unclear, "cause unknown"),
        (health.late, "reports of delay"),
        (taken, "accepted by sendmail since the last failure"),
    ]);
    if !counts.is_empty() {
        writeln!(output, "    {counts}")?;
    }
    match &health.last {
        Some(last) => {
            let at = headers::moment_text(last.at);
            writeln!(output, "    last failure {at}: {}", notices::failure_text(last))
        }
        None => Ok(()),
    }
}

/// The counts that are not zero, each with its words.
fn join_counts(counts: &[(u64, &str)]) -> String {
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let texts: Vec<_> = counts.map(|(count, words)| format!("{count} {words}")).collect();
    texts.join(", ")
}

fn write_lost(view: &View, output: &mut impl Write) -> io::Result<()> {
    let lost = &view.routes.lost;
    if lost.is_empty() {
        return Ok(());
    }
    let user = make_visible(&view.user);
    writeln!(
        output,
        "{user}: {} could not be forwarded, and came back as nothing but a header:",
        message_count_text(lost.len() as u64 + view.routes.lost_before)
    )?;
    for entry in lost {
        let word = |text: &Option<String>| make_visible(text.as_deref().unwrap_or("unknown"));
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
    let to = make_visible(&kept.list.destination);
    let user = make_visible(&view.user);
    let since = kept.list.waiting().map(|entry| entry.at).min().unwrap_or_default();
    let since = headers::moment_text(Moment::from_seconds(since));
    let here = kept.list.count_in_mailbox();
    if here > 0 {
        writeln!(
            output,
            "{user}: {to}: {} kept in {} instead of being sent on, the first on {since}",
            message_count_text(here),
            make_visible(&view.mailbox),
        )?;
    }
    for (archive, count) in kept.list.count_by_archive() {
        writeln!(
            output,
            "{user}: {to}: {} kept instead of being sent on, and archived in {}, the first on {since}; to put back what is there: {} spool \
             restore {}",
            message_count_text(count),
            make_visible(archive),
            shell::program_command(),
            shell::quote_path(Path::new(archive)),
        )?;
    }
    for reason in kept.list.count_by_reason() {
        writeln!(
            output,
            "    {}",
            make_visible(&kept::reason_text(&kept.list.destination, &reason))
        )?;
    }
    if kept.list.left_off > 0 {
        let older = message_count_text(kept.list.left_off);
        writeln!(
            output,
            "    {older} more, older ones, are in the mailbox and no longer on this list"
        )?;
    }
    let what = match here {
        0 => "once it is back in the mailbox, to send it on, or now, to take it off this list",
        _ => "to send what is kept on",
    };
    writeln!(output, "    {what}: {}", make_visible(&kept.command))
}

fn write_diverted(user: &str, counts: &StormCounts, output: &mut impl Write) -> io::Result<()> {
    let totals = &counts.totals;
    let said = join_counts(&[
        (totals.sent, "sent to the administrator"),
        (totals.kept, "kept in the mailbox"),
        (totals.pushed_out, "removed to make room"),
        (totals.held, "held and counted"),
        (counts.untold, "of these in the next digest"),
    ]);
    if !said.is_empty() {
        writeln!(output, "{user}: diverted mail: {said}")?;
    }
    match counts.admin_full_at {
        Some(at) => writeln!(
            output,
            "{user}: the administrator's mbox had no room on {}",
            headers::moment_text(Moment::from_seconds(at))
        ),
        None => Ok(()),
    }
}
