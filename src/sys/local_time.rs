//! The local time of this host, by `TZ` and `/etc/localtime` (tzset(3)): mbox separator lines are written and read in
//! it by every other program. Where the zone cannot be read it is UTC, as with localtime(3).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;

use nix::fcntl::OFlag;
use time::{OffsetDateTime, UtcOffset};
use tz::{TimeZone, TimeZoneSettings};

/// Where zones are found by name.
const DIRECTORIES: &[&str] = &["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo"];

/// More than the file of any zone has, in bytes.
const ZONE_BYTES: u64 = 256 << 10;

/// The same point in time, on the clock of this host.
pub fn to_local(date: OffsetDateTime) -> OffsetDateTime {
    UtcOffset::from_whole_seconds(offset_seconds(date.unix_timestamp()))
        .ok()
        .and_then(|offset| date.checked_to_offset(offset))
        .unwrap_or(date)
}

/// What the clock of this host showed `seconds` after the beginning of 1970, as seconds of a day that began at the same
/// hour everywhere.
pub fn clock_seconds(seconds: i64) -> i64 {
    seconds.saturating_add(i64::from(offset_seconds(seconds)))
}

/// The point in time, in seconds since 1970, at which the clock of this host showed what `clock_seconds` gives. Of the
/// two that an hour in autumn has, one of them.
pub fn from_clock(shown: i64) -> i64 {
    let guess = shown.saturating_sub(i64::from(offset_seconds(shown)));
    shown.saturating_sub(i64::from(offset_seconds(guess)))
}

fn offset_seconds(at: i64) -> i32 {
    static ZONE: OnceLock<Option<TimeZone>> = OnceLock::new();
    let zone = ZONE.get_or_init(|| read_zone(std::env::var("TZ").ok().as_deref()));
    offset_in(zone.as_ref(), at)
}

fn offset_in(zone: Option<&TimeZone>, at: i64) -> i32 {
    let found = zone.and_then(|zone| zone.find_local_time_type(at).ok());
    found.map_or(0, |local| local.ut_offset())
}

/// Reads the zone that `TZ` names; without the variable, the host's.
fn read_zone(name: Option<&str>) -> Option<TimeZone> {
    let settings = TimeZoneSettings::new(DIRECTORIES, read_file);
    match name {
        None => settings.parse_local().ok(),
        Some(name) => settings.parse_posix_tz(name).ok(),
    }
}

/// `TZ` is the caller's: a device or a FIFO is not read, and of a file no more than a zone has.
fn read_file(path: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync + 'static>> {
    let mut options = File::options();
    options
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits());
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    }
    let mut bytes = Vec::new();
    file.take(ZONE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{offset_in, read_zone};

    #[test]
    fn a_zone_is_read_by_its_rules_and_what_is_none_is_utc() {
        const JANUARY: i64 = 1_767_225_600;
        const JULY: i64 = 1_782_864_000;
        for (name, january, july) in [
            ("JST-9", 32_400, 32_400),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 3_600, 7_200),
            ("EST5EDT,M3.2.0,M11.1.0", -18_000, -14_400),
            ("UTC0", 0, 0),
            ("", 0, 0),
            (":/dev/zero", 0, 0),
            ("No/Such_Zone", 0, 0),
        ] {
            let zone = read_zone(Some(name));
            assert_eq!(
                (offset_in(zone.as_ref(), JANUARY), offset_in(zone.as_ref(), JULY)),
                (january, july),
                "{name}"
            );
        }
    }
}
