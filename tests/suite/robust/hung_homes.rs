//! Commands that look at everybody: a file system that does not answer is named, everything else is looked at, and
//! nobody hangs.

use std::fs;
use std::os::unix::fs::chown;

use crate::robust::setgid::{Host, OTHER};
use crate::support::hung::Hung;
use crate::support::{contains, shown, skip};

/// A home that hangs, and another one with something to tell.
fn homes() -> Option<(Host, Hung)> {
    let host = Host::new()?;
    let (hung, other) = (host.scratch.path("home"), host.scratch.path("other"));
    let state = other.join(".local/state/spoolguard");
    fs::create_dir_all(&state).unwrap();
    for dir in [&other, &other.join(".local"), &other.join(".local/state"), &state] {
        chown(dir, Some(OTHER), Some(OTHER)).unwrap();
    }
    let passwd = fs::read_to_string(host.scratch.path("etc/passwd")).unwrap();
    let passwd = passwd.replace("/nonexistent", &other.display().to_string());
    fs::write(host.scratch.path("etc/passwd"), passwd).unwrap();
    match Hung::over(&hung) {
        Some(hung) => Some((host, hung)),
        None => {
            skip("needs FUSE in the kernel");
            None
        }
    }
}

#[test]
fn whoever_looks_at_everybody_leaves_out_a_home_that_hangs() {
    let Some((host, _hung)) = homes() else { return };
    let home = host.scratch.path("home").display().to_string();
    let ended = host
        .care_by_root(&["status", "--user", "sgb", "--suspend", "b@b.test"])
        .variable("HOME", "/root")
        .go();
    ended.ends_with(0);
    let ended = host.care_by_root(&["status", "--all"]).variable("HOME", "/root").go();
    ended
        .ends_with(75)
        .mentions("sga")
        .mentions(&home)
        .mentions("does not answer");
    assert!(contains(&ended.stdout, b"b@b.test"), "{}", shown(&ended.stdout));
    let ended = host.care_by_root(&["trace", "b@b.test"]).variable("HOME", "/root").go();
    ended
        .ends_with(0)
        .mentions("sga")
        .mentions(&home)
        .mentions("does not answer");
    assert!(
        contains(&ended.stdout, b"b@b.test is suspended"),
        "{}",
        shown(&ended.stdout)
    );
}

#[test]
fn a_maildir_that_hangs_is_named_and_the_others_are_listed() {
    let Some((host, _hung)) = homes() else { return };
    for part in ["new", "cur", "tmp"] {
        fs::create_dir_all(host.scratch.path("other/Maildir").join(part)).unwrap();
    }
    let config = "[mailbox]\nlocation = \"maildir:~/Maildir\"\n";
    fs::write(host.scratch.path("etc/spoolguard.toml"), config).unwrap();
    let ended = host.care_by_root(&["spool", "list"]).variable("HOME", "/root").go();
    ended.mentions(&host.scratch.path("home/Maildir").display().to_string());
    assert!(contains(&ended.stdout, b"\nsgb "), "{}", shown(&ended.stdout));
}

#[test]
fn care_for_a_spool_directory_that_hangs_ends_with_75() {
    let Some(host) = Host::new() else { return };
    let at = host.scratch.path("mail");
    let Some(_hung) = Hung::over(&at) else {
        return skip("needs FUSE in the kernel");
    };
    let config = format!("[mailbox]\nlocation = \"mbox:{}/%u\"\n", at.display());
    fs::write(host.scratch.path("etc/spoolguard.toml"), config).unwrap();
    for command in [
        &["spool", "list"] as &[&str],
        &["spool", "archive", "--all", "--older-than", "30d", "--yes"],
    ] {
        let ended = host.care_by_root(command).variable("HOME", "/root").go();
        ended.ends_with(75).mentions("does not answer");
    }
}
