//! `spoolguard doctor` says what is wrong with a host and what mends it, starts nothing but harmless questions, and changes nothing.
//! Other mail programs are scripts here; the real ones are asked in tests/peers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fs2::FileExt;
use spoolguard::mailbox::lock::kernel::lock_fcntl;

use crate::doctor::scene::{
    bad, doctor, findings, guarded_home, host, host_findings, one, own_findings, postfix, program,
};
use crate::support::{PROGRAM, Scratch, is_root, skip, user_name};

/// What Debian's Dovecot says, and its procmail, which does so on standard error.
const DOVECONF: &str =
    "echo mbox_read_locks = fcntl; echo mbox_write_locks = fcntl dotlock; echo mbox_lock_timeout = 5 mins
echo mail_location = mbox:~/mail:INBOX=/var/mail/%u";
const PROCMAIL: &str = "printf 'procmail v3.23pre\\n\\nLocking strategies:\\tdotlocking, fcntl()\\n' >&2";

#[test]
fn lock_orders_that_deadlock_are_named_until_they_are_mended() {
    let scratch = host();
    program(&scratch, "doveconf", DOVECONF);
    program(&scratch, "procmail", PROCMAIL);
    let found = host_findings(&scratch);
    let order = one(
        &found,
        "lock-order",
        "error",
        "procmail the other way round: they can stop each other for 5 minutes",
    );
    assert_eq!(order.subject, "Dovecot");
    assert!(
        order
            .remedy
            .as_deref()
            .unwrap()
            .contains("mbox_write_locks = dotlock fcntl")
    );
    program(
        &scratch,
        "doveconf",
        &DOVECONF.replace("fcntl dotlock", "dotlock fcntl"),
    );
    let found = host_findings(&scratch);
    assert_eq!(bad(&found, "lock-order"), []);
    let subjects: Vec<_> = found
        .iter()
        .filter(|found| found.check == "locks")
        .map(|found| found.subject.as_str())
        .collect();
    assert_eq!(subjects, ["Dovecot", "procmail"]);
}

#[test]
fn a_program_that_shares_no_lock_is_told() {
    let scratch = host();
    postfix(&scratch, "mailbox_delivery_lock = flock");
    one(
        &host_findings(&scratch),
        "locks",
        "error",
        "it takes flock on a mailbox and spoolguard takes dotlock and fcntl",
    );
    postfix(&scratch, "mailbox_delivery_lock = dotlock");
    assert_eq!(bad(&host_findings(&scratch), "locks"), []);
    // Users can make no dotlock there, so that the one lock that both name is none.
    fs::set_permissions(scratch.path("spool"), fs::Permissions::from_mode(0o2775)).unwrap();
    one(
        &host_findings(&scratch),
        "locks",
        "error",
        "it takes dotlock on a mailbox and spoolguard takes fcntl",
    );
}

#[test]
fn a_failing_or_endless_program_is_named_and_others_are_asked() {
    let scratch = host();
    program(&scratch, "doveconf", "echo fatal: no settings; exit 89");
    program(
        &scratch,
        "mutt",
        "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
    );
    program(&scratch, "procmail", PROCMAIL);
    let found = host_findings(&scratch);
    assert!(
        one(
            &found,
            "left-out",
            "warning",
            "exit status: 89 when it was asked: fatal: no settings"
        )
        .subject
        .ends_with("/doveconf")
    );
    assert!(
        one(&found, "left-out", "warning", "its answer has no end")
            .subject
            .ends_with("/mutt")
    );
    one(&found, "locks", "ok", "it takes dotlock, then fcntl");
}

#[test]
fn root_asks_no_program_that_others_can_change() {
    if !is_root() {
        return skip("not root");
    }
    let scratch = host();
    let trace = scratch.path("trace");
    program(&scratch, "procmail", &format!("touch {}", trace.display()));
    fs::set_permissions(scratch.path("programs/procmail"), fs::Permissions::from_mode(0o775)).unwrap();
    one(
        &host_findings(&scratch),
        "left-out",
        "warning",
        "others than root can change it",
    );
    assert!(!trace.exists());
}

