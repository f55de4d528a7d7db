//! `sendmail`, as Dovecot's `sendmail_path`: redirects go through the guard, and everything else reaches the real
//! sendmail as it came.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{ORDINARY, PROGRAM, Scratch, contains, is_root, large, messages, only, same, shown, user_name};

fn user() -> String {
    format!("{}@a.test", user_name())
}

/// What Pigeonhole makes of a message that `user` redirects.
fn redirected(user: &str, message: &[u8]) -> Vec<u8> {
    let top = format!(
        "X-Sieve: Pigeonhole Sieve 0.5.19 (4eae2f79)\nX-Sieve-Redirected-From: {user}\nDelivered-To: {user}\n\
         Received: from s.test by a.test with LMTP\n"
    );
    [top.as_bytes(), message].concat()
}

/// Redirects to b@b.test as Dovecot does: with an empty environment, and in its words.
fn redirect<'a>(scratch: &'a Scratch, sender: &str, message: &[u8]) -> crate::support::Run<'a> {
    let run = scratch.run(&["sendmail", "-i", "-f", sender, "--", "b@b.test"]);
    run.input(&redirected(&user(), message))
}

fn scratch(then: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.sendmail(then);
    scratch
}

#[test]
fn a_redirect_leaves_as_a_guarded_forward() {
    let scratch = scratch("exit 0");
    redirect(&scratch, "s@s.test", ORDINARY).go().succeeds();
    assert_eq!(scratch.last_call(), (user(), vec!["b@b.test".to_owned()]));
    let sent = scratch.submitted();
    let mark = format!("X-Loop: {}\n", user());
    assert!(
        sent.starts_with(mark.as_bytes()) && sent.ends_with(ORDINARY),
        "{}",
        shown(&sent)
    );
    // The same again is known by the history.
    redirect(&scratch, "s@s.test", ORDINARY).go().succeeds();
    assert_eq!(scratch.calls().len(), 1);
}

#[test]
fn the_null_sender_of_a_redirect_stays_null() {
    let scratch = scratch("exit 0");
    redirect(&scratch, "<>", ORDINARY).go().succeeds();
    assert_eq!(scratch.last_call().0, "<>");
}

#[test]
fn a_redirect_that_is_refused_lies_in_the_mailbox() {
    let scratch = scratch("echo '550 5.1.1 no such user' >&2; exit 69");
    redirect(&scratch, "s@s.test", ORDINARY).go().succeeds();
    let mail = scratch.mail();
    assert!(contains(only(&mail), b"X-Spoolguard-Kept: "), "{}", shown(&mail));
}

#[test]
fn a_redirect_that_may_pass_later_stays_with_the_mta() {
    let scratch = scratch("exit 75");
    redirect(&scratch, "s@s.test", ORDINARY).go().defers();
    assert_eq!(scratch.mail(), b"");
}

#[test]
fn a_redirect_to_a_suspended_destination_is_kept() {
    let scratch = scratch("exit 0");
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    redirect(&scratch, "s@s.test", ORDINARY).go().succeeds();
    let mail = scratch.mail();
    let is_kept = |message: &&[u8]| contains(message, b"X-Spoolguard-Kept: ") && message.ends_with(b"\nHello.\n\n");
    assert_eq!(
        messages(&mail).into_iter().filter(is_kept).count(),
        1,
        "{}",
        shown(&mail)
    );
    assert!(scratch.calls().is_empty(), "{:?}", scratch.calls());
}

#[test]
fn a_redirect_that_came_back_goes_to_the_administrator() {
    let scratch = scratch("exit 0");
    let back = [format!("X-Loop: {}\n", user()).as_bytes(), ORDINARY].concat();
    redirect(&scratch, "s@s.test", &back).go().succeeds();
    assert!(
        scratch
            .calls()
            .iter()
            .all(|call| !call.contains(&"b@b.test".to_owned())),
        "{:?}",
        scratch.calls()
    );
    assert!(contains(&scratch.submitted(), b"X-Loop: ") || contains(&scratch.diverted(), b"X-Loop: "));
}

