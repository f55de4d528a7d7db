//! The Debian package on a host with Postfix: installed, upgraded, used and purged.
//!
//! `tests/mta/package` makes it. What is in it is compared with `contrib`, so that nothing is forgotten there.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::host::{files_below, read_text};
use crate::stage::{GUARD, Stage};

/// The story's name.
pub const NAME: &str = "package";

/// Where it stands on the host.
const COPY: &str = "tmp/package.deb";

/// What has to be found under these names, and what it has to be.
const PLACES: &[(&str, &str)] = &[
    ("usr/share/man/man1/spoolguard.1.gz", "contrib/man/spoolguard.1"),
    (
        "usr/share/man/man5/spoolguard.toml.5.gz",
        "contrib/man/spoolguard.toml.5",
    ),
    ("usr/share/man/man7/spoolguard-log.7.gz", "contrib/man/spoolguard-log.7"),
    ("usr/share/doc/spoolguard/docs/growth.svg", "docs/growth.svg"),
    (
        "usr/share/bash-completion/completions/spoolguard",
        "contrib/completions/spoolguard.bash",
    ),
    (
        "usr/share/zsh/vendor-completions/_spoolguard",
        "contrib/completions/_spoolguard",
    ),
    (
        "usr/share/fish/vendor_completions.d/spoolguard.fish",
        "contrib/completions/spoolguard.fish",
    ),
    ("usr/share/doc/spoolguard/README.md", "README.md"),
    ("usr/share/doc/spoolguard/changelog.gz", "CHANGELOG.md"),
    ("usr/share/doc/spoolguard/copyright", "contrib/debian/copyright"),
    ("usr/share/doc/spoolguard/examples/forward", "contrib/forward"),
    (
        "usr/share/doc/spoolguard/examples/spoolguard.toml",
        "contrib/spoolguard.toml",
    ),
    (
        "usr/lib/systemd/system/spoolguard-due.timer",
        "contrib/systemd/spoolguard-due.timer",
    ),
];

/// What of `contrib` is for those who have the sources.
const SOURCES_ONLY: &[&str] = &["contrib/debian", "contrib/link", "contrib/deny.toml"];

/// Where a host at work leaves files of its own, and what the story put there by hand.
const NOT_THE_PACKAGES: &[&str] = &[
    "/dev/",
    "/etc/postfix/",
    "/etc/spoolguard.toml",
    "/home/",
    "/run/",
    "/tmp/",
    "/var/lib/dpkg/",
    "/var/lib/postfix/",
    "/var/log/",
    "/var/mail/",
    "/var/spool/postfix/",
];

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn package() -> PathBuf {
    project().join("target/mta/spoolguard.deb")
}

/// Says what the scene lacks.
pub fn missing() -> Option<String> {
    (!package().is_file()).then(|| "needs the package: run tests/mta/package".to_owned())
}

/// Plays the scene.
pub fn play(stage: &mut Stage) {
    stage.lab.host("a.test", &["a", "admin"]);
    stage.host("s.test", &["s"]);
    stage.host("b.test", &[]);
    let root = stage.lab.at("a.test").root.clone();
    fs::copy(package(), root.join(COPY)).unwrap();
    let before = paths(stage);

    dpkg(stage, &["--install", &format!("/{COPY}")]);
    is_whole(stage, &root);
    is_right(stage, &root);

    // What an administrator does then has to outlive an upgrade.
    let own = "admin = \"admin@a.test\"\n";
    stage.lab.at("a.test").write("etc/spoolguard.toml", own);
    let enabled = root.join("etc/systemd/system/timers.target.wants/spoolguard-due.timer");
    let is_enabled = || fs::symlink_metadata(&enabled).is_ok();
    stage.check(!is_enabled(), "no timer is enabled by the installation");
    run(stage, &["mkdir", "-p", "/etc/systemd/system/timers.target.wants"]);
    std::os::unix::fs::symlink("/usr/lib/systemd/system/spoolguard-due.timer", &enabled).unwrap();
    dpkg(stage, &["--install", &format!("/{COPY}")]);
    is_whole(stage, &root);
    stage.check(is_enabled(), "an enabled timer stays enabled over an upgrade");
    let kept = fs::read_to_string(root.join("etc/spoolguard.toml")).unwrap_or_default();
    stage.check_equal("the configuration after an upgrade", kept.as_str(), own);

    stage.forward("a.test", "a", "b@b.test");
    stage.start();
    stage.letter();
    run(stage, &[GUARD, "spool", "list"]);
    let cache = root.join("var/cache/spoolguard");
    stage.check(cache.is_dir(), "root's look at the spool is remembered");
    stage.expect_rest(1);
    stage.expect_mail("a@a.test", 1);
    stage.expect_mail("s@s.test", 0);

    let removed = dpkg(stage, &["--remove", "spoolguard"]);
    let said = String::from_utf8_lossy(&removed.stderr).into_owned();
    stage.check(
        said.contains("\n  /home/a/.forward\n"),
        &format!("on removal it is said who still calls the program: {said}"),
    );
    stage.check(
        !root.join(GUARD.trim_start_matches('/')).exists(),
        "the program is gone",
    );
    stage.check(cache.is_dir(), "what is remembered outlives a removal");
    dpkg(stage, &["--purge", "spoolguard"]);
    let left: Vec<_> = paths(stage)
        .difference(&before)
        .filter(|path| !NOT_THE_PACKAGES.iter().any(|place| path.starts_with(place)))
        .cloned()
        .collect();
    stage.check(left.is_empty(), &format!("a purge leaves nothing: {left:?}"));
    stage.check(
        root.join("home/a/.local/state/spoolguard").is_dir() && root.join("etc/spoolguard.toml").is_file(),
        "a purge takes nothing of a user's or the administrator's",
    );
}