#[test]
fn whoever_holds_a_lock_is_named() {
    let scratch = host();
    let own = format!("process {} (", std::process::id());
    assert_eq!(bad(&host_findings(&scratch), "holder"), []);
    fs::write(scratch.dotlock(), format!("{}\n", std::process::id())).unwrap();
    let found = host_findings(&scratch);
    let holder = one(&found, "holder", "warning", &own);
    assert!(
        holder.finding.starts_with("held for ") && holder.subject.ends_with(".lock"),
        "{holder:?}"
    );
    fs::remove_file(scratch.dotlock()).unwrap();

    let mailbox = File::options().read(true).write(true).open(scratch.mailbox()).unwrap();
    let inode = format!(":{} ", mailbox.metadata().unwrap().ino());
    let is_listed = || fs::read_to_string("/proc/locks").unwrap_or_default().contains(&inode);
    FileExt::try_lock_exclusive(&mailbox).unwrap();
    if !is_listed() {
        return skip("the kernel lists no locks here");
    }
    if !["/usr/bin/lslocks", "/bin/lslocks"]
        .iter()
        .any(|path| Path::new(path).exists())
    {
        return skip("lslocks(8) is missing");
    }
    one(
        &host_findings(&scratch),
        "holder",
        "warning",
        &format!("its flock lock is held by {own}"),
    );
    FileExt::unlock(&mailbox).unwrap();
    // One that belongs to the open file: not every lslocks(8) finds its process.
    assert!(lock_fcntl(&mailbox, &scratch.mailbox()).unwrap());
    one(
        &host_findings(&scratch),
        "holder",
        "warning",
        "its fcntl lock is held by ",
    );
}

#[test]
fn strays_in_the_spool_and_what_users_cannot_do_there_are_told() {
    let scratch = host();
    assert_eq!(bad(&host_findings(&scratch), "spool"), []);
    assert_eq!(bad(&host_findings(&scratch), "rights"), []);
    symlink("/etc/passwd", scratch.path("spool/link")).unwrap();
    let found = host_findings(&scratch);
    let stray = one(&found, "spool", "error", "it is a symbolic link to /etc/passwd");
    assert!(stray.remedy.as_deref().unwrap().starts_with("rm "));
    for number in 0..11 {
        symlink("/etc/passwd", scratch.path("spool").join(format!("m{number}"))).unwrap();
    }
    let found = host_findings(&scratch);
    assert_eq!(bad(&found, "spool").len(), 11);
    one(&found, "spool", "error", "2 more such things are wrong in it");
    fs::set_permissions(scratch.path("spool"), fs::Permissions::from_mode(0o777)).unwrap();
    one(
        &host_findings(&scratch),
        "spool",
        "error",
        "everybody may remove and replace",
    );
    fs::set_permissions(scratch.path("spool"), fs::Permissions::from_mode(0o2775)).unwrap();
    one(
        &host_findings(&scratch),
        "rights",
        "warning",
        "users' runs take the fcntl lock alone, and cannot make a first mailbox",
    );
    let only_dotlock = scratch.set("mailbox.locks", "[\"dotlock\"]");
    one(
        &host_findings(&only_dotlock),
        "rights",
        "error",
        "users can make no dotlock in it",
    );
    let nowhere = host().set("mailbox.location", "\"mbox:/nonexistent/mail/%u\"");
    one(
        &host_findings(&nowhere),
        "spool",
        "error",
        "cannot examine /nonexistent/mail: no such file",
    );
}

#[test]
fn a_missing_sendmail_is_named_and_no_sendmail_is_started() {
    let mut scratch = host();
    let found = host_findings(&scratch);
    assert!(
        found
            .iter()
            .any(|found| found.check == "submit" && found.finding.starts_with("it is "))
    );
    assert!(
        !found
            .iter()
            .any(|found| found.check == "submit" && found.level == "error")
    );
    assert!(scratch.calls().is_empty());
    fs::set_permissions(scratch.path("sendmail"), fs::Permissions::from_mode(0o644)).unwrap();
    one(&host_findings(&scratch), "submit", "error", "it cannot be started");
    fs::remove_file(scratch.path("sendmail")).unwrap();
    one(&host_findings(&scratch), "submit", "error", "it is not there");
    scratch.change(
        "forward.transport",
        &format!("\"outbox:{}/new/out\"", scratch.path("home").display()),
    );
    one(&host_findings(&scratch), "submit", "warning", "nobody sends it");
    assert!(!scratch.path("home/new").exists());
    scratch.change("forward.transport", "\"outbox:/proc/1/out\"");
    one(
        &host_findings(&scratch),
        "submit",
        "error",
        "cannot make files in /proc/1",
    );
}