/// Runs `sendmail` with `arguments`, and holds what the real one is given and answers against what went in.
#[track_caller]
fn passes(arguments: &[&str], message: &[u8]) {
    let scratch = scratch("echo out; echo err >&2; exit 67");
    let ended = scratch.run(&["sendmail"]).with(arguments).input(message).go();
    ended.ends_with(67);
    same(&ended.stdout, b"out\n");
    same(ended.stderr.as_bytes(), b"err\n");
    assert_eq!(scratch.calls(), [arguments.to_vec()]);
    same(&scratch.submitted(), message);
    assert_eq!(scratch.mail(), b"");
}

const VACATION: &[u8] =
    b"X-Sieve: Pigeonhole Sieve\r\nMessage-ID: <v@a.test>\r\nFrom: <a@a.test>\r\nTo: <s@s.test>\r\n\
    Subject: away\r\nAuto-Submitted: auto-replied (vacation)\r\nPrecedence: bulk\r\n\r\nI am away.\r\n.\r\nstill\r\n";

#[test]
fn everything_else_reaches_the_real_sendmail_as_it_came() {
    let redirected = redirected(&user(), ORDINARY);
    let reject = b"X-Sieve: Pigeonhole Sieve\r\nAuto-Submitted: auto-replied (rejected)\r\n\
        Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n\
        X-Sieve-Redirected-From: a@a.test\r\nSubject: x\r\n\r\n--x--\r\n";
    let pigeonhole: &[&str] = &["-i", "-f", "<>", "--", "s@s.test"];
    passes(pigeonhole, VACATION);
    passes(pigeonhole, reject);
    passes(pigeonhole, b"");
    passes(pigeonhole, &large(3 << 20));
    passes(&["-i", "-f", "a@a.test", "--", "s@s.test"], b"\0\xff no header\n.\n");
    for arguments in [
        &["-t"][..],
        &["-t", "-oi", "-f", "a@a.test"],
        &["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"],
        &["-bs"],
        &["-bp"],
        &["-q"],
        &["-n", "b@b.test"],
        &["-v", "b@b.test"],
        &["-h", "3", "b@b.test"],
        &["--config", "x"],
        &["--help", "b@b.test"],
        &["--no-such-option", "-Z"],
        &["-i", "-f", "s@s.test", "-N", "never", "--", "b@b.test"],
        &["-i", "-f", "s@s.test", "b@b.test"],
        &["b@b.test"],
    ] {
        passes(arguments, &redirected);
    }
}

#[test]
fn a_field_from_further_down_makes_no_redirect() {
    let resent = [b"Received: from b.test by a.test\n", &redirected(&user(), ORDINARY)[..]].concat();
    passes(&["-i", "-f", "a@a.test", "--", "c@c.test"], &resent);
}

const CALL: [&str; 6] = ["sendmail", "-i", "-f", "s@s.test", "--", "b@b.test"];

#[test]
fn a_redirect_of_a_user_without_a_uid_is_not_touched() {
    // What would be kept for another user would lie in the mailbox of whoever owns the uid.
    let scratch = scratch("exit 0").set("mailbox.location", "\"maildir:~/Maildir\"");
    let message = redirected("somebody.else@a.test", ORDINARY);
    scratch.run(&CALL).input(&message).go().ends_with(0);
    assert_eq!(scratch.calls(), [&CALL[1..]]);
    same(&scratch.submitted(), &message);
    if is_root() {
        // A uid without a name and a home, as virtual users share one.
        fs::write(scratch.path("calls"), "").unwrap();
        for file in ["calls", "message"] {
            fs::set_permissions(scratch.path(file), fs::Permissions::from_mode(0o666)).unwrap();
        }
        scratch.open_to_all();
        scratch.run(&CALL).input(&message).uid(65_432).go().ends_with(0);
        assert_eq!(scratch.calls(), [&CALL[1..]]);
    }
}

