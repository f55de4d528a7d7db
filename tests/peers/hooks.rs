//! What an administrator copies from `contrib/`, in the programs that it is for: the message ends in the right place,
//! its bytes are as they came, and when spoolguard cannot do its work nothing is lost.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::contrib::{part, snippet};
use crate::letters::{field, split};
use crate::programs::dovecot_configuration;
use crate::scratch::{DOVECOT_LDA, Scratch};

/// A report from a mail system, with the envelope sender null.
const BOUNCE: &str = "Return-Path: <>\n\
Delivered-To: a@a.test\n\
Received: by mx.a.test; Sun, 22 Nov 2026 10:00:00 +0000\n\
From: MAILER-DAEMON@b.test (Mail Delivery System)\n\
To: a@a.test\n\
Subject: Undelivered Mail Returned to Sender\n\
MIME-Version: 1.0\n\
Content-Type: multipart/report; report-type=delivery-status; boundary=\"sep\"\n\
\n\
--sep\n\
Content-Type: text/plain\n\
\n\
No such user.\n\
--sep\n\
Content-Type: message/delivery-status\n\
\n\
Reporting-MTA: dns; b.test\n\
\n\
Final-Recipient: rfc822; b@b.test\n\
Action: failed\n\
Status: 5.1.1\n\
--sep--\n";

/// Mail from a person, who pretends to have passed our filter; with bytes that are not UTF-8, and a blank at a line's
/// end.
const ORDINARY: &[u8] = b"Return-Path: <s@s.test>\n\
Delivered-To: a@a.test\n\
Received: by mx.a.test; Sun, 22 Nov 2026 10:00:00 +0000\n\
From: s@s.test\n\
To: a@a.test\n\
X-Spoolguard-Verdict: bounce (failure)\n\
Subject:  two  blanks \n\
\ta folded line\n\
\n\
Gr\xfc\xdfe \n\
\n\
.\n\
end\n";

/// What makes every run end with 75.
const BROKEN: &str = "no_such_key = 1";

const VERDICT: &str = "X-Spoolguard-Verdict";

pub fn procmail_files_by_the_verdict_of_the_filter(scratch: &Scratch) {
    let rules = part(scratch, "procmailrc", "filter");
    procmail(scratch, &rules, "MAILER-DAEMON", BOUNCE.as_bytes(), 0);
    procmail(scratch, &rules, "s@s.test", ORDINARY, 0);
    assert_filed(scratch, &scratch.at_home("bounces"));
}

pub fn procmail_delivers_unfiltered_when_the_filter_fails(scratch: &Scratch) {
    scratch.configure(BROKEN);
    let rules = part(scratch, "procmailrc", "filter");
    procmail(scratch, &rules, "MAILER-DAEMON", BOUNCE.as_bytes(), 0);
    assert_eq!(only(scratch, &scratch.mailbox()), BOUNCE.as_bytes());
}

pub fn procmail_files_by_the_condition(scratch: &Scratch) {
    let rules = part(scratch, "procmailrc", "inspect");
    procmail(scratch, &rules, "MAILER-DAEMON", BOUNCE.as_bytes(), 0);
    procmail(scratch, &rules, "s@s.test", ORDINARY, 0);
    assert_eq!(only(scratch, &scratch.at_home("bounces")), BOUNCE.as_bytes());
    assert_eq!(only(scratch, &scratch.mailbox()), ORDINARY);
}

pub fn procmail_takes_a_condition_that_fails_for_untrue(scratch: &Scratch) {
    scratch.configure(BROKEN);
    let rules = part(scratch, "procmailrc", "inspect");
    procmail(scratch, &rules, "MAILER-DAEMON", BOUNCE.as_bytes(), 0);
    assert_eq!(only(scratch, &scratch.mailbox()), BOUNCE.as_bytes());
}

pub fn procmail_ends_with_0_when_the_message_is_sent_on(scratch: &Scratch) {
    let rules = part(scratch, "procmailrc", "forward");
    procmail(scratch, &rules, "s@s.test", ORDINARY, 0);
    let sent = outbox(scratch);
    assert_eq!(sent.len(), 1, "messages in the outbox");
    let text = String::from_utf8_lossy(&sent[0]);
    assert!(
        text.contains("bob@example.net") && text.contains("X-Loop: a@a.test\n"),
        "{text}"
    );
    // procmail ends what it pipes with an empty line.
    assert!(sent[0].ends_with(&[ORDINARY, b"\n"].concat()), "{text}");
    procmail(scratch, &rules, "MAILER-DAEMON", BOUNCE.as_bytes(), 0);
    assert_eq!(outbox(scratch).len(), 1, "a bounce was sent on");
    assert!(
        scratch
            .read(&scratch.admin())
            .contains("X-Spoolguard-Divert: verdict=bounce")
    );
    assert!(!scratch.mailbox().exists(), "{}", scratch.read(&scratch.mailbox()));
}

