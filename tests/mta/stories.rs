//! The stories: who forwards to whom, what goes wrong, and how it must end.
//!
//! Each is told once without a guard, where it loops, and once for each way to hang
//! the guard in. The host names say who lives there: a at a.test, b at b.test.

use std::fs;
use std::time::Duration;

use crate::alias;
use crate::desk;
use crate::owners;
use crate::package;
use crate::queue_cost;
use crate::rcpt;
use crate::stage::{GUARD, Hook, Stage};
use crate::tokens;
use crate::virtual_users;

/// One story.
pub struct Story {
    /// A short name, unique.
    pub name: &'static str,
    /// What happens in it.
    pub title: &'static str,
    /// The ways it is told.
    pub hooks: &'static [Hook],
    /// The guard appends in it, and does not forward.
    pub delivers: bool,
    /// The mail systems it is told on; empty for all.
    pub only: &'static [&'static str],
    /// Plays and checks it.
    pub play: fn(&mut Stage),
}

use Hook::{Command, DotForward, Plain, Recipe};

const EVERY: &[Hook] = &[Plain, Recipe, DotForward, Command];
const GUARDED: &[Hook] = &[Recipe, DotForward, Command];
const POSTFIX: &[&str] = &["postfix"];

/// All stories.
pub const STORIES: &[Story] = &[
    Story {
        name: "S0",
        title: "nothing is wrong: five letters reach b",
        hooks: EVERY,
        delivers: false,
        only: &[],
        play: nothing_is_wrong,
    },
    Story {
        name: "S1",
        title: "b is refused with 550 at RCPT",
        hooks: EVERY,
        delivers: false,
        only: &[],
        play: b_is_refused,
    },
    Story {
        name: "S1-local",
        title: "b is unknown at a's own domain",
        hooks: EVERY,
        delivers: false,
        only: &[],
        play: b_is_unknown_here,
    },
    Story {
        name: "S1-mbox",
        title: "S1, and the admin is an mbox",
        hooks: GUARDED,
        delivers: false,
        only: POSTFIX,
        play: admin_is_a_file,
    },
    Story {
        name: "S1-keep",
        title: "S1, and a keeps a copy",
        hooks: GUARDED,
        delivers: false,
        only: &[],
        play: copy_is_kept,
    },
    Story {
        name: "S1-two",
        title: "a forwards to b, who is refused, and to c",
        hooks: GUARDED,
        delivers: false,
        only: &[],
        play: one_of_two_is_refused,
    },
    Story {
        name: "S1-two-local",
        title: "the same, and b is unknown at a's own domain",
        hooks: GUARDED,
        delivers: false,
        only: &[],
        play: one_of_two_is_unknown_here,
    },
    Story {
        name: "S3",
        title: "a and b forward to each other",
        hooks: EVERY,
        delivers: false,
        only: &[],
        play: each_other,
    },
    Story {
        name: "S3-one",
        title: "S3, and b has no guard",
        hooks: &[Recipe, DotForward, Command],
        delivers: false,
        only: &[],
        play: each_other_one_guard,
    },
    Story {
        name: "S4",
        title: "a forwards to itself",
        hooks: EVERY,
        delivers: false,
        only: POSTFIX,
        play: to_itself,
    },
    Story {
        name: "S5",
        title: "a ring of three",
        hooks: EVERY,
        delivers: false,
        only: POSTFIX,
        play: ring,
    },
    Story {
        name: "S5-one",
        title: "S5, and only a has a guard",
        hooks: GUARDED,
        delivers: false,
        only: POSTFIX,
        play: ring_one_guard,
    },
    Story {
        name: "S7",
        title: "two naive autoresponders",
        hooks: &[Plain, Recipe, DotForward, Command],
        delivers: false,
        only: POSTFIX,
        play: autoresponders,
    },
    Story {
        name: "S7-filter",
        title: "S7, and a answers by the verdict of the filter",
        hooks: &[Recipe],
        delivers: false,
        only: POSTFIX,
        play: answers_by_verdict,
    },
    Story {
        name: "S8",
        title: "S1, and the admin forwards back to a",
        hooks: EVERY,
        delivers: false,
        only: &[],
        play: admin_forwards_back,
    },
    Story {
        name: "S8-guard",
        title: "S8, and the admin has a guard too",
        hooks: GUARDED,
        delivers: false,
        only: &[],
        play: admin_forwards_back_guarded,
    },
    Story {
        name: "S9",
        title: "S1, and the admin is dead",
        hooks: EVERY,
        delivers: false,
        only: &[],
        play: admin_is_dead,
    },
    Story {
        name: "S10",
        title: "200 letters to b, who is dead, and then comes back",
        hooks: &[Plain, DotForward],
        delivers: false,
        only: &[],
        play: dies_and_comes_back,
    },
    Story {
        name: "S10-hooks",
        title: "S10, from a procmailrc and as a delivery command",
        hooks: &[Recipe, Command],
        delivers: false,
        only: &[],
        play: dies_and_comes_back,
    },
    Story {
        name: "S10-xloop",
        title: "S10, with the X-Loop recipe of procmailex",
        hooks: &[Plain],
        delivers: false,
        only: POSTFIX,
        play: dies_behind_x_loop,
    },
    Story {
        name: "defer",
        title: "bad configuration: queued, then delivered once",
        hooks: GUARDED,
        delivers: false,
        only: &[],
        play: defers,
    },
    Story {
        name: "locked",
        title: "the mailbox is locked: queued until it is free",
        hooks: GUARDED,
        delivers: true,
        only: &[],
        play: locked_defers,
    },
    Story {
        name: "quota-defer",
        title: "over quota: queued until there is room",
        hooks: GUARDED,
        delivers: true,
        only: &[],
        play: over_quota_defers,
    },
    Story {
        name: "quota-refuse",
        title: "over quota: refused, and the sender is told",
        hooks: GUARDED,
        delivers: true,
        only: &[],
        play: over_quota_refuses,
    },
    Story {
        name: "first",
        title: "no mailbox yet: queued until there is one",
        hooks: GUARDED,
        delivers: true,
        only: &[],
        play: first_mailbox,
    },
    Story {
        name: "S1-srs",
        title: "S1 with SRS: the sender has the report, once",
        hooks: GUARDED,
        delivers: false,
        only: &[],
        play: sender_has_the_report,
    },
    Story {
        name: "senders-self",
        title: "200 letters to b, who is dead, with sender = self",
        hooks: &[DotForward],
        delivers: false,
        only: POSTFIX,
        play: |stage| dies_with_sender(stage, "self"),
    },
    Story {
        name: "senders-verp",
        title: "the same with sender = verp",
        hooks: &[DotForward],
        delivers: false,
        only: POSTFIX,
        play: |stage| dies_with_sender(stage, "verp"),
    },
    Story {
        name: "senders-srs",
        title: "the same with sender = srs",
        hooks: &[DotForward],
        delivers: false,
        only: POSTFIX,
        play: |stage| dies_with_sender(stage, "srs"),
    },
    Story {
        name: "alias",
        title: "guarded aliases to b, who is dead, and then comes back",
        hooks: &[DotForward],
        delivers: false,
        only: &[],
        play: alias::play,
    },
    Story {
        name: "alias-verp",
        title: "a guarded alias to b, who is dead, with sender = verp",
        hooks: &[DotForward],
        delivers: false,
        only: POSTFIX,
        play: |stage| alias::play_with_sender(stage, "verp"),
    },
    Story {
        name: "alias-srs",
        title: "the same with sender = srs",
        hooks: &[DotForward],
        delivers: false,
        only: POSTFIX,
        play: |stage| alias::play_with_sender(stage, "srs"),
    },
    Story {
        name: "desk-self",
        title: "desks of each kind answer, with sender = self",
        hooks: &[DotForward],
        delivers: false,
        only: &[],
        play: |stage| desk::each_kind(stage, "self"),
    },
    Story {
        name: "desk-original",
        title: "desks of each kind answer, with sender = original",
        hooks: &[DotForward],
        delivers: false,
        only: &[],
        play: |stage| desk::each_kind(stage, "original"),
    },
    Story {
        name: "desk-verp",
        title: "desks of each kind answer, with sender = verp",
        hooks: &[DotForward],
        delivers: false,
        only: &[],
        play: |stage| desk::each_kind(stage, "verp"),
    },
    Story {
        name: "desk-srs",
        title: "desks of each kind answer, with sender = srs",
        hooks: &[DotForward],
        delivers: false,
        only: POSTFIX,
        play: |stage| desk::each_kind(stage, "srs"),
    },
    Story {
        name: "desk-facing",
        title: "two desks answer each other through two guards",
        hooks: &[DotForward],
        delivers: false,
        only: &[],
        play: desk::facing,
    },
    Story {
        name: "desk-facing-one",
        title: "the same, and one of them has a guard",
        hooks: &[DotForward],
        delivers: false,
        only: &[],
        play: desk::facing_one_guard,
    },
    Story {
        name: "owners",
        title: "own bounces, the null sender, kept and sent on",
        hooks: &[DotForward],
        delivers: false,
        only: &[],
        play: owners::play,
    },
    Story {
        name: "verp-home",
        title: "senders with a token, once a test came home",
        hooks: &[DotForward],
        delivers: false,
        only: &[],
        play: tokens::play,
    },
    Story {
        name: "verp-ignored",
        title: "the same, and no user's sender is believed",
        hooks: &[DotForward],
        delivers: false,
        only: &["exim"],
        play: tokens::play_ignored,
    },
    Story {
        name: "rcpt-full",
        title: "a full mailbox is refused at RCPT, and nobody gets a bounce",
        hooks: &[DotForward],
        delivers: true,
        only: &["postfix", "exim", "opensmtpd"],
        play: rcpt::play,
    },
    Story {
        name: "rcpt-full-run",
        title: "the same, with a program for each recipient",
        hooks: &[DotForward],
        delivers: true,
        only: &["exim"],
        play: rcpt::play_run,
    },
    Story {
        name: "home_mailbox",
        title: "what a letter costs from the queue into a Maildir",
        hooks: &[Command],
        delivers: true,
        only: &["postfix"],
        play: queue_cost::play,
    },
    Story {
        name: "virtual",
        title: "virtual users: mailboxes with the names of addresses",
        hooks: &[Command],
        delivers: true,
        only: &["postfix", "exim", "opensmtpd"],
        play: virtual_users::play,
    },
    Story {
        name: package::NAME,
        title: "S1 with the Debian package: installed, upgraded, purged",
        hooks: &[DotForward],
        delivers: false,
        only: POSTFIX,
        play: package::play,
    },
];

