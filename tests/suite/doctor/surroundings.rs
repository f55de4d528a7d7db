//! What stands around a delivery: the queue, MTAs that are running, full mailboxes, aliases, submission, the log. The
//! files of the host are fixtures below one directory.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::doctor::scene::{
    Found, bad, doctor, findings, guarded_home, host, host_findings, one, own_findings, postfix, program,
};
use crate::support::{PROGRAM, Scratch, is_root, skip, user_name};

/// Findings on a host whose `/etc` and `/proc` are fixtures.
#[track_caller]
fn at_root(scratch: &Scratch, arguments: &[&str]) -> Vec<Found> {
    let run = doctor(scratch, &[&["--json"], arguments].concat());
    findings(run.variable("SPOOLGUARD_ROOT", scratch.path("root")))
}

fn fixture(scratch: &Scratch, path: &str, text: &str) {
    let path = scratch.path("root").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Makes Postfix's sendmail of the scene's, known by its neighbour, which says this and fails.
fn postfixs_sendmail(scratch: &mut Scratch, postdrop: &str) {
    fs::create_dir_all(scratch.path("sbin")).unwrap();
    fs::copy(scratch.path("sendmail"), scratch.path("sbin/sendmail")).unwrap();
    fs::write(scratch.path("sbin/postdrop"), "").unwrap();
    program(scratch, "postdrop", &format!("echo '{postdrop}' >&2; exit 1"));
    scratch.change("forward.transport", &format!("{:?}", scratch.path("sbin/sendmail")));
}

#[test]
fn mail_that_waits_because_of_the_guard_is_an_error() {
    let scratch = host();
    let queue = |reason: &str| {
        let line = format!(
            "{{\"queue_name\": \"deferred\", \"queue_id\": \"4gHw\", \"arrival_time\": 1000, \"message_size\": 3, \"sender\": \"s@s.test\", \
             \"recipients\": [{{\"address\": \"a@a.test\", \"delay_reason\": \"{reason}\"}}]}}"
        );
        program(&scratch, "postqueue", &format!("cat <<'END'\n{line}\nEND"));
    };
    postfix(&scratch, "");
    queue("temporary failure. Command output: 4.3.5 spoolguard: cannot understand the command line: x");
    let found = host_findings(&scratch);
    let waits = one(
        &found,
        "queue",
        "error",
        "1 message is deferred by spoolguard, the oldest for ",
    );
    assert!(
        waits.finding.ends_with("(4gHw): cannot understand the command line: x"),
        "{waits:?}"
    );
    assert!(waits.remedy.as_deref().unwrap().ends_with("postqueue -f"));
    queue("connect to b.test: Connection refused");
    assert_eq!(bad(&host_findings(&scratch), "queue"), []);
}

#[test]
fn exims_and_others_queues_are_asked_too() {
    let scratch = host();
    program(
        &scratch,
        "exim4",
        "case \"$1 $2\" in
'-bP transports') printf '\\naddress_pipe transport:\\ndriver = pipe\\ntimeout = 1h\\ntemp_errors = 73:75\\nfreeze_signal\\nrestrict_to_path\\n';;
'-bP routers') printf '\\nuserforward router:\\ndriver = redirect\\nfile = $home/.forward\\npipe_transport = address_pipe\\nforbid_pipe\\n';;
'-bp '*) printf ' 3h  332 1vOXYz-000001-2X <s@s.test>\\n          a@a.test\\n';;
'-Mvl 1vOXYz-000001-2X') echo 'defer: Child process returned 75 from command: /usr/bin/spoolguard';;
esac",
    );
    let found = host_findings(&scratch);
    one(
        &found,
        "queue",
        "error",
        "1 message is deferred by spoolguard, the oldest for 3 hours",
    );
    one(
        &found,
        "mail-system",
        "error",
        "forbid_pipe: a command in a .forward is not run",
    );
    one(
        &found,
        "mail-system",
        "error",
        "restrict_to_path: a command that is named with its directory",
    );
    fs::remove_file(scratch.path("programs/exim4")).unwrap();
    program(
        &scratch,
        "mailq",
        "echo '5AQ9 331 Thu Nov 26 10:00 <s@s.test>'; echo '   \"|/usr/bin/spoolguard forward b@b.test\"'",
    );
    one(
        &host_findings(&scratch),
        "queue",
        "error",
        "1 message is deferred by spoolguard",
    );
}

