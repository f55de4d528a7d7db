//! How many archives of a user stay: asked at the end of each run that makes one. Only a bound that the configuration sets removes any.
//! What goes is named before it goes, in the log and to whoever looks on. An archive that cannot be removed is named too, and so is a
//! clock that cannot be believed; neither takes anything away from what the run did.

use std::path::Path;

use time::OffsetDateTime;

use crate::archive::retention::{self, ClockDoubt, RetentionPlan, Surplus};
use crate::config::Archive;
use crate::error::{Category, Error};
use crate::spool::context::RunMode;
use crate::spool::report::BatchReport;

/// Removes the archives of `user` in `dir` that are too many at `now`, when this run began; first it says which, in `report` and in the log.
/// `newest`, which this run makes, stays. Nothing is removed where the clock cannot be believed.
///
/// # Errors
/// When the directory cannot be read, the clock is in doubt, or the first archive that could not be removed.
pub fn remove_expired(
    archive: &Archive,
    dir: &Path,
    user: &str,
    newest: &Path,
    now: OffsetDateTime,
    mode: RunMode,
    report: &BatchReport,
) -> Result<(), Error> {
    let surplus = match retention::decide_retention(dir, user, newest, archive, now)? {
        RetentionPlan::Remove(surplus) => surplus,
        RetentionPlan::Doubt(doubt) => return Err(in_doubt(dir, &doubt)),
    };
    for Surplus { path, bytes, limit } in &surplus {
        let path = path.display().to_string();
        report.removed_archive(&path, *bytes, limit, mode);
        if mode == RunMode::Execute {
            tracing::warn!(action = "remove-archive", user, archive = path, bytes, note = limit);
        }
    }
    if mode == RunMode::Rehearse {
        return Ok(());
    }
    let mut failed = None;
    for surplus in &surplus {
        if let Err(e) = surplus.remove() {
            let path = surplus.path.display().to_string();
            tracing::error!(action = "remove-archive", user, archive = path, note = e.to_string());
            failed = failed.or(Some(e));
        }
    }
    failed.map_or(Ok(()), Err)
}

fn in_doubt(dir: &Path, doubt: &ClockDoubt) -> Error {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (cause, hint) = match doubt {
        ClockDoubt::Ahead(path) => (
            format!(
                "the clock may be ahead: there was long no archive behind {}",
                name(path)
            ),
            "if the clock is right, what is too old is removed from a week later on",
        ),
        ClockDoubt::Behind(path) => (
            format!("the clock may be behind: {} is from the future", name(path)),
            "set the clock, or rename that archive",
        ),
    };
    Error::new(Category::System, "remove archives from", dir.display(), cause).hint(hint)
}
