//! A host on which nothing is wrong, and what doctor finds on it. Other mail programs are scripts; the real ones are
//! asked in tests/peers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::{PROGRAM, Run, Scratch, user_name};

/// A host on which nothing is wrong: programs, a sendmail that must never run, a mailbox.
pub fn host() -> Scratch {
    let mut scratch = Scratch::new();
    fs::create_dir(scratch.path("programs")).unwrap();
    scratch.sendmail("");
    fs::write(scratch.mailbox(), "").unwrap();
    fs::set_permissions(scratch.mailbox(), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(scratch.path("spool"), fs::Permissions::from_mode(0o1777)).unwrap();
    // Whatever the umask of whoever runs this says.
    fs::set_permissions(scratch.path("home"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(scratch.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    scratch
}

pub fn program(scratch: &Scratch, name: &str, text: &str) {
    scratch.script(&format!("programs/{name}"), text);
}

/// A Postfix with these settings beside those that matter everywhere.
pub fn postfix(scratch: &Scratch, settings: &str) {
    let aliases = scratch.path("aliases");
    if !aliases.exists() {
        fs::write(&aliases, "postmaster: root\n").unwrap();
    }
    let text = format!(
        "alias_maps = texthash:{}\nmydestination = a.test, localhost\nmyorigin = a.test\nmailbox_size_limit = 0\n{settings}\n",
        aliases.display()
    );
    fs::write(scratch.path("main"), text).unwrap();
    program(scratch, "postconf", &format!("cat {}", scratch.path("main").display()));
}

pub fn doctor<'a>(scratch: &'a Scratch, arguments: &[&str]) -> Run<'a> {
    scratch
        .run(&["doctor"])
        .with(arguments)
        .variable("SPOOLGUARD_PATH", scratch.path("programs"))
}

/// One finding.
#[derive(Debug)]
pub struct Found {
    pub check: String,
    pub level: String,
    pub subject: String,
    pub finding: String,
    pub remedy: Option<String>,
}

/// All findings, with the status that they lead to checked.
#[track_caller]
pub fn findings(run: Run<'_>) -> Vec<Found> {
    let ended = run.go();
    let text = String::from_utf8(ended.stdout.clone()).unwrap();
    let found: Vec<_> = text
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let object = value.as_object().unwrap();
            let keys: Vec<_> = object.keys().map(String::as_str).collect();
            assert_eq!(keys, ["check", "finding", "level", "remedy", "subject"]);
            let word = |key: &str| object[key].as_str().unwrap().to_owned();
            Found {
                check: word("check"),
                level: word("level"),
                subject: word("subject"),
                finding: word("finding"),
                remedy: object["remedy"].as_str().map(str::to_owned),
            }
        })
        .collect();
    assert!(
        found
            .iter()
            .all(|found| ["error", "warning", "ok"].contains(&found.level.as_str())),
        "{found:#?}"
    );
    let wrong = found.iter().any(|found| found.level == "error");
    ended
        .ends_with(i32::from(wrong))
        .check(ended.stderr.is_empty(), "it says something on standard error");
    found
}

#[track_caller]
pub fn host_findings(scratch: &Scratch) -> Vec<Found> {
    findings(doctor(scratch, &["--json"]))
}

/// How the mail of whoever runs this is handled.
#[track_caller]
pub fn own_findings(scratch: &Scratch) -> Vec<Found> {
    findings(doctor(scratch, &["--json", "--user", &user_name()]))
}

/// The findings of one check that are not as they should be: level, subject, finding.
pub fn bad<'a>(found: &'a [Found], check: &str) -> Vec<(&'a str, &'a str, &'a str)> {
    found
        .iter()
        .filter(|found| found.check == check && found.level != "ok")
        .map(|found| (found.level.as_str(), found.subject.as_str(), found.finding.as_str()))
        .collect()
}

#[track_caller]
pub fn one<'a>(found: &'a [Found], check: &str, level: &str, part: &str) -> &'a Found {
    let matches: Vec<_> = found
        .iter()
        .filter(|found| found.check == check && found.level == level && found.finding.contains(part))
        .collect();
    assert_eq!(matches.len(), 1, "not one {level} of {check} with {part:?}: {found:#?}");
    matches[0]
}

/// A user's own hook, with a program that is there.
pub fn guarded_home(scratch: &Scratch, name: &str, text: &str) -> PathBuf {
    let path = scratch.path("home").join(name);
    fs::write(&path, text.replace("SPOOLGUARD", PROGRAM)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}
