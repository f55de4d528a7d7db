//! What people type by mistake: names that nobody has, words that are no address, paths that are no mailbox. Each is
//! told what is wrong with which word, and nothing happens.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use crate::robust::faults::strace;
use crate::support::{ORDINARY, Scratch, full_device, is_root, skip};

#[test]
fn a_user_whom_nobody_has_is_wrong_use_and_named() {
    // A virtual user would have a state directory.
    let scratch = Scratch::new().set("state_dir", "\"/nonexistent/%u\"");
    for words in [
        &["doctor", "--user", "nosuch"][..],
        &["status", "--user", "nosuch"],
        &["trace", "b@b.test", "--user", "nosuch", "--log", "/dev/null"],
        &["inspect", "--user", "nosuch"],
        &["spool", "restore", "--overflow", "--user", "nosuch"],
    ] {
        if !is_root() && words[0] != "doctor" && words[0] != "status" {
            // Whoever is not root may have virtual mailboxes of any name.
            continue;
        }
        let ended = scratch.run(words).go();
        ended
            .ends_with(64)
            .mentions("cannot find user nosuch: there is no such user");
        assert!(ended.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn a_mailbox_of_nobody_is_an_error_without_a_table() {
    let scratch = Scratch::new();
    for words in [
        &["spool", "list", "nosuch"][..],
        &["spool", "archive", "nosuch", "--all-mail", "-n"],
        &["spool", "sweep", "nosuch", "-n"],
    ] {
        let ended = scratch.run(words).go();
        ended
            .ends_with(1)
            .mentions("nosuch: there is no such mailbox, and no user nosuch");
        assert!(ended.stdout.is_empty(), "{words:?}");
    }
    let ended = scratch.run(&["spool", "archives", "nosuch"]).go();
    let said = String::from_utf8_lossy(&ended.ends_with(1).stdout).into_owned();
    assert!(
        said.contains("no archives of nosuch in ") && said.contains("there is no such user"),
        "{said}"
    );
}

#[test]
fn what_is_no_address_is_refused_with_the_reason() {
    let scratch = Scratch::new();
    for (word, why) in [
        (
            "notanaddress",
            "it has no domain, and no user of this host is called so",
        ),
        ("", "it is empty"),
        ("@b.test", "nothing stands before its @"),
        ("b@", "nothing stands behind its @"),
        ("b@@b.test", "it has more than one @"),
        ("b@b..test", "its domain has a dot too many"),
        ("b b@b.test", "one address is expected"),
        ("<b@b.test>", "one address is expected"),
        ("b@b.test, c@c.test", "one address is expected"),
    ] {
        for flag in ["--suspend", "--resume", "--send-kept"] {
            let ended = scratch.run(&["status", flag, word]).go();
            ended.ends_with(64).mentions("cannot use address").mentions(why);
            assert!(ended.stdout.is_empty(), "{flag} {word}");
        }
    }
    assert_eq!(
        scratch.files("state"),
        [] as [std::path::PathBuf; 0],
        "nothing was noted"
    );
    scratch
        .run(&["policy", "b b@b.test"])
        .go()
        .ends_with(64)
        .mentions("one address is expected");
    scratch
        .run(&["trace", "", "--log", "/dev/null"])
        .go()
        .ends_with(64)
        .mentions("cannot look for \"\"");
}

#[test]
fn a_local_name_that_is_forwarded_to_can_be_suspended() {
    let scratch = Scratch::new();
    scratch.run(&["status", "--suspend", "root"]).go().ends_with(0);
    scratch.run(&["status", "--resume", "root"]).go().ends_with(0);
}

#[test]
fn a_dry_run_says_what_is_no_address() {
    let scratch = Scratch::new();
    let ended = scratch.forward(ORDINARY, &["b@b.test,"]).with(&["-n"]).go();
    let said = String::from_utf8_lossy(&ended.ends_with(0).stdout).into_owned();
    assert!(
        said.contains("a copy would be kept: \"b@b.test,\" is not a valid address: one address is expected"),
        "{said}"
    );
}

#[test]
fn a_path_that_is_no_mailbox_is_not_to_be_removed() {
    let scratch = Scratch::new();
    fs::write(scratch.path("notes"), "Buy milk.\n").unwrap();
    let notes = scratch.path("notes").display().to_string();
    for (path, what) in [
        ("/dev/null", "it is a device"),
        ("/etc", "it is a directory, and not an mbox"),
        (notes.as_str(), "it does not begin as an mbox does"),
    ] {
        let ended = scratch.run(&["spool", "list", path]).go();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&ended.ends_with(1).stdout),
            ended.stderr
        );
        assert!(said.contains(what), "{path}: {said}");
        assert!(!said.contains("rm ") && !said.contains("move it"), "{path}: {said}");
    }
}

#[test]
fn a_word_that_is_no_utf_8_is_shown() {
    let scratch = Scratch::new();
    for (words, status) in [(["status", "--suspend"], 64), (["deliver", "--user"], 75)] {
        let ended = Command::new(crate::support::PROGRAM)
            .arg("--config")
            .arg(scratch.configuration())
            .args(words)
            .arg(OsStr::from_bytes(b"b\xff@b.test"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(status), "{said}");
        assert!(
            said.contains("the argument \"b\\xff@b.test\" is not valid UTF-8"),
            "{said}"
        );
    }
}

#[test]
fn a_log_whose_line_never_ends_is_read_in_bounded_memory() {
    let scratch = Scratch::new();
    let log = fs::File::create(scratch.path("log")).unwrap();
    log.set_len(96 << 20).unwrap();
    let path = scratch.path("log").display().to_string();
    let ended = scratch.run(&["trace", "b@b.test", "--log", &path]).measured().go();
    ended.ends_with(1);
    assert!(ended.peak_bytes < 48 << 20, "{} bytes", ended.peak_bytes);
}

#[test]
fn the_mailbox_of_an_alias_is_listed_under_its_name() {
    if !is_root() {
        return skip("only root lists what is an alias's, since its directory is the alias's alone");
    }
    let mut scratch = Scratch::new();
    let aliases = scratch.path("aliases");
    scratch.change("aliases.dir", &format!("{:?}", aliases.display().to_string()));
    let home = aliases.join("sales");
    fs::create_dir_all(&home).unwrap();
    for path in [&aliases, &home] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    }
    let mailbox = home.join("mailbox");
    fs::write(&mailbox, "From s@s.test Mon Nov  2 10:00:00 2026\nSubject: x\n\nx\n\n").unwrap();
    std::os::unix::fs::chown(&mailbox, Some(65534), Some(65534)).unwrap();
    let text = |words: &[&str]| {
        let ended = scratch.run(words).go();
        String::from_utf8_lossy(&ended.stdout).into_owned() + &ended.stderr
    };
    let said = text(&["spool", "list"]);
    assert!(said.contains("sales (alias)") && said.contains("1 mailbox"), "{said}");
    let said = text(&["spool", "list", "--json"]);
    assert!(said.contains("\"user\":\"sales\",\"alias\":true"), "{said}");
    let said = text(&["spool", "list", "sales"]);
    assert!(
        said.contains(&format!("that of the alias is {}", mailbox.display())),
        "{said}"
    );
    let said = text(&["doctor", "--as", "sales", "-v"]);
    assert!(said.contains("alias sales: it has a place for what is kept"), "{said}");
    scratch
        .run(&["doctor", "--as", "nosuch"])
        .go()
        .ends_with(64)
        .mentions("cannot find alias nosuch: no alias is called so");
}

#[test]
fn a_list_says_how_far_it_is_within_one_mailbox() {
    let Some(strace) = strace::program() else {
        return skip("needs strace(1) and the right to trace");
    };
    let scratch = Scratch::new();
    let letter = format!(
        "From s@s.test Mon Nov  2 10:00:00 2026\nSubject: x\n\n{}\n\n",
        "x".repeat(100_000)
    );
    fs::write(scratch.mailbox(), letter.repeat(20)).unwrap();
    fs::set_permissions(scratch.mailbox(), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let strace = format!(
        "{} -f -qq -o /dev/null -e trace=pread64 -e inject=pread64:delay_enter=200ms",
        strace.display()
    );
    let words: Vec<&str> = strace.split(' ').collect();
    let (_, shown) = scratch
        .run(&["spool", "list"])
        .variable("TERM", "xterm")
        .wrapped(&words)
        .on_a_terminal("nobody asks", "");
    let is_between = |line: &str| line.contains("1 mailbox [") && !line.contains("] 0%") && !line.contains("] 100%");
    assert!(
        shown
            .split(['\r', '\n'])
            .any(|line| is_between(line.trim_start_matches("\x1b[K"))),
        "{shown}"
    );
}

#[test]
fn help_of_every_command_fits_into_80_columns() {
    let scratch = Scratch::new();
    let commands = "deliver,forward,filter,return,sendmail,policy,inspect,replay,status,trace,spool,spool list,spool archive,spool sweep,\
                    spool archives,spool restore,doctor,config,config check,config show";
    for command in std::iter::once("").chain(commands.split(',')) {
        let words: Vec<&str> = command.split_ascii_whitespace().chain(["--help"]).collect();
        let ended = scratch.bare(&words).variable("COLUMNS", "80").go();
        let said = String::from_utf8_lossy(&ended.ends_with(0).stdout).into_owned();
        assert!(said.contains("Usage: spoolguard"), "{command}");
        let wide: Vec<&str> = said.lines().filter(|line| line.chars().count() > 80).collect();
        assert_eq!(wide, [] as [&str; 0], "{command}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_told() {
    let scratch = Scratch::new();
    for words in [
        &["spool", "archives"][..],
        &["spool", "list"],
        &["trace", "b@b.test", "--log", "/dev/null"],
        &["--help"],
        &["--version"],
        &["help", "forward"],
        &["spool", "sweep", "--help"],
        &["policy", "a@a.test"],
        &["policy", "a@a.test", "--json"],
        &["status"],
        &["status", "--json"],
        &["status", "--prometheus"],
        &["config", "check"],
        &["config", "show"],
        &["doctor"],
        &["inspect"],
        &["deliver", "--dry-run"],
    ] {
        scratch
            .run(words)
            .input(ORDINARY)
            .stdout(full_device())
            .go()
            .ends_with(75)
            .mentions("cannot write the answer: no space left on device\n");
    }
}

#[test]
fn what_was_kept_is_shown_by_its_subject_and_counted_alike() {
    let scratch = Scratch::new();
    scratch.run(&["status", "--suspend", "b@b.test"]).go().ends_with(0);
    scratch.forward(ORDINARY, &["b@b.test"]).go().succeeds();
    let said = |words: &[&str], status| {
        let ended = scratch.run(&["status"]).with(words).go();
        String::from_utf8_lossy(&ended.ends_with(status).stdout).into_owned()
    };
    let plan = said(&["--send-kept", "b@b.test"], 1);
    assert!(plan.contains("Sam <s@s.test>  hello  "), "{plan}");
    let resumed = said(&["--resume", "b@b.test"], 0);
    assert!(resumed.contains("1 message was kept in "), "{resumed}");
}

#[test]
fn archives_into_no_directory_are_refused_in_the_plan_too() {
    let scratch = Scratch::new();
    fs::write(
        scratch.mailbox(),
        "From s@s.test Mon Nov  2 10:00:00 2026\nSubject: x\n\nx\n\n",
    )
    .unwrap();
    let name = scratch.mailbox().display().to_string();
    for more in [&["-n"][..], &["-y"]] {
        let ended = scratch
            .run(&["spool", "archive", &name, "--all-mail", "--to", "/dev/null"])
            .with(more)
            .go();
        ended
            .ends_with(1)
            .mentions("cannot put archives into /dev/null: it is no directory");
    }
}
