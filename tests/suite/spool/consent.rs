//! One rule for `archive`, `sweep`, `restore` and `status --send-kept`: the plan first, a question on a terminal,
//! `--yes` without a question, and nothing at all where nobody can be asked.

use std::fs;
use std::path::PathBuf;

use crate::spool::archive::{OLD, archived, scratch, stored};
use crate::support::{Ended, Scratch, contains, same, user_name};

/// A command that has something to do, and what it prints when nothing was done.
struct Case {
    words: Vec<String>,
    plan: &'static str,
    question: &'static str,
    undone: &'static str,
    done: &'static str,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A mailbox with two messages, one of them twice, and an archive of a third one.
fn full() -> (Scratch, PathBuf) {
    let scratch = scratch();
    fs::write(scratch.mailbox(), stored(3, OLD, "")).unwrap();
    scratch
        .run(&["spool", "archive", "--yes", &user_name(), "--all-mail"])
        .go()
        .ends_with(0);
    let archive = scratch.files("archives").remove(0);
    fs::write(
        scratch.mailbox(),
        [stored(1, OLD, ""), stored(2, OLD, ""), stored(1, OLD, "")].concat(),
    )
    .unwrap();
    (scratch, archive)
}

fn cases(archive: &str) -> Vec<Case> {
    vec![
        Case {
            words: words(&["spool", "archive", &user_name(), "--all-mail"]),
            plan: "would take 3 messages",
            question: "Take 3 messages out of 1 mailbox? [y/N]",
            undone: "nothing was taken out",
            done: "3 messages (",
        },
        Case {
            words: words(&["spool", "sweep", &user_name(), "--duplicates"]),
            plan: "would take 1 message (",
            question: "Take 1 message out of 1 mailbox? [y/N]",
            undone: "nothing was taken out",
            done: "1 message (",
        },
        Case {
            words: words(&["spool", "restore", archive]),
            plan: "would restore 1 message (",
            question: "Put 1 message back? [y/N]",
            undone: "nothing was put back",
            done: "restored 1 message (",
        },
    ]
}

fn run<'a>(scratch: &'a Scratch, case: &Case, more: &[&str]) -> crate::support::Run<'a> {
    let words: Vec<&str> = case.words.iter().map(String::as_str).collect();
    scratch.run(&words).with(more)
}

