//! Homes on a file system whose server stops: each delivery goes back into Postfix' queue in time, none is bounced,
//! `doctor` says what hangs, and each message arrives once when the server goes on.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::beside::PostfixBeside;
use crate::host::{Host, count_messages, holds};
use crate::lab::must;
use crate::stage::{GUARD, Hook, Stage};
use crate::stories::Story;

/// Postfix, bindfs and strace.
pub static HUNG: PostfixBeside = PostfixBeside {
    name: "hung",
    configure,
    server: None,
};

const ONLY: &[&str] = &["hung"];

/// The stories.
pub const STORIES: &[Story] = &[
    Story {
        name: "hung-waiting",
        title: "the server of the homes takes no question: queued, then delivered once",
        hooks: &[Hook::Command],
        delivers: true,
        only: ONLY,
        play: |stage| play(stage, Hangs::BeforeItTakesAQuestion),
    },
    Story {
        name: "hung-taken",
        title: "the server of the homes answers no question that it took: the same",
        hooks: &[Hook::Command],
        delivers: true,
        only: ONLY,
        play: |stage| play(stage, Hangs::WithAQuestion),
    },
];

/// Where a question is when the server stops. One that the server took holds the process that asked, beyond its death.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hangs {
    BeforeItTakesAQuestion,
    WithAQuestion,
}

/// The guard, whose watchdog is in a hurry while this file is there. Postfix waits for the guard and for the end of
/// what it prints, and not for strace(1), which stands beside it.
const HURRY: &str = "run/hurry";
const HURRIED: &str = "usr/bin/hurried";
const SCRIPT: &str = r#"#!/bin/sh
[ -e /run/hurry ] || exec /usr/bin/spoolguard "$@"
said=/tmp/said.$$
mkfifo "$said"
cat "$said" &
exec >/dev/null 2>&1
exec strace -D -f -qq -o /dev/null -e trace=rt_sigtimedwait -e inject=rt_sigtimedwait:error=EAGAIN:delay_enter=3s \
    /bin/sh -c 'exec /usr/bin/spoolguard "$@" >"$0" 2>&1' "$said" "$@"
"#;

/// Who has mail, and how it is handled.
const USERS: [(&str, &str); 3] = [
    ("a", "deliver"),
    ("f", "forward b@b.test"),
    ("k", "forward --keep b@b.test"),
];

/// How long Postfix waits for a command before it bounces the message, and how long a doctor may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(20);

/// Postfix itself must not look into the homes.
fn configure(host: &Host) {
    let path = "etc/postfix/main.cf";
    let text = fs::read_to_string(host.root.join(path)).unwrap();
    let more = format!("forward_path =\ncommand_time_limit = {}s\n", COMMAND_LIMIT.as_secs());
    host.write(path, &format!("{text}{more}"));
}

/// Puts the homes behind one server, or behind one that asks another.
fn serve_homes(host: &Host, hangs: Hangs) -> String {
    let device = host.root.join("dev/fuse");
    must(Command::new("mknod").arg(&device).args(["c", "10", "229"]));
    fs::set_permissions(&device, fs::Permissions::from_mode(0o666)).unwrap();
    for (name, number) in host.numbered_users() {
        let home = host.root.join("srv/homes").join(name);
        fs::create_dir_all(&home).unwrap();
        chown(&home, Some(number), Some(number)).unwrap();
    }
    fs::create_dir_all(host.root.join("srv/between")).unwrap();
    let bind = |from: &str, to: &str| must(&mut host.command(&["bindfs", "-o", "allow_other,nonempty", from, to]));
    match hangs {
        Hangs::BeforeItTakesAQuestion => bind("/srv/homes", "/home"),
        Hangs::WithAQuestion => {
            bind("/srv/homes", "/srv/between");
            bind("/srv/between", "/home");
        }
    }
    "bindfs.*/srv/homes".to_owned()
}

fn signal(server: &str, signal: &str) {
    must(Command::new("pkill").args([signal, "-f", server]));
}

fn play(stage: &mut Stage, hangs: Hangs) {
    let users = USERS.map(|(user, _)| user);
    let host = stage.host("a.test", &[users.as_slice(), &["admin"]].concat());
    host.write(HURRIED, SCRIPT);
    fs::set_permissions(host.root.join(HURRIED), fs::Permissions::from_mode(0o755)).unwrap();
    for (user, errand) in USERS {
        host.commands.insert(user.to_owned(), format!("/{HURRIED} {errand}"));
    }
    let server = serve_homes(host, hangs);
    host.write(HURRY, "");
    stage.host("s.test", &["s"]);
    stage.host("b.test", &["b"]);
    stage.start();
    signal(&server, "-STOP");
    for (user, _) in USERS {
        stage.send("s.test", "s@s.test", &format!("{user}@a.test"));
    }
    doctor(stage);
    // Nothing here may look into a home, or end the scene before the server goes on.
    let begun = Instant::now();
    let deferred = |stage: &Stage| stage.lab.log().matches("does not answer").count();
    while deferred(stage) < USERS.len() && begun.elapsed() < COMMAND_LIMIT * 2 {
        thread::sleep(Duration::from_millis(50));
    }
    let (deferred, log) = (deferred(stage), stage.lab.log());
    stage.check_equal("messages that are deferred", deferred, USERS.len());
    stage.check(
        !log.contains("status=bounced"),
        "nothing is bounced while the homes hang",
    );
    for (user, _) in USERS {
        let kept = count_messages(&stage.lab.at("a.test").mailbox_path(user));
        stage.check_equal(&format!("messages of {user} while the homes hang"), kept, 0);
    }
    fs::remove_file(stage.lab.at("a.test").root.join(HURRY)).unwrap();
    signal(&server, "-CONT");
    stage.settle();
    stage.flush("a.test");
    stage.expect_mail("a@a.test", 1);
    stage.expect_mail("k@a.test", 1);
    stage.expect_mail("b@b.test", 2);
    stage.expect_rest(0);
}

/// Root's doctor says what hangs, and ends.
fn doctor(stage: &mut Stage) {
    let begun = Instant::now();
    let out = stage.lab.at("a.test").root.join("run/doctor");
    let file = fs::File::create(&out).unwrap();
    let mut child = stage.lab.at("a.test").command(&[GUARD, "doctor"]);
    let mut child = child.stdin(Stdio::null()).stdout(file).spawn().unwrap();
    // One that hangs is not waited for.
    let (says, ends) = mpsc::channel();
    thread::spawn(move || says.send(child.wait()));
    let ended = ends.recv_timeout(COMMAND_LIMIT * 2).ok().and_then(Result::ok);
    stage.count(format!("doctor: {:.1} s", begun.elapsed().as_secs_f64()));
    stage.check_equal("status of doctor", ended.and_then(|status| status.code()), Some(1));
    let said = read(&out);
    stage.check(
        holds(&said, "/home") && holds(&said, "does not answer"),
        &format!("doctor says what hangs: {}", String::from_utf8_lossy(&said)),
    );
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_default()
}
