//! Ticket desks and gateways behind a guard: whatever they answer, and however, each story ends within three answers.
//!
//! One scene has a user for each kind of desk, so that all kinds are told on every mail system in the time of one.

use std::fs;
use std::time::Duration;

use crate::host::{files_below, holds, read_text};
use crate::stage::{GUARD, Stage};

/// As many answers go on to a desk, and no more.
const ANSWERS: usize = 3;

/// The same of somebody who wrote before without any forward, and whose answers are like nothing else: ten, and thirty
/// where a turn takes less than two seconds, since mail systems hand over bursts so (`pace.rs`).
const OF_KNOWN: usize = 30;

/// The responder, which is installed beside the guard.
const DESK: &str = "usr/bin/desk";

/// The kinds of desk that answer whoever the guard says has sent the message, and those that answer all the same.
const KINDS: [&str; 9] = [
    "from", "sender", "bare", "anon", "far", "null", "listed", "twice", "gate",
];

/// How many deliveries the desks of one scene may make in all, and for how long. Here a story stops that does not end.
const MOST: (usize, Duration) = (700, Duration::from_secs(60));

/// A user's mail goes to a desk at another host.
fn open_desk(stage: &mut Stage, kind: &str, desk: (&str, &str), public: &str) {
    let (user, host) = desk;
    let script = include_str!("desk.sh");
    let host = stage.lab.at(host);
    let path = host.root.join(DESK);
    host.write(DESK, script);
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let line = format!("\"|/{DESK} {kind} {public} {user}@{}\"\n", host.peer.name);
    host.write_home(user, ".forward", &line);
}

/// A desk of each kind, and a person who writes to each.
pub fn each_kind(stage: &mut Stage, sender: &str) {
    let mut users: Vec<&str> = KINDS.to_vec();
    stage.host("b.test", &users);
    users.push("admin");
    let host = stage.host("a.test", &users);
    host.write(
        "etc/spoolguard.toml",
        &format!("admin = \"admin@a.test\"\n[forward]\nsender = \"{sender}\"\n"),
    );
    host.write("etc/spoolguard.secret", "testsecret\n");
    for alias in ["srs0", "srs1"] {
        host.aliases.insert(alias.to_owned(), format!("{GUARD} return"));
    }
    stage.host("s.test", &["s"]);
    for kind in KINDS {
        stage.forward("a.test", kind, &format!("{kind}@b.test"));
        open_desk(stage, kind, (kind, "b.test"), &format!("{kind}@a.test"));
    }
    stage.start();
    let serials = KINDS.map(|kind| stage.send("s.test", "s@s.test", &format!("{kind}@a.test")));
    stage.settle_many(MOST.0, MOST.1);
    let mut figures = Vec::new();
    for (kind, serial) in KINDS.iter().zip(&serials) {
        let seen = seen(stage, ("b.test", kind));
        let wanted = format!("The words of {serial},");
        let arrived = seen.iter().filter(|text| holds(text, &wanted)).count();
        // A gateway sends the words back, and gets them no second time.
        stage.check(arrived >= 1, &format!("{kind}: the person's message arrives"));
        let answers = seen.len().saturating_sub(1);
        stage.check(answers <= ANSWERS, &format!("{kind}: {answers} answers went on"));
        figures.push(format!("{kind} {answers}"));
    }
    stage.count(format!(
        "sender = {sender}, answers that went on: {}",
        figures.join(", ")
    ));
    let reports = stage.reports();
    stage.expect_rest(reports);
}

/// What a desk has read.
fn seen(stage: &Stage, desk: (&str, &str)) -> Vec<Vec<u8>> {
    let home = stage.lab.at(desk.0).root.join("home").join(desk.1);
    let files = files_below(&home);
    let read = files.iter().filter(|path| path.ends_with("message"));
    read.map(|path| read_text(path)).collect()
}

/// A desk at either end, each behind a guard, answers for the address that everybody knows.
pub fn facing(stage: &mut Stage) {
    stage.host("a.test", &["a", "admin"]);
    stage.host("b.test", &["b"]);
    stage.host("s.test", &["s", "p"]);
    stage.host("d.test", &["d"]);
    stage.forward("a.test", "a", "b@b.test");
    stage.forward("s.test", "s", "d@d.test");
    open_desk(stage, "public", ("b", "b.test"), "a@a.test");
    open_desk(stage, "public", ("d", "d.test"), "s@s.test");
    stage.start();
    stage.send("s.test", "s@s.test", "a@a.test");
    stage.settle_many(MOST.0, MOST.1);
    let answers = [("b.test", "b"), ("d.test", "d")].map(|desk| seen(stage, desk).len());
    stage.count(format!("answers of two desks: {answers:?}"));
    stage.check(
        answers.iter().all(|seen| *seen <= 1 + ANSWERS),
        &format!("the desks read {answers:?}"),
    );
    let reports = stage.reports();
    stage.expect_rest(reports);
}

/// The same with a guard at one end: whoever writes from the other has a desk that answers by itself. What such a desk
/// writes is told from mail of its owner by nothing but its pace.
pub fn facing_one_guard(stage: &mut Stage) {
    stage.host("a.test", &["a", "admin"]);
    stage.host("b.test", &["b"]);
    stage.host("s.test", &["s"]);
    stage.forward("a.test", "a", "b@b.test");
    open_desk(stage, "public", ("b", "b.test"), "a@a.test");
    open_desk(stage, "public", ("s", "s.test"), "s@s.test");
    stage.start();
    stage.send("s.test", "s@s.test", "a@a.test");
    stage.settle_many(MOST.0, MOST.1);
    let answers = [("b.test", "b"), ("s.test", "s")].map(|desk| seen(stage, desk).len());
    stage.count(format!("answers of two desks: {answers:?}"));
    stage.check(
        answers.iter().all(|seen| *seen <= 1 + OF_KNOWN),
        &format!("the desks read {answers:?}"),
    );
    let reports = stage.reports();
    stage.expect_rest(reports);
}
