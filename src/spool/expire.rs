//! How many archives of a user stay: asked at the end of each run that makes one. What goes is named in the log and to whoever looks
//! on. An archive that cannot be removed is named too, and takes nothing away from what the run did.

use std::io::Write;
use std::path::Path;

use time::OffsetDateTime;

use crate::archive::retention;
use crate::archive::retention::{Bounds, Removed};
use crate::config::Archive;
use crate::error::Error;

/// What the configuration says about how much is kept.
#[must_use]
pub fn bounds(archive: &Archive) -> Bounds {
    Bounds {
        keep: usize::try_from(archive.keep).ok().filter(|keep| *keep > 0),
        min_age: archive.min_age.bound(),
        max_age: archive.max_age.bound(),
        max_total: archive.max_total.bound(),
    }
}

/// Removes the archives of `user` in `dir` that are too many at `now`, and says so to `output`. `newest`, which was just made and is
/// on disk, stays.
///
/// # Errors
/// When the directory cannot be read, or the first one that could not be removed.
pub fn tidy(
    archive: &Archive,
    dir: &Path,
    user: &str,
    newest: &Path,
    now: OffsetDateTime,
    output: &mut impl Write,
) -> Result<(), Error> {
    let mut failed = None;
    for Removed {
        path,
        bytes,
        why,
        failed: not,
    } in retention::tidy(dir, user, newest, bounds(archive), now)?
    {
        let path = path.display().to_string();
        match not {
            None => {
                let limit = match why {
                    "keep" => format!("keep = {}", archive.keep),
                    "max_age" => format!("max_age = {}", archive.max_age),
                    _ => format!("max_total = {}", archive.max_total),
                };
                tracing::warn!(action = "remove-archive", user, archive = path, bytes, note = limit);
                let path = crate::error::visible(&path);
                let _ = writeln!(output, "removed {path} ({bytes} bytes): beyond {limit}");
            }
            Some(e) => {
                tracing::error!(action = "remove-archive", user, archive = path, note = e.to_string());
                failed = failed.or(Some(e));
            }
        }
    }
    failed.map_or(Ok(()), Err)
}
