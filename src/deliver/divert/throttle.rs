//! Asks how much the administrator had already, before one more message is diverted, and holds what is too much. The
//! counts are in a file of the state directory. When the file cannot be used, everything is sent, as if there were no
//! limit: the limit is lost, never a message.
//!
//! The file is locked only while it is read and written, never while a message is stored or sendmail runs. So a place
//! is reserved before a message is sent, and given back when sending failed.

use crate::deliver::access;
use std::path::PathBuf;

use crate::deliver::context::{Delivery, Run};
use crate::deliver::divert::held::{self, HeldCopy};
use crate::deliver::divert::rules::similar::{Similarity, describe_message};
use crate::deliver::divert::rules::storm::{HeldBackReason, Step, StormState};
use crate::deliver::divert::rules::tally::StormCounts;
use crate::deliver::store::mbox;
use crate::error::{Category, Error};
use crate::sys::json_state;
use crate::sys::state_file::Store;

/// The memory, in the state directory.
const STATE_FILE: &str = "storm.json";

/// Where counted messages are held, in the state directory.
pub const STORM_DIR: &str = "storm";

/// Below it: copies of what the administrator has.
const EQUAL_DIR: &str = "equal";

/// Below it: reports of which nobody has a copy. In a place of their own, so that no copy pushes one out.
const MORE_DIR: &str = "more";

/// One message before the memory.
#[derive(Debug)]
pub struct Throttle<'a> {
    run: &'a Run,
    print: Similarity,
    now: i64,
    /// Whether what was decided is remembered.
    is_remembered: bool,
}

impl<'a> Throttle<'a> {
    /// Decides what shall become of a message that is to be diverted.
    pub fn open(run: &'a Run, delivery: &Delivery<'_>) -> (Self, Step) {
        let header_bytes = delivery.message.content().len() - delivery.message.body().len();
        let body_bytes = delivery.content_bytes().saturating_sub(header_bytes as u64);
        let mut throttle = Self {
            run,
            print: describe_message(&delivery.judgement, &delivery.message, body_bytes),
            now: delivery.date.unix_timestamp(),
            is_remembered: true,
        };
        let limits = &run.config.digest;
        let address = delivery.own_address();
        let (print, now) = (&throttle.print, throttle.now);
        let decided = change_state(run, |state| {
            if !address.is_empty() {
                state.address = address;
            }
            state.judge(print, now, limits)
        });
        let step = match decided {
            Ok(step) => step,
            Err(e) => {
                run.log_state_failure(&e, "storms are not noticed");
                None
            }
        };
        throttle.is_remembered = step.is_some();
        (throttle, step.unwrap_or(Step::Send))
    }

    pub fn note_arrival(&self) {
        if self.print.counts_when_it_arrives() {
            self.note(|state| state.note_arrival(&self.print, self.now));
        }
    }

    pub fn take_back(&self) {
        self.note(|state| state.take_back(&self.print, self.now));
    }

    /// Decides what shall become of it when the administrator's mbox is full.
    pub fn admin_is_full(&self) -> Step {
        let step = self.note(|state| state.admin_is_full(&self.print, self.now));
        step.unwrap_or(Step::Keep(HeldBackReason::Full))
    }

    /// Notes that it could not be held, and is sent instead.
    pub fn send_after_all(&self) {
        self.note(|state| state.send_after_all(&self.print, self.now));
    }

    /// Notes that it could not be held, and is kept instead.
    pub fn keep_after_all(&self) {
        self.note(|state| state.keep_after_all(&self.print, self.now));
    }

