//! The configuration: what may be said, where a mistake is, and which file wins.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{ORDINARY, Run, Scratch, is_root, messages, skip, user_name};

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
user = "vmail"
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
overflow_limit = "100M"
overflow_messages = 1000
[quota.users]
alice = "1G"
bob = { limit = "none", messages = 10 }
[quota.groups]
staff = "500M"

[forward]
transport = "/usr/sbin/sendmail"
sender = "self"
duplicate_window = "6h"

[aliases]
dir = "/var/lib/spoolguard/aliases"
[aliases.admins]
sales = "postmaster"

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

[policy]
full = "452 4.2.2 mailbox is full"
grace = "1M"
domains = ["a.test"]

[srs]
domain = "a.test"
secrets = "/etc/postsrsd.secret"
separator = "="
valid = "30d"

[log]
to = "auto"
level = "info"
format = "text"
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
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(
        said.contains("checked.toml: OK\n") && said.contains("checked.toml doctor checks more"),
        "{said}"
    );
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
    let cases: [(&str, &[&str]); 20] = [
        ("admin = \"x\"\ncolour = 1\n", &["line 2", "colour", "admin"]),
        (
            "[mailbox]\n\ncolour = 1\n",
            &["line 3", "mailbox.colour", "lock_timeout"],
        ),
        ("[mailbox]\n\nlimit = 1\n", &["line 3", "mailbox.limit", "[quota]"]),
        (
            "[quota]\nlimt = \"1G\"\n",
            &["line 2", "quota.limt", "did you mean limit?"],
        ),
        (
            "[guard]\nadmin = \"x\"\n",
            &["line 2", "guard.admin", "above all tables"],
        ),
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
            "[forward]\nsender = \"both\"\n",
            &["line 2", "forward.sender", "both", "self", "srs"],
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
        ended.mentions("1 mistake;");
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
fn every_mistake_is_shown_with_its_line_and_a_mark_below() {
    let scratch = Scratch::new();
    let text = "admin = \"x\"\nlimt = 3\n\n[quota]\n\twhen_full = \"drop\"\nlimit = \n[guard]\nmax_hops = \"many\"\n";
    let ended = check(&scratch, text).go();
    ended
        .ends_with(1)
        .mentions("4 mistakes; until they are fixed, mail is deferred");
    for lines in [
        "line 2: limt: unknown key; did you mean limit of [quota]?\n",
        "    limt = 3\n    ^^^^\n",
        "line 5: quota.when_full: expected defer, refuse,",
        "     when_full = \"drop\"\n                 ^^^^^^\n",
        "line 6: expected a value after =\n",
        "line 8: guard.max_hops: expected a number, without quotes\n    max_hops = \"many\"\n               ^^^^^^\n",
    ] {
        ended.mentions(lines);
    }
    // One line for the MTA, and where to find the others.
    let file = scratch.path("checked.toml");
    let run = scratch.bare(&["deliver", "--config", file.to_str().unwrap()]);
    let ended = run.input(ORDINARY).go();
    ended.defers().mentions("spoolguard config check shows 3 more mistakes");
    ended.check(ended.stderr.lines().count() == 1, "not one line");
}

#[test]
fn no_mistake_is_told_in_the_words_of_this_programs_source() {
    let scratch = Scratch::new();
    for value in [
        "5",
        "-1",
        "true",
        "\"x\"",
        "1.5",
        "[1]",
        "{ a = 1 }",
        "1979-05-27",
        "99999999999999999999",
    ] {
        let shown = scratch.bare(&["config", "show", "/dev/null"]).go().stdout.clone();
        let mut table = String::new();
        for line in String::from_utf8_lossy(&shown).lines() {
            if line.starts_with('[') {
                table = format!("{line}\n");
            }
            let Some((key, _)) = line.split_once(" = ") else {
                continue;
            };
            let ended = check(&scratch, &format!("{table}{key} = {value}\n")).go();
            let said = &ended.stderr;
            for word in [
                "struct", "enum ", "u64", "u32", "usize", "integer", "sequence", "variant", "field", "`",
            ] {
                assert!(!said.contains(word), "{table}{key} = {value}: {said}");
            }
        }
    }
}

#[test]
fn a_size_needs_a_unit() {
    let scratch = Scratch::new();
    for (value, is_right) in [
        ("500", false),
        ("\"500\"", false),
        ("\"500M\"", true),
        ("0", true),
        ("\"0\"", true),
        ("\"none\"", true),
    ] {
        for key in [
            "[quota]\nlimit",
            "[quota.users]\nroot",
            "[mailbox]\nmin_free",
            "[archive]\nmax_total",
        ] {
            let ended = check(&scratch, &format!("{key} = {value}\n")).go();
            if is_right {
                ended.ends_with(0);
            } else {
                ended.ends_with(1).mentions("500M");
            }
        }
    }
    scratch
        .run(&["spool", "list", "--larger-than", "500"])
        .go()
        .ends_with(64)
        .mentions("500M");
}

#[test]
fn limits_of_names_that_nobody_has_are_warned_of() {
    let scratch = Scratch::new();
    let ended = check(
        &scratch,
        "[quota.users]\nroot = \"1G\"\nalcie = \"1G\"\n[quota.groups]\nroot = \"1G\"\nstuff = \"1G\"\n",
    )
    .go();
    let said = String::from_utf8_lossy(&ended.ends_with(0).stdout).into_owned();
    let warned: Vec<_> = said.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(
        warned,
        [
            "warning: quota.users.alcie: no such user",
            "warning: quota.groups.stuff: no such group"
        ]
    );
}

#[test]
fn only_what_differs_from_the_default_is_shown_as_changed() {
    let scratch = Scratch::new();
    let file = scratch.path("shown.toml");
    fs::write(&file, "[mailbox]\nquoting = \"mboxo\"\nlock_timeout = \"60s\"\n").unwrap();
    let ended = scratch
        .bare(&["config", "show", "--changed", file.to_str().unwrap()])
        .go();
    let text = String::from_utf8_lossy(&ended.ends_with(0).stdout).into_owned();
    let keys: Vec<_> = text.lines().filter(|line| line.contains('=')).collect();
    assert!(
        matches!(keys.as_slice(), [key] if key.starts_with("quoting = \"mboxo\"")),
        "{text}"
    );
}

/// A file that others may write to says which program sends a user's mail.
#[test]
fn a_file_that_others_could_write_is_refused_by_every_command() {
    let scratch = Scratch::new();
    let mode = |name: &str, mode| fs::set_permissions(scratch.path(name), fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(scratch.path("conf")).unwrap();
    fs::copy(scratch.configuration(), scratch.path("conf/guard.toml")).unwrap();
    std::os::unix::fs::symlink("conf/guard.toml", scratch.path("link.toml")).unwrap();
    let deliver = |name: &str| {
        let file = scratch.path(name);
        scratch
            .bare(&["deliver", "-f", "s@s.test", "--config", file.to_str().unwrap()])
            .input(ORDINARY)
            .go()
    };
    for name in ["conf/guard.toml", "link.toml"] {
        for (what, bad, good) in [
            ("conf/guard.toml", 0o666, 0o644),
            ("conf/guard.toml", 0o664, 0o600),
            ("conf", 0o777, 0o755),
            ("conf", 0o775, 0o755),
        ] {
            mode(what, bad);
            deliver(name)
                .defers()
                .mentions("others may write to")
                .mentions("; chmod go-w /");
            mode(what, good);
            deliver(name).succeeds();
        }
    }
    mode("conf/guard.toml", 0o666);
    let file = scratch.path("conf/guard.toml").display().to_string();
    let mbox = scratch.path("old.mbox");
    fs::write(&mbox, b"From s@s.test Mon Nov  2 10:00:00 2026\nSubject: x\n\nx\n\n").unwrap();
    for command in [
        &["forward", "b@b.test"][..],
        &["filter"],
        &["inspect", "--is", "bounce"],
        &["replay", mbox.to_str().unwrap()],
        &["status"],
        &["status", "--due"],
        &["spool", "list"],
        &["spool", "archive", "--yes", "root", "--all-mail"],
        &["config", "check"],
        &["config", "show"],
    ] {
        let ended = scratch
            .bare(&[command, &["--config", &file]].concat())
            .input(ORDINARY)
            .go();
        ended.mentions("others may write to it; chmod go-w");
        ended.check(ended.code != Some(0), "it was used");
    }
    let ended = scratch.bare(&["config", "check", &file]).go();
    ended.ends_with(1).mentions("others may write to it");
    assert!(scratch.sent().is_empty());
}

#[test]
fn a_file_in_a_shared_directory_is_used_if_none_can_replace_it() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("all")).unwrap();
    fs::set_permissions(scratch.path("all"), fs::Permissions::from_mode(0o1777)).unwrap();
    let file = scratch.path("all/guard.toml");
    fs::copy(scratch.configuration(), &file).unwrap();
    let deliver = || {
        scratch
            .bare(&["deliver", "-f", "s@s.test", "--config", file.to_str().unwrap()])
            .input(ORDINARY)
            .go()
    };
    deliver().succeeds();
    if !crate::support::is_root() {
        return skip("needs root, to give a file to somebody else");
    }
    // Whoever owns the name may put another file there.
    std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
    deliver()
        .defers()
        .mentions("belongs to uid 65534")
        .mentions("chown root");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(scratch.configuration(), &file).unwrap();
    deliver().succeeds();
    std::os::unix::fs::lchown(&file, Some(65534), None).unwrap();
    deliver().defers().mentions("belongs to uid 65534");
}