#[test]
fn whether_tokens_come_home_is_asked_without_sending() {
    let scratch = host().set("forward.sender", "\"verp\"");
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    let exim = |routing: &str, trusts: &str| {
        let text = format!(
            "case \"$1 $2\" in\n'-bt '*+fwd=*@*) {routing};;\n'-bP untrusted_set_sender') printf '{trusts}';;\nesac"
        );
        program(&scratch, "exim4", &text);
    };
    let found = |level: &str, part: &str| {
        one(&own_findings(&scratch), "mail-system", level, part);
    };
    // Debian's: it takes any sender, and delivers no extension.
    let debian = "untrusted_set_sender = *\\ntrusted_users = uucp\\ntrusted_groups = \\n";
    exim(
        "echo a+fwd=test@a.test is undeliverable: Unrouteable address; exit 2",
        debian,
    );
    found(
        "warning",
        "the MTA does not deliver such addresses: a+fwd=test@a.test is undeliverable: Unrouteable address",
    );
    exim("echo routed", debian);
    found(
        "ok",
        "the first forward sends one, and until then the sender is the user",
    );
    // Its own default: no user is believed.
    if !is_root() {
        exim(
            "echo routed",
            "untrusted_set_sender = \\ntrusted_users = \\ntrusted_groups = \\n",
        );
        found("warning", "Exim ignores the sender");
    }
    // One was sent, and is on its way, or was reported; then one came home.
    let name = format!("{}@{}", user_name(), mail_name());
    let state = |test: &str| {
        let path = scratch.path("state/tokens.json");
        fs::write(&path, format!("{{\"addresses\": {{\"{name}\": {test}}}}}")).unwrap();
    };
    state("{\"tests\": 1, \"sent_at\": 1000}");
    found(
        "warning",
        "the test message of 1970-01-01 00:16 UTC did not come home yet",
    );
    state("{\"tests\": 1, \"sent_at\": 1000, \"failed_at\": 2000}");
    found("warning", "a test message could not be delivered on 1970-01-01");
    state("{\"sent_at\": 1000, \"home_at\": 2000}");
    found("ok", "came home on 1970-01-01");
}

/// The domain of the user's address, as the program finds it.
fn mail_name() -> String {
    spoolguard::sys::account::mail_name()
}

#[test]
fn what_a_running_mta_may_not_do_is_an_error() {
    let scratch = host();
    let spool = scratch.path("spool").canonicalize().unwrap();
    let mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
    fixture(&scratch, "proc/self/status", "NSpid:\t9\n");
    fixture(&scratch, "proc/self/mountinfo", mounts);
    fixture(&scratch, "proc/12/cmdline", "/usr/lib/postfix/sbin/master\0-w\0");
    let status = "Name:\tmaster\nUid:\t0\t0\t0\t0\nNSpid:\t12\nNoNewPrivs:\t0\n";
    let limits = "Max file size             unlimited            unlimited            bytes     \n";
    let scene = |status: &str, limits: &str, mounts: &str| {
        fixture(&scratch, "proc/12/status", status);
        fixture(&scratch, "proc/12/limits", limits);
        fixture(&scratch, "proc/12/mountinfo", mounts);
        at_root(&scratch, &[])
    };
    let found = scene(status, limits, mounts);
    assert_eq!(
        one(&found, "running-mta", "ok", "rights and directories").subject,
        "Postfix, process 12"
    );
    let found = scene(&status.replace("Privs:\t0", "Privs:\t1"), limits, mounts);
    one(&found, "running-mta", "error", "it runs with NoNewPrivileges");
    let found = scene(status, &limits.replacen("unlimited", "4096     ", 1), mounts);
    one(&found, "limits", "error", "no file may get larger than 4096 bytes");
    let read_only = format!("{mounts}23 22 8:1 {0} {0} ro - ext4 /dev/sda1 rw\n", spool.display());
    if !spool.starts_with("/tmp") && !spool.starts_with("/var") {
        return skip("the scene lies elsewhere");
    }
    // The same directory, as systemd shows what it makes read-only.
    let found = scene(status, limits, &read_only);
    one(&found, "running-mta", "error", "mounted read-only for it");
    let hidden = format!(
        "{mounts}23 22 0:30 /systemd/inaccessible/dir {} ro - tmpfs tmpfs ro\n",
        spool.display()
    );
    let found = scene(status, limits, &hidden);
    one(&found, "running-mta", "error", "it sees something else at ");
    // Another container's is none of ours.
    let found = scene(
        &status
            .replace("NSpid:\t12", "NSpid:\t12\t1")
            .replace("Privs:\t0", "Privs:\t1"),
        limits,
        mounts,
    );
    assert!(!found.iter().any(|found| found.check == "running-mta"), "{found:#?}");
}