#[test]
fn an_administrator_whom_nothing_reaches_is_told() {
    let mut scratch = host().set("admin", "\"postmaster@a.test\"");
    for (aliases, level, part) in [
        ("postmaster: root\nroot: root\n", "ok", "it reaches root, a user here"),
        ("postmaster: ops@b.test\n", "ok", "ops@b.test, at another host"),
        ("other: root\n", "error", "no such user or alias: postmaster"),
        (
            "postmaster: no-such-user-here\n",
            "error",
            "no such user or alias: no-such-user-here",
        ),
        (
            "postmaster: x\nx: postmaster\n",
            "error",
            "the alias postmaster leads back to itself",
        ),
        ("postmaster: /dev/null\n", "error", "it is thrown away"),
        ("postmaster:\n", "error", "its alias names nobody"),
    ] {
        fs::write(scratch.path("aliases"), aliases).unwrap();
        postfix(&scratch, "");
        one(&host_findings(&scratch), "admin", level, part);
    }
    // Elsewhere there may be more names.
    fs::write(scratch.path("aliases"), "other: root\n").unwrap();
    postfix(&scratch, "virtual_alias_maps = hash:/etc/postfix/virtual");
    one(
        &host_findings(&scratch),
        "admin",
        "warning",
        "as far as can be seen (virtual_alias_maps names",
    );
    // Postfix reads the table, and not the text.
    fs::write(scratch.path("aliases.db"), "").unwrap();
    let old = File::options().write(true).open(scratch.path("aliases.db")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH).unwrap();
    let text = fs::read_to_string(scratch.path("main")).unwrap();
    fs::write(scratch.path("main"), text.replace("texthash:", "hash:")).unwrap();
    let found = host_findings(&scratch);
    assert_eq!(
        one(&found, "admin", "warning", "it was changed after its table was made")
            .remedy
            .as_deref(),
        Some(format!("postalias {}", scratch.path("aliases").display()).as_str())
    );
    fs::remove_file(scratch.path("aliases.db")).unwrap();
    let found = host_findings(&scratch);
    let missing = one(
        &found,
        "admin",
        "error",
        "its table is missing: Postfix defers the mail",
    );
    let remedy = missing.remedy.clone().unwrap();
    assert!(
        remedy.contains(&format!("postalias {}", scratch.path("aliases").display())),
        "{remedy}"
    );

    scratch.change("admin", "\"/nonexistent/admin\"");
    one(
        &host_findings(&scratch),
        "admin",
        "error",
        "there is no directory /nonexistent",
    );
    symlink("/etc/passwd", scratch.path("home/admin")).unwrap();
    scratch.change("admin", &format!("{:?}", scratch.path("home/admin")));
    one(&host_findings(&scratch), "admin", "error", "it is a symbolic link");
}

#[test]
fn an_administrator_behind_a_guarded_alias_is_told() {
    let mut scratch = host().set("admin", "\"postmaster@a.test\"");
    let line = |name: &str| format!("{name}: \"|/usr/bin/spoolguard forward --as {name} b@b.test\"\n");
    let back = "it leads back to spoolguard, by the alias";
    for aliases in [
        line("postmaster"),
        format!("postmaster: sales\n{}", line("sales")),
        format!("postmaster: root, sales\n{}", line("sales")),
    ] {
        fs::write(scratch.path("aliases"), aliases).unwrap();
        postfix(&scratch, "");
        let found = host_findings(&scratch);
        let told = one(&found, "admin", "error", back);
        assert!(told.finding.contains("which nobody reads"), "{told:?}");
    }
    // A command that is no guard gets it, and so does a guard that delivers.
    for command in ["/usr/bin/ticket", "/usr/bin/spoolguard deliver"] {
        fs::write(scratch.path("aliases"), format!("postmaster: \"|{command}\"\n")).unwrap();
        assert_eq!(bad(&host_findings(&scratch), "admin"), [], "{command}");
    }
    // Of one alias alone.
    fs::write(scratch.path("aliases"), format!("postmaster: root\n{}", line("sales"))).unwrap();
    assert_eq!(bad(&host_findings(&scratch), "admin"), []);
    scratch.change("aliases.admins", "{ sales = \"sales@a.test\" }");
    let found = host_findings(&scratch);
    assert_eq!(one(&found, "admin", "error", back).subject, "admin sales@a.test");
    scratch.change("aliases.admins", "{ sales = \"carol@c.test\" }");
    assert_eq!(bad(&host_findings(&scratch), "admin"), []);
}