/// Every file of the package is there, of root, with the mode that such files have; and it brings no configuration.
fn is_whole(stage: &mut Stage, root: &Path) {
    let listed = run(stage, &["dpkg-query", "--listfiles", "spoolguard"]);
    let mut contents = BTreeSet::new();
    for path in String::from_utf8_lossy(&listed.stdout).lines() {
        let place = root.join(path.trim_start_matches('/'));
        let Ok(state) = fs::symlink_metadata(&place) else {
            stage.check(false, &format!("{path} is there"));
            continue;
        };
        // The program makes a first mailbox with the rights of the group mail, which has this number on every Debian.
        let (group, mode) = match path == GUARD {
            true => (8, 0o2755),
            false if state.is_dir() => (0, 0o755),
            false => (0, 0o644),
        };
        let is = (state.uid(), state.gid(), state.mode() & 0o7777);
        if !state.is_dir() || path.contains("spoolguard") {
            stage.check_equal(&format!("owner, group and mode of {path}"), is, (0, group, mode));
        }
        stage.check(!path.starts_with("/etc/"), &format!("{path} is no configuration"));
        if state.is_file() {
            contents.insert(read_text(&place));
        }
    }
    for file in files_below(&project().join("contrib")) {
        let name = file.strip_prefix(project()).unwrap();
        if !SOURCES_ONLY.iter().any(|other| name.starts_with(other)) {
            let shipped = contents.contains(&fs::read(&file).unwrap());
            stage.check(shipped, &format!("{} is in the package", name.display()));
        }
    }
    for (place, source) in PLACES {
        let same = read_text(&root.join(place)) == fs::read(project().join(source)).unwrap();
        stage.check(same, &format!("{place} is {source}"));
    }
}

/// The program runs with this host's libraries, and says that it is the version that dpkg knows.
fn is_right(stage: &mut Stage, root: &Path) {
    let version = run(
        stage,
        &["dpkg-query", "--show", "--showformat=${Version}", "spoolguard"],
    );
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    stage.check_equal(
        "the version",
        version.as_str(),
        concat!(env!("CARGO_PKG_VERSION"), "-1"),
    );
    let changes =
        String::from_utf8_lossy(&read_text(&root.join("usr/share/doc/spoolguard/changelog.Debian.gz"))).into_owned();
    stage.check(
        changes.starts_with(&format!("spoolguard ({version}) ")),
        "contrib/debian/changelog begins with this version",
    );
    let says = run(stage, &[GUARD, "--version"]);
    let says = String::from_utf8_lossy(&says.stdout).into_owned();
    stage.check_equal(
        "what it says",
        says.trim_end(),
        concat!("spoolguard ", env!("CARGO_PKG_VERSION")),
    );
    let checked = stage.lab.at("a.test").run_as("a", &[GUARD, "config", "check"], b"");
    stage.check(
        checked.status.success(),
        &format!("no file is a working configuration: {checked:?}"),
    );
}

/// Every path of the host's file system.
fn paths(stage: &mut Stage) -> BTreeSet<String> {
    let found = run(stage, &["find", "/", "-xdev"]);
    String::from_utf8_lossy(&found.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

fn dpkg(stage: &mut Stage, words: &[&str]) -> Output {
    run(stage, &[&["dpkg"], words].concat())
}

/// Runs a command on the host as root, which has to succeed.
fn run(stage: &mut Stage, words: &[&str]) -> Output {
    let output = stage.lab.at("a.test").command(words).output().unwrap();
    stage.check(output.status.success(), &format!("{words:?} succeeds: {output:?}"));
    output
}