/// Stories that are told only when a filter names them: they take minutes, and the others have all that is in them.
pub const BY_NAME: &[&str] = &["S10-hooks", "home_mailbox"];

/// The sender and a, with the administrator at a's host.
pub fn a_and_s(stage: &mut Stage) {
    stage.host("a.test", &["a", "admin"]);
    stage.host("s.test", &["s"]);
}

fn nothing_is_wrong(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &["b"]);
    stage.forward("a.test", "a", "b@b.test");
    stage.start();
    for _ in 0..5 {
        stage.send("s.test", "s@s.test", "a@a.test");
    }
    stage.settle();
    stage.expect_rest(0);
    stage.expect_mail("b@b.test", 5);
    stage.expect_mail("a@a.test", 0);
    stage.expect_mail("s@s.test", 0);
}

/// The administrator has the report, and a the letter that it brought back.
fn one_report_and_the_letter(stage: &mut Stage) {
    if stage.is_plain() {
        stage.expect_loop();
        return;
    }
    stage.expect_rest(1);
    stage.expect_mail("a@a.test", 1);
    stage.expect_mail("s@s.test", 0);
}

pub fn b_is_refused(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &[]);
    stage.forward("a.test", "a", "b@b.test");
    stage.start();
    stage.letter();
    one_report_and_the_letter(stage);
}

