//! Finds the MTAs that are running here, as the kernel shows them. Without `/proc` there are no findings.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::doctor::facts::{HostFacts, host_path};
use crate::doctor::programs::find_needs;
use crate::doctor::rules::Finding;
use crate::doctor::rules::running_mta::{Mta, RunningMta, judge, namespace_depth};

/// Examines them; `homes` are those of users whose files handle mail.
pub fn examine(host: &HostFacts, homes: &[PathBuf]) -> Vec<Finding> {
    let own = fs::read_to_string(host_path("/proc/self/mountinfo")).unwrap_or_default();
    let mut paths = vec![host.config.mailbox.location.spool_dir().to_owned()];
    paths.extend(homes.iter().cloned());
    let processes = running();
    processes
        .iter()
        .flat_map(|process| judge(process, &own, &paths, find_needs(host)))
        .collect()
}

/// One process of each MTA, the first, among those that are not in a container of their own.
fn running() -> Vec<RunningMta> {
    let proc = host_path("/proc");
    let own_depth = fs::read_to_string(proc.join("self/status")).map_or(1, |status| namespace_depth(&status));
    let own_root = root_of(&proc.join("self"));
    let numbers = fs::read_dir(&proc).into_iter().flatten().flatten();
    let mut pids: Vec<u32> = numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    let mut found: Vec<RunningMta> = Vec::new();
    for pid in pids {
        let dir = proc.join(pid.to_string());
        let command = fs::read(dir.join("cmdline")).unwrap_or_default();
        let Some(mta) = Mta::of_command(&command) else {
            continue;
        };
        // One in a chroot of its own is another host's.
        if root_of(&dir).is_some_and(|root| own_root.is_some_and(|own| own != root)) {
            continue;
        }
        let text = |name: &str| fs::read_to_string(dir.join(name)).ok();
        let Some(status) = text("status").filter(|status| namespace_depth(status) == own_depth) else {
            continue;
        };
        if found.iter().all(|other| other.mta != mta) {
            found.push(RunningMta {
                mta,
                pid,
                status,
                limits: text("limits"),
                mountinfo: text("mountinfo"),
            });
        }
    }
    found
}

/// Which directory is a process's root, as device and inode; none where it may not be seen.
fn root_of(process: &Path) -> Option<(u64, u64)> {
    let stat = fs::metadata(process.join("root/")).ok()?;
    Some((stat.dev(), stat.ino()))
}
