//! Which archives of a directory have to go when there are too many of a user. What its name does not show to be one is never touched,
//! and of two archives the one with the older name goes first, whatever the files' own times say.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use crate::act::dir::sync_parent;
use crate::exit::Error;

/// How much is kept for one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// How many archives; none is any number.
    pub keep: Option<usize>,
    /// Up to which age they stay however many they are. The one copy of the mail of a bad week must not be pushed out by the next.
    pub min_age: Option<Duration>,
    /// How old they get.
    pub max_age: Option<Duration>,
    /// How large they are together, in bytes.
    pub max_total: Option<u64>,
}

/// An archive that went, or should have.
#[derive(Debug)]
pub struct Gone {
    /// Where it was.
    pub path: PathBuf,
    /// Its length, in bytes.
    pub bytes: u64,
    /// Which bound it broke: the key.
    pub why: &'static str,
    /// Why it is still there, if it is.
    pub failed: Option<Error>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    /// When it was made, in seconds since 1970.
    made: i64,
    path: PathBuf,
    bytes: u64,
}

/// Removes the archives in `dir` that are beyond `bounds` at `now`, the oldest first; never `newest`, which was just made. `made` says of a
/// name when the archive was made, in seconds since 1970, and nothing of a name that is none of the user's archives. What goes is gone
/// for good: call this when `newest` is on disk.
///
/// # Errors
/// When the directory cannot be read. One that cannot be removed says so in its place.
pub fn tidy(
    dir: &Path,
    made: impl Fn(&OsStr) -> Option<i64>,
    newest: &Path,
    bounds: Bounds,
    now: OffsetDateTime,
) -> Result<Vec<Gone>, Error> {
    let fail = |e: io::Error| Error::io("read archive directory", dir, &e);
    let mut archives = Vec::new();
    for entry in dir.read_dir().map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let Some(made) = made(&entry.file_name()) else {
            continue;
        };
        // Not following a link: what is none of ours is neither counted nor removed.
        if let Ok(stat) = entry.metadata()
            && stat.is_file()
        {
            archives.push(Kept {
                made,
                path: entry.path(),
                bytes: stat.len(),
            });
        }
    }
    let mut gone = surplus(archives, newest, bounds, now.unix_timestamp());
    for gone in &mut gone {
        if let Err(e) = std::fs::remove_file(&gone.path) {
            gone.failed = Some(Error::io("remove archive", &gone.path, &e));
        }
    }
    if let Some(first) = gone.first() {
        // One that comes back after a crash goes next time.
        let _ = sync_parent(&first.path);
    }
    Ok(gone)
}

/// Which archives are beyond the bounds, the oldest first. `newest` counts and stays.
fn surplus(mut archives: Vec<Kept>, newest: &Path, bounds: Bounds, now: i64) -> Vec<Gone> {
    archives.sort_by_key(|kept| Reverse(kept.made));
    if let Some(at) = archives.iter().position(|kept| kept.path == newest) {
        archives.get_mut(..=at).unwrap_or_default().rotate_right(1);
    }
    let before = |age: Option<Duration>| now.checked_sub(i64::try_from(age?.as_secs()).ok()?);
    let (young, oldest) = (before(bounds.min_age), before(bounds.max_age));
    let mut total = 0_u64;
    let mut kept = 0_usize;
    let mut gone = Vec::new();
    for archive in archives {
        let is_young = young.is_some_and(|young| archive.made > young);
        let why = if archive.path == newest {
            None
        } else if oldest.is_some_and(|oldest| archive.made < oldest) {
            Some("max_age")
        } else if is_young {
            None
        } else if bounds.keep.is_some_and(|keep| kept >= keep) {
            Some("keep")
        } else if bounds
            .max_total
            .is_some_and(|most| total.saturating_add(archive.bytes) > most)
        {
            Some("max_total")
        } else {
            None
        };
        match why {
            Some(why) => {
                gone.push(Gone {
                    path: archive.path,
                    bytes: archive.bytes,
                    why,
                    failed: None,
                });
                // What is older than one that has no room has none either: no gap is left.
                if why == "max_total" {
                    total = u64::MAX;
                }
            }
            None => {
                kept += 1;
                total = total.saturating_add(archive.bytes);
            }
        }
    }
    gone.reverse();
    gone
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Kept, surplus};
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    #[test]
    fn the_oldest_go_and_the_newest_never() {
        const DAY: i64 = 86400;
        let bounds = |keep, days: Option<u64>, max_total| Bounds {
            keep,
            max_age: days.map(|days| Duration::from_secs(days * 86400)),
            max_total,
            min_age: None,
        };
        let young = |days: u64, bounds| Bounds {
            min_age: Some(Duration::from_secs(days * 86400)),
            ..bounds
        };
        // One a day, the last on day 5, of 10 bytes each.
        let cases: [(Bounds, &[i64]); 13] = [
            (bounds(None, None, None), &[]),
            (bounds(Some(6), None, None), &[]),
            (bounds(Some(2), None, None), &[0, 1, 2, 3]),
            (bounds(Some(0), None, None), &[0, 1, 2, 3, 4]),
            (bounds(None, Some(3), None), &[0, 1]),
            (bounds(None, Some(0), None), &[0, 1, 2, 3, 4]),
            (bounds(None, None, Some(35)), &[0, 1, 2]),
            (bounds(None, None, Some(5)), &[0, 1, 2, 3, 4]),
            (bounds(Some(5), Some(3), Some(39)), &[0, 1, 2]),
            (young(3, bounds(Some(1), None, None)), &[0, 1, 2]),
            (young(9, bounds(Some(1), None, Some(1))), &[]),
            (young(2, bounds(None, None, Some(1))), &[0, 1, 2, 3]),
            (young(9, bounds(None, Some(3), None)), &[0, 1]),
        ];
        let path = |day: i64| PathBuf::from(format!("{day}"));
        for (bounds, want) in cases {
            let archives = [3, 0, 5, 1, 4, 2].map(|day| Kept {
                made: day * DAY,
                path: path(day),
                bytes: 10,
            });
            let gone = surplus(archives.to_vec(), &path(5), bounds, 5 * DAY);
            let gone: Vec<PathBuf> = gone.into_iter().map(|gone| gone.path).collect();
            let want: Vec<PathBuf> = want.iter().map(|day| path(*day)).collect();
            assert_eq!(gone, want, "{bounds:?}");
        }
    }

    #[test]
    fn the_one_just_made_stays_even_when_the_clock_went_back() {
        let kept = |made| Kept {
            made,
            path: PathBuf::from(made.to_string()),
            bytes: 10,
        };
        let bounds = Bounds {
            keep: Some(1),
            ..Bounds::default()
        };
        let gone = surplus(vec![kept(50), kept(20), kept(40)], Path::new("20"), bounds, 20);
        let gone: Vec<_> = gone.into_iter().map(|gone| gone.path).collect();
        assert_eq!(gone, [PathBuf::from("40"), PathBuf::from("50")]);
    }
}
