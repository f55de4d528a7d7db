//! A spool directory in which users can make no file, as on Debian: what a setgid installation and a run by root do
//! there all the same, and what nobody gets out of it. In a mount namespace, where `/var/mail` and `/etc` are the
//! test's own.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::robust::lock::hold_fcntl;
use crate::support::{
    ALONE, Ended, ORDINARY, Run, Scratch, Watch, child_of, contains, is_root, messages, only, same, shown, skip, until,
};

/// The user, another user, and the group that writes to the spool directory. Nobody has these numbers.
pub const USER: u32 = 61_301;
pub const OTHER: u32 = 61_302;
pub const GROUP: u32 = 61_303;

/// The directory where mailboxes are if no configuration says otherwise.
const SPOOL: &str = "/var/mail";

/// A host with the users `sga` and `sgb`, and the program installed setgid.
pub struct Host {
    pub scratch: Scratch,
    program: PathBuf,
}

impl Host {
    /// None where this cannot be had here; then it says why.
    pub fn new() -> Option<Self> {
        let missing = if !is_root() {
            Some("needs root, to install a program setgid and to be several users")
        } else if !Path::new(SPOOL).is_dir() {
            Some("needs a directory /var/mail to put its own over")
        } else if !Command::new("unshare")
            .args(["-m", "setpriv", "--clear-groups", "true"])
            .status()
            .is_ok_and(|status| status.success())
        {
            Some("needs unshare(1), setpriv(1) and the right to use them")
        } else {
            None
        };
        let scratch = Scratch::new();
        let no_setgid = || {
            let stat = nix::sys::statvfs::statvfs(&scratch.path(".")).unwrap();
            stat.flags().contains(nix::sys::statvfs::FsFlags::ST_NOSUID)
        };
        let missing = missing.or_else(|| no_setgid().then_some("the temporary directory is mounted nosuid"));
        if let Some(missing) = missing {
            skip(missing);
            return None;
        }
        scratch.open_to_all();
        let passwd = format!(
            "root:x:0:0::/root:/bin/sh\nsga:x:{USER}:{USER}::{0}:/bin/sh\nsgb:x:{OTHER}:{OTHER}::/nonexistent:/bin/sh\n",
            scratch.path("home").display()
        );
        fs::create_dir(scratch.path("etc")).unwrap();
        fs::write(scratch.path("etc/passwd"), passwd).unwrap();
        chown(scratch.path("home"), Some(USER), Some(USER)).unwrap();
        let program = scratch.copy_program("installed");
        let host = Self { scratch, program };
        host.install(0, GROUP, 0o2755);
        host.spool_is(0o2775);
        Some(host)
    }

    fn install(&self, owner: u32, group: u32, mode: u32) {
        chown(&self.program, Some(owner), Some(group)).unwrap();
        fs::set_permissions(&self.program, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn spool_is(&self, mode: u32) {
        make_dir(&self.scratch.path("spool"), mode);
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.scratch.path("spool").join(name)
    }

    /// The names in the spool directory.
    pub fn names(&self) -> Vec<String> {
        let names = self.scratch.files("spool").into_iter();
        names
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    /// What the user's own configuration says; there is no other.
    pub fn configure(&self, text: &str) {
        let dir = self.scratch.path("home/.config");
        fs::create_dir_all(&dir).unwrap();
        let text = format!("admin = \"{}\"\n{text}", self.scratch.path("home/admin").display());
        fs::write(dir.join("spoolguard.toml"), text).unwrap();
    }

    fn line(&self, before: &str, as_user: &str) -> String {
        let path = |name| self.scratch.path(name).display().to_string();
        format!(
            "mount --bind '{}' /etc && mount --bind '{}' {SPOOL} && {before} exec {as_user} \"$@\"",
            path("etc"),
            path("spool")
        )
    }

    fn begin(&self, arguments: &[&str], line: &str) -> Run<'_> {
        let run = self.scratch.bare(arguments).with(&["-a", "a@a.test", "-f", "s@s.test"]);
        run.program(&self.program)
            .input(ORDINARY)
            .wrapped(&["unshare", "-m", "/bin/sh", "-c", line, "sh"])
    }

    /// A run by the user, after `before`, a line of a shell.
    fn after(&self, before: &str, arguments: &[&str]) -> Run<'_> {
        let as_user = format!("setpriv --reuid {USER} --regid {USER} --clear-groups --");
        self.begin(arguments, &self.line(before, &as_user))
    }

    /// A run by the user.
    pub fn run(&self, arguments: &[&str]) -> Run<'_> {
        self.after("", arguments)
    }

