//! Hosts as distributions and guides set them up: an MTA that a unit confines, a container without `/proc` and syslog,
//! two names of one user, Sendmail's restricted shell. Each message arrives once, or waits, and `doctor` says why.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::host::{Host, holds, read_text};
use crate::lab::must;
use crate::stage::{GUARD, Hook, Stage};
use crate::stories::Story;

const POSTFIX: &[&str] = &["postfix"];

/// The stories.
pub const STORIES: &[Story] = &[
    Story {
        name: "confined-rights",
        title: "NoNewPrivileges: queued, told by doctor, then sent once",
        hooks: &[Hook::DotForward],
        delivers: false,
        only: POSTFIX,
        play: without_new_privileges,
    },
    Story {
        name: "confined-paths",
        title: "ProtectSystem and ProtectHome: sent, or queued and told by doctor",
        hooks: &[Hook::DotForward],
        delivers: false,
        only: POSTFIX,
        play: with_read_only_paths,
    },
    Story {
        name: "container",
        title: "no /proc and no syslog: a file has the log, or a postlog with rights",
        hooks: &[Hook::DotForward],
        delivers: false,
        only: POSTFIX,
        play: in_a_container,
    },
    Story {
        name: "one-uid",
        title: "two names with one uid: each has its own mail",
        hooks: &[Hook::Command],
        delivers: true,
        only: &["postfix", "exim", "opensmtpd", "sendmail"],
        play: two_names,
    },
    Story {
        name: "smrsh",
        title: "smrsh without a link: told by doctor; with it: sent",
        hooks: &[Hook::DotForward],
        delivers: false,
        only: &["sendmail"],
        play: restricted_shell,
    },
];

/// How long a message that cannot go on is tried before it goes back.
const LIMIT: Duration = Duration::from_secs(20);

/// What systemd makes of `ProtectSystem=strict` and `ProtectHome=read-only`, with the paths that Postfix itself needs.
const READ_ONLY: &str = "for dir in /usr /etc /home /var/mail; do \
     mount --bind $dir $dir && mount -o remount,bind,ro $dir || exit; done; exec \"$@\"";

fn set_up(stage: &mut Stage, confinement: &[&'static str]) {
    let host = stage.host("a.test", &["a", "c", "admin"]);
    host.confinement = confinement.to_vec();
    stage.host("s.test", &["s"]);
    stage.host("b.test", &["b"]);
    stage.forward("a.test", "a", "b@b.test");
    stage.deliver("a.test", "c");
    stage.start();
}

/// Waits until so many messages were deferred.
fn deferred(stage: &mut Stage, messages: usize) {
    let begun = Instant::now();
    let count = |stage: &Stage| stage.lab.log().matches("status=deferred").count();
    while count(stage) < messages && begun.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(50));
    }
    stage.check_equal("messages that are deferred", count(stage), messages);
    stage.check(!stage.lab.log().contains("status=bounced"), "nothing is bounced");
}

/// Starts the MTA once more, as its package does.
fn free(stage: &mut Stage) {
    let host = stage.lab.at_mut("a.test");
    host.confinement.clear();
    must(&mut host.command(&["postfix", "stop"]));
    must(&mut host.command(&["postfix", "start"]));
    stage.flush("a.test");
}

fn doctor_says(stage: &mut Stage, words: &[&str]) {
    let said = stage.lab.at("a.test").command(&[GUARD, "doctor"]).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    for words in words {
        stage.check(text.contains(words), &format!("doctor says {words:?}: {text}"));
    }
}

fn without_new_privileges(stage: &mut Stage) {
    set_up(stage, &["setpriv", "--no-new-privs"]);
    stage.send("s.test", "s@s.test", "a@a.test");
    stage.send("s.test", "s@s.test", "c@a.test");
    // What is delivered needs no sendmail.
    deferred(stage, 1);
    stage.expect_mail("c@a.test", 1);
    doctor_says(stage, &["it runs with NoNewPrivileges"]);
    free(stage);
    stage.expect_mail("b@b.test", 1);
    stage.expect_mail("a@a.test", 0);
    stage.expect_mail("c@a.test", 1);
    stage.expect_rest(0);
}

fn with_read_only_paths(stage: &mut Stage) {
    set_up(
        stage,
        &[
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            READ_ONLY,
            "sh",
        ],
    );
    stage.send("s.test", "s@s.test", "a@a.test");
    stage.send("s.test", "s@s.test", "c@a.test");
    deferred(stage, 1);
    // Without a memory it is sent all the same.
    stage.settle();
    stage.expect_mail("b@b.test", 1);
    doctor_says(stage, &["is mounted read-only for it", "/var/mail", "ReadWritePaths"]);
    free(stage);
    stage.expect_mail("b@b.test", 1);
    stage.expect_mail("c@a.test", 1);
    stage.expect_rest(0);
}

