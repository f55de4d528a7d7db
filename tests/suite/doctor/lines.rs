//! Lines that run spoolguard, or forward without it, wherever they stand: doctor reads them as a delivery does.

use std::fs;

use crate::doctor::scene::{bad, doctor, guarded_home, host, host_findings, one, own_findings, postfix};
use crate::support::{is_root, skip, user_name};

#[test]
fn a_line_that_a_delivery_refuses_is_an_error_wherever_it_is() {
    let scratch = host();
    for (arguments, part) in [
        ("forward --kepp b@b.test", "unexpected argument '--kepp'"),
        ("forward", "were not provided: <ADDRESS>"),
        ("forward b@b.test, c@c.test", "\"b@b.test,\": not a valid address"),
        ("forward <b@b.test>", "a shell reads b@b.test in place of the message"),
        (
            "--config x.toml forward b@b.test",
            "--config x.toml begins in whatever directory",
        ),
        ("foward b@b.test", "a similar subcommand exists: 'forward'"),
    ] {
        let path = guarded_home(&scratch, ".forward", &format!("\"|SPOOLGUARD {arguments}\"\n"));
        let found = own_findings(&scratch);
        let mistake = one(&found, "forward", "error", part);
        assert!(!mistake.finding.contains("lost"), "{mistake:?}");
        fs::remove_file(path).unwrap();
        let recipe = format!(":0 w\n| SPOOLGUARD {arguments}\nEXITCODE=75\nHOST=stop\n");
        let path = guarded_home(&scratch, ".procmailrc", &recipe);
        one(&own_findings(&scratch), "procmailrc", "error", part);
        fs::remove_file(path).unwrap();
        let command = format!("/usr/bin/spoolguard {arguments}");
        postfix(&scratch, &format!("mailbox_command = {command}"));
        let found = host_findings(&scratch);
        assert_eq!(
            one(&found, "mail-system", "error", part).subject,
            "Postfix's mailbox_command"
        );
        fs::write(
            scratch.path("aliases"),
            format!("postmaster: root\nsales: \"|{command}\"\n"),
        )
        .unwrap();
        postfix(&scratch, "");
        let found = host_findings(&scratch);
        assert_eq!(one(&found, "mail-system", "error", part).subject, "alias sales");
    }
}

#[test]
fn a_relative_path_of_the_configuration_is_no_false_alarm() {
    let scratch = host();
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    let path = scratch.configuration();
    let (dir, name) = (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap());
    let run = scratch
        .bare(&["--config", name, "doctor", "--json"])
        .variable("SPOOLGUARD_PATH", scratch.path("programs"))
        .shell(&format!("cd {}", dir.display()));
    let found = crate::doctor::scene::findings(run);
    assert_eq!(bad(&found, "configuration"), []);
    one(&found, "forward", "ok", "it runs spoolguard");
}

#[test]
fn a_forward_without_the_guard_is_an_error_but_within_the_host() {
    let scratch = host();
    postfix(&scratch, "virtual_mailbox_domains = v.test");
    let path = guarded_home(&scratch, ".forward", "b@b.test\n");
    let found = own_findings(&scratch);
    let plain = one(
        &found,
        "forward",
        "error",
        "line 1: mail goes to b@b.test without spoolguard",
    );
    assert_eq!(
        plain.remedy.as_deref(),
        Some("write \"|/usr/bin/spoolguard forward b@b.test\"")
    );
    for here in ["root", "root@a.test", "\\root", "x@v.test", "/home/x/mbox"] {
        fs::write(&path, format!("{here}\n")).unwrap();
        assert_eq!(bad(&own_findings(&scratch), "forward"), [], "{here}");
    }
    fs::remove_file(&path).unwrap();
    guarded_home(&scratch, ".procmailrc", ":0 c\n! b@b.test\n");
    one(
        &own_findings(&scratch),
        "procmailrc",
        "error",
        "line 1: mail goes to b@b.test without spoolguard: its bounces go round",
    );
    guarded_home(&scratch, ".procmailrc", ":0 c\n! root\n");
    assert_eq!(bad(&own_findings(&scratch), "procmailrc"), []);
    // Nobody is called so: the bounce comes home, and is sent there, too.
    guarded_home(&scratch, ".procmailrc", ":0 c\n! no-such-user-here\n");
    one(
        &own_findings(&scratch),
        "procmailrc",
        "error",
        "line 1: mail goes to no-such-user-here without spoolguard",
    );
}