/// a forwards to b, who is dead, with extensions and the aliases for SRS.
fn forward_with_sender(stage: &mut Stage, sender: &str) {
    a_and_s(stage);
    stage.host("b.test", &[]);
    stage.forward("a.test", "a", "b@b.test");
    let host = stage.lab.at_mut("a.test");
    let text = format!("admin = \"admin@a.test\"\n[forward]\nsender = \"{sender}\"\n");
    host.write("etc/spoolguard.toml", &text);
    host.write("etc/spoolguard.secret", "testsecret\n");
    for alias in ["srs0", "srs1"] {
        host.aliases.insert(alias.to_owned(), format!("{GUARD} return"));
    }
    stage.start();
}

fn sender_has_the_report(stage: &mut Stage) {
    forward_with_sender(stage, "srs");
    stage.letter();
    // The user's guard has a copy of it, and with that the letter.
    stage.expect_rest(1);
    stage.expect_mail("s@s.test", 1);
    stage.expect_mail("a@a.test", 1);
    let told = stage.mail("s.test", "s");
    stage.check(told.contains("b@b.test"), "the report names the destination");
    let status = stage.lab.at("a.test").run_as("a", &[GUARD, "status"], b"");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    stage.check(status.contains("b@b.test"), &format!("the failure is known: {status}"));
}

