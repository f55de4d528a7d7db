//! The directory of the archives: what they are called, and which of them have to go when there are too many. A file
//! whose name was not made here is never touched. Of two archives the one with the older name goes first, whatever the
//! files' own times say.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::config::value::{Age, Size};
use crate::config::{Archive, ArchiveFormat};
use crate::error::Error;
use crate::sys::dirs::sync_parent;

/// How many names are tried for one second.
const MOST_IN_A_SECOND: u32 = 1000;

/// What an archive is called: `USER-20261102T100000Z.tar.gz`, in UTC; the second of a second has `-2` in it.
pub fn archive_name(user: &str, date: OffsetDateTime, nth: u32, format: ArchiveFormat) -> String {
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let (hour, minute, second) = (date.hour(), date.minute(), date.second());
    let nth = if nth > 1 { format!("-{nth}") } else { String::new() };
    let stamp = format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z");
    format!("{user}-{stamp}{nth}{}", format.suffix())
}

/// The first name that is still free in `dir`.
pub fn free_path(dir: &Path, user: &str, date: OffsetDateTime, format: ArchiveFormat) -> io::Result<PathBuf> {
    (1..=MOST_IN_A_SECOND)
        .map(|nth| dir.join(archive_name(user, date, nth, format)))
        .find(|path| path.symlink_metadata().is_err())
        .ok_or_else(|| io::Error::other("too many archives of one second lie there"))
}

/// What the name of an archive says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveLabel {
    /// Whose mail it is.
    pub user: String,
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// Which one of that second.
    pub nth: u32,
}

/// Reads a name that `archive_name` made; `None` where anything about it differs.
pub fn read_name(file_name: &OsStr) -> Option<ArchiveLabel> {
    let text = file_name.to_str()?;
    let formats = [ArchiveFormat::TarGz, ArchiveFormat::Gz, ArchiveFormat::Zst];
    formats.into_iter().find_map(|format| {
        let stem = text.strip_suffix(format.suffix())?;
        let (user, date, nth) = parts(stem)?;
        // Whatever reads as the same but is written differently is not ours.
        (archive_name(user, date, nth, format) == text).then(|| ArchiveLabel {
            user: user.to_owned(),
            made: date.unix_timestamp(),
            nth,
        })
    })
}

fn parts(stem: &str) -> Option<(&str, OffsetDateTime, u32)> {
    const STAMP_LETTERS: usize = "20261102T100000Z".len();
    let (stem, nth) = match stem.rsplit_once('-')? {
        (before, number) if number.len() < STAMP_LETTERS => (before, number.parse().ok()?),
        _ => (stem, 1),
    };
    let (user, stamp) = stem.rsplit_once('-')?;
    let number = |from: usize, to: usize| stamp.get(from..to)?.parse::<u16>().ok();
    let small = |from: usize| u8::try_from(number(from, from + 2)?).ok();
    let date = time::Date::from_calendar_date(
        i32::from(number(0, 4)?),
        time::Month::try_from(small(4)?).ok()?,
        small(6)?,
    )
    .ok()?;
    let time = time::Time::from_hms(small(9)?, small(11)?, small(13)?).ok()?;
    (stamp.len() == STAMP_LETTERS && !user.is_empty()).then(|| (user, date.with_time(time).assume_utc(), nth))
}

/// An archive that is beyond the bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surplus {
    pub path: PathBuf,
    /// Its length, in bytes.
    pub bytes: u64,
    /// Which bound it is beyond, as the configuration has it.
    pub limit: String,
}

impl Surplus {
    pub fn remove(&self) -> Result<(), Error> {
        std::fs::remove_file(&self.path).map_err(|e| Error::io("remove archive", &self.path, &e))?;
        // One that comes back after a crash goes next time.
        let _ = sync_parent(&self.path);
        Ok(())
    }
}

/// What is to be done about the archives of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum RetentionPlan {
    /// These are beyond the bounds, the oldest first.
    Remove(Vec<Surplus>),
    /// Some are, and nobody knows whether the clock can be believed.
    Doubt(ClockDoubt),
}

