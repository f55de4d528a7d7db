//! `spoolguard status --send-kept`: sends on what was kept for one destination, each message once, oldest first. The
//! mailbox keeps its copies.
//!
//! A run of its own sends each message, and notes what came of it. A kill of the command does not end that run; the
//! next command waits for it, and sees what it did. Only a kill of that run itself, between sending and noting, leaves
//! the outcome open. Then the message is sent again: one too many is better than one too few.

pub mod copies;
pub mod moved;
pub mod one;

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use time::OffsetDateTime;

use crate::cli::Everywhere;
use crate::command::status::named::refuse_no_destination;
use crate::command::status::send_kept::copies::{CopyLocation, find_copies, find_locked, headline_of};
use crate::deliver::context::Run;
use crate::deliver::forward::kept::{KeptFile, reason_text};
use crate::deliver::forward::rules::kept::{KeptEvent, KeptList, KeptMessage, KeptState};
use crate::deliver::headers;
use crate::error::{Category, Error, Status};
use crate::escape::make_visible;
use crate::moment::Moment;
use crate::output::sizes::{message_count_text, size_text};
use crate::output::{OutputForm, shell};
use crate::spool::consent::{Consent, ConsentAnswer};
use crate::sys::self_exec;

const LISTED: usize = 20;

struct SendPlan {
    file: KeptFile,
    list: KeptList,
    places: HashMap<String, CopyLocation>,
}

/// Sends on what was kept for `destination`. Fails when the list or the mailbox cannot be read, or a message cannot be
/// sent now.
pub fn run(
    run: &Run,
    destination: &str,
    consent: Consent,
    everywhere: &Everywhere,
    now: OffsetDateTime,
) -> Result<Status, Error> {
    if !run.store.can_be_read() {
        let cause = format!("what was kept lies behind {}, where it cannot be read", run.store);
        let error = Error::new(Category::Configuration, "send what was kept for", destination, cause);
        return Err(error.hint("a mail client can send it on"));
    }
    let Some(plan) = SendPlan::make(run, destination)? else {
        refuse_no_destination(destination, run)?;
        say(&format!("nothing was kept for {destination}"));
        return Ok(Status::Done);
    };
    let found = plan
        .list
        .waiting()
        .filter(|entry| plan.places.contains_key(&entry.key))
        .count();
    say(plan.text(run).trim_end());
    let (question, undone) = if found > 0 {
        let to = &plan.list.destination;
        (
            format!("Send {} to {to}?", message_count_text(found as u64)),
            "nothing was sent",
        )
    } else {
        let question = "Take them off the list?".to_owned();
        (question, "nothing was sent or taken off the list")
    };
    match consent.decide(&question, undone, OutputForm::Text) {
        ConsentAnswer::Proceed => {}
        ConsentAnswer::Leave { status, last_line } => {
            say(&last_line);
            return Ok(status);
        }
    }
    plan.carry_out(run, everywhere, now)
}

/// What is done is done, whether somebody reads it or not.
fn say(text: &str) {
    let lines: Vec<_> = text.lines().map(make_visible).collect();
    let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
}

impl SendPlan {
    /// None where nothing waits.
    fn make(run: &Run, destination: &str) -> Result<Option<Self>, Error> {
        let Some(file) = KeptFile::of(run, destination) else {
            if let Some(trouble) = run.state_trouble() {
                return Err(trouble);
            }
            return Ok(None);
        };
        let mut list = file.read()?;
        if list.entries_to_find().next().is_none() {
            return Ok(None);
        }
        let places = find_copies(run, &list)?;
        list.bring_back(|key| places.contains_key(key));
        let waits = list.waiting().next().is_some();
        Ok(waits.then_some(Self { file, list, places }))
    }

