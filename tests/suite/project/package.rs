//! What the Debian package does when it is installed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use crate::support::{Scratch, is_root, skip};

/// Runs the script of the package that is called when it is configured, with a program and a dpkg-statoverride of this test.
fn configure(scratch: &Scratch, has_override: &str) -> u32 {
    let program = scratch.path("program");
    fs::write(&program, "x").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/debian/postinst");
    let text = fs::read_to_string(script).unwrap();
    let text = text.replace("/usr/bin/spoolguard", program.to_str().unwrap());
    let script = scratch.path("postinst");
    fs::write(&script, text).unwrap();
    fs::create_dir_all(scratch.path("bin")).unwrap();
    scratch.script("bin/dpkg-statoverride", has_override);
    let path = format!("{}:/usr/bin:/bin", scratch.path("bin").display());
    let ended = Command::new("/bin/sh")
        .args([script.as_os_str(), "configure".as_ref()])
        .env("PATH", path)
        .status()
        .unwrap();
    assert!(ended.success());
    program.metadata().unwrap().mode() & 0o7777
}

#[test]
fn the_package_sets_the_programs_group_unless_told_otherwise() {
    if !is_root() {
        return skip("only root may give a file to a group");
    }
    let scratch = Scratch::new();
    assert_eq!(configure(&scratch, "exit 1"), 0o2755);
    // Whoever wants it otherwise keeps that: dpkg has applied it.
    assert_eq!(configure(&scratch, "exit 0"), 0o755);
}