pub fn procmail_ends_with_75_when_the_guard_defers(scratch: &Scratch) {
    let rules = part(scratch, "procmailrc", "forward");
    scratch.configure(BROKEN);
    procmail(scratch, &rules, "s@s.test", ORDINARY, 75);
    scratch.configure("");
    // A mail system that can take nothing now.
    fs::write(scratch.outbox(), "").unwrap();
    procmail(scratch, &rules, "s@s.test", ORDINARY, 75);
    assert!(!scratch.mailbox().exists(), "{}", scratch.read(&scratch.mailbox()));
    // The mail system's next try.
    fs::remove_file(scratch.outbox()).unwrap();
    procmail(scratch, &rules, "s@s.test", ORDINARY, 0);
    assert_eq!(outbox(scratch).len(), 1, "messages in the outbox");
    assert!(!scratch.mailbox().exists(), "{}", scratch.read(&scratch.mailbox()));
}

pub fn the_whole_procmailrc_files_and_forwards(scratch: &Scratch) {
    let rules = snippet(scratch, "procmailrc");
    procmail(scratch, &rules, "MAILER-DAEMON", BOUNCE.as_bytes(), 0);
    procmail(scratch, &rules, "s@s.test", ORDINARY, 0);
    assert_eq!(split(&scratch.read(&scratch.at_home("bounces"))).len(), 1);
    assert_eq!(outbox(scratch).len(), 1, "messages in the outbox");
    assert!(!scratch.mailbox().exists(), "{}", scratch.read(&scratch.mailbox()));
}

pub fn maildrop_files_by_the_verdict_of_the_filter(scratch: &Scratch) {
    let rules = part(scratch, "maildroprc", "filter");
    maildrop(scratch, &rules, "", BOUNCE.as_bytes(), 0);
    maildrop(scratch, &rules, "s@s.test", ORDINARY, 0);
    assert_filed(scratch, &scratch.at_home("bounces"));
}

pub fn maildrop_ends_with_75_when_the_filter_fails(scratch: &Scratch) {
    scratch.configure(BROKEN);
    let rules = part(scratch, "maildroprc", "filter");
    maildrop(scratch, &rules, "", BOUNCE.as_bytes(), 75);
    for path in [scratch.mailbox(), scratch.at_home("bounces")] {
        assert_eq!(scratch.read(&path), "", "{}", path.display());
    }
    // The mail system's next try.
    scratch.configure("");
    maildrop(scratch, &rules, "", BOUNCE.as_bytes(), 0);
    assert_eq!(
        without_verdict(&only(scratch, &scratch.at_home("bounces"))),
        BOUNCE.as_bytes()
    );
}

pub fn maildrop_files_by_the_condition(scratch: &Scratch) {
    let rules = part(scratch, "maildroprc", "inspect");
    maildrop(scratch, &rules, "", BOUNCE.as_bytes(), 0);
    maildrop(scratch, &rules, "s@s.test", ORDINARY, 0);
    assert_eq!(only(scratch, &scratch.at_home("bounces")), BOUNCE.as_bytes());
    assert_eq!(only(scratch, &scratch.mailbox()), ORDINARY);
    scratch.configure(BROKEN);
    maildrop(scratch, &rules, "", BOUNCE.as_bytes(), 0);
    assert_eq!(
        split(&scratch.read(&scratch.mailbox())).len(),
        2,
        "letters, one of them unsorted"
    );
}

pub fn sieve_files_by_the_verdict_of_the_filter(scratch: &Scratch) {
    sieve(scratch, "filter.sieve", "", BOUNCE.as_bytes(), 0);
    sieve(scratch, "filter.sieve", "s@s.test", ORDINARY, 0);
    assert_filed(scratch, &scratch.at_home("folders/bounces"));
}

pub fn sieve_keeps_the_message_when_the_filter_fails(scratch: &Scratch) {
    scratch.configure(BROKEN);
    sieve(scratch, "filter.sieve", "", BOUNCE.as_bytes(), 0);
    assert_eq!(only(scratch, &scratch.mailbox()), BOUNCE.as_bytes());
}

pub fn sieve_files_by_the_condition(scratch: &Scratch) {
    sieve(scratch, "inspect.sieve", "", BOUNCE.as_bytes(), 0);
    sieve(scratch, "inspect.sieve", "s@s.test", ORDINARY, 0);
    assert_eq!(only(scratch, &scratch.at_home("folders/bounces")), BOUNCE.as_bytes());
    assert_eq!(only(scratch, &scratch.mailbox()), ORDINARY);
    scratch.configure(BROKEN);
    sieve(scratch, "inspect.sieve", "", BOUNCE.as_bytes(), 0);
    assert_eq!(
        split(&scratch.read(&scratch.mailbox())).len(),
        2,
        "letters, one of them unsorted"
    );
}