#[test]
fn an_administrator_who_is_the_user_or_forwards_to_one_is_told() {
    let scratch = host().set("admin", "\"postmaster@a.test\"");
    fs::write(scratch.path("aliases"), format!("postmaster: {}\n", user_name())).unwrap();
    postfix(&scratch, "");
    assert_eq!(bad(&own_findings(&scratch), "admin"), []);
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    one(&own_findings(&scratch), "admin", "warning", "whose own mail is guarded");
    guarded_home(&scratch, ".forward", "daemon@a.test\n");
    if user_name() != "daemon" {
        one(
            &own_findings(&scratch),
            "admin",
            "warning",
            "forwards to daemon: if daemon is guarded",
        );
    }
}

#[test]
fn an_administrator_whose_mail_runs_as_nobody_is_told() {
    let scratch = host().set("admin", "\"postmaster@a.test\"");
    fs::write(scratch.path("aliases"), "postmaster: root\n").unwrap();
    postfix(&scratch, "mailbox_command =\ndefault_privs = nobody");
    assert_eq!(bad(&host_findings(&scratch), "admin"), []);
    postfix(&scratch, "mailbox_command = /usr/bin/procmail\ndefault_privs = nobody");
    let found = host_findings(&scratch);
    let wrong = one(&found, "admin", "error", "as nobody: it does not reach root");
    assert!(wrong.remedy.as_deref().unwrap().contains("newaliases"));
    fs::write(scratch.path("aliases"), format!("postmaster: {}\n", "daemon")).unwrap();
    assert_eq!(bad(&host_findings(&scratch), "admin"), []);
}

#[test]
fn an_administrator_at_the_forwards_own_address_is_told() {
    let scratch = host().set("admin", "\"B@b.test\"");
    postfix(&scratch, "");
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    one(
        &own_findings(&scratch),
        "admin",
        "error",
        "is forwarded to b@b.test, too",
    );
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward c@c.test\"\n");
    assert_eq!(bad(&own_findings(&scratch), "admin"), []);
}

#[test]
fn roots_mail_that_exim_puts_into_a_file_is_told() {
    let scratch = host().set("admin", "\"root\"");
    let router = "\\nmail4root router:\\ndriver = redirect\\nlocal_parts = root\\ndata = /var/mail/mail\\n";
    program(
        &scratch,
        "exim4",
        &format!("case \"$1 $2\" in '-bP routers') printf '{router}';; esac"),
    );
    one(
        &host_findings(&scratch),
        "admin",
        "error",
        "mail4root puts into /var/mail/mail",
    );
}

#[test]
fn a_forward_that_cannot_be_read_is_an_error() {
    let scratch = host();
    fs::create_dir(scratch.path("home/.forward")).unwrap();
    one(&own_findings(&scratch), "forward", "error", "MTAs ignore it");
}

#[test]
fn roots_own_mail_that_runs_as_nobody_is_told() {
    let scratch = host().set("admin", "\"daemon@a.test\"");
    let settings = "mailbox_command = /usr/bin/procmail\ndefault_privs = nobody";
    fs::write(scratch.path("aliases"), "postmaster: daemon\n").unwrap();
    postfix(&scratch, settings);
    let found = host_findings(&scratch);
    let wrong = one(&found, "mail-system", "error", "it lies in the mailbox of nobody");
    assert!(wrong.remedy.as_deref().unwrap().contains("root: SOMEBODY"));
    fs::write(scratch.path("aliases"), "postmaster: daemon\nroot: daemon\n").unwrap();
    assert_eq!(bad(&host_findings(&scratch), "mail-system"), []);
}