#[test]
fn full_and_growing_mailboxes_are_told() {
    let scratch = host()
        .set("quota.limit", "\"10K\"")
        .set("quota.when_full", "\"overflow\"");
    let fill = |bytes: usize| fs::write(scratch.mailbox(), vec![b'x'; bytes]).unwrap();
    fill(10_140);
    one(&host_findings(&scratch), "quota", "warning", "it is 99% full");
    fill(10_240);
    one(&host_findings(&scratch), "quota", "error", "it is full: ");
    fill(100);
    assert_eq!(bad(&host_findings(&scratch), "quota"), []);
    let looping: String = (10..40)
        .map(|second| format!("From MAILER-DAEMON Thu Nov 26 10:00:{second} 2026\nSubject: x\n\nx\n\n"))
        .collect();
    fs::write(scratch.mailbox(), looping.replace("MAILER-DAEMON", "ci@b.test")).unwrap();
    let found = host_findings(&scratch);
    one(
        &found,
        "quota",
        "warning",
        "most of them from ci@b.test: a program writes to it, or mail goes round",
    );
    fs::write(scratch.mailbox(), looping).unwrap();
    let found = host_findings(&scratch);
    one(
        &found,
        "quota",
        "error",
        "the last 20 messages came within 19 s, most of them from MAILER-DAEMON",
    );
}

#[test]
fn a_quota_that_bounces_later_is_told_until_postfix_asks_before() {
    let mut scratch = host().set("quota.limit", "\"1M\"").set("quota.when_full", "\"refuse\"");
    postfix(&scratch, "");
    one(
        &host_findings(&scratch),
        "quota",
        "error",
        "also to senders who were forged",
    );
    scratch.change("quota.when_full", "\"defer\"");
    one(&host_findings(&scratch), "quota", "warning", "and bounced in the end");
    // The scene's postconf prints the same whatever it is asked.
    postfix(
        &scratch,
        "smtpd_recipient_restrictions = permit_mynetworks, check_policy_service unix:private/guard
guard unix - n n - 0 spawn user=nobody argv=/usr/bin/spoolguard policy",
    );
    assert_eq!(bad(&host_findings(&scratch), "quota"), []);
    scratch.change("quota.when_full", "\"overflow\"");
    postfix(&scratch, "");
    assert_eq!(bad(&host_findings(&scratch), "quota"), []);
}

#[test]
fn a_pipe_service_without_what_a_delivery_needs_is_told() {
    let scratch = host();
    let service = |arguments: &str| {
        let line = format!("guard unix - n n - - pipe flags=DRhu user=vmail argv=/usr/bin/spoolguard {arguments}");
        postfix(&scratch, &format!("{line}\nguard_destination_recipient_limit = 1"));
        host_findings(&scratch)
    };
    let found = service("deliver --recipient ${recipient}");
    let first = one(&found, "mail-system", "error", "goes into the mailbox of vmail");
    assert_eq!(first.subject, "master.cf, service guard");
    one(
        &service("forward --kepp b@b.test"),
        "mail-system",
        "error",
        "unexpected argument '--kepp'",
    );
    one(
        &service("forward b@b.test --sender ${sender}"),
        "mail-system",
        "ok",
        "it runs spoolguard",
    );
}

#[test]
fn aliases_and_virtual_maps_that_forward_are_named() {
    let scratch = host();
    fs::write(
        scratch.path("aliases"),
        "postmaster: root\nsales: b@b.test\nchain: sales\nhere: root@a.test\nlist: :include:/nonexistent\n\
         boss: deputies\ndeputies: root, c@c.test\n",
    )
    .unwrap();
    let scratch = scratch.set("admin", "\"boss\"");
    fs::write(
        scratch.path("virtual"),
        "v.test anything\ninfo@v.test  c@c.test, root\n",
    )
    .unwrap();
    postfix(
        &scratch,
        &format!("virtual_alias_maps = texthash:{}", scratch.path("virtual").display()),
    );
    let found = host_findings(&scratch);
    let told = bad(&found, "aliases");
    let subjects: Vec<_> = told
        .iter()
        .map(|(level, subject, _)| (*level, subject.to_string()))
        .collect();
    let table = format!("{}, info@v.test", scratch.path("virtual").display());
    assert_eq!(
        subjects,
        [("warning", "alias sales".to_owned()), ("warning", table)],
        "{found:#?}"
    );
    let sales = one(
        &found,
        "aliases",
        "warning",
        "it forwards to b@b.test without spoolguard",
    );
    assert!(
        sales
            .remedy
            .as_deref()
            .unwrap()
            .contains("/usr/share/doc/spoolguard/docs/src/aliases.md")
    );
}

