//! `spoolguard status`: what it says, what it does, and how it ends.

use std::fs;

use nix::unistd::User;
use serde_json::Value;

use crate::forward::suspension::{
    HOUR, answers, counts, forward, letter, pass_time, pass_time_in, report, scratch, state, suspended,
};
use crate::support::{Ended, Scratch, contains, is_root, messages, skip, user_name};

#[track_caller]
fn says(ended: &Ended<'_>) -> String {
    String::from_utf8(ended.stdout.clone()).unwrap()
}

#[track_caller]
fn objects(ended: &Ended<'_>) -> Vec<Value> {
    let text = says(ended);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn nothing_to_tell_is_said_and_is_well() {
    let scratch = scratch();
    let ended = scratch.run(&["status"]).go();
    ended.ends_with(0);
    let want = format!("{}: no forward fails or is suspended, nothing is held\n", user_name());
    // Root wants to know about the others.
    let more = match is_root() {
        true => format!("of all users: {} status --all\n", scratch.printed_program()),
        false => String::new(),
    };
    assert_eq!(says(&ended), want.clone() + &more);
    let named = scratch.run(&["status", "--user", &user_name()]).go();
    assert_eq!(says(&named), want);
    assert!(!scratch.path("state/routes.json").exists());
}

#[test]
fn a_suspension_is_shown_with_its_reason_and_how_to_end_it() {
    let scratch = suspended();
    forward(&scratch, 4..=5);
    let ended = scratch.run(&["status"]).go();
    ended.ends_with(1);
    let text = says(&ended);
    let (user, mailbox) = (user_name(), scratch.mailbox().display().to_string());
    let program = scratch.printed_program();
    for part in [
        &format!("{user}: b@b.test: suspended since 2"),
        &format!(", 2 messages kept in {mailbox}\n"),
        " is the next probe\n",
        "    suspended by a burst: 3 or more messages failed within an hour\n",
        "    3 failed because of the address\n",
        "\"status 67, 550 no such user\" (sendmail on this host)\n",
        &format!("    to forward there again: {program} status --user {user} --resume b@b.test\n"),
    ] {
        ended.check(text.contains(part), &format!("{part:?} is missing"));
    }
    let before = state(&scratch);
    let ended = scratch.run(&["status", "--json"]).go();
    ended.ends_with(1);
    let all = objects(&ended);
    assert_eq!(all.len(), 3, "{all:?}");
    let (route, kept, summary) = (&all[0], &all[1], &all[2]);
    assert_eq!((&kept["kind"], &summary["kept"]), (&"kept".into(), &kept["messages"]));
    assert_eq!(
        (&route["kind"], &route["state"]),
        (&"destination".into(), &"suspended".into())
    );
    assert_eq!(
        (&route["kept"], &route["hard"], &route["points"]),
        (&2.into(), &3.into(), &1.0.into())
    );
    assert_eq!(route["last"]["message_id"], "<3@s.test>");
    assert_eq!(route["last"]["source"], "sendmail");
    assert!(route["next_probe"].as_str().unwrap().ends_with('Z'), "{route}");
    assert_eq!(
        (&summary["kind"], &summary["suspended"]),
        (&"summary".into(), &1.into())
    );
    assert_eq!(state(&scratch), before, "looking changes nothing");
}

#[test]
fn the_commands_that_it_prints_can_be_copied_into_a_shell() {
    let scratch = suspended();
    let told = says(&scratch.run(&["status"]).go());
    let command = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("to forward there again: spoolguard "));
    let script = format!("exec {} {}", crate::support::PROGRAM, command.unwrap());
    let copied = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(copied.status.success(), "{script}: {copied:?}");
    assert_eq!(state(&scratch)["routes"][0]["suspended"], Value::Null);
}

#[test]
fn a_destination_that_a_shell_would_read_otherwise_is_quoted() {
    let scratch = suspended();
    let mut all = state(&scratch);
    all["routes"][0]["destination"] = "<b&c@b.test>".into();
    fs::write(scratch.path("state/routes.json"), all.to_string()).unwrap();
    let told = says(&scratch.run(&["status"]).go());
    assert!(told.contains(" --resume '<b&c@b.test>'\n"), "{told}");
}

#[test]
fn times_are_those_of_the_clock_of_this_host() {
    let scratch = suspended();
    let mut all = state(&scratch);
    // 2026-11-02 10:00 UTC.
    all["routes"][0]["suspended"]["since"] = 1_793_613_600.into();
    fs::write(scratch.path("state/routes.json"), all.to_string()).unwrap();
    for (zone, since) in [
        ("UTC", "2026-11-02 10:00 UTC"),
        ("JST-9", "2026-11-02 19:00 +0900"),
        ("NST3:30", "2026-11-02 06:30 -0330"),
    ] {
        let told = says(&scratch.run(&["status"]).variable("TZ", zone).go());
        assert!(told.contains(&format!("suspended since {since}, ")), "{told}");
    }
}