#[test]
fn a_relative_path_of_the_configuration_holds_in_every_command() {
    let scratch = Scratch::new();
    let line = format!("cd '{}' && exec \"$@\"", scratch.path("").display());
    for command in [
        &["deliver", "-f", "s@s.test"][..],
        &["status"],
        &["config", "check"],
        &["spool", "list"],
    ] {
        let arguments = [&["--config", "spoolguard.toml"], command].concat();
        let ended = scratch
            .bare(&arguments)
            .variable("PATH", "/usr/bin:/bin")
            .input(ORDINARY)
            .shell_line(&line)
            .go();
        ended.check(ended.code == Some(0) || command == ["spool", "list"], "not done");
        ended.check(!ended.stderr.contains("cannot"), "not found");
    }
    let arguments = ["--config", "spoolguard.toml", "doctor", "--json"];
    let ended = scratch
        .bare(&arguments)
        .variable("PATH", "/usr/bin:/bin")
        .shell_line(&line)
        .go();
    let told = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(!told.contains("cannot read configuration"), "{told}");
    assert!(told.contains(&scratch.configuration().display().to_string()), "{told}");
}

#[test]
fn a_mistake_in_a_users_limit_holds_nobody_elses_mail() {
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
fn a_users_link_to_a_file_that_is_away_makes_mail_wait() {
    if host_is_configured() {
        return skip("this host has an /etc/spoolguard.toml");
    }
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("home/.config")).unwrap();
    std::os::unix::fs::symlink("/no/such", scratch.path("home/.config/spoolguard.toml")).unwrap();
    let own = scratch.bare(&["deliver", "-f", "s@s.test"]).input(ORDINARY);
    own.go().defers().mentions("it is a symbolic link");
}