#[test]
fn a_policy_service_that_cannot_ask_the_lmtp_server_is_told() {
    let socket = tempfile::tempdir().unwrap();
    let path = socket.path().join("lmtp");
    let _listener = UnixListener::bind(&path).unwrap();
    let scratch = host().set("mailbox.location", &format!("\"lmtp:{}\"", path.display()));
    let of_mode = |mode, service: &str| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        postfix(&scratch, service);
        let found = host_findings(&scratch);
        found
            .iter()
            .any(|found| found.level == "warning" && found.finding.contains("runs as nobody, who may not write to"))
    };
    let service = "guard unix - n n - 0 spawn user=nobody argv=/usr/bin/spoolguard policy";
    assert!(of_mode(0o660, service));
    assert!(!of_mode(0o666, service));
    assert!(!of_mode(0o660, ""));
}

#[test]
fn a_policy_service_that_does_not_answer_is_told() {
    let scratch = host();
    let queue = scratch.path("queue").display().to_string();
    fs::create_dir_all(scratch.path("queue/private")).unwrap();
    let asks = |more: &str| {
        postfix(
            &scratch,
            &format!(
                "queue_directory = {queue}\nsmtpd_recipient_restrictions = check_policy_service {{ unix:private/guard, timeout=1s{more} }}\n\
                 guard unix - n n - 0 spawn user=nobody argv=/usr/bin/spoolguard policy"
            ),
        );
        host_findings(&scratch)
    };
    one(
        &asks(""),
        "mail-system",
        "error",
        "Postfix answers 451 to every recipient",
    );
    let dunno = ", default_action=DUNNO";
    one(&asks(dunno), "mail-system", "warning", "nobody listens there");
    let socket = scratch.path("queue/private/guard");
    for (answer, more, level, part) in [
        ("action=DUNNO\n\n", dunno, "ok", "spoolguard policy answers"),
        ("action=DUNNO\n\n", "", "warning", "without default_action"),
        (
            "action=OK\n\n",
            dunno,
            "warning",
            "what answers there is not spoolguard policy",
        ),
        ("", dunno, "warning", "it hung up"),
    ] {
        let listener = UnixListener::bind(&socket).unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            stream.write_all(answer.as_bytes()).unwrap();
        });
        one(&asks(more), "mail-system", level, part);
        serving.join().unwrap();
        fs::remove_file(&socket).unwrap();
    }
}

#[test]
fn exim_and_opensmtpd_that_ask_are_known() {
    let scratch = host().set("quota.limit", "\"1G\"").set("quota.when_full", "\"refuse\"");
    let refuses = || {
        let run = doctor(&scratch, &["--json"]).variable("SPOOLGUARD_ROOT", scratch.path("root"));
        let found = findings(run);
        bad(&found, "quota").len()
    };
    for name in ["smtpd", "smtpctl"] {
        program(&scratch, name, "exit 0");
    }
    assert_eq!(refuses(), 1);
    fixture(
        &scratch,
        "etc/smtpd.conf",
        "# filter \"q\" proc-exec \"spoolguard policy --opensmtpd\"\n",
    );
    assert_eq!(refuses(), 1);
    fixture(
        &scratch,
        "etc/smtpd.conf",
        "filter \"q\" proc-exec \"/usr/bin/spoolguard policy --opensmtpd\"\n",
    );
    assert_eq!(refuses(), 0);
}

#[test]
fn redirects_of_sieve_without_the_guard_are_told() {
    let scratch = host();
    let says = |text: &str| program(&scratch, "doveconf", &format!("echo '{text}'"));
    says("sendmail_path = /usr/sbin/sendmail");
    guarded_home(&scratch, ".dovecot.sieve", "# redirect\nkeep;\n");
    assert_eq!(bad(&own_findings(&scratch), "forward"), []);
    guarded_home(&scratch, ".dovecot.sieve", "redirect \"b@b.test\";\n");
    one(
        &own_findings(&scratch),
        "forward",
        "warning",
        "it redirects mail without spoolguard",
    );
    says("sendmail_path = /nonexistent/spoolguard sendmail\nmail_location = maildir:~/Maildir");
    one(&own_findings(&scratch), "forward", "ok", "its redirects pass the guard");
    let found = host_findings(&scratch);
    one(&found, "mail-system", "error", "/nonexistent/spoolguard is missing");
    one(
        &found,
        "mail-system",
        "error",
        "Dovecot keeps mail as maildir: nobody would see it",
    );
    says(&format!("sendmail_path = {PROGRAM} sendmail"));
    one(
        &host_findings(&scratch),
        "mail-system",
        "ok",
        "redirects pass the guard",
    );
    let outbox = scratch.set("forward.transport", "\"outbox:/tmp/x\"");
    one(
        &host_findings(&outbox),
        "mail-system",
        "error",
        "is no program: vacation and reject",
    );
}