#[test]
fn a_command_of_postfixs_that_nobody_can_start_is_told() {
    let scratch = host();
    fs::write(scratch.path("aliases"), "postmaster: daemon\nroot: daemon\n").unwrap();
    for setting in [
        "mailbox_command = /no/such/spoolguard deliver",
        "local_command_shell = /no/such/smrsh -c",
    ] {
        postfix(&scratch, setting);
        let found = host_findings(&scratch);
        one(&found, "mail-system", "error", "there is no program /no/such/");
    }
    postfix(
        &scratch,
        &format!("mailbox_command = {PROGRAM} deliver\nlocal_command_shell = /bin/sh -c"),
    );
    let found = host_findings(&scratch);
    assert!(
        !bad(&found, "mail-system")
            .iter()
            .any(|(_, _, what)| what.contains("no program"))
    );
}

#[test]
fn a_forward_whose_commands_postfix_forbids_is_told() {
    let scratch = host();
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    postfix(&scratch, "allow_mail_to_commands = alias");
    one(
        &own_findings(&scratch),
        "forward",
        "error",
        "no command in a .forward is run",
    );
    postfix(&scratch, "allow_mail_to_commands = alias, forward");
    assert_eq!(bad(&own_findings(&scratch), "forward"), []);
}

#[test]
fn kept_mail_in_a_mailbox_that_the_user_does_not_read_is_told() {
    let scratch = host();
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    let told = |scratch: &Scratch, level: &str, part: &str| {
        let found = own_findings(scratch);
        one(&found, "mailbox", level, part);
    };
    postfix(&scratch, "");
    assert_eq!(bad(&own_findings(&scratch), "mailbox"), []);
    postfix(&scratch, "home_mailbox = Maildir/");
    told(&scratch, "error", "Maildir/ (Postfix's home_mailbox)");
    // A command delivers it, wherever that is.
    postfix(&scratch, "home_mailbox = Maildir/\nmailbox_command = /usr/bin/procmail");
    assert_eq!(bad(&own_findings(&scratch), "mailbox"), []);
    postfix(&scratch, "");
    guarded_home(&scratch, ".procmailrc", "DEFAULT=$HOME/mbox\n");
    told(&scratch, "error", "home/mbox (procmail's DEFAULT)");
    fs::remove_file(scratch.path("home/.procmailrc")).unwrap();
    for dir in ["new", "cur", "tmp"] {
        fs::create_dir_all(scratch.path("home/Maildir").join(dir)).unwrap();
    }
    told(&scratch, "warning", "Maildir is there too");
    fs::remove_file(scratch.path("home/.forward")).unwrap();
    assert_eq!(bad(&own_findings(&scratch), "mailbox"), [], "nobody is guarded");
}

#[test]
fn a_mailbox_that_dovecot_does_not_read_is_told() {
    let scratch = host();
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    let maildir = format!("location = \"maildir:{}/Maildir\"", scratch.path("home").display());
    let lmtp = "location = \"lmtp:/run/dovecot/lmtp\"";
    for (said, reads, remedy) in [
        (
            "mail_location = maildir:~/Maildir",
            "Maildir (Dovecot)",
            maildir.as_str(),
        ),
        // What 2.4 says, where nothing but the driver is set.
        (
            "mail_driver = maildir\nmail_path = \nmaildir {\n  mail_path = %{home}/Maildir\n}",
            "Maildir (Dovecot)",
            &maildir,
        ),
        ("mail_location = mdbox:~/mdbox", "mdbox (Dovecot)", lmtp),
    ] {
        program(&scratch, "doveconf", &format!("echo '{said}'"));
        // Root asks each user by a run of its own; users ask for themselves.
        for found in [own_findings(&scratch), host_findings(&scratch)] {
            let wrong = one(&found, "mailbox", "error", reads);
            assert!(wrong.remedy.as_deref().unwrap().contains(remedy), "{wrong:?}");
        }
    }
    let inbox = scratch.mailbox().display().to_string();
    program(
        &scratch,
        "doveconf",
        &format!("echo 'mail_location = mbox:~/mail:INBOX={inbox}'"),
    );
    assert_eq!(bad(&own_findings(&scratch), "mailbox"), []);
}

