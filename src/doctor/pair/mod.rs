//! `doctor --pair DIR`: do two hosts see each other's locks in a directory that both have? The same command runs on
//! both. They meet in a directory that the first one makes there and removes, and take turns: one holds a lock, the
//! other tries it.
//!
//! Nothing of the user's is touched. Where the other host does not come, or does not go on, this one says so and ends.

mod meeting;
mod trial;

use std::path::Path;

use crate::cli::Everywhere;
use crate::config::load::{self, ConfigSources, KeySelection};
use crate::deliver;
use crate::doctor::pair::meeting::Meeting;
use crate::doctor::pair::trial::{Trial, TrialLock};
use crate::doctor::rules::Finding;
use crate::doctor::rules::pair::{PairLine, PairRole, ROUNDS, StepEnd, judge, pair_subject};
use crate::error::Error;
use crate::sys::account;

/// Runs this host's part.
pub fn examine(dir: &Path, everywhere: &Everywhere) -> Result<Vec<Finding>, Error> {
    let deadline = deliver::begin_run()?;
    let owners = account::find_runner().trusted_owners();
    let sources = ConfigSources::from_choice(everywhere.config.as_deref(), None, owners);
    let locks = load::load_config(sources, KeySelection::Whole)?.config.mailbox.locks;
    let words: Vec<String> = locks.iter().map(ToString::to_string).collect();
    let mut meeting = Meeting::begin(dir, &words.join(","), &deadline)?;
    let mut trial = Trial::new(meeting.mailbox());
    for (method, holder) in ROUNDS {
        let is_holder = holder == meeting.own_role();
        let mut held: Option<TrialLock> = None;
        let end = match is_holder {
            true => trial.hold_lock(method, &mut held),
            false => StepEnd::Idle,
        };
        meeting.end_step(end)?;
        let tried = |trial: &mut Trial| {
            if is_holder {
                StepEnd::Idle
            } else {
                trial.try_lock(method)
            }
        };
        meeting.end_step(tried(&mut trial))?;
        drop(held);
        meeting.end_step(StepEnd::Idle)?;
        meeting.end_step(tried(&mut trial))?;
    }
    let (own, other) = (meeting.own_line().clone(), meeting.other_line().clone());
    let apart_ms = meeting.clocks_apart_ms();
    let role = meeting.own_role();
    meeting.end()?;
    Ok(findings(dir, (&own, &other, role), apart_ms, &trial))
}

fn findings(
    dir: &Path,
    (own, other, role): (&PairLine, &PairLine, PairRole),
    apart_ms: i64,
    trial: &Trial,
) -> Vec<Finding> {
    let (first, second) = match role {
        PairRole::First => (own, other),
        PairRole::Second => (other, own),
    };
    let topic = pair_subject(&dir.display().to_string(), &first.host, &second.host);
    let mut found = judge(&topic, first, second, apart_ms);
    found.extend(
        trial
            .failure_causes()
            .iter()
            .map(|cause| topic.note(format!("{}: {cause}", own.host))),
    );
    found.sort_by_key(|finding| finding.level);
    found
}
