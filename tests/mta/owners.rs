//! Mail whose owner has to see it: bounces of what the user wrote, mail with the null sender, and what was kept instead
//! of being sent on.

use crate::host::holds;
use crate::stage::{GUARD, Stage};

/// One user forwards to somebody who lives, the other to somebody who is not there yet.
fn set_up(stage: &mut Stage) {
    stage.host("a.test", &["a", "c", "admin"]);
    stage.host("s.test", &["s"]);
    stage.host("b.test", &["b"]);
    stage.forward("a.test", "a", "b@b.test");
    stage.forward("a.test", "c", "c@b.test");
    stage.start();
}

/// Each of them ends where its owner looks, and the administrator reads none of it.
pub fn play(stage: &mut Stage) {
    set_up(stage);
    // What the user wrote to nobody comes back, and goes where the user reads.
    let own = stage.send("a.test", "a@a.test", "gone@b.test");
    // A password reset: nobody is told when it fails, so a copy is held.
    let reset = stage.send_from("s.test", "s", "", "a@a.test");
    stage.settle();
    stage.expect_mail("b@b.test", 2);
    let mail = stage.mail("b.test", "b");
    stage.check(
        mail.contains("gone@b.test"),
        "b has the report about the user's own mail",
    );
    stage.check(
        mail.contains(&format!("The words of {reset},")),
        "b has what came with the null sender",
    );
    stage.check(mail.contains(&own), "the report names the message");
    stage.expect_mail("a@a.test", 0);
    stage.check_equal("reports at the administrator", stage.reports(), 0);
    let status = status(stage, "a", &[]);
    stage.check(
        status.contains("null sender"),
        &format!("status speaks of the copies: {status}"),
    );
    kept_and_sent_on(stage);
    let reports = stage.reports();
    stage.expect_rest(reports);
}

/// What a destination refused is kept, and sent on when its owner says so: once, however often that is said.
fn kept_and_sent_on(stage: &mut Stage) {
    let letter = stage.send("s.test", "s@s.test", "c@a.test");
    stage.settle();
    let words = format!("The words of {letter},");
    let kept = stage.mail("a.test", "c");
    stage.check(holds(kept.as_bytes(), &words), "c has the letter that was refused");
    let told = status(stage, "c", &[]);
    stage.check(
        told.contains("--send-kept c@b.test"),
        &format!("status says how to send it on: {told}"),
    );
    let host = stage.lab.at_mut("b.test");
    host.user("c");
    host.mailbox("c");
    for _ in 0..2 {
        status(stage, "c", &["--send-kept", "c@b.test", "--yes"]);
        stage.settle();
        let arrived = stage.mail("b.test", "c").matches(&words).count();
        stage.check_equal("copies of the letter at the destination", arrived, 1);
    }
    let told = status(stage, "c", &[]);
    stage.check(
        !told.contains("--send-kept"),
        &format!("nothing is kept any more: {told}"),
    );
}

fn status(stage: &mut Stage, user: &str, more: &[&str]) -> String {
    let words = [&[GUARD, "status"], more].concat();
    let output = stage.lab.at("a.test").run_as(user, &words, b"");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    stage.lab.remark(&format!("status of {user}: {text}"));
    text
}
