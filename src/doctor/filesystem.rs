//! Checks the file system of the spool directory: whether it has room, and whether locks and intents hold there.

use std::path::Path;

use crate::config::value::Size;
use crate::config::{LockMethod, Mailbox};
use crate::doctor::rules::{Check, CheckSubject, Finding};
use crate::error::Error;
use crate::output::shell::{program_command, quote_path};
use crate::sys::filesystem::{self, FileSystem};

pub fn examine(dir: &Path, spool: &Mailbox) -> Vec<Finding> {
    match filesystem::find_file_system(dir) {
        Ok(of) => judge(dir, spool, of),
        Err(e) => vec![topic(dir).note(Error::io("examine", dir, &e).to_string())],
    }
}

fn topic(dir: &Path) -> CheckSubject {
    Check::FileSystem.about(format!("file system of {}", dir.display()))
}

fn judge(dir: &Path, spool: &Mailbox, of: FileSystem) -> Vec<Finding> {
    let topic = topic(dir);
    let mut found = Vec::new();
    if of.read_only {
        found.push(topic.error(
            "nothing can be written to it: mail waits",
            format!("see why (dmesg), then: mount -o remount,rw {}", quote_path(dir)),
        ));
    }
    if let Some(min_free_bytes) = spool.min_free.bound()
        && of.free_bytes < min_free_bytes
    {
        let (free, least) = (
            Size::from_bytes(of.free_bytes >> 20 << 20),
            Size::from_bytes(min_free_bytes),
        );
        found.push(topic.error(
            format!("{free} are free, and [mailbox] min_free is {least}: mail waits"),
            format!("{} spool list, which says what helps", program_command()),
        ));
    }
    if of.nfs && spool.locks.contains(&LockMethod::Flock) {
        found.push(topic.error(
            "it is on NFS, where flock and fcntl locks stand in each other's way",
            "take \"flock\" out of [mailbox] locks",
        ));
    }
    if of.nfs {
        let what = "it is on NFS: a lock holds only where all hosts lock in the same way and the server knows locks";
        found.push(topic.note(what));
    }
    found.extend(judge_links(&topic, of.links));
    match of.attributes {
        Some(true) => {}
        Some(false) => found.push(topic.warning(
            "it has no user attributes: a delivery that is killed may bring its message twice",
            "mount it with user_xattr, or use NFS 4.2, ext4, xfs, btrfs, or Linux 6.6 for tmpfs",
        )),
        None => found.push(topic.note("whether it has user attributes cannot be told")),
    }
    if found.is_empty() {
        let what = "it is here, has user attributes, and room";
        found.push(topic.ok(what));
    }
    found
}

/// Deliveries do without hard links, at a price.
fn judge_links(topic: &CheckSubject, links: Option<bool>) -> Option<Finding> {
    let has = match links {
        Some(true) => return None,
        Some(false) => "has",
        None => "may have",
    };
    let what = format!(
        "it {has} no hard links: a run that is killed while it makes the dotlock without them leaves one that holds mail up for ten minutes"
    );
    Some(topic.note(what))
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::config::{LockMethod, Mailbox};
    use crate::doctor::rules::Level;
    use crate::sys::filesystem::FileSystem;
    use std::path::Path;

    #[test]
    fn what_does_not_hold_on_a_file_system_is_told() {
        let good = FileSystem {
            nfs: false,
            links: Some(true),
            attributes: Some(true),
            read_only: false,
            free_bytes: 1 << 30,
        };
        let nfs = FileSystem { nfs: true, ..good };
        let with_flock = Mailbox {
            locks: vec![LockMethod::Fcntl, LockMethod::Flock],
            ..Mailbox::default()
        };
        let spool = Mailbox::default();
        for (of, spool, level, part) in [
            (good, &spool, Level::Ok, "it is here"),
            (good, &with_flock, Level::Ok, "it is here"),
            (nfs, &spool, Level::Warning, "it is on NFS: a lock holds only"),
            (nfs, &with_flock, Level::Error, "it is on NFS, where flock and fcntl"),
            (
                FileSystem {
                    links: Some(false),
                    ..good
                },
                &spool,
                Level::Warning,
                "it has no hard links",
            ),
            (
                FileSystem { links: None, ..good },
                &spool,
                Level::Warning,
                "it may have no hard links",
            ),
            (
                FileSystem {
                    attributes: Some(false),
                    ..good
                },
                &spool,
                Level::Warning,
                "it has no user attributes",
            ),
            (
                FileSystem {
                    attributes: None,
                    ..good
                },
                &spool,
                Level::Warning,
                "whether it has user attributes",
            ),
            (
                FileSystem {
                    read_only: true,
                    ..good
                },
                &spool,
                Level::Error,
                "nothing can be written",
            ),
            (
                FileSystem {
                    free_bytes: 50 << 20,
                    ..good
                },
                &spool,
                Level::Error,
                "50M are free, and [mailbox] min_free is 100M",
            ),
        ] {
            let found = judge(Path::new("/var/mail"), spool, of);
            let first = found.first().map(|first| (first.level, first.finding.as_str()));
            assert!(
                first.is_some_and(|(found, text)| found == level && text.starts_with(part)),
                "{part}: {found:?}"
            );
        }
    }
}
