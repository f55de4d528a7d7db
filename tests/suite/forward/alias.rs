//! `forward --as`: an alias, which the MTA runs as a user that is nobody in particular, has a mailbox and a state of
//! its own, and somebody is told what is kept there.

use std::fs;
use std::os::unix::fs::chown;

use crate::forward::suspension;
use crate::support::{Run, Scratch, contains, is_root, messages, shown, skip, user_name};

/// Whom the MTA runs commands of aliases as; nobody is called so.
const RUNNER: u32 = 61_234;

/// A host whose aliases have a place, and whose administrator is an address.
fn host() -> Scratch {
    let scratch = Scratch::new();
    scratch.open_to_all();
    for dir in ["aliases", "out"] {
        fs::create_dir(scratch.path(dir)).unwrap();
        if is_root() {
            chown(scratch.path(dir), Some(RUNNER), Some(RUNNER)).unwrap();
        }
    }
    let quoted = |path: &str| format!("{:?}", scratch.path(path).display().to_string());
    let (aliases, outbox) = (quoted("aliases"), quoted("out/box").replacen('"', "\"outbox:", 1));
    scratch
        .set("admin", "\"admin@a.test\"")
        .set("aliases.dir", &aliases)
        .set("forward.transport", &outbox)
}

/// A run as the MTA starts commands of aliases.
fn by_mta<'a>(scratch: &'a Scratch, arguments: &[&str]) -> Run<'a> {
    let run = scratch.run(arguments).variable("HOME", "/nonexistent");
    if is_root() { run.uid(RUNNER) } else { run }
}

fn letter(number: usize) -> Vec<u8> {
    format!("From: S <s@s.test>\nTo: sales@a.test\nMessage-ID: <{number}@s.test>\nSubject: letter {number}\n\nText.\n")
        .into_bytes()
}

fn forward(scratch: &Scratch, number: usize) {
    by_mta(scratch, &["forward", "--as", "sales", "b@b.test"])
        .variable("RECIPIENT", "sales@a.test")
        .variable("SENDER", "s@s.test")
        .input(&letter(number))
        .go()
        .succeeds();
}

/// The subjects of what was sent.
fn subjects(scratch: &Scratch) -> Vec<String> {
    let text = |path: &std::path::PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let subject = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("Subject: "));
        line.unwrap_or_default().to_owned()
    };
    scratch.files("out/box/new").iter().map(text).map(subject).collect()
}

#[test]
fn what_an_alias_keeps_lies_under_its_name_and_is_told() {
    let scratch = host();
    forward(&scratch, 1);
    assert_eq!(subjects(&scratch), ["letter 1"]);
    let sent = fs::read(&scratch.files("out/box/new")[0]).unwrap();
    assert!(contains(&sent, b"\nX-Loop: sales@a.test\n"), "{}", shown(&sent));
    let suspended = by_mta(&scratch, &["status", "--as", "sales", "--suspend", "b@b.test"]).go();
    suspended.ends_with(0).check(
        String::from_utf8_lossy(&suspended.stdout).contains("spoolguard.toml status --as sales --resume b@b.test"),
        "the command that ends it names the alias",
    );
    for number in 2..=3 {
        forward(&scratch, number);
    }
    let mail = fs::read(scratch.path("aliases/sales/mailbox")).unwrap();
    assert_eq!(messages(&mail).len(), 2, "{}", shown(&mail));
    assert!(scratch.path("aliases/sales/state/routes.json").exists());
    assert!(scratch.files("state").is_empty() && scratch.files("spool").is_empty());
    assert_eq!(
        subjects(&scratch)[1..],
        ["Forward of sales to b@b.test is suspended"],
        "the administrator has one notice, and nobody another"
    );
    // Root becomes whoever has the directory.
    scratch
        .run(&["status", "--as", "sales", "--resume", "b@b.test"])
        .go()
        .ends_with(0);
    let kept = scratch.run(&["status", "--as", "sales"]).go();
    kept.ends_with(1).check(
        String::from_utf8_lossy(&kept.stdout).contains("spoolguard.toml status --as sales --send-kept b@b.test"),
        "what is kept can be sent on",
    );
    scratch
        .run(&["status", "--as", "sales", "--send-kept", "b@b.test", "--yes"])
        .go()
        .ends_with(0);
    let sent = subjects(&scratch);
    for number in 1..=3 {
        let subject = format!("letter {number}");
        assert_eq!(sent.iter().filter(|one| **one == subject).count(), 1, "{sent:?}");
    }
    assert!(
        sent.contains(&"Forward of sales to b@b.test is open again".to_owned()),
        "{sent:?}"
    );
}

