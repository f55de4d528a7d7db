//! The configuration: what may be said, where a mistake is, and which file wins.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{ORDINARY, Run, Scratch, messages, skip, user_name};

/// Everything that the documentation names, with the values it gives.
const EVERY_KEY: &str = r#"
admin = "postmaster"
addresses = []
recipient_delimiter = "+"
state_dir = ""
users_may_set = ["addresses", "guard", "forward.sender"]

[guard]
loop        = "divert"
bounce      = "divert"
null_sender = "divert"
own_bounce = "pass"
spam = "keep"
relays = ["smtp.a.test"]
complaint   = "pass"
receipt     = "pass"
auto_reply  = "pass"
max_hops    = 50

[mailbox]
location = "mbox:/var/mail/%u"
locks = ["dotlock", "fcntl"]
lock_timeout = "60s"
quoting = "mboxrd"
min_free = "100M"

[quota]
limit = "100M"
messages = 0
warn = "80%"
when_full = "defer"
[quota.users]
alice = "1G"
bob = { limit = "none", messages = 10 }
[quota.groups]
staff = "500M"

[forward]
transport = "/usr/sbin/sendmail"
sender = "self"
duplicate_window = "6h"

[destinations]
suspend = true
threshold = 5
forget_after = "7d"
burst = 3
probe = "1h"
probe_max = "1d"
quiet = "2h"
quiet_slow = "6d"

[digest]
same = 3
per_hour = 20
admin_limit = "100M"

[archive]
dir = "/var/backups/mail"
format = "tar.gz"
owner = "root"
keep = 12
min_age = "7d"
max_age = "365d"
max_total = "5G"

[log]
to = "auto"
level = "info"
"#;

/// The configuration of the whole host would be mixed in.
fn host_is_configured() -> bool {
    Path::new("/etc/spoolguard.toml").exists()
}

fn check<'a>(scratch: &'a Scratch, text: &str) -> Run<'a> {
    let file = scratch.path("checked.toml");
    fs::write(&file, text).unwrap();
    scratch.bare(&["config", "check", file.to_str().unwrap()])
}

#[test]
fn every_key_is_accepted() {
    let scratch = Scratch::new();
    let ended = check(&scratch, EVERY_KEY).go();
    ended.ends_with(0).check(ended.stderr.is_empty(), "something is said");
    check(&scratch, "").go().ends_with(0);
}

#[test]
fn what_is_shown_can_be_read_back() {
    let scratch = Scratch::new();
    let file = scratch.path("shown.toml");
    fs::write(&file, EVERY_KEY).unwrap();
    let name = file.to_str().unwrap().to_owned();
    let shown = |name: &str| scratch.bare(&["config", "show", name]).go().ends_with(0).stdout.clone();
    let first = shown(&name);
    let text = String::from_utf8_lossy(&first).into_owned();
    for line in [
        "limit = \"100M\"",
        "max_hops = 50",
        "locks = [\"dotlock\", \"fcntl\"]",
        "alice = \"1G\"",
    ] {
        let found = text.lines().find(|shown| shown.starts_with(line));
        assert!(
            found.is_some_and(|shown| shown.ends_with(&format!("# {name}"))),
            "{line} in\n{text}"
        );
    }
    fs::write(&file, &first).unwrap();
    assert_eq!(String::from_utf8_lossy(&shown(&name)), text);
}

#[test]
fn a_default_is_shown_as_one() {
    let scratch = Scratch::new();
    let file = scratch.path("shown.toml");
    fs::write(&file, "[mailbox]\nquoting = \"mboxo\"\n").unwrap();
    let ended = scratch.bare(&["config", "show", file.to_str().unwrap()]).go();
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("quoting = ").ends_with(file.to_str().unwrap()), "{text}");
    assert!(line("lock_timeout = ").ends_with("# default"), "{text}");
}

