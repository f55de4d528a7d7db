//! Whose mail it is: names that the user database does not have, sources of it that cannot be asked, and names that
//! share a number. In the mount namespace of `setgid`, where `/etc` and `/var/mail` are the test's own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::robust::setgid::{Host, USER};
use crate::support::{ORDINARY, Scratch, contains, is_root, large, only, same, skip, user_name};

/// A source that nothing answers for: getent(1) ends with 2, as if the user were nobody.
const AWAY: &str = "passwd: files nowhere\n";

/// Somebody whom only the source that is away would know.
fn forget(host: &Host) {
    fs::write(host.scratch.path("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
}

fn share(host: &Host) {
    let home = host.scratch.path("home").display().to_string();
    let line = |name: &str| format!("{name}:x:{USER}:{USER}::{home}:/bin/sh\n");
    let passwd = format!("root:x:0:0::/root:/bin/sh\n{}{}", line("sga"), line("sga2"));
    fs::write(host.scratch.path("etc/passwd"), passwd).unwrap();
}

#[test]
fn root_delivers_to_nobody_whom_it_cannot_find() {
    for switch in [None, Some(AWAY)] {
        let Some(host) = Host::new() else { return };
        if let Some(switch) = switch {
            fs::write(host.scratch.path("etc/nsswitch.conf"), switch).unwrap();
        }
        let ended = host.by_root(&["deliver", "--user", "carol"]).go();
        host.nothing_was_made(&ended);
        // Nor anywhere else, and as no number either.
        let mbox = host.at("box").display().to_string();
        host.nothing_was_made(&host.by_root(&["deliver", "--user", "carol", "--mailbox", &mbox]).go());
        forget(&host);
        host.nothing_was_made(&host.by_root(&["deliver", "--user", "61301"]).go());
    }
}

#[test]
fn root_sends_nothing_for_nobody() {
    for switch in ["passwd: files\n", AWAY] {
        let Some(host) = Host::new() else { return };
        fs::write(host.scratch.path("etc/nsswitch.conf"), switch).unwrap();
        let mark = host.scratch.path("sent-as");
        let script = host
            .scratch
            .script("mailer", &format!("id -u >'{}'; cat >/dev/null", mark.display()));
        let config = format!("[forward]\ntransport = {script:?}\n[mailbox]\nmin_free = \"0\"\n");
        fs::write(host.scratch.path("etc/spoolguard.toml"), config).unwrap();
        for options in [&["-d", "carol"] as &[&str], &["-d", "carol", "--keep"]] {
            let ended = host.by_root(&["forward", "b@b.test"]).with(options).go();
            host.nothing_was_made(&ended);
            assert!(!mark.exists(), "sent as uid {}", fs::read_to_string(&mark).unwrap());
        }
    }
}

/// What stayed root would share its memory with what a user's message is read by. The process that waits for the run
/// stays, with a memory of its own.
#[test]
fn no_thread_of_a_delivery_stays_root() {
    let Some(host) = Host::new() else { return };
    let mark = host.scratch.path("threads");
    fs::write(&mark, "").unwrap();
    fs::set_permissions(&mark, fs::Permissions::from_mode(0o666)).unwrap();
    let note = format!(
        "grep -h ^Uid: /proc/$PPID/task/*/status >'{}'; cat >/dev/null",
        mark.display()
    );
    let script = host.scratch.script("mailer", &note);
    let config = format!("[forward]\ntransport = {script:?}\n[mailbox]\nmin_free = \"0\"\n");
    fs::write(host.scratch.path("etc/spoolguard.toml"), config).unwrap();
    host.by_root(&["forward", "b@b.test", "-d", "sga"]).go().succeeds();
    let noted = fs::read_to_string(&mark).unwrap();
    let own = format!("Uid:\t{USER}\t{USER}\t{USER}\t{USER}");
    assert_eq!(noted.lines().collect::<Vec<_>>(), [own.as_str()]);
}

#[test]
fn nothing_is_put_under_a_number() {
    for switch in ["passwd: files\n", AWAY] {
        let Some(host) = Host::new() else { return };
        host.spool_is(0o1777);
        forget(&host);
        fs::write(host.scratch.path("etc/nsswitch.conf"), switch).unwrap();
        host.nothing_was_made(&host.run(&["deliver"]).go());
        host.nothing_was_made(&host.run(&["deliver"]).variable("LOGNAME", "sga").go());
    }
}

#[test]
fn a_mailbox_that_was_made_for_a_number_is_used() {
    let Some(host) = Host::new() else { return };
    host.spool_is(0o1777);
    forget(&host);
    let mailbox = host.at(&USER.to_string());
    fs::write(&mailbox, "").unwrap();
    chown(&mailbox, Some(USER), Some(USER)).unwrap();
    fs::set_permissions(&mailbox, fs::Permissions::from_mode(0o600)).unwrap();
    host.run(&["deliver"]).go().succeeds();
    same(only(&fs::read(&mailbox).unwrap()), ORDINARY);
    // As long as somebody may have the number after all, it waits.
    fs::write(host.scratch.path("etc/nsswitch.conf"), AWAY).unwrap();
    host.run(&["deliver"]).go().defers().mentions("nowhere");
    same(only(&fs::read(&mailbox).unwrap()), ORDINARY);
}

#[test]
fn a_virtual_mailbox_waits_while_its_name_may_be_a_users() {
    let Some(host) = Host::new() else { return };
    host.spool_is(0o1777);
    fs::write(host.scratch.path("etc/nsswitch.conf"), AWAY).unwrap();
    host.nothing_was_made(&host.run(&["deliver", "--user", "virtual"]).go());
    fs::write(host.scratch.path("etc/nsswitch.conf"), "passwd: files\n").unwrap();
    host.run(&["deliver", "--user", "virtual"]).go().succeeds();
    assert_eq!(host.names(), ["virtual"]);
}

#[test]
fn of_names_that_share_a_number_the_one_that_is_meant_gets_it() {
    for (arguments, variables) in [
        (&["deliver"] as &[&str], &[("LOGNAME", "sga2")] as &[(&str, &str)]),
        (&["deliver"], &[("USER", "sga2")]),
        // Somebody else's name is left over from whoever started this.
        (&["deliver"], &[("LOGNAME", "root"), ("USER", "sga2")]),
        (&["deliver", "--user", "sga2"], &[("LOGNAME", "sga")]),
    ] {
        let Some(host) = Host::new() else { return };
        share(&host);
        let run = host.run(arguments);
        let run = variables
            .iter()
            .fold(run, |run, (name, value)| run.variable(name, value));
        run.go().succeeds();
        assert_eq!(host.names(), ["sga2"], "{arguments:?} {variables:?}");
    }
}

#[test]
fn of_names_that_share_a_number_none_is_guessed() {
    let Some(host) = Host::new() else { return };
    share(&host);
    host.nothing_was_made(&host.run(&["deliver"]).go());
    let ended = host.run(&["deliver"]).variable("LOGNAME", "root").go();
    host.nothing_was_made(&ended);
    ended.mentions("sga and sga2 share this uid");
    // Looking is not delivering.
    fs::write(host.scratch.path("message"), ORDINARY).unwrap();
    let message = host.scratch.path("message").display().to_string();
    host.care_by_root(&["inspect", &message]).go().ends_with(0);
}

#[test]
fn the_doctor_names_shared_numbers_and_sources_that_are_away() {
    let Some(host) = Host::new() else { return };
    share(&host);
    fs::write(host.scratch.path("etc/nsswitch.conf"), AWAY).unwrap();
    let ended = host.care_by_root(&["doctor"]).go();
    for said in [
        format!("sga, sga2 share uid {USER}"),
        "the source nowhere of passwd cannot be asked".to_owned(),
    ] {
        ended.check(contains(&ended.stdout, said.as_bytes()), &said);
    }
}

#[test]
fn a_virtual_user_has_the_general_limit() {
    let scratch = Scratch::new()
        .set("quota.limit", "\"1K\"")
        .set("quota.users.nosuchuser", "\"1M\"");
    // Root delivers to known users only.
    let uid = is_root().then_some(61_236);
    for dir in ["home", "state", "spool"] {
        chown(scratch.path(dir), uid, uid).unwrap();
    }
    let run = |user: &str| {
        let run = scratch.deliver(&large(2000)).with(&["--user", user]);
        match uid {
            Some(uid) => run.uid(uid).go().code,
            None => run.go().code,
        }
    };
    if !is_root() && user_name().chars().all(|c| c.is_ascii_digit()) {
        return skip("needs a user with a name");
    }
    assert_eq!(run("nosuchuser"), Some(0));
    assert_eq!(run("nosuchother"), Some(75));
}