#[test]
fn a_bounce_to_an_alias_counts_and_goes_to_its_admin() {
    let scratch = host().set("aliases.admins.sales", "\"carol@c.test\"");
    forward(&scratch, 1);
    let bounce = String::from_utf8(suspension::report(1, "failed", "5.1.1")).unwrap();
    let bounce = bounce.replace("a@a.test", "sales@a.test");
    by_mta(
        &scratch,
        &["forward", "--as", "sales", "b@b.test", "-a", "sales@a.test", "-f", "<>"],
    )
    .input(bounce.as_bytes())
    .go()
    .succeeds();
    let last = scratch.files("out/box/new").pop().unwrap();
    let last = fs::read(last).unwrap();
    assert!(
        contains(&last, b"carol@c.test") && contains(&last, b"Undelivered"),
        "{}",
        shown(&last)
    );
    let status = by_mta(&scratch, &["status", "--as", "sales"]).go();
    status.check(
        String::from_utf8_lossy(&status.stdout).contains("b@b.test"),
        "the failure is known",
    );
}

#[test]
fn an_alias_that_has_no_place_leaves_mail_with_the_mta() {
    let scratch = host();
    let run = || {
        by_mta(&scratch, &["forward", "--as", "sales", "b@b.test"])
            .input(&letter(1))
            .go()
    };
    let dir = scratch.path("aliases");
    fs::remove_dir(&dir).unwrap();
    fs::set_permissions(scratch.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    let ended = run();
    fs::set_permissions(scratch.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    ended.defers().mentions("install -d -m 700 -o");
    fs::write(&dir, "").unwrap();
    run().defers();
    fs::remove_file(&dir).unwrap();
    fs::create_dir_all(dir.join("sales")).unwrap();
    fs::set_permissions(dir.join("sales"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    run().defers();
    assert!(subjects(&scratch).is_empty());
    for odd in ["", "..", "a/b", "."] {
        let line = ["forward", "--as", odd, "b@b.test"];
        by_mta(&scratch, &line).input(&letter(1)).go().defers();
    }
}

#[test]
fn an_alias_of_another_user_is_refused_to_everybody_else() {
    if !is_root() {
        return skip("needs root, to make a directory of somebody else's");
    }
    let scratch = host();
    forward(&scratch, 1);
    let run = scratch.run(&["forward", "--as", "sales", "b@b.test"]).uid(RUNNER + 1);
    run.input(&letter(2)).go().defers().mentions("belongs to uid 61234");
    chown(scratch.path("aliases/sales"), Some(0), Some(0)).unwrap();
    scratch.run(&["status", "--as", "sales"]).go().ends_with(75);
    assert_eq!(subjects(&scratch), ["letter 1"]);
}

#[test]
fn an_alias_called_like_a_user_shares_nothing_with_that_user() {
    let scratch = host();
    let name = user_name();
    let line = ["forward", "--as", &name, "b@b.test", "-a", "x@a.test", "-f", "s@s.test"];
    by_mta(&scratch, &["status", "--as", &name]).go().ends_with(64);
    by_mta(&scratch, &line).input(&letter(1)).go().succeeds();
    by_mta(&scratch, &["status", "--as", &name, "--suspend", "b@b.test"])
        .go()
        .ends_with(0);
    by_mta(&scratch, &line).input(&letter(2)).go().succeeds();
    let mail = fs::read(scratch.path("aliases").join(&name).join("mailbox")).unwrap();
    assert_eq!(messages(&mail).len(), 1, "{}", shown(&mail));
    assert!(scratch.mail().is_empty() && scratch.files("state").is_empty());
}

#[test]
fn status_all_looks_at_aliases_too() {
    if !is_root() {
        return skip("needs root, who may become each of them");
    }
    let scratch = host();
    forward(&scratch, 1);
    by_mta(&scratch, &["status", "--as", "sales", "--suspend", "b@b.test"])
        .go()
        .ends_with(0);
    let all = scratch.run(&["status", "--all"]).go();
    all.ends_with(1).check(
        String::from_utf8_lossy(&all.stdout).contains("status --as sales --resume b@b.test"),
        "it is named with its command",
    );
    scratch.run(&["status", "--all", "--due"]).go().ends_with(0);
}