#[test]
fn the_locks_of_dovecot_2_4_are_read_where_it_says_them() {
    let scratch = host();
    program(
        &scratch,
        "doveconf",
        "echo 'mbox_read_locks = \nmbox_write_locks = \nmbox_lock_timeout = 5 mins\nmail_driver = mbox\n\
         mbox {\n  read_locks = fcntl\n  write_locks = dotlock fcntl\n}'",
    );
    one(&host_findings(&scratch), "locks", "ok", "it takes dotlock, then fcntl");
}

#[test]
fn postfixs_limits_are_held_against_mailboxes_and_quotas() {
    let scratch = host().set("quota.limit", "\"1M\"");
    fs::write(scratch.mailbox(), vec![b'x'; 5000]).unwrap();
    let level = |settings: &str| {
        postfix(&scratch, settings);
        bad(&host_findings(&scratch), "limits")
            .iter()
            .map(|(level, subject, _)| format!("{level} {subject}"))
            .collect::<Vec<_>>()
    };
    let none: [String; 0] = [];
    assert_eq!(level("command_time_limit = 1000s"), none);
    assert_eq!(level("mailbox_size_limit = 1048576"), none);
    assert_eq!(
        level("mailbox_size_limit = 1048575"),
        ["error Postfix's mailbox_size_limit"]
    );
    postfix(&scratch, "mailbox_size_limit = 4000");
    one(
        &host_findings(&scratch),
        "limits",
        "error",
        "a mailbox has 5000 already",
    );
    assert_eq!(
        level("command_time_limit = 200s"),
        ["error Postfix's command_time_limit"]
    );
    assert_eq!(
        level("message_size_limit = 2000000"),
        ["warning Postfix's message_size_limit"]
    );
    postfix(&scratch, "allow_mail_to_commands = alias");
    one(
        &host_findings(&scratch),
        "mail-system",
        "warning",
        "no command in a .forward is run",
    );
}

#[test]
fn a_file_size_limit_below_the_mailbox_is_told() {
    let scratch = host();
    assert_eq!(bad(&host_findings(&scratch), "limits"), []);
    let limited = doctor(&scratch, &["--json"]).shell("ulimit -f 8");
    one(&findings(limited), "limits", "error", "no file may get larger than");
}