#[test]
fn filters_in_a_forward_file_are_no_addresses() {
    let mut scratch = host();
    let exim = "# Exim filter\nif $h_subject: contains x then\n  pipe \"SPOOLGUARD forward b@b.test\"\nendif\n";
    guarded_home(&scratch, ".forward", exim);
    let found = own_findings(&scratch);
    assert_eq!(bad(&found, "forward"), []);
    one(&found, "forward", "ok", "it runs spoolguard");
    guarded_home(&scratch, ".forward", "# Exim filter\nunseen deliver b@b.test\n");
    one(
        &own_findings(&scratch),
        "forward",
        "error",
        "line 2: mail goes to b@b.test without spoolguard",
    );
    guarded_home(&scratch, ".forward", "# Sieve filter\nredirect \"b@b.test\";\n");
    one(
        &own_findings(&scratch),
        "forward",
        "error",
        "line 2: mail goes to b@b.test without spoolguard",
    );
    // Postfix knows none of that. Its sendmail is known by its neighbour.
    fs::create_dir(scratch.path("sbin")).unwrap();
    fs::copy(scratch.path("sendmail"), scratch.path("sbin/sendmail")).unwrap();
    fs::write(scratch.path("sbin/postdrop"), "").unwrap();
    scratch.change("forward.transport", &format!("{:?}", scratch.path("sbin/sendmail")));
    guarded_home(&scratch, ".forward", "# Sieve filter\nkeep;\n");
    one(
        &own_findings(&scratch),
        "forward",
        "error",
        "it takes the words for addresses",
    );
}

#[test]
fn a_file_that_a_forward_includes_is_read() {
    let scratch = host();
    let list = guarded_home(&scratch, "list", "b@b.test\n");
    guarded_home(&scratch, ".forward", &format!(":include:{}\n", list.display()));
    let found = own_findings(&scratch);
    let plain = one(
        &found,
        "forward",
        "error",
        "line 1: mail goes to b@b.test without spoolguard",
    );
    assert_eq!(plain.subject, list.display().to_string());
    guarded_home(&scratch, "list", "\"|SPOOLGUARD forward b@b.test\"\n");
    fs::write(scratch.path("aliases"), "postmaster: root\nroot: daemon\n").unwrap();
    postfix(&scratch, "allow_mail_to_commands = alias, forward");
    one(
        &own_findings(&scratch),
        "mail-system",
        "error",
        "Postfix runs no command in an included file, and such mail is bounced",
    );
    postfix(&scratch, "allow_mail_to_commands = alias, forward, include");
    assert_eq!(bad(&own_findings(&scratch), "mail-system"), []);
    fs::remove_file(list).unwrap();
    one(&own_findings(&scratch), "forward", "error", "a .forward includes it");
}

#[test]
fn root_is_told_of_a_mailbox_command_that_forwards_everybody() {
    if !is_root() {
        return skip("not root");
    }
    let scratch = host();
    postfix(&scratch, "mailbox_command = /usr/bin/spoolguard forward b@b.test");
    one(
        &host_findings(&scratch),
        "mail-system",
        "error",
        "it forwards the mail of every user of this host to b@b.test",
    );
}

#[test]
fn a_file_that_the_mta_does_not_read_is_told() {
    let scratch = host();
    let recipe = ":0 w\n| SPOOLGUARD forward b@b.test\nEXITCODE=75\nHOST=stop\n";
    guarded_home(&scratch, ".procmailrc", recipe);
    for (settings, cause) in [
        ("mailbox_command = /usr/bin/spoolguard deliver", "is not procmail"),
        ("mailbox_command =", "mailbox_command is empty"),
        (
            "mailbox_command = procmail\nmailbox_transport = lmtp:unix:private/dovecot-lmtp",
            "mailbox_transport = lmtp:unix:private/dovecot-lmtp comes first",
        ),
        ("local_transport = lmtp:unix:x", "local_transport = lmtp:unix:x"),
    ] {
        postfix(&scratch, settings);
        let found = own_findings(&scratch);
        let told = one(&found, "procmailrc", "error", "it runs spoolguard, but no MTA reads it");
        assert!(told.finding.contains(cause), "{settings}: {told:?}");
    }
    postfix(&scratch, "mailbox_command = /usr/bin/procmail");
    assert_eq!(bad(&own_findings(&scratch), "procmailrc"), []);
    // The .forward starts procmail, whatever mailbox_command says.
    postfix(&scratch, "mailbox_command =");
    guarded_home(&scratch, ".forward", "\"|exec /usr/bin/procmail\"\n");
    assert_eq!(bad(&own_findings(&scratch), "procmailrc"), []);
    // One that does nothing with spoolguard is worth knowing.
    postfix(&scratch, "mailbox_command =\nforward_path = /var/forward/$user");
    guarded_home(&scratch, ".procmailrc", ":0\n* ^Subject: x\nx/\n");
    let found = own_findings(&scratch);
    one(&found, "procmailrc", "warning", "no MTA reads it");
    one(
        &found,
        "forward",
        "warning",
        "forward_path = /var/forward/$user names other files",
    );
}

#[test]
fn a_user_without_the_guard_hears_that_nothing_was_checked() {
    let scratch = host();
    let ended = doctor(&scratch, &["--user", &user_name()]).go();
    let said = String::from_utf8_lossy(&ended.ends_with(0).stdout).into_owned();
    let said = said.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("runs spoolguard: nothing was checked"), "{said}");
}

/// Whoever asks whether all is well is told where mail goes nowhere.
#[test]
fn a_suspended_destination_is_a_warning_with_the_command() {
    let scratch = host();
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    let found = own_findings(&scratch);
    let told = one(
        &found,
        "forward",
        "warning",
        "suspended, and mail is kept: b@b.test since ",
    );
    let remedy = told.remedy.as_deref().unwrap();
    assert!(remedy.ends_with(&format!("status --user {}", user_name())), "{remedy}");
}