#[test]
fn what_is_no_utf8_is_named_with_its_line() {
    let scratch = Scratch::new();
    let path = scratch.path("latin1.toml");
    fs::write(&path, b"[mailbox]\nlocation = \"mbox:/srv/caf\xe9/%u\"\n").unwrap();
    let ended = scratch.run(&["config", "check", path.to_str().unwrap()]).go();
    ended.ends_with(1).mentions("line 2 is not UTF-8");
}

#[test]
fn root_is_told_of_a_file_that_users_cannot_read() {
    if !is_root() {
        return skip("needs root, whom no mode stops");
    }
    let scratch = Scratch::new();
    let check = |mode: u32| {
        // A copy of /etc with one file more, seen by this run alone.
        let etc = scratch.path("etc").display().to_string();
        let file = format!("{etc}/spoolguard.toml");
        let line = format!(
            "exec unshare -m sh -c \"mkdir -p '{etc}' && cp -a /etc/. '{etc}' && cp '{}' '{file}' && chmod {mode:o} '{file}' && \
             mount --bind '{etc}' /etc && exec \\\"\\$@\\\"\" sh \"$@\"",
            scratch.configuration().display()
        );
        let path = "/usr/sbin:/usr/bin:/sbin:/bin";
        let run = scratch.bare(&["config", "check"]).variable("PATH", path);
        let ended = run.shell_line(&line).go();
        (ended.code, String::from_utf8_lossy(&ended.stdout).into_owned())
    };
    let (code, said) = check(0o644);
    if !said.contains("/etc/spoolguard.toml") {
        return skip("needs unshare(1) and leave to mount");
    }
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = check(0o600);
    assert!(code == Some(1) && said.contains("users cannot read"), "{said}");
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

#[test]
fn one_mistake_is_one() {
    let scratch = Scratch::new();
    check(&scratch, "admin = \"ann, ben@b.test\"\n")
        .go()
        .ends_with(1)
        .mentions("1 mistake; until it is fixed, mail is deferred")
        .mentions("line 1: admin: expected one address (for two people, that of an alias)");
}
