use super::{
    ArchiveLabel, ClockDoubt, KeptArchive, RetentionPlan, archive_name, decide_retention, doubt, read_name, surplus,
};
use crate::config::value::{Age, Size};
use crate::config::{Archive, ArchiveFormat};
use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use time::OffsetDateTime;

fn date(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or_else(|e| unreachable!("{e}"))
}

fn kept_by_number(keep: u32) -> Archive {
    Archive {
        keep,
        min_age: Age::NONE,
        ..Archive::default()
    }
}

#[test]
fn a_name_that_was_made_is_read_and_no_other() {
    for user in ["a", "a-b", "a-20261102T100000Z", "-", "grüße", "a.b@c.test"] {
        for nth in [1, 2, 17] {
            for format in [ArchiveFormat::TarGz, ArchiveFormat::Gz, ArchiveFormat::Zst] {
                let name = archive_name(user, date(1_793_613_600), nth, format);
                let label = ArchiveLabel {
                    user: user.to_owned(),
                    made: 1_793_613_600,
                    nth,
                };
                assert_eq!(read_name(OsStr::new(&name)), Some(label), "{name}");
            }
        }
    }
    assert_eq!(
        archive_name("a", date(0), 1, ArchiveFormat::Gz),
        "a-19700101T000000Z.gz"
    );
    for other in [
        "a",
        "a.tar.gz",
        "a_old.tar.gz",
        "a-20261102T100000Z",
        "a-20261102T100000Z.tar",
        "a-20261102T100000Z.tar.gz.new",
        "-20261102T100000Z.tar.gz",
        "a-20261302T100000Z.tar.gz",
        "a-20261102T250000Z.tar.gz",
        "a-20261102T100000.tar.gz",
        "a-20261102T100000Z-1.tar.gz",
        "a-20261102T100000Z-02.tar.gz",
        "a-+0261102T100000Z.tar.gz",
        "a-20261102 100000Z.tar.gz",
    ] {
        assert_eq!(read_name(OsStr::new(other)), None, "{other}");
    }
}

#[test]
fn the_oldest_go_and_the_newest_never() {
    const DAY: i64 = 86400;
    let bounds = |keep, days: u64, max_total| Archive {
        keep,
        max_age: Age::seconds(days * 86400),
        max_total: Size::from_bytes(max_total),
        ..kept_by_number(0)
    };
    let young = |days: u64, bounds| Archive {
        min_age: Age::seconds(days * 86400),
        ..bounds
    };
    // One a day, the last on day 5, of 10 bytes each.
    let cases: [(Archive, &[i64]); 11] = [
        (bounds(0, 0, 0), &[]),
        (bounds(6, 0, 0), &[]),
        (bounds(2, 0, 0), &[0, 1, 2, 3]),
        (bounds(0, 3, 0), &[0, 1]),
        (bounds(0, 0, 35), &[0, 1, 2]),
        (bounds(0, 0, 5), &[0, 1, 2, 3, 4]),
        (bounds(5, 3, 39), &[0, 1, 2]),
        (young(3, bounds(1, 0, 0)), &[0, 1, 2]),
        (young(9, bounds(1, 0, 1)), &[]),
        (young(2, bounds(0, 0, 1)), &[0, 1, 2, 3]),
        (young(9, bounds(0, 3, 0)), &[0, 1]),
    ];
    let path = |day: i64| PathBuf::from(format!("{day}"));
    for (bounds, want) in cases {
        let archives = [3, 0, 5, 1, 4, 2].map(|day| KeptArchive {
            label: ArchiveLabel {
                user: "a".to_owned(),
                made: day * DAY,
                nth: 1,
            },
            path: path(day),
            bytes: 10,
        });
        let gone = surplus(archives.to_vec(), &path(5), &bounds, 5 * DAY);
        let gone: Vec<PathBuf> = gone.into_iter().map(|gone| gone.path).collect();
        let want: Vec<PathBuf> = want.iter().map(|day| path(*day)).collect();
        assert_eq!(gone, want, "{bounds:?}");
    }
}

#[test]
fn the_one_just_made_stays_even_when_the_clock_went_back() {
    let kept = |made| KeptArchive {
        label: ArchiveLabel {
            user: "a".to_owned(),
            made,
            nth: 1,
        },
        path: PathBuf::from(made.to_string()),
        bytes: 10,
    };
    let gone = surplus(
        vec![kept(50), kept(20), kept(40)],
        Path::new("20"),
        &kept_by_number(1),
        20,
    );
    let gone: Vec<_> = gone.into_iter().map(|gone| gone.path).collect();
    assert_eq!(gone, [PathBuf::from("40"), PathBuf::from("50")]);
}