fn dies_with_sender(stage: &mut Stage, sender: &str) {
    forward_with_sender(stage, sender);
    for _ in 0..20 {
        for _ in 0..10 {
            stage.send("s.test", "s@s.test", "a@a.test");
        }
        stage.settle_many(2000, Duration::from_secs(60));
    }
    let (told, kept) = (stage.mailbox("s.test", "s"), stage.mailbox("a.test", "a"));
    let (refused, reports) = (stage.lab.log().matches("NOQUEUE: reject").count(), stage.reports());
    stage.count(format!(
        "sender = {sender}, 200 letters: {refused} refused at b, {told} reports to the sender, {reports} to the administrator, a has {kept}"
    ));
    let most = if sender == "srs" { 60 } else { 0 };
    stage.check(
        told <= most,
        &format!("b is suspended soon: the sender has {told} reports"),
    );
    stage.check(kept >= 200, &format!("every letter is in the mailbox: {kept}"));
    let measured = stage.measure();
    stage.check(measured.ended, "it ends by itself");
    stage.check_equal("messages in the queues", measured.queue, 0);
    stage.check_equal("messages lost", measured.lost.len(), 0);
}

fn b_is_unknown_here(stage: &mut Stage) {
    a_and_s(stage);
    stage.forward("a.test", "a", "b@a.test");
    stage.start();
    stage.letter();
    if !stage.is_plain() && ["opensmtpd", "sendmail"].contains(&stage.system()) {
        // Refused when it is submitted: there is no report, and a keeps the letter.
        stage.expect_rest(0);
        stage.expect_mail("a@a.test", 1);
        stage.expect_mail("s@s.test", 0);
    } else {
        one_report_and_the_letter(stage);
    }
}

fn copy_is_kept(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &[]);
    stage.forward("a.test", "a", "b@b.test --keep");
    stage.start();
    stage.letter();
    stage.expect_rest(1);
    // The letter, but not the report of it.
    stage.expect_mail("a@a.test", 1);
    stage.expect_mail("s@s.test", 0);
}

fn one_of_two_is_refused(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &[]);
    stage.host("c.test", &["c"]);
    stage.forward("a.test", "a", "b@b.test c@c.test");
    stage.start();
    stage.letter();
    stage.expect_rest(1);
    stage.expect_mail("c@c.test", 1);
    // It came back from b, and a has it.
    stage.expect_mail("a@a.test", 1);
    stage.expect_mail("s@s.test", 0);
}

fn one_of_two_is_unknown_here(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("c.test", &["c"]);
    stage.forward("a.test", "a", "b@a.test c@c.test");
    stage.start();
    stage.letter();
    // Whether b is refused when the letter is submitted or reported later, c has it
    // once, and it is kept for b's part: at a, or in a report.
    let reports = stage.reports();
    let kept = stage.mailbox("a.test", "a");
    stage.expect_rest(reports);
    stage.check_equal("kept at a or reported to the administrator", (reports + kept).min(1), 1);
    stage.expect_mail("c@c.test", 1);
    stage.expect_mail("s@s.test", 0);
}

fn admin_is_a_file(stage: &mut Stage) {
    let path = "/var/reports/admin";
    a_and_s(stage);
    stage.host("b.test", &[]);
    let host = stage.lab.at("a.test");
    host.write("etc/spoolguard.toml", &format!("admin = \"{path}\"\n"));
    host.mbox_for("a", path);
    stage.count_reports_in("a.test", path.trim_start_matches('/'));
    stage.forward("a.test", "a", "b@b.test");
    stage.start();
    stage.letter();
    one_report_and_the_letter(stage);
    stage.expect_mail("admin@a.test", 0);
}