#[test]
fn a_mistake_is_named_with_file_line_key_and_what_is_allowed() {
    let own_key = format!("quota.users.{}", user_name());
    let own_limit = format!("[quota.users]\n{} = \"much\"\n", user_name());
    let cases: [(&str, &[&str]); 17] = [
        ("admin = \"x\"\ncolour = 1\n", &["line 2", "colour", "admin"]),
        ("[mailbox]\n\nlimit = 1\n", &["line 3", "mailbox.limit", "lock_timeout"]),
        (
            "[guard]\nbounce = \"drop\"\n",
            &["line 2", "guard.bounce", "divert", "keep", "pass"],
        ),
        (
            "[mailbox]\nlocks = [\"dotlock\", \"lockf\"]\n",
            &["line 2", "mailbox.locks", "fcntl", "flock"],
        ),
        ("[mailbox]\nlocks = []\n", &["line 2", "mailbox.locks", "dotlock"]),
        (
            "[mailbox]\nlock_timeout = 60\n",
            &["line 2", "mailbox.lock_timeout", "60s"],
        ),
        (
            "[mailbox]\nlock_timeout = \"1h\"\n",
            &["line 2", "mailbox.lock_timeout", "200s"],
        ),
        (
            "[mailbox]\nlocation = \"mail\"\n",
            &["line 2", "mailbox.location", "absolute"],
        ),
        ("[quota]\nlimit = \"50X\"\n", &["line 2", "quota.limit", "50M"]),
        ("[quota]\nwarn = \"80\"\n", &["line 2", "quota.warn", "80%"]),
        (
            "[quota]\nwhen_full = \"drop\"\n",
            &["line 2", "quota.when_full", "defer", "refuse", "overflow"],
        ),
        (&own_limit, &["line 2", &own_key, "1G"]),
        (
            "[forward]\nsender = \"srs\"\n",
            &["line 2", "forward.sender", "srs", "self", "original"],
        ),
        (
            "[forward]\ntransport = \"sendmail\"\n",
            &["line 2", "forward.transport", "outbox:"],
        ),
        ("admin = \"\"\n", &["line 1", "admin", "absolute path"]),
        ("admin = \"-x\"\n", &["line 1", "admin"]),
        ("state_dir = \"here\"\n", &["line 1", "state_dir", "absolute"]),
    ];
    for (text, parts) in cases {
        let scratch = Scratch::new();
        let ended = check(&scratch, text).go();
        ended.ends_with(1).mentions("checked.toml");
        ended.check(ended.stderr.lines().count() == 1, "not one line");
        for part in parts {
            ended.mentions(part);
        }
        // While delivering, the same mistake makes the message wait.
        let file = scratch.path("checked.toml");
        let run = scratch.bare(&["deliver", "--config", file.to_str().unwrap()]);
        run.input(ORDINARY).go().defers().mentions(parts[0]);
    }
}

#[test]
fn a_mistake_in_the_limit_of_another_user_holds_nobody_elses_mail() {
    let scratch = Scratch::new();
    let own = format!("{} = \"none\"\n", user_name());
    let others: String = (0..2000).map(|n| format!("user{n} = \"1G\"\n")).collect();
    let text = fs::read_to_string(scratch.configuration()).unwrap();
    fs::write(
        scratch.configuration(),
        format!("{text}[quota.users]\n{others}{own}nobody-here = \"much\"\n"),
    )
    .unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
    let ended = scratch.run(&["config", "check"]).go();
    ended.ends_with(1).mentions("quota.users.nobody-here");
}

#[test]
fn a_users_own_file_is_read_where_there_is_no_other() {
    if host_is_configured() {
        return skip("this host has an /etc/spoolguard.toml");
    }
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("home/.config")).unwrap();
    let file = scratch.path("home/.config/spoolguard.toml");
    fs::copy(scratch.configuration(), &file).unwrap();
    scratch
        .bare(&["deliver", "-f", "s@s.test"])
        .input(ORDINARY)
        .go()
        .succeeds();
    assert_eq!(messages(&scratch.mail()).len(), 1);
    let ended = scratch.bare(&["config", "check"]).go();
    ended.ends_with(0);
    assert!(String::from_utf8_lossy(&ended.stdout).contains(file.to_str().unwrap()));
    // Whoever may write to it could send the mail anywhere.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    scratch
        .bare(&["deliver", "-f", "s@s.test"])
        .input(ORDINARY)
        .go()
        .defers()
        .mentions("chmod");
    // A home that others may write to is not believed, and neither is its configuration.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(scratch.path("home"), fs::Permissions::from_mode(0o777)).unwrap();
    let ended = scratch.bare(&["config", "check"]).go();
    assert!(!String::from_utf8_lossy(&ended.stdout).contains(scratch.path("home").to_str().unwrap()));
}

#[test]
fn a_broken_file_of_the_user_makes_mail_wait() {
    if host_is_configured() {
        return skip("this host has an /etc/spoolguard.toml");
    }
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("home/.config")).unwrap();
    fs::write(scratch.path("home/.config/spoolguard.toml"), "admin = [").unwrap();
    scratch
        .bare(&["deliver", "-f", "s@s.test"])
        .input(ORDINARY)
        .go()
        .defers()
        .mentions("4.3.5 ");
    scratch.bare(&["config", "check"]).go().ends_with(1);
}

