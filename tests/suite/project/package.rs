//! What the Debian package does when it is installed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use crate::support::{Scratch, is_root, skip};

/// Runs the script of the package that is called when it is configured, with a program and a dpkg-statoverride of this
/// test.
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

/// An MTA defers or bounces what it cannot hand to a program that is gone.
#[test]
fn removing_the_package_names_each_file_that_calls_it() {
    let scratch = Scratch::new();
    let etc = scratch.path("etc");
    let script = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/debian/prerm")).unwrap();
    fs::write(
        scratch.path("prerm"),
        script.replace("/etc/", &format!("{}/", etc.display())),
    )
    .unwrap();
    let home = scratch.path("home");
    let calls = "sales: \"|/usr/bin/spoolguard forward --as sales b@b.test\"\n";
    let callers = [
        etc.join("aliases"),
        etc.join("dovecot/conf.d/99-spoolguard.conf"),
        etc.join("exim4/conf.d/transport/30_spoolguard"),
        etc.join("mail/aliases"),
        etc.join("postfix/guarded-aliases"),
        etc.join("postfix/main.cf"),
        home.join(".forward"),
    ];
    let others = [
        (etc.join("passwd"), format!("alice:x:1:1::{}:/bin/sh\n", home.display())),
        (etc.join("postfix/guarded-aliases.db"), format!("\0{calls}")),
        (etc.join("postfix/master.cf"), format!("# {calls}")),
        (etc.join("mail/sendmail.mc"), "dnl\n".to_owned()),
    ];
    let files = callers.iter().map(|path| (path.clone(), calls.to_owned()));
    for (path, text) in files.chain(others) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let ended = Command::new("/bin/sh")
        .args([scratch.path("prerm").as_os_str(), "remove".as_ref()])
        .output()
        .unwrap();
    assert!(ended.status.success());
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let mut named: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let mut want: Vec<_> = callers.iter().map(|path| path.display().to_string()).collect();
    named.sort_unstable();
    want.sort_unstable();
    assert_eq!(named, want, "{said}");
}