#[test]
fn a_forward_file_that_doubles_loses_or_goes_round_is_told() {
    let mut scratch = host();
    for (text, level, part) in [
        ("\"|SPOOLGUARD forward b@b.test\"\n", "ok", "it runs spoolguard"),
        (
            "\"|SPOOLGUARD forward b@b.test\", \\a\n",
            "error",
            "line 1: Postfix also delivers a local copy beside spoolguard",
        ),
        (
            "\"|SPOOLGUARD forward b@b.test\"\nc@c.test\n",
            "error",
            "line 2: mail also goes to c@c.test without spoolguard",
        ),
        (
            "c@c.test\n",
            "error",
            "line 1: mail goes to c@c.test without spoolguard",
        ),
        (
            "\"|/no/such/spoolguard forward b@b.test\"\n",
            "error",
            "there is no program /no/such/spoolguard",
        ),
    ] {
        let path = guarded_home(&scratch, ".forward", text);
        let found = own_findings(&scratch);
        assert_eq!(one(&found, "forward", level, part).subject, path.display().to_string());
    }
    let path = guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    one(&own_findings(&scratch), "forward", "error", "its group may write to it");
    // Postfix is content with that. Its sendmail is known by its neighbour.
    fs::create_dir(scratch.path("sbin")).unwrap();
    fs::copy(scratch.path("sendmail"), scratch.path("sbin/sendmail")).unwrap();
    fs::write(scratch.path("sbin/postdrop"), "").unwrap();
    scratch.change("forward.transport", &format!("{:?}", scratch.path("sbin/sendmail")));
    assert_eq!(bad(&own_findings(&scratch), "forward"), []);
    scratch.change("forward.transport", "\"outbox:/nonexistent\"");
    one(
        &own_findings(&scratch),
        "forward",
        "warning",
        "its group may write to it",
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    one(&own_findings(&scratch), "forward", "error", "everybody may write to it");
}

#[test]
fn a_procmailrc_that_loses_mail_is_told() {
    let scratch = host();
    let safe = ":0 w\n| SPOOLGUARD forward b@b.test\nEXITCODE=75\nHOST=stop\n";
    guarded_home(&scratch, ".procmailrc", safe);
    let found = own_findings(&scratch);
    assert_eq!(bad(&found, "procmailrc"), []);
    one(&found, "procmailrc", "ok", "it runs spoolguard");
    guarded_home(&scratch, ".procmailrc", &safe.replace(":0 w", ":0"));
    one(
        &own_findings(&scratch),
        "procmailrc",
        "error",
        "line 1: without w, procmail loses the message",
    );
    guarded_home(&scratch, ".procmailrc", &safe.replace("HOST=stop", ""));
    one(
        &own_findings(&scratch),
        "procmailrc",
        "warning",
        "goes into the mailbox instead",
    );
    guarded_home(&scratch, ".procmailrc", &format!(":0 c\n! c@c.test\n{safe}"));
    one(
        &own_findings(&scratch),
        "procmailrc",
        "error",
        "mail also goes to c@c.test without spoolguard",
    );
}

#[test]
fn a_guarded_user_without_mailbox_or_state_is_named() {
    let scratch = host();
    let uid = if is_root() {
        64_321
    } else {
        nix::unistd::Uid::current().as_raw()
    };
    guarded_home(&scratch, ".forward", "\"|/bin/spoolguard forward b@b.test\"\n");
    let name = if is_root() { uid.to_string() } else { user_name() };
    fs::rename(scratch.mailbox(), scratch.path("spool").join(&name)).unwrap();
    let run = || {
        let run = doctor(&scratch, &["--json"]);
        findings(if is_root() { run.uid(uid) } else { run })
    };
    scratch.without_dotlocks(uid);
    if is_root() {
        std::os::unix::fs::chown(scratch.path("home/.forward"), Some(uid), Some(uid)).unwrap();
    }
    let found = run();
    one(&found, "mailbox", "ok", "this user can append to it, without a dotlock");
    one(&found, "state", "ok", "is this user's alone");
    one(&found, "left-out", "warning", "the files of other users");
    fs::set_permissions(scratch.path("state"), fs::Permissions::from_mode(0o777)).unwrap();
    one(&run(), "state", "error", "others may write to");
    fs::set_permissions(scratch.path("spool"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(scratch.path("spool").join(&name)).unwrap();
    fs::set_permissions(scratch.path("spool"), fs::Permissions::from_mode(0o555)).unwrap();
    let found = run();
    let mailbox = one(
        &found,
        "mailbox",
        "error",
        "it is not there, and this user cannot make it",
    );
    assert!(mailbox.remedy.as_deref().unwrap().starts_with("install -m 660 -o "));
    fs::rename(scratch.path("home/.forward"), scratch.path("home/.other")).unwrap();
    guarded_home(&scratch, ".procmailrc", ":0 w\n| /bin/spoolguard forward b@b.test\n");
    if is_root() {
        std::os::unix::fs::chown(scratch.path("home/.procmailrc"), Some(uid), Some(uid)).unwrap();
    }
    one(&run(), "mailbox", "ok", "procmail makes it");
}

#[test]
fn root_examines_the_users_whose_files_handle_mail() {
    if !is_root() {
        return skip("not root");
    }
    let scratch = host();
    let path = guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\", \\root\n");
    let found = host_findings(&scratch);
    let doubled = one(
        &found,
        "forward",
        "error",
        "line 1: Postfix also delivers a local copy beside spoolguard",
    );
    assert_eq!(doubled.subject, path.display().to_string());
    assert!(!found.iter().any(|found| found.check == "left-out"), "{found:#?}");
}

#[test]
fn a_user_does_not_examine_another() {
    if is_root() {
        return skip("root may");
    }
    let scratch = host();
    let ended = doctor(&scratch, &["--user", "root"]).go();
    ended
        .ends_with(75)
        .mentions("cannot examine user root: only root may become another user");
}

#[test]
fn an_unusable_configuration_is_named_and_the_rest_examined() {
    let scratch = host().set("no_such_key", "1");
    let found = host_findings(&scratch);
    one(&found, "configuration", "error", "no_such_key");
    assert!(found.iter().any(|found| found.check == "submit"));
    let refusing = host().set("quota.when_full", "\"refuse\"");
    one(
        &host_findings(&refusing),
        "configuration",
        "warning",
        "mail for a full mailbox is bounced, on purpose",
    );
}

#[test]
fn people_get_errors_first_and_a_count_of_what_passed() {
    let scratch = host();
    symlink("/etc/passwd", scratch.path("spool/link")).unwrap();
    let ended = doctor(&scratch, &[]).go();
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    ended
        .ends_with(1)
        .check(ended.stderr.is_empty(), "it says something on standard error");
    let first = format!(
        "error    {}: it is a symbolic link",
        scratch.path("spool/link").display()
    );
    assert!(text.starts_with(&first), "{text}");
    assert!(!text.contains("\nok "), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.ends_with(" checks passed (-v shows them)"), "{text}");
    let all = doctor(&scratch, &["-v"]).go();
    assert!(String::from_utf8_lossy(&all.stdout).contains("\nok       "));
}

#[test]
fn it_changes_nothing() {
    let scratch = host();
    postfix(&scratch, "mailbox_delivery_lock = fcntl, dotlock");
    program(&scratch, "doveconf", DOVECONF);
    program(&scratch, "procmail", PROCMAIL);
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    guarded_home(&scratch, ".procmailrc", ":0 w\n| SPOOLGUARD forward b@b.test\n");
    fs::remove_dir(scratch.path("state")).unwrap();
    fs::write(scratch.mailbox(), "From x Mon Nov  2 10:00:00 2026\n\nx\n\n").unwrap();
    let before = tree(&scratch.path(""));
    host_findings(&scratch);
    own_findings(&scratch);
    assert_eq!(tree(&scratch.path("")), before);
    assert!(scratch.calls().is_empty());
}

/// Every name below a directory, with its size, mode and times.
fn tree(dir: &Path) -> BTreeMap<PathBuf, (u64, u32, i64, i64, i64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let stat = path.symlink_metadata().unwrap();
        if stat.is_dir() {
            found.extend(tree(&path));
        }
        // Reading a directory, or a file that is no mailbox, is not hidden.
        let read = if path.starts_with(dir) && path.extension().is_none() && stat.is_file() && dir.ends_with("spool") {
            stat.atime_nsec()
        } else {
            0
        };
        found.insert(path, (stat.len(), stat.mode(), stat.mtime(), stat.mtime_nsec(), read));
    }
    found
}

#[test]
fn a_mistake_in_the_command_line_is_one_of_usage() {
    let scratch = host();
    doctor(&scratch, &["--nonsense"]).go().ends_with(64);
}

#[test]
fn what_srs_lacks_is_told_and_what_it_has_is_ok() {
    let mut scratch = host().set("forward.sender", "\"srs\"");
    let secrets = scratch.path("secrets");
    scratch.change("srs.secrets", &format!("{:?}", secrets.display().to_string()));
    postfix(&scratch, "recipient_delimiter = -");
    let found = host_findings(&scratch);
    one(&found, "configuration", "error", "reports to SRS addresses wait");
    one(&found, "mail-system", "error", "SRS addresses are set off with \"+\"");
    for alias in ["srs0", "srs1"] {
        let told = |found: &&crate::doctor::scene::Found| found.subject == format!("the alias {alias}");
        assert_eq!(found.iter().filter(told).count(), 1, "{alias}: {found:?}");
    }
    fs::write(&secrets, "testsecret\n").unwrap();
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(
        scratch.path("aliases"),
        format!("postmaster: root\nsrs0: \"|{PROGRAM} return\"\nsrs1: \"|{PROGRAM} return\"\n"),
    )
    .unwrap();
    postfix(&scratch, "recipient_delimiter = +");
    let found = host_findings(&scratch);
    one(&found, "configuration", "warning", "every user can read it");
    assert!(!found.iter().any(|found| found.subject.contains("srs")), "{found:?}");
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o640)).unwrap();
    one(
        &host_findings(&scratch),
        "configuration",
        "ok",
        "the SRS secrets can be used",
    );
}