/// Where forwards lead round, the guard or the mail system ends it, whoever sees it first: the letter is in a mailbox
/// of the circle or in a report, and the administrator gets few.
fn ends_and_loses_nothing(stage: &mut Stage, circle: &[(&str, &str)]) {
    const MOST_REPORTS: usize = 3;
    if stage.is_plain() {
        stage.expect_loop();
        return;
    }
    let reports = stage.reports();
    let kept: usize = circle.iter().map(|(host, user)| stage.mailbox(host, user)).sum();
    stage.expect_rest(reports);
    stage.check_equal("reports, at most three", reports.min(MOST_REPORTS), reports);
    stage.check_equal("the letter is kept or reported", (reports + kept).min(1), 1);
}

pub fn each_other(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &["b"]);
    stage.forward("a.test", "a", "b@b.test");
    stage.forward("b.test", "b", "a@a.test");
    stage.start();
    stage.letter();
    ends_and_loses_nothing(stage, &[("a.test", "a"), ("b.test", "b")]);
}

fn each_other_one_guard(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &["b"]);
    stage.forward("a.test", "a", "b@b.test");
    stage.forward_plainly("b.test", "b", "a@a.test");
    stage.start();
    stage.letter();
    if stage.system() == "opensmtpd" {
        // It sees the loop itself, and tells the writer, whom b's forward has kept as the sender.
        stage.expect_rest(0);
        stage.expect_mail("a@a.test", 0);
        stage.expect_mail("s@s.test", 1);
    } else {
        ends_and_loses_nothing(stage, &[("a.test", "a")]);
    }
}

fn to_itself(stage: &mut Stage) {
    a_and_s(stage);
    stage.forward("a.test", "a", "a@a.test");
    stage.start();
    stage.letter();
    if stage.is_plain() {
        stage.expect_loop();
    } else {
        // The guard knows its user's address, and does not even begin.
        stage.expect_rest(0);
        stage.expect_mail("a@a.test", 1);
        stage.expect_mail("s@s.test", 0);
    }
}

fn ring(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &["b"]);
    stage.host("c.test", &["c"]);
    stage.forward("a.test", "a", "b@b.test");
    stage.forward("b.test", "b", "c@c.test");
    stage.forward("c.test", "c", "a@a.test");
    stage.start();
    stage.letter();
    ends_and_loses_nothing(stage, &[("a.test", "a"), ("b.test", "b"), ("c.test", "c")]);
}

fn ring_one_guard(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &["b"]);
    stage.host("c.test", &["c"]);
    stage.forward("a.test", "a", "b@b.test");
    stage.forward_plainly("b.test", "b", "c@c.test");
    stage.forward_plainly("c.test", "c", "a@a.test");
    stage.start();
    stage.letter();
    ends_and_loses_nothing(stage, &[("a.test", "a")]);
}

/// Answers everything, and keeps a copy.
const NAIVE: &str = ":0 c\n| formail -rt -I \"From: %ME%\" | /usr/sbin/sendmail -oi -t\n";

/// b writes to a once. a's answers come from an address of its own that the guard
/// hands the mail to, as where a ticket system stands behind a user's address.
fn autoresponders(stage: &mut Stage) {
    stage.host("a.test", &["a", "admin", "auto"]);
    stage.host("b.test", &["b"]);
    let naive = |me: &str| NAIVE.replace("%ME%", me);
    stage.recipes("b.test", "b", &naive("b@b.test"));
    if stage.is_plain() {
        stage.recipes("a.test", "a", &naive("a@a.test"));
    } else {
        stage.forward("a.test", "a", "auto@a.test");
        stage.recipes("a.test", "auto", &naive("a@a.test"));
    }
    stage.start();
    stage.send("b.test", "b@b.test", "a@a.test");
    stage.settle();
    if stage.is_plain() {
        stage.expect_loop();
    } else {
        // b's letter is answered once; b's answer to that comes back with a's mark.
        stage.expect_rest(1);
        stage.expect_mail("auto@a.test", 1);
        stage.expect_mail("b@b.test", 1);
    }
}

/// Answers what a person wrote, with our own mark on the answer.
const BY_VERDICT: &str = "\
:0 fw
| /usr/bin/spoolguard filter

:0
* ^X-Spoolguard-Verdict: (loop|bounce|auto-reply)
$DEFAULT

:0 c
| formail -rt -I \"From: a@a.test\" -A \"X-Loop: a@a.test\" | /usr/sbin/sendmail -oi -t
";