fn text(ended: &Ended<'_>) -> String {
    String::from_utf8(ended.stdout.clone()).unwrap()
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_done() {
    let (scratch, archive) = full();
    let before = scratch.mail();
    for case in cases(archive.to_str().unwrap()) {
        for (more, status, last) in [
            (&[][..], 1, format!("{}; --yes does it", case.undone)),
            (&["--dry-run"], 0, format!("{}: this is a dry run", case.undone)),
            (&["-n", "-y"], 0, format!("{}: this is a dry run", case.undone)),
        ] {
            let ended = run(&scratch, &case, more).go();
            let said = text(&ended);
            ended.ends_with(status);
            assert!(said.contains(case.plan), "{said}");
            assert_eq!(said.lines().last(), Some(last.as_str()));
            same(&scratch.mail(), &before);
        }
    }
    assert_eq!(scratch.files("archives").len(), 1);
}

#[test]
fn on_a_terminal_it_asks_and_only_yes_is_yes() {
    for (answer, does) in [
        ("y\n", true),
        ("yes\n", true),
        ("n\n", false),
        ("\n", false),
        ("\u{4}", false),
    ] {
        let count = cases("").len();
        for number in 0..count {
            let (scratch, archive) = full();
            let before = scratch.mail();
            let case = cases(archive.to_str().unwrap()).remove(number);
            let (status, shown) = run(&scratch, &case, &[]).on_a_terminal("[y/N] ", answer);
            assert!(shown.contains(case.plan) && shown.contains(case.question), "{shown}");
            assert_eq!(status, Some(i32::from(!does)), "{shown}");
            assert_eq!(scratch.mail() != before, does, "{answer:?}: {shown}");
            let last = shown.lines().last().unwrap_or_default();
            assert_eq!(last.ends_with(case.undone), !does, "{shown}");
            assert_eq!(shown.contains(case.done) && does, does, "{shown}");
        }
    }
}

#[test]
fn an_interrupt_at_the_question_is_no() {
    let (scratch, archive) = full();
    let before = scratch.mail();
    for case in cases(archive.to_str().unwrap()) {
        // A session of its own, or the terminal has nobody to interrupt.
        let (status, shown) = run(&scratch, &case, &[])
            .wrapped(&["setsid", "-wc"])
            .on_a_terminal("[y/N] ", "\u{3}");
        // By the signal, so that a shell ends its loop, too.
        assert_eq!(status, None, "{shown}");
        same(&scratch.mail(), &before);
    }
}

#[test]
fn what_has_nothing_to_do_asks_nothing() {
    let (scratch, archive) = full();
    fs::write(scratch.mailbox(), stored(3, OLD, "")).unwrap();
    for words in [
        &["spool", "sweep", &user_name(), "--duplicates"][..],
        &["spool", "archive", &user_name(), "--bounces"],
        &["spool", "restore", archive.to_str().unwrap()],
    ] {
        let ended = scratch.run(words).go();
        ended.ends_with(0);
        assert!(!text(&ended).contains("--yes"), "{}", text(&ended));
    }
}

fn objects(ended: &Ended<'_>) -> Vec<serde_json::Value> {
    text(ended)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

fn keys(object: &serde_json::Value) -> Vec<&str> {
    let mut keys: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn json_has_one_object_for_each_mailbox_and_a_summary() {
    for more in [&["--json"][..], &["--json", "--yes"]] {
        let (scratch, archive) = full();
        let does = more.len() == 2;
        for case in cases(archive.to_str().unwrap()) {
            // What is archived is put back by the last one.
            let ended = run(&scratch, &case, more).go();
            let objects = objects(&ended);
            assert_eq!(objects.len(), 2, "{objects:?}");
            assert_eq!(objects[0]["kind"], "mailbox");
            assert_eq!(objects[0]["done"], does);
            assert_eq!(objects[0]["user"], user_name().as_str());
            assert_eq!(objects[0]["mailbox"], scratch.mailbox().to_str().unwrap());
            assert_eq!(objects[1]["kind"], "summary");
            assert_eq!(objects[1]["note"].is_null(), does, "{objects:?}");
            if case.words[1] == "restore" {
                assert_eq!(
                    keys(&objects[0]),
                    [
                        "archive", "bytes", "done", "kind", "left_out", "mailbox", "no_room", "present", "restored",
                        "user"
                    ]
                );
            } else {
                assert_eq!(
                    keys(&objects[0]),
                    [
                        "archive",
                        "archive_bytes",
                        "bytes",
                        "done",
                        "doubtful",
                        "headers_only",
                        "kind",
                        "locked_ms",
                        "mailbox",
                        "messages",
                        "not_sent_on",
                        "own_messages",
                        "present",
                        "recipients",
                        "recoverable",
                        "recovered",
                        "remaining",
                        "remaining_bytes",
                        "senders",
                        "user"
                    ]
                );
                assert_eq!(objects[0]["archive"].is_string(), does);
            }
            if does && case.words[1] == "archive" {
                fs::write(
                    scratch.mailbox(),
                    [stored(1, OLD, ""), stored(2, OLD, ""), stored(1, OLD, "")].concat(),
                )
                .unwrap();
            }
        }
    }
}

#[test]
fn json_names_what_failed_on_standard_output_too() {
    let scratch = scratch();
    let ended = scratch
        .run(&["spool", "archive", "--json", "--yes", "--all-mail", "/no/such/mailbox"])
        .go();
    let objects = objects(&ended);
    ended.ends_with(1);
    assert_eq!(
        (&objects[0]["kind"], &objects[1]["failed"]),
        (&"error".into(), &1.into())
    );
    assert!(objects[0]["error"].as_str().unwrap().contains("/no/such/mailbox"));
}

#[test]
fn archives_are_listed_and_the_newest_of_a_user_is_restored() {
    let scratch = scratch();
    let user = user_name();
    let none = scratch.run(&["spool", "archives"]).go();
    none.ends_with(1);
    assert!(text(&none).starts_with("no archives"), "{}", text(&none));
    for number in 1..=2 {
        fs::write(scratch.mailbox(), stored(number, OLD, "")).unwrap();
        scratch
            .run(&["spool", "archive", "--yes", &user, "--all-mail"])
            .go()
            .ends_with(0);
    }
    assert!(contains(&archived(&scratch), b"body 2"));
    let archives = scratch.files("archives");
    fs::write(scratch.path("archives/readme"), "no archive").unwrap();
    let listed = scratch.run(&["spool", "archives", &user]).go();
    listed.ends_with(0);
    let said = text(&listed);
    assert_eq!(said.lines().count(), 2, "{said}");
    // The newest first; those of one second by their number.
    let newest = archives.iter().max_by_key(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        (name.contains("Z-2"), name.to_owned())
    });
    let newest = newest.unwrap().to_str().unwrap();
    assert!(said.lines().next().unwrap().ends_with(newest), "{said}");
    let json = scratch.run(&["spool", "archives", "--json"]).go();
    let first = &objects(&json)[0];
    assert_eq!(keys(first), ["made", "path", "size", "user"]);
    assert_eq!(first["path"], newest);
    let other = scratch.run(&["spool", "archives", "somebody-else"]).go();
    other.ends_with(1);

    scratch.run(&["spool", "restore", &user, "--yes"]).go().ends_with(0);
    assert!(contains(&scratch.mail(), b"body 2") && !contains(&scratch.mail(), b"body 1"));
    // An archive is also found by its name alone.
    let older = archives.iter().find(|path| path.to_str() != Some(newest)).unwrap();
    scratch
        .run(&[
            "spool",
            "restore",
            older.file_name().unwrap().to_str().unwrap(),
            "--yes",
        ])
        .go()
        .ends_with(0);
    assert!(contains(&scratch.mail(), b"body 1"));
    scratch
        .run(&["spool", "restore", "nobody-has-this", "--yes"])
        .go()
        .ends_with(1)
        .mentions("no archive of such a user");
}