#[test]
fn a_guarded_alias_needs_a_place_of_its_runners() {
    let mut scratch = host();
    let place = scratch.path("place");
    scratch.change("aliases.dir", &format!("{:?}", place.display().to_string()));
    let line = format!("postmaster: root\nsales: \"|{PROGRAM} forward --as sales b@b.test\"\n");
    fs::write(scratch.path("aliases"), line).unwrap();
    postfix(&scratch, "");
    let found = host_findings(&scratch);
    let missing = one(
        &found,
        "aliases",
        "error",
        "it is missing: mail for guarded aliases stays",
    );
    assert!(missing.remedy.as_deref().unwrap().starts_with("install -d -m 700 -o "));
    fs::create_dir_all(place.join("sales")).unwrap();
    if !is_root() {
        one(
            &host_findings(&scratch),
            "aliases",
            "ok",
            "it has a place for what is kept",
        );
        return;
    }
    one(&host_findings(&scratch), "aliases", "error", "it belongs to root");
    std::os::unix::fs::chown(place.join("sales"), Some(61_234), Some(61_234)).unwrap();
    one(
        &host_findings(&scratch),
        "aliases",
        "ok",
        "it has a place for what is kept",
    );
    fs::remove_dir(place.join("sales")).unwrap();
    one(
        &host_findings(&scratch),
        "aliases",
        "error",
        "it belongs to root, and the directories",
    );
    std::os::unix::fs::chown(&place, Some(61_234), Some(61_234)).unwrap();
    one(&host_findings(&scratch), "aliases", "ok", "can be made in it");
    assert_eq!(bad(&host_findings(&scratch), "mail-system"), []);
}

#[test]
fn a_postfix_configuration_that_users_cannot_read_is_an_error() {
    let scratch = host();
    fixture(&scratch, "etc/postfix/main.cf", "");
    postfix(&scratch, "");
    assert_eq!(
        bad(&at_root(&scratch, &[]), "submit")
            .iter()
            .filter(|(level, ..)| *level == "error")
            .count(),
        0
    );
    let path = scratch.path("root/etc/postfix/main.cf");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let found = at_root(&scratch, &[]);
    let closed = one(&found, "submit", "error", "users cannot read it: sendmail");
    assert_eq!(closed.remedy, Some(format!("chmod o+r {}", path.display())));
}

#[test]
fn a_user_who_may_not_submit_is_told() {
    let mut scratch = host();
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    postfix(&scratch, "authorized_submit_users = !nobody-here, static:anyone");
    assert_eq!(bad(&own_findings(&scratch), "submit"), []);
    postfix(
        &scratch,
        &format!("authorized_submit_users = !{}, static:anyone", user_name()),
    );
    one(&own_findings(&scratch), "submit", "error", "it excludes ");
    postfix(&scratch, "");
    postfixs_sendmail(
        &mut scratch,
        "postdrop: warning: mail_queue_enter: create file maildrop/1.2: Permission denied",
    );
    one(
        &own_findings(&scratch),
        "submit",
        "error",
        "refuses it: postdrop: warning: mail_queue_enter",
    );
    postfixs_sendmail(&mut scratch, "postdrop: fatal: uid=0: malformed input");
    assert_eq!(bad(&own_findings(&scratch), "submit"), []);
    assert!(scratch.calls().is_empty(), "sendmail was started");
}

/// A host with Sendmail, known by where its program lies.
fn sendmail_host() -> Scratch {
    let mut scratch = host();
    fs::create_dir_all(scratch.path("lib/sendmail")).unwrap();
    fs::copy(scratch.path("sendmail"), scratch.path("lib/sendmail/sendmail")).unwrap();
    scratch.change(
        "forward.transport",
        &format!("{:?}", scratch.path("lib/sendmail/sendmail")),
    );
    scratch
}