/// The bounce is in `bounces` and the ordinary message in the mailbox, each as it was sent, but for the verdict.
fn assert_filed(scratch: &Scratch, bounces: &Path) {
    let (bounce, ordinary) = (only(scratch, bounces), only(scratch, &scratch.mailbox()));
    let verdict = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text.matches(VERDICT).count(), 1, "{text}");
        field(&text, VERDICT).map(str::to_owned)
    };
    let found = verdict(&bounce).unwrap_or_default();
    assert!(found.starts_with("bounce") && found.contains("; marker="), "{found}");
    assert_eq!(verdict(&ordinary).as_deref(), Some("ordinary"));
    assert_eq!(shown(&without_verdict(&bounce)), shown(BOUNCE.as_bytes()));
    assert_eq!(shown(&without_verdict(&ordinary)), shown(&without_verdict(ORDINARY)));
}

/// Runs procmail as a mail system does: with a separator line in front, and an rc file that procmail takes for the
/// user's.
fn procmail(scratch: &Scratch, rules: &str, sender: &str, message: &[u8], wants: i32) {
    let mailbox = scratch.mailbox().display().to_string();
    // The user's mailbox is in this place, not in /var/mail; everything else is the snippet's.
    let rules = format!(
        "ORGMAIL={mailbox}\nDEFAULT={mailbox}\nLOGFILE={}\n{rules}",
        scratch.at_home("log").display()
    );
    let path = scratch.write_at_home(".procmailrc", &rules);
    let separator = format!("From {sender}  Sun Nov 22 10:00:00 2026\n");
    let output = scratch.feed(
        scratch.command("procmail").arg("-t").arg(path),
        &[separator.as_bytes(), message].concat(),
    );
    assert_status(&output, wants, &scratch.read(&scratch.at_home("log")));
}

/// Runs maildrop as a mail system does.
fn maildrop(scratch: &Scratch, rules: &str, sender: &str, message: &[u8], wants: i32) {
    let rules = format!("DEFAULT=\"{}\"\n{rules}", scratch.mailbox().display());
    let path = scratch.write_at_home(".mailfilter", &rules);
    let mut command = scratch.command("maildrop");
    let output = scratch.feed(command.args(["-f", sender]).arg(path), message);
    assert_status(&output, wants, "");
}

/// Runs dovecot-lda with a Sieve script, as a mail system does.
fn sieve(scratch: &Scratch, script: &str, sender: &str, message: &[u8], wants: i32) {
    let script = scratch.write_at_home("script.sieve", &snippet(scratch, &format!("sieve/{script}")));
    let settings = format!(
        "plugin {{\n  sieve = {}\n}}\n{}",
        script.display(),
        snippet(scratch, "sieve/dovecot.conf")
    );
    let configuration = scratch.write_at_home("dovecot.conf", &dovecot_configuration(scratch, &settings));
    let mut command = scratch.command(DOVECOT_LDA);
    command
        .arg("-c")
        .arg(configuration)
        .args(["-f", sender, "-a", "a@a.test"]);
    assert_status(&scratch.feed(&mut command, message), wants, "");
}

fn assert_status(output: &Output, wants: i32, log: &str) {
    assert_eq!(output.status.code(), Some(wants), "{}{log}", shown(&output.stderr));
}

/// The only letter of an mbox as it was sent: without its separator line and what Dovecot notes in the header.
fn only(scratch: &Scratch, path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}; {:?}", path.display(), scratch.home()));
    assert!(bytes.starts_with(b"From "), "{}", shown(&bytes));
    let letters = bytes.windows(7).filter(|window| window == b"\n\nFrom ").count() + 1;
    assert_eq!(letters, 1, "letters in {}: {}", path.display(), shown(&bytes));
    let start = bytes.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1);
    let bytes = without(
        &bytes[start..],
        &["X-UID", "Status", "X-Keywords", "Content-Length", "X-IMAPbase"],
    );
    bytes.strip_suffix(b"\n").unwrap_or(&bytes).to_vec()
}

fn without_verdict(bytes: &[u8]) -> Vec<u8> {
    without(bytes, &[VERDICT])
}

/// A message without header lines of these names.
fn without(bytes: &[u8], names: &[&str]) -> Vec<u8> {
    let mut in_header = true;
    let mut kept = Vec::new();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        in_header &= line != b"\n";
        let named = |name: &&str| line.starts_with(name.as_bytes()) && line.get(name.len()) == Some(&b':');
        if !in_header || !names.iter().any(named) {
            kept.extend_from_slice(line);
        }
    }
    kept
}

/// What was sent on.
fn outbox(scratch: &Scratch) -> Vec<Vec<u8>> {
    let dir = fs::read_dir(scratch.outbox().join("new"));
    let files = dir
        .into_iter()
        .flatten()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.collect()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
