//! Hostile neighbours: what others put where a mailbox should be, in the directories that mail systems use: everybody's
//! (1777), a group's (2775), and both (3777). The program delivers for another user than those who may write there.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;

use crate::robust::setgid::{GROUP, Host, OTHER, USER};
use crate::support::{ORDINARY, contains, messages, only, same};

const MODES: [u32; 3] = [0o1777, 0o2775, 0o3777];

/// A host, and a file that is precious to its user.
fn host(mode: u32) -> Option<Host> {
    let host = Host::new()?;
    host.spool_is(mode);
    host.configure("[mailbox]\nlock_timeout = \"1s\"\n");
    fs::write(host.scratch.path("victim"), "precious\n").unwrap();
    chown(host.scratch.path("victim"), Some(USER), Some(USER)).unwrap();
    Some(host)
}

fn is_untouched(host: &Host) {
    let victim = host.scratch.path("victim");
    same(&fs::read(&victim).unwrap(), b"precious\n");
    let stat = fs::metadata(&victim).unwrap();
    assert_eq!((stat.uid(), stat.gid(), stat.mode() & 0o7777), (USER, USER, 0o644));
}

/// Neither a run by the user nor one by root delivers there; what stands there stays.
#[track_caller]
fn nobody_delivers(host: &Host, because: &str) {
    let before = fs::symlink_metadata(host.at("sga")).unwrap();
    for run in [host.run(&["deliver"]), host.by_root(&["deliver", "--user", "sga"])] {
        run.go().defers().mentions(because);
        is_untouched(host);
        let after = fs::symlink_metadata(host.at("sga")).unwrap();
        assert_eq!(
            (before.ino(), before.len(), before.mode()),
            (after.ino(), after.len(), after.mode())
        );
        assert_eq!(host.names(), ["sga"]);
    }
}

/// CVE-2008-2936: Postfix took a symbolic link with a second name, which root had made, for the administrator's wish.
#[test]
fn cve_2008_2936_a_hard_link_to_roots_symlink_is_not_followed() {
    for mode in MODES {
        let Some(host) = host(mode) else { return };
        let link = host.scratch.path("roots-link");
        symlink(host.scratch.path("victim"), &link).unwrap();
        fs::hard_link(&link, host.at("sga")).unwrap();
        assert!(fs::symlink_metadata(host.at("sga")).unwrap().is_symlink());
        nobody_delivers(&host, "symbolic link");
    }
}

/// CVE-2010-2023: Exim looked at the owner and not at the number of links, and appended to another file of the user's.
#[test]
fn cve_2010_2023_a_hard_link_to_the_users_file_is_no_mailbox() {
    for mode in MODES {
        let Some(host) = host(mode) else { return };
        fs::hard_link(host.scratch.path("victim"), host.at("sga")).unwrap();
        nobody_delivers(&host, "more than one link");
    }
}

/// CVE-2010-0301: maildrop, started as root, kept root's group.
#[test]
fn cve_2010_0301_a_run_by_root_keeps_none_of_roots_groups() {
    let Some(host) = host(0o2775) else { return };
    let seen = host.scratch.path("home/seen");
    let sendmail = host.scratch.script("sendmail", "");
    let text = format!(
        "#!/bin/sh -p\ncat >/dev/null; cat /proc/self/status >'{}'\n",
        seen.display()
    );
    fs::write(&sendmail, text).unwrap();
    let transport = format!("[forward]\ntransport = {:?}\n", sendmail.display().to_string());
    host.configure(&transport);
    let arguments = ["forward", "--keep", "--user", "sga", "b@b.test"];
    host.by_root(&arguments).go().succeeds();
    let status = fs::read_to_string(&seen).unwrap();
    let line = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_ascii_whitespace().collect::<Vec<_>>()
    };
    let own = USER.to_string();
    assert_eq!(
        (line("Uid:"), line("Gid:")),
        (vec![own.as_str(); 4], vec![own.as_str(); 4])
    );
    assert_eq!(line("Groups:"), [&own]);
    let stat = fs::metadata(host.at("sga")).unwrap();
    assert_eq!((stat.uid(), stat.gid()), (USER, GROUP));
}