#[test]
fn smrsh_without_a_link_is_an_error() {
    let scratch = sendmail_host();
    fixture(
        &scratch,
        "etc/mail/sendmail.cf",
        "Mprog,\t\tP=/usr/lib/sm.bin/smrsh, F=lsDFMoqeu9,\n",
    );
    fixture(&scratch, "etc/mail/smrsh/README", "");
    let found = at_root(&scratch, &[]);
    let missing = one(&found, "mail-system", "error", "a .forward that names it is bounced");
    assert!(missing.remedy.as_deref().unwrap().starts_with("ln -s "), "{missing:?}");
    scratch.script("root/etc/mail/smrsh/spoolguard", "");
    assert_eq!(bad(&at_root(&scratch, &[]), "mail-system"), []);
    fixture(&scratch, "etc/mail/sendmail.cf", "Mprog,\t\tP=/bin/sh, F=lsDFMoqeu9,\n");
    fs::remove_file(scratch.path("root/etc/mail/smrsh/spoolguard")).unwrap();
    assert_eq!(bad(&at_root(&scratch, &[]), "mail-system"), []);
}

#[test]
fn a_shell_that_sendmail_does_not_accept_is_an_error() {
    let scratch = sendmail_host();
    let name = user_name();
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    fixture(&scratch, "etc/shells", "/bin/sh\n/bin/bash\n");
    fixture(
        &scratch,
        "etc/passwd",
        &format!("{name}:x:1:1::/home:/usr/sbin/nologin\n"),
    );
    let own = ["--user", name.as_str()];
    one(
        &at_root(&scratch, &own),
        "forward",
        "error",
        "which /etc/shells does not name",
    );
    fixture(&scratch, "etc/passwd", &format!("{name}:x:1:1::/home:/bin/bash\n"));
    assert_eq!(bad(&at_root(&scratch, &own), "forward"), []);
}

#[test]
fn a_log_that_nobody_keeps_is_told() {
    let mut scratch = host().set("log.to", "\"auto\"");
    fs::create_dir(scratch.path("root")).unwrap();
    one(&at_root(&scratch, &[]), "log", "warning", "nobody listens at ");
    scratch.change("log.to", "\"stderr\"");
    one(
        &at_root(&scratch, &[]),
        "log",
        "warning",
        "MTAs throw away what a delivery prints",
    );
}

#[test]
fn a_host_without_proc_is_examined_all_the_same() {
    let scratch = host();
    fs::create_dir(scratch.path("root")).unwrap();
    let found = at_root(&scratch, &[]);
    assert!(found.iter().any(|found| found.check == "spool" && found.level == "ok"));
    assert!(!found.iter().any(|found| found.check == "running-mta"));
}

/// Every file below a directory.
fn files(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push(text.split("#[cfg(test)]").next().unwrap().to_owned());
        }
    }
}

#[test]
fn remedies_name_files_that_the_package_has() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    files(&top.join("src/doctor"), &mut texts);
    let manifest: toml::Table = fs::read_to_string(top.join("Cargo.toml")).unwrap().parse().unwrap();
    let assets = manifest["package"]["metadata"]["deb"]["assets"].as_array().unwrap();
    let assets: Vec<(&str, &str)> = assets
        .iter()
        .map(|asset| (asset[0].as_str().unwrap(), asset[1].as_str().unwrap()))
        .collect();
    let mut named = 0;
    for text in &texts {
        assert!(!text.contains("contrib/"), "a file of the sources is named: {text}");
        for path in text.split("/usr/share/doc/").skip(1) {
            let path: String = path
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "/._-".contains(*c))
                .collect();
            let (dir, name) = path.rsplit_once('/').unwrap();
            let is_there = assets.iter().any(|(source, to)| {
                let (from, file) = source.rsplit_once('/').unwrap_or((".", source));
                *to == format!("usr/share/doc/{dir}/")
                    && (file == name || file.starts_with('*'))
                    && top.join(from).join(name).is_file()
            });
            assert!(is_there, "the package has no {path}");
            named += 1;
        }
    }
    assert!(named >= 3, "{named}");
}

#[test]
fn root_is_told_of_each_user_who_cannot_submit() {
    if !is_root() {
        return skip("not root");
    }
    let scratch = host();
    guarded_home(&scratch, ".forward", "\"|SPOOLGUARD forward b@b.test\"\n");
    postfix(&scratch, "authorized_submit_users = nobody-here");
    one(&host_findings(&scratch), "submit", "error", "it does not name root");
}