fn answers_by_verdict(stage: &mut Stage) {
    stage.host("a.test", &["a", "admin"]);
    stage.host("b.test", &["b"]);
    stage.recipes("a.test", "a", BY_VERDICT);
    stage.recipes("b.test", "b", &NAIVE.replace("%ME%", "b@b.test"));
    stage.start();
    stage.send("b.test", "b@b.test", "a@a.test");
    stage.settle();
    // b's letter and b's answer to a's answer, which a leaves alone.
    stage.expect_rest(0);
    stage.expect_mail("a@a.test", 2);
    stage.expect_mail("b@b.test", 1);
}

/// Without a guard, the nearest thing: reports go to the administrator by `!`.
const DAEMON_TO_ADMIN: &str = ":0\n* ^FROM_DAEMON\n! admin@a.test\n\n:0\n! b@b.test\n";

fn admin_forwards_back(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &[]);
    if stage.is_plain() {
        stage.recipes("a.test", "a", DAEMON_TO_ADMIN);
    } else {
        stage.forward("a.test", "a", "b@b.test");
    }
    stage.forward_plainly("a.test", "admin", "a@a.test");
    stage.start();
    stage.letter();
    if stage.is_plain() {
        stage.expect_loop();
        return;
    }
    stage.expect_rest(0);
    if stage.system() == "opensmtpd" {
        // It takes the report for a loop before the guard sees it, and drops it; what
        // the guard holds is all there is.
        stage.expect_held(1);
        stage.expect_mail("a@a.test", 1);
    } else {
        // The letter that it brought back, and the report, which comes back with our mark on it and is kept.
        stage.expect_mail("a@a.test", 2);
    }
}

fn admin_forwards_back_guarded(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &[]);
    stage.forward("a.test", "a", "b@b.test");
    stage.forward("a.test", "admin", "a@a.test");
    stage.start();
    stage.letter();
    // The administrator's own guard sees the mark, and keeps the report; a has the letter.
    stage.expect_rest(1);
    stage.expect_mail("a@a.test", 1);
}

fn admin_is_dead(stage: &mut Stage) {
    stage.host("a.test", &["a"]);
    stage.host("s.test", &["s"]);
    stage.host("b.test", &[]);
    if stage.is_plain() {
        stage.recipes("a.test", "a", DAEMON_TO_ADMIN);
    } else {
        stage.forward("a.test", "a", "b@b.test");
    }
    stage.start();
    stage.letter();
    if stage.is_plain() {
        stage.expect_loop();
        return;
    }
    match stage.system() {
        // Refused when it is submitted, so a keeps the report beside the letter that it brought back.
        "opensmtpd" | "sendmail" => {
            stage.expect_rest(0);
            stage.expect_mail("a@a.test", 2);
        }
        // Frozen: it lies in the queue, where nothing tries it again, and postmaster is told.
        "exim" => {
            stage.expect_rest_with_queue(0, 1);
            stage.expect_held(1);
            stage.expect_mail("a@a.test", 1);
        }
        // Thrown away: what the guard holds is all there is.
        _ => {
            stage.expect_rest(0);
            stage.expect_held(1);
            stage.expect_mail("a@a.test", 1);
        }
    }
}

/// How many letters are written to a while b is dead.
pub const MANY: usize = 200;

/// How long those may take to come to rest.
pub const CALM: Duration = Duration::from_secs(40);

/// Keeps a copy, and sends on what has not been here before, as procmailex(5) prints it.
const X_LOOP: &str = "\
:0 c
* !^X-Loop: a@a.test
| formail -A \"X-Loop: a@a.test\" | /usr/sbin/sendmail -oi b@b.test
";

fn dies_behind_x_loop(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &[]);
    stage.recipes("a.test", "a", X_LOOP);
    stage.start();
    drown(stage);
}

/// The many letters without a guard: no end is waited for.
fn drown(stage: &mut Stage) {
    // Where it loops, there is no end to wait for; where it does not, a few letters show that as well.
    let (letters, deadline) = if stage.loops() {
        (MANY, Duration::from_secs(15))
    } else {
        (MANY / 10, CALM)
    };
    for _ in 0..letters {
        stage.send("s.test", "s@s.test", "a@a.test");
    }
    stage.settle_many(20 * MANY, deadline);
    let attempts = stage.lab.attempts();
    let (readable, _) = readable(stage);
    let mail = stage.mail("a.test", "a");
    let messages = stage.mailbox("a.test", "a");
    stage.count(format!(
        "{letters} letters, {attempts} deliveries, {messages} messages of {} bytes at a, {readable} letters readable",
        mail.len()
    ));
    stage.expect_loop();
}

