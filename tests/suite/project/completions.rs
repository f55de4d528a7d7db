//! The completions in `contrib` are what the command line is now, and a shell that reads them completes.

use std::path::Path;
use std::process::Command;

use crate::support::{PROGRAM, Scratch, skip, user_name};

#[path = "../../../examples/completions.rs"]
#[allow(dead_code, reason = "as an example, it also has a main")]
mod generator;

fn kept(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("contrib/completions")
        .join(name)
}

#[test]
fn the_completions_in_contrib_are_those_of_this_command_line() {
    for (name, script) in generator::scripts() {
        let is = std::fs::read_to_string(kept(name)).unwrap_or_default();
        assert!(
            is == script,
            "contrib/completions/{name} is old: cargo run --example completions"
        );
    }
}

/// What bash offers for the last of these words.
fn offered(words: &[&str]) -> Vec<String> {
    offered_by("spoolguard", words)
}

/// The same where the program is called like this.
fn offered_by(program: &str, words: &[&str]) -> Vec<String> {
    let script = r#"
        source "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _spoolguard "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = Command::new("bash")
        .args(["--norc", "-c", script, "bash"])
        .arg(kept("spoolguard.bash"))
        .arg(program)
        .args(words)
        .env("TZ", "UTC")
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{words:?}: {output:?}"
    );
    let offered = String::from_utf8(output.stdout).unwrap();
    offered.split_ascii_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    if Command::new("bash").arg("--version").output().is_err() {
        return skip("needs bash");
    }
    assert_eq!(offered(&["sp"]), ["spool"]);
    assert_eq!(offered(&["spool", "ar"]), ["archive", "archives"]);
    assert_eq!(offered(&["forward", "b@b.test", "--ke"]), ["--keep"]);
    assert_eq!(offered(&["inspect", "--is", "b"]), ["bounce"]);
    assert!(offered(&["status", "--user", "roo"]).contains(&"root".to_owned()));
    assert!(offered(&["status", "-d", "roo"]).contains(&"root".to_owned()));
    assert_eq!(
        offered(&["inspect", "--is", ""]),
        [
            "loop",
            "bounce",
            "complaint",
            "receipt",
            "auto-reply",
            "notice",
            "ordinary"
        ]
    );
    assert_eq!(
        offered(&["spool", "list", "--sort", ""]),
        ["size", "messages", "bounces", "growth", "oldest", "name"]
    );
}

#[test]
fn bash_asks_the_program_for_addresses_users_and_archives() {
    if Command::new("bash").arg("--version").output().is_err() {
        return skip("needs bash");
    }
    let scratch = Scratch::new();
    let offered = |words: &[&str]| offered_by(PROGRAM, words);
    let (config, home) = (scratch.configuration(), scratch.path("archive"));
    let config = config.to_str().unwrap();
    let status = ["--config", config, "status"];
    scratch
        .run(&["status", "--suspend", "bob@example.net"])
        .go()
        .ends_with(0);
    for flag in ["--resume", "--send-kept", "--suspend"] {
        assert_eq!(offered(&[&status[..], &[flag, ""]].concat()), ["bob@example.net"]);
        assert_eq!(offered(&[&status[..], &[flag, "x"]].concat()), [""; 0]);
    }
    assert_eq!(offered(&["--config", config, "trace", "bo"]), ["bob@example.net"]);
    assert_eq!(
        offered(&["--config", config, "status", "--as", "nobodys", "--resume", ""]),
        [""; 0],
        "an alias has a state of its own"
    );

    std::fs::create_dir(&home).unwrap();
    let archive = home.join(format!("{}-20261102T031500Z.tar.gz", user_name()));
    std::fs::write(&archive, "").unwrap();
    let archive = archive.to_str().unwrap();
    let scratch = scratch.set("archive.dir", &format!("{:?}", home.display().to_string()));
    let config = scratch.configuration();
    let config = config.to_str().unwrap();
    let restore = ["--config", config, "spool", "restore"];
    assert_eq!(offered(&[&restore[..], &["--list", &archive[..5]]].concat()), [archive]);
    assert_eq!(
        offered(&[&restore[..], &["-d", "root", &archive[..5]]].concat()),
        [archive]
    );
    for verb in ["list", "archive", "sweep", "archives", "restore"] {
        assert_eq!(offered(&["spool", verb, "roo"]), ["root"], "{verb}");
        assert!(
            offered(&["spool", verb, "--js"]).contains(&"--json".to_owned()),
            "{verb}"
        );
    }
}