#[test]
fn a_clock_that_jumped_is_not_believed() {
    const DAY: i64 = 86400;
    let path = |made: i64| PathBuf::from(made.to_string());
    let seen = |made: &[i64], now: i64| {
        let archives = made.iter().map(|made| (*made, path(*made))).collect();
        doubt(archives, &path(now), now)
    };
    let nightly: Vec<i64> = (1..40).map(|day| day * DAY).collect();
    let monthly: Vec<i64> = (1..5).map(|month| month * 30 * DAY).collect();
    assert_eq!(seen(&nightly, 40 * DAY), None);
    assert_eq!(seen(&nightly, 45 * DAY), None, "a host that was off for some days");
    assert_eq!(seen(&nightly, 60 * DAY), Some(ClockDoubt::Ahead(path(39 * DAY))));
    assert_eq!(seen(&monthly, 151 * DAY), None, "what is made once a month");
    assert_eq!(seen(&monthly, 4000 * DAY), Some(ClockDoubt::Ahead(path(120 * DAY))));
    assert_eq!(seen(&nightly, 20 * DAY), Some(ClockDoubt::Behind(path(39 * DAY))));
    assert_eq!(seen(&[], 20 * DAY), None);
    // What this run has made for others says nothing.
    let with_own: Vec<i64> = nightly.iter().copied().chain([4000 * DAY]).collect();
    assert!(seen(&with_own, 4000 * DAY).is_some());
    // The next runs see archives that are as old as their clock says: no proof, until a week of them is there.
    let jumped = Some(ClockDoubt::Ahead(path(39 * DAY)));
    assert_eq!(seen(&with_own, 4001 * DAY), jumped.clone());
    for (days, doubted) in [(6, jumped), (7, None)] {
        let later = (1..=days).map(|day| (4000 + day) * DAY);
        let later: Vec<i64> = with_own.iter().copied().chain(later).collect();
        assert_eq!(seen(&later, (4000 + days) * DAY + 1), doubted);
    }
    // Of two archives alone nobody knows what is usual.
    assert_eq!(seen(&[DAY, 4000 * DAY], 4001 * DAY), Some(ClockDoubt::Ahead(path(DAY))));
}

#[test]
fn only_archives_of_this_user_are_removed() {
    let dir = tempfile::tempdir().unwrap_or_else(|e| unreachable!("{e}"));
    let path = |name: &str| dir.path().join(name);
    let others = [
        "b-20201231T000000Z.tar.gz",
        "a-b-20200101T000000Z.tar.gz",
        "a_old.tar.gz",
        "a-20200101T000000Z.tar.gz.new",
        "a",
    ];
    let own = [
        "a-20200101T000000Z.tar.gz",
        "a-20200101T000000Z-2.gz",
        "a-20210101T000000Z.zst",
    ];
    for name in others.iter().chain(&own) {
        assert!(std::fs::write(path(name), b"x").is_ok());
    }
    assert!(std::fs::create_dir(path("a-20190101T000000Z.gz")).is_ok());
    assert!(symlink(path("a"), path("a-20180101T000000Z.gz")).is_ok());
    let newest = path("a-20210101T000000Z.zst");
    let now = date(1_609_459_200 + 10 * 86400);
    let decision =
        decide_retention(dir.path(), "a", &newest, &kept_by_number(1), now).unwrap_or_else(|e| unreachable!("{e}"));
    let RetentionPlan::Remove(gone) = decision else {
        unreachable!("{decision:?}")
    };
    assert!(gone.iter().all(|gone| gone.path.exists() && gone.remove().is_ok()));
    let gone: Vec<PathBuf> = gone.into_iter().map(|gone| gone.path).collect();
    assert_eq!(
        gone,
        [path("a-20200101T000000Z.tar.gz"), path("a-20200101T000000Z-2.gz")]
    );
    assert!(gone.iter().all(|path| !path.exists()));
    assert!(newest.exists() && others.iter().all(|name| path(name).exists()));
    assert!(path("a-20190101T000000Z.gz").exists() && path("a-20180101T000000Z.gz").symlink_metadata().is_ok());
}
