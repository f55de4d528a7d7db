//! Aliases that are guarded forwards in their own name, as `contrib` sets them up: a dead destination is suspended, its
//! mail lies in the mailbox of the alias, the administrator is told, and what was kept is sent on when the destination
//! is back.

use crate::host::count_messages;
use crate::stage::{GUARD, Stage};

/// How many letters each alias gets.
const LETTERS: usize = 6;

/// Where aliases have their directories.
const PLACE: &str = "/var/lib/spoolguard/aliases";

/// Plays the scene: `dave` is an alias; where the mail system has a transport of its own for them, so is another.
pub fn play(stage: &mut Stage) {
    let (other, guarded) = match stage.system() {
        "postfix" => (Some("sales@v.test"), "sales@v.test"),
        "exim" => (Some("sales@a.test"), "sales"),
        _ => (None, ""),
    };
    let runner = if stage.system() == "sendmail" {
        "mail"
    } else {
        "spoolguard"
    };
    let host = stage.host("a.test", &["admin", "spoolguard"]);
    host.guarded.insert("dave".to_owned(), "b@b.test".to_owned());
    if other.is_some() {
        host.guarded_map.insert(guarded.to_owned(), "b@b.test".to_owned());
    }
    crate::lab::must(&mut host.command(&["install", "-d", "-m", "700", "-o", runner, PLACE]));
    stage.host("s.test", &["s"]);
    stage.host("b.test", &[]);
    stage.start();
    let mut names = vec!["dave"];
    for number in 1..=LETTERS {
        stage.send("s.test", "s@s.test", "dave@a.test");
        if let Some(other) = other {
            // Nobody else knows that domain.
            stage.send("a.test", "admin@a.test", other);
        }
        if number % 2 == 0 {
            stage.settle();
        }
    }
    if other.is_some() {
        names.push(guarded);
    }
    for name in &names {
        is_suspended(stage, name);
    }
    check_doctor(stage);
    let host = stage.lab.at_mut("b.test");
    host.user("b");
    host.mailbox("b");
    for name in &names {
        for (flag, more) in [("--resume", &[][..]), ("--send-kept", &["--yes"])] {
            let words = [&[GUARD, "status", "--as", name, flag, "b@b.test"], more].concat();
            let ended = stage.lab.at("a.test").command(&words).output().unwrap();
            stage.check(ended.status.success(), &format!("{name}, {flag}: {ended:?}"));
        }
    }
    stage.settle();
    let sent = names.len() * LETTERS;
    stage.check_equal("messages of b", stage.mailbox("b.test", "b"), sent);
    stage.check_equal("reports to the writer", stage.mailbox("s.test", "s"), 0);
    let reports = stage.reports();
    stage.expect_rest(reports);
}

/// Plays it with another envelope sender, behind Postfix: the alias is suspended all the same, each letter is kept, and
/// the reports go where that sender lets them go.
pub fn play_with_sender(stage: &mut Stage, sender: &str) {
    let host = stage.host("a.test", &["admin", "spoolguard"]);
    host.guarded.insert("dave".to_owned(), "b@b.test".to_owned());
    // With these, `+` sets off extensions.
    for alias in ["srs0", "srs1"] {
        host.aliases.insert(alias.to_owned(), format!("{GUARD} return"));
    }
    crate::lab::must(&mut host.command(&["install", "-d", "-m", "700", "-o", "spoolguard", PLACE]));
    host.write(
        "etc/spoolguard.toml",
        &format!("admin = \"admin@a.test\"\n[forward]\nsender = \"{sender}\"\n"),
    );
    host.write("etc/spoolguard.secret", "testsecret\n");
    stage.host("s.test", &["s"]);
    stage.host("b.test", &[]);
    stage.start();
    for _ in 1..=LETTERS {
        stage.send("s.test", "s@s.test", "dave@a.test");
        stage.settle();
    }
    is_suspended(stage, "dave");
    let (log, told) = (stage.lab.log(), stage.mailbox("s.test", "s"));
    match sender {
        "srs" => {
            stage.check(log.contains("from=<SRS0"), "letters leave with SRS");
            stage.check((1..LETTERS).contains(&told), &format!("reports to the writer: {told}"));
        }
        _ => {
            stage.check(log.contains("from=<dave+fwd="), "letters leave with a token");
            stage.check_equal("reports to the writer", told, 0);
        }
    }
    stage.count(format!(
        "{sender}: {told} reports to the writer of {LETTERS} letters to an alias"
    ));
    let reports = stage.reports();
    stage.expect_rest(reports);
}

fn is_suspended(stage: &mut Stage, name: &str) {
    let status = stage
        .lab
        .at("a.test")
        .command(&[GUARD, "status", "--as", name])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    stage.check(
        status.status.code() == Some(1) && text.contains("suspended") && text.contains(&format!("--as {name} ")),
        &format!("{name} is suspended: {status:?}"),
    );
    let mailbox = stage
        .lab
        .at("a.test")
        .root
        .join(format!("{}/{name}/mailbox", &PLACE[1..]));
    stage.check_equal(
        &format!("letters in the mailbox of {name}"),
        count_messages(&mailbox),
        LETTERS,
    );
    let subject = format!("\nSubject: Forward of {name} to b@b.test is suspended\n");
    let told = stage.mail("a.test", "admin").matches(&subject).count();
    stage.check_equal(&format!("notices to the administrator about {name}"), told, 1);
}

/// No alias is found to forward without the guard, or to have no place.
fn check_doctor(stage: &mut Stage) {
    let ended = stage
        .lab
        .at("a.test")
        .command(&[GUARD, "doctor", "--json"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    for line in text.lines().filter(|line| !line.contains("\"level\":\"ok\"")) {
        let is_ours = line.contains("\"check\":\"aliases\"") || line.contains("sales") || line.contains("dave");
        stage.check(!is_ours, &format!("doctor finds nothing wrong: {line}"));
    }
}