/// How many of the many letters are in a's mailbox, and which of them more than once.
pub fn readable(stage: &Stage) -> (usize, Vec<usize>) {
    let mail = stage.mail("a.test", "a");
    let times = |n: usize| mail.matches(&format!("The words of serial-{n:02},")).count();
    (
        (1..=MANY).filter(|n| times(*n) > 0).count(),
        (1..=MANY).filter(|n| times(*n) > 1).collect(),
    )
}

pub fn dies_and_comes_back(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &[]);
    stage.forward("a.test", "a", "b@b.test");
    // It opens no second connection to a host within five seconds, and reports are as late.
    let trial = if stage.system() == "opensmtpd" { 15 } else { 4 };
    let soon =
        format!("admin = \"admin@a.test\"\n[destinations]\nprobe = \"4s\"\nprobe_max = \"4s\"\nquiet = \"{trial}s\"\n");
    stage.configure("a.test", &soon);
    stage.start();
    if stage.is_plain() {
        drown(stage);
        return;
    }
    for number in 1..=MANY {
        stage.send("s.test", "s@s.test", "a@a.test");
        if number % 20 == 0 {
            stage.settle_many(20 * MANY, CALM);
        }
    }
    stage.settle_many(20 * MANY, CALM);
    let attempts = stage.lab.attempts();
    let (readable, twice) = readable(stage);
    let mail = stage.mail("a.test", "a");
    let (rescued, kept) = (
        mail.matches("\nX-Spoolguard-Rescued: ").count(),
        mail.matches("\nX-Spoolguard-Kept: ").count(),
    );
    stage.count(format!(
        "b dead: {MANY} letters, {attempts} deliveries, {readable} readable by a ({rescued} rescued, {kept} kept), {} at the admin",
        stage.reports()
    ));
    told_once(
        stage,
        "Your mail is no longer forwarded to b@b.test",
        "Forward of a to b@b.test is suspended",
    );
    stage.check_equal("letters that a can read", readable, MANY);
    stage.check_equal("letters that a has more than once", twice, Vec::new());
    // Three reports, or four and a probe or two; a notice; a digest at most.
    let reports = stage.reports();
    stage.check(reports <= 20, &format!("{reports} messages at the administrator"));
    // Each letter comes to a's host and to a; only the first few, and probes, go on to b and come back.
    stage.check(attempts <= 3 * MANY, &format!("{attempts} deliveries"));

    let host = stage.lab.at_mut("b.test");
    host.user("b");
    host.mailbox("b");
    let mut later = 0;
    while later < 40 && stage.mailbox("b.test", "b") < 3 {
        std::thread::sleep(Duration::from_secs(1));
        stage.send("s.test", "s@s.test", "a@a.test");
        stage.settle_many(20 * MANY, CALM);
        later += 1;
    }
    let arrived = stage.mailbox("b.test", "b");
    stage.count(format!(
        "b is back: {arrived} of {later} letters went to b, one a second"
    ));
    told_once(
        stage,
        "Your mail is forwarded to b@b.test again",
        "Forward of a to b@b.test is open again",
    );
    stage.check(arrived >= 3, &format!("{arrived} letters at b after {later} s"));
    let reports = stage.reports();
    stage.expect_rest(reports);
}

/// Checks that a and the administrator got one notice each with these subjects.
fn told_once(stage: &mut Stage, user: &str, admin: &str) {
    for (who, subject) in [("a", user), ("admin", admin)] {
        let notices = stage
            .mail("a.test", who)
            .matches(&format!("\nSubject: {subject}\n"))
            .count();
        stage.check_equal(&format!("notices \"{subject}\" at {who}"), notices, 1);
    }
}

/// What is queued stays there, and nobody has it yet.
pub fn expect_queued(stage: &mut Stage) {
    stage.check_equal("messages in the queue", stage.lab.queued(), 1);
    stage.expect_mail("s@s.test", 0);
}