    /// Holds the message, with `fields` on top, synced.
    pub fn hold(&self, delivery: &Delivery<'_>, fields: &str, reason: HeldBackReason) -> Result<HeldCopy, Error> {
        let sort = match reason {
            HeldBackReason::Equal(_) => EQUAL_DIR,
            HeldBackReason::Budget(_) | HeldBackReason::Full => MORE_DIR,
        };
        let Some(dir) = storm_dir(self.run) else {
            let cause = "there is no state directory";
            return Err(Error::new(Category::System, "hold", "the message", cause).needs_mending());
        };
        let sender = access::separator_sender(&delivery.envelope.sender, &self.run.account);
        let letter = mbox::mailbox_entry(self.run, delivery, &sender, fields);
        let held = held::hold_copy(&dir.join(sort), &self.print.key, letter)?;
        let pushed_out = held.pushed_out as u64;
        if pushed_out > 0 {
            tracing::warn!(
                user = self.run.account.name,
                dropped = pushed_out,
                "older held reports were removed"
            );
            self.note(|state| state.push_out(pushed_out, self.now));
        }
        Ok(held)
    }

    /// Changes the memory, if it holds what was decided before. What cannot be noted makes a count wrong and nothing
    /// else.
    fn note<R>(&self, note: impl FnOnce(&mut StormState) -> R) -> Option<R> {
        if !self.is_remembered {
            return None;
        }
        change_state(self.run, note).unwrap_or_else(|e| {
            self.run.log_state_failure(&e, "a count is wrong now");
            None
        })
    }
}

/// Takes a place for a report about the user's own mail. False where more came within an hour than anybody's own mail
/// brings about: then it is a report like any other. Where nothing is remembered, each has a place.
#[must_use]
pub fn admit_own_bounce(run: &Run, delivery: &Delivery<'_>) -> bool {
    let (now, limits) = (delivery.date.unix_timestamp(), &run.config.digest);
    let admitted = change_state(run, |state| state.admit_own_bounce(now, limits)).unwrap_or_else(|e| {
        run.log_state_failure(&e, "reports about own mail are not counted");
        None
    });
    admitted.unwrap_or(true)
}

/// Gives the place back: the report goes back to the MTA.
pub fn take_back_own_bounce(run: &Run, delivery: &Delivery<'_>) {
    let now = delivery.date.unix_timestamp();
    if let Err(e) = change_state(run, |state| state.take_back_own_bounce(now)) {
        run.log_state_failure(&e, "a count is wrong now");
    }
}

pub fn reason_text(reason: HeldBackReason) -> String {
    match reason {
        HeldBackReason::Equal(count) => format!("{count} equal messages were sent, this one is counted"),
        HeldBackReason::Budget(budget) => format!("{budget} messages were sent within an hour"),
        HeldBackReason::Full => "the administrator's mbox is full".to_owned(),
    }
}

/// Where counted messages are held; none where there is no state directory.
pub fn storm_dir(run: &Run) -> Option<PathBuf> {
    Some(run.state_dir()?.join(STORM_DIR))
}

/// The beginning of the last message that was held with this key.
pub fn stored_sample(run: &Run, key: &str, bytes: u64) -> Option<Vec<u8>> {
    let dir = storm_dir(run)?;
    // The reports first: nobody has seen one of them.
    let mut dirs = [MORE_DIR, EQUAL_DIR].into_iter().map(|sort| dir.join(sort));
    dirs.find_map(|dir| held::read_sample(&dir, key, bytes))
}

/// What is remembered, as `status` shows it; none where nothing was ever diverted.
pub fn read_counts(run: &Run, now: i64) -> Result<Option<StormCounts>, Error> {
    Ok(read_state(run)?.map(|state| state.count_all(now)))
}

/// What is remembered now, unlocked; none where there is nothing, or nothing that can be understood.
pub fn read_state(run: &Run) -> Result<Option<StormState>, Error> {
    let Some(store) = store(run) else { return Ok(None) };
    let content = store.read()?;
    Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
}

/// Changes what is remembered; none where there is no state directory. What cannot be understood is set aside. Fails
/// when it cannot be locked, read or written; then nothing is changed.
pub fn change_state<R>(run: &Run, change: impl FnOnce(&mut StormState) -> R) -> Result<Option<R>, Error> {
    let Some(store) = store(run) else { return Ok(None) };
    json_state::change_state(&store, &run.account.name, &run.deadline, change).map(Some)
}

fn store(run: &Run) -> Option<Store> {
    Some(Store::new(&run.state_dir()?, STATE_FILE))
}