#[test]
fn a_redirect_of_an_address_of_the_users_is_guarded() {
    let scratch = scratch("exit 0").set("addresses", "[\"first.last@a.test\"]");
    let message = redirected("First.Last@a.test", ORDINARY);
    scratch.run(&CALL).input(&message).go().succeeds();
    assert!(
        contains(&scratch.submitted(), b"X-Loop: "),
        "{}",
        shown(&scratch.submitted())
    );
}

#[test]
fn the_real_sendmail_ends_as_it_ends_and_has_the_callers_mask() {
    let mut scratch = Scratch::new();
    // Killed, it has said nothing of the message.
    for (end, status) in [("exit 67", 67), ("kill -KILL $$", 75)] {
        scratch.sendmail(&format!("umask; {end}"));
        for arguments in [&["-bs"][..], &["-i", "-f", "<>", "--", "s@s.test"]] {
            let run = scratch.run(&["sendmail"]).with(arguments).shell("umask 0137");
            let ended = run.input(VACATION).go();
            ended.ends_with(status);
            same(&ended.stdout, b"0137\n");
        }
    }
}

#[test]
fn nothing_goes_round() {
    let mut scratch = Scratch::new();
    let arguments = [&["-t"][..], &["-i", "-f", "<>", "--", "s@s.test"]];
    let round = |scratch: &Scratch| {
        for arguments in arguments {
            let run = scratch.run(&["sendmail"]).with(arguments).input(VACATION);
            run.go().defers().mentions("it leads back to spoolguard");
        }
        redirect(scratch, "s@s.test", ORDINARY).go().ends_with(75);
    };
    // It is itself, by another name.
    let link = scratch.path("real-sendmail");
    std::os::unix::fs::symlink(PROGRAM, &link).unwrap();
    scratch.change("forward.transport", &format!("{:?}", link.display().to_string()));
    round(&scratch);
    // It is a script that starts it again.
    let configuration = scratch.configuration().display().to_string();
    let script = scratch.script(
        "round",
        &format!("echo x >>\"$0.count\"\nexec '{PROGRAM}' --config '{configuration}' sendmail \"$@\""),
    );
    scratch.change("forward.transport", &format!("{:?}", script.display().to_string()));
    round(&scratch);
    let count = fs::read_to_string(scratch.path("round.count")).unwrap();
    assert_eq!(count.lines().count(), 3, "each run starts it once");
    assert_eq!(scratch.mail(), b"");
}

#[test]
fn what_cannot_be_handed_over_stays_with_the_mta() {
    let outbox = Scratch::new();
    let missing = Scratch::new().set("forward.transport", "\"/no/such/sendmail\"");
    let broken = Scratch::new().set("forward.transport", "7");
    for scratch in [outbox, missing, broken] {
        for arguments in [&["-t"][..], &["-i", "-f", "<>", "--", "s@s.test"]] {
            let run = scratch.run(&["sendmail"]).with(arguments).input(VACATION);
            run.go().defers();
        }
    }
}

#[test]
fn a_dry_run_leaves_the_message_with_the_mta() {
    let scratch = scratch("exit 0");
    let rehearsed = [VACATION.to_vec(), redirected(&user(), ORDINARY)];
    for message in rehearsed {
        let run = scratch.run(&["-n", "sendmail", "-i", "-f", "<>", "--", "b@b.test"]);
        run.input(&message).go().defers().mentions("dry run");
    }
    assert!(scratch.calls().is_empty());
}

#[test]
fn sieve_cannot_send_what_was_kept_round_an_lmtp_server() {
    let scratch = scratch("exit 0").set("mailbox.location", "\"lmtp:/no/such/socket\"");
    let kept = [b"X-Spoolguard-Kept: verdict=ordinary; why=\"x\"\n", ORDINARY].concat();
    let run = redirect(&scratch, "s@s.test", &kept);
    run.go().defers().mentions("Sieve redirects it once more");
    assert!(scratch.calls().is_empty());
}