fn defers(stage: &mut Stage) {
    a_and_s(stage);
    stage.host("b.test", &["b"]);
    stage.forward("a.test", "a", "b@b.test");
    let wrong = "admin = \"admin@a.test\"\nno_such_key = 1\n";
    stage.lab.at("a.test").write("etc/spoolguard.toml", wrong);
    stage.start();
    stage.letter();
    expect_queued(stage);
    stage.expect_mail("b@b.test", 0);
    let right = "admin = \"admin@a.test\"\n";
    stage.lab.at("a.test").write("etc/spoolguard.toml", right);
    stage.flush("a.test");
    stage.expect_rest(0);
    stage.expect_mail("b@b.test", 1);
    stage.expect_mail("a@a.test", 0);
    stage.expect_mail("s@s.test", 0);
}

fn locked_defers(stage: &mut Stage) {
    a_and_s(stage);
    stage.deliver("a.test", "a");
    let host = stage.lab.at("a.test");
    host.write(
        "etc/spoolguard.toml",
        "admin = \"admin@a.test\"\n[mailbox]\nlock_timeout = \"1s\"\n",
    );
    // Someone else's dotlock, just made.
    host.write("var/mail/a.lock", "0");
    let lock = host.root.join("var/mail/a.lock");
    stage.start();
    stage.letter();
    expect_queued(stage);
    stage.expect_mail("a@a.test", 0);
    stage.check(lock.exists(), "the lock is still there");
    fs::remove_file(&lock).unwrap();
    stage.flush("a.test");
    stage.expect_rest(0);
    stage.expect_mail("a@a.test", 1);
    stage.expect_mail("s@s.test", 0);
}

/// A mailbox with one old message of about this size.
fn full(size_bytes: usize) -> String {
    let line = "Old mail that was never fetched, as so much is that lies here.\n";
    format!(
        "From x@x.test  Mon Jan  1 00:00:00 2024\nFrom: x@x.test\nTo: a@a.test\nSubject: old\n\n{}\n",
        line.repeat(size_bytes / line.len())
    )
}

fn over_quota(stage: &mut Stage, over: &str) {
    a_and_s(stage);
    stage.deliver("a.test", "a");
    let host = stage.lab.at("a.test");
    host.write(
        "etc/spoolguard.toml",
        &format!("admin = \"admin@a.test\"\n[quota]\nlimit = \"1M\"\nwhen_full = \"{over}\"\n"),
    );
    host.fill_mailbox("a", &full(1_048_500));
    stage.start();
    stage.letter();
}

fn over_quota_defers(stage: &mut Stage) {
    over_quota(stage, "defer");
    expect_queued(stage);
    stage.expect_mail("a@a.test", 1);
    stage.lab.at("a.test").fill_mailbox("a", &full(1000));
    stage.flush("a.test");
    stage.expect_rest(0);
    stage.expect_mail("a@a.test", 2);
    stage.expect_mail("s@s.test", 0);
}

fn over_quota_refuses(stage: &mut Stage) {
    over_quota(stage, "refuse");
    stage.expect_rest(0);
    stage.expect_mail("a@a.test", 1);
    stage.expect_mail("s@s.test", 1);
    let report = fs::read_to_string(stage.lab.at("s.test").mailbox_path("s")).unwrap_or_default();
    let told = match stage.system() {
        // Our status stands in the report's own fields.
        "postfix" => report.contains("\nStatus: 5.2.2\n"),
        // These have a status of their own; ours may stand in what the report quotes.
        _ => report.contains("a@a.test"),
    };
    stage.check(told, "the report at the sender says what happened");
}

fn first_mailbox(stage: &mut Stage) {
    a_and_s(stage);
    stage.deliver("a.test", "a");
    let mailbox = stage.lab.at("a.test").mailbox_path("a");
    fs::remove_file(&mailbox).unwrap();
    stage.start();
    stage.letter();
    // procmail, where it comes first, makes the mailbox as root before it reads any
    // recipe; and where everyone may write in the spool, or root starts it, the guard makes it.
    if mailbox.exists() {
        stage.lab.remark("the mailbox has been made");
    } else {
        expect_queued(stage);
        let log = stage.lab.log();
        let sentence = "spoolguard: cannot create mailbox /var/mail/a: permission denied; create it";
        stage.check(
            stage.system() == "exim" || log.contains(sentence),
            "the mail system's log says what cannot be made, and the way out",
        );
        stage.lab.at("a.test").mailbox("a");
        stage.flush("a.test");
    }
    stage.expect_rest(0);
    stage.expect_mail("a@a.test", 1);
    stage.expect_mail("s@s.test", 0);
}