#[test]
fn a_probe_is_shown_and_how_long_it_takes() {
    let scratch = suspended();
    pass_time(&scratch, HOUR);
    forward(&scratch, 4..=4);
    let ended = scratch.run(&["status", "--json"]).go();
    ended.ends_with(1);
    let route = objects(&ended).remove(0);
    assert_eq!(route["state"], "probing");
    assert!(
        route["probe_sent"].is_string() && route["open_again"].is_string(),
        "{route}"
    );
    let text = says(&scratch.run(&["status"]).go());
    assert!(
        text.contains("    a probe was sent on 2") && text.contains("; open again on 2"),
        "{text}"
    );
    pass_time(&scratch, 2 * HOUR);
    let ended = scratch.run(&["status"]).go();
    ended.ends_with(0);
    assert!(says(&ended).contains(": b@b.test: open\n"), "{}", says(&ended));
}

#[test]
fn a_forward_is_resumed_and_the_user_is_told() {
    let scratch = suspended();
    forward(&scratch, 4..=4);
    let ended = scratch.run(&["status", "--resume", "B@b.test"]).go();
    ended.ends_with(0);
    let mailbox = scratch.mailbox().display().to_string();
    assert_eq!(
        says(&ended),
        format!(
            "mail is forwarded to B@b.test again; 4 messages were kept in {mailbox}; to send them on: {} status --user {} \
             --send-kept B@b.test\n",
            scratch.printed_program(),
            user_name()
        )
    );
    forward(&scratch, 5..=5);
    assert_eq!(counts(&scratch), (1, 2, 1), "sent; a notice to each");
    let ended = scratch.run(&["status", "--resume", "b@b.test"]).go();
    ended
        .ends_with(1)
        .mentions("cannot resume b@b.test: it is not suspended");
    scratch.run(&["status"]).go().ends_with(1);
    scratch
        .run(&["status", "--send-kept", "b@b.test", "--yes"])
        .go()
        .ends_with(0);
    scratch.run(&["status"]).go().ends_with(0);
}

#[test]
fn a_forward_is_suspended_by_hand_until_a_hand_ends_it() {
    let scratch = scratch();
    let ended = scratch.run(&["status", "--suspend", "b@b.test"]).go();
    ended.ends_with(0);
    assert!(says(&ended).contains("--resume b@b.test\n"), "{}", says(&ended));
    assert_eq!(
        counts(&scratch),
        (0, 1, 0),
        "whoever did it knows, and the user is told"
    );
    pass_time(&scratch, 100 * 24 * HOUR);
    forward(&scratch, 1..=2);
    assert_eq!(counts(&scratch), (0, 3, 0));
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    assert_eq!(counts(&scratch), (0, 3, 0), "it is so already");
    let ended = scratch.run(&["status"]).go();
    ended.ends_with(1);
    assert!(says(&ended).contains("    suspended manually\n"), "{}", says(&ended));
    scratch.run(&["status", "--resume", "b@b.test"]).go().ends_with(0);
    forward(&scratch, 3..=3);
    assert_eq!(counts(&scratch), (1, 4, 0));
}

#[test]
fn what_is_due_is_done_without_a_message() {
    let scratch = suspended();
    pass_time(&scratch, HOUR);
    forward(&scratch, 4..=4);
    let due = || scratch.run(&["status", "--due"]).go();
    due().ends_with(0);
    assert_eq!(counts(&scratch), (1, 1, 0), "nothing is");
    pass_time(&scratch, 2 * HOUR);
    due().succeeds();
    assert_eq!(counts(&scratch), (1, 2, 1));
    due().succeeds();
    assert_eq!(counts(&scratch), (1, 2, 1));
    // What is none of ours is set aside, and what was never there is not made.
    fs::write(scratch.path("state/routes.json"), "{").unwrap();
    due().succeeds();
    assert!(scratch.path("state/routes.json.bad").exists());
    let empty = Scratch::new();
    empty.run(&["status", "--due"]).go().succeeds();
    assert_eq!(empty.files("state").len(), 0);
}

#[test]
fn a_dry_run_of_it_does_nothing() {
    let scratch = suspended();
    let before = state(&scratch);
    let ended = scratch.run(&["status", "--resume", "b@b.test", "--dry-run"]).go();
    ended.ends_with(0);
    assert_eq!(says(&ended), "would forward to b@b.test again\n");
    let ended = scratch.run(&["status", "--suspend", "c@c.test", "--dry-run"]).go();
    assert_eq!(says(&ended), "would suspend c@c.test\n");
    let ended = scratch.forward(&letter(4), &["b@b.test", "--dry-run"]).go();
    assert!(
        says(&ended).contains("b@b.test is suspended since "),
        "{}",
        says(&ended)
    );
    assert_eq!((state(&scratch), counts(&scratch)), (before, (0, 0, 0)));
}