#[test]
fn what_is_no_mailbox_stays_as_it_is() {
    for mode in MODES {
        let Some(host) = host(mode) else { return };
        let (path, victim) = (host.at("sga"), host.scratch.path("victim"));
        let file = |owner, group, mode| {
            fs::write(&path, "").unwrap();
            chown(&path, Some(owner), Some(group)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let plants: [(&dyn Fn(), &str); 9] = [
            (&|| symlink(&victim, &path).unwrap(), "symbolic link"),
            (&|| symlink("/not/there", &path).unwrap(), "symbolic link"),
            (&|| fs::hard_link(&victim, &path).unwrap(), "more than one link"),
            (
                &|| {
                    mkfifo(&path, Mode::from_bits_truncate(0o666)).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
                },
                "no regular file",
            ),
            (
                // /dev/null, under another name; where the file system has no devices, it cannot be opened.
                &|| {
                    mknod(&path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3)).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
                },
                "sga",
            ),
            (&|| fs::create_dir(&path).unwrap(), "directory"),
            // Somebody else's, which the user may write to.
            (&|| file(OTHER, GROUP, 0o666), &format!("belongs to uid {OTHER}")),
            (&|| file(0, GROUP, 0o666), "belongs to uid 0"),
            (&|| file(USER, GROUP, 0o4660), "setuid"),
        ];
        for (plant, because) in plants {
            plant();
            fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).unwrap();
            nobody_delivers(&host, because);
            let removed = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
            removed.unwrap();
        }
    }
}

#[test]
fn a_mailbox_of_another_group_is_the_users_all_the_same() {
    for mode in MODES {
        let Some(host) = host(mode) else { return };
        fs::write(host.at("sga"), "").unwrap();
        chown(host.at("sga"), Some(USER), Some(OTHER)).unwrap();
        fs::set_permissions(host.at("sga"), fs::Permissions::from_mode(0o600)).unwrap();
        host.run(&["deliver"]).go().succeeds();
        let stat = fs::metadata(host.at("sga")).unwrap();
        assert_eq!((stat.uid(), stat.gid(), stat.mode() & 0o7777), (USER, OTHER, 0o600));
        same(only(&fs::read(host.at("sga")).unwrap()), ORDINARY);
    }
}

/// Somebody puts links there and takes them away, as fast as they can, so that some come between a look and a call.
#[test]
fn what_is_swapped_between_the_calls_is_not_written_through() {
    for (mode, name) in [(0o1777, "sga"), (0o2775, "sga"), (0o2775, "sga.lock")] {
        let Some(host) = host(mode) else { return };
        let victim = host.scratch.path("victim");
        let (path, done) = (host.at(name), AtomicBool::new(false));
        let swap = || {
            while !done.load(Ordering::Relaxed) {
                for plant in [symlink::<&Path, &Path>, fs::hard_link::<&Path, &Path>] {
                    if plant(&victim, &path).is_ok() {
                        std::thread::yield_now();
                        let _ = fs::remove_file(&path);
                    }
                }
            }
        };
        let delivered = std::thread::scope(|scope| {
            scope.spawn(swap);
            let mut delivered = 0;
            for _ in 0..40 {
                let ended = host.run(&["deliver"]).go();
                delivered += usize::from(ended.code == Some(0));
                if ended.code != Some(0) {
                    ended.defers();
                }
            }
            done.store(true, Ordering::Relaxed);
            delivered
        });
        // A link that was left would have a second name.
        let _ = fs::read_link(&path).map(|_| fs::remove_file(&path));
        is_untouched(&host);
        assert_eq!(fs::metadata(&victim).unwrap().nlink(), 1);
        let mail = fs::read(host.at("sga")).unwrap_or_default();
        assert_eq!(messages(&mail).len(), delivered);
        assert!(!contains(&mail, b"precious"));
        host.run(&["deliver"]).go().succeeds();
    }
}
