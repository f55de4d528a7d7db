//! Every flag and every key has its paragraph in a man page.

use std::path::Path;
use std::process::Command;

fn manual(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/man").join(name);
    std::fs::read_to_string(path).unwrap().replace("\\-", "-")
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_spoolguard"))
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that the help of a command lists.
fn listed(of: &[&str]) -> Vec<String> {
    printed(&[of, &["--help"]].concat())
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_ascii_whitespace().next())
        .filter(|command| *command != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_and_flag_is_in_the_manual() {
    let manual = manual("spoolguard.1");
    let mut commands = listed(&[]);
    let known = [
        "deliver", "forward", "filter", "return", "policy", "inspect", "replay", "status", "trace", "spool", "doctor",
        "config",
    ];
    assert_eq!(commands, known, "a command that this test does not know");
    commands.extend(listed(&["spool"]).iter().map(|command| format!("spool {command}")));
    assert!(commands.len() > known.len());
    for command in commands {
        assert!(manual.contains(&format!("spoolguard {command}")), "{command}");
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let help = printed(&words);
        let flags = help
            .split_ascii_whitespace()
            .filter(|word| word.starts_with("--") && word.len() > 2);
        let mut count = 0;
        for flag in flags.map(|flag| flag.trim_end_matches([',', '.', ')', ';', ':', '"'])) {
            count += 1;
            assert!(manual.contains(flag), "{flag} of {command}");
        }
        assert!(count >= 3, "{help}");
    }
}

#[test]
fn every_key_is_in_the_manual_with_its_default() {
    let manual = manual("spoolguard.toml.5").replace("\\(dq", "\"");
    let shown = printed(&["config", "show", "/dev/null"]);
    let mut keys = 0;
    for line in shown.lines() {
        if line.starts_with('[') {
            assert!(manual.contains(&format!(".SH {line}")), "{line}");
        } else if let Some((key, rest)) = line.split_once(" = ") {
            keys += 1;
            let value = rest.split(" #").next().unwrap().trim_end();
            let entry = format!(".BR {key} \" = {value}\"");
            assert!(manual.contains(&entry), "{entry}");
        }
    }
    assert!(keys > 20, "{shown}");
}

/// All sources of a folder, as one text.
pub fn sources(dir: &Path) -> String {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => sources(&path),
            false => std::fs::read_to_string(&path).unwrap(),
        })
        .collect()
}