#[test]
fn what_cannot_be_done_is_said() {
    let scratch = suspended();
    for arguments in [
        &["status", "--suspend", "not an address"][..],
        &["status", "--suspend", "b@b.test", "--resume", "b@b.test"],
        &["status", "--all", "--resume", "b@b.test"],
        &["status", "--nonsense"],
    ] {
        scratch.run(arguments).go().ends_with(64);
    }
    fs::write(scratch.path("state/routes.json"), "{").unwrap();
    let ended = scratch.run(&["status"]).go();
    ended.ends_with(1);
    assert!(says(&ended).contains("cannot understand "), "{}", says(&ended));
    let scratch = scratch.set("destinations.suspend", "false");
    let ended = scratch.run(&["status", "--suspend", "b@b.test"]).go();
    ended
        .ends_with(75)
        .mentions("configuration says [destinations] suspend = false");
    scratch.open_to_all();
    let mut everybody = scratch.run(&["status", "--all"]);
    if is_root() {
        everybody = everybody.uid(65534);
    }
    everybody
        .go()
        .ends_with(64)
        .mentions("only root may look at all users; leave --all away for your own, or run it as root");
}

#[test]
fn what_was_lost_from_view_and_what_is_held_is_listed() {
    let scratch = suspended();
    let mut all = state(&scratch);
    all["lost"] = serde_json::json!([
        {"at": 1_793_613_600, "message_id": "<x@s.test>", "from": "Sam\u{1b}[2J <s@s.test>", "date": "today", "destination": "b@b.test"}
    ]);
    all["lost_before"] = 3.into();
    fs::write(scratch.path("state/routes.json"), all.to_string()).unwrap();
    fs::create_dir(scratch.path("state/held")).unwrap();
    fs::write(scratch.path("state/held/1.gz"), [0; 1500]).unwrap();
    let text = says(&scratch.run(&["status"]).go());
    for part in [
        "4 messages could not be forwarded, and came back as nothing but a header:\n",
        "    2026-11-02 10:00 UTC: <x@s.test> from Sam\\u{1b}[2J <s@s.test>, of today, to b@b.test\n",
        "    and 3 before these\n",
        ": held copies of what was sent to the administrator: 1, 1.4 KiB; to read them: zcat ",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let all = objects(&scratch.run(&["status", "--json"]).go());
    assert_eq!(all[1]["kind"], "lost");
    assert_eq!(
        (&all[2]["lost"], &all[2]["held"], &all[2]["held_bytes"]),
        (&4.into(), &1.into(), &1500.into())
    );
}

#[test]
fn metrics_of_a_user_are_gauges_with_escaped_labels() {
    let scratch = suspended().set("quota.limit", "\"1M\"");
    let mut all = state(&scratch);
    all["routes"][0]["destination"] = "b\"\\\n@b.test".into();
    fs::write(scratch.path("state/routes.json"), all.to_string()).unwrap();
    fs::create_dir_all(scratch.path("state/held")).unwrap();
    fs::write(scratch.path("state/held/1.gz"), [0; 1500]).unwrap();
    let ended = scratch.run(&["status", "--prometheus"]).go();
    ended.ends_with(1);
    let said = says(&ended);
    let user = user_name();
    let mailbox = fs::metadata(scratch.mailbox()).map_or(0, |stat| stat.len());
    for line in [
        format!(
            "# TYPE spoolguard_suspended_destinations gauge\nspoolguard_suspended_destinations{{user=\"{user}\"}} 1\n"
        ),
        format!("spoolguard_suspended_timestamp_seconds{{user=\"{user}\",destination=\"b\\\"\\\\\\n@b.test\"}} "),
        format!("spoolguard_held_messages{{user=\"{user}\"}} 1\n"),
        format!("spoolguard_held_bytes{{user=\"{user}\"}} 1500\n"),
        format!("spoolguard_user_quota_bytes{{user=\"{user}\"}} 1048576\n"),
        format!("spoolguard_user_mailbox_bytes{{user=\"{user}\"}} {mailbox}\n"),
        format!("spoolguard_status_errors{{user=\"{user}\"}} 0\n"),
    ] {
        assert!(said.contains(&line), "{line} is missing in\n{said}");
    }
    fs::write(scratch.path("state/routes.json"), "{").unwrap();
    let said = says(&scratch.run(&["status", "--prometheus"]).go());
    assert!(
        said.contains(&format!("spoolguard_status_errors{{user=\"{user}\"}} 1\n")),
        "{said}"
    );
    scratch.run(&["status", "--prometheus", "--json"]).go().ends_with(64);
}

#[test]
fn root_sees_everybody_without_being_them() {
    let Ok(Some(nobody)) = User::from_name("nobody") else {
        skip("there is no user called nobody");
        return;
    };
    if !is_root() {
        skip("needs root");
        return;
    }
    let mut scratch = scratch();
    let root = scratch.path("");
    fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let place = scratch.path("state-%u").display().to_string();
    scratch.change("state_dir", &format!("{place:?}"));
    let ended = scratch.run(&["status", "--all"]).go();
    ended.ends_with(0);
    assert_eq!(
        says(&ended),
        "nobody's forward fails or is suspended, nothing is held\n"
    );
    let dir = scratch.path("state-nobody");
    fs::create_dir(&dir).unwrap();
    std::os::unix::fs::chown(&dir, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
    scratch
        .run(&["status", "--user", "nobody", "--suspend", "b@b.test"])
        .go()
        .ends_with(0);
    let ended = scratch.run(&["status", "--all"]).go();
    ended.ends_with(1);
    assert!(
        says(&ended).starts_with("nobody: b@b.test: suspended since "),
        "{}",
        says(&ended)
    );
    scratch.run(&["status", "--all", "--due"]).go().ends_with(0);
    for entry in fs::read_dir(&dir).unwrap() {
        let owner = std::os::unix::fs::MetadataExt::uid(&entry.unwrap().metadata().unwrap());
        assert_eq!(owner, nobody.uid.as_raw(), "written as root");
    }
    let ended = scratch.run(&["status", "--all", "--json"]).go();
    assert_eq!(objects(&ended)[0]["state"], "suspended-by-hand");
    let other = scratch.path("state-root");
    fs::create_dir_all(&other).unwrap();
    let ended = scratch.run(&["status", "--all", "--prometheus"]).go();
    ended.ends_with(1);
    let said = says(&ended);
    let both =
        "spoolguard_suspended_destinations{user=\"nobody\"} 1\nspoolguard_suspended_destinations{user=\"root\"} 0\n";
    assert!(
        said.contains(&format!("# TYPE spoolguard_suspended_destinations gauge\n{both}")),
        "{said}"
    );
    assert_eq!(said.matches("# TYPE spoolguard_held_messages ").count(), 1, "{said}");
    answers(&scratch, 0);
    assert!(!contains(&scratch.mail(), b"forwarded") && messages(&scratch.mail()).is_empty());
}

#[test]
fn a_storm_that_is_over_is_told_by_what_is_due() {
    let scratch = scratch();
    for _ in 0..5 {
        let run = scratch.run(&["forward", "-a", "a@a.test", "-f", "<>", "b@b.test"]);
        run.input(&report(1, "failed", "5.1.1")).go().succeeds();
    }
    assert_eq!(counts(&scratch), (0, 0, 3), "the first few");
    let text = says(&scratch.run(&["status"]).go());
    assert!(
        text.contains(
            ": diverted mail: 3 sent to the administrator, 2 held and counted, 2 of these in the next digest\n"
        ),
        "{text}"
    );
    let summary = objects(&scratch.run(&["status", "--json"]).go()).pop().unwrap();
    assert_eq!(
        (&summary["diverted"]["sent"], &summary["diverted"]["held"]),
        (&3.into(), &2.into()),
        "{summary}"
    );
    pass_time_in(&scratch, "storm.json", 2 * HOUR);
    scratch.run(&["status", "--due"]).go().succeeds();
    assert_eq!(counts(&scratch), (0, 0, 4), "and the digest");
    scratch.run(&["status", "--due"]).go().succeeds();
    assert_eq!(counts(&scratch), (0, 0, 4));
}

#[test]
fn a_user_whom_nobody_knows_is_an_error() {
    let scratch = Scratch::new().set("state_dir", "\"/nonexistent/%u\"");
    for more in [&[][..], &["--json"], &["--resume", "b@b.test"]] {
        scratch
            .run(&["status", "--user", "nobody-is-called-so"])
            .with(more)
            .go()
            .ends_with(64)
            .mentions("cannot find user nobody-is-called-so: there is no such user; an alias is named with --as");
    }
    scratch
        .run(&["status", "--user", "ann@v.test"])
        .go()
        .ends_with(64)
        .mentions("there is no such user; run this as the user who delivers for virtual users");
    if crate::support::is_root() {
        return;
    }
    // A virtual mailbox has a file.
    std::fs::write(scratch.mailbox().with_file_name("nobody-is-called-so"), "").unwrap();
    scratch
        .run(&["status", "--user", "nobody-is-called-so"])
        .go()
        .ends_with(0);
}