#[test]
fn a_file_named_is_the_only_one() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("home/.config")).unwrap();
    fs::write(scratch.path("home/.config/spoolguard.toml"), "nonsense").unwrap();
    scratch.deliver(ORDINARY).go().succeeds();
}

#[test]
fn an_administrators_file_leaves_users_only_some_keys() {
    if !crate::support::is_root() {
        return skip("needs root, to put a configuration for the whole host in a namespace of its own");
    }
    let scratch = Scratch::new()
        .set("guard.null_sender", "\"pass\"")
        .set("users_may_set", "[\"addresses\", \"guard\"]");
    fs::create_dir(scratch.path("home/.config")).unwrap();
    let user = scratch.path("home/.config/spoolguard.toml");
    let spool = scratch.path("elsewhere");
    fs::create_dir(&spool).unwrap();
    fs::write(
        &user,
        format!(
            "addresses = [\"other@o.test\"]\n[guard]\nbounce = \"keep\"\n[mailbox]\nlocation = \"mbox:{}/%u\"\n",
            spool.display()
        ),
    )
    .unwrap();
    // A copy of /etc with one file more, seen by this run alone.
    let etc = scratch.path("etc").display().to_string();
    let line = format!(
        "exec unshare -m sh -c \"mkdir -p '{etc}' && cp -a /etc/. '{etc}' && cp '{}' '{etc}/spoolguard.toml' && mount --bind '{etc}' /etc && exec \\\"\\$@\\\"\" sh \"$@\"",
        scratch.configuration().display()
    );
    let run = |arguments: &[&str], input: &[u8]| {
        scratch
            .bare(arguments)
            .variable("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .input(input)
            .shell_line(&line)
            .go()
    };
    let probe = run(&["config", "check"], b"");
    if !String::from_utf8_lossy(&probe.stdout).contains("/etc/spoolguard.toml") {
        return skip("needs unshare(1) and leave to mount");
    }
    probe.ends_with(1).check(
        String::from_utf8_lossy(&probe.stdout)
            .contains("without effect, since users_may_set does not name them: mailbox.location"),
        "mailbox.location is not named",
    );
    let shown = run(&["config", "show"], b"");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let line_of = |start: &str| {
        text.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        line_of("bounce = ").contains("keep") && line_of("bounce = ").ends_with(user.to_str().unwrap()),
        "{text}"
    );
    assert!(
        line_of("null_sender = ").contains("pass") && line_of("null_sender = ").ends_with("# /etc/spoolguard.toml"),
        "{text}"
    );
    let location = format!("location = \"mbox:{}/%u\"", scratch.path("spool").display());
    assert!(line_of(&location).ends_with("# /etc/spoolguard.toml"), "{text}");
    // Delivering, they are without effect and hold nothing up; an address of the user's own file is the user's own.
    run(&["deliver", "-f", "s@s.test"], b"X-Loop: other@o.test\n\nx\n").ends_with(0);
    assert_eq!(messages(&scratch.diverted()).len(), 1);
    assert!(fs::read_dir(&spool).unwrap().next().is_none());
}

#[test]
fn more_addresses_of_the_user_are_the_users_own() {
    let scratch = Scratch::new().set("addresses", "[\"ann@a.test\", \"Ann <second@o.test>\"]");
    for own in ["ann@a.test", "second@o.test"] {
        let message = format!("X-Loop: {own}\n\nx\n");
        scratch.deliver(message.as_bytes()).go().succeeds();
    }
    assert_eq!(messages(&scratch.diverted()).len(), 2);
    let scratch = Scratch::new().set("recipient_delimiter", "\"-\"");
    scratch.deliver(b"X-Loop: a-list@a.test\n\nx\n").go().succeeds();
    scratch.deliver(b"X-Loop: a+list@a.test\n\nx\n").go().succeeds();
    assert_eq!(
        (messages(&scratch.diverted()).len(), messages(&scratch.mail()).len()),
        (1, 1)
    );
}

#[test]
fn the_state_directory_may_name_the_home_and_the_user() {
    let mut scratch = Scratch::new()
        .set("admin", "\"admin@a.test\"")
        .set("state_dir", "\"~/state/%u\"");
    let held = format!("home/state/{}/held", crate::support::user_name());
    scratch.deliver(b"X-Loop: a@a.test\n\nx\n").go().succeeds();
    assert_eq!(scratch.files(&held).len(), 1);
    scratch.change("state_dir", "\"\"");
    scratch.deliver(b"X-Loop: a@a.test\n\nx\n").go().succeeds();
    assert_eq!(scratch.files("home/.local/state/spoolguard/held").len(), 1);
}