    /// A run by root.
    pub fn by_root(&self, arguments: &[&str]) -> Run<'_> {
        self.begin(arguments, &self.line("", ""))
    }

    /// A run by root that delivers nothing.
    pub fn care_by_root(&self, arguments: &[&str]) -> Run<'_> {
        let run = self.scratch.bare(arguments).program(&self.program);
        run.wrapped(&["unshare", "-m", "/bin/sh", "-c", &self.line("", ""), "sh"])
    }

    fn delivers(&self) {
        let watch = Watch::new(&self.scratch.path("spool"));
        self.run(&["deliver"]).go().succeeds();
        watch.until_made("sga.lock");
        self.has_one_message();
    }

    fn has_one_message(&self) {
        assert_eq!(self.names(), ["sga"]);
        same(only(&fs::read(self.at("sga")).unwrap()), ORDINARY);
        self.is_the_users(0o660, GROUP);
    }

    fn is_the_users(&self, mode: u32, group: u32) {
        let stat = fs::symlink_metadata(self.at("sga")).unwrap();
        assert_eq!((stat.uid(), stat.gid(), stat.mode() & 0o7777), (USER, group, mode));
    }

    /// Nothing came of it, anywhere in the spool.
    pub fn nothing_was_made(&self, ended: &Ended<'_>) {
        ended.defers();
        ended.check(self.names().is_empty(), &format!("there are {:?}", self.names()));
    }
}