/// Where the guard writes its log in a container.
const LOG: &str = "var/log/guard";
const POSTFIX_LOG: &str = "var/log/postfix.log";

fn in_a_container(stage: &mut Stage) {
    let host = stage.host("a.test", &["a", "c", "admin"]);
    host.settings = format!("maillog_file = /{POSTFIX_LOG}\n");
    fs::create_dir_all(host.root.join(LOG)).unwrap();
    fs::set_permissions(host.root.join(LOG), fs::Permissions::from_mode(0o1777)).unwrap();
    stage.configure(
        "a.test",
        &format!("admin = \"admin@a.test\"\n[log]\nto = \"/{LOG}/%u.log\"\n"),
    );
    stage.host("s.test", &["s"]);
    stage.host("b.test", &["b"]);
    stage.forward("a.test", "a", "b@b.test");
    stage.deliver("a.test", "c");
    stage.start();
    let root = stage.lab.at("a.test").root.clone();
    must(Command::new("umount").arg(root.join("proc")));
    fs::remove_file(root.join("dev/log")).unwrap();
    stage.send("s.test", "s@s.test", "a@a.test");
    stage.send("s.test", "s@s.test", "c@a.test");
    stage.settle();
    for (user, action) in [("a", "action=forward"), ("c", "action=append")] {
        let log = read_text(&root.join(LOG).join(format!("{user}.log")));
        let text = String::from_utf8_lossy(&log);
        stage.check(
            text.contains(action),
            &format!("the log of {user} has {action}: {text}"),
        );
    }
    // Debian's postlog takes lines of root alone.
    stage.configure("a.test", "admin = \"admin@a.test\"\n[log]\nto = \"postlog\"\n");
    doctor_says(stage, &["takes lines of root alone"]);
    let program = root.join("usr/sbin/postlog");
    let group = fs::metadata(root.join("usr/sbin/postdrop")).unwrap().gid();
    chown(&program, None, Some(group)).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o2755)).unwrap();
    stage.send("s.test", "s@s.test", "a@a.test");
    stage.settle();
    let log = read_text(&root.join(POSTFIX_LOG));
    let text = String::from_utf8_lossy(&log);
    stage.check(
        text.lines()
            .any(|line| line.contains("spoolguard") && line.contains("action=forward")),
        &format!("Postfix' log has the guard's line: {text}"),
    );
    stage.expect_mail("b@b.test", 2);
    stage.expect_mail("c@a.test", 1);
    stage.expect_rest(0);
}

fn two_names(stage: &mut Stage) {
    let host = stage.host("a.test", &["a", "admin"]);
    host.second_name("twin", "a");
    stage.host("s.test", &["s"]);
    stage.deliver("a.test", "a");
    stage.start();
    let twins = stage.send("s.test", "s@s.test", "twin@a.test");
    let own = stage.send("s.test", "s@s.test", "a@a.test");
    stage.settle();
    for (user, has, has_not) in [("twin", &twins, &own), ("a", &own, &twins)] {
        let mail = stage.mail("a.test", user);
        stage.check(
            mail.contains(&format!("The words of {has},")) && !mail.contains(&format!("The words of {has_not},")),
            &format!("{user} has its own mail and no other: {mail}"),
        );
    }
    doctor_says(stage, &["a, twin share uid"]);
    stage.expect_rest(0);
}

fn restricted_shell(stage: &mut Stage) {
    let host = stage.host("a.test", &["a", "admin"]);
    host.settings = "FEATURE(`smrsh', `/usr/libexec/sendmail/smrsh')dnl\n".to_owned();
    stage.host("s.test", &["s"]);
    stage.host("b.test", &["b"]);
    stage.forward("a.test", "a", "b@b.test");
    stage.start();
    doctor_says(stage, &["Sendmail's smrsh", "ln -s"]);
    // Sendmail itself returns it; the guard was never started.
    stage.send("s.test", "s@s.test", "a@a.test");
    stage.settle();
    let told = stage.mail("s.test", "s");
    stage.check(
        holds(told.as_bytes(), "not available for sendmail programs"),
        "the sender is told",
    );
    link(stage.lab.at("a.test"));
    stage.send("s.test", "s@s.test", "a@a.test");
    stage.settle();
    stage.expect_mail("b@b.test", 1);
    let said = stage
        .lab
        .at("a.test")
        .command(&[GUARD, "doctor", "--json"])
        .output()
        .unwrap();
    stage.check(!holds(&said.stdout, "ln -s"), "doctor asks for no link any more");
    stage.expect_rest(0);
}

fn link(host: &Host) {
    symlink(GUARD, host.root.join("etc/mail/smrsh/spoolguard")).unwrap();
}