    fn text(&self, run: &Run) -> String {
        let to = &self.list.destination;
        let waiting: Vec<&KeptMessage> = self.list.waiting().collect();
        let bytes: u64 = self.places.values().map(|place| place.bytes).sum();
        let mut text = format!(
            "{} kept for {to}, {} in all, in {}:\n",
            message_count_text(waiting.len() as u64),
            size_text(bytes),
            shell::quote_path(Path::new(&run.store.to_string()))
        );
        for reason in self.list.count_by_reason() {
            text.push_str(&format!("    {}\n", reason_text(to, &reason)));
        }
        for entry in waiting.iter().take(LISTED) {
            let when = headers::moment_text(Moment::from_seconds(entry.at));
            let place = self.places.get(&entry.key);
            let said = match (place, entry.state) {
                (None, _) => match &entry.archive {
                    Some(archive) => format!("archived in {archive}: `spool restore` puts it back"),
                    None => "no longer in the mailbox, but removed or in another folder: taken off the list until it is back there".to_owned(),
                },
                (Some(place), KeptState::Kept | KeptState::Gone | KeptState::Settled) => size_text(place.bytes),
                (Some(place), KeptState::Sending) => {
                    format!("{}; a run that was killed may have sent it", size_text(place.bytes))
                }
            };
            let headline = place.and_then(headline_of).unwrap_or_default();
            text.push_str(&format!("  {when}  {headline}  {said}\n"));
        }
        if waiting.len() > LISTED {
            text.push_str(&format!("  and {} more\n", waiting.len() - LISTED));
        }
        text
    }

    fn carry_out(&self, run: &Run, everywhere: &Everywhere, now: OffsetDateTime) -> Result<Status, Error> {
        let at = now.unix_timestamp();
        let (mut sent, mut refused, mut gone, mut archived) = (0_u64, 0_u64, 0_u64, 0_u64);
        let found = self.places.len();
        // What was not seen may only have been on the move.
        let is_missing = |entry: &KeptMessage| !self.places.contains_key(&entry.key);
        let moved = match self.list.waiting().any(is_missing) {
            true => find_locked(run, &self.list)?,
            false => HashMap::new(),
        };
        for entry in self.list.waiting() {
            run.deadline.begin_again();
            run.deadline.check("send", &self.list.destination)?;
            let place = self.places.get(&entry.key).or_else(|| moved.get(&entry.key));
            let Some(place) = place else {
                // Where nothing else waits it was asked whether to forget it.
                if entry.archive.is_some() && found > 0 {
                    archived += 1;
                    continue;
                }
                self.file.add(run, &self.list.own, at, &[KeptEvent::Gone(&entry.key)])?;
                gone += 1;
                continue;
            };
            match self.send_in_a_run_of_its_own(run, everywhere, entry, place)? {
                Status::Done => sent += 1,
                Status::Wrong | Status::Usage | Status::Refused => refused += 1,
                Status::TryAgain => {
                    say(&format!(
                        "{} sent; the others remain on the list",
                        message_count_text(sent)
                    ));
                    return Ok(Status::TryAgain);
                }
            }
        }
        self.file.remove_if_settled(run)?;
        let mut parts = vec![format!(
            "{} sent to {}",
            message_count_text(sent),
            self.list.destination
        )];
        if gone > 0 {
            parts.push(format!("{gone} no longer in the mailbox"));
        }
        if archived > 0 {
            parts.push(format!("{archived} in an archive, still kept"));
        }
        if refused > 0 {
            parts.push(format!("{refused} refused, still kept"));
        }
        say(&parts.join("; "));
        Ok(if refused > 0 { Status::Wrong } else { Status::Done })
    }

    fn send_in_a_run_of_its_own(
        &self,
        run: &Run,
        everywhere: &Everywhere,
        entry: &KeptMessage,
        place: &CopyLocation,
    ) -> Result<Status, Error> {
        let mut command = self_exec::start_self();
        command
            .args(everywhere.arguments())
            .args(["status", run.account.flag(), &run.account.name, "--yes", "--send-kept"])
            .arg(&self.list.destination)
            .arg("--one")
            .arg(format!("{} {place}", entry.key))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // What is sent to the group of this command, ^C or a kill, does not end it between sending and noting that.
            .process_group(0);
        let fail = |e: io::Error| Error::io("send", Path::new(&self.list.destination), &e);
        let status = command.status().map_err(fail)?;
        Ok(match status.code() {
            Some(0) => Status::Done,
            Some(1) => Status::Wrong,
            _ => Status::TryAgain,
        })
    }
}