/// Why the clock is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockDoubt {
    /// Behind this archive there was none for long, compared with how often archives are made here.
    Ahead(PathBuf),
    /// There is an archive from the future.
    Behind(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KeptArchive {
    label: ArchiveLabel,
    path: PathBuf,
    bytes: u64,
}

/// An archive may be so much from the future, in seconds: clocks are set, and other hosts write here.
const SLACK: i64 = 24 * 60 * 60;

/// A time without archives counts as a jump of the clock from this length on, in seconds ...
const JUMP: i64 = 7 * 24 * 60 * 60;

/// ... and from so many times the usual one on.
const JUMP_TIMES: i64 = 4;

/// So long behind a jump the clock is believed, in seconds. Archives have been made by it since, and whoever reads the
/// warnings has had the time to set it.
const PROVED_AFTER: i64 = 7 * 24 * 60 * 60;

/// Decides which archives of `user` in `dir` are beyond `bounds` at `now`, when this run began. `newest`, which this
/// run makes or has made, counts and stays. Removes nothing.
///
/// The clock is compared with the archives that earlier runs made, of any user. The run that first sees a jump removes
/// nothing, nor do those of a week behind it.
pub fn decide_retention(
    dir: &Path,
    user: &str,
    newest: &Path,
    bounds: &Archive,
    now: OffsetDateTime,
) -> Result<RetentionPlan, Error> {
    let fail = |e: io::Error| Error::io("read archive directory", dir, &e);
    let (mut own, mut all) = (Vec::new(), Vec::new());
    if bounds.keep == 0 && bounds.max_age == Age::NONE && bounds.max_total == Size::NONE {
        return Ok(RetentionPlan::Remove(own));
    }
    let mut archives = Vec::new();
    for entry in dir.read_dir().map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let Some(label) = read_name(&entry.file_name()) else {
            continue;
        };
        // Not following a link: what is not ours is neither counted nor removed.
        let Some(stat) = entry.metadata().ok().filter(std::fs::Metadata::is_file) else {
            continue;
        };
        all.push((label.made, entry.path()));
        if label.user == user {
            archives.push(KeptArchive {
                label,
                path: entry.path(),
                bytes: stat.len(),
            });
        }
    }
    own.extend(surplus(archives, newest, bounds, now.unix_timestamp()));
    Ok(match doubt(all, newest, now.unix_timestamp()) {
        Some(doubt) if !own.is_empty() => RetentionPlan::Doubt(doubt),
        Some(_) | None => RetentionPlan::Remove(own),
    })
}

/// Whether what the clock says fits the archives that earlier runs made.
fn doubt(mut archives: Vec<(i64, PathBuf)>, newest: &Path, now: i64) -> Option<ClockDoubt> {
    archives.sort();
    if let Some((made, path)) = archives.last()
        && *made > now.saturating_add(SLACK)
        && path != newest
    {
        return Some(ClockDoubt::Behind(path.clone()));
    }
    // Those of this run are as wrong as its clock.
    archives.retain(|(made, path)| *made < now && path != newest);
    let times: Vec<i64> = archives.iter().map(|(made, _)| *made).chain([now]).collect();
    let gaps: Vec<i64> = times
        .iter()
        .zip(times.iter().skip(1))
        .map(|(one, next)| next - one)
        .collect();
    // Those behind a jump are as wrong as it is: they are no proof for some time.
    let is_jump = |number: usize, until: i64| {
        let others = gaps
            .iter()
            .enumerate()
            .filter(|(other, gap)| *other != number && **gap > 0);
        let mut others: Vec<i64> = others.map(|(_, gap)| *gap).collect();
        others.sort_unstable();
        let usual = others.get(others.len() / 2).copied().unwrap_or_default();
        let gap = gaps.get(number).copied().unwrap_or_default();
        now - until < PROVED_AFTER && gap > JUMP.max(usual.saturating_mul(JUMP_TIMES))
    };
    let mut before = archives.iter().zip(times.iter().skip(1)).enumerate().rev();
    before
        .find(|(number, (_, until))| is_jump(*number, **until))
        .map(|(_, ((_, path), _))| ClockDoubt::Ahead(path.clone()))
}

/// Which archives are beyond the bounds, the oldest first. `newest` counts and stays, also while it is not made yet.
fn surplus(mut archives: Vec<KeptArchive>, newest: &Path, bounds: &Archive, now: i64) -> Vec<Surplus> {
    archives.sort_by_key(|kept| Reverse((kept.label.made, kept.label.nth)));
    if let Some(at) = archives.iter().position(|kept| kept.path == newest) {
        archives.get_mut(..=at).unwrap_or_default().rotate_right(1);
    }
    let is_made = archives.first().is_some_and(|kept| kept.path == newest);
    let before = |age: Age| now.checked_sub(i64::try_from(age.bound()?.as_secs()).ok()?);
    let (young, oldest) = (before(bounds.min_age), before(bounds.max_age));
    let mut total = 0_u64;
    let mut kept = u32::from(!is_made);
    let mut gone = Vec::new();
    for KeptArchive { label, path, bytes } in archives {
        let limit = if path == newest {
            None
        } else if oldest.is_some_and(|oldest| label.made < oldest) {
            Some(format!("max_age = {}", bounds.max_age))
        } else if young.is_some_and(|young| label.made > young) {
            None
        } else if bounds.keep > 0 && kept >= bounds.keep {
            Some(format!("keep = {}", bounds.keep))
        } else if bounds
            .max_total
            .bound()
            .is_some_and(|most| total.saturating_add(bytes) > most)
        {
            // What is older than one that has no room has none either: no gap is left.
            total = u64::MAX;
            Some(format!("max_total = {}", bounds.max_total))
        } else {
            None
        };
        match limit {
            Some(limit) => gone.push(Surplus { path, bytes, limit }),
            None => {
                kept += 1;
                total = total.saturating_add(bytes);
            }
        }
    }
    gone.reverse();
    gone
}

#[cfg(test)]
mod tests;