fn make_dir(path: &Path, mode: u32) {
    let _ = fs::create_dir(path);
    chown(path, Some(0), Some(GROUP)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn grow_old(path: &Path) {
    let old = SystemTime::now() - Duration::from_secs(3600);
    File::open(path).unwrap().set_modified(old).unwrap();
}

#[test]
fn a_setgid_installation_makes_the_mailbox_under_a_dotlock() {
    let Some(host) = Host::new() else { return };
    host.delivers();
    // The directory does not have to hand its group on.
    fs::remove_file(host.at("sga")).unwrap();
    host.spool_is(0o775);
    host.delivers();
}

#[test]
fn a_plain_installation_does_not() {
    let Some(host) = Host::new() else { return };
    host.install(0, GROUP, 0o755);
    let ended = host.run(&["deliver"]).go();
    host.nothing_was_made(&ended);
    ended.mentions("setgid");
}

#[test]
fn the_mode_of_a_new_mailbox_is_not_the_callers() {
    for umask in ["000", "077", "777"] {
        let Some(host) = Host::new() else { return };
        host.after(&format!("umask {umask};"), &["deliver"]).go().succeeds();
        host.has_one_message();
    }
}

#[test]
fn no_flag_file_or_variable_leads_the_group_elsewhere() {
    let Some(host) = Host::new() else { return };
    let elsewhere = host.scratch.path("elsewhere");
    make_dir(&elsewhere, 0o2775);
    let elsewhere = elsewhere.display().to_string();
    let config = host.scratch.path("chosen");
    fs::write(&config, format!("[mailbox]\nlocation = \"mbox:{elsewhere}/%u\"\n")).unwrap();
    let config = config.display().to_string();
    let mbox = format!("{SPOOL}/../mail/sga");
    for arguments in [
        &["--mailbox", "/var/mail/sgb"] as &[&str],
        &["--mailbox", "/var/mail/sga.lock"],
        &["--mailbox", "/var/mail/sga.x"],
        &["--mailbox", &mbox],
        &["--mailbox", &format!("{elsewhere}/sga")],
        &["--user", "sgb"],
        &["--user", "nobodys"],
        &["--config", &config],
    ] {
        let ended = host.run(&["deliver"]).with(arguments).go();
        host.nothing_was_made(&ended);
    }
    host.configure(&format!("[mailbox]\nlocation = \"mbox:{elsewhere}/%u\"\n"));
    host.nothing_was_made(&host.run(&["deliver"]).go());
    fs::remove_dir_all(host.scratch.path("home/.config")).unwrap();
    let old = host.scratch.path("old");
    fs::write(&old, b"From s@s.test Mon Nov  2 10:00:00 2026\nSubject: x\n\nx\n\n").unwrap();
    host.run(&["replay", old.to_str().unwrap()]).go().ends_with(75);
    assert!(host.names().is_empty());
    assert!(fs::read_dir(&elsewhere).unwrap().next().is_none());
    // The loader says so where it believes in a library that is not there.
    let as_user = format!("setpriv --reuid {USER} --regid {USER} --clear-groups -- env LD_PRELOAD=/not/there.so");
    let run = host.begin(&["deliver"], &host.line("", &as_user));
    let run = ["USER", "LOGNAME", "MAIL", "SPOOLGUARD_CONFIG", "XDG_CONFIG_HOME"]
        .iter()
        .fold(run, |run, name| run.variable(name, &elsewhere));
    run.go().succeeds();
    host.has_one_message();
}

#[test]
fn the_systems_configuration_says_where_the_mailboxes_are() {
    let Some(host) = Host::new() else { return };
    let elsewhere = host.scratch.path("elsewhere");
    make_dir(&elsewhere, 0o2775);
    let system = host.scratch.path("etc/spoolguard.toml");
    let text = |dir: &str| {
        format!(
            "users_may_set = [\"mailbox\"]\n[mailbox]\nlocation = \"mbox:{dir}/%u\"\nmin_free = \"0\"\n[quota.users]\nsga = \"1M\"\n"
        )
    };
    fs::write(&system, text(elsewhere.to_str().unwrap())).unwrap();
    let watch = Watch::new(&elsewhere);
    host.run(&["deliver"]).go().succeeds();
    watch.until_made("sga.lock");
    same(only(&fs::read(elsewhere.join("sga")).unwrap()), ORDINARY);
    assert!(host.names().is_empty());
    // What the caller says of it counts for nothing, whether the caller may say so or not.
    let chosen = host.scratch.path("chosen");
    fs::write(&chosen, text(SPOOL)).unwrap();
    let ended = host.run(&["deliver", "--config", chosen.to_str().unwrap()]).go();
    host.nothing_was_made(&ended);
    host.configure(&format!("[mailbox]\nlocation = \"mbox:{SPOOL}/%u\"\n"));
    host.nothing_was_made(&host.run(&["deliver"]).go());
    fs::remove_dir_all(host.scratch.path("home/.config")).unwrap();
    // One that cannot be used says nothing about it, and the default is not in its place.
    fs::write(&system, "[mailbox]\nlocations = 1\n").unwrap();
    let ended = host.run(&["deliver", "--config", chosen.to_str().unwrap()]).go();
    host.nothing_was_made(&ended);
    host.nothing_was_made(&host.run(&["deliver"]).go());
    host.nothing_was_made(&host.by_root(&["deliver", "--user", "sga"]).go());
}

#[test]
fn the_group_is_taken_only_where_the_user_may_not() {
    let Some(host) = Host::new() else { return };
    // Everybody's directory: what is made there is the user's alone, as without the installation.
    host.spool_is(0o1777);
    host.run(&["deliver"]).go().succeeds();
    host.is_the_users(0o600, USER);
    fs::remove_file(host.at("sga")).unwrap();
    host.spool_is(0o3777);
    host.delivers();
}

#[test]
fn a_directory_that_is_no_spool_is_left_alone() {
    let Some(host) = Host::new() else { return };
    let spool = host.scratch.path("spool");
    // Another group's, another user's, one that its group may not write to.
    for (owner, group, mode) in [(0, OTHER, 0o2775), (OTHER, GROUP, 0o2775), (0, GROUP, 0o2755)] {
        host.spool_is(mode);
        chown(&spool, Some(owner), Some(group)).unwrap();
        let ended = host.run(&["deliver"]).go();
        host.nothing_was_made(&ended);
    }
}

#[test]
fn who_is_not_in_etc_passwd_has_no_place_in_the_spool() {
    let Some(host) = Host::new() else { return };
    fs::write(host.scratch.path("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
    let ended = host.run(&["deliver", "--user", "sga"]).go();
    host.nothing_was_made(&ended);
    // A line that names another's mailbox, a dotlock, or what is no name.
    for name in ["sgb.lock", "sgb.lock.x", "../sgb", ".sga", ""] {
        let line = format!("{name}:x:{USER}:{USER}::/:/bin/sh\n");
        fs::write(host.scratch.path("etc/passwd"), line).unwrap();
        let ended = host.run(&["deliver"]).go();
        host.nothing_was_made(&ended);
    }
}

#[test]
fn setuid_and_the_group_of_root_are_refused() {
    let Some(host) = Host::new() else { return };
    for (owner, group, mode) in [
        (0, GROUP, 0o4755),
        (0, GROUP, 0o6755),
        (OTHER, GROUP, 0o4755),
        (0, 0, 0o2755),
    ] {
        host.install(owner, group, mode);
        let ended = host.run(&["deliver"]).go();
        host.nothing_was_made(&ended);
        ended.mentions("it is installed set");
    }
}

/// The lines of `/proc/PID/status` that say what a process may do.
fn rights(status: &str) -> Vec<String> {
    let fields = ["Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapAmb"];
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter(|(name, _)| fields.contains(name))
        .map(|(name, value)| {
            let words: Vec<_> = value.split_ascii_whitespace().collect();
            format!("{name} {}", words.join(" ")).trim_end().to_owned()
        })
        .collect()
}

fn only_the_users(status: &Path) {
    let status = fs::read_to_string(status).unwrap();
    let ids = |name| format!("{name} {USER} {USER} {USER} {USER}");
    let none = |name| format!("{name} 0000000000000000");
    let found = rights(&status);
    assert!(
        found[2] == "Groups" || found[2] == format!("Groups {USER}"),
        "{found:?}"
    );
    let expected = [
        ids("Uid"),
        ids("Gid"),
        found[2].clone(),
        none("CapPrm"),
        none("CapEff"),
        none("CapAmb"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn no_program_that_it_starts_gets_the_group() {
    let Some(host) = Host::new() else { return };
    let seen = host.scratch.path("home/seen");
    let sendmail = host.scratch.script("sendmail", "");
    // Without -p some shells give up what they should not have.
    let text = format!(
        "#!/bin/sh -p\ncat >'{0}.in'; cat /proc/self/status >'{0}'\n",
        seen.display()
    );
    fs::write(&sendmail, text).unwrap();
    host.configure(&format!(
        "[forward]\ntransport = {:?}\n",
        sendmail.display().to_string()
    ));
    // With a copy, whose dotlock and mailbox were made with the group before.
    let arguments = ["forward", "--keep", "b@b.test"];
    host.run(&arguments).go().succeeds();
    only_the_users(&seen);
    assert_eq!(host.names(), ["sga"]);
    fs::remove_file(&seen).unwrap();
    fs::remove_file(host.at("sga")).unwrap();
    let another = b"Message-ID: <2@s.test>\nSubject: another\n\nx\n";
    host.by_root(&[&arguments as &[&str], &["--user", "sga"]].concat())
        .input(another)
        .go()
        .succeeds();
    only_the_users(&seen);
    assert_eq!(host.names(), ["sga"]);
}

#[test]
fn nobody_looks_into_the_process_or_gets_its_core() {
    let Some(host) = Host::new() else { return };
    // It waits for the end of the message.
    let (input, _open) = std::io::pipe().unwrap();
    let run = host
        .after("ulimit -c unlimited;", &["deliver"])
        .input_file(input)
        .start();
    let read = |pid: u32, name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let has = |pid: u32, saved: u32| read(pid, "status").contains(&format!("Gid:\t{USER}\t{USER}\t{saved}\t{USER}"));
    until("the group is set aside", || {
        child_of(run.pid()).is_some_and(|child| has(child, GROUP))
    });
    until("who waits has given it up", || has(run.pid(), USER));
    let child = child_of(run.pid()).unwrap();
    let proc = PathBuf::from(format!("/proc/{child}"));
    until("dumps are forbidden", || {
        let limits = read(child, "limits");
        let core = limits.lines().find(|line| line.starts_with("Max core file size"));
        core.is_some_and(|line| line.split_ascii_whitespace().nth(4) == Some("0"))
    });
    let peek = Command::new("setpriv")
        .args([
            "--reuid",
            &USER.to_string(),
            "--regid",
            &USER.to_string(),
            "--clear-groups",
            "ls",
        ])
        .args([proc.join("fd"), proc.join("root")])
        .output()
        .unwrap();
    assert!(!peek.status.success() && peek.stdout.is_empty(), "{peek:?}");
    run.signal(nix::sys::signal::Signal::SIGTERM);
    run.end().ends_with(75);
}

#[test]
fn nothing_is_delivered_behind_the_back_of_an_mta() {
    let Some(host) = Host::new() else { return };
    let mailbox = host.at("sga");
    fs::write(&mailbox, "").unwrap();
    chown(&mailbox, Some(USER), Some(GROUP)).unwrap();
    let held = hold_fcntl(&mailbox);
    let run = host.after("", &["deliver"]).start();
    // The group was taken for the dotlock, and given back.
    let has_given_back = |child: u32| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        host.at("sga.lock").exists() && status.contains(&format!("Gid:\t{USER}\t{USER}\t{GROUP}\t{USER}"))
    };
    until("it waits for the other lock", || {
        child_of(run.pid()).is_some_and(has_given_back)
    });
    let child = child_of(run.pid()).unwrap();
    run.signal(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(run.end().signal, Some(9));
    until("what delivers is gone, too", || !has_given_back(child));
    drop(held);
    assert_eq!(fs::read(&mailbox).unwrap(), b"");
}

#[test]
fn what_the_caller_closes_is_no_file_of_ours() {
    let Some(host) = Host::new() else { return };
    host.configure("[quota]\nlimit = \"500B\"\nwarn = \"100%\"\n");
    host.after("exec >&- 2>&-;", &["deliver"]).go().ends_with(0);
    host.has_one_message();
    // It has something to say now, and nothing of that gets into a file.
    for _ in 0..3 {
        host.after("exec >&- 2>&-;", &["deliver", "-v", "-v"]).go();
    }
    let mail = fs::read(host.at("sga")).unwrap();
    assert!(!contains(&mail, b"spoolguard"), "{}", shown(&mail));
    messages(&mail)
        .iter()
        .for_each(|message| same(crate::support::content(message), ORDINARY));
    host.after("exec <&-;", &["deliver"]).go().ends_with(75);
    assert_eq!(host.names(), ["sga"]);
}

#[test]
fn limits_leave_nothing_behind_in_the_directory() {
    let Some(host) = Host::new() else { return };
    let mut made = 0;
    for files in 0..16 {
        let ended = host.after(&format!("ulimit -n {files};"), &["deliver"]).go();
        // Below three the loader cannot open the C library, and says 127.
        ended.check(ended.code.is_some(), "died");
        made += usize::from(ended.code == Some(0));
        let names = host.names();
        ended.check(names.is_empty() || names == ["sga"], &format!("there are {names:?}"));
        ended.check(files < 8 || matches!(ended.code, Some(0 | 75)), "neither 0 nor 75");
    }
    assert!(made > 0);
    let mail = fs::read(host.at("sga")).unwrap();
    assert_eq!(messages(&mail).len(), made);
    let ended = host.after("ulimit -f 0;", &["deliver"]).go();
    ended.defers();
    same(&fs::read(host.at("sga")).unwrap(), &mail);
    fs::remove_file(host.at("sga")).unwrap();
    host.after("ulimit -f 0;", &["deliver"]).go().defers();
    assert!(!host.at("sga.lock").exists());
    host.run(&["deliver"]).go().succeeds();
    host.has_one_message();
}

#[test]
fn a_huge_or_senseless_command_line_makes_nothing() {
    let Some(host) = Host::new() else { return };
    let huge = "x".repeat(120_000);
    for arguments in [
        &["deliver", "--user", &huge] as &[&str],
        &["deliver", "--mailbox", &huge],
        &["deliver", "--no-such-flag"],
        &[],
    ] {
        let ended = host.run(arguments).go();
        host.nothing_was_made(&ended);
    }
}

#[test]
fn the_locks_of_others_are_judged_as_without_the_group() {
    let Some(host) = Host::new() else { return };
    host.configure("[mailbox]\nlock_timeout = \"1s\"\n");
    host.run(&["deliver"]).go().succeeds();
    let lock = host.at("sga.lock");
    let count = || messages(&fs::read(host.at("sga")).unwrap()).len();
    for owner in [USER, OTHER, 0] {
        fs::write(&lock, "1\n").unwrap();
        chown(&lock, Some(owner), Some(GROUP)).unwrap();
        host.run(&["deliver"]).go().defers().mentions("sga.lock exists");
        assert!(lock.exists());
    }
    // Old ones: the own is removed, others' stay where they are and hold nobody.
    for owner in [OTHER, 0] {
        grow_old(&lock);
        chown(&lock, Some(owner), Some(GROUP)).unwrap();
        host.run(&["deliver"]).go().succeeds();
        assert!(lock.exists(), "the dotlock of {owner} was removed");
    }
    chown(&lock, Some(USER), Some(GROUP)).unwrap();
    host.run(&["deliver"]).go().succeeds();
    assert_eq!((count(), host.names()), (4, vec!["sga".to_owned()]));
    // That of a killed run of the own user's is taken over at once.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    fs::write(
        &lock,
        format!("4000000000\nspoolguard host=h boot={} start=1\n", boot.trim()),
    )
    .unwrap();
    chown(&lock, Some(USER), Some(GROUP)).unwrap();
    host.run(&["deliver"]).go().succeeds();
    assert_eq!((count(), host.names()), (5, vec!["sga".to_owned()]));
}

#[test]
fn a_mailbox_of_somebody_elses_name_keeps_its_file() {
    let Some(host) = Host::new() else { return };
    host.configure("[mailbox]\nlock_timeout = \"1s\"\n");
    // The mailbox of a user who is called like sga's dotlock.
    let path = host.at("sga.lock");
    fs::write(&path, "").unwrap();
    chown(&path, Some(OTHER), Some(GROUP)).unwrap();
    grow_old(&path);
    host.run(&["deliver"]).go();
    assert!(path.exists());
}

#[test]
fn a_group_that_cannot_be_given_back_ends_the_process() {
    let Some(host) = Host::new() else { return };
    let strace = "/usr/bin/strace";
    if !Path::new(strace).exists() {
        return skip("needs strace(1)");
    }
    let after = |inject: &str, watched: &str| {
        let record = host.scratch.path("record").display().to_string();
        let as_user =
            format!("{strace} -qq -u sga -o '{record}' -e trace={watched},clone -e inject={inject} -e {ALONE} --");
        let ended = host.begin(&["deliver"], &host.line("", &as_user)).go();
        (ended.code, fs::read_to_string(record).unwrap())
    };
    // How it goes: set aside, taken and given back several times, given up for good.
    let (code, record) = after("setresgid:delay_enter=0", "setresgid");
    if !record.contains(&format!("setresgid({USER}, {USER}, {GROUP})")) {
        return skip("strace(1) runs no setgid program here");
    }
    assert_eq!(code, Some(0), "{record}");
    let calls: Vec<_> = record.lines().filter(|line| line.starts_with("setresgid(")).collect();
    let (first, rest) = calls.split_first().unwrap();
    let (last, pairs) = rest.split_last().unwrap();
    assert!(
        first.starts_with(&format!("setresgid({USER}, {USER}, {GROUP})")),
        "{record}"
    );
    assert!(
        last.starts_with(&format!("setresgid({USER}, {USER}, {USER})")),
        "{record}"
    );
    assert!(pairs.len() >= 8 && pairs.len() % 2 == 0, "{record}");
    for pair in pairs.chunks(2) {
        assert!(pair[0].starts_with(&format!("setresgid(-1, {GROUP}, -1)")), "{record}");
        assert!(pair[1].starts_with(&format!("setresgid(-1, {USER}, -1)")), "{record}");
    }
    fs::remove_file(host.at("sga")).unwrap();
    // Given back the second time only.
    let (code, record) = after("setresgid:error=ENOMEM:when=3", "setresgid,?open,openat");
    assert_eq!(code, Some(0), "{record}");
    host.has_one_message();
    // Never given back.
    let (code, record) = after("setresgid:error=ENOMEM:when=3+", "setresgid,?open,openat,linkat");
    assert_eq!(code, Some(75), "{record}");
    let refused = record.find("ENOMEM").unwrap();
    assert!(
        !record[refused..].contains("open") && !record[refused..].contains("linkat("),
        "{record}"
    );
}

#[test]
fn a_signal_while_the_group_is_taken_holds_up_nobody() {
    let Some(host) = Host::new() else { return };
    let strace = "/usr/bin/strace";
    if !Path::new(strace).exists() {
        return skip("needs strace(1)");
    }
    host.configure("[mailbox]\nlock_timeout = \"2s\"\n");
    for signal in ["TERM", "XFSZ", "KILL"] {
        // The calls that take it, and those that give it back.
        for number in 2..=9 {
            let inject = format!("inject=setresgid:signal={signal}:when={number}");
            let as_user =
                format!("{strace} -qq -u sga -o /dev/null -e trace=setresgid,clone -e {inject} -e {ALONE} --");
            let ended = host.begin(&["deliver"], &host.line("", &as_user)).go();
            let is_known = matches!(
                (ended.code, ended.signal, signal),
                (Some(0 | 75), None, "TERM" | "XFSZ")
            ) || signal == "KILL" && ended.code.is_none_or(|code| code == 0 || code > 128);
            ended.check(is_known, &format!("SIG{signal} at the call number {number}"));
            host.run(&["deliver"]).go().succeeds();
            assert_eq!(host.names(), ["sga"]);
            let mail = fs::read(host.at("sga")).unwrap();
            // The second time it may be another message, or the same one known again.
            assert!(
                matches!(messages(&mail).len(), 1 | 2),
                "SIG{signal} at {number}: {}",
                shown(&mail)
            );
            let stat = fs::metadata(host.at("sga")).unwrap();
            assert_eq!((stat.uid(), stat.gid()), (USER, GROUP));
            fs::remove_file(host.at("sga")).unwrap();
        }
    }
}

#[test]
fn root_becomes_the_user_before_it_touches_anything_of_theirs() {
    let Some(host) = Host::new() else { return };
    host.by_root(&["deliver", "--user", "sga"]).go().succeeds();
    host.has_one_message();
    // By a plain installation, too.
    fs::remove_file(host.at("sga")).unwrap();
    host.install(0, 0, 0o755);
    let watch = Watch::new(&host.scratch.path("spool"));
    host.by_root(&["deliver", "--user", "sga"]).go().succeeds();
    watch.until_made("sga.lock");
    host.has_one_message();
    let strace = "/usr/bin/strace";
    if !Path::new(strace).exists() {
        return skip("needs strace(1), to see in which order it happens");
    }
    host.configure("");
    let record = host.scratch.path("record").display().to_string();
    let line = host.line("", &format!("{strace} -qq -o '{record}' -e {ALONE} --"));
    host.begin(&["deliver", "--user", "sga"], &line).go().succeeds();
    let record = fs::read_to_string(record).unwrap();
    let at = |text: &str| record.find(text).unwrap_or_else(|| panic!("no {text} in:\n{record}"));
    let home = host.scratch.path("home").display().to_string();
    let (groups, group, user) = (
        at(&format!("setgroups(1, [{USER}])")),
        at(&format!("setresgid({USER}, {USER}, {GROUP})")),
        at(&format!("setresuid({USER}, {USER}, {USER})")),
    );
    assert!(groups < group && group < user, "{record}");
    let touched = |name: &str| {
        let rest = &record[..user];
        rest.lines()
            .filter(|line| !line.starts_with("execve("))
            .any(|line| line.contains(name))
    };
    assert!(
        !touched(&format!("open(\"{home}")) && !touched(&format!("\"{home}/")),
        "{record}"
    );
    assert!(!touched(&format!("\"{SPOOL}/")), "{record}");
    assert!(
        record[user..].contains(&format!("\"{home}/.config/spoolguard.toml\"")),
        "{record}"
    );
}

#[test]
fn root_makes_no_mailbox_but_where_the_users_belong() {
    let Some(host) = Host::new() else { return };
    let elsewhere = host.scratch.path("elsewhere");
    make_dir(&elsewhere, 0o2775);
    let mbox = elsewhere.join("sga").display().to_string();
    let ended = host.by_root(&["deliver", "--user", "sga", "--mailbox", &mbox]).go();
    host.nothing_was_made(&ended);
    assert!(!Path::new(&mbox).exists());
}

#[test]
fn nothing_in_the_place_of_the_mailbox_is_written_through() {
    let Some(host) = Host::new() else { return };
    let victim = host.scratch.path("victim");
    let precious = || same(&fs::read(&victim).unwrap(), b"precious\n");
    fs::write(&victim, "precious\n").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o666)).unwrap();
    symlink(&victim, host.at("sga")).unwrap();
    host.run(&["deliver"]).go().defers().mentions("symbolic link");
    precious();
    fs::remove_file(host.at("sga")).unwrap();
    symlink(host.scratch.path("not-there"), host.at("sga")).unwrap();
    host.run(&["deliver"]).go().defers();
    assert!(!host.scratch.path("not-there").exists());
    fs::remove_file(host.at("sga")).unwrap();
    // Of the dotlock, too: its name is taken, and nothing else happens.
    host.configure("[mailbox]\nlock_timeout = \"1s\"\n");
    symlink(&victim, host.at("sga.lock")).unwrap();
    host.run(&["deliver"]).go().defers();
    precious();
    assert_eq!(host.names(), ["sga.lock"]);
}

#[test]
fn the_doctor_knows_which_installation_it_is() {
    let Some(host) = Host::new() else { return };
    for (mode, said) in [
        (0o2755, "spoolguard is setgid to its group"),
        (0o755, "install spoolguard setgid"),
    ] {
        host.install(0, GROUP, mode);
        let ended = host.care_by_root(&["doctor", "-v"]).go();
        ended.check(contains(&ended.stdout, said.as_bytes()), said);
    }
}
