//! spoolguard on storage that lies: a disk that forgets what it was not told to flush, stalls, or fails once and never
//! says so again, under ext4, XFS and Btrfs. Each scene asks whether what was acknowledged is there when the machine is
//! up again: whole, and once.
//!
//! Needs root, FUSE, loop devices and the programs that `tests/storage/install` installs:
//!
//!     cargo test --test storage -- --include-ignored
//!
//! Chance picks some of the points of each scene; `SPOOLGUARD_SEED` repeats a choice, `SPOOLGUARD_STORAGE_FULL=1` tries
//! all of them. `SPOOLGUARD_STORAGE_PROGRAM` names another build of the program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what cannot be set up is a failed test, and a test program prints"
)]

mod disk;
mod image;
mod mail;
mod namespace;
mod runs;
mod scenes;
mod stage;
mod sums;
mod tracer;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use scenes::{damage, eio, kills, lost, power, quota, readers};
use stage::Kind;
use sums::Findings;

/// What a scene does on one file system.
type Scene = fn(Kind, &mut Findings);

macro_rules! scenes {
    ($($module:ident::$name:ident,)*) => {
        &[$((stringify!($name), $module::$name),)*]
    };
}

const SCENES: &[(&str, Scene)] = scenes![
    lost::a_delivery_killed_on_a_stalled_disk_is_written_again,
    lost::a_restore_killed_on_a_stalled_disk_is_written_again,
    lost::an_expunge_whose_sync_failed_loses_nothing,
    lost::an_expunge_killed_before_its_sync_loses_nothing_when_the_power_goes,
    lost::a_resume_whose_sync_failed_loses_nothing,
    power::power_loss_in_deliver,
    power::power_loss_in_delivery_to_a_maildir,
    power::power_loss_in_forward_keep,
    power::power_loss_in_expunge,
    power::power_loss_in_resume,
    power::power_loss_in_restore,
    eio::eio_in_deliver,
    eio::eio_in_delivery_to_a_maildir,
    eio::eio_in_forward_keep,
    eio::eio_in_expunge,
    eio::eio_in_resume,
    eio::eio_in_restore,
    kills::a_run_killed_at_its_end_brings_nothing_twice,
    kills::in_a_maildir_a_run_killed_at_its_end_brings_nothing_twice,
    kills::a_message_that_was_acknowledged_and_comes_again_is_there_once,
    kills::in_a_maildir_a_message_that_was_acknowledged_and_comes_again_is_there_once,
    kills::a_message_that_comes_again_behind_a_power_loss_is_there_once,
    kills::in_a_maildir_a_message_that_comes_again_behind_a_power_loss_is_there_once,
    kills::a_message_that_was_sent_twice_on_purpose_comes_twice,
    kills::in_a_maildir_a_message_that_was_sent_twice_on_purpose_comes_twice,
    damage::a_damaged_journal_is_set_aside_and_nothing_in_it_lost,
    damage::a_damaged_note_costs_no_message,
    readers::mutt_expunges_while_mail_comes_and_is_archived,
    quota::a_quota_of_the_file_system_is_no_bounce,
];

/// On which file systems a scene is played. Of the quotas that a kernel may have, those of Btrfs are always there.
fn kinds(name: &str) -> &'static [Kind] {
    if name.contains("quota") {
        &[Kind::Btrfs]
    } else {
        &Kind::ALL
    }
}

/// How many scenes are left; behind the last one the sums are printed.
static LEFT: AtomicUsize = AtomicUsize::new(0);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let is_played = !arguments.list && (arguments.include_ignored || arguments.ignored);
    let missing = if is_played { missing() } else { None };
    let seed = std::env::var("SPOOLGUARD_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let is_full = std::env::var_os("SPOOLGUARD_STORAGE_FULL").is_some();
    let mut names = Vec::new();
    let mut trials = Vec::new();
    for (name, scene) in SCENES {
        for kind in kinds(name) {
            let kind = *kind;
            let full_name = format!("{}::{name}", kind.name());
            names.push(full_name.clone());
            let missing = missing.clone().or_else(|| missing_program(&kind.programs()));
            let own_seed = seed.wrapping_add(names.len() as u64);
            let play = move || {
                let ended = match missing {
                    Some(missing) => Ok(Completion::ignored_with(format!("needs {missing}"))),
                    None => play(*scene, kind, Findings::new(own_seed, is_full)),
                };
                if LEFT.fetch_sub(1, Ordering::AcqRel) == 1 {
                    println!("\nseed {seed}; {}", sums::show());
                }
                ended
            };
            trials.push(Trial::ignorable_test(full_name, play).with_ignored_flag(true));
        }
    }
    // A plain `cargo test` plays none of them, and says so once.
    if !arguments.list && !is_played && arguments.filter.is_none() {
        let name = format!("{} scenes on broken file systems", trials.len());
        let why = "need root, FUSE and loop devices: cargo test --test storage -- --include-ignored";
        trials = vec![Trial::test(name, || Ok(())).with_kind(why).with_ignored_flag(true)];
    }
    LEFT.store(chosen(&arguments, &names), Ordering::Release);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// How many of these scenes will be played.
fn chosen(arguments: &Arguments, names: &[String]) -> usize {
    let fits = |name: &String, word: &String| {
        if arguments.exact {
            name == word
        } else {
            name.contains(word.as_str())
        }
    };
    let chosen = names.iter().filter(|name| {
        arguments.filter.as_ref().is_none_or(|word| fits(name, word))
            && !arguments.skip.iter().any(|word| fits(name, word))
    });
    chosen.count()
}

fn play(scene: Scene, kind: Kind, mut findings: Findings) -> Result<Completion, Failed> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scene(kind, &mut findings)));
    let verdict = match caught {
        Ok(()) => findings.verdict(),
        Err(cause) => {
            let text = cause.downcast_ref::<String>().cloned();
            let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(text.unwrap_or_default())
        }
    };
    verdict.map_or_else(|what| Err(what.into()), |()| Ok(Completion::Completed))
}

/// What the scenes need and is not here; `None` when everything is.
fn missing() -> Option<String> {
    if !nix::unistd::Uid::effective().is_root() {
        return Some("root".to_owned());
    }
    for device in ["/dev/fuse", "/dev/loop-control"] {
        if !Path::new(device).exists() {
            return Some(device.to_owned());
        }
    }
    if !namespace::enter() {
        return Some("a mount namespace (unshare --mount)".to_owned());
    }
    missing_program(&["losetup", "mount", "umount", "blockdev", "sync", "tar"])
}

fn missing_program(programs: &[&str]) -> Option<String> {
    let dirs = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ];
    let is_there = |program: &&&str| dirs.iter().any(|dir| Path::new(dir).join(program).exists());
    programs
        .iter()
        .find(|program| !is_there(program))
        .map(|program| (*program).to_owned())
}
